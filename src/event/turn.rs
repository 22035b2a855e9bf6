//! Turns and counts: a turn is a user's message and all that follows it up to the next one.

use super::{Body, Decision, Event, MAIN, MessageForm, StopReason, Usage};
use crate::time::WallTime;
use std::collections::VecDeque;

/// Tokens, in disjoint parts but for `reasoning`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Input that was not in a cache.
    pub input: u64,
    /// Input read from a cache.
    pub cache_read: u64,
    /// Input written to a cache.
    pub cache_write: u64,
    /// Output, reasoning included.
    pub output: u64,
    /// Reasoning, a part of the output.
    pub reasoning: u64,
}

impl Tokens {
    /// Adds what one request took. Sums that do not fit stay at the largest number.
    pub fn add(&mut self, usage: &Usage) {
        let plus = |sum: &mut u64, n: u64| *sum = sum.saturating_add(n);
        plus(&mut self.input, usage.input);
        plus(&mut self.cache_read, usage.cache_read);
        plus(&mut self.cache_write, usage.cache_write_5m.saturating_add(usage.cache_write_1h));
        plus(&mut self.output, usage.output);
        plus(&mut self.reasoning, usage.reasoning);
    }

    /// Adds what others took, likewise.
    pub fn go_on(&mut self, other: &Tokens) {
        let plus = |sum: &mut u64, n: u64| *sum = sum.saturating_add(n);
        plus(&mut self.input, other.input);
        plus(&mut self.cache_read, other.cache_read);
        plus(&mut self.cache_write, other.cache_write);
        plus(&mut self.output, other.output);
        plus(&mut self.reasoning, other.reasoning);
    }

    /// All input, from caches or not.
    pub fn input_total(&self) -> u64 {
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_write)
    }
}

/// What `il show` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Turns of the main stream.
    pub turns: u64,
    /// Thoughts of all streams, withheld ones included.
    pub thoughts: u64,
    /// Tool calls of all streams; a call that another call's program made is not counted again.
    pub tool_calls: u64,
    /// Tool results that say the tool failed, those of refused calls left out.
    pub tool_failures: u64,
    /// Results of calls that were refused.
    pub tool_refusals: u64,
    /// Requests for permission.
    pub approvals: u64,
    /// Failed requests to the model.
    pub api_errors: u64,
    /// Times the user stopped the agent.
    pub interrupts: u64,
    /// Requests to a model that state their tokens.
    pub requests: u64,
    /// Tokens of all requests of all streams. What was abandoned was spent all the same.
    pub tokens: Tokens,
}

/// One turn, as a span of events.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// From 1.
    pub number: u32,
    /// The events that belong to it, as indices; the first is its user message.
    pub events: std::ops::Range<usize>,
    /// When the user's message was sent.
    pub started: Option<WallTime>,
    /// The last time seen in it.
    pub ended: Option<WallTime>,
    /// The user went back behind it.
    pub abandoned: bool,
    /// Why it ended, where somebody says so.
    pub stop_reason: Option<StopReason>,
    /// What it took and did.
    pub counts: Counts,
}

/// What an event means for the turns around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The user says something on the main stream.
    Said,
    /// The same, as a slash command.
    Command,
    /// A model's answer on the main stream, or its failure.
    Answer,
    /// Something on the main stream that a model answers.
    Asks,
    /// Anything else on the main stream.
    Main,
    /// On another stream.
    Beside,
}

impl Part {
    /// What `event` is.
    pub fn of(event: &Event) -> Part {
        match &event.body {
            _ if event.stream != MAIN => Part::Beside,
            Body::UserMessage(m) if m.form == Some(MessageForm::Slash) => Part::Command,
            Body::UserMessage(_) => Part::Said,
            Body::ToolResult(_) | Body::Context(_) => Part::Asks,
            body if by_model(body) => Part::Answer,
            _ => Part::Main,
        }
    }
}

/// Where an event stands: in which turn and step, and whether it begins the turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Number {
    /// The turn, from 1.
    pub turn: Option<u32>,
    /// The step within the turn, from 1.
    pub step: Option<u32>,
    /// It is the turn's first.
    pub begins: bool,
}

