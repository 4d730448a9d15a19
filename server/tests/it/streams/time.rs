//! Ids, idle times and waits follow the server's clock, and nothing else.

use std::time::{Duration, UNIX_EPOCH};

use redlet::{Clock, MemoryStream, Server};

use super::{NO_GROUP, WRONG_TYPE, assert_nobody_waits, await_waiters, figure, waiting};
use crate::support::{Wire, eventually, within};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

async fn server_at(ms: u64) -> (Server, Wire<MemoryStream>) {
    let clock = Clock::manual_at(UNIX_EPOCH + Duration::from_millis(ms));
    let builder = Server::builder().no_socket().clock(clock);
    let builder = builder.parameter("enable-debug-command", "yes");
    let server = builder.start().await.expect("a server starts");
    let client = Wire::memory(&server);
    (server, client)
}

/// Sends a request, and expects this reply.
async fn expect(client: &mut Wire<MemoryStream>, line: &str, reply: &str) {
    assert_eq!(client.call(line).await, reply, "{line}");
}

/// A stream `s` with an entry, which `ann` of the group `g` has pending.
async fn deliver_to_ann(client: &mut Wire<MemoryStream>) {
    expect(client, "XADD s 1-0 n 1", "1-0").await;
    expect(client, "XGROUP CREATE s g 0", "OK").await;
    let delivered = "[[s, [[1-0, [n, 1]]]]]";
    expect(client, "XREADGROUP GROUP g ann STREAMS s >", delivered).await;
}

#[tokio::test]
async fn ids_follow_the_clock() {
    let (server, mut client) = server_at(1_700_000_000_500).await;
    expect(&mut client, "XADD s * n 1", "1700000000500-0").await;
    expect(&mut client, "XADD s * n 2", "1700000000500-1").await;
    server.clock().advance(Duration::from_micros(999));
    expect(&mut client, "XADD s * n 3", "1700000000500-2").await;
    server.clock().advance(Duration::from_micros(1));
    expect(&mut client, "XADD s * n 4", "1700000000501-0").await;
    expect(&mut client, "XADD s 1700000000501-* n 5", "1700000000501-1").await;
    expect(&mut client, "XADD s 1700000000502-* n 6", "1700000000502-0").await;
    server.clock().advance(3600 * SECOND);
    expect(&mut client, "XADD s * n 7", "1700003600501-0").await;
}

#[tokio::test]
async fn time_may_begin_with_the_clock() {
    let (server, mut client) = server_at(0).await;
    expect(&mut client, "XADD s * n 1", "0-1").await;
    expect(&mut client, "XADD s 0-* n 2", "0-2").await;
    server.clock().advance(MILLISECOND);
    expect(&mut client, "XADD s * n 3", "1-0").await;
}

/// A clock only goes forward, but a stream may come from where it is later.
#[tokio::test]
async fn ids_and_idle_times_do_not_go_back_with_the_clock() {
    let (later, mut client) = server_at(2_000_000_000_000).await;
    expect(&mut client, "XADD s * n 1", "2000000000000-0").await;
    expect(&mut client, "XGROUP CREATE s g 0", "OK").await;
    client.call("XREADGROUP GROUP g ann STREAMS s >").await;
    let payload = later.direct().call(&["DUMP", "s"]).expect("it is there");
    let (earlier, mut client) = server_at(1_000_000_000_000).await;
    let redlet::Value::BlobString { data: payload, .. } = payload else { panic!("{payload:?}") };
    earlier.direct().call(&[b"RESTORE", &b"s"[..], b"0", &payload]).expect("it is a payload");

    expect(&mut client, "XADD s * n 2", "2000000000000-1").await;
    expect(&mut client, "XADD s 2000000000000-* n 3", "2000000000000-2").await;
    let behind =
        "-ERR The ID specified in XADD is equal or smaller than the target stream top item";
    expect(&mut client, "XADD s 1999999999999-* n 4", behind).await;
    expect(&mut client, "XPENDING s g - + 9", "[[2000000000000-0, ann, 0, 1]]").await;
    expect(&mut client, "XPENDING s g IDLE 1 - + 9", "[]").await;
    let consumers = "[[name, ann, pending, 1, idle, 0, inactive, -1000000000000]]";
    expect(&mut client, "XINFO CONSUMERS s g", consumers).await;
    expect(&mut client, "XCLAIM s g bob 1 2000000000000-0", "[]").await;
    expect(&mut client, "XAUTOCLAIM s g bob 1 0", "[0-0, [], []]").await;
    expect(&mut client, "XAUTOCLAIM s g bob 0 0 JUSTID", "[0-0, [2000000000000-0], []]").await;
    earlier.clock().advance(MILLISECOND);
    expect(&mut client, "XPENDING s g - + 9", "[[2000000000000-0, bob, 1, 1]]").await;
}

