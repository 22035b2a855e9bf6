//! The store on a real file: sessions written, listed, found, read, followed and refused.

use intentloop::store::layout::{FOOT_LEN, Kind, Lease, PAGE_LEN, PageHeader};
use intentloop::store::storage::{LOCK_ALLOC, Lock, Storage};
use intentloop::store::{
    Access, Append, Chain, Entry, Exit, FILE_NAME, FileStorage, Item, NewSession, Progress, State,
    Store, StreamId, Told, Why, Writer,
};
use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A directory that goes with its test.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new(name: &str) -> TempDir {
        let dir = std::env::temp_dir().join(format!("il-store-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        TempDir(dir)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    fn open(&self, access: Access) -> Store {
        Store::open(&self.0, access).unwrap()
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn new_session(n: u8) -> NewSession<'static> {
    let mut id = *b"\x01\x9e\x6c\x0a\x8f\x2b\x7c\x31\x9d\x43\x0c\x9b\x6a\x1f\x2e\x00";
    id[15] = n;
    id[3] = n;
    NewSession { id, start_us: 1_780_000_000_000_000 + i64::from(n), label: [n; 16], meta: b"{}" }
}

#[test]
fn what_was_appended_is_read_back_stream_by_stream() {
    let dir = TempDir::new("round");
    let store = dir.open(Access::Write);
    let mut w = store.begin(&new_session(1)).unwrap();
    assert_eq!(w.append(StreamId::STDOUT, 10, b"hello "), Append::Stored);
    assert_eq!(w.append(StreamId::STDIN, 11, b"y"), Append::Stored);
    let big: Vec<u8> = (0..3_000_000u32).map(|i| (i / 7) as u8).collect();
    assert_eq!(w.append(StreamId::STDOUT, 12, &big), Append::Stored);
    assert_eq!(w.append(StreamId::STDOUT, 13, b""), Append::Stored);
    let native = w.define("native/0").unwrap();
    assert_eq!(w.define("native/0").unwrap(), native);
    assert_eq!(w.append(native, 14, &big[..100_000]), Append::Stored);
    assert_eq!(w.append(StreamId::META, 15, b"{\"a\":1}"), Append::Stored);
    assert!(w.end(Exit::Code(3), 99).unwrap().durable);

    let store = dir.open(Access::Read);
    let entry = store.entries().unwrap().next().unwrap();
    let State::Ended(end) = entry.state else { panic!("{:?}", entry.state) };
    assert_eq!((end.exit, end.end_us, end.out_bytes), (Exit::Code(3), 99, 3_000_006));
    let bytes_of = |stream| {
        let mut bytes = Vec::new();
        store.stream(&entry, stream).read_to_end(&mut bytes).unwrap();
        bytes
    };
    assert_eq!(bytes_of(StreamId::STDOUT), [b"hello ", &big[..]].concat());
    assert_eq!(bytes_of(StreamId::STDIN), b"y");
    assert_eq!(bytes_of(native), &big[..100_000]);
    assert_eq!(store.stream_names(&entry), [(native, "native/0".to_owned())]);
    let metas: Vec<_> = store.records(&entry, StreamId::META).collect();
    assert_eq!(metas, [(0, b"{}".to_vec()), (15, b"{\"a\":1}".to_vec())]);
}

#[test]
fn sessions_are_listed_newest_first_and_found_by_either_end_of_their_id() {
    let dir = TempDir::new("list");
    let store = dir.open(Access::Write);
    for n in 0..140 {
        store.begin(&new_session(n)).unwrap().end(Exit::Code(0), 5).unwrap();
    }
    let listed: Vec<u8> = store.entries().unwrap().map(|e| e.id[15]).collect();
    assert_eq!(listed, (0..140).rev().collect::<Vec<u8>>());
    let ids = |text: &str, max| -> Vec<u8> {
        store.find(text, max).unwrap().iter().map(|e| e.id[15]).collect()
    };
    assert_eq!(ids("019e6c07", 9), [7]);
    assert_eq!(ids("019E6C07-8f2b", 9), [7]);
    assert_eq!(ids("2e07", 9), [7]);
    assert_eq!(ids("019e6c", 3), [139, 138, 137]);
    assert_eq!(ids("", 3), [0u8; 0]);
    assert_eq!(ids("no hex", 3), [0u8; 0]);
}

#[test]
fn a_reader_follows_a_live_session_and_sees_its_owner_go() {
    let dir = TempDir::new("follow");
    let store = dir.open(Access::Write);
    let mut w = store.begin(&new_session(1)).unwrap();
    let entry = store.entries().unwrap().next().unwrap();
    assert_eq!(entry.state, State::Live);
    let mut reader = store.read(&entry, Chain::Tape);
    assert_eq!(reader.next(), Item::Tail);
    for n in 0..200u64 {
        let bytes = vec![n as u8; 1 + 97 * n as usize];
        w.append(StreamId::STDOUT, n, &bytes);
        let mut seen = Vec::new();
        loop {
            match reader.next() {
                Item::Frame { t_us, bytes, .. } => {
                    assert_eq!(t_us, n);
                    seen.extend_from_slice(bytes);
                }
                Item::Tail => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(seen, bytes, "record {n}");
    }
    drop(w);
    assert_eq!(reader.next(), Item::End);
    assert_eq!(store.entries().unwrap().next().unwrap().state, State::Lost);
}

#[test]
fn an_ended_session_takes_further_notes() {
    let dir = TempDir::new("resume");
    let store = dir.open(Access::Write);
    store.begin(&new_session(1)).unwrap().end(Exit::Code(0), 5).unwrap();
    for n in 0..5u8 {
        let entry = store.entries().unwrap().next().unwrap();
        let mut w = store.resume(&entry).unwrap();
        assert_eq!(w.append(StreamId::REPORT, 7, &[n; 20_000]), Append::Stored);
        assert!(matches!(w.append(StreamId::STDOUT, 8, b"x"), Append::Degraded { .. }));
        w.end(Exit::Unknown, 0).unwrap();
    }
    let entry = store.entries().unwrap().next().unwrap();
    assert!(matches!(entry.state, State::Ended(end) if end.exit == Exit::Code(0)));
    let reports: Vec<_> = store.records(&entry, StreamId::REPORT).map(|(_, r)| r).collect();
    assert_eq!(reports, (0..5).map(|n| vec![n; 20_000]).collect::<Vec<_>>());
}

#[test]
fn seeking_lands_on_the_page_that_holds_the_time_or_the_byte() {
    let dir = TempDir::new("seek");
    let store = dir.open(Access::Write);
    let mut w = store.begin(&new_session(1)).unwrap();
    for n in 0..20_000u64 {
        w.append(StreamId::STDOUT, n * 10, &n.to_le_bytes().repeat(9));
    }
    w.end(Exit::Code(0), 5).unwrap();
    let entry = store.entries().unwrap().next().unwrap();
    for n in [0, 1, 170, 5000, 19_999] {
        let mut reader = store.read(&entry, Chain::Tape);
        reader.seek_time(n * 10);
        let first = loop {
            match reader.next() {
                Item::Frame { t_us, bytes, .. } if t_us >= n * 10 => break bytes[0..8].to_vec(),
                Item::Frame { t_us, .. } => assert!(t_us + 4000 > n * 10, "page of {n}: {t_us}"),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(first, n.to_le_bytes());
        reader.seek_byte(n * 72);
        assert!(reader.pos() <= n * 72 && reader.pos() + 17_000 > n * 72, "byte of {n}");
    }
}

#[test]
fn a_damaged_page_costs_its_own_frames_and_the_gap_is_counted() {
    let dir = TempDir::new("damage");
    let store = dir.open(Access::Write);
    let mut w = store.begin(&new_session(1)).unwrap();
    for n in 0..100u64 {
        w.append(StreamId::STDOUT, n, &[b'a'; 1000]);
    }
    w.end(Exit::Code(0), 5).unwrap();
    let path = dir.path().join(FILE_NAME);
    let mut image = fs::read(&path).unwrap();
    // Page 35 is the tape's first; its third page begins with the 31st frame or so.
    image[37 * 16384 + 5000] ^= 1;
    fs::write(&path, image).unwrap();
    let store = dir.open(Access::Read);
    let entry = store.entries().unwrap().next().unwrap();
    let (mut reader, mut kept, mut lost) = (store.read(&entry, Chain::Tape), 0, 0);
    loop {
        match reader.next() {
            Item::Frame { bytes, .. } => kept += bytes.len() as u64,
            Item::Gap { bytes, why: Why::Damaged } => lost += bytes,
            Item::End => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(kept + lost, 100_000);
    assert!((1..16_384).contains(&lost), "{lost}");
}

#[test]
fn stores_that_are_not_ours_alone_are_refused_with_the_reason() {
    let dir = TempDir::new("refuse");
    let refused = |access| {
        let e = Store::open(dir.path(), access).unwrap_err();
        (e.to_string(), e.hint().unwrap_or("").to_owned())
    };
    let path = dir.path().join(FILE_NAME);
    let shown = path.display();
    assert_eq!(refused(Access::Read).0, format!("no store at {shown}"));
    dir.open(Access::Write);
    let mode = |path: &Path, bits| {
        fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
    };
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o700);

    mode(&path, 0o640);
    let (why, hint) = refused(Access::Read);
    assert_eq!(why, format!("cannot open {shown}: others can open it (mode 0640)"));
    assert_eq!(hint, format!("chmod 600 {shown}"));
    mode(&path, 0o600);
    mode(dir.path(), 0o770);
    assert!(refused(Access::Write).0.contains("others can write its directory"));
    mode(dir.path(), 0o700);

    let mut image = fs::read(&path).unwrap();
    image[100] ^= 1;
    image[16384 + 100] ^= 1;
    fs::write(&path, &image).unwrap();
    assert!(refused(Access::Read).0.contains("both superblocks are damaged"));

    fs::rename(&path, dir.path().join("elsewhere")).unwrap();
    symlink(dir.path().join("elsewhere"), &path).unwrap();
    assert!(refused(Access::Read).0.contains("symbolic link"));
}

#[test]
fn removed_sessions_are_gone_and_pruned_ones_keep_their_notes() {
    let dir = TempDir::new("remove");
    let store = dir.open(Access::Write);
    for n in 0..4 {
        let mut w = store.begin(&new_session(n)).unwrap();
        w.append(StreamId::STDOUT, 1, &vec![n; 1_000_000]);
        w.append(StreamId::REPORT, 1, b"report");
        if n != 3 {
            w.end(Exit::Code(0), 5).unwrap();
        }
    }
    let live = store.begin(&new_session(4)).unwrap();
    assert_eq!(store.seal_lost().unwrap(), 1);
    assert_eq!(store.seal_lost().unwrap(), 0);
    let all: Vec<_> = store.entries().unwrap().collect();
    let before = store.usage_of_all().unwrap();
    let freed = store.remove(&[all[0], all[4]], &mut |_| {}).unwrap();
    assert_eq!((freed.sessions, freed.busy), (1, 1));
    let pruned = store.prune_tape(&[all[3]], &mut |_| {}).unwrap();
    let after = store.usage_of_all().unwrap();
    assert_eq!(after.apparent, before.apparent);
    assert!(before.notes - after.notes >= 2_000_000, "{before:?} {after:?}");
    assert!(freed.bytes >= 1_000_000 && pruned.bytes >= 1_000_000);

    let left: Vec<_> = store.entries().unwrap().collect();
    assert_eq!(left.iter().map(|e| e.id[15]).collect::<Vec<_>>(), [4, 3, 2, 1]);
    assert_eq!(left[1].state, State::Lost);
    assert!(left[3].tape_pruned);
    assert_eq!(store.records(&left[3], StreamId::REPORT).count(), 1);
    assert_eq!(store.read(&left[3], Chain::Tape).next(), Item::End);
    assert_eq!(store.usage(&left[3]).unwrap().tape, 0);
    drop(live);
}

#[test]
fn whoever_removes_waits_for_who_tidies_up() {
    let dir = TempDir::new("tidied");
    let store = dir.open(Access::Write);
    store.begin(&new_session(0)).unwrap().end(Exit::Code(0), 5).unwrap();
    drop(store.begin(&new_session(1)).unwrap());
    store.seal_lost().unwrap();
    for entry in store.entries().unwrap() {
        let tidies = store.resume(&entry).unwrap();
        assert!(store.is_held(&entry));
        let freed = std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(100));
                tidies.end(Exit::Code(0), 5).unwrap();
            });
            store.remove(&[entry], &mut |_| {}).unwrap()
        });
        assert_eq!((freed.sessions, freed.busy), (1, 0), "{:?}", entry.state);
    }
    assert_eq!(store.entries().unwrap().count(), 0);
}

#[test]
fn a_copy_holds_what_was_packed_and_removed_while_it_was_made() {
    let (dir, saved) = (TempDir::new("moved"), TempDir::new("moved-saved"));
    let store = dir.open(Access::Write);
    let content = |n: u8| -> Vec<u8> { (0..200_000u32).map(|i| (i / 9) as u8 ^ n).collect() };
    let mut live = None;
    for n in 0..4 {
        let mut w = store.begin(&new_session(n)).unwrap();
        w.append(StreamId::STDOUT, 1, &content(n));
        if n == 2 {
            live = Some(w);
        } else {
            w.end(Exit::Code(0), 5).unwrap();
        }
    }
    let path = dir.path().join(FILE_NAME);
    let first_pages = fs::read(&path).unwrap()[..34 * 16384].to_vec();
    let find = |n: u8| store.entries().unwrap().find(|e| e.id[15] == n).unwrap();
    let copy = dir.path().join("copy.il");
    // The first word of progress comes when the catalog has been copied. Who may only read keeps
    // nobody from removing.
    let reader = dir.open(Access::Read);
    let copied = reader.backup(&copy, &mut |_| {
        let Some(w) = live.take() else { return };
        w.end(Exit::Code(0), 5).unwrap();
        assert!(store.pack(&find(0)).unwrap() && store.pack(&find(2)).unwrap());
        assert_eq!(store.remove(&[find(3)], &mut |_| {}).unwrap().sessions, 1);
    });
    assert!(copied.unwrap() > 0 && live.is_none());
    let check = |store: &Store| {
        assert_eq!(store.verify(&mut |_| {}).unwrap().problems, []);
        for n in 0..3 {
            assert!(bytes_of(store, n, StreamId::STDOUT) == content(n), "session {n}");
        }
    };
    let made = Store::open_file(&copy).unwrap();
    check(&made);
    assert_eq!(made.entries().unwrap().count(), 3);

    // As cp makes it, from the first byte to the last: what it has of the catalog is old.
    let mut bytes = fs::read(&path).unwrap();
    bytes[..first_pages.len()].copy_from_slice(&first_pages);
    fs::write(&copy, bytes).unwrap();
    assert_ne!(Store::open_file(&copy).unwrap().verify(&mut |_| {}).unwrap().problems, []);
    let saved = saved.open(Access::Write);
    intentloop::store::salvage(&copy, &saved, &mut |_| {}).unwrap();
    check(&saved);
}

fn bytes_of(store: &Store, n: u8, stream: StreamId) -> Vec<u8> {
    let entry = store.entries().unwrap().find(|e| e.id[15] == n).unwrap();
    let mut bytes = Vec::new();
    store.stream(&entry, stream).read_to_end(&mut bytes).unwrap();
    bytes
}

/// A store of three sessions: ended, lost, ended without a tape.
fn three_sessions(dir: &TempDir) -> Store {
    let store = dir.open(Access::Write);
    for n in 0..3 {
        let mut w = store.begin(&new_session(n)).unwrap();
        for i in 0..200u64 {
            let line = format!("session {n} line {i} {}\n", "x".repeat(i as usize * 7));
            w.append(StreamId::STDOUT, i * 1000, line.as_bytes());
        }
        w.append(StreamId::CONVERSATION, 5, &vec![n; 50_000]);
        if n != 1 {
            w.end(Exit::Code(n.into()), 77).unwrap();
        }
    }
    store
}

#[test]
fn imported_compacted_and_backed_up_sessions_are_the_same_sessions() {
    let (a, b) = (TempDir::new("from"), TempDir::new("into"));
    let from = three_sessions(&a);
    let into = b.open(Access::Write);
    into.begin(&new_session(2)).unwrap().end(Exit::Code(0), 5).unwrap();
    let copied = into.import(&from, &mut |_| {}).unwrap();
    assert_eq!((copied.sessions, copied.known, copied.missing), (2, 1, 0));
    assert_eq!(into.import(&from, &mut |_| {}).unwrap().known, 3);

    let backup = b.path().join("backup.il");
    assert!(from.backup(&backup, &mut |_| {}).unwrap() > 150_000);
    assert!(from.backup(&backup, &mut |_| {}).unwrap_err().to_string().contains("exists"));
    let live = into.begin(&new_session(9)).unwrap();
    assert!(into.compact(&mut |_| {}).unwrap_err().to_string().contains("being written"));
    drop(live);
    let removed = into.entries().unwrap().find(|e| e.id[15] == 9).unwrap();
    into.remove(&[removed], &mut |_| {}).unwrap();
    let compacted = into.compact(&mut |_| {}).unwrap();
    assert!(compacted.sessions == 3 && compacted.after <= compacted.before, "{compacted:?}");

    for store in [&into, &Store::open_file(&backup).unwrap(), &from] {
        let report = store.verify(&mut |_| {}).unwrap();
        assert_eq!(report.problems, [], "{}", store.path().display());
        for n in 0..2 {
            assert_eq!(bytes_of(store, n, StreamId::STDOUT), bytes_of(&from, n, StreamId::STDOUT));
            assert_eq!(bytes_of(store, n, StreamId::CONVERSATION), [n; 50_000]);
        }
        let states: Vec<State> = store.entries().unwrap().map(|e| e.state).collect();
        assert!(matches!(states[2], State::Ended(end) if end.end_us == 77), "{states:?}");
        assert_eq!(states[1], State::Lost);
    }
    // The store's name passed to another file, and the open handle follows it.
    let mut w = into.begin(&new_session(20)).unwrap();
    w.append(StreamId::STDOUT, 1, b"after");
    w.end(Exit::Code(0), 5).unwrap();
    assert_eq!(bytes_of(&b.open(Access::Read), 20, StreamId::STDOUT), b"after");
}

#[test]
fn verify_names_the_session_the_time_and_the_bytes() {
    // Damaged in a copy: threads of the writers may still be at work on the store itself.
    let (live, dir) = (TempDir::new("verify-live"), TempDir::new("verify"));
    let store = three_sessions(&live);
    let sound = fs::read(live.path().join(FILE_NAME)).unwrap();
    let path = dir.path().join(FILE_NAME);
    drop(dir.open(Access::Write));
    assert_eq!(store.verify(&mut |_| {}).unwrap().problem_count, 0);
    let told = |damage: &dyn Fn(&mut Vec<u8>)| -> Vec<String> {
        let mut image = sound.clone();
        damage(&mut image);
        fs::write(&path, image).unwrap();
        let report = dir.open(Access::Read).verify(&mut |_| {}).unwrap();
        report.problems.iter().map(ToString::to_string).collect()
    };
    let id = "019e6c00-8f2b-7c31-9d43-0c9b6a1f2e00";
    let first_tape = sound.windows(4).position(|w| w == b"sess").unwrap() / 16384 * 16384;
    // Line i has 19 + 7 i bytes, so the second page of the tape begins within line 63 and ends
    // within line 91; a flipped bit costs the rest of the page, a lost header all of it.
    let whole: u64 =
        (0..200).map(|i: u64| format!("session 0 line {i} \n").len() as u64 + 7 * i).sum();
    for (from, len, span) in [(9000, 1, "0.079 s to 0.091 s"), (0, 512, "0.063 s to 0.091 s")] {
        let at = first_tape + 16384 + from;
        let told = told(&|image| image[at..at + len].fill(0x55));
        let missing = whole - bytes_of(&dir.open(Access::Read), 0, StreamId::STDOUT).len() as u64;
        assert_eq!(
            *told.last().unwrap(),
            format!("session {id}: tape: from {span}: {missing} bytes are missing")
        );
        assert!((1..=16_320).contains(&missing));
    }
    assert_eq!(told(&|image| image[70] ^= 1), ["superblock 0: damaged; its other copy holds"]);
    assert_eq!(told(&|image| image[2 * 16384 + 140] ^= 1)[0], "catalog: entry 0 is damaged");
    assert_eq!(
        told(&|image| image[2 * 16384 + 200] ^= 1),
        [format!("session {id}: its end is damaged; it counts as lost")]
    );
}

#[test]
fn verify_looks_at_a_last_page_that_is_there_in_part() {
    let (live, dir) = (TempDir::new("verify-part-live"), TempDir::new("verify-part"));
    let store = live.open(Access::Write);
    let mut w = store.begin(&new_session(1)).unwrap();
    for n in 0..40 {
        w.append(StreamId::STDOUT, n, &[b'a'; 1000]);
    }
    drop(w);
    // Pages 35, 36 and 37 hold the tape.
    let image = fs::read(live.path().join(FILE_NAME)).unwrap();
    let path = dir.path().join(FILE_NAME);
    drop(dir.open(Access::Write));
    let pages_and_problems = |len: usize, flipped: Option<usize>| {
        let mut image = image[..len].to_vec();
        if let Some(at) = flipped {
            image[at] ^= 1;
        }
        fs::write(&path, image).unwrap();
        let report = dir.open(Access::Read).verify(&mut |_| {}).unwrap();
        (report.pages, report.problems.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let whole = pages_and_problems(38 * 16384, None);
    assert_eq!(whole.1, [""; 0]);
    assert_eq!(pages_and_problems(37 * 16384 + 64, None).0, whole.0);
    assert_eq!(pages_and_problems(37 * 16384 + 5000, None).0, whole.0);
    for len in [38 * 16384, 37 * 16384 + 5000] {
        let (pages, problems) = pages_and_problems(len, Some(37 * 16384 + 20));
        assert_eq!(pages, whole.0 - 1);
        assert_eq!(problems.first().map(String::as_str), Some("page 37: damaged"), "{problems:?}");
    }
}

#[test]
fn progress_comes_to_its_end_with_the_work() {
    let (dir, other) = (TempDir::new("progress"), TempDir::new("progress-into"));
    let store = dir.open(Access::Write);
    for n in 0..100 {
        let mut w = store.begin(&new_session(n)).unwrap();
        w.append(StreamId::STDOUT, 1, &[n; 20_000]);
        w.end(Exit::Code(0), 5).unwrap();
    }
    let into = other.open(Access::Write);
    let path = dir.path().join(FILE_NAME);
    type Shown<'a> = &'a mut dyn FnMut(Progress);
    let check = |what: &str, work: &mut dyn FnMut(Shown<'_>)| {
        let mut told: Vec<Progress> = Vec::new();
        work(&mut |progress| told.push(progress));
        let of_all = |n: usize| told[n].done as f64 / told[n].total as f64;
        assert!(told.is_sorted_by_key(|progress| progress.done), "{what}");
        assert!(of_all(told.len() - 1) > 0.9, "{what} ends at {}", of_all(told.len() - 1));
        assert!(of_all(told.len() / 2) < 0.9, "{what} is at {} halfway", of_all(told.len() / 2));
    };
    check("verify", &mut |tell| assert_eq!(store.verify(tell).unwrap().problems, []));
    check("import", &mut |tell| assert_eq!(into.import(&store, tell).unwrap().sessions, 100));
    check("compact", &mut |tell| assert_eq!(store.compact(tell).unwrap().sessions, 100));
    let saved = TempDir::new("progress-saved");
    let into = saved.open(Access::Write);
    check("salvage", &mut |tell| {
        assert_eq!(intentloop::store::salvage(&path, &into, tell).unwrap().sessions, 100);
    });
}

#[test]
fn salvage_needs_neither_superblock_nor_catalog() {
    let (a, b) = (TempDir::new("wreck"), TempDir::new("saved"));
    let from = three_sessions(&a);
    let wanted: Vec<Vec<u8>> = (0..3).map(|n| bytes_of(&from, n, StreamId::STDOUT)).collect();
    let path = a.path().join(FILE_NAME);
    let mut image = fs::read(&path).unwrap();
    image[..34 * 16384].fill(0xa5);
    fs::write(&path, image).unwrap();
    let into = b.open(Access::Write);
    let saved = intentloop::store::salvage(&path, &into, &mut |_| {}).unwrap();
    assert_eq!((saved.sessions, saved.missing), (3, 0));
    let entries: Vec<_> = into.entries().unwrap().collect();
    assert!(entries.iter().all(|e| e.state == State::Lost && e.start_us > 0));
    for (n, wanted) in wanted.iter().enumerate() {
        assert_eq!(&bytes_of(&into, n as u8, StreamId::STDOUT), wanted);
    }
    assert_eq!(into.verify(&mut |_| {}).unwrap().problem_count, 0);
    let again = intentloop::store::salvage(&path, &into, &mut |_| {}).unwrap();
    assert_eq!((again.sessions, again.known), (0, 3));
}

#[test]
fn a_packed_session_is_the_same_session_in_less_room() {
    let dir = TempDir::new("pack");
    let store = three_sessions(&dir);
    let wanted: Vec<Vec<u8>> = (0..3).map(|n| bytes_of(&store, n, StreamId::STDOUT)).collect();
    store.seal_lost().unwrap();
    let find = |n: u8| store.entries().unwrap().find(|e| e.id[15] == n).unwrap();
    let mut under_way = store.read(&find(0), Chain::Tape);
    let mut seen = Vec::new();
    for _ in 0..50 {
        if let Item::Frame { bytes, .. } = under_way.next() {
            seen.extend_from_slice(bytes);
        }
    }
    let live = store.begin(&new_session(9)).unwrap();
    assert!(!store.pack(&find(9)).unwrap(), "a live session is left alone");
    drop(live);
    for n in 0..3 {
        let before = store.usage(&find(n)).unwrap();
        assert!(store.pack(&find(n)).unwrap());
        assert!(!store.pack(&find(n)).unwrap(), "once is enough");
        let after = store.usage(&find(n)).unwrap();
        assert!(after.tape * 8 < before.tape + before.notes, "{before:?} {after:?}");
        assert_eq!(bytes_of(&store, n, StreamId::STDOUT), wanted[usize::from(n)]);
        assert_eq!(bytes_of(&store, n, StreamId::CONVERSATION), [n; 50_000]);
    }
    // A reader that was under way changes over without a seam.
    loop {
        match under_way.next() {
            Item::Frame { bytes, .. } => seen.extend_from_slice(bytes),
            Item::End => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, wanted[0]);

    let mut w = store.resume(&find(0)).unwrap();
    assert_eq!(w.append(StreamId::REPORT, 9, b"added later"), Append::Stored);
    w.end(Exit::Unknown, 0).unwrap();
    assert_eq!(bytes_of(&store, 0, StreamId::REPORT), b"added later");

    store.prune_tape(&[find(0)], &mut |_| {}).unwrap();
    assert_eq!(bytes_of(&store, 0, StreamId::STDOUT), b"");
    assert_eq!(bytes_of(&store, 0, StreamId::CONVERSATION), [0; 50_000]);
    assert_eq!(bytes_of(&store, 0, StreamId::REPORT), b"added later");
    store.remove(&[find(1)], &mut |_| {}).unwrap();
    assert_eq!(store.verify(&mut |_| {}).unwrap().problems, []);

    let saved = TempDir::new("pack-saved");
    let into = saved.open(Access::Write);
    let path = dir.path().join(FILE_NAME);
    intentloop::store::salvage(&path, &into, &mut |_| {}).unwrap();
    assert_eq!(bytes_of(&into, 2, StreamId::STDOUT), wanted[2]);
    assert_eq!(bytes_of(&into, 0, StreamId::REPORT), b"added later");
}

#[test]
fn the_last_record_is_found_from_the_end() {
    let dir = TempDir::new("last");
    let store = dir.open(Access::Write);
    let entry = || store.entries().unwrap().next().unwrap();
    let meta = || store.last_record(&entry(), StreamId::META).map(|(_, meta)| meta);
    let noise = |n: u64, len: usize| -> Vec<u8> {
        (0..len as u64).map(|i| (i.wrapping_mul(n | 1).wrapping_mul(0x9e37) >> 11) as u8).collect()
    };
    let mut w = store.begin(&new_session(1)).unwrap();
    assert!(meta().is_some(), "the first one, while it is recorded");
    w.append(StreamId::META, 1, b"early");
    for n in 0..40 {
        w.append(StreamId::CONVERSATION, n, &noise(n, 30_000));
        w.append(StreamId::STDOUT, n, &noise(n, 50_000));
    }
    assert_eq!(meta().unwrap(), b"early");
    let long = noise(7, 40_000);
    w.append(StreamId::META, 2, &long);
    w.end(Exit::Code(0), 5).unwrap();
    assert_eq!(meta().unwrap(), long);
    let notes = |stream| bytes_of(&store, 1, stream);
    let (said, metas) = (notes(StreamId::CONVERSATION), notes(StreamId::META));

    assert!(store.pack(&entry()).unwrap());
    assert_eq!(meta().unwrap(), long, "repeated at the head of the pack");
    assert_eq!(notes(StreamId::META), metas, "and not told twice");
    assert_eq!(notes(StreamId::CONVERSATION), said);
    for n in 0..3 {
        let mut w = store.resume(&entry()).unwrap();
        w.append(StreamId::REPORT, 9, &noise(n, 100_000));
        w.end(Exit::Unknown, 0).unwrap();
        assert_eq!(meta().unwrap(), long);
    }
    let mut w = store.resume(&entry()).unwrap();
    w.append(StreamId::META, 10, b"late");
    w.append(StreamId::REPORT, 10, &noise(3, 100_000));
    w.end(Exit::Unknown, 0).unwrap();
    assert_eq!(meta().unwrap(), b"late");
    assert_eq!(notes(StreamId::META), [&metas[..], b"late"].concat());
    assert_eq!(notes(StreamId::REPORT).len(), 400_000);
    assert_eq!(store.last_record(&entry(), StreamId::NAME), None);
    store.prune_tape(&[entry()], &mut |_| {}).unwrap();
    assert_eq!(meta().unwrap(), b"late");
    assert_eq!(notes(StreamId::CONVERSATION), said);
    assert_eq!(notes(StreamId::REPORT).len(), 400_000);
    assert_eq!(store.verify(&mut |_| {}).unwrap().problems, []);
}

/// A reader goes to a place in a session, reads a while, and reads on when the session was packed.
#[test]
fn a_reader_that_went_to_a_place_reads_on_where_it_was_when_the_session_is_packed() {
    const FRAMES: u64 = 40_000;
    let check = |sought: u64, read: u64| {
        let dir = TempDir::new("pack-on");
        let store = dir.open(Access::Write);
        let mut w = store.begin(&new_session(1)).unwrap();
        for n in 0..FRAMES {
            // Keys between the output: they do not count as bytes of it.
            let stream = if n % 3 == 0 { StreamId::STDOUT } else { StreamId::STDIN };
            w.append(stream, n, &n.to_le_bytes());
        }
        let entry = store.entries().unwrap().next().unwrap();
        let mut reader = store.read(&entry, Chain::Tape);
        reader.seek_time(sought);
        let mut next = || match reader.next() {
            Item::Frame { bytes, t_us, .. } => {
                assert_eq!(bytes, t_us.to_le_bytes());
                Some(t_us)
            }
            Item::End => None,
            other => panic!("{other:?}"),
        };
        let mut last = next().unwrap();
        for _ in 1..read {
            assert_eq!(next(), Some(last + 1), "before");
            last += 1;
        }
        w.end(Exit::Code(0), 5).unwrap();
        assert!(store.pack(&store.entries().unwrap().next().unwrap()).unwrap());
        while let Some(t_us) = next() {
            assert_eq!(t_us, last + 1, "from {sought}, {read} read");
            last = t_us;
        }
        assert_eq!(last, FRAMES - 1, "from {sought}, {read} read");
    };
    for (sought, read) in [(0, 1), (0, 7), (0, 30_000), (20_000, 10), (20_001, 9_999), (39_999, 40)]
    {
        check(sought, read);
    }
}

/// Where the tape of a pack was given back a gap is no damage; one in the notes behind it is.
#[test]
fn a_page_missing_from_notes_behind_a_pruned_pack_is_a_gap() {
    let dir = TempDir::new("behind");
    let store = dir.open(Access::Write);
    let mut w = store.begin(&new_session(1)).unwrap();
    w.append(StreamId::STDOUT, 1, &[b'o'; 300_000]);
    w.end(Exit::Code(0), 5).unwrap();
    let entry = || store.entries().unwrap().next().unwrap();
    store.pack(&entry()).unwrap();
    store.prune_tape(&[entry()], &mut |_| {}).unwrap();
    let mut w = store.resume(&entry()).unwrap();
    let long: Vec<u8> = (0..100_000u32).map(|n| (n / 251) as u8).collect();
    assert_eq!(w.append(StreamId::CONVERSATION, 9, &long), Append::Stored);
    w.end(Exit::Unknown, 0).unwrap();
    assert_eq!(bytes_of(&store, 1, StreamId::CONVERSATION), long);

    let bytes = fs::read(dir.path().join(FILE_NAME)).unwrap();
    let headers = bytes.chunks(PAGE_LEN).zip(0..);
    let headers = headers.filter_map(|(page, no)| PageHeader::decode(page, no));
    let of_pack: Vec<_> = headers.filter(|h| h.chain.kind == Kind::Pack).collect();
    let hit = of_pack[of_pack.len() - 3].page;
    let file = fs::OpenOptions::new().write(true).open(dir.path().join(FILE_NAME)).unwrap();
    file.write_all_at(&[0; PAGE_LEN], hit * PAGE_LEN as u64).unwrap();
    let (mut reader, mut gaps) = (store.read(&entry(), Chain::Notes), 0);
    loop {
        match reader.next() {
            Item::Frame { .. } => {}
            Item::Gap { why: Why::Damaged, .. } => gaps += 1,
            Item::End => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(gaps, 1);
}

/// Whoever stops its process while it holds the allocation lock stops all others.
#[test]
fn a_writer_at_rest_holds_nothing_that_others_wait_for() {
    const ROUNDS: u64 = 300;
    const LOOKS: usize = 200;
    let dir = TempDir::new("rest");
    let store = dir.open(Access::Write);
    let mut w = store.begin(&new_session(1)).unwrap();
    let other = FileStorage::open(&dir.path().join(FILE_NAME), true).unwrap();
    for n in 0..ROUNDS {
        // Enough to want the next lease, which a thread takes ahead of need.
        assert_eq!(w.append(StreamId::STDOUT, n, &[b'x'; 64 << 10]), Append::Stored);
        w.at_rest(|| {
            for _ in 0..LOOKS {
                assert!(other.try_lock(LOCK_ALLOC, Lock::Exclusive).unwrap(), "round {n}");
                other.unlock(LOCK_ALLOC).unwrap();
            }
        });
    }
    w.end(Exit::Code(0), 1).unwrap();
}

/// A power cut takes the foot that leads to notes behind the promised ones, and leaves the notes; a
/// later one leaves a foot, and takes what it leads to: then the first notes are back.
#[test]
fn the_index_tells_nothing_of_notes_that_may_come_back() {
    let dir = TempDir::new("come-back");
    let store = dir.open(Access::Write);
    let add = |mut w: Writer, meta: &[u8]| {
        assert_eq!(w.append(StreamId::META, 5, meta), Append::Stored);
        w.end(Exit::Code(0), 9).unwrap();
    };
    let entry = || store.entries().unwrap().next().unwrap();
    let meta = || store.last_record(&entry(), StreamId::META).unwrap().1;
    // The leases of its notes, oldest first.
    let leases = || -> Vec<Lease> {
        let bytes = fs::read(dir.path().join(FILE_NAME)).unwrap();
        let headers = bytes.chunks(PAGE_LEN).zip(0..);
        let headers = headers.filter_map(|(page, no)| PageHeader::decode(page, no));
        headers.filter(|header| header.chain.kind == Kind::Notes).map(|h| h.lease).collect()
    };
    let zero = |offset: u64, len: usize| {
        let file = fs::OpenOptions::new().write(true).open(dir.path().join(FILE_NAME)).unwrap();
        file.write_all_at(&vec![0; len], offset).unwrap();
    };
    add(store.begin(&new_session(1)).unwrap(), b"first");
    add(store.resume(&entry()).unwrap(), b"second");
    assert_eq!(meta(), b"second");
    zero(leases()[0].foot_at(), FOOT_LEN);
    assert_eq!(meta(), b"first");

    let told = |_: &Entry| Some(Told { facts: meta(), ..Told::default() });
    assert!(store.write_index(&mut { told }).unwrap());
    add(store.resume(&entry()).unwrap(), b"third");
    assert_eq!(meta(), b"third");
    zero(leases().last().unwrap().start * PAGE_LEN as u64, PAGE_LEN - FOOT_LEN);
    assert_eq!(meta(), b"second");
    let listed: Vec<_> = store.newest(true).unwrap().map(|listed| listed.facts).collect();
    assert_eq!(listed, [None], "nothing, rather than what was first");
}

#[test]
fn seeking_in_a_pack_lands_on_the_block() {
    // Blocks that are smaller than a page, and blocks that go over several; notes before the tape
    // and behind it that take more than a page.
    for (frames, is_random) in [(60_000u64, false), (6_000, true)] {
        let dir = TempDir::new("pack-seek");
        let store = dir.open(Access::Write);
        let mut w = store.begin(&new_session(1)).unwrap();
        let mut random = 1u64;
        let mut noise = |len: usize| -> Vec<u8> {
            let mut next = || {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 40) as u8
            };
            (0..len).map(|_| next()).collect()
        };
        let payload = if is_random { 500 } else { 16 };
        for n in 0..frames {
            let mut bytes = n.to_le_bytes().to_vec();
            bytes.extend(if is_random { noise(payload) } else { n.to_le_bytes().repeat(2) });
            w.append(StreamId::STDOUT, n * 10, &bytes);
        }
        w.append(StreamId::REPORT, 5, &noise(100_000));
        w.end(Exit::Code(0), 5).unwrap();
        let entry = || store.entries().unwrap().next().unwrap();
        assert!(store.pack(&entry()).unwrap());
        let mut w = store.resume(&entry()).unwrap();
        w.append(StreamId::REPORT, 5, &noise(100_000));
        w.end(Exit::Unknown, 0).unwrap();
        let len = 8 + payload as u64;
        for n in (0..frames).step_by(frames as usize / 50).chain([1, 170, frames - 1]) {
            let mut reader = store.read(&entry(), Chain::Tape);
            for by_time in [true, false] {
                match by_time {
                    true => reader.seek_time(n * 10),
                    false => reader.seek_byte(n * len),
                }
                let mut passed = 0;
                let found = loop {
                    match reader.next() {
                        // A record goes on in a second frame at a page's end.
                        Item::Frame { bytes, .. } if bytes.starts_with(&n.to_le_bytes()) => {
                            break bytes.len() as u64;
                        }
                        Item::Frame { .. } => passed += 1,
                        other => panic!("{other:?} before {n}"),
                    }
                };
                assert_eq!(reader.pos(), n * len + found, "by time: {by_time}");
                assert!(passed < 15_000, "{passed} frames before {n}, by time: {by_time}");
            }
        }
        let mut reader = store.read(&entry(), Chain::Tape);
        reader.seek_time(0);
        assert!(matches!(reader.next(), Item::Frame { t_us: 0, .. }));
        reader.seek_time(frames * 10 + 1000);
        let mut rest = 0;
        while let Item::Frame { .. } = reader.next() {
            rest += 1;
        }
        assert!(0 < rest && rest < 15_000, "{rest}");
        assert_eq!(reader.next(), Item::End);
    }
}

#[test]
fn a_file_that_grows_takes_no_room_and_is_never_made_shorter() {
    let dir = TempDir::new("grow");
    fs::create_dir_all(dir.path()).unwrap();
    let path = dir.path().join("file");
    fs::write(&path, [7; 100]).unwrap();
    let storage = FileStorage::open(&path, true).unwrap();
    let before = fs::metadata(&path).unwrap().blocks();
    for (asked, len) in [(50, 100), (100, 100), (65_536, 65_536), (65_537, 65_537), (9, 65_537)] {
        storage.extend_to(asked).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), len, "asked for {asked}");
    }
    assert_eq!(fs::metadata(&path).unwrap().blocks(), before);
    let bytes = fs::read(&path).unwrap();
    assert_eq!((&bytes[..100], bytes[100..].iter().any(|byte| *byte != 0)), (&[7; 100][..], false));
}
