//! Text for one line of a terminal: nothing in it can move the cursor, and it is as wide as asked.

use std::ffi::OsString;

use crate::term::{WidthMode, char_width, text_width};

/// `text` with every control character made harmless: white space becomes a blank, the others
/// U+FFFD. Format characters that reorder or hide text are dropped.
pub fn clean(text: &str) -> String {
    if text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return text.to_owned();
    }
    text.chars()
        .filter(|c| !is_reordering(*c))
        .map(|c| match c {
            '\t' | '\n' | '\r' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Bidirectional controls and the like (Unicode, chapter 23.2).
fn is_reordering(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Columns that a cleaned text takes.
pub fn width(text: &str) -> usize {
    text_width(text, WidthMode::Cluster)
}

/// A cleaned `text`, cut to at most `columns`; what was cut is marked by `…`.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut used = 0;
    let mut out = String::new();
    for c in text.chars() {
        used += char_width(c);
        if used + 1 > columns {
            break;
        }
        out.push(c);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// A command as it could be typed into a shell, cleaned.
pub fn words(argv: &[OsString]) -> String {
    let quoted: Vec<String> = argv.iter().map(|word| quote(&word.to_string_lossy())).collect();
    clean(&quoted.join(" "))
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "%+,-./:=@_^".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// `1 byte`, `512 bytes`, `18.7 KiB`, `2.1 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} byte{}", if bytes == 1 { "" } else { "s" });
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let text = format!("{value:.1}");
    format!("{} {}", text.strip_suffix(".0").unwrap_or(&text), UNITS[unit])
}

/// `1 byte`, `16,384 bytes`: every one of them.
pub fn bytes(bytes: u64) -> String {
    count(bytes, "byte")
}

/// `1 session`, `812 sessions`.
pub fn count(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(number), if number == 1 { "" } else { "s" })
}

/// `812,004`: thousands set off by commas.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Rows of columns, aligned by display width; the last column is not padded. Cells are cleaned
/// and, so that a row is at most `columns` wide, the last one is cut.
pub fn table(rows: &[Vec<String>], columns: usize) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|n| rows.iter().filter_map(|r| r.get(n)).map(|c| width(c)).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for row in rows {
        let mut used = 0;
        let mut text = String::new();
        for (n, cell) in row.iter().enumerate() {
            let is_last = n + 1 == row.len();
            let cell = if is_last { cut(cell, columns.saturating_sub(used)) } else { cell.clone() };
            let pad = if is_last { 0 } else { widths[n] - width(&cell) + 2 };
            used += widths[n] + 2;
            text.push_str(&cell);
            text.extend(std::iter::repeat_n(' ', pad));
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_the_cursor_is_left() {
        assert_eq!(clean("a\x1b[2J\x07b\tc\u{9b}\u{202e}d"), "a\u{fffd}[2J\u{fffd}b c\u{fffd}d");
    }

    #[test]
    fn text_is_cut_at_display_width_and_never_inside_a_character() {
        for (text, columns, want) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("日本語", 1, "…"),
            ("x", 0, ""),
        ] {
            assert_eq!(cut(text, columns), want);
        }
    }

    #[test]
    fn commands_are_quoted_for_a_shell() {
        let argv = ["sh", "-c", "echo 'a b'", ""].map(OsString::from);
        assert_eq!(words(&argv), r#"sh -c 'echo '\''a b'\''' ''"#);
    }

    #[test]
    fn sizes_and_numbers_read_well() {
        let cases = [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (19_149, "18.7 KiB"),
            (68_608, "67 KiB"),
            (1024 * 1024 - 1, "1 MiB"),
            (u64::MAX, "16384 PiB"),
        ];
        for (bytes, want) in cases {
            assert_eq!(size(bytes), want);
        }
        assert_eq!(thousands(812_004), "812,004");
        assert_eq!(thousands(99), "99");
        assert_eq!((count(1, "page"), bytes(1234)), ("1 page".into(), "1,234 bytes".into()));
    }

    #[test]
    fn tables_are_aligned_by_width() {
        let rows = vec![
            vec!["日本".to_owned(), "x".to_owned(), "long words here".to_owned()],
            vec!["a".to_owned(), "yy".to_owned(), "z".to_owned()],
        ];
        assert_eq!(table(&rows, 16), "日本  x   long …\na     yy  z\n");
    }
}
