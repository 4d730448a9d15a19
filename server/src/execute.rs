//! The pipeline: every request of every client goes through here, once.
//!
//! Look up, admit, lock, run, count. What a command does is in its family's file; what holds
//! for all commands is said here, and only here.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::blocking::{self, Wish};
use crate::clients::{Client, ClientFlags};
use crate::command::{Args, CommandFlags, Locks, Registered, Table, locate};
use crate::config::{ClientClass, Param};
use crate::engine::{Bar, Engine};
use crate::error::Error;
use crate::home::Home;
use crate::keyspace::{Run, Scope, Txn, Uses};
use crate::latency::Spike;
use crate::limit::OUT_OF_MEMORY;
use crate::monitor::Redacted;
use crate::resp::{Mark, Output, Protocol, Reply};
use crate::script;
use crate::session::{Replies, Session};
use crate::slowlog::{SlowRequest, abridge};
use crate::stats::Executed;

/// What a command's function works with.
pub(crate) struct Call<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) session: &'a mut Session,
    pub(crate) row: &'static Registered,
    pub(crate) args: Args<'a>,
    pub(crate) txn: Txn<'a>,
    pub(crate) reply: Reply<'a>,
    /// Arguments that logs must not show.
    pub(crate) redacted: Redacted,
    /// How the connection goes on after this request.
    pub(crate) flow: Flow,
    /// What the client waits for, if it has to.
    pub(crate) wish: Option<Wish>,
    /// Whether a script executes it.
    pub(crate) is_in_script: bool,
    /// Whether the log knows what the command has done.
    pub(crate) is_told: bool,
}

/// How a connection goes on after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Continue,
    /// Once the reply is sent, the connection ends.
    Close,
    /// The connection ends, and what has not been sent is not.
    Abort,
    /// The request was not executed and waits until the server is no longer paused.
    Paused,
    /// The request was not executed and waits for the end of a script.
    Busy,
    /// The request was not executed: it may take long, and this thread has others to serve.
    Elsewhere,
    /// The reply is sent after this time.
    Sleep(Duration),
    /// The client waits for keys; the reply comes from whoever puts something there, or from its
    /// own connection when this time is over, in milliseconds since 1970.
    Block(i64),
}

/// Executes one request of a run and writes its reply.
pub(crate) fn execute(
    engine: &Engine,
    session: &mut Session,
    args: Args<'_>,
    output: &mut Output,
    held: &mut Run<'_>,
) -> Flow {
    let mut admitted = admit(session, engine, args);
    session.is_out_of_memory = false;
    if engine.config.is_memory_limited() && !session.is_loader() {
        admitted = admitted.and_then(|row| admit_growth(engine, session, row, args, held));
    }
    let row = match admitted {
        Ok(row) => row,
        Err(Error::UnknownCommand(_)) if is_http(args.at(0)) => {
            let client = &session.client.address;
            tracing::warn!(%client, "closing a connection that speaks HTTP: an attack, perhaps");
            return Flow::Abort;
        }
        Err(error) => {
            held.release();
            if args.at(0).eq_ignore_ascii_case(b"exec") {
                show_to_monitors(engine, session, args);
            }
            let error = engine.refuse_in_transaction(session, args.at(0), error);
            return refuse(engine, session, &error, output);
        }
    };
    if engine.pause.is_on() && is_paused(engine, session, row, args) {
        return Flow::Paused;
    }
    if session.transaction.queue.is_some() && !row.command.works_queueing {
        return queue(session, row, args, output);
    }
    if session.home == Home::Alone && runs_scripts(session, row) {
        return Flow::Elsewhere;
    }
    let (mark, was_silent) = (output.mark(), session.replies.are_silent());
    let (result, redacted, flow) = run(engine, session, row, args, output, held);
    if matches!(flow, Flow::Busy | Flow::Abort) {
        return flow;
    }
    let mut spent_ns = session.moment.advance(&engine.clock);
    if let Flow::Sleep(duration) = flow {
        spent_ns = spent_ns.saturating_add(duration.as_nanos() as u64);
    }
    if let Err(error) = &result {
        write_error(engine, row, Reply::new(output, session.protocol()), mark, error);
    }
    // What a transaction says about replies holds for those behind it.
    let is_silent = match row.command.locks {
        Locks::Queued => was_silent,
        _ => session.replies.are_silent(),
    };
    if is_silent {
        output.rewind(mark);
    }
    if !session.messages.is_empty() {
        session.messages.drain(..).for_each(|message| output.share(&message));
    }
    session.replies = session.replies.after_request();
    if session.transaction.queue.is_none() {
        session.tracked.spend(Some(row));
    }
    let tracked = engine.config.enabled(Param::LatencyTracking);
    session.tally.add(&engine.stats, Executed { row: row.id, tracked, spent_ns });
    account(engine, session, row, (spent_ns, None), redacted.shown(args));
    flow
}

