//! Everything one server consists of, without its sockets: bytes in, bytes out.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::thread::available_parallelism;

use tokio::sync::watch;

use crate::blocking::Blocking;
use crate::clients::Registry;
use crate::clock::Clock;
use crate::config::{Config, Param};
use crate::durability::Durability;
use crate::error::Error;
use crate::keyspace::{Counting, Keyspace};
use crate::latency::LatencyMonitor;
use crate::limit::MemoryLimit;
use crate::monitor::Monitors;
use crate::pause::Pause;
use crate::pubsub::PubSub;
use crate::random::Random;
use crate::script::Scripts;
use crate::session::Session;
use crate::slowlog::SlowLog;
use crate::stats::Stats;
use crate::tracking::Tracking;

/// So many that two threads seldom want the same one.
const SHARDS_PER_PROCESSOR: usize = 4;

pub(crate) struct Engine {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) keyspace: Keyspace,
    pub(crate) clients: Registry,
    pub(crate) stats: Stats,
    pub(crate) slowlog: SlowLog,
    pub(crate) latency: LatencyMonitor,
    pub(crate) monitors: Monitors,
    pub(crate) pubsub: PubSub,
    pub(crate) tracking: Tracking,
    pub(crate) pause: Pause,
    pub(crate) blocking: Blocking,
    pub(crate) scripts: Scripts,
    pub(crate) run_id: String,
    pub(crate) started_us: i64,
    /// The port that is listened on, 0 if none; known once the server has started.
    pub(crate) port: AtomicUsize,
    pub(crate) sweeps: AtomicBool,
    /// Whether scripts may execute `DEBUG`.
    pub(crate) scripts_may_debug: AtomicBool,
    /// Whether nothing happens that nobody has asked for.
    pub(crate) is_background_paused: AtomicBool,
    /// Whether `RESTORE` takes payloads whose checksum is wrong.
    pub(crate) ignores_checksums: AtomicBool,
    pub(crate) peak_bytes: AtomicUsize,
    pub(crate) durability: Durability,
    pub(crate) bars: Bars,
    pub(crate) limit: MemoryLimit,
    state: watch::Sender<State>,
}

/// What keeps requests from being executed, all in one place: seldom is there anything.
#[derive(Debug, Default)]
pub(crate) struct Bars(AtomicU8);

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bar {
    /// What an earlier server has left is being loaded.
    Loading = 1,
    /// The last snapshot could not be saved.
    Unsaved = 1 << 1,
    /// The log cannot be written.
    Unlogged = 1 << 2,
    /// Everything that is to outlive the server is on disk. Nothing may be done that would have to be there, too.
    Settled = 1 << 3,
}

impl Bars {
    pub(crate) fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    pub(crate) fn has(&self, bar: Bar) -> bool {
        self.0.load(Ordering::Relaxed) & bar as u8 != 0
    }

    pub(crate) fn raise(&self, bar: Bar) {
        self.0.fetch_or(bar as u8, Ordering::SeqCst);
    }

    pub(crate) fn lower(&self, bar: Bar) {
        self.0.fetch_and(!(bar as u8), Ordering::SeqCst);
    }
}

/// Whether a server runs, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    Stopped,
    /// It cannot go on; the reason is for its owner to read.
    Failed(String),
}

impl Engine {
    pub(crate) fn new(config: Config, clock: Clock, random: Random) -> Self {
        let shards = match config.number(Param::Shards) {
            0 => SHARDS_PER_PROCESSOR * available_parallelism().map_or(1, usize::from),
            chosen => chosen as usize,
        };
        let databases = config.number(Param::Databases) as usize;
        Engine {
            keyspace: Keyspace::new(shards, databases, &random),
            clients: Registry::default(),
            stats: Stats::new(),
            slowlog: SlowLog::default(),
            latency: LatencyMonitor::default(),
            monitors: Monitors::default(),
            pubsub: PubSub::new(&random),
            tracking: Tracking::new(&random),
            pause: Pause::default(),
            blocking: Blocking::default(),
            scripts: Scripts::new(&random),
            run_id: random.hexadecimal(40),
            started_us: clock.now_us(),
            port: AtomicUsize::new(0),
            sweeps: AtomicBool::new(true),
            scripts_may_debug: AtomicBool::new(false),
            is_background_paused: AtomicBool::new(false),
            ignores_checksums: AtomicBool::new(false),
            peak_bytes: AtomicUsize::new(0),
            durability: Durability::new(clock.now_ms() / 1000),
            bars: Bars::default(),
            limit: MemoryLimit::default(),
            state: watch::Sender::new(State::Running),
            config,
            clock,
            random,
        }
    }

