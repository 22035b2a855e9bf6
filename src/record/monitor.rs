//! The monitor: a second process that leads the session of the command's terminal. It carries no
//! data. It is there so that the command can be stopped and continued like any job, and so that
//! the terminal is mended when the recorder is killed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::modes::Left;
use crate::sys::poll::{Interest, PollSet};
use crate::sys::process::{self, Change, Exit, Fork, Give, Pid, Prepared};
use crate::sys::shared::SharedTerminal;
use crate::sys::signal::{self, Disposition, Mask, Signal};
use crate::sys::tty::{self, Termios};

/// What the monitor tells the recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The command runs, as this process and the leader of its own group.
    Started(Pid),
    /// The command could not be executed: the system's error number.
    NotExecuted(i32),
    /// The command was stopped by this signal.
    Stopped(Signal),
    /// The command goes on, though the recorder has not asked for it.
    Continued,
    /// The command ended.
    Exited(Exit),
}

/// What the recorder tells the monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Start the command.
    Start {
        /// As owner of its terminal.
        foreground: bool,
    },
    /// Let the stopped command go on.
    Continue {
        /// As owner of its terminal.
        foreground: bool,
    },
    /// The last report was read: the recorder is awake.
    Awake,
    /// All is done: leave without mending anything.
    Leave,
}

/// A recorder that stopped itself because the command was stopped is woken this often until it
/// says that it is awake: it may be just about to stop.
const WAKE_EVERY: Duration = Duration::from_millis(20);

/// Bytes of a message, either way: what it is, and a number, little-endian.
const MESSAGE_LEN: usize = 5;

impl Report {
    fn encode(self) -> [u8; MESSAGE_LEN] {
        match self {
            Report::Started(pid) => message(1, pid.0),
            Report::NotExecuted(errno) => message(2, errno),
            Report::Stopped(signal) => message(3, signal.0),
            Report::Exited(Exit::Code(code)) => message(4, i32::from(code)),
            Report::Exited(Exit::Signal(signal)) => message(5, signal.0),
            Report::Continued => message(6, 0),
        }
    }

    fn decode(bytes: [u8; MESSAGE_LEN]) -> Option<Report> {
        let (what, number) = split(bytes);
        Some(match what {
            1 => Report::Started(Pid(number)),
            2 => Report::NotExecuted(number),
            3 => Report::Stopped(Signal(number)),
            4 => Report::Exited(Exit::Code(number as u8)),
            5 => Report::Exited(Exit::Signal(Signal(number))),
            6 => Report::Continued,
            _ => return None,
        })
    }
}

impl Order {
    fn encode(self) -> [u8; MESSAGE_LEN] {
        match self {
            Order::Start { foreground } => message(1, i32::from(foreground)),
            Order::Continue { foreground } => message(2, i32::from(foreground)),
            Order::Leave => message(3, 0),
            Order::Awake => message(4, 0),
        }
    }

    fn decode(bytes: [u8; MESSAGE_LEN]) -> Option<Order> {
        let (what, number) = split(bytes);
        let foreground = number != 0;
        Some(match what {
            1 => Order::Start { foreground },
            2 => Order::Continue { foreground },
            3 => Order::Leave,
            4 => Order::Awake,
            _ => return None,
        })
    }
}

fn message(what: u8, number: i32) -> [u8; MESSAGE_LEN] {
    let [a, b, c, d] = number.to_le_bytes();
    [what, a, b, c, d]
}

fn split([what, a, b, c, d]: [u8; MESSAGE_LEN]) -> (u8, i32) {
    (what, i32::from_le_bytes([a, b, c, d]))
}

/// What a command is to be started with.
#[derive(Debug)]
pub struct Launch {
    /// The command.
    pub prepared: Prepared,
    /// Its first three descriptors.
    pub given: [Given; 3],
    /// Signals to be ignored, as they were when we were started; all others get their default.
    pub ignored: Vec<Signal>,
    /// The signal mask we were started with.
    pub mask: Mask,
}

/// What the command is given for one of its first three descriptors.
#[derive(Debug)]
pub enum Given {
    /// What we inherited ourselves.
    Inherited,
    /// Nothing: closed.
    Closed,
    /// Its terminal.
    Pts,
    /// The end of a pipe.
    Pipe(std::sync::Arc<OwnedFd>),
}

/// The signals whose dispositions we change, and the command must not see changed.
pub const CHANGED: [Signal; 15] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::ALRM,
    Signal::USR1,
    Signal::USR2,
    Signal::CHLD,
    Signal::WINCH,
    Signal::TSTP,
    Signal::TTIN,
    Signal::TTOU,
    Signal::CONT,
    Signal::PIPE,
    Signal::XFSZ,
];

/// A forked child that waits for leave to become the command.
#[derive(Debug)]
pub struct Starter {
    pid: Pid,
    leave: File,
    failure: File,
}

