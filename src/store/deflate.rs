//! DEFLATE (RFC 1951), and a dialect of it for whole blocks of a pack, both ways, for data that has
//! come to rest. Pure functions of bytes; the decoder is total and never makes more output than it
//! was told to expect.

mod parse;

use parse::Parser;

const MATCH_MIN: usize = 3;
const END_OF_BLOCK: usize = 256;
const CODE_LEN_MAX: usize = 15;
/// Most places, most recent first, that a match can name without its distance.
const RECENT_MAX: usize = 3;
/// The order in which the lengths of the code-length code are stored (RFC 1951, 3.2.7).
const LENGTH_ORDER: [usize; 19] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// What can be said in a stream, and how.
#[derive(Debug)]
pub struct Dialect {
    /// How far back a match may reach, and how long it may be.
    reach: usize,
    match_max: usize,
    /// Symbols for literals and lengths, and for distances.
    literals: usize,
    distances: usize,
    /// Distances used last that have a symbol of their own, the first after all distances.
    recent: usize,
    /// Bits of the number of symbols of either code.
    literal_count_bits: u8,
    distance_count_bits: u8,
    /// The longest match has a symbol of its own (RFC 1951, 3.2.5).
    longest_is_special: bool,
}

/// RFC 1951.
pub const PLAIN: Dialect = Dialect {
    reach: 32 << 10,
    match_max: 258,
    literals: 286,
    distances: 30,
    recent: 0,
    literal_count_bits: 5,
    distance_count_bits: 5,
    longest_is_special: true,
};

/// The same with longer arms: a match reaches over a whole block of a pack, may be as long, and can
/// say "from as far back as one of the last three". Lengths and distances go on as they begin.
pub const WIDE: Dialect = Dialect {
    reach: 256 << 10,
    match_max: 64 << 10,
    literals: 257 + 60,
    distances: 36,
    recent: RECENT_MAX,
    literal_count_bits: 6,
    distance_count_bits: 6,
    longest_is_special: false,
};

impl Dialect {
    /// The symbol of a length, and the bits after it: their value and number.
    fn length_symbol(&self, len: usize) -> (usize, u32, u8) {
        if self.longest_is_special && len == self.match_max {
            return (self.literals - 1, 0, 0);
        }
        let over = (len - MATCH_MIN) as u32;
        if over < 8 {
            return (257 + over as usize, 0, 0);
        }
        let extra = over.ilog2() - 2;
        let symbol = 257 + 4 + 4 * extra + ((over >> extra) & 3);
        (symbol as usize, over & ((1 << extra) - 1), extra as u8)
    }

    /// The least length of a symbol, and the number of the bits after it.
    fn length_of(&self, symbol: usize) -> Option<(usize, u8)> {
        if symbol >= self.literals {
            return None;
        }
        if self.longest_is_special && symbol == self.literals - 1 {
            return Some((self.match_max, 0));
        }
        let at = symbol - 257;
        if at < 8 {
            return Some((MATCH_MIN + at, 0));
        }
        let extra = at / 4 - 1;
        Some((MATCH_MIN + ((4 + at % 4) << extra), extra as u8))
    }

    /// The symbol of a distance, as [`Dialect::length_symbol`].
    fn distance_symbol(&self, distance: usize) -> (usize, u32, u8) {
        let back = (distance - 1) as u32;
        if back < 4 {
            return (back as usize, 0, 0);
        }
        let extra = back.ilog2() - 1;
        let symbol = 2 + 2 * extra + ((back >> extra) & 1);
        (symbol as usize, back & ((1 << extra) - 1), extra as u8)
    }

    fn distance_of(&self, symbol: usize) -> Option<(usize, u8)> {
        if symbol >= self.distances {
            return None;
        }
        if symbol < 4 {
            return Some((symbol + 1, 0));
        }
        let extra = symbol / 2 - 1;
        Some((((2 + symbol % 2) << extra) + 1, extra as u8))
    }
}

/// How hard to look for what saves a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// A few tens of megabytes a second.
    Quick,
    /// A few megabytes a second.
    Thorough,
}

/// The distances used last, the most recent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Recent([usize; RECENT_MAX]);

