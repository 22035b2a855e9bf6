//! What of an untrusted recording may reach a person's terminal: what it shows, and nothing that
//! asks, reports, copies, names, or changes how keys and mouse are read.

use super::parse::CSI_LEN_MAX;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    Escape,
    Csi,
    /// In a string. True: an OSC, which may turn out to be a link.
    String(bool),
}

/// Most bytes of a link that is let through.
const LINK_LEN_MAX: usize = 8192;

/// Lets through what a terminal shows. Fed in any pieces.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    state: State,
    kept: Vec<u8>,
    /// An unfinished character.
    partial: Vec<u8>,
    /// The next character lies in a broken sequence and goes with it.
    swallow: bool,
}

impl Filter {
    /// A filter at the start of a stream.
    pub fn new() -> Filter {
        Filter::default()
    }

    /// Appends to `out` what of `bytes` may be shown.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for b in bytes {
            match self.state {
                State::Ground => self.ground(*b, out),
                State::Escape => self.escape(*b, out),
                State::Csi => self.csi(*b, out),
                State::String(is_osc) => self.string(*b, is_osc, out),
            }
        }
    }

    fn ground(&mut self, b: u8, out: &mut Vec<u8>) {
        if b < 0x80 {
            if !self.partial.is_empty() {
                self.character("\u{fffd}", out);
            }
            match b {
                0x1b => self.begin(State::Escape),
                0x07..=0x0f | b' '..=b'~' => out.push(b),
                _ => {}
            }
            return;
        }
        self.partial.push(b);
        let partial = std::mem::take(&mut self.partial);
        match std::str::from_utf8(&partial) {
            // C1 controls act on some terminals, encoded or not.
            Ok(text) if text.chars().any(char::is_control) => self.swallow = false,
            Ok(text) => self.character(text, out),
            Err(e) if e.error_len().is_none() => self.partial = partial,
            Err(_) => {
                self.character("\u{fffd}", out);
                if partial.len() > 1 {
                    // What broke the character may begin one.
                    self.ground(b, out);
                }
            }
        }
    }

    fn character(&mut self, text: &str, out: &mut Vec<u8>) {
        self.partial.clear();
        if !std::mem::take(&mut self.swallow) {
            out.extend_from_slice(text.as_bytes());
        }
    }

    fn begin(&mut self, state: State) {
        self.state = state;
        self.kept.clear();
    }

    fn escape(&mut self, b: u8, out: &mut Vec<u8>) {
        match b {
            0x1b => self.kept.clear(),
            0x18 | 0x1a => self.begin(State::Ground),
            0x00..0x20 | 0x7f => {}
            0x20..0x30 => {
                self.kept.push(b);
                self.kept.truncate(3);
            }
            b'[' if self.kept.is_empty() => self.begin(State::Csi),
            b']' if self.kept.is_empty() => self.begin(State::String(true)),
            b'P' | b'X' | b'^' | b'_' | b'k' if self.kept.is_empty() => {
                self.begin(State::String(false));
            }
            final_byte => {
                let shows = match self.kept[..] {
                    [] => matches!(
                        final_byte,
                        b'7' | b'8' | b'D' | b'E' | b'H' | b'M' | b'n' | b'o' | b'|' | b'}' | b'~'
                    ),
                    [b'(' | b')' | b'*' | b'+'] => matches!(final_byte, b'0' | b'A' | b'B'),
                    [b'#'] => final_byte == b'8',
                    _ => false,
                };
                if shows {
                    out.push(0x1b);
                    out.extend_from_slice(&self.kept);
                    out.push(final_byte);
                } else if self.kept.is_empty() && final_byte == b'c' {
                    // A full reset would also reset what the viewer's own terminal is set to.
                    out.extend_from_slice(b"\x1b[!p\x1b[?1049l\x1b[H\x1b[2J");
                }
                self.begin(State::Ground);
            }
        }
    }

    fn csi(&mut self, b: u8, out: &mut Vec<u8>) {
        match b {
            0x1b => self.begin(State::Escape),
            0x18 | 0x1a => self.begin(State::Ground),
            0x07..=0x0f => out.push(b),
            0x00..0x20 | 0x7f => {}
            0x20..0x40 if self.kept.len() + 1 < CSI_LEN_MAX => self.kept.push(b),
            // Too long to mean anything: kept at its limit until its end.
            0x20..0x40 => {}
            0x40..0x7f => {
                let sequence = std::mem::take(&mut self.kept);
                if sequence.len() + 1 < CSI_LEN_MAX {
                    push_shown(&sequence, b, out);
                }
                self.begin(State::Ground);
            }
            0x80.. => {
                self.begin(State::Ground);
                self.swallow = true;
                self.ground(b, out);
            }
        }
    }

    fn string(&mut self, b: u8, is_osc: bool, out: &mut Vec<u8>) {
        match b {
            0x18 | 0x1a => self.begin(State::Ground),
            0x1b => {
                self.push_link(is_osc, out);
                self.begin(State::Escape);
            }
            0x07 if is_osc => {
                self.push_link(is_osc, out);
                self.begin(State::Ground);
            }
            b if self.kept.len() <= LINK_LEN_MAX => self.kept.push(b),
            _ => {}
        }
    }

    /// Lets an OSC 8 through that leads to the web, or ends a link.
    fn push_link(&self, is_osc: bool, out: &mut Vec<u8>) {
        let Some(rest) = self.kept.strip_prefix(b"8;").filter(|_| is_osc) else { return };
        let Some(at) = rest.iter().position(|b| *b == b';') else { return };
        let uri = &rest[at + 1..];
        let leads = uri.is_empty() || uri.starts_with(b"https://") || uri.starts_with(b"http://");
        let clean = rest.iter().all(|b| (0x20..0x7f).contains(b));
        if leads && clean && rest.len() < LINK_LEN_MAX {
            out.extend_from_slice(b"\x1b]8;");
            out.extend_from_slice(rest);
            out.extend_from_slice(b"\x1b\\");
        }
    }
}

