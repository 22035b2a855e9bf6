//! `il run`: runs a command and records it.

use std::env;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::home;
use crate::cli::{Command, Flag, Global, Hint, Operand, Operands};
use crate::error::Result;
use crate::library::{self, Session};
use crate::record::relay::End;
use crate::record::{self, Recorded, Recording, tape};
use crate::session::{Intent, Meta, SessionId, WindowSize};
use crate::sys::process::{self, Exit};
use crate::sys::signal::{self, Disposition, Mask, Signal};

/// `il run [options] CMD [ARG...]`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "run",
    summary: "Run a command and record it",
    flags: &[
        Flag::value("name", "TITLE", "Title of the session", |args: &mut Args, value| {
            args.name = Some(text(value)?);
            Ok(())
        })
        .short('n'),
        Flag::value("intent", "ID", "Intent the session serves", |args: &mut Args, value| {
            args.intent = Some(text(value)?);
            Ok(())
        }),
        Flag::value(
            "tag",
            "TAG",
            "Tag of the session, may be given again",
            |args: &mut Args, value| {
                args.tags.push(text(value)?);
                Ok(())
            },
        )
        .hint(Hint::Tag),
        Flag::switch("no-input", "Keep no keystrokes", |args: &mut Args| args.no_input = true),
        Flag::switch(
            "record-stdin",
            "Keep stdin also when it is no terminal",
            |args: &mut Args| args.record_stdin = true,
        ),
        Flag::switch(
            "require-record",
            "Refuse to start (125) if nothing can be recorded",
            |args: &mut Args| args.require_record = true,
        ),
        Flag::value(
            "size",
            "COLSxROWS",
            "Window size where there is no terminal",
            |args: &mut Args, value| {
                args.size = Some(size(&text(value)?)?);
                Ok(())
            },
        ),
        Flag::switch(
            "wait",
            "Go on until every process on the terminal has gone",
            |args: &mut Args| args.wait = true,
        ),
        Flag::switch("quiet", "No closing line", |args: &mut Args| args.quiet = true).short('q'),
    ],
    shared: &[],
    operands: Operands::Rest(
        &[
            Operand::one("CMD", Hint::Program, "Command to run"),
            Operand::any("ARG", Hint::None, "Its arguments, passed on as they are"),
        ],
        |args: &mut Args, words| args.argv = words,
    ),
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    name: Option<String>,
    intent: Option<String>,
    tags: Vec<String>,
    no_input: bool,
    record_stdin: bool,
    require_record: bool,
    size: Option<WindowSize>,
    wait: bool,
    quiet: bool,
    argv: Vec<OsString>,
    resumed: Option<Resumed>,
}

/// What a session has of the one it goes on from.
#[derive(Debug)]
struct Resumed {
    from: String,
    intent: Option<Intent>,
    dir: PathBuf,
}

impl Args {
    /// Goes on, in `dir`, with what `session` began.
    pub(super) fn resumed(argv: Vec<OsString>, dir: &Path, session: &Session) -> Args {
        let resumed = Resumed {
            from: session.id.to_string(),
            intent: session.meta.intent.clone(),
            dir: dir.to_owned(),
        };
        Args {
            name: session.meta.name.clone(),
            tags: session.meta.tags.clone(),
            argv,
            resumed: Some(resumed),
            ..Args::default()
        }
    }
}

fn text(value: OsString) -> std::result::Result<String, String> {
    value.into_string().map_err(|_| "not UTF-8".to_owned())
}

fn size(text: &str) -> std::result::Result<WindowSize, String> {
    let parsed = text.split_once('x').and_then(|(cols, rows)| {
        let size = WindowSize { cols: cols.parse().ok()?, rows: rows.parse().ok()? };
        (size.cols > 0 && size.rows > 0).then_some(size)
    });
    parsed.ok_or_else(|| "not COLSxROWS, each from 1 to 65535".to_owned())
}

/// Runs the command and records it; the exit status is the command's own.
pub(super) fn run(args: Args, global: &Global) -> Result<u8> {
    let dir = home::dir(global);
    let mut environment: Vec<(OsString, OsString)> = env::vars_os().collect();
    if let Some(resumed) = &args.resumed {
        for (_, value) in environment.iter_mut().filter(|(name, _)| name == "PWD") {
            *value = resumed.dir.clone().into_os_string();
        }
    }
    if let (Some(_), Ok(dir)) = (&global.home, &dir) {
        // `il mark` and its like inside the command are to find the same store.
        environment.retain(|(name, _)| name != "INTENTLOOP_HOME");
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
        environment.push(("INTENTLOOP_HOME".into(), dir.into_os_string()));
    }
    let recording = Recording {
        argv: args.argv.clone(),
        env: environment,
        keep_input: !args.no_input,
        record_stdin: args.record_stdin,
        require_record: args.require_record,
        size: args.size,
        wait_for_all: args.wait,
    };
    let kept_in = dir.as_ref().ok().cloned();
    let mut id = SessionId([0; 16]);
    // Its repository is watched until this process ends, however it does.
    let mut _held = None;
    let facts = facts(&args);
    let side = dir.as_ref().ok().and_then(|dir| library::beside(dir, &facts));
    let recorded = record::run(&recording, side, |size, clock| {
        let mut random = [0; 10];
        // Without random bytes the time and the process still make ids of one machine differ.
        if process::random(&mut random).is_err() {
            random[..4].copy_from_slice(&process::own_pid().0.to_le_bytes());
        }
        let started = clock.started();
        id = SessionId::new((started.unix_us / 1000) as u64, random);
        let meta = Meta { id: Some(id), started, size, ..facts };
        let mut seen = None;
        if let (Ok(dir), Some(repository)) = (&dir, &meta.repository)
            && let Ok(watch) = library::watch(dir, id, repository)
        {
            (_held, seen) = (Some(watch.held), Some(watch.seen));
        }
        (tape::Plan { dir: dir.as_ref().ok().cloned(), id, meta }, seen)
    })?;
    if let (true, Some(dir)) = (recorded.kept.saved, &kept_in)
        && (library::keeps_a_log(&args.argv) || recorded.first_out == Some(b'{'))
    {
        // What the command kept itself is a gain; the recording is whole without it.
        let _ = library::take_own_log(dir, id);
    }
    say(&args, id, &recorded);
    if let (Ok(dir), true) = (&dir, recorded.kept.saved && recorded.keys && !recorded.is_read) {
        library::behind(dir, id);
    }
    Ok(leave(&recorded))
}

