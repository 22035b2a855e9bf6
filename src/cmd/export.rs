//! `il export`: a session in a format that other programs read.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Component, Path};

use super::{home, moment, print, screen};
use crate::cli::{Command, Flag, Global, Hint, Operand, Operands};
use crate::error::{Error, Result};
use crate::event::{Body, Event, Evidence};
use crate::format::markdown::{Head, Report, Talk};
use crate::format::mask::{self, Mask};
use crate::format::recording::{Action, Header, OwnedAction, TimedAction};
use crate::format::text::View;
use crate::format::{cast, censor, codeloops, html, intendant, line, script, svg, text};
use crate::json::{self, Object, Value};
use crate::library::{Library, Mark, Session, Step};
use crate::term::transcript::{self, Transcript};
use crate::term::{Options, Terminal};

/// `il export FORMAT [ID] [-o PATH] [--input] [--at TIME] [--raw]`.
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
        Flag::switch("input", "Write also what was typed", |args: &mut Args| args.input = true),
        Flag::value(
            "at",
            "TIME",
            "Screen at TIME, not the last (svg)",
            |args: &mut Args, value| {
                args.at = Some(value.into_string().map_err(|_| "not a time")?);
                Ok(())
            },
        ),
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
    input: bool,
    at: Option<String>,
    raw: bool,
}

/// A format that sessions are written in.
#[derive(Debug)]
struct Format {
    name: &'static str,
    /// It shows what went over a terminal.
    of_terminal: bool,
    write: Write,
}

