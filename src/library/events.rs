//! A session's events, and the bytes they were read from.

use std::collections::BTreeMap;

use super::{Library, Session};
use crate::event::{Body, Event, Outcome, SessionEnd, SessionStart, Source};
use crate::session::Status;
use crate::store::{Chain, Item, StreamId};

impl Library {
    /// The events of the session's conversation, between its start and its end. Where the
    /// conversation has neither, they are made of what was recorded.
    pub fn events(&self, session: &Session) -> Vec<Event> {
        let lines = self.store.records(&session.entry, StreamId::CONVERSATION);
        let mut events: Vec<Event> =
            lines.filter_map(|(_, line)| Event::parse_line(&line)).collect();
        if !events.iter().any(|e| matches!(e.body, Body::SessionStart(_))) {
            events.insert(0, start_of(session));
        }
        let ended = events.iter().any(|e| matches!(e.body, Body::SessionEnd(_)));
        if let Some(end) = end_of(session).filter(|_| !ended) {
            events.push(end);
        }
        for (seq, event) in events.iter_mut().enumerate() {
            event.seq = seq as u64;
        }
        events
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

fn start_of(session: &Session) -> Event {
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
        ..Event::new(Source::Pty, start)
    }
}

fn end_of(session: &Session) -> Option<Event> {
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
        ..Event::new(Source::Pty, end)
    })
}
