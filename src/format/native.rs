//! What a foreign record says and no event can: kept beside its events, in an event of kind
//! `native`, so that a session goes back to the format it came from byte for byte.
//!
//! | member | of kind `native` |
//! |---|---|
//! | `format` | the format's name, always |
//! | `patch`, `without` | members to set, and dotted names to leave out, in the record that the events of the same bytes make |
//! | `line` | the record's whole line, where it cannot be had by a patch |
//! | `file` | the path of a file of the format; `patch` and `without` are then its own |
//! | `kept` | the bytes of `file` are where the event's `ref` says |
//! | `absent` | `file` is not there, although the events would make one |

use crate::event::{Body, Event, Evidence, Source, Unknown};
use crate::json::{Object, Value};
use crate::session::Status;
use crate::time::WallTime;

/// The kind of events that hold what no other can.
pub const KIND: &str = "native";
/// The stream that holds the records from which most events are read.
pub const SPINE: &str = "native/0";
/// Broken places of one session that are told; a file of rubbish has one in every line.
pub const BROKEN_MAX: usize = 1000;

/// Most streams that one session's files are kept in; the rest of them share the last. A session
/// has names for 240 streams.
pub const STREAMS_MAX: usize = 200;

/// A file of another program's session.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Its path in the session's directory, or its name.
    pub path: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// Where the files of a session are to be kept: the one of path `spine` is [`SPINE`], each other
/// has a stream of its own, and those beyond [`STREAMS_MAX`] follow one another in the last.
pub fn places(files: &[File<'_>], spine: &str) -> Vec<Evidence> {
    let mut next = 1;
    let mut used = 0;
    let place = |file: &File<'_>| {
        let len = file.bytes.len() as u64;
        let (stream, offset) = match (file.path == spine, next < STREAMS_MAX) {
            (true, _) => (0, 0),
            (false, true) => (next, 0),
            (false, false) => (STREAMS_MAX - 1, used),
        };
        if stream > 0 {
            used = if stream == STREAMS_MAX - 1 { offset + len } else { 0 };
            next = (next + 1).min(STREAMS_MAX);
        }
        Evidence { stream: format!("native/{stream}"), offset, len }
    };
    files.iter().map(place).collect()
}

/// A session of another program, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Foreign {
    /// The events in their order. Their session is not set.
    pub events: Vec<Event>,
    /// The program's own id of the session.
    pub id: Option<String>,
    /// What its user called it.
    pub name: Option<String>,
    /// The agent at work.
    pub agent: Option<String>,
    /// The directory it worked in.
    pub cwd: Option<String>,
    /// When it began.
    pub started: Option<WallTime>,
    /// When it ended, or the last time seen.
    pub ended: Option<WallTime>,
    /// How it ended; None where nobody wrote that down.
    pub status: Option<Status>,
    /// What could not be read; [`BROKEN_MAX`] at most.
    pub broken: Vec<Broken>,
}

/// A place that could not be read. Its bytes are kept all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The file.
    pub path: String,
    /// The line, from 1; 0 for the file as a whole.
    pub line: u64,
    /// What is wrong with it.
    pub what: String,
}

impl Foreign {
    /// Notes a broken place.
    pub(super) fn note(&mut self, path: &str, line: u64, what: impl Into<String>) {
        if self.broken.len() < BROKEN_MAX {
            self.broken.push(Broken { path: path.to_owned(), line, what: what.into() });
        }
    }

    /// Numbers the events, and closes the session's times.
    pub(super) fn finish(mut self) -> Foreign {
        for (seq, event) in self.events.iter_mut().enumerate() {
            event.seq = seq as u64;
        }
        let times = || self.events.iter().filter_map(|e| e.time);
        self.started = self.started.or_else(|| times().next());
        self.ended = self.ended.or_else(|| times().max_by_key(|t| t.unix_us));
        self
    }
}

