//! Turns of programs that keep no transcript, from what crossed the terminal: marks that a shell or
//! an agent sets around commands (OSC 133), lines that were typed, and quiet. A guess, and each
//! says how sure it is.

use super::keys::{Keys, Typed};
use crate::event::*;
use crate::term::transcript::{self, Line as Shown};
use crate::time::WallTime;
use std::ops::ControlFlow;

/// How long the output must rest for a turn to have ended, in microseconds.
pub const QUIET_US: u64 = 1_000_000;
/// The most turns that are looked for.
pub const TURNS_MAX: usize = 100_000;
/// The most bytes of typed lines that are kept to be searched.
const TYPED_MAX: usize = 4 << 20;
/// The longest answer that is kept, in bytes, with what each of its lines takes: of a longer one its
/// beginning.
pub const ANSWER_LEN_MAX: usize = 16 << 10;
/// The most bytes that are kept of the answers of a session, counted alike.
pub const ANSWERS_LEN_MAX: usize = 4 << 20;
/// How far into the output answers are looked for, in bytes.
pub const ANSWERED_OUTPUT_MAX: u64 = 64 << 20;
/// How much output before a line that was typed is looked at, in bytes, where what was before it is
/// not: to know the line, and the prompt that it was typed at.
pub const BEFORE_LINE_LEN: u64 = 256 << 10;
/// What ends an answer of which more was on the screen.
pub const CUT: &str = "[…]";
/// The longest mark that is understood, in bytes.
const MARK_LEN_MAX: usize = 256;

/// Confidence of a turn between marks.
const MARKED: f64 = 0.95;
/// Confidence of a line that was answered.
const ANSWERED: f64 = 0.6;
/// Confidence of a line in a program that has the whole screen: it may be text for an editor.
const FULL_SCREEN: f64 = 0.3;

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the user.
    Input,
    /// To the user.
    Output,
    /// Neither: the window has this size from here on.
    Resize {
        /// Columns.
        cols: u16,
        /// Rows.
        rows: u16,
    },
}

/// Bytes that crossed the terminal.
#[derive(Clone, Copy, Debug)]
pub struct Crossing<'a> {
    /// Microseconds since the session began.
    pub t_us: u64,
    /// Which way.
    pub direction: Direction,
    /// What.
    pub bytes: &'a [u8],
}

/// What began a turn, as far as it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// A mark before a command's output.
    Mark,
    /// Enter after a line.
    Line,
}

/// One turn.
#[derive(Clone, Debug, PartialEq)]
pub struct GenericTurn {
    /// When it began, in microseconds since the session began.
    pub started_us: u64,
    /// When its output ended.
    pub ended_us: u64,
    /// What was typed; empty where a mark came without keys (a command from history).
    pub text: String,
    /// A part of it was pasted.
    pub pasted: bool,
    /// Characters that were typed and taken back.
    pub taken_back: u64,
    /// The keystrokes that typed it.
    pub input: std::ops::Range<u64>,
    /// What began it.
    pub ground: Ground,
    /// The exit status that a mark states.
    pub exit_code: Option<i32>,
    /// The user stopped it with ^C.
    pub interrupted: bool,
    /// The bytes of output that belong to it.
    pub output: std::ops::Range<u64>,
    /// How sure it is, 0 to 1.
    pub conf: f64,
}

/// The turns of a session, from its keystrokes and its output in their order.
pub fn turns<'a>(crossings: impl IntoIterator<Item = Crossing<'a>>) -> Vec<GenericTurn> {
    let mut finder = Finder::default();
    crossings.into_iter().for_each(|crossing| finder.feed(&crossing));
    finder.finish()
}

/// What was on the screen between one line that was typed and the next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// As a person saw it, settled; empty where there was nothing.
    pub text: String,
    /// When its first line was seen, in microseconds since the session began.
    pub seen_us: u64,
    /// The output that showed it.
    pub output: std::ops::Range<u64>,
}

