//! Where agents keep their transcripts, and which of them belongs to a run. Pure: whoever calls
//! walks the directories and reads the files.

use super::{Agent, File, Scope};
use crate::event::Body;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// One place where an agent keeps transcripts, as data.
#[derive(Debug)]
pub struct Place {
    /// The variable that moves it, and what follows its value.
    pub env: Option<(&'static str, &'static str)>,
    /// What follows the base directory where the variable is not set.
    pub tail: &'static str,
    /// The base directory.
    pub base: Base,
    /// Files below the root that are of transcripts; `*` stands for anything inside one name.
    pub patterns: &'static [&'static str],
    /// How the directory of a project is called, where it has one.
    pub project: Project,
}

/// What a place's path begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The user's home directory.
    Home,
    /// The root of the repository, else the working directory.
    Repository,
}

/// How an agent names the directory of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Project {
    /// Not by its path.
    None,
    /// Its path with `-` for all that is no ASCII letter or digit.
    Dashes,
}

/// A directory to look into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// The directory.
    pub path: PathBuf,
    /// Files below it that are of transcripts; see [`matches()`].
    pub patterns: &'static [&'static str],
    /// The directory right below it in which this project's are. Not sure enough to look nowhere
    /// else: long names are shortened.
    pub project: Option<String>,
}

/// What the run says, for finding its transcript.
#[derive(Clone, Debug, Default)]
pub struct RunFacts {
    /// The working directory, links resolved.
    pub cwd: Option<String>,
    /// When it began, in microseconds since 1970.
    pub started_us: i64,
    /// When it ended, or the present time.
    pub ended_us: i64,
    /// The session id on the command line.
    pub argv_session: Option<String>,
    /// The session id that the agent printed when it ended.
    pub hint_session: Option<String>,
    /// The session id that the agent's own registry has for the process.
    pub pid_session: Option<String>,
    /// What was typed, as text; a first prompt is looked for in it.
    pub typed: String,
}

/// A transcript that may be the run's.
#[derive(Clone, Debug, Default)]
pub struct Candidate {
    /// The session id, from its content or its name.
    pub session: Option<String>,
    /// The working directory it states.
    pub cwd: Option<String>,
    /// When its session began, in microseconds since 1970.
    pub started_us: Option<i64>,
    /// When it was last written.
    pub modified_us: Option<i64>,
    /// Whether it has grown since the run began.
    pub grown: bool,
    /// The user's first message since then.
    pub prompt: Option<String>,
}

/// Why a candidate is, or is not, the run's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The agent printed its id.
    HintedId,
    /// The command line has its id.
    ArgvId,
    /// The agent's registry has its id for the process.
    PidId,
    /// Its first prompt was typed.
    TypedPrompt,
    /// It states the run's directory.
    SameCwd,
    /// It began during the run.
    Began,
    /// It grew during the run.
    Grew,
    /// It states another directory: not the run's, whatever else fits.
    OtherCwd,
    /// It was not written during the run: not the run's.
    Untouched,
}

/// How well a candidate fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// The sum of the reasons' points; 0 for what cannot be the run's.
    pub points: u32,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// The answer to "which of these is the run's".
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// This one, with 0 to 1 how sure.
    One(usize, f64),
    /// Several fit as well; no guess is made.
    Several(Vec<usize>),
    /// None fits.
    None,
}

/// The ids decide; among the rest a typed prompt is better than any circumstance.
const POINTS: &[(Reason, u32)] = &[
    (Reason::HintedId, 1000),
    (Reason::ArgvId, 1000),
    (Reason::PidId, 900),
    (Reason::TypedPrompt, 100),
    (Reason::SameCwd, 40),
    (Reason::Began, 30),
    (Reason::Grew, 10),
];
/// A shorter prompt is looked for as a whole line: it stands in many.
const PROMPT_LEN_MIN: usize = 8;
/// Files' times are rounded down to this, in microseconds, and clocks of file servers differ.
const SLACK_US: i64 = 2_000_000;

/// The directories in which `agent` keeps transcripts of runs in `cwd`.
pub fn roots(
    agent: &Agent,
    env: &dyn Fn(&str) -> Option<OsString>,
    home: &Path,
    cwd: &Path,
    repository: Option<&Path>,
) -> Vec<Root> {
    let root = |place: &Place| {
        let moved =
            place.env.and_then(|(name, tail)| Some((env(name).filter(|v| !v.is_empty())?, tail)));
        let base = match place.base {
            Base::Home => home,
            Base::Repository => repository.unwrap_or(cwd),
        };
        let path = match moved {
            Some((value, "")) => PathBuf::from(value),
            Some((value, tail)) => PathBuf::from(value).join(tail),
            None if place.tail.is_empty() => base.to_owned(),
            None => base.join(place.tail),
        };
        let project = match place.project {
            Project::None => None,
            Project::Dashes => Some(dashes(&cwd.to_string_lossy())),
        };
        Root { path, patterns: place.patterns, project }
    };
    agent.places.iter().map(root).collect()
}

