//! Measures for how long this process has not come to look at anything: so much later than it happened may it know of something.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{task::JoinHandle, time::sleep};

const TICK: Duration = Duration::from_millis(5);

/// A task that looks at the clock again and again.
pub(crate) struct Watch {
    stopped: Arc<AtomicBool>,
    task: JoinHandle<Duration>,
}

impl Watch {
    pub(crate) fn start() -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stopped);
        let task = tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            while !seen.load(Ordering::Relaxed) {
                let started = Instant::now();
                sleep(TICK).await;
                longest = longest.max(started.elapsed().saturating_sub(TICK));
            }
            longest
        });
        Self { stopped, task }
    }

    pub(crate) async fn stop(self) -> Duration {
        self.stopped.store(true, Ordering::Relaxed);
        self.task.await.unwrap_or_default()
    }
}
