//! One line on standard error that says how far long work has come; only where a person sees it.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::store::Progress;

/// Work that is done sooner shows no line.
const FIRST: Duration = Duration::from_millis(300);

/// Time between two versions of the line.
const STEP: Duration = Duration::from_millis(100);

/// The line. Gone from the terminal when it is dropped.
#[derive(Debug)]
pub(super) struct Line {
    command: &'static str,
    terminal: bool,
    due: Instant,
    shown: bool,
}

impl Line {
    /// A line for a command of il's, not yet shown.
    pub(super) fn new(command: &'static str) -> Line {
        let terminal = io::stderr().is_terminal();
        Line { command, terminal, due: Instant::now() + FIRST, shown: false }
    }

    /// The work has come this far.
    pub(super) fn at(&mut self, progress: Progress) {
        if self.terminal && Instant::now() >= self.due {
            self.due = Instant::now() + STEP;
            self.shown = true;
            write(&format!("\r{}\x1b[K", text(self.command, progress)));
        }
    }

    /// Takes the line from the terminal, so that something else can be printed; it comes again.
    pub(super) fn hide(&mut self) {
        if std::mem::take(&mut self.shown) {
            write("\r\x1b[K");
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.hide();
    }
}

fn text(command: &str, Progress { done, total }: Progress) -> String {
    let percent = u128::from(done) * 100 / u128::from(total.max(1));
    format!("il {command}: {}%", percent.min(100))
}

/// Nothing depends on whether anybody sees it.
fn write(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_a_percentage_whatever_the_numbers() {
        for (done, total, want) in [
            (0, 0, "il x: 0%"),
            (1, 3, "il x: 33%"),
            (3, 3, "il x: 100%"),
            (9, 3, "il x: 100%"),
            (u64::MAX, u64::MAX, "il x: 100%"),
        ] {
            assert_eq!(text("x", Progress { done, total }), want);
        }
    }
}
