//! The thread that writes the log.
//!
//! It takes what has come together while it wrote what came before, writes it at once, and brings it to the disk as
//! `appendfsync` asks. What cannot be written is kept and tried again; what has been written and then refused to reach the
//! disk is in doubt, and the log is written anew.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::appending::Appending;
use crate::clock::Stopwatch;
use crate::config::Param;
use crate::engine::{Bar, Engine};
use crate::journal::disk::DiskFile;
use crate::journal::effects::write_time;
use crate::journal::log::{Batch, Piece};

/// How fast the log is written, and what is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How long what is written may wait for more, and what is not on the disk for the disk.
    pub(super) linger: Duration,
    pub(super) sync_every: Duration,
    pub(super) retry_after: Duration,
    /// How long a new base waits for the increment that is to follow it.
    pub(super) patience: Duration,
}

impl Pace {
    pub(super) const USUAL: Pace = Pace {
        linger: Duration::from_millis(5),
        sync_every: Duration::from_secs(1),
        retry_after: Duration::from_millis(200),
        patience: Duration::from_secs(10),
    };
}

/// How long requests that are on their way are waited for, so that they reach the disk together.
const GATHER: Duration = Duration::from_micros(100);

/// When the log is brought to the disk, in the order of the parameter's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    EverySecond,
    Always,
    Never,
}

impl Policy {
    pub(crate) fn of(engine: &Engine) -> Self {
        match engine.config.number(Param::AppendFsync) {
            0 => Policy::EverySecond,
            1 => Policy::Always,
            _ => Policy::Never,
        }
    }
}

pub(super) struct Writer {
    engine: Arc<Engine>,
    /// Nothing as long as the next file could not be made.
    file: Box<dyn DiskFile>,
    /// What the file has that is whole.
    length: u64,
    pending: VecDeque<Piece>,
    /// The position at the end of what is pending, of what is written, and of what is on the disk.
    taken: u64,
    written: u64,
    synced: u64,
    last_sync: Stopwatch,
    /// How many waited for the disk the last time.
    last_waiting: usize,
    /// Whether somebody waits for the disk, whenever it would be its time.
    is_urgent: bool,
    /// The last time that was put into the log, in seconds since 1970.
    stamped_s: i64,
    has_failed: bool,
}

impl Writer {
    pub(super) fn new(engine: Arc<Engine>, file: Box<dyn DiskFile>, length: u64) -> Self {
        let at = engine.keyspace.log.appended();
        Writer {
            engine,
            file,
            length,
            pending: VecDeque::new(),
            taken: at,
            written: at,
            synced: at,
            last_sync: Stopwatch::start(),
            last_waiting: 0,
            is_urgent: false,
            stamped_s: 0,
            has_failed: false,
        }
    }

    /// Writes until nothing more comes. The error is why the server cannot go on.
    pub(super) fn run(mut self) {
        loop {
            let engine = Arc::clone(&self.engine);
            let log = &engine.keyspace.log;
            let batch = log.take(self.patience());
            let is_last = batch.is_last;
            self.accept(batch);
            if Policy::of(&engine) == Policy::Always {
                self.gather();
            }
            let result = self.write().and_then(|()| self.sync_if_due(is_last));
            match result {
                Ok(()) => self.note_success(),
                Err(problem) if Policy::of(&engine) == Policy::Always => {
                    engine.fail(&format!("the log could not be written: {problem}"));
                    log.release();
                    return;
                }
                Err(problem) => self.note_failure(&problem),
            }
            if is_last || !engine.is_running() && engine.has_failed() {
                return;
            }
        }
    }

    /// How long nothing to write is waited for.
    fn patience(&self) -> Option<Duration> {
        if self.has_failed {
            return Some(self.pace().retry_after);
        }
        let is_open = self.synced < self.written && Policy::of(&self.engine) != Policy::Never;
        is_open.then(|| self.pace().sync_every.saturating_sub(self.last_sync.elapsed()))
    }

    fn accept(&mut self, batch: Batch) {
        self.pending.extend(batch.pieces);
        self.is_urgent |= batch.is_urgent;
        self.taken = batch.end;
    }

    /// Where as many as before are about to wait for the disk, they are let come.
    fn gather(&mut self) {
        let engine = Arc::clone(&self.engine);
        let log = &engine.keyspace.log;
        let watch = Stopwatch::start();
        while !self.pending.is_empty()
            && log.count_waiting() < self.last_waiting
            && watch.elapsed() < GATHER
        {
            std::thread::yield_now();
        }
        self.last_waiting = log.count_waiting();
        let more = log.take(Some(Duration::ZERO));
        self.accept(more);
    }

