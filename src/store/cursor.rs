//! The writing end of one chain: frames into pages, pages into leases. Only the owner of the
//! session's slot has one.

use super::chain::{self, FootAt, Hop, Reach};
use super::layout::{
    self, CONT, ChainId, FOOT_LEN, FRAME_LEN, FrameAt, FrameHeader, HEADER_LEN, Kind,
    LEASE_PAGES_MAX, Lease, MORE, PAGE, PAGE_LEN, PAYLOAD_MAX, PageHeader, ROOM_MIN, encode_foot,
    seed, stride,
};
use super::storage::{Storage, read_zero_filled};
use super::stream::StreamId;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::Range;

/// Gives a cursor its next lease of about so many pages.
pub type TakeLease<'a> = &'a mut dyn FnMut(u32) -> io::Result<Lease>;

/// Where the next frame of a chain goes. Invariant: the bytes from `off` to the end of `page` were
/// never written, and nobody but this cursor writes into the chain's leases.
#[derive(Debug)]
pub struct Cursor {
    id: ChainId,
    slot: u32,
    lease: Lease,
    page: u64,
    /// Offset in the page; 0 while the page has no header, `PAGE_LEN` when the page is given up.
    off: usize,
    /// Pages of the chain with a header: the seq of the next one.
    pages: u32,
    fseq: u16,
    pos: u64,
    /// Time of the last frame.
    last_us: u64,
    /// Pages of the next lease.
    wish: u32,
    /// A lease that must be led to from the foot of an older one, once it holds a frame.
    foot: Option<(Lease, Lease)>,
    /// Feet written of late, which a failing sync may forget.
    feet: VecDeque<(Lease, Lease)>,
    /// Where the data of a chain ended that was resumed.
    found_end: u64,
}

/// Payload from this size on is written many pages at a time, past the window.
pub const BULK_MIN: usize = 16 * 1024;
/// Most feet that are remembered: more than a second's leases of the largest size.
const FEET_MAX: usize = 256;
/// Most pages of one bulk write.
const BULK_PAGES_MAX: usize = 64;

impl Cursor {
    /// At the start of a new chain whose first lease is `lease`.
    pub fn new(salt: u64, kind: Kind, slot: u32, lease: Lease) -> Cursor {
        let id = ChainId { salt, kind, tag: layout::tag(lease.start) };
        Cursor {
            id,
            slot,
            lease,
            page: lease.start,
            off: 0,
            pages: 0,
            fseq: 0,
            pos: 0,
            last_us: 0,
            wish: lease.pages.saturating_mul(2).clamp(1, LEASE_PAGES_MAX),
            foot: None,
            feet: VecDeque::new(),
            found_end: 0,
        }
    }

    /// Behind the last page of the chain that starts at `head`. What stands on that page may be
    /// torn, so the first frame will go to a fresh page of a fresh lease. `last_seq` is the seq of
    /// the last page where that is known; otherwise the search goes to the end of the file.
    pub fn resume(
        s: &dyn Storage,
        salt: u64,
        kind: Kind,
        slot: u32,
        head: u64,
        last_seq: Option<u32>,
    ) -> io::Result<Cursor> {
        let mut hop = Hop::new(salt, kind, head);
        let lease = Lease { start: head, pages: 1 };
        let mut cursor = Cursor::new(salt, kind, slot, lease);
        cursor.off = PAGE_LEN;
        cursor.wish = 2;
        loop {
            let known = last_seq.is_some_and(|last| hop.at.is_some_and(|at| at.seq >= last));
            let reach = if known { Reach::Near } else { Reach::Walk };
            let Some(header) = hop.next(s, reach)? else { break };
            cursor.lease = header.lease;
            cursor.page = header.lease.end() - 1;
            cursor.pages = header.seq.saturating_add(1);
            (cursor.fseq, cursor.pos) = (header.fseq, header.pos);
            cursor.last_us = header.t_us;
        }
        if let Some(last) = hop.at {
            let mut page = vec![0; PAGE_LEN];
            read_zero_filled(s, last.page * PAGE, &mut page)?;
            let mut off = HEADER_LEN;
            let end = last.lease.data_end(last.page);
            let seed = seed(salt, last.page);
            while let FrameAt::Frame(frame) = FrameHeader::decode(&page[off..end], seed, true) {
                cursor.fseq = frame.seq.wrapping_add(1);
                cursor.last_us = frame.t_us;
                let len = primary_len(kind, frame.stream, usize::from(frame.len));
                cursor.pos = cursor.pos.saturating_add(len);
                off += frame.stride();
                if off >= end {
                    break;
                }
            }
            cursor.found_end = last.page * PAGE + off as u64;
        }
        Ok(cursor)
    }

    /// Kind of the chain.
    pub fn kind(&self) -> Kind {
        self.id.kind
    }

    /// Seq of the chain's last page.
    pub fn last_seq(&self) -> u32 {
        self.pages.saturating_sub(1)
    }

    /// Whether the chain has no page yet.
    pub fn is_empty(&self) -> bool {
        self.pages == 0
    }

    /// Seq of the next frame.
    pub fn fseq(&self) -> u16 {
        self.fseq
    }

