//! Bytes to actions on the screen. Works on slices: a run of text is one action, and a control
//! sequence is read in place. Only what is cut by the end of a slice is kept and gone on with.

use super::csi::Csi;
use super::grid::Cell;
use super::osc::StringKind;
use super::screen::{Observer, Screen};
use super::width::{FLAG, PICT, SKIN, WIDE, ZERO, class};

/// Most bytes of one control sequence; a longer one is swallowed and does nothing.
pub const CSI_LEN_MAX: usize = 4096;
/// Most bytes kept of one OSC, DCS or APC string; the rest is dropped, its end still found.
pub const STRING_LEN_MAX: usize = 64 << 10;

/// Most cells printed at once.
const RUN_LEN_MAX: usize = 128;

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;
const DEL: u8 = 0x7f;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// After ESC; `kept` holds intermediates.
    Escape,
    /// After `ESC [`; `kept` holds the clean bytes so far.
    Csi,
    /// In a control sequence that is too long to mean anything.
    CsiIgnore,
    /// In a string; `kept` holds its payload.
    String(StringKind),
}

/// Where the parser stands between two slices.
#[derive(Clone, Debug)]
pub(super) struct Parser {
    state: State,
    kept: Vec<u8>,
    /// A character cut by the end of the slice.
    partial: Vec<u8>,
    /// The next character lies inside an aborted sequence and goes with it.
    swallow: bool,
    /// Bytes fed before the current slice.
    base: u64,
    /// Offset of the unfinished sequence's first byte.
    sequence_at: u64,
    csi: Csi,
    /// Cells about to be printed; here so that they need not be cleared each time.
    run: [Cell; RUN_LEN_MAX],
}

impl Default for Parser {
    fn default() -> Parser {
        Parser {
            state: State::default(),
            kept: Vec::new(),
            partial: Vec::new(),
            swallow: false,
            base: 0,
            sequence_at: 0,
            csi: Csi::default(),
            run: [Cell::BLANK; RUN_LEN_MAX],
        }
    }
}

/// What bytes begin with, as UTF-8.
enum Decoded {
    Char(u32, usize),
    /// A maximal invalid part of so many bytes.
    Bad(usize),
    /// A valid beginning, cut by the end.
    Cut,
}

impl Parser {
    pub(super) fn feed<O: Observer>(&mut self, bytes: &[u8], screen: &mut Screen, o: &mut O) {
        let mut i = 0;
        while i < bytes.len() {
            i = match self.state {
                State::Ground => self.ground(bytes, i, screen, o),
                State::Escape => self.escape(bytes, i, screen, o),
                State::Csi | State::CsiIgnore => self.csi_slow(bytes, i, screen, o),
                State::String(kind) => self.string(kind, bytes, i, screen, o),
            };
        }
        self.base += bytes.len() as u64;
    }

    pub(super) fn set_offset(&mut self, offset: u64) {
        self.base = offset;
    }

    pub(super) fn bytes_held(&self) -> usize {
        self.kept.capacity() + self.partial.capacity() + size_of::<Parser>()
    }

    /// Appends what, fed to a parser at rest, brings it to where this one stands.
    pub(super) fn push_continuation(&self, out: &mut Vec<u8>) {
        match self.state {
            State::Ground if self.swallow => out.extend_from_slice(b"\x1b["),
            State::Ground => {}
            State::Escape => out.push(ESC),
            State::Csi => out.extend_from_slice(b"\x1b["),
            State::CsiIgnore => out.extend_from_slice(b"\x1b[ 0"),
            State::String(kind) => out.extend_from_slice(kind.introducer()),
        }
        out.extend_from_slice(&self.kept);
        out.extend_from_slice(&self.partial);
    }

