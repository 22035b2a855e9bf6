//! `il show`: what a person wants to know of one session.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::pick::{self, Picks};
use super::{home, moment, print, screen};
use crate::agent::{Counted, Statement};
use crate::cli::{Command, Flag, Global, Hint, Operand, Operands};
use crate::error::{Error, Result};
use crate::event::{self, Body, Event, Prices};
use crate::format::line;
use crate::format::markdown::{Report, grouped, tool_calls};
use crate::format::text::{Chat, View};
use crate::json::write_object;
use crate::library::{Library, Session};
use crate::session::{DERIVED_VERSION, Derived, Status};
use crate::sys::time;
use crate::term::Format;
use crate::time::duration;

/// `il show [ID] [--json] [--at TIME] [--turn N]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "show",
    summary: "Show what happened in a session",
    flags: &[
        pick::flag(),
        Flag::value("at", "TIME", "Paint the screen at TIME", |args: &mut Args, value| {
            args.at = Some(value.into_string().map_err(|_| "not a time")?);
            Ok(())
        }),
        Flag::value("turn", "N", "Only turn N: words, thoughts and calls", |args, value| {
            let number = value.to_str().and_then(|text| text.parse().ok()).filter(|n| *n > 0);
            args.turn = Some(number.ok_or("not a number from 1")?);
            Ok(())
        }),
    ],
    shared: FLAGS,
    operands: Operands::Each(
        &[Operand::optional("ID", Hint::Session, "Session, the newest if left out")],
        |args: &mut Args, word| {
            args.id = Some(super::id(word)?);
            Ok(())
        },
    ),
    run,
};

/// The flags, which `il last` has too.
pub(super) const FLAGS: &[Flag<Args>] = &[
    Flag::switch("json", "Print a JSON object", |args: &mut Args| args.json = true),
    Flag::switch("explain", "List which tokens were counted, and which not", |args: &mut Args| {
        args.explain = true;
    }),
];

/// The file of prices in the store's directory, which only the user writes.
const PRICES_FILE: &str = "prices";
/// Bytes of it that are read.
const PRICES_LEN_MAX: u64 = 1 << 20;

#[derive(Debug, Default)]
pub(crate) struct Args {
    id: Option<String>,
    json: bool,
    at: Option<String>,
    turn: Option<u32>,
    explain: bool,
    pick: bool,
}

impl Picks for Args {
    fn pick(&mut self) {
        self.pick = true;
    }
}

/// Columns that a prompt takes.
const PROMPT_COLUMNS: usize = 120;

/// Columns of the table of iterations where no terminal says how many it has.
const PIPED_COLUMNS: usize = 200;

/// Shows the newest session, whatever else the user may want to choose.
pub(super) fn last(args: Args, global: &Global) -> Result<u8> {
    run(Args { id: Some("@1".to_owned()), ..args }, global)
}

/// Shows the session.
pub(super) fn run(args: Args, global: &Global) -> Result<u8> {
    let dir = home::dir(global)?;
    let library = Library::open(&dir)?;
    let choose = if args.json { pick::session } else { pick::session_or_list };
    let session = choose(&library, args.pick, args.id.as_deref())?;
    if let Some(text) = &args.at {
        let t_us = moment::parse(text, &library, &session)?;
        let (terminal, _) = library.screen_at(&session, t_us);
        let format = match (args.json, screen::is_terminal()) {
            (true, _) => Format::Json,
            (false, true) => Format::Ansi,
            (false, false) => Format::Text,
        };
        print(terminal.screen().render(format, 0))?;
        return Ok(0);
    }
    if let Some(number) = args.turn {
        print(turn(&library, &session, number, args.json)?)?;
        return Ok(0);
    }
    if args.explain {
        let account = library.account(&session);
        screen::table(&LEDGER, account.ledger.iter().map(statement))?;
        return Ok(0);
    }
    let text = match args.json {
        true => as_json(&library, &session),
        false => as_text(&library, &session, &prices(&dir))?,
    };
    print(text)?;
    Ok(0)
}

