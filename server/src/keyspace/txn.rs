//! The only place that locks: a transaction holds the shards of its keys, and is the only way
//! to look at or change them.
//!
//! Shards are locked in ascending order, each once. While a transaction lives its time stands
//! still, and expired entries are invisible to it.

use std::sync::MutexGuard;

use super::Keyspace;
use super::entry::{Content, Draft, Entry, Kept};
use super::holding::{Holder, Several};
use super::notes::{Note, Notes, Wanted};
use super::shard::{Counters, Database, Interest, Parts, Shard};
use super::usage::{Counting, Usage};
use super::waiting::Place as Ready;
use crate::config::EventClass;
use crate::journal::effects::Effects;
use crate::storage::Found;
use crate::value::Value;

/// How many shards at most are looked at to bring keys near.
const MOST_WARMED: usize = 64;

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
            Uses::Noted => usage.again(now_ms, None),
            Uses::Counted(counting) => usage.again(now_ms, Some(counting)),
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

enum Guards<'a> {
    None,
    /// The one that the run holds.
    One(usize, &'a mut Shard),
    Several(Several<'a>),
    /// Somebody else's.
    Lent(&'a mut (dyn Holder + 'a)),
}

/// The key that was locked, if it is only one, whose hash is known then, and where it was found. It
/// is told by where it lies: the request outlives the transaction.
#[derive(Clone, Copy)]
struct LockedKey {
    address: usize,
    length: usize,
    hash: u64,
    place: Place,
}

/// What is known of a key in the selected database as long as nothing is changed.
#[derive(Clone, Copy)]
enum Place {
    Unknown,
    /// It is not there, or its time was over and it has been removed.
    None,
    At(Found),
}

impl LockedKey {
    /// Nothing lies at this address.
    const NONE: LockedKey = LockedKey { address: 0, length: 0, hash: 0, place: Place::Unknown };

    fn new(key: &[u8], hash: u64) -> Self {
        LockedKey { address: key.as_ptr().addr(), length: key.len(), hash, place: Place::Unknown }
    }

    fn is(&self, key: &[u8]) -> bool {
        self.address == key.as_ptr().addr() && self.length == key.len()
    }
}

/// A run of requests, which keeps the shard that its last request used for the next: several
/// requests on one shard lock it once.
///
/// Whoever locks anything else lets go of it first, so that shards are still locked in ascending
/// order.
pub(crate) struct Run<'a> {
    keyspace: &'a Keyspace,
    held: Option<(usize, MutexGuard<'a, Shard>)>,
    /// What has been done in the shard that is held.
    effects: Effects,
    /// Whether what is done is nobody's business: it comes from where it would go.
    is_private: bool,
}

impl<'a> Run<'a> {
    pub(crate) const fn new(keyspace: &'a Keyspace) -> Self {
        Run { keyspace, held: None, effects: Effects::OFF, is_private: false }
    }

    /// One whose effects no log is told.
    pub(crate) const fn private(keyspace: &'a Keyspace) -> Self {
        Run { keyspace, held: None, effects: Effects::OFF, is_private: true }
    }

