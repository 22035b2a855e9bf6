//! fork, exec, wait, kill, and who we are.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::signal::Signal;
use super::{cvt, retry};

/// A process or process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pid(pub i32);

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By exit(2), with this status.
    Code(u8),
    /// By this signal.
    Signal(Signal),
}

/// A change of state of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It ended.
    Exited(Exit),
    /// It was stopped by this signal.
    Stopped(Signal),
    /// It goes on after a stop.
    Continued,
}

/// The two sides of a fork.
#[derive(Debug)]
pub enum Fork {
    /// In the parent: the child's pid.
    Parent(Pid),
    /// In the child.
    Child,
}

/// Forks. Call it only while this process has one thread: then the child may do anything.
///
/// # Errors
/// What fork(2) says; also when a second thread is running.
pub fn fork() -> io::Result<Fork> {
    // SAFETY: the caller keeps to one thread, so no lock is held by a thread that the child lacks.
    match cvt(unsafe { libc::fork() })? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(Pid(pid))),
    }
}

/// Starts a copy of this process though it has several threads: the child has the calling one alone.
/// It must take no lock that another thread may hold, and end by [`exit_now`].
pub fn fork_among_threads() -> io::Result<Fork> {
    // SAFETY: memory can be allocated in the child: the C libraries of Linux and macOS put their
    // allocators in order around a fork. From other locks the contract above keeps it away.
    match cvt(unsafe { libc::fork() })? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(Pid(pid))),
    }
}

/// Ends this process at once: no destructor, no buffer flushed, no handler run.
pub fn exit_now(code: u8) -> ! {
    // SAFETY: _exit takes any status and does not return.
    unsafe { libc::_exit(i32::from(code)) }
}

/// The error number of a command that does not exist.
pub const NOT_FOUND: i32 = libc::ENOENT;

/// In a forked child that ends by [`exit_now`] or exec: closes a descriptor whose owner's
/// destructor never runs here.
pub fn close_in_child(fd: BorrowedFd<'_>) {
    // SAFETY: the child's copy of the owner is never used or dropped, as the contract says.
    unsafe { libc::close(fd.as_raw_fd()) };
}

/// The next change of state of `pid`, if there is one already. None also when there is no such
/// child.
pub fn changed(pid: Pid) -> Option<Change> {
    wait(pid, libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED)
}

/// Waits until `pid` has ended.
pub fn ended(pid: Pid) -> Option<Change> {
    wait(pid, 0)
}

fn wait(pid: Pid, options: i32) -> Option<Change> {
    let mut status = 0;
    // SAFETY: status is an int of ours for the call.
    let got = retry(|| unsafe { libc::waitpid(pid.0, &mut status, options) }).ok()?;
    if got == 0 {
        return None;
    }
    Some(if libc::WIFSTOPPED(status) {
        Change::Stopped(Signal(libc::WSTOPSIG(status)))
    } else if libc::WIFCONTINUED(status) {
        Change::Continued
    } else if libc::WIFSIGNALED(status) {
        Change::Exited(Exit::Signal(Signal(libc::WTERMSIG(status))))
    } else {
        Change::Exited(Exit::Code(libc::WEXITSTATUS(status) as u8))
    })
}

/// Sends a signal to one process.
pub fn kill(pid: Pid, signal: Signal) -> io::Result<()> {
    // SAFETY: kill takes any pid and signal.
    cvt(unsafe { libc::kill(pid.0, signal.0) })?;
    Ok(())
}

/// Sends a signal to a process group.
pub fn kill_group(group: Pid, signal: Signal) -> io::Result<()> {
    // SAFETY: killpg takes any group and signal.
    cvt(unsafe { libc::killpg(group.0, signal.0) })?;
    Ok(())
}

/// This process.
pub fn own_pid() -> Pid {
    // SAFETY: getpid cannot fail.
    Pid(unsafe { libc::getpid() })
}

/// The parent of this process.
pub fn parent_pid() -> Pid {
    // SAFETY: getppid cannot fail.
    Pid(unsafe { libc::getppid() })
}

/// The process group of this process.
pub fn own_group() -> Pid {
    // SAFETY: getpgrp cannot fail.
    Pid(unsafe { libc::getpgrp() })
}

