//! How much is done for a figure: the full run and the quick one.

use std::time::Duration;

/// The sizes of all sections.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) name: &'static str,
    /// How often every server has its turn.
    pub(crate) rounds: usize,
    /// The most rounds of a section in which a round takes minutes.
    pub(crate) long_rounds: usize,
    /// The most rounds of a section in which everything takes seconds, as syncs are a second apart.
    pub(crate) synced_rounds: usize,
    /// The CPU time that redlet shall spend on a cell of the throughput tables.
    pub(crate) cell_cpu: Duration,
    /// How long a pace is kept up in the latency section.
    pub(crate) pace: Duration,
    /// How long messages and hand-offs go on for a figure.
    pub(crate) exchange: Duration,
    /// How long a load goes on where files are synced every second.
    pub(crate) synced_load: Duration,
    /// How long memory is watched after FLUSHALL.
    pub(crate) flush_watch: Duration,
    pub(crate) launches: usize,
    pub(crate) most_keys: u64,
    /// The keys that are saved and loaded.
    pub(crate) saved_keys: u64,
    /// The requests of a load at depth 16, where no trial tells how many a figure needs.
    pub(crate) load_requests: u64,
    /// How long latency is watched after many keys have expired.
    pub(crate) expiry_watch: Duration,
    /// From how many keys are drawn those that a full server may keep.
    pub(crate) eviction_keys: u64,
    /// How long a full server is given to learn which keys are asked for, and how long it is watched then.
    pub(crate) eviction_watch: Duration,
}

pub(crate) const FULL: Effort = Effort {
    name: "full",
    rounds: 5,
    long_rounds: 2,
    synced_rounds: 3,
    cell_cpu: Duration::from_millis(500),
    pace: Duration::from_secs(2),
    exchange: Duration::from_millis(700),
    synced_load: Duration::from_secs(2),
    flush_watch: Duration::from_secs(5),
    launches: 20,
    most_keys: 10_000_000,
    saved_keys: 1_000_000,
    load_requests: 500_000,
    expiry_watch: Duration::from_secs(5),
    eviction_keys: 200_000,
    eviction_watch: Duration::from_secs(20),
};

pub(crate) const QUICK: Effort = Effort {
    name: "quick",
    rounds: 1,
    long_rounds: 1,
    synced_rounds: 1,
    cell_cpu: Duration::from_millis(60),
    pace: Duration::from_millis(700),
    exchange: Duration::from_millis(150),
    synced_load: Duration::from_millis(1100),
    flush_watch: Duration::from_millis(500),
    launches: 5,
    most_keys: 1_000_000,
    saved_keys: 200_000,
    load_requests: 100_000,
    expiry_watch: Duration::from_secs(1),
    eviction_keys: 50_000,
    eviction_watch: Duration::from_secs(6),
};

impl Effort {
    pub(crate) fn with_rounds(self, rounds: usize) -> Self {
        Effort { rounds, ..self }
    }

    /// The rounds of a section in which a round takes minutes.
    pub(crate) fn few_rounds(&self) -> usize {
        self.rounds.min(self.long_rounds)
    }

    /// The rounds of a section in which everything takes seconds.
    pub(crate) fn some_rounds(&self) -> usize {
        self.rounds.min(self.synced_rounds)
    }
}
