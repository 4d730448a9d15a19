//! Redis's file formats.

mod commands;
pub(crate) mod crc64;
pub(crate) mod damage;
pub(crate) mod disk;
pub(crate) mod effects;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod faulty;
mod foreign;
pub(crate) mod libraries;
mod lists;
pub(crate) mod log;
mod lzf;
pub(crate) mod output;
pub(crate) mod payload;
pub(crate) mod rdb;
pub(crate) mod script;
pub(crate) mod sets;
mod streams;
pub(crate) mod window;
mod ziplist;
