//! The format of memmap_fs, byte by byte: pure encoding and decoding. Every decoder is total: any
//! bytes give a value or None. All integers are little-endian.

use super::stream::{Chain, StreamId};
use crate::sys::crc::crc32c;

// The file is a sequence of pages.
//
//   page 0       superblock, copy A          page 1       superblock, copy B
//   page 2..33   first run of the catalog    page 34..    leases and further runs, to the end

/// Bytes of a page.
pub const PAGE: u64 = 16384;
/// [`PAGE`] as a length in memory.
pub const PAGE_LEN: usize = PAGE as usize;
/// Pages of a catalog run.
pub const RUN_PAGES: u32 = 32;
/// The page at which the first catalog run starts.
pub const FIRST_RUN: u64 = 2;
/// The first page that a lease may take.
pub const FIRST_LEASE: u64 = FIRST_RUN + RUN_PAGES as u64;
/// Most catalog runs a superblock can name.
pub const RUNS_MAX: usize = 1000;
/// Most pages of one lease: 16 MiB.
pub const LEASE_PAGES_MAX: u32 = 1024;
/// Times and page headers hold 48 bits of microseconds: 8.9 years.
pub const TIME_MAX: u64 = (1 << 48) - 1;

// The header of every page, written once.
//
//    0 u32  magic "ILP1"
//    4 u32  crc32c of bytes 8..64
//    8 u64  number of this page
//   16 u64  salt: bytes 8..16 of the session id; 0 in pages of the store itself
//   24 u32  slot in the catalog
//   28 u32  seq: which page of its chain, from 0
//   32 u8   kind: 1 superblock, 2 catalog, 3 tape, 4 notes, 5 pack
//   33 u8   version of this header: 1
//   34 u16  tag of the chain: low bits of the number of its first page
//   36 u32  pages of the lease this page belongs to
//   40 u64  page at which that lease starts
//   48 u48  time of the first frame, microseconds since the session's start
//   54 u16  seq of the first frame
//   56 u64  bytes before this page: of stdout on a tape, of all payload on notes and packs

/// Bytes of a page header.
pub const HEADER_LEN: usize = 64;
const MAGIC: u32 = u32::from_le_bytes(*b"ILP1");
const VERSION: u8 = 1;
const H_CRC: usize = 4;
const H_PAGE: usize = 8;
const H_SALT: usize = 16;
const H_SLOT: usize = 24;
const H_SEQ: usize = 28;
const H_KIND: usize = 32;
const H_VERSION: usize = 33;
const H_TAG: usize = 34;
const H_LEASE_PAGES: usize = 36;
const H_LEASE_START: usize = 40;
const H_TIME: usize = 48;
const H_FSEQ: usize = 54;
const H_POS: usize = 56;

/// What a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A superblock.
    Super,
    /// Entries of the catalog.
    Catalog,
    /// Frames of the streams that the terminal made.
    Tape,
    /// Frames of all other streams.
    Notes,
    /// Both chains of an ended session, compressed.
    Pack,
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Kind::Super => 1,
            Kind::Catalog => 2,
            Kind::Tape => 3,
            Kind::Notes => 4,
            Kind::Pack => 5,
        }
    }

    fn of(byte: u8) -> Option<Kind> {
        [Kind::Super, Kind::Catalog, Kind::Tape, Kind::Notes, Kind::Pack]
            .into_iter()
            .find(|kind| kind.byte() == byte)
    }

    /// Whether pages of this kind belong to a session's chain.
    pub fn is_chain(self) -> bool {
        matches!(self, Kind::Tape | Kind::Notes | Kind::Pack)
    }
}

impl From<Chain> for Kind {
    fn from(chain: Chain) -> Kind {
        match chain {
            Chain::Tape => Kind::Tape,
            Chain::Notes => Kind::Notes,
        }
    }
}

/// A run of pages that belongs to one owner for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lease {
    /// First page.
    pub start: u64,
    /// Number of pages.
    pub pages: u32,
}

impl Lease {
    /// The page after the last.
    pub fn end(self) -> u64 {
        self.start.saturating_add(u64::from(self.pages))
    }

    /// Whether `page` is in it.
    pub fn has(self, page: u64) -> bool {
        (self.start..self.end()).contains(&page)
    }

