//! One client's connection: read a buffer, execute every whole request in it, write once.
//!
//! Reading goes on while replies wait to be sent, as clients that write a whole pipeline before
//! they read anything need it, but only up to a bound: a client that never reads is not read
//! from either, and what it can make the server hold is limited.

use std::future::{Future, poll_fn};
use std::io;
use std::io::IoSlice;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::clients::{ClientFlags, Delivery, OverLimit};
use crate::clock::Moment;
use crate::config::{ClientClass, Param};
use crate::engine::Engine;
use crate::error::Error;
use crate::execute::{Flow, execute};
use crate::resp::{Decoder, Limits, Output, Reply};
use crate::session::Session;

/// With so many bytes waiting to be sent, no further request of the client is executed.
const OUTPUT_HIGH_WATER: usize = 32 * 1024 * 1024;
/// What a client that has not authenticated may be owed at once, and what it may leave unread.
const OUTPUT_BEFORE_AUTH: usize = 16 * 1024;
const UNREAD_BEFORE_AUTH: usize = 1024;
/// How much is read ahead while the next request has to wait.
const READ_AHEAD: usize = 1024 * 1024;
const SLICES: usize = 16;
/// How many requests are decoded before the first of them is executed.
const LONGEST_RUN: usize = 64;
/// From how many requests on it pays to look ahead at their keys.
const WORTH_WARMING: usize = 4;

pub(crate) struct Connection<S> {
    engine: Arc<Engine>,
    session: Session,
    stream: S,
    decoder: Decoder,
    output: Output,
    over_limit: OverLimit,
    /// What the next request, or the last reply, has to wait for.
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// The reply that waits.
    withheld: Bytes,
    closing: bool,
}

