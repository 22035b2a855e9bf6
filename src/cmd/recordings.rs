//! Other recorders' files, for `il import`: casts, and the files of script(1), which belong
//! together by what they say of each other's lengths.

use std::fs;
use std::path::{Path, PathBuf};

use crate::format::native::File;
use crate::format::recording::Recording;
use crate::format::{cast, script};
use crate::sys::time;
use crate::time::WallTime;

/// Most bytes of a file that is looked at as a possible timing.
const TIMING_LEN_MAX: u64 = 256 << 20;
/// Most neighbours of a typescript that are looked at.
const NEIGHBOURS_MAX: usize = 1000;
/// What script(1) begins its files with.
const TYPESCRIPT_START: &[u8] = b"Script started on ";

/// A recording, and the files it came in.
pub(super) struct Found {
    pub(super) format: &'static str,
    pub(super) recording: Recording,
    pub(super) files: Vec<(PathBuf, Vec<u8>)>,
    /// When the last of them was written.
    pub(super) modified: WallTime,
}

impl Found {
    /// The files, for the session's identity.
    pub(super) fn natives(&self) -> Vec<File<'_>> {
        // Names are the user's own: the same content by other names is the same session.
        self.files.iter().map(|(_, bytes)| File { path: "", bytes }).collect()
    }
}

/// Whether a file looks like one of script(1)'s.
pub(super) fn is_typescript(start: &[u8]) -> bool {
    start.starts_with(TYPESCRIPT_START)
}

/// What `path` holds, its `bytes` read, if it is a recording.
///
/// # Errors
/// It is one, but something is missing.
pub(super) fn find(path: &Path, bytes: &[u8]) -> Result<Option<Found>, String> {
    let modified = |path: &Path| {
        let since = fs::metadata(path).ok()?.modified().ok()?;
        let since = since.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(time::local(i64::try_from(since.as_micros()).ok()?))
    };
    let found = |format, recording, files: Vec<(PathBuf, Vec<u8>)>| Found {
        format,
        recording,
        modified: modified(path).unwrap_or_default(),
        files,
    };
    if bytes.first() == Some(&b'{') {
        let Ok(recording) = cast::read(bytes) else { return Ok(None) };
        return Ok(Some(found("asciicast", recording, vec![(path.to_owned(), bytes.to_vec())])));
    }
    if is_typescript(bytes) {
        let timing = neighbours(path)
            .find_map(|(file, text)| Some((file, script::fit(&text, bytes)?, text)))
            .ok_or("its timing is nowhere beside it")?;
        let (timing_path, input_len, timing) = timing;
        let input = match input_len {
            0 => None,
            len => neighbours(path).find(|(_, input)| {
                is_typescript(input) && *input != bytes && script::body(input).len() as u64 >= len
            }),
        };
        let text = String::from_utf8_lossy(&timing);
        // With `script -B` there is one file for both ways.
        let both = input_len > 0 && input.is_none();
        let typed = if both { Some(bytes) } else { input.as_ref().map(|(_, input)| &input[..]) };
        let recording = script::read(&text, bytes, typed);
        let mut files = vec![(path.to_owned(), bytes.to_vec()), (timing_path, timing.clone())];
        files.extend(input);
        return Ok(Some(found("script", recording, files)));
    }
    if script::is_timing(bytes) {
        let typescript = neighbours(path)
            .find(|(_, output)| is_typescript(output) && script::fit(bytes, output).is_some());
        return match typescript {
            Some((path, output)) => find(&path, &output),
            None => Err("its typescript is nowhere beside it".to_owned()),
        };
    }
    Ok(None)
}

/// The files beside `path`, those first that are called as if they belonged to it.
fn neighbours(path: &Path) -> impl Iterator<Item = (PathBuf, Vec<u8>)> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let path = path.to_owned();
    let mut paths: Vec<PathBuf> = entries
        .filter(|other| *other != path && other.file_name() != path.file_name())
        .take(NEIGHBOURS_MAX)
        .collect();
    let stem = path.file_stem().unwrap_or_default().to_owned();
    paths.sort_by_key(|p| (p.file_stem() != Some(&stem), p.clone()));
    paths.into_iter().filter_map(|path| {
        let meta = fs::metadata(&path).ok()?;
        let small = meta.is_file() && meta.len() <= TIMING_LEN_MAX;
        let mut start = [0; 18];
        let mut file = small.then(|| fs::File::open(&path).ok()).flatten()?;
        let len = std::io::Read::read(&mut file, &mut start).ok()?;
        // Only what may belong to a recording is read as a whole.
        let may = is_typescript(&start[..len]) || script::is_timing(&start[..len]);
        may.then(|| fs::read(&path).ok().map(|bytes| (path, bytes))).flatten()
    })
}
