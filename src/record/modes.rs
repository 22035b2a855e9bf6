//! Which of a terminal's modes a command has left on, so that they can be mended after a crash.
//!
//! A small recogniser, not a terminal: it knows the sequences that outlive their program and hurt
//! the shell that comes after, and skips everything else.

/// The modes a program can leave on, each a bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left(u64);

/// A DEC private mode that is mended: its number, and whether it is on after a reset.
const PRIVATE: &[(u16, bool)] = &[
    (1, false),    // DECCKM: application cursor keys
    (9, false),    // X10 mouse
    (1000, false), // mouse: buttons
    (1001, false), // mouse: highlight
    (1002, false), // mouse: drag
    (1003, false), // mouse: any motion
    (1005, false), // mouse: UTF-8 coordinates
    (1006, false), // mouse: SGR coordinates
    (1015, false), // mouse: urxvt coordinates
    (1016, false), // mouse: pixels
    (1004, false), // focus reports
    (2004, false), // bracketed paste
    (2026, false), // synchronized output
    (2031, false), // colour scheme reports
    (2048, false), // in-band size reports
    (66, false),   // DECNKM: application keypad
    (5, false),    // DECSCNM: reverse video
    (25, true),    // DECTCEM: cursor shown
    (7, true),     // DECAWM: autowrap
];

/// Alternate screens, innermost effect first: leaving by the number that entered restores what
/// that number saved.
const ALTERNATE: [u16; 3] = [1049, 1047, 47];

const BIT_ALTERNATE: u32 = 32; // three bits, one a number of ALTERNATE
const BIT_KEYPAD: u32 = 35;
const BIT_OTHER_KEYS: u32 = 36;
const BIT_MARGINS: u32 = 37;
const BIT_SHIFT_OUT: u32 = 38;
const BIT_GRAPHICS: u32 = 39;
const BIT_PEN: u32 = 40;
const SHIFT_KITTY_MAIN: u32 = 48; // four bits: depth of the keyboard stack, main screen
const SHIFT_KITTY_ALTERNATE: u32 = 52; // the same, alternate screen
const KITTY_DEPTH_MAX: u64 = 15;

impl Left {
    /// From the number that [`Left::bits`] gave.
    pub fn from_bits(bits: u64) -> Left {
        Left(bits)
    }

    /// As a number, to be kept where another process can read it.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Whether nothing needs mending.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The bytes that turn off what is on, and nothing else. With `for_a_shell_at_work`, bracketed
    /// paste and the keypad are left alone: a line editor that has taken the terminal over sets
    /// them itself.
    pub fn inverse(self, for_a_shell_at_work: bool) -> Vec<u8> {
        let mut out = Vec::new();
        self.pop_keyboard(&mut out, self.in_alternate());
        if self.has(BIT_OTHER_KEYS) {
            out.extend_from_slice(b"\x1b[>4m");
        }
        for (bit, (number, on_after_reset)) in PRIVATE.iter().enumerate() {
            let kept = for_a_shell_at_work && matches!(number, 2004 | 1 | 66);
            if self.has(bit as u32) && !kept {
                let end = if *on_after_reset { 'h' } else { 'l' };
                out.extend_from_slice(format!("\x1b[?{number}{end}").as_bytes());
            }
        }
        if self.has(BIT_SHIFT_OUT) {
            out.push(0x0f);
        }
        if self.has(BIT_GRAPHICS) {
            out.extend_from_slice(b"\x1b(B");
        }
        for (place, number) in ALTERNATE.iter().enumerate() {
            if self.has(BIT_ALTERNATE + place as u32) {
                out.extend_from_slice(format!("\x1b[?{number}l").as_bytes());
            }
        }
        if self.in_alternate() {
            self.pop_keyboard(&mut out, false);
        }
        if self.has(BIT_MARGINS) {
            // DECSTBM homes the cursor, so it is put back.
            out.extend_from_slice(b"\x1b7\x1b[r\x1b8");
        }
        if self.has(BIT_KEYPAD) && !for_a_shell_at_work {
            out.extend_from_slice(b"\x1b>");
        }
        if self.has(BIT_PEN) {
            out.extend_from_slice(b"\x1b[m");
        }
        out
    }

