//! The subcommands, one file each, and the program's way in.

mod answer;
mod ask;
mod approvals;
mod attach;
mod backup;
mod compact;
mod completion;
mod diff;
mod du;
mod dump;
mod event;
mod export;
mod filter;
mod frames;
mod help;
mod history;
mod home;
mod import;
mod last;
mod list;
mod moment;
mod mark;
mod pick;
mod pin;
mod play;
mod progress;
mod prune;
mod recordings;
mod rederive;
mod resume;
mod rm;
mod run;
mod scan;
mod screen;
mod scrub;
mod search;
mod shell_init;
mod show;
mod stats;
mod tail;
mod stage;
mod verify;
mod vt;
mod why;

use std::io::{self, Write};
use std::process::ExitCode;

use crate::cli::{self, Request, Section};
use crate::error::{Class, Error, Result};
use crate::event::Evidence;

/// The `v` of the objects that `--json` prints. It rises when a member is renamed, goes away, or
/// means something else; events have a version of their own.
const JSON_VERSION: u64 = 1;

/// Every command, in the order of the documentation.
pub const COMMANDS: &[Section] = &[
    Section { title: "Record", commands: &[&run::COMMAND] },
    Section {
        title: "Look",
        commands: &[
            &last::COMMAND,
            &show::COMMAND,
            &list::COMMAND,
            &dump::COMMAND,
            &search::COMMAND,
            &play::COMMAND,
            &diff::COMMAND,
            &why::COMMAND,
            &stats::COMMAND,
            &attach::COMMAND,
            &tail::COMMAND,
            &approvals::COMMAND,
            &frames::COMMAND,
        ],
    },
    Section {
        title: "Take along",
        commands: &[&export::COMMAND, &import::COMMAND, &backup::COMMAND],
    },
    Section {
        title: "Keep house",
        commands: &[
            &rm::COMMAND,
            &prune::COMMAND,
            &pin::COMMAND,
            &compact::COMMAND,
            &verify::COMMAND,
            &du::COMMAND,
            &rederive::COMMAND,
            &scan::COMMAND,
            &scrub::COMMAND,
        ],
    },
    Section {
        title: "Inside a session",
        commands: &[&mark::COMMAND, &event::COMMAND, &ask::COMMAND, &answer::COMMAND],
    },
    Section { title: "Go on", commands: &[&resume::COMMAND] },
    Section {
        title: "Also",
        commands: &[&help::COMMAND, &completion::COMMAND, &shell_init::COMMAND, &vt::COMMAND],
    },
];

/// Runs the command that the process's arguments name.
pub(crate) fn main() -> ExitCode {
    let (command, result) = match cli::request(std::env::args_os().skip(1), COMMANDS) {
        Ok(Request::Overview) => (None, print(cli::overview(COMMANDS)).map(|()| 0)),
        Ok(Request::Version) => (None, print(version()).map(|()| 0)),
        Ok(Request::Help(spec)) => (Some(spec.name()), print(cli::command_help(spec)).map(|()| 0)),
        Ok(Request::Run(name, work)) => (Some(name), work()),
        Err((name, error)) => (name, Err(error)),
    };
    ExitCode::from(result.unwrap_or_else(|error| {
        complain(command, &error);
        error.exit_code()
    }))
}

fn version() -> String {
    format!("il {}\n", env!("CARGO_PKG_VERSION"))
}

/// A session id as it was typed.
pub(crate) fn id(word: std::ffi::OsString) -> std::result::Result<String, String> {
    word.into_string().map_err(|_| "not a session id".to_owned())
}

/// A value that must be text.
pub(crate) fn text(value: std::ffi::OsString) -> std::result::Result<String, String> {
    value.into_string().map_err(|_| "not UTF-8".to_owned())
}

/// The place that `STREAM:OFFSET+LENGTH` names.
pub(crate) fn span(word: &str) -> Option<Evidence> {
    let (stream, numbers) = word.rsplit_once(':')?;
    let (offset, len) = numbers.split_once('+')?;
    let (offset, len) = (offset.parse().ok()?, len.parse().ok()?);
    Some(Evidence { stream: stream.to_owned(), offset, len })
}

/// Writes to standard output, all of it, or says why not.
pub(crate) fn print(text: impl AsRef<[u8]>) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_ref())
        .and_then(|()| out.flush())
        .map_err(|e| Error::io("cannot write to standard output", &e))
}

/// Tells the error on standard error; if that fails too, nobody is left to tell.
fn complain(command: Option<&str>, error: &Error) {
    if error.class() == Class::BrokenPipe {
        return;
    }
    let who = command.map_or("il".to_owned(), |name| format!("il {name}"));
    let hint = error.hint().map_or(String::new(), |hint| format!("hint: {hint}\n"));
    let _ = io::stderr().write_all(format!("{who}: {error}\n{hint}").as_bytes());
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_command_is_well_formed() {
        crate::cli::check::table(super::COMMANDS);
    }
}
