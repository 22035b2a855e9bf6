//! `il resume`: back into an agent's own conversation, recorded as a session of its own.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::pick::{self, Picks};
use super::{home, print, run};
use crate::agent::{self, Agent, locate};
use crate::cli::{Command, Flag, Global, Hint, Operand, Operands};
use crate::error::{Error, Result};
use crate::format::line;
use crate::library::{Library, Session};
use crate::session::{Filter, NativeFile, Status};

/// `il resume [--dry-run] [--here] [ID]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "resume",
    summary: "Go on with an agent's conversation",
    flags: &[
        pick::flag(),
        Flag::switch("dry-run", "Print what would be done", |args: &mut Args| args.dry_run = true),
        Flag::switch(
            "here",
            "Go on in this directory, or with the last session of this repository",
            |args: &mut Args| args.here = true,
        ),
    ],
    shared: &[],
    operands: Operands::Each(
        &[Operand::optional("ID", Hint::Session, "Session, the newest if left out")],
        |args: &mut Args, word| {
            args.id = Some(super::id(word)?);
            Ok(())
        },
    ),
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    id: Option<String>,
    dry_run: bool,
    here: bool,
    pick: bool,
}

impl Picks for Args {
    fn pick(&mut self) {
        self.pick = true;
    }
}

/// What going on with a session takes.
#[derive(Debug, PartialEq)]
struct Plan {
    argv: Vec<OsString>,
    dir: PathBuf,
    missing: Vec<Missing>,
}

/// A file of the agent's that is not where the agent will look for it.
#[derive(Debug, PartialEq)]
struct Missing {
    path: PathBuf,
    source: Source,
}

/// Where its bytes are.
#[derive(Debug, PartialEq)]
enum Source {
    /// In the session's stream of this name.
    Stream(String),
    /// Where it was when the project was elsewhere, perhaps longer than our copy.
    File(PathBuf),
}

fn run(args: Args, global: &Global) -> Result<u8> {
    let library = Library::open(&home::dir(global)?)?;
    let session = meant(&library, &args)?;
    let plan = plan(&session, args.here && args.id.is_some() && !args.pick)?;
    if args.dry_run {
        print(as_text(&library, &session, &plan))?;
        return Ok(0);
    }
    put_back(&library, &session, &plan.missing)?;
    env::set_current_dir(&plan.dir).map_err(|e| not_there(&session, &plan.dir, &e))?;
    let resumed = run::Args::resumed(plan.argv, &plan.dir, &session);
    drop((library, session));
    run::run(resumed, global)
}

/// The session that the words mean.
fn meant(library: &Library, args: &Args) -> Result<Session> {
    let id = args.id.as_deref();
    if !args.here || id.is_some() && !args.pick {
        return match args.pick {
            true => pick::choose(library, id.unwrap_or_default(), &|s| conversation(s).is_ok()),
            false => library.find(id),
        };
    }
    let cwd = working_directory()?;
    let root = crate::git::find(&cwd).map_or(cwd, |found| found.root.into());
    let filter = Filter { place: Some(root), ..Filter::default() };
    let fits = |session: &Session| session.matches(&filter) && conversation(session).is_ok();
    if args.pick {
        return pick::choose(library, id.unwrap_or_default(), &fits);
    }
    let found = library.candidates(&filter)?.find(fits);
    found.ok_or_else(|| {
        Error::nothing_found("no session of this repository has a conversation to go on with")
            .with_hint("'il list --here' shows the sessions there are")
    })
}

fn working_directory() -> Result<PathBuf> {
    env::current_dir().map_err(|e| Error::io("cannot tell which directory this is", &e))
}

