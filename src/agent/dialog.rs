//! Requests for permission, read from the screen: the only witness for most agents.
//!
//! The gate is strict, because a question may also stand in prose or in an echoed prompt: a known
//! question, below it a list in which one row is marked, among the rows one that says yes and one
//! that says no. The answer is the key that makes the dialog go away.

use super::generic::{Crossing, Direction};
use crate::event::{Approval, Body, Decider, Decision, Event, Evidence, Interrupt, MAIN, Source};
use crate::term::{Options, Size, Terminal};
use crate::time::WallTime;

/// How long the output must rest for the screen to be looked at, in microseconds.
pub const SETTLE_US: u64 = 100_000;
/// The most rows a dialog may offer.
pub const CHOICES_MAX: usize = 12;
/// How far apart a call and its dialog may be, in microseconds, to be taken for one.
pub const JOIN_US: i64 = 60_000_000;

/// The most presses of Esc that are remembered.
pub const ESCAPES_MAX: usize = 10_000;
/// How sure a press of Esc is to have stopped an agent at work that says nothing more.
const ESCAPED: f64 = 0.7;

/// Questions that ask for permission, as they begin or stand in a row, over all agents.
const QUESTIONS: &[&str] = &[
    "Do you want to proceed?",
    "Do you want to make this edit",
    "Do you want to create ",
    "Do you want to overwrite ",
    "Do you want to allow ",
    "Do you want to approve ",
    "Do you want to run ",
    "Do you want to edit ",
    "Do you want to read ",
    "Do you want to fetch ",
    "Do you want to use ",
    "Do you trust the ",
    "Is this a project you created or one you trust",
    "Would you like to run the following command?",
    "Would you like to make the following edits?",
    "Would you like to grant these permissions?",
    "Would you like to proceed?",
    "Trust this folder?",
    "Implement this plan?",
    "Apply this change?",
    "Allow execution of",
    "Run this command?",
    "Write this file?",
    "Edit this file?",
    "Delete this file?",
    "Create this file?",
    "Apply this edit?",
    "Approve tool call?",
    "Permission required",
    "Permission Required",
];
/// Marks of the highlighted row.
const MARKS: &[char] = &['❯', '›', '▶', '●', '>', '•'];
const YES: &[&str] =
    &["yes", "allow", "approve", "run", "trust", "delete", "create", "accept", "continue"];
const NO: &[&str] = &["no", "reject", "deny", "skip", "keep", "don't", "cancel", "decline"];
const ALWAYS: &[&str] =
    &["always", "don't ask again", "this session", "all edits", "future sessions", "everything"];

/// A request for permission on a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    /// The question.
    pub question: String,
    /// What stands above the question and between it and the rows: what it is about.
    pub about: String,
    /// The rows, without their numbers.
    pub choices: Vec<String>,
    /// The highlighted row; one past the last where keys stand beside the choices and none is
    /// highlighted.
    pub marked: usize,
    /// The rows stand side by side, and which is highlighted is told by its colour alone.
    pub buttons: bool,
}

/// The dialog on a screen, given as rows of text.
pub fn dialog(rows: &[String]) -> Option<Dialog> {
    let rows: Vec<&str> = rows.iter().map(|row| inside(row)).collect();
    // The lowest question counts; one above may be history.
    let at = (0..rows.len()).rev().find(|&i| QUESTIONS.iter().any(|q| rows[i].contains(q)))?;
    let question = rows[at].trim_start_matches(['△', '?', ' ']).trim_start_matches(MARKS).trim();
    let (choices, marked, buttons, first) = list(&rows[at + 1..])
        .or_else(|| button_row(&rows[at + 1..]))
        .or_else(|| key_row(&rows[at + 1..]))?;
    let says = |words: &[&str]| choices.iter().any(|c| begins_with(c, words));
    if !says(YES) || !says(NO) {
        return None;
    }
    let below: Vec<&str> =
        rows[at + 1..at + 1 + first].iter().copied().filter(|r| tells(r)).collect();
    let about = if below.is_empty() { above(&rows[..at]) } else { below };
    let (question, about) = (question.to_owned(), about.join("\n"));
    Some(Dialog { question, about, choices, marked, buttons })
}

