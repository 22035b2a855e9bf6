//! memmap_fs: one crash-safe file of self-describing pages, written by many recorders at once.
//!
//! The length of the file is the allocator: under a lock a writer extends it and owns the new pages
//! for ever. A session is one writer's append-only chains of frames; nothing in a chain is ever
//! overwritten, every frame carries a checksum over its place and content, and validity is decided
//! frame by frame when it is read. There is no log, no commit and no recovery.
//!
//! Invariants: a record handed over survives the death of the process; one that was synced survives
//! a power cut; damage to a page costs that page's frames alone; no bytes make a reader panic, hang
//! or allocate without limit.

pub mod layout;
mod stream;
pub mod storage;
mod file;
mod catalog;
mod chain;
mod cursor;
mod ahead;
mod keeper;
mod writer;
mod reader;
mod house;
mod index;
mod copy;
mod verify;
mod backup;
mod repair;
mod deflate;
mod pack;

pub use copy::{Change, Compacted, Copied};
pub use file::FileStorage;
pub use house::{Freed, Progress, Usage};
pub use index::{
    FACTS_LEN_MAX, HINT_LEN, Hint, INDEX_EVERY, Listed, Newest, Sieve, Told, WORDS_LEN_MAX,
    WordsTest,
};
pub use layout::Exit;
pub use reader::{Item, Reader, Source, Unchecked, Why};
pub use repair::{KEPT_MAX, Repaired, repair};
pub use stream::{Chain, StreamId};
pub use verify::{PROBLEMS_MAX, Problem, Report, salvage, salvage_from};
pub use writer::{
    Append, EndReport, FULL_TRIES_MAX, Health, PACK_AT_END_MAX, PACK_AT_END_MIN, QUEUE_LEN_MAX,
    RETRY_US, Writer,
};

use crate::error::{Error, Result};
use crate::sys::file::{FsKind, euid};
use catalog::RawEntry;
use cursor::Cursor;
use keeper::Keeper;
use layout::{ENTRIES_PER_PAGE, Identity, PAGE_LEN, Status, Super};
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use storage::{
    Held, LOCK_ALLOC, LOCK_GATE, LOCK_TRIES_MAX, Lock, Storage, lock_of_slot, lock_patiently,
    lock_within,
};

/// The store's name in its directory, on a filesystem that one machine owns.
pub const FILE_NAME: &str = "store.il";
/// Bytes of a record that [`Store::records`] puts together; what is longer comes in pieces.
pub const RECORD_LEN_MAX: usize = 64 << 20;
/// Sessions that [`Store::find`] returns at most.
pub const FOUND_MAX: usize = 1000;
/// Bytes that the search for a stream's last record first goes back by.
const LAST_BACK_LEN: u64 = 64 * 1024;
/// Times a writer opens the file again because compaction has just replaced it.
const REOPEN_MAX: u32 = 100;

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To look. A store that does not exist is an error.
    Read,
    /// To record or keep house. A store that does not exist is created.
    Write,
}

/// An open store. Cheap to clone; clones share one handle on the file.
/// ```
/// use intentloop::Store;
/// use intentloop::session::SessionId;
/// use intentloop::store::{Access, Append, Exit, NewSession, StreamId};
/// use std::io::Read;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dir = std::env::temp_dir().join(format!("il-doc-store-{}", std::process::id()));
/// let store = Store::open(&dir, Access::Write)?;
/// let id = SessionId::new(1_780_000_000_000, *b"any random");
/// let mut writer = store.begin(&NewSession {
///     id: id.0,
///     start_us: 1_780_000_000_000_000,
///     label: [0; 16],
///     meta: b"{}",
/// })?;
/// // A second after the session's start.
/// assert_eq!(writer.append(StreamId::STDOUT, 1_000_000, b"hello\r\n"), Append::Stored);
/// writer.end(Exit::Code(0), 1_780_000_002_000_000)?;
///
/// let entry = store.find(&id.to_string(), 1)?.remove(0);
/// let mut text = String::new();
/// store.stream(&entry, StreamId::STDOUT).read_to_string(&mut text)?;
/// assert_eq!((entry.id, text.as_str()), (id.0, "hello\r\n"));
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    access: Access,
    /// Writers get a keeper thread.
    keeper: bool,
    /// The file, and the superblock as last read. Replaced when the file is.
    state: Mutex<(Arc<dyn Storage>, Super)>,
}

