//! The store on a simulated disk: every workload is cut before every operation, by a kill and by
//! power cuts, and what is left is compared with a model. `IL_SIM=long` explores hundreds of
//! thousands of crash points; `IL_SEED=n` runs one workload alone.

#[path = "sim/disk.rs"]
mod disk;
#[path = "sim/drive.rs"]
mod drive;
#[path = "sim/model.rs"]
mod model;
#[path = "sim/random.rs"]
mod random;

use disk::{Disk, Fault, World};
use drive::{Cuts, INDEXED, Tally, explore, fail_each, nearly_full, preempt_each, workload};
use intentloop::store::storage::{LOCK_ALLOC, Lock, Rules};
use intentloop::store::{
    Append, Chain, Exit, FULL_TRIES_MAX, Item, NewSession, QUEUE_LEN_MAX, Store, StreamId, Why,
};

/// What the long form is to reach: crash points, workloads.
const POINTS_MIN: u64 = 500_000;
const WORKLOADS_MIN: u64 = 60;

fn long() -> bool {
    std::env::var_os("IL_SIM").is_some_and(|value| value == "long")
}

fn seeds(short: u64, full: u64) -> Vec<u64> {
    match std::env::var("IL_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => vec![seed],
        None => (0..if long() { full } else { short }).collect(),
    }
}

/// Runs `work` for every seed on two threads.
fn in_parallel(seeds: &[u64], work: impl Fn(u64) -> Tally + Sync) -> Tally {
    let middle = seeds.len() / 2;
    let run = |seeds: &[u64]| {
        let mut tally = Tally::default();
        for seed in seeds {
            tally.add(work(*seed));
            if tally.violation.is_some() {
                break;
            }
        }
        tally
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| run(&seeds[..middle]));
        let mut tally = run(&seeds[middle..]);
        tally.add(other.join().expect("the other half"));
        tally
    })
}

fn report(name: &str, tally: &Tally) {
    let violations = u32::from(tally.violation.is_some());
    println!(
        "{name}: crash points explored {} ({} of them after a crash before), violations \
         {violations}, workloads {}, records read back {}",
        tally.points, tally.second, tally.workloads, tally.records
    );
    assert_eq!(tally.violation, None, "{name}");
}

/// Odd seeds begin with a catalog that is about to grow.
fn base(seed: u64) -> World {
    if seed % 3 == 1 { nearly_full() } else { World::empty() }
}

fn cut(seed: u64, len: usize, cuts: Cuts) -> Tally {
    explore(&base(seed), &workload(seed, len), seed, cuts)
}

#[test]
fn every_cut_leaves_what_was_promised() {
    let cuts = match long() {
        true => Cuts { draws: 8, second: 12, deep: 8, rules: Rules::ALL },
        false => Cuts { draws: 4, second: 40, deep: 6, rules: Rules::ALL },
    };
    let tally = in_parallel(&seeds(6, WORKLOADS_MIN), |seed| cut(seed, 60, cuts));
    report("exhaustive", &tally);
    if long() && std::env::var_os("IL_SEED").is_none() {
        let reached = tally.points >= POINTS_MIN && tally.workloads >= WORKLOADS_MIN;
        println!(
            "bar: {POINTS_MIN} crash points of {WORKLOADS_MIN} workloads, none violated, depth two: {}",
            if reached && tally.second > 0 { "met" } else { "MISSED" }
        );
        assert!(reached && tally.second > 0);
    }
}

#[test]
fn every_operation_may_fail_once() {
    for fault in [Fault::Errno(libc::ENOSPC), Fault::Errno(libc::EIO), Fault::Forget] {
        let stride = if long() { 1 } else { 5 };
        let tally = in_parallel(&seeds(4, 60), |seed| {
            fail_each(&base(seed), &workload(seed, 40), seed, fault, Rules::ALL, stride)
        });
        report(&format!("{fault:?} at each operation"), &tally);
        let tally = in_parallel(&seeds(12, 60), |seed| {
            fail_each(&base(seed), &INDEXED, seed, fault, Rules::ALL, 1)
        });
        report(&format!("{fault:?} at each operation, the index"), &tally);
    }
}

#[test]
fn another_process_may_come_between_any_two_operations() {
    let stride = if long() { 1 } else { 3 };
    let tally = in_parallel(&seeds(4, 60), |seed| {
        preempt_each(&base(seed), &workload(seed, 40), seed, Rules::ALL, stride)
    });
    report("preempted at each operation", &tally);
}

