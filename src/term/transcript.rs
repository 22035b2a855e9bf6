//! Settled text: what a person saw, each line once, in the order it was seen.
//!
//! One list of lines. At each settled moment (a frame is complete, the output pauses, the screen
//! is about to be cleared) the rows that left the screen since, and the rows on it, are matched
//! against the list. A row found again is the same line, wherever it moved. A new row is a new
//! line, after what had stood in its place. A line that is gone is kept if it scrolled off or
//! stood still long enough to be read; otherwise it was a stage of something else.

use std::collections::{HashMap, HashSet};

use super::align::{Key, WEAK_MAX, align, drop_weak};
use super::entry::{
    Entry, Fate, Seen, State, block_len, drop_loose_blanks, follows, is_animation, is_known,
    is_typed_again, raise, shows_work, uncover,
};
use super::grid::Stamp;
use super::render::StyledRun;
use super::screen::{Clear, Event, Observer, Screen};
use super::style::Pen;
use super::wording::{
    begins_alike, begins_with_prompt, begins_with_spinner, is_frame, key, normal, skeleton,
    squeeze, without_bar,
};
use super::{Options, Size, Terminal};

/// A pause in the output this long settles the screen.
pub const PAUSE_US: u64 = 40_000;
/// A line that vanishes without scrolling off was read if it stood still this long.
pub const READ_US: u64 = 400_000;
/// Text of so many characters that is still there, cut into other rows, is the same text.
const REWRAPPED_CHARS_MIN: usize = 24;
/// So many lines seen again at once mean that the program scrolled back.
const SCROLLED_BACK_MIN: usize = 4;
/// So many lines read before that come again in a row are a dialog of its own; fewer are a status
/// that comes and goes, and is moved to where it comes last.
const AGAIN_ROWS_MIN: usize = 3;
/// Most lines of a status with something to say.
const STATUS_ROWS_MAX: usize = 4;
/// Lines looked through for what is on the screen, unless it seems to come from before.
const NEAR_LINES: usize = 512;
/// How far apart an input line and the line it became may lie.
const DOUBLE_LINES_MAX: usize = 60;
/// Statuses that are known again.
const STATUSES_MAX: usize = 4096;
/// Rows that may leave the screen before the list is brought up to date.
const LEFT_ROWS_MAX: usize = 1024;
/// Lines kept in reach of the screen; what a program tells again from before is told twice.
pub const REACH_LINES_MAX: usize = 20_000;

/// How a line of the transcript came to be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It scrolled off, or was on the screen at the end.
    Text,
    /// It was read, and then vanished: a dialog, a menu, a status.
    Transient,
}

/// A line a person saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Without trailing blanks; rows that the terminal wrapped are one line.
    pub text: String,
    /// Where in the stream, and when, it was first on the screen.
    pub seen: Stamp,
    /// Where in the stream, and when, it had its last form.
    pub settled: Stamp,
    /// How it was settled.
    pub kind: Settled,
    /// It was on the alternate screen.
    pub alternate: bool,
}

/// Turns what a program wrote into settled text.
#[derive(Debug)]
pub struct Transcript {
    terminal: Terminal,
    list: List,
    fed_at_us: u64,
}

/// The list of lines, as an observer of the terminal.
#[derive(Debug, Default)]
struct List {
    entries: Vec<Entry>,
    /// How often each key occurs among entries that are not shown.
    known: HashMap<u64, u32>,
    left: Vec<Seen>,
    alternate: bool,
    /// When the screen was cleared or resized: what is told soon after may have been told before.
    retell_from_us: Option<u64>,
    resized: bool,
    /// Then, all that the rows now looked at say.
    telling: String,
    /// No entry before this one is shown.
    shown_from: usize,
    /// What statuses said that are done.
    statuses: HashSet<u64>,
    /// Where the list was last brought up to date.
    settled: Stamp,
    done: Vec<Line>,
}

