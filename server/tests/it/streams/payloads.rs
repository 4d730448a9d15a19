//! Payloads of streams that are not what they should be: each is refused, or makes a stream on which
//! everything works.

use redlet::{Direct, Server, Value};

use super::format::{
    Consumer, DELETED, Element, Entry, Group, KINDS, Node, Pending, SAME_NAMES, Stream, key_of,
};
use super::{call, elements, integer};
use crate::support::{alone_async, assert_serves, peak_bytes, sealed};

/// A small stream with two nodes, a deleted entry, and two groups.
fn sample() -> Stream {
    let same = |offset, words| Entry { offset, marks: SAME_NAMES, words };
    let first = Node::new(
        (5, 0),
        &["name", "12"],
        &[
            same((0, 0), &["ann", "7"]),
            Entry { offset: (0, 1), marks: 0, words: &["other", "x"] },
            Entry { offset: (1, -0), marks: SAME_NAMES | DELETED, words: &["gone", "8"] },
            same((200, 3), &["bob", "-300"]),
        ],
    );
    let second = Node::new((9_000, 3), &["name"], &[same((0, 0), &["carl"])]);
    let pending = |id| Pending { id, delivered_ms: 1_000_000, deliveries: 2 };
    let consumer = |name: &str, pending: &[(u64, u64)]| Consumer {
        name: name.into(),
        seen_ms: 1_000_001,
        active_ms: 1_000_000,
        pending: pending.to_vec(),
        announced_pending: None,
    };
    let busy = Group {
        name: b"g".into(),
        last_id: (205, 3),
        read: 4,
        pending: vec![pending((5, 0)), pending((5, 1)), pending((205, 3))],
        consumers: vec![consumer("ann", &[(5, 0), (205, 3)]), consumer("bob", &[(5, 1)])],
        ..Group::default()
    };
    let idle = Group { name: b"h".into(), ..Group::default() };
    Stream {
        nodes: vec![first, second],
        length: 4,
        last_id: (9_000, 3),
        first_id: (5, 0),
        max_deleted_id: (6, 0),
        added: 5,
        groups: vec![busy, idle],
        ..Stream::default()
    }
}

fn restore(direct: &mut Direct, value: &[u8]) -> Result<Value, String> {
    let payload = sealed(value);
    let restored = direct.call(&[b"RESTORE", &b"s"[..], b"0", &payload, b"REPLACE"]);
    restored.map_err(|error| error.to_string())
}

/// Restores a value and uses it, if it can be; whether it can.
fn is_restored(direct: &mut Direct, value: &[u8], what: &str) -> bool {
    match restore(direct, value) {
        Ok(_) => {
            use_stream(direct, what);
            true
        }
        Err(error) => {
            assert_eq!(error, "ERR Bad data format", "{what}");
            false
        }
    }
}

/// Every command on a stream, in all its forms that matter.
const TRAFFIC: &[&str] = &[
    "TYPE s",
    "OBJECT ENCODING s",
    "XINFO STREAM s",
    "XINFO STREAM s FULL COUNT 0",
    "XINFO GROUPS s",
    "XINFO CONSUMERS s g",
    "XPENDING s g",
    "XPENDING s g IDLE 5 - + 100 ann",
    "XRANGE s (5-0 205",
    "XREAD COUNT 2 STREAMS s 5",
    "XREADGROUP GROUP g ann STREAMS s 0",
    "XREADGROUP GROUP g bob COUNT 1 STREAMS s >",
    "XADD s 5-2 f v",
    "XADD s * name v 12 w",
    "XADD s * n 1",
    "XREADGROUP GROUP g bob NOACK COUNT 1 STREAMS s >",
    "XREADGROUP GROUP h carl STREAMS s >",
    "XCLAIM s g carl 0 5-0 5-1 205-3 9000-3 7-7 FORCE",
    "XDEL s 5-1 205-3 18446744073709551615-18446744073709551615",
    "XCLAIM s g ann 0 5-1 5-0 JUSTID LASTID 9000-9",
    "XAUTOCLAIM s g bob 0 - COUNT 2",
    "XAUTOCLAIM s h bob 0 0 JUSTID",
    "XACK s g 5-0 9000-3",
    "XGROUP SETID s g 5-1 ENTRIESREAD 1",
    "XGROUP DELCONSUMER s g bob",
    "XGROUP CREATECONSUMER s g bob",
    "XGROUP DESTROY s h",
    "XINFO STREAM s FULL COUNT 0",
    "XTRIM s MINID 6",
    "XTRIM s MAXLEN ~ 1 LIMIT 1",
    "XSETID s 18446744073709551615-1 ENTRIESADDED 9223372036854775807 MAXDELETEDID 9-9",
    "XADD s * n 1",
    "XTRIM s MAXLEN 0",
    "XINFO STREAM s FULL",
    "XADD s * n 1",
];

