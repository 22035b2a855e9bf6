//! A session's events, and the bytes they were read from.

use std::io::Read;

use super::{Library, Session};
use crate::event::Body;
use crate::event::{Event, Evidence, Outcome, SessionEnd, SessionStart, Source};
use crate::session::Status;
use crate::store::StreamId;

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

    /// The bytes at a place of one of the session's named streams; None where they are not there.
    pub fn native(&self, session: &Session, place: &Evidence) -> Option<Vec<u8>> {
        let named = self.store.stream_names(&session.entry);
        let (stream, _) = named.into_iter().find(|(_, name)| *name == place.stream)?;
        let mut bytes = Vec::new();
        let end = place.offset.checked_add(place.len)?;
        self.store.stream(&session.entry, stream).take(end).read_to_end(&mut bytes).ok()?;
        let whole = bytes.len() as u64 == end;
        whole.then(|| bytes.split_off(place.offset as usize))
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
