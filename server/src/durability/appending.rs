//! The files of the log: what they are, beginning one, and going over from old ones to a new base.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use super::job::{Job, Kind};
use super::manifest::{Manifest, Part};
use super::saving::{Draft, Manner, What, header, temporary, trouble};
use super::writer::{Policy, Writer};
use crate::clock::Stopwatch;
use crate::config::Param;
use crate::engine::Engine;
use crate::journal::disk::DiskFile;
use crate::keyspace::Txn;

/// What is known of the log's files.
#[derive(Debug, Default)]
pub(crate) struct Appending {
    manifest: Mutex<Manifest>,
    /// The increment that is written and not in the manifest, as the base that it belongs to is not there yet.
    unlisted: Mutex<Option<Part>>,
    /// The number of the last turn to another increment.
    turned: AtomicU64,
    pub(crate) base_bytes: AtomicU64,
    pub(crate) current_bytes: AtomicU64,
    pub(crate) is_write_ok: AtomicBool,
    /// Whether what was written may not be in the files after all.
    is_in_doubt: AtomicBool,
    problem: Mutex<String>,
    /// How long a test has each write wait.
    pub(crate) dawdle_us: AtomicU64,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Appending {
    pub(super) fn manifest(&self) -> MutexGuard<'_, Manifest> {
        self.manifest.lock().expect(NOBODY_PANICS)
    }

