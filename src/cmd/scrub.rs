//! `il scrub`: takes bytes out of a recording, for good.

use super::{home, print};
use crate::cli::{Command, Flag, Global, Hint, Operand, Operands};
use crate::error::{Error, Result};
use crate::event::Evidence;
use crate::library::Library;

/// `il scrub ID --span SPAN...`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "scrub",
    summary: "Take bytes out of a recording for good",
    flags: &[Flag::value(
        "span",
        "SPAN",
        "Bytes to take out, STREAM:OFFSET+LENGTH, may be given again",
        |args: &mut Args, value| {
            let place = value.to_str().and_then(super::span);
            args.spans.push(place.ok_or("not STREAM:OFFSET+LENGTH")?);
            Ok(())
        },
    )],
    shared: &[],
    operands: Operands::Each(
        &[Operand::one("ID", Hint::Session, "Session")],
        |args: &mut Args, word| {
            args.id = Some(super::id(word)?);
            Ok(())
        },
    ),
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    id: Option<String>,
    spans: Vec<Evidence>,
}

fn run(args: Args, global: &Global) -> Result<u8> {
    if args.spans.is_empty() {
        return Err(Error::usage("missing --span").with_hint("'il scan' names the suspects"));
    }
    let library = Library::open_to_change(&home::dir(global)?)?;
    let session = library.find(args.id.as_deref())?;
    let bytes = library.scrub(&session, &args.spans)?;
    print(format!("Took {bytes} bytes out of {}\n", session.id.short()))?;
    Ok(0)
}