/// One turn: when it was, how long the agent, its tools and the user took, and what was said.
fn turn(library: &Library, session: &Session, number: u32, json: bool) -> Result<String> {
    let mut out = String::new();
    let (mut report, mut last) = (Report::default(), None);
    let view = View { offset_s: session.meta.started.offset_s, thoughts: true, ..View::default() };
    let mut chat = Chat::new(view).within(&session.directory());
    let mut mine = 0;
    library.each_said(session, &mut |event| {
        report.add(&event);
        last = last.max(event.turn);
        if event.turn != Some(number) {
            return;
        }
        mine += 1;
        match json {
            true => event.write_line(&mut out),
            false => chat.add(&event, &mut out),
        }
    });
    if mine == 0 {
        let why = match last {
            Some(last) => format!("it has {}", line::count(last.into(), "turn")),
            None => "nobody said anything in it".to_owned(),
        };
        return Err(Error::failed(format!("no turn {number} of {}", session.id.short())).why(why));
    }
    if json {
        return Ok(out);
    }
    let heading = report.turn_line(number).unwrap_or_default();
    Ok(format!("Turn: {number} of {}{heading}\n\n{out}", last.unwrap_or(number)))
}

/// The user's prices; none where there is no file.
fn prices(dir: &Path) -> Prices {
    let mut text = String::new();
    if let Ok(file) = File::open(dir.join(PRICES_FILE)) {
        // What is no text has no prices.
        let _ = file.take(PRICES_LEN_MAX).read_to_string(&mut text);
    }
    Prices::parse(&text)
}

const LEDGER: [&str; 8] =
    ["COUNTED", "REQUEST", "MODEL", "IN", "CACHE READ", "CACHE WRITE", "OUT", "STANDS AT"];

/// What a transcript states of one request, and what became of it.
fn statement(statement: &Statement) -> Vec<String> {
    let usage = &statement.usage;
    let evidence = &statement.evidence;
    let counted = match statement.counted {
        Counted::Yes => "yes",
        Counted::Superseded => "no: a later record replaces it",
        Counted::Repeated => "no: another record says the same",
    };
    vec![
        counted.to_owned(),
        line::clean(&statement.key),
        usage.model.as_deref().map_or_else(|| "-".to_owned(), line::clean),
        usage.input.to_string(),
        usage.cache_read.to_string(),
        usage.cache_write_5m.saturating_add(usage.cache_write_1h).to_string(),
        usage.output.to_string(),
        format!("{}:{}+{}", evidence.stream, evidence.offset, evidence.len),
    ]
}

/// What the requests cost: by the agent's own word, else by the user's prices.
fn cost(library: &Library, session: &Session, prices: &Prices) -> String {
    let (mut sum, mut unpriced, mut all) = (0u64, 0, 0);
    library.each_said(session, &mut |event| {
        let Body::Usage(usage) = &event.body else { return };
        all += 1;
        match usage.cost_microusd.or_else(|| prices.of(usage)) {
            Some(cost) => sum = sum.saturating_add(cost),
            None => unpriced += 1,
        }
    });
    let dollars = format!("${}.{:04}", sum / 1_000_000, sum % 1_000_000 / 100);
    match unpriced {
        0 => dollars,
        n if n == all => "unpriced".to_owned(),
        n => format!("{dollars} and {n} of {all} requests unpriced"),
    }
}