    fn pop_keyboard(self, out: &mut Vec<u8>, alternate: bool) {
        let depth = self.kitty_depth(alternate);
        if depth > 0 {
            out.extend_from_slice(format!("\x1b[<{depth}u").as_bytes());
        }
    }

    fn kitty_shift(alternate: bool) -> u32 {
        if alternate { SHIFT_KITTY_ALTERNATE } else { SHIFT_KITTY_MAIN }
    }

    fn kitty_depth(self, alternate: bool) -> u64 {
        self.0 >> Left::kitty_shift(alternate) & KITTY_DEPTH_MAX
    }

    fn set_kitty_depth(&mut self, alternate: bool, depth: u64) {
        let shift = Left::kitty_shift(alternate);
        self.0 = self.0 & !(KITTY_DEPTH_MAX << shift) | depth.min(KITTY_DEPTH_MAX) << shift;
    }

    fn in_alternate(self) -> bool {
        self.0 >> BIT_ALTERNATE & 0b111 != 0
    }

    fn has(self, bit: u32) -> bool {
        self.0 & 1 << bit != 0
    }

    fn put(&mut self, bit: u32, on: bool) {
        self.0 = if on { self.0 | 1 << bit } else { self.0 & !(1 << bit) };
    }
}

/// Most parameters of a sequence that are looked at; the rest are skipped.
const PARAMS_MAX: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ground,
    Escape,
    /// After `ESC (`: the next byte names a character set for G0.
    Designate,
    /// After `ESC` and any other intermediate byte: the next final byte ends it.
    Skip,
    Csi,
    /// OSC, DCS, SOS, PM, APC: until BEL or ST.
    Text,
    TextEscape,
}

/// Reads a command's output and knows which modes are on. The result does not depend on how the
/// output is cut.
#[derive(Debug)]
pub struct Modes {
    left: Left,
    state: State,
    prefix: u8,
    intermediate: u8,
    params: [u16; PARAMS_MAX],
    len: usize,
}

impl Default for Modes {
    fn default() -> Modes {
        Modes {
            left: Left::default(),
            state: State::Ground,
            prefix: 0,
            intermediate: 0,
            params: [0; PARAMS_MAX],
            len: 0,
        }
    }
}

impl Modes {
    /// What is on now.
    pub fn left(&self) -> Left {
        self.left
    }

