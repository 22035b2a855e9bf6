//! A session's streams by name.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::iter::Peekable;

use super::events::write_line;
use super::replay::{Step, is_output};
use super::{Library, Session};
use crate::error::{Error, Result};
use crate::event::{Body, Event, Evidence, Source};
use crate::format::mask::{self, Mask};
use crate::format::recording::Action;
use crate::json;
use crate::store::{Chain, Item, Reader, State, StreamId, Why};
use crate::term::Format;
use crate::term::transcript;

/// The streams that every session has, in the order they are listed.
pub const STREAMS: [&str; 12] = [
    "stdout",
    "stderr",
    "stdin",
    "ring",
    "text",
    "screen",
    "events",
    "conversation",
    "chat",
    "thoughts",
    "report",
    "meta",
];

/// Bytes of the `ring` stream: the last of the output.
pub const RING_LEN: usize = 256 * 1024;

/// Whether the diff of a session is made of what its conversation tells.
fn tells_diff(session: &Session) -> bool {
    session.changes.as_ref().is_some_and(|changes| changes.told)
}

/// What was read of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Bytes written out.
    pub bytes: u64,
    /// Stretches that cannot be read, because the store is damaged there.
    pub damaged: u64,
}

impl Library {
    /// Writes the stream of this name to `out`.
    ///
    /// # Errors
    /// The session has no such stream, or `out` cannot be written to.
    pub fn copy(&self, session: &Session, name: &str, out: &mut dyn Write) -> Result<Content> {
        let written = match name {
            "ring" => self.copy_ring(session, out),
            "text" => self.copy_text(session, out),
            "screen" => self.copy_screen(session, out),
            "events" => self.copy_events(session, out),
            "meta" => self.copy_meta(session, out),
            "conversation" => self.copy_conversation(session, out),
            "chat" | "thoughts" | "report" => {
                let mut copied = Copied::to(out);
                let masks = Some(Mask::default());
                self.render(session, name, masks, &mut |text| copied.add(&mask::mask(text)));
                copied.finish()
            }
            _ => match self.stream_id(session, name) {
                Some(stream) => self.copy_stream(session, stream, out),
                None if name == "diff" && tells_diff(session) => {
                    let mut copied = Copied::to(out);
                    copied.add(&self.edits(session).unwrap_or_default().diff);
                    copied.finish()
                }
                None => return Err(self.unknown_stream(session, name)),
            },
        };
        written.map_err(|e| Error::io(format!("cannot write stream {name}"), &e))
    }

    /// Whether the session has a stream of this name.
    pub fn has_stream(&self, session: &Session, name: &str) -> bool {
        STREAMS.contains(&name)
            || self.stream_id(session, name).is_some()
            || name == "diff" && tells_diff(session)
    }

    /// The names of the session's streams.
    pub fn stream_names(&self, session: &Session) -> Vec<String> {
        let mut names: Vec<String> = STREAMS.iter().map(|name| (*name).to_owned()).collect();
        names.extend(self.store.stream_names(&session.entry).into_iter().map(|(_, name)| name));
        if tells_diff(session) && !names.iter().any(|name| name == "diff") {
            names.push("diff".to_owned());
        }
        names
    }

    fn unknown_stream(&self, session: &Session, name: &str) -> Error {
        let names = self.stream_names(session).join(", ");
        Error::usage(format!("unknown stream {}", crate::format::line::clean(name)))
            .with_hint(format!("this session has {names}"))
    }

    pub(super) fn stream_id(&self, session: &Session, name: &str) -> Option<StreamId> {
        match name {
            "stdout" => Some(StreamId::STDOUT),
            "stderr" => Some(StreamId::STDERR),
            "stdin" => Some(StreamId::STDIN),
            "terminal" => Some(StreamId::TERMINAL),
            "meta" => Some(StreamId::META),
            _ => {
                let named = self.store.stream_names(&session.entry);
                named.into_iter().find(|(_, n)| n == name).map(|(id, _)| id)
            }
        }
    }

    fn copy_stream(
        &self,
        session: &Session,
        wanted: StreamId,
        out: &mut dyn Write,
    ) -> io::Result<Content> {
        let mut content = Content::default();
        let mut reader = self.store.read(&session.entry, wanted.chain());
        loop {
            match reader.next() {
                Item::Frame { stream, bytes, .. } if stream == wanted => {
                    out.write_all(bytes)?;
                    content.bytes += bytes.len() as u64;
                }
                Item::Frame { .. } => {}
                Item::Gap { why: Why::Damaged, .. } => content.damaged += 1,
                Item::Gap { .. } => {}
                Item::Tail | Item::End => return Ok(content),
            }
        }
    }

