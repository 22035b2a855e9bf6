//! The repository around a directory (gitrepository-layout(5)).

use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::session::Repository;

/// Most bytes read of `.git`, `HEAD` and a ref: each is one short line.
const LINE_MAX: u64 = 4096;

/// Most bytes read of `packed-refs`.
const PACKED_MAX: u64 = 16 << 20;

/// The repository that `dir` is in, if it is in one: its root, branch and commit. As git does, it
/// does not look as far up as the directories in `GIT_CEILING_DIRECTORIES`.
pub fn find(dir: &Path) -> Option<Repository> {
    let ceilings = std::env::var_os("GIT_CEILING_DIRECTORIES").unwrap_or_default();
    let ceilings: Vec<PathBuf> = std::env::split_paths(&ceilings).collect();
    let below = |root: &&Path| *root == dir || !ceilings.iter().any(|ceiling| ceiling == root);
    dir.ancestors().take_while(below).find_map(|root| {
        let git_dir = git_dir(root)?;
        let head = read_line(&git_dir.join("HEAD"))?;
        let common = common_dir(&git_dir);
        let (branch, commit) = match head.strip_prefix("ref: ") {
            Some(name) => (
                name.strip_prefix("refs/heads/").filter(|b| *b != ".invalid").map(str::to_owned),
                resolve(&common, name),
            ),
            None => (None, Some(head)),
        };
        Some(Repository {
            root: root.as_os_str().to_owned(),
            branch,
            head: commit.filter(|c| is_object_id(c)),
        })
    })
}

/// `.git` in `root`: a directory, or a file that names one (work trees, submodules).
pub(super) fn git_dir(root: &Path) -> Option<PathBuf> {
    let dot_git = root.join(".git");
    if dot_git.is_dir() {
        return Some(dot_git);
    }
    let line = read_line(&dot_git)?;
    Some(root.join(line.strip_prefix("gitdir: ")?))
}

/// Where a work tree's repository keeps what all its work trees share.
pub(super) fn common_dir(git_dir: &Path) -> PathBuf {
    match read_line(&git_dir.join("commondir")) {
        Some(path) => git_dir.join(path),
        None => git_dir.to_owned(),
    }
}

fn resolve(common: &Path, name: &str) -> Option<String> {
    if let Some(commit) = read_line(&common.join(name)) {
        return Some(commit);
    }
    let packed = read(&common.join("packed-refs"), PACKED_MAX)?;
    packed.split(|b| *b == b'\n').find_map(|line| {
        let line = std::str::from_utf8(line).ok()?;
        line.strip_suffix(name)?.strip_suffix(' ').map(str::to_owned)
    })
}

fn is_object_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn read_line(path: &Path) -> Option<String> {
    let text = String::from_utf8(read(path, LINE_MAX)?).ok()?;
    Some(text.trim_end().to_owned())
}

fn read(path: &Path, max: u64) -> Option<Vec<u8>> {
    // A FIFO or device in the place of a file must not hold us up.
    if path.as_os_str().as_bytes().contains(&0) || !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(max).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
