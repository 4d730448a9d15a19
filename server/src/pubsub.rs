//! Who is subscribed to what, and handing messages over.
//!
//! All subscribers of a channel get its messages in the same order: one lock is held while a
//! message is left with everybody who gets it. It is encoded once for each protocol.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use crate::clients::{Client, ClientFlags};
use crate::config::OutputLimit;
use crate::random::Random;
use crate::resp::{Output, Protocol, Reply};
use crate::value::glob;

/// What a name that a client subscribes to means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Channel,
    Pattern,
    /// Channels of their own, which a cluster would keep with the keys of that name.
    Shard,
}

/// What one client is subscribed to.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    channels: BTreeSet<Bytes>,
    patterns: BTreeSet<Bytes>,
    shard: BTreeSet<Bytes>,
    are_any: bool,
}

/// By their ids, so that they are served in the order in which they came.
type Group = BTreeMap<u64, Arc<Client>>;
type Channels = HashMap<Bytes, Group, ahash::RandomState>;

#[derive(Debug)]
pub(crate) struct PubSub {
    subscribers: Mutex<Subscribers>,
    /// How many channels and patterns there are: without any, a message needs no lock.
    names: AtomicUsize,
}

#[derive(Debug)]
struct Subscribers {
    channels: Channels,
    shard: Channels,
    patterns: Patterns,
}

/// Patterns, in the order in which they were first subscribed to.
#[derive(Debug)]
struct Patterns {
    places: HashMap<Bytes, u64, ahash::RandomState>,
    groups: BTreeMap<u64, (Bytes, Group)>,
    last_place: u64,
}

/// How many names of each kind somebody is subscribed to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) channels: usize,
    pub(crate) patterns: usize,
    pub(crate) shard: usize,
}

impl Subscriptions {
    pub(crate) const fn are_any(&self) -> bool {
        self.are_any
    }

    /// The number that a client is told: channels and patterns count together.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Channel | Kind::Pattern => self.channels.len() + self.patterns.len(),
            Kind::Shard => self.shard.len(),
        }
    }

    pub(crate) fn names(&self, kind: Kind) -> &BTreeSet<Bytes> {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::Shard => &self.shard,
        }
    }

    fn names_mut(&mut self, kind: Kind) -> &mut BTreeSet<Bytes> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shard,
        }
    }

    /// Lets others see what it is subscribed to.
    fn show(&mut self, client: &Client) {
        let counts = [self.channels.len(), self.patterns.len(), self.shard.len()];
        self.are_any = counts.iter().any(|&count| count > 0);
        for (seen, count) in client.seen.subscriptions.iter().zip(counts) {
            seen.store(count, Ordering::Relaxed);
        }
        if self.are_any() {
            client.raise(ClientFlags::PUBSUB);
        } else {
            client.lower(ClientFlags::PUBSUB);
        }
    }
}

impl PubSub {
    pub(crate) fn new(random: &Random) -> Self {
        let seed = || random.next();
        let hasher = ahash::RandomState::with_seeds(seed(), seed(), seed(), seed());
        let subscribers = Subscribers {
            channels: HashMap::with_hasher(hasher.clone()),
            shard: HashMap::with_hasher(hasher.clone()),
            patterns: Patterns {
                places: HashMap::with_hasher(hasher),
                groups: BTreeMap::new(),
                last_place: 0,
            },
        };
        PubSub { subscribers: Mutex::new(subscribers), names: AtomicUsize::new(0) }
    }

    /// Whether anybody is subscribed to anything.
    pub(crate) fn are_any(&self) -> bool {
        self.names.load(Ordering::Acquire) > 0
    }

    pub(crate) fn subscribe(
        &self,
        own: &mut Subscriptions,
        client: &Arc<Client>,
        kind: Kind,
        name: &[u8],
    ) {
        if own.names(kind).contains(name) {
            return;
        }
        let name = Bytes::copy_from_slice(name);
        own.names_mut(kind).insert(name.clone());
        let mut subscribers = self.lock();
        subscribers.group(kind, name).insert(client.id, Arc::clone(client));
        self.count(&subscribers);
        own.show(client);
    }

    pub(crate) fn unsubscribe(
        &self,
        own: &mut Subscriptions,
        client: &Client,
        kind: Kind,
        name: &[u8],
    ) {
        if own.names_mut(kind).remove(name) {
            let mut subscribers = self.lock();
            subscribers.remove(kind, name, client.id);
            self.count(&subscribers);
            own.show(client);
        }
    }

