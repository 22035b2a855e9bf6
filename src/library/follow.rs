//! A session's events as they come.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use super::derive::MARK;
use super::events::{end_of, noted, start_of};
use super::{Library, Session};
use crate::error::Result;
use crate::event::{Event, Source};
use crate::json::Value;
use crate::store::layout::{CONT, MORE};
use crate::store::{Chain, Item, RECORD_LEN_MAX, Reader, StreamId, Why};

/// The events of a session from its start, also while it runs.
/// ```
/// use intentloop::Library;
/// use intentloop::event::{Event, Marker, Source};
/// # use intentloop::session::Meta;
/// # use intentloop::store::{Access, Exit, Store};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = std::env::temp_dir().join(format!("il-doc-follow-{}", std::process::id()));
/// # let own = Library::on(Store::open(&dir, Access::Write)?).begin(Meta::default())?;
/// // In `dir`, a session is being recorded.
/// let library = Library::open_to_change(&dir)?;
/// let running = library.running()?.remove(0);
/// let mut following = library.follow(&running);
/// let kinds = |events: Vec<Event>| -> Vec<String> {
///     events.iter().map(|event| event.body.kind().to_owned()).collect()
/// };
/// assert_eq!(kinds(following.poll()?), ["session_start"]);
///
/// let marker = Marker { text: "here".into(), ..Marker::default() };
/// library.add(&running, &Event::new(Source::User, marker))?;
/// assert_eq!(kinds(following.poll()?), ["marker"]);
/// assert!(!following.is_over());
/// # own.end(Exit::Code(0))?;
/// // Its command has ended.
/// assert_eq!(kinds(following.poll()?), ["session_end"]);
/// assert!(following.is_over());
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Following<'a> {
    library: &'a Library,
    session: Session,
    tape: Whole,
    notes: Whole,
    /// How much was read of each entry that holds additions.
    added: BTreeMap<[u8; 16], usize>,
    /// What was read out of the recording and handed over.
    told: HashSet<u64>,
    /// When the recording is to be read again, while an agent works in it.
    read_at: Option<Instant>,
    seq: u64,
    over: bool,
}

/// A recording that grows is read again no sooner than this,
const READ_EVERY: Duration = Duration::from_secs(1);
/// and takes no more than one part in so many of the time.
const READ_REST: u32 = 20;

impl Library {
    /// Follows a session's events from its start.
    pub fn follow(&self, session: &Session) -> Following<'_> {
        let reader = |chain| Whole::new(self.store.read(&session.entry, chain));
        Following {
            library: self,
            session: session.clone(),
            tape: reader(Chain::Tape),
            notes: reader(Chain::Notes),
            added: BTreeMap::new(),
            told: HashSet::new(),
            read_at: session.agent().map(|_| Instant::now()),
            seq: 0,
            over: false,
        }
    }
}

impl Following<'_> {
    /// The events that came since the last call, in the order of their times and numbered; at
    /// first, all there are. Does not wait. An empty list means that nothing has happened.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn poll(&mut self) -> Result<Vec<Event>> {
        if self.over {
            return Ok(Vec::new());
        }
        let mut events = Vec::new();
        let tape_over = read(&mut self.tape, &self.session, &mut events);
        let notes_over = read(&mut self.notes, &self.session, &mut events);
        self.over = tape_over && notes_over;
        if !self.over && self.read_at.is_some_and(|at| at <= Instant::now()) {
            let began = Instant::now();
            let read = self.library.conversation(&self.session);
            // What is guessed or computed is so anew each time.
            let stated = |e: &Event| matches!(e.source, Source::Transcript | Source::JsonStream);
            let sure = read.into_iter().filter(stated);
            events.extend(sure.map(|event| timed(event, &self.session, 0)));
            let ended = Instant::now();
            self.read_at = Some(ended + ((ended - began) * READ_REST).max(READ_EVERY));
        }
        events.retain(|event| !is_derived(event) || self.told.insert(mark_of(event)));
        self.read_added(&mut events)?;
        events.sort_by_key(|event| event.mono_ns.unwrap_or(0));
        if self.seq == 0 {
            events.insert(0, start_of(&self.session));
        }
        if self.over {
            let session = self.library.find(Some(&self.session.id.to_string()))?;
            events.extend(end_of(&session));
        }
        for event in &mut events {
            self.seq += 1;
            event.seq = self.seq;
        }
        Ok(events)
    }

    /// Whether the session has ended and all of it was handed over.
    pub fn is_over(&self) -> bool {
        self.over
    }

    fn read_added(&mut self, events: &mut Vec<Event>) -> Result<()> {
        for entry in self.library.annexes(&self.session)? {
            let added = self.library.added_in(&entry);
            let seen = self.added.entry(entry.id).or_default();
            events.extend(added.iter().skip(*seen).cloned());
            *seen = added.len();
        }
        Ok(())
    }
}

