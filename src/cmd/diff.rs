//! `il diff`: what a session changed in its repository.

use std::env;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};

use super::pick::{self, Picks};
use super::{home, print, screen};
use crate::cli::{Command, Flag, Global, Hint, Operand, Operands};
use crate::error::{Error, Result};
use crate::format::line;
use crate::git::{Changes, FileChange};
use crate::library::edits::{Edits, has_iterations};
use crate::library::{Library, Session};
use crate::session::Status;

/// Most columns of the bar behind a file's name.
const BAR_COLUMNS_MAX: usize = 40;

/// Columns of the list of files where no terminal says how many it has; so does git.
const PIPED_COLUMNS: usize = 80;

/// `il diff [ID] [--stat] [--turn N]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "diff",
    summary: "Show what a session changed in its repository",
    flags: &[
        pick::flag(),
        Flag::switch("stat", "Only the files, and how many lines", |args: &mut Args| {
            args.stat = true;
        }),
        Flag::value(
            "turn",
            "N",
            "What turn N wrote, by its tool calls",
            |args: &mut Args, value| {
                let number = value.to_str().and_then(|text| text.parse().ok()).filter(|n| *n > 0);
                args.turn = Some(number.ok_or("not a number from 1")?);
                Ok(())
            },
        ),
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
    stat: bool,
    pick: bool,
    turn: Option<u32>,
}

impl Picks for Args {
    fn pick(&mut self) {
        self.pick = true;
    }
}

fn run(args: Args, global: &Global) -> Result<u8> {
    let library = Library::open(&home::dir(global)?)?;
    let session = pick::session_or_list(&library, args.pick, args.id.as_deref())?;
    if let Some(number) = args.turn {
        return of_turn(&library, &session, number, args.stat);
    }
    let mut session = library.with_changes(session);
    let edits = if is_told(&session) { library.edits(&session) } else { None };
    if let Some(edits) = &edits {
        session.changes = Some(edits.changes());
    }
    let changes = changes(&session)?;
    let mut diff = Vec::new();
    match &edits {
        _ if args.stat => {}
        Some(edits) => diff.extend(edits.diff.as_bytes()),
        None => drop(library.copy(&session, "diff", &mut diff)?),
    }
    show(changes, diff, args.stat)?;
    let mut notes: Vec<String> = changes
        .left_out
        .iter()
        .map(|path| format!("{} is too large and was left out", line::clean(path)))
        .collect();
    if changes.cut {
        notes.push("it is longer than this; what follows was not kept".to_owned());
    }
    notes.extend(edits.iter().flat_map(|edits| doubts(edits, "the session")));
    note(&notes);
    Ok(0)
}

/// Whether only the session itself can tell what it changed: nobody has looked at a repository.
fn is_told(session: &Session) -> bool {
    session.status != Status::Running
        && session.changes.as_ref().is_none_or(|changes| changes.told)
        && (session.meta.imported.is_some() || session.meta.repository.is_none())
}

/// What is not sure of the changes that tool calls tell.
fn doubts(edits: &Edits, whose: &str) -> Vec<String> {
    if edits.whole {
        return Vec::new();
    }
    let mut notes = vec![format!("this is what the tool calls of {whose} wrote")];
    for path in &edits.untold {
        notes.push(format!("{} was changed too; how is not told", line::clean(path)));
    }
    if edits.commands > 0 {
        let ran = line::count(edits.commands, "command");
        notes.push(format!("what its {ran} changed is not in it"));
    }
    notes
}

/// Prints the list of files, or the diff.
fn show(changes: &Changes, diff: Vec<u8>, only_stat: bool) -> Result<()> {
    page(&match (only_stat, screen::is_terminal()) {
        (true, _) => stat(changes),
        (false, true) => fit_for_terminal(&String::from_utf8_lossy(&diff)).into_bytes(),
        (false, false) => diff,
    })
}

