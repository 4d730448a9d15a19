//! What does it cost to write a reply?
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use redlet::fuzzing::Replies;

/// Written so many times before they are sent, as the replies to a pipeline are.
const RUN: usize = 64;

/// Writes one reply.
type Write = dyn Fn(&mut Replies);

fn array(replies: &mut Replies) {
    replies.array(100);
    for number in 0..100 {
        match number % 4 {
            0 => replies.null(),
            1 => replies.integer(number),
            _ => replies.bulk(b"0123456789abcdef"),
        }
    }
}

fn reply(criterion: &mut Criterion) {
    let large = Bytes::from(vec![b'x'; 16 * 1024]);
    let shared = move |replies: &mut Replies| replies.shared_bulk(&large);
    let rows: [(&str, &Write); 6] = [
        ("OK", &Replies::ok),
        ("integer", &|replies| replies.integer(black_box(1_234_567))),
        ("bulk string of 32 bytes", &|replies| replies.bulk(&[b'x'; 32])),
        ("shared bulk string of 16 KiB", &shared),
        ("null", &Replies::null),
        ("array of 100", &array),
    ];
    for (protocol, mut replies) in [("RESP2", Replies::resp2()), ("RESP3", Replies::resp3())] {
        let mut group = criterion.benchmark_group(format!("64 replies, {protocol}"));
        for (name, write) in rows {
            group.bench_function(name, |bench| {
                bench.iter(|| {
                    (0..RUN).for_each(|_| write(&mut replies));
                    replies.send()
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, reply);
criterion_main!(benches);
