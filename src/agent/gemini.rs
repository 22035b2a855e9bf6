//! Gemini CLI: `~/.gemini/tmp/<project>/chats/session-*.jsonl`, a log of operations, and before
//! that one JSON document a session.
//!
//! The log says every message again when it grows (same id, the last one counts), and imports its
//! own past under new ids after a cancel or a compression. A strict replay would lose what was
//! compressed away; so messages are taken in order as they were first said, and `$rewindTo` only
//! flags what it takes back.

use super::claude::plain_text;
use super::detect::Words;
use super::locate::{Base, Place, Project};
use super::transcript::{Builder, time_text};
use super::{Agent, File, Scope, Transcript, tool};
use crate::event::*;
use crate::json::{self, Value, records};
use std::collections::{HashMap, HashSet};

/// The longest between two records of a past that is written again; nobody types as fast.
const IMPORT_PAUSE_US: i64 = 100_000;

pub(super) const AGENT: Agent = Agent {
    name: "gemini",
    programs: &["gemini"],
    packages: &["@google/gemini-cli"],
    places: &[Place {
        env: Some(("GEMINI_CLI_HOME", ".gemini/tmp")),
        tail: ".gemini/tmp",
        base: Base::Home,
        patterns: &["*/chats/session-*.jsonl", "*/chats/session-*.json", "*/chats/*/*.jsonl"],
        project: Project::None,
    }],
    session_key: |path| {
        // …/session-<time>-<first 8 of the id>.jsonl, and subagents in a directory of the whole id.
        let mut names = path.rsplit('/');
        let name = names.next().unwrap_or_default();
        let outer = names.next().unwrap_or_default();
        let stem = name.split('.').next().unwrap_or_default();
        let id = if name.starts_with("session-") {
            stem.rsplit('-').next().unwrap_or(stem)
        } else {
            outer
        };
        id.chars().take(8).collect()
    },
    words: &Words {
        resume: &["--resume", "-r"],
        session: &["--session-id"],
        subcommands: &[],
        latest: &[],
        prompt: &["-p", "--prompt", "-i", "--prompt-interactive"],
        back: &["gemini", "--resume"],
    },
};

/// The program's own words before the first prompt.
const CONTEXT: &str = "<session_context>";

