//! Files on disk: examining and mending them, and one server per directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redlet::{CheckReport, Config, Server, check};

use crate::support::{Scratch, Wire, assert_serves, encode, eventually, sealed_snapshot};

/// A server that has its files there, with other parameters.
async fn server_in(directory: &Path, parameters: &[(&str, &str)]) -> Result<Server, String> {
    let config = Config::new();
    config.set_at_start("dir", &[directory.to_str().expect("it is text")]).expect("it is there");
    for (name, value) in parameters {
        config.set_at_start(name, &[value]).expect("the parameter is one");
    }
    let started = Server::builder().config(config).no_socket().start().await;
    started.map_err(|error| error.to_string())
}

const LOG: [(&str, &str); 2] = [("appendonly", "yes"), ("appendfsync", "always")];
const SNAPSHOTS: [(&str, &str); 1] = [("save", "3600 1")];
const DEBUGGED: [(&str, &str); 1] = [("enable-debug-command", "yes")];

/// Has a server execute commands, and ends it.
async fn leave(directory: &Path, parameters: &[(&str, &str)], commands: &[&str]) {
    let server = server_in(directory, parameters).await.expect("the directory is whole");
    let mut client = Wire::memory(&server);
    for command in commands {
        let reply = client.call(command).await;
        assert!(!reply.starts_with('-'), "{command}: {reply}");
    }
    server.shutdown().await;
}

const COMMANDS: [&str; 9] = [
    "SET text 12345678901234567890",
    "SET number 7 PX 100000000",
    "RPUSH list a b c",
    "SADD integers 1 2 3",
    "SADD words a b c",
    "XADD stream 1-1 field value",
    "XGROUP CREATE stream group 0",
    "SELECT 3",
    "SET elsewhere x",
];

/// A snapshot with something of each type.
async fn snapshot(scratch: &Scratch) -> PathBuf {
    leave(scratch.directory(), &SNAPSHOTS, &COMMANDS).await;
    scratch.path("dump.rdb")
}

/// A log with something of each type; its manifest, and its increment.
async fn log(scratch: &Scratch) -> (PathBuf, PathBuf) {
    leave(scratch.directory(), &LOG, &COMMANDS).await;
    let directory = scratch.path("appendonlydir");
    (directory.join("appendonly.aof.manifest"), directory.join("appendonly.aof.1.incr.aof"))
}

fn append(path: &Path, bytes: &[u8]) {
    let all = [std::fs::read(path).expect("the file is there"), bytes.to_vec()].concat();
    std::fs::write(path, all).expect("the file can be written");
}

fn assert_says(report: &CheckReport, words: &[&str]) {
    let page = report.to_string();
    for word in words {
        assert!(page.contains(word), "'{word}' is not in\n{page}");
    }
}

#[tokio::test]
async fn a_good_snapshot_is_described() {
    let scratch = Scratch::new();
    let report = check(snapshot(&scratch).await).unwrap();
    assert!(report.is_good(), "{report}");
    assert_says(
        &report,
        &[
            "RDB version 10",
            "redis-ver 7.2.4",
            "db0: 6 keys (1 list, 2 sets, 1 stream, 2 strings), 1 with a deadline",
            "db3: 1 key (1 string)",
            "is valid",
        ],
    );
    assert!(report.repair().is_err());
}

#[tokio::test]
async fn a_good_log_is_described() {
    let scratch = Scratch::new();
    let (manifest, increment) = log(&scratch).await;
    let report = check(manifest).unwrap();
    assert!(report.is_good(), "{report}");
    assert_says(&report, &["RPUSH 1", "XADD 1", "All AOF files and manifest are valid"]);
    let report = check(increment).unwrap();
    assert!(report.is_good(), "{report}");
}