/// What happened next on a connection.
enum Event {
    Received(usize),
    /// There is room for replies again.
    Drained,
    Mail(Delivery),
    /// What the connection waited for is over.
    Resumed,
    /// Everything is sent, and nothing more is to come.
    Finished,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) fn new(engine: Arc<Engine>, session: Session, stream: S) -> Self {
        engine.clients.add(&session.client);
        engine.stats.connections.fetch_add(1, Ordering::Relaxed);
        Connection {
            engine,
            session,
            stream,
            decoder: Decoder::default(),
            output: Output::default(),
            over_limit: OverLimit::default(),
            waiting: None,
            withheld: Bytes::new(),
            closing: false,
        }
    }

    /// Serves the client until either side ends the connection.
    pub(crate) async fn serve(mut self) {
        if !self.engine.is_running() {
            return;
        }
        while let Ok(event) = self.next_event().await {
            match event {
                Event::Received(0) | Event::Finished => return,
                Event::Received(count) => self.note_received(count),
                Event::Mail(delivery) if delivery.killed => return,
                Event::Mail(delivery) => {
                    for message in delivery.messages {
                        self.output.write(&message);
                    }
                    self.note_unsent();
                    continue;
                }
                Event::Resumed => {
                    self.waiting = None;
                    self.output.write(&std::mem::take(&mut self.withheld));
                    self.session.client.lower(ClientFlags::WAITING);
                }
                Event::Drained => {}
            }
            self.execute_pending();
            if self.is_over_limit() {
                return;
            }
        }
    }

    /// Executes the requests that have been read, as long as their replies have room.
    fn execute_pending(&mut self) {
        self.session.moment = Moment::now(&self.engine.clock);
        let longest_bulk = self.engine.config.longest_string();
        while self.waiting.is_none() && !self.closing && self.output.len() < OUTPUT_HIGH_WATER {
            let limits = Limits { longest_bulk, authenticated: self.session.authenticated };
            self.look_ahead(limits);
            match self.decoder.advance(limits) {
                Ok(true) => self.execute_one(),
                Ok(false) => break,
                Err(error) => {
                    tracing::debug!(client = self.session.client.id, %error, "closing");
                    let error = Error::from(error);
                    self.engine.stats.error(&error);
                    if !self.session.replies.are_silent() {
                        Reply::new(&mut self.output, self.session.protocol()).error(&error);
                    }
                    self.closing = true;
                }
            }
        }
        let seen = &self.session.client.seen;
        seen.last_used_ms.store(self.session.moment.now_ms(), Ordering::Relaxed);
        seen.unread.store(self.decoder.pending(), Ordering::Relaxed);
        self.note_unsent();
    }

    /// Lets others see how much waits here, so that they stop adding to it.
    fn note_unsent(&self) {
        self.session.client.seen.unsent.store(self.output.len(), Ordering::Relaxed);
    }

    /// Decodes a run of requests and brings what they will look up near, all at the same time,
    /// rather than have each wait for its own. Before authentication the limits may change with
    /// every request.
    fn look_ahead(&mut self, limits: Limits) {
        if !limits.authenticated || self.decoder.ready().len() > 0 {
            return;
        }
        self.decoder.decode_ahead(limits, LONGEST_RUN);
        let requests = self.decoder.ready();
        if requests.len() >= WORTH_WARMING {
            let keys = requests.filter_map(|args| args.get(1));
            self.engine.keyspace.warm(keys, self.session.database());
        }
    }

    fn execute_one(&mut self) {
        let (args, mark) = (self.decoder.args(), self.output.mark());
        match execute(&self.engine, &mut self.session, args, &mut self.output) {
            Flow::Continue => {}
            Flow::Close => self.closing = true,
            Flow::Abort => {
                self.output = Output::default();
                self.closing = true;
            }
            Flow::Sleep(duration) => {
                let clock = self.engine.clock.clone();
                self.waiting = Some(Box::pin(async move { clock.sleep(duration).await }));
                self.withheld = self.output.take_back(mark);
                self.session.client.raise(ClientFlags::WAITING);
            }
            Flow::Paused => {
                self.session.client.raise(ClientFlags::WAITING);
                let engine = Arc::clone(&self.engine);
                self.waiting =
                    Some(Box::pin(async move { engine.pause.wait(&engine.clock).await }));
                return;
            }
        }
        self.decoder.finish();
    }

    fn note_received(&self, count: usize) {
        let (seen, stats) = (&self.session.client.seen, &self.engine.stats);
        seen.received.fetch_add(count as u64, Ordering::Relaxed);
        stats.received_bytes.fetch_add(count as u64, Ordering::Relaxed);
        stats.reads.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the client has left more unread, or sent more unasked, than it may.
    fn is_over_limit(&mut self) -> bool {
        let config = &self.engine.config;
        if self.decoder.pending() as i64 > config.number(Param::ClientQueryBufferLimit) {
            self.engine.stats.dropped_for_query_buffer.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        let limit = config.output_limit(ClientClass::Normal);
        let over = !self.session.authenticated && self.output.len() > OUTPUT_BEFORE_AUTH;
        let over = over
            || !self.output.is_empty()
                && self.over_limit.check(limit, self.output.len(), self.session.moment.now_ms());
        if over {
            self.engine.stats.dropped_for_output_buffer.fetch_add(1, Ordering::Relaxed);
        }
        over
    }

    async fn next_event(&mut self) -> io::Result<Event> {
        poll_fn(|context| self.poll_event(context)).await
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Event>> {
        if !self.output.is_empty() {
            let was_full = self.output.len() >= OUTPUT_HIGH_WATER;
            self.send(context)?;
            if was_full && self.output.len() < OUTPUT_HIGH_WATER {
                return Poll::Ready(Ok(Event::Drained));
            }
        }
        if self.closing && self.output.is_empty() {
            return Poll::Ready(Ok(Event::Finished));
        }
        if let Poll::Ready(delivery) = self.session.client.poll_mailbox(context) {
            return Poll::Ready(Ok(Event::Mail(delivery)));
        }
        if let Some(waiting) = &mut self.waiting
            && waiting.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Ok(Event::Resumed));
        }
        if self.closing || self.output.len() >= OUTPUT_HIGH_WATER || self.has_read_ahead() {
            return Poll::Pending;
        }
        let mut target = self.decoder.target();
        let read = pin!(self.stream.read_buf(&mut target)).poll(context);
        read.map(|result| result.map(Event::Received))
    }

    fn has_read_ahead(&self) -> bool {
        self.waiting.is_some() && self.decoder.pending() >= READ_AHEAD
    }

    /// Sends as much as the other side takes.
    fn send(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while !self.output.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.output.pieces(&mut slices);
            let stream = Pin::new(&mut self.stream);
            let Poll::Ready(sent) = stream.poll_write_vectored(context, &slices[..count]) else {
                break;
            };
            let sent = sent?;
            if sent == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.output.advance(sent);
            self.engine.stats.sent_bytes.fetch_add(sent as u64, Ordering::Relaxed);
            self.session.client.seen.sent.fetch_add(sent as u64, Ordering::Relaxed);
        }
        self.engine.stats.writes.fetch_add(1, Ordering::Relaxed);
        self.note_unsent();
        if !self.session.authenticated && self.output.len() > UNREAD_BEFORE_AUTH {
            self.engine.stats.dropped_for_output_buffer.fetch_add(1, Ordering::Relaxed);
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        self.engine.monitors.remove(&self.session.client);
        self.engine.clients.remove(self.session.client.id);
        if std::thread::panicking() {
            self.engine.fail("a command panicked; nothing that it may have half changed is served");
        }
    }
}
