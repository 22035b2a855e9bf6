//! Thoughts on the screen: what an agent shows of its reasoning, for transcripts that keep none of
//! it. Read from the settled text, line by line.
//!
//! The gate is strict, as agents also write prose: a line of the agent's own form, alone in its row.
//! Which of a transcript's thoughts a line belongs to is told by the time alone, and not at all
//! where that does not tell.

use std::collections::HashMap;
use std::ops::Range;

use crate::event::{Event, Evidence, Source, Thought, ThoughtForm};
use crate::term::transcript::Line;
use crate::time::WallTime;

/// How far a line may be from its thought, in microseconds: an agent writes its transcript when
/// the model has said all, and shows things as they come.
pub const NEAR_US: i64 = 10_000_000;
/// Rows of one thought at most.
pub const ROWS_MAX: usize = 400;
/// Thoughts that are taken from one session's screen at most.
pub const SEEN_MAX: usize = 10_000;
/// Bytes in which what is on the screen at a moment was drawn, and what follows it at once.
const FRAME_LEN: u64 = 8 << 10;
/// Bytes between the first and the last drawing of a thought that are looked at.
const DRAWN_LEN_MAX: u64 = 64 << 10;
/// Bytes of colours and moves between two words of it.
const BETWEEN_MAX: usize = 200;
/// How sure a line that was near in time is to be the thought's.
const NEAR: f64 = 0.8;

/// How an agent shows that it thinks: the marks that may stand before the words, and what follows.
struct Look {
    agent: &'static str,
    marks: &'static [char],
    heads: &'static [Head],
}

/// What begins a thought.
enum Head {
    /// These words and how long it took: `Thought for 2s`, alone or before `,` and `(`.
    Lasted(&'static str),
    /// These words, then the thought in the rows below, set further in.
    Below(&'static str),
    /// These words, then the thought behind them.
    Behind(&'static str),
    /// A subject before how long it has been at work, these words excepted.
    Subject(&'static str),
}

const LOOKS: &[Look] = &[
    Look {
        agent: "claude",
        marks: &['∴', '✻', '✽', '✶', '✢', '·'],
        heads: &[Head::Lasted("Thought for "), Head::Below("Thinking…")],
    },
    Look { agent: "codex", marks: &['•', '◦'], heads: &[Head::Subject("Working")] },
    Look { agent: "copilot", marks: &['❯', '⌄'], heads: &[Head::Lasted("Thought for ")] },
    Look {
        agent: "opencode",
        marks: &['+', '-'],
        heads: &[Head::Lasted("Thought: "), Head::Behind("Thinking: ")],
    },
    Look { agent: "cline", marks: &['▶', '▼'], heads: &[Head::Behind("Thinking: ")] },
];
/// What stands behind Codex' subject.
const AT_WORK: &str = "esc to interrupt)";

/// A thought that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What was shown of it.
    pub text: String,
    /// When its first row was shown, in microseconds since the session's start.
    pub t_us: u64,
    /// Where in the output it was first complete on the screen, and where it was changed last.
    pub at: Range<u64>,
}

impl Seen {
    /// The bytes of output in which [`Seen::span`] looks for it.
    pub fn window(&self) -> Range<u64> {
        let end = self.at.end.min(self.at.start + DRAWN_LEN_MAX) + FRAME_LEN;
        self.at.start.saturating_sub(FRAME_LEN)..end
    }

    /// The bytes that drew it, of which `output` are those of its window: its words, each soon
    /// after the one before, where the screen first had them. Programs that paint only what has
    /// changed do not write every word; then it is all that was drawn along with it.
    pub fn span(&self, output: &[u8]) -> Range<u64> {
        let window = self.window();
        let seen = (self.at.start - window.start) as usize;
        let words: Vec<&[u8]> = self.text.split_whitespace().map(str::as_bytes).collect();
        let starts = |at: &usize| words.first().is_some_and(|w| output[*at..].starts_with(w));
        let before = (0..seen.min(output.len())).rev().filter(starts);
        let after = (seen..output.len()).filter(starts);
        let found = before.chain(after).find_map(|at| Some(at..end_of(output, at, &words)?));
        let found = found.unwrap_or(0..seen.min(output.len()));
        window.start + found.start as u64..window.start + found.end as u64
    }

    /// The event that it is by itself, in a session that began at `started`, with `span` of the
    /// output in the stream called `stream`.
    pub fn event(self, started: WallTime, stream: &str, span: Range<u64>) -> Event {
        let Seen { text, t_us, .. } = self;
        let (offset, len) = (span.start, span.end - span.start);
        let thought = Thought { text, form: Some(ThoughtForm::Screen), signature_only: false };
        Event {
            time: Some(started.plus_us(i64::try_from(t_us).unwrap_or(i64::MAX))),
            mono_ns: t_us.checked_mul(1000),
            conf: NEAR,
            evidence: Some(Evidence { stream: stream.to_owned(), offset, len }),
            ..Event::new(Source::Pty, thought)
        }
    }
}

/// Looks for thoughts in settled text, as it comes.
pub struct Finder {
    look: &'static Look,
    seen: Vec<Seen>,
    /// The last one's rows go on, if they are set in further than this.
    below: Option<usize>,
    rows: usize,
}

impl std::fmt::Debug for Finder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Finder").field("agent", &self.look.agent).finish_non_exhaustive()
    }
}

impl Finder {
    /// For the agent of this name. None where what it thinks looks like what it says.
    pub fn of(agent: &str) -> Option<Finder> {
        let look = LOOKS.iter().find(|look| look.agent == agent)?;
        Some(Finder { look, seen: Vec::new(), below: None, rows: 0 })
    }

