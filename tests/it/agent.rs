//! Real transcripts, left by real agents, against what each is known to hold: `tests/agent/<agent>/`
//! has the files, `golden/` the expectations, which were not made by il.

mod broken;
mod screens;

use intentloop::agent::dialog::{self, Joined};
use intentloop::agent::generic::{Crossing, Direction};
use intentloop::agent::{self, File, Scope, Transcript, thinking};
use intentloop::event::{
    Body, ContextOp, Counts, Decision, Event, MAIN, MessageForm, Source, Tokens,
};
use intentloop::event::{count, number, turns};
use intentloop::format::markdown;
use intentloop::format::text::{self, View};
use intentloop::term::transcript::Transcript as Settled;
use intentloop::term::{Options, Size};
use intentloop::time::WallTime;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// agent, golden, files of the session (a directory stands for all files in it).
const CASES: &[(&str, &str, &[&str])] = &[
    ("claude", "tui", &["6e8920b9-45a6-4d0f-bbbc-ea519d889205.jsonl"]),
    ("claude", "print", &["5759bc33-95de-4a99-ab3b-cc1719412800.jsonl"]),
    ("claude", "rewind", &["3500a6c3-6565-43fe-8b84-0d067c216f55.jsonl"]),
    ("claude", "fork", &["2f0358d6-37b2-49db-9be7-5910700be61f.jsonl"]),
    ("claude", "tui-extras", &["7f3781e9-01bb-4faf-956b-b7cb15223a10.jsonl"]),
    (
        "codex",
        "tui-codemode",
        &["rollout-2026-11-20T23-15-06-01a1fb3d-fd6f-7461-98ee-9d6f0e5beb66.jsonl"],
    ),
    (
        "codex",
        "tui-extras",
        &["rollout-2026-11-20T23-16-29-01a1fb3f-40da-75f2-8dc6-04fb0dabea2d.jsonl"],
    ),
    (
        "codex",
        "exec-resumed",
        &["rollout-2026-11-20T23-19-23-01a1fb41-e9eb-7400-9f61-6b0b76c1eb26.jsonl"],
    ),
    (
        "codex",
        "legacy-0.80",
        &["rollout-2026-11-20T23-46-57-01a1fb5b-2933-7992-bd53-aafeae2c7190.jsonl"],
    ),
    (
        "codex",
        "legacy-0.80-fail",
        &["rollout-2026-11-20T23-46-59-01a1fb5b-2ec0-7a00-94e5-654d67483fff.jsonl"],
    ),
    ("gemini", "print", &["session-2026-11-20T23-21-b72997d6.jsonl"]),
    ("gemini", "tui", &["tui"]),
    ("gemini", "tui-resumed", &["tui-resumed"]),
    ("gemini", "tui-extras", &["session-2026-11-20T23-22-e2e74583.jsonl"]),
    ("gemini", "rewind", &["rewind"]),
    ("gemini", "legacy-0.20", &["legacy"]),
    ("copilot", "print", &["29302458-201a-4e1d-b3f4-0333454a5867"]),
    ("copilot", "tui-extras", &["431c00ff-5562-4416-b26a-38ae7b0db4c6"]),
    ("copilot", "tui-resumed", &["9ae3c8e5-b9f9-4934-adcc-750c2c027c36"]),
    ("qwen", "print", &["0dcecdd8-f51d-4be7-99e6-5e26cafff71e.jsonl"]),
    ("qwen", "tui-resumed", &["329268ba-0574-4b69-92e6-a26a2c3e1b12.jsonl"]),
    ("kimi", "print", &["session_4b031716-526c-477d-a08b-492e1bba7165"]),
    ("kimi", "tui", &["session_1e77d494-2197-4d5b-8538-1013385a005a"]),
    ("cline", "json", &["1795218021015_0u1mf"]),
    ("cline", "tui", &["1795218087880_2hoih"]),
    ("aider", "message", &["message-diff.chat.history.md"]),
    ("aider", "tui", &["chat.history.md", "input.history"]),
    ("opencode", "run", &["opencode.db"]),
    ("opencode", "tui", &["opencode.db"]),
    ("opencode", "tui", &["export.json"]),
    ("opencode", "tui-extras", &["opencode.db"]),
    ("opencode", "fork", &["opencode.db"]),
    ("opencode", "undo", &["opencode.db"]),
];

