//! What the tool calls of a turn, or of all, say that they wrote, as a diff. Pure: events in, text
//! out.
//!
//! An agent's transcript tells which text took the place of which, not on which line, and nothing of
//! what its commands did. Where it has the whole of a new file, the diff is exact.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::facts::absolute;
use crate::event::{Body, Event, FileOp, ToolCall, ToolCategory};
use crate::git::{Changes, FileChange, NAMED_MAX};
use crate::json::Value;

/// The names under which tools take text to be replaced, and what takes its place.
const PAIRS: [(&str, &str); 5] = [
    ("old_string", "new_string"),
    ("oldString", "newString"),
    ("old_str", "new_str"),
    ("oldText", "newText"),
    ("old", "new"),
];

/// The names under which tools take the whole of a file.
const WHOLES: [&str; 3] = ["content", "file_text", "contents"];

/// The names under which tools take a list of replacements, or a single one.
const LISTS: [&str; 2] = ["edits", "edit"];

/// The first line of a patch as `apply_patch` takes it.
const PATCH: &str = "*** Begin Patch";

/// What a turn changed, as far as its tool calls tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// The files, in the order in which they were first written.
    pub files: Vec<FileChange>,
    /// The diff. A hunk whose lines have no numbers begins with `@@ @@`.
    pub diff: String,
    /// Files that were changed too, in a way that is not told.
    pub untold: Vec<String>,
    /// Commands that ran; they may have changed anything.
    pub commands: u64,
    /// It is the diff that the program itself took with git, and nothing is missing.
    pub whole: bool,
}

impl Edits {
    /// Of the turn of this number, whose agent began in `cwd`; paths are told as seen from `root`.
    /// None if there is no such turn.
    pub fn of_turn(events: &[Event], turn: u32, cwd: &Path, root: &Path) -> Option<Edits> {
        let of_it: Vec<&Event> = events.iter().filter(|event| event.turn == Some(turn)).collect();
        (!of_it.is_empty()).then(|| Edits::of(events, of_it, cwd, root))
    }

    /// Of all of a session, but for what the user went back behind. Where its program took diffs
    /// with git, each of them since the last commit, the last of each file counts. None if it tells
    /// of no change.
    pub fn of_all(events: &[Event], cwd: &Path, root: &Path) -> Option<Edits> {
        if has_iterations(events) {
            return Edits::of_iterations(events);
        }
        let live = events.iter().filter(|event| !event.abandoned).collect();
        let edits = Edits::of(events, live, cwd, root);
        (!edits.files.is_empty() || !edits.untold.is_empty()).then_some(edits)
    }

    /// Of some of the events of a session.
    fn of(events: &[Event], of_it: Vec<&Event>, cwd: &Path, root: &Path) -> Edits {
        let mut worked = HashSet::new();
        for event in events {
            if let Body::ToolResult(result) = &event.body
                && let Some(id) = result.call_id.as_deref().filter(|_| result.ok != Some(false))
            {
                worked.insert(id);
            }
        }
        let mut turn = Turn { cwd, root, files: Vec::new(), untold: Vec::new(), commands: 0 };
        for event in &of_it {
            if let Body::ToolCall(call) = &event.body {
                let ids = [&call.call_id, &call.within];
                if ids.into_iter().flatten().any(|id| worked.contains(id.as_str())) {
                    turn.call(call);
                }
            }
        }
        // What the agent says of a change besides: how many lines, and that there was one.
        for event in of_it {
            if let Body::FileChange(change) = &event.body {
                let path = turn.seen_from_root(&change.path);
                match turn.files.iter_mut().find(|file| file.path == path) {
                    Some(file) if change.op == Some(FileOp::Create) && file.whole.is_some() => {
                        file.op = Op::Create;
                    }
                    Some(_) => {}
                    None => turn.leave_untold(path),
                }
            }
        }
        turn.into_edits()
    }

    fn of_iterations(events: &[Event]) -> Option<Edits> {
        let numbers: BTreeSet<u32> = events.iter().filter_map(|event| event.iter).collect();
        let mut all = Edits { whole: true, ..Edits::default() };
        let mut sections: Vec<&str> = Vec::new();
        let each: Vec<Edits> =
            numbers.into_iter().filter_map(|n| Edits::of_iteration(events, n)).collect();
        for edits in &each {
            for section in sections_of(&edits.diff) {
                match sections.iter_mut().find(|known| head_of(known) == head_of(section)) {
                    Some(known) => *known = section,
                    None => sections.push(section),
                }
            }
            for file in &edits.files {
                match all.files.iter_mut().find(|known| known.path == file.path) {
                    Some(known) => known.clone_from(file),
                    None => all.files.push(file.clone()),
                }
            }
        }
        for section in sections {
            all.diff.push_str(section);
            if !all.diff.ends_with('\n') {
                all.diff.push('\n');
            }
        }
        (!all.diff.is_empty() || !all.files.is_empty()).then_some(all)
    }

