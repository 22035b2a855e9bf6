//! The relay's cost, measured: il beside a bare relay, `script` and asciinema on the same work, in
//! turn, each on a terminal whose reader throws everything away. Prints medians and how they stand
//! to the bars that il has set itself; with `IL_STRICT=1` a bar missed is a failure.
//!
//! `cargo bench --bench relay -- [ROW...]`. `IL_BENCH_ROUNDS` (5) is how often each is measured,
//! `IL_BENCH_MIB` (256) the size of the small flood, the large one being four times that, and
//! `IL_BENCH_IDLE` (10), `IL_BENCH_STALL` (30) and `IL_BENCH_FLOOD` (2) are seconds.

mod agents;
mod bare;
mod isolation;
mod rows;
mod sessions;
mod size;
mod soak;
mod terminal;
mod tools;

use std::process::ExitCode;

/// One line of the result.
struct Row {
    what: &'static str,
    measured: String,
    bar: String,
    /// None: it could not be measured here, and `measured` says why.
    met: Option<bool>,
}

/// A theme's measurements: a row or more.
type Measure = fn(&tools::Bench) -> Vec<Row>;

/// The measurements by name.
const ROWS: [(&str, Measure); 13] = [
    ("flood", rows::flood),
    ("pipe", rows::pipe),
    ("echo", rows::echo),
    ("start", rows::start),
    ("idle", rows::idle),
    ("memory", rows::memory),
    ("list", rows::list),
    ("search", rows::search),
    ("import", rows::import),
    ("agents", rows::agents),
    ("binary", rows::binary),
    ("size", size::size),
    ("isolation", isolation::isolation),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.first().map(String::as_str) {
        Some("be-bare") => return bare::main(&args[1..]),
        Some("be-echo") => return terminal::echo_raw(),
        Some("be-reader") => {
            agents::read(&args[1], &args[2]);
            return ExitCode::SUCCESS;
        }
        Some("be-flood") => return terminal::flood(&args[1]),
        Some("be-appender") => return isolation::append(&args[1]),
        Some("soak") => return soak::main(),
        Some("be-soaker") => return soak::speak(&args[1], &args[2]),
        Some("be-player") => return size::play(&args[1]),
        Some("be-build") => return size::build(),
        _ => {}
    }
    if let Some(unknown) = args.iter().find(|arg| ROWS.iter().all(|(name, _)| name != arg)) {
        let names: Vec<_> = ROWS.iter().map(|(name, _)| *name).collect();
        eprintln!("bench: no row {unknown}: there are {}", names.join(", "));
        return ExitCode::from(2);
    }
    let bench = tools::Bench::new();
    let mut missed = 0;
    for (name, measure) in ROWS {
        if !args.is_empty() && !args.iter().any(|arg| arg == name) {
            continue;
        }
        for row in measure(&bench) {
            let verdict = match row.met {
                Some(true) => "met",
                Some(false) => "MISSED",
                None => "-",
            };
            missed += usize::from(row.met == Some(false));
            println!("{:<44} {:>24} {:>12}  {verdict}", row.what, row.measured, row.bar);
        }
    }
    let strict = std::env::var_os("IL_STRICT").is_some_and(|value| value == "1");
    if strict && missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