/// How the records of a format are laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// The format's name.
    pub format: &'static str,
    /// Members in the order they are written; others follow.
    pub order: &'static [&'static str],
    /// A member whose own members stand in the order of the alphabet.
    pub sorted: Option<&'static str>,
    /// Written with line breaks and indents.
    pub pretty: bool,
}

impl Shape {
    /// The record as text.
    pub fn text(&self, record: &Object) -> String {
        let mut arranged = Object::new();
        for name in self.order {
            if let Some(value) = record.get(name) {
                arranged.insert(*name, value.clone());
            }
        }
        for (name, value) in record.iter() {
            if arranged.get(name).is_none() {
                arranged.insert(name, value.clone());
            }
        }
        if let Some((name, value)) = self.sorted.and_then(|n| Some((n, arranged.get(n)?.clone()))) {
            arranged.insert(name, sorted(value));
        }
        let value = Value::Object(arranged);
        if self.pretty { value.pretty() } else { value.to_string() }
    }

    /// What is to be kept so that `made` becomes `line`, which reads as `original`. None where
    /// nothing is.
    pub fn rest(&self, made: &Object, original: &Object, line: &str) -> Option<Object> {
        if self.text(made) == line {
            return None;
        }
        let mut fields = Object::from_iter([("format", self.format)]);
        let (mut patch, mut without) = (Object::new(), Vec::new());
        difference(made, original, "", &mut patch, &mut without);
        if !patch.is_empty() {
            fields.insert("patch", patch);
        }
        if !without.is_empty() {
            fields.insert("without", without);
        }
        let mut patched = made.clone();
        apply(&mut patched, &fields);
        if self.text(&patched) == line {
            return Some(fields);
        }
        Some(Object::from_iter([("format", self.format), ("line", line)]))
    }
}

/// An event that keeps `fields`.
pub(super) fn event(fields: Object, evidence: Evidence) -> Event {
    let body = Unknown { kind: KIND.to_owned(), fields };
    Event { evidence: Some(evidence), ..Event::new(Source::Transcript, body) }
}

/// What an event keeps for this format.
pub(super) fn fields<'a>(event: &'a Event, format: &str) -> Option<&'a Object> {
    match &event.body {
        Body::Unknown(unknown) if unknown.kind == KIND => {
            let of = unknown.fields.get("format").and_then(Value::as_str);
            Some(&unknown.fields).filter(|_| of == Some(format))
        }
        _ => None,
    }
}

/// Whether the events were read from this format.
pub(super) fn is_from(events: &[Event], format: &str) -> bool {
    events.iter().any(|event| fields(event, format).is_some())
}

/// The groups of events that were read from one record of the spine each.
pub(super) fn records(events: &[Event]) -> Vec<&[Event]> {
    let place = |e: &Event| Some(e.evidence.as_ref().filter(|e| e.stream == SPINE)?.offset);
    events.chunk_by(|a, b| place(a) == place(b)).filter(|g| place(&g[0]).is_some()).collect()
}

/// Makes `made` into what `fields` say it was.
pub(super) fn apply(made: &mut Object, fields: &Object) {
    if let Some(patch) = fields.get("patch").and_then(Value::as_object) {
        merge(made, patch);
    }
    for path in fields.get("without").map_or(&[][..], Value::items) {
        let names: Vec<&str> = path.as_str().unwrap_or_default().split('.').collect();
        remove(made, &names);
    }
}

fn merge(made: &mut Object, patch: &Object) {
    for (name, value) in patch.iter() {
        match (made.get(name), value) {
            (Some(Value::Object(inner)), Value::Object(patch)) => {
                let mut inner = inner.clone();
                merge(&mut inner, patch);
                made.insert(name, inner);
            }
            _ => made.insert(name, value.clone()),
        }
    }
}

fn remove(made: &mut Object, names: &[&str]) {
    match names {
        [] => {}
        [name] => {
            made.remove(name);
        }
        [name, rest @ ..] => {
            if let Some(Value::Object(inner)) = made.get(name) {
                let mut inner = inner.clone();
                remove(&mut inner, rest);
                made.insert(*name, inner);
            }
        }
    }
}

