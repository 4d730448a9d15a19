//! Lists: elements in blocks of packed bytes, cheap to add to and to take from at both ends.

mod block;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use block::Block;
use bytes::Bytes;

use super::Text;
use super::packed;
use super::string::LONGEST_INTEGER;

#[derive(Clone, Debug)]
pub(crate) struct List {
    blocks: Blocks,
    /// Whether it is told to be one of many blocks, as Redis has it.
    is_long: bool,
}

#[derive(Clone, Debug)]
enum Blocks {
    One(Block),
    Many(Box<Many>),
}

#[derive(Clone, Debug)]
struct Many {
    /// A copy shares them until they are changed.
    blocks: VecDeque<Arc<Block>>,
    length: usize,
    /// What the blocks take, and of that what is in use.
    heap_bytes: usize,
    used_bytes: usize,
}

/// What a block takes that can be shared, with two counts of those who do, beside its elements.
const SHARED_BLOCK: usize = 2 * size_of::<usize>() + size_of::<Block>();

/// One end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Head,
    Tail,
}

impl List {
    pub(crate) fn new() -> Self {
        List { blocks: Blocks::One(Block::default()), is_long: false }
    }

    pub(crate) fn len(&self) -> usize {
        match &self.blocks {
            Blocks::One(block) => block.count(),
            Blocks::Many(many) => many.length,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.blocks {
            Blocks::One(block) => block.heap_bytes(),
            Blocks::Many(many) => {
                let places = many.blocks.capacity() * size_of::<Arc<Block>>();
                let blocks = many.blocks.len() * SHARED_BLOCK + many.heap_bytes;
                size_of::<Many>() + places + blocks
            }
        }
    }

    /// What its elements take when they are packed.
    pub(crate) fn packed_bytes(&self) -> usize {
        match &self.blocks {
            Blocks::One(block) => block.used_bytes(),
            Blocks::Many(many) => many.used_bytes,
        }
    }

    /// Whether all elements lie together.
    pub(crate) const fn is_one_block(&self) -> bool {
        matches!(self.blocks, Blocks::One(_))
    }

    pub(crate) const fn is_long(&self) -> bool {
        self.is_long
    }

    pub(crate) const fn set_long(&mut self, is_long: bool) {
        self.is_long = is_long;
    }

    /// Makes room in an empty list for elements that are to be pushed, exactly as much as they take.
    pub(crate) fn reserve<'t>(&mut self, end: End, elements: impl Iterator<Item = Text<'t>>) {
        if let Blocks::One(block) = &mut self.blocks {
            block.reserve(end, elements.map(packed::size).sum());
        }
    }

    pub(crate) fn push(&mut self, end: End, element: Text<'_>) {
        if let Blocks::One(block) = &mut self.blocks
            && block.push(end, element)
        {
            return;
        }
        self.many().push(end, element);
    }

