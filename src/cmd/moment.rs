//! A moment in a session, as it is typed: `+90s`, `+1h2m3s`, `12:03:10`, RFC 3339, `turn:3`.

use crate::error::{Error, Result};
use crate::library::{Library, Session};
use crate::sys::time;
use crate::time::WallTime;

/// Microseconds from the session's start to the moment. A time of day is the first one after the
/// start; what lies before the start is the start.
pub(super) fn parse(text: &str, library: &Library, session: &Session) -> Result<u64> {
    let start_us = session.meta.started.unix_us;
    let since = |unix_us: i64| u64::try_from(unix_us.saturating_sub(start_us)).unwrap_or(0);
    if let Some(rest) = text.strip_prefix('+') {
        if let Some(t_us) = relative(rest) {
            return Ok(t_us);
        }
    } else if let Some(n) = text.strip_prefix("turn:") {
        let n: usize = n.parse().map_err(|_| not_a_time(text))?;
        let marks = library.marks(session);
        let turns = marks.iter().filter(|mark| mark.turn.is_some()).count();
        let mark = marks.iter().find(|mark| mark.turn == Some(n));
        return mark.map(|mark| mark.t_us).ok_or_else(|| {
            Error::failed(format!("there is no turn {n}")).why(format!("the session has {turns}"))
        });
    } else if let Some((second, us)) = of_day(text) {
        let start = time::local(start_us);
        let civil = start.civil();
        let (year, month, day) = (civil.year as u32, civil.month, civil.day);
        let at = |day: u32| {
            let (hour, minute) = (second / 3600, second / 60 % 60);
            time::from_local_civil(year, month, day, hour, minute, second % 60) + i64::from(us)
        };
        // The second that the session began in counts as after it.
        let today = at(day);
        let whole_us = start_us - start_us.rem_euclid(1_000_000);
        return Ok(since(if today < whole_us { at(day + 1) } else { today }));
    } else if let Some(time) = WallTime::parse_rfc3339(text) {
        return Ok(since(time.unix_us));
    }
    Err(not_a_time(text))
}

fn not_a_time(text: &str) -> Error {
    Error::usage(format!("{text:?} is not a time"))
        .with_hint("a time is +90s after the start, 12:03:10, or 2026-05-30T12:03:10Z")
}

/// `90`, `90s`, `1.5s`, `1h2m3s`.
fn relative(text: &str) -> Option<u64> {
    let mut sum = 0f64;
    let mut rest = text;
    let mut smallest = f64::INFINITY;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().ok()?;
        let (unit, len) = match rest[end..].chars().next() {
            None => (1.0, 0),
            Some('s') => (1.0, 1),
            Some('m') => (60.0, 1),
            Some('h') => (3600.0, 1),
            Some('d') => (86_400.0, 1),
            Some(_) => return None,
        };
        // Each unit once, the larger ones first.
        if unit >= smallest {
            return None;
        }
        smallest = unit;
        sum += number * unit;
        rest = &rest[end + len..];
    }
    (smallest.is_finite() && sum < 1e12).then_some((sum * 1e6).round() as u64)
}

/// Second of the day and microseconds of `12:03`, `12:03:10` or `12:03:10.5`.
fn of_day(text: &str) -> Option<(u32, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.split(':').map(|part| {
        (part.len() == 2).then_some(())?;
        part.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
        part.parse::<u32>().ok()
    });
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let us: u32 = digits.parse().ok()?;
    let sound = hour < 24 && minute < 60 && second < 60 && parts.next().is_none();
    sound.then_some((hour * 3600 + minute * 60 + second, us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        for (text, us) in [
            ("90s", Some(90_000_000)),
            ("90", Some(90_000_000)),
            ("1.5s", Some(1_500_000)),
            ("1h2m3s", Some(3_723_000_000)),
            ("1d", Some(86_400_000_000)),
            ("0", Some(0)),
            ("", None),
            ("s", None),
            ("1s2m", None),
            ("1m1m", None),
            ("-1", None),
            ("1y", None),
            ("99999999999999", None),
        ] {
            assert_eq!(relative(text), us, "{text}");
        }
    }

    #[test]
    fn times_of_day_are_read() {
        for (text, time) in [
            ("12:03:10", Some((43_390, 0))),
            ("00:00", Some((0, 0))),
            ("23:59:59.25", Some((86_399, 250_000))),
            ("24:00", None),
            ("12:60", None),
            ("1:2:3", None),
            ("12", None),
            ("12:03:10:1", None),
            ("12:+3", None),
        ] {
            assert_eq!(of_day(text), time, "{text}");
        }
    }
}
