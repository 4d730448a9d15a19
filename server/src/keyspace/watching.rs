//! Who watches which keys of a shard, to learn whether they have changed.
//!
//! A shard knows what changes in it, so its lock protects who watches it, too.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Keyspace;
use super::shard::{Interest, Shard};
use super::txn::Txn;
use crate::storage::KeyHasher;

/// Whether anything that somebody watches has changed.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    is_broken: AtomicBool,
}

impl Watch {
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Acquire)
    }

    /// Nothing has changed yet, as nothing is watched.
    pub(crate) fn mend(&self) {
        self.is_broken.store(false, Ordering::Release);
    }
}

/// A key that somebody watches, and the database it is in.
pub(crate) type Watched = (usize, Box<[u8]>);

/// What a shard knows of those who watch its keys.
#[derive(Debug, Default)]
pub(super) struct Watches(HashMap<Box<[u8]>, Watchers>);

/// Who watches a key, and in which database.
type Watchers = Vec<(usize, Arc<Watch>)>;

impl Watches {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A key has changed.
    pub(super) fn touch(&self, database: usize, key: &[u8]) {
        for (_, watch) in self.0.get(key).into_iter().flatten().filter(|(at, _)| *at == database) {
            watch.is_broken.store(true, Ordering::Release);
        }
    }

    fn remove(&mut self, database: usize, key: &[u8], watch: &Arc<Watch>) {
        if let Some(watches) = self.0.get_mut(key) {
            watches.retain(|(at, other)| *at != database || !Arc::ptr_eq(other, watch));
            if watches.is_empty() {
                self.0.remove(key);
            }
        }
    }
}

impl Shard {
    /// All keys of a database that are in any of these change.
    pub(super) fn touch_all(&self, database: usize, sources: &[usize], hasher: &KeyHasher) {
        let Some(interest) = &self.interest else {
            return;
        };
        let is_in = |key: &[u8], source: &usize| {
            let entries = self.database(*source);
            entries.is_some_and(|entries| entries.find(hasher.hash(key), key).is_some())
        };
        for key in interest.watches.0.keys() {
            if sources.iter().any(|source| is_in(key, source)) {
                interest.watches.touch(database, key);
            }
        }
    }

    fn unwatch(&mut self, database: usize, key: &[u8], watch: &Arc<Watch>) {
        self.change_interest(|interest: &mut Interest| {
            interest.watches.remove(database, key, watch);
        });
    }
}

impl Txn<'_> {
    /// Watches a key of the selected database from now on; nothing if it has been watched already.
    pub(crate) fn watch(&mut self, key: &[u8], watch: &Arc<Watch>) -> Option<Watched> {
        let database = self.database();
        // What is over already has changed before.
        self.contains(key);
        let interest = self.shard_of_key_mut(key).interest.get_or_insert_default();
        let watchers = interest.watches.0.entry(key.into()).or_default();
        if watchers.iter().any(|(at, other)| *at == database && Arc::ptr_eq(other, watch)) {
            return None;
        }
        watchers.push((database, Arc::clone(watch)));
        Some((database, key.into()))
    }

    /// Removes of all keys that somebody watches those from databases whose time is over. What nobody can see any
    /// more does not change by coming to another database.
    pub(super) fn expire_watched(&mut self, databases: [usize; 2]) {
        let mut keys: Vec<Box<[u8]>> = Vec::new();
        self.for_each_shard(|shard| {
            let interest = shard.interest.iter();
            keys.extend(interest.flat_map(|interest| interest.watches.0.keys().cloned()));
        });
        let selected = self.database();
        for database in databases {
            self.select(database);
            for key in &keys {
                self.contains(key);
            }
        }
        self.select(selected);
    }

    /// Removes watched keys whose time is over meanwhile, and watches them no longer.
    pub(crate) fn unwatch(&mut self, watched: &[Watched], watch: &Arc<Watch>) {
        let selected = self.database();
        for (database, key) in watched {
            self.select(*database);
            self.contains(key);
        }
        self.select(selected);
        for (database, key) in watched {
            self.shard_of_key_mut(key).unwatch(*database, key, watch);
        }
    }
}

impl Watches {
    /// How many keys are watched by somebody to whom it still matters, each in its databases.
    pub(super) fn count(&self) -> usize {
        let databases = |watchers: &Watchers| {
            let whole = watchers.iter().filter(|(_, watch)| !watch.is_broken());
            whole.map(|(database, _)| *database).collect::<BTreeSet<_>>().len()
        };
        self.0.values().map(databases).sum()
    }
}

impl Keyspace {
    /// Watches keys no longer. Nothing may be locked.
    pub(crate) fn unwatch(&self, watched: &[Watched], watch: &Arc<Watch>) {
        for (database, key) in watched {
            // After a panic the server ends.
            if let Ok(mut shard) = self.shards[self.shard_of(self.hash(key))].0.lock() {
                shard.unwatch(*database, key, watch);
            }
        }
    }
}
