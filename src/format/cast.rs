//! asciicast: writing v3 and v2 as asciinema 3 writes them, byte for byte; reading v1, v2 and v3.
//!
//! v3: a header line, then a line an event, `[interval, "code", "data"]`, intervals in seconds to
//! the millisecond, their rounding error carried on. v2: times since the start, to the
//! microsecond. v1: one object. Codes: o output, i input, r resize, m marker, x exit.

use super::recording::{Action, Header, OwnedAction, Recording, TimedAction};
use crate::json::{self, Value, write_object, write_string};
use crate::term::Size;
use std::fmt::Write;

/// The versions that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// asciinema 2.
    V2,
    /// asciinema 3.
    V3,
}

/// Turns events into the lines of a cast.
#[derive(Clone, Debug)]
pub struct Writer {
    version: Version,
    /// Write also what was typed.
    input: bool,
    size: Size,
    last_us: u64,
    error_us: i64,
    output_tail: Vec<u8>,
    input_tail: Vec<u8>,
}

impl Writer {
    /// Begins a cast: appends its header line to `out`. What was typed is written only if `input`
    /// is set.
    pub fn new(version: Version, header: &Header, input: bool, out: &mut String) -> Writer {
        match version {
            Version::V2 => push_header_v2(header, out),
            Version::V3 => push_header_v3(header, out),
        }
        Writer {
            version,
            input,
            size: header.size,
            last_us: 0,
            error_us: 0,
            output_tail: Vec::new(),
            input_tail: Vec::new(),
        }
    }

    /// Appends the event's line, if it has one.
    pub fn push(&mut self, (time_us, action): TimedAction<'_>, out: &mut String) {
        match action {
            Action::Output(bytes) => {
                let text = decode(&mut self.output_tail, bytes);
                if !text.is_empty() {
                    self.line(time_us, 'o', &text, out);
                }
            }
            Action::Input(bytes) if self.input => {
                let text = decode(&mut self.input_tail, bytes);
                if !text.is_empty() {
                    self.line(time_us, 'i', &text, out);
                }
            }
            Action::Input(_) => {}
            Action::Resize(size) => {
                if size != self.size {
                    self.size = size;
                    self.line(time_us, 'r', &format!("{}x{}", size.cols, size.rows), out);
                }
            }
            Action::Marker(label) => self.line(time_us, 'm', label, out),
            Action::Exit(status) => self.line(time_us, 'x', &status.to_string(), out),
        }
    }

    fn line(&mut self, time_us: u64, code: char, data: &str, out: &mut String) {
        out.push('[');
        // Writing to a String cannot fail.
        let _ = match self.version {
            Version::V2 => {
                let fraction = format!("{:06}", time_us % 1_000_000);
                let fraction = fraction.trim_end_matches('0');
                let fraction = if fraction.is_empty() { "0" } else { fraction };
                write!(out, "{}.{fraction}", time_us / 1_000_000)
            }
            Version::V3 => {
                let interval = time_us.saturating_sub(self.last_us) as i64 + self.error_us;
                let ms = (interval + 500).div_euclid(1000).max(0);
                self.error_us = interval - ms * 1000;
                self.last_us = time_us.max(self.last_us);
                write!(out, "{}.{:03}", ms / 1000, ms % 1000)
            }
        };
        let _ = write!(out, ", \"{code}\", ");
        write_string(data, out);
        out.push_str("]\n");
    }
}

/// The whole cast of a recording.
pub fn write<'a>(
    version: Version,
    header: &Header,
    input: bool,
    events: impl Iterator<Item = TimedAction<'a>>,
) -> String {
    let mut out = String::new();
    let mut writer = Writer::new(version, header, input, &mut out);
    events.for_each(|event| writer.push(event, &mut out));
    out
}