    /// Where the foot stands in the file.
    pub fn foot_at(self) -> u64 {
        self.end().saturating_mul(PAGE).saturating_sub(FOOT_LEN as u64)
    }

    /// Where data ends on `page`: the last page of a lease keeps room for the foot.
    pub fn data_end(self, page: u64) -> usize {
        if page.checked_add(1) == Some(self.end()) { PAGE_LEN - FOOT_LEN } else { PAGE_LEN }
    }
}

/// Which chain a page belongs to; together with the page number it seeds every frame's checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainId {
    /// Salt of the session, see [`salt`].
    pub salt: u64,
    /// Kind of the chain.
    pub kind: Kind,
    /// Low bits of the number of the chain's first page: tells a chain from an abandoned attempt.
    pub tag: u16,
}

/// The header of a page, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageHeader {
    /// Number of the page in the file.
    pub page: u64,
    /// Chain the page belongs to.
    pub chain: ChainId,
    /// Slot of the session in the catalog.
    pub slot: u32,
    /// Which page of its chain.
    pub seq: u32,
    /// The lease around it.
    pub lease: Lease,
    /// Time of its first frame in microseconds since the session's start.
    pub t_us: u64,
    /// Seq of its first frame.
    pub fseq: u16,
    /// Bytes of the chain's primary stream before it.
    pub pos: u64,
}

impl PageHeader {
    /// The bytes of this header.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut b = [0; HEADER_LEN];
        put(&mut b, 0, MAGIC.to_le_bytes());
        put(&mut b, H_PAGE, self.page.to_le_bytes());
        put(&mut b, H_SALT, self.chain.salt.to_le_bytes());
        put(&mut b, H_SLOT, self.slot.to_le_bytes());
        put(&mut b, H_SEQ, self.seq.to_le_bytes());
        b[H_KIND] = self.chain.kind.byte();
        b[H_VERSION] = VERSION;
        put(&mut b, H_TAG, self.chain.tag.to_le_bytes());
        put(&mut b, H_LEASE_PAGES, self.lease.pages.to_le_bytes());
        put(&mut b, H_LEASE_START, self.lease.start.to_le_bytes());
        put(&mut b, H_TIME, self.t_us.min(TIME_MAX).to_le_bytes());
        put(&mut b, H_FSEQ, self.fseq.to_le_bytes());
        put(&mut b, H_POS, self.pos.to_le_bytes());
        let crc = crc32c(0, &b[H_PAGE..]);
        put(&mut b, H_CRC, crc.to_le_bytes());
        b
    }

    /// The header at the start of `bytes`, which were read from `page`. None unless magic,
    /// version, checksum and page number hold and the lease contains the page.
    pub fn decode(bytes: &[u8], page: u64) -> Option<PageHeader> {
        let b = bytes.get(..HEADER_LEN)?;
        if u32_at(b, 0) != MAGIC || u32_at(b, H_CRC) != crc32c(0, &b[H_PAGE..]) {
            return None;
        }
        let header = PageHeader {
            page: u64_at(b, H_PAGE),
            chain: ChainId {
                salt: u64_at(b, H_SALT),
                kind: Kind::of(b[H_KIND])?,
                tag: u16_at(b, H_TAG),
            },
            slot: u32_at(b, H_SLOT),
            seq: u32_at(b, H_SEQ),
            lease: Lease { start: u64_at(b, H_LEASE_START), pages: u32_at(b, H_LEASE_PAGES) },
            t_us: u64_at(b, H_TIME) & TIME_MAX,
            fseq: u16_at(b, H_FSEQ),
            pos: u64_at(b, H_POS),
        };
        let sound = b[H_VERSION] == VERSION
            && header.page == page
            && header.lease.has(page)
            && header.lease.pages <= LEASE_PAGES_MAX;
        sound.then_some(header)
    }
}

/// Whether an id is that of an annex, which holds what was added to a session while it ran: a UUID
/// of version 8.
pub fn is_annex(id: &[u8; 16]) -> bool {
    id[6] >> 4 == 8
}

/// The salt of a session: the random half of its id, never 0.
pub fn salt(id: &[u8; 16]) -> u64 {
    match u64_at(id, 8) {
        0 => u64::MAX,
        salt => salt,
    }
}

/// The tag of a chain whose first page is `head`.
pub fn tag(head: u64) -> u16 {
    head as u16
}

