//! Settled text of programs made up for the purpose, each painting in a way that is known to
//! mislead: the lines are known because the program told them.

use intentloop::term::transcript::{Settled, Transcript, text};
use intentloop::term::{Options, Size, Terminal};

/// Feeds steps 100 ms apart at 20x6, and returns the settled text.
fn told(steps: &[&str]) -> String {
    let mut transcript = Transcript::new(Size::new(20, 6), Options::default());
    for (n, step) in steps.iter().enumerate() {
        transcript.feed(n as u64 * 100_000, step.as_bytes());
    }
    text(&transcript.finish(steps.len() as u64 * 100_000 + 1_000_000), false)
}

fn check(name: &str, steps: &[&str], expected: &str) {
    assert_eq!(told(steps), expected, "{name}");
}

#[test]
fn plain_output_is_told_as_it_is() {
    check("lines", &["one\r\ntwo\r\n", "three\r\n"], "one\ntwo\nthree\n");
    check("equal lines are lines", &["ok\r\n".repeat(50).as_str()], &"ok\n".repeat(50));
    let slowly = ["ok\r\n"; 50];
    check("equal lines one by one", &slowly, &"ok\n".repeat(50));
    check(
        "a wrapped line is one",
        &["abcdefghijklmnopqrstuvwxyz\r\n"],
        "abcdefghijklmnopqrstuvwxyz\n",
    );
    check(
        "a progress bar ends as it ends",
        &["10%\r", "50%\r", "100%\r\ndone\r\n"],
        "100%\ndone\n",
    );
    check("runs of blank lines are one", &["a\r\n\r\n\r\n\r\nb\r\n"], "a\n\nb\n");
}

#[test]
fn a_line_written_bit_by_bit_is_one_line() {
    check(
        "streamed words, painted anew each time",
        &[
            "\x1b[2K\rThe",
            "\x1b[2K\rThe quick",
            "\x1b[2K\rThe quick brown\r\n",
            "\x1b[2K\rfox",
            "\x1b[2K\rfox jumps.\r\n",
        ],
        "The quick brown\nfox jumps.\n",
    );
}

#[test]
fn a_spinner_is_not_told() {
    let mut steps = Vec::new();
    for n in 0..20 {
        let glyph = ['⠋', '⠙', '⠹', '⠸'][n % 4];
        steps.push(format!("\x1b[2K\r{glyph} Working {n}s"));
    }
    steps.push("\x1b[2K\rThe answer.\r\n".to_owned());
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    check("spinner", &steps, "The answer.\n");
}

#[test]
fn a_dialog_that_was_read_is_told_at_its_time() {
    let wait = [""; 6];
    let mut steps = vec!["first line\r\n", "Proceed with it?\r\n> Yes\r\n  No\r\n"];
    steps.extend(wait);
    steps.push("\x1b[3A\x1b[Jsecond line\r\n");
    check("dialog", &steps, "first line\nProceed with it?\n> Yes\n  No\nsecond line\n");
    let mut transcript = Transcript::new(Size::new(20, 6), Options::default());
    for (n, step) in steps.iter().enumerate() {
        transcript.feed(n as u64 * 100_000, step.as_bytes());
    }
    let lines = transcript.finish(5_000_000);
    let kinds: Vec<Settled> = lines.iter().map(|line| line.kind).collect();
    use Settled::{Text, Transient};
    assert_eq!(kinds[..5], [Text, Transient, Transient, Transient, Text]);
    assert_eq!(lines[1].seen.time_us, 100_000);
}

/// What an Ink application with more output than rows does: clear everything, tell all again.
#[test]
fn what_is_told_again_after_a_clear_is_told_once() {
    for clear in ["\x1b[2J\x1b[3J\x1b[H", "\x1b[H\x1b[J", "\x1b[H\x1b[2J"] {
        let mut steps = Vec::new();
        let mut all = String::new();
        for n in 0..40 {
            all += &format!("line number {n}\r\n");
            steps.push(format!("\x1b[?2026h{clear}{all}> input\x1b[?2026l"));
        }
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        let expected: String = (0..40).map(|n| format!("line number {n}\n")).collect();
        check(&format!("{clear:?}"), &steps, &(expected + "> input\n"));
    }
}

