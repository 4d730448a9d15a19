//! Bytes of a client, as they come, on a server with a few keys.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redlet_fuzz::checks::client::CheckedClient;

fuzz_target!(|input: (bool, &[u8])| {
    let (is_resp3, bytes) = input;
    let mut client = CheckedClient::new();
    if is_resp3 {
        client.call(&["HELLO", "3"]);
    }
    client.send(bytes);
});
