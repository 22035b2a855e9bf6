//! Clocks and the local time zone.

use crate::time::WallTime;

/// Nanoseconds on a clock that never jumps and stands still while the machine is suspended.
pub fn monotonic_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds on a clock that never jumps and runs on while the machine is suspended.
#[cfg(target_os = "linux")]
pub fn boottime_ns() -> u64 {
    clock_ns(libc::CLOCK_BOOTTIME)
}

/// macOS: CLOCK_MONOTONIC runs on while the machine is suspended.
#[cfg(not(target_os = "linux"))]
pub fn boottime_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// The wall clock, with the offset in force here and now.
pub fn wall() -> WallTime {
    let unix_us = (clock_ns(libc::CLOCK_REALTIME) / 1000) as i64;
    WallTime { unix_us, offset_s: local_offset_s(unix_us) }
}

/// The moment `unix_us` with the offset that is in force here at that moment.
pub fn local(unix_us: i64) -> WallTime {
    WallTime { unix_us, offset_s: local_offset_s(unix_us) }
}

/// Seconds east of UTC in this place when its clocks show `local_us`, microseconds since 1970 of a
/// clock on UTC: taken from the moment that has it but for a change between.
pub fn local_clock_offset_s(local_us: i64) -> i32 {
    let guess = local_offset_s(local_us);
    local_offset_s(local_us.saturating_sub(i64::from(guess) * 1_000_000))
}

/// Seconds east of UTC in this place at `unix_us` (0 where the zone is unknown).
pub fn local_offset_s(unix_us: i64) -> i32 {
    let seconds = unix_us.div_euclid(1_000_000) as _;
    let mut tm = std::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid for the call, and localtime_r keeps neither. A zeroed tm is
    // a valid value (its zone pointer is null), so it may be read even if the call fails.
    let tm = unsafe {
        libc::localtime_r(&seconds, tm.as_mut_ptr());
        tm.assume_init()
    };
    tm.tm_gmtoff as i32
}

/// The earliest moment of a local civil time (`hour` 0 to 23), in microseconds since 1970.
pub fn from_local_civil(
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
) -> i64 {
    // SAFETY: tm is plain data; all-zero is a valid value.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    tm.tm_year = year as i32 - 1900;
    tm.tm_mon = month as i32 - 1;
    tm.tm_mday = day as i32;
    tm.tm_hour = hour as i32;
    tm.tm_min = minute as i32;
    tm.tm_sec = second as i32;
    tm.tm_isdst = -1;
    // SAFETY: tm is valid and exclusively ours for the call.
    let seconds: i64 = unsafe { libc::mktime(&mut tm) } as _;
    seconds.saturating_mul(1_000_000)
}

/// The first moment of a local day (days since 1970-01-01), in microseconds since 1970. Searched
/// for by date alone: where clocks change at midnight, no clock ever shows 00:00 of some days, and
/// shows it twice on others.
pub fn day_start_us(day: i64) -> i64 {
    const DAY_S: i64 = 86_400;
    // No zone is a day and two hours away from UTC.
    let (mut before, mut within) = (day * DAY_S - 26 * 3600, day * DAY_S + 26 * 3600);
    while within - before > 1 {
        let middle = before + (within - before) / 2;
        let local = middle + i64::from(local_offset_s(middle * 1_000_000));
        match local.div_euclid(DAY_S) >= day {
            true => within = middle,
            false => before = middle,
        }
    }
    within * 1_000_000
}

/// Nanoseconds since 1970 by the clock that stamps files: it moves once a tick, and so lags.
pub fn file_clock_ns() -> u64 {
    #[cfg(target_os = "linux")]
    let clock = libc::CLOCK_REALTIME_COARSE;
    #[cfg(not(target_os = "linux"))]
    let clock = libc::CLOCK_REALTIME;
    clock_ns(clock)
}

fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut now = timespec_zero();
    // SAFETY: now is a valid timespec for the call; the clock is one the kernel always has.
    unsafe { libc::clock_gettime(clock, &mut now) };
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

/// A timespec of zero: its fields differ between targets, so none is named here.
pub(super) fn timespec_zero() -> libc::timespec {
    // SAFETY: timespec is plain data; all-zero is a valid value.
    unsafe { std::mem::zeroed() }
}
