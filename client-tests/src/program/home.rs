//! Directories that servers live in.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

/// A place for data, for the logs of the programs that had it, and for their sockets.
pub struct Home {
    root: PathBuf,
    starts: AtomicUsize,
    kept: bool,
}

impl Home {
    /// A new and empty one.
    pub fn create(purpose: &str) -> Result<Self, String> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("redlet-{purpose}-{}-{number}", std::process::id());
        let root = env::temp_dir().join(name);
        let home = Self { root, starts: AtomicUsize::new(0), kept: false };
        fs::create_dir_all(home.data())
            .map_err(|error| format!("{}: {error}", home.root.display()))?;
        Ok(home)
    }

    /// A new one with the same data.
    pub fn copy(&self, purpose: &str) -> Result<Self, String> {
        let copy = Self::create(purpose)?;
        copy_directory(&self.data(), &copy.data())
            .map_err(|error| format!("copying {}: {error}", self.root.display()))?;
        Ok(copy)
    }

    /// Where the data is.
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Leaves everything where it is, and gives a sentence that says where.
    pub fn kept(&mut self) -> String {
        self.kept = true;
        format!("what there was is in {}", self.root.display())
    }

    /// A socket's path and a log's, which nobody has had before.
    pub(super) fn for_one_start(&self) -> (PathBuf, PathBuf) {
        let number = self.starts.fetch_add(1, Ordering::Relaxed);
        (self.root.join(format!("socket-{number}")), self.root.join(format!("log-{number}")))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed is in the system's directory for such things.
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
