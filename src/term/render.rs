//! The screen and its history as text, as runs of style, and in the forms `il vt` prints.

use std::fmt::Write;

use super::grid::{Row, Stamp};
use super::history::{Lay, Line, Run, encode};
use super::screen::{Screen, mode};
use super::style::{Color, ColorKind, Link, Pen};
use crate::json::write_string;

/// What a screen is printed as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Rows as they stand, without trailing blanks.
    #[default]
    Text,
    /// Like text, rows that the terminal wrapped joined to the line they were.
    Logical,
    /// A line for each run of a style that is not the default: `row first-last` and what it is.
    Attrs,
    /// Rows with SGR sequences.
    Ansi,
    /// Rows as spans, for inside `<pre>`.
    Html,
    /// Everything as one JSON object.
    Json,
}

impl Format {
    /// The names, in the order of the documentation.
    pub const NAMES: &[&str] = &["text", "logical", "attrs", "ansi", "html", "json"];

    /// The format of this name.
    pub fn from_name(name: &str) -> Option<Format> {
        const FORMATS: [Format; 6] = [
            Format::Text,
            Format::Logical,
            Format::Attrs,
            Format::Ansi,
            Format::Html,
            Format::Json,
        ];
        let i = Format::NAMES.iter().position(|n| *n == name)?;
        FORMATS.get(i).copied()
    }
}

/// Neighbouring cells drawn alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StyledRun {
    /// The characters.
    pub text: String,
    /// The first column.
    pub col: usize,
    /// How many cells they take.
    pub cols: usize,
    /// Each character, or the one cluster that the run is, takes two cells.
    pub wide: bool,
    /// How they are drawn.
    pub pen: Pen,
    /// Where they lead.
    pub link: Option<Link>,
}

/// A row as runs, and whether the next one goes on where it ends.
type StyledRow = (Vec<StyledRun>, bool);

impl Screen {
    /// The text of row `y`, without trailing blanks; empty past the last row.
    pub fn row_text(&self, y: usize) -> String {
        let mut out = String::new();
        self.push_row_text(y, &mut out);
        out
    }

    /// Appends the text of row `y`, without trailing blanks.
    pub fn push_row_text(&self, y: usize, out: &mut String) {
        let Some(row) = self.grid.rows.get(y) else { return };
        let start = out.len();
        for cell in row.cells.iter().filter(|c| !c.is(super::grid::Cell::TAIL)) {
            self.clusters.push_text(cell.ch, out);
        }
        out.truncate(start + out[start..].trim_end_matches(' ').len());
    }

    /// The text of row `y` of the history, 0 being the oldest, without trailing blanks.
    pub fn history_text(&self, y: usize) -> String {
        self.history.line(y).map_or(String::new(), |(line, _)| line.text.trim_end().to_owned())
    }

    /// Row `y` as runs of one style each. Trailing blanks in the default style are left out.
    pub fn row_runs(&self, y: usize) -> Vec<StyledRun> {
        match self.grid.rows.get(y) {
            Some(row) => self.styled(&self.line(row), |style| self.styles.pen(style)),
            None => Vec::new(),
        }
    }

    /// Where in the stream, and when, the first cell of row `y` was used, if any was.
    pub fn row_stamp(&self, y: usize) -> Option<Stamp> {
        self.grid.rows.get(y).filter(|row| !row.cells.is_empty()).map(|row| row.born)
    }

    /// Row `index` of the history as runs, and whether the next one goes on where it ends.
    fn history_row(&self, index: usize) -> Option<StyledRow> {
        let (line, pens) = self.history.line(index)?;
        let pen_of = |n: u16| match n.checked_sub(1) {
            None => Pen::default(),
            Some(i) => pens.get(usize::from(i)).copied().unwrap_or_default(),
        };
        Some((self.styled(&line, pen_of), line.wrap))
    }

    fn line(&self, row: &Row) -> Line {
        let mut text = Vec::new();
        let mut runs = Vec::new();
        encode(row, &self.clusters, &mut text, &mut runs, |style| style);
        let text = String::from_utf8_lossy(&text).into_owned();
        Line { text, runs, wrap: row.wrap }
    }

