//! Any bytes, and no panic, no hang, no large allocation: mutated store images, their pages alone,
//! and what the parsers of foreign text make of broken files. `IL_FUZZ_CASES` is the number of
//! images, and of pages (the other targets get a quarter of it), `IL_FUZZ_SEED` runs one case of
//! each alone.

mod damage;
mod images;
mod memory;
#[path = "../sim/random.rs"]
mod random;

use cap::Cap;
use random::Random;
use std::alloc::System;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Bytes that all cases under way may have between them, over what the driver has.
const MEMORY_MAX: usize = 32 << 20;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Images in the short form.
const CASES: u64 = 20_000;
/// One image in so many has records that span pages and fill blocks; the others are small, and fast.
const LARGE_EVERY: u64 = 16;
/// Cases after which a long run says how far it is.
const TELL_EVERY: u64 = 1_000_000;
/// Hits of the damage experiment in the short form, and in the long one.
const HITS: u64 = 1_000;
const HITS_LONG: u64 = 10_000;

/// An entry point: the number of a case gives all it needs.
type Target<'a> = &'a (dyn Fn(u64) + Sync);

fn main() {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse::<u64>().ok());
    let cases = number("IL_FUZZ_CASES").unwrap_or(CASES);
    let one = number("IL_FUZZ_SEED");
    let bases = [images::sessions(17_000), images::sessions(300)].map(|base| (base.used(), base));
    let base_of = |n: u64| &bases[usize::from(!n.is_multiple_of(LARGE_EVERY))];
    let store = |n: u64| {
        let (used, base) = base_of(n);
        images::check(images::mutated(base, used, &mut Random::new(n)), n);
    };
    let page = |n: u64| {
        let (used, base) = base_of(n);
        images::check_page(base, used, &mut Random::new(n));
    };
    let json = |n| text_case(n, JSON, |bytes| drop(intentloop::json::parse_lossy(bytes)));
    let cast = |n| text_case(n, CAST, |bytes| drop(intentloop::format::cast::read(bytes)));
    let script = |n| {
        text_case(n, TIMING, |bytes| {
            let timing = String::from_utf8_lossy(bytes);
            drop(intentloop::format::script::read(&timing, bytes, Some(bytes)));
        });
    };
    let terminal = |n| {
        text_case(n, SCREEN, |bytes| {
            let size = intentloop::term::Size::new(20, 5);
            let mut terminal = intentloop::term::Terminal::new(size, Default::default());
            terminal.feed(bytes);
            terminal.check();
        });
    };
    let quarter = cases.div_ceil(4);
    let targets: [(&str, u64, Target<'_>); 6] = [
        ("store images", cases, &store),
        ("pages", cases, &page),
        ("JSON", quarter, &json),
        ("asciicasts", quarter, &cast),
        ("script's timing", quarter, &script),
        ("terminal output", quarter, &terminal),
    ];
    std::panic::set_hook(Box::new(|panic| {
        // Nothing more is measured, and words take memory.
        let _ = ALLOCATOR.set_limit(usize::MAX);
        eprintln!("{panic}");
    }));
    // From here on the driver itself needs next to nothing.
    ALLOCATOR.set_limit(ALLOCATOR.allocated() + MEMORY_MAX).expect("room");
    for (name, count, target) in targets {
        match one {
            Some(seed) => target(seed),
            None => run(name, count, target),
        }
    }
    let hits = if cases > CASES { HITS_LONG } else { HITS };
    let loss = damage::hit(hits);
    println!(
        "damage: {} hits, records lost {:.2} a hit, {} at most, none elsewhere; all named",
        loss.hits,
        loss.records as f64 / loss.hits as f64,
        loss.most
    );
}

/// Runs the cases of a target on all processors.
fn run(name: &str, count: u64, target: Target<'_>) {
    let start = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        return;
                    }
                    if n > 0 && n.is_multiple_of(TELL_EVERY) {
                        let rate = n as f64 / start.elapsed().as_secs_f64();
                        println!("{name}: {n} of {count} cases, {rate:.0} a second");
                    }
                    let case = std::panic::AssertUnwindSafe(|| target(n));
                    if std::panic::catch_unwind(case).is_err() {
                        eprintln!("{name}: case {n} fails; IL_FUZZ_SEED={n} runs it alone");
                        std::process::exit(1);
                    }
                }
            });
        }
    });
    let took = start.elapsed();
    println!(
        "{name}: {count} cases, 0 panics, 0 hangs, {} MiB of memory at most, {:.0} a second",
        MEMORY_MAX >> 20,
        count as f64 / took.as_secs_f64()
    );
}

const JSON: &[&str] = &[
    "{\"v\":1,\"argv\":[\"a\",\"b\\u00e9\\ud83d\\ude00\"],\"n\":-1.5e3,\"t\":true}",
    "[[[[]]]]",
    "\"",
    "1e999",
    "{\"a\":",
    "\\u",
    "\u{feff}",
    "null",
];
const CAST: &[&str] = &[
    "{\"version\":2,\"width\":80,\"height\":24}\n",
    "{\"version\":3,\"term\":{\"cols\":80,\"rows\":24}}\n",
    "[0.1,\"o\",\"\\u001b[2Jhello\"]\n",
    "[1e300,\"r\",\"9999x1\"]\n",
    "[0.5,\"i\",\"q\"]\n",
    "# a comment\n",
    "[",
];
const TIMING: &[&str] = &[
    "0.1 5\n",
    "O 0.2 7\n",
    "I 0.3 1\n",
    "S 0 SIGWINCH ROWS=5 COLS=9\n",
    "H 0 x y\n",
    "1e9 9999999999\n",
];
const SCREEN: &[&str] = &[
    "\x1b[2J",
    "\x1b[999;999H",
    "\x1b[?1049h",
    "\x1b[3;4r",
    "\x1bM",
    "\u{4e16}\u{754c}",
    "e\u{301}",
    "\x1b]0;t\x07",
    "\x1b[38;2;1;2;3m",
    "\t",
    "\r\n",
    "\x1b[9999@",
    "\x1b[P",
    "text ",
    "\x1bP",
];

/// Pieces in any order, and then a few bytes of them changed.
fn text_case(n: u64, pieces: &[&str], read: impl Fn(&[u8])) {
    let mut random = Random::new(n);
    let mut bytes = Vec::new();
    for _ in 0..1 + random.below(12) {
        bytes.extend_from_slice(pieces[random.below(pieces.len() as u64) as usize].as_bytes());
    }
    for _ in 0..random.below(6) {
        let at = random.below(bytes.len() as u64) as usize;
        match random.below(4) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes.insert(at, b"\"\\[]{}0;\x1b"[random.below(9) as usize]),
            _ => bytes.truncate(at.max(1)),
        }
    }
    read(&bytes);
}
