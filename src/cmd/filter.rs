//! The flags that say which sessions are meant, shared by all commands that look at many.

use std::ffi::OsString;
use std::marker::PhantomData;
use std::path::Path;

use crate::cli::{Flag, Hint};
use crate::error::{Error, Result};
use crate::library;
use crate::session::{Filter, Status};
use crate::sys::time;
use crate::time::{WallTime, parse_date};

/// The names of the statuses.
const STATUSES: &[&str] =
    &["succeeded", "failed", "interrupted", "running", "lost", "max_iterations_reached"];

/// What was typed of the flags. [`Typed::meant`] finds out what it means here and now.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed {
    filter: Filter,
    after: Option<When>,
    before: Option<When>,
    here: bool,
    file: Option<OsString>,
}

/// A time as it is typed: as long as the unit it is given in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    /// A local day: days since 1970-01-01.
    Day(i64),
    /// From the first to the last of these, microseconds since 1970.
    Moment(i64, i64),
}

/// Arguments that hold what was typed of the flags.
pub(super) trait Filtered {
    /// Where that is.
    fn typed(&mut self) -> &mut Typed;
}

/// The flags, for a command whose arguments are `A`.
pub(super) struct Flags<A>(PhantomData<A>);

impl<A: Filtered + 'static> Flags<A> {
    pub(super) const ALL: &'static [Flag<A>] = &[
        Flag::value("status", "STATUS", "Only sessions that stand so", |args: &mut A, value| {
            add_status(args.typed(), value)
        })
        .hint(Hint::Choice(STATUSES)),
        Flag::value("outcome", "STATUS", "The same as --status", |args: &mut A, value| {
            add_status(args.typed(), value)
        })
        .hint(Hint::Choice(STATUSES)),
        Flag::value("after", "DATE", "Only sessions begun then or later", |args: &mut A, value| {
            args.typed().after = Some(when(&text(value)?)?);
            Ok(())
        }),
        Flag::value(
            "before",
            "DATE",
            "Only sessions begun then or earlier",
            |args: &mut A, value| {
                args.typed().before = Some(when(&text(value)?)?);
                Ok(())
            },
        ),
        Flag::value(
            "project",
            "NAME",
            "Only sessions in a repository of this name",
            |args: &mut A, value| {
                args.typed().filter.project = Some(text(value)?);
                Ok(())
            },
        )
        .hint(Hint::Project),
        Flag::switch("here", "Only sessions in this repository", |args: &mut A| {
            args.typed().here = true;
        }),
        Flag::value("agent", "AGENT", "Only sessions of this agent", |args: &mut A, value| {
            args.typed().filter.agent = Some(text(value)?);
            Ok(())
        }),
        Flag::value(
            "model",
            "MODEL",
            "Only sessions of models with this in their name",
            |args: &mut A, value| {
                args.typed().filter.model = Some(text(value)?);
                Ok(())
            },
        ),
        Flag::value(
            "intent",
            "ID",
            "Only sessions that serve this intent",
            |args: &mut A, value| {
                args.typed().filter.intent = Some(text(value)?);
                Ok(())
            },
        ),
        Flag::value(
            "tag",
            "TAG",
            "Only sessions with this tag, may be given again",
            |args: &mut A, value| {
                args.typed().filter.tags.push(text(value)?);
                Ok(())
            },
        )
        .hint(Hint::Tag),
        Flag::value(
            "file",
            "PATH",
            "Only sessions that touched this file",
            |args: &mut A, value| {
                args.typed().file = Some(value);
                Ok(())
            },
        )
        .hint(Hint::File),
        Flag::value(
            "search",
            "TEXT",
            "Only sessions with this text in a prompt",
            |args: &mut A, value| {
                args.typed().filter.search = Some(text(value)?);
                Ok(())
            },
        ),
    ];
}

impl Typed {
    /// The filter that is meant, in this directory and time zone.
    ///
    /// # Errors
    /// The directory is not known.
    pub(super) fn meant(self) -> Result<Filter> {
        let mut filter = self.filter;
        filter.after_us = self.after.map(|when| when.first_us());
        filter.before_us = self.before.map(|when| when.last_us());
        if self.here || self.file.is_some() {
            let cwd = std::env::current_dir()
                .map_err(|e| Error::io("cannot tell which directory this is", &e))?;
            filter.file = self.file.map(|path| library::absolute(&cwd, Path::new(&path)));
            let root = || crate::git::find(&cwd).map_or(cwd.clone(), |found| found.root.into());
            filter.place = self.here.then(root);
        }
        Ok(filter)
    }
}

impl When {
    fn first_us(self) -> i64 {
        match self {
            When::Day(day) => time::day_start_us(day),
            When::Moment(first_us, _) => first_us,
        }
    }

    fn last_us(self) -> i64 {
        match self {
            When::Day(day) => time::day_start_us(day + 1) - 1,
            When::Moment(_, last_us) => last_us,
        }
    }
}

fn add_status(typed: &mut Typed, value: OsString) -> std::result::Result<(), String> {
    let status = value.to_str().and_then(Status::from_name);
    let status = status.ok_or_else(|| format!("not one of {}", STATUSES.join(", ")))?;
    typed.filter.statuses.push(status);
    Ok(())
}

fn text(value: OsString) -> std::result::Result<String, String> {
    value.into_string().map_err(|_| "not UTF-8".to_owned())
}

/// Reads a day, or a time of RFC 3339. A time without a fraction means the whole second: sessions
/// are listed to the second or the millisecond, and what is listed must be found.
fn when(text: &str) -> std::result::Result<When, String> {
    if let Some((year, month, day)) = parse_date(text.as_bytes()) {
        return Ok(When::Day(crate::time::days_from_civil(i64::from(year), month, day)));
    }
    let time = WallTime::parse_rfc3339(text)
        .ok_or("not a day (2026-05-30) or a time (2026-05-30T15:12:33+02:00)")?;
    let fraction = text.get(19..).and_then(|rest| rest.strip_prefix('.')).unwrap_or("");
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count().min(6);
    let unit_us = 10_i64.pow(6 - digits as u32);
    Ok(When::Moment(time.unix_us, time.unix_us + unit_us - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_names_are_those_of_the_statuses() {
        let names: Vec<&str> = STATUSES.to_vec();
        for (_, name) in Status::NAMES {
            assert!(names.contains(&name), "{name}");
        }
        assert_eq!(names.len(), Status::NAMES.len());
    }

    #[test]
    fn a_time_is_as_long_as_its_unit() {
        let s = 1_000_000;
        for (text, want) in [
            ("1970-01-02", Ok(When::Day(1))),
            ("1970-01-01T00:00:01Z", Ok(When::Moment(s, 2 * s - 1))),
            ("1970-01-01 01:00:01.5+01:00", Ok(When::Moment(s + 500_000, s + 599_999))),
            ("1970-01-01T00:00:00.1234567Z", Ok(When::Moment(123_456, 123_456))),
            ("1970-02-30", Err(())),
            ("yesterday", Err(())),
            ("", Err(())),
        ] {
            assert_eq!(when(text).map_err(drop), want, "{text}");
        }
    }
}
