//! Ids, counts and times at the ends of what a number can be. What is said here is what real servers say.

use redlet::{Clock, Server};

use crate::support::{Wire, assert_serves};

const INVALID: &str = "-ERR Invalid stream ID specified as stream command argument";
const NOT_INTEGER: &str = "-ERR value is not an integer or out of range";
const EXHAUSTED: &str =
    "-ERR The stream has exhausted the last possible ID, unable to add more items";
const SMALLER: &str =
    "-ERR The ID specified in XADD is equal or smaller than the target stream top item";
const NO_START: &str = "-ERR invalid start ID for the interval";
const NO_END: &str = "-ERR invalid end ID for the interval";

/// What is sent, one after the other, and what comes back. `{M}` stands for the largest number that an
/// id can have, `{I}` for the largest that any other argument can.
#[rustfmt::skip]
const CASES: &[(&str, &str)] = &[
    ("XADD e {M}-{M-1} n 1", "{M}-{M-1}"),
    ("XADD e * n 2", "{M}-{M}"),
    ("XADD e * n 3", EXHAUSTED),
    ("XADD e {M}-* n 3", EXHAUSTED),
    ("XADD e {M}-{M} n 3", EXHAUSTED),
    ("XADD e {M+1}-0 n 3", INVALID),
    ("XADD e 0-{M+1} n 3", INVALID),
    ("XADD e {M}-{M}0 n 3", INVALID),
    ("XADD f 0-0 n 1", "-ERR The ID specified in XADD must be greater than 0-0"),
    ("XADD f 0 n 1", "-ERR The ID specified in XADD must be greater than 0-0"),
    ("XADD f 0-* n 1", "0-1"),
    ("XADD f 0-{M} n 1", "0-{M}"),
    ("XADD f 0-* n 1", SMALLER),
    ("XADD f 1-* n 1", "1-0"),
    ("XADD f 1-{M} n 1", "1-{M}"),
    ("XADD f 1-* n 1", SMALLER),
    ("XADD f 2-0 MAXLEN = {I} n 1", "-ERR wrong number of arguments for 'xadd' command"),
    ("XADD f MAXLEN {I} 2-0 n 1", "2-0"),
    ("XADD f MAXLEN -1 3-0 n 1", "-ERR The MAXLEN argument must be >= 0."),
    ("XADD f MAXLEN ~ {I} LIMIT {I} 3-0 n 1", "3-0"),
    ("XADD f MAXLEN ~ {I+1} 3-1 n 1", NOT_INTEGER),
    ("XADD f MINID ~ {M}-{M} LIMIT 0 {M-1}-{M} n 1", "{M-1}-{M}"),
    ("XRANGE e - +", "[[{M}-{M-1}, [n, 1]], [{M}-{M}, [n, 2]]]"),
    ("XRANGE e ({M}-{M} +", NO_START),
    ("XRANGE e - (0-0", NO_END),
    ("XRANGE e - (0", "[]"),
    ("XRANGE e ({M} +", "[[{M}-{M-1}, [n, 1]], [{M}-{M}, [n, 2]]]"),
    ("XRANGE e ({M}-{M-1} +", "[[{M}-{M}, [n, 2]]]"),
    ("XRANGE e - ({M}-{M}", "[[{M}-{M-1}, [n, 1]]]"),
    ("XRANGE e {M} {M}", "[[{M}-{M-1}, [n, 1]], [{M}-{M}, [n, 2]]]"),
    ("XRANGE e {M}-{M} {M}-{M} COUNT {I}", "[[{M}-{M}, [n, 2]]]"),
    ("XRANGE e - + COUNT -{I}", "(nil)"),
    ("XRANGE e - + COUNT 0", "(nil)"),
    ("XRANGE e - + COUNT {I+1}", NOT_INTEGER),
    ("XRANGE e {M+1} +", INVALID),
    ("XREVRANGE e + - COUNT {I}", "[[{M}-{M}, [n, 2]], [{M}-{M-1}, [n, 1]]]"),
    ("XREVRANGE e ({M}-{M} ({M}-{M-1}", "[]"),
    ("XREVRANGE e {M}-{M} {M}-{M}", "[[{M}-{M}, [n, 2]]]"),
    ("XREVRANGE e + - COUNT -1", "(nil)"),
    ("XREVRANGE e 0 0", "[]"),
    ("XREAD COUNT {I} STREAMS e {M}-{M-1}", "[[e, [[{M}-{M}, [n, 2]]]]]"),
    ("XREAD COUNT {I} STREAMS e {M}-{M}", "(nil)"),
    ("XREAD COUNT -{I+1} STREAMS e 0", "[[e, [[{M}-{M-1}, [n, 1]], [{M}-{M}, [n, 2]]]]]"),
    ("XREAD COUNT {I+1} STREAMS e 0", NOT_INTEGER),
    ("XREAD BLOCK {I} STREAMS e 0", "-ERR timeout is out of range"),
    ("XREAD BLOCK {I+1} STREAMS e 0", "-ERR timeout is not an integer or out of range"),
    ("XREAD BLOCK -1 STREAMS e 0", "-ERR timeout is negative"),
    ("XREAD STREAMS e +", "[[e, [[{M}-{M}, [n, 2]]]]]"),
    ("XDEL e {M+1}", INVALID),
    ("XTRIM e MAXLEN {I}", "0"),
    ("XTRIM e MAXLEN -{I+1}", "-ERR The MAXLEN argument must be >= 0."),
    ("XTRIM e MAXLEN {I+1}", NOT_INTEGER),
    ("XTRIM e MAXLEN ~ 0 LIMIT {I}", "2"),
    ("XTRIM e MAXLEN ~ 0 LIMIT {I+1}", NOT_INTEGER),
    ("XTRIM e MAXLEN ~ 0 LIMIT -1", "-ERR The LIMIT argument must be >= 0."),
    ("XTRIM e MINID 0", "0"),
    ("XTRIM e MINID {M}-{M} LIMIT 1", "-ERR syntax error, LIMIT cannot be used without the special ~ option"),
    ("XTRIM e MINID {M}-{M}", "0"),
    ("XSETID e {M}-{M-1}", "OK"),
    ("XSETID e {M}-{M} ENTRIESADDED {I} MAXDELETEDID {M}-{M}", "OK"),
    ("XSETID e {M}-{M} ENTRIESADDED {I+1}", NOT_INTEGER),
    ("XSETID e {M}-{M} ENTRIESADDED -1", "-ERR entries_added must be positive"),
    ("XSETID e {M}-{M} ENTRIESADDED 0", "OK"),
    ("XDEL e {M}-{M} {M}-{M} {M}-{M-1}", "0"),
    ("XINFO STREAM e", "[length, 0, radix-tree-keys, 0, radix-tree-nodes, 1, last-generated-id, {M}-{M}, max-deleted-entry-id, {M}-{M}, entries-added, 0, recorded-first-entry-id, 0-0, groups, 0, first-entry, (nil), last-entry, (nil)]"),
    ("XADD e * n 4", EXHAUSTED),
    ("XSETID e 0-0", "-ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"),
    ("XLEN f", "0"),
    ("XSETID f {M-1}-{M}", "OK"),
    ("XADD f {M-1}-* n 1", SMALLER),
    ("XADD f {M}-* n 1", "{M}-0"),
    ("XGROUP CREATE f g 0-{M} ENTRIESREAD {I}", "OK"),
    ("XGROUP CREATE f h {M}-{M} ENTRIESREAD 0", "OK"),
    ("XGROUP CREATE f i 0 ENTRIESREAD -1", "OK"),
    ("XGROUP CREATE f j 0 ENTRIESREAD -2", "-ERR value for ENTRIESREAD must be positive or -1"),
    ("XGROUP CREATE f j 0 ENTRIESREAD {I+1}", NOT_INTEGER),
    ("XGROUP CREATE f j {M+1}", INVALID),
    ("XREADGROUP GROUP h ann COUNT {I} STREAMS f >", "(nil)"),
    ("XREADGROUP GROUP g ann COUNT {I} STREAMS f >", "[[f, [[{M}-0, [n, 1]]]]]"),
    ("XINFO GROUPS f", "[[name, g, consumers, 1, pending, 1, last-delivered-id, {M}-0, entries-read, 8, lag, 0], [name, h, consumers, 1, pending, 0, last-delivered-id, {M}-{M}, entries-read, 0, lag, 8], [name, i, consumers, 0, pending, 0, last-delivered-id, 0-0, entries-read, (nil), lag, 1]]"),
    ("XREADGROUP GROUP g ann COUNT {I} STREAMS f {M}-0", "[[f, []]]"),
    ("XREADGROUP GROUP g ann COUNT {I} STREAMS f {M-1}", "[[f, [[{M}-0, [n, 1]]]]]"),
    ("XREADGROUP GROUP g ann COUNT -{I} STREAMS f {M-1}-{M}", "[[f, [[{M}-0, [n, 1]]]]]"),
    ("XREADGROUP GROUP g ann STREAMS f {M}-{M}", "(nil)"),
    ("XREADGROUP GROUP g ann STREAMS f {M+1}", INVALID),
    ("XGROUP SETID f h 0 ENTRIESREAD {I}", "OK"),
    ("XREADGROUP GROUP h bob COUNT 1 STREAMS f >", "[[f, [[{M}-0, [n, 1]]]]]"),
    ("XGROUP SETID f h {M}-{M}", "OK"),
    ("XGROUP SETID f h + ENTRIESREAD {I}", "OK"),
    ("XINFO GROUPS f", "[[name, g, consumers, 1, pending, 1, last-delivered-id, {M}-0, entries-read, 8, lag, 0], [name, h, consumers, 2, pending, 1, last-delivered-id, {M}-{M}, entries-read, {I}, lag, -9223372036854775799], [name, i, consumers, 0, pending, 0, last-delivered-id, 0-0, entries-read, (nil), lag, 1]]"),
    ("XACK f g {M}-{M} {M}-0 {M}-0", "1"),
    ("XACK f g {M+1}", INVALID),
    ("XCLAIM f g bob {I} {M}-0 FORCE JUSTID", "[{M}-0]"),
    ("XCLAIM f g bob {I+1} {M}-0 FORCE JUSTID", "-ERR Invalid min-idle-time argument for XCLAIM"),
    ("XCLAIM f g bob -{I+1} {M}-0 FORCE JUSTID IDLE {I}", "[{M}-0]"),
    ("XCLAIM f g bob 0 {M}-0 JUSTID IDLE -{I+1}", "[{M}-0]"),
    ("XCLAIM f g bob 0 {M}-0 JUSTID TIME {I}", "[{M}-0]"),
    ("XCLAIM f g bob 0 {M}-0 JUSTID TIME -{I+1}", "[{M}-0]"),
    ("XCLAIM f g bob 0 {M}-0 JUSTID TIME 0", "[{M}-0]"),
    ("XCLAIM f g bob 0 {M}-0 JUSTID RETRYCOUNT {I}", "[{M}-0]"),
    ("XCLAIM f g bob 0 {M}-0", "[[{M}-0, [n, 1]]]"),
    ("XCLAIM f g bob 0 {M}-0 JUSTID RETRYCOUNT {I+1}", "-ERR Invalid RETRYCOUNT option argument for XCLAIM"),
    ("XCLAIM f g bob 0 {M}-0 JUSTID RETRYCOUNT -1", "[{M}-0]"),
    ("XCLAIM f g bob 0 {M}-{M} FORCE JUSTID", "[]"),
    ("XCLAIM f g bob 0 {M}-0 LASTID {M}-{M} JUSTID", "[{M}-0]"),
    ("XCLAIM f g bob 0 {M}-0 LASTID {M+1} JUSTID", INVALID),
    ("XPENDING f g - + {I} bob", "[[{M}-0, bob, 0, -{I+1}]]"),
    ("XPENDING f g IDLE {I} - + {I}", "[]"),
    ("XPENDING f g IDLE {I+1} - + 1", NOT_INTEGER),
    ("XPENDING f g IDLE -{I+1} {M} + {I} ann", "[]"),
    ("XPENDING f g - + -{I+1}", "[]"),
    ("XPENDING f g - + {I+1}", NOT_INTEGER),
    ("XPENDING f g ({M}-{M} + 1", NO_START),
    ("XPENDING f g - (0-0 1", NO_END),
    ("XAUTOCLAIM f g cat 0 {M} COUNT {I} JUSTID", "-ERR COUNT must be > 0"),
    ("XAUTOCLAIM f g cat 0 {M} COUNT 576460752303423487 JUSTID", "-ERR Insufficient memory, failed allocating transient memory, COUNT too high."),
    ("XAUTOCLAIM f g cat 0 {M} COUNT 0 JUSTID", "-ERR COUNT must be > 0"),
    ("XAUTOCLAIM f g cat 0 {M} COUNT -{I+1} JUSTID", "-ERR COUNT must be > 0"),
    ("XAUTOCLAIM f g cat 0 {M} COUNT 1000000 JUSTID", "[0-0, [{M}-0], []]"),
    ("XAUTOCLAIM f g cat {I} 0 JUSTID", "[0-0, [], []]"),
    ("XAUTOCLAIM f g cat {I+1} 0 JUSTID", "-ERR Invalid min-idle-time argument for XAUTOCLAIM"),
    ("XAUTOCLAIM f g cat -{I+1} {M}-{M} JUSTID", "[0-0, [], []]"),
    ("XAUTOCLAIM f g cat 0 ({M}-{M} JUSTID", NO_START),
    ("XAUTOCLAIM f g cat 0 ({M-1}-{M} COUNT 1 JUSTID", "[0-0, [{M}-0], []]"),
    ("XINFO STREAM f FULL COUNT {I+1}", NOT_INTEGER),
    ("XDEL f 0-1 0-{M} 1-0 1-{M} 2-0 {M-1}-{M} {M}-0 {M}-{M}", "1"),
    ("XLEN f", "0"),
    ("XTRIM f MINID {M}-{M}", "0"),
    ("XAUTOCLAIM f g dan 0 0 COUNT 3", "[0-0, [], [{M}-0]]"),
    ("XGROUP DELCONSUMER f g ann", "0"),
    ("XPENDING f g", "[0, (nil), (nil), (nil)]"),
    ("XADD f * n 1", "{M}-1"),
];

