//! Repositories. Where one is and what its HEAD says is read from its files, without running git.

mod head;

pub use head::find;
