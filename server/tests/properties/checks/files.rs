//! Files of a server: whatever is in them, it starts or says why not, and what it has loaded it can save.

use redlet::Config;
use redlet::fuzzing::{Engine, Files};

use super::client::{CheckedClient, FIRST_REQUESTS};

const SNAPSHOT: &str = "/dump.rdb";
const MANIFEST: &str = "/appendonlydir/appendonly.aof.manifest";
const INCREMENT: &str = "/appendonlydir/appendonly.aof.1.incr.aof";

/// Starts a server on files, with small limits.
fn start(files: &Files, has_log: bool) -> Result<Engine, String> {
    let config = Config::new();
    let parameters = [
        ("shards", "2"),
        ("databases", "4"),
        ("save", ""),
        ("proto-max-bulk-len", "1mb"),
        ("enable-debug-command", "yes"),
        ("appendfsync", "no"),
        ("appendonly", if has_log { "yes" } else { "no" }),
    ];
    for (name, value) in parameters {
        config.set_at_start(name, &[value]).expect("the parameter is valid");
    }
    files.start(config)
}

/// Everything that the server has.
fn digest(client: &mut CheckedClient) -> Vec<u8> {
    client.call(&["DEBUG", "DIGEST"])
}

/// The files of a server with a few keys, which has a log or saves a snapshot.
fn files_with_keys(has_log: bool) -> Files {
    let files = Files::new();
    let mut client = CheckedClient::of(start(&files, has_log).expect("there is nothing"));
    for request in FIRST_REQUESTS {
        client.call(request);
    }
    if !has_log {
        assert_eq!(client.call(&["SAVE"]), b"+OK\r\n");
    }
    files
}

/// A snapshot with values of all types.
pub fn snapshot() -> Vec<u8> {
    files_with_keys(false).get(SNAPSHOT).expect("it was saved")
}

/// A log of commands about values of all types.
pub fn log() -> Vec<u8> {
    files_with_keys(true).get(INCREMENT).expect("there is a log")
}

/// A snapshot is refused with the file's name, or loaded, and then it can be saved and is the same.
pub fn check_snapshot(bytes: &[u8]) {
    let files = Files::new();
    files.put(SNAPSHOT, bytes);
    let engine = match start(&files, false) {
        Ok(engine) => engine,
        Err(refusal) => return assert!(refusal.contains(SNAPSHOT), "{refusal}"),
    };
    let mut client = CheckedClient::of(engine);
    let before = digest(&mut client);
    assert_eq!(client.call(&["SAVE"]), b"+OK\r\n");
    let again = start(&files, false).expect("it was saved just now");
    assert_eq!(digest(&mut CheckedClient::of(again)), before);
}

/// A log is refused with the file's name, or loaded, and then what is left of the file is whole.
pub fn check_log(bytes: &[u8]) {
    let files = Files::new();
    files.put(MANIFEST, b"file appendonly.aof.1.incr.aof seq 1 type i\n");
    files.put(INCREMENT, bytes);
    let engine = match start(&files, true) {
        Ok(engine) => engine,
        Err(refusal) => return assert!(refusal.contains(INCREMENT), "{refusal}"),
    };
    let before = digest(&mut CheckedClient::of(engine));
    let left = files.get(INCREMENT).expect("it was loaded");
    assert!(bytes.starts_with(&left), "{}", left.escape_ascii());
    let again = start(&files, true).expect("it was loaded just now");
    assert_eq!(digest(&mut CheckedClient::of(again)), before);
    assert_eq!(files.get(INCREMENT), Some(left));
}
