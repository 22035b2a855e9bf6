//! Keyframes: the terminal as it was at moments of a session, so that playing can begin there. Those
//! of a session that has ended are kept in the store, with the notes; they can be made again at any
//! time from what was recorded.

use super::replay::{Replay, Step};
use super::{Library, Player, Session};
use crate::json::{Object, Value, View};
use crate::store::{Append, State, StreamId};
use crate::term::{Options, Size, Stamp, Terminal, WidthMode};

/// How keyframes are made and written; those of another version are made anew.
const KEYFRAMES_VERSION: u64 = 1;

/// What lies between two keyframes at first, in bytes and a cost for each action.
pub const KEYFRAME_EVERY: u64 = 2 << 20;
/// Most keyframes; when they are reached, every second one goes, and the next lie twice as far
/// apart.
pub const KEYFRAMES_MAX: usize = 1024;
/// Most bytes of all keyframes together: as with their number.
pub const KEYFRAMES_LEN_MAX: usize = 32 << 20;
/// Keyframes take at most this part of the bytes they save the playing of: a larger one is not made.
pub const KEYFRAME_SHARE: u64 = 32;
/// Of less output than this none are kept: it is as soon played.
pub const KEEP_OUTPUT_MIN: u64 = 2 * KEYFRAME_EVERY;

/// Rows of history that are kept while playing: a window that grows takes them back.
const HISTORY_ROWS: usize = 1000;
/// Those among them that a keyframe holds.
const KEYFRAME_ROWS: usize = 200;

// A record of stream `keyframes`: the time up to which all has happened, bytes of stdout up to
// there; where in the output, and when, the last of it was; the window's columns and rows; bytes of
// history; the history; the screen.
const TIME: usize = 0;
const POS: usize = 8;
const OFFSET: usize = 16;
const STAMP_TIME: usize = 24;
const COLS: usize = 32;
const ROWS: usize = 34;
const HISTORY_LEN: usize = 36;
const HEADER_LEN: usize = 40;

/// The terminal at a moment, as what makes it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keyframe {
    /// All that happened up to this microsecond has been shown.
    pub t_us: u64,
    /// Bytes of stdout up to there.
    pos: u64,
    stamp: Stamp,
    size: Size,
    history: Vec<u8>,
    screen: Vec<u8>,
}

fn time_of(keyframe: &Keyframe) -> u64 {
    keyframe.t_us
}

/// How the terminals are that keyframes are made of and restored to.
pub(super) const OPTIONS: Options =
    Options { width: WidthMode::Cluster, history_rows: HISTORY_ROWS, screen_titles: false };

impl Keyframe {
    pub fn of(terminal: &Terminal, t_us: u64, pos: u64) -> Keyframe {
        let screen = terminal.screen();
        Keyframe {
            t_us,
            pos,
            stamp: screen.stamp(),
            size: screen.size(),
            history: terminal.history_keyframe(KEYFRAME_ROWS),
            screen: terminal.keyframe(),
        }
    }

    /// Bytes that it takes.
    pub fn len(&self) -> usize {
        HEADER_LEN + self.history.len() + self.screen.len()
    }

    /// The terminal of this moment, and what comes after it; None if the recording is not what it
    /// was.
    pub fn enter(&self, replay: Replay) -> Option<(Terminal, Replay)> {
        let replay = replay.enter(self.t_us, self.pos)?;
        let bytes = [&self.history[..], &self.screen[..]].concat();
        Some((Terminal::restore(self.size, OPTIONS, &bytes, self.stamp), replay))
    }

    fn to_record(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len());
        for number in [self.t_us, self.pos, self.stamp.offset, self.stamp.time_us] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.size.cols, self.size.rows] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&(self.history.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.history);
        out.extend_from_slice(&self.screen);
        out
    }

    fn from_record(record: &[u8]) -> Option<Keyframe> {
        let (header, rest) = record.split_at_checked(HEADER_LEN)?;
        let long = |at: usize| header[at..at + 8].try_into().map(u64::from_le_bytes).ok();
        let short = |at: usize| header[at..at + 2].try_into().map(u16::from_le_bytes).ok();
        let history_len = header[HISTORY_LEN..].try_into().map(u32::from_le_bytes).ok()?;
        let (history, screen) = rest.split_at_checked(history_len as usize)?;
        Some(Keyframe {
            t_us: long(TIME)?,
            pos: long(POS)?,
            stamp: Stamp { offset: long(OFFSET)?, time_us: long(STAMP_TIME)? },
            size: Size::new(short(COLS)?, short(ROWS)?),
            history: history.to_vec(),
            screen: screen.to_vec(),
        })
    }
}

