//! A table beside the standard library's map: whatever is done to one is done to the other, and
//! they have to agree. Tests and fuzzing decide what is done.

use std::collections::{HashMap, HashSet};

use super::{Found, Handle, Items, KeyHasher, Table};

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

/// Items whose handles are their numbers; the keys are made of them.
#[derive(Debug)]
pub(super) struct Numbers {
    keys: Vec<[u8; 8]>,
    luck: Luck,
}

impl Numbers {
    /// The handle of a number. Handles are not 0.
    fn handle(&mut self, number: u64) -> Handle {
        for missing in self.keys.len() as u64..=number {
            self.keys.push(missing.to_le_bytes());
        }
        Handle::from_number(number as u32 + 1).expect("it is not 0")
    }

    pub(super) const fn number(handle: Handle) -> u64 {
        handle.number() as u64 - 1
    }
}

impl Items for Numbers {
    fn key(&self, handle: Handle) -> &[u8] {
        &self.keys[Self::number(handle) as usize]
    }

    fn address(&self, handle: Handle) -> *const u8 {
        self.key(handle).as_ptr()
    }

    fn hash(&self, hasher: &KeyHasher, handle: Handle) -> u64 {
        (self.luck)(hasher.hash(self.key(handle)))
    }
}

/// A table beside the standard library's map, and the same done to both: the map says of each
/// number whether it is marked.
pub(crate) struct Pair {
    pub(super) table: Table,
    pub(super) items: Numbers,
    pub(super) model: HashMap<u64, bool>,
}

/// In how many parts the marked items are visited.
const WINDOWS: u64 = 10;

impl Pair {
    pub(crate) fn new(luck: Luck) -> Self {
        let items = Numbers { keys: Vec::new(), luck };
        Pair { table: Table::new(KeyHasher::new(|| 7)), items, model: HashMap::new() }
    }

    fn find(&self, number: u64) -> (u64, Option<Found>) {
        let key = number.to_le_bytes();
        let hash = (self.items.luck)(self.table.hasher.hash(&key));
        (hash, self.table.find(hash, &key, &self.items))
    }

    pub(crate) fn put(&mut self, number: u64, is_marked: bool) {
        let before = self.model.insert(number, is_marked);
        let handle = self.items.handle(number);
        match self.find(number) {
            (_, Some(found)) => {
                assert_eq!((found.item, Some(found.is_marked)), (handle, before));
                self.table.replace(found, handle, is_marked);
            }
            (hash, None) => {
                assert_eq!(before, None);
                self.table.insert(hash, handle, is_marked, &self.items);
            }
        }
    }

    pub(crate) fn remove(&mut self, number: u64) {
        let (hash, found) = self.find(number);
        assert_eq!(found.is_some(), self.model.remove(&number).is_some());
        if let Some(found) = found {
            self.table.remove(hash, found, &self.items);
        }
    }

    pub(crate) fn look_up(&self, number: u64) {
        let found = self.find(number).1.map(|found| Numbers::number(found.item));
        assert_eq!(found, self.model.contains_key(&number).then_some(number));
    }

    pub(crate) fn compare(&self) {
        assert_eq!(self.table.len(), self.model.len());
        let count = self.table.iter().count();
        let items: HashSet<u64> = self.table.iter().map(Numbers::number).collect();
        assert_eq!((count, &items), (self.model.len(), &self.model.keys().copied().collect()));
        let scanned = self.scan();
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
                marked.insert(Numbers::number(item));
            });
        }
        let expected = self.model.iter().filter(|&(_, &is_marked)| is_marked);
        assert_eq!(marked, expected.map(|(&number, _)| number).collect());
    }

    /// The numbers at a cursor, and the next cursor.
    pub(super) fn scan_at(&self, cursor: u64, mut visit: impl FnMut(u64)) -> u64 {
        self.table.scan(cursor, &self.items, |item| visit(Numbers::number(item)))
    }

    fn scan(&self) -> Vec<u64> {
        let (mut cursor, mut seen) = (0, Vec::new());
        loop {
            cursor = self.scan_at(cursor, |number| seen.push(number));
            if cursor == 0 {
                return seen;
            }
        }
    }
}
