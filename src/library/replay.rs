//! What happened on a session's terminal, in the order it happened.

use super::{Library, Session};
use crate::event::{Body, Event};
use crate::format::recording::{Action, Header, TimedAction};
use crate::json;
use crate::store::layout::MORE;
use crate::store::{Chain, Item, Reader, StreamId, Why};
use crate::term::{Options, Size, Stamp, Terminal};

/// LNM: what was not printed on a terminal has line feeds without carriage returns.
const NEW_LINE_MODE: &[u8] = b"\x1b[20h";

/// Goes through a session's actions. A clone goes on from the same place.
#[derive(Clone, Debug)]
pub struct Replay {
    reader: Reader,
    now: Now,
    t_us: u64,
    bytes: Vec<u8>,
    /// Bytes of stdout before the current action.
    pos: u64,
    /// The current action has not been handed out.
    waits: bool,
    /// When it ended, and with what status; None once told, or where nobody knows.
    exit: Option<(u64, i32)>,
    damaged: u64,
}

/// What comes next in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Something happened.
    Action(TimedAction<'a>),
    /// The session runs and nothing more is there yet: ask again.
    Tail,
    /// Nothing more will come.
    End,
}

#[derive(Clone, Copy, Debug)]
enum Now {
    Output,
    Input,
    Resize(Size),
    Marker,
    Exit(i32),
    Tail,
    End,
}

/// A place worth going to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Microseconds since the session's start.
    pub t_us: u64,
    /// What is there: a turn's prompt, or a marker's label.
    pub label: String,
    /// The number of the turn that begins there, from 1.
    pub turn: Option<usize>,
    /// It is one of the session's actions.
    pub is_action: bool,
}

impl Library {
    /// The session's actions from its start.
    pub fn replay(&self, session: &Session) -> Replay {
        let exit = session.meta.ending.as_ref().and_then(|ending| {
            let status = ending.exit_code.map(i32::from);
            let signal = ending.signal.as_ref().map(|name| 128 + signal_number(name));
            Some((ending.duration_us, status.or(signal)?))
        });
        Replay {
            reader: self.store.read(&session.entry, Chain::Tape),
            now: Now::Tail,
            t_us: 0,
            bytes: Vec::new(),
            pos: 0,
            waits: false,
            exit,
            damaged: 0,
        }
    }

    /// Turns and markers, in the order of time.
    pub fn marks(&self, session: &Session) -> Vec<Mark> {
        let mut marks = Vec::new();
        let mut replay = self.replay(session);
        let is_marked = session.keyframes.is_none_or(|kept| kept.markers > 0);
        while is_marked && let Step::Action((t_us, action)) = replay.next_event() {
            if let Action::Marker(label) = action {
                marks.push(Mark { t_us, label: label.to_owned(), turn: None, is_action: true });
            }
        }
        for event in self.added(session) {
            if let (Body::Marker(marker), Some(mono_ns)) = (&event.body, event.mono_ns) {
                let (t_us, label) = (mono_ns / 1000, marker.text.clone());
                marks.push(Mark { t_us, label, turn: None, is_action: false });
            }
        }
        let mut turn = 0;
        let said = |event: &Event| matches!(event.body, Body::UserMessage(_));
        for event in self.events_where(session, &said) {
            if let (Body::UserMessage(message), Some(time)) = (&event.body, event.time) {
                turn += 1;
                let since = time.unix_us - session.meta.started.unix_us;
                let t_us = u64::try_from(since).unwrap_or(0);
                let (label, turn) = (message.text.clone(), Some(turn));
                marks.push(Mark { t_us, label, turn, is_action: false });
            }
        }
        marks.sort_by_key(|mark| mark.t_us);
        marks
    }
}

impl Session {
    /// A terminal as the session's was at its start.
    pub fn terminal(&self, options: Options) -> Terminal {
        self.terminal_from(self.size(), options, Stamp::default())
    }

    /// The same as of a moment, blank, of the size that the window had then.
    pub(super) fn terminal_from(&self, size: Size, options: Options, at: Stamp) -> Terminal {
        let start = if self.meta.size.is_none() { NEW_LINE_MODE } else { b"" };
        Terminal::restore(size, options, start, at)
    }

    /// Whether it had no terminal, so that lines end in line feeds alone.
    pub fn is_plain(&self) -> bool {
        self.meta.size.is_none()
    }

    /// What files of other recorders say of it beside its events.
    pub fn header(&self) -> Header {
        let meta = &self.meta;
        let command = match (&meta.imported, &meta.argv[..]) {
            // A line that was taken in as it was.
            (Some(_), [line]) => line.to_string_lossy().into_owned(),
            _ => crate::format::line::words(&meta.argv),
        };
        Header {
            term: meta.term.clone(),
            start: Some((meta.started.unix_us.div_euclid(1_000_000), meta.started.offset_s)),
            command: Some(command).filter(|command| !command.is_empty()),
            title: meta.name.clone(),
            ..Header::new(self.size())
        }
    }
}

