//! Recordings of real agents. The screens were rendered by another emulator while recording; the
//! truth files are what a person saw, in order, drawn up from those screens and from the agents'
//! own logs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use intentloop::term::transcript::{Line, Transcript, text};
use intentloop::term::{Options, Size, Terminal};

/// Agents on the main screen: aider, claude, codex, gemini, kimi, qwen; on the alternate screen:
/// cline, copilot, opencode.
const AGENTS: [&str; 9] =
    ["aider", "claude", "cline", "codex", "copilot", "gemini", "kimi", "opencode", "qwen"];
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
    for line in read(&format!("{agent}.cast")).lines().skip(1) {
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

#[test]
fn settled_text_tells_what_a_person_saw_once_and_in_order() {
    let mut report = String::new();
    let (mut lines, mut missing, mut extra, mut inversions) = (0, 0, 0, 0);
    for agent in AGENTS {
        let truth: Vec<String> = read(&format!("{agent}.truth")).lines().map(words).collect();
        let told: Vec<String> =
            text(&transcript(agent), false).lines().map(words).filter(|l| !l.is_empty()).collect();
        let mut expected: HashMap<&str, usize> = HashMap::new();
        truth.iter().for_each(|line| *expected.entry(line).or_default() += 1);
        for (line, count) in &expected {
            let found = told.iter().filter(|told| told == line).count();
            if found != *count {
                report += &format!("{agent}: {found} instead of {count}: {line}\n");
            }
            missing += count.saturating_sub(found);
            extra += found.saturating_sub(*count);
        }
        let places: Vec<(usize, &String)> = truth
            .iter()
            .filter(|line| expected[&***line] == 1)
            .filter_map(|line| Some((told.iter().position(|told| told == line)?, line)))
            .collect();
        for pair in places.windows(2).filter(|pair| pair[0].0 > pair[1].0) {
            report += &format!("{agent}: told before its time: {}\n", pair[1].1);
            inversions += 1;
        }
        lines += truth.len();
    }
    let summary = format!("{lines} lines, {missing} missing, {extra} extra, {inversions} inverted");
    assert!(
        missing * 100 <= lines && extra * 100 <= lines && inversions == 0,
        "{summary}\n{report}"
    );
    println!("{summary}\n{report}");
}

#[test]
fn settled_text_holds_no_spinner() {
    for agent in AGENTS {
        for line in text(&transcript(agent), false).lines() {
            let first = line.trim_start().chars().next().unwrap_or(' ');
            let spins =
                matches!(first, '\u{2800}'..='\u{28ff}' | '✻' | '✽' | '✶' | '✢' | '✳' | '·');
            assert!(!(spins && (line.contains('…') || line.contains("..."))), "{agent}: {line}");
            assert!(!line.contains("to interrupt"), "{agent}: {line}");
        }
    }
}

#[test]
fn settled_text_does_not_depend_on_how_the_bytes_are_cut() {
    for agent in ["claude", "opencode"] {
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
    for agent in AGENTS {
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
