//! One client's connection: the stream, and the conversation that goes over it.
//!
//! Reading goes on while replies wait to be sent, as clients that write a whole pipeline before
//! they read anything need it, but only up to a bound: a client that never reads is not read
//! from either, and what it can make the server hold is limited.

use std::future::{Future, pending, poll_fn};
use std::io;
use std::io::IoSlice;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::task::spawn_blocking;

use crate::clients::Delivery;
use crate::conversation::{Conversation, Wait};
use crate::engine::Engine;
use crate::home::Home;
use crate::session::Session;

const SLICES: usize = 16;

pub(crate) struct Connection<S> {
    conversation: Conversation,
    stream: S,
    /// What the next request, or the last reply, has to wait for.
    waiting: Option<Waiting>,
    /// How far the log has to be on the disk before what is unsent may be sent.
    gate: Option<u64>,
}

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

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
            conversation: Conversation::new(engine, session),
            stream,
            waiting: None,
            gate: None,
        }
    }

    /// Serves the client until either side ends the connection.
    pub(crate) async fn serve(mut self) {
        if !self.conversation.engine.is_running() {
            return;
        }
        while let Ok(event) = self.next_event().await {
            match event {
                Event::Received(0) | Event::Finished => return,
                Event::Received(count) => {
                    self.conversation.note_received(count);
                    if self.conversation.is_put_out() {
                        return;
                    }
                }
                Event::Mail(delivery) if delivery.killed => return,
                Event::Mail(delivery) => {
                    for message in delivery.messages {
                        self.conversation.post(&message);
                    }
                    self.conversation.note_unsent();
                    let Some(answer) = delivery.answer else {
                        continue;
                    };
                    self.conversation.go_on(answer.ticket.as_deref());
                    self.waiting = None;
                }
                Event::Resumed => {
                    let is_over = self.conversation.resume();
                    self.waiting = (!is_over).then(|| Box::pin(pending()) as Waiting);
                }
                Event::Drained => {}
            }
            if self.waiting.is_none() {
                let mut wait = self.conversation.execute_pending();
                if wait == Some(Wait::Elsewhere) {
                    let Some(back) = self.execute_elsewhere().await else {
                        return;
                    };
                    (self, wait) = back;
                }
                if let Some(wait) = wait {
                    self.wait_for(wait);
                }
            }
            if self.conversation.is_over_limit() {
                return;
            }
        }
    }

    fn wait_for(&mut self, wait: Wait) {
        let engine = Arc::clone(&self.conversation.engine);
        self.waiting = Some(match wait {
            Wait::Pause => Box::pin(async move { engine.pause.wait(&engine.clock).await }),
            Wait::Script => Box::pin(async move { engine.scripts.running.wait().await }),
            Wait::Elsewhere => unreachable!("a thread that may be kept long executes everything"),
            Wait::Time(duration) => Box::pin(async move { engine.clock.sleep(duration).await }),
            Wait::Answer(i64::MAX) => Box::pin(pending()),
            Wait::Answer(deadline_ms) => {
                Box::pin(async move { engine.clock.sleep_until(deadline_ms).await })
            }
        });
    }

    /// Has the requests that are there executed on a thread that may be kept long. Nothing if the runtime
    /// ends, or the conversation by a panic.
    async fn execute_elsewhere(self) -> Option<(Self, Option<Wait>)> {
        let Connection { mut conversation, stream, waiting, gate } = self;
        let home = std::mem::replace(&mut conversation.session.home, Home::Spare);
        let executed = spawn_blocking(move || {
            let wait = conversation.execute_pending();
            (conversation, wait)
        });
        let (mut conversation, wait) = executed.await.ok()?;
        conversation.session.home = home;
        Some((Connection { conversation, stream, waiting, gate }, wait))
    }

    async fn next_event(&mut self) -> io::Result<Event> {
        poll_fn(|context| self.poll_event(context)).await
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Event>> {
        if self.conversation.has_unsent() {
            if self.is_held_back(context) {
                return if self.conversation.session.client.is_killed() {
                    Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
                } else {
                    Poll::Pending
                };
            }
            let was_full = self.conversation.is_full();
            self.send(context)?;
            if was_full && !self.conversation.is_full() {
                return Poll::Ready(Ok(Event::Drained));
            }
        }
        if self.conversation.is_closing() && !self.conversation.has_unsent() {
            return Poll::Ready(Ok(Event::Finished));
        }
        if let Poll::Ready(delivery) = self.conversation.session.client.poll_mailbox(context) {
            return Poll::Ready(Ok(Event::Mail(delivery)));
        }
        if let Some(waiting) = &mut self.waiting
            && waiting.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Ok(Event::Resumed));
        }
        if !self.reads_on() {
            return Poll::Pending;
        }
        let mut target = self.conversation.target();
        let read = pin!(self.stream.read_buf(&mut target)).poll(context);
        read.map(|result| result.map(Event::Received))
    }

    /// Whether what is unsent tells of something that is not on the disk, where that may not be, or never will be.
    fn is_held_back(&mut self, context: &Context<'_>) -> bool {
        let log = &self.conversation.engine.keyspace.log;
        if !log.is_strict() && !log.is_sealed() {
            return false;
        }
        let wanted = *self.gate.get_or_insert_with(|| log.appended());
        let is_held_back = log.poll_durable(wanted, context).is_pending();
        if !is_held_back {
            self.gate = None;
        }
        is_held_back
    }

    fn reads_on(&self) -> bool {
        let conversation = &self.conversation;
        let has_read_enough = self.waiting.is_some() && conversation.has_read_ahead();
        !conversation.is_closing() && !conversation.is_full() && !has_read_enough
    }

    /// Sends as much as the other side takes.
    fn send(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.conversation.has_unsent() {
            let stream = Pin::new(&mut self.stream);
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.conversation.pieces(&mut slices);
            let Poll::Ready(sent) = (match slices[..count] {
                [piece] => stream.poll_write(context, &piece),
                ref pieces => stream.poll_write_vectored(context, pieces),
            }) else {
                break;
            };
            let sent = sent?;
            if sent == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.conversation.note_sent(sent);
        }
        let stats = &self.conversation.engine.stats;
        stats.writes.fetch_add(1, Ordering::Relaxed);
        self.conversation.note_unsent();
        if self.conversation.is_unread_by_stranger() {
            stats.dropped_for_output_buffer.fetch_add(1, Ordering::Relaxed);
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}
