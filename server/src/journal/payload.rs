//! DUMP and RESTORE payloads: one value in the encoding of RDB files, then the format's version and
//! a checksum.
//!
//! A payload comes from whoever can send one. Every length in it is checked against the bytes that
//! are there before anything is allocated, and no payload can make this module panic.
//!
//! Keys, expiry and the texts of errors are the caller's.

use std::borrow::Cow;

use super::output::Output;
use super::sets::{Form, RestoredSet};
use super::streams::{self, Version};
use super::{crc64::crc64, lists, lzf, sets};
use crate::value::ValueRef;
use crate::value::list::List;
use crate::value::number::{format_integer, parse_integer};
use crate::value::set::Set;
use crate::value::stream::Stream;
use crate::value::string::LONGEST_INTEGER as PRINTED_INTEGER;

/// What a payload written here says it is: the format of Redis 7.2.
const WRITTEN_VERSION: u16 = 11;
/// The newest format of Redis that is read: that of Redis 8.0.
const NEWEST_REDIS_VERSION: u16 = 12;
/// Valkey went on counting from here, to tell its formats from those of Redis.
const VALKEY_VERSION: u16 = 80;
const VERSION_LEN: usize = 2;
const CHECKSUM_LEN: usize = 8;

const TYPE_STRING: u8 = 0;
const TYPE_PLAIN_LIST: u8 = 1;
const TYPE_SET: u8 = 2;
const TYPE_OLDEST_LIST: u8 = 10;
const TYPE_INTEGER_SET: u8 = 11;
const TYPE_OLD_LIST: u8 = 14;
const TYPE_LIST: u8 = 18;
const TYPE_PACKED_SET: u8 = 20;
const TYPE_OLDEST_STREAM: u8 = 15;
const TYPE_OLD_STREAM: u8 = 19;
const TYPE_STREAM: u8 = 21;

/// In a length's first byte, the two top bits say how to go on.
const LENGTH_KIND_SHIFT: u32 = 6;
const LENGTH_14_BITS: u8 = 1;
const LENGTH_ENCODED: u8 = 3;
const LENGTH_32_BITS_MARK: u8 = 0x80;
const LENGTH_64_BITS_MARK: u8 = 0x81;

const ENCODED_MARK: u8 = LENGTH_ENCODED << LENGTH_KIND_SHIFT;
const ENCODED_INT_8: u8 = 0;
const ENCODED_INT_16: u8 = 1;
const ENCODED_INT_32: u8 = 2;
const ENCODED_LZF: u8 = 3;

/// Longer texts are never kept as integers, shorter ones never compressed.
const LONGEST_INTEGER: usize = 11;
const LONGEST_UNCOMPRESSED: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PayloadError {
    /// Too short, of a newer version, or the checksum does not fit.
    Footer,
    /// The footer is right and the value is not.
    Format,
    /// A value of a type, named by its number in RDB files, that cannot be restored here.
    UnsupportedType(u8),
}

/// A value out of a payload.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Restored<'p> {
    String(Cow<'p, [u8]>),
    List(List),
    Set(RestoredSet),
    Stream(Box<Stream>),
}

impl<'p> Restored<'p> {
    pub(crate) fn parse(payload: &'p [u8]) -> Result<Self, PayloadError> {
        verify_footer(payload).ok_or(PayloadError::Footer)?;
        Self::read_body(payload)
    }

    /// The same where the checksum may be wrong.
    pub(crate) fn parse_unchecked(payload: &'p [u8]) -> Result<Self, PayloadError> {
        split_footer(payload).ok_or(PayloadError::Footer)?;
        Self::read_body(payload)
    }

    fn read_body(payload: &'p [u8]) -> Result<Self, PayloadError> {
        // Redis reads the value from the payload as a whole: bytes after it are ignored, and a
        // value that runs into the footer is taken.
        let mut reader = Reader::new(payload);
        let kind = reader.byte().ok_or(PayloadError::Format)?;
        Self::read(kind, &mut reader)
    }

