//! Files that should be snapshots: as they are, and behind a beginning that fits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redlet_fuzz::checks::files;

fuzz_target!(|bytes: &[u8]| {
    files::check_snapshot(bytes);
    files::check_snapshot(&[b"REDIS0010", bytes, b"\xff\0\0\0\0\0\0\0\0"].concat());
});