/// Writes the error of a command in place of what it has written since the mark.
pub(crate) fn write_error(
    engine: &Engine,
    row: &Registered,
    mut reply: Reply<'_>,
    mark: Mark,
    error: &Error,
) {
    reply.rewind(mark);
    reply.error(error);
    engine.stats.error(error);
    engine.stats.failed(row).fetch_add(1, Ordering::Relaxed);
}

/// Runs the command's function with its keys locked.
#[inline]
fn run(
    engine: &Engine,
    session: &mut Session,
    row: &'static Registered,
    args: Args<'_>,
    output: &mut Output,
    held: &mut Run<'_>,
) -> (Result<(), Error>, Redacted, Flow) {
    let mut call = Call {
        engine,
        row,
        args,
        txn: lock(engine, session, row, args, held),
        reply: Reply::new(output, session.protocol()),
        session,
        redacted: Redacted::default(),
        flow: Flow::Continue,
        wish: None,
        is_in_script: false,
        is_told: false,
    };
    if engine.scripts.running.is_away() && call.txn.holds_any() && !call.session.is_loader() {
        if !engine.scripts.running.is_late()
            || !row.command.flags.contains(CommandFlags::ALLOW_BUSY)
        {
            return (Ok(()), call.redacted, Flow::Busy);
        }
        // For the script no time passes: nothing is over for it that was not when it began.
        call.txn.stop_expiry();
    }
    if engine.bars.any() && engine.bars.has(Bar::Settled) && call.txn.holds_any() {
        return (Ok(()), call.redacted, Flow::Abort);
    }
    call.txn.observe(engine.wanted());
    if call.session.is_loader() {
        call.txn.stop_expiry();
    }
    let result = call.perform();
    call.txn.end_unit();
    if call.wish.is_some() || call.txn.is_awaited() {
        wait_or_serve(&mut call);
    }
    (result, call.redacted, call.flow)
}

/// Keeps a request for EXEC, if it may still be executed.
#[cold]
fn queue(
    session: &mut Session,
    row: &'static Registered,
    args: Args<'_>,
    output: &mut Output,
) -> Flow {
    let is_broken = session.client.watch.is_broken();
    if let Some(queue) = &mut session.transaction.queue
        && !queue.is_aborted
        && !is_broken
    {
        queue.push(row, args);
    }
    session.transaction.show(&session.client);
    if !session.replies.are_silent() {
        Reply::new(output, session.protocol()).simple("QUEUED");
    }
    session.replies = session.replies.after_request();
    Flow::Continue
}

/// Has the client wait if it has to, and serves those who have waited for what has come or gone.
#[cold]
fn wait_or_serve(call: &mut Call<'_>) {
    if let Some(wish) = call.wish.take() {
        call.engine.blocking.enter(call, wish);
    }
    blocking::serve(call);
}