/// Looks for what was answered in the settled text.
#[derive(Debug)]
pub struct Answers<'a> {
    turns: &'a [GenericTurn],
    shown: Vec<Answering>,
    kept_len: usize,
}

/// The lines that were first seen in one turn.
#[derive(Clone, Debug, Default)]
struct Answering {
    lines: Vec<Shown>,
    len: usize,
    is_cut: bool,
    /// What stood before the line that was typed, where that was on the screen before Enter.
    prompt: Option<String>,
}

impl Answers<'_> {
    /// Looks for the answers of these turns.
    pub fn of(turns: &[GenericTurn]) -> Answers<'_> {
        let shown = vec![Answering::default(); turns.len()];
        Answers { turns, shown, kept_len: 0 }
    }

    /// Whether these bytes of the output may show any of them, after the lines that were taken;
    /// breaks off where no more can come. A flood is not worth a look to its end.
    pub fn wants(&self, output: std::ops::Range<u64>) -> ControlFlow<(), bool> {
        let next = self.turns.partition_point(|turn| turn.output.start <= output.start);
        let over = next.checked_sub(1).is_none_or(|at| {
            let turn = &self.turns[at];
            let marked = turn.ground == Ground::Mark && output.start >= turn.output.end;
            self.shown[at].is_cut || marked
        });
        let next = self.turns.get(next);
        if output.start > ANSWERED_OUTPUT_MAX || (over && next.is_none()) {
            return ControlFlow::Break(());
        }
        let near =
            |next: &GenericTurn| output.end.saturating_add(BEFORE_LINE_LEN) > next.output.start;
        ControlFlow::Continue(!over || next.is_some_and(near))
    }

    /// Takes the next line of the settled text.
    pub fn feed(&mut self, line: &Shown) {
        let offset = line.seen.offset;
        let next = self.turns.partition_point(|turn| turn.output.start <= offset);
        if let Some(turn) = self.turns.get(next)
            && let Some(prompt) = prompt_of(&line.text, turn)
        {
            self.shown[next].prompt = Some(prompt.to_owned());
        }
        let Some(at) = next.checked_sub(1) else { return };
        let turn = &self.turns[at];
        // A mark says where the output ends.
        if turn.ground == Ground::Mark && offset >= turn.output.end {
            return;
        }
        let shown = &mut self.shown[at];
        let len = line.text.len() + size_of::<Shown>();
        if shown.len + len > ANSWER_LEN_MAX || self.kept_len + len > ANSWERS_LEN_MAX {
            shown.is_cut = true;
        }
        if !shown.is_cut {
            shown.len += len;
            self.kept_len += len;
            shown.lines.push(line.clone());
        }
    }

    /// The answers, one for each turn.
    pub fn finish(mut self) -> Vec<Answer> {
        let is_blank = |line: &Shown| line.text.trim().is_empty();
        let mut answers = Vec::with_capacity(self.turns.len());
        for (at, turn) in self.turns.iter().enumerate() {
            let Answering { mut lines, is_cut, mut prompt, .. } =
                std::mem::take(&mut self.shown[at]);
            // A line that was typed ahead, or at once, is echoed after Enter.
            let echo = lines.iter().position(|line| !is_blank(line));
            if let (None, Some(echo)) = (&prompt, echo)
                && let Some(before) = prompt_of(&lines[echo].text, turn)
            {
                prompt = Some(before.to_owned());
                lines.drain(..=echo);
            }
            // At the end stands the prompt for the next line, and mostly that line.
            let next = self.turns.get(at + 1);
            let trim = |lines: &mut Vec<Shown>| {
                while lines.pop_if(|line| is_blank(line)).is_some() {}
            };
            trim(&mut lines);
            let ended = next.filter(|_| !is_cut).zip(lines.last());
            let typed = ended.is_some_and(|(next, last)| prompt_of(&last.text, next).is_some());
            let waits = prompt.is_some_and(|prompt| {
                let prompt = prompt.trim();
                let last = lines.last().map(|line| line.text.trim());
                !is_cut && !prompt.is_empty() && last == Some(prompt)
            });
            if typed || waits {
                lines.pop();
                trim(&mut lines);
            }
            let first = lines.iter().find(|line| !is_blank(line));
            let seen_us = first.map_or(0, |line| line.seen.time_us).max(turn.started_us);
            let end = lines.iter().map(|line| line.settled.offset).max().unwrap_or(0);
            let end = end.min(next.map_or(u64::MAX, |next| next.output.start));
            let start = turn.output.start;
            let mut text = transcript::text(&lines, false).trim_end().to_owned();
            if is_cut && !text.is_empty() {
                text.extend(["\n", CUT]);
            }
            answers.push(Answer { text, seen_us, output: start..end.max(turn.output.end) });
        }
        answers
    }
}

