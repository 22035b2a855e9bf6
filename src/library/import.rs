//! Sessions of other programs into the store: their events, and their files byte for byte.

use std::ffi::OsString;
use std::path::Path;

use super::derive;
use super::edits::Edits;
use crate::error::{Error, Result};
use crate::event::{Body, Evidence, MessageForm};
use crate::format::native::{File, Foreign};
use crate::format::recording::{Action, OwnedAction, Recording};
use crate::git::Changes;
use crate::hash::sha256;
use crate::json::{self, Object, Value, write_object};
use crate::session::{
    Derived, Ending, Imported, ImportedFile, Meta, SessionId, Status, WindowSize,
};
use crate::store::{Append, Entry, Exit, NewSession, State, Store, StreamId, Writer};
use crate::sys::signal::Signal;
use crate::sys::time;
use crate::time::WallTime;

/// What became of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is in the store.
    New(SessionId),
    /// The same content is in the store already.
    Known(SessionId),
}

/// Puts a session into the store, unless the same content is there: its id is the time it began
/// and a hash of its files. What an import that was killed has left is done again.
///
/// # Errors
/// The store cannot be written; nothing of the session is left then.
pub fn import(
    store: &Store,
    format: &str,
    from: &Path,
    session: &Foreign,
    files: &[File<'_>],
    places: &[Evidence],
) -> Result<Taken> {
    let id = id_of(format, session.started, files);
    let meta = meta_of(id, format, from, session, files, places);
    let started = session.started.unwrap_or_default();
    let exit = match session.status {
        Some(Status::Succeeded) => Exit::Code(0),
        Some(Status::Interrupted) => Exit::Signal(Signal::INT.0 as u16),
        Some(_) => Exit::Code(1),
        None => Exit::Unknown,
    };
    let end_us = session.ended.unwrap_or(started).unix_us;
    let text = match changes_of(&meta, session) {
        Some(changes) => with_changes(&meta, &changes),
        None => meta.to_json(),
    };
    put(store, id, format, (started, &text), (exit, end_us), &mut |writer| {
        write(writer, id, started, session, files, places)
    })
}

/// Whether the same content is in the store, whole.
pub(super) fn is_taken(
    store: &Store,
    format: &str,
    session: &Foreign,
    files: &[File<'_>],
) -> Result<bool> {
    let entry = entry_of(store, id_of(format, session.started, files))?;
    Ok(entry.is_some_and(|entry| entry.state != State::Lost))
}

/// Puts a terminal's recording into the store, unless the same content is there. `modified` is
/// when its file was written: the end of a recording that does not say when it began.
///
/// # Errors
/// The store cannot be written; nothing of the session is left then.
pub fn import_recording(
    store: &Store,
    format: &str,
    from: &Path,
    recording: &Recording,
    modified: WallTime,
    files: &[File<'_>],
) -> Result<Taken> {
    let header = &recording.header;
    let known = header
        .start
        .map(|(s, offset_s)| WallTime { unix_us: s.saturating_mul(1_000_000), offset_s });
    let id = id_of(format, known, files);
    let duration_us = recording.events.last().map_or(0, |(time_us, _)| *time_us);
    let span = i64::try_from(duration_us).unwrap_or(i64::MAX);
    let started = known.unwrap_or_else(|| modified.plus_us(-span));
    let started = time::local(started.unix_us);
    let exit = recording.events.iter().rev().find_map(|(_, action)| match action {
        OwnedAction::Exit(status) => Some(*status),
        _ => None,
    });
    let bytes = |of: fn(&OwnedAction) -> usize| {
        recording.events.iter().map(|(_, action)| of(action) as u64).sum()
    };
    let ending = exit.map(|status| Ending {
        ended: started.plus_us(span),
        duration_us,
        exit_code: u8::try_from(status).ok(),
        bytes_out: bytes(|a| if let OwnedAction::Output(bytes) = a { bytes.len() } else { 0 }),
        bytes_in: bytes(|a| if let OwnedAction::Input(bytes) = a { bytes.len() } else { 0 }),
        ..Ending::default()
    });
    let meta = Meta {
        id: Some(id),
        argv: argv_of(header.command.as_deref().unwrap_or("")),
        name: header.title.clone().filter(|title| !title.is_empty()),
        started,
        size: Some(WindowSize { cols: header.size.cols, rows: header.size.rows }),
        term: header.term.clone(),
        il_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        imported: Some(Imported {
            format: format.to_owned(),
            from: from.to_string_lossy().into_owned(),
            status: exit.map(|code| if code == 0 { Status::Succeeded } else { Status::Failed }),
            ..Imported::default()
        }),
        ending,
        ..Meta::default()
    };
    let exit = exit.map_or(Exit::Unknown, |status| Exit::Code(status.clamp(0, 255) as u16));
    let end_us = started.plus_us(span).unix_us;
    put(store, id, format, (started, &meta.to_json()), (exit, end_us), &mut |writer| {
        recording.actions().try_for_each(|(time_us, action)| {
            let mut text = String::new();
            let (stream, bytes) = match action {
                Action::Output(bytes) => (StreamId::STDOUT, bytes),
                Action::Input(bytes) => (StreamId::STDIN, bytes),
                Action::Resize(size) => {
                    write_object(&mut text, |o| {
                        o.string("kind", "resize");
                        o.int("cols", size.cols);
                        o.int("rows", size.rows);
                    });
                    (StreamId::EVENTS, text.as_bytes())
                }
                Action::Marker(label) => {
                    write_object(&mut text, |o| {
                        o.string("kind", "marker");
                        o.string("text", label);
                    });
                    (StreamId::EVENTS, text.as_bytes())
                }
                Action::Exit(_) => return Ok(()),
            };
            stored(writer.append(stream, time_us, bytes))
        })
    })
}

/// The words of a command line, if quoting them gives it again; else it is one word, for how its
/// shell would take it apart is not known.
fn argv_of(command: &str) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    let (mut word, mut any, mut quoted) = (String::new(), false, false);
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => (quoted, any) = (!quoted, true),
            ' ' if !quoted => {
                words.extend(std::mem::take(&mut any).then(|| std::mem::take(&mut word).into()));
            }
            '\\' if !quoted => {
                word.extend(chars.next());
                any = true;
            }
            c => {
                word.push(c);
                any = true;
            }
        }
    }
    words.extend(any.then(|| word.into()));
    match crate::format::line::words(&words) == command {
        true => words,
        false => vec![command.into()],
    }
}

