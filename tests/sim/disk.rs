//! A disk that forgets: what was not synced survives a power cut in any subset of sectors and in
//! any version since the last sync, and the file may be any length it had.

use crate::random::Random;
use intentloop::store::storage::{Lock, Rules, Storage};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub const SECTOR: u64 = 512;
const BLOCK: u64 = 4096;
type Bytes = Arc<[u8; SECTOR as usize]>;

/// One sector: what reads see, what is durable, and every version in between.
#[derive(Clone)]
struct Sector {
    now: Bytes,
    durable: Option<Bytes>,
    since: Vec<Bytes>,
}

/// The content of one file.
#[derive(Clone, Default)]
pub struct Image {
    sectors: BTreeMap<u64, Sector>,
    size: u64,
    durable_size: u64,
    /// Sizes since the last sync.
    sizes: Vec<u64>,
}

/// What an operation does to an image, before it is done.
#[derive(Clone, Debug)]
pub enum Op {
    Write(u64, Vec<u8>),
    Extend(u64),
    Punch(Range<u64>),
    Sync,
    /// Gives the store's name to this file, durably.
    Rename(usize),
}

/// What the disk is made to do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation fails with this error; a write may have written some of its bytes.
    Errno(i32),
    /// A sync fails, and some of what it should have made durable is forgotten.
    Forget,
}

/// Gets the world, the file that is about to change, and the change.
type Hook = Box<dyn FnMut(&World, usize, &Op) + Send>;
type Preempt = Box<dyn FnOnce() + Send>;

/// What came to a stop in the middle of an operation.
#[derive(Clone, Copy)]
enum Stopped {
    Process,
    Machine,
}

/// Writes below this size may go through a window.
const WINDOW_WRITE_MAX: usize = 16 * 1024;

/// All files of the machine: one has the store's name.
#[derive(Clone)]
pub struct World {
    pub files: Vec<Image>,
    /// The file that has the store's name.
    pub named: usize,
}

struct Machine {
    world: World,
    locks: HashMap<(usize, u64), Vec<(u64, Lock)>>,
    handles: u64,
    ops: u64,
    faults: Vec<(u64, Fault)>,
    random: Random,
    hook: Option<Hook>,
    preempt: Option<(u64, Preempt)>,
    /// Pauses until the locks on a byte are given back.
    pauses: Option<(u32, u64)>,
    rules: Rules,
    /// Handles whose next sync reports a failure that another's sync met.
    unreported: Vec<u64>,
    open: Vec<(u64, usize)>,
    /// A byte of a chain that was written twice.
    pub rewritten: Option<u64>,
    /// Syncs that forgot.
    forgot: u64,
}

#[derive(Clone)]
pub struct Disk(Arc<Mutex<Machine>>);

impl Disk {
    pub fn new(world: World, rules: Rules, seed: u64) -> Disk {
        Disk(Arc::new(Mutex::new(Machine {
            world,
            locks: HashMap::new(),
            handles: 0,
            ops: 0,
            faults: Vec::new(),
            random: Random::new(seed),
            hook: None,
            preempt: None,
            pauses: None,
            rules,
            unreported: Vec::new(),
            open: Vec::new(),
            rewritten: None,
            forgot: 0,
        })))
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn handle(&self) -> Arc<dyn Storage> {
        let named = self.machine().world.named;
        self.handle_on(named)
    }

    fn handle_on(&self, file: usize) -> Arc<dyn Storage> {
        let mut m = self.machine();
        m.handles += 1;
        let id = m.handles;
        m.open.push((id, file));
        Arc::new(Handle { disk: self.clone(), id, file })
    }

    /// Called before every operation that changes anything.
    pub fn set_hook(&self, hook: Option<Hook>) {
        let old = std::mem::replace(&mut self.machine().hook, hook);
        drop(old);
    }

    /// Runs something else just before operation `op`, as if the caller had lost the processor.
    pub fn preempt_at(&self, op: u64, other: Preempt) {
        self.machine().preempt = Some((op, other));
    }

    /// Whoever holds `byte` gives it back when somebody has paused so many times.
    pub fn unlock_after(&self, pauses: u32, byte: u64) {
        self.machine().pauses = Some((pauses, byte));
    }

    pub fn fail_at(&self, op: u64, fault: Fault) {
        self.machine().faults.push((op, fault));
    }

    pub fn ops(&self) -> u64 {
        self.machine().ops
    }

    pub fn world(&self) -> World {
        self.machine().world.clone()
    }

    /// Syncs that failed and forgot.
    pub fn forgot(&self) -> u64 {
        self.machine().forgot
    }

    pub fn rewritten(&self) -> Option<u64> {
        self.machine().rewritten
    }

    /// Counts an operation, lets others in, and says how it is to fail.
    fn begin_op(&self, file: usize, op: &Op) -> Option<Fault> {
        let mut m = self.machine();
        m.ops += 1;
        let now = m.ops;
        if m.preempt.as_ref().is_some_and(|(at, _)| *at == now) {
            let (_, other) = m.preempt.take().expect("looked at above");
            drop(m);
            other();
            m = self.machine();
        }
        if let Some(mut hook) = m.hook.take() {
            hook(&m.world, file, op);
            m.hook = Some(hook);
        }
        m.faults.iter().find(|(at, _)| *at == now).map(|(_, fault)| *fault)
    }
}

impl World {
    pub fn empty() -> World {
        World { files: vec![Image::default()], named: 0 }
    }

