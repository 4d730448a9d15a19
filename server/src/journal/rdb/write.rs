//! Writing a snapshot: a header, chunks of entries in any order, and a trailer.

use std::sync::Arc;

use super::super::commands;
use super::super::effects::write_select;
use super::super::output::Output;
use super::super::payload::{saved_type, write_length, write_saved, write_string};
use super::{ACTIVE_TIMES, MAGIC, WRITTEN_VERSION, opcode};
use crate::keyspace::{Entry, Kept};
use crate::value::ValueRef;
use crate::value::stream::Stream;

/// What stands in front of all entries.
pub(crate) struct Header<'a> {
    /// What the server says it is compatible with.
    pub(crate) version: &'a str,
    /// Seconds since 1970.
    pub(crate) created_s: i64,
    pub(crate) used_memory: usize,
    /// Whether a log of commands goes on from here.
    pub(crate) is_base: bool,
    pub(crate) libraries: &'a [Arc<[u8]>],
    pub(crate) sizes: &'a [Size],
}

/// How many keys a database has, as a hint to who loads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) database: usize,
    pub(crate) keys: usize,
    pub(crate) volatile: usize,
}

impl Header<'_> {
    pub(crate) fn write(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(MAGIC);
        output.extend_from_slice(format!("{WRITTEN_VERSION:04}").as_bytes());
        let base = if self.is_base { "1" } else { "0" };
        let fields = [
            ("redis-ver", self.version),
            ("redis-bits", "64"),
            ("ctime", &self.created_s.to_string()),
            ("used-mem", &self.used_memory.to_string()),
            ("aof-base", base),
        ];
        for (name, value) in fields {
            write_auxiliary(output, name.as_bytes(), value.as_bytes());
        }
        for code in self.libraries {
            output.push(opcode::LIBRARY);
            write_string(output, code);
        }
        for size in self.sizes {
            output.push(opcode::SELECT);
            write_length(output, size.database as u64);
            output.push(opcode::RESIZE);
            write_length(output, size.keys as u64);
            write_length(output, size.volatile as u64);
        }
    }
}

fn write_auxiliary(output: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    output.push(opcode::AUXILIARY);
    write_string(output, name);
    write_string(output, value);
}

/// The end of a snapshot whose bytes so far have this checksum.
pub(crate) fn trailer(checksum: impl FnOnce(&[u8]) -> u64) -> Vec<u8> {
    let mut end = vec![opcode::END];
    let checksum = checksum(&end);
    end.extend(checksum.to_le_bytes());
    end
}

/// In which form entries are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Snapshot(SavedUsage),
    /// As the commands that make them.
    Commands,
}

/// What is told of how entries were used, by what eviction goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SavedUsage {
    #[default]
    None,
    /// The seconds since the last use, at this time in milliseconds.
    Idle(i64),
    Frequency,
}

/// Some entries, which say of which databases they are.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// What comes before the bytes.
    ahead: Vec<Piece>,
    bytes: Vec<u8>,
    pub(crate) keys: u64,
    database: Option<usize>,
    form: Form,
}

/// What follows one another in a chunk.
#[derive(Debug)]
pub(crate) enum Piece {
    Bytes(Vec<u8>),
    Large(Large),
}

/// An entry with a large value as it was at one moment, to be written down later.
#[derive(Debug)]
pub(crate) struct Large {
    kept: Kept,
    form: Form,
}

impl Large {
    pub(crate) fn write(&self, output: &mut dyn Output) {
        self.form.write(output, self.kept.entry());
    }
}

impl Default for Chunk {
    fn default() -> Self {
        Chunk::new(Form::Commands)
    }
}

impl Chunk {
    pub(crate) const fn new(form: Form) -> Self {
        Chunk { ahead: Vec::new(), bytes: Vec::new(), keys: 0, database: None, form }
    }

    /// What is there so far; what follows is a chunk of its own.
    pub(crate) fn take(&mut self) -> Self {
        let form = self.form;
        std::mem::replace(self, Chunk::new(form))
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.keys == 0
    }

    /// How many bytes there are, without those of large values.
    pub(crate) const fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) const fn has_large(&self) -> bool {
        !self.ahead.is_empty()
    }

    pub(crate) fn into_pieces(mut self) -> impl Iterator<Item = Piece> {
        self.close();
        self.ahead.into_iter()
    }

    /// Adds another chunk behind what is there.
    pub(crate) fn append(&mut self, other: Chunk) {
        if self.is_empty() {
            *self = other;
        } else if !other.is_empty() {
            if !other.ahead.is_empty() {
                self.close();
                self.ahead.extend(other.ahead);
            }
            self.bytes.extend_from_slice(&other.bytes);
            self.keys += other.keys;
            self.database = other.database;
        }
    }

    pub(crate) fn add(&mut self, database: usize, entry: Entry<'_>) {
        self.enter(database);
        self.form.write(&mut self.bytes, entry);
    }

    /// Adds an entry with a large value, which is written down later.
    pub(crate) fn add_large(&mut self, database: usize, kept: Kept) {
        self.enter(database);
        self.close();
        self.ahead.push(Piece::Large(Large { kept, form: self.form }));
    }

    /// What follows is one more entry, of this database.
    fn enter(&mut self, database: usize) {
        self.keys += 1;
        if self.database.replace(database) != Some(database) {
            self.form.select(&mut self.bytes, database);
        }
    }

    /// The bytes so far are a piece by themselves.
    fn close(&mut self) {
        if !self.bytes.is_empty() {
            self.ahead.push(Piece::Bytes(std::mem::take(&mut self.bytes)));
        }
    }
}

impl Form {
    fn select(self, output: &mut Vec<u8>, database: usize) {
        match self {
            Form::Snapshot(_) => {
                output.push(opcode::SELECT);
                write_length(output, database as u64);
            }
            Form::Commands => write_select(output, database),
        }
    }

    fn write(self, output: &mut dyn Output, entry: Entry<'_>) {
        match self {
            Form::Snapshot(usage) => {
                write_head(output.room(), entry, usage);
                write_saved(output, entry.value());
            }
            Form::Commands => commands::write(output, entry),
        }
    }
}

/// What stands in front of a value.
fn write_head(output: &mut Vec<u8>, entry: Entry<'_>, usage: SavedUsage) {
    let value = entry.value();
    if let ValueRef::Stream(stream) = value {
        write_active_times(output, stream);
    }
    if let Some(deadline_ms) = entry.deadline_ms() {
        output.push(opcode::DEADLINE_MS);
        output.extend(deadline_ms.to_le_bytes());
    }
    match usage {
        SavedUsage::None => {}
        SavedUsage::Idle(now_ms) => {
            output.push(opcode::IDLE);
            write_length(output, entry.usage().idle_s(now_ms) as u64);
        }
        SavedUsage::Frequency => output.extend([opcode::FREQUENCY, entry.usage().frequency()]),
    }
    output.push(saved_type(value));
    write_string(output, entry.key());
}

/// The times at which consumers got something, unless each is that at which the consumer last asked, as it is read
/// where there are none.
fn write_active_times(output: &mut Vec<u8>, stream: &Stream) {
    let consumers = || stream.groups.iter().flat_map(|(_, group)| group.consumers());
    if consumers().any(|consumer| consumer.active_ms != Some(consumer.seen_ms)) {
        let times = consumers().flat_map(|consumer| consumer.active_ms.unwrap_or(-1).to_le_bytes());
        write_auxiliary(output, ACTIVE_TIMES, &times.collect::<Vec<u8>>());
    }
}
