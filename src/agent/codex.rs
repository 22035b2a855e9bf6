//! OpenAI Codex: `~/.codex/sessions/YYYY/MM/DD/rollout-<time>-<thread>.jsonl`, in both formats.
//!
//! A rollout holds the model's raw items (`response_item`) and, for people, clean ones: in
//! paginated files `item_completed` events, before that one event a kind. Text is taken from the
//! clean ones, tool calls from the raw ones, so that neither stands twice. A rewind or a fork is a
//! new file that goes on from a place in another (`history_base`).

use super::claude::{as_text, text_of, time_of};
use super::detect::Words;
use super::locate::{Base, Place, Project};
use super::transcript::Builder;
use super::{Agent, Digest, Long, Scope, Sink, tool};
use crate::event::*;
use crate::json::{Pieces, Value, View, parse_lossy, visit, visit_until};
use std::collections::HashMap;
use std::ops::ControlFlow;

pub(super) const AGENT: Agent = Agent {
    name: "codex",
    programs: &["codex"],
    packages: &["@openai/codex"],
    places: &[
        Place {
            env: Some(("CODEX_HOME", "sessions")),
            tail: ".codex/sessions",
            base: Base::Home,
            patterns: &["*/*/*/rollout-*.jsonl"],
            project: Project::None,
        },
        Place {
            env: Some(("CODEX_HOME", "archived_sessions")),
            tail: ".codex/archived_sessions",
            base: Base::Home,
            patterns: &["rollout-*.jsonl"],
            project: Project::None,
        },
    ],
    session_key: thread_of,
    words: &Words {
        resume: &[],
        session: &[],
        subcommands: &["resume", "fork"],
        latest: &["--last"],
        prompt: &["exec", "e"],
        back: &["codex", "resume"],
    },
};

/// Events that repeat what other records say, or say nothing of the conversation.
const NOISE: &[&str] = &[
    "task_started",
    "turn_started",
    "thread_settings_applied",
    "exec_command_begin",
    "exec_command_end",
    "exec_command_output_delta",
    "patch_apply_begin",
    "patch_apply_end",
    "mcp_tool_call_begin",
    "mcp_tool_call_end",
    "web_search_begin",
    "web_search_end",
    "agent_reasoning_section_break",
    "agent_reasoning_raw_content",
    "turn_diff",
    "background_event",
    "view_image_tool_call",
    "entered_review_mode",
    "exited_review_mode",
    "item_started",
    "warning",
    "thread_name_updated",
    "session_configured",
    "shutdown_complete",
    "plan_update",
];
/// How the texts begin that the program puts among the user's messages.
const INJECTED: &[&str] = &[
    "<environment_context>",
    "<user_instructions>",
    "# AGENTS.md instructions",
    "<turn_aborted>",
    "<user_shell_command>",
    "<skills_instructions>",
    "<skill>",
    "<permissions instructions>",
    "<subagent_notification>",
    "<INSTRUCTIONS>",
];

/// The thread in a rollout's name: `rollout-<19 characters of time>-<thread>[_<segment>].jsonl`.
fn thread_of(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    let id = name.strip_prefix("rollout-").and_then(|rest| rest.get(20..)).unwrap_or_default();
    id.split(['_', '.']).next().unwrap_or_default().to_owned()
}

/// The thread that started the one whose rollout begins like this, if it is a subagent's.
pub fn parent_of(head: &[u8]) -> Option<String> {
    let first = head.split(|byte| *byte == b'\n').next()?;
    let value = parse_lossy(first).ok()?;
    let spawn = value.path(&["payload", "source", "subagent", "thread_spawn"])?;
    spawn.str_at("parent_thread_id").map(str::to_owned)
}