/// The most rows above a question that are taken for what it is about.
const ABOVE_MAX: usize = 6;

/// What stands above a question, up to the rule that sets the dialog off.
fn above<'a>(rows: &[&'a str]) -> Vec<&'a str> {
    let mut about = Vec::new();
    for row in rows.iter().rev() {
        let rule = !tells(row) && row.chars().filter(|c| matches!(c, '─' | '━' | '╌')).count() > 2;
        if about.len() == ABOVE_MAX || (rule && !about.is_empty()) {
            break;
        }
        about.extend(Some(*row).filter(|row| tells(row)));
    }
    about.reverse();
    about
}

fn tells(row: &str) -> bool {
    row.chars().any(char::is_alphanumeric)
}

/// A row without the frames around it.
fn inside(row: &str) -> &str {
    row.trim_matches(['│', '┃', '|', '║', ' '])
}

fn begins_with(choice: &str, words: &[&str]) -> bool {
    let lower = choice.to_lowercase();
    words.iter().any(|word| {
        lower.strip_prefix(word).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
    })
}

/// Choices, the marked one, side by side or not, rows above them.
type Choices = (Vec<String>, usize, bool, usize);

/// The most rows that a label which is too long for its row goes on in, empty ones included.
pub const WRAPPED_ROWS_MAX: usize = 2;

/// Numbered rows, one of them marked. A label that is wrapped goes on in the next rows, up to the
/// next number.
fn list(rows: &[&str]) -> Option<Choices> {
    let mut choices: Vec<String> = Vec::new();
    let mut marked = None;
    let mut first = 0;
    let mut wrapped: Vec<&str> = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        let mark = row.starts_with(MARKS);
        let rest = row.trim_start_matches(MARKS).trim_start();
        let number =
            rest.split_once(['.', ')']).filter(|(n, _)| n.parse() == Ok(choices.len() + 1));
        match number {
            Some((_, label)) if choices.len() < CHOICES_MAX => {
                if choices.is_empty() {
                    first = i;
                }
                if mark {
                    marked = Some(choices.len());
                }
                for rest in wrapped.drain(..).filter(|rest| tells(rest)) {
                    choices.iter_mut().last().into_iter().for_each(|label| {
                        label.push(' ');
                        label.push_str(rest.trim());
                    });
                }
                choices.push(label.trim().to_owned());
            }
            _ if choices.is_empty() => {}
            _ if wrapped.len() == WRAPPED_ROWS_MAX => break,
            _ => wrapped.push(row),
        }
    }
    Some((choices, marked?, false, first))
}

/// Three words side by side, as opencode has them.
fn button_row(rows: &[&str]) -> Option<Choices> {
    rows.iter().enumerate().find_map(|(i, row)| {
        let labels: Vec<String> = row
            .split("  ")
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .take(3)
            .map(str::to_owned)
            .collect();
        let buttons = ["Allow once", "Allow always", "Reject"];
        (labels == buttons).then_some((labels, 0, true, i))
    })
}

/// Choices side by side, each with its key before it, as cline has them: `[y] Approve   [n] Deny`.
/// The key goes behind the label, where the other agents write it.
fn key_row(rows: &[&str]) -> Option<Choices> {
    let choice = |part: &str| {
        let (key, label) = part.strip_prefix('[')?.split_once("] ")?;
        (key.chars().count() == 1).then(|| format!("{} ({key})", label.trim()))
    };
    rows.iter().enumerate().find_map(|(i, row)| {
        let parts = row.split("  ").map(str::trim).filter(|part| !part.is_empty());
        let choices: Vec<String> = parts.take(CHOICES_MAX).map(choice).collect::<Option<_>>()?;
        let marked = choices.len();
        (marked > 1).then_some((choices, marked, true, i))
    })
}

/// What a choice decides.
pub fn decision(choice: &str) -> Decision {
    let lower = choice.to_lowercase();
    if begins_with(choice, NO) {
        return Decision::RejectOnce;
    }
    match begins_with(choice, YES) {
        true if ALWAYS.iter().any(|word| lower.contains(word)) => Decision::AllowAlways,
        true => Decision::AllowOnce,
        false => Decision::Unknown,
    }
}

