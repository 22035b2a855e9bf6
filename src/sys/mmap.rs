//! A window: a stretch of a file in memory, for small writes without a system call, and the guard
//! that turns SIGBUS on it (a truncated file, a failing disk) into an error.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

/// Windows that can be open at the same time in one process.
pub const WINDOWS_MAX: usize = 8;

/// What the signal handler knows of a window.
struct Slot {
    /// First byte in memory; 0 when the slot is free.
    base: AtomicUsize,
    len: AtomicUsize,
    poisoned: AtomicBool,
}

static SLOTS: [Slot; WINDOWS_MAX] = [const {
    Slot { base: AtomicUsize::new(0), len: AtomicUsize::new(0), poisoned: AtomicBool::new(false) }
}; WINDOWS_MAX];

/// What SIGBUS did before the guard: given back when a fault is not ours.
static BEFORE: AtomicPtr<libc::sigaction> = AtomicPtr::new(ptr::null_mut());

/// A stretch of a file in memory, shared with all its readers. Nobody else writes it, no reference
/// into it is ever formed: bytes are copied in through raw pointers.
#[derive(Debug)]
pub struct Window {
    base: NonNull<u8>,
    len: usize,
    offset: u64,
    slot: usize,
}

// SAFETY: a window is raw memory that only its owner writes; moving the owner to another thread
// moves that right with it.
unsafe impl Send for Window {}

impl Window {
    /// Maps `len` bytes of `file` from `offset`, both multiples of [`page_len`]. The caller has
    /// had room on the disk set aside for them, for a write that finds no room is a signal here.
    pub fn map(file: &File, offset: u64, len: usize) -> io::Result<Window> {
        install_guard();
        let slot = SLOTS
            .iter()
            .position(|slot| {
                slot.base.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            })
            .ok_or_else(|| io::Error::other("too many windows"))?;
        let (fd, at) = (file.as_raw_fd(), offset as libc::off_t);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory in use; the
        // descriptor is open for as long as `file` is borrowed.
        let base =
            unsafe { libc::mmap(ptr::null_mut(), len, protection, libc::MAP_SHARED, fd, at) };
        let base = match NonNull::new(base.cast::<u8>()) {
            Some(base) if base.as_ptr().cast() != libc::MAP_FAILED => base,
            _ => {
                SLOTS[slot].base.store(0, Ordering::Release);
                return Err(io::Error::last_os_error());
            }
        };
        #[cfg(target_os = "linux")]
        // SAFETY: the range is the mapping just made. A child has no business with it; that it
        // could not be withheld harms nothing, for children of ours only call exec.
        unsafe {
            libc::madvise(base.as_ptr().cast(), len, libc::MADV_DONTFORK);
        }
        SLOTS[slot].poisoned.store(false, Ordering::Relaxed);
        SLOTS[slot].len.store(len, Ordering::Relaxed);
        SLOTS[slot].base.store(base.as_ptr() as usize, Ordering::Release);
        Ok(Window { base, len, offset, slot })
    }

    /// Makes every page present, so that later writes do not have to; what is there stays as it
    /// is. Where the kernel can (Linux 5.14), it makes them writable as well, which counts as
    /// writing them.
    pub fn touch(&self) {
        let_sigbus_through();
        #[cfg(target_os = "linux")]
        // SAFETY: the range is the mapping, which lives as long as `self`; no byte changes.
        if unsafe { libc::madvise(self.base.as_ptr().cast(), self.len, libc::MADV_POPULATE_WRITE) }
            == 0
        {
            return;
        }
        for at in (0..self.len).step_by(4096) {
            // SAFETY: `at` is inside the mapping, which lives as long as `self`.
            unsafe { self.base.as_ptr().add(at).read_volatile() };
        }
    }

    /// The range of the file it covers.
    pub fn range(&self) -> std::ops::Range<u64> {
        self.offset..self.offset + self.len as u64
    }

    /// Copies the parts one after the other to `offset` in the file; their first 8 bytes appear
    /// last, at once. False when the copy did not reach the file, which is then written otherwise.
    /// `offset` is a multiple of 8, the first part has at least 8 bytes, and all of it is inside.
    pub fn publish(&self, offset: u64, parts: &[io::IoSlice<'_>]) -> bool {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let start = match offset.checked_sub(self.offset) {
            Some(start) if start.is_multiple_of(8) && start as usize + total <= self.len => {
                start as usize
            }
            _ => return false,
        };
        let Some((word, rest)) = parts.first().and_then(|first| first.split_first_chunk::<8>())
        else {
            return false;
        };
        let_sigbus_through();
        // SAFETY: `start + 8` is at most `start + total`, which was found to be inside the mapping.
        let head = unsafe { self.base.as_ptr().add(start) };
        let mut at = start + 8;
        for part in std::iter::once(rest).chain(parts[1..].iter().map(|part| &**part)) {
            // SAFETY: `at + part.len()` is at most `start + total`, inside the mapping; the part
            // is memory of the caller's, which no mapping of ours overlaps.
            unsafe {
                ptr::copy_nonoverlapping(part.as_ptr(), self.base.as_ptr().add(at), part.len());
            }
            at += part.len();
        }
        // SAFETY: the mapping starts at a page and `start` is a multiple of 8, so the word is
        // aligned; it is inside the mapping; other processes read it through the page cache only.
        let published = unsafe { AtomicU64::from_ptr(head.cast()) };
        published.store(u64::from_le_bytes(*word).to_le(), Ordering::Release);
        !SLOTS[self.slot].poisoned.load(Ordering::Acquire)
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        SLOTS[self.slot].len.store(0, Ordering::Release);
        // SAFETY: base and len are those of the mapping that `map` made, unmapped here alone.
        unsafe {
            libc::munmap(self.base.as_ptr().cast(), self.len);
        }
        SLOTS[self.slot].base.store(0, Ordering::Release);
    }
}

