//! The relay as a pure state machine: what happened goes in, with the time it happened; what is to
//! be done comes out. It moves no bytes and knows no descriptors.

use crate::sys::process::Exit;
use crate::sys::signal::Signal;

/// After the command's exit: quiet for so long, and nobody else is expected to print.
pub const QUIET_US: u64 = 200_000;
/// After the command's exit: a process that goes on printing on its terminal is left after this.
pub const DRAIN_US: u64 = 2_000_000;
/// More than a terminal's kernel buffers hold: after so many bytes, all that the command printed
/// before its exit has been read.
pub const DRAIN_BYTES_MIN: u64 = 64 * 1024;
/// After our terminal has gone: how long the command may go on printing.
pub const HANG_UP_US: u64 = 5_000_000;
/// After that, with its own terminal closed too: how long it may take to end.
pub const LEAVE_US: u64 = 1_000_000;
/// A signal that comes again within this time goes to the command alone.
pub const AGAIN_US: u64 = 5_000_000;
/// Most signals that are remembered for a command that is about to run.
pub const EARLY_MAX: usize = 8;

/// What the relay is set between.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The command has a terminal of ours.
    pub pty: bool,
    /// The command owns its terminal from the start. In a pipeline it gets it, and ours becomes
    /// raw, when it first reads or sets it: others may be reading ours meanwhile.
    pub eager: bool,
    /// We are in the foreground of our own terminal, or it has no job control.
    pub foreground: bool,
    /// Relay until every process that holds the terminal has gone.
    pub wait_for_all: bool,
    /// SIGHUP was ignored when we were started (nohup): the loss of our terminal is nothing.
    pub hup_ignored: bool,
}

/// Who sent a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The kernel: a key on our terminal, or its loss.
    Kernel,
    /// A process of the command's own group.
    Command,
    /// Any other process.
    Other,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Everything is set up for the command to be started.
    Ready,
    /// The command runs.
    Started,
    /// The command could not be executed.
    NotExecuted(i32),
    /// The command was stopped.
    Stopped(Signal),
    /// The command ended.
    Exited(Exit),
    /// So many bytes came from the command's terminal.
    Output(u64),
    /// The command's terminal has nothing more for the moment.
    Empty,
    /// We go on after a stop.
    Resumed {
        /// We are in the foreground of our terminal.
        foreground: bool,
    },
    /// We could not be stopped: no shell would let us go on, so the kernel drops the signal.
    NotStopped,
    /// A signal came.
    Signal(Signal, Sender),
    /// Our terminal has gone.
    TerminalGone,
    /// Time has passed.
    Tick,
}

/// Something to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start the command.
    Start {
        /// As owner of its terminal.
        foreground: bool,
    },
    /// Save our terminal's modes and make it raw.
    GoRaw,
    /// Give our terminal its saved modes back.
    Restore,
    /// Stop this process group by this signal; [`Event::Resumed`] follows.
    StopSelf(Signal),
    /// Let the command go on.
    Continue {
        /// As owner of its terminal.
        foreground: bool,
    },
    /// Give the command's terminal the size of ours.
    SyncSize {
        /// Tell the command even if the size is the same: its picture may be gone.
        redraw: bool,
    },
    /// Send a signal to the foreground group of the command's terminal.
    SignalGroup(Signal),
    /// Send a signal to the command itself.
    SignalCommand(Signal),
    /// Stop showing output: there is nothing to show it on.
    DropTerminal,
    /// Close the command's terminal; the kernel hangs it up.
    ClosePty,
    /// Leave.
    Finish(End),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The command ended.
    Exit(Exit),
    /// The command could not be executed.
    NotExecuted(i32),
    /// Our terminal went away, and the command with it, or it outlived both.
    TerminalClosed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Running,
    /// The command has ended; its last output is on the way.
    Draining {
        end: End,
        since_us: u64,
    },
    Done,
}

/// Which ends still have something to come or to go.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// Somebody holds the command's terminal open.
    pub pty_open: bool,
    /// Somebody holds one of the command's pipes open.
    pub pipes_open: bool,
    /// Bytes wait to be written.
    pub pending: bool,
}

/// The relay's state.
#[derive(Debug)]
pub struct Relay {
    setup: Setup,
    phase: Phase,
    /// Our terminal is raw.
    raw: bool,
    /// The command owns its terminal, or shall own it as soon as we are in the foreground.
    owns_terminal: bool,
    /// The command was stopped and waits to be let on.
    command_stopped: bool,
    terminal_gone_us: Option<u64>,
    pty_closed: bool,
    heard_us: u64,
    /// Since the command's exit: bytes read, and whether the terminal was empty once.
    drained_bytes: u64,
    drained_empty: bool,
    last_forward: Option<(Signal, u64)>,
    /// Signals that came before the command ran.
    early: Vec<Signal>,
}

