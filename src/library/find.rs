//! From what a person says to the session meant.

use super::added::is_annex;
use super::{Library, Session};
use crate::error::{Error, Result};
use crate::format::line;
use crate::session::SessionId;
use crate::store::{Entry, FOUND_MAX, State};

/// Most candidates that an ambiguous id lists.
const CANDIDATES_MAX: usize = 10;

impl Library {
    /// The session that `id` means: a full id, a prefix or suffix of one, `@1` (the newest), `@2`
    /// (the one before) and so on. None means the newest.
    ///
    /// # Errors
    /// No session is meant, or more than one: il never picks for the user.
    pub fn find(&self, id: Option<&str>) -> Result<Session> {
        let Some(id) = id else { return self.nth(1, "@1") };
        if let Some(place) = id.strip_prefix('@') {
            let n = place.parse().ok().filter(|n| *n > 0);
            return self.nth(n.ok_or_else(|| not_an_id(id))?, id);
        }
        let digits = id.chars().filter(|c| *c != '-');
        if id.is_empty() || !digits.clone().all(|c| c.is_ascii_hexdigit()) || digits.count() > 32 {
            return Err(not_an_id(id));
        }
        let mut found = self.store.find(id, FOUND_MAX)?;
        found.retain(|entry| !is_annex(entry));
        match found.len() {
            0 => Err(Error::nothing_found(format!("no session {}", line::clean(id)))
                .with_hint("'il list' shows the sessions there are")),
            1 => Ok(self.load(found.remove(0))),
            _ => Err(self.ambiguous(id, found)),
        }
    }

    /// The sessions that run at this time, newest first.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn running(&self) -> Result<Vec<Session>> {
        let entries = self.entries()?.into_iter().filter(|entry| entry.state == State::Live);
        Ok(entries.map(|entry| self.load(entry)).collect())
    }

    fn nth(&self, n: usize, said: &str) -> Result<Session> {
        let entry = self.entries()?.into_iter().nth(n - 1);
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
            let command = line::cut(&line::words(&session.meta.argv), 40);
            let full = SessionId(session.entry.id);
            hint.push_str(&format!("\n  {full}  {}  {command}", session.meta.started.local()));
        }
        if more {
            hint.push_str("\n  and more");
        }
        Error::usage(format!("ambiguous id {id}")).with_hint(hint)
    }
}

fn not_an_id(id: &str) -> Error {
    Error::usage(format!("not a session id: {}", line::clean(id)))
        .with_hint("an id, the beginning or end of one, or @1 for the newest")
}
