//! Entries of a stream that lie together in memory.
//!
//! In front are the names of the first entry's fields, which entries with the same fields leave
//! out. An entry is a head with its length and its marks, its id relative to that of the block, and
//! its fields. A deleted entry is marked, and its bytes go once they are the larger part.

use super::{Id, IdRange};
use crate::value::Text;
use crate::value::list::is_same;
use crate::value::packed::{append_bare, integer_size, split_bare};

/// When a block is full, as Redis has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeLimits {
    /// Of its bytes; 0 for as many as there may be at all.
    pub(crate) bytes: usize,
    /// Of its entries, deleted ones among them; 0 for any number.
    pub(crate) entries: usize,
}

impl NodeLimits {
    /// No block may be larger, nor all words of an entry together.
    pub(crate) const MOST_BYTES: usize = 1 << 30;

    const fn most_bytes(self) -> usize {
        match self.bytes {
            1..=Self::MOST_BYTES => self.bytes,
            _ => Self::MOST_BYTES,
        }
    }
}

/// Entries that lie together.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    /// What ids are told relative to.
    base: Id,
    /// The last id, though it may be that of a deleted entry.
    last: Id,
    live: u32,
    /// How many have been deleted, whether or not their bytes are still there.
    deleted: u32,
    /// How many names are in front, and where they end.
    names: u32,
    names_end: u32,
    /// Where the first entry is that is not deleted.
    start: u32,
    /// The bytes of deleted entries.
    dead_bytes: u32,
    /// What Redis would take for the same, without what it counts in front.
    reckoned: u32,
}

/// An entry as it is looked at.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) id: Id,
    pub(crate) fields: Fields<'a>,
}

/// The fields of an entry: names and values.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    /// The names, if they are those of the block.
    names: Option<&'a [u8]>,
    /// The values, or names and values by turns.
    rest: &'a [u8],
    left: usize,
}

/// What stands in front of an entry.
#[derive(Clone, Copy)]
struct Head {
    size: usize,
    length: usize,
    marks: u8,
}

/// Marks of an entry, in the lowest bits of its head.
const DELETED: u8 = 1;
const SAME_NAMES: u8 = 2;
const MARK_BITS: u32 = 2;

/// A head has two bytes, or five if the entry is too long for that.
const HEAD: usize = 2;
const LONG_HEAD: usize = 5;
const LONGEST_OF_HEAD: usize = (1 << (14 - MARK_BITS)) - 1;

/// Fewer dead bytes are not worth copying the others.
const WORTH_COMPACTING: usize = 256;

/// What Redis has around the elements of a node.
const FRAME: usize = 7;

impl Block {
    /// A block with its first entry, whose names and values stand one after the other.
    pub(crate) fn new(id: Id, words: &[&[u8]]) -> Self {
        const USUAL_ENTRY: usize = 8;
        // What is long has more in front of it, and growing would take as much again.
        let size = |word: &&[u8]| word.len() + if word.len() <= LONGEST_OF_HEAD { 2 } else { 5 };
        let texts: usize = words.iter().map(size).sum();
        let names = words.iter().step_by(2).map(|name| Text::new(name));
        let mut block = Block::empty(id, names, texts + USUAL_ENTRY);
        block.push(id, words);
        block
    }

