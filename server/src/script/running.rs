//! The script that runs too long to keep others waiting: what it is, and who waits for its end.
//!
//! A script holds all shards. When it has had its time slice it lets go of them and is *away*: from then
//! on nobody else executes a request that has to do with keys, although the shards are free. Whoever holds a
//! shard and sees that a script is away lets go of it again and waits here instead, so that no thread stands still.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::clock::Stopwatch;
use crate::error::Error;
use crate::keyspace::Txn;

/// No script is away.
const NONE: u8 = 0;
const AWAY: u8 = 1;
/// It has taken so long that others are told instead of waiting.
const LATE: u8 = 2;

#[derive(Debug, Default)]
pub(crate) struct Running {
    phase: AtomicU8,
    current: Mutex<Option<Current>>,
    is_killed: AtomicBool,
    changed: Notify,
}

/// The script that is away.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    /// The request that runs it.
    pub(crate) request: Vec<Vec<u8>>,
    /// The name of the function, if it is one.
    pub(crate) function: Option<Vec<u8>>,
    pub(crate) since: Stopwatch,
    /// Whether it has written anything, so that it may not be ended in the middle.
    pub(crate) has_written: bool,
}

/// Why a script cannot be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unkillable {
    NoneRuns,
    HasWritten,
    /// One is asked to end a script and there is a function, or the other way round.
    OfAnotherKind,
}

impl Running {
    pub(crate) fn is_away(&self) -> bool {
        self.phase.load(Ordering::Relaxed) != NONE
    }

    /// Whether others are told that a script is busy.
    pub(crate) fn is_late(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == LATE
    }

    /// The script leaves the shards to others, who will not touch anything. It holds all shards now.
    pub(super) fn go_away(&self, current: Current) {
        *self.current() = Some(current);
        self.is_killed.store(false, Ordering::Relaxed);
        self.phase.store(AWAY, Ordering::Relaxed);
    }

    /// The same for what has its own time limit and cannot be ended from outside.
    fn step_aside(&self) {
        self.phase.store(AWAY, Ordering::Relaxed);
    }

    pub(super) fn be_late(&self) {
        self.phase.store(LATE, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Whether the script may execute a command. One that writes makes sure that it is not killed afterwards.
    pub(super) fn goes_on(&self, writes: bool) -> bool {
        let mut current = self.current();
        let is_killed = self.is_killed();
        if let Some(current) = &mut *current {
            current.has_written |= writes && !is_killed;
        }
        !is_killed
    }

    /// The script has ended; it holds all shards again.
    pub(super) fn come_back(&self) {
        *self.current() = None;
        self.phase.store(NONE, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Has the script end before its next instruction.
    pub(crate) fn kill(&self, is_function: bool) -> Result<(), Unkillable> {
        let current = self.current();
        let running = current.as_ref().ok_or(Unkillable::NoneRuns)?;
        if running.has_written {
            return Err(Unkillable::HasWritten);
        }
        if running.function.is_some() != is_function {
            return Err(Unkillable::OfAnotherKind);
        }
        self.is_killed.store(true, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn is_killed(&self) -> bool {
        self.is_killed.load(Ordering::Relaxed)
    }

    /// What runs, if it has been running for long.
    pub(crate) fn shown(&self) -> Option<Current> {
        self.current().clone()
    }

    /// What is replied to everybody else when it is late.
    pub(crate) fn busy(&self) -> Error {
        let is_function = self.current().as_ref().is_some_and(|current| current.function.is_some());
        Error::coded(if is_function {
            "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
        } else {
            "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
        })
    }

    /// Returns when no script is away any more, or when it is late.
    pub(crate) async fn wait(&self) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.phase.load(Ordering::SeqCst) != AWAY {
                return;
            }
            changed.await;
        }
    }

    /// Does something that takes its time, with the shards let go and nobody else at them.
    pub(crate) fn aside<T>(&self, txn: &mut Txn<'_>, act: impl FnOnce() -> T) -> T {
        self.step_aside();
        txn.let_go();
        let result = act();
        txn.hold_again();
        self.come_back();
        result
    }

    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().expect("nothing panics while it looks at the script that runs")
    }
}
