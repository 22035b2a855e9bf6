//! Secrets in recordings: where they seem to be, and how they are taken out for good.

use std::collections::BTreeMap;

use super::{Library, Session};
use crate::error::{Error, Result};
use crate::event::Evidence;
use crate::format::mask;
use crate::session::Status;
use crate::store::{Chain, Change, Exit, Item, StreamId, Why};

/// Bytes of a stream that are searched at once.
const PIECE_LEN: usize = 1 << 20;
/// What is put in the place of a byte that is taken out. It needs no escape in any format.
const BLANK: u8 = b'x';
/// A shorter secret is not looked for in metadata: it could be any word.
const SECRET_LEN_MIN: usize = 6;

/// Streams that are made of others: they are made again.
const MADE: [StreamId; 4] =
    [StreamId::CONVERSATION, StreamId::REPORT, StreamId::TEXT, StreamId::KEYFRAMES];

/// Something that looks like a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// Where it stands.
    pub place: Evidence,
    /// What it looks like.
    pub kind: &'static str,
}

/// A stream on its way through the search.
#[derive(Default)]
struct Searched {
    bytes: Vec<u8>,
    /// Where `bytes` begin in the stream.
    offset: u64,
}

impl Library {
    /// What looks like a secret in the streams of a session, in their order, and how many stretches
    /// of it could not be read, and so not be searched. What is made of other streams is not
    /// searched.
    pub fn suspects(&self, session: &Session) -> (Vec<Suspect>, u64) {
        let names: BTreeMap<StreamId, String> =
            self.store.stream_names(&session.entry).into_iter().collect();
        let mut found = Vec::new();
        let mut damaged = 0;
        for chain in [Chain::Tape, Chain::Notes] {
            let mut streams: BTreeMap<StreamId, Searched> = BTreeMap::new();
            let mut reader = self.store.read(&session.entry, chain);
            let name = |id: StreamId| {
                let given = || names.get(&id).cloned().unwrap_or_default();
                id.fixed_name().map_or_else(given, str::to_owned)
            };
            loop {
                match reader.next() {
                    Item::Frame { stream, bytes, .. } if !MADE.contains(&stream) => {
                        let searched = streams.entry(stream).or_default();
                        searched.bytes.extend_from_slice(bytes);
                        if searched.bytes.len() >= PIECE_LEN {
                            searched.search(&name(stream), mask::SECRET_LEN_MAX, &mut found);
                        }
                    }
                    Item::Gap { why: Why::Damaged, .. } => damaged += 1,
                    Item::Frame { .. } | Item::Gap { .. } => {}
                    Item::Tail | Item::End => break,
                }
            }
            for (stream, mut searched) in streams {
                searched.search(&name(stream), 0, &mut found);
            }
        }
        found.sort_by(|a, b| {
            let key = |s: &Suspect| (s.place.stream.clone(), s.place.offset);
            key(a).cmp(&key(b))
        });
        (found, damaged)
    }

