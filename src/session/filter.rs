//! Which sessions are meant: conditions that must all hold.

use std::path::PathBuf;

use super::{Meta, Status};

/// Conditions on sessions. One that is empty holds for every session; one that asks for what is
/// not known of a session does not hold for it.
/// ```
/// use intentloop::{Library, SessionFilter};
/// use intentloop::session::Status;
/// # use intentloop::Store;
/// # use intentloop::session::{Meta, SessionId};
/// # use intentloop::store::{Access, Exit, NewSession, StreamId};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dir = std::env::temp_dir().join(format!("il-doc-filter-{}", std::process::id()));
/// # let meta = Meta { tags: vec!["ci".into()], ..Meta::default() };
/// # let id = SessionId::new(1_780_000_000_000, *b"any random").0;
/// # let start_us = 1_780_000_000_000_000;
/// # let store = Store::open(&dir, Access::Write)?;
/// # let meta = meta.to_json();
/// # let new = NewSession { id, start_us, label: [0; 16], meta: meta.as_bytes() };
/// # let mut writer = store.begin(&new)?;
/// # writer.append(StreamId::STDOUT, 5, b"bye\r\n");
/// # writer.end(Exit::Code(1), start_us + 2_000_000)?;
/// let filter = SessionFilter {
///     statuses: vec![Status::Failed, Status::Lost],
///     tags: vec!["ci".into()],
///     ..SessionFilter::default()
/// };
/// let library = Library::open(&dir)?;
/// let meant: Vec<_> = library.sessions()?.filter(|session| session.matches(&filter)).collect();
/// assert_eq!(meant.len(), 1);
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// It stands in one of these ways.
    pub statuses: Vec<Status>,
    /// It began at this time or later; microseconds since 1970.
    pub after_us: Option<i64>,
    /// It began at this time or earlier; microseconds since 1970.
    pub before_us: Option<i64>,
    /// The repository it began in is called so.
    pub project: Option<String>,
    /// It began in this place: in the repository whose root this is, or, outside of
    /// repositories, in this directory.
    pub place: Option<PathBuf>,
    /// The agent is called so, in whichever case.
    pub agent: Option<String>,
    /// The name of a model of its has this in it, in whichever case.
    pub model: Option<String>,
    /// The intent it serves has this id.
    pub intent: Option<String>,
    /// It carries all of these tags.
    pub tags: Vec<String>,
    /// It touched this file, or one in this directory; an absolute path.
    pub file: Option<PathBuf>,
    /// One of its prompts has this in it. A text without capitals is found in any case.
    pub search: Option<String>,
}

/// What a filter looks at. What is read of a session with more effort than its metadata takes is
/// handed in; as long as nobody reads it, it is empty.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// What is known of the session.
    pub meta: &'a Meta,
    /// How it stands.
    pub status: Status,
    /// The agent's name.
    pub agent: Option<&'a str>,
    /// The models that took part.
    pub models: Vec<String>,
    /// The files it touched; absolute paths.
    pub files: Vec<PathBuf>,
    /// What it was asked to do.
    pub prompts: Vec<String>,
}

impl Filter {
    /// Whether every condition holds.
    pub fn matches(&self, facts: &Facts<'_>) -> bool {
        let meta = facts.meta;
        let started_us = meta.started.unix_us;
        (self.statuses.is_empty() || self.statuses.contains(&facts.status))
            && self.after_us.is_none_or(|after_us| started_us >= after_us)
            && self.before_us.is_none_or(|before_us| started_us <= before_us)
            && holds(&self.project, |name| meta.project().as_ref() == Some(name))
            && holds(&self.place, |place| meta.place() == Some(place.as_os_str()))
            && holds(&self.agent, |name| {
                facts.agent.is_some_and(|agent| agent.eq_ignore_ascii_case(name))
            })
            && holds(&self.model, |text| facts.models.iter().any(|m| has(m, text, Case::Any)))
            && holds(&self.intent, |id| meta.intent.as_ref().is_some_and(|i| i.id == *id))
            && self.tags.iter().all(|tag| meta.tags.contains(tag))
            && holds(&self.file, |path| facts.files.iter().any(|file| file.starts_with(path)))
            && holds(&self.search, |text| {
                facts.prompts.iter().any(|prompt| has(prompt, text, Case::smart(text)))
            })
    }
}

fn holds<T>(condition: &Option<T>, is_so: impl FnOnce(&T) -> bool) -> bool {
    condition.as_ref().is_none_or(is_so)
}

#[derive(Clone, Copy, PartialEq)]
enum Case {
    Any,
    Exact,
}

