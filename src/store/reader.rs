//! Reading one chain of a session, in order, whatever a crash or damage has left of it.

use super::catalog::{self, RawEntry};
use super::chain::{Hop, Reach};
use super::cursor::primary_len;
use super::layout::{
    FrameAt, FrameHeader, HEADER_LEN, Kind, NOTICE, PAGE, PAGE_LEN, PageHeader, Super, seed,
};
use super::storage::{Storage, lock_of_slot};
use super::stream::{Chain, StreamId};
use std::io;
use std::sync::Arc;

/// Why bytes are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// What stood there cannot be read, or a power cut took it.
    Damaged,
    /// The recorder could not write.
    Dropped,
    /// The tape was pruned or the session deleted.
    Pruned,
}

/// What comes next in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A record, or a fragment of one: `flags` has `layout::MORE` when it goes on in the next
    /// frame and `layout::CONT` when it began in an earlier one.
    Frame {
        /// Stream it belongs to.
        stream: StreamId,
        /// Microseconds since the session's start.
        t_us: u64,
        /// The payload.
        bytes: &'a [u8],
        /// Flags of the frame.
        flags: u8,
    },
    /// Something is missing here. A record that was not complete before it will not become so.
    Gap {
        /// Bytes missing: of stdout on the tape, of all payload in the notes. 0 when unknown.
        bytes: u64,
        /// Why.
        why: Why,
    },
    /// The session is live and nothing more is there yet: ask again.
    Tail,
    /// The chain is complete; every later call says so again.
    End,
}

/// Reads one chain from its start. Never fails: what cannot be read is a gap.
#[derive(Clone, Debug)]
pub struct Reader {
    storage: Arc<dyn Storage>,
    /// None when there is no catalog to ask.
    sup: Option<Super>,
    slot: u32,
    chain: Chain,
    live: bool,
    /// Seq of the last page and of the next frame, as the session's end promises them.
    promise: Option<(u32, u16)>,
    hop: Hop,
    page: Box<[u8; PAGE_LEN]>,
    /// Where the next frame stands on `page`; 0 before the first page.
    off: usize,
    seed: u32,
    fseq: u16,
    pos: u64,
    /// A frame was expected here and not found: the next one settles what is missing.
    broken: bool,
    /// The page that follows, found while this one may still have frames.
    next: Option<PageHeader>,
    ended: bool,
}

/// One step of a reader, before its bytes are borrowed.
enum Step {
    Frame(FrameHeader, usize),
    Gap(u64, Why),
    Tail,
    End,
}

