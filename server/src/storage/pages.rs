//! Slots of many sizes, in pages of slots of one size each.
//!
//! A page goes back to the system when its last slot is free. Of each size at most one empty page
//! is kept, so that a slot that comes and goes does not take the page along each time.

use std::num::NonZeroU32;

use super::memory::{Memory, Store};

/// The place of a slot: its page, and where it begins there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle(NonZeroU32);

/// Slots begin at multiples of this.
const UNIT: usize = 8;
/// Units that a handle can tell apart in a page.
const UNITS: usize = 1 << 15;
/// The first page of a size has about so many bytes, and each further one as many as there are.
const SMALLEST_PAGE: usize = 256;
const LARGEST_PAGE: usize = UNITS * UNIT;
/// A larger slot has a page to itself.
const LARGEST_SHARED: usize = LARGEST_PAGE / 8;
/// Up to this size there is one for every multiple of a unit; above, eight for each doubling.
const FINE: usize = 512;
const SIZES_PER_DOUBLING: usize = 8;

#[derive(Clone, Debug)]
pub(crate) struct Pages<M = Memory> {
    all: Vec<Page<M>>,
    /// Pages that have been given back.
    absent: Vec<u32>,
    sizes: Vec<Size>,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Page<M> {
    memory: M,
    slot_bytes: usize,
    slots: u32,
    /// Slots up to here have been in use.
    used: u32,
    taken: u32,
    /// The slot that was left last; each of them begins with the one before.
    vacant: Option<Handle>,
    /// Which of the pages of its size with room it is.
    place: u32,
}

/// The pages with slots of one size.
#[derive(Clone, Debug, Default)]
struct Size {
    with_room: Vec<u32>,
    /// One of them that is empty.
    spare: Option<u32>,
    /// What all its pages take.
    bytes: usize,
}

impl Handle {
    fn new(page: u32, offset: usize) -> Self {
        let number = (page as usize + 1) * UNITS + offset / UNIT;
        let number = u32::try_from(number).ok().and_then(NonZeroU32::new);
        Handle(number.expect("what has one table takes less than 32 GiB"))
    }

    pub(crate) const fn from_number(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Handle(number)),
            None => None,
        }
    }

    pub(crate) const fn number(self) -> u32 {
        self.0.get()
    }

    const fn page(self) -> usize {
        self.0.get() as usize / UNITS - 1
    }

    const fn offset(self) -> usize {
        self.0.get() as usize % UNITS * UNIT
    }
}

/// What a slot takes that has room for so many bytes.
pub(crate) const fn slot_bytes(bytes: usize) -> usize {
    if bytes <= FINE {
        bytes.next_multiple_of(UNIT)
    } else if bytes <= LARGEST_SHARED {
        bytes.next_multiple_of(step(bytes))
    } else {
        bytes.next_multiple_of(LARGEST_SHARED / SIZES_PER_DOUBLING)
    }
}

/// The difference between sizes that are about so large.
const fn step(bytes: usize) -> usize {
    (1 << (bytes - 1).ilog2()) / SIZES_PER_DOUBLING
}

/// The number of a size. All slots that have a page to themselves share one.
const fn size_number(slot_bytes: usize) -> usize {
    if slot_bytes <= FINE {
        return slot_bytes / UNIT;
    }
    let shared = if slot_bytes <= LARGEST_SHARED { slot_bytes } else { LARGEST_SHARED + 1 };
    let doubling = (shared - 1).ilog2();
    let within = (shared - (1 << doubling)).div_ceil(step(shared));
    FINE / UNIT + (doubling - FINE.ilog2()) as usize * SIZES_PER_DOUBLING + within
}

impl<M> Default for Pages<M> {
    fn default() -> Self {
        Pages { all: Vec::new(), absent: Vec::new(), sizes: Vec::new(), bytes: 0 }
    }
}

impl<M: Store> Pages<M> {
    /// A slot of exactly this size, which is one of those that `slot_bytes` gives. What it contains
    /// is left over from earlier.
    pub(crate) fn take(&mut self, slot_bytes: usize) -> Handle {
        let number = size_number(slot_bytes);
        if number >= self.sizes.len() {
            self.sizes.resize_with(number + 1, Size::default);
        }
        let page = match self.sizes[number].with_room.last() {
            Some(&page) => page,
            None => self.add_page(slot_bytes),
        };
        let size = &mut self.sizes[number];
        if size.spare == Some(page) {
            size.spare = None;
        }
        let taken = &mut self.all[page as usize];
        let handle = taken.take_slot(page);
        if !taken.has_room() {
            size.with_room.pop();
        }
        handle
    }

