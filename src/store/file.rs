//! The storage that is a real file: created by link, locked by open file description.

use super::layout::PAGE;
use super::storage::{Lock, Storage};
use crate::sys::behind;
use crate::sys::file::{self, FsKind};
use crate::sys::mmap::{self, Window};
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What filesystems give room in.
const BLOCK_LEN: u64 = 4096;

/// A store's file, open.
#[derive(Debug)]
pub struct FileStorage {
    file: File,
    path: PathBuf,
    writable: bool,
    kind: FsKind,
    windows: Mutex<Windows>,
}

/// The windows of a writer: small writes go through memory, and so past the file's lock, which a
/// neighbour in full flood holds most of the time.
#[derive(Debug, Default)]
struct Windows {
    current: Option<Window>,
    next: Option<Window>,
    /// The end of what was set aside for them.
    reserved: u64,
    /// Where the data ended when nothing more was to come.
    released: Option<u64>,
    /// They have failed, or cannot be had here: small writes are plain ones.
    off: bool,
}

impl FileStorage {
    /// Opens `path`, which must be a regular file and no symbolic link.
    pub fn open(path: &Path, writable: bool) -> io::Result<FileStorage> {
        let file = OpenOptions::new()
            .read(true)
            .write(writable)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
            .open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let kind = file::fs_kind(&file).unwrap_or(FsKind::Foreign);
        Ok(FileStorage { file, path: path.to_owned(), writable, kind, windows: Mutex::default() })
    }

    /// Makes a new, empty file beside `path` that nobody else will open.
    pub fn create_beside(path: &Path) -> io::Result<FileStorage> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".tmp.{}.{count}", std::process::id()));
        let path = PathBuf::from(name);
        // A process of the same number may have died here before.
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(&path)?;
        let kind = file::fs_kind(&file).unwrap_or(FsKind::Foreign);
        if kind == FsKind::CopyOnWrite {
            // Refused on some filesystems of the kind; only small writes lose by it.
            let _ = file::set_in_place(&file);
        }
        Ok(FileStorage { file, path, writable: true, kind, windows: Mutex::default() })
    }

    /// Gives this file the further name `path`, unless that is taken, and drops its first one.
    /// False when it was taken.
    pub fn link_as(self, path: &Path) -> io::Result<bool> {
        let linked = match std::fs::hard_link(&self.path, path) {
            Ok(()) => true,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => false,
            Err(e) => {
                let _ = std::fs::remove_file(&self.path);
                return Err(e);
            }
        };
        std::fs::remove_file(&self.path)?;
        if linked {
            sync_directory_of(path)?;
        }
        Ok(linked)
    }

    /// Gives the room from `tail` to `end` back. What is not given back, compaction will.
    fn give_back(&self, tail: u64, end: u64) {
        let start = tail.next_multiple_of(BLOCK_LEN);
        if start < end {
            let _ = file::punch(&self.file, start, end - start);
        }
    }

    fn windows(&self) -> MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kind of filesystem under the file.
    pub fn kind(&self) -> FsKind {
        self.kind
    }

    /// Owner and mode bits of the file.
    pub fn owner_and_mode(&self) -> io::Result<(u32, u32)> {
        let meta = self.file.metadata()?;
        Ok((meta.uid(), meta.mode() & 0o7777))
    }
}

