//! The flag table: one literal a flag, from which parsing, help and completions follow. What was
//! typed ends up in a command's own `Args`; what it means is for the command to find out. No I/O.

mod complete;
mod help;
mod parse;
mod suggest;
#[cfg(test)]
pub(crate) mod check;
#[cfg(test)]
mod tests;

use std::ffi::OsString;

use crate::error::Result;

pub use complete::{KINDS, Shell, script};
pub use help::{command as command_help, overview};
pub use parse::{request, unknown_command};

/// The outcome of a setter. Its error is the reason alone: the engine names flag and value.
pub type Setting = std::result::Result<(), String>;

/// What completes a value, and what a reader may expect of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Free text: nothing to offer.
    None,
    /// A path to a file.
    File,
    /// A path to a directory.
    Dir,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A session id.
    Session,
    /// The name of a session's stream.
    Stream,
    /// A tag that sessions carry.
    Tag,
    /// The name of a project that sessions were recorded in.
    Project,
    /// One of il's own commands.
    Command,
    /// A program on the search path, and then its own arguments.
    Program,
}

/// What readers see of a flag: help, man page and completions hold to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlagDoc {
    /// The long name, without its dashes.
    pub long: &'static str,
    /// The short name.
    pub short: Option<char>,
    /// The name of its value; a switch has none.
    pub value: Option<&'static str>,
    /// What completes the value.
    pub hint: Hint,
    /// One phrase with a capital and without a final stop.
    pub help: &'static str,
}

/// A flag: what readers see of it, and its effect on `A`, the command's own arguments.
#[derive(Debug)]
pub struct Flag<A> {
    /// What readers see.
    pub doc: FlagDoc,
    /// What it does.
    pub set: Set<A>,
}

/// The effect of a flag. A setter does no I/O.
#[derive(Debug)]
pub enum Set<A> {
    /// The flag stands alone.
    Switch(fn(&mut A)),
    /// The flag takes a value.
    Value(fn(&mut A, OsString) -> Setting),
}

impl<A> Flag<A> {
    /// A flag that stands alone.
    pub const fn switch(long: &'static str, help: &'static str, set: fn(&mut A)) -> Flag<A> {
        let doc = FlagDoc { long, short: None, value: None, hint: Hint::None, help };
        Flag { doc, set: Set::Switch(set) }
    }

    /// A flag that takes a value, which help and man page call `name`.
    pub const fn value(
        long: &'static str,
        name: &'static str,
        help: &'static str,
        set: fn(&mut A, OsString) -> Setting,
    ) -> Flag<A> {
        let doc = FlagDoc { long, short: None, value: Some(name), hint: Hint::None, help };
        Flag { doc, set: Set::Value(set) }
    }

    /// This flag with a short name.
    pub const fn short(mut self, short: char) -> Flag<A> {
        self.doc.short = Some(short);
        self
    }

    /// This flag with something to complete its value from.
    pub const fn hint(mut self, hint: Hint) -> Flag<A> {
        self.doc.hint = hint;
        self
    }
}

/// How often an operand may stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// Exactly once.
    One,
    /// Once or not at all.
    Optional,
    /// Once or more.
    Many,
    /// Any number of times.
    Any,
}

/// What readers see of an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// Its name in the usage line, in capitals.
    pub name: &'static str,
    /// How often it may stand there. Only a command's last operand may repeat.
    pub arity: Arity,
    /// What completes it.
    pub hint: Hint,
    /// One phrase with a capital and without a final stop.
    pub help: &'static str,
}

impl Operand {
    /// An operand that must stand there once.
    pub const fn one(name: &'static str, hint: Hint, help: &'static str) -> Operand {
        Operand { name, arity: Arity::One, hint, help }
    }

    /// An operand that may be left out.
    pub const fn optional(name: &'static str, hint: Hint, help: &'static str) -> Operand {
        Operand { name, arity: Arity::Optional, hint, help }
    }

    /// An operand that stands there once or more.
    pub const fn many(name: &'static str, hint: Hint, help: &'static str) -> Operand {
        Operand { name, arity: Arity::Many, hint, help }
    }

    /// An operand that stands there any number of times.
    pub const fn any(name: &'static str, hint: Hint, help: &'static str) -> Operand {
        Operand { name, arity: Arity::Any, hint, help }
    }
}

