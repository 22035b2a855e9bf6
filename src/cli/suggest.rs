//! The word a mistyped one was meant to be.

/// The longest word that is compared; a longer one is no slip of the finger.
const WORD_LEN_MAX: usize = 32;

/// The only candidate that `word`, of two letters or more, is the beginning of; else the nearest
/// one, if it is at most one edit away for each three letters begun. An edit is a letter more,
/// less, other or swapped.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let len = word.chars().count();
    if !(2..=WORD_LEN_MAX).contains(&len) {
        return None;
    }
    let mut longer = candidates.clone().filter(|c| c.starts_with(word));
    if let (Some(only), None) = (longer.next(), longer.next()) {
        return Some(only);
    }
    let (edits, near) = candidates.map(|c| (distance(word, c), c)).min_by_key(|(d, _)| *d)?;
    (edits <= len.div_ceil(3) && edits < len).then_some(near)
}

/// Optimal string alignment distance, by the usual three rows.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let other = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (above[j - 1] + other).min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, edits) in [
            ("list", "list", 0),
            ("lsit", "list", 1),
            ("lis", "list", 1),
            ("lists", "list", 1),
            ("kitten", "sitting", 3),
            ("", "ab", 2),
            ("ca", "abc", 3),
        ] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
            assert_eq!(distance(b, a), edits, "{b} {a}");
        }
    }

    #[test]
    fn suggestions() {
        let words = ["run", "last", "list", "show", "search", "dump", "completion"];
        for (typed, meant) in [
            ("lst", Some("last")),
            ("lits", Some("list")),
            ("comp", Some("completion")),
            ("serach", Some("search")),
            ("s", None),
            ("claude", None),
            ("xx", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(nearest(typed, words.iter().copied()), meant, "{typed}");
        }
        let (most, over) = ("l".repeat(WORD_LEN_MAX), "l".repeat(WORD_LEN_MAX + 1));
        assert_eq!(nearest(&most, [most.as_str()].into_iter()), Some(most.as_str()));
        assert_eq!(nearest(&over, [over.as_str()].into_iter()), None);
    }
}
