//! The report of a session in Markdown: always the same text for the same events.

use super::text::{Chat, View, below, first_line, first_prompt, plain, why_failed};
use crate::event::{
    Body, Counts, Decision, Event, FileOp, MAIN, Refusals, Tokens, ToolCategory, ToolResult, Turn,
    Turns, Usage, turns,
};
use crate::time::duration;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

/// What the report says that is not in the events.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The session's name, if it has one; its first prompt stands for it.
    pub title: Option<String>,
    /// Where the session worked; paths below it are shown from there on.
    pub directory: String,
    /// Facts of the session, in the order in which they are shown.
    pub facts: Vec<(String, String)>,
    /// What the session was for.
    pub intent: Option<String>,
    /// The command that goes back into it.
    pub resume: Option<String>,
}

/// The longest prompt in the table of turns, in characters.
const PROMPT_LEN_MAX: usize = 80;
/// The most failures that are told one by one.
const FAILURES_MAX: usize = 50;

/// The report: head, intent and first prompt, turns, files, tools and failures, approvals and
/// waits, tokens, how to go on. A part with nothing to say is left out.
pub fn report(head: &Head, events: &[Event], view: &View) -> String {
    let mut report = Report::new(*view);
    events.iter().for_each(|event| report.add(event));
    report.finish(head)
}

/// Makes the report of events that come one by one, of which it keeps no more than it says.
#[derive(Debug, Default)]
pub struct Report {
    view: View,
    turns: Turns,
    /// The user's messages of the main stream: which event, and how the table shows it.
    prompts: Vec<(usize, String)>,
    /// The first that is no command.
    prompt: Option<String>,
    files: BTreeMap<String, Change>,
    writes: Writes,
    tools: Tools,
    approvals: Approvals,
    models: BTreeMap<String, Spent>,
    /// Of each turn that says so: how long the agent, its tools and the user took, in milliseconds.
    spans: BTreeMap<u32, [u64; 3]>,
}

impl Report {
    /// The report of nothing.
    pub fn new(view: View) -> Report {
        Report { view, ..Report::default() }
    }

    /// The turns of the events so far.
    pub fn turns(&self) -> Vec<Turn> {
        self.turns.clone().finish()
    }

    /// `, 2026-11-20 23:05:41, took 3s (agent 1.2s, tools 1.0s, waiting for me 0.8s), end turn` of
    /// a turn of the events so far.
    pub fn turn_line(&self, number: u32) -> Option<String> {
        let turn = self.turns().into_iter().find(|turn| turn.number == number)?;
        let mut out = turn.started.map_or(String::new(), |t| format!(", {}", self.view.time(t)));
        if let Some(took) = took(&turn) {
            let _ = write!(out, ", took {took}");
        }
        let split = self.spans.get(&number).map(|split| split.map(seconds)).unwrap_or_default();
        let names = ["agent", "tools", "waiting for me"];
        let split = names.iter().zip(split).filter(|(_, took)| !took.is_empty());
        let split: Vec<String> = split.map(|(name, took)| format!("{name} {took}")).collect();
        if !split.is_empty() {
            let _ = write!(out, " ({})", split.join(", "));
        }
        let ending = ending(&turn);
        Some(if ending.is_empty() { out } else { format!("{out}, {ending}") })
    }

    /// Takes the next event.
    pub fn add(&mut self, event: &Event) {
        if let Body::UserMessage(message) = &event.body {
            if event.stream == MAIN {
                self.prompts.push((self.turns.at(), prompt_cell(&message.text)));
            }
            if self.prompt.is_none() && first_prompt(std::slice::from_ref(event)).is_some() {
                self.prompt = Some(plain(&message.text));
            }
        }
        self.turns.add(event);
        if !event.abandoned {
            add_file(&mut self.files, event);
            self.writes.add(event);
            self.tools.add(event);
        }
        self.approvals.add(event, &self.view);
        if let (Body::TurnEnd(end), Some(turn)) = (&event.body, event.turn)
            && event.stream == MAIN
        {
            let split = [end.agent_ms, end.tool_ms, end.blocked_ms].map(Option::unwrap_or_default);
            self.spans.insert(turn, split);
        }
        if let Body::Usage(usage) = &event.body {
            let model = usage.model.as_deref().unwrap_or("(unknown)");
            match self.models.get_mut(model) {
                Some(spent) => spent.add(usage),
                None => self.models.entry(model.to_owned()).or_default().add(usage),
            }
        }
    }