/// A session to begin.
#[derive(Clone, Copy, Debug)]
pub struct NewSession<'a> {
    /// Its id, a UUIDv7: its second half must be random.
    pub id: [u8; 16],
    /// Start, microseconds since 1970.
    pub start_us: i64,
    /// For listing without reading the notes.
    pub label: [u8; 16],
    /// The first record of the META stream: a JSON object.
    pub meta: &'a [u8],
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// How its command ended.
    pub exit: Exit,
    /// When, microseconds since 1970.
    pub end_us: i64,
    /// Bytes of stdout.
    pub out_bytes: u64,
}

/// What a session is doing. Computed from the owner's lock, never believed from a stored word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its recorder is at work.
    Live,
    /// Its recorder said how it ended.
    Ended(End),
    /// Its recorder died: everything it had handed over is there.
    Lost,
}

/// A session in the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Id of the session.
    pub id: [u8; 16],
    /// Its place in the catalog.
    pub slot: u32,
    /// Start, microseconds since 1970.
    pub start_us: i64,
    /// What it was labelled with.
    pub label: [u8; 16],
    /// What it is doing.
    pub state: State,
    /// The tape was given back, the notes remain.
    pub tape_pruned: bool,
    /// It is compressed.
    pub packed: bool,
    raw: RawEntry,
}

