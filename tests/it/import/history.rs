//! What agents kept themselves, taken in: each session once, its files byte for byte.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::house::House;
use crate::plain::{Scratch, root, run, stdout, succeed};

/// Fixtures, and where their agents keep such files below a home.
const KEPT: &[(&str, &str)] = &[
    ("claude/6e8920b9-45a6-4d0f-bbbc-ea519d889205.jsonl", ".claude/projects/-home-me-shop"),
    ("claude/7f3781e9-01bb-4faf-956b-b7cb15223a10.jsonl", ".claude/projects/-home-me-shop"),
    ("claude/7f3781e9-01bb-4faf-956b-b7cb15223a10", ".claude/projects/-home-me-shop"),
    (
        "codex/rollout-2026-11-20T23-15-06-01a1fb3d-fd6f-7461-98ee-9d6f0e5beb66.jsonl",
        ".codex/sessions/2026/11/20",
    ),
    (
        "codex/rollout-2026-11-20T23-46-57-01a1fb5b-2933-7992-bd53-aafeae2c7190.jsonl",
        ".codex/archived_sessions",
    ),
    ("gemini/tui-resumed/session-2026-11-20T23-54-99437048.jsonl", ".gemini/tmp/shop/chats"),
    ("gemini/tui-resumed/session-2026-11-20T23-55-99437048.jsonl", ".gemini/tmp/shop/chats"),
    ("opencode/opencode.db", ".local/share/opencode"),
];

/// A home in which agents have been at work.
fn home() -> Scratch {
    let home = Scratch::new();
    for (fixture, dir) in KEPT {
        copy(&root().join("tests/agent").join(fixture), &home.path().join(dir));
    }
    fs::write(home.path().join(".gemini/tmp/shop/.project_root"), "/home/me/shop").expect("a file");
    // Of agents too, and no sessions.
    fs::write(home.path().join(".claude/history.jsonl"), "{}\n").expect("a file");
    home
}

fn copy(from: &Path, dir: &Path) {
    fs::create_dir_all(dir).expect("a directory");
    let to = dir.join(from.file_name().expect("a name"));
    if !from.is_dir() {
        fs::copy(from, to).expect("a fixture");
        return;
    }
    for entry in fs::read_dir(from).expect("a directory") {
        copy(&entry.expect("an entry").path(), &to);
    }
}

fn sessions(house: &House) -> Vec<Value> {
    let list = stdout(&mut house.il(&["list", "--all", "--json"]));
    list.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn of_agent<'a>(sessions: &'a [Value], agent: &str) -> Vec<&'a Value> {
    sessions.iter().filter(|session| session["agent"] == agent).collect()
}

fn id(session: &Value) -> &str {
    session["id"].as_str().expect("an id")
}

fn import(house: &House, paths: &[PathBuf]) -> String {
    stdout(house.il(&["import"]).args(paths))
}

