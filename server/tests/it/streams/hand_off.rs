//! Entries on their way to those who wait in a group: however their clients end meanwhile, no entry is
//! lost, and none belongs to two.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redlet::{Server, Value};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::{
    assert_nobody_waits, await_waiters, call, elements, figure, integer, numbers_in, waiting,
};
use crate::support::{Dice, Wire, assert_serves, encode, within};

const STREAMS: [&str; 3] = ["a", "b", "c"];
const ENTRIES: usize = 600;

/// What has happened, as those saw it who took part.
#[derive(Default)]
struct Ledger {
    /// Of which clients somebody may end the wait, or the connection.
    clients: Mutex<Vec<String>>,
    /// The entries that a client has read, by its name as a consumer.
    received: Mutex<BTreeMap<String, BTreeSet<usize>>>,
    /// The entries that it has acknowledged, and of those the ones about which it has got no answer.
    acknowledged: Mutex<BTreeSet<usize>>,
    uncertain: Mutex<BTreeSet<usize>>,
    is_over: AtomicBool,
}

impl Ledger {
    fn receive(&self, name: &str, numbers: &[usize]) {
        let mut received = self.received.lock().expect("nobody panics");
        received.entry(name.to_owned()).or_default().extend(numbers);
    }
}

/// Adds entries to a stream, each with a number of its own, in one of several ways.
async fn add(server: Arc<Server>, stream: usize) {
    let mut client = Wire::memory(&server);
    let mut dice = Dice::new(stream as u64);
    let key = STREAMS[stream];
    let mut next = 1;
    while next <= ENTRIES {
        let number = |id: usize| id * STREAMS.len() + stream;
        let one = format!("XADD {key} {next}-0 n {}", number(next));
        let other = format!("XADD {key} {}-0 n {}", next + 1, number(next + 1));
        match dice.below(4) {
            0 if next < ENTRIES => {
                for line in ["MULTI", &one, &other, "EXEC"] {
                    client.call(line).await;
                }
                next += 2;
            }
            1 => {
                let script = "return redis.call('xadd', KEYS[1], ARGV[1], 'n', ARGV[2])";
                let (id, number) = (format!("{next}-0"), number(next).to_string());
                client.request(&["EVAL", script, "1", key, &id, &number]).await;
                next += 1;
            }
            _ => {
                assert_eq!(client.call(&one).await, format!("{next}-0"));
                next += 1;
            }
        }
        if dice.below(3) == 0 {
            tokio::time::sleep(Duration::from_micros(dice.below(400) as u64)).await;
        }
    }
}

/// One connection of a worker after the other reads and acknowledges, until all is over.
async fn work(server: Arc<Server>, worker: usize, ledger: Arc<Ledger>) {
    let mut dice = Dice::new(100 + worker as u64);
    for life in 0.. {
        if ledger.is_over.load(Ordering::Relaxed) {
            return;
        }
        let name = format!("worker:{worker}:{life}");
        if worker.is_multiple_of(2) {
            live(Wire::memory(&server), &name, &mut dice, &ledger).await;
        } else {
            live(Wire::tcp(&server).await, &name, &mut dice, &ledger).await;
        }
    }
}

/// What a worker does as long as its connection lasts, which it may end itself at any time.
async fn live<S>(mut client: Wire<S>, name: &str, dice: &mut Dice, ledger: &Ledger)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let id = client.call("CLIENT ID").await;
    ledger.clients.lock().expect("nobody panics").push(id);
    while !ledger.is_over.load(Ordering::Relaxed) {
        let (count, block_ms) = (1 + dice.below(3), *dice.pick(&[0, 0, 1, 5]));
        let line =
            format!("XREADGROUP GROUP g {name} COUNT {count} BLOCK {block_ms} STREAMS a b c > > >");
        if !is_sent(&mut client, &line).await {
            return;
        }
        if dice.below(20) == 0 {
            // Leaves, perhaps just when it is served.
            tokio::time::sleep(Duration::from_micros(dice.below(1500) as u64)).await;
            return;
        }
        let reply = client.reply().await;
        if reply == "(end)" {
            return;
        }
        assert!(reply.starts_with('[') || reply == "(nil)" || reply == UNBLOCKED, "{reply}");
        let numbers = numbers_in(&reply);
        ledger.receive(name, &numbers);
        for number in numbers.into_iter().filter(|number| number % 2 == 0) {
            if !acknowledge(&mut client, number, ledger).await {
                return;
            }
        }
    }
}

