//! `il diff`, and what it stands on: real repositories, changed by recorded commands.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::house::{House, said};
use crate::plain::{Scratch, program, root, run, stdout, succeed};
use crate::util::{Setup, Term, winsize};

/// In a script: waits until the state before has been taken.
pub const BEGUN: &str =
    "until ls $INTENTLOOP_HOME/git.*/begun >/dev/null 2>&1; do sleep 0.01; done;";

/// A repository with a commit, and a store beside it.
pub struct Repository {
    house: House,
    scratch: Scratch,
}

impl Repository {
    pub fn new() -> Repository {
        let repository = Repository { house: House::new(), scratch: Scratch::new() };
        repository.sh(
            "git init -q -b main . && git config user.name N && git config user.email e@x
            mkdir src && seq 20 > src/numbers && echo one > kept && echo two > gone
            echo '*.log' > .gitignore && printf 'a\\0b' > binary
            git add . && git commit -qm first",
        );
        repository
    }

    pub fn root(&self) -> PathBuf {
        self.scratch.path().to_owned()
    }

    fn here(&self, mut command: Command) -> Command {
        command.current_dir(self.root()).env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }

    fn sh(&self, script: &str) -> String {
        let mut sh = program("sh");
        sh.args(["-e", "-c", script]);
        stdout(&mut self.here(sh))
    }

    pub fn il(&self, words: &[&str]) -> Command {
        self.here(self.house.il(words))
    }

    /// Records a script that runs in the repository.
    fn record(&self, script: &str) {
        succeed(&mut self.il(&["run", "-q", "sh", "-e", "-c", script]));
    }

    /// What `il diff --stat` says: a line each file.
    fn stat(&self) -> Vec<String> {
        stdout(&mut self.il(&["diff", "--stat"])).lines().map(|l| l.trim().to_owned()).collect()
    }
}

#[test]
fn each_change_is_told_and_nothing_else() {
    let check = |before: &str, script: &str, expected: &[&str]| {
        let repository = Repository::new();
        repository.sh(before);
        // What is changed within a tick of the file clock counts as changed by the command.
        std::thread::sleep(std::time::Duration::from_millis(20));
        repository.record(&script.replace("$BEGUN", BEGUN));
        assert_eq!(repository.stat(), expected, "{before}: {script}");
    };
    check("", "true", &[]);
    check("echo x > new; echo y >> kept; git rm -q gone", "true", &[]);
    check("", "echo x > new", &["new | 1 +", "1 file changed, 1 insertion(+)"]);
    check("", "echo x > a.log", &[]);
    check("echo 1 > new", "$BEGUN echo 2 >> new", &["new | 1 +", "1 file changed, 1 insertion(+)"]);
    check(
        "echo 1 >> kept",
        "$BEGUN echo 2 >> kept; git add kept",
        &["kept | 1 +", "1 file changed, 1 insertion(+)"],
    );
    check(
        "",
        "rm gone; printf 'c\\0d' > binary",
        &["binary | binary", "gone   | 1 -", "2 files changed, 1 deletion(-)"],
    );
    check(
        "",
        "sed -i 's/^1$/one/; $d' src/numbers; mv kept 'with blank'",
        &[
            "kept        | 1 -",
            "src/numbers | 3 +--",
            "with blank  | 1 +",
            "3 files changed, 2 insertions(+), 3 deletions(-)",
        ],
    );
    check(
        "",
        "ln -s kept link; chmod +x gone; printf x > 'ü'",
        &["gone | 0", "link | 1 +", "ü    | 1 +", "3 files changed, 2 insertions(+)"],
    );
    check(
        "rm gone",
        "$BEGUN git checkout -q gone",
        &["gone | 1 +", "1 file changed, 1 insertion(+)"],
    );
    check(
        "seq 500 > long",
        "$BEGUN seq 1000 > long",
        &[
            "long | 500 ++++++++++++++++++++++++++++++++++++++++",
            "1 file changed, 500 insertions(+)",
        ],
    );
}

