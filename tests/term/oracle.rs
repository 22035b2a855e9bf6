//! The engine against xterm.js, on streams from seeds:
//!
//!     .ci/setup oracles
//!     cargo bench --bench term_oracle -- DIR [CASES [SEED]]
//!
//! Streams keep to what the engine means to share with xterm.js. Left out, because it differs by
//! decision: a saved cursor with the wrap pending, broken UTF-8, `_` and `~` of DEC graphics,
//! combining marks after a control, the alternate screen of mode 47 keeping its content, origin
//! mode as part of a saved cursor, margins after DECALN; and, because xterm.js is wrong there:
//! relative moves in origin mode, half-overwritten wide characters without autowrap, and ED 1 at
//! the end of the last row, where it throws, and a saved cursor that moves when the screen scrolls.
//! A difference is shrunk and printed, and makes the run fail. DIR holds `node_modules`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use intentloop::term::{Options, Size, Terminal, WidthMode};

#[allow(dead_code)]
mod noise;
use noise::Rng;

const SIZE: Size = Size::new(10, 5);
const BATCH: usize = 200;

type Screen = (Vec<String>, usize, usize);

struct Oracle {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Oracle {
    fn start(dir: &str) -> Oracle {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/term/xterm.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node must be installed");
        let to = child.stdin.take().expect("a pipe");
        let from = BufReader::new(child.stdout.take().expect("a pipe"));
        Oracle { child, to, from }
    }

