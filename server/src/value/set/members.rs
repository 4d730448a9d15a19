//! Members of any number and length, in slots that a table finds.

use std::fmt;
use std::sync::Arc;

use crate::random::Random;
use crate::storage::memory::Memory;
use crate::storage::{Handle, Items, KeyHasher, Pages, Table, slot_bytes};

pub(crate) struct Members {
    table: Table,
    slots: Slots,
    hasher: KeyHasher,
}

/// Each slot has a member behind its length: one byte, or a mark and four bytes.
#[derive(Clone, Default)]
struct Slots {
    pages: Pages<Arc<Memory>>,
    count: usize,
}

const LONG: u8 = u8::MAX;
const LONG_HEAD: usize = 5;

impl Members {
    pub(super) fn new(hasher: &KeyHasher) -> Self {
        let (table, slots) = (Table::new(hasher.clone()), Slots::default());
        Members { table, slots, hasher: hasher.clone() }
    }

    pub(super) const fn len(&self) -> usize {
        self.slots.count
    }

    /// What shares the memory of these members for as long as they stay as they are. It only tells which they are, by
    /// `visit`, and finds none.
    pub(super) fn still(&self) -> Self {
        let (table, slots) = (Table::new(self.hasher.clone()), self.slots.clone());
        Members { table, slots, hasher: self.hasher.clone() }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        size_of::<Self>() + self.table.heap_bytes() + self.slots.pages.bytes()
    }

    pub(super) fn add(&mut self, member: &[u8]) -> bool {
        let hash = self.hasher.hash(member);
        if self.table.find(hash, member, &self.slots).is_some() {
            return false;
        }
        let handle = self.slots.add(member);
        self.table.insert(hash, handle, false, &self.slots);
        true
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let hash = self.hasher.hash(member);
        let Some(found) = self.table.find(hash, member, &self.slots) else {
            return false;
        };
        self.table.remove(hash, found, &self.slots);
        self.slots.remove(found.item);
        true
    }

    pub(super) fn contains(&self, member: &[u8]) -> bool {
        self.table.find(self.hasher.hash(member), member, &self.slots).is_some()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.table.iter().map(|handle| self.slots.key(handle))
    }

    /// In the order in which they lie in memory.
    pub(super) fn visit<'s>(&'s self, visit: impl FnMut(&'s [u8])) {
        self.slots.pages.taken().map(member).for_each(visit);
    }

    pub(super) fn pick(&self, random: &Random) -> Option<&[u8]> {
        const ATTEMPTS: usize = 1000;
        let picked = (0..ATTEMPTS).find_map(|_| self.table.pick(random.next()));
        picked.or_else(|| self.table.iter().next()).map(|handle| self.slots.key(handle))
    }

    pub(super) fn scan(&self, cursor: u64, mut visit: impl FnMut(&[u8])) -> u64 {
        self.table.scan(cursor, &self.slots, |handle| visit(self.slots.key(handle)))
    }
}

impl Clone for Members {
    fn clone(&self) -> Self {
        let mut members = Members::new(&self.hasher);
        self.iter().for_each(|member| {
            members.add(member);
        });
        members
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Slots {
    fn add(&mut self, member: &[u8]) -> Handle {
        let head = if member.len() < usize::from(LONG) { 1 } else { LONG_HEAD };
        let handle = self.pages.take(slot_bytes(head + member.len()));
        let slot = self.pages.get_mut(handle);
        if head == 1 {
            slot[0] = member.len() as u8;
        } else {
            slot[0] = LONG;
            slot[1..LONG_HEAD].copy_from_slice(&(member.len() as u32).to_le_bytes());
        }
        slot[head..][..member.len()].copy_from_slice(member);
        self.count += 1;
        handle
    }

    fn remove(&mut self, handle: Handle) {
        self.pages.give_back(handle);
        self.count -= 1;
    }
}

/// The member in a slot.
fn member(slot: &[u8]) -> &[u8] {
    match slot[0] {
        LONG => {
            let length = slot[1..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
            &slot[LONG_HEAD..][..length as usize]
        }
        length => &slot[1..][..usize::from(length)],
    }
}

impl Items for Slots {
    fn key(&self, handle: Handle) -> &[u8] {
        member(self.pages.get(handle))
    }

    fn address(&self, handle: Handle) -> *const u8 {
        self.pages.get(handle).as_ptr()
    }
}
