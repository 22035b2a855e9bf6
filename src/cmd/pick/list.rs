//! The list of sessions: narrowed by what is typed, moved through by keys, drawn in any size.

use super::preview::Preview;
use crate::cmd::play::bar;
use crate::cmd::stage::Key;
use crate::format::line;
use crate::library::Session;
use crate::session::Status;
use crate::term::Size;

/// Sessions that are listed, the newest; the others are found by `il list` and its filters.
pub(super) const SESSIONS_MAX: usize = 100_000;
/// Sessions that are loaded between two looks at the keys.
const LOAD_COUNT: usize = 500;
/// Bytes of what is known of a session in which words are looked for.
const HAY_LEN_MAX: usize = 1024;
/// Bytes that can be typed.
pub(super) const QUERY_LEN_MAX: usize = 256;
/// Columns from which on a session is shown beside the list.
const BESIDE_COLUMNS_MIN: usize = 100;
/// Columns of a list that leave room for all of its cells, and for the time.
const LIST_COLUMNS_FULL: usize = 70;
const LIST_COLUMNS_DATED: usize = 32;

/// A session in the list, fit for a terminal.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) started: String,
    pub(super) status: Status,
    pub(super) agent: String,
    pub(super) project: String,
    pub(super) prompt: String,
    /// What is looked through, and the same in small letters.
    pub(super) hay: String,
    pub(super) lower: String,
}

impl Row {
    pub(super) fn of(session: &Session) -> Row {
        let meta = &session.meta;
        let command = line::words(&meta.argv);
        let imported = meta.imported.as_ref().and_then(|imported| imported.prompt.as_deref());
        let prompt = imported.or_else(|| meta.derived.as_ref()?.prompt.as_deref());
        let prompt = prompt.map_or_else(|| command.clone(), line::clean);
        let prompt = match &meta.name {
            Some(name) => format!("{}: {prompt}", line::clean(name)),
            None => prompt,
        };
        let mut row = Row {
            id: session.id.to_string(),
            started: meta.started.local().chars().take(16).collect(),
            status: session.status,
            agent: line::clean(session.agent().unwrap_or("-")),
            project: line::clean(session.project().as_deref().unwrap_or("-")),
            prompt: line::cut(&prompt, HAY_LEN_MAX / 2),
            hay: String::new(),
            lower: String::new(),
        };
        let mut hay = vec![row.id.clone(), row.started.clone(), row.status.name().to_owned()];
        hay.extend([row.agent.clone(), row.project.clone(), row.prompt.clone()]);
        hay.extend(meta.tags.iter().cloned());
        if let Some(intent) = &meta.intent {
            hay.extend([Some(intent.id.clone()), intent.title.clone()].into_iter().flatten());
        }
        hay.extend(meta.repository.as_ref().and_then(|repository| repository.branch.clone()));
        hay.push(command);
        let mut hay = hay.join("\n");
        hay.truncate(whole_characters(&hay, HAY_LEN_MAX));
        row.lower = hay.to_lowercase();
        row.hay = hay;
        row
    }

    /// Whether every word is in it. A word without capitals is found in any case.
    fn has(&self, query: &str) -> bool {
        query.split_whitespace().all(|word| match word.chars().any(char::is_uppercase) {
            true => self.hay.contains(word),
            false => self.lower.contains(word),
        })
    }

    /// The row as it stands in a list of so many columns.
    fn cells(&self, cols: usize, colours: Option<&str>) -> String {
        let mut text = String::new();
        let mut used = 0;
        let mut put = |cell: &str, width: usize, colour: Option<&str>| {
            let cell = fit(cell, width);
            match colour {
                Some(colour) => text.push_str(&format!("{colour}{cell}\x1b[m  ")),
                None => text.push_str(&format!("{cell}  ")),
            }
            used += width + 2;
        };
        if cols >= LIST_COLUMNS_FULL {
            put(&self.started, 16, None);
            put(self.status.name(), 11, colours);
            put(&self.agent, 8, None);
            put(&self.project, 10, None);
        } else if cols >= LIST_COLUMNS_DATED {
            // Without the year.
            put(self.started.get(5..).unwrap_or(""), 11, colours);
        }
        text.push_str(&fit(&self.prompt, cols.saturating_sub(used)));
        text
    }
}

