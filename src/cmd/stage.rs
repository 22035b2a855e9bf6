//! The user's terminal, taken over to show pictures on it and given back as it was found.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::sys::poll::{Interest, PollSet};
use crate::sys::signal::{self, Disposition, Mask, Signal};
use crate::sys::tty::{self, Termios};
use crate::sys::{fd, process};
use crate::term::Size;

/// The alternate screen, blank.
const ENTER: &str = "\x1b[?1049h\x1b[0m\x1b[2J\x1b[?25l";
const LEAVE: &str = "\x1b[?2026l\x1b[0m\x1b[?25h\x1b[?1049l";
/// Signals that end a program.
const DEADLY: [Signal; 4] = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];
/// Bytes of keys that are read at once.
const KEYS_LEN_MAX: usize = 256;
/// How long after an escape, or in the middle of a character, the rest of a key may still come.
const KEY_WAIT: Duration = Duration::from_millis(30);

/// A terminal on loan.
#[derive(Debug)]
pub(super) struct Stage {
    /// Where keys come from; None where no terminal is to be had.
    keys: Option<(OwnedFd, Termios)>,
    out: OwnedFd,
    mask: Mask,
    deadly: Option<Signal>,
}

/// What a wait ended with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    /// The time was over.
    Time,
    /// Keys were typed.
    Keys(Vec<Key>),
    /// The window may have another size, or was covered by something else.
    Resized,
    /// The terminal has gone, or a signal wants an end.
    Gone,
}

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Left,
    Right,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Escape,
}

impl Stage {
    /// Takes the terminal over; None where standard output is none.
    ///
    /// # Errors
    /// The terminal cannot be opened or set.
    pub(super) fn enter() -> Result<Option<Stage>> {
        if !io::stdout().is_terminal() {
            return Ok(None);
        }
        let failed = |e: io::Error| Error::io("cannot use the terminal", &e);
        let stdin = io::stdin();
        let keys = match stdin.is_terminal() {
            true => tty::reopen(stdin.as_fd(), false, true),
            false => tty::controlling(),
        };
        let keys = keys.ok().and_then(|keys| Some((Termios::of(keys.as_fd()).ok()?, keys)));
        let out = tty::reopen(io::stdout().as_fd(), true, false).map_err(failed)?;
        for signal in DEADLY.into_iter().filter(|signal| !signal::is_ignored(*signal)) {
            signal::set(signal, Disposition::Note).map_err(failed)?;
        }
        for signal in [Signal::WINCH, Signal::TSTP, Signal::CONT] {
            signal::set(signal, Disposition::Note).map_err(failed)?;
        }
        let keys = keys.map(|(termios, keys)| (keys, termios));
        let mask = Mask::full().install();
        let mut stage = Stage { keys, out, mask, deadly: None };
        stage.mend_on_panic();
        stage.take().map_err(failed)?;
        Ok(Some(stage))
    }

    fn take(&mut self) -> io::Result<()> {
        if let Some((keys, termios)) = &self.keys {
            termios.raw().set(keys.as_fd())?;
        }
        self.write(ENTER);
        Ok(())
    }

    fn give_back(&mut self) {
        self.write(LEAVE);
        if let Some((keys, termios)) = &self.keys {
            let _ = termios.set(keys.as_fd());
        }
    }