impl Store {
    /// Opens the store in `dir`. To write, makes the directory (0700) and the store (0600) if they
    /// are missing. Refuses a store that belongs to another user, is open to others, is a symbolic
    /// link, or has features that this version does not know.
    pub fn open(dir: &Path, access: Access) -> Result<Store> {
        if access == Access::Write {
            make_dir(dir)?;
        }
        let path = path_in(dir);
        let storage = match FileStorage::open(&path, access == Access::Write) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && access == Access::Write => {
                create(&path)?
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(Error::nothing_found(format!("no store at {}", path.display()))
                    .with_hint("record something first: il run CMD"));
            }
            Err(e) if e.raw_os_error() == Some(libc::ELOOP) => {
                return Err(Error::failed(format!("cannot open {}", path.display()))
                    .why("it is a symbolic link")
                    .with_hint("move the store itself there, or name its directory with --home"));
            }
            opened => opened.map_err(|e| cannot_open(&path, &e))?,
        };
        check_owner(&storage, &path)?;
        Store::with(Arc::new(storage), access, true)
    }

    /// Opens the store in the file at `path` to read it: a backup, or another's store.
    pub fn open_file(path: &Path) -> Result<Store> {
        let storage = FileStorage::open(path, false)
            .map_err(|e| Error::io(format!("cannot open {}", path.display()), &e))?;
        Store::with(Arc::new(storage), Access::Read, false)
    }

    /// A store on storage of the caller's own, formatted if it is empty. Its writers have no keeper
    /// thread: they sync when [`Writer::sync`] is called.
    pub fn on(storage: Arc<dyn Storage>, id: [u8; 16]) -> Result<Store> {
        let fail =
            |e: &io::Error| Error::io(format!("cannot open {}", storage.path().display()), e);
        if storage.size().map_err(|e| fail(&e))? == 0 {
            catalog::format(&*storage, id, 0, 0).map_err(|e| fail(&e))?;
        }
        Store::with(storage, Access::Write, false)
    }

    fn with(storage: Arc<dyn Storage>, access: Access, keeper: bool) -> Result<Store> {
        let sup = read_super(&*storage, access)?;
        let state = Mutex::new((storage, sup));
        Ok(Store { inner: Arc::new(Inner { access, keeper, state }) })
    }

    /// The path of the file.
    pub fn path(&self) -> PathBuf {
        self.state().0.path().to_owned()
    }

    /// Begins a session: takes its pages, its slot and its lock. Waits two seconds at most for
    /// another process to let go of the store.
    pub fn begin(&self, new: &NewSession<'_>) -> Result<Writer> {
        let storage = self.writing_handle()?;
        let cannot = |e: &io::Error| self.error("cannot begin a session in", e);
        let Some(_alloc) = self.allocation(&*storage).map_err(|e| cannot(&e))? else {
            return Err(self.busy("cannot begin a session in"));
        };
        self.begin_locked(&storage, new).map_err(|e| cannot(&e))
    }

    fn allocation<'a>(&self, s: &'a dyn Storage) -> io::Result<Option<Held<'a>>> {
        Held::patiently(s, LOCK_ALLOC, Lock::Exclusive)
    }

    fn begin_locked(&self, storage: &Arc<dyn Storage>, new: &NewSession<'_>) -> io::Result<Writer> {
        let s = &**storage;
        let mut sup =
            catalog::read_super(s)?.ok_or_else(|| io::Error::other("no sound superblock"))?;
        let mut slot = catalog::slots_used(s, &sup)?;
        while !s.try_lock(lock_of_slot(slot), Lock::Exclusive)? {
            slot += 1;
        }
        if catalog::offset_of(&sup, slot).is_none() {
            catalog::grow(s, &mut sup)?;
        }
        let (tape, notes) = writer::first_cursors(s, slot, new)?;
        let identity = Identity {
            id: new.id,
            start_us: new.start_us,
            tape_head: tape.lease().start,
            notes_head: notes.lease().start,
            label: new.label,
        };
        catalog::write_identity(s, &sup, slot, &identity)?;
        let keeper = if self.inner.keeper { Keeper::start(storage) } else { Keeper::none() };
        keeper.wrote(&notes, true);
        Ok(Writer::new(writer::Parts {
            storage: Arc::clone(storage),
            sup,
            slot,
            identity,
            tape: Some(tape),
            notes,
            status: None,
            status_written: false,
            keeper,
            names: Vec::new(),
        }))
    }

    /// Whether it was opened to write.
    pub fn is_writable(&self) -> bool {
        self.inner.access == Access::Write
    }

    /// Appends to a session that has ended: to its notes (a report, a conversation); the tape is
    /// closed. Fails when another process has the session for ten seconds: those who add to it one
    /// after the other wait for the disk each.
    pub fn resume(&self, entry: &Entry) -> Result<Writer> {
        const TRIES_MAX: u32 = 5 * LOCK_TRIES_MAX;
        let storage = self.writing_handle()?;
        let cannot = |e: &io::Error| self.error("cannot append to a session in", e);
        let s = &*storage;
        let slot = lock_of_slot(entry.slot);
        let held = lock_within(s, slot, Lock::Exclusive, TRIES_MAX);
        if !held.map_err(|e| cannot(&e))? {
            return Err(self.busy("cannot append to a session in"));
        }
        self.resume_locked(&storage, entry).map_err(|e| cannot(&e))
    }

    fn resume_locked(&self, storage: &Arc<dyn Storage>, entry: &Entry) -> io::Result<Writer> {
        let s = &**storage;
        let sup = self.sup_of(s)?;
        let raw = catalog::read_entry(s, &sup, entry.slot)?;
        let identity = raw
            .identity
            .filter(|identity| identity.id == entry.id && !raw.deleted)
            .ok_or_else(|| io::Error::other("the session is gone"))?;
        let status = match raw.status {
            Some(status) => status,
            None => house::status_of_lost(s, raw.slot, &identity)?.0,
        };
        let (id, head, last_seq) = raw.notes_chain(&identity);
        let notes = Cursor::resume(s, id.salt, id.kind, raw.slot, head, last_seq)?;
        // A power cut took the first page: a reader must be told to look for the pages to come.
        let lost_head = notes.is_empty() && status.notes_fseq == 0;
        let status = Status { notes_fseq: status.notes_fseq.max(u16::from(lost_head)), ..status };
        if lost_head && raw.status.is_some() {
            catalog::write_status(s, &sup, raw.slot, &status)?;
        }
        let names = self.stream_names(entry).into_iter().map(|(_, name)| name).collect();
        let keeper = if self.inner.keeper { Keeper::start(storage) } else { Keeper::none() };
        Ok(Writer::new(writer::Parts {
            storage: Arc::clone(storage),
            sup,
            slot: raw.slot,
            identity,
            tape: None,
            notes,
            status: Some(status),
            status_written: raw.status.is_some(),
            keeper,
            names,
        }))
    }

    /// The sessions, newest first, read as they are asked for. A damaged entry is passed over.
    pub fn entries(&self) -> Result<Entries> {
        let (storage, sup) = self.refreshed()?;
        let used = catalog::slots_used(&*storage, &sup)
            .map_err(|e| self.error("cannot list the sessions in", &e))?;
        Ok(Entries { storage, sup, next: used, used, floor: 0, page: None, indexes: Vec::new() })
    }

    /// Sessions whose id begins or ends with `text` (hexadecimal, hyphens or not), newest first,
    /// at most `max` (and [`FOUND_MAX`]) of them.
    pub fn find(&self, text: &str, max: usize) -> Result<Vec<Entry>> {
        let wanted: Vec<u8> =
            text.bytes().filter(|&c| c != b'-').map(|c| c.to_ascii_lowercase()).collect();
        if wanted.is_empty() || wanted.len() > 32 || !wanted.iter().all(u8::is_ascii_hexdigit) {
            return Ok(Vec::new());
        }
        let digits = std::str::from_utf8(&wanted).unwrap_or_default();
        let number = u128::from_str_radix(digits, 16).unwrap_or_default();
        let rest = 128 - 4 * wanted.len() as u32;
        let is_meant = |id: &[u8; 16]| {
            let id = u128::from_be_bytes(*id);
            id >> rest == number || id << rest == number << rest
        };
        self.find_where(max.min(FOUND_MAX), &is_meant)
    }

    /// Whether a process has the session: records it, adds to it, packs it.
    pub fn is_held(&self, entry: &Entry) -> bool {
        self.state().0.is_locked(lock_of_slot(entry.slot)).unwrap_or(false)
    }

    /// Reads one chain of a session from its start.
    pub fn read(&self, entry: &Entry, chain: Chain) -> Reader {
        let (storage, sup) = self.state();
        let live = matches!(entry.state, State::Live);
        Reader::new(storage, sup, &entry.raw, chain, live)
    }

    /// The bytes of one stream, in order, its gaps closed up. Ends at the tail of a live session.
    pub fn stream(&self, entry: &Entry, stream: StreamId) -> impl Read + use<> {
        StreamBytes { reader: self.read(entry, stream.chain()), stream, rest: Vec::new(), at: 0 }
    }

    /// The records of one stream with their times, each whole: one that lacks a part is left out,
    /// one longer than [`RECORD_LEN_MAX`] comes in pieces.
    pub fn records(&self, entry: &Entry, stream: StreamId) -> Records {
        Records { reader: self.read(entry, stream.chain()), stream }
    }

    /// The last record of a stream. Looks from the end of the chain backwards: what it costs
    /// depends on what stands behind the record, not on the length of the session.
    pub fn last_record(&self, entry: &Entry, stream: StreamId) -> Option<(u64, Vec<u8>)> {
        let mut records = self.records(entry, stream);
        records.seek_end();
        let (mut start, mut back) = (records.reader.pos(), LAST_BACK_LEN);
        loop {
            if let Some(last) = records.by_ref().last() {
                return Some(last);
            }
            if start == 0 {
                return None;
            }
            // Of a pack the end says it, or nothing but the whole does.
            start = if entry.packed { 0 } else { start.saturating_sub(back) };
            back = back.saturating_mul(4);
            records = self.records(entry, stream);
            if start > 0 {
                records.reader.seek_byte(start);
            }
        }
    }

    /// The names a session has given to its streams.
    pub fn stream_names(&self, entry: &Entry) -> Vec<(StreamId, String)> {
        let named = self.records(entry, StreamId::NAME);
        named
            .filter_map(|(_, record)| {
                let (&id, name) = record.split_first()?;
                Some((StreamId(id), String::from_utf8_lossy(name).into_owned()))
            })
            .collect()
    }

    fn state(&self) -> (Arc<dyn Storage>, Super) {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The file that has the store's name at this time, and its superblock of this time.
    fn refreshed(&self) -> Result<(Arc<dyn Storage>, Super)> {
        let (mut storage, _) = self.state();
        if !storage.is_current().unwrap_or(true) {
            storage = storage.reopen().map_err(|e| self.error("cannot open", &e))?;
        }
        let sup = read_super(&*storage, self.inner.access)?;
        let state = (storage, sup);
        *self.inner.state.lock().unwrap_or_else(PoisonError::into_inner) = state.clone();
        Ok(state)
    }

    fn sup_of(&self, s: &dyn Storage) -> io::Result<Super> {
        catalog::read_super(s)?.ok_or_else(|| io::Error::other("no sound superblock"))
    }

    /// A handle with locks of its own that has passed the gate: nobody will replace its file.
    fn writing_handle(&self) -> Result<Arc<dyn Storage>> {
        let what = "cannot write";
        if self.inner.access != Access::Write {
            return Err(self.error(what, &io::Error::other("it was opened to read")));
        }
        let (storage, _) = self.state();
        for _ in 0..REOPEN_MAX {
            let handle = storage.reopen().map_err(|e| self.error(what, &e))?;
            // The first writer after a crash is alone, and settles what the crash may have left.
            let alone = handle.try_lock(LOCK_GATE, Lock::Exclusive);
            if alone.map_err(|e| self.error(what, &e))? && handle.rules().settle_end {
                chain::settle_end(&*handle).map_err(|e| self.error(what, &e))?;
            }
            let passed = lock_patiently(&*handle, LOCK_GATE, Lock::Shared);
            if !passed.map_err(|e| self.error(what, &e))? {
                return Err(self.busy(what));
            }
            if handle.is_current().map_err(|e| self.error(what, &e))? {
                return Ok(handle);
            }
        }
        Err(self.busy(what))
    }

    fn error(&self, what: &str, e: &io::Error) -> Error {
        Error::io(format!("{what} {}", self.path().display()), e)
    }

    fn busy(&self, what: &str) -> Error {
        Error::failed(format!("{what} {}", self.path().display()))
            .why("another process holds it")
            .with_hint("wait for il compact to end, or look for a stopped il process")
    }
}

