//! Claude Code: `~/.claude/projects/<cwd>/<session>.jsonl`, and `<session>/subagents/` beside it.
//!
//! A finished answer of the model is several lines with one `message.id`; the lines form a tree by
//! `uuid` and `parentUuid`, and only the branch that ends in the last line is the conversation.

use super::detect::Words;
use super::locate::{Base, Place, Project};
use super::transcript::Builder;
use super::{Agent, Digest, Long, NoteKind, Scope, Sink, Transcript, tool, whole};
use crate::event::*;
use crate::json::{Value, View, parse_lossy, visit};
use crate::time::WallTime;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hasher};

pub(super) const AGENT: Agent = Agent {
    name: "claude",
    programs: &["claude"],
    packages: &["@anthropic-ai/claude-code"],
    places: &[Place {
        env: Some(("CLAUDE_CONFIG_DIR", "projects")),
        tail: ".claude/projects",
        base: Base::Home,
        patterns: &["*/*.jsonl", "*/*/subagents/agent-*.jsonl", "*/*/subagents/agent-*.meta.json"],
        project: Project::Dashes,
    }],
    session_key: |path| {
        // <project>/<session>.jsonl and <project>/<session>/subagents/…
        let session = path.split('/').nth(1).unwrap_or_default();
        session.trim_end_matches(".jsonl").to_owned()
    },
    words: &Words {
        resume: &["--resume", "-r"],
        session: &["--session-id"],
        subcommands: &[],
        latest: &["-c", "--continue"],
        prompt: &["-p", "--print"],
        back: &["claude", "--resume"],
    },
};

/// Records without any part in the conversation.
const NOISE: &[&str] = &[
    "attachment",
    "file-history-snapshot",
    "last-prompt",
    "mode",
    "queue-operation",
    "progress",
    "agent-name",
    "agent-color",
    "pr-link",
    "content-replacement",
    "task-summary",
    "saved_hook_context",
];
/// What stands for the answer that an interrupted turn has not had when the session is gone on
/// with: nobody has said it, nor was it shown.
const UNSAID: &str = "No response requested.";
/// How a refused tool call is answered.
const REFUSED: &str = "The user doesn't want to proceed with this tool use";
const INTERRUPTED: &str = "[Request interrupted by user";

pub(super) fn read(files: &[Long<'_>], _scope: &Scope<'_>, sink: &mut dyn Sink) -> Digest {
    let mut reader = Reader { out: Builder::new(AGENT.name), seen: Seen::default(), mode: None };
    let metas = metas(files);
    for (index, file) in files.iter().enumerate() {
        if subagent(file.path).is_none() && file.path.ends_with(".jsonl") {
            reader.main(index, file, sink);
        }
    }
    for (index, file) in files.iter().enumerate() {
        if let Some(id) = subagent(file.path).filter(|_| file.path.ends_with(".jsonl")) {
            reader.child(index, file, id, metas.get(id), sink);
        }
    }
    // What is put in order takes room of its own.
    reader.seen = Seen::default();
    reader.out.settle(sink)
}

/// Reads what the agent writes to its stdout: the same records without a tree, and at the end of
/// each turn a `result` whose usage is the sum that counts, since the records were written while
/// their answers still streamed.
pub(super) fn read_stdout(stdout: &[u8], agent: &'static str) -> Transcript {
    let out = Builder::of_stdout(agent);
    let mut reader = Reader { out, seen: Seen::default(), mode: None };
    let mut results = 0;
    visit(&stdout, &mut |record| {
        let (offset, len) = (record.offset, record.len);
        let Some(value) = record.value.ok().filter(|value| value.is_object()) else { return };
        reader.out.at(0, offset, len);
        reader.out.stream = value.str_at("parent_tool_use_id").unwrap_or(MAIN).to_owned();
        match value.str_at("type").unwrap_or_default() {
            "system" if value.str_at("subtype") == Some("init") => reader.init(value),
            kind @ ("assistant" | "user") => {
                reader.out.time = time_of(value);
                reader.out.id = value.str_at("uuid").map(str::to_owned);
                reader.message(kind, value);
            }
            "result" => {
                results += 1;
                reader.result(value, results);
            }
            _ => {}
        }
    });
    reader.out.finish()
}

/// The id of the subagent a file is of.
fn subagent(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?.strip_prefix("agent-")?;
    name.strip_suffix(".jsonl").or_else(|| name.strip_suffix(".meta.json"))
}

fn metas<'a>(files: &[Long<'a>]) -> HashMap<&'a str, Value> {
    let metas = files.iter().filter(|f| f.path.ends_with(".meta.json"));
    let read = |file: &Long<'a>| {
        let bytes = whole(file.content)?;
        Some((subagent(file.path)?, parse_lossy(&bytes).ok()?))
    };
    metas.filter_map(read).collect()
}

