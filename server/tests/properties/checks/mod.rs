//! Properties that hold for any input.
//!
//! Each is a function that panics where its property does not hold. The seeded test beside this
//! module and the fuzz targets in `server/fuzz/` feed them.
#![allow(unreachable_pub, reason = "the fuzz targets include this module and use it from outside")]
#![allow(dead_code, reason = "the seeded test leaves some of it to the fuzz targets")]

pub mod client;
pub mod configuration;
pub mod files;
pub mod glob;
pub mod grammar;
pub mod payload;
pub mod replies;
/// What the integration tests put streams together with.
#[path = "../../it/streams/format.rs"]
pub mod stream_format;
pub mod stream_ids;
pub mod streams;
pub mod traffic;
pub mod values;
pub mod wire;

/// Where decisions come from: a generator of random numbers, or a fuzzer's bytes.
pub trait Choices {
    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize;

    /// True once in `times`.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick<'list, Item>(&mut self, list: &'list [Item]) -> &'list Item {
        &list[self.below(list.len())]
    }
}
