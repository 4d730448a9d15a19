//! Offsets, counts and times at the ends of what a number can be: Redis's error, or Redis's
//! clamping, and never an overflow.

use redlet::Server;

use crate::support::{Wire, assert_serves};

const TOO_LONG: &str = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
const NOT_INTEGER: &str = "-ERR value is not an integer or out of range";
const OVERFLOW: &str = "-ERR increment or decrement would overflow";
const SYNTAX: &str = "-ERR syntax error";
const OFFSET: &str = "-ERR offset is out of range";
const NOT_A_DATABASE: &str = "-ERR value is out of range, value must between -2147483648 and \
                              2147483647";

/// What is sent, and what comes back, on a key `text` that holds `hello`.
const CASES: &[(&str, &str)] = &[
    ("SETRANGE text 9223372036854775807 A", TOO_LONG),
    ("SETRANGE text 4294967296 A", TOO_LONG),
    ("SETRANGE text 536870911 AB", TOO_LONG),
    ("SETRANGE text 9223372036854775808 A", NOT_INTEGER),
    ("SETRANGE text -1 A", OFFSET),
    ("SETRANGE text -9223372036854775808 A", OFFSET),
    ("GETRANGE text 0 9223372036854775807", "hello"),
    ("GETRANGE text -9223372036854775808 9223372036854775807", "hello"),
    ("GETRANGE text -9223372036854775808 -9223372036854775808", "h"),
    ("GETRANGE text 9223372036854775807 -1", ""),
    ("GETRANGE text 9223372036854775807 9223372036854775807", ""),
    ("SUBSTR text -9223372036854775808 -1", "hello"),
    ("EXPIRE text 9223372036854775807", "-ERR invalid expire time in 'expire' command"),
    ("EXPIRE text -9223372036854775808", "-ERR invalid expire time in 'expire' command"),
    ("PEXPIRE text 9223372036854775807", "-ERR invalid expire time in 'pexpire' command"),
    ("EXPIREAT text 9223372036854775807", "-ERR invalid expire time in 'expireat' command"),
    ("SET text v EX 9223372036854775807", "-ERR invalid expire time in 'set' command"),
    ("SET text v PX 9223372036854775807", "-ERR invalid expire time in 'set' command"),
    ("SET text v PXAT -1", "-ERR invalid expire time in 'set' command"),
    ("SETEX text 9223372036854775807 v", "-ERR invalid expire time in 'setex' command"),
    ("PSETEX text 9223372036854775807 v", "-ERR invalid expire time in 'psetex' command"),
    ("GETEX text PX 9223372036854775807", "-ERR invalid expire time in 'getex' command"),
    ("SET number 9223372036854775807", "OK"),
    ("INCR number", OVERFLOW),
    ("INCRBY number 1", OVERFLOW),
    ("DECRBY number -9223372036854775808", "-ERR decrement would overflow"),
    ("DECRBY number -1", OVERFLOW),
    ("SET number -9223372036854775808", "OK"),
    ("DECR number", OVERFLOW),
    ("INCRBY number -9223372036854775808", OVERFLOW),
    ("SELECT 9223372036854775807", NOT_A_DATABASE),
    ("SELECT -1", "-ERR DB index is out of range"),
    ("SCAN 0 COUNT 0", SYNTAX),
    ("SCAN 0 COUNT -9223372036854775808", SYNTAX),
    ("SCAN 99999999999999999999", "-ERR invalid cursor"),
    ("COPY text other DB 9223372036854775807", NOT_A_DATABASE),
    ("MOVE text -9223372036854775808", NOT_A_DATABASE),
    ("SWAPDB -1 0", "-ERR DB index is out of range"),
    ("CLIENT KILL ID -9223372036854775808", "-ERR client-id should be greater than 0"),
    ("CLIENT KILL ID 9223372036854775807", "0"),
    ("CLIENT UNBLOCK 9223372036854775807", "0"),
    ("CLIENT PAUSE -1", "-ERR timeout is negative"),
    ("SLOWLOG GET -9223372036854775808", "-ERR count should be greater than or equal to -1"),
    ("SLOWLOG GET 9223372036854775807", "[]"),
    ("MEMORY USAGE text SAMPLES -1", SYNTAX),
    ("LCS text text MINMATCHLEN 9223372036854775807 IDX", "[matches, [], len, 5]"),
    ("RESTORE other -1 x", "-ERR Invalid TTL value, must be >= 0"),
    ("RESTORE other 0 x IDLETIME -1", "-ERR Invalid IDLETIME value, must be >= 0"),
    ("RESTORE other 0 x FREQ 256", "-ERR Invalid FREQ value, must be >= 0 and <= 255"),
    ("MSETNX twice 1 twice 2", "1"),
    ("GET twice", "2"),
    ("GET text", "hello"),
];

#[tokio::test]
async fn extreme_numbers_are_refused_or_clamped() {
    let server = Server::builder().no_socket().start().await.unwrap();
    let mut client = Wire::memory(&server);
    assert_eq!(client.call("SET text hello").await, "OK");
    for (line, expected) in CASES {
        assert_eq!(client.call(line).await, *expected, "{line}");
    }
    assert_serves(&server).await;
}

#[tokio::test]
async fn any_cursor_and_any_count_is_answered() {
    let server = Server::builder().no_socket().start().await.unwrap();
    let mut client = Wire::memory(&server);
    assert_eq!(client.call("MSET a 1 b 2 c 3").await, "OK");
    for cursor in ["0", "1", "9223372036854775807", "9223372036854775808", "18446744073709551615"] {
        for count in ["1", "2147483648", "9223372036854775807"] {
            let reply = client.call(&format!("SCAN {cursor} COUNT {count}")).await;
            assert!(reply.starts_with('['), "cursor {cursor}, count {count}: {reply}");
        }
    }
    let everything = client.call("SCAN 0 COUNT 9223372036854775807").await;
    assert!(everything.starts_with("[0, [") && everything.matches(", ").count() == 3);
    assert_serves(&server).await;
}

#[tokio::test]
async fn comparing_long_texts_is_refused_before_it_takes_memory() {
    let server = Server::builder().no_socket().start().await.unwrap();
    let mut client = Wire::memory(&server);
    let long = "x".repeat(1_000_000);
    assert_eq!(client.request(&["MSET", "a", &long, "b", &long]).await, "OK");
    let reply = client.call("LCS a b").await;
    assert!(reply.starts_with("-ERR Insufficient memory"), "{reply}");
    assert_serves(&server).await;
}