    pub(crate) fn give_back(&mut self, handle: Handle) {
        let number = handle.page() as u32;
        let page = &mut self.all[handle.page()];
        let size = &mut self.sizes[size_number(page.slot_bytes)];
        if !page.has_room() {
            page.place = size.with_room.len() as u32;
            size.with_room.push(number);
        }
        page.leave_slot(handle);
        if page.taken == 0 {
            if let Some(spare) = size.spare.replace(number) {
                self.drop_page(spare);
            }
            if self.all[handle.page()].slots == 1 {
                self.drop_page(number);
            }
        }
    }

    pub(crate) fn get(&self, handle: Handle) -> &[u8] {
        let page = &self.all[handle.page()];
        page.memory.get(handle.offset(), page.slot_bytes)
    }

    pub(crate) fn get_mut(&mut self, handle: Handle) -> &mut [u8] {
        let page = &mut self.all[handle.page()];
        page.memory.get_mut(handle.offset(), page.slot_bytes)
    }

    /// All slots that are taken, page by page.
    pub(crate) fn taken(&self) -> impl Iterator<Item = &[u8]> {
        self.all.iter().flat_map(Page::taken_slots)
    }

    /// What all pages take.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives back the empty pages that are kept.
    pub(crate) fn tidy(&mut self) {
        for number in 0..self.sizes.len() {
            if let Some(spare) = self.sizes[number].spare {
                self.drop_page(spare);
            }
        }
    }

    /// A page with room, the last one of its size.
    fn add_page(&mut self, slot_bytes: usize) -> u32 {
        let size = &mut self.sizes[size_number(slot_bytes)];
        let wanted = size.bytes.clamp(SMALLEST_PAGE, LARGEST_PAGE);
        let slots = if slot_bytes > LARGEST_SHARED { 1 } else { (wanted / slot_bytes).max(1) };
        let memory = M::bytes(slots * slot_bytes);
        let place = size.with_room.len() as u32;
        let slots = slots as u32;
        let page = Page { memory, slot_bytes, slots, used: 0, taken: 0, vacant: None, place };
        size.bytes += page.bytes();
        self.bytes += page.bytes();
        let number = self.absent.pop().unwrap_or(self.all.len() as u32);
        size.with_room.push(number);
        match self.all.get_mut(number as usize) {
            Some(absent) => *absent = page,
            None => self.all.push(page),
        }
        number
    }

    /// Gives an empty page back to the system.
    fn drop_page(&mut self, number: u32) {
        let page = std::mem::replace(&mut self.all[number as usize], Page::absent());
        let size = &mut self.sizes[size_number(page.slot_bytes)];
        size.bytes -= page.bytes();
        self.bytes -= page.bytes();
        size.spare = size.spare.filter(|&spare| spare != number);
        size.with_room.swap_remove(page.place as usize);
        if let Some(&moved) = size.with_room.get(page.place as usize) {
            self.all[moved as usize].place = page.place;
        }
        self.absent.push(number);
    }
}

impl<M: Store> Page<M> {
    fn absent() -> Self {
        let memory = M::bytes(0);
        Page { memory, slot_bytes: 0, slots: 0, used: 0, taken: 0, vacant: None, place: 0 }
    }

    const fn bytes(&self) -> usize {
        self.slots as usize * self.slot_bytes
    }

    const fn has_room(&self) -> bool {
        self.taken < self.slots
    }

    fn taken_slots(&self) -> impl Iterator<Item = &[u8]> {
        let mut is_vacant = vec![false; self.used as usize];
        let mut vacant = self.vacant;
        while let Some(handle) = vacant {
            is_vacant[handle.offset() / self.slot_bytes] = true;
            let slot = self.memory.get(handle.offset(), self.slot_bytes);
            let next = slot.first_chunk().expect(LINK_IS_THERE);
            vacant = Handle::from_number(u32::from_le_bytes(*next));
        }
        let slots = is_vacant.into_iter().enumerate().filter(|(_, is_vacant)| !is_vacant);
        slots.map(|(at, _)| self.memory.get(at * self.slot_bytes, self.slot_bytes))
    }

    fn take_slot(&mut self, number: u32) -> Handle {
        self.taken += 1;
        if let Some(handle) = self.vacant {
            let link = self.link(handle);
            self.vacant = Handle::from_number(u32::from_le_bytes(*link));
            return handle;
        }
        self.used += 1;
        Handle::new(number, (self.used - 1) as usize * self.slot_bytes)
    }

