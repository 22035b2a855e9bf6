//! A session's settled text, in pieces with times: as it is kept, or made of what was recorded.

use std::io;

use super::stream::write_lines;
use super::{Library, Session};
use crate::format::recording::Action;
use crate::json::{Object, Value, View};
use crate::store::{Append, Chain, Item, Reader, Source, State, StreamId, Unchecked, Why, Writer};
use crate::term::Options;
use crate::term::transcript::{Line, Transcript};

/// How text is made of a recording; text that an older way made is made anew.
const TEXT_VERSION: u64 = 1;

/// Text is kept in records of about this length.
const RECORD_LEN: usize = 16 << 10;

/// A record holds lines of so many microseconds at most: its time is that of all of them.
const RECORD_SPAN_US: u64 = 1_000_000;

/// Of less output than this the text is made anew each time, which is as fast.
const KEEP_OUTPUT_MIN: u64 = 8 << 10;

/// Where in stream `text` the settled text stands, as the member `text` of the metadata says. It
/// is written last: text without it was begun and not finished.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeptText {
    offset: u64,
    len: u64,
}

impl KeptText {
    pub(super) fn from_meta(meta: View<'_>) -> Option<KeptText> {
        let kept = meta.get("text").filter(|kept| kept.u64_at("v") == Some(TEXT_VERSION))?;
        Some(KeptText { offset: kept.u64_at("off")?, len: kept.u64_at("len")? })
    }

    fn to_json(self) -> Value {
        let mut object = Object::new();
        for (name, value) in [("v", TEXT_VERSION), ("off", self.offset), ("len", self.len)] {
            object.insert(name, value);
        }
        Value::Object(object)
    }
}

/// Text that is kept, about to be read.
#[derive(Debug)]
pub(super) struct Kept {
    reader: Reader,
    kept: KeptText,
}

impl Kept {
    /// Where its pieces stand, for who wants one of them again.
    pub(super) fn source(&self) -> Source {
        self.reader.source()
    }

