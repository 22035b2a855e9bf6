//! `il export` and `il import` of terminal recordings, beside the programs whose formats they are:
//! asciinema writes what it reads of ours again, scriptreplay plays it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::util::{Home, Term, output_of};
use serde_json::Value;

/// asciinema 3, which the tests' set-up installs.
fn asciinema() -> PathBuf {
    let tools = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../tools/bin/asciinema");
    assert!(tools.exists(), "{} is missing: run .ci/setup", tools.display());
    tools
}

/// A script with all that a recording can hold: colours, two-cell characters, one that is cut in
/// two, bytes that are no text, a new window size, a key, an exit status.
const SCRIPT: &str = r#"printf 'plain\n\033[1;31mred\033[m 世界 "quoted" \\ \177\n'
printf '\344\270'; sleep 0.05; printf '\226 \377\n'
while sleep 0.02; do case $(stty size) in "20 90") break; esac; done
echo resized; read -r key; echo "got $key"
exit 3"#;

fn recorded() -> Home {
    let home = Home::new();
    let mut term = Term::spawn(home.il_run(&["-n", "demo", "sh", "-c", SCRIPT]));
    term.expect("plain");
    term.resize(90, 20);
    term.expect("resized");
    term.line("k");
    term.finish();
    home
}

fn ok(mut command: Command) -> Vec<u8> {
    command.stdin(std::process::Stdio::null());
    let said = format!("{command:?}");
    let output = output_of(command).expect("the program can be started");
    assert!(output.status.success(), "{said}: {}", output.stderr.escape_ascii());
    output.stdout
}

fn convert(home: &Home, format: &str, from: &str, to: &str) {
    let mut command = home.command(asciinema().to_str().expect("a path"));
    command.args(["convert", "--overwrite", "-f", format, from, to]);
    ok(command);
}