impl Transcript {
    /// A transcript of a window of `size`, starting blank.
    pub fn new(size: Size, options: Options) -> Transcript {
        Transcript::of(Terminal::new(size, Options { history_rows: 0, ..options }))
    }

    /// A transcript of what happens on `terminal` from here on. It needs no history.
    pub fn of(terminal: Terminal) -> Transcript {
        Transcript { terminal, list: List::default(), fed_at_us: 0 }
    }

    /// Takes bytes the program wrote at `time_us`. Times must not fall.
    pub fn feed(&mut self, time_us: u64, bytes: &[u8]) {
        if time_us.saturating_sub(self.fed_at_us) >= PAUSE_US && !self.terminal.screen().in_sync() {
            self.list.settle(self.terminal.screen());
        }
        self.fed_at_us = time_us;
        self.terminal.set_time(time_us);
        self.terminal.feed_with(bytes, &mut self.list);
    }

    /// The window changed its size.
    pub fn resize(&mut self, time_us: u64, size: Size) {
        self.feed(time_us, b"");
        self.list.settle(self.terminal.screen());
        self.terminal.resize(size);
        self.list.push_out(self.terminal.screen());
        self.list.retell_from_us = Some(time_us);
        self.list.resized = true;
    }

    /// The terminal, to look at.
    pub fn terminal(&self) -> &Terminal {
        &self.terminal
    }

    /// The lines that nothing can change any more, and that were not taken before.
    pub fn take_lines(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.list.done)
    }

    /// The end of the recording, at `time_us`: the lines not taken before, those on the screen
    /// included.
    pub fn finish(mut self, time_us: u64) -> Vec<Line> {
        let time_us = time_us.max(self.fed_at_us);
        self.terminal.set_time(time_us);
        self.list.settle(self.terminal.screen());
        let end = self.terminal.screen().stamp();
        self.list.leave_screen(end, |entry| entry.alternate);
        let len = self.list.entries.len();
        self.list.hand_out(len);
        self.list.done
    }
}

/// Lines as text: runs of more than one blank line are one, and rows of nothing but box-drawing
/// characters, and scroll bars at the right, are left out unless `boxes` is set.
pub fn text(lines: &[Line], boxes: bool) -> String {
    let mut out = String::new();
    let mut blank = true;
    for line in lines {
        let only = |of: fn(char) -> bool| line.text.chars().all(of);
        let is_blank = only(|c| c == ' ') || !boxes && only(|c| matches!(c, ' ' | '│' | '┃' | '|'));
        if !boxes && !is_blank && only(is_frame) {
            continue;
        }
        if !(is_blank && blank) {
            if !is_blank {
                out.push_str(if boxes { &line.text } else { without_bar(&line.text) });
            }
            out.push('\n');
        }
        blank = is_blank;
    }
    while out.ends_with("\n\n") {
        out.pop();
    }
    out
}

impl Observer for List {
    fn event(&mut self, screen: &Screen, event: Event<'_>) {
        match event {
            Event::Sync(false) => self.settle(screen),
            Event::Clear(Clear::History) => self.retell_from_us = Some(screen.stamp().time_us),
            Event::Clear(_) => {
                self.settle(screen);
                self.retell_from_us = Some(screen.stamp().time_us);
            }
            Event::Alternate(on) => {
                self.settle(screen);
                if !on {
                    self.leave_screen(screen.stamp(), |entry| entry.alternate);
                }
                self.alternate = on;
                self.shown_from = 0;
            }
            _ => {}
        }
    }

    fn row_leaves(&mut self, screen: &Screen) {
        let seen = seen(screen, 0, None);
        self.left.push(seen);
        if self.left.len() >= LEFT_ROWS_MAX {
            self.update(screen.stamp(), Vec::new());
        }
    }
}

