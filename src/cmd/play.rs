//! `il play`: a session once more, on the terminal.

use std::io::{self, Write};
use std::time::Duration;

use super::pick::{self, Picks};
use super::stage::{Happening, Key, Stage};
use super::{home, moment, print};
use crate::cli::{Command, Flag, Global, Hint, Operand, Operands};
use crate::error::{Error, Result};
use crate::format::line;
use crate::format::recording::Action;
use crate::library::{Library, Mark, Player, Session, Step};
use crate::sys::time;
use crate::term::{Filter, Painter, Screen, push_row};

/// `il play [ID] [--speed X] [--idle S] [--from TIME] [--until TIME]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "play",
    summary: "Replay a session on the terminal",
    flags: &[
        pick::flag(),
        Flag::value("speed", "X", "Play X times as fast", |args: &mut Args, value| {
            args.speed = Some(number(&value, SPEED_MAX)?);
            Ok(())
        }),
        Flag::value("idle", "S", "Shorten pauses to S seconds", |args: &mut Args, value| {
            args.idle_s = Some(number(&value, IDLE_S_MAX)?);
            Ok(())
        }),
        Flag::value("from", "TIME", "Begin at TIME, or at turn:N", |args: &mut Args, value| {
            args.from = Some(value.into_string().map_err(|_| "not a time")?);
            Ok(())
        }),
        Flag::value("until", "TIME", "Stop at TIME", |args: &mut Args, value| {
            args.until = Some(value.into_string().map_err(|_| "not a time")?);
            Ok(())
        }),
    ],
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
    speed: Option<f64>,
    idle_s: Option<f64>,
    from: Option<String>,
    until: Option<String>,
    pick: bool,
}

impl Picks for Args {
    fn pick(&mut self) {
        self.pick = true;
    }
}

const SPEED_MIN: f64 = 1.0 / 64.0;
const SPEED_MAX: f64 = 1024.0;
const IDLE_S_MAX: f64 = 1e6;
/// Pictures are at least this far apart.
const FRAME_US: u64 = 16_000;
/// A status that covers a row of the picture goes after this.
const STATUS_US: u64 = 2_000_000;
/// What the arrows skip.
const SKIP_US: u64 = 5_000_000;
const FAR_US: u64 = 60_000_000;
/// `p` goes to the mark before this one if it was passed less than this ago.
const BACK_US: u64 = 1_000_000;
/// Fewer columns of a status than this, and its hint goes.
const TEXT_COLUMNS_MIN: usize = 16;
/// Bytes that are indexed between two looks at the keys: about a millisecond's work, and while
/// somebody waits for it.
const INDEX_LEN: u64 = 128 << 10;
const INDEX_WAITED_LEN: u64 = 4 << 20;

fn number(value: &std::ffi::OsStr, max: f64) -> std::result::Result<f64, String> {
    let number = value.to_str().and_then(|text| text.parse::<f64>().ok());
    match number.filter(|n| *n > 0.0) {
        Some(n) if n <= max => Ok(n),
        Some(_) => Err(format!("more than {max}")),
        None => Err("not a number above 0".to_owned()),
    }
}

fn run(args: Args, global: &Global) -> Result<u8> {
    let library = Library::open(&home::dir(global)?)?;
    let session = pick::session(&library, args.pick, args.id.as_deref())?;
    let when = |text: &Option<String>| match text {
        Some(text) => moment::parse(text, &library, &session).map(Some),
        None => Ok(None),
    };
    let (from_us, until_us) = (when(&args.from)?.unwrap_or(0), when(&args.until)?);
    if session.meta.imported.is_some() && library.replay(&session).is_at_end() {
        return Err(Error::failed("there is nothing to play")
            .why("nothing was recorded of a terminal")
            .with_hint("'il dump conversation' prints what was said"));
    }
    let pace = Pace {
        speed: args.speed.unwrap_or(1.0),
        idle_us: args.idle_s.map_or(u64::MAX, |s| (s * 1e6) as u64),
        until_us: until_us.unwrap_or(u64::MAX),
    };
    match Stage::enter()? {
        Some(stage) => {
            // A session that ended long ago, or whose recorder was killed, may have none yet.
            let keep = |player: &Player<'_>| {
                let to_change = home::dir(global).and_then(|dir| Library::open_to_change(&dir));
                if let Ok(library) = to_change {
                    library.keep_keyframes(&session, player);
                }
            };
            Show::new(&library, &session, &keep, stage, pace).run(from_us)
        }
        None => pour(&library, &session, from_us, &pace),
    }
}

/// How time passes.
#[derive(Debug)]
struct Pace {
    speed: f64,
    idle_us: u64,
    until_us: u64,
}

