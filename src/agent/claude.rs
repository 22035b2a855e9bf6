//! Claude Code: `~/.claude/projects/<cwd>/<session>.jsonl`, and `<session>/subagents/` beside it.
//!
//! A finished answer of the model is several lines with one `message.id`; the lines form a tree by
//! `uuid` and `parentUuid`, and only the branch that ends in the last line is the conversation.

use super::detect::Words;
use super::locate::{Base, Place, Project};
use super::transcript::{Builder, time_text};
use super::{Agent, File, NoteKind, Scope, Transcript, tool};
use crate::event::*;
use crate::json::{Value, parse_lossy, records};
use std::collections::{HashMap, HashSet};

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
/// How a refused tool call is answered.
const REFUSED: &str = "The user doesn't want to proceed with this tool use";
const INTERRUPTED: &str = "[Request interrupted by user";

pub(super) fn read(files: &[File<'_>], _scope: &Scope<'_>) -> Transcript {
    let mut reader = Reader { out: Builder::new(AGENT.name), seen: HashSet::new(), mode: None };
    let metas = metas(files);
    for (index, file) in files.iter().enumerate() {
        if subagent(file.path).is_none() && file.path.ends_with(".jsonl") {
            reader.main(index, file);
        }
    }
    for (index, file) in files.iter().enumerate() {
        if let Some(id) = subagent(file.path).filter(|_| file.path.ends_with(".jsonl")) {
            reader.child(index, file, id, metas.get(id));
        }
    }
    reader.out.finish()
}

/// Reads what the agent writes to its stdout: the same records without a tree, and at the end of
/// each turn a `result` whose usage is the sum that counts, since the records were written while
/// their answers still streamed.
pub(super) fn read_stdout(stdout: &[u8], agent: &'static str) -> Transcript {
    let out = Builder::of_stdout(agent);
    let mut reader = Reader { out, seen: HashSet::new(), mode: None };
    let mut results = 0;
    for record in records(stdout) {
        let (offset, len) = (record.offset, record.len);
        let Ok(value @ Value::Object(_)) = record.value else { continue };
        reader.out.at(0, offset, len);
        reader.out.stream = value.str_at("parent_tool_use_id").unwrap_or(MAIN).to_owned();
        match value.str_at("type").unwrap_or_default() {
            "system" if value.str_at("subtype") == Some("init") => reader.init(&value),
            kind @ ("assistant" | "user") => {
                reader.out.time = time_text(value.get("timestamp"));
                reader.out.id = value.str_at("uuid").map(str::to_owned);
                reader.message(kind, &value);
            }
            "result" => {
                results += 1;
                reader.result(&value, results);
            }
            _ => {}
        }
    }
    reader.out.finish()
}

/// The id of the subagent a file is of.
fn subagent(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?.strip_prefix("agent-")?;
    name.strip_suffix(".jsonl").or_else(|| name.strip_suffix(".meta.json"))
}

fn metas<'a>(files: &[File<'a>]) -> HashMap<&'a str, Value> {
    let metas = files.iter().filter(|f| f.path.ends_with(".meta.json"));
    metas.filter_map(|f| Some((subagent(f.path)?, parse_lossy(f.bytes).ok()?))).collect()
}

struct Reader {
    out: Builder,
    /// `uuid`s that were read: a fork copies its past into a new file, ids and times unchanged.
    seen: HashSet<String>,
    mode: Option<String>,
}

impl Reader {
    fn main(&mut self, index: usize, file: &File<'_>) {
        let live = Live::find(file.bytes);
        self.out.stream = MAIN.to_owned();
        for record in records(file.bytes) {
            if let Some(value) = self.out.record(index, record) {
                // A side chain is alive or not with the call that started it; it is kept.
                let side = value.get("isSidechain").and_then(Value::as_bool) == Some(true);
                let dead = value.str_at("uuid").is_some_and(|id| !live.uuids.contains(id));
                self.out.abandoned = dead && !side;
                self.record(&value);
            }
        }
    }

    fn child(&mut self, index: usize, file: &File<'_>, id: &str, meta: Option<&Value>) {
        self.out.stream = id.to_owned();
        let mut started = false;
        for record in records(file.bytes) {
            let Some(value) = self.out.record(index, record) else { continue };
            if !started {
                started = true;
                self.out.time = time_text(value.get("timestamp"));
                let text = |name| meta.and_then(|m| m.str_at(name)).map(str::to_owned);
                self.out.push(SubagentStart {
                    child: id.to_owned(),
                    name: text("agentType"),
                    prompt: value.path(&["message", "content"]).map(plain_text),
                    call_id: text("toolUseId"),
                });
            }
            self.record(&value);
        }
    }

