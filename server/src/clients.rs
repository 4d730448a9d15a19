//! The clients of a server: what others may see of them, and how to reach them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bitflags::bitflags;
use bytes::Bytes;
use dashmap::DashMap;

use crate::config::OutputLimit;
use crate::keyspace::{Ticket, Watch};
use crate::resp::Protocol;

bitflags! {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct ClientFlags: u32 {
        const MONITOR = 1;
        const NO_EVICT = 1 << 1;
        const NO_TOUCH = 1 << 2;
        const UNIX_SOCKET = 1 << 3;
        /// Waits: the server is paused, or its command takes its time.
        const WAITING = 1 << 4;
        const CLOSING = 1 << 5;
        /// Is subscribed to something.
        const PUBSUB = 1 << 6;
        /// Is told when keys change that it has read, or others in its place.
        const TRACKING = 1 << 7;
        /// Whoever was to be told in its place is gone.
        const TRACKING_BROKEN = 1 << 8;
        const TRACKING_BROADCAST = 1 << 9;
        /// Has begun a transaction.
        const MULTI = 1 << 10;
        /// A key that it watches has changed.
        const DIRTY = 1 << 11;
    }
}

/// The part of a session that other clients can see and act on.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: u64,
    pub(crate) address: String,
    pub(crate) local_address: String,
    pub(crate) created_ms: i64,
    pub(crate) names: Mutex<Names>,
    pub(crate) seen: Seen,
    /// Of the keys that it watches.
    pub(crate) watch: Arc<Watch>,
    flags: AtomicU32,
    mailbox: Mutex<Mailbox>,
}

/// What a client calls itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) name: Vec<u8>,
    pub(crate) library: Vec<u8>,
    pub(crate) library_version: Vec<u8>,
    pub(crate) user: Vec<u8>,
}

/// What the connection notes of itself as it goes, for others to read.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) database: AtomicUsize,
    pub(crate) protocol: AtomicU32,
    pub(crate) last_used_ms: AtomicI64,
    /// The id of the command it ran last, plus one.
    pub(crate) command: AtomicUsize,
    /// Bytes of requests read but not executed, and of replies not sent.
    pub(crate) unread: AtomicUsize,
    pub(crate) unsent: AtomicUsize,
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
    /// How many channels, patterns and shard channels it is subscribed to.
    pub(crate) subscriptions: [AtomicUsize; 3],
    /// The client that is told of changes in its place: 0 is itself, -1 nobody.
    pub(crate) redirect: AtomicI64,
    /// How many requests wait for EXEC; -1 outside of MULTI.
    pub(crate) queued: AtomicI64,
    pub(crate) watched: AtomicUsize,
    /// For how many prefixes it is told of changes.
    pub(crate) prefixes: AtomicUsize,
    /// What the queued requests take.
    pub(crate) queued_bytes: AtomicUsize,
    /// What the client took when it was last counted.
    pub(crate) counted_bytes: AtomicUsize,
}

/// What others leave for a connection to send, and how they wake it.
#[derive(Debug, Default)]
struct Mailbox {
    messages: VecDeque<Bytes>,
    bytes: usize,
    killed: bool,
    answer: Option<Answer>,
    over_limit: OverLimit,
    waker: Option<Waker>,
}

/// Since when a client has been over the soft limit of its class.
#[derive(Debug, Default)]
pub(crate) struct OverLimit {
    since_ms: Option<i64>,
}

/// What a connection finds in its mailbox.
pub(crate) struct Delivery {
    pub(crate) messages: VecDeque<Bytes>,
    pub(crate) killed: bool,
    /// The reply that the client has waited for is among the messages.
    pub(crate) answer: Option<Answer>,
}

/// How the wait of a client has ended.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What is still in its queues.
    pub(crate) ticket: Option<Arc<Ticket>>,
}

impl Client {
    pub(crate) fn new(id: u64, address: String, local_address: String, now_ms: i64) -> Self {
        Client {
            id,
            address,
            local_address,
            created_ms: now_ms,
            names: Mutex::new(Names { user: b"default".to_vec(), ..Names::default() }),
            seen: Seen::new(now_ms),
            watch: Arc::default(),
            flags: AtomicU32::new(0),
            mailbox: Mutex::default(),
        }
    }

    pub(crate) fn flags(&self) -> ClientFlags {
        ClientFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    pub(crate) fn has(&self, flag: ClientFlags) -> bool {
        self.flags().contains(flag)
    }

    pub(crate) fn raise(&self, flag: ClientFlags) {
        self.flags.fetch_or(flag.bits(), Ordering::Relaxed);
    }

    pub(crate) fn lower(&self, flag: ClientFlags) {
        self.flags.fetch_and(!flag.bits(), Ordering::Relaxed);
    }

    /// Whether it is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        let host = self.address.parse::<std::net::SocketAddr>();
        host.map_or(true, |address| address.ip().is_loopback())
    }

