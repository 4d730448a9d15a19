//! Lists: adding to them, taking from them, and looking at them. What moves elements from one
//! list to another is in `list_moves`, what waits for elements in `list_waiting`.

use super::keys::remove_emptied;
use super::metadata::{Group, KeySpec, categories, flags};
use super::{Args, Command};
use crate::config::{EventClass, Param};
use crate::engine::Engine;
use crate::error::Error;
use crate::execute::Call;
use crate::resp::Reply;
use crate::value::list::{End, List, is_same};
use crate::value::{Text, Value, ValueRef};

use super::string::{value_of, write_text};

pub(super) const COMMANDS: &[&Command] = &[
    &LPUSH, &RPUSH, &LPUSHX, &RPUSHX, &LPOP, &RPOP, &LLEN, &LRANGE, &LINDEX, &LINSERT, &LSET,
    &LREM, &LTRIM, &LPOS,
];

const LPUSH: Command = Command {
    name: "lpush",
    arity: -3,
    flags: flags("write denyoom fast"),
    categories: categories("list"),
    keys: &[KeySpec::at(1, "RW insert")],
    group: Group::List,
    complexity: "O(N) for N elements",
    usage: "key element [element ...]",
    summary: "Puts elements in front of a list, one after the other.",
    run: lpush,
    ..Command::BASE
};

fn lpush(call: &mut Call<'_>) -> Result<(), Error> {
    push(call, End::Head)
}

const RPUSH: Command = Command {
    name: "rpush",
    arity: -3,
    flags: flags("write denyoom fast"),
    categories: categories("list"),
    keys: &[KeySpec::at(1, "RW insert")],
    group: Group::List,
    complexity: "O(N) for N elements",
    usage: "key element [element ...]",
    summary: "Puts elements at the end of a list, one after the other.",
    run: rpush,
    ..Command::BASE
};

fn rpush(call: &mut Call<'_>) -> Result<(), Error> {
    push(call, End::Tail)
}

fn push(call: &mut Call<'_>, end: End) -> Result<(), Error> {
    let key = call.args.at(1);
    if length(call, key)?.is_some() {
        add_arguments(call, end);
        return Ok(());
    }
    let (mut list, elements) = (List::new(), elements(call.args));
    list.reserve(end, elements.clone());
    push_all(&mut list, end, elements, Limit::of(call));
    let length = list.len();
    call.txn.put(key, Value::List(list), None);
    reply_to_push(call, end, length);
    Ok(())
}

/// The arguments that are elements.
fn elements(args: Args<'_>) -> impl Iterator<Item = Text<'_>> + Clone {
    (2..args.len()).map(move |index| value_of(args, index))
}

fn push_all<'t>(
    list: &mut List,
    end: End,
    elements: impl Iterator<Item = Text<'t>> + Clone,
    limit: Limit,
) {
    limit.note_growth(list, elements.clone());
    elements.for_each(|element| list.push(end, element));
}

fn reply_to_push(call: &mut Call<'_>, end: End, length: usize) {
    let (key, count) = (call.args.at(1), call.args.len() - 2);
    call.txn.events(count, EventClass::LIST, pushed(end), key);
    call.reply.count(length);
}

const LPUSHX: Command = Command {
    name: "lpushx",
    arity: -3,
    flags: flags("write denyoom fast"),
    categories: categories("list"),
    keys: &[KeySpec::at(1, "RW insert")],
    group: Group::List,
    since: "2.2.0",
    complexity: "O(N) for N elements",
    usage: "key element [element ...]",
    summary: "Puts elements in front of a list, if there is one.",
    run: lpushx,
    ..Command::BASE
};

fn lpushx(call: &mut Call<'_>) -> Result<(), Error> {
    push_if_present(call, End::Head)
}

