//! A session's settled text, in pieces with times: as it is kept, or made of what was recorded.

use std::io;

use super::stream::write_lines;
use super::{Library, Session};
use crate::format::recording::Action;
use crate::store::{Chain, Item, StreamId};
use crate::term::Options;
use crate::term::transcript::{Line, Transcript};

impl Library {
    /// Hands over what a person saw, settled, in order: pieces of whole lines, each with the time
    /// its first line was seen, in microseconds since the session's start. Returns how many
    /// stretches of the recording cannot be read.
    ///
    /// # Errors
    /// Those of `take`.
    pub fn settled(
        &self,
        session: &Session,
        take: &mut dyn FnMut(u64, &str) -> io::Result<()>,
    ) -> io::Result<u64> {
        let mut transcript = Transcript::new(session.size(), Options::default());
        let mut at_us = 0;
        let mut tell = |lines: Vec<Line>| {
            let Some(first) = lines.first() else { return Ok(()) };
            let first_us = first.seen.time_us;
            let mut text = Vec::new();
            write_lines(&lines, &mut text)?;
            take(first_us, &String::from_utf8_lossy(&text))
        };
        let damaged = self.shown(session, |t_us, shown| {
            at_us = t_us;
            match shown {
                Action::Output(bytes) => transcript.feed(t_us, bytes),
                Action::Resize(size) => transcript.resize(t_us, size),
                _ => {}
            }
            tell(transcript.take_lines())
        })?;
        tell(transcript.finish(at_us))?;
        Ok(damaged)
    }

    /// Hands over what was typed, in pieces with their times, microseconds since the session's
    /// start. A secret was not kept and is not among it.
    pub fn keystrokes(&self, session: &Session, take: &mut dyn FnMut(u64, &[u8])) {
        let mut reader = self.store.read(&session.entry, Chain::Tape);
        loop {
            match reader.next() {
                Item::Frame { stream: StreamId::STDIN, t_us, bytes, .. } => take(t_us, bytes),
                Item::Frame { .. } | Item::Gap { .. } => {}
                Item::Tail | Item::End => return,
            }
        }
    }
}
