//! Clients that wait for keys, and how they are served.
//!
//! A command that finds nothing to take has its client wait. Whoever puts something there serves
//! those who wait, before anything else happens to the keys: their commands run again, in the
//! order that they came, and what these reply goes to the clients' mailboxes. What a command does
//! is its own affair; which keys it waits for stands on its ticket, in the keyspace.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use crate::clients::Client;
use crate::clock::Moment;
use crate::command::args::Request;
use crate::command::{CommandFlags, Locks, Registered, locate};
use crate::engine::Engine;
use crate::error::Error;
use crate::execute::{Call, Flow, uses, write_error};
use crate::keyspace::{Awaited, Place, Run, Scope, Ticket, Txn, Uses};
use crate::limit::OUT_OF_MEMORY;
use crate::monitor::Redacted;
use crate::resp::{Output, Protocol, Reply};
use crate::session::Session;

/// What a command waits for that has found nothing.
#[derive(Debug)]
pub(crate) struct Wish {
    /// The arguments from here on, so many, are the keys.
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) awaited: Awaited,
    /// What is to be run once there is something, if it is not the request as it came.
    pub(crate) rewritten: Option<Request>,
    /// By the server's clock; without one the client waits until something comes.
    pub(crate) deadline_ms: Option<i64>,
    pub(crate) in_vain: InVain,
}

/// The reply to who has waited in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InVain {
    /// No list of elements.
    Nothing,
    /// No element, though it is the end of a wait that is told like the others.
    NoElement,
    Zero,
}

impl InVain {
    pub(crate) fn write(self, reply: &mut Reply<'_>) {
        match self {
            InVain::Nothing | InVain::NoElement => reply.null_array(),
            InVain::Zero => reply.integer(0),
        }
    }

    /// The reply to who may not wait at all.
    pub(crate) fn write_at_once(self, reply: &mut Reply<'_>) {
        match self {
            InVain::NoElement => reply.null(),
            other => other.write(reply),
        }
    }
}

/// All who wait.
#[derive(Debug, Default)]
pub(crate) struct Blocking {
    /// By the id of the client. Who takes one out decides how the wait ends.
    waiters: Mutex<HashMap<u64, Waiter>>,
    last_ticket: AtomicU64,
}

/// A client that waits, and what it needs to have its command run again by somebody else.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) ticket: Arc<Ticket>,
    client: Arc<Client>,
    row: &'static Registered,
    request: Request,
    protocol: Protocol,
    is_silent: bool,
    is_timed: bool,
    /// Whether it wants to know when what it reads is changed.
    is_tracked: bool,
    in_vain: InVain,
}

impl Blocking {
    /// Has the client wait for what its command wishes. The command still holds its keys, so nothing
    /// can have come meanwhile.
    pub(crate) fn enter(&self, call: &mut Call<'_>, wish: Wish) {
        let keys = call.args.from(wish.first).take(wish.count);
        let number = self.next_number();
        let client = &call.session.client;
        let used = locate::keys(call.row.command, call.args);
        let ticket = Arc::new(call.txn.ticket((number, client.id), wish.awaited, keys, used));
        let waiter = Waiter {
            ticket: Arc::clone(&ticket),
            client: Arc::clone(client),
            row: call.row,
            request: wish.rewritten.unwrap_or_else(|| Request::from(call.args)),
            protocol: call.session.protocol(),
            is_silent: call.session.replies.are_silent(),
            is_tracked: call.remembers_reading(),
            is_timed: wish.deadline_ms.is_some(),
            in_vain: wish.in_vain,
        };
        self.waiters().insert(client.id, waiter);
        call.txn.join(&ticket);
    }

