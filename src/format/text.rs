//! The conversation and the thoughts as text for people.

use crate::event::{Body, Decision, Event, MAIN, MessageForm, Refusals, Source, ThoughtForm};
use crate::json;
use crate::time::WallTime;
use std::fmt::Write;

/// Said of what no transcript tells, and the screen showed.
const FROM_SCREEN: &str = "from the screen";

/// How times are shown, and what is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Seconds east of UTC of the times that are shown.
    pub offset_s: i32,
    /// Show also what the user went back behind.
    pub abandoned: bool,
    /// Show the thoughts among the words.
    pub thoughts: bool,
}

impl View {
    /// A time as the reader's clock shows it.
    pub fn time(&self, time: WallTime) -> String {
        WallTime { offset_s: self.offset_s, ..time }.local()
    }
}

/// The conversation: `User:` and `Assistant:` with the time of their first words, tools as one line
/// each, nothing of the subagents.
pub fn chat(events: &[Event], view: &View) -> String {
    let mut out = String::new();
    let mut chat = Chat::new(*view);
    events.iter().for_each(|event| chat.add(event, &mut out));
    out
}

/// Writes the conversation, or the thoughts, of events that come one by one. What is written of an
/// event ends with a line's end.
#[derive(Clone, Debug)]
pub struct Chat {
    view: View,
    /// Where the session works; paths below it are shown from there on.
    directory: String,
    speaker: &'static str,
    is_begun: bool,
    refusals: Refusals,
}

impl Chat {
    /// A conversation of which nothing is written yet.
    pub fn new(view: View) -> Chat {
        let refusals = Refusals::default();
        Chat { view, directory: String::new(), speaker: "", is_begun: false, refusals }
    }

    /// The same of a session that works in this directory: paths below it are shown from there on.
    pub fn within(self, directory: &str) -> Chat {
        Chat { directory: directory.to_owned(), ..self }
    }

    /// Writes what is said with the next event: see [`chat`].
    pub fn add(&mut self, event: &Event, out: &mut String) {
        if event.stream != MAIN || (event.abandoned && !self.view.abandoned) {
            return;
        }
        let refused = self.refusals.take(event);
        let said = match &event.body {
            Body::UserMessage(m) => {
                let text = plain(&m.text);
                let note = if m.attachments.is_empty() {
                    String::new()
                } else {
                    format!("\n[{}]", m.attachments.join(", "))
                };
                Some(("User", format!("{}{}", text.trim_end(), plain(&note))))
            }
            Body::AssistantMessage(m) => Some(("Assistant", plain(&m.text).trim_end().to_owned())),
            Body::Thought(thought) if self.view.thoughts => {
                Some(("Assistant", aside(&thought.text)))
            }
            Body::ToolResult(_) if refused => None,
            Body::ToolCall(call)
                if call.title.is_some() && call.title.as_ref() == call.paths.first() =>
            {
                let path = below(call.title.as_deref().unwrap_or_default(), &self.directory);
                Some(("", format!("  [{}] {}", first_line(&call.name), first_line(path))))
            }
            body => line(body).map(|text| ("", text)),
        };
        let Some((who, text)) = said else { return };
        if who.is_empty() || (who == self.speaker && who != "User") {
            self.is_begun = true;
            let _ = writeln!(out, "{text}");
            return;
        }
        self.speaker = who;
        let seen = matches!(event.body, Body::AssistantMessage(_)) && event.source == Source::Pty;
        let time = event.time.map(|time| self.view.time(time));
        let notes: Vec<String> =
            time.into_iter().chain(seen.then(|| FROM_SCREEN.to_owned())).collect();
        let notes = match notes.is_empty() {
            true => String::new(),
            false => format!(" ({})", notes.join(", ")),
        };
        let taken_back = if event.abandoned { " [taken back]" } else { "" };
        let _ = writeln!(out, "{}{who}:{notes}{taken_back}\n{text}", self.blank());
    }

