//! Scrollback: rows that left the top of the screen, kept as UTF-8 text with runs of style.

use std::collections::VecDeque;

use super::grid::{CLUSTER_BASE, Cell, ClusterTable, Row};
use super::style::{Pen, STYLES_MAX, StyleTable};

/// Most bytes of history kept, whatever the number of rows asked for.
pub const HISTORY_BYTES_MAX: usize = 64 << 20;
/// A chunk is closed once its text has this many bytes, so that old history can be dropped whole.
const CHUNK_BYTES: usize = 256 << 10;
/// ... or this many rows, which bounds what chunks of empty rows cost.
const CHUNK_ROWS: usize = 16_384;

/// How the characters of a run lie on cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lay {
    /// Each character takes one cell.
    Narrow,
    /// Each character takes two cells.
    Wide,
    /// ASCII takes one cell each, other characters take two each.
    Mixed,
    /// All characters together take one cell.
    NarrowCluster,
    /// All characters together take two cells.
    WideCluster,
    /// One blank at the end of the row, where a wide character did not fit.
    Spacer,
}

/// Characters of one style, laid out one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Bytes of text it covers.
    pub len: u32,
    pub style: u16,
    pub lay: Lay,
}

/// A row as text and runs. No run means one narrow run in the default style.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Line {
    pub text: String,
    pub runs: Vec<Run>,
    pub wrap: bool,
}

#[derive(Clone, Copy, Debug)]
struct RowEnd {
    text: u32,
    runs: u32,
    wrap: bool,
}

#[derive(Clone, Debug, Default)]
struct Chunk {
    text: Vec<u8>,
    runs: Vec<Run>,
    rows: Vec<RowEnd>,
    /// Pens by the chunk's own numbers, so that a chunk outlives the screen's numbering.
    pens: Vec<Pen>,
}

impl Chunk {
    fn bytes(&self) -> usize {
        self.text.capacity()
            + self.runs.capacity() * size_of::<Run>()
            + self.rows.capacity() * size_of::<RowEnd>()
            + self.pens.capacity() * size_of::<Pen>()
    }

    fn ends_before(&self, row: usize) -> (usize, usize) {
        match row.checked_sub(1) {
            None => (0, 0),
            Some(prev) => (self.rows[prev].text as usize, self.rows[prev].runs as usize),
        }
    }
}

/// The rows that scrolled off the main screen, oldest first.
#[derive(Clone, Debug)]
pub(super) struct History {
    chunks: VecDeque<Chunk>,
    /// Rows of the oldest chunk that no longer count.
    skipped: usize,
    rows: usize,
    rows_max: usize,
    /// From the screen's style numbers to the newest chunk's, plus one; 0 is not yet numbered.
    numbers: Vec<u16>,
    closed_bytes: usize,
}

impl History {
    pub(super) fn new(rows_max: usize) -> History {
        History {
            chunks: VecDeque::new(),
            skipped: 0,
            rows: 0,
            rows_max,
            numbers: Vec::new(),
            closed_bytes: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows
    }

    pub(super) fn clear(&mut self) {
        *self = History::new(self.rows_max);
    }

    /// Must be called when the screen renumbers its styles.
    pub(super) fn forget_numbers(&mut self) {
        if self.chunks.back().is_some_and(|c| !c.rows.is_empty()) {
            self.open_chunk();
        }
        self.numbers.clear();
    }

    pub(super) fn bytes(&self) -> usize {
        self.closed_bytes + self.chunks.back().map_or(0, Chunk::bytes) + self.numbers.capacity() * 2
    }

    #[inline]
    pub(super) fn push(&mut self, row: &Row, clusters: &ClusterTable, styles: &StyleTable) {
        if self.rows_max == 0 {
            return;
        }
        let full = self.chunks.back().is_none_or(|c| {
            c.text.len() >= CHUNK_BYTES || c.rows.len() >= CHUNK_ROWS || c.pens.len() >= STYLES_MAX
        });
        if full {
            self.open_chunk();
        }
        let Some(chunk) = self.chunks.back_mut() else { return };
        let numbers = &mut self.numbers;
        let pens = &mut chunk.pens;
        encode(row, clusters, &mut chunk.text, &mut chunk.runs, |style| {
            if style == 0 {
                return 0;
            }
            let i = usize::from(style);
            if i >= numbers.len() {
                numbers.resize(i + 1, 0);
            }
            if numbers[i] == 0 {
                pens.push(styles.pen(style));
                numbers[i] = pens.len() as u16;
            }
            numbers[i]
        });
        chunk.rows.push(RowEnd {
            text: chunk.text.len() as u32,
            runs: chunk.runs.len() as u32,
            wrap: row.wrap,
        });
        self.rows += 1;
        if self.rows > self.rows_max {
            self.drop_oldest();
        }
    }

    fn open_chunk(&mut self) {
        self.closed_bytes += self.chunks.back().map_or(0, Chunk::bytes);
        let mut fresh = Chunk::default();
        if let Some(last) = self.chunks.back() {
            fresh.text.reserve(last.text.len().min(CHUNK_BYTES + CHUNK_BYTES / 8));
            fresh.rows.reserve(last.rows.len());
        }
        self.chunks.push_back(fresh);
        self.numbers.clear();
        while self.closed_bytes > HISTORY_BYTES_MAX && self.chunks.len() > 1 {
            self.drop_chunk();
        }
    }

    fn drop_oldest(&mut self) {
        self.rows -= 1;
        self.skipped += 1;
        if self.chunks.len() > 1
            && self.chunks.front().is_some_and(|c| self.skipped >= c.rows.len())
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.skipped -= chunk.rows.len();
            self.closed_bytes -= chunk.bytes();
        }
    }

