//! Clients that do not read what they asked for: they wait, or are dropped, and nobody else
//! notices.

use std::time::{Duration, Instant};

use redlet::Server;

use crate::support::{
    Wire, alone_async, assert_serves, eventually, peak_bytes, resident_bytes, within,
};

const MEGABYTE: usize = 1024 * 1024;

/// What a client that never reads may cost.
const ALLOWED: usize = 96 * MEGABYTE;

/// Lets a client ask for more than memory holds, and another one work meanwhile.
async fn assert_bounded(value_size: usize, requests: usize) {
    let server = Server::start().await.expect("a server starts");
    let mut other = Wire::tcp(&server).await;
    let value = "x".repeat(value_size);
    assert_eq!(other.request(&["SET", "key", &value]).await, "OK");
    let before = resident_bytes();

    let mut never_reads = Wire::tcp(&server).await;
    let pipeline = b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n".repeat(requests);
    let (_reader, mut writer) = never_reads.stream.split();
    // The server need not take all of it.
    let asking = tokio::io::AsyncWriteExt::write_all(&mut writer, &pipeline);
    let _ = tokio::time::timeout(Duration::from_millis(300), asking).await;

    for number in 1..=50 {
        let begin = Instant::now();
        assert_eq!(other.call("INCR count").await, number.to_string());
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    }
    let grown = peak_bytes().saturating_sub(before);
    assert!(grown < ALLOWED, "grown by {} MB", grown / MEGABYTE);
    drop(never_reads);
    let alone = async || other.call("CLIENT LIST").await.matches("id=").count() == 1;
    eventually("the client that never read is gone", alone).await;
    assert_serves(&server).await;
}

#[test]
fn a_client_that_never_reads_large_values_takes_little_memory() {
    let name = "a_client_that_never_reads_large_values_takes_little_memory";
    alone_async(module_path!(), name, async || assert_bounded(MEGABYTE, 10_000).await);
}

#[test]
fn a_client_that_never_reads_many_values_takes_little_memory() {
    let name = "a_client_that_never_reads_many_values_takes_little_memory";
    alone_async(module_path!(), name, async || assert_bounded(10_000, 100_000).await);
}

#[tokio::test]
async fn a_client_may_write_its_whole_pipeline_before_it_reads() {
    let server = Server::start().await.unwrap();
    let mut client = Wire::tcp(&server).await;
    let value = "x".repeat(10_000);
    assert_eq!(client.request(&["SET", "key", &value]).await, "OK");
    // More than sockets hold, less than the server does.
    client.send(&b"GET key\r\n".repeat(2000)).await;
    for _ in 0..2000 {
        assert!(client.reply().await == value);
    }
}

#[tokio::test]
async fn a_slow_reader_gets_everything_in_order() {
    let server = Server::builder().no_socket().start().await.unwrap();
    let mut client = Wire::memory(&server);
    let value = "x".repeat(MEGABYTE);
    assert_eq!(client.request(&["SET", "key", &value]).await, "OK");
    // More than the server holds for a client: it goes on as the client reads.
    let mut pipeline = Vec::new();
    for number in 0..100 {
        pipeline.extend_from_slice(format!("GET key\r\nECHO {number}\r\n").as_bytes());
    }
    client.send(&pipeline).await;
    for number in 0..100 {
        assert_eq!(client.reply().await.len(), MEGABYTE);
        assert_eq!(client.reply().await, number.to_string());
    }
}

#[tokio::test]
async fn a_client_over_its_output_limit_is_dropped() {
    let builder = Server::builder().no_socket();
    let builder = builder.parameter("client-output-buffer-limit", "normal 1mb 0 0");
    let server = builder.start().await.unwrap();
    let mut client = Wire::memory(&server);
    let value = "x".repeat(500_000);
    assert_eq!(client.request(&["SET", "key", &value]).await, "OK");
    client.send(&b"GET key\r\n".repeat(10)).await;
    let received = client.until_end().await.len();
    assert!(received < 2_000_000, "{received} bytes came before the end");
    assert_serves(&server).await;
}

#[test]
fn a_monitor_that_never_reads_is_dropped_at_its_limit() {
    let name = "a_monitor_that_never_reads_is_dropped_at_its_limit";
    alone_async(module_path!(), name, async || {
        let builder = Server::builder().no_socket();
        let limits = "normal 1mb 0 0 replica 1mb 0 0";
        let builder = builder.parameter("client-output-buffer-limit", limits);
        let server = builder.start().await.unwrap();
        let (mut client, mut reads) = (Wire::memory(&server), Wire::memory(&server));
        let mut never_reads = Wire::memory(&server);
        assert_eq!(reads.call("MONITOR").await, "OK");
        assert_eq!(never_reads.call("MONITOR").await, "OK");
        let before = resident_bytes();
        let message = "x".repeat(10_000);
        for _ in 0..3000 {
            assert_eq!(client.request(&["PING", &message]).await, message);
            assert!(reads.reply().await.contains(&message), "who reads is not dropped");
        }
        let list = client.call("CLIENT LIST").await;
        assert_eq!(list.matches("cmd=monitor").count(), 1, "{list}");
        let rest = never_reads.until_end().await.len();
        assert!(rest < 2 * MEGABYTE, "{rest} bytes were still to come");
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < 16 * MEGABYTE, "grown by {} MB", grown / MEGABYTE);
        assert_serves(&server).await;
    });
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_its_replies_is_forgotten() {
    let server = Server::start().await.unwrap();
    let mut other = Wire::tcp(&server).await;
    let value = "x".repeat(MEGABYTE);
    assert_eq!(other.request(&["SET", "key", &value]).await, "OK");
    for _ in 0..20 {
        let mut client = Wire::tcp(&server).await;
        client.send(&b"GET key\r\n".repeat(20)).await;
        within(client.stream.readable()).await.unwrap();
        drop(client);
    }
    let alone = async || other.call("CLIENT LIST").await.matches("id=").count() == 1;
    eventually("they are gone", alone).await;
}
