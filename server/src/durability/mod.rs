//! What outlives the process: snapshots, the log of commands, and what is known of both.
//!
//! Files are made under a temporary name and take their own once all of them is on disk. What goes wrong with a file is
//! logged with its name, and shows in `INFO` and in what clients are replied.

mod appending;
mod check;
mod delay;
mod directory;
mod image;
mod job;
mod load;
mod manifest;
mod reload;
mod replay;
mod reporting;
mod saving;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::Stopwatch;
use crate::command::CommandFlags;
use crate::config::{Config, Param};
use crate::engine::{Bar, Engine};
use crate::error::Error;
use crate::execute::Call;
use appending::{Appending, Place};
use directory::Directories;
use writer::Pace;

use crate::journal::disk::{Disk, RealDisk};
use crate::journal::rdb::SavedUsage;
use crate::keyspace::{Run, Scope, Txn, Uses};

pub use check::{CheckError, CheckReport, check};
pub use image::Snapshot;
pub(crate) use image::{restore, take};
pub(crate) use job::{Job, Kind, run_jobs};
pub(crate) use load::{Progress, load, loads_long};
pub(crate) use reload::Reload;
pub use reporting::Loading;
pub(crate) use reporting::Observer;
pub(crate) use writer::relay_log;

/// What a server knows of what it has on disk.
#[derive(Debug)]
pub(crate) struct Durability {
    pub(crate) disk: Arc<dyn Disk>,
    pace: Pace,
    pub(crate) directories: Directories,
    state: Mutex<State>,
    /// A snapshot is to be made.
    begun: Notify,
    /// One has been made.
    ended: Notify,
    /// Parameters that have changed without having taken effect yet.
    changed: Mutex<BTreeSet<String>>,
    has_changed: AtomicBool,
    pub(crate) progress: Progress,
    pub(crate) appending: Appending,
    pub(crate) last_save_s: AtomicI64,
    /// Of the keys that the present snapshot has, how many are written.
    pub(crate) keys_written: AtomicU64,
}

#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The snapshot that is being made.
    pub(crate) job: Option<job::Job>,
    pub(crate) is_save_scheduled: bool,
    pub(crate) is_rewrite_scheduled: bool,
    pub(crate) rewrites: u64,
    /// How often the log was rewritten without success since it last was with success.
    pub(crate) failed_rewrites: u64,
    pub(crate) last_rewrite: Outcome,
    /// When it was last tried.
    rewritten_at_s: i64,
    pub(crate) saves: u64,
    pub(crate) last_save: Outcome,
    /// How many changes there were when the last snapshot was made.
    pub(crate) saved_changes: u64,
    /// When it was last tried without success.
    failed_at_s: i64,
}

impl State {
    /// What was to be done has begun.
    fn note_begin(&mut self, kind: Kind) {
        match kind {
            Kind::Save => {
                self.is_save_scheduled = false;
                self.saves += 1;
            }
            Kind::Rewrite => {
                self.is_rewrite_scheduled = false;
                self.rewrites += 1;
            }
            Kind::Image => {}
        }
    }

    fn note_rewrite(&mut self, outcome: Outcome, now_s: i64) {
        self.last_rewrite = outcome;
        self.failed_rewrites = if outcome.is_ok { 0 } else { self.failed_rewrites + 1 };
        self.rewritten_at_s = now_s;
    }

    /// Whether enough time has passed since the log was rewritten without success.
    const fn may_rewrite(&self, now_s: i64) -> bool {
        self.failed_rewrites == 0 || now_s - self.rewritten_at_s > RETRY_S
    }
}

/// How long is waited after a snapshot that failed, before another is begun.
const RETRY_S: i64 = 5;

/// How a snapshot went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) is_ok: bool,
    pub(crate) seconds: i64,
}

impl Outcome {
    const NONE: Outcome = Outcome { is_ok: true, seconds: -1 };

    pub(crate) const fn word(self) -> &'static str {
        if self.is_ok { "ok" } else { "err" }
    }
}

impl Durability {
    pub(crate) fn new(now_s: i64) -> Self {
        Durability {
            disk: Arc::new(RealDisk),
            pace: Pace::USUAL,
            directories: Directories::default(),
            state: Mutex::new(State {
                job: None,
                is_save_scheduled: false,
                is_rewrite_scheduled: false,
                rewrites: 0,
                failed_rewrites: 0,
                last_rewrite: Outcome::NONE,
                rewritten_at_s: 0,
                saves: 0,
                last_save: Outcome::NONE,
                saved_changes: 0,
                failed_at_s: 0,
            }),
            begun: Notify::new(),
            ended: Notify::new(),
            changed: Mutex::default(),
            has_changed: AtomicBool::new(false),
            progress: Progress::default(),
            appending: Appending::default(),
            last_save_s: AtomicI64::new(now_s),
            keys_written: AtomicU64::new(0),
        }
    }