/// Another process holds the allocation lock while a session is flooded, and lets go of it after so
/// many looks at it since the queue was full, with records of `len` bytes. Returns the bytes that
/// were dropped.
fn dropped_if_locked_for(looks: u32, len: usize) -> usize {
    let disk = Disk::new(World::empty(), Rules::ALL, 0);
    let store = Store::on(disk.handle(), [7; 16]).expect("a store");
    let new = NewSession { id: [1; 16], start_us: 1, label: [0; 16], meta: b"{}" };
    let mut writer = store.begin(&new).expect("a session");
    let other = disk.handle();
    assert!(other.try_lock(LOCK_ALLOC, Lock::Exclusive).expect("a lock"));
    let content = |n: usize| vec![b'a' + (n % 26) as u8; len];
    let (mut appended, mut waiting) = (0, 0);
    let dropped = loop {
        let full = waiting + len > QUEUE_LEN_MAX;
        if full {
            disk.unlock_after(looks, LOCK_ALLOC);
        }
        // Its clock stands still: what waits is not tried again.
        let became = writer.append(StreamId::STDOUT, 1, &content(appended));
        appended += 1;
        match became {
            Append::Stored if full => break 0,
            Append::Stored => {}
            Append::Queued => waiting += len,
            Append::Degraded { .. } => break len,
        }
    };
    let _ = other.unlock(LOCK_ALLOC);
    writer.end(Exit::Code(0), 2).expect("an end");
    let entry = store.entries().expect("a catalog").next().expect("the session");
    let (mut reader, mut kept) = (store.read(&entry, Chain::Tape), Vec::new());
    loop {
        match reader.next() {
            Item::Frame { stream: StreamId::STDOUT, bytes, .. } => kept.extend_from_slice(bytes),
            Item::Frame { .. } => {}
            Item::Gap { why: Why::Dropped, .. } if dropped > 0 => {}
            Item::End => break,
            other => panic!("{other:?}"),
        }
    }
    let expected: Vec<u8> = (0..appended).flat_map(content).collect();
    assert!(expected.starts_with(&kept), "what is kept is what came first");
    assert_eq!(kept.len() + dropped, expected.len());
    dropped
}

#[test]
fn a_session_waits_for_the_allocation_lock_before_it_drops_anything() {
    const LEN: usize = 64 << 10;
    assert_eq!(dropped_if_locked_for(1, LEN), 0);
    assert_eq!(dropped_if_locked_for(FULL_TRIES_MAX - 1, LEN), 0);
    assert_ne!(dropped_if_locked_for(FULL_TRIES_MAX, LEN), 0);
    // One that the queue has no room for at all.
    assert_eq!(dropped_if_locked_for(1000, QUEUE_LEN_MAX + 1), 0);
}

#[test]
fn the_index_never_tells_more_or_less_than_the_sessions() {
    let cuts = Cuts { draws: 8, second: 200, deep: 40, rules: Rules::ALL };
    let tally = in_parallel(&seeds(6, 200), |seed| explore(&base(seed), &INDEXED, seed, cuts));
    report("the index", &tally);
}

/// The negative control: with any one rule broken, some run above must fail.
#[test]
fn every_broken_rule_is_noticed() {
    type Run = fn(u64, Rules) -> Tally;
    let cut: Run = |seed, rules| {
        explore(
            &base(seed),
            &workload(seed, 40),
            seed,
            Cuts { draws: 4, second: 5, deep: 1000, rules },
        )
    };
    let grow: Run = |seed, rules| {
        explore(
            &nearly_full(),
            &workload(seed, 14),
            seed,
            Cuts { draws: 4, second: 2, deep: 1000, rules },
        )
    };
    let index: Run = |seed, rules| {
        let cuts = Cuts { draws: 8, second: 0, deep: 1000, rules };
        explore(&base(seed), &INDEXED, seed, cuts)
    };
    let fail: Run = |seed, rules| {
        fail_each(&base(seed), &workload(seed, 40), seed, Fault::Errno(libc::ENOSPC), rules, 3)
    };
    let preempt: Run = |seed, rules| preempt_each(&base(seed), &workload(seed, 40), seed, rules, 3);
    let all = Rules::ALL;
    let mutants = [
        ("no checksum", cut, Rules { check_crc: false, ..all }),
        ("no frame sequence", cut, Rules { check_fseq: false, ..all }),
        ("punch before the tombstone is durable", cut, Rules { sync_before_punch: false, ..all }),
        ("a pack counts before it is durable", cut, Rules { sync_before_cell: false, ..all }),
        ("catalog growth without syncs", grow, Rules { sync_growth: false, ..all }),
        ("a single superblock", grow, Rules { two_supers: false, ..all }),
        ("leases without a lock", preempt, Rules { lock_allocation: false, ..all }),
        ("a torn page is written on", fail, Rules { fresh_page_after_error: false, ..all }),
        ("a shortened file is not settled", cut, Rules { settle_end: false, ..all }),
        ("an index wiser than the notes", index, Rules { sync_before_index: false, ..all }),
        ("an index that is never old", index, Rules { heed_changes: false, ..all }),
    ];
    let mut caught = 0usize;
    for (name, run, rules) in mutants {
        match (0..200).find_map(|seed| run(seed, rules).violation) {
            Some(how) => {
                caught += 1;
                println!("mutant '{name}' caught: {how}");
            }
            None => println!("mutant '{name}' NOT caught"),
        }
    }
    println!("mutants caught {caught}/{}", mutants.len());
    assert_eq!(caught, mutants.len());
}
