//! What the store was told, and what it must therefore still know.

use intentloop::hash::crc32c;
use intentloop::store::storage::Storage;
use intentloop::store::{
    Chain, Entry, Hint, Item, Listed, Problem, Sieve, State, Store, StreamId, Told, WordsTest,
    salvage_from,
};
use std::collections::HashMap;
use std::sync::Arc;

/// How the machine came to a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Processes were killed; the page cache lives.
    Kill,
    /// The power went.
    Power,
}

#[derive(Clone, Copy, Debug)]
pub struct Record {
    pub stream: StreamId,
    pub len: usize,
    /// The store said it had it.
    pub acked: bool,
    /// A sync came back after that.
    pub durable: bool,
    /// A sync failed after that: a power cut may take it for ever.
    pub forgotten: bool,
}

/// Something that was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    #[default]
    No,
    Asked,
    Granted,
}

#[derive(Clone, Debug)]
pub struct Session {
    pub id: [u8; 16],
    /// `begin` came back.
    pub begun: bool,
    pub durable: bool,
    pub records: Vec<Record>,
    pub deleted: Wish,
    pub pruned: Wish,
    /// The owner said the end, and heard that it was written.
    pub ended: bool,
    /// A writer holds it.
    pub live: bool,
    /// It was taken up again after its end, or after its owner's death.
    pub resumed: bool,
    /// A power cut took its entry.
    pub vanished: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub sessions: Vec<Session>,
    /// The power went once: records that were not synced may be missing anywhere.
    pub cut: bool,
}

/// The id of session `n`.
pub fn id_of(n: usize) -> [u8; 16] {
    let mut id = *b"\x01\x9e\x6c\x0a\x00\x00\x7c\x31\x9d\x43\x0c\x9b\x6a\x1f\x00\x00";
    id[4..6].copy_from_slice(&(n as u16).to_be_bytes());
    id[14..].copy_from_slice(&(n as u16 + 1).to_be_bytes());
    id
}

/// The content of record `index` of a session: no two are alike, and no two parts of one.
pub fn content(id: &[u8; 16], index: usize, len: usize) -> Vec<u8> {
    let mut x = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(id[15]) << 7;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(index as u64 | 1);
        bytes.extend_from_slice(&(x ^ x >> 29).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// What the index is told of a session: its last META record.
pub fn told_of(store: &Store, entry: &Entry) -> Option<Told> {
    let (t_us, meta) = store.last_record(entry, StreamId::META)?;
    let facts = [t_us.to_le_bytes().as_slice(), &crc32c(0, &meta).to_le_bytes()].concat();
    let mut hint = Hint::default();
    hint[..facts.len()].copy_from_slice(&facts);
    // Words of any length, none among them.
    let words = facts[8..].repeat(usize::from(facts[8]));
    Some(Told { hint, words, facts })
}

/// Lets through what the index tells so of.
struct Only<'a> {
    told: &'a Told,
    words: WordsTest<'a>,
}

impl Sieve for Only<'_> {
    fn passes(&self, _: i64, hint: &Hint) -> bool {
        *hint == self.told.hint
    }

    fn words_pass(&self) -> Option<WordsTest<'_>> {
        Some(self.words)
    }
}

impl Model {
    /// A sync came back: all that was handed over before it is durable.
    pub fn synced(&mut self) {
        for session in &mut self.sessions {
            session.durable |= session.begun;
            for record in &mut session.records {
                record.durable |= record.acked && !record.forgotten;
            }
        }
    }

    /// A sync failed: what it should have made durable may never be.
    pub fn forgot(&mut self) {
        self.sessions.iter_mut().for_each(Session::forgot);
    }

    /// What is durable for the writer of `session` alone, when syncs of others may have failed.
    pub fn synced_own(&mut self, session: usize) {
        let session = &mut self.sessions[session];
        session.durable |= session.begun;
        for record in &mut session.records {
            record.durable |= record.acked && !record.forgotten;
        }
    }