impl Reader {
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        sup: Super,
        entry: &RawEntry,
        chain: Chain,
        live: bool,
    ) -> Reader {
        let identity = entry.identity.unwrap_or_else(super::blank_identity);
        let head = match chain {
            Chain::Tape => identity.tape_head,
            Chain::Notes => identity.notes_head,
        };
        let gone = entry.deleted || (entry.tape_pruned && chain == Chain::Tape);
        Reader {
            storage,
            sup: Some(sup),
            slot: entry.slot,
            chain,
            live,
            promise: promise(entry, chain),
            hop: Hop::new(super::layout::salt(&identity.id), chain.into(), head),
            page: Box::new([0; PAGE_LEN]),
            off: 0,
            seed: 0,
            fseq: 0,
            pos: 0,
            broken: false,
            next: None,
            ended: gone,
        }
    }

    /// Over the pages of a chain that a scan of the whole file has found.
    pub(super) fn over(storage: Arc<dyn Storage>, hop: Hop, chain: Chain) -> Reader {
        Reader {
            storage,
            sup: None,
            slot: 0,
            chain,
            live: false,
            promise: None,
            hop,
            page: Box::new([0; PAGE_LEN]),
            off: 0,
            seed: 0,
            fseq: 0,
            pos: 0,
            broken: false,
            next: None,
            ended: false,
        }
    }

    /// What comes next.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Item<'_> {
        let step = loop {
            match self.step() {
                Step::Frame(frame, _) if frame.stream == StreamId::IDENTITY => {}
                other => break other,
            }
        };
        match step {
            Step::Frame(frame, at) => Item::Frame {
                stream: frame.stream,
                t_us: frame.t_us,
                bytes: &self.page[at..at + usize::from(frame.len)],
                flags: frame.flags,
            },
            Step::Gap(bytes, why) => Item::Gap { bytes, why },
            Step::Tail => Item::Tail,
            Step::End => Item::End,
        }
    }

    /// Bytes of the chain's primary stream before the next item, as the recorder counted them.
    pub fn pos(&self) -> u64 {
        self.pos
    }

    /// Goes to the first frame at or after `t_us` microseconds, or a little before it: to the
    /// start of the page that holds it.
    pub fn seek_time(&mut self, t_us: u64) {
        self.seek(|header| header.t_us < t_us);
    }

    /// Goes to the start of the page that holds byte `pos` of the chain's primary stream.
    /// [`Reader::pos`] tells where that is.
    pub fn seek_byte(&mut self, pos: u64) {
        self.seek(|header| header.pos <= pos);
    }

    /// Goes to the last page of which `before` is true. Hops from lease to lease, then halves.
    fn seek(&mut self, before: impl Fn(&PageHeader) -> bool) {
        if self.ended && self.hop.at.is_none() {
            return;
        }
        let mut hop = Hop::new(self.hop.id.salt, self.hop.id.kind, self.hop.head);
        let reach = self.reach(&hop);
        let mut best: Option<PageHeader> = None;
        while let Ok(Some(header)) = hop.next(&*self.storage, reach) {
            if !before(&header) {
                break;
            }
            best = Some(header);
            let (mut low, mut high) = (header.page, header.lease.end());
            while high - low > 1 {
                let middle = low + (high - low) / 2;
                match super::chain::read_header(&*self.storage, middle) {
                    super::chain::HeaderAt::Sound(found)
                        if found.chain == hop.id && before(&found) =>
                    {
                        best = Some(found);
                        low = middle;
                    }
                    _ => high = middle,
                }
            }
            hop.at = best;
        }
        self.ended = false;
        self.broken = false;
        self.next = None;
        match best {
            Some(header) => self.enter(header, true),
            None => {
                self.hop = Hop::new(self.hop.id.salt, self.hop.id.kind, self.hop.head);
                (self.off, self.fseq, self.pos) = (0, 0, 0);
            }
        }
    }

    fn reach(&self, hop: &Hop) -> Reach {
        let promised = self.promise.is_none_or(|(last, fseq)| match hop.at {
            Some(at) => at.seq < last,
            None => fseq != 0 || last != 0,
        });
        if !self.live && promised { Reach::Walk } else { Reach::Near }
    }

    fn step(&mut self) -> Step {
        if self.ended {
            return Step::End;
        }
        loop {
            if self.off >= HEADER_LEN {
                let end = self.hop.at.map_or(PAGE_LEN, |at| at.lease.data_end(at.page));
                let rest = self.page.get(self.off..end).unwrap_or(&[]);
                let check_crc = self.storage.rules().check_crc;
                match FrameHeader::decode(rest, self.seed, check_crc) {
                    FrameAt::Frame(frame) => return self.take_frame(frame),
                    FrameAt::Invalid if !self.reread() => {
                        self.broken = true;
                        self.off = PAGE_LEN;
                    }
                    FrameAt::Invalid => continue,
                    FrameAt::Zero => {}
                }
            }
            if let Some(header) = self.next.take() {
                self.enter(header, false);
                continue;
            }
            let reach = self.reach(&self.hop);
            let before = self.hop.at;
            match self.hop.next(&*self.storage, reach) {
                Ok(Some(header)) if self.live && before.is_some() => {
                    // Frames may have come to the old page since it was read, and none will now.
                    self.hop.at = before;
                    self.next = Some(header);
                    if self.off < PAGE_LEN {
                        self.load();
                    }
                }
                Ok(Some(header)) => self.enter(header, false),
                Ok(None) | Err(_) => {
                    if let Some(step) = self.at_the_tail() {
                        return step;
                    }
                }
            }
        }
    }

    fn take_frame(&mut self, frame: FrameHeader) -> Step {
        let missing = frame.seq != self.fseq;
        if (missing || self.broken) && self.storage.rules().check_fseq {
            let broken = std::mem::replace(&mut self.broken, false);
            self.fseq = frame.seq;
            if missing || (broken && self.off > HEADER_LEN) {
                return Step::Gap(self.settle(), Why::Damaged);
            }
        }
        let at = self.off + super::layout::FRAME_LEN;
        self.off += frame.stride();
        self.fseq = frame.seq.wrapping_add(1);
        self.pos += primary_len(self.kind(), frame.stream, usize::from(frame.len));
        if frame.flags & NOTICE != 0 {
            let text = &self.page[at..at + usize::from(frame.len)];
            return Step::Gap(dropped_in(text), Why::Dropped);
        }
        Step::Frame(frame, at)
    }

    /// Bytes that are missing before the page just entered.
    fn settle(&mut self) -> u64 {
        let told = self.hop.at.filter(|_| self.off == HEADER_LEN).map_or(self.pos, |at| at.pos);
        let missing = told.saturating_sub(self.pos);
        self.pos = told.max(self.pos);
        missing
    }

    fn kind(&self) -> Kind {
        self.hop.id.kind
    }

    fn enter(&mut self, header: PageHeader, anew: bool) {
        self.hop.at = Some(header);
        self.seed = seed(self.hop.id.salt, header.page);
        self.load();
        self.off = HEADER_LEN;
        if anew {
            (self.fseq, self.pos) = (header.fseq, header.pos);
        }
    }

    /// Reads the page anew; a page that cannot be read is all damage.
    fn load(&mut self) {
        let Some(at) = self.hop.at else { return };
        let read =
            super::storage::read_zero_filled(&*self.storage, at.page * PAGE, &mut self.page[..]);
        if read.is_err() {
            self.page.fill(0xff);
        }
    }

    /// A frame that does not hold may be one that is being written at this moment.
    fn reread(&mut self) -> bool {
        if !self.live {
            return false;
        }
        let (off, seed) = (self.off, self.seed);
        (0..3).any(|_| {
            self.load();
            matches!(FrameHeader::decode(&self.page[off..], seed, true), FrameAt::Frame(_))
        })
    }

    /// No further page. None when there is more to read after all.
    fn at_the_tail(&mut self) -> Option<Step> {
        if self.live {
            if self.hop.at.is_some() && self.off < PAGE_LEN && self.grown() {
                return None;
            }
            match self.storage.is_locked(lock_of_slot(self.slot)) {
                Ok(false) => {
                    // The owner has gone: one more look, with all that is known at the end.
                    self.live = false;
                    self.promise = self.reread_promise();
                    if self.hop.at.is_some() && self.off < PAGE_LEN {
                        self.load();
                    }
                    return None;
                }
                _ => return Some(Step::Tail),
            }
        }
        self.ended = true;
        if self.is_gone() {
            return Some(Step::Gap(0, Why::Pruned));
        }
        // Notes may have been added since the promise was made.
        let short = self.promise.is_some_and(|(_, fseq)| (fseq.wrapping_sub(self.fseq) as i16) > 0);
        // Behind the promised frames a torn one may stand: it was never acknowledged.
        if short {
            return Some(Step::Gap(0, Why::Damaged));
        }
        Some(Step::End)
    }

    /// Whether frames have come to this page since it was read.
    fn grown(&mut self) -> bool {
        let Some(at) = self.hop.at else { return false };
        let mut head = [0; 8];
        let offset = at.page * PAGE + self.off as u64;
        let there = matches!(self.storage.read_at(offset, &mut head), Ok(8)) && head != [0; 8];
        if there && self.off + super::layout::ROOM_MIN <= at.lease.data_end(at.page) {
            self.load();
            return true;
        }
        false
    }

    fn entry(&self) -> io::Result<RawEntry> {
        match &self.sup {
            Some(sup) => catalog::read_entry(&*self.storage, sup, self.slot),
            None => Ok(RawEntry::default()),
        }
    }

    fn reread_promise(&self) -> Option<(u32, u16)> {
        self.entry().ok().and_then(|entry| promise(&entry, self.chain))
    }

    fn is_gone(&self) -> bool {
        self.entry().is_ok_and(|e| e.deleted || (e.tape_pruned && self.chain == Chain::Tape))
    }
}

fn promise(entry: &RawEntry, chain: Chain) -> Option<(u32, u16)> {
    let status = entry.status?;
    Some(match chain {
        Chain::Tape => (status.tape_seq, status.tape_fseq),
        Chain::Notes => (status.notes_seq, status.notes_fseq),
    })
}

/// The number of bytes that a notice of the store says were dropped.
fn dropped_in(notice: &[u8]) -> u64 {
    let key = b"{\"dropped\":";
    let digits = notice.strip_prefix(key).unwrap_or(&[]);
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0u64, |n, digit| n.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}
