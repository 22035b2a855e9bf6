//! The keeper: a thread beside the capture loop that waits for the disk, so that the loop never
//! does. It touches no data: it syncs, and takes leases ahead of need.

use super::chain;
use super::cursor::Cursor;
use super::layout::{Kind, Lease, PAGE};
use super::storage::Storage;
use std::cell::Cell;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The time between two syncs of a session that is being written.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// Bytes of a window.
const WINDOW_LEN: u64 = 1024 * 1024;
/// Bytes of a session's first window: most sessions need no more.
const FIRST_WINDOW_LEN: u64 = 64 * 1024;
/// Stack of the thread, which calls nothing deep.
const STACK_LEN: usize = 64 * 1024;

/// The loop's end of the keeper. Without a thread (tests, imports) it syncs when asked.
#[derive(Debug)]
pub struct Keeper {
    shared: Option<Arc<Shared>>,
    /// Where the last window that was asked for ends in the file.
    window_end: Cell<u64>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Something was written since the last sync began.
    dirty: AtomicBool,
    sync_errno: AtomicI32,
    sync_failures: AtomicU32,
    desk: Mutex<Desk>,
    bell: Condvar,
    /// Held around the allocation lock: both threads use one open file description.
    allocation: Mutex<()>,
}

/// What the two threads tell each other.
#[derive(Debug, Default)]
struct Desk {
    /// The loop has gone.
    closing: bool,
    /// Nothing is to be done any more, not even a last sync.
    dismissed: bool,
    /// The last sync came back, and how.
    closed: Option<bool>,
    /// Pages wanted ahead of need.
    wish: Option<u32>,
    /// A stretch of the file to get ready for small writes.
    window: Option<Range<u64>>,
    /// A lease taken ahead of need.
    next: Option<Lease>,
}

impl Keeper {
    /// Without a thread.
    pub fn none() -> Keeper {
        Keeper { shared: None, window_end: Cell::new(0) }
    }

    /// Starts the thread. Without one (a process limit) the session is as safe from a kill, and
    /// durable at its end.
    pub fn start(storage: &Arc<dyn Storage>) -> Keeper {
        let shared = Arc::new(Shared::default());
        let (theirs, storage) = (Arc::clone(&shared), Arc::clone(storage));
        let builder = std::thread::Builder::new().name("il-keeper".into()).stack_size(STACK_LEN);
        match builder.spawn(move || theirs.keep(&storage)) {
            Ok(_) => Keeper { shared: Some(shared), window_end: Cell::new(0) },
            Err(_) => Keeper::none(),
        }
    }

    /// Tells the keeper that something was written, and asks for the next lease and, where the
    /// writes are `small`, for the next window in good time.
    pub fn wrote(&self, cursor: &Cursor, small: bool) {
        let Some(shared) = &self.shared else { return };
        let first = !shared.dirty.swap(true, Ordering::AcqRel);
        let lease = cursor.lease();
        let half = cursor.kind() == Kind::Tape
            && cursor.pages_left() <= u64::from(lease.pages / 2)
            && lease.pages > 1;
        if small && cursor.kind() == Kind::Tape {
            self.ask_for_window(shared, cursor);
        }
        if half {
            let mut desk = shared.desk();
            if desk.wish.is_none() && desk.next.is_none() {
                desk.wish = Some(cursor.wish());
                shared.bell.notify_one();
                return;
            }
        }
        if first {
            // Under the lock, or the keeper could fall asleep between its look and this bell.
            let _desk = shared.desk();
            shared.bell.notify_one();
        }
    }

    fn ask_for_window(&self, shared: &Shared, cursor: &Cursor) {
        let (tail, end) = (cursor.tail(), self.window_end.get());
        if end == 0 && !cursor.has_grown() {
            return;
        }
        let lease_end = cursor.lease().end() * PAGE;
        let start = tail.max(end);
        // One window ahead of the tail at most, and none across leases.
        let far = end > tail && end - tail > WINDOW_LEN / 2;
        if far || (start >= lease_end && end <= lease_end && tail < end) {
            return;
        }
        let (start, len) = match start >= lease_end {
            true => (tail, WINDOW_LEN),
            false if end == 0 => (start, FIRST_WINDOW_LEN),
            false => (start, WINDOW_LEN),
        };
        let range = start / PAGE * PAGE..(start / PAGE * PAGE + len).min(lease_end);
        if range.is_empty() {
            return;
        }
        self.window_end.set(range.end);
        shared.desk().window = Some(range);
        shared.bell.notify_one();
    }