/// The row of a request that may be executed now.
fn admit(session: &Session, engine: &Engine, args: Args<'_>) -> Result<&'static Registered, Error> {
    let found = Table::get().find(args);
    let noted = found.as_ref().map_or(0, |row| row.id + 1);
    session.client.seen.command.store(noted, Ordering::Relaxed);
    let row = found?;
    if !row.command.accepts(args.len()) {
        count_rejected(engine, row);
        return Err(Error::WrongArity(row.name.clone()));
    }
    if row.command.flags.contains(CommandFlags::PROTECTED) && !session.is_direct() {
        admit_protected(engine, session, row.command.name)?;
    }
    let may_go_on = session.authenticated || !engine.has_password();
    if !may_go_on && !row.command.flags.contains(CommandFlags::NO_AUTH) {
        count_rejected(engine, row);
        return Err(Error::NoAuth);
    }
    let is_message_mode = session.subscriptions.are_any() && session.protocol() == Protocol::Resp2;
    if is_message_mode && !row.command.works_subscribed {
        count_rejected(engine, row);
        return Err(Error::format(format_args!(
            "Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are \
             allowed in this context",
            row.name
        )));
    }
    let is_queueing = session.transaction.queue.is_some();
    if is_queueing && row.command.flags.contains(CommandFlags::NO_MULTI) {
        count_rejected(engine, row);
        return Err(Error::err("Command not allowed inside a transaction"));
    }
    let touches_keys = CommandFlags::WRITE.union(CommandFlags::READONLY);
    if row.command.flags.intersects(touches_keys) && session.client.has(ClientFlags::MONITOR) {
        count_rejected(engine, row);
        return Err(Error::err("Replica can't interact with the keyspace"));
    }
    if engine.bars.any()
        && !session.is_loader()
        && let Some(error) = engine.bar(row.command.flags, || is_write(engine, session, row, args))
    {
        count_rejected(engine, row);
        return Err(error);
    }
    if engine.scripts.running.is_late() && !row.command.flags.contains(CommandFlags::ALLOW_BUSY) {
        count_rejected(engine, row);
        return Err(engine.scripts.running.busy());
    }
    Ok(row)
}

/// Makes room where there is too little; the row of a request that may be executed nevertheless.
fn admit_growth(
    engine: &Engine,
    session: &mut Session,
    row: &'static Registered,
    args: Args<'_>,
    held: &mut Run<'_>,
) -> Result<&'static Registered, Error> {
    if !engine.is_over_limit() {
        return Ok(row);
    }
    held.release();
    session.is_out_of_memory = !engine.make_room();
    if !session.is_out_of_memory || !takes_memory(engine, session, row, args) {
        return Ok(row);
    }
    count_rejected(engine, row);
    Err(OUT_OF_MEMORY)
}

/// Whether a request takes memory, or executes others that do.
fn takes_memory(
    engine: &Engine,
    session: &Session,
    row: &'static Registered,
    args: Args<'_>,
) -> bool {
    let takes = |row: &Registered, args: Args<'_>| {
        let is_script = row.command.locks == Locks::Script;
        row.command.flags.contains(CommandFlags::DENYOOM)
            || is_script && script::takes_memory(&engine.scripts, args)
    };
    let queue = session.transaction.queue.as_ref();
    let queued = queue.filter(|queue| row.command.locks == Locks::Queued && !queue.is_aborted);
    let mut queued = queued.into_iter().flat_map(|queue| &queue.requests);
    takes(row, args) || queued.any(|(row, request)| takes(row, request.args()))
}

/// Commands for people who look after the server, closed unless it was started otherwise.
fn admit_protected(engine: &Engine, session: &Session, name: &str) -> Result<(), Error> {
    if engine.config.admits(Param::EnableDebugCommand, session.client.is_local()) {
        return Ok(());
    }
    Err(Error::format(format_args!(
        "{} command not allowed. If the enable-{name}-command option is set to \"local\", you can \
         run it from a local connection, otherwise you need to set this option in the \
         configuration file, and then restart the server.",
        name.to_ascii_uppercase(),
    )))
}

/// A browser can be made to send a request to any port of its machine, with commands in its body.
/// These words are in all such requests before the body.
fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

fn count_rejected(engine: &Engine, row: &Registered) {
    engine.stats.rejected(row).fetch_add(1, Ordering::Relaxed);
}

fn refuse(engine: &Engine, session: &mut Session, error: &Error, output: &mut Output) -> Flow {
    engine.stats.error(error);
    if !session.replies.are_silent() {
        Reply::new(output, session.protocol()).error(error);
    }
    session.replies = session.replies.after_request();
    session.tracked.spend(None);
    Flow::Continue
}