impl Relay {
    /// A relay for a command that is about to be started.
    pub fn new(setup: Setup) -> Relay {
        Relay {
            setup,
            phase: Phase::Starting,
            raw: false,
            owns_terminal: setup.eager,
            command_stopped: false,
            terminal_gone_us: None,
            pty_closed: false,
            heard_us: 0,
            drained_bytes: 0,
            drained_empty: false,
            last_forward: None,
            early: Vec::new(),
        }
    }

    /// Whether keys are to be read from our terminal.
    pub fn reads_keys(&self) -> bool {
        self.raw && self.phase == Phase::Running && self.terminal_gone_us.is_none()
    }

    /// Whether the command's input, where it is no terminal, is to be read on its behalf.
    pub fn reads_input(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }

    /// Whether the command's terminal is to be read.
    pub fn reads_pty(&self) -> bool {
        !self.pty_closed && self.phase != Phase::Done
    }

    /// Whether our terminal is raw, so that output passes through it unchanged.
    pub fn is_raw(&self) -> bool {
        self.raw
    }

    /// Whether the command has ended, or never began.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Draining { .. } | Phase::Done)
    }

    /// Takes in what happened at `now_us` and appends what is to be done.
    pub fn on(&mut self, now_us: u64, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Ready => {
                // Our terminal is raw before the command can print a word, and a change of size
                // since it was first asked for is not lost.
                let foreground = self.owns_terminal && self.setup.foreground;
                if foreground {
                    self.go_raw(out);
                }
                out.push(Action::SyncSize { redraw: false });
                out.push(Action::Start { foreground });
            }
            Event::Started if self.phase == Phase::Starting => {
                self.phase = Phase::Running;
                for signal in std::mem::take(&mut self.early) {
                    self.forward(now_us, signal, out);
                }
            }
            Event::Started => {}
            Event::NotExecuted(errno) => self.ended(now_us, End::NotExecuted(errno)),
            Event::Exited(exit) => {
                let closed = self.terminal_gone_us.is_some() && !self.setup.hup_ignored;
                self.ended(now_us, if closed { End::TerminalClosed } else { End::Exit(exit) });
            }
            Event::Stopped(signal) if self.phase == Phase::Running => self.stopped(signal, out),
            Event::Stopped(_) => {}
            Event::Output(bytes) => {
                self.heard_us = now_us;
                if self.is_over() {
                    self.drained_bytes += bytes;
                }
            }
            Event::Empty => self.drained_empty |= self.is_over(),
            Event::Resumed { foreground } => self.resumed(foreground, out),
            Event::NotStopped => {
                // A command that waits for keys that cannot come beats one that is stopped and
                // let go on in a circle.
                self.command_stopped = false;
                out.push(Action::Continue { foreground: true });
            }
            Event::Signal(signal, sender) => self.signalled(now_us, signal, sender, out),
            Event::TerminalGone => self.terminal_gone(now_us, out),
            Event::Tick => self.tick(now_us, out),
        }
    }

    /// Leaves if nothing more is to come or to go.
    pub fn settle(&mut self, now_us: u64, ends: Ends, out: &mut Vec<Action>) {
        let Phase::Draining { end, since_us } = self.phase else { return };
        if ends.pty_open && !self.pty_closed && self.may_leave_pty(now_us, since_us) {
            self.pty_closed = true;
        }
        let pty_done = !ends.pty_open || self.pty_closed;
        if pty_done && !ends.pipes_open && !ends.pending {
            self.finish(end, out);
        }
    }

    /// When [`Event::Tick`] is due at the latest, if at all.
    pub fn deadline_us(&self) -> Option<u64> {
        match self.phase {
            Phase::Draining { since_us, .. } if !self.setup.wait_for_all && !self.pty_closed => {
                let quiet = self.heard_us.max(since_us) + QUIET_US;
                Some(if self.drained_empty {
                    quiet.min(since_us + DRAIN_US)
                } else {
                    since_us + DRAIN_US
                })
            }
            Phase::Running => self
                .terminal_gone_us
                .filter(|_| !self.setup.hup_ignored)
                .map(|at| at + HANG_UP_US + if self.pty_closed { LEAVE_US } else { 0 }),
            _ => None,
        }
    }

    fn may_leave_pty(&self, now_us: u64, since_us: u64) -> bool {
        if self.setup.wait_for_all {
            return false;
        }
        let quiet = self.drained_empty && now_us >= self.heard_us.max(since_us) + QUIET_US;
        let all_read = self.drained_empty || self.drained_bytes >= DRAIN_BYTES_MIN;
        quiet || all_read && now_us >= since_us + DRAIN_US
    }

    fn ended(&mut self, now_us: u64, end: End) {
        if !self.is_over() {
            self.phase = Phase::Draining { end, since_us: now_us };
        }
    }

    fn finish(&mut self, end: End, out: &mut Vec<Action>) {
        if self.phase != Phase::Done {
            self.phase = Phase::Done;
            self.restore(out);
            out.push(Action::Finish(end));
        }
    }

    fn go_raw(&mut self, out: &mut Vec<Action>) {
        if self.terminal_gone_us.is_none() {
            self.raw = true;
            out.push(Action::GoRaw);
        }
    }

    fn restore(&mut self, out: &mut Vec<Action>) {
        if std::mem::take(&mut self.raw) {
            out.push(Action::Restore);
        }
    }

    fn stopped(&mut self, signal: Signal, out: &mut Vec<Action>) {
        if signal == Signal::TTIN || signal == Signal::TTOU {
            let had = std::mem::replace(&mut self.owns_terminal, true);
            if self.setup.foreground && !had {
                self.go_raw(out);
                out.push(Action::Continue { foreground: true });
                return;
            }
        }
        self.command_stopped = true;
        self.restore(out);
        out.push(Action::StopSelf(signal));
    }

    fn resumed(&mut self, foreground: bool, out: &mut Vec<Action>) {
        self.setup.foreground = foreground;
        if self.phase != Phase::Running {
            return;
        }
        if foreground && self.owns_terminal {
            // Whatever ran meanwhile may have changed the modes: they are saved afresh.
            self.go_raw(out);
            out.push(Action::SyncSize { redraw: true });
        } else {
            self.raw = false;
        }
        // A command that was not stopped is left as it is: inside it a shell may have handed the
        // terminal to one of its own jobs.
        if std::mem::take(&mut self.command_stopped) {
            out.push(Action::Continue { foreground: foreground && self.owns_terminal });
        }
    }

    fn signalled(&mut self, now_us: u64, signal: Signal, sender: Sender, out: &mut Vec<Action>) {
        if signal == Signal::WINCH {
            out.push(Action::SyncSize { redraw: false });
            return;
        }
        if signal == Signal::HUP && sender == Sender::Kernel && self.setup.pty {
            self.terminal_gone(now_us, out);
            return;
        }
        if let Phase::Draining { end, .. } = self.phase {
            let leaves = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT].contains(&signal);
            if leaves && sender != Sender::Command {
                self.finish(end, out);
            }
            return;
        }
        // Without a terminal of its own the command is in our group, and the kernel has told it.
        let told = sender == Sender::Command || sender == Sender::Kernel && !self.setup.pty;
        match self.phase {
            _ if told => {}
            // It may run already without our having heard of it.
            Phase::Starting if self.early.len() < EARLY_MAX => self.early.push(signal),
            Phase::Running => self.forward(now_us, signal, out),
            _ => {}
        }
    }

    fn forward(&mut self, now_us: u64, signal: Signal, out: &mut Vec<Action>) {
        let again = self
            .last_forward
            .is_some_and(|(last, at)| last == signal && now_us.saturating_sub(at) <= AGAIN_US);
        self.last_forward = Some((signal, now_us));
        out.push(match again || !self.setup.pty {
            true => Action::SignalCommand(signal),
            false => Action::SignalGroup(signal),
        });
        if signal == Signal::HUP {
            out.push(Action::SignalGroup(Signal::CONT));
        }
    }

    fn terminal_gone(&mut self, now_us: u64, out: &mut Vec<Action>) {
        if self.terminal_gone_us.is_some() {
            return;
        }
        self.terminal_gone_us = Some(now_us);
        self.raw = false;
        out.push(Action::DropTerminal);
        if self.setup.hup_ignored || self.phase != Phase::Running {
            return;
        }
        out.push(Action::SignalGroup(Signal::HUP));
        out.push(Action::SignalGroup(Signal::CONT));
    }

    fn tick(&mut self, now_us: u64, out: &mut Vec<Action>) {
        let Some(gone_us) = self.terminal_gone_us else { return };
        if self.phase != Phase::Running || self.setup.hup_ignored {
            return;
        }
        if !self.pty_closed && now_us >= gone_us + HANG_UP_US {
            self.pty_closed = true;
            out.push(Action::ClosePty);
        } else if self.pty_closed && now_us >= gone_us + HANG_UP_US + LEAVE_US {
            self.finish(End::TerminalClosed, out);
        }
    }
}

#[cfg(test)]
mod tests;
