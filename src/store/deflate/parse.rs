//! Which matches to take: the cheapest way through the bytes, by what the symbols of a first way
//! through them cost.

use super::{Dialect, Effort, MATCH_MIN, RECENT_MAX, Recent, Token, counts_of, place};

const HASH_BITS: u32 = 15;
/// Most bytes that share a pair of codes.
const STRETCH_MAX: usize = 128 << 10;
/// What a symbol costs that no way has used yet, in bits.
const UNUSED_BITS: u32 = 13;
/// One bit, in the unit of costs.
const BIT: u32 = 16;
const NOWHERE: u32 = u32::MAX;

/// Finds matches by chains of places with the same hash of three bytes.
pub struct Parser<'a> {
    dialect: &'a Dialect,
    limits: Limits,
    bytes: &'a [u8],
    /// Bytes that tokens were given for.
    pub at: usize,
    heads: Vec<u32>,
    before: Vec<u32>,
    /// Places entered into the chains.
    entered: usize,
}

#[derive(Clone, Copy)]
struct Limits {
    /// Most earlier places that are compared at each byte.
    chain: usize,
    /// A match of this length is taken without looking for a better one.
    good_enough: usize,
    /// How often the way is sought, each time by the costs of the one before.
    rounds: usize,
}

const QUICK: Limits = Limits { chain: 16, good_enough: 64, rounds: 2 };
const THOROUGH: Limits = Limits { chain: 400, good_enough: 600, rounds: 2 };

/// A match that can be had at a place.
#[derive(Clone, Copy)]
struct Found {
    len: u32,
    distance: u32,
}

/// The cheapest way known to a place.
#[derive(Clone, Copy)]
struct Step {
    /// In 1 of a bit.
    cost: u32,
    /// The match it ends with, or a literal.
    len: u32,
    distance: u32,
    recent: Recent,
}

/// What symbols cost, in bits.
struct Costs {
    literals: Vec<u32>,
    distances: Vec<u32>,
}

