//! The measurements, one function a theme.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Pid;

use crate::Row;
use crate::sessions;
use crate::terminal::Terminal;
use crate::tools::{Bench, Tool, this_path};

/// Round trips a tool makes in a round, after the first ones, which do not count.
const ROUND_TRIPS: usize = 1000;
const WARM_UP: usize = 100;

/// Runs of `true` a tool makes in a round.
const STARTS: usize = 20;

/// Sessions in the store that `il list` reads the newest of.
const SESSIONS: u32 = 100_000;

/// Sessions whose text is searched, and the bytes of each.
const TEXTS: u32 = 64;
const TEXT_LEN: usize = 16 << 20;

/// What a search may take of memory, in KiB.
const SEARCH_KIB_MAX: u64 = 64 << 10;

/// Between two looks at the memory of a process at work.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What il may take of memory, in KiB.
const MEMORY_KIB_MAX: u64 = 8 << 10;

/// The size that the transcripts are grown to, in bytes.
pub const TRANSCRIPT_LEN: usize = 100 << 20;

/// How fast a transcript is read at least, in million bytes a second of processor time.
const TRANSCRIPT_MB_S_MIN: f64 = 200.0;

/// What reading one may take of memory, its own bytes included, in KiB.
pub const TRANSCRIPT_KIB_MAX: u64 = 32 << 10;

/// What the static binary may have, in bytes.
const SIZE_MAX: u64 = 1 << 20;

/// Seconds and fractions of them.
pub fn median(values: &mut [Duration]) -> Duration {
    values.sort();
    values[values.len() / 2]
}

/// Measures every tool once a round, each round beginning with another, and keeps all values.
fn in_turn(
    bench: &Bench,
    tools: &[Tool],
    mut measure: impl FnMut(Tool) -> Vec<Duration>,
) -> Vec<(Tool, Vec<Duration>)> {
    let mut all: Vec<_> = tools.iter().map(|&tool| (tool, Vec::new())).collect();
    for round in 0..bench.rounds {
        for turn in 0..all.len() {
            let at = (round + turn) % all.len();
            let values = measure(all[at].0);
            all[at].1.extend(values);
            bench.forget();
        }
    }
    all
}

