//! Events to codeloops sessions.

use super::{CRITIC, NAME, SHAPE};
use crate::event::{
    self, Body, Critic, Event, Evidence, Iteration, Outcome, Phase, Role, SessionEnd, SessionStart,
    StopReason, SubagentStart, TurnEnd, UserMessage, Verdict,
};
use crate::event::{AssistantMessage, Git, MAIN, Source};
use crate::format::native::{self, SPINE};
use crate::hash::sha256;
use crate::json::{Object, Value};
use crate::time::WallTime;
use std::collections::BTreeSet;

/// Who judges a session that had no critic.
const USER: &str = "user";

/// The session as codeloops would have written it. Events that were read from codeloops give the
/// same bytes again, but for blank lines, bytes that are no UTF-8, records that shared a line, and
/// a last line feed that was missing.
///
/// Of any other session each turn becomes an iteration: what the agent said is the actor's output,
/// what the user said next is the critic's feedback.
pub fn write(events: &[Event]) -> String {
    let told;
    let groups = match native::is_from(events, NAME) {
        true => native::records(events),
        false => {
            told = retold(events);
            native::records(&told)
        }
    };
    let mut out = String::new();
    for group in groups {
        let kept = group.iter().find_map(|event| native::fields(event, NAME));
        if let Some(line) = kept.and_then(|k| k.get("line")).and_then(Value::as_str) {
            out.push_str(line);
        } else if let Some(mut made) = record(group) {
            if let Some(kept) = kept {
                native::apply(&mut made, kept);
            }
            out.push_str(&SHAPE.text(&made));
        } else {
            continue;
        }
        out.push('\n');
    }
    out
}

/// The name that codeloops gives to the file of a session.
pub fn file_name(started: WallTime, prompt: &str) -> String {
    let c = WallTime { offset_s: 0, ..started }.civil();
    let sum = sha256(prompt.as_bytes());
    format!(
        "{:04}-{:02}-{:02}T{:02}-{:02}-{:02}Z_{:02x}{:02x}{:02x}.jsonl",
        c.year, c.month, c.day, c.hour, c.minute, c.second, sum[0], sum[1], sum[2]
    )
}

/// The record that a group of events makes.
pub(super) fn record(group: &[Event]) -> Option<Object> {
    let time = group.iter().find_map(|e| e.time).map(timestamp);
    let mut made = group.iter().find_map(|event| match &event.body {
        Body::SessionStart(start) => Some(session_start(start, event, group)),
        Body::Iteration(actor) => Some(iteration(actor, group)),
        Body::SessionEnd(end) => Some(session_end(end, group)),
        _ => None,
    })?;
    made.insert("timestamp", time.map_or(Value::Null, Value::from));
    Some(made)
}

fn session_start(start: &SessionStart, event: &Event, group: &[Event]) -> Object {
    let prompt = find(group, |b| match b {
        Body::UserMessage(message) => Some(message.text.as_str()),
        _ => None,
    });
    let critic = find(group, |b| match b {
        Body::SubagentStart(critic) => critic.name.as_deref(),
        _ => None,
    });
    let unknown = Value::from("");
    Object::from_iter([
        ("type", "session_start".into()),
        ("prompt", prompt.unwrap_or_default().into()),
        ("working_dir", text(start.cwd.as_deref(), &unknown)),
        ("actor_agent", text(event.agent.as_deref(), &unknown)),
        ("critic_agent", text(critic, &unknown)),
        ("actor_model", text(start.model.as_deref(), &Value::Null)),
        ("critic_model", Value::Null),
        ("max_iterations", Value::Null),
    ])
}

