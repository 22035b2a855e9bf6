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
    for gap in [WINDOW_LEN - 3, WINDOW_LEN, WINDOW_LEN + 1] {
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

#[test]
fn what_is_compressed_here_is_read_by_flate2_and_by_us() {
    for bytes in samples() {
        let middle = bytes.len() / 3;
        for parts in [vec![&bytes[..]], vec![&bytes[..middle], &bytes[middle..]]] {
            let compressed = deflate(&parts);
            let mut theirs = Vec::new();
            flate2::read::DeflateDecoder::new(&compressed[..]).read_to_end(&mut theirs).unwrap();
            assert!(theirs == bytes, "{} bytes", bytes.len());
            assert!(inflate(&compressed, bytes.len()).as_ref() == Some(&bytes));
            assert_eq!(inflate(&compressed, bytes.len() + 1), None);
            if !bytes.is_empty() {
                assert_eq!(inflate(&compressed, bytes.len() - 1), None);
                assert_eq!(inflate(&compressed[..compressed.len() - 1], bytes.len()), None);
            }
        }
    }
}

#[test]
fn what_flate2_compresses_is_read_here() {
    for bytes in samples() {
        for level in [0, 1, 6, 9] {
            let mut encoder =
                flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(level));
            encoder.write_all(&bytes).unwrap();
            let theirs = encoder.finish().unwrap();
            assert!(inflate(&theirs, bytes.len()).as_ref() == Some(&bytes), "level {level}");
        }
    }
}

#[test]
fn it_is_no_worse_than_the_best_level_of_flate2_by_more_than_a_twentieth() {
    let bytes: Vec<u8> = samples().concat();
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&bytes).unwrap();
    let theirs = encoder.finish().unwrap().len();
    assert!(deflate(&[&bytes]).len() <= theirs + theirs / 20);
}

#[test]
fn no_bytes_make_the_decoder_fail_or_exceed_its_limit() {
    let good = deflate(&[&samples().concat()[..20_000]]);
    let mut x = 7u64;
    for _ in 0..3000 {
        let mut bad = good.clone();
        for _ in 0..1 + x % 4 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (x >> 20) as usize % bad.len();
            bad[at] ^= 1 << (x >> 60 & 7);
        }
        if let Some(out) = inflate(&bad, 20_000) {
            assert_eq!(out.len(), 20_000);
        }
    }
}