impl Recent {
    fn new() -> Recent {
        Recent([1, 2, 3])
    }

    /// Where `distance` is among them.
    fn place_of(&self, distance: usize) -> Option<usize> {
        self.0.iter().position(|known| *known == distance)
    }

    fn used(&mut self, distance: usize) {
        let place = self.place_of(distance).unwrap_or(RECENT_MAX - 1);
        self.0.copy_within(..place, 1);
        self.0[0] = distance;
    }
}

/// Bytes as they are, or a match: so many bytes from so far back.
#[derive(Clone, Copy, Debug)]
enum Token {
    Literal(u8),
    Match { len: usize, distance: usize },
}

/// Compresses the parts as one stream. Each part gets codes of its own: parts of different nature
/// do not spoil each other's statistics.
pub fn deflate(dialect: &Dialect, effort: Effort, parts: &[&[u8]]) -> Vec<u8> {
    let bytes = parts.concat();
    let mut parser = Parser::new(dialect, effort, &bytes);
    let mut out = BitWriter::default();
    let mut recent = Recent::new();
    let mut end = 0;
    for (i, part) in parts.iter().enumerate() {
        end += part.len();
        loop {
            let tokens = parser.tokens(end, recent);
            let part_done = parser.at == end;
            let last = part_done && i + 1 == parts.len();
            write_block(dialect, &mut out, &tokens, &mut recent, last);
            if part_done {
                break;
            }
        }
    }
    out.finish()
}

/// Decompresses a stream that is known to hold `len` bytes; None if it does not.
pub fn inflate(dialect: &Dialect, compressed: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut bits = BitReader { bytes: compressed, at: 0, held: 0, count: 0 };
    let mut out = Vec::with_capacity(len);
    let mut recent = Recent::new();
    loop {
        let last = bits.take(1)? == 1;
        let codes = match bits.take(2)? {
            0 => {
                copy_stored(&mut bits, &mut out, len)?;
                None
            }
            1 => {
                let mut lengths = [8u8; 288];
                lengths[144..256].fill(9);
                lengths[256..280].fill(7);
                Some((Decoder::new(&lengths)?, Decoder::new(&[5; 32])?))
            }
            2 => Some(read_codes(dialect, &mut bits)?),
            _ => return None,
        };
        if let Some(codes) = codes {
            inflate_block(dialect, &mut bits, &mut out, len, &codes, &mut recent)?;
        }
        if last {
            return (out.len() == len).then_some(out);
        }
    }
}

/// How often the tokens use each symbol of the two codes.
fn counts_of(dialect: &Dialect, tokens: &[Token], mut recent: Recent) -> (Vec<u32>, Vec<u32>) {
    let mut literals = vec![0u32; dialect.literals];
    let mut distances = vec![0u32; dialect.distances + dialect.recent];
    literals[END_OF_BLOCK] = 1;
    for token in tokens {
        match *token {
            Token::Literal(byte) => literals[usize::from(byte)] += 1,
            Token::Match { len, distance } => {
                literals[dialect.length_symbol(len).0] += 1;
                distances[place(dialect, distance, &mut recent).0] += 1;
            }
        }
    }
    (literals, distances)
}

/// How the place of a match is said: a symbol, and the bits after it.
fn place(dialect: &Dialect, distance: usize, recent: &mut Recent) -> (usize, u32, u8) {
    let known = recent.place_of(distance).filter(|place| *place < dialect.recent);
    recent.used(distance);
    match known {
        Some(place) => (dialect.distances + place, 0, 0),
        None => dialect.distance_symbol(distance),
    }
}

/// Writes tokens as one block with codes of its own.
fn write_block(
    dialect: &Dialect,
    out: &mut BitWriter,
    tokens: &[Token],
    recent: &mut Recent,
    last: bool,
) {
    let (literals, distances) = counts_of(dialect, tokens, *recent);
    let (literal_code, distance_code) =
        (Code::new(&literals, CODE_LEN_MAX), Code::new(&distances, CODE_LEN_MAX));
    out.put(u32::from(last), 1);
    out.put(2, 2);
    write_codes(dialect, out, &literal_code.lengths, &distance_code.lengths);
    for token in tokens {
        match *token {
            Token::Literal(byte) => literal_code.put(out, usize::from(byte)),
            Token::Match { len, distance } => {
                let (symbol, extra, bits) = dialect.length_symbol(len);
                literal_code.put(out, symbol);
                out.put(extra, bits);
                let (symbol, extra, bits) = place(dialect, distance, recent);
                distance_code.put(out, symbol);
                out.put(extra, bits);
            }
        }
    }
    literal_code.put(out, END_OF_BLOCK);
}

