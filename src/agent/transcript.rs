//! What an adapter makes of a transcript: events, notes on what could not be read, and a ledger
//! that tells which statements of usage were counted.

use crate::event::{self, Body, Event, Evidence, MAIN, Source, Usage};
use crate::json::{ErrorKind, Record, Value};
use crate::time::WallTime;
use std::collections::HashMap;

/// The most notes that one transcript keeps; a file of rubbish has one for every line.
pub const NOTES_MAX: usize = 10_000;

/// One of an agent's own files.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Its path as the agent names it, or the end of it; adapters know roles by it.
    pub path: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// What the caller knows and the files do not say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope<'a> {
    /// The session wanted of a store that holds several; the newest, where there is none.
    pub session: Option<&'a str>,
    /// The directory whose session is wanted of such a store.
    pub cwd: Option<&'a str>,
    /// Seconds east of UTC of local times that stand in the files without an offset.
    pub offset_s: i32,
}

/// What an agent says of its session as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Native {
    /// The agent's own session id.
    pub session: Option<String>,
    /// The model of the last answer.
    pub model: Option<String>,
    /// The title the agent gave.
    pub title: Option<String>,
    /// The directory it worked in.
    pub cwd: Option<String>,
    /// The agent's version.
    pub version: Option<String>,
    /// When it began.
    pub started: Option<WallTime>,
}

/// A span of a native file that gave no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The index of the file.
    pub file: usize,
    /// The first byte.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
    /// Why.
    pub what: NoteKind,
}

/// Why a span gave no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// It is not JSON.
    Broken(ErrorKind),
    /// It is a record of a type this version does not know; its name.
    Unknown(String),
    /// The file cannot be read as what its name says.
    Unreadable(String),
}

/// What became of one statement of usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It is counted.
    Yes,
    /// A later record of the same request replaced it.
    Superseded,
    /// It repeats a request that another record states.
    Repeated,
}

/// One statement of usage found in a transcript.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// What makes the request one: the same key is never counted twice.
    pub key: String,
    /// Where it stands.
    pub evidence: Evidence,
    /// What it says.
    pub usage: Usage,
    /// What became of it.
    pub counted: Counted,
}

/// What an adapter makes of a transcript.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transcript {
    /// The session as a whole.
    pub native: Native,
    /// The events in the order in which they happened, numbered by turn and step.
    pub events: Vec<Event>,
    /// What could not be read; [`NOTES_MAX`] at most.
    pub notes: Vec<Note>,
    /// Every statement of usage, counted or not.
    pub ledger: Vec<Statement>,
}

/// Collects a transcript; the setters say what is true of the events pushed after them.
#[derive(Debug)]
pub(crate) struct Builder {
    agent: &'static str,
    source: Source,
    file: usize,
    place: (u64, u64),
    /// Time of the record at hand.
    pub time: Option<WallTime>,
    /// Stream of the record at hand.
    pub stream: String,
    /// The agent's id of the record at hand.
    pub id: Option<String>,
    /// The agent's id of its parent.
    pub parent: Option<String>,
    /// Whether the user went back behind the record at hand.
    pub abandoned: bool,
    /// What is known of the session.
    pub native: Native,
    events: Vec<Event>,
    notes: Vec<Note>,
    ledger: Vec<Statement>,
    /// Of each usage key, its row in the ledger and its event.
    counted: HashMap<String, (usize, usize)>,
    /// Events that turned out to repeat others.
    dropped: Vec<usize>,
}

impl Builder {
    pub(crate) fn new(agent: &'static str) -> Builder {
        Builder {
            agent,
            source: Source::Transcript,
            file: 0,
            place: (0, 0),
            time: None,
            stream: MAIN.to_owned(),
            id: None,
            parent: None,
            abandoned: false,
            native: Native::default(),
            events: Vec::new(),
            notes: Vec::new(),
            ledger: Vec::new(),
            counted: HashMap::new(),
            dropped: Vec::new(),
        }
    }

    /// The same for JSON that an agent writes to its stdout.
    pub(crate) fn of_stdout(agent: &'static str) -> Builder {
        Builder { source: Source::JsonStream, ..Builder::new(agent) }
    }

