//! How smoothly a session went: what had to be said again, refused, sent back.

use super::{Body, Decision, Event, Verdict};

/// Messages that ask for no more than to go on.
const NUDGES: [&str; 8] =
    ["continue", "go on", "go ahead", "keep going", "proceed", "next", "check now", "again"];

/// What only the words of a conversation tell of its troubles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Friction {
    /// Requests for permission that were refused.
    pub rejected: u64,
    /// Messages of the user that asked for no more than to go on.
    pub nudges: u64,
    /// Whether its critic was content with the first try; None where there is no critic.
    pub first_try: Option<bool>,
}

impl Friction {
    /// Of all events of a session.
    pub fn of(events: &[Event]) -> Friction {
        let mut friction = Friction::default();
        events.iter().for_each(|event| friction.add(event));
        friction
    }

    /// Takes one event more of a session.
    pub fn add(&mut self, event: &Event) {
        match &event.body {
            Body::UserMessage(message) if !event.abandoned => {
                let text = message.text.trim().trim_end_matches(['.', '!']).to_lowercase();
                self.nudges += u64::from(NUDGES.contains(&text.as_str()));
            }
            Body::Approval(approval) if !event.abandoned => {
                let rejected = [Decision::RejectOnce, Decision::RejectAlways];
                self.rejected +=
                    u64::from(approval.decision.is_some_and(|d| rejected.contains(&d)));
            }
            Body::Critic(critic) => {
                let is_done = critic.decision.map(|decision| decision == Verdict::Done);
                self.first_try = self.first_try.or(is_done);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Approval, Critic, Source, UserMessage};

    #[test]
    fn what_went_wrong_is_counted() {
        let event = |body: Body| Event::new(Source::Transcript, body);
        let said = |text: &str| {
            event(UserMessage { text: text.to_owned(), ..UserMessage::default() }.into())
        };
        let asked =
            |decision| event(Approval { decision: Some(decision), ..Approval::default() }.into());
        let judged = |decision| event(Critic { decision, ..Critic::default() }.into());
        let mut taken_back = said("continue");
        taken_back.abandoned = true;
        let events = [
            said(" Continue!\n"),
            said("go on."),
            said("go on with the tests"),
            taken_back,
            asked(Decision::RejectOnce),
            asked(Decision::RejectAlways),
            asked(Decision::AllowOnce),
        ];
        let expected = Friction { rejected: 2, nudges: 2, first_try: None };
        assert_eq!(Friction::of(&events), expected);
        let first = |decisions: &[Option<Verdict>]| {
            Friction::of(&decisions.iter().map(|d| judged(*d)).collect::<Vec<_>>()).first_try
        };
        assert_eq!(first(&[Some(Verdict::Done)]), Some(true));
        assert_eq!(first(&[None, Some(Verdict::Continue), Some(Verdict::Done)]), Some(false));
        assert_eq!(first(&[None]), None);
    }
}
