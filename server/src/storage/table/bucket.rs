//! One line of memory of a table: twelve items with a byte about each.
//!
//! The byte of an item is its tag: seven bits of its hash, and whether it is marked. Comparing
//! all tags at once with the wanted one finds the items worth looking at. Two more bytes say how
//! many items that belong here lie elsewhere, and how far away. All bytes of a line are zero when
//! it is empty.
//!
//! ```text
//! tag of each slot: 12 | away: 1 | reach: 1 | not used: 2 | number of each item: 12 * 4
//! ```

use super::super::memory::LINE;
use super::super::pages::Handle;

/// How many items a bucket holds.
pub(super) const SLOTS: usize = 12;
/// How far from home an item may lie, in buckets. The next number stands for the crowd.
pub(super) const FURTHEST: usize = 14;
pub(super) const IN_CROWD: usize = FURTHEST + 1;

/// A bucket to be looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket<'a>(pub(super) &'a [u8; LINE]);

/// A bucket to be changed.
#[derive(Debug)]
pub(super) struct BucketMut<'a>(pub(super) &'a mut [u8; LINE]);

const MARK: u8 = 0x80;
const TAG: u8 = 0x7f;
const AWAY: usize = SLOTS;
const REACH: usize = SLOTS + 1;
const ITEMS: usize = 16;
const ITEM: usize = size_of::<u32>();

/// The first eight slots have their tags in the first word, the others in the second.
const WORDS: [u64; 2] = [0x0101_0101_0101_0101, 0x0101_0101];
/// So many places further right, the bits about the two words do not meet.
const APART: [u32; 2] = [7, 6];

/// The tag of a hash, from 1 to 127.
pub(super) const fn tag(hash: u64) -> u8 {
    let bits = hash as u8 & TAG;
    if bits == 0 { 1 } else { bits }
}

impl<'a> Bucket<'a> {
    /// The items whose tag is this one, and now and then another.
    pub(super) fn candidates(self, tag: u8) -> impl Iterator<Item = (usize, Handle)> + use<'a> {
        let bits = self.each_word(|word, ones| {
            zeros((word & (ones * u64::from(TAG))) ^ (ones * u64::from(tag)), ones)
        });
        slots(bits).filter_map(move |slot| Some((slot, self.get(slot)?)))
    }

    pub(super) fn free_slot(self) -> Option<usize> {
        // The lowest zero byte of each word is always found exactly, and comes first.
        slots(self.each_word(|word, ones| zeros(word & (ones * 0xff), ones))).next()
    }

    pub(super) fn get(self, slot: usize) -> Option<Handle> {
        let number = self.0[ITEMS + slot * ITEM..].first_chunk()?;
        Handle::from_number(u32::from_le_bytes(*number))
    }

    pub(super) fn items(self) -> impl Iterator<Item = Handle> + use<'a> {
        (0..SLOTS).filter_map(move |slot| self.get(slot))
    }

    pub(super) fn is_marked(self, slot: usize) -> bool {
        self.0[slot] & MARK != 0
    }

    pub(super) fn marked(self) -> impl Iterator<Item = Handle> + use<'a> {
        let bits = self.each_word(|word, ones| word & (ones << 7));
        slots(bits).filter_map(move |slot| self.get(slot))
    }

    /// How far away items that belong here may lie; 0 if they are all here.
    pub(super) fn reach(self) -> usize {
        usize::from(self.0[REACH]).min(FURTHEST)
    }

    /// Whether items that belong here may be in the crowd.
    pub(super) fn is_crowded(self) -> bool {
        usize::from(self.0[REACH]) == IN_CROWD
    }

    /// For each slot one bit, found with the same work on both words of tags.
    fn each_word(self, find: impl Fn(u64, u64) -> u64) -> u64 {
        let (words, _) = self.0.as_chunks();
        let word = |at: usize| find(u64::from_le_bytes(words[at]), WORDS[at]) >> APART[at];
        word(0) | word(1)
    }
}

impl BucketMut<'_> {
    pub(super) fn insert(&mut self, slot: usize, tag: u8, item: Handle, is_marked: bool) {
        self.0[slot] = tag;
        self.replace(slot, item, is_marked);
    }

    /// Puts an item with the same hash in the place of another.
    pub(super) fn replace(&mut self, slot: usize, item: Handle, is_marked: bool) {
        self.set_item(slot, item.number());
        self.0[slot] = self.0[slot] & TAG | if is_marked { MARK } else { 0 };
    }

    pub(super) fn clear(&mut self, slot: usize) {
        self.0[slot] = 0;
        self.set_item(slot, 0);
    }

    /// Notes that one more item lies so far away.
    pub(super) fn send_away(&mut self, distance: usize) {
        self.0[AWAY] = self.0[AWAY].saturating_add(1);
        self.0[REACH] = self.0[REACH].max(distance as u8);
    }

    /// Notes that an item that was away is gone. Of more than can be counted, some may always be
    /// left.
    pub(super) fn forget_away(&mut self) {
        match self.0[AWAY] {
            u8::MAX => {}
            0 | 1 => (self.0[AWAY], self.0[REACH]) = (0, 0),
            _ => self.0[AWAY] -= 1,
        }
    }

    fn set_item(&mut self, slot: usize, number: u32) {
        self.0[ITEMS + slot * ITEM..][..ITEM].copy_from_slice(&number.to_le_bytes());
    }
}

/// The highest bit of each byte that is zero, and sometimes of others after the first of them.
/// `ones` has a one in each byte that counts.
const fn zeros(word: u64, ones: u64) -> u64 {
    word.wrapping_sub(ones) & !word & (ones << 7)
}

/// The slots that have a bit each: bits of the first word's slots are a byte apart, and those of
/// the second word's right above them.
fn slots(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = bits.trailing_zeros() as usize;
        bits &= bits.wrapping_sub(1);
        (bit < u64::BITS as usize).then_some(bit / 8 + bit % 8 * 8)
    })
}