/// A chat on the alternate screen: header and input line stand, the middle scrolls by cell
/// painting alone, and the user scrolls back and forth.
#[test]
fn a_chat_on_the_alternate_screen_is_told_in_order() {
    let frame = |from: usize, to: usize| {
        let mut out = String::from("\x1b[?2026h\x1b[H\x1b[2KThe header bar");
        for y in 0..4 {
            out += &format!("\x1b[{};1H\x1b[2K", y + 2);
            if from + y < to {
                out += &format!("message number {}", from + y);
            }
        }
        out + "\x1b[6;1H\x1b[2K> type here\x1b[?2026l"
    };
    let mut steps = vec!["\x1b[?1049h".to_owned()];
    for n in 1..=30 {
        steps.push(frame(usize::max(n, 4) - 4, n));
        if n == 20 {
            steps.extend((5..16).rev().map(|from| frame(from, from + 4)));
            steps.extend((6..=16).map(|from| frame(from, from + 4)));
        }
    }
    steps.push("\x1b[?1049l".to_owned());
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    let told = told(&steps);
    let messages: String = (0..30).map(|n| format!("message number {n}\n")).collect();
    let only: String =
        told.lines().filter(|l| l.starts_with("message")).map(|l| format!("{l}\n")).collect();
    // The last four left with the screen before they could be read.
    assert_eq!(
        only,
        messages.lines().take(only.lines().count()).map(|l| format!("{l}\n")).collect::<String>()
    );
    assert!(only.lines().count() >= 29, "{told}");
}

#[test]
fn what_a_menu_covered_is_told_once() {
    let wait = [""; 6];
    let mut steps = vec!["\x1b[?1049hthe question\r\nthe first answer\r\nthe second answer"];
    steps.extend(wait);
    steps.push("\x1b[2;1H\x1b[2K/menu one\x1b[3;1H\x1b[2K/menu two");
    steps.extend(wait);
    steps.push("\x1b[2;1H\x1b[2Kthe first answer\x1b[3;1H\x1b[2Kthe second answer");
    steps.extend(wait);
    let told = told(&steps);
    for line in ["the question", "the first answer", "the second answer", "/menu one"] {
        assert_eq!(told.lines().filter(|told| *told == line).count(), 1, "{line}: {told}");
    }
}

