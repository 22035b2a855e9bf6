//! Keeping house: sealing sessions whose recorder died, deleting, giving room back.

use super::catalog::{self, RawEntry};
use super::chain::{self, Hop, Reach};
use super::copy::{as_it_is, begin_pack, pack_cell};
use super::cursor::Cursor;
use super::layout::{
    self, BLOCK, Cell, ENTRIES_PER_PAGE, Exit, FrameAt, FrameHeader, HEADER_LEN, Identity, Kind,
    Lease, PAGE, PAGE_LEN, Status, Super,
};
use super::pack::{Packer, carrier};
use super::reader::Reader;
use super::storage::{
    Held, LOCK_PRUNE, LOCK_TRIES_MAX, Lock, Storage, lock_of_slot, read_zero_filled,
};
use super::stream::Chain;
use super::{Entry, State, Store};
use crate::error::Result;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// What filesystems give room in.
const BLOCK_LEN: usize = 4096;

/// How far a long operation has come, in steps of its own kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Steps done.
    pub done: u64,
    /// Steps in all.
    pub total: u64,
}

/// Bytes done of a total that is an estimate: no more is ever said to be done.
pub(super) struct Meter<'a> {
    now: Progress,
    tell: &'a mut dyn FnMut(Progress),
}

impl<'a> Meter<'a> {
    pub fn new(total: u64, tell: &'a mut dyn FnMut(Progress)) -> Meter<'a> {
        Meter { now: Progress { done: 0, total }, tell }
    }

    pub fn step(&mut self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.now.done = self.now.done.saturating_add(bytes).min(self.now.total);
        (self.tell)(self.now);
    }
}

/// What giving room back came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// Sessions that were deleted or lost their tape.
    pub sessions: u64,
    /// Bytes on the disk that were given back.
    pub bytes: u64,
    /// Sessions that someone is writing; they were left alone.
    pub busy: u64,
}

impl Store {
    /// Writes the end of sessions whose recorder died, so that readers need not search for it. The
    /// number sealed.
    pub fn seal_lost(&self) -> Result<u64> {
        let storage = self.writing_handle()?;
        let mut sealed = 0;
        for entry in self.entries()? {
            if entry.state == State::Lost && entry.raw.status.is_none() {
                let done = self.seal_one(&*storage, &entry);
                sealed += u64::from(done.map_err(|e| self.error("cannot seal a session in", &e))?);
            }
        }
        Ok(sealed)
    }

    fn seal_one(&self, s: &dyn Storage, entry: &Entry) -> io::Result<bool> {
        let Some(_slot) = Held::at_once(s, lock_of_slot(entry.slot), Lock::Exclusive)? else {
            return Ok(false);
        };
        let sup = self.sup_of(s)?;
        let raw = catalog::read_entry(s, &sup, entry.slot)?;
        let Some(identity) = raw.identity.filter(|_| raw.status.is_none() && !raw.deleted) else {
            return Ok(false);
        };
        let (status, unused) = status_of_lost(s, entry.slot, &identity)?;
        catalog::write_status(s, &sup, entry.slot, &status)?;
        // Room that was set aside for small writes to come.
        let _ = s.punch(unused);
        Ok(true)
    }

    /// Compresses a session that has ended. Durable when it returns; false when the session is
    /// packed already, is being written, or has no end yet.
    pub fn pack(&self, entry: &Entry) -> Result<bool> {
        let cannot = |e: &io::Error| self.error("cannot pack a session in", e);
        let storage = self.writing_handle()?;
        let s = &*storage;
        let held = Held::at_once(s, lock_of_slot(entry.slot), Lock::Exclusive);
        let Some(_slot) = held.map_err(|e| cannot(&e))? else { return Ok(false) };
        let sup = self.sup_of(s).map_err(|e| cannot(&e))?;
        pack_locked(&storage, &sup, entry.slot, &entry.id).map_err(|e| cannot(&e))
    }

