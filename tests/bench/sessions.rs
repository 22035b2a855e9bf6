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
