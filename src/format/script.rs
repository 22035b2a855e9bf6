//! util-linux script(1): writing and reading its data and timing files.
//!
//! Data files hold a header line, the bytes, and a footer. Timing is classic (`delay bytes`, for
//! output alone) or advanced: `O delay bytes`, `I delay bytes`, `S delay SIGWINCH ROWS=r COLS=c`,
//! `H 0.000000 NAME value`. Delays are seconds to the microsecond since the previous O, I or S.

use super::recording::{Action, Header, OwnedAction, Recording, TimedAction};
use crate::term::Size;
use crate::time::WallTime;
use std::fmt::Write;

/// The three files of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// The typescript: what the program wrote.
    pub output: Vec<u8>,
    /// What was typed; None where it was not asked for.
    pub input: Option<Vec<u8>>,
    /// The advanced timing.
    pub timing: String,
}

/// Most characters of a timing line that scriptreplay accepts as a name.
const NAME_LEN_MAX: usize = 128;

fn wall_time(header: &Header, time_us: u64) -> Option<WallTime> {
    let (seconds, offset_s) = header.start?;
    let start = WallTime { unix_us: seconds.saturating_mul(1_000_000), offset_s };
    Some(start.plus_us(i64::try_from(time_us).unwrap_or(i64::MAX)))
}

/// `2015-05-24 17:43:18+00:00`.
fn stamp(header: &Header, time_us: u64, between: char) -> String {
    let text = wall_time(header, time_us).unwrap_or_default().rfc3339();
    let (date_time, offset) = (text.get(..19).unwrap_or(""), text.get(23..).unwrap_or(""));
    format!("{}{offset}", date_time.replace('T', &between.to_string()))
}

/// One line without quotes or control characters.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || c == '"' { ' ' } else { c }).collect()
}

/// The script files of a recording; with what was typed if `input` is set.
pub fn write<'a>(
    header: &Header,
    input: bool,
    events: impl Iterator<Item = TimedAction<'a>>,
) -> Files {
    let mut about = String::new();
    let quoted = [("COMMAND", &header.command), ("TERM", &header.term)];
    for (name, value) in quoted {
        if let Some(value) = value {
            let _ = write!(about, "{name}=\"{}\" ", clean(value));
        }
    }
    let Size { cols, rows } = header.size;
    let opening = format!(
        "Script started on {} [{about}COLUMNS=\"{cols}\" LINES=\"{rows}\"]\n",
        stamp(header, 0, ' ')
    );
    let mut files = Files {
        output: opening.clone().into_bytes(),
        input: input.then(|| opening.into_bytes()),
        timing: String::new(),
    };
    let mut about = vec![("START_TIME", stamp(header, 0, 'T'))];
    about.extend(header.term.as_ref().map(|term| ("TERM", clean(term))));
    about.push(("COLUMNS", cols.to_string()));
    about.push(("LINES", rows.to_string()));
    about.extend(header.command.as_ref().map(|command| ("COMMAND", clean(command))));
    for (name, value) in about {
        let _ = writeln!(files.timing, "H 0.000000 {name} {value}");
    }
    let (mut last_us, mut end_us, mut status) = (0, 0, None);
    for (time_us, action) in events {
        end_us = time_us.max(end_us);
        let delay_us = time_us.saturating_sub(last_us);
        let delay = format!("{}.{:06}", delay_us / 1_000_000, delay_us % 1_000_000);
        let _ = match action {
            // scriptreplay gives up at an entry of no bytes.
            Action::Output([]) | Action::Input([]) | Action::Marker(_) => continue,
            Action::Output(bytes) => {
                files.output.extend_from_slice(bytes);
                writeln!(files.timing, "O {delay} {}", bytes.len())
            }
            Action::Input(bytes) => match &mut files.input {
                Some(file) => {
                    file.extend_from_slice(bytes);
                    writeln!(files.timing, "I {delay} {}", bytes.len())
                }
                None => continue,
            },
            Action::Resize(size) => {
                writeln!(files.timing, "S {delay} SIGWINCH ROWS={} COLS={}", size.rows, size.cols)
            }
            Action::Exit(code) => {
                status = Some(code);
                continue;
            }
        };
        last_us = time_us.max(last_us);
    }
    let code = status.map_or(String::new(), |code| format!(" [COMMAND_EXIT_CODE=\"{code}\"]"));
    let closing = format!("\nScript done on {}{code}\n", stamp(header, end_us, ' '));
    files.output.extend_from_slice(closing.as_bytes());
    if let Some(file) = &mut files.input {
        file.extend_from_slice(closing.as_bytes());
    }
    let _ = writeln!(
        files.timing,
        "H 0.000000 DURATION {}.{:06}",
        end_us / 1_000_000,
        end_us % 1_000_000
    );
    if let Some(code) = status {
        let _ = writeln!(files.timing, "H 0.000000 EXIT_CODE {code}");
    }
    files
}

