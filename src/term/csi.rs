//! Control sequences (ECMA-48 5.4, xterm ctlseqs): reading one, and what each final does.

use super::parse::CSI_LEN_MAX;
use super::screen::{Clear, Event, Observer, Screen, mode};

/// Parameters kept; further ones are ignored.
pub(super) const PARAMS_MAX: usize = 32;

/// One control sequence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Csi {
    params: [u16; PARAMS_MAX],
    count: usize,
    /// Bit i: parameter i follows a colon, so it belongs to the one before.
    colons: u64,
    /// `<`, `=`, `>`, `?` or 0.
    prefix: u8,
    /// The intermediate byte, or 0.
    intermediate: u8,
    final_byte: u8,
    /// The bytes are in no order that means anything.
    ignore: bool,
}

impl Default for Csi {
    fn default() -> Csi {
        Csi {
            params: [0; PARAMS_MAX],
            count: 0,
            colons: 0,
            prefix: 0,
            intermediate: 0,
            final_byte: 0,
            ignore: false,
        }
    }
}

impl Csi {
    /// Reads what follows `ESC [`. Returns the bytes used, or 0 when the sequence is cut by the
    /// end, too long, or holds bytes that have no place in it.
    #[inline]
    pub(super) fn read(&mut self, bytes: &[u8]) -> usize {
        let bytes = &bytes[..bytes.len().min(CSI_LEN_MAX)];
        let mut i = 0;
        self.prefix = 0;
        self.intermediate = 0;
        self.ignore = false;
        self.colons = 0;
        self.count = 0;
        if let Some(b @ b'<'..=b'?') = bytes.first() {
            self.prefix = *b;
            i = 1;
        }
        let mut value: u32 = 0;
        let mut any = false;
        while let Some(&b) = bytes.get(i) {
            i += 1;
            match b {
                b'0'..=b'9' => {
                    value = (value * 10 + u32::from(b - b'0')).min(0xffff);
                    any = true;
                    self.ignore |= self.intermediate != 0;
                }
                b';' | b':' => {
                    self.push(value);
                    value = 0;
                    any = true;
                    if b == b':' && self.count < PARAMS_MAX {
                        self.colons |= 1 << self.count;
                    }
                    self.ignore |= self.intermediate != 0;
                }
                b'<'..=b'?' => self.ignore = true,
                0x20..0x30 => {
                    self.ignore |= self.intermediate != 0;
                    self.intermediate = b;
                }
                0x40..0x7f => {
                    if any {
                        self.push(value);
                    }
                    self.final_byte = b;
                    return i;
                }
                _ => return 0,
            }
        }
        0
    }

    #[inline]
    fn push(&mut self, value: u32) {
        if self.count < PARAMS_MAX {
            self.params[self.count] = value as u16;
            self.count += 1;
        }
    }

    fn params(&self) -> &[u16] {
        &self.params[..self.count]
    }

    /// Parameter `i`, 0 when absent.
    fn param(&self, i: usize) -> u16 {
        self.params().get(i).copied().unwrap_or(0)
    }

    /// Parameter `i` as a count: absent and 0 mean 1.
    fn count_at(&self, i: usize) -> usize {
        usize::from(self.param(i).max(1))
    }
}

impl Screen {
    /// Does what a control sequence says.
    pub(super) fn csi<O: Observer>(&mut self, csi: &Csi, o: &mut O) {
        if csi.ignore {
            return self.end_run();
        }
        if csi.final_byte == b'b' && csi.prefix == 0 && csi.intermediate == 0 {
            return self.repeat(csi.count_at(0), o);
        }
        self.end_run();
        match (csi.prefix, csi.intermediate) {
            (0, 0) => self.csi_plain(csi, o),
            (b'?', 0) => self.csi_private(csi, o),
            (b'>', 0) => match csi.final_byte {
                b'm' => self.set_modify_keys(csi.params()),
                b'u' => self.push_key_flags(csi.param(0)),
                b'c' => self.reply_secondary_attributes(),
                b'q' => self.reply_version(),
                _ => {}
            },
            (b'<', 0) if csi.final_byte == b'u' => self.pop_key_flags(csi.count_at(0)),
            (b'=', 0) => match csi.final_byte {
                b'u' => self.set_key_flags(csi.param(0), csi.param(1)),
                b'c' => self.reply_tertiary_attributes(),
                _ => {}
            },
            (0, b'!') if csi.final_byte == b'p' => self.soft_reset(),
            (0, b' ') if csi.final_byte == b'q' => self.set_cursor_style(csi.param(0)),
            (0, b'$') if csi.final_byte == b'p' => self.reply_mode(csi.param(0), false),
            (b'?', b'$') if csi.final_byte == b'p' => self.reply_mode(csi.param(0), true),
            (0, b'*') if csi.final_byte == b'y' => self.reply_checksum(csi.params()),
            _ => {}
        }
    }

