//! GitHub Copilot CLI: `~/.copilot/session-state/<session>/events.jsonl`, every event once, with
//! subagents in the same file under their `agentId`.

use super::claude::{as_text, time_of};
use super::detect::Words;
use super::locate::{Base, Place, Project};
use super::transcript::Builder;
use super::{Agent, Digest, Long, Scope, Sink, tool, whole};
use crate::event::*;
use crate::json::{View, visit};
use crate::time::WallTime;
use std::collections::HashMap;

pub(super) const AGENT: Agent = Agent {
    name: "copilot",
    programs: &["copilot"],
    packages: &["@github/copilot"],
    places: &[Place {
        env: Some(("COPILOT_HOME", "session-state")),
        tail: ".copilot/session-state",
        base: Base::Home,
        patterns: &["*/events.jsonl", "*/workspace.yaml"],
        project: Project::None,
    }],
    session_key: |path| path.split('/').next().unwrap_or_default().to_owned(),
    words: &Words {
        resume: &["--resume"],
        session: &["--session-id"],
        subcommands: &[],
        latest: &["--continue"],
        prompt: &["-p", "--prompt"],
        back: &["copilot", "--resume="],
    },
};

/// Records that say nothing of the conversation that others do not say.
const NOISE: &[&str] = &[
    "system.message",
    "assistant.turn_start",
    "assistant.turn_end",
    "subagent.selected",
    "subagent.configured",
    "session.compaction_start",
    "session.shutdown",
    "session.resume",
    "session.info",
    "session.warning",
    "session.idle",
    "session.truncation",
    "session.snapshot_rewind",
    "session.background_tasks_changed",
    "pending_messages.modified",
    "assistant.intent",
    "assistant.usage",
    "tool.user_requested",
    "hook.start",
    "hook.end",
    "session.title_changed",
    "session.mode_changed",
    "session.context_changed",
];

