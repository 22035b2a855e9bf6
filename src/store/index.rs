//! The index: what lists and searches for ids want to know of very many sessions, in one place. It
//! repeats what stands elsewhere and may be missing. Which sessions have changed since it was
//! written is seen at the end of the file, where every addition to a session takes its pages.

use super::catalog::{self, RawEntry};
use super::chain::{self, HeaderAt, take_lease};
use super::cursor::Cursor;
use super::layout::{
    self, ChainId, Identity, Kind, LEASE_PAGES_MAX, Lease, PAGE, PAYLOAD_MAX, PageHeader, Status,
    array_at, u16_at, u32_at, u64_at,
};
use super::reader::{Item, Reader};
use super::storage::{Held, LOCK_ALLOC, LOCK_INDEX, LOCK_TRIES_MAX, Lock, Storage, lock_of_slot};
use super::stream::{Chain, StreamId};
use super::{Entries, Entry, State, Store, entry_of};
use crate::error::Result;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

// The index is the stdout of a session of the store's own: its id is a UUID of version 8, its label
// is "intentloop-index". Of several sound ones the newest holds.
//
//    0 u32  "INDX"
//    4 u32  version: 2; one of another version is as good as none
//    8 u64  pages of the file when it was made: a session with a lease behind may have changed
//   16 u32  slots: the catalog's entries before this slot are in it
//   20 u32  count: sessions in it
//   24 u64  first page of the tape that carries it: elsewhere a copy of it is no index
//   32 u64  bytes of facts
//   40 u64  bytes of words
//   48      ids, 16 bytes each: those of the newest sessions first
//   ..      records, 48 bytes each, in the same order
//   ..      words, in the same order
//   ..      facts, in the same order
//
// A record:
//
//    0 i64  start, microseconds since 1970
//    8 u32  slot
//   12 u16  bytes of facts; 0 where none are told: the session's own notes tell them
//   14 u16  bytes of words
//   16 u64  where they begin, from the start of all facts
//   24 [24] hint

/// The label of the session that carries an index.
const LABEL: [u8; 16] = *b"intentloop-index";
const MAGIC: u32 = u32::from_le_bytes(*b"INDX");
const VERSION: u32 = 2;
const HEAD_LEN: usize = 48;
const ID_LEN: usize = 16;
const RECORD_LEN: usize = 48;
const HINT_AT: usize = RECORD_LEN - HINT_LEN;
/// Bytes written at a time.
const PIECE_LEN: usize = 256 * 1024;

/// Bytes of a [`Hint`].
pub const HINT_LEN: usize = 24;
/// Most bytes of facts about one session.
pub const FACTS_LEN_MAX: usize = 4096;
/// Most bytes of words about one session.
pub const WORDS_LEN_MAX: usize = 4096;
/// Sessions that an index may lack, or that may have changed, before it should be written anew.
pub const INDEX_EVERY: usize = 1024;

/// What is asked of a session first, in a form of the caller's own.
pub type Hint = [u8; HINT_LEN];

/// Asks the words of a session whether it may be meant.
pub type WordsTest<'a> = &'a dyn Fn(&[u8]) -> bool;

/// Asks whether a session may be meant. One that is asked of nothing that is told passes.
pub trait Sieve {
    /// By its start, microseconds since 1970, and its hint.
    fn passes(&self, start_us: i64, hint: &Hint) -> bool;

    /// By its words, which are read only for who asks for them here.
    fn words_pass(&self) -> Option<WordsTest<'_>>;
}

/// What the index is to tell of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// What is asked first.
    pub hint: Hint,
    /// What is asked then, again in a form of the caller's own; at most [`WORDS_LEN_MAX`] bytes.
    pub words: Vec<u8>,
    /// All the rest; at most [`FACTS_LEN_MAX`] bytes, and at least one.
    pub facts: Vec<u8>,
}

/// A session as [`Newest`] lists it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The session.
    pub entry: Entry,
    /// What the index tells of it, if that was asked for and still holds.
    pub facts: Option<Vec<u8>>,
}

/// Whether a session is the store's own, and carries an index.
pub(super) fn is_index(identity: &Identity) -> bool {
    identity.label == LABEL && identity.id[6] >> 4 == 8
}

