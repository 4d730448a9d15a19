//! What streams take of memory, beside what is told of it.

use redlet::{Direct, Server, Value};

use super::{call, integer, shuffle, soon};
use crate::support::{Dice, alone_async, resident_bytes};

const MEGABYTE: usize = 1 << 20;

async fn server() -> Server {
    Server::builder().no_socket().start().await.expect("a server starts")
}

/// What keys and values take, as the server has it.
fn used(direct: &mut Direct) -> usize {
    let info = direct.call(&["INFO", "memory"]).expect("it is told");
    let info = match info {
        Value::VerbatimString { data, .. } | Value::BlobString { data, .. } => data,
        other => panic!("a text was expected, not {other:?}"),
    };
    let info = String::from_utf8_lossy(&info).into_owned();
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    line.and_then(|number| number.parse().ok()).expect("a number")
}

fn usage(direct: &mut Direct, key: &str) -> usize {
    integer(&call(direct, &format!("MEMORY USAGE {key}"))) as usize
}

/// Fills a stream, and compares what is told of it with what the process has taken, and then with what
/// it has given back.
fn weigh(direct: &mut Direct, what: &str, fill: impl FnOnce(&mut Direct)) {
    let (used_before, resident_before) = (used(direct), resident_bytes());
    fill(direct);
    let told = usage(direct, "s");
    let used_more = used(direct) - used_before;
    let resident_more = resident_bytes().saturating_sub(resident_before);
    println!("figure: {what}: told {told}, used {used_more}, resident {resident_more}");
    assert!(used_more.abs_diff(told) < told / 50 + 10_000, "{what}: {used_more}, {told} told");
    assert!(told * 2 > resident_more, "{what}: {told} told, {resident_more} taken");
    assert!(told < resident_more * 2 + MEGABYTE, "{what}: {told} told, {resident_more} taken");
    soon("DEL", || call(direct, "DEL s"));
    let left = used(direct).abs_diff(used_before);
    assert!(left < 10_000, "{what}: {left} bytes more or less than before");
}

/// The same in a process of its own, where nothing was taken and given back before.
fn weigh_alone(name: &str, fill: impl FnOnce(&mut Direct)) {
    alone_async(module_path!(), name, async || {
        let server = server().await;
        let mut direct = server.direct();
        // Whatever is made once is made before.
        for line in ["XADD s 1 n 1", "XRANGE s - +", "INFO memory", "DEL s"] {
            call(&mut direct, line);
        }
        weigh(&mut direct, name, fill);
    });
}

#[test]
fn small_entries_take_what_is_told() {
    weigh_alone("small_entries_take_what_is_told", |direct| {
        for id in 1..=200_000 {
            call(direct, &format!("XADD s {id} name value{id}"));
        }
    });
}

#[test]
fn large_values_take_what_is_told() {
    weigh_alone("large_values_take_what_is_told", |direct| {
        let value = "v".repeat(10 * MEGABYTE);
        for id in 1..=4 {
            direct.call(&["XADD", "s", &id.to_string(), "n", &value]).expect("it adds");
        }
        assert!(usage(direct, "s") < 41 * MEGABYTE, "more is taken than there are values");
    });
}

#[test]
fn pending_entries_take_what_is_told() {
    weigh_alone("pending_entries_take_what_is_told", |direct| {
        for id in 1..=100_000 {
            call(direct, &format!("XADD s {id} n 1"));
        }
        call(direct, "XGROUP CREATE s g 0");
        for _ in 0..1000 {
            call(direct, "XREADGROUP GROUP g ann COUNT 100 STREAMS s >");
        }
    });
}

#[test]
fn consumers_take_what_is_told() {
    weigh_alone("consumers_take_what_is_told", |direct| {
        call(direct, "XGROUP CREATE s g 0 MKSTREAM");
        for number in 0..50_000 {
            call(direct, &format!("XGROUP CREATECONSUMER s g c:{number}"));
        }
    });
}

