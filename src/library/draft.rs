//! The events of a session while they are put in order. A transcript may have a hundred thousand of
//! them: their lines lie in a spool, and what is at hand is a row of numbers for each.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::agent::dialog::{self, Joined};
use crate::agent::{Digest, Sink, Statement, thinking};
use crate::event::{
    Body, Event, Evidence, Friction, Number, Part, Refusals, Source, StopReason, TurnEnd, Usage,
    numbers,
};
use crate::format::text;
use crate::session::Derived;
use crate::time::WallTime;

/// How long after a press of Esc a transcript may tell what was going on at that moment, in
/// microseconds.
const ESCAPE_US: i64 = 2_000_000;
/// The longest that a spool grows in memory; then it goes on in a file without a name.
pub const SPOOL_HELD_MAX: usize = 1 << 20;

/// Lines of events, added at the end and read back one by one.
#[derive(Debug)]
struct Spool {
    dir: PathBuf,
    /// What was written before `held`, if there is such a file.
    file: Option<File>,
    written: u64,
    held: Vec<u8>,
}

/// Where a line lies.
#[derive(Clone, Copy, Debug)]
struct Span {
    at: u64,
    len: u32,
}

impl Spool {
    /// A spool whose file, if it comes to one, is in `dir`.
    fn new(dir: &Path) -> Spool {
        Spool { dir: dir.to_owned(), file: None, written: 0, held: Vec::new() }
    }

    fn add(&mut self, event: &Event) -> Span {
        let mut line = String::new();
        event.write_line(&mut line);
        let len = u32::try_from(line.len()).unwrap_or(0);
        let span = Span { at: self.written + self.held.len() as u64, len };
        if self.held.len() + line.len() > SPOOL_HELD_MAX && !self.held.is_empty() {
            self.spill();
        }
        self.held.extend_from_slice(line.as_bytes());
        span
    }

    /// Moves what is held to the file. Where there can be none, it stays in memory.
    fn spill(&mut self) {
        if self.file.is_none() {
            self.file = nameless(&self.dir).or_else(|_| nameless(&std::env::temp_dir())).ok();
        }
        let Some(file) = &self.file else { return };
        if file.write_all_at(&self.held, self.written).is_ok() {
            self.written += self.held.len() as u64;
            self.held.clear();
        }
    }

    fn event(&self, span: Span) -> Option<Event> {
        let len = span.len as usize;
        match span.at.checked_sub(self.written) {
            Some(at) => {
                let at = usize::try_from(at).ok()?;
                Event::parse_line(self.held.get(at..at.checked_add(len)?)?)
            }
            None => {
                let mut line = vec![0; len];
                self.file.as_ref()?.read_exact_at(&mut line, span.at).ok()?;
                Event::parse_line(&line)
            }
        }
    }
}

/// A new file that goes away with its descriptor.
fn nameless(dir: &Path) -> io::Result<File> {
    let path = dir.join(format!(".spool-{}", std::process::id()));
    // Of a process that had this number and was killed between the next two steps.
    let _ = fs::remove_file(&path);
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

/// What kind of event a row stands for, as far as the order and the sums ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Thought,
    /// A thought of which only the fact is known.
    Hidden,
    Call,
    Result,
    Approval,
    Answer,
    TurnEnd(Option<StopReason>),
    /// Ends its turn with this, if nothing after it does.
    Stops(StopReason),
    /// The start or the end of the agent's own session.
    Bounds,
    Other,
}

/// One event.
#[derive(Clone, Copy, Debug)]
struct Row {
    line: Span,
    /// When, in microseconds since 1970; `i64::MIN` where nobody says.
    us: i64,
    part: Part,
    kind: Kind,
    abandoned: bool,
    /// It was read from what the run has added.
    fresh: bool,
    /// Stands for the id that links a call, its result and its approval; 0 where there is none.
    link: u64,
    /// How long the agent waited, in milliseconds.
    waited_ms: u32,
}

