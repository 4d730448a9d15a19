//! What ends a wait in a group, by whatever way a stream comes, goes, or becomes something else. What
//! is said here is what real servers say.

use redlet::{MemoryStream, Server};

use super::{NO_GROUP, WRONG_TYPE, assert_nobody_waits, await_waiters, waiting};
use crate::support::Wire;

const ONE: &str = "[[s, [[1-0, [n, 1]]]]]";
const TWO: &str = "[[s, [[2-0, [n, 2]]]]]";
const NINE: &str = "[[s, [[9-0, [n, 9]]]]]";

/// Requests of somebody else, with what then hears who waits; nothing if the wait goes on.
const ENDINGS: &[(&str, Option<&str>)] = &[
    ("XADD s 9-0 n 9", Some(NINE)),
    ("XADD s MAXLEN 0 9-0 n 9", None),
    ("XGROUP DESTROY s g", Some(NO_GROUP)),
    ("XGROUP DESTROY s none", None),
    ("XGROUP DELCONSUMER s g worker:0", None),
    ("XGROUP SETID s g 0", None),
    ("XGROUP SETID s g -", None),
    ("XSETID s 100", None),
    ("XTRIM s MAXLEN 0", None),
    ("DEL s", Some(NO_GROUP)),
    ("UNLINK s", Some(NO_GROUP)),
    ("GETDEL s", None),
    ("FLUSHALL", Some(NO_GROUP)),
    ("FLUSHDB", Some(NO_GROUP)),
    ("PEXPIRE s -1", Some(NO_GROUP)),
    ("SET s text", Some(WRONG_TYPE)),
    ("SUNIONSTORE s set", Some(WRONG_TYPE)),
    ("SORT set BY nosort STORE s", Some(WRONG_TYPE)),
    ("SORT none STORE s", Some(NO_GROUP)),
    ("SDIFFSTORE s none", Some(NO_GROUP)),
    ("SINTERSTORE s set none", Some(NO_GROUP)),
    ("RENAME s elsewhere", Some(NO_GROUP)),
    ("RENAME full s", Some(ONE)),
    ("RENAME other s", Some(NO_GROUP)),
    ("RENAMENX full s", None),
    ("COPY full s REPLACE", Some(ONE)),
    ("COPY other s REPLACE", Some(NO_GROUP)),
    ("MOVE s 1", None),
    ("MOVE s 2", Some(NO_GROUP)),
    ("SELECT 1;MOVE s 0", None),
    ("SWAPDB 0 1", Some(TWO)),
    ("SWAPDB 1 0", Some(TWO)),
    ("SWAPDB 0 2", Some(NO_GROUP)),
    ("SWAPDB 1 2", None),
    ("MULTI;DEL s;RENAME full s;EXEC", Some(ONE)),
    ("MULTI;DEL s;XGROUP CREATE s g 0 MKSTREAM;XADD s 9-0 n 9;EXEC", Some(NINE)),
    ("MULTI;XADD s 9-0 n 9;XDEL s 9-0;EXEC", None),
    ("MULTI;XADD s 9-0 n 9;DEL s;EXEC", Some(NO_GROUP)),
    ("MULTI;XADD s 9-0 n 9;XGROUP SETID s g 9-0;EXEC", None),
    ("MULTI;DEL s;SELECT 1;MOVE s 0;EXEC", Some(TWO)),
    ("MULTI;SWAPDB 0 1;SWAPDB 0 1;EXEC", None),
    ("MULTI;SET s x;DEL s;XGROUP CREATE s g $ MKSTREAM;EXEC", None),
    ("EVAL redis.call('del','s')redis.call('rename','full','s') 2 s full", Some(ONE)),
];

/// A stream `s` with a group that has nothing to read, and others that may come into its place.
async fn prepared(shards: usize) -> (Server, Wire<MemoryStream>) {
    let server = Server::builder().no_socket().shards(shards).start().await.expect("it starts");
    let mut client = Wire::memory(&server);
    for line in [
        "XGROUP CREATE s g $ MKSTREAM",
        "XADD full 1-0 n 1",
        "XGROUP CREATE full g 0",
        "XADD other 1-0 n 1",
        "SADD set member",
        "SELECT 1",
        "XADD s 2-0 n 2",
        "XGROUP CREATE s g 0",
        "SELECT 0",
    ] {
        assert!(!client.call(line).await.starts_with('-'), "{line}");
    }
    (server, client)
}

/// One of many who wait hears this, and the others the same, but that an entry goes to the first alone.
async fn check_ending(shards: usize, waiters: usize, lines: &str, heard: Option<&str>) {
    let (server, mut client) = prepared(shards).await;
    let mut all = Vec::new();
    for number in 0..waiters {
        let line = format!("XREADGROUP GROUP g worker:{number} BLOCK 0 STREAMS s >");
        all.push(waiting(&server, &line).await);
        await_waiters(&mut client, number + 1).await;
    }
    let mut actor = Wire::memory(&server);
    for line in lines.split(';') {
        actor.call(line).await;
    }
    let is_entry = heard.is_some_and(|heard| heard.starts_with('['));
    let was_served = match heard {
        None => 0,
        Some(_) if is_entry => 1,
        Some(_) => waiters,
    };
    await_waiters(&mut client, waiters - was_served).await;
    for waiter in &mut all[..was_served] {
        assert_eq!(waiter.reply().await, heard.unwrap_or_default(), "after {lines}");
    }
    client.call("CLIENT KILL TYPE normal SKIPME yes").await;
    assert_nobody_waits(&server).await;
}

#[tokio::test]
async fn a_wait_ends_by_whatever_way_a_stream_comes_and_goes() {
    for (lines, heard) in ENDINGS {
        for shards in [1, 16] {
            check_ending(shards, 1, lines, *heard).await;
        }
    }
}

#[tokio::test]
async fn all_waits_end_by_whatever_way_a_stream_comes_and_goes() {
    for (lines, heard) in ENDINGS {
        check_ending(8, 50, lines, *heard).await;
    }
}

#[tokio::test]
async fn a_wait_ends_by_what_is_restored() {
    for (key, heard) in [("full", ONE), ("other", NO_GROUP), ("set", WRONG_TYPE)] {
        let (server, mut client) = prepared(8).await;
        let mut waiter = waiting(&server, "XREADGROUP GROUP g ann BLOCK 0 STREAMS s >").await;
        await_waiters(&mut client, 1).await;
        let mut direct = server.direct();
        let payload = direct.call(&["DUMP", key]).expect("it is there");
        let redlet::Value::BlobString { data, .. } = payload else { panic!("{payload:?}") };
        direct.call(&[b"RESTORE", &b"s"[..], b"0", &data, b"REPLACE"]).expect("it is a payload");
        assert_eq!(waiter.reply().await, heard, "{key}");
        assert_nobody_waits(&server).await;
    }
}

/// An id that ends where it does in C is still the last one at the time of asking.
#[tokio::test]
async fn the_last_id_at_the_time_of_asking_is_kept_however_it_is_written() {
    for dollar in [&b"$"[..], b"$\0", b"$\0more"] {
        let (server, mut client) = prepared(8).await;
        let mut waiter = Wire::memory(&server);
        let words = [&b"XREAD"[..], b"BLOCK", b"0", b"STREAMS", b"other", dollar];
        waiter.send(&crate::support::encode(&words)).await;
        await_waiters(&mut client, 1).await;
        assert_eq!(client.call("XADD other 2-0 n 2").await, "2-0");
        assert_eq!(waiter.reply().await, "[[other, [[2-0, [n, 2]]]]]");
    }
}
