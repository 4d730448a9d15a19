//! Consumer groups: how far each has come, and what its consumers have not acknowledged yet.

use std::collections::{BTreeMap, BTreeSet};

use super::{Id, IdRange, Log};

/// The groups of a stream, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Groups {
    by_name: BTreeMap<Box<[u8]>, Group>,
    heap_bytes: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// The last entry that was delivered.
    pub(crate) last_id: Id,
    /// How many entries were ever read, of all that were added; if it is known.
    pub(crate) read: Option<i64>,
    pending: BTreeMap<Id, Pending>,
    consumers: Vec<Option<Consumer>>,
    /// Places that nobody has any more.
    vacant: Vec<ConsumerNumber>,
    /// Of the names of consumers.
    name_bytes: usize,
    /// The places of consumers, in the order of their names.
    by_name: BTreeMap<Box<[u8]>, ConsumerNumber>,
}

/// A consumer's place in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConsumerNumber(u32);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Consumer {
    pub(crate) name: Box<[u8]>,
    /// When it last asked for something, and when it last got something.
    pub(crate) seen_ms: i64,
    pub(crate) active_ms: Option<i64>,
    pending: BTreeSet<Id>,
}

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) consumer: ConsumerNumber,
    pub(crate) delivered_ms: i64,
    pub(crate) deliveries: i64,
}

impl Pending {
    pub(crate) const fn idle_ms(&self, now_ms: i64) -> i64 {
        now_ms.wrapping_sub(self.delivered_ms)
    }
}

/// What things take in the trees that hold them, about.
const ONE_GROUP: usize = size_of::<Group>() * 3 / 2 + 48;
const ONE_CONSUMER: usize = size_of::<Option<Consumer>>() + 80;
const ONE_PENDING: usize = (2 * size_of::<Id>() + size_of::<Pending>()) * 7 / 4;

impl Groups {
    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(crate) const fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<&Group> {
        self.by_name.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Group)> {
        self.by_name.iter().map(|(name, group)| (&**name, group))
    }

    /// Adds a group; false if there is one of this name.
    pub(crate) fn add(&mut self, name: &[u8], group: Group) -> bool {
        if self.by_name.contains_key(name) {
            return false;
        }
        self.heap_bytes += ONE_GROUP + name.len() + group.heap_bytes();
        self.by_name.insert(name.into(), group);
        true
    }

    /// Removes a group; whether it was there.
    pub(crate) fn remove(&mut self, name: &[u8]) -> bool {
        let Some(group) = self.by_name.remove(name) else {
            return false;
        };
        self.heap_bytes -= ONE_GROUP + name.len() + group.heap_bytes();
        true
    }

    /// Changes consumers in ways that take no memory, in the order of groups and of their names.
    pub(crate) fn for_each_consumer(&mut self, mut change: impl FnMut(&mut Consumer)) {
        for group in self.by_name.values_mut() {
            for number in group.by_name.values() {
                group.consumers[number.0 as usize].iter_mut().for_each(&mut change);
            }
        }
    }

    /// Changes a group, if it is there.
    pub(crate) fn change<R>(
        &mut self,
        name: &[u8],
        change: impl FnOnce(&mut Group) -> R,
    ) -> Option<R> {
        let group = self.by_name.get_mut(name)?;
        let before = group.heap_bytes();
        let result = change(group);
        self.heap_bytes = self.heap_bytes + group.heap_bytes() - before;
        Some(result)
    }
}

impl Group {
    pub(crate) const fn new(last_id: Id, read: Option<i64>) -> Self {
        Group {
            last_id,
            read,
            pending: BTreeMap::new(),
            consumers: Vec::new(),
            vacant: Vec::new(),
            name_bytes: 0,
            by_name: BTreeMap::new(),
        }
    }

    fn heap_bytes(&self) -> usize {
        let names = 2 * self.name_bytes;
        names + self.consumers.len() * ONE_CONSUMER + self.pending.len() * ONE_PENDING
    }

    pub(crate) fn count_consumers(&self) -> usize {
        self.by_name.len()
    }