struct Reader {
    out: Builder,
    seen: Seen,
    mode: Option<String>,
}

impl Reader {
    fn main(&mut self, index: usize, file: &Long<'_>, sink: &mut dyn Sink) {
        let mut tree = Tree { base: self.seen.base, ..Tree::default() };
        self.out.stream = MAIN.to_owned();
        visit(file.content, &mut |record| {
            let Some(value) = self.out.record(index, record) else { return };
            let number = self.out.record_number();
            if tree.grow(value, number, &mut self.seen) {
                self.record(value);
                self.out.pass(sink);
            }
        });
        self.seen.base += tree.nodes.len() as u32;
        tree.dead().for_each(|record| self.out.abandon(record));
    }

    fn child(
        &mut self,
        index: usize,
        file: &Long<'_>,
        id: &str,
        meta: Option<&Value>,
        sink: &mut dyn Sink,
    ) {
        self.out.stream = id.to_owned();
        let mut started = false;
        visit(file.content, &mut |record| {
            let Some(value) = self.out.record(index, record) else { return };
            if !started {
                started = true;
                self.out.time = time_of(value);
                let text = |name| meta.and_then(|m| m.str_at(name)).map(str::to_owned);
                self.out.push(SubagentStart {
                    child: id.to_owned(),
                    name: text("agentType"),
                    prompt: value.path(&["message", "content"]).map(text_of),
                    call_id: text("toolUseId"),
                });
            }
            if value.str_at("uuid").is_none_or(|id| self.seen.insert(key_of(id), SIDE).is_none()) {
                self.record(value);
            }
            self.out.pass(sink);
        });
    }

    fn record(&mut self, value: View<'_>) {
        self.out.time = time_of(value);
        if let Some(id) = value.str_at("uuid") {
            self.out.id = Some(id.to_owned());
            self.out.parent = value.str_at("parentUuid").map(str::to_owned);
        }
        let kind = value.str_at("type").unwrap_or_default();
        let side = value.is_true_at("isSidechain");
        let outer = self.out.stream.clone();
        if side && outer == MAIN {
            // Before 2.0 the subagents' lines stood in the main file.
            self.out.stream = value.str_at("agentId").unwrap_or("sidechain").to_owned();
        }
        match kind {
            "user" | "assistant" => {
                self.session(value, side);
                if value.get("isMeta").and_then(View::as_bool) != Some(true) {
                    self.message(kind, value);
                }
            }
            "system" => self.system(value),
            "ai-title" => self.title(value.str_at("aiTitle")),
            "custom-title" => self.title(value.str_at("customTitle")),
            "summary" => self.title(value.str_at("summary")),
            "permission-mode" => self.mode(value.str_at("permissionMode")),
            "attachment"
                if value.path(&["attachment", "type"]).and_then(View::as_str)
                    == Some("queued_command") =>
            {
                let text = value.path(&["attachment", "prompt"]).map(text_of).unwrap_or_default();
                self.out.push(UserMessage {
                    text,
                    form: Some(MessageForm::Queued),
                    ..Default::default()
                });
            }
            _ if NOISE.contains(&kind) => {}
            _ => self.out.unknown(kind),
        }
        self.out.stream = outer;
    }