    fn record(&mut self, value: &Value) {
        self.out.time = time_text(value.get("timestamp"));
        if let Some(id) = value.str_at("uuid") {
            if !self.seen.insert(id.to_owned()) {
                return;
            }
            self.out.id = Some(id.to_owned());
            self.out.parent = value.str_at("parentUuid").map(str::to_owned);
        }
        let kind = value.str_at("type").unwrap_or_default();
        let side = value.get("isSidechain").and_then(Value::as_bool) == Some(true);
        let outer = self.out.stream.clone();
        if side && outer == MAIN {
            // Before 2.0 the subagents' lines stood in the main file.
            self.out.stream = value.str_at("agentId").unwrap_or("sidechain").to_owned();
        }
        match kind {
            "user" | "assistant" => {
                self.session(value, side);
                if value.get("isMeta").and_then(Value::as_bool) != Some(true) {
                    self.message(kind, value);
                }
            }
            "system" => self.system(value),
            "ai-title" => self.title(value.str_at("aiTitle")),
            "custom-title" => self.title(value.str_at("customTitle")),
            "summary" => self.title(value.str_at("summary")),
            "permission-mode" => self.mode(value.str_at("permissionMode")),
            "attachment"
                if value.path(&["attachment", "type"]).and_then(Value::as_str)
                    == Some("queued_command") =>
            {
                let text =
                    value.path(&["attachment", "prompt"]).map(plain_text).unwrap_or_default();
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
    fn init(&mut self, value: &Value) {
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
    fn result(&mut self, value: &Value, number: u32) {
        let model = self.out.native.model.clone().unwrap_or_default();
        if let Some(usage) = value.get("usage") {
            self.out.usage_summed_up();
            let total = usage.u64_at("total_tokens");
            let mut usage = usage_of(usage, &format!("result {number}"), &model);
            // Qwen speaks this format, and its input holds what it read from the cache.
            if total.is_some_and(|total| Some(total) == usage.input.checked_add(usage.output)) {
                usage.input = usage.input.saturating_sub(usage.cache_read);
            }
            let cost = value.get("total_cost_usd").and_then(Value::as_f64);
            let cost_microusd = cost.map(|usd| (usd * 1e6).round() as u64);
            let priced = cost_microusd.map(|_| Priced::Native);
            let basis = Some(Basis::Cumulative);
            let usage = Usage { cost_microusd, priced, basis, ..usage };
            self.out.usage(&format!("result {number}"), usage);
        }
        let failed = value.get("is_error").and_then(Value::as_bool) == Some(true);
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
    fn session(&mut self, value: &Value, side: bool) {
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

    fn message(&mut self, kind: &str, value: &Value) {
        let Some(message) = value.get("message") else {
            return self.out.note(NoteKind::Unknown(format!("{kind} without message")));
        };
        if kind == "assistant" {
            return self.assistant(value, message);
        }
        if value.get("isCompactSummary").and_then(Value::as_bool) == Some(true) {
            let summary = Some(message.get("content").map(plain_text).unwrap_or_default());
            let context = Context { op: Some(ContextOp::Summarize), summary, ..Default::default() };
            self.out.push(context);
            return;
        }
        match message.get("content") {
            Some(Value::String(text)) => self.user_text(value, text, Vec::new()),
            Some(Value::Array(blocks)) => self.user_blocks(value, blocks),
            _ => self.out.unknown("user content"),
        }
    }

    fn user_blocks(&mut self, value: &Value, blocks: &[Value]) {
        let mut text = String::new();
        let mut attachments = Vec::new();
        for block in blocks {
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

    fn user_text(&mut self, value: &Value, text: &str, attachments: Vec<String>) {
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

    fn tool_result(&mut self, value: &Value, block: &Value) {
        let call_id = block.str_at("tool_use_id").map(str::to_owned);
        let text = block.get("content").map(plain_text).unwrap_or_default();
        let failed = block.get("is_error").and_then(Value::as_bool).unwrap_or(false);
        let detail = value.get("toolUseResult");
        let refused = failed && text.starts_with(REFUSED);
        self.out.push(ToolResult {
            call_id: call_id.clone(),
            ok: Some(!failed),
            text,
            duration_ms: detail
                .and_then(|d| d.u64_at("totalDurationMs").or(d.u64_at("durationMs"))),
            ..Default::default()
        });
        if refused {
            self.out.push(Approval {
                call_id: call_id.clone(),
                decision: Some(Decision::RejectOnce),
                by: Some(Decider::User),
                ..Default::default()
            });
        }
        if let Some(detail) = detail {
            self.file_change(detail, call_id.as_deref());
            if let Some(child) = detail.str_at("agentId") {
                let result = detail.get("content").map(plain_text);
                self.out.push(SubagentEnd { child: child.to_owned(), result, call_id });
            }
            for (question, answer) in
                detail.get("answers").and_then(Value::as_object).iter().flat_map(|o| o.iter())
            {
                let (q_id, answer) = (Some(question.to_owned()), plain_text(answer));
                self.out.push(Answer { q_id, answer, ..Default::default() });
            }
        }
    }

    /// What a writing tool says it did to a file.
    fn file_change(&mut self, detail: &Value, call_id: Option<&str>) {
        let Some(path) = detail.str_at("filePath") else { return };
        let Some(hunks) = detail.get("structuredPatch") else { return };
        let create = detail.str_at("type") == Some("create");
        let lines =
            || hunks.items().iter().flat_map(|h| h.get("lines").map_or(&[][..], Value::items));
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

    fn assistant(&mut self, value: &Value, message: &Value) {
        let blocks = message.get("content").map_or(&[][..], Value::items);
        if value.get("isApiErrorMessage").and_then(Value::as_bool) == Some(true) {
            let code = value.get("apiErrorStatus").filter(|v| !v.is_null()).map(Value::to_string);
            let message = message.get("content").map(plain_text).unwrap_or_default();
            self.out.push(ApiError { code, message, ..Default::default() });
            return;
        }
        let model = message.str_at("model").filter(|model| *model != "<synthetic>");
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

    fn block(&mut self, block: &Value, message: &Value, request: Option<&str>, is_final: bool) {
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
                let args = block.get("input").cloned().unwrap_or_default();
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
                let text = block.get("content").map(plain_text).unwrap_or_default();
                self.out.push(ToolResult { call_id, ok: Some(true), text, ..Default::default() });
            }
            kind => self.out.unknown(&format!("assistant/{kind}")),
        }
    }

    fn system(&mut self, value: &Value) {
        let content = value.get("content").map(plain_text).unwrap_or_default();
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
                    .map(|e| e.str_at("message").map_or_else(|| e.to_string(), str::to_owned));
                self.out.push(ApiError {
                    code: value
                        .path(&["error", "status"])
                        .filter(|v| !v.is_null())
                        .map(Value::to_string),
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

fn usage_of(usage: &Value, id: &str, model: &str) -> Usage {
    let number = |name| usage.u64_at(name).unwrap_or(0);
    let hour = usage.path(&["cache_creation", "ephemeral_1h_input_tokens"]).and_then(Value::as_u64);
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

/// The text of a content: a string, or the text blocks of a list, one below the other.
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

/// The records that are part of the conversation as it stands.
struct Live {
    uuids: HashSet<String>,
}

struct Node {
    uuid: String,
    parent: Option<String>,
    message: Option<String>,
    result: bool,
}

impl Live {
    /// Walks from the last record up. Parallel tool calls branch the tree, so with a record of an
    /// answer all records of that answer are alive, and the results that hang on them. A parent
    /// that is not in the file (its line is broken, or the past was cut off) stands for the record
    /// before: better a branch too many than a conversation lost.
    fn find(bytes: &[u8]) -> Live {
        let nodes = nodes(bytes);
        let at: HashMap<&str, usize> =
            nodes.iter().enumerate().map(|(i, n)| (n.uuid.as_str(), i)).collect();
        let mut alive = HashSet::new();
        let mut next = nodes.len().checked_sub(1);
        while let Some(i) = next {
            alive.insert(i);
            next = match &nodes[i].parent {
                None => None,
                // A parent further down would be a loop.
                Some(id) => match at.get(id.as_str()) {
                    Some(&parent) if parent < i => Some(parent),
                    _ => i.checked_sub(1),
                },
            };
        }
        let answers: HashSet<&str> =
            alive.iter().filter_map(|&i| nodes[i].message.as_deref()).collect();
        let mut uuids: HashSet<String> = HashSet::new();
        for (i, node) in nodes.iter().enumerate() {
            let answer = node.message.as_deref().is_some_and(|id| answers.contains(id));
            let result = node.result && node.parent.as_ref().is_some_and(|p| uuids.contains(p));
            if alive.contains(&i) || answer || result {
                uuids.insert(node.uuid.clone());
            }
        }
        Live { uuids }
    }
}

fn nodes(bytes: &[u8]) -> Vec<Node> {
    let text = |value: &Value, name| value.str_at(name).map(str::to_owned);
    let node = |value: &Value| {
        if value.get("isSidechain").and_then(Value::as_bool) == Some(true) {
            return None;
        }
        let content = value.path(&["message", "content"]).map_or(&[][..], Value::items);
        Some(Node {
            uuid: text(value, "uuid")?,
            parent: text(value, "parentUuid").or_else(|| text(value, "logicalParentUuid")),
            message: value.get("message").and_then(|m| text(m, "id")),
            result: content.iter().any(|b| b.str_at("type") == Some("tool_result")),
        })
    };
    records(bytes).filter_map(|record| node(record.value.as_ref().ok()?)).collect()
}
