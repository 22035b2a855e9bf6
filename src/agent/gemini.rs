//! Gemini CLI: `~/.gemini/tmp/<project>/chats/session-*.jsonl`, a log of operations, and before
//! that one JSON document a session.
//!
//! The log says every message again when it grows (same id, the last one counts), and imports its
//! own past under new ids after a cancel or a compression. A strict replay would lose what was
//! compressed away; so messages are taken in order as they were first said, and `$rewindTo` only
//! flags what it takes back.
//!
//! Which words of a message are its last is known at the end only. So a log is read twice: first
//! for the places of its messages, then these alone for what they say.

use super::claude::{Key, key_of, text_of, time_of};
use super::detect::Words;
use super::locate::{Base, Place, Project};
use super::transcript::Builder;
use super::{Agent, Digest, Long, NoteKind, Scope, Sink, tool, whole};
use crate::event::*;
use crate::json::{Value, View, visit, visit_document, visit_places};
use crate::time::WallTime;
use std::collections::HashMap;

/// The longest between two records of a past that is written again; nobody types as fast.
const IMPORT_PAUSE_US: i64 = 100_000;
/// The most messages, and the most ids, that are kept of the logs of a session; further ones are
/// noted. A message takes some 50 bytes while its log is read.
pub const MESSAGES_MAX: usize = 1 << 20;
/// The most models that are told apart while a log is read; a change to a further one is not said.
pub const MODELS_MAX: usize = 100;
/// The longest name of a model whose change is said.
pub const MODEL_LEN_MAX: usize = 256;

pub(super) const AGENT: Agent = Agent {
    name: "gemini",
    programs: &["gemini"],
    packages: &["@google/gemini-cli"],
    places: &[Place {
        env: Some(("GEMINI_CLI_HOME", ".gemini/tmp")),
        tail: ".gemini/tmp",
        base: Base::Home,
        patterns: &["*/chats/session-*.jsonl", "*/chats/session-*.json", "*/chats/*/*.jsonl"],
        project: Project::None,
    }],
    session_key: |path| {
        // …/session-<time>-<first 8 of the id>.jsonl, and subagents in a directory of the whole id.
        let mut names = path.rsplit('/');
        let name = names.next().unwrap_or_default();
        let outer = names.next().unwrap_or_default();
        let stem = name.split('.').next().unwrap_or_default();
        let id = if name.starts_with("session-") {
            stem.rsplit('-').next().unwrap_or(stem)
        } else {
            outer
        };
        id.chars().take(8).collect()
    },
    words: &Words {
        resume: &["--resume", "-r"],
        session: &["--session-id"],
        subcommands: &[],
        latest: &[],
        prompt: &["-p", "--prompt", "-i", "--prompt-interactive"],
        back: &["gemini", "--resume"],
    },
};

/// The program's own words before the first prompt.
const CONTEXT: &str = "<session_context>";
/// What it says when a request has been cancelled.
const CANCELLED: &str = "Request cancelled.";

