//! `il import`: sessions of other programs, and of other stores, into this one.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{history, home, print, recordings};
use crate::cli::{Command, Global, Hint, Operand, Operands};
use crate::error::{Error, Result};
use crate::format::line;
use crate::format::native::{self, File, Foreign};
use crate::format::{codeloops, intendant};
use crate::library::{self, Known, Library, Taken};
use crate::store::{Access, FILE_NAME, FileStorage, Store};
use crate::sys::time;

/// `il import PATH...`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "import",
    summary: "Take in sessions of other programs, or another store",
    flags: &[],
    shared: &[],
    operands: Operands::Each(
        &[Operand::many(
            "PATH",
            Hint::File,
            "Session, log directory, store, or a directory of them",
        )],
        |args: &mut Args, word| {
            args.paths.push(word);
            Ok(())
        },
    ),
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    paths: Vec<OsString>,
}

/// What every page of a store begins with.
const PAGE_START: [u8; 4] = *b"ILP1";
/// Bytes of a file by which it is known.
const START_LEN: u64 = 64 * 1024;
/// How deep directories are searched for sessions.
const DEPTH_MAX: usize = 8;
/// Most bytes of one session, all its files together: they are held in memory.
pub(super) const SESSION_LEN_MAX: u64 = 1 << 30;
/// Most files of one session.
const FILES_MAX: usize = 100_000;
/// Most reasons that are told one by one.
const REASONS_MAX: usize = 20;

