//! The bytes on their way from one end of the relay to another.

/// Most bytes a queue holds; a full one stops its source from being read.
pub const QUEUE_MAX: usize = 64 * 1024;

/// A bounded queue over one fixed buffer: filled at the back by one read, emptied at the front by
/// writes that may be short.
#[derive(Debug)]
pub struct Queue {
    buf: Box<[u8]>,
    head: usize,
    tail: usize,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue { buf: vec![0; QUEUE_MAX].into_boxed_slice(), head: 0, tail: 0 }
    }
}

impl Queue {
    /// What waits to be written.
    pub fn pending(&self) -> &[u8] {
        &self.buf[self.head..self.tail]
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.head == self.tail
    }

    /// Room at the back, for a read. Empty when the queue is full; what waits is moved to the
    /// front when that makes room that is missing.
    pub fn room(&mut self) -> &mut [u8] {
        if self.is_empty() {
            (self.head, self.tail) = (0, 0);
        } else if self.tail == QUEUE_MAX && self.head > 0 {
            self.buf.copy_within(self.head..self.tail, 0);
            (self.head, self.tail) = (0, self.tail - self.head);
        }
        &mut self.buf[self.tail..]
    }

    /// Whether a read could put anything in.
    pub fn has_room(&self) -> bool {
        self.tail - self.head < QUEUE_MAX
    }

    /// `len` bytes of the room were filled. Returns them.
    ///
    /// # Panics
    /// When there was less room.
    pub fn filled(&mut self, len: usize) -> &mut [u8] {
        let start = self.tail;
        self.tail += len;
        &mut self.buf[start..self.tail]
    }

    /// Takes back the last `len` bytes filled.
    pub fn unfill(&mut self, len: usize) {
        self.tail = self.tail.saturating_sub(len).max(self.head);
    }

    /// `len` bytes were written.
    pub fn written(&mut self, len: usize) {
        self.head = (self.head + len).min(self.tail);
    }

    /// Forgets what waits and returns how much it was.
    pub fn clear(&mut self) -> usize {
        let len = self.tail - self.head;
        (self.head, self.tail) = (0, 0);
        len
    }
}

/// Undoes, in place, the carriage return that the pts put before each line feed. Where our own
/// terminal still processes output (the command has not asked for it, so it is not raw), it puts
/// that carriage return there itself.
///
/// Returns the length that is left, and whether a carriage return at the very end was left out:
/// the line feed it may belong to may be in the next read.
pub fn undo_onlcr(bytes: &mut [u8]) -> (usize, bool) {
    let mut out = 0;
    let mut carriage = false;
    for at in 0..bytes.len() {
        let byte = bytes[at];
        if carriage && byte == b'\n' {
            out -= 1;
        }
        carriage = byte == b'\r';
        bytes[out] = byte;
        out += 1;
    }
    (out - usize::from(carriage), carriage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_keeps_order_and_its_limit_through_short_writes() {
        let mut queue = Queue::default();
        let mut next_in = 0u8;
        let mut next_out = 0u8;
        for step in 1..2000usize {
            let len = queue.room().len().min(step * 7 % 5000);
            for byte in queue.filled(len) {
                *byte = next_in;
                next_in = next_in.wrapping_add(1);
            }
            assert!(queue.pending().len() <= QUEUE_MAX);
            assert_eq!(queue.has_room(), queue.pending().len() < QUEUE_MAX);
            let len = queue.pending().len().min(step * 13 % 4000);
            for byte in &queue.pending()[..len] {
                assert_eq!(*byte, next_out);
                next_out = next_out.wrapping_add(1);
            }
            queue.written(len);
        }
        let full = queue.room().len();
        queue.filled(full);
        assert_eq!(queue.pending().len(), QUEUE_MAX);
        assert!(!queue.has_room() && queue.room().is_empty());
        assert_eq!(queue.clear(), QUEUE_MAX);
        assert!(queue.is_empty());
    }

    #[test]
    fn onlcr_is_undone_exactly() {
        fn check(input: &str, output: &str, held_after: bool) {
            let mut bytes = input.as_bytes().to_vec();
            let (len, held) = undo_onlcr(&mut bytes);
            assert_eq!((&bytes[..len], held), (output.as_bytes(), held_after), "{input:?}");
        }
        check("", "", false);
        check("a\r\nb", "a\nb", false);
        check("a\r\r\nb", "a\r\nb", false);
        check("\r\n\r\n", "\n\n", false);
        check("50%\r", "50%", true);
        check("\rx", "\rx", false);
        check("\n", "\n", false);
    }
}
