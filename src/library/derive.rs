//! What a recording says: the transcripts that were copied, what crossed the terminal, and JSON on
//! stdout, made into one account. It can be derived again at any time; it is never the only copy.

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::draft::{Chapter, Draft, Telling};
use super::natives::Natives;
use super::replay::is_output;
use super::{Library, Session};
use crate::agent::dialog::Watcher;
use crate::agent::generic::{self, Answer, Answers, Crossing, Direction, Finder, GenericTurn};
use crate::agent::locate::{self, Candidate, Choice, Reason, RunFacts, Score};
use crate::agent::{self, Agent, Invocation, Long, Native, Scope, Statement, stream};
use crate::error::{Error, Result};
use crate::event::{Body, Event, Evidence, MessageForm, Source, UserMessage};
use crate::format::codeloops;
use crate::format::recording::Action;
use crate::json::Pieces;
use crate::json::{self, Object, Value};
use crate::record::side::SOURCES;
use crate::session::{DERIVED_VERSION, Derived, NativeFile, Status};
use crate::store::{Append, Chain, Exit, Item, StreamId, Writer};
use crate::sys::time;
use crate::term::transcript::Transcript;
use crate::term::{Options, Size, Stamp, Terminal};
use crate::time::WallTime;

/// The record before the first line of a conversation: what stands before it is older.
pub(super) const MARK: &[u8] = b"{\"derived\":1}";
/// Bytes of stdout that are looked at for JSON.
const STDOUT_MAX: usize = 256 << 20;
/// Bytes of output in which the agent's last words are looked for.
const LAST_WORDS_LEN: usize = 64 << 10;
/// Clocks of files are coarse, and aider's has whole seconds.
const SLACK_US: i64 = 2_000_000;
/// Points from which a transcript beside the best one is the run's as well: its prompt was typed
/// here, in its directory.
const POINTS_OWN: u32 = 140;

/// What a recording says.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// The events of the conversation, in their order.
    pub events: Vec<Event>,
    /// Who worked, and the numbers.
    pub derived: Derived,
    /// Every statement of usage, counted or not.
    pub ledger: Vec<Statement>,
}

/// The transcript files of one native session.
#[derive(Debug)]
struct Group {
    agent: &'static Agent,
    key: String,
    files: Vec<Copied>,
}

/// A file that was copied.
#[derive(Clone, Debug)]
struct Copied {
    rel: String,
    file: NativeFile,
}

/// An agent among the session's processes.
#[derive(Debug)]
struct Process {
    agent: &'static Agent,
    /// The session that its registry had for it.
    session: Option<String>,
    /// What its command line says.
    invocation: Option<Invocation>,
}

/// What the records of the stream [`SOURCES`] say.
#[derive(Debug, Default)]
struct Sources {
    groups: Vec<Group>,
    /// Agents seen among the session's processes.
    seen: Vec<Process>,
    cwds: Vec<String>,
}

/// What crossed the terminal, looked at once.
#[derive(Debug, Default)]
struct Tape {
    turns: Vec<GenericTurn>,
    typed: String,
    approvals: Vec<Event>,
    escapes: Vec<Event>,
    stdout: Vec<u8>,
    last_words: String,
    /// The stream that all output is in; None where there are several.
    screen: Option<StreamId>,
}

impl Library {
    /// Reads the recording of a session.
    pub fn account(&self, session: &Session) -> Account {
        let mut drafted = self.draft(session, true);
        let mut events = Vec::with_capacity(drafted.draft.len());
        let kept = drafted.write(session, &mut |event| {
            events.push(event);
            Ok::<(), std::convert::Infallible>(())
        });
        let Ok(derived) = kept;
        Account { events, derived, ledger: drafted.draft.ledger.unwrap_or_default() }
    }