    /// Writes the next event if it is a thought: see [`thoughts`].
    pub fn add_thought(&mut self, event: &Event, out: &mut String) {
        let Body::Thought(thought) = &event.body else { return };
        if event.abandoned && !self.view.abandoned {
            return;
        }
        let time = event.time.map_or("-".to_owned(), |time| self.view.time(time));
        let turn = event.turn.map_or(String::new(), |turn| format!(", turn {turn}"));
        let stream = if event.stream == MAIN {
            String::new()
        } else {
            format!(", {}", first_line(&event.stream))
        };
        let screen = match thought.form {
            Some(ThoughtForm::Screen) => format!(", {FROM_SCREEN}"),
            _ => String::new(),
        };
        let text = match plain(&thought.text) {
            text if text.trim().is_empty() => "(reasoned, and the text is withheld)".to_owned(),
            text => text.trim_end().to_owned(),
        };
        let _ = writeln!(out, "{}[{time}{turn}{stream}{screen}]\n{text}", self.blank());
    }

    /// The line between what was written and what is.
    fn blank(&mut self) -> &'static str {
        if std::mem::replace(&mut self.is_begun, true) { "\n" } else { "" }
    }
}

/// A thought among words.
fn aside(text: &str) -> String {
    let text = plain(text);
    if text.trim().is_empty() {
        return "  [thought] (the text is withheld)".to_owned();
    }
    let mut lines = text.trim_end().lines();
    let first = format!("  [thought] {}", lines.next().unwrap_or_default());
    lines.fold(first, |out, line| format!("{out}\n    {line}"))
}

/// A path as it is called in `directory`: what lies below it, without it.
pub(super) fn below<'a>(path: &'a str, directory: &str) -> &'a str {
    let inside = path.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/'));
    inside.filter(|rest| !rest.is_empty() && !directory.is_empty()).unwrap_or(path)
}

/// What happened between the words, in one line.
fn line(body: &Body) -> Option<String> {
    Some(match body {
        Body::ToolCall(call) => {
            let title = call
                .title
                .as_deref()
                .map_or(String::new(), |title| format!(" {}", first_line(title)));
            format!("  [{}]{title}", first_line(&call.name))
        }
        Body::ToolResult(result) if result.ok == Some(false) => {
            let code = result.exit_code.map_or(String::new(), |code| format!(" (exit {code})"));
            format!("  [failed{code}] {}", why_failed(&result.text))
        }
        Body::Approval(approval) => {
            let decision = approval.decision.unwrap_or(Decision::Unknown);
            format!(
                "  [asked] {} -> {}",
                first_line(&approval.ask),
                decision.as_str().replace('_', " ")
            )
        }
        Body::Interrupt(_) => "  [interrupted]".to_owned(),
        Body::ApiError(error) => format!("  [API error] {}", why_refused(&error.message)),
        Body::Context(context) => {
            format!("  [context: {}]", context.op.map_or("changed", |op| op.as_str()))
        }
        _ => return None,
    })
}

/// Lines that tools add to what a command said; they say nothing of why it failed.
const REMARKS: &[&str] = &[
    "Exit Code:",
    "Exit code:",
    "Signal:",
    "Background PIDs:",
    "Process Group PGID:",
    "Error: (none)",
    "Error: (empty)",
];

/// Why a tool failed, in one line: mostly the last that it said. Where its result is JSON, what that
/// says.
pub fn why_failed(text: &str) -> String {
    let said = json::parse_lossy(text.as_bytes()).ok().and_then(|value| {
        let value = value.as_array().and_then(|items| items.last()).unwrap_or(&value).clone();
        ["result", "error", "output", "message"].iter().find_map(|name| {
            value.str_at(name).filter(|text| !text.trim().is_empty()).map(str::to_owned)
        })
    });
    let text = said.as_deref().unwrap_or(text);
    let tells = |line: &&str| {
        let tag = line.starts_with('<') && line.ends_with('>');
        !line.is_empty() && !tag && !REMARKS.iter().any(|remark| line.starts_with(remark))
    };
    let lines = || text.lines().map(str::trim);
    let last = lines().rev().find(tells).or_else(|| lines().rfind(|line| !line.is_empty()));
    first_line(last.map_or("", |line| line.strip_prefix("Output: ").unwrap_or(line)))
}

/// Why a model was not to be had, in one line: the message alone where it comes as JSON.
pub fn why_refused(text: &str) -> String {
    let object = text.find('{').and_then(|at| json::parse_prefix(&text.as_bytes()[at..]).ok());
    let message = object.as_ref().and_then(|(value, _)| {
        let error = value.get("error").unwrap_or(value);
        error.str_at("message").or(error.as_str())
    });
    first_line(message.unwrap_or(text))
}