fn root(agent: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agent").join(agent)
}

/// The files of a case, with paths from the agent's directory on.
fn load(agent: &str, names: &[&str]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for name in names {
        collect(&root(agent), Path::new(name), &mut files);
    }
    assert!(!files.is_empty(), "{agent}: no files for {names:?}");
    files
}

fn collect(root: &Path, name: &Path, files: &mut Vec<(String, Vec<u8>)>) {
    let path = root.join(name);
    if path.is_dir() {
        let mut names: Vec<PathBuf> = fs::read_dir(&path)
            .expect("a directory of fixtures")
            .map(|entry| name.join(entry.expect("a directory entry").file_name()))
            .collect();
        names.sort();
        names.iter().for_each(|name| collect(root, name, files));
    } else {
        let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        files.push((name.to_string_lossy().into_owned(), bytes));
    }
}

fn read(agent: &str, files: &[(String, Vec<u8>)], session: Option<&str>) -> Transcript {
    let files: Vec<File<'_>> = files.iter().map(|(path, bytes)| File { path, bytes }).collect();
    agent::by_name(agent).expect(agent).read(&files, &Scope { session, ..Scope::default() })
}

fn golden(agent: &str, name: &str) -> Value {
    let path = root(agent).join("golden").join(format!("{name}.json"));
    let text = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).expect("a golden file")
}

/// The conversation as it stands, one line an event, in the words of the golden files.
fn spoken(agent: &str, events: &[Event]) -> Vec<String> {
    let live = events.iter().filter(|e| e.stream == MAIN && !e.abandoned);
    live.filter_map(|event| line_of(agent, &event.body)).collect()
}

fn line_of(agent: &str, body: &Body) -> Option<String> {
    let id = |id: &Option<String>| id.clone().unwrap_or_default();
    Some(match body {
        // The golden files of aider list commands as the user's words, those of others do not.
        Body::UserMessage(m) if m.form == Some(MessageForm::Slash) && agent != "aider" => {
            return None;
        }
        Body::UserMessage(m) => format!("user {}", m.text),
        Body::Thought(t) => format!("thinking {}", words(&t.text)),
        Body::AssistantMessage(m) => format!("assistant {}", m.text),
        Body::ToolCall(c) => {
            let args: Value = serde_json::from_str(&c.args.to_string()).expect("arguments");
            format!("tool_call {} {} {args}", id(&c.call_id), c.name)
        }
        // Claude's own shell (`!ls`) answers without a call; the golden files leave it out.
        Body::ToolResult(r) if r.call_id.is_none() => return None,
        Body::ToolResult(r) => {
            format!("tool_result {} {} {}", id(&r.call_id), r.ok == Some(false), data(&r.text))
        }
        Body::Approval(a) => format!("approval {}", a.decision.map_or("", decision)),
        Body::Interrupt(_) => "interrupt".to_owned(),
        Body::ApiError(e) => format!("error {}", e.message),
        Body::Context(c) if c.op == Some(ContextOp::Compact) => "compaction".to_owned(),
        Body::Context(c) if c.op == Some(ContextOp::Summarize) => {
            format!("compaction_summary {}", c.summary.clone().unwrap_or_default())
        }
        _ => return None,
    })
}

fn decision(decision: Decision) -> &'static str {
    match decision {
        Decision::AllowOnce | Decision::AllowAlways => "allowed",
        Decision::RejectOnce | Decision::RejectAlways => "rejected",
        other => other.as_str(),
    }
}