    /// Reads a value of the type that has this number in RDB files.
    pub(crate) fn read(kind: u8, reader: &mut Reader<'p>) -> Result<Self, PayloadError> {
        match kind {
            TYPE_STRING => reader.string().map(Self::String).ok_or(PayloadError::Format),
            TYPE_PLAIN_LIST => list(lists::read_plain(reader)),
            TYPE_OLDEST_LIST => list(lists::read_oldest(reader)),
            TYPE_OLD_LIST => list(lists::read_old(reader)),
            TYPE_LIST => list(lists::read(reader)),
            TYPE_SET => set(Form::Any, reader),
            TYPE_INTEGER_SET => set(Form::Integers, reader),
            TYPE_PACKED_SET => set(Form::Packed, reader),
            TYPE_OLDEST_STREAM => stream(Version::Oldest, reader),
            TYPE_OLD_STREAM => stream(Version::Counted, reader),
            TYPE_STREAM => stream(Version::Timed, reader),
            other if is_value_type(other) => Err(PayloadError::UnsupportedType(other)),
            _ => Err(PayloadError::Format),
        }
    }
}

fn list<'p>(list: Option<List>) -> Result<Restored<'p>, PayloadError> {
    list.map(Restored::List).ok_or(PayloadError::Format)
}

fn set<'p>(form: Form, reader: &mut Reader<'_>) -> Result<Restored<'p>, PayloadError> {
    sets::read(form, reader).map(Restored::Set).ok_or(PayloadError::Format)
}

fn stream<'p>(version: Version, reader: &mut Reader<'_>) -> Result<Restored<'p>, PayloadError> {
    let stream = streams::read(version, reader).ok_or(PayloadError::Format)?;
    Ok(Restored::Stream(Box::new(stream)))
}

/// The types that Redis has for values; 8 was never given to one.
fn is_value_type(number: u8) -> bool {
    number <= 25 && number != 8
}

/// What stands before the footer, if that is right.
pub(super) fn verify_footer(payload: &[u8]) -> Option<&[u8]> {
    let (checked, checksum) = payload.split_last_chunk::<CHECKSUM_LEN>()?;
    let is_right = crc64(0, checked) == u64::from_le_bytes(*checksum);
    split_footer(payload).filter(|_| is_right)
}

/// What stands before the footer, if that is of a version that is known.
fn split_footer(payload: &[u8]) -> Option<&[u8]> {
    let (checked, _) = payload.split_last_chunk::<CHECKSUM_LEN>()?;
    let (body, version) = checked.split_last_chunk::<VERSION_LEN>()?;
    let version = u16::from_le_bytes(*version);
    (version <= NEWEST_REDIS_VERSION || version == VALKEY_VERSION).then_some(body)
}

/// Takes an encoded value apart. `None` means that the bytes are not what they should be.
pub(crate) struct Reader<'p> {
    rest: &'p [u8],
    ran_out: bool,
}

/// What stands where a length is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Plain(u64),
    /// Not a length: the number of a special encoding of a string.
    Encoded(u8),
}

impl<'p> Reader<'p> {
    pub(crate) fn new(bytes: &'p [u8]) -> Self {
        Self { rest: bytes, ran_out: false }
    }

    /// Whether bytes were missing at the end, rather than wrong.
    pub(crate) const fn ran_out(&self) -> bool {
        self.ran_out
    }

