//! Changing the window's size: lines of the main screen wrap anew, the alternate screen is cut.

use std::collections::VecDeque;

use super::Size;
use super::grid::{Cell, Row};
use super::history::{Line, decode};
use super::screen::{Cursor, Screen};
use super::style::Pen;

/// Most rows of one wrapped line that a resize takes back from the history to wrap it anew.
const REJOIN_ROWS_MAX: usize = 512;

impl Screen {
    pub(super) fn resize(&mut self, size: Size) {
        let size = size.clamped();
        let (cols, rows) = (usize::from(size.cols), usize::from(size.rows));
        let (old_cols, old_rows) = (self.grid.cols, self.height());
        if (cols, rows) == (old_cols, old_rows) {
            return;
        }
        self.end_run();
        // The saved cursor of the main screen while the alternate one is shown is where the
        // program's line went on, so it moves with its text.
        if self.alternate {
            std::mem::swap(&mut self.grid, &mut self.hidden);
            let shown = std::mem::replace(&mut self.cursor, self.saved[0].cursor);
            self.cursor = clamp(self.cursor, old_cols, old_rows);
            self.resize_main(cols, rows);
            self.saved[0].cursor = std::mem::replace(&mut self.cursor, shown);
            std::mem::swap(&mut self.grid, &mut self.hidden);
            self.grid.crop(cols, rows);
        } else {
            self.resize_main(cols, rows);
            self.hidden.crop(cols, rows);
            self.saved[0].cursor = clamp(self.saved[0].cursor, cols, rows);
        }
        self.cursor = clamp(self.cursor, cols, rows);
        self.saved[1].cursor = clamp(self.saved[1].cursor, cols, rows);
        self.top = 0;
        self.bottom = rows - 1;
        let old_tabs = self.tabs.len();
        self.tabs.truncate(cols);
        self.tabs.extend((old_tabs..cols).map(|x| x % 8 == 0 && x > 0));
    }

    fn resize_main(&mut self, cols: usize, rows: usize) {
        let height = self.height();
        if cols != self.grid.cols {
            self.rewrap(cols);
        }
        // `rewrap` may leave more or fewer rows than there were.
        while self.grid.rows.len() > rows {
            let last = self.grid.rows.len() - 1;
            let below_is_blank = self.cursor.y < last && self.grid.rows[last].used_len() == 0;
            if below_is_blank {
                self.grid.rows.pop_back();
            } else if self.cursor.y > 0 {
                self.push_top();
            } else {
                self.grid.rows.pop_back();
            }
        }
        // A taller window shows what had scrolled off, as long as the text reaches the bottom.
        let reaches_bottom = self.cursor.y + 1 >= self.grid.rows.len().min(height);
        while reaches_bottom && self.grid.rows.len() < rows && self.history.len() > 0 {
            let line = self.take_back_line(cols);
            self.cursor.y += line.len();
            line.into_iter().rev().for_each(|row| self.grid.rows.push_front(row));
        }
        while self.grid.rows.len() > rows {
            self.push_top();
        }
        self.grid.rows.resize_with(rows, Row::default);
        self.grid.cols = cols;
        if let Some(last) = self.grid.rows.back_mut() {
            last.wrap = false;
        }
        for row in &mut self.grid.rows {
            row.wrap &= row.cells.len() == cols;
        }
    }

    /// Moves the top row to the history.
    fn push_top(&mut self) {
        if let Some(row) = self.grid.rows.pop_front() {
            self.history.push(&row, &self.clusters, &self.styles);
        }
        self.cursor.y = self.cursor.y.saturating_sub(1);
    }

    fn newest_wraps(&self) -> bool {
        let newest = self.history.len().checked_sub(1);
        newest.and_then(|i| self.history.line(i)).is_some_and(|(line, _)| line.wrap)
    }

    /// Takes the newest line of the history back, its rows cut at `cols`.
    fn take_back_line(&mut self, cols: usize) -> VecDeque<Row> {
        let mut rows = VecDeque::new();
        for i in 0..REJOIN_ROWS_MAX {
            if i > 0 && !self.newest_wraps() {
                break;
            }
            let Some(row) = self.take_back() else { break };
            rows.push_front(row);
        }
        let wraps = rows.back().is_some_and(|row| row.wrap);
        let special = rows.iter().any(|row| row.special);
        let born = rows.front().map(|row| row.born).unwrap_or_default();
        let mut line = Vec::new();
        for row in &mut rows {
            if row.cells.last().is_some_and(|c| c.is(Cell::SPACER)) {
                row.cells.pop();
            }
            line.append(&mut row.cells);
        }
        let mut out = VecDeque::new();
        cut(
            &line,
            cols,
            Row { born, special, rich: true, styled: true, ..Row::default() },
            &mut out,
        );
        if let Some(last) = out.back_mut() {
            last.wrap = wraps && last.cells.len() == cols;
        }
        out
    }

    /// The newest row of the history, as it was on the screen.
    fn take_back(&mut self) -> Option<Row> {
        let (line, pens) = self.history.pop()?;
        Some(self.row_from(&line, &pens))
    }

