//! Agents' transcripts, grown from those that the tests have to the size of a long session's.

use std::fs;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use intentloop::agent::{self, Long, Scope, Sink};
use intentloop::event::{Event, Evidence, Usage};
use intentloop::json::Pieces;

use crate::Row;
use crate::rows::{TRANSCRIPT_KIB_MAX, TRANSCRIPT_LEN, median, wait_with_peak};
use crate::tools::Bench;

/// The longest that a transcript is waited for.
const SHOWN_MAX: Duration = Duration::from_secs(300);
/// The pieces in which a transcript comes, as it comes out of a store.
const PIECE_LEN: usize = 32 << 10;

/// Members whose strings must differ from copy to copy: what repeats an id is no new record.
const IDS: &[&[u8]] = &[
    b"\"uuid\":\"",
    b"\"parentUuid\":\"",
    b"\"id\":\"",
    b"\"tool_use_id\":\"",
    b"\"call_id\":\"",
    b"\"response_id\":\"",
    b"\"requestId\":\"",
    b"\"parentId\":\"",
    b"\"callId\":\"",
    b"\"toolCallId\":\"",
    b"\"apiCallId\":\"",
];

/// Writes copies of a session, one after the other, until there are `len` bytes. A copy's first
/// record goes on from the last record of the copy before.
pub fn grow(seed: &Path, to: &Path, len: usize) {
    let seed = fs::read(seed).expect("a transcript");
    let cuts = cuts(&seed);
    let last = last_uuid(&seed);
    let mut out = std::io::BufWriter::new(fs::File::create(to).expect("a file"));
    let mut written = 0;
    for number in 0.. {
        let mut copy = Vec::with_capacity(2 * seed.len());
        let mut from = 0;
        for &cut in &cuts {
            copy.extend_from_slice(&seed[from..cut]);
            let _ = write!(copy, "-{number}");
            from = cut;
        }
        copy.extend_from_slice(&seed[from..]);
        if number > 0 && !last.is_empty() {
            let root = b"\"parentUuid\":null";
            if let Some(at) = copy.windows(root.len()).position(|window| window == root) {
                let parent = format!("\"parentUuid\":\"{last}-{}\"", number - 1);
                copy.splice(at..at + root.len(), parent.into_bytes());
            }
        }
        out.write_all(&copy).expect("room on the disk");
        written += copy.len();
        if written >= len {
            break;
        }
    }
    out.flush().expect("room on the disk");
}

/// The ends of the strings that are ids.
fn cuts(text: &[u8]) -> Vec<usize> {
    let mut cuts = Vec::new();
    for at in 0..text.len() {
        if let Some(head) = IDS.iter().find(|head| text[at..].starts_with(head)) {
            let start = at + head.len();
            let len = text[start..].iter().position(|b| *b == b'"').unwrap_or(0);
            cuts.push(start + len);
        }
    }
    cuts
}

fn last_uuid(text: &[u8]) -> String {
    let head = b"\"uuid\":\"";
    let Some(at) = text.windows(head.len()).rposition(|window| window == head) else {
        return String::new();
    };
    let id = text[at + head.len()..].split(|b| *b == b'"').next().unwrap_or_default();
    String::from_utf8_lossy(id).into_owned()
}

/// A transcript in a file.
struct OnDisk<'a>(&'a str);

impl Pieces for OnDisk<'_> {
    fn each(&self, take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        let mut file = fs::File::open(self.0).expect("a transcript");
        let mut piece = vec![0; PIECE_LEN];
        loop {
            let len = file.read(&mut piece).expect("a transcript");
            if len == 0 || take(&piece[..len]).is_break() {
                return;
            }
        }
    }
}

/// Counts the events.
#[derive(Default)]
struct Count {
    events: u64,
}

impl Sink for Count {
    fn event(&mut self, event: Event) {
        std::hint::black_box(&event);
        self.events += 1;
    }

    fn usage(&mut self, _: u32, usage: Usage, _: Evidence) {
        std::hint::black_box(&usage);
    }
}

/// Reads a transcript, as a process of its own so that its cost can be told: prints how many
/// microseconds of the processor it took, how many events there were, and the most memory in KiB.
/// The file is in the page cache.
pub fn read(agent: &str, path: &str) {
    let agent = agent::by_name(agent).expect("an agent");
    OnDisk(path).each(&mut |_| ControlFlow::Continue(()));
    let start_ns = on_cpu_ns();
    let mut count = Count::default();
    let content = OnDisk(path);
    let files = [Long { path, content: &content }];
    let digest = agent.read_long(&files, &Scope::default(), &mut count);
    let took_us = (on_cpu_ns() - start_ns) / 1000;
    assert!(digest.order.len() as u64 <= count.events);
    println!("{took_us} {}", digest.order.len());
    println!("{}", peak_kib(std::process::id()));
}

