//! Real processes append to one store, say over a pipe what was stored, and are killed at random.
//! Nothing they said may be missing. `IL_KILLS=10000` kills that many, on each file system that can
//! be mounted here too; `IL_GROUND=xfs,btrfs` on those alone.

use crate::places::foreign_kernel;
use crate::store::TempDir;
use intentloop::store::{
    Access, Append, Chain, Entry, Exit, FILE_NAME, Item, NewSession, Store, StreamId, Why,
    Writer as SessionWriter,
};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Names the store's directory to a process that is to be a writer.
const WRITER: &str = "IL_TEST_STORE_WRITER";
const SECOND: u64 = 1_000_000;
/// Writers at the same time.
const WRITERS: usize = 30;
/// Kills after which a store is looked at, and a new one begun: they grow by the hundred megabytes.
const KILLS_A_STORE: u64 = 100;
/// Where the kills happen: where the tests run, there with the answers of NFS, in memory.
const GROUNDS: [&str; 3] = ["here", "nfs", "tmpfs"];
/// File systems that the long form makes and mounts.
const FILE_SYSTEMS: [&str; 5] = ["ext4", "xfs", "btrfs", "fuse2fs", "bindfs"];
/// Bytes of their images, which are holes at first.
const IMAGE_LEN: u64 = 8 << 30;

/// What kills came to.
#[derive(Default)]
struct Tally {
    kills: u64,
    sessions: u64,
    records: u64,
}

/// What each session said, by chain.
type Stored = HashMap<(u64, Chain), Said>;

/// What a session said of its records in one chain.
#[derive(Clone, Debug, Default)]
struct Said {
    /// The last one that was stored.
    last: u64,
    /// Those that were not, or not yet: the disk kept the store waiting for too long.
    not: Vec<u64>,
}

fn chain_of(index: u64) -> Chain {
    if index.is_multiple_of(9) { Chain::Notes } else { Chain::Tape }
}

fn content(salt: u64, index: u64) -> Vec<u8> {
    let mut x = salt ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let len = match index % 23 {
        0 => 40_000 + x % 60_000,
        1..5 => 1000 + x % 9000,
        _ => 1 + x % 300,
    };
    let mut bytes = Vec::with_capacity(len as usize + 8);
    while bytes.len() < len as usize {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(x ^ (x >> 31)).to_le_bytes());
    }
    bytes.truncate(len as usize);
    bytes
}

fn id_of(salt: u64) -> [u8; 16] {
    let mut id = *b"\x01\x9e\x6c\x0a\x8f\x2b\x7c\x31........";
    id[8..].copy_from_slice(&salt.to_be_bytes());
    id
}

/// The writer's side: appends until it is killed, or for a while, and says what was stored.
#[test]
fn a_writer_for_the_kill_test() {
    let Some(dir) = std::env::var_os(WRITER) else { return };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let salt = u64::from(std::process::id()) << 32 | u64::from(now.subsec_nanos()) | 1;
    let store = Store::open(Path::new(&dir), Access::Write).unwrap();
    let new = NewSession { id: id_of(salt), start_us: 0, label: [0; 16], meta: b"{}" };
    let mut w = begin(&store, &new);
    let mut out = std::io::stderr().lock();
    for index in 1..2000 {
        let stream = if index % 9 == 0 { StreamId::CONVERSATION } else { StreamId::STDOUT };
        // A second a record: what had to wait for a lock is tried again with the next.
        let stored = w.append(stream, index * SECOND, &content(salt, index)) == Append::Stored;
        // One write: a line in the pipe is whole.
        let word = if stored { "stored" } else { "not" };
        out.write_all(format!("{word} {salt} {index}\n").as_bytes()).unwrap();
        if index % 50 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    w.end(Exit::Code(0), 1).unwrap();
}

/// Begins as a recorder does, which tries again while a disk that syncs slowly holds others up.
fn begin(store: &Store, new: &NewSession<'_>) -> SessionWriter {
    const TRIES_MAX: u32 = 300;
    for _ in 1..TRIES_MAX {
        if let Ok(writer) = store.begin(new) {
            return writer;
        }
    }
    store.begin(new).unwrap()
}

struct Writer {
    child: Child,
    reader: std::thread::JoinHandle<()>,
}

/// Where writers work: a directory, and what stands between them and the kernel.
struct Ground<'a> {
    dir: &'a Path,
    kernel: Option<&'a Path>,
}

fn plain(dir: &Path) -> Ground<'_> {
    Ground { dir, kernel: None }
}