#[test]
fn a_command_that_changes_at_once_what_was_dirty_changes_no_more_than_that() {
    let check = |before: &str, script: &str, expected: &[&str]| {
        let repository = Repository::new();
        repository.sh(before);
        std::thread::sleep(std::time::Duration::from_millis(20));
        repository.record(script);
        assert_eq!(repository.stat(), expected, "{before}: {script}");
    };
    check("echo 1 > new", "echo 2 >> new", &["new | 1 +", "1 file changed, 1 insertion(+)"]);
    check("seq 9 >> kept", "echo 2 >> kept", &["kept | 1 +", "1 file changed, 1 insertion(+)"]);
    check(
        "seq 9 >> kept; git add kept",
        "echo 2 >> kept; git add kept",
        &["kept | 1 +", "1 file changed, 1 insertion(+)"],
    );
    check(
        "seq 9 >> kept",
        "git checkout -q kept",
        &["kept | 9 ---------", "1 file changed, 9 deletions(-)"],
    );
    check("rm gone", "git checkout -q gone", &["gone | 1 +", "1 file changed, 1 insertion(+)"]);
    check(
        "echo 1 > new; echo 1 > a.log; ln -s kept link",
        "rm new a.log link",
        &["link | 1 -", "new  | 1 -", "2 files changed, 2 deletions(-)"],
    );
    check("chmod +x kept", "chmod -x kept", &["kept | 0", "1 file changed"]);
}

#[test]
fn commits_made_meanwhile_are_named_and_their_changes_told() {
    let repository = Repository::new();
    repository.record(
        "echo x > new; git add new; git commit -qm 'Add new'; git commit -q --allow-empty -m Empty",
    );
    let ids = repository.sh("git log -2 --format=%H");
    let short: Vec<&str> = ids.lines().map(|id| &id[..10]).collect();
    assert_eq!(
        repository.stat(),
        [
            "new | 1 +".to_owned(),
            "1 file changed, 1 insertion(+)".to_owned(),
            format!("commit {} Empty", short[0]),
            format!("commit {} Add new", short[1]),
        ]
    );
    assert_eq!(
        stdout(&mut repository.il(&["diff"])),
        repository.sh("git diff-tree -p HEAD~2 HEAD")
    );
    assert_eq!(
        stdout(&mut repository.il(&["dump", "diff"])),
        repository.sh("git diff-tree -p HEAD~2 HEAD")
    );
}

/// Every file under `dir` with what stat(2) says of it, and its bytes.
fn state(dir: &Path) -> BTreeMap<PathBuf, (i64, i64, u64, u32, Vec<u8>)> {
    let mut files = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(at) = open.pop() {
        let meta = fs::symlink_metadata(&at).expect("a file");
        let bytes = if meta.is_file() { fs::read(&at).expect("its bytes") } else { Vec::new() };
        if meta.is_dir() {
            open.extend(fs::read_dir(&at).expect("a directory").map(|e| e.expect("a name").path()));
        }
        files.insert(at, (meta.mtime(), meta.mtime_nsec(), meta.ino(), meta.mode(), bytes));
    }
    files
}

#[test]
fn recording_leaves_the_repository_as_it_was_to_the_last_byte() {
    let repository = Repository::new();
    // Files that git will find racy, staged and unstaged changes, files nobody tracks.
    repository.sh("echo x >> kept; echo y > staged; git add staged; echo z > new; touch gone");
    let before = state(&repository.root());
    let status = repository.sh("GIT_OPTIONAL_LOCKS=0 git status --porcelain");
    assert_eq!(before, state(&repository.root()), "asking changes nothing");
    for _ in 0..3 {
        repository.record("true");
        assert_eq!(repository.stat(), [""; 0]);
    }
    assert_eq!(before, state(&repository.root()));
    assert_eq!(repository.sh("GIT_OPTIONAL_LOCKS=0 git status --porcelain"), status);
    let left: Vec<_> = fs::read_dir(repository.house.dir()).expect("the store").collect();
    assert_eq!(left.len(), 1, "nothing but the store: {left:?}");
}

/// git must not run what the repository or its user tells it to run for them.
#[test]
fn no_filter_and_no_hook_runs() {
    let repository = Repository::new();
    repository.sh(
        "echo '* filter=f diff=d' > .gitattributes; git add .gitattributes; git commit -qm attributes
        for name in filter.f.clean filter.f.smudge filter.f.process diff.d.textconv diff.d.command \
            core.fsmonitor; do git config $name 'touch ran; false'; done
        mkdir -p .git/hooks; for hook in post-index-change reference-transaction; do
            printf '#!/bin/sh\ntouch ran\n' > .git/hooks/$hook; chmod +x .git/hooks/$hook; done",
    );
    repository.record("echo more >> src/numbers");
    assert_eq!(repository.stat(), ["src/numbers | 1 +", "1 file changed, 1 insertion(+)"]);
    assert!(!repository.root().join("ran").exists());
}

