//! openpty(3).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::tty::{Termios, WinSize, winsize};
use super::{cvt, retry};

/// The two ends of a pseudo-terminal.
#[derive(Debug)]
pub struct Pty {
    /// Our end: non-blocking and close-on-exec.
    pub ptmx: OwnedFd,
    /// The end that looks like a terminal: close-on-exec.
    pub pts: OwnedFd,
}

impl Pty {
    /// Opens a pair. The pts starts with `modes` (None: the system's defaults) and `size`.
    pub fn open(modes: Option<&Termios>, size: WinSize) -> io::Result<Pty> {
        let (mut ptmx, mut pts) = (-1, -1);
        let size = winsize(size);
        let modes = modes.map_or(std::ptr::null(), Termios::as_ptr);
        // SAFETY: the two ints and the winsize are ours; modes is null or a valid termios; a null
        // name is allowed. The const-ness of the last two differs between systems, hence `as _`.
        let result = unsafe {
            libc::openpty(
                &mut ptmx,
                &mut pts,
                std::ptr::null_mut(),
                modes as _,
                std::ptr::from_ref(&size) as _,
            )
        };
        cvt(result)?;
        // SAFETY: openpty succeeded, so both are open and nobody else owns them.
        let pair = unsafe { (OwnedFd::from_raw_fd(ptmx), OwnedFd::from_raw_fd(pts)) };
        let pty = Pty { ptmx: pair.0, pts: pair.1 };
        set_close_on_exec(&pty.ptmx)?;
        set_close_on_exec(&pty.pts)?;
        set_nonblocking(&pty.ptmx)?;
        Ok(pty)
    }
}

/// Marks a descriptor to be closed by exec.
fn set_close_on_exec(fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: F_SETFD takes an int and touches no memory.
    retry(|| unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(())
}

/// Makes a description of our own non-blocking. Never for an inherited one: its flags are shared.
pub(super) fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: F_GETFL takes no argument.
    let flags = retry(|| unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    // SAFETY: F_SETFL takes an int and touches no memory.
    retry(|| unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
    Ok(())
}
