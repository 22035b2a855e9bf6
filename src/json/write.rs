//! The writer: values to text, and objects to text without a [`Value`] in between.

use super::{Object, Value};
use std::fmt::{self, Write};

impl Value {
    /// Appends the value as text without white space. Floats that no JSON can hold become `null`.
    pub fn write(&self, out: &mut String) {
        match self {
            Value::Null => out.push_str("null"),
            Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Value::Int(n) => display(out, n),
            Value::Uint(n) => display(out, n),
            Value::Float(n) => write_float(*n, out),
            Value::String(s) => write_string(s, out),
            Value::Array(items) => write_array(out, |a| {
                for item in items {
                    a.value(item);
                }
            }),
            Value::Object(object) => object.write(out),
        }
    }

    /// The value as indented text, two spaces a level, without a final line feed.
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        write_pretty(self, 0, &mut out);
        out
    }
}

impl Object {
    /// Appends the object as text without white space.
    pub fn write(&self, out: &mut String) {
        write_object(out, |o| {
            for (name, value) in self.iter() {
                o.value(name, value);
            }
        });
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write(&mut out);
        f.write_str(&out)
    }
}

/// Appends `text` as a JSON string. Control characters are escaped; DEL and everything above
/// stands as it is.
pub fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut done = 0;
    for (at, b) in text.bytes().enumerate() {
        let escape = match b {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[done..at]);
        if escape.is_empty() {
            let _ = write!(out, "\\u{b:04x}");
        } else {
            out.push_str(escape);
        }
        done = at + 1;
    }
    out.push_str(&text[done..]);
    out.push('"');
}

fn write_float(n: f64, out: &mut String) {
    match n.is_finite() {
        // Debug keeps the point or the exponent that makes the text read back as a float.
        true => display(out, format_args!("{n:?}")),
        false => out.push_str("null"),
    }
}

fn display(out: &mut String, n: impl fmt::Display) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{n}");
}

fn write_pretty(value: &Value, depth: usize, out: &mut String) {
    let indent = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    match value {
        Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                indent(out, depth + 1);
                write_pretty(item, depth + 1, out);
            }
            indent(out, depth);
            out.push(']');
        }
        Value::Object(object) if !object.is_empty() => {
            out.push('{');
            for (i, (name, item)) in object.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                indent(out, depth + 1);
                write_string(name, out);
                out.push_str(": ");
                write_pretty(item, depth + 1, out);
            }
            indent(out, depth);
            out.push('}');
        }
        _ => value.write(out),
    }
}

/// Appends an object whose members `body` writes, straight into `out`.
pub fn write_object(out: &mut String, body: impl FnOnce(&mut ObjectWriter<'_>)) {
    out.push('{');
    body(&mut ObjectWriter { out, first: true });
    out.push('}');
}

/// Appends an array whose elements `body` writes, straight into `out`.
pub fn write_array(out: &mut String, body: impl FnOnce(&mut ArrayWriter<'_>)) {
    out.push('[');
    body(&mut ArrayWriter { out, first: true });
    out.push(']');
}

/// Writes the members of one object; the caller keeps the names apart.
#[derive(Debug)]
pub struct ObjectWriter<'a> {
    out: &'a mut String,
    first: bool,
}

impl ObjectWriter<'_> {
    fn name(&mut self, name: &str) -> &mut String {
        if !std::mem::take(&mut self.first) {
            self.out.push(',');
        }
        write_string(name, self.out);
        self.out.push(':');
        self.out
    }

    /// A string member.
    pub fn string(&mut self, name: &str, value: &str) {
        write_string(value, self.name(name));
    }

    /// A string member, where there is a value.
    pub fn string_opt(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.string(name, value);
        }
    }

    /// A whole number member.
    pub fn int(&mut self, name: &str, value: impl Into<i128>) {
        display(self.name(name), value.into());
    }

    /// A whole number member, where there is a value.
    pub fn int_opt(&mut self, name: &str, value: Option<impl Into<i128>>) {
        if let Some(value) = value {
            self.int(name, value);
        }
    }

    /// A number member; `null` for what JSON cannot hold.
    pub fn float(&mut self, name: &str, value: f64) {
        write_float(value, self.name(name));
    }

    /// A truth value member.
    pub fn bool(&mut self, name: &str, value: bool) {
        self.name(name).push_str(if value { "true" } else { "false" });
    }

    /// A `null` member.
    pub fn null(&mut self, name: &str) {
        self.name(name).push_str("null");
    }

    /// A member of any value.
    pub fn value(&mut self, name: &str, value: &Value) {
        value.write(self.name(name));
    }

    /// A member that is an object.
    pub fn object(&mut self, name: &str, body: impl FnOnce(&mut ObjectWriter<'_>)) {
        write_object(self.name(name), body);
    }

    /// A member that is an array.
    pub fn array(&mut self, name: &str, body: impl FnOnce(&mut ArrayWriter<'_>)) {
        write_array(self.name(name), body);
    }
}

/// Writes the elements of one array.
#[derive(Debug)]
pub struct ArrayWriter<'a> {
    out: &'a mut String,
    first: bool,
}

impl ArrayWriter<'_> {
    fn comma(&mut self) -> &mut String {
        if !std::mem::take(&mut self.first) {
            self.out.push(',');
        }
        self.out
    }

    /// A string element.
    pub fn string(&mut self, value: &str) {
        write_string(value, self.comma());
    }

    /// A whole number element.
    pub fn int(&mut self, value: impl Into<i128>) {
        display(self.comma(), value.into());
    }

    /// A number element; `null` for what JSON cannot hold.
    pub fn float(&mut self, value: f64) {
        write_float(value, self.comma());
    }

    /// An element of any value.
    pub fn value(&mut self, value: &Value) {
        value.write(self.comma());
    }

    /// An element that is an object.
    pub fn object(&mut self, body: impl FnOnce(&mut ObjectWriter<'_>)) {
        write_object(self.comma(), body);
    }

    /// An element that is an array.
    pub fn array(&mut self, body: impl FnOnce(&mut ArrayWriter<'_>)) {
        write_array(self.comma(), body);
    }
}
