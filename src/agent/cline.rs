//! Cline CLI: `~/.cline/data/sessions/<id>/<id>.messages.json`, one document rewritten as a whole,
//! and `<id>.json` beside it for the session.

use super::claude::plain_text;
use super::detect::Words;
use super::locate::{Base, Place, Project};
use super::transcript::{Builder, time_ms, time_text};
use super::{Agent, File, Scope, Transcript, tool};
use crate::event::*;
use crate::json::{Document, Value, document, parse_lossy};

pub(super) const AGENT: Agent = Agent {
    name: "cline",
    programs: &["cline"],
    packages: &["cline"],
    places: &[Place {
        env: None,
        tail: ".cline/data/sessions",
        base: Base::Home,
        patterns: &["*/*.json"],
        project: Project::None,
    }],
    session_key: |path| path.split('/').next().unwrap_or_default().to_owned(),
    words: &Words {
        resume: &["--id"],
        session: &[],
        subcommands: &[],
        latest: &[],
        prompt: &[],
        back: &["cline", "--id"],
    },
};

pub(super) fn read(files: &[File<'_>], _scope: &Scope<'_>) -> Transcript {
    let mut out = Builder::new(AGENT.name);
    // The session's own file first: what it says stands before the messages.
    let (messages, session): (Vec<_>, Vec<_>) = files
        .iter()
        .enumerate()
        .filter(|(_, f)| f.path.ends_with(".json"))
        .partition(|(_, f)| f.path.ends_with(".messages.json"));
    for (index, file) in session.into_iter().chain(messages) {
        let Document { members, elements } = document(file.bytes, "messages");
        if out.native.session.is_none() {
            out.native.session =
                members.get("sessionId").and_then(Value::as_str).map(str::to_owned);
        }
        if !members.is_empty() && !file.path.ends_with(".messages.json") {
            out.at(index, 0, file.bytes.len() as u64);
            header(&mut out, &members.into());
        }
        for element in elements {
            if let Some(value) = out.record(index, element) {
                message(&mut out, &value);
            }
        }
    }
    out.finish()
}

fn header(out: &mut Builder, value: &Value) {
    let text = |name| value.str_at(name).map(str::to_owned);
    out.time = time_text(value.get("started_at"));
    out.native.session = text("session_id");
    out.native.cwd = text("cwd");
    out.native.title =
        value.path(&["metadata", "title"]).and_then(Value::as_str).map(str::to_owned);
    let version =
        value.path(&["metadata", "sessionHistoryOrigin", "version"]).and_then(Value::as_str);
    out.native.version = version.map(str::to_owned);
    out.push(SessionStart {
        cwd: text("cwd"),
        agent_version: version.map(str::to_owned),
        agent_session: text("session_id"),
        model: text("model"),
        ..Default::default()
    });
}

fn message(out: &mut Builder, message: &Value) {
    out.time = time_ms(message.get("ts"));
    out.id = message.str_at("id").map(str::to_owned);
    let model = message.path(&["modelInfo", "id"]).and_then(Value::as_str);
    if let Some(model) = model {
        out.model(model);
    }
    let shown_as = message.path(&["metadata", "displayRole"]).and_then(Value::as_str);
    match message.get("content") {
        Some(content) if shown_as == Some("error") => {
            out.push(ApiError { message: plain_text(content), ..Default::default() });
        }
        Some(Value::Array(blocks)) => {
            let role = message.str_at("role").unwrap_or_default();
            blocks.iter().for_each(|block| self::block(out, role, model, block));
        }
        Some(Value::String(text)) => {
            say(out, message.str_at("role").unwrap_or_default(), model, text)
        }
        _ => out.unknown("message without content"),
    }
    usage(out, message, model);
}

fn say(out: &mut Builder, role: &str, model: Option<&str>, text: &str) {
    if role == "user" {
        let text = unwrap(text).to_owned();
        out.push(UserMessage { text, form: Some(MessageForm::Typed), ..Default::default() });
    } else {
        let (text, model, message_id) = (text.to_owned(), model.map(str::to_owned), out.id.clone());
        out.push(AssistantMessage { text, model, message_id, ..Default::default() });
    }
}

/// The user's own words, out of `<user_input mode="act">…</user_input>`.
fn unwrap(text: &str) -> &str {
    let inside = text.trim().strip_prefix("<user_input").and_then(|rest| rest.split_once('>'));
    inside.and_then(|(_, rest)| rest.split_once("</user_input>")).map_or(text, |(inside, _)| inside)
}

fn block(out: &mut Builder, role: &str, model: Option<&str>, block: &Value) {
    match block.str_at("type").unwrap_or_default() {
        "text" => say(out, role, model, block.str_at("text").unwrap_or_default()),
        "thinking" => {
            let text = block.str_at("thinking").unwrap_or_default().to_owned();
            let hidden = text.is_empty();
            let form = if hidden { ThoughtForm::Redacted } else { ThoughtForm::Full };
            out.push(Thought { text, form: Some(form), signature_only: hidden });
        }
        "redacted_thinking" => {
            let form = Some(ThoughtForm::Redacted);
            out.push(Thought { text: String::new(), form, signature_only: true });
        }
        "tool_use" => {
            let name = block.str_at("name").unwrap_or_default();
            out.push(tool::call(
                block.str_at("id"),
                name,
                block.get("input").cloned().unwrap_or_default(),
            ));
        }
        "tool_result" => result(out, block),
        "image" | "file" => {}
        kind => out.unknown(kind),
    }
}

fn result(out: &mut Builder, block: &Value) {
    let content = block.get("content").unwrap_or(&Value::Null);
    // Its own tools answer in lists of objects that say one by one whether they worked.
    let texts = content.items().iter().all(|item| item.str_at("type") == Some("text"));
    let (text, parts) = match content {
        Value::Array(items) if !texts => (content.to_string(), items.clone()),
        other => {
            let text = plain_text(other);
            let parts = parse_lossy(text.as_bytes()).map(|value| vec![value]).unwrap_or_default();
            (text, parts)
        }
    };
    let says = |item: &Value| item.get("success").and_then(Value::as_bool);
    let failed = block.get("is_error").and_then(Value::as_bool) == Some(true)
        || parts.iter().any(|item| says(item) == Some(false));
    let worked = !parts.is_empty() && parts.iter().all(|item| says(item) == Some(true));
    let ok = if failed { Some(false) } else { worked.then_some(true) };
    let call_id = block.str_at("tool_use_id").map(str::to_owned);
    out.push(ToolResult { call_id, ok, text, ..Default::default() });
}

fn usage(out: &mut Builder, message: &Value, model: Option<&str>) {
    let (Some(metrics), Some(id)) = (message.get("metrics"), out.id.clone()) else { return };
    let number = |name| metrics.u64_at(name).unwrap_or(0);
    let (read, written) = (number("cacheReadTokens"), number("cacheWriteTokens"));
    let usage = Usage {
        model: model.map(str::to_owned),
        request_id: Some(id.clone()),
        // Cached input is a part of the input here.
        input: number("inputTokens").saturating_sub(read).saturating_sub(written),
        cache_read: read,
        cache_write_5m: written,
        output: number("outputTokens"),
        cost_microusd: metrics
            .get("cost")
            .and_then(Value::as_f64)
            .map(|usd| (usd * 1e6).round() as u64),
        basis: Some(Basis::PerRequest),
        ..Default::default()
    };
    out.usage(&id, usage);
}
