//! The streams of a session and the two chains that carry them.

use std::fmt;

/// Which stream a frame belongs to. 1 to 15 are fixed; 16 to 255 get a name per session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u8);

impl StreamId {
    /// Bytes the command wrote to its terminal or its stdout.
    pub const STDOUT: StreamId = StreamId(1);
    /// Bytes the user typed.
    pub const STDIN: StreamId = StreamId(2);
    /// Events: one JSON text a record.
    pub const EVENTS: StreamId = StreamId(3);
    /// The session's metadata: one JSON object a record, the last one holds.
    pub const META: StreamId = StreamId(4);
    /// The conversation.
    pub const CONVERSATION: StreamId = StreamId(5);
    /// The report.
    pub const REPORT: StreamId = StreamId(6);
    /// The store's own words: what was dropped, and why.
    pub const NOTICE: StreamId = StreamId(7);
    /// Names of streams: one byte id, the rest UTF-8.
    pub const NAME: StreamId = StreamId(8);
    /// Bytes the command wrote to a stderr that was not its terminal.
    pub const STDERR: StreamId = StreamId(9);
    /// Settled text.
    pub const TEXT: StreamId = StreamId(10);
    /// Bytes the command wrote to its terminal while its stdout was something else.
    pub const TERMINAL: StreamId = StreamId(11);
    /// Who the session is, for a store whose catalog is lost. Readers do not return it.
    pub(super) const IDENTITY: StreamId = StreamId(12);
    /// What others added to the session: one event of `il.event/1` a record.
    pub const ADDED: StreamId = StreamId(13);
    /// The terminal at moments of the session, for playing to begin there.
    pub const KEYFRAMES: StreamId = StreamId(14);
    /// The first id that a session may name.
    pub const FIRST_NAMED: StreamId = StreamId(16);

    /// The chain that carries this stream.
    pub fn chain(self) -> Chain {
        match self {
            StreamId::STDOUT
            | StreamId::STDIN
            | StreamId::EVENTS
            | StreamId::STDERR
            | StreamId::TERMINAL => Chain::Tape,
            _ => Chain::Notes,
        }
    }

    /// The name of a stream whose id is fixed.
    pub fn fixed_name(self) -> Option<&'static str> {
        FIXED.iter().find(|(id, _)| *id == self).map(|(_, name)| *name)
    }

    /// The stream that has this fixed name.
    pub fn of_fixed_name(name: &str) -> Option<StreamId> {
        FIXED.iter().find(|(_, fixed)| *fixed == name).map(|(id, _)| *id)
    }
}

/// Names of the streams whose ids are fixed.
const FIXED: [(StreamId, &str); 13] = [
    (StreamId::STDOUT, "stdout"),
    (StreamId::STDIN, "stdin"),
    (StreamId::EVENTS, "events"),
    (StreamId::META, "meta"),
    (StreamId::CONVERSATION, "conversation"),
    (StreamId::REPORT, "report"),
    (StreamId::NOTICE, "notice"),
    (StreamId::NAME, "name"),
    (StreamId::STDERR, "stderr"),
    (StreamId::TEXT, "text"),
    (StreamId::TERMINAL, "terminal"),
    (StreamId::ADDED, "added"),
    (StreamId::KEYFRAMES, "keyframes"),
];

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fixed_name() {
            Some(name) => f.write_str(name),
            None => write!(f, "stream {}", self.0),
        }
    }
}

/// One of the two sequences of frames that a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Chain {
    /// What went through the terminal, in the order it happened; can be pruned by itself.
    Tape,
    /// All the rest.
    Notes,
}
