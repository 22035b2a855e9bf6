//! Intendant session logs there and back, and what its guides tell users to type, on exports.

use super::{kept, query, root, stored, talk};
use crate::plain::{Scratch, program};
use intentloop::event::{Body, Counts, Event, Evidence, count};
use intentloop::format::intendant;
use intentloop::format::native::{self, File, Foreign};
use intentloop::session::Status;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

pub type Files = BTreeMap<String, Vec<u8>>;

pub fn log(name: &str) -> Files {
    read_dir(&root().join("tests/import/intendant").join(name))
}

/// All files below a directory, by their paths from it.
pub fn read_dir(dir: &Path) -> Files {
    let mut files = Files::new();
    walk(dir, dir, &mut files);
    files
}

fn walk(top: &Path, dir: &Path, files: &mut Files) {
    for entry in fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(top, &path, files);
        } else {
            let name = path.strip_prefix(top).expect("under the top").display().to_string();
            files.insert(name, fs::read(&path).expect("a file"));
        }
    }
}

fn borrowed(files: &Files) -> Vec<File<'_>> {
    files.iter().map(|(path, bytes)| File { path, bytes }).collect()
}

/// Two hours east of UTC, as in summer in Berlin.
fn parse(files: &Files) -> Foreign {
    intendant::parse(&borrowed(files), &|_| 7200).expect("a log")
}

/// The log written again from events that were in a store, and from the streams beside them.
fn export(files: &Files, session: &Foreign) -> Files {
    let places = native::places(&borrowed(files), "session.jsonl");
    let native = |wanted: &Evidence| {
        let at = places.iter().position(|place| place == wanted)?;
        files.values().nth(at).cloned()
    };
    intendant::write(&stored(&session.events), &native).into_iter().collect()
}

/// A log there and back: byte for byte, with this beside its events.
#[track_caller]
fn check(name: &str, status: Status, not_made_of_events: &[&str]) -> (Files, Foreign) {
    let files = log(name);
    let session = parse(&files);
    let back = export(&files, &session);
    for (path, bytes) in &files {
        let got = back.get(path).map(|b| String::from_utf8_lossy(b).into_owned());
        assert_eq!(got, Some(String::from_utf8_lossy(bytes).into_owned()), "{name}/{path}");
        assert_eq!(back.get(path), Some(bytes), "{name}/{path}");
    }
    assert_eq!(back.len(), files.len(), "{name}: {:?}", back.keys());
    assert_eq!(session.status, Some(status), "{name}");
    let golden = root().join(format!("tests/import/intendant/{name}.kept"));
    let told = kept(&session.events).join("\n") + "\n";
    assert_eq!(told, fs::read_to_string(&golden).expect("what is kept"), "{name}.kept");
    // Without the streams beside them, the events make all files but these.
    let alone: Files = intendant::write(&stored(&session.events), &|_| None).into_iter().collect();
    let lacking: Vec<&str> =
        files.iter().filter(|(p, b)| alone.get(*p) != Some(b)).map(|(p, _)| p.as_str()).collect();
    assert_eq!(lacking, not_made_of_events, "{name}");
    (files, session)
}

#[test]
fn a_log_by_the_documentation_comes_back_from_its_events() {
    let (_, session) = check(
        "documented",
        Status::Succeeded,
        // What the agent keeps for itself, and a file without a byte.
        &[
            "2_stderr.log",
            "conversation.jsonl",
            "transcript.jsonl",
            "turns/turn_001_messages.json",
            "turns/turn_002_messages.json",
            "turns/turn_003_messages.json",
        ],
    );
    assert_eq!(session.broken, []);
    let counts = count(&session.events);
    let want = Counts {
        turns: 1,
        thoughts: 2,
        tool_calls: 3,
        approvals: 2,
        requests: 3,
        tokens: counts.tokens,
        ..Counts::default()
    };
    assert_eq!(counts, want);
    let tokens = counts.tokens;
    assert_eq!((tokens.input, tokens.cache_read, tokens.output), (2400, 12_800, 242));
    let told: Vec<String> = session.events.iter().filter_map(told).collect();
    assert_eq!(
        told,
        [
            "2026-04-15T10:30:00.012+02:00 start /home/user/myproject",
            "2026-04-15T10:30:00.012+02:00 user Fix the session expiry",
            "2026-04-15T10:30:05.900+02:00 approval cargo test AllowOnce",
            "2026-04-15T10:30:06.310+02:00 result None {\"nonce\":1",
            "2026-04-15T10:30:06.310+02:00 result Some(\"1\") running 12",
            "2026-04-15T10:30:06.310+02:00 result Some(\"2\") pub fn exp",
            "2026-04-15T10:30:09.500+02:00 question 1 Seconds or milliseconds?",
            "2026-04-15T10:30:41.750+02:00 answer 1 milliseconds 32250",
            "2026-04-15T10:30:41.900+02:00 result Some(\"3\") {\"success\"",
            "2026-04-15T10:30:42.000+02:00 approval rm -rf target RejectOnce",
            "2026-04-15T10:31:10.774+02:00 end Some(Succeeded)",
        ]
    );
}

