//! `il tail`: a session's events as they come.

use std::thread;
use std::time::Duration;

use super::{event, home, print, screen};
use crate::cli::{Command, Flag, Global, Hint, Operand, Operands};
use crate::error::Result;
use crate::event::{Body, Event};
use crate::format::{line, text};
use crate::library::Library;
use crate::sys::time;

/// `il tail [--json] [--only KIND,...] [ID]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "tail",
    summary: "Follow a session's events",
    flags: &[
        Flag::switch("json", "Print one JSON object a line", |args: &mut Args| args.json = true),
        Flag::value(
            "only",
            "KINDS",
            "Only events of these kinds, separated by commas",
            |args: &mut Args, value| {
                for word in super::mark::text(value)?.split(',') {
                    args.only.push(event::kind(word.into())?);
                }
                Ok(())
            },
        )
        .hint(Hint::Choice(Body::KINDS)),
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
    json: bool,
    only: Vec<String>,
}

/// Between two looks at a session that runs.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Columns that a kind takes.
const KIND_COLUMNS: usize = 17;

fn run(args: Args, global: &Global) -> Result<u8> {
    let library = Library::open(&home::dir(global)?)?;
    let running = match &args.id {
        None => library.running()?.into_iter().next(),
        Some(_) => None,
    };
    let session = match running {
        Some(session) => session,
        None => library.find(args.id.as_deref())?,
    };
    let mut following = library.follow(&session);
    loop {
        let mut out = String::new();
        for event in following.poll()? {
            if !args.only.is_empty() && !args.only.iter().any(|kind| kind == event.body.kind()) {
                continue;
            }
            match args.json {
                true => event.write_line(&mut out),
                false => out.push_str(&shown(&event)),
            }
        }
        if !out.is_empty() {
            print(out)?;
        }
        if following.is_over() {
            return Ok(0);
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// An event as a line for a person: the time, the kind, and what it says.
fn shown(event: &Event) -> String {
    let time = event.time.map_or(String::new(), |at| time::local(at.unix_us).local());
    let clock = time.split(' ').nth(1).unwrap_or("-");
    let kind = line::clean(event.body.kind());
    let said = line::clean(&text::brief(event));
    let row = format!("{clock}  {kind:<KIND_COLUMNS$}  {said}");
    let row = row.trim_end();
    match screen::is_terminal() {
        true => format!("{}\n", line::cut(row, screen::columns())),
        false => format!("{row}\n"),
    }
}