/// What a key leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Stay,
    Leave,
    Take(String),
}

/// The sessions, those of them that what was typed means, and where one stands among those.
#[derive(Debug, Default)]
pub(super) struct List {
    pub(super) rows: Vec<Row>,
    pub(super) query: String,
    /// Their places in `rows`.
    pub(super) matched: Vec<usize>,
    pub(super) at: usize,
    /// The first that can be seen.
    pub(super) top: usize,
    pub(super) is_loading: bool,
    /// There are more sessions than are listed.
    pub(super) is_cut: bool,
}

impl List {
    /// Takes some of those that are still to come.
    pub(super) fn load(&mut self, source: &mut dyn Iterator<Item = Row>) {
        if !self.is_loading {
            return;
        }
        for _ in 0..LOAD_COUNT {
            let row = source.next();
            self.is_cut = row.is_some() && self.rows.len() >= SESSIONS_MAX;
            let Some(row) = row.filter(|_| !self.is_cut) else {
                self.is_loading = false;
                return;
            };
            self.add(row);
        }
    }

    pub(super) fn add(&mut self, row: Row) {
        if row.has(&self.query) {
            self.matched.push(self.rows.len());
        }
        self.rows.push(row);
    }

    pub(super) fn chosen(&self) -> Option<&Row> {
        self.matched.get(self.at).map(|at| &self.rows[*at])
    }

    /// Does what a key asks for; `page` is how many rows can be seen.
    pub(super) fn key(&mut self, key: Key, page: usize) -> Wish {
        let page = page.saturating_sub(1).max(1);
        match key {
            Key::Escape | Key::Char('\x03') => return Wish::Leave,
            Key::Char('\r' | '\n') => {
                return self.chosen().map_or(Wish::Stay, |row| Wish::Take(row.id.clone()));
            }
            Key::Up | Key::Char('\x10') => self.at = self.at.saturating_sub(1),
            Key::Down | Key::Char('\x0e') => self.at += 1,
            Key::PageUp => self.at = self.at.saturating_sub(page),
            Key::PageDown => self.at += page,
            Key::Home => self.at = 0,
            Key::End => self.at = self.matched.len(),
            Key::Char('\x7f' | '\x08') => {
                self.query.pop();
                self.match_all();
            }
            Key::Char('\x15') => {
                self.query.clear();
                self.match_all();
            }
            Key::Char('\x17') => {
                let kept = self.query.trim_end();
                let kept = kept.rfind(char::is_whitespace).map_or(0, |at| at + 1);
                self.query.truncate(kept);
                self.match_all();
            }
            Key::Char(c) => self.type_character(c),
            Key::Left | Key::Right => {}
        }
        self.at = self.at.min(self.matched.len().saturating_sub(1));
        Wish::Stay
    }

    pub(super) fn type_character(&mut self, c: char) {
        // What would be drawn as another character, or as none, cannot be typed.
        if self.query.len() + c.len_utf8() > QUERY_LEN_MAX
            || line::clean(c.encode_utf8(&mut [0; 4])) != c.to_string()
        {
            return;
        }
        self.query.push(c);
        // Another character never brings a session back.
        let (rows, query) = (&self.rows, &self.query);
        self.matched.retain(|at| rows[*at].has(query));
        (self.at, self.top) = (0, 0);
    }

    fn match_all(&mut self) {
        let matches = (0..self.rows.len()).filter(|at| self.rows[*at].has(&self.query));
        self.matched = matches.collect();
        (self.at, self.top) = (0, 0);
    }

