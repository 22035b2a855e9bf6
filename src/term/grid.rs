//! Cells, rows, and the grid that holds a screenful of them.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;

use super::style::PenHasher;

/// Code points from here on are numbers of clusters.
pub(super) const CLUSTER_BASE: u32 = 0x11_0000;
/// Most code points one cell holds; further ones are dropped.
pub const CLUSTER_CHARS_MAX: usize = 16;
/// Most distinct clusters kept; beyond, marks are dropped until old clusters have gone.
pub const CLUSTERS_MAX: usize = 60_000;

/// One cell: a character or cluster, its style, and which part of a wide one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub ch: u32,
    pub style: u16,
    pub flags: u16,
}

impl Cell {
    /// The left half of a wide character; its right half follows.
    pub(super) const WIDE: u16 = 1;
    /// The right half.
    pub(super) const TAIL: u16 = 2;
    /// The blank left at the end of a row where a wide character did not fit.
    pub(super) const SPACER: u16 = 4;

    pub(super) const BLANK: Cell = Cell { ch: 0x20, style: 0, flags: 0 };

    #[inline]
    pub(super) fn new(ch: u32, style: u16) -> Cell {
        Cell { ch, style, flags: 0 }
    }

    pub(super) fn blank(style: u16) -> Cell {
        Cell::new(0x20, style)
    }

    /// Shows nothing, not even a colour.
    #[inline]
    fn is_blank(self) -> bool {
        self.ch == 0x20 && self.style == 0 && self.flags & Cell::TAIL == 0
    }

    pub(super) fn is(self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// Where in the stream something happened: byte offset and time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes fed before it.
    pub offset: u64,
    /// The time last handed in before it.
    pub time_us: u64,
}

/// A row: as many cells as were used, blank beyond.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub cells: Vec<Cell>,
    /// The next row goes on where this one ends: set by automatic wrap alone.
    pub wrap: bool,
    /// A wide character or a cluster may be in it. False is a promise, true is not.
    pub special: bool,
    /// Something above ASCII may be in it; as `special`.
    pub rich: bool,
    /// Another style than the default may be in it; as `special`.
    pub styled: bool,
    /// When its first cell was used.
    pub born: Stamp,
}

impl Row {
    /// Empties the row, keeping its allocation.
    pub(super) fn clear(&mut self) {
        self.cells.clear();
        self.wrap = false;
        self.special = false;
        self.rich = false;
        self.styled = false;
    }

    pub(super) fn cell(&self, x: usize) -> Cell {
        self.cells.get(x).copied().unwrap_or(Cell::BLANK)
    }

    /// Blanks both halves of a wide character that lies across the edge before column `x`.
    #[inline]
    pub(super) fn split_wide(&mut self, x: usize, style: u16) {
        if self.special && x > 0 && x < self.cells.len() && self.cells[x].is(Cell::TAIL) {
            self.cells[x - 1] = Cell::blank(style);
            self.cells[x] = Cell::blank(style);
        }
    }

    pub(super) fn pad_to(&mut self, len: usize) {
        if self.cells.len() < len {
            self.cells.resize(len, Cell::BLANK);
        }
    }

    /// Writes printable ASCII from column `x` on. The caller has seen to it that it fits.
    #[inline]
    pub(super) fn put_ascii(&mut self, x: usize, bytes: &[u8], style: u16) {
        if let [b] = bytes {
            return self.put_narrow(x, u32::from(*b), style);
        }
        let end = x + bytes.len();
        self.styled |= style != 0;
        if self.special {
            self.split_wide(x, style);
            self.split_wide(end, style);
        }
        self.pad_to(x);
        let over = (self.cells.len() - x).min(bytes.len());
        for (cell, b) in self.cells[x..x + over].iter_mut().zip(bytes) {
            *cell = Cell { ch: u32::from(*b), style, flags: 0 };
        }
        self.cells.extend(bytes[over..].iter().map(|b| Cell {
            ch: u32::from(*b),
            style,
            flags: 0,
        }));
    }

    /// Writes cells from `x` on, which come without a style. `wide`: some are wide.
    #[inline]
    pub(super) fn put_run(&mut self, x: usize, cells: &[Cell], wide: bool, style: u16) {
        self.rich = true;
        self.styled |= style != 0;
        if self.special {
            self.split_wide(x, style);
            self.split_wide(x + cells.len(), style);
        }
        self.special |= wide;
        let styled = cells.iter().map(|cell| Cell { style, ..*cell });
        self.pad_to(x);
        if self.cells.len() == x {
            return self.cells.extend(styled);
        }
        self.pad_to(x + cells.len());
        self.cells[x..x + cells.len()].iter_mut().zip(styled).for_each(|(old, new)| *old = new);
    }

