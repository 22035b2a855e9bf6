//! What a session was, in the rows beside the list.

use std::io::{self, Write};

use crate::format::line;
use crate::library::{Library, Session};
use crate::sys::time;
use crate::term::{Format, Options};
use crate::time::duration;

/// Bytes of a conversation that a preview takes.
pub(super) const PREVIEW_LEN_MAX: usize = 16 * 1024;

/// What is shown of a session beside the list: cleaned lines of any width.
#[derive(Debug, Default)]
pub(super) struct Preview {
    pub(super) head: Vec<String>,
    pub(super) body: Vec<String>,
    /// The end of the body matters, as of a screen; else its beginning.
    pub(super) is_tail: bool,
}

impl Preview {
    pub(super) fn of(library: &Library, session: &Session) -> Preview {
        let meta = &session.meta;
        let mut head = Vec::new();
        let mut say =
            |name: &str, value: &str| head.push(format!("{name}: {}", line::clean(value)));
        say("Session", &session.id.short());
        if let Some(intent) = &meta.intent {
            say("Intent", intent.title.as_deref().unwrap_or(&intent.id));
        }
        let lasted = session.duration_us(time::wall().unix_us).map(duration);
        let lasted = lasted.map_or_else(String::new, |lasted| format!(" ({lasted})"));
        say("Status", &format!("{}{lasted}", session.status.name()));
        say("Started", &meta.started.local());
        say("Command", &line::words(&meta.argv));
        if let Some(cwd) = &meta.cwd {
            say("Directory", &cwd.to_string_lossy());
        }
        if let Some(changes) = session.changes.as_ref().filter(|c| c.files_count > 0) {
            let files = line::count(changes.files_count, "file");
            say("Changes", &format!("{files}, +{} -{}", changes.plus, changes.minus));
        }
        let turns = meta.derived.as_ref().map_or(0, |derived| derived.counts.turns);
        if turns > 0 {
            say("Turns", &turns.to_string());
        }
        let is_tail = turns == 0;
        let text = if is_tail { last_screen(library, session) } else { chat(library, session) };
        let body = text.lines().map(line::clean).collect();
        Preview { head, body, is_tail }
    }

    /// So many rows of so many columns, or fewer.
    pub(super) fn rows(&self, cols: usize, rows: usize) -> Vec<String> {
        let wrap_all = |lines: &[String]| -> Vec<String> {
            lines.iter().flat_map(|text| wrap(text, cols)).collect()
        };
        let mut out: Vec<String> = self.head.iter().map(|text| line::cut(text, cols)).collect();
        let mut body = wrap_all(&self.body);
        while body.last().is_some_and(|text| text.trim().is_empty()) {
            body.pop();
        }
        if !body.is_empty() {
            out.push(String::new());
        }
        let room = rows.saturating_sub(out.len());
        let from = if self.is_tail { body.len().saturating_sub(room) } else { 0 };
        out.extend(body.drain(from..));
        out.truncate(rows);
        out
    }
}

/// A cleaned line in pieces of at most so many columns, broken at blanks where there are some.
pub(super) fn wrap(text: &str, cols: usize) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = text.trim_end();
    while line::width(rest) > cols {
        let mut end = 0;
        for (at, c) in rest.char_indices() {
            if line::width(&rest[..at + c.len_utf8()]) > cols {
                break;
            }
            end = at + c.len_utf8();
        }
        // A character that is wider than all the room is taken all the same, and cut.
        let first = rest.chars().next().map_or(1, char::len_utf8);
        let end = rest[..end].rfind(' ').map_or(end, |at| at + 1).max(first);
        out.push(line::cut(rest[..end].trim_end(), cols));
        rest = &rest[end..];
    }
    if out.is_empty() || !rest.is_empty() {
        out.push(rest.to_owned());
    }
    out
}

/// Takes the first bytes that are written, and then no more.
#[derive(Default)]
pub(super) struct Head(pub(super) Vec<u8>);

impl Write for Head {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(PREVIEW_LEN_MAX - self.0.len());
        self.0.extend_from_slice(&bytes[..len]);
        // Nothing taken is an error for who writes, which ends it.
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How the conversation begins.
fn chat(library: &Library, session: &Session) -> String {
    let mut head = Head::default();
    // An error says that there is more than what was taken.
    let _ = library.copy(session, "chat", &mut head);
    String::from_utf8_lossy(&head.0).into_owned()
}

/// The last screen, drawn from the end of what was written.
fn last_screen(library: &Library, session: &Session) -> String {
    let mut ring = Vec::new();
    if library.copy(session, "ring", &mut ring).is_err() {
        return String::new();
    }
    let mut terminal = session.terminal(Options { history_rows: 0, ..Options::default() });
    terminal.feed(&ring);
    terminal.screen().render(Format::Text, 0)
}
