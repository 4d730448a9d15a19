//! Loading what an earlier server has left on disk.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::appending::Place;
use super::delay::linger_loading;
use super::manifest::Manifest;
use super::replay::replay;
use super::reporting::{Observer, reporting};
use super::saving::trouble;
use crate::clock::Stopwatch;
use crate::command::restoring;
use crate::config::Param;
use crate::engine::{Bar, Engine};
use crate::home::Home;
use crate::journal::damage::Damage;
use crate::journal::rdb::{self, Item, Loaded};
use crate::journal::window::Window;
use crate::keyspace::{Run, Scope, Usage, Uses};

/// How far loading has come.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) started_s: AtomicI64,
    pub(crate) total_bytes: AtomicU64,
    pub(crate) loaded_bytes: Arc<AtomicU64>,
    /// By the last snapshot that was loaded.
    pub(crate) keys_loaded: AtomicU64,
    pub(crate) keys_expired: AtomicU64,
    /// By the last log.
    pub(crate) commands_loaded: AtomicU64,
    observer: Mutex<Option<Observer>>,
}

impl Progress {
    pub(crate) fn observer(&self) -> MutexGuard<'_, Option<Observer>> {
        self.observer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("total_bytes", &self.total_bytes)
            .field("loaded_bytes", &self.loaded_bytes)
            .finish_non_exhaustive()
    }
}

/// What becomes of a key that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twice {
    Refused,
    Replaces,
}

/// What becomes of a key whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    Dropped,
    /// What follows the snapshot may tell that it had more time, or was changed before its end.
    Kept,
}

