//! Pens, and the tables that give each distinct pen and link a small number.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// A colour as the program named it; which shade that is, the viewer decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Color(u32);

/// What a [`Color`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorKind {
    /// The viewer's own foreground or background.
    Default,
    /// One of the 256 of the palette.
    Indexed(u8),
    /// Red, green, blue.
    Rgb(u8, u8, u8),
}

impl Color {
    /// The viewer's own.
    pub const DEFAULT: Color = Color(0);

    /// A palette entry.
    pub const fn indexed(index: u8) -> Color {
        Color(1 << 24 | index as u32)
    }

    /// A direct colour.
    pub const fn rgb(r: u8, g: u8, b: u8) -> Color {
        Color(2 << 24 | (r as u32) << 16 | (g as u32) << 8 | b as u32)
    }

    /// What this colour names.
    pub fn kind(self) -> ColorKind {
        let [tag, r, g, b] = self.0.to_be_bytes();
        match tag {
            0 => ColorKind::Default,
            1 => ColorKind::Indexed(b),
            _ => ColorKind::Rgb(r, g, b),
        }
    }
}

/// How characters are drawn: colours, attributes, link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pen {
    /// The colour of the character.
    pub fg: Color,
    /// The colour behind it.
    pub bg: Color,
    /// The colour of the underline; default means that of the character.
    pub underline_color: Color,
    /// A set of the constants below, and the underline's form.
    pub attrs: u16,
    /// Number of the link in the screen's table, 0 for none.
    pub link: u16,
}

impl Pen {
    /// SGR 1.
    pub const BOLD: u16 = 1;
    /// SGR 2.
    pub const DIM: u16 = 1 << 1;
    /// SGR 3.
    pub const ITALIC: u16 = 1 << 2;
    /// SGR 5 and 6.
    pub const BLINK: u16 = 1 << 3;
    /// SGR 7.
    pub const INVERSE: u16 = 1 << 4;
    /// SGR 8.
    pub const HIDDEN: u16 = 1 << 5;
    /// SGR 9.
    pub const STRIKE: u16 = 1 << 6;
    /// SGR 53.
    pub const OVERLINE: u16 = 1 << 7;
    /// Where the underline's form lies in `attrs`.
    const UNDERLINE_SHIFT: u16 = 8;

    /// 0 none, 1 single, 2 double, 3 curly, 4 dotted, 5 dashed.
    pub fn underline(self) -> u16 {
        self.attrs >> Pen::UNDERLINE_SHIFT
    }

    /// Sets the underline's form, as [`Pen::underline`] counts it.
    pub fn set_underline(&mut self, form: u16) {
        self.attrs = self.attrs & ((1 << Pen::UNDERLINE_SHIFT) - 1) | form << Pen::UNDERLINE_SHIFT;
    }

    /// What erased cells are filled with: this pen's background and nothing else.
    pub(super) fn erasure(self) -> Pen {
        Pen { bg: self.bg, ..Pen::default() }
    }

    /// Applies the parameters of SGR. Bit i of `colons` says that parameter i follows a colon.
    pub(super) fn sgr(&mut self, params: &[u16], colons: u64) {
        if params.is_empty() {
            return self.reset();
        }
        let mut i = 0;
        while i < params.len() {
            let group = 1 + (colons >> (i + 1)).trailing_ones() as usize;
            let subs = &params[i + 1..(i + group).min(params.len())];
            let used = match params[i] {
                n @ (38 | 48 | 58) => {
                    let (color, used) = match subs {
                        [] => color_after(&params[i + 1..]),
                        subs => (color_in(subs), 0),
                    };
                    if let Some(color) = color {
                        match n {
                            38 => self.fg = color,
                            48 => self.bg = color,
                            _ => self.underline_color = color,
                        }
                    }
                    used
                }
                4 if !subs.is_empty() => {
                    if subs[0] <= 5 {
                        self.set_underline(subs[0]);
                    }
                    0
                }
                n => {
                    if subs.is_empty() {
                        self.sgr_one(n);
                    }
                    0
                }
            };
            i += group + used;
        }
    }

    fn reset(&mut self) {
        *self = Pen { link: self.link, ..Pen::default() };
    }

