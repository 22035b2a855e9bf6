//! Reading a chain out of a pack: blocks are found, opened, and gone through frame by frame.

use super::super::cursor::primary_len;
use super::super::layout::{
    BLOCK, BLOCK_HEADER_LEN, BlockHeader, CONT, ECHO, FRAME_LEN, FrameAt, FrameHeader, HEADER_LEN,
    MORE, NOTICE, PAGE, PAGE_LEN, PageHeader, seed,
};
use super::super::pack::{BLOCK_PAYLOAD_MAX, Block, carrier};
use super::super::storage::{Storage, read_zero_filled};
use super::super::stream::{Chain, StreamId};
use super::{Reader, Step, Why, read_notice};
use std::sync::Arc;

/// The state of reading a chain out of a pack.
#[derive(Clone, Debug, Default)]
pub(super) struct Unpack {
    /// The record being put together, if its beginning was seen.
    pub(super) record: Option<Vec<u8>>,
    pub(super) block: Block,
    /// Seq of the next frame, and bytes of the primary stream before it.
    pub(super) seq: u16,
    pub(super) pos: u64,
    /// The last block of the chain was seen.
    pub(super) complete: bool,
    /// Blocks that are passed over without opening them.
    pub(super) skip_blocks: u64,
    /// The tape was pruned: a gap in the pack is no damage.
    pub(super) tape_gone: bool,
    /// Bytes of the primary stream in all, where that is known.
    pub(super) total: u64,
    /// Records that repeat others are returned.
    pub(super) echo: bool,
    /// The part of the pack that belongs to the other chain was passed over.
    pub(super) jumped: bool,
}

/// Most bytes of a block's record; more is damage.
const RECORD_LEN_MAX: usize = 2 * (BLOCK_PAYLOAD_MAX + 32 * 1024);

impl Reader {
    /// The next item out of a pack.
    pub(super) fn unpack_step(&mut self) -> Step {
        loop {
            if let Some(step) = self.inner_step() {
                return step;
            }
            if self.chain == Chain::Tape && self.off == 0 {
                self.jump(Part::Notes);
            }
            let step = self.step();
            let chain = self.chain;
            let Some(unpack) = &mut self.unpack else { return step };
            match step {
                Step::Frame(frame, _)
                    if frame.flags & BLOCK != 0 && chain == Chain::Notes && unpack.complete =>
                {
                    self.jump(Part::Tape);
                }
                Step::Frame(frame, at) if frame.flags & BLOCK != 0 => {
                    let bytes = &self.pages.page()[at..at + usize::from(frame.len)];
                    if frame.flags & CONT == 0 {
                        unpack.record = Some(Vec::new());
                    }
                    let Some(record) = &mut unpack.record else { continue };
                    record.extend_from_slice(bytes);
                    if record.len() > RECORD_LEN_MAX {
                        unpack.record = None;
                    } else if frame.flags & MORE == 0
                        && let Some(record) = unpack.record.take()
                        && frame.stream == carrier(chain)
                        && let Some(step) = unpack.enter(&record)
                    {
                        return step;
                    }
                }
                // Notes that were added behind the pack.
                Step::Frame(frame, _)
                    if chain == Chain::Notes
                        && frame.stream.chain() == chain
                        && frame.stream != StreamId::IDENTITY
                        && (frame.flags & ECHO == 0 || unpack.echo) =>
                {
                    // The tape stood before it.
                    unpack.tape_gone = false;
                    return step;
                }
                Step::Frame(..) => {}
                // Where the tape was given back frames are missing, as they should.
                Step::Gap(..) if std::mem::take(&mut unpack.tape_gone) => unpack.record = None,
                Step::Gap(..) if unpack.complete && chain == Chain::Notes => return step,
                // Whose frames are missing, the next block tells.
                Step::Gap(_, Why::Damaged | Why::Dropped | Why::Lost) => unpack.record = None,
                Step::End if !unpack.complete => {
                    unpack.complete = true;
                    return Step::Gap(unpack.total.saturating_sub(unpack.pos), Why::Damaged);
                }
                other => return other,
            }
        }
    }

    /// The next frame of the open block, if there is one.
    fn inner_step(&mut self) -> Option<Step> {
        let kind = self.chain.into();
        let unpack = self.unpack.as_mut()?;
        let inner = unpack.block.next()?;
        unpack.seq = unpack.seq.wrapping_add(1);
        let len = primary_len(kind, inner.stream, inner.range.len());
        unpack.pos = unpack.pos.saturating_add(len);
        if inner.flags & NOTICE != 0 {
            let (bytes, why) = read_notice(&unpack.block.data[inner.range]);
            return Some(Step::Gap(bytes, why));
        }
        Some(Step::Inner(inner))
    }

    /// Passes over the pages of a pack that hold nothing but parts up to `part`: once a reading.
    fn jump(&mut self, part: Part) {
        let Some(unpack) = &mut self.unpack else { return };
        // Without a catalog the pages were found one by one, and are met one by one.
        if self.sup.is_none() || std::mem::replace(&mut unpack.jumped, true) {
            return;
        }
        unpack.record = None;
        let (storage, mut page) = (Arc::clone(&self.storage), vec![0; PAGE_LEN]);
        let from = self.hop.at;
        let found = self.last_page(|header| {
            from.is_some_and(|from| header.seq <= from.seq)
                || first_part(&*storage, header, &mut page).is_some_and(|first| first <= part)
        });
        if let Some(header) = found.filter(|found| from.is_none_or(|from| found.seq > from.seq)) {
            self.broken = false;
            self.next = None;
            self.enter(header, true);
        }
    }

