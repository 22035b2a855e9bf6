//! What filters look at, read from a session.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::Session;
use crate::agent::{self, Invocation};
use crate::format::line;
use crate::session::{Facts, Filter};

/// Options by which agents are told a model.
const MODEL_OPTIONS: [&str; 2] = ["--model", "-m"];

impl Session {
    /// The name of the agent that its command starts, or that its own log names.
    pub fn agent(&self) -> Option<&str> {
        match &self.meta.imported {
            Some(imported) => imported.agent.as_deref(),
            None => {
                let derived = self.meta.derived.as_ref().and_then(|d| d.agent.as_deref());
                derived.or_else(|| Some(self.invocation()?.agent.name))
            }
        }
    }

    /// Whether the session is one of those that `filter` means.
    pub fn matches(&self, filter: &Filter) -> bool {
        filter.matches(&self.facts())
    }

    /// What is known of it, from its command line as far as nothing better is.
    pub fn facts(&self) -> Facts<'_> {
        let invocation = self.invocation();
        let words = self.words();
        let mut prompts = vec![line::words(&self.meta.argv)];
        prompts.extend(invocation.as_ref().and_then(|found| found.prompt.clone()));
        prompts.extend(self.meta.imported.as_ref().and_then(|imported| imported.prompt.clone()));
        let derived = self.meta.derived.as_ref();
        prompts.extend(derived.and_then(|derived| derived.prompt.clone()));
        prompts.extend(self.meta.name.clone());
        let mut models = invocation.map_or(Vec::new(), |found| models(&words[found.skipped..]));
        models.extend(derived.and_then(|derived| derived.model.clone()));
        Facts {
            meta: &self.meta,
            status: self.status,
            agent: self.agent(),
            models,
            files: self.files().into_iter().chain(self.changed_files()).collect(),
            prompts,
        }
    }

    fn words(&self) -> Vec<String> {
        self.meta.argv.iter().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    pub(super) fn invocation(&self) -> Option<Invocation> {
        agent::detect(&self.words())
    }

    /// The files that it changed, as absolute paths.
    pub fn changed_files(&self) -> impl Iterator<Item = PathBuf> + '_ {
        let files = self.changes.iter().flat_map(|changes| &changes.files);
        files.filter_map(|file| Some(self.root()?.join(&file.path)))
    }

    /// Where the paths of the files it changed begin: at its repository's root, or, where none is
    /// known of, in the directory that it worked in.
    pub fn root(&self) -> Option<&Path> {
        let root = self.meta.repository.as_ref().map(|repository| Path::new(&repository.root));
        root.or_else(|| self.meta.cwd.as_deref().map(Path::new))
    }

    /// The files that the command line seems to name: its words that look like paths.
    fn files(&self) -> Vec<PathBuf> {
        let Some(cwd) = self.meta.cwd.as_deref().map(Path::new) else { return Vec::new() };
        let words = self.meta.argv.iter().skip(1).filter(|word| {
            let bytes = word.as_bytes();
            !bytes.starts_with(b"-") && bytes.iter().any(|b| matches!(b, b'/' | b'.'))
        });
        words.map(|word| absolute(cwd, Path::new(word))).collect()
    }
}

/// The models that an agent's arguments ask for.
fn models(args: &[String]) -> Vec<String> {
    let mut models = Vec::new();
    for (at, arg) in args.iter().enumerate() {
        if MODEL_OPTIONS.contains(&arg.as_str()) {
            models.extend(args.get(at + 1).cloned());
        }
        models.extend(arg.strip_prefix("--model=").map(str::to_owned));
    }
    models
}

/// `path` as seen from `dir`, without `.` and `..`, and without a look at the disk.
pub fn absolute(dir: &Path, path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in dir.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_absolute_by_their_words() {
        for (dir, path, want) in [
            ("/a/b", "c", "/a/b/c"),
            ("/a/b", "../c/./d", "/a/c/d"),
            ("/a", "/x//y/", "/x/y"),
            ("/a", "../../..", "/"),
            ("/a", "", "/a"),
        ] {
            assert_eq!(absolute(Path::new(dir), Path::new(path)), Path::new(want), "{dir} {path}");
        }
    }

    #[test]
    fn models_are_what_the_options_say() {
        let args = ["-p", "x", "--model", "opus", "--model=haiku", "-m"].map(str::to_owned);
        assert_eq!(models(&args), ["opus", "haiku"]);
    }
}
