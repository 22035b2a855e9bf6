//! The engine beside a real tmux and asciinema's avt: on the tables of small cases, and on cases
//! from seeds. Where one of them differs, `differences.tsv` has what it shows and why the engine
//! does not: oracle, case, screen, reason.

use std::collections::BTreeMap;

use crate::noise::Rng;
use crate::notation;
use crate::tmux::{MARK, Shown, Tmux};
use intentloop::term::{Options, Size, Terminal, WidthMode};

const SIZE: Size = Size::new(10, 5);
/// The tmux whose differences are written down.
const TMUX: &str = "tmux 3.3a";
/// Cases from seeds.
const GENERATED: u64 = 400;

fn il(bytes: &[u8]) -> Shown {
    let options = Options { width: WidthMode::Legacy, ..Options::default() };
    let mut terminal = Terminal::new(SIZE, options);
    terminal.feed(bytes);
    terminal.feed(MARK);
    let screen = terminal.screen();
    let rows = (0..usize::from(SIZE.rows)).map(|y| screen.row_text(y).trim_end().to_owned());
    let (y, x) = screen.cursor();
    (rows.collect(), x + usize::from(screen.wrap_pending()), y)
}

fn avt(bytes: &[u8]) -> Shown {
    let (cols, rows) = (usize::from(SIZE.cols), usize::from(SIZE.rows));
    let mut vt = avt::Vt::builder().size(cols, rows).scrollback_limit(0).build();
    vt.feed_str(&String::from_utf8_lossy(&[bytes, MARK].concat()));
    let rows = vt.view().map(|line| line.text().trim_end().to_owned()).collect();
    let cursor = vt.cursor();
    (rows, cursor.col, cursor.row)
}

/// The tables' cases by name.
fn tables() -> Vec<(String, Vec<u8>)> {
    let traps = include_str!("traps.policy.tsv").lines().map(|line| ("", line));
    let widths = include_str!("widths.policy.tsv").lines().map(|line| ("width:", line));
    let case = |(table, line): (&str, &str)| {
        let (name, _) = line.split_once('\t').expect("a name");
        let (_, input) = line.rsplit_once('\t').expect("an input");
        (format!("{table}{name}"), notation::bytes(input))
    };
    traps.chain(widths).map(case).collect()
}

/// As the tables write screens, with the cursor.
fn written((rows, x, y): &Shown) -> String {
    format!("{} @{x},{y}", notation::screen(rows.iter().cloned()))
}

/// Runs the tables' cases. Every difference must be written down; and where the oracle is the
/// version they were written down of, every one written down must be there.
fn compare_tables(oracle: &str, is_pinned: bool, mut shown: impl FnMut(&[u8]) -> Shown) {
    let mut known: BTreeMap<&str, (&str, &str)> = include_str!("differences.tsv")
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let [of, case, screen, reason] = fields[..] else { panic!("bad line {line}") };
            (of, case, screen, reason)
        })
        .filter(|(of, ..)| *of == oracle)
        .map(|(_, case, screen, reason)| (case, (screen, reason)))
        .collect();
    let (mut run, mut equal) = (0, 0);
    let mut unexplained = String::new();
    for (name, bytes) in tables() {
        let (ours, theirs) = (il(&bytes), shown(&bytes));
        run += 1;
        let screen = written(&theirs);
        let is_equal = ours == theirs;
        equal += usize::from(is_equal);
        match (is_equal, known.remove(&*name)) {
            (true, None) => {}
            // Another tmux may have learnt it.
            (true, Some((_, reason))) if !is_pinned => println!("{oracle} {name}: not: {reason}"),
            (false, Some((expected, reason))) if screen == expected => {
                println!("{oracle} {name}: {reason}");
            }
            (_, known) => {
                unexplained += &format!(
                    "{oracle}\t{name}\t{screen}\t(il {}; written down {known:?})\n",
                    written(&ours)
                );
            }
        }
    }
    println!("{oracle}: {run} cases of the tables run, {equal} equal, {} explained", run - equal);
    assert!(unexplained.is_empty() && known.is_empty(), "\n{unexplained}{known:?}");
}

