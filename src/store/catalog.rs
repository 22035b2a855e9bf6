//! The superblock and the catalog: which sessions there are, newest last. The catalog is an index
//! of fixed records; chains can be found without it.

use super::layout::{
    self, Cell, ChainId, ENTRIES_PER_PAGE, ENTRY_LEN, FIRST_LEASE, FIRST_RUN, HEADER_LEN, Identity,
    Kind, Lease, PAGE, PAGE_LEN, PageHeader, RUN_PAGES, RUNS_MAX, SLOTS_PER_RUN, STATUS_AT, Status,
    Super, entry_at,
};
use super::storage::{Storage, read_zero_filled};
use std::io::{self, IoSlice};

/// The newest sound superblock; None when both copies are unsound.
pub fn read_super(s: &dyn Storage) -> io::Result<Option<Super>> {
    let mut newest: Option<Super> = None;
    let mut page = vec![0; PAGE_LEN];
    let mut failure = None;
    for copy in if s.rules().two_supers { 0..2 } else { 1..2 } {
        if let Err(e) = read_zero_filled(s, copy * PAGE, &mut page) {
            failure = Some(e);
            continue;
        }
        if let Some(found) = Super::decode(&page, copy)
            && newest.as_ref().is_none_or(|newest| newest.generation < found.generation)
        {
            newest = Some(found);
        }
    }
    match (newest, failure) {
        (None, Some(e)) => Err(e),
        (newest, _) => Ok(newest),
    }
}

/// Lays out an empty store on an empty file and makes it durable.
pub fn format(s: &dyn Storage, id: [u8; 16], created_us: i64, machine: u64) -> io::Result<()> {
    s.extend_to(FIRST_LEASE * PAGE)?;
    let mut sup = Super {
        generation: 0,
        incompat: 0,
        ro_compat: 0,
        compat: 0,
        id,
        created_us,
        machine,
        runs: vec![FIRST_RUN],
    };
    write_run_header(s, Lease { start: FIRST_RUN, pages: RUN_PAGES }, 0)?;
    for generation in 0..2 {
        sup.generation = generation;
        s.write_at(generation * PAGE, &[IoSlice::new(&sup.encode()[..])])?;
    }
    s.sync()
}

/// Writes the header of page `index` of a run, so that a walk over the file can step over it.
fn write_run_header(s: &dyn Storage, run: Lease, index: u32) -> io::Result<()> {
    let page = run.start + u64::from(index);
    let header = PageHeader {
        page,
        chain: ChainId { salt: 0, kind: Kind::Catalog, tag: layout::tag(run.start) },
        slot: 0,
        seq: index,
        lease: run,
        t_us: 0,
        fseq: 0,
        pos: 0,
    };
    s.write_at(page * PAGE, &[IoSlice::new(&header.encode())])
}

/// Adds a run to the catalog. The caller holds the allocation lock. The run is durable before the
/// superblock names it, and the superblock before anyone relies on it: a session in a run that a
/// power cut took out of the superblock would be lost.
pub fn grow(s: &dyn Storage, sup: &mut Super) -> io::Result<()> {
    if sup.runs.len() >= RUNS_MAX {
        return Err(io::Error::other("the catalog is full"));
    }
    let start = s.size()?.div_ceil(PAGE);
    s.extend_to((start + u64::from(RUN_PAGES)) * PAGE)?;
    write_run_header(s, Lease { start, pages: RUN_PAGES }, 0)?;
    if s.rules().sync_growth {
        s.sync()?;
    }
    let mut grown = sup.clone();
    grown.generation += if s.rules().two_supers { 1 } else { 2 };
    grown.runs.push(start);
    let at = grown.generation % 2 * PAGE;
    s.write_at(at, &[IoSlice::new(&grown.encode()[..])])?;
    if s.rules().sync_growth
        && let Err(e) = s.sync()
    {
        // Everyone can read the new superblock, and the disk may have forgotten it: written again
        // it is part of the next sync, without which nobody relies on it.
        s.write_at(at, &[IoSlice::new(&grown.encode()[..])])?;
        return Err(e);
    }
    *sup = grown;
    Ok(())
}

/// Where the entry of `slot` stands in the file.
pub fn offset_of(sup: &Super, slot: u32) -> Option<u64> {
    let run = *sup.runs.get((slot / SLOTS_PER_RUN) as usize)?;
    let (page, index) = place_in_run(slot);
    let page = run.checked_add(u64::from(page))?;
    page.checked_mul(PAGE)?.checked_add(entry_at(index) as u64)
}

/// Page within its run, and place within that page, of a slot.
fn place_in_run(slot: u32) -> (u32, u32) {
    let in_run = slot % SLOTS_PER_RUN;
    (in_run / ENTRIES_PER_PAGE, in_run % ENTRIES_PER_PAGE)
}

/// The entries of one page of the catalog: page `index` counted over all runs.
pub fn read_page(s: &dyn Storage, sup: &Super, index: u32) -> io::Result<Box<[u8; PAGE_LEN]>> {
    let mut page = Box::new([0; PAGE_LEN]);
    if let Some(run) = sup.runs.get((index / RUN_PAGES) as usize) {
        let at = run.saturating_add(u64::from(index % RUN_PAGES)).saturating_mul(PAGE);
        read_zero_filled(s, at, &mut page[..])?;
    }
    Ok(page)
}

