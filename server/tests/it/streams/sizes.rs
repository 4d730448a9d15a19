//! Very much of everything: no command looks through all of it for each of its parts.

use redlet::{Direct, Server, Value};

use super::{call, elements, integer, shuffle, soon};
use crate::support::Dice;

/// What quadratic work would take minutes with.
const MANY: usize = 100_000;

async fn server_with(parameters: &[(&str, &str)]) -> Server {
    let mut builder = Server::builder().no_socket();
    for (name, value) in parameters {
        builder = builder.parameter(name, value);
    }
    builder.start().await.expect("a server starts")
}

/// Adds the entries `from-0` and so on, as many as that.
fn add(direct: &mut Direct, key: &str, from: usize, count: usize) {
    for id in from..from + count {
        let id = format!("{id}-0");
        direct.call(&["XADD", key, &id, "n", "1"]).expect("it is behind the last one");
    }
}

/// Calls a command with very many arguments.
fn call_with(direct: &mut Direct, line: &str, more: &[String]) -> Value {
    let words: Vec<&str> = line.split(' ').chain(more.iter().map(String::as_str)).collect();
    direct.call(&words).unwrap_or_else(|error| panic!("{line} ...: {error}"))
}

fn ids(from: usize, count: usize) -> Vec<String> {
    (from..from + count).map(|id| format!("{id}-0")).collect()
}

#[tokio::test]
async fn many_ids_in_one_request_are_found_one_by_one() {
    let server = server_with(&[]).await;
    let mut direct = server.direct();
    soon("XADD", || add(&mut direct, "s", 1, MANY));
    call(&mut direct, "XGROUP CREATE s g 0");
    let read = soon("XREADGROUP", || call(&mut direct, "XREADGROUP GROUP g ann STREAMS s >"));
    drop(read);
    let mut ids = ids(1, MANY);
    shuffle(&mut ids, &mut Dice::new(1));
    let claimed = soon("XCLAIM", || {
        let words = [&ids[..], &["JUSTID".to_owned()]].concat();
        elements(call_with(&mut direct, "XCLAIM s g bob 0", &words)).len()
    });
    assert_eq!(claimed, MANY);
    let claimed = soon("XAUTOCLAIM", || {
        let reply = elements(call(&mut direct, "XAUTOCLAIM s g cat 0 0 COUNT 1000000 JUSTID"));
        elements(reply[1].clone()).len()
    });
    assert_eq!(claimed, MANY);
    let acknowledged = soon("XACK", || call_with(&mut direct, "XACK s g", &ids[..MANY / 2]));
    assert_eq!(integer(&acknowledged), MANY as i64 / 2);
    let deleted = soon("XDEL", || call_with(&mut direct, "XDEL s", &ids));
    assert_eq!(integer(&deleted), MANY as i64);
    let gone = soon("XAUTOCLAIM of what is gone", || {
        let reply = elements(call(&mut direct, "XAUTOCLAIM s g dan 0 0 COUNT 1000000"));
        elements(reply[2].clone()).len()
    });
    assert_eq!(gone, MANY / 2);
    assert_eq!(integer(&call(&mut direct, "XLEN s")), 0);
}

/// Where in a stream the next entry to be deleted is.
type Order = fn(&mut [String]);

#[tokio::test]
async fn entries_are_deleted_in_any_order() {
    let orders: [(&str, Order); 4] = [
        ("from the front", |_| {}),
        ("from the end", |ids| ids.reverse()),
        ("from the middle", |ids| ids.rotate_left(MANY / 4)),
        ("at random", |ids| shuffle(ids, &mut Dice::new(2))),
    ];
    for (what, order) in orders {
        let server = server_with(&[]).await;
        let mut direct = server.direct();
        add(&mut direct, "s", 1, MANY / 2);
        let mut ids = ids(1, MANY / 2);
        order(&mut ids);
        soon(what, || {
            for (number, id) in ids.iter().enumerate() {
                assert_eq!(integer(&call(&mut direct, &format!("XDEL s {id}"))), 1);
                if number % 5000 == 0 {
                    check_edges(&mut direct, &ids[number + 1..]);
                }
            }
        });
        assert_eq!(integer(&call(&mut direct, "XLEN s")), 0);
    }
}

/// The first and the last entry are those of which these are the ids.
fn check_edges(direct: &mut Direct, left: &[String]) {
    let number = |id: &String| id.trim_end_matches("-0").parse::<usize>().expect("an id");
    for (line, id) in [
        ("XRANGE s - + COUNT 1", left.iter().map(number).min()),
        ("XREVRANGE s + - COUNT 1", left.iter().map(number).max()),
    ] {
        let found = elements(call(direct, line));
        let entry = elements(found[0].clone());
        let expected = format!("{}-0", id.expect("there are some"));
        assert_eq!(entry[0], Value::BlobString { data: expected.into(), attributes: None });
    }
    assert_eq!(integer(&call(direct, "XLEN s")), left.len() as i64);
}