    pub(super) fn grow(&self, bytes: u64) {
        self.current_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The log has to be written anew before it can be relied on.
    pub(super) fn doubt(&self) {
        self.is_in_doubt.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_in_doubt(&self) -> bool {
        self.is_in_doubt.load(Ordering::SeqCst)
    }

    pub(super) fn note_problem(&self, problem: &str) {
        problem.clone_into(&mut self.problem.lock().expect(NOBODY_PANICS));
    }

    /// Waits as a test has asked for.
    pub(super) fn dawdle(&self) {
        let wait = Duration::from_micros(self.dawdle_us.load(Ordering::Relaxed));
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
    }

    /// What went wrong the last time.
    pub(crate) fn problem(&self) -> String {
        self.problem.lock().expect(NOBODY_PANICS).clone()
    }

    /// Begins the next increment; what is written from now on goes there.
    pub(super) fn begin_increment(&self, engine: &Engine) -> Result<Box<dyn DiskFile>, String> {
        let place = Place::of(engine)?;
        let mut manifest = self.manifest().clone();
        if let Some(unlisted) = &mut *self.unlisted.lock().expect(NOBODY_PANICS) {
            manifest.increments.push(unlisted.clone());
            let (part, file) = place.create_unlisted(engine, &manifest)?;
            // A manifest of which it is not certain that it is there may name the old one.
            let old = std::mem::replace(unlisted, part);
            let _ = engine.durability.disk.remove(&place.early_path(&old));
            self.manifest().history.push(old);
            return Ok(file);
        }
        let (part, file) = place.create_increment(engine, &manifest)?;
        manifest.increments.push(part);
        place.write_manifest(engine, &manifest)?;
        *self.manifest() = manifest;
        Ok(file)
    }

    /// Begins an increment that counts only once there is a base for it: the files that there are belong to another time.
    pub(super) fn begin_unlisted(&self, engine: &Engine) -> Result<Box<dyn DiskFile>, String> {
        let place = Place::of(engine)?;
        engine.hold_directory()?;
        place.make_directory(engine)?;
        let manifest = place.read_manifest(engine)?.unwrap_or_default();
        let (part, file) = place.create_unlisted(engine, &manifest)?;
        *self.manifest() = manifest;
        *self.unlisted.lock().expect(NOBODY_PANICS) = Some(part);
        Ok(file)
    }

    pub(super) fn note_turn(&self, number: u64) {
        self.turned.store(number, Ordering::SeqCst);
    }

    /// Returns once the turn of this number to another increment has been made, or nobody waits for it any more.
    pub(super) fn wait_for_turn(
        &self,
        turn: u64,
        patience: Duration,
        goes_on: impl Fn() -> bool,
    ) -> Result<(), String> {
        const LOOK_AGAIN: Duration = Duration::from_millis(1);
        let watch = Stopwatch::start();
        while self.turned.load(Ordering::SeqCst) < turn && goes_on() {
            if watch.elapsed() > patience {
                return Err("the increment that is to follow it could not be begun".to_owned());
            }
            std::thread::park_timeout(LOOK_AGAIN);
        }
        Ok(())
    }

    /// A new base has everything up to the increment that was begun with it, if one was; what was there before is not
    /// needed any more.
    pub(super) fn replace_base(
        &self,
        engine: &Engine,
        job: &Job,
        draft: &Path,
        bytes: u64,
    ) -> Result<(), String> {
        let place = Place::of(engine)?;
        let mut manifest = self.present_manifest(engine, &place)?;
        let base = manifest.next_base(&place.name, job.what == What::Base);
        // Where there has been no log yet there is no place for one.
        place.make_directory(engine)?;
        let path = place.path_of_base(&manifest, &base);
        engine.durability.disk.rename(draft, &path).map_err(trouble("give its name to", &path))?;
        place.sync(engine)?;
        let unlisted = self.unlisted.lock().expect(NOBODY_PANICS).clone();
        let kept =
            if job.is_followed { unlisted.or_else(|| manifest.increments.pop()) } else { None };
        manifest.supersede(base, kept);
        place.write_manifest(engine, &manifest)?;
        self.take_over(&manifest);
        place.give_names(engine, &manifest)?;
        let increments = place.total(engine, &manifest.increments)?;
        self.base_bytes.store(bytes, Ordering::Relaxed);
        self.current_bytes.store(bytes + increments, Ordering::Relaxed);
        if !engine.config.enabled(Param::AofDisableAutoGc) {
            place.remove_history(engine, &mut manifest)?;
            *self.manifest() = manifest;
        }
        Ok(())
    }

    /// Where what is written counts for nothing yet, everything there is becomes its base. All shards are held, and
    /// nothing is executed any more.
    pub(super) fn complete(&self, engine: &Engine, txn: &mut Txn<'_>) -> Result<(), String> {
        if !self.is_unlisted() {
            return Ok(());
        }
        if engine.scripts.running.is_away() {
            return Err(
                "the log has no base yet, and a script is in the middle of something".to_owned()
            );
        }
        tracing::info!("Writing the initial AOF before exiting.");
        // One that is on its way has less, unless it has been faster.
        engine.durability.abandon(Kind::Rewrite);
        let Some(unlisted) = self.unlisted.lock().expect(NOBODY_PANICS).clone() else {
            return Ok(());
        };
        let place = Place::of(engine)?;
        let mut manifest = self.manifest().clone();
        let base = manifest.next_base(&place.name, engine.config.enabled(Param::AofUseRdbPreamble));
        let path = place.path_of_base(&manifest, &base);
        write_base(engine, txn, &path)?;
        place.sync(engine)?;
        manifest.supersede(base, None);
        place.write_manifest(engine, &manifest)?;
        self.take_over(&manifest);
        // From here on all is well: who loads it gives its files their names, if that fails now.
        if let Err(problem) = place.give_names(engine, &manifest) {
            tracing::warn!("{problem}");
        }
        place.forget_early(engine, &unlisted);
        Ok(())
    }

    /// The manifest that there is. Where the log is off, it is that of an earlier one.
    fn present_manifest(&self, engine: &Engine, place: &Place) -> Result<Manifest, String> {
        if engine.keyspace.log.is_on() {
            return Ok(self.manifest().clone());
        }
        place.make_directory(engine)?;
        Ok(place.read_manifest(engine)?.unwrap_or_default())
    }

    /// A manifest that is on disk holds from now on.
    fn take_over(&self, manifest: &Manifest) {
        *self.manifest() = manifest.clone();
        *self.unlisted.lock().expect(NOBODY_PANICS) = None;
        self.is_in_doubt.store(false, Ordering::SeqCst);
    }

    /// Whether there is no base yet for what is written.
    pub(super) fn is_unlisted(&self) -> bool {
        self.unlisted.lock().expect(NOBODY_PANICS).is_some()
    }

    /// Returns once there is a base for what is written, if it is being made.
    pub(super) fn wait_for_base(&self) -> Result<(), String> {
        const LOOK_AGAIN: Duration = Duration::from_millis(1);
        const PATIENCE: Duration = Duration::from_secs(10);
        let watch = Stopwatch::start();
        while self.is_unlisted() {
            if watch.elapsed() > PATIENCE {
                return Err("the log has no base yet".to_owned());
            }
            std::thread::park_timeout(LOOK_AGAIN);
        }
        Ok(())
    }

    /// Removes files that are needed no more and were kept, unless they are to be kept still.
    pub(super) fn collect_history(&self, engine: &Engine) {
        // A rewrite does so when it is done.
        if engine.config.enabled(Param::AofDisableAutoGc) || engine.durability.is_rewriting() {
            return;
        }
        let mut manifest = self.manifest();
        let result =
            Place::of(engine).and_then(|place| place.remove_history(engine, &mut manifest));
        if let Err(problem) = result {
            tracing::warn!("files that are needed no more could not be removed: {problem}");
        }
    }

    /// Goes on with the log that was loaded, or begins one with what there is.
    pub(super) fn open(
        &self,
        engine: &Arc<Engine>,
        manifest: Option<Manifest>,
    ) -> Result<(), String> {
        let place = Place::of(engine)?;
        let mut manifest = match manifest {
            Some(manifest) => manifest,
            None => place.begin(engine)?,
        };
        place.remove_history(engine, &mut manifest)?;
        let base_bytes = place.total(engine, &manifest.base)?;
        let increments = place.total(engine, &manifest.increments)?;
        *self.manifest() = manifest.clone();
        let (file, length) = match manifest.increments.last() {
            Some(part) => {
                let path = place.directory.join(&part.name);
                tracing::info!("Opening AOF incr file {} on server start", part.name);
                let mut file =
                    engine.durability.disk.append(&path).map_err(trouble("open", &path))?;
                // What a server that was killed has written may not be there without power yet.
                file.sync().map_err(trouble("bring to the disk", &path))?;
                (file, place.length(engine, part)?)
            }
            None => (self.begin_increment(engine)?, 0),
        };
        // Nor may the names of files that are about to be relied on.
        place.sync(engine)?;
        self.base_bytes.store(base_bytes, Ordering::Relaxed);
        self.current_bytes.store(base_bytes + increments, Ordering::Relaxed);
        self.start(engine, file, length)
    }

    /// Has a thread write from now on. Nothing has been executed since the log was loaded, or all shards are held.
    pub(super) fn start(
        &self,
        engine: &Arc<Engine>,
        file: Box<dyn DiskFile>,
        length: u64,
    ) -> Result<(), String> {
        self.is_write_ok.store(true, Ordering::Relaxed);
        engine.keyspace.log.open();
        // There is nobody left who could bring to the disk what was added before.
        engine.keyspace.log.reach(engine.keyspace.log.appended());
        let writer = Writer::new(Arc::clone(engine), file, length);
        let thread = std::thread::Builder::new().name("redlet-log".to_owned());
        let thread = thread.spawn(|| writer.run());
        let thread = thread.map_err(|error| format!("no thread to write the log: {error}"))?;
        *self.thread.lock().expect(NOBODY_PANICS) = Some(thread);
        engine.keyspace.log.be_strict(Policy::of(engine) == Policy::Always);
        engine.keyspace.log.turn_on(true);
        Ok(())
    }

    /// Writes what there is, and returns once it is on the disk.
    pub(super) fn finish(&self, engine: &Engine) {
        engine.keyspace.log.close();
        let thread = self.thread.lock().expect(NOBODY_PANICS).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that wrote the log panicked");
        }
        let unlisted = self.unlisted.lock().expect(NOBODY_PANICS).take();
        if let (Some(part), Ok(place)) = (unlisted, Place::of(engine)) {
            tracing::info!("Removing the temp incr aof file of {}, which has no base", part.name);
            place.forget_early(engine, &part);
        }
    }
}

const NOBODY_PANICS: &str = "nothing panics while it looks at the files of the log";

/// Where the log's files are, and what their names begin with.
pub(super) struct Place {
    pub(super) directory: PathBuf,
    pub(super) name: String,
}

impl Place {
    pub(super) fn of(engine: &Engine) -> Result<Self, String> {
        let directory =
            engine.snapshot_path()?.with_file_name(&*engine.config.text(Param::AppendDirname));
        Ok(Place { directory, name: engine.config.text(Param::AppendFilename).to_string() })
    }

