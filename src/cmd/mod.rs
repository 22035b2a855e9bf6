//! The subcommands, one file each, and the program's way in.

use std::process::ExitCode;

/// Runs the command that the process's arguments name.
pub(crate) fn main() -> ExitCode {
    ExitCode::SUCCESS
}