/// Reads the stdout of a session at any place of it.
#[derive(Clone, Debug)]
struct Bytes {
    reader: Reader,
    /// The frame read last, and where it begins.
    frame: Vec<u8>,
    at: u64,
}

impl Bytes {
    fn new(reader: Reader) -> Bytes {
        Bytes { reader, frame: Vec::new(), at: 0 }
    }

    /// Fills `buf` with what stands at `pos`; false when any of it cannot be read.
    fn read(&mut self, pos: u64, buf: &mut [u8]) -> bool {
        let mut done = 0;
        let mut sought = false;
        while done < buf.len() {
            let wanted = pos + done as u64;
            let end = self.at + self.frame.len() as u64;
            if (self.at..end).contains(&wanted) {
                let from = (wanted - self.at) as usize;
                let n = (self.frame.len() - from).min(buf.len() - done);
                buf[done..done + n].copy_from_slice(&self.frame[from..from + n]);
                done += n;
                continue;
            }
            // One frame on is near; anything else is looked for, once.
            if wanted != end && !std::mem::replace(&mut sought, true) {
                self.reader.seek_byte(wanted);
                self.frame.clear();
                self.at = self.reader.pos();
            }
            if !self.next_frame() || self.at > wanted {
                return false;
            }
        }
        true
    }

    fn next_frame(&mut self) -> bool {
        self.at = self.reader.pos();
        self.frame.clear();
        match self.reader.next() {
            Item::Frame { stream: StreamId::STDOUT, bytes, .. } => {
                self.frame.extend_from_slice(bytes);
                true
            }
            _ => false,
        }
    }
}

/// A sound index.
#[derive(Debug)]
struct Index {
    /// Pages of the file when it was made.
    pages: u64,
    slots: u32,
    count: u32,
    words_len: u64,
    bytes: Bytes,
}

impl Index {
    fn open(storage: &Arc<dyn Storage>, sup: &layout::Super, entry: &Entry) -> Option<Index> {
        let identity = entry.raw.identity?;
        let State::Ended(end) = entry.state else { return None };
        let reader = Reader::new(Arc::clone(storage), sup.clone(), &entry.raw, Chain::Tape, false);
        let mut bytes = Bytes::new(reader);
        let mut head = [0; HEAD_LEN];
        if !bytes.read(0, &mut head) {
            return None;
        }
        let (pages, slots) = (u64_at(&head, 8), u32_at(&head, 16));
        let count = u32_at(&head, 20);
        let (facts_len, words_len) = (u64_at(&head, 32), u64_at(&head, 40));
        let each = (ID_LEN + RECORD_LEN) as u64;
        let len = (HEAD_LEN as u64 + u64::from(count) * each)
            .checked_add(words_len)
            .and_then(|len| len.checked_add(facts_len));
        let sound = u32_at(&head, 0) == MAGIC
            && u32_at(&head, 4) == VERSION
            && u64_at(&head, 24) == identity.tape_head
            && pages <= identity.tape_head
            && slots <= entry.slot
            && count <= slots
            && len == Some(end.out_bytes);
        sound.then_some(Index { pages, slots, count, words_len, bytes })
    }

    fn records_at(&self) -> u64 {
        (HEAD_LEN + ID_LEN * self.count as usize) as u64
    }

    fn words_at(&self) -> u64 {
        self.records_at() + (RECORD_LEN * self.count as usize) as u64
    }

    fn facts_at(&self) -> u64 {
        self.words_at() + self.words_len
    }

    fn record(&self, bytes: &mut Bytes, n: u32) -> Option<[u8; RECORD_LEN]> {
        let mut record = [0; RECORD_LEN];
        let at = self.records_at() + (RECORD_LEN * n as usize) as u64;
        bytes.read(at, &mut record).then_some(record)
    }

    /// The facts that a record speaks of; None when there are none, or they cannot be read.
    fn facts(&self, bytes: &mut Bytes, record: &[u8; RECORD_LEN]) -> Option<Vec<u8>> {
        let len = usize::from(u16_at(record, 12));
        let at = self.facts_at().checked_add(u64_at(record, 16))?;
        let mut facts = vec![0; Some(len).filter(|len| (1..=FACTS_LEN_MAX).contains(len))?];
        bytes.read(at, &mut facts).then_some(facts)
    }