    /// Bytes of the primary stream so far.
    pub fn pos(&self) -> u64 {
        self.pos
    }

    /// Time of the last frame.
    pub fn last_us(&self) -> u64 {
        self.last_us
    }

    /// For a chain that was resumed: the part of its last lease that was never written, or torn.
    pub fn unused(&self) -> Range<u64> {
        let end = self.lease.end() * PAGE;
        if self.found_end == 0 { end..end } else { self.found_end.next_multiple_of(4096)..end }
    }

    /// Pages that the next lease should have.
    pub fn wish(&self) -> u32 {
        self.wish
    }

    /// The lease in use.
    pub fn lease(&self) -> Lease {
        self.lease
    }

    /// Whether the chain is past its first few frames.
    pub fn has_grown(&self) -> bool {
        const FEW_LEN: usize = 4096;
        self.pages > 1 || self.off > FEW_LEN
    }

    /// Bytes of its pages up to the next frame.
    pub fn written(&self) -> u64 {
        u64::from(self.last_seq()) * PAGE + self.off.min(PAGE_LEN) as u64
    }

    /// Offset in the file of the next frame.
    pub fn tail(&self) -> u64 {
        self.page * PAGE + self.off.min(PAGE_LEN) as u64
    }

    /// Pages of the lease that are still untouched.
    pub fn pages_left(&self) -> u64 {
        self.lease.end() - self.page - 1
    }

    /// Gives the current lease up.
    pub fn abandon_lease(&mut self) {
        self.off = PAGE_LEN;
        self.page = self.lease.end() - 1;
    }

    /// Appends one record, of any length, as frames. After an error the fragments before it
    /// stand; the second value says how many payload bytes do.
    pub fn append(
        &mut self,
        s: &dyn Storage,
        stream: StreamId,
        flags: u8,
        t_us: u64,
        bytes: &[u8],
        take: TakeLease<'_>,
    ) -> Result<(), (io::Error, usize)> {
        let mut done = 0;
        self.last_us = t_us;
        loop {
            let rest = &bytes[done..];
            let step = self
                .make_room(s, t_us, take)
                .and_then(|()| self.write_some(s, stream, flags, t_us, rest, done > 0))
                .and_then(|n| self.write_foot(s, t_us).map(|()| n));
            match step {
                Ok(n) => done += n,
                Err(e) => return Err((e, done)),
            }
            if done == bytes.len() {
                return Ok(());
            }
        }
    }

    /// Makes sure that a frame fits at `off`.
    fn make_room(&mut self, s: &dyn Storage, t_us: u64, take: TakeLease<'_>) -> io::Result<()> {
        self.write_foot(s, t_us)?;
        if self.off == 0 || self.off + ROOM_MIN <= self.lease.data_end(self.page) {
            return Ok(());
        }
        if self.page + 1 < self.lease.end() {
            self.page += 1;
        } else {
            let old = self.lease;
            let next = take(self.wish)?;
            self.wish = self.wish.saturating_mul(2).min(LEASE_PAGES_MAX);
            self.lease = next;
            self.page = next.start;
            if self.pages > 0 {
                // A lease that never held a frame is not part of the chain.
                let from = self.foot.map_or(old, |(from, _)| from);
                self.foot = Some((from, next));
            }
        }
        self.off = 0;
        Ok(())
    }

    /// Leads from the foot of the last lease to this one. Done behind the first frame of the new
    /// lease, so that a foot leads to a page with a header.
    fn write_foot(&mut self, s: &dyn Storage, t_us: u64) -> io::Result<()> {
        let Some((old, next)) = self.foot else { return Ok(()) };
        if self.off == 0 {
            return Ok(());
        }
        let foot = encode_foot(self.id.salt, old.end() - 1, next, t_us);
        if chain::read_foot(s, old, self.id.salt) == FootAt::Zero
            && let Err(e) = s.publish(old.foot_at(), &[IoSlice::new(&foot)])
            && chain::read_foot(s, old, self.id.salt) != FootAt::Next(next)
        {
            return Err(e);
        }
        self.foot = None;
        if self.feet.len() == FEET_MAX {
            self.feet.pop_front();
        }
        self.feet.push_back((old, next));
        Ok(())
    }

    /// Writes the last feet again, as they are: a sync that failed may have forgotten them, and
    /// the next one will not.
    pub fn rewrite_feet(&self, s: &dyn Storage) -> io::Result<()> {
        for (old, next) in &self.feet {
            if chain::read_foot(s, *old, self.id.salt) == FootAt::Next(*next) {
                let mut foot = [0; FOOT_LEN];
                read_zero_filled(s, old.foot_at(), &mut foot)?;
                s.write_at(old.foot_at(), &[IoSlice::new(&foot)])?;
            }
        }
        Ok(())
    }

    fn page_header(&self, t_us: u64) -> PageHeader {
        PageHeader {
            page: self.page,
            chain: self.id,
            slot: self.slot,
            seq: self.pages,
            lease: self.lease,
            t_us,
            fseq: self.fseq,
            pos: self.pos,
        }
    }

