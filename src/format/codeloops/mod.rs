//! codeloops sessions: JSON lines of an actor that works and a critic that judges, round by round.
//!
//! `session_start`, then an `iteration` a round, then `session_end` unless the program was killed.
//! The documentation counts rounds from 1 and has bare decisions (`DONE`); the program has counted
//! from 0, written `DONE (confidence: 95%)`, and said `user_interrupted` for `interrupted`. All of
//! it is read; what the events cannot hold exactly is kept beside them (see [`super::native`]).

mod live;
mod read;
mod write;

pub use live::{is_log, session_of};
pub use read::{is_session, parse, verdict};
pub use write::{file_name, write};

use super::native::Shape;

/// The format's name.
pub const NAME: &str = "codeloops";
/// The stream of the critic's events; the actor has the main stream.
pub const CRITIC: &str = "critic";

/// Members of all three kinds of lines in the order in which the program writes them.
const SHAPE: Shape = Shape {
    format: NAME,
    order: &[
        "type",
        "iteration_number",
        "outcome",
        "iterations",
        "actor_output",
        "actor_stderr",
        "actor_exit_code",
        "actor_duration_secs",
        "git_diff",
        "git_files_changed",
        "critic_decision",
        "feedback",
        "summary",
        "confidence",
        "duration_secs",
        "timestamp",
        "prompt",
        "working_dir",
        "actor_agent",
        "critic_agent",
        "actor_model",
        "critic_model",
        "max_iterations",
    ],
    sorted: None,
    pretty: false,
};
