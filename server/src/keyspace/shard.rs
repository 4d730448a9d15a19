//! A shard: its slice of every database, with the counters that belong to it.

use super::entry::{Content, Entry};
use super::table::{KeyHasher, Position, Table};
use super::usage::Usage;

/// Lines of memory are its own: whoever locks one shard does not slow down who locks the next.
#[derive(Debug)]
#[repr(align(64))]
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
#[derive(Debug)]
pub(super) struct Database {
    table: Table<Entry>,
    /// How many entries have a deadline.
    volatile: usize,
    /// The memory that the entries take.
    bytes: usize,
    /// Where the sweeper looked last.
    pub(super) sweep_at: u32,
}

impl Shard {
    pub(super) fn new(databases: usize, hasher: &KeyHasher) -> Self {
        let databases = (0..databases).map(|_| Database::new(hasher)).collect();
        Shard { databases, counters: Counters::default() }
    }
}

impl Database {
    pub(super) fn new(hasher: &KeyHasher) -> Self {
        Database { table: Table::new(hasher.clone()), volatile: 0, bytes: 0, sweep_at: 0 }
    }

    pub(super) const fn table(&self) -> &Table<Entry> {
        &self.table
    }

    pub(super) const fn volatile(&self) -> usize {
        self.volatile
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Goes on with a change of the table's size; whether there is more to do.
    pub(super) fn tidy(&mut self) -> bool {
        self.table.len() > 0 && self.table.tidy()
    }

    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<(Position, &Entry)> {
        self.table.find(hash, key)
    }

    pub(super) fn get(&self, position: Position) -> &Entry {
        self.table.get(position)
    }

    /// For changes that leave size and deadline as they are.
    pub(super) fn get_mut(&mut self, position: Position) -> &mut Entry {
        self.table.get_mut(position)
    }

    /// Adds an entry whose key is not there.
    pub(super) fn insert(&mut self, hash: u64, entry: Entry) {
        let (volatile, bytes) = figures(&entry);
        self.volatile += volatile;
        self.bytes += bytes;
        self.table.insert(hash, entry);
    }

    /// Replaces what an entry holds, in place if there is exactly the room.
    pub(super) fn replace(
        &mut self,
        position: Position,
        content: Content<'_>,
        deadline_ms: Option<i64>,
        usage: Usage,
    ) {
        let entry = self.table.get_mut(position);
        if let Err(content) = entry.overwrite(content, deadline_ms, usage) {
            self.change(position, |entry| entry.put(content, deadline_ms, usage));
        }
    }

    pub(super) fn remove(&mut self, hash: u64, position: Position) -> Entry {
        let removed = self.table.remove(hash, position);
        let (volatile, bytes) = figures(&removed);
        self.volatile -= volatile;
        self.bytes -= bytes;
        removed
    }

    /// Changes an entry; the counters follow whatever it became.
    pub(super) fn change<R>(
        &mut self,
        position: Position,
        change: impl FnOnce(&mut Entry) -> R,
    ) -> R {
        let before = figures(self.table.get(position));
        let result = self.table.change(position, change);
        let after = figures(self.table.get(position));
        self.volatile = self.volatile + after.0 - before.0;
        self.bytes = self.bytes + after.1 - before.1;
        result
    }
}

/// What an entry adds to the number of those with a deadline, and to the memory they all take.
fn figures(entry: &Entry) -> (usize, usize) {
    (usize::from(entry.deadline_ms().is_some()), entry.memory())
}
