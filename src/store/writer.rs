//! A session being written: two cursors, the owner's locks, and what to do when the disk fails.

use super::catalog;
use super::chain;
use super::cursor::{BULK_MIN, Cursor};
use super::house;
use super::keeper::Keeper;
use super::layout::{self, CONT, Exit, Identity, Kind, Lease, NOTICE, PAGE, Status, Super};
use super::storage::{LOCK_GATE, LOCK_TRIES_MAX, Storage, lock_of_slot};
use super::stream::{Chain, StreamId};
use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Microseconds between attempts to write again after a failure.
pub const RETRY_US: u64 = 2_000_000;
/// Microseconds to the next attempt when another process held the allocation lock.
const RETRY_LOCK_US: u64 = 10_000;
/// Times a lease is asked for on the path of an append, a millisecond apart.
const LEASE_TRIES_MAX: u32 = 5;
/// The longest [`Writer::end`] waits for the disk.
const END_WAIT: Duration = Duration::from_secs(2);
/// Failed syncs in a row after which nothing more is written.
const SYNC_FAILURES_MAX: u32 = 2;

/// Most bytes that wait in memory while another process holds the allocation lock.
pub const QUEUE_LEN_MAX: usize = 1 << 20;

/// Times the allocation lock is tried, a millisecond apart, before a full queue is given up. Who
/// holds it waits for the disk as any writer does when others flood it, and that takes seconds.
pub const FULL_TRIES_MAX: u32 = 30_000;

/// Bytes of frames from which on a session is packed as it ends: less would gain a block or two.
pub const PACK_AT_END_MIN: u64 = 16 << 10;
/// Bytes of frames up to which it is: more would keep a processor busy for long.
pub const PACK_AT_END_MAX: u64 = 256 << 20;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Append {
    /// It is in the file: it survives the death of this process, and a power cut after the next
    /// sync.
    Stored,
    /// It waits in memory for another process to let go of the allocation lock, which takes
    /// microseconds unless that process was stopped in the act. The next append or tick tries
    /// again; a kill before that loses it.
    Queued,
    /// It is not; this many bytes were dropped since the store last worked.
    Degraded {
        /// Bytes dropped.
        dropped: u64,
    },
}

/// How well a writer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Records are being dropped.
    pub degraded: bool,
    /// Payload bytes dropped over the whole session.
    pub dropped: u64,
    /// The system's number for the last failure.
    pub errno: Option<i32>,
    /// When [`Writer::tick`] wants to be called, in microseconds since the session's start; None
    /// when there is nothing to retry.
    pub retry_us: Option<u64>,
}

/// What [`Writer::end`] leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndReport {
    /// Payload bytes dropped over the whole session.
    pub dropped: u64,
    /// The system's number for the last failure.
    pub errno: Option<i32>,
    /// The last sync came back in time: a power cut loses nothing of this session.
    pub durable: bool,
}

/// The owner of a session that is being written. Dropping one without [`Writer::end`] leaves the
/// session as a killed process would: all it wrote is there, its state is lost.
#[derive(Debug)]
pub struct Writer {
    storage: Arc<dyn Storage>,
    sup: Super,
    slot: u32,
    identity: Identity,
    /// None when the session is packed or already ended: only notes are appended then.
    tape: Option<Cursor>,
    notes: Cursor,
    /// The status of an ended session that notes are added to.
    status: Option<Status>,
    /// That status stands in the catalog.
    status_written: bool,
    keeper: Keeper,
    names: Vec<String>,
    dropped: u64,
    errno: Option<i32>,
    trouble: [Option<Trouble>; 2],
    /// Records that wait, by chain.
    queue: [VecDeque<Waiting>; 2],
    queue_len: usize,
    queue_retry_us: u64,
    sync_failures: u32,
    /// A sync has failed: what it covered may be forgotten.
    shaken: bool,
    /// The session is being packed behind this process.
    behind: bool,
}

/// A chain that cannot be written for the moment.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    dropped: u64,
    from_us: u64,
    retry_us: u64,
    errno: i32,
}

/// A record, or the rest of one, that waits.
#[derive(Debug)]
struct Waiting {
    stream: StreamId,
    flags: u8,
    t_us: u64,
    bytes: Vec<u8>,
}

/// What [`Writer::new`] is made of.
pub(super) struct Parts {
    pub storage: Arc<dyn Storage>,
    pub sup: Super,
    pub slot: u32,
    pub identity: Identity,
    pub tape: Option<Cursor>,
    pub notes: Cursor,
    pub status: Option<Status>,
    pub status_written: bool,
    pub keeper: Keeper,
    pub names: Vec<String>,
}