fn push_header_v3(header: &Header, out: &mut String) {
    write_object(out, |o| {
        o.int("version", 3);
        o.object("term", |o| {
            o.int("cols", header.size.cols);
            o.int("rows", header.size.rows);
            o.string_opt("type", header.term.as_deref());
        });
        o.int_opt("timestamp", header.start.map(|(seconds, _)| seconds));
        if let Some(limit) = header.idle_time_limit {
            o.float("idle_time_limit", limit);
        }
        o.string_opt("command", header.command.as_deref());
        o.string_opt("title", header.title.as_deref());
        if !header.env.is_empty() {
            o.object("env", |o| header.env.iter().for_each(|(name, value)| o.string(name, value)));
        }
    });
    out.push('\n');
}

fn push_header_v2(header: &Header, out: &mut String) {
    write_object(out, |o| {
        o.int("version", 2);
        o.int("width", header.size.cols);
        o.int("height", header.size.rows);
        o.int_opt("timestamp", header.start.map(|(seconds, _)| seconds));
        if let Some(limit) = header.idle_time_limit {
            o.float("idle_time_limit", limit);
        }
        o.string_opt("command", header.command.as_deref());
        o.string_opt("title", header.title.as_deref());
        if !header.env.is_empty() {
            o.object("env", |o| header.env.iter().for_each(|(name, value)| o.string(name, value)));
        }
    });
    out.push('\n');
}

/// The bytes as text: a character cut by the end waits in `tail`, each maximal invalid part is
/// U+FFFD.
fn decode(tail: &mut Vec<u8>, bytes: &[u8]) -> String {
    tail.extend_from_slice(bytes);
    let mut text = String::new();
    let mut rest = &tail[..];
    loop {
        match std::str::from_utf8(rest) {
            Ok(valid) => {
                text.push_str(valid);
                tail.clear();
                return text;
            }
            Err(e) => {
                let (valid, after) = rest.split_at(e.valid_up_to());
                text.push_str(std::str::from_utf8(valid).unwrap_or(""));
                let Some(len) = e.error_len() else {
                    let waiting = after.to_vec();
                    *tail = waiting;
                    return text;
                };
                text.push('\u{fffd}');
                rest = &after[len..];
            }
        }
    }
}

/// Reads a cast of any version. An error says why the header cannot be read; events that cannot
/// be are told in [`Recording::broken`], a torn last line among them.
pub fn read(bytes: &[u8]) -> Result<Recording, String> {
    let text = String::from_utf8_lossy(bytes);
    let first = text.lines().next().unwrap_or("");
    if let Ok(header) = json::parse(first.as_bytes()) {
        return match header.u64_at("version") {
            Some(3) => Ok(read_events(header_v3(&header)?, &text, Version::V3)),
            Some(2) => Ok(read_events(header_v2(&header)?, &text, Version::V2)),
            Some(1) => read_v1(&header),
            _ => Err("not an asciicast of version 1, 2 or 3".to_owned()),
        };
    }
    match json::parse(text.as_bytes()) {
        Ok(whole) if whole.u64_at("version") == Some(1) => read_v1(&whole),
        _ => Err("not an asciicast".to_owned()),
    }
}

fn size_from(cols: Option<&Value>, rows: Option<&Value>) -> Result<Size, String> {
    let side = |value: Option<&Value>| {
        value.and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0)
    };
    match (side(cols), side(rows)) {
        (Some(cols), Some(rows)) => Ok(Size { cols, rows }),
        _ => Err("the header has no size".to_owned()),
    }
}

fn header_common(value: &Value, size: Size) -> Header {
    let text = |name: &str| value.str_at(name).map(str::to_owned);
    let start = value.get("timestamp").and_then(|t| {
        t.as_i64().or_else(|| t.as_f64().map(|seconds| seconds as i64)).map(|seconds| (seconds, 0))
    });
    let env = value.get("env").and_then(Value::as_object);
    let env = env.into_iter().flat_map(|env| env.iter());
    Header {
        size,
        term: None,
        start,
        idle_time_limit: value.get("idle_time_limit").and_then(Value::as_f64),
        command: text("command"),
        title: text("title"),
        env: env
            .filter_map(|(name, value)| Some((name.to_owned(), value.as_str()?.to_owned())))
            .collect(),
    }
}

