//! Secrets in recordings: each byte of one becomes `*`, so that nothing moves on the screen.
//!
//! What a program prints comes in pieces, with colours in between, and what is typed is echoed key
//! by key; so secrets are looked for in the text that the pieces make together.

use super::mask;
use super::recording::{OwnedAction, TimedAction};
use crate::term::StyledRun;
use std::collections::VecDeque;

/// Bytes that are looked through at once.
const BATCH_LEN: usize = 512 << 10;

/// Hides the secrets of a recording that passes through.
#[derive(Debug, Default)]
pub struct Censor {
    waiting: VecDeque<(u64, OwnedAction)>,
    /// Bytes that wait, and those among them that were not looked through yet.
    len: usize,
    fresh: usize,
}

impl Censor {
    /// Takes the next action and hands those to `pass` that no later one can change.
    pub fn push<E>(
        &mut self,
        (time_us, action): TimedAction<'_>,
        pass: &mut impl FnMut(TimedAction<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let action = action.to_owned();
        let len = bytes_of(&action).map_or(0, <[u8]>::len);
        self.waiting.push_back((time_us, action));
        self.len += len;
        self.fresh += len;
        if self.fresh < BATCH_LEN {
            return Ok(());
        }
        self.fresh = 0;
        self.hide();
        // A secret that is not complete yet lies in the last bytes.
        self.hand_out(2 * mask::SECRET_LEN_MAX, pass)
    }

    /// The end: hands over the rest.
    pub fn finish<E>(
        mut self,
        pass: &mut impl FnMut(TimedAction<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.hide();
        self.hand_out(0, pass)
    }

    fn hand_out<E>(
        &mut self,
        kept: usize,
        pass: &mut impl FnMut(TimedAction<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some((time_us, action)) = self.waiting.pop_front() {
            let len = bytes_of(&action).map_or(0, <[u8]>::len);
            if self.len - len < kept {
                self.waiting.push_front((time_us, action));
                break;
            }
            self.len -= len;
            pass((time_us, action.borrow()))?;
        }
        Ok(())
    }

    fn hide(&mut self) {
        let (mut printed, mut typed) = (Text::default(), Text::default());
        for (i, (_, action)) in self.waiting.iter_mut().enumerate() {
            match action {
                OwnedAction::Output(bytes) => printed.take(i, bytes),
                OwnedAction::Input(bytes) => typed.take(i, bytes),
                OwnedAction::Marker(label) => *label = mask::mask(label).into_owned(),
                OwnedAction::Resize(_) | OwnedAction::Exit(_) => {}
            }
        }
        for text in [printed, typed] {
            for secret in mask::find(&text.text) {
                for (i, at) in text.places[secret.span].iter().flatten() {
                    if let Some((_, OwnedAction::Output(bytes) | OwnedAction::Input(bytes))) =
                        self.waiting.get_mut(*i as usize)
                    {
                        bytes[*at as usize] = b'*';
                    }
                }
            }
        }
    }
}

/// Covers the secrets of a row on the screen with `*`, which takes as many cells.
pub fn cover(runs: &mut [StyledRun]) {
    let text: String = runs.iter().map(|run| run.text.as_str()).collect();
    // From the last one on, so that places before it stay as they were found.
    for secret in mask::find(&text).into_iter().rev() {
        let mut at = 0;
        for run in runs.iter_mut() {
            let (from, to) = (secret.span.start.max(at), secret.span.end.min(at + run.text.len()));
            let len = run.text.len();
            if from < to {
                let count = run.text[from - at..to - at].chars().count();
                run.text.replace_range(from - at..to - at, &"*".repeat(count));
            }
            at += len;
        }
    }
}

fn bytes_of(action: &OwnedAction) -> Option<&[u8]> {
    match action {
        OwnedAction::Output(bytes) | OwnedAction::Input(bytes) => Some(bytes),
        _ => None,
    }
}

/// The text of many pieces, and for each byte of it the piece and the place that it comes from.
#[derive(Debug, Default)]
struct Text {
    text: String,
    places: Vec<Option<(u32, u32)>>,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    Escape,
    Csi,
    /// What a title or a link says is looked through too.
    String,
}

impl Text {
    fn take(&mut self, piece: usize, bytes: &[u8]) {
        for (at, b) in bytes.iter().enumerate() {
            let place = Some((piece as u32, at as u32));
            self.state = match (self.state, *b) {
                (state, 0x1b) => {
                    if state == State::String {
                        self.push('\n', None);
                    }
                    State::Escape
                }
                (State::Escape, b'[') => State::Csi,
                (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => {
                    self.push('\n', None);
                    State::String
                }
                (State::Escape, 0x20..0x30) => State::Escape,
                (State::Escape, _) => State::Ground,
                (State::Csi, b @ 0x40..=0x7e) => {
                    match b {
                        b'm' | b'K' => {}
                        b'C' => self.push(' ', None),
                        _ => self.push('\n', None),
                    }
                    State::Ground
                }
                (State::String, 7) => {
                    self.push('\n', None);
                    State::Ground
                }
                (State::Csi, _) => State::Csi,
                (state, b'\r') => {
                    self.push('\n', None);
                    state
                }
                (state, b @ (b'\n' | b' '..=b'~')) => {
                    self.push(char::from(b), place);
                    state
                }
                // No secret has any but ASCII characters, save for passwords people think of.
                (state, 0x80..) => {
                    self.push('~', place);
                    state
                }
                (state, _) => state,
            };
        }
    }

    fn push(&mut self, c: char, place: Option<(u32, u32)>) {
        self.text.push(c);
        self.places.push(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::recording::Action;

    fn check(pieces: &[Action<'_>], expected: &[&str]) {
        let mut censor = Censor::default();
        let mut out = Vec::new();
        let mut pass = |(_, action): TimedAction<'_>| {
            out.push(match action {
                Action::Output(bytes) | Action::Input(bytes) => {
                    String::from_utf8_lossy(bytes).into_owned()
                }
                other => format!("{other:?}"),
            });
            Ok::<(), ()>(())
        };
        for piece in pieces {
            censor.push((0, *piece), &mut pass).expect("passed on");
        }
        censor.finish(&mut pass).expect("passed on");
        assert_eq!(out, expected);
    }

    #[test]
    fn a_secret_is_found_across_pieces_and_colours() {
        check(
            &[
                Action::Output(b"key \x1b[31msk-ant-api03-"),
                Action::Input(b"x"),
                Action::Output(b"abc\x1b[1mdef0123456789\x1b[m end\r\n"),
                Action::Output(b"\x1b]0;sk-ant-api03-abcdef0123456789\x07"),
            ],
            &[
                "key \x1b[31m*************",
                "x",
                "***\x1b[1m*************\x1b[m end\r\n",
                "\x1b]0;*****************************\x07",
            ],
        );
    }

    #[test]
    fn what_is_typed_key_by_key_is_found() {
        let keys: Vec<[u8; 1]> = b"ghp_0123456789abcdef0123456789abcdef0123 x".map(|b| [b]).into();
        let pieces: Vec<Action<'_>> = keys.iter().map(|key| Action::Input(key)).collect();
        let expected: Vec<&str> = std::iter::repeat_n("*", 40).chain([" ", "x"]).collect();
        check(&pieces, &expected);
    }

    #[test]
    fn a_secret_that_lies_across_two_batches_is_found() {
        let filling = vec![b'.'; BATCH_LEN - 12];
        let expected = String::from_utf8(filling.clone()).expect("text");
        check(
            &[
                Action::Output(&filling),
                Action::Output(b" sk-ant-api03-"),
                Action::Output(b"abcdef0123456789 "),
            ],
            &[&expected, " *************", "**************** "],
        );
    }
}
