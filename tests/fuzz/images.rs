//! Store images to start from, and what is done to them.

use crate::memory::{Base, Memory};
use crate::random::Random;
use intentloop::store::layout::{
    BLOCK, BlockHeader, ENTRIES_PER_PAGE, ENTRY_LEN, FrameAt, FrameHeader, HEADER_LEN, Identity,
    PAGE_LEN, PageHeader, Status, Super, decode_cells, decode_foot, decode_identity_frame,
    entry_at, seed,
};
use intentloop::store::storage::Storage;
use intentloop::store::{
    Chain, Entry, Exit, Item, NewSession, Reader, Store, StreamId, salvage_from,
};
use intentloop::sys::crc::crc32c;
use std::sync::Arc;

/// Records of a session of the base image.
const RECORDS: u64 = 30;

/// The session that notes were added to after its end, and the one whose writer was killed.
pub const ADDED_TO: u8 = 2;
pub const KILLED: u8 = 4;

/// Bytes that compress about as well as a terminal's.
pub fn content(session: u8, index: u64, len: usize) -> Vec<u8> {
    let words = ["\x1b[2K", "building ", "ok\r\n", "\x1b[38;5;12m", "error ", "42 "];
    let mut random = Random::new(u64::from(session) << 32 | index);
    let mut bytes = Vec::new();
    while bytes.len() < len {
        bytes.extend_from_slice(words[random.below(6) as usize].as_bytes());
        bytes.push(random.next() as u8);
    }
    bytes.truncate(len);
    bytes
}

fn record_len(index: u64, long: usize) -> usize {
    if index == RECORDS / 2 { long } else { 40 + index as usize * 7 }
}

fn session(store: &Store, n: u8, long: usize) -> intentloop::store::Writer {
    let mut id = [n; 16];
    id[6] = 0x70;
    let new = NewSession { id, start_us: i64::from(n), label: [n; 16], meta: b"{\"v\":1}" };
    let mut writer = store.begin(&new).expect("a session");
    for index in 1..RECORDS {
        let stream = match index % 5 {
            0 => StreamId::EVENTS,
            1 => StreamId::CONVERSATION,
            _ => StreamId::STDOUT,
        };
        writer.append(stream, index, &content(n, index, record_len(index, long)));
    }
    writer
}

fn find(store: &Store, n: u8) -> Entry {
    store.entries().expect("entries").find(|entry| entry.id[15] == n).expect("the session")
}

/// A store with a session of each kind: ended, packed with notes added, pruned, killed, deleted.
/// `long` is the length of each session's one long record.
pub fn sessions(long: usize) -> Arc<Base> {
    let memory = Memory::empty();
    let store = Store::on(Arc::new(memory.clone()), [7; 16]).expect("a store");
    for n in 1..=5 {
        let writer = session(&store, n, long);
        match n {
            KILLED => drop(writer),
            _ => drop(writer.end(Exit::Code(n.into()), 99).expect("an end")),
        }
    }
    assert!(store.pack(&find(&store, ADDED_TO)).expect("a pack"));
    let mut writer = store.resume(&find(&store, ADDED_TO)).expect("more");
    writer.append(StreamId::REPORT, RECORDS, &content(ADDED_TO, RECORDS, 500));
    writer.end(Exit::Unknown, 0).expect("an end");
    store.prune_tape(&[find(&store, 3)], &mut |_| {}).expect("room");
    store.remove(&[find(&store, 5)], &mut |_| {}).expect("room");
    memory.into_base()
}

/// Changes one to four things.
pub fn mutated(base: &Arc<Base>, used: &[u64], random: &mut Random) -> Memory {
    let image = Memory::on(base);
    for _ in 0..1 + random.below(4) {
        let page_no = used[random.below(used.len() as u64) as usize];
        let mut page = [0; PAGE_LEN];
        let _ = image.read_at(page_no * PAGE_LEN as u64, &mut page);
        mutate(&mut page, page_no, base, used, random);
        image.put(page_no, &page);
    }
    if random.below(16) == 0 {
        image.truncate(random.below(base.pages() * PAGE_LEN as u64 + 1));
    }
    image
}

fn mutate(page: &mut [u8; PAGE_LEN], page_no: u64, base: &Base, used: &[u64], random: &mut Random) {
    let end = page.iter().rposition(|&byte| byte != 0).map_or(64, |last| last + 1);
    let at = random.below(end as u64) as usize;
    match random.below(9) {
        0 => page[at] ^= 1 << random.below(8),
        1 => page[at] = random.next() as u8,
        2 => page[at / 512 * 512..at / 512 * 512 + 512].fill(0),
        3 => page.iter_mut().for_each(|byte| *byte = random.next() as u8),
        4 => *page = base.page(used[random.below(used.len() as u64) as usize]),
        // A field with an extreme value, and a checksum that says it is right.
        5 | 6 => {
            let (at, len) = (random.below(14) as usize * 4 + 8, 1 << random.below(4));
            extreme(&mut page[at..(at + len).min(HEADER_LEN)], random);
            let crc = crc32c(0, &page[8..HEADER_LEN]);
            page[4..8].copy_from_slice(&crc.to_le_bytes());
        }
        _ => mutate_frame(page, page_no, random),
    }
}