#[test]
fn a_work_tree_and_a_repository_without_a_commit_are_looked_at_too() {
    let repository = Repository::new();
    repository.sh("git worktree add -q ../$(basename $PWD).tree -b other");
    let tree = repository.root().with_extension("tree");
    succeed(repository.il(&["run", "-q", "sh", "-c", "echo x > new"]).current_dir(&tree));
    assert_eq!(repository.stat(), ["new | 1 +", "1 file changed, 1 insertion(+)"]);
    fs::remove_dir_all(tree).expect("the work tree");

    let empty = Scratch::new();
    succeed(program("git").args(["init", "-q"]).current_dir(empty.path()));
    succeed(repository.il(&["run", "-q", "sh", "-c", "echo x > new"]).current_dir(empty.path()));
    assert_eq!(repository.stat(), ["new | 1 +", "1 file changed, 1 insertion(+)"]);
}

#[test]
fn what_is_too_large_is_left_out_and_said() {
    let repository = Repository::new();
    repository.record("head -c 9000000 /dev/zero > large; echo x > new");
    let output = succeed(&mut repository.il(&["diff", "--stat"]));
    assert_eq!(output.stdout, b" new | 1 +\n 1 file changed, 1 insertion(+)\n");
    assert_eq!(output.stderr, b"il diff: large is too large and was left out\n");
}

#[test]
fn where_nothing_is_known_it_says_why() {
    let repository = Repository::new();
    let check = |command: &mut Command, why: &str| {
        succeed(command);
        let (code, out, err) = said(&run(&mut repository.il(&["diff"])));
        assert_eq!((code, out.as_str()), (Some(1), ""));
        let short = repository.house.newest()[..13].to_owned();
        assert_eq!(err, format!("il diff: no changes of {short}: {why}\n"));
    };
    let bin = repository.scratch.path().join("bin");
    fs::create_dir(&bin).expect("a directory");
    std::os::unix::fs::symlink("/bin/true", bin.join("true")).expect("a link");
    check(repository.il(&["run", "-q", "true"]).env("PATH", &bin), "there is no git");
    check(
        repository.il(&["run", "-q", "true"]).current_dir("/"),
        "it did not begin in a repository",
    );
}

#[test]
fn a_person_sees_colours_through_the_pager_unless_they_are_not_wanted() {
    let repository = Repository::new();
    repository.record("printf 'evil \\033[2J\\n' >> kept; rm gone");
    succeed(&mut repository.il(&["diff"]));
    let seen = |words: &[&str], environment: &[(&str, &str)]| {
        let mut command = repository.il(words);
        command.envs(environment.iter().copied()).stdin(Stdio::null());
        let setup = Setup { winsize: winsize(40, 24), ..Setup::default() };
        Term::spawn_with(command, &setup).finish().text()
    };
    let cat = ("GIT_PAGER", "cat");
    let diff = seen(&["diff"], &[cat]);
    assert!(diff.contains("\x1b[32m+evil \u{fffd}[2J\x1b[m\r\n"), "{diff}");
    assert!(diff.contains("\x1b[1mdiff --git a/kept b/kept\x1b[m\r\n"), "{diff}");
    assert!(diff.contains("\x1b[31m-two\x1b[m\r\n"), "{diff}");
    let plain = seen(&["diff"], &[cat, ("NO_COLOR", "1")]);
    assert!(!plain.contains('\x1b') && plain.contains("+evil"), "{plain}");
    let paged = seen(&["diff"], &[("GIT_PAGER", "tr a-z A-Z"), ("NO_COLOR", "1")]);
    assert!(paged.contains("+EVIL"), "{paged}");
    let stat = seen(&["diff", "--stat"], &[cat]);
    assert!(stat.contains("kept | 1 \x1b[32m+\x1b[31m\x1b[m\r\n"), "{stat}");
}