    /// Behind all places that were given so far.
    fn next_number(&self) -> u64 {
        self.last_ticket.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Ends a client's wait, unless somebody else has. Whoever does tells the client, and sees to it
    /// that the ticket leaves its queues.
    pub(crate) fn claim(&self, client: u64) -> Option<Waiter> {
        self.waiters().remove(&client)
    }

    /// Ends a client's wait as if nothing had come in time, or with an error; whether it waited.
    pub(crate) fn unblock(&self, client: u64, error: Option<&Error>) -> bool {
        let Some(waiter) = self.claim(client) else {
            return false;
        };
        let mut output = Output::default();
        let mut reply = Reply::new(&mut output, waiter.protocol);
        match error {
            Some(error) => reply.error(error),
            None => waiter.in_vain.write(&mut reply),
        }
        waiter.answer(&mut output, Some(Arc::clone(&waiter.ticket)));
        true
    }

    /// How many wait with a deadline.
    pub(crate) fn timed(&self) -> usize {
        self.waiters().values().filter(|waiter| waiter.is_timed).count()
    }

    /// How many keys are waited for by those whose tickets are chosen.
    pub(crate) fn keys(&self, is_chosen: impl Fn(&Ticket) -> bool) -> usize {
        let waiters = self.waiters();
        let chosen = waiters.values().filter(|waiter| is_chosen(&waiter.ticket));
        let places = |waiter: &Waiter| {
            let database = waiter.ticket.database;
            waiter.ticket.keys.iter().map(|key| (database, key.clone())).collect::<Vec<_>>()
        };
        chosen.flat_map(places).collect::<BTreeSet<Place>>().len()
    }

    fn waiters(&self) -> MutexGuard<'_, HashMap<u64, Waiter>> {
        self.waiters.lock().expect("nothing panics while it holds those who wait")
    }
}

impl Waiter {
    /// Writes what is replied when time is over.
    pub(crate) fn write_in_vain(&self, output: &mut Output) {
        if !self.is_silent {
            self.in_vain.write(&mut Reply::new(output, self.protocol));
        }
    }

    /// What stands for the client while another one's connection runs its command.
    fn session(&self, moment: Moment) -> Session {
        let mut session = Session::new(Arc::clone(&self.client), true, moment);
        session.select(self.ticket.database);
        session.speak(self.protocol);
        session
    }

    /// Gives the client its reply. A ticket that is still in its queues has to be taken out by the
    /// client's connection.
    fn answer(&self, output: &mut Output, ticket: Option<Arc<Ticket>>) {
        let reply = if self.is_silent { Bytes::new() } else { output.take() };
        self.client.answer(reply, ticket);
    }
}

/// Serves those who wait for keys under which a command has put something, or has taken it away.
pub(crate) fn serve(call: &mut Call<'_>) {
    let mut ready = match call.row.command.locks {
        Locks::Queued | Locks::Script => std::mem::take(&mut call.session.transaction.ready),
        _ => call.txn.take_ready(),
    };
    while !ready.is_empty() {
        for (database, key) in std::mem::take(&mut ready) {
            let uses = uses(call.engine, &call.session.client);
            let txn = call.txn.lend(database, uses);
            let mut serving = Serving { engine: call.engine, moment: call.session.moment, txn };
            ready.append(&mut serving.serve_key(&key));
        }
    }
}

/// Serves those who wait for a key that is gone because its time was over, as far as they mind.
pub(crate) fn serve_loss(engine: &Engine, run: &mut Run<'_>, (database, key): (usize, &[u8])) {
    let moment = Moment::now(&engine.clock);
    let scope = Scope { database, now_ms: moment.now_ms(), uses: Uses::Ignored };
    let mut serving = Serving { engine, moment, txn: run.lock_key(key, scope) };
    serving.serve_key(key);
}

/// Serving in the name of whoever has put something somewhere.
struct Serving<'a> {
    engine: &'a Engine,
    moment: Moment,
    txn: Txn<'a>,
}