fn iteration(actor: &Iteration, group: &[Event]) -> Object {
    let output = find(group, |b| match b {
        Body::AssistantMessage(message) => Some(message.text.as_str()),
        _ => None,
    });
    let git = find(group, |b| match b {
        Body::Git(git) => Some(git),
        _ => None,
    });
    let critic = find(group, |b| match b {
        Body::Critic(critic) => Some(critic),
        _ => None,
    });
    let decision = match critic.and_then(|c| c.decision) {
        Some(Verdict::Done) => "DONE",
        Some(Verdict::Continue) => "CONTINUE",
        _ => "ERROR",
    };
    Object::from_iter([
        ("type", "iteration".into()),
        ("iteration_number", Value::from(actor.n)),
        ("actor_output", output.unwrap_or_default().into()),
        ("actor_stderr", inline(&actor.stderr_ref).into()),
        ("actor_exit_code", Value::from(i64::from(actor.exit_code.unwrap_or(0)))),
        ("actor_duration_secs", seconds(actor.duration_ms).into()),
        ("git_diff", git.map_or("", |git| inline(&git.diff_ref)).into()),
        ("git_files_changed", git.and_then(|git| git.files_changed).unwrap_or(0).into()),
        ("critic_decision", decision.into()),
        ("feedback", text(critic.and_then(|c| c.feedback.as_deref()), &Value::Null)),
    ])
}

fn session_end(end: &SessionEnd, group: &[Event]) -> Object {
    let stop = find(group, |b| match b {
        Body::TurnEnd(turn) => turn.stop_reason,
        _ => None,
    });
    let failure = find(group, |b| match b {
        Body::Failure(failure) => Some(Value::from(failure.message.as_str())),
        _ => None,
    });
    let outcome = match (stop, end.outcome) {
        (Some(StopReason::MaxTurnRequests), _) => "max_iterations_reached",
        (_, Some(Outcome::Succeeded)) => "success",
        (_, Some(Outcome::Interrupted)) => "interrupted",
        _ => "failed",
    };
    let counted = |name: &str| end.counts.get(name).cloned();
    Object::from_iter([
        ("type", "session_end".into()),
        ("outcome", outcome.into()),
        ("iterations", counted("iterations").unwrap_or(Value::Int(0))),
        ("summary", counted("summary").or(failure).unwrap_or_default()),
        ("confidence", counted("confidence").unwrap_or_default()),
        ("duration_secs", seconds(end.duration_ms).into()),
    ])
}

fn find<'a, T>(group: &'a [Event], of: impl Fn(&'a Body) -> Option<T>) -> Option<T> {
    group.iter().find_map(|event| of(&event.body))
}

fn text(text: Option<&str>, unknown: &Value) -> Value {
    text.map_or(unknown.clone(), Value::from)
}

fn inline(reference: &Value) -> &str {
    reference.str_at("text").unwrap_or_default()
}

fn seconds(ms: Option<u64>) -> f64 {
    ms.unwrap_or(0) as f64 / 1000.0
}

/// `2025-01-27T15:30:45Z`, with milliseconds where there are any.
fn timestamp(time: WallTime) -> String {
    let text = WallTime { offset_s: 0, ..time }.rfc3339();
    let (second, ms) = text.trim_end_matches("+00:00").split_once('.').unwrap_or((&text, ""));
    if ms == "000" { format!("{second}Z") } else { format!("{second}.{ms}Z") }
}