    /// Whether new clients have to authenticate.
    pub(crate) fn has_password(&self) -> bool {
        !self.config.text(Param::RequirePass).is_empty()
    }

    /// Whether this is the default user's password.
    pub(crate) fn accepts_password(&self, password: &[u8]) -> bool {
        let expected = self.config.text(Param::RequirePass);
        // Looks at every byte whatever comes first, so that timing tells nothing.
        let differences = expected.bytes().zip(password).fold(0, |sum, (a, b)| sum | (a ^ b));
        expected.len() == password.len() && differences == 0
    }

    /// How the uses of keys are counted in the request that follows.
    pub(crate) fn counting(&self) -> Counting {
        Counting {
            log_factor: self.config.number(Param::LfuLogFactor),
            decay_minutes: self.config.number(Param::LfuDecayTime),
            chance: self.random.next(),
        }
    }

    /// Knows nothing more of a client that is gone.
    pub(crate) fn forget(&self, session: &mut Session) {
        let client = &session.client;
        let waiting = self.blocking.claim(client.id).map(|waiter| waiter.ticket);
        let answered = client.take_answer().and_then(|answer| answer.ticket);
        for ticket in waiting.iter().chain(&answered) {
            self.keyspace.leave(ticket);
        }
        self.end_transaction(session);
        let client = &session.client;
        self.pubsub.forget(&mut session.subscriptions, client);
        self.tracking.stop(&mut session.tracked, client);
        self.monitors.remove(client);
        self.clients.remove(client.id);
        self.forget_bytes(client);
    }

    /// Nothing is queued or watched by a client any more. Nothing may be locked.
    pub(crate) fn end_transaction(&self, session: &mut Session) {
        let transaction = std::mem::take(&mut session.transaction);
        let watch = &session.client.watch;
        self.keyspace.unwatch(&transaction.watched, watch);
        watch.mend();
        session.transaction.show(&session.client);
    }

    /// A request is not executed: nothing of its transaction will be. If it is EXEC itself, that is the
    /// end of it. Nothing may be locked.
    pub(crate) fn refuse_in_transaction(
        &self,
        session: &mut Session,
        name: &[u8],
        error: Error,
    ) -> Error {
        if !name.eq_ignore_ascii_case(b"exec") {
            session.transaction.abort();
            return error;
        }
        self.end_transaction(session);
        let text = error.wire();
        let reason = text.strip_prefix(b"ERR ").unwrap_or(&text);
        let before = b"EXECABORT Transaction discarded because of: ";
        Error::Text([&before[..], reason].concat().into())
    }

    pub(crate) fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Ends the server: no new connections, and those there are end.
    pub(crate) fn stop(&self) {
        self.leave(State::Stopped);
    }

    /// Ends the server because it cannot go on; its owner sees why.
    pub(crate) fn fail(&self, reason: &str) {
        tracing::error!(reason, "the server failed");
        self.leave(State::Failed(reason.to_owned()));
    }

    fn leave(&self, state: State) {
        self.state.send_if_modified(|current| {
            let first = *current == State::Running;
            if first {
                *current = state;
            }
            first
        });
        for client in self.clients.all() {
            client.kill();
        }
        self.keyspace.log.release();
    }

    pub(crate) fn has_failed(&self) -> bool {
        matches!(*self.state.borrow(), State::Failed(_))
    }

    pub(crate) fn is_running(&self) -> bool {
        *self.state.borrow() == State::Running
    }
}
