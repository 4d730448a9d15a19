//! The buckets of a table, in the order of hashes.
//!
//! Each is home to an equal part of all hashes. They are allocated segment by segment, as far as
//! they are needed.

use super::bucket::{Bucket, FURTHEST, IN_CROWD, SLOTS, tag};
use super::{KeyHasher, Keyed};

/// How many buckets are allocated together.
const SEGMENT: usize = 512;
/// Behind the last home there is room for what finds none there.
const MOST_ANNEXES: usize = 8;
/// Places in the order of hashes; the upper half of a hash is its place.
pub(super) const PLACES: u64 = 1 << 32;

#[derive(Debug)]
pub(super) struct Array<T> {
    segments: Vec<Box<[Bucket<T>]>>,
    homes: usize,
}

/// The place of a hash in the order of hashes.
pub(super) const fn place(hash: u64) -> u64 {
    hash >> 32
}

impl<T> Array<T> {
    pub(super) fn new(homes: usize) -> Self {
        let mut array = Array { segments: Vec::new(), homes };
        array.segments.reserve_exact(array.len().div_ceil(SEGMENT));
        array
    }

    pub(super) const fn homes(&self) -> usize {
        self.homes
    }

    /// How many buckets there are.
    pub(super) const fn len(&self) -> usize {
        let annexes = self.homes / 4;
        self.homes + if annexes < MOST_ANNEXES { annexes } else { MOST_ANNEXES }
    }

    /// The bucket that is home to a place.
    pub(super) const fn home(&self, place: u64) -> usize {
        (place * self.homes as u64 / PLACES) as usize
    }

    /// The first place whose home is this bucket or a later one.
    pub(super) const fn start(&self, home: usize) -> u64 {
        (home as u64 * PLACES).div_ceil(self.homes as u64)
    }

    pub(super) fn bucket(&self, at: usize) -> &Bucket<T> {
        &self.segments[at / SEGMENT][at % SEGMENT]
    }

    pub(super) fn bucket_mut(&mut self, at: usize) -> &mut Bucket<T> {
        &mut self.segments[at / SEGMENT][at % SEGMENT]
    }

    /// A bucket, if it is allocated.
    pub(super) fn get(&self, at: usize) -> Option<&Bucket<T>> {
        self.segments.get(at / SEGMENT)?.get(at % SEGMENT)
    }

    /// The end of the buckets that items of this home may lie in.
    pub(super) fn end(&self, home: usize) -> usize {
        (home + 1 + self.bucket(home).reach()).min(self.len())
    }

    /// Whether some part of it is more than half full, by samples that lie evenly spread.
    pub(super) fn has_full_part(&self) -> bool {
        const SAMPLES: usize = 64;
        const BUCKETS: usize = 16;
        (0..SAMPLES).any(|sample| {
            let first = self.homes * sample / SAMPLES;
            let buckets = (first..first + BUCKETS).filter_map(|at| self.get(at));
            buckets.flat_map(Bucket::items).count() > BUCKETS * SLOTS / 2
        })
    }

    /// What is in a slot, counting the slots of all buckets through.
    pub(super) fn slot(&self, number: usize) -> Option<&T> {
        self.get(number / SLOTS)?.get(number % SLOTS)
    }

    /// Allocates whatever is missing up to this bucket.
    pub(super) fn reach(&mut self, at: usize) {
        while self.segments.len() * SEGMENT <= at {
            let size = (self.len() - self.segments.len() * SEGMENT).min(SEGMENT);
            self.segments.push((0..size).map(|_| Bucket::default()).collect());
        }
    }

    /// Frees the segment that ends before this bucket, if one does.
    pub(super) fn leave_behind(&mut self, at: usize) {
        if at > 0 && at.is_multiple_of(SEGMENT) {
            self.segments[at / SEGMENT - 1] = Box::default();
        }
    }

    pub(super) fn buckets(&self) -> impl Iterator<Item = &Bucket<T>> {
        self.segments.iter().flatten()
    }
}

impl<T: Keyed> Array<T> {
    /// The item with this key, with its bucket and slot.
    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<(usize, usize, &T)> {
        let (home, tag) = (self.home(place(hash)), tag(hash));
        let bucket = self.bucket(home);
        if let Some((slot, item)) = bucket.find(tag, key) {
            return Some((home, slot, item));
        }
        (home + 1..self.end(home)).find_map(|at| {
            let (slot, item) = self.bucket(at).find(tag, key)?;
            Some((at, slot, item))
        })
    }

    /// Puts an item near its home, or gives it back, for the crowd, if there is no room.
    pub(super) fn insert(&mut self, hash: u64, item: T) -> Result<(), T> {
        let home = self.home(place(hash));
        for at in home..(home + FURTHEST + 1).min(self.len()) {
            self.reach(at);
            let Some(slot) = self.bucket(at).free_slot() else {
                continue;
            };
            if at > home {
                self.bucket_mut(home).send_away(at - home);
            }
            self.bucket_mut(at).insert(slot, tag(hash), item);
            return Ok(());
        }
        self.bucket_mut(home).send_away(IN_CROWD);
        Err(item)
    }

    /// Whether an item with this hash may be in the crowd.
    pub(super) fn is_crowded(&self, hash: u64) -> bool {
        self.bucket(self.home(place(hash))).is_crowded()
    }

    /// Notes that an item with this hash has left the crowd.
    pub(super) fn leave_crowd(&mut self, hash: u64) {
        let home = self.home(place(hash));
        self.bucket_mut(home).forget_away();
    }

    pub(super) fn take(&mut self, hash: u64, at: usize, slot: usize) -> Option<T> {
        let home = self.home(place(hash));
        if at != home {
            self.bucket_mut(home).forget_away();
        }
        self.bucket_mut(at).take(slot)
    }

    /// Takes out all items of a home but those in the crowd.
    pub(super) fn take_home(
        &mut self,
        home: usize,
        hasher: &KeyHasher,
        mut take: impl FnMut(u64, T),
    ) {
        for at in home..self.end(home) {
            for slot in 0..SLOTS {
                let hash = self.bucket(at).get(slot).map(|item| item.hash(hasher));
                if let Some(hash) = hash.filter(|&hash| self.home(place(hash)) == home)
                    && let Some(item) = self.bucket_mut(at).take(slot)
                {
                    take(hash, item);
                }
            }
        }
    }
}
