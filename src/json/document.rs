//! One long document, of which what matters is a list in it: its elements are read one by one, so
//! that a document that was cut or broken costs no more than the element it was broken in.

use super::Object;
use super::lines::{Record, Sink, TRIES_MAX};
use super::read::{DOCUMENT_LEN_MAX, ErrorKind, Source};
use super::tape::{Tape, View};

/// A document with a list.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// The members of the outermost object, without the list.
    pub members: Object,
    /// The elements of the list, and the spans that are neither an element nor a member. Their line
    /// is that of the document's beginning.
    pub elements: Vec<Record>,
}

/// Reads the object `text` is, the array that is its member `list` element by element. What the
/// outermost object says before and after the list is read as far as it can be.
pub fn document(text: &[u8], list: &str) -> Document {
    let mut elements = Vec::new();
    let members = visit_document(text, list, &mut |element| elements.push(element.to_owned()));
    Document { members, elements }
}

/// The same without a copy of every element: each goes to `sink`, which keeps what it wants of it.
/// Returns the members.
pub fn visit_document(text: &[u8], list: &str, sink: &mut dyn FnMut(Record<View<'_>>)) -> Object {
    let mut reader = Reader {
        text,
        source: Source::of(text),
        tape: Tape::default(),
        at: if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 },
        tries: 0,
        members: Object::new(),
        sink,
    };
    reader.object(list);
    reader.members
}

struct Reader<'a, 's> {
    text: &'a [u8],
    source: Source<'a>,
    tape: Tape,
    at: usize,
    /// How many places inside broken elements were tried as the beginning of another.
    tries: usize,
    members: Object,
    sink: &'s mut Sink<'s>,
}

impl Reader<'_, '_> {
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.at) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn takes(&mut self, byte: u8) -> bool {
        let hit = self.peek() == Some(byte);
        self.at += usize::from(hit);
        hit
    }

    /// The value at `at`, and its length.
    fn value(&mut self, at: usize) -> Result<(View<'_>, usize), ErrorKind> {
        // The rest of a long document is looked at as far as one value may go.
        let rest = self.source.from(at).within(DOCUMENT_LEN_MAX);
        rest.prefix(&mut self.tape).map_err(|e| e.kind)
    }

    fn broken(&mut self, start: usize, end: usize, kind: ErrorKind) {
        let (offset, len) = (start as u64, end.saturating_sub(start) as u64);
        (self.sink)(Record { offset, len, line: 1, value: Err(kind) });
    }

    fn object(&mut self, list: &str) {
        if !self.takes(b'{') {
            let kind = if self.at < self.text.len() { ErrorKind::Syntax } else { ErrorKind::End };
            // The list may be there nevertheless.
            return self.lost(self.at, kind, list);
        }
        loop {
            let start = self.at;
            if self.takes(b'}') {
                break;
            }
            if let Err(kind) = self.member(list) {
                return self.lost(start, kind, list);
            }
            self.takes(b',');
        }
        if self.peek().is_some() {
            self.broken(self.at, self.text.len(), ErrorKind::Trailing);
        }
    }

    fn member(&mut self, list: &str) -> Result<(), ErrorKind> {
        let Some(start) = self.peek().map(|_| self.at) else { return Err(ErrorKind::End) };
        let (name, len) = self.value(start)?;
        let Some(name) = name.as_str().map(str::to_owned) else { return Err(ErrorKind::Syntax) };
        self.at = start + len;
        if !self.takes(b':') {
            return Err(if self.at < self.text.len() { ErrorKind::Syntax } else { ErrorKind::End });
        }
        if name == list && self.peek() == Some(b'[') {
            self.at += 1;
            self.elements();
            return Ok(());
        }
        let at = self.peek().map_or(self.text.len(), |_| self.at);
        let (value, len) = self.value(at)?;
        let value = value.to_value();
        self.at = at + len;
        self.members.insert(name, value);
        Ok(())
    }

    /// From `start` on nothing is known, unless the list begins there.
    fn lost(&mut self, start: usize, kind: ErrorKind, list: &str) {
        let name = format!("\"{list}\"");
        let rest = self.text.get(self.at..).unwrap_or_default();
        let found = rest.windows(name.len()).position(|window| window == name.as_bytes());
        let Some(found) = found.map(|n| self.at + n) else {
            return self.broken(start, self.text.len(), kind);
        };
        self.broken(start, found, kind);
        self.at = found + name.len();
        if self.takes(b':') && self.takes(b'[') {
            self.elements();
        }
    }

    /// The list, whose bracket has been passed, up to its end.
    fn elements(&mut self) {
        // Elements of one list stand in their lines alike, and mostly open alike.
        let indented = self.at;
        let _ = self.peek();
        let indented = &self.text[indented..self.at];
        let mut openings = Vec::new();
        loop {
            while self.takes(b',') {}
            let start = self.at;
            if start == self.text.len() || self.takes(b']') {
                return;
            }
            let rest = self.source.from(start).within(DOCUMENT_LEN_MAX);
            match rest.prefix(&mut self.tape).map_err(|e| e.kind) {
                Ok((value, len)) => {
                    self.at = start + len;
                    if openings.is_empty() {
                        openings.extend(value.members().next().map(|(name, _)| name.to_owned()));
                    }
                    let (offset, len) = (start as u64, len as u64);
                    (self.sink)(Record { offset, len, line: 1, value: Ok(value) });
                }
                Err(kind) => {
                    self.at = self.next(start + 1, indented, &openings);
                    self.broken(start, self.at, kind);
                }
            }
        }
    }

    /// Where, from `from` on, the next element begins: an object that stands in its line and opens
    /// as the first one did, and that reads to its end, after which the list goes on or ends.
    fn next(&mut self, from: usize, indented: &[u8], openings: &[String]) -> usize {
        for at in from..self.text.len() {
            let Some(before) = self.text[..at].strip_suffix(indented) else { continue };
            let parted = before.len() <= from || before.last() == Some(&b',');
            let object = self.text[at..].starts_with(b"{");
            if !object || !parted || !opens_like(&self.text[at..], openings) {
                continue;
            }
            if self.tries == TRIES_MAX {
                break;
            }
            self.tries += 1;
            if let Ok((_, len)) = self.value(at) {
                let rest = &self.text[at + len..];
                let after = rest.iter().find(|b| !b.is_ascii_whitespace());
                if matches!(after, None | Some(b',' | b']' | b'{')) {
                    return at;
                }
            }
        }
        self.text.len()
    }
}

fn opens_like(text: &[u8], openings: &[String]) -> bool {
    let name = text[1..].trim_ascii_start().strip_prefix(b"\"");
    openings.is_empty()
        || openings.iter().any(|opening| {
            let rest = name.and_then(|name| name.strip_prefix(opening.as_bytes()));
            rest.is_some_and(|rest| rest.starts_with(b"\""))
        })
}
