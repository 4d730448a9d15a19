//! The end of the log, in memory: what is to be written next, and how far it has been written.
//!
//! Whoever executes commands adds to it and goes on; one thread takes everything that has come together and brings it to
//! the disk at once. A position is the number of bytes since the server started. Files are not known here.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::effects::{Effects, write_select};

#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Whether effects are told. It changes only while all shards are held.
    is_on: AtomicBool,
    /// Whether nothing may be said that is not on disk.
    is_strict: AtomicBool,
    /// Whether nothing may be said at all, because it would be in no file.
    is_sealed: AtomicBool,
    tail: Mutex<Tail>,
    /// There is something to write for who waits for it.
    filled: Condvar,
    appended: AtomicU64,
    durable: AtomicU64,
    waiting: Mutex<Vec<(u64, Waker)>>,
    /// A task that wakes those who wait, once it is woken itself.
    relay: Mutex<Option<Waker>>,
    advanced: Condvar,
}

#[derive(Debug, Default)]
struct Tail {
    pieces: Vec<Piece>,
    /// Room to be used again.
    spare: Vec<u8>,
    /// What the next effect's database is compared with.
    database: Option<usize>,
    turns: u64,
    /// Whether the writer waits to be woken.
    is_awaited: bool,
    wish: Wish,
    is_closed: bool,
}

/// What the writer is to do even if there is nothing to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    #[default]
    Nothing,
    /// Something else has changed.
    LookAround,
    /// Somebody waits until all of it is on the disk.
    Sync,
}

/// What the writer is given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Bytes(Vec<u8>),
    /// What follows belongs into the next file; how many turns there were with this one.
    Turn(u64),
}

/// What has come together.
pub(crate) struct Batch {
    pub(crate) pieces: Vec<Piece>,
    /// The position at its end.
    pub(crate) end: u64,
    pub(crate) is_urgent: bool,
    pub(crate) is_last: bool,
}

impl Log {
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    pub(crate) fn turn_on(&self, is_on: bool) {
        self.is_on.store(is_on, Ordering::SeqCst);
    }

    /// Whether replies wait until what they tell of is on disk.
    pub(crate) fn is_strict(&self) -> bool {
        self.is_strict.load(Ordering::Relaxed)
    }

    pub(crate) fn be_strict(&self, is_strict: bool) {
        self.is_strict.store(is_strict, Ordering::SeqCst);
        if !is_strict {
            self.release();
        }
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.is_sealed.load(Ordering::Relaxed)
    }