/// The sessions of a store, newest first.
#[derive(Debug)]
pub struct Entries {
    storage: Arc<dyn Storage>,
    sup: Super,
    /// The slot after the next one to look at.
    next: u32,
    /// The slot after the last one in use.
    used: u32,
    /// The last slot to look at.
    floor: u32,
    page: Option<(u32, Box<[u8; PAGE_LEN]>)>,
    /// Sessions that were passed over because they carry an index.
    indexes: Vec<Entry>,
}

impl Entries {
    /// From the start again.
    fn anew(&self) -> Entries {
        let (storage, sup) = (Arc::clone(&self.storage), self.sup.clone());
        let (next, used) = (self.used, self.used);
        Entries { storage, sup, next, used, floor: 0, page: None, indexes: Vec::new() }
    }

    /// The session in a slot, if it is one.
    fn entry_at(&mut self, slot: u32) -> Option<Entry> {
        let raw = catalog::decode_entry(self.page_of(slot)?, slot);
        entry_of(&*self.storage, raw).filter(|entry| !is_index(entry))
    }

    /// The page of a slot. One that cannot be read is one of no entries: verify will name it.
    fn page_of(&mut self, slot: u32) -> Option<&[u8; PAGE_LEN]> {
        let index = slot / ENTRIES_PER_PAGE;
        if self.page.as_ref().is_none_or(|(held, _)| *held != index) {
            let page = catalog::read_page(&*self.storage, &self.sup, index);
            self.page = page.ok().map(|page| (index, page));
        }
        self.page.as_ref().map(|(_, page)| &**page)
    }
}

