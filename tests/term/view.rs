//! How long a seek takes in a long recording, how far a viewer is behind a live session, and what
//! it costs the recorder: `cargo bench --bench view`. Words after `--` pick rows by name. Exits 1
//! past a bar.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use intentloop::library::Player;
use intentloop::session::{Meta, SessionId, WindowSize};
use intentloop::store::{Access, Exit, NewSession, StreamId};
use intentloop::{Library, Store};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;

#[path = "../bench/terminal.rs"]
#[allow(dead_code)]
mod terminal;
#[path = "../bench/tools.rs"]
#[allow(dead_code)]
mod tools;

const SEEK_BAR: Duration = Duration::from_millis(100);
const LAG_BAR: Duration = Duration::from_millis(20);
const SEEKS: usize = 400;
const FIRST_SEEKS: usize = 40;
const LINES: usize = 1000;
const FLOOD_LEN: usize = 128 << 20;
const FLOODS: usize = 3;
const START_US: i64 = 1_780_000_000_000_000;
/// Ten hours.
const SPAN_US: u64 = 36_000_000_000;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    if words.first().is_some_and(|word| word == "print-times") {
        print_times();
        return ExitCode::SUCCESS;
    }
    if let [word, dir, t_us] = &words[..]
        && word == "seek-once"
    {
        seek_once(Path::new(dir), t_us.parse().expect("a time"));
        return ExitCode::SUCCESS;
    }
    if let [word, dir] = &words[..]
        && word == "flood"
    {
        flood(Path::new(dir));
        return ExitCode::SUCCESS;
    }
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("view");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
    let mut held = true;
    for (name, row) in [("seek", seek as fn(&Path) -> bool), ("attach", attach), ("cost", cost)] {
        if wanted(name) {
            held &= row(&dir);
        }
    }
    let _ = std::fs::remove_dir_all(&dir);
    ExitCode::from(u8::from(!held))
}

/// What agents printed, over and over: 1 GiB (`IL_BENCH_MIB` says otherwise) in ten hours.
fn recording(dir: &Path) -> u64 {
    let mut session = Vec::new();
    for name in ["claude", "codex", "gemini", "opencode", "aider"] {
        let path = format!("{}/tests/term/recordings/{name}.cast.gz", env!("CARGO_MANIFEST_DIR"));
        let packed = File::open(path).expect("a recording");
        let mut cast = String::new();
        flate2::read::GzDecoder::new(packed).read_to_string(&mut cast).expect("a recording");
        for line in cast.lines().skip(1) {
            let event: serde_json::Value = serde_json::from_str(line).expect("an event");
            session.push(event[2].as_str().expect("data").as_bytes().to_vec());
        }
    }
    let mib = std::env::var("IL_BENCH_MIB").map_or(1024, |text| text.parse().expect("a number"));
    let total: u64 = mib << 20;
    let store = Store::open(dir, Access::Write).expect("a store");
    let id = SessionId::new(START_US as u64 / 1000, *b"view view!");
    let meta = Meta { size: Some(WindowSize { cols: 120, rows: 40 }), ..Meta::default() };
    let meta = meta.to_json();
    let new = NewSession { id: id.0, start_us: START_US, label: [0; 16], meta: meta.as_bytes() };
    let mut writer = store.begin(&new).expect("a session");
    let mut written = 0;
    for bytes in session.iter().cycle() {
        let t_us = (written as f64 / total as f64 * SPAN_US as f64) as u64;
        writer.append(StreamId::STDOUT, t_us, bytes);
        written += bytes.len() as u64;
        if written >= total {
            break;
        }
    }
    writer.end(Exit::Code(0), START_US + SPAN_US as i64).expect("an end");
    written
}

/// A moment, anywhere.
fn moment(random: &mut u64) -> u64 {
    *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    (*random >> 11) % SPAN_US
}

/// What a fresh process does: opens the store, and goes to a moment. Prints the microseconds that
/// took.
fn seek_once(dir: &Path, t_us: u64) {
    let start = Instant::now();
    let library = Library::open(dir).expect("a library");
    let session = library.find(None).expect("the session");
    let mut player = Player::new(&library, &session);
    assert!(player.seek(t_us), "no keyframes are kept");
    println!("{}", start.elapsed().as_micros());
}

