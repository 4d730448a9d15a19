//! Snapshots in Redis's format, RDB: written as Redis 7.0 has it, which every later server reads, and read in every
//! version that Redis up to 8.0 and Valkey up to 9.1 write.

mod read;
mod write;

pub(crate) use read::{Foreign, Item, Loaded, Version, read, survey};
pub(crate) use write::{Chunk, Form, Header, Piece, SavedUsage, Size, trailer};

const MAGIC: &[u8; 5] = b"REDIS";
/// Valkey's own versions begin with this instead, and have a digit fewer in front of them.
const VALKEY_MAGIC: &[u8; 6] = b"VALKEY";
const WRITTEN_VERSION: u32 = 10;
/// From this version on there is a checksum at the end.
const FIRST_CHECKED_VERSION: u32 = 5;

mod opcode {
    pub(super) const LIBRARY: u8 = 0xf5;
    pub(super) const EARLY_LIBRARY: u8 = 0xf6;
    pub(super) const MODULE_AUXILIARY: u8 = 0xf7;
    pub(super) const IDLE: u8 = 0xf8;
    pub(super) const FREQUENCY: u8 = 0xf9;
    pub(super) const AUXILIARY: u8 = 0xfa;
    pub(super) const RESIZE: u8 = 0xfb;
    pub(super) const DEADLINE_MS: u8 = 0xfc;
    pub(super) const DEADLINE_S: u8 = 0xfd;
    pub(super) const SELECT: u8 = 0xfe;
    pub(super) const END: u8 = 0xff;
    pub(super) const SLOT: u8 = 0xf4;
    pub(super) const SLOT_IMPORT: u8 = 0xf3;
}

/// The field in front of a stream that has the times at which consumers got something: this version of the format has
/// no place for them, and who does not know the field passes over it.
const ACTIVE_TIMES: &[u8] = b"redlet-active-times";

#[cfg(test)]
mod tests;