    fn drop_chunk(&mut self) {
        if let Some(chunk) = self.chunks.pop_front() {
            self.closed_bytes -= chunk.bytes();
            self.rows -= chunk.rows.len() - self.skipped.min(chunk.rows.len());
            self.skipped = 0;
        }
    }

    /// Row `index` (0 is the oldest), its runs numbered by position in the returned pens.
    pub(super) fn line(&self, index: usize) -> Option<(Line, &[Pen])> {
        let mut row = index.checked_add(self.skipped)?;
        let chunk = self.chunks.iter().find(|c| match row.checked_sub(c.rows.len()) {
            Some(rest) => {
                row = rest;
                false
            }
            None => true,
        })?;
        let (text_at, runs_at) = chunk.ends_before(row);
        let end = chunk.rows[row];
        let text = String::from_utf8_lossy(&chunk.text[text_at..end.text as usize]).into_owned();
        let runs = chunk.runs[runs_at..end.runs as usize].to_vec();
        Some((Line { text, runs, wrap: end.wrap }, &chunk.pens))
    }

    /// Takes the newest row back.
    pub(super) fn pop(&mut self) -> Option<(Line, Vec<Pen>)> {
        let newest = self.rows.checked_sub(1)?;
        let (line, pens) = self.line(newest)?;
        let pens = pens.to_vec();
        while self.chunks.back().is_some_and(|c| c.rows.is_empty()) {
            self.chunks.pop_back();
            self.closed_bytes -= self.chunks.back().map_or(0, Chunk::bytes);
            self.numbers.clear();
        }
        let chunk = self.chunks.back_mut()?;
        chunk.rows.pop();
        let (text, runs) = chunk.ends_before(chunk.rows.len());
        chunk.text.truncate(text);
        chunk.runs.truncate(runs);
        self.rows = newest;
        Some((line, pens))
    }
}

/// Appends the text of `row` up to its last used cell to `text`, and its runs to `runs`, with
/// styles renumbered by `number`. A row of narrow characters in the default style has no runs.
pub(super) fn encode(
    row: &Row,
    clusters: &ClusterTable,
    text: &mut Vec<u8>,
    runs: &mut Vec<Run>,
    mut number: impl FnMut(u16) -> u16,
) {
    let cells = if row.wrap { &row.cells[..] } else { &row.cells[..row.used_len()] };
    if !row.rich {
        text.extend(cells.iter().map(|c| c.ch as u8));
        let mut rest = if row.styled { cells } else { &[] };
        let first_run = runs.len();
        while let Some(first) = rest.first() {
            let len = rest.iter().position(|c| c.style != first.style).unwrap_or(rest.len());
            runs.push(Run { len: len as u32, style: number(first.style), lay: Lay::Narrow });
            rest = &rest[len..];
        }
        if let [Run { style: 0, .. }] = runs[first_run..] {
            runs.truncate(first_run);
        }
        return;
    }
    encode_mixed(cells, clusters, text, runs, number);
}

fn encode_mixed(
    cells: &[Cell],
    clusters: &ClusterTable,
    text: &mut Vec<u8>,
    runs: &mut Vec<Run>,
    mut number: impl FnMut(u16) -> u16,
) {
    let first_run = runs.len();
    let mut out = Utf8::new(text, cells.len());
    let mut rest = cells;
    while let Some(first) = rest.first() {
        let at = out.len;
        let style = first.style;
        let (lay, used) = match (first.ch >= CLUSTER_BASE, first.flags) {
            (false, 0) => (Lay::Narrow, push_narrow(rest, &mut out)),
            (false, Cell::WIDE) => push_wide(rest, &mut out),
            (_, flags) => {
                clusters.chars(first.ch).for_each(|c| out.push(c));
                match flags {
                    Cell::WIDE => (Lay::WideCluster, 2),
                    Cell::SPACER => (Lay::Spacer, 1),
                    _ => (Lay::NarrowCluster, 1),
                }
            }
        };
        rest = &rest[used.clamp(1, rest.len())..];
        let plain = rest.is_empty() && style == 0 && lay == Lay::Narrow && runs.len() == first_run;
        if !plain {
            runs.push(Run { len: (out.len - at) as u32, style: number(style), lay });
        }
    }
}

