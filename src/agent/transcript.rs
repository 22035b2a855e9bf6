//! What an adapter makes of a transcript: events, notes on what could not be read, and a ledger
//! that tells which statements of usage were counted.

use crate::event::{self, Body, Event, Evidence, MAIN, Source, Usage};
use crate::json::{ErrorKind, Pieces, Record, Value, View};
use crate::time::WallTime;
use std::collections::{HashMap, HashSet};
use std::fmt;

/// The most notes that one transcript keeps; a file of rubbish has one for every line.
pub const NOTES_MAX: usize = 10_000;
/// Events that are held back while a transcript is read in pieces: what the next records say of a
/// request is mostly said of one of these.
const HELD_MAX: usize = 32;

/// One of an agent's own files.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Its path as the agent names it, or the end of it; adapters know roles by it.
    pub path: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// The same where its bytes do not lie in memory.
#[derive(Clone, Copy)]
pub struct Long<'a> {
    /// As [`File::path`].
    pub path: &'a str,
    /// Its bytes, piece by piece.
    pub content: &'a dyn Pieces,
}

impl fmt::Debug for Long<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Long").field("path", &self.path).finish_non_exhaustive()
    }
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

/// Takes the events of a transcript in the order in which they are read.
pub trait Sink {
    /// The next event; its number is how many came before it. It has no place yet among the
    /// others: see [`Digest::order`].
    fn event(&mut self, event: Event);
    /// The event of this number states this usage, which stands there: a later record of the
    /// request has replaced what it said.
    fn usage(&mut self, event: u32, usage: Usage, evidence: Evidence);
    /// The next statement of usage; see [`Digest::uncounted`].
    fn statement(&mut self, statement: Statement) {
        drop(statement);
    }
}

impl Transcript {
    /// Hands the events and the statements over, in their order.
    pub(super) fn hand_over(self, sink: &mut dyn Sink) -> Digest {
        let place = |(i, e): (usize, &Event)| Place { event: i as u32, abandoned: e.abandoned };
        let order = self.events.iter().enumerate().map(place).collect();
        let first_us = self.events.iter().find_map(|e| e.time).map(|at| at.unix_us);
        let rows = self.ledger.iter().enumerate();
        let uncounted = rows.filter(|(_, row)| row.counted != Counted::Yes);
        let uncounted = uncounted.map(|(i, row)| (i as u32, row.counted)).collect();
        self.events.into_iter().for_each(|event| sink.event(event));
        self.ledger.into_iter().for_each(|statement| sink.statement(statement));
        Digest { native: self.native, first_us, order, notes: self.notes, uncounted }
    }
}

/// Where an event goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of the event.
    pub event: u32,
    /// Whether the user went back behind it.
    pub abandoned: bool,
}

/// What is known of a transcript when all its events have gone to a [`Sink`].
#[derive(Clone, Debug, Default)]
pub struct Digest {
    /// The session as a whole.
    pub native: Native,
    /// When the first event happened that has a time, in microseconds since 1970.
    pub first_us: Option<i64>,
    /// The events in the order in which they happened; those that repeat others are left out.
    pub order: Vec<Place>,
    /// What could not be read; [`NOTES_MAX`] at most.
    pub notes: Vec<Note>,
    /// The numbers of statements that turned out not to count.
    pub uncounted: Vec<(u32, Counted)>,
}

/// All of a transcript in memory.
#[derive(Debug, Default)]
pub(super) struct Collected {
    events: Vec<Event>,
    ledger: Vec<Statement>,
}

impl Sink for Collected {
    fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    fn usage(&mut self, event: u32, usage: Usage, evidence: Evidence) {
        if let Some(event) = self.events.get_mut(event as usize) {
            event.body = Body::Usage(usage);
            event.evidence = Some(evidence);
        }
    }

    fn statement(&mut self, statement: Statement) {
        self.ledger.push(statement);
    }
}