/// Row `y` as it is seen.
fn seen(screen: &Screen, y: usize, row: Option<usize>) -> Seen {
    let wrap = screen.row_wraps(y);
    let mut text = screen.row_text(y);
    if wrap {
        // The blanks at the end are the middle of the line.
        let cols = usize::from(screen.size().cols);
        let width = super::text_width(&text, screen.options().width);
        text.extend(std::iter::repeat_n(' ', cols.saturating_sub(width)));
    }
    let input = row.is_some() && screen.cursor().0 == y;
    Seen {
        key: key(&text),
        hint: input && begins_with_prompt(&text) && is_hint(screen, y),
        text,
        wrap,
        born: screen.row_stamp(y).unwrap_or(screen.stamp()),
        row,
        past: None,
        kept: false,
        input,
        below: row.is_some() && screen.cursor().0 < y,
    }
}

/// All of row `y` that the mark of a prompt stands before is dim.
fn is_hint(screen: &Screen, y: usize) -> bool {
    let runs = screen.row_runs(y);
    let mut says = runs.iter().filter(|run| !run.text.trim_matches(is_frame).is_empty());
    let is_dim = |run: &StyledRun| run.pen.attrs & Pen::DIM != 0;
    let mark = says.next().map(|run| run.text.trim_matches(is_frame).chars().count());
    let mut rest = says.peekable();
    mark == Some(1) && rest.peek().is_some() && rest.all(is_dim)
}

impl List {
    /// Brings the list up to date with what is on the screen.
    fn settle(&mut self, screen: &Screen) {
        let height = usize::from(screen.size().rows);
        let mut rows: Vec<Seen> = (0..height).map(|y| seen(screen, y, Some(y))).collect();
        while rows.last().is_some_and(|row| row.text.is_empty()) {
            rows.pop();
        }
        self.update(screen.stamp(), rows);
    }

    /// `rows` are on the screen. Empty: only the rows that left are looked at.
    fn update(&mut self, now: Stamp, rows: Vec<Seen>) {
        let partial = rows.is_empty() && !self.left.is_empty();
        if rows.is_empty() && self.left.is_empty() && self.retell_from_us.is_some() {
            // Cleared, and nothing told yet: what was shown may come back at once.
            return;
        }
        let mut new = std::mem::take(&mut self.left);
        new.extend(rows);
        let len = self.entries.len();
        let shown_first =
            (self.shown_from..len).find(|i| self.is_shown(&self.entries[*i])).unwrap_or(len);
        self.shown_from = shown_first;
        if self.is_unchanged(&new) {
            return;
        }
        let reaches_back = self.reaches_back(&new, shown_first);
        let first = match reaches_back {
            true => 0,
            false => shown_first.max(len.saturating_sub(NEAR_LINES)),
        };
        self.shown_from = shown_first.min(first);
        // On the main screen what scrolled off comes again only if it is told again.
        let with: &[State] = match reaches_back || self.alternate {
            true => &[State::Shown, State::Left],
            false => &[State::Shown],
        };
        self.merge(first, new, now, partial, with);
        if self.entries.len() > 2 * REACH_LINES_MAX {
            self.hand_out(self.entries.len() - REACH_LINES_MAX);
        }
    }

    fn is_shown(&self, entry: &Entry) -> bool {
        entry.alternate == self.alternate && entry.state == State::Shown
    }

    /// Whether rows may be lines from before those shown: told again, or scrolled back to.
    fn reaches_back(&self, new: &[Seen], shown_first: usize) -> bool {
        // What stood at the top comes first, still there or scrolled off, unless the screen was
        // painted over.
        let painted_over = match (new.first(), self.entries.get(shown_first)) {
            (Some(row), Some(entry)) => row.key.hash != entry.key.hash,
            _ => false,
        };
        if self.resized {
            return true;
        }
        if !(self.retell_from_us.is_some() || self.alternate || painted_over) {
            return false;
        }
        let shown: Vec<u64> = self.entries[shown_first..].iter().map(|e| e.key.hash).collect();
        new.iter().any(|row| {
            row.key.weight > WEAK_MAX
                && self.known.contains_key(&row.key.hash)
                && !shown.contains(&row.key.hash)
        })
    }