/// What a format is made of: one file, whose usual name is told too; one file of this extension
/// that is written bit by bit, however long; or a directory of files.
#[derive(Clone, Copy, Debug)]
enum Write {
    File(fn(&Subject<'_>) -> (String, Vec<u8>)),
    Stream(&'static str, fn(&Subject<'_>, &mut dyn io::Write) -> io::Result<()>),
    Directory(fn(&Subject<'_>) -> Files),
}

/// Columns of a prompt that say which turn it began.
const LABEL_COLUMNS: usize = 60;

/// Paths and bytes.
type Files = Vec<(String, Vec<u8>)>;

/// Every format.
const FORMATS: &[Format] = &[
    Format { name: "cast", of_terminal: true, write: Write::Stream("cast", cast3) },
    Format { name: "cast2", of_terminal: true, write: Write::Stream("cast", cast2) },
    Format { name: "script", of_terminal: true, write: Write::Directory(to_script) },
    Format { name: "html", of_terminal: true, write: Write::File(to_html) },
    Format { name: "svg", of_terminal: true, write: Write::File(to_svg) },
    Format { name: "txt", of_terminal: true, write: Write::Stream("txt", txt) },
    Format { name: "jsonl", of_terminal: false, write: Write::Stream("jsonl", jsonl) },
    Format { name: "md", of_terminal: false, write: Write::Stream("md", md) },
    Format { name: codeloops::NAME, of_terminal: false, write: Write::File(to_codeloops) },
    Format { name: intendant::NAME, of_terminal: false, write: Write::Directory(to_intendant) },
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
    raw: bool,
    input: bool,
    /// The moment of a screen.
    at_us: u64,
}

fn run(args: Args, global: &Global) -> Result<u8> {
    let format = args.format.ok_or_else(|| Error::usage("missing FORMAT"))?;
    let library = Library::open(&home::dir(global)?)?;
    let session = library.find(args.id.as_deref())?;
    let at_us = match &args.at {
        None => u64::MAX,
        Some(_) if format.name != "svg" => {
            return Err(Error::usage("--at goes with svg alone"));
        }
        Some(text) => moment::parse(text, &library, &session)?,
    };
    let (library, session) = (&library, &session);
    let (raw, input) = (args.raw, args.input);
    let subject = Subject { library, session, raw, input, at_us };
    if format.of_terminal && subject.is_empty() {
        return Err(Error::failed(format!("cannot export {}", format.name))
            .why("nothing was recorded of a terminal")
            .with_hint("'il export md' writes the conversation"));
    }
    let output = args.output.as_deref().map(Path::new);
    match (format.write, output) {
        (Write::File(write), None) => print(write(&subject).1)?,
        (Write::File(write), Some(path)) => {
            let (name, bytes) = write(&subject);
            let path = if path.is_dir() { path.join(name) } else { path.to_owned() };
            put(&path, &bytes)?;
            print(format!("Wrote {} to {}\n", line::size(bytes.len() as u64), path.display()))?;
        }
        (Write::Stream(_, write), None) => {
            let mut out = BufWriter::with_capacity(screen::PIECE_LEN, io::stdout().lock());
            write(&subject, &mut out)
                .and_then(|()| out.flush())
                .map_err(|e| Error::io("cannot write to standard output", &e))?;
        }
        (Write::Stream(extension, write), Some(path)) => {
            let path = match path.is_dir() {
                true => path.join(format!("{}.{extension}", session.id)),
                false => path.to_owned(),
            };
            let failed = |e: io::Error| Error::io(format!("cannot write {}", path.display()), &e);
            let mut out = BufWriter::new(File::create(&path).map_err(failed)?);
            write(&subject, &mut out).and_then(|()| out.flush()).map_err(failed)?;
            let len = out.get_ref().metadata().map_err(failed)?.len();
            print(format!("Wrote {} to {}\n", line::size(len), path.display()))?;
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

impl Subject<'_> {
    /// Whether nothing happened on a terminal: the session was told, not recorded.
    fn is_empty(&self) -> bool {
        self.session.meta.imported.is_some() && self.library.replay(self.session).is_at_end()
    }

    /// Hands over the session's events without secrets, one by one.
    fn each_event(&self, take: &mut dyn FnMut(Event)) {
        let mut mask = Mask::default();
        self.library.each_event(self.session, &|_| true, &mut |mut event| match self.raw {
            true => take(event),
            false => {
                mask.said(&mut event);
                take(masked(event));
            }
        });
    }

    /// The same, all at once.
    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        self.each_event(&mut |event| events.push(event));
        events
    }

    /// What the recording's file says at its head.
    fn header(&self) -> Header {
        let header = self.session.header();
        let shown = |text: Option<String>| {
            text.map(|text| if self.raw { text } else { mask::mask(&text).into_owned() })
        };
        Header { command: shown(header.command), title: shown(header.title), ..header }
    }

    /// Hands over the session's actions, turns and what was marked among them as markers, without
    /// secrets.
    fn actions<E>(
        &self,
        pass: &mut impl FnMut(TimedAction<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut censor = (!self.raw).then(censor::Censor::default);
        let mut take = |action: TimedAction<'_>| match &mut censor {
            Some(censor) => censor.push(action, pass),
            None => pass(action),
        };
        let marks = self.library.marks(self.session);
        let mut added = marks.iter().filter(|mark| !mark.is_action).peekable();
        let mut replay = self.library.replay(self.session);
        while let Step::Action((time_us, action)) = replay.next() {
            while let Some(mark) = added.next_if(|mark| mark.t_us <= time_us) {
                take((mark.t_us, Action::Marker(&label(mark))))?;
            }
            match action {
                // A terminal would have put the carriage returns.
                Action::Output(bytes) if self.session.is_plain() => {
                    let mut text = Vec::with_capacity(bytes.len() + bytes.len() / 16);
                    for b in bytes {
                        text.extend_from_slice(if *b == b'\n' {
                            b"\r\n"
                        } else {
                            std::slice::from_ref(b)
                        });
                    }
                    take((time_us, Action::Output(&text)))?;
                }
                action => take((time_us, action))?,
            }
        }
        match censor {
            Some(censor) => censor.finish(pass),
            None => Ok(()),
        }
    }

    /// The same, all at once.
    fn all_actions(&self) -> Vec<(u64, OwnedAction)> {
        let mut all = Vec::new();
        let _ = self.actions(&mut |(time_us, action)| {
            all.push((time_us, action.to_owned()));
            Ok::<(), std::convert::Infallible>(())
        });
        all
    }
}

fn label(mark: &Mark) -> String {
    let label = line::cut(&line::clean(text::first_line(&mark.label).trim()), LABEL_COLUMNS);
    let Some(turn) = mark.turn else { return label };
    let colon = if label.is_empty() { "" } else { ": " };
    format!("turn {turn}{colon}{label}")
}

fn cast3(subject: &Subject<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    to_cast(cast::Version::V3, subject, out)
}

fn cast2(subject: &Subject<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    to_cast(cast::Version::V2, subject, out)
}

fn to_cast(
    version: cast::Version,
    subject: &Subject<'_>,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let mut text = String::new();
    let mut writer = cast::Writer::new(version, &subject.header(), subject.input, &mut text);
    out.write_all(text.as_bytes())?;
    subject.actions(&mut |action| {
        text.clear();
        writer.push(action, &mut text);
        out.write_all(text.as_bytes())
    })
}

fn to_script(subject: &Subject<'_>) -> Files {
    let actions = subject.all_actions();
    let actions = actions.iter().map(|(time_us, action)| (*time_us, action.borrow()));
    let files = script::write(&subject.header(), subject.input, actions);
    let mut all = vec![
        ("typescript".to_owned(), files.output),
        ("timing".to_owned(), files.timing.into_bytes()),
    ];
    all.extend(files.input.map(|input| ("input".to_owned(), input)));
    all
}

fn to_html(subject: &Subject<'_>) -> (String, Vec<u8>) {
    let actions = subject.all_actions();
    let actions = actions.iter().map(|(time_us, action)| (*time_us, action.borrow()));
    let page = html::page(&subject.header(), actions, !subject.raw);
    (format!("{}.html", subject.session.id), page.into_bytes())
}

fn to_svg(subject: &Subject<'_>) -> (String, Vec<u8>) {
    let mut terminal = Terminal::new(subject.session.size(), Options::default());
    let _ = subject.actions(&mut |(time_us, action)| {
        let wanted = time_us <= subject.at_us;
        wanted.then(|| action.show_on(&mut terminal)).ok_or(())
    });
    let svg = svg::screen(terminal.screen(), !subject.raw);
    (format!("{}.svg", subject.session.id), svg.into_bytes())
}

/// The settled text.
fn txt(subject: &Subject<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let mut transcript = Transcript::new(subject.session.size(), Options::default());
    let mut masks = Mask::default();
    let mut put = |lines: &[transcript::Line]| {
        let text = transcript::text(lines, false);
        let text = if subject.raw { text.into() } else { masks.next(&text) };
        out.write_all(text.as_bytes())
    };
    let mut end_us = 0;
    subject.actions(&mut |(time_us, action)| {
        end_us = time_us;
        match action {
            Action::Output(bytes) => transcript.feed(time_us, bytes),
            Action::Resize(size) => transcript.resize(time_us, size),
            _ => {}
        }
        put(&transcript.take_lines())
    })?;
    put(&transcript.finish(end_us))
}

fn jsonl(subject: &Subject<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let mut put = Put::to(out);
    let mut line = String::new();
    subject.each_event(&mut |event| {
        line.clear();
        event.write_line(&mut line);
        put.add(&line);
    });
    put.result
}

/// Text that is written in pieces, up to the first error.
struct Put<'a> {
    out: &'a mut dyn io::Write,
    result: io::Result<()>,
}

impl Put<'_> {
    fn to(out: &mut dyn io::Write) -> Put<'_> {
        Put { out, result: Ok(()) }
    }

    fn add(&mut self, text: &str) {
        if self.result.is_ok() {
            self.result = self.out.write_all(text.as_bytes());
        }
    }
}

fn md(subject: &Subject<'_>, out: &mut dyn io::Write) -> io::Result<()> {
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
        title: meta.name.clone(),
        directory: session.directory(),
        facts,
        intent: meta.intent.as_ref().map(|i| i.title.clone().unwrap_or_else(|| i.id.clone())),
        resume: None,
    };
    let view = View { offset_s: meta.started.offset_s, ..View::default() };
    let mut report = Report::new(view);
    subject.each_event(&mut |event| report.add(&event));
    let mut talk = Talk::new(report.turns(), view).within(&head.directory);
    let mut put = Put::to(out);
    let mut masks = Mask::default();
    let mut tell = |text: &str| match subject.raw {
        true => put.add(text),
        false => put.add(&masks.next(text)),
    };
    tell(&report.finish(&head));
    let mut text = String::new();
    let mut before = "\n";
    subject.each_event(&mut |event| {
        talk.add(&event, &mut text);
        if !text.is_empty() {
            tell(std::mem::take(&mut before));
            tell(&std::mem::take(&mut text));
        }
    });
    put.result
}

fn to_codeloops(subject: &Subject<'_>) -> (String, Vec<u8>) {
    let events = subject.events();
    let prompt = events.iter().find_map(|event| match &event.body {
        Body::UserMessage(message) => Some(message.text.as_str()),
        _ => None,
    });
    let name = codeloops::file_name(subject.session.meta.started, prompt.unwrap_or_default());
    (name, codeloops::write(&events).into_bytes())
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
    intendant::write(&subject.events(), &native)
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
