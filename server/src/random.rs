//! Randomness: one seedable source per server.
#![allow(clippy::disallowed_methods, reason = "this module is where randomness comes from")]

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// The step of the `SplitMix64` generator.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A generator that any thread may draw from; the same seed gives the same numbers.
#[derive(Debug)]
pub(crate) struct Random(AtomicU64);

impl Random {
    pub(crate) const fn seeded(seed: u64) -> Self {
        Random(AtomicU64::new(seed))
    }

    /// Seeded by the operating system.
    pub(crate) fn from_system() -> Self {
        Self::seeded(RandomState::new().build_hasher().finish())
    }

    pub(crate) fn next(&self) -> u64 {
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `bound` - 1; 0 if the bound is 0.
    pub(crate) fn below(&self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// So many random characters from `0-9a-f`.
    pub(crate) fn hexadecimal(&self, length: usize) -> String {
        (0..length).map(|_| char::from(b"0123456789abcdef"[self.below(16)])).collect()
    }
}
