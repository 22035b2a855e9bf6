//! What the capture loop moves: the two terminals, and the pipes to and from the command, each
//! with the bytes that wait for a slow reader.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use super::descriptors::{Sink, Terminal};
use super::modes::Modes;
use super::queue::Queue;
use super::secret::LastLine;
use crate::store::StreamId;
use crate::sys::fd;
use crate::sys::tty::{Termios, WinSize};

/// The command's terminal and ours.
#[derive(Debug)]
pub struct Screen {
    pub(super) ptmx: Option<OwnedFd>,
    /// Ours; None when there is none, or when it has gone.
    pub(super) terminal: Option<Terminal>,
    pub(super) size: WinSize,
    pub(super) pts_path: Option<PathBuf>,
    pub(super) stream: StreamId,
    /// The modes we gave the pts.
    pub(super) given: Option<Termios>,
    /// The pts puts a carriage return before each line feed (OPOST and ONLCR).
    pub(super) adds_cr: bool,
    pub(super) output: Queue,
    pub(super) keys: Queue,
    pub(super) held_cr: bool,
    pub(super) open: bool,
    pub(super) may_write: bool,
    pub(super) modes: Modes,
    pub(super) line: LastLine,
}

impl Screen {
    /// The command's terminal `ptmx`, whose other end is at `pts_path`, shown on `terminal` and
    /// kept as `stream`.
    pub fn new(
        ptmx: OwnedFd,
        pts_path: Option<PathBuf>,
        terminal: Option<Terminal>,
        size: WinSize,
        stream: StreamId,
    ) -> Screen {
        let adds_cr = terminal.as_ref().is_some_and(|t| t.modes.adds_cr());
        let given = Termios::of(ptmx.as_fd()).ok();
        Screen {
            ptmx: Some(ptmx),
            terminal,
            size,
            pts_path,
            stream,
            given,
            adds_cr,
            output: Queue::default(),
            keys: Queue::default(),
            held_cr: false,
            open: true,
            may_write: false,
            modes: Modes::default(),
            line: LastLine::default(),
        }
    }

    /// Writes what waits for our terminal, as far as it goes.
    pub(super) fn flush(&mut self) -> Flushed {
        while !self.output.is_empty() {
            let Some(terminal) = &self.terminal else {
                self.output.clear();
                break;
            };
            if !terminal.fd.may_try() && !std::mem::take(&mut self.may_write) {
                return Flushed::Waits;
            }
            match terminal.fd.write(self.output.pending()) {
                Ok(len) => self.output.written(len),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Flushed::Waits,
                Err(_) => return Flushed::SinkGone,
            }
        }
        Flushed::Empty
    }
}

/// How far a queue was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    Empty,
    Waits,
    SinkGone,
}

/// A pipe from the command to one of our own descriptors.
#[derive(Debug)]
pub struct Outflow {
    pub(super) source: Option<OwnedFd>,
    pub(super) sink: Option<Sink>,
    pub(super) stream: StreamId,
    pub(super) queue: Queue,
    pub(super) may_write: bool,
}

impl Outflow {
    /// What comes from `source` is kept as `stream` and goes to `sink`.
    pub fn new(source: OwnedFd, sink: Sink, stream: StreamId) -> Outflow {
        let queue = Queue::default();
        Outflow { source: Some(source), sink: Some(sink), stream, queue, may_write: false }
    }

    pub(super) fn flush(&mut self) {
        while !self.queue.is_empty() {
            let Some(sink) = &self.sink else { return };
            if !sink.may_try() && !std::mem::take(&mut self.may_write) {
                return;
            }
            match sink.write(self.queue.pending()) {
                Ok(len) => self.queue.written(len),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.drop_sink(),
            }
        }
    }

    /// Nobody reads any more: the command finds that out as it would without us.
    pub(super) fn drop_sink(&mut self) {
        self.sink = None;
        self.source = None;
        self.queue.clear();
    }
}

/// Our standard input, kept on its way to the command though it is no terminal.
#[derive(Debug)]
pub struct Inflow {
    pub(super) source: Option<OwnedFd>,
    pub(super) sink: Option<OwnedFd>,
    pub(super) queue: Queue,
}

impl Inflow {
    /// What comes from `source` goes to the pipe `sink`.
    pub fn new(source: OwnedFd, sink: OwnedFd) -> Inflow {
        Inflow { source: Some(source), sink: Some(sink), queue: Queue::default() }
    }

    pub(super) fn flush(&mut self) {
        while !self.queue.is_empty() {
            let Some(sink) = &self.sink else { break };
            match fd::write(sink.as_fd(), self.queue.pending()) {
                Ok(len) => self.queue.written(len),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    (self.sink, self.source) = (None, None);
                    self.queue.clear();
                }
            }
        }
        if self.source.is_none() {
            self.sink = None;
        }
    }
}

/// What the loop moves.
#[derive(Debug)]
pub struct Flows {
    /// The command's terminal and ours.
    pub screen: Option<Screen>,
    /// Output that is no terminal.
    pub pipes: Vec<Outflow>,
    /// Input that is no terminal.
    pub input: Option<Inflow>,
    /// Whether keystrokes are kept.
    pub keep_input: bool,
}
