//! The sessions of an opencode database one by one, each as the document that `opencode export`
//! writes: a database holds all sessions of a machine, and most of it is not of the one wanted.

use super::opencode::session_of;
use crate::json::{Object, Value, parse_lossy, write_object};
use crate::sqlite::{Database, Error, Row, Table};
use std::collections::BTreeMap;

/// A session of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its id.
    pub session: String,
    /// The session that started it.
    pub parent: Option<String>,
    /// `{"info": …, "messages": [{"info": …, "parts": […]}]}`.
    pub text: String,
}

/// Messages or parts: of each owner the ids, which sort by time, and what they are.
type Rows = BTreeMap<String, BTreeMap<String, Object>>;

/// All sessions in a database and the write-ahead log on top of it, the oldest first.
///
/// # Errors
/// The bytes are no database, or one that cannot be read. What is damaged within it is left out.
pub fn documents(bytes: &[u8], wal: Option<&[u8]>) -> Result<Vec<Document>, Error> {
    let database = Database::open(bytes, wal)?;
    let mut sessions: BTreeMap<String, Value> = BTreeMap::new();
    let table = database.table("session")?;
    database.rows(&table, &mut |row| sessions.extend(session_of(&table, &row)));
    let mut messages = owned(&database, "message", "session_id", &[("session_id", "sessionID")]);
    let names = [("session_id", "sessionID"), ("message_id", "messageID")];
    let mut parts = owned(&database, "part", "message_id", &names);
    let document = |(session, value): (String, Value)| {
        let parent = value.str_at("parentID").map(str::to_owned);
        let mut text = String::new();
        write_object(&mut text, |o| {
            let mut info = Object::from_iter([("id", session.as_str())]);
            for (name, value) in value.as_object().into_iter().flat_map(Object::iter) {
                info.insert(name, value.clone());
            }
            o.value("info", &info.into());
            o.array("messages", |a| {
                for (id, message) in messages.remove(&session).unwrap_or_default() {
                    let parts = parts.remove(&id).unwrap_or_default().into_values();
                    let parts: Vec<Value> = parts.map(Value::from).collect();
                    let whole = [("info", Value::from(message)), ("parts", Value::from(parts))];
                    a.value(&Object::from_iter(whole).into());
                }
            });
        });
        Document { session, parent, text }
    };
    Ok(sessions.into_iter().map(document).collect())
}

/// The rows of a table by the column `owner`: their `data` with the id and these columns.
fn owned(database: &Database<'_>, name: &str, owner: &str, names: &[(&str, &str)]) -> Rows {
    let mut rows = Rows::new();
    let Ok(table) = database.table(name) else { return rows };
    database.rows(&table, &mut |row| {
        let text = |column: &str| table.text(&row, column).map(str::to_owned);
        if let (Some(owner), Some(id), Some(object)) =
            (text(owner), text("id"), whole(&table, &row, names))
        {
            rows.entry(owner).or_default().insert(id, object);
        }
    });
    rows
}

fn whole(table: &Table, row: &Row, names: &[(&str, &str)]) -> Option<Object> {
    let data = parse_lossy(table.text(row, "data")?.as_bytes()).ok()?;
    let mut object = Object::from_iter([("id", table.text(row, "id")?)]);
    for (column, name) in names {
        if let Some(text) = table.text(row, column) {
            object.insert(*name, text);
        }
    }
    for (name, value) in data.as_object()?.iter() {
        object.insert(name, value.clone());
    }
    Some(object)
}
