//! Requests lock shards here, in ascending order, each once. Whoever else looks at shards locks one at a time.

use std::sync::MutexGuard;

use super::Keyspace;
use super::holding::Several;
use super::shard::Shard;
use super::slice::LockedKey;
use super::txn::{Guards, Scope, Txn};
use crate::journal::effects::Effects;

/// How many shards at most are looked at to bring keys near.
const MOST_WARMED: usize = 64;

/// A run of requests, which keeps the shard that its last request used for the next: several
/// requests on one shard lock it once.
///
/// Whoever locks anything else lets go of it first, so that shards are still locked in ascending
/// order.
pub(crate) struct Run<'a> {
    keyspace: &'a Keyspace,
    held: Option<(usize, MutexGuard<'a, Shard>)>,
    /// What has been done in the shard that is held.
    effects: Effects,
    /// Whether what is done is nobody's business: it comes from where it would go.
    is_private: bool,
}

impl<'a> Run<'a> {
    pub(crate) const fn new(keyspace: &'a Keyspace) -> Self {
        Run { keyspace, held: None, effects: Effects::OFF, is_private: false }
    }

    /// One whose effects no log is told.
    pub(crate) const fn private(keyspace: &'a Keyspace) -> Self {
        Run { keyspace, held: None, effects: Effects::OFF, is_private: true }
    }

    pub(super) const fn keyspace(&self) -> &'a Keyspace {
        self.keyspace
    }

    /// Lets others at the shard.
    pub(crate) fn release(&mut self) {
        self.tell();
        if let Some((index, shard)) = self.held.take()
            && self.keyspace.accounts.are_on()
        {
            self.keyspace.accounts.report_roughly(index, &shard);
        }
    }

    /// Gives the log what has been done so far.
    fn tell(&mut self) {
        if !self.effects.is_empty() {
            self.keyspace.log.append(&mut self.effects);
        }
    }

    /// Shards have been locked, and with them whether there is a log.
    fn listen(&mut self) {
        self.effects.is_on = self.keyspace.log.is_on() && !self.is_private;
    }

    /// Locks the shards of these keys.
    pub(crate) fn lock<'k>(
        &mut self,
        mut keys: impl Iterator<Item = &'k [u8]>,
        scope: Scope,
    ) -> Txn<'_> {
        let keyspace = self.keyspace;
        let (first, second) = (keys.next(), keys.next());
        if let (Some(only), None) = (first, second) {
            return self.lock_key(only, scope);
        }
        let keys = first.into_iter().chain(second).chain(keys);
        let hashes: Vec<u64> = keys.map(|key| keyspace.hash(key)).collect();
        let mut shards: Vec<usize> = hashes.iter().map(|&hash| keyspace.shard_of(hash)).collect();
        shards.sort_unstable();
        shards.dedup();
        let mut txn = match shards[..] {
            [] => self.lock_none(scope),
            [only] if !self.hold(only).0.any_reaches_beyond(only) => self.lock_one(only, scope),
            _ => self.lock_to_serve(shards, scope),
        };
        txn.prefetch(&hashes);
        txn
    }

    pub(crate) fn lock_key(&mut self, key: &[u8], scope: Scope) -> Txn<'_> {
        let hash = self.keyspace.hash(key);
        let (keyspace, index) = (self.keyspace, self.keyspace.shard_of(hash));
        if self.hold(index).0.reaches_beyond(index, key) {
            return self.lock_to_serve(vec![index], scope);
        }
        let (shard, effects) = self.hold(index);
        let guards = Guards::One(index, shard);
        Txn::new(keyspace, (guards, effects), LockedKey::new(key, hash), scope)
    }

    pub(crate) fn lock_all(&mut self, scope: Scope) -> Txn<'_> {
        self.lock_ascending(0..self.keyspace.shards.len(), scope)
    }

    /// Locks nothing: for commands that have nothing to do with keys.
    pub(crate) fn lock_none(&mut self, scope: Scope) -> Txn<'_> {
        self.release();
        self.listen();
        Txn::new(self.keyspace, (Guards::None, &mut self.effects), LockedKey::NONE, scope)
    }

    pub(super) fn lock_one(&mut self, index: usize, scope: Scope) -> Txn<'_> {
        let keyspace = self.keyspace;
        let (shard, effects) = self.hold(index);
        let guards = Guards::One(index, shard);
        Txn::new(keyspace, (guards, effects), LockedKey::NONE, scope)
    }

    fn hold(&mut self, index: usize) -> (&mut Shard, &mut Effects) {
        if self.held.as_ref().is_none_or(|(held, _)| *held != index) {
            self.release();
            self.held = Some((index, self.keyspace.lock_shard(index)));
            self.listen();
        }
        match &mut self.held {
            Some((_, shard)) => (shard, &mut self.effects),
            None => unreachable!("the shard was locked above"),
        }
    }

    pub(super) fn lock_ascending(
        &mut self,
        indices: impl Iterator<Item = usize>,
        scope: Scope,
    ) -> Txn<'_> {
        self.release();
        let several = Several::lock(self.keyspace, indices);
        self.take_several(several, scope)
    }

    /// Nothing else is held.
    pub(super) fn take_several(&mut self, several: Several<'a>, scope: Scope) -> Txn<'_> {
        self.listen();
        let guards = Guards::Several(several);
        Txn::new(self.keyspace, (guards, &mut self.effects), LockedKey::NONE, scope)
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

impl Keyspace {
    /// Brings the places of these keys into the processor's caches, all at the same time.
    ///
    /// Looking one key up after the other, each look-up waits for memory on its own. Here nothing
    /// depends on what is read, so that the waits overlap. It is only a hint: a shard that somebody
    /// else holds is passed over, and whether keys are there is not told. `hashes` is room to work in.
    pub(crate) fn warm<'k>(
        &self,
        keys: impl Iterator<Item = &'k [u8]>,
        database: usize,
        hashes: &mut Vec<u64>,
    ) {
        hashes.clear();
        hashes.extend(keys.map(|key| self.hash(key)));
        let mut shards = [const { None }; MOST_WARMED];
        for (locked, shard) in shards.iter_mut().zip(&self.shards) {
            *locked = shard.0.try_lock().ok();
        }
        let database = |hash| {
            let shard = shards.get(self.shard_of(hash)).and_then(Option::as_ref);
            shard.and_then(|shard| shard.database(database))
        };
        for &hash in &*hashes {
            database(hash).inspect(|database| database.prefetch_home(hash));
        }
        for &hash in &*hashes {
            database(hash).inspect(|database| database.prefetch_entry(hash));
        }
    }
}
