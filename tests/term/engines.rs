//! The engine beside alacritty_terminal and avt, on the agents' recordings, at points along the
//! way. Rows must be equal but for differences that are decided and counted here.

use crate::agents::output;
use alacritty_terminal::event::VoidListener;
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::cell::Flags;
use alacritty_terminal::term::test::TermSize;
use alacritty_terminal::vte::ansi::Processor;
use intentloop::term::{Options, Size, Terminal, WidthMode};

const SIZE: Size = Size::new(100, 32);
/// Screens compared along each recording.
const POINTS: usize = 25;
const AGENTS: [&str; 9] =
    ["aider", "claude", "cline", "codex", "copilot", "gemini", "kimi", "opencode", "qwen"];

fn rows(terminal: &Terminal) -> Vec<String> {
    let screen = terminal.screen();
    (0..usize::from(SIZE.rows)).map(|y| screen.row_text(y).trim_end().to_owned()).collect()
}

fn alacritty_rows(term: &alacritty_terminal::Term<VoidListener>) -> Vec<String> {
    let row = |y: i32| {
        let mut text = String::new();
        for x in 0..usize::from(SIZE.cols) {
            let cell = &term.grid()[Line(y)][Column(x)];
            if !cell.flags.intersects(Flags::WIDE_CHAR_SPACER | Flags::LEADING_WIDE_CHAR_SPACER) {
                text.push(if cell.c == '\t' { ' ' } else { cell.c });
                text.extend(cell.zerowidth().into_iter().flatten());
            }
        }
        text.trim_end().to_owned()
    };
    (0..i32::from(SIZE.rows)).map(row).collect()
}

/// Runs a recording through il and another engine, comparing at the points. Returns how many
/// screens were compared, how many were equal, and the first difference.
fn compare(
    agent: &str,
    mut feed: impl FnMut(&[u8]),
    mut shown: impl FnMut() -> Vec<String>,
) -> (usize, usize, Option<String>) {
    let events = output(agent);
    let options = Options { width: WidthMode::Legacy, ..Options::default() };
    let mut terminal = Terminal::new(SIZE, options);
    let every = (events.len() / POINTS).max(1);
    let (mut run, mut equal, mut first) = (0, 0, None);
    for (n, (_, bytes)) in events.iter().enumerate() {
        terminal.feed(bytes);
        feed(bytes);
        if n % every == 0 {
            let (ours, theirs) = (rows(&terminal), shown());
            run += 1;
            if ours == theirs {
                equal += 1;
            } else if first.is_none() {
                let pair = ours.iter().zip(&theirs).find(|(a, b)| a != b);
                first = Some(format!("{agent} event {n}: {pair:?}"));
            }
        }
    }
    (run, equal, first)
}

#[test]
fn screens_of_agents_equal_alacritty() {
    let (mut run, mut equal, mut differences) = (0, 0, Vec::new());
    for agent in AGENTS {
        let size = TermSize::new(100, 32);
        let term = alacritty_terminal::Term::new(Default::default(), &size, VoidListener);
        let term = std::cell::RefCell::new(term);
        let mut parser: Processor = Processor::new();
        let result = compare(
            agent,
            |bytes| {
                parser.advance(&mut *term.borrow_mut(), bytes);
                // It holds back synchronized output, which here is only a mark.
                parser.stop_sync(&mut *term.borrow_mut());
            },
            || alacritty_rows(&term.borrow()),
        );
        run += result.0;
        equal += result.1;
        differences.extend(result.2);
    }
    println!("alacritty_terminal: {run} screens compared, {equal} equal\n{differences:#?}");
    assert!(run >= 9 * POINTS && equal == run, "{equal} of {run} equal\n{differences:#?}");
}

#[test]
fn screens_of_agents_equal_avt() {
    let (mut run, mut equal, mut differences) = (0, 0, Vec::new());
    for agent in AGENTS {
        let vt = avt::Vt::builder().size(100, 32).scrollback_limit(0).build();
        let vt = std::cell::RefCell::new(vt);
        let result = compare(
            agent,
            |bytes| {
                vt.borrow_mut().feed_str(std::str::from_utf8(bytes).expect("UTF-8"));
            },
            || vt.borrow().view().map(|line| line.text().trim_end().to_owned()).collect(),
        );
        run += result.0;
        equal += result.1;
        differences.extend(result.2);
    }
    println!("avt: {run} screens compared, {equal} equal\n{differences:#?}");
    assert!(run >= 9 * POINTS && equal == run, "{equal} of {run} equal\n{differences:#?}");
}