/// What stands before the words that a turn began with, where a line on the screen ends with them.
fn prompt_of<'a>(shown: &'a str, turn: &GenericTurn) -> Option<&'a str> {
    let typed = turn.text.lines().last().unwrap_or_default().trim();
    let prompt = shown.trim_end().strip_suffix(typed).filter(|_| !typed.is_empty())?;
    (!prompt.ends_with(char::is_alphanumeric)).then_some(prompt)
}

/// The turns as events: a message of the user, what was answered, where there was anything, and the
/// end of the turn with its output's place.
pub fn events(turns: &[GenericTurn], answers: &[Answer], started: WallTime) -> Vec<Event> {
    let mut events = Vec::new();
    let nothing = Answer::default();
    let answers = answers.iter().chain(std::iter::repeat(&nothing));
    for (turn, answer) in turns.iter().zip(answers) {
        let at = |us: u64, body: Body| Event {
            time: Some(started.plus_us(i64::try_from(us).unwrap_or(i64::MAX))),
            mono_ns: us.checked_mul(1000),
            conf: turn.conf,
            ..Event::new(Source::Pty, body)
        };
        let span = |stream: &str, span: &std::ops::Range<u64>| Evidence {
            stream: stream.to_owned(),
            offset: span.start,
            len: span.end - span.start,
        };
        let said = UserMessage {
            text: turn.text.clone(),
            form: Some(if turn.pasted { MessageForm::Pasted } else { MessageForm::Typed }),
            edited_keystrokes: (turn.taken_back > 0).then_some(turn.taken_back),
            ..Default::default()
        };
        // A command from a shell's history is typed nowhere.
        let evidence = match turn.text.is_empty() {
            true => span("stdout", &turn.output),
            false => span("stdin", &turn.input),
        };
        events.push(Event { evidence: Some(evidence), ..at(turn.started_us, said.into()) });
        if !answer.text.is_empty() {
            let shown = AssistantMessage { text: answer.text.clone(), ..Default::default() };
            let evidence = Some(span("stdout", &answer.output));
            events.push(Event { evidence, ..at(answer.seen_us, shown.into()) });
        }
        if turn.interrupted {
            let key = Some("ctrl-c".to_owned());
            events.push(at(turn.ended_us, Interrupt { key, effect: None }.into()));
        }
        let stop_reason =
            if turn.interrupted { StopReason::Cancelled } else { StopReason::EndTurn };
        let evidence = span("stdout", &turn.output);
        let end = TurnEnd {
            stop_reason: Some(stop_reason),
            duration_ms: Some((turn.ended_us - turn.started_us) / 1000),
            ..Default::default()
        };
        events.push(Event { evidence: Some(evidence), ..at(turn.ended_us, end.into()) });
    }
    for (seq, event) in events.iter_mut().enumerate() {
        event.seq = seq as u64;
    }
    number(&mut events);
    events
}

/// A line that was typed.
#[derive(Debug, Default)]
struct Line {
    text: String,
    pasted: bool,
    taken_back: u64,
    input: std::ops::Range<u64>,
}

