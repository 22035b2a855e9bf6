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

use disk::{Fault, World};
use drive::{Cuts, Tally, explore, fail_each, workload};
use intentloop::store::storage::Rules;

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
        "{name}: crash points explored {}, violations {violations}, workloads {}, records {}",
        tally.points, tally.workloads, tally.records
    );
    assert_eq!(tally.violation, None, "{name}");
}

#[test]
fn every_cut_leaves_what_was_promised() {
    let seeds = seeds(4, 64);
    let cuts = Cuts { draws: 4, second: if long() { 60 } else { 40 }, rules: Rules::ALL };
    let tally =
        in_parallel(&seeds, |seed| explore(&World::empty(), &[], &workload(seed, 60), seed, cuts));
    report("exhaustive", &tally);
}

#[test]
fn every_operation_may_fail_once() {
    let seeds = seeds(3, 40);
    for fault in [Fault::Errno(libc::ENOSPC), Fault::Errno(libc::EIO), Fault::Forget] {
        let stride = if long() { 1 } else { 5 };
        let tally = in_parallel(&seeds, |seed| {
            fail_each(&World::empty(), &workload(seed, 40), seed, fault, Rules::ALL, stride)
        });
        report(&format!("{fault:?} at each operation"), &tally);
    }
}
