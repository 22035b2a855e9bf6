//! The events that codeloops prints (`--log-format json`) to the session that it would have kept:
//! one JSON object a line, `event` says of what kind.

use crate::json::{self, Object, Value};

/// Most bytes of a line of the actor's that are kept, all of one iteration together.
const OUTPUT_LEN_MAX: usize = 16 << 20;

/// Whether output is that of codeloops: its first record is a loop that starts.
pub fn is_log(output: &[u8]) -> bool {
    let first = json::records(output).find_map(|record| record.value.ok());
    first.is_some_and(|first| first.str_at("event") == Some("loop_started"))
}

/// The session file that these events give, as documented, but that they do not name the agents;
/// None if they are others. Numbers of iterations stay as they are. What is no JSON is passed over: it is for people.
pub fn session_of(output: &[u8]) -> Option<String> {
    if !is_log(output) {
        return None;
    }
    let mut loops = Loop::default();
    json::records(output).filter_map(|record| record.value.ok()).for_each(|v| loops.take(&v));
    loops.iteration();
    Some(loops.out)
}

#[derive(Default)]
struct Loop {
    out: String,
    /// The iteration at hand.
    round: Option<Object>,
    output: String,
    errors: String,
}

impl Loop {
    fn take(&mut self, event: &Value) {
        let member = |name: &str| event.get(name).cloned().unwrap_or_default();
        let kind = event.str_at("event").unwrap_or_default();
        match kind {
            "loop_started" => {
                self.line([
                    ("type", "session_start".into()),
                    ("timestamp", member("timestamp")),
                    ("prompt", member("prompt")),
                    ("working_dir", member("working_dir")),
                    ("actor_agent", Value::Null),
                    ("critic_agent", Value::Null),
                    ("actor_model", Value::Null),
                    ("critic_model", Value::Null),
                    ("max_iterations", Value::Null),
                ]);
            }
            "actor_started" => {
                self.iteration();
                self.round().insert("iteration_number", member("iteration"));
            }
            "agent_stream_line" if event.str_at("role") == Some("actor") => {
                let errors = event.str_at("stream") == Some("stderr");
                let text = if errors { &mut self.errors } else { &mut self.output };
                let line = event.str_at("line").unwrap_or_default();
                if text.len() + line.len() < OUTPUT_LEN_MAX {
                    text.push_str(line);
                    text.push('\n');
                }
            }
            "actor_completed" => {
                let (code, lasted) = (member("exit_code"), member("duration_secs"));
                self.round().insert("actor_exit_code", code);
                self.round().insert("actor_duration_secs", lasted);
            }
            "git_diff_captured" => {
                self.round().insert("git_files_changed", member("files_changed"));
            }
            "critic_completed" => {
                self.round().insert("critic_decision", member("decision"));
                self.round().insert("timestamp", member("timestamp"));
                self.iteration();
            }
            "loop_completed" => self.end("success", &member),
            "max_iterations_reached" => self.end("max_iterations_reached", &member),
            "error_encountered" => self.end("failed", &member),
            _ => {}
        }
    }

    fn round(&mut self) -> &mut Object {
        self.round.get_or_insert_with(Object::new)
    }

    /// Ends the iteration at hand, if there is one.
    fn iteration(&mut self) {
        let Some(round) = self.round.take() else { return };
        let (output, errors) = (std::mem::take(&mut self.output), std::mem::take(&mut self.errors));
        let known = |name: &str, unknown: Value| round.get(name).cloned().unwrap_or(unknown);
        self.line([
            ("type", "iteration".into()),
            ("iteration_number", known("iteration_number", Value::Int(0))),
            ("actor_output", output.trim_end().into()),
            ("actor_stderr", errors.trim_end().into()),
            ("actor_exit_code", known("actor_exit_code", Value::Int(0))),
            ("actor_duration_secs", known("actor_duration_secs", Value::Float(0.0))),
            ("git_diff", "".into()),
            ("git_files_changed", known("git_files_changed", Value::Int(0))),
            ("critic_decision", known("critic_decision", "ERROR".into())),
            ("feedback", Value::Null),
            ("timestamp", known("timestamp", Value::Null)),
        ]);
    }

