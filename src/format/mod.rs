//! Sessions to text and to other tools' files, and those files to sessions.

pub mod cast;
pub mod censor;
pub mod codeloops;
pub mod html;
pub mod intendant;
pub mod line;
pub mod markdown;
pub mod mask;
pub mod recording;
pub mod script;
pub mod svg;
pub mod text;
pub mod native;
