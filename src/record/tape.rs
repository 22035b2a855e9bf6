//! Where a session is kept, from the capture loop's point of view: it never fails and never
//! blocks for long. What cannot be kept is counted, tried again, and told at the end.

use std::path::PathBuf;

use super::clock::Clock;
use super::side::Side;
use crate::error::{Error, Result};
use crate::json::{ObjectWriter, write_object};
use crate::session::{Meta, SessionId};
use crate::store::{Access, Append, Exit, NewSession, Store, StreamId, Writer};

/// A session that could not begin is tried again after this.
pub const RETRY_US: u64 = 2_000_000;

/// Keeping something for longer than this is a stall.
pub const STALL_US: u64 = 100_000;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes the command wrote.
    pub bytes_out: u64,
    /// The first of them.
    pub first_out: Option<u8>,
    /// Bytes typed, or read on the command's behalf.
    pub bytes_in: u64,
    /// Times that keeping something took longer than [`STALL_US`].
    pub stalls: u64,
    /// Stretches of time in which nothing could be kept.
    pub gaps: u64,
    /// Bytes that were not kept.
    pub bytes_dropped: u64,
}

/// What is needed to begin a session, again and again if it must be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The directory of the store; None where no home is known.
    pub dir: Option<PathBuf>,
    /// The session's id.
    pub id: SessionId,
    /// What is known of it.
    pub meta: Meta,
}

/// A session on its way into the store.
#[derive(Debug)]
pub struct Tape {
    plan: Plan,
    writer: Option<Writer>,
    /// Why there is no writer, and when to try again.
    failure: Option<(Error, u64)>,
    counters: Counters,
    in_gap: bool,
    /// Names of streams, each with its number.
    named: Vec<(String, StreamId)>,
    /// Who finds what the command leaves in files.
    pub side: Option<Side>,
}

/// How keeping the session went.
#[derive(Debug)]
pub struct Kept {
    /// The session is in the store, if perhaps not whole.
    pub saved: bool,
    /// What the person should know, if anything.
    pub notice: Option<String>,
}

impl Tape {
    /// Begins the session. If that fails, the error is kept for the end and it is tried again.
    pub fn begin(plan: Plan) -> Tape {
        let mut tape = Tape {
            plan,
            writer: None,
            failure: None,
            counters: Counters::default(),
            in_gap: false,
            named: Vec::new(),
            side: None,
        };
        tape.try_begin(0);
        tape
    }

    /// Why nothing is being kept, if so.
    pub fn failure(&self) -> Option<&Error> {
        self.failure.as_ref().map(|(error, _)| error)
    }

    fn try_begin(&mut self, now_us: u64) {
        match open(&self.plan) {
            Ok(writer) => {
                self.writer = Some(writer);
                if self.failure.take().is_some() {
                    let dropped = self.counters.bytes_dropped;
                    self.event(now_us, "gap", |o| {
                        o.int("from_us", 0);
                        o.int("to_us", now_us);
                        o.int("bytes", dropped);
                    });
                }
            }
            Err(error) => {
                let retry_us = now_us.saturating_add(RETRY_US);
                // The first reason is the telling one.
                let first = self.failure.take().map_or(error, |(first, _)| first);
                self.failure = Some((first, retry_us));
                self.enter_gap();
            }
        }
    }

    fn enter_gap(&mut self) {
        if !std::mem::replace(&mut self.in_gap, true) {
            self.counters.gaps += 1;
        }
    }

    /// Keeps `bytes` as part of `stream`.
    pub fn put(&mut self, clock: &Clock, stream: StreamId, now_us: u64, bytes: &[u8]) {
        match stream {
            StreamId::STDIN => self.counters.bytes_in += bytes.len() as u64,
            _ => {
                self.counters.bytes_out += bytes.len() as u64;
                self.counters.first_out = self.counters.first_out.or(bytes.first().copied());
            }
        }
        self.keep(stream, now_us, bytes);
        if let Some(side) = &mut self.side {
            side.stir(now_us);
        }
        if clock.now_us().saturating_sub(now_us) > STALL_US {
            self.counters.stalls += 1;
        }
    }

    /// Keeps `bytes` as a record of the stream of this name. What cannot be kept is not counted: it
    /// stands in a file, too.
    pub fn note(&mut self, now_us: u64, name: &str, bytes: &[u8]) {
        let Some(writer) = &mut self.writer else { return };
        let known = self.named.iter().find(|(known, _)| known == name);
        let stream = match known {
            Some((_, stream)) => *stream,
            None => {
                let Ok(stream) = writer.define(name) else { return };
                self.named.push((name.to_owned(), stream));
                stream
            }
        };
        writer.append(stream, now_us, bytes);
    }

    /// Takes what the process beside us has found.
    pub fn take_side(&mut self, now_us: u64) {
        if let Some(mut side) = self.side.take() {
            side.take(self, now_us);
            self.side = side.fd().is_some().then_some(side);
        }
    }