pub(super) fn read(files: &[Long<'_>], _scope: &Scope<'_>, sink: &mut dyn Sink) -> Digest {
    let mut out = Builder::new(AGENT.name);
    let mut asked = Asked::new();
    for (index, file) in files.iter().enumerate() {
        if file.path.ends_with(".jsonl") {
            visit(file.content, &mut |record| {
                let Some(value) = out.record(index, record) else { return };
                out.stream = value.str_at("agentId").unwrap_or(MAIN).to_owned();
                event(&mut out, value, &mut asked);
                out.pass(sink);
            });
        } else if file.path.ends_with("workspace.yaml") {
            workspace(&mut out, &whole(file.content).unwrap_or_default());
        }
    }
    out.settle(sink)
}

/// The two lines of the little YAML file that matter: `name:` is the title, `cwd:` the directory.
fn workspace(out: &mut Builder, bytes: &[u8]) {
    for line in String::from_utf8_lossy(bytes).lines() {
        let scalar = |text: &str| text.trim().trim_matches(['"', '\'']).to_owned();
        if let Some(text) = line.strip_prefix("name:") {
            out.native.title = Some(scalar(text));
        } else if let Some(text) = line.strip_prefix("cwd:") {
            out.native.cwd = Some(scalar(text));
        }
    }
}

/// When permission was asked for that has not been given or refused yet, by request.
pub(super) type Asked = HashMap<String, WallTime>;

pub(super) fn event(out: &mut Builder, value: View<'_>, asked: &mut Asked) {
    out.time = time_of(value);
    out.id = value.str_at("id").map(str::to_owned);
    out.parent = value.str_at("parentId").map(str::to_owned);
    let data = value.get("data").unwrap_or(View::NULL);
    let text = |name| data.str_at(name).map(str::to_owned);
    match value.str_at("type").unwrap_or_default() {
        "session.start" => {
            out.native.session = text("sessionId");
            out.native.version = text("copilotVersion");
            let cwd = data.path(&["context", "cwd"]).and_then(View::as_str).map(str::to_owned);
            out.native.cwd.clone_from(&cwd);
            out.push(SessionStart {
                cwd,
                agent_version: text("copilotVersion"),
                agent_session: text("sessionId"),
                model: text("selectedModel"),
                ..Default::default()
            });
        }
        "session.model_change" => {
            let (from, to) = (text("previousModel"), text("newModel"));
            if from != to && out.stream == MAIN {
                out.push(ModelChange { from, to });
            }
        }
        "user.message" if out.stream == MAIN => {
            let files = data.get("attachments").into_iter().flat_map(View::items);
            let named = files.filter_map(|f| f.str_at("displayName").or(f.str_at("path")));
            out.push(UserMessage {
                text: text("content").unwrap_or_default(),
                form: Some(MessageForm::Typed),
                attachments: named.map(str::to_owned).collect(),
                ..Default::default()
            });
        }
        "user.message" => {}
        "assistant.message" => answer(out, data),
        "assistant.reasoning" => {
            let text = text("content").unwrap_or_default();
            out.push(Thought { text, form: Some(ThoughtForm::Full), signature_only: false });
        }
        // The request in the answer is the call; this is only its start.
        "tool.execution_start" => {}
        "tool.execution_complete" => result(out, data),
        "permission.requested" => asked.extend(text("requestId").zip(out.time)),
        "permission.completed" => {
            let asked = data.str_at("requestId").and_then(|id| asked.remove(id));
            approval(out, data, asked);
        }
        "abort" => {
            out.push(Interrupt { key: None, effect: text("reason") });
        }
        "session.error" => {
            let code = data.get("statusCode").filter(|c| !c.is_null()).map(as_text);
            let message = text("message").unwrap_or_default();
            out.push(ApiError {
                code: code.or_else(|| text("errorType")),
                message,
                ..Default::default()
            });
        }
        "session.compaction_complete" => {
            out.push(Context {
                op: Some(ContextOp::Compact),
                before_tokens: data.u64_at("preCompactionTokens"),
                after_tokens: data.u64_at("postCompactionTokens"),
                summary: text("summaryContent"),
                ..Default::default()
            });
        }
        "subagent.started" => {
            out.push(SubagentStart {
                child: out.stream.clone(),
                name: text("agentName"),
                prompt: text("agentDescription"),
                call_id: text("toolCallId"),
            });
        }
        "subagent.completed" | "subagent.failed" => {
            let child = out.stream.clone();
            out.push(SubagentEnd { child, result: None, call_id: text("toolCallId") });
        }
        "session.usage_record" => usage(out, value, data),
        kind if NOISE.contains(&kind) || kind.starts_with("model.") => {}
        kind => out.unknown(kind),
    }
}

fn answer(out: &mut Builder, data: View<'_>) {
    let model = data.str_at("model");
    if let Some(model) = model.filter(|_| out.stream == MAIN) {
        out.model(model);
    }
    let text = |name| data.str_at(name).filter(|t| !t.is_empty()).map(str::to_owned);
    let requests = || data.get("toolRequests").into_iter().flat_map(View::items);
    if let Some(text) = text("reasoningText") {
        out.push(Thought { text, form: Some(ThoughtForm::Full), signature_only: false });
    } else if data
        .get("reasoningOpaque")
        .or(data.get("encryptedContent"))
        .is_some_and(|v| !v.is_null())
    {
        let form = Some(ThoughtForm::Redacted);
        out.push(Thought { text: String::new(), form, signature_only: true });
    }
    if let Some(content) = text("content") {
        out.push(AssistantMessage {
            text: content,
            model: model.map(str::to_owned),
            request_id: text("apiCallId"),
            message_id: text("messageId"),
            is_final: requests().next().is_none(),
        });
    }
    for request in requests() {
        let name = request.str_at("name").unwrap_or_default();
        let args = request.get("arguments").map(View::to_value).unwrap_or_default();
        out.push(tool::call(request.str_at("toolCallId"), name, args));
    }
}

fn result(out: &mut Builder, data: View<'_>) {
    let exit_code = data.path(&["shellExecution", "exitCode"]).and_then(View::as_i64);
    let exit_code = exit_code.and_then(|code| i32::try_from(code).ok());
    let success = data.get("success").and_then(View::as_bool);
    let error = data.path(&["error", "message"]).and_then(View::as_str).map(str::to_owned);
    let content = data.path(&["result", "content"]).and_then(View::as_str);
    let call_id = data.str_at("toolCallId").map(str::to_owned);
    out.push(ToolResult {
        call_id: call_id.clone(),
        ok: match exit_code {
            Some(code) if code != 0 => Some(false),
            _ => success,
        },
        exit_code,
        text: content.map_or_else(|| error.clone().unwrap_or_default(), str::to_owned),
        error,
        ..Default::default()
    });
    for edit in data.get("fileEdits").into_iter().flat_map(View::items) {
        let Some(path) = edit.str_at("path").or(edit.str_at("filePath")) else { continue };
        out.push(FileChange {
            path: path.to_owned(),
            op: edit.str_at("kind").or(edit.str_at("type")).and_then(FileOp::parse),
            plus: edit.u64_at("linesAdded"),
            minus: edit.u64_at("linesRemoved"),
            by: call_id.clone(),
            ..Default::default()
        });
    }
}

fn approval(out: &mut Builder, data: View<'_>, asked: Option<WallTime>) {
    let kind = data.path(&["result", "kind"]).and_then(View::as_str).unwrap_or_default();
    let decision = match kind {
        "approved" => Decision::AllowOnce,
        "approved-for-session" | "approved-for-location" | "approved-always" => {
            Decision::AllowAlways
        }
        "cancelled" => Decision::Cancelled,
        "denied-by-rules" | "denied-by-content-exclusion-policy" => Decision::PolicyDeny,
        kind if kind.starts_with("denied") => Decision::RejectOnce,
        _ => Decision::Unknown,
    };
    let by = (data.str_at("decisionSource") == Some("human_response")).then_some(Decider::User);
    let waited = out.time.zip(asked).map(|(end, start)| end.unix_us.saturating_sub(start.unix_us));
    out.push(Approval {
        call_id: data.str_at("toolCallId").map(str::to_owned),
        decision: Some(decision),
        by,
        waited_ms: waited.filter(|_| by.is_some()).and_then(|us| u64::try_from(us / 1000).ok()),
        ..Default::default()
    });
}

/// Cached input is a part of the input here.
fn usage(out: &mut Builder, value: View<'_>, data: View<'_>) {
    let Some(usage) = data.get("usage") else { return };
    let number = |name| usage.u64_at(name).unwrap_or(0);
    let (read, written) = (number("cacheReadTokens"), number("cacheWriteTokens"));
    let key = data.str_at("apiCallId").or(value.str_at("id")).unwrap_or_default();
    let usage = Usage {
        model: usage.str_at("model").map(str::to_owned),
        request_id: Some(key.to_owned()),
        input: number("inputTokens").saturating_sub(read).saturating_sub(written),
        cache_read: read,
        cache_write_5m: written,
        output: number("outputTokens"),
        reasoning: number("reasoningTokens"),
        basis: Some(Basis::PerRequest),
        ..Default::default()
    };
    out.usage(key, usage);
}
