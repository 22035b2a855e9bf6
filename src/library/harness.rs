//! Recordings of codeloops and Intendant: what these kept themselves goes into the recording when
//! their command has ended, so that it has iterations, turns and outcome like one imported.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::import::{derived_of, described, write};
use super::{Library, Session};
use crate::error::Result;
use crate::format::native::{self, File, Foreign};
use crate::format::{codeloops, intendant};
use crate::session::SessionId;
use crate::store::{Exit, StreamId};
use crate::sys::time;

/// Bytes of output by which the events of codeloops are known.
const HEAD_LEN: u64 = 64 * 1024;
/// Most bytes of one log; they are held in memory.
const LOG_LEN_MAX: u64 = 1 << 30;
/// Most files of one log.
const FILES_MAX: usize = 100_000;
/// Files' times are rounded down, and clocks of file servers differ.
const SLACK: Duration = Duration::from_secs(2);
/// How deep the directories of a log are.
const DEPTH_MAX: usize = 4;
/// Words of a command line among which the program may be: others may start it.
const WORDS_MAX: usize = 6;

/// A log that a program kept of the session.
struct Log {
    format: &'static str,
    from: PathBuf,
    spine: String,
    files: Vec<(String, Vec<u8>)>,
}

/// Whether a command is, or starts, a program that keeps a log which [`take_own_log`] takes.
pub fn keeps_a_log(argv: &[OsString]) -> bool {
    is(argv, codeloops::NAME) || is(argv, intendant::NAME)
}

fn is(argv: &[OsString], name: &str) -> bool {
    let words = argv.iter().take(WORDS_MAX).map(Path::new);
    words.into_iter().any(|word| word.file_name().is_some_and(|n| n == name))
}

/// Adds the program's own log to the session that il has just recorded in `dir`, if its command
/// was one of these programs, or has printed the events of codeloops. Whether there was one.
///
/// # Errors
/// The store cannot be read or written.
pub fn take_own_log(dir: &Path, id: SessionId) -> Result<bool> {
    let library = Library::open_to_change(dir)?;
    let session = library.find_at_once(Some(&id.to_string()))?;
    // Another process reads the recording already, and knows what such output says.
    if session.meta.deriver.is_some() && !keeps_a_log(&session.meta.argv) {
        return Ok(false);
    }
    let Some((log, foreign)) = log_of(&library, &session) else { return Ok(false) };
    let files: Vec<File<'_>> = log.files.iter().map(|(path, bytes)| File { path, bytes }).collect();
    let places = native::places(&files, &log.spine);
    let mut meta = session.meta.clone();
    meta.imported = Some(described(log.format, &log.from, &foreign, &files, &places));
    meta.derived = Some(derived_of(&foreign));
    let mut writer = library.store.resume(&session.entry)?;
    let written = write(&mut writer, id, meta.started, &foreign, &files, &places);
    if written.is_ok() {
        let json = crate::json::parse(meta.to_json().as_bytes()).unwrap_or_default();
        for name in ["imported", "derived"] {
            library.amend(&session, &mut writer, name, json.get(name).cloned());
        }
    }
    writer.end(Exit::Unknown, 0)?;
    written.map(|()| true)
}

