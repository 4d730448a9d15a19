//! What is counted: each row is one request, or a transaction, over and over, on a server with 10,000 keys.
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
    /// The commands that come before, on a line each.
    before: fn() -> String,
    /// The words of the request with this number; of several that are sent together, on a line each.
    words: fn(usize) -> String,
    /// What its reply starts with.
    reply: &'static str,
}

const fn row(name: &'static str, words: fn(usize) -> String, reply: &'static str) -> Row {
    Row { name, value: VALUE, before: String::new, words, reply }
}

pub(crate) const ROWS: [Row; 26] = [
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
    row("MULTI EXEC 3", transaction, "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n:"),
    row("EVAL, kept", |number| format!("EVAL \"{UNLOCK}\" 1 {} token", key(number)), ":0"),
    Row {
        value: "1000000",
        before: || format!("SCRIPT LOAD \"{INCREMENT}\""),
        ..row(
            "EVALSHA INCR",
            |number| format!("EVALSHA {INCREMENT_SHA1} 1 {}", key(number)),
            ":1000001",
        )
    },
    row("XADD", |number| format!("XADD new:stream MAXLEN ~ 1000 * {}", fields(number)), "$"),
    Row {
        before: entries,
        ..row("XRANGE 100", |number| format!("XRANGE stream {} + COUNT 100", start(number)), "*100")
    },
    Row { before: || format!("{}\n{GROUP}", entries()), ..row("XREADGROUP", |_| read(1), "*1") },
    Row {
        before: || format!("{}\n{GROUP}\n{}", entries(), read(WARMING + COUNTED)),
        ..row("XACK", |number| format!("XACK stream group {}", id(number)), ":1")
    },
];

/// Gives a lock back, if it is one's own.
const UNLOCK: &str = "if redis.call('get',KEYS[1]) == ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end";
const INCREMENT: &str = "return redis.call('incr',KEYS[1])";
const INCREMENT_SHA1: &str = "6f5ade10a69975e903c6d07b10ea44c6382381a5";

/// Three commands between MULTI and EXEC.
fn transaction(number: usize) -> String {
    let (key, counter) = (key(number), number % 1000);
    format!("MULTI\nSET {key} {VALUE}\nINCR counter:{counter}\nGET {key}\nEXEC")
}

const GROUP: &str = "XGROUP CREATE stream group 0";

/// A stream with an entry for every request.
fn entries() -> String {
    let add = |number| format!("XADD stream {} {}", id(number), fields(number));
    (0..KEYS).map(add).collect::<Vec<_>>().join("\n")
}

/// The entry's number in as many digits as a clock's milliseconds have.
fn id(number: usize) -> String {
    format!("1{number:012}")
}

/// The id of any entry that a hundred begin with.
fn start(number: usize) -> String {
    id(number * STRIDE % (KEYS - 100))
}

/// Three fields with values of 16 bytes.
fn fields(number: usize) -> String {
    ["room", "sender", "text"].map(|field| format!("{field} val:{number:012}")).join(" ")
}

/// Hands out so many entries that are new to the group.
fn read(count: usize) -> String {
    format!("XREADGROUP GROUP group consumer COUNT {count} STREAMS stream >")
}

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

/// Whether redlet has the commands of this row: a row may be there before its command is.
pub(crate) fn is_there(row: &Row) -> bool {
    let mut replies = Vec::new();
    connect().serve(&encode(&(row.words)(0)), &mut replies);
    !String::from_utf8_lossy(&replies).contains("-ERR unknown command")
}

/// Serves requests of this row; those that count are served by `serve_counted`.
pub(crate) fn perform(row: &Row, depth: usize) {
    let mut connection = connect();
    let fill: Vec<_> =
        (0..KEYS).map(|number| encode(&format!("SET {} {}", key(number), row.value))).collect();
    let before: Vec<_> = (row.before)().lines().map(encode).collect();
    let requests: Vec<_> =
        (0..WARMING + COUNTED).map(|number| encode(&(row.words)(number))).collect();
    let batches: Vec<Vec<u8>> = requests.chunks(depth).map(<[_]>::concat).collect();
    let (warming, counted) = batches.split_at(WARMING / depth);

    let mut replies = Vec::new();
    serve_accepted(&mut connection, &before, &mut replies);
    serve_checked(&mut connection, &fill, &mut replies, "+OK");
    serve_checked(&mut connection, &preparations().map(|words| encode(&words)), &mut replies, ":");
    serve_checked(&mut connection, warming, &mut replies, row.reply);
    serve_counted(&mut connection, counted, &mut replies);
    assert!(replies.starts_with(row.reply.as_bytes()), "{}", replies.escape_ascii());
}

fn connect() -> Connection {
    let config = Config::new();
    config.set_at_start("shards", &["8"]).expect("there is such a parameter");
    Connection::new(&Engine::new(config))
}

fn serve_accepted(connection: &mut Connection, requests: &[Vec<u8>], replies: &mut Vec<u8>) {
    for request in requests {
        replies.clear();
        connection.serve(request, replies);
        assert!(!replies.starts_with(b"-"), "{}", replies.escape_ascii());
    }
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

/// Requests as clients send them.
fn encode(lines: &str) -> Vec<u8> {
    let mut text = String::new();
    for line in lines.lines() {
        let words = words_of(line);
        let _ = write!(text, "*{}\r\n", words.len());
        for word in words {
            let _ = write!(text, "${}\r\n{word}\r\n", word.len());
        }
    }
    text.into_bytes()
}

/// What stands between double quotes is one word.
fn words_of(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for (place, part) in line.split('"').enumerate() {
        if place % 2 == 0 {
            words.extend(part.split_whitespace());
        } else {
            words.push(part);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_request_and_quotes_hold_a_word_together() {
        let requests = encode("MULTI\nEVAL \"return 1\" 0");
        let expected = b"*1\r\n$5\r\nMULTI\r\n*3\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n0\r\n";
        assert_eq!(requests.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }
}
