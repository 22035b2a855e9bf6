//! Kimi Code: `~/.kimi-code/sessions/<dir>/<session>/agents/<agent>/wire.jsonl`.
//!
//! The wire file says most things twice; taken are prompts (`turn.prompt`), the events of the loop,
//! usage records, and requests for permission with their answers.

use super::claude::{as_text, text_of};
use super::detect::Words;
use super::locate::{Base, Place, Project};
use super::transcript::{Builder, ms_of};
use super::{Agent, Digest, Long, NoteKind, Scope, Sink, tool, whole};
use crate::event::*;
use crate::json::{View, parse_lossy, visit};
use std::collections::HashMap;

pub(super) const AGENT: Agent = Agent {
    name: "kimi",
    programs: &["kimi"],
    packages: &["@moonshot-ai/kimi-code", "kimi-cli"],
    places: &[Place {
        env: Some(("KIMI_CODE_HOME", "sessions")),
        tail: ".kimi-code/sessions",
        base: Base::Home,
        patterns: &["*/*/agents/*/wire.jsonl", "*/*/state.json"],
        project: Project::None,
    }],
    session_key: |path| path.split('/').nth(1).unwrap_or_default().to_owned(),
    words: &Words {
        resume: &["-r", "--resume", "-S", "--session"],
        session: &[],
        subcommands: &[],
        latest: &["-C", "--continue"],
        prompt: &["-p", "--prompt"],
        back: &["kimi", "-r"],
    },
};

/// Records that repeat others or are the program's own bookkeeping.
const NOISE: &[&str] = &[
    "metadata",
    "agent.message.appended",
    "context.append_message",
    "runtime.set_binding",
    "agent.turn.started",
    "agent.turn.ended",
    "plugin.session_start",
    "llm.tools_snapshot",
    "prompt.completed",
    "permission.record_approval_result",
    "full_compaction.begin",
    "full_compaction.complete",
    "token_counting.measured",
    "token_counting.turn_recorded",
    "token_counting.rebased",
    "file_history.tracked",
    "file_history.checkpoint",
];

