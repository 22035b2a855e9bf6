//! What is known of a session besides its bytes, and the JSON it is kept as.
//!
//! One JSON object, written when the session begins and once more when it ends; the last one
//! holds. Words that are not UTF-8 are kept with U+FFFD in the text and, beside it, exactly, in
//! hexadecimal (`argv_hex`, `cwd_hex`).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::{Derived, SessionId, Status};
use crate::json::{ObjectWriter, View, write_object};
use crate::time::WallTime;

/// What a session serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intent {
    /// Its id.
    pub id: String,
    /// Its title, if it has one.
    pub title: Option<String>,
}

/// The repository a session began in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repository {
    /// The top of the work tree.
    pub root: OsString,
    /// The branch, without `refs/heads/`; None when HEAD is detached.
    pub branch: Option<String>,
    /// The commit, in hexadecimal; None before the first one.
    pub head: Option<String>,
}

/// A window's size in cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSize {
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
}

/// How a session ended, and what was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// When, by the wall clock.
    pub ended: WallTime,
    /// Microseconds from begin to end, the machine's suspension left out.
    pub duration_us: u64,
    /// The command's status, if it ended by exit.
    pub exit_code: Option<u8>,
    /// The signal the command died of, without `SIG`.
    pub signal: Option<String>,
    /// Why the command was not executed, if it was not.
    pub not_executed: Option<String>,
    /// Our terminal went away.
    pub terminal_closed: bool,
    /// Bytes the command wrote.
    pub bytes_out: u64,
    /// Bytes typed, or read on the command's behalf.
    pub bytes_in: u64,
    /// Times that writing to the store took longer than a tenth of a second.
    pub stalls: u64,
    /// Stretches of time in which nothing could be kept.
    pub gaps: u64,
    /// Bytes that were not kept.
    pub bytes_dropped: u64,
}

/// A file of an imported session, and where its bytes are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportedFile {
    /// Its path in the session's directory, or its name.
    pub path: String,
    /// The stream that has its bytes: `native/0`, …
    pub stream: String,
    /// Its first byte in the stream.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
}

/// Where an imported session comes from, and what its own program says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The format.
    pub format: String,
    /// The path it was read from.
    pub from: String,
    /// How it ended; None where its program did not write that down.
    pub status: Option<Status>,
    /// The agent that worked.
    pub agent: Option<String>,
    /// Its program's own id of it.
    pub native_id: Option<String>,
    /// What was asked for first.
    pub prompt: Option<String>,
    /// Its files.
    pub files: Vec<ImportedFile>,
}

/// What is known of a session besides its bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meta {
    /// The session's id.
    pub id: Option<SessionId>,
    /// The command, word for word.
    pub argv: Vec<OsString>,
    /// The directory it was started in.
    pub cwd: Option<OsString>,
    /// When it began.
    pub started: WallTime,
    /// The title a person gave it.
    pub name: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// The intent it serves.
    pub intent: Option<Intent>,
    /// The session inside which it was started.
    pub parent: Option<String>,
    /// The session it goes on from.
    pub resumed_from: Option<String>,
    /// The window's size at the start; None without a terminal.
    pub size: Option<WindowSize>,
    /// The value of TERM.
    pub term: Option<String>,
    /// The machine's name.
    pub host: Option<String>,
    /// The user's name.
    pub user: Option<String>,
    /// The version of il that recorded it.
    pub il_version: Option<String>,
    /// The repository it began in.
    pub repository: Option<Repository>,
    /// Where it comes from, if il did not record it.
    pub imported: Option<Imported>,
    /// A person asked that it be never removed.
    pub pinned: bool,
    /// How it ended; None while it runs or when the recorder was killed.
    pub ending: Option<Ending>,
    /// The process that will say what was read out of the recording.
    pub deriver: Option<i32>,
    /// What was read out of the recording.
    pub derived: Option<Derived>,
}

impl Meta {
    /// The last component of the repository's root; of an imported session, that of the directory
    /// it worked in.
    pub fn project(&self) -> Option<String> {
        let imported = || self.imported.as_ref().and(self.cwd.as_ref());
        let root = self.repository.as_ref().map(|r| &r.root).or_else(imported)?;
        Some(Path::new(root).file_name()?.to_string_lossy().into_owned())
    }

