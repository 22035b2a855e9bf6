//! Rows ("Record Format") and the columns that a table's `CREATE TABLE` names.

use super::COLUMNS_MAX;

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// An integer.
    Int(i64),
    /// A floating point number.
    Float(f64),
    /// Text; bytes that are not UTF-8 have become U+FFFD.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// A variable-length integer, and how many bytes it took.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut n = 0u64;
    for (i, &b) in bytes.iter().take(9).enumerate() {
        if i == 8 {
            return Some((n << 8 | u64::from(b), 9));
        }
        n = n << 7 | u64::from(b & 0x7f);
        if b < 0x80 {
            return Some((n, i + 1));
        }
    }
    None
}

/// The values of a record; None where it contradicts itself.
pub(super) fn values(record: &[u8]) -> Option<Vec<Value>> {
    let (head_len, mut at) = varint(record)?;
    let head = record.get(..usize::try_from(head_len).ok()?)?;
    let mut body = head.len();
    let mut values = Vec::new();
    while at < head.len() {
        let (kind, n) = varint(&head[at..])?;
        at += n;
        let len = len_of(kind)?;
        let bytes = record.get(body..body.checked_add(len)?)?;
        body += len;
        values.push(value(kind, bytes));
        if values.len() > COLUMNS_MAX {
            return None;
        }
    }
    Some(values)
}

fn len_of(kind: u64) -> Option<usize> {
    match kind {
        0 | 8 | 9 => Some(0),
        1..=4 => Some(kind as usize),
        5 => Some(6),
        6 | 7 => Some(8),
        10 | 11 => None,
        _ => usize::try_from((kind - 12) / 2).ok(),
    }
}

fn value(kind: u64, bytes: &[u8]) -> Value {
    let int = || {
        let sign = bytes.first().map_or(0, |b| (*b as i8) >> 7);
        bytes.iter().fold(i64::from(sign), |n, b| n << 8 | i64::from(*b))
    };
    match kind {
        0 => Value::Null,
        7 => Value::Float(f64::from_bits(int() as u64)),
        8 => Value::Int(0),
        9 => Value::Int(1),
        1..=6 => Value::Int(int()),
        _ if kind.is_multiple_of(2) => Value::Blob(bytes.to_vec()),
        _ => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
    }
}

/// The names of the columns in a `CREATE TABLE`, and which of them is the row id.
pub(super) fn columns(sql: &str) -> (Vec<String>, Option<usize>) {
    let mut names = Vec::new();
    let mut rowid = None;
    let body = sql.split_once('(').map_or("", |(_, body)| body);
    for definition in definitions(body) {
        let (name, rest) = name_of(definition);
        let constraint = ["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"];
        if !definition.starts_with(['"', '`', '[', '\''])
            && constraint.contains(&name.to_ascii_uppercase().as_str())
        {
            continue;
        }
        let rest = rest.trim().to_ascii_uppercase();
        if rest.starts_with("INTEGER PRIMARY KEY") && !rest.contains("PRIMARY KEY DESC") {
            rowid = Some(names.len());
        }
        names.push(name);
    }
    (names, rowid)
}

/// The comma-separated parts of a parenthesis, whose own end ends the list.
fn definitions(body: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start, mut quote) = (0usize, 0, None);
    for (at, c) in body.char_indices() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (Some(_), _) => {}
            (None, '"' | '`' | '\'') => quote = Some(c),
            (None, '[') => quote = Some(']'),
            (None, '(') => depth += 1,
            (None, ')') if depth > 0 => depth -= 1,
            (None, ',' | ')') if depth == 0 => {
                parts.push(body[start..at].trim());
                start = at + 1;
                if c == ')' {
                    break;
                }
            }
            _ => {}
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn name_of(definition: &str) -> (String, &str) {
    let end = match definition.chars().next() {
        Some('[') => ']',
        Some(quote @ ('"' | '`' | '\'')) => quote,
        _ => {
            let ends = |c: char| c.is_whitespace() || c == '(';
            let end = definition.find(ends).unwrap_or(definition.len());
            return (definition[..end].to_owned(), &definition[end..]);
        }
    };
    let inside = &definition[1..];
    let close = inside.find(end).unwrap_or(inside.len());
    (inside[..close].to_owned(), inside.get(close + 1..).unwrap_or_default())
}
