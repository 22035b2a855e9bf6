//! Checking a store without writing to it, and saving what can be read of a damaged one.

use super::catalog;
use super::chain::{self, HeaderAt, Hop};
use super::copy::{Copied, Copy, as_it_is, identity_in_notes};
use super::house::{Meter, Progress, bytes_to_read};
use super::layout::{
    ChainId, ENTRIES_PER_PAGE, FIRST_LEASE, Identity, Kind, Lease, PAGE, PAGE_LEN, PageHeader,
    Super, is_annex, salt, tag,
};
use super::reader::{Item, Reader, Why};
use super::storage::{Storage, read_zero_filled};
use super::stream::Chain;
use super::{Entry, FileStorage, Store};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Most problems that a report lists; more are only counted.
pub const PROBLEMS_MAX: usize = 10_000;

/// What a check came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Sessions looked at.
    pub sessions: u64,
    /// Annexes looked at: they hold what was added to a session while it ran, and their ids are
    /// UUIDs of version 8.
    pub annexes: u64,
    /// Pages with a sound header.
    pub pages: u64,
    /// Frames whose checksum holds.
    pub frames: u64,
    /// Payload bytes of those frames.
    pub bytes: u64,
    /// What is wrong, at most [`PROBLEMS_MAX`] of it.
    pub problems: Vec<Problem>,
    /// Number of all problems.
    pub problem_count: u64,
    /// Pages of sessions that the catalog does not know: what kills and power cuts leave. They
    /// take room until the store is compacted, and harm nothing.
    pub orphans: u64,
}

/// Something wrong with a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// One of the two copies of the superblock is unsound.
    Super {
        /// Which: 0 or 1.
        copy: u64,
    },
    /// An entry of the catalog that says nothing.
    Entry {
        /// Its slot.
        slot: u32,
    },
    /// The end of a session cannot be read.
    Status {
        /// Id of the session.
        id: [u8; 16],
    },
    /// Frames are missing.
    Frames {
        /// Id of the session.
        id: [u8; 16],
        /// Chain they are missing from.
        chain: Chain,
        /// Time of the frame before them, microseconds since the session's start.
        from_us: u64,
        /// Time of the frame behind them; None at the end of the chain.
        to_us: Option<u64>,
        /// Bytes missing: of stdout on the tape, of all payload in the notes. 0 when unknown.
        bytes: u64,
    },
    /// A page that holds something, but no sound header.
    Page {
        /// Its number.
        page: u64,
    },
    /// Two leases have pages in common.
    Overlap {
        /// The first page of the second lease.
        page: u64,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Super { copy } => {
                write!(f, "superblock {copy}: damaged; its other copy holds")
            }
            Problem::Entry { slot } => write!(f, "catalog: entry {slot} is damaged"),
            Problem::Status { id } => {
                write!(f, "session {}: its end is damaged; it counts as lost", Id(id))
            }
            Problem::Frames { id, chain, from_us, to_us, bytes } => {
                let name = match chain {
                    Chain::Tape => "tape",
                    Chain::Notes => "notes",
                };
                write!(f, "session {}: {name}: from {} ", Id(id), Seconds(*from_us))?;
                match to_us {
                    Some(to_us) => write!(f, "to {}", Seconds(*to_us))?,
                    None => f.write_str("to the end")?,
                }
                match bytes {
                    0 => f.write_str(": records are missing"),
                    bytes => write!(f, ": {bytes} bytes are missing"),
                }
            }
            Problem::Page { page } => write!(f, "page {page}: damaged"),
            Problem::Overlap { page } => write!(f, "page {page}: belongs to two sessions"),
        }
    }
}

/// A session id as users see it.
struct Id<'a>(&'a [u8; 16]);

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            let hyphen = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{hyphen}{byte:02x}")?;
        }
        Ok(())
    }
}

/// Microseconds as seconds.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0 / 1_000_000, self.0 / 1000 % 1000)
    }
}

