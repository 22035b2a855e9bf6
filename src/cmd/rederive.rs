//! `il rederive`: reads recordings again, with what il knows today.

use super::progress::Line;
use super::{home, print};
use crate::cli::{Command, Flag, Global, Hint, Operand, Operands};
use crate::error::{Error, Result};
use crate::library::Library;
use crate::session::Status;
use crate::store::Progress;

/// `il rederive [ID|--all]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "rederive",
    summary: "Read turns, tools and tokens out of a recording again",
    flags: &[Flag::switch("all", "Of all sessions", |args: &mut Args| args.all = true)],
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
    all: bool,
}

fn run(args: Args, global: &Global) -> Result<u8> {
    let library = Library::open_to_change(&home::dir(global)?)?;
    if !args.all {
        let session = library.find(args.id.as_deref())?;
        if session.meta.imported.is_some() {
            return Err(Error::failed(format!("cannot read {} again", session.id.short()))
                .why("it was imported")
                .with_hint("import the same files again"));
        }
        library.rederive(&session)?;
        print(format!("Read {} again\n", session.id.short()))?;
        return Ok(0);
    }
    if args.id.is_some() {
        return Err(Error::usage("an ID and --all").with_hint("say one of them"));
    }
    let mut line = Line::new("rederive");
    let sessions: Vec<_> = library
        .sessions()?
        .filter(|s| s.meta.imported.is_none() && s.status != Status::Running)
        .collect();
    let total = sessions.len() as u64;
    for (done, session) in sessions.iter().enumerate() {
        line.at(Progress { done: done as u64, total });
        library.rederive(session)?;
    }
    drop(line);
    print(format!("Read {total} sessions again\n"))?;
    Ok(0)
}