fn is_index(entry: &Entry) -> bool {
    entry.raw.identity.as_ref().is_some_and(index::is_index)
}

impl Iterator for Entries {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        while self.next > self.floor {
            self.next -= 1;
            let slot = self.next;
            let raw = match self.page_of(slot) {
                Some(page) if !layout::is_zero(&page[layout::ENTRY_LEN..]) => {
                    catalog::decode_entry(page, slot)
                }
                _ => {
                    self.next = slot / ENTRIES_PER_PAGE * ENTRIES_PER_PAGE;
                    continue;
                }
            };
            match entry_of(&*self.storage, raw) {
                Some(entry) if is_index(&entry) => self.indexes.push(entry),
                Some(entry) => return Some(entry),
                None => {}
            }
        }
        None
    }
}

fn entry_of(s: &dyn Storage, raw: RawEntry) -> Option<Entry> {
    let identity = raw.identity.filter(|_| !raw.deleted)?;
    let state = match raw.status {
        Some(Status { lost: false, exit, end_us, out_bytes, .. }) => {
            State::Ended(End { exit, end_us, out_bytes })
        }
        Some(_) => State::Lost,
        None if s.is_locked(lock_of_slot(raw.slot)).unwrap_or(false) => State::Live,
        None => State::Lost,
    };
    Some(Entry {
        id: identity.id,
        slot: raw.slot,
        start_us: identity.start_us,
        label: identity.label,
        state,
        tape_pruned: raw.tape_pruned,
        packed: raw.pack.is_some(),
        raw,
    })
}

