//! From the words of a command line to a request. Words stay `OsString`: not all are UTF-8.

use std::ffi::{OsStr, OsString};

use lexopt::Arg;

use super::{
    Arity, Command, FlagDoc, Global, HELP, HOME, Operand, Operands, Request, Section, Set, Setting,
    Spec, VERSION, all, find, suggest,
};
use crate::error::{Error, Result};

/// What the words after the program's name ask for. An error comes with the name of the command
/// that it belongs to, if the words got as far as one; a usage error always has a hint.
pub fn request(
    words: impl IntoIterator<Item = OsString>,
    sections: &[Section],
) -> std::result::Result<Request, (Option<&'static str>, Error)> {
    let words: Vec<OsString> = words.into_iter().collect();
    let mut parser = lexopt::Parser::from_args(words);
    let mut global = Global::default();
    let spec = match before_command(&mut parser, &mut global, sections) {
        Ok(Start::Command(spec)) => spec,
        Ok(Start::Done(request)) => return Ok(request),
        Err(error) => return Err((None, hinted(error, None))),
    };
    let name = spec.name();
    match spec.parse(&mut parser, global) {
        // A command checks the words that only make sense together when it runs.
        Ok(Request::Run(_, work)) => Ok(Request::Run(
            name,
            Box::new(move || work().map_err(|error| hinted(error, Some(name)))),
        )),
        Ok(request) => Ok(request),
        Err(error) => Err((Some(name), hinted(error, Some(name)))),
    }
}

enum Start {
    Command(&'static dyn Spec),
    Done(Request),
}

/// Reads up to the word that picks a command, or to an option that asks for something else.
fn before_command(
    parser: &mut lexopt::Parser,
    global: &mut Global,
    sections: &[Section],
) -> Result<Start> {
    while let Some(arg) = parser.next().map_err(malformed)? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Start::Done(Request::Overview)),
            Arg::Short('V') | Arg::Long("version") => return Ok(Start::Done(Request::Version)),
            Arg::Long("home") => global.home = Some(home(parser)?),
            Arg::Value(word) => {
                let spec = word.to_str().and_then(|name| find(sections, name));
                return spec.map(Start::Command).ok_or_else(|| unknown_command(&word, sections));
            }
            other => {
                let typed = Typed::of(&other);
                return Err(typed.unknown(&[HOME, HELP, VERSION]));
            }
        }
    }
    Err(Error::usage("no command given"))
}

/// A command's arguments while they are filled, with their type out of sight: the engine is
/// compiled once and not for every command.
pub(super) trait Fill {
    /// Takes the flag at this place in the table; a switch has no value.
    fn flag(&mut self, at: usize, value: Option<OsString>) -> Setting;
    /// Takes an operand, of a command that takes each by itself.
    fn operand(&mut self, word: OsString) -> Setting;
    /// Takes the first operand and all that follow, of a command that takes the rest.
    fn rest(&mut self, words: Vec<OsString>);
}

impl<A> Fill for (&'static Command<A>, A) {
    fn flag(&mut self, at: usize, value: Option<OsString>) -> Setting {
        let (command, args) = self;
        let flag = command.flags.iter().chain(command.shared).nth(at);
        match (flag.map(|f| &f.set), value) {
            (Some(Set::Switch(set)), _) => set(args),
            (Some(Set::Value(set)), Some(value)) => return set(args, value),
            (Some(Set::Value(_)) | None, _) => return Err("no such flag".to_owned()),
        }
        Ok(())
    }

    fn operand(&mut self, word: OsString) -> Setting {
        match self.0.operands {
            Operands::Each(_, set) => set(&mut self.1, word),
            Operands::Refuse | Operands::Rest(..) => Err("unexpected".to_owned()),
        }
    }

    fn rest(&mut self, words: Vec<OsString>) {
        if let Operands::Rest(_, set) = self.0.operands {
            set(&mut self.1, words);
        }
    }
}

