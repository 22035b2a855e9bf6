//! `il mark`: a marker in a session.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal};

use super::home;
use crate::cli::{Command, Flag, Global, Hint, Operand, Operands};
use crate::error::{Error, Result};
use crate::event::{Event, Marker, Source};
use crate::library::{Library, Session};

/// `il mark [--session ID] TEXT...`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "mark",
    summary: "Put a marker into the running session",
    flags: &[Flag::value("session", "ID", "Into this session", |args: &mut Args, value| {
        args.session = Some(super::id(value)?);
        Ok(())
    })
    .hint(Hint::Session)],
    shared: &[],
    operands: Operands::Each(
        &[Operand::many("TEXT", Hint::None, "Words of the marker")],
        |args: &mut Args, word| {
            args.words.push(text(word)?);
            Ok(())
        },
    ),
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    session: Option<String>,
    words: Vec<String>,
}

fn run(args: Args, global: &Global) -> Result<u8> {
    let (library, session) = meant(global, args.session.as_deref())?;
    // A person inside a recorded shell has the terminal to type at; an agent's tools do not.
    let by = if is_inside(&session) && !io::stdin().is_terminal() { "agent" } else { "user" };
    let marker = Marker { text: args.words.join(" "), by: Some(by.to_owned()) };
    library.add(&session, &Event::new(Source::User, marker))?;
    Ok(0)
}

/// A word of a text.
pub(super) fn text(word: OsString) -> std::result::Result<String, String> {
    word.into_string().map_err(|_| "not UTF-8".to_owned())
}

/// The session that a word is for, in a store that can be written: the one that was named, else
/// the one around us, else the one that runs.
pub(super) fn meant(global: &Global, named: Option<&str>) -> Result<(Library, Session)> {
    let library = Library::open_to_change(&home::dir(global)?)?;
    let around = around();
    if let Some(id) = named.or(around.as_deref()) {
        let session = library.find(Some(id))?;
        return Ok((library, session));
    }
    let mut running = library.running()?;
    match running.len() {
        0 => Err(Error::nothing_found("no session is running")
            .with_hint("'il run CMD' records one; --session ID names one that has ended")),
        1 => {
            let session = running.remove(0);
            Ok((library, session))
        }
        n => Err(Error::usage(format!("{n} sessions are running"))
            .with_hint("name one with --session ID; 'il list --status running' shows them")),
    }
}

/// The session inside which this process runs.
fn around() -> Option<String> {
    env::var("IL_SESSION").ok().filter(|id| !id.is_empty())
}

/// Whether this process runs inside the session.
pub(super) fn is_inside(session: &Session) -> bool {
    around().is_some_and(|id| id == session.id.to_string())
}