/// Looks for turns in what crosses the terminal, as it comes.
#[derive(Debug, Default)]
pub struct Finder {
    turns: Vec<GenericTurn>,
    keys: Keys,
    /// All lines typed, to which [`TYPED_MAX`] bytes: what a transcript's prompts are looked for in.
    typed: String,
    /// Output so far, in bytes.
    offset: u64,
    /// Input so far, and up to the last line.
    input: [u64; 2],
    last_output_us: u64,
    /// A turn that waits for its output, or has it still coming.
    open: Option<GenericTurn>,
    /// The last line typed, for the mark that follows it.
    line: Option<Line>,
    /// Marks have been seen: they say more than lines do.
    marks: bool,
    full_screen: bool,
    sequence: Option<Vec<u8>>,
}

impl Finder {
    /// Takes what crossed the terminal next.
    pub fn feed(&mut self, crossing: &Crossing<'_>) {
        match crossing.direction {
            Direction::Input => self.input(crossing.t_us, crossing.bytes),
            Direction::Output => self.output(crossing.t_us, crossing.bytes),
            Direction::Resize { .. } => {}
        }
    }

    /// The lines that were typed so far.
    pub fn typed(&self) -> &str {
        &self.typed
    }

    fn input(&mut self, t_us: u64, bytes: &[u8]) {
        let mut typed = Vec::new();
        let [before, line_end] = self.input;
        let input = line_end..before + bytes.len() as u64;
        self.input[0] = input.end;
        self.keys.feed(bytes, &mut |one| typed.push(one));
        for one in typed {
            if let Typed::Line { text, .. } = &one
                && self.typed.len() + text.len() < TYPED_MAX
            {
                self.typed.push_str(text);
                self.typed.push('\n');
            }
            if let Typed::Line { .. } = &one {
                self.input[1] = input.end;
            }
            match one {
                Typed::Line { text, pasted, taken_back } if !text.trim().is_empty() => {
                    let line = Line { text, pasted, taken_back, input: input.clone() };
                    if self.marks {
                        self.line = Some(line);
                    } else {
                        self.close(None);
                        let conf = if self.full_screen { FULL_SCREEN } else { ANSWERED };
                        self.begin(t_us, Ground::Line, line, conf);
                    }
                }
                Typed::Interrupt => {
                    if let Some(turn) = &mut self.open {
                        turn.interrupted = true;
                    }
                }
                Typed::Line { .. } | Typed::Escape => {}
            }
        }
    }

    fn begin(&mut self, t_us: u64, ground: Ground, line: Line, conf: f64) {
        let Line { text, pasted, taken_back, input } = line;
        self.open = Some(GenericTurn {
            started_us: t_us,
            ended_us: t_us,
            text,
            pasted,
            taken_back,
            input,
            ground,
            exit_code: None,
            interrupted: false,
            output: self.offset..self.offset,
            conf,
        });
    }

    fn output(&mut self, t_us: u64, bytes: &[u8]) {
        let rested = t_us.saturating_sub(self.last_output_us) > QUIET_US;
        if let Some(turn) = self.open.as_mut().filter(|turn| turn.ground == Ground::Line) {
            // After a rest, output that no line asked for is none of this turn.
            let over = rested && turn.output.end > turn.output.start;
            if !over {
                turn.output.end = self.offset + bytes.len() as u64;
                turn.ended_us = t_us;
            }
        }
        self.last_output_us = t_us;
        for (at, &b) in bytes.iter().enumerate() {
            self.mark_byte(t_us, self.offset + at as u64 + 1, b);
        }
        self.offset += bytes.len() as u64;
    }

