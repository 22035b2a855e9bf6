//! Intendant session logs to events.

use super::write::Writer;
use super::{DECISIONS, LINE, META, META_FILE, NAME, SPINE_FILE, SUMMARY, SUMMARY_FILE};
use crate::event::{
    Answer, Approval, AssistantMessage, Basis, Body, Context, ContextOp, Decider, Decision, Event,
    Evidence, Failure, Level, Note, Outcome, Question, SessionEnd, SessionStart, Source,
    StopReason, Thought, ThoughtForm, ToolCall, ToolCategory, ToolResult, Trigger, TurnEnd,
    TurnStart, Usage, UserMessage,
};
use crate::format::native::{self, File, Foreign, SPINE};
use crate::json::{self, Object, Record, Value};
use crate::session::Status;
use crate::time::{WallTime, days_from_civil, parse_date};
use std::collections::{BTreeMap, HashMap};

/// A time of day this much before the last one is the next day's; less is a clock that stepped.
const STEP_BACK_MAX_S: i64 = 6 * 3600;

/// The end of the year 9999, in milliseconds since 1970: a later time is none.
const UNIX_MS_MAX: i64 = 253_402_300_799_999;

/// Whether the files are a session log: the spine's first record is an event with a time.
pub fn is_log(files: &[File<'_>]) -> bool {
    let spine = files.iter().find(|f| f.path == SPINE_FILE);
    let first = spine.and_then(|f| json::records(f.bytes).find_map(|r| r.value.ok()));
    first.is_some_and(|v| v.str_at("ts").is_some() && v.str_at("event").is_some())
}

/// The session in a log directory, whose files have paths relative to it and are to be kept where
/// [`native::places`] says. `offset_s` tells the seconds east of UTC that were in force at a local
/// time, in microseconds since 1970 of a clock on UTC. None if it is no log.
pub fn parse(files: &[File<'_>], offset_s: &dyn Fn(i64) -> i32) -> Option<Foreign> {
    if !is_log(files) {
        return None;
    }
    let places = native::places(files, SPINE_FILE);
    let of_path = files.iter().enumerate().map(|(at, f)| (f.path, at)).collect();
    let mut logs: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for (at, file) in files.iter().enumerate() {
        let path = file.path;
        let stem = path.strip_suffix("_stdout.log").or(path.strip_suffix("_stderr.log"));
        if let Some(stem) = stem.filter(|stem| !stem.contains('/')) {
            let nonce = stem.split('_').next().unwrap_or(stem);
            logs.entry(nonce).or_default().entry(stem).or_insert(at);
        }
    }
    let mut reader = Reader {
        files,
        places: &places,
        of_path,
        logs,
        offset_s,
        session: Foreign::default(),
        echo: Writer::default(),
        spine: Vec::new(),
        place: Evidence::default(),
        time: None,
        turn: None,
        step: None,
        begun: false,
        day: None,
        last_s: 0,
        rounds: 0,
        reasoned: HashMap::new(),
        calls: Vec::new(),
        asked: None,
        questions: 0,
        unanswered: None,
    };
    reader.meta();
    let spine = reader.file(SPINE_FILE).unwrap_or_default();
    for record in json::records(spine) {
        let end = record.offset.saturating_add(record.len) as usize;
        let line = String::from_utf8_lossy(&spine[record.offset as usize..end]);
        reader.record(record, &line);
        reader.spine.extend_from_slice(line.as_bytes());
        reader.spine.push(b'\n');
    }
    reader.finish();
    Some(reader.session.finish())
}

struct Reader<'a> {
    files: &'a [File<'a>],
    places: &'a [Evidence],
    of_path: HashMap<&'a str, usize>,
    /// Logs of the runtime that no event has told yet: of each nonce, their stems and a file each.
    logs: BTreeMap<&'a str, BTreeMap<&'a str, usize>>,
    offset_s: &'a dyn Fn(i64) -> i32,
    session: Foreign,
    /// Writes again what is read: where it differs is what must be kept.
    echo: Writer,
    /// The spine as it will be written.
    spine: Vec<u8>,
    place: Evidence,
    time: Option<WallTime>,
    turn: Option<u32>,
    step: Option<u32>,
    /// The session has begun: another start is one that goes on with the log.
    begun: bool,
    /// The date of the last time of day, in days since 1970, and that time in seconds.
    day: Option<i64>,
    last_s: i64,
    /// User messages so far.
    rounds: u32,
    /// Bytes of each file of reasoning that earlier lines have taken.
    reasoned: HashMap<String, usize>,
    /// Nonces of commands whose output is still to come.
    calls: Vec<String>,
    /// The question that waits for its answer: id, text, time.
    asked: Option<(String, String, Option<WallTime>)>,
    questions: u64,
    /// The event of an answer whose words are still to come.
    unanswered: Option<usize>,
}