    /// Where it began: the root of the repository, or the directory if that is in none.
    pub fn place(&self) -> Option<&OsStr> {
        let root = self.repository.as_ref().map(|repository| repository.root.as_os_str());
        root.or(self.cwd.as_deref())
    }

    /// As the JSON object that is kept in the `meta` stream.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        write_object(&mut out, |o| self.write(o));
        out
    }

    /// Writes the members of that object.
    pub fn write(&self, o: &mut ObjectWriter<'_>) {
        o.int("v", 1);
        if let Some(id) = self.id {
            o.string("id", &id.to_string());
        }
        self.write_start(o);
        if self.pinned {
            o.bool("pinned", true);
        }
        self.write_end(o);
        o.int_opt("deriver", self.deriver);
        if let Some(derived) = &self.derived {
            o.object("derived", |o| derived.write(o));
        }
    }

    /// Writes what was known when the session began.
    pub fn write_start(&self, o: &mut ObjectWriter<'_>) {
        o.array("argv", |a| self.argv.iter().for_each(|word| a.string(&word.to_string_lossy())));
        if self.argv.iter().any(|word| word.to_str().is_none()) {
            o.array("argv_hex", |a| self.argv.iter().for_each(|word| a.string(&hex(word))));
        }
        if let Some(cwd) = &self.cwd {
            write_path(o, "cwd", cwd);
        }
        o.string("started", &self.started.rfc3339());
        o.int("started_us", self.started.unix_us);
        o.string_opt("name", self.name.as_deref());
        if !self.tags.is_empty() {
            o.array("tags", |a| self.tags.iter().for_each(|tag| a.string(tag)));
        }
        if let Some(intent) = &self.intent {
            o.object("intent", |o| {
                o.string("id", &intent.id);
                o.string_opt("title", intent.title.as_deref());
            });
        }
        o.string_opt("parent", self.parent.as_deref());
        o.string_opt("resumed_from", self.resumed_from.as_deref());
        if self.size.is_some() || self.term.is_some() {
            o.object("terminal", |o| {
                o.int_opt("cols", self.size.map(|s| s.cols));
                o.int_opt("rows", self.size.map(|s| s.rows));
                o.string_opt("term", self.term.as_deref());
            });
        }
        o.string_opt("host", self.host.as_deref());
        o.string_opt("user", self.user.as_deref());
        o.string_opt("il_version", self.il_version.as_deref());
        if let Some(repository) = &self.repository {
            o.object("repository", |o| {
                write_path(o, "root", &repository.root);
                o.string_opt("branch", repository.branch.as_deref());
                o.string_opt("head", repository.head.as_deref());
            });
        }
        if let Some(imported) = &self.imported {
            o.object("imported", |o| imported.write(o));
        }
    }

    /// Writes what was known when it had ended, if it has.
    pub fn write_end(&self, o: &mut ObjectWriter<'_>) {
        if let Some(ending) = &self.ending {
            ending.write(o);
        }
    }

    /// Reads what [`Meta::to_json`] wrote; what is missing or of another type is unknown.
    pub fn from_json(value: View<'_>) -> Meta {
        let text = |name: &str| value.str_at(name).map(str::to_owned);
        let started = wall_time(value, "started", "started_us").unwrap_or_default();
        let argv = match value.get("argv_hex") {
            Some(words) => words.items().filter_map(|w| unhex(w.as_str()?)).collect(),
            None => items(value, "argv").filter_map(|w| w.as_str().map(OsString::from)).collect(),
        };
        let size = |name: &str| {
            value
                .path(&["terminal", name])
                .and_then(View::as_u64)
                .and_then(|n| u16::try_from(n).ok())
        };
        Meta {
            id: value.str_at("id").and_then(SessionId::parse),
            argv,
            cwd: read_path(value, "cwd"),
            started,
            name: text("name"),
            tags: items(value, "tags").filter_map(|t| t.as_str().map(str::to_owned)).collect(),
            intent: value.get("intent").and_then(|intent| {
                let title = intent.str_at("title").map(str::to_owned);
                Some(Intent { id: intent.str_at("id")?.to_owned(), title })
            }),
            parent: text("parent"),
            resumed_from: text("resumed_from"),
            size: size("cols").zip(size("rows")).map(|(cols, rows)| WindowSize { cols, rows }),
            term: value.path(&["terminal", "term"]).and_then(View::as_str).map(str::to_owned),
            host: text("host"),
            user: text("user"),
            il_version: text("il_version"),
            repository: value.get("repository").and_then(|repository| {
                Some(Repository {
                    root: read_path(repository, "root")?,
                    branch: repository.str_at("branch").map(str::to_owned),
                    head: repository.str_at("head").map(str::to_owned),
                })
            }),
            imported: value.get("imported").and_then(Imported::from_json),
            pinned: value.is_true_at("pinned"),
            ending: Ending::from_json(value),
            deriver: value.u64_at("deriver").and_then(|pid| i32::try_from(pid).ok()),
            derived: value.get("derived").map(Derived::from_json),
        }
    }
}