/// What a command does with words that are no options. The engine counts them against the list:
/// one too few or too many is a usage error before the command runs.
#[derive(Debug)]
pub enum Operands<A: 'static> {
    /// None are taken.
    Refuse,
    /// Each is handed over where it stands, options may follow.
    Each(&'static [Operand], fn(&mut A, OsString) -> Setting),
    /// The first ends the options: it and all that follow are handed over untouched.
    Rest(&'static [Operand], fn(&mut A, Vec<OsString>)),
}

/// A subcommand whose words fill `A`.
#[derive(Debug)]
pub struct Command<A: 'static> {
    /// The word that picks it.
    pub name: &'static str,
    /// One phrase with a capital and without a final stop: the `.Nd` of its man page.
    pub summary: &'static str,
    /// Its own flags, in the order of the documentation.
    pub flags: &'static [Flag<A>],
    /// Flags it shares with other commands, documented after its own.
    pub shared: &'static [Flag<A>],
    /// Its operands.
    pub operands: Operands<A>,
    /// Does the work. The number is the exit status.
    pub run: fn(A, &Global) -> Result<u8>,
}

/// Commands that belong together, under the heading that `il --help` gives them.
#[derive(Clone, Copy)]
pub struct Section {
    /// The heading, without a colon.
    pub title: &'static str,
    /// The commands, in the order of the documentation.
    pub commands: &'static [&'static dyn Spec],
}

impl std::fmt::Debug for Section {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.commands.iter().map(|c| c.name());
        write!(f, "{}: {:?}", self.title, names.collect::<Vec<_>>())
    }
}

/// What may be said before the command as well as after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Global {
    /// `--home DIR`, never empty.
    pub home: Option<OsString>,
}

/// `--home`, which il and every command take.
pub const HOME: FlagDoc = FlagDoc {
    long: "home",
    short: None,
    value: Some("DIR"),
    hint: Hint::Dir,
    help: "Keep the store in DIR, not in ~/.intentloop",
};

/// `--help`, which il and every command take.
pub const HELP: FlagDoc = FlagDoc {
    long: "help",
    short: Some('h'),
    value: None,
    hint: Hint::None,
    help: "Print this help",
};

/// `--version`, which il takes.
pub const VERSION: FlagDoc = FlagDoc {
    long: "version",
    short: Some('V'),
    value: None,
    hint: Hint::None,
    help: "Print the version",
};

/// A command with its `A` out of sight.
pub trait Spec: Sync {
    /// The word that picks it.
    fn name(&self) -> &'static str;
    /// One phrase on what it does.
    fn summary(&self) -> &'static str;
    /// All flags it takes: its own, the shared ones, and those every command takes.
    fn flags(&self) -> Vec<FlagDoc>;
    /// Its operands.
    fn operands(&self) -> &'static [Operand];
    /// Whether the first operand ends the options.
    fn takes_rest(&self) -> bool;
    /// Reads the words after the command's name. Does nothing yet: the request does.
    fn parse(&'static self, parser: &mut lexopt::Parser, global: Global) -> Result<Request>;
}

/// What a command line asks for.
pub enum Request {
    /// `il --help`.
    Overview,
    /// `il --version`.
    Version,
    /// `il CMD --help`.
    Help(&'static dyn Spec),
    /// To run the command of this name. The closure returns the exit status.
    Run(&'static str, Box<dyn FnOnce() -> Result<u8>>),
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Request::Overview => f.write_str("Overview"),
            Request::Version => f.write_str("Version"),
            Request::Help(spec) => write!(f, "Help({})", spec.name()),
            Request::Run(name, _) => write!(f, "Run({name})"),
        }
    }
}

/// The command of this name.
pub fn find(sections: &[Section], name: &str) -> Option<&'static dyn Spec> {
    all(sections).find(|c| c.name() == name)
}

/// Every command, in the order of the documentation.
pub fn all(sections: &[Section]) -> impl Iterator<Item = &'static dyn Spec> {
    sections.iter().flat_map(|s| s.commands.iter().copied())
}

impl<A: Default + 'static> Spec for Command<A> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn summary(&self) -> &'static str {
        self.summary
    }

    fn flags(&self) -> Vec<FlagDoc> {
        let own = self.flags.iter().chain(self.shared).map(|f| f.doc);
        own.chain([HOME, HELP]).collect()
    }

    fn operands(&self) -> &'static [Operand] {
        match self.operands {
            Operands::Refuse => &[],
            Operands::Each(list, _) | Operands::Rest(list, _) => list,
        }
    }

    fn takes_rest(&self) -> bool {
        matches!(self.operands, Operands::Rest(..))
    }

    fn parse(&'static self, parser: &mut lexopt::Parser, mut global: Global) -> Result<Request> {
        let mut fill = (self, A::default());
        if !parse::arguments(self, &mut fill, parser, &mut global)? {
            return Ok(Request::Help(self));
        }
        Ok(Request::Run(self.name, Box::new(move || (self.run)(fill.1, &global))))
    }
}

/// Appends text that is put together on the spot. A string takes all of it, so there is no error
/// to look at.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = std::fmt::Write::write_fmt(out, text);
}