    /// Reads on.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.state == State::Ground {
                let Some(at) = next_control(bytes) else { return };
                bytes = &bytes[at..];
            }
            self.step(bytes[0]);
            bytes = &bytes[1..];
        }
    }

    fn step(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (State::Text, 0x07) => State::Ground,
            (State::Text, 0x1b) => State::TextEscape,
            (State::Text, 0x18 | 0x1a) => State::Ground,
            (State::Text, _) => State::Text,
            (_, 0x18 | 0x1a) => State::Ground,
            (State::TextEscape, b'\\') => State::Ground,
            (_, 0x1b) => State::Escape,
            (State::Ground, _) => {
                self.control(byte);
                State::Ground
            }
            (State::Escape | State::TextEscape, _) => self.escape(byte),
            (State::Csi, _) => self.csi(byte),
            (State::Designate, 0x20..=0x7e) => {
                self.left.put(BIT_GRAPHICS, byte == b'0');
                State::Ground
            }
            (State::Skip, 0x30..=0x7e) => State::Ground,
            (state @ (State::Designate | State::Skip), _) => {
                self.control(byte);
                state
            }
        };
    }

    fn control(&mut self, byte: u8) {
        match byte {
            0x0e => self.left.put(BIT_SHIFT_OUT, true),
            0x0f => self.left.put(BIT_SHIFT_OUT, false),
            _ => {}
        }
    }

    fn escape(&mut self, byte: u8) -> State {
        match byte {
            b'[' => {
                (self.prefix, self.intermediate, self.len) = (0, 0, 0);
                self.params = [0; PARAMS_MAX];
                return State::Csi;
            }
            b']' | b'P' | b'X' | b'^' | b'_' => return State::Text,
            b'(' => return State::Designate,
            0x20..=0x2f => return State::Skip,
            b'=' => self.left.put(BIT_KEYPAD, true),
            b'>' => self.left.put(BIT_KEYPAD, false),
            b'c' => self.left = Left::default(),
            0x00..=0x1f => {
                self.control(byte);
                return State::Escape;
            }
            _ => {}
        }
        State::Ground
    }

    fn csi(&mut self, byte: u8) -> State {
        match byte {
            b'0'..=b'9' => {
                self.len = self.len.max(1);
                if self.len <= PARAMS_MAX {
                    let param = &mut self.params[self.len - 1];
                    *param = param.saturating_mul(10).saturating_add(u16::from(byte - b'0'));
                }
            }
            b';' | b':' => self.len = self.len.max(1).saturating_add(1),
            b'<'..=b'?' => self.prefix = byte,
            0x20..=0x2f => self.intermediate = byte,
            0x40..=0x7e => {
                self.dispatch(byte);
                return State::Ground;
            }
            0x00..=0x1f => self.control(byte),
            _ => {}
        }
        State::Csi
    }

    fn dispatch(&mut self, end: u8) {
        let params = &self.params[..self.len.min(PARAMS_MAX)];
        let first = params.first().copied().unwrap_or(0);
        let second = params.get(1).copied().unwrap_or(0);
        let left = &mut self.left;
        match (self.prefix, self.intermediate, end) {
            (b'?', 0, b'h') => params.iter().for_each(|mode| set_private(left, *mode, true)),
            (b'?', 0, b'l') => params.iter().for_each(|mode| set_private(left, *mode, false)),
            (b'>', 0, b'u') => {
                let alternate = left.in_alternate();
                left.set_kitty_depth(alternate, left.kitty_depth(alternate) + 1);
            }
            (b'<', 0, b'u') => {
                let alternate = left.in_alternate();
                let pops = u64::from(first.max(1));
                left.set_kitty_depth(alternate, left.kitty_depth(alternate).saturating_sub(pops));
            }
            (b'>', 0, b'm') if first == 4 || params.is_empty() => {
                left.put(BIT_OTHER_KEYS, second != 0);
            }
            (0, 0, b'r') => left.put(BIT_MARGINS, first > 1 || second != 0),
            (0, 0, b'm') => left.put(BIT_PEN, params.iter().any(|p| *p != 0)),
            (0, b'!', b'p') => {
                // DECSTR: what it resets is in xterm's list; the screen and the mouse stay.
                for mode in [1, 66] {
                    set_private(left, mode, false);
                }
                set_private(left, 25, true);
                for bit in [BIT_KEYPAD, BIT_MARGINS, BIT_SHIFT_OUT, BIT_GRAPHICS, BIT_PEN] {
                    left.put(bit, false);
                }
            }
            _ => {}
        }
    }
}

fn set_private(left: &mut Left, mode: u16, on: bool) {
    if let Some(place) = ALTERNATE.iter().position(|m| *m == mode) {
        let all = 0b111 << BIT_ALTERNATE;
        left.0 &= !all;
        left.put(BIT_ALTERNATE + place as u32, on);
        if !on {
            left.set_kitty_depth(true, 0);
        }
    } else if let Some(bit) = PRIVATE.iter().position(|(m, _)| *m == mode) {
        left.put(bit as u32, on != PRIVATE[bit].1);
    }
}