const RPUSHX: Command = Command {
    name: "rpushx",
    arity: -3,
    flags: flags("write denyoom fast"),
    categories: categories("list"),
    keys: &[KeySpec::at(1, "RW insert")],
    group: Group::List,
    since: "2.2.0",
    complexity: "O(N) for N elements",
    usage: "key element [element ...]",
    summary: "Puts elements at the end of a list, if there is one.",
    run: rpushx,
    ..Command::BASE
};

fn rpushx(call: &mut Call<'_>) -> Result<(), Error> {
    push_if_present(call, End::Tail)
}

fn push_if_present(call: &mut Call<'_>, end: End) -> Result<(), Error> {
    match length(call, call.args.at(1))? {
        Some(_) => add_arguments(call, end),
        None => call.reply.integer(0),
    }
    Ok(())
}

/// Adds the elements to the list that is there.
fn add_arguments(call: &mut Call<'_>, end: End) {
    let (key, elements, limit) = (call.args.at(1), elements(call.args), Limit::of(call));
    let length = change(call, key, |list, _| {
        push_all(list, end, elements, limit);
        list.len()
    });
    reply_to_push(call, end, length);
}

/// The event of putting elements at an end of a list.
pub(super) const fn pushed(end: End) -> &'static str {
    match end {
        End::Head => "lpush",
        End::Tail => "rpush",
    }
}

/// An end of a list as clients call it.
pub(super) const fn side(end: End) -> &'static [u8] {
    match end {
        End::Head => b"LEFT",
        End::Tail => b"RIGHT",
    }
}

/// The event of taking elements from an end of a list.
pub(super) const fn popped(end: End) -> &'static str {
    match end {
        End::Head => "lpop",
        End::Tail => "rpop",
    }
}

const LPOP: Command = Command {
    name: "lpop",
    arity: -2,
    flags: flags("write fast"),
    categories: categories("list"),
    keys: &[KeySpec::at(1, "RW access delete")],
    group: Group::List,
    complexity: "O(N) for N elements",
    usage: "key [count]",
    summary: "Takes elements from the front of a list.",
    run: lpop,
    ..Command::BASE
};

fn lpop(call: &mut Call<'_>) -> Result<(), Error> {
    pop(call, End::Head, "lpop")
}

const RPOP: Command = Command {
    name: "rpop",
    arity: -2,
    flags: flags("write fast"),
    categories: categories("list"),
    keys: &[KeySpec::at(1, "RW access delete")],
    group: Group::List,
    complexity: "O(N) for N elements",
    usage: "key [count]",
    summary: "Takes elements from the end of a list.",
    run: rpop,
    ..Command::BASE
};

fn rpop(call: &mut Call<'_>) -> Result<(), Error> {
    pop(call, End::Tail, "rpop")
}

fn pop(call: &mut Call<'_>, end: End, name: &str) -> Result<(), Error> {
    if call.args.len() > 3 {
        return Err(Error::WrongArity(name.to_owned()));
    }
    let key = call.args.at(1);
    let count = match call.args.get(2) {
        Some(_) => Some(not_negative(call.args.integer(2))?),
        None => None,
    };
    match (length(call, key)?, count) {
        (None, None) => call.reply.null(),
        (None, Some(_)) => call.reply.null_array(),
        (Some(_), None) => take(call, key, end, 1),
        (Some(length), Some(count)) => {
            let count = count.min(length);
            call.reply.array(count);
            take(call, key, end, count);
        }
    }
    Ok(())
}

/// Takes so many elements that there are from a list, and writes them.
pub(super) fn take(call: &mut Call<'_>, key: &[u8], end: End, count: usize) {
    if count == 0 {
        return;
    }
    let limit = Limit::of(call);
    let is_empty = change(call, key, |list, reply| {
        for _ in 0..count {
            if let Some(element) = list.end(end) {
                write_text(reply, element);
            }
            list.drop_end(end);
        }
        limit.note_shrinking(list);
        list.is_empty()
    });
    call.txn.events(count, EventClass::LIST, popped(end), key);
    if is_empty {
        remove_emptied(&mut call.txn, key);
    }
}