    /// What is left after every process was killed in the middle of `op`.
    pub fn killed(&self, file: usize, op: &Op, random: &mut Random) -> World {
        self.stopped(Stopped::Process, file, op, random)
    }

    fn stopped(&self, what: Stopped, file: usize, op: &Op, random: &mut Random) -> World {
        let mut world = self.clone();
        match op {
            Op::Rename(file) if random.below(2) == 0 => world.named = *file,
            Op::Rename(_) => {}
            _ => world.files[file].tear(what, op, random),
        }
        world
    }

    /// What is left after a power cut in the middle of `op`. `keep` of 1000 dirty sectors keep
    /// what they were last given.
    pub fn cut(&self, file: usize, op: &Op, keep: u64, random: &mut Random) -> World {
        let mut world = self.stopped(Stopped::Machine, file, op, random);
        for image in &mut world.files {
            image.cut(keep, random);
        }
        world
    }
}

impl Image {
    fn write(&mut self, mut at: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (no, skip) = (at / SECTOR, (at % SECTOR) as usize);
            let n = bytes.len().min(SECTOR as usize - skip);
            let sector = self.sectors.entry(no).or_insert_with(|| Sector {
                now: Arc::new([0; SECTOR as usize]),
                durable: None,
                since: Vec::new(),
            });
            let mut new = *sector.now;
            new[skip..skip + n].copy_from_slice(&bytes[..n]);
            sector.now = Arc::new(new);
            sector.since.push(Arc::clone(&sector.now));
            at += n as u64;
            bytes = &bytes[n..];
        }
        if at > self.size {
            self.set_size(at);
        }
    }

    fn set_size(&mut self, size: u64) {
        self.sizes.push(self.size);
        self.size = size;
    }

    fn read(&self, at: u64, buf: &mut [u8]) -> usize {
        let end = self.size.min(at.saturating_add(buf.len() as u64));
        if end <= at {
            return 0;
        }
        let n = (end - at) as usize;
        buf[..n].fill(0);
        for (no, sector) in self.sectors.range(at / SECTOR..end.div_ceil(SECTOR)) {
            let start = no * SECTOR;
            let (from, to) = (start.max(at), (start + SECTOR).min(end));
            buf[(from - at) as usize..(to - at) as usize]
                .copy_from_slice(&sector.now[(from - start) as usize..(to - start) as usize]);
        }
        n
    }

    fn punch(&mut self, range: &Range<u64>) {
        for (_, sector) in self.sectors.range_mut(range.start / SECTOR..range.end / SECTOR) {
            sector.now = Arc::new([0; SECTOR as usize]);
            sector.since.push(Arc::clone(&sector.now));
        }
    }

    fn sync(&mut self) {
        self.sectors.retain(|_, sector| {
            if !sector.since.is_empty() {
                sector.since.clear();
                sector.durable = Some(Arc::clone(&sector.now));
            }
            let zero = |bytes: &Bytes| bytes.iter().all(|&byte| byte == 0);
            !(zero(&sector.now) && sector.durable.as_ref().is_none_or(zero))
        });
        self.durable_size = self.size;
        self.sizes.clear();
    }

    /// A sync that failed: reads go on as before, and half of what was dirty is forgotten.
    fn forget(&mut self, random: &mut Random) {
        for sector in self.sectors.values_mut() {
            if !sector.since.is_empty() {
                if random.below(2) == 0 {
                    sector.durable = Some(Arc::clone(&sector.now));
                }
                sector.since.clear();
            }
        }
        self.durable_size = self.size;
        self.sizes.clear();
    }

