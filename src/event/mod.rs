//! Events and turns: the vocabulary `il.event/1`, as values and as JSON lines.
//!
//! A line is an envelope (who, when, where from) and the fields of one kind. Absent means unknown;
//! nothing is invented. An event that is read and written again gives the same bytes.

mod body;
mod field;
mod friction;
mod price;
mod round;
mod turn;
mod words;
#[cfg(test)]
mod tests;

pub use body::*;
pub use field::Field;
pub use friction::Friction;
pub use price::{PRICES_MAX, Prices};
pub use round::{Round, rounds};
pub use turn::{
    Counts, Number, Part, REFUSALS_MAX, Refusals, Tokens, Turn, Turns, count, number, numbers,
    turns,
};
pub use words::*;

use crate::json::{self, Object, Value};
use crate::time::WallTime;
use field::read;

/// The `v` member of every line.
pub const VERSION: u64 = 1;
/// The stream of the agent that talks to the user; other streams are its subagents.
pub const MAIN: &str = "main";

/// The members that every line may have, whatever its kind.
pub const ENVELOPE: [&str; 19] = [
    "v",
    "session",
    "seq",
    "t",
    "mono_ns",
    "kind",
    "src",
    "agent",
    "stream",
    "turn",
    "step",
    "iter",
    "parent",
    "id",
    "level",
    "conf",
    "abandoned",
    "ref",
    "also",
];

/// Where the bytes lie that an event was read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The stream of the session: `native/0`, `stdout`, …
    pub stream: String,
    /// The first byte.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
}

/// One event: the envelope, and what it says.
/// ```
/// use intentloop::Event;
/// use intentloop::event::{Body, Source, UserMessage};
/// # use intentloop::Store;
/// # use intentloop::session::SessionId;
/// # use intentloop::store::{Access, Exit, NewSession, StreamId};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let message = UserMessage { text: "Fix the login".into(), ..UserMessage::default() };
/// let event = Event { turn: Some(1), ..Event::new(Source::Transcript, message) };
/// let mut line = String::new();
/// event.write_line(&mut line);
///
/// # let dir = std::env::temp_dir().join(format!("il-doc-event-{}", std::process::id()));
/// # let id = SessionId::new(1_780_000_000_000, *b"any random").0;
/// # let start_us = 1_780_000_000_000_000;
/// # let store = Store::open(&dir, Access::Write)?;
/// # let new = NewSession { id, start_us, label: [0; 16], meta: b"{}" };
/// # let mut writer = store.begin(&new)?;
/// // `writer` and `store` are those of a session.
/// writer.append(StreamId::CONVERSATION, 5, line.as_bytes());
/// # writer.end(Exit::Code(0), start_us)?;
/// # let entry = store.entries()?.next().ok_or("no session")?;
/// for (_, line) in store.records(&entry, StreamId::CONVERSATION) {
///     let read = Event::parse_line(&line).ok_or("no event")?;
///     assert_eq!(read, event);
///     assert!(matches!(read.body, Body::UserMessage(said) if said.text == "Fix the login"));
/// }
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// il's session id; empty while unknown.
    pub session: String,
    /// The place in the session's order, strictly increasing.
    pub seq: u64,
    /// Wall time; a line keeps milliseconds.
    pub time: Option<WallTime>,
    /// Nanoseconds since the session began, immune to steps of the clock.
    pub mono_ns: Option<u64>,
    /// The witness.
    pub source: Source,
    /// The agent's name.
    pub agent: Option<String>,
    /// [`MAIN`], or a subagent's id.
    pub stream: String,
    /// The turn, from 1.
    pub turn: Option<u32>,
    /// The step (request to a model) within the turn, from 1.
    pub step: Option<u32>,
    /// The iteration of an actor and a critic, from 1.
    pub iter: Option<u32>,
    /// The id of the event this one belongs to.
    pub parent: Option<String>,
    /// The agent's own id of the record.
    pub id: Option<String>,
    /// How much it weighs.
    pub level: Level,
    /// How sure il is that it happened so, 0 to 1.
    pub conf: f64,
    /// The user went back behind it: it happened, and is no part of the conversation.
    pub abandoned: bool,
    /// Where it was read.
    pub evidence: Option<Evidence>,
    /// Where else the same fact stands.
    pub also: Vec<Evidence>,
    /// What it says.
    pub body: Body,
}