impl Writer {
    pub(super) fn new(parts: Parts) -> Writer {
        Writer {
            storage: parts.storage,
            sup: parts.sup,
            slot: parts.slot,
            identity: parts.identity,
            tape: parts.tape,
            notes: parts.notes,
            status: parts.status,
            status_written: parts.status_written,
            keeper: parts.keeper,
            names: parts.names,
            dropped: 0,
            errno: None,
            trouble: [None; 2],
            queue: [VecDeque::new(), VecDeque::new()],
            queue_len: 0,
            queue_retry_us: 0,
            sync_failures: 0,
            shaken: false,
            behind: false,
        }
    }

    /// Appends one record to a stream, `t_us` microseconds after the session's start. Records of
    /// any length are taken. Never panics; waits for another process 5 ms at most, but half a
    /// minute before it drops anything for that. After a failure records are dropped and counted
    /// until the store works again, which is tried every two seconds; the gap is then noted in the
    /// chain.
    pub fn append(&mut self, stream: StreamId, t_us: u64, bytes: &[u8]) -> Append {
        self.heed_sync_errors(t_us);
        let chain = stream.chain();
        if !self.recover(chain, t_us) {
            return self.drop_bytes(chain, bytes.len() as u64);
        }
        if !self.flush(chain, t_us, LEASE_TRIES_MAX) {
            return self.wait_in_queue(chain, stream, 0, t_us, bytes);
        }
        match self.put(chain, stream, 0, t_us, bytes, LEASE_TRIES_MAX) {
            Ok(()) => Append::Stored,
            Err((e, done)) if e.kind() == io::ErrorKind::WouldBlock => {
                self.queue_retry_us = t_us.saturating_add(RETRY_LOCK_US);
                let flags = if done > 0 { CONT } else { 0 };
                self.wait_in_queue(chain, stream, flags, t_us, &bytes[done..])
            }
            Err((e, done)) => {
                self.enter_trouble(chain, t_us, &e);
                self.drop_bytes(chain, (bytes.len() - done) as u64)
            }
        }
    }

    /// Runs `stop`, which stops this process, at a moment when it holds no lock but its own
    /// session's: others would wait for it.
    pub fn at_rest<T>(&self, stop: impl FnOnce() -> T) -> T {
        let _rest = self.keeper.rest();
        stop()
    }

    fn wait_in_queue(
        &mut self,
        chain: Chain,
        stream: StreamId,
        flags: u8,
        t_us: u64,
        bytes: &[u8],
    ) -> Append {
        if self.queue_len + bytes.len() > QUEUE_LEN_MAX {
            // Who holds the lock may be waiting for a slow disk: better that the command waits, too.
            self.queue_retry_us = 0;
            let kept = match self.flush(chain, t_us, FULL_TRIES_MAX) {
                true => self.put(chain, stream, flags, t_us, bytes, FULL_TRIES_MAX),
                false => Err((io::ErrorKind::WouldBlock.into(), 0)),
            };
            let Err((e, done)) = kept else { return Append::Stored };
            if self.trouble[index_of(chain)].is_none() {
                self.enter_trouble(chain, t_us, &e);
            }
            return self.drop_bytes(chain, (bytes.len() - done) as u64);
        }
        self.queue_len += bytes.len();
        let waiting = Waiting { stream, flags, t_us, bytes: bytes.to_vec() };
        self.queue[index_of(chain)].push_back(waiting);
        Append::Queued
    }

    /// Writes the records of a chain that wait, if the time for an attempt has come; whether none
    /// waits any more.
    fn flush(&mut self, chain: Chain, t_us: u64, tries_max: u32) -> bool {
        while let Some(mut waiting) = self.queue[index_of(chain)].pop_front() {
            if t_us < self.queue_retry_us {
                self.queue[index_of(chain)].push_front(waiting);
                return false;
            }
            let Waiting { stream, flags, t_us: at, ref mut bytes } = waiting;
            match self.put(chain, stream, flags, at, bytes, tries_max) {
                Ok(()) => self.queue_len -= bytes.len(),
                Err((e, done)) => {
                    self.queue_len -= done;
                    bytes.drain(..done);
                    let flags = if done > 0 { flags | CONT } else { flags };
                    self.queue_retry_us = t_us.saturating_add(RETRY_LOCK_US);
                    self.queue[index_of(chain)].push_front(Waiting { flags, ..waiting });
                    if e.kind() != io::ErrorKind::WouldBlock {
                        self.drop_queue(chain, t_us, &e);
                    }
                    return false;
                }
            }
        }
        true
    }