    pub(crate) fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().expect("nothing panics while it holds a client's names")
    }

    /// Ends the connection as soon as it looks.
    pub(crate) fn kill(&self) {
        let mut mailbox = self.mailbox();
        mailbox.killed = true;
        mailbox.wake();
    }

    /// What others have left for it.
    pub(crate) fn mail_bytes(&self) -> usize {
        self.mailbox().bytes
    }

    /// Whether its connection ends as soon as it looks.
    pub(crate) fn is_killed(&self) -> bool {
        self.mailbox().killed
    }

    /// An answer that the connection has not looked at.
    pub(crate) fn take_answer(&self) -> Option<Answer> {
        self.mailbox().answer.take()
    }

    /// Leaves the reply that the client has waited for, and the ticket if its connection has to take
    /// it out of its queues.
    pub(crate) fn answer(&self, reply: Bytes, ticket: Option<Arc<Ticket>>) {
        let mut mailbox = self.mailbox();
        mailbox.bytes += reply.len();
        mailbox.messages.push_back(reply);
        mailbox.answer = Some(Answer { ticket });
        mailbox.wake();
    }

    /// Leaves a message to be sent; a client that takes too little of what it gets is dropped.
    /// Whether the client was still there to get it.
    pub(crate) fn post(&self, message: Bytes, limit: OutputLimit, now_ms: i64) -> bool {
        let unsent = self.seen.unsent.load(Ordering::Relaxed);
        let mut mailbox = self.mailbox();
        if mailbox.killed {
            return false;
        }
        mailbox.bytes += message.len();
        mailbox.messages.push_back(message);
        let pending = unsent + mailbox.bytes;
        if mailbox.over_limit.check(limit, pending, now_ms) {
            mailbox.killed = true;
            mailbox.messages.clear();
        }
        mailbox.wake();
        true
    }

    /// Drops the client if it has taken too little for too long, though nothing is added.
    pub(crate) fn enforce(&self, limit: OutputLimit, now_ms: i64) {
        let unsent = self.seen.unsent.load(Ordering::Relaxed);
        let mut mailbox = self.mailbox();
        let pending = unsent + mailbox.bytes;
        if mailbox.over_limit.check(limit, pending, now_ms) {
            mailbox.killed = true;
            mailbox.wake();
        }
    }

    /// What has been left for the connection up to now.
    pub(crate) fn take_messages(&self) -> VecDeque<Bytes> {
        let mut mailbox = self.mailbox();
        mailbox.bytes = 0;
        std::mem::take(&mut mailbox.messages)
    }

    /// What has been left for the connection; otherwise it is woken when something is.
    pub(crate) fn poll_mailbox(&self, context: &mut Context<'_>) -> Poll<Delivery> {
        let mut mailbox = self.mailbox();
        if mailbox.messages.is_empty() && !mailbox.killed {
            let current = mailbox.waker.as_ref();
            if !current.is_some_and(|waker| waker.will_wake(context.waker())) {
                mailbox.waker = Some(context.waker().clone());
            }
            return Poll::Pending;
        }
        mailbox.bytes = 0;
        let messages = std::mem::take(&mut mailbox.messages);
        // Who ends leaves its queues as it goes.
        let answer = if mailbox.killed { None } else { mailbox.answer.take() };
        Poll::Ready(Delivery { messages, killed: mailbox.killed, answer })
    }

    /// How many keys it watches. Once one has changed it does not matter what the others do.
    pub(crate) fn watched(&self) -> usize {
        if self.watch.is_broken() { 0 } else { self.seen.watched.load(Ordering::Relaxed) }
    }

    fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        self.mailbox.lock().expect("nothing panics while it holds a mailbox")
    }
}

impl OverLimit {
    /// Whether so many unread bytes cost the client its connection.
    pub(crate) fn check(&mut self, limit: OutputLimit, pending: usize, now_ms: i64) -> bool {
        let pending = pending as i64;
        let over_soft = limit.soft > 0 && pending > limit.soft;
        self.since_ms = self.since_ms.or(Some(now_ms)).filter(|_| over_soft);
        let over_long = self
            .since_ms
            .is_some_and(|since_ms| now_ms - since_ms > limit.soft_seconds.saturating_mul(1000));
        (limit.hard > 0 && pending > limit.hard) || over_long
    }
}

impl Mailbox {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Seen {
    const fn new(now_ms: i64) -> Self {
        Seen {
            prefixes: AtomicUsize::new(0),
            queued_bytes: AtomicUsize::new(0),
            counted_bytes: AtomicUsize::new(0),
            database: AtomicUsize::new(0),
            protocol: AtomicU32::new(2),
            last_used_ms: AtomicI64::new(now_ms),
            command: AtomicUsize::new(0),
            unread: AtomicUsize::new(0),
            unsent: AtomicUsize::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            subscriptions: [const { AtomicUsize::new(0) }; 3],
            redirect: AtomicI64::new(-1),
            queued: AtomicI64::new(-1),
            watched: AtomicUsize::new(0),
        }
    }

    pub(crate) fn protocol(&self) -> Protocol {
        if self.protocol.load(Ordering::Relaxed) == 3 { Protocol::Resp3 } else { Protocol::Resp2 }
    }

    pub(crate) fn set_protocol(&self, protocol: Protocol) {
        self.protocol.store(protocol.number(), Ordering::Relaxed);
    }
}

/// All clients that are connected.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    clients: DashMap<u64, Arc<Client>>,
    last_id: AtomicU64,
    count: AtomicUsize,
}

impl Registry {
    pub(crate) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn add(&self, client: &Arc<Client>) {
        self.clients.insert(client.id, Arc::clone(client));
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, id: u64) {
        if self.clients.remove(&id).is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn get(&self, id: u64) -> Option<Arc<Client>> {
        self.clients.get(&id).map(|client| Arc::clone(&client))
    }

    /// All clients in the order they came, but for those whose connection ends as soon as it looks.
    pub(crate) fn all(&self) -> Vec<Arc<Client>> {
        let mut all: Vec<_> = self.clients.iter().map(|client| Arc::clone(&client)).collect();
        all.retain(|client| !client.is_killed());
        all.sort_unstable_by_key(|client| client.id);
        all
    }
}
