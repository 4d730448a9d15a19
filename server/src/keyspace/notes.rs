//! What happened to keys while a transaction lasted, for those who want to know.
//!
//! Nothing is noted down unless somebody does: a transaction is told at its beginning.

use bitflags::bitflags;

use crate::config::EventClass;

bitflags! {
    /// What is wanted to be known.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct Wanted: u8 {
        /// What commands did, by name.
        const EVENTS = 1;
        /// Which keys are no longer what they were.
        const CHANGES = 1 << 1;
    }
}

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Note {
    Event {
        class: EventClass,
        name: &'static str,
        database: usize,
        key: Box<[u8]>,
    },
    Changed {
        key: Box<[u8]>,
    },
    /// All keys are gone, of one database at least.
    Flushed,
}

/// In the order in which it happened.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    wanted: Wanted,
    list: Vec<Note>,
}

impl Notes {
    pub(super) const fn new() -> Self {
        Notes { wanted: Wanted::empty(), list: Vec::new() }
    }

    pub(super) const fn wanted(&self) -> Wanted {
        self.wanted
    }

    #[inline]
    pub(super) fn event(
        &mut self,
        class: EventClass,
        name: &'static str,
        database: usize,
        key: &[u8],
    ) {
        if self.wanted.contains(Wanted::EVENTS) {
            self.list.push(Note::Event { class, name, database, key: key.into() });
        }
    }

    #[inline]
    pub(super) fn changed(&mut self, key: &[u8]) {
        if self.wanted.contains(Wanted::CHANGES) {
            self.list.push(Note::Changed { key: key.into() });
        }
    }

    pub(super) fn flushed(&mut self) {
        let is_last = matches!(self.list.last(), Some(Note::Flushed));
        if self.wanted.contains(Wanted::CHANGES) && !is_last {
            self.list.push(Note::Flushed);
        }
    }

    /// From here on, this is wanted.
    pub(super) const fn want(&mut self, wanted: Wanted) {
        self.wanted = wanted;
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.list)
    }
}
