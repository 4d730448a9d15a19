//! The buckets of a table, in the order of hashes.
//!
//! Each is home to an equal part of all hashes. They are allocated segment by segment, as far as
//! they are needed.

use super::super::memory::Memory;
use super::super::pages::Handle;
use super::Items;
use super::bucket::{Bucket, BucketMut, FURTHEST, IN_CROWD, SLOTS, tag};

/// How many buckets are allocated together.
const SEGMENT: usize = 512;
/// Behind the last home there is room for what finds none there.
const MOST_ANNEXES: usize = 8;
/// Places in the order of hashes; the upper half of a hash is its place.
pub(super) const PLACES: u64 = 1 << 32;

#[derive(Debug)]
pub(super) struct Array {
    segments: Vec<Segment>,
    homes: usize,
}

/// Some buckets, all empty at first.
#[derive(Debug)]
struct Segment {
    memory: Memory,
    length: usize,
}

/// The place of a hash in the order of hashes.
pub(super) const fn place(hash: u64) -> u64 {
    hash >> 32
}

impl Array {
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

    pub(super) fn bucket(&self, at: usize) -> Bucket<'_> {
        Bucket(self.segments[at / SEGMENT].memory.line(at % SEGMENT))
    }

    pub(super) fn bucket_mut(&mut self, at: usize) -> BucketMut<'_> {
        BucketMut(self.segments[at / SEGMENT].memory.line_mut(at % SEGMENT))
    }

    /// A bucket, if it is allocated.
    pub(super) fn get(&self, at: usize) -> Option<Bucket<'_>> {
        let segment = self.segments.get(at / SEGMENT)?;
        (at % SEGMENT < segment.length).then(|| self.bucket(at))
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
    pub(super) fn slot(&self, number: usize) -> Option<Handle> {
        self.get(number / SLOTS)?.get(number % SLOTS)
    }

    /// Allocates whatever is missing up to this bucket.
    pub(super) fn reach(&mut self, at: usize) {
        while self.segments.len() * SEGMENT <= at {
            let size = (self.len() - self.segments.len() * SEGMENT).min(SEGMENT);
            self.segments.push(Segment::new(size));
        }
    }

    /// Frees the segment that ends before this bucket, if one does.
    pub(super) fn leave_behind(&mut self, at: usize) {
        if at > 0 && at.is_multiple_of(SEGMENT) {
            self.segments[at / SEGMENT - 1] = Segment::new(0);
        }
    }

    pub(super) fn buckets(&self) -> impl Iterator<Item = Bucket<'_>> {
        self.segments.iter().flat_map(Segment::buckets)
    }

    /// The item with this key, with its bucket and slot.
    pub(super) fn find(
        &self,
        hash: u64,
        key: &[u8],
        items: &impl Items,
    ) -> Option<(usize, usize, Handle)> {
        let (home, tag) = (self.home(place(hash)), tag(hash));
        let is_it = |&(_, item): &(usize, Handle)| items.key(item) == key;
        let bucket = self.bucket(home);
        if let Some((slot, item)) = bucket.candidates(tag).find(is_it) {
            return Some((home, slot, item));
        }
        (home + 1..self.end(home)).find_map(|at| {
            let (slot, item) = self.bucket(at).candidates(tag).find(is_it)?;
            Some((at, slot, item))
        })
    }

    /// Puts an item near its home; false if there is no room, and it has to go into the crowd.
    pub(super) fn insert(&mut self, hash: u64, item: Handle, is_marked: bool) -> bool {
        let home = self.home(place(hash));
        for at in home..(home + FURTHEST + 1).min(self.len()) {
            self.reach(at);
            let Some(slot) = self.bucket(at).free_slot() else {
                continue;
            };
            if at > home {
                self.bucket_mut(home).send_away(at - home);
            }
            self.bucket_mut(at).insert(slot, tag(hash), item, is_marked);
            return true;
        }
        self.bucket_mut(home).send_away(IN_CROWD);
        false
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

    pub(super) fn remove(&mut self, hash: u64, at: usize, slot: usize) {
        let home = self.home(place(hash));
        if at != home {
            self.bucket_mut(home).forget_away();
        }
        self.bucket_mut(at).clear(slot);
    }

    /// Takes out all items of a home but those in the crowd, with their hashes and marks.
    pub(super) fn take_home(
        &mut self,
        home: usize,
        hash: impl Fn(Handle) -> u64,
        mut take: impl FnMut(u64, Handle, bool),
    ) {
        for at in home..self.end(home) {
            for slot in 0..SLOTS {
                let Some(item) = self.bucket(at).get(slot) else {
                    continue;
                };
                let hash = hash(item);
                if self.home(place(hash)) == home {
                    take(hash, item, self.bucket(at).is_marked(slot));
                    self.bucket_mut(at).clear(slot);
                }
            }
        }
    }
}

impl Segment {
    fn new(length: usize) -> Self {
        Segment { memory: Memory::lines(length), length }
    }

    fn buckets(&self) -> impl Iterator<Item = Bucket<'_>> {
        (0..self.length).map(|at| Bucket(self.memory.line(at)))
    }
}
