//! One self-contained HTML file of a recording: the settled text to read, and a player with a
//! scrubber. Nothing is loaded from anywhere.
//!
//! The player's screens are made here: rows as ready HTML, each distinct row once, frames naming
//! the rows that changed. The page's script only puts them together, so nothing in a recording is
//! ever interpreted by it.

use super::censor::cover;
use super::mask::Mask;
use super::recording::{Action, Header, TimedAction};
use crate::json::write_string;
use crate::term::transcript::{Line, Settled, Transcript};
use crate::term::{Options, Size, palette, push_html, push_html_text};
use std::collections::HashMap;
use std::fmt::Write;

/// Frames are at least this far apart.
const FRAME_US_MIN: u64 = 33_000;
/// Most frames of a page; a longer recording has them further apart.
pub const FRAMES_MAX: u64 = 20_000;
/// Every so many frames, one names all its rows, so that seeking is quick.
const WHOLE_EVERY: usize = 100;

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// The page of a recording. `events` are gone through once. With `masks`, secrets on the screens
/// and in the text are covered.
pub fn page<'a>(
    header: &Header,
    events: impl Iterator<Item = TimedAction<'a>> + Clone,
    masks: bool,
) -> String {
    let end_us = events.clone().last().map_or(0, |(time_us, _)| time_us);
    let mut film = Film::new(header.size, FRAME_US_MIN.max(end_us / FRAMES_MAX), masks);
    let mut transcript = Transcript::new(header.size, Options::default());
    let mut marks = Vec::new();
    for (time_us, action) in events {
        film.until(time_us, &transcript);
        match action {
            Action::Output(bytes) => transcript.feed(time_us, bytes),
            Action::Resize(size) => transcript.resize(time_us, size),
            Action::Marker(label) => marks.push((time_us, label.to_owned())),
            Action::Input(_) | Action::Exit(_) => continue,
        }
        film.touch(time_us);
    }
    film.shoot(film.changed_us, &transcript);
    let lines = transcript.finish(end_us.saturating_add(1_000_000));
    let title = header.title.as_deref().or(header.command.as_deref()).unwrap_or("Recording");
    let mut out = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n");
    out.push_str(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>",
    );
    push_html_text(title, &mut out);
    out.push_str("</title>\n<style>\n");
    out.push_str(STYLE);
    push_colors(&mut out);
    out.push_str("</style>\n<h1>");
    push_html_text(title, &mut out);
    out.push_str(
        "</h1>\n<div id=\"player\">\n<pre id=\"screen\"></pre>\n<p><button id=\"play\">Play\
         </button> <input id=\"seek\" type=\"range\" min=\"0\" value=\"0\" \
         aria-label=\"Time\"> <span id=\"time\"></span> <select id=\"speed\" \
         aria-label=\"Speed\"><option value=\"0.5\">0.5×<option value=\"1\" \
         selected>1×<option value=\"2\">2×\
         <option value=\"4\">4×<option value=\"16\">16×\
         </select></p>\n</div>\n<pre id=\"text\">\n",
    );
    push_lines(&lines, masks, &mut out);
    out.push_str("</pre>\n<script type=\"application/json\" id=\"film\">");
    film.push_json(end_us, &marks, &mut out);
    out.push_str("</script>\n<script>\n");
    out.push_str(SCRIPT);
    out.push_str("</script>\n</html>\n");
    out
}

/// The classes of the first 16 colours.
fn push_colors(out: &mut String) {
    for i in 0..16 {
        let (r, g, b) = palette(i);
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            ".f{i} {{ color: #{r:02x}{g:02x}{b:02x} }} .g{i} {{ background: #{r:02x}{g:02x}{b:02x} }}"
        );
    }
}

/// Each line leads to the moment it was seen.
fn push_lines(lines: &[Line], masks: bool, out: &mut String) {
    let mut blank = true;
    let mut mask = Mask::default();
    for line in lines {
        let is_blank = line.text.trim().is_empty();
        if is_blank && blank {
            continue;
        }
        blank = is_blank;
        let class = if line.kind == Settled::Transient { " class=\"t\"" } else { "" };
        let _ = write!(out, "<span{class} data-t=\"{}\">", line.seen.time_us / 1000);
        let text = if masks { mask.next(&line.text) } else { line.text.as_str().into() };
        push_html_text(&text, out);
        out.push_str("</span>\n");
    }
}

/// The player's frames.
struct Film {
    interval_us: u64,
    next_us: u64,
    /// The screen may have changed since the last frame.
    touched: bool,
    changed_us: u64,
    rows: HashMap<String, usize>,
    order: Vec<String>,
    /// The rows of the last frame, by number.
    last: Vec<usize>,
    size: Size,
    frames: String,
    count: usize,
    masks: bool,
}

impl Film {
    fn new(size: Size, interval_us: u64, masks: bool) -> Film {
        Film {
            masks,
            interval_us,
            next_us: 0,
            touched: false,
            changed_us: 0,
            rows: HashMap::new(),
            order: Vec::new(),
            last: Vec::new(),
            size,
            frames: String::new(),
            count: 0,
        }
    }