// A frame: 16 bytes and its payload, at a multiple of 8, never across pages.
//
//    0 u32  crc32c of bytes 4..16+len, seeded with salt and page number
//    4 u16  len: bytes of payload, at most 16304
//    6 u8   stream, 1 to 255; 0 is the end of the page's data
//    7 u8   flags: 1 more fragments follow, 2 continues a fragment, 4 payload is a block of a
//           pack, 8 notice of the store itself, 16 repeats a record of a block
//    8 u48  time, microseconds since the session's start
//   14 u16  seq of the frame in its chain, modulo 2^16

/// Bytes of a frame header.
pub const FRAME_LEN: usize = 16;
/// Most payload of one frame.
pub const PAYLOAD_MAX: usize = PAGE_LEN - HEADER_LEN - FRAME_LEN;
/// Less room than this at the end of a page is left empty.
pub const ROOM_MIN: usize = 24;
/// The record goes on in the next frame.
pub const MORE: u8 = 1;
/// The record began in an earlier frame.
pub const CONT: u8 = 2;
/// The payload is a block of a pack.
pub const BLOCK: u8 = 4;
/// The store itself speaks: bytes were dropped here.
pub const NOTICE: u8 = 8;
/// A record that a block of this pack has too: its last META record, for who needs no other.
pub const ECHO: u8 = 16;

/// The header of a frame, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Bytes of payload.
    pub len: u16,
    /// Stream the payload belongs to.
    pub stream: StreamId,
    /// [`MORE`], [`CONT`], [`BLOCK`], [`NOTICE`].
    pub flags: u8,
    /// Microseconds since the session's start.
    pub t_us: u64,
    /// Counts the frames of the chain.
    pub seq: u16,
}

/// What stands at an offset of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameAt {
    /// A frame whose checksum holds; its payload follows the header.
    Frame(FrameHeader),
    /// Nothing was written here.
    Zero,
    /// Something else.
    Invalid,
}

impl FrameHeader {
    /// Bytes from this frame to the next.
    pub fn stride(&self) -> usize {
        stride(usize::from(self.len))
    }

    /// The header's bytes for `payload` on the page that `seed` stands for.
    pub fn encode(&self, seed: u32, payload: &[u8]) -> [u8; FRAME_LEN] {
        debug_assert_eq!(payload.len(), usize::from(self.len));
        let mut b = [0; FRAME_LEN];
        put(&mut b, 4, self.len.to_le_bytes());
        b[6] = self.stream.0;
        b[7] = self.flags;
        put(&mut b, 8, (self.t_us.min(TIME_MAX) | u64::from(self.seq) << 48).to_le_bytes());
        let crc = crc32c(crc32c(seed, &b[4..]), payload);
        put(&mut b, 0, crc.to_le_bytes());
        b
    }

    fn fields(b: &[u8]) -> FrameHeader {
        let word = u64_at(b, 8);
        FrameHeader {
            len: u16_at(b, 4),
            stream: StreamId(b[6]),
            flags: b[7],
            t_us: word & TIME_MAX,
            seq: (word >> 48) as u16,
        }
    }

    /// What stands at the start of `bytes`, the rest of a page's data.
    pub fn decode(bytes: &[u8], seed: u32, check_crc: bool) -> FrameAt {
        let Some(b) = bytes.get(..FRAME_LEN) else { return FrameAt::Zero };
        if u64_at(b, 0) == 0 {
            return FrameAt::Zero;
        }
        let header = FrameHeader::fields(b);
        let covered = bytes.get(4..FRAME_LEN + usize::from(header.len));
        match covered {
            Some(covered) if b[6] != 0 && (!check_crc || crc32c(seed, covered) == u32_at(b, 0)) => {
                FrameAt::Frame(header)
            }
            _ => FrameAt::Invalid,
        }
    }

