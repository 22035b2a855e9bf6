//! Words in texts that come in pieces: pieces, words, and the lines that are hits.

use super::scan::{Doubt, PASSED_LEN_MIN as PIECE_LEN, Scan, whole};
use super::*;

/// Says of every piece but one that it is sound, which is found out only when it is asked.
#[derive(Clone, Copy)]
struct Told<'a> {
    pieces: &'a [&'a [u8]],
    number: usize,
    damaged: usize,
}

impl Doubt for Told<'_> {
    fn holds(&self, piece: &[u8]) -> bool {
        assert_eq!(piece, self.pieces[self.number]);
        self.number != self.damaged
    }

    fn again(&self) -> Option<Vec<u8>> {
        (self.number != self.damaged).then(|| self.pieces[self.number].to_vec())
    }
}

fn query(words: &[&str], context: usize) -> Query {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    Query::new(&words, &[], context).expect("words")
}

/// The hits in `text` cut into pieces of `len` bytes, piece `n` seen at `n` microseconds.
fn hits(query: &Query, text: &str, len: usize) -> Vec<(u64, Found)> {
    let pieces: Vec<&[u8]> = text.as_bytes().chunks(len).collect();
    let plain = hits_in(query, &pieces, None);
    assert_eq!(hits_in(query, &pieces, Some(usize::MAX)), plain, "unchecked");
    plain
}

/// The hits in these pieces, each of them in doubt if one is said to be damaged.
fn hits_in(query: &Query, pieces: &[&[u8]], damaged: Option<usize>) -> Vec<(u64, Found)> {
    let mut found = Vec::new();
    let mut scan = Scan::new(query);
    for (number, piece) in pieces.iter().enumerate() {
        let doubt = damaged.map(|damaged| Told { pieces, number, damaged });
        scan.feed(number as u64, piece, doubt, &mut |t_us, hit| found.push((t_us, hit)));
    }
    scan.finish(&mut |t_us, hit| found.push((t_us, hit)));
    found
}

fn check(words: &[&str], text: &str, expected: &[&str]) {
    for len in [1, 3, 1000] {
        let found = hits(&query(words, 0), text, len);
        let lines: Vec<&str> = found.iter().map(|(_, hit)| hit.line.as_str()).collect();
        assert_eq!(lines, expected, "{words:?} in pieces of {len}");
    }
}

#[test]
fn words_are_found_line_by_line() {
    check(&["b"], "a\nab\nc\nB", &["ab", "B"]);
    check(&["B"], "a\nab\nc\nB", &["B"]);
    check(&["x"], "a\nb", &[]);
    check(&["a"], "a a a", &["a a a"]);
    check(&["über"], "ÜBERALL\n", &["ÜBERALL"]);
    check(&["rate limit"], "the rate\nlimit", &["the rate limit"]);
}

#[test]
fn words_belong_together_within_two_lines() {
    check(&["needle", "hay"], "needle hay", &["needle hay"]);
    check(&["needle", "hay"], "needle\n\nhay", &["needle"]);
    check(&["needle", "hay"], "hay\n\nneedle", &["needle"]);
    check(&["needle", "hay"], "needle\n\n\nhay", &[]);
    check(&["needle", "hay", "x"], "needle\nhay", &[]);
}

