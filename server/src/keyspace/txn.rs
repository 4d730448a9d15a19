//! A transaction holds the shards of its keys, and is the only way to look at or change them.
//!
//! While it lives its time stands still, and expired entries are invisible to it.

use super::Keyspace;
use super::entry::{Content, Draft, Entry, Kept};
use super::holding::{Holder, Several};
use super::notes::{Note, Notes, Wanted};
use super::shard::{Parts, Shard};
use super::slice::{LockedKey, Place, Slice};
use super::usage::{Counting, Usage};
use super::waiting::Place as Ready;
use crate::config::EventClass;
use crate::journal::effects::Effects;
use crate::value::Value;

pub(crate) struct Txn<'a> {
    pub(super) keyspace: &'a Keyspace,
    guards: Guards<'a>,
    locked_key: LockedKey,
    pub(super) database: usize,
    pub(super) now_ms: i64,
    /// What was to end up to here is over.
    pub(super) expiry_ms: i64,
    uses: Uses,
    pub(super) notes: Notes,
    effects: &'a mut Effects,
    /// Whether anything was changed that counts.
    has_changed: bool,
    /// Keys that somebody waits for, and under which something has come or gone, in this order.
    ready: Vec<Ready>,
}

/// What a transaction is about, beside its keys.
#[derive(Clone, Copy)]
pub(crate) struct Scope {
    pub(crate) database: usize,
    /// Milliseconds since 1970.
    pub(crate) now_ms: i64,
    pub(crate) uses: Uses,
}

/// What looking at an entry does to its usage.
#[derive(Clone, Copy)]
pub(crate) enum Uses {
    Ignored,
    Noted,
    Counted(Counting),
}

impl Uses {
    /// What an entry's usage becomes.
    fn note(self, usage: Usage, now_ms: i64) -> Usage {
        match self {
            Uses::Ignored => usage,
            Uses::Noted => usage.noted(now_ms),
            Uses::Counted(counting) => usage.counted(now_ms, counting),
        }
    }
}

/// What has become of a value that was to be changed.
pub(crate) enum Changed<R> {
    Done(R),
    /// It is a short text, and was not changed.
    Short,
    Missing,
}

pub(super) enum Guards<'a> {
    None,
    /// The one that the run holds.
    One(usize, &'a mut Shard),
    Several(Several<'a>),
    /// Somebody else's.
    Lent(&'a mut (dyn Holder + 'a)),
}

impl Drop for Txn<'_> {
    /// What was done while several shards were held is told before anybody else gets them.
    fn drop(&mut self) {
        if matches!(self.guards, Guards::Several(_)) {
            self.tell();
            if self.keyspace.accounts.are_on() {
                self.report_exactly();
            }
        }
    }
}

impl<'a> Txn<'a> {
    pub(super) fn new(
        keyspace: &'a Keyspace,
        (guards, effects): (Guards<'a>, &'a mut Effects),
        locked_key: LockedKey,
        scope: Scope,
    ) -> Self {
        let Scope { database, now_ms, uses } = scope;
        Txn {
            keyspace,
            guards,
            locked_key,
            database,
            now_ms,
            expiry_ms: now_ms,
            uses,
            notes: Notes::new(),
            effects,
            has_changed: false,
            ready: Vec::new(),
        }
    }

    /// A transaction within this one, which holds the same for somebody else's command.
    pub(crate) fn lend(&mut self, database: usize, uses: Uses) -> Txn<'_> {
        self.locked_key.place = Place::Unknown;
        let guards = match &mut self.guards {
            Guards::None => Guards::None,
            Guards::One(index, shard) => Guards::One(*index, shard),
            Guards::Several(several) => Guards::Lent(several),
            Guards::Lent(holder) => Guards::Lent(&mut **holder),
        };
        let scope = Scope { database, now_ms: self.now_ms, uses };
        let held = (guards, &mut *self.effects);
        let mut txn = Txn::new(self.keyspace, held, LockedKey::NONE, scope);
        txn.expiry_ms = self.expiry_ms;
        txn.observe(self.notes.wanted());
        txn
    }
}

