//! Reading one chain of a session, in order, whatever a crash or damage has left of it.

mod unpack;

use super::ahead::Ahead;
use super::catalog::{self, RawEntry};
use super::chain::{Hop, Reach};
use super::cursor::primary_len;
use super::layout::{
    CONT, FrameAt, FrameHeader, HEADER_LEN, Kind, MORE, NOTICE, PAGE, PAGE_LEN, PageHeader,
    ROOM_MIN, Sum, Super, seed,
};
use super::pack::Inner;
use super::storage::{Storage, lock_of_slot};
use super::stream::{Chain, StreamId};
use std::io;
use std::sync::Arc;
use unpack::Unpack;

/// Why bytes are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// What stood there cannot be read, or a power cut took it.
    Damaged,
    /// The recorder could not write.
    Dropped,
    /// It was damaged when the session was copied or repaired: it is nowhere any more.
    Lost,
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

/// A frame that was handed over before its checksum was looked at.
#[derive(Clone, Copy, Debug)]
pub struct Unchecked {
    sum: Sum,
    /// Where the payload stands in the file.
    at: u64,
    len: usize,
}

impl Unchecked {
    /// Whether these, its bytes, are what was written.
    pub fn holds(&self, bytes: &[u8]) -> bool {
        bytes.len() == self.len && self.sum.holds(bytes)
    }
}

/// Where the frames of a reader stand, for who wants one of them again.
#[derive(Clone, Debug)]
pub struct Source(Arc<dyn Storage>);

impl Source {
    /// The bytes of a frame, read anew; None when they are not what was written.
    pub fn read(&self, frame: &Unchecked) -> Option<Vec<u8>> {
        let mut bytes = vec![0; frame.len];
        super::storage::read_zero_filled(&*self.0, frame.at, &mut bytes).ok()?;
        frame.holds(&bytes).then_some(bytes)
    }
}

/// Payload from this size on may be handed over unchecked.
const UNCHECKED_LEN_MIN: u16 = 4 << 10;

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
    pages: Ahead,
    /// Where the next frame stands on its page; 0 before the first page.
    off: usize,
    seed: u32,
    /// Bytes of pages read since [`Reader::take_loaded`].
    loaded: u64,
    fseq: u16,
    pos: u64,
    /// A frame was expected here and not found: the next one settles what is missing.
    broken: bool,
    /// The page that follows, found while this one may still have frames.
    next: Option<PageHeader>,
    ended: bool,
    /// Items returned since [`Reader::pos`] became what it is.
    returned: u64,
    /// What is to be passed over before the next item: all before this position, and so many items
    /// there.
    skip: Option<(u64, u64)>,
    /// The chain is read out of a pack.
    unpack: Option<Unpack>,
    /// Frames of this stream may go unchecked, and the last one did.
    trusted: Option<StreamId>,
    unchecked: Option<Unchecked>,
}

