//! A new, empty directory for a server's files; it goes with all that is in it when this is dropped.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicUsize, Ordering},
};

pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new() -> Result<Self, String> {
        Self::create().map_err(|error| format!("a directory for a server: {error}"))
    }

    fn create() -> io::Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("redlet-conformance-{}-{number}", process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed is in a directory for temporary files, and hurts nobody there.
        let _ = fs::remove_dir_all(&self.0);
    }
}
