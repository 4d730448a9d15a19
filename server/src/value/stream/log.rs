//! The entries of a stream, in the order of their ids: in blocks, which an ordered index finds.
//!
//! Entries are added behind the last one, and deleted anywhere. What was ever added or deleted is
//! kept account of, for consumer groups to tell how far behind they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Block, Entry, Id, IdRange, NodeLimits};

#[derive(Debug, Default)]
pub(crate) struct Log {
    /// All blocks but the last, by the ids that theirs are told relative to. A copy shares them until they are changed.
    full: BTreeMap<Id, Arc<Block>>,
    tail: Option<Block>,
    length: usize,
    first_id: Id,
    /// The last id of an entry that is there; without meaning if there is none.
    top: Id,
    /// What blocks take.
    block_bytes: usize,
    pub(crate) history: History,
}

/// What was ever done to a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// The last id that was ever given.
    pub(crate) last_id: Id,
    /// The last id of all entries that were deleted one by one.
    pub(crate) max_deleted_id: Id,
    /// How many entries were ever added.
    pub(crate) added: u64,
}

/// Up to where entries are deleted in front, and how many at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trim {
    pub(crate) until: TrimUntil,
    /// Only as far as whole blocks go.
    pub(crate) is_rough: bool,
    /// 0 for any number.
    pub(crate) most: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrimUntil {
    Length(usize),
    Id(Id),
}

/// What one more block takes in the index, about.
const INDEXED_BLOCK: usize = (size_of::<Id>() + size_of::<Arc<Block>>()) * 3 / 2
    + 2 * size_of::<usize>()
    + size_of::<Block>();