impl Starter {
    /// Gives leave. Returns the command's pid once it is executed, or the system's error number.
    pub fn start(mut self) -> Result<Pid, i32> {
        let mut number = [0; 4];
        let started = self.leave.write_all(&[1]);
        // The pipe is closed by a successful exec, so this waits no longer than that.
        match started.and_then(|()| self.failure.read_exact(&mut number)) {
            Err(_) => Ok(self.pid),
            Ok(()) => {
                process::ended(self.pid);
                Err(i32::from_le_bytes(number))
            }
        }
    }
}

impl Launch {
    /// Forks the command's process, which waits for [`Starter::start`]; without that, it ends.
    /// With a `pts`, the command leads a group of its own there, the foreground one if asked.
    ///
    /// # Errors
    /// What pipe(2) and fork(2) say.
    pub fn fork(&self, pts: Option<&OwnedFd>, foreground: bool) -> io::Result<Starter> {
        let (failure, tell) = process::pipe()?;
        let (wait, leave) = process::pipe()?;
        match process::fork()? {
            Fork::Child => {
                drop(failure);
                drop(leave);
                if File::from(wait).read_exact(&mut [0]).is_err() {
                    process::exit_now(0);
                }
                let error = self.become_command(pts, foreground);
                let number = error.raw_os_error().unwrap_or(0);
                let _ = File::from(tell).write_all(&number.to_le_bytes());
                process::exit_now(127)
            }
            Fork::Parent(pid) => {
                Ok(Starter { pid, leave: File::from(leave), failure: File::from(failure) })
            }
        }
    }

    /// In the forked child. Returns only when it failed.
    fn become_command(&self, pts: Option<&OwnedFd>, foreground: bool) -> io::Error {
        if let Some(pts) = pts {
            let joined = process::set_group(Pid(0), Pid(0)).and_then(|()| {
                // Every signal is blocked here, SIGTTOU too, so this cannot stop us.
                if foreground {
                    tty::set_foreground(pts.as_fd(), process::own_pid())
                } else {
                    Ok(())
                }
            });
            if let Err(e) = joined {
                return e;
            }
        }
        let give = |given| match given {
            &Given::Inherited => Give::Inherited,
            &Given::Closed => Give::Closed,
            Given::Pts => pts.map_or(Give::Inherited, |pts| Give::Copy(pts.as_fd())),
            Given::Pipe(end) => Give::Copy(end.as_fd()),
        };
        let [stdin, stdout, stderr] = &self.given;
        if let Err(e) = process::arrange([give(stdin), give(stdout), give(stderr)]) {
            return e;
        }
        for signal in CHANGED {
            let disposition = match self.ignored.contains(&signal) {
                true => Disposition::Ignore,
                false => Disposition::Default,
            };
            let _ = signal::set(signal, disposition);
        }
        self.mask.install();
        self.prepared.exec()
    }
}

/// The recorder's side.
#[derive(Debug)]
pub struct Monitor {
    pid: Pid,
    socket: UnixStream,
}

/// What the monitor needs to mend our terminal.
#[derive(Debug)]
pub struct Mending<'a> {
    /// Our terminal, non-blocking.
    pub terminal: Option<BorrowedFd<'a>>,
    /// What the recorder says of it.
    pub shared: &'a SharedTerminal,
}

