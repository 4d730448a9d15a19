//! Payloads of DUMP: with a footer that fits, and as they are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redlet_fuzz::checks::client::CheckedClient;
use redlet_fuzz::checks::payload;

fuzz_target!(|bytes: &[u8]| {
    let mut client = CheckedClient::new();
    payload::check_value(&mut client, bytes);
    // The type of a string in front leads straight to its encodings.
    payload::check_value(&mut client, &[&[0], bytes].concat());
    payload::check_payload(&mut client, bytes);
    payload::check_dump(bytes);
});
