//! Commands that must not be sent: what they do is up to chance, to a clock, or to the server.
//!
//! The grammar has none of them, but a spoiled command may have become one.

use crate::generate::{Command, Common};

/// How many members of a set may be drawn.
const MOST_MEMBERS: i64 = 1000;
/// How long a client may wait.
const LONGEST_BLOCK_MS: f64 = 10.0;
/// From here on servers refuse to wait.
const MUCH_TOO_LONG_MS: f64 = 1e18;
/// Nothing was delivered as long ago as this, unless XCLAIM said that it was far longer ago.
const FRESH_MS: i64 = 50_000;

pub(crate) fn is_unfit(command: &Command, common: Common) -> bool {
    starts_replication(command)
        || leaves_to_chance(command)
        || answers_without_end(command)
        || expires_soon(command)
        || stores_by_numbers(command)
        || takes_id_from_clock(command)
        || blocks_long(command)
        || depends_on_idle_time(command)
        || !common.one_line && (is_named(command, "ltrim") || reads_last_entry(command))
        || !common.scripts && is_named(command, "eval")
        || !common.newer && is_newer(command)
}

pub(crate) fn is_named(command: &Command, name: &str) -> bool {
    command.first().is_some_and(|first| first.eq_ignore_ascii_case(name.as_bytes()))
}

/// A spoiled FLUSHALL SYNC may become SYNC, after which a connection is no client's any more.
fn starts_replication(command: &Command) -> bool {
    is_named(command, "sync")
}

/// What SPOP leaves behind is only the same everywhere if it takes all or nothing.
fn leaves_to_chance(command: &Command) -> bool {
    let count = command.get(2).map(|count| std::str::from_utf8(count).unwrap_or_default().parse());
    is_named(command, "spop") && matches!(count, None | Some(Ok(1..1000)))
}

/// A negative count asks for so many members, one of them again and again.
fn answers_without_end(command: &Command) -> bool {
    let count = command.get(2).and_then(|word| number(word));
    is_named(command, "srandmember") && count.is_some_and(|count| count < -MOST_MEMBERS)
}

/// Servers do not agree on what SORT takes for numbers, so what it stores must not depend on them.
fn stores_by_numbers(command: &Command) -> bool {
    let has = |word: &[u8]| command.iter().any(|other| other.eq_ignore_ascii_case(word));
    has(b"sort") && has(b"store") && !has(b"alpha") && !sorts_by_nothing(command)
}

/// BY NOSORT; a pattern after GET may have the same name.
pub(crate) fn sorts_by_nothing(command: &Command) -> bool {
    let is = |word: &[u8], name: &[u8]| word.eq_ignore_ascii_case(name);
    command.windows(2).any(|words| is(&words[0], b"by") && is(&words[1], b"nosort"))
}

/// What is over within the next seconds is over sooner on one server than on the other. The pools have no such times, but
/// words may have changed their places.
fn expires_soon(command: &Command) -> bool {
    let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let is_soon = |word: &[u8], unit_ms: i64| {
        number(word).is_some_and(|time| (1..100_000 / unit_ms).contains(&time))
    };
    let option_is_soon = |words: &[Vec<u8>]| {
        is(&words[0], "ex") && is_soon(&words[1], 1000)
            || is(&words[0], "px") && is_soon(&words[1], 1)
    };
    let argument_is_soon = match command.as_slice() {
        [name, _, time, ..] if is(name, "setex") || is(name, "expire") => is_soon(time, 1000),
        [name, _, time, ..] if is(name, "psetex") || is(name, "pexpire") || is(name, "restore") => {
            is_soon(time, 1)
        }
        _ => false,
    };
    argument_is_soon || command.windows(2).any(option_is_soon)
}

/// An id that the server makes up is its clock's time. The grammar has a script that asks for one where it is not.
fn takes_id_from_clock(command: &Command) -> bool {
    is_named(command, "xadd") && command.iter().any(|word| word == b"*")
}

/// Who waits for long, or until somebody else does something, gets no answer in time.
fn blocks_long(command: &Command) -> bool {
    let is_long =
        |time_ms: f64| time_ms == 0.0 || (LONGEST_BLOCK_MS..MUCH_TOO_LONG_MS).contains(&time_ms);
    let is_long_in_seconds = |word: &Vec<u8>| {
        word.starts_with(b"0x") || float(word).is_some_and(|time| is_long(time * 1000.0))
    };
    let blocks = |words: &[Vec<u8>]| {
        words[0].eq_ignore_ascii_case(b"block") && float(&words[1]).is_some_and(is_long)
    };
    match command.first().map(|name| name.to_ascii_lowercase()).as_deref() {
        Some(b"blpop" | b"brpop" | b"blmove" | b"brpoplpush") => {
            command.last().is_some_and(is_long_in_seconds)
        }
        Some(b"blmpop") => command.get(1).is_some_and(is_long_in_seconds),
        Some(b"xread" | b"xreadgroup") => command.windows(2).any(blocks),
        _ => false,
    }
}

/// What was delivered a moment ago has been idle for longer on one server than on the other.
fn depends_on_idle_time(command: &Command) -> bool {
    let is_short = |word: &Vec<u8>| number(word).is_some_and(|time| (1..FRESH_MS).contains(&time));
    if is_named(command, "xclaim") || is_named(command, "xautoclaim") {
        return command.get(4).is_some_and(is_short);
    }
    let limits = |words: &[Vec<u8>]| words[0].eq_ignore_ascii_case(b"idle") && is_short(&words[1]);
    is_named(command, "xpending") && command.windows(2).any(limits)
}

/// What servers before redis 7.2 do not do: give a stream's last entry, refuse to wait for much too long, make a consumer of
/// who gets nothing, know that type of payload, and keep a stream's last id above those that were deleted.
fn is_newer(command: &Command) -> bool {
    let tells_of_consumers = |word: &Vec<u8>| {
        word.eq_ignore_ascii_case(b"consumers") || word.eq_ignore_ascii_case(b"createconsumer")
    };
    let is_much_too_long =
        |word: &Vec<u8>| float(word).is_some_and(|number| number >= MUCH_TOO_LONG_MS);
    let is_newer_stream = |word: &Vec<u8>| word.starts_with(&[21]);
    reads_last_entry(command)
        || reads_streams(command) && command.iter().any(is_much_too_long)
        || is_named(command, "xsetid")
        || command.get(1).is_some_and(tells_of_consumers)
        || is_named(command, "restore") && command.iter().any(is_newer_stream)
}

fn reads_last_entry(command: &Command) -> bool {
    reads_streams(command) && command.iter().any(|word| word == b"+")
}

fn reads_streams(command: &Command) -> bool {
    is_named(command, "xread") || is_named(command, "xreadgroup")
}

fn number(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn float(word: &[u8]) -> Option<f64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}