    /// Hands over its pieces, with their times; how many stretches cannot be read.
    fn each(self, take: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<u64> {
        self.go_through(true, &mut |t_us, bytes, _| take(t_us, bytes))
    }

    /// As [`Kept::each`], but a long piece may come before it is known whether it is what was
    /// written, and says so: one that is not would have been missing.
    pub(super) fn each_unchecked(self, take: Take<'_>) -> io::Result<u64> {
        self.go_through(false, take)
    }

    fn go_through(self, check: bool, take: Take<'_>) -> io::Result<u64> {
        let Kept { mut reader, kept } = self;
        let (mut skip, mut rest) = (kept.offset, kept.len);
        let mut damaged = 0;
        while rest > 0 {
            let (item, mut unchecked) = match check {
                true => (reader.next(), None),
                false => reader.next_unchecked(StreamId::TEXT),
            };
            match item {
                Item::Frame { stream: StreamId::TEXT, t_us, bytes, .. } => {
                    let from = skip.min(bytes.len() as u64);
                    let len = rest.min(bytes.len() as u64 - from);
                    // A part of a piece cannot be checked later.
                    if len < bytes.len() as u64
                        && unchecked.take().is_some_and(|frame| !frame.holds(bytes))
                    {
                        damaged += 1;
                        continue;
                    }
                    skip -= from;
                    rest -= len;
                    take(t_us, &bytes[from as usize..(from + len) as usize], unchecked)?;
                }
                Item::Frame { .. } => {}
                Item::Gap { why: Why::Damaged, .. } => damaged += 1,
                Item::Gap { .. } => {}
                Item::Tail | Item::End => break,
            }
        }
        Ok(damaged.max(u64::from(rest > 0)))
    }
}

/// Takes a piece of text: when it was seen, and whether it is still to be checked.
pub(super) type Take<'a> = &'a mut dyn FnMut(u64, &[u8], Option<Unchecked>) -> io::Result<()>;

impl Library {
    /// Hands over what a person saw, settled, in order: pieces of text, each with the time its
    /// first line was seen, in microseconds since the session's start. Returns how many stretches
    /// of the recording cannot be read. If the store was opened to write, the text is kept in it:
    /// making it takes far longer than reading it.
    ///
    /// # Errors
    /// Those of `take`.
    pub fn settled(
        &self,
        session: &Session,
        take: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> io::Result<u64> {
        match self.kept(session) {
            Some(kept) => kept.each(take),
            None => self.make_text(session, take),
        }
    }

    /// The text of a session that is kept.
    pub(super) fn kept(&self, session: &Session) -> Option<Kept> {
        let kept = session.text?;
        Some(Kept { reader: self.store.read(&session.entry, Chain::Notes), kept })
    }

    fn make_text(
        &self,
        session: &Session,
        take: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> io::Result<u64> {
        let mut keeping = Keeping::begin(self, session);
        let mut text = Vec::new();
        let damaged = self.lines(session, &mut |lines| {
            let Some(first) = lines.first() else { return Ok(()) };
            text.clear();
            write_lines(lines, &mut text)?;
            keeping.put(first.seen.time_us, &text);
            take(first.seen.time_us, &text)
        })?;
        if damaged == 0 {
            keeping.finish(self, session);
        }
        Ok(damaged)
    }

    /// Hands over the lines of the settled text as the recording gives them, and returns how many
    /// stretches of it cannot be read.
    pub(super) fn lines(
        &self,
        session: &Session,
        take: &mut dyn FnMut(&[Line]) -> io::Result<()>,
    ) -> io::Result<u64> {
        let options = Options { history_rows: 0, ..Options::default() };
        let mut transcript = Transcript::of(session.terminal(options));
        let mut at_us = 0;
        let damaged = self.shown(session, |t_us, shown| {
            at_us = t_us;
            match shown {
                Action::Output(bytes) => transcript.feed(t_us, bytes),
                Action::Resize(size) => transcript.resize(t_us, size),
                _ => {}
            }
            take(&transcript.take_lines())
        })?;
        take(&transcript.finish(at_us))?;
        Ok(damaged)
    }

    /// Hands over what was typed, in pieces with their times, microseconds since the session's
    /// start. A secret was not kept and is not among it.
    pub fn keystrokes(&self, session: &Session, take: &mut dyn FnMut(u64, &[u8])) {
        let mut reader = self.store.read(&session.entry, Chain::Tape);
        loop {
            match reader.next() {
                Item::Frame { stream: StreamId::STDIN, t_us, bytes, .. } => take(t_us, bytes),
                Item::Frame { .. } | Item::Gap { .. } => {}
                Item::Tail | Item::End => return,
            }
        }
    }
}

/// Text on its way into the store. What cannot be written is made again another time.
struct Keeping {
    writer: Option<Writer>,
    record: Vec<u8>,
    record_us: u64,
    kept: KeptText,
}

impl Keeping {
    fn begin(library: &Library, session: &Session) -> Keeping {
        let ended = matches!(session.entry.state, State::Ended(_));
        let output = session.meta.ending.as_ref().map_or(0, |ending| ending.bytes_out);
        let worth = library.store.is_writable() && ended && output >= KEEP_OUTPUT_MIN;
        let writer = worth.then(|| library.store.resume(&session.entry).ok()).flatten();
        let offset = writer.as_ref().map_or(0, |_| {
            let begun = library.store.records(&session.entry, StreamId::TEXT);
            begun.map(|(_, text)| text.len() as u64).sum()
        });
        let kept = KeptText { offset, len: 0 };
        Keeping { writer, record: Vec::new(), record_us: 0, kept }
    }

    fn put(&mut self, t_us: u64, text: &[u8]) {
        if self.writer.is_none() {
            return;
        }
        let span_us = t_us.saturating_sub(self.record_us);
        if self.record.len() + text.len() > RECORD_LEN || span_us > RECORD_SPAN_US {
            self.flush();
        }
        if self.record.is_empty() {
            self.record_us = t_us;
        }
        self.record.extend_from_slice(text);
    }

    fn flush(&mut self) {
        let Some(writer) = &mut self.writer else { return };
        let record = std::mem::take(&mut self.record);
        if record.is_empty() {
            return;
        }
        self.kept.len += record.len() as u64;
        if writer.append(StreamId::TEXT, self.record_us, &record) != Append::Stored {
            self.writer = None;
        }
    }

    /// Nobody waits for the disk: what a power cut takes is made again.
    fn finish(mut self, library: &Library, session: &Session) {
        self.flush();
        if let Some(mut writer) = self.writer {
            library.amend(session, &mut writer, "text", Some(self.kept.to_json()));
        }
    }
}
