//! A JSON text as a flat list of nodes: strings without an escape stay in the text, the others
//! share one buffer. A reader of many records uses one tape for all, and allocates for what it
//! keeps only.

use super::{Object, Value};

/// One value, or the name of a member. The names and values of an object follow it in turn, the
/// elements of an array follow it one by one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    /// A string as it stands in the text.
    Plain {
        start: u32,
        end: u32,
    },
    /// A string that is in the buffer, because the text has it with escapes.
    Decoded {
        start: u32,
        end: u32,
    },
    /// `end` is the place after the last node inside.
    Array {
        end: u32,
    },
    Object {
        end: u32,
    },
}

impl Node {
    pub(super) fn plain(start: usize, end: usize) -> Node {
        Node::Plain { start: small(start), end: small(end) }
    }

    pub(super) fn decoded(start: usize, end: usize) -> Node {
        Node::Decoded { start: small(start), end: small(end) }
    }
}

/// Texts have [`super::DOCUMENT_LEN_MAX`] bytes at most, and decoded ones three times that.
fn small(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The nodes of the text that was read last.
#[derive(Debug, Default)]
pub(super) struct Tape {
    nodes: Vec<Node>,
    pub(super) decoded: String,
}

impl Tape {
    /// With room for what a text of `len` bytes usually has, but not for more than a small one.
    pub(super) fn for_text(len: usize) -> Tape {
        const ROOM_MAX: usize = 256;
        Tape { nodes: Vec::with_capacity((len / 8).min(ROOM_MAX)), decoded: String::new() }
    }

    pub(super) fn clear(&mut self) {
        self.nodes.clear();
        self.decoded.clear();
    }

    pub(super) fn push(&mut self, node: Node) {
        self.nodes.push(node);
    }

    /// Makes place for the node of an array or an object whose end is not known yet.
    pub(super) fn open(&mut self) -> usize {
        self.nodes.push(Node::Null);
        self.nodes.len() - 1
    }

    pub(super) fn close(&mut self, opened: usize, node: fn(u32) -> Node) {
        self.nodes[opened] = node(small(self.nodes.len()));
    }

    fn node(&self, at: usize) -> Node {
        self.nodes.get(at).copied().unwrap_or(Node::Null)
    }

    /// The place after the value at `at`.
    fn after(&self, at: usize) -> usize {
        match self.node(at) {
            Node::Array { end } | Node::Object { end } => end as usize,
            _ => at + 1,
        }
    }
}

/// A value that was read and is not kept: the same questions as [`Value`] answers, without a copy.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    tape: &'a Tape,
    text: &'a str,
    at: usize,
}

/// A tape without a node; each place of it is null.
static BLANK: Tape = Tape { nodes: Vec::new(), decoded: String::new() };

impl<'a> View<'a> {
    /// A view of nothing: `null`.
    pub const NULL: View<'static> = View { tape: &BLANK, text: "", at: 0 };