/// In one line, with its time.
fn told(event: &Event) -> Option<String> {
    let text = match &event.body {
        Body::SessionStart(b) => format!("start {}", b.cwd.as_deref().unwrap_or("-")),
        Body::UserMessage(b) => format!("user {}", b.text),
        Body::Approval(b) => format!("approval {} {:?}", b.ask, b.decision?),
        Body::ToolResult(b) => {
            format!("result {:?} {}", b.call_id, b.text.chars().take(10).collect::<String>())
        }
        Body::Question(b) => format!("question {} {}", b.q_id.as_deref()?, b.text),
        Body::Answer(b) => {
            format!("answer {} {} {}", b.q_id.as_deref()?, b.answer, b.waited_ms?)
        }
        Body::SessionEnd(b) => format!("end {:?}", b.outcome),
        _ => return None,
    };
    Some(format!("{} {text}", event.time?.rfc3339()))
}

/// The first version overwrote a turn's files, named no spans, and knew no cache; it was killed
/// after midnight.
#[test]
fn an_early_log_that_goes_past_midnight_comes_back() {
    let (_, session) = check(
        "early",
        Status::Interrupted,
        &[
            "turns/turn_001_agent_in.json",
            "turns/turn_001_messages.json",
            "turns/turn_001_model.txt",
        ],
    );
    let times: Vec<_> = session.events.iter().filter_map(|e| e.time).map(|t| t.local()).collect();
    assert_eq!(times.first().map(String::as_str), Some("2026-02-28 23:59:58"));
    assert_eq!(times.last().map(String::as_str), Some("2026-03-01 00:00:03"));
}

/// A later version: milliseconds since 1970, a lane of messages, events il has no kind for, a log
/// gone on with days later and then torn, files that are no text.
#[test]
fn a_later_log_comes_back_with_what_il_does_not_know() {
    let (_, session) = check(
        "later",
        Status::Failed,
        &[
            "9_0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f_stdout.log",
            "frames/cam0-f1.jpg",
            "frames/frames.jsonl",
            "human_question",
            "summary.json",
            "turns/turn_001_context_5e.json",
        ],
    );
    assert_eq!(session.broken.len(), 1, "{:?}", session.broken);
    let said: Vec<&str> = session
        .events
        .iter()
        .filter_map(|e| match &e.body {
            Body::AssistantMessage(message) => Some(message.text.as_str()),
            Body::Question(question) => Some(&question.text),
            _ => None,
        })
        .collect();
    assert_eq!(said, ["Ich schaue nach. ", "Done.", "May I?"]);
}

/// Whatever a directory holds, it is read, and written again as it was.
#[test]
fn ruins_are_read() {
    let whole = log("documented");
    for path in whole.keys() {
        let mut without = whole.clone();
        without.remove(path);
        let mut halved = whole.clone();
        let bytes = halved.get_mut(path).expect("the file");
        bytes.truncate(bytes.len() / 2);
        let mut noise = whole.clone();
        noise.insert(path.clone(), b"{\"event\":1,\"ts\":[]}\n\xff\0{}".to_vec());
        for files in [without, halved, noise] {
            let Some(session) = intendant::parse(&borrowed(&files), &|_| 0) else {
                assert_eq!(path, "session.jsonl");
                continue;
            };
            assert!(export(&files, &session) == files, "{path}");
        }
    }
}

/// Bytes changed at random, from a seed: what is read is written again as it was.
#[test]
fn noise_in_a_log_comes_back_as_noise() {
    for name in ["documented", "early", "later"] {
        let whole = log(name);
        for seed in 0..150 {
            let mut files = whole.clone();
            for bytes in files.values_mut() {
                super::disturb(bytes, seed);
            }
            if let Some(session) = intendant::parse(&borrowed(&files), &|_| -3600) {
                assert!(export(&files, &session) == files, "{name}, seed {seed}");
            }
        }
    }
}

