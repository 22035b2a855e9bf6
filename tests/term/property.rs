//! What must hold whatever the bytes are. Streams come from seeds that a failure names.

use crate::noise::{Rng, push_action, stream};
use intentloop::term::{
    Event, Format, HISTORY_BYTES_MAX, Observer, Options, REPLIES_LEN_MAX, Screen, Size, Stamp,
    Terminal, WidthMode,
};

const SIZES: [Size; 5] =
    [Size::new(10, 5), Size::new(1, 1), Size::new(2, 3), Size::new(40, 7), Size::new(7, 1)];

fn options(seed: u64) -> Options {
    let width = if seed.is_multiple_of(3) { WidthMode::Legacy } else { WidthMode::Cluster };
    Options { width, history_rows: 50, screen_titles: seed.is_multiple_of(5) }
}

/// Everything that can be seen of a terminal.
fn portrait(terminal: &Terminal) -> String {
    let keyframe = String::from_utf8_lossy(&terminal.keyframe()).into_owned();
    terminal.screen().render(Format::Json, usize::MAX) + &keyframe.replace('\x1b', "␛")
}

#[derive(Default)]
struct Log(Vec<String>);

impl Observer for Log {
    fn event(&mut self, screen: &Screen, event: Event<'_>) {
        self.0.push(format!("{} {event:?}", screen.stamp().offset));
    }

    fn row_leaves(&mut self, screen: &Screen) {
        let born = screen.row_born(0).offset;
        self.0.push(format!("{} {born} {}", screen.stamp().offset, screen.row_text(0)));
    }
}

#[test]
fn every_state_on_the_way_is_a_possible_one() {
    for seed in 0..150 {
        let mut rng = Rng::new(seed);
        let mut terminal = Terminal::new(SIZES[seed as usize % 5], options(seed));
        for _ in 0..120 {
            let mut action = Vec::new();
            push_action(&mut rng, &mut action);
            terminal.feed(&action);
            terminal.check();
        }
    }
}

#[test]
fn the_result_does_not_depend_on_how_the_bytes_are_cut() {
    for seed in 0..150 {
        let mut rng = Rng::new(seed);
        let bytes = stream(&mut rng, 60);
        let run = |mut cut: Box<dyn FnMut() -> usize>| {
            let mut terminal = Terminal::new(SIZES[seed as usize % 5], options(seed));
            let mut log = Log::default();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (now, later) = rest.split_at(cut().clamp(1, rest.len()));
                terminal.feed_with(now, &mut log);
                rest = later;
            }
            let replies = terminal.take_replies();
            (portrait(&terminal), log.0, replies)
        };
        let whole = run(Box::new(|| usize::MAX));
        assert_eq!(whole, run(Box::new(|| 1)), "seed {seed}, byte by byte");
        for n in 2..6 {
            assert_eq!(whole, run(Box::new(move || n)), "seed {seed}, by {n}");
        }
        assert_eq!(whole, run(Box::new(move || 1 + rng.below(20))), "seed {seed}, at random");
    }
}

#[test]
fn a_keyframe_makes_the_same_terminal_and_it_goes_on_the_same() {
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let (size, options) =
            (SIZES[seed as usize % 5], Options { history_rows: 0, ..options(seed) });
        let bytes = stream(&mut rng, 40);
        let cut = rng.below(bytes.len() + 1);
        let mut direct = Terminal::new(size, options);
        direct.feed(&bytes[..cut]);
        let stamp = Stamp { offset: cut as u64, time_us: 0 };
        let mut restored = Terminal::restore(size, options, &direct.keyframe(), stamp);
        restored.check();
        assert_eq!(portrait(&direct), portrait(&restored), "seed {seed}, at {cut}");
        direct.take_replies();
        for byte in &bytes[cut..] {
            direct.feed(&[*byte]);
            restored.feed(&[*byte]);
        }
        assert_eq!(portrait(&direct), portrait(&restored), "seed {seed}, cut at {cut}, at the end");
        assert_eq!(direct.take_replies(), restored.take_replies(), "seed {seed}");
    }
}