impl Collected {
    pub(super) fn transcript(mut self, digest: Digest) -> Transcript {
        for (row, counted) in digest.uncounted {
            self.ledger[row as usize].counted = counted;
        }
        let mut events = self.events;
        // Moving a long list about would double its memory, and most are in order.
        let in_order = digest.order.iter().enumerate().all(|(i, place)| i == place.event as usize);
        if !in_order || events.len() != digest.order.len() {
            let mut slots: Vec<Option<Event>> = events.into_iter().map(Some).collect();
            let places = digest.order.iter();
            events = places.filter_map(|place| slots[place.event as usize].take()).collect();
        }
        for (seq, (event, place)) in events.iter_mut().zip(&digest.order).enumerate() {
            event.seq = seq as u64;
            event.abandoned = place.abandoned;
        }
        name_approvals(&mut events);
        event::number(&mut events);
        let mut native = digest.native;
        native.started = native.started.or_else(|| events.iter().find_map(|e| e.time));
        Transcript { native, events, notes: digest.notes, ledger: self.ledger }
    }
}

/// What is remembered of an event that has been handed over.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// When, in microseconds since 1970; `i64::MIN` where nobody says.
    time_us: i64,
    rank: u32,
    record: u32,
    group: u32,
    abandoned: bool,
    user: bool,
}

/// The events of one file and one stream.
#[derive(Debug)]
struct Group {
    file: String,
    stream: String,
}

/// The statement of a request that counts.
#[derive(Clone, Copy, Debug)]
struct Latest {
    statement: usize,
    event: usize,
    per_request: bool,
}

/// Collects a transcript; the setters say what is true of the events pushed after them.
#[derive(Debug)]
pub(crate) struct Builder {
    agent: &'static str,
    source: Source,
    file: usize,
    /// The name of the stream that `file` is.
    file_name: String,
    place: (u64, u64),
    /// The number of the record at hand.
    record: u32,
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
    /// Where the record at hand goes among all others, if they are read in another order: after
    /// those of a lower rank. Stays as it is from record to record.
    pub rank: u32,
    /// What is known of the session.
    pub native: Native,
    /// Events and statements that have not been handed over; before them go those that have.
    events: Vec<Event>,
    /// The record of each, and its rank.
    records: Vec<(u32, u32)>,
    rows: Vec<Row>,
    /// What is to be said of events that have been handed over.
    amended: Vec<(u32, Usage, Evidence)>,
    ledger: Vec<Statement>,
    statements: usize,
    groups: Vec<Group>,
    notes: Vec<Note>,
    /// Of each usage key, what counts.
    counted: HashMap<String, Latest>,
    uncounted: Vec<(u32, Counted)>,
    /// Events that turned out to repeat others.
    dropped: Vec<usize>,
    /// Records that turned out to be abandoned, by number.
    dead: Vec<bool>,
    /// Usage events, and further records that state their request.
    joint: Vec<(u32, u32)>,
}

impl Builder {
    pub(crate) fn new(agent: &'static str) -> Builder {
        Builder {
            agent,
            source: Source::Transcript,
            file: 0,
            file_name: "native/0".to_owned(),
            place: (0, 0),
            record: 0,
            time: None,
            stream: MAIN.to_owned(),
            id: None,
            parent: None,
            abandoned: false,
            rank: 0,
            native: Native::default(),
            events: Vec::new(),
            records: Vec::new(),
            rows: Vec::new(),
            amended: Vec::new(),
            ledger: Vec::new(),
            statements: 0,
            groups: Vec::new(),
            notes: Vec::new(),
            counted: HashMap::new(),
            uncounted: Vec::new(),
            dropped: Vec::new(),
            dead: Vec::new(),
            joint: Vec::new(),
        }
    }

    /// The same for JSON that an agent writes to its stdout.
    pub(crate) fn of_stdout(agent: &'static str) -> Builder {
        let file_name = "stdout".to_owned();
        Builder { source: Source::JsonStream, file_name, ..Builder::new(agent) }
    }

    /// What follows was read from these bytes of this file. Time, ids and flags are forgotten; the
    /// stream stays.
    pub(crate) fn at(&mut self, file: usize, offset: u64, len: u64) {
        if file != self.file && self.source != Source::JsonStream {
            self.file_name = format!("native/{file}");
        }
        self.file = file;
        self.place = (offset, len);
        self.record = self.record.saturating_add(1);
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
        let (offset, len) = self.place;
        Evidence { stream: self.file_name.clone(), offset, len }
    }