    /// The element at an end.
    pub(crate) fn end(&self, end: End) -> Option<Text<'_>> {
        match end {
            End::Head => self.iter().next(),
            End::Tail => self.iter().next_back(),
        }
    }

    /// Removes the element at an end.
    pub(crate) fn drop_end(&mut self, end: End) {
        match &mut self.blocks {
            Blocks::One(block) => block.drop_end(end),
            Blocks::Many(many) => many.drop_end(end),
        }
        self.simplify();
    }

    pub(crate) fn get(&self, index: usize) -> Option<Text<'_>> {
        let (block, index) = self.seek(index)?;
        self.block(block).elements().nth(index)
    }

    /// Replaces the element at an index that there is.
    pub(crate) fn set(&mut self, index: usize, element: Text<'_>) {
        self.splice(index, 1, element);
    }

    /// Inserts an element before the one at an index, or at the end.
    pub(crate) fn insert(&mut self, index: usize, element: Text<'_>) {
        if index == self.len() {
            self.push(End::Tail, element);
        } else {
            self.splice(index, 0, element);
        }
    }

    /// Removes elements that are the same as this one: so many at most, beginning at an end.
    /// How many there were.
    pub(crate) fn remove_same(&mut self, element: Text<'_>, end: End, most: usize) -> usize {
        let many = self.many();
        let mut removed = 0;
        for number in 0..many.blocks.len() {
            if removed == most {
                break;
            }
            let at = match end {
                End::Head => number,
                End::Tail => many.blocks.len() - 1 - number,
            };
            removed += many.change(at, |block| block.remove_same(element, end, most - removed));
        }
        many.length -= removed;
        many.blocks.retain(|block| block.count() > 0);
        self.simplify();
        removed
    }

    /// Keeps only the elements in this range.
    pub(crate) fn trim(&mut self, range: Range<usize>) {
        let behind = self.len() - range.end.min(self.len());
        self.drop_many(End::Tail, behind);
        self.drop_many(End::Head, range.start.min(self.len()));
    }

    /// Removes so many elements from an end.
    fn drop_many(&mut self, end: End, mut count: usize) {
        let many = self.many();
        while count > 0 {
            let at = many.at_end(end);
            let in_block = many.blocks[at].count();
            if in_block <= count {
                many.drop_block(end);
            } else {
                many.change(at, |block| (0..count).for_each(|_| block.drop_end(end)));
                many.length -= count;
            }
            count -= in_block.min(count);
        }
        self.simplify();
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Text<'_>> {
        let (one, many) = match &self.blocks {
            Blocks::One(block) => (Some(block), None),
            Blocks::Many(many) => (None, Some(&many.blocks)),
        };
        let many = many.into_iter().flatten().map(Arc::as_ref);
        one.into_iter().chain(many).flat_map(Block::elements)
    }

    /// Visits the elements in a range, one after the other.
    pub(crate) fn visit(&self, range: Range<usize>, mut visit: impl FnMut(Text<'_>)) {
        let (block, skipped) = self.seek(range.start).unwrap_or((self.count_blocks(), 0));
        let (mut skipped, mut left) = (skipped, range.len());
        for at in block..self.count_blocks() {
            let block = self.block(at);
            let count = (block.count() - skipped).min(left);
            block.elements().skip(skipped).take(count).for_each(&mut visit);
            (skipped, left) = (0, left - count);
            if left == 0 {
                return;
            }
        }
    }

    /// The elements from an index on.
    pub(crate) fn iter_from(&self, index: usize) -> impl Iterator<Item = Text<'_>> {
        let (block, skipped) = self.seek(index).unwrap_or((self.count_blocks(), 0));
        let blocks = (block..self.count_blocks()).map(|at| self.block(at));
        blocks.flat_map(Block::elements).skip(skipped)
    }

    /// The packed bytes of each block with their count, or a large element.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        (0..self.count_blocks()).map(|at| self.block(at).part())
    }

    fn count_blocks(&self) -> usize {
        match &self.blocks {
            Blocks::One(_) => 1,
            Blocks::Many(many) => many.blocks.len(),
        }
    }

    fn block(&self, at: usize) -> &Block {
        match &self.blocks {
            Blocks::One(block) => block,
            Blocks::Many(many) => &many.blocks[at],
        }
    }

    /// The block that an index falls into, and the index there.
    fn seek(&self, index: usize) -> Option<(usize, usize)> {
        let length = self.len();
        if index >= length {
            return None;
        }
        let Blocks::Many(many) = &self.blocks else {
            return Some((0, index));
        };
        let mut begin = 0;
        if index < length / 2 {
            for (at, block) in many.blocks.iter().enumerate() {
                if index < begin + block.count() {
                    return Some((at, index - begin));
                }
                begin += block.count();
            }
        }
        begin = length;
        for (at, block) in many.blocks.iter().enumerate().rev() {
            begin -= block.count();
            if index >= begin {
                return Some((at, index - begin));
            }
        }
        None
    }

    /// Puts an element in the place of so many at an index that there is.
    fn splice(&mut self, index: usize, gone: usize, element: Text<'_>) {
        let Some((at, index)) = self.seek(index) else {
            return;
        };
        self.many().splice(at, index, gone, element);
        self.simplify();
    }

    /// The blocks as one of many, which changes that are seldom work on.
    fn many(&mut self) -> &mut Many {
        if let Blocks::One(block) = &mut self.blocks {
            let block = mem::take(block);
            self.blocks = Blocks::Many(Box::new(Many::new(block)));
        }
        match &mut self.blocks {
            Blocks::Many(many) => many,
            Blocks::One(_) => unreachable!("it was made one of many above"),
        }
    }

    /// Does without a queue of blocks once there is only one.
    fn simplify(&mut self) {
        if let Blocks::Many(many) = &mut self.blocks
            && many.blocks.len() <= 1
        {
            let only = many.blocks.pop_front().map(Arc::unwrap_or_clone);
            self.blocks = Blocks::One(only.unwrap_or_default());
        }
    }
}

impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().zip(other.iter()).all(|(a, b)| is_same(a, b))
    }
}

/// A piece of a list as it is saved.
pub(crate) enum Part<'a> {
    /// Packed elements, and how many.
    Packed(&'a [u8], usize),
    Single(&'a Bytes),
}

impl Many {
    fn new(block: Block) -> Self {
        let mut many = Many { blocks: VecDeque::new(), length: 0, heap_bytes: 0, used_bytes: 0 };
        if block.count() > 0 {
            many.add_block(End::Tail, block);
        }
        many
    }

    fn at_end(&self, end: End) -> usize {
        match end {
            End::Head => 0,
            End::Tail => self.blocks.len() - 1,
        }
    }

    fn push(&mut self, end: End, element: Text<'_>) {
        if !self.blocks.is_empty() {
            let at = self.at_end(end);
            if self.change(at, |block| block.push(end, element)) {
                self.length += 1;
                return;
            }
            // Nothing is added there before something is taken away.
            self.change(at, Block::shrink);
        }
        self.add_block(end, Block::of(element));
    }

    fn drop_end(&mut self, end: End) {
        let at = self.at_end(end);
        if self.blocks[at].count() == 1 {
            return self.drop_block(end);
        }
        self.change(at, |block| block.drop_end(end));
        self.length -= 1;
    }

    fn add_block(&mut self, end: End, block: Block) {
        let at = if end == End::Head { 0 } else { self.blocks.len() };
        self.insert_block(at, block);
    }

    fn insert_block(&mut self, at: usize, block: Block) {
        self.length += block.count();
        self.heap_bytes += block.heap_bytes();
        self.used_bytes += block.used_bytes();
        self.blocks.insert(at, Arc::new(block));
    }

    fn drop_block(&mut self, end: End) {
        self.remove_block(self.at_end(end));
    }

    fn remove_block(&mut self, at: usize) {
        if let Some(block) = self.blocks.remove(at) {
            self.length -= block.count();
            self.heap_bytes -= block.heap_bytes();
            self.used_bytes -= block.used_bytes();
        }
    }

    /// Changes a block, and keeps account of its bytes; the caller does so of the length.
    fn change<R>(&mut self, at: usize, change: impl FnOnce(&mut Block) -> R) -> R {
        let block = &mut self.blocks[at];
        self.heap_bytes -= block.heap_bytes();
        self.used_bytes -= block.used_bytes();
        let block = Arc::make_mut(block);
        let result = change(block);
        self.heap_bytes += block.heap_bytes();
        self.used_bytes += block.used_bytes();
        result
    }

    /// Takes a block apart and puts it together with what is different.
    fn splice(&mut self, at: usize, index: usize, gone: usize, element: Text<'_>) {
        let mut whole = List::new();
        let mut elements = self.blocks[at].elements();
        elements.by_ref().take(index).for_each(|element| whole.push(End::Tail, element));
        whole.push(End::Tail, element);
        elements.skip(gone).for_each(|element| whole.push(End::Tail, element));
        self.remove_block(at);
        let blocks = match whole.blocks {
            Blocks::One(block) => VecDeque::from([Arc::new(block)]),
            Blocks::Many(many) => many.blocks,
        };
        let blocks = blocks.into_iter().filter(|block| block.count() > 0).map(Arc::unwrap_or_clone);
        let mut next = at;
        for mut block in blocks {
            block.shrink();
            self.insert_block(next, block);
            next += 1;
        }
        self.merge(next - 1);
    }

    /// Puts a block together with the next one, if they are not too large for that.
    fn merge(&mut self, at: usize) {
        if at + 1 < self.blocks.len() && self.blocks[at].has_room_for(&self.blocks[at + 1]) {
            let next = Arc::clone(&self.blocks[at + 1]);
            self.remove_block(at + 1);
            self.length += next.count();
            self.change(at, |block| block.append(&next));
        }
    }
}

/// Whether two elements are the same. Numbers are never kept as texts.
pub(crate) fn is_same(one: Text<'_>, other: Text<'_>) -> bool {
    match (one, other) {
        (Text::Integer(one), Text::Integer(other)) => one == other,
        (Text::Integer(_), _) | (_, Text::Integer(_)) => false,
        _ => one.bytes(&mut [0; LONGEST_INTEGER]) == other.bytes(&mut [0; LONGEST_INTEGER]),
    }
}
