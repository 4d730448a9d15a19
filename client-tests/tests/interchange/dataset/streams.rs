//! Streams: in many nodes, with holes, with groups that have read some of them, and with consumers that hold entries.

use client_tests::{command, random::Random};

use super::{Builder, bytes};

const CONSUMERS: [&[u8]; 3] = [b"alice", b"bob", b"\0\xff"];
/// A moment of a delivery that no clock has said.
const DELIVERED_MS: &str = "1400000000000";

/// An id, of which the parts may be as large as they can be.
#[derive(Clone, Copy)]
struct Id(u64, u64);

impl Id {
    fn text(self) -> String {
        format!("{}-{}", self.0, self.1)
    }
}

pub(super) fn add(builder: &mut Builder, key: &[u8]) {
    let ids = add_entries(builder, key);
    for number in 0..builder.random.below(4) {
        add_group(builder, key, &format!("group {number}"), &ids);
    }
    // Only now, so that some of what is held is among what goes.
    if builder.limits.tombstones {
        shrink(builder, key, &ids);
    }
}

fn add_entries(builder: &mut Builder, key: &[u8]) -> Vec<Id> {
    let ids = ids(&mut builder.random);
    let fields = vec![bytes::short(&mut builder.random); 2];
    for id in &ids {
        let mut command = command!["XADD", key, id.text()];
        command.extend(entry(&mut builder.random, &fields));
        builder.push(command);
    }
    // Where nobody holds anything yet, nothing that is deleted is held.
    shrink(builder, key, &ids);
    ids
}

/// Ids in their order, of which some follow each other closely.
fn ids(random: &mut Random) -> Vec<Id> {
    let count = 1 + *random.pick(&[0, 3, 30, 250]);
    let mut last =
        *random.pick(&[Id(0, 0), Id(1, 0), Id(1_500_000_000_000, 7), Id(u64::MAX - 5000, 0)]);
    let mut next = |_| {
        last = if random.once_in(2) {
            Id(last.0 + 1 + random.below(10) as u64, random.number() >> random.below(64))
        } else {
            Id(last.0, last.1.saturating_add(1 + random.below(3) as u64))
        };
        last
    };
    let mut ids: Vec<Id> = (0..count).map(&mut next).collect();
    ids.dedup_by_key(|id| (id.0, id.1));
    ids
}

/// Nodes keep the names of their first entry's fields once; an entry may have the same or others.
fn entry(random: &mut Random, fields: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let value = |random: &mut Random| {
        if random.once_in(60) { bytes::large(random) } else { bytes::any(random) }
    };
    if random.once_in(3) {
        return (0..2 * (1 + random.below(4))).map(|_| value(random)).collect();
    }
    fields.iter().flat_map(|field| [field.clone(), value(random)]).collect()
}

fn shrink(builder: &mut Builder, key: &[u8], ids: &[Id]) {
    match builder.random.below(6) {
        0 => {
            let kept = builder.random.below(ids.len() + 1).to_string();
            builder.push(command!["XTRIM", key, "MAXLEN", kept]);
        }
        1 => delete(builder, key, ids),
        2 => {
            let some: Vec<Id> = ids.iter().copied().filter(|_| builder.random.once_in(3)).collect();
            delete(builder, key, &some);
        }
        3 => set_id(builder, key, ids),
        _ => {}
    }
}

fn delete(builder: &mut Builder, key: &[u8], ids: &[Id]) {
    let texts: Vec<Vec<u8>> = ids.iter().map(|id| id.text().into_bytes()).collect();
    builder.push_in_parts("XDEL", key, &texts);
}

/// More was added and deleted than anybody has seen.
fn set_id(builder: &mut Builder, key: &[u8], ids: &[Id]) {
    let last = ids[ids.len() - 1];
    let beyond = Id(last.0, last.1.saturating_add(9)).text();
    let added = (ids.len() + 20).to_string();
    builder.push(command![
        "XSETID",
        key,
        beyond,
        "ENTRIESADDED",
        added,
        "MAXDELETEDID",
        ids[0].text()
    ]);
}

fn add_group(builder: &mut Builder, key: &[u8], group: &str, ids: &[Id]) {
    let start = match builder.random.below(3) {
        0 => "0".to_owned(),
        1 => "$".to_owned(),
        _ => builder.random.pick(ids).text(),
    };
    let mut create = command!["XGROUP", "CREATE", key, group, start];
    if builder.random.once_in(3) {
        create.extend(command!["ENTRIESREAD", builder.random.below(ids.len()).to_string()]);
    }
    builder.push(create);
    for consumer in CONSUMERS {
        if builder.random.once_in(2) {
            add_consumer(builder, key, group, consumer, ids);
        }
    }
}

fn add_consumer(builder: &mut Builder, key: &[u8], group: &str, consumer: &[u8], ids: &[Id]) {
    builder.push(command!["XGROUP", "CREATECONSUMER", key, group, consumer]);
    let count = (1 + builder.random.below(20)).to_string();
    let read = |ends: Vec<Vec<u8>>| {
        let mut command = command!["XREADGROUP", "GROUP", group, consumer, "COUNT", count];
        command.extend(ends);
        command
    };
    if builder.random.once_in(2) {
        builder.push(read(command!["STREAMS", key, ">"]));
    }
    if builder.random.once_in(3) {
        builder.push(read(command!["NOACK", "STREAMS", key, ">"]));
    }
    if builder.random.once_in(2) {
        claim(builder, key, group, consumer, ids);
    }
    if builder.random.once_in(2) {
        let id = builder.random.pick(ids).text();
        builder.push(command!["XACK", key, group, id]);
    }
}

/// Takes entries over from whoever holds them, or from nobody.
fn claim(builder: &mut Builder, key: &[u8], group: &str, consumer: &[u8], ids: &[Id]) {
    let id = builder.random.pick(ids).text();
    let mut command = command!["XCLAIM", key, group, consumer, "0", id];
    match builder.random.below(4) {
        0 => command.extend(command!["FORCE"]),
        1 => command.extend(command!["TIME", DELIVERED_MS, "RETRYCOUNT", "17", "FORCE"]),
        2 => command.extend(command!["IDLE", "500000", "JUSTID"]),
        _ => {}
    }
    builder.push(command);
    if builder.random.once_in(3) {
        let count = (1 + builder.random.below(10)).to_string();
        builder.push(command!["XAUTOCLAIM", key, group, consumer, "0", "-", "COUNT", count]);
    }
}
