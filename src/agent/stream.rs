//! JSON that agents write to their stdout when no person is there (`claude -p --output-format
//! stream-json`, `codex exec --json`, `gemini -o stream-json`, …).
//!
//! The first record that is known tells the format. What was asked is on the command line, not in
//! the stream.

use super::claude::time_of;
use super::transcript::Builder;
use super::{Transcript, claude, copilot, tool};
use crate::event::*;
use crate::json::{Object, Value, View, parse_lossy, records, visit};

/// How many records at the beginning are looked at to tell the format.
const PEEK_MAX: usize = 16;

/// Whose words a stream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// Claude's, also Qwen's and Cursor's.
    Claude,
    Codex,
    Gemini,
    Copilot,
    Kimi,
}

/// Reads what an agent wrote to its stdout. None where it is no stream of a known format. `agent`
/// is the agent's name as the command line tells it: several agents speak Claude's format.
pub fn read(stdout: &[u8], agent: Option<&str>) -> Option<Transcript> {
    let first = |of: &dyn Fn(&Value) -> Option<Format>| {
        records(stdout).take(PEEK_MAX).find_map(|record| of(record.value.as_ref().ok()?))
    };
    let format = first(&format_of).or_else(|| first(&|value| format_of_known(value, agent?)))?;
    let named = |name: &'static str| {
        super::AGENTS.iter().map(|a| a.name).find(|known| Some(*known) == agent).unwrap_or(name)
    };
    Some(match format {
        Format::Claude => claude::read_stdout(stdout, named("claude")),
        Format::Codex => codex(stdout, Builder::of_stdout("codex")),
        Format::Gemini => gemini(stdout, Builder::of_stdout("gemini")),
        Format::Copilot => copilot_events(stdout, Builder::of_stdout("copilot")),
        Format::Kimi => kimi(stdout, Builder::of_stdout("kimi")),
    })
}

fn format_of(value: &Value) -> Option<Format> {
    let has = |name| value.get(name).is_some();
    match value.str_at("type")? {
        "system" if value.str_at("subtype") == Some("init") => Some(Format::Claude),
        "thread.started" | "turn.started" => Some(Format::Codex),
        "init" if has("session_id") => Some(Format::Gemini),
        "system.version" if value.str_at("role") == Some("meta") => Some(Format::Kimi),
        kind if kind.contains('.') && has("data") && has("id") => Some(Format::Copilot),
        _ => None,
    }
}

/// The format of a stream of this agent whose first record is broken, or was cut off: by what its
/// other records look like, which alone would say too little.
fn format_of_known(value: &Value, agent: &str) -> Option<Format> {
    let kind = value.str_at("type").unwrap_or_default();
    let is_of = |kinds: &[&str], member| kinds.contains(&kind) && value.get(member).is_some();
    match agent {
        "codex" if is_of(&["item.started", "item.completed"], "item") => Some(Format::Codex),
        "gemini" if is_of(&["message", "tool_use", "tool_result"], "timestamp") => {
            Some(Format::Gemini)
        }
        "kimi" if kind.is_empty() && value.get("role").is_some() => Some(Format::Kimi),
        _ if is_of(&["system", "assistant", "user", "result"], "session_id") => {
            Some(Format::Claude)
        }
        _ => None,
    }
}

