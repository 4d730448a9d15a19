//! Loading again what is on disk, while the server runs.

use std::path::Path;

use super::load::{Twice, load_snapshot, open};
use super::saving::save_now;
use crate::engine::Engine;
use crate::error::Error;
use crate::execute::Call;
use crate::journal::rdb;

/// How everything is loaded again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reload {
    /// What is loaded takes the place of what is there under the same key.
    pub(crate) is_merge: bool,
    /// What is there stays.
    pub(crate) keeps: bool,
    /// It is loaded as it is on disk, and not saved before.
    pub(crate) is_unsaved: bool,
}

impl Call<'_> {
    /// Saves everything and loads it again. Nothing is lost if the file cannot be loaded.
    pub(crate) fn reload(&mut self, options: Reload) -> Result<(), Error> {
        let engine = self.engine;
        let path = engine.snapshot_path().map_err(|_| NOT_SAVED)?;
        if !options.is_unsaved {
            save_now(engine, &mut self.txn).map_err(|_| NOT_SAVED)?;
        }
        if let Err(problem) = examine(engine, &path) {
            tracing::error!("Fatal error loading the DB: {problem}. What was there before stays");
            return Err(NOT_LOADED);
        }
        if !options.keeps {
            self.txn.flush_all();
            engine.forget_libraries();
        }
        let twice = if options.is_merge { Twice::Replaces } else { Twice::Refused };
        let load = || load_snapshot(engine, &path, twice).map(drop);
        let loaded = engine.scripts.running.aside(&mut self.txn, load);
        engine.durability.state().saved_changes = self.txn.counters().changes;
        loaded.map_err(|problem| {
            tracing::error!("{problem}");
            NOT_LOADED
        })
    }
}

const NOT_SAVED: Error = Error::coded("ERR");
const NOT_LOADED: Error = Error::err("Error trying to load the RDB dump, check server logs.");

/// Reads a snapshot through without doing anything with it.
fn examine(engine: &Engine, path: &Path) -> Result<(), String> {
    let read = rdb::read(&mut open(engine, path)?, &mut |_| Ok(()));
    read.map_err(|damage| format!("{}: {damage}", path.display()))
}
