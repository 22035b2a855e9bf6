//! The process beside the recorder of an agent's session. While the agent runs it copies the
//! agent's transcripts as they grow; when the session has ended, or its recorder was killed, it adds
//! what came last and what all of it says. Beside an agent or a shell it is forked before the store
//! is opened, beside any other command a moment later; it holds nothing of the terminal, and whatever
//! becomes of it, the recorder goes on.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Library;
use super::files::{Files, Known, Sink};
use super::processes::{self, Process};
use crate::agent::{self, AGENTS, Agent, Invocation};
use crate::error::Result;
use crate::json::{self, write_object};
use crate::record::monitor::CHANGED;
use crate::record::side::{
    HELLO_LEN, PIECE_LEN, SOURCES, STIR, SWEEP, Side, TAG_SOURCES, TAG_SWEPT,
};
use crate::session::{Meta, SessionId};
use crate::store::{Append, Exit, Writer};
use crate::sys::process::{self, Fork, Pid};
use crate::sys::signal::{self, Disposition, Mask, Signal};

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks for an agent after the command last wrote something: a shell that waits costs nothing.
const LOOKS: u32 = 2;
/// A walk through the directories is repeated after so many times what the last one took.
const WALK_REST: u32 = 50;
/// Agents with a daemon write on when their program has ended; this long nothing must come.
const QUIET: Duration = Duration::from_millis(300);
/// The longest that is waited for such a one.
const QUIET_MAX: Duration = Duration::from_secs(3);
/// Agents whose transcripts a daemon writes.
const DAEMONS: &[&str] = &["codex", "cline"];
/// Programs in which people start others.
const SHELLS: &[&str] =
    &["sh", "bash", "zsh", "fish", "dash", "ksh", "nu", "tmux", "screen", "zellij", "su", "login"];
/// Below a command that is neither an agent nor a shell agents are looked for so many seconds after
/// the process was started; from the third time on only if the command has written something since.
const HUNTS_S: &[u64] = &[0, 1, 4, 9, 29];
/// Of them, those that wait for nothing.
const HUNTS_UNASKED: usize = 2;
/// After the last of them, so often at most.
const HUNT_EVERY_S: u64 = 60;

/// What the command is, as far as its words tell.
enum Start {
    Agent(Invocation),
    Shell,
    /// May start anything.
    Other,
}

/// Starts the process; the child never returns from this. Beside a command that is neither an agent
/// nor a shell it starts later, and does next to nothing until it finds an agent below that.
///
/// Call it while this process has one thread.
pub fn beside(dir: &Path, meta: &Meta) -> Option<Side> {
    let argv: Vec<String> = meta.argv.iter().map(|w| w.to_string_lossy().into_owned()).collect();
    let start = match agent::detect(&argv) {
        Some(found) => Start::Agent(found),
        None if is_shell(&argv) => Start::Shell,
        None => Start::Other,
    };
    let it = Beside {
        dir: dir.to_owned(),
        meta: meta.clone(),
        argv,
        start,
        recorder: process::own_pid(),
    };
    if !matches!(it.start, Start::Other) {
        let (ours, theirs) = UnixStream::pair().ok()?;
        return match process::fork().ok()? {
            Fork::Parent(pid) => Some(Side::new(pid, ours)),
            Fork::Child => it.live(theirs),
        };
    }
    Some(Side::later(Box::new(move || {
        let (ours, theirs) = UnixStream::pair().ok()?;
        match process::fork_among_threads().ok()? {
            Fork::Parent(pid) => Some((pid, ours)),
            Fork::Child => {
                // What the recorder does with signals is none of this process' business; but a
                // recorder that is gone, or a file grown too large, is an error to it, no death.
                for signal in CHANGED {
                    if ![Signal::PIPE, Signal::XFSZ].contains(&signal) {
                        let _ = signal::set(signal, Disposition::Default);
                    }
                }
                Mask::empty().install();
                it.live(theirs)
            }
        }
    })))
}

/// The session that the process stands beside.
struct Beside {
    dir: PathBuf,
    meta: Meta,
    /// The command's words, as text.
    argv: Vec<String>,
    start: Start,
    recorder: Pid,
}

impl Beside {
    /// In the child: everything until its end.
    fn live(&self, socket: UnixStream) -> ! {
        if process::go_behind(&[socket.as_fd()]).is_ok() {
            process::give_way();
            self.work(socket);
        }
        process::exit_now(0)
    }