    /// Writes one narrow character at `x`.
    #[inline]
    pub(super) fn put_narrow(&mut self, x: usize, ch: u32, style: u16) {
        self.rich |= ch >= 0x80;
        self.styled |= style != 0;
        if self.special {
            self.split_wide(x, style);
            self.split_wide(x + 1, style);
        }
        let cell = Cell { ch, style, flags: 0 };
        if x < self.cells.len() {
            self.cells[x] = cell;
        } else {
            self.pad_to(x);
            self.cells.push(cell);
        }
    }

    /// Writes one wide character at `x` and `x + 1`.
    #[inline]
    pub(super) fn put_wide(&mut self, x: usize, ch: u32, style: u16) {
        let head = Cell { ch, style, flags: Cell::WIDE };
        let tail = Cell { ch: 0x20, style, flags: Cell::TAIL };
        if self.special {
            self.split_wide(x, style);
            self.split_wide(x + 2, style);
        }
        self.special = true;
        self.rich = true;
        self.styled |= style != 0;
        self.pad_to(x);
        if self.cells.len() == x {
            self.cells.extend([head, tail]);
        } else {
            self.pad_to(x + 2);
            self.cells[x] = head;
            self.cells[x + 1] = tail;
        }
    }

    /// Blanks columns `from..to` with `style`; `cols` is the row's full length.
    pub(super) fn erase(&mut self, from: usize, to: usize, cols: usize, style: u16) {
        if from >= to {
            return;
        }
        self.styled |= style != 0;
        self.split_wide(from, style);
        self.split_wide(to, style);
        if to >= cols {
            self.wrap = false;
            if style == 0 {
                self.cells.truncate(from);
                if from == 0 {
                    self.special = false;
                }
                return;
            }
        }
        let to = if style == 0 { to.min(self.cells.len()) } else { to };
        if from < to {
            self.pad_to(to);
            self.cells[from..to].fill(Cell::blank(style));
        }
    }

    /// Shifts the cells from `x` on right by `n`; what leaves the row is lost.
    pub(super) fn insert(&mut self, x: usize, n: usize, cols: usize, style: u16) {
        let n = n.min(cols - x);
        self.styled |= style != 0;
        self.split_wide(x, style);
        if style != 0 {
            self.pad_to(x);
        }
        if x < self.cells.len() || style != 0 {
            let fill = std::iter::repeat_n(Cell::blank(style), n);
            self.cells.splice(x..x, fill);
        }
        if self.cells.len() > cols {
            let cut_head = self.cells[cols].is(Cell::TAIL);
            self.cells.truncate(cols);
            if cut_head {
                self.cells[cols - 1] = Cell::blank(style);
            }
        }
        self.wrap = false;
    }

    /// Removes `n` cells at `x`; the rest moves left, blanks follow.
    pub(super) fn delete(&mut self, x: usize, n: usize, cols: usize, style: u16) {
        let n = n.min(cols - x);
        self.styled |= style != 0;
        self.split_wide(x, style);
        self.split_wide(x + n, style);
        if style != 0 {
            self.pad_to(cols);
        }
        if x < self.cells.len() {
            let end = (x + n).min(self.cells.len());
            self.cells.drain(x..end);
        }
        if style != 0 {
            self.cells.resize(cols, Cell::blank(style));
        }
        self.wrap = false;
    }

    /// Columns up to the last that shows something: not a blank in the default style.
    pub(super) fn used_len(&self) -> usize {
        self.cells.iter().rposition(|c| !c.is_blank()).map_or(0, |x| x + 1)
    }
}

/// The rows of one screen, top first.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    pub rows: VecDeque<Row>,
    /// The size bounds the grid; no row is longer than this.
    pub cols: usize,
}

impl Grid {
    pub(super) fn new(cols: usize, rows: usize) -> Grid {
        Grid { rows: (0..rows).map(|_| Row::default()).collect(), cols }
    }

    pub(super) fn height(&self) -> usize {
        self.rows.len()
    }

    /// Takes the row at `top` out, moves those below it up to `bottom`, and puts the row back
    /// there, filled with `style`.
    #[inline]
    pub(super) fn rotate_up(&mut self, top: usize, bottom: usize, style: u16) {
        let mut row = match top {
            0 => self.rows.pop_front(),
            _ => self.rows.remove(top),
        }
        .unwrap_or_default();
        row.clear();
        if style != 0 {
            row.styled = true;
            row.cells.resize(self.cols, Cell::blank(style));
        }
        if bottom == self.rows.len() {
            self.rows.push_back(row);
        } else {
            self.rows.insert(bottom, row);
        }
    }

