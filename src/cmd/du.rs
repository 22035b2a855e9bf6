//! `il du`: how much room what takes.

use std::collections::BTreeMap;

use super::progress::Line;
use super::{JSON_VERSION, home, print, screen};
use crate::cli::{Command, Flag, Global, Operands};
use crate::error::Result;
use crate::format::line;
use crate::json::{ObjectWriter, write_object};
use crate::library::{Library, Session};
use crate::store::Progress;

/// `il du [--json]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "du",
    summary: "Tell how much room the sessions take",
    flags: &[Flag::switch("json", "Print one JSON object a line", |args: &mut Args| {
        args.json = true;
    })],
    shared: &[],
    operands: Operands::Refuse,
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    json: bool,
}

/// Streams and their bytes.
type Streams = Vec<(String, u64)>;

/// The room of one session, or of all of them.
#[derive(Clone, Copy, Debug, Default)]
struct Room {
    /// Bytes of disk.
    allocated: u64,
    /// Bytes of the file's length, holes included.
    apparent: u64,
}

fn run(args: Args, global: &Global) -> Result<u8> {
    let library = Library::open(&home::dir(global)?)?;
    let sessions: Vec<Session> = library.sessions()?.collect();
    let mut progress = Line::new("du");
    let mut measured: Vec<(&Session, Room, Streams)> = Vec::new();
    let (mut done, total) = (0, library.bytes_on_disk()?);
    for session in &sessions {
        let usage = library.usage(session)?;
        let room = Room { allocated: usage.tape + usage.notes, apparent: usage.apparent };
        let streams = library.stream_sizes(session, &mut |bytes| {
            done += bytes;
            progress.at(Progress { done, total });
        });
        measured.push((session, room, streams));
    }
    drop(progress);
    let whole = Room {
        allocated: library.bytes_on_disk()?,
        apparent: library.store().usage_of_all()?.apparent,
    };
    // What takes most comes first; of equals the newest.
    measured.sort_by_key(|(_, room, _)| std::cmp::Reverse(room.allocated));
    match args.json {
        true => print(as_json(&library, &measured, whole))?,
        false => as_table(&measured, whole)?,
    }
    Ok(0)
}

/// The sums over all sessions.
fn sums(measured: &[(&Session, Room, Streams)]) -> (Room, Streams) {
    let mut sum = Room::default();
    let mut streams: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, room, of_session) in measured {
        sum.allocated += room.allocated;
        sum.apparent += room.apparent;
        for (name, bytes) in of_session {
            *streams.entry(name).or_default() += bytes;
        }
    }
    (sum, streams.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect())
}

fn as_table(measured: &[(&Session, Room, Streams)], whole: Room) -> Result<()> {
    let (sum, streams) = sums(measured);
    let rest = Room {
        allocated: whole.allocated.saturating_sub(sum.allocated),
        apparent: whole.apparent.saturating_sub(sum.apparent),
    };
    let row = |name: &str, room: Room, streams: String| {
        vec![name.to_owned(), screen::bytes(room.allocated), screen::bytes(room.apparent), streams]
    };
    let sessions = measured
        .iter()
        .map(|(session, room, streams)| row(&session.id.short(), *room, listed(streams)));
    let tail = [
        row("(rest)", rest, "catalog, room taken ahead, what removed sessions left".to_owned()),
        row("(all)", whole, listed(&streams)),
    ];
    screen::table(&["ID", "ALLOCATED", "APPARENT", "STREAMS"], sessions.chain(tail))
}

/// `stdout 61 KiB, meta 512 bytes`; in bytes for programs.
fn listed(streams: &Streams) -> String {
    let each = streams.iter().map(|(name, bytes)| match screen::is_terminal() {
        true => format!("{} {}", line::clean(name), line::size(*bytes)),
        false => format!("{} {bytes}", line::clean(name)),
    });
    each.collect::<Vec<_>>().join(", ")
}

fn as_json(library: &Library, measured: &[(&Session, Room, Streams)], whole: Room) -> String {
    let mut out = String::new();
    let mut object =
        |kind: &str, room: Room, streams: &Streams, more: &dyn Fn(&mut ObjectWriter<'_>)| {
            write_object(&mut out, |o| {
                o.int("v", JSON_VERSION);
                o.string("kind", kind);
                more(o);
                o.int("allocated_bytes", room.allocated);
                o.int("apparent_bytes", room.apparent);
                o.object("streams", |o| streams.iter().for_each(|(name, n)| o.int(name, *n)));
            });
            out.push('\n');
        };
    for (session, room, streams) in measured {
        object("session", *room, streams, &|o| {
            o.string("id", &session.id.to_string());
            o.string("short_id", &session.id.short());
        });
    }
    let (_, streams) = sums(measured);
    object("store", whole, &streams, &|o| {
        o.string("path", &library.store().path().to_string_lossy());
        o.int("sessions", measured.len() as u64);
    });
    out
}