/// The records of one stream, whole. Ends at the tail of a live session.
#[derive(Debug)]
pub struct Records {
    reader: Reader,
    stream: StreamId,
}

impl Records {
    /// Goes to the chain's last page: what follows are the records that begin there. Of packed
    /// notes, those that were added since, and before them the last META record.
    pub fn seek_end(&mut self) {
        self.reader.seek_end();
    }
}

impl Iterator for Records {
    /// Time in microseconds since the session's start, and content.
    type Item = (u64, Vec<u8>);

    fn next(&mut self) -> Option<(u64, Vec<u8>)> {
        let mut record: Option<(u64, Vec<u8>)> = None;
        loop {
            match self.reader.next() {
                Item::Frame { stream, t_us, bytes, flags } if stream == self.stream => {
                    if flags & layout::CONT == 0 {
                        record = Some((t_us, Vec::new()));
                    }
                    // A continuation whose beginning is lost belongs to no record.
                    let Some((_, whole)) = &mut record else { continue };
                    whole.extend_from_slice(bytes);
                    if flags & layout::MORE == 0 {
                        return record;
                    }
                    if whole.len() >= RECORD_LEN_MAX {
                        return record;
                    }
                }
                Item::Frame { .. } => {}
                Item::Gap { .. } => record = None,
                Item::Tail | Item::End => return None,
            }
        }
    }
}

/// The bytes of one stream.
struct StreamBytes {
    reader: Reader,
    stream: StreamId,
    rest: Vec<u8>,
    at: usize,
}