#[test]
fn with_its_history_a_keyframe_goes_on_the_same_in_a_window_that_changes() {
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let size = SIZES[seed as usize % 5];
        let options = Options { history_rows: 60, ..options(seed) };
        let mut direct = Terminal::new(size, options);
        for _ in 0..rng.below(30) {
            let words = "number 世界 ".repeat(rng.below(8));
            direct.feed(format!("\x1b[{}m{words}\r\n", rng.below(50)).as_bytes());
        }
        let bytes = stream(&mut rng, 20);
        direct.feed(&bytes);
        let keyframe = [direct.history_keyframe(60), direct.keyframe()].concat();
        let stamp = direct.screen().stamp();
        let mut restored = Terminal::restore(direct.screen().size(), options, &keyframe, stamp);
        assert_eq!(portrait(&direct), portrait(&restored), "seed {seed}");
        for n in 0..4 {
            let size = Size::new(1 + rng.below(50) as u16, 1 + rng.below(20) as u16);
            let more = stream(&mut rng, 3);
            for terminal in [&mut direct, &mut restored] {
                terminal.resize(size);
                terminal.feed(&more);
            }
            assert_eq!(portrait(&direct), portrait(&restored), "seed {seed}, resize {n}");
        }
    }
}

#[test]
fn any_resize_at_any_time_leaves_a_possible_state() {
    for seed in 0..150 {
        let mut rng = Rng::new(seed);
        let mut terminal = Terminal::new(SIZES[seed as usize % 5], options(seed));
        for _ in 0..15 {
            terminal.feed(&stream(&mut rng, 12));
            let size = match rng.below(6) {
                0 => Size::new(1, 1),
                1 => Size::new(300, 200),
                2 => Size::new(0, 0),
                _ => Size::new(1 + rng.below(30) as u16, 1 + rng.below(12) as u16),
            };
            terminal.resize(size);
            terminal.check();
        }
    }
}

#[test]
fn a_resize_there_and_back_keeps_the_lines() {
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let mut terminal = Terminal::new(Size::new(20, 6), Options::default());
        for _ in 0..1 + rng.below(30) {
            let words = rng.below(12);
            let line: Vec<String> =
                (0..words).map(|n| "x".repeat(1 + rng.below(9)) + &n.to_string()).collect();
            let wide = if rng.one_in(3) { "世界" } else { "" };
            terminal.feed(format!("{}{wide}\r\n", line.join(" ")).as_bytes());
        }
        let before = terminal.screen().render(Format::Logical, usize::MAX);
        for (cols, rows) in [(7, 6), (33, 6), (20, 3), (20, 11), (2, 2), (20, 6)] {
            terminal.resize(Size::new(cols, rows));
            terminal.check();
            let after = terminal.screen().render(Format::Logical, usize::MAX);
            assert_eq!(before, after, "seed {seed} at {cols}x{rows}");
        }
    }
}

/// No wide character fits in one column: one that is printed there is dropped, as it is at a right
/// edge without wrapping, and one that was there leaves a blank.
#[test]
fn in_one_column_there_is_no_wide_character() {
    let mut terminal = Terminal::new(Size::new(6, 4), Options::default());
    let text = |terminal: &Terminal| {
        terminal.check();
        terminal.screen().render(Format::Text, usize::MAX)
    };
    terminal.feed("a世b".as_bytes());
    terminal.resize(Size::new(1, 4));
    assert_eq!(text(&terminal), "a\n\nb\n");
    terminal.feed("\r\n世c".as_bytes());
    assert_eq!(text(&terminal), "a\n\nb\nc\n");
    terminal.resize(Size::new(6, 4));
    assert_eq!(text(&terminal), "a b\nc\n");
}

#[test]
fn text_ansi_and_html_say_the_same() {
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let mut terminal = Terminal::new(Size::new(40, 7), options(seed));
        terminal.feed(&stream(&mut rng, 80));
        let render = |format| terminal.screen().render(format, usize::MAX);
        let trim = |text: &str| -> Vec<String> {
            text.lines().map(|line| line.trim_end_matches(' ').to_owned()).collect()
        };
        let text = trim(&render(Format::Text));
        assert_eq!(text, trim(&without_escapes(&render(Format::Ansi))), "seed {seed}");
        assert_eq!(text, trim(&without_tags(&render(Format::Html))), "seed {seed}");
    }
}

/// Removes CSI and OSC sequences.
fn without_escapes(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = match rest.as_bytes()[0] {
            b'[' => 1 + rest[1..].find(|c: char| ('@'..='~').contains(&c)).expect("a final") + 1,
            b']' => rest.find("\x1b\\").expect("an end") + 2,
            other => panic!("ESC {other}"),
        };
        rest = &rest[end..];
    }
    out + rest
}

/// Removes tags and resolves entities.
fn without_tags(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = &rest[at + rest[at..].find('>').expect("an end of tag") + 1..];
    }
    out.push_str(rest);
    for (entity, c) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
    {
        out = out.replace(entity, c);
    }
    out
}

