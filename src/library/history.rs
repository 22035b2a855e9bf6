//! Sessions that agents kept themselves, into the store: their transcripts byte for byte, and the
//! conversation that these give.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use super::import::is_taken;
use super::{Library, Session, Taken, import};
use crate::agent::{Agent, File, NoteKind, Scope, Transcript};
use crate::error::Result;
use crate::event::{Body, Event, MAIN, MessageForm, StopReason};
use crate::format::native::{self, Broken, Foreign};
use crate::session::{SessionId, Status};
use crate::time::WallTime;

/// The sessions of agents that are in a store already, by agent and the agent's own id.
#[derive(Debug, Default)]
pub struct Known(HashMap<(String, String), Vec<Session>>);

impl Known {
    /// Those of a store.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn of(library: &Library) -> Result<Known> {
        let mut known: HashMap<_, Vec<Session>> = HashMap::new();
        for session in library.sessions()? {
            let agent = session.agent().map(str::to_owned);
            if let Some(key) = agent.zip(session.native_id().map(str::to_owned)) {
                known.entry(key).or_default().push(session);
            }
        }
        Ok(Known(known))
    }
}

impl Session {
    /// The id that the session's agent, or the program it was imported from, gave it.
    pub fn native_id(&self) -> Option<&str> {
        match (&self.meta.derived, &self.meta.imported) {
            (Some(derived), _) => derived.native_session.as_deref(),
            (None, Some(imported)) => imported.native_id.as_deref(),
            (None, None) => None,
        }
    }
}

/// What is known of a session beside its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts {
    /// Seconds east of UTC of local times in them.
    pub offset_s: i32,
    /// The directory it worked in, for agents whose files do not say.
    pub cwd: Option<String>,
}

/// What became of the files of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// It is in the store.
    New,
    /// It was there, and has grown since: the longer one has taken its place.
    Grown,
    /// It is there already: the same content or more of it, or recorded by il itself.
    Known,
    /// Nobody said anything in it.
    Empty,
}

impl Library {
    /// Puts a session that an agent kept into the store. `files` are those of one session, the main
    /// one first; a path says what a file is. Returns what became of it and how many places in it
    /// could not be understood.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn import_history(
        &self,
        agent: &'static Agent,
        from: &Path,
        files: &[File<'_>],
        place: &Whereabouts,
        known: &mut Known,
    ) -> Result<(History, u64)> {
        let scope = Scope { offset_s: place.offset_s, ..Scope::default() };
        let mut transcript = agent.read(files, &scope);
        transcript.native.cwd = transcript.native.cwd.or_else(|| place.cwd.clone());
        let spoken = |event: &Event| {
            matches!(&event.body, Body::UserMessage(m) if m.form != Some(MessageForm::Slash))
                || matches!(event.body, Body::AssistantMessage(_))
        };
        if !transcript.events.iter().any(spoken) {
            return Ok((History::Empty, 0));
        }
        let files: Vec<native::File<'_>> =
            files.iter().map(|file| native::File { path: file.path, bytes: file.bytes }).collect();
        let places = native::places(&files, files.first().map_or("", |file| file.path));
        let foreign = foreign(agent, transcript, &files, &places);
        let broken = foreign.broken.len() as u64;
        let key = foreign.id.clone().map(|id| (agent.name.to_owned(), id));
        if is_taken(&self.store, agent.name, &foreign, &files)? {
            return Ok((History::Known, 0));
        }
        let before = key.as_ref().and_then(|key| known.0.get(key)).map_or(&[][..], Vec::as_slice);
        let Some(shorter) = self.shorter(before, &foreign.events, &files) else {
            return Ok((History::Known, 0));
        };
        let id = match import(&self.store, agent.name, from, &foreign, &files, &places)? {
            Taken::Known(_) => return Ok((History::Known, 0)),
            Taken::New(id) => id,
        };
        for session in &shorter {
            self.replace(session, id)?;
        }
        if let Some(key) = key {
            let kept = known.0.entry(key).or_default();
            kept.retain(|session| shorter.iter().all(|shorter| shorter.id != session.id));
            kept.push(self.find(Some(&id.to_string()))?);
        }
        Ok((if shorter.is_empty() { History::New } else { History::Grown }, broken))
    }

