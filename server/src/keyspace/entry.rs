//! What is stored under a key, in one allocation: a header, the key, and the value.
//!
//! ```text
//! Head | deadline? | length of a long key? | integer or pointer? | key | text?
//! ```
//!
//! Integers and texts lie in the entry itself. Other values lie outside and belong to the entry.
//! Where each part is follows from the header and the length of the key. Both change only
//! together with what they describe. This module knows nothing of tables and of time.
#![allow(unsafe_code, reason = "an entry's parts have sizes that only its header tells")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::ptr::{self, NonNull};
use std::slice;

use super::table::Keyed;
use super::usage::Usage;
use crate::value::string::SHARED_FROM;
use crate::value::{Text, TextBuffer, Value, ValueRef};

/// A key with its value, deadline and usage. It is one pointer wide.
pub(crate) struct Entry {
    block: NonNull<Head>,
}

/// A value that is about to be stored.
#[derive(Debug)]
pub(crate) enum Content<'a> {
    Integer(i64),
    /// Shorter than `SHARED_FROM`.
    Text(&'a [u8]),
    Outside(Box<Value>),
}

#[derive(Clone, Copy)]
#[repr(C, align(8))]
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

    const fn content(self) -> u8 {
        self.0 & Self::CONTENT
    }

    const fn has_deadline(self) -> bool {
        self.0 & Self::DEADLINE != 0
    }
}

/// Marks a key whose length does not fit in the header.
const LONG_KEY: u8 = u8::MAX;
const WORD: usize = size_of::<u64>();
/// What an entry takes in a table that is about as full as tables are.
pub(crate) const SHARE_OF_TABLE: usize = 12;

/// Where the parts of an entry are. The words come first, then the key, then the text.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    has_deadline: bool,
    has_long_key: bool,
    has_payload: bool,
    key_length: usize,
    text_length: usize,
}

impl Shape {
    const DEADLINE: usize = 0;

    const fn key_length_word(self) -> usize {
        self.has_deadline as usize
    }

    const fn payload_word(self) -> usize {
        self.key_length_word() + self.has_long_key as usize
    }

    const fn key_at(self) -> usize {
        size_of::<Head>() + (self.payload_word() + self.has_payload as usize) * WORD
    }

    const fn text_at(self) -> usize {
        self.key_at() + self.key_length
    }

    const fn size(self) -> usize {
        (self.text_at() + self.text_length).next_multiple_of(WORD)
    }

    fn layout(self) -> Layout {
        let align = align_of::<Head>();
        Layout::from_size_align(self.size(), align).expect("a key is shorter than memory")
    }
}

impl Entry {
    pub(super) fn new(
        key: &[u8],
        content: Content<'_>,
        deadline_ms: Option<i64>,
        usage: Usage,
    ) -> Self {
        let shape = Shape {
            has_deadline: deadline_ms.is_some(),
            has_long_key: key.len() >= usize::from(LONG_KEY),
            has_payload: !matches!(content, Content::Text(_)),
            key_length: key.len(),
            text_length: content.text_length(),
        };
        let layout = shape.layout();
        // SAFETY: the size is at least that of the header, so it is not 0.
        let block = unsafe { alloc(layout) };
        let Some(block) = NonNull::new(block) else { handle_alloc_error(layout) };
        let mut entry = Entry { block: block.cast() };
        let form = Form(if shape.has_deadline { Form::DEADLINE } else { 0 });
        let key_length = key.len().min(usize::from(LONG_KEY)) as u8;
        let head = Head { usage, text_length: shape.text_length as u16, key_length, form };
        // SAFETY: every part lies within the layout that was made for this shape.
        unsafe {
            entry.block.write(head);
            if shape.has_long_key {
                entry.word(shape.key_length_word()).write(key.len() as u64);
            }
            ptr::copy_nonoverlapping(key.as_ptr(), entry.byte(shape.key_at()), key.len());
        }
        entry.fill(shape, content, deadline_ms);
        entry
    }

    /// Writes the value and the deadline of an entry that has this shape and owns nothing yet.
    fn fill(&mut self, shape: Shape, content: Content<'_>, deadline_ms: Option<i64>) {
        // SAFETY: the caller's shape is the entry's own and has a place for each part.
        let content = unsafe {
            if let Some(deadline_ms) = deadline_ms {
                self.word(Shape::DEADLINE).cast::<i64>().write(deadline_ms);
            }
            match content {
                Content::Integer(integer) => {
                    self.word(shape.payload_word()).cast::<i64>().write(integer);
                    Form::INTEGER
                }
                Content::Outside(value) => {
                    let value = Box::into_raw(value);
                    self.word(shape.payload_word()).cast::<*mut Value>().write(value);
                    Form::OUTSIDE
                }
                Content::Text(text) => {
                    let place = self.byte(shape.text_at());
                    ptr::copy_nonoverlapping(text.as_ptr(), place, text.len());
                    Form::TEXT
                }
            }
        };
        let head = self.head_mut();
        head.form = Form(head.form.0 & Form::DEADLINE | content);
        head.text_length = shape.text_length as u16;
    }