    /// The number of the record at hand, for [`Builder::abandon`].
    pub(crate) fn record_number(&self) -> u32 {
        self.record
    }

    /// The user went back behind the record of this number.
    pub(crate) fn abandon(&mut self, record: u32) {
        let record = record as usize;
        if self.dead.len() <= record {
            self.dead.resize(record + 1, false);
        }
        self.dead[record] = true;
    }

    /// The last `turns` turns of the stream at hand are history no more.
    pub(crate) fn abandon_turns(&mut self, turns: u64) {
        let mut left = turns;
        for event in self.events.iter_mut().rev().filter(|e| e.stream == self.stream) {
            if left == 0 {
                return;
            }
            let begins = matches!(event.body, Body::UserMessage(_)) && !event.abandoned;
            event.abandoned = true;
            left -= u64::from(begins);
        }
        for row in self.rows.iter_mut().rev() {
            if self.groups[row.group as usize].stream != self.stream {
                continue;
            }
            if left == 0 {
                return;
            }
            let begins = row.user && !row.abandoned;
            row.abandoned = true;
            left -= u64::from(begins);
        }
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
        self.records.push((self.record, self.rank));
        let last = self.events.len() - 1;
        &mut self.events[last]
    }

    /// The events so far, in a transcript that is read at once.
    pub(crate) fn events(&mut self) -> &mut Vec<Event> {
        &mut self.events
    }

    /// States what the request `key` took. The last statement of a request replaces the earlier
    /// ones: records that are written while an answer still streams state too little.
    pub(crate) fn usage(&mut self, key: &str, usage: Usage) {
        let evidence = self.evidence();
        let statement = self.statements + self.ledger.len();
        let per_request = usage.basis == Some(event::Basis::PerRequest);
        match self.counted.get(key).copied() {
            Some(Latest { statement: old, event, .. }) => {
                self.uncount(old, Counted::Superseded);
                self.counted.insert(key.to_owned(), Latest { statement, event, per_request });
                self.joint.push((event as u32, self.record));
                match event.checked_sub(self.rows.len()) {
                    Some(at) => {
                        let event = &mut self.events[at];
                        event.body = Body::Usage(usage.clone());
                        event.evidence = Some(evidence.clone());
                        // What is alive anywhere is alive.
                        event.abandoned &= self.abandoned;
                    }
                    None => {
                        self.rows[event].abandoned &= self.abandoned;
                        self.amended.push((event as u32, usage.clone(), evidence.clone()));
                    }
                }
            }
            None => {
                let event = self.rows.len() + self.events.len();
                self.counted.insert(key.to_owned(), Latest { statement, event, per_request });
                self.push(usage.clone());
            }
        }
        let key = key.to_owned();
        self.ledger.push(Statement { key, evidence, usage, counted: Counted::Yes });
    }

    fn uncount(&mut self, statement: usize, counted: Counted) {
        match statement.checked_sub(self.statements) {
            Some(at) => self.ledger[at].counted = counted,
            None => self.uncounted.push((statement as u32, counted)),
        }
    }

    /// Enters a statement that repeats what another record states.
    pub(crate) fn usage_repeated(&mut self, key: &str, usage: Usage) {
        let (key, evidence) = (key.to_owned(), self.evidence());
        self.ledger.push(Statement { key, evidence, usage, counted: Counted::Repeated });
    }

