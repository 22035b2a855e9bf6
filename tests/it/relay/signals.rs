//! Signals: to the command, from it, about the window, and about a terminal that has gone.

use std::os::unix::process::ExitStatusExt;

use rustix::process::Signal;

use crate::util::*;

#[test]
fn a_signal_to_il_is_one_to_the_command() {
    let signals = [
        (Signal::INT, "INT", 2),
        (Signal::TERM, "TERM", 15),
        (Signal::HUP, "HUP", 1),
        (Signal::QUIT, "QUIT", 3),
        (Signal::USR1, "USR1", 10),
        (Signal::USR2, "USR2", 12),
        (Signal::ALARM, "ALRM", 14),
    ];
    for (signal, name, number) in signals {
        // A command that catches it can finish its work, and its own status is il's.
        let home = Home::new();
        let script = format!(
            "trap 'sleep 0.3; echo cleaned up after {name}; exit 7' {name}; echo READY; \
             while :; do sleep 0.05; done"
        );
        let mut term = Term::spawn(home.il_run(&["sh", "-c", &script]));
        term.expect("READY");
        term.kill(signal);
        let ran = term.finish();
        assert_eq!(ran.status.code(), Some(7), "{name}: {ran:?}");
        assert!(contains(&ran.screen, format!("cleaned up after {name}")), "{ran:?}");

        // One that does not dies by it, and il dies the same death.
        let mut term = Term::spawn(home.il_run(&["sh", "-c", "echo READY; exec sleep 1000"]));
        term.expect("READY");
        term.kill(signal);
        let ran = term.finish();
        assert_eq!(ran.status.signal(), Some(number), "{name}: {ran:?}");
    }
}

#[test]
fn a_signal_reaches_the_whole_foreground_group() {
    let home = Home::new();
    let script = "trap 'echo parent; wait; exit 0' TERM
        sh -c 'trap \"echo child; exit 0\" TERM; echo READY; while :; do sleep 0.05; done' & wait";
    let mut term = Term::spawn(home.il_run(&["sh", "-c", script]));
    term.expect("READY");
    term.kill(Signal::TERM);
    let ran = term.finish();
    assert!(contains(&ran.screen, "parent") && contains(&ran.screen, "child"), "{ran:?}");
}

#[test]
fn keys_that_signal_do_so_under_il() {
    for (key, number) in [(b"\x03", 2), (b"\x1c", 3)] {
        let home = Home::new();
        let script = "ulimit -c 0; echo READY; exec sleep 1000";
        let mut term = Term::spawn(home.il_run(&["sh", "-c", script]));
        term.expect("READY");
        term.send(key);
        let ran = term.finish();
        assert_eq!(ran.status.signal(), Some(number));
        assert_eq!(home.status(), "interrupted");
    }
}

#[test]
fn a_second_interrupt_reaches_a_command_that_shields_its_group() {
    let home = Home::new();
    let script = "trap 'trap \"echo second; exit 9\" INT; echo first' INT; echo READY; \
                  while :; do sleep 0.05; done";
    let mut term = Term::spawn(home.il_run(&["sh", "-c", script]));
    term.expect("READY");
    term.kill(Signal::INT);
    term.expect("first");
    term.kill(Signal::INT);
    let ran = term.finish();
    assert_eq!(ran.status.code(), Some(9), "{ran:?}");
}

#[test]
fn an_emulator_that_goes_away_takes_everything_with_it() {
    for command in ["exec sleep 1000", "exec yes", "exec cat", "exec fullscreen"] {
        let home = Home::new();
        let script = format!("echo $$ >command; {command}");
        let mut term = Term::spawn(home.il_run(&["sh", "-c", &script]));
        let command_pid = home.pid("command");
        term.until("something to show", |term| {
            term.screen.len() > 4096 || (!script.contains("yes") && term.is_raw())
        });
        let il = term.pid();
        let monitors = children_of(il);
        term.hang_up();
        term.wait_hung_up();
        for pid in monitors.into_iter().chain([command_pid]) {
            wait_until(&format!("the end of {pid:?} of: {command}"), || {
                (!is_alive(pid)).then_some(())
            });
        }
        let kept = home.dump("stdout");
        assert!(kept.starts_with(&term.screen), "shown, but not kept");
        assert_eq!(home.status(), "interrupted", "{command}");
    }
}

#[test]
fn last_words_after_a_hangup_are_kept() {
    let home = Home::new();
    // A built-in that waits: a child would die of the hangup too, and the shell would say so.
    let script = "trap 'echo last words; exit 0' HUP; echo $$ >command; echo READY; read x";
    let mut term = Term::spawn(home.il_run(&["sh", "-c", script]));
    term.expect("READY");
    let shell = home.pid("command");
    // A signal just before the shell's read(2) would leave it there, its trap not run.
    let turns = || std::fs::read_to_string(format!("/proc/{}/schedstat", shell.as_raw_nonzero()));
    wait_until("the shell to wait", || {
        let before = turns().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(100));
        (turns().unwrap() == before).then_some(())
    });
    term.hang_up();
    term.wait_hung_up();
    wait_until("the recording's end", || (home.status() != "running").then_some(()));
    assert_eq!(home.dump("stdout").escape_ascii().to_string(), "READY\\r\\nlast words\\r\\n");
}

