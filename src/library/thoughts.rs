//! What a session's screen showed of its agent's thoughts.

use super::replay::is_output;
use super::{Library, Session};
use crate::agent::thinking::{Finder, Seen};
use crate::event::Event;
use crate::store::{Chain, Item, StreamId};

impl Library {
    /// Thoughts of `agent` that were on the screen, whose output is all in the stream `screen`.
    pub(super) fn thoughts_seen(
        &self,
        session: &Session,
        agent: &str,
        screen: StreamId,
    ) -> Vec<Event> {
        let Some(mut finder) = Finder::of(agent) else { return Vec::new() };
        let read = self.lines(session, &mut |lines| {
            lines.iter().for_each(|line| finder.feed(line));
            Ok(())
        });
        // What cannot be read was not seen.
        let _ = read;
        let mut seen = finder.finish();
        seen.sort_by_key(|seen| seen.at.start);
        let stream = screen.fixed_name().unwrap_or_default();
        let mut events = Vec::with_capacity(seen.len());
        self.windows(session, &seen, &mut |seen, output| {
            let span = seen.span(output);
            events.push(seen.clone().event(session.meta.started, stream, span));
        });
        events
    }

    /// Hands over the output around each of what was seen, in one go through the recording.
    fn windows(&self, session: &Session, seen: &[Seen], take: &mut dyn FnMut(&Seen, &[u8])) {
        let mut waiting = seen.iter().peekable();
        let mut reader = self.store.read(&session.entry, Chain::Tape);
        // The output from `from` on, as far as anybody may ask for it.
        let (mut held, mut from) = (Vec::new(), 0);
        let mut ended = false;
        while let Some(next) = waiting.peek().map(|seen| seen.window()) {
            let until = from + held.len() as u64;
            if ended || until >= next.end {
                let Some(seen) = waiting.next() else { break };
                let at = |offset: u64| (offset.clamp(from, until) - from) as usize;
                take(seen, &held[at(next.start)..at(next.end)]);
                continue;
            }
            let gone = (next.start.clamp(from, until) - from) as usize;
            if gone > held.len() / 2 {
                held.drain(..gone);
                from += gone as u64;
            }
            match reader.next() {
                Item::Frame { stream, bytes, .. } if is_output(stream) => {
                    held.extend_from_slice(bytes);
                }
                Item::Frame { .. } | Item::Gap { .. } => {}
                Item::Tail | Item::End => ended = true,
            }
        }
    }
}