/// Fills a command's arguments from the words after its name. False: help is asked for.
pub(super) fn arguments(
    spec: &dyn Spec,
    fill: &mut dyn Fill,
    parser: &mut lexopt::Parser,
    global: &mut Global,
) -> Result<bool> {
    let (flags, list) = (spec.flags(), spec.operands());
    let mut count = 0;
    while let Some(arg) = parser.next().map_err(malformed)? {
        let typed = Typed::of(&arg);
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(false),
            Arg::Long("home") => global.home = Some(home(parser)?),
            Arg::Value(word) if spec.takes_rest() => {
                let rest = parser.raw_args().map_err(malformed)?;
                let words: Vec<OsString> = std::iter::once(word).chain(rest).collect();
                count = words.len();
                if !fits(list, count) {
                    return Err(unexpected(&words[list.len()]));
                }
                fill.rest(words);
            }
            Arg::Value(word) => {
                count += 1;
                if !fits(list, count) {
                    return Err(unexpected(&word));
                }
                let shown = shown(&word);
                fill.operand(word).map_err(|why| Error::usage(shown).why(why))?;
            }
            Arg::Short(_) | Arg::Long(_) => {
                let Some(at) = flags.iter().position(|doc| typed.names(doc)) else {
                    return Err(typed.unknown(&flags));
                };
                let (what, value) = match flags[at].value {
                    None => (typed.to_string(), None),
                    Some(_) => {
                        let value = value(parser, &typed, &flags[at])?;
                        (format!("{typed} {}", shown(&value)), Some(value))
                    }
                };
                fill.flag(at, value).map_err(|why| Error::usage(what).why(why))?;
            }
        }
    }
    let wanted = |o: &&Operand| matches!(o.arity, Arity::One | Arity::Many);
    if count < list.iter().filter(wanted).count() {
        let missing = list.iter().filter(wanted).nth(count).map_or("operand", |o| o.name);
        return Err(Error::usage(format!("missing {missing}")));
    }
    Ok(true)
}

/// An error for a word that names no command, with the one it may have been meant for.
pub fn unknown_command(word: &OsStr, sections: &[Section]) -> Error {
    let names: Vec<&str> = all(sections).map(|c| c.name()).collect();
    let meant = word.to_str().and_then(|w| suggest::nearest(w, names.iter().copied()));
    let error = Error::usage(match meant {
        Some(name) => format!("unknown command {} (did you mean '{name}'?)", shown(word)),
        None => format!("unknown command {}", shown(word)),
    });
    match meant {
        None if find(sections, "run").is_some() => {
            error.with_hint("'il run CMD' records a command; 'il --help' lists il's own")
        }
        _ => error,
    }
}

/// A usage error with the next step, unless it has one of its own.
fn hinted(error: Error, command: Option<&str>) -> Error {
    if error.class() != crate::error::Class::Usage || error.hint().is_some() {
        return error;
    }
    error.with_hint(match command {
        Some(name) => format!("try 'il {name} --help'"),
        None => "try 'il --help'".to_owned(),
    })
}

/// An option as it was typed.
enum Typed {
    Short(char),
    Long(String),
    Word,
}

impl Typed {
    fn of(arg: &Arg<'_>) -> Typed {
        match arg {
            Arg::Short(c) => Typed::Short(*c),
            Arg::Long(name) => Typed::Long((*name).to_owned()),
            Arg::Value(_) => Typed::Word,
        }
    }

    fn names(&self, doc: &FlagDoc) -> bool {
        match self {
            Typed::Short(c) => doc.short == Some(*c),
            Typed::Long(name) => doc.long == name,
            Typed::Word => false,
        }
    }

    fn unknown(&self, known: &[FlagDoc]) -> Error {
        let meant = match self {
            Typed::Long(name) => suggest::nearest(name, known.iter().map(|f| f.long)),
            Typed::Short(_) | Typed::Word => None,
        };
        let typed = escaped(&self.to_string());
        Error::usage(match meant {
            Some(name) => format!("unknown option {typed} (did you mean --{name}?)"),
            None => format!("unknown option {typed}"),
        })
    }
}

impl std::fmt::Display for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Typed::Short(c) => write!(f, "-{c}"),
            Typed::Long(name) => write!(f, "--{name}"),
            Typed::Word => Ok(()),
        }
    }
}

fn home(parser: &mut lexopt::Parser) -> Result<OsString> {
    let dir = value(parser, &Typed::Long(HOME.long.to_owned()), &HOME)?;
    if dir.is_empty() {
        return Err(Error::usage("--home ''").why("not a directory's name"));
    }
    Ok(dir)
}

fn value(parser: &mut lexopt::Parser, typed: &Typed, doc: &FlagDoc) -> Result<OsString> {
    parser.value().map_err(|_| {
        let name = doc.value.unwrap_or("value");
        Error::usage(format!("{typed}: missing {name}"))
    })
}

/// Whether `list` has room for a `count`th operand.
fn fits(list: &[Operand], count: usize) -> bool {
    let repeats = list.last().is_some_and(|o| matches!(o.arity, Arity::Many | Arity::Any));
    repeats || count <= list.len()
}

fn unexpected(word: &OsStr) -> Error {
    Error::usage(format!("unexpected operand {}", shown(word)))
}

/// An error of the syntax itself: a value on a switch, and nothing else that we can provoke.
fn malformed(error: lexopt::Error) -> Error {
    match error {
        lexopt::Error::UnexpectedValue { option, .. } => {
            Error::usage(format!("{} takes no value", escaped(&option)))
        }
        other => Error::usage(escaped(&other.to_string())),
    }
}

/// A word in quotes, fit for a terminal.
fn shown(word: &OsStr) -> String {
    format!("'{}'", escaped(&word.to_string_lossy()))
}

/// Text without control characters: a word must not move the cursor of who reads the error.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}