    /// The words that a record speaks of and that begin at `at`, from the start of all words, into
    /// `words`; false when they cannot be read.
    fn words(
        &self,
        bytes: &mut Bytes,
        record: &[u8; RECORD_LEN],
        at: u64,
        words: &mut Vec<u8>,
    ) -> bool {
        let len = usize::from(u16_at(record, 14));
        words.resize(len, 0);
        at + len as u64 <= self.words_len && bytes.read(self.words_at() + at, words)
    }
}

/// The slots of sessions with a lease at page `from` or behind.
fn slots_behind(s: &dyn Storage, from: u64) -> io::Result<HashSet<u32>> {
    let mut slots = HashSet::new();
    if s.rules().heed_changes {
        leases_behind(s, from, &mut |header| {
            if header.chain.kind.is_chain() {
                slots.insert(header.slot);
            }
        })?;
    }
    Ok(slots)
}

/// Hands over the first header of each lease at page `from` or behind. Leases tile the file, so one
/// header tells where the next lease starts.
fn leases_behind(s: &dyn Storage, from: u64, lease: &mut dyn FnMut(&PageHeader)) -> io::Result<()> {
    let (end, mut page) = (s.size()?.div_ceil(PAGE), from);
    while page < end {
        match chain::read_header(s, page) {
            HeaderAt::Sound(header) => {
                lease(&header);
                page = header.lease.end();
            }
            HeaderAt::Zero => match s.next_data((page + 1) * PAGE)? {
                Some(data) => page = (page + 1).max(data.start / PAGE),
                None => break,
            },
            HeaderAt::Invalid => page += 1,
        }
    }
    Ok(())
}

/// The slots of those sessions whose chain does not lead to all of their notes. A power cut may take
/// the foot that led to notes behind the promised ones and leave them: another foot that leads
/// nowhere would bring them back, and no lease at the end of the file would tell.
fn forked(s: &dyn Storage, raws: &[RawEntry]) -> io::Result<HashSet<u32>> {
    let mut leases: HashMap<ChainId, usize> = HashMap::new();
    let chains = || raws.iter().filter_map(|raw| Some((raw.slot, raw.notes_chain(&raw.identity?))));
    let Some(first) = chains().map(|(_, (_, head, _))| head).min() else {
        return Ok(HashSet::new());
    };
    leases_behind(s, first, &mut |header| *leases.entry(header.chain).or_default() += 1)?;
    let mut forked = HashSet::new();
    for (slot, (id, head, last_seq)) in chains() {
        let reached = chain::leases(s, id.salt, id.kind, head, last_seq)?.len();
        if leases.get(&id).copied().unwrap_or(0) != reached {
            forked.insert(slot);
        }
    }
    Ok(forked)
}

/// The sessions of a store by the time they began, newest first.
#[derive(Debug)]
pub struct Newest {
    all: Entries,
    /// What the index does not have, oldest first.
    recent: Vec<Entry>,
    index: Option<Index>,
    /// Its records, its facts and its words, each read on from where it was.
    bytes: [Option<Bytes>; 3],
    /// The next record, and where its words begin.
    n: u32,
    words_at: u64,
    /// The words read last.
    words: Vec<u8>,
    /// The next session that the index has, and its record.
    ahead: Option<(Entry, [u8; RECORD_LEN])>,
    wants_facts: bool,
    /// Slots of which the index may be wrong, once they are known.
    changed: Option<HashSet<u32>>,
    last: Option<(i64, [u8; 16])>,
}

impl Iterator for Newest {
    type Item = Listed;

    fn next(&mut self) -> Option<Listed> {
        self.step(None)
    }
}

impl Newest {
    /// The next session that passes the sieve, or of which the index tells nothing that holds.
    /// Whoever asks for one so asks for all of them so.
    pub fn next_where(&mut self, sieve: &dyn Sieve) -> Option<Listed> {
        self.step(Some(sieve))
    }

