//! Sessions of other programs there and back: `tests/import/` has what they leave, made by the
//! schemas that they document and, where those differ, by what their source writes.

use intentloop::event::{self, Body, Event, FileOp, Verdict};
use intentloop::format::{codeloops, native};
use intentloop::json::Value;
use intentloop::session::Status;
use std::fs;
use std::process::Command;

use crate::plain::{program, root, succeed};

mod codeloops_guide;
mod commands;
mod history;
mod intendant;
mod live;

fn data(name: &str) -> Vec<u8> {
    let path = root().join("tests/import").join(name);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The events as they are after a stay in a store.
fn stored(events: &[Event]) -> Vec<Event> {
    let line = |event: &Event| {
        let mut line = String::new();
        event.write_line(&mut line);
        Event::parse_line(line.as_bytes()).unwrap_or_else(|| panic!("{line}"))
    };
    events.iter().map(line).collect()
}

/// What was kept beside the events, as one text a record.
fn kept(events: &[Event]) -> Vec<String> {
    let of = events.iter().filter_map(|event| match &event.body {
        Body::Unknown(unknown) if unknown.kind == native::KIND => Some(unknown.fields.clone()),
        _ => None,
    });
    let without_format = of.map(|mut fields| {
        fields.remove("format");
        Value::Object(fields).to_string()
    });
    without_format.collect()
}

/// A file there and back, and what had to be kept for that.
#[track_caller]
fn check(name: &str, status: Option<Status>, kept_of_it: &[&str]) -> Vec<Event> {
    let bytes = data(&format!("codeloops/{name}"));
    let session = codeloops::parse(&bytes, name).expect("a session");
    let events = stored(&session.events);
    let text = String::from_utf8(bytes).expect("UTF-8");
    assert_eq!(codeloops::write(&events), text, "{name}");
    assert_eq!(session.status, status, "{name}");
    assert_eq!(kept(&events), kept_of_it, "{name}");
    events
}

#[test]
fn a_session_by_the_documentation_is_all_in_its_events() {
    let events =
        check("documented.jsonl", Some(Status::Succeeded), &[r#"{"patch":{"max_iterations":10}}"#]);
    let critics: Vec<_> = events
        .iter()
        .filter_map(|e| match &e.body {
            Body::Critic(c) => Some((c.n, c.decision, c.confidence, c.summary.is_some())),
            _ => None,
        })
        .collect();
    assert_eq!(
        critics,
        [
            (1, Some(Verdict::Continue), None, false),
            (2, Some(Verdict::Error), None, false),
            (3, Some(Verdict::Done), Some(0.95), true),
        ]
    );
    let files: Vec<_> = events
        .iter()
        .filter_map(|e| match &e.body {
            Body::FileChange(f) => Some((e.iter, f.path.as_str(), f.op, f.plus, f.minus)),
            _ => None,
        })
        .collect();
    assert_eq!(
        files,
        [
            (Some(1), "src/port.rs", Some(FileOp::Modify), Some(3), Some(1)),
            (Some(3), "src/port.rs", Some(FileOp::Modify), Some(3), Some(1)),
            (Some(3), "tests/port.rs", Some(FileOp::Create), Some(2), Some(0)),
        ]
    );
    check(
        "max_iterations.jsonl",
        Some(Status::MaxIterationsReached),
        &[r#"{"patch":{"max_iterations":1}}"#],
    );
    check("interrupted.jsonl", Some(Status::Interrupted), &["{}"]);
}

#[test]
fn a_session_as_the_program_writes_it_keeps_what_the_documentation_does_not_know() {
    check(
        "program.jsonl",
        Some(Status::Succeeded),
        &[
            r#"{"patch":{"timestamp":"2026-01-24T07:15:02.418230917Z","critic_model":"gpt-5","max_iterations":5}}"#,
            r#"{"patch":{"iteration_number":0,"actor_duration_secs":61.204958667,"critic_decision":"CONTINUE (2 issues)"}}"#,
            r#"{"patch":{"iteration_number":1,"actor_duration_secs":18.000000001,"critic_decision":"DONE (confidence: 95%)","timestamp":"2026-01-24T07:16:51.120458Z"}}"#,
            r#"{"patch":{"duration_secs":108.70222675,"timestamp":"2026-01-24T07:16:51.120502958Z"}}"#,
        ],
    );
    check(
        "user_interrupted.jsonl",
        Some(Status::Interrupted),
        &[
            r#"{"patch":{"timestamp":"2026-01-24T08:00:00.000000001Z"}}"#,
            r#"{"patch":{"iteration_number":0}}"#,
            r#"{"patch":{"outcome":"user_interrupted"}}"#,
        ],
    );
    check("failed.jsonl", Some(Status::Failed), &["{}", r#"{"patch":{"duration_secs":0.010233}}"#]);
}

#[test]
fn what_is_broken_or_of_another_version_is_kept_as_it_is() {
    check(
        "killed.jsonl",
        None,
        &[
            "{}",
            r#"{"line":"{\"type\":\"note\",\"text\":\"of a later version\",\"timestamp\":\"2026-01-24T10:00:01Z\"}"}"#,
            r#"{"patch":{"iteration_number":0,"cost":0.25,"phase":"critic_completed"}}"#,
            r#"{"line":"{\"type\":\"iteration\",\"iteration_number\":1,\"actor_out"}"#,
        ],
    );
    let session = codeloops::parse(&data("codeloops/killed.jsonl"), "killed").expect("a session");
    let told: Vec<_> = session.broken.iter().map(|b| (b.line, b.what.as_str())).collect();
    assert_eq!(told, [(2, "not a line that codeloops writes"), (4, "ends inside a value")]);
}

/// What does not come back, each for its reason: a record has a line of its own, and text is
/// UTF-8.
#[test]
fn these_differences_remain() {
    let start = r#"{"type":"session_start","timestamp":"2025-01-27T15:30:45Z","prompt":"p","working_dir":"/","actor_agent":"a","critic_agent":"b","actor_model":null,"critic_model":null,"max_iterations":null}"#;
    let end = r#"{"type":"session_end","outcome":"success","iterations":0,"summary":null,"confidence":null,"duration_secs":1.0,"timestamp":"2025-01-27T15:30:46Z"}"#;
    let whole = format!("{start}\n{end}\n");
    for (name, text) in [
        ("no last line feed", format!("{start}\n{end}")),
        ("blank lines", format!("{start}\n\n{end}\n\n")),
        ("two on a line", format!("{start}{end}\n")),
        ("carriage returns", format!("{start}\r\n{end}\r\n")),
    ] {
        let session = codeloops::parse(text.as_bytes(), name).expect(name);
        assert_eq!(codeloops::write(&session.events), whole, "{name}");
    }
    let mut torn = whole.clone().into_bytes();
    torn.extend_from_slice(b"{\"type\":\"iter\xff\n");
    let session = codeloops::parse(&torn, "torn").expect("a session");
    assert_eq!(codeloops::write(&session.events), format!("{whole}{{\"type\":\"iter\u{fffd}\n"));
}

/// Changes a few bytes, takes some away and doubles others (splitmix64).
fn disturb(bytes: &mut Vec<u8>, seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(bytes.len() as u64);
    let mut random = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb) >> 31
    };
    for _ in 0..3 {
        if bytes.is_empty() {
            return;
        }
        let at = (random() % bytes.len() as u64) as usize;
        match random() % 4 {
            0 => bytes[at] = random() as u8,
            1 => bytes[at] = b"\"{}[]:,0-9\n\\\0"[(random() % 12) as usize],
            2 => bytes.truncate(at),
            _ => bytes.extend_from_within(at..),
        }
    }
}

/// Bytes changed at random, from a seed: what comes back once comes back for ever.
#[test]
fn noise_in_a_session_is_read_and_written() {
    for name in ["documented.jsonl", "program.jsonl", "killed.jsonl"] {
        for seed in 0..300 {
            let mut bytes = data(&format!("codeloops/{name}"));
            disturb(&mut bytes, seed);
            let Some(session) = codeloops::parse(&bytes, name) else { continue };
            let once = codeloops::write(&stored(&session.events));
            let again = codeloops::parse(once.as_bytes(), name).expect("still a session");
            assert_eq!(codeloops::write(&stored(&again.events)), once, "{name}, seed {seed}");
        }
    }
}

#[test]
fn other_files_are_not_taken_for_sessions() {
    for text in
        ["", "{}", "[1]", "\n\n", "{\"type\":\"session_start\"}", "{\"type\":\"iteration\"}"]
    {
        assert!(!codeloops::is_session(text.as_bytes()), "{text}");
        assert!(codeloops::parse(text.as_bytes(), "x").is_none(), "{text}");
    }
}

/// The name of the file is the start and the hash of the prompt (`printf %s P | sha256sum`).
#[test]
fn files_are_named_as_codeloops_names_them() {
    let started = intentloop::time::WallTime::parse_rfc3339("2025-01-27T17:30:45+02:00");
    let name = codeloops::file_name(started.expect("a time"), "Add a --json flag");
    let sum = succeed(program("sh").args(["-c", "printf %s 'Add a --json flag' | sha256sum"]));
    let sum = String::from_utf8(sum.stdout).expect("UTF-8");
    assert_eq!(name, format!("2025-01-27T15-30-45Z_{}.jsonl", &sum[..6]));
}

/// Runs a script with `session.jsonl` in its directory.
fn query(script: &mut Command) -> String {
    String::from_utf8(succeed(script).stdout).expect("UTF-8")
}

/// A short session as an agent's adapter tells it.
fn talk() -> Vec<Event> {
    let lines = [
        r#""kind":"session_start","argv":["agent"],"cwd":"/home/me/shop","agent_session":"s-1""#,
        r#""kind":"user_message","text":"Add a test","form":"typed""#,
        r#""kind":"thought","text":"Where are the tests?","form":"full""#,
        r#""kind":"assistant_message","text":"I look.","model":"m-1""#,
        r#""kind":"usage","in":100,"cache_read":20,"cache_write_5m":0,"cache_write_1h":0,"out":7,"reasoning":0,"model":"m-1""#,
        r#""kind":"tool_call","call_id":"c1","name":"Bash","cat":"shell","title":"ls","args":{"command":"ls"}"#,
        r#""kind":"approval","call_id":"c1","ask":"ls","decision":"allow_once","by":"user""#,
        r#""kind":"tool_result","call_id":"c1","ok":true,"exit_code":0,"text":"tests\n""#,
        r#""kind":"assistant_message","text":"Done.","model":"m-1","final":true"#,
        r#""kind":"user_message","text":"Another one","form":"typed""#,
        r#""kind":"assistant_message","text":"Done too.","model":"m-1","final":true"#,
        r#""kind":"session_end","outcome":"succeeded","exit_code":0,"duration_ms":90000"#,
    ];
    let event = |(n, line): (usize, &&str)| {
        let agent = if n == 0 { "" } else { r#""agent":"claude","# };
        let text = format!(
            r#"{{"v":1,"seq":{n},"t":"2026-05-30T15:12:{n:02}.250+02:00","src":"transcript",{agent}"stream":"main","level":"info","conf":1.0,{line}}}"#
        );
        Event::parse_line(text.as_bytes()).unwrap_or_else(|| panic!("{text}"))
    };
    let mut events: Vec<Event> = lines.iter().enumerate().map(event).collect();
    intentloop::event::number(&mut events);
    events
}

#[test]
fn iterations_are_rounds_of_actor_and_critic() {
    let session = codeloops::parse(&data("codeloops/documented.jsonl"), "x").expect("a session");
    let rounds = event::rounds(&stored(&session.events));
    let told: Vec<_> = rounds
        .iter()
        .map(|r| (r.number, r.exit_code, r.files_changed, r.decision, r.diff.is_some()))
        .collect();
    let expected = [
        (1, Some(0), Some(1), Some(Verdict::Continue), true),
        (2, Some(101), Some(0), Some(Verdict::Error), false),
        (3, Some(0), Some(2), Some(Verdict::Done), true),
    ];
    assert_eq!(told, expected);
    assert_eq!(rounds[0].output.as_deref(), Some("The port is checked when it is read."));
    assert_eq!((rounds[1].output.as_deref(), rounds[1].duration_ms), (None, Some(12_500)));
    assert!(rounds[1].feedback.as_deref().is_some_and(|f| f.starts_with("It does not compile")));
    assert_eq!(rounds[2].feedback.as_deref(), Some("Port 0 is refused with an error."));
}
