//! Terminal settings and modes: the command's are the user's, and the user's come back.

use std::time::Duration;

use rustix::process::Signal;
use rustix::termios::{InputModes, LocalModes, SpecialCodeIndex, Termios, Winsize};

use crate::util::*;

/// A terminal whose owner has settings of his own.
fn customised(termios: &mut Termios) {
    termios.input_modes.insert(InputModes::IUTF8);
    termios.input_modes.remove(InputModes::IXON);
    termios.local_modes.remove(LocalModes::ECHOCTL);
    termios.special_codes[SpecialCodeIndex::VERASE] = 0x08;
    termios.special_codes[SpecialCodeIndex::VINTR] = 0x0b;
    termios.special_codes[SpecialCodeIndex::VEOF] = 0x18;
}

#[test]
fn the_command_finds_the_users_settings() {
    let pixels = Winsize { ws_row: 41, ws_col: 132, ws_xpixel: 1188, ws_ypixel: 943 };
    let setups = [
        Setup::default(),
        Setup { winsize: pixels, termios: customised },
        Setup { winsize: winsize(80, 24), termios: |t| t.local_modes.remove(LocalModes::ECHO) },
        Setup { winsize: winsize(80, 24), termios: |t| t.make_raw() },
    ];
    for setup in setups {
        check_same_with(&setup, "stty -a; $REC stty -a; stty -a");
        check_same_with(&setup, "$REC stty -g; $REC stty size; $REC stty -g </dev/null 2>&1");
    }
}

#[test]
fn the_users_own_control_characters_work() {
    for how in [How::Bare, How::Recorded] {
        let home = Home::new();
        let setup = Setup { winsize: winsize(80, 24), termios: customised };
        let mut term = Term::spawn_with(home.sh(how, "$REC sh -c 'echo READY; cat >read'"), &setup);
        term.expect("READY");
        // Erases over a character of three bytes, and ends the input with the user's own key.
        term.send("ab\u{20ac}\x08c\n\x18".as_bytes());
        term.wait();
        assert_eq!(home.read("read"), b"abc\n", "{how:?}");
    }
}

#[test]
fn settings_changed_by_the_command_do_not_outlive_it() {
    // A bare terminal would keep them: here il is the better guest, as under any PTY.
    let home = Home::new();
    let ran = run(&home, How::Recorded, "$REC stty raw -echo; $REC stty erase X; stty -a");
    let plain = run(&home, How::Bare, "stty -a");
    assert_eq!(ran, plain);
}

#[test]
fn a_termination_at_any_moment_of_the_start_leaves_the_terminal_in_order() {
    let home = Home::new();
    let pauses = noise(repetitions(40, 2000), 26);
    for pause in pauses {
        // The pid is known before il starts, so that the start itself is under fire.
        let script = "sh -c 'echo $$ >il; exec $REC sleep 1000'; :";
        let mut term = Term::spawn(home.sh(How::Recorded, script));
        let il = home.pid("il");
        std::thread::sleep(Duration::from_micros(u64::from(pause) * 80));
        kill(il, Signal::TERM);
        term.wait();
        term.until("its settings back", |term| term.termios() == term.initial);
        std::fs::remove_file(home.work("il")).unwrap();
    }
}

/// What the recorded command is doing when the recorder is hit.
const OCCUPATIONS: [(&str, &str); 4] = [
    ("idle", "echo READY; exec sleep 1000"),
    ("flood", "echo READY; exec yes"),
    // Nobody reads what is pasted: it waits in the recorder.
    ("paste", "stty raw -echo; echo READY; exec sleep 1000"),
    ("fullscreen", "exec fullscreen"),
];

/// Who has started the recorder, and waits for it: each leaves its number in the file `il`.
const PARENTS: [&str; 2] =
    ["sh -c 'echo $$ >il; exec $REC sh command'; echo END", "python3 parent.py; echo END"];

/// A parent that mends no terminal, as a shell may.
const PARENT_PY: &str = "\
import os, subprocess
il = subprocess.Popen([*os.environ['REC'].split(), 'sh', 'command'])
open('il', 'w').write('%d\\n' % il.pid)
il.wait()
";

#[test]
fn every_death_of_the_recorder_leaves_the_terminal_in_order() {
    let signals =
        [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM, Signal::ALARM, Signal::KILL];
    for signal in signals {
        for (occupation, command) in OCCUPATIONS {
            for script in PARENTS {
                let home = Home::new();
                home.write("command", command);
                home.write("parent.py", PARENT_PY);
                let mut term = Term::spawn(home.sh(How::Recorded, script));
                term.until("raw mode", Term::is_raw);
                let ready = if occupation == "fullscreen" { "<drawing 1" } else { "READY" };
                term.expect(ready);
                if occupation == "paste" {
                    term.send_until_full(1 << 20, Duration::from_millis(50));
                }
                kill(home.pid("il"), signal);
                // `END` may come before the monitor has put the settings back, hence the wait.
                term.wait();
                let what = format!("its settings back: {signal:?}, {occupation}, {script}");
                term.until(&what, |term| term.termios() == term.initial);
            }
        }
    }
}