    fn sgr_one(&mut self, n: u16) {
        match n {
            0 => self.reset(),
            1 => self.attrs |= Pen::BOLD,
            2 => self.attrs |= Pen::DIM,
            3 => self.attrs |= Pen::ITALIC,
            4 => self.set_underline(1),
            5 | 6 => self.attrs |= Pen::BLINK,
            7 => self.attrs |= Pen::INVERSE,
            8 => self.attrs |= Pen::HIDDEN,
            9 => self.attrs |= Pen::STRIKE,
            21 => self.set_underline(2),
            22 => self.attrs &= !(Pen::BOLD | Pen::DIM),
            23 => self.attrs &= !Pen::ITALIC,
            24 => self.set_underline(0),
            25 => self.attrs &= !Pen::BLINK,
            27 => self.attrs &= !Pen::INVERSE,
            28 => self.attrs &= !Pen::HIDDEN,
            29 => self.attrs &= !Pen::STRIKE,
            30..=37 => self.fg = Color::indexed((n - 30) as u8),
            39 => self.fg = Color::DEFAULT,
            40..=47 => self.bg = Color::indexed((n - 40) as u8),
            49 => self.bg = Color::DEFAULT,
            53 => self.attrs |= Pen::OVERLINE,
            55 => self.attrs &= !Pen::OVERLINE,
            59 => self.underline_color = Color::DEFAULT,
            90..=97 => self.fg = Color::indexed((n - 90 + 8) as u8),
            100..=107 => self.bg = Color::indexed((n - 100 + 8) as u8),
            _ => {}
        }
    }

    /// The SGR parameters that lead from the default pen to this one, empty for the default.
    pub fn sgr_params(self) -> String {
        let mut out = String::new();
        let mut add = |text: &str| {
            if !out.is_empty() {
                out.push(';');
            }
            out.push_str(text);
        };
        for (bit, n) in [
            (Pen::BOLD, "1"),
            (Pen::DIM, "2"),
            (Pen::ITALIC, "3"),
            (Pen::BLINK, "5"),
            (Pen::INVERSE, "7"),
            (Pen::HIDDEN, "8"),
            (Pen::STRIKE, "9"),
            (Pen::OVERLINE, "53"),
        ] {
            if self.attrs & bit != 0 {
                add(n);
            }
        }
        match self.underline() {
            0 => {}
            1 => add("4"),
            n => add(&format!("4:{n}")),
        }
        for (color, base, bright, extended) in
            [(self.fg, 30, 90, 38), (self.bg, 40, 100, 48), (self.underline_color, 0, 0, 58)]
        {
            match color.kind() {
                ColorKind::Default => {}
                ColorKind::Indexed(i) if base > 0 && i < 8 => add(&format!("{}", base + i)),
                ColorKind::Indexed(i) if base > 0 && i < 16 => add(&format!("{}", bright + i - 8)),
                ColorKind::Indexed(i) => add(&format!("{extended}:5:{i}")),
                ColorKind::Rgb(r, g, b) if base > 0 => add(&format!("{extended};2;{r};{g};{b}")),
                ColorKind::Rgb(r, g, b) => add(&format!("{extended}:2::{r}:{g}:{b}")),
            }
        }
        out
    }
}

fn byte(n: u16) -> u8 {
    n.min(255) as u8
}

/// The colour named by parameters that follow 38, 48 or 58, and how many of them it took. A form
/// that is cut short or unknown takes what it must and names nothing.
fn color_after(params: &[u16]) -> (Option<Color>, usize) {
    match params {
        [5, n, ..] => (Some(Color::indexed(byte(*n))), 2),
        [2, r, g, b, ..] => (Some(Color::rgb(byte(*r), byte(*g), byte(*b))), 4),
        [5 | 2, rest @ ..] => (None, 1 + rest.len()),
        [] => (None, 0),
        [_, ..] => (None, 1),
    }
}

/// The colour named by the parts after `38:`; with six parts or more the first of the four is a
/// colour space.
fn color_in(subs: &[u16]) -> Option<Color> {
    match subs {
        [5, n, ..] => Some(Color::indexed(byte(*n))),
        [2, r, g, b] | [2, _, r, g, b, ..] => Some(Color::rgb(byte(*r), byte(*g), byte(*b))),
        _ => None,
    }
}

