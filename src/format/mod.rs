//! Sessions to text and to other tools' files.

pub mod cast;
pub mod line;
pub mod markdown;
pub mod mask;
pub mod recording;
pub mod script;
pub mod text;