#[tokio::test]
async fn idle_times_follow_the_clock_to_the_millisecond() {
    let (server, mut client) = server_at(1_000_000).await;
    deliver_to_ann(&mut client).await;
    server.clock().advance(Duration::from_millis(1500));
    expect(&mut client, "XPENDING s g - + 9", "[[1-0, ann, 1500, 1]]").await;
    expect(&mut client, "XPENDING s g IDLE 1500 - + 9", "[[1-0, ann, 1500, 1]]").await;
    expect(&mut client, "XPENDING s g IDLE 1501 - + 9", "[]").await;
    let consumers = "[[name, ann, pending, 1, idle, 1500, inactive, 1500]]";
    expect(&mut client, "XINFO CONSUMERS s g", consumers).await;
    // Who asks in vain has been seen, but has not been active.
    expect(&mut client, "XREADGROUP GROUP g ann STREAMS s >", "(nil)").await;
    server.clock().advance(500 * MILLISECOND);
    let consumers = "[[name, ann, pending, 1, idle, 500, inactive, 2000]]";
    expect(&mut client, "XINFO CONSUMERS s g", consumers).await;

    expect(&mut client, "XAUTOCLAIM s g bob 2001 0", "[0-0, [], []]").await;
    expect(&mut client, "XCLAIM s g bob 2001 1-0", "[]").await;
    expect(&mut client, "XAUTOCLAIM s g bob 2000 0", "[0-0, [[1-0, [n, 1]]], []]").await;
    expect(&mut client, "XPENDING s g - + 9", "[[1-0, bob, 0, 2]]").await;
    expect(&mut client, "XCLAIM s g ann 0 1-0 IDLE 700 JUSTID", "[1-0]").await;
    expect(&mut client, "XPENDING s g - + 9", "[[1-0, ann, 700, 2]]").await;
    expect(&mut client, "XCLAIM s g ann 0 1-0 TIME 1001000 JUSTID", "[1-0]").await;
    expect(&mut client, "XPENDING s g - + 9", "[[1-0, ann, 1000, 2]]").await;
    // A time that is still to come is taken for now.
    expect(&mut client, "XCLAIM s g ann 0 1-0 TIME 1002001 JUSTID", "[1-0]").await;
    expect(&mut client, "XPENDING s g - + 9", "[[1-0, ann, 0, 2]]").await;
}