/// A recorded session of an agent that has left a transcript as long: how soon `il show` has all of
/// it after the end, and the memory of reading it again.
pub fn recorded(bench: &Bench, seeds: &Path, name: &str) -> Vec<Row> {
    let took = run_agent(bench, seeds, name, TRANSCRIPT_LEN);
    // Whoever read it first packs it as well.
    let began = Instant::now();
    while !bench.il().arg("rederive").output().expect("il rederive").status.success() {
        assert!(began.elapsed() < SHOWN_MAX, "il rederive fails");
    }
    let peak = |words: &[&str]| {
        let mut il = bench.il();
        il.args(words).stdin(Stdio::null()).stdout(Stdio::piped());
        wait_with_peak(il.spawn().expect("il"))
    };
    let rows = [
        ("il rederive's memory for it", peak(&["rederive"])),
        ("il show's", peak(&["show"])),
        ("il dump chat's", peak(&["dump", "chat"])),
    ];
    let rows = rows.map(|(what, kib)| Row {
        what,
        measured: kib.map_or_else(|| "not seen".to_owned(), |kib| format!("{kib} KiB")),
        bar: format!("<= {TRANSCRIPT_KIB_MAX} KiB"),
        met: kib.map(|kib| kib <= TRANSCRIPT_KIB_MAX),
    });
    bench.forget();
    let _ = fs::remove_dir_all(bench.dir.join(".claude"));
    let first = told("from the agent's end to il show", format!("{:.1} s", took.as_secs_f64()));
    std::iter::once(first).chain(rows).collect()
}

/// How soon `il show` has all of a short session after its end, beside what it takes alone.
pub fn short(bench: &Bench, seeds: &Path, name: &str) -> Vec<Row> {
    let (mut plain, mut agent, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        bench.forget();
        let mut il = bench.il();
        il.args(["run", "-q", "sh", "-c", "echo hi"]).stdout(Stdio::null());
        assert!(il.status().expect("il").success());
        plain.push(until_shown(bench, "\"derived\""));
        agent.push(run_agent(bench, seeds, name, 1));
        let start = Instant::now();
        assert!(shown(bench).contains("\"derived\""));
        bare.push(start.elapsed());
    }
    bench.forget();
    let _ = fs::remove_dir_all(bench.dir.join(".claude"));
    let [plain, agent, bare] =
        [plain, agent, bare].map(|mut times| milliseconds(median(&mut times)));
    vec![
        told("from a short command's end to il show", plain),
        told("from an agent's, whose transcript is short", agent),
        told("il show alone", bare),
    ]
}

/// What is measured and has no bar.
fn told(what: &'static str, measured: String) -> Row {
    Row { what, measured, bar: "-".to_owned(), met: None }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// Records an agent that leaves a transcript of at least `len` bytes, and tells how soon after its
/// end `il show` has all of it.
fn run_agent(bench: &Bench, seeds: &Path, name: &str, len: usize) -> Duration {
    bench.forget();
    let _ = fs::remove_dir_all(bench.dir.join(".claude"));
    let dir = fs::canonicalize(&bench.dir).expect("a directory");
    let (seed, path) = (dir.join("seed.jsonl"), dir.join(name));
    let text = fs::read_to_string(seeds.join(name)).expect("a transcript");
    fs::write(&seed, of_a_run_in(&dir, &text)).expect("room on the disk");
    grow(&seed, &path, len);
    let id = name.trim_end_matches(".jsonl");
    let program = dir.join("claude");
    let dashes = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let project: String = dir.to_string_lossy().chars().map(dashes).collect();
    let projects = dir.join(".claude/projects").join(project);
    fs::create_dir_all(&projects).expect("a directory");
    let script = format!(
        "#!/bin/sh\nmv '{}' '{}/'\necho 'Resume this session with: claude --resume {id}'\n",
        path.display(),
        projects.display()
    );
    fs::write(&program, script).expect("a program");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, executable).expect("a program");
    let mut il = bench.il();
    il.current_dir(&dir).args(["run", "-q"]).arg(&program).stdout(Stdio::null());
    assert!(il.status().expect("il").success());
    until_shown(bench, "\"source\":\"transcript\"")
}

/// How long it takes until `il show` says this and nobody reads the recording any more.
fn until_shown(bench: &Bench, wanted: &str) -> Duration {
    let ended = Instant::now();
    loop {
        let text = shown(bench);
        if text.contains(wanted) && !text.contains("\"deriver\"") {
            return ended.elapsed();
        }
        assert!(ended.elapsed() < SHOWN_MAX, "il show has not {wanted}");
    }
}

fn shown(bench: &Bench) -> String {
    let output = bench.il().args(["show", "--json"]).output().expect("il show");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A transcript as it would be of a run in `dir` in years to come: what is older than its session,
/// or of another directory, is no part of it.
fn of_a_run_in(dir: &Path, text: &str) -> String {
    let late = text.replace("\"timestamp\":\"20", "\"timestamp\":\"29");
    let cwd = late.split("\"cwd\":\"").nth(1).and_then(|rest| rest.split('"').next());
    let cwd = format!("\"cwd\":\"{}\"", cwd.expect("a directory"));
    late.replace(&cwd, &format!("\"cwd\":\"{}\"", dir.display()))
}

/// The most memory that a process has had, in KiB.
fn peak_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|kib| kib.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// How long this process, which has one thread, has run: others on the machine do not count.
fn on_cpu_ns() -> u64 {
    let text = fs::read_to_string("/proc/self/schedstat").expect("the scheduler's counts");
    text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("a number")
}
