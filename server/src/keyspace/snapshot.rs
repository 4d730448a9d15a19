//! The keyspace as it was at one moment, written down while it changes.
//!
//! A bit in each entry says whether the present snapshot is done with it: because it has been written down, or because
//! it is newer than the snapshot. What the bit has to be for that changes with each snapshot, so that at its beginning
//! no entry is done with, without one being touched. From then on two go about: whoever changes an entry that is not done
//! with writes it down as it is before; and the walk takes what nobody has changed, a few entries at a time.
//!
//! A large value is not written down on the spot: what stays as it is shares the value's memory, and is written by who
//! writes the file.
//!
//! Nobody waits for the whole, and no memory is needed for what has not been written to its file yet.

use super::entries::Entries;
use super::shard::{Database, Shard};
use super::{Keyspace, Run, Scope, Txn, Uses};
use crate::journal::rdb::{Chunk, Form, Size};
use crate::storage::{Found, Handle};

/// What the present snapshot still has to do with a database.
#[derive(Debug)]
pub(super) struct Walk {
    /// Which database it was when the snapshot began.
    number: usize,
    /// How far the walk has come; nothing once the snapshot is done with all that is there.
    cursor: Option<u64>,
    /// What was written down ahead of changes.
    changed: Chunk,
    /// What was in the database's place before it was emptied.
    retired: Vec<Database>,
    /// Whether nobody wants the rest of it.
    is_abandoned: bool,
}

/// What one step of the walk has brought.
pub(crate) struct Strides {
    pub(crate) chunk: Chunk,
    pub(crate) is_done: bool,
}

/// Whether to stop for now: others want at the shard.
pub(crate) type Enough<'a> = &'a dyn Fn() -> bool;

impl Txn<'_> {
    /// Begins a snapshot of what is there now. All shards are held, and there is no other snapshot.
    pub(crate) fn begin_snapshot(&mut self, form: Form) -> Vec<Size> {
        self.for_each_shard(|shard| shard.begin_snapshot(form));
        self.sizes()
    }

    /// How many keys there are in databases that have any.
    pub(crate) fn sizes(&self) -> Vec<Size> {
        let figures = self.all_figures().into_iter().enumerate();
        let sizes = figures.map(|(database, found)| Size {
            database,
            keys: found.keys,
            volatile: found.volatile,
        });
        sizes.filter(|size| size.keys > 0).collect()
    }

    /// Writes everything down at once, beside a snapshot that may be on its way. `sink` takes chunks as they fill.
    pub(crate) fn write_all<E>(
        &self,
        form: Form,
        mut sink: impl FnMut(Chunk) -> Result<(), E>,
    ) -> Result<(), E> {
        const FULL: usize = 1 << 20;
        let mut chunk = Chunk::new(form);
        for number in 0..self.keyspace.databases() {
            for database in self.shards().filter_map(|shard| shard.database(number)) {
                for entry in database.iter() {
                    chunk.add(number, entry);
                    if chunk.len() >= FULL {
                        sink(chunk.take())?;
                    }
                }
            }
        }
        sink(chunk)
    }
}

impl Keyspace {
    /// Goes on with the snapshot in one shard, until there is enough. What was written down ahead of changes comes along.
    pub(crate) fn walk(&self, shard: usize, enough: Enough<'_>) -> Strides {
        let mut run = Run::new(self);
        let scope = Scope { database: 0, now_ms: i64::MIN, uses: Uses::Ignored };
        let mut txn = run.lock_one(shard, scope);
        let shard = txn.sole_shard_mut().expect("one shard was locked");
        shard.walk(enough)
    }

    pub(crate) const fn count_shards(&self) -> usize {
        self.shards.len()
    }

    /// Nobody wants the snapshot any more. The walk goes on to its end, with nothing to write down.
    pub(crate) fn abandon_snapshot(&self) {
        for index in 0..self.shards.len() {
            self.lock_shard(index).databases_mut().iter_mut().for_each(Database::abandon);
        }
    }
}

impl Shard {
    fn begin_snapshot(&mut self, form: Form) {
        for (number, database) in self.databases_mut().iter_mut().enumerate() {
            database.begin_walk(number, form);
        }
    }

    fn walk(&mut self, enough: Enough<'_>) -> Strides {
        let (mut chunk, mut is_done) = (Chunk::default(), true);
        for database in self.databases_mut() {
            is_done &= database.walk_on(&mut chunk, enough);
        }
        Strides { chunk, is_done }
    }
}

impl Database {
    fn begin_walk(&mut self, number: usize, form: Form) {
        self.entries.begin_epoch();
        let changed = Chunk::new(form);
        let (cursor, retired, is_abandoned) = (Some(0), Vec::new(), false);
        self.walk = Some(Box::new(Walk { number, cursor, changed, retired, is_abandoned }));
    }

    /// Takes the place of a database that is emptied, of which the snapshot may still want what was there.
    pub(super) fn succeed(&mut self, mut emptied: Database) {
        let Some(mut walk) = emptied.walk.take() else {
            return;
        };
        let mut retired = std::mem::take(&mut walk.retired);
        let (number, is_abandoned) = (walk.number, walk.is_abandoned);
        let changed = walk.changed.take();
        if walk.cursor.is_some() {
            emptied.walk = Some(walk);
            retired.push(emptied);
        }
        let cursor = None;
        self.walk = Some(Box::new(Walk { number, cursor, changed, retired, is_abandoned }));
    }

    /// Writes an entry down as it is, unless the snapshot is done with it.
    pub(super) fn preserve(&mut self, found: Found) {
        if let Some(walk) = &mut self.walk
            && walk.cursor.is_some()
        {
            walk.take_stride(&mut self.entries, &mut self.bytes, found.item);
        }
    }

    /// Goes on with the walk, and gives what it has brought; whether it is at its end.
    fn walk_on(&mut self, chunk: &mut Chunk, enough: Enough<'_>) -> bool {
        let Database { table, entries, walk, bytes, .. } = self;
        let Some(present) = walk else {
            return true;
        };
        while let Some(database) = present.retired.last_mut() {
            if !database.walk_on(chunk, enough) {
                return false;
            }
            present.retired.pop();
        }
        let mut handles = Vec::new();
        while let Some(cursor) = present.cursor
            && !enough()
        {
            let next = table.scan(cursor, entries, |handle| handles.push(handle));
            handles.drain(..).for_each(|handle| present.take_stride(entries, bytes, handle));
            present.cursor = Some(next).filter(|&next| next != 0);
        }
        chunk.append(present.changed.take());
        let is_done = present.cursor.is_none();
        if is_done {
            *walk = None;
        }
        is_done
    }

    fn abandon(&mut self) {
        if let Some(walk) = &mut self.walk {
            walk.is_abandoned = true;
            walk.changed.take();
            walk.retired.clear();
        }
    }
}

impl Walk {
    /// Is done with an entry, whose database has so many bytes, if it is not yet.
    fn take_stride(&mut self, entries: &mut Entries, bytes: &mut usize, handle: Handle) {
        if entries.is_done_with(handle) {
            return;
        }
        if !self.is_abandoned {
            match entries.still(handle, bytes) {
                Some(kept) => self.changed.add_large(self.number, kept),
                None => self.changed.add(self.number, entries.get(handle)),
            }
        }
        entries.be_done_with(handle);
    }
}