/// One step of a reader, before its bytes are borrowed.
enum Step {
    Frame(FrameHeader, usize),
    Inner(Inner),
    Gap(u64, Why),
    /// The chain was packed meanwhile.
    Switch,
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
        let mut reader = Reader {
            storage,
            sup: Some(sup),
            slot: entry.slot,
            chain,
            live,
            promise: promise(entry, chain),
            hop: Hop::new(super::layout::salt(&identity.id), chain.into(), head),
            pages: Ahead::new(),
            off: 0,
            seed: 0,
            loaded: 0,
            fseq: 0,
            pos: 0,
            broken: false,
            next: None,
            ended: gone,
            returned: 0,
            skip: None,
            unpack: None,
            trusted: None,
            unchecked: None,
        };
        if let Some(pack) = entry.pack.filter(|_| !gone) {
            reader.read_pack(u64::from(pack), entry);
        }
        reader
    }

    /// Reads on in the pack that starts at page `head`, from its start.
    fn read_pack(&mut self, head: u64, entry: &RawEntry) {
        self.hop = Hop::new(self.hop.id.salt, Kind::Pack, head);
        self.rewind();
        (self.live, self.promise) = (false, None);
        let status = entry.status.filter(|_| self.chain == Chain::Tape);
        let total = status.map_or(0, |status| status.out_bytes);
        let tape_gone = entry.tape_pruned;
        self.unpack = Some(Unpack { tape_gone, total, ..Unpack::default() });
    }

    fn rewind(&mut self) {
        (self.hop.at, self.next) = (None, None);
        (self.off, self.fseq, self.pos, self.broken) = (0, 0, 0, false);
    }

    /// Over the pages of a chain that a scan of the whole file has found.
    pub(super) fn over(storage: Arc<dyn Storage>, hop: Hop, chain: Chain) -> Reader {
        let packed = hop.id.kind == Kind::Pack;
        Reader {
            storage,
            sup: None,
            slot: 0,
            chain,
            live: false,
            promise: None,
            hop,
            pages: Ahead::new(),
            off: 0,
            seed: 0,
            loaded: 0,
            fseq: 0,
            pos: 0,
            broken: false,
            next: None,
            ended: false,
            returned: 0,
            skip: None,
            unpack: packed.then(Unpack::default),
            trusted: None,
            unchecked: None,
        }
    }

    /// What comes next.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Item<'_> {
        self.trusted = None;
        let step = self.next_step();
        self.item(step)
    }

    fn next_step(&mut self) -> Step {
        loop {
            self.unchecked = None;
            let before = self.pos();
            let step = match self.unpack {
                Some(_) => self.unpack_step(),
                None => self.step(),
            };
            match step {
                Step::Frame(frame, _) if frame.stream == StreamId::IDENTITY => {}
                Step::Switch => {}
                Step::Tail | Step::End => return step,
                // Its page was given back while it was read.
                Step::Gap(_, Why::Damaged) if self.changes_over() => {}
                _ if self.passes_over(before) => {}
                _ => {
                    self.returned = if self.pos() == before { self.returned + 1 } else { 0 };
                    return step;
                }
            }
        }
    }

    /// Whether an item that stands at `pos` was returned before the chain was packed.
    fn passes_over(&mut self, pos: u64) -> bool {
        let Some((until, count)) = &mut self.skip else { return false };
        let passes = pos < *until || (pos == *until && *count > 0);
        if pos == *until && passes {
            *count -= 1;
        } else if !passes {
            self.skip = None;
        }
        passes
    }

    fn item(&self, step: Step) -> Item<'_> {
        match step {
            Step::Frame(frame, at) => Item::Frame {
                stream: frame.stream,
                t_us: frame.t_us,
                bytes: &self.pages.page()[at..at + usize::from(frame.len)],
                flags: frame.flags,
            },
            Step::Inner(inner) => Item::Frame {
                stream: inner.stream,
                t_us: inner.t_us,
                bytes: self.unpack.as_ref().map_or(&[], |u| &u.block.data[inner.range.clone()]),
                flags: inner.flags,
            },
            Step::Gap(bytes, why) => Item::Gap { bytes, why },
            Step::Tail => Item::Tail,
            Step::End | Step::Switch => Item::End,
        }
    }

    /// As [`Reader::next`], but a long frame of `stream` may come before its checksum is looked at:
    /// that is for who goes through very much and makes use of little. A frame that is damaged
    /// would have been a gap.
    pub fn next_unchecked(&mut self, stream: StreamId) -> (Item<'_>, Option<Unchecked>) {
        self.trusted = Some(stream);
        let step = self.next_step();
        (self.item(step), self.unchecked)
    }

    /// Where its frames stand.
    pub fn source(&self) -> Source {
        Source(Arc::clone(&self.storage))
    }

    /// Bytes of disk gone through since this was last asked.
    pub(super) fn take_loaded(&mut self) -> u64 {
        std::mem::take(&mut self.loaded)
    }

    /// Bytes of the chain's primary stream before the next item, as the recorder counted them.
    pub fn pos(&self) -> u64 {
        self.unpack.as_ref().map_or(self.pos, |unpack| unpack.pos)
    }

    /// Goes to the first frame at or after `t_us` microseconds, or a little before it: to the
    /// start of the page that holds it.
    pub fn seek_time(&mut self, t_us: u64) {
        self.seek(|at_us, _| at_us < t_us);
    }

    /// Goes to the start of the page that holds byte `pos` of the chain's primary stream.
    /// [`Reader::pos`] tells where that is.
    pub fn seek_byte(&mut self, pos: u64) {
        self.seek(|_, at| at <= pos);
    }

    /// Goes to the chain's last page. In the notes of a pack, to what was added behind it, and the
    /// META record that stood last before that comes first.
    pub fn seek_end(&mut self) {
        if self.unpack.is_none() || self.chain == Chain::Tape {
            return self.seek_byte(u64::MAX);
        }
        self.ended = false;
        (self.returned, self.skip) = (0, None);
        self.rewind();
        let anew = Unpack { echo: true, complete: true, pos: 1, ..Unpack::default() };
        self.unpack = Some(anew);
    }

    /// Goes to the last page of which `before` is true. Hops from lease to lease, then halves.
    fn seek(&mut self, is_before: impl Fn(u64, u64) -> bool) {
        if self.ended && self.hop.at.is_none() {
            return;
        }
        self.ended = false;
        (self.returned, self.skip) = (0, None);
        if self.unpack.is_some() {
            return self.seek_block(is_before);
        }
        let best = self.last_page(|header| is_before(header.t_us, header.pos));
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

    /// The last page of which `before` is true, where it is true of no page behind one of which it
    /// is not.
    fn last_page(&self, mut before: impl FnMut(&PageHeader) -> bool) -> Option<PageHeader> {
        let mut hop = Hop::new(self.hop.id.salt, self.hop.id.kind, self.hop.head);
        let mut best: Option<PageHeader> = None;
        // Looked at anew each time: behind the promised page nothing is searched for.
        while let Ok(Some(header)) = hop.next(&*self.storage, self.reach(&hop)) {
            if !before(&header) {
                break;
            }
            best = Some(header);
            let (mut low, mut high) = (header.page, header.lease.end());
            // Of most leases it is the last page.
            let mut middle = high - 1;
            while high - low > 1 {
                match super::chain::read_header(&*self.storage, middle) {
                    super::chain::HeaderAt::Sound(found)
                        if found.chain == hop.id && before(&found) =>
                    {
                        best = Some(found);
                        low = middle;
                    }
                    _ => high = middle,
                }
                middle = low + (high - low) / 2;
            }
            // On to the foot when all of the lease is before.
            hop.at = best;
        }
        best
    }

    fn reach(&self, hop: &Hop) -> Reach {
        if hop.id.kind == Kind::Pack {
            // It was durable, feet and all, before anything relied on it.
            return Reach::Near;
        }
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
                if let Some(step) = self.unchecked_step(end) {
                    return step;
                }
                let rest = self.pages.page().get(self.off..end).unwrap_or(&[]);
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
            let before = self.hop.at;
            let room = before.is_some_and(|at| self.off + ROOM_MIN <= at.lease.data_end(at.page));
            if !self.live
                && let Some(header) = self.follow(room)
            {
                self.enter(header, false);
                continue;
            }
            let reach = self.reach(&self.hop);
            match self.hop.next(&*self.storage, reach) {
                Ok(Some(header)) if room => {
                    // Frames may have come to the old page since it was read, and none will now:
                    // notes are added to sessions that have ended too.
                    self.hop.at = before;
                    self.next = Some(header);
                    self.load();
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

    /// Steps to the page behind this one, of a chain that nobody writes to: the header it has. To
    /// this page nothing can have come since it was read, if it has no `room` or the one behind
    /// was read with it.
    fn follow(&mut self, room: bool) -> Option<PageHeader> {
        let at = self.hop.at?;
        if let Some(header) = self.pages.next_header() {
            return self.hop.step_to(header).then_some(header);
        }
        if room || !self.hop.may_step_to(at.page + 1) {
            return None;
        }
        let found = self.pages.read_on(&*self.storage, &at);
        let found = found.filter(|header| self.hop.step_to(*header));
        if found.is_none() {
            self.pages.load(&*self.storage, at.page);
        }
        found
    }

    /// The next frame, if it may go unchecked: nothing else is amiss with it.
    fn unchecked_step(&mut self, end: usize) -> Option<Step> {
        let stream = self.trusted.filter(|_| !self.live && !self.broken)?;
        let rest = self.pages.page().get(self.off..end)?;
        let (frame, sum) = FrameHeader::decode_head(rest, self.seed, self.fseq)?;
        if frame.stream != stream
            || frame.flags & !(MORE | CONT) != 0
            || frame.len < UNCHECKED_LEN_MIN
        {
            return None;
        }
        let at = self.hop.at?.page * PAGE + (self.off + super::layout::FRAME_LEN) as u64;
        let step = self.take_frame(frame);
        self.unchecked = Some(Unchecked { sum, at, len: usize::from(frame.len) });
        Some(step)
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
        let len = primary_len(self.kind(), frame.stream, usize::from(frame.len));
        self.pos = self.pos.saturating_add(len);
        if frame.flags & NOTICE != 0 {
            let text = &self.pages.page()[at..at + usize::from(frame.len)];
            let (bytes, why) = read_notice(text);
            return Step::Gap(bytes, why);
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
        if anew {
            self.pages.jump();
        }
        if self.live {
            self.load();
        } else {
            self.loaded += PAGE;
            self.pages.enter(&*self.storage, &header);
        }
        self.off = HEADER_LEN;
        if anew {
            (self.fseq, self.pos) = (header.fseq, header.pos);
        }
    }

    /// Reads the page anew.
    fn load(&mut self) {
        let Some(at) = self.hop.at else { return };
        self.loaded += PAGE;
        self.pages.load(&*self.storage, at.page);
    }

    /// A frame that does not hold may be one that is being written at this moment.
    fn reread(&mut self) -> bool {
        if !self.live {
            return false;
        }
        let (off, seed) = (self.off, self.seed);
        (0..3).any(|_| {
            self.load();
            matches!(FrameHeader::decode(&self.pages.page()[off..], seed, true), FrameAt::Frame(_))
        })
    }

    /// No further page. None when there is more to read after all.
    fn at_the_tail(&mut self) -> Option<Step> {
        // Asked first: who packs a session holds its lock until the old pages are given back.
        if self.changes_over() {
            return Some(Step::Switch);
        }
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

    /// Reads on in the pack, if the chain was packed meanwhile.
    fn changes_over(&mut self) -> bool {
        if self.unpack.is_some() {
            return false;
        }
        let Ok(entry) = self.entry() else { return false };
        let Some(pack) = entry.pack.filter(|_| !self.is_gone()) else { return false };
        // What was read came in the same order as what will be read. Where nothing but other
        // streams came since a seek, some of that may come again.
        let (pos, returned) = (self.pos(), self.returned);
        self.read_pack(u64::from(pack), &entry);
        self.seek_block(|_, at| at < pos);
        (self.returned, self.skip) = (returned, Some((pos, returned)));
        true
    }

    /// Whether frames have come to this page since it was read.
    fn grown(&mut self) -> bool {
        let Some(at) = self.hop.at else { return false };
        let mut head = [0; 8];
        let offset = at.page * PAGE + self.off as u64;
        let there = matches!(self.storage.read_at(offset, &mut head), Ok(8)) && head != [0; 8];
        if there && self.off + ROOM_MIN <= at.lease.data_end(at.page) {
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

const DROPPED: &str = "{\"dropped\":";
const LOST: &str = "{\"lost\":";

/// What a notice of the store says is missing, and why.
fn read_notice(notice: &[u8]) -> (u64, Why) {
    let (why, digits) = match notice.strip_prefix(LOST.as_bytes()) {
        Some(digits) => (Why::Lost, digits),
        None => (Why::Dropped, notice.strip_prefix(DROPPED.as_bytes()).unwrap_or(&[])),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let add = |n: u64, digit: &u8| n.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    (digits.fold(0, add), why)
}

/// What [`read_notice`] reads, for a copy of what is missing.
pub(super) fn write_notice(bytes: u64, why: Why) -> String {
    format!("{}{bytes}}}", if why == Why::Dropped { DROPPED } else { LOST })
}