impl Report {
    fn add(&mut self, problem: Problem) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}

impl Store {
    /// Checks everything, by reading alone: superblocks, catalog, every page and frame, and that
    /// no page has two owners. Progress counts bytes.
    pub fn verify(&self, progress: &mut dyn FnMut(Progress)) -> Result<Report> {
        let (storage, sup) = self.refreshed()?;
        self.verify_all(&storage, &sup, progress).map_err(|e| self.error("cannot verify", &e))
    }

    fn verify_all(
        &self,
        storage: &Arc<dyn Storage>,
        sup: &Super,
        progress: &mut dyn FnMut(Progress),
    ) -> io::Result<Report> {
        let s = &**storage;
        let mut report = Report::default();
        let mut page = vec![0; PAGE_LEN];
        for copy in 0..2 {
            if read_zero_filled(s, copy * PAGE, &mut page).is_err()
                || Super::decode(&page, copy).is_none()
            {
                report.add(Problem::Super { copy });
            }
        }
        let mut known: HashSet<u64> = HashSet::new();
        for index in 0..catalog::slots_used(s, sup)?.div_ceil(ENTRIES_PER_PAGE) {
            let bytes = catalog::read_page(s, sup, index)?;
            for slot in index * ENTRIES_PER_PAGE..(index + 1) * ENTRIES_PER_PAGE {
                let raw = catalog::decode_entry(&bytes, slot);
                match raw.identity {
                    None if raw.identity_written => report.add(Problem::Entry { slot }),
                    None => {}
                    Some(identity) => {
                        known.insert(salt(&identity.id));
                        if raw.status_written && raw.status.is_none() {
                            report.add(Problem::Status { id: identity.id });
                        }
                    }
                }
            }
        }
        // What is being written meanwhile is not looked at twice: pages first, then frames.
        let end = s.size()?;
        let mut meter = Meter::new(2 * bytes_to_read(s, end)?, progress);
        verify_pages(s, sup, end, &known, &mut report, &mut meter)?;
        for entry in self.entries().map_err(|e| io::Error::other(e.to_string()))? {
            *(if is_annex(&entry.id) { &mut report.annexes } else { &mut report.sessions }) += 1;
            for chain in [Chain::Notes, Chain::Tape] {
                verify_chain(self.read(&entry, chain), &entry, chain, &mut report, &mut meter);
            }
        }
        Ok(report)
    }
}

/// Looks at every page header: each page has one owner.
fn verify_pages(
    s: &dyn Storage,
    sup: &Super,
    end: u64,
    known: &HashSet<u64>,
    report: &mut Report,
    meter: &mut Meter<'_>,
) -> io::Result<()> {
    // A power cut may leave a part of the last page.
    let total = end.div_ceil(PAGE);
    let mut leases: BTreeMap<u64, (Lease, ChainId)> = BTreeMap::new();
    let mut page = 0;
    while page < total {
        let Some(data) = s.next_data(page * PAGE)? else { break };
        page = page.max(data.start / PAGE);
        meter.step(PAGE);
        match chain::read_header(s, page) {
            HeaderAt::Sound(header) => {
                report.pages += 1;
                let chain = header.chain;
                if chain.kind.is_chain() && !known.contains(&chain.salt) {
                    report.orphans += 1;
                }
                let held = leases.entry(header.lease.start).or_insert((header.lease, chain));
                if *held != (header.lease, chain) {
                    report.add(Problem::Overlap { page });
                }
            }
            HeaderAt::Invalid if page >= FIRST_LEASE && !in_run(sup, page) => {
                report.add(Problem::Page { page });
            }
            _ => {}
        }
        page += 1;
    }
    let mut last = 0;
    for (lease, _) in leases.values() {
        if lease.start < last {
            report.add(Problem::Overlap { page: lease.start });
        }
        last = last.max(lease.end());
    }
    Ok(())
}

