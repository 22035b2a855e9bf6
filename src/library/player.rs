//! A session's screen at any moment: forwards action by action, backwards by way of keyframes.

use super::replay::{Replay, Step};
use super::{Library, Session};
use crate::format::recording::Action;
use crate::term::{Format, Options, Size, Stamp, Terminal};

/// What lies between two keyframes at first, in bytes and `ACTION_COST`s.
pub const KEYFRAME_EVERY: u64 = 1 << 20;
/// Most keyframes; when they are reached, every second one goes, and the next lie twice as far
/// apart.
pub const KEYFRAMES_MAX: usize = 1024;
/// What an action costs beside its bytes.
const ACTION_COST: u64 = 32;
/// Rows of history that are kept: a window that grows takes them back.
const HISTORY_ROWS: usize = 1000;
/// Those among them that a keyframe holds.
const KEYFRAME_ROWS: usize = 200;

/// Where a session can be entered.
#[derive(Clone, Debug)]
struct Keyframe {
    t_us: u64,
    stamp: Stamp,
    size: Size,
    bytes: Vec<u8>,
    replay: Replay,
}

/// The screen at a moment, and the way to any other.
#[derive(Debug)]
pub struct Player {
    start: (Terminal, Replay),
    terminal: Terminal,
    replay: Replay,
    now_us: u64,
    keyframes: Vec<Keyframe>,
    every: u64,
    /// The place up to which there are keyframes, and what was passed since the last.
    scout: (Terminal, Replay),
    scout_us: u64,
    passed: u64,
    is_indexed: bool,
}

impl Player {
    /// At the session's start.
    pub fn new(library: &Library, session: &Session) -> Player {
        let options = Options { history_rows: HISTORY_ROWS, ..Options::default() };
        let start = (session.terminal(options), library.replay(session));
        Player {
            terminal: start.0.clone(),
            replay: start.1.clone(),
            now_us: 0,
            keyframes: Vec::new(),
            every: KEYFRAME_EVERY,
            scout: start.clone(),
            scout_us: 0,
            passed: 0,
            is_indexed: false,
            start,
        }
    }

    /// The terminal at this moment.
    pub fn terminal(&self) -> &Terminal {
        &self.terminal
    }

    /// This moment, in microseconds since the session's start.
    pub fn now_us(&self) -> u64 {
        self.now_us
    }

    /// When something happens next, if it is there yet.
    pub fn peek_us(&mut self) -> Option<u64> {
        self.replay.peek_us()
    }

    /// Whether nothing more will come.
    pub fn is_at_end(&mut self) -> bool {
        self.replay.is_at_end()
    }

    /// Lets the next thing happen.
    pub fn step(&mut self) -> Step<'_> {
        let step = self.replay.next();
        if let Step::Action((t_us, action)) = step {
            self.now_us = t_us;
            action.show_on(&mut self.terminal);
        }
        step
    }

    /// Time passes up to `t_us`, as far as it does not lie behind.
    pub fn run_until(&mut self, t_us: u64) {
        while self.peek_us().is_some_and(|next_us| next_us <= t_us) {
            self.step();
        }
        self.now_us = self.now_us.max(t_us);
    }

    /// How far the keyframes reach, and whether that is all.
    pub fn indexed(&self) -> (u64, bool) {
        (self.scout_us, self.is_indexed)
    }

    /// Goes on with the keyframes for about `len` bytes. False when there is nothing to do.
    pub fn index(&mut self, len: u64) -> bool {
        let mut left = len;
        while !self.is_indexed && left > 0 {
            let Step::Action((t_us, action)) = self.scout.1.next() else {
                // Of a live session this is as far as it goes; what comes later is played.
                self.is_indexed = true;
                break;
            };
            let cost = ACTION_COST
                + match action {
                    Action::Output(bytes) | Action::Input(bytes) => bytes.len() as u64,
                    _ => 0,
                };
            action.show_on(&mut self.scout.0);
            self.scout_us = t_us;
            self.passed += cost;
            left = left.saturating_sub(cost);
            if self.passed >= self.every {
                self.passed = 0;
                self.keep_keyframe();
            }
        }
        !self.is_indexed
    }

    fn keep_keyframe(&mut self) {
        if self.keyframes.len() == KEYFRAMES_MAX {
            let mut n = 0;
            self.keyframes.retain(|_| {
                n += 1;
                n % 2 == 0
            });
            self.every *= 2;
        }
        let terminal = &self.scout.0;
        let screen = terminal.screen();
        let mut bytes = Vec::new();
        let above = screen.history_len().min(KEYFRAME_ROWS);
        for row in screen.render(Format::Ansi, above).lines().take(above) {
            bytes.extend_from_slice(row.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        if above > 0 {
            bytes.extend(std::iter::repeat_n(b'\n', usize::from(screen.size().rows) - 1));
        }
        bytes.extend_from_slice(&terminal.keyframe());
        self.keyframes.push(Keyframe {
            t_us: self.scout_us,
            stamp: screen.stamp(),
            size: screen.size(),
            bytes,
            replay: self.scout.1.clone(),
        });
    }

    /// Goes to `t_us`, what happens at that microsecond included. False if the keyframes do not
    /// reach so far yet: [`Player::index`] has to go on first.
    pub fn seek(&mut self, t_us: u64) -> bool {
        if self.is_far(t_us) {
            return false;
        }
        // What lies between two keyframes of the same microsecond has happened by then.
        let after = self.keyframes.partition_point(|keyframe| keyframe.t_us <= t_us);
        let keyframe = after.checked_sub(1).and_then(|i| self.keyframes.get(i));
        let from_us = keyframe.map_or(0, |keyframe| keyframe.t_us);
        if t_us < self.now_us || from_us > self.now_us {
            match keyframe {
                Some(Keyframe { size, bytes, replay, stamp, .. }) => {
                    let options = Options { history_rows: HISTORY_ROWS, ..Options::default() };
                    self.terminal = Terminal::restore(*size, options, bytes, *stamp);
                    self.replay = replay.clone();
                }
                None => (self.terminal, self.replay) = self.start.clone(),
            }
            self.now_us = from_us;
        }
        self.run_until(t_us);
        true
    }

    /// Whether a seek would have to pass more than lies between two keyframes.
    fn is_far(&self, t_us: u64) -> bool {
        !self.is_indexed && t_us > self.scout_us
    }
}