fn spelled_out(text: &str) -> String {
    let numbers = [
        ("{M}", "18446744073709551615"),
        ("{M-1}", "18446744073709551614"),
        ("{M+1}", "18446744073709551616"),
        ("{I}", "9223372036854775807"),
        ("{I+1}", "9223372036854775808"),
    ];
    numbers.iter().fold(text.to_owned(), |text, (name, number)| text.replace(name, number))
}

#[tokio::test]
async fn numbers_at_their_edges_are_refused_or_taken_as_real_servers_do() {
    for shards in [1, 16] {
        let builder = Server::builder().no_socket().clock(Clock::manual()).shards(shards);
        let server = builder.start().await.expect("a server starts");
        let mut client = Wire::memory(&server);
        for (line, expected) in CASES {
            assert_eq!(client.call(&spelled_out(line)).await, spelled_out(expected), "{line}");
        }
        assert_serves(&server).await;
    }
}

/// Every place where an id, a count or a time can stand, told by `#`, `%` and `@`.
const SHAPES: &[&str] = &[
    "XADD s # n 1",
    "XADD s MAXLEN % # n 1",
    "XADD s MINID = # # n 1",
    "XADD s MINID ~ # LIMIT % * n 1",
    "XRANGE s # # COUNT %",
    "XRANGE s (# (# COUNT %",
    "XREVRANGE s # # COUNT %",
    "XREVRANGE s (# (#",
    "XREAD COUNT % STREAMS s #",
    "XREADGROUP GROUP g ann COUNT % STREAMS s #",
    "XREADGROUP GROUP g ann COUNT % NOACK STREAMS s >",
    "XDEL s # # #",
    "XTRIM s MAXLEN %",
    "XTRIM s MAXLEN ~ % LIMIT %",
    "XTRIM s MINID #",
    "XSETID s # ENTRIESADDED % MAXDELETEDID #",
    "XGROUP CREATE s h # ENTRIESREAD %",
    "XGROUP SETID s g # ENTRIESREAD %",
    "XACK s g # #",
    "XPENDING s g # # %",
    "XPENDING s g IDLE @ # # % ann",
    "XCLAIM s g bob @ # # FORCE IDLE @ RETRYCOUNT %",
    "XCLAIM s g bob @ # TIME @ LASTID # JUSTID",
    "XAUTOCLAIM s g bob @ # COUNT %",
    "XAUTOCLAIM s g bob @ (# JUSTID",
    "XINFO STREAM s FULL COUNT %",
];