impl Imported {
    fn write(&self, o: &mut ObjectWriter<'_>) {
        o.string("format", &self.format);
        o.string("from", &self.from);
        o.string_opt("status", self.status.map(Status::name));
        o.string_opt("agent", self.agent.as_deref());
        o.string_opt("native_id", self.native_id.as_deref());
        o.string_opt("prompt", self.prompt.as_deref());
        o.array("files", |a| {
            for file in &self.files {
                a.object(|o| {
                    o.string("path", &file.path);
                    o.string("stream", &file.stream);
                    o.int("off", file.offset);
                    o.int("len", file.len);
                });
            }
        });
    }

    fn from_json(value: View<'_>) -> Option<Imported> {
        let text = |name: &str| value.str_at(name).map(str::to_owned);
        let file = |file: View<'_>| {
            Some(ImportedFile {
                path: file.str_at("path")?.to_owned(),
                stream: file.str_at("stream")?.to_owned(),
                offset: file.u64_at("off")?,
                len: file.u64_at("len")?,
            })
        };
        Some(Imported {
            format: text("format")?,
            from: text("from").unwrap_or_default(),
            status: value.str_at("status").and_then(Status::from_name),
            agent: text("agent"),
            native_id: text("native_id"),
            prompt: text("prompt"),
            files: items(value, "files").filter_map(file).collect(),
        })
    }
}

impl Ending {
    fn write(&self, o: &mut ObjectWriter<'_>) {
        o.string("ended", &self.ended.rfc3339());
        o.int("ended_us", self.ended.unix_us);
        o.int("duration_us", self.duration_us);
        o.int_opt("exit_code", self.exit_code);
        o.string_opt("signal", self.signal.as_deref());
        o.string_opt("not_executed", self.not_executed.as_deref());
        if self.terminal_closed {
            o.bool("terminal_closed", true);
        }
        o.int("bytes_out", self.bytes_out);
        o.int("bytes_in", self.bytes_in);
        o.int("stalls", self.stalls);
        o.int("gaps", self.gaps);
        o.int("bytes_dropped", self.bytes_dropped);
    }

    fn from_json(value: View<'_>) -> Option<Ending> {
        let count = |name: &str| value.u64_at(name).unwrap_or(0);
        Some(Ending {
            ended: wall_time(value, "ended", "ended_us")?,
            duration_us: count("duration_us"),
            exit_code: value.u64_at("exit_code").and_then(|n| u8::try_from(n).ok()),
            signal: value.str_at("signal").map(str::to_owned),
            not_executed: value.str_at("not_executed").map(str::to_owned),
            terminal_closed: value.is_true_at("terminal_closed"),
            bytes_out: count("bytes_out"),
            bytes_in: count("bytes_in"),
            stalls: count("stalls"),
            gaps: count("gaps"),
            bytes_dropped: count("bytes_dropped"),
        })
    }
}

/// The exact microseconds stand beside the text, which is cut to milliseconds but has the offset.
fn wall_time(value: View<'_>, text: &str, us: &str) -> Option<WallTime> {
    let time = WallTime::parse_rfc3339(value.str_at(text)?)?;
    let unix_us = value.get(us).and_then(View::as_i64).unwrap_or(time.unix_us);
    Some(WallTime { unix_us, ..time })
}

/// The elements of the array member `name`.
fn items<'a>(value: View<'a>, name: &str) -> impl Iterator<Item = View<'a>> {
    value.get(name).unwrap_or(View::NULL).items()
}

