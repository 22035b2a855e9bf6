//! `il why`: the sessions that changed a file, and what they were asked for.

use std::env;
use std::ffi::OsString;
use std::path::Path;

use super::{JSON_VERSION, home, print, screen};
use crate::cli::{Command, Flag, Global, Hint, Operand, Operands};
use crate::error::{Error, Result};
use crate::format::line;
use crate::git::FileChange;
use crate::json::write_object;
use crate::library::{self, Library, Session};
use crate::session::Filter;

/// `il why [-l N] [--json] FILE`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "why",
    summary: "List the sessions that changed a file, and why",
    flags: &[
        Flag::value("limit", "N", "List at most N sessions", |args: &mut Args, value| {
            let limit = value.to_str().and_then(|text| text.parse().ok());
            args.limit = Some(limit.ok_or("not a number")?);
            Ok(())
        })
        .short('l'),
        Flag::switch("json", "Print one JSON object a line", |args: &mut Args| args.json = true),
    ],
    shared: &[],
    operands: Operands::Each(
        &[Operand::one("FILE", Hint::File, "File, or a directory and all in it")],
        |args: &mut Args, word| {
            args.file = word;
            Ok(())
        },
    ),
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    file: OsString,
    limit: Option<usize>,
    json: bool,
}

const HEADINGS: [&str; 7] = ["ID", "STARTED", "AGENT", "CHANGE", "PLUS", "MINUS", "WHY"];

fn run(args: Args, global: &Global) -> Result<u8> {
    let library = Library::open(&home::dir(global)?)?;
    let cwd =
        env::current_dir().map_err(|e| Error::io("cannot tell which directory this is", &e))?;
    let path = library::absolute(&cwd, Path::new(&args.file));
    let touched = Filter { file: Some(path.clone()), ..Filter::default() };
    let mut found = library
        .candidates(&touched)?
        // What a session that has just ended changed is still being taken.
        .map(|session| library.with_changes(session))
        .filter_map(|session| {
            let changes = changes_of(&session, &path);
            (!changes.is_empty()).then_some((session, changes))
        })
        .take(args.limit.unwrap_or(usize::MAX))
        .peekable();
    if found.peek().is_none() {
        let name = line::clean(&args.file.to_string_lossy());
        return Err(Error::nothing_found(format!("no session changed {name}"))
            .with_hint(format!("'il list --file {name}' finds those that only name it")));
    }
    if !args.json {
        screen::table(&HEADINGS, found.map(|(session, changes)| row(&session, &changes)))?;
        return Ok(0);
    }
    for (session, changes) in found {
        print(as_json(&session, &changes))?;
    }
    Ok(0)
}

/// What a session changed of a file, or of all in a directory.
fn changes_of(session: &Session, path: &Path) -> Vec<FileChange> {
    let Some(root) = session.root() else { return Vec::new() };
    let files = session.changes.iter().flat_map(|changes| &changes.files);
    files.filter(|file| root.join(&file.path).starts_with(path)).cloned().collect()
}

fn row(session: &Session, changes: &[FileChange]) -> Vec<String> {
    let unknown = || "-".to_owned();
    let change = match changes {
        [file] => file.op.clone(),
        files => line::count(files.len() as u64, "file"),
    };
    let (plus, minus) = sums(changes);
    vec![
        session.id.short(),
        session.meta.started.local(),
        session.agent().map_or_else(unknown, line::clean),
        line::clean(&change),
        plus.map_or_else(unknown, |n| n.to_string()),
        minus.map_or_else(unknown, |n| n.to_string()),
        why(session),
    ]
}

/// Lines added and taken away; None where every file is binary.
fn sums(changes: &[FileChange]) -> (Option<u64>, Option<u64>) {
    let sum = |of: fn(&FileChange) -> Option<u64>| {
        changes.iter().filter_map(of).reduce(u64::saturating_add)
    };
    (sum(|file| file.plus), sum(|file| file.minus))
}

/// The intent that a session served and what was asked for, else its command.
fn why(session: &Session) -> String {
    let meta = &session.meta;
    let intent = meta.intent.as_ref().map(|i| i.title.as_deref().unwrap_or(&i.id).to_owned());
    let asked = prompt(session).or(meta.name.as_deref()).map(str::to_owned);
    let words: Vec<String> = intent.into_iter().chain(asked).collect();
    match words.is_empty() {
        true => line::words(&meta.argv),
        false => line::clean(&words.join(": ")),
    }
}

fn prompt(session: &Session) -> Option<&str> {
    let imported = session.meta.imported.as_ref().and_then(|imported| imported.prompt.as_deref());
    imported.or_else(|| session.meta.derived.as_ref()?.prompt.as_deref())
}

fn as_json(session: &Session, changes: &[FileChange]) -> String {
    let mut out = String::new();
    write_object(&mut out, |o| {
        o.int("v", JSON_VERSION);
        o.string("id", &session.id.to_string());
        o.string("short_id", &session.id.short());
        o.string("status", session.status.name());
        o.string("started", &session.meta.started.rfc3339());
        o.string_opt("name", session.meta.name.as_deref());
        o.string_opt("agent", session.agent());
        if let Some(intent) = &session.meta.intent {
            o.object("intent", |o| {
                o.string("id", &intent.id);
                o.string_opt("title", intent.title.as_deref());
            });
        }
        o.string_opt("prompt", prompt(session));
        o.string("command", &line::words(&session.meta.argv));
        let (plus, minus) = sums(changes);
        o.int_opt("plus", plus);
        o.int_opt("minus", minus);
        o.array("files", |a| {
            for file in changes {
                a.object(|o| {
                    o.string("path", &file.path);
                    o.string("op", &file.op);
                    o.int_opt("plus", file.plus);
                    o.int_opt("minus", file.minus);
                });
            }
        });
    });
    out.push('\n');
    out
}
