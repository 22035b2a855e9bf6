//! Agents' transcripts, grown from those that the tests have to the size of a long session's.

use std::fs;
use std::io::Write;
use std::path::Path;

use intentloop::agent::{self, File, Scope};

/// Members whose strings must differ from copy to copy: what repeats an id is no new record.
const IDS: &[&[u8]] = &[
    b"\"uuid\":\"",
    b"\"parentUuid\":\"",
    b"\"id\":\"",
    b"\"tool_use_id\":\"",
    b"\"call_id\":\"",
    b"\"response_id\":\"",
    b"\"requestId\":\"",
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

/// Reads a transcript, as a process of its own so that its cost can be told: prints how many
/// microseconds of the processor it took, how many events there were, and the most memory in KiB.
/// The bytes are there before the clock runs.
pub fn read(agent: &str, path: &str) {
    let agent = agent::by_name(agent).expect("an agent");
    let bytes = fs::read(path).expect("a transcript");
    let start_ns = on_cpu_ns();
    let transcript = agent.read(&[File { path, bytes: &bytes }], &Scope::default());
    let took_us = (on_cpu_ns() - start_ns) / 1000;
    println!("{took_us} {}", transcript.events.len());
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    println!("{}", peak.unwrap_or("0").trim().trim_end_matches(" kB"));
}

/// How long this process, which has one thread, has run: others on the machine do not count.
fn on_cpu_ns() -> u64 {
    let text = fs::read_to_string("/proc/self/schedstat").expect("the scheduler's counts");
    text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("a number")
}
