//! `il help`: what `--help` prints, for those who ask in words.

use std::ffi::OsString;

use super::{COMMANDS, print};
use crate::cli::{self, Command, Global, Hint, Operand, Operands};
use crate::error::Result;

/// `il help [CMD]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "help",
    summary: "Explain il, or one of its commands",
    flags: &[],
    shared: &[],
    operands: Operands::Each(
        &[Operand::optional("CMD", Hint::Command, "Command to explain")],
        |args, word| {
            args.command = Some(word);
            Ok(())
        },
    ),
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    command: Option<OsString>,
}

fn run(args: Args, _: &Global) -> Result<u8> {
    let Some(word) = args.command else {
        print(cli::overview(COMMANDS))?;
        return Ok(0);
    };
    let spec = word.to_str().and_then(|name| cli::find(COMMANDS, name));
    print(cli::command_help(spec.ok_or_else(|| cli::unknown_command(&word, COMMANDS))?))?;
    Ok(0)
}