/// Writes the lengths of both codes, themselves coded (RFC 1951, 3.2.7).
fn write_codes(dialect: &Dialect, out: &mut BitWriter, literals: &[u8], distances: &[u8]) {
    let used = |lengths: &[u8], min: usize| {
        lengths.iter().rposition(|len| *len > 0).map_or(min, |last| (last + 1).max(min))
    };
    let (literal_count, distance_count) = (used(literals, 257), used(distances, 1));
    let lengths = [&literals[..literal_count], &distances[..distance_count]].concat();
    let runs = runs_of(&lengths);
    let mut counts = [0u32; 19];
    for (symbol, ..) in &runs {
        counts[*symbol] += 1;
    }
    let code = Code::new(&counts, 7);
    let order_count = LENGTH_ORDER
        .iter()
        .rposition(|symbol| code.lengths[*symbol] > 0)
        .map_or(4, |last| (last + 1).max(4));
    out.put(literal_count as u32 - 257, dialect.literal_count_bits);
    out.put(distance_count as u32 - 1, dialect.distance_count_bits);
    out.put(order_count as u32 - 4, 4);
    for symbol in &LENGTH_ORDER[..order_count] {
        out.put(u32::from(code.lengths[*symbol]), 3);
    }
    for (symbol, extra, bits) in runs {
        code.put(out, symbol);
        out.put(extra, bits);
    }
}

/// Lengths as symbols of the code-length code, each with its extra bits.
fn runs_of(lengths: &[u8]) -> Vec<(usize, u32, u8)> {
    let mut runs = Vec::new();
    let mut at = 0;
    while at < lengths.len() {
        let len = lengths[at];
        let mut count = lengths[at..].iter().take_while(|other| **other == len).count();
        at += count;
        if len != 0 {
            runs.push((usize::from(len), 0, 0));
            count -= 1;
        }
        while count > 0 {
            let n = match (len, count) {
                (0, 11..) => {
                    let n = count.min(138);
                    runs.push((18, n as u32 - 11, 7));
                    n
                }
                (0, 3..) => {
                    runs.push((17, count as u32 - 3, 3));
                    count
                }
                (1.., 3..) => {
                    let n = count.min(6);
                    runs.push((16, n as u32 - 3, 2));
                    n
                }
                _ => {
                    runs.push((usize::from(len), 0, 0));
                    1
                }
            };
            count -= n;
        }
    }
    runs
}

/// A Huffman code, ready to write.
struct Code {
    lengths: Vec<u8>,
    codes: Vec<u16>,
}

impl Code {
    /// The best code for these counts with no word longer than `len_max`.
    fn new(counts: &[u32], len_max: usize) -> Code {
        let lengths = code_lengths(counts, len_max);
        let mut codes = vec![0; lengths.len()];
        let mut next = 0u16;
        for len in 1..=CODE_LEN_MAX as u8 {
            for (symbol, _) in lengths.iter().enumerate().filter(|(_, l)| **l == len) {
                codes[symbol] = next.reverse_bits() >> (16 - len);
                next += 1;
            }
            next <<= 1;
        }
        Code { lengths, codes }
    }

    fn put(&self, out: &mut BitWriter, symbol: usize) {
        out.put(u32::from(self.codes[symbol]), self.lengths[symbol]);
    }
}

