//! Keys that come, go and change places while many wait for them: every wait has an end, and nobody
//! waits for each other for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use redlet::{Direct, Server};

use super::assert_nobody_waits;
use crate::support::{Dice, Wire, assert_serves, within};

/// How long everything goes on.
const WHILE: Duration = Duration::from_millis(1200);

/// Longer than any thread is kept from its work.
const PATIENCE: Duration = Duration::from_secs(20);

fn key(dice: &mut Dice) -> String {
    format!("s:{}", dice.below(8))
}

/// Something that changes streams, groups, or where they are.
fn change(dice: &mut Dice) -> String {
    let (one, other, group) = (key(dice), key(dice), dice.below(2));
    match dice.below(24) {
        0 => format!("RENAME {one} {other}"),
        1 => format!("XGROUP DESTROY {one} g:{group}"),
        2 if dice.below(10) == 0 => "FLUSHALL".to_owned(),
        3 => format!("SWAPDB 0 {}", dice.below(2)),
        4 => format!("DEL {one}"),
        5 => format!("COPY {one} {other} REPLACE"),
        6 => format!("MOVE {one} 1"),
        7 => format!("PEXPIRE {one} 1"),
        8 => format!("SET {one} text PX 1"),
        9 => format!("RPUSH {one} element"),
        10 => format!("XTRIM {one} MAXLEN {}", dice.below(3)),
        11 => format!("XGROUP DELCONSUMER {one} g:{group} ann"),
        12 => format!("XAUTOCLAIM {one} g:{group} ann 0 0"),
        13 => format!("UNLINK {one} {other}"),
        14 => format!("XSETID {one} 18446744073709551615-5"),
        15..18 => format!("XGROUP CREATE {one} g:{group} $ MKSTREAM"),
        18 => format!(
            "EVAL redis.pcall('xadd',KEYS[1],'*','n',1)redis.pcall('xadd',KEYS[2],'*','n',2) 2 {one} {other}"
        ),
        _ => format!("XADD {one} * n 1"),
    }
}

/// Something that waits for streams, or lists, which may be where streams have been.
fn wait(dice: &mut Dice) -> String {
    let keys: Vec<String> = (0..=dice.below(3)).map(|_| key(dice)).collect();
    let (keys, count) = (keys.join(" "), keys.len());
    let block_ms = dice.pick(&["0", "1", "20"]);
    match dice.below(5) {
        0 => format!("XREAD BLOCK {block_ms} STREAMS {keys}{}", " $".repeat(count)),
        1 => format!("BLPOP {keys} 0.0{}", block_ms.len()),
        _ => {
            let (group, consumer) = (dice.below(2), dice.pick(&["ann", "bob"]));
            let noack = dice.pick(&["", "NOACK "]);
            let ids = " >".repeat(count);
            format!(
                "XREADGROUP GROUP g:{group} {consumer} BLOCK {block_ms} {noack}STREAMS {keys}{ids}"
            )
        }
    }
}

/// Whether this is how a wait may end.
fn is_an_end(reply: &str) -> bool {
    let heads = ["[", "(nil)", "-NOGROUP ", "-WRONGTYPE ", "-UNBLOCKED "];
    heads.iter().any(|head| reply.starts_with(head))
}

/// Waits over and over until all is over; says how often.
async fn wait_on(server: Arc<Server>, seed: u64, is_over: Arc<AtomicBool>) -> usize {
    let (mut client, mut dice) = (Wire::memory(&server), Dice::new(seed));
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        if dice.below(10) == 0 {
            client = Wire::memory(&server);
        }
        let line = wait(&mut dice);
        let reply = client.call(&line).await;
        assert!(is_an_end(&reply) || reply == "(end)", "{line}: {reply}");
        if reply == "(end)" {
            client = Wire::memory(&server);
        }
        count += 1;
        tokio::task::yield_now().await;
    }
    count
}

fn change_on(direct: &mut Direct, seed: u64, until: Instant) -> usize {
    let (mut dice, mut count) = (Dice::new(seed), 0);
    while Instant::now() < until {
        let line = change(&mut dice);
        // An error is an answer, as where there is no key to rename.
        let _ = direct.call(&line.split(' ').collect::<Vec<_>>());
        count += 1;
        if count % 16 == 0 {
            std::thread::yield_now();
        }
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_wait_ends_however_keys_come_and_go() {
    for shards in [1, 16] {
        let server = Server::builder().no_socket().shards(shards).start().await;
        let server = Arc::new(server.expect("a server starts"));
        let is_over = Arc::new(AtomicBool::new(false));
        let waiters: Vec<_> = (0..16)
            .map(|seed| tokio::spawn(wait_on(Arc::clone(&server), seed, Arc::clone(&is_over))))
            .collect();
        // The threads are not joined: should they wait for ever, this test must not.
        let changes = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = std::sync::mpsc::channel();
        for seed in 0..3 {
            let (mut direct, sender) = (server.direct(), sender.clone());
            let (changes, until) = (Arc::clone(&changes), Instant::now() + WHILE / 2);
            std::thread::spawn(move || {
                changes.fetch_add(change_on(&mut direct, 50 + seed, until), Ordering::Relaxed);
                sender.send(())
            });
        }
        for _ in 0..3 {
            let ended = tokio::task::block_in_place(|| receiver.recv_timeout(PATIENCE));
            ended.expect("no thread hangs");
        }
        is_over.store(true, Ordering::Relaxed);
        let mut client = Wire::memory(&server);
        let mut waits = 0;
        for waiter in waiters {
            while !waiter.is_finished() {
                client.call("CLIENT KILL TYPE normal SKIPME yes").await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            waits += within(waiter).await.expect("nobody who waits panics");
        }
        let changes = changes.load(Ordering::Relaxed);
        println!("figure: {changes} changes and {waits} waits with {shards} shards");
        assert!(changes > 200 && waits > 200, "{changes} changes, {waits} waits");
        assert_nobody_waits(&server).await;
        assert_serves(&server).await;
    }
}
