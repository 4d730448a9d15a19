//! The hash table of one database in one shard.
//!
//! Items lie in the order of their hashes: of `n` buckets, bucket `i` is home to the `i`-th of `n`
//! equal parts of all hashes. From this order follows the rest. A table may have any number of
//! buckets. While it grows or shrinks, one comparison tells what has moved from what has not. And
//! the cursor of a scan is a place in the order: what comes before it has been visited, however
//! often the table has changed its size meanwhile.
//!
//! It grows and shrinks by a bucket or two with each change, and both the new and the old array
//! only take memory for the part that is in use, so that no single change pays for the rest.
//!
//! An item that finds no room at home lies in one of the next buckets. If those are full as well,
//! which a keyed hash makes very rare, it is kept in the crowd.

mod array;
mod bucket;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod model;
#[cfg(test)]
mod tests;

use array::{Array, PLACES, place};
use bucket::{Bucket, SLOTS};

/// What can be kept in a table.
pub(crate) trait Keyed {
    fn key(&self) -> &[u8];

    /// Whether `Table::marked` visits it.
    fn is_marked(&self) -> bool;

    /// Where it lies in memory.
    fn address(&self) -> *const u8;

    fn hash(&self, hasher: &KeyHasher) -> u64 {
        hasher.hash(self.key())
    }
}

/// So many items in the crowd, and one more for so many homes, are no reason to grow.
const LARGEST_CROWD: usize = 16;
/// How many homes are moved with one change when there is no room left before all have moved.
const MOVED_IN_HASTE: usize = 8;
const MOVED_WHEN_TIDYING: usize = 64;

#[derive(Debug)]
pub(super) struct Table<T> {
    array: Array<T>,
    /// While the size changes, the array that items move out of.
    old: Option<Box<Old<T>>>,
    /// Items that found no room near their home, with their hashes.
    crowd: Vec<(u64, T)>,
    length: usize,
    /// With so many items or more it is not worth looking whether the table can shrink.
    shrinks_below: usize,
    hasher: KeyHasher,
}

#[derive(Debug)]
struct Old<T> {
    array: Array<T>,
    /// The items of the homes before this one have moved.
    moved: usize,
}

/// Where an item is, until the table changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    region: Region,
    at: usize,
    slot: usize,
}

#[derive(Clone, Copy, Debug)]
enum Region {
    Array,
    Old,
    Crowd,
}

/// A function from keys to hashes that only the server knows.
#[derive(Clone, Debug)]
pub(crate) struct KeyHasher(ahash::RandomState);

impl KeyHasher {
    pub(super) fn new(mut seed: impl FnMut() -> u64) -> Self {
        KeyHasher(ahash::RandomState::with_seeds(seed(), seed(), seed(), seed()))
    }

    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        self.0.hash_one(key)
    }
}

impl<T: Keyed> Table<T> {
    pub(super) fn new(hasher: KeyHasher) -> Self {
        let (array, shrinks_below) = (Array::new(0), usize::MAX);
        Table { array, old: None, crowd: Vec::new(), length: 0, shrinks_below, hasher }
    }

    pub(super) const fn len(&self) -> usize {
        self.length
    }

    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<(Position, &T)> {
        if self.length == 0 {
            return None;
        }
        let (region, array) = self.home_of(hash);
        if let Some((at, slot, item)) = array.find(hash, key) {
            return Some((Position { region, at, slot }, item));
        }
        if !array.is_crowded(hash) {
            return None;
        }
        let is_it = |(other, item): &(u64, T)| *other == hash && item.key() == key;
        let at = self.crowd.iter().position(is_it)?;
        Some((Position { region: Region::Crowd, at, slot: 0 }, &self.crowd[at].1))
    }

    pub(super) fn get(&self, position: Position) -> &T {
        let Position { region, at, slot } = position;
        let item = match region {
            Region::Array => self.array.bucket(at).get(slot),
            Region::Old => self.old.as_ref().and_then(|old| old.array.bucket(at).get(slot)),
            Region::Crowd => self.crowd.get(at).map(|(_, item)| item),
        };
        item.expect(POSITION_HOLDS)
    }

    /// For changes that leave key and mark as they are.
    pub(super) fn get_mut(&mut self, position: Position) -> &mut T {
        let Position { region, at, slot } = position;
        let item = match region {
            Region::Array => self.array.bucket_mut(at).get_mut(slot),
            Region::Old => self.old.as_mut().and_then(|old| old.array.bucket_mut(at).get_mut(slot)),
            Region::Crowd => self.crowd.get_mut(at).map(|(_, item)| item),
        };
        item.expect(POSITION_HOLDS)
    }

