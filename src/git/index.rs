//! The entries of git's index (gitformat-index(5), versions 2 to 4), as far as they tell which
//! files of the work tree are as git last saw them.

/// Most entries that are read.
const ENTRIES_MAX: usize = 100_000;
/// Bytes of an entry before the object's name: ten numbers.
const STAT_LEN: usize = 40;

/// What git last saw of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// From the top of the work tree.
    pub path: Vec<u8>,
    /// Last change, in seconds and nanoseconds; the latter are 0 where git does not keep them.
    pub mtime: (u32, u32),
    pub mode: u32,
    /// The lowest 32 bits of the length.
    pub len: u32,
    /// git does not look at the file: it is assumed to be unchanged, or not there on purpose.
    pub skipped: bool,
}

/// The entries of an index whose objects have names of `id_len` bytes; None when it is no index
/// that we know, or too large.
pub(super) fn entries(bytes: &[u8], id_len: usize) -> Option<Vec<Entry>> {
    let (version, count) = match bytes.get(..12)? {
        [b'D', b'I', b'R', b'C', rest @ ..] => (number(rest, 0)?, number(rest, 4)? as usize),
        _ => return None,
    };
    if !(2..=4).contains(&version) || count > ENTRIES_MAX {
        return None;
    }
    let mut entries: Vec<Entry> = Vec::with_capacity(count.min(bytes.len() / STAT_LEN));
    let mut at = 12;
    for _ in 0..count {
        let entry = bytes.get(at..)?;
        let mut head_len = STAT_LEN + id_len + 2;
        let flags = u16::from_be_bytes(entry.get(head_len - 2..head_len)?.try_into().ok()?);
        let mut skipped = flags & 0x8000 != 0;
        if version > 2 && flags & 0x4000 != 0 {
            let more = u16::from_be_bytes(entry.get(head_len..head_len + 2)?.try_into().ok()?);
            skipped |= more & 0x4000 != 0;
            head_len += 2;
        }
        let (path, len) = if version == 4 {
            let (dropped, varint_len) = varint(entry.get(head_len..)?)?;
            let last: &[u8] = entries.last().map_or(&[], |entry| &entry.path);
            let mut path = last.get(..last.len().checked_sub(dropped)?)?.to_vec();
            let rest = until_nul(entry.get(head_len + varint_len..)?)?;
            path.extend_from_slice(rest);
            (path, head_len + varint_len + rest.len() + 1)
        } else {
            let path = until_nul(entry.get(head_len..)?)?;
            // One to eight NULs follow, up to a multiple of eight.
            (path.to_vec(), (head_len + path.len()) / 8 * 8 + 8)
        };
        entries.push(Entry {
            path,
            mtime: (number(entry, 8)?, number(entry, 12)?),
            mode: number(entry, 24)?,
            len: number(entry, 36)?,
            skipped,
        });
        at += len;
    }
    Some(entries)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn until_nul(bytes: &[u8]) -> Option<&[u8]> {
    Some(&bytes[..bytes.iter().position(|byte| *byte == 0)?])
}

/// A number of git's offset encoding, seven bits a byte with the highest first, and its length.
fn varint(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_usize;
    for (n, byte) in bytes.iter().enumerate() {
        value = value.checked_mul(128)?.checked_add(usize::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            return Some((value, n + 1));
        }
        value = value.checked_add(1)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// Has the real git make an index of these files, and reads it.
    #[track_caller]
    fn check(version: &str, format: &str, paths: &[&str]) {
        let name = format!("il-index-{}-{version}-{format}-{}", std::process::id(), paths.len());
        let root = std::env::temp_dir().join(name);
        let git = |args: &[&str]| {
            let done = Command::new("git").args(args).current_dir(&root).output().unwrap();
            assert!(done.status.success(), "git {args:?}: {done:?}");
        };
        std::fs::create_dir_all(&root).unwrap();
        for path in paths {
            std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            std::fs::write(root.join(path), path).unwrap();
        }
        git(&["init", "-q", "--object-format", format]);
        git(&["update-index", "--index-version", version]);
        git(&["add", "."]);
        git(&["update-index", "--assume-unchanged", paths[0]]);
        git(&["update-index", "--skip-worktree", paths[paths.len() - 1]]);
        let bytes = std::fs::read(root.join(".git/index")).unwrap();
        let id_len = if format == "sha1" { 20 } else { 32 };
        let mut sorted: Vec<&str> = paths.to_vec();
        sorted.sort_unstable();
        let wanted: Vec<Entry> = sorted
            .iter()
            .map(|path| {
                let meta = std::fs::metadata(root.join(path)).unwrap();
                Entry {
                    path: Path::new(path).as_os_str().as_bytes().to_vec(),
                    mtime: (meta.mtime() as u32, meta.mtime_nsec() as u32),
                    mode: 0o100644,
                    len: meta.len() as u32,
                    skipped: *path == paths[0] || *path == paths[paths.len() - 1],
                }
            })
            .collect();
        assert_eq!(entries(&bytes, id_len).unwrap(), wanted, "version {version} {format}");
        for len in 0..bytes.len() {
            // A cut index is none, or its last bytes are of what follows the entries.
            assert!(entries(&bytes[..len], id_len).is_none_or(|cut| cut == wanted), "{len}");
        }
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn an_index_that_git_made_is_read() {
        let long = "a/".repeat(100) + "end";
        let paths = ["b", "a/1", "a/12", "a/2", "c d", "seven77", "eight888", &long, "z"];
        for version in ["2", "3", "4"] {
            for format in ["sha1", "sha256"] {
                check(version, format, &paths);
            }
        }
    }

    #[test]
    fn what_is_no_index_is_refused() {
        let head = |version: u32, count: u32| {
            [b"DIRC", &version.to_be_bytes()[..], &count.to_be_bytes()].concat()
        };
        assert_eq!(entries(&head(2, 0), 20), Some(Vec::new()));
        for bad in [&b""[..], b"DIRC", b"TREE\0\0\0\x02\0\0\0\0", &head(1, 0), &head(5, 0)] {
            assert_eq!(entries(bad, 20), None, "{}", bad.escape_ascii());
        }
        let zeros = vec![0; (ENTRIES_MAX + 1) * 64];
        let many = |count: usize| [head(2, count as u32), zeros.clone()].concat();
        assert!(entries(&many(ENTRIES_MAX), 20).is_some());
        assert_eq!(entries(&many(ENTRIES_MAX + 1), 20), None);
    }
}