    fn styled(&self, line: &Line, pen_of: impl Fn(u16) -> Pen) -> Vec<StyledRun> {
        let whole = [Run { len: line.text.len() as u32, style: 0, lay: Lay::Narrow }];
        let runs = if line.runs.is_empty() { &whole[..] } else { &line.runs };
        let (mut at, mut col) = (0, 0);
        let mut out: Vec<StyledRun> = Vec::new();
        for run in runs.iter().filter(|run| run.len > 0) {
            let text = &line.text[at..at + run.len as usize];
            at += run.len as usize;
            let pen = pen_of(run.style);
            let link = self.links.get(pen.link).cloned();
            let mut push = |text: &str, cols: usize, wide: bool| {
                let (text, link) = (text.to_owned(), link.clone());
                out.push(StyledRun { text, col, cols, wide, pen, link });
                col += cols;
            };
            match run.lay {
                Lay::Narrow => push(text, text.chars().count(), false),
                Lay::Wide => push(text, 2 * text.chars().count(), true),
                Lay::Mixed => text
                    .as_bytes()
                    .chunk_by(|a, b| a.is_ascii() == b.is_ascii())
                    .map(|part| std::str::from_utf8(part).unwrap_or_default())
                    .for_each(|part| match part.is_ascii() {
                        true => push(part, part.len(), false),
                        false => push(part, 2 * part.chars().count(), true),
                    }),
                Lay::NarrowCluster => push(text, 1, false),
                // A blank that only fills the row is not text.
                Lay::Spacer => push("", 1, false),
                Lay::WideCluster => push(text, 2, true),
            }
        }
        out
    }

    /// The newest `history` rows of the history, then the screen's, blank rows at the end left
    /// out.
    fn styled_rows(&self, history: usize) -> Vec<StyledRow> {
        let len = self.history.len();
        let mut rows: Vec<StyledRow> =
            (len - history.min(len)..len).filter_map(|i| self.history_row(i)).collect();
        rows.extend((0..self.height()).map(|y| (self.row_runs(y), self.row_wraps(y))));
        while rows.last().is_some_and(|(runs, wrap)| runs.is_empty() && !wrap) {
            rows.pop();
        }
        rows
    }

    /// Prints the newest `history` rows of the history and the screen. Each line ends with a line
    /// feed.
    pub fn render(&self, format: Format, history: usize) -> String {
        let rows = self.styled_rows(history);
        let mut out = String::new();
        match format {
            Format::Text => {
                for (runs, _) in &rows {
                    push_trimmed(runs, &mut out);
                    out.push('\n');
                }
            }
            Format::Logical => {
                for (runs, wrap) in &rows {
                    match wrap {
                        true => runs.iter().for_each(|run| out.push_str(&run.text)),
                        false => {
                            push_trimmed(runs, &mut out);
                            out.push('\n');
                        }
                    }
                }
            }
            Format::Attrs => {
                for (y, (runs, _)) in rows.iter().enumerate() {
                    push_attrs(y, runs, &mut out);
                }
            }
            Format::Ansi => rows.iter().for_each(|(runs, _)| push_ansi(runs, &mut out)),
            Format::Html => rows.iter().for_each(|(runs, _)| {
                push_html(runs, &mut out);
                out.push('\n');
            }),
            Format::Json => self.push_json(&rows, &mut out),
        }
        out
    }

    fn push_json(&self, rows: &[StyledRow], out: &mut String) {
        let size = self.size();
        let _ = write!(
            out,
            "{{\"v\":1,\"cols\":{},\"rows\":{},\"cursor\":{{\"row\":{},\"col\":{},\"pending_wrap\":{},\
             \"visible\":{}}},\"alternate\":{},\"margins\":[{},{}],\"title\":",
            size.cols,
            size.rows,
            self.cursor.y,
            self.cursor.x,
            self.cursor.pending,
            self.cursor_visible(),
            self.alternate,
            self.top,
            self.bottom,
        );
        write_string(&self.title, out);
        out.push_str(",\"modes\":[");
        let set = mode::PRIVATE.iter().filter(|(_, bit)| self.has(*bit));
        for (i, (number, _)) in set.enumerate() {
            let _ = write!(out, "{}{number}", if i > 0 { "," } else { "" });
        }
        out.push_str("],\"lines\":[");
        for (y, (runs, wrap)) in rows.iter().enumerate() {
            out.push_str(if y > 0 { ",{\"text\":" } else { "{\"text\":" });
            let mut text = String::new();
            push_trimmed(runs, &mut text);
            write_string(&text, out);
            let _ = write!(out, ",\"wrap\":{wrap},\"runs\":[");
            let styled = runs.iter().filter(|run| run.pen != Pen::default());
            for (i, run) in styled.enumerate() {
                let comma = if i > 0 { "," } else { "" };
                let _ = write!(
                    out,
                    "{comma}{{\"col\":{},\"cols\":{},\"sgr\":\"{}\"",
                    run.col,
                    run.cols,
                    run.pen.sgr_params()
                );
                if let Some(link) = &run.link {
                    out.push_str(",\"link\":");
                    write_string(&link.uri, out);
                }
                out.push('}');
            }
            out.push_str("]}");
        }
        out.push_str("]}\n");
    }
}

