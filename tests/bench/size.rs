//! What recordings take on the disk, beside the same content in other formats: agents' sessions
//! played again at their own pace, an editor's session, and the log of a long build.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use intentloop::store::{Access, Change, Entry, State, Store, StreamId};

use crate::Row;
use crate::terminal::{Terminal, make_raw};
use crate::tools::{Bench, this_path};

/// The agents' sessions, by the names of their recordings.
const AGENTS: [&str; 9] =
    ["aider", "claude", "cline", "codex", "copilot", "gemini", "kimi", "opencode", "qwen"];

/// The size that the agents were recorded in.
const ROWS: u16 = 32;
const COLS: u16 = 100;

/// Lines of the build's log.
const LOG_LINES: u32 = 40_000;

/// Bytes that a file system gives away at a time.
const BLOCK: u64 = 4096;

/// Bytes of disk to a byte recorded, at most.
const RECORDED_MAX: f64 = 0.25;

/// Between two keys of whoever sits at the editor.
const KEY_EVERY: Duration = Duration::from_millis(50);

/// How often all of that is typed.
const KEYS_TIMES: usize = 4;

/// What is typed into the editor: moving, searching, changing, undoing, paging.
const KEYS: &str = "jjjjjjjjwwwww\x06\x06/session\rnnnncwrecording\x1bjjjddpuuGgg:%s/the/THE/g\ru\
    \x04\x04\x04\x15Oa new line, typed slowly and then one more\x1byyppp:set number\r\
    \x06\x06\x02gg";

/// What one kind of work came to, in bytes, all its sessions together.
#[derive(Debug, Default)]
struct Sizes {
    raw: u64,
    /// On the disk when the session had ended, and after `il compact`.
    recorded: u64,
    compacted: u64,
    /// What is left of that without all but the output and its times.
    output: u64,
    cast: u64,
    /// Bytes of the gzipped files, and bytes of disk under them.
    cast_gzip: u64,
    cast_gzip_disk: u64,
    cast_zstd: u64,
    script: u64,
}

/// The words behind each row: the kind of work, then what was measured of it.
struct Names {
    recorded: &'static str,
    compacted: &'static str,
    to_gzip: &'static str,
    output: &'static str,
    others: &'static str,
}

const AGENTS_NAMES: Names = Names {
    recorded: "nine agents' sessions, on disk/recorded",
    compacted: "  after il compact",
    to_gzip: "  after il compact, il/cast.gz, on disk",
    output: "  output and times alone, il/cast.gz, on disk",
    others: "  in bytes: cast, cast.gz, cast.zst, script",
};

pub fn size(bench: &Bench) -> Vec<Row> {
    let names = |recorded| Names { recorded, ..AGENTS_NAMES };
    let store = record(bench);
    let kinds = [
        ("agent", AGENTS_NAMES),
        ("vim", names("an editor's session, on disk/recorded")),
        ("log", names("a build's log, on disk/recorded")),
    ];
    let mut sizes: Vec<Sizes> =
        kinds.iter().map(|(kind, _)| as_recorded(bench, &store, kind)).collect();
    let own = store_itself(&store);
    let done = bench.il().arg("compact").stdout(Stdio::null()).status().expect("il");
    assert!(done.success(), "il compact: {done}");
    let store = Store::open(&bench.dir.join("home"), Access::Write).expect("the store");
    for ((kind, _), sizes) in kinds.iter().zip(&mut sizes) {
        sizes.compacted = on_disk(&store, kind);
    }
    only_output(&store);
    for ((kind, _), sizes) in kinds.iter().zip(&mut sizes) {
        sizes.output = on_disk(&store, kind);
    }
    bench.forget();
    let mut rows: Vec<Row> =
        kinds.iter().zip(&sizes).flat_map(|((_, names), sizes)| rows_of(names, sizes)).collect();
    rows.push(Row {
        what: "the store itself, whatever is in it",
        measured: format!("{} KiB", own >> 10),
        bar: String::new(),
        met: None,
    });
    rows
}

