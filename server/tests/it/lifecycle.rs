//! How servers end: whatever belonged to one goes with it, and nothing of it is left behind.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use redlet::Server;
use tokio::runtime::{Builder, Handle};

use crate::support::{
    Scratch, Wire, alone, alone_async, assert_serves, assert_serves_blocking, count_of, eventually,
    within,
};

#[tokio::test]
async fn dropping_a_server_ends_its_connections_and_gives_its_addresses_back() {
    let scratch = Scratch::new();
    let path = scratch.path("socket");
    let server = Server::builder().unix_socket(&path).start().await.unwrap();
    let address = server.address().unwrap();
    let (mut tcp, mut memory) = (Wire::tcp(&server).await, Wire::memory(&server));
    let mut unix = Wire::new(tokio::net::UnixStream::connect(&path).await.unwrap());
    assert_eq!(tcp.call("PING").await, "PONG");
    assert_eq!(memory.call("PING").await, "PONG");
    assert_eq!(unix.call("PING").await, "PONG");
    drop(server);
    assert!(!path.exists());
    assert_eq!(tcp.reply().await, "(end)");
    assert_eq!(memory.reply().await, "(end)");
    assert_eq!(unix.reply().await, "(end)");
    eventually("its port is free", async || TcpListener::bind(address).is_ok()).await;
}

#[test]
fn shutdown_returns_once_all_connections_have_ended() {
    // In a process where nobody else takes the ports that are given back.
    alone(module_path!(), "shutdown_returns_once_all_connections_have_ended", || {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(assert_shutdown_ends_connections());
    });
}

async fn assert_shutdown_ends_connections() {
    let scratch = Scratch::new();
    let path = scratch.path("socket");
    for _ in 0..20 {
        let server = Server::builder().unix_socket(&path).start().await.expect("a server starts");
        let address = server.address().expect("it listens");
        let mut clients = Vec::new();
        for _ in 0..10 {
            let mut client = Wire::memory(&server);
            assert_eq!(client.call("PING").await, "PONG");
            clients.push(client);
        }
        within(server.shutdown()).await;
        assert!(!path.exists());
        TcpListener::bind(address).expect("its port is free at once");
        for client in &mut clients {
            let end = tokio::time::timeout(Duration::ZERO, client.until_end());
            assert_eq!(end.await.ok(), Some(Vec::new()), "the connection has ended already");
        }
    }
}

#[tokio::test]
async fn shutdown_does_not_wait_for_clients_that_are_busy_or_held_back() {
    let server = Server::builder().no_socket().start().await.unwrap();
    let mut never_reads = Wire::memory(&server);
    let value = "x".repeat(100_000);
    assert_eq!(never_reads.request(&["SET", "key", &value]).await, "OK");
    never_reads.send(&b"GET key\r\n".repeat(1000)).await;
    let mut half = Wire::memory(&server);
    half.send(b"*2\r\n$3\r\nGET\r\n$100000\r\nabc").await;
    let mut held = Wire::memory(&server);
    assert_eq!(Wire::memory(&server).call("CLIENT PAUSE 1000000").await, "OK");
    held.send(b"PING\r\n").await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    within(server.shutdown()).await;
}

#[tokio::test]
async fn a_client_ends_the_server_with_shutdown() {
    let server = Server::start().await.unwrap();
    let (mut client, mut other) = (Wire::tcp(&server).await, Wire::tcp(&server).await);
    assert_eq!(other.call("PING").await, "PONG");
    let (stopped, reply) = tokio::join!(within(server.stopped()), client.call("SHUTDOWN NOSAVE"));
    assert_eq!(stopped, Ok(()));
    assert_eq!(reply, "(end)");
    assert_eq!(other.reply().await, "(end)");
    assert_eq!(within(server.stopped()).await, Ok(()), "whoever asks later hears it too");
    assert_eq!(Wire::memory(&server).call("PING").await, "(end)", "nobody is let in any more");
    within(server.shutdown()).await;
}

#[test]
fn servers_may_be_dropped_inside_and_outside_of_any_runtime() {
    let single = Builder::new_current_thread().enable_all().build().unwrap();
    let multi = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for runtime in [&single, &multi] {
        runtime.block_on(async { drop(Server::start().await.unwrap()) });
        drop(runtime.block_on(Server::start()).unwrap());
        runtime.block_on(async { drop(Server::builder().start_blocking_elsewhere()) });
    }
    let server = single.block_on(Server::start()).unwrap();
    let other = multi.block_on(Server::start()).unwrap();
    multi.block_on(async move { drop(server) });
    drop((single, multi));
    drop(other);
}