    pub(crate) fn key(&self) -> &[u8] {
        let shape = self.shape();
        // SAFETY: `new` has written that many bytes there.
        unsafe { slice::from_raw_parts(self.byte(shape.key_at()), shape.key_length) }
    }

    pub(crate) fn value(&self) -> ValueRef<'_> {
        let shape = self.shape();
        // SAFETY: the form tells what `fill` has written.
        unsafe {
            match self.head().form.content() {
                Form::INTEGER => {
                    let integer = self.word(shape.payload_word()).cast::<i64>().read();
                    ValueRef::String(Text::Integer(integer))
                }
                Form::OUTSIDE => self.outside(shape).as_ref().as_ref(),
                _ => {
                    let place = self.byte(shape.text_at());
                    let text = slice::from_raw_parts(place, shape.text_length);
                    ValueRef::String(Text::Fixed(text))
                }
            }
        }
    }

    /// The value with memory of its own, to be changed in place.
    pub(super) fn value_mut(&mut self) -> &mut Value {
        if self.head().form.content() != Form::OUTSIDE {
            let value = match self.value() {
                ValueRef::String(text) => {
                    let bytes =
                        text.bytes(&mut [0; crate::value::string::LONGEST_INTEGER]).to_vec();
                    Value::String(TextBuffer::Growing(bytes))
                }
            };
            self.put(Content::Outside(Box::new(value)), self.deadline_ms(), self.usage());
        }
        // SAFETY: the value lies outside, and nobody else has a reference to it.
        unsafe { self.outside(self.shape()).as_mut() }
    }

    /// Replaces everything but the key.
    pub(super) fn put(&mut self, content: Content<'_>, deadline_ms: Option<i64>, usage: Usage) {
        if let Err(content) = self.overwrite(content, deadline_ms, usage) {
            *self = Entry::new(self.key(), content, deadline_ms, usage);
        }
    }

    /// Replaces everything but the key, if there is exactly the room. Neither what the entry takes
    /// nor whether it has a deadline changes then. Otherwise it gives the content back.
    pub(super) fn overwrite<'c>(
        &mut self,
        content: Content<'c>,
        deadline_ms: Option<i64>,
        usage: Usage,
    ) -> Result<(), Content<'c>> {
        let present = self.shape();
        let wanted = Shape {
            has_deadline: deadline_ms.is_some(),
            has_payload: !matches!(content, Content::Text(_)),
            text_length: content.text_length(),
            ..present
        };
        let is_outside = self.head().form.content() == Form::OUTSIDE;
        let fits = (wanted.has_deadline, wanted.has_payload, wanted.size())
            == (present.has_deadline, present.has_payload, present.size());
        if is_outside || matches!(content, Content::Outside(_)) || !fits {
            return Err(content);
        }
        self.fill(wanted, content, deadline_ms);
        self.set_usage(usage);
        Ok(())
    }

    /// The same under another key.
    pub(super) fn renamed(mut self, key: &[u8]) -> Self {
        let (deadline_ms, usage) = (self.deadline_ms(), self.usage());
        Entry::new(key, self.take_content(), deadline_ms, usage)
    }

    /// Takes the value out; of one that lies outside, nothing stays behind.
    fn take_content(&mut self) -> Content<'_> {
        let shape = self.shape();
        let head = self.head_mut();
        if head.form.content() == Form::OUTSIDE {
            head.form = Form(head.form.0 & Form::DEADLINE | Form::INTEGER);
            // SAFETY: the pointer is that of a box, and from here on the entry does not own it:
            // its form says that the word is an integer, which any bits are.
            return Content::Outside(unsafe { Box::from_raw(self.outside(shape).as_ptr()) });
        }
        match self.value() {
            ValueRef::String(Text::Integer(integer)) => Content::Integer(integer),
            ValueRef::String(text) => Content::from(text),
        }
    }

    pub(crate) fn deadline_ms(&self) -> Option<i64> {
        let has_deadline = self.head().form.has_deadline();
        // SAFETY: the form says that there is a deadline.
        has_deadline.then(|| unsafe { self.word(Shape::DEADLINE).cast::<i64>().read() })
    }

    pub(super) fn set_deadline_ms(&mut self, deadline_ms: Option<i64>) {
        match deadline_ms {
            Some(deadline_ms) if self.head().form.has_deadline() => {
                // SAFETY: the form says that there is a place for a deadline.
                unsafe { self.word(Shape::DEADLINE).cast::<i64>().write(deadline_ms) }
            }
            None if !self.head().form.has_deadline() => {}
            other => {
                let key = Box::<[u8]>::from(self.key());
                let usage = self.usage();
                *self = Entry::new(&key, self.take_content(), other, usage);
            }
        }
    }

    pub(crate) fn is_expired(&self, now_ms: i64) -> bool {
        self.deadline_ms().is_some_and(|deadline_ms| deadline_ms <= now_ms)
    }

    pub(crate) fn usage(&self) -> Usage {
        self.head().usage
    }

    pub(crate) fn set_usage(&mut self, usage: Usage) {
        self.head_mut().usage = usage;
    }

    /// The memory it takes, with its value and its share of the table.
    pub(crate) fn memory(&self) -> usize {
        let shape = self.shape();
        let outside = if self.head().form.content() == Form::OUTSIDE {
            // SAFETY: the form says that the value lies outside.
            let value = unsafe { self.outside(shape).as_ref() };
            size_of::<Value>() + value.heap_bytes()
        } else {
            0
        };
        SHARE_OF_TABLE + shape.size() + outside
    }

    fn shape(&self) -> Shape {
        let head = self.head();
        let has_deadline = head.form.has_deadline();
        let has_long_key = head.key_length == LONG_KEY;
        let key_length = if has_long_key {
            // SAFETY: the length of a long key comes right after the deadline, if there is one.
            unsafe { self.word(usize::from(has_deadline)).read() as usize }
        } else {
            usize::from(head.key_length)
        };
        let has_payload = head.form.content() != Form::TEXT;
        let text_length = usize::from(head.text_length);
        Shape { has_deadline, has_long_key, has_payload, key_length, text_length }
    }

    fn head(&self) -> &Head {
        // SAFETY: `new` has written the header, and only `&mut self` changes it.
        unsafe { self.block.as_ref() }
    }

    fn head_mut(&mut self) -> &mut Head {
        // SAFETY: as above, and nobody else has a reference.
        unsafe { self.block.as_mut() }
    }

    /// A word after the header. The caller makes sure that there is such a one.
    unsafe fn word(&self, index: usize) -> NonNull<u64> {
        // SAFETY: the caller's promise keeps it inside the allocation.
        unsafe { self.block.add(1).cast::<u64>().add(index) }
    }

    /// A byte of the entry. The caller makes sure that it lies inside, or just behind.
    unsafe fn byte(&self, at: usize) -> *mut u8 {
        // SAFETY: the caller's promise keeps it inside the allocation.
        unsafe { self.block.cast::<u8>().add(at).as_ptr() }
    }

    /// The value that lies outside. The caller makes sure that it does.
    unsafe fn outside(&self, shape: Shape) -> NonNull<Value> {
        // SAFETY: the payload is the pointer of a box, which is never null.
        unsafe {
            let value = self.word(shape.payload_word()).cast::<*mut Value>().read();
            NonNull::new_unchecked(value)
        }
    }

    fn drop_outside(&mut self) {
        if self.head().form.content() == Form::OUTSIDE {
            drop(self.take_content());
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.drop_outside();
        let layout = self.shape().layout();
        // SAFETY: the block was allocated with the layout of its shape, and `overwrite` keeps its size.
        unsafe { dealloc(self.block.as_ptr().cast(), layout) }
    }
}

