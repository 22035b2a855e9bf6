//! The process beside the recorder of an agent's session. While the agent runs it copies the
//! agent's transcripts as they grow; when the session has ended, or its recorder was killed, it adds
//! what came last and what all of it says. It is forked before the store is opened, holds nothing of
//! the terminal, and whatever becomes of it, the recorder goes on.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Library;
use super::files::{Files, Sink};
use crate::agent::{self, AGENTS, Agent};
use crate::error::Result;
use crate::json::{self, write_object};
use crate::record::side::{
    HELLO_LEN, PIECE_LEN, SOURCES, STIR, SWEEP, Side, TAG_SOURCES, TAG_SWEPT,
};
use crate::session::{Meta, SessionId};
use crate::store::{Append, Exit, Writer};
use crate::sys::process::{self, Fork, Pid};

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
/// Processes looked at for agents of the session.
const PROCESSES_MAX: usize = 10_000;

/// Starts the process, if the command is an agent or a shell that may start one. The child never
/// returns from this.
///
/// Call it while this process has one thread.
pub fn beside(dir: &Path, meta: &Meta) -> Option<Side> {
    let argv: Vec<String> = meta.argv.iter().map(|w| w.to_string_lossy().into_owned()).collect();
    let found = agent::detect(&argv);
    let first = argv.first().and_then(|word| Path::new(word).file_name()).and_then(OsStr::to_str);
    if found.is_none() && !first.is_some_and(|name| SHELLS.contains(&name.trim_start_matches('-')))
    {
        return None;
    }
    let (ours, theirs) = UnixStream::pair().ok()?;
    match process::fork().ok()? {
        Fork::Parent(pid) => Some(Side::new(pid, ours)),
        Fork::Child => {
            if process::go_behind(&[theirs.as_fd()]).is_ok() {
                process::give_way();
                let agents: Vec<&Agent> = match &found {
                    Some(found) => vec![found.agent],
                    None => AGENTS.iter().collect(),
                };
                work(dir, meta, &agents, found.is_some(), theirs);
            }
            process::exit_now(0)
        }
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

/// The whole life of the process.
fn work(dir: &Path, meta: &Meta, agents: &[&'static Agent], awake: bool, socket: UnixStream) {
    let Some(home) = env::home_dir() else { return };
    let cwd = meta.cwd.clone().map(PathBuf::from).unwrap_or_default();
    let cwd = fs::canonicalize(&cwd).unwrap_or(cwd);
    let repository = meta.repository.as_ref().map(|r| PathBuf::from(&r.root));
    let env = |name: &str| env::var_os(name);
    let mut files = Files::at_start(agents, awake, &env, &home, &cwd, repository.as_deref());
    let mut wire = Wire { socket };
    let mut hello = [0; HELLO_LEN];
    if wire.socket.read_exact(&mut hello).is_err() {
        return;
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hello[..16]);
    let id = SessionId(id);
    let mut watch =
        Watch { id, files: &mut files, awake, told: Vec::new(), walked: Instant::now() };
    let sealed = watch.until_the_end(&mut wire);
    drop(wire);
    if !sealed {
        // The recorder was killed; its locks go with its last process.
        std::thread::sleep(LOOK_EVERY / 5);
    }
    if files.roots().any(|(agent, _)| DAEMONS.contains(&agent.name)) {
        wait_for_daemon(&mut files);
    }
    let _ = finish(dir, id, &mut files);
    index_if_due(dir);
}

struct Watch<'a> {
    id: SessionId,
    files: &'a mut Files,
    /// An agent runs, and writes whether it shows anything or not.
    awake: bool,
    /// Sessions of processes that the recorder was told of.
    told: Vec<String>,
    walked: Instant,
}

impl Watch<'_> {
    /// Copies until the session has ended; whether the recorder said so.
    fn until_the_end(&mut self, wire: &mut Wire) -> bool {
        let mut word = [0];
        let mut looks = LOOKS;
        let mut swept = false;
        loop {
            let looks_on = !swept && (self.awake || looks > 0);
            let _ = wire.socket.set_read_timeout(looks_on.then_some(LOOK_EVERY));
            match wire.socket.read(&mut word) {
                Ok(0) => return false,
                Ok(_) if word[0] == STIR => {
                    looks = LOOKS;
                    if !self.look(wire) {
                        return false;
                    }
                }
                Ok(_) if word[0] == SWEEP => {
                    swept = true;
                    self.look_for_agents(wire);
                    self.files.walk(false);
                    if !self.files.copy(true, wire) || !wire.send(TAG_SWEPT, &[]) {
                        return false;
                    }
                }
                Ok(_) => return true,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    looks = looks.saturating_sub(1);
                    if !self.look(wire) {
                        return false;
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    /// Copies what has come. False when nobody takes it.
    fn look(&mut self, wire: &mut Wire) -> bool {
        self.look_for_agents(wire);
        if self.walked.elapsed() >= self.files.walked() * WALK_REST {
            self.files.walk(false);
            self.walked = Instant::now();
        } else {
            self.files.look();
        }
        self.files.copy(false, wire)
    }

    /// Agents among the session's processes, and the sessions that their registries have for them.
    fn look_for_agents(&mut self, wire: &mut Wire) {
        let mark = format!("IL_SESSION={}", self.id);
        for (pid, argv) in processes(&mark) {
            // A script's first word is its shell.
            let script = || agent::detect(argv.get(1..).filter(|_| is_shell(&argv))?);
            let Some(found) = agent::detect(&argv).or_else(script) else { continue };
            let cwd = fs::read_link(format!("/proc/{pid}/cwd")).ok();
            let cwd = cwd.map(|cwd| cwd.to_string_lossy().into_owned());
            self.files.wake(found.agent, cwd.clone());
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
                o.string_opt("cwd", cwd.as_deref());
                o.array("argv", |a| argv.iter().take(16).for_each(|word| a.string(word)));
                o.string_opt("session", session.as_deref());
            });
            if !self.told.contains(&record) && self.told.len() < 100 {
                wire.source(&record);
                self.told.push(record);
            }
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

/// The processes that have `mark` in their environment, with their arguments.
fn processes(mark: &str) -> Vec<(i32, Vec<String>)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let words = |path: String| -> Option<Vec<OsString>> {
        let bytes = fs::read(path).ok()?;
        Some(bytes.split(|b| *b == 0).map(|w| OsStr::from_bytes(w).to_owned()).collect())
    };
    pids.take(PROCESSES_MAX)
        .filter(|pid| *pid != process::own_pid().0)
        .filter_map(|pid| {
            let env = words(format!("/proc/{pid}/environ"))?;
            if !env.iter().any(|word| word.as_bytes() == mark.as_bytes()) {
                return None;
            }
            let argv = words(format!("/proc/{pid}/cmdline"))?;
            let argv = argv.iter().map(|w| w.to_string_lossy().into_owned());
            Some((pid, argv.filter(|word| !word.is_empty()).collect()))
        })
        .collect()
}

/// Waits until the transcripts have rested.
fn wait_for_daemon(files: &mut Files) {
    let began = Instant::now();
    let mut rest = Instant::now();
    let mut seen = files.lengths();
    while rest.elapsed() < QUIET && began.elapsed() < QUIET_MAX {
        std::thread::sleep(QUIET / 6);
        files.walk(false);
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
    files.walk(false);
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