    /// Whether a snapshot is being made.
    pub(crate) fn is_busy(&self) -> bool {
        self.state().job.is_some()
    }

    /// Whether one is being made for its own sake.
    pub(crate) fn is_saving(&self) -> bool {
        self.state().job.as_ref().is_some_and(|job| job.kind == Kind::Save)
    }

    /// Whether the log is being rewritten.
    pub(crate) fn is_rewriting(&self) -> bool {
        self.state().job.as_ref().is_some_and(|job| job.kind == Kind::Rewrite)
    }

    /// Has a snapshot of this kind that is being made never take effect.
    pub(crate) fn abandon(&self, kind: Kind) {
        let job = self.state().job.clone();
        if let Some(job) = job.filter(|job| job.kind == kind) {
            job.abandon();
        }
    }

    fn end_job(&self) {
        self.state().job = None;
        self.ended.notify_waiters();
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it looks at what is on disk")
    }
}

/// Pairs of seconds and changes after which a snapshot is made.
pub(crate) fn save_points(config: &Config) -> Vec<(i64, u64)> {
    let text = config.text(Param::Save);
    let words: Vec<&str> = text.split_whitespace().collect();
    let (pairs, _) = words.as_chunks();
    let pairs = pairs
        .iter()
        .filter_map(|[seconds, changes]| Some((seconds.parse().ok()?, changes.parse().ok()?)));
    pairs.collect()
}

fn has_save_points(config: &Config) -> bool {
    !config.text(Param::Save).is_empty()
}

impl Engine {
    /// Where files go; nothing where nobody has said so.
    pub(crate) fn directory(&self) -> Option<PathBuf> {
        let directory = self.config.text(Param::Dir);
        (!directory.is_empty()).then(|| PathBuf::from(&*directory))
    }

    pub(crate) fn snapshot_path(&self) -> Result<PathBuf, String> {
        let directory = self.directory().ok_or(
            "this server keeps its data in memory only; start it with 'dir' set to a directory for its files",
        )?;
        Ok(directory.join(&*self.config.text(Param::DbFilename)))
    }

    pub(crate) fn forget_libraries(&self) {
        let mut state = self.scripts.state();
        state.libraries.flush();
        self.scripts.note(&state);
    }