/// Any session as events of an actor and a critic, a group a record.
fn retold(events: &[Event]) -> Vec<Event> {
    let mut told = Told { events: Vec::new(), records: 0 };
    let turns = event::turns(events);
    let prompt = |at: usize| match &events[turns[at].events.start].body {
        Body::UserMessage(message) => message.text.clone(),
        _ => String::new(),
    };
    let known = events.iter().find_map(|e| match &e.body {
        Body::SessionStart(start) => Some((start.clone(), e)),
        _ => None,
    });
    let (start, first) = known.map_or_else(Default::default, |(s, e)| (s, Some(e)));
    let agent = events.iter().find_map(|e| e.agent.clone());
    let time = first.and_then(|e| e.time).or_else(|| events.iter().find_map(|e| e.time));
    // Without a prompt, the command is what was asked for.
    let asked = if turns.is_empty() { start.argv.join(" ") } else { prompt(0) };
    let actor = agent.clone().or_else(|| start.argv.first().cloned());
    told.record(
        time,
        actor.as_deref(),
        [
            start.into(),
            UserMessage { text: asked, ..UserMessage::default() }.into(),
            SubagentStart {
                child: CRITIC.to_owned(),
                name: Some(USER.to_owned()),
                ..SubagentStart::default()
            }
            .into(),
        ],
    );
    let end = events.iter().rev().find_map(|e| match &e.body {
        Body::SessionEnd(end) => Some((end, e.time)),
        _ => None,
    });
    let outcome = end.and_then(|(end, _)| end.outcome);
    for (at, turn) in turns.iter().enumerate() {
        let n = u64::from(turn.number);
        let (decision, feedback) = match (at + 1 < turns.len(), outcome) {
            (true, _) => (Verdict::Continue, Some(prompt(at + 1))),
            (false, Some(Outcome::Succeeded)) => (Verdict::Done, None),
            (false, Some(Outcome::Failed)) => (Verdict::Error, None),
            (false, _) => (Verdict::Continue, None),
        };
        let lasted =
            turn.started.zip(turn.ended).map(|(a, b)| (b.unix_us - a.unix_us).max(0) / 1000);
        let spoken = &events[turn.events.clone()];
        told.record(
            turn.ended,
            agent.as_deref(),
            [
                AssistantMessage { text: output_of(spoken), ..Default::default() }.into(),
                Iteration {
                    n,
                    role: Some(Role::Actor),
                    phase: Some(Phase::End),
                    duration_ms: lasted.map(|ms| ms as u64),
                    ..Iteration::default()
                }
                .into(),
                git_of(spoken).into(),
                Critic { n, decision: Some(decision), feedback, ..Critic::default() }.into(),
            ],
        );
    }
    if let Some((end, time)) = end {
        let stop = events.iter().rev().find_map(|e| match &e.body {
            Body::TurnEnd(turn) => turn.stop_reason,
            _ => None,
        });
        // A loop's limit is the only reason that says more than the outcome.
        let stop_reason = stop.filter(|s| *s == StopReason::MaxTurnRequests && outcome.is_none());
        let counts = Object::from_iter([("iterations", turns.len() as u64)]).into();
        let end = SessionEnd { counts, ..end.clone() };
        told.record(time, None, [TurnEnd { stop_reason, ..TurnEnd::default() }.into(), end.into()]);
    }
    told.events
}

struct Told {
    events: Vec<Event>,
    records: u64,
}

impl Told {
    fn record<const N: usize>(
        &mut self,
        time: Option<WallTime>,
        agent: Option<&str>,
        bodies: [Body; N],
    ) {
        for body in bodies {
            let evidence = Evidence { stream: SPINE.to_owned(), offset: self.records, len: 0 };
            self.events.push(Event {
                time,
                agent: agent.map(str::to_owned),
                evidence: Some(evidence),
                ..Event::new(Source::Derived, body)
            });
        }
        self.records += 1;
    }
}

/// What the agent said to the user, abandoned answers left out.
fn output_of(turn: &[Event]) -> String {
    let said = turn.iter().filter(|e| e.stream == MAIN && !e.abandoned);
    let texts: Vec<&str> = said
        .filter_map(|e| match &e.body {
            Body::AssistantMessage(message) => Some(message.text.as_str()),
            _ => None,
        })
        .collect();
    texts.join("\n\n")
}

fn git_of(turn: &[Event]) -> Git {
    let paths: BTreeSet<&str> = turn
        .iter()
        .filter_map(|e| match &e.body {
            Body::FileChange(change) => Some(change.path.as_str()),
            _ => None,
        })
        .collect();
    let stated = turn.iter().rev().find_map(|e| match &e.body {
        Body::Git(git) => Some(git.clone()),
        _ => None,
    });
    let files_changed = Some(paths.len() as u64).filter(|n| *n > 0);
    let git = stated.unwrap_or_default();
    Git { files_changed: git.files_changed.or(files_changed), ..git }
}
