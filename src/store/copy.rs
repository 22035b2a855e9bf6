//! Sessions copied from store to store, frame by frame: import, compaction and repair are this.

use super::catalog;
use super::chain::{self, take_lease};
use super::cursor::Cursor;
use super::house::{self, Meter, Progress};
use super::layout::{self, Cell, Identity, Kind, Lease, Status, Super, is_annex};
use super::pack::Packer;
use super::reader::Reader;
use super::storage::{
    Held, LOCK_ALLOC, LOCK_GATE, LOCK_TRIES_MAX, Lock, Storage, lock_of_slot, lock_patiently,
};
use super::stream::{Chain, StreamId};
use super::{Entry, Store};
use crate::error::{Error, Result};
use std::collections::HashSet;
use std::io;

/// What an import or a repair came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Sessions copied.
    pub sessions: u64,
    /// Annexes copied: they hold what was added to a session while it ran.
    pub annexes: u64,
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

/// What becomes of a frame when it is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It stays as it is.
    None,
    /// It says this. The same length keeps the places that others know.
    To(Vec<u8>),
    /// It is left out.
    Left,
}

/// Changes nothing.
pub(super) fn as_it_is(_: StreamId, _: &[u8]) -> Change {
    Change::None
}

/// A session on its way into a store, as a pack. It enters the catalog last, whole.
#[derive(Debug)]
pub(super) struct Copy<'a> {
    s: &'a dyn Storage,
    sup: Super,
    identity: Identity,
    packer: Packer,
    _slot: Held<'a>,
    slot: u32,
}

impl<'a> Copy<'a> {
    /// Takes a slot and the first page.
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
        let lease = chain::take_lease_locked(s, 1)?;
        let packer = begin_pack(s, slot, identity, lease)?;
        let identity = Identity { tape_head: lease.start, notes_head: lease.start, ..*identity };
        Ok(Copy { s, sup, identity, packer, _slot: held, slot })
    }

    /// Copies all of one chain. The notes come first.
    pub fn chain(
        &mut self,
        chain: Chain,
        from: &mut Reader,
        change: &mut dyn FnMut(StreamId, &[u8]) -> Change,
        meter: &mut Meter<'_>,
    ) -> io::Result<()> {
        let s = self.s;
        let mut take = |pages| take_lease(s, pages, LOCK_TRIES_MAX);
        self.packer.chain(s, chain, from, &mut take, change, &mut |bytes| meter.step(bytes))
    }

    /// Payload bytes copied so far.
    pub fn bytes(&self) -> u64 {
        self.packer.bytes
    }

    /// Enters the session into the catalog, with the end that `status` tells of.
    pub fn end(self, status: Option<Status>, tape_pruned: bool) -> io::Result<Copied> {
        let packed = &self.packer;
        let status = Status {
            lost: status.is_none_or(|status| status.lost),
            exit: status.map(|status| status.exit).unwrap_or_default(),
            end_us: status.map_or_else(
                || self.identity.start_us.saturating_add_unsigned(packed.latest_us),
                |status| status.end_us,
            ),
            out_bytes: status.map_or(packed.out_bytes, |status| status.out_bytes),
            tape_seq: 0,
            notes_seq: packed.cursor().last_seq(),
            tape_fseq: packed.frames[0],
            notes_fseq: packed.frames[1],
        };
        let (s, sup, slot, id) = (self.s, &self.sup, self.slot, &self.identity.id);
        // What stands in the catalog must be there: its pages first.
        s.sync()?;
        catalog::write_status(s, sup, slot, &status)?;
        catalog::write_cell(s, sup, slot, id, pack_cell(self.identity.notes_head)?)?;
        if tape_pruned {
            catalog::write_cell(s, sup, slot, id, Cell::TapePruned)?;
        }
        catalog::write_identity(s, sup, slot, &self.identity)?;
        let (bytes, missing) = (packed.bytes, packed.missing);
        let annexes = u64::from(is_annex(id));
        Ok(Copied { sessions: 1 - annexes, annexes, known: 0, bytes, missing })
    }
}