    pub(super) const fn keyspace(&self) -> &'a Keyspace {
        self.keyspace
    }

    /// Lets others at the shard.
    pub(crate) fn release(&mut self) {
        self.tell();
        if let Some((index, shard)) = self.held.take()
            && self.keyspace.accounts.are_on()
        {
            self.keyspace.accounts.report_roughly(index, &shard);
        }
    }

    /// Gives the log what has been done so far.
    fn tell(&mut self) {
        if !self.effects.is_empty() {
            self.keyspace.log.append(&mut self.effects);
        }
    }

    /// Shards have been locked, and with them whether there is a log.
    fn listen(&mut self) {
        self.effects.is_on = self.keyspace.log.is_on() && !self.is_private;
    }

    /// Locks the shards of these keys.
    pub(crate) fn lock<'k>(
        &mut self,
        mut keys: impl Iterator<Item = &'k [u8]>,
        scope: Scope,
    ) -> Txn<'_> {
        let keyspace = self.keyspace;
        let (first, second) = (keys.next(), keys.next());
        if let (Some(only), None) = (first, second) {
            return self.lock_key(only, scope);
        }
        let keys = first.into_iter().chain(second).chain(keys);
        let hashes: Vec<u64> = keys.map(|key| keyspace.hash(key)).collect();
        let mut shards: Vec<usize> = hashes.iter().map(|&hash| keyspace.shard_of(hash)).collect();
        shards.sort_unstable();
        shards.dedup();
        let mut txn = match shards[..] {
            [] => self.lock_none(scope),
            [only] if !self.hold(only).0.any_reaches_beyond(only) => self.lock_one(only, scope),
            _ => self.lock_to_serve(shards, scope),
        };
        txn.prefetch(&hashes);
        txn
    }

    pub(crate) fn lock_key(&mut self, key: &[u8], scope: Scope) -> Txn<'_> {
        let hash = self.keyspace.hash(key);
        let (keyspace, index) = (self.keyspace, self.keyspace.shard_of(hash));
        if self.hold(index).0.reaches_beyond(index, key) {
            return self.lock_to_serve(vec![index], scope);
        }
        let (shard, effects) = self.hold(index);
        let guards = Guards::One(index, shard);
        Txn::new(keyspace, (guards, effects), LockedKey::new(key, hash), scope)
    }

    pub(crate) fn lock_all(&mut self, scope: Scope) -> Txn<'_> {
        self.lock_ascending(0..self.keyspace.shards.len(), scope)
    }

    /// Locks nothing: for commands that have nothing to do with keys.
    pub(crate) fn lock_none(&mut self, scope: Scope) -> Txn<'_> {
        self.release();
        self.listen();
        Txn::new(self.keyspace, (Guards::None, &mut self.effects), LockedKey::NONE, scope)
    }

    pub(super) fn lock_one(&mut self, index: usize, scope: Scope) -> Txn<'_> {
        let keyspace = self.keyspace;
        let (shard, effects) = self.hold(index);
        let guards = Guards::One(index, shard);
        Txn::new(keyspace, (guards, effects), LockedKey::NONE, scope)
    }

    fn hold(&mut self, index: usize) -> (&mut Shard, &mut Effects) {
        if self.held.as_ref().is_none_or(|(held, _)| *held != index) {
            self.release();
            self.held = Some((index, self.keyspace.lock_shard(index)));
            self.listen();
        }
        match &mut self.held {
            Some((_, shard)) => (shard, &mut self.effects),
            None => unreachable!("the shard was locked above"),
        }
    }

    pub(super) fn lock_ascending(
        &mut self,
        indices: impl Iterator<Item = usize>,
        scope: Scope,
    ) -> Txn<'_> {
        self.release();
        let several = Several::lock(self.keyspace, indices);
        self.take_several(several, scope)
    }

    /// Nothing else is held.
    pub(super) fn take_several(&mut self, several: Several<'a>, scope: Scope) -> Txn<'_> {
        self.listen();
        let guards = Guards::Several(several);
        Txn::new(self.keyspace, (guards, &mut self.effects), LockedKey::NONE, scope)
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.release();
    }
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

impl Keyspace {
    /// Brings the places of these keys into the processor's caches, all at the same time.
    ///
    /// Looking one key up after the other, each look-up waits for memory on its own. Here nothing
    /// depends on what is read, so that the waits overlap. It is only a hint: a shard that somebody
    /// else holds is passed over, and whether keys are there is not told. `hashes` is room to work in.
    pub(crate) fn warm<'k>(
        &self,
        keys: impl Iterator<Item = &'k [u8]>,
        database: usize,
        hashes: &mut Vec<u64>,
    ) {
        hashes.clear();
        hashes.extend(keys.map(|key| self.hash(key)));
        let mut shards = [const { None }; MOST_WARMED];
        for (locked, shard) in shards.iter_mut().zip(&self.shards) {
            *locked = shard.0.try_lock().ok();
        }
        let database = |hash| {
            let shard = shards.get(self.shard_of(hash)).and_then(Option::as_ref);
            shard.and_then(|shard| shard.database(database))
        };
        for &hash in &*hashes {
            database(hash).inspect(|database| database.prefetch_home(hash));
        }
        for &hash in &*hashes {
            database(hash).inspect(|database| database.prefetch_entry(hash));
        }
    }
}

impl<'a> Txn<'a> {
    fn new(
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
        self.effects.end_unit();
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

    /// From here on, looking at an entry counts as using it, whatever the client asked for.
    pub(crate) const fn note_usage(&mut self) {
        self.uses = Uses::Noted;
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

    /// Changes a value in place, with memory of its own from now on. The caller says with `touch`
    /// that it did.
    pub(crate) fn change<R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut Value) -> R,
    ) -> Option<R> {
        let (hash, uses, now_ms) = (self.hash(key), self.uses, self.now_ms);
        let mut slice = self.slice(hash);
        let found = slice.find(hash, key)?;
        slice.database.note_use(found, |usage| uses.note(usage, now_ms));
        Some(slice.change(found).change_value(found, change))
    }