fn note(notes: &[String]) {
    let text: String = notes.iter().map(|note| format!("il diff: {note}\n")).collect();
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// One turn: as the tool calls tell, for nobody has looked at the repository between turns. An
/// iteration of a loop has kept its own diff.
fn of_turn(library: &Library, session: &Session, number: u32, only_stat: bool) -> Result<u8> {
    let events = library.events(session);
    let iterations = has_iterations(&events);
    let edits = match iterations {
        true => Edits::of_iteration(&events, number),
        false => {
            let meta = &session.meta;
            let cwd = meta.cwd.as_ref().map(PathBuf::from).unwrap_or_default();
            let root = meta.repository.as_ref().map(|repository| PathBuf::from(&repository.root));
            Edits::of_turn(&events, number, &cwd, root.as_deref().unwrap_or(&cwd))
        }
    };
    let edits = edits.ok_or_else(|| {
        let last = events.iter().filter_map(|e| if iterations { e.iter } else { e.turn }).max();
        let what = if iterations { "iteration" } else { "turn" };
        let why = match last {
            Some(last) if last < number => format!("it has {}", line::count(last.into(), what)),
            Some(_) => "no diff of it was kept".to_owned(),
            None => "nobody said anything in it".to_owned(),
        };
        Error::failed(format!("no {what} {number} of {}", session.id.short())).why(why)
    })?;
    let sum = |of: fn(&FileChange) -> Option<u64>| {
        edits.files.iter().filter_map(of).fold(0, u64::saturating_add)
    };
    let notes = doubts(&edits, &format!("turn {number}"));
    let changes = Changes {
        files_count: edits.files.len() as u64,
        plus: sum(|file| file.plus),
        minus: sum(|file| file.minus),
        files: edits.files,
        ..Changes::default()
    };
    show(&changes, edits.diff.into_bytes(), only_stat)?;
    note(&notes);
    Ok(0)
}

/// What is known of a session's changes, or why nothing is.
fn changes(session: &Session) -> Result<&Changes> {
    let cannot = || Error::failed(format!("no changes of {}", session.id.short()));
    match &session.changes {
        Some(Changes { unknown: Some(why), .. }) => Err(cannot().why(line::clean(why))),
        Some(changes) => Ok(changes),
        None if session.meta.imported.is_some() => {
            Err(cannot().why("it was imported, and does not tell of any"))
        }
        None if session.meta.repository.is_none() => {
            Err(cannot().why("it did not begin in a repository"))
        }
        None if session.status == Status::Running => {
            Err(cannot().why("it is running").with_hint("they are known when it has ended"))
        }
        None => Err(cannot().why("nobody took them")),
    }
}

/// A line a file, with as many signs as lines, or fewer of both where there is no room.
fn stat(changes: &Changes) -> Vec<u8> {
    let columns = if screen::is_terminal() { screen::columns() } else { PIPED_COLUMNS };
    let lines = |file: &FileChange| file.plus.unwrap_or(0) + file.minus.unwrap_or(0);
    let most = changes.files.iter().map(lines).max().unwrap_or(0).max(1);
    let number = most.to_string().len();
    let names: Vec<String> = changes.files.iter().map(|file| line::clean(&file.path)).collect();
    let widest = names.iter().map(|name| line::width(name)).max().unwrap_or(0);
    let room = columns.saturating_sub(number + 6);
    let bar = (most.min(BAR_COLUMNS_MAX as u64) as usize).min(room.saturating_sub(widest).max(8));
    let name_columns = widest.min(room.saturating_sub(bar).max(8));
    let (green, red, off) =
        if screen::is_coloured() { ("\x1b[32m", "\x1b[31m", "\x1b[m") } else { ("", "", "") };
    let mut out = String::new();
    for (file, name) in changes.files.iter().zip(&names) {
        let name = line::cut(name, name_columns);
        let pad = " ".repeat(name_columns.saturating_sub(line::width(&name)));
        let (Some(plus), Some(minus)) = (file.plus, file.minus) else {
            let what = if changes.told { "not told" } else { "binary" };
            out.push_str(&format!(" {name}{pad} | {what}\n"));
            continue;
        };
        let signs = |count: u64, sign: &str| {
            let scaled = match most as usize > bar {
                true => (count * bar as u64).div_ceil(most),
                false => count,
            };
            sign.repeat(scaled as usize)
        };
        let total = plus + minus;
        let (plus, minus) = (signs(plus, "+"), signs(minus, "-"));
        out.push_str(&format!(" {name}{pad} | {total:>number$} {green}{plus}{red}{minus}{off}\n"));
    }
    let more = changes.files_count.saturating_sub(changes.files.len() as u64);
    if more > 0 {
        out.push_str(&format!(" and {}\n", line::count(more, "more file")));
    }
    if changes.files_count > 0 {
        out.push_str(&format!(" {}\n", sum(changes)));
    }
    for commit in &changes.commits {
        let id = &commit.id[..commit.id.len().min(10)];
        let subject = line::clean(&commit.subject);
        out.push_str(&format!(
            " commit {id} {}\n",
            line::cut(&subject, columns.saturating_sub(20).max(20))
        ));
    }
    out.into_bytes()
}

/// `3 files changed, 41 insertions(+), 7 deletions(-)`.
fn sum(changes: &Changes) -> String {
    let mut parts = vec![format!("{} changed", line::count(changes.files_count, "file"))];
    for (count, noun, sign) in [(changes.plus, "insertion", '+'), (changes.minus, "deletion", '-')]
    {
        if count > 0 {
            parts.push(format!("{}({sign})", line::count(count, noun)));
        }
    }
    parts.join(", ")
}

/// A diff for a terminal: nothing in it can move the cursor, and lines have the colours git gives
/// them, unless colours are not wanted.
fn fit_for_terminal(diff: &str) -> String {
    let coloured = screen::is_coloured();
    let mut out = String::new();
    let mut in_hunk = false;
    for text in diff.lines() {
        in_hunk = text.starts_with("@@") || in_hunk && !text.starts_with("diff --git ");
        let colour = match text.as_bytes().first() {
            _ if text.starts_with("@@") => "\x1b[36m",
            Some(b'+') if in_hunk => "\x1b[32m",
            Some(b'-') if in_hunk => "\x1b[31m",
            _ if in_hunk => "",
            _ => "\x1b[1m",
        };
        let text = text.split('\t').map(line::clean).collect::<Vec<_>>().join("\t");
        match coloured && !colour.is_empty() {
            true => out.push_str(&format!("{colour}{text}\x1b[m\n")),
            false => out.push_str(&format!("{text}\n")),
        }
    }
    out
}

/// Prints through the pager that git would use, on a terminal; else as it is.
fn page(text: &[u8]) -> Result<()> {
    if !screen::is_terminal() || text.is_empty() {
        return print(text);
    }
    let asked = Process::new("git").args(["var", "GIT_PAGER"]).stderr(Stdio::null()).output();
    let asked = asked.ok().filter(|output| output.status.success());
    let asked = asked.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let pager = asked.or_else(|| env::var("PAGER").ok()).unwrap_or_else(|| "less".to_owned());
    if pager.is_empty() || pager == "cat" {
        return print(text);
    }
    let mut command = Process::new("sh");
    command.args(["-c", &pager]).stdin(Stdio::piped());
    for (name, value) in [("LESS", "FRX"), ("LV", "-c")] {
        if env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    let Ok(mut child) = command.spawn() else { return print(text) };
    if let Some(mut pipe) = child.stdin.take() {
        // Who leaves the pager early has seen enough.
        let _ = pipe.write_all(text);
    }
    match child.wait() {
        Ok(status) if status.code() == Some(127) => print(text),
        _ => Ok(()),
    }
}
