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

/// # Safety
/// The processor must have SSE4.2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
unsafe fn sse42(crc: u32, bytes: &[u8]) -> u32 {
    use std::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u64};
    let (chunks, rest) = bytes.as_chunks::<8>();
    let mut wide = u64::from(!crc);
    for chunk in chunks {
        wide = _mm_crc32_u64(wide, u64::from_le_bytes(*chunk));
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
}