#[tokio::test]
async fn waits_end_when_the_clock_says_so() {
    let (server, mut client) = server_at(5_000).await;
    expect(&mut client, "XGROUP CREATE s g $ MKSTREAM", "OK").await;
    let mut in_group = waiting(&server, "XREADGROUP GROUP g ann BLOCK 1500 STREAMS s >").await;
    let mut alone = waiting(&server, "XREAD BLOCK 1501 STREAMS s none $ 0").await;
    let mut long = waiting(&server, "XREAD BLOCK 3600000 STREAMS s $").await;
    await_waiters(&mut client, 3).await;
    assert_eq!(figure(&mut client, "clients_in_timeout_table").await, "3");
    server.clock().advance(1499 * MILLISECOND);
    expect(&mut client, "PING", "PONG").await;
    assert_eq!(figure(&mut client, "blocked_clients").await, "3");
    server.clock().advance(MILLISECOND);
    assert_eq!(in_group.reply().await, "(nil)");
    assert_eq!(figure(&mut client, "blocked_clients").await, "2");
    server.clock().advance(MILLISECOND);
    assert_eq!(alone.reply().await, "(nil)");
    server.clock().advance(3600 * SECOND);
    assert_eq!(long.reply().await, "(nil)");
    assert_nobody_waits(&server).await;
    expect(&mut client, "XADD s * n 1", "3606501-0").await;
    expect(&mut client, "XPENDING s g", "[0, (nil), (nil), (nil)]").await;
}

#[tokio::test]
async fn an_entry_is_delivered_at_the_time_of_who_adds_it() {
    let (server, mut client) = server_at(1_000).await;
    expect(&mut client, "XGROUP CREATE s g $ MKSTREAM", "OK").await;
    let mut ann = waiting(&server, "XREADGROUP GROUP g ann BLOCK 0 STREAMS s >").await;
    await_waiters(&mut client, 1).await;
    server.clock().advance(60 * SECOND);
    let consumers = "[[name, ann, pending, 0, idle, 60000, inactive, -1]]";
    expect(&mut client, "XINFO CONSUMERS s g", consumers).await;
    expect(&mut client, "XADD s * n 1", "61000-0").await;
    assert_eq!(ann.reply().await, "[[s, [[61000-0, [n, 1]]]]]");
    expect(&mut client, "XPENDING s g - + 9", "[[61000-0, ann, 0, 1]]").await;
    let consumers = "[[name, ann, pending, 1, idle, 0, inactive, 0]]";
    expect(&mut client, "XINFO CONSUMERS s g", consumers).await;
}

/// What others may do with a stream whose time is over, and what then hears who waits in its group. So
/// it is on real servers.
const LOOKS: &[(&str, Option<&str>)] = &[
    ("EXISTS s", Some(NO_GROUP)),
    ("GET s", Some(NO_GROUP)),
    ("XLEN s", Some(NO_GROUP)),
    ("TTL s", Some(NO_GROUP)),
    ("OBJECT ENCODING s", Some(NO_GROUP)),
    ("DEL s", Some(NO_GROUP)),
    ("RENAME s t", Some(NO_GROUP)),
    ("COPY s t", Some(NO_GROUP)),
    ("XADD s 1-0 n 1", Some(NO_GROUP)),
    ("XADD s NOMKSTREAM 1-0 n 1", Some(NO_GROUP)),
    ("SET s value", Some(WRONG_TYPE)),
    ("LPUSH s element", Some(WRONG_TYPE)),
    ("RANDOMKEY", Some(NO_GROUP)),
    ("SCAN 0", Some(NO_GROUP)),
    ("DBSIZE", None),
    ("XTRIM s MAXLEN 0", Some(NO_GROUP)),
    ("XGROUP DESTROY s g", Some(NO_GROUP)),
    ("XGROUP CREATE s g $ MKSTREAM", None),
    ("XREAD STREAMS s 0", Some(NO_GROUP)),
    ("XREAD BLOCK 1 STREAMS s 0", Some(NO_GROUP)),
    ("XREAD BLOCK 1 STREAMS other s $ $", Some(NO_GROUP)),
    ("BLPOP other s 0.001", Some(NO_GROUP)),
    ("XREADGROUP GROUP g bob STREAMS s >", Some(NO_GROUP)),
    ("SWAPDB 0 1", Some(NO_GROUP)),
    ("FLUSHALL", Some(NO_GROUP)),
    ("EXPIRE s 100", Some(NO_GROUP)),
    ("PERSIST s", Some(NO_GROUP)),
    ("MOVE s 1", Some(NO_GROUP)),
    ("SORT s", Some(NO_GROUP)),
    ("TYPE s", Some(NO_GROUP)),
    ("TOUCH s", Some(NO_GROUP)),
    ("XINFO STREAM s", Some(NO_GROUP)),
    ("EVAL return(redis.call('xlen',KEYS[1])) 1 s", Some(NO_GROUP)),
];