    /// Deletes sessions and gives their room back. Durable when it returns.
    pub fn remove(&self, entries: &[Entry], progress: &mut dyn FnMut(Progress)) -> Result<Freed> {
        self.give_back(entries, Cell::Deleted, progress)
    }

    /// Gives the room of the sessions' tapes back; their notes remain. Durable when it returns.
    pub fn prune_tape(
        &self,
        entries: &[Entry],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Freed> {
        self.give_back(entries, Cell::TapePruned, progress)
    }

    fn give_back(
        &self,
        entries: &[Entry],
        cell: Cell,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Freed> {
        let what = "cannot delete from";
        let storage = self.writing_handle()?;
        let s = &*storage;
        let Some(_prune) =
            Held::patiently(s, LOCK_PRUNE, Lock::Exclusive).map_err(|e| self.error(what, &e))?
        else {
            return Err(self.busy(what));
        };
        self.give_back_locked(s, entries, cell, progress).map_err(|e| self.error(what, &e))
    }

    fn give_back_locked(
        &self,
        s: &dyn Storage,
        entries: &[Entry],
        cell: Cell,
        progress: &mut dyn FnMut(Progress),
    ) -> io::Result<Freed> {
        let sup = self.sup_of(s)?;
        let mut freed = Freed::default();
        let mut victims: Vec<(RawEntry, Held<'_>)> = Vec::new();
        for entry in entries {
            // One that is over may be held for a moment by whoever packs it or adds to it.
            let lock = lock_of_slot(entry.slot);
            let held = match entry.state {
                State::Live => Held::at_once(s, lock, Lock::Exclusive)?,
                _ => Held::patiently(s, lock, Lock::Exclusive)?,
            };
            let Some(held) = held else {
                freed.busy += 1;
                continue;
            };
            let raw = catalog::read_entry(s, &sup, entry.slot)?;
            let same = raw.identity.is_some_and(|identity| identity.id == entry.id);
            if same && !raw.deleted {
                catalog::write_cell(s, &sup, entry.slot, &entry.id, cell)?;
                victims.push((raw, held));
            }
        }
        // The word before the deed: a power cut must not leave a session that is listed and empty.
        if s.rules().sync_before_punch
            && let Err(e) = s.sync()
        {
            // What a failed sync left behind may be seen and yet never reach the disk. Written
            // again, it goes with the next sync: no index may take for gone what a power cut
            // would bring back.
            for (raw, _) in &victims {
                if let Some(identity) = &raw.identity {
                    let _ = catalog::write_cell(s, &sup, raw.slot, &identity.id, cell);
                }
            }
            return Err(e);
        }
        let total = victims.len() as u64;
        for (done, (raw, _held)) in victims.into_iter().enumerate() {
            progress(Progress { done: done as u64, total });
            freed.bytes += punch_session(s, &raw, cell)?;
            freed.sessions += 1;
        }
        freed.bytes += punch_leftovers(s, &sup)?;
        if !s.rules().sync_before_punch {
            s.sync()?;
        }
        Ok(freed)
    }

    /// Bytes of disk that a session occupies: its tape, and all the rest of it.
    pub fn usage(&self, entry: &Entry) -> Result<Usage> {
        let (storage, _) = self.state();
        usage_of(&*storage, &entry.raw).map_err(|e| self.error("cannot measure", &e))
    }

    /// Bytes of disk that the whole file occupies, and its apparent length.
    pub fn usage_of_all(&self) -> Result<Usage> {
        let (storage, _) = self.refreshed()?;
        let s = &*storage;
        let measure = || {
            let size = s.size()?;
            Ok(Usage { tape: 0, notes: data_bytes(s, 0..size)?, apparent: size })
        };
        measure().map_err(|e: io::Error| self.error("cannot measure", &e))
    }
}

/// Room on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of disk of the tape; of all of a session that is packed with its tape.
    pub tape: u64,
    /// Bytes of disk of all the rest.
    pub notes: u64,
    /// Bytes of the file's address space, holes included.
    pub apparent: u64,
}

fn usage_of(s: &dyn Storage, raw: &RawEntry) -> io::Result<Usage> {
    let mut usage = Usage::default();
    for (kind, lease) in leases_of(s, raw)? {
        let bytes = data_bytes(s, lease.start * PAGE..lease.end() * PAGE)?;
        let tape = kind == Kind::Tape || (kind == Kind::Pack && !raw.tape_pruned);
        if tape {
            usage.tape += bytes;
        } else {
            usage.notes += bytes;
        }
        usage.apparent += u64::from(lease.pages) * PAGE;
    }
    Ok(usage)
}

/// Bytes of disk of a session that is not packed; 0 when it is.
pub(super) fn unpacked_len(s: &dyn Storage, sup: &Super, slot: u32) -> io::Result<u64> {
    let raw = catalog::read_entry(s, sup, slot)?;
    if raw.pack.is_some() {
        return Ok(0);
    }
    usage_of(s, &raw).map(|usage| usage.tape + usage.notes)
}

/// The status of a session whose owner died, from what its chains hold, and what it had set aside
/// at the end of its tape.
pub fn status_of_lost(
    s: &dyn Storage,
    slot: u32,
    identity: &Identity,
) -> io::Result<(Status, Range<u64>)> {
    let salt = layout::salt(&identity.id);
    let tape = Cursor::resume(s, salt, Kind::Tape, slot, identity.tape_head, None)?;
    let notes = Cursor::resume(s, salt, Kind::Notes, slot, identity.notes_head, None)?;
    let last_us = tape.last_us().max(notes.last_us());
    let status = Status {
        lost: true,
        exit: Exit::Unknown,
        end_us: identity.start_us.saturating_add_unsigned(last_us),
        out_bytes: tape.pos(),
        tape_seq: tape.last_seq(),
        notes_seq: notes.last_seq(),
        tape_fseq: tape.fseq(),
        notes_fseq: notes.fseq(),
    };
    Ok((status, tape.unused()))
}

/// All leases of a session: those of its chains, until a pack has taken their place.
fn leases_of(s: &dyn Storage, raw: &RawEntry) -> io::Result<Vec<(Kind, Lease)>> {
    let Some(identity) = raw.identity else { return Ok(Vec::new()) };
    match raw.pack {
        Some(head) => leases_of_pack(s, &identity, u64::from(head)),
        None => leases_of_chains(s, raw, &identity),
    }
}

/// The leases of the pack of a session that starts at page `head`.
pub(super) fn leases_of_pack(
    s: &dyn Storage,
    identity: &Identity,
    head: u64,
) -> io::Result<Vec<(Kind, Lease)>> {
    let salt = layout::salt(&identity.id);
    let leases = chain::leases(s, salt, Kind::Pack, head, Some(0))?;
    Ok(leases.into_iter().map(|lease| (Kind::Pack, lease)).collect())
}

fn leases_of_chains(
    s: &dyn Storage,
    raw: &RawEntry,
    identity: &Identity,
) -> io::Result<Vec<(Kind, Lease)>> {
    let salt = layout::salt(&identity.id);
    let mut all = Vec::new();
    for (kind, head) in [(Kind::Notes, identity.notes_head), (Kind::Tape, identity.tape_head)] {
        let last = raw.status.map(|status| match kind {
            Kind::Tape => status.tape_seq,
            _ => status.notes_seq,
        });
        let leases = chain::leases(s, salt, kind, head, last)?;
        all.extend(leases.into_iter().map(|lease| (kind, lease)));
    }
    Ok(all)
}

fn bytes_of_lease(lease: Lease) -> Range<u64> {
    lease.start * PAGE..lease.end() * PAGE
}

/// Packs a session that has ended: compresses both its chains into one and gives theirs back.
/// The caller holds the slot's lock, and no other thread uses the allocation lock of `storage`.
/// Readers that are under way change over. False when there is nothing to pack, and when part of
/// the session cannot be read: whoever repairs it should find it as it was.
pub(super) fn pack_locked(
    storage: &Arc<dyn Storage>,
    sup: &Super,
    slot: u32,
    id: &[u8; 16],
) -> io::Result<bool> {
    let s = &**storage;
    let raw = catalog::read_entry(s, sup, slot)?;
    let due = |it: &Identity| it.id == *id && !raw.deleted && raw.pack.is_none();
    let Some(identity) = raw.identity.filter(due) else { return Ok(false) };
    if raw.status.is_none() {
        return Ok(false);
    }
    let mut taken: Vec<Lease> = Vec::new();
    let packed = write_pack(storage, sup, &raw, &identity, &mut taken);
    let whole = packed.as_ref().is_ok_and(|packer| !packer.is_damaged);
    if !whole {
        // Nothing knows of these pages, and a full disk wants them back.
        for lease in taken.into_iter().rev() {
            let _ = s.punch(bytes_of_lease(lease));
        }
        return packed.map(|_| false);
    }
    let cell = pack_cell(taken.first().map_or(u64::MAX, |lease| lease.start))?;
    let leases = leases_of_chains(s, &raw, &identity)?;
    let punch: Vec<Range<u64>> =
        leases.into_iter().rev().map(|(_, lease)| bytes_of_lease(lease)).collect();
    let entry = catalog::offset_of(sup, slot).ok_or_else(|| io::Error::other("no such slot"))?;
    s.settle(entry + cell.at() as u64, cell.encode(slot, &identity.id), &punch)?;
    Ok(true)
}

/// Writes both chains of a session into a pack; `taken` gets its leases.
fn write_pack(
    storage: &Arc<dyn Storage>,
    sup: &Super,
    raw: &RawEntry,
    identity: &Identity,
    taken: &mut Vec<Lease>,
) -> io::Result<Packer> {
    let s = &**storage;
    let mut take = |pages| {
        let lease = chain::take_lease(s, pages, LOCK_TRIES_MAX)?;
        taken.push(lease);
        Ok(lease)
    };
    let first = take(1)?;
    let mut packer = begin_pack(s, raw.slot, identity, first)?;
    for chain in [Chain::Notes, Chain::Tape] {
        let mut reader = Reader::new(Arc::clone(storage), sup.clone(), raw, chain, false);
        packer.chain(s, chain, &mut reader, &mut take, &mut as_it_is, &mut |_| ())?;
    }
    Ok(packer)
}

/// Bytes of a range that are not in holes.
pub fn data_bytes(s: &dyn Storage, range: Range<u64>) -> io::Result<u64> {
    let (mut at, mut bytes) = (range.start, 0);
    while at < range.end {
        let Some(data) = s.next_data(at)?.filter(|data| data.start < range.end) else { break };
        let end = data.end.min(range.end);
        bytes += end - data.start.max(at);
        at = end;
    }
    Ok(bytes)
}

/// Bytes of the pages up to `end` that hold anything: what has to be read to read all.
pub(super) fn bytes_to_read(s: &dyn Storage, end: u64) -> io::Result<u64> {
    let (mut page, mut pages) = (0, 0);
    while let Some(data) = s.next_data(page * PAGE)?.filter(|data| data.start < end) {
        let past = data.end.min(end).div_ceil(PAGE);
        pages += past - page.max(data.start / PAGE);
        page = past;
    }
    Ok(pages * PAGE)
}

/// Gives back what `cell` says is gone. From the tail to the head, so that whatever a kill leaves
/// can still be found from its head; the notes last.
fn punch_session(s: &dyn Storage, raw: &RawEntry, cell: Cell) -> io::Result<u64> {
    let ranges: Vec<Range<u64>> = match (cell, raw.pack, raw.identity) {
        (Cell::TapePruned, Some(head), Some(identity)) => {
            tape_in_pack(s, &identity, u64::from(head))?
        }
        _ => leases_of(s, raw)?
            .into_iter()
            .filter(|(kind, _)| cell != Cell::TapePruned || *kind == Kind::Tape)
            .map(|(_, lease)| bytes_of_lease(lease))
            .collect(),
    };
    let mut bytes = 0;
    for range in ranges.into_iter().rev() {
        bytes += data_bytes(s, range.clone())?;
        match s.punch(range) {
            // Without holes the room comes back when the store is compacted.
            Err(e) if e.raw_os_error() == Some(libc::EOPNOTSUPP) => return Ok(0),
            punched => punched?,
        }
    }
    Ok(bytes)
}

/// The parts of a pack that hold nothing but blocks of the tape.
fn tape_in_pack(s: &dyn Storage, identity: &Identity, head: u64) -> io::Result<Vec<Range<u64>>> {
    let salt = layout::salt(&identity.id);
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let mut hop = Hop::new(salt, Kind::Pack, head);
    let mut page = vec![0; PAGE_LEN];
    while let Some(header) = hop.next(s, Reach::Near)? {
        read_zero_filled(s, header.page * PAGE, &mut page)?;
        let (mut at, end) = (HEADER_LEN, header.lease.data_end(header.page));
        let seed = layout::seed(salt, header.page);
        let mut tape: Option<Range<usize>> = None;
        while at < end
            && let FrameAt::Frame(frame) = FrameHeader::decode(&page[at..end], seed, true)
        {
            let next = at + frame.stride();
            if frame.flags & BLOCK != 0 && frame.stream == carrier(Chain::Tape) {
                tape = Some(tape.map_or(at, |tape| tape.start)..next);
            }
            at = next;
        }
        let Some(tape) = tape else { continue };
        // Whole blocks of the disk; a foot stays, for notes may have been added behind it.
        let all = tape.start == HEADER_LEN;
        let start = if all { 0 } else { tape.start.next_multiple_of(BLOCK_LEN) };
        let stop = match tape.end == at {
            true if header.page + 1 == header.lease.end() => PAGE_LEN - BLOCK_LEN,
            true => PAGE_LEN,
            false => tape.end / BLOCK_LEN * BLOCK_LEN,
        };
        if start < stop {
            let base = header.page * PAGE;
            ranges.push(base + start as u64..base + stop as u64);
        }
    }
    Ok(ranges)
}

/// Ends deletions that a kill or a power cut has interrupted.
fn punch_leftovers(s: &dyn Storage, sup: &Super) -> io::Result<u64> {
    let mut left: Vec<(RawEntry, Cell, Held<'_>)> = Vec::new();
    for index in 0..catalog::slots_used(s, sup)?.div_ceil(ENTRIES_PER_PAGE) {
        let page = catalog::read_page(s, sup, index)?;
        for slot in index * ENTRIES_PER_PAGE..(index + 1) * ENTRIES_PER_PAGE {
            let raw = catalog::decode_entry(&page, slot);
            let Some(identity) = raw.identity else { continue };
            let (cell, head) = match (raw.deleted, raw.tape_pruned, raw.pack) {
                (true, _, Some(pack)) => (Cell::Deleted, u64::from(pack)),
                (true, _, None) => (Cell::Deleted, identity.notes_head),
                (false, true, None) => (Cell::TapePruned, identity.tape_head),
                _ => continue,
            };
            if chain::read_header(s, head) != chain::HeaderAt::Zero
                && let Some(held) = Held::at_once(s, lock_of_slot(slot), Lock::Exclusive)?
            {
                // The sync that should have made the cell durable may have failed.
                catalog::write_cell(s, sup, slot, &identity.id, cell)?;
                left.push((raw, cell, held));
            }
        }
    }
    if !left.is_empty() {
        s.sync()?;
    }
    let mut bytes = 0;
    for (raw, cell, _held) in &left {
        bytes += punch_session(s, raw, *cell)?;
    }
    Ok(bytes)
}
