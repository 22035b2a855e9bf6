//! Real transcripts, left by real agents, against what each is known to hold: `tests/agent/<agent>/`
//! has the files, `golden/` the expectations, which were not made by il.

use intentloop::agent::{self, File, Scope, Transcript};
use intentloop::event::{Body, ContextOp, Counts, Decision, Event, MAIN, MessageForm, Tokens};
use intentloop::event::{count, turns};
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
    (agent::by_name(agent).expect(agent).read)(&files, &Scope { session, offset_s: 0 })
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
