//! The seam between the store and its file: a real file or a simulated disk stand behind it.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

pub use crate::sys::file::Lock;

/// One handle on a store's file, with locks of its own.
///
/// What a write wrote, every later read sees, through any handle. Nothing is durable before
/// [`Storage::sync`]; what is synced is durable with everything written before it by anyone.
pub trait Storage: Debug + Send + Sync {
    /// Bytes of the file.
    fn size(&self) -> io::Result<u64>;

    /// Makes the file at least `len` bytes long. Never shortens it.
    fn extend_to(&self, len: u64) -> io::Result<()>;

    /// Reads at `offset` until `buf` is full or the file ends; the number of bytes read.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Writes all the parts one after the other. After an error any part of any of them may stand.
    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()>;

    /// As [`Storage::write_at`], for the small writes of a recording; where the storage can, the
    /// first 8 bytes of the first part appear after all others.
    fn publish(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.write_at(offset, parts)
    }

    /// Gets ready for small writes to a range, off the path that makes them.
    fn prepare(&self, range: Range<u64>) -> io::Result<()> {
        let _ = range;
        Ok(())
    }

    /// Gives back what [`Storage::prepare`] took and was not written: all of it from `tail` on.
    fn release(&self, tail: u64) {
        let _ = tail;
    }

    /// Gives the room of a range back; it reads as zero. An error when holes are not supported.
    fn punch(&self, range: Range<u64>) -> io::Result<()>;

    /// The next range from `offset` on that may hold anything but zeros; None when only zeros
    /// follow. Storage that does not know its holes answers with all the rest.
    fn next_data(&self, offset: u64) -> io::Result<Option<Range<u64>>>;

    /// Makes everything written so far durable, by whomever it was written.
    fn sync(&self) -> io::Result<()>;

    /// Has `work` done by someone who outlives this process, if there is a way; otherwise at once.
    /// The caller waits for nothing and is about to end. The locks of this handle are held until
    /// the work is done; the work itself must go through another handle.
    fn leave_behind(&self, work: &mut dyn FnMut()) -> io::Result<()> {
        work();
        Ok(())
    }

    /// Makes everything written so far durable, then a cell written at `at` that says so, and only
    /// then gives back what it stands for. After an error nothing was given back.
    fn settle(&self, at: u64, cell: [u8; 8], punch: &[Range<u64>]) -> io::Result<()> {
        if self.rules().sync_before_cell {
            self.sync()?;
        }
        self.write_at(at, &[IoSlice::new(&cell)])?;
        if self.rules().sync_before_punch {
            self.sync()?;
        }
        for range in punch {
            match self.punch(range.clone()) {
                // Without holes the room comes back when the store is compacted.
                Err(e) if e.raw_os_error() == Some(libc::EOPNOTSUPP) => return Ok(()),
                punched => punched?,
            }
        }
        Ok(())
    }

    /// Locks a byte (of a space beyond all data) without waiting; false when another handle has it.
    fn try_lock(&self, byte: u64, lock: Lock) -> io::Result<bool>;

    /// Gives a locked byte back.
    fn unlock(&self, byte: u64) -> io::Result<()>;

    /// Whether another handle has the byte locked in any way.
    fn is_locked(&self, byte: u64) -> io::Result<bool>;

    /// Waits a moment before a lock is tried again.
    fn pause(&self);

    /// Another handle on the file that has this one's name at this time.
    fn reopen(&self) -> io::Result<Arc<dyn Storage>>;

    /// Whether the file still has its name (compaction gives the name to another).
    fn is_current(&self) -> io::Result<bool>;

    /// A new, empty file beside this one, for [`Storage::replace_by`].
    fn sibling(&self) -> io::Result<Arc<dyn Storage>>;

    /// Gives this file's name to `sibling`, which was synced, and makes that durable.
    fn replace_by(&self, sibling: &dyn Storage) -> io::Result<()>;