    /// Does something with all shards held, in the name of nobody.
    pub(crate) fn with_all<R>(&self, act: impl FnOnce(&mut Txn<'_>) -> R) -> R {
        let scope = Scope { database: 0, now_ms: self.clock.now_ms(), uses: Uses::Ignored };
        act(&mut Run::new(&self.keyspace).lock_all(scope))
    }

    /// The same once no script is in the middle of something, whose half is no state to be saved. A script has more
    /// locked than shards, too: whoever holds these does not wait for it.
    fn with_all_alone<R>(&self, act: impl FnOnce(&mut Txn<'_>) -> R) -> Result<R, String> {
        const PATIENCE: Duration = Duration::from_secs(5);
        const LOOK_AGAIN: Duration = Duration::from_millis(1);
        let (watch, mut act) = (Stopwatch::start(), Some(act));
        while watch.elapsed() < PATIENCE {
            let done = self.with_all(|txn| {
                let is_alone = !self.scripts.running.is_away();
                act.take_if(|_| is_alone).map(|act| act(txn))
            });
            if let Some(result) = done {
                return Ok(result);
            }
            std::thread::park_timeout(LOOK_AGAIN);
        }
        Err("a script runs and does not come to its end".to_owned())
    }

    /// Whether a log can be begun, if one is to be.
    fn judge_log(&self) -> Result<(), String> {
        if self.keyspace.log.is_on() || !self.config.enabled(Param::AppendOnly) {
            return Ok(());
        }
        Place::of(self).and_then(|place| place.try_out(self)).map_err(|problem| {
            tracing::error!("the log cannot be turned on: {problem}");
            "Unable to turn on AOF. Check server logs.".to_owned()
        })
    }

    /// Turns the log on or off, as the configuration says now.
    fn switch_log(self: &Arc<Self>) {
        let wanted = self.config.enabled(Param::AppendOnly);
        if wanted == self.keyspace.log.is_on() {
            return;
        }
        if wanted {
            if let Err(problem) = self.begin_log() {
                tracing::error!("the log cannot be turned on: {problem}");
                let _ = self.config.set_at_start("appendonly", &["no"]);
            }
            return;
        }
        self.with_all(|_| self.keyspace.log.turn_on(false));
        self.keyspace.log.be_strict(false);
        self.finish_log();
        self.bars.lower(Bar::Unlogged);
    }

    /// Brings the rest of the log to the disk. A rewrite that is on its way comes too late.
    fn finish_log(&self) {
        self.durability.abandon(Kind::Rewrite);
        self.durability.appending.finish(self);
    }

    /// Begins a log while the server runs: it counts once what there is now has been written as its base.
    fn begin_log(self: &Arc<Self>) -> Result<(), String> {
        let file = self.durability.appending.begin_unlisted(self)?;
        self.with_all_alone(|txn| {
            self.durability.appending.start(self, file, 0)?;
            if self.durability.is_busy() {
                self.durability.state().is_rewrite_scheduled = true;
            } else {
                job::begin_base(self, txn);
            }
            Ok(())
        })?
    }

    /// Whether the log is to be rewritten without anybody asking for it: it has grown, or is in doubt.
    fn must_rewrite(&self, state: &State) -> bool {
        const PATIENCE: u64 = 3;
        let appending = &self.durability.appending;
        if !self.keyspace.log.is_on() || !state.may_rewrite(self.clock.now_ms() / 1000) {
            return false;
        }
        if appending.is_in_doubt() || appending.is_unlisted() {
            return true;
        }
        let base = appending.base_bytes.load(Ordering::Relaxed).max(1);
        let current = appending.current_bytes.load(Ordering::Relaxed);
        let percentage = self.config.number(Param::AutoAofRewritePercentage) as u64;
        let least = self.config.number(Param::AutoAofRewriteMinSize) as u64;
        let growth = current.saturating_sub(base).saturating_mul(100) / base;
        let has_grown = percentage > 0 && current > least && growth >= percentage;
        if has_grown && state.failed_rewrites < PATIENCE {
            tracing::info!("Starting automatic rewriting of AOF on {growth}% growth");
        }
        has_grown && state.failed_rewrites < PATIENCE
    }

    /// What a snapshot tells of how entries were used.
    pub(crate) fn saved_usage(&self) -> SavedUsage {
        match self.config.value("maxmemory-policy").as_deref() {
            Some("allkeys-lru" | "volatile-lru") => SavedUsage::Idle(self.clock.now_ms()),
            Some("allkeys-lfu" | "volatile-lfu") => SavedUsage::Frequency,
            _ => SavedUsage::None,
        }
    }
}

impl Engine {
    /// Why a command is not executed now, if it is one of those that are kept from it.
    pub(crate) fn bar(
        &self,
        flags: CommandFlags,
        is_write: impl FnOnce() -> bool,
    ) -> Option<Error> {
        if self.bars.has(Bar::Loading) && !flags.contains(CommandFlags::LOADING) {
            return Some(LOADING);
        }
        let minds =
            self.config.enabled(Param::StopWritesOnBgsaveError) && has_save_points(&self.config);
        let is_unsaved = self.bars.has(Bar::Unsaved) && minds;
        let is_unlogged = self.bars.has(Bar::Unlogged);
        if !(is_unsaved || is_unlogged) || !is_write() {
            return None;
        }
        if is_unsaved {
            return Some(UNSAVED);
        }
        if is_unlogged {
            let problem = self.durability.appending.problem();
            let text = format!("MISCONF Errors writing to the AOF file: {problem}");
            return Some(Error::Text(text.into_bytes().into()));
        }
        None
    }
}

pub(crate) const LOADING: Error = Error::coded("LOADING Redis is loading the dataset in memory");

const UNSAVED: Error = Error::coded(
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. \
     Commands that may modify the data set are disabled, because this instance is configured to report errors \
     during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs \
     for details about the RDB error.",
);

/// Whether everything is saved when the server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtEnd {
    Unsaved,
    Saved,
    /// Where there are save points.
    AsConfigured,
}

impl Engine {
    /// Whether anything may have to be brought to disk when the server ends.
    pub(crate) fn has_to_settle(&self) -> bool {
        self.is_running() && (self.keyspace.log.is_on() || has_save_points(&self.config))
    }

