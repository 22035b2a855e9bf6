//! Recording a command: the capture loop and its parts. This file puts them together and takes
//! them apart again.

pub mod capture;
pub mod clock;
pub mod descriptors;
pub mod flow;
pub mod modes;
pub mod monitor;
pub mod queue;
pub mod relay;
pub mod secret;
pub mod side;
pub mod tape;

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Class, Error, Result};
use crate::session::{Ending, WindowSize};
use crate::store::{self, StreamId};
use crate::sys::poll::{Interest, PollSet};
use crate::sys::process::{self, Exit, Prepared};
use crate::sys::pty::Pty;
use crate::sys::shared::SharedTerminal;
use crate::sys::signal::{self, Disposition, Mask, Signal};
use crate::sys::tty::{self, WinSize};
use capture::{Capture, Command};
use clock::Clock;
use descriptors::{Descriptors, Plan, SIZE_DEFAULT, Sink};
use flow::{Flows, Inflow, Outflow, Screen};
use monitor::{CHANGED, Given, Launch, Mending, Monitor, Starter};
use relay::{End, Event, Relay, Setup};
use side::Side;
use tape::{Kept, Tape};

/// What a pipe of ours is asked to hold: fewer, larger reads.
const PIPE_BYTES: i32 = 1024 * 1024;

/// A file that the command wrote is read back in pieces of this size.
const FILE_PIECE: usize = 64 * 1024;

/// The start of a command is held back no longer than this.
pub const HELD_MAX: Duration = Duration::from_millis(50);

/// What is to be recorded, and how.
#[derive(Debug)]
pub struct Recording {
    /// The command and its arguments.
    pub argv: Vec<OsString>,
    /// Its environment.
    pub env: Vec<(OsString, OsString)>,
    /// Keep keystrokes.
    pub keep_input: bool,
    /// Keep standard input also when it is no terminal.
    pub record_stdin: bool,
    /// Refuse to start if nothing can be kept.
    pub require_record: bool,
    /// The window size where there is no terminal.
    pub size: Option<WindowSize>,
    /// Relay until every process that holds the terminal has gone.
    pub wait_for_all: bool,
}

/// How it went.
#[derive(Debug)]
pub struct Recorded {
    /// How the command ended.
    pub end: End,
    /// How keeping it went.
    pub kept: Kept,
    /// The first byte of its output.
    pub first_out: Option<u8>,
    /// Standard error is the person's terminal.
    pub stderr_is_terminal: bool,
    /// Something was typed.
    pub keys: bool,
    /// The process beside it reads the recording.
    pub is_read: bool,
}

