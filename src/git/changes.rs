//! What changed in a repository between two times, and the JSON it is kept as.

use super::snapshot::{Answer, DIFF_LEN_MAX, Shadow, Snapshot};
use crate::json::{Object, Value, View};

/// Most files and commits that are named; there may be more.
pub const NAMED_MAX: usize = 1000;

/// A file that is not as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileChange {
    /// From the top of the work tree.
    pub path: String,
    /// `create`, `modify` or `delete`.
    pub op: String,
    /// Lines added; None for a binary file.
    pub plus: Option<u64>,
    /// Lines taken away.
    pub minus: Option<u64>,
}

/// A commit that was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: String,
    /// The first line of its message.
    pub subject: String,
}

/// What changed in a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Why it is not known, if it is not.
    pub unknown: Option<String>,
    /// The files that are not as they were, commits or not.
    pub files: Vec<FileChange>,
    /// How many there are; more than are named, if there are very many.
    pub files_count: u64,
    /// Lines added to all of them.
    pub plus: u64,
    /// Lines taken away from all of them.
    pub minus: u64,
    /// The commits made, the newest first.
    pub commits: Vec<Commit>,
    /// Paths that were too large to look at.
    pub left_out: Vec<String>,
    /// The diff is longer than what was kept of it.
    pub cut: bool,
    /// It is what the session's own conversation tells, for nobody has looked at the files. These
    /// are told from the repository's root, else from the directory it worked in.
    pub told: bool,
}

impl Shadow {
    /// What changed from one state to a later one, and the unified diff of it.
    ///
    /// # Errors
    /// git fails; in words.
    pub fn compare(&self, from: &Snapshot, to: &Snapshot) -> Answer<(Changes, Vec<u8>)> {
        let tree = ["diff-tree", "-r", "--no-ext-diff", "--no-textconv"];
        let between = [from.tree.as_str(), to.tree.as_str()];
        let ask = |how: &[&str]| self.git(&[&tree[..], how, &between].concat(), b"");
        let mut diff = ask(&["-p", "-M", "--no-color"])?;
        let cut = diff.len() as u64 > DIFF_LEN_MAX;
        if cut {
            let end = diff.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            diff.truncate(end);
        }
        let mut changes = Changes { cut, ..Changes::default() };
        // Both lists have the same files in the same order.
        let ops = ask(&["--name-status", "--no-renames", "-z"])?;
        let mut ops = ops.split(|b| *b == 0).step_by(2);
        for line in ask(&["--numstat", "--no-renames", "-z"])?.split(|b| *b == 0) {
            let line = String::from_utf8_lossy(line);
            let mut parts = line.splitn(3, '\t');
            let (Some(plus), Some(minus), Some(path)) = (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let op = match ops.next() {
                Some(b"A") => "create",
                Some(b"D") => "delete",
                _ => "modify",
            };
            let (plus, minus) = (plus.parse().ok(), minus.parse().ok());
            changes.files_count += 1;
            changes.plus += plus.unwrap_or(0);
            changes.minus += minus.unwrap_or(0);
            if changes.files.len() < NAMED_MAX {
                changes.files.push(FileChange {
                    path: path.to_owned(),
                    op: op.to_owned(),
                    plus,
                    minus,
                });
            }
        }
        if from.head != to.head
            && let Some(to) = &to.head
        {
            changes.commits = self.commits(from.head.as_deref(), to);
        }
        changes.left_out = from.left_out.clone();
        changes.left_out.extend(to.left_out.iter().cloned());
        changes.left_out.sort();
        changes.left_out.dedup();
        changes.left_out.truncate(NAMED_MAX);
        Ok((changes, diff))
    }

    /// The commits that lead to `to` and not to `from`; none if git does not know.
    fn commits(&self, from: Option<&str>, to: &str) -> Vec<Commit> {
        let range = from.map_or_else(|| to.to_owned(), |from| format!("{from}..{to}"));
        let limit = format!("--max-count={NAMED_MAX}");
        let said =
            self.git(&["log", "-z", "--no-show-signature", "--format=%H %s", &limit, &range], b"");
        let said = said.unwrap_or_default();
        let commits = said.split(|b| *b == 0).filter_map(|line| {
            let line = String::from_utf8_lossy(line);
            let (id, subject) = line.split_once(' ')?;
            Some(Commit { id: id.to_owned(), subject: subject.to_owned() })
        });
        commits.collect()
    }
}

impl Changes {
    /// Changes that nothing is known of, and why.
    pub fn unknown(why: impl Into<String>) -> Changes {
        Changes { unknown: Some(why.into()), ..Changes::default() }
    }

    /// As the member `changes` of a session's metadata.
    pub fn to_json(&self) -> Value {
        let mut out = Object::new();
        if let Some(why) = &self.unknown {
            out.insert("unknown", why.as_str());
            return Value::Object(out);
        }
        out.insert("files_changed", self.files_count);
        out.insert("insertions", self.plus);
        out.insert("deletions", self.minus);
        let files = self.files.iter().map(|file| {
            let mut out = Object::new();
            out.insert("path", file.path.as_str());
            out.insert("op", file.op.as_str());
            for (name, count) in [("plus", file.plus), ("minus", file.minus)] {
                if let Some(count) = count {
                    out.insert(name, count);
                }
            }
            Value::Object(out)
        });
        out.insert("files", Value::Array(files.collect()));
        let commits = self.commits.iter().map(|commit| {
            let mut out = Object::new();
            out.insert("id", commit.id.as_str());
            out.insert("subject", commit.subject.as_str());
            Value::Object(out)
        });
        out.insert("commits", Value::Array(commits.collect()));
        if !self.left_out.is_empty() {
            let paths = self.left_out.iter().map(|path| Value::from(path.as_str()));
            out.insert("left_out", Value::Array(paths.collect()));
        }
        if self.cut {
            out.insert("cut", true);
        }
        if self.told {
            out.insert("told", true);
        }
        Value::Object(out)
    }

    /// Reads what [`Changes::to_json`] wrote.
    pub fn from_json(value: View<'_>) -> Changes {
        let items = |name: &str| value.get(name).unwrap_or(View::NULL).items();
        let text = |value: View<'_>, name: &str| value.str_at(name).unwrap_or_default().to_owned();
        let count = |name: &str| value.u64_at(name).unwrap_or(0);
        Changes {
            unknown: value.str_at("unknown").map(str::to_owned),
            files: items("files")
                .map(|file| FileChange {
                    path: text(file, "path"),
                    op: text(file, "op"),
                    plus: file.u64_at("plus"),
                    minus: file.u64_at("minus"),
                })
                .collect(),
            files_count: count("files_changed"),
            plus: count("insertions"),
            minus: count("deletions"),
            commits: items("commits")
                .map(|commit| Commit { id: text(commit, "id"), subject: text(commit, "subject") })
                .collect(),
            left_out: items("left_out").filter_map(|p| p.as_str().map(str::to_owned)).collect(),
            cut: value.is_true_at("cut"),
            told: value.is_true_at("told"),
        }
    }
}
