//! Loading again what is on disk, while the server runs.

use std::path::Path;

use super::appending::Place;
use super::load::{Twice, load_snapshot, open};
use super::replay::replay;
use super::saving::save_now;
use crate::engine::{Bar, Engine};
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
        // It is no change that a log could repeat.
        self.is_told = true;
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

impl Call<'_> {
    /// Loads the log again, in place of what there is. If that fails the server fails, as part of it is all that there
    /// would be to serve. The error is a sentence.
    pub(crate) fn reload_log(&mut self) -> Result<(), String> {
        let engine = self.engine;
        self.is_told = true;
        self.session.home.make_way();
        let appending = &engine.durability.appending;
        engine.scripts.running.aside(&mut self.txn, || appending.wait_for_base())?;
        engine.keyspace.log.flush(|| engine.is_running() && !engine.bars.has(Bar::Unlogged));
        let place = Place::of(engine)?;
        let manifest = place.read_manifest(engine)?.ok_or("there is no log")?;
        let total = place.total(engine, manifest.parts())?;
        self.txn.flush_all();
        engine.forget_libraries();
        let loaded = engine.scripts.running.aside(&mut self.txn, || {
            engine.begin_loading(total);
            let loaded = replay(engine, &manifest);
            engine.end_loading();
            loaded
        });
        engine.durability.state().saved_changes = self.txn.counters().changes;
        loaded.inspect_err(|problem| engine.fail(problem))
    }
}

const NOT_SAVED: Error = Error::coded("ERR");
const NOT_LOADED: Error = Error::err("Error trying to load the RDB dump, check server logs.");

/// Reads a snapshot through without doing anything with it.
fn examine(engine: &Engine, path: &Path) -> Result<(), String> {
    let read = rdb::read(&mut open(engine, path)?, &mut |_| Ok(()));
    read.map_err(|damage| format!("{}: {damage}", path.display()))
}
