//! JSON lines as crashes leave them: what is readable is read, the rest is said with its place.

use super::Value;
use super::read::{Error, ErrorKind, Source, line_len};
use super::tape::{Tape, View};
use std::ops::ControlFlow;

/// The longest line that is read; a longer one is reported and passed over.
pub const LINE_LEN_MAX: usize = 32 << 20;
/// How many first member names of whole records are remembered, to know a record's beginning
/// inside a broken line.
const OPENINGS_MAX: usize = 64;
/// How many places of one broken line are tried as the beginning of a record: each try reads on
/// to the end of what it finds, and a line made for it could have millions of them.
pub(super) const TRIES_MAX: usize = 256;

/// One record of a JSON lines text, or one span that is none.
#[derive(Clone, Debug)]
pub struct Record<V = Value> {
    /// Where it begins, in bytes from the start of the text.
    pub offset: u64,
    /// How many bytes it takes, without its line feed.
    pub len: u64,
    /// Its line, from 1.
    pub line: u64,
    /// The value, or what is wrong with the span.
    pub value: Result<V, ErrorKind>,
}

impl Record<View<'_>> {
    /// A copy to keep.
    pub fn to_owned(&self) -> Record {
        let value = self.value.map(View::to_value);
        Record { offset: self.offset, len: self.len, line: self.line, value }
    }
}

/// Reads a text that is handed over in pieces of any size, and keeps no more than one line of it.
#[derive(Debug, Default)]
pub struct Feed {
    pending: Vec<u8>,
    /// Length of a line that has grown past the limit and is being passed over.
    skipped: u64,
    offset: u64,
    line: u64,
    openings: Vec<String>,
    tape: Tape,
}

impl Feed {
    /// A reader at the start of a text.
    pub fn new() -> Feed {
        Feed::default()
    }

    /// Takes the next piece, and hands every record that it completes to `sink`.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Record)) {
        let _ = self.take(bytes, &mut |record| {
            sink(record.to_owned());
            ControlFlow::Continue(())
        });
    }

    /// The same without a copy of each record, up to the line of the record at which `sink`
    /// breaks off.
    fn take(&mut self, mut bytes: &[u8], sink: &mut Until<'_>) -> ControlFlow<()> {
        loop {
            let end = line_len(bytes);
            if end == bytes.len() {
                break;
            }
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            let mut flow = ControlFlow::Continue(());
            let each = &mut |record: Record<View<'_>>| {
                if flow.is_continue() {
                    flow = sink(record);
                }
            };
            if self.pending.is_empty() && self.skipped == 0 {
                self.line(line, each);
            } else {
                self.keep(line);
                self.flush(each);
            }
            self.offset += 1;
            bytes = rest;
            flow?;
        }
        self.keep(bytes);
        ControlFlow::Continue(())
    }

    /// The text ends here: a last line without its line feed is read like any other.
    pub fn finish(&mut self, sink: &mut dyn FnMut(Record)) {
        self.flush(&mut |record| sink(record.to_owned()));
    }

    /// How many bytes of an unfinished line are held.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.skipped > 0 || self.pending.len() + bytes.len() > LINE_LEN_MAX {
            self.skipped += (self.pending.len() + bytes.len()) as u64;
            self.pending = Vec::new();
        } else {
            self.pending.extend_from_slice(bytes);
        }
    }

    fn flush(&mut self, sink: &mut Sink<'_>) {
        let skipped = std::mem::take(&mut self.skipped);
        if skipped > 0 {
            self.line += 1;
            let (offset, line) = (self.offset, self.line);
            sink(Record { offset, len: skipped, line, value: Err(ErrorKind::Long) });
            self.offset += skipped;
        } else if !self.pending.is_empty() {
            let mut pending = std::mem::take(&mut self.pending);
            self.line(&pending, sink);
            pending.clear();
            self.pending = pending;
        }
    }

    fn line(&mut self, line: &[u8], sink: &mut Sink<'_>) {
        self.line += 1;
        let (offset, number) = (self.offset, self.line);
        self.offset += line.len() as u64;
        if line.len() > LINE_LEN_MAX {
            let len = line.len() as u64;
            sink(Record { offset, len, line: number, value: Err(ErrorKind::Long) });
            return;
        }
        split(line, &mut self.tape, &mut self.openings, &mut |start, len, value| {
            sink(Record { offset: offset + start as u64, len: len as u64, line: number, value });
        });
    }
}