/// Single keys, in the selected database.
impl Txn<'_> {
    /// Milliseconds since 1970; the same for as long as the transaction lives.
    pub(crate) const fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Whether what has this deadline is over.
    pub(crate) const fn is_over(&self, deadline_ms: i64) -> bool {
        deadline_ms <= self.expiry_ms
    }

    /// Notes that something has changed although nothing may be counted.
    pub(crate) const fn mark_changed(&mut self) {
        self.has_changed = true;
    }

    pub(crate) const fn database(&self) -> usize {
        self.database
    }

    /// Keys that somebody waits for, and under which something has come or gone, in this order.
    pub(crate) fn take_ready(&mut self) -> Vec<Ready> {
        std::mem::take(&mut self.ready)
    }

    /// Notes that a value has changed in a way that somebody may wait for.
    pub(crate) fn note_ready(&mut self, key: &[u8]) {
        let hash = self.hash(key);
        self.slice(hash).note_ready(key);
    }

    /// Notes that a key was changed in such a way.
    pub(crate) fn touch_ready(&mut self, key: &[u8]) {
        let hash = self.hash(key);
        let mut slice = self.slice(hash);
        slice.note_change(key);
        slice.note_ready(key);
    }

    /// Notes that anything may have come or gone in a database.
    pub(super) fn note_all_ready(&mut self, database: usize) {
        let awaited = self.awaited_keys(database);
        self.ready.extend(awaited.into_iter().map(|key| (database, key)));
    }

    /// Turns to another database; its index has been checked.
    pub(crate) const fn select(&mut self, database: usize) {
        self.database = database;
        self.locked_key.place = Place::Unknown;
    }

    /// From here on, what somebody wants to know is noted down.
    pub(crate) const fn observe(&mut self, wanted: Wanted) {
        self.notes.want(wanted);
    }

    pub(crate) const fn has_notes(&self) -> bool {
        !self.notes.is_empty()
    }

    /// Whether a command has changed anything that counts, and there is a log to be told.
    pub(crate) const fn is_to_be_told(&self) -> bool {
        self.has_changed && self.effects.is_on
    }

    /// Whether there is a log to be told.
    pub(crate) const fn has_log(&self) -> bool {
        self.effects.is_on
    }

    /// Tells the log what does again what was done.
    pub(crate) fn effect<'w>(&mut self, words: impl ExactSizeIterator<Item = &'w [u8]>) {
        self.effects.add(self.database, words);
    }

    /// What follows is to be done even if what was done so far is not, and the other way round.
    pub(crate) fn end_unit(&mut self) {
        if !self.effects.is_empty() {
            self.effects.end_unit();
        }
    }

    /// Gives the log what has been done, which is whole.
    pub(crate) fn tell(&mut self) {
        if !self.effects.is_empty() {
            self.keyspace.log.append(self.effects);
        }
    }

    /// What has been noted down so far.
    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        self.notes.take()
    }

    /// Notes down what a command has done to a key, which counts as a change.
    pub(crate) fn event(&mut self, class: EventClass, name: &'static str, key: &[u8]) {
        self.events(1, class, name, key);
    }

    /// The same for what counts as so many changes.
    pub(crate) fn events(
        &mut self,
        count: usize,
        class: EventClass,
        name: &'static str,
        key: &[u8],
    ) {
        self.count_changes(count);
        self.side_event(class, name, key);
    }

    /// Notes down what is part of a change that counts already.
    pub(crate) fn side_event(&mut self, class: EventClass, name: &'static str, key: &[u8]) {
        self.notes.event(class, name, self.database, key);
    }

    /// Only the sum over all shards is ever asked for.
    pub(crate) fn count_changes(&mut self, count: usize) {
        self.has_changed |= count > 0;
        let changes = match &mut self.guards {
            Guards::None => return,
            Guards::One(_, shard) => &mut shard.counters.changes,
            Guards::Several(several) => &mut several.at_mut(0).counters.changes,
            Guards::Lent(holder) => &mut holder.at_mut(0).counters.changes,
        };
        *changes += count as u64;
    }

    /// From here on, looking at an entry does not count as using it.
    pub(crate) const fn ignore_usage(&mut self) {
        self.uses = Uses::Ignored;
    }

    /// From here on, looking at an entry does this to its usage, whatever the client asked for.
    pub(crate) const fn note_usage(&mut self, uses: Uses) {
        self.uses = uses;
    }

    /// Looks a key up for reading: counts a hit or a miss, and as a use of the entry.
    pub(crate) fn read(&mut self, key: &[u8]) -> Option<Entry<'_>> {
        let (hash, uses, now_ms) = (self.hash(key), self.uses, self.now_ms);
        let mut slice = self.slice(hash);
        let Some(found) = slice.find(hash, key) else {
            slice.note_miss(key);
            return None;
        };
        slice.counters.hits += 1;
        Some(slice.database.note_use(found, |usage| uses.note(usage, now_ms)))
    }

    /// Looks a key up that may be changed: counts as a use of the entry, whatever becomes of it.
    pub(crate) fn seek(&mut self, key: &[u8]) -> Option<Entry<'_>> {
        let (hash, uses, now_ms) = (self.hash(key), self.uses, self.now_ms);
        let mut slice = self.slice(hash);
        let found = slice.find(hash, key)?;
        Some(slice.database.note_use(found, |usage| uses.note(usage, now_ms)))
    }

    /// The same where only matters whether there is such a key.
    pub(crate) fn holds(&mut self, key: &[u8]) -> bool {
        let (hash, uses, now_ms) = (self.hash(key), self.uses, self.now_ms);
        let mut slice = self.slice(hash);
        let found = slice.find(hash, key);
        if let Some(found) = found {
            slice.database.note_use(found, |usage| uses.note(usage, now_ms));
        }
        found.is_some()
    }

    /// Looks several keys up for reading, to have all of them at the same time.
    pub(crate) fn read_several<'k>(
        &mut self,
        keys: impl Iterator<Item = &'k [u8]> + Clone,
    ) -> Vec<Option<Entry<'_>>> {
        for key in keys.clone() {
            self.read(key);
        }
        keys.map(|key| self.look(key)).collect()
    }

    /// Looks at a key whose time is known not to be over.
    fn look(&self, key: &[u8]) -> Option<Entry<'_>> {
        let hash = self.hash(key);
        let index = self.keyspace.shard_of(hash);
        let mut shards = self.indexed_shards();
        let shard = shards.find_map(|(held, shard)| (held == index).then_some(shard))?;
        let database = shard.database(self.database)?;
        Some(database.get(database.find(hash, key)?))
    }

    /// Looks a key up without counting it as anything.
    pub(crate) fn peek(&mut self, key: &[u8]) -> Option<Entry<'_>> {
        let hash = self.hash(key);
        let mut slice = self.slice(hash);
        let found = slice.find(hash, key)?;
        Some(slice.database.get(found))
    }

    pub(crate) fn contains(&mut self, key: &[u8]) -> bool {
        let hash = self.hash(key);
        self.slice(hash).find(hash, key).is_some()
    }

    /// Changes a value in place that was sought, with memory of its own from now on. The caller says
    /// with `touch` that it did.
    pub(crate) fn change<R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut Value) -> R,
    ) -> Option<R> {
        let hash = self.hash(key);
        let mut slice = self.slice(hash);
        let found = slice.find(hash, key)?;
        Some(slice.change(found).change_value(found, change))
    }

    /// Looks a key up as `seek` does, and changes its value in place if it has memory of its own, as all
    /// but short texts have.
    pub(crate) fn change_large<R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut Value) -> R,
    ) -> Changed<R> {
        let (hash, uses, now_ms) = (self.hash(key), self.uses, self.now_ms);
        let mut slice = self.slice(hash);
        let Some(found) = slice.find(hash, key) else {
            return Changed::Missing;
        };
        slice.database.note_use(found, |usage| uses.note(usage, now_ms));
        // Neither its place nor its deadline changes.
        slice.preserve(found);
        slice.database.change_large(found, change).map_or(Changed::Short, Changed::Done)
    }

    /// Stores a value under a key, with this deadline or none. Over another value this is one more use of
    /// the key.
    pub(crate) fn put<'v>(
        &mut self,
        key: &[u8],
        value: impl Into<Content<'v>>,
        deadline_ms: Option<i64>,
    ) {
        let (hash, uses, now_ms) = (self.hash(key), self.uses, self.now_ms);
        let usage = Usage::fresh(now_ms);
        let draft = Draft { key, content: value.into(), deadline_ms, usage };
        let mut slice = self.slice(hash);
        let found = slice.find(hash, key);
        slice.store(hash, found, draft, |usage| uses.note(usage, now_ms));
    }

    /// Stores a value under a key that was sought, and keeps the deadline that it has.
    pub(crate) fn put_keeping_deadline<'v>(&mut self, key: &[u8], value: impl Into<Content<'v>>) {
        let (hash, usage) = (self.hash(key), Usage::fresh(self.now_ms));
        let mut slice = self.slice(hash);
        let found = slice.find(hash, key);
        let deadline_ms = found.and_then(|found| slice.database.get(found).deadline_ms());
        let draft = Draft { key, content: value.into(), deadline_ms, usage };
        slice.store(hash, found, draft, |usage| usage);
    }

    /// Stores what an entry holds under another key, with its deadline. As a key it has not been used yet.
    pub(crate) fn put_kept(&mut self, key: &[u8], mut kept: Kept) {
        let (hash, usage) = (self.hash(key), Usage::fresh(self.now_ms));
        let mut slice = self.slice(hash);
        let found = slice.find(hash, key);
        slice.store(hash, found, Draft { key, usage, ..kept.draft() }, |_| usage);
    }

    /// Removes a key; false if there is no such key.
    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        let hash = self.hash(key);
        let mut slice = self.slice(hash);
        let Some(found) = slice.find(hash, key) else {
            return false;
        };
        slice.note_change(key);
        slice.note_ready(key);
        slice.change(found).remove(hash, found);
        true
    }

    /// Removes a key and gives what was there.
    pub(crate) fn take(&mut self, key: &[u8]) -> Option<Kept> {
        let hash = self.hash(key);
        let mut slice = self.slice(hash);
        let found = slice.find(hash, key)?;
        slice.note_change(key);
        slice.note_ready(key);
        Some(slice.change(found).take(hash, found))
    }

    /// Gives a key a deadline, or takes it away; false if there is no such key.
    pub(crate) fn set_deadline(&mut self, key: &[u8], deadline_ms: Option<i64>) -> bool {
        let hash = self.hash(key);
        let mut slice = self.slice(hash);
        let Some(found) = slice.find(hash, key) else {
            return false;
        };
        slice.note_change(key);
        slice.change(found).set_deadline(found, deadline_ms);
        true
    }

    /// Sets how recently and how often a key was used; false if there is no such key.
    pub(crate) fn set_usage(&mut self, key: &[u8], usage: Usage) -> bool {
        let hash = self.hash(key);
        let mut slice = self.slice(hash);
        let Some(found) = slice.find(hash, key) else {
            return false;
        };
        slice.database.note_use(found, |_| usage);
        true
    }

    /// Notes that a key was changed.
    pub(crate) fn touch(&mut self, key: &[u8]) {
        let hash = self.hash(key);
        self.slice(hash).note_change(key);
    }

    /// Removes a key if its time is over.
    pub(super) fn expire(&mut self, key: &[u8]) {
        self.contains(key);
    }

    /// The hash of a key; that of the locked one is known.
    fn hash(&self, key: &[u8]) -> u64 {
        if self.locked_key.is(key) { self.locked_key.hash } else { self.keyspace.hash(key) }
    }

    /// The slice of the selected database that holds what has this hash.
    fn slice(&mut self, hash: u64) -> Slice<'_> {
        let (number, expiry_ms, hasher) = (self.database, self.expiry_ms, &self.keyspace.hasher);
        let shard = shard_mut(self.keyspace, &mut self.guards, hash);
        let Parts { database, counters, interest } = shard.parts(number, hasher);
        let (locked_key, notes) = (&mut self.locked_key, &mut self.notes);
        let (ready, effects) = (&mut self.ready, &mut *self.effects);
        Slice { database, number, counters, interest, locked_key, expiry_ms, notes, effects, ready }
    }

    /// Has what has these hashes brought near, all at the same time.
    pub(super) fn prefetch(&mut self, hashes: &[u64]) {
        for &hash in hashes {
            self.slice(hash).database.prefetch_home(hash);
        }
        for &hash in hashes {
            self.slice(hash).database.prefetch_entry(hash);
        }
    }
}

