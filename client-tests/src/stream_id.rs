//! The ids of a stream's entries, as replies have them.

use std::fmt;

use crate::reply::Reply;

/// A time in milliseconds and a number within it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u64, u64);

impl Id {
    /// Before all entries.
    pub const ZERO: Self = Self(0, 0);

    pub fn of(reply: &Reply) -> Option<Self> {
        let text = String::from_utf8(reply.text()?).ok()?;
        let (time_ms, number) = text.split_once('-')?;
        Some(Self(time_ms.parse().ok()?, number.parse().ok()?))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.0, self.1)
    }
}