    /// The opposite of [`Grid::rotate_up`]: a fresh row comes in at `top`.
    pub(super) fn rotate_down(&mut self, top: usize, bottom: usize, style: u16) {
        let mut row = self.rows.remove(bottom).unwrap_or_default();
        row.clear();
        if style != 0 {
            row.styled = true;
            row.cells.resize(self.cols, Cell::blank(style));
        }
        self.rows.insert(top, row);
    }

    /// Blanks the row with `style`.
    pub(super) fn clear_row(&mut self, y: usize, style: u16) {
        let cols = self.cols;
        let row = &mut self.rows[y];
        row.clear();
        if style != 0 {
            row.styled = true;
            row.cells.resize(cols, Cell::blank(style));
        }
    }

    /// Makes it `cols` by `rows`, cutting or padding right and below.
    pub(super) fn crop(&mut self, cols: usize, rows: usize) {
        self.rows.resize_with(rows, Row::default);
        self.cols = cols;
        for row in &mut self.rows {
            row.wrap = false;
            row.split_wide(cols, 0);
            row.cells.truncate(cols);
        }
    }
}

/// Clusters by number.
#[derive(Clone, Debug, Default)]
pub(super) struct ClusterTable {
    clusters: Vec<Box<str>>,
    map: HashMap<Box<str>, u32>,
    /// What cells with a mark added came to be; found without looking at the text.
    extended: HashMap<(u32, u32), Option<u32>, BuildHasherDefault<PenHasher>>,
}

impl ClusterTable {
    /// The characters of a cell.
    pub(super) fn push_text(&self, ch: u32, out: &mut String) {
        match ch.checked_sub(CLUSTER_BASE) {
            None => out.push(char::from_u32(ch).unwrap_or(char::REPLACEMENT_CHARACTER)),
            Some(i) => out.push_str(self.clusters.get(i as usize).map_or("\u{fffd}", |c| c)),
        }
    }

    pub(super) fn chars(&self, ch: u32) -> impl Iterator<Item = u32> + '_ {
        let (single, text) = match ch.checked_sub(CLUSTER_BASE) {
            None => (Some(ch), ""),
            Some(i) => (None, self.clusters.get(i as usize).map_or("\u{fffd}", |c| &**c)),
        };
        single.into_iter().chain(text.chars().map(u32::from))
    }

    /// What stands for `ch` with `mark` added, or None when the cell or the table is full.
    pub(super) fn extend(&mut self, ch: u32, mark: u32) -> Option<u32> {
        if let Some(known) = self.extended.get(&(ch, mark)) {
            return *known;
        }
        let extended = self.extend_text(ch, mark);
        if self.extended.len() < CLUSTERS_MAX {
            self.extended.insert((ch, mark), extended);
        }
        extended
    }

    fn extend_text(&mut self, ch: u32, mark: u32) -> Option<u32> {
        if self.chars(ch).count() >= CLUSTER_CHARS_MAX {
            return None;
        }
        let mut text = String::new();
        self.push_text(ch, &mut text);
        text.push(char::from_u32(mark)?);
        self.intern(&text)
    }

    /// What stands for a text of one or more code points.
    pub(super) fn intern(&mut self, text: &str) -> Option<u32> {
        let mut chars = text.chars();
        if let (Some(only), None) = (chars.next(), chars.next()) {
            return Some(u32::from(only));
        }
        if let Some(ch) = self.map.get(text) {
            return Some(*ch);
        }
        if self.clusters.len() >= CLUSTERS_MAX {
            return None;
        }
        let ch = CLUSTER_BASE + self.clusters.len() as u32;
        self.clusters.push(text.into());
        self.map.insert(text.into(), ch);
        Some(ch)
    }

    pub(super) fn bytes(&self) -> usize {
        self.clusters.iter().map(|c| 2 * c.len() + 64).sum::<usize>() + self.extended.len() * 32
    }

    pub(super) fn is_full(&self) -> bool {
        self.clusters.len() >= CLUSTERS_MAX
    }

    /// Drops every cluster that no cell of `grids` holds, and renumbers those cells.
    pub(super) fn compact<'a>(&mut self, grids: impl Iterator<Item = &'a mut Grid>) {
        let old = std::mem::take(self);
        for cell in grids.flat_map(|g| g.rows.iter_mut()).flat_map(|r| r.cells.iter_mut()) {
            if let Some(i) = cell.ch.checked_sub(CLUSTER_BASE) {
                let text = old.clusters.get(i as usize).map_or("\u{fffd}", |c| c);
                cell.ch = self.intern(text).unwrap_or(0xfffd);
            }
        }
    }
}
