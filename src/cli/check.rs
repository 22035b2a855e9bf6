//! What must hold for every command in a table, whoever wrote it. Each check panics with the name
//! of what broke it.

use std::collections::HashSet;
use std::ffi::OsString;

use super::help::WIDTH;
use super::{
    Arity, FlagDoc, Global, Hint, Request, Section, Spec, VERSION, all, command_help, overview,
};

/// All checks.
pub(crate) fn table(sections: &[Section]) {
    let mut names = HashSet::new();
    for command in all(sections) {
        let name = command.name();
        assert!(well_named(name), "command {name}: a name is of a-z and -");
        assert!(names.insert(name), "command {name}: twice in the table");
        assert!(phrase(command.summary()), "il {name}: summary {:?}", command.summary());
        flags_are_well_formed(command);
        operands_are_well_formed(command);
        every_flag_parses(command);
        fits(&command_help(command), name);
    }
    fits(&overview(sections), "--help");
}

fn flags_are_well_formed(command: &dyn Spec) {
    let (mut longs, mut shorts) = (HashSet::from([VERSION.long]), HashSet::from(['V']));
    for doc in command.flags() {
        let flag = format!("il {} --{}", command.name(), doc.long);
        assert!(well_named(doc.long), "{flag}: a long name is two or more of a-z and -");
        assert!(longs.insert(doc.long), "{flag}: twice");
        if let Some(short) = doc.short {
            assert!(short.is_ascii_alphanumeric(), "{flag}: short name {short:?}");
            assert!(shorts.insert(short), "{flag}: -{short} twice");
        }
        assert!(phrase(doc.help), "{flag}: help {:?}", doc.help);
        match doc.value {
            None => assert_eq!(doc.hint, Hint::None, "{flag}: a switch has no value to complete"),
            Some(value) => assert!(value_name(value), "{flag}: value {value:?}"),
        }
        choices_are_words(doc.hint, &flag);
    }
}

fn operands_are_well_formed(command: &dyn Spec) {
    let list = command.operands();
    for (at, operand) in list.iter().enumerate() {
        let place = format!("il {} {}", command.name(), operand.name);
        assert!(value_name(operand.name), "{place}: name");
        assert!(phrase(operand.help), "{place}: help {:?}", operand.help);
        let repeats = matches!(operand.arity, Arity::Many | Arity::Any);
        assert!(!repeats || at + 1 == list.len(), "{place}: only the last operand repeats");
        choices_are_words(operand.hint, &place);
    }
}

fn choices_are_words(hint: Hint, place: &str) {
    if let Hint::Choice(words) = hint {
        assert!(!words.is_empty(), "{place}: no choices");
        let plain = |w: &&str| w.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        assert!(words.iter().all(|w| !w.is_empty() && plain(w)), "{place}: {words:?}");
    }
}

/// Each flag alone, in each of its spellings, with the operands that the command cannot do
/// without.
fn every_flag_parses(command: &'static dyn Spec) {
    let needed = |o: &&super::Operand| matches!(o.arity, Arity::One | Arity::Many);
    let operands: Vec<String> =
        command.operands().iter().filter(needed).map(|o| sample(o.name, o.hint)).collect();
    for doc in command.flags() {
        for mut words in spellings(&doc) {
            let line = format!("il {} {}", command.name(), words.join(" "));
            words.extend(operands.iter().cloned());
            let words = words.into_iter().map(OsString::from);
            let mut parser = lexopt::Parser::from_args(words);
            let request = command.parse(&mut parser, Global::default());
            match request {
                Ok(Request::Help(_)) => assert_eq!(doc.long, "help", "{line}"),
                Ok(Request::Run(name, _)) => assert_eq!(name, command.name(), "{line}"),
                other => panic!("{line}: {other:?}"),
            }
        }
    }
}

fn spellings(doc: &FlagDoc) -> Vec<Vec<String>> {
    let long = format!("--{}", doc.long);
    let short = doc.short.map(|c| format!("-{c}"));
    match doc.value {
        None => short.into_iter().chain([long]).map(|f| vec![f]).collect(),
        Some(name) => {
            let value = sample(name, doc.hint);
            let mut all = vec![vec![format!("{long}={value}")], vec![long, value.clone()]];
            all.extend(short.iter().map(|f| vec![format!("{f}{value}")]));
            all.extend(short.iter().map(|f| vec![f.clone(), value.clone()]));
            all
        }
    }
}

/// A value that a setter of this kind must take. A new kind of value needs a name of its own and
/// a line here.
fn sample(name: &str, hint: Hint) -> String {
    let value = match (hint, name) {
        (Hint::Choice(words), _) => words[0],
        (_, "N") => "3",
        (_, "SPAN") => "stdout:0+1",
        (_, "X" | "S") => "1.5",
        (_, "COLSxROWS") => "80x24",
        (_, "TIME") => "12:03:10",
        (_, "TIME|turn:N") => "turn:2",
        (_, "DATE") => "2026-05-30",
        (_, "AGE") => "90d",
        (_, "SIZE") => "5G",
        (_, "JSON") => "{}",
        (Hint::Session, _) => "@1",
        (Hint::Stream, _) => "stdout",
        _ => "x",
    };
    value.to_owned()
}

fn fits(help: &str, name: &str) {
    for line in help.lines() {
        assert!(line.chars().count() <= WIDTH, "il {name}: help wider than {WIDTH}: {line}");
        assert_eq!(line.trim_end(), line, "il {name}: help with a blank at the end: {line}");
    }
}

fn well_named(name: &str) -> bool {
    name.len() >= 2
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// `N`, `COLSxROWS`, `TIME|turn:N`: what a reader takes for a placeholder.
fn value_name(name: &str) -> bool {
    let first = name.starts_with(|c: char| c.is_ascii_uppercase());
    first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"|:,_".contains(&b))
}

fn phrase(text: &str) -> bool {
    let first = text.chars().next().is_some_and(char::is_uppercase);
    first && !text.ends_with('.') && text.trim() == text && !text.contains('\n')
}