fn header_v3(value: &Value) -> Result<Header, String> {
    let size = size_from(value.path(&["term", "cols"]), value.path(&["term", "rows"]))?;
    let term = value.path(&["term", "type"]).and_then(Value::as_str).map(str::to_owned);
    Ok(Header { term, ..header_common(value, size) })
}

fn header_v2(value: &Value) -> Result<Header, String> {
    let size = size_from(value.get("width"), value.get("height"))?;
    Ok(header_common(value, size))
}

fn read_v1(value: &Value) -> Result<Recording, String> {
    let mut recording =
        Recording { header: header_v2(value)?, events: Vec::new(), broken: Vec::new() };
    let mut now_us = 0u64;
    for (i, event) in value.get("stdout").map(Value::items).unwrap_or(&[]).iter().enumerate() {
        match (event.items(), event.items().first().and_then(time_us)) {
            ([_, Value::String(text)], Some(delay_us)) => {
                now_us = now_us.saturating_add(delay_us);
                recording.events.push((now_us, OwnedAction::Output(text.as_bytes().to_vec())));
            }
            _ => recording.broken.push((i + 1, "not a delay and a text".to_owned())),
        }
    }
    Ok(recording)
}

fn read_events(header: Header, text: &str, version: Version) -> Recording {
    let mut recording = Recording { header, events: Vec::new(), broken: Vec::new() };
    let mut now_us = 0u64;
    for (i, line) in text.lines().enumerate().skip(1) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match event(line) {
            Ok((time_us, action)) => {
                now_us = match version {
                    Version::V2 => time_us.max(now_us),
                    Version::V3 => now_us.saturating_add(time_us),
                };
                recording.events.extend(action.map(|action| (now_us, action)));
            }
            Err(why) => recording.broken.push((i + 1, why)),
        }
    }
    recording
}

/// A time as written, in microseconds; finer digits are cut.
fn time_us(value: &Value) -> Option<u64> {
    let seconds = value.as_f64().filter(|s| *s >= 0.0 && *s < 1e12)?;
    // Half a nanosecond makes up for decimal fractions that binary ones fall short of.
    Some((seconds * 1e6 + 5e-4) as u64)
}