    /// For changes that leave the key as it is.
    pub(super) fn change<R>(&mut self, position: Position, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(self.get_mut(position));
        let Position { region, at, slot } = position;
        match (region, &mut self.old) {
            (Region::Array, _) => self.array.bucket_mut(at).refresh_mark(slot),
            (Region::Old, Some(old)) => old.array.bucket_mut(at).refresh_mark(slot),
            _ => {}
        }
        result
    }

    /// Adds an item whose key is not there.
    pub(super) fn insert(&mut self, hash: u64, item: T) {
        if self.is_crowded() {
            self.grow();
        }
        self.step();
        self.length += 1;
        let crowd = &mut self.crowd;
        let array = match &mut self.old {
            Some(old) if old.has(place(hash)) => &mut old.array,
            _ => &mut self.array,
        };
        settle(array, crowd, hash, item);
    }

    pub(super) fn remove(&mut self, hash: u64, position: Position) -> T {
        let Position { region, at, slot } = position;
        let removed = match region {
            Region::Array | Region::Old => self.array_for(hash).take(hash, at, slot),
            Region::Crowd => {
                self.array_for(hash).leave_crowd(hash);
                Some(self.crowd.swap_remove(at).1)
            }
        };
        self.length -= 1;
        if self.length == 0 {
            *self = Table::new(self.hasher.clone());
        } else {
            self.shrink();
            self.step();
            self.step();
        }
        removed.expect(POSITION_HOLDS)
    }

    /// Goes on with a change of size when nothing else does; whether there is more to do.
    pub(super) fn tidy(&mut self) -> bool {
        self.shrink();
        for _ in 0..MOVED_WHEN_TIDYING {
            self.step();
        }
        self.old.is_some()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        let old = self.old.iter().flat_map(|old| old.array.buckets());
        let crowd = self.crowd.iter().map(|(_, item)| item);
        self.array.buckets().chain(old).flat_map(Bucket::items).chain(crowd)
    }

    /// Visits the items at `cursor` and gives the next cursor, 0 at the end. Whatever happens
    /// between the calls, an item that is there all the time is visited once.
    pub(super) fn scan(&self, cursor: u64, mut visit: impl FnMut(&T)) -> u64 {
        if self.length == 0 || cursor >= PLACES {
            return 0;
        }
        let (array, end) = self.stretch(cursor);
        let home = array.home(cursor);
        let next = array.start(home + 1).min(end);
        let in_turn = |hash: u64| (cursor..next).contains(&place(hash));
        for at in home..array.end(home) {
            let items = array.bucket(at).items();
            items.filter(|item| in_turn(item.hash(&self.hasher))).for_each(&mut visit);
        }
        if array.bucket(home).is_crowded() {
            let crowd = self.crowd.iter().filter(|(hash, _)| in_turn(*hash));
            crowd.for_each(|(_, item)| visit(item));
        }
        if next == PLACES { 0 } else { next }
    }

    /// Visits the marked items of so many buckets from a place in the order on, and counts them. It
    /// may pass over items that the table moves meanwhile.
    pub(super) fn marked(&self, place: u32, buckets: usize, mut visit: impl FnMut(&T)) -> usize {
        if self.length == 0 {
            return 0;
        }
        let (array, _) = self.stretch(u64::from(place));
        let home = array.home(u64::from(place));
        // What has no room behind the last home lies in the crowd.
        let is_last = home + buckets >= array.homes();
        let end = if is_last { array.len() } else { home + buckets };
        let visited = (home..end).filter_map(|at| array.get(at));
        let crowd = self.crowd.iter().filter(|_| is_last).map(|(_, item)| item);
        let marked = visited.flat_map(Bucket::marked).chain(crowd.filter(|item| item.is_marked()));
        marked.map(&mut visit).count()
    }

    /// The item that a random number falls on, if it does on one: each with the same chance.
    pub(super) fn pick(&self, number: u64) -> Option<&T> {
        let lengths = [self.array.len(), self.old.as_ref().map_or(0, |old| old.array.len())];
        let [new, old] = lengths.map(|length| length * SLOTS);
        let total = new + old + self.crowd.len();
        let at = ((u128::from(number) * total as u128) >> 64) as usize;
        match &self.old {
            _ if at < new => self.array.slot(at),
            Some(moving) if at < new + old => moving.array.slot(at - new),
            _ => self.crowd.get(at - new - old).map(|(_, item)| item),
        }
    }

    /// Has the home of a hash brought near, without waiting for it.
    pub(super) fn prefetch_home(&self, hash: u64) {
        if self.length > 0 {
            let array = self.home_of(hash).1;
            prefetch(array.bucket(array.home(place(hash))));
        }
    }

    /// Has the item that probably has this hash brought near.
    pub(super) fn prefetch_item(&self, hash: u64) {
        if self.length > 0 {
            let array = self.home_of(hash).1;
            let bucket = array.bucket(array.home(place(hash)));
            let likely = bucket.candidates(bucket::tag(hash)).filter_map(|slot| bucket.get(slot));
            likely.for_each(prefetch_item);
        }
    }