pub(super) fn read(files: &[File<'_>], _scope: &Scope<'_>) -> Transcript {
    let mut out = Builder::new(AGENT.name);
    let mut seen = HashSet::new();
    for (index, file) in files.iter().enumerate() {
        if file.path.ends_with(".jsonl") {
            log(&mut out, index, file, &mut seen);
        } else if file.path.ends_with(".json") && name(file.path).starts_with("session-") {
            document(&mut out, index, file);
        }
    }
    out.finish()
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// One message of the log: its first place, its last content.
struct Message {
    value: Value,
    offset: u64,
    len: u64,
    abandoned: bool,
}

fn log(out: &mut Builder, index: usize, file: &File<'_>, seen: &mut HashSet<String>) {
    let mut messages: Vec<Message> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut rewinds = Vec::new();
    let mut imported_at = None;
    out.stream = MAIN.to_owned();
    for record in records(file.bytes) {
        let (offset, len) = (record.offset, record.len);
        let Some(value) = out.record(index, record) else { continue };
        if let Some(set) = value.get("$set") {
            if set.get("messages").is_some() {
                imported_at = None;
            }
            if let Some(title) = set.str_at("summary") {
                out.native.title = Some(title.to_owned());
            }
        } else if let Some(id) = value.str_at("$rewindTo") {
            if let Some(&at) = places.get(id) {
                messages[at..].iter_mut().for_each(|m| m.abandoned = true);
            }
            rewinds.push((offset, len, messages.len()));
        } else if value.get("sessionId").is_some() && value.get("type").is_none() {
            header(out, &value, file.path);
        } else if let Some(id) = value.str_at("id").map(str::to_owned) {
            // After a cancelled request the past is written again, under new ids: from its context
            // on, without a pause.
            let time = time_text(value.get("timestamp")).map(|time| time.unix_us);
            if is_context(&value) && !messages.is_empty() {
                imported_at = time;
            }
            let pause_us = imported_at.zip(time).map(|(last, time)| time.saturating_sub(last));
            if pause_us.is_some_and(|pause_us| (0..=IMPORT_PAUSE_US).contains(&pause_us)) {
                imported_at = time;
                seen.insert(id);
                continue;
            }
            match places.get(&id) {
                Some(&at) => {
                    (messages[at].value, messages[at].offset, messages[at].len) =
                        (value, offset, len);
                }
                None if seen.contains(&id) => {}
                None => {
                    seen.insert(id.clone());
                    places.insert(id, messages.len());
                    messages.push(Message { value, offset, len, abandoned: false });
                }
            }
        } else {
            out.unknown(value.str_at("type").unwrap_or("record without id"));
        }
    }
    let mut rewinds = rewinds.into_iter().peekable();
    for (at, message) in messages.iter().enumerate() {
        while let Some((offset, len, _)) = rewinds.next_if(|(_, _, before)| *before <= at) {
            rewound(out, index, offset, len);
        }
        out.at(index, message.offset, message.len);
        out.abandoned = message.abandoned;
        say(out, &message.value);
    }
    rewinds.for_each(|(offset, len, _)| rewound(out, index, offset, len));
}

fn is_context(message: &Value) -> bool {
    let content = message.get("content").unwrap_or(&Value::Null);
    message.str_at("type") == Some("user") && plain_text(content).starts_with(CONTEXT)
}

fn rewound(out: &mut Builder, index: usize, offset: u64, len: u64) {
    out.at(index, offset, len);
    out.push(Context { op: Some(ContextOp::Rewind), ..Default::default() });
}

fn header(out: &mut Builder, value: &Value, path: &str) {
    out.time = time_text(value.get("startTime"));
    let session = value.str_at("sessionId").map(str::to_owned);
    if value.str_at("kind") == Some("subagent") {
        let child = session.unwrap_or_else(|| name(path).to_owned());
        out.stream.clone_from(&child);
        out.push(SubagentStart { child, ..Default::default() });
    } else if out.native.session.is_none() {
        out.native.session.clone_from(&session);
        out.push(SessionStart { agent_session: session, ..Default::default() });
    }
}

/// A session as one document.
fn document(out: &mut Builder, index: usize, file: &File<'_>) {
    out.at(index, 0, file.bytes.len() as u64);
    let json::Document { members, elements } = json::document(file.bytes, "messages");
    let members = Value::from(members);
    out.stream = MAIN.to_owned();
    header(out, &members, file.path);
    if let Some(title) = members.str_at("summary") {
        out.native.title = Some(title.to_owned());
    }
    for element in elements {
        if let Some(message) = out.record(index, element) {
            say(out, &message);
        }
    }
}

fn say(out: &mut Builder, message: &Value) {
    out.time = time_text(message.get("timestamp"));
    out.id = message.str_at("id").map(str::to_owned);
    let content = message.get("content").unwrap_or(&Value::Null);
    match message.str_at("type").unwrap_or_default() {
        "user" => user(out, content),
        // The past, imported again.
        "gemini" if content.as_array().is_some() => {}
        "gemini" => answer(out, message, content),
        "error" => {
            out.push(ApiError { message: plain_text(content), ..Default::default() });
        }
        "info" if plain_text(content) == "Request cancelled." => {
            out.push(Interrupt::default());
        }
        "info" | "warning" => {}
        kind => out.unknown(kind),
    }
}

fn user(out: &mut Builder, content: &Value) {
    let parts = content.as_array().unwrap_or_default();
    if parts.iter().any(|p| p.get("functionResponse").is_some()) {
        return;
    }
    let text = plain_text(content);
    let files =
        parts.iter().filter(|p| p.get("inlineData").is_some() || p.get("fileData").is_some());
    let attachments: Vec<String> = files.map(|_| "file".to_owned()).collect();
    if text.starts_with(CONTEXT) || (text.is_empty() && attachments.is_empty()) {
        return;
    }
    let form = if text.starts_with('/') { MessageForm::Slash } else { MessageForm::Typed };
    out.push(UserMessage { text, form: Some(form), attachments, ..Default::default() });
}

fn answer(out: &mut Builder, message: &Value, content: &Value) {
    let model = message.str_at("model");
    if let Some(model) = model {
        out.model(model);
    }
    let record_time = out.time;
    for thought in message.get("thoughts").map_or(&[][..], Value::items) {
        out.time = time_text(thought.get("timestamp")).or(record_time);
        let subject = thought.str_at("subject").unwrap_or_default();
        let description = thought.str_at("description").unwrap_or_default();
        let text = match (subject, description) {
            ("", text) => text.to_owned(),
            (subject, "") => format!("**{subject}**"),
            (subject, text) => format!("**{subject}**\n\n{text}"),
        };
        let form = if description.is_empty() { ThoughtForm::Subject } else { ThoughtForm::Summary };
        out.push(Thought { text, form: Some(form), signature_only: false });
    }
    out.time = record_time;
    let text = plain_text(content);
    let message_id = message.str_at("id").map(str::to_owned);
    if !text.is_empty() {
        let model = model.map(str::to_owned);
        out.push(AssistantMessage {
            text,
            model,
            message_id: message_id.clone(),
            is_final: message.get("toolCalls").is_none_or(|calls| calls.items().is_empty()),
            ..Default::default()
        });
    }
    for call in message.get("toolCalls").map_or(&[][..], Value::items) {
        out.time = record_time;
        let name = call.str_at("name").unwrap_or_default();
        out.push(tool::call(
            call.str_at("id"),
            name,
            call.get("args").cloned().unwrap_or_default(),
        ));
        result(out, call);
    }
    out.time = record_time;
    if let (Some(tokens), Some(id)) = (message.get("tokens").filter(|t| !t.is_null()), message_id) {
        let usage = usage_of(tokens, model, &id);
        out.usage(&id, usage);
    }
}

fn result(out: &mut Builder, call: &Value) {
    let status = call.str_at("status").unwrap_or_default();
    if !matches!(status, "success" | "error" | "cancelled") {
        return;
    }
    out.time = time_text(call.get("timestamp")).or(out.time);
    let call_id = call.str_at("id").map(str::to_owned);
    if status == "cancelled" {
        out.push(Approval {
            call_id: call_id.clone(),
            decision: Some(Decision::RejectOnce),
            by: Some(Decider::User),
            ..Default::default()
        });
    }
    let parts = call.get("result").map_or(&[][..], Value::items);
    let responses = parts.iter().filter_map(|p| p.path(&["functionResponse", "response"]));
    let texts = responses.filter_map(|r| r.get("output").or(r.get("error")).map(plain_text));
    let text = texts.collect::<Vec<_>>().join("\n");
    let exit_code = text.lines().find_map(|l| l.strip_prefix("Exit Code: ")?.trim().parse().ok());
    out.push(ToolResult {
        call_id,
        ok: Some(status == "success" && exit_code.unwrap_or(0) == 0),
        exit_code,
        text,
        ..Default::default()
    });
    let diff = call.get("resultDisplay").filter(|d| d.str_at("fileDiff").is_some());
    if let Some(diff) = diff.filter(|_| status == "success") {
        let text = diff.str_at("fileDiff").unwrap_or_default();
        let begin = |c: char, head: &str| {
            text.lines().filter(|l| l.starts_with(c) && !l.starts_with(head)).count() as u64
        };
        let created =
            diff.get("originalContent").is_some_and(|c| c.is_null() || c.as_str() == Some(""));
        let path = call.path(&["args", "file_path"]).and_then(Value::as_str);
        out.push(FileChange {
            path: path
                .or(diff.str_at("filePath"))
                .or(diff.str_at("fileName"))
                .unwrap_or_default()
                .to_owned(),
            op: Some(if created { FileOp::Create } else { FileOp::Modify }),
            plus: Some(begin('+', "+++")),
            minus: Some(begin('-', "---")),
            by: call.str_at("id").map(str::to_owned),
            ..Default::default()
        });
    }
}

/// Cached input is a part of the input here; reasoning is billed as output and stated beside it.
pub(super) fn usage_of(tokens: &Value, model: Option<&str>, id: &str) -> Usage {
    let number = |name| tokens.u64_at(name).unwrap_or(0);
    Usage {
        model: model.map(str::to_owned),
        request_id: Some(id.to_owned()),
        input: (number("input").saturating_add(number("tool"))).saturating_sub(number("cached")),
        cache_read: number("cached"),
        output: number("output").saturating_add(number("thoughts")),
        reasoning: number("thoughts"),
        total: tokens.u64_at("total"),
        basis: Some(Basis::PerRequest),
        ..Default::default()
    }
}
