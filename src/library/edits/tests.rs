//! Calls as agents make them, and the diffs that they come to.

use super::*;
use crate::agent::tool;
use crate::event::{Source, ToolResult};
use crate::json::parse;

/// One call a line, `name args`, all of turn 1 and all of them having worked; the diff.
fn edits(calls: &str) -> Edits {
    let mut events = Vec::new();
    for (n, line) in calls.lines().map(str::trim).enumerate() {
        let id = n.to_string();
        let (name, args) = line.split_once(' ').expect(line);
        let (name, ok) = match name.strip_suffix('!') {
            Some(name) => (name, Some(false)),
            None => (name, Some(true)),
        };
        let args = parse(args.as_bytes()).expect(args);
        let call = Event::new(Source::Transcript, tool::call(Some(&id), name, args));
        let result = ToolResult { call_id: Some(id), ok, ..ToolResult::default() };
        events.extend([call, Event::new(Source::Transcript, result)]);
    }
    events.iter_mut().for_each(|event| event.turn = Some(1));
    let edits = Edits::of_turn(&events, 1, Path::new("/r/sub"), Path::new("/r"));
    assert!(Edits::of_turn(&events, 2, Path::new("/r"), Path::new("/r")).is_none());
    edits.expect("a turn")
}

fn check(calls: &str, expected: &[&str]) {
    let edits = edits(calls);
    assert_eq!(edits.diff.lines().collect::<Vec<_>>(), expected, "{calls}");
}

