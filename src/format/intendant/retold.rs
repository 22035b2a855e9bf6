//! Sessions of other programs in the eleven events of Intendant's documentation.

use crate::event::{
    AssistantMessage, Body, Event, Evidence, Level, MAIN, Note, SessionStart, Thought, ToolCall,
    ToolResult, TurnStart, Usage, UserMessage,
};
use crate::format::native::{self, SPINE};
use crate::json::{Object, Value};
use std::collections::BTreeMap;

use super::write::time_of_day;
use super::{NAME, turn_file};

/// A session retold: events in groups of one record each, and files besides.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub events: Vec<Event>,
    pub files: BTreeMap<String, Vec<u8>>,
    records: u64,
    /// What Intendant calls a turn: one request to the model.
    turn: u32,
    nonce: u64,
    /// The number of each call by the agent's own id.
    nonces: BTreeMap<String, u64>,
    /// Messages since the last request.
    news: Vec<Value>,
    transcript: String,
    conversation: String,
}

/// What happened in one step.
#[derive(Debug, Default)]
struct Step<'a> {
    first: Option<&'a Event>,
    thoughts: Vec<(&'a Event, &'a Thought)>,
    answers: Vec<(&'a Event, &'a AssistantMessage)>,
    usage: Option<&'a Usage>,
    calls: Vec<(&'a Event, &'a ToolCall)>,
    results: Vec<(&'a Event, &'a ToolResult)>,
    others: Vec<&'a Event>,
}

impl Told {
    /// Tells a session anew. What the user went back behind is left out, and so is what subagents
    /// said: their prompts and results stand in their calls.
    pub fn of(events: &[Event]) -> Told {
        let mut told = Told::default();
        let live = || events.iter().filter(|e| e.stream == MAIN && !e.abandoned);
        let start = live().find(|e| matches!(e.body, Body::SessionStart(_)));
        match start {
            Some(event) => told.start(event),
            None => {
                let time = live().find_map(|e| e.time);
                let session = events.first().map(|e| e.session.clone()).unwrap_or_default();
                let body = SessionStart::default();
                let event = Event::new(crate::event::Source::Derived, body);
                told.start(&Event { time, session, ..event });
            }
        }
        let mut step = Step::default();
        let mut place = None;
        for event in live() {
            if matches!(event.body, Body::SessionStart(_) | Body::SessionEnd(_)) {
                continue;
            }
            let at = (event.turn, event.step);
            if place != Some(at) || matches!(event.body, Body::UserMessage(_)) {
                told.step(std::mem::take(&mut step));
                place = Some(at);
            }
            step.add(event);
        }
        told.step(step);
        if let Some(end) = live().rfind(|e| matches!(e.body, Body::SessionEnd(_))) {
            told.record(&[end], Level::Info, None);
        }
        for (name, text) in
            [("transcript.jsonl", &told.transcript), ("conversation.jsonl", &told.conversation)]
        {
            told.files.insert(name.to_owned(), text.clone().into_bytes());
        }
        told
    }

    fn start(&mut self, event: &Event) {
        self.record(&[event], Level::Info, None);
    }

    /// Adds a record made of these events, with what its line has besides.
    fn record(&mut self, events: &[&Event], level: Level, patch: Option<Object>) {
        let evidence = Evidence { stream: SPINE.to_owned(), offset: self.records, len: 0 };
        self.records += 1;
        let end = events.iter().any(|e| matches!(e.body, Body::SessionEnd(_)));
        for event in events {
            let step = Some(self.turn).filter(|turn| *turn > 0 && !end);
            let evidence = Some(evidence.clone());
            self.events.push(Event { step, level, evidence, ..(*event).clone() });
        }
        if let Some(patch) = patch {
            let fields =
                Object::from_iter([("format", Value::from(NAME)), ("patch", patch.into())]);
            self.events.push(native::event(fields, evidence));
        }
    }

    /// A record without an event of its own.
    fn note(&mut self, like: &Event, name: &str, level: Level, text: String, patch: Object) {
        let body = Note { native_type: name.to_owned(), text: Some(text) };
        let event = Event { time: like.time, ..Event::new(like.source, body) };
        self.record(&[&event], level, Some(patch));
    }

