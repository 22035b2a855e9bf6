//! Two tables of small cases, decided from the answers of eight engines: what the screen must
//! show, and how wide characters must be.

use crate::notation;
use intentloop::term::{Options, Size, Terminal, WidthMode, text_width};

fn screen_of(input: &str, size: Size, width: WidthMode) -> Terminal {
    let mut terminal = Terminal::new(size, Options { width, ..Options::default() });
    terminal.feed(&notation::bytes(input));
    terminal.check();
    terminal
}

/// Cases of tier P2 that are not done: margins left and right, rectangles, protection, and the
/// reverse wrap. No agent uses them.
const NOT_DONE: &[&str] = &["revwrap", "declrmm", "decsca", "decfra", "deccra", "decera", "decic"];

#[test]
fn traps_show_what_the_policy_says() {
    let mut wrong = Vec::new();
    let mut done = 0;
    for line in include_str!("traps.policy.tsv").lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, _tier, expected, input] = fields[..] else { panic!("bad line {line}") };
        let expected = expected.trim_end_matches('\t');
        let size = Size::new(10, 5);
        let terminal = screen_of(input, size, WidthMode::Cluster);
        let shown = notation::screen((0..5).map(|y| terminal.screen().row_text(y)));
        let as_expected = shown == expected;
        if as_expected == NOT_DONE.contains(&name) {
            wrong.push(format!("{name}: {input}\n  expected {expected}\n  shown    {shown}"));
        }
        done += usize::from(as_expected);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(done, 179 - NOT_DONE.len());
}

#[test]
fn clusters_are_as_wide_as_the_policy_says() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in include_str!("widths.policy.tsv").lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, cluster, legacy, input] = fields[..] else { panic!("bad line {line}") };
        for (mode, expected) in [(WidthMode::Cluster, cluster), (WidthMode::Legacy, legacy)] {
            // The input ends by going one row down, where a bar marks the column.
            let terminal = screen_of(input, Size::new(20, 3), mode);
            let column = terminal.screen().row_text(1).find('|').expect("a bar");
            let text = notation::bytes(input.trim_end_matches("\\e[B|"));
            let measured = text_width(&String::from_utf8(text).expect("UTF-8"), mode);
            if (column.to_string(), measured) != (expected.to_owned(), column) {
                wrong.push(format!("{name} {mode:?}: expected {expected}, {column}, {measured}"));
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(count, 2 * 68);
}