/// The turn and the step of every event. Events before the first message have none; a step begins
/// with the first event of a model after something that a model does not write.
pub fn numbers(parts: &[Part]) -> Vec<Number> {
    let mut turn = 0u32;
    let mut step = 0u32;
    let mut answered = true;
    let each = |(at, part): (usize, &Part)| {
        let begins = begins_turn(parts, at);
        if begins {
            turn = turn.saturating_add(1);
            step = 0;
            answered = true;
        }
        match part {
            Part::Answer => {
                step = step.saturating_add(u32::from(answered));
                answered = false;
            }
            Part::Asks => answered = true,
            _ => {}
        }
        let stepped = turn > 0 && step > 0 && *part != Part::Beside;
        Number { turn: (turn > 0).then_some(turn), step: stepped.then_some(step), begins }
    };
    parts.iter().enumerate().map(each).collect()
}

/// Gives every event its turn and its step; see [`numbers`].
pub fn number(events: &mut [Event]) {
    let parts: Vec<Part> = events.iter().map(Part::of).collect();
    for (event, number) in events.iter_mut().zip(numbers(&parts)) {
        (event.turn, event.step) = (number.turn, number.step);
    }
}

/// The turns of a list of events in their order.
pub fn turns(events: &[Event]) -> Vec<Turn> {
    let mut turns = Turns::default();
    events.iter().for_each(|event| turns.add(event));
    turns.finish()
}

/// Makes the turns of events that come one by one.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    turns: Vec<Turn>,
    /// The turn of a slash command that nobody has answered yet: it may be none.
    command: Option<Turn>,
    refusals: Refusals,
    at: usize,
}

impl Turns {
    /// Takes the next event.
    pub fn add(&mut self, event: &Event) {
        match Part::of(event) {
            Part::Said => {
                self.settle(false);
                let turn = self.begin(event);
                self.push(turn);
            }
            Part::Command => {
                self.settle(false);
                self.command = Some(self.begin(event));
            }
            Part::Answer => self.settle(true),
            Part::Asks | Part::Main | Part::Beside => {}
        }
        self.at += 1;
        let refused = self.refusals.take(event);
        if let Some(turn) = self.command.as_mut().or(self.turns.last_mut()) {
            turn.add(event, refused);
            turn.events.end = self.at;
        }
    }

    /// Index of the next event.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The turns.
    pub fn finish(mut self) -> Vec<Turn> {
        self.settle(false);
        self.turns
    }

    fn begin(&self, event: &Event) -> Turn {
        Turn {
            number: 0,
            events: self.at..self.at,
            started: event.time,
            ended: None,
            abandoned: event.abandoned,
            stop_reason: None,
            counts: Counts::default(),
        }
    }

    /// The command begins a turn, or is a part of the turn before it.
    fn settle(&mut self, begins: bool) {
        let Some(command) = self.command.take() else { return };
        match self.turns.last_mut() {
            Some(turn) if !begins => turn.go_on(command),
            _ if begins => self.push(command),
            _ => {}
        }
    }

    fn push(&mut self, turn: Turn) {
        let number = u32::try_from(self.turns.len() + 1).unwrap_or(u32::MAX);
        self.turns.push(Turn { number, ..turn });
    }
}

impl Turn {
    fn add(&mut self, event: &Event, refused: bool) {
        add(&mut self.counts, event, true, refused);
        self.stop_reason = match &event.body {
            Body::TurnEnd(end) => end.stop_reason,
            _ if event.stream != MAIN => None,
            Body::AssistantMessage(message) if message.is_final => Some(StopReason::EndTurn),
            Body::ApiError(error) if !error.retry => Some(StopReason::Error),
            Body::Interrupt(_) => Some(StopReason::Cancelled),
            _ => None,
        }
        .or(self.stop_reason);
        self.ended = later(self.ended, event.time);
    }

    /// Takes in a turn that was none.
    fn go_on(&mut self, other: Turn) {
        self.counts.go_on(&other.counts);
        self.stop_reason = other.stop_reason.or(self.stop_reason);
        self.ended = later(self.ended, other.ended);
        self.events.end = other.events.end;
    }
}
fn later(one: Option<WallTime>, other: Option<WallTime>) -> Option<WallTime> {
    one.into_iter().chain(other).max_by_key(|time| time.unix_us)
}

