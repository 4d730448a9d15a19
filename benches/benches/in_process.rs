//! What does a command cost the application that embeds the server?
#![allow(missing_docs, reason = "criterion's macros make public items")]

use criterion::{Criterion, criterion_group, criterion_main};
use redlet::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

fn in_process(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let server = runtime.block_on(Server::builder().no_socket().start());
    let server = server.expect("nothing to refuse");
    let mut group = criterion.benchmark_group("in process");

    let mut direct = server.direct();
    direct.set("key", "0123456789abcdef0123456789abcdef");
    group.bench_function("GET, direct", |bench| bench.iter(|| direct.get("key")));
    group.bench_function("SET, direct", |bench| bench.iter(|| direct.set("key", "value")));

    let mut stream = server.connect();
    let mut reply = [0; 11];
    group.bench_function("GET, connection in memory", |bench| {
        bench.iter(|| {
            runtime.block_on(async {
                stream.write_all(b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n").await.expect("it reads");
                stream.read_exact(&mut reply).await.expect("it answers");
            });
        });
    });
    group.finish();
}

criterion_group!(benches, in_process);
criterion_main!(benches);
