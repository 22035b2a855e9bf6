//! Recorded runs of real agents, read again: each file of `tests/agents/recorded` is a store with
//! one session that an agent had with the mock of its model's API, and beside it is what the script
//! of that mock says must be in it. `make test-agents` makes the runs themselves.

use std::fs;
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::util::Home;

/// Fewer recordings than this have been lost on the way.
const RECORDED_MIN: usize = 4;

fn texts(events: &[Value], kind: &str) -> Vec<String> {
    let of_kind = events.iter().filter(|event| event["kind"] == kind && event["form"] != "slash");
    of_kind
        .map(|event| event["text"].as_str().expect(kind).trim().to_owned())
        .filter(|text| !text.is_empty())
        .collect()
}

fn words(expected: &Value) -> Vec<String> {
    let words = expected.as_array().expect("a list").iter();
    words.map(|word| word.as_str().expect("a text").trim().to_owned()).collect()
}

/// `shell ls missing-directory not ok` of a call and its result; None for a call that stands for
/// others.
fn call(events: &[Value], call: &Value, expected: &[String]) -> Option<String> {
    let id = &call["call_id"];
    if events.iter().any(|event| event["within"].is_string() && event["within"] == *id) {
        return None;
    }
    let args = call["args"].to_string();
    let result = events.iter().find(|e| e["kind"] == "tool_result" && e["call_id"] == *id);
    let ok = if result.is_some_and(|result| result["ok"] == true) { " ok" } else { " not ok" };
    // The longest that fits: "ls" is in "ls missing-directory".
    let fits = |said: &&String| {
        let what = said.trim_end_matches(" ok").trim_end_matches(" not");
        args.contains(what.split_once(' ').expect("kind and what").1)
    };
    let said = expected.iter().filter(fits).max_by_key(|said| said.len());
    let said = said.map(|said| said.trim_end_matches(" ok").trim_end_matches(" not"));
    Some(format!("{}{ok}", said.unwrap_or(&args)))
}

fn check(agent: &str, store: &[u8], expected: &Value) {
    let home = Home::new();
    fs::DirBuilder::new().mode(0o700).create(home.store()).expect("a directory");
    let path = home.store().join("store.il");
    fs::write(&path, store).expect("the store");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&path, private).expect("private");
    home.il(&["rederive"]);
    let events: Vec<Value> = home.events().into_iter().filter(|e| e["stream"] == "main").collect();
    let of = |kind: &str| events.iter().filter(|e| e["kind"] == kind).collect::<Vec<_>>();
    let told = |column: &str| expected["untold"][column].is_null();

    assert_eq!(texts(&events, "user_message"), words(&expected["turns"]), "{agent}: turns");
    if told("thoughts") {
        assert_eq!(texts(&events, "thought"), words(&expected["thoughts"]), "{agent}: thoughts");
    }
    // Of an answer that was interrupted, some agents keep a part.
    let mut said = texts(&events, "assistant_message");
    said.retain(|text| !text.starts_with("This is a slow"));
    assert_eq!(said, words(&expected["texts"]), "{agent}: texts");

    // Who speaks first, and that a model answers when it has been asked.
    let speaks = |e: &&Value| e["kind"] == "user_message" || e["kind"] == "assistant_message";
    let speakers: Vec<bool> =
        events.iter().filter(speaks).map(|e| e["kind"] == "user_message").collect();
    assert_eq!(speakers.first(), Some(&true), "{agent}: {speakers:?}");
    let answers = events.iter().filter(|e| e["kind"] == "assistant_message");
    let turns: Vec<u64> = answers.map(|e| e["turn"].as_u64().expect("a turn")).collect();
    assert!(turns.iter().min() < turns.iter().max(), "{agent}: {turns:?}");

    let expected_calls = words(&expected["calls"]);
    let calls = of("tool_call").into_iter();
    let calls: Vec<String> = calls.filter_map(|c| call(&events, c, &expected_calls)).collect();
    assert_eq!(calls, expected_calls, "{agent}: calls");

    for (column, kind) in [("interrupts", "interrupt"), ("errors", "api_error")] {
        let expected = expected[column].as_array().expect(column).len();
        let errors = if kind == "api_error" { of("error").len() } else { 0 };
        if told(column) {
            assert_eq!(of(kind).len() + errors, expected, "{agent}: {column}");
        }
    }
    let decisions: Vec<String> = of("approval")
        .iter()
        .filter(|e| !["config", "policy", "hook"].contains(&e["by"].as_str().unwrap_or_default()))
        .map(|e| match e["decision"].as_str().unwrap_or("unknown").split('_').next() {
            Some("cancelled") => "reject".to_owned(),
            word => word.unwrap_or_default().to_owned(),
        })
        .collect();
    if told("approvals") {
        assert_eq!(decisions, words(&expected["approvals"]), "{agent}: approvals");
    }

    let sum = |names: &[&str]| -> u64 {
        let of_one = |e: &&Value| names.iter().map(|n| e[*n].as_u64().unwrap_or(0)).sum::<u64>();
        of("usage").iter().map(of_one).sum()
    };
    for (name, parts) in [
        ("in", &["in", "cache_read", "cache_write_5m", "cache_write_1h"][..]),
        ("cached", &["cache_read"]),
        ("out", &["out"]),
        ("reasoning", &["reasoning"]),
    ] {
        if told(name) && told("tokens") {
            assert_eq!(expected["tokens"][name], sum(parts), "{agent}: tokens: {name}");
        }
    }
}

#[test]
fn recorded_runs_of_agents_are_read_exactly() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agents/recorded");
    let mut agents: Vec<String> = fs::read_dir(&dir)
        .expect("recordings")
        .filter_map(|entry| {
            entry.ok()?.file_name().to_str()?.strip_suffix(".il.gz").map(str::to_owned)
        })
        .collect();
    agents.sort();
    assert!(agents.len() >= RECORDED_MIN, "{agents:?}");
    for agent in agents {
        let expected = fs::read(dir.join(format!("{agent}.json"))).expect("what is expected");
        let expected = serde_json::from_slice(&expected).expect("JSON");
        let file = fs::File::open(dir.join(format!("{agent}.il.gz"))).expect("a recording");
        let mut store = Vec::new();
        GzDecoder::new(file).read_to_end(&mut store).expect("a whole recording");
        check(&agent, &store, &expected);
    }
}