fn as_text(library: &Library, session: &Session, prices: &Prices) -> Result<String> {
    let meta = &session.meta;
    let mut out = String::new();
    let mut say = |name: &str, value: &str| {
        out.push_str(&format!("{name}: {}\n", line::clean(value)));
    };
    say("Session", &session.id.to_string());
    if let Some(name) = &meta.name {
        say("Name", name);
    }
    if let Some(intent) = &meta.intent {
        match &intent.title {
            Some(title) => say("Intent", &format!("{title} ({})", intent.id)),
            None => say("Intent", &intent.id),
        }
    }
    if !meta.tags.is_empty() {
        say("Tags", &meta.tags.join(", "));
    }
    if meta.pinned {
        say("Pinned", "yes");
    }
    say("Status", session.status.name());
    say("Started", &meta.started.local());
    let now_us = time::wall().unix_us;
    let lasted = session.duration_us(now_us).map(duration);
    match (&meta.ending, session.status) {
        (Some(ending), _) => {
            let lasted = lasted.unwrap_or_default();
            say("Ended", &format!("{} ({lasted})", ending.ended.local()));
        }
        (None, Status::Running) => {
            say("Ended", &format!("(running, {})", lasted.unwrap_or_default()));
        }
        (None, _) if meta.imported.is_some() => say("Ended", "(unknown: nobody wrote it down)"),
        (None, _) => say("Ended", "(unknown: the recorder was killed)"),
    }
    if let Some(ending) = &meta.ending {
        match (ending.exit_code, &ending.signal, &ending.not_executed) {
            (Some(code), _, _) => say("Exit code", &code.to_string()),
            (None, Some(signal), _) => say("Signal", signal),
            (None, None, Some(why)) => say("Not executed", why),
            (None, None, None) => {}
        }
        if ending.terminal_closed {
            say("Interrupted by", "the loss of its terminal");
        }
    }
    if let Some(imported) = &meta.imported {
        let whence = if session.is_recorded() { "Log" } else { "Imported from" };
        say(whence, &format!("{} ({})", imported.format, imported.from));
        if let Some(prompt) = &imported.prompt {
            say("Prompt", &line::cut(&line::clean(prompt), PROMPT_COLUMNS));
        }
    }
    if session.is_recorded() {
        say("Command", &line::words(&meta.argv));
    }
    if let Some(agent) = session.agent_line() {
        say("Agent", &agent);
    }
    if let Some(cwd) = &meta.cwd {
        let branch = meta.repository.as_ref().and_then(|r| r.branch.as_deref());
        let changes = session.changes.as_ref().filter(|changes| changes.unknown.is_none());
        let changes = changes.map(|c| {
            let files = line::count(c.files_count, "file");
            format!("{files} changed, +{} -{}", line::thousands(c.plus), line::thousands(c.minus))
        });
        let parts: Vec<String> = branch.map(str::to_owned).into_iter().chain(changes).collect();
        let parts = parts.join(", ");
        let parts = if parts.is_empty() { parts } else { format!(" ({parts})") };
        say("Directory", &format!("{}{parts}", cwd.to_string_lossy()));
    }
    if let Some(parent) = &meta.parent {
        say("Inside session", parent);
    }
    if let Some(old) = &meta.resumed_from {
        say("Resumed from", old);
    }
    let account = account(library, session);
    if let Some(derived) = &account {
        sources(derived, &mut say);
        numbers(derived, &mut say, &|| cost(library, session, prices));
    } else {
        say("Thought events", "0");
    }
    let (rounds, table) = iterations(library, session);
    if rounds > 0 {
        say("Iterations", &rounds.to_string());
    }
    if let Some(ending) = meta.ending.as_ref().filter(|e| e.bytes_dropped > 0) {
        say("Not recorded", &line::size(ending.bytes_dropped));
    }
    let talked = account.is_some_and(|derived| derived.counts.turns > 0);
    if talked {
        for (name, stream) in [("Conversation", "conversation"), ("Report", "report")] {
            let content = library.copy(session, stream, &mut std::io::sink())?;
            say(name, &format!("{} ({})", session.key(stream), line::size(content.bytes)));
        }
    }
    let ring = library.copy(session, "ring", &mut std::io::sink())?;
    say("Ring buffer", &format!("{} ({})", session.key("ring"), line::size(ring.bytes)));
    out.push_str(&table);
    if screen::is_terminal() {
        let what = if talked { "chat" } else { "stdout" };
        let id = session.id.short();
        out.push_str(&format!("\nnext: il dump {what} {id}, il attach {id}\n"));
    }
    Ok(out)
}

/// What the recording says: as it was kept, or read now. None for a terminal's recording that was
/// imported.
fn account(library: &Library, session: &Session) -> Option<Derived> {
    if session.meta.imported.is_some() {
        return session.meta.derived.clone();
    }
    let kept = session.meta.derived.clone().filter(|d| d.version == DERIVED_VERSION);
    Some(kept.unwrap_or_else(|| library.account(session).derived))
}

/// Where the agent's transcript was, and how sure it is that it is this session's.
fn sources(derived: &Derived, say: &mut dyn FnMut(&str, &str)) {
    if let Some(title) = &derived.title {
        say("Title", title);
    }
    let sure = format!("{:.0} % sure: {}", derived.conf * 100.0, derived.reasons.join(", "));
    for (at, file) in derived.files.iter().enumerate() {
        let sure = if at == 0 { format!(" ({sure})") } else { String::new() };
        say("Transcript", &format!("{} = {}{sure}", file.stream, file.path));
    }
    if !derived.rivals.is_empty() {
        let which = derived.rivals.join(", ");
        say("Transcript", &format!("one of {which}: they fit as well, so none was taken"));
    }
}

