//! Signals as flags: handlers only note what arrived; ppoll is where they are let in.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use super::process::Pid;

/// A signal's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signal(pub i32);

#[allow(missing_docs)]
impl Signal {
    pub const HUP: Signal = Signal(libc::SIGHUP);
    pub const INT: Signal = Signal(libc::SIGINT);
    pub const QUIT: Signal = Signal(libc::SIGQUIT);
    pub const TERM: Signal = Signal(libc::SIGTERM);
    pub const KILL: Signal = Signal(libc::SIGKILL);
    pub const ALRM: Signal = Signal(libc::SIGALRM);
    pub const USR1: Signal = Signal(libc::SIGUSR1);
    pub const USR2: Signal = Signal(libc::SIGUSR2);
    pub const CHLD: Signal = Signal(libc::SIGCHLD);
    pub const WINCH: Signal = Signal(libc::SIGWINCH);
    pub const TSTP: Signal = Signal(libc::SIGTSTP);
    pub const STOP: Signal = Signal(libc::SIGSTOP);
    pub const TTIN: Signal = Signal(libc::SIGTTIN);
    pub const TTOU: Signal = Signal(libc::SIGTTOU);
    pub const CONT: Signal = Signal(libc::SIGCONT);
    pub const PIPE: Signal = Signal(libc::SIGPIPE);
    pub const SEGV: Signal = Signal(libc::SIGSEGV);
    pub const BUS: Signal = Signal(libc::SIGBUS);
    pub const XFSZ: Signal = Signal(libc::SIGXFSZ);
}

impl Signal {
    /// The name without `SIG`, as kill(1) lists it; the number for one without a name.
    pub fn name(self) -> String {
        const NAMES: &[(i32, &str)] = &[
            (libc::SIGHUP, "HUP"),
            (libc::SIGINT, "INT"),
            (libc::SIGQUIT, "QUIT"),
            (libc::SIGILL, "ILL"),
            (libc::SIGTRAP, "TRAP"),
            (libc::SIGABRT, "ABRT"),
            (libc::SIGBUS, "BUS"),
            (libc::SIGFPE, "FPE"),
            (libc::SIGKILL, "KILL"),
            (libc::SIGUSR1, "USR1"),
            (libc::SIGSEGV, "SEGV"),
            (libc::SIGUSR2, "USR2"),
            (libc::SIGPIPE, "PIPE"),
            (libc::SIGALRM, "ALRM"),
            (libc::SIGTERM, "TERM"),
            (libc::SIGCHLD, "CHLD"),
            (libc::SIGCONT, "CONT"),
            (libc::SIGSTOP, "STOP"),
            (libc::SIGTSTP, "TSTP"),
            (libc::SIGTTIN, "TTIN"),
            (libc::SIGTTOU, "TTOU"),
            (libc::SIGXCPU, "XCPU"),
            (libc::SIGXFSZ, "XFSZ"),
            (libc::SIGSYS, "SYS"),
        ];
        NAMES
            .iter()
            .find(|(number, _)| *number == self.0)
            .map_or_else(|| self.0.to_string(), |(_, name)| (*name).to_owned())
    }
}

/// A set of blocked signals.
#[derive(Clone, Copy)]
pub struct Mask(libc::sigset_t);

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

impl Mask {
    /// The mask in force.
    pub fn current() -> Mask {
        let mut set = Mask::empty();
        // SAFETY: a null new set only asks; set is a valid sigset.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut set.0) };
        set
    }

    /// Nothing blocked.
    pub fn empty() -> Mask {
        // SAFETY: sigset_t is plain data; sigemptyset makes it valid.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: set is ours.
        unsafe { libc::sigemptyset(&mut set) };
        Mask(set)
    }

