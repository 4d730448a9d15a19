//! Many clients at once: every command happens as a whole, and none waits for ever.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use redlet::{Direct, Server, Value};

use crate::support::{Dice, Wire, assert_serves, assert_serves_blocking, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn increments_of_many_clients_add_up() {
    let server = Server::start().await.unwrap();
    let mut tasks = Vec::new();
    for number in 0..50 {
        let mut tcp = Wire::tcp(&server).await;
        let mut memory = Wire::memory(&server);
        tasks.push(tokio::spawn(async move {
            let pipeline = b"INCR count\r\nINCRBY other 2\r\n".repeat(100);
            for _ in 0..10 {
                let client: &mut dyn Increment =
                    if number % 2 == 0 { &mut tcp } else { &mut memory };
                client.increment(&pipeline).await;
            }
        }));
    }
    for task in tasks {
        within(task).await.unwrap();
    }
    let mut direct = server.direct();
    assert_eq!(direct.get("count").as_deref(), Some(&b"50000"[..]));
    assert_eq!(direct.get("other").as_deref(), Some(&b"100000"[..]));
}

/// Writers change all of these at once: no reader may see them differ.
const TOGETHER: [&str; 4] = ["one", "two", "three", "four"];

#[test]
fn keys_that_are_set_together_are_seen_together() {
    /// How often each reader sees that something was written.
    const SIGHTS: usize = 100;
    let server = Server::builder().no_socket().shards(64).start_blocking().unwrap();
    let readers_left = AtomicUsize::new(2);
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let (mut direct, readers_left) = (server.direct(), &readers_left);
            scope.spawn(move || {
                for round in 0_u64.. {
                    let value = format!("{writer}:{round}");
                    let pairs = TOGETHER.iter().flat_map(|key| [*key, value.as_str()]);
                    direct.call(&["MSET"].into_iter().chain(pairs).collect::<Vec<_>>()).unwrap();
                    if readers_left.load(Ordering::Relaxed) == 0 {
                        return;
                    }
                }
            });
        }
        for _ in 0..2 {
            let (mut direct, readers_left) = (server.direct(), &readers_left);
            scope.spawn(move || {
                let outcome =
                    std::panic::catch_unwind(AssertUnwindSafe(|| watch(&mut direct, SIGHTS)));
                readers_left.fetch_sub(1, Ordering::Relaxed);
                outcome.unwrap();
            });
        }
    });
}

/// Reads the keys until they have changed so many times.
fn watch(direct: &mut Direct, sights: usize) {
    let request = [&["MGET"], &TOGETHER[..]].concat();
    let (mut last, mut seen) = (Value::Null, 0);
    while seen < sights {
        let reply = direct.call(&request).expect("a list");
        let Value::Array { data, .. } = &reply else { panic!("{reply:?}") };
        assert!(data.iter().all(|value| *value == data[0]), "{data:?}");
        seen += usize::from(reply != last);
        last = reply;
    }
}

#[test]
fn a_key_is_never_missing_while_it_is_renamed_to_and_fro() {
    let server = Server::builder().no_socket().shards(64).start_blocking().unwrap();
    server.direct().set("here", "value");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (mut renames, mut looks, stop) = (server.direct(), server.direct(), &stop);
        scope.spawn(move || {
            for _ in 0..20_000 {
                renames.call(&["RENAME", "here", "there"]).unwrap();
                renames.call(&["RENAME", "there", "here"]).unwrap();
            }
            stop.store(true, Ordering::Relaxed);
        });
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let reply = looks.call(&["EXISTS", "here", "there"]).unwrap();
                assert!(matches!(reply, Value::Number { data: 1, .. }), "{reply:?}");
            }
        });
    });
}

/// Commands over one, several and all shards, on few keys, so that they meet.
fn random_request(dice: &mut Dice) -> Vec<String> {
    let key = |dice: &mut Dice| format!("key:{}", dice.below(40));
    let (a, b, c) = (key(dice), key(dice), key(dice));
    let line = match dice.below(16) {
        0 => format!("MSET {a} 1 {b} 2 {c} 3"),
        1 => format!("MGET {a} {b} {c}"),
        2 => format!("DEL {a} {b} {c}"),
        3 => format!("RENAME {a} {b}"),
        4 => format!("COPY {a} {b} REPLACE"),
        5 => format!("COPY {a} {b} DB 1"),
        6 => format!("MOVE {a} 1"),
        7 => "SWAPDB 0 1".to_owned(),
        8 if dice.below(10) == 0 => "FLUSHALL".to_owned(),
        9 => "KEYS *".to_owned(),
        10 => format!("MSETNX {a} 1 {b} 2"),
        11 => format!("LCS {a} {b}"),
        12 => "SCAN 0".to_owned(),
        13 => "RANDOMKEY".to_owned(),
        14 => format!("SET {a} value PX 1"),
        _ => format!("SET {a} {b}"),
    };
    line.split(' ').map(str::to_owned).collect()
}

/// Sends random requests until it is time to stop; says how many.
fn work(direct: &mut Direct, seed: u64, until: Instant) -> usize {
    let mut dice = Dice::new(seed);
    let mut count = 0;
    while Instant::now() < until {
        // An error is an answer, as where there is no key to rename.
        let _ = direct.call(&random_request(&mut dice));
        count += 1;
    }
    count
}

#[test]
fn commands_over_all_shards_never_wait_for_each_other_for_ever() {
    for shards in [2, 64] {
        let server = Server::builder().no_socket().shards(shards).start_blocking().unwrap();
        let until = Instant::now() + Duration::from_secs(1);
        let (sender, receiver) = std::sync::mpsc::channel();
        for seed in 0..8 {
            let (mut direct, sender) = (server.direct(), sender.clone());
            std::thread::spawn(move || sender.send(work(&mut direct, seed, until)));
        }
        // The threads are not joined: should they wait for ever, this test must not.
        for _ in 0..8 {
            let count = receiver.recv_timeout(Duration::from_secs(10)).expect("no thread hangs");
            assert!(count > 10, "a thread got to send {count} requests only");
        }
        assert_serves_blocking(&server);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_survive_databases_that_are_swapped_and_emptied_under_them() {
    let server = Server::builder().no_socket().shards(16).start().await.unwrap();
    let mut tasks = Vec::new();
    for seed in 0..8 {
        let mut client = Wire::memory(&server);
        tasks.push(tokio::spawn(async move {
            let mut dice = Dice::new(seed);
            for _ in 0..1000 {
                let reply = client.request(&random_request(&mut dice)).await;
                assert_ne!(reply, "(end)");
            }
        }));
    }
    for task in tasks {
        within(task).await.unwrap();
    }
    assert_serves(&server).await;
}

/// A client of either kind.
trait Increment: Send {
    fn increment<'a>(
        &'a mut self,
        pipeline: &'a [u8],
    ) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Increment for Wire<S> {
    fn increment<'a>(
        &'a mut self,
        pipeline: &'a [u8],
    ) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            self.send(pipeline).await;
            for _ in 0..200 {
                let reply = self.reply().await;
                assert!(reply.parse::<u64>().is_ok(), "{reply}");
            }
        })
    }
}
