//! codeloops sessions to events.

use super::{CRITIC, NAME, SHAPE, write};
use crate::event::{AssistantMessage, Level};
use crate::event::{
    Body, Critic, Event, Evidence, Failure, FileChange, FileOp, Git, Iteration, Outcome, Phase,
    Role, SessionEnd, SessionStart, Source, StopReason, SubagentStart, TurnEnd, UserMessage,
    Verdict,
};
use crate::format::native::{self, Foreign, SPINE};
use crate::json::{self, Object, Record, Value};
use crate::session::Status;
use crate::time::WallTime;

/// Most files of one diff that become events of their own.
pub const DIFF_FILES_MAX: usize = 1000;

/// Whether a file is a codeloops session: its first record is a start with a prompt.
pub fn is_session(text: &[u8]) -> bool {
    json::records(text).next().and_then(|record| record.value.ok()).is_some_and(|first| {
        first.str_at("type") == Some("session_start")
            && first.str_at("prompt").is_some()
            && first.str_at("working_dir").is_some()
    })
}

/// The session in a file of codeloops, which is to be kept as the stream [`SPINE`]. None if it is
/// another file. A line that is no JSON, or is not what its type says, is kept and noted.
pub fn parse(text: &[u8], path: &str) -> Option<Foreign> {
    if !is_session(text) {
        return None;
    }
    let mut reader = Reader { path, ..Reader::default() };
    for record in json::records(text) {
        let end = record.offset.saturating_add(record.len) as usize;
        let line = String::from_utf8_lossy(&text[record.offset as usize..end]);
        reader.record(record, &line);
    }
    Some(reader.session.finish())
}

#[derive(Default)]
struct Reader<'a> {
    path: &'a str,
    session: Foreign,
    actor: Option<String>,
    critic: Option<String>,
    model: Option<String>,
    /// The first iteration's number: 0 or 1.
    base: Option<u64>,
    /// The record at hand.
    place: Evidence,
    time: Option<WallTime>,
}

