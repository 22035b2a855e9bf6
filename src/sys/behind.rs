//! Work that is left behind: done by a child that outlives this process and keeps nothing of its
//! surroundings.

use super::{cvt, file};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Descriptors closed one by one where the system cannot close a range of them.
#[cfg(not(target_os = "linux"))]
const FD_MAX: libc::c_int = 1024;
/// The least favourable of all priorities.
const NICE_MAX: libc::c_int = 19;

/// Has `work` done by a child; the caller waits for nothing. The child has a session of its own, no
/// terminal, no directory, the lowest priority and no descriptor but that of `kept`, so that
/// neither a shell nor a pipe nor a mount waits for it. It is not waited for, so call it on the way
/// out. `work` must take no lock that another thread of this process may hold, and print nothing.
///
/// # Errors
/// What fork(2) says.
pub fn leave(kept: &File, work: &mut dyn FnMut()) -> io::Result<()> {
    // SAFETY: the child has a copy of the calling thread alone. Memory can be allocated in it: the
    // C libraries of Linux and macOS put their allocators in order around a fork. `work` keeps to
    // the contract above, and the child ends without running anything else of its parent's.
    match cvt(unsafe { libc::fork() })? {
        0 => {
            let _end = End;
            close_all_but(kept.as_raw_fd());
            leave_surroundings();
            work();
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Ends the child, whether its work returns or panics.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        // SAFETY: _exit takes any status and does not return.
        unsafe { libc::_exit(0) }
    }
}

/// Closes every descriptor but one.
fn close_all_but(kept: libc::c_int) {
    #[cfg(target_os = "linux")]
    for (first, last) in [(0, kept - 1), (kept + 1, libc::c_int::MAX)] {
        if first <= last {
            // SAFETY: closes the child's own copies, whose owners never run in it. The raw call,
            // because not every C library has a wrapper.
            let closed = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
            if closed != 0 {
                close_one_by_one(first, last.min(1023));
            }
        }
    }
    #[cfg(not(target_os = "linux"))]
    for (first, last) in [(0, kept - 1), (kept + 1, FD_MAX)] {
        close_one_by_one(first, last);
    }
}

fn close_one_by_one(first: libc::c_int, last: libc::c_int) {
    for fd in first..=last {
        // SAFETY: as above; a number that is not open is an error without effect.
        unsafe { libc::close(fd) };
    }
}

/// Leaves terminal, process group, directory, signal handlers and priority of the parent. What
/// fails here changes nothing about the work.
fn leave_surroundings() {
    // SAFETY: calls about this process alone; the path is a literal with its NUL, the signal set
    // is initialised before it is used.
    unsafe {
        libc::setsid();
        libc::chdir(c"/".as_ptr());
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
            // What the terminal sent as it closed may be pending: to ignore it is to forget it.
            libc::signal(signal, libc::SIG_IGN);
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
        libc::setpriority(libc::PRIO_PROCESS, 0, NICE_MAX);
    }
    file::be_idle();
}