    /// The first record of a stream tells of the session.
    fn init(&mut self, value: View<'_>) {
        let text = |name| value.str_at(name).map(str::to_owned);
        if self.out.native.session.is_some() {
            return;
        }
        self.out.native.session = text("session_id");
        self.out.native.cwd = text("cwd");
        self.out.native.version = text("claude_code_version").or_else(|| text("qwen_code_version"));
        let agent_version = self.out.native.version.clone();
        self.out.push(SessionStart {
            cwd: text("cwd"),
            agent_version,
            agent_session: text("session_id"),
            model: text("model"),
            ..Default::default()
        });
    }

    /// The end of a turn in a stream.
    fn result(&mut self, value: View<'_>, number: u32) {
        let model = self.out.native.model.clone().unwrap_or_default();
        if let Some(usage) = value.get("usage") {
            self.out.usage_summed_up();
            let total = usage.u64_at("total_tokens");
            let mut usage = usage_of(usage, &format!("result {number}"), &model);
            // Qwen speaks this format, and its input holds what it read from the cache.
            if total.is_some_and(|total| Some(total) == usage.input.checked_add(usage.output)) {
                usage.input = usage.input.saturating_sub(usage.cache_read);
            }
            let cost = value.get("total_cost_usd").and_then(View::as_f64);
            let cost_microusd = cost.map(|usd| (usd * 1e6).round() as u64);
            let priced = cost_microusd.map(|_| Priced::Native);
            let basis = Some(Basis::Cumulative);
            let usage = Usage { cost_microusd, priced, basis, ..usage };
            self.out.usage(&format!("result {number}"), usage);
        }
        let failed = value.is_true_at("is_error");
        let stop_reason = match value.str_at("subtype") {
            Some("success") if !failed => Some(StopReason::EndTurn),
            Some("error_max_turns") => Some(StopReason::MaxTurnRequests),
            _ => failed.then_some(StopReason::Error),
        };
        let duration_ms = value.u64_at("duration_ms");
        let agent_ms = value.u64_at("duration_api_ms");
        self.out.push(TurnEnd { stop_reason, duration_ms, agent_ms, ..Default::default() });
    }

    /// The first record of the conversation also tells of the session.
    fn session(&mut self, value: View<'_>, side: bool) {
        let text = |name| value.str_at(name).map(str::to_owned);
        if self.out.native.session.is_some() || side {
            return;
        }
        self.out.native.session = text("sessionId");
        self.out.native.cwd = text("cwd");
        self.out.native.version = text("version");
        self.out.push(SessionStart {
            cwd: text("cwd"),
            agent_version: text("version"),
            agent_session: text("sessionId"),
            ..Default::default()
        });
    }

    fn title(&mut self, title: Option<&str>) {
        if let Some(title) = title {
            self.out.native.title = Some(title.to_owned());
        }
    }

    fn mode(&mut self, mode: Option<&str>) {
        if let Some(mode) = mode.filter(|mode| self.mode.as_deref() != Some(mode)) {
            let from = self.mode.replace(mode.to_owned());
            if from.is_some() {
                self.out.push(ModeChange { from, to: Some(mode.to_owned()) });
            }
        }
    }

    fn message(&mut self, kind: &str, value: View<'_>) {
        let Some(message) = value.get("message") else {
            return self.out.note(NoteKind::Unknown(format!("{kind} without message")));
        };
        if kind == "assistant" {
            return self.assistant(value, message);
        }
        if value.is_true_at("isCompactSummary") {
            let summary = Some(message.get("content").map(text_of).unwrap_or_default());
            let context = Context { op: Some(ContextOp::Summarize), summary, ..Default::default() };
            self.out.push(context);
            return;
        }
        match message.get("content") {
            Some(content) if content.is_array() => self.user_blocks(value, content),
            content => match content.and_then(View::as_str) {
                Some(text) => self.user_text(value, text, Vec::new()),
                None => self.out.unknown("user content"),
            },
        }
    }

