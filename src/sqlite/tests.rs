//! Databases written by SQLite itself, read back against what it answered when asked.

use super::*;
use crate::json;
use std::fs;

/// 512-byte pages, several levels, long rows, a column that was added later, rows that only the log
/// has changed, and a transaction in the log that was never committed.
fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/sqlite/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn show(value: &Value) -> json::Value {
    match value {
        Value::Null => json::Value::Null,
        Value::Int(n) => (*n).into(),
        Value::Float(n) => (*n).into(),
        Value::Text(text) => text.as_str().into(),
        Value::Blob(bytes) => bytes.iter().map(|b| format!("{b:02x}")).collect::<String>().into(),
    }
}

fn dump(database: &Database<'_>, name: &str) -> (Vec<String>, Vec<json::Value>, Vec<Error>) {
    let table = database.table(name).expect(name);
    let mut rows = Vec::new();
    let errors = database.rows(&table, &mut |row| {
        let values: Vec<json::Value> =
            table.columns.iter().map(|column| show(table.value(&row, column))).collect();
        rows.push(json::Value::Array(values));
    });
    (table.columns, rows, errors)
}

#[test]
fn tables_read_as_sqlite_reads_them() {
    let (file, wal) = (fixture("rows.db"), fixture("rows.db-wal"));
    let expected = json::parse(&fixture("rows.json")).expect("rows.json");
    let database = Database::open(&file, Some(&wal)).expect("a database");
    for name in ["odd name", "part"] {
        let (columns, rows, errors) = dump(&database, name);
        let table = expected.get(name).expect(name);
        assert_eq!(json::Value::from(columns), *table.get("columns").expect("columns"), "{name}");
        assert_eq!(errors, [], "{name}");
        let theirs = table.get("rows").expect("rows").items();
        assert_eq!(rows.len(), theirs.len(), "{name}");
        for (ours, theirs) in rows.iter().zip(theirs) {
            assert_eq!(ours, theirs, "{name}");
        }
    }
    assert_eq!(database.table("no such").err(), Some(Error::NoTable));
}

#[test]
fn without_the_log_the_file_stands_as_it_was_checkpointed() {
    let file = fixture("rows.db");
    let database = Database::open(&file, None).expect("a database");
    let (_, rows, errors) = dump(&database, "part");
    assert_eq!((rows.len(), errors), (40, vec![]));
    assert_eq!(rows[39].items()[0].as_str(), Some("p39"));
}

#[test]
fn a_row_says_where_it_stands() {
    let (file, wal) = (fixture("rows.db"), fixture("rows.db-wal"));
    let database = Database::open(&file, Some(&wal)).expect("a database");
    let table = database.table("part").expect("part");
    let mut seen = [0, 0];
    database.rows(&table, &mut |row| {
        let Place { in_wal, offset, len } = row.place;
        let bytes = if in_wal { &wal } else { &file };
        let span = &bytes[offset as usize..(offset + len) as usize];
        let id = table.text(&row, "id").expect("an id");
        assert!(span.windows(id.len()).any(|w| w == id.as_bytes()), "{id}");
        seen[usize::from(in_wal)] += 1;
    });
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

#[test]
fn broken_bytes_neither_panic_nor_hang() {
    let (file, wal) = (fixture("rows.db"), fixture("rows.db-wal"));
    for cut in (0..file.len()).step_by(4099) {
        if let Ok(database) = Database::open(&file[..cut], Some(&wal[..cut.min(wal.len())])) {
            for name in ["odd name", "part"] {
                if let Ok(table) = database.table(name) {
                    database.rows(&table, &mut |_| {});
                }
            }
        }
    }
    let mut state = 88_172_645_463_325_252u64;
    for _ in 0..200 {
        let mut broken = file.clone();
        for _ in 0..20 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let at = state as usize % broken.len();
            broken[at] = (state >> 32) as u8;
        }
        // Headers of pages decide the most.
        let at = (state as usize % (broken.len() / 512)) * 512;
        broken[at..at + 8].fill((state >> 40) as u8);
        let Ok(database) = Database::open(&broken, None) else { continue };
        if let Ok(table) = database.table("part") {
            database.rows(&table, &mut |_| {});
        }
    }
}

#[test]
fn a_log_ends_where_its_checksums_end() {
    let (file, wal) = (fixture("rows.db"), fixture("rows.db-wal"));
    let rows = |wal: &[u8]| dump(&Database::open(&file, Some(wal)).expect("a database"), "part").1;
    let whole = rows(&wal);
    assert_ne!(whole, rows(&[]));
    // A flipped bit in the first frame takes all that follows with it.
    let mut broken = wal.clone();
    broken[32 + 24 + 100] ^= 1;
    assert_eq!(rows(&broken), rows(&[]));
    // What was written after the last commit is not there.
    let frame = 24 + 512;
    let last = (0..(wal.len() - 32) / frame).filter(|i| be32(&wal, 32 + i * frame + 4) != 0).max();
    let end = 32 + (last.expect("a commit") + 1) * frame;
    assert!(end < wal.len());
    assert_eq!(rows(&wal[..end]), whole);
}

#[test]
fn columns_are_taken_from_the_words_that_made_the_table() {
    let check = |sql: &str, expected: &[&str], alias| {
        assert_eq!(
            row::columns(sql),
            (expected.iter().map(|s| (*s).to_owned()).collect(), alias),
            "{sql}"
        );
    };
    check("CREATE TABLE t(a, b TEXT, c)", &["a", "b", "c"], None);
    check(
        "create table t (`id` integer primary key, [a,b] text default 'x,(y', n decimal(1,2), unique(n))",
        &["id", "a,b", "n"],
        Some(0),
    );
    check(
        "CREATE TABLE t(\"primary\" int, CONSTRAINT pk PRIMARY KEY(\"primary\")) STRICT",
        &["primary"],
        None,
    );
    check("CREATE TABLE t", &[], None);
    check("CREATE TABLE t(\"a", &[], None);
}

#[test]
fn a_tree_may_be_so_deep_and_no_deeper() {
    let (file, wal) = (fixture("rows.db"), fixture("rows.db-wal"));
    let database = Database::open(&file, Some(&wal)).expect("a database");
    let table = database.table("part").expect("part");
    let errors_from = |depth| {
        let (mut seen, mut errors) = (HashSet::new(), Vec::new());
        // A leaf, read as if it lay this deep.
        let leaf = (2..300).find(|n| database.page(*n).is_ok_and(|(page, _)| page[0] == 13));
        database.walk(&table, leaf.expect("a leaf"), depth, &mut seen, &mut errors, &mut |_| {});
        errors.iter().filter(|e| matches!(e, Error::Corrupt(_))).count()
    };
    assert_eq!((errors_from(DEPTH_MAX), errors_from(DEPTH_MAX + 1)), (0, 1));
}
