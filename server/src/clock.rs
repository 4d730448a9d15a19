//! Time, for everything in a server: the system's, or one moved by hand.
//!
//! TTLs, `TIME`, idle times and every wait go through the server's clock, so that a manual one
//! moves them all together and nothing has to sleep in a test.
#![allow(clippy::disallowed_methods, reason = "this module is where time comes from")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

/// A server's source of time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { started: Instant },
    Manual(Arc<Manual>),
}

#[derive(Debug)]
struct Manual {
    now_us: AtomicI64,
    moved: Notify,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Clock(Source::System { started: Instant::now() })
    }

    /// A clock that stands still until it is moved. It begins at the present time.
    pub fn manual() -> Self {
        Self::manual_at(SystemTime::now())
    }

    /// A clock that stands still at `start` until it is moved.
    pub fn manual_at(start: SystemTime) -> Self {
        let now_us = AtomicI64::new(since_epoch_us(start));
        Clock(Source::Manual(Arc::new(Manual { now_us, moved: Notify::new() })))
    }

    /// Moves a manual clock forward; keys expire and waits end as if the time had passed.
    ///
    /// # Panics
    /// Panics on the system's clock, which cannot be moved.
    pub fn advance(&self, by: Duration) {
        let Source::Manual(manual) = &self.0 else {
            panic!("only a manual clock can be moved: start the server with Clock::manual()");
        };
        let by_us = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        let later = |now_us: i64| Some(now_us.saturating_add(by_us));
        let _ = manual.now_us.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
        manual.moved.notify_waiters();
    }

    /// Microseconds since 1970.
    pub fn now_us(&self) -> i64 {
        match &self.0 {
            Source::System { .. } => since_epoch_us(SystemTime::now()),
            Source::Manual(manual) => manual.now_us.load(Ordering::SeqCst),
        }
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.now_us() / 1000
    }

    /// Nanoseconds that never go back, to measure durations with.
    pub(crate) fn monotonic_ns(&self) -> i64 {
        match &self.0 {
            Source::System { started } => {
                let passed = started.elapsed();
                passed.as_secs() as i64 * 1_000_000_000 + i64::from(passed.subsec_nanos())
            }
            Source::Manual(manual) => manual.now_us.load(Ordering::SeqCst).saturating_mul(1000),
        }
    }

    /// Returns once this clock has gone on by `duration`.
    pub(crate) async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Source::System { .. } => tokio::time::sleep(duration).await,
            Source::Manual(manual) => {
                let duration_us = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
                manual.reach(self.now_us().saturating_add(duration_us)).await;
            }
        }
    }

    /// Returns once this clock shows that time, in milliseconds since 1970.
    pub(crate) async fn sleep_until(&self, deadline_ms: i64) {
        match &self.0 {
            Source::System { .. } => {
                let remaining_us = deadline_ms.saturating_mul(1000).saturating_sub(self.now_us());
                let remaining_us = u64::try_from(remaining_us).unwrap_or(0);
                tokio::time::sleep(Duration::from_micros(remaining_us)).await;
            }
            Source::Manual(manual) => manual.reach(deadline_ms.saturating_mul(1000)).await,
        }
    }
}

/// Measures how long something really keeps a thread, whatever the server's clock says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Stopwatch(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// The present as a run of requests knows it: the wall's time is read once for all of them, and
/// goes on by what their durations add up to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    wall_us: i64,
    monotonic_ns: i64,
    /// When the wall's time was read.
    read_ns: i64,
}

impl Moment {
    pub(crate) fn now(clock: &Clock) -> Self {
        let monotonic_ns = clock.monotonic_ns();
        Moment { wall_us: clock.now_us(), monotonic_ns, read_ns: monotonic_ns }
    }

    /// Becomes the present. The wall's time is read again if that was not just now.
    pub(crate) fn renew(&mut self, clock: &Clock) {
        const JUST_NOW_NS: i64 = 1_000_000;
        self.advance(clock);
        if self.monotonic_ns - self.read_ns >= JUST_NOW_NS {
            *self = Moment::now(clock);
        }
    }

    /// Goes on to the present, and gives the nanoseconds that have passed.
    pub(crate) fn advance(&mut self, clock: &Clock) -> u64 {
        let monotonic_ns = clock.monotonic_ns();
        let passed = (monotonic_ns - self.monotonic_ns).max(0);
        self.wall_us += monotonic_ns / 1000 - self.monotonic_ns / 1000;
        self.monotonic_ns = monotonic_ns;
        passed as u64
    }

    pub(crate) const fn now_us(&self) -> i64 {
        self.wall_us
    }

    pub(crate) const fn now_ms(&self) -> i64 {
        self.wall_us / 1000
    }
}

impl Manual {
    async fn reach(&self, deadline_us: i64) {
        loop {
            let moved = self.moved.notified();
            let mut moved = std::pin::pin!(moved);
            moved.as_mut().enable();
            if self.now_us.load(Ordering::SeqCst) >= deadline_us {
                return;
            }
            moved.await;
        }
    }
}

fn since_epoch_us(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