    fn step(&mut self, sieve: Option<&dyn Sieve>) -> Option<Listed> {
        if self.ahead.is_none() && self.look_ahead(sieve).is_none() {
            self.do_without();
        }
        let key = |entry: &Entry| (entry.start_us, entry.id);
        let later = match (self.recent.last(), &self.ahead) {
            (Some(recent), Some((ahead, _))) => key(recent) >= key(ahead),
            (Some(_), None) => true,
            (None, _) => false,
        };
        let listed = match later {
            true => self.recent.pop().map(|entry| Listed { entry, facts: None }),
            false => self.ahead.take().map(|(entry, record)| {
                let facts = if self.wants_facts { self.facts(&entry, &record) } else { None };
                Listed { entry, facts }
            }),
        };
        self.last = listed.as_ref().map(|listed| key(&listed.entry));
        listed
    }

    /// Finds the next session in the index; None when it cannot be read any more.
    fn look_ahead(&mut self, sieve: Option<&dyn Sieve>) -> Option<()> {
        if self.index.is_some() && sieve.is_some() {
            self.see_changes();
        }
        let Some(index) = &self.index else { return Some(()) };
        while self.n < index.count {
            let record = index.record(self.bytes[0].as_mut()?, self.n)?;
            self.n += 1;
            let words_at = self.words_at;
            self.words_at += u64::from(u16_at(&record, 14));
            let start_us = u64_at(&record, 0) as i64;
            let (slot, told) = (u32_at(&record, 8), u16_at(&record, 12) > 0);
            if let Some(sieve) = sieve
                && told
                && self.changed.as_ref().is_some_and(|changed| !changed.contains(&slot))
            {
                if !sieve.passes(start_us, &array_at(&record, HINT_AT)) {
                    continue;
                }
                if let Some(pass) = sieve.words_pass() {
                    let read =
                        index.words(self.bytes[2].as_mut()?, &record, words_at, &mut self.words);
                    if !read {
                        return None;
                    }
                    if !pass(&self.words) {
                        continue;
                    }
                }
            }
            // A slot that is in the index gets no other session: the one that carries the index
            // stands behind it.
            let entry = self.all.entry_at(slot);
            if let Some(entry) = entry.filter(|entry| entry.start_us == start_us) {
                self.ahead = Some((entry, record));
                break;
            }
        }
        Some(())
    }

    fn see_changes(&mut self) {
        if let (Some(index), None) = (&self.index, &self.changed) {
            self.changed = slots_behind(&*self.all.storage, index.pages).ok();
        }
    }

    fn facts(&mut self, entry: &Entry, record: &[u8; RECORD_LEN]) -> Option<Vec<u8>> {
        self.see_changes();
        let changed = self.changed.as_ref()?.contains(&entry.slot);
        // Who writes a session may be about to add to it; whoever runs is not told of.
        let index = self.index.as_ref().filter(|_| !changed && entry.state != State::Live)?;
        index.facts(self.bytes[1].as_mut()?, record)
    }

    /// Goes on without the index, which has been replaced or is damaged.
    fn do_without(&mut self) {
        self.index = None;
        let last = self.last;
        let rest = self
            .all
            .anew()
            .filter(|entry| last.is_none_or(|last| (entry.start_us, entry.id) < last));
        self.recent = rest.collect();
        sort(&mut self.recent);
    }
}

/// Oldest first; of two that began at once the one that is later in the catalog comes last.
fn sort(entries: &mut [Entry]) {
    entries.sort_by_key(|entry| (entry.start_us, entry.id, entry.slot));
}

impl Store {
    /// The sessions by the time they began, newest first, with what the index tells of them if
    /// `facts` are wanted. Costs what is taken of it. A damaged entry is passed over.
    pub fn newest(&self, facts: bool) -> Result<Newest> {
        let (mut recent, index, all) = self.recent()?;
        sort(&mut recent);
        let bytes = [(); 3].map(|()| index.as_ref().map(|index| index.bytes.clone()));
        Ok(Newest {
            all,
            recent,
            index,
            bytes,
            n: 0,
            words_at: 0,
            words: Vec::new(),
            ahead: None,
            wants_facts: facts,
            changed: None,
            last: None,
        })
    }