#[tokio::test]
async fn whoever_looks_finds_that_time_is_over_for_those_who_wait() {
    for (look, heard) in LOOKS {
        let (server, mut client) = server_at(1_000).await;
        expect(&mut client, "DEBUG SET-ACTIVE-EXPIRE 0", "OK").await;
        expect(&mut client, "XGROUP CREATE s g $ MKSTREAM", "OK").await;
        let mut waiter = waiting(&server, "XREADGROUP GROUP g ann BLOCK 0 STREAMS s >").await;
        await_waiters(&mut client, 1).await;
        expect(&mut client, "PEXPIRE s 500", "1").await;
        server.clock().advance(500 * MILLISECOND);
        // Some of them wait themselves.
        let mut other = waiting(&server, look).await;
        let is_waiting = look.contains("BLOCK") || look.starts_with("BLPOP");
        let waits = usize::from(is_waiting) + usize::from(heard.is_none());
        await_waiters(&mut client, waits).await;
        if let Some(heard) = heard {
            assert_eq!(waiter.reply().await, *heard, "after {look}");
        }
        server.clock().advance(2 * MILLISECOND);
        other.reply().await;
        await_waiters(&mut client, usize::from(heard.is_none())).await;
    }
}

/// Who is served, or waits on, may be the one to find it.
#[tokio::test]
async fn whoever_is_served_finds_that_time_is_over_for_others() {
    let no_group = NO_GROUP.replace("'s'", "'t'");
    for (line, heard) in [
        ("XREADGROUP GROUP g ann BLOCK 0 STREAMS s t > >", Some(&no_group)),
        ("XREAD BLOCK 0 STREAMS s t 100 100", None),
    ] {
        let (server, mut client) = server_at(1_000).await;
        expect(&mut client, "DEBUG SET-ACTIVE-EXPIRE 0", "OK").await;
        for key in ["s", "t"] {
            expect(&mut client, &format!("XGROUP CREATE {key} g $ MKSTREAM"), "OK").await;
        }
        let mut ann = waiting(&server, line).await;
        let mut bob = waiting(&server, "XREADGROUP GROUP g bob BLOCK 0 STREAMS t >").await;
        await_waiters(&mut client, 2).await;
        expect(&mut client, "PEXPIRE t 500", "1").await;
        server.clock().advance(500 * MILLISECOND);
        expect(&mut client, "XADD s 5-0 n 1", "5-0").await;
        await_waiters(&mut client, usize::from(heard.is_none())).await;
        assert_eq!(bob.reply().await, no_group, "after {line}");
        if let Some(heard) = heard {
            assert_eq!(ann.reply().await, *heard);
        }
    }
}

#[tokio::test]
async fn a_transaction_finds_that_time_is_over_for_those_who_wait() {
    let (server, mut client) = server_at(1_000).await;
    expect(&mut client, "DEBUG SET-ACTIVE-EXPIRE 0", "OK").await;
    expect(&mut client, "XGROUP CREATE s g $ MKSTREAM", "OK").await;
    let mut waiter = waiting(&server, "XREADGROUP GROUP g ann BLOCK 0 STREAMS s >").await;
    await_waiters(&mut client, 1).await;
    expect(&mut client, "PEXPIRE s 500", "1").await;
    server.clock().advance(500 * MILLISECOND);
    for line in ["MULTI", "XLEN s", "EXEC"] {
        client.call(line).await;
    }
    assert_eq!(waiter.reply().await, NO_GROUP);
}

