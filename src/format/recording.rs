//! A terminal recording as other recorders' files hold it: a header, and events in time.

use crate::term::{Size, Terminal};

/// What is known of a recording apart from its events. What is None is left out of files.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The window's size at the start.
    pub size: Size,
    /// The terminal's type, as `$TERM` names it.
    pub term: Option<String>,
    /// When it began: seconds since 1970-01-01T00:00:00Z, and the offset from it in seconds.
    pub start: Option<(i64, i32)>,
    /// Pauses longer than so many seconds should be cut when played.
    pub idle_time_limit: Option<f64>,
    /// The command line.
    pub command: Option<String>,
    /// A title.
    pub title: Option<String>,
    /// Environment variables worth keeping.
    pub env: Vec<(String, String)>,
}

impl Header {
    /// A header that knows only the size.
    pub fn new(size: Size) -> Header {
        Header {
            size,
            term: None,
            start: None,
            idle_time_limit: None,
            command: None,
            title: None,
            env: Vec::new(),
        }
    }
}

/// Something that happened, borrowed from whoever holds the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Bytes the program wrote.
    Output(&'a [u8]),
    /// Bytes the user typed.
    Input(&'a [u8]),
    /// The window's new size.
    Resize(Size),
    /// A mark with a label, which may be empty.
    Marker(&'a str),
    /// The program ended with this status.
    Exit(i32),
}

impl Action<'_> {
    /// The same, owned.
    pub fn to_owned(self) -> OwnedAction {
        match self {
            Action::Output(bytes) => OwnedAction::Output(bytes.to_vec()),
            Action::Input(bytes) => OwnedAction::Input(bytes.to_vec()),
            Action::Resize(size) => OwnedAction::Resize(size),
            Action::Marker(label) => OwnedAction::Marker(label.to_owned()),
            Action::Exit(status) => OwnedAction::Exit(status),
        }
    }

    /// Does to a terminal what the action did to the one it was recorded on.
    pub fn show_on(self, terminal: &mut Terminal) {
        match self {
            Action::Output(bytes) => terminal.feed(bytes),
            Action::Resize(size) => terminal.resize(size),
            Action::Input(_) | Action::Marker(_) | Action::Exit(_) => {}
        }
    }
}

/// An action and when: microseconds since the recording began. Times do not fall.
pub type TimedAction<'a> = (u64, Action<'a>);

/// Like [`Action`], owned: what reading a file gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedAction {
    /// Bytes the program wrote.
    Output(Vec<u8>),
    /// Bytes the user typed.
    Input(Vec<u8>),
    /// The window's new size.
    Resize(Size),
    /// A mark with a label.
    Marker(String),
    /// The program ended with this status.
    Exit(i32),
}

impl OwnedAction {
    /// This action, borrowed.
    pub fn borrow(&self) -> Action<'_> {
        match self {
            OwnedAction::Output(bytes) => Action::Output(bytes),
            OwnedAction::Input(bytes) => Action::Input(bytes),
            OwnedAction::Resize(size) => Action::Resize(*size),
            OwnedAction::Marker(label) => Action::Marker(label),
            OwnedAction::Exit(status) => Action::Exit(*status),
        }
    }
}

/// What reading another recorder's file gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The header.
    pub header: Header,
    /// The events, times in microseconds since the start, never falling.
    pub events: Vec<(u64, OwnedAction)>,
    /// Lines that could not be read: number, from 1, and why. They are left out.
    pub broken: Vec<(usize, String)>,
}

impl Recording {
    /// The events, borrowed.
    pub fn actions(&self) -> impl Iterator<Item = TimedAction<'_>> {
        self.events.iter().map(|(time_us, action)| (*time_us, action.borrow()))
    }
}