    fn step(&mut self, step: Step<'_>) {
        let Some(first) = step.first else { return };
        if step.is_request() {
            self.turn += 1;
            let start =
                Event { time: first.time, ..Event::new(first.source, TurnStart::default()) };
            self.record(&[&start], Level::Info, None);
            self.messages(first);
        }
        for (event, thought) in &step.thoughts {
            if !thought.text.is_empty() {
                self.record(&[event], Level::Info, None);
            }
        }
        self.answers(&step);
        self.calls(&step);
        let approvals = |e: &&&Event| matches!(e.body, Body::Approval(_));
        for event in step.others.iter().filter(approvals) {
            let patch = self.category_of(event, &step);
            self.record(&[event], Level::Warn, Some(patch));
        }
        self.results(&step);
        for event in step.others.iter().filter(|e| !approvals(e)) {
            match &event.body {
                Body::UserMessage(message) => self.user(event, message),
                Body::Failure(_) => self.record(&[event], Level::Error, None),
                Body::Context(_) | Body::Question(_) | Body::Answer(_) => {
                    self.record(&[event], Level::Info, None);
                }
                _ => {}
            }
        }
    }

    fn user(&mut self, event: &Event, message: &UserMessage) {
        self.say(event, "user", &message.text, &[]);
        // Not in the spine: what the model received says it. Its place is nowhere.
        self.events.push(Event { evidence: None, ..event.clone() });
    }

    /// Adds a message to the conversation, and to what the next request brings.
    fn say(&mut self, event: &Event, role: &str, text: &str, tools: &[&str]) {
        let message = Object::from_iter([("role", role), ("content", text)]);
        self.conversation.push_str(&Value::Object(message.clone()).to_string());
        self.conversation.push('\n');
        self.news.push(message.into());
        if text.is_empty() {
            return;
        }
        let mut line = Object::new();
        if let Some(time) = event.time {
            line.insert("ts", time_of_day(time));
        }
        line.insert("role", role);
        line.insert("text", text);
        if !tools.is_empty() {
            line.insert("tools_called", tools.to_vec());
        }
        self.transcript.push_str(&Value::Object(line).to_string());
        self.transcript.push('\n');
    }

    /// What this request brought to the model that it had not seen yet: the whole of what was sent
    /// is known to nobody but the agent.
    fn messages(&mut self, first: &Event) {
        let messages = Value::from(std::mem::take(&mut self.news)).to_string();
        let path = turn_file(self.turn, "messages.json");
        let len = messages.len() as u64;
        let text = format!("Messages logged ({len} bytes)");
        let patch = Object::from_iter::<[(&str, Value); 2]>([
            ("data", Object::from_iter([("json_length", len)]).into()),
            ("file", path.as_str().into()),
        ]);
        self.files.insert(path, messages.into_bytes());
        self.note(first, "messages_input", Level::Debug, text, patch);
    }

    fn answers(&mut self, step: &Step<'_>) {
        let tools: Vec<&str> = step.calls.iter().map(|(_, call)| call.name.as_str()).collect();
        let texts: Vec<&str> = step.answers.iter().map(|(_, a)| a.text.as_str()).collect();
        let Some((event, answer)) = step.answers.first() else {
            if !step.calls.is_empty() {
                self.news.push(called(&tools));
            }
            return;
        };
        let text = texts.join("\n\n");
        self.say(event, "assistant", &text, &tools);
        let whole = AssistantMessage { text, ..(*answer).clone() };
        let mut group = vec![Event { body: whole.into(), ..(*event).clone() }];
        if let Some(usage) = step.usage {
            group.push(Event { body: usage.clone().into(), ..(*event).clone() });
        }
        self.record(&group.iter().collect::<Vec<_>>(), Level::Info, None);
    }

