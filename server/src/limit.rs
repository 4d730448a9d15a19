//! Keeping within `maxmemory`: what counts, and what is done about too much.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::blocking;
use crate::clients::{Client, ClientFlags};
use crate::clock::Stopwatch;
use crate::config::Param;
use crate::engine::Engine;
use crate::error::Error;
use crate::keyspace::{Choice, Eviction, Order};
use crate::session::Session;

pub(crate) const OUT_OF_MEMORY: Error =
    Error::coded("OOM command not allowed when used memory > 'maxmemory'.");

/// What a server knows of its memory, beside that of its keys.
#[derive(Debug, Default)]
pub(crate) struct MemoryLimit {
    /// What scripts take, as it was lately.
    scripts: AtomicUsize,
    /// Whether there was too much, and nothing that could go.
    is_full: AtomicBool,
    /// What all clients together take, as it was lately, without those that have gone since.
    clients: AtomicUsize,
    /// Since clients and scripts were counted last.
    counted: Mutex<Option<Stopwatch>>,
    exceeding: Mutex<Exceeding>,
    pub(crate) evicted_keys: AtomicU64,
    pub(crate) evicted_clients: AtomicU64,
}

/// For how long there was more than there may be.
#[derive(Clone, Copy, Debug, Default)]
struct Exceeding {
    before: Duration,
    since: Option<Stopwatch>,
}

/// For how long there was more than there may be: up to now, and without a break.
pub(crate) struct Exceeded {
    pub(crate) total: Duration,
    pub(crate) current: Duration,
}

const NEVER_PANICS: &str = "nothing panics while it notes a time";

impl MemoryLimit {
    pub(crate) fn reset_counts(&self) {
        self.evicted_keys.store(0, Ordering::Relaxed);
        self.evicted_clients.store(0, Ordering::Relaxed);
        self.change_exceeding(|exceeding| *exceeding = Exceeding::default());
    }

    /// Takes one figure off what clients take, and adds another. While all are being counted the sum may be a little off.
    fn change_clients(&self, before: usize, after: usize) -> usize {
        let change = |sum: usize| Some(sum.saturating_sub(before) + after);
        let updated = self.clients.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
        updated.map_or(after, |sum| sum.saturating_sub(before) + after)
    }

    fn change_exceeding(&self, change: impl FnOnce(&mut Exceeding)) {
        change(&mut self.exceeding.lock().expect(NEVER_PANICS));
    }

    /// Notes whether there is more than there may be.
    fn note_exceeding(&self, is_over: bool) {
        self.change_exceeding(|exceeding| {
            if is_over {
                exceeding.since.get_or_insert_with(Stopwatch::start);
            } else {
                exceeding.before +=
                    exceeding.since.take().map_or(Duration::ZERO, Stopwatch::elapsed);
            }
        });
    }

    pub(crate) fn exceeded(&self) -> Exceeded {
        let exceeding = *self.exceeding.lock().expect(NEVER_PANICS);
        let current = exceeding.since.map_or(Duration::ZERO, Stopwatch::elapsed);
        Exceeded { total: exceeding.before + current, current }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }
}

/// What a client takes, with all that waits for it and for the server.
pub(crate) fn client_bytes(client: &Client) -> usize {
    const FIXED: usize = size_of::<Client>() + size_of::<Session>();
    // What small requests are read into is there between them, too.
    const READ_INTO: usize = 1024;
    let seen = &client.seen;
    let load = |figure: &AtomicUsize| figure.load(Ordering::Relaxed);
    let waiting = load(&seen.unread).max(READ_INTO) + load(&seen.unsent) + load(&seen.queued_bytes);
    let subscriptions: usize = seen.subscriptions.iter().map(load).sum();
    let names = load(&seen.watched) + load(&seen.prefixes) + subscriptions;
    FIXED + client.mail_bytes() + waiting + names * NAME_BYTES
}

/// What a key that is watched, a channel, or a prefix takes, which is kept for the client and for what it names, where it
/// is as long as they usually are.
const NAME_BYTES: usize = 128;

/// What an empty server takes, so that there is never too little to be over a limit.
pub(crate) const OWN_BYTES: usize = 16 * 1024;

/// Notes what a client takes now.
fn count(client: &Client) -> usize {
    let bytes = client_bytes(client);
    client.seen.counted_bytes.store(bytes, Ordering::Relaxed);
    bytes
}

impl Engine {
    /// What counts against `maxmemory`.
    pub(crate) fn counted_bytes(&self) -> usize {
        let load = |figure: &AtomicUsize| figure.load(Ordering::Relaxed);
        OWN_BYTES
            + self.keyspace.used_bytes()
            + load(&self.limit.clients)
            + load(&self.limit.scripts)
    }

    /// Whether there is a limit, and it has been passed.
    pub(crate) fn is_over_limit(&self) -> bool {
        let most = self.config.most_memory();
        most > 0 && self.counted_bytes() as u64 > most
    }

    /// Removes keys until there is room, no longer than others can be kept waiting; false if there is none and none can
    /// be made. Nothing may be locked.
    pub(crate) fn make_room(&self) -> bool {
        let has_room = self.scripts.running.is_away()
            || self.evict_while_over()
            || self.count_others_again() && self.evict_while_over();
        self.limit.is_full.store(!has_room, Ordering::Relaxed);
        self.limit.note_exceeding(!has_room || self.is_over_limit());
        has_room
    }

