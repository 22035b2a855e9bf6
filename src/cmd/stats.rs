//! `il stats`: what many sessions come to.

use std::collections::BTreeMap;

use super::filter::{Filtered, Flags, Typed};
use super::{JSON_VERSION, home, print, screen};
use crate::cli::{Command, Flag, Global, Operands};
use crate::error::{Error, Result};
use crate::event::Friction;
use crate::format::line;
use crate::json::{ObjectWriter, write_object};
use crate::library::{Library, Session};
use crate::session::{DERIVED_VERSION, Status};
use crate::sys::time;
use crate::time::duration;

/// Columns of the longest bar.
const BAR_COLUMNS: usize = 24;

/// Rows of a table for a person; JSON has all of them.
const ROWS_SHOWN: usize = 14;

/// Columns of a name in a table.
const NAME_COLUMNS: usize = 24;

/// `il stats [filters] [--json]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "stats",
    summary: "Count sessions, turns, tokens and time",
    flags: &[Flag::switch("json", "Print a JSON object", |args: &mut Args| args.json = true)],
    shared: Flags::<Args>::ALL,
    operands: Operands::Refuse,
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    json: bool,
    filter: Typed,
}

impl Filtered for Args {
    fn typed(&mut self) -> &mut Typed {
        &mut self.filter
    }
}

/// Sums over sessions.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    sessions: u64,
    /// By the order of [`Status::NAMES`].
    statuses: [u64; 6],
    duration_us: u64,
    /// Sessions whose duration is known.
    timed: u64,
    /// Sessions in which there were turns.
    with_turns: u64,
    turns: u64,
    tool_calls: u64,
    tokens_in: u64,
    tokens_out: u64,
    agent_ms: u64,
    tool_ms: u64,
    blocked_ms: u64,
    interrupts: u64,
    approvals: u64,
    rejected: u64,
    nudges: u64,
    /// Sessions with a critic, and those it was content with at once.
    judged: u64,
    first_try: u64,
}

impl Sums {
    fn add(&mut self, other: &Sums) {
        let mut other = *other;
        let pairs = self.numbers().into_iter().zip(other.numbers());
        pairs.for_each(|(sum, number)| *sum = sum.saturating_add(*number));
        let statuses = self.statuses.iter_mut().zip(other.statuses);
        statuses.for_each(|(sum, number)| *sum = sum.saturating_add(number));
    }

    fn numbers(&mut self) -> [&mut u64; 17] {
        [
            &mut self.sessions,
            &mut self.duration_us,
            &mut self.timed,
            &mut self.with_turns,
            &mut self.turns,
            &mut self.tool_calls,
            &mut self.tokens_in,
            &mut self.tokens_out,
            &mut self.agent_ms,
            &mut self.tool_ms,
            &mut self.blocked_ms,
            &mut self.interrupts,
            &mut self.approvals,
            &mut self.rejected,
            &mut self.nudges,
            &mut self.judged,
            &mut self.first_try,
        ]
    }

    /// Of the sessions that have ended, the share that succeeded, in tenths of a percent.
    fn success_permille(&self) -> Option<u64> {
        let running = self.status(Status::Running);
        let ended = self.sessions - running;
        (ended > 0).then(|| self.status(Status::Succeeded) * 1000 / ended)
    }

    fn status(&self, status: Status) -> u64 {
        let at = Status::NAMES.iter().position(|(known, _)| *known == status);
        at.map_or(0, |at| self.statuses[at])
    }

    fn write(&self, o: &mut ObjectWriter<'_>) {
        o.int("sessions", self.sessions);
        for ((_, name), count) in Status::NAMES.iter().zip(self.statuses) {
            if count > 0 {
                o.int(name, count);
            }
        }
        o.int_opt("success_permille", self.success_permille());
        o.int("duration_ms", self.duration_us / 1000);
        o.int_opt("duration_ms_mean", (self.duration_us / 1000).checked_div(self.timed));
        o.int("turns", self.turns);
        o.int_opt("turns_mean_hundredths", (self.turns * 100).checked_div(self.with_turns));
        for (name, count) in [
            ("tool_calls", self.tool_calls),
            ("tokens_in", self.tokens_in),
            ("tokens_out", self.tokens_out),
            ("agent_ms", self.agent_ms),
            ("tool_ms", self.tool_ms),
            ("blocked_ms", self.blocked_ms),
            ("interrupts", self.interrupts),
            ("approvals", self.approvals),
            ("approvals_rejected", self.rejected),
            ("nudges", self.nudges),
            ("judged", self.judged),
            ("first_try", self.first_try),
        ] {
            o.int(name, count);
        }
    }
}