impl<'a> Reader<'a> {
    fn file(&self, path: &str) -> Option<&'a [u8]> {
        self.of_path.get(path).map(|at| self.files[*at].bytes)
    }

    fn text_of(&self, path: Option<&str>) -> Option<String> {
        Some(String::from_utf8_lossy(self.file(path?)?).into_owned())
    }

    fn json_of(&self, path: &str) -> Option<Value> {
        json::parse_lossy(self.file(path)?).ok()
    }

    fn push(&mut self, body: impl Into<Body>) -> &mut Event {
        let event = Event {
            time: self.time,
            agent: Some(NAME.to_owned()),
            turn: self.turn,
            step: self.step,
            evidence: Some(self.place.clone()),
            ..Event::new(Source::Transcript, body)
        };
        self.session.events.push(event);
        let last = self.session.events.len() - 1;
        &mut self.session.events[last]
    }

    /// What the metadata say, before the first line.
    fn meta(&mut self) {
        let Some(meta) = self.json_of(META_FILE) else { return };
        let text = |name: &str| meta.str_at(name).map(str::to_owned);
        self.session.id = text("session_id");
        self.session.name = text("name");
        self.session.cwd = text("project_root");
        self.session.agent = Some(NAME.to_owned());
        self.session.status = match meta.str_at("status") {
            Some("completed") => Some(Status::Succeeded),
            Some("interrupted") => Some(Status::Interrupted),
            _ => None,
        };
        self.day = text("created_at").and_then(|at| day_of(at.as_bytes().get(..10)?));
    }

    fn record(&mut self, record: Record, line: &str) {
        self.place = Evidence { stream: SPINE.to_owned(), offset: record.offset, len: record.len };
        let object = match record.value {
            Ok(Value::Object(object)) => object,
            Ok(_) => return self.keep_line(record.line, line, "not an object"),
            Err(kind) => return self.keep_line(record.line, line, kind.to_string()),
        };
        let value = Value::Object(object.clone());
        let Some(name) = value.str_at("event") else {
            return self.keep_line(record.line, line, "not an event");
        };
        self.time = self.time_of(&value);
        let turn = value.u64_at("turn").and_then(|turn| u32::try_from(turn).ok());
        self.step = turn;
        let from = self.session.events.len();
        self.event(name, &value);
        let level = value.str_at("level").and_then(Level::parse).unwrap_or(Level::Info);
        self.session.events[from..].iter_mut().for_each(|event| event.level = level);
        let made = self.echo.record(&self.session.events[from..]).unwrap_or_default();
        if let Some(fields) = LINE.rest(&made, &object, line) {
            self.session.events.push(native::event(fields, self.place.clone()));
        } else if name == "session_start" {
            let fields = Object::from_iter([("format", NAME)]);
            self.session.events.push(native::event(fields, self.place.clone()));
        }
        // What stands in other files follows the record with all that is kept of it.
        match name {
            "agent_output" => self.logs_of_calls(),
            "session_start" if self.rounds == 0 => self.task(),
            _ => {}
        }
    }

    fn keep_line(&mut self, number: u64, line: &str, what: impl Into<String>) {
        self.session.note(SPINE_FILE, number, what);
        let fields = Object::from_iter([("format", NAME), ("line", line)]);
        let event = native::event(fields, self.place.clone());
        self.session.events.push(Event { level: Level::Warn, ..event });
    }

    /// The moment of a line: its own milliseconds, or its time of day on the day it must be.
    fn time_of(&mut self, value: &Value) -> Option<WallTime> {
        let of_day_ms = value.str_at("ts").and_then(time_of_day_ms);
        // A log that is gone on with says at each start which day it is.
        let stated = Some(value).filter(|v| v.str_at("event") == Some("session_start"));
        let stated = stated.and_then(|v| v.str_at("message")).and_then(|message| {
            let date = message.strip_prefix("Session started at ")?;
            day_of(date.as_bytes().get(..10)?)
        });
        let of_day_s = of_day_ms.map_or(self.last_s, |ms| ms / 1000);
        self.day = match (stated, self.day) {
            (Some(day), _) => Some(day),
            (None, Some(day)) if of_day_s + STEP_BACK_MAX_S < self.last_s => Some(day + 1),
            (None, day) => day,
        };
        self.last_s = of_day_s;
        let stated_ms = value.get("ts_ms").and_then(Value::as_i64);
        if let Some(ms) = stated_ms.filter(|ms| (0..=UNIX_MS_MAX).contains(ms)) {
            let unix_us = ms * 1000;
            return Some(WallTime { unix_us, offset_s: (self.offset_s)(unix_us) });
        }
        let local_us = self.day?.checked_mul(86_400_000)?.checked_add(of_day_ms?)? * 1000;
        let offset_s = (self.offset_s)(local_us);
        Some(WallTime { unix_us: local_us - i64::from(offset_s) * 1_000_000, offset_s })
    }

    /// Pushes the events of a line, the one that stands for it first.
    fn event(&mut self, name: &str, value: &Value) {
        let message = value.str_at("message").unwrap_or_default().to_owned();
        let data = value.get("data").cloned().unwrap_or_default();
        match name {
            "session_start" => self.start(message),
            "turn_start" => {
                self.push(TurnStart { trigger: None });
            }
            "model_response" => self.response(value, message, &data),
            "reasoning" => self.reasoning(value, message, &data),
            "agent_input" => self.input(value, message),
            "agent_output" => self.output(value, message, &data),
            "approval" => {
                let said = data.str_at("decision").unwrap_or_default();
                let known = DECISIONS.iter().find(|(word, _, _)| *word == said);
                let ask = data.str_at("preview").map_or(message, str::to_owned);
                let (decision, by) =
                    known.map_or((None, None), |(_, decision, by)| (Some(*decision), *by));
                self.push(Approval { ask, decision, by, ..Approval::default() });
            }
            "auto_approved" => {
                let (decision, by) = (Some(Decision::Auto), Some(Decider::Config));
                self.push(Approval { ask: message, decision, by, ..Approval::default() });
            }
            "context_management"
            | "context_snapshot"
            | "conversation_rolled_back"
            | "conversation_rewound"
            | "history_pruned" => self.context(name, message, &data),
            "human_question" => {
                self.questions += 1;
                let q_id = self.questions.to_string();
                self.asked = Some((q_id.clone(), message.clone(), self.time));
                self.push(Question { q_id: Some(q_id), text: message, ..Question::default() });
            }
            "human_response_sent" => self.answer(),
            "conversation_message" if data.str_at("role") == Some("user") => {
                let text = data.str_at("text").unwrap_or_default().to_owned();
                self.rounds += 1;
                self.turn = Some(self.rounds);
                self.push(UserMessage { text, ..UserMessage::default() });
            }
            "round_complete" => {
                let stop_reason = Some(StopReason::EndTurn);
                self.push(TurnEnd { stop_reason, ..TurnEnd::default() });
            }
            "safety_cap_reached" => {
                let stop_reason = Some(StopReason::MaxTurnRequests);
                self.push(TurnEnd { stop_reason, ..TurnEnd::default() });
            }
            "error" => {
                self.push(Failure { message, code: None });
            }
            "session_end" => self.end(&message),
            _ => {
                let text = value.str_at("message").map(str::to_owned);
                self.push(Note { native_type: name.to_owned(), text });
            }
        }
    }

    fn start(&mut self, message: String) {
        if self.begun {
            let text = Some(message);
            self.push(Note { native_type: "session_start".to_owned(), text });
            return;
        }
        self.begun = true;
        self.session.started = self.time;
        let (cwd, agent_session) = (self.session.cwd.clone(), self.session.id.clone());
        self.push(SessionStart { cwd, agent_session, ..SessionStart::default() });
    }

    /// The task is the first prompt, unless the spine has the prompts themselves.
    fn task(&mut self) {
        let spine = self.file(SPINE_FILE).unwrap_or_default();
        let word: &[u8] = b"\"event\":\"conversation_message\"";
        let told = spine.windows(word.len()).any(|w| w == word);
        let task = self.json_of(META_FILE).and_then(|m| m.str_at("task").map(str::to_owned));
        if let Some(text) = task.filter(|_| !told) {
            self.rounds = 1;
            self.turn = Some(1);
            if let Some(at) = self.of_path.get(META_FILE) {
                self.place = self.places[*at].clone();
            }
            self.push(UserMessage { text, ..UserMessage::default() });
        }
    }

    fn response(&mut self, value: &Value, message: String, data: &Value) {
        let file = self.text_of(value.str_at("file"));
        let span = data.u64_at("model_offset").zip(data.u64_at("model_bytes"));
        let text = match (span, &file) {
            (Some((offset, len)), _) => self.span(value.str_at("file"), offset, len),
            // Older logs: the file has the turn's last answer and no other.
            (None, Some(file)) if file.starts_with(&message) => Some(file.clone()),
            _ => None,
        };
        let text = text.unwrap_or(message);
        let model = data.str_at("model").map(str::to_owned);
        self.push(AssistantMessage { text, model: model.clone(), ..AssistantMessage::default() });
        let Some(tokens) = data.get("tokens") else { return };
        let count = |name: &str| tokens.u64_at(name).unwrap_or(0);
        // The prompt's count includes what came from the cache.
        self.push(Usage {
            model,
            input: count("prompt").saturating_sub(count("cached")),
            cache_read: count("cached"),
            output: count("completion"),
            total: tokens.u64_at("total"),
            basis: Some(Basis::PerRequest),
            ..Usage::default()
        });
    }

    fn reasoning(&mut self, value: &Value, message: String, data: &Value) {
        let path = value.str_at("file");
        let mut full = None;
        if let (Some(path), Some(bytes)) = (path, path.and_then(|p| self.file(p))) {
            // Appended to, without a word on where; older logs overwrite.
            let len = data.u64_at("full_content_length").unwrap_or(0) as usize;
            let from = self.reasoned.entry(path.to_owned()).or_default();
            let span = from.checked_add(len).and_then(|to| bytes.get(*from..to));
            *from = from.saturating_add(len);
            full = Some(String::from_utf8_lossy(span.unwrap_or(bytes)).into_owned());
        }
        let form = if full.is_some() { ThoughtForm::Full } else { ThoughtForm::Summary };
        let text = full.unwrap_or(message);
        self.push(Thought { text, form: Some(form), ..Thought::default() });
    }

    fn input(&mut self, value: &Value, message: String) {
        let request = value.str_at("file").and_then(|path| self.json_of(path));
        let commands =
            request.as_ref().and_then(|r| r.get("commands")).map_or(&[][..], Value::items);
        self.calls.clear();
        for command in commands {
            let nonce = command.get("nonce").map(|nonce| match nonce.as_str() {
                Some(text) => text.to_owned(),
                None => nonce.to_string(),
            });
            let name = command.str_at("function").unwrap_or_default().to_owned();
            let shown = ["command", "path", "file_path", "question", "url"];
            let title = shown.iter().find_map(|n| command.str_at(n)).map(str::to_owned);
            let paths = ["path", "file_path"].iter().filter_map(|n| command.str_at(n));
            let paths = paths.map(str::to_owned).collect();
            self.calls.extend(nonce.clone());
            self.push(ToolCall {
                call_id: nonce,
                category: Some(category(&name)),
                name,
                title,
                args: command.clone(),
                paths,
                within: None,
            });
        }
        if commands.is_empty() {
            let text = Some(message);
            self.push(Note { native_type: "agent_input".to_owned(), text });
        }
    }

    fn output(&mut self, value: &Value, message: String, data: &Value) {
        let of = |file: Option<&str>, name: &str| {
            let number = |what: &str| data.u64_at(&format!("{name}_{what}"));
            match (number("offset").zip(number("bytes")), number("length")) {
                (Some((offset, len)), _) => self.span(file, offset, len),
                (None, Some(0)) => None,
                (None, _) => self.text_of(file),
            }
        };
        let stdout = of(value.str_at("file"), "stdout");
        let stderr = of(value.str_at("file2"), "stderr").filter(|text| !text.is_empty());
        let nothing = data.u64_at("stdout_length") == Some(0);
        let text = stdout.unwrap_or(if nothing { String::new() } else { message });
        self.answered_in(&text);
        // Where the command's own log is there too, that is its result; this is what was told.
        let only = match &self.calls[..] {
            [nonce] if !self.logs.contains_key(nonce.as_str()) => Some(nonce.clone()),
            _ => None,
        };
        self.push(ToolResult { call_id: only, text, error: stderr, ..ToolResult::default() });
    }

    fn span(&self, path: Option<&str>, offset: u64, len: u64) -> Option<String> {
        let bytes = self.file(path?)?;
        let (from, len) = (usize::try_from(offset).ok()?, usize::try_from(len).ok()?);
        let span = bytes.get(from..from.checked_add(len)?)?;
        Some(String::from_utf8_lossy(span).into_owned())
    }

    fn context(&mut self, name: &str, message: String, data: &Value) {
        let op = match (name, data.str_at("directive")) {
            ("context_snapshot", _) => ContextOp::Snapshot,
            ("conversation_rolled_back" | "conversation_rewound", _) => ContextOp::Rewind,
            ("history_pruned", _) | (_, Some("drop" | "drop_turns")) => ContextOp::Prune,
            (_, Some("summarize" | "summarize_turns")) => ContextOp::Summarize,
            _ => ContextOp::Compact,
        };
        let auto = message.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("auto"));
        self.push(Context {
            op: Some(op),
            trigger: auto.then_some(Trigger::Auto),
            before_tokens: data.u64_at("token_count"),
            window: data.u64_at("context_window"),
            summary: Some(message).filter(|text| !text.is_empty()),
            ..Context::default()
        });
    }

    fn answer(&mut self) {
        let asked = self.asked.take();
        let (q_id, since) = asked.map_or((None, None), |(id, _, since)| (Some(id), since));
        let waited = since.zip(self.time).map(|(a, b)| (b.unix_us - a.unix_us).max(0) / 1000);
        let waited_ms = waited.map(|ms| ms as u64);
        let answer = self.text_of(Some("human_response")).unwrap_or_default();
        self.unanswered = answer.is_empty().then_some(self.session.events.len());
        self.push(Answer { q_id, answer, waited_ms });
    }

    /// The spine has no word of the answer; the runtime's own result has.
    fn answered_in(&mut self, output: &str) {
        let Some(at) = self.unanswered else { return };
        let Body::Answer(open) = &mut self.session.events[at].body else { return };
        let results = json::records(output.as_bytes()).filter_map(|r| r.value.ok());
        for result in
            results.flat_map(|v| if v.as_array().is_some() { v.items().to_vec() } else { vec![v] })
        {
            if let (Some(_), Some(said)) = (result.str_at("question"), result.str_at("response")) {
                said.clone_into(&mut open.answer);
                self.unanswered = None;
            }
        }
    }

    fn end(&mut self, message: &str) {
        let said = message.strip_prefix("Session ended: ").unwrap_or(message);
        let (said, turns) = match said.rsplit_once(" (") {
            Some((said, turns)) => {
                (said, turns.split(' ').next().and_then(|n| n.parse::<u64>().ok()))
            }
            None => (said, None),
        };
        let (outcome, status) = match said {
            "completed" => (Outcome::Succeeded, Status::Succeeded),
            "interrupted" => (Outcome::Interrupted, Status::Interrupted),
            _ => (Outcome::Failed, Status::Failed),
        };
        let mut counts = Object::new();
        if let Some(turns) = turns {
            counts.insert("turns", turns);
        }
        counts.insert("said", said);
        let since = self.session.started.zip(self.time);
        let duration_ms = since.map(|(a, b)| ((b.unix_us - a.unix_us).max(0) / 1000) as u64);
        let (outcome, counts) = (Some(outcome), counts.into());
        self.push(SessionEnd { outcome, duration_ms, counts, ..SessionEnd::default() });
        self.session.status = Some(status);
        self.session.ended = self.time;
    }

    fn logs_of_calls(&mut self) {
        for nonce in std::mem::take(&mut self.calls) {
            self.push_logs(&nonce);
        }
    }

    /// The output of a command as its runtime kept it, whole.
    fn push_logs(&mut self, nonce: &str) {
        for (stem, at) in self.logs.remove(nonce).unwrap_or_default() {
            let text = |suffix: &str| self.text_of(Some(&format!("{stem}_{suffix}.log")));
            let error = text("stderr").filter(|text| !text.is_empty());
            let result = ToolResult {
                call_id: Some(nonce.to_owned()),
                text: text("stdout").unwrap_or_default(),
                error,
                ..ToolResult::default()
            };
            self.place = self.places[at].clone();
            self.push(result).id = Some(stem.to_owned());
        }
    }

    fn finish(&mut self) {
        self.step = None;
        let nonces: Vec<&str> = self.logs.keys().copied().collect();
        nonces.into_iter().for_each(|nonce| self.push_logs(nonce));
        self.open_question();
        let ended = self.session.events.iter().any(|e| matches!(e.body, Body::SessionEnd(_)));
        if !ended && self.session.status == Some(Status::Interrupted) {
            if let Some(at) = self.of_path.get(META_FILE) {
                self.place = self.places[*at].clone();
            }
            let outcome = Some(Outcome::Interrupted);
            self.push(SessionEnd { outcome, ..SessionEnd::default() });
        }
        self.keep_files();
    }

    /// A question that still waits stands in a file of its own.
    fn open_question(&mut self) {
        let Some(text) = self.text_of(Some("human_question")) else { return };
        let known = self.asked.as_ref().is_some_and(|(_, asked, _)| *asked == text);
        if !known {
            self.place = self.places[self.of_path["human_question"]].clone();
            self.questions += 1;
            let q_id = Some(self.questions.to_string());
            self.push(Question { q_id, text, ..Question::default() });
        }
    }

    /// Says of every file that the events do not make where its bytes are.
    fn keep_files(&mut self) {
        self.echo.close(&self.session.events);
        let made = self.echo.files();
        let mut kept = Vec::new();
        for (file, place) in self.files.iter().zip(self.places) {
            let bytes = match file.path {
                SPINE_FILE => Some(&self.spine),
                path => made.get(path),
            };
            if bytes.is_some_and(|bytes| bytes == file.bytes) {
                continue;
            }
            let shape = match file.path {
                META_FILE => Some(&META),
                SUMMARY_FILE => Some(&SUMMARY),
                _ => None,
            };
            let patch = shape.and_then(|shape| {
                let original = json::parse(file.bytes).ok()?;
                let made = json::parse(bytes?).ok()?;
                let text = std::str::from_utf8(file.bytes).ok()?;
                let mut fields = shape.rest(made.as_object()?, original.as_object()?, text)?;
                fields.insert("file", file.path);
                fields.get("line").is_none().then_some(fields)
            });
            kept.push((patch.unwrap_or_else(|| kept_at(file.path)), place));
        }
        for path in made.keys().filter(|path| !self.of_path.contains_key(path.as_str())) {
            let fields = [
                ("format", NAME.into()),
                ("file", path.as_str().into()),
                ("absent", Value::Bool(true)),
            ];
            kept.push((Object::from_iter(fields), &self.places[self.of_path[SPINE_FILE]]));
        }
        let events = kept.into_iter().map(|(fields, place)| native::event(fields, place.clone()));
        self.session.events.extend(events);
    }
}