    /// Does some of `op`. A process fills the page cache from the front, or all but the first
    /// word where it writes through a window; of a machine any sectors of it reach the disk.
    fn tear(&mut self, what: Stopped, op: &Op, random: &mut Random) {
        match (op, what) {
            (Op::Write(at, bytes), Stopped::Process)
                if (8..WINDOW_WRITE_MAX).contains(&bytes.len()) && random.below(3) == 0 =>
            {
                self.write(at + 8, &bytes[8..]);
            }
            (Op::Write(at, bytes), Stopped::Machine) if random.below(3) == 0 => {
                let mut done = 0;
                while done < bytes.len() {
                    let n = (SECTOR - (at + done as u64) % SECTOR) as usize;
                    let end = (done + n).min(bytes.len());
                    if random.below(2) == 0 {
                        self.write(at + done as u64, &bytes[done..end]);
                    }
                    done = end;
                }
            }
            (Op::Write(at, bytes), _) => {
                let n = random.below(bytes.len() as u64 + 1) as usize;
                self.write(*at, &bytes[..n]);
            }
            (Op::Extend(size), _) if random.below(2) == 0 => self.set_size(*size),
            (Op::Punch(range), _) => {
                let blocks = (range.end - range.start) / BLOCK;
                let middle = range.start + random.below(blocks + 1) * BLOCK;
                self.punch(&(range.start..middle));
            }
            _ => {}
        }
    }

    fn cut(&mut self, keep: u64, random: &mut Random) {
        if !self.sizes.is_empty() && random.below(1000) >= keep {
            // Sizes seen, and as often some size between that no one ever asked for.
            self.sizes.push(self.durable_size);
            let seen = self.sizes[random.below(self.sizes.len() as u64) as usize];
            let blocks = (self.size - self.durable_size) / BLOCK;
            let between = self.durable_size + random.below(blocks + 1) * BLOCK;
            self.size = [seen, between][random.below(2) as usize].max(self.durable_size);
        }
        let last = self.size.div_ceil(SECTOR);
        self.sectors.retain(|&no, sector| {
            if !sector.since.is_empty() && random.below(1000) >= keep {
                let versions = sector.since.len() as u64;
                let pick = random.below(versions + 1);
                let old = || Arc::new([0; SECTOR as usize]);
                sector.now = match pick.checked_sub(1) {
                    None => sector.durable.clone().unwrap_or_else(old),
                    Some(version) => Arc::clone(&sector.since[version as usize]),
                };
            } else if sector.since.is_empty() {
                // A failed sync may have left what reads saw and what is durable apart.
                let old = || Arc::new([0; SECTOR as usize]);
                sector.now = sector.durable.clone().unwrap_or_else(old);
            }
            sector.durable = Some(Arc::clone(&sector.now));
            sector.since.clear();
            no < last
        });
        self.sync();
    }
}

/// An open file description on the simulated machine.
struct Handle {
    disk: Disk,
    id: u64,
    file: usize,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "handle {} on file {}", self.id, self.file)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut m = self.disk.machine();
        for holders in m.locks.values_mut() {
            holders.retain(|(id, _)| *id != self.id);
        }
        m.open.retain(|(id, _)| *id != self.id);
    }
}

impl Handle {
    fn with<T>(&self, f: impl FnOnce(&mut Image, &mut Random) -> T) -> T {
        let mut m = self.disk.machine();
        let mut random = m.random.clone();
        let result = f(&mut m.world.files[self.file], &mut random);
        m.random = random;
        result
    }

    fn change(&self, op: Op) -> io::Result<()> {
        match self.disk.begin_op(self.file, &op) {
            Some(Fault::Errno(errno)) => {
                // The page cache is filled from the front: what failed is missing at the end.
                self.with(|image, random| {
                    if let Op::Write(at, bytes) = &op {
                        let n = random.below(2 * bytes.len() as u64) as usize;
                        if n < bytes.len() {
                            image.write(*at, &bytes[..n]);
                        }
                    }
                });
                return Err(io::Error::from_raw_os_error(errno));
            }
            Some(Fault::Forget) => {}
            None => {}
        }
        if let Op::Write(at, bytes) = &op {
            self.watch(*at, bytes);
        }
        self.with(|image, _| match &op {
            Op::Write(at, bytes) => image.write(*at, bytes),
            Op::Extend(size) => image.set_size(*size),
            Op::Punch(range) => image.punch(range),
            Op::Sync | Op::Rename(_) => {}
        });
        Ok(())
    }