/// A case that keeps to what all terminals mean to do alike: nothing is edited while a wrap is
/// pending, wide characters are not cut in half, a move follows what leaves the cursor in
/// different columns, and lines are inserted and deleted within the margins alone (tmux and avt
/// act outside too). No more blanks are inserted than half the row takes: tmux leaves old cells
/// among them.
fn case(seed: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let with_wide = rng.one_in(3);
    let mut terminal = Terminal::new(SIZE, Options::default());
    let mut out = Vec::new();
    for _ in 0..20 + rng.below(40) {
        let n = |rng: &mut Rng| (1 + rng.below(6)).to_string();
        let is_pending = terminal.screen().wrap_pending();
        let mut action = match rng.below(100) {
            0..40 if with_wide => {
                rng.pick(&["世", "世界", "한글", "a", "é", "─", "日本語", "bc "]).to_owned()
            }
            0..40 => rng.pick(&["a", "bc", "hello ", "0123456789", "é", "─│", "x y z"]).to_owned(),
            40..55 => rng.pick(&["\r", "\r\n", "\r\n\r\n", "\r\t"]).to_owned(),
            55..70 => format!("\x1b[{};{}H", n(&mut rng), n(&mut rng)),
            70..78 => rng.pick(&["\x1b[31m", "\x1b[1;44m", "\x1b[m", "\x1b[38;5;9m"]).to_owned(),
            78..82 => format!("\x1b[{}{}", n(&mut rng), rng.pick(&["A", "B", "C", "D", "G", "d"])),
            82..86 => rng.pick(&["\x1b[2K", "\x1b[2J", "\x1b[H\x1b[J"]).to_owned(),
            // Row 3 lies within all margins.
            86..89 => format!("\x1b[3H\x1b[{}{}\r", n(&mut rng), rng.pick(&["L", "M", "S", "T"])),
            89..95 if !with_wide => {
                format!("\x1b[{}{}", rng.below(2), rng.pick(&["K", "J"]))
            }
            95..97 if !with_wide => format!("\x1b[{}{}", n(&mut rng), rng.pick(&["P", "X"])),
            97 if !with_wide => format!("\r\x1b[{}@", 1 + rng.below(5)),
            98 => format!("\x1b[{};{}r", 1 + rng.below(2), 3 + rng.below(3)),
            _ => rng.pick(&["\x1b7\x1b[Hq\x1b8", "\x1bM", "\x1b]0;t\x07"]).to_owned(),
        };
        // Wide characters are painted over whole: the row is emptied before.
        let is_text = !action.starts_with(['\x1b', '\r']);
        if with_wide && is_text {
            action = format!("\x1b[2K{action}");
        }
        if is_pending && (!is_text || with_wide) && !action.starts_with('\r') {
            action.insert(0, '\r');
        }
        terminal.feed(action.as_bytes());
        out.extend_from_slice(action.as_bytes());
    }
    out
}

fn compare_generated(oracle: &str, mut shown: impl FnMut(&[u8]) -> Shown) {
    let mut different = String::new();
    let mut equal = 0;
    for seed in 1..=GENERATED {
        let bytes = case(seed);
        let (ours, theirs) = (il(&bytes), shown(&bytes));
        if ours == theirs {
            equal += 1;
        } else {
            different += &format!(
                "seed {seed}: {}\n  il     {}\n  {oracle}   {}\n",
                bytes.escape_ascii(),
                written(&ours),
                written(&theirs)
            );
        }
    }
    println!("{oracle}: {GENERATED} cases from seeds run, {equal} equal");
    assert!(different.is_empty(), "\n{different}");
}

#[test]
fn a_real_tmux_shows_the_same_or_why_not_is_known() {
    let mut tmux = Tmux::start(SIZE);
    let version = tmux.version();
    println!("{version}");
    compare_tables("tmux", version == TMUX, |bytes| tmux.shown(bytes));
    compare_generated("tmux", |bytes| tmux.shown(bytes));
}

#[test]
fn avt_shows_the_same_or_why_not_is_known() {
    compare_tables("avt", true, avt);
    compare_generated("avt", avt);
}