    /// Collects `ESC ] … BEL` and `ESC [ ? … h` without a terminal behind it.
    fn mark_byte(&mut self, t_us: u64, end: u64, b: u8) {
        let Some(sequence) = &mut self.sequence else {
            if b == 0x1b {
                self.sequence = Some(Vec::new());
            }
            return;
        };
        sequence.push(b);
        let osc = sequence[0] == b']';
        let done = match sequence[0] {
            b']' => b == 0x07 || sequence.ends_with(b"\x1b\\"),
            b'[' => sequence.len() > 1 && (0x40..=0x7e).contains(&b),
            _ => true,
        };
        if done {
            let sequence = self.sequence.take().unwrap_or_default();
            if osc {
                self.mark(t_us, end, &sequence);
            } else {
                self.mode(&sequence);
            }
        } else if sequence.len() > MARK_LEN_MAX {
            self.sequence = None;
        }
    }

    fn mode(&mut self, sequence: &[u8]) {
        for (on, tail) in [(true, b'h'), (false, b'l')] {
            if [&b"[?1049"[..], b"[?1047", b"[?47"]
                .iter()
                .any(|m| sequence.strip_suffix(&[tail]) == Some(m))
            {
                self.full_screen = on;
            }
        }
    }

    /// `OSC 133 ; C`: a command's output begins. `OSC 133 ; D ; status`: it has ended. A prompt
    /// (`A`) ends one too, for those that set no `D`.
    fn mark(&mut self, t_us: u64, end: u64, sequence: &[u8]) {
        let text = String::from_utf8_lossy(sequence);
        let text = text.trim_end_matches(['\x07', '\\']).trim_end_matches('\x1b');
        let Some(mark) = text.strip_prefix("]133;") else { return };
        if !std::mem::replace(&mut self.marks, true) {
            // The line that led here has already begun a turn of lesser ground.
            if let Some(turn) = self.open.take() {
                let GenericTurn { text, pasted, taken_back, input, .. } = turn;
                self.line = Some(Line { text, pasted, taken_back, input });
            }
        }
        let mut parts = mark.split(';');
        match parts.next().unwrap_or_default() {
            "C" => {
                self.close(Some((t_us, end)));
                let line = self.line.take().unwrap_or_default();
                self.begin(t_us, Ground::Mark, line, MARKED);
                if let Some(turn) = &mut self.open {
                    turn.output = end..end;
                }
            }
            "D" => {
                if let Some(turn) = &mut self.open {
                    turn.exit_code = parts.next().and_then(|code| code.parse().ok());
                }
                self.close(Some((t_us, end)));
            }
            "A" => self.close(Some((t_us, end))),
            _ => {}
        }
    }

    /// The open turn has ended: at a mark, or where its output did.
    fn close(&mut self, mark: Option<(u64, u64)>) {
        let Some(mut turn) = self.open.take() else { return };
        if let (Ground::Mark, Some((t_us, end))) = (turn.ground, mark) {
            turn.ended_us = t_us;
            turn.output.end = end.max(turn.output.start);
        }
        // A line that nothing answered is no turn: an echo is the least answer.
        let answered = turn.ground == Ground::Mark || turn.output.end > turn.output.start;
        if answered && self.turns.len() < TURNS_MAX {
            self.turns.push(turn);
        }
    }