    fn user_blocks(&mut self, value: View<'_>, content: View<'_>) {
        let mut text = String::new();
        let mut attachments = Vec::new();
        for block in content.items() {
            match block.str_at("type").unwrap_or_default() {
                "tool_result" => self.tool_result(value, block),
                "text" => {
                    let part = block.str_at("text").unwrap_or_default();
                    text.push_str(if text.is_empty() { "" } else { "\n" });
                    text.push_str(part);
                }
                kind @ ("image" | "document") => attachments.push(kind.to_owned()),
                kind => self.out.unknown(&format!("user/{kind}")),
            }
        }
        if !text.is_empty() || !attachments.is_empty() {
            self.user_text(value, &text, attachments);
        }
    }

    fn user_text(&mut self, value: View<'_>, text: &str, attachments: Vec<String>) {
        if text.starts_with(INTERRUPTED) {
            let effect = text.trim_matches(['[', ']']).to_owned();
            self.out.push(Interrupt { key: None, effect: Some(effect) });
            return;
        }
        let (text, form) = if let Some(command) = tagged(text, "bash-input") {
            (format!("!{command}"), MessageForm::Bang)
        } else if let Some(output) = tagged(text, "bash-stdout") {
            let errors = tagged(text, "bash-stderr").unwrap_or_default();
            let text = format!("{output}{errors}");
            self.out.push(ToolResult { text, ..Default::default() });
            return;
        } else if let Some(command) = slash(text) {
            (command, MessageForm::Slash)
        } else if text.starts_with("<local-command-") {
            return;
        } else {
            let typed = value.str_at("promptSource") != Some("sdk");
            (text.to_owned(), if typed { MessageForm::Typed } else { MessageForm::Argv })
        };
        self.out.push(UserMessage { text, form: Some(form), attachments, ..Default::default() });
    }

    fn tool_result(&mut self, value: View<'_>, block: View<'_>) {
        let call_id = block.str_at("tool_use_id").map(str::to_owned);
        let text = block.get("content").map(text_of).unwrap_or_default();
        let failed = block.get("is_error").and_then(View::as_bool).unwrap_or(false);
        let detail = value.get("toolUseResult");
        if failed && text.starts_with(REFUSED) {
            self.out.push(Approval {
                call_id: call_id.clone(),
                decision: Some(Decision::RejectOnce),
                by: Some(Decider::User),
                ..Default::default()
            });
        }
        self.out.push(ToolResult {
            call_id: call_id.clone(),
            ok: Some(!failed),
            text,
            duration_ms: detail
                .and_then(|d| d.u64_at("totalDurationMs").or(d.u64_at("durationMs"))),
            ..Default::default()
        });
        if let Some(detail) = detail {
            self.file_change(detail, call_id.as_deref());
            if let Some(child) = detail.str_at("agentId") {
                let result = detail.get("content").map(text_of);
                self.out.push(SubagentEnd { child: child.to_owned(), result, call_id });
            }
            for (question, answer) in detail.get("answers").into_iter().flat_map(View::members) {
                let (q_id, answer) = (Some(question.to_owned()), text_of(answer));
                self.out.push(Answer { q_id, answer, ..Default::default() });
            }
        }
    }

    /// What a writing tool says it did to a file.
    fn file_change(&mut self, detail: View<'_>, call_id: Option<&str>) {
        let Some(path) = detail.str_at("filePath") else { return };
        let Some(hunks) = detail.get("structuredPatch") else { return };
        let create = detail.str_at("type") == Some("create");
        let lines = || hunks.items().flat_map(|h| h.get("lines").into_iter().flat_map(View::items));
        let begin =
            |c: char| lines().filter(|l| l.as_str().is_some_and(|l| l.starts_with(c))).count();
        let (mut plus, minus) = (begin('+'), begin('-'));
        if create && plus == 0 {
            plus = detail.str_at("content").map_or(0, |text| text.lines().count());
        }
        self.out.push(FileChange {
            path: path.to_owned(),
            op: Some(if create { FileOp::Create } else { FileOp::Modify }),
            plus: Some(plus as u64),
            minus: Some(minus as u64),
            by: call_id.map(str::to_owned),
            ..Default::default()
        });
    }

