//! Files that should be logs of commands.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redlet_fuzz::checks::files;

fuzz_target!(|bytes: &[u8]| files::check_log(bytes));
