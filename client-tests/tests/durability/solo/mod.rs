//! Connections that each write to keys of their own: what is there after an end has to be what some prefix of their operations
//! makes.

mod check;
mod found;
mod keyspace;
mod operation;

use client_tests::{
    command,
    program::caller::{Caller, Command},
    random::Random,
    reply::Reply,
    wire::NoReply,
};

use crate::{bounds::Log, entries::text};
use keyspace::Keyspace;
use operation::{Keys, Operation};

pub(crate) use operation::atomic::LIBRARY;

/// So many operations at most are sent before the first of them is answered.
const DEEPEST: usize = 8;

/// A connection's keys between two lives of the server.
#[derive(Clone)]
pub(crate) struct Solo {
    pub(crate) name: String,
    pub(crate) database: usize,
    keyspace: Keyspace,
    /// The number of the last operation that may have been sent.
    last: u64,
}

/// What a connection did in one life.
pub(crate) struct History {
    /// Those that were sent, in their order.
    operations: Vec<Operation>,
    pub(crate) log: Log,
}

impl Solo {
    pub(crate) fn new(name: String, database: usize) -> Self {
        Self { name, database, keyspace: Keyspace::default(), last: 0 }
    }

    /// What the connection would have done in a life in which it did nothing.
    pub(crate) fn idle(&self) -> History {
        History { operations: Vec::new(), log: Log::after(self.last) }
    }

    /// Writes until the server is gone.
    pub(crate) async fn play(
        &self,
        mut caller: Caller,
        mut random: Random,
    ) -> Result<History, String> {
        let mut history = self.idle();
        let mut keyspace = self.keyspace.clone();
        if caller.ask(&command!["SELECT", self.database.to_string()]).await.is_err() {
            return Ok(history);
        }
        while let Some(batch) =
            self.send_some(&mut caller, &mut random, &mut history, &keyspace).await
        {
            if !receive(&mut caller, &mut history, &mut keyspace, &batch).await? {
                break;
            }
        }
        Ok(history)
    }

    /// Sends some operations at once, and gives the commands of each; nothing, if the server is gone.
    async fn send_some(
        &self,
        caller: &mut Caller,
        random: &mut Random,
        history: &mut History,
        keyspace: &Keyspace,
    ) -> Option<Vec<Vec<Command>>> {
        let mut keyspace = keyspace.clone();
        let mut batch = Vec::new();
        for _ in 0..=random.below(DEEPEST) {
            history.log.sent += 1;
            let operation = Operation::draw(random, history.log.sent, &keyspace);
            batch.push(operation.commands(&Keys(&self.name), &keyspace));
            operation.apply(&mut keyspace);
            let needs_reply = operation.needs_reply();
            history.operations.push(operation);
            // What follows could not be told without it.
            if needs_reply {
                break;
            }
        }
        caller.send(&batch.concat()).await.is_ok().then_some(batch)
    }
}

/// Takes the replies to what was sent last; whether the server is still there.
async fn receive(
    caller: &mut Caller,
    history: &mut History,
    keyspace: &mut Keyspace,
    batch: &[Vec<Command>],
) -> Result<bool, String> {
    let first = history.operations.len() - batch.len();
    for (operation, commands) in history.operations[first..].iter_mut().zip(batch) {
        let Some(reply) = last_reply(caller, operation, commands).await? else {
            return Ok(false);
        };
        if operation.needs_reply() {
            operation.outcome = Some(text(&reply));
        }
        operation.apply(keyspace);
        history.log.know(operation.number);
    }
    Ok(true)
}

/// The reply to an operation's last command, if the server lived to give it.
async fn last_reply(
    caller: &mut Caller,
    operation: &Operation,
    commands: &[Command],
) -> Result<Option<Reply>, String> {
    let mut last = None;
    for command in commands {
        let reply = match caller.reply().await {
            Ok(reply) => reply,
            Err(NoReply::Closed) => return Ok(None),
            Err(other) => return Err(caller.complaint(command, other)),
        };
        if reply.is_null() || reply.is_error() != operation.fails() {
            return Err(caller.complaint(command, reply));
        }
        last = Some(reply);
    }
    Ok(last)
}
