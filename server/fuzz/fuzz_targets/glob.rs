//! Glob patterns against a second matcher.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redlet_fuzz::checks::glob;

fuzz_target!(|input: (&[u8], &[u8])| glob::check(input.0, input.1));