fn extreme(field: &mut [u8], random: &mut Random) {
    let value = [0, 1, u64::MAX, u64::MAX >> 1, 1 << 63, random.next(), random.below(300)];
    let value = value[random.below(7) as usize].to_le_bytes();
    for (byte, new) in field.iter_mut().zip(value) {
        *byte = new;
    }
}

/// Changes a frame, payload or header, and gives it the checksum of what it is then.
fn mutate_frame(page: &mut [u8; PAGE_LEN], page_no: u64, random: &mut Random) {
    let Some(header) = PageHeader::decode(page, page_no) else { return };
    let seed = seed(header.chain.salt, page_no);
    let mut frames = Vec::new();
    let mut at = HEADER_LEN;
    while let FrameAt::Frame(frame) = FrameHeader::decode(&page[at.min(PAGE_LEN)..], seed, true) {
        frames.push((at, usize::from(frame.len)));
        at += frame.stride();
    }
    if frames.is_empty() {
        return;
    }
    let (at, len) = frames[random.below(frames.len() as u64) as usize];
    let mut end = at + 16 + len;
    match random.below(4) {
        0 => extreme(&mut page[at + 4..at + 16], random),
        1 => page[at + 7] ^= 1 << random.below(5),
        // Of a block: its header, the codes, the codes of the codes.
        _ if len > 0 => {
            let inside = at + 16 + random.below(len.min(120) as u64) as usize;
            let n = 1 + random.below(8) as usize;
            extreme(&mut page[inside..(inside + n).min(end)], random);
        }
        _ => {}
    }
    let len = usize::from(u16::from_le_bytes([page[at + 4], page[at + 5]]));
    end = if at + 16 + len <= PAGE_LEN { at + 16 + len } else { end };
    let crc = crc32c(seed, &page[at + 4..end]);
    page[at..at + 4].copy_from_slice(&crc.to_le_bytes());
}

/// One case in so many also seeks, and one in so many is also salvaged, which compresses what it
/// finds and takes as long as hundreds of others.
const SEEK_EVERY: u64 = 4;
const SALVAGE_EVERY: u64 = 200;

/// Opens, lists, finds, reads and verifies what case `n` is.
pub fn check(image: Memory, n: u64) {
    let storage: Arc<dyn Storage> = Arc::new(image);
    if let Ok(store) = Store::on(Arc::clone(&storage), [1; 16]) {
        let entries: Vec<Entry> = store.entries().map_or(Vec::new(), Iterator::collect);
        for entry in &entries {
            for chain in [Chain::Notes, Chain::Tape] {
                let mut reader = store.read(entry, chain);
                read_all(&mut reader);
                if n.is_multiple_of(SEEK_EVERY) {
                    reader.seek_time(RECORDS / 2);
                    read_all(&mut reader);
                    reader.seek_byte(700);
                    read_all(&mut reader);
                }
            }
            let _ = store.last_record(entry, StreamId::META);
        }
        let _ = store.find("02", 5);
        let _ = store.verify(&mut |_| {});
    }
    if n.is_multiple_of(SALVAGE_EVERY) {
        let saved = Store::on(Arc::new(Memory::empty()), [2; 16]).expect("a store");
        let _ = salvage_from(storage, &saved, &mut |_| {});
        assert_eq!(saved.verify(&mut |_| {}).expect("a report").problems, [], "a sound salvage");
    }
}

/// Reads a mutated page as everything that a page may be; what it holds lies within it.
pub fn check_page(base: &Arc<Base>, used: &[u64], random: &mut Random) {
    let no = used[random.below(used.len() as u64) as usize];
    let mut page = base.page(no);
    for _ in 0..1 + random.below(3) {
        mutate(&mut page, no, base, used, random);
    }
    if let Some(header) = PageHeader::decode(&page, no) {
        assert!(header.page == no && header.lease.has(no));
        let end = header.lease.data_end(no);
        let salt = header.chain.salt;
        // Also what no checksum vouches for must not be believed.
        for check_crc in [true, false] {
            let mut at = HEADER_LEN;
            while let FrameAt::Frame(frame) =
                FrameHeader::decode(&page[at.min(end)..end], seed(salt, no), check_crc)
            {
                let payload = &page[at + 16..at + 16 + usize::from(frame.len)];
                assert!(at + 16 + payload.len() <= end);
                let _ = decode_identity_frame(payload);
                if frame.flags & BLOCK != 0 {
                    let _ = BlockHeader::decode(payload);
                }
                at += frame.stride();
            }
        }
        let foot_at = (header.lease.foot_at() % PAGE_LEN as u64) as usize;
        let _ = decode_foot(&page[foot_at..], salt, no);
    }
    let _ = Super::decode(&page, no);
    for index in 0..ENTRIES_PER_PAGE {
        let at = entry_at(index);
        let Some((entry, _)) = page[at..].split_first_chunk::<ENTRY_LEN>() else { continue };
        let identity = Identity::decode(entry, index);
        let _ = Status::decode(entry, index);
        let _ = decode_cells(entry, index, &identity.map_or([0; 16], |identity| identity.id));
    }
}

fn read_all(reader: &mut Reader) {
    for _ in 0..100_000 {
        if matches!(reader.next(), Item::End | Item::Tail) {
            return;
        }
    }
    panic!("the reader does not come to an end");
}