#[tokio::test]
async fn a_long_stream_is_trimmed_and_read_at_its_ends() {
    const LONG: usize = 1_000_000;
    let server = server_with(&[]).await;
    let mut direct = server.direct();
    soon("XADD of a million", || {
        let script = "for id = 1, tonumber(ARGV[1]) do redis.call('xadd', 's', id, 'n', id) end";
        direct.call(&["EVAL", script, "1", "s", &LONG.to_string()]).expect("it runs");
    });
    soon("XREVRANGE COUNT 1", || {
        for _ in 0..20_000 {
            assert_eq!(elements(call(&mut direct, "XREVRANGE s + - COUNT 1")).len(), 1);
        }
    });
    soon("XREAD from the end, and from the middle", || {
        for id in 0..10_000 {
            let line = format!("XREAD COUNT 1 STREAMS s {}", LONG - 1 - id * 50);
            assert_ne!(call(&mut direct, &line), Value::Null);
        }
    });
    soon("XADD MAXLEN = of a long stream", || {
        for id in 0..20_000 {
            let id = format!("{}", LONG + 1 + id);
            direct.call(&["XADD", "s", "MAXLEN", "=", "1000000", &id, "n", "1"]).expect("it adds");
        }
    });
    let trimmed = soon("XTRIM MINID =", || call(&mut direct, "XTRIM s MINID = 1019950"));
    assert_eq!(integer(&trimmed), LONG as i64 - 51);
    assert_eq!(integer(&call(&mut direct, "XLEN s")), 51);
    soon("DEL", || call(&mut direct, "DEL s"));
}

#[tokio::test]
async fn a_stream_of_fixed_length_costs_the_same_at_any_time() {
    for trim in ["MAXLEN = 1000", "MAXLEN ~ 1000", "MINID = "] {
        let server = server_with(&[]).await;
        let mut direct = server.direct();
        soon(&format!("XADD {trim}"), || {
            for id in 1..=MANY {
                let least = if trim.ends_with(' ') {
                    id.saturating_sub(999).to_string()
                } else {
                    String::new()
                };
                let line = format!("XADD s {trim}{least} {id} n 1");
                direct.call(&line.split(' ').collect::<Vec<_>>()).expect("it adds");
            }
        });
        let length = integer(&call(&mut direct, "XLEN s"));
        assert!((1000..1100).contains(&length), "{trim}: {length}");
    }
}

#[tokio::test]
async fn consumers_and_groups_may_be_many() {
    let server = server_with(&[]).await;
    let mut direct = server.direct();
    add(&mut direct, "s", 1, 1);
    soon("10,000 groups", || {
        for number in 0..10_000 {
            call(&mut direct, &format!("XGROUP CREATE s g:{number} 0"));
        }
    });
    call(&mut direct, "XGROUP CREATE s crowd 0");
    soon("100,000 consumers", || {
        for number in 0..MANY {
            call(&mut direct, &format!("XGROUP CREATECONSUMER s crowd c:{number}"));
        }
    });
    soon("reading among many", || {
        for number in 0..10_000 {
            call(&mut direct, &format!("XREADGROUP GROUP g:{number} ann STREAMS s >"));
        }
    });
    let consumers = soon("XINFO CONSUMERS", || call(&mut direct, "XINFO CONSUMERS s crowd"));
    assert_eq!(elements(consumers).len(), MANY);
    let groups = soon("XINFO GROUPS", || call(&mut direct, "XINFO GROUPS s"));
    assert_eq!(elements(groups).len(), 10_001);
    soon("XINFO STREAM FULL", || call(&mut direct, "XINFO STREAM s FULL COUNT 0"));
    soon("DUMP, RESTORE and COPY", || {
        let Value::BlobString { data, .. } = call(&mut direct, "DUMP s") else { panic!() };
        direct.call(&[b"RESTORE", &b"t"[..], b"0", &data]).expect("it is a payload");
        call(&mut direct, "COPY t u");
    });
    soon("destroying all", || {
        for number in 0..10_000 {
            call(&mut direct, &format!("XGROUP DESTROY s g:{number}"));
        }
        call(&mut direct, "XGROUP DESTROY s crowd");
    });
}

