//! The end of a session: the last byte, who is waited for, and the exit status.

use std::os::unix::process::ExitStatusExt;

use rustix::process::Signal;

use crate::util::*;

/// The status with which `sh` reports a command that could not be found.
const NOT_FOUND: i32 = 127;

#[test]
fn every_byte_before_the_exit_is_shown_and_kept() {
    let home = Home::new();
    for round in 0..repetitions(20, 1000) {
        let output = printable(12_000, round as u64);
        home.write("output", &output);
        let ran = run(&home, How::Recorded, "$REC cat output");
        assert_same_bytes(&ran.screen, &as_shown(&output), "shown");
        assert_same_bytes(&home.dump("stdout"), &ran.screen, "kept");
    }
}

#[test]
fn a_last_word_gets_through_on_a_busy_machine() {
    let home = Home::new();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let rounds = repetitions(20, 1000);
        let shown: Vec<_> = (0..rounds)
            .map(|_| run(&home, How::Recorded, "$REC printf 'Bingo\\n'").text())
            .collect();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(shown, vec!["Bingo\r\n"; rounds]);
    });
}

#[test]
fn a_process_that_keeps_the_terminal_open_is_not_waited_for() {
    let home = Home::new();
    let mut term = Term::spawn(home.sh(How::Recorded, "$REC sh -c 'hold holder & echo hi'"));
    let status = term.wait();
    let holder = home.pid("holder");
    assert!(is_alive(holder), "the run ended although the holder had not");
    assert!(status.success());
    term.expect("hi");
    let named = home.dump("events");
    kill(holder, Signal::KILL);
    let number = holder.as_raw_nonzero().to_string();
    assert!(contains(&named, &number), "the events name the holder {number}");
}

#[test]
fn a_process_that_writes_without_end_is_not_waited_for() {
    let home = Home::new();
    let ran = run(&home, How::Recorded, "$REC sh -c 'setsid yes & echo hi'");
    assert!(ran.status.success());
    assert!(contains(&ran.screen, "hi\r\n"));
}

#[test]
fn with_wait_the_processes_left_behind_are_relayed_to_their_end() {
    let home = Home::new();
    // The straggler speaks a second after its parent has gone, and without --wait is not heard.
    home.write("late", "while kill -0 $1 2>/dev/null; do sleep 0.05; done; sleep 1; echo late\n");
    let script = "il run -q --wait sh -c 'setsid sh late $$ & echo early'";
    let ran = run(&home, How::Recorded, script);
    assert_eq!(ran.text(), "early\r\nlate\r\n");
    assert_eq!(home.dump("stdout"), ran.screen);
}

#[test]
fn children_inherited_through_exec_are_not_waited_for() {
    check_same("bash -c 'exec $REC true > >(cat)'; echo $?");
    let home = Home::new();
    let script =
        "bash -c 'exec $REC true > >(trap \"\" HUP; echo $BASHPID >other; exec sleep 1000)'";
    let mut term = Term::spawn(home.sh(How::Recorded, script));
    assert!(term.wait().success());
    let other = home.pid("other");
    assert!(is_alive(other));
    kill(other, Signal::KILL);
}

#[test]
fn a_death_right_after_a_stop_is_noticed() {
    let home = Home::new();
    let script = "$REC sh -c '(kill -STOP $$; kill -CONT $$; kill -KILL $$) & sleep 1000'; echo $?";
    for _ in 0..repetitions(20, 1000) {
        let shown = run(&home, How::Recorded, script).text();
        assert!(shown.ends_with("137\r\n"), "{shown}");
    }
}

#[test]
fn every_exit_status_is_passed_on() {
    let shown = "i=0; while [ $i -le 255 ]; do $REC sh -c \"exit $i\"; echo $?; i=$((i + 1)); done";
    let home = check_same(shown);
    let codes: Vec<_> = home.list().iter().map(|session| session["exit_code"].as_i64()).collect();
    assert_eq!(codes, (0..=255).rev().map(Some).collect::<Vec<_>>());
}

