//! One server per directory: whoever writes files there holds the lock in it.
//!
//! Redis and Valkey have no such lock, and do not mind this one.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::has_save_points;
use crate::config::Param;
use crate::engine::Engine;
use crate::journal::disk::{Disk, DiskLock, RealDisk};

const LOCK_NAME: &str = "redlet.lock";

/// The directories that a server holds: the present one, and those where its log still is.
#[derive(Debug, Default)]
pub(crate) struct Directories(Mutex<Vec<Held>>);

#[derive(Debug)]
struct Held {
    directory: PathBuf,
    _lock: Option<Box<dyn DiskLock>>,
}

impl Directories {
    /// Takes a directory, unless it is held already.
    fn hold(&self, disk: &dyn Disk, directory: &Path) -> Result<(), String> {
        let mut all = self.0.lock().expect(NOBODY_PANICS);
        if all.iter().any(|held| held.directory == directory) {
            return Ok(());
        }
        let lock = lock(disk, directory)?;
        all.push(Held { directory: directory.to_owned(), _lock: lock });
        Ok(())
    }

    fn release_all_but(&self, directory: &Path) {
        self.0.lock().expect(NOBODY_PANICS).retain(|held| held.directory == directory);
    }

    /// Others may write there from now on.
    pub(crate) fn release(&self) {
        self.0.lock().expect(NOBODY_PANICS).clear();
    }
}

const NOBODY_PANICS: &str = "nothing panics while it looks at the directories that are held";

fn lock(disk: &dyn Disk, directory: &Path) -> Result<Option<Box<dyn DiskLock>>, String> {
    let (path, shown) = (directory.join(LOCK_NAME), directory.display());
    match disk.lock(&path) {
        Ok(Some(lock)) => Ok(Some(lock)),
        Ok(None) => Err(format!(
            "the directory {shown} is in use by {}. Two servers in one directory would overwrite each other's files: \
             give this one a 'dir' of its own, or end the other",
            holder(disk, &path)
        )),
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {
            tracing::warn!(
                "{shown} cannot be locked ({error}): see to it that no other server writes there"
            );
            Ok(None)
        }
        Err(error) => Err(format!(
            "cannot write to the directory {shown}: {}: {error}. Let the user of this process write there, or choose \
             another 'dir'",
            path.display()
        )),
    }
}

/// Who holds a lock, as far as that can be told.
fn holder(disk: &dyn Disk, path: &Path) -> String {
    let mut text = String::new();
    let read = disk.read(path).and_then(|mut file| file.read_to_string(&mut text));
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(process)) if process == std::process::id() => {
            format!("another server (of this process, or process {process} elsewhere)")
        }
        (Ok(_), Ok(process)) => format!("another server (process {process})"),
        _ => "another server".to_owned(),
    }
}

impl Engine {
    /// Makes sure that no other server writes where this one is about to.
    pub(crate) fn hold_directory(&self) -> Result<(), String> {
        match self.directory() {
            Some(directory) => self.durability.directories.hold(&*self.durability.disk, &directory),
            None => Ok(()),
        }
    }

    /// Takes the directory before anything in it is read, if this server is going to write there.
    pub(crate) fn claim_directory(&self) -> Result<(), String> {
        if !self.writes_unasked() {
            return Ok(());
        }
        let Err(problem) = self.hold_directory() else { return Ok(()) };
        let is_chosen = [Param::Dir, Param::Save, Param::AppendOnly];
        if is_chosen.into_iter().any(|param| !self.config.is_default(param)) {
            return Err(problem);
        }
        tracing::warn!(
            "{problem}. Nobody has asked for files, so this server goes on without: save is off"
        );
        let _ = self.config.set_at_start("save", &[""]);
        Ok(())
    }

    /// Goes over to the directory that is configured now.
    pub(super) fn move_directory(&self) -> Result<(), String> {
        if !self.writes_unasked() {
            return Ok(());
        }
        if self.keyspace.log.is_on() {
            return Err(
                "the append-only file is in the present directory, turn it off first".to_owned()
            );
        }
        self.hold_directory()?;
        if let Some(directory) = self.directory() {
            self.durability.directories.release_all_but(&directory);
        }
        Ok(())
    }

    /// Whether files are written without a command that asks for it.
    fn writes_unasked(&self) -> bool {
        let writes = self.config.enabled(Param::AppendOnly) || has_save_points(&self.config);
        writes && self.directory().is_some()
    }
}

/// Keeps servers from starting while a file is repaired; refuses it while one runs.
pub(super) fn hold_for_repair(path: &Path) -> Result<Vec<impl Sized>, String> {
    let path = path.canonicalize().map_err(super::saving::trouble("read", path))?;
    let directories = path.ancestors().skip(1).take(2);
    let locked = directories.filter(|directory| directory.join(LOCK_NAME).exists());
    locked
        .map(|directory| match RealDisk.lock(&directory.join(LOCK_NAME)) {
            Ok(None) => Err(format!(
                "a server is running that has its files in {}: end it before one of them is repaired",
                directory.display()
            )),
            lock => Ok(lock),
        })
        .collect()
}
