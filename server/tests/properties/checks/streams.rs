//! Streams out of payloads that may lie: whatever is restored is a stream like any other.

use redlet::fuzzing::Request;

use super::Choices;
use super::client::CheckedClient;
use super::payload::seal;
use super::stream_format::{
    Consumer, DELETED, Element, Entry, Group, Id, KINDS, Node, Pending, SAME_NAMES, Stream, key_of,
};

/// What parts of a stream are called. Names of groups and consumers are fields and values, too.
const WORDS: &[&str] =
    &["g", "h", "ann", "bob", "", "field", "12", "-300", "a longer text that is no number"];
const NUMBERS: &[u64] = &[
    0,
    1,
    2,
    3,
    5,
    63,
    64,
    1 << 14,
    1 << 31,
    1 << 32,
    (1 << 63) - 1,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];

/// A stream that may have told the truth but for a few parts.
fn stream(choices: &mut impl Choices) -> Stream {
    let mut stream = Stream::default();
    let mut id: Id = (choices.below(3) as u64, choices.below(2) as u64);
    let mut pending = Vec::new();
    for _ in 0..choices.below(4) {
        let node = node(choices, &mut id, &mut pending);
        stream.nodes.push(node);
    }
    stream.length = pending.len() as u64;
    stream.first_id = pending.first().copied().unwrap_or_default();
    (stream.last_id, stream.added) = (id, stream.length + choices.below(3) as u64);
    stream.max_deleted_id = if choices.once_in(2) { stream.first_id } else { (0, 0) };
    for name in ["g", "h"].iter().take(choices.below(3)) {
        stream.groups.push(group(choices, name, &pending));
    }
    if choices.once_in(3) {
        lie(choices, &mut stream);
    }
    stream
}

/// A node behind an id, which becomes that of its last entry.
fn node(choices: &mut impl Choices, id: &mut Id, live: &mut Vec<Id>) -> Node {
    id.0 += 1 + choices.below(300) as u64;
    let key = *id;
    let names: Vec<&str> = (0..choices.below(3)).map(|_| *choices.pick(WORDS)).collect();
    let mut entries = Vec::new();
    for _ in 0..=choices.below(4) {
        let is_same = !choices.once_in(3);
        let count = if is_same { names.len() } else { 2 * choices.below(3) };
        let words: Vec<&str> = (0..count).map(|_| *choices.pick(WORDS)).collect();
        let deleted = if choices.once_in(4) {
            DELETED
        } else {
            live.push(*id);
            0
        };
        entries.push((*id, deleted | if is_same { SAME_NAMES } else { 0 }, words));
        *id = if choices.once_in(2) { (id.0 + 1, 0) } else { (id.0, id.1 + 1) };
    }
    let entries: Vec<_> = entries
        .iter()
        .map(|(id, marks, words)| {
            let offset = (id.0.wrapping_sub(key.0) as i64, id.1.wrapping_sub(key.1) as i64);
            Entry { offset, marks: *marks, words }
        })
        .collect();
    Node::new(key, &names, &entries)
}

/// A group that has delivered some of the entries.
fn group(choices: &mut impl Choices, name: &str, ids: &[Id]) -> Group {
    let time = |choices: &mut _| *Choices::pick(choices, NUMBERS) as i64;
    let mut group = Group { name: name.into(), read: choices.below(9) as u64, ..Group::default() };
    for name in ["ann", "bob"].iter().take(choices.below(3)) {
        let (seen_ms, active_ms) = (time(choices), time(choices));
        group.consumers.push(Consumer {
            name: (*name).into(),
            seen_ms,
            active_ms,
            ..Consumer::default()
        });
    }
    for &id in ids {
        if !group.consumers.is_empty() && choices.once_in(2) {
            let deliveries = *choices.pick(NUMBERS);
            group.pending.push(Pending { id, delivered_ms: time(choices), deliveries });
            let at = choices.below(group.consumers.len());
            group.consumers[at].pending.push(id);
            group.last_id = id;
        }
    }
    group
}

