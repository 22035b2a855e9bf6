//! A screen drawn on a terminal of another size: rows that changed, in text and colours alone.
//! Nothing that the recorded program sent reaches the viewer's terminal.

use std::fmt::Write;

use super::Size;
use super::screen::Screen;
use super::style::Pen;
use super::width::char_width;

/// Draws screens, one after the other, on one terminal.
#[derive(Debug)]
pub struct Painter {
    view: Size,
    /// What stands in each row of the view; None where nobody knows.
    rows: Vec<Option<String>>,
    /// Where its cursor is, if it shows.
    cursor: Option<(usize, usize)>,
}

impl Painter {
    /// For a terminal of size `view`, of which nothing is known.
    pub fn new(view: Size) -> Painter {
        let view = view.clamped();
        Painter { view, rows: vec![None; usize::from(view.rows)], cursor: None }
    }

    /// The size that is drawn on.
    pub fn view(&self) -> Size {
        self.view
    }

    /// Whether all of `screen` can be seen, the last row of the view included.
    pub fn holds(&self, screen: &Screen) -> bool {
        let size = screen.size();
        size.cols <= self.view.cols && size.rows <= self.view.rows
    }

    /// Appends what brings the terminal to show `screen`, with `status` in the last row if there
    /// is one. A screen that is larger shows its left part, and the rows around its cursor.
    pub fn paint(&mut self, screen: &Screen, status: Option<&str>, out: &mut String) {
        let size = screen.size();
        let rows = usize::from(self.view.rows);
        let (cursor_row, cursor_col) = screen.cursor();
        let status_rows = usize::from(status.is_some());
        // A status in a row that the screen needs covers that row, but never the cursor's.
        let top = match usize::from(size.rows) + status_rows > rows {
            true => (cursor_row + 1 + status_rows).saturating_sub(rows),
            false => 0,
        };
        let start = out.len();
        out.push_str("\x1b[?2026h\x1b[?25l");
        let quiet = out.len();
        for y in 0..rows {
            let mut row = String::new();
            match status.filter(|_| y + 1 == rows) {
                Some(status) => {
                    let _ = write!(row, "\x1b[0;7m{status}\x1b[0m");
                }
                None => push_row(screen, top + y, usize::from(self.view.cols), &mut row),
            }
            if self.rows[y].as_ref() != Some(&row) {
                let _ = write!(out, "\x1b[{};1H\x1b[0m{row}", y + 1);
                self.rows[y] = Some(row);
            }
        }
        let shows = screen.cursor_visible()
            && (top..top + rows).contains(&cursor_row)
            && cursor_row + status_rows < top + rows
            && cursor_col < usize::from(self.view.cols);
        let cursor = shows.then(|| (cursor_row - top + 1, cursor_col + 1));
        if out.len() == quiet && cursor == self.cursor {
            out.truncate(start);
            return;
        }
        self.cursor = cursor;
        if let Some((row, col)) = cursor {
            let _ = write!(out, "\x1b[{row};{col}H\x1b[?25h");
        }
        out.push_str("\x1b[?2026l");
    }
}

/// Appends the first `cols` columns of a row, and an erasure of the rest.
pub fn push_row(screen: &Screen, y: usize, cols: usize, out: &mut String) {
    let mut pen = Pen::default();
    // Where the terminal's cursor is; None after characters that terminals measure differently.
    let mut at = Some(0);
    let mut end = 0;
    for run in screen.row_runs(y) {
        if run.col >= cols {
            break;
        }
        end = (run.col + run.cols).min(cols);
        if at != Some(run.col) {
            let _ = write!(out, "\x1b[{}G", run.col + 1);
        }
        let plain = Pen { link: 0, ..run.pen };
        if plain != pen {
            let params = plain.sgr_params();
            let semicolon = if params.is_empty() { "" } else { ";" };
            let _ = write!(out, "\x1b[0{semicolon}{params}m");
            pen = plain;
        }
        let fits = run.col + run.cols <= cols;
        match run.text.is_empty() {
            true => (0..run.cols.min(cols - run.col)).for_each(|_| out.push(' ')),
            false if fits => out.push_str(&run.text),
            false => push_cut(&run.text, cols - run.col, out),
        }
        at = (run.text.is_ascii() && fits).then_some(end);
    }
    if pen != Pen::default() {
        out.push_str("\x1b[0m");
    }
    if end < cols {
        if at.is_none() {
            let _ = write!(out, "\x1b[{}G", end + 1);
        }
        out.push_str("\x1b[K");
    }
}

