//! `CLIENT PAUSE`: holding back requests for a while.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::Notify;

use crate::clock::Clock;

/// Which requests are held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Held {
    Writes,
    All,
}

#[derive(Debug, Default)]
pub(crate) struct Pause {
    /// The later of the two deadlines; looked at before each request.
    until_ms: AtomicI64,
    /// Until when writes, and until when all requests are held back.
    deadlines: Mutex<[i64; 2]>,
    ended: Notify,
}

impl Pause {
    /// Holds requests back until then, and no shorter than was asked before.
    pub(crate) fn hold(&self, held: Held, until_ms: i64) {
        let mut deadlines = self.deadlines.lock().expect("nothing panics while it pauses");
        let deadline = &mut deadlines[held as usize];
        *deadline = until_ms.max(*deadline);
        self.until_ms.fetch_max(until_ms, Ordering::SeqCst);
    }

    pub(crate) fn end(&self) {
        *self.deadlines.lock().expect("nothing panics while it pauses") = [0; 2];
        self.until_ms.store(0, Ordering::SeqCst);
        self.ended.notify_waiters();
    }

    /// Whether anything may be held back; costs nothing when nothing is.
    pub(crate) fn is_on(&self) -> bool {
        self.until_ms.load(Ordering::Relaxed) != 0
    }

    pub(crate) fn holds(&self, is_write: bool, now_ms: i64) -> bool {
        let deadlines = self.deadlines.lock().expect("nothing panics while it pauses");
        let [writes, all] = *deadlines;
        // Still under the lock: a pause that begins meanwhile must not be forgotten.
        if writes.max(all) <= now_ms {
            self.until_ms.store(0, Ordering::SeqCst);
        }
        all > now_ms || (is_write && writes > now_ms)
    }

    /// Returns when the pause has ended or its time is over.
    pub(crate) async fn wait(&self, clock: &Clock) {
        let ended = self.ended.notified();
        let mut ended = std::pin::pin!(ended);
        ended.as_mut().enable();
        let remaining_ms = self.until_ms.load(Ordering::SeqCst).saturating_sub(clock.now_ms());
        let Some(remaining_ms) = u64::try_from(remaining_ms).ok().filter(|&ms| ms > 0) else {
            return;
        };
        tokio::select! {
            () = ended => {}
            () = clock.sleep(std::time::Duration::from_millis(remaining_ms)) => {}
        }
    }
}
