//! The hash table of one database in one shard.
//!
//! Chained buckets, a power of two of them. It grows and shrinks a few buckets at a time, so
//! that no single insert pays for it, and its scan cursor keeps Redis's promise: an entry that
//! is present from the start of a scan to its end is returned.

use super::entry::Entry;
use crate::value::Compact;

const SMALLEST: usize = 4;
/// How many buckets move to the new array with each change while the table is resizing.
const MOVED_AT_ONCE: usize = 4;
/// So many that shrinking is over before the table has become small enough to shrink again.
const MOVED_WHEN_SHRINKING: usize = 16;

/// Most buckets hold one slot at most: it lies in the bucket itself, where one look finds it.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Bucket {
    first: Option<Slot>,
    rest: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    hash: u64,
    key: Compact,
    entry: Entry,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    buckets: Vec<Bucket>,
    /// While resizing, the array that entries move from; the buckets before `moved` are empty.
    old: Vec<Bucket>,
    moved: usize,
    length: usize,
}

impl Table {
    pub(super) const fn len(&self) -> usize {
        self.length
    }

    pub(super) fn get(&self, hash: u64, key: &[u8]) -> Option<&Entry> {
        [&self.buckets, &self.old].into_iter().find_map(|buckets| {
            let at = index(buckets, hash)?;
            buckets[at].iter().find(|slot| slot.is(hash, key)).map(|slot| &slot.entry)
        })
    }

    /// Reads from the place of a hash, only to have it at hand; what is read means nothing.
    pub(super) fn touch(&self, hash: u64) -> u64 {
        let bucket = index(&self.buckets, hash).map(|at| &self.buckets[at]);
        bucket.and_then(|bucket| bucket.first.as_ref()).map_or(0, |slot| slot.hash)
    }

    pub(super) fn get_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut Entry> {
        [&mut self.buckets, &mut self.old].into_iter().find_map(|buckets| {
            let at = index(buckets, hash)?;
            buckets[at].iter_mut().find(|slot| slot.is(hash, key)).map(|slot| &mut slot.entry)
        })
    }

    /// Stores an entry under a key, and gives the one that was there.
    pub(super) fn insert(&mut self, hash: u64, key: &[u8], entry: Entry) -> Option<Entry> {
        if let Some(existing) = self.get_mut(hash, key) {
            return Some(std::mem::replace(existing, entry));
        }
        if self.length >= self.buckets.len() {
            self.resize(self.buckets.len() * 2);
        }
        self.step();
        self.length += 1;
        place(&mut self.buckets, Slot { hash, key: key.into(), entry });
        None
    }

    pub(super) fn remove(&mut self, hash: u64, key: &[u8]) -> Option<Entry> {
        let slot = [&mut self.buckets, &mut self.old].into_iter().find_map(|buckets| {
            let at = index(buckets, hash)?;
            buckets[at].remove(hash, key)
        })?;
        self.length -= 1;
        if self.length == 0 {
            // Nothing is left to move.
            *self = Table::default();
            return Some(slot.entry);
        }
        if self.length < self.buckets.len() / 8 {
            self.resize(self.buckets.len() / 2);
        }
        self.step();
        Some(slot.entry)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &Entry)> {
        let buckets = self.buckets.iter().chain(&self.old);
        buckets.flat_map(Bucket::iter).map(|slot| (&*slot.key, &slot.entry))
    }

    /// Visits the entries at `cursor` and gives the next cursor, 0 at the end.
    ///
    /// The cursor counts with its bits reversed, so that what a smaller or larger array has of
    /// the buckets already visited is exactly what need not be visited again.
    pub(super) fn scan(&self, cursor: u64, mut visit: impl FnMut(&[u8], &Entry)) -> u64 {
        let (small, large) = if self.old.len() < self.buckets.len() {
            (&self.old, &self.buckets)
        } else {
            (&self.buckets, &self.old)
        };
        if large.is_empty() {
            return 0;
        }
        let mut cursor = cursor;
        let mut visit = |buckets: &[Bucket], at: u64| {
            for slot in buckets[at as usize & (buckets.len() - 1)].iter() {
                visit(&slot.key, &slot.entry);
            }
        };
        if small.is_empty() {
            visit(large, cursor);
            return next_cursor(cursor, mask(large));
        }
        visit(small, cursor);
        loop {
            visit(large, cursor);
            cursor = next_cursor(cursor, mask(large));
            if cursor & (mask(small) ^ mask(large)) == 0 {
                return cursor;
            }
        }
    }

    /// The keys of the bucket that `number`, however large, falls on; often none.
    pub(super) fn sample(&self, number: u64) -> impl Iterator<Item = (&[u8], &Entry)> {
        let total = (self.buckets.len() + self.old.len()).max(1);
        let at = (number % total as u64) as usize;
        let bucket = self.buckets.get(at).or_else(|| self.old.get(at - self.buckets.len()));
        bucket.into_iter().flat_map(Bucket::iter).map(|slot| (&*slot.key, &slot.entry))
    }

    fn resize(&mut self, size: usize) {
        if !self.old.is_empty() || (size < SMALLEST && !self.buckets.is_empty()) {
            return;
        }
        let mut buckets = Vec::new();
        buckets.resize_with(size.max(SMALLEST), Bucket::default);
        self.old = std::mem::replace(&mut self.buckets, buckets);
        self.moved = 0;
    }

    /// Moves some buckets of the old array, if there is one.
    fn step(&mut self) {
        let shrinks = self.old.len() > self.buckets.len();
        for _ in 0..if shrinks { MOVED_WHEN_SHRINKING } else { MOVED_AT_ONCE } {
            if self.moved == self.old.len() {
                self.old = Vec::new();
                self.moved = 0;
                return;
            }
            let bucket = std::mem::take(&mut self.old[self.moved]);
            for slot in bucket.first.into_iter().chain(bucket.rest) {
                place(&mut self.buckets, slot);
            }
            self.moved += 1;
        }
    }
}

impl Bucket {
    fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.first.iter().chain(&self.rest)
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.first.iter_mut().chain(&mut self.rest)
    }

    fn remove(&mut self, hash: u64, key: &[u8]) -> Option<Slot> {
        if self.first.as_ref()?.is(hash, key) {
            return std::mem::replace(&mut self.first, self.rest.pop());
        }
        let position = self.rest.iter().position(|slot| slot.is(hash, key))?;
        Some(self.rest.swap_remove(position))
    }
}

impl Slot {
    fn is(&self, hash: u64, key: &[u8]) -> bool {
        self.hash == hash && *self.key == *key
    }
}

/// Puts a slot into its bucket. What does not fit in the bucket itself is kept without room to
/// spare, which would be most of the memory.
fn place(buckets: &mut [Bucket], slot: Slot) {
    let at = slot.hash as usize & (buckets.len() - 1);
    let Bucket { first, rest } = &mut buckets[at];
    if first.is_none() {
        *first = Some(slot);
    } else {
        rest.reserve_exact(1);
        rest.push(slot);
    }
}

/// The bucket of a hash, if there are any.
fn index(buckets: &[Bucket], hash: u64) -> Option<usize> {
    (!buckets.is_empty()).then(|| hash as usize & (buckets.len() - 1))
}

fn mask(buckets: &[Bucket]) -> u64 {
    buckets.len() as u64 - 1
}

/// Adds one to the masked bits of the cursor, from the highest to the lowest.
const fn next_cursor(cursor: u64, mask: u64) -> u64 {
    ((cursor | !mask).reverse_bits().wrapping_add(1)).reverse_bits()
}