    /// The sessions that are not in the index, newest in the catalog first, and the index.
    fn recent(&self) -> Result<(Vec<Entry>, Option<Index>, Entries)> {
        let mut entries = self.entries()?;
        let mut recent: Vec<Entry> = Vec::new();
        let mut index: Option<Index> = None;
        loop {
            let next = entries.next();
            for found in std::mem::take(&mut entries.indexes) {
                if index.is_none() {
                    index = Index::open(&entries.storage, &entries.sup, &found);
                    entries.floor = index.as_ref().map_or(0, |index| index.slots);
                }
            }
            match next {
                Some(entry) if entry.slot >= entries.floor => recent.push(entry),
                _ => break,
            }
        }
        let all = entries.anew();
        Ok((recent, index, all))
    }

    /// The sessions whose ids pass `test`, the newest in the catalog first, at most `max` of them.
    pub fn find_where(&self, max: usize, test: &dyn Fn(&[u8; 16]) -> bool) -> Result<Vec<Entry>> {
        let (recent, index, mut all) = self.recent()?;
        let found = recent.into_iter().filter(|entry| test(&entry.id));
        let mut found: Vec<Entry> = found.take(max).collect();
        let Some(mut index) = index else { return Ok(found) };
        match slots_where(&mut index, test) {
            Some(slots) => {
                let entries = slots.into_iter().filter_map(|slot| all.entry_at(slot));
                found.extend(entries.filter(|entry| test(&entry.id)));
                found.sort_by_key(|entry| Reverse(entry.slot));
                found.truncate(max);
            }
            None => found = all.filter(|entry| test(&entry.id)).take(max).collect(),
        }
        Ok(found)
    }

    /// How many sessions the index lacks, or may be wrong about.
    pub fn unindexed(&self) -> Result<usize> {
        let (recent, index, all) = self.recent()?;
        let Some(index) = index else { return Ok(recent.len()) };
        let changed = slots_behind(&*all.storage, index.pages);
        Ok(changed.map_or(0, |changed| changed.len()).max(recent.len()))
    }

    /// Writes the index anew: of every session that nobody is writing, what `describe` tells of
    /// it, or, where nothing has changed, what the index has told. False when another process is
    /// at it.
    pub fn write_index(&self, describe: &mut dyn FnMut(&Entry) -> Option<Told>) -> Result<bool> {
        let cannot = |e: &io::Error| self.error("cannot write the index of", e);
        let storage = self.writing_handle()?;
        let held = Held::at_once(&*storage, LOCK_INDEX, Lock::Exclusive);
        let Some(_held) = held.map_err(|e| cannot(&e))? else { return Ok(false) };
        let old = self.index_entries()?;
        let gathered = self.gather(&storage, describe)?;
        write(&storage, &gathered).map_err(|e| cannot(&e))?;
        if !old.is_empty() {
            self.remove(&old, &mut |_| ())?;
        }
        Ok(true)
    }

    /// The sessions that carry an index.
    fn index_entries(&self) -> Result<Vec<Entry>> {
        let mut entries = self.entries()?;
        while entries.next().is_some() {}
        Ok(entries.indexes)
    }

    fn gather(
        &self,
        storage: &Arc<dyn Storage>,
        describe: &mut dyn FnMut(&Entry) -> Option<Told>,
    ) -> Result<Gathered> {
        let cannot = |e: &io::Error| self.error("cannot write the index of", e);
        let s = &**storage;
        // First of all: what comes to a session from here on stands behind this page.
        let pages = s.size().map_err(|e| cannot(&e))?.div_ceil(PAGE);
        let mut known = self.told_before();
        let entries = self.entries()?;
        let (sup, mut slots) = (entries.sup.clone(), entries.next);
        let mut all: Vec<Entry> = entries.collect();
        for slot in blank_slots(&all, slots) {
            if may_appear(s, &sup, slot).map_err(|e| cannot(&e))? {
                slots = slot;
                break;
            }
        }
        all.retain(|entry| entry.slot < slots);
        sort(&mut all);
        all.reverse();
        let mut told = Vec::with_capacity(all.len());
        let mut fresh: Vec<RawEntry> = Vec::new();
        for entry in &all {
            let is_locked = || s.is_locked(lock_of_slot(entry.slot)).unwrap_or(true);
            told.push(match known.remove(&entry.slot) {
                Some(told) => Some(told),
                None if is_locked() => None,
                None => catalog::read_entry(s, &sup, entry.slot)
                    .ok()
                    // It may have ended since it was listed.
                    .and_then(|raw| entry_of(s, raw))
                    .filter(|entry| entry.state != State::Live)
                    .and_then(|entry| Some((entry.raw, describe(&entry)?)))
                    .filter(|(_, told)| (1..=FACTS_LEN_MAX).contains(&told.facts.len()))
                    .filter(|(_, told)| told.words.len() <= WORDS_LEN_MAX)
                    .map(|(raw, told)| {
                        fresh.push(raw);
                        told
                    }),
            });
        }
        let forked = forked(s, &fresh).map_err(|e| cannot(&e))?;
        for (entry, told) in all.iter().zip(&mut told) {
            if forked.contains(&entry.slot) {
                *told = None;
            }
        }
        Ok(Gathered { pages, slots, entries: all, told })
    }

