//! Several shards that a transaction holds, which it may lend, or let go for a while.

use std::sync::MutexGuard;

use super::Keyspace;
use super::shard::Shard;

/// Whoever holds several shards, ascending by index.
pub(super) trait Holder {
    fn count(&self) -> usize;

    fn at(&self, place: usize) -> (usize, &Shard);

    fn at_mut(&mut self, place: usize) -> &mut Shard;

    /// The shard with this index, if it is held.
    fn find_mut(&mut self, index: usize) -> Option<&mut Shard>;

    /// Lets others at the shards, until they are held again.
    fn let_go(&mut self);

    fn hold_again(&mut self);
}

pub(super) struct Several<'a> {
    keyspace: &'a Keyspace,
    held: Vec<(usize, MutexGuard<'a, Shard>)>,
    /// What was let go.
    away: Vec<usize>,
}

impl<'a> Several<'a> {
    /// Locks shards; their indices ascend.
    pub(super) fn lock(keyspace: &'a Keyspace, indices: impl Iterator<Item = usize>) -> Self {
        let held = indices.map(|index| (index, keyspace.lock_shard(index))).collect();
        Several { keyspace, held, away: Vec::new() }
    }
}

impl Holder for Several<'_> {
    fn count(&self) -> usize {
        self.held.len()
    }

    fn at(&self, place: usize) -> (usize, &Shard) {
        let (index, shard) = &self.held[place];
        (*index, shard)
    }

    fn at_mut(&mut self, place: usize) -> &mut Shard {
        &mut self.held[place].1
    }

    fn find_mut(&mut self, index: usize) -> Option<&mut Shard> {
        // Where all are held, each is at its own index.
        let place = match self.held.get(index) {
            Some((found, _)) if *found == index => index,
            _ => self.held.binary_search_by_key(&index, |(held, _)| *held).ok()?,
        };
        Some(&mut self.held[place].1)
    }

    fn let_go(&mut self) {
        if self.away.is_empty() {
            self.away = self.held.drain(..).map(|(index, _)| index).collect();
        }
    }

    fn hold_again(&mut self) {
        let lock = |index| (index, self.keyspace.lock_shard(index));
        self.held.extend(self.away.drain(..).map(lock));
    }
}