    /// What follows was read from these bytes of this file. Time, ids and flags are forgotten; the
    /// stream stays.
    pub(crate) fn at(&mut self, file: usize, offset: u64, len: u64) {
        self.file = file;
        self.place = (offset, len);
        self.time = None;
        self.id = None;
        self.parent = None;
        self.abandoned = false;
    }

    /// Goes to a record of JSON lines; its value, or None and a note where it has none.
    pub(crate) fn record<V>(&mut self, file: usize, record: Record<V>) -> Option<V> {
        self.at(file, record.offset, record.len);
        match record.value {
            Ok(value) => Some(value),
            Err(kind) => {
                self.note(NoteKind::Broken(kind));
                None
            }
        }
    }

    /// Notes the bytes at hand.
    pub(crate) fn note(&mut self, what: NoteKind) {
        if self.notes.len() < NOTES_MAX {
            let (offset, len) = self.place;
            self.notes.push(Note { file: self.file, offset, len, what });
        }
    }

    /// Notes a record of a type nobody told us of.
    pub(crate) fn unknown(&mut self, native_type: &str) {
        self.note(NoteKind::Unknown(native_type.to_owned()));
    }

    fn evidence(&self) -> Evidence {
        let stream = match self.source {
            Source::JsonStream => "stdout".to_owned(),
            _ => format!("native/{}", self.file),
        };
        Evidence { stream, offset: self.place.0, len: self.place.1 }
    }

    /// Adds an event at the place at hand.
    pub(crate) fn push(&mut self, body: impl Into<Body>) -> &mut Event {
        let evidence = self.evidence();
        let event = Event {
            time: self.time,
            agent: Some(self.agent.to_owned()),
            stream: self.stream.clone(),
            id: self.id.clone(),
            parent: self.parent.clone(),
            abandoned: self.abandoned,
            evidence: Some(evidence),
            ..Event::new(self.source, body)
        };
        self.events.push(event);
        let last = self.events.len() - 1;
        &mut self.events[last]
    }

    /// The events so far.
    pub(crate) fn events(&mut self) -> &mut Vec<Event> {
        &mut self.events
    }

    /// States what the request `key` took. The last statement of a request replaces the earlier
    /// ones: records that are written while an answer still streams state too little.
    pub(crate) fn usage(&mut self, key: &str, usage: Usage) {
        let evidence = self.evidence();
        let row = self.ledger.len();
        match self.counted.get_mut(key) {
            Some((counted, at)) => {
                self.ledger[*counted].counted = Counted::Superseded;
                *counted = row;
                let event = &mut self.events[*at];
                event.body = Body::Usage(usage.clone());
                event.evidence = Some(evidence.clone());
                // What is alive anywhere is alive.
                event.abandoned &= self.abandoned;
            }
            None => {
                let at = self.events.len();
                self.counted.insert(key.to_owned(), (row, at));
                self.push(usage.clone());
            }
        }
        let key = key.to_owned();
        self.ledger.push(Statement { key, evidence, usage, counted: Counted::Yes });
    }

    /// Enters a statement that repeats what another record states.
    pub(crate) fn usage_repeated(&mut self, key: &str, usage: Usage) {
        let (key, evidence) = (key.to_owned(), self.evidence());
        self.ledger.push(Statement { key, evidence, usage, counted: Counted::Repeated });
    }

    /// A sum follows that states again all that has been counted since the last sum.
    pub(crate) fn usage_summed_up(&mut self) {
        let summed: Vec<(usize, usize)> = self.counted.drain().map(|(_, places)| places).collect();
        for (row, at) in summed {
            let statement = &mut self.ledger[row];
            if statement.usage.basis == Some(event::Basis::PerRequest) {
                statement.counted = Counted::Repeated;
                self.dropped.push(at);
            }
        }
    }

    /// The last event goes on to the end of the bytes at hand.
    pub(crate) fn stretch(&mut self) {
        let end = self.place.0 + self.place.1;
        if let Some(evidence) = self.events.last_mut().and_then(|e| e.evidence.as_mut()) {
            evidence.len = end.saturating_sub(evidence.offset);
        }
    }

