//! `il ask`: a question to the person who looks on.

use std::io::{self, BufRead, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use super::{mark, print};
use crate::cli::{Command, Flag, Global, Hint, Operand, Operands};
use crate::error::{Error, Result};
use crate::format::line;
use crate::library::{Asked, Library, Session};
use crate::session::Status;
use crate::sys::poll::{Interest, PollSet};
use crate::sys::signal::Mask;
use crate::sys::time;

/// `il ask [--session ID] QUESTION...`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "ask",
    summary: "Ask the person who looks on, and wait",
    flags: &[Flag::value("session", "ID", "In this session", |args: &mut Args, value| {
        args.session = Some(super::id(value)?);
        Ok(())
    })
    .hint(Hint::Session)],
    shared: &[],
    operands: Operands::Each(
        &[Operand::many("QUESTION", Hint::None, "Words of the question")],
        |args: &mut Args, word| {
            args.words.push(mark::text(word)?);
            Ok(())
        },
    ),
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    session: Option<String>,
    words: Vec<String>,
}

/// Between two looks for an answer.
const LOOK_EVERY: Duration = Duration::from_millis(200);

fn run(args: Args, global: &Global) -> Result<u8> {
    let (library, session) = mark::meant(global, args.session.as_deref())?;
    if session.status != Status::Running {
        return Err(Error::failed("cannot ask").why("the session has ended"));
    }
    let text = args.words.join(" ");
    let at = time::wall();
    let q_id = library.ask(&session, &text)?;
    let asked = Asked { q_id, text, at, dir: None };
    // Where a person sits at this very terminal, they may answer here.
    let here = io::stdin().is_terminal() && io::stderr().is_terminal();
    if here {
        let _ = io::stderr().write_all(format!("{}\n> ", line::clean(&asked.text)).as_bytes());
    }
    let answer = wait(&library, session, &asked, here)?;
    print(format!("{answer}\n"))?;
    Ok(0)
}

/// Waits for the answer, from wherever it comes.
fn wait(library: &Library, session: Session, asked: &Asked, mut here: bool) -> Result<String> {
    let id = session.id.to_string();
    loop {
        let session = library.find(Some(&id))?;
        if let Some(answer) = library.answer_to(&session, &asked.q_id) {
            return Ok(answer);
        }
        if session.status != Status::Running {
            return Err(Error::failed("no answer").why("the session has ended"));
        }
        let mut input = PollSet::default();
        let stdin = io::stdin();
        if here {
            input.watch(stdin.as_fd(), Interest { read: true, write: false });
        }
        let ready = input.wait(Some(LOOK_EVERY), &Mask::empty());
        if ready.map_err(|e| Error::io("cannot wait", &e))? > 0 {
            let mut typed = String::new();
            let read = stdin.lock().read_line(&mut typed);
            // The end of input is no answer: another may give one.
            here = read.is_ok_and(|len| len > 0);
            if here {
                library.answer(&session, asked, typed.trim_end_matches(['\n', '\r']))?;
            }
        }
    }
}