fn rows_of(names: &Names, sizes: &Sizes) -> Vec<Row> {
    let ratio = |what, of: u64, to: u64, bar: Option<f64>| {
        let ratio = of as f64 / to as f64;
        Row {
            what,
            measured: format!("{of}/{to} = {ratio:.3}"),
            bar: bar.map_or(String::new(), |bar| format!("<= {bar:.2}")),
            met: bar.map(|bar| ratio <= bar),
        }
    };
    let to_raw = |bytes: u64| format!("{:.3}", bytes as f64 / sizes.raw as f64);
    let others = [sizes.cast, sizes.cast_gzip, sizes.cast_zstd, sizes.script].map(to_raw);
    vec![
        ratio(names.recorded, sizes.recorded, sizes.raw, Some(RECORDED_MAX)),
        ratio(names.compacted, sizes.compacted, sizes.raw, None),
        ratio(names.to_gzip, sizes.compacted, sizes.cast_gzip_disk, Some(1.0)),
        ratio(names.output, sizes.output, sizes.cast_gzip_disk, None),
        Row { what: names.others, measured: others.join(" "), bar: String::new(), met: None },
    ]
}

/// Records all of the work at the same time, each with its kind for a tag.
fn record(bench: &Bench) -> Store {
    let this = this_path();
    let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/term/recordings");
    let il = |tag: &str| {
        let mut command = bench.il();
        command.args(["run", "-q", "--tag", tag]).env("TERM", "xterm-256color");
        command
    };
    std::thread::scope(|scope| {
        for agent in AGENTS {
            let mut command = il("agent");
            command.arg(&this).arg("be-player").arg(recordings.join(format!("{agent}.cast.gz")));
            scope.spawn(|| finish(Terminal::spawn_in(command, ROWS, COLS)));
        }
        let text = bench.dir.join("edited");
        fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"), &text).expect("a text");
        let mut command = il("vim");
        command.args(["vim", "-N", "-u", "NONE", "-i", "NONE", "-n"]).arg(text);
        scope.spawn(|| {
            let terminal = Terminal::spawn_in(command, ROWS, COLS);
            let keys = terminal.keyboard();
            std::thread::scope(|scope| {
                scope.spawn(move || type_slowly(keys));
                finish(terminal);
            });
        });
        let mut command = il("log");
        command.arg(&this).arg("be-build");
        scope.spawn(|| finish(Terminal::spawn_in(command, ROWS, COLS)));
    });
    let store = Store::open(&bench.dir.join("home"), Access::Read).expect("the store");
    // What ended is packed behind il's back; where something was typed, that is read first.
    let busy = |entry: &Entry| {
        let is_unread =
            |meta: &str| !meta.contains("\"bytes_in\":0,") && !meta.contains("\"derived\"");
        let is_due = store
            .last_record(entry, StreamId::META)
            .is_none_or(|(_, meta)| is_unread(&String::from_utf8_lossy(&meta)));
        entry.state == State::Live || is_due || store.is_held(entry)
    };
    while store.entries().expect("entries").any(|entry| busy(&entry)) {
        std::thread::sleep(Duration::from_millis(10));
    }
    store
}

fn finish(terminal: Terminal) {
    let (status, _) = terminal.finish();
    assert!(status.success(), "{status}");
}

fn type_slowly(mut keyboard: fs::File) {
    // The editor draws its first screen before anyone types.
    std::thread::sleep(Duration::from_secs(1));
    for key in [KEYS.repeat(KEYS_TIMES).as_str(), ":q!\r"].concat().bytes() {
        keyboard.write_all(&[key]).expect("a key");
        std::thread::sleep(KEY_EVERY);
    }
}

fn sessions(store: &Store, kind: &str) -> Vec<Entry> {
    let tag = format!("\"tags\":[\"{kind}\"]");
    let is_kind = |entry: &Entry| {
        let (_, meta) = store.last_record(entry, StreamId::META).expect("its meta");
        String::from_utf8_lossy(&meta).contains(&tag)
    };
    let found: Vec<Entry> = store.entries().expect("entries").filter(is_kind).collect();
    assert!(!found.is_empty(), "no {kind} was recorded");
    found
}

fn on_disk(store: &Store, kind: &str) -> u64 {
    let usage = |entry: &Entry| store.usage(entry).expect("its usage");
    sessions(store, kind).iter().map(usage).map(|usage| usage.tape + usage.notes).sum()
}

