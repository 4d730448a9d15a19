//! What the server carries for one client from request to request.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::clients::Client;
use crate::clock::Moment;
use crate::home::Home;
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
    pub(crate) origin: Origin,
    /// Whether there was no room for more when the request began.
    pub(crate) is_out_of_memory: bool,
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

/// Whose requests they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Client,
    /// The application's own, by direct calls: it is never kept waiting.
    Direct,
    /// Nobody's: the server does again what a log tells.
    Loader,
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
            origin: Origin::Client,
            is_out_of_memory: false,
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

    /// Whether nobody can be kept waiting.
    pub(crate) fn is_direct(&self) -> bool {
        self.origin != Origin::Client
    }

    pub(crate) fn is_loader(&self) -> bool {
        self.origin == Origin::Loader
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