#[test]
fn long_names_of_consumers_take_what_is_told() {
    weigh_alone("long_names_of_consumers_take_what_is_told", |direct| {
        call(direct, "XGROUP CREATE s g 0 MKSTREAM");
        for number in 0..100 {
            let name = format!("{number}{}", "c".repeat(MEGABYTE / 8));
            direct.call(&["XGROUP", "CREATECONSUMER", "s", "g", &name]).expect("it is new");
        }
    });
}

#[test]
fn groups_take_what_is_told() {
    weigh_alone("groups_take_what_is_told", |direct| {
        call(direct, "XADD s 1 n 1");
        for number in 0..30_000 {
            call(direct, &format!("XGROUP CREATE s g:{number} 0"));
        }
    });
}

#[test]
fn what_is_deleted_is_given_back() {
    alone_async(module_path!(), "what_is_deleted_is_given_back", async || {
        const ENTRIES: usize = 40_000;
        let server = server().await;
        let mut direct = server.direct();
        let value = "v".repeat(200);
        let fill = |direct: &mut Direct, from: usize| {
            for id in from..from + ENTRIES {
                direct.call(&["XADD", "s", &id.to_string(), "n", &value]).expect("it adds");
            }
        };
        fill(&mut direct, 1);
        let filled = usage(&mut direct, "s");
        let mut ids: Vec<usize> = (1..=ENTRIES).collect();
        shuffle(&mut ids, &mut Dice::new(6));
        for (number, id) in ids.iter().enumerate() {
            call(&mut direct, &format!("XDEL s {id}"));
            if number % 5000 == 4999 {
                let (left, told) = (ENTRIES - number - 1, usage(&mut direct, "s"));
                // Half of a block may be bytes of what is deleted.
                let most = 2 * filled * left / ENTRIES + filled / 8 + 1000;
                assert!(told < most, "{told} bytes for {left} of {ENTRIES} entries");
            }
        }
        let empty = usage(&mut direct, "s");
        assert!(empty < 1000, "{empty} bytes for nothing");
        // Added and trimmed over and over, it takes what it holds.
        fill(&mut direct, ENTRIES + 1);
        let before = resident_bytes();
        for round in 2..6 {
            call(&mut direct, "XTRIM s MAXLEN 100");
            fill(&mut direct, round * ENTRIES + 1);
        }
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < 8 * MEGABYTE, "grown by {grown}");
    });
}

#[test]
fn a_huge_count_takes_no_memory() {
    alone_async(module_path!(), "a_huge_count_takes_no_memory", async || {
        const MOST: &str = "9223372036854775807";
        let server = server().await;
        let mut direct = server.direct();
        for line in [
            "XADD s 1-1 n 1",
            "XADD s 2-1 n 1",
            "XGROUP CREATE s g 0",
            "XREADGROUP GROUP g ann COUNT 1 STREAMS s >",
        ] {
            call(&mut direct, line);
        }
        let before = crate::support::peak_bytes();
        for line in [
            "XRANGE s - + COUNT MOST",
            "XREVRANGE s + - COUNT MOST",
            "XREAD COUNT MOST STREAMS s 0",
            "XREADGROUP GROUP g ann COUNT MOST STREAMS s 0",
            "XREADGROUP GROUP g ann COUNT MOST STREAMS s >",
            "XPENDING s g - + MOST",
            "XPENDING s g - + MOST ann",
            "XAUTOCLAIM s g bob 0 0 COUNT 8796093022207",
            "XAUTOCLAIM s g bob 100000000 0 COUNT 8796093022207",
            "XINFO STREAM s FULL COUNT MOST",
            "XTRIM s MAXLEN MOST",
            "XTRIM s MAXLEN ~ 1 LIMIT MOST",
        ] {
            soon(line, || call(&mut direct, &line.replace("MOST", MOST)));
        }
        let grown = crate::support::peak_bytes() - before;
        assert!(grown < MEGABYTE, "grown by {grown}");
    });
}
