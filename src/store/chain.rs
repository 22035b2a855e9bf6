//! Chains of pages: taking leases, and hopping from page to page through whatever a crash or
//! damage has left.

use super::layout::{self, ChainId, FOOT_LEN, HEADER_LEN, Lease, PAGE, PageHeader, decode_foot};
use super::storage::{Held, LOCK_ALLOC, Lock, Storage, read_zero_filled};
use std::io;

/// Pages at the end of the file that are searched first for the last lease.
const SETTLE_PAGES: u64 = 16;

/// Takes `pages` new pages at the end of the file. The caller holds the allocation lock.
pub fn take_lease_locked(s: &dyn Storage, pages: u32) -> io::Result<Lease> {
    let start = s.size()?.div_ceil(PAGE);
    let lease = Lease { start, pages };
    s.extend_to(lease.end() * PAGE)?;
    Ok(lease)
}

/// Takes `pages` new pages; `WouldBlock` when another holds the allocation lock for too long.
pub fn take_lease(s: &dyn Storage, pages: u32, tries_max: u32) -> io::Result<Lease> {
    if !s.rules().lock_allocation {
        return take_lease_locked(s, pages);
    }
    for _ in 0..tries_max {
        if let Some(_held) = Held::at_once(s, LOCK_ALLOC, Lock::Exclusive)? {
            return take_lease_locked(s, pages);
        }
        s.pause();
    }
    Err(io::ErrorKind::WouldBlock.into())
}

/// Makes the file as long as its last lease says. A power cut may have shortened it into a lease
/// of which earlier pages survive; taken as they are, the pages behind would get a second owner.
/// The caller holds the gate alone: no lease was taken since the file was shortened.
pub fn settle_end(s: &dyn Storage) -> io::Result<()> {
    let size = s.size()?;
    let mut end = size.div_ceil(PAGE);
    let first = end.saturating_sub(u64::from(layout::LEASE_PAGES_MAX));
    // The header looked for is nearly always among the last few pages.
    let mut step = SETTLE_PAGES;
    while end > first {
        let start = end.saturating_sub(step).max(first);
        if let Some(header) = last_header(s, start, end)? {
            // Only the last lease can reach beyond the end, and the last sound header is of it.
            let wanted = header.lease.end().saturating_mul(PAGE);
            return if wanted > size { s.extend_to(wanted) } else { Ok(()) };
        }
        (end, step) = (start, step * 8);
    }
    Ok(())
}

/// The last sound header from page `start` up to page `end`.
fn last_header(s: &dyn Storage, start: u64, end: u64) -> io::Result<Option<PageHeader>> {
    let mut at = start;
    let mut pages: Vec<u64> = Vec::new();
    while let Some(data) = s.next_data(at * PAGE)?.filter(|data| data.start < end * PAGE) {
        let last = data.end.div_ceil(PAGE).min(end);
        pages.extend(data.start / PAGE..last);
        at = last;
        if at >= end {
            break;
        }
    }
    let header = pages.into_iter().rev().find_map(|page| match read_header(s, page) {
        HeaderAt::Sound(header) => Some(header),
        _ => None,
    });
    Ok(header)
}

/// What stands where a page header should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderAt {
    /// A sound header, of whichever chain.
    Sound(PageHeader),
    /// Nothing was written, or the page was given back.
    Zero,
    /// Something else, or the disk failed to read.
    Invalid,
}

/// Reads the header of `page`.
pub fn read_header(s: &dyn Storage, page: u64) -> HeaderAt {
    let mut b = [0; HEADER_LEN];
    let Some(at) = page.checked_mul(PAGE) else { return HeaderAt::Invalid };
    if read_zero_filled(s, at, &mut b).is_err() {
        return HeaderAt::Invalid;
    }
    match PageHeader::decode(&b, page) {
        Some(header) => HeaderAt::Sound(header),
        None if layout::is_zero(&b) => HeaderAt::Zero,
        None => HeaderAt::Invalid,
    }
}

