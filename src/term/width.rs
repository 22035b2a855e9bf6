//! How many cells a character takes, and which characters share a cell.

use super::width_table::RANGES;

/// How sequences of characters that draw one picture are measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WidthMode {
    /// A picture drawn from several characters (variation selector 16, joiner sequences, flags,
    /// skin tones) takes two cells, as Ghostty, kitty, Ink and ratatui measure.
    #[default]
    Cluster,
    /// Every character has its own width, as xterm, tmux and Alacritty measure.
    Legacy,
}

impl WidthMode {
    /// The names.
    pub const NAMES: &[&str] = &["cluster", "legacy"];

    /// The mode of this name.
    pub fn from_name(name: &str) -> Option<WidthMode> {
        match name {
            "cluster" => Some(WidthMode::Cluster),
            "legacy" => Some(WidthMode::Legacy),
            _ => None,
        }
    }
}

/// Takes no cell: it joins the one before.
pub(super) const ZERO: u8 = 1;
/// Takes two cells.
pub(super) const WIDE: u8 = 2;
/// Extended_Pictographic: what follows a joiner in a joiner sequence.
pub(super) const PICT: u8 = 4;
/// An emoji with a text default: variation selector 16 makes it wide.
pub(super) const TEXT: u8 = 8;
/// A skin tone.
pub(super) const SKIN: u8 = 16;
/// A regional indicator: two of them are one flag.
pub(super) const FLAG: u8 = 32;

pub(super) const ZWJ: u32 = 0x200d;
pub(super) const VS16: u32 = 0xfe0f;
/// The byte order mark draws nothing and joins nothing.
pub(super) const BOM: u32 = 0xfeff;

/// Code points that the table speaks of.
const TABLE_LEN: usize = 0x20000;

/// Code points of a block. Blocks that have one class throughout are shared.
const BLOCK_LEN: usize = 64;

/// Blocks that differ from each other.
const BLOCKS: usize = blocks().1;

/// The number of the block of every 64 code points.
static INDEX: [u16; TABLE_LEN / BLOCK_LEN] = blocks().0;

/// The classes of the blocks.
static TABLE: [[u8; BLOCK_LEN]; BLOCKS] = table();

const fn classes() -> [u8; TABLE_LEN] {
    let mut classes = [0; TABLE_LEN];
    let mut r = 0;
    while r < RANGES.len() {
        let (first, last, class) = RANGES[r];
        let mut c = first;
        while c <= last {
            classes[c as usize] = class;
            c += 1;
        }
        r += 1;
    }
    classes
}

/// The block numbers, and how many blocks there are.
const fn blocks() -> ([u16; TABLE_LEN / BLOCK_LEN], usize) {
    const NONE: u16 = u16::MAX;
    let classes = classes();
    let mut index = [0; TABLE_LEN / BLOCK_LEN];
    // The block that has nothing but this class.
    let mut uniform = [NONE; 256];
    let mut count = 0;
    let mut block = 0;
    while block < index.len() {
        let start = block * BLOCK_LEN;
        let class = classes[start];
        let mut same = 1;
        while same < BLOCK_LEN && classes[start + same] == class {
            same += 1;
        }
        if same < BLOCK_LEN || uniform[class as usize] == NONE {
            if same == BLOCK_LEN {
                uniform[class as usize] = count;
            }
            index[block] = count;
            count += 1;
        } else {
            index[block] = uniform[class as usize];
        }
        block += 1;
    }
    (index, count as usize)
}

const fn table() -> [[u8; BLOCK_LEN]; BLOCKS] {
    let (classes, (index, _)) = (classes(), blocks());
    let mut table = [[0; BLOCK_LEN]; BLOCKS];
    let mut c = 0;
    while c < TABLE_LEN {
        table[index[c / BLOCK_LEN] as usize][c % BLOCK_LEN] = classes[c];
        c += 1;
    }
    table
}

/// The class bits of a code point. Above the table lie only ideographs (wide), tags and variation
/// selectors (zero) and private use.
#[inline]
pub(super) fn class(c: u32) -> u8 {
    match INDEX.get(c as usize / BLOCK_LEN) {
        Some(block) => TABLE[*block as usize][c as usize % BLOCK_LEN],
        None => match c {
            0x20000..=0x2fffd | 0x30000..=0x3fffd => WIDE,
            0xe0000..=0xe0fff => ZERO,
            _ => 0,
        },
    }
}

/// The cells one class takes when it stands alone: 0, 1 or 2.
#[inline]
pub(super) fn class_width(class: u8) -> usize {
    match class & (ZERO | WIDE) {
        0 => 1,
        ZERO => 0,
        _ => 2,
    }
}

/// The cells `c` takes when it stands alone: 0, 1 or 2. Control characters count as 0.
pub fn char_width(c: char) -> usize {
    match c as u32 {
        0..0x20 | 0x7f..0xa0 => 0,
        c => class_width(class(c)),
    }
}

/// The cells `text` takes, measured as `mode` says. Control characters take none.
pub fn text_width(text: &str, mode: WidthMode) -> usize {
    let mut total = 0;
    let mut cluster = Cluster::default();
    for c in text.chars() {
        let width = char_width(c);
        match cluster.push(c as u32, mode) {
            Join::New => total += width,
            Join::Same => {}
            Join::Widen => total += 1,
        }
    }
    total
}

/// What the next character does to the cluster before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// It begins a cell of its own.
    New,
    /// It joins the cell, whose width stays.
    Same,
    /// It joins the cell and makes it two cells wide.
    Widen,
}

/// What must be known of a cluster to say whether the next character joins it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cluster {
    first: u32,
    last: u32,
    count: u32,
    wide: bool,
}

impl Cluster {
    /// The cluster of these code points, drawn `wide` or not.
    pub(super) fn of(chars: impl Iterator<Item = u32>, wide: bool) -> Cluster {
        let mut cluster = Cluster { wide, ..Cluster::default() };
        for c in chars {
            if cluster.count == 0 {
                cluster.first = c;
            }
            cluster.last = c;
            cluster.count += 1;
        }
        cluster
    }

    /// What `c` does after this cluster.
    pub(super) fn join(&self, c: u32, mode: WidthMode) -> Join {
        let class_c = class(c);
        let joins = match mode {
            WidthMode::Legacy => return if class_c & ZERO != 0 { Join::Same } else { Join::New },
            WidthMode::Cluster if self.count == 0 => class_c & ZERO != 0,
            WidthMode::Cluster => {
                class_c & ZERO != 0
                    || (self.last == ZWJ && class_c & PICT != 0 && class(self.first) & PICT != 0)
                    || (class_c & FLAG != 0 && self.count == 1 && class(self.first) & FLAG != 0)
                    || (class_c & SKIN != 0 && class(self.last) & PICT != 0)
            }
        };
        let widens = !self.wide
            && self.count > 0
            && match c {
                VS16 => class(self.last) & TEXT != 0,
                _ => class_c & ZERO == 0,
            };
        match (joins, widens) {
            (false, _) => Join::New,
            (true, false) => Join::Same,
            (true, true) => Join::Widen,
        }
    }

    fn push(&mut self, c: u32, mode: WidthMode) -> Join {
        let join = self.join(c, mode);
        if join == Join::New {
            *self = Cluster { first: c, last: c, count: 1, wide: class_width(class(c)) == 2 };
        } else {
            self.last = c;
            self.count += 1;
            self.wide |= join == Join::Widen;
        }
        join
    }
}