pub(super) fn read(files: &[Long<'_>], _scope: &Scope<'_>, sink: &mut dyn Sink) -> Digest {
    let mut reader =
        Reader { out: Builder::new(AGENT.name), asked: HashMap::new(), scope: None, mode: None };
    for (index, file) in files.iter().enumerate() {
        if file.path.ends_with("state.json") {
            reader.state(index, file);
        } else if file.path.ends_with("wire.jsonl") {
            reader.wire(index, file, sink);
        }
    }
    reader.out.settle(sink)
}

struct Reader {
    out: Builder,
    /// Requests for permission that have no answer yet: the call, the question, the time.
    asked: HashMap<String, (Option<String>, String, Option<i64>)>,
    /// What the last request to the model was for.
    scope: Option<String>,
    mode: Option<String>,
}

impl Reader {
    fn state(&mut self, index: usize, file: &Long<'_>) {
        let bytes = whole(file.content).unwrap_or_default();
        self.out.at(index, 0, bytes.len() as u64);
        match parse_lossy(&bytes) {
            Ok(state) => {
                self.out.native.title = state.str_at("title").map(str::to_owned);
                self.out.native.cwd = state.str_at("cwd").map(str::to_owned);
                self.out.native.session = state.str_at("id").map(str::to_owned);
            }
            Err(e) => self.out.note(NoteKind::Broken(e.kind)),
        }
    }

    fn wire(&mut self, index: usize, file: &Long<'_>, sink: &mut dyn Sink) {
        // …/session_<uuid>/agents/<agent>/wire.jsonl
        let mut steps = file.path.rsplit('/').skip(1);
        let agent = steps.next().unwrap_or(MAIN);
        let session = steps.nth(1);
        if self.out.native.session.is_none() {
            self.out.native.session = session.map(str::to_owned);
        }
        self.out.stream = agent.to_owned();
        visit(file.content, &mut |record| {
            if let Some(value) = self.out.record(index, record) {
                self.record(value);
                self.out.pass(sink);
            }
        });
    }

    fn record(&mut self, value: View<'_>) {
        let out = &mut self.out;
        out.time = value.get("time").and_then(ms_of);
        let text = |name| value.str_at(name).map(str::to_owned);
        match value.str_at("type").unwrap_or_default() {
            "profile.bind" => {
                let cwd = value.path(&["environmentDisclosure", "cwd"]).and_then(View::as_str);
                let cwd = cwd.map(str::to_owned);
                if out.native.cwd.is_none() {
                    out.native.cwd.clone_from(&cwd);
                }
                if out.stream == MAIN {
                    let agent_session = out.native.session.clone();
                    out.push(SessionStart { cwd, agent_session, ..Default::default() });
                } else {
                    let (child, name) = (out.stream.clone(), text("profileName"));
                    out.push(SubagentStart { child, name, ..Default::default() });
                }
            }
            "permission.set_mode" => {
                let from = std::mem::replace(&mut self.mode, text("mode"));
                if from.is_some() && from != self.mode {
                    out.push(ModeChange { from, to: text("mode") });
                }
            }
            "turn.prompt" => {
                let from_user =
                    value.path(&["origin", "kind"]).and_then(View::as_str) == Some("user");
                out.id = text("promptId");
                let text = value.get("input").map(text_of).unwrap_or_default();
                if from_user && out.stream == MAIN {
                    out.push(UserMessage {
                        text,
                        form: Some(MessageForm::Typed),
                        ..Default::default()
                    });
                }
            }
            "context.append_loop_event" => self.step(value.get("event").unwrap_or(View::NULL)),
            "llm.request" => {
                self.scope = text("kind");
                if let Some(model) = value.str_at("model") {
                    out.model(model);
                }
            }
            "usage.record" => self.usage(value),
            "interaction.request" => self.request(value),
            "interaction.resolved" => self.resolved(value),
            "turn.ended" => {
                let stop_reason = match value.str_at("reason") {
                    Some("completed") => Some(StopReason::EndTurn),
                    Some("cancelled" | "aborted" | "interrupted") => Some(StopReason::Cancelled),
                    Some("error" | "failed") => Some(StopReason::Error),
                    _ => None,
                };
                if stop_reason == Some(StopReason::Cancelled) {
                    out.push(Interrupt { key: None, effect: text("reason") });
                }
                if let Some(error) = value.get("error").filter(|e| !e.is_null()) {
                    let message =
                        error.str_at("message").map_or_else(|| as_text(error), str::to_owned);
                    out.push(ApiError { message, ..Default::default() });
                }
                let duration_ms = value.u64_at("durationMs");
                out.push(TurnEnd { stop_reason, duration_ms, ..Default::default() });
            }
            "context.apply_compaction" => {
                out.push(Context {
                    op: Some(ContextOp::Compact),
                    before_tokens: value.u64_at("tokensBefore"),
                    after_tokens: value.u64_at("tokensAfter"),
                    summary: text("summary"),
                    ..Default::default()
                });
            }
            "context.clear" => {
                out.push(Context { op: Some(ContextOp::Clear), ..Default::default() });
            }
            kind if NOISE.contains(&kind) => {}
            kind => out.unknown(kind),
        }
    }

    fn step(&mut self, event: View<'_>) {
        let out = &mut self.out;
        out.id = event.str_at("uuid").map(str::to_owned);
        let text = |value: View<'_>, name: &str| value.str_at(name).unwrap_or_default().to_owned();
        match event.str_at("type").unwrap_or_default() {
            "content.part" => {
                let part = event.get("part").unwrap_or(View::NULL);
                match part.str_at("type").unwrap_or_default() {
                    "think" => {
                        let text = text(part, "think");
                        let hidden = text.is_empty();
                        let form = if hidden { ThoughtForm::Redacted } else { ThoughtForm::Full };
                        out.push(Thought { text, form: Some(form), signature_only: hidden });
                    }
                    "text" => {
                        let model = out.native.model.clone();
                        let text = text(part, "text");
                        out.push(AssistantMessage { text, model, ..Default::default() });
                    }
                    kind => out.unknown(&format!("part/{kind}")),
                }
            }
            "tool.call" => {
                let args = event.get("args").map(View::to_value).unwrap_or_default();
                out.push(tool::call(event.str_at("toolCallId"), &text(event, "name"), args));
            }
            "tool.result" => {
                let result = event.get("result").unwrap_or(View::NULL);
                let failed = result.is_true_at("isError");
                out.push(ToolResult {
                    call_id: event.str_at("toolCallId").map(str::to_owned),
                    ok: Some(!failed),
                    text: result.get("output").map(text_of).unwrap_or_default(),
                    duration_ms: result.u64_at("durationMs"),
                    ..Default::default()
                });
            }
            "step.begin" | "step.end" => {}
            kind => out.unknown(&format!("loop/{kind}")),
        }
    }

    /// Usage records have no id; two of them are two requests. `step.end` states the same again.
    fn usage(&mut self, value: View<'_>) {
        let Some(usage) = value.get("usage") else { return };
        let number = |name| usage.u64_at(name).unwrap_or(0);
        let usage = Usage {
            model: self.out.native.model.clone(),
            input: number("inputOther"),
            cache_read: number("inputCacheRead"),
            cache_write_5m: number("inputCacheCreation"),
            output: number("output"),
            basis: Some(Basis::PerRequest),
            ..Default::default()
        };
        let stream = &self.out.stream;
        let time = value.get("time").map(as_text).unwrap_or_default();
        let key = format!("{stream}:{time}:{}", self.scope.as_deref().unwrap_or_default());
        self.out.usage(&key, usage);
    }

    fn request(&mut self, value: View<'_>) {
        let Some(id) = value.str_at("id") else { return };
        let request = value.get("request").unwrap_or(View::NULL);
        let ask = request
            .str_at("action")
            .or(request.str_at("description"))
            .or(request.str_at("question"));
        let call = value.str_at("toolCallId").or(request.str_at("toolCallId")).map(str::to_owned);
        let entry =
            (call, ask.unwrap_or_default().to_owned(), value.get("time").and_then(View::as_i64));
        if value.str_at("kind") == Some("approval") {
            self.asked.insert(id.to_owned(), entry);
        }
    }

    fn resolved(&mut self, value: View<'_>) {
        let Some((call_id, ask, asked)) = value.str_at("id").and_then(|id| self.asked.remove(id))
        else {
            return;
        };
        let response = value.get("response").unwrap_or(View::NULL);
        let lasting = response.str_at("scope").is_some_and(|scope| scope != "once");
        let decision = match response.str_at("decision").unwrap_or_default() {
            "approved" if lasting => Decision::AllowAlways,
            "approved" => Decision::AllowOnce,
            "approved_for_session" => Decision::AllowAlways,
            "rejected" => Decision::RejectOnce,
            "cancelled" => Decision::Cancelled,
            _ => Decision::Unknown,
        };
        let answered = value.get("time").and_then(View::as_i64);
        let waited = answered.zip(asked).and_then(|(end, start)| u64::try_from(end - start).ok());
        self.out.push(Approval {
            call_id,
            ask,
            decision: Some(decision),
            by: Some(Decider::User),
            waited_ms: waited,
            ..Default::default()
        });
    }
}
