//! codeloops and Intendant recorded: what they kept themselves is part of the recording.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use super::intendant::read_dir;
use crate::house::House;
use crate::plain::{Scratch, root, run, stdout};

/// A user's home with programs in it.
struct Place {
    house: House,
    home: Scratch,
}

impl Place {
    fn new() -> Place {
        Place { house: House::new(), home: Scratch::new() }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join(name)
    }

    fn program(&self, name: &str, script: &str) {
        fs::write(self.path(name), format!("#!/bin/sh\n{script}")).expect("a program");
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path(name), mode).expect("its mode");
    }

    fn record(&self, words: &[&str]) -> Option<i32> {
        let mut command = self.house.il(&["run"]);
        command.args(words).env("HOME", self.home.path()).current_dir(self.home.path());
        run(&mut command).status.code()
    }

    fn newest(&self) -> Value {
        let list = stdout(&mut self.house.il(&["list", "-l", "1", "--json"]));
        serde_json::from_str(&list).expect("JSON")
    }
}

fn fixture(name: &str) -> String {
    fs::read_to_string(root().join("tests/import").join(name)).expect("a fixture")
}

/// The session as codeloops would have kept it of a run in `dir`.
fn of_run_in(dir: &Path, name: &str) -> String {
    let text = fixture(name);
    let at = text.find("\"working_dir\":\"").expect("a directory") + "\"working_dir\":\"".len();
    let end = at + text[at..].find('"').expect("its end");
    format!("{}{}{}", &text[..at], dir.display(), &text[end..])
}

#[test]
fn codeloops_is_recorded_with_its_iterations() {
    for (name, exit, status, rounds) in [
        ("documented.jsonl", 0, "succeeded", 3),
        ("max_iterations.jsonl", 1, "max_iterations_reached", 0),
        ("killed.jsonl", 7, "failed", 0),
    ] {
        let place = Place::new();
        let dir = fs::canonicalize(place.home.path()).expect("a directory");
        let kept = of_run_in(&dir, &format!("codeloops/{name}"));
        fs::write(place.path("kept"), &kept).expect("a file");
        // Another loop, elsewhere, at the same time.
        let other = of_run_in(Path::new("/elsewhere"), "codeloops/documented.jsonl");
        fs::write(place.path("other"), other).expect("a file");
        let sessions = ".local/share/codeloops/sessions";
        place.program(
            "codeloops",
            &format!("mkdir -p {sessions} && cp kept {sessions}/x.jsonl && cp other {sessions}/y.jsonl; echo working; exit {exit}"),
        );
        let program = place.path("codeloops");
        let words = [program.to_str().expect("UTF-8"), "run", "-p", "Fix it"];
        assert_eq!(place.record(&words), Some(exit), "{name}");
        let session = place.newest();
        assert_eq!(session["status"], status, "{name}: {session}");
        assert_eq!(session["exit_code"], exit, "{name}");
        assert!(session["command"].as_str().expect("a command").ends_with("run -p 'Fix it'"));
        let il = |words: &[&str]| stdout(&mut place.house.il(words));
        assert_eq!(il(&["dump", "stdout"]), "working\n");
        assert_eq!(il(&["dump", "native/0"]), kept, "{name}");
        assert_eq!(il(&["export", "codeloops", "--raw"]), kept, "{name}");
        let show = il(&["show"]);
        assert!(show.contains("\nLog: codeloops (") && show.contains("\nCommand: "), "{show}");
        if rounds > 0 {
            assert!(show.contains(&format!("\nIterations: {rounds}\n")), "{show}");
            assert!(show.contains("DECISION"), "{show}");
        }
    }
}

const LOG: &str = r#"{"event":"loop_started","prompt":"Fix it","working_dir":"/w","timestamp":"2025-01-27T15:30:45Z"}
{"event":"actor_started","iteration":0,"prompt_preview":"Fix","timestamp":"2025-01-27T15:30:46Z"}
{"event":"actor_completed","iteration":0,"exit_code":0,"duration_secs":1.5,"timestamp":"2025-01-27T15:30:48Z"}
{"event":"git_diff_captured","iteration":0,"files_changed":2,"insertions":3,"deletions":1,"timestamp":"2025-01-27T15:30:48Z"}
{"event":"critic_completed","iteration":0,"decision":"DONE (confidence: 95%)","timestamp":"2025-01-27T15:30:49Z"}
{"event":"loop_completed","iterations":1,"summary":"It is fixed","duration_secs":6.0,"timestamp":"2025-01-27T15:30:51Z"}
"#;

/// Whatever the command is called, and whether or not codeloops has kept a file.
#[test]
fn the_events_of_codeloops_on_stdout_are_enough() {
    let shell = ["sh", "-c", "cat log"];
    for words in [&["cat", "log"][..], &shell] {
        let place = Place::new();
        fs::write(place.path("log"), LOG).expect("a file");
        place.record(words);
        let show = stdout(&mut place.house.il(&["show"]));
        assert!(show.contains("\nIterations: 1\n") && show.contains(" done "), "{show}");
        let export = stdout(&mut place.house.il(&["export", "codeloops"]));
        let lines: Vec<Value> =
            export.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let kinds: Vec<&str> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
        assert_eq!(kinds, ["session_start", "iteration", "session_end"]);
        assert_eq!(lines[1]["git_files_changed"], 2);
    }

    let place = Place::new();
    // Other JSON is output like any other.
    fs::write(place.path("log"), "{\"event\":\"done\"}\n").expect("a file");
    place.record(&["cat", "log"]);
    let show = stdout(&mut place.house.il(&["show"]));
    assert!(!show.contains("Iterations") && !show.contains("Log:"), "{show}");
}

#[test]
fn intendant_is_recorded_with_its_log() {
    for named in [true, false] {
        let place = Place::new();
        let log = root().join("tests/import/intendant/documented");
        let to = if named { "log" } else { ".intendant/logs/0b7c6f1e" };
        let dir = fs::canonicalize(place.home.path()).expect("a directory");
        place.program(
            "intendant",
            &format!(
                "mkdir -p {to} && cp -r '{}/.' {to} && sed -i 's|/home/user/myproject|{}|' {to}/session_meta.json\necho at work",
                log.display(),
                dir.display()
            ),
        );
        let program = place.path("intendant");
        let program = program.to_str().expect("UTF-8");
        let words =
            if named { vec![program, "--log-file", "log"] } else { vec![program, "Fix it"] };
        assert_eq!(place.record(&words), Some(0));
        let session = place.newest();
        assert_eq!(session["prompt"], "Fix the session expiry", "{session}");
        let out = place.path("out");
        stdout(place.house.il(&["export", "intendant", "--raw", "-o"]).arg(&out));
        assert_eq!(read_dir(&out), read_dir(&place.path(to)), "byte for byte");
        assert_eq!(stdout(&mut place.house.il(&["dump", "stdout"])), "at work\n");
    }
}