fn log_of(library: &Library, session: &Session) -> Option<(Log, Foreign)> {
    let argv = &session.meta.argv;
    if is(argv, intendant::NAME) {
        let value = argv.windows(2).find(|pair| pair[0] == "--log-file");
        let cwd = session.meta.cwd.as_deref().map_or(Path::new("/"), Path::new);
        return match value {
            Some(pair) => intendant_log(&cwd.join(&pair[1])),
            None => newest(session, &home()?.join(".intendant/logs"), &intendant_log),
        };
    }
    let kept = is(argv, codeloops::NAME).then(|| {
        let data = env::var_os("XDG_DATA_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let data = data.or_else(|| Some(home()?.join(".local/share")))?;
        newest(session, &data.join("codeloops/sessions"), &codeloops_file)
    });
    kept.flatten().or_else(|| codeloops_output(library, session))
}

fn home() -> Option<PathBuf> {
    env::home_dir()
}

/// Of the logs in a directory that were written during the session, the one of its directory that
/// began last.
fn newest(
    session: &Session,
    dir: &Path,
    read: &dyn Fn(&Path) -> Option<(Log, Foreign)>,
) -> Option<(Log, Foreign)> {
    let started = u64::try_from(session.meta.started.unix_us).unwrap_or(0);
    let started = (UNIX_EPOCH + Duration::from_micros(started)).checked_sub(SLACK)?;
    let cwd = session.meta.cwd.as_deref().map(Path::new)?;
    let words = &session.meta.argv;
    // The program may have been sent to another directory, which it was told by name.
    let fits = |log: &Foreign| {
        log.cwd.as_deref().is_none_or(|dir| {
            cwd.starts_with(dir)
                || words.iter().any(|word| word == dir || cwd.join(word) == Path::new(dir))
        })
    };
    let written = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let entries = fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path());
    let recent = entries.filter(|path| {
        let spine = path.join(intendant::SPINE_FILE);
        written(if spine.is_file() { &spine } else { path }).is_some_and(|at| at >= started)
    });
    let found = recent.filter_map(|path| read(&path)).filter(|(_, log)| fits(log));
    found.max_by_key(|(_, log)| log.started.map(|time| time.unix_us))
}

fn codeloops_file(path: &Path) -> Option<(Log, Foreign)> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let bytes = read(path, LOG_LEN_MAX)?;
    let foreign = codeloops::parse(&bytes, &name)?;
    let (from, spine) = (path.to_owned(), name.clone());
    let log = Log { format: codeloops::NAME, from, spine, files: vec![(name, bytes)] };
    Some((log, foreign))
}

/// What codeloops would have kept, from the events that it printed.
fn codeloops_output(library: &Library, session: &Session) -> Option<(Log, Foreign)> {
    let output = |len_max: u64| {
        let mut bytes = Vec::new();
        let stdout = library.store.stream(&session.entry, StreamId::STDOUT);
        stdout.take(len_max).read_to_end(&mut bytes).ok().map(|_| bytes)
    };
    if !codeloops::is_log(&output(HEAD_LEN)?) {
        return None;
    }
    let text = codeloops::session_of(&output(LOG_LEN_MAX)?)?;
    let name = "session.jsonl".to_owned();
    let foreign = codeloops::parse(text.as_bytes(), &name)?;
    let files = vec![(name.clone(), text.into_bytes())];
    Some((Log { format: codeloops::NAME, from: "stdout".into(), spine: name, files }, foreign))
}

fn intendant_log(dir: &Path) -> Option<(Log, Foreign)> {
    let (mut files, mut rest) = (Vec::new(), LOG_LEN_MAX);
    below(dir, "", 0, &mut rest, &mut files);
    let foreign = {
        let files: Vec<File<'_>> = files.iter().map(|(path, bytes)| File { path, bytes }).collect();
        intendant::parse(&files, &time::local_clock_offset_s)?
    };
    let (from, spine) = (dir.to_owned(), intendant::SPINE_FILE.to_owned());
    Some((Log { format: intendant::NAME, from, spine, files }, foreign))
}

/// The files below a directory in the order of their names, as far as there is room for them.
fn below(dir: &Path, name: &str, depth: usize, rest: &mut u64, files: &mut Vec<(String, Vec<u8>)>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut entries: Vec<fs::DirEntry> = entries.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let own = entry.file_name().to_string_lossy().into_owned();
        let path = if name.is_empty() { own } else { format!("{name}/{own}") };
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < DEPTH_MAX => {
                below(&entry.path(), &path, depth + 1, rest, files);
            }
            Ok(kind) if kind.is_file() && files.len() < FILES_MAX => {
                if let Some(bytes) = read(&entry.path(), *rest) {
                    *rest -= bytes.len() as u64;
                    files.push((path, bytes));
                }
            }
            _ => {}
        }
    }
}

fn read(path: &Path, len_max: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).ok()?;
    file.take(len_max.saturating_add(1)).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= len_max).then_some(bytes)
}
