//! A screen as SVG: text laid on the cell grid, so that a font's widths cannot make it drift.

use super::censor::cover;
use crate::term::{Color, ColorKind, Pen, Screen, palette, push_html_text};
use std::fmt::Write;

/// A cell's size in pixels.
const CELL_W: usize = 8;
const CELL_H: usize = 17;
/// From a row's top to the line its letters stand on.
const BASELINE: usize = 13;
const FOREGROUND: &str = "#d0d0d0";
const BACKGROUND: &str = "#161616";

/// The screen as one SVG document; with `masks`, secrets on it are covered.
pub fn screen(screen: &Screen, masks: bool) -> String {
    let size = screen.size();
    let (width, height) = (usize::from(size.cols) * CELL_W, usize::from(size.rows) * CELL_H);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"monospace\" font-size=\"13\" \
         xml:space=\"preserve\">\n<style>text {{ white-space: pre }}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"{BACKGROUND}\"/>\n"
    );
    for y in 0..usize::from(size.rows) {
        let mut runs = screen.row_runs(y);
        if masks {
            cover(&mut runs);
        }
        for run in runs {
            let (x, top, w) = (run.col * CELL_W, y * CELL_H, run.cols * CELL_W);
            let (fg, bg) = colors(run.pen);
            if let Some(bg) = bg {
                // Writing to a String cannot fail.
                let _ = writeln!(
                    out,
                    "<rect x=\"{x}\" y=\"{top}\" width=\"{w}\" height=\"{CELL_H}\" fill=\"{bg}\"/>"
                );
            }
            if run.text.trim().is_empty() || run.pen.attrs & Pen::HIDDEN != 0 {
                continue;
            }
            let _ = write!(
                out,
                "<text x=\"{x}\" y=\"{}\" textLength=\"{w}\" lengthAdjust=\"spacingAndGlyphs\" \
                 fill=\"{fg}\"{}>",
                top + BASELINE,
                attributes(run.pen)
            );
            push_html_text(&run.text, &mut out);
            out.push_str("</text>\n");
        }
    }
    out.push_str("</svg>\n");
    out
}

fn color(color: Color) -> Option<String> {
    let (r, g, b) = match color.kind() {
        ColorKind::Default => return None,
        ColorKind::Indexed(i) => palette(i),
        ColorKind::Rgb(r, g, b) => (r, g, b),
    };
    Some(format!("#{r:02x}{g:02x}{b:02x}"))
}

/// The colour of the letters, and that behind them if it is not the default.
fn colors(pen: Pen) -> (String, Option<String>) {
    let (fg, bg) = (color(pen.fg), color(pen.bg));
    match pen.attrs & Pen::INVERSE != 0 {
        false => (fg.unwrap_or_else(|| FOREGROUND.to_owned()), bg),
        true => {
            let behind = fg.unwrap_or_else(|| FOREGROUND.to_owned());
            (bg.unwrap_or_else(|| BACKGROUND.to_owned()), Some(behind))
        }
    }
}

fn attributes(pen: Pen) -> String {
    let mut out = String::new();
    let mut lines = Vec::new();
    let mut when = |bit: u16, text: &str| {
        if pen.attrs & bit != 0 {
            out.push_str(text);
        }
    };
    when(Pen::BOLD, " font-weight=\"bold\"");
    when(Pen::ITALIC, " font-style=\"italic\"");
    when(Pen::DIM, " opacity=\"0.6\"");
    for (set, line) in [
        (pen.underline() > 0, "underline"),
        (pen.attrs & Pen::STRIKE != 0, "line-through"),
        (pen.attrs & Pen::OVERLINE != 0, "overline"),
    ] {
        if set {
            lines.push(line);
        }
    }
    if !lines.is_empty() {
        let _ = write!(out, " text-decoration=\"{}\"", lines.join(" "));
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::term::{Options, Size, Terminal};

    #[test]
    fn text_is_laid_on_cells_and_escaped() {
        let mut terminal = Terminal::new(Size::new(10, 2), Options::default());
        terminal.feed("a<\x1b[1;31m世\x1b[0;7m&\x1b[8mx".as_bytes());
        let svg = super::screen(terminal.screen(), true);
        for part in [
            "width=\"80\" height=\"34\"",
            "text { white-space: pre }",
            "<text x=\"0\" y=\"13\" textLength=\"16\" lengthAdjust=\"spacingAndGlyphs\" \
             fill=\"#d0d0d0\">a&lt;</text>",
            "<text x=\"16\" y=\"13\" textLength=\"16\" lengthAdjust=\"spacingAndGlyphs\" \
             fill=\"#cd3131\" font-weight=\"bold\">世</text>",
            "<rect x=\"32\" y=\"0\" width=\"8\" height=\"17\" fill=\"#d0d0d0\"/>",
            "fill=\"#161616\">&amp;</text>",
        ] {
            assert!(svg.contains(part), "{part}\n{svg}");
        }
        assert!(!svg.contains(">x<"), "hidden text must not be told");
    }
}
