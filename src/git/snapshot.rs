//! The state of a repository's work tree, taken by the real git into an index and an object
//! directory of our own. git reads the repository and writes nothing to it: not the index, not an
//! object, and no filter of the user's runs.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use super::early::{Early, Was};
use super::{find, head};

/// An index that is larger belongs to a repository of half a million files or more.
const INDEX_LEN_MAX: u64 = 64 << 20;
/// Most files that may differ from the index.
const FILES_MAX: usize = 10_000;
/// A file that is larger is left out.
const FILE_LEN_MAX: u64 = 8 << 20;
/// Most bytes of all files that differ from the index.
const TOTAL_LEN_MAX: u64 = 128 << 20;
/// Most bytes of a diff that are kept.
pub(super) const DIFF_LEN_MAX: u64 = 16 << 20;

/// Variables that would lead git elsewhere.
const MISLEADING: [&str; 8] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_EXTERNAL_DIFF",
];

/// Commands that write objects and need none to be there.
const WRITING: [&str; 2] = ["hash-object", "write-tree"];

/// What git was asked for, or why it did not answer.
pub(super) type Answer<T> = Result<T, String>;

/// A place of our own beside a repository.
#[derive(Debug)]
pub struct Shadow {
    root: PathBuf,
    git_dir: PathBuf,
    objects: PathBuf,
    /// Ours.
    dir: PathBuf,
    /// Settings that keep the user's filters from running.
    settings: Vec<String>,
}

/// The work tree at a time.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The tree of all files, ignored ones left out.
    pub tree: String,
    /// The commit that was checked out.
    pub head: Option<String>,
    /// Paths that are not in the tree as they were, because they are too large.
    pub left_out: Vec<String>,
}

impl Shadow {
    /// Of the repository whose work tree `root` is the top of, in the directory `dir`, which is
    /// made.
    ///
    /// # Errors
    /// The directory cannot be made, or there is no repository.
    pub fn new(root: &Path, dir: &Path) -> io::Result<Shadow> {
        let git_dir = head::git_dir(root).ok_or(io::ErrorKind::NotFound)?;
        let objects = fs::canonicalize(head::common_dir(&git_dir).join("objects"))?;
        fs::create_dir_all(dir.join("objects"))?;
        let (root, dir, settings) = (root.to_owned(), dir.to_owned(), Vec::new());
        let mut shadow = Shadow { root, git_dir, objects, dir, settings };
        // git compares what it finds racy, through filters. It fails if there are none.
        let names = shadow.git(&["config", "-z", "--name-only", "--get-regexp", "^filter\\."], b"");
        for name in names.unwrap_or_default().split(|b| *b == 0).filter(|name| !name.is_empty()) {
            shadow.settings.push("-c".to_owned());
            shadow.settings.push(format!("{}=", String::from_utf8_lossy(name)));
        }
        Ok(shadow)
    }

    /// Takes the state of the work tree as it is.
    ///
    /// # Errors
    /// There is no git, it fails, or the repository is too large; in words.
    pub fn take(&self) -> Answer<Snapshot> {
        self.copy_index()?;
        self.take_from_index(find(&self.root).and_then(|found| found.head), None)
    }

    /// Takes the state of the work tree as it was a moment ago, at `since_ns` (nanoseconds since
    /// 1970, by the clock of files), when `head` was checked out and `early` was seen: another
    /// file that was changed since then is taken as the index has it, and an index that was, as
    /// that commit has it.
    ///
    /// # Errors
    /// As those of [`Shadow::take`].
    pub fn take_as_of(&self, since_ns: u64, head: Option<&str>, early: &Early) -> Answer<Snapshot> {
        if let Some((bytes, modified)) = &early.index {
            fs::write(self.dir.join("index"), bytes)
                .and_then(|()| self.date_index(*modified))
                .map_err(|e| format!("cannot copy the index: {e}"))?;
        } else {
            self.copy_index()?;
            let index = fs::metadata(self.git_dir.join("index"));
            let fresh = index.is_ok_and(|meta| is_since(since_ns, meta.mtime(), meta.mtime_nsec()));
            if fresh {
                let _ = fs::remove_file(self.dir.join("index"));
                if let Some(head) = head {
                    self.git(&["read-tree", head], b"")?;
                    // It says by its status that some files differ.
                    let _ = self.git(&["update-index", "-q", "--refresh"], b"");
                }
            }
        }
        self.take_from_index(head.map(str::to_owned), Some((since_ns, early)))
    }