/// What a session changed, as far as it tells itself.
fn changes_of(meta: &Meta, session: &Foreign) -> Option<Changes> {
    let cwd = Path::new(meta.cwd.as_deref().unwrap_or_default());
    Some(Edits::of_all(&session.events, cwd, cwd)?.changes())
}

fn with_changes(meta: &Meta, changes: &Changes) -> String {
    let known = json::parse(meta.to_json().as_bytes()).unwrap_or_default();
    let mut members = known.as_object().cloned().unwrap_or_else(Object::new);
    members.insert("changes", changes.to_json());
    let mut text = String::new();
    Value::Object(members).write(&mut text);
    text
}

/// Writes a session that began at `started`, of which `meta` is known and which ends like `end`:
/// how, and when in microseconds since 1970.
fn put(
    store: &Store,
    id: SessionId,
    format: &str,
    (started, meta): (WallTime, &str),
    (exit, end_us): (Exit, i64),
    write: &mut dyn FnMut(&mut Writer) -> Result<()>,
) -> Result<Taken> {
    if let Some(entry) = entry_of(store, id)? {
        match entry.state {
            State::Lost => {
                store.remove(&[entry], &mut |_| {})?;
            }
            State::Ended(_) | State::Live => return Ok(Taken::Known(id)),
        }
    }
    let mut writer = store.begin(&NewSession {
        id: id.0,
        start_us: started.unix_us,
        label: label(format),
        meta: meta.as_bytes(),
    })?;
    let written = write(&mut writer);
    let written = written.and_then(|()| match writer.end(exit, end_us)?.dropped {
        0 => Ok(()),
        _ => Err(full()),
    });
    match written {
        Ok(()) => Ok(Taken::New(id)),
        Err(e) => {
            if let Some(entry) = entry_of(store, id)? {
                store.remove(&[entry], &mut |_| {})?;
            }
            Err(e)
        }
    }
}

