//! A word to look for, and a fast way to find it in bytes: two of them tell where it may be, then
//! it is compared letter by letter.

use std::ops::Range;

use crate::sys::pair::{self, Probe};

/// A word or phrase, never empty.
#[derive(Clone, Debug)]
pub(in crate::library) struct Needle {
    /// Each letter as it may be written, all ways of it equally long.
    letters: Vec<(Vec<u8>, Vec<u8>)>,
    len: usize,
    /// Two places in the word whose bytes are the rarest.
    pair: [Probe; 2],
}

impl Needle {
    /// A word, found in any case unless it has a capital in it. None if it is empty.
    pub(in crate::library) fn new(word: &str) -> Option<Needle> {
        let exact = word.chars().any(char::is_uppercase);
        let letters: Vec<_> = word.chars().map(|c| ways(c, exact)).collect();
        let mut probes: Vec<(u32, Probe)> = Vec::new();
        for (a, b) in &letters {
            for (x, y) in a.iter().zip(b) {
                let mask = x ^ y;
                let at = probes.len();
                probes.push((rarity(*x), Probe { at, mask, want: x | mask }));
            }
        }
        let len = probes.len();
        probes.sort_by_key(|(rarity, probe)| (*rarity, probe.at));
        let first = probes.first()?.1;
        let second = probes.get(1).map_or(first, |(_, probe)| *probe);
        Some(Needle { letters, len, pair: [first, second] })
    }

    /// Bytes of a place where it is found.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Where it is first found in `hay` at or after `from`.
    pub(in crate::library) fn find(&self, hay: &[u8], from: usize) -> Option<Range<usize>> {
        let at = pair::find(hay, from, &self.pair, |at| self.is_at(hay, at))?;
        Some(at..at + self.len)
    }

    fn is_at(&self, hay: &[u8], at: usize) -> bool {
        let Some(mut rest) = hay.get(at..at + self.len) else { return false };
        self.letters.iter().all(|(a, b)| {
            let (letter, after) = rest.split_at(a.len());
            rest = after;
            letter == a || letter == b
        })
    }
}

/// A letter and its other case, where that takes as many bytes. A phrase may go over a line's end.
fn ways(c: char, exact: bool) -> (Vec<u8>, Vec<u8>) {
    if c == ' ' {
        return (vec![b' '], vec![b'\n']);
    }
    let own = c.to_string().into_bytes();
    let other = if exact { None } else { Some(c.to_uppercase().to_string().into_bytes()) };
    let other = other.filter(|other| other.len() == own.len()).unwrap_or_else(|| own.clone());
    (own, other)
}

/// How often a byte stands in text, roughly: the less the better to look for. Lead bytes of other
/// scripts say little where that script is written.
fn rarity(byte: u8) -> u32 {
    const COMMON: &[u8] = b"zqxjkvbypgwfmucdlhrsnioat e";
    let byte = byte.to_ascii_lowercase();
    match COMMON.iter().position(|c| *c == byte) {
        Some(place) => 20 + place as u32,
        None if byte.is_ascii_digit() => 30,
        None if byte < 0x80 => 15,
        None if byte < 0xc0 => 22,
        None => 50,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: &str, text: &str, expected: Option<usize>) {
        let needle = Needle::new(word).expect(word);
        // In front of everything, and wherever a vector of positions may end.
        for pad in (0..3).chain(44..67).chain(108..131) {
            let hay = format!("{}{text}{}", ".".repeat(pad), ".".repeat(pad));
            let found = needle.find(hay.as_bytes(), 0).map(|at| at.start);
            assert_eq!(found, expected.map(|at| at + pad), "{word} in {hay}");
        }
    }

    #[test]
    fn words_are_found_in_any_case_unless_they_have_a_capital() {
        for (word, text, expected) in [
            ("login", "the login", Some(4)),
            ("login", "the LoGin", Some(4)),
            ("Login", "the login, Login", Some(11)),
            ("login", "the logi n", None),
            ("x", "aXb", Some(1)),
            ("straße", "die Straße", Some(4)),
            ("über", "ÜBER", Some(0)),
            ("рука", "РУКА", Some(0)),
            ("ру", "Ѡу", None),
            ("日本", "在日本", Some(3)),
            ("a b", "A  b a B", Some(5)),
            ("a b", "a\nb", Some(0)),
            ("aab", "aaab", Some(1)),
            ("@", "`", None),
            ("[", "{", None),
        ] {
            check(word, text, expected);
        }
        assert!(Needle::new("").is_none());
    }

    /// Against the standard library's own search, on texts of few letters.
    #[test]
    fn every_short_text_agrees_with_the_standard_library() {
        let texts = |len: u32| {
            (0..3_u32.pow(len)).map(move |n| {
                let letter = |at| b"abA"[(n / 3_u32.pow(at) % 3) as usize] as char;
                (0..len).map(letter).collect::<String>()
            })
        };
        let words: Vec<String> = (1..4).flat_map(texts).collect();
        for text in texts(7) {
            for word in &words {
                let needle = Needle::new(word).expect("a word");
                let expected = match word.contains('A') {
                    true => text.find(word),
                    false => text.to_lowercase().find(word),
                };
                let found = needle.find(text.as_bytes(), 0).map(|at| at.start);
                assert_eq!(found, expected, "{word} in {text}");
            }
        }
    }
}