    /// A panic ends the process without a word to this value.
    fn mend_on_panic(&self) {
        let termios = self.keys.as_ref().map(|(_, termios)| *termios);
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let _ = io::Write::write_all(&mut io::stdout(), LEAVE.as_bytes());
            if let Some(termios) = termios {
                let _ = termios.set(io::stdin().as_fd());
            }
            tell(info);
        }));
    }

    /// Whether keys can be typed.
    pub(super) fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// The terminal's size.
    pub(super) fn size(&self) -> Size {
        match tty::size(self.out.as_fd()) {
            Ok(size) if size.cols > 0 && size.rows > 0 => Size::new(size.cols, size.rows),
            _ => Size::new(80, 24),
        }
    }

    /// Writes all of `text`, unless the program is told to end meanwhile.
    pub(super) fn write(&mut self, text: &str) {
        let mut rest = text.as_bytes();
        while !rest.is_empty() && self.deadly.is_none() {
            match fd::write(self.out.as_fd(), rest) {
                Ok(n) => rest = &rest[n..],
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    let mut set = PollSet::default();
                    set.watch(self.out.as_fd(), Interest { read: false, write: true });
                    let _ = set.wait(None, &self.mask);
                    self.note_deadly();
                }
                Err(_) => self.deadly = Some(Signal::HUP),
            }
        }
    }

    fn note_deadly(&mut self) {
        let arrived = DEADLY.into_iter().find(|signal| signal::take(*signal).is_some());
        self.deadly = self.deadly.or(arrived);
    }

    /// Waits for keys, signals, or until `timeout` has passed.
    pub(super) fn wait(&mut self, timeout: Duration) -> Happening {
        let mut set = PollSet::default();
        if let Some((keys, _)) = &self.keys {
            set.watch(keys.as_fd(), Interest { read: true, write: false });
        }
        let ready = set.wait(Some(timeout), &self.mask).unwrap_or(0);
        self.note_deadly();
        if self.deadly.is_some() {
            return Happening::Gone;
        }
        if signal::take(Signal::TSTP).is_some() {
            self.stop();
            return Happening::Resized;
        }
        let resumed = signal::take(Signal::CONT).is_some();
        if resumed {
            // Who stopped the program from outside may have set the terminal otherwise.
            let _ = self.take();
        }
        if signal::take(Signal::WINCH).is_some() || resumed {
            return Happening::Resized;
        }
        match &self.keys {
            Some((keys, _)) if ready > 0 => {
                let mut bytes = [0; KEYS_LEN_MAX];
                match fd::read(keys.as_fd(), &mut bytes) {
                    Ok(0) => self.deadly = Some(Signal::HUP),
                    Ok(n) => {
                        let n = self.rest_of_key(&mut bytes, n);
                        return self.typed(&bytes[..n]);
                    }
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Happening::Time,
                    Err(_) => self.deadly = Some(Signal::HUP),
                }
                Happening::Gone
            }
            _ => Happening::Time,
        }
    }

    /// Reads on where `bytes[..len]` ends within a key; the new length.
    fn rest_of_key(&self, bytes: &mut [u8], mut len: usize) -> usize {
        let Some((keys, _)) = &self.keys else { return len };
        while len < bytes.len() && is_begun(&bytes[..len]) {
            let mut set = PollSet::default();
            set.watch(keys.as_fd(), Interest { read: true, write: false });
            if set.wait(Some(KEY_WAIT), &self.mask).unwrap_or(0) == 0 {
                break;
            }
            match fd::read(keys.as_fd(), &mut bytes[len..]) {
                Ok(n) if n > 0 => len += n,
                _ => break,
            }
        }
        len
    }

    fn typed(&mut self, bytes: &[u8]) -> Happening {
        let keys = keys(bytes);
        if keys.contains(&Key::Char('\x1a')) {
            self.stop();
            return Happening::Resized;
        }
        Happening::Keys(keys)
    }

    /// Stops as ^Z would have, and goes on when told to.
    fn stop(&mut self) {
        self.give_back();
        let _ = process::kill(process::own_pid(), Signal::STOP);
        signal::take(Signal::CONT);
        let _ = self.take();
    }

    /// Gives the terminal back. If a signal wanted the end, the program dies of it.
    pub(super) fn leave(self) {
        let deadly = self.deadly;
        drop(self);
        if let Some(signal) = deadly {
            let _ = signal::set(signal, Disposition::Default);
            Mask::empty().install();
            let _ = process::kill(process::own_pid(), signal);
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Also when a signal is the reason, as far as the terminal takes it.
        self.deadly = None;
        self.give_back();
        self.mask.install();
    }
}

