//! The ids of entries: a time in milliseconds, and a number among those of the same time.

use crate::value::number::{parse_unsigned, write_digits};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id {
    pub(crate) ms: u64,
    pub(crate) sequence: u64,
}

/// What an id that is still to be given to an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NewId {
    /// `*`: of the present time.
    Any,
    /// `ms-*`: of this time.
    At(u64),
    Given(Id),
}

/// Ids from the first to the last one, both among them. None if they are the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdRange {
    pub(crate) first: Id,
    pub(crate) last: Id,
}

/// The longest printed form.
pub(crate) const LONGEST_ID: usize = 41;
/// Redis does not read ids that are longer.
const LONGEST_READ: usize = 127;

impl Id {
    pub(crate) const MIN: Id = Id { ms: 0, sequence: 0 };
    pub(crate) const MAX: Id = Id { ms: u64::MAX, sequence: u64::MAX };
    pub(crate) const BYTES: usize = 16;

    /// Reads `ms-sequence`, or `ms` alone, where the sequence is this.
    pub(crate) fn parse(text: &[u8], missing: u64) -> Option<Self> {
        let (ms, sequence) = split(text)?;
        let sequence = sequence.map_or(Some(missing), parse_unsigned)?;
        Some(Id { ms: parse_unsigned(ms)?, sequence })
    }

    pub(crate) const fn next(self) -> Option<Self> {
        match (self.ms.checked_add(1), self.sequence.checked_add(1)) {
            (_, Some(sequence)) => Some(Id { ms: self.ms, sequence }),
            (Some(ms), None) => Some(Id { ms, sequence: 0 }),
            (None, None) => None,
        }
    }

    pub(crate) const fn previous(self) -> Option<Self> {
        match (self.ms.checked_sub(1), self.sequence.checked_sub(1)) {
            (_, Some(sequence)) => Some(Id { ms: self.ms, sequence }),
            (Some(ms), None) => Some(Id { ms, sequence: u64::MAX }),
            (None, None) => None,
        }
    }

    /// Prints it into the end of a buffer.
    pub(crate) fn format(self, buffer: &mut [u8; LONGEST_ID]) -> &[u8] {
        let dash = write_digits(self.sequence, buffer) - 1;
        buffer[dash] = b'-';
        let start = write_digits(self.ms, &mut buffer[..dash]);
        &buffer[start..]
    }

    /// In the order of bytes as in that of ids.
    pub(crate) const fn to_bytes(self) -> [u8; Self::BYTES] {
        ((self.ms as u128) << 64 | self.sequence as u128).to_be_bytes()
    }

    pub(crate) const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let number = u128::from_be_bytes(bytes);
        Id { ms: (number >> 64) as u64, sequence: number as u64 }
    }
}

impl IdRange {
    pub(crate) const ALL: IdRange = IdRange { first: Id::MIN, last: Id::MAX };

    /// Those behind an id.
    pub(crate) fn behind(id: Id) -> Self {
        id.next().map_or(Self::NONE, |first| IdRange { first, last: Id::MAX })
    }

    const NONE: IdRange = IdRange { first: Id::MAX, last: Id::MIN };

    pub(super) fn is_empty(self) -> bool {
        self.first > self.last
    }
}

impl NewId {
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        match split(text)? {
            (b"*", None) => Some(NewId::Any),
            (ms, Some(b"*")) => parse_unsigned(ms).map(NewId::At),
            _ => Id::parse(text, 0).map(NewId::Given),
        }
    }

    /// The id it stands for behind the last one, if that can be.
    pub(crate) fn behind(self, last: Id, now_ms: u64) -> Option<Id> {
        let id = match self {
            NewId::Any if now_ms > last.ms => Id { ms: now_ms, sequence: 0 },
            NewId::Any => last.next()?,
            NewId::At(ms) if ms == last.ms => Id { ms, sequence: last.sequence.checked_add(1)? },
            NewId::At(ms) => Id { ms, sequence: 0 },
            NewId::Given(id) => id,
        };
        (id > last).then_some(id)
    }
}

/// A text up to its first zero byte, where it ends in C.
pub(crate) fn until_zero(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or(text)
}

/// The two parts of an id.
fn split(text: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    if text.len() > LONGEST_READ {
        return None;
    }
    let text = until_zero(text);
    match text.iter().position(|&byte| byte == b'-') {
        Some(dash) => Some((&text[..dash], Some(&text[dash + 1..]))),
        None => Some((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(ms: u64, sequence: u64) -> Id {
        Id { ms, sequence }
    }

    fn printed(id: Id) -> String {
        String::from_utf8_lossy(id.format(&mut [0; LONGEST_ID])).into_owned()
    }

    #[test]
    fn ids_are_read_as_redis_reads_them() {
        for (text, read) in [
            ("0-0", Some(id(0, 0))),
            ("5", Some(id(5, 9))),
            ("5-7", Some(id(5, 7))),
            ("007-+3", Some(id(7, 3))),
            (" 7- 3", Some(id(7, 3))),
            ("5--0", Some(id(5, 0))),
            ("5- -3", Some(id(5, u64::MAX - 2))),
            ("7-3\0 whatever", Some(id(7, 3))),
            ("18446744073709551615-18446744073709551615", Some(Id::MAX)),
            ("18446744073709551616-0", None),
            ("5--3", None),
            ("5-", None),
            ("-5", None),
            ("", None),
            ("-", None),
            ("+", None),
            ("*", None),
            ("5-*", None),
            ("1-2-3", None),
            ("1 ", None),
            ("x", None),
        ] {
            assert_eq!(Id::parse(text.as_bytes(), 9), read, "{text:?}");
        }
        assert_eq!(Id::parse(&[b'0'; LONGEST_READ], 0), Some(Id::MIN));
        assert_eq!(Id::parse(&[b'0'; LONGEST_READ + 1], 0), None);
    }

    #[test]
    fn printed_ids_and_their_bytes_are_read_back() {
        for id in [Id::MIN, Id::MAX, id(1_700_000_000_000, 0), id(0, 10), id(99, 100)] {
            assert_eq!(Id::parse(printed(id).as_bytes(), 0), Some(id));
            assert_eq!(Id::from_bytes(id.to_bytes()), id);
        }
        assert_eq!(printed(id(120, 3)), "120-3");
    }

    #[test]
    fn neighbours_go_over_the_edges_of_a_time() {
        assert_eq!(id(1, u64::MAX).next(), Some(id(2, 0)));
        assert_eq!(id(2, 0).previous(), Some(id(1, u64::MAX)));
        assert_eq!((Id::MAX.next(), Id::MIN.previous()), (None, None));
    }

    #[test]
    fn a_new_id_is_behind_the_last_one_or_none() {
        let last = id(10, 5);
        for (text, found) in [
            ("*", Some(id(10, 6))),
            ("10-*", Some(id(10, 6))),
            ("11-*", Some(id(11, 0))),
            ("9-*", None),
            ("10-5", None),
            ("10-6", Some(id(10, 6))),
            ("10", None),
        ] {
            let new = NewId::parse(text.as_bytes()).expect("these are ids");
            assert_eq!(new.behind(last, 3), found, "{text}");
        }
        assert_eq!(NewId::Any.behind(last, 11), Some(id(11, 0)));
        assert_eq!(NewId::Any.behind(Id::MAX, 11), None);
        assert_eq!(NewId::At(10).behind(id(10, u64::MAX), 0), None);
        assert_eq!((NewId::parse(b"**"), NewId::parse(b"*-1")), (None, None));
    }
}