/// Runs a command and records it. `plan` makes of the window's size (None without a terminal)
/// what is known of the session and where it is kept, and a descriptor: the command starts when
/// its other end is closed, or [`HELD_MAX`] later. What `side` finds is kept beside it.
///
/// Call it while the process has one thread.
///
/// # Errors
/// Only before the command is started: nothing can be kept though it is required, or the system
/// refuses a terminal or a process.
pub fn run(
    recording: &Recording,
    side: Option<Side>,
    plan: impl FnOnce(Option<WindowSize>, &Clock) -> (tape::Plan, Option<OwnedFd>),
) -> Result<Recorded> {
    let system = |what: &'static str| move |e: std::io::Error| Error::io(what, &e);
    // Signals wait until there is somebody to take them; the terminal is not touched before.
    let mask = Mask::full().install();
    let ignored: Vec<Signal> = CHANGED
        .into_iter()
        .filter(|signal| match *signal {
            Signal::PIPE => process::inherited::pipe_was_ignored(),
            Signal::CHLD => false,
            other => signal::is_ignored(other),
        })
        .collect();
    let hup_ignored = ignored.contains(&Signal::HUP);
    for (signal, disposition) in [
        (Signal::CHLD, Disposition::Default),
        (Signal::PIPE, Disposition::Ignore),
        (Signal::XFSZ, Disposition::Ignore),
        // The standard library looks for stack overflows in these two and lets the first one that
        // is none pass: a recorder that was told to die would live on.
        (Signal::SEGV, Disposition::Default),
        (Signal::BUS, Disposition::Default),
    ] {
        let _ = signal::set(signal, disposition);
    }

    let descriptors = Descriptors::look(recording.record_stdin);
    let stderr_is_terminal = descriptors.plans[2] == Plan::Terminal;
    let Descriptors { plans, terminal, in_pipeline } = descriptors;
    let size = window_size(terminal.as_ref(), recording.size);
    let clock = Clock::start();
    let (plan, until) = plan(size.map(|s| WindowSize { cols: s.cols, rows: s.rows }), &clock);
    let mut env = recording.env.clone();
    env.retain(|(name, _)| name != "IL_SESSION");
    env.push(("IL_SESSION".into(), plan.id.to_string().into()));
    if terminal.is_none() && size.is_some() && !env.iter().any(|(name, _)| name == "TERM") {
        env.push(("TERM".into(), "xterm-256color".into()));
    }
    let path = env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
    let prepared = Prepared::new(&recording.argv, &env, path.as_deref())
        .map_err(system("cannot pass on the command"))?;

    let Pipes { given, ours } = Pipes::open(plans).map_err(system("cannot open a pipe"))?;
    let launch = Launch { prepared, given, ignored, mask };
    let shared = SharedTerminal::new().map_err(system("cannot map a page"))?;

    // The process that becomes the command is forked before the store is opened: locks on a file
    // are shared with whoever inherits it.
    let foreground = terminal.as_ref().is_none_or(capture::is_foreground);
    let start = match size {
        Some(size) => {
            let modes = terminal.as_ref().map(|t| t.modes);
            let pty = Pty::open(modes.as_ref(), size).map_err(system("cannot open a terminal"))?;
            let mending =
                Mending { terminal: terminal.as_ref().map(|t| t.fd.as_fd()), shared: &shared };
            let ptmx = pty.ptmx;
            let pts_path = tty::name(pty.pts.as_fd());
            let recorder_only: Vec<BorrowedFd<'_>> =
                ours.iter().flatten().chain([&ptmx]).map(AsFd::as_fd).collect();
            let monitor = Monitor::fork(launch, pty.pts, &recorder_only, &mending)
                .map_err(system("cannot fork"))?;
            Start::Monitored(monitor, ptmx, pts_path, size)
        }
        None => {
            let starter = launch.fork(None, false).map_err(system("cannot fork"))?;
            // Only the command holds its ends of the pipes.
            drop(launch);
            Start::Child(starter)
        }
    };

    let mut tape = Tape::begin(plan.clone());
    tape.side = side;
    if let Some(side) = &mut tape.side {
        side.greet(plan.id, plan.meta.started.unix_us);
    }
    if let (true, Some(error)) = (recording.require_record, tape.failure()) {
        return Err(Error::new(Class::Refused, "cannot record")
            .why(error.to_string())
            .with_hint("leave out --require-record to run the command all the same"));
    }

    if let Some(until) = until {
        let mut poll = PollSet::default();
        poll.watch(until.as_fd(), Interest { read: true, write: false });
        // Nothing is waited for where waiting fails.
        let _ = poll.wait(Some(HELD_MAX), &Mask::full());
    }
    let relay = Relay::new(Setup {
        pty: size.is_some(),
        eager: !in_pipeline,
        foreground,
        wait_for_all: recording.wait_for_all,
        hup_ignored,
    });
    let screen_stream =
        if plans[1] == Plan::Terminal { StreamId::STDOUT } else { StreamId::TERMINAL };
    let (pipes, input) = flows(ours).map_err(system("cannot use a descriptor"))?;
    let (command, screen, first) = match start {
        Start::Monitored(monitor, ptmx, pts_path, size) => {
            let screen = Screen::new(ptmx, pts_path, terminal, size, screen_stream);
            (Command::Monitored(monitor, None), Some(screen), Event::Ready)
        }
        Start::Child(starter) => match starter.start() {
            Ok(pid) => (Command::Child(pid), None, Event::Started),
            Err(errno) => (Command::Gone, None, Event::NotExecuted(errno)),
        },
    };
    let flows = Flows { screen, pipes, input, keep_input: recording.keep_input };
    let (end, mut tape, clock) =
        Capture::new(relay, command, flows, tape, &shared, clock).run(first);
    keep_files(plans, &mut tape, &clock);
    let mut side = tape.side.take();
    if let Some(side) = &mut side {
        side.sweep(&mut tape, &clock);
    }
    let end_us = clock.now_us();

    let mut meta = plan.meta;
    let counters = tape.counters();
    let ending = Ending {
        ended: crate::sys::time::wall(),
        duration_us: end_us,
        exit_code: match end {
            End::Exit(Exit::Code(code)) => Some(code),
            _ => None,
        },
        signal: match end {
            End::Exit(Exit::Signal(signal)) => Some(signal.name()),
            _ => None,
        },
        not_executed: match end {
            End::NotExecuted(errno) => Some(errno_text(errno)),
            _ => None,
        },
        terminal_closed: end == End::TerminalClosed,
        bytes_out: counters.bytes_out,
        bytes_in: counters.bytes_in,
        stalls: counters.stalls,
        gaps: counters.gaps,
        bytes_dropped: counters.bytes_dropped,
    };
    meta.ending = Some(ending);
    let exit = store_exit(end);
    let is_awake = |side: &&Side| side.is_awake() && side.is_there();
    let reader = side.as_ref().filter(is_awake).and_then(Side::pid);
    let read_by = reader.map(|pid| pid.0);
    meta.deriver = read_by;
    let (first_out, keys) = (counters.first_out, counters.bytes_in > 0);
    let is_read = read_by.is_some();
    // Who reads something out of the session adds that, and compresses all of it together.
    let kept = tape.end(end_us, exit, &meta, !(is_read || keys));
    if let Some(side) = side {
        side.seal();
    }
    Ok(Recorded { end, kept, first_out, stderr_is_terminal, keys, is_read })
}

