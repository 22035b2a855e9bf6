//! A session's screen at any moment: forwards action by action, backwards by way of keyframes.

use super::keyframe::{Keyframe, Keyframes, OPTIONS};
use super::replay::{Replay, Step};
use super::{Library, Session};
use crate::format::recording::Action;
use crate::term::Terminal;

/// What an action costs beside its bytes.
const ACTION_COST: u64 = 32;

/// The screen at a moment, and the way to any other.
#[derive(Debug)]
pub struct Player<'a> {
    library: &'a Library,
    session: &'a Session,
    terminal: Terminal,
    replay: Replay,
    now_us: u64,
    keyframes: Keyframes,
    /// The place up to which there are keyframes; None when they are all there.
    scout: Option<Scout>,
    /// Where the keyframes end, or the session.
    indexed_us: u64,
    /// This player has made them all, of a recording that could be read whole.
    is_whole: bool,
    /// Markers that were passed on the way.
    markers: u64,
}

/// Who goes ahead and makes keyframes.
#[derive(Debug)]
struct Scout {
    terminal: Terminal,
    replay: Replay,
    /// What was passed since the last keyframe, and in all.
    passed: u64,
    total: u64,
    /// When the window last changed.
    resized_us: u64,
}

impl<'a> Player<'a> {
    /// At the session's start.
    pub fn new(library: &'a Library, session: &'a Session) -> Player<'a> {
        let (terminal, replay) = (session.terminal(OPTIONS), library.replay(session));
        let kept = library.keyframes(session);
        let scout = kept.is_none().then(|| Scout {
            terminal: terminal.clone(),
            replay: replay.clone(),
            passed: 0,
            total: 0,
            resized_us: 0,
        });
        let keyframes = kept.unwrap_or_else(|| Keyframes::new(Vec::new()));
        Player {
            library,
            session,
            terminal,
            replay,
            now_us: 0,
            scout,
            indexed_us: keyframes.list().last().map_or(0, |last| last.t_us),
            keyframes,
            is_whole: false,
            markers: 0,
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

    /// How far the keyframes reach, and whether there will be no more.
    pub fn indexed(&self) -> (u64, bool) {
        (self.indexed_us, self.scout.is_none())
    }

    /// Goes on with the keyframes for about `len` bytes. False when there is nothing to do.
    pub fn index(&mut self, len: u64) -> bool {
        let mut left = len;
        while let Some(scout) = &mut self.scout
            && left > 0
        {
            let Step::Action((t_us, action)) = scout.replay.next() else {
                // Of a live session this is as far as it goes; what comes later is played.
                self.is_whole = scout.replay.is_at_end() && scout.replay.damaged() == 0;
                if self.is_whole {
                    self.keyframes.forget_history(scout.resized_us);
                }
                self.scout = None;
                break;
            };
            let cost = ACTION_COST
                + match action {
                    Action::Output(bytes) | Action::Input(bytes) => bytes.len() as u64,
                    _ => 0,
                };
            match action {
                Action::Resize(_) => scout.resized_us = t_us,
                Action::Marker(_) => self.markers += 1,
                _ => {}
            }
            action.show_on(&mut scout.terminal);
            self.indexed_us = t_us;
            scout.passed += cost;
            scout.total += cost;
            left = left.saturating_sub(cost);
            // All that happens at one moment is on one side of a keyframe.
            if scout.passed >= self.keyframes.every()
                && (scout.replay.peek_us().is_some_and(|next_us| next_us > t_us)
                    || scout.replay.is_at_end())
            {
                self.keep_keyframe();
            }
        }
        self.scout.is_some()
    }

    fn keep_keyframe(&mut self) {
        let Some(scout) = &mut self.scout else { return };
        scout.passed = 0;
        let pos = scout.replay.pos();
        let keyframe = Keyframe::of(&scout.terminal, self.indexed_us, pos);
        self.keyframes.push(keyframe, scout.total);
    }

    /// The keyframes, if this player has made all of them, and nothing was missing; and how many
    /// markers there are.
    pub(super) fn made(&self) -> Option<(&[Keyframe], u64)> {
        self.is_whole.then_some((self.keyframes.list(), self.markers))
    }

    /// Goes to `t_us`, what happens at that microsecond included. False if the keyframes do not
    /// reach so far yet: [`Player::index`] has to go on first.
    pub fn seek(&mut self, t_us: u64) -> bool {
        if self.is_far(t_us) {
            return false;
        }
        let keyframe = self.keyframes.before(t_us);
        let from_us = keyframe.map_or(0, |keyframe| keyframe.t_us);
        if t_us < self.now_us || from_us > self.now_us {
            let replay = || self.library.replay(self.session);
            match keyframe.and_then(|keyframe| keyframe.enter(replay())) {
                Some(entered) => {
                    (self.terminal, self.replay) = entered;
                    self.now_us = from_us;
                }
                // No keyframe, or none that can be relied on: what lies behind is played anew.
                None if t_us < self.now_us => {
                    (self.terminal, self.replay) = (self.session.terminal(OPTIONS), replay());
                    self.now_us = 0;
                }
                None => {}
            }
        }
        self.run_until(t_us);
        true
    }

    /// Whether a seek would have to pass more than lies between two keyframes.
    fn is_far(&self, t_us: u64) -> bool {
        self.scout.is_some() && t_us > self.indexed_us
    }
}
