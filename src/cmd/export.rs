//! `il export`: a session in a format that other programs read.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path};

use super::{home, print};
use crate::cli::{Command, Flag, Global, Hint, Operand, Operands};
use crate::error::{Error, Result};
use crate::event::{Body, Event, Evidence};
use crate::format::markdown::{self, Head};
use crate::format::text::View;
use crate::format::{codeloops, intendant, line, mask};
use crate::json::{self, Object, Value};
use crate::library::{Library, Session};

/// `il export FORMAT [ID] [-o PATH] [--raw]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "export",
    summary: "Write a session for other programs to read",
    flags: &[
        Flag::value("output", "PATH", "Write to PATH", |args: &mut Args, value| {
            args.output = Some(value);
            Ok(())
        })
        .short('o')
        .hint(Hint::File),
        Flag::switch("raw", "Leave secrets as they are", |args: &mut Args| args.raw = true),
    ],
    shared: &[],
    operands: Operands::Each(
        &[
            Operand::one("FORMAT", Hint::Choice(NAMES), "Format to write"),
            Operand::optional("ID", Hint::Session, "Session, the newest if left out"),
        ],
        |args: &mut Args, word| {
            match args.format {
                None => {
                    let format = FORMATS.iter().find(|f| word.to_str() == Some(f.name));
                    args.format =
                        Some(format.ok_or_else(|| format!("not one of {}", NAMES.join(", ")))?);
                }
                Some(_) => args.id = Some(super::id(word)?),
            }
            Ok(())
        },
    ),
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    format: Option<&'static Format>,
    id: Option<String>,
    output: Option<OsString>,
    raw: bool,
}

/// A format that sessions are written in.
#[derive(Debug)]
struct Format {
    name: &'static str,
    write: Write,
}

