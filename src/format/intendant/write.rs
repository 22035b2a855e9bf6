//! Events to Intendant session logs.

use super::{
    DECISIONS, LINE, META, META_FILE, NAME, PREVIEW_LEN, SPINE_FILE, SUMMARY, SUMMARY_FILE, retold,
    turn_file,
};
use crate::event::{
    Approval, AssistantMessage, Body, Context, ContextOp, Decision, Event, Evidence, Outcome,
    SessionEnd, SessionStart, StopReason, Thought, ThoughtForm, ToolResult, Usage,
};
use crate::format::native::{self, SPINE};
use crate::json::{Object, Value};
use crate::time::WallTime;
use std::collections::BTreeMap;

/// The session as a log directory: paths relative to it, and bytes. `native` reads the place in
/// the session's streams where a file of the original was kept.
///
/// Events that were read from a log give the same bytes again; files that no events make, and a
/// spine with blank lines or bytes that are no UTF-8, come from their streams. Any other session is
/// told in the eleven events of the documentation.
pub fn write(
    events: &[Event],
    native: &dyn Fn(&Evidence) -> Option<Vec<u8>>,
) -> Vec<(String, Vec<u8>)> {
    let mut writer = Writer::default();
    if native::is_from(events, NAME) {
        writer.lines(events);
        writer.close(events);
        events.iter().for_each(|event| writer.original(event, native));
    } else {
        let told = retold::Told::of(events);
        writer.files.extend(told.files);
        writer.lines(&told.events);
        writer.close(&told.events);
        // On one line: the documented `grep '"project_root":"…"'` finds it so.
        if let Some(meta) = writer.files.get_mut(META_FILE)
            && let Ok(value) = crate::json::parse(meta)
        {
            *meta = format!("{value}\n").into_bytes();
        }
    }
    writer.files.into_iter().collect()
}

/// A log on its way out: what is appended to and what only the end knows.
#[derive(Debug, Default)]
pub(super) struct Writer {
    files: BTreeMap<String, Vec<u8>>,
    turn_last: u32,
    end: Option<(String, u64)>,
}

impl Writer {
    /// The files so far.
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    fn lines(&mut self, events: &[Event]) {
        let mut spine = String::new();
        for group in native::records(events) {
            let kept = group.iter().find_map(|event| native::fields(event, NAME));
            let made = self.record(group);
            if let Some(line) = kept.and_then(|k| k.get("line")).and_then(Value::as_str) {
                spine.push_str(line);
            } else if let Some(mut made) = made {
                if let Some(kept) = kept {
                    native::apply(&mut made, kept);
                }
                spine.push_str(&LINE.text(&made));
            } else {
                continue;
            }
            spine.push('\n');
        }
        self.files.insert(SPINE_FILE.to_owned(), spine.into_bytes());
    }

    /// The line that a group of events makes; texts go to their files.
    pub fn record(&mut self, group: &[Event]) -> Option<Object> {
        let event = group.first()?;
        let mut line = Line { turn: event.step, ..Line::default() };
        self.turn_last = self.turn_last.max(event.step.unwrap_or(0));
        match &event.body {
            Body::SessionStart(_) => {
                line.event = "session_start";
                line.message = event.time.map(|t| format!("Session started at {}", t.local()));
            }
            Body::TurnStart(_) => line.event = "turn_start",
            Body::AssistantMessage(message) => self.response(&mut line, message, group),
            Body::Thought(thought) => self.reasoning(&mut line, thought),
            Body::ToolCall(_) => self.input(&mut line, group),
            Body::ToolResult(result) => self.output(&mut line, result),
            Body::Approval(approval) => approve(&mut line, approval),
            Body::Context(context) => note_context(&mut line, context),
            Body::Question(question) => {
                line.event = "human_question";
                line.message = Some(question.text.clone());
            }
            Body::Answer(_) => {
                line.event = "human_response_sent";
                line.message = Some("Human response sent".to_owned());
            }
            Body::UserMessage(message) => {
                line.event = "conversation_message";
                line.data.insert("role", "user");
                line.data.insert("text", message.text.as_str());
            }
            Body::TurnEnd(end) => {
                line.event = match end.stop_reason {
                    Some(StopReason::MaxTurnRequests) => "safety_cap_reached",
                    _ => "round_complete",
                };
            }
            Body::Failure(failure) => {
                line.event = "error";
                line.message = Some(failure.message.clone());
            }
            Body::Note(note) => {
                line.event = &note.native_type;
                line.message.clone_from(&note.text);
            }
            Body::SessionEnd(end) => self.end(&mut line, end),
            _ => return None,
        }
        Some(line.object(event))
    }