/// The queries of the guide and of the recipes for searching logs, with their answers where these
/// are the same for any log; `S` is the directory.
const QUERIES: &[&str] = &[
    r#"cat "$S/session.jsonl" | jq -r '.event'"#,
    r#"cat "$S/turns/turn_001_messages.json" | jq ."#,
    r#"cat "$S/turns/turn_001_reasoning.txt""#,
    r#"grep '"event":"agent_input"' "$S/session.jsonl" | jq -r '.message'"#,
    r#"find "$S" -type f -name session_meta.json -print | while IFS= read -r f; do
        jq -r '[.created_at // "", .session_id // (input_filename|split("/")[-2]), .status // "", .project_root // "", .task // ""] | @tsv' "$f"
    done | sort -r | head -50"#,
    r#"jq . "$S/session_meta.json""#,
    r#"jq -r '.event // "?"' "$S/session.jsonl" | sort | uniq -c | sort -nr"#,
    r#"jq -r '[.ts // "", (.turn // ""), .level // "", .event // "", .message // ""] | @tsv' "$S/session.jsonl""#,
    r#"tail -n 80 "$S/session.jsonl" | jq -c '{ts,turn,level,event,message,data,file,file2}'"#,
    r#"jq -r '[.ts // "", .role // "", .text // ""] | @tsv' "$S/transcript.jsonl""#,
    r#"jq . "$S/session_summary.json" 2>/dev/null || jq . "$S/summary.json""#,
    r#"jq -c 'select(([.. | strings] | join("\n")) | test("session"; "i"))' "$S/session.jsonl""#,
    r#"jq -c 'select((((.message // "") + "\n" + (.data // {} | tostring)) | test("turn|commands"; "i")))' "$S/session.jsonl""#,
    r#"jq -c 'select((.level // "") == "warn" or (.level // "") == "error" or (.event // "") == "error")' "$S/session.jsonl""#,
    r#"jq -c 'select(.file or .file2) | {ts,turn,event,file,file2,data}' "$S/session.jsonl""#,
    r#"sed -n '1,240p' "$S/turns/turn_001_model.txt""#,
    r#"jq -r 'select(.event=="messages_input") | [.turn, .file] | @tsv' "$S/session.jsonl""#,
    r#"jq -r 'select(.event=="agent_input") | [.turn, .file, (.data.functions // [] | join(","))] | @tsv' "$S/session.jsonl""#,
    r#"jq . "$S/turns/turn_001_agent_in.json""#,
    r#"jq -c 'select((.event // "") | IN("approval","approval_resolved","auto_approved","human_question","human_response_sent"))' "$S/session.jsonl""#,
    r#"jq -c 'select((.event // "") | IN("agent_started","agent_input","agent_output")) | {ts,turn,event,level,message,data,file,file2}' "$S/session.jsonl""#,
    r#"jq -c 'select(.event=="reasoning") | {ts,turn,message,data,file}' "$S/session.jsonl""#,
    r#"find "$S/turns" -type f -name '*reasoning.txt' -print -exec sed -n '1,160p' {} \;"#,
    r#"find "$S" \( -path "$S/turns" -o -path "$S/frames" \) -prune -o -type f \( -name '*_stdout.log' -o -name '*_stderr.log' \) -print -exec tail -n 80 {} \;"#,
    r#"jq -c --argjson terms '["session","turns"]' 'def all_strings: [.. | strings] | join("\n") | ascii_downcase; select(all_strings as $s | all($terms[]; $s | contains(.)))' "$S/session.jsonl""#,
];

/// Exact spans, read as the recipes read them: what is found is the row's own text.
const SPANS: &str = r#"
row=$(jq -c 'select(.event=="model_response" and .turn==1)' "$S/session.jsonl" | head -1)
file=$(jq -r '.file // empty' <<<"$row")
off=$(jq -r '.data.model_offset // 0' <<<"$row")
len=$(jq -r '.data.model_bytes // empty' <<<"$row")
dd if="$S/$file" bs=1 skip="$off" count="$len" 2>/dev/null
echo "|"
row=$(jq -c 'select(.event=="agent_output")' "$S/session.jsonl" | head -1)
file=$(jq -r '.file // empty' <<<"$row")
off=$(jq -r '.data.stdout_offset // 0' <<<"$row")
len=$(jq -r '.data.stdout_bytes // empty' <<<"$row")
dd if="$S/$file" bs=1 skip="$off" count="$len" 2>/dev/null
"#;