    /// The report.
    pub fn finish(self, head: &Head) -> String {
        let title = head.title.as_ref().or(self.prompt.as_ref()).map(|title| cut(title));
        let title = title.filter(|title| !title.is_empty()).unwrap_or_else(|| "Session".to_owned());
        let mut out = format!("# {}\n\n", escape(&title));
        for (name, value) in &head.facts {
            let _ = writeln!(out, "- **{}**: {}", escape(name), escape(&first_line(value)));
        }
        intent(head, self.prompt.as_deref(), &mut out);
        timeline(&self.turns.finish(), &self.prompts, &self.spans, &self.view, &mut out);
        // Most agents do not say what became of a file; the calls that wrote it do.
        let told = !self.files.is_empty();
        files(if told { &self.files } else { &self.writes.files }, told, &head.directory, &mut out);
        self.tools.write(&mut out);
        self.approvals.write(&mut out);
        tokens(&self.models, &mut out);
        if let Some(resume) = &head.resume {
            let _ = write!(out, "\n## Go on\n\n```sh\n{}\n```\n", plain(resume));
        }
        out
    }
}

/// The conversation in Markdown: a heading a turn, the words below.
pub fn conversation(events: &[Event], view: &View) -> String {
    let mut out = String::new();
    let mut talk = Talk::new(turns(events), *view);
    events.iter().for_each(|event| talk.add(event, &mut out));
    out
}

/// Writes the conversation of events that come one by one, of which it keeps no more than a turn.
#[derive(Debug)]
pub struct Talk {
    turns: std::iter::Peekable<std::vec::IntoIter<Turn>>,
    view: View,
    at: usize,
    chat: Chat,
    directory: String,
    text: String,
}

impl Talk {
    /// The conversation of which these are the turns.
    pub fn new(turns: Vec<Turn>, view: View) -> Talk {
        let turns = turns.into_iter().peekable();
        let (chat, directory, text) = (Chat::new(view), String::new(), String::new());
        Talk { turns, view, at: 0, chat, directory, text }
    }

    /// The same of a session that works in this directory: see [`Chat::within`].
    pub fn within(self, directory: &str) -> Talk {
        let chat = self.chat.within(directory);
        Talk { chat, directory: directory.to_owned(), ..self }
    }

    /// Takes the next event; a turn is written with its last.
    pub fn add(&mut self, event: &Event, out: &mut String) {
        let at = self.at;
        self.at += 1;
        let Some(turn) = self.turns.peek().filter(|turn| turn.events.start <= at) else { return };
        if !turn.abandoned || self.view.abandoned {
            self.chat.add(event, &mut self.text);
        }
        if let Some(turn) = self.turns.next_if(|turn| turn.events.end <= at + 1) {
            self.chat = Chat::new(self.view).within(&self.directory);
            let text = std::mem::take(&mut self.text);
            if !turn.abandoned || self.view.abandoned {
                let time =
                    turn.started.map_or(String::new(), |t| format!(" ({})", self.view.time(t)));
                let _ = write!(out, "## Turn {}{time}\n\n{}\n", turn.number, fence(&text));
            }
        }
    }
}

fn intent(head: &Head, prompt: Option<&str>, out: &mut String) {
    if head.intent.is_none() && prompt.is_none() {
        return;
    }
    out.push_str("\n## Intent\n\n");
    if let Some(intent) = &head.intent {
        let _ = writeln!(out, "{}\n", escape(&plain(intent)));
    }
    if let Some(prompt) = prompt {
        for line in prompt.trim_end().lines() {
            let _ = writeln!(out, "> {}", escape(line));
        }
    }
}

fn timeline(
    turns: &[Turn],
    prompts: &[(usize, String)],
    spans: &BTreeMap<u32, [u64; 3]>,
    view: &View,
    out: &mut String,
) {
    if turns.is_empty() {
        return;
    }
    out.push_str("\n## Turns\n\n| # | Started | Took | Agent | Tools | Waiting for me | Prompt ");
    out.push_str("| Calls | Tokens out | Ended |\n|--:|---|--:|--:|--:|--:|---|--:|--:|---|\n");
    for turn in turns {
        let started = turn.started.map_or(String::new(), |t| view.time(t));
        let took = took(turn).unwrap_or_default();
        let prompt = prompts.binary_search_by_key(&turn.events.start, |(at, _)| *at);
        let split = spans.get(&turn.number).map(|split| split.map(seconds));
        let [agent, tools, me] = split.unwrap_or_default();
        let _ = writeln!(
            out,
            "| {} | {started} | {took} | {agent} | {tools} | {me} | {} | {} | {} | {} |",
            turn.number,
            prompt.map_or("", |at| &prompts[at].1),
            tool_calls(&turn.counts),
            grouped(turn.counts.tokens.output),
            ending(turn),
        );
    }
}