/// Appends the characters that fit in `cols` columns.
fn push_cut(text: &str, cols: usize, out: &mut String) {
    let mut width = 0;
    for c in text.chars() {
        width += char_width(c);
        if width > cols {
            return;
        }
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::term::{Format, Options, Terminal};

    /// Paints what `inputs` show, one after the other, and reads the picture off a terminal.
    fn painted(view: Size, size: Size, inputs: &[&str], status: Option<&str>) -> (Terminal, usize) {
        let mut terminal = Terminal::new(size, Options::default());
        let mut viewer = Terminal::new(view, Options::default());
        let mut painter = Painter::new(view);
        let mut len = 0;
        for input in inputs {
            terminal.feed(input.as_bytes());
            let mut out = String::new();
            painter.paint(terminal.screen(), status, &mut out);
            len = out.len();
            viewer.feed(out.as_bytes());
        }
        (viewer, len)
    }

    fn check(view: Size, size: Size, inputs: &[&str], expected: &str) {
        let (viewer, _) = painted(view, size, inputs, None);
        assert_eq!(viewer.screen().render(Format::Text, 0), expected);
    }

    #[test]
    fn a_view_of_the_same_size_shows_the_same() {
        let size = Size::new(10, 4);
        let inputs = [
            "0123456789\r\n世界e\u{301}\u{1f469}\u{200d}\u{1f680}x\r\n\x1b[41;1mred \x1b[K\x1b[m",
            "\x1b[1;3H\x1b[4:3mab\x1b[m\x1b[2;1H\x1b[2K\x1b[4;10Hx\x1b[2;4H",
            "\x1b[?25l",
        ];
        let mut terminal = Terminal::new(size, Options::default());
        for n in 0..inputs.len() {
            terminal.feed(inputs[n].as_bytes());
            let (viewer, _) = painted(size, size, &inputs[..=n], None);
            for format in [Format::Text, Format::Attrs] {
                let of = |terminal: &Terminal| terminal.screen().render(format, 0);
                assert_eq!(of(&viewer), of(&terminal));
            }
            let of = |t: &Terminal| (t.screen().cursor_visible(), t.screen().cursor());
            assert!(of(&viewer) == of(&terminal) || !terminal.screen().cursor_visible());
        }
    }

    #[test]
    fn what_did_not_change_is_not_drawn_again() {
        let size = Size::new(80, 24);
        let (_, len) = painted(size, size, &["long text here", "\r"], None);
        assert!(len < 40, "{len}");
    }

    #[test]
    fn a_smaller_view_is_cut_at_the_right_and_follows_the_cursor() {
        let size = Size::new(10, 4);
        check(Size::new(5, 4), size, &["0123456789\r\nab世世世\x1b[1;1H"], "01234\nab世\n");
        check(Size::new(5, 2), size, &["1\r\n2\r\n3\r\n4"], "3\n4\n");
        check(Size::new(20, 6), size, &["1\r\n2"], "1\n2\n");
    }

    #[test]
    fn a_status_stands_in_the_last_row() {
        let size = Size::new(10, 3);
        let (viewer, _) = painted(size, size, &["1\r\n2\r\n3\x1b[1;1H"], Some("status"));
        assert_eq!(viewer.screen().render(Format::Text, 0), "1\n2\nstatus\n");
        let (viewer, _) = painted(size, size, &["1\r\n2\r\n3"], Some("status"));
        assert_eq!(viewer.screen().render(Format::Text, 0), "2\n3\nstatus\n");
        assert_eq!(viewer.screen().cursor(), (1, 1));
    }
}