/// A multiplicative hasher: the keys are pens, and the standard one costs more than the lookup.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PenHasher(u64);

impl Hasher for PenHasher {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 29
    }
    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.write_u32(u32::from(*b));
        }
    }
    fn write_u16(&mut self, n: u16) {
        self.write_u32(u32::from(n));
    }
    fn write_u32(&mut self, n: u32) {
        self.0 = (self.0.rotate_left(5) ^ u64::from(n)).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

type PenMap = HashMap<Pen, u16, BuildHasherDefault<PenHasher>>;

/// Most pens a table holds; one past it, the table refuses until it has been compacted.
pub const STYLES_MAX: usize = 60_000;
const CACHE_LEN: usize = 256;

/// Pens by number. Number 0 is the default pen.
#[derive(Clone, Debug)]
pub(super) struct StyleTable {
    pens: Vec<Pen>,
    map: PenMap,
    cache: Vec<u16>,
}

impl Default for StyleTable {
    fn default() -> StyleTable {
        let mut map = PenMap::default();
        map.insert(Pen::default(), 0);
        StyleTable { pens: vec![Pen::default()], map, cache: vec![0; CACHE_LEN] }
    }
}

impl StyleTable {
    pub(super) fn pen(&self, style: u16) -> Pen {
        self.pens.get(usize::from(style)).copied().unwrap_or_default()
    }

    pub(super) fn pens(&self) -> &[Pen] {
        &self.pens
    }

    /// The number of `pen`, or None when the table is full.
    pub(super) fn intern(&mut self, pen: Pen) -> Option<u16> {
        if pen == Pen::default() {
            return Some(0);
        }
        let mut hasher = PenHasher::default();
        pen.hash(&mut hasher);
        let slot = (hasher.finish() >> 20) as usize % CACHE_LEN;
        let style = self.cache[slot];
        if self.pens[usize::from(style)] == pen {
            return Some(style);
        }
        let style = match self.map.get(&pen) {
            Some(style) => *style,
            None if self.pens.len() >= STYLES_MAX => return None,
            None => {
                let style = self.pens.len() as u16;
                self.pens.push(pen);
                self.map.insert(pen, style);
                style
            }
        };
        self.cache[slot] = style;
        Some(style)
    }

    /// Keeps the pens whose `live` entry is set. Returns, for each old number, the new one.
    pub(super) fn compact(&mut self, live: &[bool]) -> Vec<u16> {
        let old = std::mem::take(self);
        let mut renumbered = vec![0; old.pens.len()];
        for (style, pen) in old.pens.iter().enumerate() {
            if live.get(style).copied().unwrap_or(false) {
                renumbered[style] = self.intern(*pen).unwrap_or(0);
            }
        }
        renumbered
    }
}

/// Most links a table holds.
pub const LINKS_MAX: usize = 65_000;
/// Most bytes of links a table holds.
pub const LINK_BYTES_MAX: usize = 4 << 20;

/// The target of OSC 8, and the id that makes parts of one link belong together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    /// Where it leads. Untrusted; no control characters.
    pub uri: Box<str>,
    /// Empty where the program gave none.
    pub id: Box<str>,
}

/// Links by number; number 0 is no link. Once full, further links are not kept: their text is.
#[derive(Clone, Debug, Default)]
pub(super) struct LinkTable {
    links: Vec<Link>,
    map: HashMap<Link, u16>,
    bytes: usize,
}

impl LinkTable {
    pub(super) fn get(&self, link: u16) -> Option<&Link> {
        self.links.get(usize::from(link).checked_sub(1)?)
    }

    pub(super) fn bytes(&self) -> usize {
        2 * (self.bytes + self.links.len() * size_of::<Link>())
    }

    pub(super) fn intern(&mut self, link: Link) -> u16 {
        if let Some(number) = self.map.get(&link) {
            return *number;
        }
        let bytes = link.uri.len() + link.id.len();
        if self.links.len() >= LINKS_MAX || self.bytes + bytes > LINK_BYTES_MAX {
            return 0;
        }
        self.bytes += bytes;
        self.links.push(link.clone());
        let number = self.links.len() as u16;
        self.map.insert(link, number);
        number
    }
}
