//! Streams under stress: clocks that move, many who wait and are gone, numbers at their edges, very much
//! of everything, and payloads that lie.

mod bringing;
mod chaos;
mod edges;
mod format;
mod hand_off;
mod payloads;
mod sizes;
mod time;
mod usage;

use std::time::Duration;

use redlet::{Direct, MemoryStream, Server, Value};

use crate::support::{Dice, Wire, encode, eventually};

/// What somebody hears who waits in a group of the stream `s` that is gone.
const NO_GROUP: &str =
    "-NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option";
const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

/// A client that has sent a request, and does not wait for the reply.
async fn waiting(server: &Server, line: &str) -> Wire<MemoryStream> {
    let mut client = Wire::memory(server);
    client.send(&encode(&line.split(' ').collect::<Vec<_>>())).await;
    client
}

/// A line of `INFO clients`.
async fn figure(client: &mut Wire<MemoryStream>, name: &str) -> String {
    let info = client.call("INFO clients").await;
    let value = info.split(&format!("{name}:")).nth(1).expect("INFO has the figure");
    value.split('\\').next().unwrap_or_default().to_owned()
}

/// Goes on once so many clients wait, and no more.
async fn await_waiters(client: &mut Wire<MemoryStream>, count: usize) {
    let count = count.to_string();
    eventually(&format!("{count} wait"), async || figure(client, "blocked_clients").await == count)
        .await;
}

/// Nobody waits, and nothing is left of those who have.
async fn assert_nobody_waits(server: &Server) {
    let mut client = Wire::memory(server);
    await_waiters(&mut client, 0).await;
    for name in ["total_blocking_keys", "total_blocking_keys_on_nokey", "clients_in_timeout_table"]
    {
        assert_eq!(figure(&mut client, name).await, "0", "{name}");
    }
}

/// The numbers of the entries in a reply, which all have one field, `n`.
fn numbers_in(reply: &str) -> Vec<usize> {
    let behind = reply.split("[n, ").skip(1).filter_map(|text| text.split(']').next());
    behind.map(|number| number.parse().expect("a number")).collect()
}

fn call(direct: &mut Direct, line: &str) -> Value {
    let words: Vec<&str> = line.split(' ').collect();
    direct.call(&words).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn integer(value: &Value) -> i64 {
    match value {
        Value::Number { data, .. } => *data,
        other => panic!("a number was expected, not {other:?}"),
    }
}

/// The elements of an array; of none, if it is null.
fn elements(value: Value) -> Vec<Value> {
    match value {
        Value::Array { data, .. } => data,
        Value::Null => Vec::new(),
        other => panic!("an array was expected, not {other:?}"),
    }
}

/// Does something that has to be done soon. The bound is generous, and far too little for what looks
/// through everything again for each of its parts.
fn soon<T>(what: &str, work: impl FnOnce() -> T) -> T {
    const SOON: Duration = Duration::from_secs(5);
    let began = spent();
    let result = work();
    let took = spent().saturating_sub(began);
    println!("figure: {what}: {took:?}");
    assert!(took < SOON, "{what} took {took:?}");
    result
}

/// How long this thread has run so far, however much others keep the machine busy. It is the one that
/// executes direct calls.
fn spent() -> Duration {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").expect("this is Linux");
    let running = times.split(' ').next().and_then(|time| time.parse().ok());
    Duration::from_nanos(running.expect("a number"))
}

fn shuffle<T>(items: &mut [T], dice: &mut Dice) {
    for at in (1..items.len()).rev() {
        items.swap(at, dice.below(at + 1));
    }
}