fn push_trimmed(runs: &[StyledRun], out: &mut String) {
    let start = out.len();
    runs.iter().for_each(|run| out.push_str(&run.text));
    out.truncate(start + out[start..].trim_end_matches(' ').len());
}

fn push_attrs(y: usize, runs: &[StyledRun], out: &mut String) {
    let mut i = 0;
    while i < runs.len() {
        let first = &runs[i];
        let mut end = first.col;
        while i < runs.len() && runs[i].pen == first.pen {
            end = runs[i].col + runs[i].cols;
            i += 1;
        }
        if first.pen == Pen::default() {
            continue;
        }
        let pen = first.pen;
        let _ = write!(
            out,
            "{y} {}-{} {} {} ",
            first.col,
            end - 1,
            color_name(pen.fg),
            color_name(pen.bg)
        );
        push_flags(pen, out);
        let _ = write!(out, " {} ", color_name(pen.underline_color));
        out.push_str(first.link.as_ref().map_or("-", |link| &link.uri));
        out.push('\n');
    }
}

fn push_flags(pen: Pen, out: &mut String) {
    const NAMES: [(u16, &str); 8] = [
        (Pen::BOLD, "bold"),
        (Pen::DIM, "dim"),
        (Pen::ITALIC, "italic"),
        (Pen::BLINK, "blink"),
        (Pen::INVERSE, "inverse"),
        (Pen::HIDDEN, "hidden"),
        (Pen::STRIKE, "strike"),
        (Pen::OVERLINE, "overline"),
    ];
    const UNDERLINES: [&str; 6] = ["", "underline", "double", "curly", "dotted", "dashed"];
    let form = UNDERLINES[usize::from(pen.underline()).min(5)];
    let names = NAMES.iter().filter(|(bit, _)| pen.attrs & bit != 0).map(|(_, name)| *name);
    let names: Vec<&str> = names.chain(Some(form).filter(|f| !f.is_empty())).collect();
    out.push_str(if names.is_empty() { "-" } else { "" });
    out.push_str(&names.join(","));
}

/// `-` for the default, a palette number, or `#rrggbb`.
fn color_name(color: Color) -> String {
    match color.kind() {
        ColorKind::Default => "-".to_owned(),
        ColorKind::Indexed(i) => i.to_string(),
        ColorKind::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
    }
}

fn push_ansi(runs: &[StyledRun], out: &mut String) {
    let mut pen = Pen::default();
    let mut linked = false;
    for run in runs {
        if run.pen.link != pen.link {
            linked = run.link.is_some();
            let link = run.link.as_ref();
            let id = link.map_or("", |l| &l.id);
            let key = if id.is_empty() { "" } else { "id=" };
            let _ = write!(out, "\x1b]8;{key}{id};{}\x1b\\", link.map_or("", |l| &l.uri));
        }
        if run.pen != pen {
            let params = run.pen.sgr_params();
            let semicolon = if params.is_empty() { "" } else { ";" };
            let _ = write!(out, "\x1b[0{semicolon}{params}m");
            pen = run.pen;
        }
        out.push_str(&run.text);
    }
    if linked {
        out.push_str("\x1b]8;;\x1b\\");
    }
    if (Pen { link: 0, ..pen }) != Pen::default() {
        out.push_str("\x1b[0m");
    }
    out.push('\n');
}