/// The counts of a whole session. What was abandoned counts only as tokens.
pub fn count(events: &[Event]) -> Counts {
    let parts: Vec<Part> = events.iter().map(Part::of).collect();
    let mut counts = Counts::default();
    let mut refusals = Refusals::default();
    for (at, event) in events.iter().enumerate() {
        counts.add(event, begins_turn(&parts, at), &mut refusals);
    }
    counts
}

impl Counts {
    /// Counts one event more of a session; `begins` where a turn begins with it. `refusals` has
    /// taken the events before it.
    pub fn add(&mut self, event: &Event, begins: bool, refusals: &mut Refusals) {
        self.turns += u64::from(!event.abandoned && begins);
        let refused = refusals.take(event);
        add(self, event, !event.abandoned, refused);
    }

    fn go_on(&mut self, other: &Counts) {
        let Counts { turns, thoughts, tool_calls, tool_failures, tool_refusals, .. } = other;
        let Counts { approvals, api_errors, interrupts, requests, tokens, .. } = other;
        self.turns += turns;
        self.thoughts += thoughts;
        self.tool_calls += tool_calls;
        self.tool_failures += tool_failures;
        self.tool_refusals += tool_refusals;
        self.approvals += approvals;
        self.api_errors += api_errors;
        self.interrupts += interrupts;
        self.requests += requests;
        self.tokens.go_on(tokens);
    }
}

/// The most refused calls that are remembered until their results come.
pub const REFUSALS_MAX: usize = 64;

/// Calls of tools that were refused. Agents say of them that they failed, which is no news: the
/// answer to a request for permission is no failure of the tool.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    calls: VecDeque<String>,
}

impl Refusals {
    /// Takes the next event; whether it is the result of a call that was refused.
    pub fn take(&mut self, event: &Event) -> bool {
        match &event.body {
            Body::Approval(approval) => {
                let Some(call) = &approval.call_id else { return false };
                self.calls.retain(|refused| refused != call);
                if approval.decision.is_some_and(Decision::is_refusal) {
                    if self.calls.len() == REFUSALS_MAX {
                        self.calls.pop_front();
                    }
                    self.calls.push_back(call.clone());
                }
                false
            }
            Body::ToolResult(result) if result.ok == Some(false) => {
                result.call_id.as_ref().is_some_and(|call| self.calls.contains(call))
            }
            _ => false,
        }
    }
}

fn add(counts: &mut Counts, event: &Event, live: bool, refused: bool) {
    if let Body::Usage(usage) = &event.body {
        counts.requests += 1;
        counts.tokens.add(usage);
    }
    if !live {
        return;
    }
    match &event.body {
        Body::Thought(_) => counts.thoughts += 1,
        Body::ToolCall(call) => counts.tool_calls += u64::from(call.within.is_none()),
        Body::ToolResult(_) if refused => counts.tool_refusals += 1,
        Body::ToolResult(result) => counts.tool_failures += u64::from(result.ok == Some(false)),
        Body::Approval(_) => counts.approvals += 1,
        Body::ApiError(_) => counts.api_errors += 1,
        Body::Interrupt(_) => counts.interrupts += 1,
        _ => {}
    }
}

/// Whether a turn begins at this event: with any message of the user on the main stream, but with
/// a slash command only where the agent answers it (`/exit` is nothing to count, a command that
/// expands to a prompt is).
fn begins_turn(parts: &[Part], at: usize) -> bool {
    match parts[at] {
        Part::Said => true,
        Part::Command => parts[at + 1..]
            .iter()
            .take_while(|part| !matches!(part, Part::Said | Part::Command))
            .any(|part| *part == Part::Answer),
        _ => false,
    }
}

/// What only a model's answer, or its failure, can be.
fn by_model(body: &Body) -> bool {
    matches!(
        body,
        Body::AssistantMessage(_) | Body::Thought(_) | Body::ToolCall(_) | Body::ApiError(_)
    )
}
