//! The relay's rules as scripts: a line an event with its time in milliseconds, and after `=>`
//! what is to be done.

use super::*;

const NORMAL: Setup =
    Setup { pty: true, eager: true, foreground: true, wait_for_all: false, hup_ignored: false };

fn check(setup: Setup, script: &str) {
    let mut relay = Relay::new(setup);
    let (mut pty_open, mut pipes_open, mut pending) = (setup.pty, false, false);
    let mut got = String::new();
    for line in script.trim().lines() {
        let words = line.split("=>").next().unwrap_or("").trim();
        let mut parts = words.split_whitespace();
        let now_us = parts.next().and_then(|t| t.parse::<u64>().ok()).expect(line) * 1000;
        let mut out = Vec::new();
        let word = parts.next().expect(line);
        let rest: Vec<&str> = parts.collect();
        match word {
            "eof" => pty_open = false,
            "pipe" => pipes_open = rest == ["open"],
            "pending" => pending = rest == ["yes"],
            _ => relay.on(now_us, event(word, &rest), &mut out),
        }
        relay.settle(now_us, Ends { pty_open, pipes_open, pending }, &mut out);
        let done: Vec<String> = out.iter().map(|a| format!("{a:?}")).collect();
        got.push_str(&format!("{words} => {}\n", done.join(", ")));
    }
    let want: String = script
        .trim()
        .lines()
        .map(|l| {
            let (words, done) = l.split_once("=>").expect(l);
            format!("{} => {}\n", words.trim(), done.trim())
        })
        .collect();
    assert_eq!(got, want);
}

