//! What servers come close to: a cache that always gives up the key that has been unused for longest.

use std::collections::{BTreeMap, HashMap};

/// So many keys at most, in the order of their last use.
pub(crate) struct ExactLru {
    capacity: usize,
    now: u64,
    used_at: HashMap<u64, u64>,
    by_use: BTreeMap<u64, u64>,
}

impl ExactLru {
    pub(crate) fn new(capacity: usize) -> Self {
        ExactLru { capacity, now: 0, used_at: HashMap::new(), by_use: BTreeMap::new() }
    }

    /// Uses a key, which is there from now on. Tells whether it was there before.
    pub(crate) fn hits(&mut self, key: u64) -> bool {
        self.now += 1;
        let before = self.used_at.insert(key, self.now);
        self.by_use.insert(self.now, key);
        match before {
            Some(moment) => drop(self.by_use.remove(&moment)),
            None => self.make_room(),
        }
        before.is_some()
    }

    fn make_room(&mut self) {
        if self.used_at.len() > self.capacity
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.used_at.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_that_was_unused_for_longest_goes() {
        let mut cache = ExactLru::new(2);
        let hits = [1, 2, 1, 3, 1, 2, 3].map(|key| cache.hits(key));
        assert_eq!(hits, [false, false, true, false, true, false, false]);
    }
}
