//! Elements of a list that lie together in memory.

use bytes::Bytes;

use super::super::Text;
use super::super::packed::{self, Elements};
use super::super::string::SHARED_FROM;
use super::{End, Part, is_same};

/// A block that would get larger than this is not added to, and one that did is split. An element
/// that is larger by itself has a block of its own.
const LARGEST_BLOCK: usize = 8192;
/// What Redis reckons with beside the texts of a node, where it decides the same.
const RECKONED: usize = 15;

/// Elements that lie together in memory. None is empty but that of a list without elements.
#[derive(Clone, Debug)]
pub(super) enum Block {
    Packed(Packed),
    /// One large element, shared with whoever is still sending it.
    Single(Bytes),
}

/// Packed elements with room to grow in front and behind.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    /// Where the first element begins.
    start: u32,
    count: u32,
}

impl Default for Block {
    fn default() -> Self {
        Block::Packed(Packed::default())
    }
}

impl Block {
    /// A new one with one element.
    pub(super) fn of(element: Text<'_>) -> Self {
        if let Some(large) = large(element) {
            return Block::Single(large);
        }
        let mut packed = Packed::default();
        packed.push_back(element, packed::size(element));
        Block::Packed(packed)
    }

    pub(super) fn count(&self) -> usize {
        match self {
            Block::Packed(packed) => packed.count as usize,
            Block::Single(_) => 1,
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Block::Packed(packed) => packed.bytes.capacity(),
            Block::Single(bytes) => bytes.len(),
        }
    }

    pub(super) fn used_bytes(&self) -> usize {
        match self {
            Block::Packed(packed) => packed.used().len(),
            Block::Single(bytes) => packed::size(Text::Shared(bytes)),
        }
    }

    pub(super) fn elements(&self) -> impl DoubleEndedIterator<Item = Text<'_>> + use<'_> {
        let (packed, single) = match self {
            Block::Packed(packed) => (packed.used(), None),
            Block::Single(bytes) => (&[][..], Some(Text::Shared(bytes))),
        };
        Elements(packed).chain(single)
    }

    pub(super) fn part(&self) -> Part<'_> {
        match self {
            Block::Packed(packed) => Part::Packed(packed.used(), packed.count as usize),
            Block::Single(bytes) => Part::Single(bytes),
        }
    }

    /// Makes room for what comes first, if that may lie in one block.
    pub(super) fn reserve(&mut self, end: End, bytes: usize) {
        if let Block::Packed(packed) = self
            && packed.count == 0
            && bytes <= LARGEST_BLOCK
        {
            match end {
                End::Head => packed.make_room_in_front(bytes),
                End::Tail => packed.bytes.reserve_exact(bytes),
            }
        }
    }

    /// Adds an element if there may be more in this block.
    pub(super) fn push(&mut self, end: End, element: Text<'_>) -> bool {
        let Block::Packed(packed) = self else {
            return false;
        };
        let size = packed::size(element);
        let used = packed.used().len() + RECKONED;
        if packed.count > 0 && used + size > LARGEST_BLOCK && used + element.len() > LARGEST_BLOCK {
            return false;
        }
        if let Some(large) = large(element) {
            *self = Block::Single(large);
            return true;
        }
        match end {
            End::Head => packed.push_front(element, size),
            End::Tail => packed.push_back(element, size),
        }
        true
    }

    pub(super) fn has_room_for(&self, next: &Block) -> bool {
        let are_packed = matches!((self, next), (Block::Packed(_), Block::Packed(_)));
        are_packed && self.used_bytes() + next.used_bytes() + RECKONED <= LARGEST_BLOCK
    }

    pub(super) fn append(&mut self, next: &Block) {
        if let (Block::Packed(packed), Block::Packed(next)) = (self, next) {
            packed.bytes.extend_from_slice(next.used());
            packed.count += next.count;
        }
    }

    /// Removes the element at an end that there is.
    pub(super) fn drop_end(&mut self, end: End) {
        match (self, end) {
            (Block::Packed(packed), End::Head) => packed.drop_front(),
            (Block::Packed(packed), End::Tail) => packed.drop_back(),
            (single, _) => *single = Block::default(),
        }
    }

    pub(super) fn remove_same(&mut self, element: Text<'_>, end: End, most: usize) -> usize {
        if !self.elements().any(|other| is_same(other, element)) {
            return 0;
        }
        let mut removed = 0;
        let mut keep = |other: &Text<'_>| {
            let goes = removed < most && is_same(*other, element);
            removed += usize::from(goes);
            !goes
        };
        let mut kept: Vec<Text<'_>> = match end {
            End::Head => self.elements().filter(|other| keep(other)).collect(),
            End::Tail => self.elements().rev().filter(|other| keep(other)).collect(),
        };
        if end == End::Tail {
            kept.reverse();
        }
        let mut packed = Packed::default();
        for element in kept {
            packed.push_back(element, packed::size(element));
        }
        *self = Block::Packed(packed);
        self.shrink();
        removed
    }

    pub(super) fn shrink(&mut self) {
        if let Block::Packed(packed) = self {
            packed.move_to(0, packed.used().len());
            packed.bytes.shrink_to_fit();
        }
    }
}

impl Packed {
    fn used(&self) -> &[u8] {
        &self.bytes[self.start as usize..]
    }

    fn push_back(&mut self, element: Text<'_>, size: usize) {
        let (start, room) = (self.start as usize, self.bytes.capacity() - self.bytes.len());
        if room < size {
            let used = self.used().len();
            let wanted = size + spare(used);
            if start + room >= wanted {
                self.move_to(0, used);
            } else {
                self.bytes.reserve_exact(wanted);
            }
        }
        packed::append(element, &mut self.bytes);
        self.count += 1;
    }

    fn push_front(&mut self, element: Text<'_>, size: usize) {
        if (self.start as usize) < size {
            self.make_room_in_front(size);
        }
        let start = self.start as usize - size;
        packed::write(element, &mut self.bytes[start..start + size]);
        self.start = start as u32;
        self.count += 1;
    }

    /// Moves the elements to the end of the room there is, or of more.
    fn make_room_in_front(&mut self, size: usize) {
        let used = self.used().len();
        let wanted = used + size + spare(used);
        if self.bytes.capacity() < wanted {
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.move_to(self.bytes.capacity() - used, used);
    }

    /// Moves the elements, which take so many bytes, to this place, behind which nothing follows.
    fn move_to(&mut self, start: usize, used: usize) {
        let from = self.start as usize;
        if self.bytes.len() < start + used {
            self.bytes.resize(start + used, 0);
        }
        self.bytes.copy_within(from..from + used, start);
        self.bytes.truncate(start + used);
        self.start = start as u32;
    }

    fn drop_front(&mut self) {
        if let Some((_, size)) = packed::first(self.used()) {
            self.start += size as u32;
            self.count -= 1;
        }
    }

    fn drop_back(&mut self) {
        if let Some((_, size)) = packed::last(self.used()) {
            self.bytes.truncate(self.bytes.len() - size);
            self.count -= 1;
        }
    }
}

/// How much room is made for more, beside so many bytes. A large block is soon full.
const fn spare(used: usize) -> usize {
    const LARGE: usize = 1024;
    if used < LARGE { used / 4 } else { used / 8 }
}

/// An element that is worth sharing, in a buffer of its own.
fn large(element: Text<'_>) -> Option<Bytes> {
    match element {
        Text::Shared(bytes) => Some(bytes.clone()),
        Text::Fixed(bytes) if bytes.len() >= SHARED_FROM => Some(Bytes::copy_from_slice(bytes)),
        _ => None,
    }
}
