//! Finding the keys among a request's arguments, from the key specifications of its row.

use super::metadata::{Begin, Find};
use super::{Args, Command, KeyFlags, KeySpec};
use crate::value::number::parse_integer;

/// A key's place among the arguments, and what the command does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) index: usize,
    pub(crate) flags: KeyFlags,
}

/// The keys that a request names, in the order of the row's specifications.
pub(crate) fn keys<'a>(
    command: &'static Command,
    args: Args<'a>,
) -> impl Iterator<Item = &'a [u8]> {
    locate(command, args).map(move |located| args.at(located.index))
}

/// Where most requests have their first key, told by no more than the first letters of their names: to bring it
/// near ahead, for which it may be wrong.
#[inline]
pub(crate) fn likely_key(args: Args<'_>) -> Option<&[u8]> {
    /// The bit that tells small letters from capital ones, in four letters.
    const SMALL: u32 = 0x2020_2020;
    let runs_script = |name: &[u8]| {
        name.first_chunk().is_some_and(|letters| {
            let letters = u32::from_le_bytes(*letters) | SMALL;
            letters == u32::from_le_bytes(*b"eval") || letters == u32::from_le_bytes(*b"fcal")
        })
    };
    let is_far = args.len() > 3 && runs_script(args.at(0));
    args.get(if is_far { 3 } else { 1 })
}

/// Where clients are told that the keys of a request are.
pub(super) fn locate_for_clients(
    command: &'static Command,
    args: Args<'_>,
) -> impl Iterator<Item = Located> {
    command.keys.iter().flat_map(move |spec| {
        let flags = spec.flags;
        spec.as_told().positions(args).map(move |index| Located { index, flags })
    })
}

/// Where the keys of a request are. What lies outside the request is left out: a handler
/// refuses such a request when it parses it.
pub(crate) fn locate(command: &'static Command, args: Args<'_>) -> impl Iterator<Item = Located> {
    command.keys.iter().flat_map(move |spec| {
        let flags = spec.flags;
        spec.positions(args).map(move |index| Located { index, flags })
    })
}

impl KeySpec {
    /// The position of the key, if the specification is of one key at a fixed place.
    pub(super) fn sole_position(&self) -> Option<usize> {
        match (self.begin, self.find) {
            (Begin::Index(index), Find::Range { last: 0, .. }) => Some(usize::from(index)),
            _ => None,
        }
    }

    /// What clients know of it.
    const fn as_told(mut self) -> Self {
        if let Begin::Option(word, from, _) = self.begin {
            self.begin = Begin::Keyword(word, from);
        }
        self
    }

    /// Whether there may be such a key among the arguments.
    pub(super) const fn finds_arguments(&self) -> bool {
        !matches!(self.find, Find::Unknown)
    }

    fn positions(&self, args: Args<'_>) -> impl Iterator<Item = usize> + use<> {
        let (first, step, end) = self.bounds(args).unwrap_or((0, 1, 0));
        (first..end.min(args.len())).step_by(step)
    }

    /// The first key, the distance to the next, and the position after the last.
    fn bounds(&self, args: Args<'_>) -> Option<(usize, usize, usize)> {
        if let Find::By(find) = self.find {
            return find(args).map(|index| (index, 1, index + 1));
        }
        let begin = self.begin(args)?;
        match self.find {
            Find::Range { last, step, limit } => {
                let last = range_end(begin, last, limit, args.len())?;
                Some((begin, usize::from(step), last))
            }
            Find::Count { count, first, step } => {
                let count = parse_integer(args.get(begin + usize::from(count))?)?;
                let (first, step) = (begin + usize::from(first), usize::from(step));
                let end = usize::try_from(count).ok()?.checked_mul(step)?.checked_add(first)?;
                (end <= args.len()).then_some((first, step, end))
            }
            Find::By(_) | Find::Unknown => None,
        }
    }

    fn begin(&self, args: Args<'_>) -> Option<usize> {
        match self.begin {
            Begin::Index(index) => Some(usize::from(index)),
            Begin::Option(_, _, find) => find(args),
            Begin::Keyword(word, from) => {
                let is_word = |index: &usize| args.at(*index).eq_ignore_ascii_case(word.as_bytes());
                let found = if let Ok(from) = usize::try_from(from) {
                    (from..args.len()).find(is_word)
                } else {
                    let from = args.len().checked_sub(usize::from(from.unsigned_abs()))?;
                    (1..=from).rev().find(is_word)
                };
                found.map(|index| index + 1)
            }
            Begin::Unknown => None,
        }
    }
}

/// The position after the last key of a range.
fn range_end(begin: usize, last: i16, limit: u16, length: usize) -> Option<usize> {
    if let Ok(last) = usize::try_from(last) {
        return Some(begin + last + 1);
    }
    let from_end = usize::from(last.unsigned_abs()) - 1;
    let end = length.checked_sub(from_end)?;
    let whole = end.checked_sub(begin)?;
    Some(begin + if limit > 1 { whole / usize::from(limit) } else { whole })
}