/// Keyframes in the order of time, within their limits.
#[derive(Debug)]
pub(super) struct Keyframes {
    list: Vec<Keyframe>,
    len: usize,
    every: u64,
}

impl Keyframes {
    pub fn new(list: Vec<Keyframe>) -> Keyframes {
        let len = list.iter().map(Keyframe::len).sum();
        Keyframes { list, len, every: KEYFRAME_EVERY }
    }

    /// What lies between two of them from here on.
    pub fn every(&self) -> u64 {
        self.every
    }

    pub fn list(&self) -> &[Keyframe] {
        &self.list
    }

    /// Adds one that saves the playing of `total`, unless all would take too large a part of that.
    pub fn push(&mut self, keyframe: Keyframe, total: u64) {
        let len = self.len + keyframe.len();
        if len as u64 > total / KEYFRAME_SHARE {
            return;
        }
        self.len = len;
        self.list.push(keyframe);
        if self.list.len() > KEYFRAMES_MAX || self.len > KEYFRAMES_LEN_MAX {
            let mut n = 0;
            self.list.retain(|_| {
                n += 1;
                n % 2 == 0
            });
            self.len = self.list.iter().map(Keyframe::len).sum();
            self.every *= 2;
        }
    }

    /// The window does not change any more from `t_us` on: nothing takes rows back.
    pub fn forget_history(&mut self, t_us: u64) {
        let fixed = self.list.iter_mut().filter(|keyframe| keyframe.t_us >= t_us);
        fixed.for_each(|keyframe| keyframe.history = Vec::new());
        self.len = self.list.iter().map(Keyframe::len).sum();
    }

    /// The last one up to `t_us`.
    pub fn before(&self, t_us: u64) -> Option<&Keyframe> {
        let after = self.list.partition_point(|keyframe| keyframe.t_us <= t_us);
        self.list.get(after.checked_sub(1)?)
    }
}

/// Which records of stream `keyframes` hold, as the member `keyframes` of the metadata says. It is
/// written last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    /// Records before them.
    skip: u64,
    count: u64,
    /// Markers on the tape, which is not gone through if there are none.
    pub markers: u64,
}

impl Kept {
    pub fn from_meta(meta: View<'_>) -> Option<Kept> {
        let kept = meta.get("keyframes").filter(|k| k.u64_at("v") == Some(KEYFRAMES_VERSION))?;
        let number = |name| kept.u64_at(name);
        let (skip, count) = (number("skip")?, number("count")?);
        Some(Kept { skip, count, markers: number("markers")? })
    }

    fn to_json(self) -> Value {
        let mut object = Object::new();
        for (name, value) in [
            ("v", KEYFRAMES_VERSION),
            ("skip", self.skip),
            ("count", self.count),
            ("markers", self.markers),
        ] {
            object.insert(name, value);
        }
        Value::Object(object)
    }
}

impl Library {
    /// The keyframes that are kept of a session: all, or None.
    pub(super) fn keyframes(&self, session: &Session) -> Option<Keyframes> {
        let kept = session.keyframes?;
        let count = usize::try_from(kept.count).ok().filter(|count| *count <= KEYFRAMES_MAX)?;
        let skip = usize::try_from(kept.skip).ok()?;
        let records =
            self.store.records(&session.entry, StreamId::KEYFRAMES).skip(skip).take(count);
        let keyframes: Option<Vec<Keyframe>> =
            records.map(|(_, record)| Keyframe::from_record(&record)).collect();
        let whole = |found: &Vec<_>| found.len() == count && found.is_sorted_by_key(time_of);
        keyframes.filter(whole).map(Keyframes::new)
    }

    /// Makes the keyframes of a session that has ended, unless they are kept or not worth it.
    pub(super) fn make_keyframes(&self, session: &Session) {
        if self.is_worth_keyframes(session) {
            let mut player = Player::new(self, session);
            while player.index(u64::MAX) {}
            self.keep_keyframes(session, &player);
        }
    }

    fn is_worth_keyframes(&self, session: &Session) -> bool {
        let output = match (&session.meta.ending, session.entry.state) {
            (Some(ending), _) => ending.bytes_out,
            (None, State::Ended(end)) => end.out_bytes,
            (None, _) => 0,
        };
        let ended = !matches!(session.entry.state, State::Live) && !session.entry.tape_pruned;
        let worth = self.store.is_writable() && ended && output >= KEEP_OUTPUT_MIN;
        worth && self.keyframes(session).is_none()
    }