const LLEN: Command = Command {
    name: "llen",
    arity: 2,
    flags: flags("readonly fast"),
    categories: categories("list"),
    keys: &[KeySpec::at(1, "RO")],
    group: Group::List,
    usage: "key",
    summary: "Tells how long a list is.",
    run: llen,
    ..Command::BASE
};

fn llen(call: &mut Call<'_>) -> Result<(), Error> {
    let length = match call.txn.read(call.args.at(1)) {
        Some(entry) => list(entry.value())?.len(),
        None => 0,
    };
    call.reply.count(length);
    Ok(())
}

const LRANGE: Command = Command {
    name: "lrange",
    arity: 4,
    flags: flags("readonly"),
    categories: categories("list"),
    keys: &[KeySpec::at(1, "RO access")],
    group: Group::List,
    complexity: "O(S+N) for a range of N elements, S away from the nearer end",
    usage: "key start stop",
    summary: "Gets a range of a list's elements.",
    run: lrange,
    ..Command::BASE
};

fn lrange(call: &mut Call<'_>) -> Result<(), Error> {
    let (start, stop) = (call.args.integer(2)?, call.args.integer(3)?);
    let Some(entry) = call.txn.read(call.args.at(1)) else {
        call.reply.array(0);
        return Ok(());
    };
    let list = list(entry.value())?;
    let range = range(start, stop, list.len());
    call.reply.array(range.len());
    list.visit(range, |element| write_text(&mut call.reply, element));
    Ok(())
}

/// The part of a list that two indexes mean, of which negative ones count from the end.
fn range(start: i64, stop: i64, length: usize) -> std::ops::Range<usize> {
    let length = length as i64;
    let from_front = |index: i64| if index < 0 { index.saturating_add(length) } else { index };
    let start = from_front(start).max(0);
    let end = from_front(stop).min(length - 1) + 1;
    if start < end { start as usize..end as usize } else { 0..0 }
}

const LINDEX: Command = Command {
    name: "lindex",
    arity: 3,
    flags: flags("readonly"),
    categories: categories("list"),
    keys: &[KeySpec::at(1, "RO access")],
    group: Group::List,
    complexity: "O(N) for an element N away from the nearer end",
    usage: "key index",
    summary: "Gets an element of a list by its index.",
    run: lindex,
    ..Command::BASE
};

fn lindex(call: &mut Call<'_>) -> Result<(), Error> {
    let Some(entry) = call.txn.read(call.args.at(1)) else {
        call.reply.null();
        return Ok(());
    };
    let list = list(entry.value())?;
    let index = position(call.args.integer(2)?, list.len());
    match index.and_then(|index| list.get(index)) {
        Some(element) => write_text(&mut call.reply, element),
        None => call.reply.null(),
    }
    Ok(())
}

/// The place that an index means, if there is an element.
fn position(index: i64, length: usize) -> Option<usize> {
    let from_front = if index < 0 { index.checked_add(length as i64)? } else { index };
    usize::try_from(from_front).ok().filter(|&index| index < length)
}

const LINSERT: Command = Command {
    name: "linsert",
    arity: 5,
    flags: flags("write denyoom"),
    categories: categories("list"),
    keys: &[KeySpec::at(1, "RW insert")],
    group: Group::List,
    since: "2.2.0",
    complexity: "O(N) for a pivot N away from the front",
    usage: "key <BEFORE | AFTER> pivot element",
    summary: "Puts an element before or after another one.",
    run: linsert,
    ..Command::BASE
};

