//! What our first three descriptors are, and what the command is given for each.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sys::fd::{self, Identity, Kind};
use crate::sys::process::{self, inherited};
use crate::sys::tty::{self, Termios, WinSize};

/// Cells of a terminal whose size is unknown.
pub const SIZE_DEFAULT: WinSize = WinSize { rows: 24, cols: 80, x_pixels: 0, y_pixels: 0 };

/// What the command is given for one of its first three descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing: it was closed.
    Closed,
    /// What we have ourselves.
    Through,
    /// What we have ourselves, a regular file: what is written to it is read back at the end.
    File {
        /// Where the command's first byte goes.
        start: u64,
    },
    /// Its terminal.
    Terminal,
    /// A pipe of ours; the bytes are passed on.
    Pipe,
    /// The same as standard output, because ours is too.
    AsStdout,
}

/// Our own terminal.
#[derive(Debug)]
pub struct Terminal {
    /// Where it is written to and read from.
    pub fd: Sink,
    /// The modes it had when we came.
    pub modes: Termios,
    /// Its window size; [`SIZE_DEFAULT`] where it is unknown.
    pub size: WinSize,
    /// Whether the terminal told its size.
    pub size_known: bool,
}

/// What we were started with.
#[derive(Debug)]
pub struct Descriptors {
    /// What the command is given, by descriptor.
    pub plans: [Plan; 3],
    /// Our terminal, if one of the three is it.
    pub terminal: Option<Terminal>,
    /// Input comes from a pipe or output goes to one: others of the pipeline may read keys from
    /// our terminal too (a pager does).
    pub in_pipeline: bool,
}

impl Descriptors {
    /// Looks at descriptors 0, 1 and 2. `record_stdin` asks for input that is no terminal to be
    /// kept, at the price of a pipe.
    pub fn look(record_stdin: bool) -> Descriptors {
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let fds = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
        let identities: [Option<Identity>; 3] = std::array::from_fn(|n| {
            if inherited::was_closed(n) { None } else { fd::identity(fds[n]).ok() }
        });
        let terminal = identities.iter().zip(fds).find_map(|(identity, fd)| {
            let identity = identity.filter(|i| i.kind == Kind::Tty)?;
            Some((identity, open_terminal(fd)?))
        });
        let tty = terminal.as_ref().map(|(identity, _)| identity.number.2);
        let plans = std::array::from_fn(|n| {
            let Some(identity) = identities[n] else { return Plan::Closed };
            let is_ours = identity.kind == Kind::Tty && tty == Some(identity.number.2);
            if is_ours {
                return Plan::Terminal;
            }
            if n == 0 {
                return if record_stdin { Plan::Pipe } else { Plan::Through };
            }
            let same_as_stdout = n == 2
                && identities[1]
                    .is_some_and(|out| (out.kind, out.number) == (identity.kind, identity.number));
            match identity.kind {
                Kind::Pipe | Kind::Socket if same_as_stdout => Plan::AsStdout,
                Kind::Pipe | Kind::Socket => Plan::Pipe,
                Kind::File if same_as_stdout => Plan::Through,
                Kind::File => {
                    fd::write_position(fds[n]).map_or(Plan::Through, |start| Plan::File { start })
                }
                Kind::Tty | Kind::Device | Kind::Other => Plan::Through,
            }
        });
        let in_pipeline = identities[..2]
            .iter()
            .flatten()
            .any(|identity| matches!(identity.kind, Kind::Pipe | Kind::Socket));
        Descriptors { plans, terminal: terminal.map(|(_, terminal)| terminal), in_pipeline }
    }
}

fn open_terminal(fd: BorrowedFd<'_>) -> Option<Terminal> {
    let modes = Termios::of(fd).ok()?;
    let size = tty::size(fd).unwrap_or_default();
    let size_known = size.rows != 0 && size.cols != 0;
    let size = if size_known { size } else { SIZE_DEFAULT };
    // Where the terminal cannot be opened once more (another user's, after su), a duplicate
    // serves: it may block, which the caller's small writes make unlikely.
    let fd = match tty::reopen(fd, true, true) {
        Ok(free) => Sink::Free(free),
        Err(_) => Sink::Shared(process::duplicate(fd).ok()?),
    };
    Some(Terminal { fd, modes, size, size_known })
}

/// Where bytes are written to without blocking.
#[derive(Debug)]
pub enum Sink {
    /// A description of our own that does not block.
    Free(OwnedFd),
    /// A socket: asked not to block at each write.
    Socket(OwnedFd),
    /// A description that others share, which may block: written in small pieces, when poll says
    /// that there is room.
    Shared(OwnedFd),
}

/// Most bytes written at once to a shared description: what POSIX says a pipe that poll calls
/// writable has room for.
const SHARED_WRITE_MAX: usize = 512;

impl Sink {
    /// A sink for one of our own first three descriptors.
    ///
    /// # Errors
    /// What dup(2) says.
    pub fn of(fd: BorrowedFd<'_>) -> io::Result<Sink> {
        if fd::identity(fd)?.kind == Kind::Socket {
            return Ok(Sink::Socket(process::duplicate(fd)?));
        }
        match tty::reopen(fd, true, false) {
            Ok(free) => Ok(Sink::Free(free)),
            Err(_) => Ok(Sink::Shared(process::duplicate(fd)?)),
        }
    }

    /// Writes what fits; call it for a shared sink only when poll says that there is room.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Free(fd) => fd::write(fd.as_fd(), bytes),
            Sink::Socket(fd) => fd::send(fd.as_fd(), bytes),
            Sink::Shared(fd) => fd::write(fd.as_fd(), &bytes[..bytes.len().min(SHARED_WRITE_MAX)]),
        }
    }

    /// Whether a write may be tried before poll has said that there is room.
    pub fn may_try(&self) -> bool {
        !matches!(self, Sink::Shared(_))
    }
}

impl AsFd for Sink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Sink::Free(fd) | Sink::Socket(fd) | Sink::Shared(fd) => fd.as_fd(),
        }
    }
}