/// Takes one record after the other.
pub(super) type Sink<'s> = dyn FnMut(Record<View<'_>>) + 's;
/// The same, and says whether to go on.
type Until<'s> = dyn FnMut(Record<View<'_>>) -> ControlFlow<()> + 's;

/// A text that is handed over in pieces, from its start each time.
pub trait Pieces {
    /// Hands the text over, piece after piece, up to the one at which `take` breaks off.
    fn each(&self, take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>);
}

/// A text that lies in memory is one piece.
impl Pieces for &[u8] {
    fn each(&self, take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        let _ = take(self);
    }
}

/// Hands every record of a text to `sink`, which keeps what it wants of it.
pub fn visit(text: &dyn Pieces, sink: &mut dyn FnMut(Record<View<'_>>)) {
    visit_until(text, &mut |record| {
        sink(record);
        ControlFlow::Continue(())
    });
}

/// The same, up to the line of the record at which `sink` breaks off.
pub fn visit_until(text: &dyn Pieces, sink: &mut Until<'_>) {
    let mut feed = Feed::new();
    let mut flow = ControlFlow::Continue(());
    text.each(&mut |piece| {
        flow = feed.take(piece, sink);
        flow
    });
    if flow.is_continue() {
        feed.flush(&mut |record| {
            if flow.is_continue() {
                flow = sink(record);
            }
        });
    }
}

/// Reads values again whose places are known: of each its first byte and its length, at most
/// [`LINE_LEN_MAX`], in the order in which they stand in the text. What lies between them is not
/// looked at. `sink` is called with the first byte of each, and with null where there is no value;
/// it is not called for places that overlap one before them, or that the text does not have.
pub fn visit_places(
    text: &dyn Pieces,
    places: &mut dyn Iterator<Item = (u64, usize)>,
    sink: &mut dyn FnMut(u64, View<'_>),
) {
    let mut tape = Tape::default();
    let mut held: Vec<u8> = Vec::new();
    // How much of the text lies before the piece at hand, and where the last value ended.
    let (mut before, mut ended) = (0u64, 0u64);
    let mut next = places.next();
    text.each(&mut |piece| {
        while let Some((offset, len)) = next {
            let len = len.min(LINE_LEN_MAX);
            // Where the part begins that is not held yet.
            let start = offset.saturating_add(held.len() as u64).checked_sub(before);
            let start = start.filter(|_| offset >= ended);
            let Some(start) = start.and_then(|start| usize::try_from(start).ok()) else {
                next = places.next();
                continue;
            };
            let Some(rest) = piece.get(start..).filter(|rest| !rest.is_empty() || len == 0) else {
                break;
            };
            let wanted = len - held.len();
            if rest.len() < wanted {
                held.extend_from_slice(rest);
                break;
            }
            let value = if held.is_empty() {
                &rest[..wanted]
            } else {
                held.extend_from_slice(&rest[..wanted]);
                held.as_slice()
            };
            let read = Source::of(value).prefix(&mut tape);
            sink(offset, read.map_or(View::NULL, |(value, _)| value));
            held.clear();
            ended = offset + len as u64;
            next = places.next();
        }
        before += piece.len() as u64;
        match next {
            Some(_) => ControlFlow::Continue(()),
            None => ControlFlow::Break(()),
        }
    });
}

/// The records of a text that lies in memory.
pub fn records(text: &[u8]) -> Records<'_> {
    Records { text, feed: Feed::new(), ready: Default::default() }
}

/// An iterator over the records of a text; see [`records`].
#[derive(Debug)]
pub struct Records<'a> {
    text: &'a [u8],
    feed: Feed,
    ready: std::collections::VecDeque<Record>,
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        while self.ready.is_empty() && !self.text.is_empty() {
            let end = line_len(self.text);
            let ready = &mut self.ready;
            self.feed.line(&self.text[..end], &mut |record| ready.push_back(record.to_owned()));
            self.feed.offset += 1;
            self.text = self.text.get(end + 1..).unwrap_or_default();
        }
        self.ready.pop_front()
    }
}

