//! What is added to a session from outside its recorder, and following a session's events.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::thread;

use serde_json::Value;

use crate::house::House;
use crate::plain::{run, stdout, succeed};

/// A recorded shell that runs the lines it is told, each to its end.
pub struct Shell {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Shell {
    pub fn new(house: &House, options: &[&str]) -> Shell {
        let words = [options, &["run", "--record-stdin", "sh"]].concat();
        let mut command = house.il(&words);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("il run");
        let said = BufReader::new(child.stdout.take().expect("its output"));
        let mut shell = Shell { child, said };
        shell.line("true");
        shell
    }

    /// Runs a line, and returns what it printed once it has ended.
    pub fn line(&mut self, line: &str) -> String {
        let stdin = self.child.stdin.as_mut().expect("its input");
        writeln!(stdin, "{line}\necho done").expect("a line");
        let mut said = String::new();
        while !said.ends_with("done\n") {
            let n = self.said.read_line(&mut said).expect("its output");
            assert!(n > 0, "the shell has gone after {said:?}");
        }
        said.truncate(said.len() - "done\n".len());
        said
    }

    /// Ends its input, and with it the shell.
    pub fn end(mut self) {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).expect("the rest");
        self.child.wait().expect("il run ends");
    }

    /// Kills the recorder.
    pub fn kill(mut self) {
        self.child.kill().expect("a kill");
        self.child.wait().expect("il run ends");
    }
}

pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// `kind text` of each event, in order; the numbers count up.
fn told(events: &[Value]) -> Vec<String> {
    for pair in events.windows(2) {
        assert!(pair[0]["seq"].as_u64() < pair[1]["seq"].as_u64(), "{pair:?}");
        assert!(pair[0]["mono_ns"].as_u64() <= pair[1]["mono_ns"].as_u64(), "{pair:?}");
    }
    let text = |event: &Value| event["text"].as_str().unwrap_or_default().to_owned();
    let words =
        events.iter().map(|e| format!("{} {}", e["kind"].as_str().expect("a kind"), text(e)));
    words.map(|words| words.trim_end().to_owned()).collect()
}

const ADDED: [&str; 5] =
    ["session_start", "marker from inside", "marker from outside", "deploy", "session_end"];

#[test]
fn what_others_add_stands_among_the_events() {
    let house = House::new();
    let mut shell = Shell::new(&house, &[]);
    let follow = || {
        let mut command = house.il(&["tail", "--json"]);
        command.stdout(Stdio::piped()).spawn().expect("il tail")
    };
    let sooner = follow();
    shell.line("il mark from inside");
    let later = follow();
    succeed(&mut house.il(&["mark", "from", "outside"]));
    shell.line(r#"il event deploy --data '{"to":{"host":"x"},"n":1}'"#);
    shell.end();

    for tail in [sooner, later] {
        let said = tail.wait_with_output().expect("il tail ends with the session").stdout;
        assert_eq!(told(&json_lines(&String::from_utf8(said).expect("UTF-8"))), ADDED);
    }
    let events = json_lines(&String::from_utf8(house.dump("events", "@1")).expect("UTF-8"));
    assert_eq!(told(&events), ADDED);
    assert_eq!((&events[1]["by"], &events[2]["by"]), (&"agent".into(), &"user".into()));
    assert_eq!((&events[3]["to"]["host"], &events[3]["n"]), (&"x".into(), &1.into()));
    assert!(events[1..4].iter().all(|event| event["src"] == "user"), "{events:?}");
    // The recording itself is what it would have been.
    assert_eq!(house.dump("stdout", "@1"), b"done\ndone\ndone\n");
    assert_eq!(house.ids().len(), 1, "no list shows where additions are kept");

    // To a session that has ended, too.
    succeed(&mut house.il(&["mark", "--session", "@1", "later"]));
    let json = stdout(&mut house.il(&["tail", "--json", "--only", "marker,nothing"]));
    let markers = json_lines(&json);
    assert_eq!(told(&markers), ["marker from inside", "marker from outside", "marker later"]);
    let text = stdout(&mut house.il(&["tail", "--only", "deploy"]));
    assert!(text.ends_with("  deploy             to={\"host\":\"x\"} n=1\n"), "{text}");

    // What belongs to a session goes with it.
    succeed(&mut house.il(&["rm", "@1"]));
    let verify = stdout(&mut house.il(&["verify"]));
    assert!(verify.contains("whole: 0 sessions"), "{verify}");
}

#[test]
fn additions_of_many_at_once_are_all_there() {
    const PROCESSES: usize = 4;
    const MARKS: usize = 8;
    let house = House::new();
    let shell = Shell::new(&house, &[]);
    thread::scope(|scope| {
        for process in 0..PROCESSES {
            let house = &house;
            scope.spawn(move || {
                for n in 0..MARKS {
                    succeed(&mut house.il(&["mark", &format!("{process}.{n}")]));
                }
            });
        }
    });
    // A recorder that is killed takes nothing of it along.
    shell.kill();
    let events = json_lines(&String::from_utf8(house.dump("events", "@1")).expect("UTF-8"));
    let mut marks: Vec<&str> = events.iter().filter_map(|event| event["text"].as_str()).collect();
    marks.sort_unstable();
    let mut expected: Vec<String> =
        (0..PROCESSES * MARKS).map(|n| format!("{}.{}", n / MARKS, n % MARKS)).collect();
    expected.sort();
    assert_eq!(marks, expected);
    let list = stdout(&mut house.il(&["list", "--json"]));
    assert_eq!(json_lines(&list)[0]["status"], "lost");
}

#[test]
fn a_session_is_never_guessed() {
    let house = House::new();
    house.record(&[], "true");
    let refused = |words: &[&str], status: i32, why: &str| {
        let output = run(&mut house.il(words));
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(status), "{words:?}: {said}");
        assert!(said.starts_with(why), "{words:?}: {said}");
    };
    refused(&["mark", "x"], 1, "il mark: no session is running\nhint: ");
    let (one, two) = (Shell::new(&house, &[]), Shell::new(&house, &[]));
    refused(&["mark", "x"], 2, "il mark: 2 sessions are running\nhint: ");
    refused(&["event", "x"], 2, "il event: 2 sessions are running\nhint: ");
    let mut elsewhere = house.il(&["mark", "x"]);
    let output = run(elsewhere.env("IL_SESSION", "019e6c0a-8f2b-7c31-9d43-0c9b6a1f2e77"));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    one.end();
    two.end();
}