    /// Reads the recording of a session, and leaves its events where they take no memory.
    fn draft(&self, session: &Session, ledger: bool) -> Drafted {
        let sources = self.sources(session);
        let known = session.invocation();
        let tape = self.tape(session);
        let mut drafted =
            Drafted { draft: Draft::new(&self.dir(), ledger), derived: Derived::default() };
        let run = Run { session, known: known.as_ref(), sources: &sources, tape: &tape };
        let natives = match sources.groups.is_empty() {
            true => Natives::none(self, session),
            false => Natives::of(self, session),
        };
        if !run.transcripts(&natives, &mut drafted) && !run.stream(&mut drafted) {
            let answers = self.answers(session, &tape.turns);
            run.terminal(&answers, &mut drafted);
        }
        let Drafted { draft, derived } = &mut drafted;
        let alone = derived.source == "pty";
        if let (Some(agent), Some(screen)) = (&derived.agent, tape.screen)
            && (alone || draft.hides_thoughts())
        {
            let seen = self.thoughts_seen(session, agent, screen);
            match alone {
                true => seen.iter().for_each(|event| draft.insert_by_time(event)),
                false => draft.uncover(seen),
            }
        }
        drafted.draft.join(tape.approvals);
        if drafted.derived.source == "transcript" {
            drafted.draft.interrupt(tape.escapes);
        }
        drafted.derived.split_ms = drafted.draft.split();
        drafted
    }

    /// The events that the recording of a session gives, one by one.
    pub(super) fn derived(&self, session: &Session) -> Told {
        let draft = self.draft(session, false).draft;
        let telling = draft.telling(&session.id.to_string(), session.meta.started);
        Told { draft, telling }
    }

    /// The directory of the store.
    fn dir(&self) -> PathBuf {
        self.store.path().parent().map(PathBuf::from).unwrap_or_default()
    }

    /// Reads the recording of a session that has ended again, and keeps what it says, and keyframes
    /// if it has none.
    ///
    /// # Errors
    /// The session is running, or the store cannot be written.
    pub fn rederive(&self, session: &Session) -> Result<()> {
        let (writer, added) = self.add_derived(session)?;
        added?;
        writer.end(Exit::Unknown, 0)?;
        self.make_keyframes(session);
        Ok(())
    }

    /// As [`Library::rederive`], for a process on its way out, and compresses the session, keyframes
    /// included.
    pub(super) fn derive_and_pack(&self, session: &Session) -> Result<()> {
        self.make_keyframes(session);
        let (writer, added) = self.add_derived(session)?;
        writer.end_behind(Exit::Unknown, 0, true)?;
        added
    }

    /// Adds what the recording says, and returns who added it, and whether all of it is there.
    fn add_derived(&self, session: &Session) -> Result<(Writer, Result<()>)> {
        if session.status == Status::Running {
            let cannot = cannot_add_to(session);
            return Err(cannot.why("it is running").with_hint("wait until it has ended"));
        }
        let mut drafted = self.draft(session, false);
        let mut writer = self.resume(session)?;
        let added = self.keep(session, &mut drafted, &mut writer);
        Ok((writer, added))
    }

    /// Writes down what a recording says.
    fn keep(&self, session: &Session, drafted: &mut Drafted, writer: &mut Writer) -> Result<()> {
        let t_us = session.t_us_now();
        let mut keep = |stream, bytes: &[u8]| match writer.append(stream, t_us, bytes) {
            Append::Stored | Append::Queued => Ok(()),
            Append::Degraded { .. } => {
                Err(cannot_add_to(session).why("the store cannot be written"))
            }
        };
        keep(StreamId::CONVERSATION, MARK)?;
        let mut line = String::new();
        let derived = drafted.write(session, &mut |event| {
            line.clear();
            event.write_line(&mut line);
            keep(StreamId::CONVERSATION, line.as_bytes())
        })?;
        let value = self.meta_now(session).and_then(|text| json::parse(&text).ok());
        let value = value.unwrap_or_default();
        let mut members = value.as_object().cloned().unwrap_or_else(Object::new);
        members.remove("deriver");
        let mut text = String::new();
        json::write_object(&mut text, |o| derived.write(o));
        members.insert("derived", json::parse(text.as_bytes()).unwrap_or_default());
        keep(StreamId::META, Value::Object(members).to_string().as_bytes())
    }

