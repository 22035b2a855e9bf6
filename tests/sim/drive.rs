//! Workloads, and the cutting of them: before every operation on the disk the machine is stopped,
//! and what is left is compared with the model.

use crate::disk::{Disk, Fault, Op, World};
use crate::model::{Model, Record, Session, Stop, Wish, content, id_of, told_of};
use crate::random::Random;
use intentloop::store::storage::Rules;
use intentloop::store::{Append, Entry, Exit, NewSession, Store, StreamId, Writer};
use std::sync::{Arc, Mutex, PoisonError};

/// One thing done to a store.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Begin,
    /// Append to writer `w` a record of `len` bytes.
    Append {
        w: usize,
        stream: StreamId,
        len: usize,
    },
    Sync {
        w: usize,
    },
    End {
        w: usize,
        /// The rest is done by a child, which promises nothing.
        behind: bool,
    },
    /// The process of writer `w` dies.
    Kill {
        w: usize,
    },
    /// Append notes to the `k`th session that nobody writes.
    Resume {
        k: usize,
    },
    Remove {
        k: usize,
    },
    PruneTape {
        k: usize,
    },
    Seal,
    Pack {
        k: usize,
    },
    /// Every writer dies, and the store is compacted.
    Compact,
    /// The index is written anew.
    Index,
}

/// What came of exploring workloads.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub workloads: u64,
    /// Crash points, and how many of them came after another crash.
    pub points: u64,
    pub second: u64,
    pub records: u64,
    pub violation: Option<String>,
}

impl Tally {
    pub fn add(&mut self, other: Tally) {
        self.workloads += other.workloads;
        self.points += other.points;
        self.second += other.second;
        self.records += other.records;
        if self.violation.is_none() {
            self.violation = other.violation;
        }
    }
}

/// How a run is cut.
#[derive(Clone, Copy, Debug)]
pub struct Cuts {
    /// Power cuts drawn at each operation.
    pub draws: u32,
    /// One crash image in so many is used again: opened, worked on, and cut a second time.
    pub second: u64,
    /// One crash image in so many is also verified and salvaged.
    pub deep: u64,
    pub rules: Rules,
}

/// A machine with a store, writers in it and the model beside it.
pub struct Driver {
    pub disk: Disk,
    store: Store,
    writers: Vec<(usize, Writer)>,
    pub model: Arc<Mutex<Model>>,
    /// A sync has failed: only a writer's own syncs count from then on.
    shaken: bool,
    forgot: u64,
}

impl Driver {
    pub fn new(world: World, model: Model, rules: Rules, seed: u64) -> Result<Driver, String> {
        let disk = Disk::new(world, rules, seed);
        let store = Store::on(disk.handle(), [7; 16]).map_err(|e| e.to_string())?;
        let model = Arc::new(Mutex::new(model));
        Ok(Driver { disk, store, writers: Vec::new(), model, shaken: false, forgot: 0 })
    }