    /// Of the iteration of this number of a loop that keeps its own diffs. None if the session has
    /// no such iteration, or it kept no diff.
    pub fn of_iteration(events: &[Event], number: u32) -> Option<Edits> {
        let of_it = || events.iter().filter(|event| event.iter == Some(number));
        let git = of_it().find_map(|event| match &event.body {
            Body::Git(git) => Some(git),
            _ => None,
        })?;
        let diff = match git.diff_ref.str_at("text") {
            Some(text) => text.to_owned(),
            None if git.files_changed.unwrap_or(0) == 0 => String::new(),
            None => return None,
        };
        let files = of_it().filter_map(|event| match &event.body {
            Body::FileChange(change) => Some(FileChange {
                path: change.path.clone(),
                op: change.op.map_or("", FileOp::as_str).to_owned(),
                plus: change.plus,
                minus: change.minus,
            }),
            _ => None,
        });
        Some(Edits { files: files.collect(), diff, whole: true, ..Edits::default() })
    }

    /// As it is kept beside what git tells of other sessions: with the files of which it is not
    /// told how they changed.
    pub fn changes(&self) -> Changes {
        let untold = self.untold.iter().map(|path| FileChange {
            path: path.clone(),
            op: Op::Modify.as_str().to_owned(),
            ..FileChange::default()
        });
        let sum = |of: fn(&FileChange) -> Option<u64>| {
            self.files.iter().filter_map(of).fold(0, u64::saturating_add)
        };
        Changes {
            told: true,
            files_count: (self.files.len() + self.untold.len()) as u64,
            plus: sum(|file| file.plus),
            minus: sum(|file| file.minus),
            files: self.files.iter().cloned().chain(untold).take(NAMED_MAX).collect(),
            ..Changes::default()
        }
    }
}

/// The parts of a diff that are about one file each, whatever stands before the first.
fn sections_of(diff: &str) -> impl Iterator<Item = &str> {
    const HEAD: &str = "\ndiff --git ";
    let mut rest = diff;
    std::iter::from_fn(move || {
        let end = rest.find(HEAD).map_or(rest.len(), |at| at + 1);
        let (section, after) = rest.split_at(end);
        rest = after;
        (!section.is_empty()).then_some(section)
    })
}

/// The line that says which file a part is about.
fn head_of(section: &str) -> &str {
    section.lines().next().unwrap_or_default()
}

/// Whether a session is one of iterations, each with a diff of its own.
pub fn has_iterations(events: &[Event]) -> bool {
    events.iter().any(|event| event.iter.is_some() && matches!(event.body, Body::Git(_)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Create,
    Modify,
    Delete,
}

impl Op {
    fn as_str(self) -> &'static str {
        match self {
            Op::Create => "create",
            Op::Modify => "modify",
            Op::Delete => "delete",
        }
    }
}

/// What is known of one file.
#[derive(Debug)]
struct Touched {
    path: String,
    op: Op,
    /// All of it, if it was written whole.
    whole: Option<String>,
    hunks: Vec<Hunk>,
}

/// Lines, each with its sign.
#[derive(Debug, Default)]
struct Hunk {
    /// What the patch says where it is.
    place: String,
    lines: Vec<(char, String)>,
}

struct Turn<'a> {
    cwd: &'a Path,
    root: &'a Path,
    files: Vec<Touched>,
    untold: Vec<String>,
    commands: u64,
}

