//! Transcripts cut at every place, with bytes changed, and rubbish: whatever can be read is read.

use super::*;

/// Reads a broken version of a case and checks what holds for any bytes.
fn check_broken(agent: &str, files: &[(String, Vec<u8>)], session: Option<&str>) -> Transcript {
    let transcript = read(agent, files, session);
    for event in &transcript.events {
        let evidence = event.evidence.as_ref().expect("evidence");
        let index: usize = evidence.stream["native/".len()..].parse().expect("an index");
        assert!(evidence.offset + evidence.len <= files[index].1.len() as u64);
    }
    transcript
}

/// Where a file may be cut: after each line, or, where it has none, each page.
fn cuts(path: &str, bytes: &[u8]) -> Vec<usize> {
    const PAGE_LEN: usize = 4096;
    match path.ends_with(".db") {
        true => (0..bytes.len()).step_by(PAGE_LEN).collect(),
        false => (1..=bytes.len()).filter(|end| bytes[end - 1] == b'\n').collect(),
    }
}

#[test]
fn transcripts_cut_anywhere_are_read_as_far_as_they_go() {
    for (agent, name, names) in CASES {
        let golden = golden(agent, name);
        let session = golden["session"].as_str();
        let files = load(agent, names);
        let whole = read(agent, &files, session).events.len();
        for (at, (path, bytes)) in files.iter().enumerate() {
            // What is beside the words is read as well, and says nothing.
            let words = [".jsonl", ".md", ".json"].iter().any(|end| path.ends_with(end));
            let log = path.ends_with(".jsonl");
            let mut before = 0;
            for end in cuts(path, bytes) {
                // Cut after a line, and in the middle of the next.
                let mut cut = files.clone();
                cut[at].1.truncate(end);
                let at_line = check_broken(agent, &cut, session);
                cut[at].1 = bytes[..(end + 40).min(bytes.len())].to_vec();
                let in_line = check_broken(agent, &cut, session);
                let context = format!("{agent}/{name}: {path}: {end}");
                if log {
                    assert!(at_line.notes.is_empty(), "{context}: {:?}", at_line.notes);
                }
                if words {
                    assert!(in_line.events.len() >= at_line.events.len(), "{context}");
                    assert!(at_line.events.len() >= before, "{context}: events were lost");
                    before = at_line.events.len();
                }
            }
            assert!(before <= whole, "{agent}/{name}");
        }
    }
}

/// Of one document, what a cut leaves whole is read, too.
#[test]
fn documents_cut_anywhere_give_the_messages_before() {
    for (agent, names, of) in [
        ("cline", ["1795218087880_2hoih"], ".messages.json"),
        ("gemini", ["legacy"], ".json"),
        ("opencode", ["export.json"], ".json"),
    ] {
        let files = load(agent, &names);
        let at = files.iter().position(|(path, _)| path.ends_with(of)).expect(of);
        let whole = spoken(agent, &read(agent, &files, None).events);
        let mut cut = files.clone();
        cut[at].1.truncate(files[at].1.len() - 30);
        let left = spoken(agent, &check_broken(agent, &cut, None).events);
        assert!(left.len() + 4 >= whole.len() && left.len() > 1, "{agent}: {left:?}");
        assert_eq!(left, whole[..left.len()], "{agent}");
    }
}

#[test]
fn mutated_transcripts_neither_panic_nor_lose_the_rest() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for (agent, name, names) in CASES {
        let golden = golden(agent, name);
        let session = golden["session"].as_str();
        let files = load(agent, names);
        for round in 0..12 {
            let mut broken = files.clone();
            for (_, bytes) in &mut broken {
                for _ in 0..=round {
                    let at = next() as usize % bytes.len();
                    match next() % 4 {
                        0 => bytes[at] = next() as u8,
                        1 => bytes[at..].iter_mut().take(24).for_each(|b| *b = 0),
                        2 => drop(bytes.remove(at)),
                        _ => bytes.insert(at, b'\n'),
                    }
                }
            }
            check_broken(agent, &broken, session);
        }
        one_byte(agent, name, &files, session);
    }
}

/// One byte is changed at so many places of a file, spread over it.
const PLACES: usize = 24;
/// The most events that one message of these transcripts is.
const MESSAGE_EVENTS_MAX: usize = 8;