impl Reader<'_> {
    fn record(&mut self, record: Record, line: &str) {
        let stream = SPINE.to_owned();
        self.place = Evidence { stream, offset: record.offset, len: record.len };
        let from = self.session.events.len();
        let object = match record.value {
            Ok(Value::Object(object)) => object,
            Ok(_) => return self.keep_line(record.line, line, "not an object"),
            Err(kind) => return self.keep_line(record.line, line, kind.to_string()),
        };
        let value = Value::Object(object.clone());
        // An event's line holds milliseconds: what is finer is kept with the rest.
        let time = value.str_at("timestamp").and_then(WallTime::parse_rfc3339);
        let cut = |t: WallTime| WallTime { unix_us: t.unix_us.div_euclid(1000) * 1000, ..t };
        self.time = time.map(cut);
        match value.str_at("type") {
            Some("session_start") => self.start(&value),
            Some("iteration") => self.iteration(&value),
            Some("session_end") => self.end(&value),
            _ => return self.keep_line(record.line, line, "not a line that codeloops writes"),
        }
        let made = write::record(&self.session.events[from..]).unwrap_or_default();
        let start = value.str_at("type") == Some("session_start");
        match SHAPE.rest(&made, &object, line) {
            Some(fields) => self.keep(fields),
            // The start always says what it comes from.
            None if start => self.keep(Object::from_iter([("format", NAME)])),
            None => {}
        }
    }

    fn keep(&mut self, fields: Object) {
        self.session.events.push(native::event(fields, self.place.clone()));
    }

    fn keep_line(&mut self, number: u64, line: &str, what: impl Into<String>) {
        self.session.note(self.path, number, what);
        self.keep(Object::from_iter([("format", NAME), ("line", line)]));
        if let Some(event) = self.session.events.last_mut() {
            event.level = Level::Warn;
        }
    }

    fn push(&mut self, body: impl Into<Body>) -> &mut Event {
        let event = Event {
            time: self.time,
            agent: self.actor.clone(),
            turn: Some(1),
            evidence: Some(self.place.clone()),
            ..Event::new(Source::Transcript, body)
        };
        self.session.events.push(event);
        let last = self.session.events.len() - 1;
        &mut self.session.events[last]
    }

    fn start(&mut self, value: &Value) {
        let text = |name: &str| value.str_at(name).map(str::to_owned);
        self.actor = text("actor_agent");
        self.critic = text("critic_agent");
        self.model = text("actor_model");
        self.session.agent.clone_from(&self.actor);
        self.session.cwd = text("working_dir");
        self.session.started = self.time;
        let (cwd, model) = (text("working_dir"), self.model.clone());
        self.push(SessionStart { cwd, model, ..SessionStart::default() });
        let prompt = text("prompt").unwrap_or_default();
        self.push(UserMessage { text: prompt, ..UserMessage::default() });
        let name = self.critic.clone();
        self.push(SubagentStart { child: CRITIC.to_owned(), name, ..SubagentStart::default() });
    }

    fn iteration(&mut self, value: &Value) {
        let text = |name: &str| value.str_at(name).unwrap_or_default().to_owned();
        let number = value.u64_at("iteration_number").unwrap_or(0);
        let base = *self.base.get_or_insert(number.min(1));
        let n = number.saturating_add(1 - base);
        let iter = u32::try_from(n).ok();
        let from = self.session.events.len();
        let exit_code = value.get("actor_exit_code").and_then(Value::as_i64);
        let (output, errors, diff) = (text("actor_output"), text("actor_stderr"), text("git_diff"));
        if !output.is_empty() {
            let model = self.model.clone();
            self.push(AssistantMessage { text: output, model, ..AssistantMessage::default() });
        }
        self.push(Iteration {
            n,
            role: Some(Role::Actor),
            phase: Some(Phase::End),
            exit_code: exit_code.and_then(|code| i32::try_from(code).ok()),
            duration_ms: value.get("actor_duration_secs").and_then(ms),
            stdout_ref: Value::Null,
            stderr_ref: inline(&errors),
        });
        let files = changes(&diff);
        let sum = |count: fn(&FileChange) -> Option<u64>| files.iter().filter_map(count).sum();
        self.push(Git {
            files_changed: value.u64_at("git_files_changed"),
            insertions: Some(sum(|f| f.plus)).filter(|_| !diff.is_empty()),
            deletions: Some(sum(|f| f.minus)).filter(|_| !diff.is_empty()),
            diff_ref: inline(&diff),
            ..Git::default()
        });
        for change in files {
            self.push(change).source = Source::Derived;
        }
        let said = text("critic_decision");
        let feedback = value.str_at("feedback").map(str::to_owned);
        let (decision, confidence) = verdict(&said);
        let critic = self.critic.clone();
        let event = self.push(Critic { n, decision, confidence, feedback, ..Critic::default() });
        (event.stream, event.agent) = (CRITIC.to_owned(), critic);
        self.session.events[from..].iter_mut().for_each(|event| event.iter = iter);
    }

    fn end(&mut self, value: &Value) {
        let summary = value.str_at("summary").map(str::to_owned);
        let (status, outcome, stop_reason) = match value.str_at("outcome").unwrap_or_default() {
            "success" => (Status::Succeeded, Some(Outcome::Succeeded), StopReason::EndTurn),
            "max_iterations_reached" => {
                (Status::MaxIterationsReached, None, StopReason::MaxTurnRequests)
            }
            "interrupted" | "user_interrupted" => {
                (Status::Interrupted, Some(Outcome::Interrupted), StopReason::Cancelled)
            }
            _ => (Status::Failed, Some(Outcome::Failed), StopReason::Error),
        };
        let confidence = value.get("confidence").and_then(Value::as_f64);
        let mut counts = Object::new();
        if let Some(iterations) = value.u64_at("iterations") {
            counts.insert("iterations", iterations);
        }
        if status == Status::Succeeded {
            if let Some(summary) = &summary {
                counts.insert("summary", summary.as_str());
            }
            if let Some(confidence) = confidence {
                counts.insert("confidence", confidence);
            }
            self.last_word(summary, confidence);
        } else if let Some(message) = summary {
            self.push(Failure { message, code: None }).level = Level::Error;
        }
        let duration_ms = value.get("duration_secs").and_then(ms);
        let stop_reason = Some(stop_reason);
        self.push(TurnEnd { stop_reason, duration_ms, ..TurnEnd::default() });
        let counts = counts.into();
        self.push(SessionEnd { outcome, duration_ms, counts, ..SessionEnd::default() });
        self.session.status = Some(status);
        self.session.ended = self.time;
    }

    /// The end states what the critic said when it was content; it is the critic's word.
    fn last_word(&mut self, summary: Option<String>, confidence: Option<f64>) {
        let last = self.session.events.iter_mut().rev().find_map(|e| match &mut e.body {
            Body::Critic(critic) => Some(critic),
            _ => None,
        });
        if let Some(critic) = last {
            critic.summary = summary;
            critic.confidence = confidence.or(critic.confidence);
        }
    }
}

/// What a stored decision says, in the documentation's form or the program's own, and how sure
/// the critic was where it says so.
pub fn verdict(said: &str) -> (Option<Verdict>, Option<f64>) {
    let upper = said.trim().to_ascii_uppercase();
    let words =
        [("DONE", Verdict::Done), ("CONTINUE", Verdict::Continue), ("ERROR", Verdict::Error)];
    let decision = words.into_iter().find(|(word, _)| upper.starts_with(word)).map(|(_, v)| v);
    let percent = upper
        .split_once("CONFIDENCE:")
        .and_then(|(_, rest)| rest.trim_start().split('%').next()?.trim().parse::<f64>().ok());
    (decision, percent.map(|p| p / 100.0).filter(|p| (0.0..=1.0).contains(p)))
}