    fn write(&mut self) -> Result<(), String> {
        self.appending().dawdle();
        while let Some(piece) = self.pending.pop_front() {
            match piece {
                Piece::Bytes(bytes) => {
                    let bytes = self.stamp(bytes);
                    self.write_bytes(bytes)?;
                }
                Piece::Turn(number) => self.turn(number)?,
            }
        }
        self.written = self.taken;
        Ok(())
    }

    /// A piece with the time ahead of it, where times are wanted and another second has begun.
    fn stamp(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        let now_s = self.engine.clock.now_ms() / 1000;
        if !self.engine.config.enabled(Param::AofTimestampEnabled) || now_s == self.stamped_s {
            return bytes;
        }
        self.stamped_s = now_s;
        let mut stamped = Vec::new();
        write_time(&mut stamped, now_s);
        stamped.extend(bytes);
        stamped
    }

    /// Writes a piece as a whole. What got into the file of one that did not fit is taken away again.
    fn write_bytes(&mut self, bytes: Vec<u8>) -> Result<(), String> {
        if let Err(error) = self.file.write_all(&bytes) {
            let length = self.length;
            self.pending.push_front(Piece::Bytes(bytes));
            if let Err(worse) = self.file.truncate(length) {
                tracing::error!("half a write cannot be taken out of the log again: {worse}");
                self.appending().doubt();
            }
            return Err(plain(&error));
        }
        self.length += bytes.len() as u64;
        self.appending().grow(bytes.len() as u64);
        self.engine.keyspace.log.recycle(bytes);
        Ok(())
    }

    /// Goes on in the next file, once all of this one is on the disk.
    fn turn(&mut self, number: u64) -> Result<(), String> {
        // What is in doubt is about to be replaced.
        let synced = if self.appending().is_in_doubt() { Ok(()) } else { self.sync() };
        let next = synced.and_then(|()| self.appending().begin_increment(&self.engine));
        match next {
            Ok(file) => {
                (self.file, self.length) = (file, 0);
                self.appending().note_turn(number);
                Ok(())
            }
            Err(problem) => {
                self.pending.push_front(Piece::Turn(number));
                Err(problem)
            }
        }
    }

    fn sync_if_due(&mut self, is_last: bool) -> Result<(), String> {
        let is_open = self.synced < self.written;
        let is_due = match Policy::of(&self.engine) {
            Policy::Always => true,
            Policy::EverySecond => self.last_sync.elapsed() >= self.pace().sync_every,
            Policy::Never => false,
        };
        if is_open && (is_due || is_last || std::mem::take(&mut self.is_urgent)) {
            self.sync()?;
        } else if !is_last && is_open && Policy::of(&self.engine) != Policy::Always {
            std::thread::park_timeout(self.pace().linger);
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), String> {
        self.last_sync = Stopwatch::start();
        if let Err(error) = self.file.sync() {
            // The system may have forgotten what it could not bring to the disk.
            self.appending().doubt();
            return Err(plain(&error));
        }
        self.synced = self.written;
        if self.pending.is_empty() {
            self.synced = self.taken.min(self.written);
        }
        self.engine.keyspace.log.reach(self.synced);
        Ok(())
    }

    fn note_success(&mut self) {
        if self.has_failed && !self.appending().is_in_doubt() {
            self.has_failed = false;
            self.appending().is_write_ok.store(true, Ordering::Relaxed);
            self.engine.bars.lower(Bar::Unlogged);
            tracing::info!("AOF write error looks solved. The server can write again.");
        }
    }

    fn note_failure(&mut self, problem: &str) {
        if !self.has_failed {
            tracing::error!(
                "Error writing to the AOF file: {problem}. Writes are refused until it works again"
            );
        }
        self.has_failed = true;
        self.appending().is_write_ok.store(false, Ordering::Relaxed);
        self.appending().note_problem(problem);
        self.engine.bars.raise(Bar::Unlogged);
    }

    fn pace(&self) -> Pace {
        self.engine.durability.pace
    }

    fn appending(&self) -> &Appending {
        &self.engine.durability.appending
    }
}

/// Wakes those who wait for the disk.
pub(crate) async fn relay_log(engine: Arc<Engine>) {
    poll_fn(|context| engine.keyspace.log.relay(context)).await;
}

/// The system's words for what went wrong, without the number that the standard library adds.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_owned()
}