/// Starts a pack in `lease`: it says whose it is.
pub(super) fn begin_pack(
    s: &dyn Storage,
    slot: u32,
    identity: &Identity,
    lease: Lease,
) -> io::Result<Packer> {
    let cursor = Cursor::new(layout::salt(&identity.id), Kind::Pack, slot, lease);
    let mut packer = Packer::new(cursor);
    let who = layout::encode_identity_frame(&identity.id, identity.start_us, &identity.label);
    let mut none = |_| Err(io::Error::other("the first lease is too small"));
    packer.plain(s, StreamId::IDENTITY, 0, &who, &mut none)?;
    Ok(packer)
}

/// The cell that says where a pack is. Its page number has 32 bits: packs end at 64 TiB.
pub(super) fn pack_cell(head: u64) -> io::Result<Cell> {
    u32::try_from(head)
        .map(Cell::Packed)
        .map_err(|_| io::Error::other("the file is too long for packs: compact it"))
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
        copy.chain(chain, &mut from.read(entry, chain), &mut as_it_is, meter)?;
    }
    copy.end(entry.raw.status, entry.tape_pruned)
}

impl Store {
    /// Writes a session that has ended anew, each frame as `change` leaves it, and gives the old
    /// pages back: what was changed stands nowhere in the file any more. Durable when it returns.
    /// If it is interrupted, both stand in the catalog, the new one later, each whole. A tape with a
    /// part that cannot be read is told in [`Copied::missing`].
    pub fn rewrite(
        &self,
        entry: &Entry,
        change: &mut dyn FnMut(StreamId, &[u8]) -> Change,
    ) -> Result<Copied> {
        let what = "cannot rewrite a session in";
        let cannot = |e: &io::Error| self.error(what, e);
        let storage = self.writing_handle()?;
        let s = &*storage;
        let held = Held::patiently(s, lock_of_slot(entry.slot), Lock::Exclusive);
        let Some(held) = held.map_err(|e| cannot(&e))? else { return Err(self.busy(what)) };
        let copied = self.rewrite_locked(s, entry, change).map_err(|e| cannot(&e))?;
        drop(held);
        self.remove(&[*entry], &mut |_| ())?;
        Ok(copied)
    }

    fn rewrite_locked(
        &self,
        s: &dyn Storage,
        entry: &Entry,
        change: &mut dyn FnMut(StreamId, &[u8]) -> Change,
    ) -> io::Result<Copied> {
        let gone = || io::Error::other("the session is gone");
        let identity = entry.raw.identity.ok_or_else(gone)?;
        let mut copy = Copy::begin(s, &identity)?;
        let mut unheard = |_| ();
        let mut meter = Meter::new(0, &mut unheard);
        for chain in [Chain::Notes, Chain::Tape] {
            copy.chain(chain, &mut self.read(entry, chain), change, &mut meter)?;
        }
        copy.end(entry.raw.status, entry.tape_pruned)
    }

    /// Copies the sessions of another store that this one does not have. Each enters whole or not
    /// at all; sessions that are being written there come as far as they are, as lost ones.
    pub fn import(&self, from: &Store, progress: &mut dyn FnMut(Progress)) -> Result<Copied> {
        let cannot = |e: &io::Error| self.error("cannot import into", e);
        let storage = self.writing_handle()?;
        let mut known: HashSet<[u8; 16]> = self.entries()?.map(|entry| entry.id).collect();
        let mut entries: Vec<Entry> = from.entries()?.collect();
        entries.sort_by_key(|entry| entry.start_us);
        let mut sum = Copied::default();
        let (theirs, _) = from.refreshed()?;
        let len = theirs.size().and_then(|size| house::bytes_to_read(&*theirs, size));
        let mut meter = Meter::new(len.map_err(|e| cannot(&e))?, progress);
        for entry in &entries {
            if !known.insert(entry.id) {
                sum.known += u64::from(!is_annex(&entry.id));
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
        let alone =
            lock_patiently(&*storage, LOCK_GATE, Lock::Exclusive).map_err(|e| cannot(&e))?;
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
            let mut meter = Meter::new(house::bytes_to_read(old, old.size()?)?, progress);
            for entry in entries {
                copy_session(&*new, self, entry, &mut meter)?;
            }
            new.sync()?;
            let after = house::data_bytes(&*new, 0..new.size()?)?;
            old.replace_by(&*new)?;
            let sessions = entries.iter().filter(|entry| !is_annex(&entry.id)).count() as u64;
            Ok(Compacted { before, after, sessions })
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
        self.annexes += other.annexes;
        self.known += other.known;
        self.bytes += other.bytes;
        self.missing = self.missing.saturating_add(other.missing);
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
