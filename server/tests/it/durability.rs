//! What is there after the end of a server, or after a crash: that is what a copy of its directory shows.

use std::fs;
use std::path::Path;
use std::time::Duration;

use redlet::{Builder, Server};

use crate::support::{Scratch, Wire, encode, eventually, within};

const LOG: &str = "appendonlydir/appendonly.aof.1.incr.aof";

fn builder(directory: &Path) -> Builder {
    let directory = directory.to_str().expect("the directory's name is text");
    let builder = Server::builder().parameter("dir", directory).parameter("appendonly", "yes");
    builder.parameter("appendfsync", "always")
}

async fn started(directory: &Path) -> (Server, Wire<redlet::MemoryStream>) {
    let server = builder(directory).start().await.expect("the server starts");
    let wire = Wire::memory(&server);
    (server, wire)
}

/// The directory as a crash would leave it now.
fn crashed(directory: &Path) -> Scratch {
    let copy = Scratch::new();
    fs::create_dir(copy.path("appendonlydir")).expect("the copy is empty");
    for entry in fs::read_dir(directory.join("appendonlydir")).expect("there is a log") {
        let entry = entry.expect("the directory can be read");
        let to = copy.path("appendonlydir").join(entry.file_name());
        fs::copy(entry.path(), to).expect("a file of the log can be copied");
    }
    copy
}

fn add_to_log(directory: &Path, lines: &[u8]) {
    let mut bytes = fs::read(directory.join(LOG)).expect("there is a log");
    bytes.extend_from_slice(lines);
    fs::write(directory.join(LOG), bytes).expect("the log can be written");
}

async fn rewrite(wire: &mut Wire<redlet::MemoryStream>) {
    assert!(wire.call("BGREWRITEAOF").await.contains("started"));
    eventually("the log is rewritten", async || {
        wire.call("INFO persistence").await.contains("aof_rewrite_in_progress:0")
    })
    .await;
}

#[tokio::test]
async fn a_transaction_that_is_cut_off_is_cut_off_as_a_whole() {
    let scratch = Scratch::new();
    let (server, _) = started(scratch.directory()).await;
    server.shutdown().await;
    let half = [encode(&["MULTI"]), encode(&["SET", "half", "1"]), b"*3\r\n$3\r\nSET".to_vec()];
    add_to_log(scratch.directory(), &half.concat());
    let (server, mut wire) = started(scratch.directory()).await;
    assert_eq!(wire.call("SET after 1").await, "OK");
    server.shutdown().await;
    let (server, mut wire) = started(scratch.directory()).await;
    assert_eq!(wire.call("EXISTS half after").await, "1");
    server.shutdown().await;
}

#[tokio::test]
async fn a_key_that_got_more_time_after_the_base_was_written_has_it() {
    let scratch = Scratch::new();
    let (server, mut wire) = started(scratch.directory()).await;
    assert_eq!(wire.call("SET key value PX 400").await, "OK");
    rewrite(&mut wire).await;
    assert_eq!(wire.call("PERSIST key").await, "1");
    server.shutdown().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (server, mut wire) = started(scratch.directory()).await;
    assert_eq!(wire.call("GET key").await, "value");
    server.shutdown().await;
}

