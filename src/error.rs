//! The one error type: what failed, why, and the next step.

use std::fmt;
use std::io;

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What kind of end an error means for the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The words of the command line are wrong: exit 2.
    Usage,
    /// The operation failed: exit 1.
    Failed,
    /// Nothing matched: exit 1.
    NothingFound,
    /// `run --require-record` cannot record: exit 125.
    Refused,
    /// The reader of our output has gone: exit quietly.
    BrokenPipe,
}

/// An error addressed to the person at the keyboard. Displays as `what: why`, lower case, without
/// a final stop; [`Error::hint`] is the next step, where one exists.
pub struct Error(Box<Parts>);

struct Parts {
    class: Class,
    what: String,
    why: Option<String>,
    hint: Option<String>,
    os: Option<i32>,
}

impl Error {
    /// An error of `class`; `what` says what failed and names the thing it failed on.
    pub fn new(class: Class, what: impl Into<String>) -> Error {
        Error(Box::new(Parts { class, what: what.into(), why: None, hint: None, os: None }))
    }

    /// The operation failed.
    pub fn failed(what: impl Into<String>) -> Error {
        Error::new(Class::Failed, what)
    }

    /// The words of the command line are wrong.
    pub fn usage(what: impl Into<String>) -> Error {
        Error::new(Class::Usage, what)
    }

    /// Nothing matched.
    pub fn nothing_found(what: impl Into<String>) -> Error {
        Error::new(Class::NothingFound, what)
    }

    /// `what` failed because of the system's `source`. A broken pipe keeps its class.
    pub fn io(what: impl Into<String>, source: &io::Error) -> Error {
        let class = match source.kind() {
            io::ErrorKind::BrokenPipe => Class::BrokenPipe,
            _ => Class::Failed,
        };
        let mut error = Error::new(class, what).why(os_text(source));
        error.0.os = source.raw_os_error();
        error
    }

    /// Adds the reason.
    pub fn why(mut self, why: impl Into<String>) -> Error {
        self.0.why = Some(why.into());
        self
    }

    /// Adds the next step.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(hint.into());
        self
    }

    /// The next step, where one exists.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// What kind of end this means for the program.
    pub fn class(&self) -> Class {
        self.0.class
    }

    /// The system's error number, when the system was the cause.
    pub fn os_error(&self) -> Option<i32> {
        self.0.os
    }

    /// The exit status this error gives the program.
    pub fn exit_code(&self) -> u8 {
        match self.0.class {
            Class::Usage => 2,
            Class::Failed | Class::NothingFound => 1,
            Class::Refused => 125,
            Class::BrokenPipe => 0,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
        match &self.0.why {
            Some(why) => write!(f, ": {why}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({self})", self.0.class)
    }
}

impl std::error::Error for Error {}

/// The system's words for an error, without the ` (os error N)` that the standard library adds.
fn os_text(source: &io::Error) -> String {
    let text = source.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_why_and_the_next_step() {
        let e = Error::io("cannot open /x/store.il", &io::Error::from_raw_os_error(2))
            .with_hint("run 'il run' once");
        assert_eq!(e.to_string(), "cannot open /x/store.il: No such file or directory");
        assert_eq!(e.hint(), Some("run 'il run' once"));
        assert_eq!((e.exit_code(), e.os_error()), (1, Some(2)));
        assert_eq!(Error::usage("unknown stream x").exit_code(), 2);
        assert_eq!(Error::new(Class::Refused, "x").exit_code(), 125);
        assert_eq!(Error::io("write", &io::Error::from_raw_os_error(32)).exit_code(), 0);
    }
}
