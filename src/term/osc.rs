//! Escape sequences and strings: OSC, DCS, APC, PM, SOS.

use super::Options;
use super::screen::{Event, Observer, Screen, TITLE_STACK_MAX};
use super::style::Link;

/// Most characters of a title, and of the other texts events carry.
pub const TITLE_CHARS_MAX: usize = 4096;
/// Most characters of a link.
pub const LINK_CHARS_MAX: usize = 8192;

/// An APC string by which a keyframe says that printing was going on: what REP and joining
/// characters need to know. Other terminals swallow it.
pub(super) const RESUME_RUN: &[u8] = b"il;run";

/// The kinds of string, by how they begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StringKind {
    Osc,
    Dcs,
    Apc,
    /// PM and SOS: swallowed.
    Other,
    /// `ESC k`: a title, for programs that believe in tmux or screen.
    ScreenTitle,
}

impl StringKind {
    pub(super) fn from_final(final_byte: u8, options: &Options) -> Option<StringKind> {
        match final_byte {
            b']' => Some(StringKind::Osc),
            b'P' => Some(StringKind::Dcs),
            b'_' => Some(StringKind::Apc),
            b'^' | b'X' => Some(StringKind::Other),
            b'k' if options.screen_titles => Some(StringKind::ScreenTitle),
            _ => None,
        }
    }

    pub(super) fn introducer(self) -> &'static [u8] {
        match self {
            StringKind::Osc => b"\x1b]",
            StringKind::Dcs => b"\x1bP",
            StringKind::Apc => b"\x1b_",
            StringKind::Other => b"\x1b^",
            StringKind::ScreenTitle => b"\x1bk",
        }
    }
}

/// `bytes` as text without control characters, at most `chars_max` characters.
fn clean(bytes: &[u8], chars_max: usize) -> String {
    String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control()).take(chars_max).collect()
}

/// Splits at the first `;`.
fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|b| *b == b';') {
        Some(i) => (&bytes[..i], &bytes[i + 1..]),
        None => (bytes, &[]),
    }
}

fn number(bytes: &[u8]) -> Option<u32> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

impl Screen {
    /// `ESC` and a final byte.
    pub(super) fn escape_plain<O: Observer>(&mut self, final_byte: u8, o: &mut O) {
        match final_byte {
            b'7' => self.save_cursor(),
            b'8' => self.restore_cursor(),
            b'D' => self.index(o),
            b'E' => {
                self.index(o);
                self.move_to_col(0);
            }
            b'H' => self.set_tab_stop(),
            b'M' => self.reverse_index(),
            b'Z' => self.reply_primary_attributes(),
            b'c' => self.reset(o),
            b'=' => self.set_mode(super::screen::mode::APP_KEYPAD, true),
            b'>' => self.set_mode(super::screen::mode::APP_KEYPAD, false),
            b'n' | b'}' => self.use_charset(2),
            b'o' | b'|' => self.use_charset(3),
            b'~' => self.use_charset(1),
            _ => {}
        }
    }

    /// `ESC`, intermediates and a final byte.
    pub(super) fn escape(&mut self, intermediates: &[u8], final_byte: u8) {
        let slot = match intermediates {
            b"#" if final_byte == b'8' => return self.alignment_test(),
            [b'('] => 0,
            [b')' | b'-'] => 1,
            [b'*' | b'.'] => 2,
            [b'+' | b'/'] => 3,
            _ => return,
        };
        self.charsets.sets[slot] = match (intermediates, final_byte) {
            (b"(" | b")" | b"*" | b"+", b'0' | b'A') => final_byte,
            _ => b'B',
        };
        self.update_print_slow();
    }

    /// A complete string.
    pub(super) fn string<O: Observer>(&mut self, kind: StringKind, payload: &[u8], o: &mut O) {
        match kind {
            StringKind::Osc => self.osc(payload, o),
            StringKind::Dcs => self.reply_dcs(payload),
            StringKind::ScreenTitle => self.set_title(payload, o),
            StringKind::Apc if payload == RESUME_RUN => self.resume_run(),
            StringKind::Apc | StringKind::Other => {}
        }
    }

    fn osc<O: Observer>(&mut self, payload: &[u8], o: &mut O) {
        let (command, rest) = split(payload);
        match command {
            b"0" | b"2" => self.set_title(rest, o),
            b"7" => o.event(self, Event::WorkingDirectory(&clean(rest, TITLE_CHARS_MAX))),
            b"8" => self.set_link(rest),
            b"9" => self.osc_9(rest, o),
            b"52" => {
                let (_, data) = split(rest);
                if data != b"?" {
                    o.event(self, Event::Clipboard(data.len()));
                }
            }
            b"133" => {
                let (letter, arguments) = split(rest);
                if let [letter @ b'A'..=b'D'] = letter {
                    let status = number(split(arguments).0).map(|n| n as i32);
                    o.event(self, Event::Mark(char::from(*letter), status));
                }
            }
            b"777" => {
                let (verb, rest) = split(rest);
                if verb == b"notify" {
                    let (title, text) = split(rest);
                    let (title, text) =
                        (clean(title, TITLE_CHARS_MAX), clean(text, TITLE_CHARS_MAX));
                    o.event(self, Event::Notify(&title, &text));
                }
            }
            b"1337" => {
                if let Some(path) = rest.strip_prefix(b"CurrentDir=") {
                    o.event(self, Event::WorkingDirectory(&clean(path, TITLE_CHARS_MAX)));
                }
            }
            b"4" | b"10" | b"11" | b"12" => self.reply_color(command, rest),
            _ => {}
        }
    }

    fn set_title<O: Observer>(&mut self, text: &[u8], o: &mut O) {
        let title = clean(text, TITLE_CHARS_MAX);
        o.event(self, Event::Title(&title));
        self.title = title;
    }

    fn set_link(&mut self, rest: &[u8]) {
        let (parameters, uri) = split(rest);
        let uri = clean(uri, LINK_CHARS_MAX);
        let id = parameters.split(|b| *b == b':').find_map(|p| p.strip_prefix(b"id="));
        let link = match uri.is_empty() {
            true => 0,
            false => {
                let id = clean(id.unwrap_or(b""), 256);
                self.links.intern(Link { uri: uri.into(), id: id.into() })
            }
        };
        self.set_pen(super::Pen { link, ..self.pen });
    }

    /// OSC 9 is a notification, unless it begins with a number of ConEmu's.
    fn osc_9<O: Observer>(&mut self, rest: &[u8], o: &mut O) {
        let (verb, arguments) = split(rest);
        if verb == b"4" {
            let (state, percent) = split(arguments);
            let state = number(state).map_or(0, |n| n.min(4) as u8);
            let percent = number(percent).map_or(0, |n| n.min(100) as u8);
            o.event(self, Event::Progress(state, percent));
        } else if !rest.is_empty() {
            o.event(self, Event::Notify("", &clean(rest, TITLE_CHARS_MAX)));
        }
    }

    /// XTWINOPS: the title stack and questions. Asking for a size does nothing: the size is what
    /// the recording says it was.
    pub(super) fn window(&mut self, params: &[u16]) {
        match params {
            [22, ..] if self.title_stack.len() < TITLE_STACK_MAX => {
                self.title_stack.push(self.title.clone());
            }
            [23, ..] => {
                if let Some(title) = self.title_stack.pop() {
                    self.title = title;
                }
            }
            [n @ (14 | 16 | 18 | 19 | 21), ..] => self.reply_window(*n),
            _ => {}
        }
    }
}