/// Time and action of an event line; no action for a code that is not known.
fn event(line: &str) -> Result<(u64, Option<OwnedAction>), String> {
    let value = json::parse(line.as_bytes()).map_err(|e| e.to_string())?;
    let [time, Value::String(code), Value::String(data)] = value.items() else {
        return Err("not a time, a code and a text".to_owned());
    };
    let time_us = time_us(time).ok_or("not a time")?;
    let action = match code.chars().next() {
        Some('o') => OwnedAction::Output(data.as_bytes().to_vec()),
        Some('i') => OwnedAction::Input(data.as_bytes().to_vec()),
        Some('r') => OwnedAction::Resize(Size::parse(data).ok_or("not a size")?),
        Some('m') => OwnedAction::Marker(data.clone()),
        Some('x') => OwnedAction::Exit(data.parse().map_err(|_| "not an exit status")?),
        _ => return Ok((time_us, None)),
    };
    Ok((time_us, Some(action)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            term: Some("xterm-256color".to_owned()),
            start: Some((1_700_000_000, 0)),
            command: Some("claude".to_owned()),
            env: vec![("SHELL".to_owned(), "/bin/bash".to_owned())],
            ..Header::new(Size::new(80, 24))
        }
    }

    /// What asciinema 3 writes.
    const V3: &str = r#"{"version":3,"term":{"cols":80,"rows":24,"type":"xterm-256color"},"timestamp":1700000000,"command":"claude","env":{"SHELL":"/bin/bash"}}
[0.012, "o", "hi\r\n\u001b[0m"]
[1.500, "r", "100x40"]
[0.000, "m", "turn 2"]
[0.250, "x", "0"]
"#;

    fn events() -> Vec<TimedAction<'static>> {
        vec![
            (12_000, Action::Output(b"hi\r\n\x1b[0m")),
            (1_512_000, Action::Resize(Size::new(100, 40))),
            (1_512_000, Action::Resize(Size::new(100, 40))),
            (1_512_000, Action::Input(b"secret")),
            (1_512_000, Action::Marker("turn 2")),
            (1_762_000, Action::Exit(0)),
        ]
    }

    #[test]
    fn v3_is_written_as_asciinema_writes_it() {
        assert_eq!(write(Version::V3, &header(), false, events().into_iter()), V3);
    }

    #[test]
    fn v2_times_are_absolute_and_short() {
        let limit = Header { idle_time_limit: Some(2.0), ..Header::new(Size::new(80, 24)) };
        let events = [
            (0, Action::Output(b"a")),
            (12_300_000, Action::Output(b"b")),
            (13_000_001, Action::Input(b"c")),
        ];
        assert_eq!(
            write(Version::V2, &limit, true, events.into_iter()),
            "{\"version\":2,\"width\":80,\"height\":24,\"idle_time_limit\":2.0}\n\
             [0.0, \"o\", \"a\"]\n[12.3, \"o\", \"b\"]\n[13.000001, \"i\", \"c\"]\n"
        );
    }

    #[test]
    fn rounding_errors_are_carried_and_do_not_add_up() {
        let events = (1..=1000).map(|n| (n * 400, Action::Marker("")));
        let cast = write(Version::V3, &header(), false, events);
        let read = read(cast.as_bytes()).expect("a cast");
        assert_eq!(read.events.len(), 1000);
        assert_eq!(read.events[999].0, 400_000);
    }

    #[test]
    fn characters_may_be_cut_between_events_and_broken_ones_are_replaced() {
        let events = [
            (0, Action::Output(b"\xe4\xb8")),
            (1000, Action::Output(b"\x96\xff\xe4")),
            (2000, Action::Output(b"x")),
        ];
        let cast = write(Version::V3, &header(), false, events.into_iter());
        let lines: Vec<&str> = cast.lines().skip(1).collect();
        assert_eq!(lines, ["[0.001, \"o\", \"世\u{fffd}\"]", "[0.001, \"o\", \"\u{fffd}x\"]"]);
    }

    #[test]
    fn what_is_written_reads_back() {
        for version in [Version::V2, Version::V3] {
            let cast = write(version, &header(), true, events().into_iter());
            let read = read(cast.as_bytes()).expect("a cast");
            assert!(read.broken.is_empty());
            assert_eq!(read.header.command.as_deref(), Some("claude"));
            let back = write(
                version,
                &Header { term: header().term, ..read.header.clone() },
                true,
                read.actions(),
            );
            assert_eq!(back, cast);
        }
    }

    #[test]
    fn torn_and_broken_lines_are_told_and_left_out() {
        let torn = format!("{V3}[0.1, \"o\", \"torn");
        let recording = read(torn.as_bytes()).expect("a cast");
        assert_eq!((recording.events.len(), recording.broken.len()), (4, 1));
        assert_eq!(recording.broken[0].0, 6);
        let odd = format!(
            "{V3}# comment\n\n[1, \"z\", \"\"]\n[-1, \"o\", \"\"]\n[1, \"o\"]\n[1e0, \"o\", \"x\"]\n"
        );
        let recording = read(odd.as_bytes()).expect("a cast");
        assert_eq!((recording.events.len(), recording.broken.len()), (5, 2));
        assert_eq!(recording.events[4].0, 3_762_000);
    }

    #[test]
    fn version_1_is_read_whether_on_one_line_or_many() {
        let v1 = "{\n\"version\":1,\"width\":80,\"height\":24,\"title\":null,\n\"stdout\":[[0.5,\"a\"],[1.25,\"b\"],[2]]}";
        for text in [v1.to_owned(), v1.replace('\n', "")] {
            let recording = read(text.as_bytes()).expect("a cast");
            assert_eq!(recording.header.size, Size::new(80, 24));
            let times: Vec<u64> = recording.events.iter().map(|(time_us, _)| *time_us).collect();
            assert_eq!(times, [500_000, 1_750_000]);
            assert_eq!(recording.broken.len(), 1);
        }
        assert!(read(b"").is_err());
        assert!(read(b"{\"version\":4}").is_err());
        assert!(read(b"{\"version\":3}").is_err());
    }
}
