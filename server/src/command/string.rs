//! Strings: whole values and parts of them. Counters are in `counter`.

use bytes::Bytes;

use super::expire::{Expiry, change_deadline};
use super::metadata::{Group, KeySpec, categories, flags};
use super::{Args, Command};
use crate::config::{EventClass, Param};
use crate::error::Error;
use crate::execute::Call;
use crate::resp::Reply;
use crate::value::lcs::{self, Match};
use crate::value::string::LONGEST_INTEGER;
use crate::value::{Text, Value, ValueRef, number};

pub(super) const COMMANDS: &[&Command] = &[
    &GET, &SET, &SETNX, &SETEX, &PSETEX, &GETSET, &GETDEL, &GETEX, &MGET, &MSET, &MSETNX, &APPEND,
    &STRLEN, &GETRANGE, &SUBSTR, &SETRANGE, &LCS,
];

const GET: Command = Command {
    name: "get",
    arity: 2,
    flags: flags("readonly fast"),
    categories: categories("string"),
    keys: &[KeySpec::at(1, "RO access")],
    group: Group::String,
    usage: "key",
    summary: "Gets the value of a string key.",
    run: get,
    ..Command::BASE
};

fn get(call: &mut Call<'_>) -> Result<(), Error> {
    reply_with_value(call)?;
    Ok(())
}

/// Replies with the value of the first key; whether there was one.
fn reply_with_value(call: &mut Call<'_>) -> Result<bool, Error> {
    let Some(entry) = call.txn.read(call.args.at(1)) else {
        call.reply.null();
        return Ok(false);
    };
    write_text(&mut call.reply, text(entry.value())?);
    Ok(true)
}

const SET: Command = Command {
    name: "set",
    arity: -3,
    flags: flags("write denyoom"),
    categories: categories("string"),
    keys: &[KeySpec::at(1, "RW access update variable_flags")],
    group: Group::String,
    usage: "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
    summary: "Sets a key to a string, whatever it held before.",
    run: set,
    ..Command::BASE
};

fn set(call: &mut Call<'_>) -> Result<(), Error> {
    let options = SetOptions::parse(call.args)?;
    let deadline_ms = match options.expiry {
        Some((expiry, raw)) => Some(expiry.deadline_ms(raw, call.now_ms(), "set")?),
        None => None,
    };
    let key = call.args.at(1);
    if options.get {
        reply_with_value(call)?;
    }
    let wanted = match options.condition {
        Some(Condition::Absent) => !call.txn.holds(key),
        Some(Condition::Present) => call.txn.contains(key),
        None => true,
    };
    if wanted {
        let value = value_of(call.args, 2);
        if options.keep_deadline {
            call.txn.holds(key);
            call.txn.put_keeping_deadline(key, value);
        } else {
            call.txn.put(key, value, deadline_ms);
        }
        note_set(call, key, deadline_ms);
        if options.get || deadline_ms.is_some() {
            tell_set(call, (key, call.args.at(2)), &options, deadline_ms);
        }
    }
    match (options.get, wanted) {
        (true, _) => {}
        (false, true) => call.reply.ok(),
        (false, false) => call.reply.null(),
    }
    Ok(())
}

/// Tells of a string that was set: what it expires at rather than after which time, and nothing of what was replied.
fn tell_set(
    call: &mut Call<'_>,
    (key, value): (&[u8], &[u8]),
    options: &SetOptions<'_>,
    deadline_ms: Option<i64>,
) {
    let mut room = [0; LONGEST_INTEGER];
    let (set, condition) = (&b"SET"[..], options.condition.map(Condition::word));
    match (deadline_ms, condition) {
        (Some(deadline_ms), _) => {
            let deadline_ms = number::format_integer(deadline_ms, &mut room);
            call.tell([set, key, value, b"PXAT", deadline_ms].into_iter());
        }
        (None, _) if options.keep_deadline => call.tell([set, key, value, b"KEEPTTL"].into_iter()),
        (None, Some(condition)) => call.tell([set, key, value, condition].into_iter()),
        (None, None) => call.tell([set, key, value].into_iter()),
    }
}