/// Without a terminal: what may be shown, at its pace.
fn pour(library: &Library, session: &Session, from_us: u64, pace: &Pace) -> Result<u8> {
    let (mut terminal, mut replay) = library.enter(session, from_us);
    let mut filter = Filter::new();
    let (mut out, mut shown) = (io::stdout().lock(), Vec::new());
    let failed = |e: io::Error| Error::io("cannot write to standard output", &e);
    if from_us > 0 {
        while replay.peek_us().is_some_and(|t_us| t_us <= from_us) {
            if let Step::Action((_, action)) = replay.next() {
                action.show_on(&mut terminal);
            }
        }
        filter.feed(&terminal.keyframe(), &mut shown);
        out.write_all(&shown).map_err(failed)?;
    }
    let mut last_us = from_us;
    let began_ns = time::monotonic_ns();
    let mut due_ns = 0u64;
    while let Step::Action((t_us, action)) = replay.next() {
        if t_us > pace.until_us {
            break;
        }
        let Action::Output(bytes) = action else { continue };
        let pause_us = t_us.saturating_sub(last_us).min(pace.idle_us);
        last_us = last_us.max(t_us);
        due_ns = due_ns.saturating_add((pause_us as f64 * 1000.0 / pace.speed) as u64);
        let passed_ns = time::monotonic_ns() - began_ns;
        if due_ns > passed_ns {
            std::thread::sleep(Duration::from_nanos(due_ns - passed_ns));
        }
        shown.clear();
        filter.feed(bytes, &mut shown);
        out.write_all(&shown).and_then(|()| out.flush()).map_err(failed)?;
    }
    Ok(0)
}

/// A session on the stage.
struct Show<'a> {
    player: Player<'a>,
    /// Takes the keyframes once they are made, if it can.
    keep: &'a dyn Fn(&Player<'_>),
    marks: Vec<Mark>,
    turns: usize,
    total_us: u64,
    stage: Stage,
    painter: Painter,
    pace: Pace,
    paused: bool,
    /// A moment of the clock, and the moment of the session it is.
    anchor: (u64, u64),
    /// Where to go, as soon as the keyframes reach there.
    target_us: Option<u64>,
    /// Until when, by the clock, a status may cover a row.
    status_us: u64,
    painted_us: u64,
    changed: bool,
}

fn clock_us() -> u64 {
    time::monotonic_ns() / 1000
}