impl Case {
    /// Who types a capital means it.
    fn smart(text: &str) -> Case {
        if text.chars().any(char::is_uppercase) { Case::Exact } else { Case::Any }
    }
}

fn has(text: &str, wanted: &str, case: Case) -> bool {
    match case {
        Case::Exact => text.contains(wanted),
        Case::Any => text.to_lowercase().contains(&wanted.to_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Intent, Repository};
    use crate::time::WallTime;

    fn meta() -> Meta {
        Meta {
            started: WallTime { unix_us: 1000, offset_s: 0 },
            cwd: Some("/r/shop/src".into()),
            repository: Some(Repository { root: "/r/shop".into(), ..Repository::default() }),
            intent: Some(Intent { id: "auth-1".into(), title: None }),
            tags: vec!["one".into(), "two".into()],
            ..Meta::default()
        }
    }

    /// Whether a filter with this one condition takes the session.
    fn check(change: impl FnOnce(&mut Filter), expected: bool) {
        let meta = meta();
        let facts = Facts {
            meta: &meta,
            status: Status::Failed,
            agent: Some("claude"),
            models: vec!["claude-Opus-4".into()],
            files: vec!["/r/shop/src/main.rs".into()],
            prompts: vec!["Fix the Login".into(), "straße".into()],
        };
        let mut filter = Filter::default();
        change(&mut filter);
        assert_eq!(filter.matches(&facts), expected, "{filter:?}");
    }

    #[test]
    fn each_condition_holds_or_does_not() {
        check(|_| {}, true);
        for (statuses, expected) in [
            (vec![Status::Failed], true),
            (vec![Status::Lost, Status::Failed], true),
            (vec![Status::Lost], false),
        ] {
            check(|f| f.statuses = statuses, expected);
        }
        for (at, after, before) in [(999, true, false), (1000, true, true), (1001, false, true)] {
            check(|f| f.after_us = Some(at), after);
            check(|f| f.before_us = Some(at), before);
        }
        for (text, project, agent, model, intent) in [
            ("shop", true, false, false, false),
            ("sho", false, false, false, false),
            ("Claude", false, true, true, false),
            ("opus", false, false, true, false),
            ("auth-1", false, false, false, true),
        ] {
            check(|f| f.project = Some(text.into()), project);
            check(|f| f.agent = Some(text.into()), agent);
            check(|f| f.model = Some(text.into()), model);
            check(|f| f.intent = Some(text.into()), intent);
        }
        for (tags, expected) in
            [(vec!["two"], true), (vec!["two", "one"], true), (vec!["one", "three"], false)]
        {
            check(|f| f.tags = tags.iter().map(|t| (*t).to_owned()).collect(), expected);
        }
        for (path, place, file) in [
            ("/r/shop", true, true),
            ("/r/shop/src/main.rs", false, true),
            ("/r/shop/src/main", false, false),
            ("/r", false, true),
            ("/r/sho", false, false),
        ] {
            check(|f| f.place = Some(path.into()), place);
            check(|f| f.file = Some(path.into()), file);
        }
        for (text, expected) in
            [("login", true), ("Login", true), ("LOGIN", false), ("STRASSE", false), ("", true)]
        {
            check(|f| f.search = Some(text.into()), expected);
        }
    }

    #[test]
    fn all_conditions_must_hold() {
        let both = |f: &mut Filter, tag: &str| {
            f.project = Some("shop".into());
            f.tags = vec![tag.into()];
        };
        check(|f| both(f, "one"), true);
        check(|f| both(f, "three"), false);
    }

    #[test]
    fn what_is_not_known_is_not_so() {
        let meta = Meta::default();
        let facts = Facts {
            meta: &meta,
            status: Status::Lost,
            agent: None,
            models: Vec::new(),
            files: Vec::new(),
            prompts: Vec::new(),
        };
        let text = || Some(String::new());
        let path = || Some(PathBuf::from("/"));
        for filter in [
            Filter { project: text(), ..Filter::default() },
            Filter { place: path(), ..Filter::default() },
            Filter { agent: text(), ..Filter::default() },
            Filter { model: text(), ..Filter::default() },
            Filter { intent: text(), ..Filter::default() },
            Filter { tags: vec![String::new()], ..Filter::default() },
            Filter { file: path(), ..Filter::default() },
            Filter { search: text(), ..Filter::default() },
        ] {
            assert!(!filter.matches(&facts), "{filter:?}");
        }
        assert!(Filter::default().matches(&facts));
    }
}
