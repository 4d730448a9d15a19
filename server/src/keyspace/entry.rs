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