/// Turns, thoughts, calls, tokens and how the time was spent.
fn numbers(derived: &Derived, say: &mut dyn FnMut(&str, &str), cost: &dyn Fn() -> String) {
    let counts = &derived.counts;
    let guess = match derived.source.as_str() {
        "pty" if counts.turns > 0 => " (guessed from the terminal)",
        _ => "",
    };
    if counts.turns > 0 {
        say("Turns", &format!("{}{guess}", counts.turns));
    }
    say("Thought events", &counts.thoughts.to_string());
    if counts.tool_calls > 0 {
        say("Tool calls", &tool_calls(counts));
    }
    if counts.approvals > 0 {
        say("Approvals", &format!("{} (il approvals)", counts.approvals));
    }
    if counts.requests > 0 {
        let tokens = &counts.tokens;
        let cached = match tokens.cache_read {
            0 => String::new(),
            n => format!(" ({} cached)", grouped(n)),
        };
        let (input, output) = (grouped(tokens.input_total()), grouped(tokens.output));
        say("Tokens", &format!("{input} in{cached}, {output} out, {}", cost()));
    }
    if derived.split_ms.iter().any(|ms| *ms > 0) {
        let [agent, tools, me] = derived.split_ms.map(|ms| duration(ms.saturating_mul(1000)));
        say("Time", &format!("agent {agent}, tools {tools}, waiting for me {me}"));
    }
}

/// The rounds of an actor and a critic, and how many there were: a row each.
fn iterations(library: &Library, session: &Session) -> (usize, String) {
    if session.meta.imported.is_none() && session.meta.derived.is_none() {
        return (0, String::new());
    }
    let headings = ["ITER", "TIME", "ACTOR", "EXIT", "DURATION", "FILES", "DECISION", "FEEDBACK"];
    let mut rows = vec![headings.map(str::to_owned).to_vec()];
    let unknown = || "-".to_owned();
    let of_rounds = |e: &Event| {
        let kinds = matches!(e.body, Body::Iteration(_) | Body::Git(_) | Body::Critic(_));
        kinds || (e.iter.is_some() && matches!(e.body, Body::AssistantMessage(_)))
    };
    for round in event::rounds(&library.events_where(session, &of_rounds)) {
        let lasted = round.duration_ms.map(|ms| duration(ms.saturating_mul(1000)));
        rows.push(vec![
            round.number.to_string(),
            round.time.map_or_else(unknown, |at| time::local(at.unix_us).local()),
            round.agent.as_deref().map_or_else(unknown, line::clean),
            round.exit_code.map_or_else(unknown, |code| code.to_string()),
            lasted.unwrap_or_else(unknown),
            round.files_changed.map_or_else(unknown, |n| n.to_string()),
            round.decision.map_or_else(unknown, |decision| decision.as_str().to_owned()),
            line::clean(round.feedback.as_deref().unwrap_or_default()),
        ]);
    }
    let columns = if screen::is_terminal() { screen::columns() } else { PIPED_COLUMNS };
    match rows.len() - 1 {
        0 => (0, String::new()),
        rounds => (rounds, format!("\n{}", line::table(&rows, columns))),
    }
}

fn as_json(library: &Library, session: &Session) -> String {
    let mut out = String::new();
    write_object(&mut out, |o| {
        session.meta.write(o);
        o.string("short_id", &session.id.short());
        o.string("status", session.status.name());
        let now_us = time::wall().unix_us;
        o.int_opt("duration_ms", session.duration_us(now_us).map(|us| us / 1000));
        o.string_opt("agent", session.agent());
        o.string_opt("project", session.project().as_deref());
        o.string("command", &line::words(&session.meta.argv));
        if let Some(changes) = &session.changes {
            o.value("changes", &changes.to_json());
        }
        let derived = account(library, session).unwrap_or_default();
        o.int("thought_events", derived.counts.thoughts);
        if session.meta.derived.as_ref().is_none_or(|kept| kept.version != DERIVED_VERSION) {
            o.object("account", |o| derived.write(o));
        }
        o.array("streams", |a| {
            library.stream_names(session).iter().for_each(|name| a.string(name));
        });
    });
    out.push('\n');
    out
}
