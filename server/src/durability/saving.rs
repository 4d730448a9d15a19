//! Writing a snapshot to its file.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::{Kind, Outcome};
use crate::clock::Stopwatch;
use crate::config::Param;
use crate::engine::{Bar, Engine};
use crate::journal::crc64::crc64;
use crate::journal::disk::{Disk, DiskFile};
use crate::journal::effects::{write_command, write_time};
use crate::journal::output::Drained;
use crate::journal::rdb::{Chunk, Form, Header, Piece, Size, trailer};
use crate::keyspace::Txn;

/// After so many bytes a file is brought to the disk, so that there is not much left to do at the end.
const SYNC_EVERY: u64 = 4 << 20;

/// A file in the making, under a name that nobody will take for the right one.
pub(super) struct Draft<'d> {
    disk: &'d dyn Disk,
    file: Box<dyn DiskFile>,
    path: PathBuf,
    checksum: u64,
    has_checksum: bool,
    written: u64,
    synced: u64,
    syncs_often: bool,
    is_finished: bool,
}

/// How files are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) has_checksum: bool,
    pub(super) syncs_often: bool,
}

impl Manner {
    pub(super) fn of(engine: &Engine, incremental: Param) -> Self {
        Manner {
            has_checksum: engine.config.enabled(Param::RdbChecksum),
            syncs_often: engine.config.enabled(incremental),
        }
    }
}

/// What went wrong with which file.
pub(super) fn trouble<'p>(what: &'p str, path: &'p Path) -> impl Fn(std::io::Error) -> String + 'p {
    move |error| format!("cannot {what} {}: {error}", path.display())
}

impl<'d> Draft<'d> {
    pub(super) fn create(
        disk: &'d dyn Disk,
        path: PathBuf,
        manner: Manner,
    ) -> Result<Self, String> {
        let file = disk.create(&path).map_err(trouble("create", &path))?;
        Ok(Draft {
            disk,
            file,
            path,
            checksum: 0,
            has_checksum: manner.has_checksum,
            written: 0,
            synced: 0,
            syncs_often: manner.syncs_often,
            is_finished: false,
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.has_checksum {
            self.checksum = crc64(self.checksum, bytes);
        }
        self.file.write_all(bytes).map_err(trouble("write to", &self.path))?;
        self.written += bytes.len() as u64;
        if self.syncs_often && self.written - self.synced >= SYNC_EVERY {
            self.sync()?;
        }
        Ok(())
    }

    pub(super) fn write_chunk(&mut self, chunk: Chunk) -> Result<(), String> {
        chunk.into_pieces().try_for_each(|piece| self.write_piece(&piece))
    }

    pub(super) fn write_piece(&mut self, piece: &Piece) -> Result<(), String> {
        match piece {
            Piece::Bytes(bytes) => self.write(bytes),
            Piece::Large(large) => {
                let mut result = Ok(());
                let mut output = Drained::new(|bytes: &[u8]| {
                    if result.is_ok() {
                        result = self.write(bytes);
                    }
                });
                large.write(&mut output);
                output.end();
                result
            }
        }
    }

    /// Of what has been written so far, if it is kept.
    pub(super) const fn checksum(&self) -> u64 {
        self.checksum
    }

    fn sync(&mut self) -> Result<(), String> {
        self.synced = self.written;
        self.file.sync().map_err(trouble("bring to the disk", &self.path))
    }

    /// Ends what is in the file as it has to, and gives it its name. How long it is.
    pub(super) fn finish(mut self, what: What, path: &Path) -> Result<u64, String> {
        if what == What::Commands {
            return self.publish(path);
        }
        let (checksum, has_checksum) = (self.checksum, self.has_checksum);
        let end = trailer(|end| if has_checksum { crc64(checksum, end) } else { 0 });
        self.file.write_all(&end).map_err(trouble("write to", &self.path))?;
        self.written += end.len() as u64;
        self.publish(path)
    }

    /// Gives a file its name once all of it is on the disk.
    pub(super) fn publish(mut self, path: &Path) -> Result<u64, String> {
        self.sync()?;
        self.disk.rename(&self.path, path).map_err(trouble("give its name to", path))?;
        self.is_finished = true;
        let directory = path.parent().unwrap_or(Path::new("."));
        self.disk.sync_directory(directory).map_err(trouble("bring to the disk", directory))?;
        Ok(self.written)
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = self.disk.remove(&self.path);
        }
    }
}

/// The name of a file while it is written, of which several servers may have some in one directory.
pub(super) fn temporary(path: &Path, what: &str) -> PathBuf {
    path.with_file_name(format!("temp-{what}{}.rdb", std::process::id()))
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Snapshot,
    /// Of a log, as a snapshot.
    Base,
    /// The same as commands.
    Commands,
}

impl What {
    /// What the base of a log is.
    pub(super) fn base(engine: &Engine) -> Self {
        let is_snapshot = engine.config.enabled(Param::AofUseRdbPreamble);
        if is_snapshot { What::Base } else { What::Commands }
    }

