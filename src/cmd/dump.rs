//! `il dump`: a stream of a session, byte for byte.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::home;
use crate::cli::{Command, Flag, Global, Hint, Operand, Operands};
use crate::error::{Error, Result};
use crate::library::{Library, STREAMS, Session};

/// `il dump STREAM [ID] [-o FILE]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "dump",
    summary: "Print a stream of a session",
    flags: &[Flag::value(
        "output",
        "FILE",
        "Write to FILE and say how much",
        |args: &mut Args, value| {
            args.output = Some(value);
            Ok(())
        },
    )
    .short('o')
    .hint(Hint::File)],
    shared: &[],
    operands: Operands::Each(
        &[
            Operand::one("STREAM", Hint::Stream, "Stream to print"),
            Operand::optional("ID", Hint::Session, "Session, the newest if left out"),
        ],
        |args: &mut Args, word| {
            args.words.push(super::id(word)?);
            Ok(())
        },
    ),
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    words: Vec<String>,
    output: Option<OsString>,
}

fn run(args: Args, global: &Global) -> Result<u8> {
    let library = Library::open(&home::dir(global)?)?;
    let (session, stream) = meant(&library, &args.words)?;
    // A name that is wrong is told before a file is made.
    if !library.has_stream(&session, &stream) {
        library.copy(&session, &stream, &mut io::sink())?;
    }
    let content = match &args.output {
        None => {
            let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
            let content = library.copy(&session, &stream, &mut out)?;
            out.flush().map_err(|e| Error::io("cannot write to standard output", &e))?;
            content
        }
        Some(path) => {
            let path = Path::new(path);
            let failed = |e: io::Error| Error::io(format!("cannot write {}", path.display()), &e);
            let mut out = BufWriter::new(File::create(path).map_err(failed)?);
            let content = library.copy(&session, &stream, &mut out)?;
            out.flush().map_err(failed)?;
            super::print(format!(
                "Wrote {} bytes from {} to {}\n",
                content.bytes,
                session.key(&stream),
                path.display()
            ))?;
            content
        }
    };
    if content.damaged > 0 {
        return Err(Error::failed(format!("stream {stream} is not whole"))
            .why(format!("the store is damaged in {} places", content.damaged))
            .with_hint("'il verify' names what is missing"));
    }
    Ok(0)
}

/// The session and the stream that are meant: the words may stand in either order.
fn meant(library: &Library, words: &[String]) -> Result<(Session, String)> {
    match words {
        [stream] => Ok((library.find(None)?, stream.clone())),
        [a, b] if STREAMS.contains(&a.as_str()) => Ok((library.find(Some(b))?, a.clone())),
        [a, b] if STREAMS.contains(&b.as_str()) => Ok((library.find(Some(a))?, b.clone())),
        [a, b] => match library.find(Some(b)) {
            Ok(session) => Ok((session, a.clone())),
            Err(error) => match library.find(Some(a)) {
                Ok(session) => Ok((session, b.clone())),
                Err(_) => Err(error),
            },
        },
        _ => Err(Error::usage("missing STREAM")),
    }
}
