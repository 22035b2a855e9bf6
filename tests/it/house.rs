//! Keeping house, with the real program: checking, repairing, removing, measuring, backing up.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use intentloop::store::layout::Super;
use serde_json::Value;

use crate::plain::{Scratch, il, run, stdout, succeed};

/// Bytes of a page of the store's file.
const PAGE: usize = 16384;

/// A store of the test's own.
pub struct House(Scratch);

impl House {
    pub fn new() -> House {
        House(Scratch::new())
    }

    pub fn dir(&self) -> PathBuf {
        self.0.path().join("home")
    }

    pub fn file(&self) -> PathBuf {
        self.dir().join("store.il")
    }

    pub fn il(&self, words: &[&str]) -> Command {
        let mut command = il();
        command.env("INTENTLOOP_HOME", self.dir()).args(words).stdin(Stdio::null());
        command
    }

    /// Records a shell script; the session's id.
    pub fn record(&self, options: &[&str], script: &str) -> String {
        let words = [&["run"], options, &["sh", "-c", script]].concat();
        run(&mut self.il(&words));
        self.newest()
    }

    pub fn newest(&self) -> String {
        let json = stdout(&mut self.il(&["list", "-l", "1", "--json"]));
        let value: Value = serde_json::from_str(&json).expect("JSON");
        value["id"].as_str().expect("an id").to_owned()
    }

    /// The column of this heading, of all sessions, newest first.
    pub fn column(&self, words: &[&str], heading: &str) -> Vec<String> {
        let text = stdout(&mut self.il(words));
        let mut lines = text.lines();
        let headings = lines.next().expect("headings").split('\t');
        let at = headings.clone().position(|h| h == heading).expect("the heading");
        lines.map(|line| line.split('\t').nth(at).expect("a cell").to_owned()).collect()
    }

    pub fn ids(&self) -> Vec<String> {
        let text = stdout(&mut self.il(&["list", "--all", "--json"]));
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
            .map(|value| value["id"].as_str().expect("an id").to_owned())
            .collect()
    }

    pub fn dump(&self, stream: &str, id: &str) -> Vec<u8> {
        succeed(&mut self.il(&["dump", stream, id])).stdout
    }

