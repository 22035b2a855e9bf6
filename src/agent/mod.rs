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
mod detect;
pub mod dialog;
mod gemini;
pub mod generic;
pub mod keys;
mod kimi;
pub mod locate;
mod opencode;
mod qwen;
pub mod stream;
pub mod tool;
mod transcript;

pub use detect::{Invocation, Words, detect, hint, resume_command};
pub use transcript::{
    Counted, File, NOTES_MAX, Native, Note, NoteKind, Scope, Statement, Transcript,
};

use locate::Place;

/// One agent.
#[derive(Debug)]
pub struct Agent {
    /// Its name in events, filters and lists.
    pub name: &'static str,
    /// Names its program goes by.
    pub programs: &'static [&'static str],
    /// Names of its packages, for `npx` and its like.
    pub packages: &'static [&'static str],
    /// Where it keeps its transcripts.
    pub places: &'static [Place],
    /// What files of one session have in common, from their path below a place.
    pub session_key: fn(&str) -> String,
    /// How its command line speaks of sessions and prompts.
    pub words: &'static Words,
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