/// A dialog that is open, and what has been pressed since it was last seen.
#[derive(Debug)]
struct Open {
    dialog: Dialog,
    since_us: u64,
    marked: usize,
    /// The answer, its key, and when.
    answer: Option<(Decision, &'static str, u64)>,
    /// The output that painted it: from where to where.
    painted: (u64, u64),
}

/// Requests for permission of a recorded session: `crossings` in their order, on a terminal of
/// `size`, begun at `started`. Confidence is 0.9 where a key answers, 0.5 where the dialog goes away
/// by itself.
pub fn approvals<'a>(
    crossings: impl IntoIterator<Item = Crossing<'a>>,
    size: Size,
    started: WallTime,
) -> Vec<Event> {
    let mut watcher = Watcher::new(size, started);
    for crossing in crossings {
        watcher.feed(crossing);
    }
    watcher.finish()
}

/// Watches a session as it goes; see [`approvals`].
#[derive(Debug)]
pub struct Watcher {
    terminal: Terminal,
    started: WallTime,
    last_us: u64,
    unseen: bool,
    offset: u64,
    /// How far the output went when the screen was looked at last.
    looked: u64,
    /// Bytes that were typed.
    typed: u64,
    open: Option<Open>,
    events: Vec<Event>,
    escapes: Vec<Event>,
}

impl Watcher {
    /// A watcher at the beginning of a session.
    pub fn new(size: Size, started: WallTime) -> Watcher {
        let options = Options { history_rows: 0, ..Options::default() };
        let terminal = Terminal::new(size, options);
        Watcher {
            terminal,
            started,
            last_us: 0,
            unseen: false,
            offset: 0,
            looked: 0,
            typed: 0,
            open: None,
            events: Vec::new(),
            escapes: Vec::new(),
        }
    }

    /// The dialog that waits for an answer, and since when, in microseconds since the beginning.
    pub fn waiting(&self) -> Option<(&Dialog, u64)> {
        self.open
            .as_ref()
            .filter(|open| open.answer.is_none())
            .map(|open| (&open.dialog, open.since_us))
    }

    /// Takes what crossed the terminal next.
    pub fn feed(&mut self, crossing: Crossing<'_>) {
        if crossing.t_us >= self.last_us.saturating_add(SETTLE_US) {
            self.look();
        }
        match crossing.direction {
            Direction::Output => {
                self.terminal.feed(crossing.bytes);
                self.offset += crossing.bytes.len() as u64;
                self.last_us = crossing.t_us;
                self.unseen = true;
            }
            Direction::Input => {
                // A quick hand answers before the screen has rested.
                self.look();
                self.escape(crossing.t_us, crossing.bytes);
                self.key(crossing.t_us, crossing.bytes);
                self.typed += crossing.bytes.len() as u64;
            }
            Direction::Resize { cols, rows } => self.terminal.resize(Size::new(cols, rows)),
        }
    }

    /// The time goes on without anything crossing the terminal.
    pub fn rest(&mut self, t_us: u64) {
        if t_us >= self.last_us.saturating_add(SETTLE_US) {
            self.look();
        }
    }