    fn end(&mut self, outcome: &str, member: &dyn Fn(&str) -> Value) {
        self.iteration();
        let iterations = match member("iterations") {
            Value::Null => member("iteration"),
            iterations => iterations,
        };
        let summary = match member("summary") {
            Value::Null => member("error"),
            summary => summary,
        };
        self.line([
            ("type", "session_end".into()),
            ("outcome", outcome.into()),
            ("iterations", iterations),
            ("summary", summary),
            ("confidence", member("confidence")),
            ("duration_secs", member("duration_secs")),
            ("timestamp", member("timestamp")),
        ]);
    }

    fn line<const N: usize>(&mut self, members: [(&str, Value); N]) {
        Object::from_iter(members).write(&mut self.out);
        self.out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use crate::event::Body;
    use crate::session::Status;

    const LOG: &str = r#"
{"event":"loop_started","prompt":"Fix it","working_dir":"/w","timestamp":"2025-01-27T15:30:45Z"}
{"event":"actor_started","iteration":0,"prompt_preview":"Fix","timestamp":"2025-01-27T15:30:46Z"}
{"event":"agent_stream_line","iteration":0,"role":"actor","stream":"stdout","line":"done","timestamp":"2025-01-27T15:30:47Z"}
{"event":"agent_stream_line","iteration":0,"role":"critic","stream":"stdout","line":"no","timestamp":"2025-01-27T15:30:47Z"}
{"event":"actor_completed","iteration":0,"exit_code":3,"duration_secs":1.5,"timestamp":"2025-01-27T15:30:48Z"}
a line for people
{"event":"git_diff_captured","iteration":0,"files_changed":2,"insertions":3,"deletions":1,"timestamp":"2025-01-27T15:30:48Z"}
{"event":"critic_completed","iteration":0,"decision":"CONTINUE (2 issues)","timestamp":"2025-01-27T15:30:49Z"}
{"event":"actor_started","iteration":1,"prompt_preview":"Fix","timestamp":"2025-01-27T15:30:50Z"}
{"event":"critic_completed","iteration":1,"decision":"DONE (confidence: 95%)","timestamp":"2025-01-27T15:30:51Z"}
{"event":"loop_completed","iterations":2,"summary":"It is fixed","duration_secs":6.0,"timestamp":"2025-01-27T15:30:51Z"}
"#;

    #[test]
    fn a_log_gives_the_session_that_was_not_kept() {
        let text = session_of(LOG.as_bytes()).expect("a log");
        let session = parse(text.as_bytes(), "x").expect("a session");
        assert!(session.broken.is_empty(), "{:?}", session.broken);
        assert_eq!(session.status, Some(Status::Succeeded));
        let rounds: Vec<(u64, Option<i32>)> = session
            .events
            .iter()
            .filter_map(|event| match &event.body {
                Body::Iteration(round) => Some((round.n, round.exit_code)),
                _ => None,
            })
            .collect();
        assert_eq!(rounds, [(1, Some(3)), (2, Some(0))]);
        let said = session.events.iter().filter_map(|event| match &event.body {
            Body::AssistantMessage(message) => Some(message.text.as_str()),
            _ => None,
        });
        assert_eq!(said.collect::<Vec<_>>(), ["done"]);
    }

    #[test]
    fn a_log_may_stop_anywhere_and_others_are_none() {
        for (at, _) in LOG.match_indices('\n').skip(1) {
            let text = session_of(&LOG.as_bytes()[..at]).expect("a log");
            assert!(parse(text.as_bytes(), "x").is_some(), "{at}");
        }
        for other in ["", "text", "{\"event\":\"done\"}", "{\"type\":\"result\"}"] {
            assert!(session_of(other.as_bytes()).is_none(), "{other}");
        }
    }
}