    /// Removes this file, a sibling that is not wanted after all.
    fn discard(&self) {}

    /// The name of the file.
    fn path(&self) -> &Path;

    /// The rules the store obeys on this storage: all of them, unless a test breaks one.
    #[doc(hidden)]
    fn rules(&self) -> Rules {
        Rules::ALL
    }
}

/// The rules that make a store safe. Tests break one at a time, to prove that the simulated disk
/// would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
#[allow(missing_docs)]
pub struct Rules {
    pub check_crc: bool,
    pub check_fseq: bool,
    pub sync_before_punch: bool,
    pub sync_before_cell: bool,
    pub sync_growth: bool,
    pub two_supers: bool,
    pub lock_allocation: bool,
    pub fresh_page_after_error: bool,
    pub settle_end: bool,
    pub sync_before_index: bool,
    pub heed_changes: bool,
}

impl Rules {
    #[allow(missing_docs)]
    pub const ALL: Rules = Rules {
        check_crc: true,
        check_fseq: true,
        sync_before_punch: true,
        sync_before_cell: true,
        sync_growth: true,
        two_supers: true,
        lock_allocation: true,
        fresh_page_after_error: true,
        settle_end: true,
        sync_before_index: true,
        heed_changes: true,
    };
}

/// The byte whose lock gives the right to extend the file and to take a slot.
pub const LOCK_ALLOC: u64 = 1 << 62;
/// The byte every writer shares for life; alone, it gives the right to replace the file.
pub const LOCK_GATE: u64 = LOCK_ALLOC + 1;
/// The byte of whoever deletes.
pub const LOCK_PRUNE: u64 = LOCK_ALLOC + 2;

/// The byte of whoever writes the index.
pub const LOCK_INDEX: u64 = LOCK_ALLOC + 3;

/// The byte that the owner of a slot holds for life.
pub fn lock_of_slot(slot: u32) -> u64 {
    LOCK_ALLOC + 4096 + u64::from(slot)
}

/// Most times a lock is tried before a caller gives up: about two seconds of real time.
pub const LOCK_TRIES_MAX: u32 = 2000;

/// Locks a byte, waiting at most [`LOCK_TRIES_MAX`] pauses; false when it stays taken.
pub fn lock_patiently(s: &dyn Storage, byte: u64, lock: Lock) -> io::Result<bool> {
    lock_within(s, byte, lock, LOCK_TRIES_MAX)
}

/// As [`lock_patiently`], with so many pauses at most.
pub fn lock_within(s: &dyn Storage, byte: u64, lock: Lock, tries_max: u32) -> io::Result<bool> {
    for _ in 0..tries_max {
        if s.try_lock(byte, lock)? {
            return Ok(true);
        }
        s.pause();
    }
    Ok(false)
}

/// A byte that is given back when the guard goes.
#[derive(Debug)]
pub struct Held<'a> {
    storage: &'a dyn Storage,
    byte: u64,
}

impl<'a> Held<'a> {
    /// Locks `byte`; None when another has it for too long.
    pub fn patiently(
        storage: &'a dyn Storage,
        byte: u64,
        lock: Lock,
    ) -> io::Result<Option<Held<'a>>> {
        Ok(lock_patiently(storage, byte, lock)?.then_some(Held { storage, byte }))
    }

    /// Locks `byte` if it is free now.
    pub fn at_once(
        storage: &'a dyn Storage,
        byte: u64,
        lock: Lock,
    ) -> io::Result<Option<Held<'a>>> {
        Ok(storage.try_lock(byte, lock)?.then_some(Held { storage, byte }))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and closing the handle gives the byte back.
        let _ = self.storage.unlock(self.byte);
    }
}

/// Reads `buf.len()` bytes; what the file does not have reads as zero.
pub fn read_zero_filled(s: &dyn Storage, offset: u64, buf: &mut [u8]) -> io::Result<()> {
    let n = s.read_at(offset, buf)?;
    buf[n..].fill(0);
    Ok(())
}