    /// Compares a store that came through `stop` with what it was told. The number of records
    /// read, or what is wrong.
    pub fn check(&self, storage: Arc<dyn Storage>, stop: Stop) -> Result<u64, String> {
        let store = Store::on(storage, [0; 16]).map_err(|e| format!("open: {e}"))?;
        let mut listed: HashMap<[u8; 16], Entry> = HashMap::new();
        for entry in store.entries().map_err(|e| format!("list: {e}"))? {
            if listed.insert(entry.id, entry).is_some() {
                return Err(format!("session {:02x?} is listed twice", entry.id));
            }
        }
        self.check_index(&store, &listed)?;
        let mut read = 0;
        for session in &self.sessions {
            let must = match stop {
                Stop::Kill => session.begun,
                Stop::Power => session.durable,
            };
            match listed.remove(&session.id) {
                None if must && session.deleted == Wish::No => {
                    return Err(format!("session {:02x?} is lost", &session.id[14..]));
                }
                None => {}
                Some(_) if session.deleted == Wish::Granted => {
                    return Err(format!("session {:02x?} came back", &session.id[14..]));
                }
                Some(entry) => read += session.check(&store, &entry, stop)?,
            }
        }
        // A salvage makes up the first half of an id that it cannot find.
        match listed.keys().find(|id| id[..8] != [0; 8]) {
            Some(id) => Err(format!("session {id:02x?} was never begun")),
            None => Ok(read),
        }
    }

    /// That the index lists the sessions there are, and tells of them what they say themselves.
    fn check_index(&self, store: &Store, listed: &HashMap<[u8; 16], Entry>) -> Result<(), String> {
        let newest = || store.newest(true).map_err(|e| format!("newest: {e}"));
        let all: Vec<Listed> = newest()?.collect();
        if all.len() != listed.len() || all.iter().any(|it| !listed.contains_key(&it.entry.id)) {
            return Err(format!("{} sessions by time, {} in all", all.len(), listed.len()));
        }
        if !all.is_sorted_by_key(|it| std::cmp::Reverse((it.entry.start_us, it.entry.id))) {
            return Err("the sessions come out of order".to_owned());
        }
        for Listed { entry, facts } in &all {
            let found = store.find_where(2, &|id| *id == entry.id).map_err(|e| e.to_string())?;
            if found.len() != 1 || found[0].slot != entry.slot {
                return Err(format!("session {:02x?} is not found", &entry.id[14..]));
            }
            // A sync that failed may have forgotten what a later one did not bring back.
            let forgotten = |session: &Session| session.records.iter().any(|r| r.forgotten);
            if self.sessions.iter().any(|session| session.id == entry.id && forgotten(session)) {
                continue;
            }
            let told = told_of(store, entry);
            if facts.is_some() && *facts != told.as_ref().map(|told| told.facts.clone()) {
                return Err(format!("session {:02x?}: the index is wrong", &entry.id[14..]));
            }
            let Some(told) = told else { continue };
            let mut newest = newest()?;
            let is_it = Only { told: &told, words: &|words| words == told.words };
            if !std::iter::from_fn(|| newest.next_where(&is_it)).any(|it| it.entry.id == entry.id) {
                return Err(format!("session {:02x?}: passed over", &entry.id[14..]));
            }
        }
        Ok(())
    }

    /// As `check`, and that verify finds no fault of the store's own, and that a salvage from the
    /// pages alone saves as much.
    pub fn check_deeply(
        &self,
        storage: Arc<dyn Storage>,
        aside: Arc<dyn Storage>,
        stop: Stop,
    ) -> Result<u64, String> {
        let read = self.check(Arc::clone(&storage), stop)?;
        let store = Store::on(Arc::clone(&storage), [0; 16]).map_err(|e| e.to_string())?;
        let report = store.verify(&mut |_| {}).map_err(|e| format!("verify: {e}"))?;
        let fault = report.problems.iter().find(|problem| match problem {
            Problem::Overlap { .. } => true,
            Problem::Frames { .. } => stop == Stop::Kill && !self.cut,
            _ => false,
        });
        if let Some(fault) = fault {
            return Err(format!("verify says: {fault}"));
        }
        let saved = Store::on(Arc::clone(&aside), [1; 16]).map_err(|e| e.to_string())?;
        salvage_from(storage, &saved, &mut |_| {}).map_err(|e| format!("salvage: {e}"))?;
        // Pages of a session whose entry a power cut took may bring it back.
        let mut lenient = self.clone();
        for session in lenient.sessions.iter_mut().filter(|session| session.vanished) {
            session.deleted = Wish::Asked;
        }
        lenient.check(aside, stop).map_err(|e| format!("salvaged: {e}"))?;
        Ok(read)
    }