    /// The turns.
    pub fn finish(mut self) -> Vec<GenericTurn> {
        let end = (self.last_output_us, self.offset);
        self.close(Some(end));
        self.turns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::term::transcript::{Settled, Transcript};
    use crate::term::{Options, Size, Stamp};

    /// One crossing a line: `<seconds> < typed` or `<seconds> > printed`, with `\e`, `\r`, `\a`.
    /// Expected: `text [start-end] conf output`.
    fn check(script: &str, expected: &[&str]) {
        let lines = crossings(script);
        let all: Vec<u8> =
            lines.iter().filter(|l| l.1 == Direction::Output).flat_map(|l| l.2.clone()).collect();
        let crossings = lines.iter().map(|(t_us, direction, bytes)| Crossing {
            t_us: *t_us,
            direction: *direction,
            bytes,
        });
        let seen: Vec<String> = turns(crossings)
            .iter()
            .map(|t| {
                let output = &all[t.output.start as usize..t.output.end as usize];
                let code = t.exit_code.map_or(String::new(), |code| format!(" ={code}"));
                let stopped = if t.interrupted { " ^C" } else { "" };
                format!(
                    "{} [{}-{}] {} {:?}{code}{stopped}",
                    t.text,
                    t.started_us / 100_000,
                    t.ended_us / 100_000,
                    t.conf,
                    String::from_utf8_lossy(output)
                )
            })
            .collect();
        assert_eq!(seen, expected, "{script}");
    }

    fn crossings(script: &str) -> Vec<(u64, Direction, Vec<u8>)> {
        let crossing = |line: &str| {
            let mut parts = line.trim().splitn(3, ' ');
            let seconds: f64 = parts.next().and_then(|s| s.parse().ok()).expect(line);
            let direction =
                if parts.next() == Some("<") { Direction::Input } else { Direction::Output };
            let bytes = parts.next().unwrap_or_default();
            let escapes = [("\\e", "\x1b"), ("\\r", "\r"), ("\\n", "\n"), ("\\a", "\x07")];
            let bytes = escapes
                .iter()
                .fold(bytes.to_owned(), |bytes, (name, byte)| bytes.replace(name, byte));
            ((seconds * 1e6) as u64, direction, bytes.into_bytes())
        };
        script.lines().filter(|line| !line.trim().is_empty()).map(crossing).collect()
    }

    /// What the screen showed after each line that was typed: `line: [time] answer`.
    fn check_answers(script: &str, expected: &[&str]) {
        let lines = crossings(script);
        let mut settled = Transcript::new(Size::new(40, 10), Options::default());
        let mut shown = Vec::new();
        for (t_us, _, bytes) in lines.iter().filter(|line| line.1 == Direction::Output) {
            settled.feed(*t_us, bytes);
            shown.extend(settled.take_lines());
        }
        shown.extend(settled.finish(lines.last().map_or(0, |line| line.0)));
        let crossings = lines.iter().map(|(t_us, direction, bytes)| Crossing {
            t_us: *t_us,
            direction: *direction,
            bytes,
        });
        let turns = turns(crossings);
        let mut answers = Answers::of(&turns);
        shown.iter().for_each(|line| answers.feed(line));
        let said = turns.iter().zip(answers.finish()).map(|(turn, answer)| {
            format!("{}: [{}] {}", turn.text, answer.seen_us / 100_000, answer.text)
        });
        assert_eq!(said.collect::<Vec<_>>(), expected, "{script}");
    }

    #[test]
    fn what_the_screen_shows_before_the_next_line_is_the_answer() {
        // Echoed key by key, at a prompt.
        check_answers(
            "0.0 > $ \n1.0 < ls\n1.1 > ls\n1.5 < \\r\n1.6 > \\r\\na\\r\\nb\\r\\n$ \n5.0 < pwd\n5.1 > pwd\n5.5 < \\r\n5.6 > \\r\\n/home\\r\\n$ ",
            &["ls: [16] a\nb", "pwd: [56] /home"],
        );
        // Echoed at once, without a prompt: the answer may be what was typed.
        check_answers(
            "1.0 < hi\\r\n1.1 > hi\\r\\nhi\\r\\n\n9.0 < bye\\r\n9.1 > bye\\r\\nbye\\r\\n",
            &["hi: [11] hi", "bye: [91] bye"],
        );
        // After a rest, and with a spinner before it.
        check_answers(
            "0.0 > > \n1.0 < why?\\r\n1.1 > why?\\r\\n\n1.2 > | working\n1.3 > \\r/ working\n9.0 > \\r\\e[KBecause.\\r\\n> ",
            &["why?: [13] / working\nBecause."],
        );
        // Of a mark's turn what stands between the marks.
        check_answers(
            "0.0 > \\e]133;A\\a$ \\e]133;B\\a\n1.0 < ls\\r\n1.1 > ls\\r\\n\\e]133;C\\a\n1.2 > file\\r\\n\\e]133;D;0\\a\n1.3 > \\e]133;A\\a$ ",
            &["ls: [12] file"],
        );
        // Nothing.
        check_answers("0.0 > $ \n1.0 < true\\r\n1.1 > true\\r\\n$ ", &["true: [10] "]);
        check_answers("", &[]);
    }

    /// An answer at the limit, and one of a line more; the same of all answers.
    #[test]
    fn answers_have_limits() {
        let line = |offset: u64, len: usize| {
            let seen = Stamp { offset, time_us: 0 };
            let text = "x".repeat(len - size_of::<Shown>());
            Shown { text, seen, settled: seen, kind: Settled::Text, alternate: false }
        };
        let mut finder = Finder::default();
        let turns_count = ANSWERS_LEN_MAX / ANSWER_LEN_MAX + 1;
        for at in 0..turns_count as u64 {
            finder.feed(&Crossing { t_us: at, direction: Direction::Input, bytes: b"ask\r" });
            finder.feed(&Crossing { t_us: at, direction: Direction::Output, bytes: b"." });
        }
        let turns = finder.finish();
        for more in [0, 1] {
            let mut answers = Answers::of(&turns[..1]);
            answers.feed(&line(0, ANSWER_LEN_MAX / 2));
            answers.feed(&line(0, ANSWER_LEN_MAX / 2 + more));
            let answer = answers.finish().remove(0).text;
            assert_eq!(answer.ends_with(CUT), more == 1);
            assert_eq!(answer.lines().count(), 2);
        }
        let mut answers = Answers::of(&turns);
        for turn in &turns {
            answers.feed(&line(turn.output.start, ANSWER_LEN_MAX));
        }
        let answers = answers.finish();
        let (last, others) = answers.split_last().expect("answers");
        assert!(last.text.is_empty() && others.iter().all(|answer| !answer.text.is_empty()));
    }

    /// Of two lines, each with output to the next or the end: `w`anted, `n`ot, or `b`reaks off.
    #[test]
    fn output_is_looked_at_as_far_as_it_can_answer() {
        let far = 4 * BEFORE_LINE_LEN;
        let turn = |start: u64, end: u64| GenericTurn {
            output: start..end,
            ..turns([
                Crossing { t_us: 0, direction: Direction::Input, bytes: b"ask\r" },
                Crossing { t_us: 1, direction: Direction::Output, bytes: b"." },
            ])
            .remove(0)
        };
        let two = [turn(far, 2 * far), turn(2 * far, ANSWERED_OUTPUT_MAX + far)];
        let mut answers = Answers::of(&two);
        let check = |answers: &Answers<'_>, at: [u64; 7], expected: &str| {
            let word = |at: u64| match answers.wants(at..at + 10) {
                ControlFlow::Continue(true) => 'w',
                ControlFlow::Continue(false) => 'n',
                ControlFlow::Break(()) => 'b',
            };
            assert_eq!(at.map(word).iter().collect::<String>(), expected);
        };
        let near = BEFORE_LINE_LEN + 10;
        let last = ANSWERED_OUTPUT_MAX;
        let places = [0, far - near, far - near + 1, far, 2 * far - near, last, last + 1];
        check(&answers, places, "nnwwwwb");
        let seen = |offset| Stamp { offset, time_us: 0 };
        let long = |offset| Shown {
            text: "x".repeat(ANSWER_LEN_MAX),
            seen: seen(offset),
            settled: seen(offset),
            kind: Settled::Text,
            alternate: false,
        };
        answers.feed(&long(far));
        let places = [0, far, far + 10, 2 * far - near, 2 * far - near + 1, 2 * far, last];
        check(&answers, places, "nnnnwww");
        answers.feed(&long(2 * far));
        check(&answers, places, "nnnnwbb");
    }

