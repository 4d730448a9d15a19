//! Short values one after the other in a string of bytes: each with its kind and length in front,
//! and its whole length behind, so that it can be read from either end.
//!
//! The bytes of an element are those of Redis's listpacks, so that a list goes into a file, and
//! comes out of it, as it is.

use super::Text;
use super::number::from_little_endian;

/// The kinds of elements, by their first byte. Below 0x80 it is itself a small number.
mod kind {
    /// With the length of up to 63 bytes.
    pub(super) const SHORT_TEXT: u8 = 0x80;
    /// With the upper five of thirteen bits.
    pub(super) const INTEGER_13: u8 = 0xc0;
    /// With the upper four of the twelve bits of a length.
    pub(super) const TEXT: u8 = 0xe0;
    pub(super) const LONG_TEXT: u8 = 0xf0;
    pub(super) const INTEGER_16: u8 = 0xf1;
    pub(super) const INTEGER_24: u8 = 0xf2;
    pub(super) const INTEGER_32: u8 = 0xf3;
    pub(super) const INTEGER_64: u8 = 0xf4;
}

/// The longest head: a kind with a length of four bytes, or with an integer of eight.
const LONGEST_HEAD: usize = 9;
/// The longest length behind an element.
const LONGEST_TAIL: usize = 5;

const LONGEST_SHORT_TEXT: usize = 0x3f;

/// The bytes in front of a text, or all of an integer.
struct Head {
    bytes: [u8; LONGEST_HEAD],
    length: usize,
}

impl Head {
    fn new(kind: u8, rest: &[u8]) -> Self {
        let mut bytes = [0; LONGEST_HEAD];
        bytes[0] = kind;
        bytes[1..=rest.len()].copy_from_slice(rest);
        Head { bytes, length: 1 + rest.len() }
    }

    fn of_integer(integer: i64) -> Self {
        let bytes = integer.to_le_bytes();
        match integer {
            0..=0x7f => Head::new(bytes[0], &[]),
            -0x1000..=0xfff => Head::new(kind::INTEGER_13 | bytes[1] & 0x1f, &bytes[..1]),
            -0x8000..=0x7fff => Head::new(kind::INTEGER_16, &bytes[..2]),
            -0x80_0000..=0x7f_ffff => Head::new(kind::INTEGER_24, &bytes[..3]),
            -0x8000_0000..=0x7fff_ffff => Head::new(kind::INTEGER_32, &bytes[..4]),
            _ => Head::new(kind::INTEGER_64, &bytes),
        }
    }

    fn of_text(length: usize) -> Self {
        let bytes = (length as u32).to_le_bytes();
        match length {
            0..=0x3f => Head::new(kind::SHORT_TEXT | bytes[0], &[]),
            0x40..=0xfff => Head::new(kind::TEXT | bytes[1], &bytes[..1]),
            _ => Head::new(kind::LONG_TEXT, &bytes),
        }
    }

    fn of(element: Text<'_>) -> (Self, &[u8]) {
        match element {
            Text::Integer(integer) => (Head::of_integer(integer), &[]),
            Text::Fixed(text) | Text::Growing(text) => (Head::of_text(text.len()), text),
            Text::Shared(text) => (Head::of_text(text.len()), text),
        }
    }
}

/// How many bytes an element takes.
pub(crate) fn size(element: Text<'_>) -> usize {
    let (head, text) = Head::of(element);
    let length = head.length + text.len();
    length + tail_length(length)
}

/// Writes an element into exactly the bytes that it takes.
pub(crate) fn write(element: Text<'_>, target: &mut [u8]) {
    let (head, text) = Head::of(element);
    let (front, rest) = target.split_at_mut(head.length);
    front.copy_from_slice(&head.bytes[..head.length]);
    let (middle, tail) = rest.split_at_mut(text.len());
    middle.copy_from_slice(text);
    write_tail(head.length + text.len(), tail);
}

pub(crate) fn append(element: Text<'_>, target: &mut Vec<u8>) {
    let before = target.len();
    target.resize(before + size(element), 0);
    write(element, &mut target[before..]);
}

/// Appends an element without its length behind it, for what is only read forwards. What it takes
/// with that length is given.
#[inline]
pub(crate) fn append_bare(element: Text<'_>, target: &mut Vec<u8>) -> usize {
    if let Text::Fixed(text) = element
        && text.len() <= LONGEST_SHORT_TEXT
    {
        target.push(kind::SHORT_TEXT | text.len() as u8);
        target.extend_from_slice(text);
        return text.len() + 2;
    }
    let (head, text) = Head::of(element);
    target.extend_from_slice(&head.bytes[..head.length]);
    target.extend_from_slice(text);
    let length = head.length + text.len();
    length + tail_length(length)
}

