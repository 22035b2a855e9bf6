//! The nouns of a recorded session: its id, what is known of it, how it stands, which are
//! meant. No I/O.

mod derived;
mod filter;
mod id;
mod meta;
mod status;

pub use derived::{DERIVED_VERSION, Derived, NativeFile};
pub use filter::{Facts, Filter};
pub use id::SessionId;
pub use meta::{Ending, Imported, ImportedFile, Intent, Meta, Repository, WindowSize};
pub use status::Status;
