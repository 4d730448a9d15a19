//! What is stored under a key, in one slot: a header, the key, and the value.
//!
//! ```text
//! Head | deadline? | length of a long key? | integer or number? | key | text?
//! ```
//!
//! Integers and texts lie in the slot itself. Other values lie outside, and the slot has their
//! number. Where each part is follows from the header and the length of the key. This module knows
//! nothing of where slots come from, of tables and of time.

use super::usage::Usage;
use super::values::Values;
use crate::storage::slot_bytes;
use crate::value::string::SHARED_FROM;
use crate::value::{Text, TextBuffer, Value, ValueRef};

/// A key with its value, deadline and usage, to be looked at.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    slot: &'a [u8],
    head: Head,
    outside: Option<&'a Value>,
}

/// An entry that is not in the keyspace, or no more.
#[derive(Debug)]
pub(crate) struct Kept {
    slot: Box<[u8]>,
    outside: Option<Value>,
}

/// A value that is about to be stored.
#[derive(Debug)]
pub(crate) enum Content<'a> {
    Integer(i64),
    /// Shorter than `SHARED_FROM`.
    Text(&'a [u8]),
    Outside(Value),
}

/// An entry to be.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) key: &'a [u8],
    pub(super) content: Content<'a>,
    pub(super) deadline_ms: Option<i64>,
    pub(super) usage: Usage,
}

/// The first word of a slot.
#[derive(Clone, Copy)]
struct Head {
    usage: Usage,
    text_length: u16,
    /// `LONG_KEY` where the length stands in a word of its own.
    key_length: u8,
    form: Form,
}

/// Which parts there are: how the value is kept, and whether there is a deadline.
#[derive(Clone, Copy)]
struct Form(u8);

impl Form {
    const INTEGER: u8 = 0;
    const TEXT: u8 = 1;
    const OUTSIDE: u8 = 2;
    const CONTENT: u8 = 3;
    const DEADLINE: u8 = 4;
    /// What it means changes with each snapshot.
    const EPOCH: u8 = 8;

    const fn content(self) -> u8 {
        self.0 & Self::CONTENT
    }

    const fn has_deadline(self) -> bool {
        self.0 & Self::DEADLINE != 0
    }

    const fn epoch(self) -> bool {
        self.0 & Self::EPOCH != 0
    }
}

/// Marks a key whose length does not fit in the header.
const LONG_KEY: u8 = u8::MAX;
const WORD: usize = size_of::<u64>();
/// What an entry takes in a table that is about as full as tables are.
pub(crate) const SHARE_OF_TABLE: usize = 8;
const WELL_FORMED: &str = "a slot has all parts that its header says it has";

/// Where the parts of an entry are. The words come first, then the key, then the text.
#[derive(Clone, Copy)]
struct Shape {
    has_deadline: bool,
    has_long_key: bool,
    has_payload: bool,
    key_length: usize,
    text_length: usize,
}

impl Shape {
    const DEADLINE_AT: usize = WORD;

    fn of(slot: &[u8], head: Head) -> Self {
        let has_deadline = head.form.has_deadline();
        let has_long_key = head.key_length == LONG_KEY;
        let key_length = if has_long_key {
            word(slot, Self::DEADLINE_AT + usize::from(has_deadline) * WORD) as usize
        } else {
            usize::from(head.key_length)
        };
        let has_payload = head.form.content() != Form::TEXT;
        let text_length = usize::from(head.text_length);
        Shape { has_deadline, has_long_key, has_payload, key_length, text_length }
    }

    const fn key_length_at(self) -> usize {
        Self::DEADLINE_AT + self.has_deadline as usize * WORD
    }

    const fn payload_at(self) -> usize {
        self.key_length_at() + self.has_long_key as usize * WORD
    }

    const fn key_at(self) -> usize {
        self.payload_at() + self.has_payload as usize * WORD
    }

    const fn text_at(self) -> usize {
        self.key_at() + self.key_length
    }
}

