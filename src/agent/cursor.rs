//! Cursor's agent: `~/.cursor/projects/<cwd>/agent-transcripts/<session>/<session>.jsonl`: roles and
//! content only, without times, ids, results or tokens. Known from what others published.

use super::detect::Words;
use super::locate::{Base, Place, Project};
use super::transcript::Builder;
use super::{Agent, File, Scope, Transcript, tool};
use crate::event::*;
use crate::json::{Value, records};

pub(super) const AGENT: Agent = Agent {
    name: "cursor",
    programs: &["cursor-agent", "agent"],
    packages: &[],
    places: &[Place {
        env: Some(("CURSOR_CONFIG_DIR", "projects")),
        tail: ".cursor/projects",
        base: Base::Home,
        patterns: &["*/agent-transcripts/*/*.jsonl", "*/agent-transcripts/*/subagents/*.jsonl"],
        project: Project::None,
    }],
    session_key: |path| path.split('/').nth(2).unwrap_or_default().to_owned(),
    words: &Words {
        resume: &["--resume"],
        session: &[],
        subcommands: &["resume"],
        latest: &["--continue"],
        prompt: &["-p", "--print"],
        back: &["cursor-agent", "--resume"],
    },
};

pub(super) fn read(files: &[File<'_>], _scope: &Scope<'_>) -> Transcript {
    let mut out = Builder::new(AGENT.name);
    for (index, file) in files.iter().enumerate().filter(|(_, f)| f.path.ends_with(".jsonl")) {
        let name = file.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".jsonl");
        if file.path.contains("/subagents/") {
            out.stream = name.to_owned();
            out.at(index, 0, 0);
            out.push(SubagentStart { child: name.to_owned(), ..Default::default() });
        } else {
            out.stream = MAIN.to_owned();
            out.native.session = Some(name.to_owned());
        }
        for record in records(file.bytes) {
            if let Some(value) = out.record(index, record) {
                message(&mut out, &value);
            }
        }
    }
    out.finish()
}

fn message(out: &mut Builder, value: &Value) {
    let role = value.str_at("role").unwrap_or_default();
    let content = value.path(&["message", "content"]).or(value.get("content"));
    match content {
        Some(Value::String(text)) => say(out, role, text),
        Some(Value::Array(blocks)) => blocks.iter().for_each(|block| self::block(out, role, block)),
        _ => out.unknown(if role.is_empty() { "record without role" } else { role }),
    }
}

fn block(out: &mut Builder, role: &str, block: &Value) {
    let name = block.str_at("name").unwrap_or_default();
    match block.str_at("type").unwrap_or_default() {
        "text" => say(out, role, block.str_at("text").unwrap_or_default()),
        "thinking" | "reasoning" => {
            let text = block.str_at("thinking").or(block.str_at("text")).unwrap_or_default();
            let form = Some(ThoughtForm::Full);
            out.push(Thought { text: text.to_owned(), form, signature_only: false });
        }
        "tool_use" => {
            let args = block.get("input").cloned().unwrap_or_default();
            out.push(tool::call(block.str_at("id"), name, args));
        }
        kind => out.unknown(kind),
    }
}

fn say(out: &mut Builder, role: &str, text: &str) {
    if text.is_empty() {
        return;
    }
    if role == "user" {
        let inside =
            text.split_once("<user_query>").and_then(|(_, rest)| rest.split_once("</user_query>"));
        let text = inside.map_or(text, |(inside, _)| inside).trim().to_owned();
        if out.stream == MAIN {
            out.push(UserMessage { text, form: Some(MessageForm::Typed), ..Default::default() });
        }
    } else {
        out.push(AssistantMessage { text: text.to_owned(), ..Default::default() });
    }
}