pub(super) fn read(files: &[Long<'_>], _scope: &Scope<'_>, sink: &mut dyn Sink) -> Digest {
    let mut heads: Vec<Head> =
        files.iter().enumerate().filter_map(|(i, f)| Head::read(i, f)).collect();
    heads.sort_by(|a, b| a.started.cmp(&b.started).then(a.file.cmp(&b.file)));
    let mut reader = Reader::new();
    for at in 0..heads.len() {
        let cut = cut(&heads[at], &heads[at + 1..]);
        reader.file(&heads[at], files[heads[at].file].content, cut, sink);
    }
    for file in files.iter().filter(|f| f.path.ends_with("session_index.jsonl")) {
        visit(file.content, &mut |record| {
            let Ok(value) = record.value else { return };
            if value.str_at("id") == reader.out.native.session.as_deref() {
                reader.out.native.title = value.str_at("thread_name").map(str::to_owned);
            }
        });
    }
    reader.out.settle(sink)
}

/// The ordinal from which a file is no longer history, because a later file goes on before it.
fn cut(head: &Head, later: &[Head]) -> u64 {
    let bases = later.iter().filter_map(|h| h.base.as_ref());
    bases
        .filter(|(thread, _)| *thread == head.thread)
        .map(|(_, end)| *end)
        .min()
        .unwrap_or(u64::MAX)
}

/// What the first records of a rollout say of it.
struct Head {
    file: usize,
    thread: String,
    started: String,
    base: Option<(String, u64)>,
    /// Set for a subagent: its nickname or path.
    child: Option<String>,
    text: Text,
}

/// Where a file's clean text stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    Items,
    Events,
    Responses,
}

impl Head {
    fn read(file: usize, source: &Long<'_>) -> Option<Head> {
        if !source.path.ends_with(".jsonl") || source.path.ends_with("session_index.jsonl") {
            return None;
        }
        let mut head = Head {
            file,
            thread: String::new(),
            started: String::new(),
            base: None,
            child: None,
            text: Text::Responses,
        };
        let mut first = true;
        visit_until(source.content, &mut |record| {
            let Ok(value) = record.value else { return ControlFlow::Continue(()) };
            let payload = value.get("payload").unwrap_or(View::NULL);
            match (value.str_at("type"), payload.str_at("type")) {
                // A subagent's second line is a copy of its parent's head.
                (Some("session_meta"), _) if std::mem::take(&mut first) => head.meta(payload),
                (Some("event_msg"), Some("item_completed")) => head.text = Text::Items,
                (Some("event_msg"), Some("user_message" | "agent_message")) => {
                    head.text = Text::Events;
                }
                _ => {}
            }
            match head.text {
                Text::Responses => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        });
        Some(head)
    }

    fn meta(&mut self, meta: View<'_>) {
        let text = |name| meta.str_at(name).unwrap_or_default().to_owned();
        self.thread = text("id");
        self.started = text("timestamp");
        let base = meta.get("history_base");
        self.base = base.and_then(|b| {
            Some((b.str_at("thread_id")?.to_owned(), b.u64_at("end_ordinal_exclusive")?))
        });
        let subagent = meta.path(&["source", "subagent"]).is_some();
        self.child = subagent.then(|| text("agent_nickname"));
        if meta.str_at("history_mode") == Some("paginated") {
            self.text = Text::Items;
        }
    }
}

struct Reader {
    out: Builder,
    text: Text,
    thread: String,
    policy: Option<String>,
    /// Calls that were made: the result's exit status and duration come from another record.
    calls: HashMap<String, Facts>,
    /// A script that is running; what it does is reported between its call and its output.
    script: Option<String>,
    /// The file states usage response by response.
    per_response: bool,
    last_total: Option<String>,
    compacted: bool,
}

#[derive(Default)]
struct Facts {
    exit_code: Option<i32>,
    duration_ms: Option<u64>,
    failed: bool,
}

impl Reader {
    fn new() -> Reader {
        Reader {
            out: Builder::new(AGENT.name),
            text: Text::Items,
            thread: String::new(),
            policy: None,
            calls: HashMap::new(),
            script: None,
            per_response: false,
            last_total: None,
            compacted: false,
        }
    }

    fn file(&mut self, head: &Head, content: &dyn Pieces, cut: u64, sink: &mut dyn Sink) {
        self.text = head.text;
        self.thread.clone_from(&head.thread);
        self.out.stream = match head.child {
            Some(_) => head.thread.clone(),
            None => MAIN.to_owned(),
        };
        self.script = None;
        self.per_response = false;
        self.last_total = None;
        let mut copied = head.child.is_some() && has_own_start(content);
        let mut first = true;
        visit(content, &mut |record| {
            let Some(value) = self.out.record(head.file, record) else { return };
            self.out.time = time_of(value);
            self.out.abandoned = value.u64_at("ordinal").is_some_and(|n| n >= cut);
            let payload = value.get("payload").unwrap_or(View::NULL);
            if value.str_at("type") == Some("session_meta") {
                if std::mem::take(&mut first) {
                    self.session(payload, head);
                }
                return;
            }
            // A subagent's file begins with what its parent had said before.
            if copied {
                copied = !is_own_start(value);
                return;
            }
            self.record(value, payload);
            self.out.pass(sink);
        });
    }