    /// The whole life of the process.
    fn work(&self, socket: UnixStream) {
        let Some(home) = env::home_dir() else { return };
        let cwd = self.meta.cwd.clone().map(PathBuf::from).unwrap_or_default();
        let cwd = fs::canonicalize(&cwd).unwrap_or(cwd);
        let repository = self.meta.repository.as_ref().map(|r| PathBuf::from(&r.root));
        let (agents, skipped): (Vec<&Agent>, _) = match &self.start {
            Start::Agent(found) => (vec![found.agent], found.skipped),
            Start::Shell => (AGENTS.iter().collect(), 0),
            Start::Other => (Vec::new(), 0),
        };
        // `env CLAUDE_CONFIG_DIR=/x claude`.
        let given = |name: &str| {
            let words = self.argv[..skipped].iter().rev();
            words.filter_map(|word| word.strip_prefix(name)?.strip_prefix('=')).next()
        };
        let env = |name: &str| given(name).map(OsString::from).or_else(|| env::var_os(name));
        let awake = matches!(self.start, Start::Agent(_));
        let mut files = Files::at_start(&agents, awake, &env, &home, &cwd, repository.as_deref());
        let mut wire = Wire { socket };
        let mut hello = [0; HELLO_LEN];
        if wire.socket.read_exact(&mut hello).is_err() {
            return;
        }
        let (mut id, mut started_us) = ([0; 16], [0; 8]);
        id.copy_from_slice(&hello[..16]);
        started_us.copy_from_slice(&hello[16..]);
        let mut watch = Watch {
            id: SessionId(id),
            files: &mut files,
            awake,
            told: Vec::new(),
            walked: Instant::now(),
            hunt: matches!(self.start, Start::Other).then(|| Hunt {
                recorder: self.recorder,
                started_us: i64::from_le_bytes(started_us),
                began: Instant::now(),
                next: 0,
                asked: false,
            }),
        };
        let end = watch.until_the_end(&mut wire);
        let (id, awake) = (watch.id, watch.awake || watch.hunt.is_none());
        drop(wire);
        if !awake {
            return;
        }
        if end == End::Killed {
            // The recorder was killed; its locks go with its last process.
            std::thread::sleep(LOOK_EVERY / 5);
        }
        if files.roots().any(|(agent, _)| DAEMONS.contains(&agent.name)) {
            wait_for_daemon(&mut files);
        }
        let _ = finish(&self.dir, id, &mut files);
        index_if_due(&self.dir);
    }
}

fn is_shell(argv: &[String]) -> bool {
    let first = argv.first().and_then(|word| Path::new(word).file_name()).and_then(OsStr::to_str);
    first.is_some_and(|name| SHELLS.contains(&name.trim_start_matches('-')))
}

/// What is read out of the session of a program that is no agent is added by a process of its own.
pub fn behind(dir: &Path, id: SessionId) {
    if let Ok(Fork::Child) = process::fork() {
        if process::go_behind(&[]).is_ok() {
            process::give_way();
            let _ = Library::open_to_change(dir).and_then(|library| {
                library.derive_and_pack(&library.find_at_once(Some(&id.to_string()))?)
            });
            index_if_due(dir);
        }
        process::exit_now(0);
    }
}

/// The words to the recorder.
struct Wire {
    socket: UnixStream,
}

impl Wire {
    fn send(&mut self, tag: u8, bytes: &[u8]) -> bool {
        let mut message = Vec::with_capacity(5 + bytes.len());
        message.push(tag);
        message.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        message.extend_from_slice(bytes);
        self.socket.write_all(&message).is_ok()
    }
}

impl Sink for Wire {
    fn native(&mut self, n: usize, bytes: &[u8]) -> bool {
        bytes.chunks(PIECE_LEN - 5).all(|piece| self.send(n as u8, piece))
    }

    fn source(&mut self, record: &str) -> bool {
        self.send(TAG_SOURCES, record.as_bytes())
    }
}

/// What is added when the session has ended.
struct Addition<'a> {
    writer: &'a mut Writer,
    t_us: u64,
}

impl Sink for Addition<'_> {
    fn native(&mut self, n: usize, bytes: &[u8]) -> bool {
        self.add(&format!("native/{n}"), bytes)
    }

    fn source(&mut self, record: &str) -> bool {
        self.add(SOURCES, record.as_bytes())
    }
}

impl Addition<'_> {
    fn add(&mut self, name: &str, bytes: &[u8]) -> bool {
        let stream = self.writer.define(name);
        stream.is_ok_and(|s| self.writer.append(s, self.t_us, bytes) == Append::Stored)
    }
}