/// What is counted apart, each by name.
const GROUPS: [&str; 4] = ["project", "agent", "model", "day"];

fn run(args: Args, global: &Global) -> Result<u8> {
    let library = Library::open(&home::dir(global)?)?;
    let filter = args.filter.meant()?;
    let now_us = time::wall().unix_us;
    let mut total = Sums::default();
    let mut groups: [BTreeMap<String, Sums>; 4] = Default::default();
    for session in library.listed(&filter, false)? {
        let sums = sums_of(&library, &session, now_us);
        total.add(&sums);
        let mut day = time::local(session.meta.started.unix_us).local();
        day.truncate(10);
        let model = session.meta.derived.as_ref().and_then(|derived| derived.model.clone());
        let agent = session.agent().map(str::to_owned);
        for (group, name) in groups.iter_mut().zip([session.project(), agent, model, Some(day)]) {
            if let Some(name) = name {
                group.entry(name).or_default().add(&sums);
            }
        }
    }
    if total.sessions == 0 {
        return Err(Error::nothing_found("no session to count"));
    }
    print(if args.json { as_json(&total, &groups) } else { as_text(&total, &groups) })?;
    Ok(0)
}

fn sums_of(library: &Library, session: &Session, now_us: i64) -> Sums {
    let mut sums = Sums { sessions: 1, ..Sums::default() };
    for (count, (status, _)) in sums.statuses.iter_mut().zip(Status::NAMES) {
        *count = u64::from(status == session.status);
    }
    if let Some(us) = session.duration_us(now_us) {
        (sums.duration_us, sums.timed) = (us, 1);
    }
    let derived = session.meta.derived.as_ref().filter(|kept| kept.version == DERIVED_VERSION);
    let counts = match derived {
        Some(derived) => {
            [sums.agent_ms, sums.tool_ms, sums.blocked_ms] = derived.split_ms;
            derived.counts
        }
        None => Default::default(),
    };
    let friction = derived.and_then(|derived| derived.friction);
    let imported = session.meta.imported.is_some();
    // Of what was read before anybody counted that, the words are read again.
    let events = match friction.is_none() && (imported || counts.turns > 0) {
        true => library.conversation(session),
        false => Vec::new(),
    };
    let counts = if derived.is_none() { crate::event::count(&events) } else { counts };
    let friction = friction.unwrap_or_else(|| Friction::of(&events));
    (sums.rejected, sums.nudges) = (friction.rejected, friction.nudges);
    sums.judged = u64::from(friction.first_try.is_some());
    sums.first_try = u64::from(friction.first_try == Some(true));
    sums.with_turns = u64::from(counts.turns > 0);
    (sums.turns, sums.tool_calls) = (counts.turns, counts.tool_calls);
    (sums.tokens_in, sums.tokens_out) = (counts.tokens.input_total(), counts.tokens.output);
    (sums.interrupts, sums.approvals) = (counts.interrupts, counts.approvals);
    sums
}

fn as_json(total: &Sums, groups: &[BTreeMap<String, Sums>; 4]) -> String {
    let mut out = String::new();
    write_object(&mut out, |o| {
        o.int("v", JSON_VERSION);
        o.object("total", |o| total.write(o));
        for (name, group) in GROUPS.iter().zip(groups) {
            o.array(&format!("by_{name}"), |a| {
                for (value, sums) in group {
                    a.object(|o| {
                        o.string(name, value);
                        sums.write(o);
                    });
                }
            });
        }
    });
    out.push('\n');
    out
}

