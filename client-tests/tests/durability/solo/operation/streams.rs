//! Writes to a stream and its group.
//!
//! Nothing is deleted that a consumer holds: a journal of commands cannot say so.

use client_tests::{program::caller::Command, random::Random, reply::Reply};

use super::{Keys, about};
use crate::{
    entries::{Entry, Id},
    solo::keyspace::{Keyspace, Stream},
};

const LONGEST: usize = 20;
const GROUP: &str = "group";

#[derive(Clone, Debug)]
pub(super) enum Streams {
    CreateGroup,
    /// With an id that the server gives.
    Add,
    Delete(Id),
    /// So many entries for a consumer.
    Deliver(usize),
    Acknowledge(Id),
    Claim(Id),
}

impl Streams {
    pub(super) fn draw(random: &mut Random, keyspace: &Keyspace) -> Self {
        let Some(stream) = keyspace.stream("stream") else { return Self::CreateGroup };
        let pending = stream.pending.keys().nth(random.below(stream.pending.len().max(1))).copied();
        let undelivered = stream.undelivered().count();
        match (random.below(6), pending, stream.deletable()) {
            (0 | 1, _, _) if undelivered > 0 => Self::Deliver(1 + random.below(2)),
            (2, Some(id), _) => Self::Claim(id),
            (3, Some(id), _) => Self::Acknowledge(id),
            (4, _, Some(id)) => Self::Delete(id),
            _ if stream.entries.len() < LONGEST => Self::Add,
            (_, Some(id), _) => Self::Acknowledge(id),
            (_, _, Some(id)) => Self::Delete(id),
            _ => Self::Deliver(LONGEST),
        }
    }

    pub(super) fn command(&self, keys: &Keys<'_>, number: &str) -> Command {
        let stream = keys.key("stream");
        match self {
            Self::CreateGroup => {
                let create = ["CREATE", &stream, GROUP, "0", "MKSTREAM"];
                about("XGROUP", create[0], &create[1..])
            }
            Self::Add => about("XADD", &stream, &["*", "number", number]),
            Self::Delete(id) => about("XDEL", &stream, &[&id.to_string()]),
            Self::Deliver(count) => {
                let count = count.to_string();
                let words = [GROUP, "alice", "COUNT", &count, "STREAMS", &stream, ">"];
                about("XREADGROUP", "GROUP", &words)
            }
            Self::Acknowledge(id) => about("XACK", &stream, &[GROUP, &id.to_string()]),
            Self::Claim(id) => about("XCLAIM", &stream, &[GROUP, "bob", "0", &id.to_string()]),
        }
    }

    pub(super) fn apply(&self, keyspace: &mut Keyspace, number: u64, outcome: &str) {
        keyspace.change_stream("stream", |stream| match self {
            Self::CreateGroup => stream.delivered = Some(Id::default()),
            Self::Add => {
                let id = Id::of(&Reply::Bulk(outcome.as_bytes().to_vec())).unwrap_or_default();
                stream.entries.push(Entry { id, number: number.to_string() });
            }
            Self::Delete(id) => stream.entries.retain(|entry| entry.id != *id),
            Self::Deliver(count) => stream.deliver(*count),
            Self::Acknowledge(id) => drop(stream.pending.remove(id)),
            Self::Claim(id) => stream.claim(*id),
        });
    }
}

impl Stream {
    fn undelivered(&self) -> impl Iterator<Item = Id> {
        let ids = self.entries.iter().map(|entry| entry.id);
        ids.filter(|id| Some(*id) > self.delivered)
    }

    /// The first entry, if everybody is done with it.
    fn deletable(&self) -> Option<Id> {
        let first = self.entries.first()?.id;
        (Some(first) <= self.delivered && !self.pending.contains_key(&first)).then_some(first)
    }

    fn deliver(&mut self, count: usize) {
        let ids: Vec<Id> = self.undelivered().take(count).collect();
        for id in ids {
            self.pending.insert(id, ("alice".to_owned(), 1));
            self.delivered = Some(id);
        }
    }

    fn claim(&mut self, id: Id) {
        if let Some((consumer, deliveries)) = self.pending.get_mut(&id) {
            "bob".clone_into(consumer);
            *deliveries += 1;
        }
    }
}

/// The id that the entry of this number has got, if it is there.
pub(super) fn added(number: u64, found: &Keyspace) -> Option<String> {
    let number = number.to_string();
    let entry = found.stream("stream")?.entries.iter().find(|entry| entry.number == number)?;
    Some(entry.id.to_string())
}
