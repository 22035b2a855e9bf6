//! The files in which agents keep their transcripts: found, watched while they grow, and copied
//! byte for byte as streams `native/N`.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::agent::locate::{self, Root};
use crate::agent::{self, Agent, Scope};
use crate::format::native::STREAMS_MAX;
use crate::json::write_object;
use crate::record::side::PIECE_LEN;

/// Names looked at in one walk through the directories of all agents.
pub const WALK_MAX: usize = 200_000;
/// Bytes of one file that are copied; a longer one is left out, and said so.
pub const FILE_LEN_MAX: u64 = 512 << 20;
/// Bytes that are copied for one session.
pub const COPIED_MAX: u64 = 1 << 30;
/// Bytes at the beginning of a transcript that tell whose it is.
const HEAD_LEN: u64 = 256 << 10;
/// Bytes at the end of what was copied by which a file that only grew is known.
const TAIL_LEN: usize = 256;
/// Times of files may be so much too early, in microseconds.
const SLACK_US: i64 = 2_000_000;
/// A file that is rewritten again and again is copied no more often than this.
const REWRITTEN_EVERY: Duration = Duration::from_secs(30);

/// Which of the files that a walk meets first were there before the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// All: it begins.
    Before,
    /// Those that were not written from then on, in microseconds since 1970.
    Until(i64),
    /// None: earlier walks have met those.
    No,
}

/// Where copies go.
pub trait Sink {
    /// Bytes of `native/n`, at its end. False when nobody takes them any more.
    fn native(&mut self, n: usize, bytes: &[u8]) -> bool;
    /// A record on what the native streams are copies of.
    fn source(&mut self, record: &str) -> bool;
}

/// An agent and one of its directories.
#[derive(Debug)]
struct Place {
    agent: &'static Agent,
    root: Root,
    /// The agent is at work in the session, as far as is known.
    awake: bool,
}

/// A file, and what has been copied of it.
#[derive(Debug)]
struct Watched {
    place: usize,
    /// Its path below the root.
    rel: String,
    path: PathBuf,
    key: String,
    /// Its length when the session began.
    start_len: Option<u64>,
    start_us: i64,
    seen: (u64, i64, u64),
    /// Its directory is another's: looked at when it had this length.
    others: Option<u64>,
    copy: Option<Copy>,
    generation: u32,
    too_long: bool,
}

/// The copy of a file.
#[derive(Debug)]
struct Copy {
    n: usize,
    /// Held open: what is written to a file before it is removed can be read after that.
    file: File,
    len: u64,
    inode: u64,
    tail: Vec<u8>,
    began: Instant,
}

/// The files of all agents that may work in a session.
#[derive(Debug)]
pub struct Files {
    places: Vec<Place>,
    files: Vec<Watched>,
    cwds: Vec<String>,
    streams: usize,
    copied: u64,
    walked: Duration,
}

