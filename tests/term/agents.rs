//! Recordings of real agents and of other programs. The screens were rendered by another emulator
//! while recording; the truth files are what a person saw, in order, drawn up from those screens,
//! from the agents' own logs, and from what the programs print to a pipe.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use intentloop::term::transcript::{Line, Transcript, text};
use intentloop::term::{Options, Size, Terminal};

/// Agents on the main screen: aider, claude, codex, gemini, kimi, qwen; on the alternate screen:
/// cline, copilot, opencode.
const AGENTS: [&str; 9] =
    ["aider", "claude", "cline", "codex", "copilot", "gemini", "kimi", "opencode", "qwen"];
/// Longer sessions of some: dialogs granted and refused, interrupts, errors, tools at once,
/// subagents, compaction, a new conversation; and turns taken back.
const MORE: [&str; 10] = [
    "claude-extras",
    "claude-rewind",
    "codex-daemon",
    "codex-extras",
    "codex-rewind",
    "copilot-extras",
    "gemini-extras",
    "gemini-rewind",
    "opencode-extras",
    "opencode-rewind",
];
/// Programs that are no agents: an editor, a pager, a table that changes, a progress bar, Ink.
const PROGRAMS: [&str; 6] = ["apt", "git-log", "htop", "ink", "less", "vim"];
const SIZE: Size = Size::new(100, 32);

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/term/recordings").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(file(name)).expect(name)
}

/// The output of a recording: times in microseconds and bytes.
pub fn output(agent: &str) -> Vec<(u64, Vec<u8>)> {
    let mut events = Vec::new();
    let packed = std::fs::File::open(file(&format!("{agent}.cast.gz"))).expect(agent);
    let mut cast = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut cast).expect(agent);
    for line in cast.lines().skip(1) {
        let event: serde_json::Value = serde_json::from_str(line).expect("an event");
        let seconds = event[0].as_f64().expect("a time");
        let data = event[2].as_str().expect("data").as_bytes().to_vec();
        events.push(((seconds * 1e6).round() as u64, data));
    }
    events
}

fn transcript(agent: &str) -> Vec<Line> {
    let mut transcript = Transcript::new(SIZE, Options::default());
    let events = output(agent);
    for (time_us, bytes) in &events {
        transcript.feed(*time_us, bytes);
    }
    transcript.finish(events.last().map_or(0, |(time_us, _)| time_us + 1_000_000))
}

#[test]
fn screens_are_those_another_emulator_rendered() {
    let mut count = 0;
    for agent in AGENTS {
        let events = output(agent);
        let screens = read(&format!("{agent}.screens"));
        for screen in screens.split("===== ").skip(1) {
            let (head, body) = screen.split_once('\n').expect("a heading");
            let Some(at) = head.split_once(" t=").map(|(_, rest)| rest) else { continue };
            let at: f64 = at.split(' ').next().expect("a time").parse().expect("a number");
            let expected: Vec<&str> = body.trim_end().lines().map(str::trim_end).collect();
            // The heading's time is rounded, and was taken a moment after the last byte.
            let matches = [0.0, 0.01, -0.01, 0.1, -0.1].iter().any(|moment| {
                let mut terminal = Terminal::new(SIZE, Options::default());
                for (_, bytes) in events.iter().filter(|(t, _)| *t as f64 / 1e6 <= at + moment) {
                    terminal.feed(bytes);
                }
                let shown = terminal.screen().render(intentloop::term::Format::Text, 0);
                shown.trim_end().lines().map(str::trim_end).eq(expected.iter().copied())
            });
            if !matches {
                eprintln!("{agent}: {head}");
            }
            count += 1;
        }
    }
    assert_eq!(count, 48);
}

/// The words of a line, without frames and what marks a prompt or an item.
fn words(line: &str) -> String {
    let is_frame =
        |c: char| c.is_whitespace() || matches!(c, '\u{2500}'..='\u{259f}' | '|' | '\u{200b}');
    let is_mark = |c: char| matches!(c, '❯' | '›' | '>' | '●' | '○' | '•' | '⏺' | '✦' | '*');
    let words: Vec<&str> = line.split(is_frame).filter(|word| !word.is_empty()).collect();
    let marks = words.iter().take_while(|word| word.chars().all(is_mark)).count();
    words[marks..].join(" ")
}

/// How the settled text of a recording stands to its truth.
#[derive(Default)]
struct Figures {
    lines: usize,
    missing: usize,
    extra: usize,
    inverted: usize,
    spinners: usize,
    frames: usize,
    /// Lines told that are not in the truth: banners, input lines, menus, status lines.
    other: usize,
}

impl Figures {
    fn add(&mut self, other: &Figures) {
        self.lines += other.lines;
        self.missing += other.missing;
        self.extra += other.extra;
        self.inverted += other.inverted;
        self.spinners += other.spinners;
        self.frames += other.frames;
        self.other += other.other;
    }

