//! How long it takes from the start of a server in the same process to its first PONG.

use std::time::{Duration, Instant};

use redlet::Server;

use crate::support::Wire;

const ROUNDS: usize = 200;

/// Says and checks what a start took in the middle.
fn judge(what: &str, mut spent: Vec<Duration>) {
    spent.sort_unstable();
    let median = spent[spent.len() / 2];
    println!("figure: start to first PONG {what}: median {median:?}, fastest {:?}", spent[0]);
    assert!(median < Duration::from_millis(5), "{what}: {median:?}");
}

#[tokio::test]
async fn a_server_answers_soon_in_memory() {
    let mut spent = Vec::new();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let server = Server::builder().no_socket().start().await.unwrap();
        assert_eq!(Wire::memory(&server).call("PING").await, "PONG");
        spent.push(begin.elapsed());
    }
    judge("in memory", spent);
}

#[tokio::test]
async fn a_server_answers_soon_over_tcp() {
    let mut spent = Vec::new();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let server = Server::start().await.unwrap();
        assert_eq!(Wire::tcp(&server).await.call("PING").await, "PONG");
        spent.push(begin.elapsed());
    }
    judge("over TCP", spent);
}
