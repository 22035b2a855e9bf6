//! opencode: `~/.local/share/opencode/opencode.db` (SQLite, all sessions in one file), before that
//! a directory of small JSON files, and the document that `opencode export` writes.
//!
//! In all three a session has messages and a message has parts. What the user took back is deleted
//! from its tables with the next prompt, and still stands in the `event` table.

use super::detect::Words;
use super::locate::{Base, Place, Project};
use super::transcript::{Builder, time_ms};
use super::{Agent, File, NoteKind, Scope, Transcript, tool};
use crate::event::*;
use crate::json::{Document, Value, document, parse_lossy};
use crate::sqlite::{self, Database, Row, Table};
use std::collections::{BTreeMap, HashMap};

pub(super) const AGENT: Agent = Agent {
    name: "opencode",
    programs: &["opencode"],
    packages: &["opencode-ai"],
    places: &[Place {
        env: Some(("XDG_DATA_HOME", "opencode")),
        tail: ".local/share/opencode",
        base: Base::Home,
        patterns: &[
            "opencode*.db",
            "opencode*.db-wal",
            "storage/session/*/*.json",
            "storage/message/*/*.json",
            "storage/part/*/*.json",
        ],
        project: Project::None,
    }],
    session_key: |path| {
        // One database holds all sessions; so does the old directory.
        let name = path.split('/').next().unwrap_or_default();
        name.trim_end_matches("-wal").to_owned()
    },
    words: &Words {
        resume: &["-s", "--session"],
        session: &[],
        subcommands: &[],
        latest: &["-c", "--continue"],
        prompt: &["run", "--prompt", "-p"],
        back: &["opencode", "-s"],
    },
};

const REJECTED: &str = "The user rejected permission";

