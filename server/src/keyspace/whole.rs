//! The keyspace as a whole, for commands that hold all shards: counting, visiting, emptying.

use super::shard::{Counters, Database};
use super::{DatabaseFigures, Entry, Txn};
use crate::random::Random;

impl Txn<'_> {
    /// Visits all keys of the database that have not expired.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(Entry<'_>)) {
        for shard in self.shards() {
            let entries = shard.database(self.database).into_iter().flat_map(Database::iter);
            entries.filter(|entry| !entry.is_expired(self.expiry_ms)).for_each(&mut visit);
        }
    }

    /// How many entries the database has, those included that have expired and not been removed.
    pub(crate) fn len(&self) -> usize {
        self.figures().keys
    }

    pub(crate) fn figures(&self) -> DatabaseFigures {
        let mut figures = DatabaseFigures::default();
        for database in self.shards().filter_map(|shard| shard.database(self.database)) {
            figures.keys += database.len();
            figures.volatile += database.volatile();
            figures.bytes += database.bytes();
        }
        figures
    }

    /// Figures of every database.
    pub(crate) fn all_figures(&self) -> Vec<DatabaseFigures> {
        let mut figures = vec![DatabaseFigures::default(); self.keyspace.databases];
        for shard in self.shards() {
            for (figure, database) in figures.iter_mut().zip(shard.databases()) {
                figure.keys += database.len();
                figure.volatile += database.volatile();
                figure.bytes += database.bytes();
            }
        }
        figures
    }

    /// What was counted in all shards.
    pub(crate) fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        for counters in self.shards().map(|shard| shard.counters) {
            sum.hits += counters.hits;
            sum.misses += counters.misses;
            sum.expired += counters.expired;
            sum.changes += counters.changes;
        }
        sum
    }

    pub(crate) fn reset_counters(&mut self) {
        self.for_each_shard(|shard| {
            let changes = shard.counters.changes;
            shard.counters = Counters { changes, ..Counters::default() };
        });
    }

    /// How many keys are watched.
    pub(crate) fn watched_keys(&self) -> usize {
        let interests = self.shards().filter_map(|shard| shard.interest.as_ref());
        interests.map(|interest| interest.watches.count()).sum()
    }

    /// Visits the keys at a cursor and gives the next, 0 at the end. The lowest bits of a cursor
    /// are the shard, the rest is the place in its table.
    /// Keys whose time is over are removed.
    pub(crate) fn scan(&mut self, cursor: u64, mut visit: impl FnMut(Entry<'_>)) -> u64 {
        let (expiry_ms, mut expired) = (self.expiry_ms, Vec::new());
        let next = self.visit_at(cursor, |entry| {
            if entry.is_expired(expiry_ms) {
                expired.push(Box::<[u8]>::from(entry.key()));
            } else {
                visit(entry);
            }
        });
        for key in &expired {
            self.expire(key);
        }
        next
    }

    fn visit_at(&self, cursor: u64, visit: impl FnMut(Entry<'_>)) -> u64 {
        let shards = self.keyspace.shards.len() as u64;
        let (shard, place) = (cursor % shards, cursor / shards);
        let Some(locked) = self.shards().nth(shard as usize) else {
            return 0;
        };
        let database = locked.database(self.database);
        match database.map_or(0, |database| database.scan(place, visit)) {
            0 if shard + 1 == shards => 0,
            0 => shard + 1,
            next => next * shards + shard,
        }
    }

    /// A key picked at random, each about as likely as any other. Those whose time is over are removed.
    pub(crate) fn random_key(&mut self, random: &Random) -> Option<Box<[u8]>> {
        const ATTEMPTS: usize = 400;
        if self.len() == 0 {
            return None;
        }
        for _ in 0..ATTEMPTS {
            if let Some(key) = self.pick(random)
                && self.contains(&key)
            {
                return Some(key);
            }
        }
        let mut first = None;
        self.for_each(|entry| first = first.take().or_else(|| Some(entry.key().into())));
        first
    }

    /// A key out of all slots, if the one that was drawn is full.
    fn pick(&self, random: &Random) -> Option<Box<[u8]>> {
        let databases = self.shards().map(|shard| shard.database(self.database));
        let lengths = databases.clone().map(|database| database.map_or(0, Database::len));
        let total: usize = lengths.clone().sum();
        let mut at = random.below(total.max(1));
        let picked = lengths.clone().position(|length| {
            let inside = at < length;
            at = at.saturating_sub(length);
            inside
        })?;
        let entry = databases.clone().nth(picked)??.pick(random.next())?;
        Some(entry.key().into())
    }

    /// Empties the database; how many keys it had.
    pub(crate) fn flush(&mut self) -> usize {
        self.notes.flushed();
        let (database, keyspace) = (self.database, self.keyspace);
        let mut removed = 0;
        self.for_each_shard(|shard| {
            shard.touch_all(database, &[database], &keyspace.hasher);
            let database = shard.database_mut(database, &keyspace.hasher);
            let emptied = std::mem::replace(database, Database::new(&keyspace.hasher));
            removed += emptied.len();
            database.succeed(emptied);
        });
        self.note_all_ready(database);
        self.count_changes(removed);
        removed
    }

    /// Empties all databases.
    pub(crate) fn flush_all(&mut self) {
        let home = self.database;
        for database in 0..self.keyspace.databases {
            self.select(database);
            self.flush();
        }
        self.select(home);
    }

    pub(crate) fn swap(&mut self, one: usize, other: usize) {
        let hasher = &self.keyspace.hasher;
        if one != other {
            self.expire_watched([one, other]);
            self.for_each_shard(|shard| {
                shard.touch_all(one, &[one, other], hasher);
                shard.touch_all(other, &[one, other], hasher);
                shard.swap(one, other, hasher);
            });
            self.note_all_ready(one);
            self.note_all_ready(other);
        }
        self.count_changes(1);
    }

    /// The database in the one shard that the sweeper holds, if there may be something in it.
    pub(super) fn sole_database(&mut self) -> Option<&mut Database> {
        let (database, hasher) = (self.database, &self.keyspace.hasher);
        let shard = self.sole_shard_mut()?;
        shard.database(database).is_some().then(|| shard.database_mut(database, hasher))
    }
}