    /// The array that an item with this hash is in, or would be.
    fn home_of(&self, hash: u64) -> (Region, &Array<T>) {
        match &self.old {
            Some(old) if old.has(place(hash)) => (Region::Old, &old.array),
            _ => (Region::Array, &self.array),
        }
    }

    /// The array that is in charge at this place, and the place up to which it is.
    fn stretch(&self, cursor: u64) -> (&Array<T>, u64) {
        match &self.old {
            Some(old) if old.has(cursor) => (&old.array, PLACES),
            Some(old) => (&self.array, old.array.start(old.moved)),
            None => (&self.array, PLACES),
        }
    }

    /// The same, to change it.
    fn array_for(&mut self, hash: u64) -> &mut Array<T> {
        match &mut self.old {
            Some(old) if old.has(place(hash)) => &mut old.array,
            _ => &mut self.array,
        }
    }

    /// Whether there is too little room. Keys that are deleted in the order of a scan leave the
    /// rest close together, so that a part may be full while most of the table is empty.
    fn is_crowded(&self) -> bool {
        let homes = self.array.homes();
        self.length >= capacity(homes) || self.crowd.len() > LARGEST_CROWD + homes / 256
    }

    fn grow(&mut self) {
        for _ in 0..MOVED_IN_HASTE {
            self.step();
        }
        if self.old.is_none() {
            let homes = self.array.homes();
            self.shrinks_below = usize::MAX;
            self.resize((homes + homes / 2).max(homes + 1));
        }
    }

    /// Shrinks if the table has become nearly empty, and that everywhere: half the buckets could
    /// not hold what is left if it lies close together. Then it is tried again when less is left.
    fn shrink(&mut self) {
        let homes = self.array.homes();
        let few = capacity(homes) / 3;
        if self.old.is_some() || homes == 1 || self.length >= few.min(self.shrinks_below) {
            return;
        }
        self.shrinks_below = usize::MAX;
        if self.array.has_full_part() {
            self.shrinks_below = self.length / 4 * 3;
        } else {
            self.resize(homes / 2);
        }
    }

    fn resize(&mut self, homes: usize) {
        let mut array = Array::new(homes);
        array.reach(0);
        let array = std::mem::replace(&mut self.array, array);
        if array.homes() > 0 {
            self.old = Some(Box::new(Old { array, moved: 0 }));
        }
    }

    /// Moves the items of one more home, if the size is changing.
    fn step(&mut self) {
        let Table { array, crowd, hasher, .. } = self;
        let Some(old) = &mut self.old else {
            return;
        };
        let home = old.moved;
        if old.array.bucket(home).is_crowded() {
            let belongs = |(hash, _): &mut (u64, T)| old.array.home(place(*hash)) == home;
            for (hash, item) in crowd.extract_if(.., belongs).collect::<Vec<_>>() {
                settle(array, crowd, hash, item);
            }
        }
        old.array.take_home(home, hasher, |hash, item| settle(array, crowd, hash, item));
        old.moved += 1;
        old.array.leave_behind(old.moved);
        if old.moved == old.array.homes() {
            array.reach(array.len() - 1);
            self.old = None;
            return;
        }
        array.reach(array.home(old.array.start(old.moved)));
        old.array.bucket(old.moved).items().for_each(prefetch_item);
    }
}

impl<T> Old<T> {
    /// Whether items at this place in the order have not moved.
    fn has(&self, place: u64) -> bool {
        self.array.home(place) >= self.moved
    }
}

/// Puts an item where it belongs, or into the crowd if there is no room.
fn settle<T: Keyed>(array: &mut Array<T>, crowd: &mut Vec<(u64, T)>, hash: u64, item: T) {
    if let Err(item) = array.insert(hash, item) {
        crowd.push((hash, item));
    }
}

/// How many items there may be before a table with so many homes grows.
const fn capacity(homes: usize) -> usize {
    homes * SLOTS * 13 / 16
}

const POSITION_HOLDS: &str = "the table has not changed since the item was found";

/// Brings an item near: where it begins, and the line after that, which most reach into.
fn prefetch_item<T: Keyed>(item: &T) {
    let address = item.address();
    prefetch(address);
    prefetch(address.wrapping_add(CACHE_LINE - 1));
}

const CACHE_LINE: usize = 64;

/// Asks for a line of memory ahead of its use. It is a hint: nothing is read, and no address is
/// wrong.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "the standard library has no safe way to say it")]
fn prefetch<T>(address: *const T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: every processor of this architecture has the instruction, and it never faults.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
}

#[cfg(not(target_arch = "x86_64"))]
fn prefetch<T>(_: *const T) {}