#[test]
fn a_command_killed_by_a_signal_gives_the_shell_the_same_status() {
    for signal in ["HUP", "INT", "QUIT", "ABRT", "KILL", "SEGV", "TERM", "USR1", "ALRM"] {
        check_same(&format!("ulimit -c 0; $REC sh -c 'kill -{signal} $$'; echo $?"));
    }
}

#[test]
fn il_dies_by_the_signal_its_command_died_by() {
    for (name, number) in [("INT", 2), ("KILL", 9), ("SEGV", 11), ("TERM", 15)] {
        let home = Home::new();
        let script = format!("kill -{name} $$");
        let ran = Term::spawn(home.il_run(&["sh", "-c", &script])).finish();
        assert_eq!(ran.status.signal(), Some(number), "{name}");
        assert!(!ran.status.core_dumped(), "{name}: the core would be il's, not the command's");
    }
}

#[test]
fn one_interrupt_ends_a_shells_loop_of_recorded_commands() {
    let home = Home::new();
    let mut term = Term::bash(&home);
    term.line("for i in 1 2 3; do il run -q sh -c \"echo round $i; exec sleep 1000\"; done");
    term.expect("round 1\r\n");
    term.send(b"\x03");
    let rest = term.expect("PROMPT> ");
    assert!(!contains(&rest, "round 2"), "the loop went on: {}", rest.escape_ascii());
    term.line("exit");
    term.finish();
}

#[test]
fn what_cannot_be_executed_ends_as_a_shell_would_end_it() {
    for (make, run) in [
        (":", "./missing"),
        (":", "no-such-command-anywhere"),
        ("mkdir it", "./it"),
        ("echo echo hi >it", "./it"),
        ("printf '#!/no/interpreter\\n' >it; chmod +x it", "./it"),
        ("mkdir d; : >d/it; chmod +x d/it", "./d/it/below"),
    ] {
        check_same(&format!("{make}; $REC {run} 2>/dev/null; echo $?"));
    }
}

#[test]
fn a_script_without_an_interpreter_line_runs_under_sh() {
    check_same("echo 'echo \"$0 $# $1\"' >it; chmod +x it; $REC ./it 'a b'; echo $?");
}

#[test]
fn a_command_that_is_not_there_is_named_and_leaves_a_failed_session() {
    let home = Home::new();
    let ran = run(&home, How::Recorded, "$REC ./missing; exit $?");
    assert_eq!(ran.status.code(), Some(NOT_FOUND));
    assert!(ran.text().starts_with("il run: "), "{}", ran.text());
    assert!(ran.text().contains("./missing"), "{}", ran.text());
    assert_eq!(home.status(), "failed");
}

#[test]
fn arguments_that_fit_il_but_not_its_command_end_as_not_executable() {
    let home = Home::new();
    // The kernel counts the program's path too: this one is longer than il's, so that there is a
    // length with which il can be started, and its command cannot.
    let long_name = "t".repeat(250);
    std::os::unix::fs::symlink("/bin/true", home.work(&long_name)).unwrap();
    let program = home.work(&long_name);
    let word = "x".repeat(100_000);
    let start = |words: usize, last_len: usize| {
        let mut command = home.detached("il");
        command.args(["run", "-q"]).arg(&program);
        command.args(vec![&word; words]).arg("x".repeat(last_len));
        command.stdin(std::process::Stdio::null());
        output_of(command)
    };
    let words = (1..).find(|&words| start(words, 0).is_none()).unwrap() - 1;
    let (mut fits, mut too_long) = (0, word.len());
    while too_long - fits > 1 {
        let middle = (fits + too_long) / 2;
        match start(words, middle) {
            Some(_) => fits = middle,
            None => too_long = middle,
        }
    }
    let output = start(words, fits).unwrap();
    assert_eq!(output.status.code(), Some(126), "{}", output.stderr.escape_ascii());
    assert!(contains(&output.stderr, "Argument list too long"));
}

#[test]
fn an_ignored_sigchld_does_not_hide_the_status() {
    check_same("(trap '' CHLD; exec $REC false); echo $?");
}
