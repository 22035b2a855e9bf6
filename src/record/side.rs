//! The process beside the recorder that finds what the command leaves in files of its own. It
//! hands the bytes over here, so that one writer keeps them; what it cannot hand over in time it
//! adds to the session when that has ended.
//!
//! To the recorder: `tag: u8, len: u32 little-endian, bytes`. A tag below [`NATIVE_MAX`] is the
//! number of a stream `native/N`; [`TAG_SOURCES`] is a record of the stream [`SOURCES`];
//! [`TAG_SWEPT`] says that all there is has been handed over.
//! From the recorder: the session's id and its start in microseconds since 1970 (little-endian),
//! then [`STIR`] now and then while something happens, [`SWEEP`] when the command has ended and
//! [`SEALED`] when the session has; [`QUIT`] in the place of both if nothing was to be found.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::tape::Tape;
use crate::session::SessionId;
use crate::sys::process::{self, Pid};

/// The name of the stream that tells what the native streams are copies of.
pub const SOURCES: &str = "sources";
/// Streams `native/N` of one session at most.
pub const NATIVE_MAX: usize = 200;
/// A record of [`SOURCES`].
pub const TAG_SOURCES: u8 = 254;
/// All there is has been handed over.
pub const TAG_SWEPT: u8 = 255;
/// Bytes of one message at most.
pub const PIECE_LEN: usize = 64 * 1024;
/// To the process: the command has written something.
pub const STIR: u8 = b'S';
/// To the process: the command has ended.
pub const SWEEP: u8 = b'E';
/// To the process: the session has ended.
pub const SEALED: u8 = b'D';
/// To the process: the session has ended, and nothing was found in time.
pub const QUIT: u8 = b'Q';
/// Bytes of the first words to the process.
pub const HELLO_LEN: usize = 24;

/// The least time between two [`STIR`]s. Without them the process sleeps, as the command does.
const STIR_EVERY_US: u64 = 1_000_000;

/// How long the end of a session waits for the last bytes.
const SWEEP_WAIT: Duration = Duration::from_millis(150);
/// The same where nothing of ours outlives this process: it is the first of a container.
const SWEEP_WAIT_FIRST: Duration = Duration::from_secs(2);

/// A process that is not needed at once is started so long after the session began: most commands
/// have ended by then, and pay nothing for it. No agent has answered by then.
pub const LATER_US: u64 = 400_000;

/// Starts the process: its number, and a socket to it.
pub type Starter = Box<dyn FnOnce() -> Option<(Pid, UnixStream)>>;

/// The recorder's end.
pub struct Side {
    pid: Option<Pid>,
    socket: Option<UnixStream>,
    later: Option<Starter>,
    hello: Vec<u8>,
    held: Vec<u8>,
    swept: bool,
    /// There is something to be kept, as far as is known.
    awake: bool,
    next_stir_us: u64,
}

impl std::fmt::Debug for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Side").field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl Side {
    /// To the process `pid`, at the other end of `socket`.
    pub fn new(pid: Pid, socket: UnixStream) -> Side {
        let _ = socket.set_nonblocking(true);
        let mut side = Side::later(Box::new(|| None));
        side.later = None;
        Side { pid: Some(pid), socket: Some(socket), awake: true, ..side }
    }

    /// To a process that is started [`LATER_US`] after the session began, and waited for only when
    /// it has found something.
    pub fn later(start: Starter) -> Side {
        Side {
            pid: None,
            socket: None,
            later: Some(start),
            hello: Vec::new(),
            held: Vec::new(),
            swept: false,
            awake: false,
            next_stir_us: 0,
        }
    }

    /// When [`Side::start`] is wanted, if at all, in microseconds since the session began.
    pub fn deadline_us(&self) -> Option<u64> {
        self.later.as_ref().map(|_| LATER_US)
    }

    /// Starts the process, if its time has come.
    pub fn start(&mut self, now_us: u64) {
        if now_us < LATER_US {
            return;
        }
        if let Some((pid, socket)) = self.later.take().and_then(|start| start()) {
            let _ = socket.set_nonblocking(true);
            (self.pid, self.socket) = (Some(pid), Some(socket));
            let hello = std::mem::take(&mut self.hello);
            self.say(&hello);
        }
    }

    /// The other process, if it runs.
    pub fn pid(&self) -> Option<Pid> {
        self.pid
    }

    /// Whether there is something to be kept.
    pub fn is_awake(&self) -> bool {
        self.awake
    }

    /// Whether the process has not been seen to end.
    pub fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    /// What is to be watched for words from the process.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// Tells which session it is.
    pub fn greet(&mut self, id: SessionId, started_us: i64) {
        let mut words = id.0.to_vec();
        words.extend_from_slice(&started_us.to_le_bytes());
        match self.later {
            Some(_) => self.hello = words,
            None => self.say(&words),
        }
    }

    /// Tells that the command has written something, if that was not told of late.
    pub fn stir(&mut self, now_us: u64) {
        if now_us >= self.next_stir_us {
            self.next_stir_us = now_us.saturating_add(STIR_EVERY_US);
            self.say(&[STIR]);
        }
    }

    fn say(&mut self, words: &[u8]) {
        if let Some(socket) = &mut self.socket {
            let _ = socket.write_all(words);
        }
    }

    /// Takes what has come, a message's worth at most, and keeps it.
    pub fn take(&mut self, tape: &mut Tape, now_us: u64) {
        let Some(socket) = &mut self.socket else { return };
        let mut piece = [0; PIECE_LEN];
        match socket.read(&mut piece) {
            Ok(0) => self.socket = None,
            Ok(len) => {
                self.awake = true;
                self.held.extend_from_slice(&piece[..len]);
                self.keep(tape, now_us);
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.socket = None,
        }
    }

    fn keep(&mut self, tape: &mut Tape, now_us: u64) {
        let mut rest = &self.held[..];
        while let Some((&[tag, a, b, c, d], body)) = rest.split_first_chunk() {
            let len = u32::from_le_bytes([a, b, c, d]) as usize;
            let Some((bytes, after)) = body.split_at_checked(len) else { break };
            match tag {
                TAG_SWEPT => self.swept = true,
                TAG_SOURCES => tape.note(now_us, SOURCES, bytes),
                n => tape.note(now_us, &format!("native/{n}"), bytes),
            }
            rest = after;
        }
        let used = self.held.len() - rest.len();
        self.held.drain(..used);
    }

    /// Asks for what is still missing, now that the command has ended, and waits a little for it.
    pub fn sweep(&mut self, tape: &mut Tape, clock: &Clock) {
        self.take(tape, clock.now_us());
        let Some(socket) = self.socket.as_ref().filter(|_| self.awake) else { return };
        let _ = socket.set_nonblocking(false);
        let first = process::own_pid() == Pid(1);
        let until = Instant::now() + if first { SWEEP_WAIT_FIRST } else { SWEEP_WAIT };
        self.say(&[SWEEP]);
        while let Some(socket) = self.socket.as_ref().filter(|_| !self.swept) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || socket.set_read_timeout(Some(left)).is_err() {
                break;
            }
            self.take(tape, clock.now_us());
        }
    }

    /// The session has ended and may be added to.
    pub fn seal(mut self) {
        self.say(&[if self.awake { SEALED } else { QUIT }]);
    }
}