#[tokio::test]
async fn every_byte_of_a_snapshot_counts() {
    let scratch = Scratch::new();
    let path = snapshot(&scratch).await;
    let bytes = std::fs::read(&path).unwrap();
    let damaged = scratch.path("damaged.rdb");
    for at in 0..bytes.len() {
        for flipped in [bytes[at] ^ 1, bytes[at] ^ 0x80, !bytes[at]] {
            let mut other = bytes.clone();
            other[at] = flipped;
            std::fs::write(&damaged, other).unwrap();
            let report = check(&damaged).unwrap();
            assert!(!report.is_good(), "byte {at} is {flipped}: {report}");
        }
        std::fs::write(&damaged, &bytes[..at]).unwrap();
        let report = check(&damaged).unwrap();
        assert!(!report.is_good(), "{at} bytes: {report}");
    }
}

#[tokio::test]
async fn what_can_be_read_of_a_snapshot_is_saved() {
    let scratch = Scratch::new();
    let path = snapshot(&scratch).await;
    let bytes = std::fs::read(&path).unwrap();
    for length in (0..bytes.len()).step_by(7) {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let repaired = scratch.path("dump.rdb.repaired");
        let done = check(&path).unwrap().repair();
        assert_eq!(std::fs::read(&path).unwrap().len(), length);
        if length < 9 {
            assert!(done.is_err() && !repaired.exists());
            continue;
        }
        let report = check(&repaired).unwrap();
        assert!(report.is_good(), "{length} bytes: {done:?}\n{report}");
        assert!(check(&path).unwrap().repair().is_err(), "what is there stays");
        std::fs::remove_file(repaired).unwrap();
    }
}

#[tokio::test]
async fn a_repaired_snapshot_is_loaded() {
    let scratch = Scratch::new();
    let path = snapshot(&scratch).await;
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 20]).unwrap();
    let refusal = server_in(scratch.directory(), &SNAPSHOTS).await.err().unwrap();
    assert!(refusal.contains("dump.rdb") && refusal.contains("redlet check"), "{refusal}");
    let left = std::fs::read(&path).unwrap();
    assert_eq!(left, bytes[..bytes.len() - 20], "a file that is refused stays as it is");
    let done = check(&path).unwrap().repair().unwrap();
    assert!(done.contains("1 are missing"), "{done}");
    std::fs::rename(scratch.path("dump.rdb.repaired"), &path).unwrap();
    let server = server_in(scratch.directory(), &SNAPSHOTS).await.unwrap();
    let mut client = Wire::memory(&server);
    let (first, other) = (client.call("DBSIZE").await, client.call("SELECT 3").await);
    assert_eq!(other, "OK");
    let all: u64 =
        first.parse::<u64>().unwrap() + client.call("DBSIZE").await.parse::<u64>().unwrap();
    assert_eq!(all, 6);
}

#[test]
fn a_snapshot_is_taken_over_without_what_redlet_lacks() {
    let scratch = Scratch::new();
    let path = scratch.path("dump.rdb");
    let hash = [&[4, 1, b'h', 1][..], &[5], b"field", &[5], b"value"].concat();
    let sorted_set =
        [&[0xfc][..], &[1; 8], &[5, 1, b'z', 1, 1, b'm'], &1.5_f64.to_le_bytes()].concat();
    let text = |name: u8| vec![0, 1, name, 1, b'v'];
    let body = [text(b'a'), hash, text(b'b'), sorted_set, text(b'c')].concat();
    std::fs::write(&path, sealed_snapshot(&body)).unwrap();
    let report = check(&path).unwrap();
    assert!(!report.is_good());
    assert_says(
        &report,
        &["5 keys (1 hash, 1 sorted set, 3 strings)", "under the key \"h\" (at byte 14)"],
    );
    report.repair().unwrap();
    let report = check(scratch.path("dump.rdb.repaired")).unwrap();
    assert!(report.is_good(), "{report}");
    assert_says(&report, &["3 keys (3 strings)\n"]);
}

