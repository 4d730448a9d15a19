//! MULTI and EXEC: several commands as one; WATCH: only if nothing has changed meanwhile.

use super::metadata::{Group, KeySpec, categories, flags};
use super::{Command, Locks};
use crate::error::Error;
use crate::execute::Call;
use crate::transaction::Queue;

pub(super) const COMMANDS: &[&Command] = &[&MULTI, &EXEC, &DISCARD, &WATCH, &UNWATCH];

const MULTI: Command = Command {
    name: "multi",
    arity: 1,
    flags: flags("noscript loading stale fast allow_busy"),
    categories: categories("transaction"),
    group: Group::Transactions,
    since: "1.2.0",
    summary: "Begins a transaction.",
    run: multi,
    works_queueing: true,
    ..Command::BASE
};

fn multi(call: &mut Call<'_>) -> Result<(), Error> {
    let transaction = &mut call.session.transaction;
    if transaction.queue.is_some() {
        return Err(Error::err("MULTI calls can not be nested"));
    }
    transaction.queue = Some(Queue::default());
    transaction.show(&call.session.client);
    call.reply.ok();
    Ok(())
}

const EXEC: Command = Command {
    name: "exec",
    arity: 1,
    flags: flags("noscript loading stale skip_slowlog"),
    categories: categories("transaction"),
    locks: Locks::Queued,
    group: Group::Transactions,
    since: "1.2.0",
    complexity: "Depends on commands in the transaction",
    summary: "Executes all commands of a transaction.",
    run: exec,
    works_queueing: true,
    ..Command::BASE
};

fn exec(call: &mut Call<'_>) -> Result<(), Error> {
    let queue = call.session.transaction.queue.take();
    let queue = queue.ok_or(Error::err("EXEC without MULTI"))?;
    let has_changed = unwatch_all(call);
    let result = if queue.is_aborted {
        Err(Error::coded("EXECABORT Transaction discarded because of previous errors."))
    } else if has_changed {
        call.reply.null_array();
        Ok(())
    } else {
        call.reply.array(queue.requests.len());
        execute_all(call, &queue);
        Ok(())
    };
    call.session.transaction.show(&call.session.client);
    result
}

fn execute_all(call: &mut Call<'_>, queue: &Queue) {
    call.session.transaction.is_executing = true;
    call.session.transaction.ready.clear();
    for (row, request) in &queue.requests {
        call.execute_inside(row, request.args());
    }
    call.session.transaction.is_executing = false;
}

/// Watches nothing more; whether anything has changed that was watched.
fn unwatch_all(call: &mut Call<'_>) -> bool {
    let watch = &call.session.client.watch;
    let watched = std::mem::take(&mut call.session.transaction.watched);
    call.txn.unwatch(&watched, watch);
    let has_changed = watch.is_broken();
    watch.mend();
    has_changed
}

const DISCARD: Command = Command {
    name: "discard",
    arity: 1,
    flags: flags("noscript loading stale fast allow_busy"),
    categories: categories("transaction"),
    locks: Locks::Watched,
    group: Group::Transactions,
    since: "2.0.0",
    complexity: "O(N), when N is the number of queued commands",
    summary: "Ends a transaction without executing anything.",
    run: discard,
    works_queueing: true,
    ..Command::BASE
};

fn discard(call: &mut Call<'_>) -> Result<(), Error> {
    let queue = call.session.transaction.queue.take();
    queue.ok_or(Error::err("DISCARD without MULTI"))?;
    unwatch_all(call);
    call.session.transaction.show(&call.session.client);
    call.reply.ok();
    Ok(())
}

const WATCH: Command = Command {
    name: "watch",
    arity: -2,
    flags: flags("noscript loading stale fast allow_busy"),
    categories: categories("transaction"),
    keys: &[KeySpec::range(1, -1, 1, "RO")],
    group: Group::Transactions,
    since: "2.2.0",
    complexity: "O(1) for every key.",
    usage: "key [key ...]",
    summary: "Has the next transaction executed only if keys do not change before.",
    run: watch,
    works_queueing: true,
    ..Command::BASE
};

fn watch(call: &mut Call<'_>) -> Result<(), Error> {
    if call.session.transaction.queue.is_some() {
        return Err(Error::err("WATCH inside MULTI is not allowed"));
    }
    for key in call.args.from(1) {
        let watched = call.txn.watch(key, &call.session.client.watch);
        call.session.transaction.watched.extend(watched);
    }
    call.session.transaction.show(&call.session.client);
    call.reply.ok();
    Ok(())
}

const UNWATCH: Command = Command {
    name: "unwatch",
    arity: 1,
    flags: flags("noscript loading stale fast allow_busy"),
    categories: categories("transaction"),
    locks: Locks::Watched,
    group: Group::Transactions,
    since: "2.2.0",
    summary: "Watches no key any more.",
    run: unwatch,
    ..Command::BASE
};

fn unwatch(call: &mut Call<'_>) -> Result<(), Error> {
    unwatch_all(call);
    call.session.transaction.show(&call.session.client);
    call.reply.ok();
    Ok(())
}
