//! Iterations: a round of an actor that works and a critic that judges.

use super::{Body, Event, Verdict};
use crate::time::WallTime;

/// One round. What nobody stated is None.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Round {
    /// Its number, from 1.
    pub number: u64,
    /// When the actor was done.
    pub time: Option<WallTime>,
    /// The actor.
    pub agent: Option<String>,
    /// What the actor said.
    pub output: Option<String>,
    /// The actor's exit status.
    pub exit_code: Option<i32>,
    /// How long the actor worked, in milliseconds.
    pub duration_ms: Option<u64>,
    /// How many files differ.
    pub files_changed: Option<u64>,
    /// The difference to the commit that was checked out, as a unified diff.
    pub diff: Option<String>,
    /// What the critic decided.
    pub decision: Option<Verdict>,
    /// What the critic asked for, or its summary where it was content.
    pub feedback: Option<String>,
}

/// The rounds in a session's events, in their order.
pub fn rounds(events: &[Event]) -> Vec<Round> {
    let mut rounds: Vec<Round> = Vec::new();
    let mut said: Option<(Option<u32>, &str)> = None;
    for event in events {
        match &event.body {
            Body::AssistantMessage(message) if event.iter.is_some() => {
                said = Some((event.iter, message.text.as_str()));
            }
            Body::Iteration(actor) => rounds.push(Round {
                number: actor.n,
                time: event.time,
                agent: event.agent.clone(),
                output: said.take().filter(|(of, _)| *of == event.iter).map(|(_, t)| t.to_owned()),
                exit_code: actor.exit_code,
                duration_ms: actor.duration_ms,
                ..Round::default()
            }),
            Body::Git(git) => {
                let Some(round) = rounds.last_mut().filter(|_| event.iter.is_some()) else {
                    continue;
                };
                round.files_changed = git.files_changed;
                round.diff = git.diff_ref.str_at("text").map(str::to_owned);
            }
            Body::Critic(critic) => {
                let Some(round) = rounds.last_mut() else { continue };
                round.decision = critic.decision;
                round.feedback = critic.feedback.clone().or_else(|| critic.summary.clone());
            }
            _ => {}
        }
    }
    rounds
}
