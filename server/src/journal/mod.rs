//! Redis's file formats.

mod crc64;
mod lists;
mod lzf;
pub(crate) mod payload;
pub(crate) mod sets;
mod ziplist;
