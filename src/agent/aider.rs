//! aider: `.aider.chat.history.md` in the repository, Markdown that is appended to, and
//! `.aider.input.history` beside it, whose times are the only ones.
//!
//! `# aider chat started at …` begins a run, `#### …` is the user's, `> …` the program's, a pair of
//! tags holds reasoning, all else is the model's. The user's and the program's lines end in two
//! spaces, which is what tells them from a quotation or a heading in an answer.

use super::detect::Words;
use super::locate::{Base, Place, Project};
use super::transcript::Builder;
use super::{Agent, File, Scope, Transcript};
use crate::event::*;
use crate::time::WallTime;
use std::collections::VecDeque;

pub(super) const AGENT: Agent = Agent {
    name: "aider",
    programs: &["aider"],
    packages: &["aider-chat"],
    places: &[Place {
        env: None,
        tail: "",
        base: Base::Repository,
        patterns: &[".aider.chat.history.md", ".aider.input.history"],
        project: Project::None,
    }],
    session_key: |_| ".aider".to_owned(),
    words: &Words {
        resume: &[],
        session: &[],
        subcommands: &[],
        latest: &["--restore-chat-history"],
        prompt: &["-m", "--message"],
        back: &[],
    },
};

const RUN: &str = "# aider chat started at ";
const THINKING: &str = "<thinking-content-";
const THOUGHT: &str = "</thinking-content-";