fn link_of(id: Option<&String>) -> u64 {
    let hash = |id: &String| {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        hasher.finish() | 1
    };
    id.map_or(0, hash)
}

impl Row {
    fn new(event: &Event, line: Span) -> Row {
        let part = Part::of(event);
        let main = part != Part::Beside;
        let (mut link, mut waited_ms) = (0, 0);
        let ms = |waited: Option<u64>| u32::try_from(waited.unwrap_or(0)).unwrap_or(u32::MAX);
        let kind = match &event.body {
            Body::Thought(thought) if thought.text.trim().is_empty() => Kind::Hidden,
            Body::Thought(_) => Kind::Thought,
            Body::ToolCall(call) => {
                link = link_of(call.call_id.as_ref());
                Kind::Call
            }
            Body::ToolResult(result) => {
                link = link_of(result.call_id.as_ref());
                Kind::Result
            }
            Body::Approval(approval) => {
                link = link_of(approval.call_id.as_ref());
                waited_ms = ms(approval.waited_ms);
                Kind::Approval
            }
            Body::Answer(answer) => {
                waited_ms = ms(answer.waited_ms);
                Kind::Answer
            }
            Body::TurnEnd(end) => Kind::TurnEnd(end.stop_reason),
            Body::AssistantMessage(m) if m.is_final && main => Kind::Stops(StopReason::EndTurn),
            Body::ApiError(error) if !error.retry && main => Kind::Stops(StopReason::Error),
            Body::Interrupt(_) if main => Kind::Stops(StopReason::Cancelled),
            Body::SessionStart(_) | Body::SessionEnd(_) => Kind::Bounds,
            _ => Kind::Other,
        };
        Row {
            line,
            us: event.time.map_or(i64::MIN, |time| time.unix_us),
            part,
            kind,
            abandoned: event.abandoned,
            fresh: true,
            link,
            waited_ms,
        }
    }

    fn time_us(&self) -> Option<i64> {
        (self.us != i64::MIN).then_some(self.us)
    }
}

/// Whether evidence is of the run, and the session's own name for its stream put in.
pub(super) type Here<'a> = dyn Fn(&mut Evidence) -> bool + 'a;

/// Events that are put in order.
#[derive(Debug)]
pub(super) struct Draft {
    spool: Spool,
    rows: Vec<Row>,
    /// Where each chapter that was taken begins.
    chapters: Vec<usize>,
    /// Every statement of usage, if they are wanted.
    pub ledger: Option<Vec<Statement>>,
}

/// Takes the events of one transcript into a draft.
struct Intake<'a> {
    draft: &'a mut Draft,
    here: &'a Here<'a>,
    rows: Vec<Row>,
    ledger: Vec<Statement>,
}

impl Sink for Intake<'_> {
    fn event(&mut self, mut event: Event) {
        let fresh = event.evidence.as_mut().is_none_or(self.here);
        event.also.iter_mut().for_each(|also| {
            (self.here)(also);
        });
        let line = self.draft.spool.add(&event);
        self.rows.push(Row { fresh, ..Row::new(&event, line) });
    }

    fn usage(&mut self, event: u32, usage: Usage, mut evidence: Evidence) {
        let Some(row) = self.rows.get_mut(event as usize) else { return };
        let Some(mut event) = self.draft.spool.event(row.line) else { return };
        row.fresh = (self.here)(&mut evidence);
        event.evidence = Some(evidence);
        event.body = usage.into();
        row.line = self.draft.spool.add(&event);
    }

    fn statement(&mut self, statement: Statement) {
        if self.draft.ledger.is_some() {
            self.ledger.push(statement);
        }
    }
}

/// What was read of one transcript: its events are in the draft, and in none of its lists yet.
#[derive(Debug)]
pub(super) struct Chapter {
    rows: Vec<Row>,
    ledger: Vec<Statement>,
}

impl Chapter {
    /// Whether the run has added nothing.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Draft {
    /// No events. A spool that grows long has its file in `dir`.
    pub fn new(dir: &Path, ledger: bool) -> Draft {
        let ledger = ledger.then(Vec::new);
        Draft { spool: Spool::new(dir), rows: Vec::new(), chapters: Vec::new(), ledger }
    }