#[test]
fn a_hit_has_its_time_and_the_lines_around_it() {
    let text = "one\ntwo\nthree needle\nfour\nfive\n";
    let found = hits(&query(&["needle"], 1), text, 4);
    let [(t_us, hit)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(
        (*t_us, hit.before.as_slice(), hit.after.as_slice()),
        (3, &["two".to_owned()][..], &["four".to_owned()][..])
    );
    let found = hits(&query(&["needle"], 9), text, 4);
    assert_eq!(found[0].1.before, ["one", "two"]);
    assert_eq!(found[0].1.after, ["four", "five"]);
}

/// More text than is looked through at once, and lines longer than that.
#[test]
fn what_is_long_is_searched_whole() {
    for filler in ["filler line\n", "filler without an end "] {
        let mut text = String::new();
        for n in 0..3 {
            text.push_str(&filler.repeat(70_000));
            text.push_str(&format!("needle{n}\n"));
        }
        let found = hits(&query(&["needle"], 0), &text, 5000);
        let lines: Vec<&str> =
            found.iter().map(|(_, hit)| &hit.line[hit.line.len() - 7..]).collect();
        assert_eq!(lines, ["needle0", "needle1", "needle2"], "{filler}");
        assert!(found.iter().all(|(_, hit)| hit.line.len() <= LINE_LEN_MAX));
    }
}

/// Long pieces are passed over where they are, short ones are collected: the hits are the same,
/// and so are the lines around them. Each hit has the time of the piece it begins in.
#[test]
fn however_text_is_cut_the_hits_are_the_same() {
    let mut seed = 7u32;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize % below
    };
    for rarity in [60, 2000, 40_000] {
        let mut text = String::new();
        for _ in 0..30_000 {
            text.push_str(match random(rarity) {
                0 => "needle",
                1 => "Needle hay",
                2 => "nee",
                3 => "dle\nhay",
                4 => "hay",
                _ => ["filler", "more of it", "x"][random(3)],
            });
            // Some lines are longer than a piece.
            text.push(if random(8) == 0 && text.len() % 90_000 > 12_000 { '\n' } else { ' ' });
        }
        for (words, context) in
            [(&["needle"][..], 0), (&["needle", "hay"], 0), (&["needle"], 1), (&["dle hay"], 100)]
        {
            let query = query(words, context);
            let plain = hits(&query, &text, 1000);
            for len in [PIECE_LEN - 1, PIECE_LEN, 5003, 16 << 10, 300 << 10] {
                let cut = hits(&query, &text, len);
                assert_eq!(cut.len(), plain.len(), "{words:?} in pieces of {len}");
                for ((t_us, hit), (plain_us, plain)) in cut.iter().zip(&plain) {
                    assert_eq!(hit, plain, "{words:?} in pieces of {len}");
                    let near = (*t_us * len as u64).abs_diff(*plain_us * 1000);
                    assert!(near < len as u64 + 1000, "at {t_us} in pieces of {len}");
                }
            }
        }
    }
}

#[test]
fn a_message_is_searched_as_a_whole() {
    let message = "first hay\n\n\n\n\nthen the needle\n";
    let found = whole(&query(&["needle", "hay"], 0), message).expect("a hit");
    assert_eq!(found.line, "then the needle");
    assert!(whole(&query(&["needle", "straw"], 0), message).is_none());
}

#[test]
fn spans_do_not_overlap() {
    let query = query(&["aa", "aab"], 0);
    assert_eq!(query.spans("aab aaa"), [0..3, 4..6]);
}

#[test]
fn every_text_of_a_value_is_searched() {
    let value = crate::json::parse(br#"{"a":["x",1,{"b":"y"}],"c":"z"}"#).expect("JSON");
    assert_eq!(strings(&value), "x\ny\nz\n");
}

/// Wherever the damage is: what is shown of the other pieces is what is shown without it, and
/// nothing is shown of it.
#[test]
fn a_damaged_piece_is_as_good_as_none() {
    let filler = |n: usize| format!("{}\n", format!("line {n}\n").repeat(700));
    for (words, context) in [(&["needle"][..], 0), (&["needle", "hay"], 0), (&["needle"], 3)] {
        let query = query(words, context);
        let texts: Vec<String> = (0..6)
            .map(|n| match n {
                1 => format!("{}needle {n}\nhay {n}\nend {n}\n", filler(n)),
                2 => format!("hay {n}\nbegin {n}\n{}nee", filler(n)),
                3 => format!("dle {n}\nhay\n{}needle {n}\n", filler(n)),
                4 => "needle 4\nhay\n".to_owned(),
                _ => filler(n),
            })
            .collect();
        let pieces: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        for damaged in 0..pieces.len() {
            let got = hits_in(&query, &pieces, Some(damaged));
            let without = [&pieces[..damaged], &[&b""[..]], &pieces[damaged + 1..]].concat();
            let expected = hits_in(&query, &without, None);
            let own = |hits: &[(u64, Found)]| -> Vec<(u64, String)> {
                hits.iter().map(|(t_us, hit)| (*t_us, hit.line.clone())).collect()
            };
            assert_eq!(own(&got), own(&expected), "{words:?}, piece {damaged} damaged");
            let shown = |(_, hit): &(u64, Found)| [&hit.before[..], &hit.after[..]].concat();
            let mark = damaged.to_string();
            assert!(!got.iter().flat_map(shown).any(|line| line.contains(&mark)));
        }
    }
}
