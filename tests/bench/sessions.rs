//! Stores of very many short sessions and of very much text, made through the library.

use std::fs;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use intentloop::Library;
use intentloop::event::{Counts, Friction};
use intentloop::session::{Derived, Ending, Meta, Repository, SessionId, WindowSize};
use intentloop::store::storage::{Lock, Storage};
use intentloop::store::{Access, Exit, FileStorage, INDEX_EVERY, NewSession, Store, StreamId};
use intentloop::time::WallTime;

/// 2026-01-01, the first session's start; the others follow a minute apart.
const FIRST_MS: u64 = 1_767_225_600_000;
const APART_MS: u64 = 60_000;

/// Syncs of a store that is being filled of which one is done: by itself the disk would be waited
/// for a hundred thousand times. What stands in the file is the same.
const SYNC_EVERY: u32 = 20_000;

/// The directory of a store with `count` finished sessions, which is made once for this text and
/// kept in the target directory: it is looked at, and never changed.
pub fn many(count: u32) -> PathBuf {
    let this = include_bytes!("sessions.rs");
    let print = this.iter().fold(0u32, |sum, &byte| sum.rotate_left(5) ^ u32::from(byte));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let dir = target.join(format!("sessions-{count}-{print:08x}"));
    if !dir.exists() {
        for old in fs::read_dir(target).expect("the target directory").flatten() {
            if old.file_name().to_string_lossy().starts_with("sessions-") {
                let _ = fs::remove_dir_all(old.path());
            }
        }
        let new = target.join("sessions-new");
        fill(&new, count);
        fs::rename(&new, &dir).expect("its name");
    }
    dir
}

/// Puts `count` finished sessions into a new store in `dir`.
fn fill(dir: &Path, count: u32) {
    drop(Store::open(dir, Access::Write).expect("a new store"));
    let file = FileStorage::open(&dir.join(intentloop::store::FILE_NAME), true).expect("its file");
    let syncs = Arc::new(AtomicU32::new(0));
    let storage = Arc::new(Lazy { inner: Arc::new(file), syncs });
    let store = Store::on(Arc::clone(&storage) as Arc<dyn Storage>, [0; 16]).expect("a store");
    for number in 0..count {
        let (begun, ended) = metas(number);
        let meta = begun.to_json();
        let start_us = begun.started.unix_us;
        let new = NewSession {
            id: begun.id.expect("an id").0,
            start_us,
            label: [0; 16],
            meta: meta.as_bytes(),
        };
        let mut writer = store.begin(&new).expect("a new session");
        let _ = writer.append(StreamId::STDOUT, 1000, b"all tests passed\r\n");
        let ended_json = with_changes(&ended.to_json(), number);
        let _ = writer.append(StreamId::META, 1_000_000, ended_json.as_bytes());
        let code = ended.ending.and_then(|ending| ending.exit_code).unwrap_or(0);
        writer.end(Exit::Code(code.into()), start_us + 1_000_000).expect("an end");
        // As old as an index gets: the session after the last one would have had it written anew.
        if number as usize + INDEX_EVERY == count as usize {
            let library = Library::on(store.clone());
            assert!(library.index().expect("an index"), "nobody else is at it");
        }
    }
    storage.inner.sync().expect("the disk");
}

/// What is known of session `number` when it begins, and when it has ended: agents and plain
/// commands in a few dozen repositories, some of them with tags, one in seven failed.
fn metas(number: u32) -> (Meta, Meta) {
    let ms = FIRST_MS + u64::from(number) * APART_MS;
    let started = WallTime { unix_us: (ms * 1000) as i64, offset_s: 0 };
    let argv: Vec<String> = match number % 5 {
        0 => vec!["claude".into(), "--model".into(), "opus".into()],
        1 => vec!["codex".into(), "exec".into(), format!("repair test {number}")],
        2 => vec!["cargo".into(), "test".into(), "--workspace".into()],
        3 => vec!["python3".into(), format!("tools/report-{}.py", number % 97)],
        _ => vec!["make".into(), format!("test{number}")],
    };
    let root = format!("/home/me/src/project-{:02}", number % 43);
    let mut tags = Vec::new();
    if number.is_multiple_of(9) {
        tags.push("nightly".to_owned());
    }
    if number % 20_000 == 77 {
        tags.push("rare".to_owned());
    }
    let begun = Meta {
        id: Some(SessionId(id_of(ms, number))),
        argv: argv.iter().map(Into::into).collect(),
        cwd: Some(format!("{root}/crates/core").into()),
        started,
        tags,
        size: Some(WindowSize { cols: 120, rows: 40 }),
        term: Some("xterm-256color".into()),
        host: Some("workstation".into()),
        user: Some("me".into()),
        il_version: Some("0.1.0".into()),
        repository: Some(Repository {
            root: root.into(),
            branch: Some("main".into()),
            head: Some(format!("{number:040x}")),
        }),
        ..Meta::default()
    };
    let mut ended = begun.clone();
    ended.ending = Some(Ending {
        ended: started.plus_us(1_000_000),
        duration_us: 1_000_000,
        exit_code: Some(u8::from(number.is_multiple_of(7))),
        bytes_out: 18,
        ..Ending::default()
    });
    if number % 5 < 2 {
        ended.derived = Some(Derived {
            version: 1,
            source: "transcript".into(),
            agent: Some(argv[0].clone()),
            agent_version: Some("2.0.1".into()),
            native_session: Some(format!("{number:08x}-1111-4222-8333-444444444444")),
            model: Some(if number.is_multiple_of(5) { "claude-opus-4" } else { "gpt-5" }.into()),
            prompt: Some(format!("The login page answers 500 since change {number}: repair it")),
            conf: 1.0,
            reasons: vec!["same directory".into(), "same time".into()],
            counts: Counts { turns: 3, tool_calls: 12, requests: 9, ..Counts::default() },
            friction: Some(Friction::default()),
            ..Derived::default()
        });
    }
    (begun, ended)
}

