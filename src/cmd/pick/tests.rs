//! The list by keys and pictures.

use super::list::{List, QUERY_LEN_MAX, Row, SESSIONS_MAX, Wish, body_rows, whole_characters};
use super::preview::{Head, PREVIEW_LEN_MAX, Preview, wrap};
use crate::cmd::stage::Key;
use crate::session::Status;
use crate::term::{Format, Options, Painter, Size, Terminal};

fn row(n: usize, prompt: &str) -> Row {
    let hay = format!("id-{n}\n{prompt}");
    Row {
        id: format!("id-{n}"),
        started: "2026-05-30 15:12".to_owned(),
        status: Status::Succeeded,
        agent: "claude".to_owned(),
        project: "shop".to_owned(),
        prompt: prompt.to_owned(),
        lower: hay.to_lowercase(),
        hay,
    }
}

fn list(prompts: &[&str]) -> List {
    let mut list = List::default();
    prompts.iter().enumerate().for_each(|(n, prompt)| list.add(row(n, prompt)));
    list
}

/// What the keys lead to, each a character, or a word in brackets.
fn check(keys: &str, matched: usize, wish: &str) {
    let mut list = list(&["Fix the Login", "fix tests", "日本語 login", "docs"]);
    let mut last = Wish::Stay;
    let mut rest = keys;
    while let Some(c) = rest.chars().next() {
        let (key, len) = match rest.find(']').filter(|_| c == '[') {
            Some(end) => (named(&rest[1..end]), end + 1),
            None => (Key::Char(c), c.len_utf8()),
        };
        last = list.key(key, 3);
        rest = &rest[len..];
    }
    let wished = match &last {
        Wish::Stay => "stay",
        Wish::Leave => "leave",
        Wish::Take(id) => id,
    };
    assert_eq!((list.matched.len(), wished), (matched, wish), "{keys}");
}

fn named(name: &str) -> Key {
    match name {
        "up" => Key::Up,
        "down" => Key::Down,
        "pgup" => Key::PageUp,
        "pgdn" => Key::PageDown,
        "home" => Key::Home,
        "end" => Key::End,
        "esc" => Key::Escape,
        "left" => Key::Left,
        name => panic!("{name}"),
    }
}

#[test]
fn typing_narrows_and_keys_move() {
    check("", 4, "stay");
    check("\r", 4, "id-0");
    check("login", 2, "stay");
    check("Login\r", 1, "id-0");
    check("fix LOGIN\r", 0, "stay");
    check("login fix\r", 1, "id-0");
    check("日\r", 1, "id-2");
    check("login\x7f\x7f\x7f\x7f\x7f\r", 4, "id-0");
    check("fix login\x17\r", 2, "id-0");
    check("zzz\x15\r", 4, "id-0");
    check("id-3\n", 1, "id-3");
    check("[down][down][up]\r", 4, "id-1");
    check("[down][down][down][down][down]\r", 4, "id-3");
    check("[up]\x0e\x0e\x10\r", 4, "id-1");
    check("[pgdn]\r", 4, "id-2");
    check("[pgdn][pgdn][pgdn]\r", 4, "id-3");
    check("[end]\r", 4, "id-3");
    check("[end][pgup][home][left]\r", 4, "id-0");
    check("[end]fix\r", 2, "id-0");
    check("[esc]", 4, "leave");
    check("x\x03", 2, "leave");
    check("\x1f\t\u{202e}\r", 4, "id-0");
}

#[test]
fn a_list_is_so_long_and_no_longer() {
    for (count, is_cut) in [(SESSIONS_MAX, false), (SESSIONS_MAX + 1, true)] {
        let mut list = List { is_loading: true, ..List::default() };
        let mut source = (0..count).map(|n| row(n, "x"));
        while list.is_loading {
            list.load(&mut source);
        }
        assert_eq!((list.rows.len(), list.is_cut), (SESSIONS_MAX, is_cut));
        let head = shown(&mut list, Size::new(80, 3), None, false).screen().row_text(0);
        assert_eq!(head.ends_with("100000/100000"), !is_cut, "{head}");
    }
}

#[test]
fn what_is_typed_has_a_limit() {
    let mut list = list(&[]);
    (0..QUERY_LEN_MAX + 1).for_each(|_| list.type_character('x'));
    assert_eq!(list.query.len(), QUERY_LEN_MAX);
    list.query.pop();
    list.type_character('日');
    assert_eq!(list.query.len(), QUERY_LEN_MAX - 1);
}