/// Feeds `unit` until `total` bytes have gone in, with a check of the state and of the memory.
fn flood(name: &str, total: usize, mut unit: impl FnMut(usize) -> Vec<u8>, bytes_max: usize) {
    let mut terminal = Terminal::new(Size::new(80, 24), Options::default());
    let (mut fed, mut n) = (0, 0);
    while fed < total {
        let bytes = unit(n);
        terminal.feed(&bytes);
        fed += bytes.len();
        n += 1;
    }
    terminal.check();
    let held = terminal.bytes_held();
    assert!(held <= bytes_max, "{name}: {held} bytes held, at most {bytes_max} allowed");
    terminal.feed(b"\x1b\\\x18\x1bc\x1b[0mstill alive");
    assert_eq!(terminal.screen().row_text(0), "still alive", "{name}");
}

#[test]
fn memory_is_bounded_whatever_comes() {
    const MIB: usize = 1 << 20;
    let repeat = |text: &str| {
        let block = text.repeat(4096 / text.len().max(1) + 1).into_bytes();
        move |_: usize| block.clone()
    };
    let screen = 4 * MIB;
    flood(
        "an endless title",
        8 * MIB,
        |n| if n == 0 { b"\x1b]0;".to_vec() } else { vec![b'x'; 4096] },
        screen,
    );
    flood(
        "endless graphics",
        8 * MIB,
        |n| if n == 0 { b"\x1bPq".to_vec() } else { vec![b'x'; 4096] },
        screen,
    );
    flood(
        "an endless sequence",
        8 * MIB,
        |n| if n == 0 { b"\x1b[".to_vec() } else { vec![b'1'; 4096] },
        screen,
    );
    flood("marks", 4 * MIB, repeat("\u{301}"), screen);
    flood(
        "marks of many kinds",
        4 * MIB,
        |n| {
            let mark = |i: usize| {
                char::from_u32(0x300 + ((n * 7 + i * 13) % 0x70) as u32).expect("a mark")
            };
            (0..400)
                .flat_map(|i| format!("e{}{}{}", mark(i), mark(i / 3), mark(n)).into_bytes())
                .collect()
        },
        HISTORY_BYTES_MAX + 32 * MIB,
    );
    flood(
        "70,000 colours",
        2 * MIB,
        |n| {
            (0..64)
                .flat_map(|i| {
                    let c = n * 64 + i;
                    format!("\x1b[38;2;{};{};{}mx", c >> 16 & 255, c >> 8 & 255, c & 255)
                        .into_bytes()
                })
                .collect()
        },
        HISTORY_BYTES_MAX + 32 * MIB,
    );
    flood(
        "70,000 links",
        4 * MIB,
        |n| {
            (0..64)
                .flat_map(|i| format!("\x1b]8;;http://a/{n}/{i}\x1b\\y\x1b]8;;\x1b\\").into_bytes())
                .collect()
        },
        HISTORY_BYTES_MAX + 32 * MIB,
    );
    flood("repetitions", MIB / 64, repeat("x\x1b[2000000000b"), HISTORY_BYTES_MAX + screen);
    flood("scrolls", MIB / 4, repeat("\x1b[2147483648S\x1b[99999999T"), HISTORY_BYTES_MAX + screen);
    flood("questions", 4 * MIB, repeat("\x1b[6n\x1b[c"), screen + REPLIES_LEN_MAX);
    flood("stacks", 2 * MIB, repeat("\x1b[22t\x1b[>1u\x1b]0;tttt\x07"), screen);
    flood("empty rows", 4 * MIB, repeat("\n"), HISTORY_BYTES_MAX + screen);
}

#[test]
fn a_screen_of_any_size_asked_for_is_bounded() {
    let mut terminal = Terminal::new(Size::new(65_535, 65_535), Options::default());
    terminal.feed(b"\x1b[65535;65535Hx\x1b#8");
    terminal.check();
    assert_eq!(terminal.screen().size(), Size::new(2000, 2000));
    terminal.resize(Size::new(1, 1));
    terminal.resize(Size::new(2000, 2000));
    terminal.resize(Size::new(2001, 1));
    assert_eq!(terminal.screen().size(), Size::new(2000, 1));
    terminal.check();
}

#[test]
fn a_sequence_at_its_limit_works_and_one_past_it_does_nothing() {
    use intentloop::term::CSI_LEN_MAX;
    for (len, expected) in [(CSI_LEN_MAX, "    x"), (CSI_LEN_MAX + 1, "x")] {
        let zeros = "0".repeat(len - 2);
        for cut in [1, 7, usize::MAX] {
            let mut terminal = Terminal::new(Size::new(10, 1), Options::default());
            let bytes = format!("\x1b[{zeros}5Gx").into_bytes();
            bytes.chunks(cut.min(bytes.len())).for_each(|chunk| terminal.feed(chunk));
            assert_eq!(terminal.screen().row_text(0), expected, "{len} bytes, cut at {cut}");
        }
    }
}
