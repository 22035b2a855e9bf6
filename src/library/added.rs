//! What is added to a session from outside its recorder: markers, events, questions, answers.
//!
//! A running session belongs to its recorder alone. What others add to it goes into a session
//! beside it, an annex, which nobody but its reader sees: its id is a UUID of version 8, and its
//! label is the id of the session it belongs to. A session that has ended takes additions into its
//! own notes.

use super::{Library, Session};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::session::SessionId;
use crate::store::{Append, Entry, Exit, NewSession, State, StreamId, Writer, layout};
use crate::sys::{process, time};

impl Library {
    /// Adds an event to a session, whether it runs or has ended, and whoever records it. It stands
    /// where its time puts it; without one it happens now. Durable when it returns.
    ///
    /// # Errors
    /// The library was not opened to change, or the store cannot be written.
    pub fn add(&self, session: &Session, event: &Event) -> Result<()> {
        let mut event = event.clone();
        let at = event.time.unwrap_or_else(time::wall);
        let t_us = u64::try_from(at.unix_us - session.entry.start_us).unwrap_or(0);
        event.time = Some(at);
        event.mono_ns = Some(t_us.saturating_mul(1000));
        event.session = session.id.to_string();
        let mut line = String::new();
        event.write_line(&mut line);
        let mut writer = match session.entry.state {
            State::Live => self.annex(session, at.unix_us)?,
            State::Ended(_) | State::Lost => self.store.resume(&session.entry)?,
        };
        let stored = writer.append(StreamId::ADDED, t_us, line.trim_end().as_bytes());
        writer.end(Exit::Unknown, at.unix_us)?;
        match stored {
            Append::Stored | Append::Queued => Ok(()),
            Append::Degraded { .. } => Err(Error::failed("cannot add to the session")
                .why("the store takes no more")
                .with_hint("is the disk full?")),
        }
    }

    /// The annex of a running session, to be written; a new one if there is none.
    fn annex(&self, session: &Session, now_us: i64) -> Result<Writer> {
        if let Some(entry) = self.annexes(session)?.first() {
            return self.store.resume(entry);
        }
        let mut random = [0; 10];
        process::random(&mut random).map_err(|e| Error::io("cannot make an id", &e))?;
        let ms = u64::try_from(now_us / 1000).unwrap_or(0);
        let mut id = SessionId::new(ms, random).0;
        id[VERSION_AT] = id[VERSION_AT] & 0x0f | ANNEX_VERSION;
        self.store.begin(&NewSession {
            id,
            start_us: session.entry.start_us,
            label: session.entry.id,
            meta: b"{}",
        })
    }

    /// The annexes of a session. Two, if two processes were the first to add something.
    pub(super) fn annexes(&self, session: &Session) -> Result<Vec<Entry>> {
        let of_it = |entry: &Entry| is_annex(entry) && entry.label == session.entry.id;
        let running = session.entry.state == State::Live;
        let entries = self.store.entries()?;
        // No copy has changed the order of the catalog while it runs: what came later stands
        // behind it.
        let entries = entries.take_while(|entry| !running || entry.slot > session.entry.slot);
        Ok(entries.filter(of_it).collect())
    }

    /// What was added to a session, in the order of time.
    pub fn added(&self, session: &Session) -> Vec<Event> {
        let mut entries = vec![session.entry];
        match session.entry.state {
            State::Live => entries.extend(self.annexes(session).unwrap_or_default()),
            State::Ended(_) | State::Lost => {
                let of_it = |entry: &&Entry| entry.label == session.entry.id;
                entries.extend(self.all_annexes().iter().filter(of_it));
            }
        }
        let mut added: Vec<Event> = entries.iter().flat_map(|entry| self.added_in(entry)).collect();
        added.sort_by_key(|event| event.mono_ns);
        added
    }

    /// What was added and stands in this entry's notes.
    pub(super) fn added_in(&self, entry: &Entry) -> Vec<Event> {
        let lines = self.store.records(entry, StreamId::ADDED);
        lines.filter_map(|(_, line)| Event::parse_line(&line)).collect()
    }

    /// The annexes of all sessions, looked for once: who reads many sessions does not search the
    /// catalog for each.
    pub(super) fn all_annexes(&self) -> &[Entry] {
        self.annexes.get_or_init(|| {
            self.store.find_where(usize::MAX, &layout::is_annex).unwrap_or_default()
        })
    }
}

/// Where a UUID has its version.
const VERSION_AT: usize = 6;
/// The version of an annex's id: 8, custom (RFC 9562).
const ANNEX_VERSION: u8 = 0x80;

/// Whether an entry of the catalog is no session of its own.
pub(super) fn is_annex(entry: &Entry) -> bool {
    layout::is_annex(&entry.id)
}
