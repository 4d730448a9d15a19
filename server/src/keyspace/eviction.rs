//! Removing keys to make room: which, and that they are gone.
//!
//! Some keys are drawn at random, and the best of all that were drawn lately are remembered, until they go or turn out to
//! have been used since. So what goes is close to what would go if all keys stood in order.

use std::sync::{Mutex, MutexGuard};

use super::{Entry, Keyspace, Note, Run, Scope, Uses, Wanted};
use crate::config::EventClass;
use crate::random::Random;

use super::shard::Database;
use super::usage::Counting;

/// How many keys are remembered.
const REMEMBERED: usize = 64;
/// With fewer than these, more are drawn.
const FEW: usize = 16;
/// How often a slot is drawn to find one key.
const DRAWS: usize = 32;
/// How many buckets are looked at for keys with a deadline, at a place drawn at random.
const BUCKETS: usize = 8;

/// Which keys go, and which of them first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Whether only keys with a deadline may go.
    pub(crate) only_volatile: bool,
    pub(crate) order: Order,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Those first that have not been used for longest.
    Idle,
    /// Those first that are used least.
    Frequency,
    /// Those first that expire first.
    Deadline,
    Random,
}

/// What removing keys needs to know, and whom it tells.
pub(crate) struct Eviction<'a> {
    pub(crate) choice: Choice,
    pub(crate) samples: usize,
    pub(crate) now_ms: i64,
    pub(crate) counting: Counting,
    pub(crate) random: &'a Random,
    /// Whether nobody else is in the middle of something; known for certain once a shard is held.
    pub(crate) is_alone: &'a dyn Fn() -> bool,
    pub(crate) wanted: &'a dyn Fn() -> Wanted,
    pub(crate) announce: &'a dyn Fn(Vec<Note>),
    pub(crate) serve: &'a dyn Fn(&mut Run<'_>, usize, &[u8]),
}

/// Keys that are the next to go.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<Vec<Candidate>>);

#[derive(Debug)]
struct Candidate {
    score: u64,
    database: usize,
    key: Box<[u8]>,
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Vec<Candidate>> {
        self.0.lock().expect("nothing panics while it looks at keys that are to go")
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }
}

impl Eviction<'_> {
    /// The higher, the sooner it goes.
    fn score(&self, entry: Entry<'_>) -> u64 {
        match self.choice.order {
            Order::Idle => entry.usage().idle_s(self.now_ms) as u64,
            Order::Frequency => {
                u64::from(u8::MAX - self.counting.decayed(entry.usage(), self.now_ms))
            }
            Order::Deadline => {
                u64::MAX - entry.deadline_ms().map_or(u64::MAX, |ms| ms.max(0) as u64)
            }
            Order::Random => self.random.next(),
        }
    }
}

impl Keyspace {
    /// What was to go next is chosen anew.
    pub(crate) fn forget_candidates(&self) {
        self.pool.clear();
    }

    /// Removes one key; false if there is none that may go.
    pub(crate) fn evict(&self, eviction: &Eviction<'_>) -> bool {
        // What is remembered may be gone by now, or have been used.
        for _ in 0..=REMEMBERED {
            if !(eviction.is_alone)() {
                return true;
            }
            let Some(candidate) = self.choose(eviction) else {
                return false;
            };
            if self.evict_candidate(eviction, &candidate) {
                return true;
            }
        }
        true
    }

    fn choose(&self, eviction: &Eviction<'_>) -> Option<Candidate> {
        // The first to go is chosen out of as many as the later ones are.
        let rounds = if self.pool.lock().len() < FEW { FEW } else { 1 };
        let mut drawn: Vec<Candidate> = (0..rounds).flat_map(|_| self.draw(eviction)).collect();
        if drawn.is_empty() && self.pool.lock().is_empty() {
            drawn = self.draw_from_all(eviction);
        }
        let mut pool = self.pool.lock();
        for candidate in drawn {
            let is_known = |known: &Candidate| {
                known.database == candidate.database && known.key == candidate.key
            };
            if !pool.iter().any(is_known) {
                pool.push(candidate);
            }
        }
        pool.sort_unstable_by_key(|candidate| candidate.score);
        let surplus = pool.len().saturating_sub(REMEMBERED);
        pool.drain(..surplus);
        pool.pop()
    }

