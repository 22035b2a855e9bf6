//! `il event`: an event of any kind in a session.

use std::ffi::OsString;

use super::mark;
use crate::cli::{Command, Flag, Global, Hint, Operand, Operands};
use crate::error::{Error, Result};
use crate::event::{ENVELOPE, Event, Source};
use crate::json::{self, Object, Value};

/// `il event [--data JSON] [--session ID] KIND`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "event",
    summary: "Add an event to the running session",
    flags: &[
        Flag::value("data", "JSON", "What the event says: an object", |args: &mut Args, value| {
            args.data = Some(mark::text(value)?);
            Ok(())
        }),
        Flag::value("session", "ID", "To this session", |args: &mut Args, value| {
            args.session = Some(super::id(value)?);
            Ok(())
        })
        .hint(Hint::Session),
    ],
    shared: &[],
    operands: Operands::Each(
        &[Operand::one("KIND", Hint::Choice(KINDS), "Kind of the event, any word")],
        |args: &mut Args, word| {
            args.kind = kind(word)?;
            Ok(())
        },
    ),
    run,
};

/// Kinds that completion offers; il has words of its own for the others.
const KINDS: &[&str] = &["note", "error", "file_change", "plan", "usage"];

#[derive(Debug, Default)]
pub(crate) struct Args {
    kind: String,
    data: Option<String>,
    session: Option<String>,
}

/// Most bytes of a kind.
const KIND_LEN_MAX: usize = 64;

/// Kinds that only the recorder can know.
const RESERVED: [&str; 2] = ["session_start", "session_end"];

/// Reads the name of a kind.
pub(super) fn kind(word: OsString) -> std::result::Result<String, String> {
    let word = mark::text(word)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
    if word.is_empty() || word.len() > KIND_LEN_MAX || !word.chars().all(plain) {
        return Err(format!("not a word of letters, digits and _-.: ({KIND_LEN_MAX} at most)"));
    }
    Ok(word)
}

fn run(args: Args, global: &Global) -> Result<u8> {
    let event = event(&args.kind, args.data.as_deref())?;
    let (library, session) = mark::meant(global, args.session.as_deref())?;
    library.add(&session, &event)?;
    Ok(0)
}

/// The event of this kind that says `data`.
fn event(kind: &str, data: Option<&str>) -> Result<Event> {
    if RESERVED.contains(&kind) {
        return Err(Error::usage(format!("{kind} is for the recorder to say")));
    }
    let data = match data.map(|text| json::parse(text.as_bytes())) {
        None => Object::new(),
        Some(Ok(Value::Object(members))) => members,
        Some(Ok(_)) => {
            return Err(
                Error::usage("--data: not a JSON object").with_hint("as in {\"text\":\"x\"}")
            );
        }
        Some(Err(e)) => return Err(Error::usage("--data: not JSON").why(e.to_string())),
    };
    if let Some((name, _)) = data.iter().find(|(name, _)| ENVELOPE.contains(name)) {
        return Err(Error::usage(format!("--data: '{name}' is a member that il itself writes")));
    }
    let mut line = Object::new();
    for (name, value) in [("v", Value::Int(1)), ("seq", Value::Int(0)), ("conf", Value::Float(1.0))]
    {
        line.insert(name, value);
    }
    for (name, word) in
        [("kind", kind), ("src", Source::User.as_str()), ("stream", "main"), ("level", "info")]
    {
        line.insert(name, word);
    }
    for (name, value) in data.iter() {
        line.insert(name, value.clone());
    }
    let mut text = String::new();
    line.write(&mut text);
    Event::parse_line(text.as_bytes()).ok_or_else(|| {
        Error::usage(format!("--data: not what an event of kind {kind} says"))
            .with_hint("a member is missing or of another type; il.event/1 names them")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_made_of_words_and_objects() {
        for (kind, data, want) in [
            ("deploy", None, Ok("{}")),
            ("deploy", Some(r#"{"to":"x","n":[1,{}]}"#), Ok(r#"{"to":"x","n":[1,{}]}"#)),
            ("marker", Some(r#"{"text":"here"}"#), Ok(r#"{"text":"here"}"#)),
            ("marker", None, Err("--data: not what an event of kind marker says")),
            ("deploy", Some("[]"), Err("--data: not a JSON object")),
            (
                "deploy",
                Some(r#"{"seq":1}"#),
                Err("--data: 'seq' is a member that il itself writes"),
            ),
            ("session_end", None, Err("session_end is for the recorder to say")),
        ] {
            let got = event(kind, data).map(|event| {
                let mut text = String::new();
                event.fields().write(&mut text);
                text
            });
            let got = got.map_err(|e| e.to_string());
            assert_eq!(got, want.map(str::to_owned).map_err(str::to_owned), "{kind} {data:?}");
        }
        assert!(event("deploy", Some("{")).is_err());
    }

    #[test]
    fn kinds_are_short_words() {
        for (word, fine) in
            [("a.b:c-d_1", true), ("", false), ("a b", false), ("\u{1b}", false), ("ü", false)]
        {
            assert_eq!(kind(word.into()).is_ok(), fine, "{word}");
        }
        assert!(kind("k".repeat(KIND_LEN_MAX).into()).is_ok());
        assert!(kind("k".repeat(KIND_LEN_MAX + 1).into()).is_err());
    }
}
