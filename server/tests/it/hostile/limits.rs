//! What a client may announce and send: nothing is kept ready for what has not arrived.

use redlet::Server;
use tokio::io::AsyncWriteExt;

use crate::support::{Wire, alone_async, assert_serves, peak_bytes, resident_bytes, within};

const MEGABYTE: usize = 1024 * 1024;

/// What a new client gets back for these bytes, up to the end of the connection.
async fn last_words(server: &Server, bytes: &[u8]) -> String {
    let mut client = Wire::memory(server);
    client.send(bytes).await;
    client.until_end().await.escape_ascii().to_string()
}

/// A protocol error as it goes over the wire, escaped.
fn protocol_error(text: &str) -> String {
    format!("-ERR Protocol error: {text}\\r\\n")
}

/// What a new client gets back for these bytes, and the connection goes on.
async fn answer(server: &Server, bytes: &[u8]) -> String {
    let mut client = Wire::memory(server);
    client.send(bytes).await;
    client.reply().await
}

#[tokio::test]
async fn sizes_past_the_limits_end_the_connection() {
    let server = Server::builder().no_socket().start().await.unwrap();
    for (bytes, error) in [
        (&b"*2147483648\r\n"[..], "invalid multibulk length"),
        (b"*99999999999999999999\r\n", "invalid multibulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$9223372036854775808\r\n", "invalid bulk length"),
    ] {
        let expected = protocol_error(error);
        assert_eq!(last_words(&server, bytes).await, expected, "{}", bytes.escape_ascii());
        assert_serves(&server).await;
    }
}

#[tokio::test]
async fn arguments_that_do_not_begin_as_such_end_the_connection() {
    let server = Server::builder().no_socket().start().await.unwrap();
    for (bytes, named) in [
        (&b"*1\r\n!4\r\nPING\r\n"[..], "!"),
        (b"*1\r\nPING\r\n", "P"),
        (b"*2\r\n$4\r\nECHO\r\n*1\r\n$1\r\na\r\n", "*"),
        // Line ends are not sent back: they would end the error's own line.
        (b"*1\r\n\r\n", " "),
        (b"*1\r\n\n\r\n", " "),
        (b"*2\r\n$4\r\nECHO\r\n\r\r\n", " "),
        // Any other byte is, as it is.
        (b"*1\r\n\xFF\r\n", "\\xff"),
    ] {
        let expected = format!("-ERR Protocol error: expected \\'$\\', got \\'{named}\\'\\r\\n");
        assert_eq!(last_words(&server, bytes).await, expected, "{}", bytes.escape_ascii());
        assert_serves(&server).await;
    }
}

#[tokio::test]
async fn lines_past_the_limits_end_the_connection() {
    let server = Server::builder().no_socket().start().await.unwrap();
    for (head, error) in [
        (&b""[..], "too big inline request"),
        (b"*", "too big mbulk count string"),
        (b"*1\r\n$", "too big bulk count string"),
    ] {
        let line = [head, &b"1".repeat(70_000)].concat();
        let expected = protocol_error(error);
        assert_eq!(last_words(&server, &line).await, expected);
        assert_serves(&server).await;
    }
}

#[tokio::test]
async fn strangers_may_send_ten_arguments_of_sixteen_kilobytes() {
    let server = Server::builder().no_socket().password("secret").start().await.unwrap();
    for (bytes, error) in [
        (&b"*100\r\n"[..], "unauthenticated multibulk length"),
        (b"*11\r\n", "unauthenticated multibulk length"),
        (b"*1\r\n$100000000\r\n", "unauthenticated bulk length"),
        (b"*1\r\n$16385\r\n", "unauthenticated bulk length"),
    ] {
        let expected = protocol_error(error);
        assert_eq!(last_words(&server, bytes).await, expected);
        assert_serves_with_password(&server).await;
    }
    let argument = format!("$16384\r\n{}\r\n", "x".repeat(16384));
    let request = format!("*10\r\n$4\r\nMGET\r\n{}", argument.repeat(9));
    let reply = answer(&server, request.as_bytes()).await;
    assert_eq!(reply, "-NOAUTH Authentication required.");
}

