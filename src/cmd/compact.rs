//! `il compact`: writes the store anew, without holes.

use super::progress::Line;
use super::{home, print};
use crate::cli::{Command, Global, Operands};
use crate::error::{Error, Result};
use crate::format::line;
use crate::library::Library;

/// `il compact`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "compact",
    summary: "Write the store anew, without gaps",
    flags: &[],
    shared: &[],
    operands: Operands::Refuse,
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args;

fn run(_: Args, global: &Global) -> Result<u8> {
    let library = Library::open_to_change(&home::dir(global)?)?;
    let store = library.store();
    let mut progress = Line::new("compact");
    // What cannot be read is not carried over, and the old file goes: that must not pass unseen.
    let report = store.verify(&mut |p| progress.at(p))?;
    if report.problem_count > 0 {
        drop(progress);
        return Err(Error::failed(format!("cannot compact {}", store.path().display()))
            .why("it is damaged")
            .with_hint("'il verify' says where, 'il verify --repair' writes it anew"));
    }
    let before = library.bytes_on_disk()?;
    let compacted = store.compact(&mut |p| progress.at(p))?;
    library.index_if_due();
    drop(progress);
    let after = library.bytes_on_disk()?;
    print(format!(
        "Compacted {}: {} before, {} after, {} freed\n",
        line::count(compacted.sessions, "session"),
        line::size(before),
        line::size(after),
        line::size(before.saturating_sub(after)),
    ))?;
    Ok(0)
}
