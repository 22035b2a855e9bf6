//! `il list`: the sessions, newest first.

use std::collections::HashMap;

use super::filter::{Filtered, Flags, Typed};
use super::{JSON_VERSION, home, print, screen};
use crate::agent;
use crate::cli::{Command, Flag, Global, Operands};
use crate::error::{Error, Result};
use crate::format::line;
use crate::json::write_object;
use crate::library::{Library, Session};
use crate::session::Filter;
use crate::sys::time;
use crate::time::duration;

/// Sessions listed unless another number is asked for.
const LIMIT_DEFAULT: usize = 20;

/// `il list [filters] [-l N] [--all] [--json]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "list",
    summary: "List the sessions",
    flags: &[
        Flag::value(
            "limit",
            "N",
            "List at most N sessions, 20 unless given",
            |args: &mut Args, value| {
                let limit = value.to_str().and_then(|text| text.parse().ok());
                args.limit = Some(limit.ok_or("not a number")?);
                Ok(())
            },
        )
        .short('l'),
        Flag::switch("all", "List all sessions", |args: &mut Args| args.all = true),
        Flag::switch("json", "Print one JSON object a line", |args: &mut Args| args.json = true),
    ],
    shared: Flags::<Args>::ALL,
    operands: Operands::Refuse,
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    limit: Option<usize>,
    all: bool,
    json: bool,
    filter: Typed,
}

impl Filtered for Args {
    fn typed(&mut self) -> &mut Typed {
        &mut self.filter
    }
}

/// Most sessions that are folded into one row.
const FOLD_MAX: usize = 999;

const HEADINGS: [&str; 9] =
    ["ID", "STATUS", "STARTED", "DURATION", "AGENT", "TURNS", "TOKENS", "PROJECT", "PROMPT"];

fn run(args: Args, global: &Global) -> Result<u8> {
    let library = Library::open(&home::dir(global)?)?;
    let limit = if args.all { usize::MAX } else { args.limit.unwrap_or(LIMIT_DEFAULT) };
    let now_us = time::wall().unix_us;
    let filter = args.filter.meant()?;
    let folds = !args.all && !args.json;
    let mut parents: HashMap<String, bool> = HashMap::new();
    let mut is_child = |session: &Session| {
        let Some(parent) = session.meta.parent.as_deref().filter(|_| folds) else { return false };
        let known = parents.get(parent).copied();
        known.unwrap_or_else(|| {
            let found = library.find(Some(parent)).ok();
            let is_listed = found.is_some_and(|s| s.agent().is_some() && s.matches(&filter));
            parents.insert(parent.to_owned(), is_listed);
            is_listed
        })
    };
    let is_alike = |a: &Session, b: &Session| {
        is_one_shot(a) && is_one_shot(b) && a.agent() == b.agent() && a.project() == b.project()
    };
    let own = library.listed(&filter, true)?.filter(|session| !is_child(session));
    let alike_max = if folds && screen::is_terminal() { FOLD_MAX } else { 0 };
    let mut sessions = folded(own, is_alike, alike_max).take(limit).peekable();
    if sessions.peek().is_none() && filter != Filter::default() {
        return Err(Error::nothing_found("no session is like that")
            .with_hint("'il list --all' shows the sessions there are"));
    }
    if args.json {
        let mut out = String::new();
        for (session, _) in sessions {
            write_json(&session, now_us, &mut out);
            if out.len() >= screen::PIECE_LEN {
                print(std::mem::take(&mut out))?;
            }
        }
        print(out)?;
    } else {
        screen::table(&HEADINGS, sessions.map(|(session, alike)| row(&session, alike, now_us)))?;
    }
    Ok(0)
}

/// Each run of sessions that are alike as its first one, and how many more there are; in one that
/// is longer than `max`, so many.
fn folded<T>(
    mut sessions: impl Iterator<Item = T>,
    is_alike: impl Fn(&T, &T) -> bool,
    max: usize,
) -> impl Iterator<Item = (T, usize)> {
    let mut next = sessions.next();
    std::iter::from_fn(move || {
        let session = next.take()?;
        next = sessions.next();
        let mut alike = 0;
        while alike < max && next.take_if(|other| is_alike(&session, other)).is_some() {
            alike += 1;
            next = sessions.next();
        }
        Some((session, alike))
    })
}