#[test]
fn a_fault_in_the_recorder_leaves_the_terminal_in_order() {
    for signal in [Signal::SEGV, Signal::BUS, Signal::ABORT, Signal::ILL, Signal::FPE] {
        let home = Home::new();
        let script = "ulimit -c 0; sh -c 'echo $$ >il; exec $REC fullscreen'; echo END";
        let mut term = Term::spawn(home.sh(How::Recorded, script));
        term.expect("<drawing 1");
        kill(home.pid("il"), signal);
        term.wait();
        term.until(&format!("its settings back after {signal:?}"), |term| {
            term.termios() == term.initial
        });
    }
}

#[test]
fn an_interactive_shell_survives_the_killing_of_its_recorder() {
    let home = Home::new();
    let mut term = Term::bash(&home);
    term.line("stty -g; sh -c 'echo $$ >il; exec il run -q fullscreen'");
    let before = settings_in(&term.expect("<drawing 1"));
    kill(home.pid("il"), Signal::KILL);
    term.expect("PROMPT> ");
    term.line("stty -g; echo DO''NE");
    assert_eq!(settings_in(&term.expect("DONE")), before);
}

#[test]
fn keys_typed_before_the_start_reach_the_command() {
    let home = Home::new();
    let script = "echo READY; read go; $REC head -n 1 >read";
    let mut term = Term::spawn(home.sh(How::Recorded, script));
    term.expect("READY");
    // Both lines are typed before il exists: the shell reads the first one only.
    term.send("go\ntyped ahead\n");
    assert!(term.wait().success());
    assert_eq!(home.read("read"), b"typed ahead\n");
}

#[test]
fn keys_typed_after_the_end_of_the_command_reach_the_shell() {
    let home = Home::new();
    // While the holder keeps the inner terminal open, il still listens for last words; the
    // command itself has gone, and what is typed is for the next reader.
    let script = "$REC sh -c 'hold holder & echo $$ >command'; IFS= read -r next; echo \"[$next]\"";
    let mut term = Term::spawn(home.sh(How::Recorded, script));
    let command = home.pid("command");
    let holder = home.pid("holder");
    wait_until("the command's end", || (!is_alive(command)).then_some(()));
    std::thread::sleep(Duration::from_millis(50));
    term.send("for the shell\n");
    term.expect("[for the shell]");
    kill(holder, Signal::KILL);
    term.wait();
}

/// Modes that a dying full-screen program leaves on, and the sequence that ends each.
const MODES: [(&str, &str); 14] = [
    ("\\033[?1049h", "\x1b[?1049l"),
    ("\\033[?47h", "\x1b[?47l"),
    ("\\033[?1000h", "\x1b[?1000l"),
    ("\\033[?1002h", "\x1b[?1002l"),
    ("\\033[?1003h", "\x1b[?1003l"),
    ("\\033[?1006h", "\x1b[?1006l"),
    ("\\033[?1004h", "\x1b[?1004l"),
    ("\\033[?2004h", "\x1b[?2004l"),
    ("\\033[?2026h", "\x1b[?2026l"),
    ("\\033[?25l", "\x1b[?25h"),
    ("\\033[?1h", "\x1b[?1l"),
    ("\\033=", "\x1b>"),
    ("\\033[>1u", "\x1b[<"),
    ("\\033[>4;2m", "\x1b[>4"),
];

#[test]
fn modes_left_on_by_a_killed_command_are_switched_off() {
    for (on, off) in MODES {
        let home = Home::new();
        let script = format!("$REC sh -c 'printf \"{on}\"; kill -KILL $$'");
        let shown = run(&home, How::Recorded, &script).screen;
        let kept = home.dump("stdout");
        let repair = shown.strip_prefix(&kept[..]).expect("the command's bytes come first");
        assert!(contains(repair, off), "{on}: then {}", repair.escape_ascii());
    }
}

#[test]
fn modes_switched_off_by_the_command_are_left_alone() {
    for (on, off) in MODES {
        let off = if off.ends_with('4') {
            format!("{off}m")
        } else if off.ends_with('<') {
            format!("{off}u")
        } else {
            off.to_owned()
        };
        let off = off.replace('\x1b', "\\033");
        check_same(&format!("$REC sh -c 'printf \"{on}{off}text\"; kill -KILL $$'; :"));
    }
    check_same("$REC sh -c 'printf \"plain text\"; kill -KILL $$'; :");
}

#[test]
fn a_command_that_ends_well_has_the_last_word_on_modes() {
    // `tput smcup; less; …`: a script of commands may leave a mode on for the next one.
    check_same("$REC printf '\\033[?1049h\\033[?25l\\033[?2004h'");
}

#[test]
fn one_line_says_where_the_session_is() {
    let home = Home::new();
    let shown = run(&home, How::Recorded, "il run echo hi").text();
    let rest = shown.strip_prefix("hi\r\n").unwrap_or_else(|| panic!("{shown}"));
    let id = rest
        .strip_prefix("il: session ")
        .and_then(|rest| rest.strip_suffix(" saved (il last)\r\n"));
    let id = id.unwrap_or_else(|| panic!("{shown}"));
    assert_eq!(id.len(), 13, "{id}");
    let full = home.show()["id"].as_str().expect("an id").to_owned();
    assert!(full.starts_with(id), "{full} {id}");
    for silent in ["il run -q echo hi", "il run --quiet echo hi", "il run echo hi 2>/dev/null"] {
        assert_eq!(run(&home, How::Recorded, silent).text(), "hi\r\n", "{silent}");
    }
}
