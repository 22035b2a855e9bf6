//! What a session changes in its repository: a process of its own takes the state of the work
//! tree when the session begins and when its recorder has gone, and adds what differs to the
//! session.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::edits::Edits;
use super::{Library, Session};
use crate::error::Result;
use crate::git::{Changes, Early, Shadow, Snapshot};
use crate::session::{Repository, SessionId};
use crate::store::{Append, Writer};
use crate::sys::file::{Lock, is_locked, try_lock};
use crate::sys::process::{self, Fork};
use crate::sys::signal::Mask;
use crate::sys::time;

/// The session that has just ended may still be held by who makes it durable.
const RESUME_TRIES: u32 = 100;
/// Time between two attempts at something that another process holds.
const RETRY: Duration = Duration::from_millis(50);
/// git starts after the command: what the command changes meanwhile was looked at before, or is told
/// by the time of its files.
const START_DELAY: Duration = Duration::from_millis(20);
/// How long the changes of a session that has just ended are waited for.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// What a session changed is added to it sooner after its end, or is waited for.
const RECENT_US: i64 = 60_000_000;
/// A directory that a process has left behind is removed after this.
const STALE: Duration = Duration::from_secs(7 * 86_400);
/// The beginning of the names of those directories.
const PREFIX: &str = "git.";

/// A repository that is watched.
#[derive(Debug)]
pub struct Watch {
    /// The session has ended when this is closed, on purpose or because this process dies.
    pub held: OwnedFd,
    /// Hung up when what a short command might change at once has been seen.
    pub seen: OwnedFd,
}

/// Has a repository as it is now watched for a session of the store in `home`. The state of
/// now is taken by a child that nobody waits for.
///
/// Call it while the process has one thread.
///
/// # Errors
/// What fork(2) or pipe(2) say.
pub fn watch(home: &Path, id: SessionId, repository: &Repository) -> io::Result<Watch> {
    let since_ns = time::file_clock_ns();
    let dir = home.join(format!("{PREFIX}{id}"));
    DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
    let (end, held) = process::pipe()?;
    let (seen, seeing) = process::pipe()?;
    if let Fork::Parent(_) = process::fork()? {
        return Ok(Watch { held, seen });
    }
    let root = Path::new(&repository.root);
    let id_len = repository.head.as_ref().map_or(20, |head| head.len() / 2);
    // These are among the descriptors that are closed, before anything that may take its time: a
    // reader of what the command writes waits for whoever else holds its pipe.
    [held, seen].into_iter().for_each(std::mem::forget);
    let done = process::go_behind(&[end.as_fd(), seeing.as_fd()]).and_then(|()| {
        let early = Early::look(root, &dir, id_len, since_ns);
        drop(seeing);
        process::give_way();
        Mask::empty().install();
        // Whoever asks for the changes sees by the lock that they are being taken.
        let lock = File::create(dir.join("lock"))?;
        try_lock(&lock, 0, Lock::Exclusive)?;
        std::thread::sleep(START_DELAY);
        let changes = see(repository, &dir, (since_ns, early), end);
        let kept = keep(home, id, changes);
        // The lock goes last.
        for part in ["objects", "early"] {
            let _ = fs::remove_dir_all(dir.join(part));
        }
        let _ = fs::remove_dir_all(&dir);
        remove_stale(home);
        kept
    });
    process::exit_now(u8::from(done.is_err()))
}

/// What changed until the recorder has gone, and the diff of it.
fn see(
    repository: &Repository,
    dir: &Path,
    (since_ns, early): (u64, Early),
    end: OwnedFd,
) -> (Changes, Vec<u8>) {
    let (root, head) = (Path::new(&repository.root), repository.head.as_deref());
    let shadow = Shadow::new(root, dir).map_err(|e| format!("cannot look at the repository: {e}"));
    let begun = shadow.and_then(|shadow| Ok((shadow.take_as_of(since_ns, head, &early)?, shadow)));
    // For who has to know that what is changed from now on will be told.
    let _ = File::create(dir.join("begun"));
    let _ = File::from(end).read(&mut [0]);
    let compare = |(from, shadow): (Snapshot, Shadow)| shadow.compare(&from, &shadow.take()?);
    begun.and_then(compare).unwrap_or_else(|why| (Changes::unknown(why), Vec::new()))
}