fn put(scratch: &Scratch, files: &Files) -> String {
    let dir = scratch.path().join("0b7c6f1e");
    for (path, bytes) in files {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, bytes).expect("a file");
    }
    dir.display().to_string()
}

#[test]
fn every_query_of_the_guide_works_on_an_export() {
    let files = log("documented");
    let of_its_own = export(&files, &parse(&files));
    let of_another: Files = intendant::write(&talk(), &|_| None).into_iter().collect();
    for (name, files) in [("of Intendant", &of_its_own), ("of another agent", &of_another)] {
        let scratch = Scratch::new();
        let dir = put(&scratch, files);
        for script in QUERIES {
            let mut shell = program("bash");
            shell.args(["-e", "-o", "pipefail", "-c", script]).env("S", &dir);
            assert!(!query(&mut shell).trim().is_empty(), "{name}: {script}");
        }
    }
    let scratch = Scratch::new();
    let dir = put(&scratch, &of_its_own);
    let mut shell = program("bash");
    let spans = query(shell.args(["-e", "-c", SPANS]).env("S", &dir));
    let text = |path: &str| String::from_utf8(files[path].clone()).expect("UTF-8");
    let want =
        format!("{}|\n{}", text("turns/turn_001_model.txt"), text("turns/turn_001_stdout.txt"));
    assert_eq!(spans, want);
}

/// Of a session of another agent: each request to its model is a turn, told in the documented
/// events, and its project is found as the guide finds it.
#[test]
fn a_session_of_another_agent_is_told_in_the_documented_events() {
    let files: Files = intendant::write(&talk(), &|_| None).into_iter().collect();
    let scratch = Scratch::new();
    let dir = put(&scratch, &files);
    let mut shell = program("bash");
    let script =
        r#"jq -r '[.ts, .turn // "-", .event, .level, .message // "-"] | @tsv' "$S/session.jsonl""#;
    let got = query(shell.args(["-e", "-c", script]).env("S", &dir));
    let want = "\
15:12:00.250\t-\tsession_start\tinfo\tSession started at 2026-05-30 15:12:00
15:12:02.250\t1\tturn_start\tinfo\t-
15:12:02.250\t1\tmessages_input\tdebug\tMessages logged (40 bytes)
15:12:02.250\t1\treasoning\tinfo\t-
15:12:03.250\t1\tmodel_response\tinfo\tI look.
15:12:05.250\t1\tjson_extracted\tdebug\tBash
15:12:05.250\t1\tagent_input\tinfo\tCommands: Bash
15:12:06.250\t1\tapproval\twarn\tls -> approved
15:12:07.250\t1\tagent_output\tinfo\ttests\\n
15:12:08.250\t2\tturn_start\tinfo\t-
15:12:08.250\t2\tmessages_input\tdebug\tMessages logged (78 bytes)
15:12:08.250\t2\tmodel_response\tinfo\tDone.
15:12:10.250\t3\tturn_start\tinfo\t-
15:12:10.250\t3\tmessages_input\tdebug\tMessages logged (80 bytes)
15:12:10.250\t3\tmodel_response\tinfo\tDone too.
15:12:11.250\t-\tsession_end\tinfo\tSession ended: completed (3 turns)
";
    assert_eq!(got, want);
    let mut shell = program("bash");
    let script = r#"grep -l '"project_root":"/home/me/shop"' "$S"/../*/session_meta.json"#;
    assert!(
        query(shell.args(["-e", "-c", script]).env("S", &dir)).ends_with("session_meta.json\n")
    );
    assert_eq!(files["1_stdout.log"], b"tests\n");
    let mut shell = program("bash");
    let script = r#"jq -c '[.data.tokens, .data.content_length]' <<<"$(grep -m1 model_response "$S/session.jsonl")"; cat "$S/transcript.jsonl""#;
    let got = query(shell.args(["-e", "-c", script]).env("S", &dir));
    let want = r#"[{"cached":20,"completion":7,"prompt":120,"total":127},7]
{"ts":"15:12:01.250","role":"user","text":"Add a test"}
{"ts":"15:12:03.250","role":"assistant","text":"I look.","tools_called":["Bash"]}
{"ts":"15:12:08.250","role":"assistant","text":"Done."}
{"ts":"15:12:09.250","role":"user","text":"Another one"}
{"ts":"15:12:10.250","role":"assistant","text":"Done too."}
"#;
    assert_eq!(got, want);
}
