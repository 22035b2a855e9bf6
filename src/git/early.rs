//! What differs from the index in the moment before a command starts, read without git: by the
//! time that git has started, a short command has changed its files.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::head;
use super::index::{self, Entry};
use super::snapshot::is_since;

/// A larger index is left to git.
const INDEX_LEN_MAX: u64 = 8 << 20;
/// Most files that are kept; what is beyond is left to git.
const FILES_MAX: usize = 256;
/// A file that is larger is left to git.
const FILE_LEN_MAX: u64 = 1 << 20;
/// Most bytes of all files that are kept.
const TOTAL_LEN_MAX: u64 = 8 << 20;

/// The files that differed, by their paths from the top of the work tree.
#[derive(Debug, Default)]
pub struct Early {
    pub(super) files: BTreeMap<Vec<u8>, Was>,
    /// The index as it was, and the time of its last change.
    pub(super) index: Option<(Vec<u8>, SystemTime)>,
}

/// What a path was.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Was {
    /// A regular file, of which there is a copy.
    File { executable: bool, copy: PathBuf },
    /// A symbolic link.
    Link(Vec<u8>),
    /// In the index, and gone.
    Gone,
}

impl Early {
    /// Looks at the work tree `root`, whose commits have names of `id_len` bytes, and copies into
    /// the directory `dir` what differs from its index and was not changed since
    /// `since_ns` (nanoseconds since 1970, by the clock of files). Untracked files count where
    /// tracked ones are beside them. What cannot be read is left to git.
    pub fn look(root: &Path, dir: &Path, id_len: usize, since_ns: u64) -> Early {
        Look { root, dir, since_ns, total: 0, early: Early::default() }
            .all(id_len)
            .unwrap_or_default()
    }
}

struct Look<'a> {
    root: &'a Path,
    dir: &'a Path,
    since_ns: u64,
    total: u64,
    early: Early,
}

impl Look<'_> {
    fn all(mut self, id_len: usize) -> Option<Early> {
        let mut bytes = Vec::new();
        let mut file = File::open(head::git_dir(self.root)?.join("index")).ok()?;
        let seen = file.metadata().ok().filter(|meta| meta.len() <= INDEX_LEN_MAX)?;
        file.read_to_end(&mut bytes).ok()?;
        if is_since(self.since_ns, seen.mtime(), seen.mtime_nsec()) {
            return None;
        }
        let entries = index::entries(&bytes, id_len)?;
        for entry in entries.iter().filter(|entry| !entry.skipped) {
            self.tracked(entry, (seen.mtime(), seen.mtime_nsec()));
        }
        self.untracked(&entries);
        self.early.index = Some((bytes, seen.modified().ok()?));
        Some(self.early)
    }

    fn full(&self, path: &[u8]) -> PathBuf {
        self.root.join(OsStr::from_bytes(path))
    }

    fn tracked(&mut self, entry: &Entry, index_mtime: (i64, i64)) {
        // Directories of a sparse index, and submodules.
        if ![0o100000, 0o120000].contains(&(entry.mode & 0o170000)) {
            return;
        }
        match fs::symlink_metadata(self.full(&entry.path)) {
            Ok(meta) if is_as_seen(entry, &meta, index_mtime) => {}
            Ok(meta) => self.keep(&entry.path, &meta),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let parent = self.full(&entry.path).parent().map(fs::symlink_metadata);
                let is_new = matches!(parent, Some(Ok(meta))
                    if is_since(self.since_ns, meta.mtime(), meta.mtime_nsec()));
                if !is_new && self.early.files.len() < FILES_MAX {
                    self.early.files.insert(entry.path.clone(), Was::Gone);
                }
            }
            Err(_) => {}
        }
    }

    fn untracked(&mut self, entries: &[Entry]) {
        let known: BTreeSet<&[u8]> = entries.iter().map(|entry| entry.path.as_slice()).collect();
        let parent =
            |path: &[u8]| path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
        let mut places: BTreeSet<&[u8]> = known.iter().map(|path| &path[..parent(path)]).collect();
        places.insert(b"");
        for place in places {
            let Ok(found) = fs::read_dir(self.full(place)) else { continue };
            for found in found.flatten() {
                if self.early.files.len() == FILES_MAX {
                    return;
                }
                let path = [place, found.file_name().as_bytes()].concat();
                if known.contains(path.as_slice()) {
                    continue;
                }
                if let Ok(meta) = found.metadata() {
                    self.keep(&path, &meta);
                }
            }
        }
    }

    /// Copies a file or a link that was not changed since.
    fn keep(&mut self, path: &[u8], meta: &Metadata) {
        let is_new = |meta: &Metadata| is_since(self.since_ns, meta.ctime(), meta.ctime_nsec());
        if self.early.files.len() == FILES_MAX || is_new(meta) {
            return;
        }
        let full = self.full(path);
        let was = if meta.is_symlink() {
            fs::read_link(&full).ok().map(|to| Was::Link(to.into_os_string().as_bytes().to_vec()))
        } else if meta.is_file()
            && meta.len() <= FILE_LEN_MAX
            && self.total + meta.len() <= TOTAL_LEN_MAX
        {
            self.total += meta.len();
            let place = self.dir.join("early");
            let copy = place.join(self.early.files.len().to_string());
            let _ = fs::create_dir_all(place);
            let executable = meta.mode() & 0o100 != 0;
            fs::copy(&full, &copy).ok().map(|_| Was::File { executable, copy })
        } else {
            None
        };
        // It may have been changed between the look and the copy.
        let is_same = fs::symlink_metadata(&full).is_ok_and(|meta| !is_new(&meta));
        if let (Some(was), true) = (was, is_same) {
            self.early.files.insert(path.to_vec(), was);
        }
    }
}