fn start(ground: &Ground<'_>, stored: &Arc<Mutex<Stored>>) -> Writer {
    let mut command = Command::new(std::env::current_exe().unwrap());
    if let Some(kernel) = ground.kernel {
        command.env("LD_PRELOAD", kernel).env("F_TYPE", "6969");
    }
    let mut child = command
        .args(["--exact", "store_kill::a_writer_for_the_kill_test", "--nocapture"])
        .env(WRITER, ground.dir)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (pipe, stored) = (child.stderr.take().unwrap(), Arc::clone(stored));
    let reader = std::thread::spawn(move || {
        let mut lines = BufReader::new(pipe).lines().map_while(Result::ok);
        while let Some(line) = lines.next() {
            let words: Vec<&str> = line.split(' ').collect();
            let [word @ ("stored" | "not"), salt, index] = words[..] else {
                panic!("a writer says: {line}{}", lines.collect::<Vec<_>>().join("\n"))
            };
            let index: u64 = index.parse().unwrap();
            let mut stored = stored.lock().unwrap();
            let said = stored.entry((salt.parse().unwrap(), chain_of(index))).or_default();
            match word {
                "stored" => said.last = index,
                _ => said.not.push(index),
            }
        }
    });
    Writer { child, reader }
}

fn signal(writer: &Writer, signal: i32) {
    // The shell's kill, for tests have no unsafe of their own.
    let pid = writer.child.id().to_string();
    let done =
        Command::new("kill").args([format!("-{signal}"), pid]).stderr(Stdio::null()).status();
    assert!(done.is_ok());
}

/// Kills so many writers in a directory, over as many stores as it takes, and prints what was found.
fn kill_and_look(name: &str, ground: &Ground<'_>, kills: u64) {
    let mut tally = Tally::default();
    let start = Instant::now();
    while tally.kills < kills {
        let store = ground.dir.join(format!("after-{}", tally.kills));
        let there = Ground { dir: &store, ..*ground };
        kill_in_one_store(&there, KILLS_A_STORE.min(kills - tally.kills), &mut tally);
        std::fs::remove_dir_all(&store).unwrap();
    }
    println!(
        "{name}: kills {}, sessions {}, records {}, acknowledged records lost 0, {:.1} ms a kill",
        tally.kills,
        tally.sessions,
        tally.records,
        start.elapsed().as_secs_f64() * 1e3 / kills as f64
    );
}

fn kill_in_one_store(ground: &Ground<'_>, kills: u64, tally: &mut Tally) {
    let stored = Arc::new(Mutex::new(HashMap::new()));
    let mut writers: Vec<Writer> = (0..WRITERS).map(|_| start(ground, &stored)).collect();
    let mut x = 88_172_645_463_325_252u64 ^ tally.kills << 20;
    for kill in 0..kills {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        std::thread::sleep(Duration::from_micros(500 + x % 20_000));
        let at = (x >> 20) as usize % writers.len();
        if kill % 5 == 0 {
            // One that stands still with whatever lock it has must not stop the others.
            let still = (at + 1) % writers.len();
            signal(&writers[still], libc::SIGSTOP);
            std::thread::sleep(Duration::from_millis(3));
            signal(&writers[still], libc::SIGCONT);
        }
        let mut gone = std::mem::replace(&mut writers[at], start(ground, &stored));
        let _ = gone.child.kill();
        gone.child.wait().unwrap();
        gone.reader.join().unwrap();
    }
    for mut writer in writers {
        let _ = writer.child.kill();
        writer.child.wait().unwrap();
        writer.reader.join().unwrap();
    }
    if ground.kernel.is_some() {
        let mut files = std::fs::read_dir(ground.dir).unwrap().map(|file| file.unwrap().path());
        let theirs = files.find(|path| path.display().to_string().contains("/store-")).unwrap();
        std::fs::rename(theirs, ground.dir.join(FILE_NAME)).unwrap();
    }
    let stored = stored.lock().unwrap();
    let store = Store::open(ground.dir, Access::Write).unwrap();
    check(&store, &stored);
    store.seal_lost().unwrap();
    check(&store, &stored);
    let report = store.verify(&mut |_| {}).unwrap();
    assert_eq!(report.problems, []);
    tally.kills += kills;
    tally.sessions += report.sessions;
    tally.records += report.frames;
}

fn check(store: &Store, stored: &Stored) {
    let mut left: Stored = stored.clone();
    for entry in store.entries().unwrap() {
        let mut salt = [0; 8];
        salt.copy_from_slice(&entry.id[8..]);
        let salt = u64::from_be_bytes(salt);
        for chain in [Chain::Tape, Chain::Notes] {
            let said = left.remove(&(salt, chain)).unwrap_or_default();
            let found = records_of(store, &entry, chain, salt, !said.not.is_empty());
            assert!(found.is_sorted_by(|a, b| a < b), "{salt}: out of order: {found:?}");
            let last = found.last().copied().unwrap_or(0).max(said.last);
            let missing = (1..=last).filter(|index| chain_of(*index) == chain).find(|index| {
                found.binary_search(index).is_err() && said.not.binary_search(index).is_err()
            });
            assert_eq!(missing, None, "{salt}: of {said:?}");
        }
    }
    assert!(left.is_empty(), "sessions lost: {left:?}");
}