    fn assistant(&mut self, value: View<'_>, message: View<'_>) {
        let blocks = message.get("content").into_iter().flat_map(View::items);
        if value.is_true_at("isApiErrorMessage") {
            let code = value.get("apiErrorStatus").filter(|v| !v.is_null()).map(as_text);
            let message = message.get("content").map(text_of).unwrap_or_default();
            self.out.push(ApiError { code, message, ..Default::default() });
            return;
        }
        let synthetic = message.str_at("model") == Some("<synthetic>");
        if synthetic && message.get("content").map(text_of).as_deref() == Some(UNSAID) {
            return;
        }
        let model = message.str_at("model").filter(|_| !synthetic);
        if let Some(model) = model {
            self.out.model(model);
        }
        let is_final = message.str_at("stop_reason") == Some("end_turn");
        for block in blocks {
            self.block(block, message, value.str_at("requestId"), is_final);
        }
        if let (Some(usage), Some(id), Some(model)) =
            (message.get("usage"), message.str_at("id"), model)
        {
            self.out.usage(id, usage_of(usage, id, model));
        }
    }

    fn block(&mut self, block: View<'_>, message: View<'_>, request: Option<&str>, is_final: bool) {
        let text = |name| block.str_at(name).unwrap_or_default().to_owned();
        match block.str_at("type").unwrap_or_default() {
            "thinking" => {
                let text = text("thinking");
                let hidden = text.is_empty();
                let form = if hidden { ThoughtForm::Redacted } else { ThoughtForm::Full };
                self.out.push(Thought { text, form: Some(form), signature_only: hidden });
            }
            "redacted_thinking" => {
                let form = Some(ThoughtForm::Redacted);
                self.out.push(Thought { text: String::new(), form, signature_only: true });
            }
            "text" => {
                self.out.push(AssistantMessage {
                    text: text("text"),
                    model: message.str_at("model").map(str::to_owned),
                    request_id: request.map(str::to_owned),
                    message_id: message.str_at("id").map(str::to_owned),
                    is_final,
                });
            }
            "tool_use" | "server_tool_use" | "mcp_tool_use" => {
                let args = block.get("input").map(View::to_value).unwrap_or_default();
                let name = block.str_at("name").unwrap_or_default();
                let asked =
                    (name == "AskUserQuestion").then(|| args.get("questions").cloned()).flatten();
                let todos = args.get("todos").filter(|_| name == "TodoWrite").cloned();
                self.out.push(tool::call(block.str_at("id"), name, args));
                for question in asked.iter().flat_map(Value::items) {
                    let text = question.str_at("question").unwrap_or_default().to_owned();
                    let options = question.get("options").map_or(&[][..], Value::items);
                    let options = options
                        .iter()
                        .map(|o| o.str_at("label").map_or_else(|| plain_text(o), str::to_owned));
                    let options = options.collect();
                    self.out.push(Question { q_id: Some(text.clone()), text, options });
                }
                if let Some(items) = todos {
                    self.out.push(Plan { items });
                }
            }
            kind if kind.ends_with("tool_result") => {
                let call_id = block.str_at("tool_use_id").map(str::to_owned);
                let text = block.get("content").map(text_of).unwrap_or_default();
                self.out.push(ToolResult { call_id, ok: Some(true), text, ..Default::default() });
            }
            kind => self.out.unknown(&format!("assistant/{kind}")),
        }
    }