impl Event {
    /// An event of which only the witness and the body are known.
    pub fn new(source: Source, body: impl Into<Body>) -> Event {
        Event {
            session: String::new(),
            seq: 0,
            time: None,
            mono_ns: None,
            source,
            agent: None,
            stream: MAIN.to_owned(),
            turn: None,
            step: None,
            iter: None,
            parent: None,
            id: None,
            level: Level::Info,
            conf: 1.0,
            abandoned: false,
            evidence: None,
            also: Vec::new(),
            body: body.into(),
        }
    }

    /// Appends the event as one JSON line, its line feed included.
    pub fn write_line(&self, out: &mut String) {
        json::write_object(out, |o| {
            o.int("v", VERSION);
            o.string_opt("session", Some(self.session.as_str()).filter(|s| !s.is_empty()));
            o.int("seq", self.seq);
            o.string_opt("t", self.time.map(WallTime::rfc3339).as_deref());
            o.int_opt("mono_ns", self.mono_ns);
            o.string("kind", self.body.kind());
            o.string("src", self.source.as_str());
            o.string_opt("agent", self.agent.as_deref());
            o.string("stream", &self.stream);
            o.int_opt("turn", self.turn);
            o.int_opt("step", self.step);
            o.int_opt("iter", self.iter);
            o.string_opt("parent", self.parent.as_deref());
            o.string_opt("id", self.id.as_deref());
            o.string("level", self.level.as_str());
            o.float("conf", self.conf);
            self.abandoned.write("abandoned", o);
            if let Some(evidence) = &self.evidence {
                o.object("ref", |o| evidence.write(o));
            }
            if !self.also.is_empty() {
                o.array("also", |a| self.also.iter().for_each(|e| a.object(|o| e.write(o))));
            }
            self.body.write(o);
        });
        out.push('\n');
    }

    /// Reads one line. None where it is no event of this version, or a field has another type.
    pub fn parse_line(line: &[u8]) -> Option<Event> {
        match json::parse(line) {
            Ok(Value::Object(object)) => Event::from_object(object),
            _ => None,
        }
    }

    /// What the event says, as the members of its line that are its kind's own.
    pub fn fields(&self) -> Object {
        let mut line = String::new();
        self.write_line(&mut line);
        match json::parse(line.as_bytes()) {
            Ok(Value::Object(object)) => without_envelope(object),
            _ => Object::new(),
        }
    }

    fn from_object(object: Object) -> Option<Event> {
        if object.get("v")?.as_u64()? != VERSION {
            return None;
        }
        let kind: String = read(&object, "kind")?;
        let time = match object.get("t") {
            Some(text) => Some(WallTime::parse_rfc3339(text.as_str()?)?),
            None => None,
        };
        let also = object.get("also").map_or(&[][..], Value::items);
        Some(Event {
            session: read::<Option<String>>(&object, "session")?.unwrap_or_default(),
            seq: read(&object, "seq")?,
            time,
            mono_ns: read(&object, "mono_ns")?,
            source: read(&object, "src")?,
            agent: read(&object, "agent")?,
            stream: read(&object, "stream")?,
            turn: read(&object, "turn")?,
            step: read(&object, "step")?,
            iter: read(&object, "iter")?,
            parent: read(&object, "parent")?,
            id: read(&object, "id")?,
            level: read(&object, "level")?,
            conf: read(&object, "conf")?,
            abandoned: read(&object, "abandoned")?,
            evidence: match object.get("ref") {
                Some(value) => Some(Evidence::read(value)?),
                None => None,
            },
            also: also.iter().map(Evidence::read).collect::<Option<_>>()?,
            body: match Body::KINDS.contains(&kind.as_str()) {
                true => Body::read(&kind, &object)?,
                false => Unknown { kind, fields: without_envelope(object) }.into(),
            },
        })
    }
}

impl Evidence {
    fn write(&self, out: &mut json::ObjectWriter<'_>) {
        out.string("stream", &self.stream);
        out.int("off", self.offset);
        out.int("len", self.len);
    }

    fn read(value: &Value) -> Option<Evidence> {
        Some(Evidence {
            stream: value.str_at("stream")?.to_owned(),
            offset: value.u64_at("off")?,
            len: value.u64_at("len")?,
        })
    }
}

fn without_envelope(mut object: Object) -> Object {
    for name in ENVELOPE {
        object.remove(name);
    }
    object
}
