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
pub mod opencode_export;
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
}

impl Agent {
    /// Reads its transcript: all files of one session, in any order. Never fails; what cannot be
    /// read becomes a note.
    ///
    /// No field of the table, so that whoever only asks which agent a command starts does not
    /// bring every reader along.
    pub fn read(&self, files: &[File<'_>], scope: &Scope<'_>) -> Transcript {
        let read = match self.name {
            "codex" => codex::read,
            "gemini" => gemini::read,
            "opencode" => opencode::read,
            "copilot" => copilot::read,
            "qwen" => qwen::read,
            "kimi" => kimi::read,
            "cline" => cline::read,
            "aider" => aider::read,
            "cursor" => cursor::read,
            _ => claude::read,
        };
        read(files, scope)
    }
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
