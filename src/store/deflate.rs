//! DEFLATE (RFC 1951), both ways, for data that has come to rest. Pure functions of bytes; the
//! decoder is total and never makes more output than it was told to expect.

/// How far back a match may reach.
const WINDOW_LEN: usize = 32 * 1024;
const MATCH_MIN: usize = 3;
const MATCH_MAX: usize = 258;
const HASH_BITS: u32 = 15;
/// Most earlier places that are compared at each byte.
const CHAIN_MAX: usize = 96;
/// A match of this length is not improved upon.
const GOOD_ENOUGH: usize = 130;
/// Most literals and matches that share a pair of codes.
const TOKENS_MAX: usize = 20_000;
const LITERALS: usize = 286;
const DISTANCES: usize = 30;
const END_OF_BLOCK: usize = 256;
const CODE_LEN_MAX: usize = 15;
/// The order in which the lengths of the code-length code are stored (RFC 1951, 3.2.7).
const LENGTH_ORDER: [usize; 19] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const LENGTH_BASE: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
];
const LENGTH_EXTRA: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE: [u16; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537,
    2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
];
const DISTANCE_EXTRA: [u8; 30] = [
    0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13,
    13,
];

/// Compresses the parts as one stream. Each part gets codes of its own: parts of different nature
/// do not spoil each other's statistics.
pub fn deflate(parts: &[&[u8]]) -> Vec<u8> {
    let bytes = parts.concat();
    let mut finder = Finder::new(&bytes);
    let mut out = BitWriter::default();
    let mut end = 0;
    for (i, part) in parts.iter().enumerate() {
        end += part.len();
        loop {
            let tokens = finder.tokens(end);
            let part_done = finder.at == end;
            write_block(&mut out, &tokens, part_done && i + 1 == parts.len());
            if part_done {
                break;
            }
        }
    }
    out.finish()
}

/// Decompresses a stream that is known to hold `len` bytes; None if it does not.
pub fn inflate(compressed: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut bits = BitReader { bytes: compressed, at: 0, held: 0, count: 0 };
    let mut out = Vec::with_capacity(len);
    loop {
        let last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => copy_stored(&mut bits, &mut out, len)?,
            1 => {
                let mut lengths = [8u8; 288];
                lengths[144..256].fill(9);
                lengths[256..280].fill(7);
                let (literals, distances) = (Decoder::new(&lengths)?, Decoder::new(&[5; 32])?);
                inflate_block(&mut bits, &mut out, len, &literals, &distances)?;
            }
            2 => {
                let (literals, distances) = read_codes(&mut bits)?;
                inflate_block(&mut bits, &mut out, len, &literals, &distances)?;
            }
            _ => return None,
        }
        if last {
            return (out.len() == len).then_some(out);
        }
    }
}

/// A literal, or a match of a length at a distance.
#[derive(Clone, Copy)]
enum Token {
    Literal(u8),
    Match { len: u16, distance: u16 },
}

/// Finds matches by chains of places with the same hash of three bytes.
struct Finder<'a> {
    bytes: &'a [u8],
    at: usize,
    heads: Vec<u32>,
    before: Vec<u32>,
    /// Places entered into the chains.
    entered: usize,
}

const NOWHERE: u32 = u32::MAX;

