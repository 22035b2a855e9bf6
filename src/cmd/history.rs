//! The folders in which agents keep their sessions, for `il import`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::import::{SESSION_LEN_MAX, Sum, progress, read};
use crate::agent::codex::parent_of;
use crate::agent::locate::{Base, Place, matches};
use crate::agent::opencode_export::{Document, documents};
use crate::agent::{AGENTS, Agent, File};
use crate::error::Result;
use crate::json;
use crate::library::{History, Known, Library, Whereabouts};
use crate::sys::time;

/// Most files looked at below one folder.
const FILES_MAX: usize = 1_000_000;

/// The agent whose sessions one database holds.
pub(super) const DATABASE_AGENT: &str = "opencode";

/// The sessions of one agent below a directory.
#[derive(Debug)]
pub(super) struct Folder {
    pub agent: &'static Agent,
    /// The directory below which the paths are the agent's own.
    pub root: PathBuf,
    /// Of each session the paths of its files below the root, the main one first.
    pub sessions: BTreeMap<String, Vec<String>>,
}

/// The agents' folders that a directory is, is part of, or has where agents look for them.
pub(super) fn folders(dir: &Path) -> Vec<Folder> {
    let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let mut folders: Vec<Folder> = Vec::new();
    for agent in AGENTS {
        for place in agent.places.iter().filter(|place| place.base == Base::Home) {
            for root in roots(&dir, place) {
                let known = folders.iter().any(|f| f.agent.name == agent.name && f.root == root);
                let sessions =
                    if known { BTreeMap::new() } else { sessions(agent, place, &root, &dir) };
                if !sessions.is_empty() {
                    folders.push(Folder { agent, root, sessions });
                }
            }
        }
    }
    folders
}

/// Where the root of a place may be, seen from a directory: above it, at it, or below it.
fn roots(dir: &Path, place: &Place) -> Vec<PathBuf> {
    let mut roots = Vec::new();
    for tail in [place.tail].into_iter().chain(place.env.map(|(_, tail)| tail)) {
        let parts: Vec<&str> = tail.split('/').filter(|part| !part.is_empty()).collect();
        if parts.is_empty() {
            continue;
        }
        let above = dir.ancestors().skip(1).find(|a| a.ends_with(tail));
        roots.extend(above.map(Path::to_owned));
        for at in 0..=parts.len() {
            let (head, rest): (PathBuf, PathBuf) =
                (parts[..at].iter().collect(), parts[at..].iter().collect());
            let root = if at == parts.len() { dir.to_owned() } else { dir.join(rest) };
            if dir.ends_with(&head) && root.is_dir() {
                roots.push(root);
            }
        }
    }
    roots
}

/// The files below `root`, and within `part`, that are of transcripts.
fn sessions(
    agent: &Agent,
    place: &Place,
    root: &Path,
    part: &Path,
) -> BTreeMap<String, Vec<String>> {
    let depth = place.patterns.iter().map(|pattern| pattern.split('/').count()).max().unwrap_or(0);
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut left = FILES_MAX;
    walk(root, "", depth, &mut left, &mut |path| {
        let inside = root.join(path).starts_with(part) || part.starts_with(root.join(path));
        if (inside || root.starts_with(part)) && place.patterns.iter().any(|p| matches(p, path)) {
            found.entry((agent.session_key)(path)).or_default().push(path.to_owned());
        }
    });
    for paths in found.values_mut() {
        // A session's own file stands above those of its subagents.
        paths.sort_by_key(|path| (path.matches('/').count(), path.clone()));
    }
    if agent.name == THREADS_AGENT {
        let heads = |path: &str| start_of_file(&root.join(path)).and_then(|head| parent_of(&head));
        adopt(&mut found, &heads);
    }
    found
}

/// The agent whose subagents have files beside those of the session that started them.
const THREADS_AGENT: &str = "codex";

/// Bytes of a file in which its first record stands, instructions and all.
const FIRST_RECORD_LEN_MAX: u64 = 256 << 10;

/// How deep subagents may start others.
const DEPTH_MAX: usize = 16;

fn start_of_file(path: &Path) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    let file = fs::File::open(path).ok()?;
    file.take(FIRST_RECORD_LEN_MAX).read_to_end(&mut head).ok()?;
    Some(head)
}