/// What an event says, in one line.
pub fn brief(event: &Event) -> String {
    let text = match &event.body {
        Body::SessionStart(start) => start.argv.join(" "),
        Body::UserMessage(message) => message.text.clone(),
        Body::AssistantMessage(message) => message.text.clone(),
        Body::Thought(thought) => thought.text.clone(),
        Body::Marker(marker) => marker.text.clone(),
        Body::Question(question) => question.text.clone(),
        Body::Answer(answer) => answer.answer.clone(),
        body => line(body).unwrap_or_else(|| {
            let fields = event.fields();
            let said = fields.iter().map(|(name, value)| match value.as_str() {
                Some(text) => format!("{name}={text}"),
                None => format!("{name}={value}"),
            });
            said.collect::<Vec<_>>().join(" ")
        }),
    };
    first_line(&text)
}

/// The reasoning of all streams, each thought with its time and turn.
pub fn thoughts(events: &[Event], view: &View) -> String {
    let mut out = String::new();
    let mut chat = Chat::new(*view);
    events.iter().for_each(|event| chat.add_thought(event, &mut out));
    out
}

/// The first prompt that is no command to the agent's own program, as one line.
pub fn first_prompt(events: &[Event]) -> Option<String> {
    let prompt = |e: &Event| match &e.body {
        Body::UserMessage(m) if e.stream == MAIN && m.form != Some(MessageForm::Slash) => {
            Some(first_line(&m.text)).filter(|text| !text.is_empty())
        }
        _ => None,
    };
    events.iter().find_map(prompt)
}

/// The first line that is not blank, fit for a terminal.
pub fn first_line(text: &str) -> String {
    plain(text).lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

/// Text without escape sequences and control characters, line feeds and tabs excepted: nothing in
/// a recording moves the reader's cursor.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut chars),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => {}
            // Characters that turn the direction of what follows.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c => out.push(c),
        }
    }
    out
}

