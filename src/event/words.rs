//! The closed sets of words that events use, each word as it stands in JSON.

/// Declares an enum whose variants are words.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every word of the set.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The word as it stands in JSON.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            /// The variant a word stands for.
            pub fn parse(word: &str) -> Option<$name> {
                match word { $($word => Some($name::$variant),)* _ => None }
            }
        }

        impl super::Field for $name {
            fn write(&self, name: &str, out: &mut crate::json::ObjectWriter<'_>) {
                out.string(name, self.as_str());
            }

            fn read(value: &crate::json::Value) -> Option<$name> {
                $name::parse(value.as_str()?)
            }
        }
    )*};
}

words! {
    /// Which witness an event comes from.
    Source {
        /// The agent's own transcript.
        Transcript = "transcript",
        /// The bytes of the terminal.
        Pty = "pty",
        /// Telemetry the agent sent.
        Otel = "otel",
        /// JSON the agent wrote to its stdout.
        JsonStream = "jsonstream",
        /// Computed from other events.
        Derived = "derived",
        /// The user, by `il mark` and its like.
        User = "user",
    }
    /// How much an event weighs.
    Level {
        /// Of interest to people who look for faults.
        Debug = "debug",
        /// The ordinary course.
        Info = "info",
        /// Something was lost or guessed.
        Warn = "warn",
        /// Something failed.
        Error = "error",
    }
    /// How a session ended.
    Outcome {
        /// Exit status 0.
        Succeeded = "succeeded",
        /// Any other exit status.
        Failed = "failed",
        /// A signal, or a terminal that was closed.
        Interrupted = "interrupted",
        /// The recorder itself was killed.
        Lost = "lost",
    }
    /// What began a turn.
    Trigger {
        /// A prompt.
        User = "user",
        /// A prompt typed while the agent was busy.
        Queued = "queued",
        /// The agent itself.
        Auto = "auto",
        /// A hook.
        Hook = "hook",
        /// The user asked for it by name.
        Manual = "manual",
    }
    /// Why a turn ended.
    StopReason {
        /// The agent had finished.
        EndTurn = "end_turn",
        /// The answer grew too long.
        MaxTokens = "max_tokens",
        /// The agent was not allowed further requests.
        MaxTurnRequests = "max_turn_requests",
        /// The model refused.
        Refusal = "refusal",
        /// The user stopped it.
        Cancelled = "cancelled",
        /// A request failed for good.
        Error = "error",
    }
    /// How a user's message came in.
    MessageForm {
        /// Typed at the prompt.
        Typed = "typed",
        /// Pasted.
        Pasted = "pasted",
        /// Typed while the agent was busy.
        Queued = "queued",
        /// A command to the agent's own program (`/compact`).
        Slash = "slash",
        /// A command for the shell (`!ls`).
        Bang = "bang",
        /// Given on the command line.
        Argv = "argv",
        /// Read from a file.
        File = "file",
    }
    /// How complete a thought is.
    ThoughtForm {
        /// The reasoning itself.
        Full = "full",
        /// A summary the provider made.
        Summary = "summary",
        /// A headline.
        Subject = "subject",
        /// What was painted on the screen.
        Screen = "screen",
        /// The agent reasoned, the text is withheld.
        Redacted = "redacted",
    }
    /// What kind of work a tool does.
    ToolCategory {
        /// Reads files.
        Read = "read",
        /// Creates or changes files.
        Write = "write",
        /// Looks for names or text.
        Search = "search",
        /// Runs commands.
        Shell = "shell",
        /// Uses the network.
        Web = "web",
        /// Hands work to another agent.
        Task = "task",
        /// A tool of an MCP server.
        Mcp = "mcp",
        /// Keeps a plan or a list of things to do.
        Plan = "plan",
        /// Anything else.
        Other = "other",
    }
    /// What became of a request for permission.
    Decision {
        /// Yes, this once.
        AllowOnce = "allow_once",
        /// Yes, from here on.
        AllowAlways = "allow_always",
        /// No, this once.
        RejectOnce = "reject_once",
        /// No, from here on.
        RejectAlways = "reject_always",
        /// The question went away unanswered.
        Cancelled = "cancelled",
        /// Nobody was asked.
        Auto = "auto",
        /// A rule said no.
        PolicyDeny = "policy_deny",
        /// Nobody wrote it down.
        Unknown = "unknown",
    }
    /// Who decided.
    Decider {
        /// The person at the keyboard.
        User = "user",
        /// The agent's configuration.
        Config = "config",
        /// A hook.
        Hook = "hook",
        /// A policy of the provider or the organisation.
        Policy = "policy",
    }
    /// What was done to the agent's context.
    ContextOp {
        /// Replaced by a summary.
        Compact = "compact",
        /// Emptied.
        Clear = "clear",
        /// Taken back to an earlier point.
        Rewind = "rewind",
        /// Summed up without being replaced.
        Summarize = "summarize",
        /// Saved.
        Snapshot = "snapshot",
        /// Parts taken out.
        Prune = "prune",
    }
    /// How usage was stated.
    Basis {
        /// For one request.
        PerRequest = "per_request",
        /// As a running total.
        Cumulative = "cumulative",
        /// The last request's, again.
        Last = "last",
    }
    /// Where a price comes from.
    Priced {
        /// The agent said it.
        Native = "native",
        /// A table of prices.
        Table = "table",
        /// There is none.
        None = "none",
    }
    /// Who acts in an iteration.
    Role {
        /// The one that works.
        Actor = "actor",
        /// The one that judges.
        Critic = "critic",
    }
    /// Which end of an iteration.
    Phase {
        /// It begins.
        Start = "start",
        /// It ends.
        End = "end",
    }
    /// What a critic decided.
    Verdict {
        /// The work is done.
        Done = "done",
        /// Go on.
        Continue = "continue",
        /// The critic failed.
        Error = "error",
        /// Its answer can be read both ways.
        Ambiguous = "ambiguous",
        /// No decision in its answer.
        None = "none",
    }
    /// What happened to a file.
    FileOp {
        /// It is new.
        Create = "create",
        /// Its content changed.
        Modify = "modify",
        /// It is gone.
        Delete = "delete",
        /// It has another name.
        Rename = "rename",
    }
}

impl Decision {
    /// Whether what was asked for was not to be done.
    pub fn is_refusal(self) -> bool {
        matches!(
            self,
            Decision::RejectOnce
                | Decision::RejectAlways
                | Decision::Cancelled
                | Decision::PolicyDeny
        )
    }
}