    fn row(&self, name: &str) -> String {
        let percent = |n: usize| 100.0 * n as f64 / self.lines as f64;
        format!(
            "{name:16} {:5} {:7.2} % {:7.2} % {:8} {:8} {:7} {:6}",
            self.lines,
            percent(self.lines - self.missing),
            percent(self.extra),
            self.inverted,
            self.spinners,
            self.frames,
            self.other
        )
    }
}

/// The line is drawn to show that work goes on.
fn spins(line: &str) -> bool {
    let first = line.trim_start().chars().next().unwrap_or(' ');
    let spins = matches!(first, '\u{2800}'..='\u{28ff}' | '✻' | '✽' | '✶' | '✢' | '✳' | '·');
    let works = ["to interrupt", "esc interrupt"].iter().any(|hint| line.contains(hint));
    spins && (line.contains('…') || line.contains("...")) || works
}

/// Compares the settled text of a recording with its truth, and tells the differences.
fn measure(agent: &str, report: &mut String) -> Figures {
    let truth: Vec<String> = read(&format!("{agent}.truth")).lines().map(words).collect();
    let settled = text(&transcript(agent), false);
    let told: Vec<String> = settled.lines().map(words).filter(|l| !l.is_empty()).collect();
    let mut figures = Figures { lines: truth.len(), ..Figures::default() };
    let mut expected: HashMap<&str, usize> = HashMap::new();
    truth.iter().for_each(|line| *expected.entry(line).or_default() += 1);
    for (line, count) in &expected {
        let found = told.iter().filter(|told| told == line).count();
        if found != *count {
            *report += &format!("{agent}: {found} instead of {count}: {line}\n");
        }
        figures.missing += count.saturating_sub(found);
        figures.extra += found.saturating_sub(*count);
    }
    figures.other = told.iter().filter(|line| !expected.contains_key(&***line)).count();
    let places: Vec<(usize, &String)> = truth
        .iter()
        .filter(|line| expected[&***line] == 1)
        .filter_map(|line| Some((told.iter().position(|told| told == line)?, line)))
        .collect();
    for pair in places.windows(2).filter(|pair| pair[0].0 > pair[1].0) {
        *report += &format!("{agent}: told before its time: {}\n", pair[1].1);
        figures.inverted += 1;
    }
    for line in settled.lines() {
        if spins(line) {
            *report += &format!("{agent}: spins: {line}\n");
            figures.spinners += 1;
        }
        let is_frame = |c| matches!(c, '\u{2500}'..='\u{257f}' | ' ');
        figures.frames += usize::from(!line.is_empty() && line.chars().all(is_frame));
    }
    figures
}

/// Prints what each recording comes to: `cargo test --test term settled_text_tells -- --nocapture`.
#[test]
fn settled_text_tells_what_a_person_saw_once_and_in_order() {
    let head =
        ["lines", "recall", "duplicates", "inverted", "spinners", "frames", "other"].join("  ");
    let (mut table, mut report) = (format!("{:16} {head}\n", "recording"), String::new());
    let mut all = Figures::default();
    for agent in AGENTS.iter().chain(&MORE).chain(&PROGRAMS) {
        let figures = measure(agent, &mut report);
        table += &format!("{}\n", figures.row(agent));
        all.add(&figures);
    }
    table += &all.row("all");
    println!("{table}\n{report}");
    assert!(
        all.missing * 100 <= all.lines && all.extra * 100 <= all.lines,
        "recall or duplicates\n{table}\n{report}"
    );
    assert_eq!((all.inverted, all.spinners, all.frames), (0, 0, 0), "{table}\n{report}");
    assert!(all.other * 4 <= all.lines * 3, "banners, menus and statuses\n{table}");
}

#[test]
fn settled_text_does_not_depend_on_how_the_bytes_are_cut() {
    for agent in ["claude", "claude-rewind", "codex-extras", "opencode", "apt", "less", "vim"] {
        let mut transcript_bytewise = Transcript::new(SIZE, Options::default());
        let events = output(agent);
        for (time_us, bytes) in &events {
            bytes.iter().for_each(|b| transcript_bytewise.feed(*time_us, &[*b]));
        }
        let end = events.last().map_or(0, |(time_us, _)| time_us + 1_000_000);
        assert_eq!(transcript(agent), transcript_bytewise.finish(end), "{agent}");
    }
}

#[test]
fn times_and_offsets_of_lines_lie_in_the_recording() {
    for agent in AGENTS.into_iter().chain(MORE).chain(PROGRAMS) {
        let events = output(agent);
        let bytes: u64 = events.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        let end = events.last().map_or(0, |(time_us, _)| *time_us);
        for line in transcript(agent) {
            assert!(line.seen.offset <= line.settled.offset, "{agent}: {line:?}");
            assert!(line.settled.offset <= bytes, "{agent}: {line:?}");
            assert!(line.seen.time_us <= end + 1_000_000, "{agent}: {line:?}");
        }
    }
}