/// A path as a directory name: each UTF-16 unit that is no ASCII letter or digit becomes `-`.
pub fn dashes(path: &str) -> String {
    let dash = |c: char| match c.is_ascii_alphanumeric() {
        true => c.to_string(),
        false => "-".repeat(c.len_utf16()),
    };
    path.chars().map(dash).collect()
}

/// Whether a path below a root fits a pattern.
pub fn matches(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut names) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), names.next()) {
            (None, None) => return true,
            (Some(pattern), Some(name)) if name_matches(pattern, name) => {}
            _ => return false,
        }
    }
}

fn name_matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| name.strip_prefix(head)) else {
        return false;
    };
    let mut open = false;
    for part in parts {
        open = true;
        if part.is_empty() {
            continue;
        }
        match rest.find(part) {
            // The last part must end the name; an earlier place of it would leave a tail.
            _ if pattern.ends_with(part) && rest.ends_with(part) => rest = "",
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty() || (open && pattern.ends_with('*'))
}

/// What files of one session have in common in their paths, so that they can be read together.
pub fn session_key(agent: &Agent, path: &str) -> String {
    (agent.session_key)(path)
}

/// What a transcript says of itself. A beginning of its files is enough, their end is not.
pub fn peek(agent: &Agent, files: &[File<'_>], scope: &Scope<'_>) -> Candidate {
    let transcript = agent.read(files, scope);
    let prompt = transcript.events.iter().find_map(|e| match &e.body {
        Body::UserMessage(message) => Some(message.text.clone()),
        _ => None,
    });
    Candidate {
        session: transcript.native.session,
        cwd: transcript.native.cwd,
        started_us: transcript.native.started.map(|t| t.unix_us),
        prompt,
        ..Default::default()
    }
}

/// How well `candidate` fits the run.
pub fn score(candidate: &Candidate, run: &RunFacts) -> Score {
    let mut reasons = Vec::new();
    let same = |id: &Option<String>| id.is_some() && *id == candidate.session;
    let mut hold = |holds: bool, reason: Reason| {
        if holds {
            reasons.push(reason);
        }
    };
    hold(same(&run.hint_session), Reason::HintedId);
    hold(same(&run.argv_session), Reason::ArgvId);
    hold(same(&run.pid_session), Reason::PidId);
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let prompt = candidate.prompt.as_deref().map(words).filter(|prompt| !prompt.is_empty());
    let typed = |prompt: &String| match prompt.len() < PROMPT_LEN_MIN {
        true => run.typed.lines().any(|line| words(line) == *prompt),
        false => words(&run.typed).contains(prompt),
    };
    hold(prompt.as_ref().is_some_and(typed), Reason::TypedPrompt);
    let cwds = candidate.cwd.as_ref().zip(run.cwd.as_ref());
    hold(cwds.is_some_and(|(a, b)| a == b), Reason::SameCwd);
    let during = |us: i64| us >= run.started_us - SLACK_US && us <= run.ended_us + SLACK_US;
    hold(candidate.started_us.is_some_and(during), Reason::Began);
    hold(candidate.grown, Reason::Grew);
    let named =
        reasons.iter().any(|r| matches!(r, Reason::HintedId | Reason::ArgvId | Reason::PidId));
    if !named && cwds.is_some_and(|(a, b)| a != b) {
        reasons.push(Reason::OtherCwd);
    }
    let written =
        candidate.grown || candidate.modified_us.is_none_or(|us| us >= run.started_us - SLACK_US);
    if !written {
        reasons.push(Reason::Untouched);
    }
    let out = reasons.iter().any(|r| matches!(r, Reason::OtherCwd | Reason::Untouched));
    let points = POINTS.iter().filter(|(r, _)| !out && reasons.contains(r)).map(|(_, n)| n).sum();
    Score { points, reasons }
}

/// The candidate that the run wrote. A tie is not broken.
pub fn choose(scores: &[Score]) -> Choice {
    let best = scores.iter().map(|s| s.points).max().unwrap_or(0);
    let equal: Vec<usize> = (0..scores.len()).filter(|&i| scores[i].points == best).collect();
    match equal[..] {
        _ if best == 0 => Choice::None,
        [one] => Choice::One(one, confidence(best)),
        _ => Choice::Several(equal),
    }
}

fn confidence(points: u32) -> f64 {
    match points {
        900.. => 1.0,
        100.. => 0.9,
        60.. => 0.7,
        _ => 0.4,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AGENTS, by_name};
    use super::*;

    #[test]
    fn patterns_match_names_one_by_one() {
        for (pattern, path, expected) in [
            ("*/*.jsonl", "-home-me/u.jsonl", true),
            ("*/*.jsonl", "u.jsonl", false),
            ("*/*.jsonl", "a/b/u.jsonl", false),
            ("*/*/subagents/agent-*.jsonl", "p/u/subagents/agent-1f.jsonl", true),
            ("*/chats/session-*", "p/chats/session-2026.jsonl", true),
            ("opencode*.db", "opencode.db", true),
            ("opencode*.db", "opencode.db-wal", false),
            ("a*b*c", "abbc", true),
            ("a*b*c", "acb", false),
            ("*.messages.json", ".messages.json.messages.json", true),
            ("x", "x", true),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn roots_follow_the_environment() {
        let claude = by_name("claude").expect("claude");
        let home = Path::new("/home/me");
        let cwd = Path::new("/home/me/wk/My Proj_x.y/ünï-t");
        let plain = roots(claude, &|_| None, home, cwd, None);
        assert_eq!(plain[0].path, Path::new("/home/me/.claude/projects"));
        assert_eq!(plain[0].project.as_deref(), Some("-home-me-wk-My-Proj-x-y--n--t"));
        let moved = |name: &str| (name == "CLAUDE_CONFIG_DIR").then(|| OsString::from("/c"));
        assert_eq!(roots(claude, &moved, home, cwd, None)[0].path, Path::new("/c/projects"));
        let aider = by_name("aider").expect("aider");
        let here = roots(aider, &|_| None, home, cwd, Some(Path::new("/home/me/wk")));
        assert_eq!(here[0].path, Path::new("/home/me/wk"));
        assert_eq!(dashes("a😀b"), "a--b");
    }

    #[test]
    fn files_of_one_session_share_a_key() {
        for (agent, a, b) in [
            ("claude", "p/7f37.jsonl", "p/7f37/subagents/agent-a6.meta.json"),
            (
                "codex",
                "2026/11/20/rollout-2026-11-20T23-49-32-01a1fb5d-849c-79d3-af34-66ad279313e2.jsonl",
                "2026/11/20/rollout-2026-11-20T23-49-42-01a1fb5d-849c-79d3-af34-66ad279313e2_01a1fb5d-abde-75e0-ba13-93eef8c45ffd.jsonl",
            ),
            (
                "gemini",
                "p/chats/session-2026-11-20T23-54-99437048.jsonl",
                "p/chats/session-2026-11-20T23-55-99437048.jsonl",
            ),
            ("copilot", "u/events.jsonl", "u/workspace.yaml"),
            ("kimi", "wd_x/session_1/agents/main/wire.jsonl", "wd_x/session_1/state.json"),
            ("cline", "17_x/17_x.messages.json", "17_x/17_x.json"),
            ("opencode", "opencode.db", "opencode.db-wal"),
            ("aider", ".aider.chat.history.md", ".aider.input.history"),
            ("cursor", "p/agent-transcripts/u/u.jsonl", "p/agent-transcripts/u/subagents/v.jsonl"),
        ] {
            let agent = by_name(agent).expect(agent);
            assert_eq!(session_key(agent, a), session_key(agent, b), "{}", agent.name);
            for path in [a, b] {
                let known = agent.places.iter().flat_map(|p| p.patterns).any(|p| matches(p, path));
                assert!(known, "{}: no pattern for {path}", agent.name);
            }
        }
        assert!(AGENTS.iter().all(|a| !a.places.is_empty() && !session_key(a, "").contains('/')));
    }

    fn run() -> RunFacts {
        RunFacts {
            cwd: Some("/p".into()),
            started_us: 1_000_000_000,
            ended_us: 2_000_000_000,
            typed: "hello\nfix  the bug\r".into(),
            ..Default::default()
        }
    }

    fn fits() -> Candidate {
        Candidate {
            session: Some("u1".into()),
            cwd: Some("/p".into()),
            started_us: Some(1_100_000_000),
            modified_us: Some(1_900_000_000),
            grown: true,
            prompt: Some("fix the bug".into()),
        }
    }

    #[test]
    fn what_fits_best_is_chosen_and_a_tie_is_not_broken() {
        use Reason::{Began, Grew, HintedId, OtherCwd, SameCwd, TypedPrompt, Untouched};
        let full = score(&fits(), &run());
        assert_eq!(full.reasons, [TypedPrompt, SameCwd, Began, Grew]);
        let plain = score(&Candidate { prompt: None, ..fits() }, &run());
        assert_eq!(plain.points, 80);
        let elsewhere = score(&Candidate { cwd: Some("/q".into()), ..fits() }, &run());
        assert_eq!((elsewhere.points, elsewhere.reasons.last()), (0, Some(&OtherCwd)));
        let old = Candidate { modified_us: Some(1), grown: false, started_us: Some(0), ..fits() };
        assert_eq!(score(&old, &run()).reasons.last(), Some(&Untouched));
        let named = RunFacts { hint_session: Some("u1".into()), ..run() };
        let moved = score(&Candidate { cwd: Some("/q".into()), ..fits() }, &named);
        assert!(moved.reasons.contains(&HintedId) && moved.points > full.points);

        assert_eq!(choose(&[plain.clone(), full.clone(), elsewhere.clone()]), Choice::One(1, 0.9));
        assert_eq!(choose(&[plain.clone(), plain.clone()]), Choice::Several(vec![0, 1]));
        assert_eq!(choose(&[plain, moved]), Choice::One(1, 1.0));
        assert_eq!(choose(&[elsewhere]), Choice::None);
        assert_eq!(choose(&[]), Choice::None);
    }
}
