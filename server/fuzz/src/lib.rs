//! What the fuzz targets share: the properties of redlet's own tests, and decisions made by a
//! fuzzer's bytes.

use arbitrary::Unstructured;

#[path = "../../tests/properties/checks/mod.rs"]
pub mod checks;

/// Decisions out of a fuzzer's bytes; once these have run out, always the first possibility.
pub struct Decisions<'a>(pub Unstructured<'a>);

impl Decisions<'_> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl checks::Choices for Decisions<'_> {
    fn below(&mut self, bound: usize) -> usize {
        self.0.int_in_range(0..=bound - 1).unwrap_or(0)
    }
}
