use super::*;

fn header() -> PageHeader {
    PageHeader {
        page: 39,
        chain: ChainId { salt: 0x1122_3344_5566_7788, kind: Kind::Tape, tag: 35 },
        slot: 7,
        seq: 4,
        lease: Lease { start: 39, pages: 8 },
        t_us: 123_456_789,
        fseq: 0xfffe,
        pos: 65_216,
    }
}

/// The oracle is the drawing in the manual page: these bytes were laid out by hand from it.
#[test]
fn a_page_header_is_as_drawn() {
    let b = header().encode();
    assert_eq!(&b[..4], b"ILP1");
    assert_eq!(b[8..16], [39, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(b[16..24], [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]);
    assert_eq!(b[24..32], [7, 0, 0, 0, 4, 0, 0, 0]);
    assert_eq!(b[32..40], [3, 1, 35, 0, 8, 0, 0, 0]);
    assert_eq!(b[40..48], [39, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(b[48..56], [0x15, 0xcd, 0x5b, 0x07, 0, 0, 0xfe, 0xff]);
    assert_eq!(b[56..64], [0xc0, 0xfe, 0, 0, 0, 0, 0, 0]);
    assert_eq!(b[4..8], crc32c(0, &b[8..]).to_le_bytes());
}

/// Flips every bit of `bytes` and expects `decode` to refuse each result, and to accept none.
fn refuses_every_flip(bytes: &[u8], accepts: impl Fn(&[u8]) -> bool) {
    assert!(accepts(bytes));
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!accepts(&flipped), "bit {bit}");
    }
}

#[test]
fn a_page_header_reads_back_and_no_flip_passes() {
    let b = header().encode();
    assert_eq!(PageHeader::decode(&b, 39), Some(header()));
    assert_eq!(PageHeader::decode(&b, 40), None, "a header from another place");
    assert_eq!(PageHeader::decode(&b[..63], 39), None);
    refuses_every_flip(&b, |b| PageHeader::decode(b, 39).is_some());
}

#[test]
fn a_lease_of_the_most_pages_is_sound_and_one_more_is_not() {
    for (pages, sound) in [(LEASE_PAGES_MAX, true), (LEASE_PAGES_MAX + 1, false)] {
        let header = PageHeader { lease: Lease { start: 39, pages }, ..header() };
        assert_eq!(PageHeader::decode(&header.encode(), 39).is_some(), sound);
    }
}

#[test]
fn a_frame_reads_back_and_no_flip_passes() {
    let payload = b"hello, store";
    let frame = FrameHeader {
        len: payload.len() as u16,
        stream: StreamId::STDOUT,
        flags: MORE,
        t_us: TIME_MAX,
        seq: 0x1234,
    };
    let seed = seed(5, 77);
    let mut b = frame.encode(seed, payload).to_vec();
    assert_eq!(b[4..16], [12, 0, 1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x34, 0x12]);
    b.extend_from_slice(payload);
    assert_eq!(FrameHeader::decode(&b, seed, true), FrameAt::Frame(frame));
    assert_eq!(FrameHeader::decode(&b, seed + 1, true), FrameAt::Invalid, "another page's frame");
    assert_eq!(FrameHeader::decode(&[0; 40], seed, true), FrameAt::Zero);
    assert_eq!(FrameHeader::decode(&b[..20], seed, true), FrameAt::Invalid, "payload cut");
    refuses_every_flip(&b, |b| matches!(FrameHeader::decode(b, seed, true), FrameAt::Frame(_)));
}

#[test]
fn a_foot_reads_back_and_no_flip_passes() {
    let next = Lease { start: 90, pages: 8 };
    let b = encode_foot(5, 77, next, 1);
    assert_eq!(decode_foot(&b, 5, 77), Some(next));
    refuses_every_flip(&b, |b| decode_foot(b, 5, 77).is_some());
    let backwards = encode_foot(5, 77, Lease { start: 77, pages: 8 }, 1);
    assert_eq!(decode_foot(&backwards, 5, 77), None, "a chain never leads backwards");
}

#[test]
fn a_superblock_reads_back_and_no_flip_passes() {
    let sup = Super {
        generation: 3,
        incompat: 1,
        ro_compat: 2,
        compat: 4,
        id: *b"0123456789abcdef",
        created_us: -5,
        machine: 99,
        runs: vec![2, 900],
    };
    let page = sup.encode();
    assert_eq!(Super::decode(&page[..], 1), Some(sup));
    assert_eq!(Super::decode(&page[..], 0), None, "the other copy's place");
    let used = HEADER_LEN + S_RUN + 16;
    refuses_every_flip(&page[..used], |b| {
        let mut whole = page.clone();
        whole[..used].copy_from_slice(b);
        Super::decode(&whole[..], 1).is_some()
    });
}

#[test]
fn an_entry_reads_back_and_a_flip_hits_one_part_alone() {
    let identity = Identity {
        id: *b"0123456789abcdef",
        start_us: 1_700_000_000_000_000,
        tape_head: 35,
        notes_head: 34,
        label: *b"claude shop/main",
    };
    let status = Status {
        lost: false,
        exit: Exit::Signal(9),
        end_us: 1_700_000_000_000_001,
        out_bytes: 77,
        tape_seq: 1,
        notes_seq: 2,
        tape_fseq: 3,
        notes_fseq: 4,
    };
    let cells = [Cell::Packed(77), Cell::TapePruned, Cell::Deleted];
    let mut b = [0; ENTRY_LEN];
    b[..IDENTITY_LEN].copy_from_slice(&identity.encode(9));
    b[STATUS_AT..STATUS_AT + STATUS_LEN].copy_from_slice(&status.encode(9));
    for cell in cells {
        b[cell.at()..cell.at() + 8].copy_from_slice(&cell.encode(9, &identity.id));
    }
    let parts = |b: &[u8; ENTRY_LEN]| {
        let cells = decode_cells(b, 9, &identity.id);
        [
            Identity::decode(b, 9) == Some(identity),
            Status::decode(b, 9) == Some(status),
            cells[0] == Some(Cell::Packed(77)),
            cells[1] == Some(Cell::TapePruned),
            cells[2] == Some(Cell::Deleted),
        ]
    };
    assert_eq!(parts(&b), [true; 5]);
    assert_eq!(Identity::decode(&b, 10), None, "another slot's entry");
    for bit in 0..8 * ENTRY_LEN {
        let mut flipped = b;
        flipped[bit / 8] ^= 1 << (bit % 8);
        let sound = parts(&flipped).iter().filter(|sound| **sound).count();
        assert_eq!(sound, 4, "bit {bit}");
    }
}

#[test]
fn no_bytes_make_a_decoder_fail() {
    let mut x = 1u64;
    for _ in 0..20_000 {
        let mut b = [0u8; ENTRY_LEN];
        for byte in &mut b {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (x >> 56) as u8;
        }
        let len = (x >> 8) as usize % ENTRY_LEN;
        assert_eq!(PageHeader::decode(&b[..len], x), None);
        assert_eq!(decode_foot(&b[..len], x, x), None);
        assert_eq!(Super::decode(&b[..len], 0), None);
        assert!(Identity::decode(&b, 1).is_none() && Status::decode(&b, 1).is_none());
        assert!(!matches!(FrameHeader::decode(&b[..len], x as u32, true), FrameAt::Frame(_)));
    }
}