pub(super) fn read(files: &[Long<'_>], _scope: &Scope<'_>, sink: &mut dyn Sink) -> Digest {
    Reader::new(MESSAGES_MAX).read(files, sink)
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// What is kept of a message until its log is read again: where its last words stand.
#[derive(Clone, Copy)]
struct Message {
    offset: u64,
    len: u32,
    /// Who answers, by number; 0 where it is no answer, or does not say.
    model: u8,
    /// Whom the model has replaced; 0 where it has replaced none.
    replaced: u8,
    abandoned: bool,
}

/// A record that takes messages back.
#[derive(Clone, Copy)]
struct Rewind {
    offset: u64,
    len: u32,
    /// How many messages there were.
    before: u32,
}

/// The place of an id that has no message: it imports another.
const IMPORTED: u32 = u32::MAX;

struct Reader {
    out: Builder,
    /// The place of the message of each id, counted over all logs.
    places: HashMap<Key, u32>,
    /// Where the log at hand begins.
    base: u32,
    models: Vec<String>,
    messages_max: usize,
}

impl Reader {
    fn new(messages_max: usize) -> Reader {
        Reader {
            out: Builder::new(AGENT.name),
            places: HashMap::new(),
            base: 0,
            models: Vec::new(),
            messages_max,
        }
    }

    fn read(mut self, files: &[Long<'_>], sink: &mut dyn Sink) -> Digest {
        for (index, file) in files.iter().enumerate() {
            if file.path.ends_with(".jsonl") {
                self.log(index, file, sink);
            } else if file.path.ends_with(".json") && name(file.path).starts_with("session-") {
                document(&mut self.out, index, file, sink);
            }
        }
        // What is put in order takes room of its own.
        self.places = HashMap::new();
        self.out.settle(sink)
    }

    fn log(&mut self, index: usize, file: &Long<'_>, sink: &mut dyn Sink) {
        self.out.stream = MAIN.to_owned();
        self.out.rank = rank_before(self.base);
        let mut log = Log::default();
        visit(file.content, &mut |record| {
            let (offset, len) = (record.offset, u32::try_from(record.len).unwrap_or(u32::MAX));
            let Some(value) = self.out.record(index, record) else { return };
            self.first(&mut log, file.path, value, (offset, len));
            self.out.pass(sink);
        });
        self.name_changes(&mut log.messages);
        log.alive = Vec::new();
        self.again(index, file, &log, sink);
        self.base += log.messages.len() as u32;
        self.out.rank = rank_before(self.base);
    }

    /// Takes the next record of a log that is read for the first time.
    fn first(&mut self, log: &mut Log, path: &str, value: View<'_>, (offset, len): (u64, u32)) {
        if let Some(set) = value.get("$set") {
            if set.get("messages").is_some() {
                log.imported_at = None;
            }
            if let Some(title) = set.str_at("summary") {
                self.out.native.title = Some(title.to_owned());
            }
        } else if let Some(id) = value.str_at("$rewindTo") {
            if let Some(place) = self.places.get(&key_of(id)).and_then(|at| self.here(*at)) {
                log.rewind(place);
            }
            if log.rewinds.len() < self.messages_max {
                log.rewinds.push(Rewind { offset, len, before: log.messages.len() as u32 });
            } else {
                self.out.note(NoteKind::Unreadable("too many rewinds".to_owned()));
            }
        } else if value.get("sessionId").is_some() && value.get("type").is_none() {
            header(&mut self.out, value, path);
        } else if let Some(id) = value.str_at("id").map(key_of) {
            let place = self.places.get(&id).copied();
            if log.imports(value) {
                if place.is_none() && self.places.len() < self.messages_max {
                    self.places.insert(id, IMPORTED);
                }
                return;
            }
            let model = self.model_of(value);
            match place {
                Some(place) => {
                    if let Some(message) =
                        self.here(place).and_then(|place| log.messages.get_mut(place as usize))
                    {
                        *message = Message { offset, len, model, ..*message };
                    }
                }
                None if self.places.len() >= self.messages_max => {
                    self.out.note(NoteKind::Unreadable("too many messages".to_owned()));
                }
                None => {
                    let place = log.messages.len() as u32;
                    self.places.insert(id, self.base + place);
                    log.alive.push(place);
                    log.messages.push(Message {
                        offset,
                        len,
                        model,
                        replaced: 0,
                        abandoned: false,
                    });
                }
            }
        } else {
            self.out.unknown(value.str_at("type").unwrap_or("record without id"));
        }
    }

    /// The place in the log at hand.
    fn here(&self, place: u32) -> Option<u32> {
        place.checked_sub(self.base).filter(|_| place != IMPORTED)
    }

    /// The number of the model that a message says it is from.
    fn model_of(&mut self, message: View<'_>) -> u8 {
        message.str_at("model").filter(|_| is_answer(message)).map_or(0, |name| self.number(name))
    }

    fn number(&mut self, name: &str) -> u8 {
        let known = self.models.iter().position(|known| known == name);
        let at = known.or_else(|| {
            let fits = self.models.len() < MODELS_MAX && name.len() <= MODEL_LEN_MAX;
            fits.then(|| {
                self.models.push(name.to_owned());
                self.models.len() - 1
            })
        });
        at.map_or(0, |at| at as u8 + 1)
    }

    /// The name of the model of this number.
    fn model(&self, number: u8) -> Option<&String> {
        self.models.get(usize::from(number).checked_sub(1)?)
    }

    /// Enters which messages are from another model than the message before.
    fn name_changes(&mut self, messages: &mut [Message]) {
        let mut last = self.out.native.model.clone().map_or(0, |name| self.number(&name));
        for message in messages.iter_mut().filter(|message| message.model > 0) {
            if message.model != last {
                message.replaced = std::mem::replace(&mut last, message.model);
            }
        }
        if let Some(name) = self.model(last) {
            self.out.native.model = Some(name.clone());
        }
    }

    /// Reads a log for what its messages say, and says it.
    fn again(&mut self, index: usize, file: &Long<'_>, log: &Log, sink: &mut dyn Sink) {
        let mut said: Vec<u32> = (0..log.messages.len() as u32).collect();
        said.sort_unstable_by_key(|place| log.messages[*place as usize].offset);
        let mut said =
            said.into_iter().map(|place| (place, log.messages[place as usize])).peekable();
        let mut rewinds = log.rewinds.iter().peekable();
        let mut places = said.clone().map(|(_, message)| (message.offset, message.len as usize));
        let base = self.base;
        visit_places(file.content, &mut places, &mut |offset, value| {
            while let Some(rewind) = rewinds.next_if(|rewind| rewind.offset < offset) {
                rewound(&mut self.out, index, base, *rewind);
            }
            let Some((place, message)) = said.find(|(_, message)| message.offset == offset) else {
                return;
            };
            self.out.at(index, offset, message.len.into());
            self.out.rank = rank_before(base + place).saturating_add(1);
            self.out.abandoned = message.abandoned;
            let change = self.model(message.replaced).zip(self.model(message.model));
            let change = change.map(|(from, to)| (from.clone(), to.clone()));
            say(&mut self.out, value, |out| {
                if let Some((from, to)) = change {
                    out.push(ModelChange { from: Some(from), to: Some(to) });
                }
            });
            self.out.pass(sink);
        });
        rewinds.for_each(|rewind| rewound(&mut self.out, index, base, *rewind));
        self.out.pass(sink);
    }
}

/// A log that is read for the first time.
#[derive(Default)]
struct Log {
    messages: Vec<Message>,
    rewinds: Vec<Rewind>,
    /// The messages that have not been taken back.
    alive: Vec<u32>,
    /// When the last record was written that imported the past, while it is being imported.
    imported_at: Option<i64>,
}

impl Log {
    /// Takes back what has been said from this place on.
    fn rewind(&mut self, place: u32) {
        while let Some(last) = self.alive.pop_if(|last| *last >= place) {
            self.messages[last as usize].abandoned = true;
        }
    }

    /// Whether a message repeats the past: after a cancelled request it is written again, under
    /// new ids, from its context on, without a pause.
    fn imports(&mut self, message: View<'_>) -> bool {
        let begins = !self.messages.is_empty() && is_context(message);
        if !begins && self.imported_at.is_none() {
            return false;
        }
        let time = time_of(message).map(|time| time.unix_us);
        if begins {
            self.imported_at = time;
        }
        let pause_us = self.imported_at.zip(time).map(|(last, time)| time.saturating_sub(last));
        let imports = pause_us.is_some_and(|us| (0..=IMPORT_PAUSE_US).contains(&us));
        if imports {
            self.imported_at = time;
        }
        imports
    }
}

/// What goes before the message at a place; the message itself is one further.
fn rank_before(place: u32) -> u32 {
    place.saturating_mul(2)
}

fn is_context(message: View<'_>) -> bool {
    message.str_at("type") == Some("user")
        && message.get("content").is_some_and(|content| first_text(content).starts_with(CONTEXT))
}

/// Where a content's text begins.
fn first_text(content: View<'_>) -> &str {
    let mut texts = content.items().filter_map(|b| b.str_at("text").or(b.as_str()));
    content.as_str().or_else(|| texts.next()).unwrap_or_default()
}

/// Whether a message is the model's. Lists of parts are the past, imported again.
fn is_answer(message: View<'_>) -> bool {
    message.str_at("type") == Some("gemini") && !message.get("content").is_some_and(View::is_array)
}

fn rewound(out: &mut Builder, index: usize, base: u32, rewind: Rewind) {
    out.at(index, rewind.offset, rewind.len.into());
    out.rank = rank_before(base + rewind.before);
    out.push(Context { op: Some(ContextOp::Rewind), ..Default::default() });
}

fn header(out: &mut Builder, value: View<'_>, path: &str) {
    out.time = value.str_at("startTime").and_then(WallTime::parse_rfc3339);
    let session = value.str_at("sessionId").map(str::to_owned);
    begin(out, session, value.str_at("kind"), path);
}

/// The session, or a subagent's part of it, begins.
fn begin(out: &mut Builder, session: Option<String>, kind: Option<&str>, path: &str) {
    if kind == Some("subagent") {
        let child = session.unwrap_or_else(|| name(path).to_owned());
        out.stream.clone_from(&child);
        out.push(SubagentStart { child, ..Default::default() });
    } else if out.native.session.is_none() {
        out.native.session.clone_from(&session);
        out.push(SessionStart { agent_session: session, ..Default::default() });
    }
}

/// A session as one document.
fn document(out: &mut Builder, index: usize, file: &Long<'_>, sink: &mut dyn Sink) {
    let bytes = whole(file.content);
    out.at(index, 0, bytes.as_ref().map_or(0, Vec::len) as u64);
    let Some(bytes) = bytes else {
        return out.note(NoteKind::Unreadable("too long".to_owned()));
    };
    // Its head may stand behind its messages.
    let members = Value::from(visit_document(&bytes, "messages", &mut |_| {}));
    out.stream = MAIN.to_owned();
    out.time = members.str_at("startTime").and_then(WallTime::parse_rfc3339);
    let session = members.str_at("sessionId").map(str::to_owned);
    begin(out, session, members.str_at("kind"), file.path);
    if let Some(title) = members.str_at("summary") {
        out.native.title = Some(title.to_owned());
    }
    visit_document(&bytes, "messages", &mut |element| {
        let Some(message) = out.record(index, element) else { return };
        say(out, message, |out| {
            if let Some(model) = message.str_at("model") {
                out.model(model);
            }
        });
        out.pass(sink);
    });
}

/// Says a message; `name_model` is asked to say who answers.
fn say(out: &mut Builder, message: View<'_>, name_model: impl FnOnce(&mut Builder)) {
    out.time = time_of(message);
    out.id = message.str_at("id").map(str::to_owned);
    let content = message.get("content").unwrap_or(View::NULL);
    match message.str_at("type").unwrap_or_default() {
        "user" => user(out, content),
        "gemini" if !is_answer(message) => {}
        "gemini" => {
            name_model(out);
            answer(out, message, content);
        }
        "error" => {
            out.push(ApiError { message: text_of(content), ..Default::default() });
        }
        "info" if text_of(content) == CANCELLED => {
            out.push(Interrupt::default());
        }
        "info" | "warning" => {}
        kind => out.unknown(kind),
    }
}

fn user(out: &mut Builder, content: View<'_>) {
    if content.items().any(|p| p.get("functionResponse").is_some()) {
        return;
    }
    let text = text_of(content);
    let is_file = |p: &View<'_>| p.get("inlineData").is_some() || p.get("fileData").is_some();
    let files = content.items().filter(is_file);
    let attachments: Vec<String> = files.map(|_| "file".to_owned()).collect();
    if text.starts_with(CONTEXT) || (text.is_empty() && attachments.is_empty()) {
        return;
    }
    let form = if text.starts_with('/') { MessageForm::Slash } else { MessageForm::Typed };
    out.push(UserMessage { text, form: Some(form), attachments, ..Default::default() });
}

fn answer(out: &mut Builder, message: View<'_>, content: View<'_>) {
    let model = message.str_at("model");
    let record_time = out.time;
    for thought in message.get("thoughts").into_iter().flat_map(View::items) {
        out.time = time_of(thought).or(record_time);
        let subject = thought.str_at("subject").unwrap_or_default();
        let description = thought.str_at("description").unwrap_or_default();
        let text = match (subject, description) {
            ("", text) => text.to_owned(),
            (subject, "") => format!("**{subject}**"),
            (subject, text) => format!("**{subject}**\n\n{text}"),
        };
        let form = if description.is_empty() { ThoughtForm::Subject } else { ThoughtForm::Summary };
        out.push(Thought { text, form: Some(form), signature_only: false });
    }
    out.time = record_time;
    let calls = || message.get("toolCalls").into_iter().flat_map(View::items);
    let text = text_of(content);
    let message_id = message.str_at("id").map(str::to_owned);
    if !text.is_empty() {
        let model = model.map(str::to_owned);
        out.push(AssistantMessage {
            text,
            model,
            message_id: message_id.clone(),
            is_final: calls().next().is_none(),
            ..Default::default()
        });
    }
    for call in calls() {
        out.time = record_time;
        let name = call.str_at("name").unwrap_or_default();
        let args = call.get("args").map(View::to_value).unwrap_or_default();
        out.push(tool::call(call.str_at("id"), name, args));
        result(out, call);
    }
    out.time = record_time;
    if let (Some(tokens), Some(id)) = (message.get("tokens").filter(|t| !t.is_null()), message_id) {
        let usage = usage_of(tokens, model, &id);
        out.usage(&id, usage);
    }
}

fn result(out: &mut Builder, call: View<'_>) {
    let status = call.str_at("status").unwrap_or_default();
    if !matches!(status, "success" | "error" | "cancelled") {
        return;
    }
    out.time = time_of(call).or(out.time);
    let call_id = call.str_at("id").map(str::to_owned);
    if status == "cancelled" {
        out.push(Approval {
            call_id: call_id.clone(),
            decision: Some(Decision::RejectOnce),
            by: Some(Decider::User),
            ..Default::default()
        });
    }
    let parts = call.get("result").into_iter().flat_map(View::items);
    let responses = parts.filter_map(|p| p.path(&["functionResponse", "response"]));
    let mut texts = responses.filter_map(|r| r.get("output").or(r.get("error")).map(text_of));
    let mut text = texts.next().unwrap_or_default();
    texts.for_each(|more| text.extend(["\n", &more]));
    let exit_code = text.lines().find_map(|l| l.strip_prefix("Exit Code: ")?.trim().parse().ok());
    out.push(ToolResult {
        call_id,
        ok: Some(status == "success" && exit_code.unwrap_or(0) == 0),
        exit_code,
        text,
        ..Default::default()
    });
    let diff = call.get("resultDisplay").filter(|d| d.str_at("fileDiff").is_some());
    if let Some(diff) = diff.filter(|_| status == "success") {
        let text = diff.str_at("fileDiff").unwrap_or_default();
        let begin = |c: char, head: &str| {
            text.lines().filter(|l| l.starts_with(c) && !l.starts_with(head)).count() as u64
        };
        let created =
            diff.get("originalContent").is_some_and(|c| c.is_null() || c.as_str() == Some(""));
        let path = call.path(&["args", "file_path"]).and_then(View::as_str);
        out.push(FileChange {
            path: path
                .or(diff.str_at("filePath"))
                .or(diff.str_at("fileName"))
                .unwrap_or_default()
                .to_owned(),
            op: Some(if created { FileOp::Create } else { FileOp::Modify }),
            plus: Some(begin('+', "+++")),
            minus: Some(begin('-', "---")),
            by: call.str_at("id").map(str::to_owned),
            ..Default::default()
        });
    }
}

/// Cached input is a part of the input here; reasoning is billed as output and stated beside it.
fn usage_of(tokens: View<'_>, model: Option<&str>, id: &str) -> Usage {
    let number = |name| tokens.u64_at(name).unwrap_or(0);
    Usage {
        model: model.map(str::to_owned),
        request_id: Some(id.to_owned()),
        input: (number("input").saturating_add(number("tool"))).saturating_sub(number("cached")),
        cache_read: number("cached"),
        output: number("output").saturating_add(number("thoughts")),
        reasoning: number("thoughts"),
        total: tokens.u64_at("total"),
        basis: Some(Basis::PerRequest),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Transcript;
    use crate::agent::transcript::Collected;
    use crate::json::Pieces;
    use std::ops::ControlFlow;

    struct ByBytes<'a>(&'a [u8]);

    impl Pieces for ByBytes<'_> {
        fn each(&self, take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
            let _ = self.0.chunks(1).try_for_each(take);
        }
    }

    fn read(log: &dyn Pieces, messages_max: usize) -> Transcript {
        let files = [Long { path: "session-1.jsonl", content: log }];
        let mut all = Collected::default();
        let digest = Reader::new(messages_max).read(&files, &mut all);
        all.transcript(digest)
    }

    /// A log of one record a word: `u1` is the user's message 1, `aX1` the answer 1 of model X,
    /// `r1` goes back behind message 1, `i1` is an interruption. Each message tells where in the
    /// log it stands.
    fn log(script: &str) -> String {
        let mut text = String::new();
        for (at, word) in script.split_whitespace().enumerate() {
            let (kind, id) = word.split_at(word.len() - 1);
            text += &match kind {
                "u" => format!(r#"{{"id":"{id}","type":"user","content":"u{id}@{at}"}}"#),
                "r" => format!(r#"{{"$rewindTo":"{id}"}}"#),
                "i" => format!(r#"{{"id":"{id}","type":"info","content":"{CANCELLED}"}}"#),
                model => format!(
                    r#"{{"id":"{id}","type":"gemini","content":"a{id}@{at}","model":"{}"}}"#,
                    &model[1..]
                ),
            };
            text.push('\n');
        }
        text
    }

    fn words(transcript: &Transcript) -> String {
        let word = |event: &Event| {
            let word = match &event.body {
                Body::UserMessage(message) => message.text.clone(),
                Body::AssistantMessage(message) => message.text.clone(),
                Body::ModelChange(change) => {
                    let name = |name: &Option<String>| name.clone().unwrap_or_default();
                    format!("{}>{}", name(&change.from), name(&change.to))
                }
                Body::Context(_) => "r".to_owned(),
                _ => "i".to_owned(),
            };
            if event.abandoned { format!("({word})") } else { word }
        };
        transcript.events.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    fn check(script: &str, expected: &str) {
        let log = log(script);
        let whole = read(&log.as_bytes(), MESSAGES_MAX);
        assert_eq!(words(&whole), expected, "{script}");
        assert_eq!(read(&ByBytes(log.as_bytes()), MESSAGES_MAX), whole, "{script}");
        for event in &whole.events {
            let Some(place) = &event.evidence else { panic!("{script}: no evidence") };
            let line = &log[place.offset as usize..][..place.len as usize];
            assert!(line.starts_with('{') && line.ends_with('}'), "{script}: {line}");
        }
    }

    /// A message stands where it was first, in its last words.
    #[test]
    fn messages_said_again_keep_their_places() {
        check("u1 aX2 u3 aX4", "u1@0 a2@1 u3@2 a4@3");
        check("u1 aX2 aX2 u3", "u1@0 a2@2 u3@3");
        check("u1 aX2 u3 aX4 aX2 u1", "u1@5 a2@4 u3@2 a4@3");
        // One of another kind in the end.
        check("u1 u2 i2 u3", "u1@0 i u3@3");
    }

    #[test]
    fn what_the_user_goes_back_behind_is_flagged_in_its_place() {
        check("u1 aX2 r2 u3", "u1@0 (a2@1) r u3@3");
        check("u1 aX2 r1 u3 r3 u4", "(u1@0) (a2@1) r (u3@3) r u4@5");
        // What was taken back stays so when it is said again.
        check("u1 aX2 r2 u3 aX2 u1", "u1@5 (a2@4) r u3@3");
        check("r9 u1 r9", "r u1@1 r");
    }

    /// From whom the answer before was, as they stand, not as they were written.
    #[test]
    fn models_change_as_answers_stand() {
        check("aX1 aY2 aX3", "a1@0 X>Y a2@1 Y>X a3@2");
        check("aX1 aX2 aY1", "a1@2 Y>X a2@1");
        check("aX1 u2 aY3 aX3", "a1@0 u2@1 a3@3");
        assert_eq!(read(&log("aX1 aX2 aY1").as_bytes(), 9).native.model.as_deref(), Some("X"));
    }

    #[test]
    fn so_many_messages_are_kept_and_no_more() {
        for (max, expected, noted) in [(3, "u1@0 u2@1 u3@4", 0), (2, "u1@0 u2@1", 1)] {
            let read = read(&log("u1 u2 u2 u1 u3").as_bytes(), max);
            let said = words(&read).replace("u1@3", "u1@0").replace("u2@2", "u2@1");
            assert_eq!((said.as_str(), read.notes.len()), (expected, noted));
        }
        let rewinds = read(&log("u1 r1 r1 r1").as_bytes(), 2);
        assert_eq!((words(&rewinds).as_str(), rewinds.notes.len()), ("(u1@0) r r", 1));
    }

    #[test]
    fn so_many_models_are_told_apart_and_no_more() {
        for more in [0, 1] {
            let model = |n: usize| match n {
                0 => "m".repeat(MODEL_LEN_MAX + 1),
                n => format!("m{n}"),
            };
            let answer = |n: usize| {
                let model = model(n);
                format!(r#"{{"id":"{n}","type":"gemini","content":"","model":"{model}"}}"#) + "\n"
            };
            let text: String = (0..=MODELS_MAX + more).map(answer).collect();
            let read = read(&text.as_bytes(), MESSAGES_MAX);
            assert_eq!(read.events.len(), MODELS_MAX - 1);
            assert_eq!(read.native.model, Some(format!("m{MODELS_MAX}")));
        }
    }
}