impl Clone for Entry {
    fn clone(&self) -> Self {
        let content = if self.head().form.content() == Form::OUTSIDE {
            // SAFETY: the form says that the value lies outside.
            let value = unsafe { self.outside(self.shape()).as_ref() };
            Content::Outside(Box::new(value.clone()))
        } else {
            let ValueRef::String(text) = self.value();
            Content::from(text)
        };
        Entry::new(self.key(), content, self.deadline_ms(), self.usage())
    }
}

// SAFETY: an entry owns its block alone, and what it holds may go to any thread.
unsafe impl Send for Entry where Value: Send {}
// SAFETY: only `&mut self` changes anything.
unsafe impl Sync for Entry where Value: Sync {}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Entry");
        shown.field("key", &self.key()).field("value", &self.value());
        shown.field("deadline_ms", &self.deadline_ms()).finish_non_exhaustive()
    }
}

impl Keyed for Entry {
    fn key(&self) -> &[u8] {
        self.key()
    }

    fn is_marked(&self) -> bool {
        self.head().form.has_deadline()
    }

    fn address(&self) -> *const u8 {
        self.block.as_ptr().cast()
    }
}

impl Content<'_> {
    /// What of it lies in the entry itself, behind the key.
    fn text_length(&self) -> usize {
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
        Content::Outside(Box::new(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const USED: Usage = Usage::fresh(1_700_000_000_000);

    /// What an entry should hold, kept in parts of their own.
    #[derive(Clone, Debug, PartialEq)]
    struct Model {
        key: Vec<u8>,
        text: Vec<u8>,
        encoding: &'static str,
        deadline_ms: Option<i64>,
    }

    fn text_of(value: ValueRef<'_>) -> Vec<u8> {
        let ValueRef::String(text) = value;
        text.to_bytes().to_vec()
    }

    fn compare(entry: &Entry, model: &Model) {
        assert_eq!(entry.key(), model.key);
        assert_eq!(text_of(entry.value()), model.text);
        assert_eq!(entry.value().encoding(), model.encoding);
        assert_eq!(entry.deadline_ms(), model.deadline_ms);
        assert_eq!(entry.is_marked(), model.deadline_ms.is_some());
        assert!(entry.memory() >= model.key.len());
    }

    fn random_bytes(random: &Random) -> Vec<u8> {
        const LENGTHS: [usize; 13] =
            [0, 1, 7, 8, 9, 31, 44, 45, 254, 255, 256, SHARED_FROM - 1, SHARED_FROM];
        let length = LENGTHS[random.below(LENGTHS.len())];
        (0..length).map(|_| b'a' + random.below(26) as u8).collect()
    }

    fn random_text(random: &Random, bytes: &mut Vec<u8>) -> &'static str {
        if random.below(3) == 0 {
            *bytes = (random.next() as i64 >> random.below(64)).to_string().into_bytes();
        } else {
            *bytes = random_bytes(random);
        }
        Text::new(bytes).encoding()
    }

    #[test]
    fn an_entry_holds_what_was_put_into_it_through_random_changes() {
        let random = Random::seeded(11);
        let deadline = || (random.below(2) == 0).then(|| random.next() as i64);
        for _ in 0..if cfg!(miri) { 10 } else { 2_000 } {
            let (key, mut text) = (random_bytes(&random), Vec::new());
            let encoding = random_text(&random, &mut text);
            let mut model = Model { key, text, encoding, deadline_ms: deadline() };
            let content = Text::new(&model.text).into();
            let mut entry = Entry::new(&model.key, content, model.deadline_ms, USED);
            for _ in 0..20 {
                compare(&entry, &model);
                change(&random, &mut entry, &mut model, deadline());
                assert_eq!(entry.usage(), USED);
            }
        }
    }

    fn change(random: &Random, entry: &mut Entry, model: &mut Model, deadline_ms: Option<i64>) {
        match random.below(5) {
            0 => {
                model.encoding = random_text(random, &mut model.text);
                model.deadline_ms = deadline_ms;
                entry.put(Text::new(&model.text).into(), deadline_ms, USED);
            }
            1 => {
                model.deadline_ms = deadline_ms;
                entry.set_deadline_ms(deadline_ms);
            }
            2 => {
                let Value::String(text) = entry.value_mut();
                text.grow().push(b'!');
                model.text.push(b'!');
                model.encoding = "raw";
            }
            3 => {
                model.key = random_bytes(random);
                let empty = Entry::new(b"", Content::Integer(0), None, USED);
                *entry = std::mem::replace(entry, empty).renamed(&model.key);
            }
            _ => *entry = entry.clone(),
        }
    }

    #[test]
    fn short_keys_and_values_take_little() {
        let size = |text: &[u8], deadline_ms| {
            let content = Text::new(text).into();
            Entry::new(b"key:000000000001", content, deadline_ms, USED).memory() - SHARE_OF_TABLE
        };
        assert_eq!(size(b"12345", None), 32);
        assert_eq!(size(&[b'x'; 8], None), 32);
        assert_eq!(size(&[b'x'; 32], None), 56);
        assert_eq!(size(&[b'x'; 32], Some(1)), 64);
        assert_eq!(size(&[b'x'; 64], None), 88);
    }

    #[test]
    fn a_value_of_the_same_size_is_written_where_the_old_one_was() {
        let mut entry = Entry::new(b"key", Content::Text(b"befor"), Some(1), USED);
        let address = entry.address();
        entry.put(Content::Text(b"after"), Some(2), USED);
        assert_eq!((text_of(entry.value()), entry.deadline_ms()), (b"after".to_vec(), Some(2)));
        assert_eq!(entry.address(), address);
    }
}
