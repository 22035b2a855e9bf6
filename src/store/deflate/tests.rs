use super::*;
use std::io::{Read, Write};

/// Inputs of every kind that matters: nothing, noise, one byte repeated, text, all lengths.
fn samples() -> Vec<Vec<u8>> {
    let mut x = 1u64;
    let mut noise = |len: usize, mask: u8| -> Vec<u8> {
        (0..len)
            .map(|_| {
                x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (x >> 56) as u8 & mask
            })
            .collect()
    };
    let mut samples: Vec<Vec<u8>> = (0..40).map(|len| noise(len, 3)).collect();
    samples.push(noise(70_000, 0xff));
    samples.push(noise(70_000, 0x0f));
    samples.push(vec![7; 300_000]);
    samples.push(
        (0..40_000u32).flat_map(|i| format!("\x1b[{}mline {i}\r\n", i % 47).into_bytes()).collect(),
    );
    // A distance of exactly the window, and one past it.
    for gap in [PLAIN.reach - 3, PLAIN.reach, PLAIN.reach + 1, WIDE.reach, WIDE.reach + 1] {
        let tail = noise(gap - 20, 0xff);
        samples.push([b"abcdefghijklmnopqrst", &tail[..], b"abcdefghijklmnopqrst"].concat());
    }
    // Counts like Fibonacci numbers make words longer than 15 bits, if nothing limits them.
    let (mut a, mut b) = (1usize, 1usize);
    let mut skewed = Vec::new();
    for byte in 0..24u8 {
        skewed.extend(std::iter::repeat_n(byte, a));
        (a, b) = (b, a + b);
    }
    let step = 7919;
    samples.push((0..skewed.len()).map(|i| skewed[i * step % skewed.len()]).collect());
    samples
}

/// Both dialects and efforts must give the bytes back, and the plain one to flate2 too.
fn check(bytes: &[u8], parts: &[&[u8]]) {
    for effort in [Effort::Quick, Effort::Thorough] {
        let plain = deflate(&PLAIN, effort, parts);
        let mut theirs = Vec::new();
        flate2::read::DeflateDecoder::new(&plain[..]).read_to_end(&mut theirs).unwrap();
        assert!(theirs == bytes, "{} bytes", bytes.len());
        let wide = deflate(&WIDE, effort, parts);
        for (dialect, compressed) in [(&PLAIN, plain), (&WIDE, wide)] {
            let inflated = |len| inflate(dialect, &compressed, len);
            assert!(inflated(bytes.len()).as_deref() == Some(bytes));
            assert_eq!(inflated(bytes.len() + 1), None);
            if !bytes.is_empty() {
                assert_eq!(inflated(bytes.len() - 1), None);
                let cut = &compressed[..compressed.len() - 1];
                assert_eq!(inflate(dialect, cut, bytes.len()), None);
            }
        }
    }
}

#[test]
fn what_is_compressed_here_is_read_by_flate2_and_by_us() {
    for bytes in samples() {
        let middle = bytes.len() / 3;
        check(&bytes, &[&bytes]);
        check(&bytes, &[&bytes[..middle], &bytes[middle..]]);
    }
}

/// Lengths and distances are said by RFC 1951's tables, and go on beyond them.
#[test]
fn each_length_and_distance_has_its_symbol() {
    for dialect in [&PLAIN, &WIDE] {
        for len in MATCH_MIN..=dialect.match_max {
            let (symbol, extra, bits) = dialect.length_symbol(len);
            assert_eq!(dialect.length_of(symbol), Some((len - extra as usize, bits)), "{len}");
        }
        for distance in 1..=dialect.reach {
            let (symbol, extra, bits) = dialect.distance_symbol(distance);
            let found = dialect.distance_of(symbol);
            assert_eq!(found, Some((distance - extra as usize, bits)), "{distance}");
        }
    }
    assert_eq!(PLAIN.length_symbol(258), (285, 0, 0));
    assert_eq!(WIDE.length_symbol(WIDE.match_max).0, WIDE.literals - 1);
    assert_eq!(WIDE.distance_symbol(WIDE.reach).0, WIDE.distances - 1);
    for dialect in [&PLAIN, &WIDE] {
        assert_eq!(dialect.length_of(dialect.literals), None);
        assert_eq!(dialect.distance_of(dialect.distances), None);
    }
}

/// A recording's redraws lie further apart than DEFLATE reaches, at the same few distances.
#[test]
fn the_wide_dialect_gains_on_what_a_terminal_shows() {
    let screen: Vec<u8> =
        (0..40_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 26) as u8).collect();
    let mut shown = Vec::new();
    for frame in 0..3u8 {
        shown.extend(screen.iter().enumerate().map(|(i, b)| if i % 999 == 0 { frame } else { *b }));
    }
    let [plain, wide] =
        [&PLAIN, &WIDE].map(|dialect| deflate(dialect, Effort::Thorough, &[&shown]).len());
    assert!(wide * 2 < plain, "{wide} {plain}");
}

#[test]
fn what_flate2_compresses_is_read_here() {
    for bytes in samples() {
        for level in [0, 1, 6, 9] {
            let mut encoder =
                flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(level));
            encoder.write_all(&bytes).unwrap();
            let theirs = encoder.finish().unwrap();
            assert!(
                inflate(&PLAIN, &theirs, bytes.len()).as_ref() == Some(&bytes),
                "level {level}"
            );
        }
    }
}

#[test]
fn it_is_no_worse_than_the_best_level_of_flate2() {
    let bytes: Vec<u8> = samples().concat();
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&bytes).unwrap();
    let theirs = encoder.finish().unwrap().len();
    let ours = |effort| deflate(&PLAIN, effort, &[&bytes]).len();
    assert!(ours(Effort::Thorough) <= theirs, "{} {theirs}", ours(Effort::Thorough));
    assert!(ours(Effort::Quick) <= theirs + theirs / 10, "{} {theirs}", ours(Effort::Quick));
}

#[test]
fn no_bytes_make_the_decoder_fail_or_exceed_its_limit() {
    for dialect in [&PLAIN, &WIDE] {
        let good = deflate(dialect, Effort::Quick, &[&samples().concat()[..20_000]]);
        let mut x = 7u64;
        for _ in 0..3000 {
            let mut bad = good.clone();
            for _ in 0..1 + x % 4 {
                x = x
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let at = (x >> 20) as usize % bad.len();
                bad[at] ^= 1 << (x >> 60 & 7);
            }
            if let Some(out) = inflate(dialect, &bad, 20_000) {
                assert_eq!(out.len(), 20_000);
            }
        }
    }
}
