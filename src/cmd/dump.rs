//! `il dump`: a stream of a session, byte for byte.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::pick::{self, Picks};
use super::{home, moment};
use crate::cli::{Command, Flag, Global, Hint, Operand, Operands};
use crate::error::{Error, Result};
use crate::event::Evidence;
use crate::format::line;
use crate::library::{Content, Library, STREAMS, Session};
use crate::term::Format;

/// `il dump STREAM [ID] [-o FILE] [--at TIME]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "dump",
    summary: "Print a stream of a session",
    flags: &[
        pick::flag(),
        Flag::value(
            "output",
            "FILE",
            "Write to FILE and say how much",
            |args: &mut Args, value| {
                args.output = Some(value);
                Ok(())
            },
        )
        .short('o')
        .hint(Hint::File),
        Flag::switch("raw", "Do not mask secrets in chat, thoughts, report", |args: &mut Args| {
            args.raw = true;
        }),
        Flag::value("at", "TIME", "Screen at TIME, not the last", |args: &mut Args, value| {
            args.at = Some(value.into_string().map_err(|_| "not a time")?);
            Ok(())
        }),
    ],
    shared: &[],
    operands: Operands::Each(
        &[
            Operand::one("STREAM", Hint::Stream, "Stream to print"),
            Operand::any("ID", Hint::Session, "Session, the newest if left out"),
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
    raw: bool,
    at: Option<String>,
    pick: bool,
}

impl Picks for Args {
    fn pick(&mut self) {
        self.pick = true;
    }
}

fn run(args: Args, global: &Global) -> Result<u8> {
    let library = Library::open(&home::dir(global)?)?;
    let (session, stream, place) = match span(&args.words)? {
        Some((place, words)) => {
            let id = words.map(String::as_str);
            (pick::session(&library, args.pick, id)?, "span".into(), Some(place))
        }
        None => {
            let (session, stream) = meant(&library, args.pick, &args.words)?;
            (session, stream, None)
        }
    };
    // A name that is wrong is told before a file is made.
    let name = place.as_ref().map_or(&stream, |place| &place.stream);
    if !library.has_stream(&session, name) {
        library.copy(&session, name, &mut io::sink())?;
    }
    let at_us = match &args.at {
        Some(_) if stream != "screen" => return Err(Error::usage("--at goes with screen alone")),
        Some(text) => Some(moment::parse(text, &library, &session)?),
        None => None,
    };
    let told = |text: String, out: &mut dyn Write, damaged: u64| {
        out.write_all(text.as_bytes())
            .map_err(|e| Error::io(format!("cannot write stream {stream}"), &e))?;
        Ok(Content { bytes: text.len() as u64, damaged })
    };
    let copy = |out: &mut dyn Write| match (&place, at_us, stream.as_str()) {
        (Some(place), ..) => library.copy_span(&session, place, out),
        (None, Some(t_us), _) => {
            let (terminal, damaged) = library.screen_at(&session, t_us);
            told(terminal.screen().render(Format::Text, 0), out, damaged)
        }
        (None, None, "chat" | "thoughts" | "report") if args.raw => {
            told(library.rendered(&session, &stream), out, 0)
        }
        _ => library.copy(&session, &stream, out),
    };
    let content = match &args.output {
        None => {
            let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
            let content = copy(&mut out)?;
            out.flush().map_err(|e| Error::io("cannot write to standard output", &e))?;
            content
        }
        Some(path) => {
            let path = Path::new(path);
            let failed = |e: io::Error| Error::io(format!("cannot write {}", path.display()), &e);
            let mut out = BufWriter::new(File::create(path).map_err(failed)?);
            let content = copy(&mut out)?;
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
            .why(format!("the store is damaged in {}", line::count(content.damaged, "place")))
            .with_hint("'il verify' names what is missing"));
    }
    Ok(0)
}

/// The place that `span STREAM:OFFSET+LENGTH [ID]` names, and the id.
fn span(words: &[String]) -> Result<Option<(Evidence, Option<&String>)>> {
    let Some(at) = words.iter().position(|word| word == "span") else { return Ok(None) };
    let mut rest: Vec<&String> =
        words.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, w)| w).collect();
    let found = rest.iter().position(|word| super::span(word).is_some());
    match found.map(|at| rest.remove(at)).and_then(|word| super::span(word)) {
        Some(found) if rest.len() <= 1 => Ok(Some((found, rest.first().copied()))),
        _ => Err(Error::usage("not a place")
            .with_hint("il dump span STREAM:OFFSET+LENGTH [ID], as in the 'ref' of an event")),
    }
}

/// The session and the stream that are meant: the words may stand in either order.
fn meant(library: &Library, picks: bool, words: &[String]) -> Result<(Session, String)> {
    let find = |id: Option<&String>| pick::session(library, picks, id.map(String::as_str));
    match words {
        [stream] => Ok((find(None)?, stream.clone())),
        [a, b] if STREAMS.contains(&b.as_str()) && !STREAMS.contains(&a.as_str()) => {
            Ok((find(Some(a))?, b.clone()))
        }
        [a, b] if picks || STREAMS.contains(&a.as_str()) => Ok((find(Some(b))?, a.clone())),
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