    /// From here on no reply leaves the server.
    pub(crate) fn seal(&self) {
        self.is_sealed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn unseal(&self) {
        self.is_sealed.store(false, Ordering::SeqCst);
        self.release();
    }

    /// Wakes all who wait: there is no more to wait for.
    pub(crate) fn release(&self) {
        let waiting = mem::take(&mut *self.waiting());
        self.advanced.notify_all();
        for (_, waker) in waiting {
            waker.wake();
        }
    }

    pub(crate) fn append(&self, effects: &mut Effects) {
        effects.end_unit();
        let Some(segment) = effects.segment() else {
            return;
        };
        let mut tail = self.tail();
        let before = tail.length();
        if tail.database != Some(segment.first_database) {
            write_select(tail.bytes(), segment.first_database);
        }
        tail.bytes().extend_from_slice(segment.bytes);
        tail.database = Some(segment.last_database);
        let added = tail.length() - before;
        self.appended.fetch_add(added as u64, Ordering::SeqCst);
        let is_awaited = mem::take(&mut tail.is_awaited);
        drop(tail);
        effects.clear();
        if is_awaited {
            self.filled.notify_one();
        }
    }

    /// Has the writer see that something else has changed.
    pub(crate) fn nudge(&self) {
        self.wish(Wish::LookAround);
    }

    /// What is added from here on belongs into the next file. The number of this turn.
    pub(crate) fn turn(&self) -> u64 {
        let mut tail = self.tail();
        tail.turns += 1;
        let number = tail.turns;
        tail.pieces.push(Piece::Turn(number));
        tail.database = None;
        tail.is_awaited = false;
        drop(tail);
        self.filled.notify_one();
        number
    }

    /// Begins anew with somebody who writes.
    pub(crate) fn open(&self) {
        let mut tail = self.tail();
        tail.is_closed = false;
        tail.database = None;
        tail.pieces.clear();
    }

    /// Nothing more comes.
    pub(crate) fn close(&self) {
        self.tail().is_closed = true;
        self.filled.notify_one();
    }

    /// Has everything that has been added brought to the disk, and returns once it is there, or nobody can say any more.
    pub(crate) fn flush(&self, goes_on: impl Fn() -> bool) {
        if self.is_on() {
            self.wish(Wish::Sync);
            self.wait_written(self.appended(), goes_on);
        }
    }

    /// Whether everything that has been added is on the disk.
    pub(crate) fn is_flushed(&self) -> bool {
        self.durable.load(Ordering::SeqCst) >= self.appended()
    }

    /// The position of all that has been added.
    pub(crate) fn appended(&self) -> u64 {
        self.appended.load(Ordering::SeqCst)
    }

    /// How much waits to be written.
    pub(crate) fn pending(&self) -> usize {
        self.tail().length()
    }

    /// Takes what there is to write, once there is something or time is over.
    pub(crate) fn take(&self, wait: Option<Duration>) -> Batch {
        let mut tail = self.tail();
        if tail.pieces.is_empty()
            && !tail.is_closed
            && tail.wish == Wish::Nothing
            && wait != Some(Duration::ZERO)
        {
            tail.is_awaited = true;
            tail = match wait {
                None => self.filled.wait(tail).expect(NOBODY_PANICS),
                Some(wait) => self.filled.wait_timeout(tail, wait).expect(NOBODY_PANICS).0,
            };
            tail.is_awaited = false;
        }
        Batch {
            pieces: mem::take(&mut tail.pieces),
            end: self.appended(),
            is_urgent: mem::take(&mut tail.wish) == Wish::Sync,
            is_last: tail.is_closed,
        }
    }

    /// Gives an emptied piece back to be filled again.
    pub(crate) fn recycle(&self, mut bytes: Vec<u8>) {
        const USUAL: usize = 1 << 20;
        if bytes.capacity() <= USUAL {
            bytes.clear();
            self.tail().spare = bytes;
        }
    }

    /// Everything up to a position is on disk.
    pub(crate) fn reach(&self, position: u64) {
        self.durable.store(position, Ordering::SeqCst);
        drop(self.waiting());
        self.advanced.notify_all();
        let relay = self.relay.lock().expect(NOBODY_PANICS).take();
        match relay {
            Some(relay) => relay.wake(),
            None => self.wake_reached(),
        }
    }

    /// Wakes those whose positions are on disk, whenever there are more, and never ends.
    ///
    /// It is for a task of the runtime that the others are in: they are woken by one of its own threads then. From
    /// another thread each of them would cost a call of the system, and maybe the processor.
    pub(crate) fn relay(&self, context: &Context<'_>) -> Poll<()> {
        *self.relay.lock().expect(NOBODY_PANICS) = Some(context.waker().clone());
        self.wake_reached();
        Poll::Pending
    }

    fn wake_reached(&self) {
        let position = self.durable.load(Ordering::SeqCst);
        let reached: Vec<Waker> = {
            let mut waiting = self.waiting();
            let reached = waiting.extract_if(.., |(wanted, _)| *wanted <= position);
            reached.map(|(_, waker)| waker).collect()
        };
        reached.into_iter().for_each(Waker::wake);
    }

    /// Whether what happened up to a position may be told; if not, the task is woken once it is.
    pub(crate) fn poll_durable(&self, position: u64, context: &Context<'_>) -> Poll<()> {
        let is_written = || self.durable.load(Ordering::SeqCst) >= position;
        let is_there = || !self.is_sealed() && (!self.is_strict() || is_written());
        if is_there() {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting();
        // Who has come meanwhile does not find this one in the list.
        if is_there() {
            return Poll::Ready(());
        }
        let waker = context.waker();
        if !waiting.iter().any(|(wanted, known)| *wanted == position && known.will_wake(waker)) {
            waiting.push((position, waker.clone()));
        }
        Poll::Pending
    }

    /// Returns once everything up to a position is on disk, or nobody can say any more.
    pub(crate) fn wait_durable(&self, position: u64, goes_on: impl Fn() -> bool) {
        self.wait_written(position, || self.is_strict() && goes_on());
    }

    fn wait_written(&self, position: u64, goes_on: impl Fn() -> bool) {
        const LOOK_AGAIN: Duration = Duration::from_millis(50);
        let mut waiting = self.waiting();
        while self.durable.load(Ordering::SeqCst) < position && goes_on() {
            waiting = self.advanced.wait_timeout(waiting, LOOK_AGAIN).expect(NOBODY_PANICS).0;
        }
    }

    /// Whether all that has been added was taken, and whoever takes it waits for more.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        let tail = self.tail();
        tail.pieces.is_empty() && tail.is_awaited
    }

    /// The position up to which everything is on disk.
    #[cfg(test)]
    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::SeqCst)
    }

    /// How many tasks wait.
    pub(crate) fn count_waiting(&self) -> usize {
        self.waiting().len()
    }

    fn wish(&self, wish: Wish) {
        let mut tail = self.tail();
        tail.wish = tail.wish.max(wish);
        drop(tail);
        self.filled.notify_one();
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().expect(NOBODY_PANICS)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<(u64, Waker)>> {
        self.waiting.lock().expect(NOBODY_PANICS)
    }
}

const NOBODY_PANICS: &str = "nothing panics while it holds the end of the log";

impl Tail {
    fn bytes(&mut self) -> &mut Vec<u8> {
        if !matches!(self.pieces.last(), Some(Piece::Bytes(_))) {
            let spare = mem::take(&mut self.spare);
            self.pieces.push(Piece::Bytes(spare));
        }
        match self.pieces.last_mut() {
            Some(Piece::Bytes(bytes)) => bytes,
            _ => unreachable!("it was added above"),
        }
    }

    fn length(&self) -> usize {
        let bytes = |piece: &Piece| if let Piece::Bytes(bytes) = piece { bytes.len() } else { 0 };
        self.pieces.iter().map(bytes).sum()
    }
}
