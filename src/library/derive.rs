//! What a recording says: the transcripts that were copied, what crossed the terminal, and JSON on
//! stdout, made into one account. It can be derived again at any time; it is never the only copy.

use std::collections::BTreeMap;

use super::replay::is_output;
use super::{Library, Session};
use crate::agent::dialog::{self, Watcher};
use crate::agent::generic::{self, Crossing, Direction, Finder};
use crate::agent::locate::{self, Candidate, Choice, Reason, RunFacts, Score};
use crate::agent::{self, Agent, File, Invocation, Scope, Statement, Transcript, stream};
use crate::error::{Error, Result};
use crate::event::{
    self, Body, Event, Evidence, MessageForm, Source, TurnEnd, UserMessage, count, number, turns,
};
use crate::format::{codeloops, text};
use crate::json::{self, Object, Value};
use crate::record::side::SOURCES;
use crate::session::{DERIVED_VERSION, Derived, NativeFile, Status};
use crate::store::{Append, Chain, Exit, Item, StreamId};
use crate::sys::time;
use crate::term::{Options, Size, Terminal};
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

/// What the records of the stream [`SOURCES`] say.
#[derive(Debug, Default)]
struct Sources {
    groups: Vec<Group>,
    /// Agents seen among the session's processes, with the sessions their registries had.
    seen: Vec<(&'static Agent, Option<String>)>,
    cwds: Vec<String>,
}

/// What crossed the terminal, looked at once.
#[derive(Debug, Default)]
struct Tape {
    turns: Vec<generic::GenericTurn>,
    typed: String,
    approvals: Vec<Event>,
    stdout: Vec<u8>,
    last_words: String,
}

impl Library {
    /// Reads the recording of a session.
    pub fn account(&self, session: &Session) -> Account {
        let sources = self.sources(session);
        let known = session.invocation();
        let tape = self.tape(session);
        let mut account = Account::default();
        let natives = match sources.groups.is_empty() {
            true => BTreeMap::new(),
            false => self.natives(session),
        };
        let run = Run { session, known: known.as_ref(), sources: &sources, tape: &tape };
        if !run.transcripts(&natives, &mut account) && !run.stream(&mut account) {
            run.terminal(&mut account);
        }
        finish(session, &mut account, tape.approvals);
        account
    }

