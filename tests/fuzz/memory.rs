//! A store's file in memory: a shared image that never changes, and the pages that differ from it.

use intentloop::store::layout::{PAGE, PAGE_LEN};
use intentloop::store::storage::{Lock, Storage};
use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Reads after which a case counts as one that does not come to an end.
pub const READS_MAX: u64 = 100_000;

/// An image that many cases start from.
#[derive(Debug, Default)]
pub struct Base {
    bytes: Vec<u8>,
    /// Pages that hold anything.
    used: Vec<bool>,
}

#[derive(Debug, Default)]
struct Inner {
    patches: BTreeMap<u64, Box<[u8; PAGE_LEN]>>,
    len: u64,
    reads: u64,
}

/// A file in memory. Clones are handles on the same file; every lock is free.
#[derive(Clone, Debug)]
pub struct Memory {
    base: Arc<Base>,
    inner: Arc<Mutex<Inner>>,
}

impl Base {
    pub fn new(bytes: Vec<u8>) -> Arc<Base> {
        let used = bytes.chunks(PAGE_LEN).map(|page| page.iter().any(|&byte| byte != 0)).collect();
        Arc::new(Base { bytes, used })
    }

    pub fn pages(&self) -> u64 {
        self.used.len() as u64
    }

    /// The numbers of the pages that hold anything.
    pub fn used(&self) -> Vec<u64> {
        (0..self.pages()).filter(|&page| self.used[page as usize]).collect()
    }

    pub fn page(&self, page: u64) -> [u8; PAGE_LEN] {
        let mut copy = [0; PAGE_LEN];
        let at = page as usize * PAGE_LEN;
        copy.copy_from_slice(&self.bytes[at..at + PAGE_LEN]);
        copy
    }
}

impl Memory {
    pub fn empty() -> Memory {
        Memory::on(&Arc::default())
    }

    pub fn on(base: &Arc<Base>) -> Memory {
        let inner = Inner { len: base.bytes.len() as u64, ..Inner::default() };
        Memory { base: Arc::clone(base), inner: Arc::new(Mutex::new(inner)) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn put(&self, page: u64, bytes: &[u8; PAGE_LEN]) {
        self.inner().patches.insert(page, Box::new(*bytes));
    }

    pub fn truncate(&self, len: u64) {
        self.inner().len = len;
    }

    /// All of the file, as a base for others.
    pub fn into_base(self) -> Arc<Base> {
        let len = self.inner().len.next_multiple_of(PAGE) as usize;
        let mut bytes = vec![0; len];
        self.read_at(0, &mut bytes).expect("memory");
        Base::new(bytes)
    }

    /// Calls `work` with each part of a range that lies within one page.
    fn by_page(at: u64, len: usize, mut work: impl FnMut(u64, Range<usize>, Range<usize>)) {
        let mut done = 0;
        while done < len {
            let (page, from) = ((at + done as u64) / PAGE, ((at + done as u64) % PAGE) as usize);
            let n = (PAGE_LEN - from).min(len - done);
            work(page, from..from + n, done..done + n);
            done += n;
        }
    }
}

impl Inner {
    fn page_mut(&mut self, base: &Base, page: u64) -> &mut [u8; PAGE_LEN] {
        self.patches.entry(page).or_insert_with(|| {
            Box::new(if page < base.pages() { base.page(page) } else { [0; PAGE_LEN] })
        })
    }
}

impl Storage for Memory {
    fn size(&self) -> io::Result<u64> {
        Ok(self.inner().len)
    }

    fn extend_to(&self, len: u64) -> io::Result<()> {
        let mut inner = self.inner();
        inner.len = inner.len.max(len);
        Ok(())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut inner = self.inner();
        inner.reads += 1;
        assert!(inner.reads < READS_MAX, "no end of reading");
        let n = inner.len.saturating_sub(offset).min(buf.len() as u64) as usize;
        Memory::by_page(offset, n, |page, from, to| match inner.patches.get(&page) {
            Some(patch) => buf[to].copy_from_slice(&patch[from]),
            None if page < self.base.pages() => {
                let at = page as usize * PAGE_LEN;
                buf[to].copy_from_slice(&self.base.bytes[at + from.start..at + from.end]);
            }
            None => buf[to].fill(0),
        });
        Ok(n)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let mut inner = self.inner();
        let mut at = offset;
        for part in parts {
            Memory::by_page(at, part.len(), |page, from, to| {
                inner.page_mut(&self.base, page)[from].copy_from_slice(&part[to]);
            });
            at += part.len() as u64;
        }
        inner.len = inner.len.max(at);
        Ok(())
    }

    fn punch(&self, range: Range<u64>) -> io::Result<()> {
        let mut inner = self.inner();
        Memory::by_page(range.start, (range.end - range.start) as usize, |page, from, _| {
            inner.page_mut(&self.base, page)[from].fill(0);
        });
        Ok(())
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        let inner = self.inner();
        if offset >= inner.len {
            return Ok(None);
        }
        let used = |page: u64| {
            inner.patches.contains_key(&page)
                || self.base.used.get(page as usize).is_some_and(|used| *used)
        };
        let page = (offset / PAGE..inner.len.div_ceil(PAGE)).find(|&page| used(page));
        Ok(page.map(|page| (page * PAGE).max(offset)..((page + 1) * PAGE).min(inner.len)))
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn try_lock(&self, _: u64, _: Lock) -> io::Result<bool> {
        Ok(true)
    }

    fn unlock(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn is_locked(&self, _: u64) -> io::Result<bool> {
        Ok(false)
    }

    fn pause(&self) {}

    fn reopen(&self) -> io::Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.clone()))
    }

    fn is_current(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn sibling(&self) -> io::Result<Arc<dyn Storage>> {
        Ok(Arc::new(Memory::empty()))
    }

    fn replace_by(&self, _: &dyn Storage) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn path(&self) -> &Path {
        Path::new("memory")
    }
}
