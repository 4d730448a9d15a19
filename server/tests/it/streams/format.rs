//! Streams as `DUMP` writes them, put together part by part, so that each part may lie.

/// The two parts of an id.
pub(super) type Id = (u64, u64);

/// The types of streams in payloads: of Redis 5, 7.0 and 7.2.
pub(super) const KINDS: [u8; 3] = [15, 19, 21];
/// The first type that tells what was ever added, and the first that tells when consumers were active.
const COUNTED: u8 = 19;
const TIMED: u8 = 21;

/// Marks of an entry in a node.
pub(super) const DELETED: i64 = 1;
pub(super) const SAME_NAMES: i64 = 2;

/// A stream. What is announced is what there is, unless something else is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    pub(super) nodes: Vec<Node>,
    pub(super) length: u64,
    pub(super) last_id: Id,
    pub(super) first_id: Id,
    pub(super) max_deleted_id: Id,
    pub(super) added: u64,
    pub(super) groups: Vec<Group>,
    pub(super) announced_nodes: Option<u64>,
    pub(super) announced_groups: Option<u64>,
}

/// Entries that lie together.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub(super) key: Vec<u8>,
    pub(super) elements: Vec<Element>,
    pub(super) announced_bytes: Option<u32>,
    pub(super) announced_elements: Option<u16>,
}

/// What a node is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Element {
    Integer(i64),
    Text(Vec<u8>),
    /// Bytes that may be no element, or several.
    Raw(Vec<u8>),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) name: Vec<u8>,
    pub(super) last_id: Id,
    pub(super) read: u64,
    pub(super) pending: Vec<Pending>,
    pub(super) consumers: Vec<Consumer>,
    pub(super) announced_pending: Option<u64>,
    pub(super) announced_consumers: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    pub(super) id: Id,
    pub(super) delivered_ms: i64,
    pub(super) deliveries: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Consumer {
    pub(super) name: Vec<u8>,
    pub(super) seen_ms: i64,
    pub(super) active_ms: i64,
    pub(super) pending: Vec<Id>,
    pub(super) announced_pending: Option<u64>,
}

/// An entry of a node.
#[derive(Clone, Debug)]
pub(super) struct Entry<'a> {
    /// Beyond the key of the node.
    pub(super) offset: (i64, i64),
    pub(super) marks: i64,
    /// The values, or names and values by turns.
    pub(super) words: &'a [&'a str],
}

impl Stream {
    /// Without version and checksum.
    pub(super) fn value(&self, kind: u8) -> Vec<u8> {
        let mut bytes = vec![kind];
        write_length(self.announced_nodes.unwrap_or(self.nodes.len() as u64), &mut bytes);
        for node in &self.nodes {
            write_string(&node.key, &mut bytes);
            write_string(&node.listpack(), &mut bytes);
        }
        write_length(self.length, &mut bytes);
        write_id(self.last_id, &mut bytes);
        if kind >= COUNTED {
            write_id(self.first_id, &mut bytes);
            write_id(self.max_deleted_id, &mut bytes);
            write_length(self.added, &mut bytes);
        }
        write_length(self.announced_groups.unwrap_or(self.groups.len() as u64), &mut bytes);
        self.groups.iter().for_each(|group| group.write(kind, &mut bytes));
        bytes
    }
}