/// Goes to each record that is JSON. Other lines are warnings of the program, or of its runtime.
fn each(stdout: &[u8], out: &mut Builder, body: &mut dyn FnMut(&mut Builder, View<'_>)) {
    visit(&stdout, &mut |record| {
        let (offset, len) = (record.offset, record.len);
        if let Some(value) = record.value.ok().filter(|value| value.is_object()) {
            out.at(0, offset, len);
            out.time = time_of(value);
            body(out, value);
        }
    });
}

fn codex(stdout: &[u8], mut out: Builder) -> Transcript {
    let mut turns = 0;
    each(stdout, &mut out, &mut |out, value| {
        let item = value.get("item").unwrap_or(View::NULL);
        match value.str_at("type").unwrap_or_default() {
            "thread.started" => {
                let session = value.str_at("thread_id").map(str::to_owned);
                out.native.session.clone_from(&session);
                out.push(SessionStart { agent_session: session, ..Default::default() });
            }
            "item.started" => codex_call(out, item),
            "item.completed" => codex_item(out, item),
            "turn.completed" => {
                turns += 1;
                out.push(TurnEnd { stop_reason: Some(StopReason::EndTurn), ..Default::default() });
                if let Some(usage) = value.get("usage") {
                    let number = |name| usage.u64_at(name).unwrap_or(0);
                    let read = number("cached_input_tokens");
                    let usage = Usage {
                        input: number("input_tokens").saturating_sub(read),
                        cache_read: read,
                        output: number("output_tokens"),
                        reasoning: number("reasoning_output_tokens"),
                        basis: Some(Basis::Cumulative),
                        ..Default::default()
                    };
                    out.usage(&format!("turn {turns}"), usage);
                }
            }
            "turn.failed" | "error" => {
                let message = value.path(&["error", "message"]).or(value.get("message"));
                let message = message.and_then(View::as_str).unwrap_or_default().to_owned();
                out.push(ApiError { message, ..Default::default() });
            }
            "turn.started" | "item.updated" => {}
            kind => out.unknown(kind),
        }
    });
    out.finish()
}

/// The call that an item is about to make; its result comes when it is completed.
fn codex_call(out: &mut Builder, item: View<'_>) {
    let id = item.str_at("id");
    let member = |name: &str| item.get(name).map(View::to_value).unwrap_or_default();
    match item.str_at("type").unwrap_or_default() {
        "command_execution" => {
            let args = Object::from_iter([("cmd", member("command"))]).into();
            out.push(tool::call(id, "exec_command", args));
        }
        "file_change" => {
            let changes = Object::from_iter([("changes", member("changes"))]);
            let paths = item.get("changes").into_iter().flat_map(View::items);
            let paths = paths.filter_map(|c| c.str_at("path")).map(str::to_owned).collect();
            let call = tool::call(id, "apply_patch", changes.into());
            out.push(ToolCall { paths, ..call });
        }
        "mcp_tool_call" => {
            let name = format!(
                "mcp__{}__{}",
                item.str_at("server").unwrap_or_default(),
                item.str_at("tool").unwrap_or_default()
            );
            out.push(tool::call(id, &name, member("arguments")));
        }
        "web_search" => {
            let args = Object::from_iter([("query", member("query"))]).into();
            out.push(tool::call(id, "web_search", args));
        }
        _ => {}
    }
}

fn codex_item(out: &mut Builder, item: View<'_>) {
    let text = |name| item.str_at(name).unwrap_or_default().to_owned();
    let call_id = item.str_at("id").map(str::to_owned);
    match item.str_at("type").unwrap_or_default() {
        "reasoning" => {
            let form = Some(ThoughtForm::Summary);
            out.push(Thought { text: text("text"), form, signature_only: false });
        }
        "agent_message" => {
            out.push(AssistantMessage { text: text("text"), ..Default::default() });
        }
        kind @ ("command_execution" | "file_change" | "mcp_tool_call" | "web_search") => {
            let called = |e: &Event| matches!(&e.body, Body::ToolCall(c) if c.call_id == call_id);
            if !out.events().iter().any(called) {
                codex_call(out, item);
            }
            let exit_code = item.get("exit_code").and_then(View::as_i64);
            let ok = match kind {
                "command_execution" => exit_code.map(|code| code == 0),
                _ => item.str_at("status").map(|status| status == "completed"),
            };
            out.push(ToolResult {
                call_id: call_id.clone(),
                ok,
                exit_code: exit_code.and_then(|code| i32::try_from(code).ok()),
                text: text("aggregated_output"),
                ..Default::default()
            });
            for change in item.get("changes").into_iter().flat_map(View::items) {
                let op = match change.str_at("kind") {
                    Some("add") => Some(FileOp::Create),
                    Some("delete") => Some(FileOp::Delete),
                    Some("update") => Some(FileOp::Modify),
                    _ => None,
                };
                let path = change.str_at("path").unwrap_or_default().to_owned();
                out.push(FileChange { path, op, by: call_id.clone(), ..Default::default() });
            }
        }
        "todo_list" => {
            out.push(Plan { items: item.get("items").map(View::to_value).unwrap_or_default() });
        }
        "error" => {
            out.push(Failure { code: None, message: text("message") });
        }
        kind => out.unknown(&format!("item/{kind}")),
    }
}

/// Gemini writes answers in pieces; pieces that follow one another are one message.
fn gemini(stdout: &[u8], mut out: Builder) -> Transcript {
    let mut joined = false;
    each(stdout, &mut out, &mut |out, value| {
        let text = |name| value.str_at(name).unwrap_or_default().to_owned();
        let goes_on = std::mem::take(&mut joined);
        match value.str_at("type").unwrap_or_default() {
            "init" => {
                out.native.session = value.str_at("session_id").map(str::to_owned);
                out.native.model = value.str_at("model").map(str::to_owned);
                out.push(SessionStart {
                    agent_session: value.str_at("session_id").map(str::to_owned),
                    model: value.str_at("model").map(str::to_owned),
                    ..Default::default()
                });
            }
            "message" if value.str_at("role") == Some("user") => {
                let form = Some(MessageForm::Argv);
                out.push(UserMessage { text: text("content"), form, ..Default::default() });
            }
            "message" => {
                joined = value.is_true_at("delta");
                if let Some(Body::AssistantMessage(message)) =
                    out.events().last_mut().map(|e| &mut e.body).filter(|_| goes_on)
                {
                    message.text.push_str(&text("content"));
                    out.stretch();
                } else {
                    let (text, model) = (text("content"), out.native.model.clone());
                    out.push(AssistantMessage { text, model, ..Default::default() });
                }
            }
            "tool_use" => {
                let args = value.get("parameters").map(View::to_value).unwrap_or_default();
                out.push(tool::call(value.str_at("tool_id"), &text("tool_name"), args));
            }
            "tool_result" => {
                let error = value.path(&["error", "message"]).and_then(View::as_str);
                out.push(ToolResult {
                    call_id: value.str_at("tool_id").map(str::to_owned),
                    ok: value.str_at("status").map(|status| status == "success"),
                    text: text("output"),
                    error: error.map(str::to_owned),
                    ..Default::default()
                });
            }
            "error" => {
                out.push(ApiError { message: text("message"), ..Default::default() });
            }
            "result" => {
                let Some(stats) = value.get("stats") else { return };
                let number = |name| stats.u64_at(name).unwrap_or(0);
                let usage = Usage {
                    model: out.native.model.clone(),
                    input: number("input_tokens").saturating_sub(number("cached")),
                    cache_read: number("cached"),
                    // Reasoning is only in the total.
                    output: number("total_tokens").saturating_sub(number("input_tokens")),
                    reasoning: number("total_tokens")
                        .saturating_sub(number("input_tokens"))
                        .saturating_sub(number("output_tokens")),
                    total: stats.u64_at("total_tokens"),
                    basis: Some(Basis::Cumulative),
                    ..Default::default()
                };
                out.usage("result", usage);
                let duration_ms = stats.u64_at("duration_ms");
                out.push(TurnEnd { duration_ms, ..Default::default() });
            }
            kind => out.unknown(kind),
        }
    });
    out.finish()
}

/// The events of the file, and others that are gone when they are read.
fn copilot_events(stdout: &[u8], mut out: Builder) -> Transcript {
    let mut asked = copilot::Asked::new();
    each(stdout, &mut out, &mut |out, value| {
        let passing = value.is_true_at("ephemeral");
        if !passing && value.str_at("type") != Some("session.skills_loaded") {
            if value.str_at("type") == Some("result") {
                out.native.session = value.str_at("sessionId").map(str::to_owned);
                return;
            }
            out.stream = value.str_at("agentId").unwrap_or(MAIN).to_owned();
            copilot::event(out, value, &mut asked);
        }
    });
    out.finish()
}

fn kimi(stdout: &[u8], mut out: Builder) -> Transcript {
    each(stdout, &mut out, &mut |out, value| {
        let text = |name| value.str_at(name).unwrap_or_default().to_owned();
        match (value.str_at("role").unwrap_or_default(), value.str_at("type")) {
            ("meta", Some("system.version")) => out.native.version = Some(text("version")),
            ("meta", Some("session.resume_hint")) => out.native.session = Some(text("session_id")),
            ("meta", _) => {}
            ("user", _) => {
                let form = Some(MessageForm::Argv);
                out.push(UserMessage { text: text("content"), form, ..Default::default() });
            }
            ("assistant", _) => {
                if let Some(thought) = value.str_at("reasoning_content") {
                    let form = Some(ThoughtForm::Full);
                    out.push(Thought { text: thought.to_owned(), form, signature_only: false });
                }
                if !text("content").is_empty() {
                    out.push(AssistantMessage { text: text("content"), ..Default::default() });
                }
                for call in value.get("tool_calls").into_iter().flat_map(View::items) {
                    let function = call.get("function").unwrap_or(View::NULL);
                    let raw = function.str_at("arguments").unwrap_or_default();
                    let args = parse_lossy(raw.as_bytes()).unwrap_or_else(|_| raw.into());
                    let name = function.str_at("name").unwrap_or_default();
                    out.push(tool::call(call.str_at("id"), name, args));
                }
            }
            ("tool", _) => {
                let call_id = value.str_at("tool_call_id").map(str::to_owned);
                out.push(ToolResult { call_id, text: text("content"), ..Default::default() });
            }
            (role, _) => out.unknown(role),
        }
    });
    out.finish()
}