/// Makes one part of the stream something else.
fn lie(choices: &mut impl Choices, stream: &mut Stream) {
    let number = *choices.pick(NUMBERS);
    let id = (number, *choices.pick(NUMBERS));
    match choices.below(8) {
        0 => stream.announced_nodes = Some(number),
        1 => stream.announced_groups = Some(number),
        2 => stream.length = number,
        3 => stream.added = number,
        4 => {
            *[&mut stream.last_id, &mut stream.first_id, &mut stream.max_deleted_id]
                [choices.below(3)] = id;
        }
        5 if !stream.groups.is_empty() => {
            let at = choices.below(stream.groups.len());
            lie_about_group(choices, &mut stream.groups[at], id);
        }
        _ if !stream.nodes.is_empty() => {
            let (at, other) =
                (choices.below(stream.nodes.len()), choices.below(stream.nodes.len()));
            stream.nodes.swap(at, other);
            lie_about_node(choices, &mut stream.nodes[at], id);
        }
        _ => {}
    }
}

fn lie_about_node(choices: &mut impl Choices, node: &mut Node, id: Id) {
    let at = choices.below(node.elements.len().max(1));
    match choices.below(6) {
        0 => node.key = key_of(id).to_vec(),
        1 => node.announced_bytes = Some(id.0 as u32),
        2 => node.announced_elements = Some(id.0 as u16),
        3 => node.elements.insert(at, Element::Integer(id.0 as i64)),
        4 if at < node.elements.len() => drop(node.elements.remove(at)),
        5 if at < node.elements.len() => node.elements[at] = Element::Integer(id.0 as i64),
        _ => node.elements.push(Element::Raw((0..3).map(|_| choices.below(256) as u8).collect())),
    }
}

fn lie_about_group(choices: &mut impl Choices, group: &mut Group, id: Id) {
    match choices.below(7) {
        0 => group.announced_pending = Some(id.0),
        1 => group.announced_consumers = Some(id.0),
        2 => group.last_id = id,
        3 => group.read = id.0,
        4 => group.name = b"g".into(),
        5 => drop(group.pending.pop()),
        _ => {
            for consumer in &mut group.consumers {
                consumer.pending.push(id);
                consumer.announced_pending = choices.once_in(2).then_some(id.1);
            }
        }
    }
}

/// A stream as a payload without its version and checksum.
pub fn value(choices: &mut impl Choices) -> Vec<u8> {
    let stream = stream(choices);
    stream.value(*choices.pick(&KINDS))
}

/// Restores a value, and uses it if that is a stream.
pub fn check_value(client: &mut CheckedClient, value: &[u8], choices: &mut impl Choices) {
    let reply = client.call(&[&b"RESTORE"[..], b"s", b"0", &seal(value), b"REPLACE"]);
    if reply.starts_with(b"-") || client.call(&["TYPE", "s"]) != b"+stream\r\n" {
        return;
    }
    check_whole(client);
    for _ in 0..6 {
        client.call(&request(choices));
    }
    if client.call(&["TYPE", "s"]) == b"+stream\r\n" {
        check_whole(client);
    }
}

/// What is told of a stream fits together, and a copy of it is the same.
fn check_whole(client: &mut CheckedClient) {
    let length = client.call(&["XLEN", "s"]);
    for request in [["XRANGE", "s", "-", "+"], ["XREVRANGE", "s", "+", "-"]] {
        let reply = client.call(&request);
        assert_eq!(
            reply[1..].split(|&byte| byte == b'\r').next(),
            length[1..].strip_suffix(b"\r\n")
        );
    }
    client.call(&["XINFO", "STREAM", "s", "FULL", "COUNT", "0"]);
    for group in ["g", "h"] {
        client.call(&["XINFO", "CONSUMERS", "s", group]);
        client.call(&["XPENDING", "s", group]);
    }
    let dumped = client.call(&["DUMP", "s"]);
    let begin = dumped.iter().position(|&byte| byte == b'\n').expect("a text") + 1;
    let payload = &dumped[begin..dumped.len() - 2];
    let reply = client.call(&[b"RESTORE", &b"again"[..], b"0", payload, b"REPLACE"]);
    assert_eq!(reply, b"+OK\r\n", "{}", payload.escape_ascii());
    client.call(&["COPY", "again", "copy", "REPLACE"]);
    let digests = ["s", "again", "copy"].map(|key| client.call(&["DEBUG", "DIGEST-VALUE", key]));
    assert!(digests[0] == digests[1] && digests[0] == digests[2], "{}", payload.escape_ascii());
    client.call(&["MEMORY", "USAGE", "s"]);
    client.call(&["DEL", "again", "copy"]);
}

