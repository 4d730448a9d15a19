//! Packed elements as servers before Redis 7 wrote them.

use std::borrow::Cow;

use crate::value::number::from_little_endian;

/// The length in bytes, the place of the last element, and the number of elements.
const HEAD: usize = 10;
const LAST_AT: usize = 4;
const END_MARK: u8 = 0xff;
/// In an element's first byte: the length of the one before stands in four further bytes.
const LONG_BEFORE: u8 = 0xfe;

/// The elements, integers printed. `None` means that the bytes are not what they should be.
pub(super) fn elements(bytes: &[u8]) -> Option<Vec<Cow<'_, [u8]>>> {
    let total = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
    let count = u16::from_le_bytes(*bytes.get(HEAD - 2..)?.first_chunk()?);
    let last_at = u32::from_le_bytes(*bytes.get(LAST_AT..)?.first_chunk()?) as usize;
    let (mut rest, mut size_before) = (bytes.get(HEAD..)?, 0);
    let mut elements = Vec::new();
    while *rest.first()? != END_MARK {
        let (element, behind) = element_behind(rest, size_before)?;
        size_before = rest.len() - behind.len();
        rest = behind;
        elements.push(element);
    }
    let is_counted = count == u16::MAX || usize::from(count) == elements.len();
    let is_last = last_at + size_before + 1 == bytes.len();
    (total == bytes.len() && rest.len() == 1 && is_counted && is_last).then_some(elements)
}

/// The first element, ahead of which stands the size of the one before, and what follows it.
fn element_behind(bytes: &[u8], size_before: usize) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let (&before, rest) = bytes.split_first()?;
    let (before, rest) = if before == LONG_BEFORE {
        let (before, rest) = rest.split_first_chunk()?;
        (u32::from_le_bytes(*before) as usize, rest)
    } else {
        (usize::from(before), rest)
    };
    if before != size_before {
        return None;
    }
    let (&kind, rest) = rest.split_first()?;
    match kind {
        0x00..=0x3f => text(rest, kind.into()),
        0x40..=0x7f => {
            let (&low, rest) = rest.split_first()?;
            text(rest, usize::from(kind & 0x3f) << 8 | usize::from(low))
        }
        0x80 => {
            let (length, rest) = rest.split_first_chunk()?;
            text(rest, u32::from_be_bytes(*length) as usize)
        }
        0xc0 => integer(rest, 2),
        0xd0 => integer(rest, 4),
        0xe0 => integer(rest, 8),
        0xf0 => integer(rest, 3),
        0xfe => integer(rest, 1),
        0xf1..=0xfd => Some((printed(i64::from(kind & 0xf) - 1), rest)),
        _ => None,
    }
}

fn text(bytes: &[u8], length: usize) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let (text, rest) = bytes.split_at_checked(length)?;
    Some((Cow::Borrowed(text), rest))
}

fn integer(bytes: &[u8], length: usize) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let (integer, rest) = bytes.split_at_checked(length)?;
    Some((printed(from_little_endian(integer)), rest))
}

fn printed(integer: i64) -> Cow<'static, [u8]> {
    Cow::Owned(integer.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &[u8] = b"\x13\0\0\0\x10\0\0\0\x03\0\x00\x01a\x03\xfe\x80\x03\xf1\xff";

    #[test]
    fn elements_of_several_kinds_are_read() {
        let read = elements(SAMPLE).expect("it is well formed");
        assert_eq!(read, [&b"a"[..], b"-128", b"0"]);
    }

    #[test]
    fn broken_bytes_are_refused() {
        for end in 0..SAMPLE.len() {
            assert_eq!(elements(&SAMPLE[..end]), None);
        }
        for at in [0, 4, 8, 10, 11, 13, 14, 16] {
            let mut broken = SAMPLE.to_vec();
            broken[at] = 0x7e;
            assert_eq!(elements(&broken), None, "{at}");
        }
    }
}