    /// Takes the next line.
    pub fn feed(&mut self, line: &Line) {
        let text = line.text.trim_end_matches(['│', '┃', '█', '▄', ' ']);
        let inner = text.trim_start_matches(['│', '┃', ' ']);
        let indent = text.chars().count() - inner.chars().count();
        if let Some(head) = self.below {
            let goes_on = inner.is_empty() || indent > head && !self.is_marked(inner);
            if goes_on && self.rows < ROWS_MAX {
                self.add(inner, line);
                return;
            }
            self.below = None;
        }
        let words = inner.trim_start_matches(self.look.marks).trim_start();
        let marked = words.len() < inner.len();
        for head in self.look.heads {
            let found = match head {
                Head::Lasted(head) => words.strip_prefix(head).and_then(|rest| {
                    let took = duration(rest)?;
                    Some(format!("{head}{took}"))
                }),
                Head::Below(head) => (marked && words == *head).then(String::new),
                Head::Behind(head) if marked => words.strip_prefix(head).map(str::to_owned),
                Head::Subject(but) if marked => subject(words, but).map(str::to_owned),
                Head::Behind(_) | Head::Subject(_) => None,
            };
            let Some(found) = found else { continue };
            self.open(found, line);
            // The rows of a label are set in no further than what follows it.
            self.below = matches!(head, Head::Below(_)).then_some(indent);
            return;
        }
    }

    /// What was found, in its order.
    pub fn finish(mut self) -> Vec<Seen> {
        self.seen.iter_mut().for_each(|seen| seen.text.truncate(seen.text.trim_end().len()));
        self.seen.retain(|seen| !seen.text.is_empty());
        self.seen
    }

    fn is_marked(&self, inner: &str) -> bool {
        const BULLETS: &[char] = &['●', '⏺', '❯', '>', '⎿', '•', '›', '╭', '─'];
        inner.starts_with(BULLETS) || inner.starts_with(self.look.marks)
    }

    fn open(&mut self, text: String, line: &Line) {
        if let Some(last) = self.seen.last_mut().filter(|last| is_same(last, &text, line)) {
            last.text = text;
            return;
        }
        if self.seen.len() == SEEN_MAX {
            return;
        }
        let at = line.seen.offset..line.settled.offset.max(line.seen.offset);
        self.seen.push(Seen { text, t_us: line.seen.time_us, at });
        self.rows = 0;
    }