    /// Changes a value in place that has memory of its own, as all but short texts have.
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

    /// Stores a value under a key, with this deadline or none.
    pub(crate) fn put<'v>(
        &mut self,
        key: &[u8],
        value: impl Into<Content<'v>>,
        deadline_ms: Option<i64>,
    ) {
        let (hash, usage) = (self.hash(key), Usage::fresh(self.now_ms));
        let draft = Draft { key, content: value.into(), deadline_ms, usage };
        self.slice(hash).put(hash, draft);
    }

    /// Stores a value and keeps the deadline that the key has.
    pub(crate) fn put_keeping_deadline<'v>(&mut self, key: &[u8], value: impl Into<Content<'v>>) {
        let (hash, usage) = (self.hash(key), Usage::fresh(self.now_ms));
        let mut slice = self.slice(hash);
        let found = slice.find(hash, key);
        let deadline_ms = found.and_then(|found| slice.database.get(found).deadline_ms());
        slice.store(hash, found, Draft { key, content: value.into(), deadline_ms, usage });
    }

    /// Stores what an entry holds under another key, with its deadline. As a key it has not been used yet.
    pub(crate) fn put_kept(&mut self, key: &[u8], mut kept: Kept) {
        let (hash, usage) = (self.hash(key), Usage::fresh(self.now_ms));
        self.slice(hash).put(hash, Draft { key, usage, ..kept.draft() });
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
    fn prefetch(&mut self, hashes: &[u64]) {
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

/// A database in one shard, and what is counted there.
struct Slice<'t> {
    database: &'t mut Database,
    number: usize,
    counters: &'t mut Counters,
    interest: Option<&'t Interest>,
    locked_key: &'t mut LockedKey,
    expiry_ms: i64,
    notes: &'t mut Notes,
    effects: &'t mut Effects,
    ready: &'t mut Vec<Ready>,
}

impl Slice<'_> {
    /// Where the key is, if it is there; removes it if its time is over.
    fn find(&mut self, hash: u64, key: &[u8]) -> Option<Found> {
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
    fn note_ready(&mut self, key: &[u8]) {
        let is_awaited = |interest: &Interest| interest.waiting.is_awaited(self.number, key);
        if self.interest.is_some_and(is_awaited) {
            let place = (self.number, Box::from(key));
            if !self.ready.contains(&place) {
                self.ready.push(place);
            }
        }
    }

    fn note_miss(&mut self, key: &[u8]) {
        self.counters.misses += 1;
        self.notes.event(EventClass::MISS, "keymiss", self.number, key);
    }

    fn note_change(&mut self, key: &[u8]) {
        if let Some(interest) = self.interest {
            interest.watches.touch(self.number, key);
        }
        self.notes.changed(key);
    }

    /// The database, for an entry of it to be changed: what was known of places is no longer certain.
    fn change(&mut self, found: Found) -> &mut Database {
        self.locked_key.place = Place::Unknown;
        self.preserve(found);
        self.database
    }

    fn add(&mut self, hash: u64, draft: Draft<'_>) {
        self.locked_key.place = Place::Unknown;
        self.database.insert(hash, draft);
    }

    /// An entry is about to change: a snapshot that is on its way gets it as it is.
    fn preserve(&mut self, found: Found) {
        if self.database.walk.is_some() {
            self.database.preserve(found);
        }
    }

    /// Stores an entry, whatever is there under its key.
    fn put(&mut self, hash: u64, draft: Draft<'_>) {
        let found = match self.locked_key.place {
            Place::None if self.locked_key.is(draft.key) => None,
            Place::At(found) if self.locked_key.is(draft.key) => Some(found),
            _ => self.find(hash, draft.key),
        };
        self.store(hash, found, draft);
    }

    fn store(&mut self, hash: u64, found: Option<Found>, draft: Draft<'_>) {
        self.note_change(draft.key);
        self.note_ready(draft.key);
        if found.is_none() {
            self.notes.event(EventClass::NEW, "new", self.number, draft.key);
        }
        match found {
            Some(found) => self.change(found).replace(found, draft),
            None => self.add(hash, draft),
        }
    }
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
