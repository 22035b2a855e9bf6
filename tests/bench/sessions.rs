//! A store of very many short sessions, made through the library.

use std::path::Path;

use intentloop::store::{Access, Exit, NewSession, Store, StreamId};

/// 2026-01-01, the first session's start; the others follow a minute apart.
const FIRST_MS: u64 = 1_767_225_600_000;
const APART_MS: u64 = 60_000;

/// Puts `count` finished sessions into a new store in `dir`.
pub fn fill(dir: &Path, count: u32) {
    let store = Store::open(dir, Access::Write).expect("a new store");
    for number in 0..count {
        let ms = FIRST_MS + u64::from(number) * APART_MS;
        let id = id_of(ms, number);
        let hex: Vec<String> = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let hex = hex.concat();
        let uuid = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
        let meta = format!(
            "{{\"v\":1,\"id\":\"{uuid}\",\"argv\":[\"make\",\"test{number}\"],\"cwd\":\"/home/me/shop\"}}"
        );
        let start_us = (ms * 1000) as i64;
        let new = NewSession {
            id,
            start_us,
            label: *b"make\0\0\0\0\0\0\0\0\0\0\0\0",
            meta: meta.as_bytes(),
        };
        let mut writer = store.begin(&new).expect("a new session");
        let _ = writer.append(StreamId::STDOUT, 1000, b"all tests passed\r\n");
        writer.end(Exit::Code(0), start_us + 1_000_000).expect("an end");
    }
}

/// A UUIDv7 whose random half comes from `number`.
fn id_of(unix_ms: u64, number: u32) -> [u8; 16] {
    let mut id = [0; 16];
    id[..6].copy_from_slice(&unix_ms.to_be_bytes()[2..]);
    let noise = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    id[8..].copy_from_slice(&noise.to_be_bytes());
    id[6] = 0x70;
    id[8] = id[8] & 0x3f | 0x80;
    id
}

/// Puts sessions with this much settled text into a new store in `dir`, and the same text into
/// files in `files`: words that a random number picks, in lines of ten.
pub fn fill_with_text(dir: &Path, files: &Path, count: u32, text_len: usize) {
    std::fs::create_dir_all(files).expect("a directory");
    let store = Store::open(dir, Access::Write).expect("a new store");
    let mut seed = 1;
    for number in 0..count {
        let ms = FIRST_MS + u64::from(number) * APART_MS;
        let text = words(text_len, &mut seed);
        std::fs::write(files.join(format!("{number}.txt")), &text).expect("a file");
        let start_us = (ms * 1000) as i64;
        let new = NewSession { id: id_of(ms, number), start_us, label: [0; 16], meta: b"{}" };
        let mut writer = store.begin(&new).expect("a new session");
        for piece in text.chunks(16 << 10) {
            let _ = writer.append(StreamId::TEXT, 1000, piece);
        }
        let meta = format!(
            "{{\"v\":1,\"argv\":[\"make\"],\"text\":{{\"v\":1,\"off\":0,\"len\":{}}}}}",
            text.len()
        );
        let _ = writer.append(StreamId::META, 1000, meta.as_bytes());
        writer.end(Exit::Code(0), start_us + 1_000_000).expect("an end");
    }
}

/// `len` bytes of made-up words.
fn words(len: usize, seed: &mut u64) -> Vec<u8> {
    const SYLLABLES: &[u8; 64] =
        b"thanerisondetolavecomifubapagerohiselsunteraliparquemoxyzidoting";
    let mut text = Vec::with_capacity(len + 32);
    let mut count = 0;
    while text.len() < len {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bits = *seed >> 33;
        for syllable in 0..=bits % 3 {
            let at = (bits >> (8 + 6 * syllable)) as usize % 32;
            text.extend_from_slice(&SYLLABLES[2 * at..2 * at + 2]);
        }
        count += 1;
        text.push(if count % 10 == 0 { b'\n' } else { b' ' });
    }
    text.truncate(len);
    text
}