    pub(super) fn manifest_path(&self) -> PathBuf {
        self.directory.join(format!("{}.manifest", self.name))
    }

    pub(super) fn length(&self, engine: &Engine, part: &Part) -> Result<u64, String> {
        let path = self.directory.join(&part.name);
        engine.durability.disk.length(&path).map_err(trouble("read", &path))
    }

    /// How long several files are together.
    pub(super) fn total<'p>(
        &self,
        engine: &Engine,
        parts: impl IntoIterator<Item = &'p Part>,
    ) -> Result<u64, String> {
        parts.into_iter().map(|part| self.length(engine, part)).sum()
    }

    /// How much all files have that might be of the log.
    pub(super) fn count_bytes(&self, engine: &Engine) -> u64 {
        let disk = &*engine.durability.disk;
        let names = disk.list(&self.directory).unwrap_or_default();
        let paths = names.iter().map(|name| self.directory.join(name)).chain([self.old_path()]);
        paths.map(|path| disk.length(&path).unwrap_or(0)).sum()
    }

    fn create_increment(
        &self,
        engine: &Engine,
        manifest: &Manifest,
    ) -> Result<(Part, Box<dyn DiskFile>), String> {
        let part = manifest.next_increment(&self.name);
        let path = self.directory.join(&part.name);
        let file = engine.durability.disk.create(&path).map_err(trouble("create", &path))?;
        // The manifest that names it must not be there before it.
        self.sync(engine)?;
        Ok((part, file))
    }