    fn ground<O: Observer>(
        &mut self,
        bytes: &[u8],
        mut i: usize,
        screen: &mut Screen,
        o: &mut O,
    ) -> usize {
        if !self.partial.is_empty() {
            return self.partial_char(bytes, i, screen, o);
        }
        while let Some(&b) = bytes.get(i) {
            match b {
                b' '..=b'~' => {
                    let run = &bytes[i..i + printable_len(&bytes[i..])];
                    screen.set_offset(self.base + i as u64);
                    screen.print_ascii(run, o);
                    i += run.len();
                }
                ESC => {
                    screen.set_offset(self.base + i as u64);
                    if bytes.get(i + 1) == Some(&b'[') {
                        let used = self.csi.read(&bytes[i + 2..]);
                        if used > 0 {
                            screen.csi(&self.csi, o);
                            i += 2 + used;
                            continue;
                        }
                    }
                    self.sequence_at = self.base + i as u64;
                    self.state = State::Escape;
                    return i + 1;
                }
                0x80.. => match self.print_run(bytes, i, screen, o) {
                    end if end > i => i = end,
                    _ => i = self.character(bytes, i, screen, o),
                },
                control => {
                    screen.set_offset(self.base + i as u64);
                    screen.control(control, o);
                    i += 1;
                }
            }
        }
        i
    }

    /// Prints characters that take a cell or two of their own, as many as follow. Returns where
    /// they end: at `i` if there are none.
    #[inline]
    fn print_run<O: Observer>(
        &mut self,
        bytes: &[u8],
        i: usize,
        screen: &mut Screen,
        o: &mut O,
    ) -> usize {
        if self.swallow {
            return i;
        }
        let with_ascii = screen.prints_ascii_as_is();
        let mut rest = &bytes[i..];
        let (mut len, mut classes) = (0, 0);
        while len + 2 <= RUN_LEN_MAX {
            let (c, later) = match rest {
                [
                    b0 @ (0xe1..=0xec | 0xee..=0xef),
                    b1 @ 0x80..=0xbf,
                    b2 @ 0x80..=0xbf,
                    later @ ..,
                ] => {
                    let tail = u32::from(b1 & 0x3f) << 6 | u32::from(b2 & 0x3f);
                    (u32::from(b0 & 0xf) << 12 | tail, later)
                }
                // One character between others; longer runs of ASCII have their own way.
                [b @ b' '..=b'~', 0x80..=0xff, ..] if with_ascii => (u32::from(*b), &rest[1..]),
                [0x80..=0xff, ..] => match decode(rest) {
                    Decoded::Char(c @ 0xa0.., used) => (c, &rest[used..]),
                    _ => break,
                },
                _ => break,
            };
            let class = class(c);
            let first_may_join = len == 0 && class & PICT != 0 && screen.follows_cluster();
            if class & (ZERO | FLAG | SKIN) != 0 || first_may_join {
                break;
            }
            // The right half is written in any case, and overwritten if there is none.
            let wide = usize::from(class & WIDE != 0);
            self.run[len] = Cell { ch: c, style: 0, flags: Cell::WIDE * wide as u16 };
            self.run[len + 1] = Cell { flags: Cell::TAIL, ..Cell::BLANK };
            classes |= class;
            len += 1 + wide;
            rest = later;
        }
        if len > 0 {
            screen.set_offset(self.base + i as u64);
            screen.print_run(&self.run[..len], classes & WIDE != 0, o);
        }
        bytes.len() - rest.len()
    }

    /// Prints the character at `i`, whatever it is. Returns where it ends.
    fn character<O: Observer>(
        &mut self,
        bytes: &[u8],
        i: usize,
        screen: &mut Screen,
        o: &mut O,
    ) -> usize {
        let at = self.base + i as u64;
        match decode(&bytes[i..]) {
            Decoded::Char(c, len) => {
                screen.set_offset(at);
                if !self.swallow {
                    screen.print_char(c, o);
                }
                self.swallow = false;
                i + len
            }
            Decoded::Bad(len) => {
                self.bad_char(at, screen, o);
                i + len
            }
            Decoded::Cut => {
                self.partial.extend_from_slice(&bytes[i..]);
                bytes.len()
            }
        }
    }