/// The medians of il and of what it is compared with, as rows: `bars` are the highest ratios.
fn ratios(
    mut all: Vec<(Tool, Vec<Duration>)>,
    show: fn(Duration) -> String,
    bars: &[(&'static str, Tool, f64)],
) -> Vec<Row> {
    let medians: Vec<_> = all.iter_mut().map(|(tool, values)| (*tool, median(values))).collect();
    let of = |wanted| medians.iter().find(|(tool, _)| *tool == wanted).map(|(_, median)| *median);
    let il = of(Tool::Il).expect("il is always measured");
    let row = |&(what, tool, bar): &(&'static str, Tool, f64)| {
        let bar_text = format!("<= {bar:.2}");
        let Some(other) = of(tool) else {
            return Row { what, measured: "not here".into(), bar: bar_text, met: None };
        };
        let ratio = il.as_secs_f64() / other.as_secs_f64();
        let measured = format!("{}/{} = {ratio:.3}", show(il), show(other));
        Row { what, measured, bar: bar_text, met: Some(ratio <= bar) }
    };
    bars.iter().map(row).collect()
}

fn seconds(duration: Duration) -> String {
    format!("{:.3}s", duration.as_secs_f64())
}

fn microseconds(duration: Duration) -> String {
    format!("{:.1}us", duration.as_secs_f64() * 1e6)
}

/// A file through the PTY.
pub fn flood(bench: &Bench) -> Vec<Row> {
    let file = bench.text_file(bench.flood_len);
    let shown = bench.flood_len + bench.flood_len / 64;
    let all = in_turn(bench, &bench.tools(), |tool| {
        let start = Instant::now();
        let (status, len) = Terminal::spawn(bench.command(tool, &["cat", &file])).finish();
        assert!(status.success(), "{tool:?}: {status}");
        assert!(len >= shown, "{tool:?}: {len} of {shown} bytes shown");
        vec![start.elapsed()]
    });
    let bars = [
        ("cat through the PTY, il/bare", Tool::Bare, 1.05),
        ("cat through the PTY, il/script", Tool::Script, 0.95),
        ("cat through the PTY, il/asciinema", Tool::Asciinema, 0.45),
    ];
    ratios(all, seconds, &bars)
}

/// A file through a pipe; what `tee` costs is the bar.
pub fn pipe(bench: &Bench) -> Vec<Row> {
    let len = bench.flood_len * 4;
    let file = bench.text_file(len);
    let tee = format!("cat {file} | tee {}", bench.dir.join("tee").display());
    // `tee` stands in Script's place: it keeps a copy and no more.
    let all = in_turn(bench, &[Tool::Il, Tool::Script], |tool| {
        let mut command = match tool {
            Tool::Il => bench.command(Tool::Il, &["cat", &file]),
            _ => {
                let mut command = Command::new("sh");
                command.args(["-c", &tee]);
                command
            }
        };
        let start = Instant::now();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        let mut buffer = vec![0; 64 << 10];
        let mut left = len;
        while left > 0 {
            let n = out.read(&mut buffer).unwrap();
            assert!(n > 0, "{left} bytes are missing");
            left -= n as u64;
        }
        assert!(child.wait().unwrap().success());
        vec![start.elapsed()]
    });
    let _ = fs::remove_file(file);
    ratios(all, seconds, &[("cat into a pipe, il/tee", Tool::Script, 1.0)])
}

/// A keystroke's way to the command and back.
pub fn echo(bench: &Bench) -> Vec<Row> {
    let this = this_path();
    let all = in_turn(bench, &bench.tools(), |tool| {
        let mut terminal = Terminal::spawn(bench.command(tool, &[&this, "be-echo"]));
        terminal.wait_for(b'!');
        for _ in 0..WARM_UP {
            terminal.round_trip();
        }
        let times = (0..ROUND_TRIPS).map(|_| terminal.round_trip()).collect();
        terminal.type_keys(b"q");
        terminal.finish();
        times
    });
    let bars = [
        ("echo of a byte, median, il/bare", Tool::Bare, 1.10),
        ("echo of a byte, median, il/script", Tool::Script, 1.0),
        ("echo of a byte, median, il/asciinema", Tool::Asciinema, 1.0),
    ];
    ratios(all, microseconds, &bars)
}

/// The cost of a run that does nothing: where there is no repository, and in one, the git that
/// looks at it having ended before the next run.
pub fn start(bench: &Bench) -> Vec<Row> {
    let places = [
        ("run true, il - bare", Path::new("/").to_owned()),
        ("run true in a git repository, il - bare", bench.repository()),
    ];
    let row = |(what, place): (&'static str, PathBuf)| {
        let mut all = in_turn(bench, &[Tool::Bare, Tool::Il], |tool| {
            let run = || {
                let mut command = bench.command(tool, &["true"]);
                command.current_dir(&place);
                let start = Instant::now();
                assert!(Terminal::spawn(command).finish().0.success());
                let took = start.elapsed();
                bench.wait_for_git();
                took
            };
            // The first one makes the store: that happens once in its life.
            run();
            (0..STARTS).map(|_| run()).collect()
        });
        let bare = median(&mut all[0].1);
        let il = median(&mut all[1].1);
        Row {
            what,
            measured: format!("{} - {}", microseconds(il), microseconds(bare)),
            bar: "<= 2 ms".into(),
            met: Some(il.saturating_sub(bare) <= Duration::from_millis(2)),
        }
    };
    places.map(row).into()
}

/// System calls of a run in which nothing happens.
pub fn idle(bench: &Bench) -> Vec<Row> {
    let what = "system calls of an idle run";
    let bar = "0".to_owned();
    let mut terminal = Terminal::spawn(bench.command(Tool::Il, &[&this_path(), "be-echo"]));
    terminal.wait_for(b'!');
    // What follows the start, such as the store's first sync, is not idleness.
    std::thread::sleep(Duration::from_secs(3));
    let table = bench.dir.join("strace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-o"]).arg(&table);
    for pid in std::iter::once(terminal.pid()).chain(children(terminal.pid())) {
        strace.args(["-p", &pid.as_raw_nonzero().to_string()]);
    }
    let Ok(mut strace) = strace.stderr(Stdio::null()).spawn() else {
        terminal.kill();
        return vec![Row { what, measured: "no strace here".into(), bar, met: None }];
    };
    std::thread::sleep(Duration::from_secs(bench.idle_s));
    let tracer = Pid::from_child(&strace);
    rustix::process::kill_process(tracer, rustix::process::Signal::INT).unwrap();
    strace.wait().unwrap();
    terminal.type_keys(b"q");
    terminal.finish();
    bench.forget();
    let Ok(table) = fs::read_to_string(table) else {
        return vec![Row { what, measured: "strace may not".into(), bar, met: None }];
    };
    // `% time  seconds  usecs/call  calls  [errors]  syscall`, and a last line with the total.
    let total = table.lines().rev().find(|line| line.ends_with("total"));
    let calls: u64 = match total {
        Some(line) => line.split_whitespace().nth(3).unwrap().parse().unwrap(),
        None => 0,
    };
    vec![Row {
        what,
        measured: format!("{calls} in {} s", bench.idle_s),
        bar,
        met: Some(calls == 0),
    }]
}

/// The processes that a recorder has started: its monitor, and who looks for agents.
fn children(pid: Pid) -> Vec<Pid> {
    let path = format!("/proc/{0}/task/{0}/children", pid.as_raw_nonzero());
    let children = fs::read_to_string(path).unwrap_or_default();
    let pids = children.split_whitespace().map(|pid| pid.parse().unwrap());
    pids.filter_map(Pid::from_raw).collect()
}

/// The most memory a process has had; None once it has ended.
fn peak_kib(pid: Pid) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse().unwrap())
}

