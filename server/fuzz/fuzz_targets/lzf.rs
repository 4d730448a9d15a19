//! Compressed texts: there and back, and anything taken for one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redlet_fuzz::checks::payload;

fuzz_target!(|input: (u16, &[u8])| {
    let (announced, bytes) = input;
    payload::check_dump(bytes);
    payload::check_compressed(bytes, announced);
});
