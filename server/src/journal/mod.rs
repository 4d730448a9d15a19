//! Redis's file formats.

pub(crate) mod crc64;
pub(crate) mod lzf;
pub(crate) mod payload;