impl Files {
    /// The files of these agents as they are when a session begins in `cwd`. Those of agents that
    /// are not `awake` are not copied until [`Files::wake`].
    pub fn at_start(
        agents: &[&'static Agent],
        awake: bool,
        env: &dyn Fn(&str) -> Option<OsString>,
        home: &Path,
        cwd: &Path,
        repository: Option<&Path>,
    ) -> Files {
        let mut files = Files {
            places: Vec::new(),
            files: Vec::new(),
            cwds: vec![cwd.to_string_lossy().into_owned()],
            streams: 0,
            copied: 0,
            walked: Duration::ZERO,
        };
        for agent in agents {
            for root in locate::roots(agent, env, home, cwd, repository) {
                files.places.push(Place { agent, root, awake });
            }
        }
        files.walk(Known::Before);
        files
    }

    /// Adds those of an agent that was found at work in `cwd` later on, in a session that began at
    /// `started_us`: what was written since then may be its work.
    pub fn add(
        &mut self,
        agent: &'static Agent,
        started_us: i64,
        env: &dyn Fn(&str) -> Option<OsString>,
        home: &Path,
        cwd: &Path,
        repository: Option<&Path>,
    ) {
        self.wake(agent, Some(cwd.to_string_lossy().into_owned()));
        let first = self.places.len();
        for root in locate::roots(agent, env, home, cwd, repository) {
            if !self.places.iter().any(|place| place.root == root) {
                self.places.push(Place { agent, root, awake: true });
            }
        }
        if self.places.len() > first {
            self.walk(Known::Until(started_us));
        }
    }

    /// An agent is at work in the session, in `cwd`.
    pub fn wake(&mut self, agent: &Agent, cwd: Option<String>) {
        for place in self.places.iter_mut().filter(|place| place.agent.name == agent.name) {
            place.awake = true;
        }
        if let Some(cwd) = cwd.filter(|cwd| !self.cwds.contains(cwd)) {
            self.cwds.push(cwd);
        }
    }

    /// The directories of agents that are at work.
    pub fn roots(&self) -> impl Iterator<Item = (&'static Agent, &Path)> {
        let awake = self.places.iter().filter(|place| place.awake);
        awake.map(|place| (place.agent, place.root.path.as_path()))
    }

    /// How long the last walk took: the next one is put off by a multiple of it.
    pub fn walked(&self) -> Duration {
        self.walked
    }

    /// Looks for files, and at how long they are.
    pub fn walk(&mut self, before: Known) {
        let began = Instant::now();
        let mut budget = WALK_MAX;
        let mut found = Vec::new();
        for (at, place) in self.places.iter().enumerate() {
            if before != Known::Before && !place.awake {
                continue;
            }
            let patterns: Vec<Vec<&str>> =
                place.root.patterns.iter().map(|pattern| pattern.split('/').collect()).collect();
            walk(&place.root.path, "", &patterns, &mut budget, &mut |rel, path, meta| {
                found.push((at, rel, path, meta));
            });
        }
        let mut known: HashMap<PathBuf, usize> =
            self.files.iter().enumerate().map(|(i, f)| (f.path.clone(), i)).collect();
        for (place, rel, path, meta) in found {
            let seen = (meta.len(), modified_us(&meta), meta.ino());
            match known.get(&path) {
                Some(&at) => self.files[at].seen = seen,
                None => {
                    known.insert(path.clone(), self.files.len());
                    let key = locate::session_key(self.places[place].agent, &rel);
                    let at_start = match before {
                        Known::Before => true,
                        // Times of files are coarse.
                        Known::Until(started_us) => seen.1 < started_us - SLACK_US,
                        Known::No => false,
                    };
                    self.files.push(Watched {
                        place,
                        rel,
                        path,
                        key,
                        start_len: at_start.then_some(seen.0),
                        start_us: if at_start { seen.1 } else { 0 },
                        seen,
                        others: None,
                        copy: None,
                        generation: 0,
                        too_long: false,
                    });
                }
            }
        }
        // A walk does not meet what has gone.
        self.look();
        self.walked = began.elapsed();
    }

    /// Looks again at the files that are being copied, without a walk.
    pub fn look(&mut self) {
        for file in self.files.iter_mut().filter(|file| file.copy.is_some()) {
            file.look();
        }
    }

    /// Copies what is new. Databases, and files that are rewritten often, wait until `all` is to be
    /// copied. False when nobody takes it.
    pub fn copy(&mut self, all: bool, sink: &mut dyn Sink) -> bool {
        let changed: Vec<(usize, String)> = self
            .files
            .iter()
            .filter(|f| self.places[f.place].awake && f.changed())
            .map(|f| (f.place, f.key.clone()))
            .collect();
        for at in 0..self.files.len() {
            let file = &self.files[at];
            let wanted = changed.iter().any(|(place, key)| {
                self.places[*place].agent.name == self.places[file.place].agent.name
                    && *key == file.key
            });
            if !wanted || (!all && file.is_database()) || !self.is_ours(at) {
                continue;
            }
            if self.copy_file(at, all, sink) == Some(false) {
                return false;
            }
        }
        true
    }

    /// Whether a file may be of this session: not if it says that it is of another directory.
    fn is_ours(&mut self, at: usize) -> bool {
        let file = &self.files[at];
        if file.copy.is_some() {
            return true;
        }
        let place = &self.places[file.place];
        let first = file.rel.split('/').next();
        if place.root.project.is_some() && place.root.project.as_deref() == first {
            return true;
        }
        // A head that says nothing yet is looked at again when there is more of it.
        let others = match file.others {
            Some(len) if len >= HEAD_LEN || len == file.seen.0 => true,
            _ => {
                let group: Vec<&Watched> = self
                    .files
                    .iter()
                    .filter(|f| f.place == file.place && f.key == file.key && !f.is_database())
                    .collect();
                self.is_of_others(place.agent, &group)
            }
        };
        self.files[at].others = others.then_some(self.files[at].seen.0);
        !others
    }

    fn is_of_others(&self, agent: &Agent, group: &[&Watched]) -> bool {
        let heads: Vec<(String, Vec<u8>)> =
            group.iter().map(|f| (f.rel.clone(), head_of(&f.path))).collect();
        let files: Vec<agent::File<'_>> =
            heads.iter().map(|(path, bytes)| agent::File { path, bytes }).collect();
        let cwd = locate::peek(agent, &files, &Scope::default()).cwd;
        cwd.is_some_and(|cwd| !self.cwds.contains(&cwd))
    }

    /// None where there was nothing to copy.
    fn copy_file(&mut self, at: usize, all: bool, sink: &mut dyn Sink) -> Option<bool> {
        let file = &mut self.files[at];
        if file.too_long || file.copy.as_ref().is_some_and(|c| file.is_copied(c)) {
            return None;
        }
        let (len, ..) = file.seen;
        if len > FILE_LEN_MAX || self.copied.saturating_add(len) > COPIED_MAX {
            file.too_long = true;
            let record = file.source(self.places[file.place].agent, None);
            return Some(sink.source(&record));
        }
        let opened = File::open(&file.path).ok();
        let inode = opened.as_ref().and_then(|f| f.metadata().ok()).map(|meta| meta.ino());
        if let Some(copy) = &mut file.copy {
            // Replaced or removed: the old one may have got its last lines.
            if inode != Some(copy.inode) && !copy.rest(&mut self.copied, sink)? {
                return Some(false);
            }
        }
        let mut source = opened?;
        let inode = inode?;
        let goes_on = file.copy.as_ref().is_some_and(|copy| {
            copy.inode == inode && len >= copy.len && has_tail(&mut source, copy)
        });
        if !goes_on {
            let rewritten = file.copy.as_ref().is_some_and(|c| c.began.elapsed() < REWRITTEN_EVERY);
            if self.streams >= STREAMS_MAX || (rewritten && !all) {
                return None;
            }
            file.generation += u32::from(file.copy.is_some());
            let began = Instant::now();
            let (n, tail) = (self.streams, Vec::new());
            file.copy = Some(Copy { n, file: source, len: 0, inode, tail, began });
            self.streams += 1;
            let record = file.source(self.places[file.place].agent, file.copy.as_ref());
            if !sink.source(&record) {
                return Some(false);
            }
        }
        file.copy.as_mut()?.rest(&mut self.copied, sink)
    }

    /// How long the files of agents at work are.
    pub fn lengths(&self) -> Vec<u64> {
        let awake = self.files.iter().filter(|file| self.places[file.place].awake);
        awake.map(|file| file.seen.0).collect()
    }

    /// Puts right what was handed over and did not arrive, by what the streams hold: it is copied
    /// again, into a stream of its own if there is a hole.
    pub fn mend(&mut self, kept: &BTreeMap<String, Vec<u8>>) {
        for file in &mut self.files {
            let database = file.is_database();
            let Some(copy) = &mut file.copy else { continue };
            let bytes = kept.get(&format!("native/{}", copy.n)).map_or(&[][..], Vec::as_slice);
            (copy.len, copy.tail) = (bytes.len() as u64, tail_of(bytes));
            // A database changes anywhere.
            if database && fs::read(&file.path).is_ok_and(|now| now != bytes) {
                file.copy = None;
                file.generation += 1;
            }
        }
    }
}

impl Copy {
    /// Copies what follows; what comes meanwhile, too, within limits. Whether it was taken; None
    /// where the file cannot be read.
    fn rest(&mut self, copied: &mut u64, sink: &mut dyn Sink) -> Option<bool> {
        self.file.seek(SeekFrom::Start(self.len)).ok()?;
        let mut piece = vec![0; PIECE_LEN];
        loop {
            let room = FILE_LEN_MAX.saturating_sub(self.len).min(PIECE_LEN as u64) as usize;
            let n = self.file.read(&mut piece[..room]).ok()?;
            if n == 0 {
                return Some(true);
            }
            if !sink.native(self.n, &piece[..n]) {
                return Some(false);
            }
            self.len += n as u64;
            *copied += n as u64;
            self.tail.extend_from_slice(&piece[n.saturating_sub(TAIL_LEN)..n]);
            let extra = self.tail.len().saturating_sub(TAIL_LEN);
            self.tail.drain(..extra);
        }
    }
}

fn tail_of(bytes: &[u8]) -> Vec<u8> {
    bytes[bytes.len().saturating_sub(TAIL_LEN)..].to_vec()
}

impl Watched {
    fn look(&mut self) {
        let held = self.copy.as_ref().and_then(|copy| copy.file.metadata().ok());
        if let Some(meta) = fs::metadata(&self.path).ok().or(held) {
            self.seen = (meta.len(), modified_us(&meta), meta.ino());
        }
    }

