//! `il resume`: the agent here is a shell script that keeps its conversations as Claude Code does.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::util::{Home, Setup, Term, winsize};

const ID: &str = "7ba1e57d-1111-4222-8333-444455556666";

/// Begins conversation ID, or goes on with it where `--resume ID` finds its file.
const AGENT: &str = r#"#!/bin/sh
cwd=$(pwd -P); enc=$(printf %s "$cwd" | sed 's/[^A-Za-z0-9]/-/g')
file="$HOME/.claude/projects/$enc/7ba1e57d-1111-4222-8333-444455556666.jsonl"
say() { printf '{"type":"user","message":{"role":"user","content":"%s"},"uuid":"%s","parentUuid":%s,"timestamp":"%s","sessionId":"7ba1e57d-1111-4222-8333-444455556666","cwd":"%s","version":"2.1","isSidechain":false}\n' "$1" "$2" "$3" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$cwd" >> "$file"; }
echo "args=$* pwd=$PWD"
if [ "$1" = --resume ]; then
  [ -e "$file" ] || { echo "No conversation found with session ID: $2"; exit 1; }
  say "Go on" u2 '"u1"'
else
  mkdir -p "$(dirname "$file")"
  say "Begin" u1 null
fi
"#;

struct Project {
    home: Home,
    dir: PathBuf,
}

impl Project {
    /// A project in which the agent has had its first conversation, under il.
    fn begun() -> Project {
        let home = Home::new();
        let (bin, dir) = (home.work("bin"), home.work("first"));
        for path in [&bin, &dir] {
            fs::create_dir_all(path).unwrap();
        }
        fs::write(bin.join("claude"), AGENT).unwrap();
        fs::set_permissions(bin.join("claude"), fs::Permissions::from_mode(0o755)).unwrap();
        let project = Project { home, dir };
        let begun = project.il(&["run", "-q", "--intent", "it-7", "claude", "-p", "Begin"]);
        assert!(begun.status.success(), "{begun:?}");
        // What was recorded is read by a process of its own; show waits for that.
        assert_eq!(project.home.show()["derived"]["native_session"], ID);
        project
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home.command("il");
        let path = std::env::var("PATH").unwrap();
        let own = self.home.work("bin");
        command.args(args).current_dir(&self.dir).stdin(Stdio::null());
        command.env("PATH", format!("{}:{path}", own.display()));
        command.env("PWD", &self.dir);
        command
    }

    fn il(&self, args: &[&str]) -> Output {
        self.command(args).env("PATH", self.path()).output().expect("il runs")
    }

    fn path(&self) -> String {
        let (root, path) = (self.home.work("../bin"), std::env::var("PATH").unwrap());
        format!("{}:{}:{path}", self.home.work("bin").display(), root.display())
    }

    /// What a command that succeeds prints.
    fn text(&self, args: &[&str]) -> String {
        let output = self.il(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command that fails says.
    fn complaint(&self, args: &[&str]) -> String {
        let output = self.il(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// The transcript of a project in `dir`.
    fn transcript(&self, dir: &Path) -> PathBuf {
        let dash = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let dir = fs::canonicalize(dir).unwrap();
        let name: String = dir.to_str().unwrap().chars().map(dash).collect();
        let home = fs::canonicalize(self.home.work("../home")).unwrap();
        home.join(".claude/projects").join(name).join(format!("{ID}.jsonl"))
    }
}

#[test]
fn a_conversation_goes_on_where_it_was() {
    let project = Project::begun();
    let first = project.home.show()["id"].as_str().unwrap().to_owned();
    let plan = project.text(&["resume", "--dry-run"]);
    let dir = project.dir.display();
    assert_eq!(
        plan,
        format!(
            "Session: {first}\nNative session: {ID}\nDirectory: {dir}\nCommand: claude --resume {ID}\n"
        )
    );
    // From elsewhere, by the agent's own id.
    let mut elsewhere = project.command(&["resume", ID]);
    let output = elsewhere.env("PATH", project.path()).current_dir("/").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, format!("args=--resume {ID} pwd={dir}\n"));
    let line = format!("\nResumed from: {first}\n");
    assert!(project.text(&["show"]).contains(&line));
    let show = project.home.show();
    assert_eq!(
        [&show["resumed_from"], &show["intent"]["id"], &show["cwd"]],
        [first.as_str(), "it-7", &dir.to_string()]
    );
    let chat = String::from_utf8(project.home.dump("chat")).unwrap();
    assert!(chat.contains("Go on") && !chat.contains("Begin"), "{chat}");
}

#[test]
fn a_removed_transcript_is_put_back_first() {
    let project = Project::begun();
    let path = project.transcript(&project.dir);
    let before = fs::read(&path).unwrap();
    fs::remove_dir_all(project.home.work("../home/.claude")).unwrap();
    let plan = project.text(&["resume", "--dry-run"]);
    let line = format!("Put back: {} ({} bytes)\n", path.display(), before.len());
    assert!(plan.contains(&line), "{plan}");
    assert!(!path.exists(), "a plan writes nothing");
    project.text(&["resume"]);
    let after = fs::read(&path).unwrap();
    assert!(after.starts_with(&before) && after.len() > before.len());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_transcript_that_is_there_stays_as_it_is() {
    let project = Project::begun();
    let path = project.transcript(&project.dir);
    fs::write(&path, "the user's own\n").unwrap();
    assert!(!project.text(&["resume", "--dry-run"]).contains("Put back"));
    project.text(&["resume"]);
    assert!(fs::read_to_string(&path).unwrap().starts_with("the user's own\n"));
}

#[test]
fn a_project_that_has_moved_goes_on_where_it_is() {
    let mut project = Project::begun();
    let old = project.transcript(&project.dir);
    // What was said outside of il counts as well.
    let longer = [&fs::read(&old).unwrap()[..], b"{}\n"].concat();
    fs::write(&old, &longer).unwrap();
    let new = project.home.work("second");
    fs::rename(&project.dir, &new).unwrap();
    project.dir = new;
    let complaint = project.complaint(&["resume"]);
    assert!(complaint.starts_with("il resume: cannot go on in "), "{complaint}");
    assert!(complaint.contains("--here' in its new directory"), "{complaint}");
    let text = project.text(&["resume", "--here", "@1"]);
    assert_eq!(text, format!("args=--resume {ID} pwd={}\n", project.dir.display()));
    let moved = fs::read(project.transcript(&project.dir)).unwrap();
    assert!(moved.starts_with(&longer) && moved.len() > longer.len());
    assert_eq!(fs::read(&old).unwrap(), longer, "the old one is left alone");
}

#[test]
fn the_last_conversation_of_this_repository_is_found() {
    let project = Project::begun();
    project.text(&["run", "-q", "true"]);
    let complaint = project.complaint(&["resume"]);
    assert!(complaint.contains("no agent that il knows worked in it"), "{complaint}");
    assert!(project.text(&["resume", "--here", "--dry-run"]).contains(ID));
    let mut elsewhere = project.command(&["resume", "--here"]);
    let output = elsewhere.env("PATH", project.path()).current_dir("/").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn one_is_chosen_from_those_that_can_be_gone_on_with() {
    let project = Project::begun();
    project.text(&["run", "-q", "true"]);
    for words in [&["resume", "-p", "--dry-run"][..], &["resume", "--here", "-p", "--dry-run"]] {
        let setup = Setup { winsize: winsize(120, 20), ..Setup::default() };
        let mut command = project.command(words);
        command.env("PATH", project.path());
        let mut term = Term::spawn_with(command, &setup);
        term.expect(" 1/1");
        // How the conversation began.
        term.expect("\u{2502} Turns: 1");
        term.expect("\u{2502} Begin");
        term.send("\r");
        term.expect(format!("Command: claude --resume {ID}"));
        assert!(term.finish().status.success(), "{words:?}");
    }
}