/// Lengths of a Huffman code: the tree's depths, with those beyond the limit evened out.
fn code_lengths(counts: &[u32], len_max: usize) -> Vec<u8> {
    let mut lengths = vec![0; counts.len()];
    let mut used: Vec<usize> = (0..counts.len()).filter(|i| counts[*i] > 0).collect();
    used.sort_by_key(|i| (counts[*i], *i));
    match used[..] {
        [] => return lengths,
        // One word alone still has a bit.
        [only] => {
            lengths[only] = 1;
            return lengths;
        }
        _ => {}
    }
    // Leaves and inner nodes are both made in order of weight: the next two lightest are always
    // at the front of one or the other.
    let leaves = used.len();
    let mut weights: Vec<u64> = used.iter().map(|i| u64::from(counts[*i])).collect();
    let mut parents = vec![0; 2 * leaves - 1];
    let (mut leaf, mut inner) = (0, leaves);
    for node in leaves..2 * leaves - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            let lightest = if leaf < leaves && (inner >= node || weights[leaf] <= weights[inner]) {
                leaf += 1;
                leaf - 1
            } else {
                inner += 1;
                inner - 1
            };
            weight += weights[lightest];
            parents[lightest] = node;
        }
        weights.push(weight);
    }
    let mut depths = vec![0usize; 2 * leaves - 1];
    for node in (0..2 * leaves - 2).rev() {
        depths[node] = depths[parents[node]] + 1;
    }
    let mut of_len = vec![0usize; len_max + 1];
    for depth in &depths[..leaves] {
        of_len[(*depth).min(len_max)] += 1;
    }
    // Too many long words: shorten the sum by pushing a shorter word down, until it fits.
    let mut sum: usize = (1..=len_max).map(|len| of_len[len] << (len_max - len)).sum();
    while sum > 1 << len_max {
        of_len[len_max] -= 1;
        if let Some(len) = (1..len_max).rev().find(|len| of_len[*len] > 0) {
            of_len[len] -= 1;
            of_len[len + 1] += 2;
        }
        sum -= 1;
    }
    let mut rarest = used.into_iter();
    for len in (1..=len_max).rev() {
        for symbol in rarest.by_ref().take(of_len[len]) {
            lengths[symbol] = len as u8;
        }
    }
    lengths
}

#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    held: u64,
    count: u8,
}

impl BitWriter {
    fn put(&mut self, bits: u32, count: u8) {
        self.held |= u64::from(bits) << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.bytes.push(self.held as u8);
        }
        self.bytes
    }
}

struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
    held: u64,
    count: u8,
}

impl BitReader<'_> {
    fn fill(&mut self) {
        while self.count <= 48
            && let Some(&byte) = self.bytes.get(self.at)
        {
            self.held |= u64::from(byte) << self.count;
            self.count += 8;
            self.at += 1;
        }
    }

    fn take(&mut self, count: u8) -> Option<u32> {
        self.fill();
        if self.count < count {
            return None;
        }
        let bits = self.held & ((1 << count) - 1);
        self.held >>= count;
        self.count -= count;
        Some(bits as u32)
    }
}

fn copy_stored(bits: &mut BitReader<'_>, out: &mut Vec<u8>, len_max: usize) -> Option<()> {
    let skip = bits.count % 8;
    bits.take(skip)?;
    let (len, check) = (bits.take(16)?, bits.take(16)?);
    if len != !check & 0xffff || out.len() + len as usize > len_max {
        return None;
    }
    for _ in 0..len {
        out.push(bits.take(8)? as u8);
    }
    Some(())
}

/// A Huffman code, ready to read: short words by table, long ones bit by bit.
struct Decoder {
    /// Length in the low 4 bits, symbol above; 0 for words longer than the table.
    table: Vec<u16>,
    /// Words of each length.
    counts: [u16; CODE_LEN_MAX + 1],
    /// Symbols in order of their words.
    symbols: Vec<u16>,
}

const TABLE_BITS: u8 = 9;