fn write_path(o: &mut ObjectWriter<'_>, name: &str, path: &OsStr) {
    o.string(name, &path.to_string_lossy());
    if path.to_str().is_none() {
        o.string(&format!("{name}_hex"), &hex(path));
    }
}

fn read_path(value: View<'_>, name: &str) -> Option<OsString> {
    match value.str_at(&format!("{name}_hex")) {
        Some(exact) => unhex(exact),
        None => value.str_at(name).map(OsString::from),
    }
}

fn hex(word: &OsStr) -> String {
    word.as_bytes().iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<OsString> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    let digits = digits.filter(|d| d.len() % 2 == 0)?;
    Some(OsString::from_vec(digits.chunks_exact(2).map(|d| d[0] << 4 | d[1]).collect()))
}

#[cfg(test)]
mod tests {
    use super::super::NativeFile;
    use super::*;
    use crate::event::{Counts, Friction};

    #[test]
    fn meta_reads_back_what_it_writes_bytes_that_are_no_text_included() {
        let time = WallTime { unix_us: 1_780_000_000_123_456, offset_s: 7200 };
        let full = Meta {
            id: Some(SessionId([7; 16])),
            argv: vec!["claude".into(), OsString::from_vec(vec![b'x', 0xff, b'"'])],
            cwd: Some(OsString::from_vec(b"/home/\xe9".to_vec())),
            started: time,
            name: Some("a \u{1b} name".into()),
            tags: vec!["one".into(), "two".into()],
            intent: Some(Intent { id: "auth-jwt-001".into(), title: Some("Login".into()) }),
            parent: Some("p".into()),
            resumed_from: Some("r".into()),
            size: Some(WindowSize { cols: 65535, rows: 1 }),
            term: Some("xterm".into()),
            host: Some("h".into()),
            user: Some("u".into()),
            il_version: Some("0".into()),
            repository: Some(Repository {
                root: "/r".into(),
                branch: Some("main".into()),
                head: None,
            }),
            imported: Some(Imported {
                format: "intendant".into(),
                from: "/logs/x".into(),
                status: Some(Status::MaxIterationsReached),
                agent: Some("a".into()),
                native_id: Some("n".into()),
                prompt: Some("Do\nit".into()),
                files: vec![ImportedFile {
                    path: "turns/x".into(),
                    stream: "native/1".into(),
                    offset: 3,
                    len: 4,
                }],
            }),
            pinned: true,
            ending: Some(Ending {
                ended: time.plus_us(5),
                duration_us: 5,
                exit_code: Some(255),
                signal: Some("INT".into()),
                not_executed: Some("No such file or directory".into()),
                terminal_closed: true,
                bytes_out: 1,
                bytes_in: 2,
                stalls: 3,
                gaps: 4,
                bytes_dropped: u64::MAX,
            }),
            deriver: Some(7),
            derived: Some(Derived {
                version: 1,
                source: "transcript".into(),
                agent: Some("claude".into()),
                agent_version: Some("2".into()),
                native_session: Some("n".into()),
                model: Some("m".into()),
                title: Some("t".into()),
                prompt: Some("Do".into()),
                conf: 0.5,
                reasons: vec!["same directory".into()],
                rivals: vec!["other".into()],
                files: vec![NativeFile {
                    stream: "native/0".into(),
                    path: "/a".into(),
                    start_len: Some(0),
                }],
                broken: 1,
                counts: Counts { turns: 3, requests: 9, ..Counts::default() },
                cost_microusd: Some(5),
                split_ms: [1, 2, 3],
                friction: Some(Friction { rejected: 1, nudges: 2, first_try: Some(false) }),
            }),
        };
        for meta in [full, Meta::default()] {
            let json = meta.to_json();
            assert_eq!(crate::json::look(json.as_bytes(), Meta::from_json).expect(&json), meta);
        }
    }

    #[test]
    fn meta_of_another_shape_is_unknown_rather_than_an_error() {
        for json in
            ["[]", "{\"argv\":3,\"started\":\"x\",\"terminal\":{\"cols\":70000,\"rows\":1}}"]
        {
            let meta = crate::json::look(json.as_bytes(), Meta::from_json).expect(json);
            assert_eq!(meta, Meta::default());
        }
    }
}