    /// Brings to disk what is to be there when the server ends with nobody asking for it, as far as it has not been done.
    pub(crate) fn settle_before_end(&self) -> Result<(), String> {
        if !self.has_to_settle() || self.keyspace.log.is_sealed() {
            return Ok(());
        }
        let is_unlisted = self.durability.appending.is_unlisted();
        if is_unlisted || self.saves(AtEnd::AsConfigured) {
            self.outwait_script();
        }
        self.with_all(|txn| self.settle_sealed(txn, AtEnd::AsConfigured))
    }

    /// Brings to disk what is to be there when the server ends; all shards are held. From then on nobody hears of
    /// anything that is done, as it would be in no file. If it fails, all is as it was before.
    pub(crate) fn settle_at_end(&self, txn: &mut Txn<'_>, at_end: AtEnd) -> Result<(), String> {
        if self.keyspace.log.is_on() && self.durability.appending.is_unlisted() {
            return Err("Writing initial AOF, can't exit".to_owned());
        }
        self.settle_sealed(txn, at_end)
    }

    /// The same where a log that has no base yet gets one.
    fn settle_sealed(&self, txn: &mut Txn<'_>, at_end: AtEnd) -> Result<(), String> {
        let log = &self.keyspace.log;
        log.seal();
        self.save_and_log(txn, at_end).inspect_err(|_| log.unseal())?;
        // Who has waited for a shard meanwhile finds that it is too late.
        if self.keyspace.log.is_on() || has_save_points(&self.config) {
            self.bars.raise(Bar::Settled);
        }
        self.close_log();
        Ok(())
    }

    /// The base comes last: once it is there, what is written to the log goes nowhere.
    fn save_and_log(&self, txn: &mut Txn<'_>, at_end: AtEnd) -> Result<(), String> {
        if self.saves(at_end) {
            tracing::info!("Saving the final RDB snapshot before exiting.");
            self.save_at_end(txn)?;
        }
        if self.durability.appending.is_unlisted() {
            return self.durability.appending.complete(self, txn);
        }
        match self.flush_log() {
            Err(problem) if at_end == AtEnd::Unsaved => tracing::error!("{problem}"),
            result => result?,
        }
        Ok(())
    }

    fn saves(&self, at_end: AtEnd) -> bool {
        let wanted = match at_end {
            AtEnd::Unsaved => false,
            AtEnd::Saved => true,
            AtEnd::AsConfigured => has_save_points(&self.config) && self.directory().is_some(),
        };
        wanted && !self.is_loading()
    }

    fn save_at_end(&self, txn: &mut Txn<'_>) -> Result<(), String> {
        if self.scripts.running.is_away() {
            return Err("a script is in the middle of something".to_owned());
        }
        saving::save_now(self, txn)
            .map_err(|problem| format!("Error trying to save the DB, can't exit: {problem}"))
    }

    /// Brings what is in the log so far to the disk, unless the disk does not take it.
    fn flush_log(&self) -> Result<(), String> {
        let log = &self.keyspace.log;
        log.flush(|| self.is_running() && !self.bars.has(Bar::Unlogged));
        if log.is_on() && !log.is_flushed() {
            let problem = self.durability.appending.problem();
            return Err(format!("the end of the AOF is not on the disk, can't exit: {problem}"));
        }
        Ok(())
    }

    /// Brings the log to the disk for the last time, whatever else there is to be done. All shards are held.
    pub(crate) fn close_log(&self) {
        if self.keyspace.log.is_on() {
            self.keyspace.log.turn_on(false);
            self.finish_log();
        }
    }

    /// The server ends although not all can be brought to disk.
    pub(crate) fn give_up(&self, problem: &str) {
        tracing::error!("what the server has is not all on disk: {problem}");
        self.with_all(|_| self.close_log());
    }

    /// Lets a script come to its end, if it does so soon.
    fn outwait_script(&self) {
        const PATIENCE: Duration = Duration::from_secs(10);
        const LOOK_AGAIN: Duration = Duration::from_millis(10);
        let watch = Stopwatch::start();
        while self.scripts.running.is_away() && watch.elapsed() < PATIENCE {
            std::thread::park_timeout(LOOK_AGAIN);
        }
    }
}

impl Call<'_> {
    pub(crate) fn settle_at_end(&mut self, at_end: AtEnd) -> Result<(), String> {
        self.engine.settle_at_end(&mut self.txn, at_end)
    }

    /// Saves everything, while everybody waits.
    pub(crate) fn save(&mut self) -> Result<(), String> {
        self.engine.durability.state().saves += 1;
        saving::save_now(self.engine, &mut self.txn)
    }

