//! The report of a session in Markdown: always the same text for the same events.

use super::text::{View, chat, first_line, first_prompt, plain};
use crate::event::{Body, Counts, Decision, Event, FileOp, MAIN, Tokens, Turn, count, turns};
use crate::time::duration;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What the report says that is not in the events.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The session's name, or its id.
    pub title: String,
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
    let mut out = format!("# {}\n\n", escape(&first_line(&head.title)));
    for (name, value) in &head.facts {
        let _ = writeln!(out, "- **{}**: {}", escape(name), escape(&first_line(value)));
    }
    intent(head, events, &mut out);
    timeline(events, view, &mut out);
    files(events, &mut out);
    tools(events, &mut out);
    approvals(events, view, &mut out);
    tokens(events, &mut out);
    if let Some(resume) = &head.resume {
        let _ = write!(out, "\n## Go on\n\n```sh\n{}\n```\n", plain(resume));
    }
    out
}

/// The conversation in Markdown: a heading a turn, the words below.
pub fn conversation(events: &[Event], view: &View) -> String {
    let mut out = String::new();
    for turn in turns(events) {
        if turn.abandoned && !view.abandoned {
            continue;
        }
        let time = turn.started.map_or(String::new(), |t| format!(" ({})", view.time(t)));
        let _ = write!(
            out,
            "## Turn {}{time}\n\n{}\n",
            turn.number,
            fence(&chat(&events[turn.events], view))
        );
    }
    out
}