impl Draft<'_> {
    const fn shape(&self) -> Shape {
        Shape {
            has_deadline: self.deadline_ms.is_some(),
            has_long_key: self.key.len() >= LONG_KEY as usize,
            has_payload: !matches!(self.content, Content::Text(_)),
            key_length: self.key.len(),
            text_length: self.content.text_length(),
        }
    }

    /// The size of the slot that it takes.
    pub(super) const fn slot_bytes(&self) -> usize {
        let shape = self.shape();
        slot_bytes(shape.text_at() + shape.text_length)
    }

    pub(super) const fn is_outside(&self) -> bool {
        matches!(self.content, Content::Outside(_))
    }

    /// Writes all parts into a slot of that size; what cannot lie there goes among the values.
    pub(super) fn write(self, slot: &mut [u8], values: &mut Values, epoch: bool) {
        let shape = self.shape();
        let content = match self.content {
            Content::Integer(integer) => {
                put_word(slot, shape.payload_at(), integer as u64);
                Form::INTEGER
            }
            Content::Outside(value) => {
                put_word(slot, shape.payload_at(), values.add(value).into());
                Form::OUTSIDE
            }
            Content::Text(text) => {
                slot[shape.text_at()..][..text.len()].copy_from_slice(text);
                Form::TEXT
            }
        };
        if let Some(deadline_ms) = self.deadline_ms {
            put_word(slot, Shape::DEADLINE_AT, deadline_ms as u64);
        }
        if shape.has_long_key {
            put_word(slot, shape.key_length_at(), shape.key_length as u64);
        }
        slot[shape.key_at()..][..self.key.len()].copy_from_slice(self.key);
        let head = Head {
            usage: self.usage,
            text_length: shape.text_length as u16,
            key_length: if shape.has_long_key { LONG_KEY } else { shape.key_length as u8 },
            form: Form(
                content
                    | if shape.has_deadline { Form::DEADLINE } else { 0 }
                    | if epoch { Form::EPOCH } else { 0 },
            ),
        };
        put_word(slot, 0, head.to_word());
    }
}

/// The key alone, which is all that a look-up compares.
pub(super) fn key(slot: &[u8]) -> &[u8] {
    let shape = Shape::of(slot, Head::of(slot));
    &slot[shape.key_at()..][..shape.key_length]
}

/// The number of the value that lies outside, if it does.
pub(super) fn outside(slot: &[u8]) -> Option<u32> {
    let head = Head::of(slot);
    let is_outside = head.form.content() == Form::OUTSIDE;
    is_outside.then(|| word(slot, Shape::of(slot, head).payload_at()) as u32)
}

pub(super) fn usage(slot: &[u8]) -> Usage {
    Head::of(slot).usage
}

pub(super) fn note_use(slot: &mut [u8], again: impl FnOnce(Usage) -> Usage) {
    let head = Head::of(slot);
    put_word(slot, 0, Head { usage: again(head.usage), ..head }.to_word());
}

/// Of which snapshot an entry is.
pub(super) fn epoch(slot: &[u8]) -> bool {
    Head::of(slot).form.epoch()
}

pub(super) fn toggle_epoch(slot: &mut [u8]) {
    let head = Head::of(slot);
    put_word(slot, 0, Head { form: Form(head.form.0 ^ Form::EPOCH), ..head }.to_word());
}

/// Changes a deadline that is there to another; whether that was all there was to do.
pub(super) fn replace_deadline(slot: &mut [u8], deadline_ms: Option<i64>) -> bool {
    let has_deadline = Head::of(slot).form.has_deadline();
    if let Some(deadline_ms) = deadline_ms.filter(|_| has_deadline) {
        put_word(slot, Shape::DEADLINE_AT, deadline_ms as u64);
    }
    has_deadline == deadline_ms.is_some()
}

impl<'a> Entry<'a> {
    pub(super) fn new(slot: &'a [u8], values: &'a Values) -> Self {
        Entry { slot, head: Head::of(slot), outside: outside(slot).map(|number| &values[number]) }
    }

    fn shape(self) -> Shape {
        Shape::of(self.slot, self.head)
    }