    /// As [`FrameHeader::decode`], but the payload is left unread: whoever takes it for what was
    /// written looks at the sum first. None where no frame number `seq` stands, or where neither a
    /// frame with the next number nor the end of the page's data follows it.
    pub fn decode_head(bytes: &[u8], seed: u32, seq: u16) -> Option<(FrameHeader, Sum)> {
        let b = bytes.get(..FRAME_LEN)?;
        let header = FrameHeader::fields(b);
        let behind = bytes.get(header.stride()..).unwrap_or(&[]);
        let follows = match behind.get(..FRAME_LEN) {
            Some(next) if behind.len() >= ROOM_MIN => {
                let next = FrameHeader::fields(next);
                next.stream.0 != 0 && next.seq == seq.wrapping_add(1)
            }
            _ => true,
        };
        let whole = FRAME_LEN + usize::from(header.len) <= bytes.len();
        let sum = Sum { whole: u32_at(b, 0), head: crc32c(seed, &b[4..]) };
        (whole && follows && header.stream.0 != 0 && header.seq == seq).then_some((header, sum))
    }
}

/// The checksum of a frame, of which all but the payload is summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    whole: u32,
    head: u32,
}

impl Sum {
    /// Whether it is that of the frame with this payload.
    pub fn holds(self, payload: &[u8]) -> bool {
        crc32c(self.head, payload) == self.whole
    }
}

/// Bytes from a frame with `len` bytes of payload to the next frame.
pub fn stride(len: usize) -> usize {
    (FRAME_LEN + len).next_multiple_of(8)
}

/// What the checksums of all frames on a page start from.
pub fn seed(salt: u64, page: u64) -> u32 {
    let mut b = [0; 16];
    put(&mut b, 0, salt.to_le_bytes());
    put(&mut b, 8, page.to_le_bytes());
    crc32c(0, &b)
}

// The first frame of the notes is on stream 12 and says who the session is: its payload is bytes
// 8..24, 24..32 and 48..64 of the identity part below.

/// Bytes of the payload that says who a session is.
pub const IDENTITY_FRAME_LEN: usize = 40;

/// That payload.
pub fn encode_identity_frame(id: &[u8; 16], start_us: i64, label: &[u8; 16]) -> [u8; 40] {
    let mut b = [0; IDENTITY_FRAME_LEN];
    put(&mut b, 0, *id);
    put(&mut b, 16, start_us.to_le_bytes());
    put(&mut b, 24, *label);
    b
}

/// Id, start and label from that payload.
pub fn decode_identity_frame(b: &[u8]) -> Option<([u8; 16], i64, [u8; 16])> {
    (b.len() == IDENTITY_FRAME_LEN).then(|| (array_at(b, 0), u64_at(b, 16) as i64, array_at(b, 24)))
}

// A block: a record of a pack. Its first frame begins with this header.
//
//    0 u8   codec: 0 stored, 1 DEFLATE (RFC 1951), 2 its wide dialect
//    1 u8   1 in the last block of its chain, else 0
//    2 u16  seq of the first frame in it, counted over the packed chain
//    4 u32  bytes of squeezed frame headers
//    8 u32  bytes of payload
//   12 u32  number of frames
//   16 u64  bytes of the packed chain's primary stream before it
//   24 u64  time of the first frame, microseconds since the session's start
//   32      the data: headers, then payload, compressed as one
//
// The wide dialect is DEFLATE with these differences: codes of lengths and distances go on as they
// begin, to symbol 316 (lengths: four symbols to each number of extra bits, 258 is no exception) and
// to symbol 35 (distances: two). Symbols 36 to 38 of distances are the last, the last but one and the
// last but two distance used, which are 1, 2 and 3 at first; whichever is used becomes the last.
// HLIT and HDIST have 6 bits each.
//
// A squeezed header: u8 stream, u8 flags, varint bytes of payload, varint microseconds since the
// frame before (zigzag). A varint has 7 bits a byte, low ones first, the high bit on all but the
// last byte.

/// Bytes of a block's header.
pub const BLOCK_HEADER_LEN: usize = 32;
/// The block's data stand as they are.
pub const CODEC_STORED: u8 = 0;
/// The block's data are a DEFLATE stream.
pub const CODEC_DEFLATE: u8 = 1;
/// The block's data are a stream of DEFLATE's wide dialect.
pub const CODEC_WIDE: u8 = 2;

/// The header of a block, decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockHeader {
    /// How the data are compressed.
    pub codec: u8,
    /// No block of this chain follows.
    pub last: bool,
    /// Seq of the first frame.
    pub seq: u16,
    /// Bytes of squeezed headers.
    pub heads_len: u32,
    /// Bytes of payload.
    pub payload_len: u32,
    /// Frames.
    pub count: u32,
    /// Bytes of the chain's primary stream before it.
    pub pos: u64,
    /// Time of the first frame.
    pub t_us: u64,
}