#[tokio::test]
async fn every_beginning_of_a_log_is_cut_to_whole_units() {
    let scratch = Scratch::new();
    let path = scratch.path("beginning.aof");
    let units: [Vec<u8>; 4] = [
        encode(&["SET", "a", "1"]),
        [encode(&["MULTI"]), encode(&["SET", "b", "2"]), encode(&["EXEC"])].concat(),
        b"#TS:1700000000\r\n".to_vec(),
        encode(&["RPUSH", "list", "x", "y"]),
    ];
    let all = units.concat();
    let ends: Vec<usize> = units
        .iter()
        .scan(0, |end, unit| {
            *end += unit.len();
            Some(*end)
        })
        .collect();
    for length in 0..=all.len() {
        std::fs::write(&path, &all[..length]).unwrap();
        let whole = ends.iter().rev().find(|end| **end <= length).copied().unwrap_or(0);
        let report = check(&path).unwrap();
        // A remark that is cut off is one.
        if report.is_good() {
            assert_eq!(whole, length, "{report}");
            continue;
        }
        let done = report.repair().unwrap();
        assert!(done.contains(&format!("{} bytes", length - whole)), "{length}: {done}");
        assert_eq!(std::fs::read(&path).unwrap(), all[..whole], "{length}");
        let backup = scratch.path("beginning.aof.bak");
        assert_eq!(std::fs::read(&backup).unwrap(), all[..length]);
        std::fs::remove_file(backup).unwrap();
        assert!(check(&path).unwrap().is_good());
    }
}

#[tokio::test]
async fn a_damaged_log_is_cut_and_loaded() {
    let scratch = Scratch::new();
    let (manifest, increment) = log(&scratch).await;
    let whole = std::fs::read(&increment).unwrap();
    append(&increment, b"!!!\r\n*2\r\n$3\r\nDEL\r\n$4\r\ntext\r\n");
    let refusal = server_in(scratch.directory(), &LOG).await.err().unwrap();
    assert!(refusal.contains(&format!("at byte {}", whole.len())), "{refusal}");
    let report = check(&manifest).unwrap();
    assert_says(&report, &["INCR AOF appendonly.aof.1.incr.aof is not valid", "cut at byte"]);
    let done = report.repair().unwrap();
    assert!(done.contains("28 bytes with 1 commands are lost"), "{done}");
    assert_eq!(std::fs::read(&increment).unwrap(), whole);
    let server = server_in(scratch.directory(), &LOG).await.unwrap();
    assert_eq!(Wire::memory(&server).call("DBSIZE").await, "6");
}

#[tokio::test]
async fn a_start_that_fails_saves_nothing() {
    let scratch = Scratch::new();
    let (_, increment) = log(&scratch).await;
    append(&increment, b"!!!");
    let parameters = [LOG[0], ("save", "3600 1")];
    assert!(server_in(scratch.directory(), &parameters).await.is_err());
    assert!(!scratch.path("dump.rdb").exists());
}

#[tokio::test]
async fn what_is_written_after_an_open_transaction_was_cut_is_not_part_of_it() {
    let scratch = Scratch::new();
    let (_, increment) = log(&scratch).await;
    append(&increment, &encode(&["MULTI"]));
    append(&increment, &encode(&["DEL", "text"]));
    append(&increment, b"*2\r\n$3\r\nDEL\r\n$6\r\nnum");
    leave(scratch.directory(), &LOG, &["SET later 1"]).await;
    let server = server_in(scratch.directory(), &LOG).await.unwrap();
    let mut client = Wire::memory(&server);
    assert_eq!(client.call("EXISTS later text number").await, "3");
}