#[test]
fn a_home_is_taken_in_once() {
    let (house, home) = (House::new(), home());
    let paths = [home.path().to_owned()];
    let said = import(&house, &paths);
    assert!(
        said.starts_with("Imported 12 sessions (2 claude, 2 codex, 1 gemini, 7 opencode), "),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    let taken = sessions(&house);
    assert_eq!(import(&house, &paths), "Imported 0 sessions\n12 sessions were here already\n");
    assert_eq!(sessions(&house), taken);

    // The folders by themselves, a part of one, and a file are what they are in the home.
    let parts = [
        ".claude",
        ".claude/projects",
        ".claude/projects/-home-me-shop",
        ".codex",
        ".codex/archived_sessions",
        ".codex/sessions/2026",
        ".gemini",
        ".gemini/tmp/shop",
        ".local/share/opencode",
        ".claude/projects/-home-me-shop/6e8920b9-45a6-4d0f-bbbc-ea519d889205.jsonl",
    ];
    for part in parts {
        let said = import(&house, &[home.path().join(part)]);
        assert!(
            said.starts_with("Imported 0 sessions\n") && said.lines().count() == 2,
            "{part}: {said}"
        );
        assert!(said.contains(" here already\n"), "{part}: {said}");
    }
    assert_eq!(sessions(&house).len(), 12);
    succeed(&mut house.il(&["verify"]));
}

#[test]
fn what_was_taken_is_whole() {
    let (house, home) = (House::new(), home());
    import(&house, &[home.path().to_owned()]);
    let taken = sessions(&house);
    for (fixture, _) in KEPT.iter().filter(|(fixture, _)| fixture.ends_with(".jsonl")) {
        let bytes = fs::read(root().join("tests/agent").join(fixture)).expect("a fixture");
        let kept = taken.iter().any(|session| {
            let streams = ["native/0", "native/1"];
            streams.iter().any(|stream| {
                let output = run(&mut house.il(&["dump", stream, id(session)]));
                output.status.success() && output.stdout == bytes
            })
        });
        assert!(kept, "{fixture}: byte for byte");
    }
    // The subagent's files are part of its session.
    let with_subagent = of_agent(&taken, "claude")
        .into_iter()
        .find(|session| run(&mut house.il(&["dump", "native/2", id(session)])).status.success());
    let events = house.dump("conversation", id(with_subagent.expect("one with three files")));
    let events = String::from_utf8(events).expect("UTF-8");
    let kinds = events.lines().filter(|line| line.contains("\"kind\":\"subagent_start\""));
    assert_eq!(kinds.count(), 1, "{events}");

    let gemini = of_agent(&taken, "gemini");
    assert_eq!((gemini.len(), &gemini[0]["project"]), (1, &"shop".into()));
    assert_eq!(gemini[0]["status"], "succeeded");
    assert_eq!(gemini[0]["prompt"], "Add rate limiting to the API endpoint");
    // Of a database, each session is kept as its own program would export it.
    for session in of_agent(&taken, "opencode") {
        let document = house.dump("native/0", id(session));
        let document: Value = serde_json::from_slice(&document).expect("JSON");
        assert!(document["info"]["id"].as_str().is_some_and(|id| id.starts_with("ses_")));
        let messages = document["messages"].as_array().expect("messages");
        assert!(messages.iter().all(|m| m["info"]["role"].is_string() && m["parts"].is_array()));
    }
    let found = stdout(&mut house.il(&["search", "sliding", "window"]));
    for agent in ["claude", "codex", "gemini", "opencode"] {
        let ids: Vec<&str> = of_agent(&taken, agent).iter().map(|s| &id(s)[..13]).collect();
        assert!(ids.iter().any(|id| found.contains(id)), "{agent}: {found}");
    }
}

/// Of what nobody has looked at, the tool calls tell what was changed.
#[test]
fn what_an_imported_session_changed_is_told() {
    let (house, home) = (House::new(), home());
    import(&house, &[home.path().join(".claude"), home.path().join(".gemini")]);
    let taken = sessions(&house);
    let ids: Vec<&str> = taken.iter().map(id).collect();
    let changed: Vec<&str> = ids
        .iter()
        .copied()
        .filter(|id| run(&mut house.il(&["diff", "--stat", id])).status.success())
        .collect();
    assert!(!changed.is_empty() && changed.len() < ids.len(), "{changed:?}");
    for id in changed {
        let diff = run(&mut house.il(&["diff", id]));
        assert!(diff.status.success());
        let said = String::from_utf8(diff.stderr).expect("UTF-8");
        assert!(said.starts_with("il diff: this is what the tool calls of the session wrote\n"));
        assert_eq!(diff.stdout, house.dump("diff", id));
        let show = stdout(&mut house.il(&["show", "--json", id]));
        let show: Value = serde_json::from_str(&show).expect("JSON");
        assert_eq!(show["changes"]["told"], true);
        assert!(show["streams"].as_array().expect("streams").contains(&"diff".into()));
        let (cwd, file) = (&show["cwd"], &show["changes"]["files"][0]);
        let text = |value: &Value| value.as_str().expect("a path").to_owned();
        let path = Path::new(&text(cwd)).join(text(&file["path"]));
        let path = path.to_str().expect("UTF-8");
        let list = stdout(&mut house.il(&["list", "--all", "--json", "--file", path]));
        assert!(list.contains(id), "{path}: {list}");
        let why = stdout(&mut house.il(&["why", "--json", path]));
        assert!(why.contains(id), "{path}: {why}");
        // git takes what is told of a file that was made.
        if file["op"] == "create" && !text(&file["path"]).starts_with('/') {
            let tree = Scratch::new();
            fs::write(tree.path().join("diff"), &diff.stdout).expect("a diff");
            let mut git = std::process::Command::new("git");
            git.env("GIT_CEILING_DIRECTORIES", tree.path().parent().expect("a directory"));
            succeed(git.args(["apply", "diff"]).current_dir(tree.path()));
            assert!(tree.path().join(text(&file["path"])).exists());
        }
    }
    let not = ids.iter().find(|id| !run(&mut house.il(&["diff", id])).status.success());
    let said = run(&mut house.il(&["diff", not.expect("one that changed nothing")]));
    let said = String::from_utf8(said.stderr).expect("UTF-8");
    assert!(said.contains(": it was imported, and does not tell of any\n"), "{said}");
}

/// Agents append to their files: what is imported later replaces what it goes on from.
#[test]
fn a_session_that_has_grown_stays_one() {
    let (house, home) = (House::new(), home());
    let path = home
        .path()
        .join(".claude/projects/-home-me-shop/6e8920b9-45a6-4d0f-bbbc-ea519d889205.jsonl");
    let whole = fs::read_to_string(&path).expect("a transcript");
    let half: String = whole.split_inclusive('\n').take(12).collect();
    fs::write(&path, half).expect("a shorter one");
    let paths = [home.path().join(".claude")];
    import(&house, &paths);
    let before = sessions(&house);
    fs::write(&path, &whole).expect("all of it");
    let said = import(&house, &paths);
    assert!(said.starts_with("Imported 1 session (1 claude), "), "{said}");
    assert!(said.contains("1 of them has grown and took the place of what was here\n"), "{said}");
    let after = sessions(&house);
    assert_eq!(after.len(), before.len());
    let grown = after.iter().find(|session| !before.iter().any(|old| id(old) == id(session)));
    let grown = grown.expect("a new id");
    assert_eq!(house.dump("native/0", id(grown)), whole.as_bytes());
    assert!(before.iter().any(|old| id(old)[..13] == id(grown)[..13]), "the same short id");

    // What a person has pinned or marked stays beside it.
    succeed(&mut house.il(&["pin", id(grown)]));
    fs::write(&path, format!("{whole}{{}}\n")).expect("more");
    import(&house, &paths);
    assert_eq!(sessions(&house).len(), after.len() + 1);
}

/// A copy that was kept aside, and a file that its agent has rewritten, take nothing away: whatever
/// was said stays, and what is taken in again adds nothing.
#[test]
fn what_a_session_says_no_longer_stays() {
    let (house, home) = (House::new(), home());
    let path = home
        .path()
        .join(".claude/projects/-home-me-shop/6e8920b9-45a6-4d0f-bbbc-ea519d889205.jsonl");
    let whole = fs::read_to_string(&path).expect("a transcript");
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let words = ["\"type\":\"assistant\"", "\"type\":\"text\""];
    let spoken = |line: &&str| words.iter().all(|word| line.contains(word));
    let last = lines.iter().rposition(spoken).expect("an answer");
    let first = lines.iter().position(spoken).expect("an answer");
    assert!(first < last);
    let older: String = lines[..last].concat();
    let rewritten: String = [&lines[..first], &lines[first + 1..]].concat().concat();
    let more = r#"{"type":"user","message":{"role":"user","content":"And more?"}}"#;
    let rewritten_and_more = format!("{rewritten}{more}\n");
    let paths = [home.path().join(".claude")];
    import(&house, &paths);
    let count = sessions(&house).len();
    let known = "Imported 0 sessions\n2 sessions were here already\n";
    for (text, new) in [(&older, 0), (&whole, 0), (&rewritten, 0), (&rewritten_and_more, 1)] {
        fs::write(&path, text).expect("another one");
        let said = import(&house, &paths);
        assert_eq!(said == known, new == 0, "{said}");
        assert!(!said.contains("grown"), "{said}");
        assert_eq!(import(&house, &paths), known);
        assert_eq!(sessions(&house).len(), count + new);
    }
    fs::write(&path, &whole).expect("the first one");
    assert_eq!(import(&house, &paths), known);
}

#[test]
fn what_is_not_taken_is_told() {
    let (house, home) = (House::new(), Scratch::new());
    let dir = home.path().join(".claude/projects/-x");
    fs::create_dir_all(&dir).expect("a directory");
    fs::write(dir.join("0.jsonl"), "{\"type\":\"summary\",\"summary\":\"x\"}\n").expect("a file");
    fs::write(dir.join("1.jsonl"), "").expect("a file");
    let storage = home.path().join(".local/share/opencode/storage/session/p");
    fs::create_dir_all(&storage).expect("a directory");
    fs::write(storage.join("ses_1.json"), "{}").expect("a file");
    fs::write(home.path().join(".local/share/opencode/opencode.db"), "rubbish").expect("a file");
    let output = run(house.il(&["import"]).arg(home.path()));
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.starts_with("Imported 0 sessions\n2 transcripts passed over: nobody says"),
        "{said}"
    );
    assert!(said.contains("opencode.db: not an SQLite database\n"), "{said}");
    assert!(said.contains("opencode/storage: kept by an opencode before 1.2\n"), "{said}");
}