pub(super) fn read(files: &[File<'_>], scope: &Scope<'_>) -> Transcript {
    let offset_s = scope.offset_s;
    let input = files.iter().find(|f| f.path.ends_with("input.history"));
    let typed = input.map(|f| typed(f.bytes, offset_s)).unwrap_or_default();
    let mut reader = Reader {
        out: Builder::new(AGENT.name),
        typed,
        offset_s,
        text: Block::default(),
        fence: false,
        naming: None,
        created: None,
        cost: 0,
    };
    for (index, file) in files.iter().enumerate().filter(|(_, f)| f.path.ends_with(".md")) {
        reader.chat(index, file.bytes);
    }
    reader.out.finish()
}

/// What was typed, with its time: `# <time>`, then a line `+…` for each line.
fn typed(bytes: &[u8], offset_s: i32) -> VecDeque<(Option<WallTime>, String)> {
    let mut entries: VecDeque<(Option<WallTime>, String)> = VecDeque::new();
    for line in String::from_utf8_lossy(bytes).lines() {
        if let Some(time) = line.strip_prefix("# ") {
            entries.push_back((local(time, offset_s), String::new()));
        } else if let (Some(text), Some(entry)) = (line.strip_prefix('+'), entries.back_mut()) {
            entry.1.push_str(if entry.1.is_empty() { "" } else { "\n" });
            entry.1.push_str(text);
        }
    }
    entries
}

/// A local time without offset, `2026-11-20 23:33:31.758242`.
fn local(text: &str, offset_s: i32) -> Option<WallTime> {
    let utc = WallTime::parse_rfc3339(&format!("{}Z", text.trim()))?;
    Some(WallTime { unix_us: utc.unix_us - i64::from(offset_s) * 1_000_000, offset_s })
}

/// Lines that belong together, and where they stand.
#[derive(Default)]
struct Block {
    kind: Kind,
    text: String,
    start: usize,
    end: usize,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Answer,
    Thinking,
    User,
}

struct Reader {
    out: Builder,
    typed: VecDeque<(Option<WallTime>, String)>,
    offset_s: i32,
    text: Block,
    fence: bool,
    /// The notice before this one: questions name their file there.
    naming: Option<String>,
    /// The file the user has just agreed to create.
    created: Option<String>,
    /// Cost of the run so far, in millionths of a dollar.
    cost: u64,
}

impl Reader {
    fn chat(&mut self, index: usize, bytes: &[u8]) {
        let mut at = 0;
        for raw in bytes.split_inclusive(|&b| b == b'\n') {
            let line = String::from_utf8_lossy(raw);
            let line = line.trim_end_matches(['\n', '\r']);
            self.line(index, line, at, at + raw.len());
            at += raw.len();
        }
        self.flush(index);
    }

    fn line(&mut self, index: usize, line: &str, start: usize, end: usize) {
        let marked = line.ends_with("  ");
        if let Some(time) = line.strip_prefix(RUN) {
            self.flush(index);
            self.out.at(index, start as u64, (end - start) as u64);
            self.out.time = local(time, self.offset_s);
            if self.out.native.started.is_none() {
                self.out.native.started = self.out.time;
            }
            self.out.push(SessionStart::default());
            self.cost = 0;
        } else if let Some(text) = line.strip_prefix("####").filter(|_| marked) {
            self.fence = false;
            self.add(index, Kind::User, text.trim_start_matches(' ').trim_end(), start, end);
        } else if let Some(text) = line.strip_prefix('>').filter(|_| marked && !self.fence) {
            self.flush(index);
            self.out.at(index, start as u64, (end - start) as u64);
            self.notice(text.trim());
        } else if line.starts_with(THINKING) {
            self.flush(index);
            self.text = Block { kind: Kind::Thinking, text: String::new(), start, end };
        } else if line.starts_with(THOUGHT) {
            self.text.end = end;
            self.flush(index);
        } else {
            let kind = if self.text.kind == Kind::Thinking { Kind::Thinking } else { Kind::Answer };
            self.fence ^= kind == Kind::Answer && line.starts_with("```");
            self.add(index, kind, line, start, end);
        }
    }

    fn add(&mut self, index: usize, kind: Kind, line: &str, start: usize, end: usize) {
        if self.text.kind != kind {
            self.flush(index);
        }
        if self.text.text.is_empty() {
            if line.is_empty() && kind == Kind::Answer {
                return;
            }
            if kind != Kind::Thinking {
                self.text = Block { kind, text: String::new(), start, end };
            }
        } else {
            self.text.text.push('\n');
        }
        self.text.text.push_str(line);
        self.text.end = end;
    }

    /// Says the lines collected so far.
    fn flush(&mut self, index: usize) {
        let Block { kind, text, start, end } = std::mem::take(&mut self.text);
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        self.out.at(index, start as u64, (end - start) as u64);
        match kind {
            Kind::Answer => {
                let (text, model) = (text.to_owned(), self.out.native.model.clone());
                self.out.push(AssistantMessage { text, model, ..Default::default() });
            }
            Kind::Thinking => {
                let form = Some(ThoughtForm::Full);
                self.out.push(Thought { text: text.to_owned(), form, signature_only: false });
            }
            Kind::User => {
                self.out.time = self.time_of(text);
                let form = match text.as_bytes()[0] {
                    b'/' => MessageForm::Slash,
                    b'!' => MessageForm::Bang,
                    _ => MessageForm::Typed,
                };
                self.out.push(UserMessage {
                    text: text.to_owned(),
                    form: Some(form),
                    ..Default::default()
                });
            }
        }
    }

    /// The time at which `text` was typed; what was typed before it is used up with it.
    fn time_of(&mut self, text: &str) -> Option<WallTime> {
        let at = self.typed.iter().position(|(_, typed)| typed.trim() == text)?;
        self.typed.drain(..=at).next_back()?.0
    }

    fn notice(&mut self, text: &str) {
        let before = self.naming.replace(text.to_owned());
        if let Some(version) = text.strip_prefix("Aider v") {
            self.out.native.version = Some(version.to_owned());
        } else if let Some(model) =
            text.strip_prefix("Model: ").or(text.strip_prefix("Main model: "))
        {
            self.out.model(model.split(" with ").next().unwrap_or(model));
        } else if let Some(tokens) = text.strip_prefix("Tokens: ") {
            self.tokens(tokens);
        } else if let Some((ask, answer)) = question(text) {
            let decision = decision(text, answer);
            let key = Some(answer.to_owned()).filter(|a| !a.is_empty());
            if ask.starts_with("Create new file") && decision == Decision::AllowOnce {
                self.created.clone_from(&before);
            }
            self.out.time =
                self.typed.front().filter(|(_, typed)| typed == answer).and_then(|e| e.0);
            if self.out.time.is_some() {
                self.typed.pop_front();
            }
            self.out.push(Approval {
                ask: ask.to_owned(),
                decision: Some(decision),
                by: Some(Decider::User),
                key,
                ..Default::default()
            });
        } else if let Some(path) = text.strip_prefix("Applied edit to ") {
            let new = self.created.take_if(|created| created == path).is_some();
            let op = Some(if new { FileOp::Create } else { FileOp::Modify });
            self.out.push(FileChange { path: path.to_owned(), op, ..Default::default() });
        } else if let Some((hash, _)) =
            text.strip_prefix("Commit ").and_then(|rest| rest.split_once(' '))
        {
            self.out.push(Git {
                head: Some(hash.to_owned()),
                event: Some("commit".to_owned()),
                commits: vec![hash.to_owned()],
                ..Default::default()
            });
        } else if text.starts_with("^C") {
            self.out.push(Interrupt { key: Some("ctrl-c".to_owned()), effect: None });
        } else if text.starts_with("litellm.") && text.contains("Error") {
            let code = text.split(':').next().map(|c| c.trim_start_matches("litellm.").to_owned());
            self.out.push(ApiError { code, message: text.to_owned(), ..Default::default() });
        }
    }

    /// `2.5k sent, 1k cache write, 3k cache hit, 127 received. Cost: $0.01 message, $0.02 session.`
    /// Rounded numbers, the only ones there are.
    fn tokens(&mut self, text: &str) {
        let (tokens, cost) = text.split_once("Cost: ").unwrap_or((text, ""));
        let mut usage = Usage {
            model: self.out.native.model.clone(),
            basis: Some(Basis::PerRequest),
            ..Default::default()
        };
        for part in tokens.trim().trim_end_matches('.').split(", ") {
            let Some((number, what)) = part.trim().split_once(' ') else { continue };
            let Some(number) = rounded(number) else { continue };
            match what {
                "sent" => usage.input = number,
                "cache write" => usage.cache_write_5m = number,
                "cache hit" => usage.cache_read = number,
                "received" => usage.output = number,
                _ => {}
            }
        }
        let message = cost.split(" message").next().and_then(|c| c.trim().strip_prefix('$'));
        if let Some(usd) = message.and_then(|c| c.replace(',', "").parse::<f64>().ok()) {
            usage.cost_microusd = Some((usd * 1e6).round() as u64);
            usage.priced = Some(Priced::Native);
            self.cost = self.cost.saturating_add(usage.cost_microusd.unwrap_or(0));
        }
        let at = self.out.events().len();
        self.out.usage(&format!("line {at}"), usage);
    }
}

/// `127`, `2.5k`, `1.2M`.
fn rounded(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'k' => (&text[..text.len() - 1], 1e3),
        b'M' => (&text[..text.len() - 1], 1e6),
        _ => (text, 1.0),
    };
    let number: f64 = digits.replace(',', "").parse().ok()?;
    (number >= 0.0).then_some((number * unit).round() as u64)
}

