//! Choosing a session from the list of `-p`, on real terminals and in tmux.

use rustix::process::Signal;

use crate::play::Tmux;
use crate::util::{Home, Setup, Term, contains, find, output_of, wait_until, winsize};

/// What ends the list: the terminal's own screen again.
const LEFT: &str = "\x1b[?1049l";

/// Three sessions, of which the second is about a limiter.
fn home() -> Home {
    let home = Home::new();
    for (name, said) in
        [("first", "one"), ("rate limiter", "so many and no more"), ("日本語", "three")]
    {
        let script = format!("echo {said}");
        Term::spawn(home.il_run(&["-n", name, "sh", "-c", &script])).finish();
    }
    home
}

fn il(home: &Home, words: &[&str]) -> std::process::Command {
    let mut command = home.command("il");
    command.args(words);
    command
}

/// The rows of the pane once `is_so` holds for them.
fn rows_when(tmux: &Tmux, what: &str, is_so: impl Fn(&[String]) -> bool) -> Vec<String> {
    wait_until(what, || Some(tmux.pane()).filter(|rows| is_so(rows)))
}

#[test]
fn in_tmux_what_is_typed_narrows_and_the_session_stands_beside() {
    let tmux = Tmux(home());
    let script = "echo before; stty -a > found; il show -p; stty -a > left; touch chosen";
    tmux.start(script, 120, 20);
    let rows = rows_when(&tmux, "the list with a preview", |rows| {
        rows.first().is_some_and(|row| row.starts_with("Session: ") && row.ends_with(" 3/3"))
            && rows.iter().any(|row| row.ends_with("\u{2502} three"))
    });
    assert!(rows[1].starts_with("> "), "{rows:#?}");
    for (row, name) in rows[1..].iter().zip(["日本語: ", "rate limiter: ", "first: "]) {
        assert!(row.contains(name), "{rows:#?}");
    }
    assert!(rows[19].starts_with(" Enter choose  Esc leave"), "{rows:#?}");

    tmux.tmux(&["send-keys", "Down", "Down"]);
    rows_when(&tmux, "the oldest", |rows| rows.iter().any(|row| row.ends_with("\u{2502} one")));
    tmux.tmux(&["send-keys", "-l", "LIMIT"]);
    rows_when(&tmux, "no session", |rows| {
        rows[0].ends_with(" 0/3") && rows[1].trim_start().len() <= 3
    });
    for _ in "LIMIT".chars() {
        tmux.tmux(&["send-keys", "BSpace"]);
    }
    tmux.tmux(&["send-keys", "-l", "limit succ"]);
    let rows = rows_when(&tmux, "one session", |rows| {
        rows[0].ends_with(" 1/3") && rows.iter().any(|row| row.ends_with("so many and no more"))
    });
    assert!(rows[0].starts_with("Session: limit succ "), "{rows:#?}");
    assert!(rows[1].starts_with("> ") && rows[1].contains("rate limiter: "), "{rows:#?}");
    tmux.tmux(&["send-keys", "Enter"]);
    wait_until("the choice", || tmux.0.work("chosen").exists().then_some(()));
    let rows =
        rows_when(&tmux, "the session", |rows| rows.iter().any(|row| row.starts_with("Ring")));
    assert_eq!(rows[0], "before", "the screen of before is there: {rows:#?}");
    assert!(rows.iter().any(|row| row == "Name: rate limiter"), "{rows:#?}");
    assert_eq!(tmux.0.read("found"), tmux.0.read("left"));
}

#[test]
fn in_tmux_a_window_may_become_narrow_and_low() {
    let tmux = Tmux(home());
    tmux.start("il show -p; echo status=$?", 120, 20);
    rows_when(&tmux, "the list", |rows| rows.iter().any(|row| row.contains('\u{2502}')));
    for (cols, rows) in [("50", "6"), ("20", "4"), ("8", "2")] {
        tmux.tmux(&["resize-window", "-x", cols, "-y", rows]);
        let (cols, rows): (usize, usize) = (cols.parse().unwrap(), rows.parse().unwrap());
        let seen = rows_when(&tmux, "the narrow list", |seen| {
            let hint = if rows > 2 { " Enter" } else { "> " };
            seen.len() == rows
                && seen[rows - 1].starts_with(hint)
                && seen.iter().all(|row| !row.contains('\u{2502}') && row.chars().count() <= cols)
        });
        assert!(seen[1].starts_with("> "), "{seen:#?}");
    }
    tmux.tmux(&["send-keys", "Escape"]);
    tmux.tmux(&["resize-window", "-x", "80", "-y", "20"]);
    rows_when(&tmux, "the end", |rows| {
        rows.iter().any(|row| row == "il show: no session was chosen")
            && rows.iter().any(|row| row == "status=1")
    });
}

