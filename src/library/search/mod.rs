//! Words looked for in sessions: in what was said, thought, called, shown and typed.

mod many;
mod needle;
mod scan;
#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::io;
use std::ops::Range;

use super::text::Kept;
use super::{Library, Session};
use crate::agent::keys::{Keys, Typed};
use crate::event::{Body, Event};
use crate::json::Value;
use crate::store::{Source, Unchecked};
use crate::sys::time;
use crate::time::WallTime;
pub use many::{THREADS_MAX, Told};
pub(super) use needle::Needle;
use scan::Scan;

/// Most bytes of a line that a hit carries.
pub const LINE_LEN_MAX: usize = 4096;

/// Most bytes of what was said that are remembered to know it again on the screen.
const SAID_LEN_MAX: usize = 4 << 20;

/// Most bytes that are compared for that; what comes later is told twice.
const COMPARED_LEN_MAX: usize = 512 << 20;

/// Where words are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// What the user and the agent said to each other.
    Conversation,
    /// What the agent thought.
    Thoughts,
    /// What tools were asked and what they answered.
    Tools,
    /// What a person saw.
    Screen,
    /// What was typed.
    Keys,
}

impl Place {
    /// All of them, with their names.
    pub const NAMES: [(Place, &'static str); 5] = [
        (Place::Conversation, "conversation"),
        (Place::Thoughts, "thoughts"),
        (Place::Tools, "tools"),
        (Place::Screen, "screen"),
        (Place::Keys, "keys"),
    ];

    /// Those that events tell of.
    const OF_EVENTS: [Place; 3] = [Place::Conversation, Place::Thoughts, Place::Tools];

    /// The name.
    pub fn name(self) -> &'static str {
        Place::NAMES.iter().find(|(place, _)| *place == self).map_or("", |(_, name)| name)
    }
}

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Query {
    /// The longest first, for it is the rarest.
    needles: Vec<Needle>,
    places: Vec<Place>,
    context: usize,
}

impl Query {
    /// All of `words`, which may have blanks in them: within one message, or on lines of the
    /// screen that are near each other. A word without capitals is found in any case. Looks in
    /// `places`, or everywhere if there are none, and takes `context` lines before and after.
    /// None if there is no word.
    pub fn new(words: &[String], places: &[Place], context: usize) -> Option<Query> {
        let mut needles: Vec<Needle> = words.iter().filter_map(|word| Needle::new(word)).collect();
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
        let all = Place::NAMES.map(|(place, _)| place);
        let places = if places.is_empty() { all.to_vec() } else { places.to_vec() };
        (!needles.is_empty()).then_some(Query { needles, places, context })
    }

    /// Every place in `text` where a word is, in order, none in another.
    pub fn spans(&self, text: &str) -> Vec<Range<usize>> {
        let mut spans = Vec::new();
        for needle in &self.needles {
            let mut from = 0;
            while let Some(found) = needle.find(text.as_bytes(), from) {
                from = found.end;
                spans.push(found);
            }
        }
        spans.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
        let mut end = 0;
        spans.retain(|span| {
            let apart = span.start >= end;
            end = end.max(span.end);
            apart
        });
        spans
    }

    fn looks_in(&self, place: Place) -> bool {
        self.places.contains(&place)
    }
}

/// A place where the words are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Where.
    pub place: Place,
    /// The kind of event that has them, if one does.
    pub kind: Option<String>,
    /// When.
    pub time: Option<WallTime>,
    /// The turn, from 1.
    pub turn: Option<u32>,
    /// The line with the first of them, at most [`LINE_LEN_MAX`] bytes of it.
    pub line: String,
    /// The lines before it, as many as were asked for.
    pub before: Vec<String>,
    /// The lines after it.
    pub after: Vec<String>,
}

