//! The parser: a recursive descent whose depth, input length and number of values are limited.

use super::Value;
use super::tape::{Node, Tape, View};
use std::fmt;

/// Arrays and objects may stand this deep in one another (the limit most readers share).
pub const DEPTH_MAX: usize = 128;
/// The longest text one parse accepts, in bytes.
pub const DOCUMENT_LEN_MAX: usize = 64 << 20;
/// The most values (members and elements counted, names not) one parse builds: a few bytes of
/// `[[],[],…]` cost a whole [`Value`] each, so length alone does not bound memory.
pub const VALUES_MAX: usize = 1 << 20;

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text ends inside a value.
    End,
    /// A byte that cannot stand there.
    Syntax,
    /// A whole value, and then more.
    Trailing,
    /// A number that is not written as JSON writes numbers.
    Number,
    /// A number no float can hold.
    Range,
    /// An unknown escape, or `\u` without four hexadecimal digits.
    Escape,
    /// A `\u` surrogate without its partner.
    Surrogate,
    /// Bytes that are not UTF-8.
    Utf8,
    /// A control character inside a string.
    Control,
    /// Deeper than [`DEPTH_MAX`].
    Deep,
    /// Longer than [`DOCUMENT_LEN_MAX`], or a line longer than [`super::LINE_LEN_MAX`].
    Long,
    /// More values than [`VALUES_MAX`].
    Many,
}

/// Where a text stops being JSON, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// What is wrong.
    pub kind: ErrorKind,
    /// The byte it was noticed at, from 0.
    pub offset: usize,
    /// Its line, from 1.
    pub line: usize,
    /// Its byte within the line, from 1.
    pub column: usize,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::End => "ends inside a value",
            ErrorKind::Syntax => "unexpected byte",
            ErrorKind::Trailing => "text after the value",
            ErrorKind::Number => "bad number",
            ErrorKind::Range => "number out of range",
            ErrorKind::Escape => "bad escape",
            ErrorKind::Surrogate => "lone surrogate",
            ErrorKind::Utf8 => "not UTF-8",
            ErrorKind::Control => "control character in a string",
            ErrorKind::Deep => "too deep",
            ErrorKind::Long => "too long",
            ErrorKind::Many => "too many values",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at line {}, column {}", self.kind, self.line, self.column)
    }
}

impl std::error::Error for Error {}

/// Reads one JSON text, white space around it allowed, by the letter of RFC 8259.
pub fn parse(text: &[u8]) -> Result<Value, Error> {
    whole(text, Strictness::Strict, |value| value.to_value())
}

