//! The capture loop: one thread that moves bytes, keeps them, and does what the relay says.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use super::clock::{Clock, Drift};
use super::descriptors::Terminal;
use super::flow::{Flows, Flushed, Inflow, Outflow, Screen};
use super::monitor::{CHANGED, Monitor, Order, Report};
use super::queue::undo_onlcr;
use super::relay::{Action, End, Ends, Event, Relay, Sender};
use super::secret::{Echo, is_secret};
use super::tape::Tape;
use crate::store::StreamId;
use crate::sys::fd;
use crate::sys::poll::{Interest, PollSet, Ready};
use crate::sys::process::{self, Change, Pid};
use crate::sys::shared::SharedTerminal;
use crate::sys::signal::{self, Disposition, Mask, Signal};
use crate::sys::tty::{self, Termios};

/// Reads of one source in a row before the other ends and the signals get their turn: keys must
/// reach a command that floods its terminal.
const READS_MAX: usize = 16;

/// What one read of a terminal gives at most is a little below 4096 bytes; one that gives this
/// much was full, and more is likely there.
const FULL_READ: usize = 4000;

/// Keys stop being read while so many wait for the command.
const KEYS_MAX: usize = super::queue::QUEUE_MAX;

/// Signals that are passed on to the command.
const FORWARDED: [Signal; 7] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::ALRM,
    Signal::USR1,
    Signal::USR2,
];

/// The command, as the loop reaches it.
#[derive(Debug)]
pub enum Command {
    /// Behind a monitor, on a terminal of its own; its process and group once it runs.
    Monitored(Monitor, Option<Pid>),
    /// A child in our own group.
    Child(Pid),
    /// It has ended, or never began.
    Gone,
}

/// Everything the loop works on.
#[derive(Debug)]
pub struct Capture<'a> {
    relay: Relay,
    command: Command,
    screen: Option<Screen>,
    pipes: Vec<Outflow>,
    input: Option<Inflow>,
    keep_input: bool,
    tape: Tape,
    shared: &'a SharedTerminal,
    clock: Clock,
    actions: Vec<Action>,
    end: Option<End>,
}

/// Where each descriptor stands in the poll set.
#[derive(Debug, Default)]
struct Places {
    monitor: Option<usize>,
    ptmx: Option<usize>,
    reads_pty: bool,
    terminal: Option<usize>,
    pipes: [Option<(usize, usize)>; 2],
    input: Option<(usize, usize)>,
    side: Option<usize>,
}

