//! How a session stands.

/// How a session stands. Computed from the lock and the ending, never believed from a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Its recorder lives.
    Running,
    /// The command ended with status 0.
    Succeeded,
    /// The command ended with another status, by a signal of its own making, or never began.
    Failed,
    /// The command was interrupted: by INT, HUP, TERM or QUIT, or by the loss of its terminal.
    Interrupted,
    /// The recorder was killed. Everything it had read is there.
    Lost,
    /// An agent's loop came to its limit (imported sessions).
    MaxIterationsReached,
}

impl Status {
    /// All of them, with their names.
    pub const NAMES: [(Status, &'static str); 6] = [
        (Status::Running, "running"),
        (Status::Succeeded, "succeeded"),
        (Status::Failed, "failed"),
        (Status::Interrupted, "interrupted"),
        (Status::Lost, "lost"),
        (Status::MaxIterationsReached, "max_iterations_reached"),
    ];

    /// The name.
    pub fn name(self) -> &'static str {
        Status::NAMES.iter().find(|(s, _)| *s == self).map_or("", |(_, name)| name)
    }

    /// The status of this name; `success` is taken for `succeeded`.
    pub fn from_name(name: &str) -> Option<Status> {
        let name = if name == "success" { "succeeded" } else { name };
        Status::NAMES.iter().find(|(_, n)| *n == name).map(|(s, _)| *s)
    }
}