fn skip_sequence(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            // Parameters and intermediates, then the final character.
            while chars.next_if(|c| ('\u{20}'..='\u{3f}').contains(c)).is_some() {}
            chars.next_if(|c| ('\u{40}'..='\u{7e}').contains(c));
        }
        Some(']' | 'P' | '_' | '^' | 'X') => {
            while let Some(c) = chars.next_if(|c| *c != '\n') {
                if c == '\u{7}' {
                    break;
                }
                if c == '\u{1b}' && chars.next_if_eq(&'\\').is_some() {
                    break;
                }
            }
        }
        Some(c) if !c.is_control() => {
            chars.next();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::*;

    fn at(ms: i64, body: impl Into<Body>) -> Event {
        let time = Some(WallTime { unix_us: 1_795_215_802_000_000 + ms * 1000, offset_s: 0 });
        Event { time, ..Event::new(Source::Transcript, body) }
    }

    fn events() -> Vec<Event> {
        let said = |text: &str| AssistantMessage { text: text.into(), ..Default::default() };
        let mut events = vec![
            at(
                0,
                UserMessage {
                    text: "Fix\x1b[31m it\n".into(),
                    attachments: vec!["a.png".into()],
                    ..Default::default()
                },
            ),
            at(500, Thought { text: "hm".into(), ..Default::default() }),
            at(1000, said("Looking.")),
            at(
                1000,
                ToolCall { name: "Bash".into(), title: Some("ls\nx".into()), ..Default::default() },
            ),
            at(
                2000,
                ToolResult {
                    ok: Some(false),
                    exit_code: Some(2),
                    text: "a\nno such file".into(),
                    ..Default::default()
                },
            ),
            at(2500, Thought::default()),
            at(3000, said("Done.\n")),
            at(
                4000,
                UserMessage {
                    text: "/exit".into(),
                    form: Some(MessageForm::Slash),
                    ..Default::default()
                },
            ),
        ];
        events.push(Event { abandoned: true, ..at(5000, said("never")) });
        events.push(Event { stream: "sub".into(), ..at(6000, said("elsewhere")) });
        number(&mut events);
        events
    }

    #[test]
    fn a_conversation_reads_like_one() {
        let view = View { offset_s: 3600, ..Default::default() };
        let expected = "User: (2026-11-21 00:03:22)\nFix it\n[a.png]\n\nAssistant: (2026-11-21 00:03:23)\nLooking.\n  [Bash] ls\n  [failed (exit 2)] no such file\nDone.\n\nUser: (2026-11-21 00:03:26)\n/exit\n";
        assert_eq!(chat(&events(), &view), expected);
        assert!(
            chat(&events(), &View { abandoned: true, ..view }).ends_with("[taken back]\nnever\n")
        );
        assert_eq!(chat(&[], &view), "");
        assert_eq!(first_prompt(&events()).as_deref(), Some("Fix it"));
    }

    #[test]
    fn a_refused_call_is_not_said_to_have_failed() {
        let call = |id: &str, name: &str, path: &str| ToolCall {
            call_id: Some(id.into()),
            name: name.into(),
            title: Some(path.into()),
            paths: vec![path.into()],
            ..Default::default()
        };
        let failed = |id: &str| ToolResult {
            call_id: Some(id.into()),
            ok: Some(false),
            text: "no".into(),
            ..Default::default()
        };
        let refusal = Approval {
            call_id: Some("1".into()),
            ask: "Write?".into(),
            decision: Some(Decision::RejectOnce),
            ..Default::default()
        };
        let events = [
            at(0, Thought { text: "hm\nso".into(), ..Default::default() }),
            at(0, call("1", "Write", "/home/me/shop/src/a.rs")),
            at(0, refusal),
            at(0, failed("1")),
            at(0, call("2", "Read", "/home/me/shopping")),
            at(0, failed("2")),
        ];
        let view = View { thoughts: true, ..View::default() };
        let mut chat = Chat::new(view).within("/home/me/shop");
        let mut out = String::new();
        events.iter().for_each(|event| chat.add(event, &mut out));
        let expected = "Assistant: (2026-11-20 23:03:22)\n  [thought] hm\n    so\n  [Write] src/a.rs\n  [asked] Write? -> reject once\n  [Read] /home/me/shopping\n  [failed] no\n";
        assert_eq!(out, expected);
    }

    #[test]
    fn failures_say_why() {
        for (text, expected) in [
            ("a\nno such file\n\n", "no such file"),
            ("<x>\nOutput: ls: no\nExit Code: 2\nProcess Group PGID: 7\n</x>", "ls: no"),
            ("Output: a\nb: no\nError: (none)\nSignal: (none)", "b: no"),
            ("ls: no\n<shellId: 1 completed with exit code 2>", "ls: no"),
            (r#"[{"query":"ls","result":"[Command]\n\nls: no\n","success":false}]"#, "ls: no"),
            (r#"{"error":"was rejected"}"#, "was rejected"),
            ("<only>", "<only>"),
            ("", ""),
        ] {
            assert_eq!(why_failed(text), expected, "{text}");
        }
        for (text, expected) in [
            ("400 bad\nrequest", "400 bad"),
            (r#"{"type":"error","error":{"status":400,"message":"bad"}}"#, "bad"),
            (r#"[API Error: {"error":{"message":"bad"}}]"#, "bad"),
            (r#"{"error":"bad"}"#, "bad"),
            ("{ is no JSON", "{ is no JSON"),
        ] {
            assert_eq!(why_refused(text), expected, "{text}");
        }
    }

    #[test]
    fn thoughts_say_when_and_what_or_that_they_are_withheld() {
        let expected = "[2026-11-20 23:03:22, turn 1]\nhm\n\n[2026-11-20 23:03:24, turn 1]\n(reasoned, and the text is withheld)\n";
        assert_eq!(thoughts(&events(), &View::default()), expected);
        let form = Some(ThoughtForm::Screen);
        let seen = Thought { text: "Thought for 2s".into(), form, ..Default::default() };
        let seen = [Event::new(Source::Pty, seen)];
        assert_eq!(thoughts(&seen, &View::default()), "[-, from the screen]\nThought for 2s\n");
    }

    #[test]
    fn nothing_in_a_text_moves_the_cursor() {
        for (text, expected) in [
            ("a\x1b[2J\x1b[1;1Hb", "ab"),
            ("\x1b]0;title\x07x\x1b]8;;u\x1b\\y\x1b(B", "xyB"),
            ("a\rb\x08\u{9b}2Jc\u{202e}d", "ab2Jcd"),
            ("tab\tline\n", "tab\tline\n"),
            ("\x1b", ""),
            ("\x1b[12", ""),
            ("\x1b]unfinished\nnext", "\nnext"),
        ] {
            assert_eq!(plain(text), expected, "{text:?}");
        }
    }
}
