//! `il attach`: look at a session's screen, live while it runs.

use std::time::Duration;

use super::play::{bar, clock, cut_hint, last_screen};
use super::stage::{Happening, Key, Stage};
use super::{home, print, screen};
use crate::cli::{Command, Global, Hint, Operand, Operands};
use crate::error::Result;
use crate::format::line;
use crate::library::{Library, Replay, Session, Step};
use crate::session::Status;
use crate::sys::time;
use crate::term::{Format, Options, Painter, Terminal};

/// `il attach [ID]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "attach",
    summary: "Look at a session's screen, live",
    flags: &[],
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
}

/// Rows shown above the last screen: what the ring still holds.
const HISTORY_ROWS: usize = 1000;
/// How often the store is looked at: often while something happens, a little less often when
/// nothing does. A look costs three short reads of one file.
const LOOK_US_MIN: u64 = 2_000;
const LOOK_US_MAX: u64 = 6_000;
/// A picture is painted at least this often while more is there to read.
const FRAME_US: u64 = 8_000;
/// A picture in the making is painted all the same after this.
const SYNC_US_MAX: u64 = 150_000;
/// A status that covers a row of the picture goes after this.
const STATUS_US: u64 = 3_000_000;

fn run(args: Args, global: &Global) -> Result<u8> {
    let library = Library::open(&home::dir(global)?)?;
    let session = library.find(args.id.as_deref())?;
    if session.status == Status::Running
        && let Some(stage) = Stage::enter()?
    {
        return View::new(&library, &session, stage).run();
    }
    let mut ring = Vec::new();
    library.copy(&session, "ring", &mut ring)?;
    let options = Options { history_rows: HISTORY_ROWS, ..Options::default() };
    let mut terminal = session.terminal(options);
    terminal.feed(&ring);
    // The engine's own rendering: nothing of the recording but its text and colours gets out.
    let format = if screen::is_terminal() { Format::Ansi } else { Format::Text };
    let mut text = terminal.screen().render(format, HISTORY_ROWS);
    text.truncate(text.trim_end_matches('\n').len());
    text.push('\n');
    print(text)?;
    Ok(0)
}

/// A running session on the stage.
struct View<'a> {
    session: &'a Session,
    replay: Replay,
    terminal: Terminal,
    stage: Stage,
    painter: Painter,
    /// Until when, by the clock, the status may cover a row.
    status_us: u64,
    painted_us: u64,
    changed: bool,
    caught_up: bool,
}

fn clock_us() -> u64 {
    time::monotonic_ns() / 1000
}

impl View<'_> {
    fn new<'a>(library: &Library, session: &'a Session, stage: Stage) -> View<'a> {
        View {
            session,
            replay: library.replay(session),
            terminal: session.terminal(Options::default()),
            painter: Painter::new(stage.size()),
            stage,
            status_us: clock_us() + STATUS_US,
            painted_us: 0,
            changed: true,
            caught_up: false,
        }
    }

    fn run(mut self) -> Result<u8> {
        let mut look_us = LOOK_US_MIN;
        loop {
            if self.read() {
                break;
            }
            let now_us = clock_us();
            let status_is_over = self.painted_us < self.status_us && now_us >= self.status_us;
            let due = self.changed || status_is_over || self.spare();
            if due && self.paint(now_us) {
                self.changed = false;
                look_us = LOOK_US_MIN;
            } else {
                look_us = (look_us + look_us / 8).min(LOOK_US_MAX);
            }
            let pause_us = if self.caught_up { look_us } else { 0 };
            match self.stage.wait(Duration::from_micros(pause_us)) {
                Happening::Time => {}
                Happening::Resized => {
                    self.painter = Painter::new(self.stage.size());
                    self.stage.write("\x1b[0m\x1b[2J");
                    self.status_us = clock_us() + STATUS_US;
                    self.changed = true;
                }
                Happening::Gone => {
                    self.stage.leave();
                    return Ok(0);
                }
                Happening::Keys(keys) => {
                    if keys.iter().any(|key| matches!(key, Key::Char('q' | '\x03'))) {
                        self.stage.leave();
                        return Ok(0);
                    }
                    self.status_us = clock_us() + STATUS_US;
                    self.changed = true;
                }
            }
        }
        self.stage.leave();
        print(last_screen(self.terminal.screen(), self.painter.view().cols))?;
        Ok(0)
    }

    /// Takes what is there, for as long as a picture may take. True at the session's end.
    fn read(&mut self) -> bool {
        let began_us = clock_us();
        loop {
            match self.replay.next() {
                Step::Action((_, action)) => {
                    action.show_on(&mut self.terminal);
                    self.changed = true;
                }
                Step::Tail => {
                    self.caught_up = true;
                    return false;
                }
                Step::End => return true,
            }
            if clock_us() - began_us > FRAME_US {
                return false;
            }
        }
    }

    /// The status has a row of its own, and tells another second.
    fn spare(&self) -> bool {
        let has_row = self.terminal.screen().size().rows < self.painter.view().rows;
        has_row && clock_us() - self.painted_us > 1_000_000
    }

    /// False if the picture is still in the making.
    fn paint(&mut self, now_us: u64) -> bool {
        let in_sync = self.terminal.screen().in_sync();
        if in_sync && self.caught_up && now_us < self.painted_us + SYNC_US_MAX {
            return false;
        }
        let screen = self.terminal.screen();
        let spare = screen.size().rows < self.painter.view().rows;
        let mut out = String::new();
        let status = (spare || now_us < self.status_us || !self.caught_up).then(|| self.status());
        // Until it has caught up, only the status is true.
        let blank = Terminal::new(screen.size(), Options::default());
        let shown = if self.caught_up { screen } else { blank.screen() };
        self.painter.paint(shown, status.as_deref(), &mut out);
        self.stage.write(&out);
        self.painted_us = now_us;
        true
    }

    fn status(&self) -> String {
        let screen = self.terminal.screen();
        let since_us = self.session.duration_us(time::wall().unix_us).unwrap_or(0);
        let command = line::words(&self.session.meta.argv);
        let state = if self.caught_up { "live" } else { "catching up" };
        let text = format!(" {state} {}  {command}", clock(since_us));
        let hint = match self.painter.holds(screen) {
            true => "q leaves ".to_owned(),
            false => format!("q leaves  {}", cut_hint(screen)),
        };
        bar(&text, &hint, usize::from(self.painter.view().cols))
    }
}
