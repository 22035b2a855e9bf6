//! What codeloops tells its users to type works on what il exports.

use super::{data, query, stored};
use crate::plain::{Scratch, program};
use intentloop::format::codeloops;
use serde_json::json;
use std::fs;

/// What the guides' Python programs do with a session, printed.
const PYTHON: &str = r#"
import json

def parse_session(filepath):
    with open(filepath) as f:
        lines = [json.loads(line) for line in f]
    start = lines[0]
    iterations = [l for l in lines if l.get("type") == "iteration"]
    end = lines[-1] if lines[-1].get("type") == "session_end" else None
    return {"start": start, "iterations": iterations, "end": end}

session = parse_session("session.jsonl")
start, iterations, end = session["start"], session["iterations"], session["end"]
print(f"Prompt: {start['prompt']}")
print(f"Iterations: {len(iterations)}")
if end:
    print(f"Outcome: {end['outcome']}")
"#;

/// Each command of the guides, and what it says of the session `documented.jsonl`.
#[test]
fn every_query_of_the_guide_works_on_an_export() {
    let session = codeloops::parse(&data("codeloops/documented.jsonl"), "x").expect("a session");
    let scratch = Scratch::new();
    let export = codeloops::write(&stored(&session.events));
    fs::write(scratch.path().join("session.jsonl"), export).expect("an export");
    let prompt = "Refuse port 0.\n\nRequirements:\n- an error, not a panic\n\
                  - a test – „auch mit Umlauten“ 🙂\n";
    for (script, want) in [
        ("head -1 session.jsonl | jq -r '.prompt'", prompt),
        (
            "jq -r 'select(.type == \"iteration\") | .critic_decision' session.jsonl",
            "CONTINUE\nERROR\nDONE\n",
        ),
        (
            "cat session.jsonl | jq -r 'select(.type == \"iteration\") | .critic_decision'",
            "CONTINUE\nERROR\nDONE\n",
        ),
        ("tail -1 session.jsonl | jq -r '.outcome'", "success\n"),
        ("jq -s '[.[] | select(.type == \"iteration\")] | length' session.jsonl", "3\n"),
    ] {
        let mut shell = program("sh");
        let got = query(shell.args(["-e", "-c", script]).current_dir(scratch.path()));
        assert_eq!(got, want, "{script}");
    }
    let mut python = program("python3");
    let got = query(python.args(["-c", PYTHON]).current_dir(scratch.path()));
    assert_eq!(got, format!("Prompt: {prompt}Iterations: 3\nOutcome: success\n"));
}

/// Every record has every member of the documented schema, of its type, in its order.
#[test]
fn exports_have_the_documented_schema() {
    let schema = json!({
        "session_start": [
            ["type", "string"], ["timestamp", "string"], ["prompt", "string"],
            ["working_dir", "string"], ["actor_agent", "string"], ["critic_agent", "string"],
            ["actor_model", "string|null"], ["critic_model", "string|null"],
            ["max_iterations", "integer|null"],
        ],
        "iteration": [
            ["type", "string"], ["iteration_number", "integer"], ["actor_output", "string"],
            ["actor_stderr", "string"], ["actor_exit_code", "integer"],
            ["actor_duration_secs", "float"], ["git_diff", "string"],
            ["git_files_changed", "integer"], ["critic_decision", "string"],
            ["feedback", "string|null"], ["timestamp", "string"],
        ],
        "session_end": [
            ["type", "string"], ["outcome", "string"], ["iterations", "integer"],
            ["summary", "string|null"], ["confidence", "float|null"],
            ["duration_secs", "float"], ["timestamp", "string"],
        ],
    });
    let program_of = r#"
import json, sys
schema = json.loads(sys.argv[1])
kind = lambda v: {str: "string", int: "integer", float: "float", type(None): "null"}[type(v)]
for line in open("session.jsonl"):
    record = json.loads(line)
    want = schema[record["type"]]
    assert list(record) == [name for name, _ in want], list(record)
    for name, kinds in want:
        assert kind(record[name]) in kinds.split("|"), (name, record[name])
print("as documented")
"#;
    let user = "a session of an agent that codeloops never saw";
    let talk = super::talk();
    for (name, text) in [
        ("documented", export_of("codeloops/documented.jsonl")),
        ("program", export_of("codeloops/program.jsonl")),
        (user, codeloops::write(&talk)),
    ] {
        let scratch = Scratch::new();
        fs::write(scratch.path().join("session.jsonl"), text).expect("an export");
        let mut python = program("python3");
        let got =
            query(python.args(["-c", program_of, &schema.to_string()]).current_dir(scratch.path()));
        assert_eq!(got, "as documented\n", "{name}");
    }
}

/// Of a session that codeloops never saw, each turn is a round, and the user is the critic.
#[test]
fn a_conversation_becomes_rounds_of_an_actor_and_a_user() {
    let scratch = Scratch::new();
    fs::write(scratch.path().join("session.jsonl"), codeloops::write(&super::talk()))
        .expect("an export");
    let told = r#"jq -r '[.type, .prompt // .actor_output // .outcome,
        .critic_agent // .critic_decision // .iterations, .feedback // ""] | map(tostring) | @tsv' session.jsonl"#;
    let mut shell = program("sh");
    let got = query(shell.args(["-c", told]).current_dir(scratch.path()));
    assert_eq!(
        got,
        "session_start\tAdd a test\tuser\t\n\
         iteration\tI look.\\n\\nDone.\tCONTINUE\tAnother one\n\
         iteration\tDone too.\tDONE\t\n\
         session_end\tsuccess\t2\t\n"
    );
}

fn export_of(name: &str) -> String {
    let session = codeloops::parse(&data(name), name).expect("a session");
    codeloops::write(&stored(&session.events))
}