    fn system(&mut self, value: View<'_>) {
        let content = value.get("content").map(text_of).unwrap_or_default();
        match value.str_at("subtype").unwrap_or_default() {
            "compact_boundary" | "microcompact_boundary" => {
                let detail = value.get("compactMetadata");
                let number = |name| detail.and_then(|d| d.u64_at(name));
                self.out.push(Context {
                    op: Some(ContextOp::Compact),
                    trigger: detail.and_then(|d| d.str_at("trigger")).and_then(Trigger::parse),
                    before_tokens: number("preTokens"),
                    after_tokens: number("postTokens"),
                    ..Default::default()
                });
            }
            "turn_duration" => {
                let duration_ms = value.u64_at("durationMs");
                self.out.push(TurnEnd { duration_ms, ..Default::default() });
            }
            "api_error" => {
                let message = value
                    .get("error")
                    .map(|e| e.str_at("message").map_or_else(|| as_text(e), str::to_owned));
                self.out.push(ApiError {
                    code: value.path(&["error", "status"]).filter(|v| !v.is_null()).map(as_text),
                    message: message.unwrap_or(content),
                    retry: value.get("retryInMs").is_some(),
                    attempt: value.u64_at("retryAttempt"),
                });
            }
            "local_command" => {
                if let Some(text) = slash(&content) {
                    self.out.push(UserMessage {
                        text,
                        form: Some(MessageForm::Slash),
                        ..Default::default()
                    });
                }
            }
            "stop_hook_summary" | "informational" | "away_summary" | "bridge_status" => {}
            subtype => self.out.unknown(&format!("system/{subtype}")),
        }
    }
}

fn usage_of(usage: View<'_>, id: &str, model: &str) -> Usage {
    let number = |name| usage.u64_at(name).unwrap_or(0);
    let hour = usage.path(&["cache_creation", "ephemeral_1h_input_tokens"]).and_then(View::as_u64);
    let written = number("cache_creation_input_tokens");
    let hour = hour.unwrap_or(0).min(written);
    Usage {
        model: Some(model.to_owned()),
        request_id: Some(id.to_owned()),
        input: number("input_tokens"),
        cache_read: number("cache_read_input_tokens"),
        cache_write_5m: written - hour,
        cache_write_1h: hour,
        output: number("output_tokens"),
        basis: Some(Basis::PerRequest),
        ..Default::default()
    }
}

/// When a record was written.
pub(super) fn time_of(value: View<'_>) -> Option<WallTime> {
    WallTime::parse_rfc3339(value.str_at("timestamp")?)
}

/// The text of a content: a string, or the text blocks of a list, one below the other.
pub(super) fn text_of(content: View<'_>) -> String {
    if let Some(text) = content.as_str() {
        return text.to_owned();
    }
    if !content.is_array() {
        return if content.is_null() { String::new() } else { as_text(content) };
    }
    let mut texts = content.items().filter_map(|b| b.str_at("text").or(b.as_str()));
    let mut out = texts.next().unwrap_or_default().to_owned();
    for text in texts {
        out.push('\n');
        out.push_str(text);
    }
    out
}

/// The same of a value that is kept.
pub(super) fn plain_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let text = |b: &Value| b.str_at("text").or(b.as_str()).map(str::to_owned);
            blocks.iter().filter_map(text).collect::<Vec<_>>().join("\n")
        }
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A value as JSON.
pub(super) fn as_text(value: View<'_>) -> String {
    value.to_value().to_string()
}

/// What stands between `<name>` and `</name>`.
fn tagged<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(inside, _)| inside)
}

/// The command line of a slash command, from the tags it is stored in.
fn slash(text: &str) -> Option<String> {
    if !text.trim_start().starts_with("<command-") {
        return None;
    }
    let args = tagged(text, "command-args").unwrap_or_default();
    Some(format!("{} {args}", tagged(text, "command-name")?).trim_end().to_owned())
}

/// What is kept of an id: a transcript has a hundred thousand of them.
pub(super) type Key = [u64; 2];

pub(super) fn key_of(id: &str) -> Key {
    [0u8, 1].map(|salt| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(salt);
        hasher.write(id.as_bytes());
        hasher.finish()
    })
}

/// `uuid`s that were read, and their place among all that were. A fork copies its past into a new
/// file, ids and times unchanged.
#[derive(Default)]
struct Seen {
    places: HashMap<Key, u32>,
    /// Where the next file's places begin: they go on from file to file, because a parent is looked
    /// for in its own.
    base: u32,
}

/// The place of an id that is in no tree: a subagent's.
const SIDE: u32 = u32::MAX;

