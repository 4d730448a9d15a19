//! Compression there and back, and decompression of anything.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redlet_fuzz::checks::values;

fuzz_target!(|input: (u16, &[u8])| {
    let (expected_len, bytes) = input;
    values::check_compression(bytes);
    values::check_decompression(bytes, usize::from(expected_len));
});
