//! `il import` and `il export`: files in, sessions to look at, the same files out.

use super::data;
use super::intendant::{Files, log, read_dir};
use crate::plain::{Scratch, il, root, run, stdout, succeed};
use intentloop::store::{Access, Store};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A store of its own, and room beside it.
struct Home(Scratch);

impl Home {
    fn new() -> Home {
        Home(Scratch::new())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn il(&self, words: &[&str]) -> Command {
        let mut il = il();
        il.arg("--home").arg(self.path("home")).args(words).current_dir(self.0.path());
        il
    }

    fn import(&self, path: &Path) -> String {
        stdout(self.il(&["import"]).arg(path))
    }

    /// `il list --json`.
    fn list(&self, words: &[&str]) -> Vec<Value> {
        let said = stdout(self.il(&["list", "--all", "--json"]).args(words));
        said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

fn of(name: &str) -> PathBuf {
    root().join("tests/import").join(name)
}

#[test]
fn codeloops_sessions_come_and_go_byte_for_byte() {
    let home = Home::new();
    for entry in fs::read_dir(of("codeloops")).expect("data") {
        let path = entry.expect("an entry").path();
        let said = home.import(&path);
        assert!(said.starts_with("Imported 1 session (1 codeloops), "), "{said}");
        let id = &home.list(&[]).iter().map(id).collect::<Vec<_>>();
        let newest = id.iter().find(|id| source(&home, id).ends_with(file_name(&path)));
        let newest = newest.unwrap_or_else(|| panic!("{}", path.display()));
        let bytes = fs::read(&path).expect("the original");
        let mut out = succeed(&mut home.il(&["export", "codeloops", newest])).stdout;
        let cut_short = bytes.last() != Some(&b'\n');
        assert!(!cut_short || out.pop() == Some(b'\n'));
        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&bytes));
        assert_eq!(succeed(&mut home.il(&["dump", "native/0", newest])).stdout, bytes);
    }
}

fn id(session: &Value) -> String {
    session["id"].as_str().expect("an id").to_owned()
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("a name")
}

fn source(home: &Home, id: &str) -> String {
    let meta: Value =
        serde_json::from_str(&stdout(&mut home.il(&["dump", "meta", id]))).expect("JSON");
    meta["imported"]["from"].as_str().expect("a path").to_owned()
}

#[test]
fn intendant_logs_come_and_go_byte_for_byte() {
    for name in ["documented", "early", "later"] {
        let home = Home::new();
        let said = home.import(&of("intendant").join(name));
        assert!(said.starts_with("Imported 1 session (1 intendant), "), "{said}");
        succeed(&mut home.il(&["export", "intendant", "-o", "out"]));
        assert!(read_dir(&home.path("out")) == log(name), "{name}");
        // The file of events stands for the directory that it is in.
        let spine = of("intendant").join(name).join("session.jsonl");
        assert!(home.import(&spine).contains("1 session was here already"));
    }
}

#[test]
fn the_same_content_twice_is_one_session() {
    let home = Home::new();
    let said = home.import(&of(""));
    assert!(said.starts_with("Imported 10 sessions (7 codeloops, 3 intendant), "), "{said}");
    // The three lists of what is kept, for these tests.
    assert!(said.contains("\n3 files of other kinds passed over\n"), "{said}");
    let first = home.list(&[]);
    assert!(
        home.import(&of("")).starts_with("Imported 0 sessions\n10 sessions were here already\n")
    );
    let copy = home.path("elsewhere.jsonl");
    fs::copy(of("codeloops/documented.jsonl"), &copy).expect("a copy");
    assert!(home.import(&copy).starts_with("Imported 0 sessions\n1 session was here already\n"));
    let known = home.list(&[]);
    assert_eq!(known, first);
    // Newest first is by the time they began, whenever they came.
    let started: Vec<String> = known.iter().map(|s| s["started"].to_string()).collect();
    assert!(started.is_sorted_by(|a, b| a >= b), "{started:?}");
}

#[test]
fn imported_sessions_are_listed_with_what_became_of_them() {
    let home = Home::new();
    home.import(&of("codeloops"));
    let of_status = |status: &str| {
        let mut prompts: Vec<String> = home
            .list(&["--status", status])
            .iter()
            .map(|s| s["prompt"].as_str().expect("a prompt").to_owned())
            .collect();
        prompts.sort();
        prompts
    };
    assert_eq!(of_status("max_iterations_reached"), ["Make it fast"]);
    assert_eq!(of_status("interrupted"), ["Rename the crate", "Try"]);
    assert_eq!(of_status("failed"), ["Try harder"]);
    assert_eq!(of_status("lost"), ["Go"]);
    assert_eq!(of_status("succeeded").len(), 2);
}

#[test]
fn show_prints_a_table_of_the_iterations() {
    let home = Home::new();
    home.import(&of("codeloops/documented.jsonl"));
    let said = stdout(home.il(&["show"]).env("TZ", "UTC"));
    let path = of("codeloops/documented.jsonl").display().to_string();
    for line in [
        "Status: succeeded",
        "Started: 2025-01-27 15:30:45",
        "Ended: 2025-01-27 15:32:14 (1m 29s)",
        &format!("Imported from: codeloops ({path})"),
        "Agent: Claude Code (sonnet)",
        "Iterations: 3",
        "Directory: /home/user/projects/myapp (2 files changed, +5 -1)",
    ] {
        assert!(said.lines().any(|l| l == line), "{line} in {said}");
    }
    let table = said.split("\n\n").nth(1).expect("a table");
    assert_eq!(
        table,
        "\
ITER  TIME                 ACTOR        EXIT  DURATION  FILES  DECISION  FEEDBACK
1     2025-01-27 15:31:30  Claude Code  0     45s       1      continue  Port 0 is still taken. Please add: 1. a check 2. a test
2     2025-01-27 15:31:44  Claude Code  101   12s       0      error     It does not compile: the crate is not in Cargo.toml.
3     2025-01-27 15:32:14  Claude Code  0     32s       2      done      Port 0 is refused with an error.
"
    );
    // The loop's own diffs, each since the last commit, are told once.
    let diff = run(&mut home.il(&["diff", "--stat"]));
    assert!(diff.status.success() && diff.stderr.is_empty());
    assert_eq!(
        String::from_utf8_lossy(&diff.stdout),
        " src/port.rs   | 4 +++-\n tests/port.rs | 2 ++\n \
         2 files changed, 5 insertions(+), 1 deletion(-)\n"
    );
}

#[test]
fn what_is_not_taken_is_said_with_its_reason() {
    let home = Home::new();
    let other = home.path("other");
    fs::create_dir_all(other.join("empty")).expect("a directory");
    fs::write(other.join("notes.txt"), "x").expect("a file");
    symlink("/dev/zero", other.join("link.jsonl")).expect("a link");
    let check = |words: &[&str], want: &str| {
        let output = run(&mut home.il(words));
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), want, "{words:?}");
    };
    check(
        &["import", "gone", "other/notes.txt", "/dev/null", "other/empty"],
        "Imported 0 sessions\n\
         Not taken: gone: cannot read: No such file or directory\n\
         Not taken: other/notes.txt: no format that il knows\n\
         Not taken: /dev/null: neither a file nor a directory\n\
         Not taken: other/empty: no session in it that il knows\n",
    );
    check(
        &["import", "other", "home"],
        "Imported 0 sessions\n2 files of other kinds passed over\n\
         Not taken: other: no session in it that il knows\n\
         Not taken: home: it is this store\n",
    );
    let output = run(&mut home.il(&["import"]));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn other_stores_and_backups_are_taken_session_by_session() {
    let there = Home::new();
    there.import(&of("codeloops"));
    let store = Store::open(&there.path("home"), Access::Read).expect("a store");
    let backup = there.path("saved");
    store.backup(&backup, &mut |_| {}).expect("a backup");
    let all = there.list(&[]);
    for from in [there.path("home"), there.path("home/store.il"), backup] {
        let here = Home::new();
        let said = here.import(&from);
        assert!(said.starts_with("Imported 7 sessions (7 il), "), "{said}");
        assert_eq!(here.list(&[]), all);
        let again = here.import(&of("codeloops"));
        assert!(
            again.starts_with("Imported 0 sessions\n7 sessions were here already\n"),
            "{again}"
        );
    }
}

