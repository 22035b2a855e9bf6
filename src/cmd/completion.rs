//! `il completion`: a script that teaches a shell il's commands and options. Prints, never
//! installs.

use super::{COMMANDS, print};
use crate::cli::{self, Command, Global, Hint, Operand, Operands, Shell};
use crate::error::{Error, Result};

/// `il completion bash|zsh|fish`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "completion",
    summary: "Print a completion script for a shell",
    flags: &[],
    shared: &[],
    operands: Operands::Each(
        &[Operand::one("SHELL", Hint::Choice(Shell::NAMES), "Shell to complete in")],
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

fn run(args: Args, _: &Global) -> Result<u8> {
    let shell = args.shell.ok_or_else(|| Error::usage("missing SHELL"))?;
    print(cli::script(shell, COMMANDS))?;
    Ok(0)
}
