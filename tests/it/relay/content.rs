//! What passes through: bytes, not text, and nothing of il's own.

use crate::util::*;

#[test]
fn a_run_says_nothing_to_the_terminal() {
    assert_eq!(run(&Home::new(), How::Recorded, "$REC true").screen, b"");
    check_same("$REC true; $REC false; $REC sh -c 'exit 4'; $REC printf x");
}

#[test]
fn bytes_that_are_no_text_pass_unchanged() {
    let all: Vec<u8> = (0..=255).collect();
    let contents = [
        all.repeat(40),
        b"caf\xe9 na\xefve \xc3\x28 \xf0\x28\x8c\xbc \xed\xa0\x80".to_vec(),
        b"\x1bPq#0;2;0;0;0#0~~@@vv@@~~@@~~$#1!14~-\x1b\\ after \x1b]0;title".to_vec(),
        noise(100_000, 46),
        b"ends inside \xf0\x9f\x98".to_vec(),
        b"ends inside \x1b[38;5".to_vec(),
    ];
    for content in contents {
        let home = Home::new();
        home.write("content", &content);
        let ran = run(&home, How::Recorded, "$REC cat content");
        assert_same_bytes(&ran.screen, &as_shown(&content), "shown");
        assert_same_bytes(&home.dump("stdout"), &as_shown(&content), "kept");
        let ran =
            run(&home, How::Recorded, "$REC sh -c 'stty -opost; cat content'; cat content >f");
        assert_same_bytes(&ran.screen, &content, "shown without output processing");
        run(&home, How::Recorded, "$REC cat content | cat >through; cmp content through || exit 1");
        assert_same_bytes(&home.read("through"), &content, "through a pipe");
        assert_same_bytes(&home.dump("stdout"), &content, "kept from a pipe");
    }
}

#[test]
fn a_character_split_between_writes_is_whole() {
    let text = "a\u{1f600}b\u{20ac}c\u{e9}d";
    let home = Home::new();
    let mut script = String::new();
    for at in 0..=text.len() {
        let (left, right) = text.as_bytes().split_at(at);
        let octal = |bytes: &[u8]| bytes.iter().map(|b| format!("\\{b:03o}")).collect::<String>();
        script += &format!("printf '{}'; sleep 0.002; printf '{}\\n'\n", octal(left), octal(right));
    }
    home.write("script", &script);
    let ran = run(&home, How::Recorded, "$REC sh script");
    let expected = format!("{text}\r\n").repeat(text.len() + 1);
    assert_same_bytes(&ran.screen, expected.as_bytes(), "shown");
    assert_same_bytes(&home.dump("stdout"), expected.as_bytes(), "kept");
}

#[test]
fn a_terminals_answers_are_forwarded_untouched() {
    // Device attributes, cursor position, mode report, colours, version, kitty keyboard, XTGETTCAP.
    let answers = "\x1b[?62;1;6c\x1b[24;80R\x1b[?2026;2$y\x1b]11;rgb:1e1e/1e1e/1e1e\x1b\\\
                   \x1bP>|term 1.2\x1b\\\x1b[?1u\x1bP1+r544e=78\x1b\\";
    let home = Home::new();
    let len = answers.len().to_string();
    let mut term = Term::spawn(home.il_run(&["rawread", &len, "read"]));
    term.expect("READY");
    term.send(answers);
    assert!(term.finish().status.success());
    assert_same_bytes(&home.read("read"), answers.as_bytes(), "what the command read");
    assert_same_bytes(&home.dump("stdin"), answers.as_bytes(), "kept");
}

#[test]
fn keystrokes_are_kept_as_typed() {
    let home = Home::new();
    let mut term = Term::spawn(home.il_run(&["cat"]));
    term.until("raw mode", Term::is_raw);
    term.send("h\u{e9}llo\x7f\x7fp\r");
    term.expect("p\r\nh\u{e9}lp\r\n");
    term.send(b"\x04");
    term.finish();
    assert_eq!(home.dump("stdin"), "h\u{e9}llo\x7f\x7fp\r\x04".as_bytes());
}

#[test]
fn no_input_keeps_no_keystroke() {
    let home = Home::new();
    let mut command = home.command("il");
    command.args(["run", "-q", "--no-input", "sh", "-c", "stty -echo; echo READY; read x"]);
    let mut term = Term::spawn(command);
    term.expect("READY");
    term.send("unwanted\r");
    term.finish();
    assert_eq!(home.dump("stdin"), b"");
    assert!(!contains(&home.store_bytes(), "unwanted"));
}

#[test]
fn a_live_session_can_be_read_while_it_runs() {
    let home = Home::new();
    let mut term = Term::spawn(home.il_run(&["sh", "-c", "echo first; read x; echo second"]));
    term.expect("first\r\n");
    assert_eq!(home.status(), "running");
    assert_eq!(home.dump("stdout"), b"first\r\n");
    term.send("\r");
    term.finish();
    assert_eq!(home.dump("stdout"), b"first\r\n\r\nsecond\r\n");
    assert_eq!(home.status(), "succeeded");
}

#[test]
fn times_go_forward_and_measure_the_run() {
    let home = Home::new();
    run(&home, How::Recorded, "$REC sh -c 'echo one; sleep 0.3; echo two'");
    let events = home.events();
    assert_eq!(events.first().map(|event| &event["kind"]), Some(&"session_start".into()));
    assert_eq!(events.last().map(|event| &event["kind"]), Some(&"session_end".into()));
    let times: Vec<u64> = events.iter().filter_map(|event| event["mono_ns"].as_u64()).collect();
    assert!(times.is_sorted(), "{times:?}");
    let took_us = events.last().unwrap()["duration_us"].as_u64().expect("duration_us");
    assert!(took_us >= 300_000, "the command slept 300 ms of the {took_us} us measured");
}