    fn add(&mut self, row: &str, line: &Line) {
        self.rows += 1;
        let Some(last) = self.seen.last_mut() else { return };
        match (row, last.text.is_empty()) {
            ("", true) => return,
            (row, true) => row.clone_into(&mut last.text),
            (row, false) => last.text.extend(["\n", row]),
        }
        last.at.end = last.at.end.max(line.settled.offset);
    }
}

/// Whether a line is the one before it, which was drawn again a moment later.
fn is_same(last: &Seen, text: &str, line: &Line) -> bool {
    /// Two thoughts do not begin within this.
    const AGAIN_US: u64 = 100_000;
    last.text == text && line.seen.time_us.abs_diff(last.t_us) < AGAIN_US
}

/// Where the last of the words ends, if each stands soon after the one before.
fn end_of(output: &[u8], start: usize, words: &[&[u8]]) -> Option<usize> {
    let mut end = start;
    for word in words {
        let near = output.get(end..output.len().min(end + word.len() + BETWEEN_MAX))?;
        end += near.windows(word.len()).position(|bytes| bytes == *word)? + word.len();
    }
    Some(end)
}

/// `2s`, `1m 20s`, `22ms` at the beginning of what is left of a line, if that ends there.
fn duration(rest: &str) -> Option<&str> {
    let end = rest.find([',', '(', '·']).unwrap_or(rest.len());
    let took = rest[..end].trim_end();
    let part = |word: &str| {
        let unit = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        unit.len() < word.len() && matches!(unit, "ms" | "s" | "m" | "h")
    };
    (!took.is_empty() && took.split(' ').all(part)).then_some(took)
}

/// What stands before `(2s • esc to interrupt)`.
fn subject<'a>(words: &'a str, but: &str) -> Option<&'a str> {
    let (subject, rest) = words.split_once(" (")?;
    let (took, rest) = rest.split_once(" • ")?;
    duration(took)?;
    (rest.starts_with(AT_WORK) && subject != but).then_some(subject)
}