/// `0.8s`, `59.0s`, and from a minute on as other durations; nothing of what took next to no time.
pub fn seconds(ms: u64) -> String {
    match ms {
        0..50 => String::new(),
        50..60_000 => format!("{:.1}s", ms as f64 / 1000.0),
        ms => duration(ms.saturating_mul(1000)),
    }
}

fn prompt_cell(text: &str) -> String {
    cell(&cut(text))
}

/// The first line, no longer than a table has room for.
fn cut(text: &str) -> String {
    let text = first_line(text);
    match text.char_indices().nth(PROMPT_LEN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn took(turn: &Turn) -> Option<String> {
    let us = turn.ended?.unix_us.checked_sub(turn.started?.unix_us)?;
    Some(duration(u64::try_from(us).unwrap_or(0)))
}

/// How many calls there were, and how many of them failed or were refused.
pub fn tool_calls(counts: &Counts) -> String {
    let ends = [(counts.tool_failures, "failed"), (counts.tool_refusals, "refused")];
    let ends: Vec<String> =
        ends.iter().filter(|(n, _)| *n > 0).map(|(n, how)| format!("{n} {how}")).collect();
    match ends.is_empty() {
        true => counts.tool_calls.to_string(),
        false => format!("{} ({})", counts.tool_calls, ends.join(", ")),
    }
}

fn ending(turn: &Turn) -> String {
    let reason = turn.stop_reason.map_or("", |reason| reason.as_str()).replace('_', " ");
    match turn.abandoned {
        true => "taken back".to_owned(),
        false => reason,
    }
}

#[derive(Debug, Default)]
struct Change {
    op: Option<FileOp>,
    plus: u64,
    minus: u64,
    times: u64,
}

fn add_file(changes: &mut BTreeMap<String, Change>, event: &Event) {
    let Body::FileChange(file) = &event.body else { return };
    let change = changes.entry(first_line(&file.path)).or_default();
    // A file that was created and then changed is a new file.
    change.op = match (change.op, file.op) {
        (Some(FileOp::Create), Some(FileOp::Modify)) => Some(FileOp::Create),
        (old, new) => new.or(old),
    };
    change.plus = change.plus.saturating_add(file.plus.unwrap_or(0));
    change.minus = change.minus.saturating_add(file.minus.unwrap_or(0));
    change.times += 1;
}

/// The files that tool calls have written, as far as their results tell.
#[derive(Debug, Default)]
struct Writes {
    files: BTreeMap<String, Change>,
    /// What the calls that have no result yet are to write, by the hash of their ids.
    pending: HashMap<u64, Vec<String>>,
}

impl Writes {
    fn add(&mut self, event: &Event) {
        match &event.body {
            Body::ToolCall(call) if call.category == Some(ToolCategory::Write) => {
                let id = call.call_id.as_deref().map(hash);
                self.pending.extend(id.map(|id| (id, call.paths.clone())));
            }
            Body::ToolResult(result) => {
                let id = result.call_id.as_deref().map(hash);
                let paths = id.and_then(|id| self.pending.remove(&id)).unwrap_or_default();
                for path in paths.iter().filter(|_| result.ok != Some(false)) {
                    self.files.entry(first_line(path)).or_default().times += 1;
                }
            }
            _ => {}
        }
    }
}

/// The table of files; only where they are `told` is it known how they changed.
fn files(changes: &BTreeMap<String, Change>, told: bool, directory: &str, out: &mut String) {
    if changes.is_empty() {
        return;
    }
    out.push_str("\n## Files changed\n\n| File | How | Times | + | - |\n|---|---|--:|--:|--:|\n");
    for (path, change) in changes {
        let op = change.op.map_or("", FileOp::as_str);
        let times = change.times;
        let [plus, minus] = [change.plus, change.minus].map(|n| match told {
            true => n.to_string(),
            false => String::new(),
        });
        let path = cell(below(path, directory));
        let _ = writeln!(out, "| {path} | {op} | {times} | {plus} | {minus} |");
    }
}

#[derive(Debug)]
struct Use {
    name: String,
    calls: u64,
    failed: u64,
    refused: u64,
    ms: u64,
}

/// The tools that were used, and how they failed.
#[derive(Debug, Default)]
struct Tools {
    uses: Vec<Use>,
    /// Where each is, by the hash of its name.
    names: HashMap<u64, u32>,
    /// Which of them a call used, by the hash of its id: a session has very many calls.
    calls: HashMap<u64, u32>,
    failures: String,
    failures_count: usize,
    refusals: Refusals,
}

impl Tools {
    fn add(&mut self, event: &Event) {
        let refused = self.refusals.take(event);
        match &event.body {
            Body::ToolCall(call) => {
                let at = self.of(&call.name);
                self.uses[at as usize].calls += 1;
                self.calls.extend(call.call_id.as_deref().map(|id| (hash(id), at)));
            }
            Body::ToolResult(result) => {
                let call = result.call_id.as_deref().and_then(|id| self.calls.get(&hash(id)));
                let at = call.copied().unwrap_or_else(|| self.of("(no call)"));
                let used = &mut self.uses[at as usize];
                used.ms = used.ms.saturating_add(result.duration_ms.unwrap_or(0));
                if refused {
                    used.refused += 1;
                } else if result.ok == Some(false) {
                    used.failed += 1;
                    self.add_failure(at, event.turn, result);
                }
            }
            _ => {}
        }
    }

    /// Where the uses of this tool are.
    fn of(&mut self, name: &str) -> u32 {
        let next = u32::try_from(self.uses.len()).unwrap_or(u32::MAX);
        let at = *self.names.entry(hash(name)).or_insert(next);
        if at == next {
            let name = name.to_owned();
            self.uses.push(Use { name, calls: 0, failed: 0, refused: 0, ms: 0 });
        }
        at
    }

    fn add_failure(&mut self, at: u32, turn: Option<u32>, result: &ToolResult) {
        self.failures_count += 1;
        if self.failures_count > FAILURES_MAX {
            return;
        }
        let turn = turn.map_or(String::new(), |turn| format!("turn {turn}, "));
        let name = match self.uses[at as usize].name.as_str() {
            "(no call)" => "?",
            name => name,
        };
        let code = result.exit_code.map_or(String::new(), |code| format!(" (exit {code})"));
        let last = escape(&why_failed(&result.text));
        let _ = writeln!(self.failures, "- {turn}{}{code}: {last}", escape(name));
    }

    fn write(mut self, out: &mut String) {
        self.uses.retain(|used| used.calls + used.failed + used.refused > 0);
        if self.uses.is_empty() {
            return;
        }
        self.uses.sort_by(|one, other| one.name.cmp(&other.name));
        out.push_str(
            "\n## Tools\n\n| Tool | Calls | Failed | Refused | Time |\n|---|--:|--:|--:|--:|\n",
        );
        for Use { name, calls, failed, refused, ms } in &self.uses {
            let (name, time) = (cell(name), seconds(*ms));
            let _ = writeln!(out, "| {name} | {calls} | {failed} | {refused} | {time} |");
        }
        if self.failures_count > 0 {
            let _ = write!(out, "\n### Failures\n\n{}", self.failures);
        }
        if self.failures_count > FAILURES_MAX {
            let _ = writeln!(out, "- and {} more", self.failures_count - FAILURES_MAX);
        }
    }
}

fn hash(text: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(text)
}

/// What was asked, and how often the user stopped the agent.
#[derive(Debug, Default)]
struct Approvals {
    rows: String,
    waited_ms: u64,
    interrupts: u64,
}

impl Approvals {
    fn add(&mut self, event: &Event, view: &View) {
        match &event.body {
            Body::Approval(approval) => {
                let time = event.time.map_or(String::new(), |t| view.time(t));
                let decision =
                    approval.decision.unwrap_or(Decision::Unknown).as_str().replace('_', " ");
                let ms = approval.waited_ms;
                self.waited_ms = self.waited_ms.saturating_add(ms.unwrap_or(0));
                let ms = ms.map_or(String::new(), seconds);
                // The question alone is mostly the same; what is asked about stands below it.
                let words: Vec<&str> = approval.ask.split_whitespace().collect();
                let ask = prompt_cell(&words.join(" "));
                let _ = writeln!(self.rows, "| {time} | {ask} | {decision} | {ms} |");
            }
            Body::Interrupt(_) if event.stream == MAIN => self.interrupts += 1,
            _ => {}
        }
    }

    fn write(&self, out: &mut String) {
        let Approvals { rows, waited_ms, interrupts } = self;
        if rows.is_empty() && *interrupts == 0 {
            return;
        }
        out.push_str("\n## Approvals and waits\n\n");
        if !rows.is_empty() {
            let _ = write!(out, "| When | Asked | Answer | Waited |\n|---|---|---|--:|\n{rows}");
        }
        if *waited_ms > 0 {
            let waited = duration(waited_ms.saturating_mul(1000));
            let _ = writeln!(out, "\nWaited for the user: {waited}.");
        }
        if *interrupts > 0 {
            let _ = writeln!(out, "\nInterrupted by the user: {interrupts}.");
        }
    }
}

/// The requests to one model.
#[derive(Debug, Default)]
struct Spent {
    requests: u64,
    tokens: Tokens,
}

impl Spent {
    fn add(&mut self, usage: &Usage) {
        self.requests += 1;
        self.tokens.add(usage);
    }
}

fn tokens(models: &BTreeMap<String, Spent>, out: &mut String) {
    if models.is_empty() {
        return;
    }
    out.push_str(
        "\n## Tokens\n\n| Model | Requests | In | From cache | To cache | Out | Reasoning |\n",
    );
    out.push_str("|---|--:|--:|--:|--:|--:|--:|\n");
    let mut row = |model: &str, Spent { requests, tokens: t }: &Spent| {
        let _ = writeln!(
            out,
            "| {} | {requests} | {} | {} | {} | {} | {} |",
            cell(model),
            grouped(t.input_total()),
            grouped(t.cache_read),
            grouped(t.cache_write),
            grouped(t.output),
            grouped(t.reasoning),
        );
    };
    let mut all = Spent::default();
    for (model, spent) in models {
        row(model, spent);
        all.requests += spent.requests;
        all.tokens.go_on(&spent.tokens);
    }
    if models.len() > 1 {
        row("all", &all);
    }
}

/// `812,004`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Text between bars.
fn cell(text: &str) -> String {
    escape(text).replace('|', "\\|")
}

/// Text that Markdown would take for its own marks.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c => out.push(c),
        }
    }
    out
}

