//! `il frames`: the pictures that a session was, for programs that read recordings.

use super::{JSON_VERSION, home, print, screen};
use crate::cli::{Command, Flag, Global, Hint, Operand, Operands};
use crate::error::Result;
use crate::format::recording::Action;
use crate::json::write_object;
use crate::library::{Library, Step};
use crate::term::{Options, Screen, Terminal, WidthMode, text_width};

/// `il frames [ID] [--json]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "frames",
    summary: "List the pictures a session consists of",
    flags: &[Flag::switch(
        "json",
        "Print JSON lines, with the rows that changed",
        |args: &mut Args| {
            args.json = true;
        },
    )],
    shared: &[],
    operands: Operands::Each(
        &[Operand::optional("ID", Hint::Session, "Session, the newest if left out")],
        |args: &mut Args, word| {
            args.id = Some(super::id(word)?);
            Ok(())
        },
    ),
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    id: Option<String>,
    json: bool,
}

/// What stands for at least so long is a picture: a frame of a screen of 60 Hz.
const FRAME_US: u64 = 16_000;
/// A picture that a program says is in the making counts all the same after this.
const SYNC_US_MAX: u64 = 150_000;

fn run(args: Args, global: &Global) -> Result<u8> {
    let library = Library::open(&home::dir(global)?)?;
    let session = library.find(args.id.as_deref())?;
    let mut terminal = session.terminal(Options { history_rows: 0, ..Options::default() });
    let mut replay = library.replay(&session);
    let mut frames = Frames { json: args.json, ..Frames::default() };
    if !args.json {
        frames.out.push_str("FRAME\tTIME\tCELLS\tROWS\tOFFSET\n");
    }
    let (mut offset, mut last_us, mut since_us) = (0u64, 0, 0);
    let mut waits = false;
    loop {
        let next = replay.next();
        let t_us = if let Step::Action((t_us, _)) = next { t_us } else { u64::MAX };
        let in_sync = terminal.screen().in_sync() && t_us - since_us < SYNC_US_MAX;
        if waits && t_us - last_us >= FRAME_US && !in_sync {
            frames.take(&terminal, last_us, offset)?;
            waits = false;
        }
        let Step::Action((_, action)) = next else { break };
        if let Action::Output(bytes) = action {
            offset += bytes.len() as u64;
        }
        if matches!(action, Action::Output(_) | Action::Resize(_)) {
            since_us = if waits { since_us } else { t_us };
            waits = true;
            last_us = t_us;
        }
        action.show_on(&mut terminal);
    }
    print(frames.out)?;
    Ok(0)
}

#[derive(Default)]
struct Frames {
    json: bool,
    count: u64,
    /// The rows of the last picture: text, and its looks.
    rows: Vec<(String, String)>,
    cols: u16,
    out: String,
}

impl Frames {
    /// Tells the picture, if it is another than the last.
    fn take(&mut self, terminal: &Terminal, t_us: u64, offset: u64) -> Result<()> {
        let screen = terminal.screen();
        let size = screen.size();
        let rows: Vec<(String, String)> =
            (0..usize::from(size.rows)).map(|y| (screen.row_text(y), looks(screen, y))).collect();
        let resized = rows.len() != self.rows.len() || size.cols != self.cols;
        let blank = (String::new(), String::new());
        let old = |y: usize| self.rows.get(y).unwrap_or(&blank);
        let changed: Vec<usize> = (0..rows.len()).filter(|y| rows[*y] != *old(*y)).collect();
        if changed.is_empty() && !(resized && self.count > 0) {
            return Ok(());
        }
        let cells: usize = changed.iter().map(|y| cells(old(*y), &rows[*y])).sum();
        self.count += 1;
        if self.json {
            write_object(&mut self.out, |o| {
                o.int("v", JSON_VERSION);
                o.int("frame", self.count);
                o.int("t_us", t_us);
                o.int("offset", offset);
                o.int("cells", cells as u64);
                o.int("cols", size.cols);
                o.int("rows", size.rows);
                let (row, col) = screen.cursor();
                o.object("cursor", |o| {
                    o.int("row", row as u64);
                    o.int("col", col as u64);
                    o.bool("visible", screen.cursor_visible());
                });
                o.bool("alternate", screen.on_alternate());
                o.object("changed", |o| {
                    for y in &changed {
                        o.string(&y.to_string(), &rows[*y].0);
                    }
                });
            });
            self.out.push('\n');
        } else {
            let (s, ms) = (t_us / 1_000_000, t_us / 1000 % 1000);
            let (count, changed) = (self.count, changed.len());
            self.out.push_str(&format!("{count}\t{s}.{ms:03}\t{cells}\t{changed}\t{offset}\n"));
        }
        self.rows = rows;
        self.cols = size.cols;
        match self.out.len() >= screen::PIECE_LEN {
            true => print(std::mem::take(&mut self.out)),
            false => Ok(()),
        }
    }
}

/// How a row looks apart from its letters.
fn looks(screen: &Screen, y: usize) -> String {
    let runs = screen.row_runs(y);
    runs.iter().map(|run| format!("{}:{};", run.cols, run.pen.sgr_params())).collect()
}

/// The cells in which two rows differ; all of the longer one if only their looks do.
fn cells(old: &(String, String), new: &(String, String)) -> usize {
    if old.0 == new.0 {
        return text_width(&new.0, WidthMode::default());
    }
    let (mut a, mut b) = (old.0.chars(), new.0.chars());
    let mut count = 0;
    loop {
        let (x, y) = (a.next(), b.next());
        if x.is_none() && y.is_none() {
            return count;
        }
        if x.unwrap_or(' ') != y.unwrap_or(' ') {
            let width = |c: Option<char>| c.map_or(0, crate::term::char_width);
            count += width(x).max(width(y)).max(1);
        }
    }
}
