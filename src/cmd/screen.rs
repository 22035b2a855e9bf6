//! What a command's output goes to: a terminal, which may be coloured and is aligned, or not.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use crate::error::Result;
use crate::format::line;
use crate::sys::tty;

/// Columns of a terminal that does not say how many it has.
const COLUMNS_DEFAULT: usize = 80;

/// Bytes of text that are written at once.
pub(super) const PIECE_LEN: usize = 64 * 1024;

/// Whether standard output is a terminal.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard output may be coloured (<https://no-color.org>).
pub(super) fn is_coloured() -> bool {
    is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The columns of the terminal that standard output is.
pub(super) fn columns() -> usize {
    match tty::size(io::stdout().as_fd()) {
        Ok(size) if size.cols > 0 => usize::from(size.cols),
        _ => COLUMNS_DEFAULT,
    }
}

/// Prints rows of cells that are fit for a terminal: aligned on one, else as tab-separated values.
pub(super) fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<()> {
    let headings = headings.iter().map(|heading| (*heading).to_owned()).collect();
    let rows = std::iter::once(headings).chain(rows);
    if is_terminal() {
        return super::print(line::table(&rows.collect::<Vec<_>>(), columns()));
    }
    let mut out = String::new();
    for row in rows {
        out.push_str(&row.join("\t"));
        out.push('\n');
        if out.len() >= PIECE_LEN {
            super::print(std::mem::take(&mut out))?;
        }
    }
    super::print(out)
}

/// A number of bytes: `18.7 KiB` for a person, every byte for a program.
pub(super) fn bytes(bytes: u64) -> String {
    if is_terminal() { line::size(bytes) } else { bytes.to_string() }
}