    /// Everything blocked that can wait. A fault cannot: blocked, it would only be lost.
    pub fn full() -> Mask {
        const FAULTS: [i32; 7] = [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGILL,
            libc::SIGFPE,
            libc::SIGABRT,
            libc::SIGTRAP,
            libc::SIGSYS,
        ];
        let mut mask = Mask::empty();
        // SAFETY: the set is ours.
        unsafe { libc::sigfillset(&mut mask.0) };
        FAULTS.into_iter().fold(mask, |mask, fault| mask.without(Signal(fault)))
    }

    /// This mask with `signal` let through.
    pub fn without(mut self, signal: Signal) -> Mask {
        // SAFETY: the set is ours; a wrong number is refused.
        unsafe { libc::sigdelset(&mut self.0, signal.0) };
        self
    }

    /// This mask with `signal` blocked.
    pub fn with(mut self, signal: Signal) -> Mask {
        // SAFETY: the set is ours; a wrong number is refused.
        unsafe { libc::sigaddset(&mut self.0, signal.0) };
        self
    }

    /// Puts this mask in force for this thread and returns the one before.
    pub fn install(&self) -> Mask {
        let mut before = Mask::empty();
        // SAFETY: both sets are valid for the call.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, &mut before.0) };
        before
    }

    #[cfg(target_os = "linux")]
    pub(super) fn as_ptr(&self) -> *const libc::sigset_t {
        &self.0
    }
}

/// What to do when a signal arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The system's default.
    Default,
    /// Nothing.
    Ignore,
    /// Note it for [`take`].
    Note,
}

const SIGNALS_MAX: usize = 65;

static ARRIVED: [AtomicBool; SIGNALS_MAX] = [const { AtomicBool::new(false) }; SIGNALS_MAX];
static SENDER: [AtomicI32; SIGNALS_MAX] = [const { AtomicI32::new(0) }; SIGNALS_MAX];
static ANY: AtomicU32 = AtomicU32::new(0);

extern "C" fn note(number: i32, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    let slot = number as usize;
    if slot < SIGNALS_MAX {
        // SAFETY: SA_SIGINFO handlers get a valid siginfo from the kernel. A sender's pid is in it
        // only when a process sent the signal (si_code <= 0).
        let sender = unsafe {
            match info.as_ref() {
                Some(info) if info.si_code <= 0 => info.si_pid(),
                _ => 0,
            }
        };
        SENDER[slot].store(sender, Ordering::Relaxed);
        ARRIVED[slot].store(true, Ordering::Release);
        ANY.fetch_add(1, Ordering::Release);
    }
}

/// Sets what happens when `signal` arrives.
pub fn set(signal: Signal, disposition: Disposition) -> io::Result<()> {
    // SAFETY: sigaction is plain data; all-zero is a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    match disposition {
        Disposition::Default => action.sa_sigaction = libc::SIG_DFL,
        Disposition::Ignore => action.sa_sigaction = libc::SIG_IGN,
        Disposition::Note => {
            action.sa_sigaction = note as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        }
    }
    action.sa_mask = Mask::full().0;
    // SAFETY: action is valid; the handler only touches atomics, which a handler may.
    super::cvt(unsafe { libc::sigaction(signal.0, &action, std::ptr::null_mut()) })?;
    Ok(())
}

/// Whether `signal` is ignored.
pub fn is_ignored(signal: Signal) -> bool {
    // SAFETY: sigaction is plain data; all-zero is a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null new action only asks; action is ours.
    let asked = unsafe { libc::sigaction(signal.0, std::ptr::null(), &mut action) };
    asked == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// Whether any noted signal has arrived since the last call.
pub fn any() -> bool {
    ANY.swap(0, Ordering::Acquire) != 0
}

/// Takes a noted arrival of `signal`: its sender's pid (None when the kernel sent it).
pub fn take(signal: Signal) -> Option<Option<Pid>> {
    let slot = signal.0 as usize;
    if !ARRIVED[slot].swap(false, Ordering::Acquire) {
        return None;
    }
    let sender = SENDER[slot].load(Ordering::Relaxed);
    Some((sender > 0).then_some(Pid(sender)))
}