fn as_text(total: &Sums, groups: &[BTreeMap<String, Sums>; 4]) -> String {
    let mut out = String::new();
    let mut say = |name: &str, value: String| out.push_str(&format!("{name}: {value}\n"));
    let statuses = Status::NAMES.iter().zip(total.statuses).filter(|(_, count)| *count > 0);
    let statuses: Vec<String> =
        statuses.map(|((_, name), count)| format!("{} {name}", line::thousands(count))).collect();
    say("Sessions", format!("{} ({})", line::thousands(total.sessions), statuses.join(", ")));
    if let Some(permille) = total.success_permille() {
        say("Success rate", percent(permille));
    }
    let mean = total.duration_us.checked_div(total.timed).map(duration);
    let mean = mean.map_or_else(String::new, |mean| format!(" ({mean} on average)"));
    say("Duration", format!("{}{mean}", duration(total.duration_us)));
    if total.turns > 0 {
        let hundredths = (total.turns * 100).checked_div(total.with_turns).unwrap_or(0);
        let mean = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        say("Turns", format!("{} ({mean} on average)", line::thousands(total.turns)));
        say("Tool calls", line::thousands(total.tool_calls));
    }
    if total.tokens_in + total.tokens_out > 0 {
        let [read, written] = [total.tokens_in, total.tokens_out].map(line::thousands);
        say("Tokens", format!("{read} in, {written} out"));
    }
    let split = [
        ("agent", total.agent_ms),
        ("tools", total.tool_ms),
        ("waiting for you", total.blocked_ms),
    ];
    let sum: u64 = split.iter().map(|(_, ms)| ms).sum();
    if sum > 0 {
        let parts: Vec<String> = split
            .iter()
            .map(|(name, ms)| {
                format!("{name} {} ({})", duration(ms * 1000), percent(ms * 1000 / sum))
            })
            .collect();
        say("Time", parts.join(", "));
    }
    if let Some(permille) = (total.first_try * 1000).checked_div(total.judged) {
        let share = percent(permille);
        say("Right at the first try", format!("{} of {} ({share})", total.first_try, total.judged));
    }
    if total.turns > 0 {
        let counts = [
            (total.interrupts, "interrupt"),
            (total.approvals, "approval"),
            (total.rejected, "rejection"),
            (total.nudges, "nudge"),
        ];
        say("Friction", counts.map(|(count, noun)| line::count(count, noun)).join(", "));
    }
    for (name, group) in GROUPS.iter().zip(groups).filter(|(_, group)| !group.is_empty()) {
        out.push_str(&format!("\n{}", table(name, group)));
    }
    out
}

/// The largest of a group, or, of days, the latest, each with a bar for its sessions.
fn table(name: &str, group: &BTreeMap<String, Sums>) -> String {
    let mut members: Vec<(&String, &Sums)> = group.iter().collect();
    match name {
        "day" => drop(members.drain(..members.len().saturating_sub(ROWS_SHOWN))),
        _ => members.sort_by_key(|(_, sums)| std::cmp::Reverse(sums.sessions)),
    }
    let most = members.iter().map(|(_, sums)| sums.sessions).max().unwrap_or(1).max(1);
    let headings =
        [name.to_uppercase().as_str(), "SESSIONS", "SUCCESS", "TURNS", "TOKENS", "TIME", ""]
            .map(str::to_owned);
    let mut rows = vec![headings.to_vec()];
    for (value, sums) in members.iter().take(ROWS_SHOWN) {
        let bar = (sums.sessions * BAR_COLUMNS as u64).div_ceil(most) as usize;
        rows.push(vec![
            line::cut(&line::clean(value), NAME_COLUMNS),
            line::thousands(sums.sessions),
            sums.success_permille().map_or_else(|| "-".to_owned(), percent),
            line::thousands(sums.turns),
            line::thousands(sums.tokens_in.saturating_add(sums.tokens_out)),
            duration(sums.duration_us),
            "█".repeat(bar),
        ]);
    }
    let columns = if screen::is_terminal() { screen::columns() } else { usize::MAX };
    line::table(&rows, columns)
}

fn percent(permille: u64) -> String {
    format!("{}.{}%", permille / 10, permille % 10)
}