    /// What the index tells, by slot, as far as it holds.
    fn told_before(&self) -> HashMap<u32, Told> {
        let mut told = HashMap::new();
        let Ok((_, Some(index), all)) = self.recent() else { return told };
        let Ok(changed) = slots_behind(&*all.storage, index.pages) else { return told };
        let [mut records, mut words_of, mut facts] = [(); 3].map(|()| index.bytes.clone());
        let mut words_at = 0;
        for n in 0..index.count {
            let Some(record) = index.record(&mut records, n) else { break };
            let slot = u32_at(&record, 8);
            let mut words = Vec::new();
            if !index.words(&mut words_of, &record, words_at, &mut words) {
                break;
            }
            words_at += words.len() as u64;
            if !changed.contains(&slot)
                && let Some(facts) = index.facts(&mut facts, &record)
            {
                told.insert(slot, Told { hint: array_at(&record, HINT_AT), words, facts });
            }
        }
        told
    }
}

/// Whether a slot that no listed session has may get one, or has got one meanwhile: whoever copies a
/// session takes the slot first and enters it into the catalog when it is whole.
fn may_appear(s: &dyn Storage, sup: &layout::Super, slot: u32) -> io::Result<bool> {
    let is_locked = s.is_locked(lock_of_slot(slot))?;
    let raw = catalog::read_entry(s, sup, slot)?;
    Ok(raw.identity.map_or(is_locked, |identity| !raw.deleted && !is_index(&identity)))
}

/// Slots before `slots` that no listed session has.
fn blank_slots(entries: &[Entry], slots: u32) -> Vec<u32> {
    let taken: HashSet<u32> = entries.iter().map(|entry| entry.slot).collect();
    (0..slots).filter(|slot| !taken.contains(slot)).collect()
}

/// What is to be written.
struct Gathered {
    pages: u64,
    slots: u32,
    entries: Vec<Entry>,
    told: Vec<Option<Told>>,
}

impl Gathered {
    fn facts_len(&self) -> usize {
        self.told.iter().flatten().map(|told| told.facts.len()).sum()
    }

    fn words_len(&self) -> usize {
        self.told.iter().flatten().map(|told| told.words.len()).sum()
    }

    fn len(&self) -> usize {
        let each = ID_LEN + RECORD_LEN;
        HEAD_LEN + self.entries.len() * each + self.words_len() + self.facts_len()
    }

    fn encode(&self, tape_head: u64) -> Vec<u8> {
        let facts_len = self.facts_len();
        let mut out = Vec::with_capacity(self.len());
        out.extend(MAGIC.to_le_bytes());
        out.extend(VERSION.to_le_bytes());
        out.extend(self.pages.to_le_bytes());
        out.extend(self.slots.to_le_bytes());
        out.extend((self.entries.len() as u32).to_le_bytes());
        out.extend(tape_head.to_le_bytes());
        out.extend((facts_len as u64).to_le_bytes());
        out.extend((self.words_len() as u64).to_le_bytes());
        self.entries.iter().for_each(|entry| out.extend(entry.id));
        let mut at = 0u64;
        for (entry, told) in self.entries.iter().zip(&self.told) {
            let [len, words_len] = told
                .as_ref()
                .map_or([0; 2], |told| [told.facts.len(), told.words.len()])
                .map(|len| len as u16);
            out.extend(entry.start_us.to_le_bytes());
            out.extend(entry.slot.to_le_bytes());
            out.extend(len.to_le_bytes());
            out.extend(words_len.to_le_bytes());
            out.extend(at.to_le_bytes());
            out.extend(told.as_ref().map_or([0; HINT_LEN], |told| told.hint));
            at += u64::from(len);
        }
        self.told.iter().flatten().for_each(|told| out.extend_from_slice(&told.words));
        self.told.iter().flatten().for_each(|told| out.extend_from_slice(&told.facts));
        out
    }
}