/// Starts a server on a thread of its own from inside a runtime, which must not block.
trait StartElsewhere {
    fn start_blocking_elsewhere(self) -> Server;
}

impl StartElsewhere for redlet::Builder {
    fn start_blocking_elsewhere(self) -> Server {
        let start = move || self.start_blocking().expect("a free port");
        std::thread::spawn(start).join().expect("the server starts")
    }
}

#[test]
fn a_connection_to_a_server_whose_runtime_is_gone_has_ended() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(Server::start()).unwrap();
    drop(runtime);
    assert_eq!(server.connect_blocking().read(&mut [0; 16]).unwrap(), 0);
    server.direct().set("key", "value");
}

#[test]
fn a_server_on_its_own_thread_may_be_shut_down_from_a_runtime() {
    let server = Server::builder().start_blocking().unwrap();
    let mut stream = server.connect_blocking();
    assert_serves_blocking(&server);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(within(server.shutdown()));
    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
    assert!(stream.write_all(b"PING\r\n").is_err());
}

#[test]
fn dropping_a_server_joins_its_own_thread() {
    alone(module_path!(), "dropping_a_server_joins_its_own_thread", || {
        // The first runtime opens what the process keeps.
        drop(Server::builder().start_blocking().unwrap());
        let before = (count_of("task"), count_of("fd"));
        for round in 0..50 {
            let server = Server::builder().start_blocking().unwrap();
            assert_eq!(count_of("task"), before.0 + 1);
            assert_serves_blocking(&server);
            if round % 2 == 0 {
                server.direct().call(&["SHUTDOWN", "NOSAVE"]).expect("it ends");
            }
            drop(server);
            assert_eq!((count_of("task"), count_of("fd")), before, "round {round}");
        }
    });
}

#[test]
fn starting_and_ending_many_servers_leaves_no_task_and_no_descriptor() {
    let name = "starting_and_ending_many_servers_leaves_no_task_and_no_descriptor";
    alone_async(module_path!(), name, async || {
        within(Server::start().await.unwrap().shutdown()).await;
        let tasks = || Handle::current().metrics().num_alive_tasks();
        let before = [tasks(), count_of("fd"), count_of("task")];
        for round in 0..200 {
            let server = Server::start().await.unwrap();
            let (mut tcp, mut memory) = (Wire::tcp(&server).await, Wire::memory(&server));
            assert_eq!(tcp.call("PING").await, "PONG");
            assert_eq!(memory.call("SET key value").await, "OK");
            if round % 2 == 0 {
                within(server.shutdown()).await;
            }
        }
        // A thread that the runtime kept for a while may have gone.
        let nothing_left = async || {
            let now = [tasks(), count_of("fd"), count_of("task")];
            now.iter().zip(before).all(|(now, before)| *now <= before)
        };
        eventually("nothing is left behind", nothing_left).await;
    });
}

#[test]
fn a_thousand_servers_live_in_one_process() {
    alone_async(module_path!(), "a_thousand_servers_live_in_one_process", async || {
        const COUNT: usize = 1000;
        let empty = crate::support::resident_bytes();
        let begin = Instant::now();
        let mut servers = Vec::new();
        for _ in 0..COUNT {
            servers.push(Server::start().await.unwrap());
        }
        let spent = begin.elapsed();
        let each = (crate::support::resident_bytes() - empty) / COUNT;
        println!("figure: {COUNT} servers with a port each: {spent:?}, {each} bytes each");
        for (number, server) in servers.iter().enumerate() {
            server.direct().set("number", number.to_string());
        }
        for (number, server) in servers.iter().enumerate() {
            let mut client = Wire::tcp(server).await;
            assert_eq!(client.call("GET number").await, number.to_string());
            assert_eq!(client.call("DBSIZE").await, "1");
        }
        servers.drain(..COUNT - 1).for_each(drop);
        assert_serves(&servers[0]).await;
        assert!(spent < Duration::from_secs(2), "{COUNT} servers took {spent:?} to start");
        assert!(each < 256 * 1024, "a server takes {each} bytes");
    });
}