    /// In the order of their names.
    pub(crate) fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.by_name.values().map(|&number| self.consumer(number))
    }

    pub(crate) fn find_consumer(&self, name: &[u8]) -> Option<ConsumerNumber> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn consumer(&self, number: ConsumerNumber) -> &Consumer {
        self.consumers[number.0 as usize].as_ref().expect(CONSUMER_IS_THERE)
    }

    pub(crate) fn consumer_mut(&mut self, number: ConsumerNumber) -> &mut Consumer {
        self.consumers[number.0 as usize].as_mut().expect(CONSUMER_IS_THERE)
    }

    /// Adds a consumer, if there is none of this name.
    pub(crate) fn add_consumer(&mut self, name: &[u8], now_ms: i64) -> Option<ConsumerNumber> {
        if self.by_name.contains_key(name) {
            return None;
        }
        let number = self.vacant.pop().unwrap_or(ConsumerNumber(self.consumers.len() as u32));
        let consumer = Consumer {
            name: name.into(),
            seen_ms: now_ms,
            active_ms: None,
            pending: BTreeSet::new(),
        };
        match self.consumers.get_mut(number.0 as usize) {
            Some(place) => *place = Some(consumer),
            None => self.consumers.push(Some(consumer)),
        }
        self.name_bytes += name.len();
        self.by_name.insert(name.into(), number);
        Some(number)
    }

    /// The consumer of this name, and whether it had to be added.
    pub(crate) fn find_or_add_consumer(
        &mut self,
        name: &[u8],
        now_ms: i64,
    ) -> (ConsumerNumber, bool) {
        if let Some(number) = self.find_consumer(name) {
            return (number, false);
        }
        (self.add_consumer(name, now_ms).expect("there is none of this name"), true)
    }

    /// Removes a consumer with what is pending with it; how much that was.
    pub(crate) fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let number = self.by_name.remove(name)?;
        let consumer = self.consumers[number.0 as usize].take().expect(CONSUMER_IS_THERE);
        self.vacant.push(number);
        self.name_bytes -= name.len();
        for id in &consumer.pending {
            self.pending.remove(id);
        }
        Some(consumer.pending.len())
    }

    pub(crate) fn count_pending(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn pending(&self, id: Id) -> Option<Pending> {
        self.pending.get(&id).copied()
    }

    /// What is pending in a range, in the order of ids.
    pub(crate) fn pending_in(
        &self,
        range: IdRange,
    ) -> impl DoubleEndedIterator<Item = (Id, Pending)> {
        let found = (!range.is_empty()).then(|| self.pending.range(range.first..=range.last));
        found.into_iter().flatten().map(|(&id, &pending)| (id, pending))
    }

    /// The first entry from an id on that is pending.
    pub(crate) fn next_pending(&self, from: Id) -> Option<(Id, Pending)> {
        self.pending.range(from..).next().map(|(&id, &pending)| (id, pending))
    }

    /// The same for one consumer.
    pub(crate) fn pending_with(
        &self,
        consumer: ConsumerNumber,
        range: IdRange,
    ) -> impl Iterator<Item = (Id, Pending)> {
        let ids = &self.consumer(consumer).pending;
        let found = (!range.is_empty()).then(|| ids.range(range.first..=range.last));
        found.into_iter().flatten().map(|&id| (id, self.pending[&id]))
    }

    /// Notes that an entry behind all that were read so far is read.
    pub(crate) fn note_read(&mut self, log: &Log, id: Id) {
        let before = std::mem::replace(&mut self.last_id, id);
        let is_certain = before >= log.first_id() && !log.has_gap_from(before);
        self.read = match self.read {
            Some(read) if is_certain => Some(read.wrapping_add(1)),
            read if log.history.added == 0 => read,
            _ => log.added_until(id).map(|added| added as i64),
        };
    }

    /// Has an entry be pending with this consumer, whoever had it before.
    pub(crate) fn assign(&mut self, id: Id, pending: Pending) {
        let before = self.pending.insert(id, pending);
        let before = before.map(|before| before.consumer);
        if before != Some(pending.consumer) {
            if let Some(before) = before {
                self.consumer_mut(before).pending.remove(&id);
            }
            self.consumer_mut(pending.consumer).pending.insert(id);
        }
    }

    /// Changes how an entry was delivered that is pending.
    pub(crate) fn note_delivery(&mut self, id: Id, now_ms: i64) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.delivered_ms = now_ms;
            pending.deliveries = pending.deliveries.wrapping_add(1);
        }
    }

    /// Has an entry be pending no more; whether it was.
    pub(crate) fn acknowledge(&mut self, id: Id) -> bool {
        let Some(pending) = self.pending.remove(&id) else {
            return false;
        };
        self.consumer_mut(pending.consumer).pending.remove(&id);
        true
    }
}

/// Consumers may have different numbers.
impl PartialEq for Group {
    fn eq(&self, other: &Self) -> bool {
        let owners = |group: &'_ Self| -> Vec<(Id, i64, i64)> {
            let pending = group.pending.iter();
            pending.map(|(id, pending)| (*id, pending.delivered_ms, pending.deliveries)).collect()
        };
        let is_same_progress = self.last_id == other.last_id && self.read == other.read;
        is_same_progress && owners(self) == owners(other) && self.consumers().eq(other.consumers())
    }
}

const CONSUMER_IS_THERE: &str = "a number stands for a consumer until that is removed";

impl Consumer {
    /// In the order of ids.
    pub(crate) fn pending(&self) -> impl Iterator<Item = Id> {
        self.pending.iter().copied()
    }

    pub(crate) fn count_pending(&self) -> usize {
        self.pending.len()
    }
}
