//! read(2), write(2), send(2) on descriptors that do not block, and what kind of thing one is.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::retry;

/// What a descriptor refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A terminal; its device number tells which.
    Tty,
    /// Any other character device, such as /dev/null.
    Device,
    /// A regular file.
    File,
    /// A pipe or FIFO.
    Pipe,
    /// A socket.
    Socket,
    /// Anything else.
    Other,
}

/// What a descriptor refers to, and which one: two with equal identities are the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its kind.
    pub kind: Kind,
    /// Device, inode and special device numbers.
    pub number: (u64, u64, u64),
    /// Size in bytes, of a regular file.
    pub len: u64,
}

/// What `fd` refers to.
pub fn identity(fd: BorrowedFd<'_>) -> io::Result<Identity> {
    // SAFETY: stat is plain data; all-zero is a valid value.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: stat is ours for the call.
    retry(|| unsafe { libc::fstat(fd.as_raw_fd(), &mut stat) })?;
    let kind = match stat.st_mode & libc::S_IFMT {
        libc::S_IFCHR if super::tty::is_tty(fd) => Kind::Tty,
        libc::S_IFCHR => Kind::Device,
        libc::S_IFREG => Kind::File,
        libc::S_IFIFO => Kind::Pipe,
        libc::S_IFSOCK => Kind::Socket,
        _ => Kind::Other,
    };
    let number = (stat.st_dev as u64, stat.st_ino as u64, stat.st_rdev as u64);
    Ok(Identity { kind, number, len: stat.st_size as u64 })
}

/// Where the next write to a regular file will go: its offset, or its end if it is appended to.
pub fn write_position(fd: BorrowedFd<'_>) -> io::Result<u64> {
    // SAFETY: F_GETFL takes no argument.
    let flags = retry(|| unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    if flags & libc::O_APPEND != 0 {
        return Ok(identity(fd)?.len);
    }
    // SAFETY: lseek by 0 from the current offset moves nothing.
    let at = unsafe { libc::lseek(fd.as_raw_fd(), 0, libc::SEEK_CUR) };
    if at < 0 { Err(io::Error::last_os_error()) } else { Ok(at as u64) }
}

/// Reads what is there, at most `buf`. 0 is the end.
pub fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    // SAFETY: buf is writable for its length.
    let n = retry(|| unsafe { libc::read(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len()) })?;
    Ok(n as usize)
}

/// Writes what fits.
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: bytes is readable for its length.
    let n = retry(|| unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) })?;
    Ok(n as usize)
}

/// Writes what fits to a socket, without blocking and without SIGPIPE whatever its flags.
pub fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: bytes is readable for its length.
    let n =
        retry(|| unsafe { libc::send(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) })?;
    Ok(n as usize)
}