/// Which thought each line belongs to: the one nearest in time, if no other line is nearer to that.
/// Times are microseconds of one clock; a thought's is None where nobody says.
pub fn join(thoughts: &[Option<i64>], seen: &[i64]) -> Vec<Option<usize>> {
    let timed = thoughts.iter().enumerate().filter_map(|(at, us)| Some(((*us)?, at)));
    let mut timed: Vec<(i64, usize)> = timed.collect();
    timed.sort_unstable();
    let near = |line_us: i64| {
        let next = timed.partition_point(|(us, _)| *us < line_us);
        // Two before and two after show whether one alone is nearest.
        let around = &timed[next.saturating_sub(2)..timed.len().min(next + 2)];
        let apart = |us: i64| us.abs_diff(line_us);
        let best = around.iter().map(|(us, _)| apart(*us)).min()?;
        let mut nearest = around.iter().filter(|(us, _)| apart(*us) == best);
        let (_, thought) = nearest.next()?;
        let alone = nearest.next().is_none() && best <= NEAR_US.unsigned_abs();
        alone.then_some((*thought, best))
    };
    let mut nearest: HashMap<usize, (u64, usize)> = HashMap::new();
    for (line, line_us) in seen.iter().enumerate() {
        let Some((thought, apart)) = near(*line_us) else { continue };
        let best = nearest.entry(thought).or_insert((apart, line));
        *best = (apart, line).min(*best);
    }
    let mut joined = vec![None; seen.len()];
    nearest.into_iter().for_each(|(thought, (_, line))| joined[line] = Some(thought));
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::term::Stamp;
    use crate::term::transcript::Settled;

    /// A line that was seen at a second.
    fn line(second: u64, text: &str) -> Line {
        let stamp = Stamp { offset: second * 10, time_us: second * 1_000_000 };
        let kind = Settled::Text;
        Line { text: text.to_owned(), seen: stamp, settled: stamp, kind, alternate: false }
    }

    fn seen<'a>(agent: &str, lines: impl IntoIterator<Item = &'a str>) -> Vec<Seen> {
        let mut finder = Finder::of(agent).expect(agent);
        for (second, text) in (0..).zip(lines) {
            finder.feed(&line(second, text));
        }
        finder.finish()
    }

    #[test]
    fn a_thought_is_what_an_agent_shows_as_one() {
        for (agent, screen, expected) in [
            ("claude", "  Thought for 1s (ctrl+o to expand)", "Thought for 1s"),
            ("claude", "  Thought for 1m 20s, listed 1 directory", "Thought for 1m 20s"),
            ("claude", "∴ Thought for 2s", "Thought for 2s"),
            ("claude", "∴ Thinking…\n\n  It may\n  be so.\n\n● Yes.\n  no", "It may\nbe so."),
            ("claude", "  ∴ Thinking…\n\n    hm\n  2 files", "hm"),
            ("claude", "✻ Thinking… (3s · esc to interrupt)", ""),
            ("claude", "∴ Thinking…\n\n● Bash(ls)\n  ⎿  a", ""),
            ("claude", "● I thought for a while.\n  Thought for food\n  Thought for 1s now", ""),
            ("copilot", " ❯ Thought for 1s                                ┃", "Thought for 1s"),
            ("opencode", "     + Thought: 22ms", "Thought: 22ms"),
            ("opencode", "  Thinking: no mark before it", ""),
            ("cline", " ▶ Thinking: Switch to Redis.           █", "Switch to Redis."),
            ("codex", "• Planning the change (12s • esc to interrupt)", "Planning the change"),
            ("codex", "• Working (12s • esc to interrupt)", ""),
            ("codex", "• Run it (twice) and see", ""),
        ] {
            let seen: Vec<String> =
                seen(agent, screen.lines()).into_iter().map(|s| s.text).collect();
            assert_eq!(seen.join(" | "), expected, "{agent}: {screen}");
        }
    }

    #[test]
    fn a_thought_has_a_limited_number_of_rows() {
        for (rows, shown) in [(ROWS_MAX, ROWS_MAX), (ROWS_MAX + 1, ROWS_MAX)] {
            let screen = std::iter::once("∴ Thinking…").chain(std::iter::repeat_n("  hm", rows));
            let seen = seen("claude", screen);
            assert_eq!(seen.iter().map(|s| s.text.lines().count()).collect::<Vec<_>>(), [shown]);
        }
    }

    #[test]
    fn a_session_has_a_limited_number_of_them() {
        for (lines, shown) in [(SEEN_MAX, SEEN_MAX), (SEEN_MAX + 1, SEEN_MAX)] {
            let screen = std::iter::repeat_n("  Thought for 1s", lines);
            assert_eq!(seen("claude", screen).len(), shown);
        }
    }

    /// Milliseconds of thoughts (`-` where nobody says), those of lines, and the thought of each.
    #[test]
    fn a_line_belongs_to_the_thought_nearest_in_time() {
        for (thoughts, lines, expected) in [
            ("1000 5000", "1200 4900", "0 1"),
            // The nearer of two lines; the other is of something else.
            ("1000", "900 1200", "0 -"),
            ("1000", "1200 1200", "0 -"),
            // The limit, and one past it.
            ("0", "10000", "0"),
            ("0", "10001", "-"),
            // Two at one time, or as far: neither is meant.
            ("1000 1000", "1100", "-"),
            ("1000 3000", "2000", "-"),
            ("-", "1000", "-"),
            ("", "1000", "-"),
            ("9000 2000 -", "2000 8000", "1 0"),
        ] {
            let times = |text: &str| -> Vec<Option<i64>> {
                let ms = text.split_whitespace().map(|n| n.parse::<i64>().ok());
                ms.map(|ms| ms.map(|ms| ms * 1000)).collect()
            };
            let seen: Vec<i64> = times(lines).into_iter().flatten().collect();
            let joined = join(&times(thoughts), &seen).into_iter();
            let joined: Vec<String> =
                joined.map(|at| at.map_or("-".to_owned(), |at| at.to_string())).collect();
            assert_eq!(joined.join(" "), expected, "{thoughts}: {lines}");
        }
    }

    /// The output with the span in brackets; `|` is where the line was first seen.
    #[test]
    fn the_span_is_what_drew_the_words() {
        let far = "x".repeat(BETWEEN_MAX + 1);
        for (output, expected) in [
            ("a Thought\x1b[5Gfor 1s b|c", "a [Thought\x1b[5Gfor 1s] bc"),
            ("Thought for 1s Thought for 1s|", "Thought for 1s [Thought for 1s]"),
            ("ab|Thought for 1s", "ab[Thought for 1s]"),
            // Not all of it was drawn again.
            ("ab1s|c", "[ab1s]c"),
            (&format!("Thought{far}for 1s|"), &format!("[Thought{far}for 1s]")),
            ("|", "[]"),
        ] {
            let (before, after) = output.split_once('|').expect("a bar");
            let at = before.len() as u64;
            let seen = Seen { text: "Thought for 1s".to_owned(), t_us: 0, at: at..at };
            let mut shown = format!("{before}{after}");
            let span = seen.span(shown.as_bytes());
            shown.insert(span.end as usize, ']');
            shown.insert(span.start as usize, '[');
            assert_eq!(shown, expected);
        }
    }
}