/// Requests about a stream: `#` is an id, `%` a number, `G` a group, `C` a consumer, `F` a field.
const SHAPES: &[&str] = &[
    "XADD s # F F",
    "XADD s * F F F F",
    "XADD s MAXLEN ~ % * F F",
    "XADD s MINID = # * F F",
    "XRANGE s # # COUNT %",
    "XREVRANGE s # (# COUNT %",
    "XDEL s # # #",
    "XTRIM s MAXLEN %",
    "XTRIM s MAXLEN ~ % LIMIT %",
    "XTRIM s MINID #",
    "XSETID s #",
    "XSETID s # ENTRIESADDED % MAXDELETEDID #",
    "XREAD COUNT % STREAMS s #",
    "XREAD BLOCK 1 STREAMS s $",
    "XREADGROUP GROUP G C COUNT % STREAMS s >",
    "XREADGROUP GROUP G C NOACK STREAMS s >",
    "XREADGROUP GROUP G C COUNT % STREAMS s #",
    "XACK s G # # #",
    "XPENDING s G IDLE % # # % C",
    "XPENDING s G - + %",
    "XCLAIM s G C % # # FORCE JUSTID IDLE %",
    "XCLAIM s G C 0 # # LASTID # RETRYCOUNT %",
    "XAUTOCLAIM s G C % # COUNT %",
    "XAUTOCLAIM s G C 0 - JUSTID",
    "XGROUP CREATE s G # ENTRIESREAD %",
    "XGROUP CREATE s G $ MKSTREAM",
    "XGROUP SETID s G # ENTRIESREAD %",
    "XGROUP DESTROY s G",
    "XGROUP CREATECONSUMER s G C",
    "XGROUP DELCONSUMER s G C",
    "XINFO GROUPS s",
    "XINFO STREAM s",
    "XINFO STREAM s FULL COUNT %",
    "CONFIG SET stream-node-max-entries %",
    "CONFIG SET stream-node-max-bytes %",
    "COPY s other REPLACE",
    "RENAME s s",
    "OBJECT ENCODING s",
];

/// A request that changes or reads the stream.
pub fn request(choices: &mut impl Choices) -> Request {
    let shape: &&str = choices.pick(SHAPES);
    let word = |choices: &mut _, word: &str| -> Vec<u8> {
        match word {
            "F" => Choices::pick(choices, WORDS).as_bytes().to_vec(),
            "G" => Choices::pick(choices, &["g", "h"]).as_bytes().to_vec(),
            "C" => Choices::pick(choices, &["ann", "bob", "carl"]).as_bytes().to_vec(),
            "%" => Choices::pick(choices, NUMBERS).to_string().into_bytes(),
            _ => word.replace('#', &id(choices)).into_bytes(),
        }
    };
    shape.split(' ').map(|part| word(choices, part)).collect()
}

/// Some id: of an entry, as likely as not.
fn id<C: Choices>(choices: &mut C) -> String {
    match choices.below(4) {
        0 => (*choices.pick(&["-", "+", "0"])).to_owned(),
        1 => format!("{}-{}", choices.pick(NUMBERS), choices.pick(NUMBERS)),
        _ => format!("{}-{}", choices.below(700), choices.below(3)),
    }
}
