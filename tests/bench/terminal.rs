//! The terminal emulator's side: a PTY to start a command on, and what to do with its output.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Winsize, tcgetattr, tcsetattr};

/// The question asciinema asks of its terminal, and waits a second for an answer to.
const DEVICE_ATTRIBUTES: &[u8] = b"\x1b[c";
const ANSWER: &[u8] = b"\x1b[?62c";

/// A new PTY: the emulator's end and the command's end, closed on exec.
pub fn open() -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ptmx = openpt(flags).unwrap();
    grantpt(&ptmx).unwrap();
    unlockpt(&ptmx).unwrap();
    let pts = ioctl_tiocgptpeer(&ptmx, flags).unwrap();
    (ptmx, pts)
}

/// Makes the process the leader of a session whose terminal is its standard input. Calls nothing
/// that may not be called between fork and exec.
pub fn make_leader() -> io::Result<()> {
    rustix::process::setsid()?;
    rustix::process::ioctl_tiocsctty(stdin())?;
    Ok(())
}

/// A command on a terminal of its own.
pub struct Terminal {
    ptmx: OwnedFd,
    child: Child,
    buffer: Vec<u8>,
    /// Bytes shown.
    pub shown: u64,
}

impl Terminal {
    pub fn spawn(command: Command) -> Terminal {
        Terminal::spawn_in(command, 24, 80)
    }

    pub fn spawn_in(mut command: Command, ws_row: u16, ws_col: u16) -> Terminal {
        let (ptmx, pts) = open();
        let winsize = Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&ptmx, winsize).unwrap();
        command.stdin(pts.try_clone().unwrap()).stdout(pts.try_clone().unwrap()).stderr(pts);
        #[allow(unsafe_code)]
        // SAFETY: `make_leader` only makes system calls.
        let child = unsafe { command.pre_exec(make_leader) }.spawn();
        let child = child.unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Terminal { ptmx, child, buffer: vec![0; 64 << 10], shown: 0 }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Reads once and throws the bytes away; false when every process has closed the terminal.
    fn discard(&mut self) -> bool {
        match rustix::io::read(&self.ptmx, &mut self.buffer) {
            Ok(0) | Err(rustix::io::Errno::IO) => false,
            Ok(n) => {
                // Only at the start, so that the flood is not searched.
                if self.shown < 4096 && crate::tools::find(&self.buffer[..n], DEVICE_ATTRIBUTES) {
                    self.type_keys(ANSWER);
                }
                self.shown += n as u64;
                true
            }
            Err(e) => panic!("read from the terminal: {e}"),
        }
    }

    /// What is shown next; None when every process has closed the terminal.
    pub fn read(&mut self) -> Option<&[u8]> {
        match rustix::io::read(&self.ptmx, &mut self.buffer) {
            Ok(0) | Err(rustix::io::Errno::IO) => None,
            Ok(n) => Some(&self.buffer[..n]),
            Err(e) => panic!("read from the terminal: {e}"),
        }
    }

    /// Discards until `len` bytes have been shown.
    pub fn discard_until(&mut self, len: u64) {
        while self.shown < len && self.discard() {}
        assert!(self.shown >= len, "{} of {len} bytes shown", self.shown);
    }

    /// Discards until the end.
    pub fn discard_all(&mut self) {
        while self.discard() {}
    }

    /// Discards until the end; returns the status.
    pub fn finish(mut self) -> (ExitStatus, u64) {
        self.discard_all();
        (self.child.wait().unwrap(), self.shown)
    }

    pub fn type_keys(&self, mut keys: &[u8]) {
        while !keys.is_empty() {
            keys = &keys[rustix::io::write(&self.ptmx, keys).unwrap()..];
        }
    }

    /// Discards what is shown until the byte `mark` is.
    pub fn wait_for(&mut self, mark: u8) {
        loop {
            let n = rustix::io::read(&self.ptmx, &mut self.buffer).expect("the terminal is open");
            if crate::tools::find(&self.buffer[..n], DEVICE_ATTRIBUTES) {
                self.type_keys(ANSWER);
            }
            if self.buffer[..n].contains(&mark) {
                return;
            }
        }
    }

    /// How long one typed byte takes to be shown.
    pub fn round_trip(&mut self) -> Duration {
        let start = Instant::now();
        self.type_keys(b"x");
        let n = rustix::io::read(&self.ptmx, &mut self.buffer).unwrap();
        assert_eq!(n, 1, "{:?}", self.buffer[..n].escape_ascii().to_string());
        start.elapsed()
    }

    /// Another handle to type on, while this one is read.
    pub fn keyboard(&self) -> std::fs::File {
        self.ptmx.try_clone().unwrap().into()
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Makes the terminal of this process raw: its bytes stay what they are.
pub fn make_raw() {
    let mut raw = tcgetattr(stdin()).unwrap();
    raw.make_raw();
    tcsetattr(stdin(), OptionalActions::Now, &raw).unwrap();
}

/// The program behind [`Terminal::round_trip`]: a raw terminal, each byte sent back; `q` quits.
pub fn echo_raw() -> ExitCode {
    make_raw();
    let mut byte = [b'!'];
    while byte != *b"q" {
        rustix::io::write(rustix::stdio::stdout(), &byte).unwrap();
        if rustix::io::read(stdin(), &mut byte) != Ok(1) {
            break;
        }
    }
    ExitCode::SUCCESS
}

/// Writes `len` bytes in lines of 64, then waits for a line of input.
pub fn flood(len: &str) -> ExitCode {
    let mut left: usize = len.parse().unwrap();
    let block = crate::tools::lines(64 << 10);
    let mut out = io::stdout().lock();
    while left > 0 {
        let n = left.min(block.len());
        out.write_all(&block[..n]).unwrap();
        left -= n;
    }
    out.flush().unwrap();
    let _ = io::stdin().read(&mut [0]);
    ExitCode::SUCCESS
}
