//! `il prune`: removes the sessions that are too old or too many.

use std::ffi::OsString;

use super::filter::{Filtered, Flags, Typed};
use super::progress::Line;
use super::{home, print, rm, screen};
use crate::cli::{Command, Flag, Global, Operands};
use crate::error::{Error, Result};
use crate::format::line;
use crate::library::{Library, Session};
use crate::session::{Filter, Status};
use crate::sys::time;

/// `il prune [filters] [--older AGE] [--keep N] [--max-size SIZE] [--dry-run]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "prune",
    summary: "Remove sessions that are too old or too many",
    flags: &[
        Flag::value(
            "older",
            "AGE",
            "Only sessions that ended longer ago: 12h, 90d, 8w",
            |args: &mut Args, value| {
                args.older_us = Some(age_us(&text(value)?)?);
                Ok(())
            },
        ),
        Flag::value("keep", "N", "Keep the N newest of them", |args: &mut Args, value| {
            args.keep = Some(text(value)?.parse().map_err(|_| "not a number")?);
            Ok(())
        }),
        Flag::value(
            "max-size",
            "SIZE",
            "Only until the store takes no more: 500M, 5G",
            |args: &mut Args, value| {
                args.bytes_max = Some(size(&text(value)?)?);
                Ok(())
            },
        ),
        Flag::switch("dry-run", "Remove nothing, list what would go", |args: &mut Args| {
            args.dry_run = true;
        }),
    ],
    shared: Flags::<Args>::ALL,
    operands: Operands::Refuse,
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    filter: Typed,
    older_us: Option<i64>,
    keep: Option<usize>,
    bytes_max: Option<u64>,
    dry_run: bool,
}

impl Filtered for Args {
    fn typed(&mut self) -> &mut Typed {
        &mut self.filter
    }
}

/// What is to go, oldest first, each with the bytes of disk it takes.
#[derive(Debug, Default)]
struct Plan {
    victims: Vec<(Session, u64)>,
    /// Bytes above the size that was asked for that no victim can give back.
    excess: u64,
}

fn run(args: Args, global: &Global) -> Result<u8> {
    let filter = args.filter.clone().meant()?;
    let limits = args.older_us.is_some() || args.keep.is_some() || args.bytes_max.is_some();
    if !limits && filter == Filter::default() {
        return Err(Error::usage("nothing says which sessions are to go").with_hint(
            "--older 90d, --keep 100, --max-size 5G or a filter; --dry-run shows them",
        ));
    }
    let dir = home::dir(global)?;
    let library = if args.dry_run { Library::open(&dir)? } else { Library::open_to_change(&dir)? };
    let plan = plan(&library, &args, &filter)?;
    if args.dry_run {
        return show(&plan);
    }
    let excess = plan.excess;
    let sessions: Vec<Session> = plan.victims.into_iter().map(|(session, _)| session).collect();
    let mut progress = Line::new("prune");
    let removed = library.remove(&sessions, &mut |p| progress.at(p))?;
    drop(progress);
    let mut out = rm::said(&removed);
    if excess > 0 {
        let above = line::size(excess);
        out.push_str(&format!("Still {above} too large: the rest is kept, pinned or running\n"));
    }
    print(out)?;
    rm::busy(&removed)
}

/// A session goes only if everything that was said holds for it.
fn plan(library: &Library, args: &Args, filter: &Filter) -> Result<Plan> {
    let now_us = time::wall().unix_us;
    let of_age = |session: &Session| {
        let lasted_us = session.duration_us(now_us).unwrap_or(0);
        let ended_us = session.meta.started.unix_us.saturating_add_unsigned(lasted_us);
        args.older_us.is_none_or(|older_us| ended_us <= now_us.saturating_sub(older_us))
    };
    let fit = library.candidates(filter)?.filter(|session| session.matches(filter));
    let mut candidates: Vec<Session> = fit
        .skip(args.keep.unwrap_or(0))
        .filter(|s| s.status != Status::Running && !s.meta.pinned && of_age(s))
        .collect();
    candidates.reverse();
    let mut plan = Plan::default();
    if let Some(bytes_max) = args.bytes_max {
        plan.excess = library.bytes_on_disk()?.saturating_sub(bytes_max);
    }
    for session in candidates {
        if args.bytes_max.is_some() && plan.excess == 0 {
            break;
        }
        let usage = library.usage(&session)?;
        let bytes = usage.tape + usage.notes;
        plan.excess = plan.excess.saturating_sub(bytes);
        plan.victims.push((session, bytes));
    }
    Ok(plan)
}