/// What the foot of a lease says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FootAt {
    /// The chain goes on in this lease.
    Next(Lease),
    /// Nothing was written.
    Zero,
    /// Something else, or the disk failed to read.
    Invalid,
}

/// Reads the foot of `lease`, which belongs to the session of `salt`.
pub fn read_foot(s: &dyn Storage, lease: Lease, salt: u64) -> FootAt {
    let mut b = [0; FOOT_LEN];
    if read_zero_filled(s, lease.foot_at(), &mut b).is_err() {
        return FootAt::Invalid;
    }
    match decode_foot(&b, salt, lease.end().saturating_sub(1)) {
        Some(next) => FootAt::Next(next),
        None if layout::is_zero(&b) => FootAt::Zero,
        None => FootAt::Invalid,
    }
}

/// How far a hop may look for the next page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Where a sound writer would have put it: what a reader of a live tail asks for.
    Near,
    /// To the end of the file, one header a lease.
    Walk,
}

/// A place in a chain of pages.
#[derive(Clone, Debug)]
pub struct Hop {
    /// Which chain.
    pub id: ChainId,
    /// Its first page.
    pub head: u64,
    /// The page it stands on; None before the first.
    pub at: Option<PageHeader>,
    /// Length of the file when a walk last found nothing: no second walk before it grows.
    walked: u64,
    /// The pages to come, last one first, where a scan of the whole file has found them all.
    scanned: Option<Vec<PageHeader>>,
}

/// Most pages without a header that a live tail steps over, where holes cannot be asked for.
const STEP_OVER_MAX: u64 = 4;

impl Hop {
    /// Before the first page of the chain that starts at `head`.
    pub fn new(salt: u64, kind: layout::Kind, head: u64) -> Hop {
        let id = ChainId { salt, kind, tag: layout::tag(head) };
        Hop { id, head, at: None, walked: 0, scanned: None }
    }

    /// Over pages that a scan has found, in order of their seq.
    pub fn over(id: ChainId, mut pages: Vec<PageHeader>) -> Hop {
        pages.reverse();
        let head = pages.last().map_or(0, |header| header.page);
        Hop { id, head, at: None, walked: 0, scanned: Some(pages) }
    }

    /// Goes on to the next page there is; None when there is none within reach.
    pub fn next(&mut self, s: &dyn Storage, reach: Reach) -> io::Result<Option<PageHeader>> {
        let found = match self.at {
            _ if self.scanned.is_some() => self.scanned.as_mut().and_then(Vec::pop),
            None => self.first(s, reach)?,
            Some(at) => self.after(s, at, reach)?,
        };
        if let Some(header) = found {
            self.at = Some(header);
        }
        Ok(found)
    }

    /// Goes on to the page of `header`, which was read already, if it is the one that follows.
    pub fn step_to(&mut self, header: PageHeader) -> bool {
        let follows = self.may_step_to(header.page) && self.mine(header).is_some();
        if follows {
            self.at = Some(header);
        }
        follows
    }

    /// Whether the chain goes on at `page`, behind the one it stands on, if that is of the chain.
    pub fn may_step_to(&self, page: u64) -> bool {
        let near = |at: PageHeader| at.page + 1 == page && at.lease.has(page);
        self.scanned.is_none() && self.at.is_some_and(near)
    }

    fn mine(&self, header: PageHeader) -> Option<PageHeader> {
        let next = self.at.map_or(0, |at| at.seq.saturating_add(1));
        (header.chain == self.id && header.seq >= next).then_some(header)
    }

    fn mine_at(&self, s: &dyn Storage, page: u64) -> Result<Option<PageHeader>, Broken> {
        match read_header(s, page) {
            HeaderAt::Sound(header) => Ok(self.mine(header)),
            HeaderAt::Zero => Ok(None),
            HeaderAt::Invalid => Err(Broken),
        }
    }