    fn take_from_index(
        &self,
        head: Option<String>,
        as_of: Option<(u64, &Early)>,
    ) -> Answer<Snapshot> {
        let listed = self.git(
            &["ls-files", "-z", "--modified", "--deleted", "--others", "--exclude-standard"],
            b"",
        )?;
        let mut paths: BTreeSet<&[u8]> =
            listed.split(|b| *b == 0).filter(|path| !path.is_empty()).collect();
        let early = as_of.map(|(_, early)| early);
        let since_ns = as_of.map(|(since_ns, _)| since_ns);
        let alone = early.map(|early| self.early_alone(early, &paths)).transpose()?;
        paths.extend(alone.iter().flatten().map(Vec::as_slice));
        if paths.len() > FILES_MAX {
            return Err(format!("{} files differ from the index, too many", paths.len()));
        }
        let id_len = head.as_ref().map_or(40, String::len);
        let mut wanted = Wanted { id_len, ..Wanted::default() };
        for path in paths {
            match early.and_then(|early| early.files.get(path)) {
                Some(was) => wanted.add_early(path, was),
                None => self.want(path, since_ns, &mut wanted),
            }
        }
        let blobs = self.hash(&wanted)?;
        let mut info = wanted.gone;
        for ((mode, path), blob) in wanted.files.iter().zip(&blobs) {
            // It may have been changed after it was looked at and before it was read.
            let is_early = early.is_some_and(|early| early.files.contains_key(path));
            if !is_early && self.is_new(path, since_ns) {
                continue;
            }
            info.extend(format!("{mode} {blob}\t").bytes().chain(path.iter().copied()).chain([0]));
        }
        if !info.is_empty() {
            self.git(&["update-index", "-z", "--index-info"], &info)?;
        }
        let tree = self.git_line(&["write-tree", "--missing-ok"])?;
        Ok(Snapshot { tree, head, left_out: wanted.left_out })
    }

    /// The paths that were seen early and are not among `listed`, ignored ones left out: they are
    /// as the index has them again, or were untracked and are gone.
    fn early_alone(&self, early: &Early, listed: &BTreeSet<&[u8]>) -> Answer<Vec<Vec<u8>>> {
        let others = early.files.keys().filter(|path| !listed.contains(path.as_slice()));
        // A colon at the beginning would be magic.
        let plain = |path: &[u8]| [b"./", path].concat();
        let asked: Vec<u8> =
            others.clone().flat_map(|path| [&plain(path)[..], b"\0"].concat()).collect();
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        // Status 1 says that none is ignored.
        let said = self.ask(&["check-ignore", "-z", "--stdin"], &asked, &[0, 1])?;
        let ignored: BTreeSet<&[u8]> = said.split(|byte| *byte == 0).collect();
        Ok(others.filter(|path| !ignored.contains(&plain(path)[..])).cloned().collect())
    }

    /// Whether a path was changed since then.
    fn is_new(&self, path: &[u8], since_ns: Option<u64>) -> bool {
        let meta = fs::symlink_metadata(self.root.join(OsStr::from_bytes(path)));
        since_ns
            .zip(meta.ok())
            .is_some_and(|(since_ns, meta)| is_since(since_ns, meta.ctime(), meta.ctime_nsec()))
    }

    /// Decides what becomes of a path that differs from the index.
    fn want(&self, path: &[u8], since_ns: Option<u64>, wanted: &mut Wanted) {
        let full = self.root.join(OsStr::from_bytes(path));
        match fs::symlink_metadata(&full) {
            Ok(_) if self.is_new(path, since_ns) => {}
            Ok(meta) if meta.is_symlink() => {
                if let Ok(target) = fs::read_link(&full) {
                    wanted.links.push(target.into_os_string().as_bytes().to_vec());
                    wanted.files.push(("120000", path.to_vec()));
                }
            }
            Ok(meta) if meta.is_file() => {
                wanted.len += meta.len();
                // The words to git end at line feeds.
                if meta.len() > FILE_LEN_MAX || wanted.len > TOTAL_LEN_MAX || path.contains(&b'\n')
                {
                    wanted.len -= meta.len();
                    wanted.left_out.push(String::from_utf8_lossy(path).into_owned());
                    return;
                }
                let mode = if meta.permissions().mode() & 0o100 == 0 { "100644" } else { "100755" };
                wanted.paths.extend(path.iter().copied().chain([b'\n']));
                wanted.files.push((mode, path.to_vec()));
            }
            // A submodule or a device stays what the index says.
            Ok(_) => {}
            Err(_) => {
                let parent = full.parent().and_then(|parent| fs::symlink_metadata(parent).ok());
                let is_new = since_ns.zip(parent).is_some_and(|(since_ns, meta)| {
                    is_since(since_ns, meta.mtime(), meta.mtime_nsec())
                });
                if !is_new {
                    wanted.remove(path);
                }
            }
        }
    }

    /// The objects of all files that are wanted, in their order.
    fn hash(&self, wanted: &Wanted) -> Answer<Vec<String>> {
        let write = ["hash-object", "-w", "--no-filters"];
        let said = match wanted.paths.is_empty() {
            true => Vec::new(),
            false => self.git(&[&write[..], &["--stdin-paths"]].concat(), &wanted.paths)?,
        };
        let mut files = String::from_utf8_lossy(&said)
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .into_iter();
        let mut links = wanted.links.iter();
        let mut blobs = Vec::new();
        for (mode, _) in &wanted.files {
            let blob = match *mode {
                "120000" => {
                    let target = links.next().map_or(&[][..], Vec::as_slice);
                    let said = self.git(&[&write[..], &["--stdin"]].concat(), target)?;
                    Some(String::from_utf8_lossy(&said).trim().to_owned())
                }
                _ => files.next(),
            };
            blobs.push(blob.ok_or("git hash-object: an object is missing")?);
        }
        Ok(blobs)
    }

