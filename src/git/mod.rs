//! Repositories. Where one is and what its HEAD says is read from its files, without running git;
//! what changed in one is asked of git, which is kept from writing to it.

mod changes;
mod early;
mod head;
mod index;
mod snapshot;

pub use changes::{Changes, Commit, FileChange, NAMED_MAX};
pub use early::Early;
pub use head::find;
pub use snapshot::{Shadow, Snapshot};