/// A status below goes on while a dialog above it comes and goes.
#[test]
fn a_dialog_is_told_before_what_came_after_it() {
    let wait = [""; 6];
    let mut steps = vec!["\x1b[?1049hlook first\r\n\r\nWorking here"];
    steps.extend(wait);
    steps.push("\x1b[4;1HAllow this edit?\x1b[5;1H  Patterns\x1b[6;1H  - src/*");
    steps.extend(wait);
    steps.push("\x1b[2;1H\x1b[Jedit is made\x1b[3;1HWorking here · 2.5s\x1b[6;1H  ");
    steps.extend(wait);
    let told = told(&steps);
    let order = ["look first", "Allow this edit?", "  Patterns", "  - src/*", "edit is made"];
    let places: Vec<_> = order.iter().map(|line| told.lines().position(|l| l == *line)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{told}");
}

#[test]
fn a_hint_in_an_empty_input_line_is_not_told() {
    let wait = [""; 6];
    let mut steps = vec!["hello\r\n\x1b[1m›\x1b[22m \x1b[2mAsk for anything\x1b[22m\r"];
    steps.extend(wait);
    steps.push("\x1b[2K\x1b[1m›\x1b[22m build it\r\nIt is built.\r\n");
    check("hint", &steps, "hello\n› build it\nIt is built.\n");
}

#[test]
fn a_light_that_runs_is_not_told() {
    let mut steps = vec!["\x1b[?1049hthe question\x1b[5;1H".to_owned()];
    for n in 0..20 {
        let squares = format!("{}■{}", "⬝".repeat(n % 4), "⬝".repeat(3 - n % 4));
        steps.push(format!("\x1b[5;1H\x1b[2K{squares} {n}s"));
    }
    steps.push("\x1b[5;1H\x1b[2Kthe answer".to_owned());
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    check("squares", &steps, "the question\n\nthe answer\n");
}

/// A turn taken back is still a turn, though its words stand in the input line again.
#[test]
fn a_turn_taken_back_is_told() {
    let wait = [""; 6];
    let mut steps = vec!["❯ build the thing now\r\nIt is built.\r\n\r\n❯ "];
    steps.extend(wait);
    steps.push("\x1b[2J\x1b[3J\x1b[H❯ build the thing now");
    steps.extend(wait);
    steps.push("\x1b[2K\r❯ another thing");
    steps.extend(wait);
    let told = told(&steps);
    let turn = told.find("❯ build the thing now\nIt is built.\n");
    assert!(turn.is_some() && turn < told.find("another thing"), "{told}");
}

/// Lines inserted above a standing input area by way of a scroll region, as Codex does.
#[test]
fn lines_inserted_above_a_standing_area_are_told_once() {
    let mut steps = vec!["\x1b[5;1H> input\x1b[6;1Hstatus".to_owned()];
    for n in 0..30 {
        steps.push(format!("\x1b[1;4r\x1b[4;1H\r\nline number {n}\x1b[r\x1b[5;8H"));
    }
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    let expected: String = (0..30).map(|n| format!("line number {n}\n")).collect();
    check("region", &steps, &(expected + "> input\nstatus\n"));
}

#[test]
fn a_resize_tells_nothing_twice() {
    let mut transcript = Transcript::new(Size::new(40, 6), Options::default());
    let words = "several words that fill a line of forty columns and more";
    let paint = |cols: usize| {
        let mut out = String::from("\x1b[2J\x1b[3J\x1b[H");
        for n in 0..10 {
            let line = format!("{n} {words}");
            let mut rest = &line[..];
            while !rest.is_empty() {
                let cut = match rest.len() <= cols {
                    true => rest.len(),
                    false => rest[..cols].rfind(' ').map_or(cols, |i| i + 1),
                };
                out += rest[..cut].trim_end();
                out += "\r\n";
                rest = &rest[cut..];
            }
        }
        out
    };
    transcript.feed(0, paint(40).as_bytes());
    transcript.feed(1_000_000, b"");
    transcript.resize(1_500_000, Size::new(30, 6));
    transcript.feed(1_510_000, paint(30).as_bytes());
    let told = text(&transcript.finish(3_000_000), false);
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected: String = (0..10).map(|n| format!("{n} {words} ")).collect();
    assert_eq!(squeezed(&told), squeezed(&expected));
}

/// F10: an application that only scrolls is its own transcript.
#[test]
fn what_only_scrolls_equals_the_history() {
    let mut bytes = String::new();
    for n in 0..3000 {
        bytes += &format!("{}\r\n", "word ".repeat(1 + n % 40).trim_end());
    }
    for chunk_len in [17, 4096, usize::MAX] {
        let options = Options { history_rows: usize::MAX, ..Options::default() };
        let mut terminal = Terminal::new(Size::new(80, 24), options);
        let mut transcript = Transcript::new(Size::new(80, 24), options);
        for (n, chunk) in bytes.as_bytes().chunks(chunk_len.min(bytes.len())).enumerate() {
            terminal.feed(chunk);
            transcript.feed(n as u64 * 1000, chunk);
        }
        let lines = transcript.finish(60_000_000);
        let told: Vec<&str> = lines.iter().map(|line| &*line.text).collect();
        let screen = terminal.screen().render(intentloop::term::Format::Logical, usize::MAX);
        assert_eq!(told, screen.lines().collect::<Vec<_>>());
    }
}

/// A window dragged so small that nothing fits, and back.
#[test]
fn what_a_small_window_has_no_room_for_is_told_once() {
    for sizes in [&[(1, 1), (65535, 65535), (20, 6)][..], &[(20, 1), (20, 6)]] {
        let mut transcript = Transcript::new(Size::new(20, 6), Options::default());
        transcript.feed(0, b"first line\r\nsecond line\r\n");
        let mut time_us = 0;
        for (cols, rows) in sizes {
            time_us += 20_000;
            transcript.resize(time_us, Size::new(*cols, *rows));
            transcript.feed(time_us + 10_000, b"");
        }
        transcript.feed(time_us + 50_000, b"third line\r\n");
        let told = text(&transcript.finish(1_000_000), false);
        assert_eq!(told, "first line\nsecond line\nthird line\n", "{sizes:?}");
    }
}