    fn is_unchanged(&self, new: &[Seen]) -> bool {
        let mut shown = self.entries[self.shown_from..].iter().filter(|e| self.is_shown(e));
        new.iter().all(|row| {
            row.row.is_some()
                && shown.next().is_some_and(|e| e.text == row.text && Some(e.row) == row.row)
        }) && shown.next().is_none()
    }

    /// Matches the entries from `first` on that are in one of the states `with` with the rows of
    /// `new`, and makes them one list.
    fn merge(
        &mut self,
        first: usize,
        mut new: Vec<Seen>,
        now: Stamp,
        partial: bool,
        with: &[State],
    ) {
        let mut tail = self.entries.split_off(first);
        tail.iter().for_each(|entry| self.forget(entry));
        if !partial {
            self.renew_standing(&mut new, now);
        }
        let from = self.entries.len();
        let mut matches = self.found_again(&tail, &new, with);
        if self.alternate && self.scrolled_back(&tail, &new, &matches) {
            let all = [State::Shown, State::Left, State::Read];
            let back = self.found_again(&tail, &new, &all);
            // Scrolling back keeps the order; a dialog that comes again stands below what came
            // since it went.
            let mut rows = new.iter().zip(matches.iter().zip(&back));
            if rows.all(|(row, (m, b))| m.is_none() || b.is_some() || row.key.weight <= WEAK_MAX) {
                matches = back;
            }
        }
        uncover(&tail, &new, &mut matches);
        self.decide_fates(&mut tail, &mut new, &matches);

        self.telling.clear();
        if self.resized {
            self.telling.extend(new.iter().map(|row| squeeze(&row.text)));
        }
        let mut tail = tail.into_iter().enumerate().peekable();
        let mut gap_new = Vec::new();
        for (row, found) in new.into_iter().zip(matches) {
            let Some(found) = found else {
                gap_new.push(row);
                continue;
            };
            let mut gap_old = Vec::new();
            while let Some((_, entry)) = tail.next_if(|(i, _)| *i < found) {
                gap_old.push(entry);
            }
            self.merge_gap(gap_old, std::mem::take(&mut gap_new), now, partial);
            if let Some((_, mut entry)) = tail.next() {
                self.renew(&mut entry, row, now);
                self.entries.push(entry);
            }
        }
        let gap_old = tail.map(|(_, entry)| entry).collect();
        self.merge_gap(gap_old, gap_new, now, partial);

        for i in from..self.entries.len() {
            let key = self.entries[i].key;
            if is_known(&self.entries[i]) {
                *self.known.entry(key.hash).or_insert(0) += 1;
            }
        }
        self.settled = now;
        if self.retell_from_us.is_some_and(|from| now.time_us > from + READ_US) {
            self.retell_from_us = None;
            self.resized = false;
        }
    }

    /// Takes out the rows that are still what they were at the top of the screen, while all below
    /// went on: a header. Their entries lie far back.
    fn renew_standing(&mut self, new: &mut Vec<Seen>, now: Stamp) {
        let standing: Vec<usize> = (self.shown_from..self.entries.len())
            .filter(|i| self.is_shown(&self.entries[*i]))
            .collect();
        let mut taken = 0;
        let mut gone = Vec::new();
        for i in standing {
            let is_still = new
                .get(taken)
                .is_some_and(|row| row.key.hash == self.entries[i].key.hash && row.row.is_some());
            if is_still {
                taken += 1;
            } else {
                gone.push(i);
            }
        }
        new.drain(..taken);
        for i in gone.into_iter().rev() {
            let entry = &mut self.entries[i];
            let stood_us = now.time_us.saturating_sub(entry.since.time_us);
            entry.state = State::Read;
            entry.gone = self.settled;
            if !entry.kept && (stood_us < READ_US || is_animation(entry)) {
                self.entries.remove(i);
            } else if is_known(&self.entries[i]) {
                *self.known.entry(self.entries[i].key.hash).or_insert(0) += 1;
            }
        }
    }