#[test]
fn asciinema_writes_our_casts_again_byte_for_byte() {
    let home = recorded();
    for (ours, format) in [("cast", "asciicast-v3"), ("cast2", "asciicast-v2")] {
        for input in [&[][..], &["--input"]] {
            let words = [&["export", ours, "-o", "ours"][..], input].concat();
            home.il(&words);
            convert(&home, format, "ours", "theirs");
            let (a, b) = (home.read("ours"), home.read("theirs"));
            assert_eq!(a.escape_ascii().to_string(), b.escape_ascii().to_string(), "{ours}");
            let text = String::from_utf8(a).expect("a cast is text");
            assert_eq!(text.contains(r#", "i", "k"#), !input.is_empty(), "{text}");
            assert!(text.contains(r#", "r", "90x20"]"#), "{text}");
            assert!(text.trim_end().ends_with(r#", "x", "3"]"#), "{text}");
        }
    }
}

#[test]
fn asciinema_shows_the_text_that_il_shows() {
    let home = recorded();
    home.il(&["export", "cast", "-o", "ours.cast"]);
    convert(&home, "txt", "ours.cast", "theirs.txt");
    let theirs = String::from_utf8(home.read("theirs.txt")).expect("text");
    let ours = String::from_utf8(home.il(&["export", "txt"])).expect("text");
    // DEL shows nothing; asciinema writes it down.
    let theirs = theirs.replace(" \u{7f}", "");
    assert_eq!(ours.trim_end(), theirs.trim_end());
}

#[test]
fn scriptreplay_prints_what_the_command_printed() {
    let home = recorded();
    home.il(&["export", "script", "-o", "pair", "--input"]);
    for stream in ["out", "in"] {
        let mut replay = home.command("scriptreplay");
        let file = if stream == "out" { "pair/typescript" } else { "pair/input" };
        replay.args(["--log-timing", "pair/timing", &format!("--log-{stream}"), file]);
        replay.args(["--stream", stream, "--divisor", "1000", "--cr-mode", "never"]);
        let played = ok(replay);
        let recorded = home.dump(if stream == "out" { "stdout" } else { "stdin" });
        let played = played.strip_suffix(b"\n").unwrap_or(&played);
        assert_eq!(played.escape_ascii().to_string(), recorded.escape_ascii().to_string());
    }
}

#[test]
fn recordings_of_script_and_asciinema_come_in_whole() {
    let home = Home::new();
    let mut script = home.command("script");
    script.args([
        "-q",
        "-e",
        "-T",
        "t.timing",
        "-O",
        "t.out",
        "-c",
        "printf 'a\\nb'; sleep 0.1; echo c",
    ]);
    ok(script);
    let said = String::from_utf8(home.il(&["import", "t.out", "t.timing"])).expect("text");
    assert!(said.starts_with("Imported 1 session (1 script)"), "{said}");
    assert_eq!(home.dump("stdout"), b"a\r\nbc\r\n");
    assert_eq!(home.show()["exit_code"], 0);

    let home = Home::new();
    let mut rec = home.command(asciinema().to_str().expect("a path"));
    let size = "--window-size=90x10";
    rec.args(["rec", "-q", "--headless", size, "-c", "printf 'x\\ny'", "r.cast"]);
    ok(rec);
    home.il(&["import", "r.cast"]);
    assert_eq!(home.dump("stdout"), b"x\r\ny");
    let show = home.show();
    assert_eq!(show["terminal"]["cols"], 90);
    assert_eq!(show["argv"], serde_json::json!(["printf", "x\\ny"]));

    // What went in comes out, but for what only asciinema knows of its own environment.
    home.il(&["export", "cast", "-o", "again.cast"]);
    let lines = |name: &str| {
        let text = String::from_utf8(home.read(name)).expect("a cast is text");
        let (head, events) = text.split_once('\n').expect("lines");
        let head: Value = serde_json::from_str(head).expect("JSON");
        (head["command"].clone(), head["timestamp"].clone(), events.to_owned())
    };
    assert_eq!(lines("again.cast"), lines("r.cast"));
}

#[test]
fn every_version_of_a_cast_comes_in_and_torn_ones_too() {
    let home = Home::new();
    for (name, cast, output, said) in [
        (
            "v1.json",
            "{\"version\":1,\"width\":80,\"height\":24,\"duration\":1.5,\"command\":\"/bin/zsh\",\
             \"title\":\"\",\"env\":{},\"stdout\":[[0.25,\"one\"],[1.25,\"\\u001b[1mtwo\"]]}",
            "one\x1b[1mtwo",
            "Imported 1 session (1 asciicast)",
        ),
        (
            "v2.cast",
            "{\"version\":2,\"width\":80,\"height\":24,\"timestamp\":1700000000}\n\
             [0.1,\"o\",\"a\"]\n[0.2,\"i\",\"k\"]\n[0.3,\"m\",\"here\"]\n[0.4,\"o\",\"b\"]\n",
            "ab",
            "Imported 1 session (1 asciicast)",
        ),
        (
            "v3.cast",
            "{\"version\":3,\"term\":{\"cols\":80,\"rows\":24},\"timestamp\":1700000001}\n\
             # a note\n[0.1, \"o\", \"a\"]\n[0.2, \"r\", \"81x25\"]\n[0.4, \"o\", \"b\"]\n[0.1, \"o\", \"to",
            "ab",
            "1 place could not be understood",
        ),
    ] {
        home.write(name, cast);
        let text = String::from_utf8(home.il(&["import", name])).expect("text");
        assert!(text.contains(said), "{name}: {text}");
        let ids = home.list().into_iter().map(|s| s["id"].as_str().expect("an id").to_owned());
        let from = |id: &String| String::from_utf8(home.il(&["show", id])).expect("text");
        let id = ids.into_iter().find(|id| from(id).contains(name)).expect("the session");
        assert_eq!(String::from_utf8_lossy(&home.il(&["dump", "stdout", &id])), output, "{name}");
        let again = String::from_utf8(home.il(&["import", name])).expect("text");
        assert!(again.contains("1 session was here already"), "{name}: {again}");
    }
}

#[test]
fn what_came_without_a_time_has_a_short_id_of_its_own() {
    let home = Home::new();
    for (name, text) in [("one.cast", "one"), ("two.cast", "two")] {
        let cast =
            format!("{{\"version\":2,\"width\":80,\"height\":24}}\n[0.1,\"o\",\"{text}\"]\n");
        home.write(name, cast);
        home.il(&["import", name]);
    }
    let ids = home.list().into_iter().map(|s| s["short_id"].as_str().expect("an id").to_owned());
    let ids: Vec<String> = ids.collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");
}

#[test]
fn secrets_stay_behind_unless_asked_for() {
    const SECRET: &str = "sk-ant-api03-abcdef0123456789";
    let home = Home::new();
    let script = format!(
        "printf '\\033[32m'; for c in sk-ant- api03-abc def0123456789; do \
                          printf %s $c; sleep 0.02; done; echo; echo {SECRET} >&2"
    );
    Term::spawn(home.il_run(&["-n", SECRET, "sh", "-c", &script])).finish();
    for format in ["cast", "cast2", "html", "svg", "txt"] {
        let masked = String::from_utf8(home.il(&["export", format])).expect("text");
        assert!(!masked.contains("abcdef0123456789"), "{format}: {masked}");
        let raw = String::from_utf8(home.il(&["export", format, "--raw"])).expect("text");
        assert!(raw.contains(SECRET), "{format}: {raw}");
    }
    home.il(&["export", "script", "-o", "pair"]);
    let typescript = fs::read_to_string(home.work("pair/typescript")).expect("a typescript");
    assert!(!typescript.contains("abcdef0123456789"), "{typescript}");
}

#[test]
fn what_has_no_terminal_or_no_such_time_is_refused() {
    let home = Home::new();
    ok(home.il_run(&["true"]));
    for (words, status, said) in [
        (&["export", "cast", "--at", "+1s"][..], 2, "--at goes with svg alone"),
        (&["export", "svg", "--at", "noon"], 2, "\"noon\" is not a time"),
        (&["export", "svg", "--at", "turn:9"], 1, "there is no turn 9"),
        (&["export", "script"], 2, "script is a directory of files"),
    ] {
        let output = home.il_output(words);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{words:?}: {error}");
        assert!(error.contains(said), "{words:?}: {error}");
    }
}

#[test]
fn lines_of_a_command_without_a_terminal_begin_at_the_left() {
    let home = Home::new();
    ok(home.il_run(&["printf", "a\\nb\\n"]));
    let cast = String::from_utf8(home.il(&["export", "cast"])).expect("a cast");
    assert!(cast.contains(r#""a\r\nb\r\n""#), "{cast}");
    assert_eq!(home.il(&["export", "txt"]), b"a\nb\n");
}
