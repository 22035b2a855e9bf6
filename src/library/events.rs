//! A session's events, and the bytes they were read from.

use std::collections::BTreeMap;

use super::derive::MARK;
use super::{Library, Session};
use crate::event::{Body, Event, MAIN, Outcome, SessionEnd, SessionStart, Source, VERSION};
use crate::json::{self, ObjectWriter, write_object};
use crate::session::{DERIVED_VERSION, Status};
use crate::store::{Chain, Item, StreamId};

impl Library {
    /// The events of the session's conversation, between its start and its end. Where the
    /// conversation has neither, they are made of what was recorded.
    pub fn events(&self, session: &Session) -> Vec<Event> {
        self.events_where(session, &|_| true)
    }

    /// The same, but of the conversation only what is `wanted`: a long one is passed by without
    /// taking its memory.
    pub fn events_where(&self, session: &Session, wanted: &dyn Fn(&Event) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        self.each_event(session, wanted, &mut |event| events.push(event));
        events
    }

    /// Hands the same on one by one, however long the conversation is.
    pub fn each_event(
        &self,
        session: &Session,
        wanted: &dyn Fn(&Event) -> bool,
        take: &mut dyn FnMut(Event),
    ) {
        let is_start = |e: &Event| matches!(e.body, Body::SessionStart(_));
        let is_end = |e: &Event| matches!(e.body, Body::SessionEnd(_));
        let mut seq = 0;
        let mut tell = |mut event: Event| {
            event.seq = seq;
            seq += 1;
            take(event);
        };
        let said = self.said(session);
        let mut said = said.filter(|e| wanted(e) || is_start(e) || is_end(e)).peekable();
        if !said.peek().is_some_and(is_start) {
            tell(start_of(session));
        } else if let Some(start) = said.next() {
            tell(start);
        }
        let mut added = self.added(session);
        // A line holds milliseconds; of one of them, the start comes first, the end last.
        let ms = |e: &Event| e.time.map_or(i64::MIN, |time| time.unix_us.div_euclid(1000));
        added.sort_by_key(ms);
        let mut added = added.into_iter().peekable();
        let mut ended = false;
        let mut tell_after = |event: Event| {
            let bound = ms(&event) + i64::from(is_end(&event));
            while let Some(added) = added.next_if(|added| ms(added) < bound) {
                tell(added);
            }
            tell(event);
        };
        for event in said {
            ended |= is_end(&event);
            tell_after(event);
        }
        end_of(session).filter(|_| !ended).into_iter().for_each(&mut tell_after);
        added.for_each(&mut tell);
    }

    /// The events of the session's conversation alone: those that were kept, or, where none have been
    /// yet, those that the recording gives.
    pub fn conversation(&self, session: &Session) -> Vec<Event> {
        self.said(session).collect()
    }

    /// Hands them on one by one.
    pub fn each_said(&self, session: &Session, take: &mut dyn FnMut(Event)) {
        self.said(session).for_each(take);
    }

    /// The same as they are asked for.
    pub(super) fn said(&self, session: &Session) -> Box<dyn Iterator<Item = Event>> {
        let kept = |version| version == DERIVED_VERSION;
        if session.meta.imported.is_none()
            && !session.meta.derived.as_ref().is_some_and(|derived| kept(derived.version))
        {
            return Box::new(self.derived(session));
        }
        let records = || self.store.records(&session.entry, StreamId::CONVERSATION);
        // What stands before the last mark is older.
        let (mut count, mut start) = (0, 0);
        for (_, line) in records() {
            count += 1;
            start = if line == MARK { count } else { start };
        }
        // Nor is what others add meanwhile a part of it.
        let lines = records().take(count).skip(start);
        Box::new(lines.filter_map(|(_, line)| Event::parse_line(&line)))
    }

    /// The session's named streams, whole: the files it was imported from, or transcripts.
    pub fn natives(&self, session: &Session) -> BTreeMap<String, Vec<u8>> {
        let mut names: BTreeMap<StreamId, String> = BTreeMap::new();
        let mut streams: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for (id, name) in self.store.stream_names(&session.entry) {
            names.insert(id, name);
        }
        let mut reader = self.store.read(&session.entry, Chain::Notes);
        loop {
            match reader.next() {
                Item::Frame { stream, bytes, .. } => {
                    if let Some(name) = names.get(&stream) {
                        streams.entry(name.clone()).or_default().extend_from_slice(bytes);
                    }
                }
                Item::Gap { .. } => {}
                Item::Tail | Item::End => break,
            }
        }
        // An empty file has a name and no bytes.
        for name in names.into_values() {
            streams.entry(name).or_default();
        }
        streams
    }
}

/// The event that a note of the recorder is: an object whose first member is its kind.
pub(super) fn noted(session: &Session, at_us: u64, source: Source, note: &[u8]) -> Option<Event> {
    let value = json::parse(note).ok()?;
    let members = value.as_object()?;
    let kind = value.str_at("kind").unwrap_or("note");
    let mut line = String::new();
    write_line(&mut line, session, 0, at_us, kind, source, |o| {
        for (name, value) in members.iter().filter(|(name, _)| *name != "kind") {
            o.value(name, value);
        }
    });
    Event::parse_line(line.as_bytes())
}

/// Writes an event as a line of `il.event/1`.
pub(super) fn write_line(
    out: &mut String,
    session: &Session,
    seq: u64,
    at_us: u64,
    kind: &str,
    source: Source,
    body: impl FnOnce(&mut ObjectWriter<'_>),
) {
    write_object(out, |o| {
        o.int("v", VERSION);
        o.string("session", &session.id.to_string());
        o.int("seq", seq);
        let at = i64::try_from(at_us).unwrap_or(i64::MAX);
        o.string("t", &session.meta.started.plus_us(at).rfc3339());
        o.int("mono_ns", at_us.saturating_mul(1000));
        o.string("kind", kind);
        o.string("src", source.as_str());
        o.string("stream", MAIN);
        o.string("level", "info");
        o.float("conf", 1.0);
        body(o);
    });
    out.push('\n');
}

pub(super) fn start_of(session: &Session) -> Event {
    let meta = &session.meta;
    let start = SessionStart {
        argv: meta.argv.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        cwd: meta.cwd.as_ref().map(|cwd| cwd.to_string_lossy().into_owned()),
        host: meta.host.clone(),
        user: meta.user.clone(),
        resumed_from: meta.resumed_from.clone(),
        ..SessionStart::default()
    };
    Event {
        session: session.id.to_string(),
        time: Some(meta.started),
        mono_ns: Some(0),
        ..Event::new(Source::Pty, start)
    }
}

pub(super) fn end_of(session: &Session) -> Option<Event> {
    let ending = session.meta.ending.as_ref()?;
    let outcome = match session.status {
        Status::Succeeded => Outcome::Succeeded,
        Status::Interrupted => Outcome::Interrupted,
        Status::Lost => Outcome::Lost,
        Status::Running => return None,
        Status::Failed | Status::MaxIterationsReached => Outcome::Failed,
    };
    let end = SessionEnd {
        outcome: Some(outcome),
        exit_code: ending.exit_code.map(i32::from),
        signal: ending.signal.clone(),
        duration_ms: Some(ending.duration_us / 1000),
        ..SessionEnd::default()
    };
    Some(Event {
        session: session.id.to_string(),
        time: Some(ending.ended),
        mono_ns: Some(ending.duration_us.saturating_mul(1000)),
        ..Event::new(Source::Pty, end)
    })
}