    /// Presses of Esc while no dialog was open, as interrupts: whether one stopped the agent, only
    /// what it did next can tell. [`ESCAPES_MAX`] at most.
    pub fn escapes(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.escapes)
    }

    /// The approvals so far, those that were still open at the end included.
    pub fn finish(mut self) -> Vec<Event> {
        self.look();
        if let Some(open) = self.open.take() {
            let end = self.last_us;
            self.close(open, end);
        }
        self.events
    }

    fn look(&mut self) {
        let screen = self.terminal.screen();
        if !std::mem::take(&mut self.unseen) || screen.in_sync() {
            return;
        }
        let rows: Vec<String> =
            (0..usize::from(screen.size().rows)).map(|y| screen.row_text(y)).collect();
        let from = std::mem::replace(&mut self.looked, self.offset);
        let seen = dialog(&rows);
        match (self.open.take(), seen) {
            (Some(mut open), Some(seen)) if same(&open.dialog, &seen) => {
                // Drawn again: an arrow moved the mark, or the window changed.
                if !seen.buttons {
                    open.marked = seen.marked;
                }
                open.dialog = seen;
                self.open = Some(open);
            }
            (before, seen) => {
                let now = self.last_us;
                if let Some(open) = before {
                    self.close(open, now);
                }
                self.open = seen.map(|dialog| Open {
                    marked: dialog.marked,
                    dialog,
                    since_us: now,
                    answer: None,
                    painted: (from, self.offset),
                });
            }
        }
    }

    fn escape(&mut self, t_us: u64, bytes: &[u8]) {
        let is_escape = matches!(bytes, b"\x1b" | b"\x1b[27u" | b"\x1b[27;1u");
        if !is_escape || self.open.is_some() || self.escapes.len() == ESCAPES_MAX {
            return;
        }
        let interrupt = Interrupt { key: Some("esc".to_owned()), effect: None };
        let (offset, len) = (self.typed, bytes.len() as u64);
        self.escapes.push(Event {
            time: Some(self.started.plus_us(i64::try_from(t_us).unwrap_or(i64::MAX))),
            mono_ns: t_us.checked_mul(1000),
            conf: ESCAPED,
            evidence: Some(Evidence { stream: "stdin".to_owned(), offset, len }),
            ..Event::new(Source::Pty, interrupt)
        });
    }

    fn key(&mut self, t_us: u64, bytes: &[u8]) {
        let Some(open) = &mut self.open else { return };
        let choices = &open.dialog.choices;
        let last = choices.len() - 1;
        let chosen = |i: usize, key: &'static str| {
            Some((choices.get(i).map_or(Decision::Unknown, |c| decision(c)), key, t_us))
        };
        match bytes {
            b"\r" | b"\n" | b"\x1b[13u" => open.answer = chosen(open.marked, "enter"),
            b"\x1b" | b"\x1b[27u" => {
                let no = choices.iter().position(|c| c.to_lowercase().contains("(esc"));
                let decided = if no.is_some() { Decision::RejectOnce } else { Decision::Cancelled };
                open.answer = Some((decided, "esc", t_us));
            }
            b"\x03" | b"\x1b[99;5u" => open.answer = Some((Decision::Cancelled, "ctrl-c", t_us)),
            b"\x1b[A" | b"\x1bOA" | b"\x1b[D" | b"\x1bOD" | b"\x1b[Z" => {
                open.marked = open.marked.saturating_sub(1);
            }
            b"\x1b[B" | b"\x1bOB" | b"\x1b[C" | b"\x1bOC" | b"\t" => {
                open.marked = (open.marked + 1).min(last.max(open.marked));
            }
            [digit @ b'1'..=b'9'] => {
                let i = usize::from(digit - b'1');
                if i <= last {
                    open.answer = chosen(i, "digit");
                }
            }
            [letter] if letter.is_ascii_alphabetic() => {
                let hint = format!("({})", char::from(*letter).to_ascii_lowercase());
                if let Some(i) = choices.iter().position(|c| c.to_lowercase().contains(&hint)) {
                    open.answer = chosen(i, "letter");
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, open: Open, now: u64) {
        let Open { dialog, since_us, answer, painted: (from, to), .. } = open;
        let until = answer.map_or(now, |(_, _, t_us)| t_us);
        let ask = match dialog.about.is_empty() {
            true => dialog.question,
            false => format!("{}\n{}", dialog.question, dialog.about),
        };
        let approval = Approval {
            ask,
            options: dialog.choices,
            decision: Some(answer.map_or(Decision::Unknown, |(decided, ..)| decided)),
            by: answer.map(|_| Decider::User),
            key: answer.map(|(_, key, _)| key.to_owned()),
            waited_ms: Some(until.saturating_sub(since_us) / 1000),
            call_id: None,
        };
        let stream = "stdout".to_owned();
        let evidence = Evidence { stream, offset: from, len: to.saturating_sub(from) };
        self.events.push(Event {
            time: Some(self.started.plus_us(i64::try_from(until).unwrap_or(i64::MAX))),
            mono_ns: until.checked_mul(1000),
            conf: if answer.is_some() { 0.9 } else { 0.5 },
            evidence: Some(evidence),
            ..Event::new(Source::Pty, approval)
        });
    }
}

/// Whether two screens show one dialog: a narrow window wraps labels, an arrow moves the mark.
fn same(a: &Dialog, b: &Dialog) -> bool {
    let label = |c: &String| c.chars().filter(|c| c.is_alphanumeric()).take(12).collect::<String>();
    a.question == b.question
        && a.about == b.about
        && a.choices.len() == b.choices.len()
        && a.choices.iter().zip(&b.choices).all(|(a, b)| label(a) == label(b))
}

/// What becomes of an approval that was seen on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// The transcript states it itself, in this event, which has taken what the screen adds.
    Into(usize),
    /// It goes behind this event, the call it is about.
    After(usize),
    /// The transcript has nothing of it.
    Alone,
}

