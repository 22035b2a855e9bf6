//! `il why`: which sessions changed a file, in real repositories.

use intentloop::format::line;

use crate::diff::{BEGUN, Repository};
use crate::house::said;
use crate::plain::{run, stdout, succeed};

/// Records a script in the repository, after all that was changed before it.
fn record(repository: &Repository, options: &[&str], script: &str) {
    // What is changed within a tick of the file clock counts as changed by the command.
    std::thread::sleep(std::time::Duration::from_millis(20));
    let script = format!("{BEGUN} {script}");
    let words = [&["run", "-q"], options, &["sh", "-c", &script]].concat();
    succeed(&mut repository.il(&words));
    // The state after is taken before something else changes it.
    succeed(&mut repository.il(&["diff"]));
}

fn changed() -> Repository {
    let repository = Repository::new();
    record(&repository, &["--intent", "auth-1", "-n", "Tidy\tup"], "echo a >> kept");
    record(&repository, &["-n", "More"], "seq 3 > src/more; sed -i 1d src/numbers");
    record(&repository, &["--intent", "clean-2"], "rm kept; printf 'c\\0d' > binary");
    record(&repository, &[], "echo last > last");
    repository
}

/// What is said of a file from the column CHANGE on, newest first.
fn check(repository: &Repository, words: &[&str], expected: &[&str]) {
    let text = stdout(&mut repository.il(&[&["why"], words].concat()));
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("ID\tSTARTED\tAGENT\tCHANGE\tPLUS\tMINUS\tWHY"));
    let cells = |line: &str| line.splitn(4, '\t').nth(3).expect("cells").replace('\t', " | ");
    assert_eq!(lines.map(cells).collect::<Vec<_>>(), expected, "{words:?}");
}

#[test]
fn the_sessions_that_changed_a_file_are_listed_with_their_reason() {
    let repository = changed();
    let removed = "delete | 0 | 2 | clean-2";
    let tidied = "modify | 1 | 0 | auth-1: Tidy up";
    check(&repository, &["kept"], &[removed, tidied]);
    check(&repository, &["-l", "1", "./src/../kept"], &[removed]);
    check(&repository, &["src/more"], &["create | 3 | 0 | More"]);
    check(&repository, &["src"], &["2 files | 3 | 1 | More"]);
    check(&repository, &["binary"], &[&removed.replace("delete | 0 | 2", "modify | - | -")]);
    let command = ["sh".into(), "-c".into(), format!("{BEGUN} echo last > last").into()];
    check(&repository, &["last"], &[&format!("create | 1 | 0 | {}", line::words(&command))]);
    let root = repository.root();
    check(&repository, &[root.join("kept").to_str().expect("text")], &[removed, tidied]);

    let from_within = stdout(repository.il(&["why", "../kept"]).current_dir(root.join("src")));
    assert_eq!(from_within, stdout(&mut repository.il(&["why", "kept"])));
}

#[test]
fn programs_get_every_file_and_number() {
    let repository = changed();
    let text = stdout(&mut repository.il(&["why", "--json", "src"]));
    let value: serde_json::Value = serde_json::from_str(&text).expect("one object");
    assert_eq!(
        (&value["plus"], &value["minus"], &value["name"]),
        (&3.into(), &1.into(), &"More".into())
    );
    assert_eq!(
        value["files"],
        serde_json::json!([
            {"path": "src/more", "op": "create", "plus": 3, "minus": 0},
            {"path": "src/numbers", "op": "modify", "plus": 0, "minus": 1},
        ])
    );
    let text = stdout(&mut repository.il(&["why", "--json", "kept"]));
    let oldest = text.lines().last().expect("a session");
    let oldest: serde_json::Value = serde_json::from_str(oldest).expect("an object");
    assert_eq!(oldest["intent"], serde_json::json!({"id": "auth-1"}));
}

#[test]
fn a_file_that_no_session_changed_is_not_found() {
    let repository = changed();
    for words in [&["why", "gone"][..], &["why", "kep"], &["why", "--json", "nothing"]] {
        let (code, out, err) = said(&run(&mut repository.il(words)));
        let name = words.last().expect("a name");
        let start = format!("il why: no session changed {name}\nhint: 'il list --file {name}' ");
        assert!(code == Some(1) && out.is_empty() && err.starts_with(&start), "{code:?} {err}");
    }
}