    /// In which form entries are written.
    pub(super) fn form(self, engine: &Engine) -> Form {
        if self == What::Commands { Form::Commands } else { Form::Snapshot(engine.saved_usage()) }
    }
}

/// What stands at the beginning of a snapshot of what there is now.
pub(super) fn header(engine: &Engine, what: What, sizes: &[Size], used_memory: usize) -> Vec<u8> {
    let (mut bytes, libraries) = (Vec::new(), engine.scripts.library_codes());
    if what == What::Commands {
        if engine.config.enabled(Param::AofTimestampEnabled) {
            write_time(&mut bytes, engine.clock.now_ms() / 1000);
        }
        for code in &libraries {
            write_command(&mut bytes, [&b"FUNCTION"[..], b"LOAD", code].into_iter());
        }
        return bytes;
    }
    let header = Header {
        version: crate::command::info::REDIS_VERSION,
        created_s: engine.clock.now_ms() / 1000,
        used_memory,
        is_base: what == What::Base,
        libraries: &libraries,
        sizes,
    };
    header.write(&mut bytes);
    bytes
}

/// Saves everything, while everybody waits.
pub(super) fn save_now(engine: &Engine, txn: &mut Txn<'_>) -> Result<(), String> {
    let watch = Stopwatch::start();
    // An older one is not to take its place.
    engine.durability.abandon(Kind::Save);
    let result = write_snapshot(engine, txn);
    let changes = txn.counters().changes;
    let outcome = Outcome { is_ok: result.is_ok(), seconds: watch.elapsed().as_secs() as i64 };
    match &result {
        Ok(bytes) => {
            tracing::info!("DB saved on disk: {bytes} bytes");
            note_success(engine, changes, outcome);
        }
        Err(problem) => tracing::error!("The snapshot was not saved: {problem}"),
    }
    result.map(drop)
}

fn write_snapshot(engine: &Engine, txn: &Txn<'_>) -> Result<u64, String> {
    let path = engine.snapshot_path()?;
    engine.hold_directory()?;
    let disk = &*engine.durability.disk;
    let manner = Manner::of(engine, Param::RdbSaveIncrementalFsync);
    let mut draft = Draft::create(disk, temporary(&path, ""), manner)?;
    let used = txn.all_figures().iter().map(|figures| figures.bytes).sum();
    draft.write(&header(engine, What::Snapshot, &txn.sizes(), used))?;
    txn.write_all(Form::Snapshot(engine.saved_usage()), |chunk| draft.write_chunk(chunk))?;
    draft.finish(What::Snapshot, &path)
}

/// A snapshot of what there was after so many changes has its name.
pub(super) fn note_success(engine: &Engine, changes: u64, outcome: Outcome) {
    let durability = &engine.durability;
    durability.last_save_s.store(engine.clock.now_ms() / 1000, Ordering::Relaxed);
    engine.bars.lower(Bar::Unsaved);
    let mut state = durability.state();
    state.saved_changes = changes;
    state.last_save = outcome;
}