    /// A block without entries, which may leave out these names, with room for so many bytes.
    pub(crate) fn empty<'t>(
        base: Id,
        names: impl ExactSizeIterator<Item = Text<'t>>,
        room: usize,
    ) -> Self {
        let (mut bytes, count) = (Vec::new(), names.len());
        bytes.reserve_exact(room);
        let mut reckoned = FRAME + integer_size(count as i64) + integer_size(0);
        for name in names {
            reckoned += append_bare(name, &mut bytes);
        }
        let end = bytes.len() as u32;
        Block {
            bytes,
            base,
            last: base,
            live: 0,
            deleted: 0,
            names: count as u32,
            names_end: end,
            start: end,
            dead_bytes: 0,
            reckoned: reckoned as u32,
        }
    }

    pub(crate) const fn base(&self) -> Id {
        self.base
    }

    pub(crate) const fn last(&self) -> Id {
        self.last
    }

    pub(crate) const fn len(&self) -> usize {
        self.live as usize
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Whether Redis would put one more entry, whose words have so many bytes, into the same node.
    pub(super) fn has_room_for(&self, bytes: usize, limits: NodeLimits) -> bool {
        let (live, deleted) = (i64::from(self.live), i64::from(self.deleted));
        let counts = integer_size(live) + integer_size(deleted);
        let entries = (live + deleted) as usize;
        self.reckoned as usize + counts + bytes < limits.most_bytes()
            && (limits.entries == 0 || entries < limits.entries)
    }

    /// Adds an entry behind all others.
    #[inline]
    pub(crate) fn push(&mut self, id: Id, words: &[&[u8]]) {
        if self.has_names(words) {
            let values = words.as_chunks::<2>().0.iter().map(|[_, value]| Text::new(value));
            self.push_texts(id, true, values);
        } else {
            self.push_texts(id, false, words.iter().map(|word| Text::new(word)));
        }
    }

    /// Adds an entry behind all others: its values, or its names and values by turns.
    #[inline]
    pub(crate) fn push_texts<'t>(
        &mut self,
        id: Id,
        has_same_names: bool,
        texts: impl ExactSizeIterator<Item = Text<'t>>,
    ) {
        let ms = id.ms.wrapping_sub(self.base.ms);
        let sequence = id.sequence.wrapping_sub(self.base.sequence);
        let mut reckoned = integer_size(ms as i64) + integer_size(sequence as i64);
        let (at, mut elements) = (self.bytes.len(), texts.len());
        self.bytes.extend_from_slice(&[0; HEAD]);
        write_number(ms, &mut self.bytes);
        write_number(if ms == 0 { sequence } else { id.sequence }, &mut self.bytes);
        let marks = if has_same_names { SAME_NAMES } else { 0 };
        if !has_same_names {
            write_number(elements as u64 / 2, &mut self.bytes);
            reckoned += integer_size(elements as i64 / 2);
            elements += 1;
        }
        for text in texts {
            reckoned += append_bare(text, &mut self.bytes);
        }
        // Marks, the two parts of the id, and this number itself.
        reckoned += integer_size(marks.into()) + integer_size(elements as i64 + 3);
        self.write_head(at, marks);
        self.reckoned += reckoned as u32;
        self.live += 1;
        self.last = id;
    }

    /// Adds an entry that has been deleted already.
    pub(crate) fn push_deleted<'t>(
        &mut self,
        id: Id,
        has_same_names: bool,
        texts: impl ExactSizeIterator<Item = Text<'t>>,
    ) {
        let at = self.bytes.len();
        self.push_texts(id, has_same_names, texts);
        self.mark_deleted(at);
    }

    /// Writes the head of the last entry, for which room has been left.
    fn write_head(&mut self, at: usize, marks: u8) {
        let length = self.bytes.len() - at - HEAD;
        let head = length << MARK_BITS | usize::from(marks);
        let groups = [head, head >> 7, head >> 14, head >> 21, head >> 28];
        let [first, second, rest @ ..] = groups.map(|group| group as u8 & 0x7f);
        self.bytes[at] = first | 0x80;
        self.bytes[at + 1] = second;
        if length > LONGEST_OF_HEAD {
            self.bytes[at + 1] = second | 0x80;
            let rest = [rest[0] | 0x80, rest[1] | 0x80, rest[2]];
            self.bytes.splice(at + HEAD..at + HEAD, rest);
        }
    }

    fn has_names(&self, words: &[&[u8]]) -> bool {
        if words.len() != 2 * self.names as usize {
            return false;
        }
        let mut names = &self.bytes[..self.names_end as usize];
        words.as_chunks::<2>().0.iter().all(|[word, _]| {
            let Some((name, rest)) = split_bare(names) else {
                return false;
            };
            names = rest;
            match name {
                Text::Fixed(text) => text == *word,
                _ => is_same(name, Text::new(word)),
            }
        })
    }

    /// The names that entries may leave out.
    pub(crate) fn names(&self) -> impl Iterator<Item = Text<'_>> {
        let mut names = &self.bytes[..self.names_end as usize];
        std::iter::from_fn(move || take_element(&mut names))
    }

    /// The entries that are not deleted.
    pub(crate) fn entries(&self) -> Entries<'_> {
        Entries { block: self, at: self.start as usize }
    }

    /// All entries whose bytes are there, each with whether it is deleted.
    pub(crate) fn all_entries(&self) -> impl Iterator<Item = (Entry<'_>, bool)> {
        let mut at = self.names_end as usize;
        std::iter::from_fn(move || {
            let bytes = self.bytes.get(at..).filter(|bytes| !bytes.is_empty())?;
            let head = Head::read(bytes);
            let entry = self.read(bytes, head);
            at += head.size + head.length;
            Some((entry, head.marks & DELETED != 0))
        })
    }

    /// An entry, from its head on.
    #[inline]
    fn read<'a>(&'a self, bytes: &'a [u8], head: Head) -> Entry<'a> {
        let (ms, rest) = read_number(&bytes[head.size..head.size + head.length]);
        let (sequence, rest) = read_number(rest);
        let id = match ms {
            0 => Id { ms: self.base.ms, sequence: self.base.sequence.wrapping_add(sequence) },
            _ => Id { ms: self.base.ms.wrapping_add(ms), sequence },
        };
        let fields = if head.marks & SAME_NAMES != 0 {
            let names = &self.bytes[..self.names_end as usize];
            Fields { names: Some(names), rest, left: self.names as usize }
        } else {
            let (left, rest) = read_number(rest);
            Fields { names: None, rest, left: left as usize }
        };
        Entry { id, fields }
    }

    /// Those of a range, in order.
    pub(super) fn range(&self, range: IdRange) -> impl Iterator<Item = Entry<'_>> {
        let begins_here = range.first <= self.base;
        let ends_behind = range.last >= self.last;
        let behind = self.entries().skip_while(move |entry| !begins_here && entry.id < range.first);
        behind.take_while(move |entry| ends_behind || entry.id <= range.last)
    }

    /// Those of a range, the last one first.
    pub(super) fn range_back(&self, range: IdRange) -> impl Iterator<Item = Entry<'_>> {
        let (mut entries, mut places) = (self.entries(), Vec::with_capacity(self.len()));
        loop {
            let at = entries.at;
            match entries.next() {
                Some(entry) if entry.id > range.last => break,
                Some(entry) if entry.id >= range.first => places.push(at as u32),
                Some(_) => {}
                None => break,
            }
        }
        let entry_at = |at| Entries { block: self, at: at as usize }.next();
        places.into_iter().rev().filter_map(entry_at)
    }

    pub(super) fn first_id(&self) -> Option<Id> {
        self.entries().next().map(|entry| entry.id)
    }

    /// The last id of an entry that is not deleted.
    pub(super) fn top(&self) -> Option<Id> {
        let is_there = |id: &Id| self.get(*id).is_some();
        Some(self.last).filter(is_there).or_else(|| self.entries().last().map(|entry| entry.id))
    }

    pub(super) fn get(&self, id: Id) -> Option<Entry<'_>> {
        self.entries().find(|entry| entry.id >= id).filter(|entry| entry.id == id)
    }

    /// Deletes an entry; whether it was there.
    pub(super) fn delete(&mut self, id: Id) -> bool {
        let mut entries = self.entries();
        let at = loop {
            let at = entries.skip_deleted();
            match entries.next() {
                Some(entry) if entry.id < id => {}
                Some(entry) if entry.id == id => break at,
                _ => return false,
            }
        };
        self.mark_deleted(at);
        self.tidy();
        true
    }

    /// Deletes entries in front as long as they are to go; how many.
    pub(super) fn delete_front(&mut self, mut goes: impl FnMut(Id) -> bool) -> usize {
        let mut deleted = 0;
        while self.first_id().is_some_and(&mut goes) {
            self.mark_deleted(self.start as usize);
            deleted += 1;
        }
        self.tidy();
        deleted
    }

    fn mark_deleted(&mut self, at: usize) {
        let head = Head::read(&self.bytes[at..]);
        self.bytes[at] |= DELETED;
        self.dead_bytes += (head.size + head.length) as u32;
        self.live -= 1;
        self.deleted += 1;
        if at == self.start as usize {
            self.start = self.entries().skip_deleted() as u32;
        }
    }

    /// Drops the bytes of deleted entries once they are the larger part.
    fn tidy(&mut self) {
        let (dead, used) = (self.dead_bytes as usize, self.bytes.len() - self.names_end as usize);
        if self.live == 0 || dead < WORTH_COMPACTING || dead * 2 < used {
            return;
        }
        let mut bytes = Vec::with_capacity(self.bytes.len() - dead);
        bytes.extend_from_slice(&self.bytes[..self.names_end as usize]);
        let mut entries = self.entries();
        loop {
            let from = entries.skip_deleted();
            if entries.next().is_none() {
                break;
            }
            bytes.extend_from_slice(&self.bytes[from..entries.at]);
        }
        self.bytes = bytes;
        self.start = self.names_end;
        self.dead_bytes = 0;
    }

    /// Gives back the room for more entries.
    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }
}

