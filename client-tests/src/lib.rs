//! The framework of redlet's conformance suite: cases, expectations, connections and servers.
//!
//! The cases themselves are in `cases/`, the programs that run them in `tests/`; the README says how to add one.
#![allow(
    clippy::disallowed_methods,
    reason = "the suite observes servers from outside, in real time"
)]

pub mod case;
pub mod case_file;
pub mod decode;
pub mod expect;
pub mod random;
pub mod reply;
pub mod session;
pub mod target;
pub mod text;
pub mod variables;
pub mod wire;
