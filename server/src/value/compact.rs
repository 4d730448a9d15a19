//! Bytes that are kept in place while they are short.

/// The longest text that needs no allocation of its own.
const LONGEST_INLINE: usize = 22;

/// Like a boxed slice, but short ones lie where they are looked up.
#[derive(Clone, Debug)]
pub(crate) enum Compact {
    Inline { length: u8, bytes: [u8; LONGEST_INLINE] },
    Boxed(Box<[u8]>),
}

impl Compact {
    /// The bytes it holds beyond its own size.
    pub(crate) fn heap_bytes(length: usize) -> usize {
        if length <= LONGEST_INLINE { 0 } else { length }
    }
}

impl From<&[u8]> for Compact {
    fn from(source: &[u8]) -> Self {
        if source.len() > LONGEST_INLINE {
            return Compact::Boxed(source.into());
        }
        let mut bytes = [0; LONGEST_INLINE];
        bytes[..source.len()].copy_from_slice(source);
        Compact::Inline { length: source.len() as u8, bytes }
    }
}

impl std::ops::Deref for Compact {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Compact::Inline { length, bytes } => &bytes[..usize::from(*length)],
            Compact::Boxed(bytes) => bytes,
        }
    }
}