    /// Something is about to happen at `time_us`: shows what was there before, if it was there
    /// long enough to be seen and no frame is in the making.
    fn until(&mut self, time_us: u64, transcript: &Transcript) {
        if self.touched && time_us >= self.next_us && !transcript.terminal().screen().in_sync() {
            self.shoot(self.changed_us, transcript);
            self.next_us = time_us.saturating_add(self.interval_us);
        }
    }

    /// The screen may have changed at `time_us`.
    fn touch(&mut self, time_us: u64) {
        self.touched = true;
        self.changed_us = time_us;
    }

    fn shoot(&mut self, time_us: u64, transcript: &Transcript) {
        self.touched = false;
        let screen = transcript.terminal().screen();
        let mut numbers: Vec<usize> = Vec::new();
        for y in 0..usize::from(screen.size().rows) {
            let mut runs = screen.row_runs(y);
            if self.masks {
                cover(&mut runs);
            }
            let mut row = String::new();
            push_html(&runs, &mut row);
            let number = match self.rows.get(&row) {
                Some(number) => *number,
                None => {
                    self.order.push(row.clone());
                    self.rows.insert(row, self.order.len() - 1);
                    self.order.len() - 1
                }
            };
            numbers.push(number);
        }
        let resized = screen.size() != self.size || self.count == 0;
        if numbers == self.last && !resized {
            return;
        }
        let whole = self.count.is_multiple_of(WHOLE_EVERY) || resized;
        let comma = if self.count > 0 { "," } else { "" };
        let _ = write!(self.frames, "{comma}\n[{},{}", time_us / 1000, numbers.len());
        if whole {
            let size = screen.size();
            let _ = write!(self.frames, ",{},{}", size.cols, size.rows);
            for n in &numbers {
                let _ = write!(self.frames, ",{n}");
            }
        } else {
            self.frames.push_str(",0,0");
            for (y, n) in numbers.iter().enumerate().filter(|(y, n)| self.last.get(*y) != Some(*n))
            {
                let _ = write!(self.frames, ",{y},{n}");
            }
        }
        self.frames.push(']');
        self.size = screen.size();
        self.last = numbers;
        self.count += 1;
    }

    fn push_json(&self, end_us: u64, marks: &[(u64, String)], out: &mut String) {
        let start = out.len();
        let _ = write!(out, "{{\"end\":{},\"marks\":[", end_us / 1000);
        for (i, (time_us, label)) in marks.iter().enumerate() {
            let _ = write!(out, "{}[{},", if i > 0 { "," } else { "" }, time_us / 1000);
            write_string(label, out);
            out.push(']');
        }
        out.push_str("],\"rows\":[");
        for (i, row) in self.order.iter().enumerate() {
            out.push_str(if i > 0 { ",\n" } else { "\n" });
            write_string(row, out);
        }
        out.push_str("],\"frames\":[");
        out.push_str(&self.frames);
        out.push_str("]}");
        // The end of the script element must not be found inside it.
        let json = out.split_off(start).replace('<', "\\u003c");
        out.push_str(&json);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_text_and_frames_and_nothing_live() {
        let header =
            Header { title: Some("a <b> & c".to_owned()), ..Header::new(Size::new(20, 4)) };
        let hostile = "</script><script>alert(1)</script>\r\n\x1b]8;;javascript:alert(1)\x1b\\x\x1b]8;;\x1b\\\r\n";
        let events = [
            (0, Action::Output(b"one\r\n")),
            (500_000, Action::Output(hostile.as_bytes())),
            (900_000, Action::Input(b"secret")),
            (1_000_000, Action::Resize(Size::new(30, 4))),
            (1_500_000, Action::Marker("turn 2")),
            (2_000_000, Action::Output(b"\x1b[31mtwo")),
        ];
        let page = page(&header, events.into_iter(), true);
        assert!(page.contains("<title>a &lt;b&gt; &amp; c</title>"));
        assert!(page.contains("data-t=\"0\">one</span>"));
        assert!(page.contains("\"marks\":[[1500,\"turn 2\"]]"));
        assert!(!page.contains("secret"));
        assert!(!page.contains("alert(1)</script>") && !page.contains("javascript:alert"));
        assert_eq!(page.matches("<script").count(), 2);
        assert_eq!(page.matches("</script>").count(), 2);
        for reference in ["src=", "@import", "url(", "fetch(", "XMLHttp"] {
            assert!(!page.contains(reference), "{reference}");
        }
        let json = page.split("id=\"film\">").nth(1).and_then(|p| p.split("</script>").next());
        let film = crate::json::parse(json.expect("the film").as_bytes()).expect("JSON");
        let frames = film.get("frames").expect("frames").items();
        assert!(frames.len() >= 3, "{frames:?}");
        assert_eq!(frames[0].items()[2].as_u64(), Some(20));
    }
}
