//! Transcripts are copied while an agent writes them, and told from what was recorded: agents here
//! are shell scripts that leave what the real ones leave.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rustix::process::{Pid, Signal};

use crate::util::{Home, Term, kill, wait_until};

/// What every agent of these tests begins with: `line FILE JSON` writes a line.
const PRELUDE: &str = r#"#!/bin/sh
cwd=$(pwd -P); enc=$(printf %s "$cwd" | sed 's/[^A-Za-z0-9]/-/g')
line() { mkdir -p "$(dirname "$1")"; printf '%s\n' "$2" >> "$1"; }
now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
claude() { # FILE-ID TYPE CONTENT UUID PARENT
  f="$HOME/.claude/projects/$enc/$1.jsonl"
  line "$f" "{\"type\":\"$2\",\"message\":{\"role\":\"$2\",\"id\":\"m$4\",\"model\":\"opus\",\"content\":$3,\"usage\":{\"input_tokens\":7,\"output_tokens\":3}},\"uuid\":\"$4\",\"parentUuid\":$5,\"timestamp\":\"$(now)\",\"sessionId\":\"$1\",\"cwd\":\"$cwd\",\"version\":\"2.1\",\"isSidechain\":false}"
}
"#;
const ID: &str = "7ba1e57d-1111-4222-8333-444455556666";

/// A home with a program `name` that does what the script says.
fn home_with(name: &str, script: &str) -> (Home, String) {
    let home = Home::new();
    let dir = home.work("bin");
    fs::create_dir_all(&dir).unwrap();
    let path = dir.join(name);
    fs::write(&path, format!("{PRELUDE}{script}")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (home, path)
}

fn run(home: &Home, argv: &[&str]) {
    let mut command = home.il_run(argv);
    command.env("HOME", home.work("home")).stdin(std::process::Stdio::null());
    assert!(command.status().expect("il runs").success(), "{argv:?}");
}

/// kind, text of each event of the conversation.
fn conversation(home: &Home) -> Vec<String> {
    let text = String::from_utf8(home.dump("conversation")).expect("text");
    let lines =
        text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect(line));
    lines
        .filter(|event| event["kind"] != "usage" && event["kind"] != "turn_end")
        .map(|event| {
            // The evidence of each holds its words.
            let at = format!(
                "{}:{}+{}",
                event["ref"]["stream"].as_str().unwrap(),
                event["ref"]["off"],
                event["ref"]["len"]
            );
            let span = home.il(&["dump", "span", &at]);
            let text = event["text"].as_str().unwrap_or_default();
            assert!(String::from_utf8_lossy(&span).contains(text), "{at} has not {text:?}");
            format!("{} {text}", event["kind"].as_str().unwrap())
        })
        .collect()
}

fn transcript(home: &Home) -> PathBuf {
    home.work("home/.claude/projects")
}

#[test]
fn a_transcript_is_kept_though_the_agent_removes_it() {
    let script = format!(
        r#"claude {ID} user '"Do it"' u1 null
sleep 1.5
claude {ID} assistant '[{{"type":"thinking","thinking":"hmm"}}]' a1 '"u1"'
claude {ID} assistant '[{{"type":"text","text":"Done."}}]' a2 '"a1"'
cp "$f" kept
rm -r "$HOME/.claude"
"#
    );
    let (home, agent) = home_with("claude", &script);
    run(&home, &[&agent, "-p", "Do it"]);
    assert!(!transcript(&home).exists());
    assert_eq!(home.dump("native/0"), home.read("kept"));
    assert_eq!(
        conversation(&home),
        ["user_message Do it", "thought hmm", "assistant_message Done."]
    );
    let derived = &home.show()["derived"];
    assert_eq!(derived["native_session"], ID);
    assert_eq!(
        [&derived["turns"], &derived["thoughts"], &derived["tokens_in"], &derived["tokens_out"]],
        [1, 1, 14, 6]
    );
    let found = home.il(&["show", "--json", ID]);
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&found).unwrap()["id"],
        home.show()["id"]
    );
}