    #[test]
    fn a_typed_line_and_what_follows_it_are_a_turn() {
        check(
            "0.0 > prompt\n1.0 < hi\\r\n1.1 > hello\n1.5 > more\n9.0 > tick\n10.0 < bye\\r\n10.1 > ok",
            &["hi [10-15] 0.6 \"hellomore\"", "bye [100-101] 0.6 \"ok\""],
        );
        check("1.0 < \\r\n1.1 > x\n2.0 < y", &[]);
        check("1.0 < unanswered\\r", &[]);
        check("1.0 < go\\r\n1.1 > a\n1.2 < \x03\n1.3 > b", &["go [10-13] 0.6 \"ab\" ^C"]);
        check(
            "0.5 > \\e[?1049h\n1.0 < text\\r\n1.1 > x\n2.0 > \\e[?1049l",
            &["text [10-20] 0.3 \"x\\u{1b}[?1049l\""],
        );
    }

    #[test]
    fn marks_say_more_than_lines() {
        check(
            "0.0 > \\e]133;A\\a$ \\e]133;B\\a\n1.0 < ls\\r\n1.1 > ls\\e]133;C\\a\n1.2 > file\\e]133;D;2\\a\n1.3 > \\e]133;A\\a$ ",
            &["ls [11-12] 0.95 \"file\\u{1b}]133;D;2\\u{7}\" =2"],
        );
        check("1.0 < ls\\r\n1.1 > \\e]133;C\\e\\\n1.2 > out", &["ls [11-12] 0.95 \"out\""]);
        // A command from history has no keys.
        check(
            "0.0 > \\e]133;A\\a\n1.0 > \\e]133;C\\ax\\e]133;D\\a",
            &[" [10-10] 0.95 \"x\\u{1b}]133;D\\u{7}\""],
        );
    }