impl<'a> Parser<'a> {
    pub fn new(dialect: &'a Dialect, effort: Effort, bytes: &'a [u8]) -> Parser<'a> {
        let limits = match effort {
            Effort::Quick => QUICK,
            Effort::Thorough => THOROUGH,
        };
        Parser {
            dialect,
            limits,
            bytes,
            at: 0,
            heads: vec![NOWHERE; 1 << HASH_BITS],
            before: vec![NOWHERE; bytes.len()],
            entered: 0,
        }
    }

    /// The tokens of the next stretch of bytes, which ends before `end`.
    pub fn tokens(&mut self, end: usize, recent: Recent) -> Vec<Token> {
        let (start, end) = (self.at, end.min(self.at + STRETCH_MAX));
        // The matches of each byte, all in one list, and where each byte's begin.
        let (mut found, mut starts) = (Vec::new(), Vec::with_capacity(end - start + 1));
        let mut skip_to = start;
        for at in start..end {
            starts.push(found.len());
            if at >= skip_to {
                self.find_all(at, end, &mut found);
                let longest =
                    found[starts[at - start]..].last().map_or(0, |found| found.len as usize);
                if longest >= self.limits.good_enough {
                    skip_to = at + longest;
                }
            }
        }
        starts.push(found.len());
        self.at = end;
        let mut costs = Costs::guess(self.dialect);
        let mut tokens = Vec::new();
        for _ in 0..self.limits.rounds {
            tokens = self.cheapest(start..end, &found, &starts, recent, &costs);
            costs = Costs::of(self.dialect, &tokens, recent);
        }
        tokens
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

    /// All matches for `at` within `end` that are longer than every nearer one.
    fn find_all(&mut self, at: usize, end: usize, found: &mut Vec<Found>) {
        let room = (end - at).min(self.dialect.match_max);
        if room < MATCH_MIN || at + 3 > self.bytes.len() {
            return;
        }
        self.enter_up_to(at);
        let mut place = self.heads[self.hash(at)];
        let mut best_len = MATCH_MIN - 1;
        for _ in 0..self.limits.chain {
            let Ok(from) = usize::try_from(place) else { break };
            if place == NOWHERE || at - from > self.dialect.reach {
                break;
            }
            // The byte that would make it longer is looked at first.
            if self.bytes[from + best_len] == self.bytes[at + best_len] {
                let len = self.common(from, at, room);
                if len > best_len {
                    best_len = len;
                    found.push(Found { len: len as u32, distance: (at - from) as u32 });
                    if len == room {
                        break;
                    }
                }
            }
            place = self.before[from];
        }
    }

    /// Bytes that are the same from two places on, at most `room`.
    fn common(&self, from: usize, at: usize, room: usize) -> usize {
        let (a, b) = (&self.bytes[from..from + room], &self.bytes[at..at + room]);
        let words = a.chunks_exact(8).zip(b.chunks_exact(8)).take_while(|(a, b)| a == b).count();
        let done = words * 8;
        done + a[done..].iter().zip(&b[done..]).take_while(|(a, b)| a == b).count()
    }

    /// The cheapest tokens for a range.
    fn cheapest(
        &self,
        range: std::ops::Range<usize>,
        found: &[Found],
        starts: &[usize],
        recent: Recent,
        costs: &Costs,
    ) -> Vec<Token> {
        let n = range.len();
        let unknown = Step { cost: u32::MAX, len: 0, distance: 0, recent };
        let mut steps = vec![unknown; n + 1];
        steps[0].cost = 0;
        let mut at = 0;
        while at < n {
            let here = steps[at];
            let literal = here.cost + costs.literals[usize::from(self.bytes[range.start + at])];
            if literal < steps[at + 1].cost {
                steps[at + 1] = Step { cost: literal, len: 1, distance: 0, recent: here.recent };
            }
            let longest = self.relax(
                &mut steps,
                range.start,
                at,
                n,
                &found[starts[at]..starts[at + 1]],
                costs,
            );
            // A long match is taken whole: nothing was looked for within it.
            at += if longest >= self.limits.good_enough { longest } else { 1 };
        }
        self.trace(&steps, range.start)
    }

    /// Tries all matches that can be had at a place; the length of the longest.
    fn relax(
        &self,
        steps: &mut [Step],
        start: usize,
        at: usize,
        n: usize,
        found: &[Found],
        costs: &Costs,
    ) -> usize {
        let here = steps[at];
        let room = (n - at).min(self.dialect.match_max);
        let mut longest = 0;
        let mut try_all = |distance: usize, least: usize, most: usize| {
            let mut recent = here.recent;
            let (symbol, _, extra) = place(self.dialect, distance, &mut recent);
            let base = here.cost + costs.distances[symbol] + u32::from(extra) * BIT;
            let mut tried = |len: usize| {
                let (symbol, _, extra) = self.dialect.length_symbol(len);
                let cost = base + costs.literals[symbol] + u32::from(extra) * BIT;
                if cost < steps[at + len].cost {
                    steps[at + len] =
                        Step { cost, len: len as u32, distance: distance as u32, recent };
                }
            };
            if most >= self.limits.good_enough {
                tried(most);
            } else {
                (least..=most).for_each(&mut tried);
            }
            longest = longest.max(most);
        };
        for known in here.recent.0.into_iter().take(self.dialect.recent.min(RECENT_MAX)) {
            let place = start + at;
            if known <= place && room >= MATCH_MIN {
                let len = self.common(place - known, place, room);
                if len >= MATCH_MIN {
                    try_all(known, MATCH_MIN, len);
                }
            }
        }
        let mut least = MATCH_MIN;
        for found in found {
            let len = found.len as usize;
            try_all(found.distance as usize, least, len);
            least = len + 1;
        }
        longest
    }

    /// The way to the last of the steps.
    fn trace(&self, steps: &[Step], start: usize) -> Vec<Token> {
        let mut tokens = Vec::new();
        let mut at = steps.len() - 1;
        while at > 0 {
            let Step { len, distance, .. } = steps[at];
            at -= len as usize;
            tokens.push(match distance {
                0 => Token::Literal(self.bytes[start + at]),
                _ => Token::Match { len: len as usize, distance: distance as usize },
            });
        }
        tokens.reverse();
        tokens
    }
}

impl Costs {
    /// Before anything is known.
    fn guess(dialect: &Dialect) -> Costs {
        let mut literals = vec![8 * BIT; dialect.literals];
        literals[257..].fill(7 * BIT);
        Costs { literals, distances: vec![5 * BIT; dialect.distances + dialect.recent] }
    }

    fn of(dialect: &Dialect, tokens: &[Token], recent: Recent) -> Costs {
        let (literals, distances) = counts_of(dialect, tokens, recent);
        Costs { literals: costs_of(&literals), distances: costs_of(&distances) }
    }
}

/// What symbols cost that are used so often: the logarithm of how seldom they are.
fn costs_of(counts: &[u32]) -> Vec<u32> {
    let sum: u32 = counts.iter().sum();
    let cost = |count: &u32| match *count {
        0 => UNUSED_BITS * BIT,
        count => ((f64::from(sum.max(1)) / f64::from(count)).log2() * f64::from(BIT)) as u32,
    };
    counts.iter().map(cost).collect()
}