fn intent(head: &Head, events: &[Event], out: &mut String) {
    let prompt = events.iter().find_map(|e| match &e.body {
        Body::UserMessage(m) if first_prompt(std::slice::from_ref(e)).is_some() => {
            Some(plain(&m.text))
        }
        _ => None,
    });
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

fn timeline(events: &[Event], view: &View, out: &mut String) {
    let turns = turns(events);
    if turns.is_empty() {
        return;
    }
    out.push_str("\n## Turns\n\n| # | Started | Took | Prompt | Tools | Tokens out | Ended |\n");
    out.push_str("|--:|---|--:|---|--:|--:|---|\n");
    for turn in &turns {
        let started = turn.started.map_or(String::new(), |t| view.time(t));
        let took = turn.started.zip(turn.ended).map_or(String::new(), |(start, end)| {
            duration(u64::try_from(end.unix_us - start.unix_us).unwrap_or(0))
        });
        let _ = writeln!(
            out,
            "| {} | {started} | {took} | {} | {} | {} | {} |",
            turn.number,
            cell(&prompt(turn, events)),
            tool_cell(&turn.counts),
            grouped(turn.counts.tokens.output),
            ending(turn),
        );
    }
}

fn prompt(turn: &Turn, events: &[Event]) -> String {
    let text = match &events[turn.events.start].body {
        Body::UserMessage(message) => first_line(&message.text),
        _ => String::new(),
    };
    match text.char_indices().nth(PROMPT_LEN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn tool_cell(counts: &Counts) -> String {
    match counts.tool_failures {
        0 => counts.tool_calls.to_string(),
        failed => format!("{} ({failed} failed)", counts.tool_calls),
    }
}

fn ending(turn: &Turn) -> String {
    let reason = turn.stop_reason.map_or("", |reason| reason.as_str()).replace('_', " ");
    match turn.abandoned {
        true => "taken back".to_owned(),
        false => reason,
    }
}

#[derive(Default)]
struct Change {
    op: Option<FileOp>,
    plus: u64,
    minus: u64,
    times: u64,
}

fn files(events: &[Event], out: &mut String) {
    let mut changes: BTreeMap<String, Change> = BTreeMap::new();
    for event in events.iter().filter(|e| !e.abandoned) {
        if let Body::FileChange(file) = &event.body {
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
    }
    if changes.is_empty() {
        return;
    }
    out.push_str("\n## Files changed\n\n| File | How | Times | + | - |\n|---|---|--:|--:|--:|\n");
    for (path, change) in changes {
        let op = change.op.map_or("", FileOp::as_str);
        let Change { plus, minus, times, .. } = change;
        let _ = writeln!(out, "| {} | {op} | {times} | {plus} | {minus} |", cell(&path));
    }
}

#[derive(Default)]
struct Use {
    calls: u64,
    failed: u64,
    ms: u64,
}

fn tools(events: &[Event], out: &mut String) {
    let live = || events.iter().filter(|e| !e.abandoned);
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    let mut uses: BTreeMap<&str, Use> = BTreeMap::new();
    let mut failures = Vec::new();
    for event in live() {
        match &event.body {
            Body::ToolCall(call) => {
                uses.entry(&call.name).or_default().calls += 1;
                if let Some(id) = &call.call_id {
                    names.insert(id, &call.name);
                }
            }
            Body::ToolResult(result) => {
                let name = result.call_id.as_deref().and_then(|id| names.get(id)).copied();
                let used = uses.entry(name.unwrap_or("(no call)")).or_default();
                used.ms = used.ms.saturating_add(result.duration_ms.unwrap_or(0));
                if result.ok == Some(false) {
                    used.failed += 1;
                    failures.push((event.turn, name.unwrap_or("?"), result));
                }
            }
            _ => {}
        }
    }
    uses.retain(|_, used| used.calls + used.failed > 0);
    if uses.is_empty() {
        return;
    }
    out.push_str("\n## Tools\n\n| Tool | Calls | Failed | Time |\n|---|--:|--:|--:|\n");
    for (name, Use { calls, failed, ms }) in uses {
        let time = if ms == 0 { String::new() } else { format!("{:.1}s", ms as f64 / 1000.0) };
        let _ = writeln!(out, "| {} | {calls} | {failed} | {time} |", cell(name));
    }
    if !failures.is_empty() {
        out.push_str("\n### Failures\n\n");
    }
    for (turn, name, result) in failures.iter().take(FAILURES_MAX) {
        let turn = turn.map_or(String::new(), |turn| format!("turn {turn}, "));
        let code = result.exit_code.map_or(String::new(), |code| format!(" (exit {code})"));
        let last = result.text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or_default();
        let _ = writeln!(out, "- {turn}{}{code}: {}", escape(name), escape(&first_line(last)));
    }
    if failures.len() > FAILURES_MAX {
        let _ = writeln!(out, "- and {} more", failures.len() - FAILURES_MAX);
    }
}

fn approvals(events: &[Event], view: &View, out: &mut String) {
    let mut rows = String::new();
    let (mut waited, mut interrupts) = (0u64, 0u64);
    for event in events {
        match &event.body {
            Body::Approval(approval) => {
                let time = event.time.map_or(String::new(), |t| view.time(t));
                let decision =
                    approval.decision.unwrap_or(Decision::Unknown).as_str().replace('_', " ");
                let ms = approval.waited_ms;
                waited = waited.saturating_add(ms.unwrap_or(0));
                let ms = ms.map_or(String::new(), |ms| format!("{:.1}s", ms as f64 / 1000.0));
                let _ = writeln!(
                    rows,
                    "| {time} | {} | {decision} | {ms} |",
                    cell(&first_line(&approval.ask))
                );
            }
            Body::Interrupt(_) if event.stream == MAIN => interrupts += 1,
            _ => {}
        }
    }
    if rows.is_empty() && interrupts == 0 {
        return;
    }
    out.push_str("\n## Approvals and waits\n\n");
    if !rows.is_empty() {
        let _ = write!(out, "| When | Asked | Answer | Waited |\n|---|---|---|--:|\n{rows}");
    }
    if waited > 0 {
        let _ = writeln!(out, "\nWaited for the user: {}.", duration(waited.saturating_mul(1000)));
    }
    if interrupts > 0 {
        let _ = writeln!(out, "\nInterrupted by the user: {interrupts}.");
    }
}

fn tokens(events: &[Event], out: &mut String) {
    let mut models: BTreeMap<&str, (u64, Tokens)> = BTreeMap::new();
    for event in events {
        if let Body::Usage(usage) = &event.body {
            let model = models.entry(usage.model.as_deref().unwrap_or("(unknown)")).or_default();
            model.0 += 1;
            model.1.add(usage);
        }
    }
    if models.is_empty() {
        return;
    }
    out.push_str(
        "\n## Tokens\n\n| Model | Requests | In | From cache | To cache | Out | Reasoning |\n",
    );
    out.push_str("|---|--:|--:|--:|--:|--:|--:|\n");
    let all = count(events);
    let several = models.len() > 1;
    let total = [("all", (all.requests, all.tokens))];
    for (model, (requests, t)) in models.into_iter().chain(total.into_iter().filter(|_| several)) {
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

    #[test]
    fn marks_in_recorded_text_stay_text() {
        assert_eq!(cell("a|b *c* <d>"), "a\\|b \\*c\\* &lt;d&gt;");
        assert_eq!(fence("x\n````\ny"), "`````text\nx\n````\ny\n`````\n");
        assert_eq!(grouped(812_004), "812,004");
        assert_eq!((grouped(0), grouped(1000)), ("0".into(), "1,000".into()));
    }

    #[test]
    fn an_empty_session_has_a_short_report() {
        let head = Head {
            title: "x".into(),
            facts: vec![("Status".into(), "lost".into())],
            ..Default::default()
        };
        assert_eq!(report(&head, &[], &View::default()), "# x\n\n- **Status**: lost\n");
    }
}
