//! What a client carries for its transaction: the requests that wait for EXEC, and the keys it watches.

use std::sync::atomic::Ordering;

use crate::clients::{Client, ClientFlags};
use crate::command::args::Request;
use crate::command::{Args, Registered};
use crate::keyspace::Place;
use crate::keyspace::Watched;

/// Requests that wait for EXEC.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) requests: Vec<(&'static Registered, Request)>,
    /// Whether one was refused, so that none will be executed.
    pub(crate) is_aborted: bool,
    bytes: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Transaction {
    /// None outside of MULTI.
    pub(crate) queue: Option<Queue>,
    pub(crate) watched: Vec<Watched>,
    /// Whether the queue is being executed.
    pub(crate) is_executing: bool,
    /// The keys that may have got something that others wait for, in the order in which they got it.
    pub(crate) ready: Vec<Place>,
}

impl Transaction {
    /// What the queue takes.
    pub(crate) fn bytes(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.bytes)
    }

    /// Lets others see how much is queued and watched.
    pub(crate) fn show(&self, client: &Client) {
        let queued = self.queue.as_ref().map_or(-1, |queue| queue.requests.len() as i64);
        client.seen.queued.store(queued, Ordering::Relaxed);
        client.seen.queued_bytes.store(self.bytes(), Ordering::Relaxed);
        client.seen.watched.store(self.watched.len(), Ordering::Relaxed);
        if self.queue.is_some() {
            client.raise(ClientFlags::MULTI);
        } else {
            client.lower(ClientFlags::MULTI);
        }
    }

    /// A request was refused: what is queued will not be executed.
    pub(crate) fn abort(&mut self) {
        if let Some(queue) = &mut self.queue {
            queue.is_aborted = true;
        }
    }
}

impl Queue {
    /// What a request takes beside its bytes.
    const OVERHEAD: usize = size_of::<(&Registered, Request)>();

    pub(crate) fn push(&mut self, row: &'static Registered, args: Args<'_>) {
        let bytes: usize = args.iter().map(<[u8]>::len).sum();
        self.bytes += bytes + Self::OVERHEAD;
        self.requests.push((row, Request::from(args)));
    }
}