    /// Appends to a file of the turn: its path, where the text begins, and how long it is.
    fn append(&mut self, turn: Option<u32>, suffix: &str, text: &str) -> (String, u64, u64) {
        let path = turn_file(turn.unwrap_or(0), suffix);
        let file = self.files.entry(path.clone()).or_default();
        let offset = file.len() as u64;
        file.extend_from_slice(text.as_bytes());
        (path, offset, text.len() as u64)
    }

    fn response(&mut self, line: &mut Line<'_>, message: &AssistantMessage, group: &[Event]) {
        line.event = "model_response";
        line.message = Some(preview(&message.text));
        let (path, offset, len) = self.append(line.turn, "model.txt", &message.text);
        line.file = Some(path);
        line.data.insert("content_length", len);
        line.data.insert("model_bytes", len);
        line.data.insert("model_offset", offset);
        let usage = group.iter().find_map(|event| match &event.body {
            Body::Usage(usage) => Some(usage),
            _ => None,
        });
        if let Some(usage) = usage {
            line.data.insert("tokens", tokens(usage));
        }
    }

    fn reasoning(&mut self, line: &mut Line<'_>, thought: &Thought) {
        line.event = "reasoning";
        let full = thought.form != Some(ThoughtForm::Summary);
        if full {
            let (path, _, _) = self.append(line.turn, "reasoning.txt", &thought.text);
            line.file = Some(path);
        } else {
            line.message = Some(thought.text.clone());
        }
        let len = if full { thought.text.len() as u64 } else { 0 };
        line.data.insert("full_content_length", len);
        line.data.insert("has_full_content", full);
        line.data.insert("has_summary", !full);
    }

    fn input(&mut self, line: &mut Line<'_>, group: &[Event]) {
        let calls: Vec<_> = group
            .iter()
            .filter_map(|event| match &event.body {
                Body::ToolCall(call) => Some(call),
                _ => None,
            })
            .collect();
        let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
        let commands: Vec<Value> = calls.iter().map(|call| call.args.clone()).collect();
        let request = Value::Object(Object::from_iter([("commands", commands)]));
        let path = turn_file(line.turn.unwrap_or(0), "agent_in.json");
        self.files.insert(path.clone(), request.pretty().into_bytes());
        line.event = "agent_input";
        line.message = Some(format!("Commands: {}", names.join(", ")));
        line.file = Some(path);
        line.data.insert("functions", names);
        line.data.insert("json_length", request.to_string().len() as u64);
    }

    fn output(&mut self, line: &mut Line<'_>, result: &ToolResult) {
        let (stdout, stderr) = (&result.text, result.error.as_deref().unwrap_or_default());
        line.event = "agent_output";
        line.message = Some(match stdout.is_empty() && stderr.is_empty() {
            true => "(no output)".to_owned(),
            false => preview(stdout),
        });
        line.data.insert("stdout_length", stdout.len() as u64);
        line.data.insert("stderr_length", stderr.len() as u64);
        if !stdout.is_empty() {
            let (path, offset, len) = self.append(line.turn, "stdout.txt", stdout);
            line.file = Some(path);
            line.data.insert("stdout_bytes", len);
            line.data.insert("stdout_offset", offset);
        }
        if !stderr.is_empty() {
            let (path, offset, len) = self.append(line.turn, "stderr.txt", stderr);
            line.file2 = Some(path);
            line.data.insert("stderr_bytes", len);
            line.data.insert("stderr_offset", offset);
        }
    }

