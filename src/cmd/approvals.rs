//! `il approvals`: what an agent asked permission for, what it was told, and how long it waited.

use super::{home, print, screen};
use crate::cli::{Command, Flag, Global, Hint, Operand, Operands};
use crate::error::Result;
use crate::event::{Approval, Body, Event};
use crate::format::line;
use crate::format::markdown::seconds;
use crate::library::Library;

/// `il approvals [ID] [--json]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "approvals",
    summary: "Show what an agent asked permission for",
    flags: &[Flag::switch("json", "Print one event a line", |args: &mut Args| args.json = true)],
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
}

const HEADINGS: [&str; 6] = ["TIME", "TURN", "DECISION", "KEY", "WAITED", "ASKED"];

fn run(args: Args, global: &Global) -> Result<u8> {
    let library = Library::open(&home::dir(global)?)?;
    let session = library.find(args.id.as_deref())?;
    let events = library.conversation(&session);
    let asked = events.iter().filter_map(|event| match &event.body {
        Body::Approval(approval) => Some((event, approval)),
        _ => None,
    });
    if args.json {
        let mut out = String::new();
        asked.for_each(|(event, _)| event.write_line(&mut out));
        print(out)?;
    } else {
        screen::table(&HEADINGS, asked.map(|(event, approval)| row(event, approval)))?;
    }
    Ok(0)
}

fn row(event: &Event, approval: &Approval) -> Vec<String> {
    let unknown = || "-".to_owned();
    vec![
        event.time.map_or_else(unknown, |time| time.local()),
        event.turn.map_or_else(unknown, |turn| turn.to_string()),
        approval.decision.map_or_else(unknown, |decision| decision.as_str().replace('_', " ")),
        approval.key.as_deref().map_or_else(unknown, line::clean),
        approval.waited_ms.map(seconds).filter(|text| !text.is_empty()).unwrap_or_else(unknown),
        line::clean(&approval.ask),
    ]
}
