//! il (IntentLoop): the black box recorder for AI coding agents.
//!
//! `il run CMD` relays a command through a PTY and writes every byte, keystroke, resize and time
//! as frames into one crash-safe file, memmap_fs. Everything else is a view of those frames.
//!
//! Rooms, in reading order; a room imports only from rooms below it:
//!
//! | room | holds | never |
//! |---|---|---|
//! | `cmd` | one file a subcommand, its `COMMAND` constant on top | knows pages |
//! | `cli` | the flag table's types: parse, help, completions | does I/O |
//! | `library` | sessions as people ask for them: found, loaded, read, imported | prints |
//! | `record` | the capture loop (impure), `relay` (pure), `monitor`, `secret` | interprets output |
//! | `format` | sessions to text and files, and other tools' files to sessions | reads files |
//! | `agent` | one file an agent: transcript bytes to events | reads files |
//! | `store` | memmap_fs: pages, catalog, append, read, verify | knows what streams mean |
//! | `git` | the repository around a directory | changes anything in it |
//! | `term` | bytes to screens and settled text | does I/O, fails |
//! | `session` | id, meta, status: the nouns of a recorded session | does I/O |
//! | `event` | events and turns, `il.event/1` | does I/O |
//! | `sqlite` | other programs' databases, read from bytes | does I/O, writes |
//! | `json` | values, reader, writer | does I/O |
//! | `sys` | the only `unsafe`: errno, poll, pty, tty, process, signal, mmap, locks | decides anything |
//! | `error`, `time`, `hash` | leaves | import anything |
//!
//! For programs that use it as a library: [`Store`] holds sessions as streams of bytes;
//! [`Library`] finds each [`Session`] with what is known of it, [`SessionFilter`] says which are
//! meant, and an [`Event`] is a line of what happened. The command line uses the same.
//!
//! | wanted | call |
//! |---|---|
//! | the sessions that a filter means | [`Library::sessions`] and [`Session::matches`] |
//! | one of them, as a person names it | [`Library::find`] |
//! | its events; the turns, iterations and counts in them | [`Library::events`]; [`event::turns()`], [`event::rounds()`], [`event::count()`] |
//! | its output, text, screen and other streams | [`Library::copy`] |
//! | what happens in a running one | [`Library::follow`] |
//! | to add to one, running or not | [`Library::add`] |
//! | to record one of one's own | [`Library::begin`] |
//!
//! Times are microseconds or [`time::WallTime`], lengths are bytes, and an [`Error`] says what
//! failed, why, and the next step. No type of another package is part of this interface.
//! ```
//! use intentloop::event::{self, Event, Source, UserMessage};
//! use intentloop::session::{Meta, Status};
//! use intentloop::store::{Access, Exit};
//! use intentloop::{Library, SessionFilter, Store};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = std::env::temp_dir().join(format!("il-doc-lib-{}", std::process::id()));
//! let library = Library::on(Store::open(&dir, Access::Write)?);
//! for prompt in ["Fix the login", "Add a test"] {
//!     let mut own = library.begin(Meta { argv: vec!["claude".into()], ..Meta::default() })?;
//!     let said = UserMessage { text: prompt.into(), ..UserMessage::default() };
//!     own.add(&Event::new(Source::User, said));
//!     own.end(Exit::Code(0))?;
//! }
//! let wanted =
//!     SessionFilter { statuses: vec![Status::Succeeded], ..SessionFilter::default() };
//! for session in library.sessions()?.filter(|session| session.matches(&wanted)) {
//!     let events = library.events(&session);
//!     assert_eq!(event::turns(&events).len(), 1);
//!     assert_eq!(event::rounds(&events).len(), 0);
//!     println!("{} {}", session.id.short(), session.meta.started.local());
//! }
//! # std::fs::remove_dir_all(&dir)?;
//! # Ok(())
//! # }
//! ```
//!
//! Invariants: `unsafe` is in `sys` alone. The capture loop is one thread and never blocks on the
//! store. A store that fails never changes what the recorded command prints or returns.

pub mod error;
pub mod hash;
pub mod time;

#[allow(unsafe_code)]
pub mod sys;

pub mod json;
pub mod sqlite;
pub mod event;
pub mod session;
pub mod term;
pub mod store;
pub mod git;
pub mod agent;
pub mod format;
pub mod record;
pub mod library;
pub mod cli;
pub mod cmd;

pub use error::{Error, Result};
pub use event::Event;
pub use library::{Library, Session};
pub use session::Filter as SessionFilter;
pub use store::Store;

/// Runs the program on the process's own arguments.
pub fn main() -> std::process::ExitCode {
    cmd::main()
}