#[tokio::test]
async fn the_limits_of_strangers_end_with_the_password() {
    let server = Server::builder().no_socket().password("secret").start().await.unwrap();
    let mut client = Wire::memory(&server);
    assert_eq!(client.call("AUTH wrong").await.split(' ').next(), Some("-WRONGPASS"));
    assert_eq!(client.call("AUTH secret").await, "OK");
    let value = "x".repeat(20_000);
    assert_eq!(client.request(&["SET", "key", &value]).await, "OK");
    let keys = ["key"; 20];
    let request = [&["EXISTS"], &keys[..]].concat();
    assert_eq!(client.request(&request).await, "20");
}

#[tokio::test]
async fn a_stranger_who_leaves_replies_unread_is_dropped() {
    let server = Server::builder().no_socket().password("secret").start().await.unwrap();
    let mut client = Wire::memory(&server);
    let pipeline = b"GET key\r\n".repeat(100_000);
    let sent = within(client.stream.write_all(&pipeline)).await;
    let received = client.until_end().await;
    assert!(sent.is_err() && received.len() < 100_000, "{} bytes", received.len());
    assert_serves_with_password(&server).await;
}

/// Answers strangers, if only with what they have to do first.
async fn assert_serves_with_password(server: &Server) {
    assert_eq!(Wire::memory(server).call("AUTH secret").await, "OK");
}

#[test]
fn announced_sizes_take_no_memory() {
    alone_async(module_path!(), "announced_sizes_take_no_memory", async || {
        let server = Server::builder().no_socket().start().await.unwrap();
        assert_serves(&server).await;
        let before = resident_bytes();
        let mut clients = Vec::new();
        for head in [
            &b"*1000000000\r\n"[..],
            b"*1000000000\r\n$3\r\nSET\r\n",
            b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n",
            b"*2147483647\r\n$536870912\r\nx",
        ] {
            for _ in 0..20 {
                let mut client = Wire::memory(&server);
                client.send(head).await;
                clients.push(client);
            }
        }
        // What did arrive of it is held, and no more.
        for client in &mut clients[40..60] {
            client.send(&b"x".repeat(100_000)).await;
        }
        assert_serves(&server).await;
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < 16 * MEGABYTE, "grown by {grown} bytes");
    });
}

#[test]
fn a_request_that_never_ends_is_cut_off_at_the_limit() {
    let name = "a_request_that_never_ends_is_cut_off_at_the_limit";
    alone_async(module_path!(), name, async || {
        let builder = Server::builder().no_socket();
        let builder = builder.parameter("client-query-buffer-limit", "2mb");
        let server = builder.start().await.unwrap();
        let many_small = ("*100000000\r\n", "$1\r\na\r\n".repeat(1000));
        let many_large = ("*100000000\r\n", format!("$20000\r\n{}\r\n", "x".repeat(20_000)));
        let one_large = ("*1\r\n$500000000\r\n", "x".repeat(10_000));
        for (head, part) in [one_large, many_large, many_small] {
            let before = peak_bytes();
            let mut client = Wire::memory(&server);
            client.send(head.as_bytes()).await;
            let mut sent = 0;
            while sent < 64 * MEGABYTE && client.stream.write_all(part.as_bytes()).await.is_ok() {
                sent += part.len();
            }
            let grown = peak_bytes() - before;
            let (kind, megabytes) = (part.len(), sent / MEGABYTE);
            assert!(megabytes < 16, "{megabytes} MB taken in parts of {kind} bytes");
            assert!(grown < 32 * MEGABYTE, "grown by {grown} bytes in parts of {kind} bytes");
            assert_serves(&server).await;
        }
    });
}