/// The same lines from a golden file.
fn expected(golden: &Value) -> Vec<String> {
    golden["events"].as_array().expect("events").iter().filter_map(golden_line).collect()
}

fn golden_line(event: &Value) -> Option<String> {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    let kind = text("kind");
    Some(match kind {
        "thinking" => format!("thinking {}", words(text("text"))),
        "tool_call" => {
            // Codex states arguments as text that is JSON, and scripts as text that is not.
            let input = match &event["input"] {
                Value::String(s) => serde_json::from_str(s).unwrap_or_else(|_| json!(s)),
                other => other.clone(),
            };
            format!("tool_call {} {} {input}", text("id"), text("name"))
        }
        "tool_result" => {
            format!(
                "tool_result {} {} {}",
                text("id"),
                event["error"] == true,
                data(text("output"))
            )
        }
        "approval" => match text("decision") {
            "approved" | "y" => "approval allowed".to_owned(),
            "n" => "approval rejected".to_owned(),
            other => format!("approval {other}"),
        },
        "interrupt" | "compaction" => kind.to_owned(),
        "note" => return None,
        _ => format!("{kind} {}", text("text")),
    })
}

/// Cline's results are data; the golden files have them with other white space.
fn data(text: &str) -> String {
    serde_json::from_str::<Value>(text).map_or_else(|_| text.to_owned(), |value| value.to_string())
}

/// Agents differ in the white space between a thought's headline and its text.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A golden file's tokens in il's disjoint parts.
fn golden_tokens(agent: &str, usage: &Value) -> Tokens {
    let n = |name: &str| usage[name].as_u64().unwrap_or(0);
    match agent {
        "claude" => Tokens {
            input: n("input_tokens"),
            cache_read: n("cache_read_input_tokens"),
            cache_write: n("cache_creation_input_tokens"),
            output: n("output_tokens"),
            reasoning: 0,
        },
        "codex" => Tokens {
            input: n("input_tokens") - n("cached_input_tokens"),
            cache_read: n("cached_input_tokens"),
            cache_write: n("cache_write_input_tokens"),
            output: n("output_tokens"),
            reasoning: n("reasoning_output_tokens"),
        },
        "gemini" => Tokens {
            input: n("input") - n("cached"),
            cache_read: n("cached"),
            cache_write: 0,
            output: n("output") + n("thoughts"),
            reasoning: n("thoughts"),
        },
        "copilot" => Tokens {
            input: n("inputTokens") - n("cacheReadTokens"),
            cache_read: n("cacheReadTokens"),
            cache_write: 0,
            output: n("outputTokens"),
            reasoning: n("reasoningTokens"),
        },
        "qwen" => Tokens {
            input: n("promptTokenCount") - n("cachedContentTokenCount"),
            cache_read: n("cachedContentTokenCount"),
            cache_write: 0,
            output: n("candidatesTokenCount"),
            reasoning: n("thoughtsTokenCount"),
        },
        "kimi" => Tokens {
            input: n("inputOther"),
            cache_read: n("inputCacheRead"),
            cache_write: n("inputCacheCreation"),
            output: n("output"),
            reasoning: 0,
        },
        "cline" => Tokens {
            input: n("inputTokens") - n("cacheReadTokens"),
            cache_read: n("cacheReadTokens"),
            cache_write: n("cacheWriteTokens"),
            output: n("outputTokens"),
            reasoning: 0,
        },
        "opencode" => Tokens {
            input: n("input"),
            cache_read: n("cache_read"),
            cache_write: n("cache_write"),
            output: n("output") + n("reasoning"),
            reasoning: n("reasoning"),
        },
        "aider" => {
            let mut tokens = Tokens::default();
            for line in usage.as_array().expect("lines of tokens") {
                let line = line
                    .as_str()
                    .expect("a line")
                    .replace(',', "")
                    .replace("k ", "00 ")
                    .replace('.', "");
                let numbers: Vec<u64> = line.split(' ').filter_map(|w| w.parse().ok()).collect();
                tokens.input += numbers[0];
                tokens.output += numbers[1];
            }
            tokens
        }
        _ => panic!("no token names for {agent}"),
    }
}

