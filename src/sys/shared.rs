//! A page that two processes share: what the monitor needs to mend the terminal when the recorder
//! was killed.

use std::cell::UnsafeCell;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::tty::Termios;

/// The terminal's state as the recorder last left it. Shared with every process forked after it
/// was made; written by one of them.
pub struct SharedTerminal(NonNull<Page>);

#[repr(C)]
struct Page {
    modes: AtomicU64,
    raw: AtomicU32,
    saved: UnsafeCell<[Termios; 2]>,
}

impl std::fmt::Debug for SharedTerminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedTerminal")
    }
}

impl SharedTerminal {
    /// A fresh one: not raw, no modes on.
    ///
    /// # Errors
    /// What mmap(2) says.
    pub fn new() -> io::Result<SharedTerminal> {
        // SAFETY: a new anonymous mapping overlaps nothing of ours.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                std::mem::size_of::<Page>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANON,
                -1,
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // The mapping is zeroed, which is a valid Page (termios is plain data), and aligned to
        // more than a Page needs.
        NonNull::new(page.cast()).map(SharedTerminal).ok_or_else(|| io::ErrorKind::Other.into())
    }

    fn page(&self) -> &Page {
        // SAFETY: the mapping is valid for the life of self and never moves; its fields are
        // atomics or behind UnsafeCell.
        unsafe { self.0.as_ref() }
    }

    /// The terminal is about to be made raw: `saved` are the modes to give it back, `raw` those
    /// it is to have meanwhile.
    pub fn set_raw(&self, saved: &Termios, raw: &Termios) {
        self.page().raw.store(0, Ordering::SeqCst);
        // SAFETY: this process is the only writer, and readers look only while `raw` is set.
        unsafe { self.page().saved.get().write_volatile([*saved, *raw]) };
        self.page().raw.store(1, Ordering::SeqCst);
    }

    /// The terminal has its own modes again.
    pub fn clear_raw(&self) {
        self.page().raw.store(0, Ordering::SeqCst);
    }

    /// The modes to give the terminal back, and those it has meanwhile, if it is raw. To be asked
    /// when the writer is gone, or by the writer.
    pub fn raw(&self) -> Option<(Termios, Termios)> {
        if self.page().raw.load(Ordering::SeqCst) == 0 {
            return None;
        }
        // SAFETY: the writer is gone or is the caller, so nobody writes.
        let [saved, raw] = unsafe { self.page().saved.get().read_volatile() };
        Some((saved, raw))
    }

    /// Notes the modes that the command has on, in a form of the caller's.
    pub fn set_modes(&self, bits: u64) {
        self.page().modes.store(bits, Ordering::Relaxed);
    }

    /// The modes noted last.
    pub fn modes(&self) -> u64 {
        self.page().modes.load(Ordering::Relaxed)
    }
}

impl Drop for SharedTerminal {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by new with this size, and no reference outlives self.
        unsafe { libc::munmap(self.0.as_ptr().cast(), std::mem::size_of::<Page>()) };
    }
}
