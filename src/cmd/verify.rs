//! `il verify`: whether the store is whole, what is missing where, and putting it in order.

use std::path::Path;

use super::progress::Line;
use super::{home, print};
use crate::cli::{Command, Flag, Global, Operands};
use crate::error::{Error, Result};
use crate::format::line;
use crate::session::SessionId;
use crate::store::{self, Access, Chain, Problem, Report, Store};
use crate::sys::time;

/// `il verify [--repair]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "verify",
    summary: "Check every page of the store",
    flags: &[Flag::switch(
        "repair",
        "Save what can be read into a new store, keep the old file",
        |args: &mut Args| args.repair = true,
    )],
    shared: &[],
    operands: Operands::Refuse,
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    repair: bool,
}

fn run(args: Args, global: &Global) -> Result<u8> {
    let dir = home::dir(global)?;
    match Store::open(&dir, Access::Read) {
        Ok(store) => {
            let mut progress = Line::new("verify");
            let report = store.verify(&mut |p| progress.at(p))?;
            drop(progress);
            print(findings(&report))?;
            if report.problem_count == 0 {
                print(whole(&store, &report))?;
                return Ok(0);
            }
            if !args.repair {
                return Err(damaged(&store, &report));
            }
        }
        // A store that cannot even be opened may still have sound pages.
        Err(_) if args.repair => {}
        Err(error) => return Err(error),
    }
    repair(&dir)
}

fn whole(store: &Store, report: &Report) -> String {
    let mut sessions = line::count(report.sessions, "session");
    match report.annexes {
        0 => {}
        1 => sessions.push_str(", 1 annex"),
        n => sessions.push_str(&format!(", {} annexes", line::thousands(n))),
    }
    let mut out = format!(
        "{}: whole: {sessions}, {}, {}\n",
        store.path().display(),
        line::count(report.pages, "page"),
        line::size(report.bytes),
    );
    if report.orphans > 0 {
        let orphans = line::count(report.orphans, "page");
        out.push_str(&format!("{orphans} of no session; 'il compact' gives their room back\n"));
    }
    out
}

fn damaged(store: &Store, report: &Report) -> Error {
    let places = line::count(report.problem_count, "place");
    Error::failed(format!("{} is damaged", store.path().display()))
        .why(format!("in {places}"))
        .with_hint("'il verify --repair' saves what can be read, and keeps the damaged file")
}

/// A line for each problem.
fn findings(report: &Report) -> String {
    let mut out: String = report.problems.iter().map(finding).collect();
    let more = report.problem_count.saturating_sub(report.problems.len() as u64);
    if more > 0 {
        out.push_str(&format!("and {} more\n", line::thousands(more)));
    }
    out
}

fn finding(problem: &Problem) -> String {
    let session = |id: &[u8; 16]| format!("session {}", SessionId(*id).short());
    match problem {
        Problem::Status { id } => {
            format!("{}: how it ended cannot be read; it counts as lost\n", session(id))
        }
        Problem::Frames { id, chain, from_us, to_us, bytes } => {
            let chain = match chain {
                Chain::Tape => "tape",
                Chain::Notes => "notes",
            };
            let to = to_us.map_or("the end".to_owned(), offset);
            let what = match bytes {
                0 => "records missing".to_owned(),
                bytes => format!("{} missing", line::bytes(*bytes)),
            };
            format!("{}: {chain}: {} to {to}: {what}\n", session(id), offset(*from_us))
        }
        other => format!("{other}\n"),
    }
}

/// A time within a session, as commands take it: `+12.003s`.
fn offset(us: u64) -> String {
    format!("+{}.{:03}s", us / 1_000_000, us / 1000 % 1000)
}

fn repair(dir: &Path) -> Result<u8> {
    let stamp = &time::wall().local()[..10];
    let mut progress = Line::new("verify");
    let repaired = store::repair(dir, stamp, &mut |p| progress.at(p))?;
    drop(progress);
    let copied = &repaired.copied;
    let out = format!(
        "Repaired: {}, {} saved, {} missing\nThe damaged file is {}\n",
        line::count(copied.sessions, "session"),
        line::size(copied.bytes),
        line::bytes(copied.missing),
        repaired.kept.display(),
    );
    print(out)?;
    Ok(0)
}