/// The file is where its event says.
fn kept_at(path: &str) -> Object {
    let fields: [(&str, Value); 3] =
        [("format", NAME.into()), ("file", path.into()), ("kept", Value::Bool(true))];
    Object::from_iter(fields)
}

/// What Intendant's functions do.
fn category(function: &str) -> ToolCategory {
    match function {
        "execAsAgent" | "execPty" => ToolCategory::Shell,
        "inspectPath" | "readFile" => ToolCategory::Read,
        "editFile" | "writeFile" => ToolCategory::Write,
        "browse" | "browseUrl" => ToolCategory::Web,
        "spawnSubAgent" | "spawn_sub_agent" => ToolCategory::Task,
        name if name.starts_with("mcp") => ToolCategory::Mcp,
        _ => ToolCategory::Other,
    }
}

/// Days since 1970 of `YYYY-MM-DD`.
fn day_of(text: &[u8]) -> Option<i64> {
    let (year, month, day) = parse_date(text)?;
    Some(days_from_civil(i64::from(year), month, day))
}

/// Milliseconds since midnight of `HH:MM:SS.mmm`.
fn time_of_day_ms(text: &str) -> Option<i64> {
    // Any date will do to read a time by.
    let time = WallTime::parse_rfc3339(&format!("1970-01-01T{text}Z"))?;
    Some(time.unix_us / 1000)
}
