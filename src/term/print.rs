//! Printing: what characters do to the row the cursor is on.

use super::grid::{CLUSTER_BASE, Cell};
use super::screen::{Observer, Screen, mode};
use super::width::{
    self, BOM, Cluster, FLAG, Join, PICT, SKIN, TEXT, WidthMode, ZERO, class_width,
};

impl Screen {
    /// Prints a run of printable ASCII.
    #[inline]
    pub(super) fn print_ascii<O: Observer>(&mut self, mut text: &[u8], o: &mut O) {
        if self.print_slow {
            return self.print_ascii_slow(text, o);
        }
        let style = self.style();
        let cols = self.cols();
        self.run = true;
        loop {
            if self.cursor.pending {
                if !self.has(mode::AUTOWRAP) {
                    text = &text[text.len() - 1..];
                    self.cursor.pending = false;
                } else {
                    self.wrap(o);
                }
            }
            let x = self.cursor.x;
            let (fits, rest) = text.split_at(text.len().min(cols - x));
            let row = &mut self.grid.rows[self.cursor.y];
            if row.cells.is_empty() {
                row.born = self.stamp;
            }
            row.put_ascii(x, fits, style);
            self.stamp.offset += fits.len() as u64;
            self.cursor.x = x + fits.len();
            if self.cursor.x == cols {
                self.cursor.x = cols - 1;
                self.cursor.pending = true;
            }
            if rest.is_empty() {
                return;
            }
            text = rest;
        }
    }

    /// Whether the cell before the cursor holds more than one character.
    pub(super) fn follows_cluster(&self) -> bool {
        let row = &self.grid.rows[self.cursor.y];
        row.special && self.join_col().is_some_and(|x| row.cell(x).ch >= CLUSTER_BASE)
    }

    /// Whether printable ASCII shows as itself and takes the next cells.
    pub(super) fn prints_ascii_as_is(&self) -> bool {
        !self.print_slow
    }

    /// Prints characters that join nothing, given as cells without a style. `wide`: some are.
    pub(super) fn print_run<O: Observer>(&mut self, cells: &[Cell], wide: bool, o: &mut O) {
        let cols = self.cols();
        let mut rest = cells;
        while let Some(first) = rest.first() {
            let room = cols - self.cursor.x;
            let fits = match self.print_slow || self.cursor.pending {
                true => 0,
                false if rest.len() <= room => rest.len(),
                false => room - usize::from(rest[room].is(Cell::TAIL)),
            };
            let (now, later) = match fits {
                0 => {
                    let width = 1 + usize::from(first.is(Cell::WIDE));
                    self.print_one(first.ch, width, o);
                    rest.split_at(width)
                }
                fits => {
                    self.put_run(&rest[..fits], wide);
                    rest.split_at(fits)
                }
            };
            if !later.is_empty() {
                let len = |cell: &Cell| match cell.ch {
                    _ if cell.is(Cell::TAIL) => 0,
                    0..0x80 => 1,
                    0x80..0x800 => 2,
                    0x800..0x1_0000 => 3,
                    _ => 4,
                };
                self.stamp.offset += now.iter().map(len).sum::<u64>();
            }
            rest = later;
        }
        self.run = true;
    }

    /// Writes cells that fit from the cursor on.
    #[inline]
    fn put_run(&mut self, cells: &[Cell], wide: bool) {
        let style = self.style();
        let cols = self.cols();
        let x = self.cursor.x;
        let row = &mut self.grid.rows[self.cursor.y];
        if row.cells.is_empty() {
            row.born = self.stamp;
        }
        row.put_run(x, cells, wide, style);
        self.cursor.x = (x + cells.len()).min(cols - 1);
        self.cursor.pending = x + cells.len() == cols;
    }

    fn print_ascii_slow<O: Observer>(&mut self, text: &[u8], o: &mut O) {
        for b in text {
            let c = match self.charsets.current() {
                b'0' => dec_graphic(*b),
                b'A' if *b == b'#' => 0xa3,
                _ => u32::from(*b),
            };
            self.print_one(c, 1, o);
            self.stamp.offset += 1;
        }
        self.run = true;
    }

    /// Prints a character above ASCII. Those of C1 do nothing.
    #[inline]
    pub(super) fn print_char<O: Observer>(&mut self, c: u32, o: &mut O) {
        if c < 0xa0 {
            return self.end_run();
        }
        let class = width::class(c);
        if class & (ZERO | FLAG | PICT | SKIN | TEXT) != 0 && self.join(c, class, o) {
            return;
        }
        self.print_one(c, class_width(class), o);
        self.run = true;
    }

    #[inline]
    fn print_one<O: Observer>(&mut self, c: u32, width: usize, o: &mut O) {
        let style = self.style();
        let cols = self.cols();
        let autowrap = self.has(mode::AUTOWRAP);
        if self.cursor.pending {
            if autowrap {
                self.wrap(o);
            } else {
                self.cursor.pending = false;
            }
        }
        if self.cursor.x + width > cols {
            if !autowrap || cols < width {
                return;
            }
            let (x, y) = (self.cursor.x, self.cursor.y);
            let row = &mut self.grid.rows[y];
            row.put_narrow(x, 0x20, 0);
            row.cells[x].flags = Cell::SPACER;
            row.special = true;
            row.rich = true;
            self.wrap(o);
        }
        let (x, y) = (self.cursor.x, self.cursor.y);
        if self.has(mode::INSERT) {
            let erase_style = self.erase_style();
            self.grid.rows[y].insert(x, width, cols, erase_style);
        }
        let row = &mut self.grid.rows[y];
        if row.cells.is_empty() {
            row.born = self.stamp;
        }
        match width {
            2 => row.put_wide(x, c, style),
            _ => row.put_narrow(x, c, style),
        }
        self.cursor.x = x + width;
        if self.cursor.x == cols {
            self.cursor.x = cols - 1;
            self.cursor.pending = true;
        }
    }

