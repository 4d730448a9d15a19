//! Streams: adding entries, reading ranges of them, and deleting them.

use super::Command;
use super::args::{Args, Word};
use super::metadata::{Group, KeySpec, categories, flags};
use super::string::write_text;
use crate::config::{EventClass, Param};
use crate::error::Error;
use crate::execute::Call;
use crate::keyspace::Changed;
use crate::resp::Reply;
use crate::value::number::{format_integer, parse_integer};
use crate::value::stream::{
    Entry, History, Id, IdRange, LONGEST_ID, Log, NewId, NodeLimits, Stream, Trim, TrimUntil,
    until_zero,
};
use crate::value::string::LONGEST_INTEGER;
use crate::value::{Value, ValueRef};

pub(super) const COMMANDS: &[&Command] =
    &[&XADD, &XLEN, &XRANGE, &XREVRANGE, &XDEL, &XTRIM, &XSETID];

const XADD: Command = Command {
    name: "xadd",
    arity: -5,
    flags: flags("write denyoom fast"),
    categories: categories("stream"),
    keys: &[KeySpec::at(1, "RW update")],
    tips: &["nondeterministic_output"],
    group: Group::Stream,
    since: "5.0.0",
    complexity: "O(1), and O(N) for N entries that are trimmed",
    usage: "key [NOMKSTREAM] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value [field value ...]",
    summary: "Adds an entry to a stream.",
    run: xadd,
    ..Command::BASE
};

fn xadd(call: &mut Call<'_>) -> Result<(), Error> {
    let options = AddOptions::parse(call, true)?;
    call.args.with_rest(options.next, |words| add_entry(call, &options, words))
}

fn add_entry(call: &mut Call<'_>, options: &AddOptions, words: &[&[u8]]) -> Result<(), Error> {
    let key = call.args.at(1);
    if words.is_empty() || words.len() % 2 == 1 {
        return Err(Error::WrongArity(call.row.name.clone()));
    }
    if options.id == NewId::Given(Id::MIN) {
        return Err(Error::err("The ID specified in XADD must be greater than 0-0"));
    }
    let bytes = words.iter().map(|word| word.len()).sum();
    if bytes > NodeLimits::MOST_BYTES {
        return Err(Error::err("Elements are too large to be stored"));
    }
    let (now_ms, limits) = (call.now_ms(), node_limits(call));
    let add = |stream: &mut Stream| {
        let id = new_id(options.id, stream.log.history.last_id, now_ms)?;
        stream.log.append(id, words, bytes, limits);
        let trimmed = options.trim.map_or(0, |trim| stream.log.trim(trim));
        Ok((id, trimmed, stream.log.len()))
    };
    let changed = call.txn.change_large(key, |value| match value {
        Value::Stream(stream) => add(stream),
        _ => Err(Error::WrongType),
    });
    let (id, trimmed, length) = match changed {
        Changed::Done(added) => {
            let added = added?;
            call.txn.touch_ready(key);
            added
        }
        Changed::Short => return Err(Error::WrongType),
        Changed::Missing if options.makes_none => {
            call.reply.null();
            return Ok(());
        }
        Changed::Missing => {
            let mut stream = Box::<Stream>::default();
            let added = add(&mut stream)?;
            call.txn.put(key, Value::Stream(stream), None);
            added
        }
    };
    call.txn.event(EventClass::STREAM, "xadd", key);
    if trimmed > 0 {
        call.txn.side_event(EventClass::STREAM, "xtrim", key);
    }
    if !options.is_exact() && call.txn.has_log() {
        tell_added(call, (key, id), options.trim.map(|_| length), words);
    }
    write_id(&mut call.reply, id);
    Ok(())
}

/// Tells of an entry by the id it was given, and to which length the stream was trimmed.
fn tell_added(
    call: &mut Call<'_>,
    (key, id): (&[u8], Id),
    length: Option<usize>,
    fields: &[&[u8]],
) {
    let (mut id_room, mut length_room) = ([0; LONGEST_ID], [0; LONGEST_INTEGER]);
    let mut words = vec![&b"XADD"[..], key];
    if let Some(length) = length {
        words.extend([&b"MAXLEN"[..], b"=", format_integer(length as i64, &mut length_room)]);
    }
    words.push(id.format(&mut id_room));
    words.extend_from_slice(fields);
    call.tell(words.into_iter());
}