impl Turn<'_> {
    fn call(&mut self, call: &ToolCall) {
        if let Some(patch) = patch_in(&call.args) {
            return self.patch(patch);
        }
        match call.category {
            Some(ToolCategory::Shell) => self.commands += 1,
            Some(ToolCategory::Write) => {
                if !self.replace(call) && !self.write(call) {
                    for path in &call.paths {
                        let path = self.seen_from_root(path);
                        self.leave_untold(path);
                    }
                }
            }
            // A tool that nobody knows writes if it says what takes the place of what.
            Some(ToolCategory::Mcp | ToolCategory::Other) | None => {
                self.replace(call);
            }
            Some(_) => {}
        }
    }

    /// A call that replaces text in a file; false if it is none.
    fn replace(&mut self, call: &ToolCall) -> bool {
        let [path] = &call.paths[..] else { return false };
        let lists = LISTS.iter().filter_map(|name| call.args.get(name));
        let listed: Vec<&Value> = lists
            .flat_map(|list| match list {
                Value::Array(items) => &items[..],
                other => std::slice::from_ref(other),
            })
            .collect();
        let pairs: Option<Vec<_>> = match listed.is_empty() {
            true => pair_in(&call.args).map(|pair| vec![pair]),
            false => listed.into_iter().map(pair_in).collect(),
        };
        let Some(pairs) = pairs else { return false };
        let path = self.seen_from_root(path);
        let file = self.file(path);
        pairs.into_iter().for_each(|(old, new, all)| file.replace(old, new, all));
        true
    }

    /// A call that writes the whole of a file, or to its end; false if it is none.
    fn write(&mut self, call: &ToolCall) -> bool {
        let [path] = &call.paths[..] else { return false };
        let path = self.seen_from_root(path);
        let Some(whole) = WHOLES.iter().find_map(|name| call.args.str_at(name)) else {
            return false;
        };
        let file = self.file(path);
        match call.args.str_at("mode") {
            Some("append") => file.append(whole),
            _ => {
                file.hunks.clear();
                file.whole = Some(whole.to_owned());
            }
        }
        true
    }

    /// A patch of the form that `apply_patch` takes.
    fn patch(&mut self, patch: &str) {
        let mut path = None;
        for line in patch.lines().skip_while(|line| line.trim() != PATCH).skip(1) {
            let named = |head: &str| line.strip_prefix(head).map(|path| path.trim().to_owned());
            let add = named("*** Add File: ");
            let delete = named("*** Delete File: ");
            if let Some(name) = add.clone().or(delete.clone()).or(named("*** Update File: ")) {
                let name = self.seen_from_root(&name);
                let file = self.file(name.clone());
                if add.is_some() {
                    (file.op, file.whole) = (Op::Create, Some(String::new()));
                    file.hunks.clear();
                } else if delete.is_some() {
                    *file = Touched::new(name.clone(), Op::Delete);
                } else {
                    file.hunks.push(Hunk::default());
                }
                path = Some(name);
                continue;
            }
            if line == "*** End Patch" {
                return;
            }
            let Some(name) = path.clone() else { continue };
            if let Some(to) = named("*** Move to: ") {
                // What follows is told of the new name.
                let file = self.file(name);
                file.op = Op::Delete;
                file.hunks.clear();
                let to = self.seen_from_root(&to);
                self.file(to.clone()).hunks.push(Hunk::default());
                path = Some(to);
                continue;
            }
            let file = self.file(name);
            if let Some(place) = line.strip_prefix("@@") {
                if file.hunks.last().is_none_or(|hunk| !hunk.lines.is_empty()) {
                    file.hunks.push(Hunk::default());
                }
                if let Some(hunk) = file.hunks.last_mut() {
                    hunk.place = place.trim_end().to_owned();
                }
                continue;
            }
            let (sign, text) = match line.chars().next() {
                Some(sign @ ('+' | '-' | ' ')) => (sign, &line[1..]),
                None => (' ', ""),
                Some(_) => continue,
            };
            match (&mut file.whole, file.hunks.last_mut()) {
                (_, Some(hunk)) => hunk.lines.push((sign, text.to_owned())),
                (Some(whole), None) => {
                    whole.push_str(text);
                    whole.push('\n');
                }
                (None, None) => {}
            }
        }
    }

    fn file(&mut self, path: String) -> &mut Touched {
        let at = self.files.iter().position(|file| file.path == path).unwrap_or_else(|| {
            self.files.push(Touched::new(path, Op::Modify));
            self.files.len() - 1
        });
        let file = &mut self.files[at];
        // Who writes to a file that was taken away makes it anew.
        if file.op == Op::Delete {
            file.op = Op::Modify;
        }
        file
    }

    fn seen_from_root(&self, path: &str) -> String {
        let path = absolute(self.cwd, Path::new(path));
        let short = path.strip_prefix(self.root).map(PathBuf::from).unwrap_or(path);
        short.to_string_lossy().into_owned()
    }

    fn leave_untold(&mut self, path: String) {
        if !self.untold.contains(&path) {
            self.untold.push(path);
        }
    }

    fn into_edits(mut self) -> Edits {
        self.files.iter_mut().for_each(Touched::drop_empty_hunks);
        let mut edits = Edits { untold: self.untold, commands: self.commands, ..Edits::default() };
        for file in &self.files {
            edits.untold.retain(|path| *path != file.path);
            file.write(&mut edits.diff);
            edits.files.push(file.change());
        }
        edits
    }
}

impl Touched {
    fn new(path: String, op: Op) -> Touched {
        Touched { path, op, whole: None, hunks: Vec::new() }
    }

