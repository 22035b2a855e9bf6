//! Questions of a recorded command to the person who looks on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::Value;

use crate::house::House;
use crate::plain::{Scratch, run, stdout, succeed};
use crate::tail::{Shell, json_lines};
use crate::util::wait_until;

/// Answers as soon as there is something to answer.
fn answer(house: &House, words: &[&str]) -> String {
    let said = wait_until("a question", || {
        let output = run(house.il(&["answer"]).args(words));
        output.status.success().then_some(output.stdout)
    });
    String::from_utf8(said).expect("UTF-8")
}

fn questions_and_answers(house: &House) -> Vec<Value> {
    let json = stdout(&mut house.il(&["tail", "--json", "--only", "question,answer", "@1"]));
    json_lines(&json)
}

#[test]
fn a_command_asks_and_gets_the_answer() {
    let house = House::new();
    let scratch = Scratch::new();
    let mut shell = Shell::new(&house, &[]);
    shell.line(&format!("cd '{}'", scratch.path().display()));
    shell.line("il ask Which colour? >first & il ask --session $IL_SESSION How many? >second &");
    // The oldest question first; which one that is, the shell has left open.
    let said = [answer(&house, &["dark red"]), answer(&house, &["dark red"])];
    let mut sorted = said.clone();
    sorted.sort();
    assert_eq!(sorted, ["Answered: How many?\n", "Answered: Which colour?\n"]);
    assert_eq!(shell.line("wait; cat first second"), "dark red\ndark red\n");
    let none = run(&mut house.il(&["answer", "x"]));
    assert_eq!(none.status.code(), Some(1));
    assert!(none.stderr.starts_with(b"il answer: no running session asks anything\nhint: "));
    shell.end();

    let told = questions_and_answers(&house);
    let kinds: Vec<&str> = told.iter().filter_map(|event| event["kind"].as_str()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "answer").count(), 2, "{kinds:?}");
    for answer in told.iter().filter(|event| event["kind"] == "answer") {
        assert_eq!(answer["answer"], "dark red");
        assert!(answer["waited_ms"].as_u64().is_some(), "{answer}");
        let same = told.iter().filter(|event| event["q_id"] == answer["q_id"]).count();
        assert_eq!(same, 2, "a question and its answer: {told:?}");
    }
}

#[test]
fn who_is_meant_is_never_guessed() {
    let house = House::new();
    let (mut one, mut two) = (Shell::new(&house, &[]), Shell::new(&house, &[]));
    one.line("il ask first >/dev/null &");
    two.line("il ask second >/dev/null &");
    for (session, question) in [("@1", "second"), ("@2", "first")] {
        wait_until("a question", || {
            let events = String::from_utf8(house.dump("events", session)).expect("UTF-8");
            events.contains(question).then_some(())
        });
    }
    let output = run(&mut house.il(&["answer", "x"]));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let listed = output.stderr;
    let listed = String::from_utf8(listed).expect("UTF-8");
    assert!(listed.starts_with("il answer: 2 sessions ask something\nhint: say which:\n"));
    assert!(listed.contains("  first\n") && listed.contains("  second\n"), "{listed}");
    let ids = house.ids();
    assert_eq!(answer(&house, &[&ids[0], "x"]), "Answered: second\n");
    assert_eq!(answer(&house, &["x"]), "Answered: first\n");
    one.end();
    two.end();
}

/// Who waits for an answer does not outwait the session.
#[test]
fn a_session_that_ends_leaves_no_one_waiting() {
    let house = House::new();
    let shell = Shell::new(&house, &[]);
    let mut ask = house.il(&["ask", "--session", "@1", "Well?"]);
    let ask = ask.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("il ask");
    let open = || {
        let events = String::from_utf8(house.dump("events", "@1")).expect("UTF-8");
        events.contains("Well?").then_some(())
    };
    wait_until("the question", open);
    shell.end();
    let output = ask.wait_with_output().expect("il ask ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        (output.status.code(), said.as_str()),
        (Some(1), "il ask: no answer: the session has ended\n")
    );
    assert!(output.stdout.is_empty());
    let late = run(&mut house.il(&["ask", "--session", "@1", "Well?"]));
    assert_eq!(late.status.code(), Some(1), "{late:?}");
}

/// As Intendant asks: a file that holds the question, another that is to hold the answer; both are
/// gone once it was read.
const INTENDANT: &str = r#"#!/bin/sh
mkdir -p "$2" && cd "$2"
printf 'Delete the old branch?' >human_question.new && mv human_question.new human_question
until [ -f human_response ]; do sleep 0.05; done
echo "<$(cat human_response)>"
rm human_question human_response
"#;

#[test]
fn a_question_in_a_file_is_answered_in_a_file() {
    for named in [true, false] {
        let house = House::new();
        let scratch = Scratch::new();
        let program = scratch.path().join("intendant");
        fs::write(&program, INTENDANT).expect("a program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("its mode");
        let logs = scratch.path().join(".intendant/logs/0c9b6a1f");
        let mut command = house.il(&["run"]);
        command.arg(&program).env("HOME", scratch.path()).current_dir(scratch.path());
        match named {
            true => command.args(["--log-file", "log"]),
            // Not what Intendant takes, but the script.
            false => command.arg("--as-ever").arg(&logs),
        };
        let run = command.stdout(Stdio::piped()).spawn().expect("il run");
        let said = wait_until("a question", || {
            let mut command = house.il(&["answer", "no; keep it"]);
            let output = crate::plain::run(command.env("HOME", scratch.path()));
            output.status.success().then_some(output.stdout)
        });
        assert_eq!(said, b"Answered: Delete the old branch?\n");
        let output = run.wait_with_output().expect("il run ends");
        assert_eq!(output.stdout, b"<no; keep it>\n");
        let told = questions_and_answers(&house);
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[0]["text"], "Delete the old branch?");
        assert_eq!(told[1]["answer"], "no; keep it");
        assert_eq!(told[0]["q_id"], told[1]["q_id"]);
        succeed(&mut house.il(&["verify"]));
    }
}