/// The most memory il has had.
pub fn memory(bench: &Bench) -> Vec<Row> {
    let row = |what, kib: u64| Row {
        what,
        measured: format!("{kib} KiB"),
        bar: format!("<= {MEMORY_KIB_MAX} KiB"),
        met: Some(kib <= MEMORY_KIB_MAX),
    };
    let len = bench.flood_len * 4;
    let flood = [&this_path(), "be-flood", &len.to_string()];
    let mut terminal = Terminal::spawn(bench.command(Tool::Il, &flood));
    terminal.discard_until(len + len / 64);
    let in_flood = peak_kib(terminal.pid()).expect("il waits for a key");
    terminal.type_keys(b"\r");
    terminal.finish();
    bench.forget();

    let terminal = Terminal::spawn(bench.command(Tool::Il, &["yes"]));
    std::thread::sleep(Duration::from_secs(bench.stall_s));
    let stalled = peak_kib(terminal.pid()).expect("il waits for its reader");
    terminal.kill();
    bench.forget();
    vec![row("peak memory in a flood", in_flood), row("peak memory, reader stopped", stalled)]
}

/// Very many sessions: what one waits for who looks at them. Whole processes; where it says cold,
/// nothing of the store is in memory. The index is as old as it gets.
pub fn list(bench: &Bench) -> Vec<Row> {
    let home = sessions::many(SESSIONS);
    let ids = list_lines(bench, &home, &["completion", "sessions"]);
    let newest = &ids[7][..13];
    let all = SESSIONS as usize;
    // How many sessions are tagged, failed, of a day, and so on, `sessions::many` says.
    let rows: [(&str, &[&str], usize, u64, bool); 26] = [
        ("il list, 20 newest of 100,000, cold", &["list"], 21, 10, true),
        ("il last, of 100,000, cold", &["last"], 0, 10, true),
        ("il show, by the beginning of an id, cold", &["show", newest], 0, 10, true),
        ("the same of an early one", &["show", "019b76df-3be0"], 0, 10, true),
        ("the same by the end of an id", &["show", "2ce22b4ed990ad"], 0, 10, true),
        ("il list --all of 100,000, piped", &["list", "--all"], all + 1, 500, false),
        ("il list --tag of 5 in 100,000", &["list", "--tag", "rare"], 6, 50, false),
        ("il list --status of none in 100,000", &["list", "--status", "interrupted"], 0, 50, false),
        ("il list --agent of none in 100,000", &["list", "--agent", "aider"], 0, 50, false),
        ("il list --project of none in 100,000", &["list", "--project", "other"], 0, 50, false),
        ("il list --here of none in 100,000", &["list", "--here"], 0, 50, false),
        ("il list --model of none in 100,000", &["list", "--model", "sonnet"], 0, 50, false),
        ("il list --search of none in 100,000", &["list", "--search", "zebra"], 0, 50, false),
        (
            "il list --search of one in 100,000",
            &["list", "--search", "since change 4711:"],
            2,
            50,
            false,
        ),
        ("il list --file of none in 100,000", &["list", "--file", "/home/me/other"], 0, 50, false),
        (
            "il list --file of 5 in 100,000",
            &["list", "--file", "/home/me/src/project-07/crates/core/tools/report-11.py"],
            6,
            50,
            false,
        ),
        (
            "il why, of 2 in 100,000",
            &["why", "/home/me/src/project-07/crates/core/src/part-11"],
            3,
            50,
            false,
        ),
        ("il why, of none in 100,000", &["why", "/home/me/src/project-07/x"], 0, 50, false),
        ("il stats of 100,000", &["stats"], 0, 1000, false),
        ("il stats of 5 in 100,000", &["stats", "--tag", "rare"], 0, 50, false),
        ("il stats of none in 100,000", &["stats", "--search", "zebra"], 0, 50, false),
        (
            "il search in 5 of 100,000",
            &["search", "--tag", "rare", "--in", "screen", "passed"],
            6,
            50,
            false,
        ),
        (
            "il list of the first day of 100,000",
            &["list", "--before", "2026-01-01T23:59:59Z", "--all"],
            1441,
            50,
            false,
        ),
        ("a session's id completed, of 100,000", &["completion", "sessions"], 100, 20, false),
        ("a tag completed, of 100,000", &["completion", "tags"], 1, 20, false),
        ("a project completed, of 100,000", &["completion", "projects"], 43, 20, false),
    ];
    let rows = rows.map(|(what, words, lines, bar_ms, cold)| {
        let mut times: Vec<_> =
            (0..bench.rounds).map(|_| list_once(bench, &home, words, lines, cold)).collect();
        let time = median(&mut times);
        Row {
            what,
            measured: format!("{:.2} ms", time.as_secs_f64() * 1e3),
            bar: format!("<= {bar_ms} ms"),
            met: Some(time <= Duration::from_millis(bar_ms)),
        }
    });
    rows.into()
}

