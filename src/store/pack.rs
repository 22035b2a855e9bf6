//! Packs: both chains of a session that has ended, compressed into one. Frame headers are squeezed
//! with the bytes they head; a pack is itself a chain of pages, and each block a record of it.

use super::copy::Change;
use super::cursor::{Cursor, TakeLease, primary_len};
use super::deflate::{Effort, PLAIN, WIDE, deflate, inflate};
use super::layout::{
    BLOCK, BlockHeader, CODEC_DEFLATE, CODEC_STORED, CODEC_WIDE, CONT, ECHO, Kind, MORE, NOTICE,
    TIME_MAX,
};
use super::reader::{Item, Reader, Why, write_notice};
use super::storage::Storage;
use super::stream::{Chain, StreamId};
use std::io;
use std::ops::Range;

/// Payload bytes after which a block is closed: what a damaged page may cost.
pub const BLOCK_PAYLOAD_MAX: usize = 128 * 1024;
/// Bytes of squeezed headers after which a block is closed.
const BLOCK_HEADS_MAX: usize = 64 * 1024;
/// More than this in either half of a block is no block of ours: a frame more than the limits.
const HALF_LEN_MAX: usize = BLOCK_PAYLOAD_MAX + 16 * 1024;

/// Payload bytes of a session that are compressed as well as can be; with more of them time counts.
const THOROUGH_MAX: u64 = 4 << 20;

/// The stream of the pack's chain that carries blocks of `chain`.
pub fn carrier(chain: Chain) -> StreamId {
    match chain {
        Chain::Tape => StreamId::STDOUT,
        Chain::Notes => StreamId::META,
    }
}

/// A last META record that is longer is not repeated at the head of the pack.
pub const ECHO_LEN_MAX: usize = 64 * 1024;
/// Nor is that of notes with less payload than this: they are as soon read whole.
const ECHO_NOTES_MIN: usize = 16 * 1024;

/// Writes a pack: all of the notes, then all of the tape.
#[derive(Debug)]
pub struct Packer {
    cursor: Cursor,
    heads: Vec<u8>,
    payload: Vec<u8>,
    /// The block being filled.
    block: BlockHeader,
    /// Time of the last frame.
    last_us: u64,
    /// Something could not be read.
    pub is_damaged: bool,
    /// Payload bytes of both chains.
    pub bytes: u64,
    /// Payload bytes that are known to be missing.
    pub missing: u64,
    /// Bytes of stdout.
    pub out_bytes: u64,
    /// Time of the latest frame of all.
    pub latest_us: u64,
    /// Frames of each chain, tape first, modulo 2^16.
    pub frames: [u16; 2],
}

impl Packer {
    /// Into a chain of kind [`Kind::Pack`] that `cursor` is at the start of.
    pub fn new(cursor: Cursor) -> Packer {
        debug_assert_eq!(cursor.kind(), Kind::Pack);
        Packer {
            cursor,
            heads: Vec::new(),
            payload: Vec::new(),
            block: BlockHeader::default(),
            last_us: 0,
            is_damaged: false,
            bytes: 0,
            missing: 0,
            out_bytes: 0,
            latest_us: 0,
            frames: [0; 2],
        }
    }

    /// The chain written.
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Writes a record into the pack's own chain, uncompressed.
    pub fn plain(
        &mut self,
        s: &dyn Storage,
        stream: StreamId,
        flags: u8,
        bytes: &[u8],
        take: TakeLease<'_>,
    ) -> io::Result<()> {
        self.cursor.append(s, stream, flags, 0, bytes, take).map_err(|(e, _)| e)
    }

