//! Sessions that a program records itself, through the library.

use super::Library;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::session::{Ending, Meta, SessionId};
use crate::store::{Append, EndReport, Exit, NewSession, StreamId, Writer};
use crate::sys::{process, time};
use crate::time::WallTime;

/// A session of one's own, being recorded. Dropping it without [`Own::end`] leaves a session that
/// is lost, as a crash would; what was appended is there.
/// ```
/// use intentloop::Library;
/// use intentloop::event::{Event, Source, UserMessage};
/// use intentloop::session::{Meta, Status};
/// use intentloop::store::{Access, Exit, Store};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dir = std::env::temp_dir().join(format!("il-doc-own-{}", std::process::id()));
/// let library = Library::on(Store::open(&dir, Access::Write)?);
/// let meta = Meta { argv: vec!["my-agent".into()], ..Meta::default() };
/// let mut own = library.begin(meta)?;
/// own.output(b"Hello\r\n");
/// let said = UserMessage { text: "Fix the login".into(), ..UserMessage::default() };
/// own.add(&Event::new(Source::User, said));
/// let id = own.id();
/// own.end(Exit::Code(0))?;
///
/// let session = library.find(Some(&id.to_string()))?;
/// assert_eq!(session.status, Status::Succeeded);
/// let kinds: Vec<String> =
///     library.events(&session).iter().map(|event| event.body.kind().to_owned()).collect();
/// assert_eq!(kinds, ["session_start", "user_message", "session_end"]);
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Own {
    writer: Writer,
    id: SessionId,
    meta: Meta,
    bytes_out: u64,
}

impl Library {
    /// Begins a session. Its id, and where `meta` does not say when it began, that too, are made.
    ///
    /// # Errors
    /// The store cannot be written, or was opened to read.
    pub fn begin(&self, mut meta: Meta) -> Result<Own> {
        let mut random = [0; 10];
        process::random(&mut random).map_err(|e| Error::io("cannot make an id", &e))?;
        if meta.started == WallTime::default() {
            meta.started = time::wall();
        }
        let id = SessionId::new(u64::try_from(meta.started.unix_us / 1000).unwrap_or(0), random);
        meta.id = Some(id);
        let text = meta.to_json();
        let writer = self.store.begin(&NewSession {
            id: id.0,
            start_us: meta.started.unix_us,
            label: [0; 16],
            meta: text.as_bytes(),
        })?;
        Ok(Own { writer, id, meta, bytes_out: 0 })
    }
}

impl Own {
    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Appends bytes of output, as a terminal would show them.
    pub fn output(&mut self, bytes: &[u8]) -> Append {
        self.bytes_out += bytes.len() as u64;
        self.writer.append(StreamId::STDOUT, self.now_us(), bytes)
    }

    /// Appends bytes of input.
    pub fn input(&mut self, bytes: &[u8]) -> Append {
        self.writer.append(StreamId::STDIN, self.now_us(), bytes)
    }

    /// Appends an event; without a time it happens now.
    pub fn add(&mut self, event: &Event) -> Append {
        let mut event = event.clone();
        let at = *event.time.get_or_insert_with(time::wall);
        let t_us = u64::try_from(at.unix_us - self.meta.started.unix_us).unwrap_or(0);
        event.mono_ns = Some(t_us.saturating_mul(1000));
        event.session = self.id.to_string();
        let mut line = String::new();
        event.write_line(&mut line);
        self.writer.append(StreamId::ADDED, t_us, line.trim_end().as_bytes())
    }

    /// Ends the session, and waits for the disk, two seconds at most.
    ///
    /// # Errors
    /// The end cannot be written.
    pub fn end(mut self, exit: Exit) -> Result<EndReport> {
        let now_us = self.now_us();
        let ended = time::wall();
        self.meta.ending = Some(Ending {
            ended,
            duration_us: now_us,
            exit_code: match exit {
                Exit::Code(code) => u8::try_from(code).ok(),
                _ => None,
            },
            bytes_out: self.bytes_out,
            ..Ending::default()
        });
        self.writer.append(StreamId::META, now_us, self.meta.to_json().as_bytes());
        self.writer.end(exit, ended.unix_us)
    }

    fn now_us(&self) -> u64 {
        u64::try_from(time::wall().unix_us - self.meta.started.unix_us).unwrap_or(0)
    }
}