    fn session(&mut self, meta: View<'_>, head: &Head) {
        let text = |name| meta.str_at(name).map(str::to_owned);
        if let Some(name) = &head.child {
            let name = Some(name.clone()).filter(|n| !n.is_empty());
            self.out.push(SubagentStart { child: head.thread.clone(), name, ..Default::default() });
            return;
        }
        self.out.native.session = text("id");
        self.out.native.cwd = text("cwd");
        self.out.native.version = text("cli_version");
        self.out.push(SessionStart {
            cwd: text("cwd"),
            agent_version: text("cli_version"),
            agent_session: text("id"),
            git: meta.get("git").map(View::to_value).unwrap_or_default(),
            resumed_from: text("forked_from_id"),
            ..Default::default()
        });
    }

    fn record(&mut self, value: View<'_>, payload: View<'_>) {
        match value.str_at("type").unwrap_or_default() {
            "event_msg" => self.event(payload),
            "response_item" => self.response(payload),
            "turn_context" => self.turn_context(payload),
            "token_usage_record" => {
                self.per_response = true;
                if let (Some(id), Some(usage)) =
                    (payload.str_at("response_id"), payload.get("usage"))
                {
                    let usage = self.usage_of(usage, id);
                    self.out.usage(id, usage);
                }
            }
            "compacted" => {
                self.compacted = true;
                self.out.push(Context {
                    op: Some(ContextOp::Compact),
                    summary: payload.str_at("message").map(str::to_owned),
                    ..Default::default()
                });
            }
            "world_state" | "inter_agent_communication_metadata" => {}
            kind => self.out.unknown(kind),
        }
    }

    fn turn_context(&mut self, payload: View<'_>) {
        if let Some(model) = payload.str_at("model") {
            self.out.model(model);
        }
        let policy = payload.str_at("approval_policy").map(str::to_owned);
        if policy.is_some() && self.policy != policy {
            let from = std::mem::replace(&mut self.policy, policy.clone());
            if from.is_some() {
                self.out.push(ModeChange { from, to: policy });
            }
        }
    }

    fn event(&mut self, event: View<'_>) {
        let text = |name| event.str_at(name).unwrap_or_default().to_owned();
        match event.str_at("type").unwrap_or_default() {
            "item_completed" => self.item(event.get("item").unwrap_or(View::NULL)),
            "user_message" if self.text == Text::Events => {
                let images = event.get("images").into_iter().flat_map(View::items);
                let attachments = images.map(|_| "image".to_owned()).collect();
                self.user(text("message"), attachments);
            }
            "agent_message" if self.text == Text::Events => {
                self.assistant(text("message"), None, false)
            }
            "agent_reasoning" if self.text == Text::Events => self.thought(text("text")),
            "user_message" | "agent_message" | "agent_reasoning" => {}
            "token_count" => self.token_count(event),
            "task_complete" | "turn_complete" => {
                if let Some(error) = event.get("error").filter(|e| !e.is_null()) {
                    let message =
                        error.str_at("message").map_or_else(|| as_text(error), str::to_owned);
                    self.out.push(ApiError { message, ..Default::default() });
                }
                let failed = event.get("error").is_some_and(|e| !e.is_null());
                let stop = if failed { StopReason::Error } else { StopReason::EndTurn };
                self.turn_end(event, stop);
            }
            "turn_aborted" => {
                self.out.push(Interrupt { key: None, effect: Some(text("reason")) });
                self.turn_end(event, StopReason::Cancelled);
            }
            "context_compacted" => self.context_compacted(),
            "thread_rolled_back" => {
                self.out.abandon_turns(event.u64_at("num_turns").unwrap_or(0));
                self.out.push(Context { op: Some(ContextOp::Rewind), ..Default::default() });
            }
            kind @ ("error" | "stream_error") => {
                let retry = kind == "stream_error";
                self.out.push(ApiError { message: text("message"), retry, ..Default::default() });
            }
            kind if NOISE.contains(&kind) => {}
            kind => self.out.unknown(&format!("event_msg/{kind}")),
        }
    }

