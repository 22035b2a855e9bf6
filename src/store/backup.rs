//! A copy of the whole file while others write to it. Any such copy is what some power cut could
//! have left, and a store that a power cut left is a sound store.

use super::catalog;
use super::house::{Progress, leases_of_pack};
use super::layout::{
    ENTRIES_PER_PAGE, ENTRY_LEN, FIRST_LEASE, FIRST_RUN, PAGE, PAGE_LEN, RUN_PAGES, Super, is_zero,
};
use super::storage::{
    Held, LOCK_GATE, LOCK_PRUNE, Lock, Storage, lock_patiently, read_zero_filled,
};
use super::{FileStorage, Store};
use crate::error::{Error, Result};
use std::io::{self, IoSlice};
use std::path::Path;

/// Pages that are passed over together when they are all holes.
const WINDOW_PAGES: u64 = 1024;
/// Bytes of a disk block: what a hole is made of.
const BLOCK_LEN: usize = 4096;

impl Store {
    /// Copies the store to a new file at `path`, holes and all. Everything synced before the call
    /// is in the copy; sessions being written come as far as they are, as lost ones. The bytes
    /// copied.
    pub fn backup(&self, path: &Path, progress: &mut dyn FnMut(Progress)) -> Result<u64> {
        let cannot = |e: &io::Error| Error::io(format!("cannot back up to {}", path.display()), e);
        let (storage, _) = self.refreshed()?;
        let handle = storage.reopen().map_err(|e| cannot(&e))?;
        let s = &*handle;
        // Nobody may delete meanwhile: the copy could hold an entry without its pages. A store
        // that was opened to read cannot lock others out, and is copied all the same.
        let gate = lock_patiently(s, LOCK_GATE, Lock::Shared).map_err(|e| cannot(&e))?;
        let prune = Held::patiently(s, LOCK_PRUNE, Lock::Exclusive);
        if !gate || matches!(prune, Ok(None)) {
            return Err(self.busy("cannot back up"));
        }
        let new = FileStorage::create_beside(path).map_err(|e| cannot(&e))?;
        let copied = copy_all(s, &new, progress);
        let copied = copied.and_then(|bytes| new.sync().map(|()| bytes));
        match copied {
            Err(e) => {
                new.discard();
                Err(cannot(&e))
            }
            Ok(bytes) => match new.link_as(path).map_err(|e| cannot(&e))? {
                true => Ok(bytes),
                false => Err(Error::failed(format!("cannot back up to {}", path.display()))
                    .why("the file exists")
                    .with_hint("name a file that does not")),
            },
        }
    }
}

/// The catalog first, then the pages from the last to the first. A chain grows upwards, so no page
/// in the copy is older than one that follows it: every session comes as one that was cut short.
fn copy_all(
    s: &dyn Storage,
    new: &dyn Storage,
    progress: &mut dyn FnMut(Progress),
) -> io::Result<u64> {
    let mut bytes = 0;
    let sup = catalog::read_super(s)?.ok_or_else(|| io::Error::other("no sound superblock"))?;
    let runs = sup.runs.iter().map(|start| *start..start + u64::from(RUN_PAGES));
    for page in (0..FIRST_RUN).chain(runs.clone().flatten()) {
        bytes += copy_page(s, new, page)?;
    }
    let total = s.size()?.div_ceil(PAGE);
    new.extend_to(total * PAGE)?;
    let mut end = total;
    while end > FIRST_LEASE {
        progress(Progress { done: total - end, total });
        let start = end.saturating_sub(WINDOW_PAGES).max(FIRST_LEASE);
        if s.next_data(start * PAGE)?.is_some_and(|data| data.start < end * PAGE) {
            for page in
                (start..end).rev().filter(|page| !runs.clone().any(|run| run.contains(page)))
            {
                bytes += copy_page(s, new, page)?;
            }
        }
        end = start;
    }
    Ok(bytes + follow_moves(s, new, &sup)?)
}

/// Copies the packs of sessions that were packed meanwhile, for the pages that the copied catalog
/// names may have been given back before their turn came; and what deletions there were, where
/// nobody could be kept from them. An entry says so before pages are given back: one that says
/// nothing yet has all its pages in the copy.
fn follow_moves(s: &dyn Storage, new: &dyn Storage, sup: &Super) -> io::Result<u64> {
    let mut bytes = 0;
    for index in 0..catalog::slots_used(s, sup)?.div_ceil(ENTRIES_PER_PAGE) {
        let (copied, page) =
            (catalog::read_page(new, sup, index)?, catalog::read_page(s, sup, index)?);
        for slot in index * ENTRIES_PER_PAGE..(index + 1) * ENTRIES_PER_PAGE {
            let (was, is) =
                (catalog::decode_entry(&copied, slot), catalog::decode_entry(&page, slot));
            let Some(identity) = was.identity else { continue };
            let cells = |entry: catalog::RawEntry| (entry.pack, entry.tape_pruned, entry.deleted);
            if cells(was) == cells(is) {
                continue;
            }
            for (_, lease) in is
                .pack
                .map_or(Ok(Vec::new()), |head| leases_of_pack(s, &identity, u64::from(head)))?
            {
                new.extend_to(lease.end() * PAGE)?;
                for page in (lease.start..lease.end()).rev() {
                    bytes += copy_page(s, new, page)?;
                }
            }
            if let Some(at) = catalog::offset_of(sup, slot) {
                let mut entry = [0; ENTRY_LEN];
                read_zero_filled(s, at, &mut entry)?;
                new.write_at(at, &[IoSlice::new(&entry)])?;
            }
        }
    }
    Ok(bytes)
}

fn copy_page(s: &dyn Storage, new: &dyn Storage, page: u64) -> io::Result<u64> {
    let mut buf = [0; PAGE_LEN];
    let (at, end) = (page * PAGE, (page + 1) * PAGE);
    if s.next_data(at)?.is_none_or(|data| data.start >= end) {
        return Ok(0);
    }
    let n = s.read_at(at, &mut buf)?;
    // Blocks of zeros stay holes.
    let mut bytes = 0;
    for (i, block) in buf[..n].chunks(BLOCK_LEN).enumerate() {
        if !is_zero(block) {
            new.write_at(at + (i * BLOCK_LEN) as u64, &[IoSlice::new(block)])?;
            bytes += block.len() as u64;
        }
    }
    Ok(bytes)
}
