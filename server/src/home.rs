//! On which kind of thread requests are executed, and what that means for one that takes long.

use std::sync::mpsc;
use std::time::Duration;

use tokio::task::{block_in_place, spawn_blocking};

/// On what kind of thread a client's requests are executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// One of several of a runtime, which can put another in its place.
    Worker,
    /// The only one of its runtime, or one that is somebody else's: it may not be kept long.
    Alone,
    /// One that may be kept as long as it takes.
    Spare,
}

impl Home {
    /// How long at most it is waited for another thread, and how long it then has to take over.
    const HANDOVER: [Duration; 2] = [Duration::from_millis(100), Duration::from_micros(200)];

    /// Lets another thread go on with what this one does beside the present request.
    ///
    /// The runtime puts a thread in the place of one that says it blocks, unless that one is back before. So
    /// it stays away until the threads that wait for work have got to what was given them after that, and
    /// finds out that it has lost its place when it comes back from the request.
    pub(crate) fn make_way(self) {
        if self != Home::Worker {
            return;
        }
        let [longest, moment] = Self::HANDOVER;
        block_in_place(|| {
            let (begun, has_begun) = mpsc::channel();
            spawn_blocking(move || begun.send(()));
            let _ = has_begun.recv_timeout(longest);
            std::thread::sleep(moment);
        });
    }
}