#[test]
fn sessions_are_found_by_the_files_they_changed() {
    let repository = Repository::new();
    for script in ["echo x >> kept", "true", "rm src/numbers; echo y >> kept"] {
        repository.record(script);
        repository.stat();
    }
    let listed = |path: &str| {
        let text = stdout(&mut repository.il(&["list", "--file", path]));
        text.lines()
            .skip(1)
            .map(|l| l.rsplit('\t').next().expect("a cell").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        listed("kept"),
        ["sh -e -c 'rm src/numbers; echo y >> kept'", "sh -e -c 'echo x >> kept'"]
    );
    assert_eq!(listed("src"), ["sh -e -c 'rm src/numbers; echo y >> kept'"]);
}

/// A transcript of Claude Code with these messages, at work in `cwd`, in a home; the home.
pub fn claude(cwd: &Path, messages: &[(&str, Value)]) -> Scratch {
    let home = Scratch::new();
    let dir = home.path().join(".claude/projects/-home-me-shop");
    fs::create_dir_all(&dir).expect("a directory");
    let session = "0a0a0a0a-1111-4222-8333-444444444444";
    let mut text = String::new();
    for (n, (role, content)) in messages.iter().enumerate() {
        let parent = n.checked_sub(1).map(|n| format!("uuid-{n}"));
        let record = json!({
            "parentUuid": parent, "isSidechain": false, "type": role, "uuid": format!("uuid-{n}"),
            "message": {"role": role, "content": content, "id": format!("msg-{n}"), "model": "m"},
            "timestamp": format!("2026-11-20T10:00:{n:02}.000Z"), "promptSource": "typed",
            "cwd": cwd, "sessionId": session, "version": "2.1.197",
        });
        text.push_str(&format!("{record}\n"));
    }
    fs::write(dir.join(format!("{session}.jsonl")), text).expect("a transcript");
    home
}

/// A tool call and its result.
fn called(id: &str, name: &str, input: Value, failed: bool) -> [(&'static str, Value); 2] {
    [
        ("assistant", json!([{"type": "tool_use", "id": id, "name": name, "input": input}])),
        (
            "user",
            json!([{"type": "tool_result", "tool_use_id": id, "content": "x", "is_error": failed}]),
        ),
    ]
}

#[test]
fn a_turn_is_told_by_its_tool_calls() {
    let repository = Repository::new();
    let root = repository.root();
    let file = |name: &str| root.join(name).to_string_lossy().into_owned();
    let patch = "*** Begin Patch\n*** Add File: src/new\n+one\n+two\n*** End Patch";
    let edit = json!({"file_path": file("kept"), "old_string": "one", "new_string": "1"});
    let refused = json!({"file_path": file("gone"), "old_string": "two", "new_string": "2"});
    let mut messages = vec![("user", json!("Add it"))];
    messages.extend(called("t1", "apply_patch", json!({"input": patch}), false));
    messages.push(("user", json!("Change it")));
    messages.extend(called("t2", "Edit", edit, false));
    messages.extend(called("t3", "Edit", refused, true));
    messages.extend(called("t4", "Bash", json!({"command": "make"}), false));
    messages.push(("user", json!("Thanks")));
    let home = claude(&root, &messages);
    succeed(repository.il(&["import"]).arg(home.path()));

    let turn = |words: &[&str]| {
        let (code, out, err) = said(&run(&mut repository.il(&[&["diff"], words].concat())));
        (code.expect("a code"), out, err)
    };
    let (code, made, notes) = turn(&["--turn", "1"]);
    assert_eq!(
        (code, notes.as_str()),
        (0, "il diff: this is what the tool calls of turn 1 wrote\n")
    );
    // What is exact, git can apply.
    fs::write(root.join("made.patch"), made).expect("the diff");
    repository.sh("git apply made.patch && rm made.patch");
    assert_eq!(repository.sh("cat src/new"), "one\ntwo\n");

    assert_eq!(
        turn(&["--turn", "2"]),
        (
            0,
            "diff --git a/kept b/kept\n--- a/kept\n+++ b/kept\n@@ @@\n-one\n+1\n".to_owned(),
            "il diff: this is what the tool calls of turn 2 wrote\n\
             il diff: what its 1 command changed is not in it\n"
                .to_owned()
        )
    );
    assert_eq!(
        turn(&["--turn", "2", "--stat"]).1,
        " kept | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)\n"
    );
    assert_eq!(turn(&["--turn", "3"]).1, "");
    let short = repository.house.newest()[..13].to_owned();
    let missing = format!("il diff: no turn 4 of {short}: it has 3 turns\n");
    assert_eq!(turn(&["--turn", "4"]), (1, String::new(), missing));
    for number in ["0", "x"] {
        assert_eq!(turn(&["--turn", number]).0, 2);
    }
}

#[test]
fn an_iteration_has_the_diff_that_its_loop_took() {
    let repository = Repository::new();
    let path = root().join("tests/import/codeloops/program.jsonl");
    let text = fs::read_to_string(&path).expect("a session of codeloops");
    succeed(repository.il(&["import"]).arg(&path));
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mut count = 0;
    for record in records.filter(|record| record["type"] == "iteration") {
        count += 1;
        let words = ["diff", "--turn", &count.to_string()];
        let output = succeed(&mut repository.il(&words));
        let diff = record["git_diff"].as_str().expect("a diff");
        assert_eq!(String::from_utf8_lossy(&output.stdout), diff, "iteration {count}");
        assert_eq!(output.stderr, b"");
        let stat = stdout(&mut repository.il(&[&words[..], &["--stat"]].concat()));
        let files = record["git_files_changed"].as_u64().expect("a number");
        assert!(stat.contains(&format!(" {files} file")), "{stat}");
    }
    let number = (count + 1).to_string();
    let (code, out, err) = said(&run(&mut repository.il(&["diff", "--turn", &number])));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.ends_with(&format!(": it has {count} iterations\n")), "{err}");
}