/// The number of a signal by its name, without `SIG`; 0 for one that is not known.
fn signal_number(name: &str) -> i32 {
    (1..64).find(|n| crate::sys::signal::Signal(*n).name() == name).unwrap_or(0)
}

impl Replay {
    /// What comes next.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Step<'_> {
        self.fill(true);
        self.waits = false;
        self.step()
    }

    /// The next action that is no output and no input.
    fn next_event(&mut self) -> Step<'_> {
        self.fill(false);
        self.waits = false;
        self.step()
    }

    /// When the next action happens, if there is one by now.
    pub fn peek_us(&mut self) -> Option<u64> {
        self.fill(true);
        (!matches!(self.now, Now::Tail | Now::End)).then_some(self.t_us)
    }

    /// Whether nothing more will come.
    pub fn is_at_end(&mut self) -> bool {
        self.fill(true);
        matches!(self.now, Now::End)
    }

    /// Stretches met so far that cannot be read.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Bytes of stdout before what comes next.
    pub(super) fn pos(&mut self) -> u64 {
        self.fill(true);
        self.pos
    }

    /// What comes after `t_us`; None if that is not after `pos` bytes of stdout, as it should be.
    pub(super) fn enter(mut self, t_us: u64, pos: u64) -> Option<Replay> {
        self.reader.seek_time(t_us.saturating_add(1));
        self.t_us = t_us;
        while self.peek_us().is_some_and(|next_us| next_us <= t_us) {
            self.next();
        }
        (self.pos() == pos).then_some(self)
    }

    fn step(&self) -> Step<'_> {
        Step::Action((
            self.t_us,
            match self.now {
                Now::Output => Action::Output(&self.bytes),
                Now::Input => Action::Input(&self.bytes),
                Now::Resize(size) => Action::Resize(size),
                Now::Marker => Action::Marker(std::str::from_utf8(&self.bytes).unwrap_or("")),
                Now::Exit(status) => Action::Exit(status),
                Now::Tail => return Step::Tail,
                Now::End => return Step::End,
            },
        ))
    }

    fn fill(&mut self, with_bytes: bool) {
        if self.waits {
            return;
        }
        self.waits = true;
        self.bytes.clear();
        let mut event: Vec<u8> = Vec::new();
        loop {
            match self.reader.next() {
                Item::Frame { stream: StreamId::EVENTS, t_us, bytes, flags } => {
                    event.extend_from_slice(bytes);
                    if flags & MORE != 0 {
                        continue;
                    }
                    self.t_us = t_us.max(self.t_us);
                    if let Some((now, label)) = of_event(&std::mem::take(&mut event)) {
                        self.now = now;
                        self.bytes.extend_from_slice(label.as_bytes());
                        self.pos = self.reader.pos();
                        return;
                    }
                }
                Item::Frame { stream, t_us, bytes, .. } if with_bytes && is_shown(stream) => {
                    self.t_us = t_us.max(self.t_us);
                    self.bytes.extend_from_slice(bytes);
                    self.now = if stream == StreamId::STDIN { Now::Input } else { Now::Output };
                    let len = if stream == StreamId::STDOUT { self.bytes.len() } else { 0 };
                    self.pos = self.reader.pos().saturating_sub(len as u64);
                    return;
                }
                Item::Frame { .. } => {}
                Item::Gap { why, .. } => {
                    self.damaged += u64::from(why == Why::Damaged);
                    event.clear();
                }
                Item::Tail => {
                    self.now = Now::Tail;
                    self.pos = self.reader.pos();
                    // A tail does not wait to be taken: the next look is a new one.
                    self.waits = false;
                    return;
                }
                Item::End => {
                    self.now = Now::End;
                    self.pos = self.reader.pos();
                    if let Some((t_us, status)) = self.exit.take() {
                        self.t_us = t_us.max(self.t_us);
                        self.now = Now::Exit(status);
                    }
                    return;
                }
            }
        }
    }
}

/// Whether a stream is something the command printed.
pub(super) fn is_output(stream: StreamId) -> bool {
    [StreamId::STDOUT, StreamId::STDERR, StreamId::TERMINAL].contains(&stream)
}

fn is_shown(stream: StreamId) -> bool {
    stream == StreamId::STDIN || is_output(stream)
}

fn of_event(text: &[u8]) -> Option<(Now, String)> {
    let value = json::parse(text).ok()?;
    let cells = |name: &str| value.u64_at(name).and_then(|n| u16::try_from(n).ok());
    match value.str_at("kind")? {
        "resize" => Some((Now::Resize(Size::new(cells("cols")?, cells("rows")?)), String::new())),
        "marker" | "mark" => {
            let label = value.str_at("text").or(value.str_at("label")).unwrap_or("");
            Some((Now::Marker, label.to_owned()))
        }
        _ => None,
    }
}