/// The id of a session with this content.
fn id_of(format: &str, started: Option<WallTime>, files: &[File<'_>]) -> SessionId {
    let mut sums = sha256(format.as_bytes()).to_vec();
    for file in files {
        // A file alone may have any name; in a directory the names matter.
        if files.len() > 1 {
            sums.extend(sha256(file.path.as_bytes()));
        }
        sums.extend(sha256(file.bytes));
    }
    let sum = sha256(&sums);
    let mut unique = [0; 10];
    unique.copy_from_slice(&sum[..10]);
    let ms = match started {
        Some(time) => (time.unix_us.max(0) / 1000) as u64,
        // Short ids are made of the time, and tell apart what came without one, too.
        None => sum[10..15].iter().fold(0, |ms, byte| ms << 8 | u64::from(*byte)),
    };
    SessionId::new(ms, unique)
}

fn entry_of(store: &Store, id: SessionId) -> Result<Option<Entry>> {
    Ok(store.find(&id.to_string(), 1)?.into_iter().next())
}

fn label(format: &str) -> [u8; 16] {
    let mut label = [0; 16];
    let len = format.len().min(label.len());
    label[..len].copy_from_slice(&format.as_bytes()[..len]);
    label
}

/// Where a session comes from, and what its own program says of it.
pub(super) fn described(
    format: &str,
    from: &Path,
    session: &Foreign,
    files: &[File<'_>],
    places: &[Evidence],
) -> Imported {
    let prompt = session.events.iter().find_map(|event| match &event.body {
        Body::UserMessage(said) if said.form != Some(MessageForm::Slash) => Some(said.text.clone()),
        _ => None,
    });
    let file = |(file, place): (&File<'_>, &Evidence)| ImportedFile {
        path: file.path.to_owned(),
        stream: place.stream.clone(),
        offset: place.offset,
        len: place.len,
    };
    Imported {
        format: format.to_owned(),
        from: from.to_string_lossy().into_owned(),
        status: session.status,
        agent: session.agent.clone(),
        native_id: session.id.clone(),
        prompt,
        files: files.iter().zip(places).map(file).collect(),
    }
}

fn meta_of(
    id: SessionId,
    format: &str,
    from: &Path,
    session: &Foreign,
    files: &[File<'_>],
    places: &[Evidence],
) -> Meta {
    let started = session.started.unwrap_or_default();
    let imported = described(format, from, session, files, places);
    let ending = session.ended.filter(|_| session.status.is_some()).map(|ended| Ending {
        ended: time::local(ended.unix_us),
        duration_us: (ended.unix_us - started.unix_us).max(0) as u64,
        ..Ending::default()
    });
    Meta {
        id: Some(id),
        cwd: session.cwd.clone().map(Into::into),
        // As clocks here showed it; the events keep the offsets of their own clock.
        started: time::local(started.unix_us),
        name: session.name.clone(),
        il_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        derived: Some(derived_of(session)),
        imported: Some(imported),
        ending,
        ..Meta::default()
    }
}

/// What is to be counted in it, and by whom it is.
pub(super) fn derived_of(session: &Foreign) -> Derived {
    Derived {
        agent: session.agent.clone(),
        native_session: session.id.clone(),
        broken: session.broken.len() as u64,
        ..derive::imported(&session.events)
    }
}

/// Writes what a session says, and its files, into the notes.
pub(super) fn write(
    writer: &mut Writer,
    id: SessionId,
    started: WallTime,
    session: &Foreign,
    files: &[File<'_>],
    places: &[Evidence],
) -> Result<()> {
    let mut at_us = 0;
    let mut line = String::new();
    for event in &session.events {
        let since = event.time.map_or(0, |time| time.unix_us - started.unix_us);
        // Times in a store do not go back.
        at_us = u64::try_from(since).unwrap_or(0).max(at_us);
        let event = crate::event::Event { session: id.to_string(), ..event.clone() };
        line.clear();
        event.write_line(&mut line);
        stored(writer.append(StreamId::CONVERSATION, at_us, line.as_bytes()))?;
    }
    for (file, place) in files.iter().zip(places) {
        let stream = writer.define(&place.stream)?;
        stored(writer.append(stream, at_us, file.bytes))?;
    }
    Ok(())
}

fn stored(append: Append) -> Result<()> {
    match append {
        // What waits for another process is written with the next record, or at the end.
        Append::Stored | Append::Queued => Ok(()),
        Append::Degraded { .. } => Err(full()),
    }
}

fn full() -> Error {
    Error::failed("cannot write the session")
        .why("the store takes no more")
        .with_hint("is the disk full?")
}