    /// Takes bytes out of a session for good: blanks stand in their place, so that all other places
    /// stay what they are. What was made of them is made again. Where the metadata repeats them,
    /// they are blanked, too. Returns how many bytes were taken out.
    ///
    /// # Errors
    /// The session is running, has no such bytes, or the store cannot be written.
    pub fn scrub(&self, session: &Session, places: &[Evidence]) -> Result<u64> {
        let cannot = || Error::failed(format!("cannot scrub {}", session.id.short()));
        if session.status == Status::Running {
            return Err(cannot().why("it is running").with_hint("wait until it has ended"));
        }
        let mut spans: BTreeMap<StreamId, Vec<(u64, u64)>> = BTreeMap::new();
        let mut secrets: Vec<Vec<u8>> = Vec::new();
        for place in places {
            let mut bytes = Vec::new();
            self.copy_span(session, place, &mut bytes)?;
            let id = self.stream_id(session, &place.stream);
            let (Some(id), true) = (id, bytes.len() as u64 == place.len && place.len > 0) else {
                let place = format!("{}:{}+{}", place.stream, place.offset, place.len);
                return Err(cannot().why(format!("it has no {place}")));
            };
            if MADE.contains(&id) {
                return Err(cannot()
                    .why(format!("stream {} is made of others", place.stream))
                    .with_hint("name the place in the stream that its events refer to"));
            }
            spans.entry(id).or_default().push((place.offset, place.offset + place.len));
            secrets.push(bytes);
        }
        secrets.retain(|secret| secret.len() >= SECRET_LEN_MIN);
        let mut at: BTreeMap<StreamId, u64> = BTreeMap::new();
        let mut blanked = 0;
        self.store.rewrite(&session.entry, &mut |stream, bytes| {
            if MADE.contains(&stream) {
                return Change::Left;
            }
            let offset = at.entry(stream).or_default();
            let mut out = bytes.to_vec();
            // Metadata is handed over more than once: its places are known by what stands there.
            let places = spans.get(&stream).filter(|_| stream != StreamId::META);
            for (from, to) in places.map_or(&[][..], Vec::as_slice) {
                let within = |at: u64| at.saturating_sub(*offset).min(bytes.len() as u64) as usize;
                let range = within(*from)..within(*to);
                blanked += range.len() as u64;
                out[range].fill(BLANK);
            }
            if [StreamId::META, StreamId::ADDED, StreamId::EVENTS].contains(&stream) {
                secrets.iter().for_each(|secret| blank(&mut out, secret));
            }
            *offset += bytes.len() as u64;
            if out == bytes { Change::None } else { Change::To(out) }
        })?;
        let id = session.id.to_string();
        let mut session = self.find_at_once(Some(&id))?;
        let kept = [("text", session.text.is_some()), ("keyframes", session.keyframes.is_some())];
        if kept.iter().any(|(_, is_kept)| *is_kept) {
            let mut writer = self.resume(&session)?;
            for (name, _) in kept.iter().filter(|(_, is_kept)| *is_kept) {
                self.amend(&session, &mut writer, name, None);
            }
            writer.end(Exit::Unknown, 0)?;
            session = self.find_at_once(Some(&id))?;
        }
        if session.meta.imported.is_none() {
            self.rederive(&session)?;
        }
        Ok(blanked)
    }
}

impl Searched {
    /// Searches what is at hand, and forgets it but for the last `overlap` bytes, in which a secret
    /// may begin that goes on.
    fn search(&mut self, stream: &str, overlap: usize, found: &mut Vec<Suspect>) {
        let mut cut = self.bytes.len().saturating_sub(overlap);
        let mut at = 0;
        for chunk in self.bytes.utf8_chunks() {
            for secret in mask::find(chunk.valid()) {
                let start = at + secret.span.start;
                if start < cut || overlap == 0 {
                    let (offset, len) = (self.offset + start as u64, secret.span.len() as u64);
                    let place = Evidence { stream: stream.to_owned(), offset, len };
                    found.push(Suspect { place, kind: secret.kind });
                    cut = cut.max(start + secret.span.len());
                }
            }
            at += chunk.valid().len() + chunk.invalid().len();
        }
        self.bytes.drain(..cut);
        self.offset += cut as u64;
    }
}

/// Blanks each place at which `secret` stands.
fn blank(bytes: &mut [u8], secret: &[u8]) {
    let mut at = 0;
    while at + secret.len() <= bytes.len() {
        if bytes[at..].starts_with(secret) {
            bytes[at..at + secret.len()].fill(BLANK);
            at += secret.len();
        } else {
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_across_the_pieces_of_a_stream() {
        let secret = format!("ghp_{}", "a1".repeat(18));
        for before in [0, 1, 50, 99, 100] {
            let text = format!("{} {secret} \u{e9}", "-".repeat(before));
            let mut found = Vec::new();
            let mut searched = Searched::default();
            for piece in text.as_bytes().chunks(33) {
                searched.bytes.extend_from_slice(piece);
                searched.search("s", 64, &mut found);
            }
            searched.search("s", 0, &mut found);
            let places: Vec<(u64, u64)> =
                found.iter().map(|s| (s.place.offset, s.place.len)).collect();
            assert_eq!(places, [(before as u64 + 1, 40)], "{before}");
        }
    }

    #[test]
    fn a_secret_is_blanked_wherever_it_stands() {
        let mut bytes = *b"secret and secretsecre";
        blank(&mut bytes, b"secret");
        assert_eq!(&bytes, b"xxxxxx and xxxxxxsecre");
    }
}
