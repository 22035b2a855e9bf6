//! `il scan`: what looks like a secret in a recording, and where.

use super::{JSON_VERSION, home, print, screen};
use crate::cli::{Command, Flag, Global, Hint, Operand, Operands};
use crate::error::{Error, Result};
use crate::format::line;
use crate::json::write_object;
use crate::library::{Library, Session, Suspect};
use crate::session::SessionId;

/// `il scan [ID] [--all] [--json]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "scan",
    summary: "List what looks like a secret in a recording",
    flags: &[
        Flag::switch("all", "In all sessions", |args: &mut Args| args.all = true),
        Flag::switch("json", "Print one JSON object a line", |args: &mut Args| args.json = true),
    ],
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
    json: bool,
}

const HEADINGS: [&str; 3] = ["SESSION", "KIND", "SPAN"];

fn run(args: Args, global: &Global) -> Result<u8> {
    let library = Library::open(&home::dir(global)?)?;
    let sessions: Vec<Session> = match args.all && args.id.is_none() {
        true => library.sessions()?.collect(),
        false => vec![library.find(args.id.as_deref())?],
    };
    let mut damaged = 0;
    let found = sessions.iter().flat_map(|session| {
        let (suspects, unread) = library.suspects(session);
        damaged += unread;
        suspects.into_iter().map(|suspect| (session.id, suspect))
    });
    if args.json {
        for (session, suspect) in found {
            let mut out = String::new();
            write_object(&mut out, |o| {
                o.int("v", JSON_VERSION);
                o.string("session", &session.to_string());
                o.string("short_id", &session.short());
                o.string("kind", suspect.kind);
                o.string("span", &span(&suspect));
            });
            out.push('\n');
            print(out)?;
        }
    } else {
        let row = |(session, suspect): (SessionId, Suspect)| {
            vec![session.short(), suspect.kind.to_owned(), span(&suspect)]
        };
        screen::table(&HEADINGS, found.map(row))?;
    }
    if damaged > 0 {
        return Err(Error::failed("not all was searched")
            .why(format!("the store is damaged in {}", line::count(damaged, "place")))
            .with_hint("'il verify' names what is missing"));
    }
    Ok(0)
}

fn span(suspect: &Suspect) -> String {
    let place = &suspect.place;
    format!("{}:{}+{}", place.stream, place.offset, place.len)
}