/// One fault costs one record, not the conversation.
fn one_byte(agent: &str, name: &str, files: &Files, session: Option<&str>) {
    let whole = read(agent, files, session).events.len();
    for (file, (path, bytes)) in files.iter().enumerate() {
        for at in (0..bytes.len()).step_by(bytes.len().div_ceil(PLACES).max(1)) {
            for byte in [0, b'"', b'\n', 0xff] {
                let mut broken = files.clone();
                broken[file].1[at] = byte;
                let events = check_broken(agent, &broken, session).events.len();
                let left = path.ends_with(".db") || events + MESSAGE_EVENTS_MAX >= whole;
                assert!(left, "{agent}/{name}: {path}: {at} {byte}: {events} of {whole}");
            }
        }
    }
}

/// Paths and bytes.
type Files = Vec<(String, Vec<u8>)>;

/// An agent, and files that are in no case.
fn others() -> Vec<(&'static str, Files)> {
    let cursor = concat!(
        r#"{"role":"user","message":{"content":[{"type":"text","text":"<user_query>\nfix it\n</user_query>"}]}}"#,
        "\n",
        r#"{"role":"assistant","message":{"content":[{"type":"text","text":"Looking."},{"type":"tool_use","name":"Shell","input":{"command":"ls"}}]}}"#,
        "\n",
        r#"{"role":"assistant","message":{"content":[{"type":"thinking","thinking":"hm"}]}}"#,
        "\n",
    );
    let path = "/x/.cursor/projects/x/agent-transcripts/5f0c/5f0c.jsonl".to_owned();
    let store = load("opencode", &["storage"]);
    let subagents = "7f3781e9-01bb-4faf-956b-b7cb15223a10";
    let claude = load("claude", &[&format!("{subagents}.jsonl"), subagents]);
    vec![("cursor", vec![(path, cursor.into())]), ("opencode", store), ("claude", claude)]
}

#[test]
fn json_of_stdout_cut_anywhere_is_read_as_far_as_it_goes() {
    let more = [("codex", "exec-json.jsonl", "")];
    for (agent, file, _) in STREAMS.iter().chain(&more) {
        let whole = fs::read(root(agent).join(file)).expect("a stream");
        // A record at the end states the sum of all usage.
        let len = |bytes: &[u8]| {
            let read = agent::stream::read(bytes, Some(agent));
            read.map_or(0, |transcript| spoken(agent, &transcript.events).len())
        };
        let mut before = 0;
        for end in (0..=whole.len()).filter(|&end| end == whole.len() || whole[end] == b'\n') {
            let at_line = len(&whole[..end]);
            assert!(at_line >= before, "{agent}: words were lost at {end}");
            // In the middle of the next line, that is none yet.
            let in_line = len(&whole[..(end + 40).min(whole.len())]);
            assert!(in_line >= at_line, "{agent}: {end}");
            before = at_line;
        }
        assert!(before > 3, "{agent}/{file}");
        assert_eq!(before, len(&whole), "{agent}/{file}");
    }
}

/// Every byte of what JSON there is on stdout, and of adapters whose files no case has, is changed
/// in turn, far enough from the next that each is a fault of its own.
#[test]
fn one_byte_broken_costs_no_more_than_its_record() {
    const EVERY: usize = 97;
    let more = [("codex", "exec-json.jsonl", "")];
    for (agent, file, _) in STREAMS.iter().chain(&more) {
        let whole = fs::read(root(agent).join(file)).expect("a stream");
        let whole_len = agent::stream::read(&whole, Some(agent)).expect(agent).events.len();
        for at in (0..whole.len()).step_by(EVERY) {
            for byte in [0, b'"', b'\n', b'9', 0xff] {
                let mut broken = whole.clone();
                broken[at] = byte;
                let read = agent::stream::read(&broken, Some(agent));
                let events = read.map_or(0, |transcript| transcript.events.len());
                // A record may hold several events; its fault leaves those of all others.
                assert!(events + 8 >= whole_len, "{agent}/{file}: {at} {byte}");
            }
        }
    }
    for (agent, files) in others() {
        let events = check_broken(agent, &files, None).events.len();
        assert!(events > 1, "{agent}");
        for file in 0..files.len() {
            for at in (0..files[file].1.len()).step_by(EVERY) {
                for byte in [0, b'"', b'\n', 0xff] {
                    let mut broken = files.clone();
                    broken[file].1[at] = byte;
                    check_broken(agent, &broken, None);
                }
                let mut cut = files.clone();
                cut[file].1.truncate(at);
                check_broken(agent, &cut, None);
            }
        }
    }
}

#[test]
fn a_file_of_rubbish_keeps_a_limited_number_of_notes() {
    for (lines, notes) in
        [(agent::NOTES_MAX, agent::NOTES_MAX), (agent::NOTES_MAX + 1, agent::NOTES_MAX)]
    {
        let file = ("p/u.jsonl".to_owned(), b"x\n".repeat(lines));
        assert_eq!(read("claude", &[file], None).notes.len(), notes);
    }
}
