//! How long does a server take from its start to its first PONG?
#![allow(missing_docs, reason = "criterion's macros make public items")]

use criterion::{Criterion, criterion_group, criterion_main};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

async fn ping(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    stream.write_all(b"PING\r\n").await.expect("the server reads");
    let mut reply = [0; 7];
    stream.read_exact(&mut reply).await.expect("the server answers");
    assert_eq!(&reply, b"+PONG\r\n");
}

async fn in_memory() {
    let server = redlet::Server::builder().no_socket().start().await.expect("nothing to refuse");
    ping(server.connect()).await;
}

async fn over_tcp() {
    let server = redlet::Server::start().await.expect("a port is free");
    let address = server.address().expect("it listens");
    ping(TcpStream::connect(address).await.expect("it accepts")).await;
}

fn start(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("start to first PONG");
    group.bench_function("in memory", |bench| bench.iter(|| runtime.block_on(in_memory())));
    group.bench_function("over TCP", |bench| bench.iter(|| runtime.block_on(over_tcp())));
    group.finish();
}

criterion_group!(benches, start);
criterion_main!(benches);
