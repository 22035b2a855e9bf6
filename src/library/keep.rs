//! Keeping house: sessions removed, pinned and measured.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Library, Session};
use crate::error::{Error, Result};
use crate::json::{self, Object, Value};
use crate::session::Status;
use crate::store::{
    Access, Append, Chain, Entry, Exit, Item, Progress, Store, StreamId, Usage, Writer,
};
use crate::sys::time;

/// Bytes that a block of `stat(2)` stands for, whatever the filesystem's own blocks are.
const STAT_BLOCK_LEN: u64 = 512;

/// What removing sessions came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Sessions that are gone.
    pub sessions: u64,
    /// Sessions that someone was writing; they were left alone.
    pub busy: u64,
    /// Bytes of disk that the store takes less than before.
    pub freed: u64,
}

impl Library {
    /// Opens the store in `dir` to change it. Unlike recording, this never makes one.
    ///
    /// # Errors
    /// As [`Library::open`].
    pub fn open_to_change(dir: &Path) -> Result<Library> {
        Store::open(dir, Access::Read)?;
        Ok(Library::on(Store::open(dir, Access::Write)?))
    }

    /// Bytes of disk that the store's file takes, as the filesystem counts them.
    ///
    /// # Errors
    /// The file cannot be looked at.
    pub fn bytes_on_disk(&self) -> Result<u64> {
        let path = self.store.path();
        let meta = std::fs::metadata(&path)
            .map_err(|e| Error::io(format!("cannot measure {}", path.display()), &e))?;
        Ok(meta.blocks() * STAT_BLOCK_LEN)
    }

    /// Removes sessions and gives their room back. Durable when it returns.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn remove(
        &self,
        sessions: &[Session],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Removed> {
        let entries: Vec<Entry> = sessions.iter().map(|session| session.entry).collect();
        let before = self.bytes_on_disk()?;
        let freed = self.store.remove(&entries, progress)?;
        let of_them = |entry: &&Entry| sessions.iter().any(|s| s.entry.id == entry.label);
        let annexes: Vec<Entry> = self.all_annexes().iter().filter(of_them).copied().collect();
        if !annexes.is_empty() {
            self.store.remove(&annexes, &mut |_| {})?;
        }
        let after = self.bytes_on_disk()?;
        let (sessions, busy) = (freed.sessions, freed.busy);
        Ok(Removed { sessions, busy, freed: before.saturating_sub(after) })
    }

    /// Protects a session from being removed, or no longer; false when that was so already. The
    /// word stands in the session's own metadata: it goes wherever the session goes, into copies,
    /// imports and repaired stores, and whoever wrote other members keeps them.
    ///
    /// # Errors
    /// The session is being written, or the store cannot be.
    pub fn pin(&self, session: &Session, pinned: bool) -> Result<bool> {
        if session.meta.pinned == pinned {
            return Ok(false);
        }
        let cannot = || Error::failed(format!("cannot pin {}", session.id.short()));
        if session.status == Status::Running {
            return Err(cannot()
                .why("it is running")
                .with_hint("a running session is never removed; pin it when it has ended"));
        }
        let mut writer = self.store.resume(&session.entry)?;
        if !self.amend(session, &mut writer, "pinned", pinned.then_some(Value::Bool(true))) {
            return Err(cannot().why("the store cannot be written"));
        }
        writer.end(Exit::Unknown, 0)?;
        Ok(true)
    }

    /// Gives a member of a session's metadata another value, or none, and leaves the others as
    /// whoever wrote them has. Whether that could be written.
    pub(super) fn amend(
        &self,
        session: &Session,
        writer: &mut Writer,
        name: &str,
        value: Option<Value>,
    ) -> bool {
        let text = self.meta_now(session).unwrap_or_else(|| session.meta.to_json().into_bytes());
        let known = json::parse(&text).unwrap_or_default();
        let mut members = known.as_object().cloned().unwrap_or_else(Object::new);
        members.remove(name);
        if let Some(value) = value {
            members.insert(name, value);
        }
        let mut text = String::new();
        Value::Object(members).write(&mut text);
        let since_us = time::wall().unix_us - session.entry.start_us;
        let t_us = u64::try_from(since_us).unwrap_or(0);
        writer.append(StreamId::META, t_us, text.as_bytes()) == Append::Stored
    }

    /// Room that a session takes.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn usage(&self, session: &Session) -> Result<Usage> {
        self.store.usage(&session.entry)
    }

    /// Bytes of each stream that a session has anything in. Reads all of the session; `step` hears
    /// of each piece how long it is.
    pub fn stream_sizes(&self, session: &Session, step: &mut dyn FnMut(u64)) -> Vec<(String, u64)> {
        let mut sizes: BTreeMap<StreamId, u64> = BTreeMap::new();
        for chain in [Chain::Tape, Chain::Notes] {
            let mut reader = self.store.read(&session.entry, chain);
            loop {
                match reader.next() {
                    Item::Frame { stream, bytes, .. } => {
                        *sizes.entry(stream).or_default() += bytes.len() as u64;
                        step(bytes.len() as u64);
                    }
                    Item::Gap { .. } => {}
                    Item::Tail | Item::End => break,
                }
            }
        }
        let named = match sizes.keys().any(|id| id.fixed_name().is_none()) {
            true => self.store.stream_names(&session.entry),
            false => Vec::new(),
        };
        let name = |id: StreamId| {
            let given = || named.iter().find(|(n, _)| *n == id).map(|(_, name)| name.clone());
            id.fixed_name().map(str::to_owned).or_else(given)
        };
        let sizes = sizes.into_iter().filter(|(_, bytes)| *bytes > 0);
        sizes.map(|(id, n)| (name(id).unwrap_or_else(|| format!("stream {}", id.0)), n)).collect()
    }
}