fn keep(home: &Path, id: SessionId, (changes, diff): (Changes, Vec<u8>)) -> io::Result<()> {
    let gone = || io::Error::from(io::ErrorKind::NotFound);
    let library = Library::open_to_change(home).map_err(io::Error::other)?;
    for _ in 0..RESUME_TRIES {
        let entry = library.store.find(&id.to_string(), 1).map_err(io::Error::other)?.pop();
        let session = library.load(entry.ok_or_else(gone)?);
        let Ok(mut writer) = library.store.resume(&session.entry) else {
            std::thread::sleep(RETRY);
            continue;
        };
        write(&library, &session, &mut writer, &changes, &diff).map_err(io::Error::other)?;
        let _ = writer.sync();
        return Ok(());
    }
    Err(io::ErrorKind::WouldBlock.into())
}

fn write(
    library: &Library,
    session: &Session,
    writer: &mut Writer,
    changes: &Changes,
    diff: &[u8],
) -> Result<()> {
    if changes.unknown.is_none() {
        let stream = writer.define("diff")?;
        let t_us = session.duration_us(time::wall().unix_us).unwrap_or(0);
        if writer.append(stream, t_us, diff) != Append::Stored {
            return Ok(());
        }
    }
    library.amend(session, writer, "changes", Some(changes.to_json()));
    Ok(())
}

/// Whether the changes of a session may have been added since it was loaded.
pub(super) fn may_have_changes(session: &Session) -> bool {
    let ended_us = session.meta.ending.as_ref().map_or(0, |ending| ending.ended.unix_us);
    session.changes.is_none()
        && session.meta.repository.is_some()
        && time::wall().unix_us.saturating_sub(ended_us) < RECENT_US
}

fn directories(home: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(home) else { return Vec::new() };
    let ours = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        entry.file_name().to_str()?.starts_with(PREFIX).then(|| entry.path())
    });
    ours.collect()
}

/// What a killed process has left.
fn remove_stale(home: &Path) {
    for dir in directories(home) {
        let changed = fs::metadata(&dir).and_then(|meta| meta.modified());
        let age = changed.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        let held = File::open(dir.join("lock")).is_ok_and(|lock| is_held(&lock));
        if age.is_some_and(|age| age > STALE) && !held {
            let _ = fs::remove_dir_all(&dir);
        }
    }
}

fn is_held(lock: &File) -> bool {
    is_locked(lock, 0).unwrap_or(false)
}

impl Library {
    /// What a session wrote as its own conversation tells it: of sessions whose repository nobody
    /// has looked at. None if that tells of no change.
    pub fn edits(&self, session: &Session) -> Option<Edits> {
        let root = session.root().unwrap_or(Path::new(""));
        let cwd = session.meta.cwd.as_deref().map_or(root, Path::new);
        Edits::of_all(&self.conversation(session), cwd, root)
    }

    /// The session, with its changes if they are being taken at this moment: they are waited for,
    /// half a minute at most.
    pub fn with_changes(&self, session: Session) -> Session {
        let Some(home) = self.store.path().parent().map(Path::to_owned) else { return session };
        let dir = home.join(format!("{PREFIX}{}", session.id));
        if !may_have_changes(&session) && !dir.exists() {
            return session;
        }
        let ended = session.status != crate::session::Status::Running;
        let deadline = Instant::now() + WAIT_MAX;
        while ended && Instant::now() < deadline {
            match File::open(dir.join("lock")) {
                Ok(lock) if !is_held(&lock) => break,
                Err(_) if !dir.exists() => break,
                _ => std::thread::sleep(RETRY / 5),
            }
        }
        let found =
            self.store.find(&session.id.to_string(), 1).ok().and_then(|mut found| found.pop());
        found.map_or(session, |entry| self.load(entry))
    }
}
