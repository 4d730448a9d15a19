//! Very many who are subscribed to the same, and one who is subscribed to very much.

use std::time::{Duration, Instant};

use redlet::Server;

use crate::support::{Wire, encode};

/// A message takes less than this to be handed to everybody.
const SOON: Duration = Duration::from_secs(2);

#[tokio::test]
async fn ten_thousand_subscribers_all_get_a_message() {
    const SUBSCRIBERS: usize = 10_000;
    let server = Server::builder().no_socket().parameter("maxclients", "20000");
    let server = server.start().await.expect("a server starts");
    let mut subscribers = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let mut subscriber = Wire::memory(&server);
        assert_eq!(subscriber.call("SUBSCRIBE news").await, "[subscribe, news, 1]");
        subscribers.push(subscriber);
    }
    let mut publisher = Wire::memory(&server);
    let began = Instant::now();
    assert_eq!(publisher.call("PUBLISH news first").await, SUBSCRIBERS.to_string());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    for subscriber in &mut subscribers {
        assert_eq!(subscriber.reply().await, "[message, news, first]");
    }
    subscribers.truncate(SUBSCRIBERS / 2);
    let left = (SUBSCRIBERS / 2).to_string();
    crate::support::eventually("half of them are gone", async || {
        publisher.call("PUBSUB NUMSUB news").await == format!("[news, {left}]")
    })
    .await;
    assert_eq!(publisher.call("PUBLISH news second").await, left);
}

#[tokio::test]
async fn ten_thousand_patterns_are_looked_through_soon() {
    const PATTERNS: usize = 10_000;
    let server = Server::builder().no_socket().start().await.expect("a server starts");
    let mut subscriber = Wire::memory(&server);
    for number in 0..PATTERNS {
        let pattern = format!("news:{number}:*");
        let confirmation = format!("[psubscribe, {pattern}, {}]", number + 1);
        assert_eq!(subscriber.request(&["PSUBSCRIBE", &pattern]).await, confirmation);
    }
    let mut publisher = Wire::memory(&server);
    let began = Instant::now();
    for number in 0..100 {
        let channel = format!("news:{number}:weather");
        assert_eq!(publisher.request(&["PUBLISH", &channel, "rain"]).await, "1");
    }
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!(subscriber.reply().await, "[pmessage, news:0:*, news:0:weather, rain]");
    subscriber.send(&encode(&["PUNSUBSCRIBE"])).await;
    publisher.call("PING").await;
    assert_eq!(publisher.call("PUBSUB NUMPAT").await, "0");
}
