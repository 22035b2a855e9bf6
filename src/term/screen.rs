//! The screen: cursor, pen, modes, margins, and what printing, erasing and scrolling do to them.

use super::grid::{Cell, ClusterTable, Grid, Row, Stamp};
use super::history::History;
use super::style::{LinkTable, Pen, StyleTable};
use super::{Options, Size};

/// Modes as bits of one word.
pub(super) mod mode {
    pub(in crate::term) const INSERT: u32 = 1;
    pub(in crate::term) const LINEFEED: u32 = 1 << 1;
    pub(in crate::term) const APP_CURSOR: u32 = 1 << 2;
    pub(in crate::term) const ORIGIN: u32 = 1 << 3;
    pub(in crate::term) const AUTOWRAP: u32 = 1 << 4;
    pub(in crate::term) const CURSOR: u32 = 1 << 5;
    pub(in crate::term) const APP_KEYPAD: u32 = 1 << 6;
    pub(in crate::term) const SYNC: u32 = 1 << 7;

    /// Private modes by number: state, whose effect is the viewer's.
    pub(in crate::term) const PRIVATE: &[(u16, u32)] = &[
        (1, APP_CURSOR),
        (6, ORIGIN),
        (7, AUTOWRAP),
        (9, 1 << 8),
        (12, 1 << 9),
        (25, CURSOR),
        (66, APP_KEYPAD),
        (1000, 1 << 10),
        (1002, 1 << 11),
        (1003, 1 << 12),
        (1004, 1 << 13),
        (1005, 1 << 14),
        (1006, 1 << 15),
        (1007, 1 << 16),
        (1015, 1 << 17),
        (1016, 1 << 18),
        (2004, 1 << 19),
        (2026, SYNC),
        (2027, 1 << 20),
        (2031, 1 << 21),
        (2048, 1 << 22),
    ];

    pub(in crate::term) const DEFAULT: u32 = AUTOWRAP | CURSOR;

    pub(in crate::term) fn private(number: u16) -> Option<u32> {
        PRIVATE.iter().find(|(n, _)| *n == number).map(|(_, bit)| *bit)
    }
}

/// What was, or is about to be, cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clear {
    /// The whole screen: ED 2, or ED 0 from the top left corner.
    Screen,
    /// The history: ED 3.
    History,
    /// Everything: RIS.
    Reset,
}

/// Something a program told the terminal, apart from what to show. Texts hold no control
/// characters and have a limit, and are otherwise not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// About to clear: what a person saw is still there to look at.
    Clear(Clear),
    /// About to change to the alternate screen (true) or back (false).
    Alternate(bool),
    /// A frame begins (true) or is complete (false): mode 2026.
    Sync(bool),
    /// OSC 0 and 2.
    Title(&'a str),
    /// OSC 7, and OSC 1337 CurrentDir: a URL or path.
    WorkingDirectory(&'a str),
    /// BEL.
    Bell,
    /// OSC 9, OSC 777 notify: title (may be empty) and text.
    Notify(&'a str, &'a str),
    /// OSC 9;4: state (0 none, 1 normal, 2 error, 3 busy, 4 paused) and percent.
    Progress(u8, u8),
    /// OSC 133: the letter, and the exit status that D may carry.
    Mark(char, Option<i32>),
    /// OSC 52 set the clipboard, to so many bytes of base64. They are not kept.
    Clipboard(usize),
}

/// Hears what happens while a terminal is fed. The unit type hears nothing.
pub trait Observer {
    /// Something happened, or for the events that say so, is about to.
    fn event(&mut self, screen: &Screen, event: Event<'_>) {
        let _ = (screen, event);
    }

    /// The top row of the main screen is about to leave it for the history.
    fn row_leaves(&mut self, screen: &Screen) {
        let _ = screen;
    }
}

impl Observer for () {}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    pub x: usize,
    pub y: usize,
    /// The last column has been filled: the next character goes to the next row.
    pub pending: bool,
}

/// Character sets by the final of their designation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Charsets {
    pub sets: [u8; 4],
    /// Which of them is in use.
    pub active: usize,
}

impl Charsets {
    pub(super) const DEFAULT: Charsets = Charsets { sets: [b'B'; 4], active: 0 };

    pub(super) fn current(self) -> u8 {
        self.sets[self.active]
    }
}

/// What DECSC saves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Saved {
    pub cursor: Cursor,
    pub pen: Pen,
    pub charsets: Charsets,
    pub origin: bool,
}