/// What is known of the session before it begins.
fn facts(args: &Args) -> Meta {
    let cwd = env::current_dir().ok();
    let repository = cwd.as_deref().and_then(crate::git::find);
    let root = repository.as_ref().map(|r| PathBuf::from(&r.root));
    let utf8 = |name: &str| env::var(name).ok().filter(|v| !v.is_empty());
    let intent = args.intent.clone().or_else(|| utf8("INTENT_ID"));
    let intent = match intent {
        Some(id) => Some(Intent { id, title: None }),
        None => {
            let earlier = args.resumed.as_ref().and_then(|resumed| resumed.intent.clone());
            earlier.or_else(|| root.and_then(|root| intent_of(&root)))
        }
    };
    Meta {
        argv: args.argv.clone(),
        cwd: cwd.map(PathBuf::into_os_string),
        name: args.name.clone(),
        tags: args.tags.clone(),
        intent,
        parent: utf8("IL_SESSION"),
        resumed_from: args.resumed.as_ref().map(|resumed| resumed.from.clone()),
        term: utf8("TERM"),
        host: process::host_name().map(|h| h.to_string_lossy().into_owned()),
        user: utf8("USER")
            .or_else(|| utf8("LOGNAME"))
            .or_else(|| Some(process::user_id().to_string())),
        il_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        repository,
        ..Meta::default()
    }
}

/// Most bytes of INTENT.md that are looked at; its two lines stand at the top.
const INTENT_MAX: usize = 16 * 1024;

/// `id:` and `title:` of `INTENT.md` in a repository's root.
fn intent_of(root: &std::path::Path) -> Option<Intent> {
    use std::io::Read;
    let path = root.join("INTENT.md");
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(INTENT_MAX as u64).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let value = |name: &str| {
        text.lines().find_map(|line| {
            let value = line.trim().strip_prefix(name)?.strip_prefix(':')?.trim();
            let value = value.trim_matches(|c| c == '"' || c == '\'');
            (!value.is_empty()).then(|| value.to_owned())
        })
    };
    Some(Intent { id: value("id")?, title: value("title") })
}

/// Tells, where a person sees it, what became of the recording.
fn say(args: &Args, id: SessionId, recorded: &Recorded) {
    let mut lines = String::new();
    if let End::NotExecuted(errno) = recorded.end {
        let command = args.argv.first().map(|word| word.to_string_lossy()).unwrap_or_default();
        let why = record::errno_text(errno);
        lines.push_str(&format!("il run: cannot run {command}: {why}\n"));
        if errno == process::NOT_FOUND && !command.contains('/') {
            lines.push_str("hint: no directory of PATH has it\n");
        }
    }
    if let Some(notice) = &recorded.kept.notice {
        lines.push_str(&format!("il: {notice}\n"));
    } else if recorded.kept.saved
        && !args.quiet
        && recorded.stderr_is_terminal
        && std::io::stderr().is_terminal()
    {
        lines.push_str(&format!("il: session {} saved (il last)\n", id.short()));
    }
    // A terminal that has gone takes no words, and that is nobody's fault.
    let _ = std::io::stderr().write_all(lines.as_bytes());
}

/// The command's own status; when it died of a signal, dies of the same, so that the shell sees
/// what it would have seen.
fn leave(recorded: &Recorded) -> u8 {
    let signal = match recorded.end {
        End::Exit(Exit::Code(code)) => return code,
        End::NotExecuted(process::NOT_FOUND) => return 127,
        End::NotExecuted(_) => return 126,
        End::Exit(Exit::Signal(signal)) => signal,
        End::TerminalClosed => Signal::HUP,
    };
    process::forbid_core();
    let _ = signal::set(signal, Disposition::Default);
    let _ = process::kill(process::own_pid(), signal);
    Mask::full().without(signal).install();
    128u8.wrapping_add(signal.0 as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_or_refused() {
        assert_eq!(size("80x24"), Ok(WindowSize { cols: 80, rows: 24 }));
        assert_eq!(size("65535x1"), Ok(WindowSize { cols: 65535, rows: 1 }));
        for bad in ["", "80", "80x", "0x24", "80x0", "65536x1", "-1x2", "80X24"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