    /// For each row, the entry of `tail` that it is: one in one of the states `with`.
    fn found_again(&self, tail: &[Entry], new: &[Seen], with: &[State]) -> Vec<Option<usize>> {
        let counts =
            |entry: &Entry| entry.alternate == self.alternate && with.contains(&entry.state);
        let old: Vec<usize> = (0..tail.len()).filter(|i| counts(&tail[*i])).collect();
        let old_keys: Vec<Key> = old.iter().map(|i| tail[*i].key).collect();
        let new_keys: Vec<Key> = new.iter().map(|row| row.key).collect();
        let mut matches = align(&old_keys, &new_keys);
        drop_weak(&old_keys, &mut matches);
        let matches = matches.iter().zip(new);
        matches
            .map(|(m, row)| m.map(|o| old[o]).filter(|i| !is_typed_again(&tail[*i], row)))
            .collect()
    }

    /// Whether most of the rows not found again are lines that were read before: the program
    /// scrolled back to them.
    fn scrolled_back(&self, tail: &[Entry], new: &[Seen], matches: &[Option<usize>]) -> bool {
        let read: HashSet<u64> = tail
            .iter()
            .filter(|e| e.state == State::Read && e.key.weight > WEAK_MAX)
            .map(|e| e.key.hash)
            .collect();
        let strange = || {
            let rows = new.iter().zip(matches);
            rows.filter(|(row, m)| m.is_none() && row.key.weight > WEAK_MAX).map(|(row, _)| row)
        };
        let back = strange().filter(|row| read.contains(&row.key.hash)).count();
        back >= SCROLLED_BACK_MIN && 2 * back > strange().count()
    }

    /// What became of the shown entries that were not found again in order.
    fn decide_fates(&self, tail: &mut [Entry], new: &mut [Seen], matches: &[Option<usize>]) {
        let mut found = vec![false; tail.len()];
        let mut moved_up = vec![false; tail.len()];
        for (row, m) in new.iter().zip(matches) {
            if let Some(i) = *m {
                found[i] = true;
                moved_up[i] =
                    tail[i].state == State::Shown && row.row.is_some_and(|y| y < tail[i].row);
            }
        }
        // One that moved past others is the new row, and lends it its past.
        let mut gone: HashMap<u64, usize> = HashMap::new();
        for (i, entry) in tail.iter_mut().enumerate() {
            entry.fate = Fate::Open;
            if !found[i] && self.is_shown(entry) && entry.key.weight > WEAK_MAX {
                gone.insert(entry.key.hash, i);
            }
        }
        for (row, _) in new.iter_mut().zip(matches).filter(|(_, m)| m.is_none()) {
            if let Some(i) = gone.remove(&row.key.hash)
                && !is_typed_again(&tail[i], row)
            {
                tail[i].fate = Fate::Moved;
                row.past = Some((tail[i].seen, tail[i].since));
            }
        }
        self.move_statuses(tail, new, matches);
        // Above rows that moved up, what is gone scrolled off, however short it stood.
        let mut below_moved_up = false;
        for (i, entry) in
            tail.iter_mut().enumerate().rev().filter(|(_, e)| e.alternate == self.alternate)
        {
            match found[i] {
                true if entry.key.weight > WEAK_MAX => below_moved_up = moved_up[i],
                true => {}
                false if entry.fate == Fate::Open && below_moved_up && self.alternate => {
                    entry.fate = Fate::Scrolled;
                }
                false => {}
            }
        }
    }

