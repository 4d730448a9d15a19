//! A connection in memory: the client's thread executes what the client writes, and what happens
//! without the client reaches it all the same.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use redlet::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Wire, assert_serves, encode, within};

const PATIENCE: Duration = Duration::from_secs(20);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future without any runtime.
fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut context, mut future) = (Context::from_waker(&waker), pin!(future));
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return result;
        }
        thread::park_timeout(PATIENCE);
    }
}

#[test]
fn a_client_needs_no_runtime_of_its_own() {
    let builder = Server::builder().no_socket().parameter("enable-debug-command", "yes");
    let server = builder.start_blocking().unwrap();
    let mut stream = server.connect();
    let large = "x".repeat(300_000);
    let calls: [(&[&str], usize); 4] = [
        (&["PING"], "+PONG\r\n".len()),
        // What it has to wait for is waited for on the server's runtime.
        (&["DEBUG", "SLEEP", "0.01"], "+OK\r\n".len()),
        // More than the pipe holds, in each direction.
        (&["SET", "key", &large], "+OK\r\n".len()),
        (&["GET", "key"], "$300000\r\n\r\n".len() + large.len()),
    ];
    for (words, length) in calls {
        let mut reply = vec![0; length];
        wait_for(async {
            stream.write_all(&encode(words)).await.unwrap();
            stream.read_exact(&mut reply).await.unwrap();
        });
        assert!(reply.ends_with(b"\r\n") && !reply.starts_with(b"-"), "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reply_and_no_message_is_lost_however_the_threads_meet() {
    const CLIENTS: usize = 3;
    const CALLS: usize = 3_000;
    let server = Server::builder().no_socket().start().await.unwrap();
    let mut monitor = Wire::memory(&server);
    assert_eq!(monitor.call("MONITOR").await, "OK");
    let clients = (0..CLIENTS).map(|_| {
        let (mut reading, mut writing) = tokio::io::split(server.connect());
        let write = tokio::spawn(async move {
            for call in 0..CALLS {
                writing.write_all(b"PING\r\n").await.unwrap();
                if call % 7 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            writing
        });
        let read = tokio::spawn(async move {
            reading.read_exact(&mut vec![0; CALLS * "+PONG\r\n".len()]).await.unwrap();
            reading
        });
        (write, read)
    });
    for (write, read) in clients.collect::<Vec<_>>() {
        within(write).await.unwrap();
        within(read).await.unwrap();
    }
    for _ in 0..CLIENTS * CALLS {
        assert!(monitor.reply().await.ends_with("\"PING\""));
    }
    assert_serves(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_writes_all_the_time_can_be_killed() {
    let server = Server::builder().no_socket().start().await.unwrap();
    let (mut busy, mut other) = (Wire::memory(&server), Wire::memory(&server));
    let id = busy.call("CLIENT ID").await;
    let calls = tokio::spawn(async move {
        while busy.stream.write_all(b"PING\r\n").await.is_ok() {
            busy.reply().await;
        }
    });
    assert_eq!(other.call(&format!("CLIENT KILL ID {id}")).await, "1");
    within(calls).await.unwrap();
    assert_serves(&server).await;
}