/// A place that is free is found without looking through all of them.
#[tokio::test]
async fn consumers_may_come_and_go() {
    const CROWD: usize = 2 * MANY;
    let server = server_with(&[]).await;
    let mut direct = server.direct();
    call(&mut direct, "XGROUP CREATE s g 0 MKSTREAM");
    for number in 0..CROWD {
        call(&mut direct, &format!("XGROUP CREATECONSUMER s g c:{number}"));
    }
    let told = integer(&call(&mut direct, "MEMORY USAGE s"));
    soon("consumers that go and come", || {
        for number in CROWD / 2..CROWD {
            call(&mut direct, &format!("XGROUP DELCONSUMER s g c:{number}"));
        }
        for number in CROWD / 2..CROWD {
            call(&mut direct, &format!("XGROUP CREATECONSUMER s g d:{number}"));
        }
    });
    assert_eq!(integer(&call(&mut direct, "MEMORY USAGE s")), told);
    assert_eq!(integer(&call(&mut direct, "XGROUP DESTROY s g")), 1);
}

#[tokio::test]
async fn everything_is_told_of_a_long_stream() {
    let server = server_with(&[]).await;
    let mut direct = server.direct();
    add(&mut direct, "s", 1, MANY);
    call(&mut direct, "XGROUP CREATE s g 0");
    call(&mut direct, "XREADGROUP GROUP g ann COUNT 50000 STREAMS s >");
    call(&mut direct, "XREADGROUP GROUP g bob COUNT 50000 STREAMS s >");
    let Value::Map { data, .. } =
        soon("XINFO STREAM FULL", || call(&mut direct, "XINFO STREAM s FULL COUNT 0"))
    else {
        panic!("a map was expected")
    };
    let entries = data.iter().find(|(name, _)| format!("{name:?}").contains("\"entries\""));
    assert_eq!(elements(entries.expect("they are told").1.clone()).len(), MANY);
    soon("XPENDING", || {
        for start in 0..10_000 {
            let line = format!("XPENDING s g {} + 2 bob", start * 5);
            assert_eq!(elements(call(&mut direct, &line)).len(), 2);
        }
        for _ in 0..10_000 {
            call(&mut direct, "XPENDING s g");
        }
    });
    soon("XINFO STREAM and XLEN", || {
        for _ in 0..300 {
            call(&mut direct, "XINFO STREAM s");
            call(&mut direct, "XLEN s");
            call(&mut direct, "MEMORY USAGE s");
        }
    });
}

#[tokio::test]
async fn an_entry_may_have_many_fields() {
    let server = server_with(&[]).await;
    let mut direct = server.direct();
    let fields = |first: usize| -> Vec<String> {
        (first..first + MANY).flat_map(|at| [format!("field:{at}"), at.to_string()]).collect()
    };
    soon("entries of 100,000 fields", || {
        for (id, first) in [(1, 0), (2, 0), (3, 1)] {
            call_with(&mut direct, &format!("XADD s {id}"), &fields(first));
        }
    });
    for entry in elements(soon("XRANGE", || call(&mut direct, "XRANGE s - +"))) {
        assert_eq!(elements(elements(entry)[1].clone()).len(), 2 * MANY);
    }
    assert_eq!(integer(&call(&mut direct, "XDEL s 2")), 1);
    assert_eq!(integer(&call(&mut direct, "XTRIM s MINID 3")), 1);
}

#[tokio::test]
async fn nodes_may_be_of_any_size() {
    for (bytes, entries) in [("0", "1"), ("1", "0"), ("1", "1"), ("0", "0"), ("4096", "100")] {
        let limits = [("stream-node-max-bytes", bytes), ("stream-node-max-entries", entries)];
        let server = server_with(&limits).await;
        let mut direct = server.direct();
        // All in one node, each entry is looked for from the front.
        let count = if (bytes, entries) == ("0", "0") { 2_000 } else { 20_000 };
        soon(&format!("nodes of {bytes} bytes and {entries} entries"), || {
            add(&mut direct, "s", 1, count);
            let mut left = ids(1, count);
            shuffle(&mut left, &mut Dice::new(3));
            let gone = left.split_off(count / 2);
            assert_eq!(integer(&call_with(&mut direct, "XDEL s", &gone)), gone.len() as i64);
            check_edges(&mut direct, &left);
            for _ in 0..100 {
                call(&mut direct, "XINFO STREAM s");
                call(&mut direct, &format!("XREVRANGE s {} - COUNT 1", count / 2));
            }
            let at = count / 2;
            let trimmed = integer(&call(&mut direct, &format!("XTRIM s MINID {at}")));
            left.retain(|id| id.trim_end_matches("-0").parse::<usize>().is_ok_and(|id| id >= at));
            assert_eq!(trimmed as usize, count / 2 - left.len());
            check_edges(&mut direct, &left);
            for length in (0..left.len()).rev().step_by(7) {
                call(&mut direct, &format!("XTRIM s MAXLEN {length}"));
            }
            call(&mut direct, "XTRIM s MAXLEN 0");
            add(&mut direct, "s", count + 1, 10);
            check_edges(&mut direct, &ids(count + 1, 10));
        });
    }
}
