//! Clients that come in numbers, leave while they are let in, or are not to be let in.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};

use redlet::Server;
use tokio::net::TcpStream;

use crate::support::{Scratch, Wire, assert_serves, eventually};

#[tokio::test]
async fn clients_over_the_limit_are_told_so_and_turned_away() {
    let server = Server::builder().parameter("maxclients", "10").start().await.unwrap();
    let mut clients = Vec::new();
    for _ in 0..10 {
        let mut client = Wire::tcp(&server).await;
        assert_eq!(client.call("PING").await, "PONG");
        clients.push(client);
    }
    for _ in 0..100 {
        let words = Wire::tcp(&server).await.until_end().await;
        assert_eq!(String::from_utf8_lossy(&words), "-ERR max number of clients reached\r\n");
    }
    let words = Wire::memory(&server).until_end().await;
    assert_eq!(words, b"-ERR max number of clients reached\r\n");
    let stats = clients[0].call("INFO stats").await;
    assert!(stats.contains("rejected_connections:101\\r"), "{stats}");
    assert_eq!(clients[9].call("QUIT").await, "OK");
    clients.pop();
    eventually("there is room again", async || {
        Wire::tcp(&server).await.call("PING").await == "PONG"
    })
    .await;
}

#[tokio::test]
async fn clients_that_reset_at_once_are_no_harm() {
    let server = Server::start().await.unwrap();
    let mut other = Wire::tcp(&server).await;
    for round in 0..500 {
        let stream = TcpStream::connect(server.address().unwrap()).await.unwrap();
        stream.set_zero_linger().unwrap();
        if round % 3 == 0 {
            let _ = stream.try_write(b"*1\r\n$4\r\nPI");
        }
        drop(stream);
    }
    let alone = async || other.call("CLIENT LIST").await.matches("id=").count() == 1;
    eventually("they are all gone", alone).await;
    assert_serves(&server).await;
}

#[tokio::test]
async fn a_unix_socket_is_for_its_owner() {
    let scratch = Scratch::new();
    let path = scratch.path("socket");
    let builder = || Server::builder().no_socket().unix_socket(&path);
    let mode = || {
        let metadata = std::fs::metadata(&path).unwrap();
        assert!(metadata.file_type().is_socket());
        metadata.permissions().mode() & 0o777
    };
    let server = builder().start().await.unwrap();
    assert_eq!(mode(), 0o600);
    let files = std::fs::read_dir(scratch.directory()).unwrap().count();
    assert_eq!(files, 1, "nothing else lies beside it");
    drop(server);
    let _server = builder().parameter("unixsocketperm", "770").start().await.unwrap();
    assert_eq!(mode(), 0o770, "unless its owner wants it otherwise");
}
