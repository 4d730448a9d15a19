//! Writing a snapshot: a header, chunks of entries in any order, and a trailer.

use std::sync::Arc;

use super::super::commands;
use super::super::effects::write_select;
use super::super::payload::{saved_type, write_length, write_saved, write_string};
use super::{ACTIVE_TIMES, MAGIC, WRITTEN_VERSION, opcode};
use crate::keyspace::Entry;
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
    pub(crate) bytes: Vec<u8>,
    pub(crate) keys: u64,
    database: Option<usize>,
    form: Form,
}

impl Default for Chunk {
    fn default() -> Self {
        Chunk::new(Form::Commands)
    }
}

impl Chunk {
    pub(crate) const fn new(form: Form) -> Self {
        Chunk { bytes: Vec::new(), keys: 0, database: None, form }
    }

    /// What is there so far; what follows is a chunk of its own.
    pub(crate) fn take(&mut self) -> Self {
        let form = self.form;
        std::mem::replace(self, Chunk::new(form))
    }

    /// Adds another chunk behind what is there.
    pub(crate) fn append(&mut self, other: Chunk) {
        if self.bytes.is_empty() {
            *self = other;
        } else if !other.bytes.is_empty() {
            self.bytes.extend_from_slice(&other.bytes);
            self.keys += other.keys;
            self.database = other.database;
        }
    }

    pub(crate) fn add(&mut self, database: usize, entry: Entry<'_>) {
        self.keys += 1;
        let is_elsewhere = self.database.replace(database) != Some(database);
        match self.form {
            Form::Snapshot(usage) => {
                if is_elsewhere {
                    self.bytes.push(opcode::SELECT);
                    write_length(&mut self.bytes, database as u64);
                }
                self.add_saved(entry, usage);
            }
            Form::Commands => {
                if is_elsewhere {
                    write_select(&mut self.bytes, database);
                }
                commands::write(&mut self.bytes, entry);
            }
        }
    }

    fn add_saved(&mut self, entry: Entry<'_>, usage: SavedUsage) {
        let (output, value) = (&mut self.bytes, entry.value());
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
        write_saved(output, value);
    }
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