    fn turn_end(&mut self, event: View<'_>, stop: StopReason) {
        let duration_ms = event.u64_at("duration_ms");
        self.out.push(TurnEnd { stop_reason: Some(stop), duration_ms, ..Default::default() });
    }

    fn item(&mut self, item: View<'_>) {
        let content = |item: View<'_>| item.get("content").map(text_of).unwrap_or_default();
        match item.str_at("type").unwrap_or_default() {
            "UserMessage" => {
                let parts = item.get("content").into_iter().flat_map(View::items);
                let other = parts.filter_map(|p| p.str_at("type")).filter(|t| *t != "text");
                let attachments = other.map(str::to_owned).collect();
                self.user(content(item), attachments);
            }
            "Reasoning" => {
                let part = |name: &str| item.get(name).map(text_of).filter(|text| !text.is_empty());
                let text = part("summary_text").or_else(|| part("raw_content"));
                self.thought(text.unwrap_or_default());
            }
            "AgentMessage" => {
                let is_final = item.str_at("phase") == Some("final_answer");
                self.assistant(content(item), item.str_at("id"), is_final);
            }
            "CommandExecution" => self.command(item),
            "FileChange" => self.file_change(item),
            "ContextCompaction" => self.context_compacted(),
            "SubAgentActivity" if item.str_at("kind") != Some("started") => {
                if let Some(child) = item.str_at("agent_thread_id") {
                    self.out.push(SubagentEnd { child: child.to_owned(), ..Default::default() });
                }
            }
            // The call and its output stand beside them as raw items.
            "SubAgentActivity" | "McpToolCall" | "WebSearch" | "DynamicToolCall" | "ImageView" => {}
            "Plan" | "TodoList" => {
                let items =
                    item.get("items").or(item.get("text")).map(View::to_value).unwrap_or_default();
                self.out.push(Plan { items });
            }
            kind => self.out.unknown(&format!("item/{kind}")),
        }
    }

    fn user(&mut self, text: String, attachments: Vec<String>) {
        let form = Some(MessageForm::Typed);
        self.out.push(UserMessage { text, form, attachments, ..Default::default() });
    }

    fn assistant(&mut self, text: String, id: Option<&str>, is_final: bool) {
        let model = self.out.native.model.clone();
        let message_id = id.map(str::to_owned);
        self.out.push(AssistantMessage { text, model, message_id, is_final, ..Default::default() });
    }

    fn thought(&mut self, text: String) {
        let hidden = text.is_empty();
        let form = if hidden { ThoughtForm::Redacted } else { ThoughtForm::Summary };
        self.out.push(Thought { text, form: Some(form), signature_only: hidden });
    }

    fn context_compacted(&mut self) {
        if !std::mem::take(&mut self.compacted) {
            self.out.push(Context { op: Some(ContextOp::Compact), ..Default::default() });
        }
    }

    /// A command that ran: a call's facts, a step of a script, or the user's own `!command`.
    fn command(&mut self, item: View<'_>) {
        let id = item.str_at("id").unwrap_or_default().to_owned();
        let facts = facts(item);
        if let Some(call) = self.calls.get_mut(&id) {
            *call = facts;
            return;
        }
        let words = item.get("command").into_iter().flat_map(View::items);
        let command = words.last().and_then(View::as_str).unwrap_or_default();
        if item.str_at("source") == Some("user_shell") {
            let form = Some(MessageForm::Bang);
            let text = format!("!{command}");
            self.out.push(UserMessage { text, form, ..Default::default() });
        } else {
            let args = crate::json::Object::from_iter([("cmd", command)]).into();
            let mut call = tool::call(Some(&id), "exec_command", args);
            call.within.clone_from(&self.script);
            self.out.push(call);
        }
        let text = item.str_at("aggregated_output").unwrap_or_default().to_owned();
        self.out.push(ToolResult {
            call_id: Some(id),
            ok: Some(!facts.failed),
            exit_code: facts.exit_code,
            text,
            duration_ms: facts.duration_ms,
            ..Default::default()
        });
    }