impl<'a> Capture<'a> {
    /// A loop that follows `relay`'s rules for `command`, and keeps what passes on `tape`.
    pub fn new(
        relay: Relay,
        command: Command,
        flows: Flows,
        tape: Tape,
        shared: &'a SharedTerminal,
        clock: Clock,
    ) -> Capture<'a> {
        let Flows { screen, pipes, input, keep_input } = flows;
        let actions = Vec::new();
        let end = None;
        Capture {
            relay,
            command,
            screen,
            pipes,
            input,
            keep_input,
            tape,
            shared,
            clock,
            actions,
            end,
        }
    }

    /// Moves bytes until the command has ended and everything is where it belongs. All signals are
    /// blocked when it is called; while it runs they are let in only where it sleeps.
    ///
    /// `first` is what has just happened: the command is to be started by its monitor, runs, or
    /// could not be executed.
    pub fn run(mut self, first: Event) -> (End, Tape, Clock) {
        let asleep = self.note_signals();
        self.relay_event(first);
        let mut poll = PollSet::default();
        let mut more = false;
        loop {
            self.act();
            self.settle();
            self.act();
            if let Some(end) = self.end {
                return self.finish(end);
            }
            let places = self.watch(&mut poll);
            let timeout = if more { Some(Duration::ZERO) } else { self.timeout() };
            let before_ns = self.clock.monotonic_ns();
            // An error is a lack of kernel memory; no place is ready then, and the next round may
            // fare better.
            let _ = poll.wait(timeout, &asleep);
            self.look_at_clocks(before_ns);
            if signal::any() {
                self.take_signals();
            }
            self.take_reports(&poll, &places);
            more = self.move_bytes(&poll, &places);
            let now_us = self.clock.now_us();
            if places.side.is_some_and(|at| poll.ready(at) != Ready::default()) {
                self.tape.take_side(now_us);
            }
            self.tape.tick(now_us);
            self.relay_event(Event::Tick);
        }
    }

    fn relay_event(&mut self, event: Event) {
        self.relay.on(self.clock.now_us(), event, &mut self.actions);
    }

    /// Sets up the handlers and returns the mask to sleep with.
    fn note_signals(&mut self) -> Mask {
        let mut noted: Vec<Signal> = FORWARDED.to_vec();
        noted.extend([Signal::CHLD, Signal::WINCH]);
        if self.screen.is_some() {
            noted.extend([Signal::TSTP, Signal::CONT]);
        }
        let mut mask = Mask::full();
        for signal in noted {
            let stays_ignored = signal != Signal::CHLD && signal::is_ignored(signal);
            if !stays_ignored && signal::set(signal, Disposition::Note).is_ok() {
                mask = mask.without(signal);
            }
        }
        if self.screen.is_none() {
            // In one group with the command, stopping and going on is the kernel's work.
            for signal in [Signal::TSTP, Signal::TTIN, Signal::TTOU, Signal::CONT] {
                mask = mask.without(signal);
            }
        }
        mask
    }

    fn watch(&mut self, poll: &mut PollSet) -> Places {
        poll.clear();
        let mut places = Places::default();
        if let Command::Monitored(monitor, _) = &self.command {
            let interest = Interest { read: true, write: false };
            places.monitor = Some(poll.watch(monitor.socket().as_fd(), interest));
        }
        if let Some(fd) = self.tape.side.as_ref().and_then(|side| side.fd()) {
            places.side = Some(poll.watch(fd, Interest { read: true, write: false }));
        }
        if let Some(screen) = &self.screen {
            let waits = !screen.output.is_empty();
            if let Some(ptmx) = screen.ptmx.as_ref().filter(|_| screen.open) {
                let read = !waits && self.relay.reads_pty();
                let write = !screen.keys.is_empty();
                places.reads_pty = read;
                if read || write {
                    places.ptmx = Some(poll.watch(ptmx.as_fd(), Interest { read, write }));
                }
            }
            if let Some(terminal) = &screen.terminal {
                let read = self.relay.reads_keys() && screen.keys.pending().len() < KEYS_MAX;
                let interest = Interest { read, write: waits };
                places.terminal = Some(poll.watch(terminal.fd.as_fd(), interest));
            }
        }
        for (flow, place) in self.pipes.iter().zip(&mut places.pipes) {
            let waits = !flow.queue.is_empty();
            // A sink is watched even with nothing to write: its reader's end shows as an error.
            if let (Some(source), Some(sink)) = (&flow.source, &flow.sink) {
                let read = Interest { read: !waits, write: false };
                let write = Interest { read: false, write: waits };
                *place = Some((poll.watch(source.as_fd(), read), poll.watch(sink.as_fd(), write)));
            } else if let (None, Some(sink), true) = (&flow.source, &flow.sink, waits) {
                let at = poll.watch(sink.as_fd(), Interest { read: false, write: true });
                *place = Some((at, at));
            }
        }
        if let Some(Inflow { source, sink: Some(sink), queue }) = &self.input {
            let waits = !queue.is_empty();
            let at = poll.watch(sink.as_fd(), Interest { read: false, write: waits });
            let read = !waits && self.relay.reads_input();
            places.input = match source {
                Some(source) if read => {
                    Some((poll.watch(source.as_fd(), Interest { read, write: false }), at))
                }
                _ => Some((at, at)),
            };
        }
        places
    }

    fn timeout(&self) -> Option<Duration> {
        let now_us = self.clock.now_us();
        let relay = self.relay.deadline_us().filter(|at| *at > now_us);
        let next = [relay, self.tape.deadline_us()].into_iter().flatten().min()?;
        Some(Duration::from_micros(next.saturating_sub(now_us)))
    }

    fn look_at_clocks(&mut self, before_ns: u64) {
        match self.clock.drift_since(before_ns) {
            Drift::None => {}
            Drift::Suspended(us) => {
                let now_us = self.clock.now_us();
                self.tape.event(now_us, "suspended", |o| o.int("suspended_us", us));
            }
            Drift::Jumped(us) => {
                let now_us = self.clock.now_us();
                self.tape.event(now_us, "clock_jump", |o| o.int("jump_us", us));
            }
        }
    }

    fn take_signals(&mut self) {
        let group = self.command_group();
        for signal in FORWARDED.into_iter().chain([Signal::TSTP]) {
            let Some(from) = signal::take(signal) else { continue };
            let sender = match from {
                None => Sender::Kernel,
                Some(pid) if group.is_some() && process::group_of(pid) == group => Sender::Command,
                Some(_) => Sender::Other,
            };
            self.relay_event(Event::Signal(signal, sender));
        }
        if signal::take(Signal::WINCH).is_some() {
            self.relay_event(Event::Signal(Signal::WINCH, Sender::Kernel));
        }
        if signal::take(Signal::CONT).is_some() {
            let foreground = self.is_foreground();
            self.relay_event(Event::Resumed { foreground });
        }
        signal::take(Signal::CHLD);
        if let Command::Child(pid) = self.command {
            while let Some(change) = process::changed(pid) {
                if let Change::Exited(exit) = change {
                    self.command = Command::Gone;
                    self.relay_event(Event::Exited(exit));
                    break;
                }
            }
        }
    }

    fn take_reports(&mut self, poll: &PollSet, places: &Places) {
        let Some(place) = places.monitor else { return };
        let ready = poll.ready(place);
        if !(ready.read || ready.hangup || ready.error) {
            return;
        }
        let Command::Monitored(monitor, pid) = &mut self.command else { return };
        match monitor.report() {
            Some(Report::Started(command)) => {
                *pid = Some(command);
                self.relay_event(Event::Started);
            }
            Some(Report::NotExecuted(errno)) => self.relay_event(Event::NotExecuted(errno)),
            Some(Report::Stopped(signal)) => {
                let now_us = self.clock.now_us();
                self.tape.event(now_us, "stop", |o| o.string("signal", &signal.name()));
                self.relay_event(Event::Stopped(signal));
            }
            Some(Report::Continued) => monitor.order(Order::Awake),
            Some(Report::Exited(exit)) => {
                monitor.order(Order::Awake);
                *pid = None;
                self.relay_event(Event::Exited(exit));
            }
            None => {
                // Somebody killed the monitor. The kernel hangs its session up; nothing is left
                // that could tell how the command ends.
                self.command = Command::Gone;
                self.relay_event(Event::Exited(process::Exit::Signal(Signal::KILL)));
            }
        }
    }

    /// Moves what can be moved. True when more is likely there.
    fn move_bytes(&mut self, poll: &PollSet, places: &Places) -> bool {
        let ready = |place: Option<usize>| place.map_or(Ready::default(), |at| poll.ready(at));
        let terminal = ready(places.terminal);
        if terminal.hangup || terminal.error {
            self.relay_event(Event::TerminalGone);
            self.act();
        }
        let mut more = false;
        if terminal.read {
            self.take_keys();
        }
        let pty = ready(places.ptmx);
        if pty.write {
            self.flush_keys();
        }
        if let Some(screen) = &mut self.screen {
            screen.may_write = terminal.write;
            if terminal.write {
                self.flush_screen();
            }
            if pty.read || pty.hangup || pty.error {
                more |= self.take_output();
            } else if places.reads_pty && self.relay.is_over() {
                self.relay_event(Event::Empty);
            }
        }
        for index in 0..self.pipes.len() {
            if let Some((source, sink)) = places.pipes[index] {
                more |= self.move_pipe(index, poll.ready(source), poll.ready(sink));
            }
        }
        if let Some((source, sink)) = places.input {
            self.move_input(poll.ready(source), poll.ready(sink));
        }
        more
    }

    fn flush_screen(&mut self) {
        if let Some(screen) = &mut self.screen
            && screen.flush() == Flushed::SinkGone
        {
            self.relay_event(Event::TerminalGone);
            self.act();
        }
    }

    /// Reads the command's terminal. True when more is likely there.
    ///
    /// What one read gives is shown before the next: the reader behind our terminal works while
    /// the command does.
    fn take_output(&mut self) -> bool {
        for _ in 0..READS_MAX {
            let Some(screen) = &mut self.screen else { return false };
            let Some(ptmx) = screen.ptmx.as_ref().filter(|_| screen.open) else { return false };
            if !screen.output.is_empty() {
                return false;
            }
            if std::mem::take(&mut screen.held_cr) {
                screen.output.room()[0] = b'\r';
                screen.output.filled(1);
            }
            let held = screen.output.pending().len();
            match fd::read(ptmx.as_fd(), screen.output.room()) {
                Ok(len) if len > 0 => {
                    let now_us = self.clock.now_us();
                    screen.output.filled(len);
                    self.relay.on(now_us, Event::Output(len as u64), &mut self.actions);
                    self.keep_output(now_us, held);
                    self.flush_screen();
                    if len < FULL_READ {
                        return false;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.relay_event(Event::Empty);
                    self.flush_screen();
                    return false;
                }
                // Linux: EIO, after everything has been read. Elsewhere: 0.
                Ok(_) | Err(_) => {
                    screen.open = false;
                    self.flush_screen();
                    return false;
                }
            }
        }
        true
    }

    /// Keeps what was read, and makes it ready to be shown: what a person has seen is in
    /// the store, whatever happens next. Where the store takes small records without a system
    /// call, the way of a key and its echo does not get longer by it.
    fn keep_output(&mut self, now_us: u64, held: usize) {
        let raw = self.relay.is_raw();
        let Some(screen) = &mut self.screen else { return };
        let bytes = &screen.output.pending()[held..];
        screen.modes.feed(bytes);
        screen.line.feed(bytes);
        self.shared.set_modes(screen.modes.left().bits());
        self.tape.put(&self.clock, screen.stream, now_us, bytes);
        if !raw && screen.adds_cr && screen.terminal.is_some() {
            let whole = held + bytes.len();
            screen.output.unfill(whole);
            let (kept, held_cr) = undo_onlcr(screen.output.filled(whole));
            screen.output.unfill(whole - kept);
            screen.held_cr = held_cr;
        }
    }

    fn take_keys(&mut self) {
        let Some(screen) = &mut self.screen else { return };
        let (Some(terminal), Some(ptmx)) = (&screen.terminal, &screen.ptmx) else { return };
        let room = screen.keys.room();
        if room.is_empty() {
            return;
        }
        let got = match fd::read(terminal.fd.as_fd(), room) {
            Ok(0) => {
                self.relay_event(Event::TerminalGone);
                return;
            }
            Ok(got) => got,
            // EIO without a hang-up: we are in the background of an orphaned group.
            Err(_) => return,
        };
        let now_us = self.clock.now_us();
        let echo =
            Termios::of(ptmx.as_fd()).map_or(Echo { shown: true, by_lines: false }, |modes| Echo {
                shown: modes.echoes(),
                by_lines: modes.is_canonical(),
            });
        let secret = is_secret(echo, &screen.line);
        screen.keys.filled(got);
        let start = screen.keys.pending().len() - got;
        if start == 0 {
            // The usual case: the keys go on before they are kept.
            let written = fd::write(ptmx.as_fd(), screen.keys.pending()).unwrap_or(0);
            let bytes = screen.keys.pending();
            keep_keys(&mut self.tape, &self.clock, self.keep_input, now_us, bytes, secret);
            screen.keys.written(written);
        } else {
            let bytes = &screen.keys.pending()[start..];
            keep_keys(&mut self.tape, &self.clock, self.keep_input, now_us, bytes, secret);
            self.flush_keys();
        }
    }

    fn flush_keys(&mut self) {
        let Some(screen) = &mut self.screen else { return };
        let Some(ptmx) = &screen.ptmx else { return };
        while !screen.keys.is_empty() {
            match fd::write(ptmx.as_fd(), screen.keys.pending()) {
                Ok(len) => screen.keys.written(len),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    screen.keys.clear();
                }
            }
        }
    }

    fn move_pipe(&mut self, index: usize, source: Ready, sink: Ready) -> bool {
        let flow = &mut self.pipes[index];
        flow.may_write = sink.write;
        if sink.error {
            flow.drop_sink();
            return false;
        }
        flow.flush();
        if !(source.read || source.hangup || source.error) {
            return false;
        }
        for _ in 0..READS_MAX {
            if !flow.queue.is_empty() {
                return false;
            }
            let Some(from) = &flow.source else { return false };
            match fd::read(from.as_fd(), flow.queue.room()) {
                Ok(0) => {
                    flow.source = None;
                    return false;
                }
                Ok(got) => {
                    let now_us = self.clock.now_us();
                    flow.queue.filled(got);
                    self.tape.put(&self.clock, flow.stream, now_us, flow.queue.pending());
                    flow.flush();
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => {
                    flow.source = None;
                    return false;
                }
            }
        }
        true
    }

    fn move_input(&mut self, source: Ready, sink: Ready) {
        let reads = self.relay.reads_input();
        let Some(flow) = &mut self.input else { return };
        if sink.error {
            (flow.source, flow.sink) = (None, None);
            return;
        }
        flow.flush();
        if !flow.queue.is_empty() || !reads || !(source.read || source.hangup) {
            return;
        }
        let Some(from) = &flow.source else { return };
        match fd::read(from.as_fd(), flow.queue.room()) {
            Ok(got) if got > 0 => {
                let now_us = self.clock.now_us();
                flow.queue.filled(got);
                self.tape.put(&self.clock, StreamId::STDIN, now_us, flow.queue.pending());
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Ok(_) | Err(_) => flow.source = None,
        }
        flow.flush();
    }

    fn settle(&mut self) {
        if !self.relay.is_over() {
            return;
        }
        if let Some(screen) = self.screen.as_mut().filter(|s| s.held_cr && s.output.is_empty()) {
            screen.held_cr = false;
            screen.output.room()[0] = b'\r';
            screen.output.filled(1);
            self.flush_screen();
        }
        let screen = self.screen.as_ref();
        let ends = Ends {
            pty_open: screen.is_some_and(|s| s.open),
            pipes_open: self.pipes.iter().any(|f| f.source.is_some()),
            pending: screen.is_some_and(|s| s.terminal.is_some() && !s.output.is_empty())
                || self.pipes.iter().any(|f| f.sink.is_some() && !f.queue.is_empty()),
        };
        self.relay.settle(self.clock.now_us(), ends, &mut self.actions);
    }

    /// Does what the relay has decided. Doing one thing may lead to the next.
    fn act(&mut self) {
        while !self.actions.is_empty() {
            for action in std::mem::take(&mut self.actions) {
                self.perform(action);
            }
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Start { foreground } => {
                if let Command::Monitored(monitor, _) = &self.command {
                    monitor.order(Order::Start { foreground });
                }
            }
            Action::GoRaw => self.go_raw(),
            Action::Restore => self.restore(),
            Action::StopSelf(signal) => self.stop_self(signal),
            Action::Continue { foreground } => {
                let now_us = self.clock.now_us();
                self.tape.event(now_us, "continue", |o| o.bool("foreground", foreground));
                if let Command::Monitored(monitor, _) = &self.command {
                    monitor.order(Order::Continue { foreground });
                }
            }
            Action::SyncSize { redraw } => self.sync_size(redraw),
            Action::SignalGroup(signal) => self.signal_group(signal),
            Action::SignalCommand(signal) => {
                if let Some(pid) = self.command_pid() {
                    let _ = process::kill(pid, signal);
                }
            }
            Action::DropTerminal => {
                let now_us = self.clock.now_us();
                self.tape.event(now_us, "terminal_closed", |_| {});
                self.shared.clear_raw();
                if let Some(screen) = &mut self.screen {
                    screen.terminal = None;
                    screen.output.clear();
                    screen.keys.clear();
                }
            }
            Action::ClosePty => {
                if let Some(screen) = &mut self.screen {
                    (screen.ptmx, screen.open) = (None, false);
                }
            }
            Action::Finish(end) => self.end = Some(end),
        }
    }

    fn go_raw(&mut self) {
        let Some(screen) = &mut self.screen else { return };
        let Some(terminal) = &mut screen.terminal else { return };
        let Ok(now) = Termios::of(terminal.fd.as_fd()) else { return };
        // If the terminal is as we made it, nobody has changed its modes since: the ones saved
        // before are those to give back.
        let saved = match self.shared.raw() {
            Some((saved, raw)) if raw == now => saved,
            _ => now,
        };
        // A command that was started in the background got the modes that a shell's line editor
        // had on then. What it has not changed itself follows ours.
        if let Some(ptmx) = &screen.ptmx
            && saved != terminal.modes
            && Termios::of(ptmx.as_fd()).ok() == screen.given
        {
            let _ = saved.set(ptmx.as_fd());
            screen.given = Termios::of(ptmx.as_fd()).ok();
            screen.adds_cr = saved.adds_cr();
        }
        terminal.modes = saved;
        self.shared.set_raw(&saved, &saved.raw());
        let _ = saved.raw().set(terminal.fd.as_fd());
        if let Ok(raw) = Termios::of(terminal.fd.as_fd()) {
            self.shared.set_raw(&saved, &raw);
        }
    }

    fn restore(&mut self) {
        let Some(terminal) = self.screen.as_ref().and_then(|s| s.terminal.as_ref()) else { return };
        if self.is_foreground() {
            let _ = terminal.modes.set(terminal.fd.as_fd());
        }
        self.shared.clear_raw();
    }

    /// Whether we are in the foreground of our terminal; true where it has no job control for us.
    fn is_foreground(&self) -> bool {
        let terminal = self.screen.as_ref().and_then(|s| s.terminal.as_ref());
        terminal.is_none_or(is_foreground)
    }

    /// Stops this process, and its group if a key would have, until somebody lets us go on.
    fn stop_self(&mut self, signal: Signal) {
        signal::take(Signal::CONT);
        let by_key = [Signal::TSTP, Signal::TTIN, Signal::TTOU].contains(&signal);
        if by_key {
            let _ = signal::set(signal, Disposition::Default);
        }
        let blocked = Mask::full().without(signal).without(Signal::CONT).install();
        let _ = self.tape.at_rest(|| match by_key {
            true => process::kill_group(process::own_group(), signal),
            false => process::kill(process::own_pid(), Signal::STOP),
        });
        // The signal is delivered no later than here; this line runs after the stop.
        blocked.install();
        if signal == Signal::TSTP {
            let _ = signal::set(signal, Disposition::Note);
        }
        let stopped = signal::take(Signal::CONT).is_some();
        let foreground = self.is_foreground();
        self.relay_event(if stopped || foreground {
            Event::Resumed { foreground }
        } else {
            Event::NotStopped
        });
    }

    fn sync_size(&mut self, redraw: bool) {
        let Some(screen) = &mut self.screen else { return };
        let (Some(terminal), Some(ptmx)) = (&screen.terminal, &screen.ptmx) else { return };
        let Ok(size) = tty::size(terminal.fd.as_fd()) else { return };
        if size.rows == 0 || size.cols == 0 {
            return;
        }
        if size != screen.size {
            screen.size = size;
            let _ = tty::set_size(ptmx.as_fd(), size);
            let now_us = self.clock.now_us();
            self.tape.event(now_us, "resize", |o| {
                o.int("cols", size.cols);
                o.int("rows", size.rows);
            });
        } else if redraw {
            self.signal_group(Signal::WINCH);
        }
    }

    /// Signals the foreground group of the command's terminal; without one, the command.
    fn signal_group(&mut self, signal: Signal) {
        let ptmx = self.screen.as_ref().and_then(|s| s.ptmx.as_ref());
        let group = ptmx.and_then(|ptmx| tty::foreground(ptmx.as_fd()).ok()).filter(|g| g.0 > 0);
        // While the command does not own its terminal, its monitor does, which is deaf.
        let command = self.command_group();
        let deaf = match &self.command {
            Command::Monitored(monitor, _) => Some(monitor.group()),
            _ => None,
        };
        let Some(group) = group.filter(|group| Some(*group) != deaf).or(command) else { return };
        if let (Err(_), Some(ptmx)) = (process::kill_group(group, signal), ptmx) {
            // Not ours to signal (sudo): the terminal may, for what has a key.
            let _ = tty::signal_foreground(ptmx.as_fd(), signal);
        }
    }

    fn command_pid(&self) -> Option<Pid> {
        match self.command {
            Command::Monitored(_, pid) => pid,
            Command::Child(pid) => Some(pid),
            Command::Gone => None,
        }
    }

    /// The command's own group, if it has one.
    fn command_group(&self) -> Option<Pid> {
        match self.command {
            Command::Monitored(_, pid) => pid,
            Command::Child(_) | Command::Gone => None,
        }
    }

    fn finish(mut self, end: End) -> (End, Tape, Clock) {
        if let Some(screen) = &mut self.screen {
            // Somebody still holds the terminal that is about to be closed: say who.
            if let Some(path) = screen.pts_path.as_ref().filter(|_| screen.open) {
                let holders = process::holders(path);
                let now_us = self.clock.now_us();
                self.tape.event(now_us, "terminal_held", |o| {
                    o.array("pids", |a| holders.iter().for_each(|pid| a.int(pid.0)));
                });
            }
            let left = screen.modes.left();
            let crashed = end != End::Exit(process::Exit::Code(0));
            if let Some(terminal) = screen.terminal.as_ref().filter(|_| crashed && !left.is_none())
            {
                // What was on the screen is all written; a full terminal is left as it is.
                let _ = terminal.fd.write(&left.inverse(false));
            }
        }
        self.screen = None;
        if let Command::Monitored(monitor, _) = self.command {
            monitor.leave();
        }
        for signal in CHANGED {
            if signal != Signal::PIPE && signal != Signal::XFSZ && !signal::is_ignored(signal) {
                let _ = signal::set(signal, Disposition::Default);
            }
        }
        (end, self.tape, self.clock)
    }
}

/// Whether we are in the foreground of `terminal`; true where it has no job control for us.
pub fn is_foreground(terminal: &Terminal) -> bool {
    tty::foreground(terminal.fd.as_fd()).map_or(true, |group| group == process::own_group())
}

fn keep_keys(tape: &mut Tape, clock: &Clock, keep: bool, now_us: u64, bytes: &[u8], secret: bool) {
    if secret {
        tape.count_secret(bytes.len());
        tape.event(now_us, "secret_input", |o| o.int("bytes", bytes.len() as u64));
    } else if keep {
        tape.put(clock, StreamId::STDIN, now_us, bytes);
    }
}
