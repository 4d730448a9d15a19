//! What is counted: each row is one request, over and over, on a server with 10,000 keys.
//!
//! Everything that could make two counts differ stands still: the clock, the seed, the number of
//! shards, and which keys are asked for in which order.

use std::fmt::Write as _;

use redlet::Config;
use redlet::fuzzing::{Connection, Engine};

/// How many requests may wait in one buffer.
pub(crate) const DEPTHS: [usize; 2] = [1, 16];
/// Fewer than there are keys, so that one request can have each key to itself.
pub(crate) const COUNTED: usize = 8_000;
/// Before anything is counted, buffers and tables have their size.
const WARMING: usize = 1_600;
const KEYS: usize = 10_000;
/// Has no common divisor with `KEYS`: steps of this length meet every key before any twice.
const STRIDE: usize = 7_919;
const VALUE: &str = "0123456789abcdef0123456789abcdef";

pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The value of every key at the start.
    value: &'static str,
    /// The words of the request with this number.
    words: fn(usize) -> String,
    /// What its reply starts with.
    reply: &'static str,
}

const fn row(name: &'static str, words: fn(usize) -> String, reply: &'static str) -> Row {
    Row { name, value: VALUE, words, reply }
}

pub(crate) const ROWS: [Row; 19] = [
    row("PING", |_| "PING".to_owned(), "+PONG"),
    row("GET, hit", |number| format!("GET {}", key(number)), "$32"),
    row("GET, miss", |number| format!("GET {}", absent(number)), "$-1"),
    row("SET", |number| format!("SET {} {VALUE}", key(number)), "+OK"),
    row("SET EX NX, free", |number| format!("SET {} {VALUE} EX 60 NX", absent(number)), "+OK"),
    row("SET EX NX, taken", |number| format!("SET {} {VALUE} EX 60 NX", key(number)), "$-1"),
    Row { value: "1000000", ..row("INCR", |number| format!("INCR {}", key(number)), ":1000001") },
    row("EXPIRE", |number| format!("EXPIRE {} 100", key(number)), ":1"),
    row("DEL", |number| format!("DEL {}", key(number)), ":1"),
    row("MSET 10", |number| format!("MSET {}", ten_keys(number, VALUE)), "+OK"),
    row("MGET 10", |number| format!("MGET {}", ten_keys(number, "")), "*10"),
    row("LPUSH", |_| "LPUSH list 0123456789abcdef".to_owned(), ":"),
    row("RPOP", |_| "RPOP long:list".to_owned(), "$16"),
    row("LPUSH, many lists", |number| format!("LPUSH list:{} {VALUE}", absent(number)), ":1"),
    row("LRANGE 100", |_| "LRANGE hundred:list 0 -1".to_owned(), "*100"),
    row("SADD", |number| format!("SADD set {}", key(number)), ":"),
    row("SISMEMBER", |number| format!("SISMEMBER hundred:set {}", element(number)), ":"),
    row("SMEMBERS 100", |_| "SMEMBERS hundred:set".to_owned(), "*100"),
    row("PUBLISH", |_| format!("PUBLISH channel {VALUE}"), ":0"),
];

/// What there is beside the keys.
fn preparations() -> [String; 3] {
    let elements = |count| (0..count).map(element).collect::<Vec<_>>().join(" ");
    [
        format!("RPUSH hundred:list {}", elements(100)),
        format!("SADD hundred:set {}", elements(100)),
        format!("RPUSH long:list {}", elements(WARMING + COUNTED)),
    ]
}

fn element(number: usize) -> String {
    format!("element:{number:08}")
}

/// Serves requests of this row; those that count are served by `serve_counted`.
pub(crate) fn perform(row: &Row, depth: usize) {
    let config = Config::new();
    config.set_at_start("shards", &["8"]).expect("there is such a parameter");
    let mut connection = Connection::new(&Engine::new(config));
    let fill: Vec<_> =
        (0..KEYS).map(|number| encode(&format!("SET {} {}", key(number), row.value))).collect();
    let requests: Vec<_> =
        (0..WARMING + COUNTED).map(|number| encode(&(row.words)(number))).collect();
    let batches: Vec<Vec<u8>> = requests.chunks(depth).map(<[_]>::concat).collect();
    let (warming, counted) = batches.split_at(WARMING / depth);

    let mut replies = Vec::new();
    serve_checked(&mut connection, &fill, &mut replies, "+OK");
    serve_checked(&mut connection, &preparations().map(|words| encode(&words)), &mut replies, ":");
    serve_checked(&mut connection, warming, &mut replies, row.reply);
    serve_counted(&mut connection, counted, &mut replies);
    assert!(replies.starts_with(row.reply.as_bytes()), "{}", replies.escape_ascii());
}

fn serve_checked(
    connection: &mut Connection,
    batches: &[Vec<u8>],
    replies: &mut Vec<u8>,
    expected: &str,
) {
    for batch in batches {
        replies.clear();
        connection.serve(batch, replies);
        assert!(replies.starts_with(expected.as_bytes()), "{}", replies.escape_ascii());
    }
}

/// Counting goes on while this function runs; it is found by its name.
#[inline(never)]
fn serve_counted(connection: &mut Connection, batches: &[Vec<u8>], replies: &mut Vec<u8>) {
    for batch in batches {
        replies.clear();
        connection.serve(batch, replies);
    }
}

/// The keys have 16 bytes; after `KEYS` of them the first comes again.
fn key(number: usize) -> String {
    format!("key:{:012}", number * STRIDE % KEYS)
}

/// A key that is not there, or was not before this request.
fn absent(number: usize) -> String {
    format!("absent:{number:09}")
}

/// Ten keys, each with a value after it if there is one.
fn ten_keys(number: usize, value: &str) -> String {
    let words = (0..10).flat_map(|step| [key(number * 10 + step), value.to_owned()]);
    words.collect::<Vec<_>>().join(" ")
}

/// A request as clients send it.
fn encode(words: &str) -> Vec<u8> {
    let count = words.split_whitespace().count();
    let mut text = format!("*{count}\r\n");
    for word in words.split_whitespace() {
        let _ = write!(text, "${}\r\n{word}\r\n", word.len());
    }
    text.into_bytes()
}