#[test]
fn one_turn_is_shown_alone() {
    let script = format!(
        r#"claude {ID} user '"Do it"' u1 null
claude {ID} assistant '[{{"type":"text","text":"Done."}}]' a1 '"u1"'
claude {ID} user '"And that"' u2 '"a1"'
claude {ID} assistant '[{{"type":"thinking","thinking":"Well."}}]' a2 '"u2"'
claude {ID} assistant '[{{"type":"tool_use","id":"t","name":"Write","input":{{"file_path":"'"$cwd"'/src/a.rs"}}}}]' a3 '"a2"'
claude {ID} assistant '[{{"type":"text","text":"That too."}}]' a4 '"a3"'
"#
    );
    let (home, agent) = home_with("claude", &script);
    run(&home, &[&agent, "-p", "Do it"]);
    let shown = String::from_utf8(home.il(&["show", "--turn", "2"])).expect("text");
    let (head, words) = shown.split_once("\n\n").expect("a heading");
    assert!(head.starts_with("Turn: 2 of 2, 20") && !shown.contains("Done."), "{shown}");
    let words: Vec<&str> = words.lines().filter(|line| !line.contains(" (20")).collect();
    let expected = ["And that", "", "  [thought] Well.", "  [Write] src/a.rs", "That too."];
    assert_eq!(words, expected);
    let json = String::from_utf8(home.il(&["show", "--turn", "2", "--json"])).expect("text");
    let of_turn =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["turn"] == 2;
    assert!(json.lines().count() > 3 && json.lines().all(of_turn), "{json}");
    let none = home.il_output(&["show", "--turn", "3"]);
    let said = String::from_utf8_lossy(&none.stderr);
    assert!(none.status.code() == Some(1) && said.ends_with(": it has 2 turns\n"), "{said}");
}

#[test]
fn a_thought_that_is_kept_empty_is_what_the_screen_showed() {
    let empty = r#"'[{"type":"thinking","thinking":"","signature":"x"}]'"#;
    let script = format!(
        r#"claude {ID} user '"Do it"' u1 null
sleep 0.2
printf '\n  \033[2mThought for 3s\033[22m (ctrl+o to expand)\n\n'
claude {ID} assistant {empty} a1 '"u1"'
printf 'Done.\n'
claude {ID} assistant '[{{"type":"text","text":"Done."}}]' a2 '"a1"'
"#
    );
    let (home, agent) = home_with("claude", &script);
    run(&home, &[&agent, "-p", "Do it"]);
    assert_eq!(
        conversation(&home),
        ["user_message Do it", "thought Thought for 3s", "assistant_message Done."]
    );
    let thought = home.events().into_iter().find(|e| e["kind"] == "thought").expect("a thought");
    let of = |name: &str| thought[name].as_str().unwrap_or_default();
    assert_eq!((of("form"), of("src")), ("screen", "pty"));
    assert_eq!(
        (&thought["ref"]["stream"], &thought["signature_only"]),
        (&"stdout".into(), &true.into())
    );
    assert_eq!(thought["also"][0]["stream"], "native/0");
    assert_eq!(home.show()["derived"]["thoughts"], 1);
    let text = String::from_utf8(home.dump("thoughts")).expect("text");
    assert!(text.ends_with(", turn 1, from the screen]\nThought for 3s\n"), "{text}");
}

#[test]
fn a_resumed_session_has_only_what_is_new() {
    let (home, agent) =
        home_with("claude", &format!("claude {ID} user '\"More\"' u2 '\"a1\"'\nsleep 0.1\n"));
    let mut first = home.command("sh");
    let before =
        format!("{}claude {ID} user '\"Before\"' u1 null", PRELUDE.split_once('\n').unwrap().1);
    let status = first.env("HOME", home.work("home")).args(["-c", &before]).status().expect("sh");
    assert!(status.success());
    run(&home, &[&agent, "--resume", ID]);
    assert_eq!(conversation(&home), ["user_message More"]);
    assert!(String::from_utf8_lossy(&home.dump("native/0")).contains("Before"));
}

#[test]
fn a_killed_recorder_loses_nothing_that_was_written() {
    let script = format!("claude {ID} user '\"Do it\"' u1 null\necho $PPID > ppid\nsleep 60\n");
    let (home, agent) = home_with("claude", &script);
    let mut command = home.il_run(&[&agent, "-p", "Do it"]);
    command.env("HOME", home.work("home")).stdin(std::process::Stdio::null());
    let mut child = command.spawn().expect("il runs");
    home.pid("ppid");
    kill(Pid::from_child(&child), Signal::KILL);
    child.wait().expect("it has ended");
    wait_until("the transcript of a session that was lost", || {
        (home.status() == "lost" && conversation(&home) == ["user_message Do it"]).then_some(())
    });
}

#[test]
fn transcripts_that_fit_as_well_are_not_chosen_from() {
    let other = "8ba1e57d-1111-4222-8333-444455556666";
    let script =
        format!("claude {ID} user '\"this\"' u1 null\nclaude {other} user '\"that\"' u2 null\n");
    let (home, agent) = home_with("claude", &script);
    run(&home, &[&agent]);
    let derived = &home.show()["derived"];
    let mut rivals: Vec<&str> =
        derived["rivals"].as_array().expect("rivals").iter().map(|r| r.as_str().unwrap()).collect();
    rivals.sort_unstable();
    assert_eq!(rivals, [ID, other]);
    assert_eq!(conversation(&home), [""; 0]);
}