impl Decoder {
    /// None when the lengths are those of no code. An incomplete code may have one word at most.
    fn new(lengths: &[u8]) -> Option<Decoder> {
        let mut counts = [0u16; CODE_LEN_MAX + 1];
        for len in lengths {
            counts[usize::from(*len)] += 1;
        }
        counts[0] = 0;
        let mut left = 1i32;
        for count in &counts[1..] {
            left = (left << 1) - i32::from(*count);
            if left < 0 {
                return None;
            }
        }
        let words: u16 = counts.iter().sum();
        if left > 0 && words > 1 {
            return None;
        }
        let mut symbols = Vec::with_capacity(usize::from(words));
        let mut table = vec![0; 1 << TABLE_BITS];
        let mut word = 0u16;
        for len in 1..=CODE_LEN_MAX as u8 {
            for (symbol, _) in lengths.iter().enumerate().filter(|(_, l)| **l == len) {
                symbols.push(symbol as u16);
                if len <= TABLE_BITS {
                    let first = usize::from(word.reverse_bits() >> (16 - len));
                    for slot in table[first..].iter_mut().step_by(1 << len) {
                        *slot = (symbol as u16) << 4 | u16::from(len);
                    }
                }
                word = word.wrapping_add(1);
            }
            word = word.wrapping_shl(1);
        }
        Some(Decoder { table, counts, symbols })
    }

    fn take(&self, bits: &mut BitReader<'_>) -> Option<usize> {
        bits.fill();
        let found = self.table[(bits.held & ((1 << TABLE_BITS) - 1)) as usize];
        if found != 0 {
            bits.take((found & 15) as u8)?;
            return Some(usize::from(found >> 4));
        }
        let (mut code, mut first, mut index) = (0i32, 0i32, 0i32);
        for count in &self.counts[1..] {
            code |= bits.take(1)? as i32;
            let count = i32::from(*count);
            if code - count < first {
                return self.symbols.get((index + code - first) as usize).map(|s| usize::from(*s));
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }
}

fn read_codes(dialect: &Dialect, bits: &mut BitReader<'_>) -> Option<(Decoder, Decoder)> {
    let literal_count = bits.take(dialect.literal_count_bits)? as usize + 257;
    let distance_count = bits.take(dialect.distance_count_bits)? as usize + 1;
    let order_count = bits.take(4)? as usize + 4;
    if literal_count > dialect.literals || distance_count > dialect.distances + dialect.recent {
        return None;
    }
    let mut lengths = [0u8; 19];
    for symbol in &LENGTH_ORDER[..order_count] {
        lengths[*symbol] = bits.take(3)? as u8;
    }
    let code = Decoder::new(&lengths)?;
    let total = literal_count + distance_count;
    let mut lengths = Vec::with_capacity(total);
    while lengths.len() < total {
        let (len, count) = match code.take(bits)? {
            16 => (*lengths.last()?, bits.take(2)? as usize + 3),
            17 => (0, bits.take(3)? as usize + 3),
            18 => (0, bits.take(7)? as usize + 11),
            len => (len as u8, 1),
        };
        if lengths.len() + count > total {
            return None;
        }
        lengths.resize(lengths.len() + count, len);
    }
    let (literals, distances) = lengths.split_at(literal_count);
    Some((Decoder::new(literals)?, Decoder::new(distances)?))
}

fn inflate_block(
    dialect: &Dialect,
    bits: &mut BitReader<'_>,
    out: &mut Vec<u8>,
    len_max: usize,
    (literals, distances): &(Decoder, Decoder),
    recent: &mut Recent,
) -> Option<()> {
    loop {
        let symbol = literals.take(bits)?;
        match symbol {
            0..END_OF_BLOCK if out.len() < len_max => out.push(symbol as u8),
            0..END_OF_BLOCK => return None,
            END_OF_BLOCK => return Some(()),
            _ => {
                let (least, extra) = dialect.length_of(symbol)?;
                let len = least + bits.take(extra)? as usize;
                let symbol = distances.take(bits)?;
                let distance = match symbol.checked_sub(dialect.distances) {
                    Some(place) if place < dialect.recent => recent.0[place],
                    Some(_) => return None,
                    None => {
                        let (least, extra) = dialect.distance_of(symbol)?;
                        least + bits.take(extra)? as usize
                    }
                };
                recent.used(distance);
                if distance > out.len() || out.len() + len > len_max {
                    return None;
                }
                let from = out.len() - distance;
                if distance >= len {
                    out.extend_from_within(from..from + len);
                } else {
                    (from..from + len).for_each(|i| out.push(out[i]));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