/// Reads script files; `input` is the file of what was typed, which with `script -B` is `output`
/// itself. Timing lines that cannot be read are told in [`Recording::broken`].
pub fn read(timing: &str, output: &[u8], input: Option<&[u8]>) -> Recording {
    let mut recording =
        Recording { header: header_line(output), events: Vec::new(), broken: Vec::new() };
    let same = input.is_some_and(|input| std::ptr::eq(input, output));
    let mut output_rest = after_first_line(output);
    let mut input_rest = input.map(after_first_line).unwrap_or(&[]);
    let mut now_us = 0u64;
    for (i, line) in timing.lines().enumerate() {
        let mut words = line.splitn(3, ' ');
        let mut kind = words.next().unwrap_or("");
        let mut delay = words.next().unwrap_or("");
        let mut rest = words.next().unwrap_or("");
        if kind.starts_with(|c: char| c.is_ascii_digit()) {
            (kind, delay, rest) = ("O", kind, delay);
        }
        let Some(delay_us) = seconds(delay).filter(|_| line.len() <= NAME_LEN_MAX + 8192) else {
            recording.broken.push((i + 1, "not a timing entry".to_owned()));
            continue;
        };
        if kind == "H" {
            set_header(&mut recording, now_us, rest);
            continue;
        }
        now_us = now_us.saturating_add(delay_us);
        let action = match kind {
            "O" => take(&mut output_rest, rest).map(OwnedAction::Output),
            "I" if same => take(&mut output_rest, rest).map(OwnedAction::Input),
            "I" => take(&mut input_rest, rest).map(OwnedAction::Input),
            "S" => window(rest)
                .map(OwnedAction::Resize)
                .or_else(|| rest.starts_with("SIG").then(|| OwnedAction::Marker(rest.to_owned()))),
            _ => None,
        };
        match action {
            Some(OwnedAction::Output(bytes) | OwnedAction::Input(bytes)) if bytes.is_empty() => {}
            Some(action) => recording.events.push((now_us, action)),
            None => recording.broken.push((i + 1, "not a timing entry".to_owned())),
        }
    }
    let told = recording.events.iter().any(|(_, action)| matches!(action, OwnedAction::Exit(_)));
    if let Some(status) = exit_status(output_rest).filter(|_| !told) {
        recording.events.push((now_us, OwnedAction::Exit(status)));
    }
    recording
}

/// The exit status that a data file's footer tells.
fn exit_status(footer: &[u8]) -> Option<i32> {
    let footer = std::str::from_utf8(footer).ok()?.strip_prefix("\nScript done on ")?;
    footer.split_once("COMMAND_EXIT_CODE=\"")?.1.split('"').next()?.parse().ok()
}