fn event(word: &str, rest: &[&str]) -> Event {
    let signal = |name: &str| match name {
        "TTIN" => Signal::TTIN,
        "TSTP" => Signal::TSTP,
        "HUP" => Signal::HUP,
        "INT" => Signal::INT,
        "WINCH" => Signal::WINCH,
        other => panic!("{other}"),
    };
    match (word, rest) {
        ("ready", []) => Event::Ready,
        ("started", []) => Event::Started,
        ("failed", [errno]) => Event::NotExecuted(errno.parse().unwrap()),
        ("stopped", [name]) => Event::Stopped(signal(name)),
        ("exit", [code]) => Event::Exited(Exit::Code(code.parse().unwrap())),
        ("output", [bytes]) => Event::Output(bytes.parse().unwrap()),
        ("empty", []) => Event::Empty,
        ("resumed", [place]) => Event::Resumed { foreground: *place == "foreground" },
        ("signal", [name, "kernel"]) => Event::Signal(signal(name), Sender::Kernel),
        ("signal", [name, "command"]) => Event::Signal(signal(name), Sender::Command),
        ("signal", [name]) => Event::Signal(signal(name), Sender::Other),
        ("dropped", []) => Event::NotStopped,
        ("gone", []) => Event::TerminalGone,
        ("tick", []) => Event::Tick,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_command_that_ends_is_left_when_its_terminal_is_closed() {
    check(
        NORMAL,
        "0 ready => GoRaw, SyncSize { redraw: false }, Start { foreground: true }
         0 started =>
         9 exit 7 =>
         9 output 12 =>
         9 eof => Restore, Finish(Exit(Code(7)))",
    );
}

#[test]
fn output_that_waits_is_written_before_leaving() {
    check(
        NORMAL,
        "0 ready => GoRaw, SyncSize { redraw: false }, Start { foreground: true }
         0 started =>
         5 exit 0 =>
         5 pending yes =>
         6 eof =>
         9999 tick =>
         9999 pending no => Restore, Finish(Exit(Code(0)))",
    );
}

#[test]
fn a_grandchild_that_is_quiet_is_left_after_the_quiet_time() {
    check(
        NORMAL,
        "0 ready => GoRaw, SyncSize { redraw: false }, Start { foreground: true }
         0 started =>
         5 exit 0 =>
         6 empty =>
         204 tick =>
         205 tick => Restore, Finish(Exit(Code(0)))",
    );
}

#[test]
fn a_grandchild_that_prints_on_is_left_after_the_drain_time() {
    check(
        NORMAL,
        "0 ready => GoRaw, SyncSize { redraw: false }, Start { foreground: true }
         0 started =>
         5 exit 0 =>
         1900 output 65535 =>
         2005 tick =>
         2005 output 1 => Restore, Finish(Exit(Code(0)))",
    );
    check(
        Setup { wait_for_all: true, ..NORMAL },
        "0 ready => GoRaw, SyncSize { redraw: false }, Start { foreground: true }
         0 started =>
         5 exit 0 =>
         6 empty =>
         60000 tick =>
         60001 eof => Restore, Finish(Exit(Code(0)))",
    );
}

#[test]
fn a_slow_reader_does_not_lose_what_the_kernel_still_holds() {
    check(
        NORMAL,
        "0 ready => GoRaw, SyncSize { redraw: false }, Start { foreground: true }
         0 started =>
         5 pending yes =>
         6 exit 0 =>
         5000 tick =>
         5001 pending no =>
         5002 output 4096 =>
         5003 empty => Restore, Finish(Exit(Code(0)))",
    );
}

#[test]
fn a_pipe_is_relayed_to_its_end() {
    check(
        NORMAL,
        "0 ready => GoRaw, SyncSize { redraw: false }, Start { foreground: true }
         0 started =>
         1 pipe open =>
         5 exit 0 =>
         6 eof =>
         99999 tick =>
         99999 pipe closed => Restore, Finish(Exit(Code(0)))",
    );
    check(
        Setup { pty: false, ..NORMAL },
        "0 started =>
         1 pipe open =>
         5 exit 0 =>
         99 signal INT => Finish(Exit(Code(0)))",
    );
}

#[test]
fn a_stop_stops_us_too_and_going_on_is_with_the_terminal_or_without() {
    check(
        NORMAL,
        "0 ready => GoRaw, SyncSize { redraw: false }, Start { foreground: true }
         0 started =>
         5 stopped TSTP => Restore, StopSelf(Signal(20))
         9 resumed foreground => GoRaw, SyncSize { redraw: true }, Continue { foreground: true }",
    );
    check(
        NORMAL,
        "0 ready => GoRaw, SyncSize { redraw: false }, Start { foreground: true }
         0 started =>
         5 stopped TSTP => Restore, StopSelf(Signal(20))
         9 resumed background => Continue { foreground: false }
         10 stopped TTIN => StopSelf(Signal(21))
         20 resumed foreground => GoRaw, SyncSize { redraw: true }, Continue { foreground: true }",
    );
}

#[test]
fn an_outside_stop_leaves_the_commands_own_jobs_alone() {
    check(
        NORMAL,
        "0 ready => GoRaw, SyncSize { redraw: false }, Start { foreground: true }
         0 started =>
         5 resumed foreground => GoRaw, SyncSize { redraw: true }
         6 resumed background =>",
    );
}

#[test]
fn a_stop_that_the_kernel_drops_does_not_turn_in_a_circle() {
    check(
        Setup { foreground: false, ..NORMAL },
        "0 started =>
         5 stopped TTIN => StopSelf(Signal(21))
         5 dropped => Continue { foreground: true }",
    );
}

#[test]
fn a_command_in_a_pipeline_gets_the_terminal_when_it_first_reads_it() {
    check(
        Setup { eager: false, ..NORMAL },
        "0 started =>
         5 stopped TTIN => GoRaw, Continue { foreground: true }
         6 stopped TSTP => Restore, StopSelf(Signal(20))",
    );
    check(
        Setup { foreground: false, ..NORMAL },
        "0 started =>
         5 stopped TTIN => StopSelf(Signal(21))
         9 resumed foreground => GoRaw, SyncSize { redraw: true }, Continue { foreground: true }",
    );
}

#[test]
fn signals_are_passed_on_once_to_the_group_and_again_to_the_command() {
    check(
        NORMAL,
        "0 ready => GoRaw, SyncSize { redraw: false }, Start { foreground: true }
         0 started =>
         1 signal INT => SignalGroup(Signal(2))
         2 signal INT => SignalCommand(Signal(2))
         5003 signal INT => SignalGroup(Signal(2))
         5004 signal INT command =>
         5005 signal HUP => SignalGroup(Signal(1)), SignalGroup(Signal(18))
         5006 signal WINCH => SyncSize { redraw: false }",
    );
    check(
        Setup { pty: false, ..NORMAL },
        "0 started =>
         1 signal INT kernel =>
         2 signal INT => SignalCommand(Signal(2))",
    );
}

#[test]
fn signals_that_come_before_the_command_runs_wait_for_it() {
    check(
        NORMAL,
        "0 ready => GoRaw, SyncSize { redraw: false }, Start { foreground: true }
         1 signal INT =>
         2 started => SignalGroup(Signal(2))",
    );
    let mut relay = Relay::new(NORMAL);
    let mut out = Vec::new();
    for _ in 0..=EARLY_MAX {
        relay.on(0, Event::Signal(Signal::USR1, Sender::Other), &mut out);
    }
    relay.on(0, Event::Started, &mut out);
    assert_eq!(out.len(), EARLY_MAX);
}

#[test]
fn a_terminal_that_goes_away_takes_the_command_along() {
    check(
        NORMAL,
        "0 ready => GoRaw, SyncSize { redraw: false }, Start { foreground: true }
         0 started =>
         5 gone => DropTerminal, SignalGroup(Signal(1)), SignalGroup(Signal(18))
         5 signal HUP kernel =>
         9 exit 1 =>
         9 eof => Finish(TerminalClosed)",
    );
    check(
        NORMAL,
        "0 ready => GoRaw, SyncSize { redraw: false }, Start { foreground: true }
         0 started =>
         5 signal HUP kernel => DropTerminal, SignalGroup(Signal(1)), SignalGroup(Signal(18))
         5004 tick =>
         5005 tick => ClosePty
         6004 tick =>
         6005 tick => Finish(TerminalClosed)",
    );
    check(
        Setup { hup_ignored: true, ..NORMAL },
        "0 ready => GoRaw, SyncSize { redraw: false }, Start { foreground: true }
         0 started =>
         5 gone => DropTerminal
         99999 tick =>
         99999 exit 0 =>
         99999 eof => Finish(Exit(Code(0)))",
    );
}

#[test]
fn a_command_that_cannot_be_executed_ends_at_once() {
    check(NORMAL, "0 failed 2 =>\n1 eof => Finish(NotExecuted(2))");
}

#[test]
fn deadlines_are_set_only_while_something_is_awaited() {
    let mut relay = Relay::new(NORMAL);
    let mut out = Vec::new();
    assert_eq!(relay.deadline_us(), None);
    relay.on(0, Event::Started, &mut out);
    assert_eq!(relay.deadline_us(), None);
    relay.on(10, Event::Exited(Exit::Code(0)), &mut out);
    assert_eq!(relay.deadline_us(), Some(10 + DRAIN_US));
    relay.on(20, Event::Empty, &mut out);
    assert_eq!(relay.deadline_us(), Some(10 + QUIET_US));
    relay.on(500, Event::Output(1), &mut out);
    assert_eq!(relay.deadline_us(), Some(500 + QUIET_US));
}
