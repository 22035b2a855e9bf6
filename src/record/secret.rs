//! What must not be kept: keys typed where the terminal, or the program, asks for a secret.

/// Most bytes of the last line of output that are remembered.
pub const LINE_MAX: usize = 256;

/// Words that end a prompt for a secret, lower case. A colon follows them, at any distance within
/// the line that holds no full stop ("Password for me@host:", "Enter passphrase for key '/k':").
const PROMPTS: &[&str] = &[
    "password",
    "passphrase",
    "passwort",
    "mot de passe",
    "contraseña",
    "passcode",
    "pin",
    "verification code",
    "one-time code",
    "otp",
    "api key",
];

/// The colon, and the last byte of the wide one.
const COLON_ENDS: [u8; 2] = [b':', 0x9a];

/// How the terminal treats what is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Typed characters are shown (ECHO).
    pub shown: bool,
    /// Input goes by lines (ICANON).
    pub by_lines: bool,
}

/// Remembers the line that the cursor is on, as far as that can be told without a terminal.
#[derive(Debug, Default)]
pub struct LastLine {
    text: Vec<u8>,
}

impl LastLine {
    /// Reads on. Only the tail of `output` can matter.
    pub fn feed(&mut self, output: &[u8]) {
        let tail = &output[output.len().saturating_sub(LINE_MAX)..];
        match tail.iter().rposition(|b| *b == b'\n') {
            Some(end) => {
                self.text.clear();
                self.text.extend_from_slice(&tail[end + 1..]);
            }
            None => self.text.extend_from_slice(tail),
        }
        let over = self.text.len().saturating_sub(LINE_MAX);
        self.text.drain(..over);
    }

    /// Whether the line asks for a secret: it ends with a prompt and a colon, and after that at
    /// most blanks and the marks a masked field shows.
    pub fn asks_for_secret(&self) -> bool {
        // Most lines are told apart without a copy: this is asked at every key.
        if !self.text.iter().any(|byte| COLON_ENDS.contains(byte)) {
            return false;
        }
        let line = without_escapes(&self.text).to_lowercase();
        let line = line.trim_end_matches(|c: char| c.is_whitespace() || "*•·●".contains(c));
        let Some(question) = line.strip_suffix([':', '：']) else { return false };
        PROMPTS.iter().any(|word| {
            question.match_indices(word).any(|(at, _)| {
                let before = question[..at].chars().next_back();
                let after = &question[at + word.len()..];
                !before.is_some_and(char::is_alphanumeric)
                    && !after.chars().next().is_some_and(char::is_alphanumeric)
                    && !after.contains(". ")
            })
        })
    }
}

/// Whether keys typed now are a secret, of which only the length is kept. A terminal that echoes
/// shows them anyway; one that does not, and collects a line, is being asked for a password
/// (getpass(3), `read -s`, sudo); one that does not and is raw depends on the prompt (ssh to a
/// remote prompt, a masked field).
pub fn is_secret(echo: Echo, line: &LastLine) -> bool {
    !echo.shown && (echo.by_lines || line.asks_for_secret())
}

/// Text with CSI and OSC sequences and control characters left out.
fn without_escapes(bytes: &[u8]) -> String {
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            0x1b => match rest.next() {
                Some(b'[') => while rest.next().is_some_and(|b| !(0x40..=0x7e).contains(&b)) {},
                Some(b']') => while rest.next().is_some_and(|b| b != 0x07 && b != 0x1b) {},
                _ => {}
            },
            b'\r' => text.clear(),
            0x20..=0xff if byte != 0x7f => text.push(byte),
            _ => {}
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET_LINE: Echo = Echo { shown: false, by_lines: true };
    const QUIET_RAW: Echo = Echo { shown: false, by_lines: false };
    const COOKED: Echo = Echo { shown: true, by_lines: true };

    fn check(output: &str, asks: bool) {
        let mut whole = LastLine::default();
        whole.feed(output.as_bytes());
        assert_eq!(whole.asks_for_secret(), asks, "{output:?}");
        let mut bytewise = LastLine::default();
        for byte in output.as_bytes() {
            bytewise.feed(&[*byte]);
        }
        assert_eq!(bytewise.asks_for_secret(), asks, "{output:?} a byte at a time");
    }

    #[test]
    fn prompts_are_known_by_their_last_line() {
        check("[sudo] password for me: ", true);
        check("me@host's password: ", true);
        check("Enter passphrase for key '/home/me/.ssh/id': ", true);
        check("\x1b[1mPassword:\x1b[0m ", true);
        check("Password: ****", true);
        check("密码 password： ", true);
        check("Verification code: ", true);
        check("Paste your API key:", true);
        check("user\r\nPIN: ", true);
        check("Password: \r\n", false);
        check("Password: hunter2", false);
        check("spinning: ", false);
        check("The password is stored. Continue: ", false);
        check("$ ", false);
        check("", false);
    }

    #[test]
    fn a_quiet_line_is_a_secret_and_a_quiet_raw_terminal_only_at_a_prompt() {
        let mut line = LastLine::default();
        line.feed(b"anything ");
        assert!(is_secret(QUIET_LINE, &line));
        assert!(!is_secret(QUIET_RAW, &line));
        line.feed(b"\nPassword: ");
        assert!(is_secret(QUIET_RAW, &line));
        assert!(!is_secret(COOKED, &line));
    }

    #[test]
    fn the_line_is_bounded() {
        for len in [LINE_MAX, LINE_MAX + 1, 10 * LINE_MAX] {
            let mut line = LastLine::default();
            for _ in 0..len {
                line.feed(b"x");
            }
            line.feed(b" password:");
            assert!(line.asks_for_secret());
            assert!(line.text.len() <= LINE_MAX);
        }
    }
}
