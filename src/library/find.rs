//! From what a person says to the session meant.

use std::time::{Duration, Instant};

use super::added::is_annex;
use super::{Library, Session, archive};
use crate::error::{Error, Result};
use crate::format::line;
use crate::session::SessionId;
use crate::store::{Entry, FOUND_MAX, State};

/// Most candidates that an ambiguous id lists.
const CANDIDATES_MAX: usize = 10;

/// The longest that the reading of a recording is waited for.
const DERIVE_WAIT: Duration = Duration::from_secs(5);
/// How often it is looked whether it is done.
const DERIVE_LOOK: Duration = Duration::from_millis(5);

impl Library {
    /// The session that `id` means: a full id, a prefix or suffix of one, `@1` (the newest), `@2`
    /// (the one before) and so on, or the id that its agent gave it. None means the newest.
    ///
    /// What is being read out of a session that has just ended is waited for.
    ///
    /// # Errors
    /// No session is meant, or more than one: il never picks for the user.
    pub fn find(&self, id: Option<&str>) -> Result<Session> {
        let session = self.find_at_once(id)?;
        Ok(self.when_derived(session))
    }

    /// A session once the process that reads its recording is done, or has had its time.
    pub fn when_derived(&self, mut session: Session) -> Session {
        let began = Instant::now();
        while began.elapsed() < DERIVE_WAIT && archive::is_at_work(&session.meta) {
            std::thread::sleep(DERIVE_LOOK);
            let text = SessionId(session.entry.id).to_string();
            let Ok(entry) = self.store.find(&text, 1) else { break };
            let Some(entry) = entry.into_iter().next() else { break };
            session = self.load(entry);
        }
        session
    }

    /// As [`Library::find`], without waiting.
    pub(super) fn find_at_once(&self, id: Option<&str>) -> Result<Session> {
        let Some(id) = id else { return self.nth(1, "@1") };
        if let Some(place) = id.strip_prefix('@') {
            let n = place.parse().ok().filter(|n| *n > 0);
            return self.nth(n.ok_or_else(|| not_an_id(id))?, id);
        }
        if !is_part_of_id(id) {
            return self.of_agent(id)?.ok_or_else(|| not_an_id(id));
        }
        let mut found = self.with_id(id)?;
        match found.len() {
            0 => self.of_agent(id)?.ok_or_else(|| {
                Error::nothing_found(format!("no session {}", line::clean(id)))
                    .with_hint("'il list' shows the sessions there are")
            }),
            1 => Ok(self.load(found.remove(0))),
            _ => Err(self.ambiguous(id, found)),
        }
    }

    /// Whether `id` is the beginning or the end of the ids of more than one session.
    pub fn is_ambiguous(&self, id: &str) -> bool {
        is_part_of_id(id) && self.with_id(id).is_ok_and(|found| found.len() > 1)
    }

    fn with_id(&self, id: &str) -> Result<Vec<Entry>> {
        let mut found = self.store.find(id, FOUND_MAX)?;
        found.retain(|entry| !is_annex(entry));
        // A session that was being rewritten stands there twice; the later one counts.
        found.dedup_by_key(|entry| entry.id);
        Ok(found)
    }

    /// The sessions that run at this time, newest first.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn running(&self) -> Result<Vec<Session>> {
        let entries = self.entries()?.filter(|entry| entry.state == State::Live);
        Ok(entries.map(|entry| self.load(entry)).collect())
    }

    /// The session to which its agent gave this id; the newest, where the agent went on with it.
    fn of_agent(&self, id: &str) -> Result<Option<Session>> {
        let native = |session: &Session| match (&session.meta.derived, &session.meta.imported) {
            (Some(derived), _) => derived.native_session.as_deref() == Some(id),
            (None, Some(imported)) => imported.native_id.as_deref() == Some(id),
            (None, None) => false,
        };
        Ok(self.sessions()?.find(native))
    }

    fn nth(&self, n: usize, said: &str) -> Result<Session> {
        let entry = self.entries()?.nth(n - 1);
        entry.map(|entry| self.load(entry)).ok_or_else(|| {
            let what = match n {
                1 => "no sessions yet".to_owned(),
                _ => format!("no session {said}: there are fewer"),
            };
            Error::nothing_found(what).with_hint("'il run CMD' records one")
        })
    }

    fn ambiguous(&self, id: &str, mut found: Vec<Entry>) -> Error {
        let more = found.len() > CANDIDATES_MAX;
        found.truncate(CANDIDATES_MAX);
        let mut hint = "say more of one of these:".to_owned();
        for entry in found {
            let session = self.load(entry);
            let imported = session.meta.imported.as_ref();
            let prompt = imported.and_then(|imported| imported.prompt.as_deref()).map(line::clean);
            let what = prompt.unwrap_or_else(|| line::words(&session.meta.argv));
            let what = line::cut(&what, 40);
            let full = SessionId(session.entry.id);
            hint.push_str(&format!("\n  {full}  {}  {what}", session.meta.started.local()));
        }
        if more {
            hint.push_str("\n  and more");
        }
        Error::usage(format!("ambiguous id {id}")).with_hint(hint)
    }
}

fn is_part_of_id(id: &str) -> bool {
    let digits = id.chars().filter(|c| *c != '-');
    !id.is_empty() && digits.clone().all(|c| c.is_ascii_hexdigit()) && digits.count() <= 32
}

fn not_an_id(id: &str) -> Error {
    Error::usage(format!("not a session id: {}", line::clean(id)))
        .with_hint("an id, the beginning or end of one, or @1 for the newest")
}