    /// A copy of the repository's index to work on.
    fn copy_index(&self) -> Answer<()> {
        let (from, to) = (self.git_dir.join("index"), self.dir.join("index"));
        let failed = |e: io::Error| format!("cannot copy the index: {e}");
        let meta = match fs::metadata(&from) {
            Ok(meta) => meta,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let _ = fs::remove_file(&to);
                return Ok(());
            }
            Err(e) => return Err(failed(e)),
        };
        if meta.len() > INDEX_LEN_MAX {
            return Err("the repository is too large".to_owned());
        }
        fs::copy(&from, &to).map_err(failed)?;
        meta.modified().and_then(|modified| self.date_index(modified)).map_err(failed)
    }

    /// git takes files for unchanged that are older than the index: a copy must look as old as the
    /// original.
    fn date_index(&self, modified: SystemTime) -> io::Result<()> {
        File::options().write(true).open(self.dir.join("index"))?.set_modified(modified)
    }

    /// What git prints, of which at most [`DIFF_LEN_MAX`] bytes and one more are read.
    pub(super) fn git(&self, words: &[&str], input: &[u8]) -> Answer<Vec<u8>> {
        self.ask(words, input, &[0])
    }

    /// The same, of a git that ends with one of these statuses when all is well.
    fn ask(&self, words: &[&str], input: &[u8], fine: &[i32]) -> Answer<Vec<u8>> {
        let mut command = Command::new("git");
        MISLEADING.iter().for_each(|name| {
            command.env_remove(name);
        });
        command
            .arg("--no-pager")
            .args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"])
            .args(["-c", "core.untrackedCache=false", "-c", "core.quotePath=false"])
            .args(&self.settings)
            .args(words)
            .current_dir(&self.root)
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_INDEX_FILE", self.dir.join("index"))
            .env("GIT_OBJECT_DIRECTORY", self.dir.join("objects"))
            .env("LC_ALL", "C");
        // What is written though the repository has it would get a newer time there.
        if !words.first().is_some_and(|name| WRITING.contains(name)) {
            command.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", &self.objects);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => "there is no git".to_owned(),
            _ => format!("cannot run git: {e}"),
        })?;
        let name = words.first().unwrap_or(&"");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        // Whoever reads all before it writes may be written to first; git's lists do not wait.
        let fed = std::thread::scope(|scope| {
            scope.spawn(|| stdin.map(|mut pipe| pipe.write_all(input)));
            let mut out = Vec::new();
            let read = stdout.map(|pipe| pipe.take(DIFF_LEN_MAX + 1).read_to_end(&mut out));
            read.transpose().map(|_| out)
        });
        let out = fed.map_err(|e| format!("git {name}: {e}"))?;
        let cut = out.len() as u64 > DIFF_LEN_MAX;
        let mut said = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            let _ = stderr.by_ref().take(4096).read_to_string(&mut said);
        }
        let status = child.wait().map_err(|e| format!("git {name}: {e}"))?;
        // What is cut short ends by a broken pipe.
        match status.code().is_some_and(|code| fine.contains(&code)) || cut {
            true => Ok(out),
            false => {
                let first = said.lines().next().unwrap_or("it failed");
                Err(format!("git {name}: {}", first.trim_start_matches("fatal: ")))
            }
        }
    }

    fn git_line(&self, words: &[&str]) -> Answer<String> {
        let said = self.git(words, b"")?;
        Ok(String::from_utf8_lossy(&said).trim().to_owned())
    }
}

/// Whether a time of a file is not before `since_ns`.
pub(super) fn is_since(since_ns: u64, seconds: i64, ns: i64) -> bool {
    let at_ns = seconds.saturating_mul(1_000_000_000).saturating_add(ns);
    u64::try_from(at_ns).is_ok_and(|at_ns| at_ns >= since_ns)
}

/// What is to be put into the index.
#[derive(Default)]
struct Wanted {
    /// Modes and paths.
    files: Vec<(&'static str, Vec<u8>)>,
    /// The paths of regular files among them, as git reads them.
    paths: Vec<u8>,
    /// The targets of links among them.
    links: Vec<Vec<u8>>,
    /// Lines that take paths out of the index.
    gone: Vec<u8>,
    left_out: Vec<String>,
    len: u64,
    /// Digits of an object's name.
    id_len: usize,
}

impl Wanted {
    fn add_early(&mut self, path: &[u8], was: &Was) {
        match was {
            Was::File { executable, copy } => {
                let mode = if *executable { "100755" } else { "100644" };
                self.paths.extend(copy.as_os_str().as_bytes().iter().copied().chain([b'\n']));
                self.files.push((mode, path.to_vec()));
            }
            Was::Link(target) => {
                self.links.push(target.clone());
                self.files.push(("120000", path.to_vec()));
            }
            Was::Gone => self.remove(path),
        }
    }

    fn remove(&mut self, path: &[u8]) {
        let line = format!("0 {}\t", "0".repeat(self.id_len));
        self.gone.extend(line.bytes().chain(path.iter().copied()).chain([0]));
    }
}