/// Reads one JSON text as strictly as [`parse`] and has `look` see it, without a copy.
pub fn look<T>(text: &[u8], look: impl FnOnce(View<'_>) -> T) -> Result<T, Error> {
    whole(text, Strictness::Strict, look)
}

/// Reads one JSON text and forgives what a crash or a careless writer puts into strings: lone
/// surrogates and broken UTF-8 become U+FFFD, control characters stay.
pub fn parse_lossy(text: &[u8]) -> Result<Value, Error> {
    whole(text, Strictness::Lossy, |value| value.to_value())
}

/// Reads the value at the start of `text`, as forgiving as [`parse_lossy`], and says how many bytes
/// it took (leading white space included).
pub fn parse_prefix(text: &[u8]) -> Result<(Value, usize), Error> {
    let mut tape = Tape::default();
    let (value, len) = Source::of(text).prefix(&mut tape)?;
    Ok((value.to_value(), len))
}

fn whole<T>(
    text: &[u8],
    strictness: Strictness,
    look: impl FnOnce(View<'_>) -> T,
) -> Result<T, Error> {
    let mut tape = Tape::for_text(text.len());
    let source = Source::of(text);
    let mut parser = Parser::new(source, strictness, &mut tape);
    parser.document().map_err(|kind| parser.error(kind))?;
    parser.skip_space();
    match parser.peek() {
        None => Ok(look(View::root(&tape, source.utf8.unwrap_or_default()))),
        Some(_) => Err(parser.error(ErrorKind::Trailing)),
    }
}

/// A text, and the same as UTF-8 where it is that. Whoever reads several values of one text checks
/// it once.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    bytes: &'a [u8],
    utf8: Option<&'a str>,
}

impl<'a> Source<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Source<'a> {
        Source { bytes, utf8: std::str::from_utf8(bytes).ok() }
    }

    /// The text from `at` on.
    pub(super) fn from(self, at: usize) -> Source<'a> {
        let bytes = self.bytes.get(at..).unwrap_or_default();
        Source { bytes, utf8: self.utf8.and_then(|text| text.get(at..)) }
    }

    /// No more of it than so many bytes.
    pub(super) fn within(self, len_max: usize) -> Source<'a> {
        if self.bytes.len() <= len_max {
            return self;
        }
        Source { bytes: &self.bytes[..len_max], utf8: self.utf8.and_then(|t| t.get(..len_max)) }
    }

    /// As [`parse_prefix`], onto a tape.
    pub(super) fn prefix<'t>(self, tape: &'t mut Tape) -> Result<(View<'t>, usize), Error>
    where
        'a: 't,
    {
        let mut parser = Parser::new(self, Strictness::Lossy, tape);
        parser.document().map_err(|kind| parser.error(kind))?;
        let len = parser.at;
        Ok((View::root(tape, self.utf8.unwrap_or_default()), len))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Strictness {
    Strict,
    Lossy,
}

struct Parser<'a, 't> {
    text: &'a [u8],
    /// Set where strings without an escape can be left in the text.
    utf8: bool,
    at: usize,
    depth: usize,
    values: usize,
    strictness: Strictness,
    tape: &'t mut Tape,
}

impl<'a, 't> Parser<'a, 't> {
    fn new(source: Source<'a>, strictness: Strictness, tape: &'t mut Tape) -> Parser<'a, 't> {
        tape.clear();
        let (text, utf8) = (source.bytes, source.utf8.is_some());
        Parser { text, utf8, at: 0, depth: 0, values: 0, strictness, tape }
    }

    fn document(&mut self) -> Result<(), ErrorKind> {
        if self.text.len() > DOCUMENT_LEN_MAX {
            return Err(ErrorKind::Long);
        }
        self.skip_space();
        self.value()
    }

    /// The error at the present place. Counting lines waits until there is one to report.
    fn error(&self, kind: ErrorKind) -> Error {
        let before = &self.text[..self.at.min(self.text.len())];
        let line = 1 + before.iter().filter(|&&b| b == b'\n').count();
        let start = before.iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1);
        Error { kind, offset: before.len(), line, column: before.len() - start + 1 }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<(), ErrorKind> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(ErrorKind::Many);
        }
        match self.peek().ok_or(ErrorKind::End)? {
            b'{' => self.nested(Parser::object, |end| Node::Object { end }),
            b'[' => self.nested(Parser::array, |end| Node::Array { end }),
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true", Node::Bool(true)),
            b'f' => self.word("false", Node::Bool(false)),
            b'n' => self.word("null", Node::Null),
            _ => Err(ErrorKind::Syntax),
        }
    }

    fn nested(
        &mut self,
        body: fn(&mut Self) -> Result<(), ErrorKind>,
        node: fn(u32) -> Node,
    ) -> Result<(), ErrorKind> {
        if self.depth == DEPTH_MAX {
            return Err(ErrorKind::Deep);
        }
        self.depth += 1;
        self.at += 1;
        self.skip_space();
        let opened = self.tape.open();
        body(self)?;
        self.tape.close(opened, node);
        self.depth -= 1;
        Ok(())
    }

    fn object(&mut self) -> Result<(), ErrorKind> {
        if self.closes(b'}') {
            return Ok(());
        }
        loop {
            match self.peek().ok_or(ErrorKind::End)? {
                b'"' => {}
                _ => return Err(ErrorKind::Syntax),
            }
            self.string()?;
            self.skip_space();
            match self.peek().ok_or(ErrorKind::End)? {
                b':' => self.at += 1,
                _ => return Err(ErrorKind::Syntax),
            }
            self.skip_space();
            self.value()?;
            if self.ends_list(b'}')? {
                return Ok(());
            }
        }
    }

    fn array(&mut self) -> Result<(), ErrorKind> {
        if self.closes(b']') {
            return Ok(());
        }
        loop {
            self.value()?;
            if self.ends_list(b']')? {
                return Ok(());
            }
        }
    }

    fn closes(&mut self, end: u8) -> bool {
        let hit = self.peek() == Some(end);
        self.at += usize::from(hit);
        hit
    }

    /// After a member: true at the closing bracket, false after a comma.
    fn ends_list(&mut self, end: u8) -> Result<bool, ErrorKind> {
        self.skip_space();
        match self.peek().ok_or(ErrorKind::End)? {
            b',' => {
                self.at += 1;
                self.skip_space();
                Ok(false)
            }
            b if b == end => {
                self.at += 1;
                Ok(true)
            }
            _ => Err(ErrorKind::Syntax),
        }
    }

    fn word(&mut self, word: &str, value: Node) -> Result<(), ErrorKind> {
        for &expected in word.as_bytes() {
            match self.peek() {
                Some(b) if b == expected => self.at += 1,
                Some(_) => return Err(ErrorKind::Syntax),
                None => return Err(ErrorKind::End),
            }
        }
        self.tape.push(value);
        Ok(())
    }

    fn number(&mut self) -> Result<(), ErrorKind> {
        let node = self.number_node()?;
        self.tape.push(node);
        Ok(())
    }

    fn number_node(&mut self) -> Result<Node, ErrorKind> {
        let start = self.at;
        self.closes(b'-');
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.skip_digits(),
            Some(_) => return Err(ErrorKind::Number),
            None => return Err(ErrorKind::End),
        }
        let mut whole = true;
        if self.closes(b'.') {
            whole = false;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            whole = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        if let Some(b'0'..=b'9') = self.peek() {
            return Err(ErrorKind::Number);
        }
        // Only ASCII digits, signs, points and exponents have been passed.
        let text = std::str::from_utf8(&self.text[start..self.at]).map_err(|_| ErrorKind::Utf8)?;
        if whole && text != "-0" {
            if let Ok(n) = text.parse::<i64>() {
                return Ok(Node::Int(n));
            }
            if let Ok(n) = text.parse::<u64>() {
                return Ok(Node::Uint(n));
            }
        }
        match text.parse::<f64>() {
            Ok(n) if n.is_finite() => Ok(Node::Float(n)),
            _ => Err(ErrorKind::Range),
        }
    }

    fn skip_digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), ErrorKind> {
        match self.peek() {
            Some(b'0'..=b'9') => {
                self.skip_digits();
                Ok(())
            }
            Some(_) => Err(ErrorKind::Number),
            None => Err(ErrorKind::End),
        }
    }

    /// The string that opens here. Most have no escape and stay where they are.
    fn string(&mut self) -> Result<(), ErrorKind> {
        self.at += 1;
        let start = self.at;
        self.at += plain_len(&self.text[start..]);
        if self.utf8 && self.peek() == Some(b'"') {
            self.tape.push(Node::plain(start, self.at));
            self.at += 1;
            return Ok(());
        }
        self.at = start;
        let begin = self.tape.decoded.len();
        self.decode()?;
        self.tape.push(Node::decoded(begin, self.tape.decoded.len()));
        Ok(())
    }

    /// Copies the rest of a string to the tape, without its escapes.
    fn decode(&mut self) -> Result<(), ErrorKind> {
        loop {
            let start = self.at;
            self.at += plain_len(&self.text[start..]);
            self.copy(start)?;
            match self.peek().ok_or(ErrorKind::End)? {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => {
                    self.at += 1;
                    let c = self.escape()?;
                    self.tape.decoded.push(c);
                }
                control if self.strictness == Strictness::Lossy => {
                    self.at += 1;
                    self.tape.decoded.push(char::from(control));
                }
                _ => return Err(ErrorKind::Control),
            }
        }
    }

    fn copy(&mut self, start: usize) -> Result<(), ErrorKind> {
        let bytes = &self.text[start..self.at];
        match std::str::from_utf8(bytes) {
            Ok(text) => self.tape.decoded.push_str(text),
            Err(_) if self.strictness == Strictness::Lossy => {
                self.tape.decoded.push_str(&String::from_utf8_lossy(bytes));
            }
            Err(e) => {
                self.at = start + e.valid_up_to();
                return Err(ErrorKind::Utf8);
            }
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<char, ErrorKind> {
        let b = self.peek().ok_or(ErrorKind::End)?;
        self.at += 1;
        Ok(match b {
            b'"' | b'\\' | b'/' => char::from(b),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(ErrorKind::Escape),
        })
    }

    /// After `\u`: one code point, from one unit or from a surrogate pair. A unit that is not the
    /// low half of a pair is left for the next round, so that nothing after it is swallowed.
    fn unicode(&mut self) -> Result<char, ErrorKind> {
        let high = self.hex4()?;
        if let Some(c) = char::from_u32(high) {
            return Ok(c);
        }
        let rest = &self.text[self.at..];
        if high < 0xdc00 && rest.starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let low = self.hex4()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return char::from_u32(code).ok_or(ErrorKind::Surrogate);
            }
            self.at = back;
        }
        match self.strictness {
            Strictness::Lossy => Ok(char::REPLACEMENT_CHARACTER),
            Strictness::Strict => Err(ErrorKind::Surrogate),
        }
    }

    fn hex4(&mut self) -> Result<u32, ErrorKind> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = char::from(self.peek().ok_or(ErrorKind::End)?).to_digit(16);
            code = code << 4 | digit.ok_or(ErrorKind::Escape)?;
            self.at += 1;
        }
        Ok(code)
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Marks the high bit of every byte of `word` that is below `n`. A borrow can mark bytes above
/// the first hit, never below it, so the lowest mark is true.
fn below(word: u64, n: u64) -> u64 {
    word.wrapping_sub(ONES * n) & !word & HIGH
}

/// How many bytes come before the first one that `marks` marks in a word of eight and that `is`
/// accepts alone.
fn scan(bytes: &[u8], marks: impl Fn(u64) -> u64, is: impl Fn(u8) -> bool) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let hit = marks(u64::from_le_bytes(*word));
        if hit != 0 {
            return 8 * i + hit.trailing_zeros() as usize / 8;
        }
    }
    let done = bytes.len() - rest.len();
    done + rest.iter().position(|b| is(*b)).unwrap_or(rest.len())
}

/// How many bytes come before the first quote, backslash or control character.
fn plain_len(bytes: &[u8]) -> usize {
    let special =
        |word| below(word, 0x20) | below(word ^ (ONES * 0x22), 1) | below(word ^ (ONES * 0x5c), 1);
    scan(bytes, special, |b| matches!(b, b'"' | b'\\' | 0..0x20))
}

/// How many bytes come before the first line feed.
pub(super) fn line_len(bytes: &[u8]) -> usize {
    scan(bytes, |word| below(word ^ (ONES * 0x0a), 1), |b| b == b'\n')
}
