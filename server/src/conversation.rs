//! What a client and the server say to each other, without the stream between them: bytes in,
//! bytes out.
//!
//! Whole requests are executed in runs. A run is decoded ahead, so that what it will look up can
//! be brought near together, and it keeps the shard that it used last locked for its next request.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::buf::Limit;
use bytes::{Bytes, BytesMut};

use crate::clients::{ClientFlags, OverLimit};
use crate::command::locate;
use crate::config::{ClientClass, Param};
use crate::engine::Engine;
use crate::error::Error;
use crate::execute::{Flow, execute};
use crate::keyspace::{Run, Ticket};
use crate::resp::{Decoder, Limits, Output, Reply};
use crate::session::Session;

/// With so many bytes waiting to be sent, no further request of the client is executed.
const OUTPUT_HIGH_WATER: usize = 32 * 1024 * 1024;
/// What a client that has not authenticated may be owed at once, and what it may leave unread.
const OUTPUT_BEFORE_AUTH: usize = 16 * 1024;
const UNREAD_BEFORE_AUTH: usize = 1024;
/// How much is read ahead while the next request has to wait.
const READ_AHEAD: usize = 1024 * 1024;
/// How many requests are decoded before the first of them is executed.
const LONGEST_RUN: usize = 64;
/// From how many requests on it pays to look ahead at their keys.
const WORTH_WARMING: usize = 4;

pub(crate) struct Conversation {
    pub(crate) engine: Arc<Engine>,
    pub(crate) session: Session,
    decoder: Decoder,
    output: Output,
    over_limit: OverLimit,
    /// Of the keys of a run.
    hashes: Vec<u64>,
    /// A reply that waits.
    withheld: Bytes,
    /// Whether somebody else gives the next reply.
    awaits_answer: bool,
    closing: bool,
}

/// What has to come to an end before the next request is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Pause,
    /// The end of a script.
    Script,
    /// A thread that may be kept long.
    Elsewhere,
    Time(Duration),
    /// A reply that somebody else gives, until this time or, if it is the last there is, without end.
    Answer(i64),
}

impl Conversation {
    pub(crate) fn new(engine: Arc<Engine>, session: Session) -> Self {
        Conversation {
            engine,
            session,
            decoder: Decoder::default(),
            output: Output::default(),
            over_limit: OverLimit::default(),
            hashes: Vec::new(),
            withheld: Bytes::new(),
            awaits_answer: false,
            closing: false,
        }
    }

    /// Where the next bytes of the client go, and how many at most.
    pub(crate) fn target(&mut self) -> Limit<&mut BytesMut> {
        self.decoder.target()
    }