/// Uses the stream in every way, and asserts that what is told of it fits together.
fn use_stream(direct: &mut Direct, what: &str) {
    check_whole(direct, what);
    for line in TRAFFIC {
        // An error is an answer, as where there is no such group.
        let _ = direct.call(&line.split(' ').collect::<Vec<_>>());
    }
    check_whole(direct, what);
}

/// The length is that of all ranges, memory is told, and a copy is the same.
fn check_whole(direct: &mut Direct, what: &str) {
    let length = integer(&call(direct, "XLEN s"));
    let entries = elements(call(direct, "XRANGE s - +"));
    let mut backwards = elements(call(direct, "XREVRANGE s + -"));
    backwards.reverse();
    assert_eq!(entries.len() as i64, length, "{what}");
    assert_eq!(entries, backwards, "{what}");
    assert!(integer(&call(direct, "MEMORY USAGE s")) > 0, "{what}");
    let Value::BlobString { data: payload, .. } = call(direct, "DUMP s") else {
        panic!("a payload was expected: {what}")
    };
    let again = direct.call(&[b"RESTORE", &b"again"[..], b"0", &payload, b"REPLACE"]);
    assert!(again.is_ok(), "{what}: {again:?}");
    call(direct, "COPY s copy REPLACE");
    let digest = |direct: &mut Direct, key: &str| {
        elements(call(direct, &format!("DEBUG DIGEST-VALUE {key}")))
    };
    let digests = ["s", "again", "copy"].map(|key| digest(direct, key));
    assert!(digests[0] == digests[1] && digests[0] == digests[2], "{what}: {digests:?}");
}

async fn server() -> Server {
    let builder = Server::builder().no_socket().parameter("enable-debug-command", "yes");
    builder.start().await.expect("a server starts")
}

#[tokio::test]
async fn streams_of_all_types_are_restored() {
    let server = server().await;
    let mut direct = server.direct();
    for kind in KINDS {
        assert!(is_restored(&mut direct, &sample().value(kind), "the sample"), "type {kind}");
    }
    assert_serves(&server).await;
}

#[tokio::test]
async fn streams_that_break_off_are_refused() {
    let server = server().await;
    let mut direct = server.direct();
    for kind in KINDS {
        let value = sample().value(kind);
        let is_taken = |length: &usize| {
            let what = format!("type {kind}, {length} bytes");
            is_restored(&mut direct, &value[..*length], &what)
        };
        // As on real servers a value may end in the version that stands behind it: it can be taken for
        // the last number before the groups and that there are none.
        let taken = (0..value.len()).filter(is_taken).count();
        assert!(taken <= 1, "{taken} parts of a stream of type {kind} are taken");
    }
    assert_serves(&server).await;
}

#[tokio::test]
async fn streams_with_any_bit_flipped_are_refused_or_work() {
    let server = server().await;
    let mut direct = server.direct();
    for kind in KINDS {
        let value = sample().value(kind);
        let mut restored = 0;
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let what = format!("type {kind}, byte {}, bit {}", bit / 8, bit % 8);
            restored += usize::from(is_restored(&mut direct, &flipped, &what));
        }
        println!("figure: {restored} of {} are restored", value.len() * 8);
        assert!((value.len()..value.len() * 7).contains(&restored), "{restored} are restored");
    }
    assert_serves(&server).await;
}

/// A change to the sample.
type Lie = fn(&mut Stream);