/// Appends the narrow characters at the start of `cells` that share a style. Returns how many
/// cells they are.
fn push_narrow(cells: &[Cell], out: &mut Utf8<'_>) -> usize {
    let style = cells[0].style;
    let like = |c: &&Cell| c.style == style && c.flags == 0 && c.ch < CLUSTER_BASE;
    cells.iter().take_while(like).map(|cell| out.push(cell.ch)).count()
}

/// Appends the wide characters at the start of `cells` that share a style, and the ASCII between
/// and after them. Returns how they lie, and how many cells they are.
fn push_wide(cells: &[Cell], out: &mut Utf8<'_>) -> (Lay, usize) {
    let style = cells[0].style;
    let (mut rest, mut lay) = (cells, Lay::Wide);
    loop {
        match rest {
            [cell @ Cell { flags: Cell::WIDE, ch: ..CLUSTER_BASE, .. }, _, later @ ..]
                if cell.style == style =>
            {
                out.push(cell.ch);
                rest = later;
            }
            [cell @ Cell { flags: 0, ch: ..0x80, .. }, later @ ..] if cell.style == style => {
                out.push(cell.ch);
                lay = Lay::Mixed;
                rest = later;
            }
            _ => return (lay, cells.len() - rest.len()),
        }
    }
}

/// Appends characters to a text, in room made before.
struct Utf8<'a> {
    text: &'a mut Vec<u8>,
    len: usize,
}

impl Utf8<'_> {
    /// Room for `chars` characters; more is made when that is used up.
    fn new(text: &mut Vec<u8>, chars: usize) -> Utf8<'_> {
        let len = text.len();
        text.resize(len + 4 * chars, 0);
        Utf8 { text, len }
    }

    #[inline(always)]
    fn push(&mut self, c: u32) {
        let tail = |shift: u32| 0x80 | (c >> shift & 0x3f);
        let (bytes, len) = match c {
            0..0x80 => (c, 1),
            0x80..0x800 => (0xc0 | c >> 6 | tail(0) << 8, 2),
            0x800..0x1_0000 => (0xe0 | c >> 12 | tail(6) << 8 | tail(0) << 16, 3),
            _ => (0xf0 | c >> 18 | tail(12) << 8 | tail(6) << 16 | tail(0) << 24, 4),
        };
        if self.text.len() < self.len + 4 {
            // Clusters take more than their cells promise.
            self.text.resize(self.len + 64, 0);
        }
        self.text[self.len..self.len + 4].copy_from_slice(&bytes.to_le_bytes());
        self.len += len;
    }
}

impl Drop for Utf8<'_> {
    fn drop(&mut self) {
        self.text.truncate(self.len);
    }
}

/// Puts `line` back into cells, its pens numbered by `number`.
pub(super) fn decode(
    line: &Line,
    clusters: &mut ClusterTable,
    mut number: impl FnMut(u16) -> u16,
) -> Row {
    let mut row = Row { wrap: line.wrap, rich: true, styled: true, ..Row::default() };
    let whole = [Run { len: line.text.len() as u32, style: 0, lay: Lay::Narrow }];
    let runs = if line.runs.is_empty() { &whole[..] } else { &line.runs };
    let mut at = 0;
    for run in runs {
        let text = line.text.get(at..at + run.len as usize).unwrap_or("");
        at += run.len as usize;
        let style = number(run.style);
        match run.lay {
            Lay::Narrow => row.cells.extend(text.chars().map(|c| Cell::new(c as u32, style))),
            Lay::Wide | Lay::Mixed => {
                for c in text.chars() {
                    match run.lay == Lay::Mixed && c.is_ascii() {
                        true => row.cells.push(Cell::new(c as u32, style)),
                        false => row.put_wide(row.cells.len(), c as u32, style),
                    }
                }
            }
            Lay::NarrowCluster | Lay::WideCluster => {
                row.special = true;
                let ch = clusters.intern(text).unwrap_or(0xfffd);
                match run.lay {
                    Lay::WideCluster => row.put_wide(row.cells.len(), ch, style),
                    _ => row.cells.push(Cell::new(ch, style)),
                }
            }
            Lay::Spacer => {
                row.special = true;
                row.cells.push(Cell { ch: 0x20, style, flags: Cell::SPACER });
            }
        }
    }
    row
}
