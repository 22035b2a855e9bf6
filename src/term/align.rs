//! Which rows of a screen are rows seen before: a weighted longest common subsequence over keys.

use std::collections::HashMap;

/// What two rows are compared by, and how much it says that they are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub hash: u64,
    /// 0 for a row that says nothing, such as a blank one.
    pub weight: u32,
}

/// Largest product of lengths that is solved exactly; above, rows that occur once on both sides
/// are taken as anchors first.
const EXACT_CELLS_MAX: usize = 1 << 16;

/// For each of `new`, the index in `old` of the row it is. Indices rise.
pub(super) fn align(old: &[Key], new: &[Key]) -> Vec<Option<usize>> {
    let mut matches = vec![None; new.len()];
    solve(old, new, 0, &mut matches);
    matches
}

/// Drops matches of rows that say little, unless they lie right beside a match that stays: blank
/// rows must not tie together what merely stands at the same height.
pub(super) fn drop_weak(old: &[Key], matches: &mut [Option<usize>]) {
    let len = matches.len();
    let mut strong: Vec<bool> =
        matches.iter().map(|m| m.is_some_and(|o| old[o].weight > WEAK_MAX)).collect();
    let mut last = (0, 0);
    for j in 0..len {
        if let Some(o) = matches[j] {
            strong[j] |= (o + 1, j + 1) == (last.0 + 1, last.1 + 1);
            if strong[j] {
                last = (o + 1, j + 1);
            }
        }
    }
    let mut last = (old.len() + 1, len + 1);
    for j in (0..len).rev() {
        if let Some(o) = matches[j] {
            strong[j] |= (o + 2, j + 2) == last;
            if strong[j] {
                last = (o + 1, j + 1);
            }
        }
    }
    for (m, strong) in matches.iter_mut().zip(strong) {
        if !strong {
            *m = None;
        }
    }
}

/// Rows up to this weight do not stand for themselves.
pub(super) const WEAK_MAX: u32 = 4;

fn solve(old: &[Key], new: &[Key], old_at: usize, out: &mut [Option<usize>]) {
    let head = old.iter().zip(new).take_while(|(a, b)| a.hash == b.hash).count();
    for (i, slot) in out[..head].iter_mut().enumerate() {
        *slot = Some(old_at + i);
    }
    let (old, new, out, old_at) = (&old[head..], &new[head..], &mut out[head..], old_at + head);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a.hash == b.hash).count();
    let (old_len, new_len) = (old.len() - tail, new.len() - tail);
    for i in 0..tail {
        out[new_len + i] = Some(old_at + old_len + i);
    }
    let (old, new, out) = (&old[..old_len], &new[..new_len], &mut out[..new_len]);
    if old.is_empty() || new.is_empty() {
        return;
    }
    if old.len() * new.len() <= EXACT_CELLS_MAX {
        return solve_exactly(old, new, old_at, out);
    }
    let (mut old_from, mut new_from) = (0, 0);
    let mut anchors = anchors(old, new);
    if anchors.is_empty() {
        return;
    }
    anchors.push((old.len(), new.len()));
    for (o, n) in anchors {
        // Anchors rise on both sides, so each part is smaller than the whole.
        solve(&old[old_from..o], &new[new_from..n], old_at + old_from, &mut out[new_from..n]);
        if n < new.len() {
            out[n] = Some(old_at + o);
        }
        (old_from, new_from) = (o + 1, n + 1);
    }
}

fn solve_exactly(old: &[Key], new: &[Key], old_at: usize, out: &mut [Option<usize>]) {
    let width = new.len() + 1;
    let mut score = vec![0u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            let skip = score[(i + 1) * width + j].max(score[i * width + j + 1]);
            let take = match old[i].hash == new[j].hash {
                true => score[(i + 1) * width + j + 1] + 1 + old[i].weight,
                false => 0,
            };
            score[i * width + j] = skip.max(take);
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() && j < new.len() {
        let here = score[i * width + j];
        if old[i].hash == new[j].hash && here == score[(i + 1) * width + j + 1] + 1 + old[i].weight
        {
            out[j] = Some(old_at + i);
            i += 1;
            j += 1;
        } else if here == score[(i + 1) * width + j] {
            i += 1;
        } else {
            j += 1;
        }
    }
}

/// Pairs of rows that occur once in `old` and once in `new`, in the longest rising order.
fn anchors(old: &[Key], new: &[Key]) -> Vec<(usize, usize)> {
    let mut seen: HashMap<u64, (u32, usize, u32, usize)> = HashMap::new();
    for (i, key) in old.iter().enumerate().filter(|(_, k)| k.weight > 0) {
        let entry = seen.entry(key.hash).or_default();
        entry.0 += 1;
        entry.1 = i;
    }
    for (j, key) in new.iter().enumerate() {
        if let Some(entry) = seen.get_mut(&key.hash) {
            entry.2 += 1;
            entry.3 = j;
        }
    }
    let mut pairs: Vec<(usize, usize)> =
        seen.values().filter(|e| e.0 == 1 && e.2 == 1).map(|e| (e.3, e.1)).collect();
    pairs.sort_unstable();
    // Patience: the smallest end of a rising run of each length, and how each pair was reached.
    let mut ends: Vec<usize> = Vec::new();
    let mut before = vec![usize::MAX; pairs.len()];
    for (p, (_, o)) in pairs.iter().enumerate() {
        let len = ends.partition_point(|e| pairs[*e].1 < *o);
        if len > 0 {
            before[p] = ends[len - 1];
        }
        match ends.get_mut(len) {
            Some(end) => *end = p,
            None => ends.push(p),
        }
    }
    let mut chain = Vec::new();
    let mut at = ends.last().copied();
    while let Some(p) = at {
        chain.push((pairs[p].1, pairs[p].0));
        at = Some(before[p]).filter(|b| *b != usize::MAX);
    }
    chain.reverse();
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(old: &str, new: &str, expected: &str) {
        let keys = |text: &str| -> Vec<Key> {
            text.chars().map(|c| Key { hash: c as u64, weight: u32::from(c != '.') * 4 }).collect()
        };
        let shown: String = align(&keys(old), &keys(new))
            .iter()
            .map(|m| m.map_or('-', |i| char::from_digit(i as u32, 36).unwrap_or('?')))
            .collect();
        assert_eq!(shown, expected, "{old} to {new}");
    }

    #[test]
    fn rows_are_found_again_in_order() {
        check("", "ab", "--");
        check("abc", "abc", "012");
        check("abc", "abxc", "01-2");
        check("abcde", "cdexy", "234--");
        check("hXYf", "hYZf", "02-3");
        check("a.b", "b.a", "2--");
        check("....ab", "ab..", "45--");
    }

    #[test]
    fn long_sides_are_cut_at_anchors() {
        let key = |n: usize| Key { hash: n as u64, weight: 1 };
        let old: Vec<Key> = (0..3000).map(key).collect();
        let new: Vec<Key> = (1000..5000).filter(|n| n % 7 != 0).map(key).collect();
        let matches = align(&old, &new);
        assert!(new.iter().zip(&matches).all(|(k, m)| match m {
            Some(i) => old[*i].hash == k.hash,
            None => k.hash >= 3000,
        }));
    }
}