    /// Keeps an event: one JSON object with the time, the kind, and the members that `body` adds.
    pub fn event(&mut self, now_us: u64, kind: &str, body: impl FnOnce(&mut ObjectWriter<'_>)) {
        let mut text = String::new();
        write_object(&mut text, |o| {
            o.string("kind", kind);
            body(o);
        });
        self.keep(StreamId::EVENTS, now_us, text.as_bytes());
    }

    fn keep(&mut self, stream: StreamId, now_us: u64, bytes: &[u8]) {
        let Some(writer) = &mut self.writer else {
            self.counters.bytes_dropped += bytes.len() as u64;
            return;
        };
        match writer.append(stream, now_us, bytes) {
            Append::Stored | Append::Queued => self.in_gap = false,
            Append::Degraded { .. } => self.enter_gap(),
        }
    }

    /// Keys that were not kept because they are a secret.
    pub fn count_secret(&mut self, len: usize) {
        self.counters.bytes_in += len as u64;
    }

    /// When [`Tape::tick`] is wanted, if at all.
    pub fn deadline_us(&self) -> Option<u64> {
        let retry_us = match (&self.writer, &self.failure) {
            (Some(writer), _) => writer.state().retry_us,
            (None, failure) => failure.as_ref().map(|(_, retry_us)| *retry_us),
        };
        let side_us = self.side.as_ref().and_then(Side::deadline_us);
        retry_us.into_iter().chain(side_us).min()
    }

    /// Runs `stop`, which stops this process, when no other recorder can be waiting for it.
    pub fn at_rest<T>(&self, stop: impl FnOnce() -> T) -> T {
        match &self.writer {
            Some(writer) => writer.at_rest(stop),
            None => stop(),
        }
    }

    /// Does what its time has come for: tries again what failed, starts the process beside us.
    pub fn tick(&mut self, now_us: u64) {
        if let Some(side) = &mut self.side {
            side.start(now_us);
        }
        match (&mut self.writer, &self.failure) {
            (Some(writer), _) => writer.tick(now_us),
            (None, Some((_, retry_us))) if *retry_us <= now_us => self.try_begin(now_us),
            _ => {}
        }
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        let dropped = self.writer.as_ref().map_or(0, |writer| writer.state().dropped);
        Counters { bytes_dropped: self.counters.bytes_dropped + dropped, ..self.counters }
    }

    /// Ends the session: `meta` now has an ending. It is compressed behind this process if it is
    /// to `pack`.
    pub fn end(mut self, now_us: u64, exit: Exit, meta: &Meta, pack: bool) -> Kept {
        if self.writer.is_none() && self.failure.is_some() {
            self.try_begin(now_us);
        }
        let dropped = self.counters().bytes_dropped;
        let Some(mut writer) = self.writer else {
            let why = self.failure.map_or(String::new(), |(error, _)| {
                let hint = error.hint().map_or(String::new(), |hint| format!("\nhint: {hint}"));
                format!("{error}{hint}")
            });
            return Kept { saved: false, notice: Some(format!("not recorded: {why}")) };
        };
        writer.append(StreamId::META, now_us, meta.to_json().as_bytes());
        let ended = meta.ending.as_ref().map_or(0, |ending| ending.ended.unix_us);
        let removed = !writer.is_linked();
        match writer.end_behind(exit, ended, pack) {
            Err(error) => Kept { saved: true, notice: Some(error.to_string()) },
            Ok(_) if removed => Kept {
                saved: false,
                notice: Some("not recorded: the store was removed while recording".to_owned()),
            },
            Ok(report) if dropped > 0 => {
                let why = report.errno.map_or_else(String::new, |errno| {
                    let error = std::io::Error::from_raw_os_error(errno);
                    format!(": {}", Error::io("", &error).to_string().trim_start_matches(": "))
                });
                Kept {
                    saved: true,
                    notice: Some(format!("{dropped} bytes could not be recorded{why}")),
                }
            }
            Ok(_) => Kept { saved: true, notice: None },
        }
    }
}

fn open(plan: &Plan) -> Result<Writer> {
    let Some(dir) = &plan.dir else {
        return Err(Error::failed("cannot find the store").why("HOME is not set"));
    };
    let store = Store::open(dir, Access::Write)?;
    let mut label = [0; 16];
    let name = plan.meta.argv.first().map(std::path::Path::new);
    let name = name.and_then(|p| p.file_name()).map(std::os::unix::ffi::OsStrExt::as_bytes);
    for (to, from) in label.iter_mut().zip(name.unwrap_or_default()) {
        *to = *from;
    }
    store.begin(&NewSession {
        id: plan.id.0,
        start_us: plan.meta.started.unix_us,
        label,
        meta: plan.meta.to_json().as_bytes(),
    })
}