/// Where the next ESC, SO or SI stands. Blocks of a fixed length are tested without a branch a
/// byte, which the compiler turns into vector code: this runs over everything a command prints.
fn next_control(bytes: &[u8]) -> Option<usize> {
    let hit = |b: u8| (b == 0x1b) | (b & 0xfe == 0x0e);
    let (blocks, rest) = bytes.as_chunks::<64>();
    let found =
        blocks.iter().position(|block| block.iter().map(|b| u8::from(hit(*b))).sum::<u8>() > 0);
    let start = found.map_or(bytes.len() - rest.len(), |block| block * 64);
    bytes[start..].iter().position(|b| hit(*b)).map(|at| start + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `output` whole and in all two-part cuts, and compares what would mend it.
    fn check(output: &str, inverse: &str) {
        let output = output.as_bytes();
        for cut in 0..=output.len() {
            let mut modes = Modes::default();
            modes.feed(&output[..cut]);
            modes.feed(&output[cut..]);
            let got = modes.left().inverse(false);
            assert_eq!(
                String::from_utf8_lossy(&got),
                inverse,
                "{:?} cut at {cut}",
                String::from_utf8_lossy(output)
            );
            assert_eq!(Left::from_bits(modes.left().bits()), modes.left());
            // Feeding the inverse leaves nothing on.
            modes.feed(b"\x18");
            modes.feed(&got);
            assert!(modes.left().is_none(), "{got:?} does not undo {output:?}");
        }
    }

    #[test]
    fn only_what_is_still_on_is_undone() {
        check("plain \u{e9} text\r\n", "");
        check("\x1b[?1049h\x1b[?1003h\x1b[?2004h", "\x1b[?1003l\x1b[?2004l\x1b[?1049l");
        check("\x1b[?1049hvi\x1b[?1049l", "");
        check("\x1b[?47h", "\x1b[?47l");
        check("\x1b[?25l\x1b[?7l", "\x1b[?25h\x1b[?7h");
        check("\x1b[?25l\x1b[?25h", "");
        check("\x1b[?1000;1006h\x1b[?1000l", "\x1b[?1006l");
        check("\x1b[>1u\x1b[>5u\x1b[<u", "\x1b[<1u");
        check("\x1b[>1u\x1b[?1049h\x1b[>1u", "\x1b[<1u\x1b[?1049l\x1b[<1u");
        check("\x1b[>4;2m", "\x1b[>4m");
        check("\x1b[5;20r", "\x1b7\x1b[r\x1b8");
        check("\x1b[5;20r\x1b[r", "");
        check("\x0e\x1b(0", "\x0f\x1b(B");
        check("\x1b=", "\x1b>");
        check("\x1b[1;31mred", "\x1b[m");
        check("\x1b[1;31mred\x1b[0m", "");
        check("\x1b[?1049h\x1b[?1000hx\x1bc", "");
        check("\x1b[?25l\x1b=\x1b[2;3r\x1b[!p", "");
    }

    #[test]
    fn text_inside_strings_and_broken_sequences_does_not_count() {
        check("\x1b]0;\x0e title [?1049h\x07", "");
        check("\x1bPq[?25l\x1b\\", "");
        check("\x1b[?1049\x18h", "");
        check("\x1b[?1\x1b[?2004h", "\x1b[?2004l");
        check("\x1b[?99999999999999h", "");
        check(&format!("\x1b[?{}1049h", "0;".repeat(PARAMS_MAX - 1)), "\x1b[?1049l");
        check(&format!("\x1b[?{}1049h", "0;".repeat(PARAMS_MAX)), "");
    }

    #[test]
    fn the_keyboard_stack_is_bounded() {
        let mut modes = Modes::default();
        for _ in 0..KITTY_DEPTH_MAX + 1 {
            modes.feed(b"\x1b[>1u");
        }
        assert_eq!(modes.left().inverse(false), b"\x1b[<15u");
    }

    #[test]
    fn a_shell_at_work_keeps_its_own_modes() {
        let mut modes = Modes::default();
        modes.feed(b"\x1b[?1049h\x1b[?2004h\x1b[?1h\x1b=");
        assert_eq!(modes.left().inverse(true), b"\x1b[?1049l");
    }

    #[test]
    fn control_bytes_are_found_at_every_place() {
        for len in 0..200 {
            for at in 0..len {
                for byte in [0x1b, 0x0e, 0x0f] {
                    let mut bytes = vec![0xffu8; len];
                    bytes[at] = byte;
                    assert_eq!(next_control(&bytes), Some(at));
                }
            }
            assert_eq!(next_control(&vec![b'x'; len]), None);
        }
    }
}
