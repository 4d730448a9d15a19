//! Streams as RDB files have them: nodes of packed entries, and the groups that read them.

use std::collections::BTreeMap;

use super::lists::{framed, packed_texts};
use super::output::Output;
use super::payload::{Reader, write_length, write_string};
use crate::value::Text;
use crate::value::packed;
use crate::value::stream::{Block, Group, History, Id, IdRange, Log, NodeLimits, Pending, Stream};

/// What an RDB file of some version tells of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    Oldest,
    /// With what was ever added and deleted, and how far groups have read.
    Counted,
    /// With the times at which consumers got something.
    Timed,
}

/// Marks of an entry in a node.
const DELETED: i64 = 1;
const SAME_NAMES: i64 = 2;

/// How many elements an entry has beside its fields: marks, the two parts of its id, and at the
/// end how many elements there are.
const AROUND_FIELDS: usize = 3;

/// In a version from `Version::Counted` on.
pub(super) fn write(output: &mut dyn Output, stream: &Stream, version: Version) {
    let log = &stream.log;
    write_length(output.room(), log.count_blocks() as u64);
    for block in log.blocks() {
        let output = output.room();
        write_string(output, &block.base().to_bytes());
        write_string(output, &node(block));
    }
    write_history(output.room(), log);
    write_length(output.room(), stream.groups.len() as u64);
    for (name, group) in stream.groups.iter() {
        write_string(output.room(), name);
        write_group(output, group, version);
    }
}

fn write_history(output: &mut Vec<u8>, log: &Log) {
    let History { last_id, max_deleted_id, added } = log.history;
    write_length(output, log.len() as u64);
    write_id(output, last_id);
    write_id(output, log.first_id());
    write_id(output, max_deleted_id);
    write_length(output, added);
}

fn write_id(output: &mut Vec<u8>, id: Id) {
    write_length(output, id.ms);
    write_length(output, id.sequence);
}

fn write_group(output: &mut dyn Output, group: &Group, version: Version) {
    write_id(output.room(), group.last_id);
    write_length(output.room(), group.read.unwrap_or(-1) as u64);
    write_length(output.room(), group.count_pending() as u64);
    for (id, pending) in group.pending_in(IdRange::ALL) {
        let output = output.room();
        output.extend(id.to_bytes());
        output.extend(pending.delivered_ms.to_le_bytes());
        write_length(output, pending.deliveries as u64);
    }
    write_length(output.room(), group.count_consumers() as u64);
    for consumer in group.consumers() {
        let head = output.room();
        write_string(head, &consumer.name);
        head.extend(consumer.seen_ms.to_le_bytes());
        if version >= Version::Timed {
            head.extend(consumer.active_ms.unwrap_or(-1).to_le_bytes());
        }
        write_length(head, consumer.count_pending() as u64);
        consumer.pending().for_each(|id| output.room().extend(id.to_bytes()));
    }
}

/// A block as Redis has it, with those deleted entries whose bytes are still there.
fn node(block: &Block) -> Vec<u8> {
    let mut elements = Elements::default();
    let deleted = block.all_entries().filter(|(_, is_deleted)| *is_deleted).count();
    elements.integer(block.len() as i64);
    elements.integer(deleted as i64);
    elements.integer(block.names().count() as i64);
    block.names().for_each(|name| elements.add(name));
    elements.integer(0);
    let base = block.base();
    for (entry, is_deleted) in block.all_entries() {
        let before = elements.count;
        let is_same = entry.fields.are_same();
        let deleted = if is_deleted { DELETED } else { 0 };
        elements.integer(deleted | if is_same { SAME_NAMES } else { 0 });
        elements.integer(entry.id.ms.wrapping_sub(base.ms) as i64);
        elements.integer(entry.id.sequence.wrapping_sub(base.sequence) as i64);
        if !is_same {
            elements.integer(entry.fields.len() as i64);
        }
        for (name, value) in entry.fields {
            if !is_same {
                elements.add(name);
            }
            elements.add(value);
        }
        elements.integer((elements.count - before) as i64);
    }
    framed(&elements.bytes, elements.count)
}

/// Packed elements in the making.
#[derive(Default)]
struct Elements {
    bytes: Vec<u8>,
    count: usize,
}

impl Elements {
    fn add(&mut self, element: Text<'_>) {
        packed::append(element, &mut self.bytes);
        self.count += 1;
    }

    fn integer(&mut self, integer: i64) {
        self.add(Text::Integer(integer));
    }
}

/// `None` means that the bytes are not what they should be.
pub(super) fn read(version: Version, reader: &mut Reader<'_>) -> Option<Stream> {
    let mut stream = Stream::default();
    for _ in 0..reader.plain_length()? {
        let base = Id::from_bytes((*reader.string()?).try_into().ok()?);
        read_node(base, &reader.string()?, &mut stream.log)?;
    }
    if stream.log.is_empty() {
        // So Redis has it for streams of which it is not told.
        stream.log.set_first_id(Id::MAX);
    }
    let length = reader.plain_length()?;
    let mut history = History { last_id: read_id(reader)?, max_deleted_id: Id::MIN, added: length };
    if version >= Version::Counted {
        stream.log.set_first_id(read_id(reader)?);
        history.max_deleted_id = read_id(reader)?;
        history.added = reader.plain_length()?;
    }
    let log = &mut stream.log;
    if length != log.len() as u64 || log.top().is_some_and(|top| top > history.last_id) {
        return None;
    }
    log.history = history;
    for _ in 0..reader.plain_length()? {
        let name = reader.string()?;
        let group = read_group(version, reader, &stream.log)?;
        stream.groups.add(&name, group).then_some(())?;
    }
    Some(stream)
}

