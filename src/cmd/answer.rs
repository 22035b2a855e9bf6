//! `il answer`: the answer to a question that a session asks.

use super::{home, mark, print};
use crate::cli::{Command, Global, Hint, Operand, Operands};
use crate::error::{Error, Result};
use crate::format::line;
use crate::library::{Asked, Library, Session};

/// `il answer [ID] TEXT`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "answer",
    summary: "Answer a question that a session asks",
    flags: &[],
    shared: &[],
    operands: Operands::Each(
        &[
            Operand::optional("ID", Hint::Session, "Session, the one that asks if left out"),
            Operand::one("TEXT", Hint::None, "Answer"),
        ],
        |args: &mut Args, word| {
            args.words.push(mark::text(word)?);
            Ok(())
        },
    ),
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    words: Vec<String>,
}

/// Columns of a question in a list.
const QUESTION_COLUMNS: usize = 60;

fn run(args: Args, global: &Global) -> Result<u8> {
    let library = Library::open_to_change(&home::dir(global)?)?;
    let (session, text) = match &args.words[..] {
        [id, text] => (library.find(Some(id))?, text),
        [text] => (asking(&library)?, text),
        _ => return Err(Error::usage("missing TEXT")),
    };
    let asked = library.open_questions(&session).into_iter().next().ok_or_else(|| {
        Error::nothing_found(format!("session {} asks nothing", session.id.short()))
    })?;
    library.answer(&session, &asked, text)?;
    print(format!("Answered: {}\n", line::clean(&asked.text)))?;
    Ok(0)
}

/// The only session that asks something.
fn asking(library: &Library) -> Result<Session> {
    let with_question = |session: Session| -> Option<(Session, Asked)> {
        let first = library.open_questions(&session).into_iter().next()?;
        Some((session, first))
    };
    let mut asking: Vec<(Session, Asked)> =
        library.running()?.into_iter().filter_map(with_question).collect();
    match asking.len() {
        0 => Err(Error::nothing_found("no running session asks anything")
            .with_hint("'il ask QUESTION' inside a recorded command does")),
        1 => Ok(asking.remove(0).0),
        n => {
            let mut hint = "say which:".to_owned();
            for (session, asked) in asking {
                let question = line::cut(&line::clean(&asked.text), QUESTION_COLUMNS);
                hint.push_str(&format!("\n  {}  {question}", session.id));
            }
            Err(Error::usage(format!("{n} sessions ask something")).with_hint(hint))
        }
    }
}
