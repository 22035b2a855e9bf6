//! `il rm`: removes sessions.

use super::progress::Line;
use super::{home, print};
use crate::cli::{Command, Global, Hint, Operand, Operands};
use crate::error::{Error, Result};
use crate::format::line;
use crate::library::{Library, Removed, Session};
use crate::session::Status;

/// `il rm ID...`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "rm",
    summary: "Remove sessions",
    flags: &[],
    shared: &[],
    operands: Operands::Each(
        &[Operand::many("ID", Hint::Session, "Session to remove")],
        |args: &mut Args, word| {
            args.ids.push(super::id(word)?);
            Ok(())
        },
    ),
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    ids: Vec<String>,
}

fn run(args: Args, global: &Global) -> Result<u8> {
    let library = Library::open_to_change(&home::dir(global)?)?;
    // All or none: each is found before the first one goes, and `@2` means what it meant.
    let mut sessions: Vec<Session> = Vec::new();
    for id in &args.ids {
        let session = library.find(Some(id))?;
        if let Some((why, hint)) = refusal(&session) {
            let short = session.id.short();
            return Err(Error::failed(format!("cannot remove {short}")).why(why).with_hint(hint));
        }
        if sessions.iter().all(|known| known.id != session.id) {
            sessions.push(session);
        }
    }
    let mut progress = Line::new("rm");
    let removed = library.remove(&sessions, &mut |p| progress.at(p))?;
    drop(progress);
    print(said(&removed))?;
    busy(&removed)
}

fn refusal(session: &Session) -> Option<(&'static str, String)> {
    let short = session.id.short();
    match session.status {
        Status::Running => Some(("it is running", "end its command first".to_owned())),
        _ if session.meta.pinned => {
            Some(("it is pinned", format!("'il pin --undo {short}' takes the pin off")))
        }
        _ => None,
    }
}

/// What a person hears of it.
pub(super) fn said(removed: &Removed) -> String {
    let sessions = line::count(removed.sessions, "session");
    format!("Removed {sessions}, {} freed\n", line::size(removed.freed))
}

/// The exit status; an error if some were taken up by others meanwhile.
pub(super) fn busy(removed: &Removed) -> Result<u8> {
    if removed.busy == 0 {
        return Ok(0);
    }
    let them = if removed.busy == 1 { "it" } else { "them" };
    Err(Error::failed(format!("left {} alone", line::count(removed.busy, "session")))
        .why(format!("another process is writing to {them}"))
        .with_hint("try again"))
}
