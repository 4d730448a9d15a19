//! The table of all commands, and how a request finds its row.

use std::sync::OnceLock;

use super::{
    Args, Command, acl, client, cluster, connection, counter, debug, diagnostics, expire, function,
    info, introspection, keys, latency, list, list_moves, list_waiting, memory, pubsub, saving,
    script, server, set, set_algebra, slowlog, sort, stream, stream_claims, stream_groups,
    stream_info, stream_reading, string, transaction,
};
use crate::error::Error;

/// A row in its place in the table.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) command: &'static Command,
    /// Counts all commands and subcommands through, for statistics.
    pub(crate) id: usize,
    /// The name with its container's: `client|kill`.
    pub(crate) name: String,
    letters: Letters,
    /// Whether these letters are enough to know it by.
    is_plain: bool,
    /// Where its key is, if it always has exactly one there.
    pub(crate) sole_key: Option<usize>,
    /// Where the subcommands' rows are.
    subcommands: Vec<usize>,
}

/// All commands; the same for every server.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Registered>,
    /// Open addressing by name: 1 + the row, 0 where nothing is.
    slots: Vec<u16>,
}

const FAMILIES: [&[&Command]; 32] = [
    connection::COMMANDS,
    client::COMMANDS,
    acl::COMMANDS,
    cluster::COMMANDS,
    string::COMMANDS,
    counter::COMMANDS,
    list::COMMANDS,
    list_moves::COMMANDS,
    list_waiting::COMMANDS,
    set::COMMANDS,
    set_algebra::COMMANDS,
    stream::COMMANDS,
    stream_reading::COMMANDS,
    stream_groups::COMMANDS,
    stream_claims::COMMANDS,
    stream_info::COMMANDS,
    pubsub::COMMANDS,
    saving::COMMANDS,
    transaction::COMMANDS,
    script::COMMANDS,
    function::COMMANDS,
    keys::COMMANDS,
    sort::COMMANDS,
    expire::COMMANDS,
    server::COMMANDS,
    info::COMMANDS,
    slowlog::COMMANDS,
    latency::COMMANDS,
    memory::COMMANDS,
    diagnostics::COMMANDS,
    debug::COMMANDS,
    introspection::COMMANDS,
];

impl Table {
    pub(crate) fn get() -> &'static Table {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(Table::build)
    }

    fn build() -> Table {
        let mut table = Table { rows: Vec::new(), slots: Vec::new() };
        for command in FAMILIES.into_iter().flatten() {
            let at = table.add(command, command.name.to_owned());
            for subcommand in command.subcommands {
                let sub = table.add(subcommand, format!("{}|{}", command.name, subcommand.name));
                table.rows[at].subcommands.push(sub);
            }
        }
        table.slots = vec![0; (table.rows.len() * 4).next_power_of_two()];
        for at in 0..table.rows.len() {
            let mut slot = table.rows[at].letters.hash();
            while table.slots[slot & (table.slots.len() - 1)] != 0 {
                slot += 1;
            }
            let size = table.slots.len();
            table.slots[slot & (size - 1)] = at as u16 + 1;
        }
        table
    }

    fn add(&mut self, command: &'static Command, name: String) -> usize {
        let id = self.rows.len();
        let sole_key = sole_key(command);
        let letters = Letters::of(name.as_bytes());
        let is_plain = letters.are_all_of(&name);
        let subcommands = Vec::new();
        self.rows.push(Registered { command, id, name, letters, is_plain, sole_key, subcommands });
        id
    }

    /// All rows, each container before its subcommands.
    pub(crate) fn rows(&self) -> &[Registered] {
        &self.rows
    }

    /// The commands that are not subcommands.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &Registered> {
        self.rows.iter().filter(|row| !row.is_subcommand())
    }

    pub(crate) fn subcommands<'a>(
        &'a self,
        row: &'a Registered,
    ) -> impl ExactSizeIterator<Item = &'a Registered> {
        row.subcommands.iter().map(|&at| &self.rows[at])
    }

    /// The row with this full name (`get`, `client|kill`), in any case.
    pub(crate) fn named(&self, name: &[u8]) -> Option<&Registered> {
        let letters = Letters::of(name);
        let mut slot = letters.hash();
        loop {
            let at = self.slots[slot & (self.slots.len() - 1)];
            let row = &self.rows[usize::from(at.checked_sub(1)?)];
            if row.letters == letters && row.is_named(name) {
                return Some(row);
            }
            slot += 1;
        }
    }

    /// The row that a request is for.
    pub(crate) fn find(&self, args: Args<'_>) -> Result<&Registered, Error> {
        let row = self.named(args.at(0)).filter(|row| !row.is_subcommand());
        let row = row.ok_or_else(|| Error::unknown_command(args.iter()))?;
        match args.get(1) {
            Some(name) if !row.subcommands.is_empty() => {
                let mut all = self.subcommands(row);
                let found = all.find(|sub| sub.command.name.as_bytes().eq_ignore_ascii_case(name));
                found.ok_or_else(|| Error::unknown_subcommand(row.command.name, name))
            }
            _ => Ok(row),
        }
    }
}

impl Registered {
    fn is_named(&self, name: &[u8]) -> bool {
        self.is_plain || self.name.as_bytes().eq_ignore_ascii_case(name)
    }

    pub(crate) fn is_subcommand(&self) -> bool {
        self.name.len() > self.command.name.len()
    }
}

/// The position of a command's only key, if its arity makes sure of that argument.
fn sole_key(command: &Command) -> Option<usize> {
    let [spec] = command.keys else {
        return None;
    };
    let index = spec.sole_position()?;
    (index < usize::from(command.arity.unsigned_abs())).then_some(index)
}

/// The length and the first and last four letters of a name, whatever their case. Of a word of no
/// more than eight letters it is all there is to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Letters {
    length: usize,
    first: u32,
    last: u32,
}

impl Letters {
    /// The bit that tells small letters from capital ones, in four letters.
    const SMALL: u32 = 0x2020_2020;

    fn of(name: &[u8]) -> Self {
        let four = |chunk: Option<&[u8; 4]>| match chunk {
            Some(chunk) => u32::from_le_bytes(*chunk) | Self::SMALL,
            None => name.iter().fold(0, |sum, letter| sum << 8 | u32::from(letter | 0x20)),
        };
        let (first, last) = (four(name.first_chunk()), four(name.last_chunk()));
        Letters { length: name.len(), first, last }
    }

    /// Whether nobody else's name has these letters.
    fn are_all_of(self, name: &str) -> bool {
        self.length <= 8 && name.bytes().all(|letter| letter.is_ascii_lowercase())
    }

    const fn hash(self) -> usize {
        let mixed = self.first.wrapping_mul(0x9e37_79b1) ^ self.last.wrapping_mul(0x85eb_ca77);
        (mixed >> 16) as usize
    }
}
