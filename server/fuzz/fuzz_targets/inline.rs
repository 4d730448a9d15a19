//! Lines split into words.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redlet_fuzz::checks::wire;

fuzz_target!(|line: &[u8]| wire::check_inline(line));