    /// Keeps the model of an answer, and says so where it is another one than before.
    pub(crate) fn model(&mut self, model: &str) {
        match &self.native.model {
            Some(old) if old == model => {}
            None => self.native.model = Some(model.to_owned()),
            Some(old) => {
                let (from, to) = (Some(old.clone()), Some(model.to_owned()));
                self.native.model.clone_from(&to);
                self.push(event::ModelChange { from, to });
            }
        }
    }

    /// The transcript. Streams and files are merged by time; within one, records keep their order
    /// (clocks step back, records are written late), so each takes the latest time seen before it.
    pub(crate) fn finish(mut self) -> Transcript {
        let mut latest: HashMap<(String, String), i64> = HashMap::new();
        let mut keys = Vec::with_capacity(self.events.len());
        // Most events have the file and the stream of the one before.
        let mut place = (String::new(), String::new());
        let mut seen = i64::MIN;
        for event in &self.events {
            let file = event.evidence.as_ref().map_or("", |e| e.stream.as_str());
            if (file, event.stream.as_str()) != (place.0.as_str(), place.1.as_str()) {
                let next = (file.to_owned(), event.stream.clone());
                latest.insert(std::mem::replace(&mut place, next), seen);
                seen = latest.get(&place).copied().unwrap_or(i64::MIN);
            }
            seen = seen.max(event.time.map_or(i64::MIN, |t| t.unix_us));
            keys.push(seen);
        }
        let mut events = std::mem::take(&mut self.events);
        // One stream is in order already; moving a long list about would double its memory.
        if !keys.is_sorted() || !self.dropped.is_empty() {
            let mut order: Vec<usize> = (0..keys.len()).collect();
            order.sort_by_key(|&i| keys[i]);
            let mut slots: Vec<Option<Event>> = events.into_iter().map(Some).collect();
            self.dropped.iter().for_each(|&i| slots[i] = None);
            events = order.iter().filter_map(|&i| slots[i].take()).collect();
        }
        for (seq, event) in events.iter_mut().enumerate() {
            event.seq = seq as u64;
        }
        name_approvals(&mut events);
        event::number(&mut events);
        if self.native.started.is_none() {
            self.native.started = events.iter().find_map(|e| e.time);
        }
        Transcript { native: self.native, events, notes: self.notes, ledger: self.ledger }
    }
}

/// Most agents do not store what they asked; the call they asked for tells.
fn name_approvals(events: &mut [Event]) {
    let mut titles: HashMap<String, String> = HashMap::new();
    for event in events.iter() {
        if let Body::Approval(approval) = &event.body
            && approval.ask.is_empty()
            && let Some(id) = &approval.call_id
        {
            titles.insert(id.clone(), String::new());
        }
    }
    if titles.is_empty() {
        return;
    }
    for event in events.iter() {
        if let Body::ToolCall(call) = &event.body
            && let Some(named) = call.call_id.as_ref().and_then(|id| titles.get_mut(id))
        {
            let title = call.title.as_deref().unwrap_or_default();
            *named = format!("{} {title}", call.name).trim_end().to_owned();
        }
    }
    for event in events {
        if let Body::Approval(approval) = &mut event.body
            && approval.ask.is_empty()
            && let Some(title) = approval.call_id.as_ref().and_then(|id| titles.get(id))
        {
            approval.ask.clone_from(title);
        }
    }
}

/// Milliseconds since 1970, as many agents write times.
pub(crate) fn time_ms(value: Option<&Value>) -> Option<WallTime> {
    let value = value?;
    let ms = value.as_i64().or_else(|| value.as_f64().map(|ms| ms as i64))?;
    Some(WallTime { unix_us: ms.checked_mul(1000)?, offset_s: 0 })
}

/// A time as text, as other agents write it.
pub(crate) fn time_text(value: Option<&Value>) -> Option<WallTime> {
    WallTime::parse_rfc3339(value?.as_str()?)
}
