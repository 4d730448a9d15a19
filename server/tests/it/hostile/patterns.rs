//! Patterns that take for ever, or the whole stack, where matching goes back and recurses.

use std::time::{Duration, Instant};

use redlet::Server;

use crate::support::{Wire, assert_serves};

/// Generous for a busy machine; a matcher that goes back takes longer than anyone waits.
const SOON: Duration = Duration::from_millis(500);

async fn assert_no_match(pattern: &str) {
    let server = Server::builder().no_socket().start().await.expect("a server starts");
    let mut client = Wire::memory(&server);
    for number in 0..10 {
        let key = format!("{}{number}", "a".repeat(40));
        assert_eq!(client.request(&["SET", &key, "value"]).await, "OK");
    }
    for (words, expected) in [
        (&["KEYS", pattern][..], "[]"),
        (&["SCAN", "0", "MATCH", pattern, "COUNT", "1000"], "[0, []]"),
        (&["CONFIG", "GET", pattern], "[]"),
    ] {
        let begin = Instant::now();
        assert_eq!(client.request(words).await, expected);
        assert!(begin.elapsed() < SOON, "{} took {:?}", words[0], begin.elapsed());
    }
    assert_serves(&server).await;
}

#[tokio::test]
async fn many_stars_do_not_multiply() {
    assert_no_match(&format!("{}b", "a*".repeat(20))).await;
}

#[tokio::test]
async fn many_stars_and_classes_do_not_multiply() {
    assert_no_match(&format!("{}[b-z]x", "*[a-z]".repeat(20))).await;
}

#[tokio::test]
async fn long_patterns_do_not_take_the_stack() {
    assert_no_match(&"*?".repeat(50_000)).await;
}

#[tokio::test]
async fn patterns_may_be_broken_anywhere() {
    let server = Server::builder().no_socket().start().await.unwrap();
    let mut client = Wire::memory(&server);
    assert_eq!(client.call("SET a value").await, "OK");
    for pattern in ["[", "[^", "[a", "[a-", "[a-\\", "\\", "*\\", "[]", "[^]", "[z-a]", "[\\", ""] {
        let reply = client.request(&["KEYS", pattern]).await;
        assert!(reply.starts_with('['), "{pattern}: {reply}");
    }
    assert_serves(&server).await;
}