/// Bytes of a page of this machine's memory.
pub fn page_len() -> usize {
    // SAFETY: sysconf has no preconditions.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// Lets SIGBUS through to this thread, once: a fault while the signal is held back would be the
/// death of the process, whatever handler it has.
fn let_sigbus_through() {
    thread_local! {
        static DONE: Cell<bool> = const { Cell::new(false) };
    }
    if DONE.replace(true) {
        return;
    }
    // SAFETY: sigset_t is a C structure of integers; all zero is a value of it.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set outlives both calls, and the second reads it alone.
    unsafe {
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGBUS);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, ptr::null_mut());
    }
}

fn install_guard() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: sigaction is a C structure of integers and pointers; all zero is a value of it.
        let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let mut ours: libc::sigaction = unsafe { std::mem::zeroed() };
        ours.sa_sigaction = on_sigbus as *const () as libc::sighandler_t;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: both structures outlive the call; the handler only calls what signal-safety(7)
        // allows, and mmap, which is a plain system call.
        if unsafe { libc::sigaction(libc::SIGBUS, &raw const ours, &raw mut before) } == 0 {
            // Kept for the life of the process: the handler may need it at any time.
            BEFORE.store(Box::into_raw(Box::new(before)), Ordering::Release);
        }
    });
}

/// Puts a page of zeros under the access that failed, so that it can go on, and marks the window.
/// A fault that is not on a window gets what it would have got.
extern "C" fn on_sigbus(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    _context: *mut libc::c_void,
) {
    // SAFETY: the kernel hands a valid siginfo to a handler installed with SA_SIGINFO, and for
    // SIGBUS it has an address.
    let address = unsafe { (*info).si_addr() } as usize;
    for slot in &SLOTS {
        let (base, len) = (slot.base.load(Ordering::Acquire), slot.len.load(Ordering::Acquire));
        if base <= 1 || !(base..base + len).contains(&address) {
            continue;
        }
        slot.poisoned.store(true, Ordering::Release);
        // All of it: what follows must not fault again.
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_FIXED;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the range is a window's, whose owner is stopped in the faulting access; what it
        // writes from here on is given up with the window.
        let new = unsafe { libc::mmap(base as *mut libc::c_void, len, protection, flags, -1, 0) };
        if new != libc::MAP_FAILED {
            return;
        }
    }
    let before = BEFORE.load(Ordering::Acquire);
    if !before.is_null() {
        // SAFETY: the pointer is to a structure that is never freed. The access is made again
        // when the handler returns, and meets what was there before.
        unsafe {
            libc::sigaction(signal, before, ptr::null_mut());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::IoSlice;
    use std::os::unix::fs::FileExt;

    fn file(name: &str, len: u64) -> (File, std::path::PathBuf) {
        let path = std::env::temp_dir().join(format!("il-window-{name}-{}", std::process::id()));
        let mut options = std::fs::OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        file.set_len(len).unwrap();
        (file, path)
    }

    #[test]
    fn what_a_window_publishes_is_in_the_file() {
        let (file, path) = file("publish", 8 * 65536);
        let window = Window::map(&file, 65536, 65536).unwrap();
        window.touch();
        let parts = [&b"0123456789abcdef"[..], b"", b"rest"].map(IoSlice::new);
        assert!(window.publish(65536 + 64, &parts));
        let mut read = [0; 20];
        file.read_exact_at(&mut read, 65536 + 64).unwrap();
        assert_eq!(&read, b"0123456789abcdefrest");
        // At the end and one past it; unaligned; before the start.
        assert!(window.publish(2 * 65536 - 24, &parts));
        assert!(!window.publish(2 * 65536 - 16, &parts));
        assert!(!window.publish(65536 + 4, &parts));
        assert!(!window.publish(64, &parts));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_file_that_shrinks_under_a_window_is_an_answer_and_not_a_signal() {
        let (file, path) = file("bus", 65536);
        let window = Window::map(&file, 0, 65536).unwrap();
        file.set_len(0).unwrap();
        assert!(!window.publish(32768, &[IoSlice::new(b"0123456789abcdef")]));
        assert!(!window.publish(0, &[IoSlice::new(b"0123456789abcdef")]), "it stays given up");
        drop(window);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_thread_that_holds_signals_back_is_no_exception() {
        let (file, path) = file("mask", 65536);
        std::thread::spawn(move || {
            // SAFETY: sigset_t is a C structure of integers; all zero is a value of it.
            let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
            // SAFETY: the set outlives both calls.
            unsafe {
                libc::sigfillset(&raw mut set);
                libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut());
            }
            let window = Window::map(&file, 0, 65536).unwrap();
            file.set_len(0).unwrap();
            window.touch();
            assert!(!window.publish(0, &[IoSlice::new(b"0123456789abcdef")]));
        })
        .join()
        .unwrap();
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn there_is_an_end_to_windows_and_they_come_back() {
        let (file, path) = file("many", 65536);
        let windows: Vec<Window> =
            std::iter::from_fn(|| Window::map(&file, 0, 65536).ok()).take(99).collect();
        assert!((1..=WINDOWS_MAX).contains(&windows.len()));
        drop(windows);
        assert!(Window::map(&file, 0, 65536).is_ok());
        std::fs::remove_file(path).unwrap();
    }
}