impl Saved {
    pub(super) const DEFAULT: Saved = Saved {
        cursor: Cursor { x: 0, y: 0, pending: false },
        pen: Pen {
            fg: super::Color::DEFAULT,
            bg: super::Color::DEFAULT,
            underline_color: super::Color::DEFAULT,
            attrs: 0,
            link: 0,
        },
        charsets: Charsets::DEFAULT,
        origin: false,
    };
}

/// Most entries of the title stack.
pub(super) const TITLE_STACK_MAX: usize = 10;
/// Most entries of each keyboard stack.
pub(super) const KEY_STACK_MAX: usize = 16;

/// The state of a terminal's screen.
#[derive(Clone, Debug)]
pub struct Screen {
    pub(super) options: Options,
    pub(super) grid: Grid,
    /// The screen that is not shown.
    pub(super) hidden: Grid,
    pub(super) alternate: bool,
    pub(super) cursor: Cursor,
    pub(super) top: usize,
    pub(super) bottom: usize,
    pub(super) pen: Pen,
    /// The number of `pen`, unless stale.
    pub(super) style: u16,
    pub(super) style_stale: bool,
    pub(super) modes: u32,
    pub(super) charsets: Charsets,
    /// Printing ASCII is more than filling cells: insert mode or another character set.
    pub(super) print_slow: bool,
    /// The last action printed, so REP and joining characters know what they follow.
    pub(super) run: bool,
    pub(super) tabs: Vec<bool>,
    /// Saved cursors of the main and the alternate screen.
    pub(super) saved: [Saved; 2],
    pub(super) history: History,
    pub(super) clusters: ClusterTable,
    pub(super) styles: StyleTable,
    pub(super) links: LinkTable,
    pub(super) title: String,
    pub(super) title_stack: Vec<String>,
    pub(super) key_flags: [Vec<u8>; 2],
    pub(super) modify_keys: u8,
    pub(super) cursor_style: u8,
    pub(super) replies: Vec<u8>,
    pub(super) stamp: Stamp,
    /// Styles asked for since the table was found full of live ones.
    refused: u32,
}

impl Screen {
    pub(super) fn new(size: Size, options: Options) -> Screen {
        let size = size.clamped();
        let (cols, rows) = (usize::from(size.cols), usize::from(size.rows));
        Screen {
            options,
            grid: Grid::new(cols, rows),
            hidden: Grid::new(cols, rows),
            alternate: false,
            cursor: Cursor::default(),
            top: 0,
            bottom: rows - 1,
            pen: Pen::default(),
            style: 0,
            style_stale: false,
            modes: mode::DEFAULT,
            charsets: Charsets::DEFAULT,
            print_slow: false,
            run: false,
            tabs: default_tabs(cols),
            saved: [Saved::DEFAULT; 2],
            history: History::new(options.history_rows),
            clusters: ClusterTable::default(),
            styles: StyleTable::default(),
            links: LinkTable::default(),
            title: String::new(),
            title_stack: Vec::new(),
            key_flags: [Vec::new(), Vec::new()],
            modify_keys: 0,
            cursor_style: 0,
            replies: Vec::new(),
            stamp: Stamp::default(),
            refused: 0,
        }
    }

    /// The window's size.
    pub fn size(&self) -> Size {
        Size { cols: self.grid.cols as u16, rows: self.height() as u16 }
    }

    /// Row and column of the cursor, from 0.
    pub fn cursor(&self) -> (usize, usize) {
        (self.cursor.y, self.cursor.x)
    }

    /// The last column has been filled: the next character goes to the next row.
    pub fn wrap_pending(&self) -> bool {
        self.cursor.pending
    }

    /// The cursor is shown.
    pub fn cursor_visible(&self) -> bool {
        self.modes & mode::CURSOR != 0
    }

    /// The alternate screen is shown.
    pub fn on_alternate(&self) -> bool {
        self.alternate
    }

    /// A frame has begun and is not complete.
    pub fn in_sync(&self) -> bool {
        self.modes & mode::SYNC != 0
    }

    /// The window's title.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// How what is printed next is drawn.
    pub fn pen(&self) -> Pen {
        self.pen
    }

    /// Rows of history kept.
    pub fn history_len(&self) -> usize {
        self.history.len()
    }

    /// Where in the stream, and when, what is happening happens.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Where in the stream, and when, the first cell of row `y` was used.
    pub fn row_born(&self, y: usize) -> Stamp {
        self.grid.rows.get(y).map_or(self.stamp, |row| row.born)
    }

