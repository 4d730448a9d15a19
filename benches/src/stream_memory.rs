//! How much memory does an entry of a stream take, and how much more once it is pending?
//!
//! The goal: no more than with the best peer.

use crate::Result;
use crate::chart::{Chart, Shape};
use crate::client::{Client, encode};
use crate::comparison::Comparison;
use crate::contest::Contest;
use crate::entries;
use crate::figures::grouped;
use crate::report::Chapter;
use crate::servers::{Contender, Server};

/// All entries of all streams.
const ENTRIES: u64 = 1_000_000;

/// How many of them a stream has.
const SIZES: [u64; 3] = [10, 1_000, ENTRIES];

/// How many entries are pending, of the stream that has all of them.
const PENDING: u64 = 100_000;

/// How many consumers they are handed out to, in turn.
const CONSUMERS: u64 = 100;

/// How many entries a consumer gets at once.
const STEP: u64 = 10;

/// How many commands are sent at once.
const DEPTH: usize = 32;

/// How many entries are added, handed out and deleted before the first reading, so that buffers are not counted as
/// entries.
const WARM_UP: u64 = 1_000;

const GROUP: &str = "group";

/// What a server has to have.
const COMMANDS: &[&str] = &["xadd", "xgroup", "xreadgroup"];

struct Tables {
    per_entry: Comparison,
    per_pending_entry: Comparison,
}

pub(crate) fn measure(contest: &Contest) -> Result<Chapter> {
    let mut tables = Tables {
        per_entry: Comparison::lower_is_better("Memory per entry of a stream, bytes"),
        per_pending_entry: Comparison::lower_is_better("Memory per pending entry, bytes"),
    };
    // Memory does not depend on what else the machine does: one round is enough.
    contest.rounds("stream-memory", 1, |contender| {
        let knows_all = Server::start(contender)?.knows(COMMANDS)?;
        for size in SIZES {
            let bytes = if knows_all { Some(bytes_per_entry(contender, size)?) } else { None };
            tables.per_entry.add_if_any(&format!("streams of {}", grouped(size)), contender, bytes);
        }
        let bytes = if knows_all { Some(bytes_per_pending_entry(contender)?) } else { None };
        tables.per_pending_entry.add_if_any(
            &format!("{} pending", grouped(PENDING)),
            contender,
            bytes,
        );
        Ok(())
    })?;
    Ok(tables.chapter(contest))
}

fn bytes_per_entry(contender: &Contender, size: u64) -> Result<f64> {
    let server = Server::start(contender)?;
    let mut client = server.connect()?;
    fill(&mut client, size, WARM_UP)?;
    client.call(&["FLUSHALL"])?;
    let empty = server.resident_bytes()?;
    fill(&mut client, size, ENTRIES)?;
    let full = server.resident_bytes()?;
    Ok((full as f64 - empty as f64) / ENTRIES as f64)
}

fn bytes_per_pending_entry(contender: &Contender) -> Result<f64> {
    let server = Server::start(contender)?;
    let mut client = server.connect()?;
    fill(&mut client, ENTRIES, WARM_UP)?;
    hand_out(&mut client, WARM_UP)?;
    client.call(&["FLUSHALL"])?;
    fill(&mut client, ENTRIES, ENTRIES)?;
    let without = server.resident_bytes()?;
    hand_out(&mut client, PENDING)?;
    let with = server.resident_bytes()?;
    Ok((with as f64 - without as f64) / PENDING as f64)
}

/// Adds so many entries, stream after stream.
fn fill(client: &mut Client, size: u64, entries: u64) -> Result<()> {
    for first in (0..entries).step_by(size as usize) {
        entries::fill(client, &stream(first / size), first..entries.min(first + size))?;
    }
    Ok(())
}

/// Makes the oldest entries of the first stream pending.
fn hand_out(client: &mut Client, entries: u64) -> Result<()> {
    client.call(&["XGROUP", "CREATE", &stream(0), GROUP, "0"])?;
    let turns: Vec<u64> = (0..entries / STEP).collect();
    for pipeline in turns.chunks(DEPTH) {
        let mut requests = Vec::new();
        for turn in pipeline {
            append_read(turn % CONSUMERS, &mut requests);
        }
        client.send(&requests)?;
        client.await_replies(pipeline.len())?;
    }
    Ok(())
}

fn append_read(consumer: u64, requests: &mut Vec<u8>) {
    let (consumer, count, stream) =
        (format!("consumer:{consumer:02}"), STEP.to_string(), stream(0));
    let read = ["XREADGROUP", "GROUP", GROUP, &consumer, "COUNT", &count, "STREAMS", &stream, ">"];
    encode(&read, requests);
}

/// The name of a stream: 16 bytes.
fn stream(number: u64) -> String {
    format!("stream:{number:09}")
}

impl Tables {
    fn chapter(&self, contest: &Contest) -> Chapter {
        let contenders = &contest.contenders;
        let panels = [
            self.per_entry.panel(Shape::Bars, "entries of a stream", contenders),
            self.per_pending_entry.panel(Shape::Bars, "pending entries", contenders),
        ];
        Chapter {
            title: "Memory of streams",
            method: method(),
            tables: vec![
                self.per_entry.table(contenders),
                self.per_pending_entry.table(contenders),
            ],
            charts: vec![Chart { file: "stream-memory.svg", panels: panels.into() }],
        }
    }
}

fn method() -> String {
    let sizes = SIZES.map(grouped);
    format!(
        "{entries} entries in a fresh server, in streams of {ten}, {thousand} or all of them. An entry has three \
         fields with values of 16 bytes, and an id that is one higher than the one before. The first figure is by how \
         much the server's resident memory has grown, divided by the number of entries; the keys, of 16 bytes, count \
         in. Then a group of the stream that has all of them hands {pending} out to {CONSUMERS} consumers in turn, \
         {STEP} at a time, and nobody acknowledges any: the second figure is by how much memory has grown since, \
         divided by {pending}. All settings are the server's defaults. One round.",
        entries = grouped(ENTRIES),
        ten = sizes[0],
        thousand = sizes[1],
        pending = grouped(PENDING),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_consumer_gets_as_much() {
        assert!((PENDING / STEP).is_multiple_of(CONSUMERS));
        assert!(PENDING.is_multiple_of(STEP) && WARM_UP.is_multiple_of(STEP));
    }

    #[test]
    fn streams_are_filled_whole() {
        assert!(SIZES.iter().all(|size| ENTRIES.is_multiple_of(*size)));
        assert_eq!(stream(7).len(), 16);
    }
}
