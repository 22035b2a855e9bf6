//! The page of a chain that is being read, and those behind it that were read in one go.

use super::layout::{PAGE, PAGE_LEN, PageHeader};
use super::storage::{Storage, read_zero_filled};

/// Most pages of one read: they stay in the processor's own cache until they are looked at.
pub const RUN_PAGES_MAX: usize = 8;

/// Pages in memory. Who reads on and on gets longer and longer runs of them.
#[derive(Clone, Debug)]
pub struct Ahead {
    bytes: Vec<u8>,
    /// Number in the file of the first page in memory.
    first: u64,
    /// Pages in memory, in the order of the file, that were read after each other: one that
    /// another of its chain follows here was complete when it was read.
    count: usize,
    /// Where in them the page being read is.
    at: usize,
    /// Pages of the last read.
    run: usize,
}

impl Ahead {
    /// A page of zeros.
    pub fn new() -> Ahead {
        Ahead { bytes: vec![0; PAGE_LEN], first: 0, count: 0, at: 0, run: 0 }
    }

    /// The page being read.
    pub fn page(&self) -> &[u8] {
        self.at(self.at)
    }

    fn at(&self, index: usize) -> &[u8] {
        &self.bytes[index * PAGE_LEN..][..PAGE_LEN]
    }

    /// Reads `page` as it is at this moment. A page that cannot be read is all damage.
    pub fn load(&mut self, s: &dyn Storage, page: u64) {
        (self.at, self.count) = (0, 0);
        let first = &mut self.bytes[..PAGE_LEN];
        if read_zero_filled(s, page.saturating_mul(PAGE), first).is_err() {
            first.fill(0xff);
        }
    }

    /// The next reading is somewhere else.
    pub fn jump(&mut self) {
        (self.count, self.run) = (0, 0);
    }

    /// Goes to the page of `header`, of a chain that no recorder is writing to: out of memory, or
    /// with pages behind it.
    pub fn enter(&mut self, s: &dyn Storage, header: &PageHeader) {
        let index = header.page.checked_sub(self.first).and_then(|n| usize::try_from(n).ok());
        if let Some(index) = index.filter(|index| self.header(*index).as_ref() == Some(header)) {
            self.at = index;
            return;
        }
        if !self.read_run(s, header.page, header.lease.end()) {
            // One of them cannot be read: perhaps another one.
            self.load(s, header.page);
        }
    }

    /// Reads the pages behind that of `header`, the last one in memory: the header of the first of
    /// them, if it is sound. What was in memory is no more.
    pub fn read_on(&mut self, s: &dyn Storage, header: &PageHeader) -> Option<PageHeader> {
        self.count = 0;
        self.read_run(s, header.page + 1, header.lease.end());
        self.header(0)
    }

    /// Reads pages from `page` on, none from `end` on; whether they can be read.
    fn read_run(&mut self, s: &dyn Storage, page: u64, end: u64) -> bool {
        let left = usize::try_from(end - page).unwrap_or(usize::MAX);
        self.run = (2 * self.run).clamp(1, RUN_PAGES_MAX);
        let count = self.run.min(left);
        if self.bytes.len() < count * PAGE_LEN {
            self.bytes.resize(count * PAGE_LEN, 0);
        }
        let read = read_zero_filled(s, page * PAGE, &mut self.bytes[..count * PAGE_LEN]).is_ok();
        if read {
            (self.first, self.count, self.at) = (page, count, 0);
        }
        read
    }

    /// The header of the page behind the one being read, if it is in memory and sound.
    pub fn next_header(&self) -> Option<PageHeader> {
        self.header(self.at + 1)
    }

    fn header(&self, index: usize) -> Option<PageHeader> {
        let page = self.first.checked_add(index as u64)?;
        (index < self.count).then(|| PageHeader::decode(self.at(index), page)).flatten()
    }
}