/// The event with the time since the session's start by which it is put in its place.
fn timed(event: Event, session: &Session, t_us: u64) -> Event {
    let since = event.time.map(|time| time.unix_us - session.meta.started.unix_us);
    let since_us = since.and_then(|us| u64::try_from(us).ok()).unwrap_or(t_us);
    Event { mono_ns: event.mono_ns.or(Some(since_us.saturating_mul(1000))), ..event }
}

/// Whether an event was read out of a recording, rather than noted by the recorder or added.
fn is_derived(event: &Event) -> bool {
    !matches!(event.source, Source::User) && event.evidence.is_some()
}

/// What makes an event the same one when the recording is read again: not its number or turn.
fn mark_of(event: &Event) -> u64 {
    let mut hasher = DefaultHasher::new();
    let time_ms = event.time.map(|time| time.unix_us.div_euclid(1000));
    (event.body.kind(), &event.id, time_ms, &event.stream).hash(&mut hasher);
    Value::from(event.fields()).to_string().hash(&mut hasher);
    hasher.finish()
}

/// The streams that hold events.
const FOLLOWED: [StreamId; 3] = [StreamId::EVENTS, StreamId::CONVERSATION, StreamId::ADDED];

/// Reads what has come of a chain; whether no more will.
fn read(chain: &mut Whole, session: &Session, events: &mut Vec<Event>) -> bool {
    loop {
        let event = match chain.next() {
            Next::Record(StreamId::EVENTS, t_us, note) => noted(session, t_us, Source::Pty, &note),
            Next::Record(StreamId::CONVERSATION, _, line) if line == MARK => {
                // What follows takes the place of what was read out of the recording before.
                events.retain(|event| !is_derived(event));
                None
            }
            Next::Record(StreamId::CONVERSATION | StreamId::ADDED, t_us, line) => {
                Event::parse_line(&line).map(|event| timed(event, session, t_us))
            }
            Next::Record(..) => None,
            Next::Gap(t_us, bytes) => {
                let note = format!("{{\"kind\":\"gap\",\"bytes\":{bytes}}}");
                noted(session, t_us, Source::Pty, note.as_bytes())
            }
            Next::Tail => return false,
            Next::End => return true,
        };
        events.extend(event);
    }
}

/// A chain read record by record, each whole, also where the rest of one is still to come.
#[derive(Debug)]
struct Whole {
    reader: Reader,
    at_us: u64,
    begun: Option<(StreamId, Vec<u8>)>,
}

enum Next {
    Record(StreamId, u64, Vec<u8>),
    Gap(u64, u64),
    Tail,
    End,
}

impl Whole {
    fn new(reader: Reader) -> Whole {
        Whole { reader, at_us: 0, begun: None }
    }

    fn next(&mut self) -> Next {
        loop {
            match self.reader.next() {
                Item::Frame { stream, t_us, bytes, flags } => {
                    self.at_us = t_us;
                    if !FOLLOWED.contains(&stream) {
                        continue;
                    }
                    let begun = self.begun.take().filter(|(s, _)| *s == stream);
                    let mut whole = match (flags & CONT != 0, begun) {
                        (true, Some((_, whole))) => whole,
                        // A continuation whose beginning is lost belongs to no record.
                        (true, None) => continue,
                        (false, _) => Vec::new(),
                    };
                    whole.extend_from_slice(bytes);
                    if flags & MORE == 0 {
                        return Next::Record(stream, t_us, whole);
                    }
                    self.begun = Some((stream, whole)).filter(|(_, w)| w.len() < RECORD_LEN_MAX);
                }
                Item::Gap { bytes, why } => {
                    self.begun = None;
                    if why != Why::Pruned {
                        return Next::Gap(self.at_us, bytes);
                    }
                }
                Item::Tail => return Next::Tail,
                Item::End => return Next::End,
            }
        }
    }
}