    fn place(&self) -> Place {
        Place { page: self.page, off: self.off, pages: self.pages, fseq: self.fseq, pos: self.pos }
    }

    fn go_to(&mut self, place: Place) {
        (self.page, self.off) = (place.page, place.off);
        (self.pages, self.fseq, self.pos) = (place.pages, place.fseq, place.pos);
    }

    /// Writes as much of `rest` as one write can take; the number of bytes.
    fn write_some(
        &mut self,
        s: &dyn Storage,
        stream: StreamId,
        flags: u8,
        t_us: u64,
        rest: &[u8],
        continues: bool,
    ) -> io::Result<usize> {
        let (start, before) = (self.tail(), self.place());
        let bulk = rest.len() >= BULK_MIN;
        let mut pieces: Vec<Piece> = Vec::with_capacity(1);
        let mut done = 0;
        loop {
            let end = self.lease.data_end(self.page);
            let fresh = self.off == 0;
            let frame_at = if fresh { HEADER_LEN } else { self.off };
            let n = (rest.len() - done).min(end - frame_at - FRAME_LEN).min(PAYLOAD_MAX);
            let payload = &rest[done..done + n];
            let frame = FrameHeader {
                len: n as u16,
                stream,
                flags: flags
                    | if done + n < rest.len() { MORE } else { 0 }
                    | if continues || done > 0 { CONT } else { 0 },
                t_us,
                seq: self.fseq,
            };
            let seed = seed(self.id.salt, self.page);
            let mut head = [0; HEADER_LEN + FRAME_LEN];
            head[HEADER_LEN..].copy_from_slice(&frame.encode(seed, payload));
            if fresh {
                head[..HEADER_LEN].copy_from_slice(&self.page_header(t_us).encode());
                self.pages += 1;
            }
            self.off = (frame_at + stride(n)).min(PAGE_LEN);
            self.fseq = self.fseq.wrapping_add(1);
            self.pos = self.pos.saturating_add(primary_len(self.id.kind, stream, n));
            done += n;
            pieces.push(Piece { head, fresh, n, frame_at, after: self.place() });
            // The next page follows without a seam only behind a full page that has no foot.
            let seamless = frame_at + FRAME_LEN + n == PAGE_LEN && self.page + 1 < self.lease.end();
            if !bulk || done == rest.len() || !seamless || pieces.len() == BULK_PAGES_MAX {
                break;
            }
            self.page += 1;
            self.off = 0;
        }
        let mut parts = Vec::with_capacity(2 * pieces.len());
        let mut at = 0;
        for piece in &pieces {
            parts.push(IoSlice::new(piece.head()));
            parts.push(IoSlice::new(&rest[at..at + piece.n]));
            at += piece.n;
        }
        let written = if bulk { s.write_at(start, &parts) } else { s.publish(start, &parts) };
        match written {
            Ok(()) => Ok(done),
            Err(e) => {
                self.go_to(before);
                self.take_stock(s, e, &pieces)
            }
        }
    }

    /// After a failed write: what stands in the file is what counts. Frames that can be read back
    /// are kept; the page where they end is given up.
    fn take_stock(&mut self, s: &dyn Storage, e: io::Error, pieces: &[Piece]) -> io::Result<usize> {
        let mut done = 0;
        let mut page = vec![0; PAGE_LEN];
        for piece in pieces {
            let (no, at) = (piece.after.page, piece.frame_at);
            let stands = read_zero_filled(s, no * PAGE, &mut page).is_ok()
                && PageHeader::decode(&page, no).is_some()
                && page[at..at + FRAME_LEN] == piece.head[HEADER_LEN..]
                && matches!(
                    FrameHeader::decode(&page[at..], seed(self.id.salt, no), true),
                    FrameAt::Frame(_)
                );
            if !stands {
                if s.rules().fresh_page_after_error && !layout::is_zero(&page) {
                    (self.page, self.off) = (no, PAGE_LEN);
                    // A page whose header can be seen is part of the chain, frames or not.
                    if let Some(header) = PageHeader::decode(&page, no) {
                        self.pages = header.seq + 1;
                    }
                }
                return if done > 0 { Ok(done) } else { Err(e) };
            }
            self.go_to(piece.after);
            done += piece.n;
        }
        Ok(done)
    }
}

/// The part of a cursor that a write moves on.
#[derive(Clone, Copy, Debug)]
struct Place {
    page: u64,
    off: usize,
    pages: u32,
    fseq: u16,
    pos: u64,
}

/// One frame of a write: its headers, and where the cursor stands behind it.
struct Piece {
    head: [u8; HEADER_LEN + FRAME_LEN],
    fresh: bool,
    n: usize,
    frame_at: usize,
    after: Place,
}

impl Piece {
    /// The bytes before the payload: the page's header only where the page begins.
    fn head(&self) -> &[u8] {
        &self.head[if self.fresh { 0 } else { HEADER_LEN }..]
    }
}

/// How much a frame adds to its chain's `pos`.
pub fn primary_len(kind: Kind, stream: StreamId, len: usize) -> u64 {
    if kind != Kind::Tape || stream == StreamId::STDOUT { len as u64 } else { 0 }
}