    /// Ends all subscriptions of a client.
    pub(crate) fn forget(&self, own: &mut Subscriptions, client: &Client) {
        if own.are_any() {
            let mut subscribers = self.lock();
            for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
                for name in std::mem::take(own.names_mut(kind)) {
                    subscribers.remove(kind, &name, client.id);
                }
            }
            self.count(&subscribers);
            own.show(client);
        }
    }

    /// Leaves a message with everybody who gets it; how many there are.
    pub(crate) fn publish(
        &self,
        kind: Kind,
        channel: &[u8],
        payload: &[u8],
        limit: OutputLimit,
        now_ms: i64,
    ) -> usize {
        if !self.are_any() {
            return 0;
        }
        let subscribers = self.lock();
        if kind == Kind::Shard {
            let group = subscribers.shard.get(channel);
            return post(group, &mut Message::new(&[b"smessage", channel, payload]), limit, now_ms);
        }
        let group = subscribers.channels.get(channel);
        let parts: [&[u8]; 3] = [b"message", channel, payload];
        let mut count = post(group, &mut Message::new(&parts), limit, now_ms);
        for (pattern, group) in subscribers.patterns.groups.values() {
            if glob::matches(pattern, channel) {
                let parts: [&[u8]; 4] = [b"pmessage", pattern, channel, payload];
                count += post(Some(group), &mut Message::new(&parts), limit, now_ms);
            }
        }
        count
    }

    /// The channels that somebody is subscribed to, those that match a pattern if there is one.
    pub(crate) fn channels(&self, kind: Kind, pattern: Option<&[u8]>) -> Vec<Bytes> {
        let subscribers = self.lock();
        let channels = subscribers.channels(kind).keys();
        let fits = |name: &&Bytes| pattern.is_none_or(|pattern| glob::matches(pattern, name));
        channels.filter(fits).cloned().collect()
    }

    /// How many clients are subscribed to a channel by its name.
    pub(crate) fn subscribers(&self, kind: Kind, channel: &[u8]) -> usize {
        self.lock().channels(kind).get(channel).map_or(0, Group::len)
    }

    pub(crate) fn totals(&self) -> Totals {
        let subscribers = self.lock();
        Totals {
            channels: subscribers.channels.len(),
            patterns: subscribers.patterns.groups.len(),
            shard: subscribers.shard.len(),
        }
    }

    fn count(&self, subscribers: &Subscribers) {
        let Subscribers { channels, shard, patterns } = subscribers;
        let names = channels.len() + shard.len() + patterns.groups.len();
        self.names.store(names, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Subscribers> {
        self.subscribers.lock().expect("nothing panics while it holds the subscribers")
    }
}

impl Subscribers {
    fn channels(&self, kind: Kind) -> &Channels {
        if kind == Kind::Shard { &self.shard } else { &self.channels }
    }

    fn group(&mut self, kind: Kind, name: Bytes) -> &mut Group {
        match kind {
            Kind::Channel => self.channels.entry(name).or_default(),
            Kind::Shard => self.shard.entry(name).or_default(),
            Kind::Pattern => self.patterns.group(name),
        }
    }

    fn remove(&mut self, kind: Kind, name: &[u8], id: u64) {
        let channels = match kind {
            Kind::Channel => &mut self.channels,
            Kind::Shard => &mut self.shard,
            Kind::Pattern => return self.patterns.remove(name, id),
        };
        if let Some(group) = channels.get_mut(name) {
            group.remove(&id);
            if group.is_empty() {
                channels.remove(name);
            }
        }
    }
}

impl Patterns {
    fn group(&mut self, name: Bytes) -> &mut Group {
        let place = *self.places.entry(name.clone()).or_insert_with(|| {
            self.last_place += 1;
            self.last_place
        });
        &mut self.groups.entry(place).or_insert_with(|| (name, Group::new())).1
    }

    fn remove(&mut self, name: &[u8], id: u64) {
        let Some(place) = self.places.get(name) else {
            return;
        };
        let group = self.groups.get_mut(place).map(|(_, group)| group);
        let is_empty = group.is_some_and(|group| {
            group.remove(&id);
            group.is_empty()
        });
        if is_empty {
            self.groups.remove(place);
            self.places.remove(name);
        }
    }
}

fn post(
    group: Option<&Group>,
    message: &mut Message<'_>,
    limit: OutputLimit,
    now_ms: i64,
) -> usize {
    let group = group.into_iter().flat_map(Group::values);
    group.filter(|client| client.post(message.encoded(client), limit, now_ms)).count()
}

/// A message, encoded for each protocol when it is first needed.
struct Message<'m> {
    parts: &'m [&'m [u8]],
    encoded: [Option<Bytes>; 2],
}

impl<'m> Message<'m> {
    const fn new(parts: &'m [&'m [u8]]) -> Self {
        Message { parts, encoded: [None, None] }
    }

    fn encoded(&mut self, client: &Client) -> Bytes {
        let protocol = client.seen.protocol();
        let at = usize::from(protocol == Protocol::Resp3);
        let parts = self.parts;
        let encode = || {
            let mut output = Output::default();
            let mut reply = Reply::new(&mut output, protocol);
            reply.push(parts.len());
            for part in parts {
                reply.bulk(part);
            }
            output.take()
        };
        self.encoded[at].get_or_insert_with(encode).clone()
    }
}