fn live_counts(events: &[Event]) -> Counts {
    let live: Vec<Event> =
        events.iter().filter(|e| e.stream == MAIN && !e.abandoned).cloned().collect();
    count(&live)
}

#[test]
fn real_transcripts_read_as_known() {
    for (agent, name, files) in CASES {
        let golden = golden(agent, name);
        let transcript = read(agent, &load(agent, files), golden["session"].as_str());
        let context = format!("{agent}/{name}");
        let (ours, theirs) = (spoken(agent, &transcript.events), expected(&golden));
        for (at, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            // Long texts of other people were cut in the fixtures, not in the golden files.
            let same = match ours.split_once("…<trimmed ") {
                Some((head, _)) => theirs.starts_with(head),
                None => ours == theirs,
            };
            assert!(same, "{context}: event {at}:\n{ours:?}\n{theirs:?}");
        }
        assert_eq!(
            ours.len(),
            theirs.len(),
            "{context}: {:?}",
            ours.iter()
                .skip(theirs.len())
                .chain(theirs.iter().skip(ours.len()))
                .collect::<Vec<_>>()
        );
        let counts = live_counts(&transcript.events);
        assert_eq!(counts.tokens, golden_tokens(agent, &golden["usage"]), "{context}");
        // A command that no model answers is the user's word and no turn.
        let turn = |l: &&String| l.starts_with("user ") && !l.starts_with("user /");
        let users = theirs.iter().filter(turn).count() as u64;
        assert_eq!(counts.turns, users, "{context}: turns");
        assert_eq!(turns(&transcript.events).iter().filter(|t| !t.abandoned).count() as u64, users);
        let text = |name: &str| golden[name].as_str().map(str::to_owned);
        assert_eq!(transcript.native.session, text("session"), "{context}");
        assert_eq!(transcript.native.model, text("model"), "{context}");
        if golden.get("title").is_some() {
            assert_eq!(transcript.native.title, text("title"), "{context}");
        }
        if golden.get("cwd").is_some() {
            assert_eq!(transcript.native.cwd, text("cwd"), "{context}");
        }
        assert_eq!(transcript.notes, [], "{context}");
    }
}

/// agent, stream, golden. A stream has no prompt where it was on the command line, and other ids.
const STREAMS: &[(&str, &str, &str)] = &[
    ("claude", "stream-json.jsonl", "print"),
    ("codex", "exec-json-gpt5.5.jsonl", "exec-resumed"),
    ("gemini", "stream-json.jsonl", "print"),
    ("qwen", "stream-json.jsonl", "print"),
    ("kimi", "stream-json.jsonl", "print"),
    ("copilot", "stream-json.jsonl", "print"),
];

/// Kind and first words: all that a stream and a transcript of the same run share.
fn outline(agent: &str, lines: &[String]) -> Vec<String> {
    // Kimi's and Gemini's streams leave thoughts out.
    let kept = |l: &&String| {
        let thought = l.starts_with("thinking") && matches!(agent, "gemini" | "kimi");
        !l.starts_with("user") && !thought
    };
    let cut = |l: &String| match l.split(' ').next() {
        Some(kind @ ("tool_call" | "tool_result")) => kind.to_owned(),
        _ => l.clone(),
    };
    lines.iter().filter(kept).map(cut).collect()
}

