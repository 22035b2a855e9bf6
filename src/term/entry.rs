//! What one line of the transcript is, and what becomes of it: a menu covers it, it goes on being
//! written, it comes again.

use super::align::{Key, WEAK_MAX};
use super::grid::Stamp;
use super::wording::{begins_with_prompt, begins_with_spinner, indent, is_frame, normal, skeleton};

/// A line whose text changed in place this often, but for digits and spinners, is an animation.
const ANIMATED_CHANGES_MIN: u32 = 3;
/// What was covered comes back at most so many rows from where it stood.
const UNCOVERED_ROWS_MAX: usize = 2;
/// What stands beside work that goes on: how to stop it.
const WORK_HINTS: [&str; 2] = ["to interrupt", "esc interrupt"];
/// `Thinking…` and the like have at most so many words.
const WAITING_WORDS_MAX: usize = 3;
/// Lines that one which vanished before them is looked for above.
const RAISED_LINES_MAX: usize = 512;
/// A row this short may be an input line that was emptied.
const PROMPT_CHARS_MAX: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// On the screen of its context.
    Shown,
    /// Scrolled off.
    Left,
    /// Vanished after it was read.
    Read,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub text: String,
    pub wrap: bool,
    pub key: Key,
    pub state: State,
    pub alternate: bool,
    pub seen: Stamp,
    /// When it took its present form.
    pub since: Stamp,
    /// The row it was last shown on, counted from the top of the window.
    pub row: usize,
    pub changes: u32,
    /// It was settled before, and is on the screen again.
    pub kept: bool,
    /// The cursor stood on it: it may be an input line.
    pub input: bool,
    /// The cursor stands on it.
    pub cursor: bool,
    /// It is an input line with nothing in it but a hint.
    pub hint: bool,
    /// The cursor stands above it: it may be a status.
    pub below: bool,
    /// Its screen went away before it could be read.
    pub brief: bool,
    /// When it was last seen there, if it was read and vanished.
    pub gone: Stamp,
    pub fate: Fate,
}

/// What became of an entry that was shown and was not found again in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    Scrolled,
    Moved,
}

/// One row as it is seen at a settled moment.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub text: String,
    pub wrap: bool,
    pub key: Key,
    pub born: Stamp,
    /// None for a row that has left the screen.
    pub row: Option<usize>,
    /// Of the entry that it is, where that was not found in order: first seen, and last changed.
    pub past: Option<(Stamp, Stamp)>,
    /// That entry was settled.
    pub kept: bool,
    /// The cursor stands on it.
    pub input: bool,
    /// The cursor stands above it.
    pub below: bool,
    /// An input line with nothing in it but a dim hint at what may be typed.
    pub hint: bool,
}

/// Between rows found again, what was covered by a menu or a dialog comes back where it was.
pub(super) fn uncover(tail: &[Entry], new: &[Seen], matches: &mut [Option<usize>]) {
    let (mut from, mut comes_back) = (0, true);
    for j in 0..new.len() {
        if let Some(i) = matches[j] {
            // A blank may be one that the menu had.
            let is_blank = new[j].key.weight == 0;
            (from, comes_back) = (if is_blank { from } else { i + 1 }, true);
            continue;
        }
        let (row, Some(y)) = (&new[j], new[j].row) else { continue };
        if !comes_back || row.key.weight == 0 {
            continue;
        }
        let strong = |k: &usize| new[*k].key.weight > WEAK_MAX;
        let next = (j..new.len()).find(|k| strong(k) && matches[*k].is_some());
        let to = next.and_then(|k| matches[k]).unwrap_or(tail.len());
        let covered = |entry: &Entry| {
            entry.state == State::Read
                && entry.key.hash == row.key.hash
                && entry.key.weight > WEAK_MAX
                && entry.row.abs_diff(y) <= UNCOVERED_ROWS_MAX
                && !is_typed_again(entry, row)
        };
        // What was being written there only says the same once more.
        let is_written = tail[from..to]
            .iter()
            .any(|e| e.state == State::Shown && e.row == y && is_begun(e, &row.text));
        match (from..to).find(|i| !is_written && covered(&tail[*i])) {
            Some(i) => {
                matches[j] = Some(i);
                from = i + 1;
                // Blank rows above it cannot be those that stood below it, nor the other way.
                for m in matches[..j].iter_mut().rev() {
                    if m.is_some_and(|o| o < i) {
                        break;
                    }
                    *m = None;
                }
                for m in matches[j + 1..next.unwrap_or(new.len())].iter_mut() {
                    *m = m.filter(|o| *o > i);
                }
            }
            None => comes_back = row.key.weight <= WEAK_MAX,
        }
    }
}

