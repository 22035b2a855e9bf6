//! Descriptors that are no terminal, and those that are none of il's business.

use std::process::Stdio;

use crate::util::*;

/// Says for the descriptors 0 to 2 whether each is a terminal.
const TRIPLE: &str = "sh -c 't=; for n in 0 1 2; do [ -t $n ] && t=${t}T || t=${t}f; done; \
                      echo $t >>triple'";

#[test]
fn an_end_of_input_is_passed_on() {
    for script in [
        "printf abc | $REC cat",
        "printf abc | $REC cat | od -c",
        "printf 'a\\nb' | $REC od -c",
        "printf 'a\\004b' | $REC od -c",
        "$REC cat </dev/null; echo $?",
        "$REC cat <work; echo $?",
        "head -c 100000 /dev/zero | tr '\\0' x | $REC wc -c",
        "printf 'a b' | $REC sh -c 'read x y; echo $y$x'",
    ] {
        check_same(&format!("echo content >work; {script}"));
    }
}

#[test]
fn input_is_read_by_the_command_alone() {
    let home = check_same(
        "printf '%s\\n' one two three >list
         while read x; do $REC sh -c \"echo $x\"; done <list
         while read x; do $REC echo $x; done <list | cat
         { $REC head -n 1; cat; } <list",
    );
    assert_eq!(home.list().len(), 7);
}

#[test]
fn record_stdin_keeps_piped_input() {
    let home = Home::new();
    let script = "printf 'a\\nb' | il run -q --record-stdin cat; echo $?";
    assert_eq!(run(&home, How::Recorded, script).text(), "a\r\nb0\r\n");
    assert_eq!(home.dump("stdin"), b"a\nb");
    let script = "il run -q --record-stdin cat </dev/null; echo $?";
    assert_eq!(run(&home, How::Recorded, script).text(), "0\r\n");
    assert_eq!(home.dump("stdin"), b"");
    // A command that stops reading must not be able to block the run.
    let script = "yes | il run -q --record-stdin true; echo $?";
    assert_eq!(run(&home, How::Recorded, script).text(), "0\r\n");
}

#[test]
fn piped_input_is_not_kept_unasked() {
    let home = check_same("echo confidential | $REC wc -c");
    assert_eq!(home.dump("stdin"), b"");
    assert!(!contains(&home.store_bytes(), "confidential"));
}

#[test]
fn each_descriptor_is_a_terminal_where_it_was_one() {
    let ins = ["", "</dev/null", "<file", "PIPE"];
    let outs = ["", ">out", ">/dev/null", "PIPE"];
    let errs = ["", "2>err", "2>/dev/null", "2>&1"];
    for input in ins {
        let mut script = String::from("echo input >file\n");
        for out in outs {
            for err in errs {
                let mut command = format!("$REC {TRIPLE}");
                for redirect in [input, out, err] {
                    if redirect != "PIPE" {
                        command = format!("{command} {redirect}");
                    }
                }
                if input == "PIPE" {
                    command = format!("echo input | {command}");
                }
                if out == "PIPE" {
                    command = format!("{command} | cat");
                }
                script.push_str(&command);
                script.push('\n');
            }
        }
        check_same(&script);
    }
}

#[test]
fn redirected_output_is_the_commands_and_nothing_else() {
    let speak = "sh -c 'echo out; echo err >&2; printf \"\\033[1mbold\\n\"'";
    let home = check_same(&format!(
        "$REC {speak} >out 2>err; $REC {speak} >both 2>&1; $REC {speak} >>both; x=$($REC {speak}); \
         echo \"$x\" | od -c; $REC {speak} 2>&1 | od -c; $REC {speak} 2>err2 | od -c; \
         $REC {speak} >/dev/null; $REC {speak} 2>/dev/null"
    ));
    let script = format!("$REC {speak} 2>err | cat >out");
    run(&home, How::Recorded, &script);
    assert_eq!(home.dump("stdout"), b"out\n\x1b[1mbold\n");
    assert_eq!(home.dump("stderr"), b"err\n");
}