#[test]
fn json_on_stdout_tells_the_same_as_the_transcript() {
    for (agent, file, name) in STREAMS {
        let bytes = fs::read(root(agent).join(file)).expect("a stream");
        let transcript = agent::stream::read(&bytes, Some(agent)).expect("a known format");
        let golden = golden(agent, name);
        let mut theirs = outline(agent, &expected(&golden));
        let ours = outline(agent, &spoken(agent, &transcript.events));
        // The golden file of Codex goes on after the run that wrote the stream.
        theirs.truncate(if *agent == "codex" { ours.len() } else { usize::MAX });
        assert!(ours.len() > 6, "{agent}");
        assert_eq!(ours, theirs, "{agent}");
        assert_eq!(transcript.native.session.as_deref(), golden["session"].as_str(), "{agent}");
        // Kimi and Copilot state no tokens here, and the sum for Codex is of another length.
        if !matches!(*agent, "codex" | "kimi" | "copilot") {
            let tokens = golden_tokens(agent, &golden["usage"]);
            let ours = live_counts(&transcript.events).tokens;
            assert_eq!(
                (ours.input, ours.cache_read, ours.output),
                (tokens.input, tokens.cache_read, tokens.output),
                "{agent}"
            );
        }
    }
    assert_eq!(agent::stream::read(b"hello\n{\"a\":1}\n", None), None);
}

fn transcript(agent: &str, files: &[&str]) -> Transcript {
    read(agent, &load(agent, files), None)
}

fn users(transcript: &Transcript, abandoned: bool) -> Vec<&str> {
    let said = transcript.events.iter().filter(|e| e.abandoned == abandoned && e.stream == MAIN);
    said.filter_map(|e| match &e.body {
        Body::UserMessage(m) if m.form != Some(MessageForm::Slash) => Some(m.text.as_str()),
        _ => None,
    })
    .collect()
}

const CODEX_PARENT: &str = "rollout-2026-11-20T23-19-23-01a1fb41-e9eb-7400-9f61-6b0b76c1eb26.jsonl";
const CODEX_FORK: &str = "rollout-2026-11-20T23-19-54-01a1fb42-64b9-7da2-8f5a-e15cbc3d1220.jsonl";

#[test]
fn a_fork_goes_on_from_the_history_of_its_parent() {
    let golden = golden("codex", "fork");
    let alone = transcript("codex", &[CODEX_FORK]);
    assert_eq!(spoken("codex", &alone.events), expected(&golden));
    // The order in which the files are given does not matter.
    for files in [[CODEX_PARENT, CODEX_FORK], [CODEX_FORK, CODEX_PARENT]] {
        let whole = transcript("codex", &files);
        let count = live_counts(&whole.events);
        assert_eq!(count.tokens, golden_tokens("codex", &golden["usage"]));
        assert_eq!(users(&whole, false).len(), 3);
        assert_eq!(whole.native.session.as_deref(), golden["session"].as_str());
    }
}

#[test]
fn what_the_user_went_back_behind_is_kept_and_flagged() {
    let one = "Use a sliding window in Redis one";
    let two = "Use a sliding window in Redis two";
    let three = "Use a sliding window in Redis three";
    let codex = [
        "rollout-2026-11-20T23-49-32-01a1fb5d-849c-79d3-af34-66ad279313e2.jsonl",
        "rollout-2026-11-20T23-49-42-01a1fb5d-849c-79d3-af34-66ad279313e2_01a1fb5d-abde-75e0-ba13-93eef8c45ffd.jsonl",
    ];
    for (transcript, live) in [
        (transcript("claude", &["3500a6c3-6565-43fe-8b84-0d067c216f55.jsonl"]), [one, three]),
        (transcript("gemini", &["rewind"]), [one, two]),
        (transcript("opencode", &["opencode.db"]), [one, three]),
    ] {
        assert_eq!(users(&transcript, false), live);
        assert_eq!(users(&transcript, true), [two]);
        let all = count(&transcript.events);
        assert_eq!((all.turns, all.requests), (2, 3));
        assert!(all.tokens.output > live_counts(&transcript.events).tokens.output);
    }
    let codex = transcript("codex", &codex);
    let edited = "Use a sliding window in Redis EDITED";
    assert_eq!(users(&codex, false), ["Cause a failing command", edited]);
    assert_eq!(users(&codex, true), ["Use a sliding window in Redis"]);
}