    pub(super) fn root(tape: &'a Tape, text: &'a str) -> View<'a> {
        View { tape, text, at: 0 }
    }

    fn node(self) -> Node {
        self.tape.node(self.at)
    }

    /// The places of the values inside an array, or of names and values inside an object.
    fn inside(self) -> Inside<'a> {
        let end = match self.node() {
            Node::Array { end } | Node::Object { end } => end as usize,
            _ => 0,
        };
        Inside { outer: self, at: self.at + 1, end }
    }

    /// The members of an object in order; none for anything else.
    pub fn members(self) -> impl Iterator<Item = (&'a str, View<'a>)> {
        let mut inside = self.inside();
        if !self.is_object() {
            inside.end = 0;
        }
        std::iter::from_fn(move || {
            let name = inside.next()?.as_str().unwrap_or_default();
            Some((name, inside.next()?))
        })
    }

    /// The elements of an array; none for anything else.
    pub fn items(self) -> impl Iterator<Item = View<'a>> {
        let mut inside = self.inside();
        if !self.is_array() {
            inside.end = 0;
        }
        inside
    }

    /// The last member `name` of an object; None for anything else.
    pub fn get(self, name: &str) -> Option<View<'a>> {
        let Node::Object { end } = self.node() else { return None };
        let nodes = self.tape.nodes.get(..end as usize)?;
        let (mut at, mut found) = (self.at + 1, None);
        while let Some([key, value]) = nodes.get(at..at + 2) {
            if self.is_text(key, name.as_bytes()) {
                found = Some(View { at: at + 1, ..self });
            }
            at = match *value {
                Node::Array { end } | Node::Object { end } => end as usize,
                _ => at + 2,
            };
        }
        found
    }

    /// Whether a string is `text`. Most names of members differ in length or first byte, which
    /// costs no comparison.
    fn is_text(self, node: &Node, text: &[u8]) -> bool {
        let (from, start, end) = match *node {
            Node::Plain { start, end } => (self.text.as_bytes(), start as usize, end as usize),
            Node::Decoded { start, end } => {
                (self.tape.decoded.as_bytes(), start as usize, end as usize)
            }
            _ => return false,
        };
        end - start == text.len()
            && text.first().is_none_or(|first| from.get(start) == Some(first))
            && from.get(start..end) == Some(text)
    }

    /// The value reached by following member names.
    pub fn path(self, names: &[&str]) -> Option<View<'a>> {
        names.iter().try_fold(self, |value, name| value.get(name))
    }

    /// The string member `name`.
    pub fn str_at(self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_str()
    }

    /// The whole, non-negative number member `name`.
    pub fn u64_at(self, name: &str) -> Option<u64> {
        self.get(name)?.as_u64()
    }

    /// Whether the member `name` is `true`.
    pub fn is_true_at(self, name: &str) -> bool {
        self.get(name).and_then(View::as_bool) == Some(true)
    }

    /// The string this is.
    pub fn as_str(self) -> Option<&'a str> {
        match self.node() {
            Node::Plain { start, end } => self.text.get(start as usize..end as usize),
            Node::Decoded { start, end } => self.tape.decoded.get(start as usize..end as usize),
            _ => None,
        }
    }

    /// The truth value this is.
    pub fn as_bool(self) -> Option<bool> {
        match self.node() {
            Node::Bool(b) => Some(b),
            _ => None,
        }
    }

    /// The whole number this is, where it fits.
    pub fn as_i64(self) -> Option<i64> {
        match self.node() {
            Node::Int(n) => Some(n),
            _ => None,
        }
    }

    /// The whole, non-negative number this is.
    pub fn as_u64(self) -> Option<u64> {
        match self.node() {
            Node::Int(n) => u64::try_from(n).ok(),
            Node::Uint(n) => Some(n),
            _ => None,
        }
    }

    /// The number this is, to the nearest float.
    pub fn as_f64(self) -> Option<f64> {
        match self.node() {
            Node::Int(n) => Some(n as f64),
            Node::Uint(n) => Some(n as f64),
            Node::Float(n) => Some(n),
            _ => None,
        }
    }

    /// Whether this is `null`.
    pub fn is_null(self) -> bool {
        matches!(self.node(), Node::Null)
    }

    /// Whether this is an object.
    pub fn is_object(self) -> bool {
        matches!(self.node(), Node::Object { .. })
    }

    /// Whether this is an array.
    pub fn is_array(self) -> bool {
        matches!(self.node(), Node::Array { .. })
    }

    /// A copy to keep.
    pub fn to_value(self) -> Value {
        match self.node() {
            Node::Null => Value::Null,
            Node::Bool(b) => Value::Bool(b),
            Node::Int(n) => Value::Int(n),
            Node::Uint(n) => Value::Uint(n),
            Node::Float(n) => Value::Float(n),
            Node::Plain { .. } | Node::Decoded { .. } => {
                Value::String(self.as_str().unwrap_or_default().to_owned())
            }
            Node::Array { .. } => Value::Array(self.items().map(View::to_value).collect()),
            Node::Object { .. } => {
                let mut object = Object::new();
                self.members()
                    .for_each(|(name, value)| object.push(name.to_owned(), value.to_value()));
                Value::Object(object)
            }
        }
    }
}

/// The values inside another, one after the other.
struct Inside<'a> {
    outer: View<'a>,
    at: usize,
    end: usize,
}

impl<'a> Iterator for Inside<'a> {
    type Item = View<'a>;

    fn next(&mut self) -> Option<View<'a>> {
        if self.at >= self.end {
            return None;
        }
        let view = View { at: self.at, ..self.outer };
        self.at = view.tape.after(self.at);
        Some(view)
    }
}
