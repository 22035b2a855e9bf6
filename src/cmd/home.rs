//! Where il keeps what it records.

use std::env;
use std::path::PathBuf;

use crate::cli::Global;
use crate::error::{Error, Result};

/// The directory of the store: `--home`, else `$INTENTLOOP_HOME` (trimmed, if anything is left of
/// it), else `.intentloop` in the user's home.
///
/// # Errors
/// None of them is known.
pub(super) fn dir(global: &Global) -> Result<PathBuf> {
    if let Some(home) = &global.home {
        return Ok(home.into());
    }
    if let Some(home) = env::var_os("INTENTLOOP_HOME") {
        match home.to_str().map(str::trim) {
            Some("") => {}
            Some(trimmed) => return Ok(trimmed.into()),
            None => return Ok(home.into()),
        }
    }
    env::home_dir()
        .filter(|home| !home.as_os_str().is_empty())
        .map(|home| home.join(".intentloop"))
        .ok_or_else(|| {
            Error::failed("cannot find the store")
                .why("HOME is not set")
                .with_hint("set HOME or INTENTLOOP_HOME, or say --home DIR")
        })
}