/// Whether a request runs scripts, which take as long as they like.
fn runs_scripts(session: &Session, row: &Registered) -> bool {
    let is_script = |row: &Registered| row.command.locks == Locks::Script;
    let queue = session.transaction.queue.as_ref();
    let queued = queue.filter(|_| row.command.locks == Locks::Queued);
    is_script(row)
        || queued.is_some_and(|queue| queue.requests.iter().any(|(row, _)| is_script(row)))
}

/// Whether a request changes keys, or executes others that do, or counts as one.
fn is_write(engine: &Engine, session: &Session, row: &'static Registered, args: Args<'_>) -> bool {
    let writes = |row: &Registered, args: Args<'_>| {
        let is_script = row.command.locks == Locks::Script;
        row.command.flags.contains(CommandFlags::WRITE)
            || is_script && script::declares_writes(&engine.scripts, args)
    };
    let queue = session.transaction.queue.as_ref();
    let queued = queue.filter(|_| row.command.locks == Locks::Queued);
    let mut queued = queued.into_iter().flat_map(|queue| &queue.requests);
    row.command.is_probe
        || writes(row, args)
        || queued.any(|(row, request)| writes(row, request.args()))
}

/// Whether a request has any of these flags, or executes others that do.
fn may_write(
    engine: &Engine,
    session: &Session,
    row: &'static Registered,
    args: Args<'_>,
    flags: CommandFlags,
) -> bool {
    let writes = |row: &Registered, args: Args<'_>| {
        let runs = row.command.locks == Locks::Script;
        row.command.flags.intersects(flags) || runs && script::may_write(&engine.scripts, args)
    };
    let queue = session.transaction.queue.as_ref();
    let queued = queue.filter(|_| row.command.locks == Locks::Queued);
    let mut queued = queued.into_iter().flat_map(|queue| &queue.requests);
    writes(row, args) || queued.any(|(row, request)| writes(row, request.args()))
}

fn is_paused(engine: &Engine, session: &Session, row: &'static Registered, args: Args<'_>) -> bool {
    let flags = CommandFlags::WRITE.union(CommandFlags::MAY_REPLICATE);
    let is_write = may_write(engine, session, row, args, flags);
    !session.is_direct() && engine.pause.holds(is_write, session.moment.now_ms())
}

/// Locks what the command's row says that it uses.
fn lock<'a>(
    engine: &Engine,
    session: &Session,
    row: &Registered,
    args: Args<'_>,
    held: &'a mut Run<'_>,
) -> Txn<'a> {
    let uses = uses(engine, &session.client);
    let scope = Scope { database: session.database(), now_ms: session.moment.now_ms(), uses };
    match (row.command.locks, row.sole_key) {
        (Locks::All | Locks::Script, _) => held.lock_all(scope),
        (Locks::Queued, _) => lock_queued(session, held, scope),
        (Locks::Watched, _) => {
            held.lock(session.transaction.watched.iter().map(|(_, key)| &**key), scope)
        }
        (Locks::Keys, Some(index)) => held.lock_key(args.at(index), scope),
        (Locks::Keys, None) if row.command.keys.is_empty() => held.lock_none(scope),
        (Locks::Keys, None) => held.lock(locate::keys(row.command, args), scope),
    }
}

/// Locks what all requests of a transaction use, and what is watched.
fn lock_queued<'a>(session: &Session, held: &'a mut Run<'_>, scope: Scope) -> Txn<'a> {
    let transaction = &session.transaction;
    let queued = transaction.queue.as_ref().map_or(&[][..], |queue| &queue.requests);
    if queued.iter().any(|(row, _)| matches!(row.command.locks, Locks::All | Locks::Script)) {
        return held.lock_all(scope);
    }
    let used = queued.iter().flat_map(|(row, request)| locate::keys(row.command, request.args()));
    let watched = transaction.watched.iter().map(|(_, key)| &**key);
    held.lock(used.chain(watched), scope)
}

/// What it means for a key that this client looks at it.
pub(crate) fn uses(engine: &Engine, client: &Client) -> Uses {
    if client.has(ClientFlags::NO_TOUCH) { Uses::Ignored } else { noted_uses(engine) }
}

/// What it means for a key to be looked at by whoever is not ignored.
pub(crate) fn noted_uses(engine: &Engine) -> Uses {
    if engine.config.counts_uses() { Uses::Counted(engine.counting()) } else { Uses::Noted }
}