    /// How many bytes have not been read.
    pub(crate) const fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let Some((array, rest)) = self.rest.split_first_chunk() else {
            self.ran_out = true;
            return None;
        };
        self.rest = rest;
        Some(*array)
    }

    pub(crate) fn take(&mut self, len: u64) -> Option<&'p [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(usize::try_from(len).ok()?) else {
            self.ran_out = true;
            return None;
        };
        self.rest = rest;
        Some(taken)
    }

    pub(crate) fn length(&mut self) -> Option<Length> {
        let first = self.byte()?;
        let low = first & 0x3f;
        match (first >> LENGTH_KIND_SHIFT, first) {
            (0, _) => Some(Length::Plain(u64::from(low))),
            (LENGTH_14_BITS, _) => {
                Some(Length::Plain(u64::from(u16::from_be_bytes([low, self.byte()?]))))
            }
            (LENGTH_ENCODED, _) => Some(Length::Encoded(low)),
            (_, LENGTH_32_BITS_MARK) => {
                Some(Length::Plain(u64::from(u32::from_be_bytes(self.array()?))))
            }
            (_, LENGTH_64_BITS_MARK) => Some(Length::Plain(u64::from_be_bytes(self.array()?))),
            _ => None,
        }
    }

    /// A length where no encoding can stand. Redis does not mind the mark of one and takes the rest
    /// for the length.
    pub(crate) fn plain_length(&mut self) -> Option<u64> {
        match self.length()? {
            Length::Plain(len) => Some(len),
            Length::Encoded(low) => Some(u64::from(low)),
        }
    }

    /// A string in any of its encodings, copied only if it has to be put together.
    pub(crate) fn string(&mut self) -> Option<Cow<'p, [u8]>> {
        let integer = match self.length()? {
            Length::Plain(len) => return self.take(len).map(Cow::Borrowed),
            Length::Encoded(ENCODED_LZF) => return self.compressed().map(Cow::Owned),
            Length::Encoded(ENCODED_INT_8) => i64::from(i8::from_le_bytes(self.array()?)),
            Length::Encoded(ENCODED_INT_16) => i64::from(i16::from_le_bytes(self.array()?)),
            Length::Encoded(ENCODED_INT_32) => i64::from(i32::from_le_bytes(self.array()?)),
            Length::Encoded(_) => return None,
        };
        Some(Cow::Owned(format_integer(integer, &mut [0; 20]).to_vec()))
    }

    fn compressed(&mut self) -> Option<Vec<u8>> {
        let compressed_len = self.plain_length()?;
        let len = usize::try_from(self.plain_length()?).ok()?;
        let compressed = self.take(compressed_len)?;
        // Redis cannot tell a failure from an empty result where it expects one.
        if len == 0 { Some(Vec::new()) } else { lzf::decompress(compressed, len) }
    }
}

/// The payload of a value, compressed where that pays, as DUMP replies it.
pub(crate) fn dump(value: ValueRef<'_>) -> Vec<u8> {
    let mut payload = vec![match value {
        ValueRef::String(_) => TYPE_STRING,
        ValueRef::List(_) => TYPE_LIST,
        ValueRef::Set(Set::Integers(_)) => TYPE_INTEGER_SET,
        ValueRef::Set(Set::Packed(_)) => TYPE_PACKED_SET,
        ValueRef::Set(Set::Table(_)) => TYPE_SET,
        ValueRef::Stream(_) => TYPE_STREAM,
    }];
    write_value(&mut payload, value);
    add_footer(&mut payload);
    payload
}

/// Adds the format's version and the checksum of everything before.
pub(super) fn add_footer(payload: &mut Vec<u8>) {
    payload.extend(WRITTEN_VERSION.to_le_bytes());
    let checksum = crc64(0, payload);
    payload.extend(checksum.to_le_bytes());
}

pub(crate) fn write_value(output: &mut dyn Output, value: ValueRef<'_>) {
    match value {
        ValueRef::String(text) => {
            write_string(output.room(), text.bytes(&mut [0; PRINTED_INTEGER]));
        }
        ValueRef::List(list) => lists::write(output, list),
        ValueRef::Set(set) => sets::write(output, set),
        ValueRef::Stream(stream) => streams::write(output, stream, Version::Timed),
    }
}

/// The number of a value's type in the files of Redis 7.0, and the value as these have it.
pub(super) const fn saved_type(value: ValueRef<'_>) -> u8 {
    match value {
        ValueRef::String(_) => TYPE_STRING,
        ValueRef::List(_) => TYPE_LIST,
        ValueRef::Set(Set::Integers(_)) => TYPE_INTEGER_SET,
        ValueRef::Set(_) => TYPE_SET,
        ValueRef::Stream(_) => TYPE_OLD_STREAM,
    }
}

pub(super) fn write_saved(output: &mut dyn Output, value: ValueRef<'_>) {
    match value {
        ValueRef::Set(set @ Set::Packed(_)) => sets::write_members(output, set),
        ValueRef::Stream(stream) => streams::write(output, stream, Version::Counted),
        other => write_value(output, other),
    }
}

pub(super) fn write_string(output: &mut Vec<u8>, text: &[u8]) {
    if text.len() <= LONGEST_INTEGER
        && let Some(integer) = parse_integer(text).and_then(|integer| i32::try_from(integer).ok())
    {
        return write_integer(output, integer);
    }
    if text.len() > LONGEST_UNCOMPRESSED
        && let Some(compressed) = lzf::compress(text)
    {
        output.push(ENCODED_MARK | ENCODED_LZF);
        write_length(output, compressed.len() as u64);
        write_length(output, text.len() as u64);
        return output.extend_from_slice(&compressed);
    }
    write_length(output, text.len() as u64);
    output.extend_from_slice(text);
}