struct Watch<'a> {
    id: SessionId,
    files: &'a mut Files,
    /// An agent runs, and writes whether it shows anything or not.
    awake: bool,
    /// Sessions of processes that the recorder was told of.
    told: Vec<String>,
    walked: Instant,
    /// Agents are looked for below a command that is neither one nor a shell.
    hunt: Option<Hunt>,
}

/// When agents are looked for, and below what.
#[derive(Debug)]
struct Hunt {
    recorder: Pid,
    started_us: i64,
    began: Instant,
    /// How often they were looked for.
    next: usize,
    /// The command has written something since.
    asked: bool,
}

impl Hunt {
    /// How long after its begin they are looked for next.
    fn due(&self) -> Duration {
        let last = HUNTS_S.len() - 1;
        let more = self.next.saturating_sub(last) as u64 * HUNT_EVERY_S;
        Duration::from_secs(HUNTS_S[self.next.min(last)] + more)
    }

    /// How long nothing needs to be looked for; None where that depends on the command.
    fn rest(&self) -> Option<Duration> {
        let waits = self.next < HUNTS_UNASKED || self.asked;
        let rest = self.due().saturating_sub(self.began.elapsed());
        // A wait of no time at all would be one without an end.
        waits.then(|| rest.max(Duration::from_millis(1)))
    }

    /// Whether it is time to look; then the next time is set.
    fn is_due(&mut self) -> bool {
        let waits = self.next < HUNTS_UNASKED || self.asked;
        let is_due = waits && self.began.elapsed() >= self.due();
        while is_due && self.began.elapsed() >= self.due() {
            (self.next, self.asked) = (self.next + 1, false);
        }
        is_due
    }
}

/// How a session ended for the process beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The recorder said so.
    Said,
    Killed,
}

impl Watch<'_> {
    /// Copies until the session has ended.
    fn until_the_end(&mut self, wire: &mut Wire) -> End {
        let mut word = [0];
        let mut looks = LOOKS;
        let mut swept = false;
        loop {
            let looks_on = match &self.hunt {
                Some(_) => self.awake,
                None => self.awake || looks > 0,
            };
            let rest = match &self.hunt {
                _ if swept => None,
                _ if looks_on => Some(LOOK_EVERY),
                Some(hunt) => hunt.rest(),
                None => None,
            };
            let _ = wire.socket.set_read_timeout(rest);
            match wire.socket.read(&mut word) {
                Ok(0) => return End::Killed,
                Ok(_) if word[0] == STIR => {
                    looks = LOOKS;
                    self.hunt.iter_mut().for_each(|hunt| hunt.asked = true);
                    if !self.look(wire) {
                        return End::Killed;
                    }
                }
                Ok(_) if word[0] == SWEEP => {
                    swept = true;
                    self.look_for_agents(wire);
                    self.files.walk(Known::No);
                    if !self.files.copy(true, wire) || !wire.send(TAG_SWEPT, &[]) {
                        return End::Killed;
                    }
                }
                Ok(_) => return End::Said,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    looks = looks.saturating_sub(1);
                    if !self.look(wire) {
                        return End::Killed;
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return End::Killed,
            }
        }
    }

    /// Copies what has come. False when nobody takes it.
    fn look(&mut self, wire: &mut Wire) -> bool {
        self.look_for_agents(wire);
        if self.hunt.is_some() && !self.awake {
            return true;
        }
        if self.walked.elapsed() >= self.files.walked() * WALK_REST {
            self.files.walk(Known::No);
            self.walked = Instant::now();
        } else {
            self.files.look();
        }
        self.files.copy(false, wire)
    }

    /// Agents among the session's processes, and the sessions that their registries have for them.
    fn look_for_agents(&mut self, wire: &mut Wire) {
        let found = match &mut self.hunt {
            Some(hunt) => match hunt.is_due() {
                true => processes::below(hunt.recorder.0),
                false => return,
            },
            None => processes::marked(&format!("IL_SESSION={}", self.id)),
        };
        found.into_iter().for_each(|process| self.tell_of(process, wire));
    }

    /// Tells of a process, if it is an agent.
    fn tell_of(&mut self, (pid, argv): Process, wire: &mut Wire) {
        // A script's first word is its shell.
        let script = || agent::detect(argv.get(1..).filter(|_| is_shell(&argv))?);
        let Some(found) = agent::detect(&argv).or_else(script) else { return };
        let cwd = fs::read_link(format!("/proc/{pid}/cwd")).ok();
        let path = cwd.as_ref().map(|cwd| cwd.to_string_lossy().into_owned());
        match &self.hunt {
            Some(hunt) => {
                let cwd = cwd.or_else(|| env::current_dir().ok()).unwrap_or_default();
                let own = processes::environment(pid);
                let session = processes::variable(&own, "IL_SESSION");
                if session.is_some_and(|session| *session != *self.id.to_string()) {
                    // A run inside this one keeps what is its own.
                    return;
                }
                let env = |name: &str| match own.is_empty() {
                    true => env::var_os(name),
                    false => processes::variable(&own, name),
                };
                let home = env("HOME").map(PathBuf::from).or_else(env::home_dir);
                let repository = crate::git::find(&cwd).map(|found| PathBuf::from(found.root));
                self.files.add(
                    found.agent,
                    hunt.started_us,
                    &env,
                    &home.unwrap_or_default(),
                    &cwd,
                    repository.as_deref(),
                );
            }
            None => self.files.wake(found.agent, path.clone()),
        }
        self.awake = true;
        let roots: Vec<PathBuf> = self
            .files
            .roots()
            .filter(|(agent, _)| agent.name == found.agent.name)
            .map(|(_, root)| root.to_owned())
            .collect();
        let session = roots.iter().find_map(|root| registered(found.agent, root, pid));
        let mut record = String::new();
        write_object(&mut record, |o| {
            o.string("agent", found.agent.name);
            o.string_opt("cwd", path.as_deref());
            o.array("argv", |a| argv.iter().take(16).for_each(|word| a.string(word)));
            o.string_opt("session", session.as_deref());
        });
        if !self.told.contains(&record) && self.told.len() < 100 {
            wire.source(&record);
            self.told.push(record);
        }
    }
}