/// `--home` before `run` holds for what runs inside.
#[test]
fn a_command_finds_the_store_it_is_recorded_in() {
    let house = House::new();
    let other = House::new();
    let home = other.dir();
    let mut shell = Shell::new(&house, &["--home", home.to_str().expect("UTF-8")]);
    shell.line("il mark here");
    shell.end();
    let markers = stdout(&mut other.il(&["tail", "--json", "--only", "marker"]));
    assert_eq!(told(&json_lines(&markers)), ["marker here"]);
    assert!(!house.file().exists(), "the other store was not touched");
}

/// Writes a transcript as Claude Code does, and works on until it is told to end.
const CLAUDE: &str = r#"#!/bin/sh
dir=$HOME/.claude/projects/$(pwd -P | sed 's/[^A-Za-z0-9]/-/g')
mkdir -p "$dir"
line() {
    printf '{"parentUuid":%s,"isSidechain":false,"type":"%s","message":%s,"uuid":"%s","timestamp":"%s","sessionId":"5b1c1f6e-0000-4000-8000-000000000001","cwd":"%s","version":"2.1.197"}\n' \
        "$1" "$2" "$3" "$4" "$(date -u +%Y-%m-%dT%H:%M:%S.000Z)" "$(pwd -P)" \
        >>"$dir/5b1c1f6e-0000-4000-8000-000000000001.jsonl"
}
line null user '{"role":"user","content":"Count the sheep"}' u1
line '"u1"' assistant '{"id":"msg_1","role":"assistant","model":"m","content":[{"type":"text","text":"There are two."}]}' a1
read end
"#;

/// What an agent is told and says is there while it works, and once.
#[test]
fn an_agent_is_followed_while_it_works() {
    use std::os::unix::fs::PermissionsExt;
    let house = House::new();
    let scratch = crate::plain::Scratch::new();
    let program = scratch.path().join("claude");
    std::fs::write(&program, CLAUDE).expect("a program");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&program, mode).expect("its mode");
    let mut command = house.il(&["run", "--record-stdin"]);
    command.arg(&program).env("HOME", scratch.path()).current_dir(scratch.path());
    let mut agent = command.stdin(Stdio::piped()).spawn().expect("il run");
    let running = || run(&mut house.il(&["list", "--status", "running"])).status.success();
    crate::util::wait_until("the session", || running().then_some(()));
    let mut tail = house.il(&["tail", "--json", "--only", "user_message,assistant_message"]);
    let mut tail = tail.stdout(Stdio::piped()).spawn().expect("il tail");
    let mut said = BufReader::new(tail.stdout.take().expect("its output"));
    let mut lines = String::new();
    while lines.lines().count() < 2 {
        assert!(said.read_line(&mut lines).expect("a line") > 0, "too soon at its end: {lines}");
    }
    // The agent is still at work.
    drop(agent.stdin.take());
    said.read_to_string(&mut lines).expect("the rest");
    tail.wait().expect("il tail ends");
    agent.wait().expect("il run ends");
    let texts = ["user_message Count the sheep", "assistant_message There are two."];
    assert_eq!(told(&json_lines(&lines)), texts);
}
