//! How many megabytes a second the engine takes, beside other engines: `cargo bench --bench term`.
//! Everything in memory, 120x40, chunks of 64 KiB, 10,000 rows of history, the best of several
//! rounds, in time the processor spent, so that a busy machine measures the same. Words after `--`
//! pick workloads by name.

use std::io::Read;

use alacritty_terminal::event::VoidListener;
use alacritty_terminal::term::test::TermSize;
use alacritty_terminal::vte::ansi::Processor;
use intentloop::term::{Options, Size, Terminal};
use rustix::time::{ClockId, clock_gettime};

const COLS: usize = 120;
const ROWS: usize = 40;
const HISTORY: usize = 10_000;
const CHUNK_LEN: usize = 64 << 10;
const TOTAL_LEN: usize = 8 << 20;
const ROUNDS: usize = 5;

fn il(bytes: &[u8]) {
    let options = Options { history_rows: HISTORY, ..Options::default() };
    let mut terminal = Terminal::new(Size::new(COLS as u16, ROWS as u16), options);
    bytes.chunks(CHUNK_LEN).for_each(|chunk| terminal.feed(chunk));
    std::hint::black_box(terminal.screen().cursor());
}

fn alacritty(bytes: &[u8]) {
    let config = alacritty_terminal::term::Config {
        scrolling_history: HISTORY,
        ..alacritty_terminal::term::Config::default()
    };
    let size = TermSize::new(COLS, ROWS);
    let mut term = alacritty_terminal::Term::new(config, &size, VoidListener);
    let mut parser: Processor = Processor::new();
    bytes.chunks(CHUNK_LEN).for_each(|chunk| parser.advance(&mut term, chunk));
    std::hint::black_box(term.grid().cursor.point);
}

fn avt(bytes: &[u8]) {
    let mut vt = avt::Vt::builder().size(COLS, ROWS).scrollback_limit(HISTORY).build();
    // It takes text; the cost of making it from bytes is not counted against it.
    let text = String::from_utf8_lossy(bytes);
    let mut rest = &text[..];
    while !rest.is_empty() {
        let mut len = rest.len().min(CHUNK_LEN);
        while !rest.is_char_boundary(len) {
            len -= 1;
        }
        vt.feed_str(&rest[..len]);
        rest = &rest[len..];
    }
    std::hint::black_box(vt.cursor());
}

fn vt100(bytes: &[u8]) {
    let mut parser = vt100::Parser::new(ROWS as u16, COLS as u16, HISTORY);
    bytes.chunks(CHUNK_LEN).for_each(|chunk| parser.process(chunk));
    std::hint::black_box(parser.screen().cursor_position());
}

/// Repeats what `unit` makes until there is enough.
fn fill(mut unit: impl FnMut(usize) -> String) -> Vec<u8> {
    let mut out = Vec::new();
    let mut n = 0;
    while out.len() < TOTAL_LEN {
        out.extend_from_slice(unit(n).as_bytes());
        n += 1;
    }
    out
}

const WORDS: [&str; 12] = [
    "error",
    "in",
    "module",
    "the",
    "quick",
    "terminal",
    "was",
    "compiled",
    "successfully",
    "at",
    "line",
    "warning:",
];

fn words(n: usize, count: usize) -> String {
    (0..count).map(|i| WORDS[(n * 31 + i * 7) % WORDS.len()]).collect::<Vec<_>>().join(" ")
}

fn plain_log() -> Vec<u8> {
    fill(|n| format!("{n:08} {}\r\n", words(n, 4 + n % 14)))
}

fn sgr_heavy() -> Vec<u8> {
    fill(|n| {
        let colored = (0..10).map(|i| {
            let word = WORDS[(n + i * 5) % WORDS.len()];
            match i % 3 {
                0 => format!("\x1b[38;5;{}m{word}\x1b[39m ", (n + i) % 256),
                1 => format!("\x1b[1;{}m{word}\x1b[0m ", 31 + (n + i) % 7),
                _ => format!("\x1b[38;2;{};{};{}m{word}\x1b[m ", n % 8 * 30, i * 25, 128),
            }
        });
        colored.collect::<String>() + "\r\n"
    })
}

