//! Choosing a session from a list on the terminal: `-p, --pick`, which several commands share.
//! What is typed narrows the list; beside it, where there is room, stands what the session was.

mod list;
mod preview;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::env;
use std::io::{self, IsTerminal};
use std::time::Duration;

use self::list::{List, Row, Wish, body_rows, columns, list_columns};
use self::preview::Preview;
use super::screen;
use super::stage::{Happening, Stage};
use crate::cli::Flag;
use crate::error::{Error, Result};
use crate::format::line;
use crate::library::{Library, Session};
use crate::term::{Options, Painter, Terminal};

/// How long no key comes before a session is read to be shown.
const PREVIEW_WAIT: Duration = Duration::from_millis(60);
/// Sessions whose previews are kept.
const PREVIEWS_MAX: usize = 64;
/// The variable by which a user asks for the list.
const VARIABLE: &str = "INTENTLOOP_PICK";
/// Nothing happens by itself.
const FOREVER: Duration = Duration::from_secs(3600);

/// Arguments that note whether to choose from a list.
pub(super) trait Picks {
    /// Notes that it was asked for.
    fn pick(&mut self);
}

/// The flag, for a command whose arguments are `A`.
pub(super) const fn flag<A: Picks>() -> Flag<A> {
    Flag::switch("pick", "Choose the session from a list; ID narrows it", |args: &mut A| {
        args.pick();
    })
    .short('p')
}

/// The session that is meant: chosen from a list that `id` narrows if that was `asked`, else the
/// one that `id` names.
///
/// # Errors
/// As [`Library::find`]; there is no terminal to choose on, or nothing was chosen.
pub(super) fn session(library: &Library, asked: bool, id: Option<&str>) -> Result<Session> {
    match asked {
        true => choose(library, id.unwrap_or_default(), &|_| true),
        false => library.find(id),
    }
}

/// As [`session`]. Where the user's environment asks for it, and there is a terminal, the list comes
/// by itself if no session is named, or more than one is meant.
///
/// # Errors
/// As [`session`].
pub(super) fn session_or_list(library: &Library, asked: bool, id: Option<&str>) -> Result<Session> {
    let wanted = env::var_os(VARIABLE).is_some_and(|value| !value.is_empty() && value != "0");
    let is_open = || id.is_none_or(|id| library.is_ambiguous(id));
    let by_itself = wanted && screen::is_terminal() && io::stdin().is_terminal() && is_open();
    session(library, asked || by_itself, id)
}

/// A session of those that `fit`, chosen from a list that is narrowed by `words` at first.
///
/// # Errors
/// There is none, no terminal, or nothing was chosen.
pub(super) fn choose(
    library: &Library,
    words: &str,
    fit: &dyn Fn(&Session) -> bool,
) -> Result<Session> {
    if library.sessions()?.next().is_none() {
        return library.find(None);
    }
    let no_terminal = || {
        Error::usage("--pick needs a terminal to choose on")
            .with_hint("name the session by its ID; 'il list' shows the sessions there are")
    };
    let stage = Stage::enter()?.filter(Stage::has_keys).ok_or_else(no_terminal)?;
    let rows = library.sessions()?.filter(|session| fit(session));
    let mut source = rows.map(|session| Row::of(&session));
    let mut list = List { is_loading: true, ..List::default() };
    words.chars().for_each(|c| list.type_character(c));
    let chosen = Choice { library, list, previews: HashMap::new(), stage }.run(&mut source)?;
    drop(source);
    library.find(Some(&chosen))
}

/// The list on the stage.
struct Choice<'a> {
    library: &'a Library,
    list: List,
    previews: HashMap<String, Preview>,
    stage: Stage,
}

impl Choice<'_> {
    /// The id of the session that is chosen.
    fn run(mut self, source: &mut dyn Iterator<Item = Row>) -> Result<String> {
        let nothing = || Error::nothing_found("no session was chosen");
        let coloured = screen::is_coloured();
        let mut painter = Painter::new(self.stage.size());
        loop {
            self.list.load(source);
            if self.list.rows.is_empty() && !self.list.is_loading {
                self.stage.leave();
                return Err(Error::nothing_found("no session to choose from")
                    .with_hint("'il list' shows the sessions there are"));
            }
            let size = painter.view();
            let chosen = self.list.chosen().map(|row| row.id.clone());
            let preview = chosen.as_ref().and_then(|id| self.previews.get(id));
            let is_wanted = preview.is_none() && list_columns(columns(size)) < columns(size);
            let picture = self.list.draw(size, preview, coloured);
            let mut terminal =
                Terminal::new(size, Options { history_rows: 0, ..Options::default() });
            terminal.feed(picture.as_bytes());
            let mut out = String::new();
            painter.paint(terminal.screen(), None, &mut out);
            self.stage.write(&out);
            let pause = match (self.list.is_loading, is_wanted) {
                (true, _) => Duration::ZERO,
                (false, true) => PREVIEW_WAIT,
                (false, false) => FOREVER,
            };
            match self.stage.wait(pause) {
                Happening::Time if is_wanted && !self.list.is_loading => {
                    if let Some(id) = chosen {
                        self.look_at(id);
                    }
                }
                Happening::Time => {}
                Happening::Resized => {
                    painter = Painter::new(self.stage.size());
                    self.stage.write("\x1b[0m\x1b[2J");
                }
                Happening::Gone => {
                    self.stage.leave();
                    return Err(nothing());
                }
                Happening::Keys(keys) => {
                    for key in keys {
                        match self.list.key(key, body_rows(size)) {
                            Wish::Stay => {}
                            Wish::Leave => {
                                self.stage.leave();
                                return Err(nothing());
                            }
                            Wish::Take(id) => {
                                self.stage.leave();
                                return Ok(id);
                            }
                        }
                    }
                }
            }
        }
    }

    fn look_at(&mut self, id: String) {
        if self.previews.len() >= PREVIEWS_MAX {
            self.previews.clear();
        }
        let session = self.library.find(Some(&id));
        let preview = session.map_or_else(
            |error| Preview { head: vec![line::clean(&error.to_string())], ..Preview::default() },
            |session| Preview::of(self.library, &session),
        );
        self.previews.insert(id, preview);
    }
}