    fn screens(&mut self, cases: &[Vec<u8>]) -> Vec<Option<Screen>> {
        let mut frames = Vec::new();
        for case in cases {
            frames.extend_from_slice(&(case.len() as u32).to_le_bytes());
            frames.extend_from_slice(&SIZE.cols.to_le_bytes());
            frames.extend_from_slice(&SIZE.rows.to_le_bytes());
            frames.extend_from_slice(case);
        }
        self.to.write_all(&frames).and_then(|()| self.to.flush()).expect("node takes cases");
        cases
            .iter()
            .map(|_| {
                let mut line = String::new();
                self.from.read_line(&mut line).expect("an answer");
                let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
                if value.is_null() {
                    return None;
                }
                let row =
                    |row: &serde_json::Value| row.as_str().expect("a row").trim_end().to_owned();
                let rows = value[0].as_array().expect("rows").iter().map(row).collect();
                let number = |i: usize| value[i].as_u64().expect("a number") as usize;
                Some((rows, number(1), number(2)))
            })
            .collect()
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // It may have gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn il(case: &[u8]) -> Screen {
    let options = Options { width: WidthMode::Legacy, ..Options::default() };
    let mut terminal = Terminal::new(SIZE, options);
    terminal.feed(case);
    terminal.check();
    let screen = terminal.screen();
    let rows = (0..usize::from(SIZE.rows)).map(|y| screen.row_text(y).trim_end().to_owned());
    let (y, x) = screen.cursor();
    (rows.collect(), x + usize::from(screen.wrap_pending()), y)
}

/// The actions of one case, each complete in itself so that a case can be shrunk.
fn actions(rng: &mut Rng) -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = Vec::new();
    let mut origin = false;
    let with_origin = rng.one_in(3);
    let with_wide = rng.one_in(2);
    for _ in 0..20 + rng.below(40) {
        let n = |rng: &mut Rng| match rng.below(8) {
            0 => String::new(),
            1 => "0".to_owned(),
            2 => "99".to_owned(),
            n => (n - 2).to_string(),
        };
        let action = match rng.below(100) {
            0..45 => {
                let texts =
                    ["a", "bc", "hello ", "0123456789", "世", "世界", "e\u{301}", "한", "é", "─"];
                let text = rng.pick(&texts);
                if with_wide || !matches!(text, "世" | "世界" | "한") { text } else { "a" }
                    .to_owned()
            }
            45..56 => {
                rng.pick(&["\r", "\n", "\r\n", "\x08", "\t", "\x0b", "\x7f", "\0"]).to_owned()
            }
            56..64 => format!("\x1b[{};{}H", n(rng), n(rng)),
            64..70 if !origin => format!(
                "\x1b[{}{}",
                n(rng),
                rng.pick(&["A", "B", "C", "D", "E", "F", "G", "I", "Z", "d", "e", "a", "`"])
            ),
            70..76 => {
                format!("\x1b[{}m", rng.pick(&["", "1", "31", "44", "38;5;9", "48;2;1;2;3", "0"]))
            }
            76..84 => format!("\x1b[{}{}", rng.below(4), rng.pick(&["J", "K"])).replace("3K", "2K"),
            84..92 => format!("\x1b[{}{}", n(rng), rng.pick(&["L", "M", "P", "@", "X", "S", "T"])),
            92..94 => format!("\x1b[{};{}r", rng.below(4), 2 + rng.below(5)),
            94 if with_origin => {
                origin = !origin;
                format!("\x1b[?6{}", if origin { "h" } else { "l" })
            }
            95 if with_wide => rng.pick(&["\x1b[4h", "\x1b[4l"]).to_owned(),
            95 => rng.pick(&["\x1b[?7l", "\x1b[?7h", "\x1b[4h", "\x1b[4l"]).to_owned(),
            96 if !with_origin && rng.one_in(4) => "\x1b[r\x1b#8".to_owned(),
            96 => rng.pick(&["\x1bD", "\x1bE", "\x1bM"]).to_owned(),
            97 if !with_origin => "\x1b[2;3H\x1b[31m\x1b7\x1b[4;5H\x1b[mq\x1b8".to_owned(),
            98 if !with_origin => rng.pick(&["\x1bH", "\x1b[3g", "\x1b[g"]).to_owned(),
            _ => rng
                .pick(&[
                    "\x1b]0;t\x07",
                    "\x1bPq\x1b\\",
                    "\x1b[>1u",
                    "\x1b[?25l",
                    "\x1b[1?2m",
                    "x\x1b[3b",
                ])
                .to_owned(),
        };
        out.push(action.into_bytes());
    }
    out
}

fn shrink(oracle: &mut Oracle, mut case: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let differs = |oracle: &mut Oracle, case: &[Vec<u8>]| {
        let bytes = case.concat();
        let theirs = oracle.screens(std::slice::from_ref(&bytes)).remove(0);
        theirs.is_some_and(|theirs| theirs != il(&bytes))
    };
    let mut i = 0;
    while i < case.len() {
        let mut without = case.clone();
        without.remove(i);
        if differs(oracle, &without) {
            case = without;
        } else {
            i += 1;
        }
    }
    case
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let Some(dir) = words.first() else {
        eprintln!("usage: cargo bench --bench term_oracle -- DIR [CASES [SEED]]");
        std::process::exit(2);
    };
    let number = |i: usize, default| words.get(i).map_or(default, |w| w.parse().expect("a number"));
    let (cases, seed): (usize, usize) = (number(1, 10_000), number(2, 1));
    let mut oracle = Oracle::start(dir);
    let (mut run, mut different, mut thrown) = (0, 0, 0);
    while run < cases {
        let batch: Vec<Vec<Vec<u8>>> = (run..cases.min(run + BATCH))
            .map(|n| actions(&mut Rng::new((seed * 1_000_003 + n) as u64)))
            .collect();
        let bytes: Vec<Vec<u8>> = batch.iter().map(|case| case.concat()).collect();
        let answers = oracle.screens(&bytes);
        for ((case, bytes), theirs) in batch.into_iter().zip(&bytes).zip(answers) {
            run += 1;
            let Some(theirs) = theirs else {
                thrown += 1;
                continue;
            };
            if il(bytes) == theirs {
                continue;
            }
            different += 1;
            if different <= 10 {
                let small = shrink(&mut oracle, case).concat();
                let (ours, theirs) = (il(&small), oracle.screens(std::slice::from_ref(&small)));
                println!(
                    "{}\n  il       {ours:?}\n  xterm.js {:?}",
                    small.escape_ascii(),
                    theirs[0]
                );
            }
        }
    }
    let equal = run - different - thrown;
    println!(
        "xterm.js: {run} cases run, {equal} equal, {different} different, {thrown} made xterm.js throw"
    );
    std::process::exit(i32::from(different > 0));
}