fn shard_mut<'t>(keyspace: &Keyspace, guards: &'t mut Guards<'_>, hash: u64) -> &'t mut Shard {
    let index = keyspace.shard_of(hash);
    let found = match guards {
        Guards::None => None,
        Guards::One(held, shard) => (*held == index).then_some(&mut **shard),
        Guards::Several(several) => several.find_mut(index),
        Guards::Lent(holder) => holder.find_mut(index),
    };
    found.expect("the command's row names all keys that it uses")
}

/// The shards that are held.
impl Txn<'_> {
    /// Whether something holds for a shard; soon answered where there is only one.
    pub(super) fn any_shard(&self, holds: impl Fn(&Shard) -> bool) -> bool {
        match &self.guards {
            Guards::None => false,
            Guards::One(_, shard) => holds(shard),
            _ => self.shards().any(holds),
        }
    }

    pub(super) fn shard_of_key(&self, key: &[u8]) -> usize {
        self.keyspace.shard_of(self.hash(key))
    }

    pub(super) fn shard_of_key_mut(&mut self, key: &[u8]) -> &mut Shard {
        let hash = self.hash(key);
        shard_mut(self.keyspace, &mut self.guards, hash)
    }

    pub(super) fn shards(&self) -> impl Iterator<Item = &Shard> + Clone {
        self.indexed_shards().map(|(_, shard)| shard)
    }

    pub(super) fn indexed_shards(&self) -> impl Iterator<Item = (usize, &Shard)> + Clone {
        let (one, several): (_, Option<&dyn Holder>) = match &self.guards {
            Guards::None => (None, None),
            Guards::One(index, shard) => (Some((*index, &**shard)), None),
            Guards::Several(several) => (None, Some(several)),
            Guards::Lent(holder) => (None, Some(&**holder)),
        };
        let held =
            several.into_iter().flat_map(|several| (0..several.count()).map(|at| several.at(at)));
        one.into_iter().chain(held)
    }

    /// The shard, if it is the only one.
    pub(super) const fn sole_shard_mut(&mut self) -> Option<&mut Shard> {
        match &mut self.guards {
            Guards::One(_, shard) => Some(shard),
            _ => None,
        }
    }

    /// Does something to each shard.
    pub(super) fn for_each_shard(&mut self, mut act: impl FnMut(&mut Shard)) {
        let several: &mut dyn Holder = match &mut self.guards {
            Guards::None => return,
            Guards::One(_, shard) => return act(shard),
            Guards::Several(several) => several,
            Guards::Lent(holder) => &mut **holder,
        };
        (0..several.count()).for_each(|at| act(several.at_mut(at)));
    }

    /// From here on, nothing is over whatever its deadline.
    pub(crate) const fn stop_expiry(&mut self) {
        self.expiry_ms = i64::MIN;
    }

    /// Whether any shard is held.
    pub(crate) const fn holds_any(&self) -> bool {
        !matches!(self.guards, Guards::None)
    }

    /// Lets others at the shards for a while; whoever lent them to this transaction holds them no
    /// longer either.
    pub(crate) fn let_go(&mut self) {
        match &mut self.guards {
            Guards::None | Guards::One(..) => {}
            Guards::Several(several) => several.let_go(),
            Guards::Lent(holder) => holder.let_go(),
        }
    }

    /// Holds again what was let go.
    pub(crate) fn hold_again(&mut self) {
        match &mut self.guards {
            Guards::None | Guards::One(..) => {}
            Guards::Several(several) => several.hold_again(),
            Guards::Lent(holder) => holder.hold_again(),
        }
    }
}
