//! Many sessions looked through side by side; what is found in them is told in their order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::{Hit, Library, Query};
use crate::library::Session;

/// Most threads that look.
pub const THREADS_MAX: usize = 4;

/// Hits are handed on so many bytes at a time, or at the session's end.
const BATCH_LEN: usize = 64 << 10;

/// Bytes of hits that wait for the sessions before theirs; who has more to tell waits too.
const WAITING_LEN_MAX: usize = 4 << 20;

/// Sessions that may be looked through before the one whose turn it is.
const AHEAD_MAX: usize = 1000;

/// What comes out of a search through many sessions.
#[derive(Debug)]
pub enum Told<'a> {
    /// Of the next session, all before it having been looked through.
    Hit(&'a Session, Hit),
    /// That was all of a session.
    Done,
}

impl Library {
    /// As [`Library::search`], in every one of these sessions, in their order, on so many threads
    /// ([`THREADS_MAX`] at most). `take` is called on this thread, and says whether it wants more.
    pub fn search_all(
        &self,
        sessions: &[Session],
        query: &Query,
        threads: usize,
        take: &mut dyn FnMut(Told<'_>) -> bool,
    ) {
        let threads = threads.min(THREADS_MAX).min(sessions.len());
        if threads < 2 {
            for session in sessions {
                let mut wanted = true;
                self.search(session, query, &mut |hit| {
                    wanted = take(Told::Hit(session, hit));
                    wanted
                });
                if !wanted || !take(Told::Done) {
                    return;
                }
            }
            return;
        }
        let board = Board::default();
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(at) = board.claim(sessions.len()) {
                        let mut slip = Slip { board: &board, at, hits: Vec::new(), len: 0 };
                        self.search(&sessions[at], query, &mut |hit| slip.put(hit));
                    }
                });
            }
            // Also when `take` panics: the others wait for nobody then.
            let _stop = Stop(&board);
            for (at, session) in sessions.iter().enumerate() {
                loop {
                    let (hits, done) = board.take(at);
                    if !hits.into_iter().all(|hit| take(Told::Hit(session, hit))) {
                        return;
                    }
                    if done {
                        break;
                    }
                }
                if !take(Told::Done) {
                    return;
                }
            }
        });
    }
}

/// Where the threads leave what they find.
#[derive(Debug, Default)]
struct Board {
    /// The session that nobody looks through yet.
    next: AtomicUsize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The session whose turn it is to be told.
    turn: usize,
    lots: BTreeMap<usize, Lot>,
    waiting_len: usize,
    stopped: bool,
}

/// What was found in one session and is not told yet.
#[derive(Debug, Default)]
struct Lot {
    hits: Vec<Hit>,
    done: bool,
}

impl Board {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// A session to look through.
    fn claim(&self, count: usize) -> Option<usize> {
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state();
        while at >= state.turn + AHEAD_MAX && !state.stopped {
            state = self.wait(state);
        }
        (at < count && !state.stopped).then_some(at)
    }

    /// Leaves hits of session `at`; false if nobody wants more.
    fn put(&self, at: usize, hits: &mut Vec<Hit>, done: bool) -> bool {
        let len = hits.iter().map(len_of).sum::<usize>();
        let mut state = self.state();
        // Whose turn it is may always leave one lot, or nobody would get on.
        while !state.stopped
            && state.waiting_len + len > WAITING_LEN_MAX
            && !(state.turn == at && state.lots.get(&at).is_none_or(|lot| lot.hits.is_empty()))
        {
            state = self.wait(state);
        }
        state.waiting_len += len;
        let lot = state.lots.entry(at).or_default();
        lot.hits.append(hits);
        lot.done |= done;
        if state.turn == at {
            self.changed.notify_all();
        }
        !state.stopped
    }

    /// What there is of session `at`, whose turn it is now, and whether that was all. Waits until
    /// there is something.
    fn take(&self, at: usize) -> (Vec<Hit>, bool) {
        let mut state = self.state();
        state.turn = at;
        self.changed.notify_all();
        loop {
            if let Some(lot) = state.lots.get_mut(&at)
                && (lot.done || !lot.hits.is_empty())
            {
                let (hits, done) = (std::mem::take(&mut lot.hits), lot.done);
                if done {
                    state.lots.remove(&at);
                }
                state.waiting_len -= hits.iter().map(len_of).sum::<usize>();
                self.changed.notify_all();
                return (hits, done);
            }
            state = self.wait(state);
        }
    }
}