/// Lines that were read and vanished before what stands above them was seen go above that.
pub(super) fn raise(out: &mut [(Entry, bool)]) {
    let mut i = 0;
    while i < out.len() {
        let (first, gone) = (i, out[i].0.gone);
        while i < out.len() && out[i].0.state == State::Read && out[i].0.gone == gone {
            i += 1;
        }
        if first == i {
            i += 1;
            continue;
        }
        let says = |entry: &Entry| entry.key.weight > 0;
        let goes_on = |at: usize| out[at].0.since.offset > gone.offset;
        let is_newer = |at: &usize| out[*at].0.seen.offset > gone.offset;
        let from = first.saturating_sub(RAISED_LINES_MAX);
        let mut above = (from..first).rev().filter(|at| says(&out[*at].0)).peekable();
        let mut to = if from == 0 { 0 } else { first };
        while let Some(at) = above.next() {
            // A status that goes on below what is new was there before, too.
            if !(is_newer(&at) || (goes_on(at) && above.peek().is_some_and(is_newer))) {
                to = at + 1;
                break;
            }
        }
        while to < first && !says(&out[to].0) {
            to += 1;
        }
        out[to..i].rotate_right(i - first);
    }
}

/// What follows is an item of a list, not what somebody typed.
pub(super) fn is_item(text: &str) -> bool {
    text.trim_start().starts_with("- ")
}

/// The entry is the beginning of `text`, and says something.
pub(super) fn is_begun(entry: &Entry, text: &str) -> bool {
    let (old, new) = (normal(&entry.text), normal(text));
    !old.is_empty() && new.starts_with(&old) && new != old
}

/// How many lines with something to say stood together with entry `i`, all of them read.
pub(super) fn block_len(tail: &[Entry], i: usize) -> usize {
    let together = |a: &Entry, b: &Entry| {
        a.state == State::Read && b.state == State::Read && (a.row + 1..a.row + 4).contains(&b.row)
    };
    let first = (1..=i).rev().find(|j| !together(&tail[j - 1], &tail[*j])).unwrap_or(0);
    let after = (i + 1..tail.len()).find(|j| !together(&tail[j - 1], &tail[*j]));
    let block = &tail[first..after.unwrap_or(tail.len())];
    block.iter().filter(|entry| entry.key.weight > 0).count()
}

/// The row is an input line that reads like a line told before: another line, however alike.
pub(super) fn is_typed_again(entry: &Entry, row: &Seen) -> bool {
    row.input && !entry.cursor && row.row != Some(entry.row) && begins_with_prompt(&row.text)
}

/// The entry can be told again or scrolled back to.
pub(super) fn is_known(entry: &Entry) -> bool {
    matches!(entry.state, State::Left | State::Read) && entry.key.weight > WEAK_MAX
}

/// The line is drawn to show that work goes on, not to be read; or its numbers run.
pub(super) fn is_animation(entry: &Entry) -> bool {
    entry.changes >= ANIMATED_CHANGES_MIN || shows_work(entry)
}

/// The line is drawn to show that work goes on, or that nothing was typed yet.
pub(super) fn shows_work(entry: &Entry) -> bool {
    let text = entry.text.trim_end_matches(is_frame);
    let waits = text.contains('…') || text.contains("...");
    let short = normal(text).split(' ').count() <= WAITING_WORDS_MAX;
    (entry.changes >= ANIMATED_CHANGES_MIN && begins_with_spinner(text))
        || (waits && (entry.changes > 0 || begins_with_spinner(text)))
        || (short && (text.ends_with('…') || text.ends_with("...")))
        || entry.hint
        || WORK_HINTS.iter().any(|hint| text.contains(hint))
}

/// Of the entries at `kept`, removes those at either end of a run that say nothing.
pub(super) fn drop_loose_blanks(out: &mut Vec<Entry>, kept: &[usize]) {
    let mut drop = vec![false; out.len()];
    let says = |i: usize| out[i].key.weight > 0;
    for run in kept.chunk_by(|a, b| a + 1 == *b) {
        let head = run.iter().take_while(|i| !says(**i)).count();
        let tail = run[head..].iter().rev().take_while(|i| !says(**i)).count();
        for i in run[..head].iter().chain(&run[run.len() - tail..]) {
            drop[*i] = true;
        }
    }
    let mut drop = drop.into_iter();
    out.retain(|_| !drop.next().unwrap_or(false));
}

/// Whether `row` is what `entry` became: it goes on being written, its numbers run, its choice
/// moved, or its input line was emptied.
pub(super) fn follows(entry: &Entry, row: &Seen) -> bool {
    let (old, new) = (normal(&entry.text), normal(&row.text));
    if old.is_empty() {
        return false;
    }
    if new.is_empty() {
        let prompt = row.text.trim_end_matches(['│', ' ']);
        return row.row == Some(entry.row)
            && !prompt.is_empty()
            && prompt.chars().filter(|c| *c != ' ').count() <= PROMPT_CHARS_MAX
            && entry.text.strip_prefix(prompt).is_some_and(|typed| !is_item(typed));
    }
    indent(&entry.text) == indent(&row.text)
        && (new.starts_with(&old) && new != old
            || (row.row == Some(entry.row) || !begins_with_prompt(&entry.text))
                && skeleton(&old) == skeleton(&new))
}
