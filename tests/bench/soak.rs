//! Thirty recorders for as long as asked, and a house kept beside them: every hour a prune, a
//! backup that is verified, a verify of the store itself. What each recorder's terminal showed must
//! be what its session holds, and no recorder's memory may grow.
//!
//! `IL_SOAK_SECONDS` (180) is how long, `IL_SOAK_HOUR` the seconds of an hour: of a short run a
//! twelfth.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use intentloop::sys::crc::crc32c;
use rustix::process::Pid;

use crate::terminal::Terminal;
use crate::tools::{il_path, this_path};

/// Recorders at the same time, and how many of those live as long as the run.
const RECORDERS: u64 = 30;
const LONG: u64 = 10;

/// Sessions that the prune leaves: more than can have begun since one that has just ended.
const KEEP: u64 = 120;

/// What a recorder's own memory may have grown by from the first look to the last, in KiB. Pages of
/// the program and of the store come and go as the kernel likes, and are only shown.
const GROWTH_KIB_MAX: u64 = 256;

/// Looks at the memory in an hour.
const LOOKS: u32 = 2;

/// What all threads share.
struct Soak {
    dir: PathBuf,
    end: Instant,
    hour: Duration,
    /// The recorders that live as long as the run.
    long: Mutex<Vec<Pid>>,
    sessions: AtomicU64,
    records: AtomicU64,
    lost: AtomicU64,
    rounds: AtomicU64,
    failures: AtomicU64,
    /// The house is kept no more: what ends from now on stays to be looked at.
    closed: AtomicBool,
}

pub fn main() -> ExitCode {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse::<u64>().ok());
    let seconds = number("IL_SOAK_SECONDS").unwrap_or(180);
    let hour = number("IL_SOAK_HOUR").unwrap_or((seconds / 12).clamp(5, 3600));
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("soak");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a directory");
    let soak = Soak {
        dir,
        end: Instant::now() + Duration::from_secs(seconds),
        hour: Duration::from_secs(hour),
        long: Mutex::default(),
        sessions: AtomicU64::new(0),
        records: AtomicU64::new(0),
        lost: AtomicU64::new(0),
        rounds: AtomicU64::new(0),
        failures: AtomicU64::new(0),
        closed: AtomicBool::new(false),
    };
    println!("soak: {RECORDERS} recorders for {seconds} s, an hour is {hour} s");
    let looks = std::thread::scope(|scope| {
        let soak = &soak;
        let house = scope.spawn(move || soak.keep_house());
        for number in 0..RECORDERS {
            scope.spawn(move || soak.record(number));
        }
        let looks = soak.watch();
        house.join().expect("the house");
        soak.closed.store(true, Ordering::Relaxed);
        looks
    });
    soak.conclude(&looks)
}

impl Soak {
    fn il(&self, words: &[&str]) -> Command {
        let mut command = Command::new(il_path());
        command.args(words).env("INTENTLOOP_HOME", self.dir.join("home")).env("HOME", &self.dir);
        command.env("TERM", "xterm-256color").stdin(Stdio::null()).current_dir(&self.dir);
        command
    }

    /// One session after the other, or one all along.
    fn record(&self, number: u64) {
        let mut seed = number + 1;
        while Instant::now() < self.end {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(number);
            let left = self.end.saturating_duration_since(Instant::now());
            let life = match number < LONG {
                // The house is closed before these end.
                true => left + self.hour / 2,
                false => self.hour.mul_f64(0.1 + (seed >> 33) as f64 / 2f64.powi(31)).min(left),
            };
            let words =
                [&this_path(), "be-soaker", &seed.to_string(), &life.as_millis().to_string()];
            let mut command = self.il(&["run", "-q"]);
            command.args(words);
            let mut terminal = Terminal::spawn(command);
            if number < LONG {
                self.long.lock().expect("the list").push(terminal.pid());
            }
            let mut shown = Vec::new();
            while let Some(bytes) = terminal.read() {
                shown.extend_from_slice(bytes);
            }
            let (status, _) = terminal.finish();
            if !status.success() {
                self.fail(&format!("a recorder: {status}"));
            }
            while number < LONG && !self.closed.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
            self.compare(&shown);
        }
    }

    /// What was shown must be what the session holds.
    fn compare(&self, shown: &[u8]) {
        let records = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let first = shown.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let id = String::from_utf8_lossy(first).trim_end().to_owned();
        let output = self.il(&["dump", "stdout", &id]).output().expect("il");
        let held = output.stdout;
        if crc32c(0, &held) != crc32c(0, shown) || held.len() != shown.len() {
            let same = held.iter().zip(shown).take_while(|(a, b)| a == b).count();
            self.lost.fetch_add(records(&shown[same..]).max(1), Ordering::Relaxed);
            self.fail(&format!("session {id}: {} of {} bytes", held.len(), shown.len()));
        }
        self.sessions.fetch_add(1, Ordering::Relaxed);
        self.records.fetch_add(records(shown), Ordering::Relaxed);
    }

