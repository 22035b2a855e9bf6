//! One hit anywhere costs the records of the page that was hit and of no other, and verify names
//! the session.

use crate::images;
use crate::memory::{Base, Memory};
use crate::random::Random;
use intentloop::store::layout::{
    BLOCK, BlockHeader, CONT, FIRST_LEASE, FrameAt, FrameHeader, HEADER_LEN, MORE, PageHeader, seed,
};
use intentloop::store::{Chain, Item, Problem, Store, StreamId, salvage_from};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A frame as a reader returns it: session, chain, time, and a sum of its bytes.
type Frame = (u8, Chain, u64, u64);
const CHAINS: [Chain; 2] = [Chain::Notes, Chain::Tape];

/// What hits cost.
#[derive(Debug, Default)]
pub struct Loss {
    pub hits: u64,
    pub records: u64,
    pub most: u64,
}

fn frames(store: &Store) -> Vec<Frame> {
    let mut all = Vec::new();
    for entry in store.entries().expect("entries") {
        for chain in CHAINS {
            let mut reader = store.read(&entry, chain);
            loop {
                match reader.next() {
                    Item::Frame { t_us, bytes, .. } => {
                        let sum = intentloop::sys::crc::crc32c(0, bytes);
                        all.push((entry.id[15], chain, t_us, u64::from(sum)));
                    }
                    Item::Gap { .. } => {}
                    Item::Tail | Item::End => break,
                }
            }
        }
    }
    all
}

/// The records, by session, chain and time, that stand on each page, wholly or in part.
fn records_by_page(base: &Base) -> BTreeMap<u64, BTreeSet<(u8, Chain, u64)>> {
    let mut found: BTreeMap<u64, BTreeSet<(u8, Chain, u64)>> = BTreeMap::new();
    // Of a pack: the pages of the block that is open, by session.
    let mut open: BTreeMap<u64, (Vec<u64>, Vec<u8>)> = BTreeMap::new();
    for page in base.used() {
        let bytes = base.page(page);
        let Some(header) = PageHeader::decode(&bytes, page) else { continue };
        let n = header.chain.salt.to_le_bytes()[7];
        let (mut at, end) = (HEADER_LEN, header.lease.data_end(page));
        let seed = seed(header.chain.salt, page);
        while let FrameAt::Frame(frame) = FrameHeader::decode(&bytes[at.min(end)..end], seed, true)
        {
            let payload = &bytes[at + 16..at + 16 + usize::from(frame.len)];
            at += frame.stride();
            if frame.flags & BLOCK == 0 {
                found.entry(page).or_default().insert((n, frame.stream.chain(), frame.t_us));
                continue;
            }
            if frame.flags & CONT == 0 {
                open.insert(header.chain.salt, Default::default());
            }
            let (pages, head) = open.get_mut(&header.chain.salt).expect("a block begun");
            pages.push(page);
            head.extend_from_slice(payload);
            if frame.flags & MORE == 0 {
                let block = BlockHeader::decode(head).expect("a block");
                let chain =
                    if frame.stream == StreamId::STDOUT { Chain::Tape } else { Chain::Notes };
                // Times count the records, and there are no more of them than frames.
                for t_us in block.t_us..=block.t_us + u64::from(block.count) * 5 {
                    for page in &*pages {
                        found.entry(*page).or_default().insert((n, chain, t_us));
                    }
                }
            }
        }
    }
    found
}

/// Hits a store `count` times, anew each time, and compares what is left.
pub fn hit(count: u64) -> Loss {
    let base = images::sessions(40_000);
    let used = base.used();
    let by_page = records_by_page(&base);
    let whole = frames(&Store::on(Arc::new(Memory::on(&base)), [1; 16]).expect("a store"));
    let mut loss = Loss::default();
    for n in 0..count {
        let mut random = Random::new(n);
        let page_no = used[random.below(used.len() as u64) as usize];
        let mut page = base.page(page_no);
        let end = page.iter().rposition(|&byte| byte != 0).expect("a used page") as u64 + 1;
        let at = random.below(end) as usize;
        match n % 3 {
            0 => page[at] ^= 1 << random.below(8),
            1 => page[at / 512 * 512..at / 512 * 512 + 512].fill(0),
            _ => page.iter_mut().for_each(|byte| *byte = random.next() as u8),
        }
        let image = Memory::on(&base);
        image.put(page_no, &page);
        loss.hits += 1;
        let missing = check(n, page_no, image, &whole, &by_page);
        loss.records += missing;
        loss.most = loss.most.max(missing);
    }
    loss
}

/// The number of records that a hit has cost.
fn check(
    n: u64,
    page_no: u64,
    image: Memory,
    whole: &[Frame],
    by_page: &BTreeMap<u64, BTreeSet<(u8, Chain, u64)>>,
) -> u64 {
    let hit = format!("hit {n}, page {page_no}");
    let storage = Arc::new(image);
    let store = Store::on(storage.clone(), [1; 16]).unwrap_or_else(|e| panic!("{hit}: {e}"));
    let left: BTreeSet<Frame> = frames(&store).into_iter().collect();
    let all: BTreeSet<Frame> = whole.iter().copied().collect();
    assert!(left.is_subset(&all), "{hit}: frames that nobody wrote");
    let report = store.verify(&mut |_| {}).expect("a report");
    let lost: BTreeSet<(u8, Chain, u64)> =
        all.difference(&left).map(|frame| (frame.0, frame.1, frame.2)).collect();
    if page_no < FIRST_LEASE {
        // The catalog is an index: the pages themselves still tell all.
        let said = store.entries().expect("entries").count() < 4 || report.problem_count > 0;
        assert!(lost.is_empty() || said, "{hit}: nothing said");
        let saved = Memory::empty();
        let into = Store::on(Arc::new(saved), [2; 16]).expect("a store");
        salvage_from(storage, &into, &mut |_| {}).unwrap_or_else(|e| panic!("{hit}: {e}"));
        let saved: BTreeSet<Frame> = frames(&into).into_iter().collect();
        assert!(all.is_subset(&saved), "{hit}: not saved");
        return 0;
    }
    let none = BTreeSet::new();
    let on_page = by_page.get(&page_no).unwrap_or(&none);
    let elsewhere: Vec<_> = lost.difference(on_page).collect();
    assert!(elsewhere.is_empty(), "{hit}: lost on other pages: {elsewhere:?}");
    for (session, chain, t_us) in &lost {
        // The last words of one that was killed, and of what was added after the end, could have
        // been cut short as they were written: nobody had noted how far they go.
        let open =
            *session == images::KILLED || (*session == images::ADDED_TO && *chain == Chain::Notes);
        let last = |it: &&Frame| (it.0, it.1) == (*session, *chain) && it.2 > *t_us;
        if open && !left.iter().any(|frame| last(&frame)) {
            continue;
        }
        let named = report.problems.iter().any(|problem| match problem {
            Problem::Frames { id, chain: of, .. } => id[15] == *session && of == chain,
            _ => false,
        });
        assert!(named, "{hit}: not named: {lost:?} {:?}", report.problems);
    }
    lost.len() as u64
}