impl BlockHeader {
    /// The bytes of this header.
    pub fn encode(&self) -> [u8; BLOCK_HEADER_LEN] {
        let mut b = [0; BLOCK_HEADER_LEN];
        (b[0], b[1]) = (self.codec, u8::from(self.last));
        put(&mut b, 2, self.seq.to_le_bytes());
        put(&mut b, 4, self.heads_len.to_le_bytes());
        put(&mut b, 8, self.payload_len.to_le_bytes());
        put(&mut b, 12, self.count.to_le_bytes());
        put(&mut b, 16, self.pos.to_le_bytes());
        put(&mut b, 24, self.t_us.to_le_bytes());
        b
    }

    /// The header at the start of `b`.
    pub fn decode(b: &[u8]) -> Option<BlockHeader> {
        let b = b.get(..BLOCK_HEADER_LEN)?;
        (b[1] <= 1).then(|| BlockHeader {
            codec: b[0],
            last: b[1] == 1,
            seq: u16_at(b, 2),
            heads_len: u32_at(b, 4),
            payload_len: u32_at(b, 8),
            count: u32_at(b, 12),
            pos: u64_at(b, 16),
            t_us: u64_at(b, 24),
        })
    }
}

// The foot: the last 32 bytes of a lease's last page, written once when the next lease is taken.
//
//    0 u32  crc32c of bytes 4..32, seeded with salt and page number
//    4 u32  "FOOT"
//    8 u64  page at which the next lease starts
//   16 u32  pages of the next lease
//   20 u32  0
//   24 u64  time, microseconds since the session's start

/// Bytes of a foot.
pub const FOOT_LEN: usize = 32;
const FOOT_MAGIC: u32 = u32::from_le_bytes(*b"FOOT");

/// The foot that stands at the end of a lease whose last page is `page` and that leads to `next`.
pub fn encode_foot(salt: u64, page: u64, next: Lease, t_us: u64) -> [u8; FOOT_LEN] {
    let mut b = [0; FOOT_LEN];
    put(&mut b, 4, FOOT_MAGIC.to_le_bytes());
    put(&mut b, 8, next.start.to_le_bytes());
    put(&mut b, 16, next.pages.to_le_bytes());
    put(&mut b, 24, t_us.min(TIME_MAX).to_le_bytes());
    let crc = crc32c(seed(salt, page), &b[4..]);
    put(&mut b, 0, crc.to_le_bytes());
    b
}

/// The next lease that a foot leads to.
pub fn decode_foot(b: &[u8], salt: u64, page: u64) -> Option<Lease> {
    let b = b.get(..FOOT_LEN)?;
    let sound = u32_at(b, 4) == FOOT_MAGIC && u32_at(b, 0) == crc32c(seed(salt, page), &b[4..]);
    let next = Lease { start: u64_at(b, 8), pages: u32_at(b, 16) };
    (sound && next.start > page && (1..=LEASE_PAGES_MAX).contains(&next.pages)).then_some(next)
}

// The body of a superblock, from byte 64 of its page. Copy generation % 2 is written; the newer
// sound copy holds.
//
//    0 u32  crc32c of bytes 4..len
//    4 u32  len: bytes of the body, 72 + 8 * runs
//    8 u64  generation
//   16 u32  incompatible features: who does not know one must not touch the store
//   20 u32  read-compatible features: who does not know one must not write
//   24 u32  compatible features
//   28 u32  pages of a catalog run: 32
//   32 [16] id of the store
//   48 i64  created, microseconds since 1970
//   56 u64  hash of the machine that made it
//   64 u32  number of catalog runs
//   68 u32  0
//   72 u64  first page of run 0, of run 1, ...

/// Incompatible feature bits this version understands.
pub const INCOMPAT_KNOWN: u32 = 0;
/// Read-compatible feature bits this version understands.
pub const RO_COMPAT_KNOWN: u32 = 0;
const S_LEN: usize = 4;
const S_GENERATION: usize = 8;
const S_INCOMPAT: usize = 16;
const S_RO_COMPAT: usize = 20;
const S_COMPAT: usize = 24;
const S_RUN_PAGES: usize = 28;
const S_ID: usize = 32;
const S_CREATED: usize = 48;
const S_MACHINE: usize = 56;
const S_RUNS: usize = 64;
const S_RUN: usize = 72;

