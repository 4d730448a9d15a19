//! Whole requests that follow the table's notation, or nearly do, while time goes on.
#![no_main]

use std::time::Duration;

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use redlet_fuzz::Decisions;
use redlet_fuzz::checks::client::CheckedClient;
use redlet_fuzz::checks::wire::encode;
use redlet_fuzz::checks::{Choices, grammar};

fuzz_target!(|bytes: &[u8]| {
    let mut decisions = Decisions(Unstructured::new(bytes));
    let mut client = CheckedClient::with_debug();
    while !decisions.is_empty() {
        client.send(&encode(&grammar::request(&mut decisions)));
        if decisions.once_in(8) {
            client.advance_clock(Duration::from_millis(decisions.below(2_000) as u64));
        }
    }
});