/// Brings an approval seen on the screen together with a transcript's calls and approvals: with the
/// call that the dialog names, where there is one near in time. What the transcript says itself
/// stays; the screen adds the key, the rows and the wait.
pub fn join(events: &mut [Event], seen: &mut Event) -> Joined {
    let Body::Approval(ask) = &mut seen.body else { return Joined::Alone };
    let call = call_of(events, ask, seen.time);
    let Some(at) = call.or_else(|| answered(events, ask, seen.time)) else { return Joined::Alone };
    let Body::ToolCall(call) = &events[at].body else { return Joined::Alone };
    let call_id = call.call_id.clone();
    ask.call_id.clone_from(&call_id);
    let stated = events.iter().position(|e| {
        matches!(&e.body, Body::Approval(a) if call_id.is_some() && a.call_id == call_id && a.key.is_none())
    });
    if let Some(stated_at) = stated
        && let Event { body: Body::Approval(stated), also, .. } = &mut events[stated_at]
    {
        stated.options = std::mem::take(&mut ask.options);
        stated.key = ask.key.take();
        stated.waited_ms = stated.waited_ms.or(ask.waited_ms);
        stated.decision = stated.decision.filter(|d| *d != Decision::Unknown).or(ask.decision);
        also.extend(seen.evidence.take());
        return Joined::Into(stated_at);
    }
    seen.agent.clone_from(&events[at].agent);
    Joined::After(at)
}

fn us(time: WallTime) -> i64 {
    time.unix_us
}

/// The call a dialog is about: its command or its path stands in the dialog, and no other dialog
/// has claimed it.
fn call_of(events: &[Event], ask: &Approval, time: Option<WallTime>) -> Option<usize> {
    let shown: String = ask.ask.chars().filter(|c| !c.is_whitespace()).collect();
    let fits = |at: &usize| {
        let event = &events[*at];
        let Body::ToolCall(call) = &event.body else { return false };
        let near = match (event.time, time) {
            (Some(call), Some(asked)) => (us(call) - us(asked)).abs() <= JOIN_US,
            _ => true,
        };
        let texts = call.title.iter().chain(&call.paths);
        let mut named = texts.map(|t| t.chars().filter(|c| !c.is_whitespace()).collect::<String>());
        let name = |t: String| {
            let file = t.rsplit('/').next().unwrap_or(&t).to_owned();
            t.len() >= 2 && (shown.contains(&t) || (file.len() >= 3 && shown.contains(&file)))
        };
        event.stream == MAIN && near && named.any(name) && !claimed(events, call.call_id.as_deref())
    };
    let nearest = |at: &usize| match (events[*at].time, time) {
        (Some(call), Some(asked)) => (us(call) - us(asked)).abs(),
        _ => i64::MAX,
    };
    (0..events.len()).filter(fits).min_by_key(nearest)
}

/// The call of the only approval near in time that the transcript says was decided the same: a
/// warning can take the place of the call's words in a dialog.
fn answered(events: &[Event], ask: &Approval, time: Option<WallTime>) -> Option<usize> {
    let near = |event: &Event| {
        let both = event.time.zip(time);
        both.is_some_and(|(stated, seen)| (us(stated) - us(seen)).abs() <= JOIN_US)
    };
    let mut stated = events.iter().filter(|e| near(e)).filter_map(|e| match &e.body {
        Body::Approval(a) if a.key.is_none() && a.decision == ask.decision => a.call_id.as_ref(),
        _ => None,
    });
    let (id, more) = (stated.next()?, stated.next());
    let is_it = |e: &Event| matches!(&e.body, Body::ToolCall(c) if c.call_id.as_ref() == Some(id));
    events.iter().position(is_it).filter(|_| more.is_none())
}

