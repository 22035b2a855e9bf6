//! What the store's index is told of each session, and lists that are read from it. The index is a
//! copy of what the sessions' own notes say: what it does not tell, they do.

mod words;

use super::{Library, Session, added, archive, changes};
use crate::error::Result;
use crate::hash::crc32c;
use crate::json::{self, Object, Value};
use crate::session::{Derived, Ending, Filter, Imported, Intent, Meta, Repository, Status};
use crate::store::{Entry, HINT_LEN, Hint, INDEX_EVERY, Listed, Sieve, Told, WordsTest};
use std::os::unix::ffi::OsStrExt;

// A hint, all little-endian. Where a word is unknown its sum is 0, and that of a known one never.
//
//    0 u8   place of the status in the list of all
//    1 u8   1: it began when the catalog says
//    4 u32  sum of the project's name       8 u32  sum of the place's path
//   12 u32  sum of the agent's name        16 u32  sum of the intent's id
//   20 u32  two bits for each tag

const BEGAN_AT: usize = 1;
const PROJECT_AT: usize = 4;
const PLACE_AT: usize = 8;
const AGENT_AT: usize = 12;
const INTENT_AT: usize = 16;
const TAGS_AT: usize = 20;
const _: () = assert!(TAGS_AT + 4 == HINT_LEN, "the hint is full");

impl Library {
    /// The sessions that `filter` means, newest first, with what a list says of them: other parts
    /// of what is known may be missing. Who `waits` gets sessions that have just ended when what is
    /// being read out of their recordings is known, and others as they are.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn listed<'a>(
        &'a self,
        filter: &'a Filter,
        waits: bool,
    ) -> Result<impl Iterator<Item = Session> + use<'a>> {
        // Which files a session touched facts do not tell.
        let facts = filter.file.is_none();
        let any = *filter == Filter::default();
        Ok(self.sifted(filter, facts)?.filter_map(move |listed| {
            let facts = listed.facts.and_then(|facts| Session::told(listed.entry, &facts));
            let session = match facts {
                Some(session) => session,
                None if waits => self.when_derived(self.load(listed.entry)),
                None => self.load(listed.entry),
            };
            (any || session.matches(filter)).then_some(session)
        }))
    }

    /// The sessions that `filter` may mean, newest first, with all that is known of them. Those
    /// that the index knows it does not mean are passed over unread; the others are for
    /// [`Session::matches`] to judge.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn candidates(&self, filter: &Filter) -> Result<impl Iterator<Item = Session> + use<'_>> {
        Ok(self.sifted(filter, false)?.map(|listed| self.load(listed.entry)))
    }

    fn sifted(&self, filter: &Filter, facts: bool) -> Result<impl Iterator<Item = Listed> + use<>> {
        let mut newest = self.store.newest(facts)?;
        let asked = (*filter != Filter::default()).then(|| Asked::of(filter));
        let next = std::iter::from_fn(move || match &asked {
            Some(asked) => newest.next_where(asked),
            None => newest.next(),
        });
        Ok(next.filter(|listed| !added::is_annex(&listed.entry)))
    }

    /// Writes the index anew if it lacks many sessions. Whatever fails, the index is merely old.
    pub fn index_if_due(&self) {
        if self.store.unindexed().is_ok_and(|count| count >= INDEX_EVERY) {
            let _ = self.index();
        }
    }

    /// Writes the index anew; false when another process is at it.
    ///
    /// # Errors
    /// The library was not opened to change, or the store cannot be written.
    pub fn index(&self) -> Result<bool> {
        self.store.write_index(&mut |entry| self.described(entry))
    }

    fn described(&self, entry: &Entry) -> Option<Told> {
        if added::is_annex(entry) {
            return None;
        }
        let session = Session::told(*entry, &self.last_meta(entry)?)?;
        if archive::is_at_work(&session.meta) || changes::may_have_changes(&session) {
            return None;
        }
        let (hint, words) = (hint_of(&session), words::of(&session.facts()));
        Some(Told { hint, words, facts: facts_of(&session.meta) })
    }
}

/// The brief as JSON. What reads as nothing when it is missing is left out: a list of all sessions
/// reads very many of these.
fn facts_of(meta: &Meta) -> Vec<u8> {
    /// Counters of how the session ended.
    const COUNTERS: [&str; 5] = ["bytes_out", "bytes_in", "stalls", "gaps", "bytes_dropped"];
    let value = json::parse(brief(meta).to_json().as_bytes()).unwrap_or_default();
    let mut members = value.as_object().cloned().unwrap_or_else(Object::new);
    for name in COUNTERS {
        members.remove(name);
    }
    if let Some(derived) = members.get("derived").and_then(Value::as_object) {
        let mut told = Object::new();
        for (name, value) in derived.iter() {
            // Without this one nothing would be known of its kind.
            let is_told = name == "nudges";
            if is_told || value.as_f64() != Some(0.0) && value.as_str() != Some("") {
                told.insert(name, value.clone());
            }
        }
        members.insert("derived", told);
    }
    Value::Object(members).to_string().into_bytes()
}