    /// The next lease of a chain whose last one is `after`: the one taken ahead of need, or a new
    /// one. A chain only grows upwards: a lease that was taken ahead, but came too late, is left
    /// unused.
    pub fn take_lease(
        &self,
        s: &dyn Storage,
        kind: Kind,
        after: Lease,
        pages: u32,
        tries_max: u32,
    ) -> io::Result<Lease> {
        let Some(shared) = &self.shared else { return chain::take_lease(s, pages, tries_max) };
        if kind == Kind::Tape
            && let Some(lease) = shared.desk().next.take()
            && lease.start > after.start
        {
            return Ok(lease);
        }
        let _ours = shared.allocation.lock().unwrap_or_else(PoisonError::into_inner);
        chain::take_lease(s, pages, tries_max)
    }

    /// Keeps the thread from taking leases for as long as the guard lives.
    pub fn rest(&self) -> Option<MutexGuard<'_, ()>> {
        let shared = self.shared.as_ref()?;
        Some(shared.allocation.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The error of a sync that failed since the last call.
    pub fn take_sync_error(&self) -> Option<io::Error> {
        let shared = self.shared.as_ref()?;
        if shared.sync_errno.load(Ordering::Relaxed) == 0 {
            return None;
        }
        Some(io::Error::from_raw_os_error(shared.sync_errno.swap(0, Ordering::AcqRel)))
    }

    /// Syncs that failed one after the other.
    pub fn sync_failures(&self) -> u32 {
        self.shared.as_ref().map_or(0, |shared| shared.sync_failures.load(Ordering::Relaxed))
    }

    /// Ends the thread without a last sync, and without waiting for it.
    pub fn dismiss(&mut self) {
        if let Some(shared) = self.shared.take() {
            shared.desk().dismissed = true;
            shared.bell.notify_one();
        }
    }

    /// Has everything synced and the thread ended; whether that came about within `wait`.
    pub fn finish(&mut self, storage: &Arc<dyn Storage>, wait: Duration) -> bool {
        let Some(shared) = self.shared.take() else { return storage.sync().is_ok() };
        let mut desk = shared.desk();
        desk.closing = true;
        shared.bell.notify_one();
        let until = Instant::now() + wait;
        loop {
            if let Some(durable) = desk.closed {
                return durable;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = shared.bell.wait_timeout(desk, left);
            desk = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.desk().closing = true;
            shared.bell.notify_one();
        }
    }
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, storage: &Arc<dyn Storage>) {
        let mut synced = Instant::now();
        loop {
            let (closing, wish, window) = self.wait(synced + SYNC_EVERY);
            if self.desk().dismissed {
                return;
            }
            if let Some(pages) = wish {
                self.take_ahead(&**storage, pages);
            }
            if let Some(range) = window {
                // Without one small writes are plain ones.
                let _ = storage.prepare(range);
            }
            let due = synced + SYNC_EVERY <= Instant::now();
            if closing || (due && self.dirty.load(Ordering::Acquire)) {
                // Cleared first: what is written during the sync makes it dirty again.
                self.dirty.store(false, Ordering::Release);
                let durable = self.sync(&**storage);
                synced = Instant::now();
                if closing {
                    self.desk().closed = Some(durable);
                    self.bell.notify_all();
                    return;
                }
            }
        }
    }

    /// Sleeps until there is something to do: for ever while nothing is dirty.
    fn wait(&self, due: Instant) -> (bool, Option<u32>, Option<Range<u64>>) {
        let mut desk = self.desk();
        loop {
            let (wish, window) = (desk.wish.take(), desk.window.take());
            if desk.closing || desk.dismissed || wish.is_some() || window.is_some() {
                return (desk.closing, wish, window);
            }
            let left = due.saturating_duration_since(Instant::now());
            let dirty = self.dirty.load(Ordering::Acquire);
            if dirty && left.is_zero() {
                return (false, None, None);
            }
            desk = if dirty {
                self.bell.wait_timeout(desk, left).unwrap_or_else(PoisonError::into_inner).0
            } else {
                self.bell.wait(desk).unwrap_or_else(PoisonError::into_inner)
            };
        }
    }

    fn take_ahead(&self, s: &dyn Storage, pages: u32) {
        let lease = {
            let _ours = self.allocation.lock().unwrap_or_else(PoisonError::into_inner);
            chain::take_lease(s, pages, 1)
        };
        if let Ok(lease) = lease {
            self.desk().next = Some(lease);
        }
    }

    fn sync(&self, s: &dyn Storage) -> bool {
        match s.sync() {
            Ok(()) => {
                self.sync_failures.store(0, Ordering::Relaxed);
                true
            }
            Err(e) => {
                self.sync_failures.fetch_add(1, Ordering::Relaxed);
                self.sync_errno.store(e.raw_os_error().unwrap_or(libc::EIO), Ordering::Release);
                false
            }
        }
    }
}