impl Head {
    #[inline]
    fn read(bytes: &[u8]) -> Self {
        let part = |at: usize| usize::from(bytes[at] & 0x7f) << (7 * at);
        let is_long = bytes[1] & 0x80 != 0;
        let (size, head) = if is_long {
            (LONG_HEAD, part(0) | part(1) | part(2) | part(3) | part(4))
        } else {
            (HEAD, part(0) | part(1))
        };
        Head { size, length: head >> MARK_BITS, marks: bytes[0] & (DELETED | SAME_NAMES) }
    }
}

/// The entries of a block that are not deleted, from a place on.
#[derive(Clone)]
pub(crate) struct Entries<'a> {
    block: &'a Block,
    at: usize,
}

impl Entries<'_> {
    /// Goes on to the next entry that is not deleted, and says where it is.
    fn skip_deleted(&mut self) -> usize {
        while let Some(bytes @ [_, ..]) = self.block.bytes.get(self.at..) {
            let head = Head::read(bytes);
            if head.marks & DELETED == 0 {
                break;
            }
            self.at += head.size + head.length;
        }
        self.at
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        if self.block.dead_bytes > 0 {
            self.skip_deleted();
        }
        let block = self.block;
        let bytes = block.bytes.get(self.at..).filter(|bytes| !bytes.is_empty())?;
        let head = Head::read(bytes);
        self.at += head.size + head.length;
        Some(block.read(bytes, head))
    }
}

