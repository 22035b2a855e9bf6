//! The session's clock: microseconds since its start, and what the other clocks did meanwhile.

use crate::sys::time;
use crate::time::WallTime;

/// Sleeping longer than this is worth a look at the other clocks.
const LONG_SLEEP_NS: u64 = 1_000_000_000;

/// The clocks drift apart by less than this without anybody having set one.
const JUMP_US: i64 = 2_000_000;

/// A clock that starts at 0 when the session does and never jumps.
#[derive(Debug)]
pub struct Clock {
    start_ns: u64,
    suspended_ns: u64,
    wall: WallTime,
    wall_ahead_us: i64,
}

/// What happened to the clocks while we slept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// Nothing.
    None,
    /// The machine was suspended for so many microseconds.
    Suspended(u64),
    /// The wall clock was set, by so many microseconds.
    Jumped(i64),
}

impl Clock {
    /// Starts now.
    pub fn start() -> Clock {
        let start_ns = time::monotonic_ns();
        let suspended_ns = time::boottime_ns().saturating_sub(start_ns);
        Clock { start_ns, suspended_ns, wall: time::wall(), wall_ahead_us: 0 }
    }

    /// Microseconds since the start, the machine's suspension left out.
    pub fn now_us(&self) -> u64 {
        time::monotonic_ns().saturating_sub(self.start_ns) / 1000
    }

    /// The monotonic clock's own number.
    pub fn monotonic_ns(&self) -> u64 {
        time::monotonic_ns()
    }

    /// The wall clock at the start.
    pub fn started(&self) -> WallTime {
        self.wall
    }

    /// Looks at the other clocks if we slept long since `before_ns`.
    pub fn drift_since(&mut self, before_ns: u64) -> Drift {
        let now_ns = time::monotonic_ns();
        if now_ns.saturating_sub(before_ns) < LONG_SLEEP_NS {
            let boot_ns = time::boottime_ns().saturating_sub(now_ns);
            // A suspension makes the monotonic sleep look short.
            if boot_ns.saturating_sub(self.suspended_ns) < LONG_SLEEP_NS {
                return Drift::None;
            }
        }
        let suspended_ns = time::boottime_ns().saturating_sub(now_ns);
        let slept_us = suspended_ns.saturating_sub(self.suspended_ns) / 1000;
        let wall_us = time::wall().unix_us - self.wall.unix_us;
        let elapsed_us = (self.now_us() + slept_us) as i64;
        let ahead_us = wall_us - elapsed_us;
        if slept_us > JUMP_US as u64 {
            self.suspended_ns = suspended_ns;
            // Our own time stood still meanwhile, and stays that far behind.
            self.wall_ahead_us = wall_us - self.now_us() as i64;
            return Drift::Suspended(slept_us);
        }
        let jump_us = ahead_us - self.wall_ahead_us;
        if jump_us.abs() > JUMP_US {
            self.wall_ahead_us = ahead_us;
            return Drift::Jumped(jump_us);
        }
        Drift::None
    }
}
