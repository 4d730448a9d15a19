//! What must be there after an end: every connection's acknowledgements, what others have seen of it, and what was promised.

use std::time::{Duration, Instant};

use crate::plan::{Keeping, Way};

/// How much `everysec` may lose.
const ONE_SECOND: Duration = Duration::from_secs(1);

/// How a life ended.
pub(crate) struct End {
    pub(crate) keeping: Keeping,
    pub(crate) way: Way,
    pub(crate) at: Instant,
    /// For so long this process may not have noticed what happened.
    pub(crate) stall: Duration,
    /// The last snapshot that was acknowledged has all that was acknowledged before this moment.
    pub(crate) saved: Option<Instant>,
}

impl End {
    /// The way and the policy, under which the report has what was lost.
    pub(crate) fn name(&self) -> &'static str {
        match (self.way, self.keeping) {
            (Way::Stop, _) => "SIGTERM",
            (Way::Kill, Keeping::Always) => "kill, always",
            (Way::Kill, Keeping::EverySecond) => "kill, everysec",
            (Way::Kill, Keeping::No) => "kill, no",
            (Way::Kill, Keeping::Snapshots) => "kill, snapshots",
        }
    }

    /// Whether what was known at this moment must be there.
    fn covers(&self, known: Instant) -> bool {
        match (self.way, self.keeping) {
            (Way::Stop, _) | (_, Keeping::Always) => true,
            (Way::Kill, Keeping::EverySecond) => known + ONE_SECOND + self.stall < self.at,
            (Way::Kill, Keeping::No) => false,
            (Way::Kill, Keeping::Snapshots) => self.saved.is_some_and(|saved| known < saved),
        }
    }
}

/// What is known of a sequence of operations, which are numbered from 1 on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    /// The last that may have been executed.
    pub(crate) sent: u64,
    /// When it was known that all up to a number were executed.
    known: Vec<(Instant, u64)>,
    acknowledged: usize,
    /// The last that stands in a file.
    written: Option<u64>,
}

impl Log {
    /// The sequence goes on after an operation that is there.
    pub(crate) fn after(number: u64) -> Self {
        Self { sent: number, ..Self::default() }
    }

    /// Notes that the operation of this number was acknowledged.
    pub(crate) fn know(&mut self, number: u64) {
        self.acknowledged += 1;
        self.see(Instant::now(), number);
    }

    /// Notes that somebody has seen what the operation of this number did.
    pub(crate) fn see(&mut self, moment: Instant, number: u64) {
        self.known.push((moment, number));
    }

    /// Notes that the operation of this number stands in a file.
    pub(crate) fn find_written(&mut self, number: u64) {
        self.written = self.written.max(Some(number));
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged
    }

    /// What is there after an end is there for good: it was loaded from where it must be.
    pub(crate) fn settle(&mut self, last: u64) {
        *self = Self::after(last);
    }

    /// The last that is known to have been executed, if any in this life was.
    pub(crate) fn known(&self) -> Option<u64> {
        self.known.iter().map(|(_, number)| *number).max()
    }

    /// The last that must be there, if any of this life must.
    pub(crate) fn certain(&self, end: &End) -> Option<u64> {
        let covered = self.known.iter().filter(|(moment, _)| end.covers(*moment));
        covered.map(|(_, number)| *number).max().max(self.written)
    }

    /// What is lost if this is the last that is there.
    pub(crate) fn loss(&self, last: u64, end: &End) -> Loss {
        let gone = self.known.iter().filter(|(_, number)| *number > last);
        let first = gone.map(|(moment, _)| *moment).min();
        Loss {
            operations: self.known().unwrap_or(last).saturating_sub(last),
            age: first.map_or(Duration::ZERO, |first| end.at.saturating_duration_since(first)),
        }
    }
}

/// Operations that were known and are gone, where they may be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Loss {
    pub(crate) operations: u64,
    /// For so long the first of them had been known.
    pub(crate) age: Duration,
}

impl Loss {
    pub(crate) fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.age = self.age.max(other.age);
    }
}