/// Whether a file begins like a timing.
pub fn is_timing(start: &[u8]) -> bool {
    let line = start.split(|b| *b == b'\n').next().unwrap_or(&[]);
    let advanced =
        line.len() > 4 && matches!(line[0], b'H' | b'O' | b'I' | b'S') && line[1] == b' ';
    let at = if advanced { 2 } else { 0 };
    let digits = |from: usize| line[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = if line.len() > at { digits(at) } else { 0 };
    whole > 0 && line.get(at + whole) == Some(&b'.') && digits(at + whole + 1) > 0
}

/// What stands in a data file between its header line and its footer, which is not told apart.
pub fn body(file: &[u8]) -> &[u8] {
    after_first_line(file)
}

/// Whether `timing` tells of as many bytes as `output` holds, and then how many were typed.
pub fn fit(timing: &[u8], output: &[u8]) -> Option<u64> {
    if !is_timing(timing) {
        return None;
    }
    let (mut printed, mut typed) = (0u64, 0u64);
    for line in timing.split(|b| *b == b'\n') {
        let mut words = line.split(|b| *b == b' ');
        let kind = words.next().unwrap_or(&[]);
        let count = |word: Option<&[u8]>| {
            std::str::from_utf8(word.unwrap_or(&[])).ok()?.parse::<u64>().ok()
        };
        match kind {
            b"O" => printed = printed.saturating_add(count(words.nth(1)).unwrap_or(0)),
            b"I" => typed = typed.saturating_add(count(words.nth(1)).unwrap_or(0)),
            [b'0'..=b'9', ..] => printed = printed.saturating_add(count(words.next()).unwrap_or(0)),
            _ => {}
        }
    }
    let rest = |len: u64| after_first_line(output).get(usize::try_from(len).ok()?..);
    let ends = |rest: &[u8]| rest.is_empty() || rest.starts_with(b"\nScript done on ");
    let fits = rest(printed).is_some_and(ends) || rest(printed + typed).is_some_and(ends);
    fits.then_some(typed)
}

fn after_first_line(bytes: &[u8]) -> &[u8] {
    bytes.iter().position(|b| *b == b'\n').map_or(&[], |i| &bytes[i + 1..])
}

/// So many bytes as `count` says, or as many as are left.
fn take(rest: &mut &[u8], count: &str) -> Option<Vec<u8>> {
    let count: usize = count.trim().parse().ok()?;
    let (taken, after) = rest.split_at(count.min(rest.len()));
    *rest = after;
    Some(taken.to_vec())
}

/// `seconds.fraction` in microseconds; finer digits are cut.
fn seconds(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let whole: u64 = whole.parse().ok()?;
    whole.checked_mul(1_000_000)?.checked_add(digits.parse().ok()?)
}

fn window(rest: &str) -> Option<Size> {
    let side = |name: &str| rest.split(' ').find_map(|w| w.strip_prefix(name))?.parse().ok();
    rest.starts_with("SIGWINCH").then_some(())?;
    Some(Size { cols: side("COLS=")?, rows: side("ROWS=")? })
}

fn header_line(output: &[u8]) -> Header {
    let line = output.split(|b| *b == b'\n').next().unwrap_or(&[]);
    let line = String::from_utf8_lossy(line);
    let mut header = Header::new(Size::new(80, 24));
    let value = |name: &str| {
        let at = line.find(&format!("{name}=\""))? + name.len() + 2;
        line[at..].split('"').next().map(str::to_owned)
    };
    let side = |name: &str| value(name)?.parse().ok().filter(|n: &u16| *n > 0);
    if let (Some(cols), Some(rows)) = (side("COLUMNS"), side("LINES")) {
        header.size = Size { cols, rows };
    }
    header.command = value("COMMAND");
    header.term = value("TERM");
    header.start =
        line.strip_prefix("Script started on ").and_then(|rest| start_time(rest.get(..25)?));
    header
}

fn start_time(text: &str) -> Option<(i64, i32)> {
    let time = WallTime::parse_rfc3339(text)?;
    Some((time.unix_us.div_euclid(1_000_000), time.offset_s))
}

fn set_header(recording: &mut Recording, now_us: u64, rest: &str) {
    let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
    let header = &mut recording.header;
    match name {
        "START_TIME" => header.start = start_time(value).or(header.start),
        "TERM" => header.term = Some(value.to_owned()),
        "COMMAND" => header.command = Some(value.to_owned()),
        "COLUMNS" => header.size.cols = value.parse().unwrap_or(header.size.cols),
        "LINES" => header.size.rows = value.parse().unwrap_or(header.size.rows),
        "EXIT_CODE" => {
            let status = value.parse().ok().map(|code| (now_us, OwnedAction::Exit(code)));
            recording.events.extend(status);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: &str = "H 0.000000 START_TIME 2026-11-20T10:00:00+00:00\n\
        H 0.000000 TERM xterm\nH 0.000000 COLUMNS 80\nH 0.000000 LINES 24\n\
        H 0.000000 COMMAND bash\nO 0.004123 5\nI 1.200001 1\n\
        S 0.300000 SIGWINCH ROWS=40 COLS=100\nO 0.000000 2\nH 0.000000 DURATION 1.504124\n\
        H 0.000000 EXIT_CODE 0\n";

    fn header() -> Header {
        Header {
            term: Some("xterm".to_owned()),
            start: Some((1_795_168_800, 0)),
            command: Some("bash".to_owned()),
            ..Header::new(Size::new(80, 24))
        }
    }

    fn events() -> [TimedAction<'static>; 6] {
        [
            (4_123, Action::Output(b"hello")),
            (1_204_124, Action::Input(b"x")),
            (1_204_124, Action::Output(b"")),
            (1_504_124, Action::Resize(Size::new(100, 40))),
            (1_504_124, Action::Output(b"\r\n")),
            (1_504_124, Action::Exit(0)),
        ]
    }

    #[test]
    fn files_are_written_as_script_writes_them_and_read_back() {
        let files = write(&header(), true, events().into_iter());
        assert_eq!(files.timing, TIMING);
        let opening = "Script started on 2026-11-20 10:00:00+00:00 \
                       [COMMAND=\"bash\" TERM=\"xterm\" COLUMNS=\"80\" LINES=\"24\"]\n";
        let closing = "\nScript done on 2026-11-20 10:00:01+00:00 [COMMAND_EXIT_CODE=\"0\"]\n";
        let output = format!("{opening}hello\r\n{closing}");
        assert_eq!(String::from_utf8_lossy(&files.output), output);
        assert_eq!(files.input.as_deref(), Some(format!("{opening}x{closing}").as_bytes()));
        let recording = read(&files.timing, &files.output, files.input.as_deref());
        assert_eq!(recording.header, header());
        let back: Vec<TimedAction<'_>> = recording.actions().collect();
        let expected: Vec<_> =
            events().into_iter().filter(|(_, a)| *a != Action::Output(b"")).collect();
        assert_eq!(back, expected);
        assert!(recording.broken.is_empty());
    }

    #[test]
    fn what_was_typed_is_left_out_unless_asked_for() {
        let files = write(&header(), false, events().into_iter());
        assert_eq!(files.input, None);
        assert!(!files.timing.contains("\nI "));
        assert!(files.timing.contains("\nS 1.500001 SIGWINCH"));
    }

    #[test]
    fn classic_timing_and_torn_files_are_read() {
        let output = b"Script started on 2026-11-20 10:00:00+00:00\nabcdef";
        let recording = read("0.100000 3\n1.5 2\nx\n0.1 900\n0.1", output, None);
        let taken: Vec<TimedAction<'_>> = recording.actions().collect();
        assert_eq!(
            taken,
            [
                (100_000, Action::Output(b"abc")),
                (1_600_000, Action::Output(b"de")),
                (1_700_000, Action::Output(b"f")),
            ]
        );
        assert_eq!(recording.broken.len(), 2);
        assert_eq!(recording.header.start, Some((1_795_168_800, 0)));
        let ended = b"Script started on x\nab\nScript done on y [COMMAND_EXIT_CODE=\"3\"]\n";
        let ended = read("0.1 2\n", ended, None);
        assert_eq!(ended.events.last(), Some(&(100_000, OwnedAction::Exit(3))));
    }

    #[test]
    fn files_that_belong_together_know_it() {
        let files = write(&header(), true, events().into_iter());
        let timing = files.timing.as_bytes();
        assert_eq!(fit(timing, &files.output), Some(1));
        assert_eq!(fit(b"0.1 3\n0.2 4\n", b"Script started on x\nabcdefg"), Some(0));
        assert_eq!(fit(b"0.1 3\n0.2 4\n", b"Script started on x\nabcdefgh"), None);
        assert_eq!(fit(b"O 0.1 3\nI 0.2 4\n", b"Script started on x\nabcdefg"), Some(4));
        assert_eq!(fit(timing, b"Script started on x\n"), None);
        for not in ["", "H", "O x", "0.", ".1 2", "12 3", "{}"] {
            assert!(!is_timing(not.as_bytes()), "{not}");
        }
    }

    #[test]
    fn one_file_for_both_ways_is_read() {
        let both = b"Script started on 2026-11-20 10:00:00+00:00\nabc";
        let recording = read("O 0.1 1\nI 0.1 1\nO 0.1 1\n", both, Some(both));
        let taken: Vec<Action<'_>> = recording.actions().map(|(_, action)| action).collect();
        assert_eq!(taken, [Action::Output(b"a"), Action::Input(b"b"), Action::Output(b"c")]);
    }
}