    pub(crate) fn key(self) -> &'a [u8] {
        key(self.slot)
    }

    pub(crate) fn value(self) -> ValueRef<'a> {
        self.outside.map_or_else(|| ValueRef::String(self.inside()), Value::as_ref)
    }

    /// The value if it lies in the slot.
    pub(super) fn inside(self) -> Text<'a> {
        let shape = self.shape();
        if shape.has_payload {
            return Text::Integer(word(self.slot, shape.payload_at()) as i64);
        }
        Text::Fixed(&self.slot[shape.text_at()..][..shape.text_length])
    }

    pub(crate) fn deadline_ms(self) -> Option<i64> {
        let has_deadline = self.head.form.has_deadline();
        has_deadline.then(|| word(self.slot, Shape::DEADLINE_AT) as i64)
    }

    pub(crate) fn is_expired(self, now_ms: i64) -> bool {
        self.deadline_ms().is_some_and(|deadline_ms| deadline_ms <= now_ms)
    }

    pub(crate) const fn usage(self) -> Usage {
        self.head.usage
    }

    /// The memory it takes, with its value and its share of the table.
    pub(crate) fn memory(self) -> usize {
        let outside = self.outside.map_or(0, |value| size_of::<Value>() + value.heap_bytes());
        SHARE_OF_TABLE + self.slot.len() + outside
    }

    /// Where it lies, for those who want to know.
    pub(crate) const fn address(self) -> *const u8 {
        self.slot.as_ptr()
    }

    pub(crate) fn to_kept(self) -> Kept {
        Kept { slot: self.slot.into(), outside: self.outside.cloned() }
    }
}

impl Kept {
    /// `outside` is the value that the slot has the number of.
    pub(super) fn new(slot: &[u8], outside: Option<Value>) -> Self {
        Kept { slot: slot.into(), outside }
    }

    pub(crate) fn entry(&self) -> Entry<'_> {
        Entry { slot: &self.slot, head: Head::of(&self.slot), outside: self.outside.as_ref() }
    }

    pub(crate) fn set_usage(&mut self, usage: Usage) {
        note_use(&mut self.slot, |_| usage);
    }

    /// The same once more; a value that lies outside is taken along.
    pub(super) fn draft(&mut self) -> Draft<'_> {
        let outside = self.outside.take();
        let entry = self.entry();
        let content = match outside {
            Some(value) => Content::Outside(value),
            None => Content::from(entry.inside()),
        };
        let (key, deadline_ms, usage) = (entry.key(), entry.deadline_ms(), entry.usage());
        Draft { key, content, deadline_ms, usage }
    }
}

impl Head {
    fn of(slot: &[u8]) -> Self {
        let word = word(slot, 0);
        Head {
            usage: Usage::from_number(word as u32),
            text_length: (word >> 32) as u16,
            key_length: (word >> 48) as u8,
            form: Form((word >> 56) as u8),
        }
    }

    const fn to_word(self) -> u64 {
        self.usage.number() as u64
            | (self.text_length as u64) << 32
            | (self.key_length as u64) << 48
            | (self.form.0 as u64) << 56
    }
}

fn word(slot: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*slot[at..].first_chunk().expect(WELL_FORMED))
}

fn put_word(slot: &mut [u8], at: usize, word: u64) {
    *slot[at..].first_chunk_mut().expect(WELL_FORMED) = word.to_le_bytes();
}

impl std::fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Entry");
        shown.field("key", &self.key()).field("value", &self.value());
        shown.field("deadline_ms", &self.deadline_ms()).finish_non_exhaustive()
    }
}

impl Content<'_> {
    /// What of it lies in the entry itself, behind the key.
    const fn text_length(&self) -> usize {
        let Content::Text(text) = self else { return 0 };
        assert!(text.len() < SHARED_FROM, "a longer text lies outside");
        text.len()
    }
}

impl<'a> From<Text<'a>> for Content<'a> {
    fn from(text: Text<'a>) -> Self {
        match text {
            Text::Integer(integer) => Content::Integer(integer),
            Text::Fixed(bytes) if bytes.len() < SHARED_FROM => Content::Text(bytes),
            Text::Fixed(bytes) => {
                Value::String(TextBuffer::Shared(bytes::Bytes::copy_from_slice(bytes))).into()
            }
            Text::Shared(bytes) => Value::String(TextBuffer::Shared(bytes.clone())).into(),
            Text::Growing(bytes) => Value::String(TextBuffer::Growing(bytes.to_vec())).into(),
        }
    }
}

impl From<Value> for Content<'_> {
    fn from(value: Value) -> Self {
        Content::Outside(value)
    }
}
