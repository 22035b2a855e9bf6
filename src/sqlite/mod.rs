//! SQLite databases, read from bytes: tables of rows, and the write-ahead log on top of them.
//!
//! Enough of the format (<https://sqlite.org/fileformat2.html>) to read what an agent keeps in a
//! database while it runs: ordinary tables in UTF-8. No SQL, no indexes, no writing, no locks: the
//! log's checksums tell what was committed when the bytes were copied.
//!
//! ```text
//! file     0..16 "SQLite format 3\0"   16..18 page size   20 reserved bytes a page   56..60 encoding
//! page     0 kind (5 inner, 13 leaf)   3..5 cells   8..12 last child (inner)   then cell pointers
//! log      0..4 magic   8..12 page size   16..24 salts   24..32 checksum   then frames:
//! frame    0..4 page   4..8 pages in the file after a commit, else 0   8..16 salts   16..24 checksum
//! ```

mod row;
#[cfg(test)]
mod tests;
mod wal;

pub use row::Value;

use row::{columns, varint};
use std::collections::HashSet;
use std::fmt;

/// How deep a table's tree may be; a real one of 2^64 rows is not half as deep.
pub const DEPTH_MAX: usize = 32;
/// The longest row that is read, in bytes.
pub const ROW_LEN_MAX: usize = 64 << 20;
/// The most columns a row may have (SQLite's own limit).
pub const COLUMNS_MAX: usize = 32_767;

/// Why a database, a page or a row cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not an SQLite database.
    Magic,
    /// A part of the format that is not read here: UTF-16, tables without row ids.
    Unsupported,
    /// A page that is not in the file.
    Missing(u32),
    /// A page or a row that contradicts itself.
    Corrupt(u32),
    /// A row longer than [`ROW_LEN_MAX`].
    Long(u32),
    /// No table of that name.
    NoTable,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Magic => f.write_str("not an SQLite database"),
            Error::Unsupported => f.write_str("a form of SQLite database that is not read"),
            Error::Missing(page) => write!(f, "page {page} is missing"),
            Error::Corrupt(page) => write!(f, "page {page} is corrupt"),
            Error::Long(page) => write!(f, "a row on page {page} is too long"),
            Error::NoTable => f.write_str("no such table"),
        }
    }
}

impl std::error::Error for Error {}

/// Where a row begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// In the log, not in the file.
    pub in_wal: bool,
    /// The row's first byte there.
    pub offset: u64,
    /// Its bytes on that page; a long row goes on on others.
    pub len: u64,
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its row id.
    pub rowid: i64,
    /// Where it stands.
    pub place: Place,
    values: Vec<Value>,
}

/// A table: its columns, and the page its tree begins on.
#[derive(Clone, Debug)]
pub struct Table {
    /// The names of its columns in order.
    pub columns: Vec<String>,
    rowid_alias: Option<usize>,
    root: u32,
}

impl Table {
    /// A row's value in the column `name`; null where a row is older than the column.
    pub fn value<'r>(&self, row: &'r Row, name: &str) -> &'r Value {
        let at = self.columns.iter().position(|c| c == name);
        at.and_then(|at| row.values.get(at)).unwrap_or(&Value::Null)
    }

    /// A row's text in the column `name`.
    pub fn text<'r>(&self, row: &'r Row, name: &str) -> Option<&'r str> {
        match self.value(row, name) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A database in memory.
#[derive(Debug)]
pub struct Database<'a> {
    file: &'a [u8],
    wal: wal::Wal<'a>,
    page_size: usize,
    /// A page's bytes without those reserved at its end.
    usable: usize,
}

