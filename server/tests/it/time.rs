//! A clock that is moved by hand moves everything that takes time, and nothing has to sleep.

use std::time::{Duration, UNIX_EPOCH};

use redlet::{Clock, MemoryStream, Server};

use crate::support::{Wire, assert_serves, eventually};

const SECOND: Duration = Duration::from_secs(1);

/// More than a test ever waits.
const HOUR: Duration = Duration::from_secs(3600);

async fn server() -> (Server, Wire<MemoryStream>) {
    let clock = Clock::manual_at(UNIX_EPOCH + Duration::from_millis(1_700_000_000_500));
    let builder = Server::builder().no_socket().clock(clock);
    let server =
        builder.parameter("enable-debug-command", "yes").start().await.expect("a server starts");
    let client = Wire::memory(&server);
    (server, client)
}

/// Whether no reply comes, in the time in which others get many.
async fn is_held(client: &mut Wire<MemoryStream>) -> bool {
    tokio::time::timeout(Duration::from_millis(20), client.reply()).await.is_err()
}

#[tokio::test]
async fn time_stands_still_until_it_is_moved() {
    let (server, mut client) = server().await;
    assert_eq!(client.call("TIME").await, "[1700000000, 500000]");
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(client.call("TIME").await, "[1700000000, 500000]");
    server.clock().advance(Duration::from_micros(1_500_001));
    assert_eq!(client.call("TIME").await, "[1700000002, 1]");
}

#[tokio::test]
async fn keys_expire_to_the_millisecond() {
    let (server, mut client) = server().await;
    assert_eq!(client.call("SET key value PX 10000").await, "OK");
    assert_eq!(client.call("EXPIRETIME key").await, "1700000011");
    server.clock().advance(4 * SECOND);
    assert_eq!(client.call("TTL key").await, "6");
    assert_eq!(client.call("PTTL key").await, "6000");
    assert_eq!(server.direct().ttl("key"), Some(6 * SECOND));
    server.clock().advance(Duration::from_millis(5999));
    assert_eq!(client.call("PTTL key").await, "1");
    assert_eq!(client.call("GET key").await, "value");
    server.clock().advance(Duration::from_millis(1));
    assert_eq!(client.call("GET key").await, "(nil)");
    assert_eq!(client.call("PTTL key").await, "-2");
    assert_eq!(client.call("EXISTS key").await, "0");
}

#[tokio::test]
async fn idle_times_follow_the_clock() {
    let (server, mut client) = server().await;
    let other = Wire::memory(&server);
    assert_eq!(client.call("SET key value").await, "OK");
    server.clock().advance(90 * SECOND);
    assert_eq!(client.call("OBJECT IDLETIME key").await, "90");
    assert_eq!(client.call("GET key").await, "value");
    assert_eq!(client.call("OBJECT IDLETIME key").await, "0");
    let list = client.call("CLIENT LIST").await;
    assert_eq!(list.matches("age=90 idle=90 ").count(), 1, "{list}");
    drop(other);
}

#[tokio::test]
async fn expired_keys_go_without_being_asked_for() {
    for shards in [1, 16] {
        let clock = Clock::manual();
        let builder = Server::builder().no_socket().clock(clock).shards(shards);
        let server = builder.start().await.unwrap();
        let mut client = Wire::memory(&server);
        for number in 0..2000 {
            client.call(&format!("SET mortal:{number} value EX 10")).await;
        }
        client.call("SET immortal value").await;
        assert_eq!(client.call("DBSIZE").await, "2001");
        server.clock().advance(11 * SECOND);
        eventually("only what does not expire is left", async || {
            server.clock().advance(Duration::from_millis(100));
            client.call("DBSIZE").await == "1"
        })
        .await;
        let stats = client.call("INFO stats").await;
        assert!(stats.contains("expired_keys:2000\\r"), "{stats}");
    }
}

#[tokio::test]
async fn sweeping_can_be_turned_off() {
    let (server, mut client) = server().await;
    assert_eq!(client.call("DEBUG SET-ACTIVE-EXPIRE 0").await, "OK");
    assert_eq!(client.call("SET key value EX 10").await, "OK");
    for _ in 0..50 {
        server.clock().advance(SECOND);
        tokio::task::yield_now().await;
    }
    assert_eq!(client.call("DBSIZE").await, "1");
    assert_eq!(client.call("EXISTS key").await, "0");
    assert_eq!(client.call("DBSIZE").await, "0");
}

