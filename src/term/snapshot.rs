//! The screen as a stream of escape sequences that make it again.

use std::io::Write;

use super::grid::{CLUSTER_BASE, Cell, Grid, Row};
use super::osc::RESUME_RUN;
use super::screen::{Charsets, Cursor, Saved, Screen, default_tabs, mode};
use super::style::Pen;
use super::width;

/// Blanks that make a row wrap: one that is full, and one whose last column is left.
const NARROW: &str = " ";
const WIDE: &str = "\u{3000}";

/// Writes sequences; remembers what the receiving terminal's pen is.
struct Painter<'a> {
    screen: &'a Screen,
    out: Vec<u8>,
    pen: Pen,
}

fn used_len(row: &Row) -> usize {
    if row.wrap { row.cells.len() } else { row.used_len() }
}

/// What makes a row wrap that does, where what stands on the next would not.
fn filler_of(row: &Row) -> Option<&'static str> {
    let is_short = row.cells.last().is_some_and(|cell| cell.is(Cell::SPACER));
    row.wrap.then_some(if is_short { WIDE } else { NARROW })
}

impl Screen {
    /// Bytes that make this screen on a terminal of the same size, whatever its state was: rows,
    /// modes, cursors, pen. History and unfinished sequences are not part of it.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut p = Painter { screen: self, out: Vec::new(), pen: Pen::default() };
        p.put("\x1b[!p\x1b[?1049l\x1b[0m\x1b]8;;\x1b\\\x1b[r\x1b[?6l\x1b[?7h\x1b[4l\x1b[20l");
        p.charsets(Charsets::DEFAULT);
        p.put("\x1b[H\x1b[2J");
        for title in &self.title_stack {
            p.title(title);
            p.put("\x1b[22t");
        }
        p.title(&self.title);
        let (main, alternate) = match self.alternate {
            true => (&self.hidden, &self.grid),
            false => (&self.grid, &self.hidden),
        };
        p.key_flags(0);
        p.rows(main);
        p.saved(main, self.saved[0]);
        let stale = alternate.rows.iter().any(|row| row.used_len() > 0);
        if self.alternate {
            p.put("\x1b[?1049h\x1b[?6l");
            p.charsets(Charsets::DEFAULT);
            p.pen(Pen::default());
            p.put("\x1b[2J");
            p.key_flags(1);
            p.rows(alternate);
            p.saved(alternate, self.saved[1]);
            p.put("\x1b[?6l");
        } else if stale || self.saved[1] != Saved::DEFAULT || !self.key_flags[1].is_empty() {
            p.put("\x1b[?6l");
            p.charsets(Charsets::DEFAULT);
            p.put("\x1b[?47h");
            p.key_flags(1);
            p.rows(alternate);
            p.saved(alternate, self.saved[1]);
            p.put("\x1b[?47l\x1b[?6l");
        }
        p.put("\x1b[?6l");
        p.charsets(Charsets::DEFAULT);
        p.tabs();
        p.state(&self.grid);
        p.out
    }

    /// Bytes that leave the newest `rows_max` rows of the history above a fresh screen of this
    /// size, wrapped where they were.
    pub(super) fn history_snapshot(&self, rows_max: usize) -> Vec<u8> {
        let len = self.history.len();
        let first = len - rows_max.min(len);
        if first == len {
            return Vec::new();
        }
        // Rows of the history have numbers of their own for pens and clusters.
        let mut own = self.clone();
        let rows: Vec<Row> = (first..len)
            .filter_map(|i| self.history.line(i))
            .map(|(line, pens)| own.row_from(&line, pens))
            .collect();
        let mut p = Painter { screen: &own, out: Vec::new(), pen: Pen::default() };
        let mut filler = None;
        for row in rows.iter().chain([&Row::default()]) {
            p.row(row, filler);
            // A row that was wrapped into is filled with the background of that moment.
            p.pen(Pen::default());
            p.put(if row.wrap { "" } else { "\x1b[K\r\n" });
            filler = filler_of(row);
        }
        // Not below the empty row that stands for the screen's first.
        p.out.truncate(p.out.len() - 2);
        p.out.extend(std::iter::repeat_n(b'\n', self.height() - 1));
        p.out
    }
}

