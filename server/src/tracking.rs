//! Client-side caching: which clients have which keys in their caches, and telling them when a key
//! is no longer what it was.
//!
//! A client is told of each key that it has read, once, or of all keys with certain prefixes, all of
//! a cycle together. It is told itself, or another client in its place. Who asks for what is checked
//! in the commands; how messages reach a client is the mailboxes' affair.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bitflags::bitflags;
use bytes::Bytes;

use crate::clients::{Client, ClientFlags, Registry};
use crate::command::Registered;
use crate::config::OutputLimit;
use crate::random::Random;
use crate::resp::{Output, Protocol, Reply};

bitflags! {
    /// How keys are tracked for a client.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct Mode: u8 {
        /// By prefix, whatever the client has read.
        const BROADCAST = 1;
        /// Only what follows CLIENT CACHING.
        const OPT_IN = 1 << 1;
        /// All but what follows CLIENT CACHING.
        const OPT_OUT = 1 << 2;
        /// What the client itself changes is no news to it.
        const IGNORE_OWN = 1 << 3;
    }
}

/// What one client asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    pub(crate) mode: Mode,
    /// Who is told in place of the client.
    pub(crate) redirect: Option<u64>,
    pub(crate) prefixes: BTreeSet<Box<[u8]>>,
}

impl Choice {
    pub(crate) const fn has(&self, mode: Mode) -> bool {
        self.mode.contains(mode)
    }
}

/// What the client's own session knows.
#[derive(Debug, Default)]
pub(crate) struct Tracked {
    /// None while tracking is off.
    pub(crate) choice: Option<Choice>,
    /// CLIENT CACHING was said of the next command.
    pub(crate) is_exception: bool,
}

impl Tracked {
    /// A command has been dealt with. What was said of the next one holds through the container's
    /// own subcommands.
    #[inline]
    pub(crate) fn spend(&mut self, row: Option<&Registered>) {
        if self.is_exception {
            self.is_exception = row.is_some_and(|row| row.name.starts_with("client|"));
        }
    }

    /// Whether the keys that the present command reads are to be remembered.
    pub(crate) const fn remembers(&self) -> bool {
        match &self.choice {
            Some(choice) if choice.has(Mode::BROADCAST) => false,
            Some(choice) if choice.has(Mode::OPT_IN) => self.is_exception,
            Some(choice) if choice.has(Mode::OPT_OUT) => !self.is_exception,
            Some(_) => true,
            None => false,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Tracking {
    state: Mutex<State>,
    /// Whether anybody has to know what becomes of keys.
    is_needed: AtomicBool,
    /// Whether there is something to be told at the end of the cycle.
    is_pending: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// Who has read which keys, in whatever database. Clients that are gone are found out later.
    keys: HashMap<Box<[u8]>, BTreeSet<u64>, ahash::RandomState>,
    /// The pairs of keys and clients.
    items: usize,
    clients: BTreeMap<u64, Tracker>,
    prefixes: BTreeMap<Box<[u8]>, Prefix>,
}

/// A client that tracks.
#[derive(Debug)]
struct Tracker {
    client: Arc<Client>,
    choice: Choice,
}

#[derive(Debug, Default)]
struct Prefix {
    clients: BTreeSet<u64>,
    /// The keys that have changed in this cycle, and who changed them last.
    changed: BTreeMap<Box<[u8]>, Option<u64>>,
}

/// What `INFO` shows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) clients: usize,
    pub(crate) keys: usize,
    pub(crate) items: usize,
    pub(crate) prefixes: usize,
}

/// What is needed to reach clients.
#[derive(Clone, Copy)]
pub(crate) struct Post<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) limit: OutputLimit,
    pub(crate) now_ms: i64,
}

impl Tracking {
    pub(crate) fn new(random: &Random) -> Self {
        let seed = || random.next();
        let hasher = ahash::RandomState::with_seeds(seed(), seed(), seed(), seed());
        let state = State {
            keys: HashMap::with_hasher(hasher),
            items: 0,
            clients: BTreeMap::new(),
            prefixes: BTreeMap::new(),
        };
        let flag = || AtomicBool::new(false);
        Tracking { state: Mutex::new(state), is_needed: flag(), is_pending: flag() }
    }

    pub(crate) fn is_needed(&self) -> bool {
        self.is_needed.load(Ordering::Relaxed)
    }

