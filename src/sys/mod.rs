//! The door to the operating system, and the only room with `unsafe`. Rust types come out of it;
//! C types stay inside. One file a family of manual pages.

pub mod fd;
pub mod poll;
pub mod process;
pub mod pty;
pub mod shared;
pub mod signal;
pub mod time;
pub mod tty;

use std::io;

pub mod behind;
pub mod crc;
pub mod file;
pub mod mmap;
pub mod pair;

/// Turns C's -1 into the error that errno names.
pub(crate) fn cvt<T: Copy + PartialEq + From<i8>>(result: T) -> io::Result<T> {
    if result == T::from(-1) { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Calls again for as long as a signal interrupts the call.
pub(crate) fn retry<T: Copy + PartialEq + From<i8>>(mut call: impl FnMut() -> T) -> io::Result<T> {
    loop {
        match cvt(call()) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