    /// What brings a blank terminal of this size to show the list.
    pub(super) fn draw(&mut self, size: Size, preview: Option<&Preview>, coloured: bool) -> String {
        let (cols, rows) = (columns(size), usize::from(size.rows));
        let body = body_rows(size);
        self.top = self.top.min(self.at).max((self.at + 1).saturating_sub(body.max(1)));
        let list_cols = list_columns(cols);
        let beside_cols = cols.saturating_sub(list_cols + 3);
        let beside = match preview {
            Some(preview) if beside_cols > 0 => preview.rows(beside_cols, body),
            _ => Vec::new(),
        };
        let mut out = String::new();
        for y in 0..body {
            let at = self.top + y;
            out.push_str(&format!("\x1b[{};1H\x1b[m", y + 2));
            if let Some(row) = self.matched.get(at).map(|at| &self.rows[*at]) {
                let room = list_cols.saturating_sub(2);
                let mark = if at == self.at { "> " } else { "  " };
                let mark = &mark[..list_cols.min(mark.len())];
                let text = match at == self.at {
                    true => format!("\x1b[7m{mark}{}\x1b[m", row.cells(room, None)),
                    false => {
                        let colour = coloured.then(|| colour(row.status));
                        format!("{mark}{}", row.cells(room, colour))
                    }
                };
                out.push_str(&text);
            }
            if beside_cols > 0 {
                let text = beside.get(y).map_or("", String::as_str);
                out.push_str(&format!("\x1b[{};{}H \u{2502} {text}", y + 2, list_cols + 1));
            }
        }
        if rows >= 3 {
            let hint = bar(" Enter choose  Esc leave", "type to filter  \u{2191} \u{2193} ", cols);
            out.push_str(&format!("\x1b[{rows};1H\x1b[0;7m{hint}\x1b[m"));
        }
        let (text, cursor) = self.head(cols);
        out.push_str(&format!("\x1b[1;1H{text}\x1b[1;{}H", cursor + 1));
        out
    }

    /// The first row, and the column of its cursor.
    fn head(&self, cols: usize) -> (String, usize) {
        let label = if cols >= LIST_COLUMNS_DATED { "Session: " } else { "> " };
        let more = if self.is_loading || self.is_cut { "+" } else { "" };
        let count = format!("{}/{}{more}", self.matched.len(), self.rows.len());
        let mut room = cols.saturating_sub(label.len() + 1);
        let is_counted = room >= count.len() + 10;
        if is_counted {
            room -= count.len() + 1;
        }
        // The end of it is where one types.
        let mut typed = self.query.as_str();
        while line::width(typed) > room {
            typed = &typed[typed.chars().next().map_or(0, char::len_utf8)..];
        }
        let text = format!("{label}{typed}");
        let cursor = line::width(&text).min(cols.saturating_sub(1));
        let pad = cols.saturating_sub(line::width(&text) + count.len());
        let text = if is_counted { format!("{text}{}{count}", " ".repeat(pad)) } else { text };
        (line::cut(&text, cols), cursor)
    }
}

pub(super) fn columns(size: Size) -> usize {
    usize::from(size.cols)
}

/// Rows between what is typed and the hint.
pub(super) fn body_rows(size: Size) -> usize {
    match usize::from(size.rows) {
        rows @ 3.. => rows - 2,
        rows => rows.saturating_sub(1),
    }
}

/// Columns of the list: all, where a session beside it would have no room.
pub(super) fn list_columns(cols: usize) -> usize {
    if cols >= BESIDE_COLUMNS_MIN { cols / 2 } else { cols }
}

/// The bytes of all the characters that are in the first `len_max` bytes.
pub(super) fn whole_characters(text: &str, len_max: usize) -> usize {
    let len = len_max.min(text.len());
    (0..=len).rfind(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn colour(status: Status) -> &'static str {
    match status {
        Status::Succeeded => "\x1b[32m",
        Status::Failed | Status::MaxIterationsReached => "\x1b[31m",
        Status::Running => "\x1b[36m",
        Status::Interrupted | Status::Lost => "\x1b[33m",
    }
}

/// A cleaned text in exactly so many columns.
fn fit(text: &str, cols: usize) -> String {
    let text = line::cut(text, cols);
    let pad = cols.saturating_sub(line::width(&text));
    text + &" ".repeat(pad)
}