#[tokio::test]
async fn a_pause_ends_when_its_time_has_come() {
    let (server, mut client) = server().await;
    let mut held = Wire::memory(&server);
    assert_eq!(client.call("CLIENT PAUSE 3600000 ALL").await, "OK");
    held.send(b"INCR key\r\n").await;
    assert!(is_held(&mut held).await);
    server.clock().advance(Duration::from_millis(3_599_999));
    assert!(is_held(&mut held).await);
    assert!(!server.direct().exists("key"));
    server.clock().advance(Duration::from_millis(1));
    assert_eq!(held.reply().await, "1");
}

#[tokio::test]
async fn a_pause_of_writes_lets_reads_through_and_can_be_ended() {
    let (server, mut client) = server().await;
    let mut held = Wire::memory(&server);
    assert_eq!(client.call("CLIENT PAUSE 3600000 WRITE").await, "OK");
    assert_eq!(client.call("GET key").await, "(nil)");
    held.send(b"SET key value\r\n").await;
    assert!(is_held(&mut held).await);
    assert_eq!(client.call("CLIENT UNPAUSE").await, "OK");
    assert_eq!(held.reply().await, "OK");
}

#[tokio::test]
async fn debug_sleep_ends_when_its_time_has_come() {
    let (server, mut client) = server().await;
    let mut other = Wire::memory(&server);
    client.send(b"DEBUG SLEEP 3600\r\n").await;
    assert!(is_held(&mut client).await);
    other.send(b"PING\r\n").await;
    assert!(is_held(&mut other).await, "a sleeping server answers nobody");
    server.clock().advance(HOUR);
    assert_eq!(client.reply().await, "OK");
    assert_eq!(other.reply().await, "PONG");
}

#[tokio::test]
async fn waiting_keeps_back_no_earlier_reply_and_is_not_idling() {
    let (server, mut client) = server().await;
    assert_eq!(client.call("CONFIG SET timeout 30").await, "OK");
    client.send(b"PING\r\nWAIT 1 3600000\r\nPING\r\n").await;
    assert_eq!(client.reply().await, "PONG");
    assert!(is_held(&mut client).await);
    server.clock().advance(HOUR);
    assert_eq!(client.reply().await, "0");
    assert_eq!(client.reply().await, "PONG");
}

#[tokio::test]
async fn idle_clients_are_ended_by_the_clock() {
    let (server, mut client) = server().await;
    let mut idle = Wire::memory(&server);
    assert_eq!(idle.call("CONFIG SET timeout 30").await, "OK");
    server.clock().advance(29 * SECOND);
    assert_eq!(client.call("PING").await, "PONG");
    server.clock().advance(2 * SECOND);
    assert_eq!(idle.reply().await, "(end)");
    assert_eq!(client.call("PING").await, "PONG");
}

#[tokio::test]
async fn one_clock_may_move_several_servers() {
    let clock = Clock::manual();
    let start = || Server::builder().no_socket().clock(clock.clone()).start();
    let (one, other) = (start().await.unwrap(), start().await.unwrap());
    for server in [&one, &other] {
        server.direct().set_expiring("key", "value", SECOND);
    }
    clock.advance(SECOND);
    assert!(!one.direct().exists("key") && !other.direct().exists("key"));
}

#[tokio::test]
async fn a_leap_of_the_clock_is_no_harm() {
    let (server, mut client) = server().await;
    assert_eq!(client.call("SET key value EX 100").await, "OK");
    assert_eq!(client.call("SET other value").await, "OK");
    server.clock().advance(Duration::from_secs(200 * 365 * 86_400));
    assert_eq!(client.call("MGET key other").await, "[(nil), value]");
    assert_serves(&server).await;
}

#[tokio::test]
#[should_panic(expected = "Clock::manual()")]
async fn the_machines_clock_cannot_be_moved() {
    let server = Server::builder().no_socket().start().await.unwrap();
    server.clock().advance(SECOND);
}
