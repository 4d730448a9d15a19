//! A shard: its slice of every database, with the counters that belong to it.

use super::entries::Entries;
use super::entry::{Draft, Entry, Kept};
use super::snapshot::Walk;
use super::usage::Usage;
use super::waiting::Waiting;
use super::watching::Watches;
use crate::storage::{Found, Handle, KeyHasher, Table};
use crate::value::Value;

#[derive(Debug)]
pub(super) struct Shard {
    /// Up to the last one that was ever turned to.
    databases: Box<[Database]>,
    pub(super) counters: Counters,
    /// Who waits for keys or watches them, if anybody does.
    pub(super) interest: Option<Box<Interest>>,
}

/// What a shard has for one database.
pub(super) struct Parts<'s> {
    pub(super) database: &'s mut Database,
    pub(super) counters: &'s mut Counters,
    pub(super) interest: Option<&'s Interest>,
}

/// What others want of keys.
#[derive(Debug, Default)]
pub(super) struct Interest {
    pub(super) waiting: Waiting,
    pub(super) watches: Watches,
}

/// What happened in a shard since the counters were reset.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) expired: u64,
    /// What commands changed since the server started; never reset.
    pub(crate) changes: u64,
}

impl Counters {
    const NONE: Counters = Counters { hits: 0, misses: 0, expired: 0, changes: 0 };
}

/// One database's entries in one shard.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) table: Table,
    pub(super) entries: Entries,
    /// How many entries have a deadline.
    volatile: usize,
    /// The memory that the entries take.
    pub(super) bytes: usize,
    /// Where the sweeper looked last.
    pub(super) sweep_at: u32,
    /// Where a snapshot is that is not through yet.
    pub(super) walk: Option<Box<Walk>>,
}

impl Shard {
    pub(super) fn new() -> Self {
        Shard { databases: Box::default(), counters: Counters::NONE, interest: None }
    }

    /// A database, if there may be something in it.
    pub(super) fn database(&self, index: usize) -> Option<&Database> {
        self.databases.get(index)
    }

    pub(super) fn database_mut(&mut self, index: usize, hasher: &KeyHasher) -> &mut Database {
        if index >= self.databases.len() {
            self.extend(index, hasher);
        }
        &mut self.databases[index]
    }

    #[cold]
    fn extend(&mut self, index: usize, hasher: &KeyHasher) {
        let mut databases = std::mem::take(&mut self.databases).into_vec();
        databases.reserve_exact(index + 1 - databases.len());
        databases.resize_with(index + 1, || Database::new(hasher));
        self.databases = databases.into();
    }

    /// A database with what the shard has beside it.
    pub(super) fn parts(&mut self, index: usize, hasher: &KeyHasher) -> Parts<'_> {
        self.database_mut(index, hasher);
        Parts {
            database: &mut self.databases[index],
            counters: &mut self.counters,
            interest: self.interest.as_deref(),
        }
    }

    pub(super) fn waiting(&self) -> Option<&Waiting> {
        self.interest.as_deref().map(|interest| &interest.waiting)
    }

    /// Changes what is known of others, and keeps nothing where nobody is left.
    pub(super) fn change_interest(&mut self, change: impl FnOnce(&mut Interest)) {
        if let Some(interest) = &mut self.interest {
            change(interest);
            if interest.waiting.is_empty() && interest.watches.is_empty() {
                self.interest = None;
            }
        }
    }

    pub(super) fn databases_mut(&mut self) -> &mut [Database] {
        &mut self.databases
    }

    pub(super) fn databases(&self) -> impl Iterator<Item = &Database> {
        self.databases.iter()
    }

    pub(super) fn swap(&mut self, one: usize, other: usize, hasher: &KeyHasher) {
        self.database_mut(one.max(other), hasher);
        self.databases.swap(one, other);
    }
}

impl Database {
    pub(super) fn new(hasher: &KeyHasher) -> Self {
        let (table, entries) = (Table::new(hasher.clone()), Entries::default());
        Database { table, entries, volatile: 0, bytes: 0, sweep_at: 0, walk: None }
    }

