//! termios(3) and the foreground process group of a terminal.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::process::Pid;
use super::{cvt, retry};

/// A terminal's window size, in cells and in pixels (0: unknown).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WinSize {
    /// Rows of cells.
    pub rows: u16,
    /// Columns of cells.
    pub cols: u16,
    /// Width in pixels.
    pub x_pixels: u16,
    /// Height in pixels.
    pub y_pixels: u16,
}

/// A terminal's modes.
#[derive(Clone, Copy)]
pub struct Termios(libc::termios);

impl std::fmt::Debug for Termios {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Termios(iflag {:o}, lflag {:o})", self.0.c_iflag, self.0.c_lflag)
    }
}

impl PartialEq for Termios {
    fn eq(&self, other: &Termios) -> bool {
        let (a, b) = (&self.0, &other.0);
        (a.c_iflag, a.c_oflag, a.c_cflag, a.c_lflag) == (b.c_iflag, b.c_oflag, b.c_cflag, b.c_lflag)
            && a.c_cc == b.c_cc
    }
}

impl Termios {
    /// The modes of the terminal behind `fd`; for a ptmx, those of its pts.
    pub fn of(fd: BorrowedFd<'_>) -> io::Result<Termios> {
        // SAFETY: termios is plain data; all-zero is a valid value.
        let mut raw: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: raw is a valid termios for the call.
        retry(|| unsafe { libc::tcgetattr(fd.as_raw_fd(), &mut raw) })?;
        Ok(Termios(raw))
    }

    /// Sets these modes at once, discarding nothing (TCSANOW: the flushing forms eat type-ahead,
    /// the draining one can block for ever on a stopped terminal).
    pub fn set(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        // SAFETY: self.0 is a valid termios for the call.
        retry(|| unsafe { libc::tcsetattr(fd.as_raw_fd(), libc::TCSANOW, &self.0) })?;
        Ok(())
    }

    /// These modes made raw, as cfmakeraw(3) does.
    pub fn raw(&self) -> Termios {
        let mut raw = self.0;
        // SAFETY: raw is a valid termios, exclusively ours.
        unsafe { libc::cfmakeraw(&mut raw) };
        Termios(raw)
    }

    /// Whether typed characters are shown.
    pub fn echoes(&self) -> bool {
        self.0.c_lflag & libc::ECHO != 0
    }

    /// Whether input is handed over line by line.
    pub fn is_canonical(&self) -> bool {
        self.0.c_lflag & libc::ICANON != 0
    }

    /// Whether a carriage return is put before each line feed that is printed.
    pub fn adds_cr(&self) -> bool {
        let both = libc::OPOST | libc::ONLCR;
        self.0.c_oflag & both == both
    }

    pub(super) fn as_ptr(&self) -> *const libc::termios {
        &self.0
    }
}

/// Whether `fd` is a terminal.
pub fn is_tty(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: isatty takes any descriptor.
    unsafe { libc::isatty(fd.as_raw_fd()) == 1 }
}

/// The window size of the terminal behind `fd`.
pub fn size(fd: BorrowedFd<'_>) -> io::Result<WinSize> {
    // SAFETY: winsize is plain data; all-zero is a valid value.
    let mut raw: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: TIOCGWINSZ writes one winsize, which raw is.
    retry(|| unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &mut raw) })?;
    Ok(WinSize {
        rows: raw.ws_row,
        cols: raw.ws_col,
        x_pixels: raw.ws_xpixel,
        y_pixels: raw.ws_ypixel,
    })
}

/// Sets the window size; on a ptmx, the foreground group of its pts gets SIGWINCH if it changed.
pub fn set_size(fd: BorrowedFd<'_>, size: WinSize) -> io::Result<()> {
    let raw = winsize(size);
    // SAFETY: TIOCSWINSZ reads one winsize, which raw is.
    retry(|| unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSWINSZ, &raw) })?;
    Ok(())
}

/// The foreground process group of the terminal behind `fd` (on a ptmx: of its pts).
pub fn foreground(fd: BorrowedFd<'_>) -> io::Result<Pid> {
    // SAFETY: tcgetpgrp takes any descriptor.
    cvt(unsafe { libc::tcgetpgrp(fd.as_raw_fd()) }).map(Pid)
}

/// Makes `group` the foreground process group. The caller ignores or blocks SIGTTOU.
pub fn set_foreground(fd: BorrowedFd<'_>, group: Pid) -> io::Result<()> {
    // SAFETY: tcsetpgrp takes any descriptor and any group id.
    retry(|| unsafe { libc::tcsetpgrp(fd.as_raw_fd(), group.0) })?;
    Ok(())
}

/// Sends `signal` (INT, QUIT or TSTP) to the foreground group of a ptmx's pts, whoever owns the
/// processes in it.
#[cfg(target_os = "linux")]
pub fn signal_foreground(ptmx: BorrowedFd<'_>, signal: super::signal::Signal) -> io::Result<()> {
    const TIOCSIG: u32 = 0x4004_5436;
    let number = signal.0;
    // SAFETY: TIOCSIG takes the signal number by value.
    cvt(unsafe { libc::ioctl(ptmx.as_raw_fd(), TIOCSIG as _, number) })?;
    Ok(())
}

/// Not available here.
#[cfg(not(target_os = "linux"))]
pub fn signal_foreground(_ptmx: BorrowedFd<'_>, _signal: super::signal::Signal) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// Opens what `fd` refers to once more, non-blocking and close-on-exec: a description of our own,
/// so that the flags of the inherited one stay as they are. Sockets refuse.
pub fn reopen(fd: BorrowedFd<'_>, write: bool, read: bool) -> io::Result<OwnedFd> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = path_of(fd)?;
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = File::options().read(read).write(write).custom_flags(flags).open(path)?;
    Ok(file.into())
}

/// The process's controlling terminal, non-blocking, if it has one.
pub fn controlling() -> io::Result<OwnedFd> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = File::options().read(true).write(true).custom_flags(flags).open("/dev/tty")?;
    Ok(file.into())
}

#[cfg(target_os = "linux")]
fn path_of(fd: BorrowedFd<'_>) -> io::Result<std::path::PathBuf> {
    Ok(format!("/proc/self/fd/{}", fd.as_raw_fd()).into())
}

#[cfg(not(target_os = "linux"))]
fn path_of(fd: BorrowedFd<'_>) -> io::Result<std::path::PathBuf> {
    name(fd).ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))
}

/// The path of the terminal behind `fd`.
pub fn name(fd: BorrowedFd<'_>) -> Option<std::path::PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let mut buf = [0u8; 128];
    // SAFETY: buf is writable for its length.
    let failed = unsafe { libc::ttyname_r(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len()) };
    if failed != 0 {
        return None;
    }
    let len = buf.iter().position(|b| *b == 0)?;
    Some(std::ffi::OsString::from_vec(buf[..len].to_vec()).into())
}

pub(super) fn winsize(size: WinSize) -> libc::winsize {
    libc::winsize {
        ws_row: size.rows,
        ws_col: size.cols,
        ws_xpixel: size.x_pixels,
        ws_ypixel: size.y_pixels,
    }
}