    fn drop_queue(&mut self, chain: Chain, t_us: u64, e: &io::Error) {
        self.enter_trouble(chain, t_us, e);
        let waiting = std::mem::take(&mut self.queue[index_of(chain)]);
        let bytes: usize = waiting.iter().map(|waiting| waiting.bytes.len()).sum();
        self.queue_len -= bytes;
        self.drop_bytes(chain, bytes as u64);
    }

    /// Gives a name to a stream of this session, or finds the one that has it.
    pub fn define(&mut self, name: &str) -> Result<StreamId> {
        if let Some(fixed) = StreamId::of_fixed_name(name) {
            return Ok(fixed);
        }
        let known = self.names.iter().position(|known| known == name);
        let index = known.unwrap_or(self.names.len());
        let id = u8::try_from(usize::from(StreamId::FIRST_NAMED.0) + index).map(StreamId).map_err(
            |_| Error::failed(format!("cannot name stream {name}")).why("240 have names"),
        )?;
        if known.is_none() {
            let mut record = vec![id.0];
            record.extend_from_slice(name.as_bytes());
            let t_us = self.trouble[index_of(Chain::Notes)].map_or(0, |trouble| trouble.from_us);
            match self.append(StreamId::NAME, t_us, &record) {
                Append::Stored => self.names.push(name.to_owned()),
                Append::Queued => self.names.push(name.to_owned()),
                Append::Degraded { .. } => {
                    return Err(Error::failed(format!("cannot name stream {name}"))
                        .why("the store cannot be written"));
                }
            }
        }
        Ok(id)
    }

    /// How well the writer is.
    pub fn state(&self) -> Health {
        let waits = self.queue.iter().any(|queue| !queue.is_empty());
        let troubles = self.trouble.iter().flatten().map(|trouble| trouble.retry_us);
        let retries = troubles.chain(waits.then_some(self.queue_retry_us));
        Health {
            degraded: self.trouble.iter().any(Option::is_some),
            dropped: self.dropped,
            errno: self.errno,
            retry_us: retries.filter(|&us| us < u64::MAX).min(),
        }
    }

    /// Tries again what failed, if its time has come.
    pub fn tick(&mut self, t_us: u64) {
        self.heed_sync_errors(t_us);
        for chain in [Chain::Tape, Chain::Notes] {
            if self.recover(chain, t_us) {
                self.flush(chain, t_us, LEASE_TRIES_MAX);
            }
        }
    }

    /// Makes everything appended so far durable; waits for the disk. The keeper does this once a
    /// second by itself.
    pub fn sync(&mut self) -> Result<()> {
        match self.storage.sync() {
            Ok(()) => {
                self.sync_failures = 0;
                Ok(())
            }
            Err(e) => {
                self.sync_failures += 1;
                self.note_sync_failure(0, &e);
                Err(Error::io(format!("cannot sync {}", self.storage.path().display()), &e))
            }
        }
    }

    /// Bytes of stdout stored so far.
    pub fn out_bytes(&self) -> u64 {
        match (&self.tape, self.status) {
            (Some(tape), _) => tape.pos(),
            (None, Some(status)) => status.out_bytes,
            (None, None) => 0,
        }
    }

    /// Whether the store still has its name: a file that was removed meanwhile takes what is
    /// written and is gone when it is closed.
    pub fn is_linked(&self) -> bool {
        self.storage.is_current().unwrap_or(false)
    }

    /// The session's place in the catalog.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// Writes how the session ended (`end_us`: microseconds since 1970), and waits for the disk,
    /// two seconds at most. For a writer from `Store::resume`, `exit` and `end_us` are those of
    /// the first end and the arguments are not used.
    pub fn end(mut self, exit: Exit, end_us: i64) -> Result<EndReport> {
        self.write_end(exit, end_us)?;
        let durable = self.keeper.finish(&self.storage, END_WAIT);
        self.release();
        Ok(EndReport { dropped: self.dropped, errno: self.errno, durable })
    }

    /// As [`Writer::end`], for a process on its way out: the disk is waited for by a child of its
    /// own, which also packs the session if it is to and if that pays. What was written survives
    /// this process either way.
    pub fn end_behind(mut self, exit: Exit, end_us: i64, pack: bool) -> Result<EndReport> {
        self.write_end(exit, end_us)?;
        self.keeper.dismiss();
        self.release();
        self.behind = pack && self.pays_to_pack();
        let left = self.storage.leave_behind(&mut || self.settle_behind());
        self.behind &= left.is_ok();
        Ok(EndReport { dropped: self.dropped, errno: self.errno, durable: left.is_ok() })
    }