#[tokio::test]
async fn nothing_is_logged_of_members_that_were_not_popped() {
    let scratch = Scratch::new();
    let (_server, mut wire) = started(scratch.directory()).await;
    wire.call("SADD set a b").await;
    wire.call("SPOP set 0").await;
    let copy = crashed(scratch.directory());
    let (_server, mut wire) = started(copy.directory()).await;
    assert_eq!(wire.call("SCARD set").await, "2");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_not_mistaken_for_another() {
    let scratch = Scratch::new();
    let (server, _) = started(scratch.directory()).await;
    server.shutdown().await;
    add_to_log(scratch.directory(), &encode(&["SELECT", "9"]));
    assert!(builder(scratch.directory()).databases(4).start().await.is_err());
}

#[tokio::test]
async fn who_waits_for_no_disk_does_not_wait_once_replies_do() {
    let scratch = Scratch::new();
    let server = builder(scratch.directory()).parameter("appendfsync", "no").start().await.unwrap();
    let mut wire = Wire::memory(&server);
    assert_eq!(wire.call("SET key 1").await, "OK");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(wire.call("CONFIG SET appendfsync always").await, "OK");
    assert_eq!(wire.call("GET key").await, "1");
    server.shutdown().await;
}

#[tokio::test]
async fn parameters_take_effect_behind_the_transaction_that_sets_them() {
    let server = Server::start().await.unwrap();
    let mut wire = Wire::memory(&server);
    for line in ["MULTI", "SET key 1", "CONFIG SET maxmemory 100mb", "EXEC"] {
        within(wire.call(line)).await;
    }
    assert_eq!(wire.call("GET key").await, "1");
}

#[tokio::test]
async fn a_server_that_cannot_save_and_goes_on_goes_on_logging() {
    let scratch = Scratch::new();
    let saving = builder(scratch.directory()).parameter("save", "3600 1");
    let server = saving.start().await.unwrap();
    let mut wire = Wire::memory(&server);
    fs::create_dir_all(scratch.path("dump.rdb/in the way")).unwrap();
    assert_eq!(wire.call("SET before 1").await, "OK");
    assert!(wire.call("SHUTDOWN").await.contains("Errors trying to SHUTDOWN"));
    assert_eq!(wire.call("SET after 1").await, "OK");
    let copy = crashed(scratch.directory());
    let (_server, mut wire) = started(copy.directory()).await;
    assert_eq!(wire.call("EXISTS before after").await, "2");
}

#[tokio::test]
async fn nothing_is_acknowledged_behind_the_end_of_the_log() {
    let scratch = Scratch::new();
    let (server, _) = started(scratch.directory()).await;
    let writers: Vec<_> = (0..8)
        .map(|number| {
            let mut wire = Wire::memory(&server);
            tokio::spawn(async move {
                let mut acknowledged = 0;
                while wire.call(&format!("SET {number} {}", acknowledged + 1)).await == "OK" {
                    acknowledged += 1;
                }
                acknowledged
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.shutdown().await;
    let (server, mut wire) = started(scratch.directory()).await;
    for (number, writer) in writers.into_iter().enumerate() {
        let acknowledged = writer.await.expect("no writer panics");
        let there: u64 = wire.call(&format!("GET {number}")).await.parse().unwrap_or(0);
        assert!(there >= acknowledged, "{acknowledged} were acknowledged, and {there} are there");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn what_is_stored_in_an_order_left_open_stays_in_it() {
    let scratch = Scratch::new();
    let (server, mut wire) = started(scratch.directory()).await;
    let members: Vec<String> = (0..300).map(|number| format!("member:{number}")).collect();
    let add: Vec<&str> = ["SADD", "set"].into_iter().chain(members.iter().map(|m| &**m)).collect();
    wire.request(&add).await;
    wire.call("SORT set BY nothing:* ALPHA STORE list").await;
    let list = wire.call("LRANGE list 0 -1").await;
    server.shutdown().await;
    let (server, mut wire) = started(scratch.directory()).await;
    assert_eq!(wire.call("LRANGE list 0 -1").await, list);
    server.shutdown().await;
}

#[tokio::test]
async fn a_log_that_has_no_base_yet_gets_one_at_the_end() {
    let scratch = Scratch::new();
    let server = builder(scratch.directory()).parameter("appendonly", "no").start().await.unwrap();
    let mut wire = Wire::memory(&server);
    wire.call("DEBUG POPULATE 100000").await;
    wire.call("SET key 1").await;
    assert_eq!(wire.call("CONFIG SET appendonly yes").await, "OK");
    let keys = wire.call("DBSIZE").await;
    server.shutdown().await;
    let (server, mut wire) = started(scratch.directory()).await;
    assert_eq!(wire.call("DBSIZE").await, keys);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_turned_on_beside_a_script_has_all_of_it_or_nothing() {
    const SCRIPT: &str =
        "redis.call('SET', KEYS[1], 1) for _ = 1, ARGV[1] do end redis.call('SET', KEYS[2], 1)";
    let scratch = Scratch::new();
    let server = builder(scratch.directory()).parameter("appendonly", "no").start().await.unwrap();
    let (mut wire, mut script) = (Wire::memory(&server), Wire::tcp(&server).await);
    script.send(&encode(&["EVAL", SCRIPT, "2", "first", "second", "20000000"])).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(wire.call("CONFIG SET appendonly yes").await, "OK");
    assert_eq!(script.reply().await, "(nil)");
    eventually("the log is on", async || {
        wire.call("INFO persistence").await.contains("aof_enabled:1")
    })
    .await;
    assert_eq!(wire.call("SET third 1").await, "OK");
    server.shutdown().await;
    let (server, mut wire) = started(scratch.directory()).await;
    assert_eq!(wire.call("EXISTS first second third").await, "3");
    server.shutdown().await;
}