/// Writes a session that carries the index. It enters the catalog last, whole, and when all that it
/// tells of is durable: a power cut must not leave it wiser than the sessions' own notes.
fn write(storage: &Arc<dyn Storage>, gathered: &Gathered) -> io::Result<()> {
    let s = &**storage;
    let busy = || io::Error::from(io::ErrorKind::WouldBlock);
    let mut id = [0; 16];
    crate::sys::process::random(&mut id)?;
    id[6] = id[6] & 0x0f | 0x80;
    let salt = layout::salt(&id);
    let start_us = gathered.entries.first().map_or(0, |entry| entry.start_us);

    let pages = (gathered.len() / PAYLOAD_MAX + 2).min(LEASE_PAGES_MAX as usize) as u32;
    let alloc = Held::patiently(s, LOCK_ALLOC, Lock::Exclusive)?.ok_or_else(busy)?;
    let mut sup = catalog::read_super(s)?.ok_or_else(|| io::Error::other("no sound superblock"))?;
    let mut slot = catalog::slots_used(s, &sup)?;
    let _slot = loop {
        match Held::at_once(s, lock_of_slot(slot), Lock::Exclusive)? {
            Some(held) => break held,
            None => slot += 1,
        }
    };
    while catalog::offset_of(&sup, slot).is_none() {
        catalog::grow(s, &mut sup)?;
    }
    let leases: [Lease; 2] = [chain::take_lease_locked(s, 1)?, chain::take_lease_locked(s, pages)?];
    drop(alloc);

    let identity = Identity {
        id,
        start_us,
        tape_head: leases[1].start,
        notes_head: leases[0].start,
        label: LABEL,
    };
    let mut take = |pages| take_lease(s, pages, LOCK_TRIES_MAX);
    let mut notes = Cursor::new(salt, Kind::Notes, slot, leases[0]);
    let who = layout::encode_identity_frame(&id, start_us, &LABEL);
    notes.append(s, StreamId::IDENTITY, 0, 0, &who, &mut take).map_err(|(e, _)| e)?;
    let mut tape = Cursor::new(salt, Kind::Tape, slot, leases[1]);
    for piece in gathered.encode(identity.tape_head).chunks(PIECE_LEN) {
        tape.append(s, StreamId::STDOUT, 0, 0, piece, &mut take).map_err(|(e, _)| e)?;
    }
    if s.rules().sync_before_index {
        s.sync()?;
    }
    let status = Status {
        end_us: start_us,
        out_bytes: tape.pos(),
        tape_seq: tape.last_seq(),
        notes_seq: notes.last_seq(),
        tape_fseq: tape.fseq(),
        notes_fseq: notes.fseq(),
        ..Status::default()
    };
    catalog::write_status(s, &sup, slot, &status)?;
    catalog::write_identity(s, &sup, slot, &identity)
}

/// The slots of the sessions in the index whose ids pass `test`; None when it cannot be read.
fn slots_where(index: &mut Index, test: &dyn Fn(&[u8; 16]) -> bool) -> Option<Vec<u32>> {
    let mut bytes = index.bytes.clone();
    let mut found: Vec<u32> = Vec::new();
    let mut ids = [0; 64 * ID_LEN];
    let mut n = 0;
    while n < index.count {
        let these = &mut ids[..ID_LEN * (index.count - n).min(64) as usize];
        if !bytes.read((HEAD_LEN + ID_LEN * n as usize) as u64, these) {
            return None;
        }
        found.extend((n..).zip(these.as_chunks().0).filter(|(_, id)| test(id)).map(|(n, _)| n));
        n += 64;
    }
    found.into_iter().map(|n| Some(u32_at(&index.record(&mut bytes, n)?, 8))).collect()
}