    /// Packs the session, if that is wanted, and makes all that was written durable.
    fn settle_behind(&self) {
        // Through a handle of its own: the keeper may be using the other's locks. A file that has
        // lost its name since has no more to be done for it.
        let Ok(own) = self.storage.reopen() else { return };
        if !self.storage.is_current().unwrap_or(false) {
            return;
        }
        let pack = || house::pack_locked(&own, &self.sup, self.slot, &self.identity.id);
        if !self.behind || !pack().unwrap_or(false) {
            // Nobody is left to tell of a failure.
            let _ = own.sync();
        }
    }

    /// Whether the session is worth packing as it ends.
    fn pays_to_pack(&self) -> bool {
        let len = match &self.tape {
            Some(tape) => self.notes.written() + tape.written(),
            None => house::unpacked_len(&*self.storage, &self.sup, self.slot).unwrap_or(0),
        };
        (PACK_AT_END_MIN..=PACK_AT_END_MAX).contains(&len)
    }

    /// Gives back what was set aside for writes to come.
    fn release(&self) {
        if let Some(tape) = &self.tape {
            self.storage.release(tape.tail());
        }
    }

    fn write_end(&mut self, exit: Exit, end_us: i64) -> Result<()> {
        for chain in [Chain::Tape, Chain::Notes] {
            if !self.flush(chain, u64::MAX, LOCK_TRIES_MAX) {
                self.drop_queue(chain, u64::MAX, &io::ErrorKind::WouldBlock.into());
            }
        }
        let status = match (self.status, &self.tape) {
            // What was said at the first end holds, and a rewriting could be torn: the notes added
            // are found by the foot that leads to them, unless a sync may have forgotten it.
            (Some(_), _) if !self.shaken && self.status_written => None,
            (Some(status), _) => Some(Status {
                notes_seq: self.notes.last_seq(),
                notes_fseq: self.notes.fseq(),
                ..status
            }),
            (None, tape) => Some(Status {
                lost: false,
                exit,
                end_us,
                out_bytes: self.out_bytes(),
                tape_seq: tape.as_ref().map_or(0, Cursor::last_seq),
                notes_seq: self.notes.last_seq(),
                tape_fseq: tape.as_ref().map_or(0, Cursor::fseq),
                notes_fseq: self.notes.fseq(),
            }),
        };
        let written = match status {
            Some(status) => catalog::write_status(&*self.storage, &self.sup, self.slot, &status),
            None => Ok(()),
        };
        let path = self.storage.path().display();
        written.map_err(|e| Error::io(format!("cannot end the session in {path}"), &e))
    }

    fn put(
        &mut self,
        chain: Chain,
        stream: StreamId,
        flags: u8,
        t_us: u64,
        bytes: &[u8],
        tries_max: u32,
    ) -> std::result::Result<(), (io::Error, usize)> {
        let cursor = match (chain, &mut self.tape) {
            (Chain::Tape, Some(tape)) => tape,
            (Chain::Tape, None) => {
                return Err((io::Error::from(io::ErrorKind::ReadOnlyFilesystem), 0));
            }
            (Chain::Notes, _) => &mut self.notes,
        };
        let (storage, keeper) = (&*self.storage, &self.keeper);
        let kind = cursor.kind();
        let mut last = cursor.lease();
        let mut take = |pages| {
            last = keeper.take_lease(storage, kind, last, pages, tries_max)?;
            Ok(last)
        };
        let result = cursor.append(storage, stream, flags, t_us, bytes, &mut take);
        keeper.wrote(cursor, bytes.len() < BULK_MIN);
        result
    }

    /// Whether the chain can be written: at once when it is well, after a successful attempt when
    /// the time for one has come.
    fn recover(&mut self, chain: Chain, t_us: u64) -> bool {
        let Some(trouble) = self.trouble[index_of(chain)] else { return true };
        if t_us < trouble.retry_us {
            return false;
        }
        let notice = format!(
            "{{\"dropped\":{},\"from_us\":{},\"to_us\":{},\"errno\":{}}}",
            trouble.dropped, trouble.from_us, t_us, trouble.errno
        );
        if !self.flush(chain, t_us, LEASE_TRIES_MAX) {
            self.put_off(chain, t_us);
            return false;
        }
        match self.put(chain, StreamId::NOTICE, NOTICE, t_us, notice.as_bytes(), LEASE_TRIES_MAX) {
            Ok(()) => {
                self.trouble[index_of(chain)] = None;
                true
            }
            Err((e, _)) => {
                self.enter_trouble(chain, t_us, &e);
                false
            }
        }
    }

