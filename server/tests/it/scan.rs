//! What SCAN promises: whatever is there from its first call to its last is returned, however
//! much comes and goes meanwhile.

use std::collections::HashSet;

use redlet::{Direct, Server, Value};

use crate::support::Dice;

const LASTING: usize = 500;

/// The next cursor, and the keys.
fn scan(direct: &mut Direct, cursor: &str, count: usize) -> (String, Vec<String>) {
    let text = |value: Value| match value {
        Value::BlobString { data, .. } => String::from_utf8(data.to_vec()).expect("plain keys"),
        other => panic!("a text was expected, not {other:?}"),
    };
    let reply = direct.call(&["SCAN", cursor, "COUNT", &count.to_string()]);
    let Ok(Value::Array { data, .. }) = reply else { panic!("{reply:?}") };
    let [cursor, Value::Array { data: keys, .. }] = <[Value; 2]>::try_from(data).expect("a pair")
    else {
        panic!("the second element is an array")
    };
    (text(cursor), keys.into_iter().map(text).collect())
}

/// Scans everything while `meanwhile` happens between the calls; gives the keys returned.
fn scan_while(
    direct: &mut Direct,
    count: usize,
    mut meanwhile: impl FnMut(&mut Direct),
) -> Vec<String> {
    const MOST_CALLS: usize = 100_000;
    let (mut cursor, mut all) = ("0".to_owned(), Vec::new());
    for _ in 0..MOST_CALLS {
        let keys;
        (cursor, keys) = scan(direct, &cursor, count);
        all.extend(keys);
        if cursor == "0" {
            return all;
        }
        meanwhile(direct);
    }
    panic!("the scan does not end");
}

fn add(direct: &mut Direct, name: &str, count: usize) {
    (0..count).for_each(|number| direct.set(format!("{name}:{number}"), "value"));
}

fn remove(direct: &mut Direct, name: &str, count: usize) {
    for number in 0..count {
        direct.delete(format!("{name}:{number}"));
    }
}

fn assert_lasting(returned: &[String], what: &str) {
    let returned: HashSet<&str> = returned.iter().map(String::as_str).collect();
    let missing: Vec<usize> =
        (0..LASTING).filter(|number| !returned.contains(&*format!("lasting:{number}"))).collect();
    assert!(missing.is_empty(), "{what}: {} keys were left out: {missing:?}", missing.len());
}

async fn server(shards: usize) -> (Server, Direct) {
    let server = Server::builder()
        .no_socket()
        .shards(shards)
        .seed(5)
        .start()
        .await
        .expect("a server starts");
    let mut direct = server.direct();
    add(&mut direct, "lasting", LASTING);
    (server, direct)
}

#[tokio::test]
async fn a_scan_of_what_does_not_change_returns_everything_once() {
    for shards in [1, 2, 16, 64] {
        let (_server, mut direct) = server(shards).await;
        for count in [1, 7, 10_000] {
            let mut keys = scan_while(&mut direct, count, |_| {});
            assert_lasting(&keys, &format!("{shards} shards, count {count}"));
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), LASTING, "{shards} shards, count {count}");
        }
    }
}

#[tokio::test]
async fn a_scan_returns_what_lasts_while_the_tables_grow() {
    for shards in [1, 2, 16, 64] {
        let (_server, mut direct) = server(shards).await;
        let mut round = 0;
        let keys = scan_while(&mut direct, 5, |direct| {
            // In the end the scan is left alone: it could not keep up.
            if round < 300 {
                add(direct, &format!("more:{round}"), 50);
            }
            round += 1;
        });
        assert_lasting(&keys, &format!("{shards} shards"));
    }
}

#[tokio::test]
async fn a_scan_returns_what_lasts_while_the_tables_shrink() {
    for shards in [1, 2, 16, 64] {
        let (_server, mut direct) = server(shards).await;
        add(&mut direct, "passing", 20_000);
        let mut gone = 0;
        let keys = scan_while(&mut direct, 20, |direct| {
            for number in gone..(gone + 200).min(20_000) {
                direct.delete(format!("passing:{number}"));
            }
            gone += 200;
        });
        assert_lasting(&keys, &format!("{shards} shards"));
    }
}

#[tokio::test]
async fn a_scan_returns_what_lasts_while_the_tables_grow_and_shrink() {
    for seed in 0..20 {
        let mut dice = Dice::new(seed);
        let shards = *dice.pick(&[1, 2, 16]);
        let (_server, mut direct) = server(shards).await;
        let most = 1 + dice.below(2000);
        let mut calls = 0;
        let keys = scan_while(&mut direct, 1 + dice.below(20), |direct| {
            // In the end the scan is left alone, or it might never come to one.
            calls += 1;
            match calls % 6 {
                0 if calls < 300 => add(direct, "passing", dice.below(most)),
                3 => remove(direct, "passing", most),
                _ => {}
            }
        });
        assert_lasting(&keys, &format!("seed {seed}"));
    }
}

#[tokio::test]
async fn a_random_key_may_be_any_key() {
    for shards in [1, 16] {
        let server = Server::builder().no_socket().shards(shards).seed(3).start().await.unwrap();
        let mut direct = server.direct();
        add(&mut direct, "key", 100);
        let mut counts = std::collections::HashMap::new();
        for _ in 0..20_000 {
            let Ok(Value::BlobString { data, .. }) = direct.call(&["RANDOMKEY"]) else {
                panic!("there are keys")
            };
            *counts.entry(data).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 100, "{shards} shards");
        let most = counts.values().max().unwrap();
        assert!(*most < 2000, "one key came {most} times of 20000, with {shards} shards");
    }
}

#[tokio::test]
async fn a_random_key_is_found_among_many_that_have_gone() {
    let server = Server::builder().no_socket().shards(1).start().await.unwrap();
    let mut direct = server.direct();
    add(&mut direct, "passing", 5000);
    direct.set("lasting", "value");
    remove(&mut direct, "passing", 5000);
    let reply = direct.call(&["RANDOMKEY"]);
    assert!(matches!(&reply, Ok(Value::BlobString { data, .. }) if data == "lasting"), "{reply:?}");
}
