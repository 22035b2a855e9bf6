//! Session ids: UUID version 7 (RFC 9562), so that their order is the order of time.

use std::fmt;

/// Characters of an id.
const TEXT_LEN: usize = 36;

/// A session's id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub [u8; 16]);

impl SessionId {
    /// The id of a session that begins `unix_ms` milliseconds after 1970, made unique by `random`.
    pub fn new(unix_ms: u64, random: [u8; 10]) -> SessionId {
        let mut id = [0; 16];
        id[..6].copy_from_slice(&unix_ms.to_be_bytes()[2..]);
        id[6..].copy_from_slice(&random);
        id[6] = id[6] & 0x0f | 0x70;
        id[8] = id[8] & 0x3f | 0x80;
        SessionId(id)
    }

    /// The first 13 characters: the millisecond. The first 8 are shared by all sessions of a
    /// minute.
    pub fn short(self) -> String {
        let mut text = self.to_string();
        text.truncate(13);
        text
    }

    /// Reads the 36 characters that Display writes, in either case.
    pub fn parse(text: &str) -> Option<SessionId> {
        let b = text.as_bytes();
        if b.len() != TEXT_LEN || [8, 13, 18, 23].iter().any(|at| b[*at] != b'-') {
            return None;
        }
        let mut id = [0; 16];
        let mut digits = b.iter().filter(|c| **c != b'-').map(|c| (*c as char).to_digit(16));
        for byte in &mut id {
            *byte = (digits.next()?? << 4 | digits.next()??) as u8;
        }
        digits.next().is_none().then_some(SessionId(id))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By hand: a list of all sessions writes very many of these.
        let (mut text, mut at) = ([b'-'; TEXT_LEN], 0);
        for (index, byte) in self.0.iter().enumerate() {
            at += usize::from([4, 6, 8, 10].contains(&index));
            for digit in [byte >> 4, byte & 15] {
                text[at] = b"0123456789abcdef"[usize::from(digit)];
                at += 1;
            }
        }
        f.write_str(str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_shows_its_time_and_version_and_reads_back() {
        // The example of RFC 9562, appendix A.6.
        let random = [0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f];
        let id = SessionId::new(0x017F_22E2_79B0, random);
        assert_eq!(id.to_string(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
        assert_eq!(id.short(), "017f22e2-79b0");
        assert_eq!(SessionId::parse(&id.to_string().to_uppercase()), Some(id));
        for bad in [
            "",
            "017f22e2",
            "017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
            "017f22e279b07cc398c4dc0c0c07398f----",
        ] {
            assert_eq!(SessionId::parse(bad), None);
        }
    }
}