fn show(plan: &Plan) -> Result<u8> {
    let rows = plan.victims.iter().map(|(session, bytes)| {
        vec![
            session.id.short(),
            session.status.name().to_owned(),
            session.meta.started.local(),
            screen::bytes(*bytes),
            line::words(&session.meta.argv),
        ]
    });
    screen::table(&["ID", "STATUS", "STARTED", "SIZE", "COMMAND"], rows)?;
    if screen::is_terminal() {
        let sum: u64 = plan.victims.iter().map(|(_, bytes)| bytes).sum();
        let sessions = line::count(plan.victims.len() as u64, "session");
        print(format!("Would remove {sessions} and free {}\n", line::size(sum)))?;
    }
    Ok(0)
}

fn text(value: OsString) -> std::result::Result<String, String> {
    value.into_string().map_err(|_| "not UTF-8".to_owned())
}

/// `12h`, `90d`, `8w` in microseconds. Nothing shorter or vaguer: `m` could be taken for minutes
/// as well as months, and what it removed would be gone.
fn age_us(text: &str) -> std::result::Result<i64, String> {
    const UNITS: [(&str, i64); 3] = [("h", 3600), ("d", 86_400), ("w", 7 * 86_400)];
    let parsed = UNITS.iter().find_map(|(unit, seconds)| {
        let number = text.strip_suffix(unit)?;
        let number: u32 = number.parse().ok().filter(|_| !number.starts_with('+'))?;
        i64::from(number).checked_mul(*seconds)?.checked_mul(1_000_000)
    });
    parsed.ok_or_else(|| "not an age such as 12h, 90d or 8w".to_owned())
}

/// `500M`, `5G`, `1.5GiB` in bytes; the units are binary, as those that il prints.
fn size(text: &str) -> std::result::Result<u64, String> {
    const UNITS: [(&str, u32); 5] = [("K", 10), ("M", 20), ("G", 30), ("T", 40), ("P", 50)];
    let whole = text.strip_suffix("iB").or(text.strip_suffix('B')).unwrap_or(text);
    let (number, shift) = UNITS
        .iter()
        .find_map(|(unit, shift)| Some((whole.strip_suffix(unit)?, *shift)))
        .unwrap_or((whole, 0));
    let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let value = number.parse::<f64>().ok().filter(|_| plain);
    let bytes = value.map(|value| value * (1_u64 << shift) as f64);
    let bytes = bytes.filter(|bytes| *bytes <= (1_u64 << 62) as f64).map(|bytes| bytes as u64);
    bytes.ok_or_else(|| "not a size such as 500M or 5G".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_hours_days_and_weeks() {
        let hour_us = 3_600_000_000;
        for (text, want) in [
            ("0d", 0),
            ("12h", 12 * hour_us),
            ("90d", 90 * 24 * hour_us),
            ("8w", 8 * 7 * 24 * hour_us),
        ] {
            assert_eq!(age_us(text), Ok(want), "{text}");
        }
        for bad in ["", "d", "90", "3m", "-1d", "+1d", "1.5d", "4294967296d", "4294967295w", "9 d"]
        {
            assert!(age_us(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        for (text, want) in [
            ("0", 0),
            ("1024", 1024),
            ("5G", 5 << 30),
            ("5GiB", 5 << 30),
            ("5GB", 5 << 30),
            ("1.5K", 1536),
            ("100B", 100),
            ("4096P", 1 << 62),
        ] {
            assert_eq!(size(text), Ok(want), "{text}");
        }
        for bad in ["", "G", "-1G", "1e3", "inf", "NaN", "5 G", "5g", "1.2.3M", "4097P", "."] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