    fn changed(&self) -> bool {
        match self.start_len {
            None => true,
            Some(len) => self.copy.is_some() || self.seen.0 != len || self.seen.1 != self.start_us,
        }
    }

    fn is_copied(&self, copy: &Copy) -> bool {
        // Databases change in place; their length says nothing.
        copy.len == self.seen.0 && copy.inode == self.seen.2 && !self.is_database()
    }

    fn is_database(&self) -> bool {
        self.rel.ends_with(".db") || self.rel.ends_with(".db-wal")
    }

    fn source(&self, agent: &Agent, copy: Option<&Copy>) -> String {
        let mut out = String::new();
        write_object(&mut out, |o| {
            o.string("agent", agent.name);
            o.string("path", &self.path.to_string_lossy());
            o.string("rel", &self.rel);
            match copy {
                Some(copy) => o.string("stream", &format!("native/{}", copy.n)),
                None => o.string("left_out", "too long"),
            }
            o.int("generation", self.generation);
            o.int_opt("start_len", self.start_len);
        });
        out
    }
}

fn modified_us(meta: &fs::Metadata) -> i64 {
    meta.mtime().saturating_mul(1_000_000).saturating_add(meta.mtime_nsec() / 1000)
}

fn head_of(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path) {
        let _ = file.take(HEAD_LEN).read_to_end(&mut bytes);
    }
    bytes
}