    /// After a power cut what reads back is what is durable, and no more.
    pub fn settle(&mut self, storage: Arc<dyn Storage>) {
        self.cut = true;
        let Ok(store) = Store::on(storage, [0; 16]) else { return };
        let Ok(entries) = store.entries() else { return };
        let listed: HashMap<[u8; 16], Entry> = entries.map(|e| (e.id, e)).collect();
        for session in &mut self.sessions {
            let entry = listed.get(&session.id);
            session.live = false;
            session.begun = entry.is_some();
            session.durable = session.begun;
            if entry.is_none() {
                session.vanished |= session.deleted == Wish::No;
                session.deleted = Wish::Granted;
            }
            let mut seen = vec![false; session.records.len()];
            if let Some(entry) = entry {
                let _ = session.read_chains(&store, entry, &mut seen);
                if session.pruned != Wish::No {
                    session.pruned = if entry.tape_pruned { Wish::Granted } else { Wish::Asked };
                }
                session.ended &= matches!(entry.state, State::Ended(_));
            }
            for (record, seen) in session.records.iter_mut().zip(seen) {
                (record.acked, record.durable) = (seen, seen);
            }
        }
    }
}

impl Session {
    /// A sync failed for its writer.
    pub fn forgot(&mut self) {
        for record in &mut self.records {
            record.forgotten |= record.acked && !record.durable;
        }
    }

    fn check(&self, store: &Store, entry: &Entry, stop: Stop) -> Result<u64, String> {
        let mut seen = vec![false; self.records.len()];
        let read = self.read_chains(store, entry, &mut seen)?;
        let tape_may_go = self.pruned != Wish::No && entry.tape_pruned;
        if self.pruned == Wish::Granted && !entry.tape_pruned {
            return Err(format!("session {:02x?}: the tape came back", &self.id[14..]));
        }
        for (index, (record, seen)) in self.records.iter().zip(&seen).enumerate() {
            let must = match stop {
                Stop::Kill => record.acked,
                Stop::Power => record.durable,
            };
            let pruned = tape_may_go && record.stream.chain() == Chain::Tape;
            if must && !seen && !pruned {
                return Err(format!(
                    "session {:02x?} ({:?}): record {index} of {} ({:?}, {} bytes) is lost",
                    &self.id[14..],
                    entry.state,
                    self.records.len(),
                    record.stream,
                    record.len
                ));
            }
        }
        if self.ended && stop == Stop::Kill && !matches!(entry.state, State::Ended(_)) {
            return Err(format!("session {:02x?}: its end is forgotten", &self.id[14..]));
        }
        Ok(read)
    }

    fn read_chains(&self, store: &Store, entry: &Entry, seen: &mut [bool]) -> Result<u64, String> {
        let mut read = 0;
        for chain in [Chain::Tape, Chain::Notes] {
            read += self.read_chain(store, entry, chain, seen)?;
        }
        Ok(read)
    }

    fn read_chain(
        &self,
        store: &Store,
        entry: &Entry,
        chain: Chain,
        seen: &mut [bool],
    ) -> Result<u64, String> {
        let mut reader = store.read(entry, chain);
        let (mut read, mut last) = (0, None);
        // The record begun, what it should hold, and how much of that was read.
        let mut open: Option<(usize, Vec<u8>, usize)> = None;
        for _ in 0..1_000_000 {
            match reader.next() {
                Item::Frame { stream, t_us, bytes, flags } => {
                    let index = t_us as usize;
                    let told =
                        |what: &str| format!("{:02x?} record {index}: {what}", &self.id[14..]);
                    let record = self.records.get(index).ok_or_else(|| told("never appended"))?;
                    if record.stream != stream {
                        return Err(told("in another stream"));
                    }
                    match &open {
                        _ if flags & 2 == 0 => {
                            open = Some((index, content(&self.id, index, record.len), 0));
                        }
                        Some((begun, ..)) if *begun == index => {}
                        // The end of a record whose beginning is lost.
                        _ => open = None,
                    }
                    let Some((_, wanted, done)) = &mut open else { continue };
                    if !wanted[*done..].starts_with(bytes) {
                        return Err(told("other bytes"));
                    }
                    *done += bytes.len();
                    if flags & 1 == 0 {
                        if *done != wanted.len() {
                            return Err(told("cut short without a word"));
                        }
                        if last.is_some_and(|last| last >= index) {
                            return Err(told("out of order or twice"));
                        }
                        last = Some(index);
                        seen[index] = true;
                        read += 1;
                        open = None;
                    }
                }
                Item::Gap { .. } => open = None,
                Item::Tail | Item::End => return Ok(read),
            }
        }
        Err("the reader does not come to an end".into())
    }
}
