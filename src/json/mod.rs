//! JSON values, their reader and their writer (RFC 8259). Every depth, length and count is limited.
//!
//! [`parse`] is strict; [`Records`] and [`Feed`] read JSON lines as crashed programs leave them:
//! NUL blocks, two records glued on one line, half lines, broken UTF-8.

mod document;
mod lines;
mod read;
mod tape;
mod write;
#[cfg(test)]
mod tests;

pub use document::{Document, document, visit_document};
pub use lines::{
    Feed, LINE_LEN_MAX, Pieces, Record, Records, records, visit, visit_places, visit_until,
};
pub use read::{
    DEPTH_MAX, DOCUMENT_LEN_MAX, Error, ErrorKind, VALUES_MAX, look, parse, parse_lossy,
    parse_prefix,
};
pub use tape::View;
pub use write::{ArrayWriter, ObjectWriter, write_array, write_object, write_string};

/// One JSON value. Whole numbers stay whole: what fits `i64` is [`Value::Int`], what fits only
/// `u64` is [`Value::Uint`], everything else is [`Value::Float`].
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that fits `i64`.
    Int(i64),
    /// A whole number above `i64::MAX`.
    Uint(u64),
    /// Any other number; never NaN, never infinite when it was read.
    Float(f64),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object.
    Object(Object),
}

/// The members of an object in the order they were written. A name that stands twice keeps both
/// members, so that nothing read is lost; [`Object::get`] answers with the last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(Vec<(String, Value)>);

impl Object {
    /// An object without members.
    pub fn new() -> Object {
        Object::default()
    }

    /// The last member called `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// Gives `name` a value: in its old place where it has one, else at the end.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().rev().find(|(n, _)| *n == name) {
            Some(member) => member.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// Adds a member at the end without looking for its name.
    pub(crate) fn push(&mut self, name: String, value: Value) {
        self.0.push((name, value));
    }

    /// Removes every member called `name` and returns the last.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let mut last = None;
        self.0.retain_mut(|(n, v)| {
            let hit = n == name;
            if hit {
                last = Some(std::mem::take(v));
            }
            !hit
        });
        last
    }

    /// The members in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v))
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>, V: Into<Value>> FromIterator<(N, V)> for Object {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(members: I) -> Object {
        Object(members.into_iter().map(|(n, v)| (n.into(), v.into())).collect())
    }
}

impl Value {
    /// The member `name` of an object; None for anything else.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_object()?.get(name)
    }

    /// The value reached by following member names.
    pub fn path(&self, names: &[&str]) -> Option<&Value> {
        names.iter().try_fold(self, |value, name| value.get(name))
    }

    /// The string member `name`.
    pub fn str_at(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// The whole, non-negative number member `name`.
    pub fn u64_at(&self, name: &str) -> Option<u64> {
        self.get(name)?.as_u64()
    }

    /// The string this is.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(s) => Some(s),
            _ => None,
        }
    }

    /// The truth value this is.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The whole number this is, where it fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// The whole, non-negative number this is.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::Int(n) => u64::try_from(*n).ok(),
            Value::Uint(n) => Some(*n),
            _ => None,
        }
    }

    /// The number this is, to the nearest float.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(n) => Some(*n as f64),
            Value::Uint(n) => Some(*n as f64),
            Value::Float(n) => Some(*n),
            _ => None,
        }
    }

    /// The elements of the array this is.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The object this is.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The elements of an array, and nothing for any other value.
    pub fn items(&self) -> &[Value] {
        self.as_array().unwrap_or_default()
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Value {
        Value::Bool(b)
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Value {
        Value::Int(n)
    }
}

impl From<u64> for Value {
    fn from(n: u64) -> Value {
        i64::try_from(n).map_or(Value::Uint(n), Value::Int)
    }
}

impl From<f64> for Value {
    fn from(n: f64) -> Value {
        Value::Float(n)
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Value {
        Value::String(s.to_owned())
    }
}

impl From<String> for Value {
    fn from(s: String) -> Value {
        Value::String(s)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Value {
        Value::Object(object)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Value {
        Value::Array(items.into_iter().map(Into::into).collect())
    }
}