/// The lines that il prints about the store in `home`.
fn list_lines(bench: &Bench, home: &Path, words: &[&str]) -> Vec<String> {
    let output = bench.il().env("INTENTLOOP_HOME", home).args(words).output().unwrap();
    assert!(output.status.success(), "{}", output.stderr.escape_ascii());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// How long il takes, which must print so many lines; with 0, something or nothing.
fn list_once(bench: &Bench, home: &Path, words: &[&str], lines: usize, cold: bool) -> Duration {
    if cold {
        forget_caches(home);
    }
    let mut il = bench.il();
    il.env("INTENTLOOP_HOME", home).args(words).stdin(Stdio::null());
    let start = Instant::now();
    let output = il.output().unwrap();
    let time = start.elapsed();
    let said = output.stderr.escape_ascii();
    assert!(output.status.success() || lines == 0 && output.stdout.is_empty(), "{said}");
    let printed = output.stdout.iter().filter(|&&byte| byte == b'\n').count();
    assert!(lines == 0 || printed == lines, "{printed} of {lines} lines: {said}");
    time
}

/// A word in very much settled text, beside ripgrep over the same text in files.
pub fn search(bench: &Bench) -> Vec<Row> {
    let files = bench.dir.join("files");
    sessions::fill_with_text(&bench.dir.join("home"), &files, TEXTS, TEXT_LEN);
    let bar = "<= 1.50".to_owned();
    let mut rows = Vec::new();
    for (what, word) in [
        ("search 1 GiB, a word that is not there, il/rg", "zebraquux"),
        ("search 1 GiB, a word that is rare, il/rg", "thanzidoque thanzi"),
    ] {
        let mut times = [Vec::new(), Vec::new()];
        let mut peak_kib: Option<u64> = None;
        for _ in 0..bench.rounds {
            let mut il = bench.il();
            il.args(["search", "--in", "screen", word]);
            let mut rg = Command::new("rg");
            rg.args(["--smart-case", "--fixed-strings", "--no-ignore", word]).arg(&files);
            for (tool, mut command) in [il, rg].into_iter().enumerate() {
                let start = Instant::now();
                let output = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
                let Ok(child) = output else { continue };
                let peak = wait_with_peak(child);
                times[tool].push(start.elapsed());
                if tool == 0 {
                    peak_kib = peak_kib.max(peak);
                }
            }
        }
        let [il, rg] = times.each_mut().map(|times| match times.is_empty() {
            true => None,
            false => Some(median(times)),
        });
        let il = il.expect("il is here");
        rows.push(match rg {
            Some(rg) => {
                let ratio = il.as_secs_f64() / rg.as_secs_f64();
                let measured = format!("{}/{} = {ratio:.3}", seconds(il), seconds(rg));
                Row { what, measured, bar: bar.clone(), met: Some(ratio <= 1.5) }
            }
            None => {
                let measured = format!("{}, no rg here", seconds(il));
                Row { what, measured, bar: bar.clone(), met: None }
            }
        });
        rows.push(Row {
            what: "  its peak memory",
            measured: match peak_kib {
                Some(kib) => format!("{kib} KiB"),
                None => "not seen".into(),
            },
            bar: format!("<= {SEARCH_KIB_MAX} KiB"),
            met: peak_kib.map(|kib| kib <= SEARCH_KIB_MAX),
        });
    }
    bench.forget();
    let _ = fs::remove_dir_all(files);
    rows
}

/// Waits for a child's end; the most memory it has had, in KiB, where it was seen at work.
///
/// The kernel tells that of no process that has ended, and what `wait4` says of one counts the
/// memory of whoever started it too: so it is asked for, again and again, while the child lives.
pub fn wait_with_peak(mut child: std::process::Child) -> Option<u64> {
    let pid = Pid::from_child(&child);
    let mut sink = Vec::new();
    let mut out = child.stdout.take().unwrap();
    let peak = std::thread::scope(|scope| {
        let look = scope.spawn(move || {
            let mut peak = None;
            while let Some(kib) = peak_kib(pid) {
                peak = Some(kib);
                std::thread::sleep(LOOK_EVERY);
            }
            peak
        });
        out.read_to_end(&mut sink).unwrap();
        look.join().unwrap()
    });
    child.wait().unwrap();
    peak
}

/// Makes the kernel forget the bytes of the store in `home`.
fn forget_caches(home: &Path) {
    for entry in fs::read_dir(home).unwrap() {
        let file = fs::File::open(entry.unwrap().path()).unwrap();
        // Bytes that the disk does not have yet cannot be forgotten.
        file.sync_data().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }
}

/// Sessions that are taken in.
const IMPORTED: usize = 1000;

/// Taking in what an agent has kept, and taking it in once more.
pub fn import(bench: &Bench) -> Vec<Row> {
    let name = "7f3781e9-01bb-4faf-956b-b7cb15223a10";
    let seed =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/agent/claude/{name}.jsonl"));
    let text = fs::read_to_string(seed).unwrap();
    let kept = bench.dir.join("kept");
    let dir = kept.join(".claude/projects/-home-me-shop");
    fs::create_dir_all(&dir).unwrap();
    let mut bytes = 0;
    for number in 0..IMPORTED {
        let id = format!("{number:08x}{}", &name[8..]);
        let text = text.replace(name, &id);
        bytes += text.len();
        fs::write(dir.join(format!("{id}.jsonl")), text).unwrap();
    }
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..bench.rounds {
        let home = bench.dir.join("imported");
        for times in &mut times {
            let mut il = bench.il();
            il.env("INTENTLOOP_HOME", &home).arg("import").arg(&kept).stdin(Stdio::null());
            let start = Instant::now();
            let output = il.output().unwrap();
            times.push(start.elapsed());
            assert!(output.status.success(), "{}", output.stderr.escape_ascii());
        }
        let _ = fs::remove_dir_all(home);
    }
    let _ = fs::remove_dir_all(kept);
    let [first, again] = times.each_mut().map(|times| median(times));
    let mb = bytes as f64 / 1e6;
    let row = |what, time: Duration, most: Duration| Row {
        what,
        measured: format!("{} ({:.1} MB/s)", seconds(time), mb / time.as_secs_f64()),
        bar: format!("<= {}", seconds(most)),
        met: Some(time <= most),
    };
    vec![
        row("il import of 1,000 sessions", first, Duration::from_secs(5)),
        row("the same once more", again, Duration::from_secs(2)),
    ]
}

/// Agents whose transcripts grow long, with one of each that the tests have.
const TRANSCRIPTS: [(&str, &str, [&str; 2]); 6] = [
    (
        "claude",
        "7f3781e9-01bb-4faf-956b-b7cb15223a10.jsonl",
        ["reading Claude Code's transcript", "and its memory"],
    ),
    (
        "codex",
        "rollout-2026-11-20T23-16-29-01a1fb3f-40da-75f2-8dc6-04fb0dabea2d.jsonl",
        ["reading Codex' transcript", "and its memory"],
    ),
    (
        "gemini",
        "session-2026-11-20T23-22-e2e74583.jsonl",
        ["reading Gemini's transcript", "and its memory"],
    ),
    (
        "copilot",
        "431c00ff-5562-4416-b26a-38ae7b0db4c6/events.jsonl",
        ["reading Copilot's transcript", "and its memory"],
    ),
    (
        "qwen",
        "329268ba-0574-4b69-92e6-a26a2c3e1b12.jsonl",
        ["reading Qwen Code's transcript", "and its memory"],
    ),
    (
        "kimi",
        "session_1e77d494-2197-4d5b-8538-1013385a005a/agents/main/wire.jsonl",
        ["reading Kimi Code's transcript", "and its memory"],
    ),
];

/// Transcripts of agents: how fast they become events, and the memory of whoever does it.
pub fn agents(bench: &Bench) -> Vec<Row> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agent");
    let rows = TRANSCRIPTS.iter().flat_map(|&(agent, name, [what, memory])| {
        let path = bench.dir.join(name);
        fs::create_dir_all(path.parent().expect("a directory")).unwrap();
        crate::agents::grow(&seeds.join(agent).join(name), &path, TRANSCRIPT_LEN);
        let read = || {
            let mut command = crate::tools::this();
            let output = command.args(["be-reader", agent]).arg(&path).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let numbers: Vec<u64> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
            let [took_us, events, kib] = numbers[..] else { panic!("{text}") };
            assert!(events > 10_000, "{agent}: {events} events");
            (Duration::from_micros(took_us), kib)
        };
        let runs: Vec<_> = (0..bench.rounds).map(|_| read()).collect();
        let took = median(&mut runs.iter().map(|(took, _)| *took).collect::<Vec<_>>());
        let kib = runs.iter().map(|(_, kib)| *kib).max().unwrap_or(0);
        let mb_s = fs::metadata(&path).unwrap().len() as f64 / 1e6 / took.as_secs_f64();
        let _ = fs::remove_file(&path);
        [
            Row {
                what,
                measured: format!("{mb_s:.0} MB/s"),
                bar: format!(">= {TRANSCRIPT_MB_S_MIN:.0} MB/s"),
                met: Some(mb_s >= TRANSCRIPT_MB_S_MIN),
            },
            Row {
                what: memory,
                measured: format!("{kib} KiB"),
                bar: format!("<= {TRANSCRIPT_KIB_MAX} KiB"),
                met: Some(kib <= TRANSCRIPT_KIB_MAX),
            },
        ]
    });
    let mut rows: Vec<Row> = rows.collect();
    let claudes = seeds.join("claude");
    rows.extend(crate::agents::recorded(bench, &claudes, TRANSCRIPTS[0].1));
    rows.extend(crate::agents::short(bench, &claudes, TRANSCRIPTS[0].1));
    rows
}

/// What is installed on a machine.
pub fn binary(_: &Bench) -> Vec<Row> {
    let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let triple = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let size = fs::metadata(target.join(triple).join("static/il")).map(|meta| meta.len());
    vec![Row {
        what: "the static binary",
        measured: match &size {
            Ok(len) => format!("{len} bytes"),
            Err(_) => "not built: make static".into(),
        },
        bar: "<= 1 MiB".into(),
        met: size.ok().map(|len| len <= SIZE_MAX),
    }]
}
