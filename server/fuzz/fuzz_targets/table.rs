//! The table of keys beside the standard library's map.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redlet::fuzzing;

fuzz_target!(|input: (u8, Vec<(u8, u16)>)| fuzzing::compare_table(input.0, &input.1));