#[test]
fn an_export_replaces_nothing_and_says_what_it_wrote() {
    let home = Home::new();
    home.import(&of("intendant/documented"));
    let fails = |words: &[&str], status: i32, why: &str| {
        let output = run(&mut home.il(words));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.contains(why)), (Some(status), true), "{said}");
    };
    fails(&["export", "intendant"], 2, "name one: il export intendant -o DIR");
    fails(&["export", "intendant", "-o", "home"], 1, "the directory is not empty");
    fails(&["export", "pdf"], 2, "not one of ");
    let said = stdout(&mut home.il(&["export", "intendant", "-o", "a/b"]));
    let count = read_dir(&home.path("a/b")).len();
    assert!(said.starts_with(&format!("Wrote {count} files, ")), "{said}");
    // A directory takes a file under its usual name.
    fs::create_dir(home.path("dir")).expect("a directory");
    succeed(&mut home.il(&["export", "codeloops", "-o", "dir"]));
    let files: Files = read_dir(&home.path("dir"));
    let name = files.keys().next().expect("a file");
    assert!(name.starts_with("2026-04-15T") && name.ends_with(".jsonl"), "{name}");
    let jsonl = stdout(&mut home.il(&["export", "jsonl"]));
    for line in jsonl.lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(event["v"], 1, "{line}");
        assert_eq!(event["session"], home.list(&[])[0]["id"], "{line}");
    }
    let md = stdout(&mut home.il(&["export", "md"]));
    assert!(md.contains("Fix the session expiry"), "{md}");
}