    /// Of the sessions to which an agent gave the same id, those that say no more than these events.
    /// What says anything else stays: it may be from a time before the agent rewrote its file. None
    /// if one of them, or what il recorded, says all of it already, as a copy that has been kept
    /// aside may.
    fn shorter(
        &self,
        before: &[Session],
        events: &[Event],
        files: &[native::File<'_>],
    ) -> Option<Vec<Session>> {
        let (recorded, imported): (Vec<_>, Vec<_>) =
            before.iter().partition(|session| session.is_recorded());
        if !recorded.is_empty() {
            // It may have gone on in several, and then without il.
            let mut all = Said::default();
            recorded.iter().for_each(|session| all.add(&self.conversation(session)));
            if Said::of(events).answers().is_in(&all) {
                return None;
            }
        }
        let said = Said::of(events);
        let len = files.iter().map(|file| file.bytes.len() as u64).sum::<u64>();
        let mut shorter = Vec::new();
        for session in imported {
            let old = Said::of(&self.conversation(session));
            let old_files = session.meta.imported.iter().flat_map(|imported| &imported.files);
            let is_longer = len > old_files.map(|file| file.len).sum();
            match (said.is_in(&old), old.is_in(&said)) {
                (true, true) if is_longer => shorter.push(session.clone()),
                (true, _) => return None,
                (false, true) => shorter.push(session.clone()),
                (false, false) => {}
            }
        }
        Some(shorter)
    }

    /// Removes what a longer session has replaced, unless a person has laid hands on it.
    fn replace(&self, before: &Session, by: SessionId) -> Result<()> {
        if before.id != by && !before.meta.pinned && self.added(before).is_empty() {
            self.remove(std::slice::from_ref(before), &mut |_| {})?;
        }
        Ok(())
    }
}

/// What was said in a session, in any order, and how often: sums of words, those of answers and
/// calls apart.
#[derive(Debug, Default)]
struct Said([HashMap<u64, u32>; 2]);

impl Said {
    fn of(events: &[Event]) -> Said {
        let mut said = Said::default();
        said.add(events);
        said
    }

    fn add(&mut self, events: &[Event]) {
        for event in events {
            let (by, words) = match &event.body {
                Body::UserMessage(message) => (0, ("user", message.text.as_str(), "")),
                Body::AssistantMessage(message) => (1, ("assistant", message.text.as_str(), "")),
                Body::ToolCall(call) => {
                    (1, ("call", call.name.as_str(), call.call_id.as_deref().unwrap_or_default()))
                }
                _ => continue,
            };
            let mut hasher = DefaultHasher::new();
            words.hash(&mut hasher);
            *self.0[by].entry(hasher.finish()).or_default() += 1;
        }
    }

    /// Without what the user said: of that a recording has the keys besides.
    fn answers(mut self) -> Said {
        self.0[0].clear();
        self
    }

    fn is_in(&self, other: &Said) -> bool {
        let pairs = self.0.iter().zip(&other.0);
        let has =
            |other: &HashMap<u64, u32>, sum, count| other.get(sum).is_some_and(|n| n >= count);
        pairs.into_iter().all(|(own, other)| own.iter().all(|(sum, count)| has(other, sum, count)))
    }
}

fn foreign(
    agent: &Agent,
    transcript: Transcript,
    files: &[native::File<'_>],
    places: &[crate::event::Evidence],
) -> Foreign {
    let Transcript { native, mut events, notes, .. } = transcript;
    // An adapter names the stream by the file's number; where files share one, it lies elsewhere.
    for evidence in events.iter_mut().flat_map(|e| e.evidence.iter_mut().chain(&mut e.also)) {
        let number = evidence.stream.strip_prefix("native/").and_then(|n| n.parse::<usize>().ok());
        if let Some(place) = number.and_then(|n| places.get(n)) {
            evidence.stream.clone_from(&place.stream);
            evidence.offset += place.offset;
        }
    }
    let broken = notes.iter().filter_map(|note| {
        let what = match &note.what {
            NoteKind::Broken(kind) => format!("{kind:?}"),
            NoteKind::Unreadable(why) => why.clone(),
            NoteKind::Unknown(_) => return None,
        };
        let path = files.get(note.file).map_or("", |file| file.path).to_owned();
        Some(Broken { path, line: 0, what })
    });
    let times = || events.iter().filter_map(|event| event.time);
    let first = times().min_by_key(|time: &WallTime| time.unix_us);
    Foreign {
        id: native.session,
        name: native.title,
        agent: Some(agent.name.to_owned()),
        cwd: native.cwd,
        started: native.started.or(first),
        ended: times().max_by_key(|time| time.unix_us),
        status: status_of(&events),
        broken: broken.take(native::BROKEN_MAX).collect(),
        events,
    }
}

/// How a conversation ended, by the last that happened in it: agents do not write it down.
fn status_of(events: &[Event]) -> Option<Status> {
    let live = events.iter().rev().filter(|event| event.stream == MAIN && !event.abandoned);
    live.map(|event| &event.body).find_map(|body| match body {
        Body::AssistantMessage(_) => Some(Some(Status::Succeeded)),
        Body::TurnEnd(end) => match end.stop_reason {
            Some(StopReason::EndTurn) => Some(Some(Status::Succeeded)),
            Some(StopReason::Cancelled) => Some(Some(Status::Interrupted)),
            _ => None,
        },
        Body::Interrupt(_) => Some(Some(Status::Interrupted)),
        Body::ApiError(error) if !error.retry => Some(Some(Status::Failed)),
        Body::Failure(_) => Some(Some(Status::Failed)),
        Body::UserMessage(message) if message.form != Some(MessageForm::Slash) => Some(None),
        Body::ToolCall(_) | Body::ToolResult(_) => Some(None),
        _ => None,
    })?
}
