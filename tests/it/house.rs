//! Keeping house, with the real program: checking, repairing, removing, measuring, backing up.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use intentloop::format::line;
use intentloop::store::layout::{FOOT_LEN, Kind, PageHeader, Super};
use intentloop::store::{Access, State, Store};
use serde_json::Value;

use crate::filters::add;
use crate::plain::{Scratch, il, program, run, stdout, succeed};

/// Bytes of a page of the store's file.
const PAGE: usize = 16384;

/// Bytes of output that one block of a pack holds, and what one read adds to that.
const BLOCK: usize = (128 + 64) * 1024;

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
        command.current_dir(self.0.path());
        command
    }

    /// Records a shell script; the session's id.
    pub fn record(&self, options: &[&str], script: &str) -> String {
        let words = [&["run"], options, &["sh", "-c", script]].concat();
        run(&mut self.il(&words));
        self.settle();
        self.newest()
    }

    /// Waits until what ended is read and packed, which happens behind il's back: until then its
    /// file changes.
    pub fn settle(&self) {
        run(&mut self.il(&["show"]));
        let store = Store::open(&self.dir(), Access::Read).expect("the store");
        let busy = |e: &intentloop::store::Entry| e.state != State::Live && store.is_held(e);
        while store.entries().expect("entries").any(|e| busy(&e)) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
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
    let bytes = house.damage(|bytes| flip(bytes, &hurt));
    let (out, _) =
        check(&mut house.il(&["verify"]), 1, &[" bytes missing"], &["damaged", "--repair"]);
    assert!(out.contains(&format!("session {}: tape: +0.", short(&hurt))), "{out}");
    assert!(!out.contains(short(&sound)), "{out}");
    check(&mut house.il(&["scan", &sound]), 0, &["SESSION\tKIND"], &[]);
    let unsearched = ["il scan: not all was searched: ", "damaged in ", "\nhint: "];
    check(&mut house.il(&["scan", &hurt]), 1, &["SESSION\tKIND"], &unsearched);
    assert!(fs::read(house.file()).expect("the store") == bytes, "verify writes nothing");
}

/// Changes a bit near the end of what a session's pack holds: in its output.
fn flip(bytes: &mut [u8], id: &str) {
    let hex = id.replace('-', "");
    let of_id: Vec<u8> =
        (16..32).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex")).collect();
    let salt = u64::from_le_bytes(of_id.try_into().expect("8 bytes"));
    let of_pack = |(no, page): (usize, &[u8])| {
        PageHeader::decode(page, no as u64)
            .filter(|header| (header.chain.salt, header.chain.kind) == (salt, Kind::Pack))
    };
    let mut pages: Vec<_> = bytes.chunks(PAGE).enumerate().filter_map(of_pack).collect();
    pages.sort_by_key(|header| header.seq);
    // A page before the last is full.
    let page = &mut bytes[pages[pages.len().saturating_sub(2)].page as usize * PAGE..][..PAGE];
    let end = page[..PAGE - FOOT_LEN].iter().rposition(|byte| *byte != 0).expect("data");
    page[end / 2] ^= 1;
}