/// A question with its answer: `Create new file? (Y)es/(N)o [Yes]: y`.
fn question(text: &str) -> Option<(&str, &str)> {
    let (ask, rest) = text.split_once(" (Y)es/(N)o")?;
    let (_, answer) = rest.split_once("]:")?;
    Some((ask, answer.trim()))
}

fn decision(text: &str, answer: &str) -> Decision {
    let default = text.split_once('[').and_then(|(_, rest)| rest.chars().next());
    match answer.chars().next().or(default).map(|c| c.to_ascii_lowercase()) {
        Some('y') => Decision::AllowOnce,
        Some('a') => Decision::AllowAlways,
        Some('n') => Decision::RejectOnce,
        Some('s' | 'd') => Decision::RejectAlways,
        _ => Decision::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chat: &str, expected: &[&str]) {
        let transcript = read(
            &[File { path: "x.md", bytes: chat.as_bytes() }],
            &Scope { offset_s: 3600, ..Default::default() },
        );
        let seen: Vec<String> = transcript
            .events
            .iter()
            .map(|e| match &e.body {
                Body::UserMessage(m) => format!("user {}", m.text),
                Body::AssistantMessage(m) => format!("assistant {}", m.text),
                Body::Thought(t) => format!("thought {}", t.text),
                Body::Approval(a) => {
                    format!("{} {}", a.ask, a.decision.map_or("", Decision::as_str))
                }
                Body::Usage(u) => format!(
                    "{} {} {} {} {:?}",
                    u.input, u.cache_read, u.cache_write_5m, u.output, u.cost_microusd
                ),
                Body::FileChange(f) => format!("{} {}", f.op.map_or("", FileOp::as_str), f.path),
                body => body.kind().to_owned(),
            })
            .collect();
        assert_eq!(seen, expected, "{chat}");
    }

    #[test]
    fn a_chat_is_read_by_its_marks() {
        check(
            "#### two  \n#### lines  \n\nan answer\n\n> quoted\n\n#### heading\n",
            &["user two\nlines", "assistant an answer\n\n> quoted\n\n#### heading"],
        );
        check(
            "text\n```\n> in a fence  \n```\n> Applied edit to a.py  \n",
            &["assistant text\n```\n> in a fence  \n```", "modify a.py"],
        );
        check(
            "> b.py  \n> Create new file? (Y)es/(N)o [Yes]:   \n> Applied edit to b.py  \n",
            &["Create new file? allow_once", "create b.py"],
        );
        check(
            "> Add file to the chat? (Y)es/(N)o/(D)on't ask again [Yes]: d  \n",
            &["Add file to the chat? reject_always"],
        );
        check(
            "> Tokens: 2.5k sent, 1k cache write, 1.2M cache hit, 127 received. Cost: $0.0123 message, $1.50 session.  \n",
            &["2500 1200000 1000 127 Some(12300)"],
        );
        check(
            "<thinking-content-1f>\n\nhm\n\n</thinking-content-1f>\n\nyes\n",
            &["thought hm", "assistant yes"],
        );
        check("<thinking-content-1f>\nstill thinki", &["thought still thinki"]);
    }

    #[test]
    fn local_times_are_read_at_the_offset_given() {
        let time = local("2026-11-20 23:33:31.758242", 3600).expect("a time");
        assert_eq!(time.rfc3339(), "2026-11-20T23:33:31.758+01:00");
        assert_eq!(local("yesterday", 0), None);
    }
}