    fn first(&mut self, s: &dyn Storage, reach: Reach) -> io::Result<Option<PageHeader>> {
        match self.mine_at(s, self.head) {
            Ok(Some(header)) => Ok(Some(header)),
            Ok(None) if reach == Reach::Near => Ok(None),
            // A power cut may have taken the head and shortened the file: what was appended after
            // that can stand before it.
            _ => self.walk(s, layout::FIRST_LEASE),
        }
    }

    fn after(
        &mut self,
        s: &dyn Storage,
        at: PageHeader,
        reach: Reach,
    ) -> io::Result<Option<PageHeader>> {
        let next = at.page + 1;
        if at.lease.has(next) {
            if let Ok(Some(header)) = self.mine_at(s, next) {
                return Ok(Some(header));
            }
            if let Some(header) = self.in_lease(s, next + 1, at.lease, reach)? {
                return Ok(Some(header));
            }
        }
        match read_foot(s, at.lease, self.id.salt) {
            FootAt::Next(lease) => match self.mine_at(s, lease.start) {
                Ok(Some(header)) => Ok(Some(header)),
                // The first page is lost, or the foot outlived what it led to.
                _ => self.walk(s, at.lease.end()),
            },
            FootAt::Invalid => self.walk(s, at.lease.end()),
            FootAt::Zero if reach == Reach::Walk => self.walk(s, at.lease.end()),
            FootAt::Zero => Ok(None),
        }
    }

    /// The first page of this chain from `page` on within `lease`.
    fn in_lease(
        &self,
        s: &dyn Storage,
        mut page: u64,
        lease: Lease,
        reach: Reach,
    ) -> io::Result<Option<PageHeader>> {
        let mut steps = 0;
        while lease.has(page) {
            let Some(data) = s.next_data(page * PAGE)? else { return Ok(None) };
            page = page.max(data.start / PAGE);
            if !lease.has(page) || (reach == Reach::Near && steps == STEP_OVER_MAX) {
                return Ok(None);
            }
            steps += 1;
            if let Ok(Some(header)) = self.mine_at(s, page) {
                return Ok(Some(header));
            }
            page += 1;
        }
        Ok(None)
    }

    /// The first page of this chain from `page` to the end of the file. Leases tile the file, so
    /// one header tells where the next lease starts.
    fn walk(&mut self, s: &dyn Storage, mut page: u64) -> io::Result<Option<PageHeader>> {
        let len = s.size()?;
        if self.walked == len {
            return Ok(None);
        }
        while page < len / PAGE {
            match read_header(s, page) {
                HeaderAt::Sound(header) => {
                    if let Some(header) = self.mine(header) {
                        return Ok(Some(header));
                    }
                    // Pages of the own chain are met one by one: a later one may be wanted.
                    page = if header.chain == self.id { page + 1 } else { header.lease.end() };
                }
                HeaderAt::Zero => match s.next_data((page + 1) * PAGE)? {
                    Some(data) => page = (page + 1).max(data.start / PAGE),
                    None => break,
                },
                HeaderAt::Invalid => page += 1,
            }
        }
        self.walked = len;
        Ok(None)
    }
}

/// The leases of the chain that starts at `head`, in order. `last_seq` is the seq of the chain's
/// last page where that is known; otherwise the search goes to the end of the file.
pub fn leases(
    s: &dyn Storage,
    salt: u64,
    kind: layout::Kind,
    head: u64,
    last_seq: Option<u32>,
) -> io::Result<Vec<Lease>> {
    let mut hop = Hop::new(salt, kind, head);
    let mut leases: Vec<Lease> = Vec::new();
    loop {
        let known = last_seq.is_some_and(|last| {
            hop.at.is_some_and(|at| u64::from(at.seq) + u64::from(at.lease.pages) > u64::from(last))
        });
        let reach = if known { Reach::Near } else { Reach::Walk };
        let Some(header) = hop.next(s, reach)? else { return Ok(leases) };
        if leases.last() != Some(&header.lease) {
            leases.push(header.lease);
        }
        // On to the foot, past the pages between.
        hop.at = Some(PageHeader { page: header.lease.end() - 1, ..header });
    }
}

/// A page could not be judged.
struct Broken;
