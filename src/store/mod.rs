//! memmap_fs: one crash-safe file of self-describing pages.

pub mod layout;
mod stream;

pub use stream::{Chain, StreamId};