impl Serving<'_> {
    /// Serves those who wait for a key as long as there is something for them. What is given are
    /// the keys that this has put something under.
    fn serve_key(&mut self, key: &[u8]) -> Vec<Place> {
        let (mut ready, mut last) = (Vec::new(), 0);
        while let Some((place, ticket)) = self.txn.next_waiting(key, last) {
            let ticket = Arc::clone(ticket);
            last = place;
            let kind = self.txn.peek(key).map(|entry| entry.value().kind());
            if kind.is_none() && !self.txn.is_loss_minded(key) {
                break;
            }
            if kind == Some(ticket.awaited.kind) || ticket.awaited.minds_loss {
                ready.append(&mut self.serve_waiter(&ticket, key));
            }
        }
        ready
    }

    /// Runs the command of a client that waits once more. Nobody else can end the wait meanwhile.
    fn serve_waiter(&mut self, ticket: &Arc<Ticket>, key: &[u8]) -> Vec<Place> {
        let engine = self.engine;
        let mut waiters = engine.blocking.waiters();
        let current = waiters.get(&ticket.client);
        let Some(waiter) = current.filter(|waiter| waiter.ticket.number == ticket.number) else {
            return Vec::new();
        };
        if waiter.client.is_killed() {
            return Vec::new();
        }
        let mut output = Output::default();
        let (is_served, ready) = self.rerun(waiter, &mut output);
        if !is_served {
            self.txn.queue_anew(ticket, key, engine.blocking.next_number());
            return ready;
        }
        // What the reply tells of is in the log before the client can go on.
        self.txn.tell();
        waiter.answer(&mut output, None);
        waiters.remove(&ticket.client);
        self.txn.leave(ticket);
        ready
    }

    /// Runs a command that found nothing before. What is given is whether its wait is over, and the keys
    /// that it has put something under, or found to be gone.
    fn rerun(&mut self, waiter: &Waiter, output: &mut Output) -> (bool, Vec<Place>) {
        let (engine, mut session) = (self.engine, waiter.session(self.moment));
        if engine.limit.is_full() && waiter.row.command.flags.contains(CommandFlags::DENYOOM) {
            Reply::new(output, waiter.protocol).error(&OUT_OF_MEMORY);
            return (true, Vec::new());
        }
        let mark = output.mark();
        let mut call = Call {
            engine,
            session: &mut session,
            row: waiter.row,
            args: waiter.request.args(),
            txn: self.txn.lend(waiter.ticket.database, uses(engine, &waiter.client)),
            reply: Reply::new(output, waiter.protocol),
            redacted: Redacted::default(),
            flow: Flow::Continue,
            wish: None,
            is_in_script: false,
            is_told: false,
        };
        let result = (waiter.row.command.run)(&mut call);
        call.tell_if_changed();
        call.txn.end_unit();
        let notes = call.txn.take_notes();
        engine.announce(notes, Some(waiter.client.id), self.moment.now_ms());
        if waiter.is_tracked {
            engine.tracking.remember(waiter.client.id, locate::keys(call.row.command, call.args));
        }
        let ready = call.txn.take_ready();
        let waits_on = call.wish.is_some();
        drop(call);
        if let Err(error) = result {
            write_error(engine, waiter.row, Reply::new(output, waiter.protocol), mark, &error);
        }
        (!waits_on, ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::config::Config;
    use crate::execute::execute;
    use crate::random::Random;

    fn waiting(engine: &Engine, id: u64) -> Session {
        let client = Client::new(id, String::new(), String::new(), 0);
        let mut session = Session::new(Arc::new(client), true, Moment::now(&engine.clock));
        let mut request = Request::default();
        for word in ["BLPOP", "one", "other", "0"] {
            request.push(word.as_bytes());
        }
        let (mut output, mut run) = (Output::default(), Run::new(&engine.keyspace));
        let flow = execute(engine, &mut session, request.args(), &mut output, &mut run);
        assert!(matches!(flow, Flow::Block(_)));
        session
    }

    fn is_awaited(engine: &Engine) -> bool {
        let scope = Scope { database: 0, now_ms: 0, uses: Uses::Ignored };
        Run::new(&engine.keyspace).lock_all(scope).is_awaited()
    }

    #[test]
    fn whoever_ends_leaves_its_queues_however_its_wait_has_ended() {
        let engine = Engine::new(Config::new(), Clock::manual(), Random::seeded(1));
        let endings: [fn(&Engine, u64); 3] = [
            |_, _| {},
            |engine, id| assert!(engine.blocking.unblock(id, None)),
            |engine, id| assert!(engine.blocking.unblock(id, Some(&Error::Unblocked))),
        ];
        for (id, end) in (1..).zip(endings) {
            let mut session = waiting(&engine, id);
            assert!(is_awaited(&engine));
            end(&engine, id);
            session.client.kill();
            engine.forget(&mut session);
            assert!(!is_awaited(&engine), "ending {id}");
        }
    }
}