fn repaint() -> Vec<u8> {
    fill(|n| {
        let rows = (1..=ROWS).map(|y| {
            let text: String = words(n + y, 40).chars().take(COLS).collect();
            format!("\x1b[{y};1H{text}")
        });
        rows.collect()
    })
}

fn ink_storm() -> Vec<u8> {
    fill(|n| {
        let mut frame = String::from("\x1b[?2026h");
        frame += &"\x1b[2K\x1b[1A".repeat(14);
        frame += "\x1b[2K\x1b[G";
        for y in 0..14 {
            frame += &format!("\x1b[36m{}\x1b[39m {}\x1b[39m\n", "│", words(n + y, 5));
        }
        frame.replace('\n', "\r\n") + "\x1b[?2026l"
    })
}

fn cjk_emoji() -> Vec<u8> {
    fill(|n| {
        let text = [
            "終端機模擬器的速度測試",
            "한국어 텍스트 출력",
            "日本語のログ出力です",
            "✅ 完了 🚀",
            "⚠️ 警告 👩‍💻",
        ];
        (0..5).map(|i| text[(n + i) % text.len()]).collect::<Vec<_>>().join(" ") + "\r\n"
    })
}

fn agent() -> Vec<u8> {
    let mut session = Vec::new();
    for name in ["claude", "codex", "gemini", "opencode"] {
        let path = format!("{}/tests/term/recordings/{name}.cast.gz", env!("CARGO_MANIFEST_DIR"));
        let packed = std::fs::File::open(path).expect("a recording");
        let mut cast = String::new();
        flate2::read::GzDecoder::new(packed).read_to_string(&mut cast).expect("a recording");
        for line in cast.lines().skip(1) {
            let event: serde_json::Value = serde_json::from_str(line).expect("an event");
            session.extend_from_slice(event[2].as_str().expect("data").as_bytes());
        }
    }
    fill(|_| String::from_utf8_lossy(&session).into_owned())
}

/// Seconds the processor has spent on this thread.
fn spent() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

type Workload = (&'static str, fn() -> Vec<u8>);
type Engine = (&'static str, fn(&[u8]));
const ENGINES: [Engine; 4] = [("il", il), ("alacritty", alacritty), ("avt", avt), ("vt100", vt100)];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let workloads: [Workload; 6] = [
        ("plain_log", plain_log),
        ("sgr_heavy", sgr_heavy),
        ("repaint", repaint),
        ("ink_storm", ink_storm),
        ("cjk_emoji", cjk_emoji),
        ("agent", agent),
    ];
    println!(
        "{:<12}{:>10}{:>12}{:>10}{:>10}{:>12}   MB/s",
        "", "il", "alacritty", "avt", "vt100", "il/best"
    );
    for (name, make) in workloads {
        if !wanted.is_empty() && !wanted.iter().any(|w| name.contains(w.as_str())) {
            continue;
        }
        let bytes = make();
        let mut speeds = [0.0f64; ENGINES.len()];
        for _ in 0..ROUNDS {
            for (speed, (_, engine)) in speeds.iter_mut().zip(ENGINES) {
                let start = spent();
                engine(&bytes);
                *speed = speed.max(bytes.len() as f64 / 1e6 / (spent() - start));
            }
        }
        let best = speeds[1..].iter().copied().fold(0.0, f64::max);
        println!(
            "{name:<12}{:>10.0}{:>12.0}{:>10.0}{:>10.0}{:>12.2}",
            speeds[0],
            speeds[1],
            speeds[2],
            speeds[3],
            speeds[0] / best
        );
    }
}