fn linsert(call: &mut Call<'_>) -> Result<(), Error> {
    let is_after = match call.args.at(2) {
        word if word.eq_ignore_ascii_case(b"after") => true,
        word if word.eq_ignore_ascii_case(b"before") => false,
        _ => return Err(Error::Syntax),
    };
    let (key, pivot, element) = (call.args.at(1), value_of(call.args, 3), value_of(call.args, 4));
    if length(call, key)?.is_none() {
        call.reply.integer(0);
        return Ok(());
    }
    let limit = Limit::of(call);
    let length = change_if(call, key, |list| {
        limit.note_growth(list, std::iter::once(element));
        let found = list.iter().position(|other| is_same(other, pivot));
        if let Some(found) = found {
            list.insert(found + usize::from(is_after), element);
        }
        (found.map(|_| list.len()), found.is_some())
    });
    match length {
        Some(length) => {
            call.txn.event(EventClass::LIST, "linsert", key);
            call.reply.count(length);
        }
        None => call.reply.integer(-1),
    }
    Ok(())
}

const LSET: Command = Command {
    name: "lset",
    arity: 4,
    flags: flags("write denyoom"),
    categories: categories("list"),
    keys: &[KeySpec::at(1, "RW update")],
    group: Group::List,
    complexity: "O(N) for an element N away from the nearer end",
    usage: "key index element",
    summary: "Replaces the element at an index of a list.",
    run: lset,
    ..Command::BASE
};

fn lset(call: &mut Call<'_>) -> Result<(), Error> {
    let key = call.args.at(1);
    let length = length(call, key)?.ok_or(Error::NoSuchKey)?;
    // Redis takes the low 32 bits of whatever integer it is.
    let index = position(i64::from(call.args.integer(2)? as i32), length);
    let (element, limit) = (value_of(call.args, 3), Limit::of(call));
    change_if(call, key, |list| {
        limit.note_growth(list, std::iter::once(element));
        if let Some(index) = index {
            list.set(index, element);
            limit.note_shrinking(list);
        }
        ((), index.is_some())
    });
    index.ok_or(Error::err("index out of range"))?;
    call.txn.event(EventClass::LIST, "lset", key);
    call.reply.ok();
    Ok(())
}

const LREM: Command = Command {
    name: "lrem",
    arity: 4,
    flags: flags("write"),
    categories: categories("list"),
    keys: &[KeySpec::at(1, "RW delete")],
    group: Group::List,
    complexity: "O(N)",
    usage: "key count element",
    summary: "Removes elements that are the same as another: COUNT from the front, -COUNT from the end, or all.",
    run: lrem,
    ..Command::BASE
};

fn lrem(call: &mut Call<'_>) -> Result<(), Error> {
    let count = signed(call.args.integer(2)?)?;
    let (key, element) = (call.args.at(1), value_of(call.args, 3));
    if length(call, key)?.is_none() {
        call.reply.integer(0);
        return Ok(());
    }
    let end = if count < 0 { End::Tail } else { End::Head };
    let most = if count == 0 { usize::MAX } else { count.unsigned_abs() as usize };
    let limit = Limit::of(call);
    let (removed, is_empty) = change_if(call, key, |list| {
        let removed = list.remove_same(element, end, most);
        if removed > 0 {
            limit.note_shrinking(list);
        }
        ((removed, list.is_empty()), removed > 0)
    });
    if removed > 0 {
        call.txn.events(removed, EventClass::LIST, "lrem", key);
    }
    if is_empty {
        remove_emptied(&mut call.txn, key);
    }
    call.reply.count(removed);
    Ok(())
}

/// Redis takes the absolute value, and so refuses the one number that has none.
pub(super) fn signed(count: i64) -> Result<i64, Error> {
    if count > i64::MIN {
        return Ok(count);
    }
    Err(Error::format(format_args!(
        "value is out of range, value must between {} and {}",
        -i64::MAX,
        i64::MAX
    )))
}

const LTRIM: Command = Command {
    name: "ltrim",
    arity: 4,
    flags: flags("write"),
    categories: categories("list"),
    keys: &[KeySpec::at(1, "RW delete")],
    group: Group::List,
    complexity: "O(N) for N elements that go",
    usage: "key start stop",
    summary: "Removes all elements that are not in a range.",
    run: ltrim,
    ..Command::BASE
};

