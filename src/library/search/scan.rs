//! The words of a query in text that comes in pieces, without more of it in memory than the lines
//! around a hit.

use std::ops::Range;

use super::{Found, LINE_LEN_MAX, Query};

/// Words belong together on the screen if they are so many lines apart or nearer.
pub(super) const NEAR_LINES: usize = 2;

/// Text that is collected before it is looked through.
const WINDOW_LEN: usize = 256 << 10;

/// A piece this long is looked through where it is, and copied only if something is found.
pub(super) const PASSED_LEN_MIN: usize = 4 << 10;

/// A line that is longer is looked through before its end is known.
const PENDING_LEN_MAX: usize = 1 << 20;

/// Says of a piece of text whether it is what was written. That costs, and is asked only when it
/// matters.
pub(super) trait Doubt: Copy {
    /// Whether it is, being `piece`.
    fn holds(&self, piece: &[u8]) -> bool;

    /// The piece once more; None if it is not what was written.
    fn again(&self) -> Option<Vec<u8>>;
}

/// Text on its way past a query.
#[derive(Debug)]
pub(super) struct Scan<'q, D> {
    query: &'q Query,
    /// Whole pieces, the first bytes of which may have been looked through.
    text: Vec<u8>,
    /// Up to here it was looked through; the start of a line.
    next: usize,
    /// How much there was when it was last looked through.
    looked: usize,
    /// Where pieces begin, and their times.
    marks: Vec<(usize, u64)>,
    /// So many bytes of the text are the end of a piece that was passed over unchecked.
    doubted: Option<(usize, D)>,
    /// Where two pieces meet.
    seam: Vec<u8>,
}