/// The hits of a session on their way to the board. However the search ends, the board learns it.
struct Slip<'a> {
    board: &'a Board,
    at: usize,
    hits: Vec<Hit>,
    len: usize,
}

impl Slip<'_> {
    fn put(&mut self, hit: Hit) -> bool {
        self.len += len_of(&hit);
        self.hits.push(hit);
        if self.len < BATCH_LEN {
            return true;
        }
        self.len = 0;
        self.board.put(self.at, &mut self.hits, false)
    }
}

impl Drop for Slip<'_> {
    fn drop(&mut self) {
        self.board.put(self.at, &mut self.hits, true);
    }
}

struct Stop<'a>(&'a Board);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.state().stopped = true;
        self.0.changed.notify_all();
    }
}

fn len_of(hit: &Hit) -> usize {
    let lines = hit.before.iter().chain(&hit.after);
    size_of::<Hit>() + hit.line.len() + lines.map(String::len).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::super::Place;
    use super::*;

    fn hit(len: usize) -> Hit {
        Hit {
            place: Place::Screen,
            kind: None,
            time: None,
            turn: None,
            line: "x".repeat(len),
            before: Vec::new(),
            after: Vec::new(),
        }
    }

    /// Does `first`, which must wait, on one thread and `second` on another; what came of it, in
    /// order.
    fn order(board: &Board, first: impl Fn(&Board) + Sync, second: impl Fn(&Board)) -> Vec<u8> {
        let log = Mutex::new(Vec::new());
        thread::scope(|scope| {
            scope.spawn(|| {
                first(board);
                log.lock().expect("the log").push(1);
            });
            // Who does not wait has time to show it.
            thread::sleep(std::time::Duration::from_millis(20));
            log.lock().expect("the log").push(2);
            second(board);
        });
        log.into_inner().expect("the log")
    }

    #[test]
    fn nobody_is_further_ahead_than_the_limit() {
        let board = Board::default();
        for at in 0..AHEAD_MAX {
            assert_eq!(board.claim(AHEAD_MAX + 1), Some(at));
        }
        board.put(0, &mut Vec::new(), true);
        board.put(1, &mut Vec::new(), true);
        let claim = |board: &Board| assert_eq!(board.claim(AHEAD_MAX + 1), Some(AHEAD_MAX));
        let told = |board: &Board| assert!(board.take(0).1 && board.take(1).1);
        assert_eq!(order(&board, claim, told), [2, 1]);
    }

    #[test]
    fn what_waits_is_no_longer_than_the_limit() {
        let board = Board::default();
        let len = WAITING_LEN_MAX - size_of::<Hit>();
        assert!(board.put(1, &mut vec![hit(len)], false), "at the limit nobody waits");
        // Whose turn it is does not wait either, until it has left something.
        assert!(board.put(0, &mut vec![hit(0)], false));
        let more = |board: &Board| assert!(board.put(0, &mut vec![hit(0)], true));
        let told = |board: &Board| assert_eq!(board.take(0).0.len(), 1);
        // What is told of session 0 makes no room, but it is its turn.
        assert_eq!(order(&board, more, told), [2, 1]);
        assert_eq!(board.take(0), (vec![hit(0)], true));
        let more = |board: &Board| assert!(board.put(2, &mut vec![hit(0)], true));
        let told = |board: &Board| assert_eq!(board.take(1).0, [hit(len)]);
        assert_eq!(order(&board, more, told), [2, 1]);
    }

    #[test]
    fn who_waits_learns_that_nobody_wants_more() {
        let board = Board::default();
        board.put(1, &mut vec![hit(WAITING_LEN_MAX - size_of::<Hit>())], true);
        let more = |board: &Board| assert!(!board.put(2, &mut vec![hit(1)], true));
        assert_eq!(order(&board, more, |board| drop(Stop(board))), [2, 1]);
        assert_eq!(board.claim(10), None);
    }
}
