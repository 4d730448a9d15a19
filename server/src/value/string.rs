//! String values: integers, short and long texts.

use bytes::{Bytes, BytesMut};

use super::number;

/// From this length on a text is kept in reference-counted form, so that it goes out to any
/// number of clients without being copied.
pub(crate) const SHARED_FROM: usize = 16 * 1024;
/// The longest text that Redis embeds in its object.
const LONGEST_EMBEDDED: usize = 44;
/// The longest decimal form of an integer.
pub(crate) const LONGEST_INTEGER: usize = 20;

/// The value of a string key, as it is looked at or about to be stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Text<'a> {
    Integer(i64),
    /// As it was set.
    Fixed(&'a [u8]),
    /// Changed in place before, and likely to be again.
    Growing(&'a [u8]),
    /// Long, and shared with whoever is still sending it.
    Shared(&'a Bytes),
}

/// A text with memory of its own.
#[derive(Clone, Debug)]
pub(crate) enum TextBuffer {
    Growing(Vec<u8>),
    Shared(Bytes),
}

impl<'a> Text<'a> {
    /// A value as `SET` stores it: an integer if it reads as one.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        match Self::as_integer(bytes) {
            Some(integer) => Text::Integer(integer),
            None => Text::Fixed(bytes),
        }
    }

    /// A value that arrived in a buffer of its own.
    pub(crate) fn shared(bytes: &'a Bytes) -> Self {
        if bytes.len() >= SHARED_FROM { Text::Shared(bytes) } else { Self::new(bytes) }
    }

    fn as_integer(bytes: &[u8]) -> Option<i64> {
        (bytes.len() <= LONGEST_INTEGER).then(|| number::parse_integer(bytes)).flatten()
    }

    pub(crate) const fn encoding(self) -> &'static str {
        match self {
            Text::Integer(_) => "int",
            Text::Fixed(bytes) if bytes.len() <= LONGEST_EMBEDDED => "embstr",
            _ => "raw",
        }
    }

    /// Its bytes; `digits` is where an integer is printed.
    pub(crate) fn bytes<'b>(self, digits: &'b mut [u8; LONGEST_INTEGER]) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Text::Integer(integer) => number::format_integer(integer, digits),
            Text::Fixed(bytes) | Text::Growing(bytes) => bytes,
            Text::Shared(bytes) => bytes,
        }
    }

    pub(crate) fn to_bytes(self) -> Bytes {
        match self {
            Text::Shared(bytes) => bytes.clone(),
            other => Bytes::copy_from_slice(other.bytes(&mut [0; LONGEST_INTEGER])),
        }
    }

    pub(crate) fn len(self) -> usize {
        self.bytes(&mut [0; LONGEST_INTEGER]).len()
    }

    /// The integer it is or reads as.
    pub(crate) fn integer(self) -> Option<i64> {
        match self {
            Text::Integer(integer) => Some(integer),
            other => number::parse_integer(other.bytes(&mut [0; LONGEST_INTEGER])),
        }
    }
}

impl TextBuffer {
    pub(crate) const fn as_text(&self) -> Text<'_> {
        match self {
            TextBuffer::Growing(bytes) => Text::Growing(bytes.as_slice()),
            TextBuffer::Shared(bytes) => Text::Shared(bytes),
        }
    }

    /// Its bytes, to be changed in place.
    pub(crate) fn grow(&mut self) -> &mut Vec<u8> {
        if let TextBuffer::Shared(bytes) = self {
            let owned = match std::mem::take(bytes).try_into_mut() {
                Ok(owned) => BytesMut::into(owned),
                Err(shared) => shared.to_vec(),
            };
            *self = TextBuffer::Growing(owned);
        }
        match self {
            TextBuffer::Growing(bytes) => bytes,
            TextBuffer::Shared(_) => unreachable!("the text was made growing above"),
        }
    }

    /// The same text, shared as long as neither is changed, if it is long enough for that.
    pub(crate) fn share(&mut self) -> Option<Self> {
        if let TextBuffer::Growing(bytes) = self
            && bytes.len() >= SHARED_FROM
        {
            *self = TextBuffer::Shared(Bytes::from(std::mem::take(bytes)));
        }
        match self {
            TextBuffer::Growing(_) => None,
            TextBuffer::Shared(bytes) => Some(TextBuffer::Shared(bytes.clone())),
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            TextBuffer::Growing(bytes) => bytes.capacity(),
            TextBuffer::Shared(bytes) => bytes.len(),
        }
    }
}