/// What is noted of every request that was executed, in how long, and by whom if not by the client itself.
fn account<'a>(
    engine: &Engine,
    session: &Session,
    row: &'static Registered,
    (spent_ns, origin): (u64, Option<&str>),
    words: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
) {
    let flags = row.command.flags;
    if engine.monitors.any()
        && !flags.intersects(CommandFlags::SKIP_MONITOR.union(CommandFlags::ADMIN))
    {
        feed_monitors(engine, session, origin, words.clone());
    }
    let micros = spent_ns / 1000;
    let slower_than = engine.config.number(Param::SlowlogLogSlowerThan);
    if slower_than >= 0
        && micros as i64 >= slower_than
        && !flags.contains(CommandFlags::SKIP_SLOWLOG)
    {
        note_slow(engine, session, micros, words);
    }
    let threshold_ms = engine.config.number(Param::LatencyMonitorThreshold);
    if threshold_ms > 0 && (micros / 1000) as i64 >= threshold_ms {
        let event = if flags.contains(CommandFlags::FAST) { "fast-command" } else { "command" };
        let time_s = session.moment.now_ms() / 1000;
        engine.latency.add(event, Spike { time_s, spent_ms: micros / 1000 });
    }
}

/// Shows a request to those who watch all requests.
fn feed_monitors<'a>(
    engine: &Engine,
    session: &Session,
    origin: Option<&str>,
    words: impl Iterator<Item = &'a [u8]>,
) {
    let limit = engine.config.output_limit(ClientClass::Replica);
    let origin = (session.database(), origin.unwrap_or(&session.client.address));
    engine.monitors.feed(session.moment.now_us(), origin, words, limit);
}

fn show_to_monitors(engine: &Engine, session: &Session, args: Args<'_>) {
    if engine.monitors.any() {
        feed_monitors(engine, session, None, args.iter());
    }
}

#[cold]
fn note_slow<'a>(
    engine: &Engine,
    session: &Session,
    spent_us: u64,
    words: impl ExactSizeIterator<Item = &'a [u8]>,
) {
    let request = SlowRequest {
        id: 0,
        time_s: session.moment.now_ms() / 1000,
        spent_us,
        arguments: abridge(words),
        address: session.client.address.clone(),
        client_name: session.client.names().name.clone(),
    };
    let most = engine.config.number(Param::SlowlogMaxLen) as usize;
    engine.slowlog.add(request, most);
}