    fn bad_char<O: Observer>(&mut self, at: u64, screen: &mut Screen, o: &mut O) {
        screen.set_offset(at);
        if !self.swallow {
            screen.print_char(0xfffd, o);
        }
        self.swallow = false;
    }

    /// Goes on with a character whose first bytes came with an earlier slice.
    fn partial_char<O: Observer>(
        &mut self,
        bytes: &[u8],
        i: usize,
        screen: &mut Screen,
        o: &mut O,
    ) -> usize {
        let had = self.partial.len();
        self.partial.push(bytes[i]);
        let at = (self.base + i as u64).saturating_sub(had as u64);
        let next = match decode(&self.partial) {
            Decoded::Cut => return i + 1,
            Decoded::Char(c, _) => {
                screen.set_offset(at);
                if !self.swallow {
                    screen.print_char(c, o);
                }
                self.swallow = false;
                i + 1
            }
            Decoded::Bad(len) => {
                self.bad_char(at, screen, o);
                i + len - had
            }
        };
        self.partial.clear();
        next
    }

    fn escape<O: Observer>(
        &mut self,
        bytes: &[u8],
        i: usize,
        screen: &mut Screen,
        o: &mut O,
    ) -> usize {
        let b = bytes[i];
        screen.set_offset(self.sequence_at);
        match b {
            ESC => {
                self.restart(self.base + i as u64);
                return i + 1;
            }
            CAN | SUB => self.rest(),
            0x00..0x20 => {
                screen.set_offset(self.base + i as u64);
                screen.control(b, o);
            }
            DEL => {}
            0x20..0x30 => {
                // Two are as many as any sequence has; a third makes it mean nothing.
                if self.kept.len() < 3 {
                    self.kept.push(b);
                }
            }
            0x80.. => {
                screen.end_run();
                self.rest();
                self.swallow = true;
                return i;
            }
            final_byte if !self.kept.is_empty() => {
                screen.end_run();
                screen.escape(&self.kept, final_byte);
                self.rest();
            }
            b'[' => self.state = State::Csi,
            final_byte => match StringKind::from_final(final_byte, screen.options()) {
                Some(kind) => {
                    screen.end_run();
                    self.state = State::String(kind);
                }
                // The end of a string, which has had its effect.
                None if final_byte == b'\\' => self.rest(),
                None => {
                    screen.end_run();
                    screen.escape_plain(final_byte, o);
                    self.rest();
                }
            },
        }
        i + 1
    }

    fn rest(&mut self) {
        self.state = State::Ground;
        self.kept.clear();
    }

    fn restart(&mut self, at: u64) {
        self.kept.clear();
        self.state = State::Escape;
        self.sequence_at = at;
    }

    /// The way through a control sequence for what the fast way leaves: a cut by the end of the
    /// slice, controls in the midst, overlong ones.
    fn csi_slow<O: Observer>(
        &mut self,
        bytes: &[u8],
        mut i: usize,
        screen: &mut Screen,
        o: &mut O,
    ) -> usize {
        while let Some(&b) = bytes.get(i) {
            i += 1;
            match b {
                ESC => {
                    screen.end_run();
                    self.restart((self.base + i as u64).saturating_sub(1));
                    return i;
                }
                CAN | SUB => {
                    screen.end_run();
                    self.rest();
                    return i;
                }
                0x00..0x20 => {
                    screen.set_offset((self.base + i as u64).saturating_sub(1));
                    screen.control(b, o);
                }
                DEL => {}
                0x80.. => {
                    screen.end_run();
                    self.rest();
                    self.swallow = true;
                    return i - 1;
                }
                0x20..0x40 => {
                    if self.kept.len() + 1 >= CSI_LEN_MAX {
                        self.kept.clear();
                        self.state = State::CsiIgnore;
                    }
                    if self.state == State::Csi {
                        self.kept.push(b);
                    }
                }
                0x40.. => {
                    if self.state == State::CsiIgnore {
                        screen.end_run();
                    } else {
                        self.kept.push(b);
                        screen.set_offset(self.sequence_at);
                        if self.csi.read(&self.kept) > 0 {
                            screen.csi(&self.csi, o);
                        }
                    }
                    self.rest();
                    return i;
                }
            }
        }
        i
    }

