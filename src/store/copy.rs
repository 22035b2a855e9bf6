//! Sessions copied from store to store, frame by frame: import, compaction and repair are this.

use super::catalog;
use super::chain::{self, take_lease};
use super::cursor::Cursor;
use super::house::{self, Meter, Progress};
use super::layout::{self, Cell, Identity, NOTICE, Status, Super};
use super::reader::{Item, Reader, Why};
use super::storage::{Held, LOCK_ALLOC, LOCK_GATE, LOCK_TRIES_MAX, Lock, Storage, lock_of_slot};
use super::stream::{Chain, StreamId};
use super::{Entry, NewSession, Store, writer};
use crate::error::{Error, Result};
use std::collections::HashSet;
use std::io;

/// What an import or a repair came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Sessions copied.
    pub sessions: u64,
    /// Sessions that were there already.
    pub known: u64,
    /// Payload bytes copied.
    pub bytes: u64,
    /// Payload bytes known to be missing.
    pub missing: u64,
}

/// What compaction came to, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Bytes on disk before.
    pub before: u64,
    /// Bytes on disk after.
    pub after: u64,
    /// Sessions in the store.
    pub sessions: u64,
}

/// A session on its way into a store. It enters the catalog last, whole.
#[derive(Debug)]
pub(super) struct Copy<'a> {
    s: &'a dyn Storage,
    sup: Super,
    identity: Identity,
    tape: Cursor,
    notes: Cursor,
    _slot: Held<'a>,
    slot: u32,
    pub copied: Copied,
}

impl<'a> Copy<'a> {
    /// Takes a slot and the first pages.
    pub fn begin(s: &'a dyn Storage, identity: &Identity) -> io::Result<Copy<'a>> {
        let busy = || io::Error::from(io::ErrorKind::WouldBlock);
        let _alloc = Held::patiently(s, LOCK_ALLOC, Lock::Exclusive)?.ok_or_else(busy)?;
        let mut sup =
            catalog::read_super(s)?.ok_or_else(|| io::Error::other("no sound superblock"))?;
        let mut slot = catalog::slots_used(s, &sup)?;
        let held = loop {
            match Held::at_once(s, lock_of_slot(slot), Lock::Exclusive)? {
                Some(held) => break held,
                None => slot += 1,
            }
        };
        while catalog::offset_of(&sup, slot).is_none() {
            catalog::grow(s, &mut sup)?;
        }
        let new = NewSession {
            id: identity.id,
            start_us: identity.start_us,
            label: identity.label,
            meta: b"",
        };
        let (tape, notes) = writer::first_cursors(s, slot, &new)?;
        let identity = Identity {
            tape_head: tape.lease().start,
            notes_head: notes.lease().start,
            ..*identity
        };
        let copied = Copied { sessions: 1, ..Copied::default() };
        Ok(Copy { s, sup, identity, tape, notes, _slot: held, slot, copied })
    }

    /// Copies all of one chain.
    pub fn chain(
        &mut self,
        chain: Chain,
        from: &mut Reader,
        meter: &mut Meter<'_>,
    ) -> io::Result<()> {
        let mut last_us = 0;
        loop {
            match from.next() {
                Item::Frame { stream, t_us, bytes, flags } => {
                    last_us = t_us;
                    self.copied.bytes += bytes.len() as u64;
                    meter.step(bytes.len() as u64);
                    self.append(chain, stream, flags, t_us, bytes)?;
                }
                Item::Gap { why: Why::Pruned, .. } => {}
                Item::Gap { bytes, .. } => {
                    self.copied.missing += bytes;
                    let notice = format!("{{\"dropped\":{bytes}}}");
                    self.append(chain, StreamId::NOTICE, NOTICE, last_us, notice.as_bytes())?;
                }
                Item::Tail | Item::End => return Ok(()),
            }
        }
    }

    fn append(
        &mut self,
        chain: Chain,
        stream: StreamId,
        flags: u8,
        t_us: u64,
        bytes: &[u8],
    ) -> io::Result<()> {
        let s = self.s;
        let cursor = match chain {
            Chain::Tape => &mut self.tape,
            Chain::Notes => &mut self.notes,
        };
        let mut take = |pages| take_lease(s, pages, LOCK_TRIES_MAX);
        cursor.append(s, stream, flags, t_us, bytes, &mut take).map_err(|(e, _)| e)
    }

    /// Enters the session into the catalog, with the end that `status` tells of.
    pub fn end(self, status: Option<Status>, tape_pruned: bool) -> io::Result<Copied> {
        let last_us = self.tape.last_us().max(self.notes.last_us());
        let status = Status {
            lost: status.is_none_or(|status| status.lost),
            exit: status.map(|status| status.exit).unwrap_or_default(),
            end_us: status.map_or_else(
                || self.identity.start_us.saturating_add_unsigned(last_us),
                |status| status.end_us,
            ),
            out_bytes: status.map_or(self.tape.pos(), |status| status.out_bytes),
            tape_seq: self.tape.last_seq(),
            notes_seq: self.notes.last_seq(),
            tape_fseq: self.tape.fseq(),
            notes_fseq: self.notes.fseq(),
        };
        let (s, sup, slot) = (self.s, &self.sup, self.slot);
        // What stands in the catalog must be there: its pages first.
        s.sync()?;
        catalog::write_status(s, sup, slot, &status)?;
        if tape_pruned {
            catalog::write_cell(s, sup, slot, &self.identity.id, Cell::TapePruned)?;
        }
        catalog::write_identity(s, sup, slot, &self.identity)?;
        Ok(self.copied)
    }
}

/// Copies one session of `from`; the caller knows that `s` does not have it.
fn copy_session(
    s: &dyn Storage,
    from: &Store,
    entry: &Entry,
    meter: &mut Meter<'_>,
) -> io::Result<Copied> {
    let Some(identity) = entry.raw.identity else { return Ok(Copied::default()) };
    let mut copy = Copy::begin(s, &identity)?;
    for chain in [Chain::Notes, Chain::Tape] {
        copy.chain(chain, &mut from.read(entry, chain), meter)?;
    }
    copy.end(entry.raw.status, entry.tape_pruned)
}

impl Store {
    /// Copies the sessions of another store that this one does not have. Each enters whole or not
    /// at all; sessions that are being written there come as far as they are, as lost ones.
    pub fn import(&self, from: &Store, progress: &mut dyn FnMut(Progress)) -> Result<Copied> {
        let cannot = |e: &io::Error| self.error("cannot import into", e);
        let storage = self.writing_handle()?;
        let mut known: HashSet<[u8; 16]> = self.entries()?.map(|entry| entry.id).collect();
        let mut entries: Vec<Entry> = from.entries()?.collect();
        entries.sort_by_key(|entry| entry.start_us);
        let mut sum = Copied::default();
        let mut meter = Meter::new(from.usage_of_all()?.notes, progress);
        for entry in &entries {
            if !known.insert(entry.id) {
                sum.known += 1;
                continue;
            }
            sum.add(copy_session(&*storage, from, entry, &mut meter).map_err(|e| cannot(&e))?);
        }
        storage.sync().map_err(|e| cannot(&e))?;
        Ok(sum)
    }

