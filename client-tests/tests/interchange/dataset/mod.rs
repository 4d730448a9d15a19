//! Random data of every type and in every form that servers keep it in, as the commands that make it.

mod bytes;
mod functions;
mod lists;
mod names;
mod sets;
mod streams;
mod strings;
mod traffic;

use client_tests::{command, program::caller::Command, random::Random};

use names::Names;
pub(crate) use traffic::{Existing, traffic};

pub(crate) const DATABASES: [usize; 4] = [0, 1, 9, 15];

/// Moments that no test lives to see, in milliseconds since 1970.
const DEADLINES_MS: [i64; 5] =
    [4_102_444_800_000, 4_102_444_800_001, 33_177_117_420_999, 1_000_000_000_000_000_000, i64::MAX];

/// What a dataset may have in it.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// How many keys it has, about.
    pub(crate) keys: usize,
    /// Whether consumers may hold entries that were deleted.
    pub(crate) tombstones: bool,
}

/// Commands in the making.
struct Builder {
    random: Random,
    names: Names,
    limits: Limits,
    commands: Vec<Command>,
}

/// The commands that make a dataset; the last database that they select is any.
pub(crate) fn dataset(mut random: Random, limits: Limits) -> Vec<Command> {
    let names = Names::first();
    let mut builder = Builder { random: random.fork(), names, limits, commands: Vec::new() };
    functions::add(&mut builder);
    for database in DATABASES {
        builder.select(database);
        for _ in 0..limits.keys.div_ceil(DATABASES.len()) {
            builder.add_key();
        }
    }
    builder.commands
}

impl Builder {
    fn select(&mut self, database: usize) {
        self.names.enter_next();
        self.push(command!["SELECT", database.to_string()]);
    }

    fn push(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// A name that this database does not have yet.
    fn fresh_name(&mut self) -> Vec<u8> {
        self.names.fresh(&mut self.random)
    }

    fn add_key(&mut self) {
        let name = self.fresh_name();
        match self.random.below(4) {
            0 => strings::add(self, &name),
            1 => lists::add(self, &name),
            2 => sets::add(self, &name),
            _ => streams::add(self, &name),
        }
        if self.random.once_in(3) {
            let deadline_ms = self.random.pick(&DEADLINES_MS).to_string();
            self.push(command!["PEXPIREAT", name, deadline_ms]);
        }
    }

    /// A command with many elements, in several commands of a size that servers like.
    fn push_in_parts(&mut self, name: &str, key: &[u8], elements: &[Vec<u8>]) {
        for part in elements.chunks(100) {
            let mut command = command![name, key];
            command.extend(part.iter().cloned());
            self.push(command);
        }
    }
}