/// The process group of `pid`, if it lives.
pub fn group_of(pid: Pid) -> Option<Pid> {
    // SAFETY: getpgid takes any pid.
    cvt(unsafe { libc::getpgid(pid.0) }).ok().map(Pid)
}

/// Puts `pid` into `group` (0: itself, its own).
pub fn set_group(pid: Pid, group: Pid) -> io::Result<()> {
    // SAFETY: setpgid takes any pid and group.
    cvt(unsafe { libc::setpgid(pid.0, group.0) })?;
    Ok(())
}

/// Makes this process the leader of a session of its own, with `tty` as controlling terminal.
pub fn lead_session(tty: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: setsid takes nothing.
    cvt(unsafe { libc::setsid() })?;
    // SAFETY: TIOCSCTTY takes an int by value.
    cvt(unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCSCTTY as _, 0) })?;
    Ok(())
}

/// Most processes that [`holders`] names.
pub const HOLDERS_MAX: usize = 32;

/// The processes that have `path` open, as far as we may look: this one left out, at most
/// [`HOLDERS_MAX`]. Empty where there is no /proc.
pub fn holders(path: &std::path::Path) -> Vec<Pid> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.map(Pid)
        .filter(|pid| *pid != own_pid())
        .filter(|pid| {
            let fds = std::fs::read_dir(format!("/proc/{}/fd", pid.0));
            let mut fds = fds.into_iter().flatten().flatten();
            fds.any(|fd| std::fs::read_link(fd.path()).is_ok_and(|target| target == path))
        })
        .take(HOLDERS_MAX)
        .collect()
}

/// Forbids a core file of this process.
pub fn forbid_core() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: none is a valid rlimit for the call.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) };
}

/// A command ready to be run: nothing is allocated between fork and exec.
#[derive(Debug)]
pub struct Prepared {
    /// The paths to try, in order.
    paths: Vec<CString>,
    argv: Vec<CString>,
    env: Vec<CString>,
    /// `/bin/sh`, the path (filled per try), the arguments after the first.
    shell: CString,
}

impl Prepared {
    /// Prepares `argv` for execution with the environment `env`. A name without a slash is looked
    /// up in `path`, the value of PATH (None: the system's default), as execvp(3) does.
    ///
    /// # Errors
    /// An empty command, or a NUL byte in an argument.
    pub fn new(
        argv: &[OsString],
        env: &[(OsString, OsString)],
        path: Option<&OsStr>,
    ) -> io::Result<Prepared> {
        let name = argv.first().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let mut paths = Vec::new();
        if name.as_bytes().contains(&b'/') {
            paths.push(CString::new(name.as_bytes())?);
        } else if !name.is_empty() {
            let dirs = path.unwrap_or(OsStr::new("/usr/local/bin:/bin:/usr/bin"));
            for dir in dirs.as_bytes().split(|b| *b == b':') {
                let mut full = dir.to_vec();
                if !full.is_empty() {
                    full.push(b'/');
                }
                full.extend_from_slice(name.as_bytes());
                paths.push(CString::new(full)?);
            }
        }
        let argv =
            argv.iter().map(|a| CString::new(a.as_bytes())).collect::<Result<Vec<_>, _>>()?;
        let mut list = Vec::with_capacity(env.len());
        for (key, value) in env {
            let mut pair = key.clone().into_vec();
            pair.push(b'=');
            pair.extend_from_slice(value.as_bytes());
            list.push(CString::new(pair)?);
        }
        Ok(Prepared { paths, argv, env: list, shell: c"/bin/sh".to_owned() })
    }

    /// Replaces this process by the command. Returns only when it could not: the error to report,
    /// the most telling of those met on the way, as execvp(3) chooses it.
    pub fn exec(&self) -> io::Error {
        let argv = pointers(&self.argv, 0);
        let env = pointers(&self.env, 0);
        let mut told = libc::ENOENT;
        for path in &self.paths {
            // SAFETY: path is a C string, argv and env are null-terminated arrays of C strings
            // that self owns, and all live until the call replaces the process or fails.
            unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
            let errno = io::Error::last_os_error().raw_os_error().unwrap_or(libc::ENOENT);
            match errno {
                libc::ENOEXEC => return self.exec_shell(path, &env),
                libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
                libc::EACCES => told = libc::EACCES,
                other => return io::Error::from_raw_os_error(other),
            }
        }
        io::Error::from_raw_os_error(told)
    }