fn in_run(sup: &Super, page: u64) -> bool {
    let pages = super::layout::RUN_PAGES;
    sup.runs.iter().any(|&start| Lease { start, pages }.has(page))
}

fn verify_chain(
    mut reader: Reader,
    entry: &Entry,
    chain: Chain,
    report: &mut Report,
    meter: &mut Meter<'_>,
) {
    let mut last_us = 0;
    let mut gap: Option<u64> = None;
    loop {
        meter.step(reader.take_loaded());
        let item = reader.next();
        let to_us = match item {
            Item::Frame { t_us, .. } => Some(t_us),
            _ => None,
        };
        let over = !matches!(item, Item::Gap { why: Why::Damaged, .. });
        if over && let Some(bytes) = gap.take() {
            let (id, from_us) = (entry.id, last_us);
            report.add(Problem::Frames { id, chain, from_us, to_us, bytes });
        }
        match item {
            Item::Frame { t_us, bytes, .. } => {
                last_us = t_us;
                report.frames += 1;
                report.bytes += bytes.len() as u64;
            }
            Item::Gap { bytes, why: Why::Damaged } => {
                gap = Some(gap.unwrap_or(0).saturating_add(bytes));
            }
            Item::Gap { .. } => {}
            Item::Tail | Item::End => return,
        }
    }
}

/// The pages of one session that a scan has found.
#[derive(Debug, Default)]
struct Found {
    chains: HashMap<ChainId, Vec<PageHeader>>,
}

impl Found {
    /// The pages to read a chain from: where the catalog does not say, those of the chain itself
    /// or of a pack, whichever tells more. A kill may have left one beside the other.
    fn best(
        &self,
        s: &Arc<dyn Storage>,
        salt: u64,
        chain: Chain,
        told: Option<&catalog::RawEntry>,
    ) -> Hop {
        let own = |id: &ChainId| id.kind == Kind::from(chain);
        let said = match told.map(|raw| raw.pack) {
            Some(Some(head)) => {
                let id = ChainId { salt, kind: Kind::Pack, tag: tag(u64::from(head)) };
                self.chains.contains_key(&id).then_some(id)
            }
            // An attempt that was cut short may have left a shorter chain beside the real one.
            Some(None) => {
                self.chains.keys().copied().filter(own).max_by_key(|id| self.chains[id].len())
            }
            None => None,
        };
        let best = said.or_else(|| {
            let ids = self.chains.keys().copied().filter(|id| own(id) || id.kind == Kind::Pack);
            ids.max_by_key(|id| self.worth(s, *id, chain))
        });
        self.hop(best.unwrap_or(ChainId { salt, kind: chain.into(), tag: 0 }))
    }

    fn hop(&self, id: ChainId) -> Hop {
        let pages = self.chains.get(&id).cloned().unwrap_or_default();
        Hop::over(id, last_branch(pages, |header| (header.page, u64::from(header.seq))))
    }

    /// How much of a chain these pages tell: frames, and of those with as many the ones that lack
    /// nothing.
    fn worth(
        &self,
        s: &Arc<dyn Storage>,
        id: ChainId,
        chain: Chain,
    ) -> (u64, std::cmp::Reverse<u64>) {
        let mut reader = Reader::over(Arc::clone(s), self.hop(id), chain);
        let (mut frames, mut gaps) = (0, 0);
        loop {
            match reader.next() {
                Item::Frame { .. } => frames += 1,
                Item::Gap { .. } => gaps += 1,
                Item::Tail | Item::End => return (frames, std::cmp::Reverse(gaps)),
            }
        }
    }
}

/// The pages of a chain in their order, by their places in the file and in the chain. Where it
/// forks, a power cut had taken what led to its end, and it was written on from there: always
/// further on in the file, since that is where room is taken.
fn last_branch<T>(mut pages: Vec<T>, place: impl Fn(&T) -> (u64, u64)) -> Vec<T> {
    pages.sort_by_key(|page| place(page).0);
    let mut chain: Vec<T> = Vec::with_capacity(pages.len());
    for page in pages {
        let seq = place(&page).1;
        while chain.last().is_some_and(|last| place(last).1 >= seq) {
            chain.pop();
        }
        chain.push(page);
    }
    chain
}