    /// Packs all that `from` reads, as `change` leaves it, and says how many bytes of disk it has
    /// gone through.
    pub fn chain(
        &mut self,
        s: &dyn Storage,
        chain: Chain,
        from: &mut Reader,
        take: TakeLease<'_>,
        change: &mut dyn FnMut(StreamId, &[u8]) -> Change,
        done: &mut dyn FnMut(u64),
    ) -> io::Result<()> {
        if chain == Chain::Notes
            && let Some(meta) = last_meta(from.clone())
        {
            let meta = match change(StreamId::META, &meta) {
                Change::To(other) => other,
                Change::None | Change::Left => meta,
            };
            self.plain(s, StreamId::META, ECHO, &meta, take)?;
        }
        self.block = BlockHeader::default();
        self.last_us = 0;
        let mut pos = 0;
        loop {
            done(from.take_loaded());
            match from.next() {
                Item::Frame { stream, t_us, bytes, flags } => {
                    match change(stream, bytes) {
                        Change::None => self.frame(stream, flags, t_us, bytes),
                        Change::To(other) => self.frame(stream, flags, t_us, &other),
                        Change::Left => continue,
                    }
                    self.bytes += bytes.len() as u64;
                    pos += primary_len(chain.into(), stream, bytes.len());
                }
                Item::Gap { why: Why::Pruned, .. } => continue,
                Item::Gap { bytes, why } => {
                    self.is_damaged |= why == Why::Damaged;
                    self.missing = self.missing.saturating_add(bytes);
                    let notice = write_notice(bytes, why);
                    self.frame(StreamId::NOTICE, NOTICE, self.last_us, notice.as_bytes());
                    pos += primary_len(chain.into(), StreamId::NOTICE, notice.len());
                    if chain == Chain::Tape && why != Why::Dropped {
                        // The places that others know stay: the next block says where it begins.
                        pos = pos.saturating_add(bytes);
                        self.close(s, chain, false, take)?;
                        self.block.pos = pos;
                    }
                }
                Item::Tail | Item::End => break,
            }
            if self.payload.len() >= BLOCK_PAYLOAD_MAX || self.heads.len() >= BLOCK_HEADS_MAX {
                self.close(s, chain, false, take)?;
                self.block.pos = pos;
            }
        }
        self.close(s, chain, true, take)?;
        let (index, out) = match chain {
            Chain::Tape => (0, pos),
            Chain::Notes => (1, 0),
        };
        self.out_bytes += out;
        self.frames[index] = self.block.seq;
        Ok(())
    }

    fn frame(&mut self, stream: StreamId, flags: u8, t_us: u64, bytes: &[u8]) {
        if self.block.count == 0 {
            self.block.t_us = t_us;
            self.last_us = t_us;
        }
        let step = t_us.wrapping_sub(self.last_us) as i64;
        self.heads.extend_from_slice(&[stream.0, flags]);
        put_varint(&mut self.heads, bytes.len() as u64);
        put_varint(&mut self.heads, ((step << 1) ^ (step >> 63)) as u64);
        self.payload.extend_from_slice(bytes);
        self.last_us = t_us;
        self.latest_us = self.latest_us.max(t_us);
        self.block.count += 1;
    }

    fn close(
        &mut self,
        s: &dyn Storage,
        chain: Chain,
        last: bool,
        take: TakeLease<'_>,
    ) -> io::Result<()> {
        let plain = [&self.heads[..], &self.payload].concat();
        let effort = if self.bytes <= THOROUGH_MAX { Effort::Thorough } else { Effort::Quick };
        let mut data = deflate(&WIDE, effort, &[&self.heads, &self.payload]);
        self.block.codec = CODEC_WIDE;
        // What it stands for is given back: it must come out again as it went in.
        if data.len() >= plain.len() || inflate(&WIDE, &data, plain.len()).as_ref() != Some(&plain)
        {
            (data, self.block.codec) = (plain, CODEC_STORED);
        }
        self.block.last = last;
        self.block.heads_len = self.heads.len() as u32;
        self.block.payload_len = self.payload.len() as u32;
        let record = [&self.block.encode()[..], &data].concat();
        let t_us = self.block.t_us;
        let appended = self.cursor.append(s, carrier(chain), BLOCK, t_us, &record, take);
        appended.map_err(|(e, _)| e)?;
        self.heads.clear();
        self.payload.clear();
        let seq = self.block.seq.wrapping_add(self.block.count as u16);
        self.block = BlockHeader { seq, ..BlockHeader::default() };
        Ok(())
    }
}