#[tokio::test]
async fn the_sweeper_tells_those_who_wait_in_a_group() {
    let (server, mut client) = server_at(1_000).await;
    expect(&mut client, "XGROUP CREATE s g $ MKSTREAM", "OK").await;
    expect(&mut client, "XADD s 5-0 n 1", "5-0").await;
    expect(&mut client, "XGROUP SETID s g $", "OK").await;
    let mut in_group = waiting(&server, "XREADGROUP GROUP g ann BLOCK 0 STREAMS s t > >").await;
    assert!(in_group.reply().await.starts_with("-NOGROUP No such key 't'"));
    let mut in_group = waiting(&server, "XREADGROUP GROUP g ann BLOCK 0 STREAMS s >").await;
    let mut alone = waiting(&server, "XREAD BLOCK 0 STREAMS s $").await;
    await_waiters(&mut client, 2).await;
    expect(&mut client, "PEXPIRE s 500", "1").await;
    eventually("only one waits", async || {
        server.clock().advance(100 * MILLISECOND);
        figure(&mut client, "blocked_clients").await == "1"
    })
    .await;
    assert_eq!(in_group.reply().await, NO_GROUP);
    // Whoever reads alone waits for what comes behind the id that was the last one.
    expect(&mut client, "XADD s 4-0 n 2", "4-0").await;
    assert_eq!(figure(&mut client, "blocked_clients").await, "1");
    expect(&mut client, "XADD s 6-0 n 3", "6-0").await;
    assert_eq!(alone.reply().await, "[[s, [[6-0, [n, 3]]]]]");
    assert_nobody_waits(&server).await;
}

/// Adds an entry, takes its time, and adds another one.
const SLOW_SCRIPT: &str = "
    redis.call('xadd', KEYS[1], '*', 'n', 1)
    redis.call('set', 'begun', 'yes')
    local n = 0
    for i = 1, tonumber(ARGV[1]) do n = n + i end
    return redis.call('xadd', KEYS[1], '*', 'n', 2)";

/// The ids of a stream's entries.
async fn ids(client: &mut Wire<MemoryStream>, key: &str) -> Vec<String> {
    let range = client.call(&format!("XRANGE {key} - +")).await;
    let parts = range.split("[n, ").map(|part| part.trim_end_matches(", ").rsplit('[').next());
    let ids = parts.filter_map(|part| part.filter(|id| id.contains('-')));
    ids.map(|id| id.trim_end_matches(", ").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_script_time_stands_still_while_the_clock_moves() {
    let (server, mut client) = server_at(1_000).await;
    let mut slow = Wire::memory(&server);
    let running = tokio::spawn(async move {
        let reply = slow.request(&["EVAL", SLOW_SCRIPT, "1", "s", "3000000"]).await;
        (reply, slow)
    });
    let clock = server.clock().clone();
    while !running.is_finished() {
        clock.advance(7 * MILLISECOND);
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    let (last, _slow) = within(running).await.expect("it does not panic");
    let ids = ids(&mut client, "s").await;
    let (first_ms, _) = ids[0].split_once('-').expect("an id");
    assert_eq!(ids, [format!("{first_ms}-0"), format!("{first_ms}-1")]);
    assert_eq!(last, ids[1]);
}

#[tokio::test]
async fn in_a_transaction_time_stands_still() {
    // By the machine's clock, which goes on while the script between the two additions runs.
    let server = Server::builder().no_socket().start().await.expect("a server starts");
    let mut client = Wire::memory(&server);
    for line in ["MULTI", "XADD s * n 1"] {
        client.call(line).await;
    }
    let spin = "local n = 0 for i = 1, 1e6 do n = n + i end";
    assert_eq!(client.request(&["EVAL", spin, "0"]).await, "QUEUED");
    client.call("XADD s * n 2").await;
    assert!(client.call("EXEC").await.starts_with('['));
    let ids = ids(&mut client, "s").await;
    let (first_ms, _) = ids[0].split_once('-').expect("an id");
    assert_eq!(ids, [format!("{first_ms}-0"), format!("{first_ms}-1")]);
}