impl<'a> Finder<'a> {
    fn new(bytes: &'a [u8]) -> Finder<'a> {
        Finder {
            bytes,
            at: 0,
            heads: vec![NOWHERE; 1 << HASH_BITS],
            before: vec![NOWHERE; bytes.len()],
            entered: 0,
        }
    }

    fn hash(&self, at: usize) -> usize {
        let b = &self.bytes[at..at + 3];
        let word = u32::from(b[0]) | u32::from(b[1]) << 8 | u32::from(b[2]) << 16;
        (word.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize
    }

    fn enter_up_to(&mut self, end: usize) {
        let end = end.min(self.bytes.len().saturating_sub(2));
        while self.entered < end {
            let hash = self.hash(self.entered);
            self.before[self.entered] = self.heads[hash];
            self.heads[hash] = self.entered as u32;
            self.entered += 1;
        }
    }

    /// The longest match for `at` within `end`, the nearest of those.
    fn find(&mut self, at: usize, end: usize) -> Option<(usize, usize)> {
        let room = (end - at).min(MATCH_MAX);
        if room < MATCH_MIN || at + 3 > self.bytes.len() {
            return None;
        }
        self.enter_up_to(at);
        let mut place = self.heads[self.hash(at)];
        let mut best: Option<(usize, usize)> = None;
        let mut best_len = MATCH_MIN - 1;
        for _ in 0..CHAIN_MAX {
            let Ok(from) = usize::try_from(place) else { break };
            if place == NOWHERE || at - from > WINDOW_LEN {
                break;
            }
            // The byte that would make it longer is looked at first.
            if self.bytes[from + best_len] == self.bytes[at + best_len] {
                let (a, b) = (&self.bytes[from..], &self.bytes[at..at + room]);
                let len = a.iter().zip(b).take_while(|(a, b)| a == b).count();
                if len > best_len {
                    (best, best_len) = (Some((len, at - from)), len);
                    if len >= GOOD_ENOUGH || len == room {
                        break;
                    }
                }
            }
            place = self.before[from];
        }
        // A short match from afar costs more than its letters.
        best.filter(|(len, distance)| *len > MATCH_MIN || *distance < 4096)
    }

    /// The next tokens up to `end`, at most [`TOKENS_MAX`].
    fn tokens(&mut self, end: usize) -> Vec<Token> {
        let mut tokens = Vec::new();
        let mut found = None;
        while self.at < end && tokens.len() < TOKENS_MAX {
            let here = match found.take() {
                Some(found) => Some(found),
                None => self.find(self.at, end),
            };
            let Some((len, distance)) = here else {
                tokens.push(Token::Literal(self.bytes[self.at]));
                self.at += 1;
                continue;
            };
            // A longer match one byte on is worth a literal.
            if len < GOOD_ENOUGH
                && let Some(next) = self.find(self.at + 1, end)
                && next.0 > len
            {
                tokens.push(Token::Literal(self.bytes[self.at]));
                self.at += 1;
                found = Some(next);
                continue;
            }
            tokens.push(Token::Match { len: len as u16, distance: distance as u16 });
            self.at += len;
        }
        tokens
    }
}

/// The symbol for a length: 257 to 285.
fn length_symbol(len: u16) -> usize {
    LENGTH_BASE.iter().rposition(|base| *base <= len).unwrap_or(0)
}

fn distance_symbol(distance: u16) -> usize {
    DISTANCE_BASE.iter().rposition(|base| *base <= distance).unwrap_or(0)
}

/// Writes tokens as one block with codes of its own.
fn write_block(out: &mut BitWriter, tokens: &[Token], last: bool) {
    let mut literals = [0u32; LITERALS];
    let mut distances = [0u32; DISTANCES];
    literals[END_OF_BLOCK] = 1;
    for token in tokens {
        match *token {
            Token::Literal(byte) => literals[usize::from(byte)] += 1,
            Token::Match { len, distance } => {
                literals[257 + length_symbol(len)] += 1;
                distances[distance_symbol(distance)] += 1;
            }
        }
    }
    let literal_code = Code::new(&literals, CODE_LEN_MAX);
    let distance_code = Code::new(&distances, CODE_LEN_MAX);
    out.put(u32::from(last), 1);
    out.put(2, 2);
    write_codes(out, &literal_code.lengths, &distance_code.lengths);
    for token in tokens {
        match *token {
            Token::Literal(byte) => literal_code.put(out, usize::from(byte)),
            Token::Match { len, distance } => {
                let symbol = length_symbol(len);
                literal_code.put(out, 257 + symbol);
                out.put(u32::from(len - LENGTH_BASE[symbol]), LENGTH_EXTRA[symbol]);
                let symbol = distance_symbol(distance);
                distance_code.put(out, symbol);
                out.put(u32::from(distance - DISTANCE_BASE[symbol]), DISTANCE_EXTRA[symbol]);
            }
        }
    }
    literal_code.put(out, END_OF_BLOCK);
}

/// Writes the lengths of both codes, themselves coded (RFC 1951, 3.2.7).
fn write_codes(out: &mut BitWriter, literals: &[u8], distances: &[u8]) {
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
    out.put(literal_count as u32 - 257, 5);
    out.put(distance_count as u32 - 1, 5);
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

fn read_codes(bits: &mut BitReader<'_>) -> Option<(Decoder, Decoder)> {
    let literal_count = bits.take(5)? as usize + 257;
    let distance_count = bits.take(5)? as usize + 1;
    let order_count = bits.take(4)? as usize + 4;
    if literal_count > LITERALS || distance_count > DISTANCES {
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
    bits: &mut BitReader<'_>,
    out: &mut Vec<u8>,
    len_max: usize,
    literals: &Decoder,
    distances: &Decoder,
) -> Option<()> {
    loop {
        let symbol = literals.take(bits)?;
        match symbol {
            0..END_OF_BLOCK if out.len() < len_max => out.push(symbol as u8),
            0..END_OF_BLOCK => return None,
            END_OF_BLOCK => return Some(()),
            _ => {
                let symbol = symbol - 257;
                let extra = bits.take(*LENGTH_EXTRA.get(symbol)?)?;
                let len = usize::from(LENGTH_BASE[symbol]) + extra as usize;
                let symbol = distances.take(bits)?;
                let extra = bits.take(*DISTANCE_EXTRA.get(symbol)?)?;
                let distance = usize::from(DISTANCE_BASE[symbol]) + extra as usize;
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