    fn string<O: Observer>(
        &mut self,
        kind: StringKind,
        bytes: &[u8],
        i: usize,
        screen: &mut Screen,
        o: &mut O,
    ) -> usize {
        let payload = &bytes[i..i + payload_len(&bytes[i..])];
        let room = STRING_LEN_MAX - self.kept.len();
        self.kept.extend_from_slice(&payload[..payload.len().min(room)]);
        let end = i + payload.len();
        let Some(&b) = bytes.get(end) else { return end };
        match b {
            ESC => {
                screen.set_offset(self.sequence_at);
                screen.string(kind, &self.kept, o);
                self.restart(self.base + end as u64);
            }
            CAN | SUB => self.rest(),
            BEL if kind == StringKind::Osc => {
                screen.set_offset(self.sequence_at);
                screen.string(kind, &self.kept, o);
                self.rest();
            }
            _ => {}
        }
        end + 1
    }
}

/// How many bytes from the start are printable ASCII. In blocks, so that it is vectorised.
#[inline]
fn printable_len(bytes: &[u8]) -> usize {
    const BLOCK: usize = 32;
    // A single blank between other characters is common.
    if bytes.get(1).is_some_and(|b| b.wrapping_sub(0x20) >= 0x5f) {
        return 1;
    }
    let mut len = 0;
    for block in bytes.chunks_exact(BLOCK) {
        let stop = block.iter().fold(false, |stop, b| stop | (b.wrapping_sub(0x20) >= 0x5f));
        if stop {
            break;
        }
        len += BLOCK;
    }
    len + bytes[len..].iter().take_while(|b| b.wrapping_sub(0x20) < 0x5f).count()
}

/// How many bytes from the start hold no C0 control.
fn payload_len(bytes: &[u8]) -> usize {
    const BLOCK: usize = 32;
    let mut len = 0;
    for block in bytes.chunks_exact(BLOCK) {
        if block.iter().fold(false, |stop, b| stop | (*b < 0x20)) {
            break;
        }
        len += BLOCK;
    }
    len + bytes[len..].iter().take_while(|b| **b >= 0x20).count()
}

/// Decodes one character by table 3-7 of the Unicode Standard. `bytes` is not empty and begins
/// with a byte above 0x7f.
#[inline(always)]
fn decode(bytes: &[u8]) -> Decoded {
    let b0 = bytes[0];
    let cont = |i: usize| bytes.get(i).filter(|b| **b & 0xc0 == 0x80).map(|b| u32::from(b & 0x3f));
    let broken = |i: usize| if bytes.len() <= i { Decoded::Cut } else { Decoded::Bad(i) };
    match b0 {
        0xc2..=0xdf => match cont(1) {
            Some(c1) => Decoded::Char(u32::from(b0 & 0x1f) << 6 | c1, 2),
            None => broken(1),
        },
        0xe0..=0xef => {
            let Some(c1) = cont(1) else { return broken(1) };
            if (b0 == 0xe0 && c1 < 0x20) || (b0 == 0xed && c1 >= 0x20) {
                return Decoded::Bad(1);
            }
            match cont(2) {
                Some(c2) => Decoded::Char(u32::from(b0 & 0xf) << 12 | c1 << 6 | c2, 3),
                None => broken(2),
            }
        }
        0xf0..=0xf4 => {
            let Some(c1) = cont(1) else { return broken(1) };
            if (b0 == 0xf0 && c1 < 0x10) || (b0 == 0xf4 && c1 >= 0x10) {
                return Decoded::Bad(1);
            }
            let Some(c2) = cont(2) else { return broken(2) };
            match cont(3) {
                Some(c3) => Decoded::Char(u32::from(b0 & 7) << 18 | c1 << 12 | c2 << 6 | c3, 4),
                None => broken(3),
            }
        }
        _ => Decoded::Bad(1),
    }
}