/// Appends runs as HTML: a span for each styled run with the classes `b i d u s o v h`, `fN` and
/// `gN` for the first 16 colours and inline styles for others; a wide character is a `w` span.
/// Links lead only to http, https and file.
pub(crate) fn push_html(runs: &[StyledRun], out: &mut String) {
    for run in runs {
        let link = run.link.as_ref().map(|l| &*l.uri).filter(|uri| {
            ["http://", "https://", "file://"].iter().any(|scheme| uri.starts_with(scheme))
        });
        if let Some(uri) = link {
            out.push_str("<a rel=\"noreferrer\" href=\"");
            push_html_text(uri, out);
            out.push_str("\">");
        }
        let plain = Pen { link: 0, ..run.pen } == Pen::default();
        if !plain {
            push_span(run.pen, out);
        }
        match run.wide {
            false => push_html_text(&run.text, out),
            true if run.cols == 2 => push_wide(&run.text, out),
            true => run.text.chars().for_each(|c| push_wide(c.encode_utf8(&mut [0; 4]), out)),
        }
        if !plain {
            out.push_str("</span>");
        }
        if link.is_some() {
            out.push_str("</a>");
        }
    }
}

fn push_wide(text: &str, out: &mut String) {
    out.push_str("<span class=w>");
    push_html_text(text, out);
    out.push_str("</span>");
}

fn push_span(pen: Pen, out: &mut String) {
    const CLASSES: [(u16, &str); 8] = [
        (Pen::BOLD, "b"),
        (Pen::DIM, "d"),
        (Pen::ITALIC, "i"),
        (Pen::BLINK, "k"),
        (Pen::INVERSE, "v"),
        (Pen::HIDDEN, "h"),
        (Pen::STRIKE, "s"),
        (Pen::OVERLINE, "o"),
    ];
    let mut classes: Vec<String> = CLASSES
        .iter()
        .filter(|(bit, _)| pen.attrs & bit != 0)
        .map(|(_, name)| (*name).to_owned())
        .collect();
    if pen.underline() > 0 {
        classes.push("u".to_owned());
    }
    let inverse = pen.attrs & Pen::INVERSE != 0;
    let mut style = String::new();
    for (color, class, property) in [(pen.fg, 'f', "color"), (pen.bg, 'g', "background")] {
        let (class, property) = match (inverse, class) {
            (false, _) => (class, property),
            (true, 'f') => ('g', "background"),
            (true, _) => ('f', "color"),
        };
        match color.kind() {
            ColorKind::Default => {}
            ColorKind::Indexed(i) if i < 16 => classes.push(format!("{class}{i}")),
            ColorKind::Indexed(i) => {
                let (r, g, b) = palette(i);
                let _ = write!(style, "{property}:#{r:02x}{g:02x}{b:02x};");
            }
            ColorKind::Rgb(r, g, b) => {
                let _ = write!(style, "{property}:#{r:02x}{g:02x}{b:02x};");
            }
        }
    }
    out.push_str("<span");
    if !classes.is_empty() {
        let _ = write!(out, " class=\"{}\"", classes.join(" "));
    }
    if !style.is_empty() {
        let _ = write!(out, " style=\"{style}\"");
    }
    out.push('>');
}

/// The colours 16 to 255 of xterm's palette; below 16 those of its default theme.
pub(crate) fn palette(index: u8) -> (u8, u8, u8) {
    const BASE: [(u8, u8, u8); 16] = [
        (0, 0, 0),
        (205, 49, 49),
        (13, 188, 121),
        (229, 229, 16),
        (36, 114, 200),
        (188, 63, 188),
        (17, 168, 205),
        (229, 229, 229),
        (102, 102, 102),
        (241, 76, 76),
        (35, 209, 139),
        (245, 245, 67),
        (59, 142, 234),
        (214, 112, 214),
        (41, 184, 219),
        (255, 255, 255),
    ];
    let level = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
    match index {
        0..16 => BASE[usize::from(index)],
        16..232 => {
            let n = index - 16;
            (level(n / 36), level(n / 6 % 6), level(n % 6))
        }
        _ => {
            let grey = 8 + 10 * (index - 232);
            (grey, grey, grey)
        }
    }
}

/// Appends `text` with what HTML and XML give a meaning to escaped, and controls left out.
pub(crate) fn push_html_text(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
}
