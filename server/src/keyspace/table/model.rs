//! A table beside the standard library's map: whatever is done to one is done to the other, and
//! they have to agree. Tests and fuzzing decide what is done.

use std::collections::{HashMap, HashSet};

use super::{KeyHasher, Keyed, Position, Table};

/// Turns a hash into the one that is used, to make bad luck happen.
pub(crate) type Luck = fn(u64) -> u64;

/// From hashes as they are to such as fill a few homes, or one.
pub(crate) const LUCK: [Luck; 5] = [
    |hash| hash,
    |hash| hash & 0xf000_0000_0000_007f,
    |hash| hash | 0xffff_f000_0000_0000,
    |hash| hash & 0x0000_00ff_ffff_ff00,
    |_| 0x7777_7777_7777_7777,
];

#[derive(Clone, Debug)]
pub(super) struct Item {
    key: [u8; 8],
    pub(super) value: u64,
    luck: Luck,
}

impl Item {
    const fn new(number: u64, value: u64, luck: Luck) -> Self {
        Item { key: number.to_le_bytes(), value, luck }
    }

    pub(super) const fn number(&self) -> u64 {
        u64::from_le_bytes(self.key)
    }
}

impl Keyed for Item {
    fn key(&self) -> &[u8] {
        &self.key
    }

    fn is_marked(&self) -> bool {
        self.value.is_multiple_of(3)
    }

    fn address(&self) -> *const u8 {
        self.key.as_ptr()
    }

    fn hash(&self, hasher: &KeyHasher) -> u64 {
        (self.luck)(hasher.hash(&self.key))
    }
}

/// A table beside the standard library's map, and the same done to both.
pub(crate) struct Pair {
    pub(super) table: Table<Item>,
    pub(super) model: HashMap<u64, u64>,
    luck: Luck,
}

/// In how many parts the marked items are visited.
const WINDOWS: u64 = 10;

impl Pair {
    pub(crate) fn new(luck: Luck) -> Self {
        Pair { table: Table::new(KeyHasher::new(|| 7)), model: HashMap::new(), luck }
    }

    fn position(&self, number: u64) -> (u64, Option<Position>) {
        let key = number.to_le_bytes();
        let hash = (self.luck)(self.table.hasher.hash(&key));
        (hash, self.table.find(hash, &key).map(|(position, _)| position))
    }

    pub(crate) fn put(&mut self, number: u64, value: u64) {
        let before = self.model.insert(number, value);
        match self.position(number) {
            (_, Some(position)) => {
                let replaced = self.table.change(position, |item| {
                    std::mem::replace(item, Item::new(number, value, self.luck))
                });
                assert_eq!(Some(replaced.value), before);
            }
            (hash, None) => {
                assert_eq!(before, None);
                self.table.insert(hash, Item::new(number, value, self.luck));
            }
        }
    }

    pub(crate) fn remove(&mut self, number: u64) {
        let (hash, position) = self.position(number);
        let removed = position.map(|position| self.table.remove(hash, position));
        assert_eq!(removed.map(|item| item.value), self.model.remove(&number));
    }

    pub(crate) fn look_up(&self, number: u64) {
        let found = self.position(number).1.map(|position| self.table.get(position));
        let found = found.map(|item| (item.number(), item.value));
        assert_eq!(found, self.model.get(&number).map(|&value| (number, value)));
    }

    pub(crate) fn compare(&self) {
        assert_eq!(self.table.len(), self.model.len());
        let items: HashMap<u64, u64> =
            self.table.iter().map(|item| (item.number(), item.value)).collect();
        assert_eq!(items, self.model);
        let scanned = scan(&self.table);
        assert_eq!(scanned.len(), self.model.len(), "each item is visited once");
        self.compare_marked();
    }

    /// While nothing moves, no marked item is passed over.
    fn compare_marked(&self) {
        if self.table.old.is_some() {
            return;
        }
        let mut marked = HashSet::new();
        for window in 0..=WINDOWS {
            let place = u64::from(u32::MAX) * window / WINDOWS;
            let buckets = self.table.array.homes() / WINDOWS as usize + 2;
            self.table.marked(place as u32, buckets, |item| {
                marked.insert(item.number());
            });
        }
        let expected = self.model.iter().filter(|(_, value)| value.is_multiple_of(3));
        assert_eq!(marked, expected.map(|(&number, _)| number).collect());
    }
}

fn scan(table: &Table<Item>) -> Vec<u64> {
    let (mut cursor, mut seen) = (0, Vec::new());
    loop {
        cursor = table.scan(cursor, |item| seen.push(item.number()));
        if cursor == 0 {
            return seen;
        }
    }
}