    /// What the screen showed after each line that was typed.
    fn answers(&self, session: &Session, turns: &[GenericTurn]) -> Vec<Answer> {
        if turns.is_empty() {
            return Vec::new();
        }
        let mut answers = Answers::of(turns);
        let options = Options { history_rows: 0, ..Options::default() };
        let mut size = session.size();
        let (mut offset, mut at_us) = (0, 0);
        // The text from where it was last of interest; None where it is not.
        let mut settled: Option<Transcript> = None;
        let read = self.shown(session, |t_us, shown| {
            at_us = t_us;
            match shown {
                Action::Output(bytes) => {
                    let start = offset;
                    offset += bytes.len() as u64;
                    let ControlFlow::Continue(wanted) = answers.wants(start..offset) else {
                        return Err(io::ErrorKind::Other.into());
                    };
                    if wanted {
                        let at = Stamp { offset: start, time_us: t_us };
                        let blank = || Transcript::of(session.terminal_from(size, options, at));
                        settled.get_or_insert_with(blank).feed(t_us, bytes);
                    } else if let Some(settled) = settled.take() {
                        settled.finish(t_us).iter().for_each(|line| answers.feed(line));
                    }
                }
                Action::Resize(to) => {
                    size = to;
                    settled.iter_mut().for_each(|settled| settled.resize(t_us, to));
                }
                _ => {}
            }
            let lines = settled.as_mut().map(Transcript::take_lines).unwrap_or_default();
            lines.iter().for_each(|line| answers.feed(line));
            Ok(())
        });
        // What cannot be read, or is not wanted, was no answer.
        let _ = read;
        let lines = settled.map(|settled| settled.finish(at_us)).unwrap_or_default();
        lines.iter().for_each(|line| answers.feed(line));
        answers.finish()
    }

    fn sources(&self, session: &Session) -> Sources {
        let mut sources = Sources::default();
        let named = self.store.stream_names(&session.entry);
        let Some((id, _)) = named.into_iter().find(|(_, name)| name == SOURCES) else {
            return sources;
        };
        for (_, record) in self.store.records(&session.entry, id) {
            if let Ok(value) = json::parse(&record) {
                sources.take(&value);
            }
        }
        sources
    }

    /// Looks once through what crossed the terminal.
    fn tape(&self, session: &Session) -> Tape {
        let mut tape = Tape::default();
        let mut finder = Finder::default();
        let mut watcher = Watcher::new(session.size(), session.meta.started);
        let keys = session.meta.ending.as_ref().is_none_or(|ending| ending.bytes_in > 0);
        let dialogs = keys && session.meta.size.is_some();
        let mut end: Vec<u8> = Vec::new();
        let mut json = true;
        let mut screens = 0;
        let mut reader = self.store.read(&session.entry, Chain::Tape);
        loop {
            let (direction, t_us, bytes) = match reader.next() {
                Item::Frame { stream: StreamId::STDIN, t_us, bytes, .. } => {
                    (Direction::Input, t_us, bytes)
                }
                Item::Frame { stream, t_us, bytes, .. } if is_output(stream) => {
                    if tape.screen != Some(stream) {
                        tape.screen = Some(stream).filter(|_| screens == 0);
                        screens += 1;
                    }
                    if stream == StreamId::STDOUT && json && tape.stdout.len() < STDOUT_MAX {
                        tape.stdout.extend_from_slice(bytes);
                        // What begins with anything else is for people.
                        let first = tape.stdout.iter().find(|b| !b.is_ascii_whitespace());
                        json = session.meta.size.is_none() || first.is_none_or(|b| *b == b'{');
                    }
                    end.extend_from_slice(bytes);
                    if end.len() > 4 * LAST_WORDS_LEN {
                        end.drain(..end.len() - LAST_WORDS_LEN);
                    }
                    (Direction::Output, t_us, bytes)
                }
                Item::Frame { stream: StreamId::EVENTS, t_us, bytes, .. } => {
                    let Some(size) = resize_of(bytes) else { continue };
                    let (cols, rows) = (size.cols, size.rows);
                    (Direction::Resize { cols, rows }, t_us, &[][..])
                }
                Item::Frame { .. } | Item::Gap { .. } => continue,
                Item::Tail | Item::End => break,
            };
            let crossing = Crossing { t_us, direction, bytes };
            finder.feed(&crossing);
            if dialogs {
                watcher.feed(crossing);
            }
        }
        if !json {
            tape.stdout = Vec::new();
        }
        tape.typed = finder.typed().to_owned();
        tape.turns = finder.finish();
        tape.escapes = watcher.escapes();
        tape.approvals = watcher.finish();
        tape.last_words = settled(session, &end[end.len().saturating_sub(LAST_WORDS_LEN)..]);
        tape
    }
}