#[test]
fn repair_saves_what_can_be_read_and_keeps_the_damaged_file() {
    let house = House::new();
    let sound = house.record(&["--name", "a name"], "echo sound; exit 3");
    let hurt = house.record(&[], LINES);
    let whole = house.dump("stdout", &hurt);
    let before = house.damage(|bytes| flip(bytes, &hurt));
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
    // What is left is what was there, without the block that was hit.
    let rest = house.dump("stdout", &hurt);
    let head = rest.iter().zip(&whole).take_while(|(a, b)| a == b).count();
    assert!(rest.len() < whole.len() && rest.len() + BLOCK >= whole.len(), "{}", rest.len());
    assert!(whole.ends_with(&rest[head..]), "the tail is there");

    house.damage(|bytes| flip(bytes, &sound));
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
    let before = house.damage(|bytes| flip(bytes, &hurt));
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

fn on_disk(path: &Path) -> u64 {
    fs::metadata(path).expect("the store").blocks() * 512
}

#[test]
fn rm_removes_what_is_named_and_says_what_the_filesystem_got_back() {
    let house = House::new();
    let script = "seq 1 100000";
    let ids: Vec<String> = (0..4).map(|_| house.record(&[], script)).collect();
    let kept = house.dump("stdout", &ids[1]);
    let before = on_disk(&house.file());
    // The same session in two words; and @2 is what it was before any went.
    let (out, _) = check(
        &mut house.il(&["rm", "@2", &ids[2], short(&ids[0])]),
        0,
        &["Removed 2 sessions, "],
        &[],
    );
    let freed = before - on_disk(&house.file());
    assert!(freed > 100_000, "{freed}");
    assert_eq!(out, format!("Removed 2 sessions, {} freed\n", line::size(freed)));
    assert_eq!(house.ids(), [ids[3].clone(), ids[1].clone()]);
    assert_eq!(house.dump("stdout", &ids[1]), kept);
    check(&mut house.il(&["verify"]), 0, &["whole: 2 sessions"], &[]);
}

#[test]
fn rm_removes_all_that_are_named_or_none() {
    let house = House::new();
    check(&mut house.il(&["rm"]), 2, &[], &["il rm: missing ID\n"]);
    check(&mut house.il(&["rm", "@1"]), 1, &[], &["il rm: no store at "]);
    assert!(!house.dir().exists(), "looking makes no store");
    let id = house.record(&[], "echo one");
    check(&mut house.il(&["rm", &id, "ffff"]), 1, &[], &["il rm: no session ffff\n"]);
    check(&mut house.il(&["rm", &id, "@7"]), 1, &[], &["il rm: no session @7"]);
    let running = house.running();
    let said = &["il rm: cannot remove ", ": it is running\nhint: "];
    check(&mut house.il(&["rm", &id, "@1"]), 1, &[], said);
    drop(running);
    check(&mut house.il(&["pin", &id]), 0, &["Pinned ", short(&id)], &[]);
    let said = &["il rm: cannot remove ", ": it is pinned\nhint: 'il pin --undo "];
    check(&mut house.il(&["rm", "@1", &id]), 1, &[], said);
    assert_eq!(house.ids().len(), 2, "nothing went");
    check(&mut house.il(&["pin", "--undo", &id]), 0, &["Took the pin off "], &[]);
    check(&mut house.il(&["rm", "@1", &id]), 0, &["Removed 2 sessions, "], &[]);
    assert_eq!(house.ids(), [""; 0]);
}

#[test]
fn a_pin_stays_with_its_session() {
    let house = House::new();
    let id = house.record(&["--tag", "x", "--name", "N"], "echo one; exit 3");
    let show = |house: &House| -> Value {
        serde_json::from_str(&stdout(&mut house.il(&["show", &id, "--json"]))).expect("JSON")
    };
    let plain = show(&house);
    check(&mut house.il(&["pin"]), 0, &["Pinned "], &[]);
    let mut pinned = plain.clone();
    pinned["pinned"] = true.into();
    assert_eq!(show(&house), pinned, "nothing else changes");
    assert!(stdout(&mut house.il(&["show", &id])).contains("\nPinned: yes\n"));
    let before = fs::read(house.file()).expect("the store");
    check(&mut house.il(&["pin"]), 0, &[short(&id), " is pinned already\n"], &[]);
    assert!(fs::read(house.file()).expect("the store") == before, "nothing is written twice");
    house.record(&[], LINES);
    succeed(&mut house.il(&["compact"]));
    assert_eq!(show(&house), pinned);
    house.damage(|bytes| bytes[..34 * PAGE].fill(0));
    succeed(&mut house.il(&["verify", "--repair"]));
    assert_eq!(show(&house), pinned);
    let running = house.running();
    check(&mut house.il(&["pin"]), 1, &[], &["il pin: cannot pin ", ": it is running\nhint: "]);
    drop(running);
    check(&mut house.il(&["pin", "--undo", &id]), 0, &["Took the pin off "], &[]);
    check(&mut house.il(&["pin", "--undo", &id]), 0, &[" is not pinned\n"], &[]);
    assert_eq!(show(&house), plain);
}

/// Sessions of these ages in days, oldest first, and what `il prune` leaves of them, by number.
fn check_prune(ages: &[i64], pinned: &[usize], flags: &str, left: &[usize]) {
    let house = House::new();
    let now_s = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs() as i64;
    let tag = |n: usize| vec![if n.is_multiple_of(2) { "even" } else { "odd" }.to_owned()];
    let ids: Vec<String> = ages
        .iter()
        .enumerate()
        .map(|(n, age)| (now_s - age * 86_400, n))
        .map(|(at, n)| add(&house, at * 1_000_000, 0, |meta| meta.tags = tag(n)))
        .collect();
    for n in pinned {
        succeed(&mut house.il(&["pin", &ids[*n]]));
    }
    let prune = |more: &[&str]| {
        let mut command = house.il(&["prune"]);
        command.args(flags.split(' ')).args(more);
        command
    };
    let numbers = |listed: &[String]| -> Vec<usize> {
        listed.iter().filter_map(|id| ids.iter().position(|known| known.starts_with(id))).collect()
    };
    let dry = stdout(&mut prune(&["--dry-run"]));
    let shown: Vec<String> = dry
        .lines()
        .skip(1)
        .map(|line| line.split('\t').next().expect("an id").to_owned())
        .collect();
    let expected: Vec<usize> = (0..ages.len()).filter(|n| !left.contains(n)).collect();
    assert_eq!(numbers(&shown), expected, "prune {flags} --dry-run");
    assert_eq!(house.ids().len(), ages.len(), "a dry run removes nothing");
    let removed = format!("Removed {}, ", line::count(expected.len() as u64, "session"));
    check(&mut prune(&[]), 0, &[&removed, " freed\n"], &[]);
    let mut rest = numbers(&house.ids());
    rest.reverse();
    assert_eq!(rest, left, "prune {flags}");
}

#[test]
fn prune_removes_a_session_if_all_that_is_said_holds() {
    let ages = [200, 100, 91, 89, 1];
    check_prune(&ages, &[], "--older 90d", &[3, 4]);
    check_prune(&ages, &[1], "--older 90d", &[1, 3, 4]);
    check_prune(&ages, &[], "--older 0h", &[]);
    check_prune(&ages, &[], "--keep 2", &[3, 4]);
    check_prune(&ages, &[4], "--keep 0", &[4]);
    check_prune(&ages, &[], "--keep 9", &[0, 1, 2, 3, 4]);
    check_prune(&ages, &[], "--keep 4 --older 90d", &[1, 2, 3, 4]);
    check_prune(&ages, &[], "--tag even", &[1, 3]);
    check_prune(&ages, &[], "--tag even --keep 1", &[1, 3, 4]);
    check_prune(&ages, &[], "--tag odd --older 14w", &[0, 2, 3, 4]);
    check_prune(&ages, &[2], "--max-size 0", &[2]);
    check_prune(&ages, &[], "--max-size 1T", &[0, 1, 2, 3, 4]);
}

#[test]
fn prune_stops_when_the_store_is_small_enough() {
    let house = House::new();
    let ids: Vec<String> = (0..5).map(|_| house.record(&[], "seq 1 200000")).collect();
    let _running = house.running();
    let all = on_disk(&house.file());
    let kept = |bytes: u64| house.il(&["prune", "--max-size", &bytes.to_string()]);
    check(&mut kept(all), 0, &["Removed 0 sessions, 0 bytes freed\n"], &[]);
    // Each takes between one and two hundred kilobytes, packed.
    check(&mut kept(all - 200_000), 0, &["Removed 2 sessions, "], &[]);
    assert!(on_disk(&house.file()) <= all - 200_000);
    assert_eq!(house.ids()[1..], [ids[4].clone(), ids[3].clone(), ids[2].clone()]);
    let (out, _) = check(&mut kept(1), 0, &["Removed 3 sessions, ", "\nStill "], &[]);
    assert!(out.ends_with(" too large: the rest is kept, pinned or running\n"), "{out}");
    assert_eq!(house.ids().len(), 1, "what runs stays");
}

#[test]
fn prune_does_nothing_unasked() {
    let house = House::new();
    let id = house.record(&[], "echo x");
    for flags in [&["prune"][..], &["prune", "--dry-run"]] {
        let said = &["il prune: nothing says which sessions are to go\nhint: --older 90d"];
        check(&mut house.il(flags), 2, &[], said);
    }
    for (flag, value, why) in [
        ("--older", "3m", "not an age such as 12h, 90d or 8w"),
        ("--max-size", "much", "not a size such as 500M or 5G"),
        ("--keep", "-1", "not a number"),
    ] {
        let said = format!("il prune: {flag} '{value}': {why}\n");
        check(&mut house.il(&["prune", &format!("{flag}={value}")]), 2, &[], &[&said]);
    }
    assert_eq!(house.ids(), [id]);
}

#[test]
fn a_terminal_that_closes_at_the_end_takes_no_packing_with_it() {
    const RUNS: usize = 6;
    let house = House::new();
    for _ in 0..RUNS {
        // The terminal hangs up the moment its last process has ended.
        let words = ["-qec", "il run -q sh -c 'seq 100000 130000'", "/dev/null"];
        let mut script = program("script");
        run(script.env("INTENTLOOP_HOME", house.dir()).args(words).stdin(Stdio::null()));
    }
    house.settle();
    let allocated = house.column(&["du"], "ALLOCATED");
    let allocated = allocated.iter().map(|cell| cell.parse().expect("bytes"));
    let sessions: Vec<u64> = allocated.take(RUNS).collect();
    assert!(sessions.iter().all(|bytes| *bytes < 200_000), "{sessions:?}");
}

#[test]
fn du_tells_what_the_filesystem_and_the_streams_tell() {
    let house = House::new();
    let small = house.record(&[], "echo one");
    let large = house.record(&[], LINES);
    let json = stdout(&mut house.il(&["du", "--json"]));
    let rows: Vec<Value> =
        json.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let kinds: Vec<&str> = rows.iter().filter_map(|row| row["kind"].as_str()).collect();
    assert_eq!(kinds, ["session", "session", "store"]);
    assert_eq!([&rows[0]["id"], &rows[1]["id"]], [&large, &small], "the largest first");
    let meta = fs::metadata(house.file()).expect("the store");
    assert_eq!(rows[2]["allocated_bytes"], meta.blocks() * 512);
    assert_eq!(rows[2]["apparent_bytes"], meta.len());
    let number = |row: &Value, name: &str| row[name].as_u64().expect("a number");
    for (row, id) in rows.iter().zip([&large, &small]) {
        assert_eq!(row["streams"]["stdout"], house.dump("stdout", id).len());
        assert!(number(row, "allocated_bytes") > 0, "{row}");
        assert!(number(row, "allocated_bytes") <= number(row, "apparent_bytes"), "{row}");
    }
    let both: usize = [&small, &large].iter().map(|id| house.dump("stdout", id).len()).sum();
    assert_eq!(rows[2]["streams"]["stdout"], both);

    let ids = house.column(&["du"], "ID");
    assert_eq!(ids, [short(&large), short(&small), "(rest)", "(all)"]);
    let bytes = house.column(&["du"], "ALLOCATED");
    let bytes: Vec<u64> = bytes.iter().map(|cell| cell.parse().expect("bytes")).collect();
    assert_eq!(bytes[3], meta.blocks() * 512);
    assert_eq!(bytes[0] + bytes[1] + bytes[2], bytes[3]);
    let streams = house.column(&["du"], "STREAMS");
    assert!(streams[1].starts_with("stdout 4, "), "{}", streams[1]);
}

#[test]
fn compact_gives_gaps_back_and_keeps_every_byte() {
    let house = House::new();
    let kept = house.record(&["--name", "kept"], LINES);
    let gone = house.record(&[], "seq 1 500000");
    let [out, meta] = ["stdout", "meta"].map(|stream| house.dump(stream, &kept));
    let running = house.running();
    let said = &["il compact: cannot compact ", ": sessions are being written\nhint: "];
    check(&mut house.il(&["compact"]), 1, &[], said);
    drop(running);
    succeed(&mut house.il(&["rm", &gone]));
    let (before, long) = (on_disk(&house.file()), fs::metadata(house.file()).expect("it").len());
    check(&mut house.il(&["compact"]), 0, &["Compacted 2 sessions: ", " freed\n"], &[]);
    assert!(on_disk(&house.file()) <= before);
    assert!(fs::metadata(house.file()).expect("it").len() < long - 3_000_000);
    assert_eq!([house.dump("stdout", &kept), house.dump("meta", &kept)], [out, meta]);
    check(&mut house.il(&["verify"]), 0, &["whole: 2 sessions"], &[]);
    assert_eq!(fs::read_dir(house.dir()).expect("home").count(), 1);

    let damaged = house.damage(|bytes| flip(bytes, &kept));
    let said = &["il compact: cannot compact ", ": it is damaged\nhint: 'il verify' "];
    check(&mut house.il(&["compact"]), 1, &[], said);
    assert!(fs::read(house.file()).expect("the store") == damaged);
}

#[test]
fn backup_copies_also_while_someone_records_and_overwrites_nothing() {
    let house = House::new();
    let id = house.record(&[], LINES);
    let lines = house.dump("stdout", &id);
    let running = house.running();
    let copy = House::new();
    fs::create_dir_all(copy.dir()).expect("a directory");
    let file = copy.file().display().to_string();
    check(&mut house.il(&["backup", &file]), 0, &["Wrote 2 sessions, ", &file], &[]);
    drop(running);
    check(&mut copy.il(&["verify"]), 0, &["whole: 2 sessions"], &[]);
    assert_eq!(copy.column(&["list"], "STATUS"), ["lost", "succeeded"]);
    assert_eq!(copy.dump("stdout", &id), lines);
    assert_eq!(copy.dump("stdout", "@1"), b"here\n");

    let before = fs::read(copy.file()).expect("the copy");
    let said = &["il backup: cannot back up to ", ": the file exists\nhint: "];
    check(&mut house.il(&["backup", &file]), 1, &[], said);
    assert!(fs::read(copy.file()).expect("the copy") == before);
    let nowhere = copy.dir().join("no/such").display().to_string();
    let said = &["il backup: cannot back up to ", "No such file or directory\n"];
    check(&mut house.il(&["backup", &nowhere]), 1, &[], said);
    check(&mut house.il(&["backup"]), 2, &[], &["il backup: missing FILE\n"]);
    let said = &["il backup: cannot back up to standard output: a copy has holes"];
    check(&mut house.il(&["backup", "-"]), 2, &[], said);
    assert_eq!(fs::read_dir(copy.dir()).expect("the copy's").count(), 1, "nothing is left over");
}

#[test]
fn what_a_repair_could_not_save_is_told_and_moves_nothing() {
    let house = House::new();
    let id = house.record(&[], "seq 300000");
    check(&mut house.il(&["compact"]), 0, &["Compacted 1 session"], &[]);
    let whole = house.dump("stdout", &id);
    let ring = house.dump("ring", &id);
    assert_eq!(ring, whole[whole.len() - (256 << 10)..]);
    house.damage(|bytes| {
        let is_packed = |page: &&mut [u8]| page.starts_with(b"ILP1") && page[32] == 5;
        let mut pages: Vec<&mut [u8]> = bytes.chunks_mut(PAGE).filter(is_packed).collect();
        let middle = pages.len() / 2;
        pages[middle][5000] ^= 1;
    });
    let command = &mut house.il(&["dump", "stdout", &id, "-o", "/dev/null"]);
    check(
        command,
        1,
        &[],
        &["il dump: stream stdout is not whole: the store is damaged in 1 place\n"],
    );
    let missing = |why: &str| {
        let text =
            String::from_utf8(run(&mut house.il(&["dump", "events", &id])).stdout).expect("text");
        let of = |line: &str| serde_json::from_str::<Value>(line).expect("JSON");
        let gaps = text.lines().map(of).filter(|event| event["kind"] == "gap");
        let bytes: Vec<u64> = gaps
            .map(|gap| {
                assert_eq!(gap["why"], why, "{gap}");
                gap["bytes"].as_u64().expect("a number")
            })
            .collect();
        bytes.iter().sum::<u64>()
    };
    let lost = missing("damaged");
    assert!((1..=3 * BLOCK as u64).contains(&lost), "{lost}");
    check(&mut house.il(&["verify", "--repair"]), 0, &["Repaired: 1 session"], &[]);
    let check_what_is_left = || {
        check(&mut house.il(&["verify"]), 0, &["whole: 1 session"], &[]);
        let left = house.dump("stdout", &id);
        assert_eq!((left.len() as u64 + lost, missing("lost")), (whole.len() as u64, lost));
        assert!(left.iter().zip(&whole).filter(|(a, b)| a == b).count() > whole.len() / 4);
        assert_eq!(house.dump("ring", &id), ring);
    };
    check_what_is_left();
    check(&mut house.il(&["compact"]), 0, &["Compacted 1 session"], &[]);
    check_what_is_left();
}

#[test]
fn a_backup_beside_thirty_recorders_has_all_that_had_ended() {
    const RECORDERS: usize = 30;
    let house = House::new();
    let id = house.record(&[], LINES);
    let lines = house.dump("stdout", &id);
    let running: Vec<Running> = (0..RECORDERS).map(|_| house.running()).collect();
    let writing: Vec<Child> = (0..RECORDERS)
        .map(|n| {
            let script = format!("seq {n}00000 {n}20000");
            let mut command = house.il(&["run", "-q", "sh", "-c", &script]);
            command.stdout(Stdio::null()).spawn().expect("il")
        })
        .collect();
    let backups: Vec<String> =
        (0..4).map(|n| house.dir().join(format!("{n}.il")).display().to_string()).collect();
    for backup in &backups {
        check(&mut house.il(&["backup", backup]), 0, &["Wrote ", " sessions, "], &[]);
    }
    for mut child in writing {
        assert!(child.wait().expect("il").success());
    }
    drop(running);
    for backup in &backups {
        let copy = House::new();
        fs::create_dir_all(copy.dir()).expect("a directory");
        fs::copy(backup, copy.file()).expect("the copy");
        check(&mut copy.il(&["verify"]), 0, &["whole: "], &[]);
        assert_eq!(copy.dump("stdout", &id), lines);
        let live = copy.column(&["list", "--all", "--status", "lost"], "STATUS").len();
        assert!(live >= RECORDERS, "{live} of those that ran");
    }
    house.settle();
    check(&mut house.il(&["verify"]), 0, &["whole: 61 sessions, "], &[]);
}

#[test]
fn what_a_mark_added_counts_as_no_session() {
    let house = House::new();
    let hurt = house.record(&[], LINES);
    let running = house.running();
    succeed(&mut house.il(&["mark", "here"]));
    let copy = House::new();
    fs::create_dir_all(copy.dir()).expect("a directory");
    let backup = house.dir().join("backup.il").display().to_string();
    check(&mut house.il(&["backup", &backup]), 0, &["Wrote 2 sessions, "], &[]);
    drop(running);
    house.settle();
    check(&mut house.il(&["verify"]), 0, &["whole: 2 sessions, 1 annex, "], &[]);
    check(&mut copy.il(&["import", &backup]), 0, &["2 sessions"], &[]);
    check(&mut copy.il(&["verify"]), 0, &["whole: 2 sessions, 1 annex, "], &[]);
    check(&mut copy.il(&["import", &backup]), 0, &["2 sessions were here already"], &[]);
    check(&mut copy.il(&["compact"]), 0, &["Compacted 2 sessions: "], &[]);
    house.damage(|bytes| flip(bytes, &hurt));
    check(&mut house.il(&["verify", "--repair"]), 0, &["Repaired: 2 sessions, "], &[]);
    check(&mut house.il(&["verify"]), 0, &["whole: 2 sessions, 1 annex, "], &[]);
    check(&mut house.il(&["prune", "--keep", "0"]), 0, &["Removed 2 sessions, "], &[]);
    check(&mut house.il(&["verify"]), 0, &["whole: 0 sessions, "], &[]);
}

#[test]
fn readers_that_leave_and_full_disks_are_told_apart() {
    let house = House::new();
    house.record(&[], LINES);
    for command in ["list", "list --json", "du", "du --json", "verify", "prune --keep 0 --dry-run"]
    {
        let script = format!("set -o pipefail; {{ sleep 0.2; il {command}; }} | true");
        let mut bash = program("bash");
        let output = run(bash.env("INTENTLOOP_HOME", house.dir()).args(["-c", &script]));
        assert_eq!(said(&output), (Some(0), String::new(), String::new()), "il {command}");
        let mut bash = program("bash");
        let script = format!("il {command} >/dev/full");
        let output = run(bash.env("INTENTLOOP_HOME", house.dir()).args(["-c", &script]));
        assert_eq!(output.status.code(), Some(1), "il {command}");
    }
}
