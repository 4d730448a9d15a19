//! Payloads of all types with a footer that fits; then commands.
#![no_main]

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use redlet_fuzz::Decisions;
use redlet_fuzz::checks::client::CheckedClient;
use redlet_fuzz::checks::traffic;

fuzz_target!(|input: (&[u8], &[u8])| {
    let (value, choices) = input;
    let mut decisions = Decisions(Unstructured::new(choices));
    traffic::check(&mut CheckedClient::with_debug(), value, &mut decisions);
});
