//! What was read out of a session's recording: who worked in it, and what is to be counted.

use crate::event::{Counts, Friction, Tokens};
use crate::json::{ObjectWriter, View};

/// The present way of reading a recording. What an older one has read can be read again.
pub const DERIVED_VERSION: u64 = 2;

/// A copy of a file of the agent's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NativeFile {
    /// The stream: `native/0`, …
    pub stream: String,
    /// Where it was copied from.
    pub path: String,
    /// How long it was when the session began; None where it was not there.
    pub start_len: Option<u64>,
}

/// What was read out of a recording.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Derived {
    /// [`DERIVED_VERSION`] of whoever read it.
    pub version: u64,
    /// What turns were read from: `transcript`, `jsonstream`, `pty`.
    pub source: String,
    /// The agent.
    pub agent: Option<String>,
    /// Its version.
    pub agent_version: Option<String>,
    /// Its own id of the session.
    pub native_session: Option<String>,
    /// The model of the last answer.
    pub model: Option<String>,
    /// The title the agent gave.
    pub title: Option<String>,
    /// The first prompt.
    pub prompt: Option<String>,
    /// How sure it is that the transcript is this session's, 0 to 1.
    pub conf: f64,
    /// Why.
    pub reasons: Vec<String>,
    /// Other transcripts fit as well, and none was taken: their native ids.
    pub rivals: Vec<String>,
    /// The files the transcript was read from.
    pub files: Vec<NativeFile>,
    /// Records of the transcript that could not be read.
    pub broken: u64,
    /// The numbers.
    pub counts: Counts,
    /// Price of all requests in millionths of a US dollar, where every one has a price.
    pub cost_microusd: Option<u64>,
    /// Milliseconds in which the agent worked, its tools ran, and both waited for the user.
    pub split_ms: [u64; 3],
    /// How smoothly it went; None where nobody has counted that.
    pub friction: Option<Friction>,
}

const COUNTS: [&str; 14] = [
    "turns",
    "thoughts",
    "tool_calls",
    "tool_failures",
    "tool_refusals",
    "approvals",
    "api_errors",
    "interrupts",
    "requests",
    "tokens_in",
    "tokens_cache_read",
    "tokens_cache_write",
    "tokens_out",
    "tokens_reasoning",
];

fn numbers(c: &mut Counts) -> [&mut u64; 14] {
    let Tokens { input, cache_read, cache_write, output, reasoning } = &mut c.tokens;
    [
        &mut c.turns,
        &mut c.thoughts,
        &mut c.tool_calls,
        &mut c.tool_failures,
        &mut c.tool_refusals,
        &mut c.approvals,
        &mut c.api_errors,
        &mut c.interrupts,
        &mut c.requests,
        input,
        cache_read,
        cache_write,
        output,
        reasoning,
    ]
}

const SPLIT: [&str; 3] = ["agent_ms", "tool_ms", "blocked_ms"];

impl Derived {
    /// Writes the members of its JSON object.
    pub fn write(&self, o: &mut ObjectWriter<'_>) {
        o.int("v", self.version);
        o.string("source", &self.source);
        for (name, value) in self.texts() {
            o.string_opt(name, value.as_deref());
        }
        o.float("conf", self.conf);
        for (name, words) in [("reasons", &self.reasons), ("rivals", &self.rivals)] {
            if !words.is_empty() {
                o.array(name, |a| words.iter().for_each(|word| a.string(word)));
            }
        }
        if !self.files.is_empty() {
            o.array("files", |a| {
                for file in &self.files {
                    a.object(|o| {
                        o.string("stream", &file.stream);
                        o.string("path", &file.path);
                        o.int_opt("start_len", file.start_len);
                    });
                }
            });
        }
        o.int("broken", self.broken);
        let mut counts = self.counts;
        for (name, number) in COUNTS.iter().zip(numbers(&mut counts)) {
            o.int(name, *number);
        }
        o.int_opt("cost_microusd", self.cost_microusd);
        SPLIT.iter().zip(self.split_ms).for_each(|(name, ms)| o.int(name, ms));
        if let Some(friction) = &self.friction {
            o.int("approvals_rejected", friction.rejected);
            o.int("nudges", friction.nudges);
            if let Some(first_try) = friction.first_try {
                o.bool("first_try", first_try);
            }
        }
    }

    fn texts(&self) -> [(&'static str, &Option<String>); 6] {
        [
            ("agent", &self.agent),
            ("agent_version", &self.agent_version),
            ("native_session", &self.native_session),
            ("model", &self.model),
            ("title", &self.title),
            ("prompt", &self.prompt),
        ]
    }

    /// Reads what [`Derived::write`] wrote; what is missing is unknown, or nothing.
    pub fn from_json(value: View<'_>) -> Derived {
        let text = |name: &str| value.str_at(name).map(str::to_owned);
        let number = |name: &str| value.u64_at(name).unwrap_or(0);
        let list = |name: &str| value.get(name).unwrap_or(View::NULL).items();
        let words =
            |name: &str| list(name).filter_map(|word| word.as_str().map(str::to_owned)).collect();
        let file = |file: View<'_>| {
            Some(NativeFile {
                stream: file.str_at("stream")?.to_owned(),
                path: file.str_at("path")?.to_owned(),
                start_len: file.u64_at("start_len"),
            })
        };
        let mut counts = Counts::default();
        for (name, at) in COUNTS.iter().zip(numbers(&mut counts)) {
            *at = number(name);
        }
        Derived {
            version: number("v"),
            source: text("source").unwrap_or_default(),
            agent: text("agent"),
            agent_version: text("agent_version"),
            native_session: text("native_session"),
            model: text("model"),
            title: text("title"),
            prompt: text("prompt"),
            conf: value.get("conf").and_then(View::as_f64).unwrap_or(0.0),
            reasons: words("reasons"),
            rivals: words("rivals"),
            files: list("files").filter_map(file).collect(),
            broken: number("broken"),
            counts,
            cost_microusd: value.u64_at("cost_microusd"),
            split_ms: SPLIT.map(number),
            friction: value.u64_at("nudges").map(|nudges| Friction {
                rejected: number("approvals_rejected"),
                nudges,
                first_try: value.get("first_try").and_then(View::as_bool),
            }),
        }
    }
}
