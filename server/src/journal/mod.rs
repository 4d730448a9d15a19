//! Redis's file formats.

mod crc64;
pub(crate) mod libraries;
mod lists;
mod lzf;
pub(crate) mod payload;
pub(crate) mod sets;
mod streams;
mod ziplist;
