//! What the server carries for one client from request to request.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::{block_in_place, spawn_blocking};

use crate::clients::Client;
use crate::clock::Moment;
use crate::pubsub::Subscriptions;
use crate::resp::Protocol;
use crate::stats::Tally;
use crate::tracking::Tracked;
use crate::transaction::Transaction;

pub(crate) struct Session {
    pub(crate) client: Arc<Client>,
    pub(crate) authenticated: bool,
    pub(crate) replies: Replies,
    /// The time of the request that is being executed.
    pub(crate) moment: Moment,
    /// Not a client's but the application's own, by direct calls: it is never kept waiting.
    pub(crate) direct: bool,
    pub(crate) home: Home,
    /// What has not been added to the server's statistics yet.
    pub(crate) tally: Tally,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) tracked: Tracked,
    pub(crate) transaction: Transaction,
    /// What the client gets after the present reply, even if it wants no replies.
    pub(crate) messages: Vec<Bytes>,
    database: usize,
    protocol: Protocol,
}

/// On what kind of thread a client's requests are executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// One of several of a runtime, which can put another in its place.
    Worker,
    /// The only one of its runtime, or one that is somebody else's: it may not be kept long.
    Alone,
    /// One that may be kept as long as it takes.
    Spare,
}

impl Home {
    /// How long at most it is waited for another thread, and how long it then has to take over.
    const HANDOVER: [Duration; 2] = [Duration::from_millis(100), Duration::from_micros(200)];

    /// Lets another thread go on with what this one does beside the present request.
    ///
    /// The runtime puts a thread in the place of one that says it blocks, unless that one is back before. So
    /// it stays away until the threads that wait for work have got to what was given them after that, and
    /// finds out that it has lost its place when it comes back from the request.
    pub(crate) fn make_way(self) {
        if self != Home::Worker {
            return;
        }
        let [longest, moment] = Self::HANDOVER;
        block_in_place(|| {
            let (begun, has_begun) = mpsc::channel();
            spawn_blocking(move || begun.send(()));
            let _ = has_begun.recv_timeout(longest);
            std::thread::sleep(moment);
        });
    }
}

/// Whether a client hears anything back, as it asked with `CLIENT REPLY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replies {
    On,
    Off,
    /// Not for the request after the present one.
    SkipNext,
    /// Not for the present one.
    Skip,
}

impl Session {
    pub(crate) fn new(client: Arc<Client>, authenticated: bool, moment: Moment) -> Self {
        Session {
            authenticated,
            replies: Replies::On,
            moment,
            direct: false,
            home: Home::Alone,
            tally: Tally::default(),
            subscriptions: Subscriptions::default(),
            tracked: Tracked::default(),
            transaction: Transaction::default(),
            messages: Vec::new(),
            client,
            database: 0,
            protocol: Protocol::Resp2,
        }
    }

    pub(crate) const fn database(&self) -> usize {
        self.database
    }

    pub(crate) fn select(&mut self, database: usize) {
        self.database = database;
        self.client.seen.database.store(database, Ordering::Relaxed);
    }

    pub(crate) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(crate) fn speak(&mut self, protocol: Protocol) {
        self.protocol = protocol;
        self.client.seen.set_protocol(protocol);
    }

    /// Puts what others have left for the client ahead of what it is told next.
    pub(crate) fn collect_mail(&mut self) {
        let left = self.client.take_messages();
        self.messages.extend(left);
    }
}

impl Replies {
    /// What holds for the next request, once one has been answered.
    pub(crate) const fn after_request(self) -> Self {
        match self {
            Replies::SkipNext => Replies::Skip,
            Replies::Skip => Replies::On,
            other => other,
        }
    }

    pub(crate) const fn are_silent(self) -> bool {
        !matches!(self, Replies::On)
    }
}