impl Log {
    pub(crate) const fn len(&self) -> usize {
        self.length
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The id of the first entry, or the least id if there is none.
    pub(crate) const fn first_id(&self) -> Id {
        self.first_id
    }

    /// Believes somebody else that this was the first entry.
    pub(crate) const fn set_first_id(&mut self, id: Id) {
        self.first_id = id;
    }

    /// The last id of an entry that is there.
    pub(crate) fn top(&self) -> Option<Id> {
        (self.length > 0).then_some(self.top)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.block_bytes + self.full.len() * INDEXED_BLOCK
    }

    #[cfg(test)]
    pub(super) const fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    pub(crate) fn blocks(&self) -> impl DoubleEndedIterator<Item = &Block> {
        self.full.values().map(Arc::as_ref).chain(&self.tail)
    }

    fn first_block(&self) -> Option<&Block> {
        self.full.first_key_value().map(|(_, block)| &**block).or(self.tail.as_ref())
    }

    pub(crate) fn count_blocks(&self) -> usize {
        self.full.len() + usize::from(self.tail.is_some())
    }

    /// How many nodes Redis's index of the same blocks has: a radix tree of the bytes of ids, in which
    /// only what does not branch is put together.
    pub(crate) fn count_index_nodes(&self) -> usize {
        let keys: Vec<_> = self.blocks().map(|block| block.base().to_bytes()).collect();
        1 + nodes_below(&keys, 0)
    }

    /// Adds an entry, whose id is behind that of the last one, and whose words have so many bytes.
    pub(crate) fn append(&mut self, id: Id, words: &[&[u8]], bytes: usize, limits: NodeLimits) {
        match &mut self.tail {
            Some(tail) if tail.has_room_for(bytes, limits) => {
                let before = tail.heap_bytes();
                tail.push(id, words);
                self.block_bytes += tail.heap_bytes() - before;
                self.length += 1;
            }
            _ => self.add_block(Block::new(id, words)),
        }
        self.top = id;
        if self.length == 1 {
            self.first_id = id;
        }
        self.history.last_id = id;
        self.history.added = self.history.added.wrapping_add(1);
    }

    /// Adds a block behind the others. The caller sees to the history.
    pub(crate) fn add_block(&mut self, block: Block) {
        if let Some(mut tail) = self.tail.take() {
            self.block_bytes -= tail.heap_bytes();
            tail.shrink();
            self.block_bytes += tail.heap_bytes();
            self.full.insert(tail.base(), Arc::new(tail));
        }
        self.length += block.len();
        self.block_bytes += block.heap_bytes();
        self.tail = Some(block);
        self.note_edges();
    }

    /// Deletes an entry; whether it was there.
    pub(crate) fn delete(&mut self, id: Id) -> bool {
        let Some(key) = self.key_of_block(id) else {
            return false;
        };
        if self.change(key, |block| usize::from(block.delete(id))) == 0 {
            return false;
        }
        if self.block(key).is_some_and(|block| block.len() == 0) {
            self.drop_block(key);
        }
        let history = &mut self.history;
        history.max_deleted_id = history.max_deleted_id.max(id);
        if id == self.first_id || id == self.top {
            self.note_edges();
        }
        true
    }

    /// Deletes entries in front; how many.
    pub(crate) fn trim(&mut self, trim: Trim) -> usize {
        let before = self.length;
        if matches!(trim.until, TrimUntil::Length(most) if before <= most) {
            return 0;
        }
        while let Some(block) = self.first_block() {
            let (key, length, last) = (block.base(), block.len(), block.last());
            let (deleted, left) = (before - self.length, self.length - length);
            let is_enough = matches!(trim.until, TrimUntil::Length(most) if self.length <= most);
            if is_enough || trim.most > 0 && deleted + length > trim.most {
                break;
            }
            let goes_whole = match trim.until {
                TrimUntil::Length(most) => left >= most,
                TrimUntil::Id(id) => last < id,
            };
            if goes_whole {
                self.drop_block(key);
                continue;
            }
            if !trim.is_rough {
                self.trim_within(key, trim.until);
            }
            break;
        }
        if self.length < before {
            self.note_edges();
        }
        before - self.length
    }

    /// Deletes entries in front of a block that is not to go as a whole. As in Redis it stays even if
    /// none is left, where the last one had been deleted before.
    fn trim_within(&mut self, key: Id, until: TrimUntil) {
        let mut surplus = match until {
            TrimUntil::Length(most) => self.length - most,
            TrimUntil::Id(_) => usize::MAX,
        };
        let goes = |id| {
            let goes = surplus > 0 && until.is_behind(id);
            surplus = surplus.saturating_sub(1);
            goes
        };
        self.change(key, |block| block.delete_front(goes));
    }

    /// Has entries of a block deleted; how many were.
    fn change(&mut self, key: Id, delete: impl FnOnce(&mut Block) -> usize) -> usize {
        let is_tail = self.is_tail(key);
        let before = self.block(key).map_or(0, Block::heap_bytes);
        let block =
            if is_tail { self.tail.as_mut() } else { self.full.get_mut(&key).map(Arc::make_mut) };
        let Some(block) = block else {
            return 0;
        };
        let deleted = delete(block);
        self.block_bytes = self.block_bytes + block.heap_bytes() - before;
        self.length -= deleted;
        deleted
    }

    /// Drops a block with what is in it.
    fn drop_block(&mut self, key: Id) {
        let block = if self.is_tail(key) {
            let next = self.full.pop_last().map(|(_, block)| self.own(block));
            std::mem::replace(&mut self.tail, next).map(Arc::new)
        } else {
            self.full.remove(&key)
        };
        if let Some(block) = block {
            self.block_bytes -= block.heap_bytes();
            self.length -= block.len();
        }
    }

    /// A block that is nobody else's; a copy may take less.
    fn own(&mut self, block: Arc<Block>) -> Block {
        self.block_bytes -= block.heap_bytes();
        let block = Arc::unwrap_or_clone(block);
        self.block_bytes += block.heap_bytes();
        block
    }

    fn is_tail(&self, key: Id) -> bool {
        self.tail.as_ref().is_some_and(|tail| tail.base() == key)
    }

    /// Finds out which entries are the first and the last one.
    fn note_edges(&mut self) {
        let first = self.range(IdRange::ALL).next().map(|entry| entry.id);
        let top = self.blocks().rev().find_map(Block::top);
        (self.first_id, self.top) = (first.unwrap_or_default(), top.unwrap_or_default());
    }

    /// The key of the block that an id falls into.
    fn key_of_block(&self, id: Id) -> Option<Id> {
        let tail = self.tail.as_ref().map(Block::base).filter(|&base| base <= id);
        tail.or_else(|| self.full.range(..=id).next_back().map(|(&key, _)| key))
    }

    fn block_of(&self, id: Id) -> Option<&Block> {
        self.block(self.key_of_block(id)?)
    }

    fn block(&self, key: Id) -> Option<&Block> {
        self.tail
            .as_ref()
            .filter(|tail| tail.base() == key)
            .or_else(|| self.full.get(&key).map(Arc::as_ref))
    }

    pub(crate) fn get(&self, id: Id) -> Option<Entry<'_>> {
        self.block_of(id)?.get(id)
    }