    /// Begins to track for a client, or goes on in another way.
    pub(crate) fn start(&self, own: &mut Tracked, client: &Arc<Client>, choice: Choice) {
        let mut state = self.lock();
        for prefix in &choice.prefixes {
            state.prefixes.entry(prefix.clone()).or_default().clients.insert(client.id);
        }
        client.lower(ClientFlags::TRACKING_BROKEN);
        client.raise(ClientFlags::TRACKING);
        if choice.has(Mode::BROADCAST) {
            client.raise(ClientFlags::TRACKING_BROADCAST);
        }
        client.seen.redirect.store(choice.redirect.unwrap_or(0) as i64, Ordering::Relaxed);
        client.seen.prefixes.store(choice.prefixes.len(), Ordering::Relaxed);
        own.choice = Some(choice.clone());
        state.clients.insert(client.id, Tracker { client: Arc::clone(client), choice });
        self.note_need(&state);
    }

    /// Tracks for a client no longer. What it has read stays in the table until it changes.
    pub(crate) fn stop(&self, own: &mut Tracked, client: &Client) {
        own.is_exception = false;
        let Some(choice) = own.choice.take() else {
            return;
        };
        let mut state = self.lock();
        state.clients.remove(&client.id);
        for prefix in &choice.prefixes {
            let is_unused = state.prefixes.get_mut(prefix).is_some_and(|prefix| {
                prefix.clients.remove(&client.id);
                prefix.clients.is_empty()
            });
            if is_unused {
                state.prefixes.remove(prefix);
            }
        }
        let flags = ClientFlags::TRACKING
            .union(ClientFlags::TRACKING_BROKEN)
            .union(ClientFlags::TRACKING_BROADCAST);
        client.lower(flags);
        client.seen.redirect.store(-1, Ordering::Relaxed);
        client.seen.prefixes.store(0, Ordering::Relaxed);
        self.note_need(&state);
    }