    fn model<T>(&self, f: impl FnOnce(&mut Model) -> T) -> T {
        f(&mut self.model.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn synced(&self, session: usize) {
        let shaken = self.shaken;
        self.model(|m| if shaken { m.synced_own(session) } else { m.synced() });
    }

    pub fn shake(&mut self) {
        self.shaken = true;
    }

    pub fn step(&mut self, step: Step) {
        self.take(step);
        if self.disk.forgot() > self.forgot {
            self.forgot = self.disk.forgot();
            self.model(Model::forgot);
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Begin => self.begin(),
            Step::Append { w, stream, len } => {
                if let Some(at) = self.pick(w) {
                    self.append(at, stream, len);
                }
            }
            Step::Sync { w } => {
                if let Some(at) = self.pick(w) {
                    let session = self.writers[at].0;
                    match self.writers[at].1.sync() {
                        Ok(()) => self.synced(session),
                        // It heard of a failure, its own or another's.
                        Err(_) => self.model(|m| m.sessions[session].forgot()),
                    }
                }
            }
            Step::End { w, behind } => {
                if let Some(at) = self.pick(w) {
                    let (session, writer) = self.writers.remove(at);
                    let dropped = writer.state().dropped;
                    let end = match behind {
                        true => writer.end_behind(Exit::Code(0), 5, true),
                        false => writer.end(Exit::Code(0), 5),
                    };
                    self.model(|m| {
                        m.sessions[session].live = false;
                        let first = !m.sessions[session].resumed;
                        m.sessions[session].ended |= end.is_ok() && dropped == 0 && first;
                    });
                    if !behind && end.is_ok_and(|end| end.durable) {
                        self.synced(session);
                    }
                }
            }
            Step::Kill { w } => {
                if let Some(at) = self.pick(w) {
                    let (session, writer) = self.writers.remove(at);
                    drop(writer);
                    // It may have died before it heard of a sync that failed; who takes the
                    // session up will not hear of it.
                    let unheard = self.shaken;
                    self.model(|m| {
                        m.sessions[session].live = false;
                        if unheard {
                            m.sessions[session].forgot();
                        }
                    });
                }
            }
            Step::Resume { k } => self.resume(k),
            Step::Remove { k } => self.give_back(k, false),
            Step::PruneTape { k } => self.give_back(k, true),
            Step::Seal => {
                let _ = self.store.seal_lost();
            }
            Step::Index => {
                let store = self.store.clone();
                let _ = self.store.write_index(&mut |entry| told_of(&store, entry));
            }
            Step::Pack { k } => {
                if let Some((n, entry)) = self.idle(k)
                    && self.store.pack(&entry).is_ok_and(|packed| packed)
                {
                    self.synced(n);
                }
            }
            Step::Compact => {
                while !self.writers.is_empty() {
                    self.take(Step::Kill { w: 0 });
                }
                if self.store.compact(&mut |_| {}).is_ok() && !self.shaken {
                    self.model(Model::synced);
                }
            }
        }
    }

    fn pick(&self, w: usize) -> Option<usize> {
        (!self.writers.is_empty()).then(|| w % self.writers.len())
    }

    fn begin(&mut self) {
        let (n, id) = self.model(|m| {
            let id = id_of(m.sessions.len());
            m.sessions.push(Session {
                id,
                begun: false,
                durable: false,
                records: vec![Record {
                    stream: StreamId::META,
                    len: 20,
                    acked: false,
                    durable: false,
                    forgotten: false,
                }],
                deleted: Wish::No,
                pruned: Wish::No,
                ended: false,
                live: true,
                resumed: false,
                vanished: false,
            });
            (m.sessions.len() - 1, id)
        });
        let meta = content(&id, 0, 20);
        let new = NewSession { id, start_us: n as i64, label: [0; 16], meta: &meta };
        if let Ok(writer) = self.store.begin(&new) {
            self.writers.push((n, writer));
            self.model(|m| {
                m.sessions[n].begun = true;
                m.sessions[n].records[0].acked = true;
            });
        }
    }

    fn append(&mut self, at: usize, stream: StreamId, len: usize) {
        let session = self.writers[at].0;
        let (id, index) = self.model(|m| {
            let session = &mut m.sessions[session];
            session.records.push(Record {
                stream,
                len,
                acked: false,
                durable: false,
                forgotten: false,
            });
            (session.id, session.records.len() - 1)
        });
        let bytes = content(&id, index, len);
        let writer = &mut self.writers[at].1;
        // The time is the record's index, so a writer in trouble would wait for ever: try at once.
        let mut appended = writer.append(stream, index as u64, &bytes);
        if writer.state().degraded && writer.state().retry_us.is_some() {
            writer.tick(u64::MAX);
            if appended == (Append::Degraded { dropped: len as u64 }) && len == 0 {
                appended = Append::Stored;
            }
        }
        if appended == Append::Stored && len > 0 {
            self.model(|m| m.sessions[session].records[index].acked = true);
        }
    }

    /// The `k`th session that nobody writes.
    fn idle(&self, k: usize) -> Option<(usize, Entry)> {
        let entries: Vec<Entry> = self.store.entries().ok()?.collect();
        let idle: Vec<(usize, Entry)> = self.model(|m| {
            let idle = m.sessions.iter().enumerate().filter(|(_, s)| !s.live);
            idle.filter_map(|(n, s)| Some((n, *entries.iter().find(|e| e.id == s.id)?))).collect()
        });
        if idle.is_empty() { None } else { Some(idle[k % idle.len()]) }
    }

    fn resume(&mut self, k: usize) {
        let Some((n, entry)) = self.idle(k) else { return };
        if let Ok(writer) = self.store.resume(&entry) {
            self.writers.push((n, writer));
            self.model(|m| {
                m.sessions[n].live = true;
                m.sessions[n].resumed = true;
            });
        }
    }

    fn give_back(&mut self, k: usize, tape_only: bool) {
        let Some((n, entry)) = self.idle(k) else { return };
        self.model(|m| {
            let session = &mut m.sessions[n];
            let wish = if tape_only { &mut session.pruned } else { &mut session.deleted };
            if *wish == Wish::No {
                *wish = Wish::Asked;
            }
        });
        let done = match tape_only {
            true => self.store.prune_tape(&[entry], &mut |_| {}),
            false => self.store.remove(&[entry], &mut |_| {}),
        };
        if done.is_ok_and(|freed| freed.sessions == 1) {
            self.synced(n);
            self.model(|m| {
                let session = &mut m.sessions[n];
                *(if tape_only { &mut session.pruned } else { &mut session.deleted }) =
                    Wish::Granted;
            });
        }
    }
}

/// Runs a workload and stops the machine before each of its operations: by a kill, and by
/// `cuts.draws` power cuts.
pub fn explore(base: &World, steps: &[Step], seed: u64, cuts: Cuts) -> Tally {
    explore_from(base.clone(), Model::default(), steps, seed, cuts)
}

fn explore_from(world: World, model: Model, steps: &[Step], seed: u64, cuts: Cuts) -> Tally {
    let tally = Arc::new(Mutex::new(Tally { workloads: 1, ..Tally::default() }));
    let mut driver = match Driver::new(world, model, cuts.rules, seed) {
        Ok(driver) => driver,
        Err(e) => return Tally { violation: Some(e), ..Tally::default() },
    };
    let (model, counted) = (Arc::clone(&driver.model), Arc::clone(&tally));
    let mut random = Random::new(seed ^ 0x5eed);
    driver.disk.set_hook(Some(Box::new(move |world, file, op| {
        let model = model.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tally = counted.lock().unwrap_or_else(PoisonError::into_inner);
        if tally.violation.is_none() {
            stop_here(world, file, op, &model, &mut random, cuts, &mut tally);
        }
    })));
    for (n, step) in steps.iter().enumerate() {
        driver.step(*step);
        let failed = tally.lock().unwrap_or_else(PoisonError::into_inner).violation.clone();
        if let Some(violation) = failed {
            let violation = Some(format!("seed {seed}, step {n} {step:?}: {violation}"));
            driver.disk.set_hook(None);
            let counted = tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
            return Tally { violation, ..counted };
        }
    }
    driver.disk.set_hook(None);
    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(at) = driver.disk.rewritten() {
        tally.violation = Some(format!("seed {seed}: byte {at} of a chain was given two values"));
    }
    tally
}

fn stop_here(
    world: &World,
    file: usize,
    op: &Op,
    model: &Model,
    random: &mut Random,
    cuts: Cuts,
    tally: &mut Tally,
) {
    for draw in 0..=cuts.draws {
        let (stop, left) = match draw {
            0 => (Stop::Kill, world.killed(file, op, random)),
            _ => {
                // Nothing kept, all kept, and two in between.
                let keep = [0, 500, 900, 1000, 980, 100][(draw as usize - 1) % 6];
                (Stop::Power, world.cut(file, op, keep, random))
            }
        };
        tally.points += 1;
        let seed = random.next();
        let disk = Disk::new(left, cuts.rules, seed);
        let checked = if random.below(cuts.deep) == 0 {
            let aside = Disk::new(World::empty(), Rules::ALL, seed);
            model.check_deeply(disk.handle(), aside.handle(), stop)
        } else {
            model.check(disk.handle(), stop)
        };
        match checked {
            Ok(records) => tally.records += records,
            Err(what) => {
                tally.violation = Some(format!("{stop:?} in {}: {what}", brief(op)));
                return;
            }
        }
        if cuts.second > 0 && random.below(cuts.second) == 0 {
            let again = second(disk.world(), model.clone(), stop, seed, cuts);
            tally.points += again.points;
            tally.second += again.points;
            tally.records += again.records;
            if let Some(what) = again.violation {
                tally.violation = Some(format!("after {stop:?} in {}: {what}", brief(op)));
                return;
            }
        }
    }
}

/// Works on with what a crash has left, and cuts that short in its turn.
fn second(world: World, mut model: Model, stop: Stop, seed: u64, cuts: Cuts) -> Tally {
    let disk = Disk::new(world.clone(), cuts.rules, seed);
    if stop == Stop::Power {
        model.settle(disk.handle());
    }
    for session in &mut model.sessions {
        session.live = false;
    }
    let k = seed as usize;
    let steps = [
        Step::Seal,
        Step::Begin,
        Step::Append { w: 0, stream: StreamId::STDOUT, len: 700 },
        Step::Pack { k },
        Step::Resume { k },
        Step::Append { w: 1, stream: StreamId::REPORT, len: 900 },
        Step::Append { w: 0, stream: StreamId::STDOUT, len: 17_000 },
        Step::Sync { w: 0 },
        Step::End { w: 1, behind: true },
        Step::Index,
        Step::Pack { k: k / 5 },
        Step::PruneTape { k: k / 7 },
        Step::Append { w: 0, stream: StreamId::STDOUT, len: 90 },
        Step::Remove { k: k / 3 },
        Step::End { w: 0, behind: false },
        Step::Resume { k: k / 2 },
        Step::Append { w: 0, stream: StreamId::META, len: 50 },
        Step::End { w: 0, behind: false },
        Step::Index,
        Step::Compact,
    ];
    explore_from(world, model, &steps, seed, Cuts { second: 0, draws: 2, ..cuts })
}

fn brief(op: &Op) -> String {
    match op {
        Op::Write(at, bytes) => {
            format!("write of {} bytes at page {} + {}", bytes.len(), at / 16384, at % 16384)
        }
        other => format!("{other:?}"),
    }
}

/// A workload of which the index is to tell: what was added and not synced, and what changed since.
pub const INDEXED: [Step; 18] = [
    Step::Begin,
    Step::Append { w: 0, stream: StreamId::META, len: 40 },
    Step::Kill { w: 0 },
    Step::Index,
    Step::Begin,
    Step::Append { w: 0, stream: StreamId::META, len: 60 },
    Step::Kill { w: 0 },
    Step::Index,
    Step::Resume { k: 0 },
    Step::Append { w: 0, stream: StreamId::META, len: 80 },
    Step::End { w: 0, behind: false },
    Step::Resume { k: 1 },
    Step::Append { w: 0, stream: StreamId::META, len: 30 },
    Step::Kill { w: 0 },
    Step::Index,
    Step::Remove { k: 0 },
    Step::Begin,
    Step::Index,
];

/// A workload drawn from `seed`.
pub fn workload(seed: u64, len: usize) -> Vec<Step> {
    let mut random = Random::new(seed ^ 0xa11);
    let mut steps = vec![Step::Begin];
    while steps.len() < len {
        let w = random.below(4) as usize;
        let k = random.below(8) as usize;
        let bytes = match random.below(10) {
            0..6 => 1 + random.below(300),
            6..8 => 1 + random.below(5000),
            8 => 16_000 + random.below(700),
            _ => 30_000 + random.below(120_000),
        } as usize;
        let streams = [
            StreamId::STDOUT,
            StreamId::STDOUT,
            StreamId::STDOUT,
            StreamId::STDIN,
            StreamId::EVENTS,
            StreamId::META,
            StreamId::CONVERSATION,
        ];
        let stream = streams[random.below(7) as usize];
        steps.push(match random.below(100) {
            0..6 => Step::Begin,
            6..70 => Step::Append { w, stream, len: bytes },
            70..72 => Step::Index,
            72..80 => Step::Sync { w },
            80..82 => Step::End { w, behind: false },
            82..85 => Step::End { w, behind: true },
            85..88 => Step::Kill { w },
            88..91 => Step::Resume { k },
            91..93 => Step::Remove { k },
            93..95 => Step::PruneTape { k },
            95..97 => Step::Pack { k },
            97 => Step::Compact,
            _ => Step::Seal,
        });
    }
    steps
}

/// Fails each operation of a workload in turn, once, and looks at the end whether all that was
/// said to be stored is.
pub fn fail_each(
    base: &World,
    steps: &[Step],
    seed: u64,
    fault: Fault,
    rules: Rules,
    stride: u64,
) -> Tally {
    let mut tally = Tally { workloads: 1, ..Tally::default() };
    let mut op = 1 + seed % stride;
    loop {
        let mut driver = match Driver::new(base.clone(), Model::default(), rules, seed) {
            Ok(driver) => driver,
            Err(e) => return Tally { violation: Some(e), ..tally },
        };
        driver.disk.fail_at(op, fault);
        if fault == Fault::Forget {
            driver.shake();
        }
        for step in steps {
            driver.step(*step);
        }
        let mut random = Random::new(seed + op);
        let world = driver.disk.world();
        let model = driver.model(|m| m.clone());
        for (stop, left) in [
            (Stop::Kill, world.clone()),
            (Stop::Power, world.cut(world.named, &Op::Sync, 500, &mut random)),
            (Stop::Power, world.cut(world.named, &Op::Sync, 0, &mut random)),
        ] {
            tally.points += 1;
            match model.check(Disk::new(left, rules, seed).handle(), stop) {
                Ok(records) => tally.records += records,
                Err(what) => {
                    tally.violation =
                        Some(format!("seed {seed}, {fault:?} at op {op}, {stop:?}: {what}"));
                    return tally;
                }
            }
        }
        if let Some(at) = driver.disk.rewritten() {
            tally.violation =
                Some(format!("seed {seed}, {fault:?} at op {op}: byte {at} given two values"));
            return tally;
        }
        if op > driver.disk.ops() {
            return tally;
        }
        op += stride;
    }
}

/// A world whose catalog has one free slot left in its only run.
pub fn nearly_full() -> World {
    use intentloop::store::layout::{
        Cell, ENTRIES_PER_PAGE, FIRST_RUN, Identity, PAGE, SLOTS_PER_RUN, entry_at,
    };
    use std::io::IoSlice;
    let disk = Disk::new(World::empty(), Rules::ALL, 1);
    let s = disk.handle();
    Store::on(Arc::clone(&s), [7; 16]).expect("a new store");
    let slot = SLOTS_PER_RUN - 2;
    let identity =
        Identity { id: [9; 16], start_us: 0, tape_head: 34, notes_head: 35, label: [0; 16] };
    let page = FIRST_RUN + u64::from(slot / ENTRIES_PER_PAGE);
    let at = page * PAGE + entry_at(slot % ENTRIES_PER_PAGE) as u64;
    s.write_at(at, &[IoSlice::new(&identity.encode(slot))]).expect("the identity");
    let gone = Cell::Deleted;
    let bytes = gone.encode(slot, &identity.id);
    s.write_at(at + gone.at() as u64, &[IoSlice::new(&bytes)]).expect("the cell");
    s.sync().expect("a sync");
    disk.world()
}

/// Lets another process append just before each operation of a workload in turn, as if the first
/// had lost the processor there.
pub fn preempt_each(base: &World, steps: &[Step], seed: u64, rules: Rules, stride: u64) -> Tally {
    let mut tally = Tally { workloads: 1, ..Tally::default() };
    let mut op = 8 + seed % stride;
    loop {
        let mut driver = match Driver::new(base.clone(), Model::default(), rules, seed) {
            Ok(driver) => driver,
            Err(e) => return Tally { violation: Some(e), ..tally },
        };
        // The other process has begun before; its session is in the model.
        driver.step(Step::Begin);
        if let Some((session, mut writer)) = driver.writers.pop() {
            let model = Arc::clone(&driver.model);
            let id = id_of(session);
            let other = move || {
                for len in [40_000, 200, 30_000] {
                    let told = |f: &dyn Fn(&mut Session)| {
                        f(&mut model.lock().unwrap_or_else(PoisonError::into_inner).sessions
                            [session]);
                    };
                    let index = std::cell::Cell::new(0);
                    told(&|s: &mut Session| {
                        index.set(s.records.len());
                        s.records.push(Record {
                            stream: StreamId::STDOUT,
                            len,
                            acked: false,
                            durable: false,
                            forgotten: false,
                        });
                    });
                    let bytes = content(&id, index.get(), len);
                    if writer.append(StreamId::STDOUT, index.get() as u64, &bytes) == Append::Stored
                    {
                        told(&|s: &mut Session| s.records[index.get()].acked = true);
                    }
                }
            };
            driver.disk.preempt_at(op, Box::new(other));
        }
        for step in steps {
            driver.step(*step);
        }
        let model = driver.model(|m| m.clone());
        tally.points += 1;
        match model.check(Disk::new(driver.disk.world(), rules, seed).handle(), Stop::Kill) {
            Ok(records) => tally.records += records,
            Err(what) => {
                tally.violation = Some(format!("seed {seed}, preempted at op {op}: {what}"));
                return tally;
            }
        }
        if let Some(at) = driver.disk.rewritten() {
            tally.violation =
                Some(format!("seed {seed}, preempted at op {op}: byte {at} given two values"));
            return tally;
        }
        if op > driver.disk.ops() {
            return tally;
        }
        op += stride;
    }
}