#[test]
fn replaced_text_is_a_hunk_without_numbers() {
    let expected = [
        "diff --git a/a.rs b/a.rs",
        "--- a/a.rs",
        "+++ b/a.rs",
        "@@ @@",
        " fn f() {",
        "-    1",
        "+    2",
        " }",
    ];
    let (old, new) = (r"fn f() {\n    1\n}\n", r"fn f() {\n    2\n}\n");
    for names in ["file_path old_string new_string", "filePath oldString newString"] {
        let names: Vec<&str> = names.split(' ').collect();
        let [path, from, to] = names[..] else { panic!("{names:?}") };
        let args = format!(r#"{{"{path}":"/r/a.rs","{from}":"{old}","{to}":"{new}"}}"#);
        check(&format!("Edit {args}"), &expected);
    }
    check(&format!(r#"edit {{"path":"../a.rs","old_str":"{old}","new_str":"{new}"}}"#), &expected);
    let pair = format!(r#"{{"old":"{old}","new":"{new}"}}"#);
    check(&format!(r#"StrReplaceFile {{"path":"/r/a.rs","edit":{pair}}}"#), &expected);
    check(&format!(r#"mcp__fs__edit {{"path":"/r/a.rs","edits":[{pair}]}}"#), &expected);
    let twice = edits(&format!(r#"MultiEdit {{"file_path":"/r/a.rs","edits":[{pair},{pair}]}}"#));
    assert_eq!(twice.diff.matches("@@ @@").count(), 2);
    assert_eq!((twice.files[0].plus, twice.files[0].minus), (Some(2), Some(2)));
}

#[test]
fn only_what_worked_is_told() {
    let args = r#"{"file_path":"/r/a","old_string":"x","new_string":"y"}"#;
    check(&format!("Edit! {args}"), &[]);
    assert_eq!(edits(&format!("Edit {args}")).files.len(), 1);
    // Nobody answered: nobody knows.
    let call = tool::call(Some("1"), "Edit", parse(args.as_bytes()).expect("JSON"));
    let event = Event { turn: Some(1), ..Event::new(Source::Transcript, call) };
    let edits = Edits::of_turn(&[event], 1, Path::new("/r"), Path::new("/r")).expect("a turn");
    assert_eq!(edits, Edits::default());
}

#[test]
fn a_file_that_the_turn_wrote_is_told_as_it_became() {
    check(
        r#"Write {"file_path":"/r/a","content":"one\ntwo\n"}
        Edit {"file_path":"/r/a","old_string":"two","new_string":"2"}"#,
        &[
            "diff --git a/a b/a",
            "--- a/a",
            "+++ b/a",
            "@@ @@ all of it, in place of what was there",
            "+one",
            "+2",
        ],
    );
    check(
        r#"Edit {"file_path":"/r/new","old_string":"","new_string":"only"}"#,
        &[
            "diff --git a/new b/new",
            "--- a/new",
            "+++ b/new",
            "@@ @@ all of it, in place of what was there",
            "+only",
            "\\ No newline at end of file",
        ],
    );
    check(
        r#"Edit {"file_path":"/r/a","old_string":"x","new_string":"y","replace_all":true}
        WriteFile {"path":"/r/a","content":"z\n","mode":"append"}"#,
        &[
            "diff --git a/a b/a",
            "--- a/a",
            "+++ b/a",
            "@@ @@ everywhere",
            "-x",
            "+y",
            "@@ @@ at the end",
            "+z",
        ],
    );
    check(
        r#"write_file {"path":"/elsewhere/a","content":"z\n","mode":"append"}"#,
        &[
            "diff --git a/elsewhere/a b/elsewhere/a",
            "--- a/elsewhere/a",
            "+++ b/elsewhere/a",
            "@@ @@ at the end",
            "+z",
        ],
    );
}

#[test]
fn a_patch_is_told_file_by_file() {
    let patch = r"*** Begin Patch\n*** Add File: new\n+one\n+two\n*** Update File: ../old\n@@ fn f\n a\n-b\n+c\n@@\n+d\n*** Delete File: gone\n*** Update File: from\n*** Move to: to\n@@\n-x\n+y\n*** End Patch\n";
    let expected = [
        "diff --git a/sub/new b/sub/new",
        "new file mode 100644",
        "--- /dev/null",
        "+++ b/sub/new",
        "@@ -0,0 +1,2 @@",
        "+one",
        "+two",
        "diff --git a/old b/old",
        "--- a/old",
        "+++ b/old",
        "@@ @@ fn f",
        " a",
        "-b",
        "+c",
        "@@ @@",
        "+d",
        "diff --git a/sub/gone b/sub/gone",
        "--- a/sub/gone",
        "+++ /dev/null",
        "diff --git a/sub/from b/sub/from",
        "--- a/sub/from",
        "+++ /dev/null",
        "diff --git a/sub/to b/sub/to",
        "--- a/sub/to",
        "+++ b/sub/to",
        "@@ @@",
        "-x",
        "+y",
    ];
    check(&format!(r#"apply_patch "{patch}""#), &expected);
    check(&format!(r#"apply_patch {{"input":"{patch}"}}"#), &expected);
    check(&format!(r#"shell {{"command":["apply_patch","{patch}"]}}"#), &expected);
    let here = format!(r#"shell {{"command":"apply_patch <<'EOF'\n{patch}EOF"}}"#);
    check(&here, &expected);
    let told = edits(&here);
    let ops: Vec<&str> = told.files.iter().map(|file| file.op.as_str()).collect();
    assert_eq!(ops, ["create", "modify", "delete", "delete", "modify"]);
    // Whatever a patch has in it.
    for broken in ["*** Begin Patch", "*** Begin Patch\\n+x\\n@@\\n*** Move to: a", "@@"] {
        edits(&format!(r#"apply_patch "{broken}""#));
    }
}

#[test]
fn what_is_not_told_is_named() {
    let told = edits(
        r#"Bash {"command":"sed -i s/a/b/ x"}
        Bash {"command":"make"}
        NotebookEdit {"notebook_path":"/r/n.ipynb","new_source":"x"}
        Read {"file_path":"/r/read"}"#,
    );
    assert_eq!((told.commands, told.untold), (2, vec!["n.ipynb".to_owned()]));
    assert_eq!(told.diff, "");
}

/// Events of one turn each, as `turn name args` a line.
fn session(calls: &str) -> Vec<Event> {
    let mut events = Vec::new();
    for (n, line) in calls.lines().map(str::trim).enumerate() {
        let id = n.to_string();
        let [turn, name, args] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let args = parse(args.as_bytes()).expect(args);
        let call = Event::new(Source::Transcript, tool::call(Some(&id), name, args));
        let result = ToolResult { call_id: Some(id), ok: Some(true), ..ToolResult::default() };
        for mut event in [call, Event::new(Source::Transcript, result)] {
            event.abandoned = turn.starts_with('-');
            event.turn = turn.trim_start_matches('-').parse().ok();
            events.push(event);
        }
    }
    events
}

#[test]
fn of_all_turns_what_is_left_of_them_is_told() {
    let events = session(
        r#"1 Write {"file_path":"/r/new","content":"a\nb\n"}
        -2 Write {"file_path":"/r/regretted","content":"x"}
        2 Edit {"file_path":"/r/new","old_string":"b","new_string":"c"}
        3 NotebookEdit {"notebook_path":"/r/n.ipynb","new_source":"x"}
        3 Bash {"command":"make"}"#,
    );
    let all = |events: &[Event]| Edits::of_all(events, Path::new("/r"), Path::new("/r"));
    let edits = all(&events).expect("changes");
    let tail: Vec<&str> = edits.diff.lines().skip(3).collect();
    assert_eq!(tail, ["@@ @@ all of it, in place of what was there", "+a", "+c"]);
    assert_eq!((edits.commands, edits.whole), (1, false));
    let changes = edits.changes();
    assert!(changes.told);
    assert_eq!((changes.files_count, changes.plus, changes.minus), (2, 2, 0));
    assert_eq!(
        changes.files[1],
        FileChange { path: "n.ipynb".into(), op: "modify".into(), ..FileChange::default() }
    );
    assert_eq!(all(&session(r#"1 Bash {"command":"make"}"#)), None);
    assert_eq!(all(&[]), None);
}

/// One file more than are named.
#[test]
fn files_are_counted_beyond_those_that_are_named() {
    for count in [NAMED_MAX, NAMED_MAX + 1] {
        let lines =
            (0..count).map(|n| format!(r#"1 Write {{"file_path":"/r/{n}","content":"x"}}"#));
        let events = session(&lines.collect::<Vec<_>>().join("\n"));
        let edits = Edits::of_all(&events, Path::new("/r"), Path::new("/r")).expect("changes");
        let changes = edits.changes();
        assert_eq!((changes.files_count, changes.files.len()), (count as u64, NAMED_MAX));
    }
}

#[test]
fn of_diffs_that_repeat_each_other_the_last_of_each_file_counts() {
    let diff = |names: &[(&str, &str)]| {
        let part = |(name, text): &(&str, &str)| {
            format!(
                "diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n+{text}"
            )
        };
        names.iter().map(part).collect::<Vec<_>>().join("\n")
    };
    let iteration = |n: u32, diff: &str, names: &[&str]| {
        let mut git = crate::event::Git { files_changed: Some(1), ..Default::default() };
        git.diff_ref =
            parse(format!("{{\"text\":{}}}", json_string(diff)).as_bytes()).expect("JSON");
        let mut events = vec![Event::new(Source::Transcript, git)];
        events.extend(names.iter().map(|path| {
            let change = crate::event::FileChange {
                path: (*path).to_owned(),
                plus: Some(n.into()),
                ..Default::default()
            };
            Event::new(Source::Transcript, change)
        }));
        events.iter_mut().for_each(|event| event.iter = Some(n));
        events
    };
    let mut events = iteration(1, &diff(&[("a", "1"), ("b", "1")]), &["a", "b"]);
    events.extend(iteration(2, &diff(&[("c", "2"), ("a", "diff --git")]), &["c", "a"]));
    events.extend(iteration(3, "", &[]));
    let edits = Edits::of_all(&events, Path::new("/r"), Path::new("/r")).expect("changes");
    let want = [("a", "diff --git"), ("b", "1"), ("c", "2")];
    assert_eq!(edits.diff, diff(&want) + "\n");
    assert!(edits.whole && edits.untold.is_empty());
    let files: Vec<_> = edits.files.iter().map(|file| (&file.path[..], file.plus)).collect();
    assert_eq!(files, [("a", Some(2)), ("b", Some(1)), ("c", Some(2))]);
    assert_eq!(Edits::of_all(&iteration(1, "", &[]), Path::new("/r"), Path::new("/r")), None);
}

fn json_string(text: &str) -> String {
    let mut out = String::new();
    crate::json::Value::from(text).write(&mut out);
    out
}