/// Appends the control sequence if it only shows something.
fn push_shown(sequence: &[u8], final_byte: u8, out: &mut Vec<u8>) {
    let plain = sequence.iter().all(|b| matches!(b, b'0'..=b';'));
    let shows = match (sequence, final_byte) {
        (b"!", b'p') => true,
        ([b'?', modes @ ..], b'h' | b'l') => return push_modes(modes, final_byte, out),
        ([style @ .., b' '], b'q') => style.iter().all(u8::is_ascii_digit),
        (b"4" | b"20", b'h' | b'l') => true,
        (_, b'@'..=b'M' | b'P' | b'S' | b'T' | b'X' | b'Z' | b'`') => plain,
        (_, b'a' | b'b' | b'd'..=b'g' | b'm' | b'r' | b's' | b'u') => plain,
        _ => false,
    };
    if shows {
        out.extend_from_slice(b"\x1b[");
        out.extend_from_slice(sequence);
        out.push(final_byte);
    }
}

/// Appends those private modes that change what is shown.
fn push_modes(modes: &[u8], final_byte: u8, out: &mut Vec<u8>) {
    const SHOWN: [&[u8]; 9] = [b"6", b"7", b"12", b"25", b"47", b"1047", b"1048", b"1049", b"2026"];
    let shown: Vec<&[u8]> = modes.split(|b| *b == b';').filter(|m| SHOWN.contains(m)).collect();
    if !shown.is_empty() {
        out.extend_from_slice(b"\x1b[?");
        out.extend_from_slice(&shown.join(&b';'));
        out.push(final_byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8], expected: &[u8]) {
        for len in 1..=input.len() {
            let mut filter = Filter::new();
            let mut out = Vec::new();
            input.chunks(len).for_each(|chunk| filter.feed(chunk, &mut out));
            let shown = String::from_utf8_lossy(&out).into_owned();
            assert_eq!(shown, String::from_utf8_lossy(expected), "{input:?} by {len}");
        }
    }

    #[test]
    fn what_is_shown_goes_through() {
        for same in [
            &b"plain \r\n\ttext\x08"[..],
            "世界 e\u{301}".as_bytes(),
            b"\x1b[1;31mred\x1b[m\x1b[2J\x1b[3;4H\x1b[K\x1b[38:2::1:2:3m",
            b"\x1b7\x1b8\x1b(0q\x1b(B\x1b[?1049h\x1b[?25l\x1b[4h\x1b[!p\x1b[2 q",
            b"\x1b]8;;https://a.example/\x1b\\link\x1b]8;;\x1b\\",
        ] {
            check(same, same);
        }
    }

    #[test]
    fn what_asks_reports_copies_or_renames_does_not() {
        for nothing in [
            &b"\x1b[6n"[..],
            b"\x1b[c",
            b"\x1b[>c",
            b"\x1b[>q",
            b"\x1b[?2026$p",
            b"\x1b[21t",
            b"\x1b[8;5;5t",
            b"\x1b[i",
            b"\x1b[?5i",
            b"\x1b[>1u",
            b"\x1b[?u",
            b"\x1b[>4;2m",
            b"\x1b[?1003;1006h",
            b"\x1b[?2004h",
            b"\x1b]52;c;aGk=\x07",
            b"\x1b]0;title\x1b\\",
            b"\x1b]11;?\x07",
            b"\x1b]8;;file:///etc/passwd\x07",
            b"\x1bP$qm\x1b\\",
            b"\x1b_Ga=q\x1b\\",
            b"\x1bkname\x1b\\",
            b"\x1bZ",
            b"\x1b=",
            b"\x05",
            "\u{9b}".as_bytes(),
        ] {
            check(nothing, b"");
        }
        check(b"\x1b[?1049;1000;25h", b"\x1b[?1049;25h");
        check(b"\x1b]52;c;unfinished\x18x", b"x");
    }

    #[test]
    fn raw_c1_and_broken_text_become_replacements() {
        check(b"a\x9b31mb", "a\u{fffd}31mb".as_bytes());
        check(b"\xe4\xb8x", "\u{fffd}x".as_bytes());
        check(b"\xf0\x9f\xe4\xb8\x96", "\u{fffd}世".as_bytes());
        check(b"\x1b[1\xc3\xa9mx", b"mx");
    }
}