impl Monitor {
    /// Forks the monitor. It waits for [`Order::Start`]. Everything in `recorder_only` is closed
    /// in it: while a second process held the ptmx, the terminal would not hang up when the
    /// recorder dies.
    ///
    /// # Errors
    /// What socketpair(2) and fork(2) say.
    pub fn fork(
        launch: Launch,
        pts: OwnedFd,
        recorder_only: &[BorrowedFd<'_>],
        mending: &Mending<'_>,
    ) -> io::Result<Monitor> {
        let (ours, theirs) = UnixStream::pair()?;
        match process::fork()? {
            Fork::Child => {
                drop(ours);
                recorder_only.iter().for_each(|fd| process::close_in_child(*fd));
                let code = u8::from(watch(launch, pts, theirs, mending).is_err());
                process::exit_now(code)
            }
            Fork::Parent(pid) => Ok(Monitor { pid, socket: ours }),
        }
    }

    /// Sends an order. A monitor that has gone is noticed by [`Monitor::report`].
    pub fn order(&self, order: Order) {
        let _ = (&self.socket).write_all(&order.encode());
    }

    /// Takes the next report; call it when the socket is readable. None: the monitor has gone.
    pub fn report(&self) -> Option<Report> {
        let mut bytes = [0; MESSAGE_LEN];
        (&self.socket).read_exact(&mut bytes).ok()?;
        Report::decode(bytes)
    }

    /// The process group of the monitor: it has one of its own.
    pub fn group(&self) -> Pid {
        self.pid
    }

    /// The socket to be polled for reports.
    pub fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Tells the monitor to leave, and waits until it has.
    pub fn leave(self) {
        self.order(Order::Leave);
        drop(self.socket);
        process::ended(self.pid);
    }
}

/// The monitor's whole life.
fn watch(
    launch: Launch,
    pts: OwnedFd,
    socket: UnixStream,
    mending: &Mending<'_>,
) -> io::Result<()> {
    process::lead_session(pts.as_fd())?;
    // Signals meant for the command's group or for the session's leader (SIGHUP, when the
    // terminal hangs up) must not end the one who mends it. All are blocked; only SIGCHLD is let
    // in, while waiting.
    signal::set(Signal::HUP, Disposition::Ignore)?;
    signal::set(Signal::CHLD, Disposition::Note)?;
    let Some(Order::Start { foreground }) = receive(&socket) else { return Ok(()) };
    let starter = launch.fork(Some(&pts), foreground).map_err(|e| e.raw_os_error().unwrap_or(0));
    let command = match starter.and_then(Starter::start) {
        Ok(pid) => pid,
        Err(errno) => {
            drop(pts);
            send(&socket, Report::NotExecuted(errno));
            let _ = receive(&socket);
            return Ok(());
        }
    };
    // Only the command holds its pipes and what we inherited: their readers wait for the end.
    drop(launch);
    let _ = process::arrange([Give::Closed, Give::Closed, Give::Closed]);
    send(&socket, Report::Started(command));

    let recorder = process::parent_pid();
    let waiting = Mask::full().without(Signal::CHLD);
    let mut poll = PollSet::default();
    let mut pts = Some(pts);
    // The recorder was told of a stop and has stopped, or will; it must hear of what comes next.
    let mut recorder_stops = false;
    let mut wakes = false;
    loop {
        while let Some(change) = process::changed(command).filter(|_| pts.is_some()) {
            match change {
                Change::Stopped(signal) => {
                    recorder_stops = true;
                    send(&socket, Report::Stopped(signal));
                }
                Change::Continued if recorder_stops => {
                    wakes = true;
                    send(&socket, Report::Continued);
                }
                Change::Continued => {}
                Change::Exited(exit) => {
                    if let Some(pts) = pts.take() {
                        // What the command leaves running is not hung up when this process ends:
                        // only the foreground group is.
                        let _ = tty::set_foreground(pts.as_fd(), process::own_group());
                    }
                    wakes |= recorder_stops;
                    send(&socket, Report::Exited(exit));
                }
            }
        }
        if wakes {
            let _ = process::kill(recorder, Signal::CONT);
        }
        poll.clear();
        let place = poll.watch(socket.as_fd(), Interest { read: true, write: false });
        poll.wait(wakes.then_some(WAKE_EVERY), &waiting)?;
        let ready = poll.ready(place);
        if !(ready.read || ready.hangup || ready.error) {
            continue;
        }
        match receive(&socket) {
            Some(Order::Continue { foreground }) => {
                recorder_stops = false;
                if let Some(pts) = &pts {
                    let group = if foreground { command } else { process::own_group() };
                    let _ = tty::set_foreground(pts.as_fd(), group);
                    let _ = process::kill_group(command, Signal::CONT);
                }
            }
            Some(Order::Awake) => (wakes, recorder_stops) = (false, false),
            Some(Order::Leave) => return Ok(()),
            Some(Order::Start { .. }) => {}
            None => {
                mend(mending);
                if pts.is_some() {
                    let _ = process::kill_group(command, Signal::HUP);
                    let _ = process::kill_group(command, Signal::CONT);
                }
                return Ok(());
            }
        }
    }
}

/// The recorder was killed: gives the terminal its modes back, unless somebody has done so.
fn mend(mending: &Mending<'_>) {
    let Some(terminal) = mending.terminal else { return };
    let Some((saved, raw)) = mending.shared.raw() else { return };
    // Another's modes are left alone: a shell that has taken the terminal back has set its own.
    let untouched = Termios::of(terminal).is_ok_and(|now| now == raw);
    let inverse = Left::from_bits(mending.shared.modes()).inverse(!untouched);
    let _ = crate::sys::fd::write(terminal, &inverse);
    if untouched {
        let _ = saved.set(terminal);
    }
}

fn send(socket: &UnixStream, report: Report) {
    let _ = { socket }.write_all(&report.encode());
}

fn receive(socket: &UnixStream) -> Option<Order> {
    let mut bytes = [0; MESSAGE_LEN];
    { socket }.read_exact(&mut bytes).ok()?;
    Order::decode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_were_meant() {
        for report in [
            Report::Started(Pid(70_000)),
            Report::NotExecuted(2),
            Report::Stopped(Signal::TSTP),
            Report::Continued,
            Report::Exited(Exit::Code(255)),
            Report::Exited(Exit::Signal(Signal::KILL)),
        ] {
            assert_eq!(Report::decode(report.encode()), Some(report));
        }
        for foreground in [false, true] {
            for order in [
                Order::Start { foreground },
                Order::Continue { foreground },
                Order::Awake,
                Order::Leave,
            ] {
                assert_eq!(Order::decode(order.encode()), Some(order));
            }
        }
        assert_eq!(Report::decode([9, 0, 0, 0, 0]), None);
        assert_eq!(Order::decode([9, 0, 0, 0, 0]), None);
    }
}