/// Saves every session that can be read in the file at `damaged` into the store `into`, from the
/// pages themselves: neither superblock nor catalog is needed, and where they can be read they
/// add how sessions ended. Sessions that `into` has already are left alone.
pub fn salvage(damaged: &Path, into: &Store, progress: &mut dyn FnMut(Progress)) -> Result<Copied> {
    let storage = FileStorage::open(damaged, false)
        .map_err(|e| Error::io(format!("cannot open {}", damaged.display()), &e))?;
    salvage_from(Arc::new(storage), into, progress)
}

/// As [`salvage`], from storage of the caller's own.
pub fn salvage_from(
    damaged: Arc<dyn Storage>,
    into: &Store,
    progress: &mut dyn FnMut(Progress),
) -> Result<Copied> {
    let target = into.writing_handle()?;
    let known: HashSet<[u8; 16]> = into.entries()?.map(|entry| entry.id).collect();
    salvage_all(&damaged, &*target, &known, progress)
        .map_err(|e| Error::io(format!("cannot salvage {}", damaged.path().display()), &e))
}

fn salvage_all(
    damaged: &Arc<dyn Storage>,
    target: &dyn Storage,
    known: &HashSet<[u8; 16]>,
    progress: &mut dyn FnMut(Progress),
) -> io::Result<Copied> {
    let s = &**damaged;
    // A power cut may leave a part of the last page.
    let total = s.size()?.div_ceil(PAGE);
    let mut meter = Meter::new(2 * bytes_to_read(s, total * PAGE)?, progress);
    let mut found: HashMap<u64, Found> = HashMap::new();
    let mut catalog_pages = Vec::new();
    let mut page = 0;
    while page < total {
        let Some(data) = s.next_data(page * PAGE)? else { break };
        page = page.max(data.start / PAGE);
        meter.step(PAGE);
        if let HeaderAt::Sound(header) = chain::read_header(s, page) {
            if header.chain.kind.is_chain() {
                let session = found.entry(header.chain.salt).or_default();
                session.chains.entry(header.chain).or_default().push(header);
            } else if header.chain.kind == Kind::Catalog {
                catalog_pages.push(header.lease.start);
            }
        }
        page += 1;
    }
    let told = what_the_catalog_tells(s, &catalog_pages);
    let mut sum = Copied::default();
    // Of some the catalog alone still knows.
    for salt in told.keys() {
        found.entry(*salt).or_default();
    }
    let mut sessions: Vec<(u64, Option<Identity>, Found)> = found
        .into_iter()
        .map(|(salt, session)| (salt, identity_of(s, salt, &session, told.get(&salt)), session))
        .collect();
    sessions.sort_by_key(|(salt, named, _)| named.map_or((0, *salt), |it| (it.start_us, *salt)));
    for (salt, named, session) in sessions {
        let entry = told.get(&salt).map(|(_, raw)| *raw);
        if entry.is_some_and(|raw| raw.deleted) {
            continue;
        }
        let identity = named.unwrap_or_else(|| nameless(salt));
        if super::index::is_index(&identity) {
            continue;
        }
        if known.contains(&identity.id) {
            sum.known += u64::from(!is_annex(&identity.id));
            continue;
        }
        let raw = entry.unwrap_or_default();
        let is_named = named.is_some();
        sum.add(salvage_one(damaged, target, &identity, is_named, session, raw, &mut meter)?);
    }
    target.sync()?;
    Ok(sum)
}