fn shown(list: &mut List, size: Size, preview: Option<&Preview>, coloured: bool) -> Terminal {
    let mut terminal = Terminal::new(size, Options::default());
    terminal.feed(list.draw(size, preview, coloured).as_bytes());
    terminal
}

#[test]
fn a_picture_of_every_size_stands_where_it_should() {
    let preview = Preview {
        head: vec!["Session: x".to_owned()],
        body: vec!["日本語 words ".repeat(40)],
        is_tail: false,
    };
    let mut list = list(&["one", "日本語日本語日本語日本語日本語", "three"]);
    list.query = "日本語".repeat(20);
    for (cols, rows) in (1..130).flat_map(|cols| [1, 2, 3, 4, 9].map(|rows| (cols, rows))) {
        let size = Painter::new(Size::new(cols, rows)).view();
        for at in 0..3 {
            list.at = at;
            let terminal = shown(&mut list, size, Some(&preview), true);
            assert_eq!(terminal.screen().history_len(), 0, "{cols}x{rows} has scrolled");
            assert_eq!(terminal.screen().cursor().0, 0, "{cols}x{rows}");
            let marked = (0..usize::from(size.rows))
                .filter(|y| *y > 0 && terminal.screen().row_text(*y).starts_with('>'))
                .count();
            assert_eq!(marked, body_rows(size).min(1), "{cols}x{rows}");
        }
    }
}

#[test]
fn the_list_stands_left_and_the_session_beside_it() {
    let mut list = list(&["Fix the login", "docs"]);
    "fix".chars().for_each(|c| list.type_character(c));
    let preview = Preview {
        head: vec!["Session: x".to_owned()],
        body: vec!["said".to_owned()],
        is_tail: true,
    };
    let text = |list: &mut List, cols| {
        shown(list, Size::new(cols, 5), Some(&preview), false).screen().render(Format::Text, 0)
    };
    assert_eq!(
        text(&mut list, 48),
        "Session: fix                                 1/2\n\
         > 05-30 15:12  Fix the login\n\
         \n\n\
         \x20Enter choose  Esc leave    type to filter  ↑ ↓\n"
    );
    let wide = text(&mut list, 142);
    let mut lines = wide.lines().skip(1);
    let first = lines.next().expect("a row");
    assert!(first.starts_with("> 05-30 15:12  Fix") || first.contains("claude    shop"), "{wide}");
    assert_eq!(first.chars().skip(71).collect::<String>(), " │ Session: x", "{wide}");
    assert!(lines.nth(1).is_some_and(|row| row.ends_with(" │ said")), "{wide}");
}

#[test]
fn without_colours_there_are_none() {
    let mut list = list(&["a", "b"]);
    assert!(list.draw(Size::new(90, 5), None, true).contains("\x1b[32m"));
    assert!(!list.draw(Size::new(90, 5), None, false).contains("\x1b[32m"));
}

#[test]
fn the_beginning_of_a_long_text_is_taken() {
    use std::io::Write;
    for (len, taken) in [(PREVIEW_LEN_MAX, true), (PREVIEW_LEN_MAX + 1, false)] {
        let mut head = Head::default();
        assert_eq!(head.write_all(&vec![b'x'; len]).is_ok(), taken);
        assert_eq!(head.0.len(), PREVIEW_LEN_MAX);
    }
    for (text, len_max, expected) in [("abc", 3, 3), ("abcd", 3, 3), ("日本", 5, 3), ("", 5, 0)] {
        assert_eq!(whole_characters(text, len_max), expected, "{text}");
    }
}

#[test]
fn a_screen_is_shown_from_its_end_and_a_conversation_from_its_beginning() {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    for (is_tail, expected) in [(false, "Head  a b"), (true, "Head  c d")] {
        let preview = Preview { head: words("Head"), body: words("a b c d "), is_tail };
        assert_eq!(preview.rows(9, 4), words(expected));
    }
}

#[test]
fn lines_are_broken_at_blanks() {
    for (text, cols, expected) in [
        ("", 3, &[""][..]),
        ("one two", 7, &["one two"]),
        ("one two", 5, &["one", "two"]),
        ("abcdef", 4, &["abcd", "ef"]),
        ("日本語", 5, &["日本", "語"]),
        ("日本", 1, &["…", "…"]),
    ] {
        assert_eq!(wrap(text, cols), expected, "{text} {cols}");
    }
}
