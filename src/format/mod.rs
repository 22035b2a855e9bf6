//! Sessions to text and to other tools' files.

pub mod line;
pub mod markdown;
pub mod mask;
pub mod text;
