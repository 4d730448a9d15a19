//! The server as its users meet it: embedded, over sockets, and as a binary; in good use and in
//! bad.
//!
//! What each command answers is not said here but in the conformance suite.
#![allow(clippy::disallowed_methods, reason = "tests wait and measure in the time of the machine")]

mod support;

#[cfg(feature = "cli")]
mod binary;
mod blocking;
#[cfg(feature = "cli")]
mod checking;
mod durability;
mod embed;
mod files;
mod hostile;
mod house;
mod isolation;
mod lifecycle;
mod memory;
mod scan;
mod scripts;
#[cfg(feature = "cli")]
mod sending;
mod snapshots;
mod start_time;
mod streams;
mod subscribers;
mod time;
mod transactions;