#[test]
fn each_command_takes_what_was_chosen() {
    let home = home();
    for (words, keys, expected) in [
        (&["show", "--pick"][..], "\x1b[B\r", "Name: rate limiter"),
        (&["show", "-p", "first"], "\r", "Name: first"),
        (&["dump", "-p", "stdout"], "first\r", "one"),
        (&["dump", "stdout", "limiter", "-p"], "\r", "so many and no more"),
        (&["dump", "-p", "limiter", "text"], "\r", "so many and no more"),
        (&["play", "-p"], "日本\r", "three"),
        (&["diff", "-p"], "\r", "did not begin in a repository"),
    ] {
        let mut term = Term::spawn(il(&home, words));
        term.expect("Session: ");
        term.send(keys);
        term.expect(LEFT);
        term.expect(expected);
        term.finish();
    }
    let outcome = Term::spawn(il(&home, &["resume", "-p"])).finish();
    assert_eq!(outcome.status.code(), Some(1));
    assert!(contains(&outcome.screen, "no session to choose from"));
}

/// Who wants the list gets it without `-p`, if no session is named, or more than one is meant.
#[test]
fn the_list_comes_by_itself_where_that_is_wanted() {
    let home = home();
    let list = il(&home, &["list", "--json"]).output().expect("il");
    let text = String::from_utf8(list.stdout).expect("UTF-8");
    let id = |line: &str| line.split('"').nth(5).expect("an id").to_owned();
    let ids: Vec<String> = text.lines().map(id).collect();
    // What all three begin with, and what only the newest is.
    let all = (1..).take_while(|n| ids.iter().all(|id| id[..*n] == ids[0][..*n])).last();
    let all = &ids[0][..all.expect("the same time")];
    for (words, value, expected) in [
        (&["show"][..], "1", true),
        (&["show", all], "1", true),
        (&["diff"], "yes", true),
        (&["show", &ids[0]], "1", false),
        (&["show", "--json"], "1", false),
        (&["last"], "1", false),
        (&["show"], "0", false),
        (&["show"], "", false),
        (&["show", all], "0", false),
        (&["dump", "stdout"], "1", false),
    ] {
        let mut command = il(&home, words);
        command.env("INTENTLOOP_PICK", value);
        let mut term = Term::spawn(command);
        if expected {
            term.expect("type to filter");
            term.send("\x1b");
        }
        let outcome = term.finish();
        assert_eq!(contains(&outcome.screen, LEFT), expected, "{words:?} {value:?}");
    }
    let mut piped = il(&home, &["show", all]);
    let piped = piped.env("INTENTLOOP_PICK", "1").output().expect("il");
    assert_eq!(piped.status.code(), Some(2), "{}", piped.stderr.escape_ascii());
}

#[test]
fn the_terminal_is_left_as_it_was_found_however_it_ends() {
    use std::os::unix::process::ExitStatusExt;
    let home = home();
    for (end, code, signal) in [
        ("\x1b", Some(1), None),
        ("\x03", Some(1), None),
        ("\r", Some(0), None),
        ("TERM", None, Some(15)),
        ("HUP", None, Some(1)),
    ] {
        let mut term = Term::spawn(il(&home, &["show", "-p"]));
        term.expect("Session: ");
        match end {
            "TERM" => term.kill(Signal::TERM),
            "HUP" => term.kill(Signal::HUP),
            keys => term.send(keys),
        }
        let status = term.wait();
        while term.read_some().is_some_and(|len| len > 0) {}
        assert_eq!((status.code(), status.signal()), (code, signal), "{end:?}");
        assert_eq!(term.termios(), term.initial, "{end:?}");
        let left = find(&term.screen, LEFT.as_bytes());
        assert!(left.is_some(), "{end:?}: {}", term.screen.escape_ascii());
    }
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted() {
    let home = home();
    for (no_color, coloured) in [("", true), ("1", false)] {
        let mut command = il(&home, &["show", "-p"]);
        command.env("NO_COLOR", no_color);
        let setup = Setup { winsize: winsize(100, 10), ..Setup::default() };
        let mut term = Term::spawn_with(command, &setup);
        term.expect("first: ");
        term.send("\x1b");
        term.expect(LEFT);
        assert_eq!(contains(&term.screen, ";32m"), coloured, "{}", term.screen.escape_ascii());
        term.finish();
    }
}

#[test]
fn without_a_terminal_it_refuses_and_says_what_to_do() {
    let home = home();
    for words in [
        &["show", "-p"][..],
        &["dump", "-p", "stdout"],
        &["play", "-p"],
        &["diff", "-p"],
        &["resume", "-p"],
    ] {
        let mut command = il(&home, words);
        command.stdin(std::process::Stdio::null());
        let output = output_of(command).expect("il can be started");
        let said = String::from_utf8(output.stderr).expect("text");
        let start = format!("il {}: --pick needs a terminal to choose on\nhint: ", words[0]);
        assert!(said.starts_with(&start), "{said}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    }
}