impl Session {
    /// Microseconds from its begin to the present.
    pub(super) fn t_us_now(&self) -> u64 {
        u64::try_from(time::wall().unix_us - self.meta.started.unix_us).unwrap_or(0)
    }
}

/// The last output as text, row by row.
fn settled(session: &Session, bytes: &[u8]) -> String {
    let mut terminal = Terminal::new(session.size(), Options::default());
    terminal.feed(bytes);
    let rows = usize::from(session.size().rows);
    let screen = terminal.screen();
    let shown: Vec<String> = (0..rows).map(|y| screen.row_text(y)).collect();
    // Hints stand below full screens that are gone, and above prompts that were drawn since.
    format!("{}\n{}", String::from_utf8_lossy(bytes).replace('\r', "\n"), shown.join("\n"))
}

/// The new size, if the event is a change of it.
fn resize_of(event: &[u8]) -> Option<Size> {
    let value = json::parse(event).ok().filter(|value| value.str_at("kind") == Some("resize"))?;
    let cells = |name: &str| value.u64_at(name).and_then(|n| u16::try_from(n).ok());
    Some(Size::new(cells("cols")?, cells("rows")?))
}

impl Sources {
    fn take(&mut self, value: &Value) {
        let Some(agent) = value.str_at("agent").and_then(agent::by_name) else { return };
        let text = |name: &str| value.str_at(name).map(str::to_owned);
        let (Some(rel), Some(path)) = (text("rel"), text("path")) else {
            self.cwds.extend(text("cwd"));
            let argv = value.get("argv").and_then(Value::as_array).unwrap_or_default();
            let argv: Vec<String> =
                argv.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect();
            // A script's first word is its shell.
            let invocation = agent::detect(&argv).or_else(|| agent::detect(argv.get(1..)?));
            self.seen.push(Process { agent, session: text("session"), invocation });
            return;
        };
        let Some(stream) = text("stream") else { return };
        let generation = value.u64_at("generation").unwrap_or(0);
        let start_len = value.u64_at("start_len").filter(|_| generation == 0);
        let file = NativeFile { stream, path, start_len };
        let key = locate::session_key(agent, &rel);
        let source = Copied { rel, file };
        let same = |g: &&mut Group| g.agent.name == agent.name && g.key == key;
        let group = match self.groups.iter_mut().find(same) {
            Some(group) => group,
            None => {
                self.groups.push(Group { agent, key, files: Vec::new() });
                let last = self.groups.len() - 1;
                &mut self.groups[last]
            }
        };
        // The last generation is the one that counts; the earlier ones are kept all the same.
        match group.files.iter_mut().find(|old| old.file.path == source.file.path) {
            Some(old) => *old = source,
            None => group.files.push(source),
        }
    }
}

/// The events that a recording gives. They lie where they take no memory until they are asked for.
#[derive(Debug)]
pub(super) struct Told {
    draft: Draft,
    telling: Telling,
}

impl Iterator for Told {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.telling.next(&self.draft).map(|(event, _)| event)
    }
}

/// What a recording says, in the making.
struct Drafted {
    draft: Draft,
    derived: Derived,
}

fn cannot_add_to(session: &Session) -> Error {
    Error::failed(format!("cannot add to session {}", session.id.short()))
}

impl Drafted {
    /// Hands the events on, and returns all that was derived.
    fn write<E>(
        &mut self,
        session: &Session,
        take: &mut dyn FnMut(Event) -> std::result::Result<(), E>,
    ) -> std::result::Result<Derived, E> {
        let started = session.meta.started;
        let sums = self.draft.each(&session.id.to_string(), started, take)?;
        let derived = std::mem::take(&mut self.derived);
        Ok(with_sums(derived, sums))
    }
}