    /// A status line that was read, vanished and comes again is one line, where it comes last.
    fn move_statuses(&self, tail: &mut [Entry], new: &mut [Seen], matches: &[Option<usize>]) {
        let mut read: HashMap<u64, usize> = HashMap::new();
        for (i, entry) in tail.iter().enumerate() {
            if entry.state == State::Read
                && entry.alternate == self.alternate
                && entry.key.weight > WEAK_MAX
            {
                read.insert(entry.key.hash, i);
            }
        }
        let again: Vec<Option<usize>> = new
            .iter()
            .zip(matches)
            .map(|(row, m)| match m.is_none() && row.past.is_none() {
                true => {
                    let same = read.get(&row.key.hash).copied();
                    same.filter(|i| !is_typed_again(&tail[*i], row))
                        .or_else(|| self.same_but_for_numbers(tail, row))
                }
                false => None,
            })
            .collect();
        let says: Vec<usize> = (0..new.len()).filter(|j| new[*j].key.weight > 0).collect();
        for run in says.chunk_by(|a, b| again[*a].is_some() == again[*b].is_some()) {
            if run.len() >= AGAIN_ROWS_MIN {
                continue;
            }
            for (row, i) in run.iter().filter_map(|j| Some((*j, again[*j]?))) {
                if tail[i].fate != Fate::Moved
                    && tail[i].below
                    && new[row].below
                    && block_len(tail, i) <= STATUS_ROWS_MAX
                {
                    tail[i].fate = Fate::Moved;
                    new[row].past = Some((tail[i].seen, tail[i].since));
                    new[row].kept = true;
                }
            }
        }
    }

