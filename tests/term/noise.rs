//! Streams from a seed: what programs write, what broken ones write, and what nobody should.

/// xorshift64*: small, fast, and the same everywhere.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n.max(1)
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const TEXTS: &[&str] = &[
    "a",
    "hello ",
    "0123456789",
    "The quick brown fox jumps. ",
    "    ",
    "世界",
    "界",
    "한글",
    "é",
    "e\u{301}",
    "\u{301}",
    "❤\u{fe0f}",
    "1\u{fe0f}\u{20e3}",
    "👍🏽",
    "🇫🇷",
    "👨\u{200d}👩\u{200d}👧",
    "─│╭",
    "\u{200b}",
    "\u{feff}",
    "\u{ad}",
    "\u{fe0f}",
    "\u{200d}",
    "🏽",
    "🇫",
    "ｱ",
    "⏺",
    "\u{2028}",
];

const FIXED: &[&str] = &[
    "\r",
    "\n",
    "\r\n",
    "\x08",
    "\t",
    "\x07",
    "\x0b",
    "\x0e",
    "\x0f",
    "\0",
    "\x7f",
    "\x1b7",
    "\x1b8",
    "\x1bD",
    "\x1bE",
    "\x1bM",
    "\x1bH",
    "\x1bc",
    "\x1b#8",
    "\x1b(0",
    "\x1b(B",
    "\x1b)0",
    "\x1b*A",
    "\x1bn",
    "\x1b=",
    "\x1b>",
    "\x1b[!p",
    "\x1b[s",
    "\x1b[u",
    "\x1b[?1049h",
    "\x1b[?1049l",
    "\x1b[?47h",
    "\x1b[?47l",
    "\x1b[?1047h",
    "\x1b[?1047l",
    "\x1b[?1048h",
    "\x1b[?1048l",
    "\x1b[?6h",
    "\x1b[?6l",
    "\x1b[?7h",
    "\x1b[?7l",
    "\x1b[4h",
    "\x1b[4l",
    "\x1b[20h",
    "\x1b[20l",
    "\x1b[?25l",
    "\x1b[?2026h",
    "\x1b[?2026l",
    "\x1b[?2004h",
    "\x1b[?1002;1003;1006h",
    "\x1b[>1u",
    "\x1b[<u",
    "\x1b[=5;2u",
    "\x1b[>4;2m",
    "\x1b[3 q",
    "\x1b[22;0t",
    "\x1b[23;0t",
    "\x1b]0;a title\x07",
    "\x1b]8;id=x;http://a.example/\x1b\\",
    "\x1b]8;;\x1b\\",
    "\x1b]52;c;aGVsbG8=\x07",
    "\x1b]9;4;1;50\x1b\\",
    "\x1b]133;D;1\x07",
    "\x1b]777;notify;t;b\x07",
    "\x1bPq#0;2;0\x1b\\",
    "\x1b_Gf=1\x1b\\",
    "\x1b[c",
    "\x1b[5n",
    "\x1b[6n",
    "\x1b[?2026$p",
    "\x1bP$qm\x1b\\",
    "\x1b[18t",
    "\x1b[3g",
    "\x1b[r",
    "\x1b[?5W",
    "\x18",
    "\x1b[J",
    "\x1b[2J",
    "\x1b[3J",
    "\x1b[H",
    "\x1b[K",
];

const BROKEN: &[&[u8]] = &[
    b"\xff",
    b"\xe4\xb8",
    b"\xf0\x9f",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\x80",
    b"\x9b31m",
    b"\x1b[3",
    b"\x1b[",
    b"\x1b",
    b"\x1b]0;unfinished",
    b"\x1bP",
    b"\x1b[1;2?3m",
    b"\x1b[1\xc3\xa9m",
    b"\x1b[99999999999999999999S",
    b"\x1b[:;:;m",
    b"\x1b[38:2m",
    b"\x1b[1\n2A",
    b"\x1b[ 1q",
    b"\xe4",
];

/// Sequences with small or large parameters, by final.
const FINALS: &[u8] = b"ABCDEFGHIJKLMPSTXZ@`abdefgmrhlWnt";

/// Appends one action.
pub fn push_action(rng: &mut Rng, out: &mut Vec<u8>) {
    match rng.below(100) {
        0..40 => out.extend_from_slice(rng.pick(TEXTS).as_bytes()),
        40..55 => out.extend_from_slice(rng.pick(FIXED).as_bytes()),
        55..60 => out.extend_from_slice(BROKEN[rng.below(BROKEN.len())]),
        60..70 => {
            let color = match rng.below(4) {
                0 => format!("\x1b[{}m", rng.below(110)),
                1 => format!("\x1b[38;5;{}m", rng.below(256)),
                2 => format!("\x1b[48;2;{};{};{}m", rng.below(9), rng.below(9), rng.below(256)),
                _ => "\x1b[m".to_owned(),
            };
            out.extend_from_slice(color.as_bytes());
        }
        _ => {
            let mut n = || match rng.below(12) {
                0 => String::new(),
                1 => "0".to_owned(),
                2 => "65535".to_owned(),
                n => n.to_string(),
            };
            let parameters = format!("\x1b[{};{}", n(), n());
            let parameters = match rng.below(3) {
                0 => &parameters[..parameters.find(';').expect("a semicolon")],
                _ => &parameters,
            };
            out.extend_from_slice(parameters.as_bytes());
            out.push(FINALS[rng.below(FINALS.len())]);
        }
    }
}

/// A stream of `actions` actions.
pub fn stream(rng: &mut Rng, actions: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..actions {
        push_action(rng, &mut out);
    }
    out
}
