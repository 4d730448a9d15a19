//! A snapshot in the background: entries are collected between requests, and written by a thread of their own.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{spawn_blocking, yield_now};

use super::Outcome;
use super::delay::linger_saving;
use super::saving::{Draft, Manner, What, header, note_success, temporary};
use crate::clock::Stopwatch;
use crate::config::Param;
use crate::engine::{Bar, Engine};
use crate::journal::rdb::{Chunk, Piece};
use crate::keyspace::{Keyspace, Txn};

/// How long entries are collected before requests get their turn, and a shard is held at a time.
const SLICE: Duration = Duration::from_micros(150);
const HOLD: Duration = Duration::from_micros(50);
/// How much is collected before it is given to be written, and how many such pieces may wait.
const PIECE: usize = 32 * 1024;
pub(super) const WAITING_PIECES: usize = 16;

/// What a snapshot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Save,
    /// A new base of the log.
    Rewrite,
    /// For the application that the server is part of.
    Image,
}

impl Kind {
    fn what(self, engine: &Engine) -> What {
        match self {
            Kind::Save | Kind::Image => What::Snapshot,
            Kind::Rewrite => What::base(engine),
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Kind::Save => "Background saving",
            Kind::Rewrite => "Background append only file rewriting",
            Kind::Image => "A snapshot in memory",
        }
    }
}

/// A snapshot that has begun.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) kind: Kind,
    pub(crate) began: Stopwatch,
    pub(crate) keys: u64,
    /// How many changes there were when it began.
    changes: u64,
    pub(super) what: What,
    header: Arc<[u8]>,
    /// The number of the turn to the increment that goes on from here.
    turn: u64,
    /// Whether the log goes on from here at all.
    pub(super) is_followed: bool,
    /// Whether nobody wants it any more. Whoever gives files their names holds this.
    is_abandoned: Arc<Mutex<bool>>,
}

impl Job {
    pub(super) fn header(&self) -> &[u8] {
        &self.header
    }

    pub(crate) fn seconds(&self) -> i64 {
        self.began.elapsed().as_secs() as i64
    }

    /// Whatever becomes of it takes no name from now on.
    pub(super) fn abandon(&self) {
        *self.abandoned() = true;
    }

    fn abandoned(&self) -> MutexGuard<'_, bool> {
        self.is_abandoned.lock().expect("nothing panics while it gives files their names")
    }

    pub(super) fn is_abandoned(&self) -> bool {
        *self.abandoned()
    }
}

/// Begins a snapshot of what there is now; somebody else writes it. There is no other.
pub(super) fn begin(engine: &Engine, txn: &mut Txn<'_>, kind: Kind) {
    let turns = kind == Kind::Rewrite && engine.keyspace.log.is_on();
    let turn = if turns { engine.keyspace.log.turn() } else { 0 };
    begin_at(engine, txn, kind, turn);
}

/// Begins one that whoever has asked for it takes.
pub(super) fn begin_image(engine: &Engine, txn: &mut Txn<'_>) -> Job {
    begin_at(engine, txn, Kind::Image, 0)
}

/// Begins the base of a log whose increment has just been begun.
pub(super) fn begin_base(engine: &Engine, txn: &mut Txn<'_>) {
    begin_at(engine, txn, Kind::Rewrite, 0);
}

fn begin_at(engine: &Engine, txn: &mut Txn<'_>, kind: Kind, turn: u64) -> Job {
    let used = txn.all_figures().iter().map(|figures| figures.bytes).sum();
    let what = kind.what(engine);
    let sizes = txn.begin_snapshot(what.form(engine));
    let job = Job {
        kind,
        began: Stopwatch::start(),
        keys: sizes.iter().map(|size| size.keys as u64).sum(),
        changes: txn.counters().changes,
        what,
        turn,
        is_followed: kind == Kind::Rewrite && engine.keyspace.log.is_on(),
        is_abandoned: Arc::default(),
        header: header(engine, what, &sizes, used).into(),
    };
    let durability = &engine.durability;
    durability.keys_written.store(0, Ordering::Relaxed);
    let mut state = durability.state();
    state.note_begin(kind);
    state.job = Some(job.clone());
    drop(state);
    if kind != Kind::Image {
        durability.begun.notify_one();
        tracing::info!("{} started", kind.title());
    }
    job
}

/// Writes one snapshot after the other, as they are begun.
pub(crate) async fn run_jobs(engine: Arc<Engine>) {
    loop {
        engine.durability.begun.notified().await;
        run_job(&engine).await;
    }
}

/// Writes the snapshot that has begun, if one has.
pub(super) async fn run_job(engine: &Arc<Engine>) {
    let job = engine.durability.state().job.clone();
    if let Some(job) = job.filter(|job| job.kind != Kind::Image) {
        let result = write(engine, &job).await;
        settle(engine, &job, &result);
    }
}

/// Writes a snapshot that has begun; how many bytes it has.
async fn write(engine: &Arc<Engine>, job: &Job) -> Result<u64, String> {
    let (pieces, taken) = mpsc::channel(WAITING_PIECES);
    let is_complete = Arc::new(AtomicBool::new(false));
    let writing = engine.snapshot_path().map(|path| {
        let (engine, job) = (Arc::clone(engine), job.clone());
        let taken = Taken { pieces: taken, are_all: Arc::clone(&is_complete) };
        spawn_blocking(move || write_pieces(&engine, &path, &job, taken))
    });
    let open = pieces.clone();
    collect(engine, job, pieces).await;
    is_complete.store(true, Ordering::SeqCst);
    drop(open);
    match writing {
        Ok(writing) => writing.await.map_err(|_| "the thread that wrote it panicked".to_owned())?,
        Err(problem) => Err(problem),
    }
}