/// The agent that worked in a session, and the command that goes on with its conversation.
fn conversation(session: &Session) -> Result<(&'static Agent, Vec<OsString>)> {
    let short = session.id.short();
    let derived = session.meta.derived.as_ref();
    let argv: Vec<String> =
        session.meta.argv.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let started = agent::detect(&argv);
    let name = derived.and_then(|derived| derived.agent.as_deref());
    let agent = name.and_then(agent::by_name).or(started.as_ref().map(|found| found.agent));
    let Some(agent) = agent else {
        return Err(Error::failed(format!("cannot go on with session {short}"))
            .why("no agent that il knows worked in it")
            .with_hint("'il list' shows which did in which"));
    };
    let skipped = started.filter(|found| found.agent.name == agent.name).map(|f| f.skipped);
    let program = skipped.map_or(&[][..], |skipped| program(&argv, skipped));
    let id = derived.and_then(|derived| derived.native_session.as_deref());
    let own = id.and_then(|id| agent::resume_command(agent, id));
    let command = match own {
        Some(own) if program.is_empty() => own,
        Some(own) => [program, &own[1..]].concat(),
        None if agent.words.back.is_empty() => {
            again(agent, program, argv.get(skipped.unwrap_or(argv.len())..).unwrap_or_default())
        }
        None => {
            let rivals = derived.map_or(&[][..], |derived| &derived.rivals[..]);
            let hint = match rivals {
                [] => "'il show' says what is known of it".to_owned(),
                ids => format!("it may be one of these: {}", ids.join(", ")),
            };
            return Err(Error::failed(format!("cannot go on with session {short}"))
                .why(format!("which of {}'s own sessions it is, is not known", agent.name))
                .with_hint(hint));
        }
    };
    Ok((agent, command.into_iter().map(OsString::from).collect()))
}

/// The words that start the agent, as they were given: `npx @openai/codex`, `./claude`. A limit on
/// the time of one run is none of the next one's.
fn program(argv: &[String], skipped: usize) -> &[String] {
    let limited = argv.first().is_some_and(|word| word.rsplit('/').next() == Some("timeout"));
    &argv[if limited { skipped - 1 } else { 0 }..skipped]
}

/// The command of an agent whose conversations have no ids: the same again, without the prompt,
/// and with the option that goes on with what is there.
fn again(agent: &Agent, program: &[String], args: &[String]) -> Vec<String> {
    let words = agent.words;
    let mut command = program.to_vec();
    if command.is_empty() {
        command.push(agent.programs[0].to_owned());
    }
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let name = arg.split('=').next().unwrap_or(arg);
        if words.prompt.contains(&name) {
            if name == arg {
                args.next();
            }
        } else if !words.latest.contains(&arg.as_str()) {
            command.push(arg.clone());
        }
    }
    command.extend(words.latest.first().map(|word| (*word).to_owned()));
    command
}

/// What going on with a session takes; `here` is where the project is by now.
fn plan(session: &Session, here: bool) -> Result<Plan> {
    if session.status == Status::Running {
        let short = session.id.short();
        return Err(Error::failed(format!("session {short} still runs"))
            .with_hint(format!("'il attach {short}' shows it")));
    }
    let (agent, argv) = conversation(session)?;
    let old = PathBuf::from(session.meta.cwd.clone().unwrap_or_default());
    let dir = if here { working_directory()? } else { old.clone() };
    if !dir.is_dir() {
        let gone = std::io::Error::from(ErrorKind::NotFound);
        return Err(not_there(session, &dir, &gone));
    }
    let files = session.meta.derived.as_ref().map_or(&[][..], |derived| &derived.files[..]);
    let repository = session.meta.repository.as_ref().map(|r| PathBuf::from(&r.root));
    let root = if here { crate::git::find(&dir).map(|found| found.root.into()) } else { None };
    let moved = Moved {
        agent,
        from: fs::canonicalize(&old).unwrap_or(old),
        to: fs::canonicalize(&dir).unwrap_or(dir.clone()),
        roots: repository.zip(root),
    };
    Ok(Plan { argv, dir, missing: missing(&moved, files) })
}

fn not_there(session: &Session, dir: &Path, why: &std::io::Error) -> Error {
    let short = session.id.short();
    Error::io(format!("cannot go on in {}", line::clean(&dir.to_string_lossy())), why).with_hint(
        format!("if the project has moved, 'il resume {short} --here' in its new directory"),
    )
}