    pub(crate) fn note_received(&self, count: usize) {
        let (seen, stats) = (&self.session.client.seen, &self.engine.stats);
        seen.received.fetch_add(count as u64, Ordering::Relaxed);
        stats.received_bytes.fetch_add(count as u64, Ordering::Relaxed);
        stats.reads.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the client has to go because clients take too much, with what was read just now.
    pub(crate) fn is_put_out(&self) -> bool {
        if self.engine.config.number(Param::MaxMemoryClients) == 0 {
            return false;
        }
        self.note_unread();
        self.engine.limit_growth(&self.session.client)
    }

    /// Executes the requests that have been read, as long as their replies have room and none
    /// has to wait.
    pub(crate) fn execute_pending(&mut self) -> Option<Wait> {
        self.session.moment.renew(&self.engine.clock);
        let wait = self.execute_runs();
        self.engine.end_cycle();
        self.session.tally.flush(&self.engine.stats);
        let seen = &self.session.client.seen;
        seen.last_used_ms.store(self.session.moment.now_ms(), Ordering::Relaxed);
        self.note_unread();
        self.note_unsent();
        wait
    }

    fn execute_runs(&mut self) -> Option<Wait> {
        let engine = Arc::clone(&self.engine);
        let mut run = Run::new(&engine.keyspace);
        let longest_bulk = engine.config.longest_string();
        while !self.closing && self.output.len() < OUTPUT_HIGH_WATER {
            let limits = Limits { longest_bulk, authenticated: self.session.authenticated };
            self.look_ahead(limits, &mut run);
            match self.decoder.advance(limits) {
                Ok(true) => {
                    if let Some(wait) = self.execute_one(&mut run) {
                        return Some(wait);
                    }
                }
                Ok(false) => break,
                Err(error) => self.end_with(&error.into()),
            }
        }
        None
    }

    /// Decodes a run of requests and brings what they will look up near, all at the same time,
    /// rather than have each wait for its own. Before authentication the limits may change with
    /// every request.
    fn look_ahead(&mut self, limits: Limits, run: &mut Run<'_>) {
        if !limits.authenticated || self.decoder.ready().len() > 0 {
            return;
        }
        self.decoder.decode_ahead(limits, LONGEST_RUN);
        let requests = self.decoder.ready();
        if requests.len() >= WORTH_WARMING {
            run.release();
            let keys = requests.filter_map(locate::likely_key);
            self.engine.keyspace.warm(keys, self.session.database(), &mut self.hashes);
        }
    }

    fn execute_one(&mut self, run: &mut Run<'_>) -> Option<Wait> {
        let (args, mark) = (self.decoder.args(), self.output.mark());
        let flow = execute(&self.engine, &mut self.session, args, &mut self.output, run);
        if self.engine.has_changed_parameters() {
            run.release();
            self.engine.follow_parameters();
        }
        let mut wait = None;
        match flow {
            Flow::Continue => {}
            Flow::Close => self.closing = true,
            Flow::Abort => {
                self.output = Output::default();
                self.closing = true;
            }
            Flow::Sleep(duration) => {
                self.withheld = self.output.take_back(mark);
                self.session.client.raise(ClientFlags::WAITING);
                wait = Some(Wait::Time(duration));
            }
            Flow::Block(deadline_ms) => {
                self.awaits_answer = true;
                self.session.client.raise(ClientFlags::WAITING);
                wait = Some(Wait::Answer(deadline_ms));
            }
            Flow::Paused => {
                self.session.client.raise(ClientFlags::WAITING);
                return Some(Wait::Pause);
            }
            Flow::Busy => {
                self.session.client.raise(ClientFlags::WAITING);
                return Some(Wait::Script);
            }
            Flow::Elsewhere => return Some(Wait::Elsewhere),
        }
        self.decoder.finish();
        wait
    }

    fn end_with(&mut self, error: &Error) {
        tracing::debug!(client = self.session.client.id, %error, "closing");
        self.engine.stats.error(error);
        if !self.session.replies.are_silent() {
            Reply::new(&mut self.output, self.session.protocol()).error(error);
        }
        self.closing = true;
    }

    /// The time to wait is over. False if there is an answer after all, and it is on its way.
    pub(crate) fn resume(&mut self) -> bool {
        if self.awaits_answer {
            let Some(waiter) = self.engine.blocking.claim(self.session.client.id) else {
                return false;
            };
            waiter.write_in_vain(&mut self.output);
            self.go_on(Some(&waiter.ticket));
            return true;
        }
        self.output.write(&std::mem::take(&mut self.withheld));
        self.session.client.lower(ClientFlags::WAITING);
        true
    }

    /// The client has its answer, and leaves the queues that it may still be in.
    pub(crate) fn go_on(&mut self, ticket: Option<&Ticket>) {
        if let Some(ticket) = ticket {
            self.engine.keyspace.leave(ticket);
        }
        self.awaits_answer = false;
        self.session.client.lower(ClientFlags::WAITING);
    }

    /// Says something that is no reply.
    pub(crate) fn post(&mut self, message: &Bytes) {
        self.output.share(message);
    }

    /// Lets others see how much was read that is not executed.
    fn note_unread(&self) {
        self.session.client.seen.unread.store(self.decoder.pending(), Ordering::Relaxed);
    }

    /// Lets others see how much waits here, so that they stop adding to it.
    pub(crate) fn note_unsent(&self) {
        self.session.client.seen.unsent.store(self.output.len(), Ordering::Relaxed);
    }

    /// Whether the client has left more unread, or sent more unasked, than it may.
    pub(crate) fn is_over_limit(&mut self) -> bool {
        let config = &self.engine.config;
        let waiting = self.decoder.pending() + self.session.transaction.bytes();
        if waiting as i64 > config.number(Param::ClientQueryBufferLimit) {
            self.engine.stats.dropped_for_query_buffer.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        let is_subscribed = self.session.subscriptions.are_any();
        let class = if is_subscribed { ClientClass::Pubsub } else { ClientClass::Normal };
        let limit = config.output_limit(class);
        let over = !self.session.authenticated && self.output.len() > OUTPUT_BEFORE_AUTH;
        let over = over
            || !self.output.is_empty()
                && self.over_limit.check(limit, self.output.len(), self.session.moment.now_ms());
        if over {
            self.engine.stats.dropped_for_output_buffer.fetch_add(1, Ordering::Relaxed);
        }
        over
    }

    /// Whether a client that has not authenticated leaves more unread than it may.
    pub(crate) fn is_unread_by_stranger(&self) -> bool {
        !self.session.authenticated && self.output.len() > UNREAD_BEFORE_AUTH
    }

    pub(crate) fn has_unsent(&self) -> bool {
        !self.output.is_empty()
    }

    /// Whether so much is unsent that no request is executed before it is less.
    pub(crate) fn is_full(&self) -> bool {
        self.output.len() >= OUTPUT_HIGH_WATER
    }

    /// Whether nothing more is to be read, and whatever is unsent is the last.
    pub(crate) const fn is_closing(&self) -> bool {
        self.closing
    }

    /// Whether as much has been read as is kept for a client whose next request has to wait.
    pub(crate) fn has_read_ahead(&self) -> bool {
        self.decoder.pending() >= READ_AHEAD
    }

    /// The next pieces to send, as many as `slices` holds; says how many.
    pub(crate) fn pieces<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.output.pieces(slices)
    }

    pub(crate) fn note_sent(&mut self, count: usize) {
        self.output.advance(count);
        self.engine.stats.sent_bytes.fetch_add(count as u64, Ordering::Relaxed);
        self.session.client.seen.sent.fetch_add(count as u64, Ordering::Relaxed);
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.engine.forget(&mut self.session);
        if std::thread::panicking() {
            self.engine.fail("a command panicked; nothing that it may have half changed is served");
        }
    }
}
