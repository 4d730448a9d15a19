//! What a command is, and the table of all commands.
//!
//! A command is one row (a [`Command`]) and one function, side by side in the file of its
//! family. Arity checks, key extraction, admission, `COMMAND`'s answers and the compatibility
//! page are derived from the row; no other file names the command.

use crate::error::Error;
use crate::execute::Call;

mod acl;
pub(crate) mod args;
mod client;
mod cluster;
mod compatibility;
mod connection;
mod counter;
mod debug;
mod diagnostics;
mod digest;
mod expire;
mod function;
pub(crate) mod info;
mod introspection;
mod keys;
mod latency;
mod list;
mod list_moves;
mod list_waiting;
pub(crate) mod locate;
mod memory;
mod metadata;
mod process;
mod pubsub;
pub(crate) mod restoring;
mod saving;
mod scanning;
mod script;
mod server;
mod set;
mod set_algebra;
mod slowlog;
mod sort;
mod stream;
mod stream_claims;
mod stream_groups;
mod stream_info;
mod stream_reading;
mod string;
mod table;
mod timeout;
mod tracking;
mod transaction;
mod usage;

pub(crate) use args::Args;
pub use compatibility::compatibility_page;
pub(crate) use metadata::{Categories, CommandFlags, Group, KeyFlags, KeySpec};
pub(crate) use table::{Registered, Table};

/// A command's function: parses everything first, then acts, then replies.
pub(crate) type Handler = fn(&mut Call<'_>) -> Result<(), Error>;

/// Which shards a command holds while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locks {
    /// Those of the keys that its key specifications name; none where it names none.
    Keys,
    /// Those of the requests that the client has queued, and of the keys that it watches.
    Queued,
    /// Those of the keys that the client watches.
    Watched,
    /// All of them, for a script, which may execute commands on any key.
    Script,
    /// All of them: the command looks at, or changes, the keyspace as a whole.
    All,
}

/// One row of the command table.
#[derive(Debug)]
pub(crate) struct Command {
    /// The name in lower case; a subcommand's name is without its container's.
    pub(crate) name: &'static str,
    /// As Redis counts it: the name included, negative for "at least".
    pub(crate) arity: i8,
    pub(crate) flags: CommandFlags,
    /// The ACL categories that do not follow from the flags.
    pub(crate) categories: Categories,
    pub(crate) keys: &'static [KeySpec],
    pub(crate) locks: Locks,
    pub(crate) tips: &'static [&'static str],
    pub(crate) group: Group,
    /// The Redis version that brought the command.
    pub(crate) since: &'static str,
    pub(crate) complexity: &'static str,
    /// The arguments after the name, in the notation of `metadata::usage`.
    pub(crate) usage: &'static str,
    pub(crate) summary: &'static str,
    /// The Redis version that deprecated it and what to use instead.
    pub(crate) replaced_by: Option<(&'static str, &'static str)>,
    pub(crate) subcommands: &'static [&'static Command],
    /// Whether a client that is subscribed to something may send it in RESP2, where it cannot tell
    /// messages from replies.
    pub(crate) works_subscribed: bool,
    /// Whether it is executed at once inside of MULTI, where others wait for EXEC.
    pub(crate) works_queueing: bool,
    /// Whether it is refused like a write where writes are: those who watch over servers find out by it.
    pub(crate) is_probe: bool,
    pub(crate) run: Handler,
}

impl Command {
    /// What a row that does not say otherwise has.
    pub(crate) const BASE: Command = Command {
        name: "",
        arity: 0,
        flags: CommandFlags::empty(),
        categories: Categories::empty(),
        keys: &[],
        locks: Locks::Keys,
        tips: &[],
        group: Group::Generic,
        since: "1.0.0",
        complexity: "O(1)",
        usage: "",
        summary: "",
        replaced_by: None,
        subcommands: &[],
        works_subscribed: false,
        works_queueing: false,
        is_probe: false,
        run: container,
    };

    /// Whether `count` arguments, the name included, are as many as the command takes.
    pub(crate) fn accepts(&self, count: usize) -> bool {
        let least = usize::from(self.arity.unsigned_abs());
        if self.arity < 0 { count >= least } else { count == least }
    }
}

/// Stands in the row of a command that only has subcommands: the pipeline never gets here,
/// because such a row's arity asks for a subcommand and an unknown one is refused before.
fn container(_: &mut Call<'_>) -> Result<(), Error> {
    Err(Error::Syntax)
}