impl Storage for FileStorage {
    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn extend_to(&self, len: u64) -> io::Result<()> {
        file::grow(&self.file, len)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.file.read_at(&mut buf[done..], offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let mut done = file::pwritev(&self.file, parts, offset)?;
        // A short write is rare (a full disk, a signal); the rest goes part by part.
        let mut skip = done;
        for part in parts {
            let rest = &part[skip.min(part.len())..];
            skip -= part.len() - rest.len();
            if done < total && !rest.is_empty() {
                self.file.write_all_at(rest, offset + done as u64)?;
                done += rest.len();
            }
        }
        Ok(())
    }

    fn publish(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let end = offset + parts.iter().map(|part| part.len() as u64).sum::<u64>();
        let covers = |window: &Option<Window>| {
            window.as_ref().is_some_and(|w| w.range().start <= offset && end <= w.range().end)
        };
        let mut windows = self.windows();
        if !covers(&windows.current) && covers(&windows.next) {
            windows.current = windows.next.take();
        }
        if covers(&windows.current) {
            if windows.current.as_ref().is_some_and(|window| window.publish(offset, parts)) {
                return Ok(());
            }
            // The mapping broke under the copy. The call says what is wrong, or that nothing is.
            *windows = Windows { off: true, reserved: windows.reserved, ..Windows::default() };
        }
        drop(windows);
        self.write_at(offset, parts)
    }

    fn prepare(&self, range: Range<u64>) -> io::Result<()> {
        // Elsewhere the same block may need new room on every write, and a full disk would be a
        // signal.
        if self.kind != FsKind::Local || self.windows().off {
            return Ok(());
        }
        let page_len = mmap::page_len() as u64;
        let start = range.start / page_len * page_len;
        let end = range.end.next_multiple_of(page_len);
        let window = file::allocate(&self.file, start, end - start)
            .and_then(|()| Window::map(&self.file, start, (end - start) as usize))
            .inspect(Window::touch);
        let mut windows = self.windows();
        windows.reserved = windows.reserved.max(end);
        match (window, windows.released) {
            (_, Some(tail)) => self.give_back(tail, end),
            (Ok(window), None) => windows.next = Some(window),
            (Err(e), None) => {
                windows.off = true;
                return Err(e);
            }
        }
        Ok(())
    }

    fn release(&self, tail: u64) {
        let mut windows = self.windows();
        let reserved = windows.reserved;
        *windows = Windows { off: true, released: Some(tail), ..Windows::default() };
        self.give_back(tail, reserved);
    }

    fn punch(&self, range: Range<u64>) -> io::Result<()> {
        // In steps: the kernel holds the file's lock meanwhile, and recorders wait for it.
        const STEP: u64 = 256 * PAGE;
        let mut at = range.start;
        while at < range.end {
            let len = STEP.min(range.end - at);
            file::punch(&self.file, at, len)?;
            at += len;
        }
        Ok(())
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        let len = self.size()?;
        if offset >= len {
            return Ok(None);
        }
        if self.kind == FsKind::Foreign {
            return Ok(Some(offset..len));
        }
        match file::seek_data(&self.file, offset) {
            Ok(None) => Ok(None),
            Ok(Some(start)) => {
                let end = file::seek_hole(&self.file, start)?.unwrap_or(len);
                Ok(Some(start..end.max(start + 1)))
            }
            Err(_) => Ok(Some(offset..len)),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn leave_behind(&self, work: &mut dyn FnMut()) -> io::Result<()> {
        behind::leave(&self.file, work)
    }

    fn try_lock(&self, byte: u64, lock: Lock) -> io::Result<bool> {
        file::try_lock(&self.file, byte, lock)
    }

    fn unlock(&self, byte: u64) -> io::Result<()> {
        file::unlock(&self.file, byte)
    }

    fn is_locked(&self, byte: u64) -> io::Result<bool> {
        file::is_locked(&self.file, byte)
    }

    fn pause(&self) {
        std::thread::sleep(Duration::from_millis(1));
    }

    fn reopen(&self) -> io::Result<Arc<dyn Storage>> {
        Ok(Arc::new(FileStorage::open(&self.path, self.writable)?))
    }

    fn is_current(&self) -> io::Result<bool> {
        let (mine, named) = (self.file.metadata()?, std::fs::symlink_metadata(&self.path)?);
        Ok((mine.dev(), mine.ino()) == (named.dev(), named.ino()))
    }

    fn sibling(&self) -> io::Result<Arc<dyn Storage>> {
        Ok(Arc::new(FileStorage::create_beside(&self.path)?))
    }

    fn replace_by(&self, sibling: &dyn Storage) -> io::Result<()> {
        std::fs::rename(sibling.path(), &self.path)?;
        sync_directory_of(&self.path)
    }

    fn discard(&self) {
        let _ = std::fs::remove_file(&self.path);
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes the names in the directory of `path` durable.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}
