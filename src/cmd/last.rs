//! `il last`: `il show` of the newest session.

use super::show::{self, Args};
use crate::cli::{Command, Operands};

/// `il last [--json]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "last",
    summary: "Show what happened in the newest session",
    flags: show::FLAGS,
    shared: &[],
    operands: Operands::Refuse,
    run: show::last,
};
