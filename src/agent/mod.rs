//! One file an agent: its transcript's bytes to events. Pure: whoever calls reads the files.
//!
//! [`AGENTS`] is the only list. What agents have in common ([`Agent`]'s words: program names,
//! places, flags, hints) is data; what differs is the reading of a transcript.

mod aider;
mod claude;
mod cline;
pub mod codex;
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
pub mod thinking;
pub mod tool;
mod transcript;

pub use detect::{Invocation, Words, detect, hint, resume_command};
pub use transcript::{
    Counted, Digest, File, Long, NOTES_MAX, Native, Note, NoteKind, Place, Scope, Sink, Statement,
    Transcript,
};

use crate::json::Pieces;
use std::ops::ControlFlow;
use transcript::Collected;

/// The longest file that is read at once, of agents whose transcripts are not read in pieces.
pub const WHOLE_LEN_MAX: usize = 512 << 20;

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
    pub places: &'static [locate::Place],
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
        if let Some(stream) = self.stream() {
            let contents: Vec<&[u8]> = files.iter().map(|file| file.bytes).collect();
            let files: Vec<Long<'_>> = files
                .iter()
                .zip(&contents)
                .map(|(file, content)| Long { path: file.path, content })
                .collect();
            let mut all = Collected::default();
            let digest = stream(&files, scope, &mut all);
            return all.transcript(digest);
        }
        let read = match self.name {
            "opencode" => opencode::read,
            "cline" => cline::read,
            "aider" => aider::read,
            _ => cursor::read,
        };
        read(files, scope)
    }

    /// Reads files that are handed over in pieces, and hands their events on: of the transcripts
    /// that grow long, no more is kept than a line and a few numbers for every event. Other
    /// agents' files are read at once, where they are not longer than [`WHOLE_LEN_MAX`].
    pub fn read_long(&self, files: &[Long<'_>], scope: &Scope<'_>, sink: &mut dyn Sink) -> Digest {
        if let Some(stream) = self.stream() {
            return stream(files, scope, sink);
        }
        let wholes: Vec<Option<Vec<u8>>> = files.iter().map(|file| whole(file.content)).collect();
        let files: Vec<File<'_>> = files
            .iter()
            .zip(&wholes)
            .map(|(file, bytes)| File {
                path: file.path,
                bytes: bytes.as_deref().unwrap_or_default(),
            })
            .collect();
        let mut transcript = self.read(&files, scope);
        for (file, _) in wholes.iter().enumerate().filter(|(_, whole)| whole.is_none()) {
            let what = NoteKind::Unreadable("too long".to_owned());
            transcript.notes.push(Note { file, offset: 0, len: 0, what });
        }
        transcript.hand_over(sink)
    }

    /// How it reads a transcript in pieces, if it does.
    fn stream(&self) -> Option<Stream> {
        match self.name {
            "claude" => Some(claude::read),
            "codex" => Some(codex::read),
            "gemini" => Some(gemini::read),
            "copilot" => Some(copilot::read),
            "qwen" => Some(qwen::read),
            "kimi" => Some(kimi::read),
            _ => None,
        }
    }
}

/// A reader of transcripts in pieces.
type Stream = fn(&[Long<'_>], &Scope<'_>, &mut dyn Sink) -> Digest;

/// A file in one piece; None where it is longer than [`WHOLE_LEN_MAX`].
fn whole(content: &dyn Pieces) -> Option<Vec<u8>> {
    let mut whole = Some(Vec::new());
    content.each(&mut |piece| {
        whole = whole.take().filter(|bytes: &Vec<u8>| bytes.len() + piece.len() <= WHOLE_LEN_MAX);
        match &mut whole {
            Some(bytes) => {
                bytes.extend_from_slice(piece);
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(()),
        }
    });
    whole
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