/// Takes a record: where it begins and ends in its line, and what it is.
type Piece<'a> = &'a mut dyn FnMut(usize, usize, Result<View<'_>, ErrorKind>);

/// Takes one line apart: NUL blocks (a file system's answer to a power cut), glued records, and
/// records that begin inside the ruin of another.
fn split(line: &[u8], tape: &mut Tape, openings: &mut Vec<String>, sink: Piece<'_>) {
    let source = Source::of(line);
    let mut at = 0;
    let mut tries = 0;
    while let Some(start) = line[at..].iter().position(|b| !filler(*b)).map(|n| at + n) {
        // A byte order mark is white space here, at the start of a file as after a glued copy.
        if line[start..].starts_with(b"\xef\xbb\xbf") {
            at = start + 3;
            continue;
        }
        let whole = source.from(start).prefix(tape).map_err(|Error { kind, .. }| kind);
        match whole.and_then(|(value, len)| record(value, len, &line[start + len..])) {
            Ok((value, len)) => {
                remember(value, openings);
                sink(start, len, Ok(value));
                at = start + len;
            }
            Err(kind) => {
                let mut end = next_opening(line, source, start + 1, openings, &mut tries);
                at = end;
                while end > start && filler(line[end - 1]) {
                    end -= 1;
                }
                sink(start, end - start, Err(kind));
            }
        }
    }
}

/// A record is an object or an array, or any value that has its line to itself: in the tail of a
/// torn record a string or a number reads well and means nothing.
fn record<'a>(value: View<'a>, len: usize, rest: &[u8]) -> Result<(View<'a>, usize), ErrorKind> {
    let nested = value.is_object() || value.is_array();
    match nested || rest.iter().all(|b| filler(*b)) {
        true => Ok((value, len)),
        false => Err(ErrorKind::Trailing),
    }
}

/// White space and NULs: nothing to report between records.
fn filler(b: u8) -> bool {
    matches!(b, 0 | b' ' | b'\t' | b'\r' | b'\n')
}

fn remember(value: View<'_>, openings: &mut Vec<String>) {
    let Some((name, _)) = value.members().next() else { return };
    if openings.len() < OPENINGS_MAX && !openings.iter().any(|o| o == name) {
        openings.push(name.to_owned());
    }
}

/// Where, from `from` on, a record may begin inside a broken line: after a NUL block, or at an
/// object that opens as whole records of this text have opened and that reads to its end. Any
/// other object is taken for a part of the broken record, not for a record. The line's end, where
/// there is none.
fn next_opening(
    line: &[u8],
    source: Source<'_>,
    from: usize,
    openings: &[String],
    tries: &mut usize,
) -> usize {
    let mut tape = Tape::default();
    for at in from..line.len() {
        if line[at - 1] == 0 && line[at] != 0 {
            return at;
        }
        if line[at] == b'{' && opens_like(&line[at..], openings) {
            if *tries == TRIES_MAX {
                return line.len();
            }
            *tries += 1;
            if let Ok((_, len)) = source.from(at).prefix(&mut tape) {
                let after = line[at + len..].iter().find(|b| !filler(**b));
                if after.is_none_or(|b| *b == b'{') {
                    return at;
                }
            }
        }
    }
    line.len()
}

fn opens_like(text: &[u8], openings: &[String]) -> bool {
    openings.iter().any(|name| {
        let rest = text.strip_prefix(b"{\"").and_then(|r| r.strip_prefix(name.as_bytes()));
        rest.is_some_and(|r| r.starts_with(b"\":"))
    })
}