/// Notes that a key was set, with a deadline or without.
fn note_set(call: &mut Call<'_>, key: &[u8], deadline_ms: Option<i64>) {
    call.txn.event(EventClass::STRING, "set", key);
    if deadline_ms.is_some() {
        call.txn.side_event(EventClass::GENERIC, "expire", key);
    }
}

#[derive(Default)]
struct SetOptions<'a> {
    condition: Option<Condition>,
    get: bool,
    keep_deadline: bool,
    expiry: Option<(Expiry, &'a [u8])>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Absent,
    Present,
}

impl Condition {
    const fn word(self) -> &'static [u8] {
        match self {
            Condition::Absent => b"NX",
            Condition::Present => b"XX",
        }
    }
}

impl<'a> SetOptions<'a> {
    fn parse(args: Args<'a>) -> Result<Self, Error> {
        let mut parsed = SetOptions::default();
        let mut options = args.options(3);
        while let Some(word) = options.word() {
            match &*word {
                b"NX" if parsed.condition != Some(Condition::Present) => {
                    parsed.condition = Some(Condition::Absent);
                }
                b"XX" if parsed.condition != Some(Condition::Absent) => {
                    parsed.condition = Some(Condition::Present);
                }
                b"GET" => parsed.get = true,
                b"KEEPTTL" if parsed.expiry.is_none() => parsed.keep_deadline = true,
                word => {
                    let expiry = Expiry::named(word).ok_or(Error::Syntax)?;
                    if parsed.keep_deadline
                        || parsed.expiry.is_some_and(|(earlier, _)| earlier != expiry)
                    {
                        return Err(Error::Syntax);
                    }
                    parsed.expiry = Some((expiry, options.value()?));
                }
            }
        }
        Ok(parsed)
    }
}

const SETNX: Command = Command {
    name: "setnx",
    arity: 3,
    flags: flags("write denyoom fast"),
    categories: categories("string"),
    keys: &[KeySpec::at(1, "OW insert")],
    group: Group::String,
    usage: "key value",
    summary: "Sets a key to a string if the key is not there.",
    replaced_by: Some(("2.6.12", "`SET` with the `NX` argument")),
    run: setnx,
    ..Command::BASE
};

fn setnx(call: &mut Call<'_>) -> Result<(), Error> {
    let key = call.args.at(1);
    let absent = !call.txn.holds(key);
    if absent {
        call.txn.put(key, value_of(call.args, 2), None);
        note_set(call, key, None);
    }
    call.reply.flag(absent);
    Ok(())
}

const SETEX: Command = Command {
    name: "setex",
    arity: 4,
    flags: flags("write denyoom"),
    categories: categories("string"),
    keys: &[KeySpec::at(1, "OW update")],
    group: Group::String,
    since: "2.0.0",
    usage: "key seconds value",
    summary: "Sets a key to a string that expires after some seconds.",
    replaced_by: Some(("2.6.12", "`SET` with the `EX` argument")),
    run: setex,
    ..Command::BASE
};

fn setex(call: &mut Call<'_>) -> Result<(), Error> {
    set_expiring(call, Expiry::SECONDS, "setex")
}

const PSETEX: Command = Command {
    name: "psetex",
    arity: 4,
    flags: flags("write denyoom"),
    categories: categories("string"),
    keys: &[KeySpec::at(1, "OW update")],
    group: Group::String,
    since: "2.6.0",
    usage: "key milliseconds value",
    summary: "Sets a key to a string that expires after some milliseconds.",
    replaced_by: Some(("2.6.12", "`SET` with the `PX` argument")),
    run: psetex,
    ..Command::BASE
};

fn psetex(call: &mut Call<'_>) -> Result<(), Error> {
    set_expiring(call, Expiry::MILLISECONDS, "psetex")
}

fn set_expiring(call: &mut Call<'_>, expiry: Expiry, name: &'static str) -> Result<(), Error> {
    let deadline_ms = expiry.deadline_ms(call.args.at(2), call.now_ms(), name)?;
    call.txn.put(call.args.at(1), value_of(call.args, 3), Some(deadline_ms));
    note_set(call, call.args.at(1), Some(deadline_ms));
    let words = (call.args.at(1), call.args.at(3));
    tell_set(call, words, &SetOptions::default(), Some(deadline_ms));
    call.reply.ok();
    Ok(())
}

