//! One cache line of a table: seven items with a byte about each.
//!
//! The byte of an item is its tag: seven bits of its hash, and whether it is marked. Comparing
//! all tags at once with the wanted one finds the items worth looking at. The eighth byte says
//! how many items that belong here lie elsewhere, and how far away.

use super::Keyed;

/// How many items a bucket holds.
pub(super) const SLOTS: usize = 7;
/// How far from home an item may lie, in buckets. The next number stands for the crowd.
pub(super) const FURTHEST: usize = 14;
pub(super) const IN_CROWD: usize = FURTHEST + 1;

#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Bucket<T> {
    /// For each slot 0 if it is free, otherwise the item's tag and mark. In the last byte, how many
    /// items are away in the upper half, and how far at most in the lower.
    tags: [u8; SLOTS + 1],
    items: [Option<T>; SLOTS],
}

const MARK: u8 = 0x80;
const TAG: u8 = 0x7f;
const AWAY: usize = SLOTS;
const ONE_AWAY: u8 = 0x10;
const COUNT: u8 = 0xf0;
const REACH: u8 = 0x0f;

/// Words with the same in the byte of each slot, and nothing in the last byte.
const ONES: u64 = 0x0001_0101_0101_0101;
const TAGS: u64 = ONES * TAG as u64;
const HIGHEST_BITS: u64 = ONES << 7;

/// The tag of a hash, from 1 to 127.
pub(super) const fn tag(hash: u64) -> u8 {
    let bits = hash as u8 & TAG;
    if bits == 0 { 1 } else { bits }
}

impl<T> Default for Bucket<T> {
    fn default() -> Self {
        Bucket { tags: [0; SLOTS + 1], items: [const { None }; SLOTS] }
    }
}

impl<T: Keyed> Bucket<T> {
    /// The item with this key, and its slot.
    pub(super) fn find(&self, tag: u8, key: &[u8]) -> Option<(usize, &T)> {
        self.candidates(tag).find_map(|slot| {
            let item = self.items[slot].as_ref()?;
            (item.key() == key).then_some((slot, item))
        })
    }

    /// The slots whose tag is this one, and now and then another.
    pub(super) fn candidates(&self, tag: u8) -> impl Iterator<Item = usize> + use<T> {
        let differences = (self.word() & TAGS) ^ (ONES * u64::from(tag));
        slots_with_zero(differences)
    }

    pub(super) fn insert(&mut self, slot: usize, tag: u8, item: T) {
        self.tags[slot] = tag;
        self.items[slot] = Some(item);
        self.refresh_mark(slot);
    }

    /// Takes over from the item whether it is marked.
    pub(super) fn refresh_mark(&mut self, slot: usize) {
        let is_marked = self.items[slot].as_ref().is_some_and(Keyed::is_marked);
        self.tags[slot] = self.tags[slot] & TAG | if is_marked { MARK } else { 0 };
    }

    pub(super) fn take(&mut self, slot: usize) -> Option<T> {
        self.tags[slot] = 0;
        self.items[slot].take()
    }
}

impl<T> Bucket<T> {
    pub(super) fn free_slot(&self) -> Option<usize> {
        // The lowest zero byte is always found exactly.
        slots_with_zero(self.word()).next()
    }

    pub(super) const fn get(&self, slot: usize) -> Option<&T> {
        self.items[slot].as_ref()
    }

    pub(super) const fn get_mut(&mut self, slot: usize) -> Option<&mut T> {
        self.items[slot].as_mut()
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &T> {
        self.items.iter().flatten()
    }

    pub(super) fn marked(&self) -> impl Iterator<Item = &T> {
        slots(self.word() & HIGHEST_BITS).filter_map(|slot| self.items[slot].as_ref())
    }

    /// How far away items that belong here may lie; 0 if they are all here.
    pub(super) fn reach(&self) -> usize {
        usize::from(self.tags[AWAY] & REACH).min(FURTHEST)
    }

    /// Whether items that belong here may be in the crowd.
    pub(super) fn is_crowded(&self) -> bool {
        usize::from(self.tags[AWAY] & REACH) == IN_CROWD
    }

    /// Notes that one more item lies so far away.
    pub(super) fn send_away(&mut self, distance: usize) {
        let count = (self.tags[AWAY] & COUNT).saturating_add(ONE_AWAY) & COUNT;
        self.tags[AWAY] = count | (self.tags[AWAY] & REACH).max(distance as u8);
    }

    /// Notes that an item that was away is gone. Of more than can be counted, some may always be
    /// left.
    pub(super) fn forget_away(&mut self) {
        let count = self.tags[AWAY] & COUNT;
        if count == ONE_AWAY {
            self.tags[AWAY] = 0;
        } else if count != COUNT {
            self.tags[AWAY] -= ONE_AWAY;
        }
    }

    const fn word(&self) -> u64 {
        u64::from_le_bytes(self.tags)
    }
}

/// The slots whose byte is zero, and sometimes others after the first of them.
fn slots_with_zero(word: u64) -> impl Iterator<Item = usize> {
    slots(word.wrapping_sub(ONES) & !word & HIGHEST_BITS)
}

/// The slots whose highest bit is set.
fn slots(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let slot = bits.trailing_zeros() as usize / 8;
        bits &= bits.wrapping_sub(1);
        (slot < SLOTS).then_some(slot)
    })
}