    /// Those of a list, in its order.
    pub fn of(dir: &Path, events: &[Event]) -> Draft {
        let mut draft = Draft::new(dir, false);
        events.iter().for_each(|event| draft.push(event));
        draft
    }

    /// Adds an event at the end.
    pub fn push(&mut self, event: &Event) {
        let line = self.spool.add(event);
        self.rows.push(Row::new(event, line));
    }

    /// Reads a transcript by `read`, which hands the events to the sink it is given, and keeps what
    /// happened from `earliest_us` on and was read `here`.
    pub fn read(
        &mut self,
        here: &Here<'_>,
        earliest_us: i64,
        read: &mut dyn FnMut(&mut dyn Sink) -> Digest,
    ) -> (Chapter, Digest) {
        let mut intake = Intake { draft: self, here, rows: Vec::new(), ledger: Vec::new() };
        let digest = read(&mut intake);
        let Intake { rows: all, mut ledger, .. } = intake;
        for (at, counted) in &digest.uncounted {
            if let Some(statement) = ledger.get_mut(*at as usize) {
                statement.counted = *counted;
            }
        }
        ledger.retain_mut(|statement| here(&mut statement.evidence));
        let mut rows: Vec<Row> = digest
            .order
            .iter()
            .map(|place| Row { abandoned: place.abandoned, ..all[place.event as usize] })
            .collect();
        drop(all);
        self.name_approvals(&mut rows);
        rows.retain(|row| {
            row.fresh
                && row.time_us().is_none_or(|us| us >= earliest_us)
                && row.kind != Kind::Bounds
        });
        (Chapter { rows, ledger }, digest)
    }

    /// Most agents do not store what they asked; the call they asked for tells.
    fn name_approvals(&mut self, rows: &mut [Row]) {
        for at in 0..rows.len() {
            let row = rows[at];
            if row.kind != Kind::Approval || row.link == 0 {
                continue;
            }
            let Some(mut event) = self.spool.event(row.line) else { continue };
            let Body::Approval(approval) = &mut event.body else { continue };
            let is_call = |r: &&Row| r.kind == Kind::Call && r.link == row.link;
            if !approval.ask.is_empty() {
                continue;
            }
            let call = rows.iter().rev().find(is_call).and_then(|r| self.spool.event(r.line));
            if let Some(Event { body: Body::ToolCall(call), .. }) = call {
                let title = call.title.as_deref().unwrap_or_default();
                approval.ask = format!("{} {title}", call.name).trim_end().to_owned();
                rows[at].line = self.spool.add(&event);
            }
        }
    }

    /// The first prompt of a chapter.
    pub fn prompt(&self, chapter: &Chapter) -> Option<String> {
        let said = |row: &&Row| matches!(row.part, Part::Said | Part::Command);
        let event = chapter.rows.iter().find(said).and_then(|row| self.spool.event(row.line))?;
        match event.body {
            Body::UserMessage(message) => Some(message.text),
            _ => None,
        }
    }

    /// Takes a chapter in; [`Draft::merge`] comes after the last.
    pub fn take(&mut self, chapter: Chapter) {
        self.chapters.push(self.rows.len());
        match self.rows.is_empty() {
            true => self.rows = chapter.rows,
            false => self.rows.extend(chapter.rows),
        }
        if let Some(ledger) = &mut self.ledger {
            ledger.extend(chapter.ledger);
        }
    }

