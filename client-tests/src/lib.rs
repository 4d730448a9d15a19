//! The framework of redlet's conformance suite: cases, expectations, connections and servers.
//!
//! The cases themselves are in `cases/`, the programs that run them in `tests/`; the README says how to add one.
#![allow(
    clippy::disallowed_methods,
    reason = "the suite observes servers from outside, in real time"
)]

use std::process::ExitCode;

pub mod case;
pub mod case_file;
pub mod decode;
pub mod environment;
pub mod expect;
pub mod history;
pub mod program;
pub mod random;
pub mod reply;
pub mod session;
pub mod sha1;
pub mod stream_id;
pub mod target;
pub mod text;
pub mod variables;
pub mod wire;

/// What a program of this suite runs on.
pub fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().map_err(|error| format!("no runtime: {error}"))
}

/// How a program of this suite ends: whether all passed, or why nothing could be said.
pub fn conclude(result: Result<bool, String>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