    /// The last bytes of all output, whatever it was written to, in the order it came.
    fn copy_ring(&self, session: &Session, out: &mut dyn Write) -> io::Result<Content> {
        let mut reader = self.store.read(&session.entry, Chain::Tape);
        if let State::Ended(end) = session.entry.state {
            reader.seek_byte(end.out_bytes.saturating_sub(RING_LEN as u64));
        }
        let mut ring = Vec::new();
        let mut damaged = 0;
        loop {
            match reader.next() {
                Item::Frame { stream, bytes, .. } if is_output(stream) => {
                    ring.extend_from_slice(bytes);
                    // Cut now and then, not at every frame.
                    if ring.len() > 4 * RING_LEN {
                        ring.drain(..ring.len() - RING_LEN);
                    }
                }
                Item::Frame { .. } => {}
                Item::Gap { why: Why::Damaged, .. } => damaged += 1,
                Item::Gap { .. } => {}
                Item::Tail | Item::End => break,
            }
        }
        let tail = &ring[ring.len().saturating_sub(RING_LEN)..];
        out.write_all(tail)?;
        Ok(Content { bytes: tail.len() as u64, damaged })
    }

    /// What a person saw, settled: each line once, no animation, no escapes.
    fn copy_text(&self, session: &Session, out: &mut dyn Write) -> io::Result<Content> {
        let mut bytes = 0;
        let damaged = self.settled(session, &mut |_, text| {
            bytes += text.len() as u64;
            out.write_all(text)
        })?;
        Ok(Content { bytes, damaged })
    }

    /// The last screen, as text.
    fn copy_screen(&self, session: &Session, out: &mut dyn Write) -> io::Result<Content> {
        let (terminal, damaged) = self.screen_at(session, u64::MAX);
        let text = terminal.screen().render(Format::Text, 0);
        out.write_all(text.as_bytes())?;
        Ok(Content { bytes: text.len() as u64, damaged })
    }

    /// Hands over, in order, what was shown on the session's terminal and how its size changed.
    /// Returns how many stretches cannot be read.
    pub(super) fn shown(
        &self,
        session: &Session,
        mut show: impl FnMut(u64, Action<'_>) -> io::Result<()>,
    ) -> io::Result<u64> {
        let mut replay = self.replay(session);
        while let Step::Action((t_us, action)) = replay.next() {
            if matches!(action, Action::Output(_) | Action::Resize(_)) {
                show(t_us, action)?;
            }
        }
        Ok(replay.damaged())
    }

    /// JSON lines, `il.event/1`: the conversation alone.
    fn copy_conversation(&self, session: &Session, out: &mut dyn Write) -> io::Result<Content> {
        let mut copied = Copied::to(out);
        let mut line = String::new();
        self.each_said(session, &mut |event| {
            line.clear();
            event.write_line(&mut line);
            copied.add(&line);
        });
        copied.finish()
    }

    /// Bytes of a stream: what an event was read from.
    ///
    /// # Errors
    /// The session has no such stream, or `out` cannot be written to.
    pub fn copy_span(
        &self,
        session: &Session,
        place: &Evidence,
        out: &mut dyn Write,
    ) -> Result<Content> {
        let Some(id) = self.stream_id(session, &place.stream) else {
            return Err(self.unknown_stream(session, &place.stream));
        };
        let mut skip = place.offset;
        let mut left = place.len;
        let mut content = Content::default();
        let mut reader = self.store.read(&session.entry, id.chain());
        while left > 0 {
            match reader.next() {
                Item::Frame { stream, bytes, .. } if stream == id => {
                    let from = usize::try_from(skip).unwrap_or(usize::MAX).min(bytes.len());
                    let rest = &bytes[from..];
                    let len = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    out.write_all(&rest[..len])
                        .map_err(|e| Error::io(format!("cannot write {}", place.stream), &e))?;
                    skip -= from as u64;
                    left -= len as u64;
                    content.bytes += len as u64;
                }
                Item::Frame { .. } => {}
                Item::Gap { why: Why::Damaged, .. } => content.damaged += 1,
                Item::Gap { .. } => {}
                Item::Tail | Item::End => break,
            }
        }
        Ok(content)
    }

    fn copy_meta(&self, session: &Session, out: &mut dyn Write) -> io::Result<Content> {
        let mut text = session.meta.to_json();
        text.push('\n');
        out.write_all(text.as_bytes())?;
        Ok(Content { bytes: text.len() as u64, damaged: 0 })
    }

    /// JSON lines, `il.event/1`: what the recorder noted and what was said, between the session's start and its end.
    fn copy_events(&self, session: &Session, out: &mut dyn Write) -> io::Result<Content> {
        let mut latest = 0;
        let talk = self.said(session).filter_map(move |mut event| {
            latest = event.mono_ns.unwrap_or(latest);
            event.mono_ns = Some(latest);
            let bounds = matches!(event.body, Body::SessionStart(_) | Body::SessionEnd(_));
            (!bounds).then_some(event)
        });
        let talk: Box<dyn Iterator<Item = Event>> = Box::new(talk);
        let (talk, added) = (talk.peekable(), self.added(session).into());
        let mut lines = Lines { session, talk, added, out, seq: 0, bytes: 0 };
        lines.write(0, "session_start", |o| session.meta.write_start(o))?;
        let mut damaged = 0;
        let mut at_us = 0;
        let mut reader = self.store.read(&session.entry, Chain::Tape);
        while let Some(next) = next_event(&mut reader, &mut at_us) {
            match next {
                Noted::Event(text) => {
                    // What the recorder wrote is an object whose first member is its kind.
                    let Ok(value) = json::parse(&text) else { continue };
                    let Some(members) = value.as_object() else { continue };
                    let kind = value.str_at("kind").unwrap_or("note");
                    lines.write(at_us, kind, |o| {
                        for (name, value) in members.iter().filter(|(name, _)| *name != "kind") {
                            o.value(name, value);
                        }
                    })?;
                }
                Noted::Missing(bytes, why) => {
                    damaged += u64::from(why == Why::Damaged);
                    lines.write(at_us, "gap", |o| {
                        o.int("bytes", bytes);
                        o.string("why", if why == Why::Damaged { "damaged" } else { "lost" });
                    })?;
                }
            }
        }
        if session.meta.ending.is_some() {
            let at_us = session.duration_us(0).unwrap_or(at_us);
            lines.write(at_us, "session_end", |o| {
                o.string("outcome", session.status.name());
                o.int("duration_ms", at_us / 1000);
                session.meta.write_end(o);
            })?;
        }
        lines.write_added(u64::MAX)?;
        Ok(Content { bytes: lines.bytes, damaged })
    }
}

/// Text that is written in pieces, up to the first error.
struct Copied<'a> {
    out: &'a mut dyn Write,
    bytes: u64,
    error: Option<io::Error>,
}

