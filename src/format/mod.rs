//! Sessions to text and to other tools' files.

pub mod line;
