//! A shard: its slice of every database, with the counters that belong to it.

use super::entry::Entry;
use super::table::Table;

#[derive(Debug)]
pub(super) struct Shard {
    pub(super) databases: Vec<Database>,
    pub(super) counters: Counters,
}

/// What happened in a shard since the counters were reset.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) expired: u64,
    /// Changes since the server started; never reset.
    pub(crate) changes: u64,
}

/// One database's entries in one shard.
#[derive(Debug, Default)]
pub(super) struct Database {
    table: Table,
    /// How many entries have a deadline.
    volatile: usize,
    /// The memory that the entries take.
    bytes: usize,
    /// Where the sweeper goes on.
    pub(super) sweep_cursor: u64,
}

impl Shard {
    pub(super) fn new(databases: usize) -> Self {
        let databases = (0..databases).map(|_| Database::default()).collect();
        Shard { databases, counters: Counters::default() }
    }
}

impl Database {
    pub(super) const fn table(&self) -> &Table {
        &self.table
    }

    pub(super) const fn volatile(&self) -> usize {
        self.volatile
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn get(&self, hash: u64, key: &[u8]) -> Option<&Entry> {
        self.table.get(hash, key)
    }

    pub(super) fn insert(&mut self, hash: u64, key: &[u8], entry: Entry) -> Option<Entry> {
        self.volatile += usize::from(entry.deadline_ms().is_some());
        self.bytes += entry.memory(key.len());
        let replaced = self.table.insert(hash, key, entry);
        if let Some(replaced) = &replaced {
            self.forget(key, replaced);
        }
        replaced
    }

    pub(super) fn remove(&mut self, hash: u64, key: &[u8]) -> Option<Entry> {
        let removed = self.table.remove(hash, key)?;
        self.forget(key, &removed);
        Some(removed)
    }

    /// Changes an entry in place; the counters follow whatever it became.
    pub(super) fn change<R>(
        &mut self,
        hash: u64,
        key: &[u8],
        change: impl FnOnce(&mut Entry) -> R,
    ) -> Option<R> {
        let entry = self.table.get_mut(hash, key)?;
        let before = (entry.memory(key.len()), usize::from(entry.deadline_ms().is_some()));
        let result = change(entry);
        let after = (entry.memory(key.len()), usize::from(entry.deadline_ms().is_some()));
        self.bytes = self.bytes + after.0 - before.0;
        self.volatile = self.volatile + after.1 - before.1;
        Some(result)
    }

    /// For changes that leave size and deadline as they are.
    pub(super) fn get_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut Entry> {
        self.table.get_mut(hash, key)
    }

    fn forget(&mut self, key: &[u8], entry: &Entry) {
        self.volatile -= usize::from(entry.deadline_ms().is_some());
        self.bytes -= entry.memory(key.len());
    }
}
