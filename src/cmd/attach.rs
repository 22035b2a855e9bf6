//! `il attach`: look at a session's screen.

use super::{home, print, screen};
use crate::cli::{Command, Global, Hint, Operand, Operands};
use crate::error::Result;
use crate::library::Library;
use crate::term::{Format, Options, Terminal};

/// `il attach [ID]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "attach",
    summary: "Look at a session's screen, live",
    flags: &[],
    shared: &[],
    operands: Operands::Each(
        &[Operand::optional("ID", Hint::Session, "Session, the newest if left out")],
        |args: &mut Args, word| {
            args.id = Some(super::id(word)?);
            Ok(())
        },
    ),
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    id: Option<String>,
}

/// Rows shown above the last screen: what the ring still holds.
const HISTORY_ROWS: usize = 1000;

fn run(args: Args, global: &Global) -> Result<u8> {
    let library = Library::open(&home::dir(global)?)?;
    let session = library.find(args.id.as_deref())?;
    let mut ring = Vec::new();
    library.copy(&session, "ring", &mut ring)?;
    let options = Options { history_rows: HISTORY_ROWS, ..Options::default() };
    let mut terminal = Terminal::new(session.size(), options);
    terminal.feed(&ring);
    // The engine's own rendering: nothing of the recording but its text and colours gets out.
    let format = if screen::is_terminal() { Format::Ansi } else { Format::Text };
    let mut text = terminal.screen().render(format, HISTORY_ROWS);
    text.truncate(text.trim_end_matches('\n').len());
    text.push('\n');
    print(text)?;
    Ok(0)
}