/// Puts the files of subagents to those of the session that started them, if that is there.
/// `parent_of` tells by a path who that is.
fn adopt(sessions: &mut BTreeMap<String, Vec<String>>, parent_of: &dyn Fn(&str) -> Option<String>) {
    let parents: BTreeMap<String, String> = sessions
        .iter()
        .filter_map(|(key, paths)| Some((key.clone(), parent_of(paths.first()?)?)))
        .filter(|(_, parent)| sessions.contains_key(parent))
        .collect();
    for child in parents.keys() {
        let mut ancestors = std::iter::successors(parents.get(child), |key| parents.get(*key));
        // Whose parents go round in a circle has none.
        let oldest = ancestors.by_ref().take(DEPTH_MAX).last().cloned();
        let (Some(oldest), None) = (oldest, ancestors.next()) else { continue };
        if let Some(paths) = sessions.remove(child) {
            sessions.entry(oldest).or_default().extend(paths);
        }
    }
}

fn walk(dir: &Path, below: &str, depth: usize, left: &mut usize, each: &mut dyn FnMut(&str)) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        // What is not UTF-8 is no name that an agent gives.
        let name = entry.file_name();
        let (Some(name), Ok(kind)) = (name.to_str(), entry.file_type()) else { continue };
        let path = if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
        *left = left.saturating_sub(1);
        if *left == 0 {
            return;
        }
        if kind.is_dir() && depth > 1 {
            walk(&entry.path(), &path, depth - 1, left, each);
        } else if kind.is_file() {
            each(&path);
        }
    }
}

/// The agent that wrote a file, by its first records: of a transcript that lies about alone.
pub(super) fn agent_of(bytes: &[u8]) -> Option<&'static Agent> {
    let name = json::records(bytes).take(RECORDS_LOOKED_AT).find_map(|record| {
        let value = record.value.ok()?;
        let kind = value.str_at("type");
        let has = |name: &str| value.get(name).is_some();
        if kind == Some("session_meta") && has("payload") {
            Some("codex")
        } else if has("sessionId") && has("projectHash") {
            Some("gemini")
        } else if has("sessionId")
            && has("parentUuid")
            && value.path(&["message", "parts"]).is_none()
        {
            Some("claude")
        } else {
            None
        }
    });
    crate::agent::by_name(name?)
}

/// Claude's first records may be of files and titles.
const RECORDS_LOOKED_AT: usize = 20;

/// Takes the sessions of the folders that a directory is, or has.
pub(super) fn take(library: &Library, folders: &[Folder], sum: &mut Sum) -> Result<()> {
    for folder in folders {
        for (key, paths) in &folder.sessions {
            let main = folder.root.join(paths.first().map_or("", String::as_str));
            let mut files: Vec<(String, Vec<u8>)> = Vec::new();
            let mut rest = SESSION_LEN_MAX;
            let mut why = None;
            for path in paths {
                match read(&folder.root.join(path), rest) {
                    Ok(bytes) => {
                        rest -= bytes.len() as u64;
                        files.push((path.clone(), bytes));
                    }
                    Err(e) => why = Some(e),
                }
            }
            match why {
                Some(why) => sum.leave(&main, why)?,
                None if folder.agent.name != DATABASE_AGENT => {
                    take_one(library, folder.agent, &main, &files, sum)?;
                }
                None if key == OLD_STORAGE => {
                    sum.leave(&folder.root.join(key), "kept by an opencode before 1.2".to_owned())?;
                }
                None => take_database(library, folder.agent, &main, &files, sum)?,
            }
        }
    }
    Ok(())
}

/// The directory in which opencode kept sessions as many small files.
const OLD_STORAGE: &str = "storage";