    /// A row of the history as it was on the screen.
    pub(super) fn row_from(&mut self, line: &Line, pens: &[Pen]) -> Row {
        let styles: Vec<u16> = line
            .runs
            .iter()
            .map(|run| match run.style.checked_sub(1) {
                None => 0,
                Some(i) => self.intern(pens.get(usize::from(i)).copied().unwrap_or_default()),
            })
            .collect();
        let mut next = styles.iter();
        let stamp = self.stamp();
        let row = decode(line, &mut self.clusters, |_| next.next().copied().unwrap_or(0));
        Row { born: stamp, ..row }
    }

    /// Cuts the lines of the main screen anew at `cols`, the cursor staying on its character.
    fn rewrap(&mut self, cols: usize) {
        for _ in 0..REJOIN_ROWS_MAX {
            if !self.newest_wraps() {
                break;
            }
            let Some(row) = self.take_back() else { break };
            self.grid.rows.push_front(row);
            self.cursor.y += 1;
        }
        let old = std::mem::take(&mut self.grid.rows);
        let mut out: VecDeque<Row> = VecDeque::with_capacity(old.len());
        let mut line: Vec<Cell> = Vec::new();
        let mut born = None;
        let mut special = false;
        let mut cursor_at = None;
        let mut cursor = self.cursor;
        for (y, mut row) in old.into_iter().enumerate() {
            let born_here = *born.get_or_insert(row.born);
            if y == self.cursor.y {
                cursor_at = Some(line.len() + self.cursor.x + usize::from(self.cursor.pending));
            }
            if row.cells.last().is_some_and(|c| c.is(Cell::SPACER)) {
                row.cells.pop();
            }
            special |= row.special;
            let used = if row.wrap { row.cells.len() } else { row.used_len() };
            line.extend_from_slice(&row.cells[..used]);
            if row.wrap {
                continue;
            }
            let first = out.len();
            cut(
                &line,
                cols,
                Row { born: born_here, special, rich: true, styled: true, ..Row::default() },
                &mut out,
            );
            if let Some(at) = cursor_at.take() {
                cursor = place(&out, first, at, cols);
                out.resize_with(out.len().max(cursor.y + 1), Row::default);
            }
            line.clear();
            born = None;
            special = false;
        }
        if !line.is_empty() || cursor_at.is_some() {
            let first = out.len();
            let like = Row {
                born: born.unwrap_or_default(),
                special,
                rich: true,
                styled: true,
                ..Row::default()
            };
            cut(&line, cols, like, &mut out);
            if let Some(at) = cursor_at {
                cursor = place(&out, first, at, cols);
                out.resize_with(out.len().max(cursor.y + 1), Row::default);
            }
        }
        self.cursor = cursor;
        self.grid.rows = out;
    }
}

fn clamp(cursor: Cursor, cols: usize, rows: usize) -> Cursor {
    Cursor {
        x: cursor.x.min(cols - 1),
        y: cursor.y.min(rows - 1),
        pending: cursor.pending && cursor.x == cols - 1,
    }
}

/// Appends `line` to `out` in rows of `cols` cells; a wide character is never cut in two. Where
/// there is one column alone it leaves a blank for good: other terminals have no such windows.
fn cut(line: &[Cell], cols: usize, like: Row, out: &mut VecDeque<Row>) {
    let mut row = like.clone();
    let mut i = 0;
    while i < line.len() {
        let mut cell = line[i];
        let wide = cell.is(Cell::WIDE) && line.get(i + 1).is_some_and(|c| c.is(Cell::TAIL));
        let mut width = if wide { 2 } else { 1 };
        if wide && cols < 2 {
            cell = Cell::blank(cell.style);
            width = 1;
            i += 1;
        }
        if row.cells.len() + width > cols {
            if row.cells.len() < cols {
                row.cells.push(Cell { ch: 0x20, style: 0, flags: Cell::SPACER });
                row.special = true;
            }
            row.wrap = true;
            out.push_back(std::mem::replace(&mut row, like.clone()));
        }
        row.cells.push(cell);
        if width == 2 {
            row.cells.push(line[i + 1]);
            i += 1;
        }
        i += 1;
    }
    out.push_back(row);
}

/// Where offset `at` of the line that begins at row `first` of `out` has come to lie.
fn place(out: &VecDeque<Row>, first: usize, at: usize, cols: usize) -> Cursor {
    let mut rest = at;
    let last = out.len() - 1;
    for (y, row) in out.iter().enumerate().skip(first) {
        let spacer = row.cells.last().is_some_and(|c| c.is(Cell::SPACER));
        let len = row.cells.len() - usize::from(spacer);
        if rest < len || (y == last && rest < cols) {
            return Cursor { x: rest.min(cols - 1), y, pending: false };
        }
        if y == last {
            break;
        }
        rest -= len;
    }
    Cursor { x: cols - 1, y: last, pending: rest == cols && out[last].cells.len() == cols }
}