    /// The same for one that counts only once it has a base: until then it has another name.
    fn create_unlisted(
        &self,
        engine: &Engine,
        manifest: &Manifest,
    ) -> Result<(Part, Box<dyn DiskFile>), String> {
        let part = manifest.next_increment(&self.name);
        let path = self.early_path(&part);
        let file = engine.durability.disk.create(&path).map_err(trouble("create", &path))?;
        Ok((part, file))
    }

    /// The manifest that is there, if one is.
    pub(super) fn read_manifest(&self, engine: &Engine) -> Result<Option<Manifest>, String> {
        let (path, disk) = (self.manifest_path(), &*engine.durability.disk);
        if !disk.exists(&path).map_err(trouble("look for", &path))? {
            return Ok(None);
        }
        let mut text = String::new();
        let mut file = disk.read(&path).map_err(trouble("read", &path))?;
        file.read_to_string(&mut text).map_err(trouble("read", &path))?;
        let manifest = Manifest::parse(&text);
        manifest.map(Some).map_err(|problem| {
            format!(
                "{}: {problem}. Mend the file by hand, or put back a copy of the whole directory; nothing was changed",
                path.display()
            )
        })
    }

    /// The one file that logs were before Redis 7 becomes the base of one of several.
    pub(super) fn adopt_old(&self, engine: &Engine) -> Result<Option<Manifest>, String> {
        let old = self.old_path();
        if !engine.durability.disk.exists(&old).map_err(trouble("look for", &old))? {
            return Ok(None);
        }
        self.make_directory(engine)?;
        let part = Part { name: self.name.clone(), sequence: 1 };
        let manifest = Manifest { base: Some(part), ..Manifest::default() };
        self.write_manifest(engine, &manifest)?;
        self.give_names(engine, &manifest)?;
        Ok(Some(manifest))
    }

    /// Gives the files of a manifest the names that it has for them: some have others until it is there, so that what was
    /// begun and not gone on with is not taken for a log.
    pub(super) fn give_names(&self, engine: &Engine, manifest: &Manifest) -> Result<(), String> {
        for part in manifest.parts() {
            let is_old = part.name == self.name;
            let from = if is_old { self.old_path() } else { self.early_path(part) };
            let (disk, path) = (&*engine.durability.disk, self.directory.join(&part.name));
            let exists = |path| disk.exists(path).map_err(trouble("look for", path));
            if exists(&path)? || !exists(&from)? {
                continue;
            }
            disk.rename(&from, &path).map_err(trouble("give another name to", &from))?;
            self.sync(engine)?;
            if is_old {
                tracing::info!("Successfully migrated an old-style AOF into {}", path.display());
            }
        }
        Ok(())
    }

