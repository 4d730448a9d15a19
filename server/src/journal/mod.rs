//! Redis's file formats.

mod crc64;
mod lzf;
pub(crate) mod payload;
