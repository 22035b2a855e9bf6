//! `il completion`: a script that teaches a shell il's commands and options. Prints, never
//! installs. The scripts ask it in turn for words that are in the store.

use std::collections::BTreeSet;

use super::{COMMANDS, home, print};
use crate::cli::{self, Command, Global, Hint, Operand, Operands, Shell};
use crate::error::{Error, Result};
use crate::format::line;
use crate::library::{Library, STREAMS, Session};
use crate::session::Filter;

/// `il completion bash|zsh|fish`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "completion",
    summary: "Print a completion script for a shell",
    flags: &[],
    shared: &[],
    operands: Operands::Each(
        &[Operand::one("SHELL", Hint::Choice(Shell::NAMES), "Shell to complete in")],
        |args: &mut Args, word| {
            let word = word.to_str().unwrap_or_default();
            args.kind = cli::KINDS.iter().find(|kind| **kind == word).copied();
            args.shell = Shell::from_name(word);
            match (args.shell, args.kind) {
                (None, None) => Err(format!("not one of {}", Shell::NAMES.join(", "))),
                _ => Ok(()),
            }
        },
    ),
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    shell: Option<Shell>,
    /// Words of this kind are wanted, one of [`cli::KINDS`].
    kind: Option<&'static str>,
}

/// The newest sessions that are offered.
const SESSIONS_MAX: usize = 100;

/// The newest sessions in which tags and projects are looked for.
const LOOKED_AT_MAX: usize = 500;

/// Columns of the words that tell one session from another.
const COMMAND_COLUMNS: usize = 50;

fn run(args: Args, global: &Global) -> Result<u8> {
    match (args.shell, args.kind) {
        (Some(shell), _) => print(cli::script(shell, COMMANDS))?,
        (None, Some(kind)) => print(words(kind, global)?)?,
        (None, None) => return Err(Error::usage("missing SHELL")),
    }
    Ok(0)
}

/// The words of a kind, a line each: the word, and after a tab what it stands for.
fn words(kind: &str, global: &Global) -> Result<String> {
    let library = Library::open(&home::dir(global)?);
    let all = Filter::default();
    let words: Vec<String> = match kind {
        "streams" => {
            let newest = library.and_then(|library| Ok((library.find(None)?, library)));
            match newest {
                Ok((session, library)) => library.stream_names(&session),
                Err(_) => STREAMS.iter().map(|name| (*name).to_owned()).collect(),
            }
        }
        "sessions" => {
            let library = library?;
            library.listed(&all, false)?.take(SESSIONS_MAX).map(|s| described(&s)).collect()
        }
        "tags" => {
            let library = library?;
            distinct(library.listed(&all, false)?.take(LOOKED_AT_MAX).flat_map(|s| s.meta.tags))
        }
        _ => {
            let library = library?;
            distinct(library.listed(&all, false)?.take(LOOKED_AT_MAX).filter_map(|s| s.project()))
        }
    };
    // A word that cannot stand in a line is none that can be typed.
    let lines = words.iter().filter(|word| !word.is_empty() && !word.contains('\n'));
    Ok(lines.map(|word| format!("{word}\n")).collect())
}

fn described(session: &Session) -> String {
    let prompt = session.meta.imported.as_ref().and_then(|imported| imported.prompt.as_deref());
    let command = prompt.map_or_else(|| line::words(&session.meta.argv), line::clean);
    let command = line::cut(&command, COMMAND_COLUMNS);
    let status = session.status.name();
    format!("{}\t{} {status} {command}", session.id.short(), session.meta.started.local())
}

fn distinct(words: impl Iterator<Item = String>) -> Vec<String> {
    let words: BTreeSet<String> = words.collect();
    words.into_iter().filter(|word| !word.contains(char::is_control)).collect()
}
