//! What does the table of keys cost, from one that fits a cache to one that fits none?
//!
//! Each call locks the one shard that there is, looks up a key of 16 bytes at random, and does one
//! thing.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use redlet::fuzzing::Keys;

const COUNTS: [u32; 3] = [1_000, 100_000, 5_000_000];

/// Numbers below a limit, in an order that no processor foresees.
fn numbers(limit: u32) -> impl FnMut() -> u32 {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (((state >> 32) * u64::from(limit)) >> 32) as u32
    }
}

fn table(criterion: &mut Criterion) {
    for count in COUNTS {
        let keys = Keys::new(count);
        let mut group = criterion.benchmark_group("a table of keys");
        let mut next = numbers(count);
        group.bench_function(BenchmarkId::new("look up", count), |bench| {
            bench.iter(|| assert!(keys.has(next())));
        });
        group.bench_function(BenchmarkId::new("look up what is not there", count), |bench| {
            bench.iter(|| assert!(!keys.has(count + next())));
        });
        group.bench_function(BenchmarkId::new("replace", count), |bench| {
            bench.iter(|| keys.put(next()));
        });
        group.bench_function(BenchmarkId::new("remove and insert", count), |bench| {
            bench.iter(|| {
                let number = next();
                assert!(keys.remove(number));
                keys.put(number);
            });
        });
        group.bench_function(BenchmarkId::new("scan one bucket", count), |bench| {
            let (mut cursor, mut seen) = (0, 0);
            bench.iter(|| cursor = keys.scan(cursor, &mut seen));
            black_box(seen);
        });
        group.finish();
    }
}

criterion_group!(benches, table);
criterion_main!(benches);