/// Times of seeks, sorted: the first ones of processes, and those of one that goes here and there.
fn seeks(dir: &Path) -> [Vec<Duration>; 2] {
    let mut random = 12345u64;
    let mut first: Vec<Duration> = (0..FIRST_SEEKS)
        .map(|_| {
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.arg("seek-once").arg(dir).arg(moment(&mut random).to_string());
            let output = child.output().expect("a process");
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            Duration::from_micros(text.parse().expect("it came there"))
        })
        .collect();
    let library = Library::open(dir).expect("a library");
    let session = library.find(None).expect("the session");
    let mut player = Player::new(&library, &session);
    let mut later: Vec<Duration> = (0..SEEKS)
        .map(|_| {
            let t_us = moment(&mut random);
            let start = Instant::now();
            assert!(player.seek(t_us));
            start.elapsed()
        })
        .collect();
    first.sort();
    later.sort();
    [first, later]
}

fn seek(dir: &Path) -> bool {
    let written = recording(dir);
    let store = Store::open(dir, Access::Write).expect("a store");
    let library = Library::on(store);
    let session = library.find(None).expect("the session");
    let mut player = Player::new(&library, &session);
    let start = Instant::now();
    while player.index(1 << 20) {}
    library.keep_keyframes(&session, &player);
    let indexed = start.elapsed();
    let streams = library.stream_sizes(&library.find(None).expect("it"), &mut |_| {});
    let kept = streams.iter().find(|(name, _)| name == "keyframes").map_or(0, |(_, len)| *len);
    println!(
        "seek    {} MiB in 10 h: keyframes made in {:.1} s, {:.0} MB/s; they take {:.2} % of it",
        written >> 20,
        indexed.as_secs_f64(),
        written as f64 / 1e6 / indexed.as_secs_f64(),
        kept as f64 * 100.0 / written as f64,
    );
    let mut held = true;
    for form in ["as recorded", "compacted"] {
        if form == "compacted" {
            library.store().compact(&mut |_| {}).expect("compacted");
        }
        for (what, took) in ["first seek of a process", "later seek"].iter().zip(seeks(dir)) {
            let worst = took[took.len() - 1];
            held &= worst <= SEEK_BAR;
            println!(
                "seek    {form:<11}  {what:<23}  median {:5.1} ms, worst {:5.1} ms of {} (bar {} ms)",
                took[took.len() / 2].as_secs_f64() * 1e3,
                worst.as_secs_f64() * 1e3,
                took.len(),
                SEEK_BAR.as_millis(),
            );
        }
    }
    held
}

fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}

/// The recorded program: each line tells when it was printed.
fn print_times() {
    // The viewer has come by then.
    std::thread::sleep(Duration::from_millis(500));
    for n in 0..LINES {
        println!("<{}>", now_us());
        // Sometimes at once, sometimes after a pause that lets the viewer grow slow.
        std::thread::sleep(Duration::from_millis([5, 11, 20, 37, 3][n % 5]));
    }
}

fn il(home: &Path) -> Command {
    let mut command = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_il")));
    command.env("INTENTLOOP_HOME", home);
    command
}

/// `il attach` on a terminal of its own, and that terminal.
fn viewer(home: &Path) -> (Child, File) {
    let (ptmx, pts) = terminal::open();
    let size = rustix::termios::Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&ptmx, size).unwrap();
    let mut view = il(home);
    view.arg("attach");
    view.stdin(pts.try_clone().unwrap()).stdout(pts.try_clone().unwrap()).stderr(pts);
    #[allow(unsafe_code)]
    // SAFETY: `make_leader` only makes system calls.
    let viewer = unsafe { view.pre_exec(terminal::make_leader) }.spawn().unwrap();
    (viewer, File::from(ptmx))
}