impl Copied<'_> {
    fn to(out: &mut dyn Write) -> Copied<'_> {
        Copied { out, bytes: 0, error: None }
    }

    fn add(&mut self, text: &str) {
        if self.error.is_none() {
            self.error = self.out.write_all(text.as_bytes()).err();
            self.bytes += text.len() as u64;
        }
    }

    fn finish(self) -> io::Result<Content> {
        self.error.map_or(Ok(Content { bytes: self.bytes, damaged: 0 }), Err)
    }
}

pub(super) fn write_lines(lines: &[transcript::Line], out: &mut dyn Write) -> io::Result<u64> {
    let text = transcript::text(lines, false);
    out.write_all(text.as_bytes())?;
    Ok(text.len() as u64)
}

enum Noted {
    Event(Vec<u8>),
    Missing(u64, Why),
}

/// The next thing worth a line. Events are far smaller than a page, so none goes on in a second
/// frame but at a page's end, where its pieces are put together.
fn next_event(reader: &mut Reader, at_us: &mut u64) -> Option<Noted> {
    let mut text: Vec<u8> = Vec::new();
    loop {
        match reader.next() {
            Item::Frame { stream: StreamId::EVENTS, t_us, bytes, flags } => {
                *at_us = t_us;
                text.extend_from_slice(bytes);
                if flags & crate::store::layout::MORE == 0 {
                    return Some(Noted::Event(text));
                }
            }
            Item::Frame { t_us, .. } => *at_us = t_us,
            Item::Gap { bytes, why: why @ (Why::Damaged | Why::Lost) } => {
                return Some(Noted::Missing(bytes, why));
            }
            // Of what it dropped the recorder has written an event itself.
            Item::Gap { .. } => {}
            Item::Tail | Item::End => return None,
        }
    }
}

struct Lines<'a> {
    session: &'a Session,
    /// What was said and is to be written yet, in the order of time.
    talk: Peekable<Box<dyn Iterator<Item = Event>>>,
    /// What was added to the session, likewise.
    added: VecDeque<Event>,
    out: &'a mut dyn Write,
    seq: u64,
    bytes: u64,
}

impl Lines<'_> {
    fn write(
        &mut self,
        at_us: u64,
        kind: &str,
        body: impl FnOnce(&mut json::ObjectWriter<'_>),
    ) -> io::Result<()> {
        self.write_added(at_us)?;
        let mut text = String::new();
        self.seq += 1;
        write_line(&mut text, self.session, self.seq, at_us, kind, Source::Pty, body);
        self.bytes += text.len() as u64;
        self.out.write_all(text.as_bytes())
    }

    /// Writes what was said and added up to this time.
    fn write_added(&mut self, at_us: u64) -> io::Result<()> {
        let sooner = |event: &Event| event.mono_ns.unwrap_or(0) <= at_us.saturating_mul(1000);
        // The first line says that the session begins.
        while self.seq > 0 {
            let (said, added) = (self.talk.peek(), self.added.front());
            let is_added = match (said, added) {
                (Some(said), Some(added)) => added.mono_ns < said.mono_ns,
                (said, _) => said.is_none(),
            };
            let next = if is_added { added } else { said };
            if !next.is_some_and(sooner) {
                break;
            }
            let next = if is_added { self.added.pop_front() } else { self.talk.next() };
            let Some(mut event) = next else { break };
            self.seq += 1;
            event.seq = self.seq;
            let mut text = String::new();
            event.write_line(&mut text);
            self.bytes += text.len() as u64;
            self.out.write_all(text.as_bytes())?;
        }
        Ok(())
    }
}
