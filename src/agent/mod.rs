//! One file an agent: its transcript's bytes to events. Pure: whoever calls reads the files.
//!
//! [`AGENTS`] is the only list. What agents have in common ([`Agent`]'s words: program names,
//! places, flags, hints) is data; what differs is the reading of a transcript.

mod aider;
mod claude;
mod cline;
mod codex;
mod copilot;
mod cursor;
mod gemini;
mod kimi;
mod opencode;
mod qwen;
pub mod stream;
pub mod tool;
mod transcript;

pub use transcript::{
    Counted, File, NOTES_MAX, Native, Note, NoteKind, Scope, Statement, Transcript,
};

/// One agent.
#[derive(Debug)]
pub struct Agent {
    /// Its name in events, filters and lists.
    pub name: &'static str,
    /// Reads its transcript: all files of one session, in any order. Never fails; what cannot be
    /// read becomes a note.
    pub read: fn(&[File<'_>], &Scope<'_>) -> Transcript,
}

/// All agents whose transcripts il reads.
pub const AGENTS: &[Agent] = &[
    claude::AGENT,
    codex::AGENT,
    gemini::AGENT,
    opencode::AGENT,
    copilot::AGENT,
    qwen::AGENT,
    kimi::AGENT,
    cline::AGENT,
    aider::AGENT,
    cursor::AGENT,
];

/// The agent called `name`.
pub fn by_name(name: &str) -> Option<&'static Agent> {
    AGENTS.iter().find(|agent| agent.name == name)
}