    /// The status line that was read and vanished on the row's own place, and said the same with
    /// other numbers.
    fn same_but_for_numbers(&self, tail: &[Entry], row: &Seen) -> Option<usize> {
        if !row.below || !row.text.contains(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let says = skeleton(&row.text);
        let from = tail.len().saturating_sub(NEAR_LINES);
        (from..tail.len()).rev().find(|i| {
            let entry = &tail[*i];
            entry.state == State::Read
                && entry.alternate == self.alternate
                && entry.below
                && entry.fate != Fate::Moved
                && Some(entry.row) == row.row
                && entry.key.weight > WEAK_MAX
                && skeleton(&entry.text) == says
        })
    }

    /// Between two rows found again: `old` are the entries there, `new` the rows there.
    fn merge_gap(&mut self, old: Vec<Entry>, new: Vec<Seen>, now: Stamp, partial: bool) {
        let is_prompt = |row: &&Seen| row.input && begins_with_prompt(&row.text);
        let told: Vec<String> =
            new.iter().filter(|row| !is_prompt(row)).map(|row| squeeze(&row.text)).collect();
        let telling = told.concat();
        let mut rest = new.into_iter();
        let mut kept: Vec<usize> = Vec::new();
        for mut entry in old {
            if entry.fate == Fate::Moved {
                continue;
            }
            let squeezed = squeeze(&entry.text);
            let rewrapped = match self.resized {
                // A piece of a line that was cut narrower is in the row that has all of it.
                true if self.is_shown(&entry) => self.telling.contains(&squeezed),
                true => entry.alternate == self.alternate && telling.contains(&squeezed),
                false => {
                    // What one row quotes amid other words is not the same text.
                    squeezed.chars().count() >= REWRAPPED_CHARS_MIN
                        && telling.contains(&squeezed)
                        && !told.iter().any(|row| row.find(&squeezed).is_some_and(|at| at > 0))
                }
            };
            if self.resized && rewrapped && !partial {
                // Told again at another width, whether or not it had scrolled off.
                continue;
            }
            if !self.is_shown(&entry) || partial {
                self.entries.push(entry);
                continue;
            }
            if let Some(skip) = rest
                .as_slice()
                .iter()
                .position(|row| follows(&entry, row) && !is_typed_again(&entry, row))
            {
                for row in rest.by_ref().take(skip) {
                    let fresh = self.fresh(row, now);
                    self.entries.push(fresh);
                }
                if let Some(row) = rest.next() {
                    self.renew(&mut entry, row, now);
                    self.entries.push(entry);
                }
                continue;
            }
            let stood_us = now.time_us.saturating_sub(entry.since.time_us);
            let scrolled = entry.fate == Fate::Scrolled;
            if entry.kept
                || !rewrapped && !is_animation(&entry) && (scrolled || stood_us >= READ_US)
            {
                entry.state = if scrolled { State::Left } else { State::Read };
                entry.gone = self.settled;
                kept.push(self.entries.len());
                self.entries.push(entry);
            }
        }
        for row in rest {
            let fresh = self.fresh(row, now);
            self.entries.push(fresh);
        }
        drop_loose_blanks(&mut self.entries, &kept);
    }

    /// A line not seen before.
    fn fresh(&self, row: Seen, now: Stamp) -> Entry {
        let seen = if row.born.offset >= self.settled.offset { row.born } else { now };
        let (seen, since) = row.past.unwrap_or((seen, now));
        Entry {
            wrap: row.wrap,
            key: row.key,
            state: if row.row.is_some() { State::Shown } else { State::Left },
            alternate: self.alternate,
            seen,
            since,
            row: row.row.unwrap_or(0),
            changes: 0,
            kept: row.kept,
            input: row.input,
            cursor: row.input,
            hint: row.hint,
            below: row.below,
            brief: false,
            gone: now,
            fate: Fate::Open,
            text: row.text,
        }
    }

    /// The entry is `row`, perhaps in a later form.
    fn renew(&self, entry: &mut Entry, row: Seen, now: Stamp) {
        if entry.text != row.text {
            let (old, new) = (normal(&entry.text), normal(&row.text));
            let spins = [&entry.text, &row.text].iter().any(|t| begins_with_spinner(t));
            if skeleton(&old) != skeleton(&new) {
                entry.since = now;
            } else if old != new || spins {
                entry.changes += 1;
            }
        }
        entry.input |= row.input;
        entry.cursor = row.input;
        entry.hint = row.hint;
        entry.below = row.below;
        entry.kept |= matches!(entry.state, State::Read | State::Left);
        entry.state = if row.row.is_some() { State::Shown } else { State::Left };
        if let Some(y) = row.row {
            entry.row = y;
        }
        entry.text = row.text;
        entry.wrap = row.wrap;
        entry.key = row.key;
    }

    fn forget(&mut self, entry: &Entry) {
        if is_known(entry)
            && let Some(count) = self.known.get_mut(&entry.key.hash)
        {
            *count -= 1;
            if *count == 0 {
                self.known.remove(&entry.key.hash);
            }
        }
    }

    /// The window has a new size. What it leaves no room for on the main screen has scrolled off:
    /// nothing was painted over it.
    fn push_out(&mut self, screen: &Screen) {
        if self.alternate {
            return;
        }
        let height = usize::from(screen.size().rows);
        let shown: String = (0..height).map(|y| squeeze(&screen.row_text(y))).collect();
        for entry in &mut self.entries[self.shown_from..] {
            let is_shown = entry.state == State::Shown && !entry.alternate;
            if is_shown && !is_animation(entry) && !shown.contains(&squeeze(&entry.text)) {
                entry.state = State::Left;
                if is_known(entry) {
                    *self.known.entry(entry.key.hash).or_insert(0) += 1;
                }
            }
        }
    }

    /// The screen these entries are on goes away: what it showed last is kept.
    fn leave_screen(&mut self, now: Stamp, which: impl Fn(&Entry) -> bool) {
        let mut out: Vec<Entry> = Vec::with_capacity(self.entries.len());
        let mut kept = Vec::new();
        for mut entry in std::mem::take(&mut self.entries) {
            if entry.state == State::Shown && which(&entry) {
                if shows_work(&entry) && !entry.kept {
                    continue;
                }
                entry.state = State::Read;
                entry.gone = now;
                entry.brief = now.time_us.saturating_sub(entry.since.time_us) < READ_US;
                kept.push(out.len());
            }
            out.push(entry);
        }
        drop_loose_blanks(&mut out, &kept);
        self.known.clear();
        for entry in out.iter().filter(|entry| is_known(entry)) {
            *self.known.entry(entry.key.hash).or_insert(0) += 1;
        }
        self.entries = out;
        self.shown_from = 0;
    }

    /// Which of the first `len` entries are what was typed into an input line and then told as a
    /// line of its own: read, alone, and near a line with the same words.
    fn doubles(&self, len: usize) -> Vec<bool> {
        let words: Vec<String> = self.entries.iter().map(|e| normal(&e.text)).collect();
        let is_read = |i: usize| self.entries.get(i).is_some_and(|e| e.state == State::Read);
        (0..len)
            .map(|i| {
                let alone = (i == 0 || !is_read(i - 1)) && !is_read(i + 1);
                let near =
                    i.saturating_sub(DOUBLE_LINES_MAX)..words.len().min(i + DOUBLE_LINES_MAX);
                if is_read(i) && self.is_echo(i) {
                    return true;
                }
                is_read(i)
                    && (alone || self.entries[i].input || self.entries[i].brief)
                    && self.entries[i].key.weight > WEAK_MAX
                    && near.clone().any(|j| {
                        j != i
                            && (self.entries[j].state != State::Read
                                || self.entries[i].cursor
                                    && !self.entries[j].cursor
                                    && begins_alike(&self.entries[i].text, &self.entries[j].text)
                                    && words[i] == words[j])
                            && words[j].starts_with(&words[i])
                    })
            })
            .collect()
    }

    /// Whether entry `i` was read and is beside its own later form: on the screen before it went.
    fn is_echo(&self, i: usize) -> bool {
        let entry = &self.entries[i];
        let is_later = |j: usize| {
            self.entries.get(j).is_some_and(|other| {
                other.text == entry.text
                    && other.seen.offset <= entry.gone.offset
                    && other.gone.offset != entry.gone.offset
                    && (other.state != State::Read || j > i)
            })
        };
        entry.key.weight > 0 && (is_later(i + 1) || i > 0 && is_later(i - 1))
    }

    /// Marks the statuses that say what one before said: they stood there all along.
    fn mark_statuses(&mut self, doubles: &mut [bool]) {
        for (i, double) in doubles.iter_mut().enumerate() {
            let entry = &self.entries[i];
            let is_status = entry.state == State::Read
                && entry.below
                && entry.key.weight > WEAK_MAX
                && block_len(&self.entries, i) <= STATUS_ROWS_MAX;
            if is_status && !*double {
                if self.statuses.len() == STATUSES_MAX {
                    self.statuses.clear();
                }
                *double = !self.statuses.insert(entry.key.hash);
            }
        }
    }

    /// Moves the first `len` entries to the lines that are done.
    fn hand_out(&mut self, len: usize) {
        self.shown_from = self.shown_from.saturating_sub(len);
        let mut doubles = self.doubles(len);
        self.mark_statuses(&mut doubles);
        let rest = self.entries.split_off(len);
        let out = std::mem::replace(&mut self.entries, rest);
        let mut out: Vec<(Entry, bool)> = out.into_iter().zip(doubles).collect();
        raise(&mut out);
        let mut open: Option<Line> = None;
        for (entry, double) in out {
            self.forget(&entry);
            if double {
                continue;
            }
            let kind = if entry.state == State::Read { Settled::Transient } else { Settled::Text };
            let mut line = match open.take() {
                Some(mut line) => {
                    line.text.push_str(&entry.text);
                    line
                }
                None => Line {
                    text: entry.text,
                    seen: entry.seen,
                    settled: entry.since,
                    kind,
                    alternate: entry.alternate,
                },
            };
            if entry.wrap {
                open = Some(line);
            } else {
                line.text.truncate(line.text.trim_end().len());
                self.done.push(line);
            }
        }
        self.done.extend(open);
    }
}