/// A duration in seconds, in milliseconds.
fn ms(seconds: &Value) -> Option<u64> {
    let ms = (seconds.as_f64()? * 1000.0).round();
    (0.0..1e18).contains(&ms).then_some(ms as u64)
}

/// A text that stands in the event itself.
fn inline(text: &str) -> Value {
    match text {
        "" => Value::Null,
        text => Object::from_iter([("text", text)]).into(),
    }
}

/// The files that a unified diff of git changes, [`DIFF_FILES_MAX`] at most.
fn changes(diff: &str) -> Vec<FileChange> {
    let mut files: Vec<FileChange> = Vec::new();
    // Lines of the hunk at hand that are still to come, old and new: inside it `--- a` is a line.
    let (mut old, mut new) = (0u64, 0u64);
    for line in diff.lines() {
        if let Some(names) = line.strip_prefix("diff --git ").filter(|_| old == 0 && new == 0) {
            if files.len() == DIFF_FILES_MAX {
                break;
            }
            // Where a name has blanks, the header can be read in several ways; +++ tells.
            let path = names.split_once(" b/").map_or(names, |(_, path)| path).to_owned();
            let op = Some(FileOp::Modify);
            files.push(FileChange {
                path,
                op,
                plus: Some(0),
                minus: Some(0),
                ..Default::default()
            });
            continue;
        }
        let Some(file) = files.last_mut() else { continue };
        if old > 0 || new > 0 {
            let more = |n: &mut Option<u64>| *n = n.map(|n| n + 1);
            match line.as_bytes().first() {
                Some(b'+') => (new, ()) = (new.saturating_sub(1), more(&mut file.plus)),
                Some(b'-') => (old, ()) = (old.saturating_sub(1), more(&mut file.minus)),
                Some(b'\\') => {}
                _ => (old, new) = (old.saturating_sub(1), new.saturating_sub(1)),
            }
        } else if let Some(hunk) = line.strip_prefix("@@ -") {
            (old, new) = lines_of(hunk);
        } else if let Some(path) = line.strip_prefix("+++ b/").or(line.strip_prefix("rename to ")) {
            path.trim_end_matches('\t').clone_into(&mut file.path);
            if line.starts_with("rename") {
                file.op = Some(FileOp::Rename);
            }
        } else if line.starts_with("new file mode") {
            file.op = Some(FileOp::Create);
        } else if line.starts_with("deleted file mode") {
            file.op = Some(FileOp::Delete);
        }
    }
    files
}

/// How many lines of the old and of the new file a hunk's header (`1,7 +1,9 @@`) announces.
fn lines_of(header: &str) -> (u64, u64) {
    let mut sides = header.split([' ', '+', '@']).filter(|part| !part.is_empty());
    let mut side = || {
        let part = sides.next()?;
        Some(part.split_once(',').map_or(1, |(_, count)| count.parse().unwrap_or(0)))
    };
    (side().unwrap_or(0), side().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_read_in_both_forms() {
        for (said, want) in [
            ("DONE", (Some(Verdict::Done), None)),
            ("DONE (confidence: 95%)", (Some(Verdict::Done), Some(0.95))),
            ("done (confidence: 250%)", (Some(Verdict::Done), None)),
            ("CONTINUE (2 issues)", (Some(Verdict::Continue), None)),
            ("Error", (Some(Verdict::Error), None)),
            ("UNDONE", (None, None)),
            ("", (None, None)),
        ] {
            assert_eq!(verdict(said), want, "{said}");
        }
    }

    #[test]
    fn a_diff_tells_its_files_and_their_lines() {
        let diff = "diff --git a/x y b/x y\nindex 1..2 100644\n--- a/x y\n+++ b/x y\t\n@@ -1,2 +1,3 @@ f\n a\n--- b/q\n+++ c\n+d\n\\ No newline at end of file\n\
                    diff --git a/new b/new\nnew file mode 100644\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+1\n\
                    diff --git a/old b/old\ndeleted file mode 100644\n--- a/old\n+++ /dev/null\n@@ -1 +0,0 @@\n-1\n\
                    diff --git a/p b/q\nsimilarity index 100%\nrename from p\nrename to q\n";
        let told: Vec<_> = changes(diff)
            .into_iter()
            .map(|f| {
                format!(
                    "{} {} +{} -{}",
                    f.op.unwrap().as_str(),
                    f.path,
                    f.plus.unwrap(),
                    f.minus.unwrap()
                )
            })
            .collect();
        assert_eq!(
            told,
            ["modify x y +2 -1", "create new +1 -0", "delete old +0 -1", "rename q +0 -0"]
        );
        let many = "diff --git a/f b/f\n".repeat(DIFF_FILES_MAX + 1);
        assert_eq!(changes(&many).len(), DIFF_FILES_MAX);
    }
}