/// A project that may have moved.
struct Moved<'a> {
    agent: &'a Agent,
    from: PathBuf,
    to: PathBuf,
    /// The repository's root, before and after.
    roots: Option<(PathBuf, PathBuf)>,
}

impl Moved<'_> {
    /// Where the agent looks for a file when it is started in the new directory.
    fn place(&self, path: &Path) -> PathBuf {
        if self.from == self.to {
            return path.to_owned();
        }
        let places = self.agent.places;
        if places.iter().any(|place| place.base == locate::Base::Repository) {
            let (from, to) = match &self.roots {
                Some((from, to)) => (from, to),
                None => (&self.from, &self.to),
            };
            return path.strip_prefix(from).map_or(path.to_owned(), |rest| to.join(rest));
        }
        if places.iter().any(|place| place.project == locate::Project::Dashes) {
            let name = |dir: &Path| OsString::from(locate::dashes(&dir.to_string_lossy()));
            let (from, to) = (name(&self.from), name(&self.to));
            let renamed = |part: &OsStr| if part == from { to.clone() } else { part.to_owned() };
            return path.components().map(|part| renamed(part.as_os_str())).collect();
        }
        path.to_owned()
    }
}

/// The files that are not where the agent will look for them.
fn missing(moved: &Moved<'_>, files: &[NativeFile]) -> Vec<Missing> {
    let mut missing: Vec<Missing> = Vec::new();
    for file in files {
        let old = Path::new(&file.path);
        let path = moved.place(old);
        if fs::symlink_metadata(&path).is_ok() || belongs_to_another(&path) {
            continue;
        }
        let source = match path != old && old.is_file() {
            true => Source::File(old.to_owned()),
            false => Source::Stream(file.stream.clone()),
        };
        missing.push(Missing { path, source });
    }
    missing
}

/// A database's log is of no use, and of much harm, beside another database.
fn belongs_to_another(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    let database = [&b"-wal"[..], b"-shm", b"-journal"].iter().find_map(|t| bytes.strip_suffix(*t));
    database.is_some_and(|name| Path::new(OsStr::from_bytes(name)).exists())
}

/// Writes the files; one that has come to be there meanwhile stays as it is.
fn put_back(library: &Library, session: &Session, missing: &[Missing]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let natives = library.natives(session);
    for Missing { path, source } in missing {
        let cannot = |e: &std::io::Error| {
            Error::io(format!("cannot put back {}", line::clean(&path.to_string_lossy())), e)
        };
        let bytes = match source {
            Source::Stream(name) => natives.get(name).cloned().unwrap_or_default(),
            Source::File(old) => fs::read(old).map_err(|e| cannot(&e))?,
        };
        write_new(path, &bytes).map_err(|e| cannot(&e))?;
    }
    Ok(())
}

/// Writes a file that must not be there yet: whole, or not at all.
fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    let mut name = path.as_os_str().as_bytes().to_vec();
    name.extend_from_slice(format!(".il-{}", std::process::id()).as_bytes());
    let draft = PathBuf::from(OsString::from_vec(name));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        // Unlike a rename, a link never replaces what is there.
        .and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    match written {
        Err(e) if e.kind() == ErrorKind::AlreadyExists && path.exists() => Ok(()),
        other => other,
    }
}

