//! Job control: suspending, continuing, background, and the controlling terminal.

use rustix::process::Signal;

use crate::util::*;

/// Speaks whenever a full-screen program would draw anew. It waits in a built-in: a shell that starts
/// a child by vfork cannot be stopped together with it.
const WATCHER: &str = "mkfifo never; exec 3<>never; trap 'echo redrawn' WINCH CONT; echo READY
    while :; do read x <&3; done";

/// A prompt on a terminal that the shell's line editor has in hand again.
fn prompt(term: &mut Term) -> Vec<u8> {
    let shown = term.expect("PROMPT> ");
    assert!(!term.is_raw(), "a prompt on a raw terminal");
    shown
}

/// What `stty -g` says at the prompt.
fn settings(term: &mut Term) -> String {
    term.line("stty -g");
    settings_in(&prompt(term))
}

#[test]
fn an_editor_is_suspended_and_continued_like_any_job() {
    let home = Home::new();
    let mut term = Term::bash(&home);
    let before = settings(&mut term);
    term.line("il run -q fullscreen");
    term.expect("<drawing 1 80x24>");
    term.send("a");
    term.expect("<key 97>");
    for round in 2..5 {
        term.send(b"\x1a");
        let shown = prompt(&mut term);
        assert!(contains(&shown, "Stopped"), "{}", shown.escape_ascii());
        assert_eq!(settings(&mut term), before);
        term.line("jobs");
        let shown = prompt(&mut term);
        assert!(contains(&shown, "il run -q fullscreen"), "{}", shown.escape_ascii());
        term.line("fg");
        term.expect(format!("<drawing {round} 80x24>"));
        term.send("b");
        term.expect("<key 98>");
    }
    term.send("q");
    prompt(&mut term);
    assert_eq!(settings(&mut term), before);
    let stops = home.events_of("stop").len();
    let continues = home.events_of("continue").len();
    assert_eq!((stops, continues), (3, 3));
}

#[test]
fn a_command_that_stops_itself_with_sigstop_does_not_freeze_the_terminal() {
    let home = Home::new();
    let mut term = Term::bash(&home);
    let before = settings(&mut term);
    term.line("il run -q fullscreen");
    term.expect("<drawing 1 80x24>");
    term.send("s");
    prompt(&mut term);
    assert_eq!(settings(&mut term), before);
    term.line("fg");
    term.expect("<drawing 2 80x24>");
    term.send("q");
    prompt(&mut term);
}

#[test]
fn a_plain_command_is_suspended_by_the_key() {
    let home = Home::new();
    let mut term = Term::bash(&home);
    term.line("il run -q cat");
    term.until("raw mode", Term::is_raw);
    term.send("one\r");
    term.expect("one\r\none\r\n");
    term.send(b"\x1a");
    prompt(&mut term);
    term.line("fg");
    term.until("raw mode", Term::is_raw);
    term.send("two\r");
    term.expect("two\r\ntwo\r\n");
    term.send(b"\x04");
    prompt(&mut term);
}

#[test]
fn a_window_resized_during_a_suspension_is_noticed() {
    let home = Home::new();
    let mut term = Term::bash(&home);
    term.line("il run -q fullscreen");
    term.expect("<drawing 1 80x24>");
    term.send(b"\x1a");
    prompt(&mut term);
    term.resize(101, 37);
    term.line("fg");
    term.expect("<drawing 2 101x37>");
    term.send("q");
    prompt(&mut term);
}

#[test]
fn a_suspension_of_il_itself_is_one_of_the_command() {
    for signal in [Signal::TSTP, Signal::STOP] {
        let home = Home::new();
        home.write("watch", WATCHER);
        let mut term = Term::bash(&home);
        let before = settings(&mut term);
        term.line("sh -c 'echo $$ >il; exec il run -q sh watch'");
        term.expect("READY");
        kill(home.pid("il"), signal);
        prompt(&mut term);
        assert_eq!(settings(&mut term), before, "{signal:?}");
        term.line("fg");
        // A command that ran on meanwhile, with a window of the size it had, draws anew only if il
        // tells it to.
        term.expect("redrawn");
        term.until("raw mode", Term::is_raw);
        term.send(b"\x03");
        prompt(&mut term);
    }
}