impl<'a> Show<'a> {
    fn new(
        library: &'a Library,
        session: &'a Session,
        keep: &'a dyn Fn(&Player<'_>),
        stage: Stage,
        pace: Pace,
    ) -> Show<'a> {
        let marks = library.marks(session);
        let painter = Painter::new(stage.size());
        let now_us = clock_us();
        Show {
            player: Player::new(library, session),
            keep,
            turns: marks.iter().filter(|mark| mark.turn.is_some()).count(),
            marks,
            total_us: session.duration_us(time::wall().unix_us).unwrap_or(0),
            stage,
            painter,
            pace,
            paused: false,
            anchor: (now_us, 0),
            target_us: None,
            status_us: now_us + STATUS_US,
            painted_us: 0,
            changed: true,
        }
    }

    fn run(mut self, from_us: u64) -> Result<u8> {
        self.seek(from_us);
        loop {
            let now_us = clock_us();
            self.go_on(now_us);
            if self.is_over() {
                break;
            }
            self.paint(now_us);
            let indexing = self.index();
            let pause_us = match indexing || self.target_us.is_some() {
                true => 0,
                false => self.pause_us(clock_us()),
            };
            match self.stage.wait(Duration::from_micros(pause_us)) {
                Happening::Time => {}
                Happening::Resized => {
                    self.painter = Painter::new(self.stage.size());
                    self.stage.write("\x1b[0m\x1b[2J");
                    self.say();
                }
                Happening::Gone => {
                    self.stage.leave();
                    return Ok(0);
                }
                Happening::Keys(keys) => {
                    if !keys.into_iter().all(|key| self.key(key)) {
                        self.stage.leave();
                        return Ok(0);
                    }
                }
            }
        }
        self.stage.leave();
        // It was played to its end: what it came to stays.
        print(last_screen(self.player.terminal().screen(), self.painter.view().cols))?;
        Ok(0)
    }

    /// Goes on with the keyframes, while somebody waits for them or nothing else is to be done.
    fn index(&mut self) -> bool {
        let is_idle = self.pause_us(clock_us()) > FRAME_US / 4;
        let len = match self.target_us {
            Some(_) => INDEX_WAITED_LEN,
            None if is_idle => INDEX_LEN,
            None => return false,
        };
        let was_done = self.player.indexed().1;
        let goes_on = self.player.index(len);
        if !goes_on && !was_done {
            (self.keep)(&self.player);
        }
        goes_on
    }

    /// Does what a key asks for; false to leave.
    fn key(&mut self, key: Key) -> bool {
        let now_us = self.target_us.unwrap_or(self.player.now_us());
        match key {
            Key::Char('q' | '\x03') => return false,
            Key::Char(' ') => {
                self.paused = !self.paused;
                self.anchor = (clock_us(), self.player.now_us());
            }
            Key::Right => self.seek(now_us.saturating_add(SKIP_US)),
            Key::Left => self.seek(now_us.saturating_sub(SKIP_US)),
            Key::Up => self.seek(now_us.saturating_add(FAR_US)),
            Key::Down => self.seek(now_us.saturating_sub(FAR_US)),
            Key::Char('<' | ',') => self.set_speed(0.5),
            Key::Char('>') => self.set_speed(2.0),
            Key::Char('.') => self.step(),
            Key::Char('n') => {
                let next = self.marks.iter().find(|mark| mark.t_us > now_us);
                if let Some(t_us) = next.map(|mark| mark.t_us) {
                    self.seek(t_us);
                }
            }
            Key::Char('p') => {
                let before = |mark: &&Mark| mark.t_us.saturating_add(BACK_US) <= now_us;
                let t_us = self.marks.iter().rfind(before).map_or(0, |mark| mark.t_us);
                self.seek(t_us);
            }
            _ => {}
        }
        self.say();
        true
    }

    fn say(&mut self) {
        self.status_us = clock_us() + STATUS_US;
        self.changed = true;
    }

    fn set_speed(&mut self, factor: f64) {
        self.anchor = (clock_us(), self.player.now_us());
        self.pace.speed = (self.pace.speed * factor).clamp(SPEED_MIN, SPEED_MAX);
    }

    fn seek(&mut self, t_us: u64) {
        let end_us = match self.player.indexed() {
            (indexed_us, true) => self.total_us.max(indexed_us),
            // Nobody noted the end of a session whose recorder was killed.
            (_, false) if self.total_us == 0 => u64::MAX,
            _ => self.total_us,
        };
        let t_us = t_us.min(end_us).min(self.pace.until_us);
        match self.player.seek(t_us) {
            true => {
                self.target_us = None;
                self.anchor = (clock_us(), t_us);
                self.changed = true;
            }
            false => self.target_us = Some(t_us),
        }
    }

    /// To the next picture: what happens at once, or nearly so, is one.
    fn step(&mut self) {
        self.paused = true;
        if let Some(first_us) = self.player.peek_us() {
            let mut t_us = first_us;
            self.player.run_until(t_us);
            while let Some(next_us) = self.player.peek_us() {
                let in_sync = self.player.terminal().screen().in_sync();
                if next_us - t_us >= FRAME_US && !in_sync {
                    break;
                }
                t_us = next_us;
                self.player.run_until(t_us);
            }
            self.anchor = (clock_us(), t_us);
        }
    }

    /// The session's moment at this one of the clock, if nothing were skipped.
    fn reached_us(&self, now_us: u64) -> u64 {
        let (clock_us, t_us) = self.anchor;
        let passed_us = now_us.saturating_sub(clock_us) as f64 * self.pace.speed;
        t_us.saturating_add(passed_us as u64)
    }

    /// Lets happen what is due.
    fn go_on(&mut self, now_us: u64) {
        if let Some(t_us) = self.target_us {
            self.seek(t_us);
            return;
        }
        if self.paused {
            return;
        }
        while let Some(next_us) = self.player.peek_us().filter(|t| *t <= self.pace.until_us) {
            let due_us = next_us.min(self.player.now_us().saturating_add(self.pace.idle_us));
            if self.reached_us(now_us) < due_us {
                return;
            }
            if due_us < next_us {
                self.anchor = (now_us, next_us);
            }
            self.player.step();
            self.changed = true;
            if clock_us() - now_us > FRAME_US {
                return;
            }
        }
    }

    fn is_over(&mut self) -> bool {
        if self.paused || self.target_us.is_some() {
            return false;
        }
        match self.player.peek_us() {
            Some(next_us) if next_us > self.pace.until_us => {
                let last_us = self.player.now_us().saturating_add(self.pace.idle_us);
                self.reached_us(clock_us()) >= self.pace.until_us.min(last_us)
            }
            next => next.is_none(),
        }
    }

    /// How long nothing happens, by the clock.
    fn pause_us(&mut self, now_us: u64) -> u64 {
        let second_us = 1_000_000 - (self.shown_us(now_us) % 1_000_000);
        let mut pause_us = (second_us as f64 / self.pace.speed) as u64;
        if self.paused {
            pause_us = u64::MAX;
        } else if let Some(next_us) = self.player.peek_us() {
            let last_us = self.player.now_us();
            let due_us = next_us.min(last_us.saturating_add(self.pace.idle_us));
            let due_us = due_us.min(self.pace.until_us);
            let ahead = due_us.saturating_sub(self.shown_us(now_us)) as f64 / self.pace.speed;
            pause_us = pause_us.min(ahead as u64);
        }
        if self.changed {
            pause_us = pause_us.min((self.painted_us + FRAME_US).saturating_sub(now_us));
        }
        if now_us < self.status_us {
            pause_us = pause_us.min(self.status_us - now_us);
        }
        pause_us.clamp(500, 1_000_000)
    }

    /// The moment that the status tells.
    fn shown_us(&self, now_us: u64) -> u64 {
        if self.paused {
            return self.player.now_us();
        }
        let end_us = self.total_us.max(self.player.now_us());
        self.reached_us(now_us).clamp(self.player.now_us(), end_us)
    }

    fn paint(&mut self, now_us: u64) {
        if now_us < self.painted_us + FRAME_US && self.painted_us > 0 {
            return;
        }
        // A picture in the making is not shown, unless it takes too long.
        let in_sync = self.player.terminal().screen().in_sync();
        if in_sync && !self.paused && now_us < self.painted_us + 10 * FRAME_US {
            return;
        }
        let screen = self.player.terminal().screen();
        let spare = screen.size().rows < self.painter.view().rows;
        let status = (spare || self.paused || self.target_us.is_some() || now_us < self.status_us)
            .then(|| self.status(now_us));
        let mut out = String::new();
        self.painter.paint(self.player.terminal().screen(), status.as_deref(), &mut out);
        self.stage.write(&out);
        self.painted_us = now_us;
        self.changed = false;
    }

    fn status(&self, now_us: u64) -> String {
        let shown_us = self.target_us.unwrap_or(self.shown_us(now_us));
        let mut text = format!(" {} / {}", clock(shown_us), clock(self.total_us));
        if self.pace.speed != 1.0 {
            text.push_str(&format!("  {}x", self.pace.speed));
        }
        if let Some(target_us) = self.target_us {
            let share = self.player.indexed().0.saturating_mul(100) / target_us.max(1);
            text.push_str(&format!("  finding {share} %"));
        } else if self.paused {
            text.push_str("  paused");
        }
        let mark = self.marks.iter().rfind(|mark| mark.t_us <= shown_us);
        if let Some(mark) = mark {
            if let Some(turn) = mark.turn {
                text.push_str(&format!("  turn {turn}/{}", self.turns));
            }
            text.push_str(&format!("  {}", line::clean(mark.label.lines().next().unwrap_or(""))));
        }
        let hint = match self.painter.holds(self.player.terminal().screen()) {
            true => "space \u{2190} \u{2192} < > . n p q ".to_owned(),
            false => cut_hint(self.player.terminal().screen()),
        };
        bar(&text, &hint, usize::from(self.painter.view().cols))
    }
}