/// What lists, sums and filters look at.
fn brief(meta: &Meta) -> Meta {
    let imported = meta.imported.as_ref().map(|imported| Imported {
        from: String::new(),
        files: Vec::new(),
        ..imported.clone()
    });
    let derived = meta.derived.as_ref().map(|derived| Derived {
        agent: derived.agent.clone(),
        native_session: derived.native_session.clone(),
        model: derived.model.clone(),
        prompt: derived.prompt.clone(),
        counts: derived.counts,
        version: derived.version,
        split_ms: derived.split_ms,
        friction: derived.friction,
        ..Derived::default()
    });
    Meta {
        argv: meta.argv.clone(),
        cwd: meta.cwd.clone(),
        started: meta.started,
        name: meta.name.clone(),
        tags: meta.tags.clone(),
        intent: meta.intent.as_ref().map(|intent| Intent { id: intent.id.clone(), title: None }),
        parent: meta.parent.clone(),
        repository: meta.repository.as_ref().map(|repository| Repository {
            root: repository.root.clone(),
            ..Repository::default()
        }),
        imported,
        pinned: meta.pinned,
        ending: meta.ending.as_ref().map(|ending| Ending {
            ended: ending.ended,
            duration_us: ending.duration_us,
            exit_code: ending.exit_code,
            signal: ending.signal.clone(),
            terminal_closed: ending.terminal_closed,
            ..Ending::default()
        }),
        derived,
        ..Meta::default()
    }
}

fn sum(word: &[u8]) -> u32 {
    crc32c(0, word).max(1)
}

fn agent_sum(name: &str) -> u32 {
    sum(name.to_ascii_lowercase().as_bytes())
}

fn tag_bits(tag: &str) -> u32 {
    let sum = sum(tag.as_bytes());
    1 << (sum & 31) | 1 << (sum >> 5 & 31)
}

fn status_number(status: Status) -> u8 {
    let place = Status::NAMES.iter().position(|(known, _)| *known == status);
    place.map_or(u8::MAX, |place| place as u8)
}

fn hint_of(session: &Session) -> Hint {
    let meta = &session.meta;
    let mut hint = [0; HINT_LEN];
    hint[0] = status_number(session.status);
    hint[BEGAN_AT] = u8::from(meta.started.unix_us == session.entry.start_us);
    let mut put = |at: usize, sum: Option<u32>| {
        hint[at..at + 4].copy_from_slice(&sum.unwrap_or(0).to_le_bytes());
    };
    put(PROJECT_AT, meta.project().map(|name| sum(name.as_bytes())));
    put(PLACE_AT, meta.place().map(|place| sum(place.as_bytes())));
    put(AGENT_AT, session.agent().map(agent_sum));
    put(INTENT_AT, meta.intent.as_ref().map(|intent| sum(intent.id.as_bytes())));
    put(TAGS_AT, Some(meta.tags.iter().fold(0, |bits, tag| bits | tag_bits(tag))));
    hint
}

/// What a filter asks of the index. A session that it means always passes.
struct Asked {
    /// The first and the last start.
    starts_us: [i64; 2],
    statuses: Vec<u8>,
    sums: [(usize, Option<u32>); 4],
    tags: u32,
    words: Option<words::Test>,
}

impl Asked {
    fn of(filter: &Filter) -> Asked {
        let place = filter.place.as_ref().map(|place| sum(place.as_os_str().as_bytes()));
        let starts_us = [filter.after_us.unwrap_or(i64::MIN), filter.before_us.unwrap_or(i64::MAX)];
        Asked {
            starts_us,
            statuses: filter.statuses.iter().map(|status| status_number(*status)).collect(),
            sums: [
                (PROJECT_AT, filter.project.as_ref().map(|name| sum(name.as_bytes()))),
                (PLACE_AT, place),
                (AGENT_AT, filter.agent.as_deref().map(agent_sum)),
                (INTENT_AT, filter.intent.as_ref().map(|id| sum(id.as_bytes()))),
            ],
            tags: filter.tags.iter().fold(0, |bits, tag| bits | tag_bits(tag)),
            words: words::test(filter),
        }
    }
}

impl Sieve for Asked {
    fn passes(&self, start_us: i64, hint: &Hint) -> bool {
        let [first_us, last_us] = self.starts_us;
        let in_time = hint[BEGAN_AT] == 0 || (first_us..=last_us).contains(&start_us);
        let at =
            |at: usize| u32::from_le_bytes([hint[at], hint[at + 1], hint[at + 2], hint[at + 3]]);
        in_time
            && (self.statuses.is_empty() || self.statuses.contains(&hint[0]))
            && self.sums.iter().all(|(place, sum)| sum.is_none_or(|sum| at(*place) == sum))
            && at(TAGS_AT) & self.tags == self.tags
    }

    fn words_pass(&self) -> Option<WordsTest<'_>> {
        self.words.as_deref()
    }
}