const GETSET: Command = Command {
    name: "getset",
    arity: 3,
    flags: flags("write denyoom fast"),
    categories: categories("string"),
    keys: &[KeySpec::at(1, "RW access update")],
    group: Group::String,
    usage: "key value",
    summary: "Sets a key to a string and gives what it held before.",
    replaced_by: Some(("6.2.0", "`SET` with the `!GET` argument")),
    run: getset,
    ..Command::BASE
};

fn getset(call: &mut Call<'_>) -> Result<(), Error> {
    reply_with_value(call)?;
    call.txn.put(call.args.at(1), value_of(call.args, 2), None);
    note_set(call, call.args.at(1), None);
    Ok(())
}

const GETDEL: Command = Command {
    name: "getdel",
    arity: 2,
    flags: flags("write fast"),
    categories: categories("string"),
    keys: &[KeySpec::at(1, "RW access delete")],
    group: Group::String,
    since: "6.2.0",
    usage: "key",
    summary: "Gets the value of a string key and deletes the key.",
    run: getdel,
    ..Command::BASE
};

fn getdel(call: &mut Call<'_>) -> Result<(), Error> {
    if reply_with_value(call)? {
        call.txn.remove(call.args.at(1));
        call.txn.event(EventClass::GENERIC, "del", call.args.at(1));
    }
    Ok(())
}

const GETEX: Command = Command {
    name: "getex",
    arity: -2,
    flags: flags("write fast"),
    categories: categories("string"),
    keys: &[KeySpec::at(1, "RW access update")],
    group: Group::String,
    since: "6.2.0",
    usage: "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
    summary: "Gets the value of a string key and sets or removes its expiration.",
    run: getex,
    ..Command::BASE
};

/// Whether the time makes sense is looked at only if the key is there.
fn getex(call: &mut Call<'_>) -> Result<(), Error> {
    let change = parse_getex(call.args)?;
    let key = call.args.at(1);
    let now_ms = call.now_ms();
    let Some(entry) = call.txn.read(key) else {
        call.reply.null();
        return Ok(());
    };
    let present = text(entry.value())?;
    let deadline_ms = match change {
        Some(DeadlineChange::Set(expiry, raw)) => {
            Some(Some(expiry.deadline_ms(raw, now_ms, "getex")?))
        }
        Some(DeadlineChange::Remove) if entry.deadline_ms().is_some() => Some(None),
        _ => None,
    };
    write_text(&mut call.reply, present);
    if let Some(deadline_ms) = deadline_ms {
        change_deadline(call, key, deadline_ms);
    }
    Ok(())
}

enum DeadlineChange<'a> {
    Set(Expiry, &'a [u8]),
    Remove,
}

