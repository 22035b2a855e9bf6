//! Intendant session logs: a directory of one spine, `session.jsonl`, with a line an event, and
//! files that hold what is too long for a line.
//!
//! A line is `{ts, turn?, event, level?, message?, data?, file?, file2?}`; `ts` is a local time of
//! day without its date (later versions add `ts_ms`). Texts of a turn stand in
//! `turns/turn_NNN_*`, appended to, with the span in `data`; what a command printed stands whole
//! in `<nonce>_stdout.log`. What Intendant calls a turn, one request to the model, is a step here.
//! Events of a name that is not known are kept and shown by their message.

mod read;
mod retold;
mod write;

pub use read::{is_log, parse};
pub use write::write;

use super::native::Shape;
use crate::event::{Decider, Decision};

/// The format's name.
pub const NAME: &str = "intendant";
/// The file of a line an event.
pub const SPINE_FILE: &str = "session.jsonl";
/// What identifies the session.
pub const META_FILE: &str = "session_meta.json";
/// What is written at its end.
pub const SUMMARY_FILE: &str = "summary.json";
/// Characters of a text that a line shows of it.
pub const PREVIEW_LEN: usize = 200;

const LINE: Shape = Shape {
    format: NAME,
    order: &["ts", "ts_ms", "turn", "event", "level", "message", "data", "file", "file2"],
    sorted: Some("data"),
    pretty: false,
};

const META: Shape = Shape {
    format: NAME,
    order: &[
        "session_id",
        "created_at",
        "created_at_ms",
        "project_root",
        "name",
        "task",
        "status",
        "last_turn",
        "role",
        "rounds",
    ],
    sorted: None,
    pretty: true,
};

const SUMMARY: Shape = Shape {
    format: NAME,
    order: &["ended_at", "outcome", "rounds", "session_dir", "session_id", "task", "total_turns"],
    sorted: None,
    pretty: true,
};

/// Decisions by their words in the log, the first word of each first.
const DECISIONS: &[(&str, Decision, Option<Decider>)] = &[
    ("approved", Decision::AllowOnce, Some(Decider::User)),
    ("approve-all", Decision::AllowAlways, Some(Decider::User)),
    ("denied", Decision::RejectOnce, Some(Decider::User)),
    ("skipped", Decision::Cancelled, Some(Decider::User)),
    ("denied-policy", Decision::PolicyDeny, Some(Decider::Policy)),
    ("denied-no-approver", Decision::PolicyDeny, Some(Decider::Config)),
    ("dedup-auto-approved", Decision::Auto, Some(Decider::Config)),
];

/// The file of a turn: `turns/turn_005_model.txt`.
fn turn_file(turn: u32, suffix: &str) -> String {
    format!("turns/turn_{turn:03}_{suffix}")
}