/// A superblock, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Super {
    /// Counts its writings; the newer of two copies holds.
    pub generation: u64,
    /// Features that an older program must not meet.
    pub incompat: u32,
    /// Features that an older program may read over.
    pub ro_compat: u32,
    /// Features that an older program need not know.
    pub compat: u32,
    /// Id of the store.
    pub id: [u8; 16],
    /// When it was made, microseconds since 1970.
    pub created_us: i64,
    /// Which machine made it; 0 when unknown.
    pub machine: u64,
    /// First page of each catalog run.
    pub runs: Vec<u64>,
}

impl Super {
    /// The whole page that holds this superblock: copy `generation % 2`.
    pub fn encode(&self) -> Box<[u8; PAGE_LEN]> {
        debug_assert!(self.runs.len() <= RUNS_MAX);
        let mut page = Box::new([0; PAGE_LEN]);
        let header = PageHeader {
            page: self.generation % 2,
            chain: ChainId { salt: 0, kind: Kind::Super, tag: 0 },
            slot: 0,
            seq: 0,
            lease: Lease { start: self.generation % 2, pages: 1 },
            t_us: 0,
            fseq: 0,
            pos: 0,
        };
        put(&mut page[..], 0, header.encode());
        let b = &mut page[HEADER_LEN..];
        let len = S_RUN + 8 * self.runs.len();
        put(b, S_LEN, (len as u32).to_le_bytes());
        put(b, S_GENERATION, self.generation.to_le_bytes());
        put(b, S_INCOMPAT, self.incompat.to_le_bytes());
        put(b, S_RO_COMPAT, self.ro_compat.to_le_bytes());
        put(b, S_COMPAT, self.compat.to_le_bytes());
        put(b, S_RUN_PAGES, RUN_PAGES.to_le_bytes());
        put(b, S_ID, self.id);
        put(b, S_CREATED, self.created_us.to_le_bytes());
        put(b, S_MACHINE, self.machine.to_le_bytes());
        put(b, S_RUNS, (self.runs.len() as u32).to_le_bytes());
        for (i, run) in self.runs.iter().enumerate() {
            put(b, S_RUN + 8 * i, run.to_le_bytes());
        }
        let crc = crc32c(0, &b[S_LEN..len]);
        put(b, 0, crc.to_le_bytes());
        page
    }

    /// The superblock on `bytes`, read from page `copy` (0 or 1).
    pub fn decode(bytes: &[u8], copy: u64) -> Option<Super> {
        let header = PageHeader::decode(bytes, copy)?;
        if header.chain.kind != Kind::Super {
            return None;
        }
        let b = bytes.get(HEADER_LEN..PAGE_LEN)?;
        let len = u32_at(b, S_LEN) as usize;
        let count = u32_at(b, S_RUNS) as usize;
        let sound = count <= RUNS_MAX
            && len == S_RUN + 8 * count
            && u32_at(b, 0) == crc32c(0, b.get(S_LEN..len)?)
            && u32_at(b, S_RUN_PAGES) == RUN_PAGES
            && u64_at(b, S_GENERATION) % 2 == copy;
        sound.then(|| Super {
            generation: u64_at(b, S_GENERATION),
            incompat: u32_at(b, S_INCOMPAT),
            ro_compat: u32_at(b, S_RO_COMPAT),
            compat: u32_at(b, S_COMPAT),
            id: array_at(b, S_ID),
            created_us: u64_at(b, S_CREATED) as i64,
            machine: u64_at(b, S_MACHINE),
            runs: (0..count).map(|i| u64_at(b, S_RUN + 8 * i)).collect(),
        })
    }
}