    /// The blocks that may have entries of a range.
    fn blocks_of(&self, range: IdRange) -> impl DoubleEndedIterator<Item = &Block> {
        let IdRange { first, last } = range;
        let tail = self.tail.as_ref().filter(|tail| tail.base() <= last && !range.is_empty());
        let is_all_in_tail = tail.is_some_and(|tail| tail.base() <= first);
        let full = (!is_all_in_tail && !range.is_empty()).then(|| {
            let from = self.full.range(..=first).next_back().map_or(first, |(&key, _)| key);
            self.full.range(from..=last)
        });
        full.into_iter().flatten().map(|(_, block)| &**block).chain(tail)
    }

    /// The entries of a range, in order.
    pub(crate) fn range(&self, range: IdRange) -> impl Iterator<Item = Entry<'_>> {
        self.blocks_of(range).flat_map(move |block| block.range(range))
    }

    /// The entries of a range, the last one first.
    pub(crate) fn range_back(&self, range: IdRange) -> impl Iterator<Item = Entry<'_>> {
        self.blocks_of(range).rev().flat_map(move |block| block.range_back(range))
    }

    /// Whether an entry from an id on may have been deleted where later ones are left.
    pub(crate) fn has_gap_from(&self, id: Id) -> bool {
        let deleted = self.history.max_deleted_id;
        self.length > 0 && deleted != Id::MIN && self.first_id <= deleted && id <= deleted
    }

    /// Whether nothing has been deleted behind the first entry.
    pub(super) fn is_whole(&self) -> bool {
        let deleted = self.history.max_deleted_id;
        deleted == Id::MIN || deleted < self.first_id
    }

    /// How many entries were ever added up to an id, if that can be told.
    pub(crate) fn added_until(&self, id: Id) -> Option<u64> {
        let History { last_id, added, .. } = self.history;
        let length = self.length as u64;
        if added == 0 {
            return Some(0);
        }
        if length == 0 && id <= last_id {
            return Some(added);
        }
        if id != Id::MIN && id < self.history.max_deleted_id {
            return None;
        }
        if id == last_id {
            return Some(added);
        }
        if id > last_id || !self.is_whole() {
            return None;
        }
        match id.cmp(&self.first_id) {
            std::cmp::Ordering::Less => Some(added.wrapping_sub(length)),
            std::cmp::Ordering::Equal => Some(added.wrapping_sub(length).wrapping_add(1)),
            std::cmp::Ordering::Greater => None,
        }
    }
}

/// The nodes below the one that stands for so many bytes that all of these keys have in common.
fn nodes_below(keys: &[[u8; Id::BYTES]], depth: usize) -> usize {
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else {
        return 0;
    };
    if first == last {
        return usize::from(depth < Id::BYTES);
    }
    let branch = first.iter().zip(last).take_while(|(one, other)| one == other).count();
    let children = keys.chunk_by(|one, next| one[branch] == next[branch]);
    let below = children.map(|child| 1 + nodes_below(child, branch + 1)).sum::<usize>();
    usize::from(branch > depth) + below
}

/// A copy shares what it can, and takes no more than what is in the rest.
impl Clone for Log {
    fn clone(&self) -> Self {
        let (full, tail) = (self.full.clone(), self.tail.clone());
        let [own, copied] =
            [&self.tail, &tail].map(|tail| tail.as_ref().map_or(0, Block::heap_bytes));
        let block_bytes = self.block_bytes - own + copied;
        Log { full, tail, block_bytes, ..*self }
    }
}

/// Two are equal that hold the same, in whatever blocks.
impl PartialEq for Log {
    fn eq(&self, other: &Self) -> bool {
        let mut both = self.range(IdRange::ALL).zip(other.range(IdRange::ALL));
        self.history == other.history
            && self.length == other.length
            && both.all(|(one, other)| one.same_as(other))
    }
}

impl TrimUntil {
    /// Whether an entry is not to be kept for its id.
    fn is_behind(self, id: Id) -> bool {
        match self {
            TrimUntil::Length(_) => true,
            TrimUntil::Id(least) => id < least,
        }
    }
}
