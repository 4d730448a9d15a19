//! The sweeper: removes expired keys that nobody asks for.
//!
//! It samples: a few buckets of each database at a time, and more of one where a good part of
//! what it sees has expired.

use super::{Entry, Keyspace, Run};

/// How many buckets are looked at before deciding whether to go on.
const SAMPLE: usize = 64;
/// A database is swept further while at least one in so many keys with a deadline had expired.
const WORTHWHILE: usize = 10;

impl Keyspace {
    /// One round over all shards; false if it gave up because `out_of_time` said so.
    pub(crate) fn sweep(&self, now_ms: i64, out_of_time: &dyn Fn() -> bool) -> bool {
        for index in 0..self.shards.len() {
            for database in 0..self.databases {
                while self.sweep_sample(index, database, now_ms) {
                    if out_of_time() {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Looks at some buckets; true if it is worth looking at more.
    fn sweep_sample(&self, index: usize, number: usize, now_ms: i64) -> bool {
        let mut run = Run::new(self);
        let mut txn = run.lock_one(index, number, now_ms);
        let Some(database) = txn.sole_database() else {
            return false;
        };
        if database.volatile() == 0 {
            return false;
        }
        let (mut seen, mut expired) = (0, Vec::new());
        let visit = |entry: &Entry| {
            seen += 1;
            if entry.is_expired(now_ms) {
                expired.push(Box::<[u8]>::from(entry.key()));
            }
        };
        database.sweep_cursor = database.table().marked(database.sweep_cursor, SAMPLE, visit);
        for key in &expired {
            txn.expire(key);
        }
        seen > 0 && expired.len() * WORTHWHILE >= seen
    }
}
