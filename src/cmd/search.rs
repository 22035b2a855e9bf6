//! `il search`: words in what was said, thought, called, shown and typed.

use std::ops::Range;
use std::thread;

use super::filter::{Filtered, Flags, Typed};
use super::progress::Line;
use super::{JSON_VERSION, home, print, screen};
use crate::cli::{Command, Flag, Global, Hint, Operand, Operands};
use crate::error::{Error, Result};
use crate::format::line;
use crate::json::write_object;
use crate::library::search::{Hit, Place, Query, Told};
use crate::library::{Library, Session};
use crate::store::Progress;

/// Hits of one session that a person is shown; there may be more.
const HITS_SHOWN: usize = 10;

/// Most lines around a hit.
const CONTEXT_LINES_MAX: usize = 100;

/// Columns of a snippet where no terminal says how many it has.
const PIPED_COLUMNS: usize = 200;

/// The names of the places.
const PLACES: &[&str] = &["conversation", "thoughts", "tools", "screen", "keys"];

/// `il search WORD... [filters] [--in KIND,...] [--context N] [--json]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "search",
    summary: "Search what was said, shown and typed",
    flags: &[
        Flag::value(
            "in",
            "KINDS",
            "Look only there: a list with commas",
            |args: &mut Args, value| {
                for name in super::text(value)?.split(',') {
                    let place = Place::NAMES.iter().find(|(_, known)| *known == name);
                    let (place, _) =
                        place.ok_or_else(|| format!("not of {}", PLACES.join(", ")))?;
                    args.places.push(*place);
                }
                Ok(())
            },
        )
        .hint(Hint::Choice(PLACES)),
        Flag::value("context", "N", "Print N lines around each hit", |args: &mut Args, value| {
            let lines = super::text(value)?.parse().ok().filter(|n| *n <= CONTEXT_LINES_MAX);
            args.context = lines.ok_or(format!("not a number up to {CONTEXT_LINES_MAX}"))?;
            Ok(())
        }),
        Flag::switch("json", "Print one JSON object a line", |args: &mut Args| args.json = true),
    ],
    shared: Flags::<Args>::ALL,
    operands: Operands::Each(
        &[Operand::many("WORD", Hint::None, "Word to look for, or a phrase in quotes")],
        |args: &mut Args, word| {
            args.words.push(super::text(word)?);
            Ok(())
        },
    ),
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    words: Vec<String>,
    places: Vec<Place>,
    context: usize,
    json: bool,
    filter: Typed,
}

impl Filtered for Args {
    fn typed(&mut self) -> &mut Typed {
        &mut self.filter
    }
}

/// How hits are printed.
#[derive(Clone, Copy, PartialEq)]
enum Layout {
    /// Sessions, and their hits under them.
    Grouped {
        columns: usize,
        coloured: bool,
    },
    Rows,
    Json,
}

fn run(args: Args, global: &Global) -> Result<u8> {
    let query = Query::new(&args.words, &args.places, args.context)
        .ok_or_else(|| Error::usage("nothing to look for"))?;
    // Where the store can be written, text that had to be made is kept for the next time.
    let dir = home::dir(global)?;
    let library = Library::open_to_change(&dir).or_else(|_| Library::open(&dir))?;
    let filter = args.filter.meant()?;
    let layout = match (args.json, screen::is_terminal()) {
        (true, _) => Layout::Json,
        (false, true) => {
            Layout::Grouped { columns: screen::columns(), coloured: screen::is_coloured() }
        }
        (false, false) if args.context > 0 => {
            Layout::Grouped { columns: PIPED_COLUMNS, coloured: false }
        }
        (false, false) => Layout::Rows,
    };
    let shown = if screen::is_terminal() && !args.json { HITS_SHOWN } else { usize::MAX };
    let sessions: Vec<Session> =
        library.candidates(&filter)?.filter(|s| s.matches(&filter)).collect();
    let mut page = Page { query: &query, layout, shown, out: String::new(), count: 0, hits: 0 };
    let mut progress = Line::new("search");
    let mut failed = None;
    let mut done = 0;
    let threads = thread::available_parallelism().map_or(1, usize::from);
    library.search_all(&sessions, &query, threads, &mut |told| {
        let ended = matches!(told, Told::Done);
        match told {
            Told::Hit(session, hit) => page.add(session, &hit),
            Told::Done => page.end_session(),
        }
        if page.out.len() >= screen::PIECE_LEN || (ended && !page.out.is_empty()) {
            progress.hide();
            failed = print(std::mem::take(&mut page.out)).err();
        }
        if ended {
            done += 1;
            progress.at(Progress { done, total: sessions.len() as u64 });
        }
        failed.is_none()
    });
    drop(progress);
    match (failed, page.count) {
        (Some(error), _) => Err(error),
        (None, 0) => Err(Error::nothing_found("nothing found")),
        _ => Ok(0),
    }
}

/// What was found, on its way to the output.
struct Page<'a> {
    query: &'a Query,
    layout: Layout,
    /// Hits of a session that are printed.
    shown: usize,
    out: String,
    /// Hits so far, and those of this session.
    count: u64,
    hits: usize,
}

impl Page<'_> {
    fn add(&mut self, session: &Session, hit: &Hit) {
        if self.count == 0 && self.layout == Layout::Rows {
            self.out.push_str("ID\tTIME\tTURN\tWHERE\tTEXT\n");
        }
        if let (0, Layout::Grouped { columns, coloured }) = (self.hits, self.layout) {
            let blank = if self.count > 0 { "\n" } else { "" };
            self.out.push_str(&format!("{blank}{}\n", heading(session, columns, coloured)));
        }
        self.hits += 1;
        self.count += 1;
        if self.hits <= self.shown {
            write(session, hit, self.query, self.layout, &mut self.out);
        }
    }

    fn end_session(&mut self) {
        if self.hits > self.shown {
            let more = line::count((self.hits - self.shown) as u64, "more hit");
            self.out.push_str(&format!("  and {more}\n"));
        }
        self.hits = 0;
    }
}