    /// A text file without `#!` is a script of the shell.
    fn exec_shell(&self, path: &CString, env: &[*const libc::c_char]) -> io::Error {
        let mut argv = vec![self.shell.as_ptr(), path.as_ptr()];
        argv.extend(pointers(&self.argv, 1));
        // SAFETY: as in exec; argv ends with the null that pointers appends.
        unsafe { libc::execve(self.shell.as_ptr(), argv.as_ptr(), env.as_ptr()) };
        io::Error::last_os_error()
    }
}

fn pointers(strings: &[CString], skip: usize) -> Vec<*const libc::c_char> {
    strings.iter().skip(skip).map(|s| s.as_ptr()).chain(std::iter::once(std::ptr::null())).collect()
}

/// What the child is given for one of its first three descriptors.
#[derive(Clone, Copy, Debug)]
pub enum Give<'a> {
    /// What we inherited ourselves.
    Inherited,
    /// Nothing: closed.
    Closed,
    /// A copy of this one.
    Copy(BorrowedFd<'a>),
}

/// In a forked child: arranges descriptors 0, 1 and 2.
///
/// # Errors
/// What dup2(2) says.
pub fn arrange(given: [Give<'_>; 3]) -> io::Result<()> {
    // A source that is itself below 3 could be overwritten before it is copied; ours never are,
    // because the first three descriptors were open, or were opened on /dev/null, at the start.
    for (target, give) in given.iter().enumerate() {
        match give {
            Give::Inherited => {}
            Give::Closed => {
                // SAFETY: closing a standard descriptor of this forked child, which nobody owns.
                unsafe { libc::close(target as RawFd) };
            }
            Give::Copy(fd) => {
                // SAFETY: dup2 onto a standard descriptor of this forked child.
                retry(|| unsafe { libc::dup2(fd.as_raw_fd(), target as RawFd) })?;
            }
        }
    }
    Ok(())
}

/// In a forked child: becomes a process that nobody waits for, in a session of its own, and holding
/// no descriptor but `keep`: the first three lead nowhere.
///
/// # Errors
/// What open(2) says of `/dev/null`, and dup2(2).
pub fn go_behind(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    /// Descriptors that are closed one by one where no call closes a range.
    const FEW: RawFd = 1024;
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    let nowhere = || Give::Copy(std::os::fd::AsFd::as_fd(&null));
    arrange([nowhere(), nowhere(), nowhere()])?;
    drop(null);
    let mut kept: Vec<RawFd> = keep.iter().map(AsRawFd::as_raw_fd).filter(|fd| *fd > 2).collect();
    kept.sort_unstable();
    let firsts = std::iter::once(3).chain(kept.iter().map(|fd| fd + 1));
    let lasts = kept.iter().map(|fd| fd - 1).chain([RawFd::MAX]);
    for (first, last) in firsts.zip(lasts).filter(|(first, last)| first <= last) {
        #[cfg(target_os = "linux")]
        // SAFETY: whoever owns these in this child never uses or drops them: it ends by exit_now.
        let closed = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == 0;
        #[cfg(not(target_os = "linux"))]
        let closed = false;
        if !closed {
            for fd in first..=last.min(FEW) {
                // SAFETY: as above.
                unsafe { libc::close(fd) };
            }
        }
    }
    // SAFETY: takes no pointer; a failure leaves things as they are.
    unsafe { libc::setsid() };
    Ok(())
}

/// Lays little claim to the processor from now on.
pub fn give_way() {
    // SAFETY: takes no pointer; a failure leaves things as they are.
    unsafe { libc::nice(10) };
}

/// Whether there is such a process, of anybody.
pub fn exists(pid: Pid) -> bool {
    // SAFETY: signal 0 is never delivered.
    let asked = cvt(unsafe { libc::kill(pid.0, 0) });
    pid.0 > 0 && asked.map_or_else(|e| e.raw_os_error() == Some(libc::EPERM), |_| true)
}

/// A pipe (read end, write end), close-on-exec.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = std::io::pipe()?;
    Ok((read.into(), write.into()))
}

