//! Places where two bytes stand at two offsets, found as fast as the processor's vector
//! instructions can.

/// Positions that are looked at before the first of them is told apart.
const BLOCK: usize = 64;

/// A byte that is looked for: `at` bytes behind a position, `byte | mask` is `want`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Offset from the position.
    pub at: usize,
    /// Bits that do not matter.
    pub mask: u8,
    /// The byte, with those bits set.
    pub want: u8,
}

impl Probe {
    fn is(&self, byte: u8) -> bool {
        byte | self.mask == self.want
    }
}

/// The first position in `hay` from `from` on where both probes hold and `accept` agrees. Where a
/// probe would be beyond the end there is none.
pub fn find(
    hay: &[u8],
    from: usize,
    pair: &[Probe; 2],
    accept: impl FnMut(usize) -> bool,
) -> Option<usize> {
    let [p, q] = *pair;
    let len = hay.len().checked_sub(p.at.max(q.at))?.checked_sub(from)?;
    // One slice a probe: at the same index of both, the bytes of one position.
    let (a, b) = (&hay[from + p.at..][..len], &hay[from + q.at..][..len]);
    let mut accept = accept;
    let accept = |index: usize| accept(from + index);
    #[cfg(target_arch = "x86_64")]
    let index = if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: needs AVX2, which the line above has just found.
        unsafe { avx2(a, b, pair, accept) }
    } else {
        portable(a, b, pair, accept)
    };
    #[cfg(not(target_arch = "x86_64"))]
    let index = portable(a, b, pair, accept);
    index.map(|index| from + index)
}

/// In plain words, which compilers turn into the vector instructions that every processor has.
fn portable(
    a: &[u8],
    b: &[u8],
    [p, q]: &[Probe; 2],
    mut accept: impl FnMut(usize) -> bool,
) -> Option<usize> {
    for start in (0..a.len()).step_by(BLOCK) {
        let end = (start + BLOCK).min(a.len());
        let (x, y) = (&a[start..end], &b[start..end]);
        let any = x.iter().zip(y).fold(false, |any, (x, y)| any | (p.is(*x) & q.is(*y)));
        if any {
            let mut found = (start..end).filter(|&index| p.is(a[index]) && q.is(b[index]));
            if let Some(index) = found.find(|index| accept(*index)) {
                return Some(index);
            }
        }
    }
    None
}

/// # Safety
/// The processor must have AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn avx2(
    a: &[u8],
    b: &[u8],
    pair: &[Probe; 2],
    mut accept: impl FnMut(usize) -> bool,
) -> Option<usize> {
    use std::arch::x86_64::{
        __m256i, _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8,
        _mm256_or_si256, _mm256_set1_epi8,
    };
    const LANES: usize = 32;
    const STEP: usize = 4 * LANES;
    let len = a.len().min(b.len());
    let [p, q] = pair.map(|probe| {
        (_mm256_set1_epi8(probe.mask.cast_signed()), _mm256_set1_epi8(probe.want.cast_signed()))
    });
    // A macro, because a function would not be inlined for sure.
    macro_rules! both {
        ($index:expr) => {{
            // SAFETY: the caller has 32 bytes from `index` on in `a` and in `b`; the instruction
            // asks for no alignment.
            let (x, y) = unsafe {
                (
                    _mm256_loadu_si256(a.as_ptr().add($index).cast::<__m256i>()),
                    _mm256_loadu_si256(b.as_ptr().add($index).cast::<__m256i>()),
                )
            };
            let x = _mm256_cmpeq_epi8(_mm256_or_si256(x, p.0), p.1);
            let y = _mm256_cmpeq_epi8(_mm256_or_si256(y, q.0), q.1);
            _mm256_and_si256(x, y)
        }};
    }
    let mut start = 0;
    while start + STEP <= len {
        let lanes = [
            both!(start),
            both!(start + LANES),
            both!(start + 2 * LANES),
            both!(start + 3 * LANES),
        ];
        let any = _mm256_or_si256(
            _mm256_or_si256(lanes[0], lanes[1]),
            _mm256_or_si256(lanes[2], lanes[3]),
        );
        if _mm256_movemask_epi8(any) != 0 {
            for (lane, both) in lanes.into_iter().enumerate() {
                let mut bits = _mm256_movemask_epi8(both).cast_unsigned();
                while bits != 0 {
                    let index = start + lane * LANES + bits.trailing_zeros() as usize;
                    if accept(index) {
                        return Some(index);
                    }
                    bits &= bits - 1;
                }
            }
        }
        start += STEP;
    }
    let rest = portable(&a[start..], &b[start..], pair, |index| accept(start + index));
    rest.map(|index| start + index)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ways beside the plain definition, over bytes of few values, at every length around a
    /// step and wherever the only place may be.
    #[test]
    fn vectors_and_plain_words_agree() {
        let probe = |at, mask, want| Probe { at, mask, want };
        let pairs = [
            [probe(0, 0, b'q'), probe(0, 0, b'q')],
            [probe(0, 0x20, b'q'), probe(3, 0, b'u')],
            [probe(5, 0x20, b'u'), probe(1, 0x20, b'q')],
        ];
        let mut seed = 1u32;
        for len in (0..12).chain(120..140).chain([300, 1000]) {
            for pair in &pairs {
                let hay: Vec<u8> = (0..len)
                    .map(|_| {
                        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        b"qQuU....................."[(seed >> 16) as usize % 25]
                    })
                    .collect();
                let holds = |at: usize| {
                    let is = |probe: &Probe| hay.get(at + probe.at).is_some_and(|b| probe.is(*b));
                    pair.iter().all(is)
                };
                let expected: Vec<usize> = (0..len).filter(|at| holds(*at)).collect();
                let mut all = Vec::new();
                assert_eq!(
                    find(&hay, 0, pair, |at| {
                        all.push(at);
                        false
                    }),
                    None
                );
                assert_eq!(all, expected, "{pair:?} in {}", hay.escape_ascii());
                let (p, q) = (&hay[pair[0].at.min(len)..], &hay[pair[1].at.min(len)..]);
                let short = p.len().min(q.len());
                let mut all = Vec::new();
                portable(&p[..short], &q[..short], pair, |at| {
                    all.push(at);
                    false
                });
                assert_eq!(all, expected, "{pair:?} in {}", hay.escape_ascii());
                for from in 0..len.min(140) {
                    let first = expected.iter().copied().find(|at| *at >= from);
                    assert_eq!(find(&hay, from, pair, |_| true), first);
                }
            }
        }
    }
}