const REFUSED: &[(&str, Lie)] = &[
    ("as many nodes as there can be", |stream| stream.announced_nodes = Some(u64::MAX)),
    ("2^32 nodes", |stream| stream.announced_nodes = Some(1 << 32)),
    ("a node more than there is", |stream| stream.announced_nodes = Some(3)),
    ("a node less than there is", |stream| stream.announced_nodes = Some(1)),
    ("2^63 entries", |stream| stream.length = 1 << 63),
    ("2^32 entries more", |stream| stream.length += 1 << 32),
    ("as many groups as there can be", |stream| stream.announced_groups = Some(u64::MAX)),
    ("a group more than there is", |stream| stream.announced_groups = Some(3)),
    ("2^63 groups", |stream| stream.announced_groups = Some(1 << 63)),
    ("2^63 pending entries", |stream| stream.groups[0].announced_pending = Some(1 << 63)),
    ("2^32 pending entries", |stream| stream.groups[0].announced_pending = Some(1 << 32)),
    ("2^63 consumers", |stream| stream.groups[0].announced_consumers = Some(1 << 63)),
    ("2^63 entries of a consumer", |stream| {
        stream.groups[0].consumers[1].announced_pending = Some(1 << 63);
    }),
    ("nodes out of order", |stream| stream.nodes.swap(0, 1)),
    ("a node twice", |stream| {
        stream.nodes.insert(1, stream.nodes[0].clone());
        stream.length += 3;
    }),
    ("a key of 15 bytes", |stream| stream.nodes[0].key.truncate(15)),
    ("a key of 17 bytes", |stream| stream.nodes[0].key.push(0)),
    ("a node of more bytes", |stream| stream.nodes[0].announced_bytes = Some(u32::MAX)),
    ("a node of no bytes", |stream| stream.nodes[0].announced_bytes = Some(0)),
    ("a node of fewer elements", |stream| stream.nodes[0].announced_elements = Some(3)),
    ("a node of 65534 elements", |stream| stream.nodes[0].announced_elements = Some(65534)),
    ("a node without elements", |stream| stream.nodes[1].elements.clear()),
    ("a node without entries", |stream| {
        stream.nodes[1] = Node::new((9_000, 3), &["name"], &[]);
        stream.length -= 1;
    }),
    ("more live entries than there are", |stream| stream.nodes[0].elements[0] = number(4)),
    ("-1 live entries", |stream| stream.nodes[0].elements[0] = number(-1)),
    ("2^63 - 1 live entries", |stream| stream.nodes[0].elements[0] = number(i64::MAX)),
    ("2^63 - 1 live and deleted entries", |stream| {
        stream.nodes[0].elements[0] = number(i64::MAX);
        stream.nodes[0].elements[1] = number(i64::MAX);
    }),
    ("deleted entries that are not", |stream| {
        stream.nodes[0].elements[0] = number(2);
        stream.nodes[0].elements[1] = number(2);
    }),
    ("2^63 - 1 names", |stream| stream.nodes[0].elements[2] = number(i64::MAX)),
    ("2^32 names", |stream| stream.nodes[0].elements[2] = number(1 << 32)),
    ("-1 names", |stream| stream.nodes[0].elements[2] = number(-1)),
    ("a word where names should end", |stream| stream.nodes[0].elements[5] = word("0x")),
    ("marks that are no number", |stream| stream.nodes[0].elements[6] = word("marks")),
    ("2^62 fields", |stream| stream.nodes[0].elements[15] = number(1 << 62)),
    ("2^63 - 1 fields", |stream| stream.nodes[0].elements[15] = number(i64::MAX)),
    ("an entry that is longer", |stream| stream.nodes[0].elements[11] = number(6)),
    ("an entry before the one before it", |stream| stream.nodes[0].elements[20] = number(-1)),
    ("an entry with the id of the one before it", |stream| {
        stream.nodes[0].elements[14] = number(0);
    }),
    ("an element that is none", |stream| stream.nodes[0].elements[9] = raw(&[0xf7, 1])),
    ("an element longer than the node", |stream| {
        stream.nodes[1].elements[3] = raw(&[0xf0, 0xff, 0xff, 0xff, 0xff, b'x', 6]);
    }),
    ("an entry behind the last id", |stream| stream.last_id = (9_000, 2)),
    ("two groups of one name", |stream| stream.groups[1].name = b"g".into()),
    ("two consumers of one name", |stream| {
        let consumers = &mut stream.groups[0].consumers;
        consumers[1].name = consumers[0].name.clone();
    }),
    ("an entry that is pending twice", |stream| {
        let pending = &mut stream.groups[0].pending;
        pending.push(pending[0].clone());
    }),
    ("an entry that two have pending", |stream| {
        stream.groups[0].consumers[1].pending.push((5, 0));
    }),
    ("an entry that one has pending twice", |stream| {
        stream.groups[0].consumers[1].pending.push((5, 1));
    }),
    ("an entry that nobody has pending", |stream| {
        stream.groups[0].consumers[1].pending.clear();
    }),
    ("an entry that a consumer alone knows to be pending", |stream| {
        stream.groups[0].consumers[1].pending.push((8, 8));
    }),
    ("pending entries without consumers", |stream| stream.groups[0].consumers.clear()),
    ("an element with a wrong tail", |stream| stream.nodes[0].elements[9] = raw(&[0x81, b'x', 3])),
];