    /// Reads the recording of a session that has ended again, and keeps what it says.
    ///
    /// # Errors
    /// The session is running, or the store cannot be written.
    pub fn rederive(&self, session: &Session) -> Result<()> {
        let cannot = || Error::failed(format!("cannot add to session {}", session.id.short()));
        if session.status == Status::Running {
            return Err(cannot().why("it is running").with_hint("wait until it has ended"));
        }
        let account = self.account(session);
        let mut writer = self.resume(session)?;
        let t_us = session.t_us_now();
        let mut keep = |stream, bytes: &[u8]| match writer.append(stream, t_us, bytes) {
            Append::Stored | Append::Queued => Ok(()),
            Append::Degraded { .. } => Err(cannot().why("the store cannot be written")),
        };
        keep(StreamId::CONVERSATION, MARK)?;
        for event in &account.events {
            let mut line = String::new();
            event.write_line(&mut line);
            keep(StreamId::CONVERSATION, line.as_bytes())?;
        }
        let value = self.meta_now(session).and_then(|text| json::parse(&text).ok());
        let value = value.unwrap_or_default();
        let mut members = value.as_object().cloned().unwrap_or_else(Object::new);
        members.remove("deriver");
        let mut derived = String::new();
        json::write_object(&mut derived, |o| account.derived.write(o));
        members.insert("derived", json::parse(derived.as_bytes()).unwrap_or_default());
        keep(StreamId::META, Value::Object(members).to_string().as_bytes())?;
        writer.end(Exit::Unknown, 0)?;
        Ok(())
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
        let mut reader = self.store.read(&session.entry, Chain::Tape);
        loop {
            let (direction, t_us, bytes) = match reader.next() {
                Item::Frame { stream: StreamId::STDIN, t_us, bytes, .. } => {
                    (Direction::Input, t_us, bytes)
                }
                Item::Frame { stream, t_us, bytes, .. } if is_output(stream) => {
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
            self.seen.push((agent, text("session")));
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
    transcript: Transcript,
    score: Score,
}

impl Run<'_> {
    /// Reads the transcripts that were copied; whether one is the run's.
    fn transcripts(&self, natives: &BTreeMap<String, Vec<u8>>, account: &mut Account) -> bool {
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
            reads.push(self.read(members, natives));
        }
        let scores: Vec<Score> = reads.iter().map(|read| read.score.clone()).collect();
        let best = locate::choose(&scores);
        let own = |score: &Score| score.points >= POINTS_OWN;
        let mut mine: Vec<usize> = (0..reads.len()).filter(|&at| own(&scores[at])).collect();
        let derived = &mut account.derived;
        match best {
            Choice::One(at, conf) => {
                derived.conf = conf;
                mine.retain(|&other| other != at);
                mine.push(at);
            }
            Choice::Several(_) if !mine.is_empty() => derived.conf = 0.9,
            Choice::Several(equal) => {
                let ids =
                    equal.iter().filter_map(|&at| reads[at].transcript.native.session.clone());
                derived.rivals = ids.collect();
                return false;
            }
            Choice::None => return false,
        }
        let Some(&last) = mine.last() else { return false };
        let first = &reads[last];
        let native = &first.transcript.native;
        derived.source = "transcript".to_owned();
        derived.agent = Some(groups[first.groups[0]].agent.name.to_owned());
        derived.agent_version.clone_from(&native.version);
        derived.native_session.clone_from(&native.session);
        derived.model.clone_from(&native.model);
        derived.title.clone_from(&native.title);
        derived.reasons = first.score.reasons.iter().map(|r| words(*r).to_owned()).collect();
        for at in mine {
            let read = &mut reads[at];
            let files = read.groups.iter().flat_map(|g| &groups[*g].files);
            derived.files.extend(files.map(|source| source.file.clone()));
            derived.broken += read.transcript.notes.len() as u64;
            account.events.append(&mut read.transcript.events);
            account.ledger.append(&mut read.transcript.ledger);
        }
        account.events.sort_by_key(|e| e.time.map_or(i64::MIN, |t| t.unix_us));
        true
    }

    /// Other groups that are read together with this one: the base a rollout goes on from, and
    /// those of its subagents.
    fn links(&self, at: usize, natives: &BTreeMap<String, Vec<u8>>) -> Vec<usize> {
        let groups = &self.sources.groups;
        if groups[at].agent.name != "codex" {
            return Vec::new();
        }
        let head = |group: &Group| {
            let bytes = group.files.first().and_then(|f| natives.get(&f.file.stream));
            let bytes = bytes.map_or(&[][..], |bytes| &bytes[..bytes.len().min(LAST_WORDS_LEN)]);
            String::from_utf8_lossy(bytes).into_owned()
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

    fn read(&self, members: Vec<usize>, natives: &BTreeMap<String, Vec<u8>>) -> Read {
        let group = &self.sources.groups[members[0]];
        let sources: Vec<&Copied> =
            members.iter().flat_map(|at| &self.sources.groups[*at].files).collect();
        let files: Vec<File<'_>> = sources
            .iter()
            .map(|source| File {
                path: &source.rel,
                bytes: natives.get(&source.file.stream).map_or(&[][..], Vec::as_slice),
            })
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
        let mut transcript = group.agent.read(&files, &scope);
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
        transcript.events.retain_mut(|event| {
            let fresh = event.evidence.as_mut().is_none_or(here);
            event.also.iter_mut().for_each(|also| {
                here(also);
            });
            fresh
                && event.time.is_none_or(|time| time.unix_us >= earliest)
                && !matches!(event.body, Body::SessionStart(_) | Body::SessionEnd(_))
        });
        transcript.ledger.retain_mut(|statement| here(&mut statement.evidence));
        let prompt = transcript.events.iter().find_map(|event| match &event.body {
            Body::UserMessage(m) if event.stream == event::MAIN => Some(m.text.clone()),
            _ => None,
        });
        let native = &transcript.native;
        let candidate = Candidate {
            session: native.session.clone(),
            cwd: native.cwd.clone(),
            started_us: native.started.map(|t| t.unix_us),
            grown: !transcript.events.is_empty(),
            prompt,
            ..Candidate::default()
        };
        let mut score = locate::score(&candidate, &facts);
        // A shell may have started it elsewhere.
        let elsewhere = native.cwd.as_ref().is_some_and(|cwd| self.sources.cwds.contains(cwd));
        if score.reasons.contains(&Reason::OtherCwd) && elsewhere {
            score = locate::score(&candidate, &RunFacts { cwd: native.cwd.clone(), ..facts });
        }
        if transcript.events.is_empty() {
            score.points = 0;
        }
        Read { groups: members, transcript, score }
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
        let registered = self.sources.seen.iter().rev();
        let pid_session = registered
            .filter(|(a, _)| a.name == agent.name)
            .find_map(|(_, session)| session.clone());
        RunFacts {
            cwd: cwd.map(|cwd| cwd.to_string_lossy().into_owned()),
            started_us: meta.started.unix_us,
            ended_us: meta.ending.as_ref().map_or_else(
                || time::wall().unix_us,
                |ending| meta.started.unix_us.saturating_add_unsigned(ending.duration_us),
            ),
            argv_session: known.and_then(|known| known.session.clone()),
            hint_session: agent::hint(agent, &self.tape.last_words),
            pid_session,
            typed,
        }
    }

    /// Reads JSON that an agent wrote to its stdout; whether there was any.
    fn stream(&self, account: &mut Account) -> bool {
        if let Some(text) = codeloops::session_of(&self.tape.stdout) {
            let session = codeloops::parse(text.as_bytes(), "stdout").unwrap_or_default();
            account.derived.source = "jsonstream".to_owned();
            account.derived.conf = 1.0;
            account.events = session.events;
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
        let derived = &mut account.derived;
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
        account.events = transcript.events;
        account.ledger = transcript.ledger;
        true
    }

    /// Turns from what crossed the terminal.
    fn terminal(&self, account: &mut Account) {
        account.derived.source = "pty".to_owned();
        account.derived.agent = self.known.map(|known| known.agent.name.to_owned());
        account.derived.native_session = self.known.and_then(|known| {
            agent::hint(known.agent, &self.tape.last_words).or_else(|| known.session.clone())
        });
        account.events = generic::events(&self.tape.turns, self.session.meta.started);
        account.derived.conf = account.events.iter().map(|e| e.conf).fold(0.0, f64::max);
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

/// Joins what the screen showed, numbers the events, and counts.
fn finish(session: &Session, account: &mut Account, approvals: Vec<Event>) {
    let events = &mut account.events;
    dialog::join(events, approvals);
    number(events);
    let started = session.meta.started;
    let split = split(events);
    number(events);
    let id = session.id.to_string();
    for (seq, event) in events.iter_mut().enumerate() {
        event.seq = seq as u64 + 1;
        event.session.clone_from(&id);
        if let (None, Some(time)) = (event.mono_ns, event.time) {
            let since_us = u64::try_from(time.unix_us - started.unix_us).ok();
            event.mono_ns = since_us.and_then(|us| us.checked_mul(1000));
        }
        // Transcripts state times of any zone; the session has one.
        event.time = event.time.map(|time| WallTime { offset_s: started.offset_s, ..time });
    }
    let sums = summed(events);
    let derived = &mut account.derived;
    derived.version = sums.version;
    derived.counts = sums.counts;
    derived.split_ms = split;
    derived.prompt = sums.prompt;
    derived.cost_microusd = sums.cost_microusd;
}

/// What the events of an imported conversation come to.
pub(super) fn imported(events: &[Event]) -> Derived {
    let model = events.iter().rev().find_map(|e| match &e.body {
        Body::AssistantMessage(message) => message.model.clone(),
        _ => None,
    });
    let split_ms = split(&mut events.to_vec());
    Derived { source: "transcript".to_owned(), conf: 1.0, model, split_ms, ..summed(events) }
}

/// What can be counted in a conversation.
fn summed(events: &[Event]) -> Derived {
    let costs: Vec<Option<u64>> = events
        .iter()
        .filter_map(|e| match &e.body {
            Body::Usage(usage) => Some(usage.cost_microusd),
            _ => None,
        })
        .collect();
    Derived {
        version: DERIVED_VERSION,
        counts: count(events),
        prompt: text::first_prompt(events),
        cost_microusd: costs.iter().copied().sum::<Option<u64>>().filter(|_| !costs.is_empty()),
        ..Derived::default()
    }
}

/// Says at the end of each turn how its time was spent, and returns the sums: the agent's work, its
/// tools, the waits for the user.
fn split(events: &mut Vec<Event>) -> [u64; 3] {
    let mut sums = [0; 3];
    for turn in turns(events).into_iter().rev() {
        let parts = {
            let own = &events[turn.events.clone()];
            let Some((start, end)) = turn.started.zip(turn.ended) else { continue };
            let whole = u64::try_from(end.unix_us - start.unix_us).unwrap_or(0) / 1000;
            let blocked = blocked_ms(own).min(whole);
            // A call that was asked about waits for the answer before it runs.
            let tools = tool_ms(own).min(whole).saturating_sub(blocked);
            [whole.saturating_sub(blocked + tools), tools, blocked]
        };
        sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        let [agent_ms, tool_ms, blocked_ms] = parts.map(Some);
        let range = turn.events.clone();
        let last = range.clone().rev().find(|at| matches!(events[*at].body, Body::TurnEnd(_)));
        match last.map(|at| &mut events[at].body) {
            Some(Body::TurnEnd(end)) => {
                (end.agent_ms, end.tool_ms, end.blocked_ms) = (agent_ms, tool_ms, blocked_ms);
            }
            _ => {
                let (stop_reason, time) = (turn.stop_reason, turn.ended);
                let evidence = events[range.end - 1].evidence.clone();
                let abandoned = turn.abandoned;
                let end =
                    TurnEnd { stop_reason, agent_ms, tool_ms, blocked_ms, ..Default::default() };
                let event = Event { time, abandoned, evidence, ..Event::new(Source::Derived, end) };
                events.insert(range.end, event);
            }
        }
    }
    sums
}

fn blocked_ms(events: &[Event]) -> u64 {
    let waits = events.iter().filter_map(|event| match &event.body {
        Body::Approval(approval) => approval.waited_ms,
        Body::Answer(answer) => answer.waited_ms,
        _ => None,
    });
    waits.sum()
}

/// The time in which at least one tool of the main stream ran.
fn tool_ms(events: &[Event]) -> u64 {
    let mut spans: Vec<(i64, i64)> = Vec::new();
    for (at, event) in events.iter().enumerate() {
        let (Body::ToolCall(call), Some(began)) = (&event.body, event.time) else { continue };
        let ended = events[at..].iter().find_map(|e| match &e.body {
            Body::ToolResult(r) if r.call_id.is_some() && r.call_id == call.call_id => e.time,
            _ => None,
        });
        spans.extend(ended.map(|ended| (began.unix_us, ended.unix_us)));
    }
    spans.sort_unstable();
    let (mut sum, mut until) = (0, i64::MIN);
    for (began, ended) in spans {
        let from = began.max(until);
        sum += (ended - from).max(0);
        until = until.max(ended);
    }
    u64::try_from(sum).unwrap_or(0) / 1000
}