impl Seen {
    /// Remembers the last place of an id; the one before, where it was seen.
    fn insert(&mut self, id: Key, place: u32) -> Option<u32> {
        self.places.insert(id, place)
    }
}

/// The records of a main file that have a `uuid`, side chains left out: those are alive or not
/// with the call that started them.
#[derive(Default)]
struct Tree {
    nodes: Vec<Node>,
    /// The number of each answer.
    answers: HashMap<Key, u32>,
    /// The id of the last node: most records hang on the one before.
    last: String,
    /// The first node's place among all that were seen.
    base: u32,
}

#[derive(Clone, Copy)]
struct Node {
    /// The number of its record.
    record: u32,
    parent: Parent,
    /// A number for the answer it is part of.
    answer: Option<u32>,
    result: bool,
    /// A node further up with the same id: this one repeats it.
    same: Option<u32>,
}

/// What a record says of its parent.
#[derive(Clone, Copy)]
enum Parent {
    None,
    /// A node further up.
    At(u32),
    /// No node further up: one further down would be a loop.
    Elsewhere,
}

impl Tree {
    /// Takes the next record; whether it was not read before.
    fn grow(&mut self, value: View<'_>, record: u32, seen: &mut Seen) -> bool {
        let Some(uuid) = value.str_at("uuid") else { return true };
        let base = self.base;
        let here = |place: u32| place.checked_sub(base).filter(|_| place != SIDE);
        let id = key_of(uuid);
        if value.is_true_at("isSidechain") {
            return seen.insert(id, SIDE).is_none();
        }
        let count = self.nodes.len() as u32;
        let above = value.str_at("parentUuid").or_else(|| value.str_at("logicalParentUuid"));
        let parent = match above {
            None => Parent::None,
            Some(id) if count > 0 && id == self.last => Parent::At(count - 1),
            Some(id) => {
                let place = seen.places.get(&key_of(id)).and_then(|place| here(*place));
                place.map_or(Parent::Elsewhere, Parent::At)
            }
        };
        let before = seen.insert(id, base + count);
        uuid.clone_into(&mut self.last);
        let message = value.get("message");
        let answers = &mut self.answers;
        let answer = message.and_then(|m| m.str_at("id")).map(|id| {
            let number = answers.len() as u32;
            *answers.entry(key_of(id)).or_insert(number)
        });
        let mut content = message.and_then(|m| m.get("content")).into_iter().flat_map(View::items);
        let result = content.any(|b| b.str_at("type") == Some("tool_result"));
        self.nodes.push(Node { record, parent, answer, result, same: before.and_then(here) });
        before.is_none()
    }

    /// The numbers of the records that are no part of the conversation as it stands: the user went
    /// back behind them.
    ///
    /// Walks from the last record up. Parallel tool calls branch the tree, so with a record of an
    /// answer all records of that answer are alive, and the results that hang on them. A parent
    /// that is not in the file (its line is broken, or the past was cut off) stands for the record
    /// before: better a branch too many than a conversation lost.
    fn dead(&self) -> impl Iterator<Item = u32> {
        let nodes = &self.nodes;
        let mut alive = vec![false; nodes.len()];
        let mut answers: HashSet<u32> = HashSet::new();
        let mut next = nodes.len().checked_sub(1);
        while let Some(i) = next {
            alive[i] = true;
            answers.extend(nodes[i].answer);
            next = match nodes[i].parent {
                Parent::None => None,
                Parent::At(parent) => Some(parent as usize),
                Parent::Elsewhere => i.checked_sub(1),
            };
        }
        for (i, node) in nodes.iter().enumerate() {
            let answer = node.answer.is_some_and(|id| answers.contains(&id));
            let result = node.result && matches!(node.parent, Parent::At(p) if alive[p as usize]);
            alive[i] |= answer || result;
        }
        for (i, node) in nodes.iter().enumerate().rev() {
            if let Some(same) = node.same {
                alive[same as usize] |= alive[i];
            }
        }
        nodes.iter().zip(alive).filter(|(_, alive)| !alive).map(|(node, _)| node.record)
    }
}