fn has_tail(source: &mut File, copy: &Copy) -> bool {
    let mut tail = vec![0; copy.tail.len()];
    let at = copy.len - copy.tail.len() as u64;
    source.seek(SeekFrom::Start(at)).is_ok()
        && source.read_exact(&mut tail).is_ok()
        && tail == copy.tail
}

/// Hands over the files below `dir` that fit a pattern, links not followed into directories twice:
/// a pattern is as deep as it is long.
fn walk(
    dir: &Path,
    rel: &str,
    patterns: &[Vec<&str>],
    budget: &mut usize,
    found: &mut dyn FnMut(String, PathBuf, fs::Metadata),
) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if *budget == 0 {
            return;
        }
        *budget -= 1;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let fitting =
            patterns.iter().filter(|p| p.first().is_some_and(|p| locate::matches(p, name)));
        let deeper: Vec<Vec<&str>> = fitting.map(|pattern| pattern[1..].to_vec()).collect();
        if deeper.is_empty() {
            continue;
        }
        let path = entry.path();
        let below = if rel.is_empty() { name.to_owned() } else { format!("{rel}/{name}") };
        let Ok(meta) = fs::metadata(&path) else { continue };
        if meta.is_file() && deeper.iter().any(Vec::is_empty) {
            found(below, path, meta);
        } else if meta.is_dir() {
            walk(&path, &below, &deeper, budget, found);
        }
    }
}