/// The last META record, unless it is very long, or the notes are short.
fn last_meta(mut notes: Reader) -> Option<Vec<u8>> {
    let (mut last, mut open): (Option<Vec<u8>>, Option<Vec<u8>>) = (None, None);
    let mut len = 0;
    loop {
        let item = notes.next();
        if let Item::Frame { bytes, .. } = item {
            len += bytes.len();
        }
        match item {
            Item::Frame { stream: StreamId::META, bytes, flags, .. } => {
                if flags & CONT == 0 {
                    open = Some(Vec::new());
                }
                if let Some(record) = &mut open {
                    record.extend_from_slice(bytes);
                }
                if flags & MORE == 0 {
                    last = open.take();
                } else if open.as_ref().is_some_and(|record| record.len() > ECHO_LEN_MAX) {
                    // Too long; an older one must not be taken for it.
                    (open, last) = (None, None);
                }
            }
            Item::Frame { .. } => {}
            Item::Gap { .. } => open = None,
            Item::Tail | Item::End => {
                return last.filter(|meta| meta.len() <= ECHO_LEN_MAX && len >= ECHO_NOTES_MIN);
            }
        }
    }
}

/// A frame inside a block.
#[derive(Clone, Debug)]
pub struct Inner {
    /// Stream it belongs to.
    pub stream: StreamId,
    /// Its flags.
    pub flags: u8,
    /// Its time.
    pub t_us: u64,
    /// Where its payload stands in [`Block::data`].
    pub range: Range<usize>,
}

/// A block, decompressed, its frames taken one by one.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// Squeezed headers, then payload.
    pub data: Vec<u8>,
    head_at: usize,
    heads_end: usize,
    payload_at: usize,
    left: u32,
    t_us: u64,
}

impl Block {
    /// Decompresses the data behind a block's header; None when it is not what that says.
    pub fn open(header: &BlockHeader, data: &[u8]) -> Option<Block> {
        let (heads, payload) = (header.heads_len as usize, header.payload_len as usize);
        if heads > HALF_LEN_MAX || payload > HALF_LEN_MAX {
            return None;
        }
        let data = match header.codec {
            CODEC_STORED if data.len() == heads + payload => data.to_vec(),
            CODEC_DEFLATE => inflate(&PLAIN, data, heads + payload)?,
            CODEC_WIDE => inflate(&WIDE, data, heads + payload)?,
            _ => return None,
        };
        Some(Block {
            data,
            head_at: 0,
            heads_end: heads,
            payload_at: heads,
            left: header.count,
            t_us: header.t_us,
        })
    }

    /// The next frame. None at the end, and when what follows is no frame.
    pub fn next(&mut self) -> Option<Inner> {
        self.left = self.left.checked_sub(1)?;
        let head = self.data.get(self.head_at..self.heads_end)?;
        let (&[stream, flags], rest) = head.split_first_chunk()?;
        let (len, rest) = take_varint(rest)?;
        let (step, rest) = take_varint(rest)?;
        self.head_at = self.heads_end - rest.len();
        let end = self.payload_at.checked_add(usize::try_from(len).ok()?)?;
        if end > self.data.len() || stream == 0 {
            return None;
        }
        let range = self.payload_at..end;
        self.payload_at = end;
        let step = (step >> 1) as i64 ^ -((step & 1) as i64);
        self.t_us = self.t_us.wrapping_add_signed(step) & TIME_MAX;
        Some(Inner { stream: StreamId(stream), flags, t_us: self.t_us, range })
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (i, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[i + 1..]));
        }
    }
    None
}
