//! What is stored under a key: the value, its deadline, and when it was last used.

use crate::value::{Compact, Value};

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    /// When it expires, in milliseconds since 1970.
    deadline_ms: Option<i64>,
    usage: Usage,
}

/// How recently an entry was used and how often, for `OBJECT` and for eviction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// In milliseconds since 1970.
    pub(crate) used_ms: i64,
    /// Counts uses on a logarithmic scale.
    pub(crate) frequency: u8,
}

impl Usage {
    /// What a new entry starts with, so that it is not the first to go.
    const FIRST_FREQUENCY: u8 = 5;

    pub(crate) const fn fresh(now_ms: i64) -> Self {
        Usage { used_ms: now_ms, frequency: Self::FIRST_FREQUENCY }
    }

    /// Once more used; how often is only kept account of where somebody asks for it.
    pub(super) fn again(self, now_ms: i64, counting: Option<Counting>) -> Self {
        let frequency = counting.map_or(self.frequency, |counting| {
            counting.incremented(counting.decayed(self, now_ms))
        });
        Usage { used_ms: now_ms, frequency }
    }
}

/// How uses are counted: the more there were, the less likely one more counts, and counts fade
/// with time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counting {
    pub(crate) log_factor: i64,
    /// After so many minutes without a use the count falls by one; 0 keeps it.
    pub(crate) decay_minutes: i64,
    /// Drawn anew for each request.
    pub(crate) chance: u64,
}

impl Counting {
    pub(crate) fn decayed(self, usage: Usage, now_ms: i64) -> u8 {
        let idle_minutes = (now_ms - usage.used_ms).max(0) / 60_000;
        let periods = idle_minutes.checked_div(self.decay_minutes).unwrap_or(0);
        usage.frequency.saturating_sub(u8::try_from(periods).unwrap_or(u8::MAX))
    }

    fn incremented(self, frequency: u8) -> u8 {
        let above = i64::from(frequency.saturating_sub(Usage::FIRST_FREQUENCY));
        let one_in = above.saturating_mul(self.log_factor).saturating_add(1);
        let counts = (u128::from(self.chance) * one_in as u128) >> 64 == 0;
        frequency.saturating_add(u8::from(counts))
    }
}

impl Entry {
    pub(super) const fn new(value: Value, deadline_ms: Option<i64>, now_ms: i64) -> Self {
        Entry { value, deadline_ms, usage: Usage::fresh(now_ms) }
    }

    pub(crate) const fn deadline_ms(&self) -> Option<i64> {
        self.deadline_ms
    }

    pub(super) const fn set_deadline_ms(&mut self, deadline_ms: Option<i64>) {
        self.deadline_ms = deadline_ms;
    }

    pub(crate) fn is_expired(&self, now_ms: i64) -> bool {
        self.deadline_ms.is_some_and(|deadline_ms| deadline_ms <= now_ms)
    }

    pub(crate) const fn usage(&self) -> Usage {
        self.usage
    }

    pub(crate) const fn set_usage(&mut self, usage: Usage) {
        self.usage = usage;
    }

    /// The memory it takes with a key of this length.
    pub(crate) fn memory(&self, key_length: usize) -> usize {
        const SLOT: usize = size_of::<Entry>() + size_of::<u64>() + size_of::<Compact>();
        const REST: usize = size_of::<Vec<()>>();
        SLOT + REST + Compact::heap_bytes(key_length) + self.value.heap_bytes()
    }
}
