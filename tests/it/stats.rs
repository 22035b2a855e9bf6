//! `il stats`, with the real program on sessions made for it: what it says is counted by hand.

use std::path::Path;

use intentloop::event::{Counts, Tokens};
use intentloop::session::{DERIVED_VERSION, Derived, Ending, Repository};
use serde_json::{Value, json};

use crate::diff::claude;
use crate::filters::add;
use crate::house::{House, said};
use crate::plain::{run, stdout, succeed};

/// 2026-05-30T22:30:00Z: the next day in Berlin.
const LATE_US: i64 = 1_780_180_200_000_000;

fn library(house: &House) {
    let derived = |model: &str, turns, tokens: [u64; 2], split_ms| Derived {
        version: DERIVED_VERSION,
        agent: Some("claude".into()),
        model: Some(model.into()),
        counts: Counts {
            turns,
            tool_calls: 10,
            interrupts: 1,
            tokens: Tokens { input: tokens[0], output: tokens[1], ..Tokens::default() },
            ..Counts::default()
        },
        split_ms,
        ..Derived::default()
    };
    for (n, code, lasted_us, project, found) in [
        (0, 0, 60_000_000, "shop", Some(derived("opus", 3, [1000, 50], [600, 300, 100]))),
        (1, 1, 30_000_000, "shop", Some(derived("haiku", 4, [10, 5], [0, 0, 0]))),
        (2, 0, 9_000_000, "site", None),
    ] {
        add(house, LATE_US + n * 1_000_000, code, |meta| {
            let ending = meta.ending.take().unwrap_or_default();
            meta.ending = Some(Ending { duration_us: lasted_us, ..ending });
            meta.argv = vec![if found.is_some() { "claude".into() } else { "make".into() }];
            meta.repository =
                Some(Repository { root: format!("/r/{project}").into(), ..Repository::default() });
            meta.derived = found;
        });
    }
}

#[test]
fn the_sums_are_those_of_the_sessions() {
    let house = House::new();
    library(&house);
    let text = stdout(house.il(&["stats", "--json"]).env("TZ", "Europe/Berlin"));
    let value: Value = serde_json::from_str(&text).expect("JSON");
    let total = json!({
        "sessions": 3, "succeeded": 2, "failed": 1, "success_permille": 666,
        "duration_ms": 99_000, "duration_ms_mean": 33_000,
        "turns": 7, "turns_mean_hundredths": 350, "tool_calls": 20,
        "tokens_in": 1010, "tokens_out": 55,
        "agent_ms": 600, "tool_ms": 300, "blocked_ms": 100,
        "interrupts": 2, "approvals": 0, "approvals_rejected": 0, "nudges": 0,
        "judged": 0, "first_try": 0,
    });
    assert_eq!(value["total"], total);
    let names = |group: &str, name: &str| -> Vec<(String, u64)> {
        let members = value[group].as_array().expect("an array").iter();
        let member =
            |m: &Value| (m[name].as_str().unwrap().to_owned(), m["sessions"].as_u64().unwrap());
        members.map(member).collect()
    };
    assert_eq!(names("by_project", "project"), [("shop".into(), 2), ("site".into(), 1)]);
    assert_eq!(names("by_agent", "agent"), [("claude".into(), 2)]);
    assert_eq!(names("by_model", "model"), [("haiku".into(), 1), ("opus".into(), 1)]);
    assert_eq!(names("by_day", "day"), [("2026-05-31".into(), 3)]);
}

#[test]
fn a_person_reads_the_same() {
    let house = House::new();
    library(&house);
    let text = stdout(&mut house.il(&["stats", "--project", "shop"]));
    let expected = "\
Sessions: 2 (1 succeeded, 1 failed)
Success rate: 50.0%
Duration: 1m 30s (45s on average)
Turns: 7 (3.50 on average)
Tool calls: 20
Tokens: 1,010 in, 55 out
Time: agent 0s (60.0%), tools 0s (30.0%), waiting for you 0s (10.0%)
Friction: 2 interrupts, 0 approvals, 0 rejections, 0 nudges

PROJECT  SESSIONS  SUCCESS  TURNS  TOKENS  TIME
shop     2         50.0%    7      1,065   1m 30s  ████████████████████████
";
    assert!(text.starts_with(expected), "{text}");
    let (code, _, err) = said(&run(&mut house.il(&["stats", "--tag", "x"])));
    assert_eq!((code, err.as_str()), (Some(1), "il stats: no session to count\n"));
}

/// What stopped an agent or pushed it on is counted out of what was said.
#[test]
fn friction_is_counted() {
    let house = House::new();
    let call = |id: &str| json!([{"type": "tool_use", "id": id, "name": "Bash", "input": {}}]);
    let answer = |id: &str, text: &str| json!([{"type": "tool_result", "tool_use_id": id, "content": text, "is_error": true}]);
    let refused = "The user doesn't want to proceed with this tool use. The tool use was rejected";
    let home = claude(
        Path::new("/home/me/shop"),
        &[
            ("user", json!("Build it")),
            ("assistant", call("t1")),
            ("user", answer("t1", refused)),
            ("user", json!([{"type": "text", "text": "[Request interrupted by user]"}])),
            ("user", json!("continue")),
            ("assistant", call("t2")),
            // A tool that fails is not one that was refused.
            ("user", answer("t2", "no such file")),
            ("user", json!(" Go on! ")),
            ("assistant", call("t3")),
            ("user", answer("t3", refused)),
            ("user", json!("Keep going.")),
            ("assistant", json!([{"type": "text", "text": "continue"}])),
            ("user", json!("continue with the tests")),
        ],
    );
    succeed(house.il(&["import"]).arg(home.path()));
    let text = stdout(&mut house.il(&["stats", "--json"]));
    let total = &serde_json::from_str::<Value>(&text).expect("JSON")["total"];
    let names = ["turns", "interrupts", "approvals", "approvals_rejected", "nudges", "tool_calls"];
    assert_eq!(names.map(|name| total[name].as_u64()), [5, 1, 2, 2, 3, 3].map(Some), "{total}");
    let text = stdout(&mut house.il(&["stats"]));
    let line = "Friction: 1 interrupt, 2 approvals, 2 rejections, 3 nudges";
    assert!(text.lines().any(|l| l == line), "{text}");
    let text = stdout(&mut house.il(&["show"]));
    assert!(text.lines().any(|l| l == "Tool calls: 3 (1 failed, 2 refused)"), "{text}");
}