/// How many bytes an integer takes.
pub(crate) const fn integer_size(integer: i64) -> usize {
    match integer {
        0..=0x7f => 2,
        -0x1000..=0xfff => 3,
        -0x8000..=0x7fff => 4,
        -0x80_0000..=0x7f_ffff => 5,
        -0x8000_0000..=0x7fff_ffff => 6,
        _ => 10,
    }
}

/// The first element of those that have no length behind them, and the rest. The bytes have been
/// written here, and are whole.
#[inline]
pub(crate) fn split_bare(bytes: &[u8]) -> Option<(Text<'_>, &[u8])> {
    let (&kind, behind) = bytes.split_first()?;
    if (kind::SHORT_TEXT..kind::INTEGER_13).contains(&kind) {
        let (text, rest) = behind.split_at_checked(usize::from(kind & 0x3f))?;
        return Some((Text::Fixed(text), rest));
    }
    let (element, length) = any_bare(bytes)?;
    Some((element, &bytes[length..]))
}

/// The first element, and how many bytes it takes. Nothing if the bytes are no whole element.
#[inline]
pub(crate) fn first(bytes: &[u8]) -> Option<(Text<'_>, usize)> {
    match bytes {
        // Most elements are short texts.
        &[kind @ kind::SHORT_TEXT..kind::INTEGER_13, ..] => {
            let length = usize::from(kind & 0x3f);
            let element = bytes.get(..length + 2)?;
            Some((Text::Fixed(&element[1..=length]), length + 2))
        }
        _ => any_first(bytes),
    }
}

/// Visits all elements, most of which are short texts.
pub(crate) fn visit<'a>(mut bytes: &'a [u8], mut visit: impl FnMut(Text<'a>)) {
    while let [kind, behind @ ..] = bytes {
        let length = usize::from(kind & 0x3f);
        if (kind::SHORT_TEXT..kind::INTEGER_13).contains(kind)
            && let Some((text, [_, rest @ ..])) = behind.split_at_checked(length)
        {
            visit(Text::Fixed(text));
            bytes = rest;
        } else {
            let Some((element, size)) = any_first(bytes) else {
                return;
            };
            visit(element);
            bytes = &bytes[size..];
        }
    }
}

fn any_first(bytes: &[u8]) -> Option<(Text<'_>, usize)> {
    let (element, length) = any_bare(bytes)?;
    let size = length + tail_length(length);
    (size <= bytes.len()).then_some((element, size))
}

/// The first element, and how many bytes it takes without its length behind.
fn any_bare(bytes: &[u8]) -> Option<(Text<'_>, usize)> {
    let (&kind, rest) = bytes.split_first()?;
    let found = match kind {
        0..=0x7f => (Text::Integer(kind.into()), 1),
        kind::SHORT_TEXT..kind::INTEGER_13 => text(bytes, 1, usize::from(kind & 0x3f))?,
        0xc0..=0xdf => {
            let integer = i64::from(kind & 0x1f) << 8 | i64::from(*rest.first()?);
            (Text::Integer(integer << 51 >> 51), 2)
        }
        0xe0..=0xef => text(bytes, 2, usize::from(kind & 0xf) << 8 | usize::from(*rest.first()?))?,
        kind::LONG_TEXT => text(bytes, 5, u32::from_le_bytes(*rest.first_chunk()?) as usize)?,
        kind::INTEGER_16 => (integer(rest.get(..2)?), 3),
        kind::INTEGER_24 => (integer(rest.get(..3)?), 4),
        kind::INTEGER_32 => (integer(rest.get(..4)?), 5),
        kind::INTEGER_64 => (integer(rest.get(..8)?), 9),
        _ => return None,
    };
    Some(found)
}

/// How many elements there are. Nothing if the bytes are not whole elements up to their end, each with its own length
/// behind it.
pub(crate) fn count(bytes: &[u8]) -> Option<usize> {
    let (mut rest, mut count) = (bytes, 0);
    while !rest.is_empty() {
        let (_, size) = first(rest)?;
        let (element, behind) = rest.split_at(size);
        last(element).filter(|&(_, found)| found == size)?;
        (rest, count) = (behind, count + 1);
    }
    Some(count)
}

/// The last element, and how many bytes it takes. Nothing if the bytes do not end in a whole one.
pub(crate) fn last(bytes: &[u8]) -> Option<(Text<'_>, usize)> {
    let mut length = 0;
    for (position, &byte) in bytes.iter().rev().take(LONGEST_TAIL).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            break;
        }
    }
    let begin = bytes.len().checked_sub(length + tail_length(length))?;
    first(&bytes[begin..])
}

fn text(bytes: &[u8], head: usize, length: usize) -> Option<(Text<'_>, usize)> {
    let text = bytes.get(head..head.checked_add(length)?)?;
    Some((Text::Fixed(text), head + length))
}