/// What the import has come to.
#[derive(Debug, Default)]
pub(super) struct Sum {
    /// Sessions that are new, by format.
    taken: Vec<(&'static str, u64)>,
    pub(super) known: u64,
    pub(super) bytes: u64,
    /// Places within sessions that could not be read; their bytes were taken all the same.
    pub(super) broken: u64,
    /// What was not taken, and why.
    left: Vec<(PathBuf, String)>,
    /// Files of directories that are of no known kind.
    other: u64,
    pub(super) seen: u64,
    /// Sessions of agents that took the place of shorter ones.
    pub(super) grown: u64,
    /// Transcripts in which nobody said anything.
    pub(super) empty: u64,
    /// The agents' sessions that are in the store; None until one is asked for.
    pub(super) histories: Option<Known>,
    /// Recordings of several files that were come across.
    together: BTreeSet<PathBuf>,
}

fn run(args: Args, global: &Global) -> Result<u8> {
    let dir = home::dir(global)?;
    let store = Store::open(&dir, Access::Write)?;
    let mut sum = Sum::default();
    for path in &args.paths {
        take(&store, Path::new(path), 0, &mut sum)?;
    }
    progress("");
    Library::on(store).index_if_due();
    print(sum.text())?;
    let nothing = sum.taken.is_empty() && sum.known == 0;
    Ok(u8::from(nothing || !sum.left.is_empty()))
}

/// Where other programs keep sessions below a user's home, besides agents.
const HOME_PLACES: [&str; 2] = [".intendant/logs", ".local/share/codeloops/sessions"];

/// Takes what `path` is. Only the store's own failures end the import.
fn take(store: &Store, path: &Path, depth: usize, sum: &mut Sum) -> Result<()> {
    let kind = match if depth == 0 { fs::metadata(path) } else { fs::symlink_metadata(path) } {
        Ok(meta) => meta.file_type(),
        Err(e) => return sum.leave(path, Error::io("cannot read", &e).to_string()),
    };
    if kind.is_dir() {
        return take_dir(store, path, depth, sum);
    }
    if !kind.is_file() {
        return sum.not_known(path, depth, "neither a file nor a directory");
    }
    let name = path.file_name().unwrap_or_default();
    let parent = path.parent().unwrap_or(Path::new("."));
    if name == FILE_NAME {
        return take_store(store, path, Store::open(parent, Access::Read), sum);
    }
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    if name == intendant::SPINE_FILE && is_log(parent) {
        return take_log(store, parent, sum);
    }
    if starts_as_store(path) {
        return take_store(store, path, backup(path), sum);
    }
    let known = path.extension().is_some_and(|e| e == "jsonl" || e == "cast");
    if depth > 0 && !known && !recordings::is_typescript(&start_of(path)) {
        return sum.not_known(path, depth, "");
    }
    let bytes = match read(path, SESSION_LEN_MAX) {
        Ok(bytes) => bytes,
        Err(why) => return sum.leave(path, why),
    };
    let name = name.to_string_lossy();
    match codeloops::parse(&bytes, &name) {
        Some(session) => {
            let files = [File { path: &name, bytes: &bytes }];
            put(store, codeloops::NAME, path, &session, &files, &name, sum)
        }
        None => match history::agent_of(&bytes) {
            Some(agent) => {
                let files = [(name.into_owned(), bytes)];
                history::take_one(&Library::on(store.clone()), agent, path, &files, sum)
            }
            None => take_recording(store, path, depth, &bytes, sum),
        },
    }
}

fn take_recording(
    store: &Store,
    path: &Path,
    depth: usize,
    bytes: &[u8],
    sum: &mut Sum,
) -> Result<()> {
    let found = match recordings::find(path, bytes) {
        Ok(Some(found)) => found,
        Ok(None) => return sum.not_known(path, depth, "no format that il knows"),
        Err(why) => return sum.leave(path, why),
    };
    // Of files that belong together, each may have been named.
    let whole = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if !sum.together.insert(whole(&found.files[0].0)) {
        return Ok(());
    }
    sum.seen += 1;
    progress(&format!("{} sessions", sum.seen));
    let from = whole(path);
    let natives = found.natives();
    let (recording, modified) = (&found.recording, found.modified);
    match library::import_recording(store, found.format, &from, recording, modified, &natives)? {
        Taken::Known(_) => sum.known += 1,
        Taken::New(_) => {
            sum.count(found.format, 1);
            sum.broken += recording.broken.len() as u64;
            sum.bytes += natives.iter().map(|file| file.bytes.len() as u64).sum::<u64>();
        }
    }
    Ok(())
}

fn take_dir(store: &Store, path: &Path, depth: usize, sum: &mut Sum) -> Result<()> {
    if is_log(path) {
        return take_log(store, path, sum);
    }
    if path.join(FILE_NAME).is_file() {
        return take_store(store, path, Store::open(path, Access::Read), sum);
    }
    let folders = history::folders(path);
    if !folders.is_empty() {
        history::take(&Library::on(store.clone()), &folders, sum)?;
        for place in HOME_PLACES.map(|place| path.join(place)).iter().filter(|p| p.is_dir()) {
            take(store, place, depth + 1, sum)?;
        }
        return Ok(());
    }
    if depth == DEPTH_MAX {
        return sum.leave(path, format!("more than {DEPTH_MAX} directories deep"));
    }
    let entries = match sorted(path) {
        Ok(entries) => entries,
        Err(e) => return sum.leave(path, Error::io("cannot read", &e).to_string()),
    };
    let before = (sum.seen, sum.left.len());
    for entry in entries {
        take(store, &entry, depth + 1, sum)?;
    }
    match depth == 0 && before == (sum.seen, sum.left.len()) {
        true => sum.leave(path, "no session in it that il knows".to_owned()),
        false => Ok(()),
    }
}

fn take_store(store: &Store, path: &Path, from: Result<Store>, sum: &mut Sum) -> Result<()> {
    let from = match from {
        Ok(from) => from,
        Err(e) => return sum.leave(path, e.to_string()),
    };
    let same = |a: PathBuf, b: PathBuf| fs::canonicalize(a).ok() == fs::canonicalize(b).ok();
    if same(from.path(), store.path()) {
        return sum.leave(path, "it is this store".to_owned());
    }
    let copied = store.import(&from, &mut |p| {
        progress(&format!("session {} of {}", p.done + 1, p.total));
    })?;
    sum.seen += copied.sessions + copied.known;
    sum.known += copied.known;
    sum.bytes += copied.bytes;
    sum.count("il", copied.sessions);
    Ok(())
}

/// Whether a directory is a log of Intendant: by its spine's first line, for codeloops may call a
/// session by the same name.
fn is_log(dir: &Path) -> bool {
    let mut bytes = Vec::new();
    let read = fs::File::open(dir.join(intendant::SPINE_FILE))
        .and_then(|file| io::Read::read_to_end(&mut io::Read::take(file, START_LEN), &mut bytes));
    read.is_ok() && intendant::is_log(&[File { path: intendant::SPINE_FILE, bytes: &bytes }])
}

/// Whether a file begins like a page of a store: a backup has whatever name it was given.
fn starts_as_store(path: &Path) -> bool {
    start_of(path).starts_with(&PAGE_START)
}

/// The first bytes of a file; fewer where there are not so many.
fn start_of(path: &Path) -> [u8; 32] {
    let mut start = [0; 32];
    if let Ok(mut file) = fs::File::open(path) {
        let _ = io::Read::read(&mut file, &mut start);
    }
    start
}

fn backup(path: &Path) -> Result<Store> {
    let cannot = |e: &io::Error| Error::io(format!("cannot open {}", path.display()), e);
    let storage = FileStorage::open(path, false).map_err(|e| cannot(&e))?;
    Store::on(Arc::new(storage), [0; 16])
}

/// An Intendant log: all files below its directory, but for links, pipes and the like.
fn take_log(store: &Store, dir: &Path, sum: &mut Sum) -> Result<()> {
    let mut paths = Vec::new();
    if let Err(why) = walk(dir, 0, &mut paths, sum) {
        return sum.leave(dir, why);
    }
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut rest = SESSION_LEN_MAX;
    for path in paths {
        let bytes = match read(&path, rest) {
            Ok(bytes) => bytes,
            Err(why) => return sum.leave(&path, why),
        };
        rest -= bytes.len() as u64;
        let name = path.strip_prefix(dir).unwrap_or(&path).to_string_lossy().into_owned();
        files.push((name, bytes));
    }
    let files: Vec<File<'_>> = files.iter().map(|(path, bytes)| File { path, bytes }).collect();
    match intendant::parse(&files, &time::local_clock_offset_s) {
        Some(session) => {
            put(store, intendant::NAME, dir, &session, &files, intendant::SPINE_FILE, sum)
        }
        None => sum.leave(dir, "its session.jsonl is no log of Intendant".to_owned()),
    }
}

fn put(
    store: &Store,
    format: &'static str,
    from: &Path,
    session: &Foreign,
    files: &[File<'_>],
    spine: &str,
    sum: &mut Sum,
) -> Result<()> {
    let places = native::places(files, spine);
    let from = fs::canonicalize(from).unwrap_or_else(|_| from.to_owned());
    sum.seen += 1;
    progress(&format!("{} sessions", sum.seen));
    match library::import(store, format, &from, session, files, &places)? {
        Taken::Known(_) => sum.known += 1,
        Taken::New(_) => {
            sum.count(format, 1);
            sum.broken += session.broken.len() as u64;
            sum.bytes += files.iter().map(|file| file.bytes.len() as u64).sum::<u64>();
        }
    }
    Ok(())
}

/// The files below a directory, in the order of their names.
fn walk(
    dir: &Path,
    depth: usize,
    paths: &mut Vec<PathBuf>,
    sum: &mut Sum,
) -> std::result::Result<(), String> {
    let entries = sorted(dir).map_err(|e| Error::io("cannot read", &e).to_string())?;
    for path in entries {
        match fs::symlink_metadata(&path).map(|meta| meta.file_type()) {
            Ok(kind) if kind.is_dir() && depth < DEPTH_MAX => walk(&path, depth + 1, paths, sum)?,
            Ok(kind) if kind.is_file() => paths.push(path),
            _ => sum.left.push((path, "not a file; the rest of its session was taken".to_owned())),
        }
        if paths.len() > FILES_MAX {
            return Err(format!("more than {FILES_MAX} files"));
        }
    }
    Ok(())
}

fn sorted(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths =
        fs::read_dir(dir)?.map(|e| Ok(e?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    paths.sort();
    Ok(paths)
}

pub(super) fn read(path: &Path, len_max: u64) -> std::result::Result<Vec<u8>, String> {
    let cannot = |e: io::Error| Error::io("cannot read", &e).to_string();
    let file = fs::File::open(path).map_err(cannot)?;
    let mut bytes = Vec::new();
    let mut limited = io::Read::take(file, len_max + 1);
    io::Read::read_to_end(&mut limited, &mut bytes).map_err(cannot)?;
    match bytes.len() as u64 > len_max {
        true => Err(format!("a session of more than {}", line::size(SESSION_LEN_MAX))),
        false => Ok(bytes),
    }
}

impl Sum {
    pub(super) fn count(&mut self, format: &'static str, sessions: u64) {
        match self.taken.iter_mut().find(|(name, _)| *name == format) {
            Some((_, count)) => *count += sessions,
            None if sessions > 0 => self.taken.push((format, sessions)),
            None => {}
        }
    }

    pub(super) fn leave(&mut self, path: &Path, why: String) -> Result<()> {
        self.left.push((path.to_owned(), why));
        Ok(())
    }

    /// What was named is answered for; what only lies about in a directory is counted.
    fn not_known(&mut self, path: &Path, depth: usize, why: &str) -> Result<()> {
        match depth {
            0 => self.leave(path, why.to_owned()),
            _ => {
                self.other += 1;
                Ok(())
            }
        }
    }

    fn text(&self) -> String {
        let plural = |n: u64, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
        let total: u64 = self.taken.iter().map(|(_, count)| count).sum();
        let mut out = format!("Imported {}", plural(total, "session"));
        if total > 0 {
            let by: Vec<String> =
                self.taken.iter().map(|(name, n)| format!("{n} {name}")).collect();
            out.push_str(&format!(" ({}), {}", by.join(", "), line::size(self.bytes)));
        }
        out.push('\n');
        if self.grown > 0 {
            let took = if self.grown == 1 { "has" } else { "have" };
            out.push_str(&format!(
                "{} of them {took} grown and took the place of what was here\n",
                self.grown
            ));
        }
        if self.empty > 0 {
            let files = plural(self.empty, "transcript");
            out.push_str(&format!("{files} passed over: nobody says anything\n"));
        }
        if self.known > 0 {
            let were = if self.known == 1 { "was" } else { "were" };
            out.push_str(&format!("{} {were} here already\n", plural(self.known, "session")));
        }
        if self.broken > 0 {
            let places = plural(self.broken, "place");
            out.push_str(&format!("{places} could not be understood; the bytes are kept\n"));
        }
        if self.other > 0 {
            out.push_str(&format!("{} of other kinds passed over\n", plural(self.other, "file")));
        }
        for (path, why) in self.left.iter().take(REASONS_MAX) {
            let path = line::clean(&path.to_string_lossy());
            out.push_str(&format!("Not taken: {path}: {why}\n"));
        }
        let more = self.left.len().saturating_sub(REASONS_MAX) as u64;
        if more > 0 {
            out.push_str(&format!("and {more} more\n"));
        }
        out
    }
}

/// One line on the terminal that says how far the work has come; an empty one when it is done.
pub(super) fn progress(text: &str) {
    let mut err = io::stderr();
    if err.is_terminal() {
        let text = if text.is_empty() { String::new() } else { format!("il import: {text}") };
        // Nothing depends on whether anybody sees it.
        let _ = err.write_all(format!("\r{text}\x1b[K").as_bytes());
    }
}