    #[test]
    fn turns_become_events() {
        let turn = turns([
            Crossing { t_us: 5, direction: Direction::Input, bytes: b"hx\x7fi\r" },
            Crossing { t_us: 9, direction: Direction::Output, bytes: b"ok" },
            Crossing { t_us: 10, direction: Direction::Input, bytes: b"b" },
            Crossing { t_us: 11, direction: Direction::Input, bytes: b"y\r" },
            Crossing { t_us: 12, direction: Direction::Output, bytes: b"." },
        ]);
        let answer = Answer { text: "ok".to_owned(), seen_us: 9, output: 0..2 };
        let events = events(&turn, &[answer], WallTime { unix_us: 1_000_000, offset_s: 0 });
        let kinds: Vec<&str> = events.iter().map(|e| e.body.kind()).collect();
        let [said, answered, ended] = ["user_message", "assistant_message", "turn_end"];
        assert_eq!(kinds, [said, answered, ended, said, ended]);
        let evidence = events.iter().filter_map(|e| e.evidence.as_ref());
        let evidence: Vec<_> = evidence.map(|e| (e.stream.as_str(), e.offset, e.len)).collect();
        let shown = ("stdout", 0, 2);
        let expected = [("stdin", 0, 5), shown, shown, ("stdin", 5, 3), ("stdout", 2, 1)];
        assert_eq!(evidence, expected);
        assert_eq!((events[0].mono_ns, events[0].turn, events[0].conf), (Some(5000), Some(1), 0.6));
        assert!(
            matches!(&events[0].body, Body::UserMessage(m) if m.text == "hi" && m.edited_keystrokes == Some(1))
        );
    }

    #[test]
    fn rubbish_neither_panics_nor_grows() {
        const PIECES: &[u8] = b"\x1b]133;CDA\x07\\[?1049hl\r\n;0x";
        let mut bytes = Vec::new();
        let mut state = 7u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            bytes.push(PIECES[(state >> 33) as usize % PIECES.len()]);
        }
        let halves = bytes.chunks(7).enumerate().map(|(i, bytes)| Crossing {
            t_us: i as u64,
            direction: if i % 2 == 0 { Direction::Input } else { Direction::Output },
            bytes,
        });
        let found = turns(halves);
        assert!(found.windows(2).all(|w| w[0].output.end <= w[1].output.start));
        assert!(found.iter().all(|t| t.started_us <= t.ended_us));
    }
}
