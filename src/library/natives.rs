//! The named streams of a session, the copies of an agent's files among them, read in pieces.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::{Library, Session};
use crate::json::Pieces;
use crate::store::{Chain, Item, StreamId};

/// Bytes of a stream's beginning that are held. A shorter stream is not read again.
pub const HEAD_LEN: usize = 64 << 10;

/// Where the named streams of a session stand.
pub(super) struct Natives<'a> {
    library: &'a Library,
    session: &'a Session,
    streams: BTreeMap<String, Named>,
}

/// One stream.
#[derive(Debug)]
struct Named {
    id: StreamId,
    /// Where in the notes its first frame stands.
    first: u64,
    len: u64,
    head: Vec<u8>,
}

/// The content of a stream; nothing, where there is no such stream.
pub(super) struct Content<'a> {
    natives: &'a Natives<'a>,
    named: Option<&'a Named>,
}

impl<'a> Natives<'a> {
    /// No streams.
    pub fn none(library: &'a Library, session: &'a Session) -> Natives<'a> {
        Natives { library, session, streams: BTreeMap::new() }
    }

    /// Looks once through a session's notes.
    pub fn of(library: &'a Library, session: &'a Session) -> Natives<'a> {
        let mut named: BTreeMap<StreamId, (String, Named)> = BTreeMap::new();
        for (id, name) in library.store.stream_names(&session.entry) {
            named.insert(id, (name, Named { id, first: 0, len: 0, head: Vec::new() }));
        }
        let mut reader = library.store.read(&session.entry, Chain::Notes);
        loop {
            let pos = reader.pos();
            match reader.next() {
                Item::Frame { stream, bytes, .. } => {
                    let Some((_, named)) = named.get_mut(&stream) else { continue };
                    if named.len == 0 {
                        named.first = pos;
                    }
                    named.len += bytes.len() as u64;
                    let room = HEAD_LEN - named.head.len();
                    named.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
                }
                Item::Gap { .. } => {}
                Item::Tail | Item::End => break,
            }
        }
        let streams = named.into_values().collect();
        Natives { library, session, streams }
    }

    /// The first bytes of a stream.
    pub fn head(&self, name: &str) -> &[u8] {
        self.streams.get(name).map_or(&[], |named| &named.head)
    }

    /// All of a stream.
    pub fn content(&'a self, name: &str) -> Content<'a> {
        Content { natives: self, named: self.streams.get(name) }
    }
}

impl Pieces for Content<'_> {
    fn each(&self, take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        let Some(named) = self.named else { return };
        if named.len <= named.head.len() as u64 {
            let _ = take(&named.head);
            return;
        }
        let Natives { library, session, .. } = self.natives;
        let mut reader = library.store.read(&session.entry, Chain::Notes);
        if !session.entry.packed {
            reader.seek_byte(named.first);
        }
        // What was added meanwhile is not of what was looked through.
        let mut left = named.len;
        while left > 0 {
            match reader.next() {
                Item::Frame { stream, bytes, .. } if stream == named.id => {
                    let len =
                        usize::try_from(left).map_or(bytes.len(), |left| bytes.len().min(left));
                    left -= len as u64;
                    if take(&bytes[..len]).is_break() {
                        return;
                    }
                }
                Item::Frame { .. } | Item::Gap { .. } => {}
                Item::Tail | Item::End => return,
            }
        }
    }
}