    fn leave_slot(&mut self, handle: Handle) {
        self.taken -= 1;
        let before = self.vacant.replace(handle);
        *self.link(handle) = before.map_or(0, Handle::number).to_le_bytes();
        if self.taken == 0 {
            self.used = 0;
            self.vacant = None;
        }
    }

    /// Where a slot that was left names the one that was left before.
    fn link(&mut self, handle: Handle) -> &mut [u8; 4] {
        let slot = self.memory.get_mut(handle.offset(), self.slot_bytes);
        slot.first_chunk_mut().expect(LINK_IS_THERE)
    }
}

const LINK_IS_THERE: &str = "every slot has room for a link";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn sizes_waste_little_and_have_numbers_of_their_own() {
        let (mut last, mut last_number) = (0, 0);
        for bytes in 1..=LARGEST_SHARED {
            let slot = slot_bytes(bytes);
            assert!(slot >= bytes && slot - bytes < (bytes / 8).max(UNIT), "{bytes}: {slot}");
            assert_eq!((slot_bytes(slot), slot % UNIT), (slot, 0));
            let number = size_number(slot);
            assert_eq!((slot > last, slot != last), (number > last_number, number != last_number));
            (last, last_number) = (slot, number);
        }
        let alone =
            [LARGEST_SHARED + 1, 100_000, 1 << 29].map(|bytes| size_number(slot_bytes(bytes)));
        assert_eq!(alone, [last_number + 1; 3]);
    }

    #[test]
    fn a_page_goes_when_its_last_slot_is_free() {
        let mut pages: Pages = Pages::default();
        let count = if cfg!(miri) { 100 } else { 50_000 };
        let handles: Vec<Handle> = (0..count).map(|_| pages.take(56)).collect();
        let most = pages.bytes();
        assert!(most >= count * 56 && most < count * 56 + LARGEST_PAGE, "{most}");
        handles[..count / 2].iter().for_each(|&handle| pages.give_back(handle));
        pages.tidy();
        assert!(pages.bytes() <= most / 2 + LARGEST_PAGE, "{} of {most}", pages.bytes());
        handles[count / 2..].iter().for_each(|&handle| pages.give_back(handle));
        pages.tidy();
        assert_eq!(pages.bytes(), 0);
    }

    #[test]
    fn a_slot_that_comes_and_goes_does_not_take_its_page_along() {
        let mut pages: Pages = Pages::default();
        let stays: Vec<Handle> = (0..4).map(|_| pages.take(64)).collect();
        let comes = pages.take(64);
        let bytes = pages.bytes();
        for _ in 0..3 {
            pages.give_back(comes);
            assert_eq!(pages.bytes(), bytes);
            assert_eq!(pages.take(64), comes);
        }
        assert!(!stays.contains(&comes));
    }

    #[test]
    fn a_copy_that_shares_memory_stays_as_it_is() {
        let mut pages: Pages<Arc<Memory>> = Pages::default();
        let mut taken: Vec<(Handle, u8)> = Vec::new();
        let add = |pages: &mut Pages<_>, taken: &mut Vec<_>, mark| {
            let handle = pages.take(slot_bytes(8 + usize::from(mark) * 3));
            pages.get_mut(handle)[..8].fill(mark);
            taken.push((handle, mark));
        };
        (0..200).for_each(|mark| add(&mut pages, &mut taken, mark));
        for at in (0..100).rev().step_by(3) {
            pages.give_back(taken.swap_remove(at).0);
        }
        let marks = |pages: &Pages<_>| {
            let mut marks: Vec<u8> = pages.taken().map(|slot| slot[7]).collect();
            marks.sort_unstable();
            marks
        };
        let copy = pages.clone();
        let before = marks(&copy);
        let mut expected: Vec<u8> = taken.iter().map(|&(_, mark)| mark).collect();
        expected.sort_unstable();
        assert_eq!(before, expected);
        for (handle, _) in taken.drain(..50) {
            pages.give_back(handle);
        }
        (0..100).for_each(|mark| add(&mut pages, &mut taken, mark));
        assert_eq!(marks(&copy), before);
        assert_eq!(marks(&pages).len(), taken.len());
    }

    #[test]
    fn a_slot_with_a_page_to_itself_goes_at_once() {
        let mut pages: Pages = Pages::default();
        let handle = pages.take(slot_bytes(1 << 20));
        assert_eq!(pages.get(handle).len(), 1 << 20);
        pages.give_back(handle);
        assert_eq!(pages.bytes(), 0);
    }
}