impl<'a> Database<'a> {
    /// The database in `file`, with what is committed in its write-ahead log.
    pub fn open(file: &'a [u8], wal: Option<&'a [u8]>) -> Result<Database<'a>, Error> {
        if file.len() < 100 || !file.starts_with(b"SQLite format 3\0") {
            return Err(Error::Magic);
        }
        let page_size = match u16::from_be_bytes([file[16], file[17]]) {
            1 => 65_536,
            n => usize::from(n),
        };
        let usable = page_size.saturating_sub(usize::from(file[20]));
        if !page_size.is_power_of_two() || page_size < 512 || usable < 480 {
            return Err(Error::Magic);
        }
        let wal = wal::Wal::read(wal.unwrap_or_default(), page_size);
        let database = Database { file, wal, page_size, usable };
        // The encoding is unset while the database is empty.
        match database.page(1)?.0.get(56..60) {
            Some([0, 0, 0, 0 | 1]) => Ok(database),
            _ => Err(Error::Unsupported),
        }
    }

    /// The table called `name`.
    pub fn table(&self, name: &str) -> Result<Table, Error> {
        let mut found = Err(Error::NoTable);
        let schema = Table { columns: Vec::new(), rowid_alias: None, root: 1 };
        self.rows(&schema, &mut |row| {
            let [Value::Text(kind), Value::Text(title), _, Value::Int(root), Value::Text(sql)] =
                &row.values[..]
            else {
                return;
            };
            if kind == "table" && title == name {
                let without = sql.trim_end().to_ascii_uppercase().ends_with("WITHOUT ROWID");
                let root = u32::try_from(*root).ok().filter(|_| !without);
                let (columns, rowid_alias) = columns(sql);
                let table = root.map(|root| Table { columns, rowid_alias, root });
                found = table.ok_or(Error::Unsupported);
            }
        });
        found
    }

    /// Hands every row of `table` to `sink`, in the order of row ids, and returns what could not be
    /// read; the rest is read all the same.
    pub fn rows(&self, table: &Table, sink: &mut dyn FnMut(Row)) -> Vec<Error> {
        let mut errors = Vec::new();
        let mut seen = HashSet::new();
        self.walk(table, table.root, 0, &mut seen, &mut errors, sink);
        errors
    }

    fn walk(
        &self,
        table: &Table,
        number: u32,
        depth: usize,
        seen: &mut HashSet<u32>,
        errors: &mut Vec<Error>,
        sink: &mut dyn FnMut(Row),
    ) {
        // A page that is reached twice would make the walk endless.
        if depth > DEPTH_MAX || !seen.insert(number) {
            return errors.push(Error::Corrupt(number));
        }
        let (page, place) = match self.page(number) {
            Ok(page) => page,
            Err(e) => return errors.push(e),
        };
        let head = if number == 1 { 100 } else { 0 };
        let (kind, cells) = (page[head], usize::from(be16(page, head + 3)));
        let inner = match kind {
            5 => true,
            13 => false,
            _ => return errors.push(Error::Corrupt(number)),
        };
        let pointers = head + if inner { 12 } else { 8 };
        for cell in 0..cells {
            let at = pointers + 2 * cell;
            if at + 2 > page.len() {
                return errors.push(Error::Corrupt(number));
            }
            let at = usize::from(be16(page, at));
            if inner {
                match page.get(at..at + 4) {
                    Some(child) => {
                        let child = u32::from_be_bytes([child[0], child[1], child[2], child[3]]);
                        self.walk(table, child, depth + 1, seen, errors, sink);
                    }
                    None => errors.push(Error::Corrupt(number)),
                }
            } else {
                match self.row(table, number, page, place, at) {
                    Ok(row) => sink(row),
                    Err(e) => errors.push(e),
                }
            }
        }
        if inner {
            self.walk(table, be32(page, head + 8), depth + 1, seen, errors, sink);
        }
    }

    fn row(
        &self,
        table: &Table,
        number: u32,
        page: &[u8],
        place: Place,
        at: usize,
    ) -> Result<Row, Error> {
        let corrupt = Error::Corrupt(number);
        let (len, n) = varint(page.get(at..).unwrap_or_default()).ok_or(corrupt)?;
        let (rowid, m) = varint(&page[at + n..]).ok_or(corrupt)?;
        let len = usize::try_from(len).map_err(|_| Error::Long(number))?;
        if len > ROW_LEN_MAX {
            return Err(Error::Long(number));
        }
        // A chain of pages that runs in a circle would make a long row of a short file.
        if len > self.file.len() + self.wal.bytes().len() {
            return Err(corrupt);
        }
        let start = at + n + m;
        let here = self.local_len(len);
        let local = page.get(start..start + here).ok_or(corrupt)?;
        let place = Place { offset: place.offset + start as u64, len: here as u64, ..place };
        let mut payload = Vec::new();
        let bytes = if here == len {
            local
        } else {
            let next = page.get(start + here..start + here + 4).ok_or(corrupt)?;
            payload.extend_from_slice(local);
            self.overflow(be32(next, 0), len, &mut payload)?;
            &payload
        };
        let mut values = row::values(bytes).ok_or(corrupt)?;
        // The row id itself is stored as null.
        if let Some(value) = table.rowid_alias.and_then(|i| values.get_mut(i)) {
            *value = Value::Int(rowid as i64);
        }
        Ok(Row { rowid: rowid as i64, place, values })
    }

    /// How much of a row of `len` bytes stands on its own page ("B-tree Cell Format").
    fn local_len(&self, len: usize) -> usize {
        let most = self.usable - 35;
        if len <= most {
            return len;
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        let fit = least + (len - least) % (self.usable - 4);
        if fit <= most { fit } else { least }
    }

    fn overflow(&self, mut next: u32, len: usize, payload: &mut Vec<u8>) -> Result<(), Error> {
        while payload.len() < len {
            let (page, _) = self.page(next)?;
            let part = (len - payload.len()).min(self.usable - 4);
            payload.extend_from_slice(&page[4..4 + part]);
            next = be32(page, 0);
        }
        Ok(())
    }

    /// A page as it was last committed, and where it begins.
    fn page(&self, number: u32) -> Result<(&'a [u8], Place), Error> {
        if let Some(offset) = self.wal.page(number) {
            let place = Place { in_wal: true, offset: offset as u64, len: 0 };
            return Ok((&self.wal.bytes()[offset..offset + self.page_size], place));
        }
        let missing = Error::Missing(number);
        let start = (number as usize).checked_sub(1).and_then(|n| n.checked_mul(self.page_size));
        let start = start.ok_or(missing)?;
        let page = self.file.get(start..start + self.page_size).ok_or(missing)?;
        Ok((page, Place { in_wal: false, offset: start as u64, len: 0 }))
    }
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
