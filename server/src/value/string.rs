//! String values: integers, short and long texts.

use bytes::{Bytes, BytesMut};

use super::number;

/// From this length on a text is kept in reference-counted form, so that it goes out to any
/// number of clients without being copied.
const SHARED_FROM: usize = 16 * 1024;
/// The longest text that Redis embeds in its object.
const LONGEST_EMBEDDED: usize = 44;
/// The longest text that needs no allocation: what fits beside the other forms.
const LONGEST_SHORT: usize = 38;
/// The longest decimal form of an integer.
pub(crate) const LONGEST_INTEGER: usize = 20;

/// The value of a string key.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    Integer(i64),
    /// As it was set, and short enough to lie in place.
    Short {
        length: u8,
        bytes: [u8; LONGEST_SHORT],
    },
    /// As it was set.
    Fixed(Box<[u8]>),
    /// Changed in place before, and likely to be again.
    Growing(Vec<u8>),
    /// Long, and shared with whoever is still sending it.
    Shared(Bytes),
}

impl Text {
    /// A value as `SET` stores it: an integer if it reads as one.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        match Self::as_integer(bytes) {
            Some(integer) => Text::Integer(integer),
            None => Self::verbatim(bytes),
        }
    }

    /// A value that stays a text even if it reads as an integer.
    pub(crate) fn verbatim(bytes: &[u8]) -> Self {
        match bytes.len() {
            length @ ..=LONGEST_SHORT => {
                let mut short = [0; LONGEST_SHORT];
                short[..length].copy_from_slice(bytes);
                Text::Short { length: length as u8, bytes: short }
            }
            SHARED_FROM.. => Text::Shared(Bytes::copy_from_slice(bytes)),
            _ => Text::Fixed(bytes.into()),
        }
    }

    /// A value that arrived in a buffer of its own.
    pub(crate) fn shared(bytes: &Bytes) -> Self {
        if bytes.len() >= SHARED_FROM { Text::Shared(bytes.clone()) } else { Self::new(bytes) }
    }

    fn as_integer(bytes: &[u8]) -> Option<i64> {
        (bytes.len() <= LONGEST_INTEGER).then(|| number::parse_integer(bytes)).flatten()
    }

    pub(crate) const fn encoding(&self) -> &'static str {
        match self {
            Text::Integer(_) => "int",
            Text::Short { .. } => "embstr",
            Text::Fixed(bytes) if bytes.len() <= LONGEST_EMBEDDED => "embstr",
            _ => "raw",
        }
    }

    /// Its bytes; `digits` is where an integer is printed.
    pub(crate) fn bytes<'a>(&'a self, digits: &'a mut [u8; LONGEST_INTEGER]) -> &'a [u8] {
        match self {
            Text::Integer(integer) => number::format_integer(*integer, digits),
            Text::Short { length, bytes } => &bytes[..usize::from(*length)],
            Text::Fixed(bytes) => bytes,
            Text::Growing(bytes) => bytes,
            Text::Shared(bytes) => bytes,
        }
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        match self {
            Text::Shared(bytes) => bytes.clone(),
            other => Bytes::copy_from_slice(other.bytes(&mut [0; LONGEST_INTEGER])),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes(&mut [0; LONGEST_INTEGER]).len()
    }

    /// The integer it is or reads as.
    pub(crate) fn integer(&self) -> Option<i64> {
        match self {
            Text::Integer(integer) => Some(*integer),
            other => number::parse_integer(other.bytes(&mut [0; LONGEST_INTEGER])),
        }
    }

    /// Its bytes, to be changed in place.
    pub(crate) fn grow(&mut self) -> &mut Vec<u8> {
        let bytes = match self {
            Text::Growing(_) => Vec::new(),
            Text::Integer(_) | Text::Short { .. } => self.bytes(&mut [0; LONGEST_INTEGER]).to_vec(),
            Text::Fixed(bytes) => std::mem::take(bytes).into_vec(),
            Text::Shared(bytes) => match std::mem::take(bytes).try_into_mut() {
                Ok(owned) => BytesMut::into(owned),
                Err(shared) => shared.to_vec(),
            },
        };
        if !matches!(self, Text::Growing(_)) {
            *self = Text::Growing(bytes);
        }
        match self {
            Text::Growing(bytes) => bytes,
            _ => unreachable!("the value was made growing above"),
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Text::Integer(_) | Text::Short { .. } => 0,
            Text::Fixed(bytes) => bytes.len(),
            Text::Growing(bytes) => bytes.capacity(),
            Text::Shared(bytes) => bytes.len(),
        }
    }
}
