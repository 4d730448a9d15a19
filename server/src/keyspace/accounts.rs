//! What all keys take, known at any time without looking at any shard.
//!
//! Shards count for themselves, and report when it has changed by a little: the sum of what they keep to themselves is
//! little, too.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use super::shard::{Database, Shard};
use super::{Keyspace, Run, Scope, Txn, Uses};

/// How much all shards together may keep to themselves.
const UNREPORTED: i64 = 2048;

#[derive(Debug)]
pub(crate) struct Accounts {
    /// Whether anybody wants to know.
    is_on: AtomicBool,
    used: AtomicI64,
    /// By each shard; changed by who holds it.
    reported: Box<[AtomicI64]>,
}

impl Accounts {
    pub(super) fn new(shards: usize) -> Self {
        let reported = (0..shards).map(|_| AtomicI64::new(0)).collect();
        Accounts { is_on: AtomicBool::new(false), used: AtomicI64::new(0), reported }
    }

    pub(super) fn are_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    pub(super) fn report(&self, index: usize, shard: &Shard, least: i64) {
        let bytes = shard.databases().map(Database::bytes).sum::<usize>() as i64;
        let change = bytes - self.reported[index].load(Ordering::Relaxed);
        if change.abs() >= least {
            self.reported[index].store(bytes, Ordering::Relaxed);
            self.used.fetch_add(change, Ordering::Relaxed);
        }
    }

    /// The same, for who has no need to be exact.
    pub(super) fn report_roughly(&self, index: usize, shard: &Shard) {
        self.report(index, shard, UNREPORTED / self.reported.len() as i64);
    }
}

impl Keyspace {
    /// What all keys and values take.
    pub(crate) fn used_bytes(&self) -> usize {
        usize::try_from(self.accounts.used.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// From here on, shards report or do not.
    pub(crate) fn keep_accounts(&self, is_on: bool) {
        self.accounts.is_on.store(is_on, Ordering::SeqCst);
        if is_on {
            self.settle_accounts();
        }
    }

    /// Has all shards report what they have kept to themselves.
    pub(crate) fn settle_accounts(&self) {
        let scope = Scope { database: 0, now_ms: i64::MIN, uses: Uses::Ignored };
        for index in 0..self.shards.len() {
            let mut run = Run::new(self);
            let mut txn = run.lock_one(index, scope);
            txn.report_exactly();
        }
    }
}

impl Txn<'_> {
    pub(super) fn report_exactly(&mut self) {
        let accounts = &self.keyspace.accounts;
        for (index, shard) in self.indexed_shards() {
            accounts.report(index, shard, 1);
        }
    }
}