    /// A sum follows that states again all that has been counted since the last sum.
    pub(crate) fn usage_summed_up(&mut self) {
        let summed: Vec<Latest> = self.counted.drain().map(|(_, latest)| latest).collect();
        for latest in summed.into_iter().filter(|latest| latest.per_request) {
            self.uncount(latest.statement, Counted::Repeated);
            self.dropped.push(latest.event);
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

    /// Hands over what has been collected, once there is some.
    pub(crate) fn pass(&mut self, sink: &mut dyn Sink) {
        if self.events.len() + self.amended.len() >= HELD_MAX {
            self.pass_all(sink);
        }
    }

    fn pass_all(&mut self, sink: &mut dyn Sink) {
        let mut events = std::mem::take(&mut self.events);
        let records = std::mem::take(&mut self.records);
        for (event, (record, rank)) in events.drain(..).zip(records) {
            let file = event.evidence.as_ref().map_or("", |e| e.stream.as_str());
            let group = self.group(file, &event.stream);
            self.rows.push(Row {
                time_us: event.time.map_or(i64::MIN, |time| time.unix_us),
                rank,
                record,
                group: group as u32,
                abandoned: event.abandoned,
                user: matches!(event.body, Body::UserMessage(_)),
            });
            sink.event(event);
        }
        self.events = events;
        for (event, usage, evidence) in self.amended.drain(..) {
            sink.usage(event, usage, evidence);
        }
        self.statements += self.ledger.len();
        self.ledger.drain(..).for_each(|statement| sink.statement(statement));
    }

    /// The group of a file and a stream; mostly that of the event before.
    fn group(&mut self, file: &str, stream: &str) -> usize {
        let is_it = |group: &Group| group.stream == stream && group.file == file;
        let last = self.rows.last().map(|row| row.group as usize);
        if let Some(last) = last.filter(|last| is_it(&self.groups[*last])) {
            return last;
        }
        self.groups.iter().position(is_it).unwrap_or_else(|| {
            let (file, stream) = (file.to_owned(), stream.to_owned());
            self.groups.push(Group { file, stream });
            self.groups.len() - 1
        })
    }

    /// The transcript.
    pub(crate) fn finish(self) -> Transcript {
        let mut all = Collected::default();
        let digest = self.settle(&mut all);
        all.transcript(digest)
    }

    /// Hands over the rest. Streams and files are merged by time; within one, records keep their
    /// order (clocks step back, records are written late), so each takes the latest time seen
    /// before it.
    pub(crate) fn settle(mut self, sink: &mut dyn Sink) -> Digest {
        self.pass_all(sink);
        let dead = |record: u32| self.dead.get(record as usize) == Some(&true);
        // What is alive anywhere is alive.
        let alive = self.joint.iter().filter(|(_, record)| !dead(*record));
        let alive: HashSet<u32> = alive.map(|(event, _)| *event).collect();
        let mut order: Vec<u32> = (0..self.rows.len() as u32).collect();
        if !self.rows.is_sorted_by_key(|row| row.rank) {
            order.sort_by_key(|&i| self.rows[i as usize].rank);
        }
        let mut latest = vec![i64::MIN; self.groups.len()];
        for &i in &order {
            let row = &mut self.rows[i as usize];
            let latest = &mut latest[row.group as usize];
            *latest = row.time_us.max(*latest);
            row.time_us = *latest;
        }
        let rows = &self.rows;
        if !order.is_sorted_by_key(|&i| rows[i as usize].time_us) {
            order.sort_by_key(|&i| rows[i as usize].time_us);
        }
        let dropped: HashSet<usize> = self.dropped.iter().copied().collect();
        order.retain(|&i| !dropped.contains(&(i as usize)));
        let keys = order.iter().map(|&i| rows[i as usize].time_us);
        let first_us = keys.into_iter().find(|key| *key != i64::MIN);
        let place = |event: u32| {
            let row = &rows[event as usize];
            let abandoned = row.abandoned || (dead(row.record) && !alive.contains(&event));
            Place { event, abandoned }
        };
        let order = order.into_iter().map(place).collect();
        let (native, notes, uncounted) = (self.native, self.notes, self.uncounted);
        Digest { native, first_us, order, notes, uncounted }
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
    of_ms(value.as_i64(), value.as_f64())
}

/// The same of a value that is not kept.
pub(crate) fn ms_of(value: View<'_>) -> Option<WallTime> {
    of_ms(value.as_i64(), value.as_f64())
}

fn of_ms(whole: Option<i64>, number: Option<f64>) -> Option<WallTime> {
    let ms = whole.or_else(|| number.map(|ms| ms as i64))?;
    Some(WallTime { unix_us: ms.checked_mul(1000)?, offset_s: 0 })
}

/// A time as text, as other agents write it.
pub(crate) fn time_text(value: Option<&Value>) -> Option<WallTime> {
    WallTime::parse_rfc3339(value?.as_str()?)
}