// An entry of the catalog: 128 bytes at 128 + 128 * i of a catalog page, each within one sector of
// the disk, in parts with a checksum of their own (seeded with the slot), so that no update of one
// can damage another.
//
//    0 u32  crc32c of bytes 4..64             identity, written once
//    4 u8   version: 1
//    5 u8   0
//    6 u16  0
//    8 [16] id of the session
//   24 i64  start, microseconds since 1970
//   32 u64  first page of the tape
//   40 u64  first page of the notes
//   48 [16] label
//
//   64 u32  crc32c of bytes 68..104           status, rewritten by the owner and by who seals
//   68 u8   state: 2 ended, 3 lost
//   69 u8   kind of exit: 0 unknown, 1 code, 2 signal
//   70 u16  exit code or signal
//   72 i64  end, microseconds since 1970
//   80 u64  bytes of stdout
//   88 u32  seq of the tape's last page
//   92 u32  seq of the last page of the notes, or of the pack
//   96 u16  seq of the tape's next frame
//   98 u16  seq of the next frame of the notes, or of the pack
//  100 u32  0
//
//  104 u32  crc32c of id, "PACK", page | u32 first page of the pack     written once
//  112 u32  crc32c of id, "TAPE"       | u32 "TAPE": the tape is pruned written once
//  120 u32  crc32c of id, "GONE"       | u32 "GONE": deleted            written once

/// Bytes of a catalog entry.
pub const ENTRY_LEN: usize = 128;
/// Entries on a page of the catalog.
pub const ENTRIES_PER_PAGE: u32 = 127;
/// Sessions in a run of the catalog.
pub const SLOTS_PER_RUN: u32 = ENTRIES_PER_PAGE * RUN_PAGES;
/// Sessions in a store.
pub const SLOTS_MAX: u32 = SLOTS_PER_RUN * RUNS_MAX as u32;
/// Bytes of an entry's identity part.
pub const IDENTITY_LEN: usize = 64;
/// Where the status part stands in an entry.
pub const STATUS_AT: usize = 64;
/// Bytes of the status part.
pub const STATUS_LEN: usize = 40;
const CELL_MAGIC: [u32; 3] =
    [u32::from_le_bytes(*b"PACK"), u32::from_le_bytes(*b"TAPE"), u32::from_le_bytes(*b"GONE")];

/// The part of an entry that says which session it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Id of the session.
    pub id: [u8; 16],
    /// Start, microseconds since 1970.
    pub start_us: i64,
    /// First page of the tape.
    pub tape_head: u64,
    /// First page of the notes.
    pub notes_head: u64,
    /// For listing without reading the notes.
    pub label: [u8; 16],
}

impl Identity {
    /// The bytes of this part in `slot`.
    pub fn encode(&self, slot: u32) -> [u8; IDENTITY_LEN] {
        let mut b = [0; IDENTITY_LEN];
        b[4] = 1;
        put(&mut b, 8, self.id);
        put(&mut b, 24, self.start_us.to_le_bytes());
        put(&mut b, 32, self.tape_head.to_le_bytes());
        put(&mut b, 40, self.notes_head.to_le_bytes());
        put(&mut b, 48, self.label);
        let crc = crc32c(slot, &b[4..]);
        put(&mut b, 0, crc.to_le_bytes());
        b
    }

    /// The identity in the entry `b` of `slot`.
    pub fn decode(b: &[u8; ENTRY_LEN], slot: u32) -> Option<Identity> {
        let sound = u32_at(b, 0) == crc32c(slot, &b[4..IDENTITY_LEN]) && b[4] == 1;
        sound.then(|| Identity {
            id: array_at(b, 8),
            start_us: u64_at(b, 24) as i64,
            tape_head: u64_at(b, 32),
            notes_head: u64_at(b, 40),
            label: array_at(b, 48),
        })
    }
}

/// How a recorded command ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Nobody saw.
    #[default]
    Unknown,
    /// With this exit code.
    Code(u16),
    /// By this signal.
    Signal(u16),
}

/// The part of an entry that says how its session ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The recorder died before the end; someone else wrote this part.
    pub lost: bool,
    /// How the command ended.
    pub exit: Exit,
    /// End, microseconds since 1970.
    pub end_us: i64,
    /// Bytes of stdout.
    pub out_bytes: u64,
    /// Seq of the tape's last page.
    pub tape_seq: u32,
    /// Seq of the last page of the notes, or of the pack.
    pub notes_seq: u32,
    /// Seq of the tape's next frame.
    pub tape_fseq: u16,
    /// Seq of the next frame of the notes, or of the pack.
    pub notes_fseq: u16,
}

