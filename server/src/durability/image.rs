//! What a server has, taken out of it in memory and put into another one, or back.

use std::io::Cursor;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::job::{self, Job, WAITING_PIECES};
use super::load::{Expired, Twice, read_snapshot};
use crate::command::args::Request;
use crate::engine::Engine;
use crate::journal::crc64::crc64;
use crate::journal::payload::dump;
use crate::journal::rdb::{self, Piece, trailer};
use crate::journal::window::Window;
use crate::keyspace::Txn;
use crate::value::number::format_integer;
use crate::value::string::LONGEST_INTEGER;

/// Everything that a server had in its databases at one moment, and its functions. A clone shares it.
#[derive(Clone)]
pub struct Snapshot {
    bytes: Bytes,
    keys: u64,
}

impl Snapshot {
    /// How many keys there are in all databases.
    pub const fn keys(&self) -> u64 {
        self.keys
    }

    /// It in the form of an RDB file, as Redis and Valkey load it.
    pub fn as_rdb(&self) -> &[u8] {
        &self.bytes
    }

    /// What an RDB file has in it. Whether it is one is found out when it is restored.
    pub fn from_rdb(bytes: impl Into<Bytes>) -> Self {
        Snapshot { bytes: bytes.into(), keys: 0 }
    }

    fn complete(mut bytes: Vec<u8>, keys: u64) -> Self {
        let checksum = crc64(0, &bytes);
        bytes.extend(trailer(|end| crc64(checksum, end)));
        Snapshot { bytes: bytes.into(), keys }
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// Takes a snapshot between requests, which go on being executed.
pub(crate) async fn take(engine: &Arc<Engine>) -> Snapshot {
    let job = begin(engine).await;
    let (pieces, taken) = mpsc::channel(WAITING_PIECES);
    let begun = job.header().to_vec();
    let gathered = spawn_blocking(move || gather(begun, taken));
    job::collect(engine, &job, pieces).await;
    let bytes = gathered.await.expect("nothing panics that writes to memory");
    engine.durability.end_job();
    Snapshot::complete(bytes, job.keys)
}

/// Writes down what is collected, behind the beginning.
fn gather(mut bytes: Vec<u8>, mut taken: mpsc::Receiver<Piece>) -> Vec<u8> {
    while let Some(piece) = taken.blocking_recv() {
        match piece {
            Piece::Bytes(piece) => bytes.extend_from_slice(&piece),
            Piece::Large(large) => large.write(&mut bytes),
        }
    }
    bytes
}

/// Begins a snapshot once there is no other, and no script is in the middle of something.
async fn begin(engine: &Arc<Engine>) -> Job {
    loop {
        let mut ended = pin!(engine.durability.ended.notified());
        ended.as_mut().enable();
        let begun = engine.with_all(|txn: &mut Txn<'_>| {
            let is_away = engine.scripts.running.is_away();
            (!is_away && !engine.durability.is_busy()).then(|| job::begin_image(engine, txn))
        });
        match begun {
            Some(job) => return job,
            None if engine.scripts.running.is_away() => engine.scripts.running.wait().await,
            None => ended.await,
        }
    }
}

/// Puts what a snapshot has in place of everything that is there, all at once. The error says what is wrong with it;
/// nothing is changed then.
pub(crate) fn restore(engine: &Engine, snapshot: &Snapshot) -> Result<(), String> {
    let window = || Window::new(Box::new(Cursor::new(snapshot.bytes.clone())));
    let read = rdb::read(&mut window(), &mut |_| Ok(()));
    read.map_err(|damage| format!("this is no snapshot that can be restored: {damage}"))?;
    engine.with_all(|txn: &mut Txn<'_>| {
        txn.flush_all();
        engine.forget_libraries();
        let load = || read_snapshot(engine, &mut window(), (Twice::Refused, Expired::Dropped));
        let loaded = engine.scripts.running.aside(txn, load);
        loaded.map_err(|damage| format!("the snapshot was restored in part only: {damage}"))?;
        if txn.has_log() {
            tell(engine, txn);
        }
        Ok(())
    })
}

/// Tells the log of everything that is there, in place of all that it knows.
fn tell(engine: &Engine, txn: &mut Txn<'_>) {
    txn.effect([&b"FLUSHALL"[..]].into_iter());
    txn.effect([&b"FUNCTION"[..], b"FLUSH"].into_iter());
    for code in engine.scripts.library_codes() {
        txn.effect([&b"FUNCTION"[..], b"LOAD", &code].into_iter());
    }
    for database in 0..engine.keyspace.databases() {
        txn.select(database);
        let mut requests = Vec::new();
        txn.for_each(|entry| {
            let mut room = [0; LONGEST_INTEGER];
            let deadline_ms = format_integer(entry.deadline_ms().unwrap_or(0), &mut room);
            let mut request = Request::default();
            for word in [&b"RESTORE"[..], entry.key(), deadline_ms, &dump(entry.value()), b"ABSTTL"]
            {
                request.push(word);
            }
            requests.push(request);
        });
        for request in &requests {
            txn.effect(request.args().iter());
        }
    }
}