#[test]
fn a_fork_of_claude_repeats_its_past_and_nothing_counts_twice() {
    let parent = "6e8920b9-45a6-4d0f-bbbc-ea519d889205.jsonl";
    let fork = "2f0358d6-37b2-49db-9be7-5910700be61f.jsonl";
    let both = transcript("claude", &[parent, fork]);
    let counts = count(&both.events);
    assert_eq!(counts.tokens, golden_tokens("claude", &golden("claude", "fork")["usage"]));
    assert_eq!(counts.turns, 4);
}

#[test]
fn subagents_have_streams_of_their_own() {
    let session = "7f3781e9-01bb-4faf-956b-b7cb15223a10";
    let claude = transcript("claude", &[&format!("{session}.jsonl"), session]);
    let codex = transcript(
        "codex",
        &[
            "rollout-2026-11-20T23-44-17-01a1fb58-b46b-7c83-bac6-f86c3a55893b.jsonl",
            "rollout-2026-11-20T23-44-17-01a1fb58-b5c0-7c11-a0a1-afefb54fd1bd.jsonl",
        ],
    );
    let copilot = transcript("copilot", &["431c00ff-5562-4416-b26a-38ae7b0db4c6"]);
    let opencode = read(
        "opencode",
        &load("opencode", &["opencode.db"]),
        Some("ses_e04b640ddffeD4aX8H6UtjsWKc"),
    );
    for (transcript, name, said, tokens) in [
        (&claude, "general-purpose", "SUBAGENT-RESULT: the project has app.py.", 63),
        (&codex, "Kuhn", "The subagent reported that the project has app.py.", 61),
        (&copilot, "explore", "SUBAGENT-RESULT: the project has app.py.", 62),
        (
            &opencode,
            "explore_project (@general subagent)",
            "SUBAGENT-RESULT: the project has app.py.",
            55,
        ),
    ] {
        let starts: Vec<_> = transcript
            .events
            .iter()
            .filter_map(|e| match &e.body {
                Body::SubagentStart(start) => Some((e.stream.as_str(), start)),
                _ => None,
            })
            .collect();
        assert_eq!(starts.len(), 1, "{name}");
        let (stream, start) = starts[0];
        assert_eq!((start.child.as_str(), start.name.as_deref()), (stream, Some(name)));
        let child: Vec<Event> =
            transcript.events.iter().filter(|e| e.stream == stream).cloned().collect();
        let last = child.iter().rev().find_map(|e| match &e.body {
            Body::AssistantMessage(m) => Some(m.text.as_str()),
            _ => None,
        });
        assert_eq!(last, Some(said), "{name}");
        assert_eq!(count(&child).tokens.output, tokens, "{name}");
        // What a subagent spends counts, what it is told is no turn of the user.
        assert_eq!(
            count(&transcript.events).turns,
            users(transcript, false).len() as u64,
            "{name}"
        );
    }
}

#[test]
fn the_ledger_tells_what_was_counted_and_what_was_not() {
    use intentloop::agent::Counted;
    let claude = transcript("claude", &["5759bc33-95de-4a99-ab3b-cc1719412800.jsonl"]);
    // Three answers in eight records; the last record of each counts.
    let of = |counted| claude.ledger.iter().filter(|s| s.counted == counted).count();
    assert_eq!((of(Counted::Yes), of(Counted::Superseded)), (3, 5));
    let counted: u64 =
        claude.ledger.iter().filter(|s| s.counted == Counted::Yes).map(|s| s.usage.output).sum();
    assert_eq!(counted, 352);
    let codex = transcript("codex", &[CODEX_PARENT]);
    let repeated = codex.ledger.iter().filter(|s| s.counted == Counted::Repeated).count();
    assert_eq!((codex.ledger.len() - repeated, repeated), (4, 4));
}