    /// Some keys of a shard drawn at random, out of each of its databases.
    fn draw(&self, eviction: &Eviction<'_>) -> Vec<Candidate> {
        let mut drawn = Vec::new();
        let first = eviction.random.below(self.shards.len());
        for offset in 0..self.shards.len() {
            let index = (first + offset) % self.shards.len();
            let shard = self.lock_shard(index);
            for (number, database) in shard.databases().enumerate() {
                let mut note = |entry: Entry<'_>| {
                    let (score, key) = (eviction.score(entry), entry.key().into());
                    drawn.push(Candidate { score, database: number, key });
                };
                database.draw(eviction, &mut note);
            }
            if !drawn.is_empty() {
                break;
            }
        }
        drawn
    }

    /// The first keys that may go, where too few may for one to be drawn.
    fn draw_from_all(&self, eviction: &Eviction<'_>) -> Vec<Candidate> {
        let mut drawn = Vec::new();
        for index in 0..self.shards.len() {
            let shard = self.lock_shard(index);
            for (number, database) in shard.databases().enumerate() {
                let mut note = |entry: Entry<'_>| {
                    let (score, key) = (eviction.score(entry), entry.key().into());
                    drawn.push(Candidate { score, database: number, key });
                };
                database.find_all(eviction.choice.only_volatile, &mut note);
                if !drawn.is_empty() {
                    return drawn;
                }
            }
        }
        drawn
    }

    /// Removes a key, if it is still one to go; whether it was.
    fn evict_candidate(&self, eviction: &Eviction<'_>, candidate: &Candidate) -> bool {
        let Candidate { score, database, key } = candidate;
        let mut run = Run::new(self);
        let scope = Scope { database: *database, now_ms: eviction.now_ms, uses: Uses::Ignored };
        let mut txn = run.lock_key(key, scope);
        txn.stop_expiry();
        if !(eviction.is_alone)() {
            return false;
        }
        let Some(entry) = txn.peek(key) else {
            return false;
        };
        let is_used_since = match eviction.choice.order {
            Order::Random | Order::Deadline => false,
            _ => eviction.score(entry) < *score,
        };
        if is_used_since || eviction.choice.only_volatile && entry.deadline_ms().is_none() {
            return false;
        }
        txn.observe((eviction.wanted)());
        txn.evict(key);
        txn.end_unit();
        (eviction.announce)(txn.take_notes());
        txn.report_exactly();
        let ready = txn.take_ready();
        drop(txn);
        for (number, key) in &ready {
            (eviction.serve)(&mut run, *number, key);
        }
        true
    }
}

impl Database {
    /// Visits some entries, if there are any; where only those with a deadline are wanted, which are few, all of them.
    fn find_all(&self, only_volatile: bool, visit: &mut dyn FnMut(Entry<'_>)) {
        const WHOLE: usize = usize::MAX / 2;
        if !only_volatile {
            self.iter().take(1).for_each(visit);
        } else if self.volatile() > 0 && self.visit_volatile(0, WHOLE, &mut *visit) == 0 {
            // The table is moving them.
            self.iter().find(|entry| entry.deadline_ms().is_some()).into_iter().for_each(visit);
        }
    }

    /// Visits some entries drawn at random, those that may go.
    fn draw(&self, eviction: &Eviction<'_>, visit: &mut dyn FnMut(Entry<'_>)) {
        if eviction.choice.only_volatile {
            if self.volatile() > 0 {
                let mut found = 0;
                for _ in 0..DRAWS {
                    let place = eviction.random.next() as u32;
                    found += self.visit_volatile(place, BUCKETS, &mut *visit);
                    if found >= eviction.samples {
                        break;
                    }
                }
            }
            return;
        }
        for _ in 0..eviction.samples.min(self.len()) {
            let mut draws = (0..DRAWS).map(|_| self.pick(eviction.random.next()));
            draws.find_map(|drawn| drawn).into_iter().for_each(&mut *visit);
        }
    }
}

impl super::Txn<'_> {
    /// Removes a key that nobody has asked to remove.
    fn evict(&mut self, key: &[u8]) {
        if self.has_log() {
            self.effect([&b"DEL"[..], key].into_iter());
        }
        self.remove(key);
        self.side_event(EventClass::EVICTED, "evicted", key);
    }
}