/// The keys that `bytes` are; those that have no meaning here are left out.
fn keys(bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != 0x1b {
            let (typed, len) = character(*first, tail);
            keys.extend(typed.map(Key::Char));
            rest = &tail[len..];
            continue;
        }
        let [b'[' | b'O', body @ ..] = tail else {
            keys.extend(tail.is_empty().then_some(Key::Escape));
            continue;
        };
        let len = body.iter().take_while(|b| matches!(b, 0x20..0x40)).count();
        let key = match body.get(len) {
            Some(b'A') => Some(Key::Up),
            Some(b'B') => Some(Key::Down),
            Some(b'C') => Some(Key::Right),
            Some(b'D') => Some(Key::Left),
            Some(b'H') => Some(Key::Home),
            Some(b'F') => Some(Key::End),
            Some(b'~') => match &body[..len] {
                b"1" | b"7" => Some(Key::Home),
                b"4" | b"8" => Some(Key::End),
                b"5" => Some(Key::PageUp),
                b"6" => Some(Key::PageDown),
                _ => None,
            },
            _ => None,
        };
        keys.extend(key);
        rest = body.get(len + 1..).unwrap_or(&[]);
    }
    keys
}

/// The character that begins with `first`, if it is one, and how many bytes of `tail` it takes.
fn character(first: u8, tail: &[u8]) -> (Option<char>, usize) {
    let len = continued(first);
    let mut bytes = vec![first];
    bytes.extend(tail.iter().take(len).take_while(|byte| is_continuation(**byte)));
    let typed = std::str::from_utf8(&bytes).ok().and_then(|text| text.chars().next());
    (typed, bytes.len() - 1)
}

/// How many bytes of a character follow its first.
fn continued(first: u8) -> usize {
    match first {
        0xc0..0xe0 => 1,
        0xe0..0xf0 => 2,
        0xf0..0xf8 => 3,
        _ => 0,
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// Whether `bytes` end within a key: after an escape, in a sequence, or in a character.
fn is_begun(bytes: &[u8]) -> bool {
    let tail = &bytes[bytes.len().saturating_sub(3)..];
    if let Some(at) = tail.iter().rposition(|byte| !is_continuation(*byte))
        && continued(tail[at]) > tail.len() - 1 - at
    {
        return true;
    }
    let Some(at) = bytes.iter().rposition(|byte| *byte == 0x1b) else { return false };
    match &bytes[at + 1..] {
        [] => true,
        [b'[' | b'O', body @ ..] => body.iter().all(|byte| matches!(byte, 0x20..0x40)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart() {
        use Key::{Char, Down, End, Escape, Home, Left, PageDown, PageUp, Right, Up};
        for (bytes, expected) in [
            (&b"q "[..], &[Char('q'), Char(' ')][..]),
            (b"\x1b[A\x1bOB\x1b[1;2C\x1b[D", &[Up, Down, Right, Left]),
            (b"\x1b", &[Escape]),
            (b"n\x1b", &[Char('n'), Escape]),
            (b"\x1b[", &[]),
            (b"\x1b[5~n\x1b[6~", &[PageUp, Char('n'), PageDown]),
            (b"\x1b[H\x1bOF\x1b[1~\x1b[4~\x1b[3~", &[Home, End, Home, End]),
            (b"\xc3\xa4.", &[Char('ä'), Char('.')]),
            ("日🚀".as_bytes(), &[Char('日'), Char('🚀')]),
            (b"\xff\xe6\x97.\x80", &[Char('.')]),
            (b"\x03", &[Char('\x03')]),
        ] {
            assert_eq!(keys(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_key_that_came_in_part_is_known_by_its_beginning() {
        for (bytes, expected) in [
            (&b"a"[..], false),
            (b"\x1b", true),
            (b"a\x1b[", true),
            (b"\x1b[1;2", true),
            (b"\x1b[1;2C", false),
            (b"\x1bOA", false),
            (b"\x1bx", false),
            (b"\xc3", true),
            (b"\xc3\xa4", false),
            (b"\xf0\x9f\x9a", true),
            (b"\x80\x80\x80\x80", false),
        ] {
            assert_eq!(is_begun(bytes), expected, "{bytes:?}");
        }
    }
}