impl Library {
    /// Hands over every place of a session where the words are: what was said, in its order, then
    /// what was shown and typed besides. `take` says whether it wants more.
    pub fn search(&self, session: &Session, query: &Query, take: &mut dyn FnMut(Hit) -> bool) {
        let mut search = Search {
            library: self,
            session,
            query,
            said: Vec::new(),
            shown: Vec::new(),
            said_len: 0,
            compared_len: 0,
            turns: OnceCell::new(),
            take,
            wanted: true,
        };
        if Place::OF_EVENTS.iter().any(|place| query.looks_in(*place)) {
            search.events();
        }
        if query.looks_in(Place::Screen) && search.wanted {
            search.text();
        }
        if query.looks_in(Place::Keys) && search.wanted {
            let mut keys = Keys::new();
            self.keystrokes(session, &mut |t_us, bytes| {
                keys.feed(bytes, &mut |typed| {
                    if let Typed::Line { text, .. } = typed
                        && let Some(found) = scan::whole(query, &text)
                    {
                        search.typed(t_us, found);
                    }
                });
            });
        }
    }
}

/// The lines of a hit, before it is known whose they are.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    line: String,
    before: Vec<String>,
    after: Vec<String>,
}

struct Search<'a> {
    library: &'a Library,
    session: &'a Session,
    query: &'a Query,
    /// Letters and digits of what was said where the words are.
    said: Vec<String>,
    /// The same of what was shown besides.
    shown: Vec<String>,
    said_len: usize,
    compared_len: usize,
    /// The first times of turns, rising, and their numbers. Read when a hit wants to know its own:
    /// most sessions have none.
    turns: OnceCell<Vec<(i64, u32)>>,
    take: &'a mut dyn FnMut(Hit) -> bool,
    wanted: bool,
}

impl Search<'_> {
    fn events(&mut self) {
        let events = self.library.events(self.session);
        self.turns = OnceCell::from(turns(&events));
        for event in &events {
            let Some((place, text)) = text_of(&event.body) else { continue };
            if !self.wanted || !self.query.looks_in(place) {
                continue;
            }
            let Some(found) = scan::whole(self.query, &text) else { continue };
            let hit = Hit {
                place,
                kind: Some(event.body.kind().to_owned()),
                time: event.time.map(|time| time::local(time.unix_us)),
                turn: event.turn,
                line: found.line,
                before: found.before,
                after: found.after,
            };
            let letters = letters(&text);
            if self.remember(&letters) {
                self.said.push(letters);
            }
            self.wanted = (self.take)(hit);
        }
    }

    fn text(&mut self) {
        let kept = self.library.kept(self.session);
        let source = kept.as_ref().map(Kept::source);
        let mut scan = Scan::new(self.query);
        let told = match (kept, &source) {
            (Some(kept), Some(source)) => kept.each_unchecked(&mut |t_us, text, unchecked| {
                let doubt = unchecked.map(|frame| Doubt { frame, source });
                scan.feed(t_us, text, doubt, &mut |t_us, found| self.seen(t_us, found));
                self.go_on()
            }),
            _ => self.library.settled(self.session, &mut |t_us, text| {
                scan.feed(t_us, text, None, &mut |t_us, found| self.seen(t_us, found));
                self.go_on()
            }),
        };
        if told.is_ok() {
            scan.finish(&mut |t_us, found| self.seen(t_us, found));
        }
    }

    fn seen(&mut self, t_us: u64, found: Found) {
        let letters = letters(&found.line);
        if self.is_told(&letters, false) {
            return;
        }
        if self.remember(&letters) {
            self.shown.push(letters);
        }
        self.besides(Place::Screen, t_us, found);
    }

    fn typed(&mut self, t_us: u64, found: Found) {
        let letters = letters(&found.line);
        if !self.is_told(&letters, true) {
            self.besides(Place::Keys, t_us, found);
        }
    }

    /// What was said is also on the screen, and the prompt was typed: once is enough.
    fn is_told(&mut self, letters: &str, or_shown: bool) -> bool {
        if self.compared_len > COMPARED_LEN_MAX {
            return false;
        }
        self.compared_len += self.said_len;
        let shown = if or_shown { &self.shown[..] } else { &[] };
        self.said.iter().chain(shown).any(|told| told.contains(letters))
    }

    /// Whether there is room to keep what was told.
    fn remember(&mut self, letters: &str) -> bool {
        self.said_len += letters.len();
        self.said_len <= SAID_LEN_MAX
    }

    fn besides(&mut self, place: Place, t_us: u64, found: Found) {
        if !self.wanted {
            return;
        }
        let since = i64::try_from(t_us).unwrap_or(i64::MAX);
        let unix_us = self.session.meta.started.unix_us.saturating_add(since);
        let hit = Hit {
            place,
            kind: None,
            time: Some(time::local(unix_us)),
            turn: self.turn_at(unix_us),
            line: found.line,
            before: found.before,
            after: found.after,
        };
        self.wanted = (self.take)(hit);
    }

    fn turn_at(&self, unix_us: i64) -> Option<u32> {
        let turns = self.turns.get_or_init(|| turns(&self.library.events(self.session)));
        let begun = turns.partition_point(|(start_us, _)| *start_us <= unix_us);
        Some(turns[begun.checked_sub(1)?].1)
    }

    fn go_on(&self) -> io::Result<()> {
        if self.wanted { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
    }
}