    fn csi_plain<O: Observer>(&mut self, csi: &Csi, o: &mut O) {
        let n = csi.count_at(0);
        match csi.final_byte {
            b'm' => self.sgr(csi.params(), csi.colons),
            b'H' | b'f' => self.goto(csi.count_at(0) - 1, csi.count_at(1) - 1),
            b'K' => self.erase_in_line(csi.param(0)),
            b'J' => self.erase_in_display(csi.param(0), o),
            b'A' => self.move_up(n),
            b'B' => self.move_down(n),
            b'C' | b'a' => self.move_to_col(self.cursor.x + n),
            b'D' => self.move_to_col(self.cursor.x.saturating_sub(n)),
            b'E' => {
                self.move_down(n);
                self.move_to_col(0);
            }
            b'F' => {
                self.move_up(n);
                self.move_to_col(0);
            }
            b'G' | b'`' => self.move_to_col(n - 1),
            b'd' => self.goto(n - 1, self.cursor.x),
            b'e' => self.move_to_row(self.cursor.y + n),
            b'I' => self.tab_forward(n),
            b'Z' => self.tab_back(n),
            b'@' => self.insert_cells(n),
            b'P' => self.delete_cells(n),
            b'X' => self.erase_cells(n),
            b'L' => self.insert_rows(n),
            b'M' => self.delete_rows(n),
            b'S' => self.scroll_up(n, o),
            b'T' if csi.count < 5 => self.scroll_down(n),
            b'W' => match csi.param(0) {
                0 => self.set_tab_stop(),
                2 => self.clear_tab_stop(),
                5 => self.clear_tab_stops(),
                _ => {}
            },
            b'g' => match csi.param(0) {
                0 => self.clear_tab_stop(),
                3 => self.clear_tab_stops(),
                _ => {}
            },
            b'h' | b'l' => {
                for param in csi.params() {
                    self.set_ansi_mode(*param, csi.final_byte == b'h');
                }
            }
            b'r' => self.set_margins(csi.param(0), csi.param(1)),
            b's' => self.save_cursor(),
            b'u' => self.restore_cursor(),
            b'c' if csi.param(0) == 0 => self.reply_primary_attributes(),
            b'n' => self.reply_status(csi.param(0), false),
            b't' => self.window(csi.params()),
            _ => {}
        }
    }

    fn csi_private<O: Observer>(&mut self, csi: &Csi, o: &mut O) {
        match csi.final_byte {
            b'h' | b'l' => {
                for param in csi.params() {
                    self.set_private_mode(*param, csi.final_byte == b'h', o);
                }
            }
            b'n' => self.reply_status(csi.param(0), true),
            b'u' => self.reply_key_flags(),
            b'S' => self.reply_graphics(csi.param(0)),
            b'W' if csi.param(0) == 5 => self.reset_tab_stops(),
            _ => {}
        }
    }

    fn set_ansi_mode(&mut self, number: u16, on: bool) {
        match number {
            4 => self.set_mode(mode::INSERT, on),
            20 => self.set_mode(mode::LINEFEED, on),
            _ => {}
        }
    }

    fn set_private_mode<O: Observer>(&mut self, number: u16, on: bool, o: &mut O) {
        match number {
            6 => {
                self.set_mode(mode::ORIGIN, on);
                self.goto(0, 0);
            }
            47 => self.switch_screen(on, o),
            1047 => {
                self.switch_screen(on, o);
                if !on {
                    self.clear_alternate();
                }
            }
            1048 if on => self.save_cursor(),
            1048 => self.restore_cursor(),
            1049 if on => {
                if !self.on_alternate() {
                    self.save_cursor();
                    self.switch_screen(true, o);
                    self.clear_alternate();
                }
            }
            1049 => {
                self.switch_screen(false, o);
                self.clear_alternate();
                self.restore_cursor();
            }
            2026 => {
                self.set_mode(mode::SYNC, on);
                o.event(self, Event::Sync(on));
            }
            _ => {
                if let Some(bit) = mode::private(number) {
                    self.set_mode(bit, on);
                }
            }
        }
    }

    fn erase_in_display<O: Observer>(&mut self, what: u16, o: &mut O) {
        let (y, height) = (self.cursor.y, self.height());
        match what {
            0 => {
                if y == 0 && self.cursor.x == 0 {
                    o.event(self, Event::Clear(Clear::Screen));
                }
                self.erase_in_line(0);
                self.erase_rows(y + 1, height);
            }
            1 => {
                self.erase_rows(0, y);
                self.erase_in_line(1);
            }
            2 => {
                o.event(self, Event::Clear(Clear::Screen));
                self.erase_rows(0, height);
            }
            3 => {
                o.event(self, Event::Clear(Clear::History));
                self.clear_history();
            }
            _ => {}
        }
    }
}