/// What to say where a screen is larger than what shows it.
pub(super) fn cut_hint(screen: &Screen) -> String {
    let size = screen.size();
    format!("cut: the window was {}x{} ", size.cols, size.rows)
}

/// A line of `cols` columns, the hint at its right end if there is room.
pub(super) fn bar(text: &str, hint: &str, cols: usize) -> String {
    let (text, hint) = match cols.checked_sub(line::width(hint) + 1) {
        Some(room) if room >= TEXT_COLUMNS_MIN.min(line::width(text)) => {
            (line::cut(text, room), hint)
        }
        _ => (line::cut(text, cols), ""),
    };
    let blanks = cols.saturating_sub(line::width(&text) + line::width(hint));
    format!("{text}{}{hint}", " ".repeat(blanks))
}

/// `1:04:10`.
pub(super) fn clock(us: u64) -> String {
    let s = us / 1_000_000;
    match s / 3600 {
        0 => format!("{}:{:02}", s / 60, s % 60),
        hours => format!("{hours}:{:02}:{:02}", s / 60 % 60, s % 60),
    }
}

/// A screen's rows down to the last that shows anything, cut to so many columns.
pub(super) fn last_screen(screen: &Screen, cols: u16) -> String {
    let rows: Vec<String> = (0..usize::from(screen.size().rows))
        .map(|y| {
            let mut row = String::new();
            push_row(screen, y, usize::from(cols), &mut row);
            row
        })
        .collect();
    let len = rows.iter().rposition(|row| row != "\x1b[K").map_or(0, |last| last + 1);
    rows[..len].iter().map(|row| format!("{row}\r\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_as_wide_as_the_view() {
        for cols in [10, 20, 40, 200] {
            assert_eq!(line::width(&bar(" 0:01 / 1:00:00  2x", "space q ", cols)), cols);
        }
        assert_eq!(bar("a", "hint", 8), "a   hint");
        assert_eq!(bar("a long text to read", "hint", 8), "a long …");
        assert_eq!(clock(3_661_000_000), "1:01:01");
        assert_eq!(clock(61_000_000), "1:01");
    }
}