#[tokio::test]
async fn only_the_last_file_of_a_log_is_cut() {
    let scratch = Scratch::new();
    let (manifest, increment) = log(&scratch).await;
    append(&increment, b"*1\r\n$4\r\nPI");
    append(&manifest, b"file appendonly.aof.2.incr.aof seq 2 type i\n");
    std::fs::write(increment.with_file_name("appendonly.aof.2.incr.aof"), "").unwrap();
    for path in [&manifest, &increment] {
        let before = std::fs::read(&increment).unwrap();
        let report = check(path).unwrap();
        let refusal = report.repair().unwrap_err().to_string();
        assert!(refusal.contains("Failed to truncate AOF"), "{refusal}");
        assert!(refusal.contains("because it is not the last file"), "{refusal}");
        assert_eq!(std::fs::read(&increment).unwrap(), before);
    }
}

#[tokio::test]
async fn a_bad_manifest_is_said_and_not_repaired() {
    let scratch = Scratch::new();
    let (manifest, increment) = log(&scratch).await;
    let good = std::fs::read(&manifest).unwrap();
    for (text, word) in [
        ("", "Found an empty AOF manifest"),
        ("file x seq\n", "Invalid AOF manifest file format (in line 1)"),
        ("file x seq 1 type b\nfile y seq 2 type b\n", "Found duplicate base file information"),
    ] {
        std::fs::write(&manifest, text).unwrap();
        let report = check(&manifest).unwrap();
        assert!(!report.is_good() && report.repair().is_err());
        assert_says(&report, &[word]);
    }
    std::fs::write(&manifest, good).unwrap();
    std::fs::remove_file(increment).unwrap();
    let report = check(&manifest).unwrap();
    assert!(!report.is_good() && report.repair().is_err());
    assert_says(&report, &["appendonly.aof.1.incr.aof", "No such file or directory"]);
}

#[test]
fn commands_that_redlet_lacks_are_no_damage() {
    let scratch = Scratch::new();
    let path = scratch.path("appendonly.aof");
    let text = [encode(&["SET", "a", "1"]), encode(&["HSET", "h", "f", "v"])].concat();
    std::fs::write(&path, &text).unwrap();
    let report = check(&path).unwrap();
    assert!(!report.is_good());
    assert_says(
        &report,
        &["is whole, but redlet cannot load it", "unknown command 'HSET'", "HSET 1"],
    );
    assert!(report.repair().is_err());
    assert_eq!(std::fs::read(&path).unwrap(), text);
}

#[test]
fn what_is_no_file_of_a_server_stays_as_it_is() {
    let scratch = Scratch::new();
    let path = scratch.path("notes.txt");
    std::fs::write(&path, "Dear diary\n").unwrap();
    let report = check(&path).unwrap();
    assert!(!report.is_good() && report.repair().is_err());
    assert!(check(scratch.path("nothing")).is_err());
    assert!(check(scratch.directory()).is_err());
}

#[tokio::test]
async fn a_directory_has_one_server() {
    for parameters in [&LOG[..], &SNAPSHOTS] {
        let scratch = Scratch::new();
        let first = server_in(scratch.directory(), parameters).await.unwrap();
        for others in [&LOG[..], &SNAPSHOTS] {
            let refusal = server_in(scratch.directory(), others).await.err().unwrap();
            let directory = scratch.directory().display().to_string();
            for word in [&directory, "another server (of this process", "'dir' of its own"] {
                assert!(refusal.contains(word), "{refusal}");
            }
        }
        assert_serves(&first).await;
        first.shutdown().await;
        let next = server_in(scratch.directory(), parameters).await.unwrap();
        drop(next);
        assert!(!scratch.path("redlet.lock").exists());
    }
}

#[tokio::test]
async fn a_server_that_writes_nothing_holds_no_directory() {
    let scratch = Scratch::new();
    let idle = server_in(scratch.directory(), &[]).await.unwrap();
    let writer = server_in(scratch.directory(), &SNAPSHOTS).await.unwrap();
    let mut client = Wire::memory(&idle);
    let refusal = client.call("SAVE").await;
    assert!(refusal.starts_with('-'), "{refusal}");
    writer.shutdown().await;
    assert_eq!(client.call("SAVE").await, "OK");
    assert!(server_in(scratch.directory(), &SNAPSHOTS).await.is_err(), "who has saved holds it");
}