/// What a format is made of: one file, whose usual name is told too, or a directory of files.
#[derive(Clone, Copy, Debug)]
enum Write {
    File(fn(&Subject<'_>) -> (String, Vec<u8>)),
    Directory(fn(&Subject<'_>) -> Files),
}

/// Paths and bytes.
type Files = Vec<(String, Vec<u8>)>;

/// Every format.
const FORMATS: &[Format] = &[
    Format { name: "jsonl", write: Write::File(jsonl) },
    Format { name: "md", write: Write::File(md) },
    Format { name: codeloops::NAME, write: Write::File(to_codeloops) },
    Format { name: intendant::NAME, write: Write::Directory(to_intendant) },
];

const NAMES: &[&str] = &names();

const fn names() -> [&'static str; FORMATS.len()] {
    let mut names = [""; FORMATS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = FORMATS[at].name;
        at += 1;
    }
    names
}

/// The session that is written.
struct Subject<'a> {
    library: &'a Library,
    session: &'a Session,
    events: Vec<Event>,
    raw: bool,
}

fn run(args: Args, global: &Global) -> Result<u8> {
    let format = args.format.ok_or_else(|| Error::usage("missing FORMAT"))?;
    let library = Library::open(&home::dir(global)?)?;
    let session = library.find(args.id.as_deref())?;
    let events = library.events(&session);
    let events = if args.raw { events } else { events.into_iter().map(masked).collect() };
    let subject = Subject { library: &library, session: &session, events, raw: args.raw };
    let output = args.output.as_deref().map(Path::new);
    match (format.write, output) {
        (Write::File(write), None) => print(write(&subject).1)?,
        (Write::File(write), Some(path)) => {
            let (name, bytes) = write(&subject);
            let path = if path.is_dir() { path.join(name) } else { path.to_owned() };
            put(&path, &bytes)?;
            print(format!("Wrote {} to {}\n", line::size(bytes.len() as u64), path.display()))?;
        }
        (Write::Directory(_), None) => {
            return Err(Error::usage(format!("{} is a directory of files", format.name))
                .with_hint(format!("name one: il export {} -o DIR", format.name)));
        }
        (Write::Directory(write), Some(dir)) => directory(dir, write(&subject))?,
    }
    Ok(0)
}

/// Writes files into a directory that is new or empty: what is there is nobody's to replace.
fn directory(dir: &Path, files: Files) -> Result<()> {
    let failed = |e: std::io::Error| Error::io(format!("cannot write {}", dir.display()), &e);
    fs::create_dir_all(dir).map_err(failed)?;
    if fs::read_dir(dir).map_err(failed)?.next().is_some() {
        return Err(Error::failed(format!("cannot write {}", dir.display()))
            .why("the directory is not empty")
            .with_hint("name one that is, or that is not there yet"));
    }
    let mut sum = 0;
    for (name, bytes) in &files {
        // Names come from what was imported: none may lead out of the directory.
        let inside = Path::new(name).components().all(|c| matches!(c, Component::Normal(_)));
        if !inside || name.is_empty() {
            return Err(Error::failed(format!("cannot write {}", line::clean(name)))
                .why("it lies outside of the directory"));
        }
        let path = dir.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        put(&path, bytes)?;
        sum += bytes.len() as u64;
    }
    let count = files.len();
    print(format!("Wrote {count} files, {}, to {}\n", line::size(sum), dir.display()))
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|e| Error::io(format!("cannot write {}", path.display()), &e))
}

fn jsonl(subject: &Subject<'_>) -> (String, Vec<u8>) {
    let mut out = String::new();
    subject.events.iter().for_each(|event| event.write_line(&mut out));
    (format!("{}.jsonl", subject.session.id), out.into_bytes())
}

fn md(subject: &Subject<'_>) -> (String, Vec<u8>) {
    let session = subject.session;
    let meta = &session.meta;
    let fact = |name: &str, value: String| (name.to_owned(), value);
    let mut facts = vec![
        fact("Session", session.id.to_string()),
        fact("Status", session.status.name().to_owned()),
        fact("Started", meta.started.local()),
    ];
    if let Some(ending) = &meta.ending {
        facts.push(fact("Ended", ending.ended.local()));
    }
    match &meta.imported {
        Some(imported) => facts.push(fact("Imported from", imported.format.clone())),
        None => facts.push(fact("Command", line::words(&meta.argv))),
    }
    if let Some(cwd) = &meta.cwd {
        facts.push(fact("Directory", cwd.to_string_lossy().into_owned()));
    }
    let head = Head {
        title: meta.name.clone().unwrap_or_else(|| session.id.to_string()),
        facts,
        intent: meta.intent.as_ref().map(|i| i.title.clone().unwrap_or_else(|| i.id.clone())),
        resume: None,
    };
    let view = View { offset_s: meta.started.offset_s, abandoned: false };
    let mut text = markdown::report(&head, &subject.events, &view);
    let talk = markdown::conversation(&subject.events, &view);
    if !talk.is_empty() {
        text.push_str(&format!("\n{talk}"));
    }
    let text = if subject.raw { text } else { mask::mask(&text).into_owned() };
    (format!("{}.md", session.id), text.into_bytes())
}

fn to_codeloops(subject: &Subject<'_>) -> (String, Vec<u8>) {
    let prompt = subject.events.iter().find_map(|event| match &event.body {
        Body::UserMessage(message) => Some(message.text.as_str()),
        _ => None,
    });
    let name = codeloops::file_name(subject.session.meta.started, prompt.unwrap_or_default());
    (name, codeloops::write(&subject.events).into_bytes())
}

fn to_intendant(subject: &Subject<'_>) -> Files {
    let streams = match subject.session.meta.imported {
        Some(_) => subject.library.natives(subject.session),
        None => BTreeMap::new(),
    };
    let native = |place: &Evidence| {
        let (from, len) = (usize::try_from(place.offset).ok()?, usize::try_from(place.len).ok()?);
        let bytes = streams.get(&place.stream)?.get(from..from.checked_add(len)?)?.to_vec();
        Some(if subject.raw { bytes } else { without_secrets_in(bytes) })
    };
    intendant::write(&subject.events, &native)
}

/// The event without its secrets. They are looked for in every text by itself: lengths and spans
/// that a format states are then those of what it shows.
fn masked(event: Event) -> Event {
    let mut line = String::new();
    event.write_line(&mut line);
    let Ok(value) = json::parse_lossy(line.as_bytes()) else { return event };
    let text = without_secrets(value).to_string();
    Event::parse_line(text.as_bytes()).unwrap_or(event)
}

/// The file without its secrets. JSON is taken apart, for its escapes hide shapes; what is neither
/// JSON nor text stays as it is.
fn without_secrets_in(bytes: Vec<u8>) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(&bytes) else { return bytes };
    let of_json = |text: &str| {
        let value = json::parse(text.as_bytes()).ok()?;
        let masked = without_secrets(value.clone());
        Some(if masked == value { text.to_owned() } else { masked.to_string() })
    };
    let masked = of_json(text).unwrap_or_else(|| {
        let lines = text.split_inclusive('\n');
        lines
            .map(|line| {
                let (line, end) = line.strip_suffix('\n').map_or((line, ""), |l| (l, "\n"));
                of_json(line).unwrap_or_else(|| line.to_owned()) + end
            })
            .collect()
    });
    mask::mask(&masked).into_owned().into_bytes()
}

fn without_secrets(value: Value) -> Value {
    match value {
        Value::String(text) => mask::mask(&text).into_owned().into(),
        Value::Array(items) => Value::Array(items.into_iter().map(without_secrets).collect()),
        Value::Object(object) => {
            let members = object.iter().map(|(n, v)| (n, without_secrets(v.clone())));
            Value::Object(members.collect::<Object>())
        }
        other => other,
    }
}
