//! Telling how loading goes on, for as long as it does.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::engine::Engine;

/// How far a server has come with loading what it has on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loading {
    pub loaded_bytes: u64,
    pub total_bytes: u64,
    /// Of a snapshot.
    pub keys: u64,
    /// Of a log.
    pub commands: u64,
    pub elapsed: Duration,
}

impl Loading {
    /// How much of it is done, from 0 to 100.
    pub fn percent(&self) -> u64 {
        self.loaded_bytes.min(self.total_bytes) * 100 / self.total_bytes.max(1)
    }
}

impl fmt::Display for Loading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%, {} keys", self.percent(), self.keys)?;
        if self.commands > 0 {
            write!(f, ", {} commands", self.commands)?;
        }
        Ok(())
    }
}

/// Who wants to know, besides the log.
pub(crate) type Observer = Arc<dyn Fn(&Loading) + Send + Sync>;

const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOG_EVERY: Duration = Duration::from_secs(3);
/// So little is loaded before anybody could read how it goes on.
const LITTLE_BYTES: u64 = 1 << 20;

/// Loads something, and tells meanwhile how far that has come.
pub(super) fn reporting<R>(engine: &Engine, load: impl FnOnce() -> R) -> R {
    if engine.durability.progress.total_bytes.load(Ordering::Relaxed) < LITTLE_BYTES {
        return load();
    }
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reporter = thread::Builder::new().name("redlet-loading".to_owned());
        let reporter = reporter.spawn_scoped(scope, || report(engine, &is_over));
        let _end = reporter
            .ok()
            .map(|reporter| End { is_over: &is_over, thread: reporter.thread().clone() });
        load()
    })
}

/// Ends the reports, also where loading panics.
struct End<'a> {
    is_over: &'a AtomicBool,
    thread: Thread,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

fn report(engine: &Engine, is_over: &AtomicBool) {
    let (began, mut logs_at) = (Stopwatch::start(), LOG_EVERY);
    while !is_over.load(Ordering::SeqCst) {
        let loading = loading(engine, began.elapsed());
        if let Some(observer) = &*engine.durability.progress.observer() {
            observer(&loading);
        }
        if loading.elapsed >= logs_at {
            logs_at = loading.elapsed + LOG_EVERY;
            tracing::info!("Loading: {loading}");
        }
        thread::park_timeout(LOOK_EVERY);
    }
}

fn loading(engine: &Engine, elapsed: Duration) -> Loading {
    let progress = &engine.durability.progress;
    Loading {
        loaded_bytes: progress.loaded_bytes.load(Ordering::Relaxed),
        total_bytes: progress.total_bytes.load(Ordering::Relaxed),
        keys: progress.keys_loaded.load(Ordering::Relaxed),
        commands: progress.commands_loaded.load(Ordering::Relaxed),
        elapsed,
    }
}