/// Makes a pipe end or socket of our own non-blocking.
pub fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    super::pty::set_nonblocking(fd)
}

/// Asks for a larger pipe buffer; the system may give less.
#[cfg(target_os = "linux")]
pub fn widen_pipe(fd: BorrowedFd<'_>, bytes: i32) {
    // SAFETY: F_SETPIPE_SZ takes an int and touches no memory of ours.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETPIPE_SZ, bytes) };
}

/// Not available here.
#[cfg(not(target_os = "linux"))]
pub fn widen_pipe(_fd: BorrowedFd<'_>, _bytes: i32) {}

/// The effective user's id.
pub fn user_id() -> u32 {
    // SAFETY: geteuid cannot fail.
    unsafe { libc::geteuid() }
}

/// The machine's name.
pub fn host_name() -> Option<OsString> {
    let mut buf = [0u8; 256];
    // SAFETY: buf is writable for its length.
    cvt(unsafe { libc::gethostname(buf.as_mut_ptr().cast(), buf.len()) }).ok()?;
    let len = buf.iter().position(|b| *b == 0).unwrap_or(buf.len());
    Some(OsString::from_vec(buf[..len].to_vec()))
}

/// Fills `buf`, at most 256 bytes of it, with random bytes.
#[cfg(target_os = "linux")]
pub fn random(buf: &mut [u8]) -> io::Result<()> {
    // SAFETY: buf is writable for the length given, which up to 256 bytes is always filled.
    retry(|| unsafe { libc::getrandom(buf.as_mut_ptr().cast(), buf.len().min(256), 0) })?;
    Ok(())
}

/// Fills `buf`, at most 256 bytes of it, with random bytes.
#[cfg(not(target_os = "linux"))]
pub fn random(buf: &mut [u8]) -> io::Result<()> {
    // SAFETY: buf is writable for the length given, which up to 256 bytes is always filled.
    cvt(unsafe { libc::getentropy(buf.as_mut_ptr().cast(), buf.len().min(256)) })?;
    Ok(())
}

/// What the process was given, seen before the standard library's own start changes it: it ignores
/// SIGPIPE and opens closed standard descriptors on /dev/null.
pub mod inherited {
    use std::sync::atomic::{AtomicU8, Ordering};

    const PIPE_IGNORED: u8 = 8;

    /// Bits 0 to 2: that descriptor was closed. Bit 3: SIGPIPE was ignored.
    static SEEN: AtomicU8 = AtomicU8::new(0);

    extern "C" fn look() {
        let mut seen = 0;
        for fd in 0..3 {
            // SAFETY: F_GETFD takes no argument; a closed descriptor only gives an error.
            if unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1 {
                seen |= 1 << fd;
            }
        }
        if super::super::signal::is_ignored(super::Signal::PIPE) {
            seen |= PIPE_IGNORED;
        }
        SEEN.store(seen, Ordering::Relaxed);
    }

    /// The loader calls what stands in this section before `main`, in every C library we run on.
    #[used]
    #[cfg_attr(target_os = "linux", unsafe(link_section = ".init_array"))]
    #[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__mod_init_func"))]
    static LOOK: extern "C" fn() = look;

    /// Whether standard descriptor `fd` (0 to 2) was closed when the process started.
    pub fn was_closed(fd: usize) -> bool {
        SEEN.load(Ordering::Relaxed) & (1 << fd) != 0
    }

    /// Whether SIGPIPE was ignored when the process started.
    pub fn pipe_was_ignored() -> bool {
        SEEN.load(Ordering::Relaxed) & PIPE_IGNORED != 0
    }
}

/// Takes ownership of a duplicate of a standard descriptor, close-on-exec, at 3 or above.
pub fn duplicate(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes an int and gives a new descriptor that nobody else owns.
    let copy = retry(|| unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) })?;
    // SAFETY: copy was just opened for us.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}
