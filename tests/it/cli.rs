//! The command line as a user meets it: what goes to which stream, and with which exit status.

use std::fs::File;
use std::process::Stdio;

use intentloop::cli;
use intentloop::cmd::COMMANDS;

use crate::plain::{il, program, run, stdout};

/// Runs `il` with these words: exit status, standard output, standard error.
fn check(words: &[&str], status: i32, out: &str, err: &str) {
    let output = run(il().args(words));
    let got = (
        output.status.code(),
        String::from_utf8(output.stdout).expect("UTF-8"),
        String::from_utf8(output.stderr).expect("UTF-8"),
    );
    assert_eq!(got, (Some(status), out.to_owned(), err.to_owned()), "il {words:?}");
}

#[test]
fn usage_errors_exit_2_and_name_the_next_step() {
    check(&[], 2, "", "il: no command given\nhint: try 'il --help'\n");
    check(
        &["hlp"],
        2,
        "",
        "il: unknown command 'hlp' (did you mean 'help'?)\nhint: try 'il --help'\n",
    );
    check(
        &["help", "--hlep"],
        2,
        "",
        "il help: unknown option --hlep (did you mean --help?)\nhint: try 'il help --help'\n",
    );
    check(
        &["completion", "tcsh"],
        2,
        "",
        "il completion: 'tcsh': not one of bash, zsh, fish\nhint: try 'il completion --help'\n",
    );
    check(
        &["completion"],
        2,
        "",
        "il completion: missing SHELL\nhint: try 'il completion --help'\n",
    );
}

#[test]
fn help_and_version_are_output() {
    let version = format!("il {}\n", env!("CARGO_PKG_VERSION"));
    check(&["--version"], 0, &version, "");
    check(&["-V"], 0, &version, "");
    let overview = cli::overview(COMMANDS);
    for words in [&["--help"][..], &["-h"], &["help"]] {
        check(words, 0, &overview, "");
    }
    for command in cli::all(COMMANDS) {
        let help = cli::command_help(command);
        for words in [[command.name(), "--help"], [command.name(), "-h"], ["help", command.name()]]
        {
            check(&words, 0, &help, "");
        }
    }
}

/// A name that il is linked under changes nothing.
#[test]
fn errors_go_by_the_name_of_il() {
    let scratch = crate::plain::Scratch::new();
    let link = scratch.path().join("intent");
    std::os::unix::fs::symlink(crate::plain::il_path(), &link).expect("a link");
    let output = run(program(&link).arg("hlp"));
    assert!(output.stderr.starts_with(b"il: unknown command"), "{output:?}");
}

#[test]
fn a_reader_that_leaves_ends_il_quietly() {
    let script = "set -o pipefail; { sleep 0.2; il completion bash; } | true";
    let output = run(program("bash").args(["-c", script]));
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let full = || File::options().write(true).open("/dev/full").expect("/dev/full");
    let child = il().arg("--help").stdout(full()).stderr(Stdio::piped()).spawn().expect("il");
    let output = child.wait_with_output().expect("il ends");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "il: cannot write to standard output: No space left on device\n"
    );
    let status = il().arg("hlp").stderr(full()).stdout(full()).status().expect("il");
    assert_eq!(status.code(), Some(2));
}

#[test]
fn closed_descriptors_do_no_harm() {
    let script = "il --help >&- 2>&- <&-; echo $?";
    assert_eq!(stdout(program("bash").args(["-c", script])), "0\n");
}