/// What was derived, with what was counted.
fn with_sums(derived: Derived, sums: Derived) -> Derived {
    let Derived { counts, prompt, cost_microusd, friction, .. } = sums;
    Derived { version: DERIVED_VERSION, counts, prompt, cost_microusd, friction, ..derived }
}

/// A session, and what is at hand to read it by.
struct Run<'a> {
    session: &'a Session,
    known: Option<&'a Invocation>,
    sources: &'a Sources,
    tape: &'a Tape,
}

/// A transcript that may be the run's.
struct Read {
    groups: Vec<usize>,
    chapter: Chapter,
    native: Native,
    broken: usize,
    score: Score,
}

impl Run<'_> {
    /// Reads the transcripts that were copied; whether one is the run's.
    fn transcripts(&self, natives: &Natives<'_>, drafted: &mut Drafted) -> bool {
        let groups = &self.sources.groups;
        let linked: Vec<Vec<usize>> = (0..groups.len()).map(|at| self.links(at, natives)).collect();
        let mut reads: Vec<Read> = Vec::new();
        for at in 0..groups.len() {
            // What belongs to another's transcript is read with that.
            if (0..groups.len()).any(|other| other != at && linked[other].contains(&at)) {
                continue;
            }
            let mut members = vec![at];
            members.extend(&linked[at]);
            reads.push(self.read(members, natives, &mut drafted.draft));
        }
        let scores: Vec<Score> = reads.iter().map(|read| read.score.clone()).collect();
        let best = locate::choose(&scores);
        let own = |score: &Score| score.points >= POINTS_OWN;
        let mut mine: Vec<usize> = (0..reads.len()).filter(|&at| own(&scores[at])).collect();
        let derived = &mut drafted.derived;
        match best {
            Choice::One(at, conf) => {
                derived.conf = conf;
                mine.retain(|&other| other != at);
                mine.push(at);
            }
            Choice::Several(_) if !mine.is_empty() => derived.conf = 0.9,
            Choice::Several(equal) => {
                let ids = equal.iter().filter_map(|&at| reads[at].native.session.clone());
                derived.rivals = ids.collect();
                return false;
            }
            Choice::None => return false,
        }
        let Some(&last) = mine.last() else { return false };
        let first = &reads[last];
        let native = &first.native;
        derived.source = "transcript".to_owned();
        derived.agent = Some(groups[first.groups[0]].agent.name.to_owned());
        derived.agent_version.clone_from(&native.version);
        derived.native_session.clone_from(&native.session);
        derived.model.clone_from(&native.model);
        derived.title.clone_from(&native.title);
        derived.reasons = first.score.reasons.iter().map(|r| words(*r).to_owned()).collect();
        let mut reads: Vec<Option<Read>> = reads.into_iter().map(Some).collect();
        for read in mine.into_iter().filter_map(|at| reads[at].take()) {
            let files = read.groups.iter().flat_map(|g| &groups[*g].files);
            derived.files.extend(files.map(|source| source.file.clone()));
            derived.broken += read.broken as u64;
            drafted.draft.take(read.chapter);
        }
        drafted.draft.merge();
        true
    }

    /// Other groups that are read together with this one: the base a rollout goes on from, and
    /// those of its subagents.
    fn links(&self, at: usize, natives: &Natives<'_>) -> Vec<usize> {
        let groups = &self.sources.groups;
        if groups[at].agent.name != "codex" {
            return Vec::new();
        }
        let head = |group: &Group| {
            let head = group.files.first().map_or(&[][..], |f| natives.head(&f.file.stream));
            String::from_utf8_lossy(head).into_owned()
        };
        let mine = head(&groups[at]);
        let is_base = |other: &Group| {
            mine.contains(&format!("\"history_base\":{{\"thread_id\":\"{}\"", other.key))
        };
        let is_child = |other: &Group| {
            head(other).contains(&format!("\"parent_thread_id\":\"{}\"", groups[at].key))
        };
        let others = groups.iter().enumerate().filter(|(i, g)| *i != at && g.agent.name == "codex");
        others.filter(|(_, g)| is_base(g) || is_child(g)).map(|(i, _)| i).collect()
    }

    fn read(&self, members: Vec<usize>, natives: &Natives<'_>, draft: &mut Draft) -> Read {
        let group = &self.sources.groups[members[0]];
        let sources: Vec<&Copied> =
            members.iter().flat_map(|at| &self.sources.groups[*at].files).collect();
        let contents: Vec<_> =
            sources.iter().map(|source| natives.content(&source.file.stream)).collect();
        let files: Vec<Long<'_>> = sources
            .iter()
            .zip(&contents)
            .map(|(source, content)| Long { path: &source.rel, content: content as &dyn Pieces })
            .collect();
        let meta = &self.session.meta;
        let cwd = meta.cwd.as_ref().map(|cwd| cwd.to_string_lossy().into_owned());
        let facts = self.facts(group.agent);
        let wanted = facts.hint_session.clone().or_else(|| facts.argv_session.clone());
        let wanted = wanted.filter(|_| group.agent.name == "opencode");
        let scope = Scope {
            session: wanted.as_deref(),
            cwd: cwd.as_deref(),
            offset_s: meta.started.offset_s,
        };
        let here = |evidence: &mut Evidence| -> bool {
            let at = evidence.stream.strip_prefix("native/").and_then(|n| n.parse::<usize>().ok());
            let Some(source) = at.and_then(|at| sources.get(at)) else { return true };
            evidence.stream.clone_from(&source.file.stream);
            // What was there before the run is no part of it. A database, its log, and what is
            // rewritten whole, are not in the order of time.
            let rewritten = [".db", ".db-wal", ".json"];
            let grows = !rewritten.iter().any(|tail| source.rel.ends_with(tail));
            !(grows && source.file.start_len.is_some_and(|len| evidence.offset < len))
        };
        let earliest = meta.started.unix_us - SLACK_US;
        let (chapter, digest) =
            draft.read(&here, earliest, &mut |sink| group.agent.read_long(&files, &scope, sink));
        let prompt = draft.prompt(&chapter);
        let native = digest.native;
        let candidate = Candidate {
            session: native.session.clone(),
            cwd: native.cwd.clone(),
            started_us: native.started.map(|t| t.unix_us).or(digest.first_us),
            grown: !chapter.is_empty(),
            prompt,
            ..Candidate::default()
        };
        let mut score = locate::score(&candidate, &facts);
        // A shell may have started it elsewhere.
        let elsewhere = native.cwd.as_ref().is_some_and(|cwd| self.sources.cwds.contains(cwd));
        if score.reasons.contains(&Reason::OtherCwd) && elsewhere {
            score = locate::score(&candidate, &RunFacts { cwd: native.cwd.clone(), ..facts });
        }
        if chapter.is_empty() {
            score.points = 0;
        }
        Read { groups: members, chapter, native, broken: digest.notes.len(), score }
    }

    fn facts(&self, agent: &Agent) -> RunFacts {
        let meta = &self.session.meta;
        let known = self.known.filter(|known| known.agent.name == agent.name);
        let mut typed = self.tape.typed.clone();
        for word in &meta.argv {
            typed.push_str(&word.to_string_lossy());
            typed.push('\n');
        }
        let cwd = meta.cwd.as_ref().map(std::path::PathBuf::from);
        let cwd = cwd.map(|cwd| std::fs::canonicalize(&cwd).unwrap_or(cwd));
        let seen = || self.sources.seen.iter().rev().filter(|seen| seen.agent.name == agent.name);
        for prompt in seen().filter_map(|seen| seen.invocation.as_ref()?.prompt.as_ref()) {
            typed.push_str(prompt);
            typed.push('\n');
        }
        let named = seen().find_map(|seen| seen.invocation.as_ref()?.session.clone());
        RunFacts {
            cwd: cwd.map(|cwd| cwd.to_string_lossy().into_owned()),
            started_us: meta.started.unix_us,
            ended_us: meta.ending.as_ref().map_or_else(
                || time::wall().unix_us,
                |ending| meta.started.unix_us.saturating_add_unsigned(ending.duration_us),
            ),
            argv_session: known.and_then(|known| known.session.clone()).or(named),
            hint_session: agent::hint(agent, &self.tape.last_words),
            pid_session: seen().find_map(|seen| seen.session.clone()),
            typed,
        }
    }

    /// Reads JSON that an agent wrote to its stdout; whether there was any.
    fn stream(&self, drafted: &mut Drafted) -> bool {
        if let Some(text) = codeloops::session_of(&self.tape.stdout) {
            let session = codeloops::parse(text.as_bytes(), "stdout").unwrap_or_default();
            drafted.derived.source = "jsonstream".to_owned();
            drafted.derived.conf = 1.0;
            session.events.iter().for_each(|event| drafted.draft.push(event));
            return true;
        }
        let name = self.known.map(|known| known.agent.name);
        let Some(mut transcript) = stream::read(&self.tape.stdout, name) else { return false };
        transcript
            .events
            .retain(|e| !matches!(e.body, Body::SessionStart(_) | Body::SessionEnd(_)));
        let prompt = self.known.and_then(|known| known.prompt.clone());
        let said = |e: &Event| matches!(e.body, Body::UserMessage(_));
        if let Some(text) = prompt.filter(|_| !transcript.events.iter().any(said)) {
            let message = UserMessage { text, form: Some(MessageForm::Argv), ..Default::default() };
            let time = Some(self.session.meta.started);
            let event = Event { time, ..Event::new(Source::Pty, message) };
            transcript.events.insert(0, event);
        }
        let derived = &mut drafted.derived;
        derived.source = "jsonstream".to_owned();
        derived.agent = transcript
            .events
            .iter()
            .find_map(|e| e.agent.clone())
            .or_else(|| name.map(str::to_owned));
        derived.agent_version = transcript.native.version;
        derived.native_session = transcript.native.session;
        derived.model = transcript.native.model;
        derived.conf = 1.0;
        derived.broken = transcript.notes.len() as u64;
        transcript.events.iter().for_each(|event| drafted.draft.push(event));
        if let Some(ledger) = &mut drafted.draft.ledger {
            *ledger = transcript.ledger;
        }
        true
    }

    /// Turns from what crossed the terminal.
    fn terminal(&self, answers: &[Answer], drafted: &mut Drafted) {
        let derived = &mut drafted.derived;
        derived.source = "pty".to_owned();
        let seen = self.sources.seen.iter().rev().find_map(|seen| seen.invocation.as_ref());
        let known = self.known.or(seen);
        derived.agent = known.map(|known| known.agent.name.to_owned());
        derived.native_session = known.and_then(|known| {
            agent::hint(known.agent, &self.tape.last_words).or_else(|| known.session.clone())
        });
        let events = generic::events(&self.tape.turns, answers, self.session.meta.started);
        derived.conf = events.iter().map(|e| e.conf).fold(0.0, f64::max);
        events.iter().for_each(|event| drafted.draft.push(event));
    }
}

/// A reason in words.
fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::HintedId => "the agent printed its id",
        Reason::ArgvId => "its id is on the command line",
        Reason::PidId => "the agent's registry has its id for the process",
        Reason::TypedPrompt => "its prompt was typed",
        Reason::SameCwd => "same directory",
        Reason::Began => "began during the run",
        Reason::Grew => "grew during the run",
        Reason::OtherCwd => "another directory",
        Reason::Untouched => "not written during the run",
    }
}

/// What the events of an imported conversation come to.
pub(super) fn imported(events: &[Event]) -> Derived {
    let model = events.iter().rev().find_map(|e| match &e.body {
        Body::AssistantMessage(message) => message.model.clone(),
        _ => None,
    });
    let mut draft = Draft::of(&std::env::temp_dir(), events);
    let split_ms = draft.split();
    let sums = draft.each("", WallTime::default(), &mut |_| Ok::<(), std::convert::Infallible>(()));
    let Ok(sums) = sums;
    let derived = Derived {
        source: "transcript".to_owned(),
        conf: 1.0,
        model,
        split_ms,
        ..Derived::default()
    };
    with_sums(derived, sums)
}
