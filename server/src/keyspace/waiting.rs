//! Who waits for which keys of a shard, in the order that they came.
//!
//! A shard knows what lies in it, and so its lock protects who waits for it, too: between the look
//! at a key that is not there and the place in its queue nobody can put something there.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Keyspace;
use super::holding::{Holder, Several};
use super::run::Run;
use super::shard::Shard;
use super::txn::{Scope, Txn};

/// A place in the queues of some keys.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) number: u64,
    /// The client that waits.
    pub(crate) client: u64,
    pub(crate) database: usize,
    /// The keys that are waited for.
    pub(crate) keys: Box<[Box<[u8]>]>,
    /// Its place in the queue of each key: the lower, the earlier it is served.
    places: Box<[AtomicU64]>,
    pub(crate) awaited: Awaited,
    /// The shards of all keys that the one who waits will use, ascending.
    shards: Box<[usize]>,
}

/// A key with the database that it is in.
pub(crate) type Place = (usize, Box<[u8]>);

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Awaited {
    /// What a key has to hold, as `TYPE` says it.
    pub(crate) kind: &'static str,
    /// Whether a wait may also end because a key holds something else, or nothing any more.
    pub(crate) minds_loss: bool,
}

impl Ticket {
    /// The keys, each with the place in its queue. Places are only changed while the keys are held.
    fn queues(&self) -> impl Iterator<Item = (&[u8], u64)> {
        let places = self.places.iter().map(|place| place.load(Ordering::Relaxed));
        self.keys.iter().map(|key| &**key).zip(places)
    }
}

/// What a shard knows of those who wait for its keys.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// By key and database.
    queues: HashMap<Box<[u8]>, BTreeMap<usize, Queue>>,
    /// The shards that must be held to serve whoever waits here, and for how many.
    reach: BTreeMap<usize, usize>,
}

#[derive(Debug, Default)]
struct Queue {
    tickets: BTreeMap<u64, Arc<Ticket>>,
    /// How many of those who wait mind if the key is gone.
    minding_loss: usize,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    pub(super) fn is_awaited(&self, database: usize, key: &[u8]) -> bool {
        self.queue(database, key).is_some()
    }

    fn queue(&self, database: usize, key: &[u8]) -> Option<&Queue> {
        self.queues.get(key)?.get(&database)
    }

    fn reaches_beyond(&self, index: usize) -> bool {
        self.reach.keys().any(|&shard| shard != index)
    }

    fn join(&mut self, key: &[u8], place: u64, ticket: &Arc<Ticket>) {
        let queue = self.queues.entry(key.into()).or_default().entry(ticket.database).or_default();
        if queue.tickets.insert(place, Arc::clone(ticket)).is_none() {
            queue.minding_loss += usize::from(ticket.awaited.minds_loss);
            for &shard in &ticket.shards {
                *self.reach.entry(shard).or_default() += 1;
            }
        }
    }

    fn leave(&mut self, key: &[u8], place: u64, ticket: &Ticket) {
        let Some(queues) = self.queues.get_mut(key) else {
            return;
        };
        let Some(queue) = queues.get_mut(&ticket.database) else {
            return;
        };
        if queue.tickets.remove(&place).is_none() {
            return;
        }
        queue.minding_loss -= usize::from(ticket.awaited.minds_loss);
        if queue.tickets.is_empty() {
            queues.remove(&ticket.database);
        }
        if queues.is_empty() {
            self.queues.remove(key);
        }
        for shard in &ticket.shards {
            let count = self.reach.get_mut(shard).expect("it was counted when it joined");
            *count -= 1;
            if *count == 0 {
                self.reach.remove(shard);
            }
        }
    }
}

impl Shard {
    /// Whether serving those who wait for this key may take other shards than this one.
    pub(super) fn reaches_beyond(&self, index: usize, key: &[u8]) -> bool {
        self.waiting().is_some_and(|waiting| {
            waiting.queues.contains_key(key) && waiting.reaches_beyond(index)
        })
    }

    /// The same, for whatever key.
    pub(super) fn any_reaches_beyond(&self, index: usize) -> bool {
        self.waiting().is_some_and(|waiting| waiting.reaches_beyond(index))
    }

    fn leave(&mut self, key: &[u8], place: u64, ticket: &Ticket) {
        self.change_interest(|interest| interest.waiting.leave(key, place, ticket));
    }
}