impl Node {
    pub(super) fn new(key: Id, names: &[&str], entries: &[Entry<'_>]) -> Self {
        let deleted = entries.iter().filter(|entry| entry.marks & DELETED != 0).count();
        let counts = [entries.len() - deleted, deleted, names.len()];
        let mut elements: Vec<_> = counts.map(|count| Element::Integer(count as i64)).into();
        elements.extend(names.iter().map(|name| Element::Text(name.as_bytes().to_vec())));
        elements.push(Element::Integer(0));
        for entry in entries {
            let before = elements.len();
            let (ms, sequence) = entry.offset;
            elements.extend([entry.marks, ms, sequence].map(Element::Integer));
            if entry.marks & SAME_NAMES == 0 {
                elements.push(Element::Integer(entry.words.len() as i64 / 2));
            }
            elements.extend(entry.words.iter().map(|word| Element::Text(word.as_bytes().to_vec())));
            elements.push(Element::Integer((elements.len() - before) as i64));
        }
        Node { key: key_of(key).to_vec(), elements, ..Node::default() }
    }

    fn listpack(&self) -> Vec<u8> {
        let elements: Vec<u8> = self.elements.iter().flat_map(Element::bytes).collect();
        let total = self.announced_bytes.unwrap_or(elements.len() as u32 + 7);
        let count = u16::try_from(self.elements.len()).unwrap_or(u16::MAX);
        let count = self.announced_elements.unwrap_or(count);
        [&total.to_le_bytes()[..], &count.to_le_bytes(), &elements, &[0xff]].concat()
    }
}

impl Element {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = match self {
            Element::Raw(bytes) => return bytes.clone(),
            Element::Integer(integer) => shortest(*integer),
            Element::Text(text) if text.len() < 64 => {
                [&[0x80 | text.len() as u8], &text[..]].concat()
            }
            Element::Text(text) if text.len() < 4096 => {
                [&[0xe0 | (text.len() >> 8) as u8, text.len() as u8], &text[..]].concat()
            }
            Element::Text(text) => {
                [&[0xf0][..], &(text.len() as u32).to_le_bytes(), &text[..]].concat()
            }
        };
        bytes.extend(tail(bytes.len()));
        bytes
    }
}

fn shortest(integer: i64) -> Vec<u8> {
    let bytes = integer.to_le_bytes();
    match integer {
        0..=0x7f => vec![bytes[0]],
        -0x1000..=0xfff => vec![0xc0 | bytes[1] & 0x1f, bytes[0]],
        -0x8000..=0x7fff => [&[0xf1], &bytes[..2]].concat(),
        -0x80_0000..=0x7f_ffff => [&[0xf2], &bytes[..3]].concat(),
        -0x8000_0000..=0x7fff_ffff => [&[0xf3], &bytes[..4]].concat(),
        _ => [&[0xf4], &bytes[..]].concat(),
    }
}

/// The length of an element as it stands behind it.
fn tail(length: usize) -> Vec<u8> {
    let groups = match length {
        0..=0x7f => 1,
        0x80..=0x3ffe => 2,
        0x3fff..=0x1f_fffe => 3,
        0x1f_ffff..=0xfff_fffe => 4,
        _ => 5,
    };
    let mut bytes: Vec<u8> =
        (0..groups).rev().map(|group| (length >> (7 * group)) as u8 & 0x7f | 0x80).collect();
    bytes[0] &= 0x7f;
    bytes
}

impl Group {
    fn write(&self, kind: u8, bytes: &mut Vec<u8>) {
        write_string(&self.name, bytes);
        write_id(self.last_id, bytes);
        if kind >= COUNTED {
            write_length(self.read, bytes);
        }
        write_length(self.announced_pending.unwrap_or(self.pending.len() as u64), bytes);
        for pending in &self.pending {
            bytes.extend(key_of(pending.id));
            bytes.extend(pending.delivered_ms.to_le_bytes());
            write_length(pending.deliveries, bytes);
        }
        write_length(self.announced_consumers.unwrap_or(self.consumers.len() as u64), bytes);
        self.consumers.iter().for_each(|consumer| consumer.write(kind, bytes));
    }
}

impl Consumer {
    fn write(&self, kind: u8, bytes: &mut Vec<u8>) {
        write_string(&self.name, bytes);
        bytes.extend(self.seen_ms.to_le_bytes());
        if kind >= TIMED {
            bytes.extend(self.active_ms.to_le_bytes());
        }
        write_length(self.announced_pending.unwrap_or(self.pending.len() as u64), bytes);
        self.pending.iter().for_each(|&id| bytes.extend(key_of(id)));
    }
}

/// An id as the key of a node.
pub(super) fn key_of((ms, sequence): Id) -> [u8; 16] {
    (u128::from(ms) << 64 | u128::from(sequence)).to_be_bytes()
}

fn write_id((ms, sequence): Id, bytes: &mut Vec<u8>) {
    write_length(ms, bytes);
    write_length(sequence, bytes);
}

pub(super) fn write_string(text: &[u8], bytes: &mut Vec<u8>) {
    write_length(text.len() as u64, bytes);
    bytes.extend_from_slice(text);
}

pub(super) fn write_length(length: u64, bytes: &mut Vec<u8>) {
    if length < 64 {
        bytes.push(length as u8);
    } else {
        bytes.push(0x81);
        bytes.extend(length.to_be_bytes());
    }
}