/// What to set and what to leave out. The depth is that of parsed JSON, which is limited.
fn difference(
    made: &Object,
    original: &Object,
    prefix: &str,
    patch: &mut Object,
    without: &mut Vec<String>,
) {
    for (name, value) in original.iter() {
        match (made.get(name), value) {
            (Some(made), value) if made == value => {}
            (Some(Value::Object(made)), Value::Object(value)) => {
                let mut inner = Object::new();
                difference(made, value, &format!("{prefix}{name}."), &mut inner, without);
                if !inner.is_empty() {
                    patch.insert(name, inner);
                }
            }
            (_, value) => patch.insert(name, value.clone()),
        }
    }
    for (name, _) in made.iter().filter(|(name, _)| original.get(name).is_none()) {
        without.push(format!("{prefix}{name}"));
    }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut members: Vec<(&str, &Value)> = object.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let members = members.into_iter().map(|(n, v)| (n, sorted(v.clone())));
            Value::Object(members.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape =
        Shape { format: "f", order: &["a", "b"], sorted: Some("b"), pretty: false };

    /// What is kept, and that it makes the line again.
    #[track_caller]
    fn check(made: &str, line: &str, kept: &str) {
        let object = |text: &str| match crate::json::parse(text.as_bytes()) {
            Ok(Value::Object(object)) => object,
            other => panic!("{text}: {other:?}"),
        };
        let (mut made, original) = (object(made), object(line));
        let rest = SHAPE.rest(&made, &original, line);
        assert_eq!(rest.clone().map_or("-".to_owned(), |o| Value::Object(o).to_string()), kept);
        let rest = rest.unwrap_or_default();
        apply(&mut made, &rest);
        let again = rest.get("line").and_then(Value::as_str).map(str::to_owned);
        assert_eq!(again.unwrap_or_else(|| SHAPE.text(&made)), line);
    }

    #[test]
    fn files_beyond_the_streams_share_the_last() {
        let paths: Vec<String> = (0..STREAMS_MAX + 2).map(|n| format!("f{n}")).collect();
        let files: Vec<File<'_>> = paths.iter().map(|path| File { path, bytes: b"abc" }).collect();
        let told = places(&files, "f1");
        let told: Vec<_> = told.iter().map(|p| (p.stream.as_str(), p.offset, p.len)).collect();
        assert_eq!(told[..3], [("native/1", 0, 3), ("native/0", 0, 3), ("native/2", 0, 3)]);
        assert_eq!(
            told[STREAMS_MAX - 2..],
            [
                ("native/198", 0, 3),
                ("native/199", 0, 3),
                ("native/199", 3, 3),
                ("native/199", 6, 3),
            ]
        );
    }

    #[test]
    fn only_what_differs_is_kept() {
        check(r#"{"b":{"y":1,"x":2},"a":1}"#, r#"{"a":1,"b":{"x":2,"y":1}}"#, "-");
        check(r#"{"a":1}"#, r#"{"a":1.0}"#, r#"{"format":"f","patch":{"a":1.0}}"#);
        check(r#"{"a":1}"#, r#"{"a":null,"c":2}"#, r#"{"format":"f","patch":{"a":null,"c":2}}"#);
        check(
            r#"{"a":1,"b":{"x":1,"y":2}}"#,
            r#"{"b":{"x":1,"z":null}}"#,
            r#"{"format":"f","patch":{"b":{"z":null}},"without":["b.y","a"]}"#,
        );
    }

    #[test]
    fn a_line_of_another_layout_is_kept_whole() {
        for line in [r#"{"b":1,"a":2}"#, r#"{ "a":2}"#, r#"{"a":1,"a":2}"#, r#"{"a":"\u0041"}"#] {
            let kept = Object::from_iter([("format", "f"), ("line", line)]);
            check("{}", line, &Value::Object(kept).to_string());
        }
        check(r#"{"x.y":1}"#, r#"{"a":1}"#, r#"{"format":"f","line":"{\"a\":1}"}"#);
    }
}