/// Text in a fence that is longer than any fence inside it.
fn fence(text: &str) -> String {
    let longest =
        text.lines().map(|l| l.trim_start().chars().take_while(|c| *c == '`').count()).max();
    let marks = "`".repeat(longest.unwrap_or(0).max(2) + 1);
    format!("{marks}text\n{}\n{marks}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Source, ToolCall};

    #[test]
    fn marks_in_recorded_text_stay_text() {
        assert_eq!(cell("a|b *c* <d>"), "a\\|b \\*c\\* &lt;d&gt;");
        assert_eq!(fence("x\n````\ny"), "`````text\nx\n````\ny\n`````\n");
        assert_eq!(grouped(812_004), "812,004");
        assert_eq!((grouped(0), grouped(1000)), ("0".into(), "1,000".into()));
        let shown = [49, 50, 59_940, 60_000].map(seconds);
        assert_eq!(shown, ["", "0.1s", "59.9s", "1m 00s"]);
    }

    #[test]
    fn files_are_told_by_the_calls_that_wrote_them() {
        let call = |id: &str, category| ToolCall {
            call_id: Some(id.into()),
            category: Some(category),
            paths: vec!["/p/a.rs".into()],
            ..Default::default()
        };
        let result = |id: &str, ok| ToolResult {
            call_id: Some(id.into()),
            ok: Some(ok),
            ..Default::default()
        };
        let events = [
            Event::new(Source::Transcript, call("1", ToolCategory::Write)),
            Event::new(Source::Transcript, call("2", ToolCategory::Write)),
            Event::new(Source::Transcript, call("3", ToolCategory::Read)),
            Event::new(Source::Transcript, result("1", true)),
            Event::new(Source::Transcript, result("2", false)),
            Event::new(Source::Transcript, result("3", true)),
        ];
        let head = Head { directory: "/p".into(), ..Default::default() };
        let text = report(&head, &events, &View::default());
        assert!(text.contains("| a.rs |  | 1 |  |  |\n"), "{text}");
        let (path, op) = ("/p/b.rs".into(), Some(FileOp::Create));
        let told = crate::event::FileChange { path, op, plus: Some(3), ..Default::default() };
        let events = [&events[..], &[Event::new(Source::Transcript, told)]].concat();
        let text = report(&head, &events, &View::default());
        assert!(text.contains("| b.rs | create | 1 | 3 | 0 |\n") && !text.contains("a.rs"));
    }

    #[test]
    fn an_empty_session_has_a_short_report() {
        let head = Head {
            title: Some("x".into()),
            facts: vec![("Status".into(), "lost".into())],
            ..Default::default()
        };
        assert_eq!(report(&head, &[], &View::default()), "# x\n\n- **Status**: lost\n");
    }
}