fn read_id(reader: &mut Reader<'_>) -> Option<Id> {
    Some(Id { ms: reader.plain_length()?, sequence: reader.plain_length()? })
}

fn read_raw_id(reader: &mut Reader<'_>) -> Option<Id> {
    reader.array().map(Id::from_bytes)
}

fn read_time(reader: &mut Reader<'_>) -> Option<i64> {
    reader.array().map(i64::from_le_bytes)
}

/// Adds the entries of a node, which has to be behind all that are there.
fn read_node(base: Id, node: &[u8], log: &mut Log) -> Option<()> {
    (node.len() <= MOST_BYTES).then_some(())?;
    let mut rest = Rest(packed_texts(node)?);
    let (live, deleted) = (rest.count()?, rest.count()?);
    let count = rest.count()?;
    let names = rest.take(count)?;
    (rest.integer()? == 0).then_some(())?;
    let mut block = Block::empty(base, names, node.len());
    let mut last = log.blocks().next_back().map(Block::last);
    for _ in 0..live.checked_add(deleted)? {
        let (marks, ms, sequence) = (rest.integer()?, rest.integer()?, rest.integer()?);
        let is_same = marks & SAME_NAMES != 0;
        let elements = if is_same { count } else { rest.count()?.checked_mul(2)? };
        let texts = rest.take(elements)?;
        let counted = AROUND_FIELDS + elements + usize::from(!is_same);
        (rest.integer()? == counted as i64).then_some(())?;
        let (ms, sequence) = (ms as u64, sequence as u64);
        let id =
            Id { ms: base.ms.wrapping_add(ms), sequence: base.sequence.wrapping_add(sequence) };
        last.is_none_or(|last| last < id).then_some(())?;
        last = Some(id);
        if marks & DELETED == 0 {
            block.push_texts(id, is_same, texts);
        } else {
            block.push_deleted(id, is_same, texts);
        }
    }
    let is_counted = block.len() == live && live + deleted > 0;
    if live > 0 {
        log.add_block(block);
    }
    (is_counted && rest.0.0.is_empty()).then_some(())
}

/// No server writes a node that is larger than two of those it may fill.
const MOST_BYTES: usize = 2 * NodeLimits::MOST_BYTES;

/// What is still to be read of a node.
struct Rest<'a>(packed::Elements<'a>);

impl<'a> Rest<'a> {
    /// The next elements, of which there have to be so many.
    fn take(&mut self, count: usize) -> Option<Known<'a>> {
        let mut behind = self.0.clone();
        let are_there = count == 0 || behind.nth(count - 1).is_some();
        let elements = std::mem::replace(&mut self.0, behind);
        are_there.then_some(Known { elements, count })
    }

    fn integer(&mut self) -> Option<i64> {
        self.0.next()?.integer()
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.integer()?).ok()
    }
}

/// Elements of which it is known how many they are.
struct Known<'a> {
    elements: packed::Elements<'a>,
    count: usize,
}

impl<'a> Iterator for Known<'a> {
    type Item = Text<'a>;

    fn next(&mut self) -> Option<Text<'a>> {
        self.count = self.count.checked_sub(1)?;
        self.elements.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for Known<'_> {}

fn read_group(version: Version, reader: &mut Reader<'_>, log: &Log) -> Option<Group> {
    let last_id = read_id(reader)?;
    let read = match version {
        Version::Oldest => log.added_until(last_id).map(|added| added as i64),
        _ => Some(reader.plain_length()? as i64).filter(|&read| read != -1),
    };
    let mut group = Group::new(last_id, read);
    let mut unclaimed = BTreeMap::new();
    for _ in 0..reader.plain_length()? {
        let (id, delivered_ms) = (read_raw_id(reader)?, read_time(reader)?);
        let deliveries = reader.plain_length()? as i64;
        let is_new = unclaimed.insert(id, (delivered_ms, deliveries)).is_none();
        is_new.then_some(())?;
    }
    for _ in 0..reader.plain_length()? {
        let name = reader.string()?;
        let seen_ms = read_time(reader)?;
        let active_ms = if version >= Version::Timed { read_time(reader)? } else { seen_ms };
        let number = group.add_consumer(&name, seen_ms)?;
        group.consumer_mut(number).active_ms = Some(active_ms).filter(|&ms| ms != -1);
        for _ in 0..reader.plain_length()? {
            let id = read_raw_id(reader)?;
            let (delivered_ms, deliveries) = unclaimed.remove(&id)?;
            group.assign(id, Pending { consumer: number, delivered_ms, deliveries });
        }
    }
    unclaimed.is_empty().then_some(group)
}