fn attach(dir: &Path) -> bool {
    let home = dir.join("live");
    let mut run = il(&home);
    run.args(["run", "-q"]).arg(std::env::current_exe().unwrap()).arg("print-times");
    let recorder = terminal::Terminal::spawn(run);
    let drain = std::thread::spawn(move || recorder.finish());
    std::thread::sleep(Duration::from_millis(200));
    let (mut viewer, mut screen) = viewer(&home);
    let mut lags: Vec<Duration> = Vec::new();
    let mut newest = 0;
    let mut rest: Vec<u8> = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    while let Ok(n @ 1..) = screen.read(&mut buffer) {
        let seen_us = now_us();
        rest.extend_from_slice(&buffer[..n]);
        while let Some(end) = rest.iter().position(|b| *b == b'>') {
            let start = rest[..end].iter().rposition(|b| *b == b'<').unwrap_or(end);
            let time = std::str::from_utf8(&rest[(start + 1).min(end)..end]).ok();
            // Rows that scroll are drawn again: only a newer time is news.
            if let Some(time) = time.and_then(|t| t.parse().ok()).filter(|t: &u64| *t > newest) {
                newest = time;
                lags.push(Duration::from_micros(seen_us.saturating_sub(time)));
            }
            rest.drain(..=end);
        }
    }
    let _ = viewer.wait();
    let _ = drain.join();
    lags.sort();
    assert!(lags.len() > LINES / 2, "{} of {LINES} lines came", lags.len());
    let at = |share: f64| lags[((lags.len() - 1) as f64 * share) as usize];
    println!(
        "attach  {} of {LINES} lines seen by themselves: median {:.1} ms, p99 {:.1} ms \
         (bar {} ms), worst {:.1} ms behind the program",
        lags.len(),
        at(0.5).as_secs_f64() * 1e3,
        at(0.99).as_secs_f64() * 1e3,
        LAG_BAR.as_millis(),
        at(1.0).as_secs_f64() * 1e3,
    );
    at(0.99) <= LAG_BAR
}

/// The recorded program: prints as fast as it is taken once it may, and tells how long it took.
fn flood(dir: &Path) {
    while !dir.join("go").exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let line = "the quick brown fox jumps over the lazy dog while nobody looks at it at all\n";
    let block = line.repeat(1024);
    let start = Instant::now();
    let mut out = std::io::stdout().lock();
    for _ in 0..FLOOD_LEN / block.len() {
        out.write_all(block.as_bytes()).unwrap();
    }
    out.flush().unwrap();
    std::fs::write(dir.join("took"), start.elapsed().as_micros().to_string()).unwrap();
}

/// Seconds that a program takes to print a flood under `il run`, with a viewer or without.
fn flooded(home: &Path, is_viewed: bool) -> f64 {
    let _ = std::fs::remove_dir_all(home);
    std::fs::create_dir_all(home).unwrap();
    let mut run = il(home);
    run.args(["run", "-q"]).arg(std::env::current_exe().unwrap()).arg("flood").arg(home);
    let recorder = terminal::Terminal::spawn(run);
    let drain = std::thread::spawn(move || recorder.finish());
    let view = is_viewed.then(|| {
        std::thread::sleep(Duration::from_millis(300));
        let (mut child, mut screen) = viewer(home);
        let mut buffer = vec![0; 64 << 10];
        assert!(screen.read(&mut buffer).is_ok_and(|n| n > 0), "the viewer shows nothing");
        std::thread::spawn(move || {
            while screen.read(&mut buffer).is_ok_and(|n| n > 0) {}
            let _ = child.wait();
        })
    });
    std::fs::write(home.join("go"), "").unwrap();
    let _ = drain.join();
    if let Some(view) = view {
        let _ = view.join();
    }
    let took = std::fs::read_to_string(home.join("took")).expect("the flood ended");
    took.parse::<f64>().expect("a number") / 1e6
}

fn cost(dir: &Path) -> bool {
    let home = dir.join("flood");
    let (mut alone, mut viewed) = (f64::MAX, f64::MAX);
    for _ in 0..FLOODS {
        alone = alone.min(flooded(&home, false));
        viewed = viewed.min(flooded(&home, true));
    }
    let speed = |seconds: f64| FLOOD_LEN as f64 / 1e6 / seconds;
    println!(
        "cost    a flood of {} MiB under il run: {:.0} MB/s alone, {:.0} MB/s with a viewer; with \
         one it takes {:.2} times as long (best of {FLOODS} each, {} processors)",
        FLOOD_LEN >> 20,
        speed(alone),
        speed(viewed),
        viewed / alone,
        std::thread::available_parallelism().map_or(1, usize::from),
    );
    true
}