/// A piece of text of which it is not known yet whether it is what was written.
#[derive(Clone, Copy, Debug)]
struct Doubt<'a> {
    frame: Unchecked,
    source: &'a Source,
}

impl scan::Doubt for Doubt<'_> {
    fn holds(&self, piece: &[u8]) -> bool {
        self.frame.holds(piece)
    }

    fn again(&self) -> Option<Vec<u8>> {
        self.source.read(&self.frame)
    }
}

fn turns(events: &[Event]) -> Vec<(i64, u32)> {
    let mut turns: Vec<(i64, u32)> = Vec::new();
    for event in events {
        let (Some(time), Some(turn)) = (event.time, event.turn) else { continue };
        if turns.last().is_none_or(|(last_us, last)| time.unix_us >= *last_us && turn > *last) {
            turns.push((time.unix_us, turn));
        }
    }
    turns
}

/// What a piece of text comes down to however it is wrapped and decorated.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// The words of an event, and where they belong.
fn text_of(body: &Body) -> Option<(Place, String)> {
    use Place::{Conversation, Thoughts, Tools};
    let some = |text: &Option<String>| text.clone().unwrap_or_default();
    let (place, text) = match body {
        Body::SessionStart(e) => (Conversation, e.argv.join(" ")),
        Body::UserMessage(e) => (Conversation, e.text.clone()),
        Body::AssistantMessage(e) => (Conversation, e.text.clone()),
        Body::Question(e) => (Conversation, format!("{}\n{}", e.text, e.options.join("\n"))),
        Body::Answer(e) => (Conversation, e.answer.clone()),
        Body::SubagentStart(e) => (Conversation, some(&e.prompt)),
        Body::SubagentEnd(e) => (Conversation, some(&e.result)),
        Body::Context(e) => (Conversation, some(&e.summary)),
        Body::Critic(e) => {
            let mut lines = vec![some(&e.summary), some(&e.feedback)];
            lines.extend(e.issues.iter().cloned());
            (Conversation, lines.join("\n"))
        }
        Body::Marker(e) => (Conversation, e.text.clone()),
        Body::Plan(e) => (Conversation, strings(&e.items)),
        Body::Thought(e) => (Thoughts, e.text.clone()),
        Body::ToolCall(e) => {
            (Tools, format!("{} {}\n{}", e.name, some(&e.title), strings(&e.args)))
        }
        Body::ToolResult(e) => (Tools, format!("{}\n{}", e.text, some(&e.error))),
        Body::Approval(e) => (Tools, e.ask.clone()),
        Body::FileChange(e) => (Tools, e.path.clone()),
        Body::ApiError(e) => (Tools, e.message.clone()),
        Body::Failure(e) => (Tools, e.message.clone()),
        _ => return None,
    };
    Some((place, text))
}

/// Every string in a value, a line each.
fn strings(value: &Value) -> String {
    let mut out = String::new();
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => {
                out.push_str(text);
                out.push('\n');
            }
            // The last one put in is the first one looked at.
            Value::Array(items) => open.extend(items.iter().rev()),
            Value::Object(members) => {
                let at = open.len();
                open.extend(members.iter().map(|(_, value)| value));
                open[at..].reverse();
            }
            _ => {}
        }
    }
    out
}