    /// Notes a byte of a chain that is given a second value: nothing in a chain is overwritten.
    fn watch(&self, at: u64, bytes: &[u8]) {
        use intentloop::store::layout::{FIRST_LEASE, PAGE, PAGE_LEN, RUN_PAGES, Super};
        let mut m = self.disk.machine();
        let image = &m.world.files[self.file];
        let mut old = vec![0; bytes.len()];
        image.read(at, &mut old);
        let clash = old.iter().zip(bytes).position(|(old, new)| *old != 0 && old != new);
        let Some(clash) = clash.filter(|_| at / PAGE >= FIRST_LEASE) else { return };
        let in_catalog = (0..2).any(|copy| {
            let mut page = vec![0; PAGE_LEN];
            image.read(copy * PAGE, &mut page);
            let runs = Super::decode(&page, copy).map_or(Vec::new(), |sup| sup.runs);
            runs.iter().any(|run| (*run..run + u64::from(RUN_PAGES)).contains(&(at / PAGE)))
        });
        if !in_catalog {
            m.rewritten.get_or_insert(at + clash as u64);
        }
    }
}

impl Storage for Handle {
    fn size(&self) -> io::Result<u64> {
        Ok(self.with(|image, _| image.size))
    }

    fn extend_to(&self, len: u64) -> io::Result<()> {
        if len > self.size()? { self.change(Op::Extend(len)) } else { Ok(()) }
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.with(|image, _| image.read(offset, buf)))
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        self.change(Op::Write(offset, bytes))
    }

    fn punch(&self, range: Range<u64>) -> io::Result<()> {
        self.change(Op::Punch(range))
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        Ok(self.with(|image, _| {
            let first = offset / SECTOR;
            let (&start, _) = image.sectors.range(first..).next()?;
            let start = (start * SECTOR / BLOCK * BLOCK).max(offset);
            let end = (start / BLOCK + 1) * BLOCK;
            (start < image.size).then_some(start..end.min(image.size))
        }))
    }

    fn sync(&self) -> io::Result<()> {
        let fault = self.disk.begin_op(self.file, &Op::Sync);
        let mut m = self.disk.machine();
        let mut random = m.random.clone();
        let file = self.file;
        let failed = match fault {
            Some(Fault::Forget) => {
                m.world.files[file].forget(&mut random);
                m.forgot += 1;
                m.unreported = m.open.iter().map(|(id, _)| *id).collect();
                true
            }
            Some(Fault::Errno(_)) => true,
            None => {
                m.world.files[file].sync();
                false
            }
        };
        m.random = random;
        let late = m.unreported.contains(&self.id);
        m.unreported.retain(|id| *id != self.id);
        if failed || late { Err(io::Error::from_raw_os_error(libc::EIO)) } else { Ok(()) }
    }

    fn try_lock(&self, byte: u64, lock: Lock) -> io::Result<bool> {
        let mut m = self.disk.machine();
        let holders = m.locks.entry((self.file, byte)).or_default();
        let free = holders
            .iter()
            .all(|(id, held)| *id == self.id || (lock == Lock::Shared && *held == Lock::Shared));
        if free {
            holders.retain(|(id, _)| *id != self.id);
            holders.push((self.id, lock));
        }
        Ok(free)
    }

    fn unlock(&self, byte: u64) -> io::Result<()> {
        let mut m = self.disk.machine();
        if let Some(holders) = m.locks.get_mut(&(self.file, byte)) {
            holders.retain(|(id, _)| *id != self.id);
        }
        Ok(())
    }

    fn is_locked(&self, byte: u64) -> io::Result<bool> {
        let m = self.disk.machine();
        let holders = m.locks.get(&(self.file, byte));
        Ok(holders.is_some_and(|holders| holders.iter().any(|(id, _)| *id != self.id)))
    }

    fn pause(&self) {
        let mut m = self.disk.machine();
        let Some((left, byte)) = m.pauses.as_mut().map(|(left, byte)| (left, *byte)) else {
            return;
        };
        *left -= 1;
        if *left == 0 {
            m.pauses = None;
            m.locks.remove(&(self.file, byte));
        }
    }

    fn reopen(&self) -> io::Result<Arc<dyn Storage>> {
        Ok(self.disk.handle())
    }

    fn is_current(&self) -> io::Result<bool> {
        Ok(self.disk.machine().world.named == self.file)
    }

    fn sibling(&self) -> io::Result<Arc<dyn Storage>> {
        let file = {
            let mut m = self.disk.machine();
            m.world.files.push(Image::default());
            m.world.files.len() - 1
        };
        Ok(self.disk.handle_on(file))
    }

    fn replace_by(&self, sibling: &dyn Storage) -> io::Result<()> {
        let text = format!("{sibling:?}");
        let file = text.rsplit(' ').next().and_then(|no| no.parse().ok()).expect("a handle");
        self.disk.begin_op(self.file, &Op::Rename(file));
        self.disk.machine().world.named = file;
        Ok(())
    }

    fn path(&self) -> &Path {
        Path::new("sim")
    }

    fn rules(&self) -> Rules {
        self.disk.machine().rules
    }
}