fn ltrim(call: &mut Call<'_>) -> Result<(), Error> {
    let (start, stop) = (call.args.integer(2)?, call.args.integer(3)?);
    let key = call.args.at(1);
    if let Some(length) = length(call, key)? {
        let (range, limit) = (range(start, stop, length), Limit::of(call));
        let removed = length - range.len();
        let is_empty = change(call, key, |list, _| {
            list.trim(range);
            limit.note_shrinking(list);
            list.is_empty()
        });
        call.txn.events(removed, EventClass::LIST, "ltrim", key);
        if is_empty {
            remove_emptied(&mut call.txn, key);
        }
    }
    call.reply.ok();
    Ok(())
}

const LPOS: Command = Command {
    name: "lpos",
    arity: -3,
    flags: flags("readonly"),
    categories: categories("list"),
    keys: &[KeySpec::at(1, "RO access")],
    group: Group::List,
    since: "6.0.6",
    complexity: "O(N)",
    usage: "key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
    summary: "Finds elements that are the same as another.",
    run: lpos,
    ..Command::BASE
};

fn lpos(call: &mut Call<'_>) -> Result<(), Error> {
    let options = PositionOptions::parse(call.args)?;
    let element = value_of(call.args, 2);
    let Some(entry) = call.txn.read(call.args.at(1)) else {
        match options.count {
            Some(_) => call.reply.array(0),
            None => call.reply.null(),
        }
        return Ok(());
    };
    let found = options.find(list(entry.value())?, element);
    match (options.count, found.first()) {
        (Some(_), _) => {
            call.reply.array(found.len());
            for index in found {
                call.reply.count(index);
            }
        }
        (None, Some(&index)) => call.reply.count(index),
        (None, None) => call.reply.null(),
    }
    Ok(())
}

struct PositionOptions {
    rank: i64,
    /// 0 means all.
    count: Option<usize>,
    /// 0 means as long as the list is.
    most_compared: usize,
}

impl PositionOptions {
    fn parse(args: Args<'_>) -> Result<Self, Error> {
        let mut parsed = PositionOptions { rank: 1, count: None, most_compared: 0 };
        let mut options = args.options(3);
        while let Some(word) = options.word() {
            match &*word {
                b"RANK" => parsed.rank = rank(options.integer()?)?,
                b"COUNT" if options.remaining() > 0 => {
                    let count = not_negative(options.integer()).ok();
                    parsed.count = Some(count.ok_or(Error::err("COUNT can't be negative"))?);
                }
                b"MAXLEN" if options.remaining() > 0 => {
                    let length = not_negative(options.integer()).ok();
                    parsed.most_compared = length.ok_or(Error::err("MAXLEN can't be negative"))?;
                }
                _ => return Err(Error::Syntax),
            }
        }
        Ok(parsed)
    }

