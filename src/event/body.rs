//! What an event says: one variant a kind, declared once for its type, its writer and its reader.

use super::Field;
use super::field::read;
use super::words::*;
use crate::json::{Object, ObjectWriter, Value};

/// Declares the kinds. A field's name in JSON is its Rust name, or the text after `=`.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $word:literal {
        $($(#[$fdoc:meta])* $field:ident: $type:ty $(= $name:literal)?,)*
    })*) => {
        /// What an event says.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Body {
            $($(#[$doc])* $kind($kind),)*
            /// A kind this version does not know; its members are kept.
            Unknown(Unknown),
        }

        $($(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $kind { $($(#[$fdoc])* pub $field: $type,)* }

        impl From<$kind> for Body {
            fn from(body: $kind) -> Body {
                Body::$kind(body)
            }
        })*

        impl Body {
            /// Every known kind's word.
            pub const KINDS: &'static [&'static str] = &[$($word),*];

            /// The kind's word.
            pub fn kind(&self) -> &str {
                match self {
                    $(Body::$kind(_) => $word,)*
                    Body::Unknown(unknown) => &unknown.kind,
                }
            }

            pub(super) fn write(&self, out: &mut ObjectWriter<'_>) {
                match self {
                    $(Body::$kind(body) => {
                        $(Field::write(&body.$field, kinds!(@name $field $($name)?), out);)*
                        let _ = body;
                    })*
                    Body::Unknown(unknown) => {
                        for (name, value) in unknown.fields.iter() {
                            out.value(name, value);
                        }
                    }
                }
            }

            /// None where a field is missing or of another type.
            pub(super) fn read(kind: &str, object: &Object) -> Option<Body> {
                match kind {
                    $($word => Some(Body::$kind($kind {
                        $($field: read(object, kinds!(@name $field $($name)?))?,)*
                    })),)*
                    _ => None,
                }
            }
        }
    };
    (@name $field:ident $name:literal) => { $name };
    (@name $field:ident) => { stringify!($field) };
}

kinds! {
    /// A session begins.
    SessionStart "session_start" {
        /// The command and its arguments.
        argv: Vec<String>,
        /// The directory it runs in.
        cwd: Option<String>,
        /// The agent's version.
        agent_version: Option<String>,
        /// The agent's own session id.
        agent_session: Option<String>,
        /// The model the session begins with.
        model: Option<String>,
        /// Repository: root, common directory, remote.
        project: Value,
        /// Repository state: head, branch, dirty, tree.
        git: Value,
        /// Terminal: cols, rows, TERM.
        term: Value,
        /// The machine.
        host: Option<String>,
        /// The user.
        user: Option<String>,
        /// The intent served: id, title.
        intent: Value,
        /// The session this one goes on from.
        resumed_from: Option<String>,
    }
    /// A session has ended.
    SessionEnd "session_end" {
        /// How.
        outcome: Option<Outcome>,
        /// The command's exit status.
        exit_code: Option<i32>,
        /// The signal it died of.
        signal: Option<String>,
        /// How long it took, in milliseconds.
        duration_ms: Option<u64>,
        /// Totals.
        counts: Value,
        /// Repository state: head, tree, dirty.
        git: Value,
    }
    /// A turn begins.
    TurnStart "turn_start" {
        /// What began it.
        trigger: Option<Trigger>,
    }
    /// A turn has ended.
    TurnEnd "turn_end" {
        /// Why.
        stop_reason: Option<StopReason>,
        /// From the prompt to the end, in milliseconds, as the agent states it.
        duration_ms: Option<u64>,
        /// Time the agent worked, in milliseconds.
        agent_ms: Option<u64>,
        /// Time its tools ran, in milliseconds.
        tool_ms: Option<u64>,
        /// Time it waited for the user, in milliseconds.
        blocked_ms: Option<u64>,
    }
    /// The user says something to the agent.
    UserMessage "user_message" {
        /// The words.
        text: String,
        /// How they came in.
        form: Option<MessageForm>,
        /// Names of what was attached.
        attachments: Vec<String>,
        /// Keystrokes that were typed and taken back.
        edited_keystrokes: Option<u64>,
    }
    /// The agent says something to the user.
    AssistantMessage "assistant_message" {
        /// The words.
        text: String,
        /// The model.
        model: Option<String>,
        /// The provider's request id.
        request_id: Option<String>,
        /// The provider's message id.
        message_id: Option<String>,
        /// Whether the agent marks it as its final answer.
        is_final: bool = "final",
    }
    /// The agent reasons.
    Thought "thought" {
        /// The reasoning; empty where it is withheld.
        text: String,
        /// How complete the text is.
        form: Option<ThoughtForm>,
        /// Only a signature or a cipher was kept.
        signature_only: bool,
    }
    /// The agent calls a tool.
    ToolCall "tool_call" {
        /// Links the call to its result.
        call_id: Option<String>,
        /// The tool's name, as the agent names it.
        name: String,
        /// What kind of work it does.
        category: Option<ToolCategory> = "cat",
        /// One line for people.
        title: Option<String>,
        /// The arguments as they were given.
        args: Value,
        /// Files it names.
        paths: Vec<String>,
        /// Set on a call made by another call's program; its id.
        within: Option<String>,
    }
    /// A tool has answered.
    ToolResult "tool_result" {
        /// Links the result to its call.
        call_id: Option<String>,
        /// Whether it worked.
        ok: Option<bool>,
        /// The exit status of a command.
        exit_code: Option<i32>,
        /// What the agent was told.
        text: String,
        /// How long the tool ran, in milliseconds.
        duration_ms: Option<u64>,
        /// The output was longer than what was kept.
        truncated: bool,
        /// What went wrong.
        error: Option<String>,
    }
    /// Permission is asked for, and given or not.
    Approval "approval" {
        /// The call it is about.
        call_id: Option<String>,
        /// What was asked.
        ask: String,
        /// The answers that were offered.
        options: Vec<String>,
        /// What became of it.
        decision: Option<Decision>,
        /// Who decided.
        by: Option<Decider>,
        /// The key that was pressed.
        key: Option<String>,
        /// How long the agent waited, in milliseconds.
        waited_ms: Option<u64>,
    }
    /// The agent asks the user something.
    Question "question" {
        /// Links the question to its answer.
        q_id: Option<String>,
        /// The question.
        text: String,
        /// The answers that were offered.
        options: Vec<String>,
    }
    /// The user answers the agent's question.
    Answer "answer" {
        /// Links the answer to its question.
        q_id: Option<String>,
        /// The answer.
        answer: String,
        /// How long the agent waited, in milliseconds.
        waited_ms: Option<u64>,
    }
    /// The agent's context is compacted, cleared, taken back.
    Context "context" {
        /// What was done.
        op: Option<ContextOp>,
        /// Who wanted it.
        trigger: Option<Trigger>,
        /// Tokens before.
        before_tokens: Option<u64>,
        /// Tokens after.
        after_tokens: Option<u64>,
        /// What the context was replaced by.
        summary: Option<String>,
        /// The size of the model's window, in tokens.
        window: Option<u64>,
    }
    /// Tokens that one request took. All counts are disjoint but `reasoning`, a part of `output`.
    Usage "usage" {
        /// The model.
        model: Option<String>,
        /// The request; the same id is never counted twice.
        request_id: Option<String>,
        /// Input that was not in a cache.
        input: u64 = "in",
        /// Input read from a cache.
        cache_read: u64,
        /// Input written to a cache for five minutes, or for a time nobody states.
        cache_write_5m: u64,
        /// Input written to a cache for an hour.
        cache_write_1h: u64,
        /// Output, reasoning included.
        output: u64 = "out",
        /// Reasoning, a part of the output.
        reasoning: u64,
        /// The provider's own total.
        total: Option<u64>,
        /// Price in millionths of a US dollar.
        cost_microusd: Option<u64>,
        /// Where the price comes from.
        priced: Option<Priced>,
        /// How usage was stated.
        basis: Option<Basis>,
    }
    /// Another model, or another effort.
    ModelChange "model_change" {
        /// Before.
        from: Option<String>,
        /// After.
        to: Option<String>,
    }
    /// Another mode: of permission, of planning.
    ModeChange "mode_change" {
        /// Before.
        from: Option<String>,
        /// After.
        to: Option<String>,
    }
    /// The agent writes down its plan.
    Plan "plan" {
        /// Items with text and status.
        items: Value,
    }
    /// Another agent is set to work.
    SubagentStart "subagent_start" {
        /// The stream its events have.
        child: String,
        /// Its name or type.
        name: Option<String>,
        /// What it was told.
        prompt: Option<String>,
        /// The call that started it.
        call_id: Option<String>,
    }
    /// Another agent has finished.
    SubagentEnd "subagent_end" {
        /// The stream its events have.
        child: String,
        /// What it answered.
        result: Option<String>,
        /// The call that started it.
        call_id: Option<String>,
    }
    /// One round of an actor and a critic.
    Iteration "iteration" {
        /// From 1.
        n: u64,
        /// Who acts.
        role: Option<Role>,
        /// Which end.
        phase: Option<Phase>,
        /// The exit status.
        exit_code: Option<i32>,
        /// How long it took, in milliseconds.
        duration_ms: Option<u64>,
        /// Where its output is.
        stdout_ref: Value,
        /// Where its errors are.
        stderr_ref: Value,
    }
    /// A critic's decision.
    Critic "critic" {
        /// The iteration, from 1.
        n: u64,
        /// The decision.
        decision: Option<Verdict>,
        /// How sure it is, 0 to 1.
        confidence: Option<f64>,
        /// In short.
        summary: Option<String>,
        /// What it wants changed.
        feedback: Option<String>,
        /// One by one.
        issues: Vec<String>,
    }
    /// A file was changed.
    FileChange "file_change" {
        /// Its path.
        path: String,
        /// What happened.
        op: Option<FileOp>,
        /// Lines added.
        plus: Option<u64>,
        /// Lines taken away.
        minus: Option<u64>,
        /// Its content before, as a hash.
        before_hash: Option<String>,
        /// Its content after, as a hash.
        after_hash: Option<String>,
        /// The tool call that did it, or `observed`.
        by: Option<String>,
    }
    /// The repository moved.
    Git "git" {
        /// The commit.
        head: Option<String>,
        /// The branch.
        branch: Option<String>,
        /// What happened: commit, checkout, …
        event: Option<String>,
        /// Commits made.
        commits: Vec<String>,
        /// Files changed.
        files_changed: Option<u64>,
        /// Lines added.
        insertions: Option<u64>,
        /// Lines taken away.
        deletions: Option<u64>,
        /// Where the diff is.
        diff_ref: Value,
    }
    /// The user stopped the agent.
    Interrupt "interrupt" {
        /// How: esc, ctrl-c, sigint.
        key: Option<String>,
        /// What it did.
        effect: Option<String>,
    }
    /// The terminal has another size.
    Resize "resize" {
        /// Columns.
        cols: u64,
        /// Rows.
        rows: u64,
    }
    /// A mark.
    Marker "marker" {
        /// Its words.
        text: String,
        /// Who set it: user, agent, il.
        by: Option<String>,
    }
    /// A request to the model failed.
    ApiError "api_error" {
        /// The provider's code or status.
        code: Option<String>,
        /// Its words.
        message: String,
        /// It will be tried again.
        retry: bool,
        /// Which try this was, from 1.
        attempt: Option<u64>,
    }
    /// Something else failed.
    Failure "error" {
        /// A code, where there is one.
        code: Option<String>,
        /// What failed.
        message: String,
    }
    /// A record of the agent that has no kind of its own; its bytes are at the reference.
    Note "note" {
        /// The agent's own name of the record's type.
        native_type: String,
        /// What can be said of it in one line.
        text: Option<String>,
    }
}

/// An event of a kind that this version does not know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unknown {
    /// The kind's word.
    pub kind: String,
    /// Its members, those of the envelope left out.
    pub fields: Object,
}

impl From<Unknown> for Body {
    fn from(body: Unknown) -> Body {
        Body::Unknown(body)
    }
}
