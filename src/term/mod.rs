//! The terminal engine: bytes in, screens and settled text out. No I/O; it cannot fail.
//!
//! [`Terminal`] is fed the bytes a program wrote and holds the screen they make. The result does
//! not depend on how the bytes are cut, and memory is bounded whatever they are. An [`Observer`]
//! hears what happens on the way. [`Transcript`](transcript::Transcript) turns that into the text
//! a person saw.
//!
//! Behaviour is xterm.js's, but for these: saved cursors keep the pending wrap (as xterm does);
//! each maximal invalid part of UTF-8 shows U+FFFD; DEC graphics `_` is blank; SU in a region that
//! begins at the top feeds the history as LF does.

mod align;
mod csi;
mod entry;
mod filter;
mod grid;
mod history;
mod osc;
mod paint;
mod parse;
mod print;
mod render;
mod reply;
mod resize;
mod screen;
mod snapshot;
pub mod steps;
mod style;
pub mod transcript;
mod width;
mod width_table;
mod wording;

pub use filter::Filter;
pub use grid::{CLUSTER_CHARS_MAX, CLUSTERS_MAX, Stamp};
pub use history::HISTORY_BYTES_MAX;
pub use osc::{LINK_CHARS_MAX, TITLE_CHARS_MAX};
pub use paint::{Painter, push_row};
pub use parse::{CSI_LEN_MAX, STRING_LEN_MAX};
pub use render::{Format, StyledRun};
pub(crate) use render::{palette, push_html, push_html_text};
pub use reply::REPLIES_LEN_MAX;
pub use screen::{Clear, Event, Observer, Screen};
pub use style::{Color, ColorKind, LINK_BYTES_MAX, LINKS_MAX, Link, Pen, STYLES_MAX};
pub use width::{WidthMode, char_width, text_width};

/// Most columns, and most rows, of a screen; a larger size counts as this.
pub const SIZE_MAX: u16 = 2000;

/// The size of a terminal window in cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Cells a row.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
}

impl Size {
    /// Reads `COLSxROWS`.
    pub fn parse(text: &str) -> Option<Size> {
        let (cols, rows) = text.split_once('x')?;
        Some(Size { cols: cols.parse().ok()?, rows: rows.parse().ok()? })
            .filter(|size| size.cols > 0 && size.rows > 0)
    }

    /// A size of `cols` columns and `rows` rows.
    pub const fn new(cols: u16, rows: u16) -> Size {
        Size { cols, rows }
    }

    /// This size, within 1 and [`SIZE_MAX`] each way.
    fn clamped(self) -> Size {
        Size { cols: self.cols.clamp(1, SIZE_MAX), rows: self.rows.clamp(1, SIZE_MAX) }
    }
}

/// What a terminal is like, apart from its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How characters are measured.
    pub width: WidthMode,
    /// Rows of history kept, within [`HISTORY_BYTES_MAX`] bytes.
    pub history_rows: usize,
    /// `ESC k title ESC \` sets the title, as under tmux and screen; else `title` is printed.
    pub screen_titles: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { width: WidthMode::Cluster, history_rows: 10_000, screen_titles: false }
    }
}

/// What a terminal of `size` shows after `bytes`, printed as `format`: the newest `history` rows
/// that scrolled off, then the screen.
pub fn show(bytes: &[u8], size: Size, options: Options, format: Format, history: usize) -> String {
    let mut terminal = Terminal::new(size, Options { history_rows: history, ..options });
    terminal.feed(bytes);
    terminal.screen().render(format, history)
}

/// A terminal: a parser and the screen it writes on.
#[derive(Clone, Debug)]
pub struct Terminal {
    parser: parse::Parser,
    screen: Screen,
}

impl Terminal {
    /// A blank terminal.
    pub fn new(size: Size, options: Options) -> Terminal {
        Terminal { parser: parse::Parser::default(), screen: Screen::new(size, options) }
    }

    /// Takes bytes the program wrote.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.feed_with(bytes, &mut ());
    }

    /// Takes bytes the program wrote; `observer` hears what happens.
    pub fn feed_with<O: Observer>(&mut self, bytes: &[u8], observer: &mut O) {
        self.parser.feed(bytes, &mut self.screen, observer);
    }

    /// The time that what is fed from here on happens at: only stamped on, never acted upon.
    pub fn set_time(&mut self, time_us: u64) {
        self.screen.set_time(time_us);
    }

    /// Changes the window's size. Lines of the main screen that were wrapped by the terminal are
    /// wrapped anew; the alternate screen is cut or padded.
    pub fn resize(&mut self, size: Size) {
        self.screen.resize(size);
    }

    /// The screen as it stands.
    pub fn screen(&self) -> &Screen {
        &self.screen
    }

    /// The answers that the program's questions call for since the last call. To be written to
    /// the program where no other terminal answers it. At most [`REPLIES_LEN_MAX`] bytes wait.
    pub fn take_replies(&mut self) -> Vec<u8> {
        self.screen.take_replies()
    }

    /// Bytes that bring a fresh terminal of the same size and options into this state, the middle
    /// of an unfinished sequence included. History is not part of it.
    pub fn keyframe(&self) -> Vec<u8> {
        let mut out = self.screen.snapshot();
        self.parser.push_continuation(&mut out);
        out
    }

    /// Bytes that, fed to a fresh terminal of the same size before a keyframe, leave it the newest
    /// `rows_max` rows of the history.
    pub fn history_keyframe(&self, rows_max: usize) -> Vec<u8> {
        self.screen.history_snapshot(rows_max)
    }

    /// A terminal restored from [`Terminal::keyframe`], as if `offset` bytes had been fed by
    /// `time_us`.
    pub fn restore(size: Size, options: Options, keyframe: &[u8], stamp: Stamp) -> Terminal {
        let mut terminal = Terminal::new(size, options);
        terminal.feed(keyframe);
        terminal.parser.set_offset(stamp.offset);
        terminal.set_time(stamp.time_us);
        terminal.screen.take_replies();
        terminal
    }

    /// Panics unless the state is one that can be: for tests.
    #[doc(hidden)]
    pub fn check(&self) {
        self.screen.check();
    }

    /// An upper estimate of the memory held, in bytes: for tests.
    #[doc(hidden)]
    pub fn bytes_held(&self) -> usize {
        self.parser.bytes_held() + self.screen.bytes_held()
    }
}
