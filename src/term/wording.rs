//! What the words of a row say, apart from frames, marks, numbers and spinners around them.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::align::Key;

/// What stands before a notice laid over the right end of rows.
const NOTICE_EDGE: &str = "      ┃";

/// A row's key: its text without what may hang at its right edge, a frame or a scroll bar.
pub(super) fn key(text: &str) -> Key {
    let body = text.trim_end_matches(is_frame);
    // A notice that covers the right end of the row does not make it another row.
    let body = match body.find(NOTICE_EDGE) {
        Some(at) if !body[..at].trim_matches(is_frame).is_empty() => {
            body[..at].trim_end_matches(is_frame)
        }
        _ => body,
    };
    let mut hasher = DefaultHasher::new();
    match body.is_empty() {
        true => text.trim().hash(&mut hasher),
        false => body.hash(&mut hasher),
    }
    let weight = match body.chars().filter(|c| c.is_alphanumeric()).count() {
        0 => 0,
        1..3 => 4,
        3..8 => 16,
        _ => 40,
    };
    Key { hash: hasher.finish(), weight }
}

/// Box drawing, block elements and blanks, zero-width ones included.
pub(super) fn is_frame(c: char) -> bool {
    matches!(c, '\u{2500}'..='\u{259f}' | '|' | '\u{200b}') || c.is_whitespace()
}

/// A bar at the right of a row stands at least so far from its beginning.
const BAR_COLUMN_MIN: usize = 40;

/// The line without what a scroll bar shows at its right end.
pub(super) fn without_bar(text: &str) -> &str {
    let is_bar = |c| matches!(c, '┃' | '╻' | '╹' | '█' | '▀' | '▄' | '▐' | '▕');
    match text.strip_suffix(is_bar) {
        Some(body)
            if body.ends_with(' ')
                && body.chars().count() >= BAR_COLUMN_MIN
                && !body.trim_matches(is_frame).is_empty() =>
        {
            body.trim_end()
        }
        _ => text,
    }
}

/// What stands before a prompt, a choice or an item.
pub(super) fn is_marker(c: char) -> bool {
    matches!(c, '>' | '❯' | '›' | '●' | '○' | '◉' | '•' | '*' | '-' | '⏺' | '▸' | '▶' | '→')
        || matches!(c, '⊶' | '✓' | '✔' | '✗' | '✖' | '☐' | '☑' | '☒' | '◻' | '◼')
        || is_spinner(c)
}

pub(super) fn is_spinner(c: char) -> bool {
    matches!(c, '\u{2800}'..='\u{28ff}' | '✻' | '✽' | '✶' | '✢' | '✳' | '∗' | '·' | '◐' | '◓' | '◑' | '◒'
        | '\u{1f311}'..='\u{1f318}' | '◴' | '◷' | '◶' | '◵' | '◜' | '◝' | '◞' | '◟')
}

pub(super) fn begins_with_prompt(text: &str) -> bool {
    text.trim_start_matches(is_frame).starts_with(['❯', '›', '>'])
}

/// Both lines begin with the same mark: a prompt, a choice.
pub(super) fn begins_alike(a: &str, b: &str) -> bool {
    let mark = |text: &str| text.trim_start_matches(is_frame).chars().next();
    mark(a) == mark(b)
}

pub(super) fn begins_with_spinner(text: &str) -> bool {
    let text = text.trim_start();
    text.chars().next().is_some_and(is_spinner) || text.split(' ').next().is_some_and(is_squares)
}

/// So many squares in a row are a light that runs.
const SQUARES_MIN: usize = 4;

/// A row of small squares, some of them lit.
fn is_squares(word: &str) -> bool {
    let is_square = |c: char| matches!(c, '■' | '□' | '▪' | '▫' | '◼' | '◻' | '⬝' | '⬞');
    word.chars().all(is_square) && word.chars().count() >= SQUARES_MIN
}

pub(super) fn normal(text: &str) -> String {
    let mut out = String::new();
    for word in text.split(is_frame).filter(|word| !word.is_empty()) {
        if out.is_empty() && word.chars().all(is_marker) {
            continue;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// What bars of progress are drawn with, apart from blocks.
const BAR: &str = "#=-.>";
/// A bar has at least so many characters.
const BAR_CHARS_MIN: usize = 10;

/// The row with its numbers, spinners and bars evened out.
pub(super) fn skeleton(text: &str) -> String {
    let mut out = String::new();
    for word in normal(text).split(' ') {
        if !out.is_empty() {
            out.push(' ');
        }
        let bar = word.trim_matches(['[', ']', '(', ')', '|']);
        if bar.len() >= BAR_CHARS_MIN && bar.chars().all(|c| BAR.contains(c)) {
            out.push('=');
            continue;
        }
        if is_squares(word) {
            out.push('*');
            continue;
        }
        for c in word.chars() {
            match c {
                '0'..='9' | '.' | ',' if out.ends_with('#') => {}
                '0'..='9' => out.push('#'),
                c if is_spinner(c) => out.push('*'),
                c => out.push(c),
            }
        }
    }
    out
}

pub(super) fn squeeze(text: &str) -> String {
    text.chars().filter(|c| !is_frame(*c)).collect()
}

/// Columns before the first character that is neither frame nor marker.
pub(super) fn indent(text: &str) -> usize {
    text.chars().take_while(|c| is_frame(*c) || is_marker(*c)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scroll_bar_is_no_part_of_a_line() {
        let words = "words that reach as far as the bar stands";
        assert_eq!(without_bar(&format!("{words} ┃")), words);
        assert_eq!(without_bar(&format!("{words}     █")), words);
        for whole in ["50 % █", &format!("{words}█"), &format!("{}┃", " ".repeat(60))] {
            assert_eq!(without_bar(whole), whole);
        }
    }
}
