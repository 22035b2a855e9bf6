//! Qwen Code: `~/.qwen/projects/<cwd>/chats/<session>.jsonl`, one line a message.

use super::claude::{as_text, text_of, time_of};
use super::detect::Words;
use super::locate::{Base, Place, Project};
use super::transcript::Builder;
use super::{Agent, Digest, Long, Scope, Sink, tool};
use crate::event::*;
use crate::json::{View, visit};

pub(super) const AGENT: Agent = Agent {
    name: "qwen",
    programs: &["qwen"],
    packages: &["@qwen-code/qwen-code"],
    places: &[Place {
        env: None,
        tail: ".qwen/projects",
        base: Base::Home,
        patterns: &["*/chats/*.jsonl"],
        project: Project::Dashes,
    }],
    session_key: |path| {
        let name = path.rsplit('/').next().unwrap_or_default();
        name.trim_end_matches(".jsonl").to_owned()
    },
    words: &Words {
        resume: &["--resume", "-r"],
        session: &["--session-id"],
        subcommands: &[],
        latest: &["-c", "--continue"],
        prompt: &["-p", "--prompt", "-i", "--prompt-interactive"],
        back: &["qwen", "--resume"],
    },
};

pub(super) fn read(files: &[Long<'_>], _scope: &Scope<'_>, sink: &mut dyn Sink) -> Digest {
    let mut out = Builder::new(AGENT.name);
    for (index, file) in files.iter().enumerate().filter(|(_, f)| f.path.ends_with(".jsonl")) {
        visit(file.content, &mut |record| {
            if let Some(value) = out.record(index, record) {
                line(&mut out, value);
                out.pass(sink);
            }
        });
    }
    out.settle(sink)
}

fn line(out: &mut Builder, value: View<'_>) {
    out.time = time_of(value);
    out.id = value.str_at("uuid").map(str::to_owned);
    out.parent = value.str_at("parentUuid").map(str::to_owned);
    let text = |name| value.str_at(name).map(str::to_owned);
    if out.native.session.is_none() && value.get("sessionId").is_some() {
        out.native.session = text("sessionId");
        out.native.cwd = text("cwd");
        out.native.version = text("version");
        out.push(SessionStart {
            cwd: text("cwd"),
            agent_version: text("version"),
            agent_session: text("sessionId"),
            ..Default::default()
        });
    }
    let parts = value.path(&["message", "parts"]).unwrap_or(View::NULL);
    match value.str_at("type").unwrap_or_default() {
        "user" => {
            let text = text_of(parts);
            let form = if text.starts_with('/') { MessageForm::Slash } else { MessageForm::Typed };
            out.push(UserMessage { text, form: Some(form), ..Default::default() });
        }
        "assistant" => answer(out, value, parts),
        "tool_result" => parts.items().for_each(|part| result(out, value, part)),
        "system" => system(out, value),
        kind => out.unknown(kind),
    }
}

fn answer(out: &mut Builder, value: View<'_>, parts: View<'_>) {
    let model = value.str_at("model");
    if let Some(model) = model {
        out.model(model);
    }
    for part in parts.items() {
        let text = part.str_at("text").unwrap_or_default().to_owned();
        if let Some(call) = part.get("functionCall") {
            let name = call.str_at("name").unwrap_or_default();
            let args = call.get("args").map(View::to_value).unwrap_or_default();
            out.push(tool::call(call.str_at("id"), name, args));
        } else if part.is_true_at("thought") {
            out.push(Thought { text, form: Some(ThoughtForm::Full), signature_only: false });
        } else if !text.is_empty() {
            let (model, message_id) = (model.map(str::to_owned), out.id.clone());
            out.push(AssistantMessage { text, model, message_id, ..Default::default() });
        }
    }
    let (Some(usage), Some(id)) = (value.get("usageMetadata"), out.id.clone()) else { return };
    let number = |name| usage.u64_at(name).unwrap_or(0);
    // Cached input is a part of the prompt, reasoning a part of the candidates.
    let cached = number("cachedContentTokenCount");
    let usage = Usage {
        model: model.map(str::to_owned),
        request_id: Some(id.clone()),
        input: number("promptTokenCount").saturating_sub(cached),
        cache_read: cached,
        output: number("candidatesTokenCount"),
        reasoning: number("thoughtsTokenCount"),
        total: usage.u64_at("totalTokenCount"),
        basis: Some(Basis::PerRequest),
        ..Default::default()
    };
    out.usage(&id, usage);
}

fn result(out: &mut Builder, value: View<'_>, part: View<'_>) {
    let Some(response) = part.get("functionResponse") else { return };
    let body = response.get("response").unwrap_or(View::NULL);
    let text = body.get("output").or(body.get("error")).map(text_of).unwrap_or_default();
    let status = value.path(&["toolCallResult", "status"]).and_then(View::as_str);
    let call_id = response.str_at("id").map(str::to_owned);
    if status == Some("cancelled") {
        out.push(Approval {
            call_id: call_id.clone(),
            decision: Some(Decision::RejectOnce),
            by: Some(Decider::User),
            ..Default::default()
        });
    }
    let exit_code: Option<i32> =
        text.lines().find_map(|l| l.strip_prefix("Exit Code: ")?.trim().parse().ok());
    let worked = status.map_or(body.get("error").is_none(), |status| status == "success");
    // A command that failed is a call that worked.
    let ok = Some(worked && exit_code.unwrap_or(0) == 0);
    out.push(ToolResult { call_id, ok, exit_code, text, ..Default::default() });
}

fn system(out: &mut Builder, value: View<'_>) {
    let payload = value.get("systemPayload").unwrap_or(View::NULL);
    match value.str_at("subtype").unwrap_or_default() {
        "ui_telemetry" => {
            let event = payload.get("uiEvent").unwrap_or(View::NULL);
            if event.str_at("event.name").is_some_and(|name| name.ends_with(".api_error")) {
                let message = event.str_at("error").or(event.str_at("error_message"));
                let code = event.get("status_code").filter(|c| !c.is_null()).map(as_text);
                let message = message.unwrap_or_default().to_owned();
                out.push(ApiError { code, message, ..Default::default() });
            }
        }
        "chat_compression" => {
            let info = payload.get("info").unwrap_or(payload);
            out.push(Context {
                op: Some(ContextOp::Compact),
                before_tokens: info.u64_at("originalTokenCount"),
                after_tokens: info.u64_at("newTokenCount"),
                ..Default::default()
            });
        }
        "attribution_snapshot" | "slash_command" | "at_command" => {}
        subtype => out.unknown(&format!("system/{subtype}")),
    }
}
