//! The write-ahead log: which pages it holds, as of its last whole transaction.

use super::be32;
use std::collections::HashMap;

const HEAD_LEN: usize = 32;
const FRAME_HEAD_LEN: usize = 24;

/// A log and the last committed place of each page in it.
#[derive(Debug, Default)]
pub(super) struct Wal<'a> {
    bytes: &'a [u8],
    pages: HashMap<u32, usize>,
}

impl<'a> Wal<'a> {
    /// Reads as far as salts and checksums hold. What comes after is of an older round of the log,
    /// or was being written; what has no commit after it did not happen.
    pub(super) fn read(bytes: &'a [u8], page_size: usize) -> Wal<'a> {
        let mut wal = Wal { bytes, pages: HashMap::new() };
        let Some(head) = bytes.get(..HEAD_LEN) else { return wal };
        let big_endian = match be32(head, 0) {
            0x377f_0683 => true,
            0x377f_0682 => false,
            _ => return wal,
        };
        if be32(head, 8) as usize != page_size {
            return wal;
        }
        let mut sum = checksum((0, 0), &head[..24], big_endian);
        if sum != (be32(head, 24), be32(head, 28)) {
            return wal;
        }
        let mut pending: Vec<(u32, usize)> = Vec::new();
        let mut at = HEAD_LEN;
        while let Some(frame) = bytes.get(at..at + FRAME_HEAD_LEN + page_size) {
            sum = checksum(sum, &frame[..8], big_endian);
            sum = checksum(sum, &frame[FRAME_HEAD_LEN..], big_endian);
            if frame[8..16] != head[16..24] || sum != (be32(frame, 16), be32(frame, 20)) {
                break;
            }
            pending.push((be32(frame, 0), at + FRAME_HEAD_LEN));
            if be32(frame, 4) != 0 {
                wal.pages.extend(pending.drain(..));
            }
            at += frame.len();
        }
        wal
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where the last committed copy of a page begins.
    pub(super) fn page(&self, number: u32) -> Option<usize> {
        self.pages.get(&number).copied()
    }
}

/// "Checksum Algorithm" of the file format: pairs of 32-bit words, Fibonacci-weighted.
fn checksum(mut sum: (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    for pair in bytes.as_chunks::<8>().0 {
        let word = |at: usize| {
            let word = [pair[at], pair[at + 1], pair[at + 2], pair[at + 3]];
            if big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
        };
        sum.0 = sum.0.wrapping_add(word(0)).wrapping_add(sum.1);
        sum.1 = sum.1.wrapping_add(word(4)).wrapping_add(sum.0);
    }
    sum
}