    /// An emptied server is saved at once where snapshots are: the next start is not to bring back what was there.
    pub(crate) fn save_after_flush(&mut self) {
        let engine = self.engine;
        engine.durability.abandon(Kind::Save);
        let is_inside = self.is_in_script || self.session.transaction.is_executing;
        if has_save_points(&engine.config)
            && engine.directory().is_some()
            && !self.session.is_loader()
            && !is_inside
        {
            // What went wrong has been logged.
            let _ = self.save();
        }
    }

    /// Begins a snapshot, which is written while requests go on being executed.
    pub(crate) fn begin_save(&mut self, kind: Kind) {
        job::begin(self.engine, &mut self.txn, kind);
    }
}

/// Notes which parameters change while the server runs. Whoever changes them may hold shards, so that they take effect
/// a little later.
pub(crate) fn follow_config(engine: &Arc<Engine>) {
    let weak = Arc::downgrade(engine);
    engine.config.on_proposal(move |name| match weak.upgrade() {
        Some(engine) if name == "dir" => engine.move_directory(),
        Some(engine) if name == "appendonly" => engine.judge_log(),
        _ => Ok(()),
    });
    let weak = Arc::downgrade(engine);
    engine.config.on_change(move |name| {
        if let Some(engine) = weak.upgrade() {
            engine.durability.changed().insert(name.to_owned());
            engine.durability.has_changed.store(true, Ordering::SeqCst);
        }
    });
}

impl Durability {
    fn changed(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Whether parameters have changed that have not taken effect.
    pub(crate) fn has_changed_parameters(&self) -> bool {
        self.durability.has_changed.load(Ordering::Relaxed)
    }

    /// Has what has changed take effect. Nothing may be locked.
    #[cold]
    pub(crate) fn follow_parameters(self: &Arc<Self>) {
        // They are looked at again a few times a second.
        let is_away = self.scripts.running.is_away();
        if is_away || !self.durability.has_changed.swap(false, Ordering::SeqCst) {
            return;
        }
        let changed = std::mem::take(&mut *self.durability.changed());
        for name in &changed {
            self.follow(name);
        }
    }

    fn follow(self: &Arc<Self>, name: &str) {
        match name {
            "appendonly" => self.switch_log(),
            "maxmemory" | "maxmemory-policy" => {
                self.keyspace.keep_accounts(self.config.is_memory_limited());
                self.keyspace.forget_candidates();
                self.tend_memory();
            }
            "aof-disable-auto-gc" => self.durability.appending.collect_history(self),
            "maxmemory-clients" => self.limit_clients(),
            "appendfsync" if self.keyspace.log.is_on() => {
                let policy = writer::Policy::of(self);
                self.keyspace.log.be_strict(policy == writer::Policy::Always);
                self.keyspace.log.nudge();
            }
            _ => {}
        }
    }
}

/// What is to be done now, as it is looked at a few times a second.
pub(crate) fn tick(engine: &Engine) {
    if !engine.is_running() || engine.is_loading() || engine.scripts.running.is_away() {
        return;
    }
    let state = engine.durability.state().clone();
    let points = save_points(&engine.config);
    let wishes = state.is_save_scheduled || state.is_rewrite_scheduled || !points.is_empty();
    let must_rewrite = engine.must_rewrite(&state);
    if state.job.is_some() || !wishes && !must_rewrite {
        return;
    }
    engine.with_all(|txn: &mut Txn<'_>| {
        // Somebody may have begun one before the shards were held.
        if engine.scripts.running.is_away() || engine.durability.is_busy() {
            return;
        }
        if state.is_rewrite_scheduled || must_rewrite {
            job::begin(engine, txn, Kind::Rewrite);
        } else if state.is_save_scheduled || is_due(engine, &state, &points, txn) {
            job::begin(engine, txn, Kind::Save);
        }
    });
}

/// Whether so much has changed since the last snapshot that it is time for another.
fn is_due(engine: &Engine, state: &State, points: &[(i64, u64)], txn: &Txn<'_>) -> bool {
    let now_s = engine.clock.now_ms() / 1000;
    let passed_s = now_s - engine.durability.last_save_s.load(Ordering::Relaxed);
    let changes = txn.counters().changes - state.saved_changes;
    let may_try = state.last_save.is_ok || now_s - state.failed_at_s > RETRY_S;
    let due = points.iter().find(|&&(seconds, least)| changes >= least && passed_s > seconds);
    if let Some((seconds, least)) = due.filter(|_| may_try) {
        tracing::info!("{least} changes in {seconds} seconds. Saving...");
    }
    due.is_some() && may_try
}