    /// Brings the events of several chapters into the order of time. Each keeps its own order: an
    /// event without a time, or with an earlier one, goes with the one before it.
    pub fn merge(&mut self) {
        if self.chapters.len() < 2 {
            return;
        }
        let mut chapters = self.chapters.iter().copied().peekable();
        let mut latest = i64::MIN;
        let mut keyed = Vec::with_capacity(self.rows.len());
        for (at, row) in self.rows.drain(..).enumerate() {
            while chapters.next_if(|begin| *begin <= at).is_some() {
                latest = i64::MIN;
            }
            latest = latest.max(row.us);
            keyed.push((latest, row));
        }
        keyed.sort_by_key(|(key, _)| *key);
        self.rows.extend(keyed.into_iter().map(|(_, row)| row));
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Brings what the screen showed into it: see [`dialog::join`].
    pub fn join(&mut self, seen: Vec<Event>) {
        for mut seen in seen {
            let near = self.near(&seen);
            let found: Vec<(usize, Event)> =
                near.into_iter().filter_map(|at| Some((at, self.event(&self.rows[at])?))).collect();
            let (places, mut events): (Vec<usize>, Vec<Event>) = found.into_iter().unzip();
            match dialog::join(&mut events, &mut seen) {
                Joined::Into(at) => {
                    let row = &mut self.rows[places[at]];
                    row.line = self.spool.add(&events[at]);
                    let Row { part, kind, link, waited_ms, .. } = Row::new(&events[at], row.line);
                    *row = Row { part, kind, link, waited_ms, ..*row };
                }
                Joined::After(at) => self.insert(places[at] + 1, &seen),
                Joined::Alone => self.insert_by_time(&seen),
            }
        }
    }

    /// Takes presses of Esc for what stopped the agent, where it was at work and did nothing more,
    /// and its transcript has no word of that.
    pub fn interrupt(&mut self, escapes: Vec<Event>) {
        for escape in escapes {
            let us = escape.time.map_or(i64::MIN, |time| time.unix_us);
            let not_later = |row: &Row| row.us != i64::MIN && row.us <= us;
            let before = self.rows.iter().rposition(not_later).map_or(0, |at| at + 1);
            let (before, after) = self.rows.split_at(before);
            if was_at_work(before) && stops_silently(after, us) {
                // What there was of an answer is written after the key was pressed.
                let turn = after.iter().take_while(|row| !is_prompt(row));
                let answer = turn.enumerate().filter(|(_, row)| row.part == Part::Answer).last();
                match answer.map(|(at, _)| before.len() + at + 1) {
                    Some(at) => self.insert(at, &escape),
                    None => self.insert_by_time(&escape),
                }
            }
        }
    }

    /// Whether the main conversation has thoughts of which only the fact is known.
    pub fn hides_thoughts(&self) -> bool {
        self.rows.iter().any(|row| row.kind == Kind::Hidden && row.part != Part::Beside)
    }

    /// Gives thoughts of which a transcript keeps nothing what the screen showed of them.
    pub fn uncover(&mut self, seen: Vec<Event>) {
        let is_thought = |row: &Row| matches!(row.kind, Kind::Thought | Kind::Hidden);
        let mine = |row: &Row| is_thought(row) && row.part != Part::Beside && !row.abandoned;
        let places: Vec<usize> = (0..self.rows.len()).filter(|at| mine(&self.rows[*at])).collect();
        let thoughts: Vec<Option<i64>> = places.iter().map(|at| self.rows[*at].time_us()).collect();
        let us = |event: &Event| event.time.map_or(i64::MIN, |time| time.unix_us);
        let times: Vec<i64> = seen.iter().map(us).collect();
        for (seen, thought) in seen.into_iter().zip(thinking::join(&thoughts, &times)) {
            let Some(at) = thought.map(|thought| places[thought]) else { continue };
            // What the transcript says itself stays.
            if self.rows[at].kind != Kind::Hidden {
                continue;
            }
            let Some(mut event) = self.spool.event(self.rows[at].line) else { continue };
            let (Body::Thought(thought), Body::Thought(shown)) = (&mut event.body, seen.body)
            else {
                continue;
            };
            (thought.text, thought.form) = (shown.text, shown.form);
            event.source = seen.source;
            event.conf = event.conf.min(seen.conf);
            event.also.extend(std::mem::replace(&mut event.evidence, seen.evidence));
            self.rows[at].line = self.spool.add(&event);
            self.rows[at].kind = Kind::Thought;
        }
    }

    fn insert(&mut self, at: usize, event: &Event) {
        let line = self.spool.add(event);
        self.rows.insert(at, Row::new(event, line));
    }

    /// Behind the last event that is not later, and those of unknown time that follow it.
    pub fn insert_by_time(&mut self, event: &Event) {
        let us = event.time.map_or(i64::MIN, |time| time.unix_us);
        let place = self.rows.iter().rposition(|row| row.us != i64::MIN && row.us <= us);
        let place = place.map_or(0, |at| at + 1);
        let untimed = self.rows[place..].iter().take_while(|row| row.us == i64::MIN).count();
        self.insert(if place == 0 { 0 } else { place + untimed }, event);
    }

    /// The calls and approvals that a dialog may be about: those near it in time, and what is
    /// linked with them.
    fn near(&self, seen: &Event) -> Vec<usize> {
        let asks = |row: &Row| matches!(row.kind, Kind::Call | Kind::Approval);
        let near = |row: &Row| match (row.time_us(), seen.time) {
            (Some(us), Some(time)) => us.abs_diff(time.unix_us) <= dialog::JOIN_US.unsigned_abs(),
            _ => true,
        };
        let rows = || self.rows.iter().filter(|row| asks(row));
        let links: HashSet<u64> =
            rows().filter(|row| row.link != 0 && near(row)).map(|row| row.link).collect();
        let wanted = |row: &Row| asks(row) && (near(row) || links.contains(&row.link));
        (0..self.rows.len()).filter(|at| wanted(&self.rows[*at])).collect()
    }

    /// The turn and step of every event.
    fn numbers(&self) -> Vec<Number> {
        let parts: Vec<Part> = self.rows.iter().map(|row| row.part).collect();
        numbers(&parts)
    }

    /// Says at the end of each turn how its time was spent, and returns the sums: the agent's work,
    /// its tools, the waits for the user.
    pub fn split(&mut self) -> [u64; 3] {
        let numbers = self.numbers().into_iter().enumerate();
        let starts: Vec<usize> = numbers.filter(|(_, n)| n.begins).map(|(at, _)| at).collect();
        let rows = std::mem::take(&mut self.rows);
        let mut sums = [0; 3];
        let before = starts.first().copied().unwrap_or(rows.len());
        let mut all = Vec::with_capacity(rows.len() + starts.len());
        all.extend_from_slice(&rows[..before]);
        let ends = starts.iter().skip(1).copied().chain([rows.len()]);
        for (start, end) in starts.iter().zip(ends) {
            let turn = &rows[*start..end];
            let from = all.len();
            all.extend_from_slice(turn);
            let Some(parts) = parts_of(turn) else { continue };
            sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
            let last = turn.iter().rposition(|row| matches!(row.kind, Kind::TurnEnd(_)));
            match last {
                Some(at) => self.state(&mut all[from + at], parts),
                None => all.extend(self.turn_end(turn, parts)),
            }
        }
        self.rows = all;
        sums
    }

    /// Says in the event at a turn's end how the time was spent.
    fn state(&mut self, row: &mut Row, parts: [u64; 3]) {
        let Some(mut event) = self.spool.event(row.line) else { return };
        if let Body::TurnEnd(end) = &mut event.body {
            [end.agent_ms, end.tool_ms, end.blocked_ms] = parts.map(Some);
            row.line = self.spool.add(&event);
        }
    }

    /// An event of its own for the end of a turn that nobody has stated.
    fn turn_end(&mut self, turn: &[Row], parts: [u64; 3]) -> Option<Row> {
        let [agent_ms, tool_ms, blocked_ms] = parts.map(Some);
        let stop_reason = stop_reason(turn);
        let end = TurnEnd { stop_reason, agent_ms, tool_ms, blocked_ms, ..Default::default() };
        let ended = turn.iter().map(|row| row.us).max().filter(|us| *us != i64::MIN);
        let evidence = self.spool.event(turn.last()?.line).and_then(|event| event.evidence);
        let event = Event {
            time: ended.map(|unix_us| WallTime { unix_us, offset_s: 0 }),
            abandoned: turn.first()?.abandoned,
            evidence,
            ..Event::new(Source::Derived, end)
        };
        let line = self.spool.add(&event);
        Some(Row::new(&event, line))
    }

    /// The event of a row, with what the row knows better.
    fn event(&self, row: &Row) -> Option<Event> {
        let mut event = self.spool.event(row.line)?;
        event.abandoned = row.abandoned;
        // A line holds milliseconds.
        if let (Some(time), Some(unix_us)) = (&mut event.time, row.time_us()) {
            time.unix_us = unix_us;
        }
        Some(event)
    }

    /// Hands every event on in its order, as one of session `id` that began at `started`, and
    /// returns what can be counted.
    ///
    /// # Errors
    /// What `take` returns.
    pub fn each<E>(
        &self,
        id: &str,
        started: WallTime,
        take: &mut dyn FnMut(Event) -> Result<(), E>,
    ) -> Result<Derived, E> {
        let mut derived = Derived::default();
        let (mut costs, mut unpriced) = (None, false);
        let (mut friction, mut refusals) = (Friction::default(), Refusals::default());
        let mut telling = self.telling(id, started);
        while let Some((event, begins)) = telling.next(self) {
            derived.counts.add(&event, begins, &mut refusals);
            friction.add(&event);
            if let Body::Usage(usage) = &event.body {
                match usage.cost_microusd {
                    Some(cost) => costs = Some(costs.unwrap_or(0u64).saturating_add(cost)),
                    None => unpriced = true,
                }
            }
            if derived.prompt.is_none() {
                derived.prompt = text::first_prompt(std::slice::from_ref(&event));
            }
            take(event)?;
        }
        derived.cost_microusd = costs.filter(|_| !unpriced);
        derived.friction = Some(friction);
        Ok(derived)
    }

    /// To hand out the events in their order, as those of session `id` that began at `started`.
    pub fn telling(&self, id: &str, started: WallTime) -> Telling {
        Telling { id: id.to_owned(), started, numbers: self.numbers(), at: 0, seq: 0 }
    }
}

/// Hands out the events of a draft.
#[derive(Debug)]
pub(super) struct Telling {
    id: String,
    started: WallTime,
    numbers: Vec<Number>,
    at: usize,
    seq: u64,
}

impl Telling {
    /// The next event of the draft that it was made for, and whether it begins a turn.
    pub fn next(&mut self, draft: &Draft) -> Option<(Event, bool)> {
        loop {
            let (row, number) = (draft.rows.get(self.at)?, self.numbers.get(self.at)?);
            self.at += 1;
            let Some(mut event) = draft.event(row) else { continue };
            (event.turn, event.step) = (number.turn, number.step);
            self.seq += 1;
            event.seq = self.seq;
            self.id.clone_into(&mut event.session);
            if let (None, Some(time)) = (event.mono_ns, event.time) {
                let since_us = u64::try_from(time.unix_us - self.started.unix_us).ok();
                event.mono_ns = since_us.and_then(|us| us.checked_mul(1000));
            }
            // Transcripts state times of any zone; the session has one.
            let offset_s = self.started.offset_s;
            event.time = event.time.map(|time| WallTime { offset_s, ..time });
            return Some((event, number.begins));
        }
    }
}

/// Whether these events end with something that the agent has yet to answer, or is doing.
fn was_at_work(rows: &[Row]) -> bool {
    let of_main = |row: &&Row| match row.part {
        Part::Said | Part::Answer | Part::Asks => true,
        // An interrupt, or the end of a turn.
        _ => matches!(row.kind, Kind::TurnEnd(_) | Kind::Stops(_)),
    };
    rows.iter().rev().find(of_main).is_some_and(|row| {
        let works = [Kind::Thought, Kind::Hidden, Kind::Call, Kind::Result];
        row.part == Part::Said || works.contains(&row.kind)
    })
}

fn is_prompt(row: &Row) -> bool {
    matches!(row.part, Part::Said | Part::Command)
}

/// Whether the agent does no more from `us` on, up to the next message, and nothing says why.
fn stops_silently(rows: &[Row], us: i64) -> bool {
    let mut turn = rows.iter().take_while(|row| !is_prompt(row));
    turn.all(|row| match row.kind {
        Kind::Stops(_) | Kind::TurnEnd(_) => false,
        _ => row.part != Part::Answer || row.us <= us.saturating_add(ESCAPE_US),
    })
}

/// How a turn's time was spent; None where no time is known.
fn parts_of(turn: &[Row]) -> Option<[u64; 3]> {
    let started = turn.first()?.time_us()?;
    let ended = turn.iter().map(|row| row.us).max()?;
    let whole = u64::try_from(ended - started).unwrap_or(0) / 1000;
    let waits = turn.iter().filter(|row| matches!(row.kind, Kind::Approval | Kind::Answer));
    let blocked = waits.map(|row| u64::from(row.waited_ms)).sum::<u64>().min(whole);
    // A call that was asked about waits for the answer before it runs.
    let tools = tool_ms(turn).min(whole).saturating_sub(blocked);
    Some([whole.saturating_sub(blocked + tools), tools, blocked])
}

/// The time in which at least one tool of the turn ran.
fn tool_ms(turn: &[Row]) -> u64 {
    let mut answered: HashMap<u64, i64> = HashMap::new();
    let mut spans: Vec<(i64, i64)> = Vec::new();
    for row in turn.iter().rev() {
        match (row.kind, row.time_us()) {
            (Kind::Result, Some(us)) if row.link != 0 => {
                answered.insert(row.link, us);
            }
            (Kind::Call, Some(us)) => {
                spans.extend(answered.get(&row.link).map(|ended| (us, *ended)));
            }
            _ => {}
        }
    }
    spans.sort_unstable();
    let (mut sum, mut until) = (0, i64::MIN);
    for (began, ended) in spans {
        let from = began.max(until);
        sum += (ended - from).max(0);
        until = until.max(ended);
    }
    u64::try_from(sum).unwrap_or(0) / 1000
}

fn stop_reason(turn: &[Row]) -> Option<StopReason> {
    turn.iter().rev().find_map(|row| match row.kind {
        Kind::TurnEnd(reason) => reason,
        Kind::Stops(reason) => Some(reason),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AssistantMessage, Interrupt, Thought, ToolCall, ToolResult, UserMessage};
    use std::convert::Infallible;

    /// An event at a second: `u` of the user, `t`hought, `a`nswer, `c`all, `r`esult, `e`nd of the
    /// turn, `x` interrupt.
    fn event(word: &str) -> Event {
        let (kind, at) = word.split_at(1);
        let seconds: i64 = at.parse().expect("a second");
        let call_id = Some("call".to_owned());
        let body: Body = match kind {
            "u" => UserMessage::default().into(),
            "t" => Thought::default().into(),
            "a" => AssistantMessage::default().into(),
            "c" => ToolCall { call_id, ..Default::default() }.into(),
            "r" => ToolResult { call_id, ..Default::default() }.into(),
            "e" => TurnEnd::default().into(),
            _ => Interrupt::default().into(),
        };
        let time = Some(WallTime { unix_us: seconds * 1_000_000, offset_s: 0 });
        Event { time, ..Event::new(Source::Transcript, body) }
    }

    fn words(draft: &Draft) -> String {
        let mut words = String::new();
        let _ = draft.each("", WallTime::default(), &mut |event| {
            let kind = match &event.body {
                Body::Interrupt(_) => "x",
                body => &body.kind()[..1],
            };
            let seconds = event.time.map_or(0, |time| time.unix_us / 1_000_000);
            words.push_str(&format!("{kind}{seconds} "));
            Ok::<(), Infallible>(())
        });
        words.trim_end().to_owned()
    }

    fn draft(events: &str) -> Draft {
        let events: Vec<Event> = events.split(' ').map(event).collect();
        Draft::of(&std::env::temp_dir(), &events)
    }

    /// Whether Esc at second 5 stopped the agent.
    #[test]
    fn escape_interrupts_an_agent_at_work_that_says_nothing_more() {
        for (events, interrupts) in [
            ("u1", true),
            ("u1 t2", true),
            ("u1 c2 r3", true),
            // The call that was cancelled is answered at once.
            ("u1 c2 r5", true),
            ("u1 c2 r6 u9 a10", true),
            // It has said what it had to say, or its turn is over.
            ("u1 a2", false),
            ("u1 t2 e3", false),
            // It goes on.
            ("u1 a9", false),
            ("u1 c2 r3 t8 a9", false),
            // The transcript tells itself.
            ("u1 x5", false),
            ("u1 c2 r6 x7", false),
            ("u6", false),
        ] {
            let mut draft = draft(events);
            draft.interrupt(vec![event("x5")]);
            let added = words(&draft).contains("x5") && !events.contains("x5");
            assert_eq!(added, interrupts, "{events}");
        }
    }

    /// What there was of an answer stands before the interruption, though it was written later.
    #[test]
    fn a_part_of_an_answer_comes_before_its_interruption() {
        for (events, expected) in
            [("u1 a6 u9", "u1 a6 x5 u9"), ("u1 c2 r6 u9", "u1 t2 x5 t6 u9"), ("u1", "u1 x5")]
        {
            let mut draft = draft(events);
            draft.interrupt(vec![event("x5")]);
            assert_eq!(words(&draft), expected);
        }
    }

    /// An event without a time (`0`), or with an earlier one, stays with the one before it.
    #[test]
    fn a_transcript_keeps_its_order() {
        let check = |chapters: &[&str], expected: &str| {
            let mut all = Draft::of(&std::env::temp_dir(), &[]);
            for chapter in chapters {
                let mut rows = Vec::new();
                for mut event in chapter.split(' ').map(event) {
                    event.time = event.time.filter(|time| time.unix_us > 0);
                    let line = all.spool.add(&event);
                    rows.push(Row::new(&event, line));
                }
                all.take(Chapter { rows, ledger: Vec::new() });
            }
            all.merge();
            assert_eq!(words(&all), expected);
        };
        check(&["u5 a0 u7 a0"], "u5 a0 u7 a0");
        check(&["u5 a4 u7"], "u5 a4 u7");
        check(&["u5 a0 u7 a0", "u1 a6 a8"], "u1 u5 a0 a6 u7 a0 a8");
        check(&["u5 a0", "a0 u6"], "a0 u5 a0 u6");
    }

    /// A second press finds the turn stopped.
    #[test]
    fn an_agent_is_stopped_once() {
        let mut draft = draft("u1 t2");
        draft.interrupt(vec![event("x5"), event("x6")]);
        assert_eq!(words(&draft), "u1 t2 x5");
    }

    #[test]
    fn turns_end_with_how_their_time_was_spent() {
        let mut draft = draft("u1 c2 r5 a7 u10 e11");
        assert_eq!(draft.split(), [4_000, 3_000, 0]);
        assert_eq!(words(&draft), "u1 t2 t5 a7 t7 u10 t11");
    }

    /// What is read back is what was added, on both sides of the limit.
    #[test]
    fn a_long_spool_goes_on_in_a_file() {
        let of_len = |len: usize| {
            let text = "x".repeat(len);
            Event::new(Source::Transcript, UserMessage { text, ..Default::default() })
        };
        let mut line = String::new();
        of_len(0).write_line(&mut line);
        // All three lines fill it, or are one byte more.
        for (more, in_file) in [(0, false), (1, true)] {
            let second = SPOOL_HELD_MAX - 3 * line.len() + more;
            let mut spool = Spool::new(&std::env::temp_dir());
            let spans = [0, second, 0].map(|len| (spool.add(&of_len(len)), len));
            assert_eq!(spool.file.is_some(), in_file);
            for (span, len) in spans {
                assert_eq!(spool.event(span), Some(of_len(len)));
            }
        }
    }
}
