//! What one connection does to its own keys: the commands, and what they make of a keyspace.
//!
//! Every operation has a number, and leaves it wherever it writes, so that whoever reads a value knows what has happened.

use client_tests::{command, program::caller::Command, random::Random};

use super::{
    keyspace::Keyspace,
    operation::{atomic::Atomic, lists::Lists, sets::Sets, streams::Streams, texts::Texts},
};

pub(super) mod atomic;
mod lists;
mod sets;
mod streams;
pub(super) mod texts;

#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) number: u64,
    kind: Kind,
    /// What only the server's reply tells: the id that it gave, or the member that it chose.
    pub(super) outcome: Option<String>,
}

#[derive(Clone, Debug)]
enum Kind {
    Texts(Texts),
    Lists(Lists),
    Sets(Sets),
    Streams(Streams),
    Atomic(Atomic),
}

/// A connection's own keys on the server.
pub(super) struct Keys<'name>(pub(super) &'name str);

impl Keys<'_> {
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.0)
    }
}

impl Operation {
    /// One that makes sense with what is there.
    pub(super) fn draw(random: &mut Random, number: u64, keyspace: &Keyspace) -> Self {
        let kind = match random.below(6) {
            0 => Kind::Texts(Texts::draw(random, keyspace)),
            1 => Kind::Lists(Lists::draw(random, keyspace)),
            2 => Kind::Sets(Sets::draw(random, keyspace)),
            3 | 4 => Kind::Streams(Streams::draw(random, keyspace)),
            _ => Kind::Atomic(Atomic::draw(random)),
        };
        Self { number, kind, outcome: None }
    }

    pub(super) fn commands(&self, keys: &Keys<'_>, before: &Keyspace) -> Vec<Command> {
        let number = self.number.to_string();
        match &self.kind {
            Kind::Texts(texts) => vec![texts.command(keys, self.number, before)],
            Kind::Lists(lists) => vec![lists.command(keys, &number)],
            Kind::Sets(sets) => vec![sets.command(keys, &number)],
            Kind::Streams(streams) => vec![streams.command(keys, &number)],
            Kind::Atomic(atomic) => atomic.commands(keys, &number),
        }
    }

    /// Whether the reply has something that nobody could know before.
    pub(super) fn needs_reply(&self) -> bool {
        matches!(self.kind, Kind::Sets(Sets::Pop) | Kind::Streams(Streams::Add))
    }

    /// Whether the last of its commands is answered with an error, as it has to be.
    pub(super) fn fails(&self) -> bool {
        matches!(self.kind, Kind::Atomic(Atomic::FailingScript))
    }

    /// What a server may have answered, judging by what is there now, where its reply never came.
    pub(super) fn guess(&mut self, before: &Keyspace, found: &Keyspace) {
        if self.outcome.is_none() {
            self.outcome = match &self.kind {
                Kind::Sets(Sets::Pop) => sets::popped(before, found),
                Kind::Streams(Streams::Add) => streams::added(self.number, found),
                _ => None,
            };
        }
    }

    pub(super) fn apply(&self, keyspace: &mut Keyspace) {
        let outcome = self.outcome.as_deref().unwrap_or_default();
        match &self.kind {
            Kind::Texts(texts) => texts.apply(keyspace, self.number),
            Kind::Lists(lists) => lists.apply(keyspace, self.number),
            Kind::Sets(sets) => sets.apply(keyspace, self.number, outcome),
            Kind::Streams(streams) => streams.apply(keyspace, self.number, outcome),
            Kind::Atomic(atomic) => atomic.apply(keyspace, self.number),
        }
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {:?}", self.number, self.kind)
    }
}

/// A command about one key.
fn about(name: &str, key: &str, more: &[&str]) -> Command {
    let mut command = command![name, key];
    command.extend(more.iter().map(|word| word.as_bytes().to_vec()));
    command
}