const IDS: &[&str] = &[
    "0",
    "-",
    "+",
    "*",
    "1-*",
    "{M}-*",
    "0-0",
    "0-1",
    "0-{M}",
    "5-5",
    "{M}",
    "{M}-0",
    "{M}-{M-1}",
    "{M}-{M}",
    "{M+1}",
    "0-{M+1}",
    "{I}-{I}",
    "{I+1}-{I+1}",
    "-1",
    "5--1",
    "x",
];
const COUNTS: &[&str] = &["0", "1", "-1", "{I}", "-{I}", "-{I+1}", "{I+1}", "{M}", "1000000"];

#[tokio::test]
async fn every_number_in_every_place_is_answered() {
    let server = Server::builder().no_socket().start().await.expect("a server starts");
    let mut direct = server.direct();
    let mut dice = crate::support::Dice::new(4);
    let mut answered = 0;
    for round in 0..300 {
        for line in ["DEL s", "XADD s 5-5 n 1", "XADD s 7-0 m 2", "XGROUP CREATE s g 0"] {
            super::call(&mut direct, line);
        }
        if round % 2 == 0 {
            super::call(&mut direct, "XREADGROUP GROUP g ann COUNT 1 STREAMS s >");
        }
        for _ in 0..50 {
            let mut line = String::new();
            for letter in dice.pick::<&str>(SHAPES).chars() {
                match letter {
                    '#' => line += &spelled_out(dice.pick::<&str>(IDS)),
                    '%' | '@' => line += &spelled_out(dice.pick::<&str>(COUNTS)),
                    other => line.push(other),
                }
            }
            // An error is an answer; a panic or an overflow would end the test.
            answered += usize::from(direct.call(&line.split(' ').collect::<Vec<_>>()).is_ok());
        }
        let length = super::integer(&super::call(&mut direct, "XLEN s"));
        let entries = super::elements(super::call(&mut direct, "XRANGE s - +"));
        assert_eq!(entries.len() as i64, length);
    }
    assert!(answered > 3000, "only {answered} were more than an error");
    assert_serves(&server).await;
}