#[test]
fn every_event_points_at_its_bytes() {
    for (agent, name, names) in CASES {
        let files = load(agent, names);
        let transcript = read(agent, &files, golden(agent, name)["session"].as_str());
        assert!(!transcript.events.is_empty());
        for event in &transcript.events {
            let evidence = event.evidence.as_ref().expect("evidence");
            let index: usize = evidence
                .stream
                .strip_prefix("native/")
                .expect("a native stream")
                .parse()
                .expect("an index");
            let bytes = &files[index].1;
            let span =
                bytes.get(evidence.offset as usize..(evidence.offset + evidence.len) as usize);
            let span = String::from_utf8_lossy(span.expect("a span inside the file"));
            // The first word of what is said stands in the bytes, whatever the escaping.
            if let Body::AssistantMessage(message) = &event.body {
                let word =
                    message.text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
                assert!(span.contains(word), "{agent}/{name}: {word}");
            }
        }
    }
}

#[test]
fn events_go_out_and_come_back_as_lines() {
    for (agent, name, files) in CASES {
        let transcript = read(agent, &load(agent, files), golden(agent, name)["session"].as_str());
        for event in &transcript.events {
            let mut line = String::new();
            event.write_line(&mut line);
            let back = Event::parse_line(line.trim_end().as_bytes()).expect(&line);
            let mut again = String::new();
            back.write_line(&mut again);
            assert_eq!(line, again, "{agent}/{name}");
        }
    }
}

#[test]
fn the_old_directory_of_opencode_is_read() {
    let transcript = transcript("opencode", &["storage"]);
    // `opencode run` stores its prompt with quotes around it.
    assert_eq!(users(&transcript, false), ["\"Add rate limiting to the API endpoint\"\n"]);
    assert_eq!(transcript.native.session.as_deref(), Some("ses_e04a4170cffeYkav4Xk17iws8s"));
    assert_eq!(transcript.native.version.as_deref(), Some("1.0.185"));
}

#[test]
fn cursors_public_format_is_read() {
    let lines = concat!(
        r#"{"role":"user","message":{"content":[{"type":"text","text":"<user_query>\nfix it\n</user_query>"}]}}"#,
        "\n",
        r#"{"role":"assistant","message":{"content":[{"type":"text","text":"Looking."},{"type":"tool_use","name":"Shell","input":{"command":"ls"}}]}}"#,
        "\n",
    );
    let path = "/home/me/.cursor/projects/x/agent-transcripts/5f0c/5f0c.jsonl".to_owned();
    let transcript = read("cursor", &[(path, lines.into())], None);
    let seen = spoken("cursor", &transcript.events);
    assert_eq!(seen, ["user fix it", "assistant Looking.", r#"tool_call  Shell {"command":"ls"}"#]);
    assert_eq!(transcript.native.session.as_deref(), Some("5f0c"));
}

/// A rendering of a real session, read by eye once and held since. `UPDATE=1` writes it anew.
fn check_rendering(name: &str, text: &str) {
    let path = root("rendered").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(root("rendered")).expect("a directory");
        fs::write(&path, text).expect("a file");
    }
    let expected = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(text, expected, "{name}");
}

#[test]
fn a_real_session_reads_well() {
    let session = "7f3781e9-01bb-4faf-956b-b7cb15223a10";
    let transcript = transcript("claude", &[&format!("{session}.jsonl"), session]);
    let view = View::default();
    let head = markdown::Head {
        title: None,
        directory: "/home/me/wk/proj-claude".to_owned(),
        facts: vec![("Status".to_owned(), "succeeded".to_owned())],
        intent: None,
        resume: Some(format!("claude --resume {session}")),
    };
    check_rendering("report.md", &markdown::report(&head, &transcript.events, &view));
    check_rendering("chat.txt", &text::chat(&transcript.events, &view));
    check_rendering("thoughts.txt", &text::thoughts(&transcript.events, &view));
}
