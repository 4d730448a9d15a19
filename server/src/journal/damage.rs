//! What is wrong with a file, and where.

use std::fmt;
use std::io;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Where what is wrong begins.
    pub(crate) offset: u64,
    /// A sentence without its end.
    pub(crate) what: String,
    /// Whether nothing is wrong but that the file ends too early.
    pub(crate) is_cut: bool,
    /// Whether nothing is wrong with the file, and it has something that redlet does not have.
    pub(crate) is_foreign: bool,
}

impl Damage {
    pub(crate) fn at(offset: u64, what: impl Into<String>) -> Self {
        Damage { offset, what: what.into(), is_cut: false, is_foreign: false }
    }

    pub(crate) fn cut(offset: u64, what: impl Into<String>) -> Self {
        Damage { is_cut: true, ..Damage::at(offset, what) }
    }

    pub(crate) fn foreign(offset: u64, what: impl Into<String>) -> Self {
        Damage { is_foreign: true, ..Damage::at(offset, what) }
    }

    pub(crate) fn unreadable(offset: u64, error: &io::Error) -> Self {
        Damage::at(offset, format!("the disk does not give what is there: {error}"))
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.what, self.offset)
    }
}