/// Whether an agent was asked one thing, and nobody could have asked another.
fn is_one_shot(session: &Session) -> bool {
    let Some(derived) = &session.meta.derived else { return false };
    let words: Vec<String> =
        session.meta.argv.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let asks = agent::detect(&words).is_some_and(|found| found.prompt.is_some());
    derived.counts.turns == 1 && asks
}

fn row(session: &Session, alike: usize, now_us: i64) -> Vec<String> {
    let more = if alike > 0 { format!("(+{alike}) ") } else { String::new() };
    let unknown = || "-".to_owned();
    let derived = session.meta.derived.as_ref();
    let tokens = derived.filter(|derived| derived.counts.requests > 0);
    let tokens =
        tokens.map(|d| d.counts.tokens.input_total().saturating_add(d.counts.tokens.output));
    vec![
        session.id.short(),
        session.status.name().to_owned(),
        session.meta.started.local(),
        session.duration_us(now_us).map_or_else(unknown, duration),
        session.agent().map_or_else(unknown, line::clean),
        derived.map_or_else(unknown, |d| d.counts.turns.to_string()),
        tokens.map_or_else(unknown, |n| n.to_string()),
        session.project().map_or_else(unknown, |project| line::clean(&project)),
        more + &prompt(session).map_or_else(|| line::words(&session.meta.argv), line::clean),
    ]
}

fn prompt(session: &Session) -> Option<&str> {
    let imported = session.meta.imported.as_ref().and_then(|imported| imported.prompt.as_deref());
    imported.or_else(|| session.meta.derived.as_ref()?.prompt.as_deref())
}

fn write_json(session: &Session, now_us: i64, out: &mut String) {
    write_object(out, |o| {
        o.int("v", JSON_VERSION);
        o.string("id", &session.id.to_string());
        o.string("short_id", &session.id.short());
        o.string("status", session.status.name());
        o.string("started", &session.meta.started.rfc3339());
        o.int_opt("duration_ms", session.duration_us(now_us).map(|us| us / 1000));
        o.string_opt("name", session.meta.name.as_deref());
        if session.meta.pinned {
            o.bool("pinned", true);
        }
        o.string_opt("project", session.project().as_deref());
        o.string_opt("parent", session.meta.parent.as_deref());
        if let Some(derived) = &session.meta.derived {
            o.int("turns", derived.counts.turns);
            o.int("thought_events", derived.counts.thoughts);
            o.int("tool_calls", derived.counts.tool_calls);
            let tokens = derived.counts.tokens;
            o.int("tokens_in", tokens.input_total());
            o.int("tokens_out", tokens.output);
            o.string_opt("model", derived.model.as_deref());
            o.string_opt("native_session", derived.native_session.as_deref());
        }
        o.string_opt("prompt", prompt(session));
        o.string("command", &line::words(&session.meta.argv));
        o.string_opt("agent", session.agent());
        if let Some(ending) = &session.meta.ending {
            o.int_opt("exit_code", ending.exit_code);
            o.string_opt("signal", ending.signal.as_deref());
        }
    });
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_what_is_alike_are_folded() {
        let check = |text: &str, max: usize, expected: &str| {
            let alike = |a: &char, b: &char| a == b && a.is_lowercase();
            let rows = folded(text.chars(), alike, max);
            let rows: String = rows.map(|(c, alike)| format!("{c}{alike}")).collect();
            assert_eq!(rows, expected, "{text}, {max} at most");
        };
        check("", 9, "");
        check("a", 9, "a0");
        check("aabaaa", 9, "a1b0a2");
        check("AAb", 9, "A0A0b0");
        check("aab", 0, "a0a0b0");
        // At the limit, and one past it.
        check("aaa", 2, "a2");
        check("aaaa", 2, "a2a0");
    }
}