    /// Row `y` goes on in the next by automatic wrap.
    pub fn row_wraps(&self, y: usize) -> bool {
        self.grid.rows.get(y).is_some_and(|row| row.wrap)
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    pub(super) fn set_offset(&mut self, offset: u64) {
        self.stamp.offset = offset;
    }

    pub(super) fn set_time(&mut self, time_us: u64) {
        self.stamp.time_us = time_us;
    }

    pub(super) fn end_run(&mut self) {
        self.run = false;
    }

    pub(super) fn resume_run(&mut self) {
        self.run = true;
    }

    pub(super) fn in_run(&self) -> bool {
        self.run
    }

    pub(super) fn height(&self) -> usize {
        self.grid.height()
    }

    pub(super) fn cols(&self) -> usize {
        self.grid.cols
    }

    pub(super) fn has(&self, bit: u32) -> bool {
        self.modes & bit != 0
    }

    pub(super) fn set_mode(&mut self, bit: u32, on: bool) {
        if on {
            self.modes |= bit;
        } else {
            self.modes &= !bit;
        }
        self.update_print_slow();
    }

    pub(super) fn update_print_slow(&mut self) {
        self.print_slow = self.has(mode::INSERT) || matches!(self.charsets.current(), b'0' | b'A');
    }

    // Styles.

    pub(super) fn set_pen(&mut self, pen: Pen) {
        self.pen = pen;
        self.style_stale = true;
    }

    pub(super) fn sgr(&mut self, params: &[u16], colons: u64) {
        self.pen.sgr(params, colons);
        self.style_stale = true;
    }

    #[inline]
    pub(super) fn style(&mut self) -> u16 {
        if self.style_stale {
            self.style = self.intern(self.pen);
            self.style_stale = false;
        }
        self.style
    }

    #[inline]
    pub(super) fn erase_style(&mut self) -> u16 {
        match self.pen.bg == super::Color::DEFAULT {
            true => 0,
            false => self.intern(self.pen.erasure()),
        }
    }

    pub(super) fn intern(&mut self, pen: Pen) -> u16 {
        if let Some(style) = self.styles.intern(pen) {
            return style;
        }
        // Full: drop the pens no cell uses. When nearly all are in use, a walk over every cell
        // for each further pen would be quadratic, so most of those pens are refused at once.
        self.refused += 1;
        if self.refused % 1024 == 1 {
            self.compact_styles();
        }
        self.styles.intern(pen).unwrap_or(0)
    }

    fn compact_styles(&mut self) {
        let mut live = vec![false; self.styles.pens().len()];
        let grids = [&self.grid, &self.hidden];
        for cell in grids.iter().flat_map(|g| g.rows.iter()).flat_map(|r| r.cells.iter()) {
            live[usize::from(cell.style)] = true;
        }
        let renumbered = self.styles.compact(&live);
        let grids = [&mut self.grid, &mut self.hidden];
        for cell in
            grids.into_iter().flat_map(|g| g.rows.iter_mut()).flat_map(|r| r.cells.iter_mut())
        {
            cell.style = renumbered[usize::from(cell.style)];
        }
        self.history.forget_numbers();
        self.style_stale = true;
    }

    // Controls.

    /// C0 controls. Those without a meaning do nothing.
    #[inline]
    pub(super) fn control<O: Observer>(&mut self, control: u8, o: &mut O) {
        match control {
            b'\n' | 0x0b | 0x0c => self.line_feed(o),
            b'\r' => self.move_to_col(0),
            0x08 => self.move_to_col(self.cursor.x.saturating_sub(1)),
            b'\t' => self.tab_forward(1),
            0x07 => o.event(self, Event::Bell),
            0x0e => self.use_charset(1),
            0x0f => self.use_charset(0),
            0x00 | 0x7f => return,
            _ => {}
        }
        self.end_run();
    }

    #[inline]
    fn line_feed<O: Observer>(&mut self, o: &mut O) {
        if self.has(mode::LINEFEED) {
            self.cursor.x = 0;
        }
        self.index(o);
    }

    /// IND: one row down, scrolling at the bottom margin.
    #[inline]
    pub(super) fn index<O: Observer>(&mut self, o: &mut O) {
        self.cursor.pending = false;
        self.grid.rows[self.cursor.y].wrap = false;
        if self.cursor.y == self.bottom {
            self.scroll_region_up(o);
        } else if self.cursor.y + 1 < self.height() {
            self.cursor.y += 1;
        }
    }

    /// RI: one row up, scrolling at the top margin.
    pub(super) fn reverse_index(&mut self) {
        self.cursor.pending = false;
        if self.cursor.y == self.top {
            self.scroll_down(1);
        } else {
            self.cursor.y = self.cursor.y.saturating_sub(1);
        }
    }

    pub(super) fn use_charset(&mut self, n: usize) {
        self.charsets.active = n;
        self.update_print_slow();
    }

    pub(super) fn tab_forward(&mut self, n: usize) {
        if self.cursor.pending {
            return;
        }
        let last = self.cols() - 1;
        for _ in 0..n.min(last) {
            let next = (self.cursor.x + 1..last).find(|x| self.tabs[*x]).unwrap_or(last);
            self.cursor.x = next;
        }
    }

    pub(super) fn tab_back(&mut self, n: usize) {
        if self.cursor.pending {
            return;
        }
        for _ in 0..n.min(self.cols()) {
            self.cursor.x = (0..self.cursor.x).rev().find(|x| self.tabs[*x]).unwrap_or(0);
        }
    }

    pub(super) fn set_tab_stop(&mut self) {
        self.tabs[self.cursor.x] = true;
    }

    pub(super) fn clear_tab_stop(&mut self) {
        self.tabs[self.cursor.x] = false;
    }

    pub(super) fn clear_tab_stops(&mut self) {
        self.tabs.fill(false);
    }

    pub(super) fn reset_tab_stops(&mut self) {
        self.tabs = default_tabs(self.cols());
    }

    // The cursor.

    pub(super) fn move_to_col(&mut self, x: usize) {
        self.cursor.x = x.min(self.cols() - 1);
        self.cursor.pending = false;
    }

    /// To a row of the screen, whatever the margins; in origin mode within them.
    pub(super) fn move_to_row(&mut self, y: usize) {
        self.cursor.pending = false;
        self.cursor.y = match self.has(mode::ORIGIN) {
            true => y.clamp(self.top, self.bottom),
            false => y.min(self.height() - 1),
        };
    }

    /// To a row and column counted from the origin.
    pub(super) fn goto(&mut self, y: usize, x: usize) {
        let y = if self.has(mode::ORIGIN) { y + self.top } else { y };
        self.move_to_row(y);
        self.move_to_col(x);
    }

    pub(super) fn move_up(&mut self, n: usize) {
        let y = self.cursor.y;
        let limit = if y >= self.top { self.top } else { 0 };
        self.cursor.y = y.saturating_sub(n).max(limit);
        self.cursor.pending = false;
    }

    pub(super) fn move_down(&mut self, n: usize) {
        let y = self.cursor.y;
        let limit = if y <= self.bottom { self.bottom } else { self.height() - 1 };
        self.cursor.y = (y + n).min(limit);
        self.cursor.pending = false;
    }

    pub(super) fn save_cursor(&mut self) {
        self.saved[usize::from(self.alternate)] = Saved {
            cursor: self.cursor,
            // A link is not part of what is saved.
            pen: Pen { link: 0, ..self.pen },
            charsets: self.charsets,
            origin: self.has(mode::ORIGIN),
        };
    }

    pub(super) fn restore_cursor(&mut self) {
        let saved = self.saved[usize::from(self.alternate)];
        self.set_mode(mode::ORIGIN, saved.origin);
        let link = self.pen.link;
        self.set_pen(Pen { link, ..saved.pen });
        self.charsets = saved.charsets;
        self.update_print_slow();
        let (last_x, last_y) = (self.cols() - 1, self.height() - 1);
        self.cursor = Cursor {
            x: saved.cursor.x.min(last_x),
            y: saved.cursor.y.min(last_y),
            pending: saved.cursor.pending && saved.cursor.x == last_x,
        };
        if saved.origin {
            self.cursor.y = self.cursor.y.clamp(self.top, self.bottom);
        }
    }

    pub(super) fn set_margins(&mut self, top: u16, bottom: u16) {
        let height = self.height();
        let top = usize::from(top.max(1)) - 1;
        let bottom = match usize::from(bottom) {
            0 => height,
            b => b.min(height),
        };
        if top + 1 < bottom {
            self.top = top;
            self.bottom = bottom - 1;
            self.goto(0, 0);
        }
    }

    // Erasing and editing.

    pub(super) fn erase_in_line(&mut self, what: u16) {
        let Cursor { x, y, pending } = self.cursor;
        let cols = self.cols();
        let (from, to) = match what {
            // With the wrap pending the cursor stands behind the last column.
            0 if pending => return,
            0 => (x, cols),
            1 => (0, x + 1),
            2 => (0, cols),
            _ => return,
        };
        let style = self.erase_style();
        self.grid.rows[y].erase(from, to, cols, style);
    }

    pub(super) fn erase_rows(&mut self, from: usize, to: usize) {
        let style = self.erase_style();
        if from > 0 && from < to {
            // Kept when the row above ends in the pending wrap: it has not gone on yet.
            self.grid.rows[from - 1].wrap = false;
        }
        for y in from..to {
            self.grid.clear_row(y, style);
        }
    }

    pub(super) fn erase_cells(&mut self, n: usize) {
        self.cursor.pending = false;
        let Cursor { x, y, .. } = self.cursor;
        let (style, cols) = (self.erase_style(), self.cols());
        self.grid.rows[y].erase(x, (x + n).min(cols), cols, style);
    }

    pub(super) fn insert_cells(&mut self, n: usize) {
        self.cursor.pending = false;
        let Cursor { x, y, .. } = self.cursor;
        let (style, cols) = (self.erase_style(), self.cols());
        self.grid.rows[y].insert(x, n, cols, style);
    }

    pub(super) fn delete_cells(&mut self, n: usize) {
        self.cursor.pending = false;
        let Cursor { x, y, .. } = self.cursor;
        let (style, cols) = (self.erase_style(), self.cols());
        self.grid.rows[y].delete(x, n, cols, style);
    }

    pub(super) fn insert_rows(&mut self, n: usize) {
        self.cursor.pending = false;
        let y = self.cursor.y;
        if y < self.top || y > self.bottom {
            return;
        }
        self.move_to_col(0);
        let style = self.erase_style();
        self.cut_wraps(y, self.bottom);
        for _ in 0..n.min(self.bottom + 1 - y) {
            self.grid.rotate_down(y, self.bottom, style);
        }
        self.grid.rows[self.bottom].wrap = false;
    }

    pub(super) fn delete_rows(&mut self, n: usize) {
        self.cursor.pending = false;
        let y = self.cursor.y;
        if y < self.top || y > self.bottom {
            return;
        }
        self.move_to_col(0);
        let style = self.erase_style();
        self.cut_wraps(y, self.bottom);
        for _ in 0..n.min(self.bottom + 1 - y) {
            self.grid.rotate_up(y, self.bottom, style);
        }
    }

    /// The rows `top..=bottom` are about to move: lines end where they cross that border.
    fn cut_wraps(&mut self, top: usize, bottom: usize) {
        if let Some(above) = top.checked_sub(1) {
            self.grid.rows[above].wrap = false;
        }
        self.grid.rows[bottom].wrap = false;
    }

    // Scrolling.

    /// SU.
    pub(super) fn scroll_up<O: Observer>(&mut self, n: usize, o: &mut O) {
        self.grid.rows[self.bottom].wrap = false;
        for _ in 0..n.min(self.bottom + 1 - self.top) {
            self.scroll_region_up(o);
        }
    }

    /// Scrolls the region by one row. From the top of the main screen it goes to the history.
    #[inline]
    pub(super) fn scroll_region_up<O: Observer>(&mut self, o: &mut O) {
        let style = self.erase_style();
        if self.top == 0 && !self.alternate {
            o.row_leaves(self);
            if let Some(row) = self.grid.rows.front() {
                self.history.push(row, &self.clusters, &self.styles);
            }
        }
        if let Some(above) = self.top.checked_sub(1) {
            self.grid.rows[above].wrap = false;
        }
        self.grid.rotate_up(self.top, self.bottom, style);
    }

    /// SD.
    pub(super) fn scroll_down(&mut self, n: usize) {
        let style = self.erase_style();
        self.cut_wraps(self.top, self.bottom);
        for _ in 0..n.min(self.bottom + 1 - self.top) {
            self.grid.rotate_down(self.top, self.bottom, style);
        }
        self.grid.rows[self.bottom].wrap = false;
    }

    pub(super) fn clear_history(&mut self) {
        self.history.clear();
    }

    // The alternate screen, and resets.

    pub(super) fn switch_screen<O: Observer>(&mut self, alternate: bool, o: &mut O) {
        if alternate != self.alternate {
            o.event(self, Event::Alternate(alternate));
            std::mem::swap(&mut self.grid, &mut self.hidden);
            self.alternate = alternate;
        }
    }

    /// Blanks the alternate screen, shown or not.
    pub(super) fn clear_alternate(&mut self) {
        let alternate = if self.alternate { &mut self.grid } else { &mut self.hidden };
        alternate.rows.iter_mut().for_each(Row::clear);
    }

    /// DECSTR.
    pub(super) fn soft_reset(&mut self) {
        self.modes &= !(mode::INSERT | mode::ORIGIN | mode::APP_CURSOR | mode::APP_KEYPAD);
        self.modes |= mode::AUTOWRAP | mode::CURSOR;
        self.top = 0;
        self.bottom = self.height() - 1;
        self.set_pen(Pen::default());
        self.charsets = Charsets::DEFAULT;
        self.saved[usize::from(self.alternate)] = Saved::DEFAULT;
        self.update_print_slow();
    }

    /// RIS. The history and the title stay.
    pub(super) fn reset<O: Observer>(&mut self, o: &mut O) {
        o.event(self, Event::Clear(Clear::Reset));
        self.switch_screen(false, o);
        self.soft_reset();
        for grid in [&mut self.grid, &mut self.hidden] {
            for row in &mut grid.rows {
                row.clear();
            }
        }
        self.cursor = Cursor::default();
        self.modes = mode::DEFAULT;
        self.saved = [Saved::DEFAULT; 2];
        self.key_flags = [Vec::new(), Vec::new()];
        self.modify_keys = 0;
        self.cursor_style = 0;
        self.reset_tab_stops();
        self.update_print_slow();
    }

    /// DECALN.
    pub(super) fn alignment_test(&mut self) {
        self.top = 0;
        self.bottom = self.height() - 1;
        self.goto(0, 0);
        let cols = self.cols();
        let stamp = self.stamp;
        for row in &mut self.grid.rows {
            row.clear();
            row.born = stamp;
            row.cells.resize(cols, Cell::new(u32::from(b'E'), 0));
        }
    }

    pub(super) fn bytes_held(&self) -> usize {
        let grids = [&self.grid, &self.hidden];
        let cells: usize =
            grids.iter().flat_map(|g| g.rows.iter()).map(|r| r.cells.capacity()).sum();
        cells * size_of::<Cell>()
            + self.history.bytes()
            + self.styles.pens().len() * 3 * size_of::<Pen>()
            + self.clusters.bytes()
            + self.links.bytes()
            + self.replies.capacity()
    }

    /// Panics unless every invariant holds.
    pub(super) fn check(&self) {
        let (cols, height) = (self.cols(), self.height());
        assert!((1..=usize::from(super::SIZE_MAX)).contains(&cols));
        assert!((1..=usize::from(super::SIZE_MAX)).contains(&height));
        assert_eq!((self.hidden.cols, self.hidden.height()), (cols, height));
        assert!(self.cursor.x < cols && self.cursor.y < height, "cursor {:?}", self.cursor);
        assert!(!self.cursor.pending || self.cursor.x == cols - 1, "pending {:?}", self.cursor);
        assert!(self.top < self.bottom || height == 1, "margins {} {}", self.top, self.bottom);
        assert!(self.bottom < height && self.tabs.len() == cols);
        for row in self.grid.rows.iter().chain(&self.hidden.rows) {
            assert!(row.cells.len() <= cols, "row of {} in {cols}", row.cells.len());
            assert!(!row.wrap || row.cells.len() == cols, "wrap in a short row");
            for (x, cell) in row.cells.iter().enumerate() {
                let next_is_tail = row.cells.get(x + 1).is_some_and(|c| c.is(Cell::TAIL));
                assert_eq!(cell.is(Cell::WIDE), next_is_tail, "wide at {x}");
                assert!(x > 0 || !cell.is(Cell::TAIL), "tail first");
                assert!(usize::from(cell.style) < self.styles.pens().len(), "style");
                assert!(row.special || cell.flags == 0, "flags in a plain row");
                assert!(row.rich || cell.ch < 0x80, "more than ASCII in a plain row");
                assert!(row.styled || cell.style == 0, "style in a plain row");
            }
        }
        assert!(self.key_flags.iter().all(|k| k.len() <= KEY_STACK_MAX));
        assert!(self.title_stack.len() <= TITLE_STACK_MAX);
    }
}

pub(super) fn default_tabs(cols: usize) -> Vec<bool> {
    (0..cols).map(|x| x % 8 == 0 && x > 0).collect()
}
