//! Snapshots of what is too large to be written down at once.

use redlet::{Direct, Server, Snapshot, Value};

use crate::support::within;

const LARGE: usize = 20_000;

fn call(direct: &mut Direct, words: &str) -> Value {
    let words: Vec<&str> = words.split(' ').collect();
    direct.call(&words).expect("the command is right")
}

fn number(direct: &mut Direct, words: &str) -> i64 {
    match call(direct, words) {
        Value::Number { data, .. } => data,
        other => panic!("{words}: {other:?}"),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::BlobString { data, .. } => String::from_utf8_lossy(data).into_owned(),
        other => panic!("{other:?} is no text"),
    }
}

/// Adds something to each of the values, and takes something else away, all at once.
fn change(direct: &mut Direct, round: usize) {
    let script = "\
        local round = ARGV[1]
        redis.call('RPUSH', KEYS[1], 'element:' .. round)
        redis.call('LSET', KEYS[1], round % 1000, 'changed:' .. round)
        redis.call('SADD', KEYS[2], 'member:' .. round)
        redis.call('SREM', KEYS[2], 'member:' .. round - 20000)
        redis.call('XADD', KEYS[3], 'MAXLEN', 15000, round .. '-1', 'field', 'value:' .. round)
        redis.call('APPEND', KEYS[4], '0123456789')
        redis.call('SET', KEYS[5], round)";
    let round = round.to_string();
    let keys = ["list", "set", "stream", "text", "round"];
    let words = [&["EVAL", script, "5"][..], &keys, &[round.as_str()]].concat();
    direct.call(&words).expect("the script is right");
}

/// That a snapshot has everything as it was after one of the rounds.
async fn check(snapshot: &Snapshot) {
    let server = Server::builder().no_socket().snapshot(snapshot).start().await;
    let server = server.expect("the snapshot can be loaded");
    let mut direct = server.direct();
    let round = direct.get("round").expect("there was a round before");
    let round: usize = std::str::from_utf8(&round).expect("a number").parse().expect("a number");
    assert_eq!(number(&mut direct, "LLEN list"), round as i64 + 1);
    assert_eq!(number(&mut direct, "STRLEN text"), (round as i64 + 1) * 10);
    assert_eq!(number(&mut direct, "SCARD set"), LARGE as i64);
    assert_eq!(number(&mut direct, "XLEN stream"), 15_000);
    for (command, expected) in [
        ("LINDEX list -1".to_owned(), format!("element:{round}")),
        (format!("LINDEX list {}", round % 1000), format!("changed:{round}")),
    ] {
        let reply = call(&mut direct, &command);
        assert_eq!(text(&reply), expected, "{command}");
    }
    for (member, is_there) in [(round, 1), (round + 1, 0), (round - LARGE, 0)] {
        assert_eq!(number(&mut direct, &format!("SISMEMBER set member:{member}")), is_there);
    }
    let first = format!("{}-1", round - 14_999);
    let info = format!("{:?}", call(&mut direct, "XINFO STREAM stream"));
    assert!(info.contains(&first) && info.contains(&format!("{round}-1")), "{info}");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_values_are_saved_as_they_were_at_one_moment() {
    let server = Server::builder().no_socket().start().await.expect("the server starts");
    let mut direct = server.direct();
    (0..=LARGE).for_each(|round| change(&mut direct, round));
    for begin in 1..5 {
        let saving = server.snapshot();
        let changing = tokio::task::spawn_blocking({
            let mut direct = server.direct();
            move || {
                let first = LARGE + 1 + begin * 2000;
                (first - 2000..first).for_each(|round| change(&mut direct, round));
            }
        });
        let snapshot = within(saving).await;
        changing.await.expect("the changes are right");
        check(&snapshot).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_values_that_go_while_they_are_saved_are_in_the_snapshot() {
    let server = Server::builder().no_socket().start().await.expect("the server starts");
    let mut direct = server.direct();
    (0..=LARGE).for_each(|round| change(&mut direct, round));
    let deleting = tokio::task::spawn_blocking({
        let mut direct = server.direct();
        move || call(&mut direct, "FLUSHALL")
    });
    let snapshot = within(server.snapshot()).await;
    deleting.await.expect("everything can be deleted");
    if snapshot.keys() > 0 {
        check(&snapshot).await;
    }
    assert_eq!(number(&mut direct, "DBSIZE"), 0);
}