fn claimed(events: &[Event], call_id: Option<&str>) -> bool {
    call_id.is_some()
        && events.iter().any(|e| {
            matches!(&e.body, Body::Approval(a) if a.call_id.as_deref() == call_id && a.key.is_some())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `question | choices, the marked one in brackets`, or nothing.
    fn check(screen: &str, expected: &str) {
        let rows: Vec<String> = screen.lines().map(str::to_owned).collect();
        let seen = dialog(&rows).map_or(String::new(), |d| {
            let choices: Vec<String> = d
                .choices
                .iter()
                .enumerate()
                .map(|(i, c)| if i == d.marked { format!("[{c}]") } else { c.clone() })
                .collect();
            format!("{} | {}", d.question, choices.join(", "))
        });
        assert_eq!(seen, expected, "{screen}");
    }

    #[test]
    fn dialogs_are_read_as_agents_paint_them() {
        check(
            " Bash command\n\n   touch x\n\n Do you want to proceed?\n ❯ 1. Yes\n   2. Yes, and always allow access to agents/\n   3. No\n\n Esc to cancel",
            "Do you want to proceed? | [Yes], Yes, and always allow access to agents/, No",
        );
        check(
            "  Would you like to run the following command?\n\n  $ touch x\n\n  1. Yes, proceed (y)\n› 2. Yes, and don't ask again (p)\n  3. No, and tell Codex what to do differently (esc)",
            "Would you like to run the following command? | Yes, proceed (y), [Yes, and don't ask again (p)], No, and tell Codex what to do differently (esc)",
        );
        check(
            "│ Allow execution of [Shell]?      │\n│                  │\n│ ● 1. Allow once │\n│   2. Allow for this session │\n│   3. No, suggest changes (esc) │",
            "Allow execution of [Shell]? | [Allow once], Allow for this session, No, suggest changes (esc)",
        );
        check(
            "   ▶ Run this command?\n   $ ls\n   ▶ 1. Approve once\n     2. Approve for this session\n     3. Reject\n     4. Reject with feedback",
            "Run this command? | [Approve once], Approve for this session, Reject, Reject with feedback",
        );
        check(
            "│ Do you want to create /p/a.py?  │\n│ ❯ 1. Yes  │\n│   2. Yes, and don't ask again in this repo │\n│   (/home/.../project) │\n│   3. No (Esc to stop) │\n│ │\n│ enter to select │",
            "Do you want to create /p/a.py? | [Yes], Yes, and don't ask again in this repo (/home/.../project), No (Esc to stop)",
        );
        check(
            "  ┃  △ Permission required\n  ┃    ← Access external directory /x\n  ┃   Allow once   Allow always   Reject             ctrl+f fullscreen  ⇆ select",
            "Permission required | [Allow once], Allow always, Reject",
        );
        check(
            " Cline needs permission\n Approve tool call?\n run_commands\n {\"commands\":[\"ls\"]}\n\n [y] Approve   [n] Deny",
            "Approve tool call? | Approve (y), Deny (n)",
        );
    }

    /// The decision and the key of an answer to cline's dialog.
    #[test]
    fn a_key_beside_a_choice_answers() {
        let screen = b"Approve tool call?\r\nrun_commands\r\n[y] Approve   [n] Deny\r\n";
        for (keys, decision, key) in [
            ("y", Decision::AllowOnce, "letter"),
            ("n", Decision::RejectOnce, "letter"),
            ("\r", Decision::Unknown, "enter"),
            ("\x1b", Decision::Cancelled, "esc"),
        ] {
            let crossing = |t_us, direction, bytes| Crossing { t_us, direction, bytes };
            let crossings = [
                crossing(0, Direction::Output, &screen[..]),
                crossing(1_000_000, Direction::Input, keys.as_bytes()),
                crossing(1_100_000, Direction::Output, b"\x1b[H\x1b[J"),
            ];
            let seen = approvals(crossings, Size::new(80, 24), WallTime::default());
            let [Event { body: Body::Approval(seen), .. }] = &seen[..] else { panic!("{seen:?}") };
            assert_eq!((seen.decision, seen.key.as_deref()), (Some(decision), Some(key)));
        }
    }

    /// Keys after a dialog, or after none, and how many of them may stop an agent.
    #[test]
    fn escape_answers_a_dialog_or_may_interrupt() {
        let dialog = "Approve tool call?\r\n[y] Approve   [n] Deny\r\n";
        for (screen, keys, expected) in [
            ("working", &["\x1b"][..], 1),
            ("working", &["a", "\x1b[27u", "\x1b[A", "\x1b"], 2),
            (dialog, &["\x1b"], 0),
            ("working", &["\x1b\x1b", "esc"], 0),
            ("working", &["\x1b"; ESCAPES_MAX + 1], ESCAPES_MAX),
        ] {
            let mut watcher = Watcher::new(Size::new(80, 24), WallTime::default());
            let crossing = |t_us, direction, bytes| Crossing { t_us, direction, bytes };
            watcher.feed(crossing(0, Direction::Output, screen.as_bytes()));
            for (i, keys) in keys.iter().enumerate() {
                let t_us = 1_000_000 + i as u64;
                watcher.feed(crossing(t_us, Direction::Input, keys.as_bytes()));
            }
            let escapes = watcher.escapes();
            assert_eq!(escapes.len(), expected, "{screen}: {:?}", &keys[..keys.len().min(4)]);
            let last = escapes.last().and_then(|event| event.evidence.as_ref());
            let typed: usize = keys.iter().map(|keys| keys.len()).sum();
            if let Some(last) = last.filter(|_| keys.len() < ESCAPES_MAX) {
                assert_eq!((last.offset + last.len) as usize, typed, "{screen}");
            }
        }
    }

    #[test]
    fn what_only_speaks_of_a_question_is_none() {
        // Prose, an echoed prompt, a list without a mark, without a no, above the question, notices.
        check("The agent asks \"Do you want to proceed?\" and you say yes.", "");
        check("❯ 1. Yes\n  2. No\nDo you want to proceed?", "");
        check("Do you want to proceed?\n  1. Yes\n  2. No", "");
        check("Do you want to proceed?\n❯ 1. Yes\n  2. Yes, always", "");
        check("Update available! 1.0 -> 1.1\n❯ 1. Update now\n  2. Skip", "");
        check(
            "Hooks need review\n› 1. Review hooks\n  2. Trust all and continue\n  3. Continue without trusting",
            "",
        );
        check("", "");
    }

    #[test]
    fn labels_decide() {
        for (label, expected) in [
            ("Yes", "allow_once"),
            ("Yes, and don't ask again for X", "allow_always"),
            ("Yes, allow all edits during this session (shift+tab)", "allow_always"),
            ("Approve for this session", "allow_always"),
            ("Run (once) (y)", "allow_once"),
            ("No, and tell Claude what to do differently (esc)", "reject_once"),
            ("Reject with feedback", "reject_once"),
            ("Nothing of the kind", "unknown"),
        ] {
            assert_eq!(decision(label).as_str(), expected, "{label}");
        }
    }

    #[test]
    fn a_label_goes_on_in_a_limited_number_of_rows() {
        for (rows, choices) in [(WRAPPED_ROWS_MAX, Some(2)), (WRAPPED_ROWS_MAX + 1, None)] {
            let mut screen = vec!["Do you want to proceed?".to_owned(), "❯ 1. Yes".to_owned()];
            screen.extend(vec!["and so on".to_owned(); rows]);
            screen.push("  2. No".to_owned());
            assert_eq!(dialog(&screen).map(|d| d.choices.len()), choices);
        }
    }

    #[test]
    fn a_dialog_has_a_limited_number_of_rows() {
        for (rows, seen) in [(CHOICES_MAX, CHOICES_MAX), (CHOICES_MAX + 1, CHOICES_MAX)] {
            let mut screen = vec!["Do you want to proceed?".to_owned(), "❯ 1. Yes".to_owned()];
            screen.extend((2..=rows).map(|n| format!("  {n}. No")));
            assert_eq!(dialog(&screen).map(|d| d.choices.len()), Some(seen));
        }
    }
}