    fn put_off(&mut self, chain: Chain, t_us: u64) {
        if let Some(trouble) = &mut self.trouble[index_of(chain)] {
            trouble.retry_us = t_us.saturating_add(RETRY_LOCK_US);
        }
    }

    fn enter_trouble(&mut self, chain: Chain, t_us: u64, e: &io::Error) {
        let errno = e.raw_os_error().unwrap_or(match e.kind() {
            io::ErrorKind::WouldBlock => libc::EAGAIN,
            _ => libc::EIO,
        });
        self.errno = Some(errno);
        let wait = if errno == libc::EAGAIN { RETRY_LOCK_US } else { RETRY_US };
        let retry_us = t_us.saturating_add(wait);
        let trouble = self.trouble[index_of(chain)].get_or_insert(Trouble {
            dropped: 0,
            from_us: t_us,
            retry_us,
            errno,
        });
        (trouble.retry_us, trouble.errno) = (retry_us, errno);
    }

    fn drop_bytes(&mut self, chain: Chain, count: u64) -> Append {
        self.dropped = self.dropped.saturating_add(count);
        let mut dropped = count;
        if let Some(trouble) = &mut self.trouble[index_of(chain)] {
            trouble.dropped = trouble.dropped.saturating_add(count);
            dropped = trouble.dropped;
        }
        Append::Degraded { dropped }
    }

    /// Pages that a failed sync covered may be lost though they read well: go on elsewhere. The
    /// second failure in a row ends the recording.
    fn heed_sync_errors(&mut self, t_us: u64) {
        if let Some(e) = self.keeper.take_sync_error() {
            self.sync_failures = self.keeper.sync_failures().max(1);
            self.note_sync_failure(t_us, &e);
        }
    }

    fn note_sync_failure(&mut self, t_us: u64, e: &io::Error) {
        self.shaken = true;
        // The identity may be among what was lost; a failure here is the next attempt's to find.
        let _ = catalog::write_identity(&*self.storage, &self.sup, self.slot, &self.identity);
        let _ = self.notes.rewrite_feet(&*self.storage);
        self.notes.abandon_lease();
        if let Some(tape) = &mut self.tape {
            tape.abandon_lease();
        }
        for chain in [Chain::Tape, Chain::Notes] {
            self.enter_trouble(chain, t_us, e);
            let give_up = self.sync_failures >= SYNC_FAILURES_MAX;
            if let Some(trouble) = &mut self.trouble[index_of(chain)] {
                trouble.retry_us = if give_up { u64::MAX } else { t_us };
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.behind {
            // Whoever packs the session has these locks too, and needs them to the end.
            return;
        }
        // The keeper may hold the file open a little longer; the locks must not wait for it.
        let _ = self.storage.unlock(lock_of_slot(self.slot));
        let _ = self.storage.unlock(LOCK_GATE);
    }
}

fn index_of(chain: Chain) -> usize {
    match chain {
        Chain::Tape => 0,
        Chain::Notes => 1,
    }
}

/// Takes the first leases of a session, makes its cursors and says in the notes who it is. The
/// caller holds the allocation lock.
pub(super) fn first_cursors(
    s: &dyn Storage,
    slot: u32,
    new: &super::NewSession<'_>,
) -> io::Result<(Cursor, Cursor)> {
    const TAPE_PAGES: u32 = 4;
    let salt = layout::salt(&new.id);
    let notes_pages = 1 + new.meta.len().div_ceil(PAGE as usize / 2) as u32;
    let lease = chain::take_lease_locked(s, notes_pages + TAPE_PAGES)?;
    let notes = Lease { start: lease.start, pages: notes_pages };
    let tape = Lease { start: notes.end(), pages: TAPE_PAGES };
    let tape = Cursor::new(salt, Kind::Tape, slot, tape);
    let mut notes = Cursor::new(salt, Kind::Notes, slot, notes);
    let who = layout::encode_identity_frame(&new.id, new.start_us, &new.label);
    for (stream, record) in [(StreamId::IDENTITY, &who[..]), (StreamId::META, new.meta)] {
        if record.is_empty() {
            continue;
        }
        let mut none = |_| Err(io::Error::other("the first lease is too small"));
        notes.append(s, stream, 0, 0, record, &mut none).map_err(|(e, _)| e)?;
    }
    Ok((tape, notes))
}