fn as_text(library: &Library, session: &Session, plan: &Plan) -> String {
    let mut out = String::new();
    let mut say = |name: &str, value: &str| {
        out.push_str(&format!("{name}: {}\n", line::clean(value)));
    };
    say("Session", &session.id.to_string());
    if let Some(id) = session.meta.derived.as_ref().and_then(|d| d.native_session.as_deref()) {
        say("Native session", id);
    }
    say("Directory", &plan.dir.to_string_lossy());
    let natives = match plan.missing.is_empty() {
        true => Default::default(),
        false => library.natives(session),
    };
    for Missing { path, source } in &plan.missing {
        let len = match source {
            Source::Stream(name) => natives.get(name).map_or(0, |bytes| bytes.len() as u64),
            Source::File(old) => old.metadata().map_or(0, |meta| meta.len()),
        };
        say("Put back", &format!("{} ({})", path.to_string_lossy(), line::size(len)));
    }
    say("Command", &line::words(&plan.argv));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_program_is_started_as_it_was() {
        for (argv, expected) in [
            ("claude -p hi", "claude"),
            ("./bin/claude", "./bin/claude"),
            ("npx -y @openai/codex exec x", "npx -y @openai/codex"),
            ("env CLAUDE_CONFIG_DIR=/c claude", "env CLAUDE_CONFIG_DIR=/c claude"),
            ("timeout 600 claude -p hi", "claude"),
            ("/usr/bin/timeout -k 5 600 codex", "codex"),
        ] {
            let argv = words(argv);
            let skipped = agent::detect(&argv).expect("an agent").skipped;
            assert_eq!(program(&argv, skipped).join(" "), expected, "{argv:?}");
        }
    }

    #[test]
    fn an_agent_without_ids_is_started_again_without_its_prompt() {
        let aider = agent::by_name("aider").expect("aider");
        for (args, expected) in [
            ("", "aider --restore-chat-history"),
            ("--model m --message hi app.py", "aider --model m app.py --restore-chat-history"),
            ("--message=hi -m ho", "aider --restore-chat-history"),
            ("--restore-chat-history -m", "aider --restore-chat-history"),
        ] {
            assert_eq!(again(aider, &words("aider"), &words(args)).join(" "), expected);
        }
        assert_eq!(again(aider, &[], &[]), ["aider", "--restore-chat-history"]);
    }

    /// Where a file of `agent` belongs after a move from /old/p to /new/q.
    fn check_move(agent: &str, path: &str, expected: &str) {
        let agent = agent::by_name(agent).expect(agent);
        let (from, to) = (PathBuf::from("/old/p"), PathBuf::from("/new/q"));
        let roots = Some((PathBuf::from("/old"), PathBuf::from("/new")));
        let stayed = Moved { agent, from: from.clone(), to: from.clone(), roots: None };
        assert_eq!(stayed.place(Path::new(path)), Path::new(path));
        let moved = Moved { agent, from, to, roots };
        assert_eq!(moved.place(Path::new(path)), Path::new(expected));
    }

    #[test]
    fn a_moved_project_has_its_transcripts_elsewhere() {
        let projects = "/h/.claude/projects";
        for (path, expected) in [
            ("-old-p/u.jsonl", "-new-q/u.jsonl"),
            ("-old-p/u/subagents/agent-1.jsonl", "-new-q/u/subagents/agent-1.jsonl"),
            ("-old-p-long-hash/u.jsonl", "-old-p-long-hash/u.jsonl"),
        ] {
            check_move("claude", &format!("{projects}/{path}"), &format!("{projects}/{expected}"));
        }
        check_move("aider", "/old/.aider.chat.history.md", "/new/.aider.chat.history.md");
        let rollout = "/h/.codex/sessions/2026/11/20/rollout-x.jsonl";
        check_move("codex", rollout, rollout);
    }

    #[test]
    fn nothing_is_ever_written_over() {
        let dir = env::temp_dir().join(format!("il-resume-{}", std::process::id()));
        let path = dir.join("a/b/t.jsonl");
        write_new(&path, b"first").expect("written");
        write_new(&path, b"second").expect("left alone");
        assert_eq!(fs::read(&path).expect("read"), b"first");
        let names: Vec<_> = fs::read_dir(dir.join("a/b")).expect("listed").flatten().collect();
        assert_eq!(names.len(), 1, "no draft is left");
        let database = dir.join("s.db");
        assert!(!belongs_to_another(&dir.join("s.db-wal")));
        write_new(&database, b"").expect("written");
        assert!(belongs_to_another(&dir.join("s.db-wal")) && !belongs_to_another(&database));
        fs::remove_dir_all(&dir).expect("removed");
    }
}