/// Those who wait for keys that the transaction holds.
impl Txn<'_> {
    /// Whether anybody waits for anything in these shards.
    pub(crate) fn is_awaited(&self) -> bool {
        self.any_shard(|shard| shard.waiting().is_some_and(|waiting| !waiting.is_empty()))
    }

    /// A ticket for keys of the selected database, which the transaction holds, as it does the `others`
    /// that whoever waits will use.
    pub(crate) fn ticket<'k>(
        &self,
        (number, client): (u64, u64),
        awaited: Awaited,
        keys: impl Iterator<Item = &'k [u8]> + Clone,
        others: impl Iterator<Item = &'k [u8]>,
    ) -> Ticket {
        let mut shards: Vec<usize> =
            keys.clone().chain(others).map(|key| self.shard_of_key(key)).collect();
        shards.sort_unstable();
        shards.dedup();
        Ticket {
            number,
            client,
            database: self.database(),
            places: keys.clone().map(|_| AtomicU64::new(number)).collect(),
            keys: keys.map(Box::from).collect(),
            awaited,
            shards: shards.into(),
        }
    }

    /// Joins the queues of the ticket's keys.
    pub(crate) fn join(&mut self, ticket: &Arc<Ticket>) {
        for (key, place) in ticket.queues() {
            let shard = self.shard_of_key_mut(key);
            shard.interest.get_or_insert_default().waiting.join(key, place, ticket);
        }
    }

    pub(crate) fn leave(&mut self, ticket: &Ticket) {
        for (key, place) in ticket.queues() {
            self.shard_of_key_mut(key).leave(key, place, ticket);
        }
    }

    /// Goes to the end of all queues but that of one key: so it is for who was looked at there in
    /// vain.
    pub(crate) fn queue_anew(&mut self, ticket: &Arc<Ticket>, but: &[u8], end: u64) {
        for (at, (key, place)) in ticket.queues().enumerate() {
            if key != but {
                ticket.places[at].store(end, Ordering::Relaxed);
                let shard = self.shard_of_key_mut(key);
                shard.leave(key, place, ticket);
                shard.interest.get_or_insert_default().waiting.join(key, end, ticket);
            }
        }
    }

    /// Who waits for a key of the selected database, the first behind a place in its queue, and in
    /// which place.
    pub(crate) fn next_waiting(&self, key: &[u8], after: u64) -> Option<(u64, &Arc<Ticket>)> {
        let tickets = &self.queue(key)?.tickets;
        tickets.range(after + 1..).next().map(|(&place, ticket)| (place, ticket))
    }

    /// Whether anybody who waits for a key of the selected database minds if it is gone.
    pub(crate) fn is_loss_minded(&self, key: &[u8]) -> bool {
        self.queue(key).is_some_and(|queue| queue.minding_loss > 0)
    }

    fn queue(&self, key: &[u8]) -> Option<&Queue> {
        let index = self.shard_of_key(key);
        let (_, shard) = self.indexed_shards().find(|(held, _)| *held == index)?;
        shard.waiting()?.queue(self.database(), key)
    }

    /// The keys of a database that somebody waits for in the shards held.
    pub(super) fn awaited_keys(&self, database: usize) -> Vec<Box<[u8]>> {
        let waiting = self.shards().filter_map(Shard::waiting);
        let queues = waiting.flat_map(|waiting| &waiting.queues);
        let awaited = queues.filter(|(_, queues)| queues.contains_key(&database));
        awaited.map(|(key, _)| key.clone()).collect()
    }
}

/// The shards that must be held, beside those that are, to serve whoever waits in them.
fn lacking(several: &Several<'_>) -> Vec<usize> {
    let held = || (0..several.count()).map(|place| several.at(place));
    let waiting = held().filter_map(|(_, shard)| shard.waiting());
    let reach = waiting.flat_map(|waiting| waiting.reach.keys().copied());
    reach.filter(|shard| held().all(|(index, _)| index != *shard)).collect()
}

impl Run<'_> {
    /// Locks so many shards more than these that whoever waits in any of them can be served.
    ///
    /// Serving others belongs to the command that made it possible: nobody else may see what it has
    /// put there before.
    pub(super) fn lock_to_serve(&mut self, mut shards: Vec<usize>, scope: Scope) -> Txn<'_> {
        self.release();
        loop {
            shards.sort_unstable();
            shards.dedup();
            let several = Several::lock(self.keyspace(), shards.iter().copied());
            let lacking = lacking(&several);
            if lacking.is_empty() {
                return self.take_several(several, scope);
            }
            shards.extend(lacking);
        }
    }
}

impl Keyspace {
    /// Takes a ticket out of all queues, for a client that waits no longer.
    pub(crate) fn leave(&self, ticket: &Ticket) {
        for (at, key) in ticket.keys.iter().enumerate() {
            let index = self.shard_of(self.hash(key));
            // After a panic the server ends, and its queues with it.
            if let Ok(mut shard) = self.shards[index].0.lock() {
                shard.leave(key, ticket.places[at].load(Ordering::Relaxed), ticket);
            }
        }
    }
}