    /// As `seek`, in a pack: to a block of which `is_before` is true, the last that a page begins
    /// with. Blocks are read but not opened.
    pub(super) fn seek_block(&mut self, is_before: impl Fn(u64, u64) -> bool) {
        if self.chain == Chain::Tape && self.sup.is_some() {
            return self.seek_page(is_before);
        }
        let (mut blocks, mut best) = (0u64, 0u64);
        self.rewind();
        loop {
            match self.step() {
                Step::Frame(frame, at)
                    if frame.flags & (BLOCK | CONT) == BLOCK
                        && frame.stream == carrier(self.chain) =>
                {
                    let header =
                        BlockHeader::decode(&self.pages.page()[at..at + usize::from(frame.len)]);
                    if header.is_some_and(|header| is_before(header.t_us, header.pos)) {
                        best = blocks;
                    }
                    blocks += 1;
                }
                Step::End | Step::Tail | Step::Switch => break,
                _ => {}
            }
        }
        self.ended = false;
        self.rewind();
        if let Some(Unpack { tape_gone, total, .. }) = self.unpack {
            let anew = Unpack { tape_gone, total, skip_blocks: best, ..Unpack::default() };
            self.unpack = Some(anew);
        }
    }

    /// As `seek_block`, in the part of a pack that holds the tape, by halves.
    fn seek_page(&mut self, is_before: impl Fn(u64, u64) -> bool) {
        let (storage, mut page) = (Arc::clone(&self.storage), vec![0; PAGE_LEN]);
        let found = self.last_page(|header| match first_block(&*storage, header, &mut page) {
            First::Earlier => true,
            First::Block(block) => is_before(block.t_us, block.pos),
            First::Later => false,
        });
        self.rewind();
        let Some(Unpack { tape_gone, total, .. }) = self.unpack else { return };
        let anew = Unpack { tape_gone, total, ..Unpack::default() };
        self.unpack = Some(anew);
        let Some(header) = found else { return };
        if let First::Block(block) = first_block(&*storage, &header, &mut page)
            && let Some(unpack) = &mut self.unpack
        {
            (unpack.seq, unpack.pos) = (block.seq, block.pos);
            self.enter(header, true);
        }
    }
}

/// The parts of a pack, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Notes,
    Tape,
    Added,
}

/// The part that a page of a pack begins with; None when that cannot be told.
fn first_part(s: &dyn Storage, header: &PageHeader, page: &mut [u8]) -> Option<Part> {
    read_zero_filled(s, header.page * PAGE, page).ok()?;
    let rest = page.get(HEADER_LEN..header.lease.data_end(header.page))?;
    let seed = seed(header.chain.salt, header.page);
    let FrameAt::Frame(frame) = FrameHeader::decode(rest, seed, true) else { return None };
    Some(match frame.flags & BLOCK != 0 {
        true if frame.stream == carrier(Chain::Tape) => Part::Tape,
        true => Part::Notes,
        false if header.seq == 0 || frame.flags & ECHO != 0 => Part::Notes,
        false => Part::Added,
    })
}

/// What of a pack's tape begins first on a page, or behind it in its lease.
enum First {
    /// Nothing of it has come yet.
    Earlier,
    Block(BlockHeader),
    /// It is over.
    Later,
}

fn first_block(s: &dyn Storage, header: &PageHeader, page: &mut [u8]) -> First {
    let mut at = header.page;
    while at < header.lease.end() && read_zero_filled(s, at * PAGE, page).is_ok() {
        let rest = page.get(HEADER_LEN..header.lease.data_end(at)).unwrap_or(&[]);
        let (seed, mut off) = (seed(header.chain.salt, at), 0);
        let mut other = None;
        while let FrameAt::Frame(frame) =
            FrameHeader::decode(rest.get(off..).unwrap_or(&[]), seed, true)
        {
            let bytes = &rest[off + FRAME_LEN..][..usize::from(frame.len)];
            let is_block = frame.flags & BLOCK != 0;
            if is_block && frame.stream == carrier(Chain::Tape) {
                let begins = frame.flags & CONT == 0;
                if let Some(block) = BlockHeader::decode(bytes).filter(|_| begins) {
                    return First::Block(block);
                }
            } else {
                let first = header.page == at && header.seq == 0;
                let is_earlier = is_block || first || frame.flags & ECHO != 0;
                other = Some(if is_earlier { First::Earlier } else { First::Later });
            }
            off += frame.stride();
        }
        if let Some(other) = other {
            return other;
        }
        at += 1;
    }
    First::Later
}

impl Unpack {
    /// Opens the block in `record`; a gap when frames before it are missing, or it is no block.
    fn enter(&mut self, record: &[u8]) -> Option<Step> {
        let header = BlockHeader::decode(record)?;
        self.complete |= header.last;
        let skipped = self.skip_blocks > 0;
        self.skip_blocks = self.skip_blocks.saturating_sub(1);
        let missing = header.seq != self.seq;
        let bytes = header.pos.saturating_sub(self.pos);
        (self.seq, self.pos) = (header.seq, header.pos);
        if skipped {
            self.seq = header.seq.wrapping_add(header.count as u16);
            return None;
        }
        let opened = record.get(BLOCK_HEADER_LEN..).and_then(|data| Block::open(&header, data));
        let unopened = opened.is_none();
        self.block = opened.unwrap_or_default();
        (missing || unopened).then_some(Step::Gap(bytes, Why::Damaged))
    }
}
