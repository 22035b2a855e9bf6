//! `il pin`: protects a session from being removed.

use super::{home, print};
use crate::cli::{Command, Flag, Global, Hint, Operand, Operands};
use crate::error::Result;
use crate::library::Library;

/// `il pin [--undo] [ID]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "pin",
    summary: "Protect a session from being removed",
    flags: &[Flag::switch("undo", "Take the pin off", |args: &mut Args| args.undo = true)],
    shared: &[],
    operands: Operands::Each(
        &[Operand::optional("ID", Hint::Session, "Session, the newest if left out")],
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
    undo: bool,
}

fn run(args: Args, global: &Global) -> Result<u8> {
    let library = Library::open_to_change(&home::dir(global)?)?;
    let session = library.find(args.id.as_deref())?;
    let changed = library.pin(&session, !args.undo)?;
    let short = session.id.short();
    print(match (args.undo, changed) {
        (false, true) => format!("Pinned {short}\n"),
        (false, false) => format!("{short} is pinned already\n"),
        (true, true) => format!("Took the pin off {short}\n"),
        (true, false) => format!("{short} is not pinned\n"),
    })?;
    Ok(0)
}