#[test]
fn a_shell_under_il_has_job_control_of_its_own() {
    let home = Home::new();
    home.write("watch", WATCHER);
    let mut term = Term::bash(&home);
    term.line("PS1='INNER> ' il run -q bash --norc --noprofile -i");
    term.expect("INNER> ");
    term.line("sh watch");
    term.expect("READY");
    term.send(b"\x1a");
    term.expect("Stopped");
    term.expect("INNER> ");
    term.line("fg");
    // The shell names the job, then gives it the terminal, then continues it.
    term.expect("redrawn");
    term.send(b"\x03");
    term.expect("INNER> ");
    term.line("fullscreen");
    term.expect("<drawing 1 80x24>");
    term.send(b"\x1a");
    term.expect("INNER> ");
    term.line("fg");
    term.expect("<drawing 2 80x24>");
    term.send("q");
    term.expect("INNER> ");
    term.line("exit 5");
    prompt(&mut term);
    term.line("echo status=$?");
    term.expect("status=5");
}

#[test]
fn a_run_started_in_the_background_leaves_the_terminal_alone() {
    let home = Home::new();
    let mut term = Term::bash(&home);
    let before = settings(&mut term);
    home.write("ask", "echo spoken; read x; echo \"got $x\"");
    term.line("sh -c 'echo $$ >il; exec il run -q sh ask' &");
    prompt(&mut term);
    term.until("its words", |term| contains(&term.screen, "spoken"));
    assert!(!term.is_raw());
    assert_eq!(settings(&mut term), before);
    // It wants to read, which a job in the background may not: it stops, as it would alone.
    let il = home.pid("il");
    wait_until("the job to stop", || (stat(il)?[0] == "T").then_some(()));
    // The shell hears of it a moment later, and starts nothing that it takes for running.
    wait_until("the shell to know", || {
        term.line("jobs");
        prompt(&mut term);
        contains(&term.screen, "Stopped").then_some(())
    });
    term.line("fg");
    term.until("raw mode", Term::is_raw);
    term.send("word\r");
    term.expect("got word");
    prompt(&mut term);
    assert_eq!(settings(&mut term), before);
}

#[test]
fn a_stopped_run_goes_on_in_the_background() {
    let home = Home::new();
    let mut term = Term::bash(&home);
    home.write(
        "speak",
        "mkfifo go; echo READY; read x <go; echo in the background; read x; echo \"got $x\"",
    );
    let before = settings(&mut term);
    term.line("sh -c 'echo $$ >il; exec il run -q sh speak'");
    term.expect("READY");
    term.send(b"\x1a");
    prompt(&mut term);
    term.line("bg");
    prompt(&mut term);
    home.write("go", "now\n");
    term.until("its words", |term| contains(&term.screen, "in the background"));
    assert_eq!(settings(&mut term), before);
    let il = home.pid("il");
    wait_until("the job to stop for input", || (stat(il)?[0] == "T").then_some(()));
    term.line("fg");
    term.until("raw mode", Term::is_raw);
    term.send("word\r");
    term.expect("got word");
    prompt(&mut term);
}

#[test]
fn a_background_run_without_job_control_reads_nothing_and_ends() {
    // In a script `&` gives the command /dev/null as input, and no group of its own.
    check_same("$REC sh -c 'cat; echo end of input' & wait; echo $?");
    check_same("$REC sh -c 'exit 3' & wait $!; echo $?");
}

#[test]
fn the_terminal_under_il_is_the_commands_controlling_terminal() {
    check_same(
        "$REC sh -c 'set -- $(cat /proc/$$/stat)
             [ $5 = $8 ] && echo in the foreground; [ $7 != 0 ] && echo on a terminal
             echo through /dev/tty >/dev/tty; [ $(tty) = $(readlink /proc/self/fd/0) ] && echo tty'",
    );
}
