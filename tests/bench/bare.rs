//! The least a relay can do: a PTY, raw mode, and bytes in both directions: poll, read, write. It
//! records nothing and knows no job control.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitCode};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::stdio::{stdin, stdout};
use rustix::termios::{OptionalActions, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

use crate::terminal::{make_leader, open};

/// Relays the command `args`; its status is ours.
pub fn main(args: &[String]) -> ExitCode {
    let saved = tcgetattr(stdin()).unwrap();
    let (ptmx, pts) = open();
    tcsetattr(&ptmx, OptionalActions::Now, &saved).unwrap();
    tcsetwinsize(&ptmx, tcgetwinsize(stdin()).unwrap()).unwrap();
    let mut raw = saved.clone();
    raw.make_raw();
    tcsetattr(stdin(), OptionalActions::Now, &raw).unwrap();
    let mut command = Command::new(&args[0]);
    command.args(&args[1..]);
    command.stdin(pts.try_clone().unwrap()).stdout(pts.try_clone().unwrap()).stderr(pts);
    #[allow(unsafe_code)]
    // SAFETY: `make_leader` only makes system calls.
    let mut child = unsafe { command.pre_exec(make_leader) }.spawn().unwrap();
    // The command's ends of the PTY are in there: while they are open it has no end.
    drop(command);
    rustix::io::ioctl_fionbio(&ptmx, true).unwrap();

    relay(ptmx.as_fd());
    let status = child.wait().unwrap();
    tcsetattr(stdin(), OptionalActions::Now, &saved).unwrap();
    ExitCode::from(status.code().unwrap_or_else(|| 128 + status.signal().unwrap()) as u8)
}

fn relay(ptmx: BorrowedFd<'_>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let keyboard = stdin();
        let mut fds = [PollFd::new(&keyboard, PollFlags::IN), PollFd::new(&ptmx, PollFlags::IN)];
        poll(&mut fds, None).unwrap();
        let [typed, shown] = [0, 1].map(|at| !fds[at].revents().is_empty());
        if typed {
            let n = rustix::io::read(stdin(), &mut buffer).unwrap();
            write_all(ptmx, &buffer[..n]);
        }
        if shown {
            match rustix::io::read(ptmx, &mut buffer) {
                Ok(0) | Err(Errno::IO) => return,
                Ok(n) => write_all(stdout(), &buffer[..n]),
                Err(e) => panic!("read: {e}"),
            }
        }
    }
}

fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::AGAIN) => {
                poll(&mut [PollFd::new(&to, PollFlags::OUT)], None).unwrap();
            }
            Err(e) => panic!("write: {e}"),
        }
    }
}