pub(super) fn read(files: &[File<'_>], scope: &Scope<'_>) -> Transcript {
    let mut out = Builder::new(AGENT.name);
    let mut store = Store::default();
    for (index, file) in files.iter().enumerate() {
        if file.path.ends_with(".db") {
            let wal = files.iter().position(|f| f.path == format!("{}-wal", file.path));
            store.database(&mut out, files, index, wal, scope);
        } else if file.path.ends_with(".json") {
            let Document { members, elements } = document(file.bytes, "messages");
            store.document(file.path, members.into(), (index, 0, file.bytes.len() as u64));
            for element in elements {
                let span = (index, element.offset, element.len);
                if let Some(value) = out.record(index, element) {
                    store.exported(&value, span);
                }
            }
        }
    }
    store.say(&mut out, scope);
    out.finish()
}

/// File, offset, length.
type Span = (usize, u64, u64);

/// Sessions, messages and parts, wherever they were found. Ids sort by time.
#[derive(Default)]
struct Store {
    sessions: BTreeMap<String, (Value, Span)>,
    messages: BTreeMap<String, Message>,
    parts: BTreeMap<String, (Value, Span)>,
}

struct Message {
    session: String,
    value: Value,
    span: Span,
    deleted: bool,
}

impl Store {
    /// A file of the old directory, told by the directory it is in, or an export.
    fn document(&mut self, path: &str, value: Value, span: Span) {
        let id = value.str_at("id").unwrap_or_default().to_owned();
        let session = value.str_at("sessionID").unwrap_or_default().to_owned();
        let inside = |name: &str| path.contains(&format!("storage/{name}/"));
        if inside("session") {
            self.sessions.insert(id, (value, span));
        } else if inside("message") {
            self.messages.insert(id, Message { session, value, span, deleted: false });
        } else if inside("part") {
            self.parts.insert(id, (value, span));
        } else if let Some(info) = value.get("info") {
            let own = info.str_at("id").unwrap_or_default().to_owned();
            self.sessions.insert(own, (info.clone(), span));
        }
    }

    /// A message of an export, with its parts.
    fn exported(&mut self, message: &Value, span: Span) {
        let Some(info) = message.get("info") else { return };
        let id = info.str_at("id").unwrap_or_default().to_owned();
        let Some(session) = info.str_at("sessionID").map(str::to_owned) else { return };
        // What is said of the session may be lost.
        self.sessions.entry(session.clone()).or_insert((Value::Null, span));
        let entry = Message { session, value: info.clone(), span, deleted: false };
        self.messages.insert(id, entry);
        for part in message.get("parts").map_or(&[][..], Value::items) {
            let id = part.str_at("id").unwrap_or_default().to_owned();
            self.parts.insert(id, (part.clone(), span));
        }
    }

    fn database(
        &mut self,
        out: &mut Builder,
        files: &[File<'_>],
        index: usize,
        wal: Option<usize>,
        scope: &Scope<'_>,
    ) {
        out.at(index, 0, files[index].bytes.len() as u64);
        let opened = Database::open(files[index].bytes, wal.map(|i| files[i].bytes));
        let database = match opened {
            Ok(database) => database,
            Err(e) => return out.note(NoteKind::Unreadable(e.to_string())),
        };
        let span = |place: sqlite::Place| {
            let file = if place.in_wal { wal.unwrap_or(index) } else { index };
            (file, place.offset, place.len)
        };
        each(out, &database, "session", &mut |table, row| {
            if let Some((id, value)) = session_of(table, &row) {
                self.sessions.insert(id, (value, span(row.place)));
            }
        });
        let Some(wanted) = self.wanted(scope) else { return };
        let family = self.family(&wanted);
        let mine =
            |id: Option<&str>| id.filter(|id| family.iter().any(|f| f == id)).map(str::to_owned);
        let data = |table: &Table, row: &Row| {
            let text = table.text(row, "data").unwrap_or_default();
            parse_lossy(text.as_bytes()).map_err(|e| (e.kind, span(row.place)))
        };
        let mut broken = Vec::new();
        each(out, &database, "message", &mut |table, row| {
            let Some(session) = mine(table.text(&row, "session_id")) else { return };
            let id = table.text(&row, "id").unwrap_or_default().to_owned();
            match data(table, &row) {
                Ok(value) => {
                    let entry = Message { session, value, span: span(row.place), deleted: false };
                    self.messages.insert(id, entry);
                }
                Err(e) => broken.push(e),
            }
        });
        each(out, &database, "part", &mut |table, row| {
            if mine(table.text(&row, "session_id")).is_none() {
                return;
            }
            let id = table.text(&row, "id").unwrap_or_default().to_owned();
            match data(table, &row) {
                Ok(Value::Object(mut part)) => {
                    part.insert("messageID", table.text(&row, "message_id").unwrap_or_default());
                    self.parts.insert(id, (part.into(), span(row.place)));
                }
                Ok(_) => {}
                Err(e) => broken.push(e),
            }
        });
        each(out, &database, "event", &mut |table, row| {
            let Some(session) = mine(table.text(&row, "aggregate_id")) else { return };
            let kind = table.text(&row, "type").unwrap_or_default();
            if kind.starts_with("message.") {
                match data(table, &row) {
                    Ok(value) => self.event(kind, session, &value, span(row.place)),
                    Err(e) => broken.push(e),
                }
            }
        });
        for (kind, (file, offset, len)) in broken {
            out.at(file, offset, len);
            out.note(NoteKind::Broken(kind));
        }
    }

    /// A message or part that the tables no longer hold; the events come in order, the last counts.
    fn event(&mut self, kind: &str, session: String, value: &Value, span: Span) {
        if kind.starts_with("message.updated") {
            let Some(info) = value.get("info") else { return };
            let id = info.str_at("id").unwrap_or_default().to_owned();
            if self.messages.get(&id).is_none_or(|m| m.deleted) {
                let entry = Message { session, value: info.clone(), span, deleted: true };
                self.messages.insert(id, entry);
            }
        } else if kind.starts_with("message.part.updated") {
            let Some(part) = value.get("part") else { return };
            let owner = part.str_at("messageID").and_then(|id| self.messages.get(id));
            if owner.is_some_and(|m| m.deleted) {
                let id = part.str_at("id").unwrap_or_default().to_owned();
                self.parts.insert(id, (part.clone(), span));
            }
        }
    }

    /// The session asked for, else the newest that no other session started.
    fn wanted(&self, scope: &Scope<'_>) -> Option<String> {
        if let Some(id) = scope.session {
            return self.sessions.contains_key(id).then(|| id.to_owned());
        }
        let time = |value: &Value, name| value.path(&["time", name]).and_then(Value::as_i64);
        let own = self.sessions.iter().filter(|(_, (value, _))| parent(value).is_none());
        // Other runs, in other directories, write into the same database.
        let newest = own.max_by_key(|(_, (value, _))| {
            let here = scope.cwd.is_some() && value.str_at("directory") == scope.cwd;
            (here, time(value, "updated").max(time(value, "created")))
        });
        newest.map(|(id, _)| id.clone())
    }

    /// A session and those it started, whose streams are their ids.
    fn family(&self, root: &str) -> Vec<String> {
        let mut family = vec![root.to_owned()];
        let mut at = 0;
        while at < family.len() {
            let own = |value: &Value| parent(value) == Some(family[at].as_str());
            let children: Vec<String> = self
                .sessions
                .iter()
                .filter(|(id, (value, _))| own(value) && !family.contains(id))
                .map(|(id, _)| id.clone())
                .collect();
            family.extend(children);
            at += 1;
        }
        family
    }

    fn say(&self, out: &mut Builder, scope: &Scope<'_>) {
        let Some(root) = self.wanted(scope) else { return };
        let mut parts: HashMap<&str, Vec<&(Value, Span)>> = HashMap::new();
        for part in self.parts.values() {
            parts.entry(part.0.str_at("messageID").unwrap_or_default()).or_default().push(part);
        }
        let tasks = self.tasks();
        for id in self.family(&root) {
            let Some((session, place)) = self.sessions.get(&id) else { continue };
            out.at(place.0, place.1, place.2);
            out.stream = if id == root { MAIN.to_owned() } else { id.clone() };
            session_start(out, &id, session, tasks.get(id.as_str()).copied());
            let revert = session.path(&["revert", "messageID"]).and_then(Value::as_str);
            let mut messages: Vec<(&String, &Message)> =
                self.messages.iter().filter(|(_, m)| m.session == id).collect();
            let created = |m: &Message| m.value.path(&["time", "created"]).and_then(Value::as_i64);
            messages.sort_by_key(|(id, m)| (created(m), (*id).clone()));
            for (id, message) in messages {
                let hidden = revert.is_some_and(|first| id.as_str() >= first);
                let own = parts.get(id.as_str()).map_or(&[][..], Vec::as_slice);
                say(out, id, message, message.deleted || hidden, own);
            }
        }
    }

    /// Of each session that a call started, the call.
    fn tasks(&self) -> HashMap<&str, &str> {
        self.parts
            .values()
            .filter_map(|(part, _)| {
                let child = part.path(&["state", "metadata", "sessionId"])?.as_str()?;
                Some((child, part.str_at("callID")?))
            })
            .collect()
    }
}

fn parent(session: &Value) -> Option<&str> {
    session.str_at("parentID").filter(|id| !id.is_empty())
}

/// Hands the rows of a table to `sink`; a table that is not there has none.
fn each(out: &mut Builder, database: &Database<'_>, name: &str, sink: &mut dyn FnMut(&Table, Row)) {
    let Ok(table) = database.table(name) else { return };
    for error in database.rows(&table, &mut |row| sink(&table, row)) {
        out.note(NoteKind::Unreadable(format!("{name}: {error}")));
    }
}

/// A row of the `session` table in the form that the JSON files have.
pub(super) fn session_of(table: &Table, row: &Row) -> Option<(String, Value)> {
    let id = table.text(row, "id")?.to_owned();
    let mut session = crate::json::Object::new();
    let names = [
        ("parent_id", "parentID"),
        ("directory", "directory"),
        ("title", "title"),
        ("version", "version"),
    ];
    for (column, name) in names {
        if let Some(text) = table.text(row, column) {
            session.insert(name, text);
        }
    }
    let mut time = crate::json::Object::new();
    for (column, name) in [("time_created", "created"), ("time_updated", "updated")] {
        if let sqlite::Value::Int(ms) = table.value(row, column) {
            time.insert(name, *ms);
        }
    }
    if !time.is_empty() {
        session.insert("time", time);
    }
    if let Some(revert) = table.text(row, "revert").and_then(|t| parse_lossy(t.as_bytes()).ok()) {
        session.insert("revert", revert);
    }
    Some((id, session.into()))
}

fn session_start(out: &mut Builder, id: &str, session: &Value, call: Option<&str>) {
    out.time = time_ms(session.path(&["time", "created"]));
    let text = |name| session.str_at(name).map(str::to_owned);
    if out.stream != MAIN {
        let call_id = call.map(str::to_owned);
        out.push(SubagentStart {
            child: id.to_owned(),
            name: text("title"),
            prompt: None,
            call_id,
        });
        return;
    }
    out.native.session = Some(id.to_owned());
    out.native.title = text("title");
    out.native.cwd = text("directory");
    out.native.version = text("version");
    out.push(SessionStart {
        cwd: text("directory"),
        agent_version: text("version"),
        agent_session: Some(id.to_owned()),
        ..Default::default()
    });
}

fn say(out: &mut Builder, id: &str, message: &Message, abandoned: bool, parts: &[&(Value, Span)]) {
    let value = &message.value;
    let time = time_ms(value.path(&["time", "created"]));
    let model =
        value.str_at("modelID").or(value.path(&["model", "modelID"]).and_then(Value::as_str));
    let user = value.str_at("role") == Some("user");
    let summary = value.get("summary").and_then(Value::as_bool) == Some(true);
    let place = |out: &mut Builder, span: Span| {
        out.at(span.0, span.1, span.2);
        out.time = time;
        out.id = Some(id.to_owned());
        out.abandoned = abandoned;
    };
    if let Some(model) = model.filter(|_| !user && out.stream == MAIN) {
        place(out, message.span);
        out.model(model);
    }
    for (part, span) in parts {
        let flag = |name| part.get(name).and_then(Value::as_bool) == Some(true);
        if flag("synthetic") || flag("ignored") {
            continue;
        }
        place(out, *span);
        out.time = time_ms(part.path(&["time", "start"])).or(time);
        self::part(out, part, user, summary, model);
    }
    if value.str_at("finish") == Some("stop")
        && let Some(Body::AssistantMessage(last)) = out.events().last_mut().map(|e| &mut e.body)
        && last.message_id.as_deref() == Some(id)
    {
        last.is_final = true;
    }
    place(out, message.span);
    out.time = time_ms(value.path(&["time", "completed"])).or(time);
    if let Some(error) = value.get("error").filter(|e| !e.is_null()) {
        failed(out, error);
    }
    if let Some(tokens) = value.get("tokens").filter(|_| !user) {
        usage(out, id, tokens, value.get("cost"), model);
    }
}

fn part(out: &mut Builder, part: &Value, user: bool, summary: bool, model: Option<&str>) {
    let text = || part.str_at("text").unwrap_or_default().to_owned();
    match part.str_at("type").unwrap_or_default() {
        "text" if user && out.stream == MAIN => {
            out.push(UserMessage {
                text: text(),
                form: Some(MessageForm::Typed),
                ..Default::default()
            });
        }
        "text" if user => {}
        "text" if summary => {
            let op = Some(ContextOp::Summarize);
            out.push(Context { op, summary: Some(text()), ..Default::default() });
        }
        "text" if text().is_empty() => {}
        "text" => {
            let (model, message_id) = (model.map(str::to_owned), out.id.clone());
            out.push(AssistantMessage { text: text(), model, message_id, ..Default::default() });
        }
        // The model thinks about the summary, not about the user's task.
        "reasoning" if summary => {}
        "reasoning" => {
            let text = text();
            let hidden = text.is_empty();
            let form = if hidden { ThoughtForm::Redacted } else { ThoughtForm::Full };
            out.push(Thought { text, form: Some(form), signature_only: hidden });
        }
        "tool" => call(out, part),
        "compaction" => {
            let auto = part.get("auto").and_then(Value::as_bool);
            let trigger = auto.map(|auto| if auto { Trigger::Auto } else { Trigger::Manual });
            out.push(Context { op: Some(ContextOp::Compact), trigger, ..Default::default() });
        }
        "retry" => {
            let message = part.path(&["error", "data", "message"]).and_then(Value::as_str);
            out.push(ApiError {
                message: message.unwrap_or_default().to_owned(),
                retry: true,
                attempt: part.u64_at("attempt"),
                ..Default::default()
            });
        }
        "step-start" | "step-finish" | "patch" | "snapshot" | "file" | "agent" | "subtask" => {}
        kind => out.unknown(&format!("part/{kind}")),
    }
}

fn call(out: &mut Builder, part: &Value) {
    let state = part.get("state").unwrap_or(&Value::Null);
    let call_id = part.str_at("callID");
    let name = part.str_at("tool").unwrap_or_default();
    let args = state.get("input").cloned().unwrap_or_default();
    let todos = args.get("todos").filter(|_| name == "todowrite").cloned();
    out.time = time_ms(state.path(&["time", "start"])).or(out.time);
    let mut call = tool::call(call_id, name, args);
    call.title = state.str_at("title").filter(|t| !t.is_empty()).map(str::to_owned).or(call.title);
    out.push(call);
    if let Some(items) = todos {
        out.push(Plan { items });
    }
    let status = state.str_at("status").unwrap_or_default();
    if !matches!(status, "completed" | "error") {
        return;
    }
    let started = state.path(&["time", "start"]).and_then(Value::as_i64);
    let ended = state.path(&["time", "end"]).and_then(Value::as_i64);
    out.time = time_ms(state.path(&["time", "end"])).or(out.time);
    let call_id = call_id.map(str::to_owned);
    let error = state.str_at("error").map(str::to_owned);
    if error.as_ref().is_some_and(|e| e.starts_with(REJECTED)) {
        out.push(Approval {
            call_id: call_id.clone(),
            decision: Some(Decision::RejectOnce),
            by: Some(Decider::User),
            ..Default::default()
        });
    }
    let exit_code = state.path(&["metadata", "exit"]).and_then(Value::as_i64);
    out.push(ToolResult {
        call_id: call_id.clone(),
        ok: Some(status == "completed" && exit_code.is_none_or(|code| code == 0)),
        exit_code: exit_code.and_then(|code| i32::try_from(code).ok()),
        text: state
            .str_at("output")
            .map_or_else(|| error.clone().unwrap_or_default(), str::to_owned),
        duration_ms: ended.zip(started).and_then(|(end, start)| u64::try_from(end - start).ok()),
        truncated: state.path(&["metadata", "truncated"]).and_then(Value::as_bool) == Some(true),
        error,
    });
    if let Some(child) = state.path(&["metadata", "sessionId"]).and_then(Value::as_str) {
        let result = state.str_at("output").map(str::to_owned);
        out.push(SubagentEnd { child: child.to_owned(), result, call_id: call_id.clone() });
    }
    if let Some(diff) = state.path(&["metadata", "filediff"]) {
        let before = diff.str_at("before");
        out.push(FileChange {
            path: diff.str_at("file").unwrap_or_default().to_owned(),
            op: before.map(|b| if b.is_empty() { FileOp::Create } else { FileOp::Modify }),
            plus: diff.u64_at("additions"),
            minus: diff.u64_at("deletions"),
            by: call_id,
            ..Default::default()
        });
    }
}

fn failed(out: &mut Builder, error: &Value) {
    let name = error.str_at("name").unwrap_or_default();
    let message = error.path(&["data", "message"]).and_then(Value::as_str).unwrap_or_default();
    if name == "MessageAbortedError" {
        out.push(Interrupt { key: None, effect: Some(message.to_owned()) });
        return;
    }
    let status = error.path(&["data", "statusCode"]).filter(|s| !s.is_null()).map(Value::to_string);
    let code = status.or_else(|| Some(name.to_owned()));
    out.push(ApiError { code, message: message.to_owned(), ..Default::default() });
}

/// Cached input and reasoning stand beside input and output here.
fn usage(out: &mut Builder, id: &str, tokens: &Value, cost: Option<&Value>, model: Option<&str>) {
    let number = |path: &[&str]| tokens.path(path).and_then(Value::as_u64).unwrap_or(0);
    let reasoning = number(&["reasoning"]);
    let usage = Usage {
        model: model.map(str::to_owned),
        request_id: Some(id.to_owned()),
        input: number(&["input"]),
        cache_read: number(&["cache", "read"]),
        cache_write_5m: number(&["cache", "write"]),
        output: number(&["output"]).saturating_add(reasoning),
        reasoning,
        total: tokens.u64_at("total"),
        cost_microusd: cost
            .and_then(Value::as_f64)
            .filter(|usd| *usd > 0.0)
            .map(|usd| (usd * 1e6).round() as u64),
        basis: Some(Basis::PerRequest),
        ..Default::default()
    };
    if [usage.input, usage.cache_read, usage.cache_write_5m, usage.output].iter().any(|n| *n > 0) {
        out.usage(id, usage);
    }
}
