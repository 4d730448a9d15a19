//! A hash table of handles.
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

use super::memory::LINE;
use super::pages::Handle;

/// What the items of a table are: it only knows their handles.
pub(crate) trait Items {
    fn key(&self, item: Handle) -> &[u8];

    /// Where it lies in memory.
    fn address(&self, item: Handle) -> *const u8;

    fn hash(&self, hasher: &KeyHasher, item: Handle) -> u64 {
        hasher.hash(self.key(item))
    }
}

/// So many items in the crowd, and one more for so many homes, are no reason to grow.
const LARGEST_CROWD: usize = 16;
/// How many homes are moved with one change when there is no room left before all have moved.
const MOVED_IN_HASTE: usize = 8;
const MOVED_WHEN_TIDYING: usize = 64;

#[derive(Debug)]
pub(crate) struct Table {
    array: Array,
    /// While the size changes, the array that items move out of.
    old: Option<Box<Old>>,
    /// Items that found no room near their home, with their hashes.
    crowd: Vec<Crowded>,
    length: usize,
    /// With so many items or more it is not worth looking whether the table can shrink.
    shrinks_below: usize,
    hasher: KeyHasher,
}

#[derive(Clone, Copy, Debug)]
struct Crowded {
    hash: u64,
    item: Handle,
    is_marked: bool,
}

#[derive(Debug)]
struct Old {
    array: Array,
    /// The items of the homes before this one have moved.
    moved: usize,
}

/// An item, and where it is until the table changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) item: Handle,
    pub(crate) is_marked: bool,
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
    pub(crate) fn new(mut seed: impl FnMut() -> u64) -> Self {
        KeyHasher(ahash::RandomState::with_seeds(seed(), seed(), seed(), seed()))
    }

    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        self.0.hash_one(key)
    }
}

impl Table {
    pub(crate) fn new(hasher: KeyHasher) -> Self {
        let (array, shrinks_below) = (Array::new(0), usize::MAX);
        Table { array, old: None, crowd: Vec::new(), length: 0, shrinks_below, hasher }
    }

    pub(crate) const fn len(&self) -> usize {
        self.length
    }

    /// What it takes beside its own size, more or less.
    pub(crate) fn heap_bytes(&self) -> usize {
        let old = self.old.as_ref().map_or(0, |old| old.array.homes() - old.moved);
        (self.array.len() + old) * LINE
    }

    pub(crate) fn find(&self, hash: u64, key: &[u8], items: &impl Items) -> Option<Found> {
        if self.length == 0 {
            return None;
        }
        let (region, array) = self.home_of(hash);
        if let Some((at, slot, item)) = array.find(hash, key, items) {
            let is_marked = array.bucket(at).is_marked(slot);
            return Some(Found { item, is_marked, region, at, slot });
        }
        if !array.is_crowded(hash) {
            return None;
        }
        let is_it = |other: &Crowded| other.hash == hash && items.key(other.item) == key;
        let at = self.crowd.iter().position(is_it)?;
        let Crowded { item, is_marked, .. } = self.crowd[at];
        Some(Found { item, is_marked, region: Region::Crowd, at, slot: 0 })
    }

    /// Puts an item with the same key in the place of another.
    pub(crate) fn replace(&mut self, found: Found, item: Handle, is_marked: bool) {
        let Found { region, at, slot, .. } = found;
        let array = match (region, &mut self.old) {
            (Region::Crowd, _) => {
                let crowded = &mut self.crowd[at];
                (crowded.item, crowded.is_marked) = (item, is_marked);
                return;
            }
            (Region::Old, Some(old)) => &mut old.array,
            _ => &mut self.array,
        };
        array.bucket_mut(at).replace(slot, item, is_marked);
    }

    /// Adds an item whose key is not there.
    pub(crate) fn insert(&mut self, hash: u64, item: Handle, is_marked: bool, items: &impl Items) {
        if self.is_crowded() {
            self.grow(items);
        }
        self.step(items);
        self.length += 1;
        let crowd = &mut self.crowd;
        let array = match &mut self.old {
            Some(old) if old.has(place(hash)) => &mut old.array,
            _ => &mut self.array,
        };
        settle(array, crowd, Crowded { hash, item, is_marked });
    }

    pub(crate) fn remove(&mut self, hash: u64, found: Found, items: &impl Items) {
        let Found { region, at, slot, .. } = found;
        match region {
            Region::Array | Region::Old => self.array_for(hash).remove(hash, at, slot),
            Region::Crowd => {
                self.array_for(hash).leave_crowd(hash);
                self.crowd.swap_remove(at);
            }
        }
        self.length -= 1;
        if self.length == 0 {
            *self = Table::new(self.hasher.clone());
        } else {
            self.shrink();
            self.step(items);
            self.step(items);
        }
    }

