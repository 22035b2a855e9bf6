//! ppoll(2) over a fixed set of descriptors.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use super::signal::Mask;

/// Most descriptors one [`PollSet`] watches.
pub const WATCHED_MAX: usize = 16;

/// What a descriptor is watched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Bytes or the end of them can be read.
    pub read: bool,
    /// Bytes can be written.
    pub write: bool,
}

/// What became true of a descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// A read will not block.
    pub read: bool,
    /// A write will not block.
    pub write: bool,
    /// The other end has gone (POLLHUP).
    pub hangup: bool,
    /// The descriptor is in error (POLLERR: for a pipe's write end, nobody reads; POLLNVAL).
    pub error: bool,
}

/// The descriptors of one call of ppoll. Reused from call to call: no allocation.
pub struct PollSet {
    entries: [libc::pollfd; WATCHED_MAX],
    len: usize,
}

impl std::fmt::Debug for PollSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PollSet({} watched)", self.len)
    }
}

impl Default for PollSet {
    fn default() -> PollSet {
        PollSet { entries: [libc::pollfd { fd: -1, events: 0, revents: 0 }; WATCHED_MAX], len: 0 }
    }
}

impl PollSet {
    /// Forgets all descriptors.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Watches `fd` and returns its place. With no interest at all, only hang-up and error show.
    ///
    /// # Panics
    /// When [`WATCHED_MAX`] descriptors are watched already.
    pub fn watch(&mut self, fd: BorrowedFd<'_>, interest: Interest) -> usize {
        let mut events = 0;
        if interest.read {
            events |= libc::POLLIN;
        }
        if interest.write {
            events |= libc::POLLOUT;
        }
        self.entries[self.len] = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
        self.len += 1;
        self.len - 1
    }

    /// Waits until a descriptor is ready, a signal not in `mask` is handled, or `timeout` has
    /// passed (None: no limit). Returns how many descriptors are ready; 0 after a signal.
    pub fn wait(&mut self, timeout: Option<Duration>, mask: &Mask) -> io::Result<usize> {
        let n = ppoll(&mut self.entries[..self.len], timeout, mask)?;
        Ok(n)
    }

    /// What became true of the descriptor at `place` in the last wait.
    pub fn ready(&self, place: usize) -> Ready {
        let r = self.entries[place].revents;
        Ready {
            read: r & libc::POLLIN != 0,
            write: r & libc::POLLOUT != 0,
            hangup: r & libc::POLLHUP != 0,
            error: r & (libc::POLLERR | libc::POLLNVAL) != 0,
        }
    }
}

#[cfg(target_os = "linux")]
fn ppoll(
    entries: &mut [libc::pollfd],
    timeout: Option<Duration>,
    mask: &Mask,
) -> io::Result<usize> {
    let spec = timeout.map(|t| {
        let mut spec = super::time::timespec_zero();
        spec.tv_sec = t.as_secs().min(i32::MAX as u64) as _;
        spec.tv_nsec = t.subsec_nanos() as _;
        spec
    });
    let spec_ptr = spec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: entries is a valid array of its length; spec_ptr is null or points at `spec`, the
    // mask at a sigset, and all outlive the call.
    let n = unsafe {
        libc::ppoll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, spec_ptr, mask.as_ptr())
    };
    settle(n, entries)
}

/// macOS has no ppoll: the mask is swapped around poll, and the timeout is bounded so that a
/// signal that slips in between is seen late rather than never.
#[cfg(not(target_os = "linux"))]
fn ppoll(
    entries: &mut [libc::pollfd],
    timeout: Option<Duration>,
    mask: &Mask,
) -> io::Result<usize> {
    const SLICE_MS: u128 = 100;
    let ms = timeout.map_or(SLICE_MS, |t| t.as_millis().min(SLICE_MS));
    let before = mask.install();
    // SAFETY: entries is a valid array of its length for the whole call.
    let n = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, ms as i32) };
    let result = settle(n, entries);
    before.install();
    result
}

fn settle(n: libc::c_int, entries: &mut [libc::pollfd]) -> io::Result<usize> {
    match super::cvt(n) {
        Ok(n) => Ok(n as usize),
        Err(e) if e.kind() == io::ErrorKind::Interrupted => {
            for entry in entries {
                entry.revents = 0;
            }
            Ok(0)
        }
        Err(e) => Err(e),
    }
}
