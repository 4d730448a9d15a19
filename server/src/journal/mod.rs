//! Redis's file formats.

mod crc64;
mod lists;
mod lzf;
pub(crate) mod payload;
mod ziplist;