    /// Writes all sessions anew into a file without holes and gives it this one's name. Refuses
    /// while any session is being written. Crash-safe: the name passes over when all is durable.
    pub fn compact(&self, progress: &mut dyn FnMut(Progress)) -> Result<Compacted> {
        let what = "cannot compact";
        let cannot = |e: &io::Error| self.error(what, e);
        let storage = self.writing_handle()?;
        let alone = storage.try_lock(LOCK_GATE, Lock::Exclusive).map_err(|e| cannot(&e))?;
        if !alone {
            return Err(Error::failed(format!("{what} {}", self.path().display()))
                .why("sessions are being written")
                .with_hint("try again when they have ended"));
        }
        let mut entries: Vec<Entry> = self.entries()?.collect();
        entries.sort_by_key(|entry| (entry.start_us, entry.slot));
        let compacted = self.compact_alone(&*storage, &entries, progress);
        self.refreshed()?;
        compacted.map_err(|e| cannot(&e))
    }

    fn compact_alone(
        &self,
        old: &dyn Storage,
        entries: &[Entry],
        progress: &mut dyn FnMut(Progress),
    ) -> io::Result<Compacted> {
        let sup = self.sup_of(old)?;
        let new = old.sibling()?;
        let written = (|| {
            catalog::format(&*new, sup.id, sup.created_us, sup.machine)?;
            let before = house::data_bytes(old, 0..old.size()?)?;
            let mut meter = Meter::new(before, progress);
            for entry in entries {
                copy_session(&*new, self, entry, &mut meter)?;
            }
            new.sync()?;
            let after = house::data_bytes(&*new, 0..new.size()?)?;
            old.replace_by(&*new)?;
            Ok(Compacted { before, after, sessions: entries.len() as u64 })
        })();
        if written.is_err() {
            new.discard();
        }
        written
    }
}

impl Copied {
    pub(super) fn add(&mut self, other: Copied) {
        self.sessions += other.sessions;
        self.known += other.known;
        self.bytes += other.bytes;
        self.missing += other.missing;
    }
}

/// The identity that the notes themselves tell, where the catalog does not.
pub(super) fn identity_in_notes(s: &dyn Storage, page: u64, salt: u64) -> Option<Identity> {
    let chain::HeaderAt::Sound(header) = chain::read_header(s, page) else { return None };
    let mut bytes = vec![0; layout::PAGE_LEN];
    super::storage::read_zero_filled(s, page.checked_mul(layout::PAGE)?, &mut bytes).ok()?;
    let first = bytes.get(layout::HEADER_LEN..)?;
    let seed = layout::seed(salt, page);
    let layout::FrameAt::Frame(frame) = layout::FrameHeader::decode(first, seed, true) else {
        return None;
    };
    if frame.stream != StreamId::IDENTITY || header.seq != 0 {
        return None;
    }
    let payload = first.get(layout::FRAME_LEN..layout::FRAME_LEN + usize::from(frame.len))?;
    let (id, start_us, label) = layout::decode_identity_frame(payload)?;
    (layout::salt(&id) == salt).then_some(Identity {
        id,
        start_us,
        tape_head: 0,
        notes_head: page,
        label,
    })
}