    fn end(&mut self, line: &mut Line<'_>, end: &SessionEnd) {
        let said = end.counts.str_at("said").unwrap_or(match end.outcome {
            Some(Outcome::Succeeded) => "completed",
            Some(Outcome::Interrupted) => "interrupted",
            _ => "error: failed",
        });
        let turns = end.counts.u64_at("turns").unwrap_or(u64::from(self.turn_last));
        line.event = "session_end";
        line.message = Some(format!("Session ended: {said} ({turns} turns)"));
        line.file = Some(SUMMARY_FILE.to_owned());
        self.end = Some((said.to_owned(), turns));
    }

    /// Makes the files that stand beside the spine.
    pub fn close(&mut self, events: &[Event]) {
        let start = events.iter().find_map(|e| match &e.body {
            Body::SessionStart(start) => Some((start, e)),
            _ => None,
        });
        let task = events.iter().find_map(|e| match &e.body {
            Body::UserMessage(message) => Some(message.text.as_str()),
            _ => None,
        });
        let end = events.iter().rev().find_map(|e| match &e.body {
            Body::SessionEnd(end) => Some((end, e)),
            _ => None,
        });
        let Some((start, event)) = start else { return };
        let id = session_id(start, event);
        let meta = self.meta(start, event, &id, task, end.map(|(end, _)| end));
        self.files.insert(META_FILE.to_owned(), META.text(&meta).into_bytes());
        if let (Some((said, turns)), Some((_, event))) = (&self.end, end) {
            let mut summary = Object::from_iter([
                ("outcome", Value::from(said.as_str())),
                ("session_id", id.as_str().into()),
                ("total_turns", Value::from(*turns)),
            ]);
            if let Some(time) = event.time {
                summary.insert("ended_at", time.local());
            }
            if let Some(task) = task {
                summary.insert("task", task);
            }
            self.files.insert(SUMMARY_FILE.to_owned(), SUMMARY.text(&summary).into_bytes());
        }
        for event in events {
            self.log(event);
        }
    }

    fn meta(
        &self,
        start: &SessionStart,
        event: &Event,
        id: &str,
        task: Option<&str>,
        end: Option<&SessionEnd>,
    ) -> Object {
        let status = match end.map(|end| end.outcome) {
            None => "running",
            Some(Some(Outcome::Interrupted)) => "interrupted",
            Some(_) => "completed",
        };
        let mut meta = Object::from_iter([("session_id", Value::from(id))]);
        if let Some(time) = event.time {
            meta.insert("created_at", time.local().replace(' ', "T"));
        }
        if let Some(cwd) = &start.cwd {
            meta.insert("project_root", cwd.as_str());
        }
        if let Some(task) = task {
            meta.insert("task", task);
        }
        meta.insert("status", status);
        meta.insert("last_turn", u64::from(self.turn_last));
        meta.insert("role", Value::Null);
        meta
    }

    /// The whole output of one command, kept by the name of its log.
    fn log(&mut self, event: &Event) {
        let Body::ToolResult(result) = &event.body else { return };
        let in_spine = event.evidence.as_ref().is_some_and(|e| e.stream == SPINE);
        let Some(stem) = event.id.as_ref().filter(|_| !in_spine) else { return };
        self.files.insert(format!("{stem}_stdout.log"), result.text.clone().into_bytes());
        if let Some(error) = &result.error {
            self.files.insert(format!("{stem}_stderr.log"), error.clone().into_bytes());
        }
    }

