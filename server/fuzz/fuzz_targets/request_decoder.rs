//! Requests decoded in pieces, as a whole, and by `redis-protocol`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redlet_fuzz::checks::wire;

fuzz_target!(|input: (Vec<u8>, &[u8])| {
    let (cuts, bytes) = input;
    wire::check_pieces(bytes, &cuts[..cuts.len().min(8)]);
    wire::check_against_redis_protocol(bytes);
});