/// A secret in a prompt, in an output, and in a file that only JSON's escapes hide.
#[test]
fn secrets_stay_behind_unless_they_are_asked_for() {
    let secret = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";
    let key = "-----BEGIN PRIVATE KEY-----\\nMIIEvAIBADANBgkq\\n-----END PRIVATE KEY-----";
    let home = Home::new();
    let text = String::from_utf8(data("codeloops/documented.jsonl")).expect("UTF-8");
    let text = text
        .replace("Refuse port 0.", &format!("Refuse port 0 with {secret}."))
        .replace("Port 0 is refused, and", &format!("{key} and"));
    let path = home.path("session.jsonl");
    fs::write(&path, &text).expect("a session");
    home.import(&path);
    let mut files = log("documented");
    let conversation = files.get_mut("conversation.jsonl").expect("a conversation");
    *conversation = format!("{{\"role\":\"user\",\"content\":\"{key} {secret}\"}}\n").into_bytes();
    let dir = home.path("log");
    for (name, bytes) in &files {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, bytes).expect("a file");
    }
    home.import(&dir);
    let ids: Vec<String> = home.list(&[]).iter().map(id).collect();
    let [log_id, loop_id] = &ids[..] else { panic!("{ids:?}") };
    for format in ["codeloops", "jsonl", "md"] {
        let said = stdout(&mut home.il(&["export", format, loop_id]));
        assert!(!said.contains(secret) && !said.contains("MIIE"), "{format}: {said}");
        assert!(said.contains("[masked "), "{format}: {said}");
        let raw = stdout(&mut home.il(&["export", format, loop_id, "--raw"]));
        assert!(raw.contains(secret), "{format}: {raw}");
    }
    let raw = stdout(&mut home.il(&["export", "codeloops", loop_id, "--raw"]));
    assert_eq!(raw, text);
    succeed(&mut home.il(&["export", "intendant", log_id, "-o", "masked"]));
    let masked = &read_dir(&home.path("masked"))["conversation.jsonl"];
    let masked = String::from_utf8_lossy(masked);
    assert!(!masked.contains(secret) && !masked.contains("MIIE"), "{masked}");
    let message: Value = serde_json::from_str(masked.trim_end()).expect("JSON still");
    assert_eq!(message["role"], "user");
    succeed(&mut home.il(&["export", "intendant", log_id, "-o", "raw", "--raw"]));
    assert!(read_dir(&home.path("raw")) == files);
}

/// An import that was killed half-way is done again, not taken for done.
#[test]
fn an_import_that_was_cut_short_is_done_again() {
    let home = Home::new();
    home.import(&of("codeloops/max_iterations.jsonl"));
    let whole = Store::open(&home.path("home"), Access::Write).expect("a store");
    let entry = whole.entries().expect("entries").next().expect("a session");
    let half = Home::new();
    let store = Store::open(&half.path("home"), Access::Write).expect("a store");
    let new = intentloop::store::NewSession {
        id: entry.id,
        start_us: entry.start_us,
        label: entry.label,
        meta: b"{}",
    };
    drop(store.begin(&new).expect("a session"));
    drop(store);
    let said = half.import(&of("codeloops/max_iterations.jsonl"));
    assert!(said.starts_with("Imported 1 session (1 codeloops)"), "{said}");
    assert_eq!(half.list(&[]), home.list(&[]));
}
