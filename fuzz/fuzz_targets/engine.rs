//! Bytes of a client, as they come, on a server with a few keys.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redlet_fuzz::checks::client::CheckedClient;

fuzz_target!(|bytes: &[u8]| {
    let mut client = CheckedClient::new();
    client.send(bytes);
    let mut client = CheckedClient::new();
    client.call(&["HELLO", "3"]);
    client.send(bytes);
});