/// What is no session's: superblocks and the catalog.
fn store_itself(store: &Store) -> u64 {
    let all = store.usage_of_all().expect("usage").notes;
    let usage = |entry: Entry| store.usage(&entry).expect("its usage");
    let sessions: u64 =
        store.entries().expect("entries").map(usage).map(|usage| usage.tape + usage.notes).sum();
    all - sessions
}

/// Takes everything out of the store but output and times.
fn only_output(store: &Store) {
    let entries: Vec<Entry> = store.entries().expect("entries").collect();
    for entry in entries {
        let mut only = |stream: StreamId, _: &[u8]| match stream {
            StreamId::STDOUT | StreamId::META => Change::None,
            _ => Change::Left,
        };
        store.rewrite(&entry, &mut only).expect("a session rewritten");
    }
}

fn as_recorded(bench: &Bench, store: &Store, kind: &str) -> Sizes {
    let mut sizes = Sizes { recorded: on_disk(store, kind), ..Sizes::default() };
    for entry in sessions(store, kind) {
        let id: String = entry.id.iter().map(|byte| format!("{byte:02x}")).collect();
        let id = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-");
        let out = output(bench.il().args(["dump", "stdout", &id]));
        sizes.raw += out.len() as u64;
        let cast = bench.dir.join("out.cast");
        output(bench.il().args(["export", "cast", "--raw", &id, "-o"]).arg(&cast));
        sizes.cast += len(&cast);
        let gzip = output(Command::new("gzip").args(["-6", "-c"]).arg(&cast)).len() as u64;
        sizes.cast_gzip += gzip;
        sizes.cast_gzip_disk += gzip.next_multiple_of(BLOCK);
        sizes.cast_zstd += output(Command::new("zstd").args(["-3", "-c"]).arg(&cast)).len() as u64;
        let _ = fs::remove_file(&cast);
        let script = bench.dir.join("out.script");
        output(bench.il().args(["export", "script", "--raw", &id, "-o"]).arg(&script));
        sizes.script += take_all(&script);
    }
    sizes
}

/// The bytes of a directory's files; removes it.
fn take_all(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).expect("a directory");
    let sum = files.map(|file| len(&file.expect("a file").path())).sum();
    let _ = fs::remove_dir_all(dir);
    sum
}

fn len(path: &Path) -> u64 {
    fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).len()
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", output.status);
    output.stdout
}

/// Plays an asciicast v2, gzipped: each event's bytes at its time.
pub fn play(path: &str) -> ExitCode {
    let mut text = String::new();
    let file = fs::File::open(path).expect("a recording");
    GzDecoder::new(file).read_to_string(&mut text).expect("a recording");
    make_raw();
    let start = Instant::now();
    let mut out = std::io::stdout().lock();
    for line in text.lines().skip(1) {
        let event: serde_json::Value = serde_json::from_str(line).expect("an event");
        let (Some(at_s), Some("o"), Some(bytes)) =
            (event[0].as_f64(), event[1].as_str(), event[2].as_str())
        else {
            continue;
        };
        let at = Duration::from_secs_f64(at_s);
        std::thread::sleep(at.saturating_sub(start.elapsed()));
        out.write_all(bytes.as_bytes()).expect("room");
        out.flush().expect("room");
    }
    ExitCode::SUCCESS
}

/// Prints what a build of very many files prints: progress, compilers' lines, warnings.
pub fn build() -> ExitCode {
    let mut seed = 7u64;
    let mut below = |end: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % end
    };
    let words = ["store", "page", "lease", "relay", "screen", "parser", "event", "catalog"];
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in 0..LOG_LINES {
        let percent = u64::from(line) * 100 / u64::from(LOG_LINES);
        let file = format!(
            "src/{}/{}_{}.c",
            words[below(8) as usize],
            words[below(8) as usize],
            below(900)
        );
        let printed = match below(20) {
            0 => writeln!(
                out,
                "{file}:{}:{}: warning: unused variable '{}_{}' [-Wunused-variable]",
                below(2000),
                below(80),
                words[below(8) as usize],
                below(100)
            ),
            1..8 => {
                writeln!(out, "cc -O2 -g -Wall -Iinclude -c {file} -o obj/{}.o", below(1 << 20))
            }
            _ => writeln!(out, "\x1b[32m[{percent:3}%]\x1b[0m Building C object {file}.o"),
        };
        printed.expect("room");
    }
    out.flush().expect("room");
    ExitCode::SUCCESS
}