impl Painter<'_> {
    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn put_fmt(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a vector cannot fail.
        let _ = self.out.write_fmt(text);
    }

    fn title(&mut self, title: &str) {
        self.put_fmt(format_args!("\x1b]2;{title}\x1b\\"));
    }

    fn charsets(&mut self, charsets: Charsets) {
        for (slot, set) in b"()*+".iter().zip(charsets.sets) {
            self.out.extend_from_slice(&[0x1b, *slot, set]);
        }
        self.put(["\x0f", "\x0e", "\x1bn", "\x1bo"][charsets.active]);
    }

    fn key_flags(&mut self, which: usize) {
        for flags in &self.screen.key_flags[which] {
            self.put_fmt(format_args!("\x1b[>{flags}u"));
        }
    }

    fn pen(&mut self, pen: Pen) {
        if pen == self.pen {
            return;
        }
        if pen.link != self.pen.link {
            match self.screen.links.get(pen.link) {
                None => self.put("\x1b]8;;\x1b\\"),
                Some(link) => {
                    let id = if link.id.is_empty() { "" } else { "id=" };
                    self.put_fmt(format_args!("\x1b]8;{id}{};{}\x1b\\", link.id, link.uri));
                }
            }
        }
        self.pen = pen;
        self.sgr();
    }

    /// Says the pen again. Also ends a run, so that what follows joins nothing.
    fn sgr(&mut self) {
        let params = self.pen.sgr_params();
        let semicolon = if params.is_empty() { "" } else { ";" };
        self.put_fmt(format_args!("\x1b[0{semicolon}{params}m"));
    }

    fn goto(&mut self, y: usize, x: usize) {
        self.put_fmt(format_args!("\x1b[{};{}H", y + 1, x + 1));
    }

    fn cell(&mut self, cell: Cell) {
        self.pen(self.screen.styles.pen(cell.style));
        let mut text = String::new();
        self.screen.clusters.push_text(cell.ch, &mut text);
        let first = text.chars().next().map_or(0, u32::from);
        // Only in the middle of a run would it join the cell before, or be widened.
        if width::class(first) & !width::WIDE != 0 {
            self.sgr();
        }
        let narrow_cluster = cell.ch >= CLUSTER_BASE && !cell.is(Cell::WIDE);
        for (i, c) in text.chars().enumerate() {
            if i == 1 && narrow_cluster {
                self.sgr();
            }
            self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    fn rows(&mut self, grid: &Grid) {
        let mut filler = None;
        for (y, row) in grid.rows.iter().enumerate() {
            if filler.is_none() && used_len(row) > 0 {
                self.goto(y, 0);
            }
            self.row(row, filler);
            filler = filler_of(row);
        }
    }

    /// What stands on a row. If the one above wraps, `filler` is what makes it.
    fn row(&mut self, row: &Row, filler: Option<&str>) {
        let cells = &row.cells[..used_len(row)];
        let is_wide = cells.first().is_some_and(|cell| cell.is(Cell::WIDE));
        let wraps = is_wide || (filler == Some(NARROW) && !cells.is_empty());
        if let Some(filler) = filler.filter(|_| !wraps) {
            self.pen(Pen::default());
            self.put(filler);
            self.put("\r");
        }
        let left_out = if row.wrap { Cell::TAIL | Cell::SPACER } else { Cell::TAIL };
        cells.iter().filter(|cell| !cell.is(left_out)).for_each(|cell| self.cell(*cell));
    }

    /// Puts the cursor where it was, filling the last column again if the wrap was pending.
    fn cursor(&mut self, grid: &Grid, cursor: Cursor, origin_top: usize) {
        let Cursor { x, y, pending } = cursor;
        let y_shown = y - origin_top;
        if !pending {
            return self.goto(y_shown, x);
        }
        let row = &grid.rows[y];
        let x = if row.cell(x).is(Cell::TAIL) { x - 1 } else { x };
        self.goto(y_shown, x);
        self.cell(row.cell(x));
    }

    /// Leaves the receiving terminal in the state `saved`, and saved.
    fn saved(&mut self, grid: &Grid, saved: Saved) {
        if saved.origin {
            self.put("\x1b[?6h");
        }
        self.cursor(grid, saved.cursor, 0);
        self.pen(Pen { link: self.pen.link, ..saved.pen });
        self.charsets(saved.charsets);
        self.put("\x1b7");
    }

    fn tabs(&mut self) {
        let tabs = &self.screen.tabs;
        if *tabs == default_tabs(tabs.len()) {
            return;
        }
        self.put("\x1b[3g");
        for x in (0..tabs.len()).filter(|x| tabs[*x]) {
            self.goto(0, x);
            self.put("\x1bH");
        }
    }

    /// Margins, modes, cursor, pen: everything that is not on a row.
    fn state(&mut self, grid: &Grid) {
        let s = self.screen;
        if (s.top, s.bottom) != (0, grid.height() - 1) {
            self.put_fmt(format_args!("\x1b[{};{}r", s.top + 1, s.bottom + 1));
        }
        let origin = s.has(mode::ORIGIN);
        if origin {
            self.put("\x1b[?6h");
        }
        self.cursor(grid, s.cursor, if origin { s.top } else { 0 });
        self.pen(s.pen);
        self.charsets(s.charsets);
        for (bit, number) in [(mode::INSERT, 4), (mode::LINEFEED, 20)] {
            if s.has(bit) {
                self.put_fmt(format_args!("\x1b[{number}h"));
            }
        }
        for (number, bit) in mode::PRIVATE {
            if *bit != mode::ORIGIN && s.has(*bit) != (mode::DEFAULT & bit != 0) {
                let final_byte = if s.has(*bit) { 'h' } else { 'l' };
                self.put_fmt(format_args!("\x1b[?{number}{final_byte}"));
            }
        }
        if s.modify_keys > 0 {
            self.put_fmt(format_args!("\x1b[>4;{}m", s.modify_keys));
        }
        if s.cursor_style > 0 {
            self.put_fmt(format_args!("\x1b[{} q", s.cursor_style));
        }
        if s.in_run() {
            self.put("\x1b_");
            self.out.extend_from_slice(RESUME_RUN);
            self.put("\x1b\\");
        }
    }
}