/// The session that an agent's own registry has for a process.
fn registered(agent: &Agent, root: &Path, pid: i32) -> Option<String> {
    match agent.name {
        "claude" => {
            let path = root.parent()?.join(format!("sessions/{pid}.json"));
            let value = json::parse(&fs::read(path).ok()?).ok()?;
            value.str_at("sessionId").map(str::to_owned)
        }
        "copilot" => fs::read_dir(root).ok()?.flatten().find_map(|entry| {
            let lock = entry.path().join(format!("inuse.{pid}.lock"));
            lock.exists().then(|| entry.file_name().to_string_lossy().into_owned())
        }),
        _ => None,
    }
}

/// Waits until the transcripts have rested.
fn wait_for_daemon(files: &mut Files) {
    let began = Instant::now();
    let mut rest = Instant::now();
    let mut seen = files.lengths();
    while rest.elapsed() < QUIET && began.elapsed() < QUIET_MAX {
        std::thread::sleep(QUIET / 6);
        files.walk(Known::No);
        let now = files.lengths();
        if now != seen {
            (seen, rest) = (now, Instant::now());
        }
    }
}

/// Adds what has not been copied yet, and what all of it says.
fn finish(dir: &Path, id: SessionId, files: &mut Files) -> Result<()> {
    let library = Library::open_to_change(dir)?;
    let session = library.find_at_once(Some(&id.to_string()))?;
    files.walk(Known::No);
    let natives = library.natives(&session);
    files.mend(&natives);
    drop(natives);
    let mut writer = library.resume(&session)?;
    let mut addition = Addition { writer: &mut writer, t_us: session.t_us_now() };
    files.copy(true, &mut addition);
    writer.end(Exit::Unknown, 0)?;
    let session = library.find_at_once(Some(&id.to_string()))?;
    library.derive_and_pack(&session)
}

/// The session that has just ended may be one too many for the index.
fn index_if_due(dir: &Path) {
    // Opened anew: whoever packs the session has the other's locks.
    if let Ok(library) = Library::open_to_change(dir) {
        library.index_if_due();
    }
}

/// Whether the process that reads a session's recording is still at it. Its number may be
/// another's when the session ended long ago.
pub(super) fn is_at_work(meta: &Meta) -> bool {
    /// The longest that one is at it.
    const RECENT_US: i64 = 60_000_000;
    let ended = meta.ending.as_ref().map_or(0, |ending| ending.ended.unix_us);
    let recent = crate::sys::time::wall().unix_us.saturating_sub(ended) < RECENT_US;
    recent && meta.deriver.is_some_and(|pid| process::exists(Pid(pid)))
}

impl Library {
    /// A writer that adds to a session that has ended. Others that add to it are waited for.
    pub(super) fn resume(&self, session: &super::Session) -> Result<Writer> {
        /// What packs a session, or pins it, is done within this.
        const WAIT: Duration = Duration::from_secs(20);
        let began = Instant::now();
        loop {
            match self.store.resume(&session.entry) {
                Err(e) if began.elapsed() > WAIT => return Err(e),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
                Ok(writer) => return Ok(writer),
            }
        }
    }
}
