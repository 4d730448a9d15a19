//! What clients say to a node of a cluster. redlet is none, and says so as Redis does when it is none.

use super::Command;
use super::metadata::{Group, categories, flags};
use crate::error::Error;
use crate::execute::Call;

pub(super) const COMMANDS: &[&Command] = &[&ASKING, &READONLY, &READWRITE];

const ASKING: Command = Command {
    name: "asking",
    arity: 1,
    flags: flags("fast"),
    categories: categories("connection"),
    group: Group::Cluster,
    since: "3.0.0",
    summary: "Says to a node of a cluster that it was named by another one.",
    run: refuse,
    ..Command::BASE
};

const READONLY: Command = Command {
    name: "readonly",
    arity: 1,
    flags: flags("loading stale fast"),
    categories: categories("connection"),
    group: Group::Cluster,
    since: "3.0.0",
    summary: "Says to a replica in a cluster that reading is all that is wanted.",
    run: refuse,
    ..Command::BASE
};

const READWRITE: Command = Command {
    name: "readwrite",
    arity: 1,
    flags: flags("loading stale fast"),
    categories: categories("connection"),
    group: Group::Cluster,
    since: "3.0.0",
    summary: "Says to a replica in a cluster that writing is wanted, too.",
    run: refuse,
    ..Command::BASE
};

fn refuse(_: &mut Call<'_>) -> Result<(), Error> {
    Err(Error::err("This instance has cluster support disabled"))
}
