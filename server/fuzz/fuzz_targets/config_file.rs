//! Configuration files: read, and where that succeeds, rewritten and read again.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use redlet_fuzz::checks::configuration;

static PATH: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let directory = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let directory = directory.join(format!("redlet-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory for temporary files can be written to");
    directory.join("redis.conf")
});

fuzz_target!(|text: &[u8]| configuration::check_file(text, &PATH));
