//! `redlet check`, and what the program says of its directory.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::binary::{REDLET, Running, call, free_port, on_port};
use crate::support::{Scratch, encode, sealed_snapshot};

fn run(words: &[&str], path: &Path) -> Output {
    let mut command = Command::new(REDLET);
    command.args(words).arg(path).stdin(Stdio::null()).output().expect("redlet was built")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_status_says_whether_a_file_is_good() {
    let scratch = Scratch::new();
    let path = scratch.path("dump.rdb");
    let good = sealed_snapshot(&[0, 1, b'k', 1, b'v']);
    std::fs::write(&path, &good).unwrap();
    let output = run(&["check"], &path);
    assert_eq!(output.status.code(), Some(0));
    let page = text(&output.stdout);
    assert!(page.contains("db0: 1 key (1 string)") && page.contains("is valid"), "{page}");
    std::fs::write(&path, &good[..good.len() - 1]).unwrap();
    let output = run(&["check"], &path);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("the file ends before its checksum (at byte 15)"));
    assert!(text(&output.stderr).contains("dump.rdb can be loaded"));
    let output = run(&["check"], &scratch.path("nothing"));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("No such file or directory"));
}

#[test]
fn a_repair_that_is_done_is_no_error() {
    let scratch = Scratch::new();
    let path = scratch.path("appendonly.aof");
    let whole = encode(&["SET", "key", "value"]);
    std::fs::write(&path, [&whole[..], b"*1\r\n$4\r\nPI"].concat()).unwrap();
    let output = run(&["check", "--fix"], &path);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    let page = text(&output.stdout);
    assert!(page.contains("Successfully truncated AOF") && page.contains("10 bytes"), "{page}");
    assert_eq!(std::fs::read(&path).unwrap(), whole);
    assert!(scratch.path("appendonly.aof.bak").exists());
    std::fs::write(&path, "nothing of the kind").unwrap();
    let output = run(&["check", "--fix"], &path);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--fix changes nothing"));
}

#[test]
fn a_second_server_in_a_directory_is_refused() {
    let scratch = Scratch::new();
    let directory = scratch.directory().to_str().unwrap();
    let port = free_port().to_string();
    let first = Running::with(&["--port", &port, "--dir", directory, "--save", "3600", "1"]);
    let port = free_port().to_string();
    let words = ["--port", &port, "--appendonly", "yes", "--dir"];
    let output = run(&words, scratch.directory());
    assert_eq!(output.status.code(), Some(1));
    let expected =
        format!("the directory {directory} is in use by another server (process {})", first.id());
    for said in [&output.stderr, &output.stdout] {
        assert!(text(said).contains(&expected), "{}", text(said));
    }
    drop(first);
    // Who was killed has left the file, but not the lock.
    assert!(scratch.path("redlet.lock").exists());
    let port = free_port().to_string();
    Running::with(&["--port", &port, "--dir", directory, "--appendonly", "yes"]);
}

#[test]
fn who_has_asked_for_no_files_is_served_beside_another() {
    let scratch = Scratch::new();
    let start = |port: u16| {
        let mut command = Command::new(REDLET);
        command.args(["--port", &port.to_string()]).current_dir(scratch.directory());
        command.env("REDLET_DEFAULTS", "");
        Running::start(&mut command, 1)
    };
    let (one, two) = (free_port(), free_port());
    let (_first, _second) = (start(one), start(two));
    assert_eq!(call(on_port(one), "CONFIG GET save"), "[save, 3600 1 300 100 60 10000]");
    assert_eq!(call(on_port(two), "CONFIG GET save"), "[save, ]");
    assert_eq!(call(on_port(one), "SAVE"), "OK");
    assert!(call(on_port(two), "SAVE").starts_with('-'));
}