fn write_integer(output: &mut Vec<u8>, integer: i32) {
    if let Ok(integer) = i8::try_from(integer) {
        output.push(ENCODED_MARK | ENCODED_INT_8);
        output.extend(integer.to_le_bytes());
    } else if let Ok(integer) = i16::try_from(integer) {
        output.push(ENCODED_MARK | ENCODED_INT_16);
        output.extend(integer.to_le_bytes());
    } else {
        output.push(ENCODED_MARK | ENCODED_INT_32);
        output.extend(integer.to_le_bytes());
    }
}

pub(crate) fn write_length(output: &mut Vec<u8>, len: u64) {
    if len < 1 << 6 {
        output.push(len as u8);
    } else if len < 1 << 14 {
        output.extend(((u16::from(LENGTH_14_BITS) << 14) | len as u16).to_be_bytes());
    } else if let Ok(len) = u32::try_from(len) {
        output.push(LENGTH_32_BITS_MARK);
        output.extend(len.to_be_bytes());
    } else {
        output.push(LENGTH_64_BITS_MARK);
        output.extend(len.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Text;
    use crate::value::list::End;

    fn with_footer(value: &[u8], version: u16) -> Vec<u8> {
        let mut payload = [value, &version.to_le_bytes()].concat();
        let checksum = crc64(0, &payload);
        payload.extend(checksum.to_le_bytes());
        payload
    }

    /// The value of a payload, by itself.
    fn parse(payload: &[u8]) -> Result<Restored<'static>, PayloadError> {
        Restored::parse(payload).map(|restored| match restored {
            Restored::String(text) => Restored::String(text.into_owned().into()),
            Restored::List(list) => Restored::List(list),
            Restored::Set(set) => Restored::Set(set),
            Restored::Stream(stream) => Restored::Stream(stream),
        })
    }

    fn parse_value(value: &[u8]) -> Result<Restored<'static>, PayloadError> {
        parse(&with_footer(value, WRITTEN_VERSION))
    }

    fn dump_string(text: &[u8]) -> Vec<u8> {
        dump(ValueRef::String(Text::Fixed(text)))
    }

    fn string(text: &[u8]) -> Restored<'static> {
        Restored::String(text.to_vec().into())
    }

    /// What DUMP replied on Redis 7.0, Redis 8.0 and Valkey 9.1, in this order.
    const RECORDED: &[(&[u8], &[u8])] = &[
        (b"\x00\x05hello\x0a\x00cr\xdfve4\x20\x0a", b"hello"),
        (b"\x00\xc0\xfb\x0a\x00I\xc4\xc6\xf4\xd7&?h", b"-5"),
        (b"\x00\xc2@\x9c\x00\x00\x0a\x00\x09\xcdc\x1f\xf3\xb9\x8c\xf2", b"40000"),
        (b"\x00\x0a3000000000\x0a\x00\xe7\x07kyT\xbbyG", b"3000000000"),
        (
            b"\x00\xc3\x09+\x01aa\xe0\x1e\x00\x01aa\x0a\x00\xd9\x9d\x83\xcb\x95\xf3\x90\xef",
            b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ),
        (
            b"\x00\xc3\x0a\x18\x03abca\xe0\x0a\x02\x00c\x0a\x00\x7f\xc3\xe2\x20\x12\x81\x16n",
            b"abcabcabcabcabcabcabcabc",
        ),
        (b"\x00\x05hello\x0c\x00\xa8\x04\xeb\xb6\x9f\x1e\xbeC", b"hello"),
        (b"\x00\xc0\xfb\x0c\x00\x82\xb2\xf24-\x0c\xa1!", b"-5"),
        (b"\x00\xc2@\x9c\x00\x00\x0c\x00\xc2\xbbW\xdf\x09\x93\x12\xbb", b"40000"),
        (b"\x00\x0a3000000000\x0c\x00,q_\xb9\xae\x91\xe7\x0e", b"3000000000"),
        (
            b"\x00\xc3\x09+\x01aa\xe0\x1e\x00\x01aa\x0c\x00\x12\xeb\xb7\x0bo\xd9\x0e\xa6",
            b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ),
        (
            b"\x00\xc3\x0a\x18\x03abca\xe0\x0a\x02\x00c\x0c\x00\xb4\xb5\xd6\xe0\xe8\xab\x88'",
            b"abcabcabcabcabcabcabcabc",
        ),
        (b"\x00\x05helloP\x00\xacX\x16\xe7\xfbfG\xfe", b"hello"),
        (b"\x00\xc0\xfbP\x00\x86\xee\x0feItX\x9c", b"-5"),
        (b"\x00\xc2@\x9c\x00\x00P\x00\xc6\xe7\xaa\x8em\xeb\xeb\x06", b"40000"),
        (b"\x00\x0a3000000000P\x00(-\xa2\xe8\xca\xe9\x1e\xb3", b"3000000000"),
        (
            b"\x00\xc3\x09+\x01aa\xe0\x1e\x00\x01aaP\x00\x16\xb7JZ\x0b\xa1\xf7\x1b",
            b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ),
        (
            b"\x00\xc3\x0a\x18\x03abca\xe0\x0a\x02\x00cP\x00\xb0\xe9+\xb1\x8c\xd3q\x9a",
            b"abcabcabcabcabcabcabcabc",
        ),
    ];

    #[test]
    fn payloads_of_real_servers_are_read() {
        for (payload, text) in RECORDED {
            assert_eq!(Restored::parse(payload), Ok(string(text)));
        }
    }

    #[test]
    fn strings_are_written_in_their_shortest_encoding() {
        for (text, value) in [
            (&b""[..], &b"\x00\x00"[..]),
            (b"hello", b"\x00\x05hello"),
            (b"5", b"\x00\xc0\x05"),
            (b"-128", b"\x00\xc0\x80"),
            (b"128", b"\x00\xc1\x80\x00"),
            (b"-32768", b"\x00\xc1\x00\x80"),
            (b"32768", b"\x00\xc2\x00\x80\x00\x00"),
            (b"-2147483648", b"\x00\xc2\x00\x00\x00\x80"),
            (b"2147483648", b"\x00\x0a2147483648"),
            (b"007", b"\x00\x03007"),
            (b"-0", b"\x00\x02-0"),
            (&[b'a'; 20], b"\x00\x14aaaaaaaaaaaaaaaaaaaa"),
            (&[b'a'; 39], b"\x00\xc3\x09\x27\x01aa\xe0\x1a\x00\x01aa"),
        ] {
            assert_eq!(dump_string(text), with_footer(value, WRITTEN_VERSION), "{text:?}");
        }
    }

    #[test]
    fn strings_of_all_lengths_come_back() {
        for len in (0..300).chain([16_383, 16_384, 1 << 20]) {
            let same = vec![b'x'; len];
            let mixed: Vec<u8> =
                (0..len).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
            for text in [same, mixed] {
                assert!(
                    Restored::parse(&dump_string(&text)) == Ok(Restored::String(text.into())),
                    "{len} bytes"
                );
            }
        }
        for shift in 0..64 {
            for number in [i64::MIN >> shift, i64::MAX >> shift] {
                let text = number.to_string().into_bytes();
                assert_eq!(Restored::parse(&dump_string(&text)), Ok(string(&text)));
            }
        }
    }

    #[test]
    fn versions_and_checksums_are_verified() {
        for version in [1, 9, 10, 11, 12, 80] {
            assert_eq!(parse(&with_footer(b"\x00\x01a", version)), Ok(string(b"a")), "{version}");
        }
        for version in [13, 79, 81, u16::MAX] {
            let parsed = parse(&with_footer(b"\x00\x01a", version));
            assert_eq!(parsed, Err(PayloadError::Footer), "{version}");
        }
        let payload = dump_string(b"some text that is long enough, long enough, long enough");
        for end in 0..payload.len() {
            assert_eq!(Restored::parse(&payload[..end]), Err(PayloadError::Footer));
        }
        for bit in 0..payload.len() * 8 {
            let mut mutated = payload.clone();
            mutated[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Restored::parse(&mutated), Err(PayloadError::Footer));
        }
    }

    #[test]
    fn lengths_may_be_written_in_odd_ways() {
        for value in [
            &b"\x00\x01a"[..],
            b"\x00\x40\x01a",
            b"\x00\x80\x00\x00\x00\x01a",
            b"\x00\x81\x00\x00\x00\x00\x00\x00\x00\x01a",
            b"\x00\x01a and more",
            b"\x00\xc3\x02\x01\x00a",
            b"\x00\xc3\xc2\xc1\x00a",
        ] {
            assert_eq!(parse_value(value), Ok(string(b"a")), "{value:?}");
        }
        for value in
            [&b"\x00\xc3\x00\x00"[..], b"\x00\xc3\x02\x00\x00a", b"\x00\xc3\x02\xc0\xff\xff"]
        {
            assert_eq!(parse_value(value), Ok(string(b"")), "{value:?}");
        }
    }

    #[test]
    fn a_value_may_run_into_the_footer() {
        let payload = with_footer(b"\x00\x0a", WRITTEN_VERSION);
        assert_eq!(Restored::parse(&payload), Ok(string(&payload[2..])));
    }

    #[test]
    fn malformed_values_are_told_from_other_types() {
        for value in [
            &b"\x00\x0b"[..],
            b"\x00\x82\x00\x00\x00\x01a",
            b"\x00\x80\xff\xff\xff\xff",
            b"\x00\x81\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x00\xc4\x00",
            b"\x00\xc3\xc0\x01\x01",
            b"\x00\xc3\x02\x03\x00a",
            b"\x00\xc3\x02\x80\xff\xff\xff\xff\x00a",
            b"\x00\xc3\x02\x81\xff\xff\xff\xff\xff\xff\xff\xff\x00a",
            b"\x01\x00",
            b"\x01\x02\x01a",
            b"\x12\x00",
            b"\x12\x01\x03\x01a",
            b"\x12\x01\x02\x05nodes",
            b"\x08",
            b"\x1a",
            b"\xff",
        ] {
            assert_eq!(parse_value(value), Err(PayloadError::Format), "{value:?}");
        }
        for number in [3, 7, 9, 25] {
            assert_eq!(parse_value(&[number]), Err(PayloadError::UnsupportedType(number)));
        }
    }

    #[test]
    fn lists_come_back_and_broken_ones_are_refused() {
        let mut list = List::new();
        let large = vec![b'y'; 20_000];
        for element in [&b"a"[..], b"", b"-5", b"123456789012", &[b'x'; 300], &large] {
            list.push(End::Tail, Text::new(element));
        }
        let payload = dump(ValueRef::List(&list));
        assert_eq!(Restored::parse(&payload), Ok(Restored::List(list)));
        let value = &payload[..payload.len() - VERSION_LEN - CHECKSUM_LEN];
        // The footer is eleven bytes that a value may run into.
        for end in 1..value.len() - VERSION_LEN - CHECKSUM_LEN {
            assert!(parse_value(&value[..end]).is_err(), "{end}");
        }
        let small = b"\x12\x01\x02\x0b\x0b\0\0\0\x02\0\x05\x01\x06\x01\xff";
        assert!(matches!(parse_value(small), Ok(Restored::List(list)) if list.len() == 2));
        for at in 3..small.len() {
            let mut broken = small.to_vec();
            broken[at] ^= 0x40;
            let _ = parse_value(&broken);
        }
        assert_eq!(
            parse_value(b"\x12\x01\x02\x0b\x0b\0\0\0\x03\0\x05\x01\x06\x01\xff"),
            Err(PayloadError::Format)
        );
    }

    /// The footer is made right again after each mutation, so that the reader sees it.
    #[test]
    fn mutated_values_neither_panic_nor_grow() {
        let seeds: [&[u8]; 5] =
            [b"", b"12345", b"hello world", &[b'z'; 300], &b"abcdefg".repeat(3000)];
        for text in seeds {
            let payload = dump_string(text);
            let value = &payload[..payload.len() - VERSION_LEN - CHECKSUM_LEN];
            for end in 0..value.len() {
                check_size(&value[..end]);
            }
            for (at, mask) in (0..value.len()).flat_map(|at| (1..=255).map(move |mask| (at, mask)))
            {
                let mut mutated = value.to_vec();
                mutated[at] ^= mask;
                check_size(&mutated);
            }
        }
    }

    fn check_size(value: &[u8]) {
        if let Ok(Restored::String(text)) = parse_value(value) {
            assert!(
                text.into_owned().capacity() <= (value.len() + VERSION_LEN + CHECKSUM_LEN) * 88
            );
        }
    }
}
