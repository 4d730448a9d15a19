//! How much memory does a key take, and does it come back?

use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::chart::{Chart, Shape};
use crate::comparison::Comparison;
use crate::contest::Contest;
use crate::figures::grouped;
use crate::filling::fill;
use crate::report::Chapter;
use crate::rows::VALUE;
use crate::servers::{Contender, Server};

const KEYS: u64 = 1_000_000;

/// How many keys are set and deleted before the first reading, so that buffers are not counted as keys.
const WARM_UP: u64 = 1_000;

const VALUE_OF_8: &str = "xxxxxxxx";
const VALUE_OF_64: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// What is stored, and what follows the key in its SET.
const SHAPES: [(&str, &[&str]); 4] = [
    ("8 bytes", &[VALUE_OF_8]),
    ("32 bytes", &[VALUE]),
    ("64 bytes", &[VALUE_OF_64]),
    ("32 bytes with a TTL", &[VALUE, "EX", "86400"]),
];

/// One measurement's result.
struct Reading {
    bytes_per_key: f64,
    /// Memory after FLUSHALL, in times of that before the first key.
    left: f64,
}

pub(crate) fn measure(contest: &Contest) -> Result<Chapter> {
    let mut per_key = Comparison::lower_is_better("Memory per key, bytes");
    let mut left = Comparison::lower_is_better("After FLUSHALL, times the memory before");
    // Memory does not depend on what else the machine does: one round is enough.
    contest.rounds("memory", 1, |contender| {
        for (label, arguments) in SHAPES {
            let reading = read(contender, arguments, contest.effort.flush_watch)?;
            per_key.add(label, contender, reading.bytes_per_key);
            left.add(label, contender, reading.left);
        }
        Ok(())
    })?;
    let contenders = &contest.contenders;
    Ok(Chapter {
        title: "Memory",
        method: method(contest),
        tables: vec![per_key.table(contenders), left.table(contenders)],
        charts: vec![Chart {
            file: "memory.svg",
            panels: vec![per_key.panel(Shape::Bars, "value", contenders)],
        }],
    })
}

fn read(contender: &Contender, arguments: &[&str], watch: Duration) -> Result<Reading> {
    let server = Server::start(contender)?;
    let mut client = server.connect()?;
    fill(&mut client, 0..WARM_UP, arguments)?;
    client.call(&["FLUSHALL"])?;
    let empty = server.resident_bytes()?;
    fill(&mut client, 0..KEYS, arguments)?;
    let full = server.resident_bytes()?;
    client.call(&["FLUSHALL"])?;
    let after = lowest_resident_bytes(&server, watch)?;
    Ok(Reading {
        bytes_per_key: (full as f64 - empty as f64) / KEYS as f64,
        left: after as f64 / empty as f64,
    })
}

/// Memory may be given back after the reply.
pub(crate) fn lowest_resident_bytes(server: &Server, watch: Duration) -> Result<u64> {
    let started = Instant::now();
    let mut lowest = server.resident_bytes()?;
    while started.elapsed() < watch {
        thread::sleep(Duration::from_millis(50));
        lowest = lowest.min(server.resident_bytes()?);
    }
    Ok(lowest)
}

fn method(contest: &Contest) -> String {
    format!(
        "{keys} keys of 16 bytes are set in a fresh server. The figure is by how much its resident memory has grown, \
         divided by the number of keys. Then FLUSHALL, as the server does it by default: the lowest reading of the \
         {watch} s after it, in times of the memory before the first key. One round.",
        keys = grouped(KEYS),
        watch = contest.effort.flush_watch.as_secs_f64(),
    )
}