/// A process that waits for leave to start the command.
enum Start {
    Monitored(Monitor, OwnedFd, Option<PathBuf>, WinSize),
    Child(Starter),
}

/// The system's words for an error number.
pub fn errno_text(errno: i32) -> String {
    let error = Error::io("", &std::io::Error::from_raw_os_error(errno));
    error.to_string().trim_start_matches(": ").to_owned()
}

/// The size of the command's terminal, if it gets one: where one of our descriptors is a
/// terminal, or where a size was asked for though there is none at all.
fn window_size(
    terminal: Option<&descriptors::Terminal>,
    asked: Option<WindowSize>,
) -> Option<WinSize> {
    let asked = asked.map(|s| WinSize { rows: s.rows, cols: s.cols, ..SIZE_DEFAULT });
    match terminal {
        Some(terminal) if terminal.size_known => Some(terminal.size),
        Some(_) => Some(asked.unwrap_or(SIZE_DEFAULT)),
        None => asked.filter(|_| tty::controlling().is_err()),
    }
}

fn store_exit(end: End) -> store::Exit {
    match end {
        End::Exit(Exit::Code(code)) => store::Exit::Code(u16::from(code)),
        End::Exit(Exit::Signal(signal)) => store::Exit::Signal(signal.0 as u16),
        End::NotExecuted(errno) => {
            store::Exit::Code(if errno == process::NOT_FOUND { 127 } else { 126 })
        }
        End::TerminalClosed => store::Exit::Signal(Signal::HUP.0 as u16),
    }
}

/// The pipes between the command and us.
struct Pipes {
    given: [Given; 3],
    /// Our ends, none of which blocks, by descriptor.
    ours: [Option<OwnedFd>; 3],
}

impl Pipes {
    fn open(plans: [Plan; 3]) -> std::io::Result<Pipes> {
        let mut given = [Given::Inherited, Given::Inherited, Given::Inherited];
        let mut ours = [None, None, None];
        for (n, plan) in plans.iter().enumerate() {
            given[n] = match plan {
                Plan::Closed => Given::Closed,
                Plan::Through | Plan::File { .. } => Given::Inherited,
                Plan::Terminal => Given::Pts,
                Plan::AsStdout => match &given[1] {
                    Given::Pipe(end) => Given::Pipe(Arc::clone(end)),
                    _ => Given::Inherited,
                },
                Plan::Pipe => {
                    let (read, write) = process::pipe()?;
                    process::widen_pipe(write.as_fd(), PIPE_BYTES);
                    let (theirs, mine) = if n == 0 { (read, write) } else { (write, read) };
                    process::set_nonblocking(&mine)?;
                    ours[n] = Some(mine);
                    Given::Pipe(Arc::new(theirs))
                }
            };
        }
        Ok(Pipes { given, ours })
    }
}

/// The flows between our ends of the pipes and our own descriptors.
fn flows(ours: [Option<OwnedFd>; 3]) -> std::io::Result<(Vec<Outflow>, Option<Inflow>)> {
    let [stdin, stdout, stderr] = ours;
    let mut out = Vec::new();
    if let Some(source) = stdout {
        out.push(Outflow::new(source, Sink::of(std::io::stdout().as_fd())?, StreamId::STDOUT));
    }
    if let Some(source) = stderr {
        out.push(Outflow::new(source, Sink::of(std::io::stderr().as_fd())?, StreamId::STDERR));
    }
    let input = match stdin {
        Some(sink) => Some(Inflow::new(process::duplicate(std::io::stdin().as_fd())?, sink)),
        None => None,
    };
    Ok((out, input))
}

/// Reads back what the command wrote to regular files that were its descriptors, and keeps it.
/// Nothing stood between the command and the file.
fn keep_files(plans: [Plan; 3], tape: &mut Tape, clock: &Clock) {
    let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
    for (n, fd, stream) in
        [(1, stdout.as_fd(), StreamId::STDOUT), (2, stderr.as_fd(), StreamId::STDERR)]
    {
        let Plan::File { start } = plans[n] else { continue };
        if let Err(error) = keep_file(fd, start, stream, tape, clock) {
            let now_us = clock.now_us();
            tape.event(now_us, "gap", |o| {
                o.string("stream", stream.fixed_name().unwrap_or_default());
                o.string("why", &Error::io("cannot read the file back", &error).to_string());
            });
        }
    }
}

fn keep_file(
    fd: BorrowedFd<'_>,
    start: u64,
    stream: StreamId,
    tape: &mut Tape,
    clock: &Clock,
) -> std::io::Result<()> {
    let end = crate::sys::fd::write_position(fd)?;
    let mut file = File::from(tty::reopen(fd, false, true)?);
    file.seek(SeekFrom::Start(start))?;
    let mut rest = file.take(end.saturating_sub(start));
    let mut piece = vec![0; FILE_PIECE];
    loop {
        let len = rest.read(&mut piece)?;
        if len == 0 {
            return Ok(());
        }
        tape.put(clock, stream, clock.now_us(), &piece[..len]);
    }
}
