//! The nouns of a recorded session: its id, what is known of it, how it stands. No I/O.

mod id;
mod meta;
mod status;

pub use id::SessionId;
pub use meta::{Ending, Imported, ImportedFile, Intent, Meta, Repository, WindowSize};
pub use status::Status;
