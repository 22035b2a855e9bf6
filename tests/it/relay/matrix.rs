//! The head-to-head matrix, il's column: one short test a row, in the words a user would try.
//! Rows that need the other tools, an agent's recording or a measurement are the bench's.

use rustix::process::Signal;

use crate::util::*;

#[test]
fn a_command_substitution_holds_the_output_alone() {
    check_same(
        "x=$($REC echo hi); printf %s \"$x\" | od -c; echo \"$($REC echo hi 2>&1)\" | od -c",
    );
}

#[test]
fn piped_input_reaches_the_command_and_ends() {
    check_same("printf abc | $REC cat");
}

#[test]
fn head_ends_yes() {
    check_same("bash -c '$REC yes | head -1; echo ${PIPESTATUS[0]}'");
}

#[test]
fn the_status_is_the_commands() {
    check_same("$REC sh -c 'exit 7'; echo $?");
}

#[test]
fn a_daemon_left_behind_does_not_hold_the_run() {
    let home = Home::new();
    let script = "$REC sh -c 'setsid sh -c \"echo \\$\\$ >daemon; exec sleep 1000\" & \
                  while [ ! -s daemon ]; do sleep 0.01; done'";
    let mut term = Term::spawn(home.sh(How::Recorded, script));
    assert!(term.wait().success());
    let daemon = home.pid("daemon");
    assert!(is_alive(daemon));
    kill(daemon, Signal::KILL);
}

#[test]
fn an_exec_with_a_process_substitution_ends() {
    check_same("bash -c 'exec $REC true > >(cat)'; echo $?");
}

#[test]
fn a_killed_recorder_leaves_no_trace_on_the_terminal() {
    // The parent is no job-control shell: nobody but il's monitor can put the terminal right.
    let home = Home::new();
    let script = "sh -c 'echo $$ >il; exec $REC sh -c \"printf \\\"\\033[?1049h\\033[?1003h\\\"; \
                  echo READY; exec sleep 1000\"'; echo END";
    let mut term = Term::spawn(home.sh(How::Recorded, script));
    term.expect("READY");
    let monitors = children_of(home.pid("il"));
    kill(home.pid("il"), Signal::KILL);
    term.wait();
    for monitor in monitors {
        wait_until("the monitor's end", || (!is_alive(monitor)).then_some(()));
    }
    term.until("its settings back", |term| term.termios() == term.initial);
    while !matches!(term.read_some(), None | Some(0)) {}
    for off in ["\x1b[?1049l", "\x1b[?1003l"] {
        assert!(contains(&term.screen, off), "{off:?} in {}", term.screen.escape_ascii());
    }
}

#[test]
fn an_interrupt_of_the_recorder_is_the_commands_to_handle() {
    let home = Home::new();
    let script = "trap 'echo caught; exit 42' INT; echo READY; while :; do sleep 0.05; done";
    let mut term = Term::spawn(home.il_run(&["sh", "-c", script]));
    term.expect("READY");
    term.kill(Signal::INT);
    let ran = term.finish();
    assert_eq!(ran.status.code(), Some(42));
    assert!(contains(&ran.screen, "caught"));
}

#[test]
fn erase_and_utf8_are_the_users() {
    check_same_with(
        &Setup {
            termios: |termios| {
                termios.input_modes.insert(rustix::termios::InputModes::IUTF8);
                termios.special_codes[rustix::termios::SpecialCodeIndex::VERASE] = 8;
            },
            ..Setup::default()
        },
        "$REC stty -a",
    );
}

#[test]
fn a_torn_file_opens() {
    let home = Home::new();
    let mut term =
        Term::spawn(home.il_run(&["sh", "-c", "seq 20000; echo READY; exec sleep 1000"]));
    term.expect("READY");
    term.kill(Signal::KILL);
    term.wait();
    // Whatever the last page was doing: a store cut at any length still opens and lists.
    let whole = home.dump("stdout");
    let files: Vec<_> =
        std::fs::read_dir(home.store()).unwrap().map(|f| f.unwrap().path()).collect();
    let largest = files.iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let bytes = std::fs::read(largest).unwrap();
    for cut in [1, 100, 4096, 10_000, bytes.len() / 3] {
        std::fs::write(largest, &bytes[..bytes.len() - cut]).unwrap();
        let kept = home.il_output(&["dump", "stdout"]).stdout;
        assert!(whole.starts_with(&kept), "cut by {cut}");
        home.il_output(&["list"]);
    }
}