impl Status {
    /// The bytes of this part in `slot`.
    pub fn encode(&self, slot: u32) -> [u8; STATUS_LEN] {
        let mut b = [0; STATUS_LEN];
        b[4] = if self.lost { 3 } else { 2 };
        let (kind, value) = match self.exit {
            Exit::Unknown => (0, 0),
            Exit::Code(code) => (1, code),
            Exit::Signal(signal) => (2, signal),
        };
        b[5] = kind;
        put(&mut b, 6, value.to_le_bytes());
        put(&mut b, 8, self.end_us.to_le_bytes());
        put(&mut b, 16, self.out_bytes.to_le_bytes());
        put(&mut b, 24, self.tape_seq.to_le_bytes());
        put(&mut b, 28, self.notes_seq.to_le_bytes());
        put(&mut b, 32, self.tape_fseq.to_le_bytes());
        put(&mut b, 34, self.notes_fseq.to_le_bytes());
        let crc = crc32c(slot, &b[4..]);
        put(&mut b, 0, crc.to_le_bytes());
        b
    }

    /// The status in the entry `b` of `slot`.
    pub fn decode(b: &[u8; ENTRY_LEN], slot: u32) -> Option<Status> {
        let b = &b[STATUS_AT..STATUS_AT + STATUS_LEN];
        if u32_at(b, 0) != crc32c(slot, &b[4..]) || !(2..=3).contains(&b[4]) {
            return None;
        }
        let value = u16_at(b, 6);
        Some(Status {
            lost: b[4] == 3,
            exit: match b[5] {
                1 => Exit::Code(value),
                2 => Exit::Signal(value),
                _ => Exit::Unknown,
            },
            end_us: u64_at(b, 8) as i64,
            out_bytes: u64_at(b, 16),
            tape_seq: u32_at(b, 24),
            notes_seq: u32_at(b, 28),
            tape_fseq: u16_at(b, 32),
            notes_fseq: u16_at(b, 34),
        })
    }
}

/// What a write-once cell of an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Both chains are in the pack that starts at this page.
    Packed(u32),
    /// The tape is pruned.
    TapePruned,
    /// The session is deleted.
    Deleted,
}

impl Cell {
    fn index(self) -> usize {
        match self {
            Cell::Packed(_) => 0,
            Cell::TapePruned => 1,
            Cell::Deleted => 2,
        }
    }

    /// Where this cell stands in an entry.
    pub fn at(self) -> usize {
        STATUS_AT + STATUS_LEN + 8 * self.index()
    }

    /// The bytes of this cell for session `id` in `slot`.
    pub fn encode(self, slot: u32, id: &[u8; 16]) -> [u8; 8] {
        let value = match self {
            Cell::Packed(page) => page,
            other => CELL_MAGIC[other.index()],
        };
        let mut b = [0; 8];
        put(&mut b, 4, value.to_le_bytes());
        let crc = crc32c(slot, id);
        let crc = crc32c(crc, &CELL_MAGIC[self.index()].to_le_bytes());
        let crc = crc32c(crc, &b[4..]);
        put(&mut b, 0, crc.to_le_bytes());
        b
    }
}

/// The cells of the entry `b` of `slot`, which belongs to session `id`.
pub fn decode_cells(b: &[u8; ENTRY_LEN], slot: u32, id: &[u8; 16]) -> [Option<Cell>; 3] {
    let page = u32_at(b, Cell::Packed(0).at() + 4);
    [Cell::Packed(page), Cell::TapePruned, Cell::Deleted].map(|cell| {
        let there: [u8; 8] = array_at(b, cell.at());
        (there != [0; 8] && there == cell.encode(slot, id)).then_some(cell)
    })
}

/// Where an entry stands in its catalog page.
pub fn entry_at(index: u32) -> usize {
    ENTRY_LEN + ENTRY_LEN * index as usize
}

/// Whether all of `bytes`, at most a page, is zero.
pub fn is_zero(bytes: &[u8]) -> bool {
    static ZERO: [u8; PAGE_LEN] = [0; PAGE_LEN];
    ZERO.get(..bytes.len()) == Some(bytes)
}

fn put<const N: usize>(b: &mut [u8], at: usize, value: [u8; N]) {
    b[at..at + N].copy_from_slice(&value);
}

pub(super) fn array_at<const N: usize>(b: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&b[at..at + N]);
    array
}

pub(super) fn u16_at(b: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(b, at))
}

pub(super) fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(b, at))
}

pub(super) fn u64_at(b: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(b, at))
}

#[cfg(test)]
mod tests;
