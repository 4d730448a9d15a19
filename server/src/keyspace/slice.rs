//! A database in one shard, as a transaction sees it: where entries are, and what has to be noted when they change.

use super::entry::Draft;
use super::notes::Notes;
use super::shard::{Counters, Database, Interest};
use super::usage::Usage;
use super::waiting::Place as Ready;
use crate::config::EventClass;
use crate::journal::effects::Effects;
use crate::storage::Found;

/// The key that was locked, if it is only one, whose hash is known then, and where it was found. It
/// is told by where it lies: the request outlives the transaction.
#[derive(Clone, Copy)]
pub(super) struct LockedKey {
    address: usize,
    length: usize,
    pub(super) hash: u64,
    pub(super) place: Place,
}

/// What is known of a key in the selected database as long as nothing is changed.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Unknown,
    /// It is not there, or its time was over and it has been removed.
    None,
    At(Found),
}

impl LockedKey {
    /// Nothing lies at this address.
    pub(super) const NONE: LockedKey =
        LockedKey { address: 0, length: 0, hash: 0, place: Place::Unknown };

    pub(super) fn new(key: &[u8], hash: u64) -> Self {
        LockedKey { address: key.as_ptr().addr(), length: key.len(), hash, place: Place::Unknown }
    }

    pub(super) fn is(&self, key: &[u8]) -> bool {
        self.address == key.as_ptr().addr() && self.length == key.len()
    }
}

/// A database in one shard, and what is counted there.
pub(super) struct Slice<'t> {
    pub(super) database: &'t mut Database,
    pub(super) number: usize,
    pub(super) counters: &'t mut Counters,
    pub(super) interest: Option<&'t Interest>,
    pub(super) locked_key: &'t mut LockedKey,
    pub(super) expiry_ms: i64,
    pub(super) notes: &'t mut Notes,
    pub(super) effects: &'t mut Effects,
    pub(super) ready: &'t mut Vec<Ready>,
}

impl Slice<'_> {
    /// Where the key is, if it is there; removes it if its time is over.
    pub(super) fn find(&mut self, hash: u64, key: &[u8]) -> Option<Found> {
        let is_locked = self.locked_key.is(key);
        match self.locked_key.place {
            Place::None if is_locked => return None,
            Place::At(found) if is_locked => return Some(found),
            _ => {}
        }
        let found = self.database.find(hash, key).filter(|&found| !self.expire(hash, found, key));
        if is_locked {
            self.locked_key.place = found.map_or(Place::None, Place::At);
        }
        found
    }

    /// Removes an entry if its time is over; whether it was.
    fn expire(&mut self, hash: u64, found: Found, key: &[u8]) -> bool {
        let is_expired = self.database.is_expired(found, self.expiry_ms);
        if is_expired {
            self.counters.expired += 1;
            self.notes.event(EventClass::EXPIRED, "expired", self.number, key);
            self.note_change(key);
            self.note_ready(key);
            self.note_removal(key);
            self.change(found).remove(hash, found);
        }
        is_expired
    }

    /// Tells the log of a key that no command has removed.
    fn note_removal(&mut self, key: &[u8]) {
        if self.effects.is_on {
            self.effects.add(self.number, [&b"DEL"[..], key].into_iter());
        }
    }

    /// Notes that something has come or gone under a key, if somebody waits for it.
    pub(super) fn note_ready(&mut self, key: &[u8]) {
        let is_awaited = |interest: &Interest| interest.waiting.is_awaited(self.number, key);
        if self.interest.is_some_and(is_awaited) {
            let place = (self.number, Box::from(key));
            if !self.ready.contains(&place) {
                self.ready.push(place);
            }
        }
    }

    pub(super) fn note_miss(&mut self, key: &[u8]) {
        self.counters.misses += 1;
        self.notes.event(EventClass::MISS, "keymiss", self.number, key);
    }

    pub(super) fn note_change(&mut self, key: &[u8]) {
        if let Some(interest) = self.interest {
            interest.watches.touch(self.number, key);
        }
        self.notes.changed(key);
    }

    /// The database, for an entry of it to be changed: what was known of places is no longer certain.
    pub(super) fn change(&mut self, found: Found) -> &mut Database {
        self.locked_key.place = Place::Unknown;
        self.preserve(found);
        self.database
    }

    fn add(&mut self, hash: u64, draft: Draft<'_>) {
        self.locked_key.place = Place::Unknown;
        self.database.insert(hash, draft);
    }

    /// An entry is about to change: a snapshot that is on its way gets it as it is.
    pub(super) fn preserve(&mut self, found: Found) {
        if self.database.walk.is_some() {
            self.database.preserve(found);
        }
    }

    /// Stores an entry in place of what was found under its key, whose usage says what the entry's becomes.
    pub(super) fn store(
        &mut self,
        hash: u64,
        found: Option<Found>,
        draft: Draft<'_>,
        again: impl FnOnce(Usage) -> Usage,
    ) {
        self.note_change(draft.key);
        self.note_ready(draft.key);
        if found.is_none() {
            self.notes.event(EventClass::NEW, "new", self.number, draft.key);
        }
        match found {
            Some(found) => self.change(found).replace(found, draft, again),
            None => self.add(hash, draft),
        }
    }
}
