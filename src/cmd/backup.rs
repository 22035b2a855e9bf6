//! `il backup`: a copy of the store, also while it is written.

use std::ffi::OsString;
use std::path::Path;

use super::progress::Line;
use super::{home, print};
use crate::cli::{Command, Global, Hint, Operand, Operands};
use crate::error::{Error, Result};
use crate::format::line;
use crate::library::Library;
use crate::store::{Store, layout};

/// `il backup FILE`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "backup",
    summary: "Copy the store, also while sessions are recorded",
    flags: &[],
    shared: &[],
    operands: Operands::Each(
        &[Operand::one("FILE", Hint::File, "File to write; it must not exist")],
        |args: &mut Args, word| {
            args.file = word;
            Ok(())
        },
    ),
    run,
};

#[derive(Debug, Default)]
pub(crate) struct Args {
    file: OsString,
}

fn run(args: Args, global: &Global) -> Result<u8> {
    let dir = home::dir(global)?;
    // Who may only read can take a copy too; but then nobody is kept from deleting meanwhile.
    let library = match Library::open_to_change(&dir) {
        Ok(library) => library,
        Err(_) => Library::open(&dir)?,
    };
    if args.file == "-" {
        return Err(Error::usage("cannot back up to standard output")
            .why("a copy has holes, which only a file keeps")
            .with_hint("name a file"));
    }
    let path = Path::new(&args.file);
    if path.symlink_metadata().is_ok() {
        return Err(Error::failed(format!("cannot back up to {}", path.display()))
            .why("the file exists")
            .with_hint("name a file that does not"));
    }
    let mut progress = Line::new("backup");
    let bytes = library.store().backup(path, &mut |p| progress.at(p))?;
    drop(progress);
    let copy = Store::open_file(path)?;
    let sessions = copy.entries()?.filter(|entry| !layout::is_annex(&entry.id)).count() as u64;
    print(format!(
        "Wrote {}, {}, to {}\n",
        line::count(sessions, "session"),
        line::size(bytes),
        path.display()
    ))?;
    Ok(0)
}
