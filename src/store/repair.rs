//! Putting a damaged store in order: what can be read goes into a new file, which takes the name
//! when it is whole; the damaged file stays beside it.

use super::catalog;
use super::house::Progress;
use super::storage::{LOCK_GATE, Lock, Storage, lock_patiently};
use super::verify::salvage_from;
use super::{Access, Copied, FileStorage, Store};
use crate::error::{Error, Result};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names tried for the damaged file before giving up.
pub const KEPT_MAX: u32 = 1000;

/// What a repair came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// What was saved.
    pub copied: Copied,
    /// The name that the damaged file has.
    pub kept: PathBuf,
}

/// Saves what can be read of the store in `dir` into a new file, and gives that the store's name
/// once a check finds it whole. Needs neither superblock nor catalog. The damaged file remains, as
/// `<name>.damaged-<stamp>`; whatever fails, it has not been changed.
///
/// # Errors
/// Sessions are being written (what tidies up behind one that has ended is waited for); the store
/// is of a newer version; the new file cannot be written.
pub fn repair(dir: &Path, stamp: &str, progress: &mut dyn FnMut(Progress)) -> Result<Repaired> {
    let path = super::path_in(dir);
    let cannot = |e: &io::Error| Error::io(format!("cannot repair {}", path.display()), e);
    let damaged = FileStorage::open(&path, true).map_err(|e| cannot(&e))?;
    super::check_owner(&damaged, &path)?;
    let alone = lock_patiently(&damaged, LOCK_GATE, Lock::Exclusive).map_err(|e| cannot(&e))?;
    if !alone || !damaged.is_current().map_err(|e| cannot(&e))? {
        return Err(Error::failed(format!("cannot repair {}", path.display()))
            .why("sessions are being written")
            .with_hint("try again when they have ended"));
    }
    let sup = catalog::read_super(&damaged).ok().flatten();
    if sup.is_some() {
        // What a newer version wrote would be taken for damage.
        super::read_super(&damaged, Access::Write)?;
    }
    let new: Arc<dyn Storage> =
        Arc::new(FileStorage::create_beside(&path).map_err(|e| cannot(&e))?);
    let damaged: Arc<dyn Storage> = Arc::new(damaged);
    let repaired = (|| {
        let (id, created_us) = match &sup {
            Some(sup) => (sup.id, sup.created_us),
            None => super::new_identity().map_err(|e| cannot(&e))?,
        };
        catalog::format(&*new, id, created_us, super::machine_hash()).map_err(|e| cannot(&e))?;
        let copied = fill(&damaged, &new, progress)?;
        let kept = keep(&path, stamp).map_err(|e| cannot(&e))?;
        damaged.replace_by(&*new).map_err(|e| cannot(&e))?;
        Ok(Repaired { copied, kept })
    })();
    if repaired.is_err() {
        new.discard();
    }
    repaired
}

/// Copies all sessions that can be read, and makes sure that the copy is a whole store.
fn fill(
    damaged: &Arc<dyn Storage>,
    new: &Arc<dyn Storage>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Copied> {
    let store = Store::with(Arc::clone(new), Access::Write, false)?;
    let copied = salvage_from(Arc::clone(damaged), &store, progress)?;
    let report = store.verify(progress)?;
    let all = (report.sessions, report.annexes) == (copied.sessions, copied.annexes);
    if report.problem_count > 0 || !all {
        return Err(Error::failed(format!("cannot repair {}", damaged.path().display()))
            .why("what was written anew does not read well")
            .with_hint("the store has not been changed; the disk may be failing"));
    }
    Ok(copied)
}

/// Gives the damaged file its second name, one that no file has.
fn keep(path: &Path, stamp: &str) -> io::Result<PathBuf> {
    for n in 1..=KEPT_MAX {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{stamp}"));
        if n > 1 {
            name.push(format!(".{n}"));
        }
        match fs::hard_link(path, &name) {
            Ok(()) => return Ok(name.into()),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
    Err(io::Error::other("too many damaged stores of this date lie beside it"))
}