    /// Puts a file that the events do not make as it was.
    fn original(&mut self, event: &Event, native: &dyn Fn(&Evidence) -> Option<Vec<u8>>) {
        let Some(fields) = native::fields(event, NAME) else { return };
        let Some(path) = fields.get("file").and_then(Value::as_str) else { return };
        if fields.get("absent").is_some() {
            self.files.remove(path);
        } else if fields.get("kept").is_some() {
            if let Some(bytes) = event.evidence.as_ref().and_then(native) {
                self.files.insert(path.to_owned(), bytes);
            }
        } else if let Some(made) = self.files.get_mut(path) {
            let shape = if path == META_FILE { &META } else { &SUMMARY };
            if let Ok(Value::Object(mut object)) = crate::json::parse(made) {
                native::apply(&mut object, fields);
                *made = shape.text(&object).into_bytes();
            }
        }
    }
}

/// One line of the spine.
#[derive(Debug, Default)]
struct Line<'a> {
    turn: Option<u32>,
    event: &'a str,
    message: Option<String>,
    data: Object,
    file: Option<String>,
    file2: Option<String>,
}

impl Line<'_> {
    fn object(self, event: &Event) -> Object {
        let mut object = Object::new();
        if let Some(time) = event.time {
            object.insert("ts", time_of_day(time));
        }
        if let Some(turn) = self.turn {
            object.insert("turn", u64::from(turn));
        }
        object.insert("event", self.event);
        object.insert("level", event.level.as_str());
        if let Some(message) = self.message {
            object.insert("message", message);
        }
        if !self.data.is_empty() {
            object.insert("data", self.data);
        }
        for (name, file) in [("file", self.file), ("file2", self.file2)] {
            if let Some(file) = file {
                object.insert(name, file);
            }
        }
        object
    }
}

fn approve(line: &mut Line<'_>, approval: &Approval) {
    let decision = approval.decision.unwrap_or(Decision::Unknown);
    let exact = DECISIONS.iter().find(|(_, d, by)| *d == decision && *by == approval.by);
    let known = exact.or_else(|| DECISIONS.iter().find(|(_, d, _)| *d == decision));
    let said = known.map_or(decision.as_str(), |(word, _, _)| word);
    line.event = "approval";
    line.message = Some(format!("{} -> {said}", approval.ask));
    line.data.insert("decision", said);
    line.data.insert("preview", approval.ask.as_str());
}

fn note_context(line: &mut Line<'_>, context: &Context) {
    (line.event, line.message) = match context.op {
        Some(ContextOp::Snapshot) => ("context_snapshot", context.summary.clone()),
        Some(ContextOp::Rewind) => ("conversation_rolled_back", context.summary.clone()),
        op => {
            let directive = op.unwrap_or(ContextOp::Compact).as_str();
            line.data.insert("directive", directive);
            ("context_management", context.summary.clone())
        }
    };
    if let Some(tokens) = context.before_tokens {
        line.data.insert("token_count", tokens);
    }
    if let Some(window) = context.window {
        line.data.insert("context_window", window);
    }
}

/// Tokens as Intendant counts them: the prompt includes what came from caches.
fn tokens(usage: &Usage) -> Object {
    let writes = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
    let prompt = usage.input.saturating_add(usage.cache_read).saturating_add(writes);
    let total = usage.total.unwrap_or(prompt.saturating_add(usage.output));
    Object::from_iter([
        ("cached", usage.cache_read),
        ("completion", usage.output),
        ("prompt", prompt),
        ("total", total),
    ])
}

fn session_id(start: &SessionStart, event: &Event) -> String {
    start.agent_session.clone().unwrap_or_else(|| event.session.clone())
}

fn preview(text: &str) -> String {
    text.chars().take(PREVIEW_LEN).collect()
}

/// `10:30:04.120`, local.
pub(super) fn time_of_day(time: WallTime) -> String {
    time.rfc3339().get(11..23).unwrap_or_default().to_owned()
}
