//! Keystrokes as bytes, to the lines that were typed: editing keys are applied, answers of the
//! terminal, mouse and cursor keys are left out.

/// The longest line that is kept, in bytes; what is typed beyond is not.
pub const LINE_LEN_MAX: usize = 64 << 10;
/// The longest control sequence that is understood; the rest of a longer one is skipped.
const SEQUENCE_LEN_MAX: usize = 64;

/// What the keys came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// Enter, with the line before it.
    Line {
        /// The line as it stood.
        text: String,
        /// A part of it was pasted.
        pasted: bool,
        /// Characters that were typed and taken back.
        taken_back: u64,
    },
    /// ^C; what stood on the line is gone.
    Interrupt,
    /// Escape alone.
    Escape,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    Escape,
    Csi,
    Ss3,
    /// OSC, DCS, APC, PM, SOS: up to BEL or ST.
    Text,
    TextEscape,
}

/// Reads keystrokes that come in pieces of any size.
#[derive(Debug, Default)]
pub struct Keys {
    state: State,
    sequence: Vec<u8>,
    line: Vec<u8>,
    pasting: bool,
    pasted: bool,
    taken_back: u64,
}

impl Keys {
    /// A reader with an empty line.
    pub fn new() -> Keys {
        Keys::default()
    }

    /// Takes the next keystrokes, and hands every line to `sink`.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Typed)) {
        for &b in bytes {
            self.byte(b, sink);
        }
        // Escape sequences arrive in one piece; an escape at the end of one is the key.
        if self.state == State::Escape {
            self.state = State::Ground;
            sink(Typed::Escape);
        }
    }

    fn byte(&mut self, b: u8, sink: &mut dyn FnMut(Typed)) {
        match self.state {
            State::Ground => self.ground(b, sink),
            State::Escape => {
                self.sequence.clear();
                self.state = match b {
                    b'[' => State::Csi,
                    b'O' => State::Ss3,
                    b']' | b'P' | b'_' | b'^' | b'X' => State::Text,
                    0x1b => State::Escape,
                    _ => {
                        self.meta(b);
                        State::Ground
                    }
                };
            }
            State::Csi => match b {
                0x40..=0x7e => {
                    self.state = State::Ground;
                    self.csi(b, sink);
                }
                _ if self.sequence.len() < SEQUENCE_LEN_MAX => self.sequence.push(b),
                _ => {}
            },
            State::Ss3 => {
                self.state = State::Ground;
                if b == b'M' {
                    self.enter(sink);
                }
            }
            State::Text => match b {
                0x07 => self.state = State::Ground,
                0x1b => self.state = State::TextEscape,
                _ => {}
            },
            State::TextEscape => {
                self.state = if b == b'\\' { State::Ground } else { State::Text };
            }
        }
    }

    fn ground(&mut self, b: u8, sink: &mut dyn FnMut(Typed)) {
        match b {
            0x1b => self.state = State::Escape,
            b'\r' | b'\n' if self.pasting => self.keep(b'\n'),
            b'\r' => self.enter(sink),
            // ^J, which agents take for a line break inside a prompt.
            b'\n' => self.keep(b'\n'),
            0x08 | 0x7f => self.erase(),
            0x15 => self.erase_all(),
            0x17 => self.erase_word(),
            0x03 => self.interrupt(sink),
            b'\t' | 0x20.. => self.keep(b),
            _ => {}
        }
    }

    /// A key with Alt.
    fn meta(&mut self, b: u8) {
        match b {
            b'\r' => self.keep(b'\n'),
            0x7f => self.erase_word(),
            _ => {}
        }
    }

    /// Pastes, and keys as the kitty keyboard protocol writes them: `CSI code ; modifiers u`.
    fn csi(&mut self, last: u8, sink: &mut dyn FnMut(Typed)) {
        let text = String::from_utf8_lossy(&self.sequence).into_owned();
        let mut parts = text.split(';').map(|p| p.split(':').next().unwrap_or_default());
        let code: Option<u32> = parts.next().and_then(|p| p.parse().ok());
        let second = text.split(';').nth(1).unwrap_or_default();
        let (modifiers, event) = second.split_once(':').unwrap_or((second, "1"));
        let modifiers = modifiers.parse::<u32>().unwrap_or(1).saturating_sub(1);
        let (shift, alt, ctrl) = (modifiers & 1 != 0, modifiers & 2 != 0, modifiers & 4 != 0);
        match (last, code) {
            (b'~', Some(200)) => (self.pasting, self.pasted) = (true, true),
            (b'~', Some(201)) => self.pasting = false,
            // A key that is let go.
            (b'u', _) if event == "3" => {}
            (b'u', Some(13)) if shift || alt => self.keep(b'\n'),
            (b'u', Some(13)) => self.enter(sink),
            (b'u', Some(27)) => sink(Typed::Escape),
            (b'u', Some(127 | 8)) if alt || ctrl => self.erase_word(),
            (b'u', Some(127 | 8)) => self.erase(),
            (b'u', Some(99)) if ctrl => self.interrupt(sink),
            (b'u', Some(117)) if ctrl => self.erase_all(),
            (b'u', Some(119)) if ctrl => self.erase_word(),
            (b'u', Some(106)) if ctrl => self.keep(b'\n'),
            (b'u', Some(code)) if !ctrl && !alt => {
                // Codes from 57344 on are keys without a character.
                let c = char::from_u32(code).filter(|c| !c.is_control() && code < 57_344);
                let c = c.map(|c| if shift { c.to_ascii_uppercase() } else { c });
                c.map(|c| c.to_string()).iter().flat_map(|s| s.bytes()).for_each(|b| self.keep(b));
            }
            _ => {}
        }
    }

    fn keep(&mut self, b: u8) {
        if self.line.len() < LINE_LEN_MAX {
            self.line.push(b);
        }
    }

    fn erase(&mut self) {
        while let Some(b) = self.line.pop() {
            if b & 0xc0 != 0x80 {
                self.taken_back += 1;
                break;
            }
        }
    }

    fn erase_word(&mut self) {
        while self.line.last() == Some(&b' ') {
            self.erase();
        }
        while self.line.last().is_some_and(|b| *b != b' ' && *b != b'\n') {
            self.erase();
        }
    }

    fn erase_all(&mut self) {
        while !self.line.is_empty() {
            self.erase();
        }
    }

    fn interrupt(&mut self, sink: &mut dyn FnMut(Typed)) {
        self.line.clear();
        (self.pasted, self.taken_back) = (false, 0);
        sink(Typed::Interrupt);
    }

    fn enter(&mut self, sink: &mut dyn FnMut(Typed)) {
        let text = String::from_utf8_lossy(&self.line).into_owned();
        let (pasted, taken_back) = (self.pasted, self.taken_back);
        self.line.clear();
        (self.pasted, self.taken_back) = (false, 0);
        sink(Typed::Line { text, pasted, taken_back });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: &[&str]) {
        let mut seen = Vec::new();
        Keys::new().feed(bytes, &mut |typed| {
            seen.push(match typed {
                Typed::Line { text, pasted, taken_back } => {
                    format!(
                        "{text}{}{}",
                        if pasted { " pasted" } else { "" },
                        if taken_back > 0 { format!(" -{taken_back}") } else { String::new() }
                    )
                }
                other => format!("{other:?}"),
            });
        });
        assert_eq!(seen, expected, "{:?}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn lines_are_what_stood_when_enter_was_pressed() {
        check(b"hello\r", &["hello"]);
        check("naïve\x7f\x7fé\r".as_bytes(), &["naïé -2"]);
        check(b"one two \x17three\r", &["one three -4"]);
        check(b"gone\x15kept\r", &["kept -4"]);
        check(b"lost\x03\rx\r", &["Interrupt", "", "x"]);
        check(b"\x1b[200~a\r\nb\x1b[201~c\r", &["a\n\nbc pasted"]);
        check(b"a\x1b\rb\nc\r", &["a\nb\nc"]);
        check(b"\x1b[A\x1b[1;5C\x1bOPx\r", &["x"]);
        check(b"ab\x1b", &["Escape"]);
    }

    #[test]
    fn answers_of_the_terminal_are_no_keys() {
        check(b"\x1b[?62;22c\x1b[24;80R\x1b[<0;10;5M\x1b]11;rgb:0000/0000/0000\x1b\\\x1bP>|xterm\x1b\\\x1b[Ihi\r", &["hi"]);
    }

    #[test]
    fn kitty_keys_are_keys() {
        check(b"\x1b[104u\x1b[105;2u\x1b[13;2ux\x1b[127u\x1b[13u", &["hI\n -1"]);
        check(b"a\x1b[99;5u\x1b[27u\x1b[13;1:3u", &["Interrupt", "Escape"]);
        check(b"\x1b[57441u\x1b[13u", &[""]);
    }

    #[test]
    fn a_line_has_a_limit() {
        for (extra, len) in [(0, LINE_LEN_MAX), (1, LINE_LEN_MAX)] {
            let mut keys = vec![b'a'; LINE_LEN_MAX + extra];
            keys.push(b'\r');
            Keys::new().feed(&keys, &mut |typed| {
                assert!(matches!(typed, Typed::Line { text, .. } if text.len() == len));
            });
        }
    }
}