const RESTORED: &[(&str, Lie)] = &[
    ("a number that could be shorter", |stream| {
        stream.nodes[0].elements[9] = raw(&[0xf1, 7, 0, 3]);
        stream.nodes[0].elements[4] = raw(&[0x82, b'1', b'2', 3]);
    }),
    ("no entries at all", |stream| {
        stream.nodes.clear();
        stream.length = 0;
    }),
    ("pending entries that are not there", |stream| {
        stream.nodes = {
            stream.length = 1;
            stream.nodes.split_off(1)
        }
    }),
    ("a node that counts for itself", |stream| {
        stream.nodes[0].announced_elements = Some(u16::MAX);
    }),
    ("an entry without fields", |stream| {
        let empty = Entry { offset: (0, 0), marks: SAME_NAMES, words: &[] };
        stream.nodes[1] = Node::new((9_000, 3), &[], &[empty]);
    }),
    ("a node of deleted entries", |stream| {
        let gone = Entry { offset: (0, 0), marks: SAME_NAMES | DELETED, words: &["x"] };
        stream.nodes.insert(1, Node::new((300, 0), &["name"], &[gone]));
    }),
    ("an entry at the end of all ids", |stream| {
        let last = Entry { offset: (0, 0), marks: SAME_NAMES, words: &["x"] };
        stream.nodes[1] = Node::new((u64::MAX, u64::MAX), &["name"], &[last]);
        stream.last_id = (u64::MAX, u64::MAX);
    }),
    ("entries that go all the way", |stream| {
        let entry = |offset| Entry { offset, marks: SAME_NAMES, words: &["x"] };
        let entries = [entry((0, 0)), entry((-1, -1))];
        stream.nodes = vec![Node::new((0, 0), &["name"], &entries)];
        stream.length = 2;
        stream.last_id = (u64::MAX, u64::MAX);
    }),
    ("a node that is not what its key says", |stream| {
        stream.nodes[1].key = key_of((9_000, 0)).to_vec();
    }),
    ("as much as can have been added", |stream| {
        stream.added = u64::MAX;
        stream.groups[0].read = 0;
    }),
    ("less than is there", |stream| stream.added = 0),
    ("a first id that is none", |stream| stream.first_id = (u64::MAX, u64::MAX)),
    ("a deleted id behind the last one", |stream| stream.max_deleted_id = (u64::MAX, u64::MAX)),
    ("a group that is ahead", |stream| stream.groups[0].last_id = (u64::MAX, u64::MAX)),
    ("a group that has read 2^63", |stream| stream.groups[0].read = 1 << 63),
    ("a group that has read nobody knows what", |stream| stream.groups[0].read = u64::MAX),
    ("times at the beginning of all", |stream| {
        stream.groups[0].consumers.iter_mut().for_each(|consumer| {
            (consumer.seen_ms, consumer.active_ms) = (i64::MIN, i64::MIN);
        });
        stream.groups[0].pending.iter_mut().for_each(|pending| pending.delivered_ms = i64::MIN);
    }),
    ("times at the end of all", |stream| {
        stream.groups[0].consumers.iter_mut().for_each(|consumer| {
            (consumer.seen_ms, consumer.active_ms) = (i64::MAX, i64::MAX);
        });
        stream.groups[0].pending.iter_mut().for_each(|pending| pending.delivered_ms = i64::MAX);
    }),
    ("2^63 - 1 deliveries", |stream| {
        stream.groups[0].pending.iter_mut().for_each(|pending| pending.deliveries = u64::MAX >> 1);
    }),
];

fn number(integer: i64) -> Element {
    Element::Integer(integer)
}

fn word(text: &str) -> Element {
    Element::Text(text.into())
}

fn raw(bytes: &[u8]) -> Element {
    Element::Raw(bytes.to_vec())
}

#[tokio::test]
async fn streams_that_lie_are_refused_or_work() {
    let server = server().await;
    let mut direct = server.direct();
    for (lies, expected) in [(REFUSED, false), (RESTORED, true)] {
        for (what, lie) in lies {
            let mut stream = sample();
            lie(&mut stream);
            for kind in KINDS {
                let what = format!("{what}, type {kind}");
                assert_eq!(
                    is_restored(&mut direct, &stream.value(kind), &what),
                    expected,
                    "{what}"
                );
            }
        }
    }
    assert_serves(&server).await;
}

#[test]
fn streams_that_announce_much_take_no_memory() {
    alone_async(module_path!(), "streams_that_announce_much_take_no_memory", async || {
        let server = server().await;
        let mut direct = server.direct();
        assert!(is_restored(&mut direct, &sample().value(21), "the sample"));
        let before = peak_bytes();
        for (what, lie) in REFUSED {
            let mut stream = sample();
            lie(&mut stream);
            assert!(!is_restored(&mut direct, &stream.value(21), what));
        }
        let grown = peak_bytes() - before;
        assert!(grown < 1 << 20, "grown by {grown} bytes");
    });
}