    /// The indexes of what is the same, in the order that they are found.
    fn find(&self, list: &List, element: Text<'_>) -> Vec<usize> {
        let compared = if self.most_compared == 0 { usize::MAX } else { self.most_compared };
        let wanted = match self.count {
            None => 1,
            Some(0) => usize::MAX,
            Some(count) => count,
        };
        let skipped = self.rank.unsigned_abs() as usize - 1;
        let is_it = |(_, other): &(usize, Text<'_>)| is_same(*other, element);
        if self.rank > 0 {
            let found = list.iter().enumerate().take(compared).filter(is_it).skip(skipped);
            return found.take(wanted).map(|(index, _)| index).collect();
        }
        let found = list.iter().rev().enumerate().take(compared).filter(is_it).skip(skipped);
        found.take(wanted).map(|(index, _)| list.len() - 1 - index).collect()
    }
}

fn rank(rank: i64) -> Result<i64, Error> {
    if rank == 0 {
        return Err(Error::err(
            "RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
        ));
    }
    signed(rank)
}

/// A count that Redis wants to be 0 or more, whatever else it is.
pub(super) fn not_negative(number: Result<i64, Error>) -> Result<usize, Error> {
    let count = number.ok().and_then(|count| usize::try_from(count).ok());
    count.ok_or(Error::err("value is out of range, must be positive"))
}

/// The list that a value is.
pub(super) const fn list(value: ValueRef<'_>) -> Result<&List, Error> {
    match value {
        ValueRef::List(list) => Ok(list),
        _ => Err(Error::WrongType),
    }
}

/// The length of the list under a key, if there is one, that is about to be changed.
pub(super) fn length(call: &mut Call<'_>, key: &[u8]) -> Result<Option<usize>, Error> {
    match call.txn.seek(key) {
        Some(entry) => Ok(Some(list(entry.value())?.len())),
        None => Ok(None),
    }
}

/// Changes a list that is there.
pub(super) fn change<R>(
    call: &mut Call<'_>,
    key: &[u8],
    change: impl FnOnce(&mut List, &mut Reply<'_>) -> R,
) -> R {
    let reply = &mut call.reply;
    let changed = call.txn.change(key, |value| match value {
        Value::List(list) => change(list, reply),
        _ => unreachable!("{LIST_IS_THERE}"),
    });
    call.txn.touch(key);
    changed.expect(LIST_IS_THERE)
}

/// The same, for what may turn out not to change anything.
fn change_if<R>(call: &mut Call<'_>, key: &[u8], change: impl FnOnce(&mut List) -> (R, bool)) -> R {
    let changed = call.txn.change(key, |value| match value {
        Value::List(list) => change(list),
        _ => unreachable!("{LIST_IS_THERE}"),
    });
    let (result, has_changed) = changed.expect(LIST_IS_THERE);
    if has_changed {
        call.txn.touch(key);
    }
    result
}

const LIST_IS_THERE: &str = "the caller has looked that a list is there";

/// How large a list may get before Redis tells that it consists of several nodes.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    bytes: usize,
    elements: usize,
}

impl Limit {
    const NODE_SIZES: [usize; 5] = [4096, 8192, 16_384, 32_768, 65_536];
    /// A node that is limited by its elements is nevertheless not larger than this.
    const LARGEST_COUNTED: usize = 8192;
    const MOST_COUNTED: i64 = (1 << 15) - 1;
    /// What a node takes beyond its elements.
    const OVERHEAD: usize = 7;

    pub(super) fn of(call: &Call<'_>) -> Self {
        Self::of_engine(call.engine)
    }

    pub(super) fn of_engine(engine: &Engine) -> Self {
        match engine.config.number(Param::ListMaxListpackSize) {
            size @ ..0 => {
                let size = (size.unsigned_abs() as usize).min(Self::NODE_SIZES.len());
                Limit { bytes: Self::NODE_SIZES[size - 1], elements: usize::MAX }
            }
            count => {
                let elements = count.clamp(1, Self::MOST_COUNTED) as usize;
                Limit { bytes: Self::LARGEST_COUNTED, elements }
            }
        }
    }

    /// Says of a list whether it gets long by these elements, before they are added.
    pub(super) fn note_growth<'t>(self, list: &mut List, elements: impl Iterator<Item = Text<'t>>) {
        if list.is_long() {
            return;
        }
        let (mut bytes, mut count) = (list.packed_bytes() + Self::OVERHEAD, list.len());
        for element in elements {
            bytes += element.len();
            count += 1;
        }
        list.set_long(bytes > self.bytes || count > self.elements);
    }

    /// Says of a list whether it is long no more, now that elements are gone.
    pub(super) fn note_shrinking(self, list: &mut List) {
        let is_short = list.packed_bytes() + Self::OVERHEAD <= self.bytes / 2;
        let has_few = self.elements == usize::MAX || list.len() <= self.elements / 2;
        if list.is_long() && list.is_one_block() && is_short && has_few {
            list.set_long(false);
        }
    }

    /// Says of a list that was read from elsewhere whether it is long.
    pub(super) fn classify(self, list: &mut List) {
        let bytes = list.packed_bytes() + Self::OVERHEAD;
        list.set_long(bytes > self.bytes || list.len() > self.elements);
    }
}