impl Read for StreamBytes {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at == self.rest.len() {
            match self.reader.next() {
                Item::Frame { stream, bytes, .. } if stream == self.stream => {
                    self.rest.clear();
                    self.rest.extend_from_slice(bytes);
                    self.at = 0;
                }
                Item::Frame { .. } | Item::Gap { .. } => {}
                Item::Tail | Item::End => return Ok(0),
            }
        }
        let n = buf.len().min(self.rest.len() - self.at);
        buf[..n].copy_from_slice(&self.rest[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

fn read_super(s: &dyn Storage, access: Access) -> Result<Super> {
    let name = s.path().display();
    let found = catalog::read_super(s).map_err(|e| Error::io(format!("cannot read {name}"), &e))?;
    let Some(sup) = found else {
        return Err(Error::failed(format!("cannot open {name}"))
            .why("not a store, or both superblocks are damaged")
            .with_hint("il verify --repair saves what can be read into a new store"));
    };
    let unknown = sup.incompat & !layout::INCOMPAT_KNOWN != 0
        || (access == Access::Write && sup.ro_compat & !layout::RO_COMPAT_KNOWN != 0);
    if unknown {
        return Err(Error::failed(format!("cannot open {name}"))
            .why("it was written by a newer il")
            .with_hint("install the il that wrote it, or a later one"));
    }
    Ok(sup)
}

fn blank_identity() -> Identity {
    Identity { id: [0; 16], start_us: 0, tape_head: 0, notes_head: 0, label: [0; 16] }
}

fn make_dir(dir: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| Error::io(format!("cannot create {}", dir.display()), &e))
}

/// The store's file in `dir`: on a filesystem that other machines may write too, each machine has
/// one of its own, for locks do not reach from one kernel to another.
fn path_in(dir: &Path) -> PathBuf {
    let foreign = fs::File::open(dir)
        .ok()
        .and_then(|dir| crate::sys::file::fs_kind(&dir).ok())
        .is_some_and(|kind| kind == FsKind::Foreign);
    match foreign {
        true => dir.join(format!("store-{:08x}.il", machine_hash() as u32)),
        false => dir.join(FILE_NAME),
    }
}

/// A number for this machine; 0 when it has no id.
fn machine_hash() -> u64 {
    let id = fs::read("/etc/machine-id")
        .or_else(|_| fs::read("/proc/sys/kernel/hostname"))
        .unwrap_or_default();
    let low = crate::hash::crc32c(0, id.trim_ascii());
    u64::from(crate::hash::crc32c(low, b"il")) << 32 | u64::from(low)
}

/// Makes an empty store at `path`, or opens the one that another process has made meanwhile.
fn create(path: &Path) -> Result<FileStorage> {
    let cannot = |e: io::Error| Error::io(format!("cannot create {}", path.display()), &e);
    let new = FileStorage::create_beside(path).map_err(cannot)?;
    let laid_out =
        new_identity().and_then(|(id, now_us)| catalog::format(&new, id, now_us, machine_hash()));
    if let Err(e) = laid_out {
        let _ = fs::remove_file(new.path());
        return Err(cannot(e));
    }
    new.link_as(path).map_err(cannot)?;
    FileStorage::open(path, true).map_err(cannot)
}

/// A random id for a new store, and the time, microseconds since 1970.
fn new_identity() -> io::Result<([u8; 16], i64)> {
    let mut id = [0; 16];
    crate::sys::process::random(&mut id)?;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as i64);
    Ok((id, now))
}

fn cannot_open(path: &Path, e: &io::Error) -> Error {
    let error = Error::io(format!("cannot open {}", path.display()), e);
    let owner = path.parent().and_then(|dir| fs::metadata(dir).ok()).map(|meta| meta.uid());
    match owner.filter(|&owner| owner != euid()) {
        Some(owner) if e.kind() == io::ErrorKind::PermissionDenied => error
            .why(format!("its directory belongs to user {owner}"))
            .with_hint("name a directory of your own with --home"),
        _ => error,
    }
}

/// Refuses a store that others could have written or can read.
fn check_owner(storage: &FileStorage, path: &Path) -> Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let cannot = |e: io::Error| Error::io(format!("cannot open {}", path.display()), &e);
    let (owner, mode) = storage.owner_and_mode().map_err(cannot)?;
    let dir_mode = fs::metadata(dir).map_err(cannot)?.mode() & 0o7777;
    let refuse = |why: String| Error::failed(format!("cannot open {}", path.display())).why(why);
    if owner != euid() {
        return Err(refuse(format!("it belongs to user {owner}"))
            .with_hint("name a directory of your own with --home"));
    }
    if mode & 0o077 != 0 {
        let mut hint = format!("chmod 600 {}", path.display());
        if storage.kind() == FsKind::Foreign {
            hint.push_str("; a filesystem without permissions cannot keep a store: name a directory elsewhere with --home");
        }
        return Err(refuse(format!("others can open it (mode {mode:04o})")).with_hint(hint));
    }
    if dir_mode & 0o022 != 0 {
        return Err(refuse(format!("others can write its directory (mode {dir_mode:04o})"))
            .with_hint(format!("chmod 700 {}", dir.display())));
    }
    Ok(())
}