    fn fail(&self, what: &str) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        println!("soak: FAILED: {what}");
    }

    /// A prune, a backup and its verification, a verification, every hour.
    fn keep_house(&self) {
        let mut next = Instant::now() + self.hour;
        while next < self.end {
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            next += self.hour;
            let copy = self.dir.join("copy");
            let _ = fs::remove_dir_all(&copy);
            fs::create_dir_all(&copy).expect("a directory");
            let file = copy.join("store.il").display().to_string();
            let keep = KEEP.to_string();
            for words in [&["prune", "--keep", &keep][..], &["backup", &file], &["verify"]] {
                self.must(&mut self.il(words));
            }
            self.must(self.il(&["verify"]).env("INTENTLOOP_HOME", &copy));
            self.rounds.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn must(&self, command: &mut Command) {
        let output = command.output().expect("il");
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            self.fail(&format!("{command:?}: {} {}", output.status, said.escape_ascii()));
        }
    }

    /// Prints what there is to see until the end; what each look at the memory came to, in KiB.
    fn watch(&self) -> Vec<u64> {
        println!(
            "{:>8} {:>10} {:>10} {:>9} {:>9} {:>10}",
            "seconds", "RSS", "own of it", "sessions", "records", "store MiB"
        );
        let start = Instant::now();
        let mut looks = Vec::new();
        loop {
            let left = self.end.saturating_duration_since(Instant::now());
            std::thread::sleep((self.hour / LOOKS).min(left));
            let pids = self.long.lock().expect("the list").clone();
            let kib = |name| mean(pids.iter().filter_map(|pid| status_kib(*pid, name)));
            let [rss, own] = ["VmRSS:", "RssAnon:"].map(kib);
            let file = fs::metadata(self.dir.join("home/store.il"));
            let mib = file.map_or(0, |meta| std::os::unix::fs::MetadataExt::blocks(&meta) >> 11);
            println!(
                "{:>8} {rss:>6} KiB {own:>6} KiB {:>9} {:>9} {:>10}",
                start.elapsed().as_secs(),
                self.sessions.load(Ordering::Relaxed),
                self.records.load(Ordering::Relaxed),
                mib
            );
            looks.push(own);
            if left.is_zero() || Instant::now() >= self.end {
                return looks;
            }
        }
    }

    fn conclude(&self, looks: &[u64]) -> ExitCode {
        let [sessions, records, lost, rounds, failures] =
            [&self.sessions, &self.records, &self.lost, &self.rounds, &self.failures]
                .map(|count| count.load(Ordering::Relaxed));
        let (first, last) = (looks.first().unwrap_or(&0), looks.last().unwrap_or(&0));
        let flat = *last <= first + GROWTH_KIB_MAX;
        println!(
            "soak: {sessions} sessions, {records} records, {lost} lost; {rounds} hours' prunes, \
             backups and verifies; a recorder's own memory first {first} KiB, last {last} KiB ({}); \
             {failures} failures",
            if flat { "flat" } else { "GROWN" }
        );
        if failures == 0 && lost == 0 && flat { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn status_kib(pid: Pid, name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

fn mean(numbers: impl Iterator<Item = u64>) -> u64 {
    let (sum, count) = numbers.fold((0, 0), |(sum, count), number| (sum + number, count + 1));
    sum / count.max(1)
}

/// Says which session it is, then lines of all lengths at all distances, for so many milliseconds.
pub fn speak(seed: &str, life_ms: &str) -> ExitCode {
    use std::io::Write;
    let parse = |text: &str| text.parse::<u64>().expect("a number");
    let (mut seed, life) = (parse(seed), Duration::from_millis(parse(life_ms)));
    crate::terminal::make_raw();
    let start = Instant::now();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", std::env::var("IL_SESSION").unwrap_or_default()).expect("room");
    for number in 0u64.. {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bits = seed >> 33;
        // A flood now and then.
        let len = if bits.is_multiple_of(200) { 100_000 } else { bits % 800 } as usize;
        let text = [b"0123456789 abcdefghijklmnopqrstuvwxyz "[(bits % 38) as usize]].repeat(len);
        let line = [format!("{number} {bits:x} ").as_bytes(), &text, b"\n"].concat();
        out.write_all(&line).expect("room");
        out.flush().expect("room");
        if start.elapsed() >= life {
            break;
        }
        std::thread::sleep(Duration::from_millis(1 + bits % 120));
    }
    ExitCode::SUCCESS
}