/// Who a session is: from the catalog, else from its notes.
fn identity_of(
    s: &dyn Storage,
    salt: u64,
    session: &Found,
    entry: Option<&(Identity, catalog::RawEntry)>,
) -> Option<Identity> {
    let heads = session.chains.values().flatten().filter(|header| header.seq == 0);
    let in_notes = || {
        heads
            .filter(|header| header.chain.kind != Kind::Tape)
            .find_map(|header| identity_in_notes(s, header.page, salt))
    };
    entry.map(|(identity, _)| *identity).or_else(in_notes)
}

/// A session of whom nobody tells more than its pages do.
fn nameless(salt: u64) -> Identity {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&salt.to_le_bytes());
    Identity { id, ..super::blank_identity() }
}

fn salvage_one(
    damaged: &Arc<dyn Storage>,
    target: &dyn Storage,
    identity: &Identity,
    is_named: bool,
    mut session: Found,
    raw: catalog::RawEntry,
    meter: &mut Meter<'_>,
) -> io::Result<Copied> {
    let salt = salt(&identity.id);
    let mut copy = Copy::begin(target, identity)?;
    for chain in [Chain::Notes, Chain::Tape] {
        if chain == Chain::Tape && raw.tape_pruned {
            session.chains.clear();
        }
        let told = raw.identity.is_some().then_some(&raw);
        let hop = session.best(damaged, salt, chain, told);
        let mut reader = Reader::over(Arc::clone(damaged), hop, chain);
        copy.chain(chain, &mut reader, &mut as_it_is, meter)?;
    }
    if !is_named && copy.bytes() == 0 {
        // A session that a kill cut short before it said anything.
        return Ok(Copied::default());
    }
    copy.end(raw.status, raw.tape_pruned)
}

/// Sessions by their salt, from whatever catalog pages can be read: slots are counted from each
/// run that a page header names.
fn what_the_catalog_tells(
    s: &dyn Storage,
    runs: &[u64],
) -> HashMap<u64, (Identity, catalog::RawEntry)> {
    let mut told = HashMap::new();
    let mut starts: Vec<u64> = vec![super::layout::FIRST_RUN];
    if let Ok(Some(sup)) = catalog::read_super(s) {
        starts = sup.runs;
    }
    starts.extend(runs);
    let mut seen = HashSet::new();
    starts.retain(|start| seen.insert(*start));
    let sup = Super {
        generation: 0,
        incompat: 0,
        ro_compat: 0,
        compat: 0,
        id: [0; 16],
        created_us: 0,
        machine: 0,
        runs: starts,
    };
    let pages = sup.runs.len() as u32 * super::layout::RUN_PAGES;
    for index in 0..pages {
        let Ok(bytes) = catalog::read_page(s, &sup, index) else { continue };
        for slot in index * ENTRIES_PER_PAGE..(index + 1) * ENTRIES_PER_PAGE {
            let raw = catalog::decode_entry(&bytes, slot);
            if let Some(identity) = raw.identity {
                told.insert(salt(&identity.id), (identity, raw));
            }
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::last_branch;

    #[test]
    fn of_a_chain_that_forks_the_later_branch_counts() {
        for (pages, chain) in [
            ("", ""),
            ("65.0 96.1 97.2", "65.0 96.1 97.2"),
            ("97.2 65.0 96.1", "65.0 96.1 97.2"),
            ("65.0 96.1 97.2 98.3 128.1", "65.0 128.1"),
            ("65.0 96.1 97.2 98.3 128.2 129.3", "65.0 96.1 128.2 129.3"),
            ("65.0 96.1 128.1 160.1", "65.0 160.1"),
            // Some pages cannot be read.
            ("65.0 98.3 128.2 131.5", "65.0 128.2 131.5"),
        ] {
            let place = |page: &&str| -> (u64, u64) {
                let (page, seq) = page.split_once('.').expect("a page and its number");
                (page.parse().expect("a page"), seq.parse().expect("a number"))
            };
            let found = last_branch(pages.split_whitespace().collect(), place);
            assert_eq!(found.join(" "), chain, "{pages}");
        }
    }
}