#[test]
fn output_into_a_file_is_kept_as_well() {
    let home = check_same("echo before >out; $REC seq 1000 >>out; echo after >>out");
    let expected: String = (1..=1000).map(|n| format!("{n}\n")).collect();
    assert_same_bytes(&home.dump("stdout"), expected.as_bytes(), "kept");
}

#[test]
fn the_terminal_is_found_on_whichever_descriptor_has_it() {
    for redirects in ["", "</dev/null", ">out", "</dev/null >out", "</dev/null 2>err"] {
        check_same(&format!(
            "$REC sh -c 'stty size </dev/tty >size; echo here >/dev/tty' {redirects}"
        ));
    }
}

#[test]
fn with_no_terminal_on_0_1_and_2_the_callers_stays() {
    // No PTY is made: the group, the session and the terminal are the caller's, and its settings
    // are left alone although il could reach them.
    check_same(
        "export OUTER=$$
         $REC sh -c 'for n in 5 6 7 8; do
             [ $(cut -d\" \" -f$n /proc/$$/stat) = $(cut -d\" \" -f$n /proc/$OUTER/stat) ] &&
                 echo same $n || echo other $n
         done; stty -a </dev/tty; (: >/dev/tty) && echo writable' </dev/null 2>&1 | cat",
    );
}

#[test]
fn without_any_terminal_the_command_runs_as_it_would_alone() {
    for how in [How::Bare, How::Recorded] {
        let home = Home::new();
        let script = "$REC sh -c 'cat; echo out; echo err >&2; (: </dev/tty) 2>/dev/null || \
                      echo no terminal; exit 3'";
        let mut command = home.detached("sh");
        command.args(["-c", script]).stdin(Stdio::null());
        command.env("REC", if how == How::Bare { "" } else { "il run" });
        let output = output_of(command).unwrap();
        assert_eq!(output.stdout, b"out\nno terminal\n", "{how:?}");
        assert_eq!(output.stderr, b"err\n", "{how:?}");
        assert_eq!(output.status.code(), Some(3), "{how:?}");
        if how == How::Recorded {
            assert_eq!(home.dump("stdout"), b"out\nno terminal\n");
            assert_eq!(home.dump("stderr"), b"err\n");
            assert_eq!(home.status(), "failed");
        }
    }
}

#[test]
fn a_size_makes_a_terminal_where_there_is_none() {
    let home = Home::new();
    let output = home.il_output(&[
        "run",
        "-q",
        "--size",
        "100x30",
        "sh",
        "-c",
        "stty size </dev/tty; echo here >/dev/tty",
    ]);
    assert!(output.status.success(), "{}", output.stderr.escape_ascii());
    assert!(output.stdout.starts_with(b"30 100\n"), "{}", output.stdout.escape_ascii());
}

#[test]
fn closed_descriptors_are_no_obstacle() {
    for closed in ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-", ">&- 2>&-"] {
        check_same(&format!("$REC true {closed}; echo $?"));
        check_same(&format!("$REC sh -c 'echo content >file; exit 3' {closed}; echo $?"));
    }
}

#[test]
fn stdout_and_stderr_stay_apart() {
    let home = check_same("$REC sh -c 'echo out; echo err >&2' 2>err; $REC ls missing | cat");
    run(&home, How::Recorded, "$REC sh -c 'echo out; echo err >&2' 2>err");
    assert_eq!(home.dump("stdout"), b"out\r\n");
    assert_eq!(home.dump("stderr"), b"err\n");
}

#[test]
fn the_command_inherits_the_descriptors_it_would_have_alone() {
    check_same(
        "echo seven >file; exec 7<file
         $REC ls /proc/self/fd; $REC ls /proc/self/fd </dev/null >fds; $REC ls /proc/self/fd | cat
         $REC cat <&7; $REC sh -c 'cat <&7' 7<file
         bash -c '$REC cat <(echo hi) <(echo there)'",
    );
}
