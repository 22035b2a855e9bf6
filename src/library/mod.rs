//! Sessions as people ask for them: found by what they say, loaded with what is known, read by
//! the names of their streams.

mod added;
mod archive;
mod derive;
mod draft;
mod changes;
pub mod edits;
mod events;
mod facts;
mod files;
mod find;
mod follow;
mod harness;
mod history;
mod import;
mod natives;
mod index;
mod keep;
mod keyframe;
mod own;
mod question;
mod player;
mod processes;
mod replay;
pub mod search;
mod report;
mod scrub;
mod stream;
mod text;
mod thoughts;

use std::path::Path;
use std::sync::OnceLock;

use crate::error::Result;
use crate::git::Changes;
use crate::json::{self, View};
use crate::session::{Ending, Meta, SessionId, Status};
use crate::store::{Access, Entry, Exit, FOUND_MAX, State, Store, StreamId};
use crate::sys::signal::Signal;
use crate::sys::time;
use crate::term::Size;
use crate::time::WallTime;

pub use archive::{behind, beside};
pub use changes::{Watch, watch};
pub use derive::Account;
pub use facts::absolute;
pub use follow::Following;
pub use harness::{keeps_a_log, take_own_log};
pub use history::{History, Known, Whereabouts};
pub use import::{Taken, import, import_recording};
pub use keep::Removed;
pub use keyframe::{
    KEEP_OUTPUT_MIN, KEYFRAME_EVERY, KEYFRAME_SHARE, KEYFRAMES_LEN_MAX, KEYFRAMES_MAX,
};
pub use own::Own;
pub use player::Player;
pub use question::{Asked, QUESTION_FILE, RESPONSE_FILE};
pub use replay::{Mark, Replay, Step};
pub use scrub::Suspect;
pub use stream::{Content, RING_LEN, STREAMS};
use text::KeptText;

/// The size of a session that had no terminal.
const SIZE_DEFAULT: Size = Size::new(80, 24);

/// The recorded sessions of one store.
/// ```
/// use intentloop::Library;
/// # use intentloop::Store;
/// # use intentloop::session::{Meta, SessionId};
/// # use intentloop::store::{Access, Exit, NewSession, StreamId};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dir = std::env::temp_dir().join(format!("il-doc-library-{}", std::process::id()));
/// # let meta = Meta { argv: vec!["make".into()], ..Meta::default() };
/// # let id = SessionId::new(1_780_000_000_000, *b"any random").0;
/// # let start_us = 1_780_000_000_000_000;
/// # let store = Store::open(&dir, Access::Write)?;
/// # let meta = meta.to_json();
/// # let new = NewSession { id, start_us, label: [0; 16], meta: meta.as_bytes() };
/// # let mut writer = store.begin(&new)?;
/// # writer.append(StreamId::STDOUT, 5, b"bye\r\n");
/// # writer.end(Exit::Code(1), start_us + 2_000_000)?;
/// // In `dir`, "make" was recorded.
/// let library = Library::open(&dir)?;
/// let newest = library.find(None)?;
/// assert_eq!(newest.meta.argv, ["make"]);
/// assert_eq!(library.sessions()?.count(), 1);
///
/// let mut output = Vec::new();
/// library.copy(&newest, "stdout", &mut output)?;
/// assert_eq!(output, b"bye\r\n");
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Library {
    store: Store,
    annexes: OnceLock<Vec<Entry>>,
}

/// A recorded session.
/// ```
/// use intentloop::{Library, SessionFilter};
/// use intentloop::session::Status;
/// # use intentloop::Store;
/// # use intentloop::session::{Meta, SessionId};
/// # use intentloop::store::{Access, Exit, NewSession, StreamId};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dir = std::env::temp_dir().join(format!("il-doc-session-{}", std::process::id()));
/// # let meta = Meta { argv: vec!["claude".into()], ..Meta::default() };
/// # let id = SessionId::new(1_780_000_000_000, *b"any random").0;
/// # let start_us = 1_780_000_000_000_000;
/// # let store = Store::open(&dir, Access::Write)?;
/// # let meta = meta.to_json();
/// # let new = NewSession { id, start_us, label: [0; 16], meta: meta.as_bytes() };
/// # let mut writer = store.begin(&new)?;
/// # writer.append(StreamId::STDOUT, 5, b"bye\r\n");
/// # writer.end(Exit::Code(1), start_us + 2_000_000)?;
/// let library = Library::open(&dir)?;
/// for session in library.sessions()? {
///     assert_eq!(session.status, Status::Failed);
///     assert_eq!(session.agent(), Some("claude"));
///     assert_eq!(session.duration_us(0), Some(2_000_000));
///     assert!(session.matches(&SessionFilter::default()));
/// }
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// What is known of it.
    pub meta: Meta,
    /// How it stands.
    pub status: Status,
    /// What it changed in its repository, once it has ended.
    pub changes: Option<Changes>,
    entry: Entry,
    /// Where its settled text is kept, if it is.
    text: Option<KeptText>,
    /// Which of its keyframes are kept, if any are.
    keyframes: Option<keyframe::Kept>,
}

impl Library {
    /// Opens the store in `dir` to read it.
    ///
    /// # Errors
    /// There is none, it is damaged beyond use, of a newer version, or not the user's own.
    pub fn open(dir: &Path) -> Result<Library> {
        Ok(Library::on(Store::open(dir, Access::Read)?))
    }

    /// The library of an open store; it changes things if the store was opened to.
    pub fn on(store: Store) -> Library {
        Library { store, annexes: OnceLock::new() }
    }