    fn calls(&mut self, step: &Step<'_>) {
        let mut events = Vec::new();
        let mut names = Vec::new();
        for (event, call) in &step.calls {
            self.nonce += 1;
            if let Some(id) = &call.call_id {
                self.nonces.insert(id.clone(), self.nonce);
            }
            let mut command = Object::from_iter::<[(&str, Value); 2]>([
                ("function", call.name.as_str().into()),
                ("nonce", self.nonce.into()),
            ]);
            match &call.args {
                Value::Object(args) => {
                    let own = |name: &str| matches!(name, "function" | "nonce");
                    for (name, value) in args.iter().filter(|(name, _)| !own(name)) {
                        command.insert(name, value.clone());
                    }
                }
                Value::Null => {}
                other => command.insert("args", other.clone()),
            }
            let call = ToolCall { args: command.into(), ..(*call).clone() };
            names.push(call.name.clone());
            events.push(Event { body: call.into(), ..(*event).clone() });
        }
        let Some(first) = events.first().cloned() else { return };
        let commands = events.iter().filter_map(|e| match &e.body {
            Body::ToolCall(call) => Some(call.args.clone()),
            _ => None,
        });
        let request = Object::from_iter([("commands", commands.collect::<Vec<_>>())]);
        let data = Object::from_iter::<[(&str, Value); 3]>([
            ("done", Value::Bool(false)),
            ("functions", names.iter().map(String::as_str).collect::<Vec<_>>().into()),
            ("json_length", Value::from(Value::from(request).to_string().len() as u64)),
        ]);
        let patch = Object::from_iter([("data", data)]);
        self.note(&first, "json_extracted", Level::Debug, names.join(", "), patch);
        self.record(&events.iter().collect::<Vec<_>>(), Level::Info, None);
    }

    /// All results of a step are one record: it is what the model is told next. Each command's own
    /// is a log besides.
    fn results(&mut self, step: &Step<'_>) {
        let Some((last, _)) = step.results.last() else { return };
        let texts: Vec<&str> = step.results.iter().map(|(_, r)| r.text.as_str()).collect();
        let errors: Vec<&str> =
            step.results.iter().filter_map(|(_, r)| r.error.as_deref()).collect();
        let (text, error) = (texts.join("\n"), errors.join("\n"));
        self.news.push(Object::from_iter([("role", "tool"), ("content", &text)]).into());
        let level = if error.is_empty() { Level::Info } else { Level::Warn };
        let error = Some(error).filter(|error| !error.is_empty());
        let told = ToolResult { text, error, ..ToolResult::default() };
        let event = Event { body: told.into(), id: None, ..(*last).clone() };
        self.record(&[&event], level, None);
        for (event, result) in &step.results {
            let nonce = result.call_id.as_ref().and_then(|id| self.nonces.get(id));
            if let Some(nonce) = nonce {
                let id = Some(nonce.to_string());
                self.events.push(Event { id, evidence: None, ..(*event).clone() });
            }
        }
    }

    /// Intendant's word for what is asked permission for, by the call it is about.
    fn category_of(&self, event: &Event, step: &Step<'_>) -> Object {
        use crate::event::ToolCategory;
        let call_id = match &event.body {
            Body::Approval(approval) => approval.call_id.as_deref(),
            _ => None,
        };
        let call = step.calls.iter().find(|(_, call)| call.call_id.as_deref() == call_id);
        let category = match call.and_then(|(_, call)| call.category) {
            Some(ToolCategory::Read | ToolCategory::Search) => "file_read",
            Some(ToolCategory::Write) => "file_write",
            Some(ToolCategory::Shell) => "command_exec",
            Some(ToolCategory::Web) => "network",
            _ => "tool_call",
        };
        Object::from_iter([("data", Object::from_iter([("category", category)]))])
    }
}

impl<'a> Step<'a> {
    fn add(&mut self, event: &'a Event) {
        self.first.get_or_insert(event);
        match &event.body {
            Body::Thought(thought) => self.thoughts.push((event, thought)),
            Body::AssistantMessage(answer) => self.answers.push((event, answer)),
            Body::Usage(usage) => self.usage = Some(usage),
            Body::ToolCall(call) if call.within.is_none() => self.calls.push((event, call)),
            Body::ToolResult(result) => self.results.push((event, result)),
            _ => self.others.push(event),
        }
    }

    /// Whether a model was asked.
    fn is_request(&self) -> bool {
        !self.thoughts.is_empty() || !self.answers.is_empty() || !self.calls.is_empty()
    }
}

fn called(tools: &[&str]) -> Value {
    Object::from_iter::<[(&str, Value); 2]>([
        ("role", "assistant".into()),
        ("tools_called", tools.to_vec().into()),
    ])
    .into()
}
