//! The sweeper: removes expired keys that nobody asks for.
//!
//! It samples: a few buckets of each database at a time, and more of one where a good part of
//! what it sees has expired. On its way it helps tables along that are changing their size.

use std::sync::atomic::Ordering;

use super::{Entry, Keyspace, Note, Run, Scope, Uses, Wanted};

/// How many buckets are looked at together.
const SAMPLE: usize = 4;
/// Looking ends after so many keys with a deadline, or so many samples.
const ENOUGH: usize = 64;
const MOST_SAMPLES: usize = 128;
/// Steps of this part of the whole fall between all earlier ones: wherever the sweeper stops, as
/// much is gone everywhere.
const GOLDEN_PART: u32 = 0x9e37_79b9;
/// A database is swept further while at least one in so many keys with a deadline had expired.
const WORTHWHILE: usize = 10;

/// What the sweeper needs to know, and whom it tells.
pub(crate) struct Sweep<'a> {
    pub(crate) now_ms: i64,
    pub(crate) out_of_time: &'a dyn Fn() -> bool,
    /// Whether nobody else is in the middle of something; known for certain once a shard is held.
    pub(crate) is_alone: &'a dyn Fn() -> bool,
    pub(crate) wanted: &'a dyn Fn() -> Wanted,
    pub(crate) announce: &'a dyn Fn(Vec<Note>),
    /// Tells those who wait for a key of a database that it is gone.
    pub(crate) serve: &'a dyn Fn(&mut Run<'_>, usize, &[u8]),
}

impl Keyspace {
    /// One round over all shards; false if it gave up because it was out of time. The next then begins
    /// where it stopped.
    pub(crate) fn sweep(&self, sweep: &Sweep<'_>) -> bool {
        let first = self.swept.load(Ordering::Relaxed);
        for index in (0..self.shards.len()).map(|number| (first + number) % self.shards.len()) {
            for database in 0..self.databases {
                while self.sweep_sample(index, database, sweep) {
                    if (sweep.out_of_time)() {
                        self.swept.store(index, Ordering::Relaxed);
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Looks at some buckets; true if it is worth going on.
    fn sweep_sample(&self, index: usize, number: usize, sweep: &Sweep<'_>) -> bool {
        let (mut run, now_ms) = (Run::new(self), sweep.now_ms);
        let scope = Scope { database: number, now_ms, uses: Uses::Ignored };
        let mut txn = run.lock_one(index, scope);
        if !(sweep.is_alone)() {
            return false;
        }
        let Some(database) = txn.sole_database() else {
            return false;
        };
        let is_moving = database.tidy();
        if database.volatile() == 0 {
            return is_moving;
        }
        let (mut seen, mut expired) = (0, Vec::new());
        let mut visit = |entry: Entry<'_>| {
            if entry.is_expired(now_ms) {
                expired.push(Box::<[u8]>::from(entry.key()));
            }
        };
        for _ in 0..MOST_SAMPLES {
            database.sweep_at = database.sweep_at.wrapping_add(GOLDEN_PART);
            seen += database.visit_volatile(database.sweep_at, SAMPLE, &mut visit);
            if seen >= ENOUGH {
                break;
            }
        }
        txn.observe((sweep.wanted)());
        for key in &expired {
            txn.expire(key);
            txn.end_unit();
        }
        (sweep.announce)(txn.take_notes());
        let is_worthwhile = is_moving || seen > 0 && expired.len() * WORTHWHILE >= seen;
        let ready = txn.take_ready();
        drop(txn);
        for (number, key) in &ready {
            (sweep.serve)(&mut run, *number, key);
        }
        is_worthwhile
    }
}