/// A file whose reading counts as progress.
struct Counted {
    file: Box<dyn Read + Send>,
    loaded_bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.loaded_bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Loads what is there, with nobody being served but those who ask about the server, and has the log go on from there.
/// The error is a sentence that says what to do.
pub(crate) fn load(engine: &Arc<Engine>) -> Result<(), String> {
    engine.begin_loading(0);
    let loaded = load_and_go_on(engine);
    engine.end_loading();
    loaded
}

/// Whether there is so much to load that people may connect meanwhile, and are to be told. Real servers do not tell it
/// before so many bytes either.
pub(crate) fn loads_long(engine: &Engine) -> bool {
    const LONG_BYTES: u64 = 2 << 20;
    let (Ok(path), disk) = (engine.snapshot_path(), &*engine.durability.disk) else { return false };
    if !engine.config.enabled(Param::AppendOnly) {
        return disk.length(&path).is_ok_and(|bytes| bytes >= LONG_BYTES);
    }
    Place::of(engine).is_ok_and(|place| place.count_bytes(engine) >= LONG_BYTES)
}

fn load_and_go_on(engine: &Arc<Engine>) -> Result<(), String> {
    let has_log = engine.config.enabled(Param::AppendOnly);
    let Ok(path) = engine.snapshot_path() else {
        return if has_log { engine.snapshot_path().map(drop) } else { Ok(()) };
    };
    let manifest = if has_log { find_log(engine)? } else { None };
    let disk = &engine.durability.disk;
    let watch = Stopwatch::start();
    if let Some(manifest) = &manifest {
        let place = Place::of(engine)?;
        let total = place.total(engine, manifest.parts()).unwrap_or(0);
        engine.begin_loading(total);
        reporting(engine, || replay(engine, manifest))?;
        tracing::info!(
            "DB loaded from append only file: {:.3} seconds",
            watch.elapsed().as_secs_f64()
        );
    } else if disk.exists(&path).map_err(trouble("look for", &path))? {
        let total = disk.length(&path).unwrap_or(0);
        engine.begin_loading(total);
        let keys = reporting(engine, || load_snapshot(engine, &path, Twice::Refused))?;
        let seconds = watch.elapsed().as_secs_f64();
        tracing::info!("DB loaded from disk: {keys} keys in {seconds:.3} seconds");
    }
    let changes = engine.with_all(|txn| txn.counters().changes);
    engine.durability.state().saved_changes = changes;
    if has_log { engine.durability.appending.open(engine, manifest) } else { Ok(()) }
}

/// The files of the log that is there, if one is.
fn find_log(engine: &Engine) -> Result<Option<Manifest>, String> {
    let (place, disk) = (Place::of(engine)?, &*engine.durability.disk);
    if let Some(manifest) = place.read_manifest(engine)? {
        place.give_names(engine, &manifest)?;
        return Ok(Some(manifest));
    }
    let names = match disk.list(&place.directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        names => names.map_err(trouble("list", &place.directory))?,
    };
    for name in names.iter().filter(|name| name.starts_with(&place.name)) {
        let path = place.directory.join(name);
        // What is empty was begun and not gone on with.
        if disk.length(&path).map_err(trouble("read", &path))? == 0 {
            continue;
        }
        return Err(format!(
            "{} has files of a log, such as {name}, and no {}. Put the manifest back, or move the files away to start \
             without them",
            place.directory.display(),
            place.manifest_path().display(),
        ));
    }
    place.adopt_old(engine)
}

/// Loads a snapshot into the keyspace; how many keys it has brought.
pub(crate) fn load_snapshot(engine: &Engine, path: &Path, twice: Twice) -> Result<u64, String> {
    let mut window = open(engine, path)?;
    let loaded = read_snapshot(engine, &mut window, (twice, Expired::Dropped));
    let refusal = |damage: Damage| {
        format!(
            "Fatal error loading the DB: {}: {damage}. Nothing was changed. 'redlet check {}' says what can be done",
            path.display(),
            path.display()
        )
    };
    loaded.map_err(refusal)
}

pub(super) fn open(engine: &Engine, path: &Path) -> Result<Window, String> {
    let file = engine.durability.disk.read(path).map_err(trouble("read", path))?;
    let loaded_bytes = Arc::clone(&engine.durability.progress.loaded_bytes);
    Ok(Window::new(Box::new(Counted { file, loaded_bytes })))
}

/// Puts everything that a snapshot has into the keyspace, where nothing of the same name may be.
pub(super) fn read_snapshot(
    engine: &Engine,
    window: &mut Window,
    (twice, over): (Twice, Expired),
) -> Result<u64, Damage> {
    let (mut run, now_ms) = (Run::private(&engine.keyspace), engine.clock.now_ms());
    let progress = &engine.durability.progress;
    let (mut keys, mut expired) = (0, 0);
    let read = rdb::read(window, &mut |item| match item {
        Item::Version(_) | Item::Auxiliary(..) | Item::Size(_) | Item::Foreign(_) | Item::End => {
            Ok(())
        }
        Item::Library(code) => load_library(engine, code, twice),
        Item::Entry(entry)
            if over == Expired::Dropped
                && entry.deadline_ms.is_some_and(|deadline_ms| deadline_ms <= now_ms) =>
        {
            expired += 1;
            Ok(())
        }
        Item::Entry(entry) => {
            keys += 1;
            progress.keys_loaded.store(keys, Ordering::Relaxed);
            linger_loading(engine);
            load_entry(engine, &mut run, (now_ms, twice), entry)
        }
    });
    progress.keys_loaded.store(keys, Ordering::Relaxed);
    progress.keys_expired.store(expired, Ordering::Relaxed);
    read.map(|()| keys)
}

fn load_library(engine: &Engine, code: &[u8], twice: Twice) -> Result<(), String> {
    let mut state = engine.scripts.state();
    let loaded = state.libraries.load(code, twice == Twice::Replaces, Home::Spare);
    engine.scripts.note(&state);
    loaded.map(drop).map_err(|error| format!("a library of functions does not load: {error}"))
}

fn load_entry(
    engine: &Engine,
    run: &mut Run<'_>,
    (now_ms, twice): (i64, Twice),
    mut entry: Loaded<'_>,
) -> Result<(), String> {
    if entry.database >= engine.keyspace.databases() {
        return Err(format!(
            "the file has a database {}, and there are only {}; start with more --databases",
            entry.database,
            engine.keyspace.databases()
        ));
    }
    let scope = Scope { database: entry.database, now_ms, uses: Uses::Ignored };
    let mut txn = run.lock_key(entry.key, scope);
    txn.stop_expiry();
    if twice == Twice::Refused && txn.contains(entry.key) {
        return Err("the key is there twice".to_owned());
    }
    let content = restoring::content(engine, &mut entry.value);
    let content = content.ok_or("the members of a set are not all different")?;
    txn.put(entry.key, content, entry.deadline_ms);
    let usage = match (entry.idle_s, entry.frequency) {
        (Some(idle_s), _) => Some(Usage::new((now_ms / 1000).saturating_sub(idle_s), 5)),
        (_, Some(frequency)) => Some(Usage::new(now_ms / 1000, frequency)),
        _ => None,
    };
    if let Some(usage) = usage {
        txn.set_usage(entry.key, usage);
    }
    Ok(())
}

impl Engine {
    pub(crate) fn begin_loading(&self, total_bytes: u64) {
        let progress = &self.durability.progress;
        progress.total_bytes.store(total_bytes, Ordering::Relaxed);
        progress.loaded_bytes.store(0, Ordering::Relaxed);
        progress.commands_loaded.store(0, Ordering::Relaxed);
        progress.started_s.store(self.clock.now_ms() / 1000, Ordering::Relaxed);
        self.bars.raise(Bar::Loading);
    }

    pub(crate) fn end_loading(&self) {
        self.bars.lower(Bar::Loading);
    }

    pub(crate) fn is_loading(&self) -> bool {
        self.bars.has(Bar::Loading)
    }
}