    /// Keeps what a player has made, if it is all there is and can be relied on. What cannot be
    /// written is made again another time, and nobody waits for the disk.
    pub fn keep_keyframes(&self, session: &Session, player: &Player) {
        if !self.is_worth_keyframes(session) {
            return;
        }
        let Some((keyframes, markers)) = player.made() else { return };
        let Ok(mut writer) = self.store.resume(&session.entry) else { return };
        let before = self.store.records(&session.entry, StreamId::KEYFRAMES).count();
        let t_us = session.t_us_now();
        let is_stored = keyframes.iter().all(|keyframe| {
            let record = keyframe.to_record();
            writer.append(StreamId::KEYFRAMES, t_us, &record) == Append::Stored
        });
        if is_stored {
            let kept = Kept { skip: before as u64, count: keyframes.len() as u64, markers };
            self.amend(session, &mut writer, "keyframes", Some(kept.to_json()));
        }
    }

    /// The terminal at a moment at or before `t_us`, as near as there is a keyframe, and what
    /// happened from there on.
    pub fn enter(&self, session: &Session, t_us: u64) -> (Terminal, Replay) {
        let entered = self.keyframes(session).and_then(|keyframes| {
            let keyframe = keyframes.before(t_us)?;
            keyframe.enter(self.replay(session))
        });
        entered.unwrap_or_else(|| (session.terminal(OPTIONS), self.replay(session)))
    }

    /// The terminal as it was at `t_us`, what happened at that microsecond included, and how many
    /// stretches before it cannot be read.
    pub fn screen_at(&self, session: &Session, t_us: u64) -> (Terminal, u64) {
        let (mut terminal, mut replay) = self.enter(session, t_us);
        while replay.peek_us().is_some_and(|next_us| next_us <= t_us) {
            if let Step::Action((_, action)) = replay.next() {
                action.show_on(&mut terminal);
            }
        }
        (terminal, replay.damaged())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyframe_comes_back_from_its_record() {
        let mut terminal = Terminal::new(Size::new(7, 3), OPTIONS);
        terminal.feed(b"one\r\ntwo\r\nthree\r\nfour \x1b[31mred\x1b[");
        let keyframe = Keyframe::of(&terminal, 5, 30);
        let record = keyframe.to_record();
        assert_eq!(record.len(), keyframe.len());
        assert_eq!(Keyframe::from_record(&record), Some(keyframe));
        for len in 0..HEADER_LEN {
            assert_eq!(Keyframe::from_record(&record[..len]), None, "{len}");
        }
        let too_long = [&record[..HISTORY_LEN], &u32::MAX.to_le_bytes(), b"x"].concat();
        assert_eq!(Keyframe::from_record(&too_long), None);
    }

    fn blank(t_us: u64, len: usize) -> Keyframe {
        let mut keyframe = Keyframe::of(&Terminal::new(Size::new(1, 1), OPTIONS), t_us, 0);
        keyframe.screen = vec![b' '; len - HEADER_LEN];
        keyframe
    }

    #[test]
    fn keyframes_stay_within_their_number_and_their_length() {
        let number = (0..KEYFRAMES_MAX as u64 + 1).map(|t_us| blank(t_us, 100));
        let length = (0..33).map(|t_us| blank(t_us, KEYFRAMES_LEN_MAX / 32));
        let cases: [Vec<Keyframe>; 2] = [number.collect(), length.collect()];
        for case in cases {
            let (last, most) = case.split_last().expect("some");
            let mut keyframes = Keyframes::new(Vec::new());
            most.iter().for_each(|one| keyframes.push(one.clone(), u64::MAX));
            assert_eq!(keyframes.list(), most);
            assert_eq!(keyframes.every(), KEYFRAME_EVERY);
            keyframes.push(last.clone(), u64::MAX);
            assert_eq!(keyframes.list().len(), case.len() / 2);
            assert!(keyframes.list().iter().all(|one| one.t_us % 2 == 1));
            assert_eq!(keyframes.every(), 2 * KEYFRAME_EVERY);
        }
    }

    #[test]
    fn keyframes_take_no_more_than_their_share() {
        let mut keyframes = Keyframes::new(Vec::new());
        keyframes.push(blank(1, 101), 100 * KEYFRAME_SHARE);
        assert_eq!(keyframes.list(), []);
        keyframes.push(blank(1, 100), 100 * KEYFRAME_SHARE);
        keyframes.push(blank(2, 50), 149 * KEYFRAME_SHARE);
        assert_eq!(keyframes.list(), [blank(1, 100)]);
    }

    #[test]
    fn the_keyframe_before_a_moment_is_found() {
        let keyframes = Keyframes::new(vec![blank(5, 50), blank(9, 50)]);
        let found = [4, 5, 8, 9, 99].map(|t_us| keyframes.before(t_us).map(time_of));
        assert_eq!(found, [None, Some(5), Some(5), Some(9), Some(9)]);
    }
}
