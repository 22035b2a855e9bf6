//! Answers to a program's questions, for where no other terminal answers them; and the state
//! kept only to be asked for: keyboard flags, cursor style.

use super::screen::{KEY_STACK_MAX, Screen, mode};

/// Most bytes of answers that wait to be taken; further answers are dropped whole.
pub const REPLIES_LEN_MAX: usize = 64 << 10;

impl Screen {
    pub(super) fn take_replies(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.replies)
    }

    fn reply(&mut self, text: &str) {
        if self.replies.len() + text.len() <= REPLIES_LEN_MAX {
            self.replies.extend_from_slice(text.as_bytes());
        }
    }

    /// DA1: a VT220 with ANSI colour.
    pub(super) fn reply_primary_attributes(&mut self) {
        self.reply("\x1b[?62;22c");
    }

    pub(super) fn reply_secondary_attributes(&mut self) {
        self.reply("\x1b[>1;10;0c");
    }

    pub(super) fn reply_tertiary_attributes(&mut self) {
        self.reply("\x1bP!|00000000\x1b\\");
    }

    /// XTVERSION.
    pub(super) fn reply_version(&mut self) {
        self.reply(concat!("\x1bP>|il ", env!("CARGO_PKG_VERSION"), "\x1b\\"));
    }

    /// DSR: 5 status, 6 cursor position, ?996 colour scheme.
    pub(super) fn reply_status(&mut self, what: u16, private: bool) {
        let mut y = self.cursor.y;
        if self.has(mode::ORIGIN) {
            y = y.saturating_sub(self.top);
        }
        let (row, col) = (y + 1, self.cursor.x + 1);
        match (what, private) {
            (5, false) => self.reply("\x1b[0n"),
            (6, false) => self.reply(&format!("\x1b[{row};{col}R")),
            (6, true) => self.reply(&format!("\x1b[?{row};{col};1R")),
            (996, true) => self.reply("\x1b[?997;1n"),
            _ => {}
        }
    }

    /// DECRQM: 1 set, 2 reset, 0 unknown.
    pub(super) fn reply_mode(&mut self, number: u16, private: bool) {
        let state = |on| if on { 1 } else { 2 };
        let (mark, value) = match (private, number) {
            (true, 47 | 1047 | 1049) => ("?", state(self.alternate)),
            (true, n) => ("?", mode::private(n).map_or(0, |bit| state(self.has(bit)))),
            (false, 4) => ("", state(self.has(mode::INSERT))),
            (false, 20) => ("", state(self.has(mode::LINEFEED))),
            (false, _) => ("", 0),
        };
        self.reply(&format!("\x1b[{mark}{number};{value}$y"));
    }

    /// DECRQSS (`$q`) and XTGETTCAP (`+q`).
    pub(super) fn reply_dcs(&mut self, payload: &[u8]) {
        if payload.starts_with(b"+q") {
            return self.reply("\x1bP0+r\x1b\\");
        }
        let Some(what) = payload.strip_prefix(b"$q") else { return };
        let value = match what {
            b"m" => {
                let params = self.pen.sgr_params();
                format!("0{}{params}m", if params.is_empty() { "" } else { ";" })
            }
            b"r" => format!("{};{}r", self.top + 1, self.bottom + 1),
            b" q" => format!("{} q", self.cursor_style),
            _ => return self.reply("\x1bP0$r\x1b\\"),
        };
        self.reply(&format!("\x1bP1$r{value}\x1b\\"));
    }

    /// Questions for colours: light grey on black, and grey for the palette.
    pub(super) fn reply_color(&mut self, command: &[u8], rest: &[u8]) {
        let command = String::from_utf8_lossy(command);
        let (index, question) = match rest.iter().rposition(|b| *b == b';') {
            Some(i) if command == "4" => (&rest[..i], &rest[i + 1..]),
            _ => (&b""[..], rest),
        };
        if question != b"?" || index.len() > 3 || !index.iter().all(u8::is_ascii_digit) {
            return;
        }
        let color = match &*command {
            "11" => "rgb:0000/0000/0000",
            "4" => "rgb:8080/8080/8080",
            _ => "rgb:d0d0/d0d0/d0d0",
        };
        let index = match index {
            [] => String::new(),
            digits => format!("{};", String::from_utf8_lossy(digits)),
        };
        self.reply(&format!("\x1b]{command};{index}{color}\x1b\\"));
    }

    /// Questions for sizes; a cell counts as 8 by 16 pixels.
    pub(super) fn reply_window(&mut self, what: u16) {
        let (rows, cols) = (self.height(), self.grid.cols);
        match what {
            14 => self.reply(&format!("\x1b[4;{};{}t", rows * 16, cols * 8)),
            16 => self.reply("\x1b[6;16;8t"),
            18 => self.reply(&format!("\x1b[8;{rows};{cols}t")),
            19 => self.reply(&format!("\x1b[9;{rows};{cols}t")),
            // The title is never reported: it may hold what another program put there.
            21 => self.reply("\x1b]l\x1b\\"),
            _ => {}
        }
    }

    /// XTSMGRAPHICS: no graphics.
    pub(super) fn reply_graphics(&mut self, what: u16) {
        self.reply(&format!("\x1b[?{what};3S"));
    }

    /// DECRQCRA: the sum of the code points in a rectangle.
    pub(super) fn reply_checksum(&mut self, params: &[u16]) {
        let at = |i: usize| usize::from(params.get(i).copied().unwrap_or(0));
        let (top, left) = (at(2).max(1) - 1, at(3).max(1) - 1);
        let bottom = if at(4) == 0 { self.height() } else { at(4).min(self.height()) };
        let right = if at(5) == 0 { self.grid.cols } else { at(5).min(self.grid.cols) };
        let mut sum = 0u32;
        for y in top..bottom {
            for x in left..right {
                let cell = self.grid.rows[y].cell(x);
                sum = sum.wrapping_add(self.clusters.chars(cell.ch).sum());
            }
        }
        self.reply(&format!("\x1bP{}!~{:04X}\x1b\\", at(0), sum & 0xffff));
    }

    // The kitty keyboard protocol's flags, one stack a screen.

    fn key_stack(&mut self) -> &mut Vec<u8> {
        &mut self.key_flags[usize::from(self.alternate)]
    }

    pub(super) fn push_key_flags(&mut self, flags: u16) {
        let stack = self.key_stack();
        if stack.len() == KEY_STACK_MAX {
            stack.remove(0);
        }
        stack.push((flags & 0x1f) as u8);
    }

    pub(super) fn pop_key_flags(&mut self, n: usize) {
        let stack = self.key_stack();
        stack.truncate(stack.len().saturating_sub(n));
    }

    pub(super) fn set_key_flags(&mut self, flags: u16, how: u16) {
        let flags = (flags & 0x1f) as u8;
        let stack = self.key_stack();
        let current = stack.pop().unwrap_or(0);
        stack.push(match how {
            2 => current | flags,
            3 => current & !flags,
            _ => flags,
        });
    }

    pub(super) fn reply_key_flags(&mut self) {
        let flags = self.key_stack().last().copied().unwrap_or(0);
        self.reply(&format!("\x1b[?{flags}u"));
    }

    /// XTMODKEYS: resource 4 is modifyOtherKeys.
    pub(super) fn set_modify_keys(&mut self, params: &[u16]) {
        match params {
            [4, level, ..] => self.modify_keys = (*level).min(3) as u8,
            [] | [4] => self.modify_keys = 0,
            _ => {}
        }
    }

    /// DECSCUSR.
    pub(super) fn set_cursor_style(&mut self, style: u16) {
        if style <= 6 {
            self.cursor_style = style as u8;
        }
    }
}