/// The indices of a chain's records, each compared with what it must hold.
fn records_of(store: &Store, entry: &Entry, chain: Chain, salt: u64, may_drop: bool) -> Vec<u64> {
    let mut reader = store.read(entry, chain);
    let (mut found, mut whole) = (Vec::new(), Vec::new());
    loop {
        match reader.next() {
            Item::Frame { t_us: 0, .. } => {}
            Item::Frame { t_us, bytes, flags, .. } => {
                let index = t_us / SECOND;
                if flags & 2 == 0 {
                    whole.clear();
                }
                whole.extend_from_slice(bytes);
                if flags & 1 == 0 {
                    assert_eq!(whole, content(salt, index), "{salt} record {index}");
                    found.push(index);
                }
            }
            Item::Gap { why: Why::Dropped, .. } if may_drop => whole.clear(),
            Item::End => return found,
            other => panic!("{salt}: {other:?} in {:?}", entry.state),
        }
    }
}

#[test]
fn killed_writers_lose_nothing_they_said_was_stored() {
    let asked = std::env::var("IL_KILLS").ok().and_then(|n| n.parse().ok());
    let kills = asked.unwrap_or(50);
    let only = std::env::var("IL_GROUND").ok();
    let only: Option<Vec<&str>> = only.as_ref().map(|only| only.split(',').collect());
    for one in only.iter().flatten() {
        assert!(GROUNDS.contains(one) || FILE_SYSTEMS.contains(one), "IL_GROUND: {one}: unknown");
    }
    let wanted = |name: &str| match &only {
        Some(only) => only.contains(&name),
        None => GROUNDS.contains(&name) || asked.is_some(),
    };
    let not_run = |name: &str, why: &str| {
        assert!(only.is_none(), "{name}: {why}");
        println!("{name}: not run: {why}");
    };
    let disk = TempDir::new("kill");
    if wanted("here") {
        kill_and_look("here", &plain(disk.path()), kills);
    }
    if wanted("nfs") {
        let kernel = foreign_kernel(&disk.path().join("kernel"));
        let foreign = Ground { dir: disk.path(), kernel: Some(&kernel) };
        kill_and_look("here, with the answers of NFS", &foreign, kills);
    }
    let memory = PathBuf::from(format!("/dev/shm/il-kill-{}", std::process::id()));
    if wanted("tmpfs") {
        match Path::new("/dev/shm").is_dir() {
            true => {
                kill_and_look("tmpfs", &plain(&memory), kills);
                std::fs::remove_dir_all(&memory).unwrap();
            }
            false => not_run("tmpfs", "there is no /dev/shm"),
        }
    }
    for name in FILE_SYSTEMS.iter().filter(|name| wanted(name)) {
        match Mounted::new(name, disk.path()) {
            // Its one thread makes it slower than all others together.
            Ok(mounted) if *name == "fuse2fs" => {
                kill_and_look(name, &plain(&mounted.0), kills.div_ceil(10));
            }
            Ok(mounted) => kill_and_look(name, &plain(&mounted.0), kills),
            Err(why) => not_run(name, &why),
        }
    }
}

/// A file system in a file, for as long as this lives.
struct Mounted(PathBuf);

impl Mounted {
    /// Why it cannot be had here: only root may mount, and the tools that make it must be there.
    fn new(name: &str, dir: &Path) -> Result<Mounted, String> {
        let (image, place) = (dir.join(format!("{name}.image")), dir.join(name));
        std::fs::create_dir_all(&place).unwrap();
        if name == "bindfs" {
            std::fs::create_dir_all(&image).unwrap();
            say(Command::new(name).arg(&image).arg(&place))?;
            return Ok(Mounted(place));
        }
        std::fs::File::create(&image).unwrap().set_len(IMAGE_LEN).unwrap();
        let kind = if name == "fuse2fs" { "ext4" } else { name };
        say(Command::new(format!("mkfs.{kind}")).arg("-q").arg(&image))?;
        match name {
            "fuse2fs" => say(Command::new(name).arg(&image).arg(&place))?,
            _ => say(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&place))?,
        }
        Ok(Mounted(place))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// Runs a command; what it said if it failed.
fn say(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Err(e) => Err(format!("{}: {e}", command.get_program().display())),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}