    /// The column of the cell that a joining character would join, if there is one.
    fn join_col(&self) -> Option<usize> {
        let x = match self.cursor.pending {
            true => self.cursor.x,
            false => self.cursor.x.checked_sub(1)?,
        };
        match self.grid.rows[self.cursor.y].cell(x).is(Cell::TAIL) {
            true => x.checked_sub(1),
            false => Some(x),
        }
    }

    /// Tries to join `c` to the cell before the cursor. False: it takes a cell of its own.
    fn join<O: Observer>(&mut self, c: u32, class: u8, o: &mut O) -> bool {
        let zero = class & ZERO != 0;
        if !zero && (!self.run || self.options.width == WidthMode::Legacy) {
            return false;
        }
        let (Some(x), true) = (self.join_col(), c != BOM) else { return zero };
        let y = self.cursor.y;
        let cell = self.grid.rows[y].cell(x);
        let cluster = Cluster::of(self.clusters.chars(cell.ch), cell.is(Cell::WIDE));
        let join = cluster.join(c, self.options.width);
        let cannot_widen = x + 2 > self.cols() && (self.cols() < 2 || !self.has(mode::AUTOWRAP));
        if join == Join::New || (join == Join::Widen && !zero && cannot_widen) {
            return false;
        }
        if self.clusters.is_full() {
            self.clusters.compact([&mut self.grid, &mut self.hidden].into_iter());
        }
        let cell = self.grid.rows[y].cell(x);
        let Some(ch) = self.clusters.extend(cell.ch, c) else { return true };
        let row = &mut self.grid.rows[y];
        row.special = true;
        row.rich = true;
        if x >= row.cells.len() {
            row.put_narrow(x, 0x20, 0);
        }
        row.cells[x].ch = ch;
        row.cells[x].flags &= !Cell::SPACER;
        if join == Join::Widen && self.run {
            self.widen(x, o);
        }
        true
    }

    /// Makes the narrow cell at `x`, the last one printed, a wide one.
    fn widen<O: Observer>(&mut self, x: usize, o: &mut O) {
        let cols = self.cols();
        let y = self.cursor.y;
        let cell = self.grid.rows[y].cells[x];
        let mut x = x;
        if x + 2 > cols {
            if cols < 2 || !self.has(mode::AUTOWRAP) {
                return;
            }
            self.grid.rows[y].cells[x] = Cell { flags: Cell::SPACER, ..Cell::BLANK };
            self.wrap(o);
            x = 0;
        }
        let row = &mut self.grid.rows[self.cursor.y];
        if row.cells.is_empty() {
            row.born = self.stamp;
        }
        row.put_wide(x, cell.ch, cell.style);
        self.cursor.x = (x + 2).min(cols - 1);
        self.cursor.pending = x + 2 == cols;
    }

    /// REP: prints the cell before the cursor `n` times more, at most a screenful.
    pub(super) fn repeat<O: Observer>(&mut self, n: usize, o: &mut O) {
        let col = self.join_col();
        if !std::mem::take(&mut self.run) {
            return;
        }
        let Some(x) = col else { return };
        let cell = self.grid.rows[self.cursor.y].cell(x);
        let width = if cell.is(Cell::WIDE) { 2 } else { 1 };
        for _ in 0..n.min(self.cols() * self.height()) {
            self.print_one(cell.ch, width, o);
            if cell.ch >= CLUSTER_BASE {
                self.grid.rows[self.cursor.y].special = true;
            }
        }
    }

    /// Goes to the start of the next row because this one is full.
    #[inline]
    fn wrap<O: Observer>(&mut self, o: &mut O) {
        self.cursor.pending = false;
        self.cursor.x = 0;
        let (cols, height) = (self.cols(), self.height());
        let at_bottom = self.cursor.y == self.bottom;
        if at_bottom || self.cursor.y + 1 < height {
            let row = &mut self.grid.rows[self.cursor.y];
            // It may have been erased since it was filled.
            row.pad_to(cols);
            row.wrap = true;
        }
        if at_bottom {
            self.scroll_region_up(o);
        } else if self.cursor.y + 1 < height {
            self.cursor.y += 1;
        }
    }
}

/// DEC special graphics, `_` to `~`.
fn dec_graphic(b: u8) -> u32 {
    const GRAPHICS: [char; 32] = [
        ' ', '◆', '▒', '␉', '␌', '␍', '␊', '°', '±', '␤', '␋', '┘', '┐', '┌', '└', '┼', '⎺', '⎻',
        '─', '⎼', '⎽', '├', '┤', '┴', '┬', '│', '≤', '≥', 'π', '≠', '£', '·',
    ];
    match b.checked_sub(0x5f) {
        Some(i) if i < 32 => GRAPHICS[usize::from(i)] as u32,
        _ => u32::from(b),
    }
}