fn parse_getex(args: Args<'_>) -> Result<Option<DeadlineChange<'_>>, Error> {
    let mut change = None;
    let mut options = args.options(2);
    while let Some(word) = options.word() {
        let expiry = Expiry::named(&word);
        change = match (change, expiry) {
            (None | Some(DeadlineChange::Remove), None) if &*word == b"PERSIST" => {
                Some(DeadlineChange::Remove)
            }
            (None, Some(expiry)) => Some(DeadlineChange::Set(expiry, options.value()?)),
            // The same unit once more overrides the time before.
            (Some(DeadlineChange::Set(earlier, _)), Some(expiry)) if earlier == expiry => {
                Some(DeadlineChange::Set(expiry, options.value()?))
            }
            _ => return Err(Error::Syntax),
        };
    }
    Ok(change)
}

const MGET: Command = Command {
    name: "mget",
    arity: -2,
    flags: flags("readonly fast"),
    categories: categories("string"),
    keys: &[KeySpec::range(1, -1, 1, "RO access")],
    tips: &["request_policy:multi_shard"],
    group: Group::String,
    complexity: "O(N)",
    usage: "key [key ...]",
    summary: "Gets the values of several string keys.",
    run: mget,
    ..Command::BASE
};

fn mget(call: &mut Call<'_>) -> Result<(), Error> {
    call.reply.array(call.args.len() - 1);
    for key in call.args.from(1) {
        match call.txn.read(key).and_then(|entry| text(entry.value()).ok()) {
            Some(text) => write_text(&mut call.reply, text),
            None => call.reply.null(),
        }
    }
    Ok(())
}

const MSET: Command = Command {
    name: "mset",
    arity: -3,
    flags: flags("write denyoom"),
    categories: categories("string"),
    keys: &[KeySpec::range(1, -1, 2, "OW update")],
    tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
    group: Group::String,
    since: "1.0.1",
    complexity: "O(N)",
    usage: "key value [key value ...]",
    summary: "Sets several keys to strings.",
    run: mset,
    ..Command::BASE
};

fn mset(call: &mut Call<'_>) -> Result<(), Error> {
    set_pairs(call, "mset")?;
    call.reply.ok();
    Ok(())
}

const MSETNX: Command = Command {
    name: "msetnx",
    arity: -3,
    flags: flags("write denyoom"),
    categories: categories("string"),
    keys: &[KeySpec::range(1, -1, 2, "OW insert")],
    group: Group::String,
    since: "1.0.1",
    complexity: "O(N)",
    usage: "key value [key value ...]",
    summary: "Sets several keys to strings if none of the keys is there.",
    run: msetnx,
    ..Command::BASE
};

fn msetnx(call: &mut Call<'_>) -> Result<(), Error> {
    let absent = call.args.from(1).step_by(2).all(|key| !call.txn.holds(key));
    if absent || call.args.len().is_multiple_of(2) {
        set_pairs(call, "msetnx")?;
    }
    call.reply.flag(absent);
    Ok(())
}

fn set_pairs(call: &mut Call<'_>, name: &'static str) -> Result<(), Error> {
    if call.args.len().is_multiple_of(2) {
        return Err(Error::WrongArity(name.to_owned()));
    }
    for index in (1..call.args.len()).step_by(2) {
        call.txn.put(call.args.at(index), value_of(call.args, index + 1), None);
        note_set(call, call.args.at(index), None);
    }
    Ok(())
}

const APPEND: Command = Command {
    name: "append",
    arity: 3,
    flags: flags("write denyoom fast"),
    categories: categories("string"),
    keys: &[KeySpec::at(1, "RW insert")],
    group: Group::String,
    since: "2.0.0",
    complexity: "O(1). The amortized time complexity is O(1) assuming the appended value is small and the already present value is of any size, since the dynamic string library used by Redis will double the free space available on every reallocation.",
    usage: "key value",
    summary: "Appends to the value of a key, which is created if it is not there.",
    run: append,
    ..Command::BASE
};

fn append(call: &mut Call<'_>) -> Result<(), Error> {
    let (key, tail) = (call.args.at(1), call.args.at(2));
    let Some(entry) = call.txn.seek(key) else {
        call.txn.put(key, value_of(call.args, 2), None);
        call.txn.event(EventClass::STRING, "append", key);
        call.reply.count(tail.len());
        return Ok(());
    };
    let present = text(entry.value())?.len();
    check_length(call, present.saturating_add(tail.len()))?;
    let length = change_text(call, |bytes| {
        bytes.extend_from_slice(tail);
        bytes.len()
    });
    call.txn.event(EventClass::STRING, "append", key);
    call.reply.count(length);
    Ok(())
}

const STRLEN: Command = Command {
    name: "strlen",
    arity: 2,
    flags: flags("readonly fast"),
    categories: categories("string"),
    keys: &[KeySpec::at(1, "RO")],
    group: Group::String,
    since: "2.2.0",
    usage: "key",
    summary: "Gives the length of a string value.",
    run: strlen,
    ..Command::BASE
};

fn strlen(call: &mut Call<'_>) -> Result<(), Error> {
    let length = match call.txn.read(call.args.at(1)) {
        Some(entry) => text(entry.value())?.len(),
        None => 0,
    };
    call.reply.count(length);
    Ok(())
}

const GETRANGE: Command = Command {
    name: "getrange",
    arity: 4,
    flags: flags("readonly"),
    categories: categories("string"),
    keys: &[KeySpec::at(1, "RO access")],
    group: Group::String,
    since: "2.4.0",
    complexity: "O(N)",
    usage: "key start end",
    summary: "Gives a part of a string value.",
    run: getrange,
    ..Command::BASE
};

fn getrange(call: &mut Call<'_>) -> Result<(), Error> {
    let (start, end) = (call.args.integer(2)?, call.args.integer(3)?);
    let Some(entry) = call.txn.read(call.args.at(1)) else {
        call.reply.bulk(b"");
        return Ok(());
    };
    let text = text(entry.value())?;
    let mut digits = [0; LONGEST_INTEGER];
    let bytes = text.bytes(&mut digits);
    let range = clamp_range(start, end, bytes.len());
    match text {
        // A slice keeps all of its value alive: only one that is most of it may.
        Text::Shared(shared) if range.len() > shared.len() / 2 => {
            call.reply.shared_bulk(&shared.slice(range));
        }
        _ => call.reply.bulk(&bytes[range]),
    }
    Ok(())
}

/// What `start` and `end`, the last included and negative from the end, mean for this length.
fn clamp_range(start: i64, end: i64, length: usize) -> std::ops::Range<usize> {
    let length = length as i64;
    if start < 0 && end < 0 && start > end {
        return 0..0;
    }
    let from_end = |index: i64| if index < 0 { index.saturating_add(length).max(0) } else { index };
    let (start, end) = (from_end(start), from_end(end).min(length - 1));
    if length == 0 || start > end { 0..0 } else { start as usize..end as usize + 1 }
}

const SUBSTR: Command = Command {
    name: "substr",
    arity: 4,
    flags: flags("readonly"),
    categories: categories("string"),
    keys: &[KeySpec::at(1, "RO access")],
    group: Group::String,
    complexity: "O(N)",
    usage: "key start end",
    summary: "Gives a part of a string value, by the old name of GETRANGE.",
    replaced_by: Some(("2.0.0", "`GETRANGE`")),
    run: getrange,
    ..Command::BASE
};

const SETRANGE: Command = Command {
    name: "setrange",
    arity: 4,
    flags: flags("write denyoom"),
    categories: categories("string"),
    keys: &[KeySpec::at(1, "RW update")],
    group: Group::String,
    since: "2.2.0",
    complexity: "O(N)",
    usage: "key offset value",
    summary: "Overwrites a part of a string value, filled up with zero bytes to its offset.",
    run: setrange,
    ..Command::BASE
};

fn setrange(call: &mut Call<'_>) -> Result<(), Error> {
    let (key, part) = (call.args.at(1), call.args.at(3));
    let offset = call.args.integer(2)?;
    let offset = usize::try_from(offset).map_err(|_| Error::err("offset is out of range"))?;
    let present = match call.txn.seek(key) {
        Some(entry) => Some(text(entry.value())?.len()),
        None => None,
    };
    if part.is_empty() {
        call.reply.count(present.unwrap_or(0));
        return Ok(());
    }
    let end = offset.saturating_add(part.len());
    check_length(call, end)?;
    if present.is_none() {
        call.txn.put(key, Text::Growing(b""), None);
    }
    let length = change_text(call, |bytes| {
        bytes.resize(bytes.len().max(end), 0);
        bytes[offset..end].copy_from_slice(part);
        bytes.len()
    });
    call.txn.event(EventClass::STRING, "setrange", key);
    call.reply.count(length);
    Ok(())
}

/// Changes the string at the first key, which is there, in place.
fn change_text(call: &mut Call<'_>, change: impl FnOnce(&mut Vec<u8>) -> usize) -> usize {
    let key = call.args.at(1);
    let changed = call.txn.change(key, |value| match value {
        Value::String(text) => change(text.grow()),
        _ => unreachable!("{STRING_IS_THERE}"),
    });
    call.txn.touch(key);
    changed.expect(STRING_IS_THERE)
}

const STRING_IS_THERE: &str = "the handler has seen that a string is there";

fn check_length(call: &Call<'_>, length: usize) -> Result<(), Error> {
    let longest = call.engine.config.longest_string();
    if length as u64 > longest as u64 { Err(Error::StringTooLong) } else { Ok(()) }
}

const LCS: Command = Command {
    name: "lcs",
    arity: -3,
    flags: flags("readonly"),
    categories: categories("string"),
    keys: &[KeySpec::range(1, 1, 1, "RO access")],
    group: Group::String,
    since: "7.0.0",
    complexity: "O(N*M)",
    usage: "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
    summary: "Finds the longest common subsequence of two strings.",
    run: lcs,
    ..Command::BASE
};

fn lcs(call: &mut Call<'_>) -> Result<(), Error> {
    let (one, other) = (lcs_operand(call, 1)?, lcs_operand(call, 2)?);
    let options = LcsOptions::parse(call.args)?;
    check_table(call, &one, &other)?;
    if options.length_only {
        call.reply.count(lcs::lcs_len(&one, &other));
        return Ok(());
    }
    let found = lcs::lcs(&one, &other);
    if !options.matches {
        call.reply.bulk(&found.text);
        return Ok(());
    }
    let long_enough = |found: &&Match| found.len() as i64 >= options.shortest;
    let matches: Vec<&Match> = found.matches.iter().filter(long_enough).collect();
    call.reply.map(2);
    call.reply.bulk(b"matches");
    call.reply.array(matches.len());
    for found in matches {
        write_match(&mut call.reply, found, options.with_lengths);
    }
    call.reply.bulk(b"len");
    call.reply.count(found.text.len());
    Ok(())
}

/// Refuses what would need a larger table than a string may be long.
fn check_table(call: &Call<'_>, one: &[u8], other: &[u8]) -> Result<(), Error> {
    let most = call.engine.config.number(Param::ProtoMaxBulkLen);
    if lcs::table_bytes(one.len(), other.len()) > most as u128 {
        let text = "Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len";
        return Err(Error::err(text));
    }
    Ok(())
}

#[derive(Default)]
struct LcsOptions {
    length_only: bool,
    matches: bool,
    with_lengths: bool,
    shortest: i64,
}

impl LcsOptions {
    fn parse(args: Args<'_>) -> Result<Self, Error> {
        let mut parsed = LcsOptions::default();
        let mut options = args.options(3);
        while let Some(word) = options.word() {
            match &*word {
                b"IDX" => parsed.matches = true,
                b"LEN" => parsed.length_only = true,
                b"WITHMATCHLEN" => parsed.with_lengths = true,
                b"MINMATCHLEN" => parsed.shortest = options.integer()?.max(0),
                _ => return Err(Error::Syntax),
            }
        }
        if parsed.matches && parsed.length_only {
            let text = "If you want both the length and indexes, please just use IDX.";
            return Err(Error::err(text));
        }
        Ok(parsed)
    }
}

fn lcs_operand(call: &mut Call<'_>, index: usize) -> Result<Bytes, Error> {
    let not_strings = || Error::err("The specified keys must contain string values");
    match call.txn.read(call.args.at(index)) {
        Some(entry) => Ok(text(entry.value()).map_err(|_| not_strings())?.to_bytes()),
        None => Ok(Bytes::new()),
    }
}

fn write_match(reply: &mut Reply<'_>, found: &Match, with_length: bool) {
    reply.array(if with_length { 3 } else { 2 });
    for (start, end) in [(found.a_start, found.a_end), (found.b_start, found.b_end)] {
        reply.array(2);
        reply.count(start);
        reply.count(end);
    }
    if with_length {
        reply.count(found.len());
    }
}

/// The value that an argument becomes; a large argument is kept as it arrived.
pub(super) fn value_of(args: Args<'_>, index: usize) -> Text<'_> {
    match args.shared(index) {
        Some(bytes) => Text::shared(bytes),
        None => Text::new(args.at(index)),
    }
}

/// The string that a value is.
pub(super) fn text(value: ValueRef<'_>) -> Result<Text<'_>, Error> {
    match value {
        ValueRef::String(text) => Ok(text),
        _ => Err(Error::WrongType),
    }
}

pub(super) fn write_text(reply: &mut Reply<'_>, text: Text<'_>) {
    match text {
        Text::Integer(integer) => reply.bulk_integer(integer),
        Text::Shared(bytes) => reply.shared_bulk(bytes),
        other => reply.bulk(other.bytes(&mut [0; LONGEST_INTEGER])),
    }
}