#[test]
fn a_file_that_is_rewritten_is_kept_as_it_was_and_as_it_is() {
    let script = r#"d="$HOME/.cline/data/sessions/1795218021015_0u1mf"; mkdir -p "$d"
m() { printf '[{"role":"user","content":[{"type":"text","text":"%s"}],"ts":%s}]' "$1" "$(date +%s)000" > "$d/1795218021015_0u1mf.messages.json"; }
m "first words"; sleep 2; m second
"#;
    let (home, agent) = home_with("cline", script);
    run(&home, &[&agent]);
    assert!(String::from_utf8_lossy(&home.dump("native/0")).contains("first words"));
    assert!(String::from_utf8_lossy(&home.dump("native/1")).contains("second"));
}

#[test]
fn an_agent_that_a_shell_starts_is_found() {
    let (home, agent) =
        home_with("claude", &format!("claude {ID} user '\"Do it\"' u1 null\nsleep 2.5\n"));
    run(&home, &["sh", "-c", &format!("{agent} -p 'Do it'; true")]);
    assert_eq!(conversation(&home), ["user_message Do it"]);
    assert_eq!(home.show()["derived"]["agent"], "claude");
}

/// A program of the user's own that starts `command`, where the agent keeps its things elsewhere.
fn wrapper(home: &Home, command: &str) -> String {
    let path = home.work("bin/wrapper");
    let script = format!("#!/bin/sh\nexport HOME=\"$HOME/other\"\n{command}\n:\n");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn an_agent_below_a_wrapper_is_found() {
    let script = format!("claude {ID} user '\"Do it\"' u1 null\nsleep 3\n");
    let (home, agent) = home_with("claude", &script);
    let wrapper = wrapper(&home, &format!("HOME=$HOME/other\n{agent} -p 'Do it'"));
    run(&home, &[&wrapper]);
    assert_eq!(conversation(&home), ["user_message Do it"]);
    let derived = &home.show()["derived"];
    assert_eq!(derived["agent"], "claude");
    let reasons = derived["reasons"].as_array().expect("reasons");
    assert!(reasons.contains(&"its prompt was typed".into()), "{reasons:?}");
}

/// What was there before, and what another run inside has, is not this one's.
#[test]
fn an_agent_of_a_run_inside_is_not_the_outer_ones() {
    let script = format!("claude {ID} user '\"Do it\"' u1 null\nsleep 3\n");
    let (home, agent) = home_with("claude", &script);
    let il = env!("CARGO_BIN_EXE_il");
    run(&home, &[&wrapper(&home, &format!("{il} run {agent} -p 'Do it'"))]);
    let mut agents: Vec<String> =
        home.list().iter().map(|s| s["agent"].as_str().unwrap_or("-").to_owned()).collect();
    agents.sort();
    assert_eq!(agents, ["-", "claude"]);
}

#[test]
fn reading_again_gives_the_same() {
    let (home, agent) = home_with("claude", &format!("claude {ID} user '\"Do it\"' u1 null\n"));
    run(&home, &[&agent]);
    let before = (home.dump("conversation"), home.dump("events"), home.dump("report"));
    fs::remove_dir_all(transcript(&home)).expect("a transcript");
    for how in [&["rederive"][..], &["rederive", "--all"], &["rederive", "@1"]] {
        home.il(how);
        let after = (home.dump("conversation"), home.dump("events"), home.dump("report"));
        assert_eq!(before, after);
    }
}

/// Two answers and the screen have a private key in pieces: nothing that leaves il shows one.
#[test]
fn a_secret_in_pieces_is_masked_as_a_whole() {
    let line = |n: u8| format!("MIIEpAIBAAKCAQEA{n}").repeat(3);
    let (first, second, last) = (line(1), line(2), "Q2tleQ==");
    let script = format!(
        r#"claude {ID} user '"Show it"' u1 null
claude {ID} assistant '[{{"type":"text","text":"-----BEGIN RSA PRIVATE KEY-----\n{first}"}}]' a1 '"u1"'
claude {ID} assistant '[{{"type":"text","text":"{second}\n{last}\n-----END RSA PRIVATE KEY-----\nDone."}}]' a2 '"a1"'
printf -- '-----BEGIN RSA PRIVATE KEY-----\n'; sleep 0.2
printf '\033[1m{first}\033[0m\n'; sleep 0.2
printf '{second}\n{last}\n'; sleep 0.2
printf -- '-----END RSA PRIVATE KEY-----\nThe end.\n'
"#
    );
    let (home, agent) = home_with("claude", &script);
    run(&home, &[&agent, "-p", "Show it"]);
    for (words, end) in [
        (&["dump", "chat"][..], "Done."),
        (&["dump", "report"], "Show it"),
        (&["export", "md"], "Done."),
        (&["export", "jsonl"], "Done."),
        (&["export", "html"], "The end."),
        (&["export", "txt"], "The end."),
        (&["export", "cast"], "The end."),
    ] {
        let raw = [words, &["--raw"]].concat();
        let text = String::from_utf8(home.il(words)).expect("text");
        let pieces = [&first[..], &second, last];
        let shown = pieces.iter().filter(|piece| text.contains(**piece)).count();
        assert_eq!(shown, 0, "{words:?}");
        assert!(text.contains(end), "{words:?}");
        let raw = String::from_utf8(home.il(&raw)).expect("text");
        assert!(words.contains(&"report") || raw.contains(&second), "{words:?}");
    }
}

#[test]
fn a_secret_is_found_and_taken_out_for_good() {
    let secret = format!("ghp_{}", "a1b2".repeat(9));
    let words = format!("use {secret} now");
    let script = format!("claude {ID} user '\"{words}\"' u1 null\necho {secret}\n");
    let (home, agent) = home_with("claude", &script);
    run(&home, &[&agent, "-p", &words]);
    let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
    assert!(holds(&home.store_bytes()));
    assert!(!holds(&home.dump("chat")) && holds(&home.il(&["dump", "--raw", "chat"])));
    let found = String::from_utf8(home.il(&["scan"])).expect("text");
    let spans: Vec<&str> = found.lines().skip(1).filter_map(|l| l.split('\t').nth(2)).collect();
    assert!(spans.iter().any(|s| s.starts_with("native/0:")), "{found}");
    assert!(spans.iter().any(|s| s.starts_with("stdout:0+")), "{found}");
    let before = (home.dump("native/0").len(), home.dump("stdout").len());
    let mut scrub = vec!["scrub", "@1"];
    spans.iter().for_each(|span| scrub.extend(["--span", span]));
    home.il(&scrub);
    assert_eq!((home.dump("native/0").len(), home.dump("stdout").len()), before);
    assert_eq!(home.il(&["scan"]), b"SESSION\tKIND\tSPAN\n");
    let blank = "x".repeat(secret.len());
    assert_eq!(conversation(&home), [format!("user_message use {blank} now")]);
    assert!(!holds(&home.store_bytes()));
    assert!(!holds(&home.il(&["show"])) && !holds(&home.il(&["list", "--json"])));
    assert_eq!(home.list().len(), 1);
    home.il(&["verify"]);
}

/// Of a program that keeps no transcript the answers are what its screen showed.
#[test]
fn what_any_program_answers_is_what_its_screen_showed() {
    let home = Home::new();
    let script = r#"printf '> '
while read -r line && [ "$line" != bye ]; do printf 'You said:\n%s!\n> ' "$line"; done"#;
    let mut term = Term::spawn(home.il_run(&["sh", "-c", script]));
    term.expect("> ");
    for line in ["hello", "so it is"] {
        term.send(format!("{line}\r"));
        term.expect(format!("{line}!\r\n> "));
    }
    term.send("bye\r");
    assert!(term.wait().success());
    let chat = String::from_utf8(home.dump("chat")).expect("text");
    let lines = chat.lines().map(|line| match line.split_once(" (20") {
        Some((who, rest)) => format!("{who}{}", rest.split_once(',').map_or("", |(_, note)| note)),
        None => line.to_owned(),
    });
    let seen = "Assistant: from the screen)";
    let expected = ["User:", "hello", "", seen, "You said:", "hello!", ""];
    let expected = expected.into_iter().chain(["User:", "so it is", "", seen, "You said:"]);
    let expected: Vec<&str> = expected.chain(["so it is!", "", "User:", "bye"]).collect();
    assert_eq!(lines.collect::<Vec<_>>(), expected);
    let answers = home.events_of("assistant_message");
    let evidence = |answer: &serde_json::Value| {
        let number = |name: &str| answer["ref"][name].as_u64().expect("a number") as usize;
        let stdout = home.dump("stdout");
        String::from_utf8_lossy(&stdout[number("off")..][..number("len")]).into_owned()
    };
    assert_eq!(answers.len(), 2);
    for (answer, said) in answers.iter().zip(["hello!", "so it is!"]) {
        assert_eq!((&answer["src"], &answer["conf"]), (&"pty".into(), &0.6.into()), "{answer}");
        assert!(evidence(answer).contains(said), "{answer}");
    }
}
