//! Writes to a set.

use std::collections::BTreeSet;

use client_tests::{program::caller::Command, random::Random};

use super::{Keys, about};
use crate::solo::keyspace::Keyspace;

const LARGEST: usize = 20;

#[derive(Clone, Debug)]
pub(super) enum Sets {
    Add,
    Remove(String),
    /// A member that the server chooses.
    Pop,
}

impl Sets {
    pub(super) fn draw(random: &mut Random, keyspace: &Keyspace) -> Self {
        let size = keyspace.set("set").map_or(0, BTreeSet::len);
        if size == 0 || (size < LARGEST && random.once_in(2)) {
            return Self::Add;
        }
        if random.once_in(2) {
            return Self::Pop;
        }
        let mut members = keyspace.set("set").into_iter().flatten();
        Self::Remove(members.nth(random.below(size)).cloned().unwrap_or_default())
    }

    pub(super) fn command(&self, keys: &Keys<'_>, number: &str) -> Command {
        let set = keys.key("set");
        match self {
            Self::Add => about("SADD", &set, &[number]),
            Self::Remove(member) => about("SREM", &set, &[member]),
            Self::Pop => about("SPOP", &set, &[]),
        }
    }

    pub(super) fn apply(&self, keyspace: &mut Keyspace, number: u64, outcome: &str) {
        keyspace.change_set("set", |set| {
            match self {
                Self::Add => set.insert(number.to_string()),
                Self::Remove(member) => set.remove(member),
                Self::Pop => set.remove(outcome),
            };
        });
    }
}

/// The member that was taken out, where what is there now tells.
pub(super) fn popped(before: &Keyspace, found: &Keyspace) -> Option<String> {
    let left = found.set("set");
    let mut gone =
        before.set("set")?.iter().filter(|it| left.is_none_or(|left| !left.contains(*it)));
    gone.next().cloned()
}