    fn evict_while_over(&self) -> bool {
        let watch = Stopwatch::start();
        let longest = self.longest_eviction();
        while self.is_over_limit() {
            let Some(choice) = self.choice() else {
                return false;
            };
            if !self.evict_one(choice) {
                return false;
            }
            // While there is more that can go, nobody is turned away.
            let is_enough = longest.is_some_and(|longest| watch.elapsed() >= longest);
            if is_enough || self.scripts.running.is_away() {
                return true;
            }
        }
        true
    }

    /// How long keys are removed in one go; without end at the highest tenacity.
    fn longest_eviction(&self) -> Option<Duration> {
        const STEP: Duration = Duration::from_micros(50);
        const FACTOR: f64 = 1.15;
        const LINEAR: i64 = 10;
        const ENDLESS: i64 = 100;
        let tenacity = self.config.number(Param::MaxMemoryEvictionTenacity);
        match tenacity {
            ENDLESS.. => None,
            ..=LINEAR => Some(STEP * tenacity.max(0) as u32),
            _ => Some((STEP * LINEAR as u32).mul_f64(FACTOR.powi((tenacity - LINEAR) as i32))),
        }
    }

    fn evict_one(&self, choice: Choice) -> bool {
        let now_ms = self.clock.now_ms();
        let evicted = self.keyspace.evict(&Eviction {
            choice,
            samples: self.config.number(Param::MaxMemorySamples) as usize,
            now_ms,
            counting: self.counting(),
            random: &self.random,
            is_alone: &|| !self.scripts.running.is_away(),
            wanted: &|| self.wanted(),
            announce: &|notes| self.announce(notes, None, now_ms),
            serve: &|run, database, key| blocking::serve_loss(self, run, (database, key)),
        });
        if evicted {
            self.limit.evicted_keys.fetch_add(1, Ordering::Relaxed);
        }
        evicted
    }

    /// What goes, by `maxmemory-policy`; nothing where nothing may.
    fn choice(&self) -> Option<Choice> {
        let policy = self.config.value("maxmemory-policy").unwrap_or_default();
        let (which, order) = policy.split_once('-')?;
        let order = match order {
            "lru" => Order::Idle,
            "lfu" => Order::Frequency,
            "ttl" => Order::Deadline,
            _ => Order::Random,
        };
        Some(Choice { only_volatile: which == "volatile", order })
    }

    /// Looks at what else takes memory, a few times a second, and removes what has to go.
    pub(crate) fn tend_memory(&self) {
        self.count_others();
        // Clients that take too much go ahead of keys that may stay without them.
        self.limit_clients();
        if self.config.is_memory_limited() && !self.is_loading() {
            self.keyspace.settle_accounts();
            self.make_room();
        }
    }

    /// Counts what clients and scripts take.
    fn count_others(&self) {
        let clients = self.clients.all().iter().map(|client| count(client)).sum();
        let scripts = self.scripts.figures.by_name().iter().map(|(_, bytes)| bytes).sum();
        self.limit.clients.store(clients, Ordering::Relaxed);
        self.limit.scripts.store(scripts, Ordering::Relaxed);
        *self.limit.counted.lock().expect(NEVER_PANICS) = Some(Stopwatch::start());
    }

    /// The same before somebody is turned away for what may not be there any more, unless it was done just now.
    fn count_others_again(&self) -> bool {
        const JUST_NOW: Duration = Duration::from_millis(10);
        let counted = *self.limit.counted.lock().expect(NEVER_PANICS);
        let is_old = counted.is_none_or(|counted| counted.elapsed() > JUST_NOW);
        if is_old {
            self.count_others();
        }
        is_old
    }

    /// What a client took that is gone counts no more.
    pub(crate) fn forget_bytes(&self, client: &Client) {
        self.limit.change_clients(client.seen.counted_bytes.swap(0, Ordering::Relaxed), 0);
    }

    /// Counts anew what a client takes that has grown, and ends connections if that makes it too much for all together;
    /// whether its own is one of them.
    #[cold]
    pub(crate) fn limit_growth(&self, client: &Client) -> bool {
        let Some(most) = self.most_for_clients() else {
            return false;
        };
        let bytes = client_bytes(client);
        let before = client.seen.counted_bytes.swap(bytes, Ordering::Relaxed);
        if self.limit.change_clients(before, bytes) > most {
            self.limit_clients();
        }
        client.is_killed()
    }

    /// Ends the connections of the largest clients while all together take more than they may.
    pub(crate) fn limit_clients(&self) {
        let Some(most) = self.most_for_clients() else {
            return;
        };
        let mut clients: Vec<_> = self.clients.all().into_iter().collect();
        clients.sort_by_cached_key(|client| count(client));
        let counted = |client: &Client| client.seen.counted_bytes.load(Ordering::Relaxed);
        let mut sum = clients.iter().map(|client| counted(client)).sum();
        let may_go = |client: &Client| !client.has(ClientFlags::NO_EVICT) && !client.is_killed();
        while sum > most
            && let Some(client) = clients.pop()
        {
            if may_go(&client) {
                sum -= client.seen.counted_bytes.swap(0, Ordering::Relaxed);
                tracing::info!("Evicting client: id={} addr={}", client.id, client.address);
                self.limit.evicted_clients.fetch_add(1, Ordering::Relaxed);
                client.kill();
            }
        }
        self.limit.clients.store(sum, Ordering::Relaxed);
    }

    fn most_for_clients(&self) -> Option<usize> {
        const LEAST: usize = 128 * 1024;
        let most = match self.config.number(Param::MaxMemoryClients) {
            0 => None,
            bytes @ 1.. => Some(bytes as usize),
            percent => {
                let most = self.config.most_memory();
                (most > 0).then(|| (most as f64 * -percent as f64 / 100.0) as usize)
            }
        };
        most.map(|most| most.max(LEAST))
    }
}