    /// Goes on with a change of size when nothing else does; whether there is more to do.
    pub(crate) fn tidy(&mut self, items: &impl Items) -> bool {
        self.shrink();
        for _ in 0..MOVED_WHEN_TIDYING {
            self.step(items);
        }
        self.old.is_some()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Handle> {
        let old = self.old.iter().flat_map(|old| old.array.buckets());
        let crowd = self.crowd.iter().map(|crowded| crowded.item);
        self.array.buckets().chain(old).flat_map(Bucket::items).chain(crowd)
    }

    /// Visits the items at `cursor` and gives the next cursor, 0 at the end. Whatever happens
    /// between the calls, an item that is there all the time is visited once.
    pub(crate) fn scan(
        &self,
        cursor: u64,
        items: &impl Items,
        mut visit: impl FnMut(Handle),
    ) -> u64 {
        if self.length == 0 || cursor >= PLACES {
            return 0;
        }
        let (array, end) = self.stretch(cursor);
        let home = array.home(cursor);
        let next = array.start(home + 1).min(end);
        let in_turn = |hash: u64| (cursor..next).contains(&place(hash));
        for at in home..array.end(home) {
            let found = array.bucket(at).items();
            found.filter(|&item| in_turn(items.hash(&self.hasher, item))).for_each(&mut visit);
        }
        if array.bucket(home).is_crowded() {
            let crowd = self.crowd.iter().filter(|crowded| in_turn(crowded.hash));
            crowd.for_each(|crowded| visit(crowded.item));
        }
        if next == PLACES { 0 } else { next }
    }

    /// Visits the marked items of so many buckets from a place in the order on, and counts them. It
    /// may pass over items that the table moves meanwhile.
    pub(crate) fn marked(&self, place: u32, buckets: usize, visit: impl FnMut(Handle)) -> usize {
        if self.length == 0 {
            return 0;
        }
        let (array, _) = self.stretch(u64::from(place));
        let home = array.home(u64::from(place));
        // What has no room behind the last home lies in the crowd.
        let is_last = home + buckets >= array.homes();
        let end = if is_last { array.len() } else { home + buckets };
        let visited = (home..end).filter_map(|at| array.get(at));
        let crowd = self.crowd.iter().filter(|crowded| is_last && crowded.is_marked);
        let crowd = crowd.map(|crowded| crowded.item);
        visited.flat_map(Bucket::marked).chain(crowd).map(visit).count()
    }

    /// The item that a random number falls on, if it does on one: each with the same chance.
    pub(crate) fn pick(&self, number: u64) -> Option<Handle> {
        let lengths = [self.array.len(), self.old.as_ref().map_or(0, |old| old.array.len())];
        let [new, old] = lengths.map(|length| length * SLOTS);
        let total = new + old + self.crowd.len();
        let at = ((u128::from(number) * total as u128) >> 64) as usize;
        match &self.old {
            _ if at < new => self.array.slot(at),
            Some(moving) if at < new + old => moving.array.slot(at - new),
            _ => self.crowd.get(at - new - old).map(|crowded| crowded.item),
        }
    }

    /// Has the home of a hash brought near, without waiting for it.
    pub(crate) fn prefetch_home(&self, hash: u64) {
        if self.length > 0 {
            let array = self.home_of(hash).1;
            prefetch(array.bucket(array.home(place(hash))).0.as_ptr());
        }
    }

    /// Has the item that probably has this hash brought near.
    pub(crate) fn prefetch_item(&self, hash: u64, items: &impl Items) {
        if self.length > 0 {
            let array = self.home_of(hash).1;
            let bucket = array.bucket(array.home(place(hash)));
            let likely = bucket.candidates(bucket::tag(hash));
            likely.for_each(|(_, item)| prefetch_item(items.address(item)));
        }
    }

    /// The array that an item with this hash is in, or would be.
    fn home_of(&self, hash: u64) -> (Region, &Array) {
        match &self.old {
            Some(old) if old.has(place(hash)) => (Region::Old, &old.array),
            _ => (Region::Array, &self.array),
        }
    }

    /// The array that is in charge at this place, and the place up to which it is.
    fn stretch(&self, cursor: u64) -> (&Array, u64) {
        match &self.old {
            Some(old) if old.has(cursor) => (&old.array, PLACES),
            Some(old) => (&self.array, old.array.start(old.moved)),
            None => (&self.array, PLACES),
        }
    }

    /// The same, to change it.
    fn array_for(&mut self, hash: u64) -> &mut Array {
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

    fn grow(&mut self, items: &impl Items) {
        for _ in 0..MOVED_IN_HASTE {
            self.step(items);
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
    fn step(&mut self, items: &impl Items) {
        let Table { array, crowd, hasher, .. } = self;
        let Some(old) = &mut self.old else {
            return;
        };
        let home = old.moved;
        if old.array.bucket(home).is_crowded() {
            let belongs = |crowded: &mut Crowded| old.array.home(place(crowded.hash)) == home;
            for crowded in crowd.extract_if(.., belongs).collect::<Vec<_>>() {
                settle(array, crowd, crowded);
            }
        }
        let hash = |item| items.hash(hasher, item);
        old.array.take_home(home, hash, |hash, item, is_marked| {
            settle(array, crowd, Crowded { hash, item, is_marked });
        });
        old.moved += 1;
        old.array.leave_behind(old.moved);
        if old.moved == old.array.homes() {
            array.reach(array.len() - 1);
            self.old = None;
            return;
        }
        array.reach(array.home(old.array.start(old.moved)));
        let next = old.array.bucket(old.moved).items();
        next.for_each(|item| prefetch_item(items.address(item)));
    }
}

impl Old {
    /// Whether items at this place in the order have not moved.
    fn has(&self, place: u64) -> bool {
        self.array.home(place) >= self.moved
    }
}

/// Puts an item where it belongs, or into the crowd if there is no room.
fn settle(array: &mut Array, crowd: &mut Vec<Crowded>, crowded: Crowded) {
    if !array.insert(crowded.hash, crowded.item, crowded.is_marked) {
        crowd.push(crowded);
    }
}

/// How many items there may be before a table with so many homes grows.
const fn capacity(homes: usize) -> usize {
    homes * SLOTS * 13 / 16
}

/// Brings an item near: where it begins, and the line after that, which most reach into.
fn prefetch_item(address: *const u8) {
    prefetch(address);
    prefetch(address.wrapping_add(LINE - 1));
}

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
