//! CRC32C by the processor's own instruction where it has one, else `hash::crc32c`.

use crate::hash;

/// The same function as [`hash::crc32c`], as fast as this machine can.
pub fn crc32c(crc: u32, bytes: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sse4.2") {
        // SAFETY: needs SSE4.2, which the line above has just found.
        return unsafe { sse42(crc, bytes) };
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("crc") {
        // SAFETY: needs the CRC extension, which the line above has just found.
        return unsafe { armv8(crc, bytes) };
    }
    hash::crc32c(crc, bytes)
}

/// Bytes of each of the three lanes that are summed side by side, for the instruction takes three
/// cycles and can begin every cycle: eight rounds of them fill a page.
#[cfg(target_arch = "x86_64")]
const LANE_LEN: usize = 672;

/// `AFTER_LANE[k][b]` is what byte `k` of a sum, if it is `b`, becomes behind [`LANE_LEN`] zeros.
#[cfg(target_arch = "x86_64")]
static AFTER_LANE: [[u32; 256]; 4] = hash::crc32c_behind_zeros(LANE_LEN);

#[cfg(target_arch = "x86_64")]
fn behind_lane(sum: u32) -> u32 {
    let [a, b, c, d] = sum.to_le_bytes();
    AFTER_LANE[0][a as usize]
        ^ AFTER_LANE[1][b as usize]
        ^ AFTER_LANE[2][c as usize]
        ^ AFTER_LANE[3][d as usize]
}

/// # Safety
/// The processor must have SSE4.2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
unsafe fn sse42(crc: u32, bytes: &[u8]) -> u32 {
    use std::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u64};
    let mut crc = !crc;
    let (rounds, rest) = bytes.as_chunks::<{ 3 * LANE_LEN }>();
    for round in rounds {
        let (words, _) = round.as_chunks::<8>();
        let (first, others) = words.split_at(LANE_LEN / 8);
        let (second, third) = others.split_at(LANE_LEN / 8);
        let (mut a, mut b, mut c) = (u64::from(crc), 0, 0);
        for at in 0..LANE_LEN / 8 {
            a = _mm_crc32_u64(a, u64::from_le_bytes(first[at]));
            b = _mm_crc32_u64(b, u64::from_le_bytes(second[at]));
            c = _mm_crc32_u64(c, u64::from_le_bytes(third[at]));
        }
        crc = behind_lane(behind_lane(a as u32) ^ b as u32) ^ c as u32;
    }
    let (words, rest) = rest.as_chunks::<8>();
    let mut wide = u64::from(crc);
    for word in words {
        wide = _mm_crc32_u64(wide, u64::from_le_bytes(*word));
    }
    let mut crc = wide as u32;
    for &byte in rest {
        crc = _mm_crc32_u8(crc, byte);
    }
    !crc
}

/// # Safety
/// The processor must have the CRC extension.
#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "crc")]
unsafe fn armv8(crc: u32, bytes: &[u8]) -> u32 {
    use std::arch::aarch64::{__crc32cb, __crc32cd};
    let (chunks, rest) = bytes.as_chunks::<8>();
    let mut crc = !crc;
    for chunk in chunks {
        crc = __crc32cd(crc, u64::from_le_bytes(*chunk));
    }
    for &byte in rest {
        crc = __crc32cb(crc, byte);
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_and_table_agree_at_every_length_and_start() {
        let bytes: Vec<u8> = (0..600u32).map(|i| ((i * i) >> 3) as u8).collect();
        for start in 0..9 {
            for end in start..bytes.len() {
                let part = &bytes[start..end];
                assert_eq!(crc32c(end as u32, part), hash::crc32c(end as u32, part));
            }
        }
    }

    /// Around each length at which a round of lanes more is summed, up to more than a page.
    #[test]
    fn hardware_and_table_agree_on_what_is_long() {
        let bytes: Vec<u8> = (0..20_000u32).map(|i| ((i * i) >> 5) as u8).collect();
        for rounds in 1..9 {
            for end in rounds * 2016 - 9..rounds * 2016 + 10 {
                let part = &bytes[rounds..end];
                assert_eq!(crc32c(7, part), hash::crc32c(7, part), "{end}");
            }
        }
    }
}