    fn file_change(&mut self, item: View<'_>) {
        let id = item.str_at("id").unwrap_or_default();
        let changes = item.get("changes").map(View::to_value).unwrap_or_default();
        let facts = facts(item);
        let nested = match self.calls.get_mut(id) {
            Some(call) => {
                *call = facts;
                false
            }
            None => {
                let args = crate::json::Object::from_iter([("changes", changes.clone())]).into();
                let mut call = tool::call(Some(id), "apply_patch", args);
                call.within.clone_from(&self.script);
                self.out.push(call);
                true
            }
        };
        if nested {
            let text = item.str_at("stdout").unwrap_or_default().to_owned();
            let ok = item.str_at("status").map(|status| status == "completed");
            self.out.push(ToolResult {
                call_id: Some(id.to_owned()),
                ok,
                text,
                ..Default::default()
            });
        }
        for (path, change) in changes.as_object().iter().flat_map(|c| c.iter()) {
            self.out.push(change_of(path, change, id));
        }
    }

    fn response(&mut self, item: View<'_>) {
        let call_id = item.str_at("call_id").or(item.str_at("id"));
        let name = item.str_at("name").unwrap_or_default();
        match item.str_at("type").unwrap_or_default() {
            "function_call" => {
                let raw = item.str_at("arguments").unwrap_or_default();
                let args = parse_lossy(raw.as_bytes()).unwrap_or_else(|_| raw.into());
                let plan = args.get("plan").filter(|_| name == "update_plan").cloned();
                self.call(call_id, name, args);
                if let Some(items) = plan {
                    self.out.push(Plan { items });
                }
            }
            "custom_tool_call" => {
                let input = item.get("input").map(View::to_value).unwrap_or_default();
                if name == "exec" {
                    self.script = call_id.map(str::to_owned);
                }
                self.call(call_id, name, input);
            }
            "local_shell_call" => {
                let action = item.get("action").map(View::to_value).unwrap_or_default();
                self.call(call_id, "local_shell", action);
            }
            "web_search_call" => {
                let action = item.get("action").map(View::to_value).unwrap_or_default();
                self.call(call_id, "web_search", action);
            }
            "function_call_output" | "custom_tool_call_output" | "local_shell_call_output" => {
                self.output(item, call_id.unwrap_or_default());
            }
            "message" | "reasoning" if self.text == Text::Responses => self.raw_text(item),
            "reasoning" if self.text == Text::Events => {
                // Where there is no summary, there is no event either.
                if item.get("summary").is_none_or(|s| s.items().next().is_none()) {
                    self.thought(String::new());
                }
            }
            "message" | "reasoning" | "additional_tools" | "agent_message" | "ghost_snapshot"
            | "compaction" | "compaction_summary" | "tool_search_call" | "tool_search_output" => {}
            kind => self.out.unknown(&format!("response_item/{kind}")),
        }
    }

    fn call(&mut self, call_id: Option<&str>, name: &str, args: Value) {
        if let Some(id) = call_id {
            self.calls.insert(id.to_owned(), Facts::default());
        }
        self.out.push(tool::call(call_id, name, args));
    }

    fn output(&mut self, item: View<'_>, id: &str) {
        if self.script.as_deref() == Some(id) {
            self.script = None;
        }
        let output = item.get("output").unwrap_or(View::NULL);
        let text =
            text_of(output.get("content").filter(|_| output.as_str().is_none()).unwrap_or(output));
        let facts = self.calls.remove(id).unwrap_or_default();
        let exit_code = facts.exit_code.or_else(|| stated_exit_code(&text));
        let aborted = text.contains("aborted by user");
        let ok = match exit_code {
            _ if aborted || facts.failed => Some(false),
            Some(code) => Some(code == 0),
            None => None,
        };
        self.out.push(ToolResult {
            call_id: Some(id.to_owned()),
            ok,
            exit_code,
            text,
            duration_ms: facts.duration_ms,
            error: aborted.then(|| "aborted by user".to_owned()),
            ..Default::default()
        });
    }

    /// For files that have raw items only.
    fn raw_text(&mut self, item: View<'_>) {
        let text = item.get("content").map(text_of).unwrap_or_default();
        match (item.str_at("type"), item.str_at("role")) {
            (Some("reasoning"), _) => {
                self.thought(item.get("summary").map(text_of).unwrap_or_default());
            }
            (_, Some("user"))
                if !INJECTED.iter().any(|head| text.trim_start().starts_with(head)) =>
            {
                self.user(text, Vec::new());
            }
            (_, Some("assistant")) => self.assistant(text, item.str_at("id"), false),
            _ => {}
        }
    }

