//! Writes to lists.

use std::collections::VecDeque;

use client_tests::{program::caller::Command, random::Random};

use super::{Keys, about};
use crate::solo::keyspace::Keyspace;

const LONGEST: usize = 20;

#[derive(Clone, Debug)]
pub(super) enum Lists {
    PushLeft,
    PushRight,
    PopLeft,
    PopRight,
    PopTwo,
    /// From the one list to the other.
    Move,
    /// The first element becomes another.
    Replace,
    DropMoved,
}

impl Lists {
    pub(super) fn draw(random: &mut Random, keyspace: &Keyspace) -> Self {
        let length = keyspace.list("list").map_or(0, VecDeque::len);
        let moved = keyspace.list("moved").map_or(0, VecDeque::len);
        match random.below(8) {
            0 | 1 if length < LONGEST => Self::PushLeft,
            2 | 3 if length > 0 && moved < LONGEST => Self::Move,
            4 if length > 0 => Self::PopLeft,
            5 if length > 0 => Self::PopRight,
            6 if length > 0 => Self::Replace,
            7 if moved > 0 => Self::DropMoved,
            _ if length < LONGEST => Self::PushRight,
            _ => Self::PopTwo,
        }
    }

    pub(super) fn command(&self, keys: &Keys<'_>, number: &str) -> Command {
        let list = keys.key("list");
        let moved = keys.key("moved");
        match self {
            Self::PushLeft => about("LPUSH", &list, &[number]),
            Self::PushRight => about("RPUSH", &list, &[number]),
            Self::PopLeft => about("LPOP", &list, &[]),
            Self::PopRight => about("BRPOP", &list, &["1"]),
            Self::PopTwo => about("LPOP", &list, &["2"]),
            Self::Move => about("LMOVE", &list, &[&moved, "LEFT", "RIGHT"]),
            Self::Replace => about("LSET", &list, &["0", number]),
            Self::DropMoved => about("UNLINK", &moved, &[]),
        }
    }

    pub(super) fn apply(&self, keyspace: &mut Keyspace, number: u64) {
        let number = number.to_string();
        match self {
            Self::PushLeft => drop(keyspace.change_list("list", |list| list.push_front(number))),
            Self::PushRight => drop(keyspace.change_list("list", |list| list.push_back(number))),
            Self::PopLeft => drop(keyspace.change_list("list", VecDeque::pop_front)),
            Self::PopRight => drop(keyspace.change_list("list", VecDeque::pop_back)),
            Self::PopTwo => drop(keyspace.change_list("list", |list| list.drain(..2).count())),
            Self::Move => {
                let element = keyspace.change_list("list", VecDeque::pop_front).flatten();
                keyspace.change_list("moved", |list| list.extend(element));
            }
            Self::Replace => drop(keyspace.change_list("list", |list| list[0] = number)),
            Self::DropMoved => drop(keyspace.take("moved")),
        }
    }
}