impl Call<'_> {
    /// Adds what this client has done so far to the server's statistics, before they are read.
    pub(crate) fn settle_statistics(&mut self) {
        self.session.tally.flush(&self.engine.stats);
    }

    /// Tells those who want to know what has happened to keys. What concerns the client itself follows
    /// its reply.
    pub(crate) fn announce(&mut self) {
        let notes = self.txn.take_notes();
        self.engine.announce(notes, Some(self.session.client.id), self.now_ms());
        self.session.collect_mail();
    }

    /// Runs the command's function, and tells what it did to keys.
    #[inline]
    fn perform(&mut self) -> Result<(), Error> {
        let result = (self.row.command.run)(self);
        self.tell_if_changed();
        if self.txn.has_notes() {
            self.announce();
        }
        if self.remembers_reading() {
            let keys = locate::keys(self.row.command, self.args);
            self.engine.tracking.remember(self.session.client.id, keys);
        }
        result
    }

    /// Tells the log of the request as it came, if it has changed anything and nothing else was told.
    pub(crate) fn tell_if_changed(&mut self) {
        // What is for tests of the server, such as loading anew, is not done again.
        let is_write = self.row.command.flags.contains(CommandFlags::WRITE);
        if self.txn.is_to_be_told() && !self.is_told && is_write {
            self.txn.effect(self.args.iter());
        }
    }

    /// Tells the log what the request has done, where doing the request again would do something else. Several
    /// commands are told one by one.
    pub(crate) fn tell<'w>(&mut self, words: impl ExactSizeIterator<Item = &'w [u8]>) {
        if self.txn.has_log() {
            self.is_told = true;
            self.txn.effect(words);
        }
    }

    /// Whether the client wants to know when what the command has read is changed.
    pub(crate) fn remembers_reading(&self) -> bool {
        // A script reads what it reads by commands of its own.
        let reads = self.row.command.flags.contains(CommandFlags::READONLY)
            && self.row.command.locks != Locks::Script;
        reads && self.session.tracked.remembers()
    }

    /// Executes another request within this one, with the shards that this one holds. An error is part
    /// of the reply, like any other.
    pub(crate) fn execute_inside(&mut self, row: &'static Registered, args: Args<'_>) {
        let (mark, replies) = (self.reply.mark(), self.session.replies);
        let reply = self.reply.lend(self.session.protocol());
        let inner = Inner { engine: self.engine, session: self.session, txn: &mut self.txn, reply };
        let (flow, _) = inner.execute(row, args, None);
        let asks_for_silence = self.session.replies != replies;
        // Who has ended its own connection hears no more, though the rest is executed.
        let is_off = self.session.replies == Replies::Off || self.flow == Flow::Close;
        if is_off || asks_for_silence && self.session.replies.are_silent() {
            self.reply.rewind(mark);
        }
        if flow != Flow::Continue {
            self.flow = flow;
        }
    }

    /// The same for a script, which gets the reply in the version that it has asked for.
    pub(crate) fn execute_for_script(
        &mut self,
        row: &'static Registered,
        args: Args<'_>,
        output: &mut Output,
        protocol: Protocol,
    ) -> Duration {
        let reply = Reply::new(output, protocol);
        let inner = Inner { engine: self.engine, session: self.session, txn: &mut self.txn, reply };
        let (_, spent_ns) = inner.execute(row, args, Some("lua"));
        Duration::from_nanos(spent_ns)
    }

    /// Shows the request to those who watch all requests, ahead of those that it executes itself.
    pub(crate) fn show_to_monitors(&self) {
        show_to_monitors(self.engine, self.session, self.args);
    }

    /// Has the client wait. Who cannot be kept waiting has waited in vain.
    pub(crate) fn wait(&mut self, wish: Wish) {
        if self.session.is_direct() || self.session.transaction.is_executing {
            wish.in_vain.write_at_once(&mut self.reply);
        } else {
            self.flow = Flow::Block(wish.deadline_ms.unwrap_or(i64::MAX));
            self.wish = Some(wish);
        }
    }

    /// Milliseconds since 1970, standing still while the command runs.
    pub(crate) const fn now_ms(&self) -> i64 {
        self.txn.now_ms()
    }
}

/// A request within another one.
struct Inner<'a, 't> {
    engine: &'a Engine,
    session: &'a mut Session,
    txn: &'a mut Txn<'t>,
    reply: Reply<'a>,
}

impl Inner<'_, '_> {
    /// Executes it, and says in how many nanoseconds; `origin` is what monitors are shown in place of the client's
    /// address.
    fn execute(
        self,
        row: &'static Registered,
        args: Args<'_>,
        origin: Option<&str>,
    ) -> (Flow, u64) {
        let Inner { engine, session, txn, mut reply } = self;
        let began_ns = engine.clock.monotonic_ns();
        let (mark, protocol) = (reply.mark(), reply.protocol());
        let database = session.database();
        let mut call = Call {
            engine,
            row,
            args,
            txn: txn.lend(database, uses(engine, &session.client)),
            reply: reply.lend(protocol),
            session,
            redacted: Redacted::default(),
            flow: Flow::Continue,
            wish: None,
            is_in_script: origin.is_some(),
            is_told: false,
        };
        let result = call.perform();
        for place in call.txn.take_ready() {
            if !call.session.transaction.ready.contains(&place) {
                call.session.transaction.ready.push(place);
            }
        }
        let (flow, redacted) = (call.flow, call.redacted);
        drop(call);
        if let Err(error) = &result {
            write_error(engine, row, reply, mark, error);
        }
        let spent_ns = (engine.clock.monotonic_ns() - began_ns).max(0) as u64;
        let tracked = engine.config.enabled(Param::LatencyTracking);
        session.tally.add(&engine.stats, Executed { row: row.id, tracked, spent_ns });
        account(engine, session, row, (spent_ns, origin), redacted.shown(args));
        (flow, spent_ns)
    }
}
