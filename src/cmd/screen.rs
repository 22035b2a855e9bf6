//! What a command's output goes to: a terminal, which may be coloured and is aligned, or not.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use crate::sys::tty;

/// Columns of a terminal that does not say how many it has.
const COLUMNS_DEFAULT: usize = 80;

/// Whether standard output is a terminal.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// The columns of the terminal that standard output is.
pub(super) fn columns() -> usize {
    match tty::size(io::stdout().as_fd()) {
        Ok(size) if size.cols > 0 => usize::from(size.cols),
        _ => COLUMNS_DEFAULT,
    }
}