    /// Notes that a client has read keys.
    pub(crate) fn remember<'k>(&self, client: u64, keys: impl Iterator<Item = &'k [u8]>) {
        let mut state = self.lock();
        for key in keys {
            let clients = match state.keys.get_mut(key) {
                Some(clients) => clients,
                None => state.keys.entry(key.into()).or_default(),
            };
            state.items += usize::from(clients.insert(client));
        }
        self.note_need(&state);
    }

    /// Tells whoever has a key in its cache that it has changed. `by` is the client that changed it.
    pub(crate) fn invalidate(&self, key: &[u8], by: Option<u64>, post: Post<'_>) {
        let mut state = self.lock();
        state.invalidate(key, by, post);
        for prefix in prefixes_of(&state.prefixes, key) {
            if let Some(prefix) = state.prefixes.get_mut(&prefix) {
                prefix.changed.insert(key.into(), by);
                self.is_pending.store(true, Ordering::Relaxed);
            }
        }
        self.note_need(&state);
    }

    /// Tells everybody that all keys are gone.
    pub(crate) fn invalidate_all(&self, post: Post<'_>) {
        let mut state = self.lock();
        state.keys.clear();
        state.items = 0;
        for tracker in state.clients.values() {
            tracker.tell(None, post);
        }
        self.note_need(&state);
    }

    /// Tells what has changed under prefixes since the last time.
    pub(crate) fn broadcast<'p>(&self, post: impl FnOnce() -> Post<'p>) {
        if !self.is_pending.load(Ordering::Relaxed) {
            return;
        }
        let post = post();
        let mut state = self.lock();
        self.is_pending.store(false, Ordering::Relaxed);
        let State { prefixes, clients, .. } = &mut *state;
        for prefix in prefixes.values_mut() {
            let changed = std::mem::take(&mut prefix.changed);
            let trackers = prefix.clients.iter().filter_map(|id| clients.get(id));
            for tracker in trackers {
                let own = Some(tracker.client.id).filter(|_| tracker.choice.has(Mode::IGNORE_OWN));
                let is_news = |by: &Option<u64>| own.is_none() || *by != own;
                let keys = changed.iter().filter(|(_, by)| is_news(by));
                let keys: Vec<&[u8]> = keys.map(|(key, _)| &**key).collect();
                if !keys.is_empty() {
                    tracker.tell(Some(&keys), post);
                }
            }
        }
    }

    /// Forgets keys beyond so many, and tells those who have them as if they had changed.
    pub(crate) fn limit(&self, most: usize, post: Post<'_>) {
        let mut state = self.lock();
        let surplus = state.keys.len().saturating_sub(most);
        if most == 0 || surplus == 0 {
            return;
        }
        let keys: Vec<Box<[u8]>> = state.keys.keys().take(surplus).cloned().collect();
        for key in keys {
            state.invalidate(&key, None, post);
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        let state = self.lock();
        Totals {
            clients: state.clients.len(),
            keys: state.keys.len(),
            items: state.items,
            prefixes: state.prefixes.len(),
        }
    }

    fn note_need(&self, state: &State) {
        let is_needed = !state.clients.is_empty() || !state.keys.is_empty();
        self.is_needed.store(is_needed, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it tracks keys")
    }
}

impl State {
    fn invalidate(&mut self, key: &[u8], by: Option<u64>, post: Post<'_>) {
        let Some(clients) = self.keys.remove(key) else {
            return;
        };
        self.items -= clients.len();
        for tracker in clients.iter().filter_map(|id| self.clients.get(id)) {
            let is_own = tracker.choice.has(Mode::IGNORE_OWN) && by == Some(tracker.client.id);
            if !tracker.choice.has(Mode::BROADCAST) && !is_own {
                tracker.tell(Some(&[key]), post);
            }
        }
    }
}

impl Tracker {
    /// Tells the client, or who is told in its place, of keys that are no longer what they were, or
    /// that none is.
    fn tell(&self, keys: Option<&[&[u8]]>, post: Post<'_>) {
        let Some(redirect) = self.choice.redirect else {
            if protocol(&self.client) == Protocol::Resp3 {
                self.send(&self.client, keys, post);
            }
            return;
        };
        let other = post.registry.get(redirect).filter(|other| !other.is_killed());
        match other {
            Some(other) if can_be_told(&other) => self.send(&other, keys, post),
            Some(_) => {}
            None => self.tell_broken(redirect, post),
        }
    }

    fn send(&self, to: &Client, keys: Option<&[&[u8]]>, post: Post<'_>) {
        let message = invalidation(protocol(to), protocol(&self.client), keys);
        to.post(message, post.limit, post.now_ms);
    }

    /// The one who was to be told is gone.
    fn tell_broken(&self, redirect: u64, post: Post<'_>) {
        self.client.raise(ClientFlags::TRACKING_BROKEN);
        if protocol(&self.client) == Protocol::Resp3 {
            let mut output = Output::default();
            let mut reply = Reply::new(&mut output, Protocol::Resp3);
            reply.push(2);
            reply.bulk(b"tracking-redir-broken");
            reply.integer(redirect as i64);
            self.client.post(output.take(), post.limit, post.now_ms);
        }
    }
}

/// In RESP2 only who is subscribed to something expects messages.
fn can_be_told(client: &Client) -> bool {
    protocol(client) == Protocol::Resp3 || client.has(ClientFlags::PUBSUB)
}

fn protocol(client: &Client) -> Protocol {
    client.seen.protocol()
}

/// The message in the protocol of who receives it. That all keys are gone is said with the null of
/// who tracks.
fn invalidation(receiver: Protocol, tracker: Protocol, keys: Option<&[&[u8]]>) -> Bytes {
    let mut output = Output::default();
    let mut reply = Reply::new(&mut output, receiver);
    if receiver == Protocol::Resp3 {
        reply.push(2);
        reply.bulk(b"invalidate");
    } else {
        reply.push(3);
        reply.bulk(b"message");
        reply.bulk(b"__redis__:invalidate");
    }
    match keys {
        Some(keys) => {
            reply.array(keys.len());
            keys.iter().copied().for_each(|key| reply.bulk(key));
        }
        None => Reply::new(&mut output, tracker).null(),
    }
    output.take()
}

/// Those that a key begins with. Each look is at the last one that could be: beyond what it has in common
/// with the key, no other can be.
fn prefixes_of<T>(prefixes: &BTreeMap<Box<[u8]>, T>, key: &[u8]) -> Vec<Box<[u8]>> {
    let (mut found, mut bound) = (Vec::new(), Some(key));
    while let Some(end) = bound {
        let before = (Bound::Unbounded, Bound::Included(end));
        let Some((prefix, _)) = prefixes.range::<[u8], _>(before).next_back() else {
            break;
        };
        bound = if key.starts_with(prefix) {
            found.push(prefix.clone());
            prefix.len().checked_sub(1).map(|length| &key[..length])
        } else {
            let common = prefix.iter().zip(key).take_while(|(one, other)| one == other).count();
            Some(&key[..common])
        };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_prefixes_of_a_key_are_found_and_no_others() {
        let words: [&[u8]; 9] =
            [b"", b"a", b"ab", b"abc", b"abd", b"ac", b"b", b"abcdef", b"ab\xff"];
        let prefixes = words.iter().map(|word| (Box::from(*word), ())).collect();
        let found = |key: &[u8]| {
            let found = prefixes_of(&prefixes, key);
            found.iter().map(|prefix| prefix.to_vec()).collect::<Vec<_>>()
        };
        for key in [&b"abcde"[..], b"", b"a", b"abcdefg", b"ab\xfe", b"zzz", b"\x00", b"abc"] {
            let mut expected: Vec<_> = words.iter().filter(|word| key.starts_with(word)).collect();
            expected.sort_by_key(|word| std::cmp::Reverse(word.len()));
            let expected: Vec<_> = expected.into_iter().map(|word| word.to_vec()).collect();
            assert_eq!(found(key), expected, "{key:?}");
        }
    }
}