/// The sessions of a database, those that a session started with it.
fn take_database(
    library: &Library,
    agent: &'static Agent,
    path: &Path,
    files: &[(String, Vec<u8>)],
    sum: &mut Sum,
) -> Result<()> {
    let of = |end: &str| files.iter().find(|(name, _)| name.ends_with(end)).map(|(_, b)| &b[..]);
    let documents = match documents(of(".db").unwrap_or_default(), of(".db-wal")) {
        Ok(documents) => documents,
        Err(e) => return sum.leave(path, e.to_string()),
    };
    let is_there = |id: &str| documents.iter().any(|document| document.session == id);
    for document in &documents {
        if document.parent.as_deref().is_some_and(is_there) {
            continue;
        }
        let mut family = vec![document];
        let mut at = 0;
        while let Some(parent) = family.get(at).map(|document| document.session.as_str()) {
            let own = |d: &&Document| {
                d.parent.as_deref() == Some(parent)
                    && !family.iter().any(|f| f.session == d.session)
            };
            let children: Vec<&Document> = documents.iter().filter(own).collect();
            family.extend(children);
            at += 1;
        }
        let files: Vec<(String, Vec<u8>)> = family
            .iter()
            .map(|d| (format!("{}.json", d.session), d.text.clone().into_bytes()))
            .collect();
        take_one(library, agent, path, &files, sum)?;
    }
    Ok(())
}

/// The directory that Gemini's folder of a project, two levels above a transcript, is for.
fn project_root(transcript: &Path) -> Option<String> {
    let text = fs::read_to_string(transcript.parent()?.parent()?.join(".project_root")).ok()?;
    Some(text.trim().to_owned()).filter(|root| root.starts_with('/'))
}

/// Takes one session of an agent.
pub(super) fn take_one(
    library: &Library,
    agent: &'static Agent,
    from: &Path,
    files: &[(String, Vec<u8>)],
    sum: &mut Sum,
) -> Result<()> {
    let files: Vec<File<'_>> = files.iter().map(|(path, bytes)| File { path, bytes }).collect();
    let mut known = match sum.histories.take() {
        Some(known) => known,
        None => Known::of(library)?,
    };
    let from = fs::canonicalize(from).unwrap_or_else(|_| from.to_owned());
    let place = Whereabouts {
        offset_s: time::local_offset_s(time::wall().unix_us),
        cwd: project_root(&from),
    };
    sum.seen += 1;
    progress(&format!("{} sessions", sum.seen));
    let taken = library.import_history(agent, &from, &files, &place, &mut known);
    sum.histories = Some(known);
    let (history, broken) = taken?;
    match history {
        History::Known => sum.known += 1,
        History::Empty => sum.empty += 1,
        History::New | History::Grown => {
            sum.count(agent.name, 1);
            sum.grown += u64::from(history == History::Grown);
            sum.broken += broken;
            sum.bytes += files.iter().map(|file| file.bytes.len() as u64).sum::<u64>();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys with their parents; the files of each session that is left.
    fn check(parents: &[(&str, &str)], expected: &[&str]) {
        let own = |key: &str| (key.to_owned(), vec![format!("{key}.jsonl")]);
        let mut sessions = parents.iter().map(|(key, _)| own(key)).collect();
        adopt(&mut sessions, &|path| {
            let found = parents.iter().find(|(key, _)| path.strip_suffix(".jsonl") == Some(key));
            found.map(|(_, parent)| (*parent).to_owned()).filter(|parent| !parent.is_empty())
        });
        let left: Vec<String> = sessions.values().map(|paths| paths.join(" ")).collect();
        assert_eq!(left, expected, "{parents:?}");
    }

    #[test]
    fn subagents_go_to_the_session_that_started_them() {
        check(&[("a", "b"), ("b", "")], &["b.jsonl a.jsonl"]);
        check(
            &[("a", ""), ("b", "a"), ("c", "b"), ("d", "")],
            &["a.jsonl b.jsonl c.jsonl", "d.jsonl"],
        );
        check(&[("a", "gone")], &["a.jsonl"]);
        check(&[("a", "b"), ("b", "a")], &["a.jsonl", "b.jsonl"]);
        check(&[("a", "a")], &["a.jsonl"]);
    }

    /// As deep as may be, and one deeper.
    #[test]
    fn ancestors_are_looked_for_up_to_the_limit() {
        for (depth, left) in [(DEPTH_MAX, 1), (DEPTH_MAX + 1, 2)] {
            let key = |n: usize| format!("{n:03}");
            let mut sessions: BTreeMap<String, Vec<String>> =
                (0..=depth).map(|n| (key(n), vec![key(n)])).collect();
            adopt(&mut sessions, &|path| {
                let n: usize = path.parse().expect("a number");
                n.checked_sub(1).map(key)
            });
            assert_eq!(sessions.len(), left);
        }
    }
}