/// A node whose entries name their fields by what stands in front, save for the first one.
fn node_with_a_long_name(name_bytes: usize, entries: usize) -> Node {
    let (long, mut all) = ("n".repeat(name_bytes), Vec::new());
    all.push(Entry { offset: (0, 0), marks: 0, words: &["other", "x"] });
    let same = |at: usize| Entry { offset: (0, at as i64), marks: SAME_NAMES, words: &["x"] };
    all.extend((1..entries).map(same));
    Node::new((5, 0), &[&long], &all)
}

#[test]
fn names_in_front_of_a_node_are_not_multiplied() {
    alone_async(module_path!(), "names_in_front_of_a_node_are_not_multiplied", async || {
        let server = server().await;
        let mut direct = server.direct();
        let stream = Stream {
            nodes: vec![node_with_a_long_name(200_000, 20_000)],
            length: 20_000,
            last_id: (5, 20_000),
            ..Stream::default()
        };
        let value = stream.value(21);
        let before = peak_bytes();
        let restored = super::soon("a node with a long name", || restore(&mut direct, &value));
        assert!(restored.is_ok(), "{restored:?}");
        let grown = peak_bytes() - before;
        println!("figure: {} bytes make {grown}", value.len());
        assert!(grown < 16 << 20, "{} bytes make {grown}", value.len());
        assert_eq!(integer(&call(&mut direct, "XLEN s")), 20_000);
    });
}

#[tokio::test]
async fn deleted_entries_of_a_node_are_not_looked_for_one_by_one() {
    const ENTRIES: usize = 200_000;
    let server = server().await;
    let mut direct = server.direct();
    let entry = |at: usize| {
        let marks = SAME_NAMES | if at.is_multiple_of(2) { 0 } else { DELETED };
        Entry { offset: (0, at as i64), marks, words: &["x"] }
    };
    let entries: Vec<_> = (0..ENTRIES).map(entry).collect();
    let stream = Stream {
        nodes: vec![Node::new((5, 0), &["name"], &entries)],
        length: ENTRIES as u64 / 2,
        last_id: (5, ENTRIES as u64),
        ..Stream::default()
    };
    let value = stream.value(21);
    let restored = super::soon("a node of deleted entries", || restore(&mut direct, &value));
    assert!(restored.is_ok(), "{restored:?}");
    assert_eq!(integer(&call(&mut direct, "XLEN s")), ENTRIES as i64 / 2);
}

/// A long run of the same bytes takes little room in a payload.
#[test]
fn compressed_nodes_take_memory_for_what_they_hold() {
    alone_async(module_path!(), "compressed_nodes_take_memory_for_what_they_hold", async || {
        const ELEMENTS: usize = 4_000_000;
        let server = server().await;
        let mut direct = server.direct();
        let before = peak_bytes();
        let value = compressed_node(ELEMENTS);
        let restored = super::soon("a compressed node", || restore(&mut direct, &value));
        assert_eq!(restored, Err("ERR Bad data format".to_owned()));
        let grown = peak_bytes() - before;
        println!("figure: {} bytes, which hold {ELEMENTS} elements, make {grown}", value.len());
        assert!(grown < 8 * ELEMENTS, "{} bytes make {grown}", value.len());
    });
}

/// A node of so many elements of two bytes each, which are not what a stream has, as LZF.
fn compressed_node(elements: usize) -> Vec<u8> {
    let node = Node { elements: vec![number(1); 8], ..Node::new((5, 0), &[], &[]) };
    let stream = Stream { nodes: vec![node], ..Stream::default() };
    let value = stream.value(21);
    // The type, the number of nodes, and the key with its length.
    let mut compressed = value[..2 + 17].to_vec();
    let total = elements * 2 + 7;
    let mut items = vec![7];
    items.extend((total as u32).to_le_bytes());
    items.extend([0xff, 0xff, 1, 1]);
    items.splice(5..5, []);
    let mut left = elements * 2 - 2;
    // Copies of 264 bytes from two bytes back, and what is left one by one.
    while left > 264 {
        items.extend([0xe0, 255, 1]);
        left -= 264;
    }
    for _ in 0..left {
        items.extend([0, 1]);
    }
    items.extend([0, 0xff]);
    compressed.push(0xc3);
    super::format::write_length(items.len() as u64, &mut compressed);
    super::format::write_length(total as u64, &mut compressed);
    compressed.extend(items);
    compressed
}
