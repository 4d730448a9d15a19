//! What does it cost to find the requests in what a client sends?
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::fmt::Write as _;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use redlet::fuzzing::RequestDecoder;

/// What one read of a socket may bring.
const READ_SIZE: usize = 16 * 1024;

fn encode(words: &[&str]) -> String {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        let _ = write!(text, "${}\r\n{word}\r\n", word.len());
    }
    text
}

/// GET and SET in turns, all in one buffer.
fn pipeline(requests: usize) -> String {
    let value = "0123456789abcdef0123456789abcdef";
    let request = |number| match number % 2 {
        0 => encode(&["GET", &format!("key:{number:012}")]),
        _ => encode(&["SET", &format!("key:{number:012}"), value]),
    };
    (0..requests).map(request).collect()
}

fn decoder(criterion: &mut Criterion) {
    let single = encode(&["GET", "key:000000000001"]);
    let large = encode(&["SET", "key:000000000001", &"x".repeat(256 * 1024)]);
    let rows = [
        ("GET", single.clone(), READ_SIZE, 1),
        ("64 GET and SET in one buffer", pipeline(64), READ_SIZE, 64),
        ("GET, byte by byte", single, 1, 1),
        ("SET of 256 KiB", large, READ_SIZE, 1),
        ("inline GET", "GET key:000000000001\r\n".to_owned(), READ_SIZE, 1),
        ("inline SET, quoted", "SET key \"a \\x41 value\"\r\n".to_owned(), READ_SIZE, 1),
    ];
    let mut group = criterion.benchmark_group("decoder");
    for (name, bytes, piece, requests) in rows {
        let mut decoder = RequestDecoder::default();
        group.throughput(Throughput::Elements(requests));
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let pieces = bytes.as_bytes().chunks(piece);
                let whole: usize = pieces.map(|piece| decoder.decode(piece)).sum();
                assert_eq!(whole as u64, requests);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decoder);
criterion_main!(benches);