#[tokio::test]
async fn a_server_moves_to_another_directory_only_if_that_is_free() {
    let (one, two) = (Scratch::new(), Scratch::new());
    let parameters = [("save", "3600 1"), ("enable-protected-configs", "yes")];
    let first = server_in(one.directory(), &parameters).await.unwrap();
    let second = server_in(two.directory(), &SNAPSHOTS).await.unwrap();
    let mut client = Wire::memory(&first);
    let moving = format!("CONFIG SET dir {}", two.directory().display());
    let refusal = client.call(&moving).await;
    assert!(
        refusal.contains("CONFIG SET failed (possibly related to argument 'dir')"),
        "{refusal}"
    );
    let stayed = format!("[dir, {}]", one.directory().display());
    assert_eq!(client.call("CONFIG GET dir").await, stayed);
    second.shutdown().await;
    assert_eq!(client.call(&moving).await, "OK");
    assert!(server_in(two.directory(), &SNAPSHOTS).await.is_err());
    assert!(server_in(one.directory(), &SNAPSHOTS).await.is_ok());
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_said_at_start() {
    for parameters in [&LOG[..], &SNAPSHOTS] {
        let refusal = server_in(Path::new("/proc"), parameters).await.err().unwrap();
        assert!(refusal.contains("cannot write to the directory /proc"), "{refusal}");
        assert!(refusal.contains("choose another 'dir'"), "{refusal}");
    }
}

#[tokio::test]
async fn nothing_is_repaired_under_a_running_server() {
    let scratch = Scratch::new();
    let (_, increment) = log(&scratch).await;
    let _server = server_in(scratch.directory(), &LOG).await.unwrap();
    append(&increment, b"*1\r\n$4\r\nPI");
    let refusal = check(&increment).unwrap().repair().unwrap_err().to_string();
    assert!(refusal.contains("a server is running"), "{refusal}");
}

#[tokio::test]
async fn a_snapshot_that_the_end_interrupts_is_none() {
    let scratch = Scratch::new();
    let server = server_in(scratch.directory(), &DEBUGGED).await.unwrap();
    let mut client = Wire::memory(&server);
    assert_eq!(client.call("DEBUG POPULATE 300000 key 64").await, "OK");
    assert_eq!(client.call("SAVE").await, "OK");
    assert_eq!(client.call("BGSAVE").await, "Background saving started");
    eventually("the snapshot is being written", async || {
        let names = std::fs::read_dir(scratch.directory()).unwrap();
        names.filter_map(Result::ok).any(|entry| {
            entry.metadata().is_ok_and(|file| file.len() > 0)
                && entry.file_name().to_string_lossy().starts_with("temp-")
        })
    })
    .await;
    server.shutdown().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let report = check(scratch.path("dump.rdb")).unwrap();
    assert!(report.is_good(), "{report}");
    assert_says(&report, &["300000 keys"]);
}

#[tokio::test]
async fn who_starts_a_server_can_watch_it_load() {
    let scratch = Scratch::new();
    let server = server_in(scratch.directory(), &DEBUGGED).await.unwrap();
    let mut client = Wire::memory(&server);
    assert_eq!(client.call("DEBUG POPULATE 100000 key 64").await, "OK");
    assert_eq!(client.call("SAVE").await, "OK");
    server.shutdown().await;
    let length = std::fs::metadata(scratch.path("dump.rdb")).unwrap().len();
    let total = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&total);
    let starting = Server::builder()
        .parameter("dir", scratch.directory().to_str().unwrap())
        .on_loading(move |loading| {
            assert!(loading.percent() <= 100);
            seen.store(loading.total_bytes, Ordering::SeqCst);
        })
        .no_socket();
    starting.start().await.unwrap();
    assert_eq!(total.load(Ordering::SeqCst), length);
}