fn integer(bytes: &[u8]) -> Text<'static> {
    Text::Integer(from_little_endian(bytes))
}

/// How many bytes it takes to say, behind an element, how long it is.
const fn tail_length(length: usize) -> usize {
    match length {
        0..=0x7f => 1,
        0x80..=0x3ffe => 2,
        0x3fff..=0x1f_fffe => 3,
        0x1f_ffff..=0xfff_fffe => 4,
        _ => 5,
    }
}

/// The highest groups of seven bits come first; all but the first have their highest bit set.
fn write_tail(length: usize, tail: &mut [u8]) {
    let mut rest = length;
    for byte in tail.iter_mut().rev() {
        *byte = rest as u8 & 0x7f | 0x80;
        rest >>= 7;
    }
    tail[0] &= 0x7f;
}

/// The elements of a string of bytes, from either end. It ends where the bytes are not well formed.
#[derive(Clone, Debug)]
pub(crate) struct Elements<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = Text<'a>;

    fn next(&mut self) -> Option<Text<'a>> {
        let (element, size) = first(self.0)?;
        self.0 = &self.0[size..];
        Some(element)
    }
}

impl DoubleEndedIterator for Elements<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let (element, size) = last(self.0)?;
        self.0 = &self.0[..self.0.len() - size];
        Some(element)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(elements: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for element in elements {
            append(Text::new(element), &mut bytes);
        }
        bytes
    }

    fn texts(elements: impl Iterator<Item = Text<'static>>) -> Vec<Vec<u8>> {
        elements.map(|element| element.to_bytes().to_vec()).collect()
    }

    #[test]
    fn elements_of_every_kind_come_back_from_either_end() {
        const INTEGERS: [i64; 18] = [
            0,
            1,
            -1,
            127,
            128,
            -128,
            4095,
            4096,
            -4096,
            -4097,
            32_767,
            32_768,
            8_388_607,
            8_388_608,
            -2_147_483_648,
            2_147_483_648,
            i64::MAX,
            i64::MIN,
        ];
        const LENGTHS: [usize; 12] =
            [0, 1, 63, 64, 126, 127, 128, 4095, 4096, 16_381, 16_384, 3_000_000];
        let mut elements: Vec<Vec<u8>> =
            INTEGERS.iter().map(|integer| integer.to_string().into_bytes()).collect();
        elements.extend(LENGTHS.iter().map(|&length| vec![b'x'; length]));
        elements.extend([b"-0".to_vec(), b"00".to_vec(), b"+1".to_vec(), b"\xff\x00".to_vec()]);
        let slices: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
        let bytes = packed(&slices).leak();
        assert_eq!(texts(Elements(bytes)), elements);
        let mut visited = Vec::new();
        visit(bytes, |element| visited.push(element.to_bytes().to_vec()));
        assert_eq!(visited, elements);
        let mut backwards = texts(Elements(bytes).rev());
        backwards.reverse();
        assert_eq!(backwards, elements);
        for integer in INTEGERS {
            assert_eq!(integer_size(integer), size(Text::Integer(integer)));
        }
        assert_eq!(bytes.len(), elements.iter().map(|text| size(Text::new(text))).sum());
    }

    #[test]
    fn the_bytes_are_those_of_redis() {
        assert_eq!(packed(&[b"1"]), [0x01, 0x01]);
        assert_eq!(packed(&[b"a"]), [0x81, b'a', 0x02]);
        assert_eq!(packed(&[b"-1"]), [0xdf, 0xff, 0x02]);
        assert_eq!(packed(&[b"128"]), [0xc0, 0x80, 0x02]);
        assert_eq!(packed(&[b"10000"]), [0xf1, 0x10, 0x27, 0x03]);
        let long = packed(&[&[b'x'; 200]]);
        assert_eq!((&long[..2], &long[202..]), (&[0xe0, 200][..], &[0x01, 0xca][..]));
    }

    #[test]
    fn broken_bytes_end_the_elements() {
        for bytes in [&[0x81][..], &[0xf0, 1, 0, 0], &[0xff], &[0xf5, 1], &[0xe1, 0xff, 1], &[0x01]]
        {
            assert_eq!(Elements(bytes).count(), 0, "{bytes:x?}");
            visit(bytes, |element| panic!("{element:?} of {bytes:x?}"));
        }
        for bytes in [&[0x05][..], &[0x80; 8], &[0xff, 0x01]] {
            assert_eq!(Elements(bytes).rev().count(), 0, "{bytes:x?}");
        }
        assert_eq!(count(&packed(&[b"a", b"", b"1000", &[b'x'; 200]])), Some(4));
        for bytes in [&[0x81, b'a', 0x03][..], &[0x01, 0x02], &[0x01, 0x01, 0x81, b'a', 0x01]] {
            assert_eq!(count(bytes), None, "{bytes:x?}");
        }
    }
}