/// What has been collected. Where the server ends meanwhile, the pieces that come are not all there should be.
struct Taken {
    pieces: mpsc::Receiver<Piece>,
    are_all: Arc<AtomicBool>,
}

fn write_pieces(engine: &Engine, path: &Path, job: &Job, mut taken: Taken) -> Result<u64, String> {
    engine.hold_directory()?;
    let (incremental, infix) = match job.kind {
        Kind::Save | Kind::Image => (Param::RdbSaveIncrementalFsync, "bg"),
        Kind::Rewrite => (Param::AofRewriteIncrementalFsync, "rewriteaof-bg-"),
    };
    let manner = Manner::of(engine, incremental);
    let mut draft = Draft::create(&*engine.durability.disk, temporary(path, infix), manner)?;
    draft.write(&job.header)?;
    while let Some(piece) = taken.pieces.blocking_recv() {
        if job.is_abandoned() {
            return Err(ABANDONED.to_owned());
        }
        draft.write_piece(&piece)?;
        // Requests may wait for this processor.
        std::thread::yield_now();
    }
    if !taken.are_all.load(Ordering::SeqCst) {
        return Err("the server ended before it was complete".to_owned());
    }
    if job.kind == Kind::Rewrite {
        return replace_base(engine, path, job, draft);
    }
    let is_abandoned = job.abandoned();
    if *is_abandoned {
        return Err(ABANDONED.to_owned());
    }
    draft.finish(job.what, path)
}

fn replace_base(engine: &Engine, path: &Path, job: &Job, draft: Draft<'_>) -> Result<u64, String> {
    let (complete, appending) = (temporary(path, "rewriteaof-"), &engine.durability.appending);
    let bytes = draft.finish(job.what, &complete)?;
    let (patience, goes_on) = (engine.durability.pace.patience, || !job.is_abandoned());
    let result = appending.wait_for_turn(job.turn, patience, goes_on).and_then(|()| {
        let is_abandoned = job.abandoned();
        if *is_abandoned {
            return Err(ABANDONED.to_owned());
        }
        appending.replace_base(engine, job, &complete, bytes)
    });
    if result.is_err() {
        let _ = engine.durability.disk.remove(&complete);
    }
    result.map(|()| bytes)
}

const ABANDONED: &str = "it is not wanted any more";

/// Goes through all shards in turn until the snapshot is complete, and lets requests through every so often. When
/// nobody takes what it collects, the snapshot ends all the same.
pub(super) async fn collect(engine: &Engine, job: &Job, pieces: mpsc::Sender<Piece>) {
    let keyspace = &engine.keyspace;
    let mut left: Vec<usize> = (0..keyspace.count_shards()).collect();
    let mut collected = Chunk::default();
    while !left.is_empty() {
        let slice = Stopwatch::start();
        let (mut done, mut keys) = (Vec::new(), 0);
        for &shard in &left {
            let hold = Stopwatch::start();
            let strides = keyspace.walk(shard, &|| hold.elapsed() > HOLD);
            keys += strides.chunk.keys;
            collected.append(strides.chunk);
            if strides.is_done {
                done.push(shard);
            }
            if slice.elapsed() > SLICE {
                break;
            }
        }
        engine.durability.keys_written.fetch_add(keys, Ordering::Relaxed);
        linger_saving(engine, job, keys).await;
        left.retain(|shard| !done.contains(shard));
        if !left.is_empty() {
            left.rotate_left(1);
        }
        if collected.len() >= PIECE || collected.has_large() || left.is_empty() {
            send(keyspace, &pieces, collected.take()).await;
        }
        yield_now().await;
    }
}

/// Gives what has been collected to be written.
async fn send(keyspace: &Keyspace, pieces: &mpsc::Sender<Piece>, chunk: Chunk) {
    for piece in chunk.into_pieces() {
        if pieces.send(piece).await.is_err() {
            keyspace.abandon_snapshot();
        }
    }
}

/// Notes how a snapshot has gone.
fn settle(engine: &Engine, job: &Job, result: &Result<u64, String>) {
    if job.is_abandoned() {
        tracing::info!("{} was abandoned", job.kind.title());
        engine.durability.end_job();
        return;
    }
    let outcome = Outcome { is_ok: result.is_ok(), seconds: job.seconds() };
    match (result, job.kind) {
        (Ok(bytes), kind) => {
            tracing::info!("{} terminated with success: {bytes} bytes", kind.title());
        }
        (Err(problem), kind) => tracing::error!("{} error: {problem}", kind.title()),
    }
    match job.kind {
        Kind::Save if outcome.is_ok => note_success(engine, job.changes, outcome),
        Kind::Save => {
            engine.bars.raise(Bar::Unsaved);
            let mut state = engine.durability.state();
            state.last_save = outcome;
            state.failed_at_s = engine.clock.now_ms() / 1000;
        }
        Kind::Rewrite => {
            let now_s = engine.clock.now_ms() / 1000;
            engine.durability.state().note_rewrite(outcome, now_s);
        }
        Kind::Image => {}
    }
    engine.durability.end_job();
}