/// Whether a file is what git saw when it wrote the index. One that was changed in the moment in
/// which the index was written may have been changed after it.
fn is_as_seen(entry: &Entry, meta: &Metadata, index_mtime: (i64, i64)) -> bool {
    let mtime = (meta.mtime() as u32, meta.mtime_nsec() as u32);
    let is_link = entry.mode & 0o170000 == 0o120000;
    meta.len() as u32 == entry.len
        && (mtime == entry.mtime || (entry.mtime.1 == 0 && mtime.0 == entry.mtime.0))
        && meta.is_symlink() == is_link
        && (is_link || (meta.mode() ^ entry.mode) & 0o100 == 0)
        && (meta.mtime(), meta.mtime_nsec()) < index_mtime
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What is kept of a repository of one empty commit after `script` was run in it, as words.
    fn kept(script: &str) -> Vec<String> {
        let root = std::env::temp_dir().join(format!(
            "il-early-{}-{:x}",
            std::process::id(),
            crate::hash::crc32c(0, script.as_bytes())
        ));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        let made = format!(
            "git init -q . && git config user.name N && git config user.email e@x && mkdir d && \
             echo 1 > a && echo 1 > d/b && git add . && git commit -qm 1 && {script}"
        );
        let done = Command::new("sh").args(["-e", "-c", &made]).current_dir(&root).output();
        assert!(done.as_ref().unwrap().status.success(), "{script}: {done:?}");
        let early = Early::look(&root, &root.join(".git/il"), 20, u64::MAX);
        let words = early.files.iter().map(|(path, was)| {
            let path = String::from_utf8_lossy(path);
            match was {
                Was::Gone => format!("{path}: gone"),
                Was::Link(to) => format!("{path}: link to {}", String::from_utf8_lossy(to)),
                Was::File { executable, copy } => {
                    let len = fs::metadata(copy).unwrap().len();
                    format!("{path}: {len}{}", if *executable { " x" } else { "" })
                }
            }
        });
        let words = words.collect();
        fs::remove_dir_all(&root).unwrap();
        words
    }

    #[test]
    fn what_differs_is_kept() {
        // What git has written the index with at this very moment may differ too.
        let check = |script: &str, expected: &[&str]| {
            let later = format!("touch -d '1 hour' .git/index && {script}");
            assert_eq!(kept(&later), expected, "{script}");
        };
        check("true", &[]);
        check("echo 22 > a", &["a: 3"]);
        check("chmod +x d/b", &["d/b: 2 x"]);
        check("rm a && ln -s d a", &["a: link to d"]);
        check("rm -r d && echo > n", &["d/b: gone", "n: 1"]);
        check("echo > d/n && mkdir e && echo > e/n", &["d/n: 1"]);
        check("git update-index --assume-unchanged a && touch -d '1 hour' .git/index && rm a", &[]);
    }

    #[test]
    fn what_is_kept_has_a_limit() {
        let big = |len: u64| format!("head -c {len} /dev/zero > big");
        assert_eq!(kept(&big(FILE_LEN_MAX)).last(), Some(&format!("big: {FILE_LEN_MAX}")));
        assert!(!kept(&big(FILE_LEN_MAX + 1)).iter().any(|file| file.starts_with("big")));
        let many = |count: usize| format!("rm a d/b; for n in $(seq {count}); do : > n$n; done");
        assert_eq!(kept(&many(FILES_MAX - 2)).len(), FILES_MAX);
        assert_eq!(kept(&many(FILES_MAX - 1)).len(), FILES_MAX);
        let fat = |count: u64| {
            format!("for n in $(seq {count}); do head -c {FILE_LEN_MAX} /dev/zero > n$n; done")
        };
        let full = |count| kept(&fat(count)).iter().filter(|file| file.starts_with('n')).count();
        // The two tracked files may have been changed after the index was written, and count.
        let most = (TOTAL_LEN_MAX / FILE_LEN_MAX) as usize;
        assert!([most - 1, most].contains(&full(most as u64)));
        assert!([most - 1, most].contains(&full(most as u64 + 1)));
    }
}
