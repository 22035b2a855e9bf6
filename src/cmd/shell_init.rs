//! `il shell-init`: functions by which a plain `claude` is recorded. Prints, never installs.

use std::os::unix::ffi::OsStrExt;

use super::print;
use crate::agent::AGENTS;
use crate::cli::{Command, Global, Hint, Operand, Operands, Shell};
use crate::error::{Error, Result};

/// `il shell-init bash|zsh|fish`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "shell-init",
    summary: "Print functions that record agents",
    flags: &[],
    shared: &[],
    operands: Operands::Each(
        &[Operand::one("SHELL", Hint::Choice(Shell::NAMES), "Shell that is to have them")],
        |args: &mut Args, word| {
            let shell = word.to_str().and_then(Shell::from_name);
            args.shell =
                Some(shell.ok_or_else(|| format!("not one of {}", Shell::NAMES.join(", ")))?);
            Ok(())
        },
    ),
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    shell: Option<Shell>,
}

/// Programs that run agents and are none.
const HARNESSES: [&str; 2] = ["codeloops", "intendant"];

/// A name that says too little to take it for one agent's.
const TOO_COMMON: &str = "agent";

fn run(args: Args, global: &Global) -> Result<u8> {
    let shell = args.shell.ok_or_else(|| Error::usage("missing SHELL"))?;
    let (template, find) = match shell {
        Shell::Bash => (include_str!("shell_init/il.sh"), "type -P"),
        Shell::Zsh => (include_str!("shell_init/il.sh"), "whence -p"),
        Shell::Fish => (include_str!("shell_init/il.fish"), ""),
    };
    let names = AGENTS.iter().flat_map(|agent| agent.programs).chain(&HARNESSES);
    let names: Vec<&str> = names.copied().filter(|name| *name != TOO_COMMON).collect();
    let mut home = Vec::new();
    if let Some(dir) = &global.home {
        home.extend(b" --home ");
        home.extend(quoted(shell, dir.as_bytes()));
    }
    let text = template.replace("@FIND@", find).replace("@AGENTS@", &names.join(" "));
    // The directory goes in last: nothing in its name is a hole.
    let (before, after) = text.split_once("@HOME@").unwrap_or((&text, ""));
    print([before.as_bytes(), &home, after.as_bytes()].concat())?;
    Ok(0)
}

/// A word in single quotes.
fn quoted(shell: Shell, word: &[u8]) -> Vec<u8> {
    let mut out = b"'".to_vec();
    for byte in word {
        match (shell, byte) {
            (Shell::Fish, b'\'' | b'\\') => out.extend([b'\\', *byte]),
            (_, b'\'') => out.extend(b"'\\''"),
            (_, byte) => out.push(*byte),
        }
    }
    out.push(b'\'');
    out
}
