//! Keeping within `maxmemory`: what counts, and what is done about too much.

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
    /// What clients and scripts take, as it was lately.
    others: AtomicUsize,
    /// Whether there was too much, and nothing that could go.
    is_full: AtomicBool,
    pub(crate) evicted_keys: AtomicU64,
    pub(crate) evicted_clients: AtomicU64,
}

impl MemoryLimit {
    pub(crate) fn reset_counts(&self) {
        self.evicted_keys.store(0, Ordering::Relaxed);
        self.evicted_clients.store(0, Ordering::Relaxed);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }
}

/// What a client takes, with all that waits for it and for the server.
pub(crate) fn client_bytes(client: &Client) -> usize {
    let fixed = size_of::<Client>() + size_of::<Session>();
    let seen = &client.seen;
    let load = |figure: &AtomicUsize| figure.load(Ordering::Relaxed);
    fixed + client.mail_bytes() + load(&seen.unread) + load(&seen.unsent) + load(&seen.queued_bytes)
}

impl Engine {
    /// What counts against `maxmemory`.
    pub(crate) fn counted_bytes(&self) -> usize {
        // What an empty server takes, so that there is never too little to be over a limit.
        const OWN: usize = 16 * 1024;
        OWN + self.keyspace.used_bytes() + self.limit.others.load(Ordering::Relaxed)
    }

    /// Whether there is a limit, and it has been passed.
    pub(crate) fn is_over_limit(&self) -> bool {
        let most = self.config.number(Param::MaxMemory);
        most > 0 && self.counted_bytes() > most as usize
    }

    /// Removes keys until there is room, no longer than others can be kept waiting; false if there is none and none can
    /// be made. Nothing may be locked.
    pub(crate) fn make_room(&self) -> bool {
        let has_room = self.scripts.running.is_away() || self.evict_while_over();
        self.limit.is_full.store(!has_room, Ordering::Relaxed);
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
        let clients: usize = self.clients.all().iter().map(|client| client_bytes(client)).sum();
        let scripts: usize = self.scripts.figures.by_name().iter().map(|(_, bytes)| bytes).sum();
        self.limit.others.store(clients + scripts, Ordering::Relaxed);
        if self.config.number(Param::MaxMemory) > 0 && !self.is_loading() {
            self.keyspace.settle_accounts();
            self.make_room();
        }
        self.limit_clients();
    }

    /// Ends the connections of the largest clients while all together take more than they may.
    pub(crate) fn limit_clients(&self) {
        const LEAST: usize = 128 * 1024;
        let Some(most) = self.most_for_clients() else {
            return;
        };
        let mut clients: Vec<_> = self.clients.all().into_iter().collect();
        let mut sum: usize = clients.iter().map(|client| client_bytes(client)).sum();
        clients.sort_by_key(|client| client_bytes(client));
        let may_go = |client: &Client| !client.has(ClientFlags::NO_EVICT) && !client.is_killed();
        while sum > most.max(LEAST)
            && let Some(client) = clients.pop()
        {
            if may_go(&client) {
                sum -= client_bytes(&client);
                tracing::info!("Evicting client: id={} addr={}", client.id, client.address);
                self.limit.evicted_clients.fetch_add(1, Ordering::Relaxed);
                client.kill();
            }
        }
    }

    fn most_for_clients(&self) -> Option<usize> {
        match self.config.number(Param::MaxMemoryClients) {
            0 => None,
            bytes @ 1.. => Some(bytes as usize),
            percent => {
                let most = self.config.number(Param::MaxMemory);
                (most > 0).then(|| (most as f64 * -percent as f64 / 100.0) as usize)
            }
        }
    }
}
