//! All keys of all databases, spread over shards that lock on their own.
//!
//! Nothing outside this module knows how keys are stored. Whoever wants at them takes a [`Txn`],
//! which holds the shards it needs for as long as it lives.

mod accounts;
mod entries;
mod entry;
mod eviction;
mod expiry;
mod holding;
mod notes;
mod run;
mod shard;
mod slice;
mod snapshot;
mod txn;
mod usage;
mod values;
mod waiting;
mod watching;
mod whole;

use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, MutexGuard};

use accounts::Accounts;
pub(crate) use entry::{Content, Entry, Kept, SHARE_OF_TABLE};
use eviction::Pool;
pub(crate) use eviction::{Choice, Eviction, Order};
pub(crate) use expiry::Sweep;
pub(crate) use notes::{Note, Wanted};
pub(crate) use run::Run;
use shard::Shard;
pub(crate) use txn::{Changed, Scope, Txn, Uses};
pub(crate) use usage::{Counting, Usage};
pub(crate) use waiting::{Awaited, Place, Ticket};
pub(crate) use watching::{Watch, Watched};

use crate::journal::log::Log;
use crate::random::Random;
use crate::storage::{KeyHasher, memory};

pub(crate) struct Keyspace {
    shards: Box<[Lockable]>,
    hasher: KeyHasher,
    databases: usize,
    /// Who is told what commands have done.
    pub(crate) log: Log,
    accounts: Accounts,
    pool: Pool,
    /// The shard that the sweeper goes on with.
    swept: AtomicUsize,
}

/// A shard behind its lock, in a line of memory of its own: whoever locks one does not slow down
/// who locks the next, and whoever waits for the lock gets what it protects along with it.
#[repr(align(64))]
struct Lockable(Mutex<Shard>);

impl Lockable {
    fn new() -> Self {
        const { assert!(size_of::<Self>() == memory::LINE) };
        Lockable(Mutex::new(Shard::new()))
    }
}

/// The figures of one database that `INFO keyspace` shows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DatabaseFigures {
    pub(crate) keys: usize,
    pub(crate) volatile: usize,
    pub(crate) bytes: usize,
}

impl Keyspace {
    /// `shards` is rounded up to a power of two.
    pub(crate) fn new(shards: usize, databases: usize, random: &Random) -> Self {
        let shards = shards.max(1).next_power_of_two();
        let hasher = KeyHasher::new(|| random.next());
        Keyspace {
            shards: (0..shards).map(|_| Lockable::new()).collect(),
            hasher,
            databases,
            log: Log::default(),
            accounts: Accounts::new(shards),
            pool: Pool::default(),
            swept: AtomicUsize::new(0),
        }
    }

    pub(crate) const fn databases(&self) -> usize {
        self.databases
    }

    /// What hashes keys, and members of sets.
    pub(crate) const fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }

    fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash(key)
    }

    /// The shard of a key, by bits of its hash that tables make no use of.
    fn shard_of(&self, hash: u64) -> usize {
        (hash >> 8) as usize & (self.shards.len() - 1)
    }

    /// A lock is poisoned only after a panic, which the server does not survive: the instance
    /// fails as a whole rather than serve what may be half changed.
    fn lock_shard(&self, index: usize) -> MutexGuard<'_, Shard> {
        self.shards[index].0.lock().expect("no command panicked while it held the shard")
    }
}