impl<'q, D: Doubt> Scan<'q, D> {
    pub(super) fn new(query: &'q Query) -> Scan<'q, D> {
        Scan {
            query,
            text: Vec::new(),
            next: 0,
            looked: 0,
            marks: Vec::new(),
            doubted: None,
            seam: Vec::new(),
        }
    }

    /// Takes a piece that was seen at `t_us`, and hands over what is found up to it. Of a piece
    /// that is in `doubt` nothing is handed over before it is checked.
    pub(super) fn feed(
        &mut self,
        t_us: u64,
        piece: &[u8],
        doubt: Option<D>,
        found: &mut dyn FnMut(u64, Found),
    ) {
        if piece.len() >= PASSED_LEN_MIN && self.pass(t_us, piece, doubt, found) {
            return;
        }
        if doubt.is_some_and(|doubt| !doubt.holds(piece)) {
            return;
        }
        if self.marks.last().is_none_or(|(_, last_us)| *last_us != t_us) {
            self.marks.push((self.text.len(), t_us));
        }
        self.text.extend_from_slice(piece);
        if self.text.len() - self.looked >= WINDOW_LEN {
            self.run(self.text.len() - self.next >= PENDING_LEN_MAX, found);
            self.forget();
            self.looked = self.text.len();
        }
    }

    /// Lines around a hit's own that matter.
    fn around(&self) -> usize {
        match self.query.needles.len() {
            1 => self.query.context,
            _ => NEAR_LINES.max(self.query.context),
        }
    }

    /// Passes over a piece, if no word is in it and no hit before it waits for its lines: of the
    /// most of a large store nothing is kept but the last lines.
    fn pass(
        &mut self,
        t_us: u64,
        piece: &[u8],
        doubt: Option<D>,
        found: &mut dyn FnMut(u64, Found),
    ) -> bool {
        let Some(rarest) = self.query.needles.first() else { return false };
        if self.text.len() - self.next > WINDOW_LEN || rarest.find(piece, 0).is_some() {
            return false;
        }
        let reach = piece.len().saturating_sub(rarest.len());
        let kept = lines_around(piece, &line_around(piece, reach, reach), self.around()).start;
        if kept == 0 {
            return false;
        }
        if self.looked < self.text.len() {
            self.run(false, found);
            self.forget();
            self.looked = self.text.len();
        }
        self.seam.clear();
        let seam = self.text.len().saturating_sub(rarest.len()).max(self.next);
        self.seam.extend_from_slice(&self.text[seam..]);
        self.seam.extend_from_slice(&piece[..rarest.len().min(piece.len())]);
        if rarest.find(&self.text, self.next).is_some() || rarest.find(&self.seam, 0).is_some() {
            return false;
        }
        self.text.clear();
        self.text.extend_from_slice(&piece[kept..]);
        self.next = self.line_of_reach(rarest.len());
        self.looked = self.text.len();
        self.marks.clear();
        self.marks.push((0, t_us));
        self.doubted = doubt.map(|doubt| (self.text.len(), doubt));
        true
    }

    /// Makes sure of the text, which is about to be shown; false when a part of it had to go.
    fn check(&mut self) -> bool {
        let Some((len, doubt)) = self.doubted.take() else { return true };
        let again = doubt.again();
        let own = again.as_deref().and_then(|piece| piece.get(piece.len().checked_sub(len)?..));
        if own == Some(&self.text[..len]) {
            return true;
        }
        self.drop_front(len);
        false
    }

    /// Lets go of the first bytes.
    fn drop_front(&mut self, len: usize) {
        self.text.drain(..len);
        self.next = self.next.saturating_sub(len);
        self.looked = self.looked.saturating_sub(len);
        let first = self.marks.partition_point(|(start, _)| *start <= len).saturating_sub(1);
        self.marks.drain(..first);
        self.marks.iter_mut().for_each(|(start, _)| *start = start.saturating_sub(len));
        self.doubted = self.doubted.and_then(|(doubted, doubt)| {
            let left = doubted.saturating_sub(len);
            (left > 0).then_some((left, doubt))
        });
    }

    /// The start of the line from which on a word may begin in this piece and end in the next.
    fn line_of_reach(&self, word_len: usize) -> usize {
        let reach = self.text.len().saturating_sub(word_len);
        line_around(&self.text, reach, reach).start
    }

    /// There is no more to come.
    pub(super) fn finish(mut self, found: &mut dyn FnMut(u64, Found)) {
        self.run(true, found);
    }

    /// Looks through what is there; what lacks lines after it waits for them, unless it is `last`.
    fn run(&mut self, last: bool, found: &mut dyn FnMut(u64, Found)) {
        let [rarest, others @ ..] = &self.query.needles[..] else { return };
        let around = self.around();
        while let Some(at) = rarest.find(&self.text, self.next) {
            if !self.check() {
                continue;
            }
            let line = line_around(&self.text, at.start, at.end);
            let near = match others.is_empty() {
                true => line.clone(),
                false => lines_around(&self.text, &line, NEAR_LINES),
            };
            let whole = lines_around(&self.text, &line, around);
            if !last && whole.end >= self.text.len() {
                // Nothing before this line can be a hit any more.
                self.next = line.start;
                return;
            }
            if others.iter().all(|needle| needle.find(&self.text[near.clone()], 0).is_some()) {
                let mark = self.marks.partition_point(|(start, _)| *start <= at.start);
                let t_us = mark.checked_sub(1).map_or(0, |mark| self.marks[mark].1);
                found(t_us, cut(&self.text, line.clone(), at.start, self.query.context));
            }
            self.next = (line.end + 1).min(self.text.len());
        }
        let from = if last {
            self.text.len().saturating_sub(rarest.len())
        } else {
            self.line_of_reach(rarest.len())
        };
        self.next = self.next.max(from);
    }

    /// Lets go of what no hit to come can show.
    fn forget(&mut self) {
        let around = self.around();
        let keep = lines_around(&self.text, &(self.next..self.next), around).start;
        let keep = keep.max(self.next.saturating_sub(PENDING_LEN_MAX));
        // Now and then, not for every line.
        if keep < self.text.len() / 2 {
            return;
        }
        self.drop_front(keep);
    }
}

/// All words of the query in one text, wherever they are in it.
pub(super) fn whole(query: &Query, text: &str) -> Option<Found> {
    let mut places = query.needles.iter().map(|needle| needle.find(text.as_bytes(), 0));
    let first = places.next()??;
    if !places.all(|place| place.is_some()) {
        return None;
    }
    let line = line_around(text.as_bytes(), first.start, first.end);
    Some(cut(text.as_bytes(), line, first.start, query.context))
}

/// The lines that a range of bytes touches, without the last line feed.
fn line_around(text: &[u8], start: usize, end: usize) -> Range<usize> {
    let from = text[..start].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let to = text[end..].iter().position(|b| *b == b'\n').map_or(text.len(), |at| end + at);
    from..to
}

/// A range of whole lines, and `count` more before and after it.
fn lines_around(text: &[u8], lines: &Range<usize>, count: usize) -> Range<usize> {
    let mut range = lines.clone();
    for _ in 0..count {
        if range.start > 0 {
            range.start = line_around(text, range.start - 1, range.start - 1).start;
        }
        if range.end < text.len() {
            range.end = line_around(text, range.end + 1, range.end + 1).end;
        }
    }
    range
}

/// The line of a hit, and those around it.
fn cut(text: &[u8], line: Range<usize>, hit: usize, context: usize) -> Found {
    let around = lines_around(text, &line, context);
    let lines = |range: &[u8]| -> Vec<String> {
        let lines = range.strip_suffix(b"\n").unwrap_or(range).split(|b| *b == b'\n');
        let cut =
            |line: &[u8]| String::from_utf8_lossy(&line[..line.len().min(LINE_LEN_MAX)]).into();
        lines.take(if range.is_empty() { 0 } else { context }).map(cut).collect()
    };
    // Of a line too long, the part around the hit.
    let from = line.start.max(hit.saturating_sub(LINE_LEN_MAX / 2));
    let own = String::from_utf8_lossy(&text[from..line.end.min(from + LINE_LEN_MAX)]);
    Found {
        line: own.trim_matches('\u{fffd}').replace('\n', " "),
        before: lines(&text[around.start..line.start]),
        after: lines(&text[(line.end + 1).min(around.end)..around.end]),
    }
}