    /// The store behind it.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The sessions, newest first. Each is loaded when its turn comes.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn sessions(&self) -> Result<impl Iterator<Item = Session> + '_> {
        Ok(self.entries()?.map(|entry| self.load(entry)))
    }

    /// By the time they began: what was imported came late into the catalog.
    fn entries(&self) -> Result<impl Iterator<Item = Entry> + use<>> {
        let newest = self.store.newest(false)?.map(|listed| listed.entry);
        Ok(newest.filter(|entry| !added::is_annex(entry)))
    }

    fn load(&self, mut entry: Entry) -> Session {
        /// Times a session is looked at that is being packed at that moment.
        const LOOKS_MAX: usize = 3;
        for _ in 0..LOOKS_MAX {
            let text = self.last_meta(&entry);
            if let Some(session) = text.and_then(|text| Session::told(entry, &text)) {
                return session;
            }
            // Its pages may have been given back after its entry was read.
            let found = self.store.find(&SessionId(entry.id).to_string(), FOUND_MAX);
            match found.unwrap_or_default().pop() {
                Some(fresh) if fresh != entry => entry = fresh,
                _ => break,
            }
        }
        Session::known_by(entry, None)
    }

    /// What is known of a session at this moment: others may have added to it since it was loaded.
    /// For who holds its writer, and so keeps them out.
    fn meta_now(&self, session: &Session) -> Option<Vec<u8>> {
        let found = self.store.find(&session.id.to_string(), FOUND_MAX).unwrap_or_default();
        self.last_meta(found.last().unwrap_or(&session.entry))
    }

    /// What is known of a session, as the text that was written last.
    fn last_meta(&self, entry: &Entry) -> Option<Vec<u8>> {
        self.store.last_record(entry, StreamId::META).map(|(_, text)| text)
    }
}

impl Session {
    /// The session of which `meta`, a JSON text, tells; None if it is none.
    fn told(entry: Entry, meta: &[u8]) -> Option<Session> {
        json::look(meta, |meta| Session::known_by(entry, Some(meta))).ok()
    }

    /// The session of which `meta` is known.
    fn known_by(entry: Entry, meta: Option<View<'_>>) -> Session {
        let text = meta.and_then(KeptText::from_meta);
        let keyframes = meta.and_then(keyframe::Kept::from_meta);
        let changes = meta.and_then(|meta| meta.get("changes")).map(Changes::from_json);
        let mut meta = meta.map(Meta::from_json).unwrap_or_default();
        if meta.started == WallTime::default() {
            meta.started = time::local(entry.start_us);
        }
        let status = status_of(&entry, &meta);
        Session { id: SessionId(entry.id), meta, status, changes, entry, text, keyframes }
    }

    /// Microseconds from its begin to its end, or to `now_us` (since 1970) while it runs; None if
    /// the recorder was killed, for then nobody noted the end.
    pub fn duration_us(&self, now_us: i64) -> Option<u64> {
        match (&self.meta.ending, self.entry.state) {
            (Some(ending), _) => Some(ending.duration_us),
            (None, State::Ended(end)) => u64::try_from(end.end_us - self.entry.start_us).ok(),
            (None, State::Live) => u64::try_from(now_us - self.entry.start_us).ok(),
            (None, State::Lost) => None,
        }
    }

    /// The last component of the repository's root; of an imported session, that of the directory
    /// it worked in.
    pub fn project(&self) -> Option<String> {
        self.meta.project()
    }

    /// Whether il has recorded it itself, rather than taken it in.
    pub fn is_recorded(&self) -> bool {
        self.meta.imported.is_none() || self.meta.host.is_some()
    }

    /// The size its terminal began with.
    pub fn size(&self) -> Size {
        self.meta.size.map_or(SIZE_DEFAULT, |size| Size::new(size.cols, size.rows))
    }

    /// `memmap_fs:sessions/<id>/<stream>`.
    pub fn key(&self, stream: &str) -> String {
        format!("memmap_fs:sessions/{}/{stream}", self.id)
    }
}

fn status_of(entry: &Entry, meta: &Meta) -> Status {
    // What its own program said of a session that il did not see itself.
    if let (Some(imported), State::Ended(end)) = (&meta.imported, entry.state) {
        match imported.status {
            Some(status) => return status,
            None if end.exit == Exit::Unknown => return Status::Lost,
            // It was il that saw it end.
            None => {}
        }
    }
    let exit = match entry.state {
        State::Live => return Status::Running,
        State::Ended(end) => end.exit,
        // The recorder had noted how it ended; only the catalog does not know.
        State::Lost => match &meta.ending {
            Some(ending) => exit_of(ending),
            None => return Status::Lost,
        },
    };
    if meta.ending.as_ref().is_some_and(|ending| ending.terminal_closed) {
        return Status::Interrupted;
    }
    match exit {
        Exit::Code(0) => Status::Succeeded,
        Exit::Signal(number) if BY_HAND.contains(&Signal(i32::from(number))) => Status::Interrupted,
        _ => Status::Failed,
    }
}

/// Signals that people end programs with.
const BY_HAND: [Signal; 4] = [Signal::INT, Signal::HUP, Signal::TERM, Signal::QUIT];

fn exit_of(ending: &Ending) -> Exit {
    let by_hand = |name: &String| BY_HAND.iter().find(|signal| signal.name() == *name);
    match (ending.exit_code, ending.signal.as_ref().and_then(by_hand)) {
        (Some(code), _) => Exit::Code(code.into()),
        (None, Some(signal)) => Exit::Signal(signal.0 as u16),
        (None, None) => Exit::Unknown,
    }
}
