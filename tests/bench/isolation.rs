//! What a recorder that writes little suffers from one that floods: how long its appends take, and
//! how late a typed byte comes back, alone, beside a flood into a store of its own, and beside one
//! into the same store.

use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use intentloop::store::{Access, Append, Exit, NewSession, Store, StreamId};

use crate::Row;
use crate::terminal::Terminal;
use crate::tools::{Bench, Tool, this, this_path};

/// What the quiet one appends, and how often.
const APPEND_LEN: usize = 200;
const APPEND_EVERY: Duration = Duration::from_millis(1);

/// What the loud one appends at a time, and in all: a flood of seconds, not of disks.
const FLOOD_PIECE: usize = 64 << 10;
const FLOOD_LEN: usize = 4 << 30;

/// What the flood may add to one in a hundred appends or echoes.
const ADDED_MAX: Duration = Duration::from_millis(1);

/// Who else writes, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beside {
    Nobody,
    OwnStore,
    SameStore,
}

const ALL: [Beside; 3] = [Beside::Nobody, Beside::OwnStore, Beside::SameStore];

/// The p50, p99, p99.9 and the most of some times.
type Quantiles = [Duration; 4];

pub fn isolation(bench: &Bench) -> Vec<Row> {
    let names = [
        "an append: alone",
        "  beside a flood into another store",
        "  beside a flood into the same store",
        "  p99 that the same store adds",
        "an echo: alone",
        "  beside a flood recorded in another store",
        "  beside a flood recorded in the same store",
        "  p99 that the same store adds",
    ];
    let work: [fn(&Bench, Beside) -> Vec<Duration>; 2] = [appends, echoes];
    let rows = work.into_iter().zip(names.chunks(4)).flat_map(|(measure, names)| {
        let mut times = ALL.map(|_| Vec::new());
        for _ in 0..bench.rounds {
            for (beside, times) in ALL.into_iter().zip(&mut times) {
                times.extend(measure(bench, beside));
                bench.forget();
                let _ = std::fs::remove_dir_all(bench.dir.join("other"));
            }
        }
        let quantiles = times.map(quantiles);
        let mut rows: Vec<Row> =
            names.iter().zip(quantiles).map(|(what, quantiles)| shown(what, quantiles)).collect();
        let [_, other, same] = quantiles;
        let added = same[1].saturating_sub(other[1]);
        rows.push(Row {
            what: names[3],
            measured: micros(added),
            bar: "< 1 ms".into(),
            met: Some(added < ADDED_MAX),
        });
        rows
    });
    rows.collect()
}

fn quantiles(mut times: Vec<Duration>) -> Quantiles {
    times.sort();
    let at = |of_1000: usize| times[(times.len() - 1) * of_1000 / 1000];
    [at(500), at(990), at(999), at(1000)]
}

fn micros(time: Duration) -> String {
    format!("{:.1}us", time.as_secs_f64() * 1e6)
}

fn shown(what: &'static str, quantiles: Quantiles) -> Row {
    let measured = quantiles.map(micros).join(" ");
    Row { what, measured, bar: "p50 99 99.9 max".into(), met: None }
}

fn session(store: &Store, n: u64) -> intentloop::store::Writer {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let mut id = [0x70; 16];
    id[..8].copy_from_slice(&(now.as_nanos() as u64).to_be_bytes());
    id[8..].copy_from_slice(&(u64::from(std::process::id()) << 8 | n).to_be_bytes());
    let new = NewSession { id, start_us: now.as_micros() as i64, label: [0; 16], meta: b"{}" };
    store.begin(&new).expect("a session")
}

/// Where a flood goes.
fn home(bench: &Bench, beside: Beside) -> std::path::PathBuf {
    bench.dir.join(if beside == Beside::OwnStore { "other" } else { "home" })
}

/// Kills and reaps a flood.
struct Flood(Child);

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How long appends take, while another process may flood.
fn appends(bench: &Bench, beside: Beside) -> Vec<Duration> {
    let store = Store::open(&bench.dir.join("home"), Access::Write).expect("a store");
    let mut writer = session(&store, 0);
    let _flood = (beside != Beside::Nobody).then(|| {
        let mut command = this();
        command.arg("be-appender").arg(home(bench, beside)).stdin(Stdio::null());
        Flood(command.spawn().expect("a flood"))
    });
    let begin = Instant::now();
    let mut next = begin;
    let mut times = Vec::new();
    while begin.elapsed() < Duration::from_secs(bench.flood_s) {
        next += APPEND_EVERY;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        let bytes = [times.len() as u8; APPEND_LEN];
        let t_us = begin.elapsed().as_micros() as u64;
        let start = Instant::now();
        let stored = writer.append(StreamId::STDOUT, t_us, &bytes);
        times.push(start.elapsed());
        assert_eq!(stored, Append::Stored);
    }
    writer.end(Exit::Code(0), 0).expect("an end");
    times
}

/// Appends as fast as it can until it is killed.
pub fn append(dir: &str) -> ExitCode {
    let store = Store::open(Path::new(dir), Access::Write).expect("a store");
    let mut writer = session(&store, 1);
    let piece = crate::tools::lines(FLOOD_PIECE);
    let begin = Instant::now();
    for _ in 0..FLOOD_LEN / FLOOD_PIECE {
        let _ = writer.append(StreamId::STDOUT, begin.elapsed().as_micros() as u64, &piece);
    }
    std::thread::sleep(Duration::from_secs(60));
    ExitCode::SUCCESS
}

/// How late typed bytes come back through a recorded terminal, while another may record a flood.
fn echoes(bench: &Bench, beside: Beside) -> Vec<Duration> {
    let mut quiet = Terminal::spawn(bench.command(Tool::Il, &[&this_path(), "be-echo"]));
    quiet.wait_for(b'!');
    let flood = (beside != Beside::Nobody).then(|| {
        let mut command: Command = bench.command(Tool::Il, &["yes"]);
        command.env("INTENTLOOP_HOME", home(bench, beside));
        Terminal::spawn(command)
    });
    let flood = flood.map(|mut terminal| {
        let pid = terminal.pid();
        let reader = std::thread::spawn(move || {
            terminal.discard_all();
            terminal.kill();
        });
        (pid, reader)
    });
    let begin = Instant::now();
    let mut next = begin;
    let mut times = Vec::new();
    while begin.elapsed() < Duration::from_secs(bench.flood_s) {
        next += APPEND_EVERY;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        times.push(quiet.round_trip());
    }
    if let Some((pid, reader)) = flood {
        // The recorder is killed, and the terminal of `yes` goes with it.
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("the flood");
        reader.join().expect("its reader");
    }
    quiet.type_keys(b"q");
    quiet.finish();
    times
}