    fn replace(&mut self, old: &str, new: &str, all: bool) {
        // Of a file that this turn has written it is known what becomes of it.
        if let Some(whole) = self.whole.as_mut().filter(|whole| whole.contains(old))
            && self.hunks.is_empty()
            && !old.is_empty()
        {
            *whole = if all { whole.replace(old, new) } else { whole.replacen(old, new, 1) };
            return;
        }
        // Some tools make a file by replacing nothing.
        if old.is_empty() && self.whole.is_none() && self.hunks.is_empty() {
            self.whole = Some(new.to_owned());
            return;
        }
        let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
        let same = |(a, b): &(&&str, &&str)| a == b;
        let head = old.iter().zip(&new).take_while(same).count();
        let most = old.len().min(new.len()) - head;
        let tail = old.iter().rev().zip(new.iter().rev()).take(most).take_while(same).count();
        let part = |sign: char, lines: &[&str]| -> Vec<(char, String)> {
            lines.iter().map(|line| (sign, (*line).to_owned())).collect()
        };
        let lines = [
            part(' ', &old[..head]),
            part('-', &old[head..old.len() - tail]),
            part('+', &new[head..new.len() - tail]),
            part(' ', &new[new.len() - tail..]),
        ];
        let place = if all { " everywhere".to_owned() } else { String::new() };
        self.hunks.push(Hunk { place, lines: lines.concat() });
    }

    fn append(&mut self, text: &str) {
        if let Some(whole) = self.whole.as_mut().filter(|_| self.hunks.is_empty()) {
            return whole.push_str(text);
        }
        let lines = text.lines().map(|line| ('+', line.to_owned())).collect();
        self.hunks.push(Hunk { place: " at the end".to_owned(), lines });
    }

    fn drop_empty_hunks(&mut self) {
        self.hunks.retain(|hunk| !hunk.lines.is_empty());
    }

    fn write(&self, out: &mut String) {
        let path = self.path.trim_start_matches('/');
        out.push_str(&format!("diff --git a/{path} b/{path}\n"));
        if self.op == Op::Create {
            // git takes no diff of a new file without it.
            out.push_str("new file mode 100644\n");
        }
        let (from, to) = match self.op {
            Op::Create => ("/dev/null".to_owned(), format!("b/{path}")),
            Op::Modify => (format!("a/{path}"), format!("b/{path}")),
            Op::Delete => (format!("a/{path}"), "/dev/null".to_owned()),
        };
        out.push_str(&format!("--- {from}\n+++ {to}\n"));
        if let Some(whole) = &self.whole {
            let count = whole.lines().count();
            match self.op {
                Op::Create if count == 0 => {}
                Op::Create if count == 1 => out.push_str("@@ -0,0 +1 @@\n"),
                Op::Create => out.push_str(&format!("@@ -0,0 +1,{count} @@\n")),
                _ => out.push_str("@@ @@ all of it, in place of what was there\n"),
            }
            whole.lines().for_each(|line| out.push_str(&format!("+{line}\n")));
            if !whole.is_empty() && !whole.ends_with('\n') {
                out.push_str("\\ No newline at end of file\n");
            }
        }
        for hunk in &self.hunks {
            out.push_str(&format!("@@ @@{}\n", hunk.place));
            hunk.lines.iter().for_each(|(sign, text)| out.push_str(&format!("{sign}{text}\n")));
        }
    }

    fn change(&self) -> FileChange {
        let count = |wanted: char| {
            let lines = self.hunks.iter().flat_map(|hunk| &hunk.lines);
            lines.filter(|(sign, _)| *sign == wanted).count() as u64
        };
        let whole = self.whole.as_ref().map_or(0, |whole| whole.lines().count()) as u64;
        FileChange {
            path: self.path.clone(),
            op: self.op.as_str().to_owned(),
            plus: Some(whole + count('+')),
            minus: Some(count('-')),
        }
    }
}

/// Text, what takes its place, and whether it does so everywhere.
fn pair_in(args: &Value) -> Option<(&str, &str, bool)> {
    let all =
        ["replace_all", "replaceAll"].iter().any(|name| args.get(name) == Some(&Value::Bool(true)));
    PAIRS.iter().find_map(|(old, new)| Some((args.str_at(old)?, args.str_at(new)?, all)))
}

/// A patch among the arguments: alone, as a member, or as a word of a command.
fn patch_in(args: &Value) -> Option<&str> {
    let is_patch = |text: &&str| text.lines().any(|line| line.trim() == PATCH);
    match args {
        Value::String(text) => Some(text.as_str()).filter(is_patch),
        Value::Array(items) => items.iter().find_map(|item| item.as_str().filter(is_patch)),
        Value::Object(members) => members.iter().find_map(|(_, value)| match value {
            Value::Object(_) => None,
            other => patch_in(other),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