impl Entry<'_> {
    pub(super) fn same_as(self, other: Entry<'_>) -> bool {
        let is_same_length = self.fields.len() == other.fields.len();
        let mut both = self.fields.zip(other.fields);
        self.id == other.id
            && is_same_length
            && both.all(|(one, other)| is_same(one.0, other.0) && is_same(one.1, other.1))
    }
}

impl Fields<'_> {
    /// Whether their names are those of the block.
    pub(crate) const fn are_same(&self) -> bool {
        self.names.is_some()
    }
}

impl<'a> Iterator for Fields<'a> {
    /// A name and a value.
    type Item = (Text<'a>, Text<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = match &mut self.names {
            Some(names) => take_element(names),
            None => take_element(&mut self.rest),
        };
        name.zip(take_element(&mut self.rest))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Fields<'_> {}

fn take_element<'a>(bytes: &mut &'a [u8]) -> Option<Text<'a>> {
    let (element, rest) = split_bare(bytes)?;
    *bytes = rest;
    Some(element)
}

/// Seven bits in each byte, the lowest first; the highest bit says that more follow.
fn write_number(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[inline]
fn read_number(bytes: &[u8]) -> (u64, &[u8]) {
    let mut number = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return (number, &bytes[at + 1..]);
        }
    }
    (number, &[])
}