/// The slot after the last one in use. Unused slots before it may exist (a power cut lost them).
pub fn slots_used(s: &dyn Storage, sup: &Super) -> io::Result<u32> {
    let Some((last, run)) = sup.runs.iter().enumerate().next_back() else { return Ok(0) };
    let run_end = run.saturating_add(u64::from(RUN_PAGES)).saturating_mul(PAGE);
    // Pages with data, found by their holes: a run is filled from its start.
    let mut at = run.saturating_mul(PAGE);
    let mut pages = Vec::new();
    while let Some(data) = s.next_data(at)?.filter(|data| data.start < run_end) {
        let first = data.start / PAGE - run;
        let end = (data.end.min(run_end)).div_ceil(PAGE) - run;
        pages.extend(first as u32..end as u32);
        if data.end <= at || data.end >= run_end {
            break;
        }
        at = data.end;
    }
    pages.dedup();
    let first_slot = last as u32 * SLOTS_PER_RUN;
    for page_index in pages.into_iter().rev() {
        let page = read_page(s, sup, last as u32 * RUN_PAGES + page_index)?;
        let used = (0..ENTRIES_PER_PAGE)
            .rev()
            .find(|&i| !layout::is_zero(&page[entry_at(i)..entry_at(i) + ENTRY_LEN]));
        if let Some(i) = used {
            return Ok(first_slot + page_index * ENTRIES_PER_PAGE + i + 1);
        }
    }
    Ok(first_slot)
}

/// Writes the identity of a new session into a free slot. The caller holds the allocation lock and
/// the slot's own.
pub fn write_identity(
    s: &dyn Storage,
    sup: &Super,
    slot: u32,
    identity: &Identity,
) -> io::Result<()> {
    let (page, index) = place_in_run(slot);
    if index == 0 && page != 0 {
        let run = sup.runs[(slot / SLOTS_PER_RUN) as usize];
        write_run_header(s, Lease { start: run, pages: RUN_PAGES }, page)?;
    }
    write_part(s, sup, slot, 0, &identity.encode(slot))
}

/// Writes the status of a session. The caller holds the slot's lock.
pub fn write_status(s: &dyn Storage, sup: &Super, slot: u32, status: &Status) -> io::Result<()> {
    write_part(s, sup, slot, STATUS_AT, &status.encode(slot))
}

/// Writes a cell of a session. The caller holds the slot's lock.
pub fn write_cell(
    s: &dyn Storage,
    sup: &Super,
    slot: u32,
    id: &[u8; 16],
    cell: Cell,
) -> io::Result<()> {
    write_part(s, sup, slot, cell.at(), &cell.encode(slot, id))
}

fn write_part(s: &dyn Storage, sup: &Super, slot: u32, at: usize, b: &[u8]) -> io::Result<()> {
    let entry =
        offset_of(sup, slot).ok_or_else(|| io::Error::other("no such slot in the catalog"))?;
    s.write_at(entry + at as u64, &[IoSlice::new(b)])
}

/// An entry as it stands in the file, its parts checked one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawEntry {
    /// Place in the catalog.
    pub slot: u32,
    /// Nothing was ever written here.
    pub blank: bool,
    /// The identity part holds something, sound or not.
    pub identity_written: bool,
    /// Who it is, if that part is sound.
    pub identity: Option<Identity>,
    /// How it ended, if it has and that part is sound.
    pub status: Option<Status>,
    /// The status part holds something, sound or not.
    pub status_written: bool,
    /// First page of the pack, if there is one.
    pub pack: Option<u32>,
    /// The tape was pruned.
    pub tape_pruned: bool,
    /// The session was deleted.
    pub deleted: bool,
}

impl RawEntry {
    /// The chain that the notes of this session, which is `identity`, are in: its first page, and
    /// its last page as promised. A pack was durable before anything relied on it: its feet are
    /// where they should be.
    pub fn notes_chain(&self, identity: &Identity) -> (ChainId, u64, Option<u32>) {
        let (kind, head, last_seq) = match self.pack {
            Some(head) => (Kind::Pack, u64::from(head), Some(0)),
            None => (Kind::Notes, identity.notes_head, self.status.map(|status| status.notes_seq)),
        };
        let salt = layout::salt(&identity.id);
        (ChainId { salt, kind, tag: layout::tag(head) }, head, last_seq)
    }
}

/// The entry of `slot` among the bytes of its catalog page.
pub fn decode_entry(page: &[u8; PAGE_LEN], slot: u32) -> RawEntry {
    let at = entry_at(slot % SLOTS_PER_RUN % ENTRIES_PER_PAGE);
    let mut b = [0; ENTRY_LEN];
    b.copy_from_slice(&page[at..at + ENTRY_LEN]);
    decode_entry_bytes(&b, slot)
}

fn decode_entry_bytes(b: &[u8; ENTRY_LEN], slot: u32) -> RawEntry {
    if layout::is_zero(b) {
        return RawEntry { slot, blank: true, ..RawEntry::default() };
    }
    let identity = Identity::decode(b, slot);
    let cells = identity.map_or([None; 3], |identity| layout::decode_cells(b, slot, &identity.id));
    let status_part = &b[STATUS_AT..STATUS_AT + layout::STATUS_LEN];
    RawEntry {
        slot,
        blank: false,
        identity_written: !layout::is_zero(&b[..layout::IDENTITY_LEN]),
        identity,
        status: Status::decode(b, slot),
        status_written: !layout::is_zero(status_part),
        pack: match cells[0] {
            Some(Cell::Packed(page)) => Some(page),
            _ => None,
        },
        tape_pruned: cells[1].is_some(),
        deleted: cells[2].is_some(),
    }
}

/// The entry of `slot`, read from the file.
pub fn read_entry(s: &dyn Storage, sup: &Super, slot: u32) -> io::Result<RawEntry> {
    let mut b = [0; ENTRY_LEN];
    if let Some(at) = offset_of(sup, slot) {
        read_zero_filled(s, at, &mut b)?;
    }
    Ok(decode_entry_bytes(&b, slot))
}

const _: () = assert!(HEADER_LEN <= ENTRY_LEN, "the first entry stands behind the page header");
