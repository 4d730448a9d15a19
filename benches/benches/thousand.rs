//! How long do 1,000 servers in one process take to start, and how much memory has each?
//!
//! The goals are 200 ms for all and 64 KiB for each. A process of its own measures each way to
//! reach the servers: memory that one leaves behind would hide what the next one takes.
#![allow(clippy::disallowed_methods, reason = "a bench takes the machine's time")]

use std::process::Command;
use std::time::{Duration, Instant};

use redlet::{Builder, Server};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

const SERVERS: usize = 1_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    match std::env::args().nth(1).as_deref() {
        Some("memory") => runtime.block_on(in_memory()),
        Some("tcp") => runtime.block_on(over_tcp()),
        _ => measure_each(),
    }
}

fn measure_each() {
    let program = std::env::current_exe().expect("a program has a file");
    println!("{SERVERS} servers  started    resident each  after a PING each");
    for way in ["memory", "tcp"] {
        let status = Command::new(&program).arg(way).status();
        if !status.is_ok_and(|status| status.success()) {
            println!("{way}: not measured. Over TCP it takes 4,000 open files: see `ulimit -n`.");
        }
    }
}

async fn in_memory() {
    let (before, begin) = (resident_bytes(), Instant::now());
    let servers = start_all(|| Server::builder().no_socket()).await;
    let started = (begin.elapsed(), resident_bytes());
    let mut streams: Vec<_> = servers.iter().map(Server::connect).collect();
    for stream in &mut streams {
        ping(stream).await;
    }
    report("in memory", before, started);
}

async fn over_tcp() {
    let (before, begin) = (resident_bytes(), Instant::now());
    let servers = start_all(Server::builder).await;
    let started = (begin.elapsed(), resident_bytes());
    let mut streams = Vec::with_capacity(SERVERS);
    for server in &servers {
        let address = server.address().expect("it listens");
        let mut stream = TcpStream::connect(address).await.expect("it accepts");
        ping(&mut stream).await;
        streams.push(stream);
    }
    report("over TCP", before, started);
}

async fn start_all(builder: impl Fn() -> Builder) -> Vec<Server> {
    let mut servers = Vec::with_capacity(SERVERS);
    for _ in 0..SERVERS {
        servers.push(builder().start().await.expect("nothing to refuse"));
    }
    servers
}

async fn ping(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    stream.write_all(b"PING\r\n").await.expect("the server reads");
    let mut reply = [0; 7];
    stream.read_exact(&mut reply).await.expect("the server answers");
    assert_eq!(&reply, b"+PONG\r\n");
}

/// Says what was measured, while the servers and their clients are still there.
fn report(way: &str, before_bytes: usize, (spent, started_bytes): (Duration, usize)) {
    let each_kib = |bytes: usize| (bytes - before_bytes) as f64 / SERVERS as f64 / 1024.0;
    let (started, connected) = (each_kib(started_bytes), each_kib(resident_bytes()));
    println!("{way:<12} {spent:>8.0?} {started:>13.1} KiB {connected:>14.1} KiB");
}

/// What the process holds of the machine's memory.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux says so here");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib =
        line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.parse().ok());
    kib.map_or(0, |kib: usize| kib * 1024)
}
