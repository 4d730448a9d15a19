//! Streams in payloads: bytes as they are, and what is put together part by part; then commands.
#![no_main]

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use redlet_fuzz::Decisions;
use redlet_fuzz::checks::client::CheckedClient;
use redlet_fuzz::checks::{Choices, streams};

fuzz_target!(|bytes: &[u8]| {
    let mut decisions = Decisions(Unstructured::new(bytes));
    let mut client = CheckedClient::with_debug();
    streams::check_value(&mut client, bytes, &mut decisions);
    let mut decisions = Decisions(Unstructured::new(bytes));
    let mut value = streams::value(&mut decisions);
    if decisions.once_in(4) {
        let at = decisions.below(value.len());
        value[at] = decisions.below(256) as u8;
    }
    streams::check_value(&mut client, &value, &mut decisions);
});