    pub(super) const fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) const fn volatile(&self) -> usize {
        self.volatile
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Goes on with a change of the table's size; whether there is more to do.
    pub(super) fn tidy(&mut self) -> bool {
        self.entries.tidy();
        self.len() > 0 && self.table.tidy(&self.entries)
    }

    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<Found> {
        self.table.find(hash, key, &self.entries)
    }

    pub(super) fn get(&self, found: Found) -> Entry<'_> {
        self.entries.get(found.item)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.table.iter().map(|handle| self.entries.get(handle))
    }

    /// Visits the entries at a place in the order of hashes and gives the next, 0 at the end.
    pub(super) fn scan(&self, cursor: u64, mut visit: impl FnMut(Entry<'_>)) -> u64 {
        self.table.scan(cursor, &self.entries, |handle| visit(self.entries.get(handle)))
    }

    /// Visits the entries with a deadline in so many buckets, and counts them.
    pub(super) fn visit_volatile(
        &self,
        place: u32,
        buckets: usize,
        mut visit: impl FnMut(Entry<'_>),
    ) -> usize {
        self.table.marked(place, buckets, |handle| visit(self.entries.get(handle)))
    }

    /// The entry that a random number falls on, if it does on one.
    pub(super) fn pick(&self, number: u64) -> Option<Entry<'_>> {
        self.table.pick(number).map(|handle| self.entries.get(handle))
    }

    /// Has the place of a hash brought near, without waiting for it.
    pub(super) fn prefetch_home(&self, hash: u64) {
        self.table.prefetch_home(hash);
    }

    /// Has the entry that probably has this hash brought near.
    pub(super) fn prefetch_entry(&self, hash: u64) {
        self.table.prefetch_item(hash, &self.entries);
    }

    pub(super) fn is_expired(&self, found: Found, now_ms: i64) -> bool {
        found.is_marked && self.get(found).is_expired(now_ms)
    }

    /// Changes how an entry was used, and gives it.
    pub(super) fn note_use(
        &mut self,
        found: Found,
        again: impl FnOnce(Usage) -> Usage,
    ) -> Entry<'_> {
        self.entries.note_use(found.item, again)
    }

    /// Adds an entry whose key is not there.
    pub(super) fn insert(&mut self, hash: u64, draft: Draft<'_>) {
        let is_marked = draft.deadline_ms.is_some();
        let handle = self.entries.add(draft);
        self.table.insert(hash, handle, is_marked, &self.entries);
        self.count(handle);
    }

    /// Replaces an entry by another with the same key; its usage follows from that of the old one.
    pub(super) fn replace(
        &mut self,
        found: Found,
        draft: Draft<'_>,
        again: impl FnOnce(Usage) -> Usage,
    ) {
        let keeps_mark = found.is_marked == draft.deadline_ms.is_some();
        if keeps_mark && self.entries.takes_as_much(found.item, &draft) {
            self.entries.replace(found.item, draft, again);
        } else {
            self.change(found, |entries, handle| *handle = entries.replace(*handle, draft, again));
        }
    }

    pub(super) fn set_deadline(&mut self, found: Found, deadline_ms: Option<i64>) {
        self.change(found, |entries, handle| *handle = entries.set_deadline(*handle, deadline_ms));
    }

    /// Changes a value in place.
    pub(super) fn change_value<R>(
        &mut self,
        found: Found,
        change: impl FnOnce(&mut Value) -> R,
    ) -> R {
        match self.entries.outside_mut(found.item) {
            Some(value) => change_counted(value, &mut self.bytes, change),
            None => self.change(found, |entries, handle| change(entries.value_mut(handle))),
        }
    }

    /// Changes a value in place that has memory of its own; nothing if it has none.
    pub(super) fn change_large<R>(
        &mut self,
        found: Found,
        change: impl FnOnce(&mut Value) -> R,
    ) -> Option<R> {
        let value = self.entries.outside_mut(found.item)?;
        Some(change_counted(value, &mut self.bytes, change))
    }

    pub(super) fn remove(&mut self, hash: u64, found: Found) {
        self.forget(hash, found);
        self.entries.remove(found.item);
        self.settle();
    }

    /// Removes an entry and gives what it was.
    pub(super) fn take(&mut self, hash: u64, found: Found) -> Kept {
        self.forget(hash, found);
        let kept = self.entries.take(found.item);
        self.settle();
        kept
    }

    fn forget(&mut self, hash: u64, found: Found) {
        self.discount(found.item);
        self.table.remove(hash, found, &self.entries);
    }

    /// Keeps no memory for entries once there are none.
    fn settle(&mut self) {
        if self.len() == 0 {
            self.entries = Entries::default();
        }
    }

    /// Changes an entry; table and counters follow whatever it became, and wherever it went.
    fn change<R>(
        &mut self,
        found: Found,
        change: impl FnOnce(&mut Entries, &mut Handle) -> R,
    ) -> R {
        let mut handle = found.item;
        self.discount(handle);
        let result = change(&mut self.entries, &mut handle);
        let is_marked = self.count(handle);
        if (handle, is_marked) != (found.item, found.is_marked) {
            self.table.replace(found, handle, is_marked);
        }
        result
    }

    /// Adds an entry to the counters; whether it has a deadline.
    fn count(&mut self, handle: Handle) -> bool {
        let (volatile, bytes) = figures(self.entries.get(handle));
        self.volatile += usize::from(volatile);
        self.bytes += bytes;
        volatile
    }

    fn discount(&mut self, handle: Handle) {
        let (volatile, bytes) = figures(self.entries.get(handle));
        self.volatile -= usize::from(volatile);
        self.bytes -= bytes;
    }
}

/// Whether an entry has a deadline, and the memory it takes.
fn figures(entry: Entry<'_>) -> (bool, usize) {
    (entry.deadline_ms().is_some(), entry.memory())
}

/// Changes a value that neither moves nor changes its deadline, so that there is only itself to count.
fn change_counted<R>(
    value: &mut Value,
    bytes: &mut usize,
    change: impl FnOnce(&mut Value) -> R,
) -> R {
    let before = value.heap_bytes();
    let result = change(value);
    *bytes = *bytes + value.heap_bytes() - before;
    result
}