const UNBLOCKED: &str = "-UNBLOCKED client unblocked via CLIENT UNBLOCK";

/// Whether a request could be sent: a connection that has been ended may take nothing more.
async fn is_sent<S: AsyncWrite + Unpin>(client: &mut Wire<S>, line: &str) -> bool {
    let request = encode(&line.split(' ').collect::<Vec<_>>());
    client.stream.write_all(&request).await.is_ok()
}

/// Whether the connection still stands.
async fn acknowledge<S>(client: &mut Wire<S>, number: usize, ledger: &Ledger) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (key, id) = (STREAMS[number % STREAMS.len()], number / STREAMS.len());
    let is_sent = is_sent(client, &format!("XACK {key} g {id}-0")).await;
    let reply = if is_sent { client.reply().await } else { "(end)".to_owned() };
    let known = if reply == "1" { &ledger.acknowledged } else { &ledger.uncertain };
    assert!(reply == "1" || reply == "(end)", "{number}: {reply}");
    known.lock().expect("nobody panics").insert(number);
    reply == "1"
}

/// Ends waits and connections until nobody works any more.
async fn disturb(server: Arc<Server>, ledger: Arc<Ledger>) {
    let mut client = Wire::memory(&server);
    let mut dice = Dice::new(7);
    while Arc::strong_count(&ledger) > 2 {
        let clients = ledger.clients.lock().expect("nobody panics").clone();
        // Mostly one of those that came last: the others are likely to be gone.
        let latest = &clients[clients.len().saturating_sub(12)..];
        if !latest.is_empty() {
            let id = dice.pick(latest);
            let line = match dice.below(5) {
                0 => format!("CLIENT KILL ID {id}"),
                1 | 2 => format!("CLIENT UNBLOCK {id} ERROR"),
                _ => format!("CLIENT UNBLOCK {id}"),
            };
            client.call(&line).await;
        }
        if ledger.is_over.load(Ordering::Relaxed) {
            client.call("CLIENT KILL TYPE normal SKIPME yes").await;
        }
        tokio::time::sleep(Duration::from_micros(dice.below(600) as u64)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_entry_is_lost_when_those_who_get_it_are_ended() {
    let server = Arc::new(Server::builder().shards(16).start().await.expect("a server starts"));
    for key in STREAMS {
        call(&mut server.direct(), &format!("XGROUP CREATE {key} g $ MKSTREAM"));
    }
    let ledger = Arc::new(Ledger::default());
    let workers: Vec<_> = (0..8)
        .map(|worker| tokio::spawn(work(Arc::clone(&server), worker, Arc::clone(&ledger))))
        .collect();
    let disturber = tokio::spawn(disturb(Arc::clone(&server), Arc::clone(&ledger)));
    let adders: Vec<_> =
        (0..STREAMS.len()).map(|stream| tokio::spawn(add(Arc::clone(&server), stream))).collect();
    for adder in adders {
        within(adder).await.expect("whoever adds does not panic");
    }
    ledger.is_over.store(true, Ordering::Relaxed);
    for worker in workers {
        within(worker).await.expect("no worker panics");
    }
    within(disturber).await.expect("the disturber does not panic");
    check(&server, &ledger);
    assert_nobody_waits(&server).await;
    assert_serves(&server).await;
}

/// Compares what the server has with what its clients have seen.
fn check(server: &Server, ledger: &Ledger) {
    let received = ledger.received.lock().expect("nobody panics");
    let acknowledged = ledger.acknowledged.lock().expect("nobody panics");
    let uncertain = ledger.uncertain.lock().expect("nobody panics");
    let (lives, taken) = (received.len(), acknowledged.len());
    println!("figure: {lives} connections read, and acknowledged {taken} entries");
    let mut owners = BTreeMap::new();
    for (name, numbers) in received.iter() {
        for &number in numbers {
            assert_eq!(owners.insert(number, name.clone()), None, "{number} was delivered twice");
        }
    }
    for (stream, key) in STREAMS.into_iter().enumerate() {
        let pending = pending_of(server, stream);
        let last = last_delivered(server, key);
        assert!(last > ENTRIES / 2, "hardly anything was read of {key}: {last}");
        for id in 1..=ENTRIES {
            let number = id * STREAMS.len() + stream;
            let (owner, holder) = (owners.get(&number), pending.get(&number));
            if id > last {
                assert_eq!((owner, holder), (None, None), "{number} has not been delivered");
            } else if acknowledged.contains(&number) {
                assert_eq!(holder, None, "{number} is acknowledged");
            } else if !uncertain.contains(&number) {
                assert!(holder.is_some(), "{number} is lost; {owner:?} has got it");
                assert!(owner.is_none() || owner == holder, "{number}: {owner:?}, {holder:?}");
            }
        }
    }
}

/// Who has which entry pending. That the figures about consumers agree is asserted.
fn pending_of(server: &Server, stream: usize) -> BTreeMap<usize, String> {
    let (mut direct, key) = (server.direct(), STREAMS[stream]);
    let mut pending = BTreeMap::new();
    let mut by_consumer: BTreeMap<String, i64> = BTreeMap::new();
    for entry in elements(call(&mut direct, &format!("XPENDING {key} g - + 1000000"))) {
        let [id, owner, _, _] = &elements(entry)[..] else { panic!("four elements") };
        let id = text(id);
        let id: usize = id.split('-').next().and_then(|ms| ms.parse().ok()).expect("an id");
        *by_consumer.entry(text(owner)).or_default() += 1;
        let before = pending.insert(id * STREAMS.len() + stream, text(owner));
        assert_eq!(before, None, "an entry is pending twice");
    }
    let summary = elements(call(&mut direct, &format!("XPENDING {key} g")));
    assert_eq!(integer(&summary[0]), pending.len() as i64);
    let told = elements(summary[3].clone()).into_iter().map(|pair| {
        let pair = elements(pair);
        (text(&pair[0]), text(&pair[1]).parse::<i64>().expect("a number"))
    });
    assert_eq!(told.collect::<BTreeMap<_, _>>(), by_consumer);
    pending
}

fn last_delivered(server: &Server, key: &str) -> usize {
    let groups = elements(call(&mut server.direct(), &format!("XINFO GROUPS {key}")));
    let Value::Map { data, .. } = &groups[0] else { panic!("a map") };
    let id = data.iter().find(|(name, _)| text(name) == "last-delivered-id").expect("it is told");
    text(id.1).split('-').next().and_then(|ms| ms.parse().ok()).expect("an id")
}

fn text(value: &Value) -> String {
    match value {
        Value::BlobString { data, .. } => String::from_utf8_lossy(data).into_owned(),
        other => panic!("a text was expected, not {other:?}"),
    }
}

#[tokio::test]
async fn whoever_is_ended_in_the_same_transaction_gets_nothing() {
    for (end, heard) in [
        ("CLIENT KILL ID", "(end)"),
        ("CLIENT UNBLOCK", "(nil)"),
        ("CLIENT UNBLOCK ERROR", UNBLOCKED),
    ] {
        for is_first in [true, false] {
            let server = Server::builder().no_socket().start().await.expect("a server starts");
            let mut client = Wire::memory(&server);
            assert_eq!(client.call("XGROUP CREATE s g $ MKSTREAM").await, "OK");
            let mut ann = Wire::memory(&server);
            let id = ann.call("CLIENT ID").await;
            let line = "XREADGROUP GROUP g ann BLOCK 0 STREAMS s >";
            ann.send(&encode(&line.split(' ').collect::<Vec<_>>())).await;
            let mut bob = waiting(&server, "XREADGROUP GROUP g bob BLOCK 0 STREAMS s >").await;
            let mut words: Vec<&str> = end.split(' ').collect();
            words.insert(words.len().min(2) + usize::from(end.contains("KILL")), &id);
            let (end, add) = (words.join(" "), "XADD s 1-0 n 1".to_owned());
            await_waiters(&mut client, 2).await;
            client.call("MULTI").await;
            for line in if is_first { [&end, &add] } else { [&add, &end] } {
                assert_eq!(client.call(line).await, "QUEUED", "{line}");
            }
            assert!(client.call("EXEC").await.starts_with('['));
            assert_eq!(ann.reply().await, heard, "{end}");
            assert_eq!(bob.reply().await, "[[s, [[1-0, [n, 1]]]]]", "{end}");
            let pending = client.call("XPENDING s g").await;
            assert_eq!(pending, "[1, 1-0, 1-0, [[bob, 1]]]", "{end}");
            assert_nobody_waits(&server).await;
        }
    }
}

#[tokio::test]
async fn entries_go_to_those_who_wait_in_the_order_that_they_came() {
    const WAITERS: usize = 300;
    let server = Server::builder().no_socket().start().await.expect("a server starts");
    let mut client = Wire::memory(&server);
    for key in ["s", "t"] {
        assert_eq!(client.call(&format!("XGROUP CREATE {key} g $ MKSTREAM")).await, "OK");
    }
    let mut waiters = Vec::new();
    for number in 0..WAITERS {
        let streams = if number % 3 == 0 { "s t > >" } else { "s >" };
        let line = format!("XREADGROUP GROUP g worker:{number} BLOCK 0 STREAMS {streams}");
        waiters.push(waiting(&server, &line).await);
        await_waiters(&mut client, number + 1).await;
    }
    assert_eq!(figure(&mut client, "total_blocking_keys").await, "2");
    for number in 1..=WAITERS {
        assert_eq!(
            client.call(&format!("XADD s {number}-0 n {number}")).await,
            format!("{number}-0")
        );
    }
    for (number, waiter) in waiters.iter_mut().enumerate() {
        let expected = format!("[[s, [[{0}-0, [n, {0}]]]]]", number + 1);
        assert_eq!(waiter.reply().await, expected);
    }
    assert_nobody_waits(&server).await;
}

#[tokio::test]
async fn everybody_who_reads_alone_gets_an_entry() {
    const READERS: usize = 300;
    let server = Server::builder().no_socket().start().await.expect("a server starts");
    let mut client = Wire::memory(&server);
    let mut readers = Vec::new();
    for number in 0..READERS {
        let line = format!("XREAD BLOCK 0 STREAMS own:{number} s $ $");
        readers.push(waiting(&server, &line).await);
    }
    await_waiters(&mut client, READERS).await;
    assert_eq!(client.call("XADD s 1-0 n 1").await, "1-0");
    for reader in &mut readers {
        assert_eq!(reader.reply().await, "[[s, [[1-0, [n, 1]]]]]");
    }
    assert_nobody_waits(&server).await;
}

#[tokio::test]
async fn one_may_wait_for_many_streams_in_all_shards() {
    const KEYS: usize = 200;
    let server = Server::builder().no_socket().shards(64).start().await.expect("a server starts");
    let mut client = Wire::memory(&server);
    let keys: Vec<String> = (0..KEYS).map(|number| format!("s:{number}")).collect();
    for key in &keys {
        assert_eq!(client.call(&format!("XGROUP CREATE {key} g $ MKSTREAM")).await, "OK");
    }
    let line =
        format!("XREADGROUP GROUP g ann BLOCK 0 STREAMS {}{}", keys.join(" "), " >".repeat(KEYS));
    let (mut dice, mut seen) = (Dice::new(3), Vec::new());
    for round in 0..100 {
        let mut ann = waiting(&server, &line).await;
        await_waiters(&mut client, 1).await;
        assert_eq!(figure(&mut client, "total_blocking_keys").await, KEYS.to_string());
        let numbers = [2 * round, 2 * round + 1];
        client.call("MULTI").await;
        for number in numbers {
            client.call(&format!("XADD {} * n {number}", dice.pick(&keys))).await;
        }
        assert!(client.call("EXEC").await.starts_with('['));
        // What the transaction has added in several streams comes together.
        let mut got = numbers_in(&ann.reply().await);
        got.sort_unstable();
        assert_eq!(got, numbers);
        seen.extend(got);
        assert_eq!(figure(&mut client, "total_blocking_keys").await, "0");
    }
    assert_eq!(seen.len(), 200);
    assert_nobody_waits(&server).await;
}