#[test]
fn under_nohup_a_run_outlives_its_terminal() {
    let home = Home::new();
    let script = "trap '' HUP; echo $$ >command; echo READY; \
                  while [ ! -e go ]; do sleep 0.05; done; echo still here; exit 0";
    let mut command = home.command("nohup");
    command.args(["il", "run", "-q", "sh", "-c", script]);
    let mut term = Term::spawn(command);
    wait_until("the command's start", || {
        contains(&std::fs::read(home.work("nohup.out")).unwrap_or_default(), "READY").then_some(())
    });
    term.hang_up();
    home.write("go", "");
    term.wait_hung_up();
    wait_until("the command's end", || (!is_alive(home.pid("command"))).then_some(()));
    assert_eq!(home.read("nohup.out"), b"READY\nstill here\n");
}

#[test]
fn an_ignored_hangup_is_still_ignored_when_the_terminal_goes() {
    let home = Home::new();
    let script = "trap '' HUP; exec il run -q sh -c 'echo $$ >command; echo READY; \
                  while [ ! -e go ]; do sleep 0.05; done; echo still here >after'";
    let mut term = Term::spawn(home.sh(How::Recorded, script));
    term.expect("READY");
    term.hang_up();
    home.write("go", "");
    wait_until("the command's own end", || home.work("after").exists().then_some(()));
    term.wait_hung_up();
}

#[test]
fn the_command_starts_with_the_signals_it_would_have_alone() {
    let look = "grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status";
    for before in ["", "trap '' HUP;", "trap '' INT QUIT;", "trap '' PIPE CHLD;", "trap '' TSTP;"] {
        check_same(&format!("{before} $REC {look}; $REC {look} | cat; $REC {look} </dev/null >f"));
    }
    check_same(&format!("$REC {look} & wait"));
    check_same(&format!("nohup $REC {look} 2>/dev/null | cat"));
}

#[test]
fn il_can_be_started_many_times() {
    let home = Home::new();
    let rounds = repetitions(100, 10_000);
    let script =
        format!("i=0; while [ $i -lt {rounds} ]; do $REC true || exit 1; i=$((i + 1)); done");
    assert!(run(&home, How::Recorded, &script).status.success());
    assert_eq!(home.list().len(), rounds);
}

#[test]
fn a_storm_of_signals_costs_no_byte() {
    let home = Home::new();
    let output = printable(repetitions(2 << 20, 100 << 20), 41);
    home.write("output", &output);
    let mut term = Term::spawn(home.il_run(&["cat", "output"]));
    let il = term.pid();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = rustix::process::kill_process(il, Signal::WINCH);
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        term.wait();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        term.finish()
    });
    assert_same_bytes(&ran.screen, &as_shown(&output), "shown");
    assert_same_bytes(&home.dump("stdout"), &ran.screen, "kept");
}

#[test]
fn a_new_window_size_reaches_the_command() {
    let home = Home::new();
    let script = "trap 'stty size' WINCH; echo READY; while :; do sleep 0.05; done";
    let mut term = Term::spawn(home.il_run(&["sh", "-c", script]));
    term.expect("READY");
    for (cols, rows) in [(100, 40), (1, 1), (65535, 65535), (80, 24)] {
        term.resize(cols, rows);
        term.expect(format!("{rows} {cols}\r\n"));
    }
    term.send(b"\x03");
    term.wait();
    let sizes: Vec<_> = home
        .events_of("resize")
        .iter()
        .map(|event| (event["cols"].as_u64(), event["rows"].as_u64()))
        .collect();
    let expected = [(100, 40), (1, 1), (65535, 65535), (80, 24)];
    assert_eq!(sizes, expected.map(|(cols, rows)| (Some(cols), Some(rows))));
}

#[test]
fn a_resize_during_the_start_is_not_lost() {
    for round in 0..repetitions(30, 500) {
        let home = Home::new();
        let script = "while [ \"$(stty size)\" != '33 99' ]; do sleep 0.01; done; echo SEEN";
        let mut term = Term::spawn(home.il_run(&["sh", "-c", script]));
        std::thread::sleep(std::time::Duration::from_micros(round as u64 * 150));
        term.resize(99, 33);
        term.expect("SEEN");
        term.wait();
    }
}

#[test]
fn a_window_without_a_size_gets_the_usual_one() {
    let home = Home::new();
    let setup = Setup { winsize: winsize(0, 0), ..Setup::default() };
    let command = home.il_run(&["stty", "size"]);
    assert_eq!(Term::spawn_with(command, &setup).finish().text(), "24 80\r\n");
}