/// The id of a new entry behind the last one.
fn new_id(new: NewId, last: Id, now_ms: i64) -> Result<Id, Error> {
    if last == Id::MAX {
        return Err(Error::err(
            "The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let id = new.behind(last, now_ms.max(0) as u64);
    id.ok_or_else(|| {
        Error::err("The ID specified in XADD is equal or smaller than the target stream top item")
    })
}

/// The options of XADD and XTRIM.
struct AddOptions {
    trim: Option<Trim>,
    makes_none: bool,
    id: NewId,
    /// The place of the argument behind the options.
    next: usize,
}

impl AddOptions {
    /// Whether the same request always does the same.
    fn is_exact(&self) -> bool {
        matches!(self.id, NewId::Given(_)) && self.trim.is_none_or(|trim| !trim.is_rough)
    }

    fn parse(call: &Call<'_>, is_add: bool) -> Result<Self, Error> {
        let args = call.args;
        let mut parsed = AddOptions { trim: None, makes_none: false, id: NewId::Any, next: 2 };
        let (mut trim, mut limit, mut has_id) = (None, None, false);
        while let Some(argument) = args.get(parsed.next)
            && !has_id
        {
            let is_followed = parsed.next + 1 < args.len();
            match &*Word::new(argument) {
                b"*" if is_add => has_id = true,
                name @ (b"MAXLEN" | b"MINID") if is_followed => {
                    if trim.is_some() {
                        return Err(Error::err(
                            "syntax error, MAXLEN and MINID options at the same time are not compatible",
                        ));
                    }
                    let is_rough = parse_operator(args, &mut parsed.next);
                    parsed.next += 1;
                    trim = Some((is_rough, parse_threshold(name, args.at(parsed.next))?));
                }
                b"LIMIT" if is_followed => {
                    parsed.next += 1;
                    limit = Some(args.integer(parsed.next)?);
                    if limit < Some(0) {
                        return Err(Error::err("The LIMIT argument must be >= 0."));
                    }
                }
                b"NOMKSTREAM" if is_add => parsed.makes_none = true,
                _ if is_add => {
                    parsed.id = NewId::parse(argument).ok_or(INVALID_ID)?;
                    has_id = true;
                }
                _ => return Err(Error::Syntax),
            }
            parsed.next += 1;
        }
        if !call.session.is_loader() {
            check_limit(trim.map(|(is_rough, _)| is_rough), limit, is_add)?;
        }
        parsed.trim = trim.map(|(is_rough, until)| {
            let usual = || if is_rough { usual_limit(call) } else { 0 };
            Trim { until, is_rough, most: limit.map_or_else(usual, |limit| limit as usize) }
        });
        Ok(parsed)
    }
}

/// Goes over `~` or `=` if another argument follows it; whether trimming is only rough.
fn parse_operator(args: Args<'_>, next: &mut usize) -> bool {
    let operator = args.at(*next + 1);
    let is_there = *next + 2 < args.len() && matches!(operator, b"~" | b"=");
    *next += usize::from(is_there);
    is_there && operator == b"~"
}

fn parse_threshold(name: &[u8], threshold: &[u8]) -> Result<TrimUntil, Error> {
    if name == b"MINID" {
        return Ok(TrimUntil::Id(parse_id(threshold, 0)?));
    }
    let length = parse_integer(threshold).ok_or(Error::NotInteger)?;
    let length = usize::try_from(length);
    length.map(TrimUntil::Length).map_err(|_| Error::err("The MAXLEN argument must be >= 0."))
}

/// `trim` is whether trimming is rough, if there is any.
fn check_limit(trim: Option<bool>, limit: Option<i64>, is_add: bool) -> Result<(), Error> {
    match (trim, limit) {
        (None, Some(1..)) => Err(Error::err(
            "syntax error, LIMIT cannot be used without specifying a trimming strategy",
        )),
        (None, _) if !is_add => {
            Err(Error::err("syntax error, XTRIM must be called with a trimming strategy"))
        }
        (None | Some(false), Some(_)) => {
            Err(Error::err("syntax error, LIMIT cannot be used without the special ~ option"))
        }
        _ => Ok(()),
    }
}

/// How many entries rough trimming deletes where nothing is said: a hundred nodes full.
fn usual_limit(call: &Call<'_>) -> usize {
    const WITHOUT_NODES: usize = 10_000;
    const MOST: usize = 1_000_000;
    match node_limits(call).entries.saturating_mul(100) {
        0 => WITHOUT_NODES,
        limit => limit.min(MOST),
    }
}

fn node_limits(call: &Call<'_>) -> NodeLimits {
    let number = |param| call.engine.config.number(param) as usize;
    NodeLimits {
        bytes: number(Param::StreamNodeMaxBytes),
        entries: number(Param::StreamNodeMaxEntries),
    }
}

const XLEN: Command = Command {
    name: "xlen",
    arity: 2,
    flags: flags("readonly fast"),
    categories: categories("stream"),
    keys: &[KeySpec::at(1, "RO")],
    group: Group::Stream,
    since: "5.0.0",
    usage: "key",
    summary: "Tells how many entries a stream has.",
    run: xlen,
    ..Command::BASE
};

fn xlen(call: &mut Call<'_>) -> Result<(), Error> {
    let length = match call.txn.read(call.args.at(1)) {
        Some(entry) => stream(entry.value())?.log.len(),
        None => 0,
    };
    call.reply.count(length);
    Ok(())
}

const XRANGE: Command = Command {
    name: "xrange",
    arity: -4,
    flags: flags("readonly"),
    categories: categories("stream"),
    keys: &[KeySpec::at(1, "RO access")],
    group: Group::Stream,
    since: "5.0.0",
    complexity: "O(log(N)+M) for N entries of which M are returned",
    usage: "key start end [COUNT count]",
    summary: "Gets the entries of a stream in a range of ids.",
    run: xrange,
    ..Command::BASE
};

fn xrange(call: &mut Call<'_>) -> Result<(), Error> {
    reply_range(call, 2, 3, false)
}

const XREVRANGE: Command = Command {
    name: "xrevrange",
    arity: -4,
    flags: flags("readonly"),
    categories: categories("stream"),
    keys: &[KeySpec::at(1, "RO access")],
    group: Group::Stream,
    since: "5.0.0",
    complexity: "O(log(N)+M) for N entries of which M are returned",
    usage: "key end start [COUNT count]",
    summary: "Gets the entries of a stream in a range of ids, the last one first.",
    run: xrevrange,
    ..Command::BASE
};

fn xrevrange(call: &mut Call<'_>) -> Result<(), Error> {
    reply_range(call, 3, 2, true)
}

/// `start` and `end` are the places of these arguments.
fn reply_range(call: &mut Call<'_>, start: usize, end: usize, back: bool) -> Result<(), Error> {
    let range =
        IdRange { first: parse_start(call.args.at(start))?, last: parse_end(call.args.at(end))? };
    let mut count = None;
    let mut options = call.args.options(4);
    while let Some(word) = options.word() {
        match &*word {
            b"COUNT" if options.remaining() > 0 => {
                count = Some(usize::try_from(options.integer()?).unwrap_or(0));
            }
            _ => return Err(Error::Syntax),
        }
    }
    let Some(entry) = call.txn.read(call.args.at(1)) else {
        call.reply.array(0);
        return Ok(());
    };
    let log = &stream(entry.value())?.log;
    let most = count.unwrap_or(usize::MAX);
    match (most, back) {
        (0, _) => call.reply.null_array(),
        (_, false) => write_entries(&mut call.reply, log.range(range).take(most)),
        (_, true) => write_entries(&mut call.reply, log.range_back(range).take(most)),
    }
    Ok(())
}

const XDEL: Command = Command {
    name: "xdel",
    arity: -3,
    flags: flags("write fast"),
    categories: categories("stream"),
    keys: &[KeySpec::at(1, "RW delete")],
    group: Group::Stream,
    since: "5.0.0",
    complexity: "O(log(N)) for each id",
    usage: "key id [id ...]",
    summary: "Deletes entries of a stream.",
    run: xdel,
    ..Command::BASE
};

fn xdel(call: &mut Call<'_>) -> Result<(), Error> {
    let key = call.args.at(1);
    if find(call, key)?.is_none() {
        call.reply.integer(0);
        return Ok(());
    }
    let ids = parse_ids(call.args, 2)?;
    let delete = |stream: &mut Stream| ids.iter().filter(|&&id| stream.log.delete(id)).count();
    let deleted = change(call, key, |stream, _| delete(stream));
    note_deleted(call, key, "xdel", deleted);
    call.reply.count(deleted);
    Ok(())
}

fn note_deleted(call: &mut Call<'_>, key: &[u8], event: &'static str, deleted: usize) {
    if deleted > 0 {
        call.txn.touch(key);
        call.txn.events(deleted, EventClass::STREAM, event, key);
    }
}

const XTRIM: Command = Command {
    name: "xtrim",
    arity: -4,
    flags: flags("write"),
    categories: categories("stream"),
    keys: &[KeySpec::at(1, "RW delete")],
    tips: &["nondeterministic_output"],
    group: Group::Stream,
    since: "5.0.0",
    complexity: "O(N) for N entries that are deleted, which go by whole blocks",
    usage: "key <MAXLEN | MINID> [= | ~] threshold [LIMIT count]",
    summary: "Deletes entries at the beginning of a stream.",
    run: xtrim,
    ..Command::BASE
};

fn xtrim(call: &mut Call<'_>) -> Result<(), Error> {
    let key = call.args.at(1);
    let trim = AddOptions::parse(call, false)?.trim;
    let deleted = match (find(call, key)?, trim) {
        (Some(_), Some(trim)) => change(call, key, |stream, _| stream.log.trim(trim)),
        _ => 0,
    };
    note_deleted(call, key, "xtrim", deleted);
    if deleted > 0 && trim.is_some_and(|trim| trim.is_rough) {
        tell_trimmed(call, key)?;
    }
    call.reply.count(deleted);
    Ok(())
}

/// Tells to which length a stream was trimmed, where a request left that open.
fn tell_trimmed(call: &mut Call<'_>, key: &[u8]) -> Result<(), Error> {
    let length = peek(call, key)?.map_or(0, |stream| stream.log.len());
    let mut room = [0; LONGEST_INTEGER];
    let length = format_integer(length as i64, &mut room);
    call.tell([&b"XTRIM"[..], key, b"MAXLEN", b"=", length].into_iter());
    Ok(())
}

const XSETID: Command = Command {
    name: "xsetid",
    arity: -3,
    flags: flags("write denyoom fast"),
    categories: categories("stream"),
    keys: &[KeySpec::at(1, "RW update")],
    group: Group::Stream,
    since: "5.0.0",
    usage: "key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
    summary: "Sets what a stream knows of entries that were added before. Meant for servers that copy one.",
    run: xsetid,
    ..Command::BASE
};

fn xsetid(call: &mut Call<'_>) -> Result<(), Error> {
    let key = call.args.at(1);
    let last_id = parse_id(call.args.at(2), 0)?;
    let (mut added, mut max_deleted_id) = (None, Id::MIN);
    let mut options = call.args.options(3);
    while let Some(word) = options.word() {
        match &*word {
            b"ENTRIESADDED" if options.remaining() > 0 => {
                let number = u64::try_from(options.integer()?);
                added = Some(number.map_err(|_| Error::err("entries_added must be positive"))?);
            }
            b"MAXDELETEDID" if options.remaining() > 0 => {
                max_deleted_id = parse_id(options.value()?, 0)?;
                if last_id < max_deleted_id {
                    return Err(Error::err(
                        "The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                    ));
                }
            }
            _ => return Err(Error::Syntax),
        }
    }
    let log = &find(call, key)?.ok_or(Error::NoSuchKey)?.log;
    check_history(log, last_id, added)?;
    change(call, key, |stream, _| {
        let history = &mut stream.log.history;
        let added = added.unwrap_or(history.added);
        let is_told = max_deleted_id != Id::MIN;
        let max_deleted_id = if is_told { max_deleted_id } else { history.max_deleted_id };
        *history = History { last_id, max_deleted_id, added };
    });
    call.txn.event(EventClass::STREAM, "xsetid", key);
    call.reply.ok();
    Ok(())
}

fn check_history(log: &Log, last_id: Id, added: Option<u64>) -> Result<(), Error> {
    if last_id < log.history.max_deleted_id {
        return Err(Error::err(
            "The ID specified in XSETID is smaller than current max_deleted_entry_id",
        ));
    }
    if log.top().is_some_and(|top| last_id < top) {
        return Err(Error::err(
            "The ID specified in XSETID is smaller than the target stream top item",
        ));
    }
    if added.is_some_and(|added| !log.is_empty() && added < log.len() as u64) {
        return Err(Error::err(
            "The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    Ok(())
}

/// The stream that a value is.
pub(super) const fn stream(value: ValueRef<'_>) -> Result<&Stream, Error> {
    match value {
        ValueRef::Stream(stream) => Ok(stream),
        _ => Err(Error::WrongType),
    }
}

/// The stream under a key, if there is one, that is about to be changed.
pub(super) fn find<'c>(call: &'c mut Call<'_>, key: &[u8]) -> Result<Option<&'c Stream>, Error> {
    call.txn.seek(key).map(|entry| stream(entry.value())).transpose()
}

/// The stream under a key, if there is one, where looking at it counts as nothing.
pub(super) fn peek<'c>(call: &'c mut Call<'_>, key: &[u8]) -> Result<Option<&'c Stream>, Error> {
    call.txn.peek(key).map(|entry| stream(entry.value())).transpose()
}

/// The stream under a key, if there is one, looked up for reading.
pub(super) fn read<'c>(call: &'c mut Call<'_>, key: &[u8]) -> Result<Option<&'c Stream>, Error> {
    call.txn.read(key).map(|entry| stream(entry.value())).transpose()
}

/// Changes a stream that is there. What it does to a group is not told to those who watch the key.
pub(super) fn change<R>(
    call: &mut Call<'_>,
    key: &[u8],
    change: impl FnOnce(&mut Stream, &mut Reply<'_>) -> R,
) -> R {
    let reply = &mut call.reply;
    let changed = call.txn.change(key, |value| match value {
        Value::Stream(stream) => change(stream, reply),
        _ => unreachable!("{STREAM_IS_THERE}"),
    });
    changed.expect(STREAM_IS_THERE)
}

const STREAM_IS_THERE: &str = "the caller has looked that a stream is there";

pub(super) const INVALID_ID: Error =
    Error::err("Invalid stream ID specified as stream command argument");

/// An id, with this sequence if none is given.
pub(super) fn parse_id(text: &[u8], missing: u64) -> Result<Id, Error> {
    Id::parse(text, missing).ok_or(INVALID_ID)
}

/// All arguments from one on.
pub(super) fn parse_ids(args: Args<'_>, from: usize) -> Result<Vec<Id>, Error> {
    args.from(from).map(|text| parse_id(text, 0)).collect()
}

/// The first id of a range: `-`, an id, or one that is not in it itself.
pub(super) fn parse_start(text: &[u8]) -> Result<Id, Error> {
    match parse_bound(text, 0)? {
        (id, false) => Ok(id),
        (id, true) => id.next().ok_or(Error::err("invalid start ID for the interval")),
    }
}

/// The last id of a range: `+`, an id, or one that is not in it itself.
pub(super) fn parse_end(text: &[u8]) -> Result<Id, Error> {
    match parse_bound(text, u64::MAX)? {
        (id, false) => Ok(id),
        (id, true) => id.previous().ok_or(Error::err("invalid end ID for the interval")),
    }
}

/// A bound of a range, and whether it is not in it itself.
fn parse_bound(text: &[u8], missing: u64) -> Result<(Id, bool), Error> {
    Ok(match until_zero(text) {
        b"-" => (Id::MIN, false),
        b"+" => (Id::MAX, false),
        [b'(', _, ..] => (parse_id(&text[1..], missing)?, true),
        _ => (parse_id(text, missing)?, false),
    })
}

pub(super) fn write_id(reply: &mut Reply<'_>, id: Id) {
    reply.bulk(id.format(&mut [0; LONGEST_ID]));
}

pub(super) fn write_entry(reply: &mut Reply<'_>, entry: Entry<'_>) {
    reply.array(2);
    write_id(reply, entry.id);
    reply.array(2 * entry.fields.len());
    for (name, value) in entry.fields {
        write_text(reply, name);
        write_text(reply, value);
    }
}

/// Writes entries of which it is not known yet how many they are.
pub(super) fn write_entries<'s>(reply: &mut Reply<'_>, entries: impl Iterator<Item = Entry<'s>>) {
    let (mark, mut count) = (reply.mark(), 0);
    entries.for_each(|entry| {
        write_entry(reply, entry);
        count += 1;
    });
    reply.array_at(mark, count);
}