    /// Where a file is until there is a manifest that names it.
    fn early_path(&self, part: &Part) -> PathBuf {
        self.directory.join(format!("temp-early-{}", part.name))
    }

    fn forget_early(&self, engine: &Engine, part: &Part) {
        let _ = engine.durability.disk.remove(&self.early_path(part));
    }

    /// Where a base is while it is in no manifest.
    fn path_of_base(&self, manifest: &Manifest, base: &Part) -> PathBuf {
        match manifest.base {
            Some(_) => self.directory.join(&base.name),
            None => self.early_path(base),
        }
    }

    /// Whether files can be made there.
    pub(super) fn try_out(&self, engine: &Engine) -> Result<(), String> {
        engine.hold_directory()?;
        self.make_directory(engine)?;
        let (disk, path) = (&*engine.durability.disk, temporary(&self.manifest_path(), "try-"));
        disk.create(&path).and_then(|_| disk.remove(&path)).map_err(trouble("write to", &path))
    }

    fn make_directory(&self, engine: &Engine) -> Result<(), String> {
        let disk = &*engine.durability.disk;
        disk.create_directory(&self.directory).map_err(trouble("create", &self.directory))?;
        let outside = self.directory.parent().unwrap_or(Path::new("."));
        disk.sync_directory(outside).map_err(trouble("bring to the disk", outside))
    }

    fn old_path(&self) -> PathBuf {
        self.directory.with_file_name(&self.name)
    }

    /// Makes the base of a new log out of what there is.
    fn begin(&self, engine: &Arc<Engine>) -> Result<Manifest, String> {
        self.make_directory(engine)?;
        let mut manifest = Manifest::default();
        let base = manifest.next_base(&self.name, engine.config.enabled(Param::AofUseRdbPreamble));
        tracing::info!("Creating AOF base file {} on server start", base.name);
        engine.with_all(|txn| write_base(engine, txn, &self.early_path(&base)))?;
        manifest.base = Some(base);
        let (part, _) = self.create_increment(engine, &manifest)?;
        tracing::info!("Creating AOF incr file {} on server start", part.name);
        manifest.increments.push(part);
        self.write_manifest(engine, &manifest)?;
        self.give_names(engine, &manifest)?;
        Ok(manifest)
    }

    fn sync(&self, engine: &Engine) -> Result<(), String> {
        let synced = engine.durability.disk.sync_directory(&self.directory);
        synced.map_err(trouble("bring to the disk", &self.directory))
    }

    pub(super) fn write_manifest(
        &self,
        engine: &Engine,
        manifest: &Manifest,
    ) -> Result<(), String> {
        let path = self.manifest_path();
        let draft = path.with_file_name(format!("temp-{}.manifest", self.name));
        let manner = Manner { has_checksum: false, syncs_often: false };
        let mut draft = Draft::create(&*engine.durability.disk, draft, manner)?;
        draft.write(manifest.print().as_bytes())?;
        draft.publish(&path).map(drop)
    }

    /// Removes files that are needed no more. One that cannot be removed is tried again at the next start.
    fn remove_history(&self, engine: &Engine, manifest: &mut Manifest) -> Result<(), String> {
        if manifest.history.is_empty() {
            return Ok(());
        }
        for part in std::mem::take(&mut manifest.history) {
            let path = self.directory.join(&part.name);
            match engine.durability.disk.remove(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!("cannot remove {}: {error}", path.display());
                    manifest.history.push(part);
                }
                _ => {}
            }
        }
        self.write_manifest(engine, manifest)
    }
}

fn write_base(engine: &Engine, txn: &mut Txn<'_>, path: &Path) -> Result<u64, String> {
    let manner = Manner::of(engine, Param::AofRewriteIncrementalFsync);
    let (what, draft) = (What::base(engine), temporary(path, "rewriteaof-"));
    let mut draft = Draft::create(&*engine.durability.disk, draft, manner)?;
    let used = txn.all_figures().iter().map(|figures| figures.bytes).sum();
    draft.write(&header(engine, what, &txn.sizes(), used))?;
    txn.write_all(what.form(engine), |chunk| draft.write_chunk(chunk))?;
    draft.finish(what, path)
}
