//! Wall times and durations as text, from numbers handed in. No clock, no time zone database.

/// A point in wall time with the offset that was in force there and then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WallTime {
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub unix_us: i64,
    /// Seconds east of UTC.
    pub offset_s: i32,
}

/// A civil date and time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Proleptic Gregorian year.
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 60.
    pub second: u32,
}

impl WallTime {
    /// The date and time of day that a clock at this offset showed.
    pub fn civil(self) -> Civil {
        let local = self.unix_us.div_euclid(1_000_000).saturating_add(i64::from(self.offset_s));
        let (days, rest) = (local.div_euclid(86_400), local.rem_euclid(86_400) as u32);
        let (year, month, day) = civil_from_days(days);
        Civil { year, month, day, hour: rest / 3600, minute: rest / 60 % 60, second: rest % 60 }
    }

    /// `2026-05-30 15:12:33`, as a clock at this offset showed it.
    pub fn local(self) -> String {
        let c = self.civil();
        let mut text = format!("{:04}", c.year);
        // By hand: a list of all sessions writes very many of these.
        for (mark, number) in ['-', '-', ' ', ':', ':']
            .into_iter()
            .zip([c.month, c.day, c.hour, c.minute, c.second].map(|number| number as u8))
        {
            text.extend([mark, char::from(b'0' + number / 10), char::from(b'0' + number % 10)]);
        }
        text
    }

    /// `2026-05-30T15:12:33.114+02:00`, to the millisecond.
    pub fn rfc3339(self) -> String {
        let c = self.civil();
        let ms = self.unix_us.rem_euclid(1_000_000) / 1000;
        let (sign, off) =
            if self.offset_s < 0 { ('-', -self.offset_s) } else { ('+', self.offset_s) };
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}{}{:02}:{:02}",
            c.year,
            c.month,
            c.day,
            c.hour,
            c.minute,
            c.second,
            ms,
            sign,
            off / 3600,
            off / 60 % 60
        )
    }

    /// Reads RFC 3339: `T`, `t` or a space between date and time, any number of fraction digits,
    /// `Z` or an offset. None for anything else, an impossible date included.
    pub fn parse_rfc3339(text: &str) -> Option<WallTime> {
        let b = text.as_bytes();
        let (year, month, day) = parse_date(b.get(..10)?)?;
        if !matches!(b.get(10)?, b'T' | b't' | b' ') {
            return None;
        }
        let clock = b.get(11..19)?;
        if clock[2] != b':' || clock[5] != b':' {
            return None;
        }
        let (hour, minute, second) =
            (digits(&clock[..2])?, digits(&clock[3..5])?, digits(&clock[6..])?);
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let mut rest = &b[19..];
        let mut us = 0;
        if rest.first() == Some(&b'.') {
            let len = rest[1..].iter().take_while(|c| c.is_ascii_digit()).count();
            if len == 0 {
                return None;
            }
            for place in 0..6 {
                us = us * 10
                    + rest
                        .get(1 + place)
                        .filter(|_| place < len)
                        .map_or(0, |c| i64::from(c - b'0'));
            }
            rest = &rest[1 + len..];
        }
        let offset_s = match rest {
            b"Z" | b"z" => 0,
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
                let (h, m) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
                if h > 23 || m > 59 {
                    return None;
                }
                let s = (h * 3600 + m * 60) as i32;
                if *sign == b'-' { -s } else { s }
            }
            _ => return None,
        };
        let days = days_from_civil(i64::from(year), month, day);
        let s = days * 86_400 + i64::from(hour * 3600 + minute * 60 + second) - i64::from(offset_s);
        Some(WallTime { unix_us: s * 1_000_000 + us, offset_s })
    }

    /// This time moved by `us` microseconds, at the same offset.
    pub fn plus_us(self, us: i64) -> WallTime {
        WallTime { unix_us: self.unix_us.saturating_add(us), ..self }
    }
}

/// Reads `YYYY-MM-DD`. None for anything else, an impossible date included.
pub fn parse_date(text: &[u8]) -> Option<(u32, u32, u32)> {
    if text.len() != 10 || text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let (year, month, day) = (digits(&text[..4])?, digits(&text[5..7])?, digits(&text[8..])?);
    let known = civil_from_days(days_from_civil(i64::from(year), month.clamp(1, 12), day.max(1)));
    (known == (i64::from(year), month, day)).then_some((year, month, day))
}

/// `0s`, `59s`, `18m 31s`, `2h 05m`, `3d 04h`: a duration to read, never longer than needed.
pub fn duration(us: u64) -> String {
    let s = us / 1_000_000;
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m {:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h {:02}m", s / 3600, s / 60 % 60),
        _ => format!("{}d {:02}h", s / 86_400, s / 3600 % 24),
    }
}

fn digits(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0u32, |n, c| c.is_ascii_digit().then(|| n * 10 + u32::from(c - b'0')))
}

/// Days since 1970-01-01 of a civil date (Howard Hinnant, "chrono-compatible low-level date
/// algorithms": years begin in March so that the leap day is the last).
pub fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let m = i64::from(month);
    let doy = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// The civil date (year, month, day) of a number of days since 1970-01-01.
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let z = days.saturating_add(719_468);
    let (era, doe) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = (doy - (153 * mp + 2) / 5 + 1) as u32;
    let month = (if mp < 10 { mp + 3 } else { mp - 9 }) as u32;
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_reads_back_what_it_writes() {
        for (text, canonical) in [
            ("2026-05-30T15:12:33.114+02:00", "2026-05-30T15:12:33.114+02:00"),
            ("1969-12-31T23:59:59.999-00:30", "1969-12-31T23:59:59.999-00:30"),
            ("2024-02-29 00:00:00Z", "2024-02-29T00:00:00.000+00:00"),
            ("2000-01-01t00:00:00.1234567z", "2000-01-01T00:00:00.123+00:00"),
        ] {
            let time = WallTime::parse_rfc3339(text).expect(text);
            assert_eq!(time.rfc3339(), canonical);
            assert_eq!(
                WallTime::parse_rfc3339(canonical).map(WallTime::rfc3339).as_deref(),
                Some(canonical)
            );
        }
    }

    #[test]
    fn impossible_times_are_refused() {
        for text in [
            "",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+2:00",
            "2026-01-01T00:00:00Zx",
            "2026-01-01",
        ] {
            assert_eq!(WallTime::parse_rfc3339(text), None, "{text}");
        }
        assert_eq!(parse_date(b"2026-11-31"), None);
        assert_eq!(parse_date(b"2026-11-30"), Some((2026, 11, 30)));
    }

    #[test]
    fn dates_and_days_are_inverse_over_a_thousand_years() {
        for days in (-200_000..200_000).step_by(17) {
            let (y, m, d) = civil_from_days(days);
            assert_eq!(days_from_civil(y, m, d), days);
        }
        assert_eq!(civil_from_days(0), (1970, 1, 1));
        assert_eq!(civil_from_days(11_016), (2000, 2, 29));
    }

    #[test]
    fn durations_read_well() {
        for (s, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m 00s"),
            (1111, "18m 31s"),
            (7500, "2h 05m"),
            (273_600, "3d 04h"),
        ] {
            assert_eq!(duration(s * 1_000_000), text);
        }
    }
}