    /// Before requests had records of their own, usage was stated with the running total; the same
    /// total again is the same request again.
    fn token_count(&mut self, event: View<'_>) {
        let info = event.get("info").unwrap_or(View::NULL);
        let (Some(total), Some(last)) =
            (info.get("total_token_usage"), info.get("last_token_usage"))
        else {
            return;
        };
        let key = format!("{}:{}", self.thread, as_text(total));
        let usage = self.usage_of(last, &key);
        let repeated = self.last_total.as_ref() == Some(&key);
        if self.per_response || repeated {
            self.out.usage_repeated(&key, usage);
        } else {
            self.out.usage(&key, usage);
        }
        self.last_total = Some(key);
    }

    /// Cached input is a part of the input here, and reasoning a part of the output.
    fn usage_of(&self, usage: View<'_>, id: &str) -> Usage {
        let number = |name| usage.u64_at(name).unwrap_or(0);
        let (read, written) = (number("cached_input_tokens"), number("cache_write_input_tokens"));
        Usage {
            model: self.out.native.model.clone(),
            request_id: Some(id.to_owned()),
            input: number("input_tokens").saturating_sub(read).saturating_sub(written),
            cache_read: read,
            cache_write_5m: written,
            output: number("output_tokens"),
            reasoning: number("reasoning_output_tokens"),
            total: usage.u64_at("total_tokens"),
            basis: Some(Basis::PerRequest),
            ..Default::default()
        }
    }
}

fn facts(item: View<'_>) -> Facts {
    let exit_code =
        item.get("exit_code").and_then(View::as_i64).and_then(|n| i32::try_from(n).ok());
    let time = item.get("duration");
    let part = |name| time.and_then(|t| t.u64_at(name));
    let duration_ms = part("secs").map(|secs| {
        secs.saturating_mul(1000).saturating_add(part("nanos").unwrap_or(0) / 1_000_000)
    });
    let failed = exit_code.is_some_and(|code| code != 0)
        || matches!(item.str_at("status"), Some("failed" | "declined"));
    Facts { exit_code, duration_ms, failed }
}

fn change_of(path: &str, change: &Value, id: &str) -> FileChange {
    let content = change.str_at("content").unwrap_or_default();
    let diff = change.str_at("unified_diff").unwrap_or_default();
    let begin = |c: char| diff.lines().filter(|l| l.starts_with(c)).count() as u64;
    let lines = content.lines().count() as u64;
    let (op, plus, minus) = match change.str_at("type") {
        Some("add") => (Some(FileOp::Create), lines, 0),
        Some("delete") => (Some(FileOp::Delete), 0, lines),
        Some("update") if change.str_at("move_path").is_some() => {
            (Some(FileOp::Rename), begin('+'), begin('-'))
        }
        Some("update") => (Some(FileOp::Modify), begin('+'), begin('-')),
        _ => (None, begin('+'), begin('-')),
    };
    FileChange {
        path: path.to_owned(),
        op,
        plus: Some(plus),
        minus: Some(minus),
        by: Some(id.to_owned()).filter(|id| !id.is_empty()),
        ..Default::default()
    }
}

/// The exit status that an output states in words, or in the JSON that older versions wrote.
fn stated_exit_code(text: &str) -> Option<i32> {
    if text.starts_with("{\"") {
        let value = parse_lossy(text.as_bytes()).ok()?;
        return value.path(&["metadata", "exit_code"])?.as_i64()?.try_into().ok();
    }
    let heads = ["Exit code: ", "Process exited with code "];
    let line = text.lines().take(6).find_map(|l| heads.iter().find_map(|h| l.strip_prefix(h)))?;
    line.trim().parse().ok()
}

/// Whether a record is the start of a turn that another agent's turn asked for.
fn is_own_start(value: View<'_>) -> bool {
    let payload = value.get("payload").unwrap_or(View::NULL);
    payload.str_at("type") == Some("task_started")
        && payload.path(&["turn_attribution", "parent_turn_id"]).is_some_and(|id| !id.is_null())
}

fn has_own_start(content: &dyn Pieces) -> bool {
    let mut found = false;
    visit_until(content, &mut |record| {
        found = record.value.is_ok_and(is_own_start);
        if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    found
}