/// What is known of session `number`, and, if it is an agent's, the five files that it changed.
fn with_changes(json: &str, number: u32) -> String {
    if number % 5 >= 2 {
        return json.to_owned();
    }
    let part = number % 501;
    let file = |n| format!(r#"{{"path":"crates/core/src/part-{part}/{n}.rs","op":"M","plus":1}}"#);
    let files = [0, 1, 2, 3, 4].map(file).join(",");
    let rest = json.strip_suffix('}').expect("an object");
    format!(r#"{rest},"changes":{{"files":[{files}],"files_changed":5,"insertions":5}}}}"#)
}

/// A store's file whose disk is waited for now and then.
#[derive(Debug)]
struct Lazy {
    inner: Arc<dyn Storage>,
    syncs: Arc<AtomicU32>,
}

impl Storage for Lazy {
    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }

    fn extend_to(&self, len: u64) -> io::Result<()> {
        self.inner.extend_to(len)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.inner.write_at(offset, parts)
    }

    fn punch(&self, range: Range<u64>) -> io::Result<()> {
        self.inner.punch(range)
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        self.inner.next_data(offset)
    }

    fn sync(&self) -> io::Result<()> {
        match self.syncs.fetch_add(1, Ordering::Relaxed) % SYNC_EVERY {
            0 => self.inner.sync(),
            _ => Ok(()),
        }
    }

    fn try_lock(&self, byte: u64, lock: Lock) -> io::Result<bool> {
        self.inner.try_lock(byte, lock)
    }

    fn unlock(&self, byte: u64) -> io::Result<()> {
        self.inner.unlock(byte)
    }

    fn is_locked(&self, byte: u64) -> io::Result<bool> {
        self.inner.is_locked(byte)
    }

    fn pause(&self) {
        self.inner.pause();
    }

    fn reopen(&self) -> io::Result<Arc<dyn Storage>> {
        let syncs = Arc::clone(&self.syncs);
        Ok(Arc::new(Lazy { inner: self.inner.reopen()?, syncs }))
    }

    fn is_current(&self) -> io::Result<bool> {
        self.inner.is_current()
    }

    fn sibling(&self) -> io::Result<Arc<dyn Storage>> {
        self.inner.sibling()
    }

    fn replace_by(&self, sibling: &dyn Storage) -> io::Result<()> {
        self.inner.replace_by(sibling)
    }

    fn path(&self) -> &Path {
        self.inner.path()
    }
}

/// A UUIDv7 whose random half comes from `number`.
fn id_of(unix_ms: u64, number: u32) -> [u8; 16] {
    let mut id = [0; 16];
    id[..6].copy_from_slice(&unix_ms.to_be_bytes()[2..]);
    let noise = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    id[8..].copy_from_slice(&noise.to_be_bytes());
    id[6] = 0x70;
    id[8] = id[8] & 0x3f | 0x80;
    id
}

/// Puts sessions with this much settled text into a new store in `dir`, and the same text into
/// files in `files`: words that a random number picks, in lines of ten.
pub fn fill_with_text(dir: &Path, files: &Path, count: u32, text_len: usize) {
    std::fs::create_dir_all(files).expect("a directory");
    let store = Store::open(dir, Access::Write).expect("a new store");
    let mut seed = 1;
    for number in 0..count {
        let ms = FIRST_MS + u64::from(number) * APART_MS;
        let text = words(text_len, &mut seed);
        std::fs::write(files.join(format!("{number}.txt")), &text).expect("a file");
        let start_us = (ms * 1000) as i64;
        let new = NewSession { id: id_of(ms, number), start_us, label: [0; 16], meta: b"{}" };
        let mut writer = store.begin(&new).expect("a new session");
        for piece in text.chunks(16 << 10) {
            let _ = writer.append(StreamId::TEXT, 1000, piece);
        }
        let meta = format!(
            "{{\"v\":1,\"argv\":[\"make\"],\"text\":{{\"v\":1,\"off\":0,\"len\":{}}}}}",
            text.len()
        );
        let _ = writer.append(StreamId::META, 1000, meta.as_bytes());
        writer.end(Exit::Code(0), start_us + 1_000_000).expect("an end");
    }
}

/// `len` bytes of made-up words.
fn words(len: usize, seed: &mut u64) -> Vec<u8> {
    const SYLLABLES: &[u8; 64] =
        b"thanerisondetolavecomifubapagerohiselsunteraliparquemoxyzidoting";
    let mut text = Vec::with_capacity(len + 32);
    let mut count = 0;
    while text.len() < len {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bits = *seed >> 33;
        for syllable in 0..=bits % 3 {
            let at = (bits >> (8 + 6 * syllable)) as usize % 32;
            text.extend_from_slice(&SYLLABLES[2 * at..2 * at + 2]);
        }
        count += 1;
        text.push(if count % 10 == 0 { b'\n' } else { b' ' });
    }
    text.truncate(len);
    text
}