    /// A session that runs until its input ends.
    pub fn running(&self) -> Running {
        let child = self
            .il(&["run", "sh", "-c", "echo here; cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("il");
        let mut running = Running(Some(child));
        let out = running.0.as_mut().and_then(|c| c.stdout.as_mut()).expect("its output");
        let mut first = [0; 5];
        std::io::Read::read_exact(out, &mut first).expect("the first line");
        running
    }

    /// Changes the store's bytes behind il's back.
    fn damage(&self, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = fs::read(self.file()).expect("the store");
        change(&mut bytes);
        fs::write(self.file(), &bytes).expect("the store");
        bytes
    }
}

/// A recording at work. Ends, and is waited for, when it is dropped.
pub struct Running(Option<Child>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

/// What il said: exit status, standard output, standard error.
pub fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn check(command: &mut Command, status: i32, out: &[&str], err: &[&str]) -> (String, String) {
    let (code, stdout, stderr) = said(&run(command));
    let all = |text: &str, parts: &[&str]| parts.iter().all(|part| text.contains(part));
    let fits = code == Some(status) && all(&stdout, out) && all(&stderr, err);
    assert!(fits && (!err.is_empty() || stderr.is_empty()), "{code:?}\n{stdout}---\n{stderr}");
    (stdout, stderr)
}

fn short(id: &str) -> &str {
    &id[..13]
}

/// A script whose output fills a few pages and looks different everywhere.
const LINES: &str = "seq 100000 130000";

#[test]
fn a_whole_store_is_called_whole_also_while_someone_records() {
    let house = House::new();
    check(&mut house.il(&["verify"]), 1, &[], &["il verify: no store at ", "\nhint: "]);
    house.record(&[], "echo one");
    let _running = house.running();
    check(&mut house.il(&["verify"]), 0, &["whole: 2 sessions, "], &[]);
    check(&mut house.il(&["verify", "--repair"]), 0, &["whole: 2 sessions, "], &[]);
    assert_eq!(fs::read_dir(house.dir()).expect("home").count(), 1);
}

#[test]
fn damage_is_named_by_session_time_and_bytes_and_nothing_is_written() {
    let house = House::new();
    let sound = house.record(&[], "echo sound");
    let hurt = house.record(&[], LINES);
    let bytes = house.damage(|bytes| flip(bytes, b"115000\n"));
    let (out, _) =
        check(&mut house.il(&["verify"]), 1, &[" bytes missing"], &["damaged", "--repair"]);
    assert!(out.starts_with(&format!("session {}: tape: +0.", short(&hurt))), "{out}");
    assert!(!out.contains(short(&sound)), "{out}");
    assert!(fs::read(house.file()).expect("the store") == bytes, "verify writes nothing");
}

/// Changes a bit of the first place that holds `text`.
fn flip(bytes: &mut [u8], text: &[u8]) {
    let at = bytes.windows(text.len()).position(|w| w == text).expect("the text");
    bytes[at] ^= 1;
}

#[test]
fn repair_saves_what_can_be_read_and_keeps_the_damaged_file() {
    let house = House::new();
    let sound = house.record(&["--name", "a name"], "echo sound; exit 3");
    let hurt = house.record(&[], LINES);
    let whole = house.dump("stdout", &hurt);
    let before = house.damage(|bytes| flip(bytes, b"115000\n"));
    let (out, _) = check(&mut house.il(&["verify", "--repair"]), 0, &["Repaired: 2 sessions"], &[]);
    let kept = out.lines().last().and_then(|l| l.strip_prefix("The damaged file is "));
    let kept = PathBuf::from(kept.expect("its name"));
    assert!(kept.display().to_string().contains("store.il.damaged-20"), "{}", kept.display());
    assert!(fs::read(&kept).expect("the damaged file") == before, "kept byte for byte");
    check(&mut house.il(&["verify"]), 0, &["whole: 2 sessions"], &[]);
    assert_eq!(house.ids(), [hurt.clone(), sound.clone()]);
    assert_eq!(house.dump("stdout", &sound), b"sound\n");
    let status = house.column(&["list"], "STATUS");
    assert_eq!(status, ["succeeded", "failed"]);
    // What is left is what was there, without a stretch in its middle.
    let rest = house.dump("stdout", &hurt);
    let head = rest.iter().zip(&whole).take_while(|(a, b)| a == b).count();
    assert!(rest.len() < whole.len() && rest.len() + PAGE >= whole.len(), "{}", rest.len());
    assert!(whole.ends_with(&rest[head..]), "the tail is there");

    house.damage(|bytes| flip(bytes, b"sound\n"));
    let (out, _) = check(&mut house.il(&["verify", "--repair"]), 0, &["Repaired: 2"], &[]);
    assert!(out.contains(&format!("{}.2\n", kept.display())), "a second file has a second name");
}

#[test]
fn repair_needs_neither_superblock_nor_catalog() {
    let house = House::new();
    let ids = [
        house.record(&["--tag", "x"], "echo first; exit 3"),
        house.record(&[], "kill -TERM $$"),
        house.record(&[], LINES),
    ];
    let meta: Vec<Vec<u8>> = ids.iter().map(|id| house.dump("meta", id)).collect();
    let lines = house.dump("stdout", &ids[2]);
    house.damage(|bytes| bytes[..34 * PAGE].fill(0xee));
    check(&mut house.il(&["list"]), 1, &[], &["il list: cannot open ", "il verify --repair"]);
    check(&mut house.il(&["verify"]), 1, &[], &["il verify: cannot open ", "--repair"]);
    check(
        &mut house.il(&["verify", "--repair"]),
        0,
        &["Repaired: 3 sessions, ", " 0 bytes missing"],
        &[],
    );
    check(&mut house.il(&["verify"]), 0, &["whole: 3 sessions"], &[]);
    let mut found = house.ids();
    found.reverse();
    assert_eq!(found, ids);
    for (id, meta) in ids.iter().zip(&meta) {
        assert_eq!(&house.dump("meta", id), meta);
    }
    assert_eq!(house.dump("stdout", &ids[2]), lines);
    // The catalog said how they ended; so do the notes.
    let status = house.column(&["list"], "STATUS");
    assert_eq!(status, ["succeeded", "interrupted", "failed"]);
}

#[test]
fn repair_waits_for_nobody_and_disturbs_nobody() {
    let house = House::new();
    let hurt = house.record(&[], LINES);
    let running = house.running();
    let before = house.damage(|bytes| flip(bytes, b"115000\n"));
    let said = &["il verify: cannot repair ", "sessions are being written"];
    check(&mut house.il(&["verify", "--repair"]), 1, &[short(&hurt)], said);
    assert!(fs::read(house.file()).expect("the store") == before, "nothing is written");
    assert_eq!(fs::read_dir(house.dir()).expect("home").count(), 1);
    drop(running);
    check(&mut house.il(&["verify", "--repair"]), 0, &["Repaired: 2 sessions"], &[]);
}

#[test]
fn a_file_that_is_no_store_is_kept_like_a_damaged_one() {
    let house = House::new();
    house.record(&[], "echo x");
    let file = house.file();
    fs::write(&file, b"hello").expect("the store");
    check(&mut house.il(&["verify"]), 1, &[], &["il verify: cannot open "]);
    let (out, _) = check(&mut house.il(&["verify", "--repair"]), 0, &["Repaired: 0 sessions"], &[]);
    let kept = out.lines().last().and_then(|l| l.strip_prefix("The damaged file is "));
    assert_eq!(fs::read(kept.expect("its name")).expect("the file"), b"hello");
    fs::remove_file(&file).expect("removed");
    std::os::unix::fs::symlink("elsewhere", &file).expect("a link");
    check(&mut house.il(&["verify", "--repair"]), 1, &[], &["il verify: cannot repair "]);
}

#[test]
fn what_a_newer_version_wrote_is_not_taken_for_damage() {
    let house = House::new();
    house.record(&[], "echo x");
    let before = house.damage(|bytes| {
        for copy in 0..2 {
            let page = copy as usize * PAGE..(copy as usize + 1) * PAGE;
            let mut sup = Super::decode(&bytes[page.clone()], copy).expect("a superblock");
            sup.incompat |= 1 << 31;
            bytes[page].copy_from_slice(&sup.encode()[..]);
        }
    });
    check(&mut house.il(&["verify"]), 1, &[], &["it was written by a newer il"]);
    check(&mut house.il(&["verify", "--repair"]), 1, &[], &["it was written by a newer il"]);
    assert!(fs::read(house.file()).expect("the store") == before);
}