fn write(session: &Session, hit: &Hit, query: &Query, layout: Layout, out: &mut String) {
    match layout {
        Layout::Json => write_json(session, hit, query, out),
        Layout::Rows => write_row(session, hit, query, out),
        Layout::Grouped { columns, coloured } => write_hit(hit, query, columns, coloured, out),
    }
}

fn heading(session: &Session, columns: usize, coloured: bool) -> String {
    let meta = &session.meta;
    let mut parts = vec![session.id.short(), meta.started.local()];
    parts.extend(session.project().map(|project| line::clean(&project)));
    let prompt = meta.imported.as_ref().and_then(|imported| imported.prompt.as_deref());
    let title = meta.name.as_deref().or(prompt).map(line::clean);
    parts.push(title.unwrap_or_else(|| line::words(&meta.argv)));
    let text = line::cut(&parts.join("  "), columns);
    if coloured { format!("\x1b[1m{text}\x1b[m") } else { text }
}

/// What stands before a hit's words: when, in which turn, and what they are part of.
fn place(hit: &Hit) -> String {
    let time = hit.time.map_or_else(|| " ".repeat(8), |time| time.local().split_off(11));
    let turn = hit.turn.map_or_else(String::new, |turn| format!("turn {turn}"));
    format!("  {time}  {turn:<8}  {:<12}  ", hit.place.name())
}

fn write_hit(hit: &Hit, query: &Query, columns: usize, coloured: bool, out: &mut String) {
    let place = place(hit);
    let indent = " ".repeat(place.len());
    let room = columns.saturating_sub(place.len()).max(20);
    for text in &hit.before {
        out.push_str(&format!("{indent}{}\n", line::cut(&line::clean(text), room)));
    }
    let text = snippet(&line::clean(&hit.line), query, room);
    let text = if coloured { painted(&text, &query.spans(&text)) } else { text };
    out.push_str(&format!("{place}{text}\n"));
    for text in &hit.after {
        out.push_str(&format!("{indent}{}\n", line::cut(&line::clean(text), room)));
    }
}

fn write_row(session: &Session, hit: &Hit, query: &Query, out: &mut String) {
    let unknown = || "-".to_owned();
    let row = [
        session.id.short(),
        hit.time.map_or_else(unknown, |time| time.local()),
        hit.turn.map_or_else(unknown, |turn| turn.to_string()),
        hit.place.name().to_owned(),
        snippet(&line::clean(&hit.line), query, PIPED_COLUMNS),
    ];
    out.push_str(&row.join("\t"));
    out.push('\n');
}

fn write_json(session: &Session, hit: &Hit, query: &Query, out: &mut String) {
    write_object(out, |o| {
        o.int("v", JSON_VERSION);
        o.string("session", &session.id.to_string());
        o.string("short_id", &session.id.short());
        o.string_opt("time", hit.time.map(|time| time.rfc3339()).as_deref());
        o.int_opt("turn", hit.turn);
        o.string("in", hit.place.name());
        o.string_opt("kind", hit.kind.as_deref());
        o.string("text", &hit.line);
        o.array("matches", |a| {
            for span in query.spans(&hit.line) {
                a.object(|o| {
                    o.int("start", span.start as u64);
                    o.int("end", span.end as u64);
                });
            }
        });
        for (name, lines) in [("before", &hit.before), ("after", &hit.after)] {
            if !lines.is_empty() {
                o.array(name, |a| lines.iter().for_each(|line| a.string(line)));
            }
        }
    });
    out.push('\n');
}

/// So much of a cleaned line that its first word of the query is in it: from its start if that is
/// near, else from a little before the word.
fn snippet(text: &str, query: &Query, columns: usize) -> String {
    let text = text.trim();
    let Some(span) = query.spans(text).into_iter().next() else { return line::cut(text, columns) };
    if line::width(&text[..span.end]) < columns {
        return line::cut(text, columns);
    }
    let before = columns / 3;
    let mut from = span.start;
    for (at, _) in text[..span.start].char_indices().rev() {
        if line::width(&text[at..span.start]) > before {
            break;
        }
        from = at;
    }
    format!("…{}", line::cut(&text[from..], columns.saturating_sub(1)))
}

fn painted(text: &str, spans: &[Range<usize>]) -> String {
    let mut out = String::new();
    let mut at = 0;
    for span in spans {
        out.push_str(&text[at..span.start]);
        out.push_str(&format!("\x1b[1;31m{}\x1b[m", &text[span.clone()]));
        at = span.end;
    }
    out.push_str(&text[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_are_those_of_the_library() {
        assert_eq!(PLACES, Place::NAMES.map(|(_, name)| name));
    }

    #[test]
    fn a_snippet_shows_the_word() {
        let query = |word: &str| Query::new(&[word.to_owned()], &[], 0).expect("a word");
        for (text, columns, want) in [
            ("short needle", 20, "short needle"),
            ("the needle lies at the start", 12, "the needle …"),
            ("a long way to the needle in here", 16, "… the needle in…"),
            ("日本語日本語日本語needle", 10, "…語needle"),
        ] {
            let got = snippet(text, &query("needle"), columns);
            assert!(line::width(&got) <= columns.max(8), "{got}");
            assert_eq!(got, want);
        }
        let text = "a needle, a Needle";
        let painted = painted(text, &query("needle").spans(text));
        assert_eq!(painted, "a \x1b[1;31mneedle\x1b[m, a \x1b[1;31mNeedle\x1b[m");
    }
}
