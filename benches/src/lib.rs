//! The benches are in `benches/`; this crate has nothing else.
