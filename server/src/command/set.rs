//! Sets: their members, one set at a time. What is computed of several is in `set_algebra`.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::keys::remove_emptied;
use super::list::{not_negative, signed};
use super::metadata::{Group, KeySpec, categories, flags};
use super::scanning::{parse_cursor, scan_from, write_scanned};
use super::string::{value_of, write_text};
use super::{Args, Command};
use crate::config::{EventClass, Param};
use crate::engine::Engine;
use crate::error::Error;
use crate::execute::Call;
use crate::random::Random;
use crate::value::set::{Limits, Set};
use crate::value::{Text, Value, ValueRef, glob};

pub(super) const COMMANDS: &[&Command] = &[
    &SADD,
    &SREM,
    &SISMEMBER,
    &SMISMEMBER,
    &SMEMBERS,
    &SCARD,
    &SPOP,
    &SRANDMEMBER,
    &SMOVE,
    &SSCAN,
];

const SADD: Command = Command {
    name: "sadd",
    arity: -3,
    flags: flags("write denyoom fast"),
    categories: categories("set"),
    keys: &[KeySpec::at(1, "RW insert")],
    group: Group::Set,
    complexity: "O(N) for N members",
    usage: "key member [member ...]",
    summary: "Adds members to a set.",
    run: sadd,
    ..Command::BASE
};

fn sadd(call: &mut Call<'_>) -> Result<(), Error> {
    let (key, args, limits) = (call.args.at(1), call.args, limits(call));
    let members = args.len() - 2;
    let add_all = |set: &mut Set| {
        set.expect((2..args.len()).map(|index| value_of(args, index)), limits);
        (2..args.len()).filter(|&index| set.add(value_of(args, index), limits)).count()
    };
    let added = if size(call, key)?.is_some() {
        change(call, key, |set| {
            let added = add_all(set);
            (added, added > 0)
        })
    } else {
        let mut set = Set::new(value_of(args, 2), members, limits);
        let added = add_all(&mut set);
        call.txn.put(key, Value::Set(set), None);
        added
    };
    if added > 0 {
        call.txn.events(added, EventClass::SET, "sadd", key);
    }
    call.reply.count(added);
    Ok(())
}

const SREM: Command = Command {
    name: "srem",
    arity: -3,
    flags: flags("write fast"),
    categories: categories("set"),
    keys: &[KeySpec::at(1, "RW delete")],
    group: Group::Set,
    complexity: "O(N) for N members",
    usage: "key member [member ...]",
    summary: "Removes members from a set.",
    run: srem,
    ..Command::BASE
};

fn srem(call: &mut Call<'_>) -> Result<(), Error> {
    let (key, args) = (call.args.at(1), call.args);
    if size(call, key)?.is_none() {
        call.reply.integer(0);
        return Ok(());
    }
    let removed = change(call, key, |set| {
        let removed = (2..args.len()).filter(|&index| set.remove(value_of(args, index))).count();
        (removed, removed > 0)
    });
    if removed > 0 {
        call.txn.events(removed, EventClass::SET, "srem", key);
    }
    remove_if_empty(call, key)?;
    call.reply.count(removed);
    Ok(())
}

const SISMEMBER: Command = Command {
    name: "sismember",
    arity: 3,
    flags: flags("readonly fast"),
    categories: categories("set"),
    keys: &[KeySpec::at(1, "RO")],
    group: Group::Set,
    usage: "key member",
    summary: "Tells whether something is a member of a set.",
    run: sismember,
    ..Command::BASE
};

fn sismember(call: &mut Call<'_>) -> Result<(), Error> {
    let is_member = match call.txn.read(call.args.at(1)) {
        Some(entry) => set(entry.value())?.contains(value_of(call.args, 2)),
        None => false,
    };
    call.reply.flag(is_member);
    Ok(())
}

const SMISMEMBER: Command = Command {
    name: "smismember",
    arity: -3,
    flags: flags("readonly fast"),
    categories: categories("set"),
    keys: &[KeySpec::at(1, "RO access")],
    group: Group::Set,
    since: "6.2.0",
    complexity: "O(N) for N members",
    usage: "key member [member ...]",
    summary: "Tells of several things whether they are members of a set.",
    run: smismember,
    ..Command::BASE
};

fn smismember(call: &mut Call<'_>) -> Result<(), Error> {
    let args = call.args;
    let set = match call.txn.read(args.at(1)) {
        Some(entry) => Some(set(entry.value())?),
        None => None,
    };
    call.reply.array(args.len() - 2);
    for index in 2..args.len() {
        call.reply.flag(set.is_some_and(|set| set.contains(value_of(args, index))));
    }
    Ok(())
}

const SMEMBERS: Command = Command {
    name: "smembers",
    arity: 2,
    flags: flags("readonly"),
    categories: categories("set"),
    keys: &[KeySpec::at(1, "RO access")],
    tips: &["nondeterministic_output_order"],
    group: Group::Set,
    complexity: "O(N)",
    usage: "key",
    summary: "Gets all members of a set.",
    run: smembers,
    ..Command::BASE
};

fn smembers(call: &mut Call<'_>) -> Result<(), Error> {
    let Some(entry) = call.txn.read(call.args.at(1)) else {
        call.reply.set(0);
        return Ok(());
    };
    let set = set(entry.value())?;
    call.reply.set(set.len());
    set.visit(|member| write_text(&mut call.reply, member));
    Ok(())
}

const SCARD: Command = Command {
    name: "scard",
    arity: 2,
    flags: flags("readonly fast"),
    categories: categories("set"),
    keys: &[KeySpec::at(1, "RO")],
    group: Group::Set,
    usage: "key",
    summary: "Tells how many members a set has.",
    run: scard,
    ..Command::BASE
};

fn scard(call: &mut Call<'_>) -> Result<(), Error> {
    let size = match call.txn.read(call.args.at(1)) {
        Some(entry) => set(entry.value())?.len(),
        None => 0,
    };
    call.reply.count(size);
    Ok(())
}

const SPOP: Command = Command {
    name: "spop",
    arity: -2,
    flags: flags("write fast"),
    categories: categories("set"),
    keys: &[KeySpec::at(1, "RW access delete")],
    tips: &["nondeterministic_output"],
    group: Group::Set,
    since: "1.0.0",
    complexity: "O(N) for N members",
    usage: "key [count]",
    summary: "Takes members at random out of a set.",
    run: spop,
    ..Command::BASE
};

fn spop(call: &mut Call<'_>) -> Result<(), Error> {
    let key = call.args.at(1);
    let count = match call.args.len() {
        2 => None,
        3 => Some(not_negative(call.args.integer(2))?),
        _ => return Err(Error::Syntax),
    };
    match (size(call, key)?, count) {
        (None, None) => call.reply.null(),
        (None, Some(_)) => call.reply.set(0),
        (Some(_), None) => pop(call, key, 1)?,
        (Some(size), Some(count)) => {
            call.reply.set(count.min(size));
            pop(call, key, count.min(size))?;
        }
    }
    Ok(())
}

/// If the members that stay are fewer than a fifth of those that go, they are the ones moved.
const WORTH_MOVING: usize = 5;

/// Takes so many members that there are, and writes them.
fn pop(call: &mut Call<'_>, key: &[u8], count: usize) -> Result<(), Error> {
    let (limits, random) = (limits(call), &call.engine.random);
    let (reply, mut told) = (&mut call.reply, Vec::new());
    let has_log = call.txn.has_log();
    let popped = call.txn.change(key, |value| {
        let set = owned(value);
        let stay = set.len() - count;
        let is_told = has_log && stay > 0;
        if stay > 0 && stay * WORTH_MOVING <= count {
            let mut rest = set.for_rest();
            for _ in 0..stay {
                move_one(set, &mut rest, random, limits);
            }
            std::mem::swap(set, &mut rest);
            for member in rest.iter() {
                write_text(reply, member);
                told.extend(is_told.then(|| member.to_bytes()));
            }
            return;
        }
        for _ in 0..count {
            if let Some(member) = set.pick(random).map(Text::to_bytes) {
                write_text(reply, Text::shared(&member));
                set.remove(Text::shared(&member));
                told.extend(is_told.then_some(member));
            }
        }
    });
    popped.expect(SET_IS_THERE);
    if count > 0 {
        tell_popped(call, key, &told);
        call.txn.touch(key);
        call.txn.events(count, EventClass::SET, "spop", key);
    }
    remove_if_empty(call, key)
}

/// Tells which members were taken out of a set, or that all were.
fn tell_popped(call: &mut Call<'_>, key: &[u8], members: &[Bytes]) {
    if members.is_empty() {
        call.tell([&b"DEL"[..], key].into_iter());
    } else {
        let words = [&b"SREM"[..], key].into_iter().chain(members.iter().map(|member| &**member));
        call.tell(words.collect::<Vec<_>>().into_iter());
    }
}

fn move_one(from: &mut Set, to: &mut Set, random: &Random, limits: Limits<'_>) {
    if let Some(member) = from.pick(random).map(Text::to_bytes) {
        from.remove(Text::shared(&member));
        to.add(Text::shared(&member), limits);
    }
}

const SRANDMEMBER: Command = Command {
    name: "srandmember",
    arity: -2,
    flags: flags("readonly"),
    categories: categories("set"),
    keys: &[KeySpec::at(1, "RO access")],
    tips: &["nondeterministic_output"],
    group: Group::Set,
    complexity: "O(N) for N members",
    usage: "key [count]",
    summary: "Gets members of a set at random; with a negative count the same ones may come again.",
    run: srandmember,
    ..Command::BASE
};

fn srandmember(call: &mut Call<'_>) -> Result<(), Error> {
    let count = match call.args.len() {
        2 => None,
        3 => Some(signed(call.args.integer(2)?)?),
        _ => return Err(Error::Syntax),
    };
    let (random, longest) = (&call.engine.random, call.engine.config.longest_string());
    let Some(entry) = call.txn.read(call.args.at(1)) else {
        match count {
            Some(_) => call.reply.array(0),
            None => call.reply.null(),
        }
        return Ok(());
    };
    let set = set(entry.value())?;
    let Some(count) = count else {
        set.pick(random).into_iter().for_each(|member| write_text(&mut call.reply, member));
        return Ok(());
    };
    let wanted = count.unsigned_abs() as usize;
    if count < 0 {
        // A reply of this kind could be of any length, whatever there is in the set.
        if wanted as u64 > longest as u64 / SHORTEST_MEMBER {
            return Err(Error::err("value is out of range"));
        }
        call.reply.array(wanted);
        for member in (0..wanted).filter_map(|_| set.pick(random)) {
            write_text(&mut call.reply, member);
        }
        return Ok(());
    }
    let members = choose(set, wanted, random);
    call.reply.array(members.len());
    for member in members {
        write_text(&mut call.reply, member);
    }
    Ok(())
}

/// What the shortest member takes in a reply.
const SHORTEST_MEMBER: u64 = 6;

/// Fewer members than this part of a set are drawn one by one, without looking at the others.
const WORTH_DRAWING: usize = 3;

/// So many different members, or all there are, in the order in which the set has them.
fn choose<'s>(set: &'s Set, wanted: usize, random: &Random) -> Vec<Text<'s>> {
    if wanted.saturating_mul(WORTH_DRAWING) < set.len() {
        let mut drawn = BTreeMap::new();
        while drawn.len() < wanted {
            if let Some(member) = set.pick(random) {
                drawn.insert(member.to_bytes(), member);
            }
        }
        return drawn.into_values().collect();
    }
    let mut members: Vec<Text<'s>> = set.iter().collect();
    if wanted < members.len() {
        for at in 0..wanted {
            let other = at + random.below(members.len() - at);
            members.swap(at, other);
        }
        members.truncate(wanted);
    }
    members
}

const SMOVE: Command = Command {
    name: "smove",
    arity: 4,
    flags: flags("write fast"),
    categories: categories("set"),
    keys: &[KeySpec::at(1, "RW access delete"), KeySpec::at(2, "RW insert")],
    group: Group::Set,
    usage: "source destination member",
    summary: "Moves a member from one set to another.",
    run: smove,
    ..Command::BASE
};

fn smove(call: &mut Call<'_>) -> Result<(), Error> {
    let (source, destination) = (call.args.at(1), call.args.at(2));
    let (member, limits) = (value_of(call.args, 3), limits(call));
    if size(call, source)?.is_none() {
        call.reply.flag(false);
        return Ok(());
    }
    let is_there = size(call, destination)?.is_some();
    let is_member = change(call, source, |set| (set.contains(member), false));
    if is_member && source != destination {
        change(call, source, |set| (set.remove(member), true));
        call.txn.event(EventClass::SET, "srem", source);
        remove_if_empty(call, source)?;
        if !is_there {
            call.txn.put(destination, Value::Set(Set::new(member, 1, limits)), None);
        }
        let add = |set: &mut Set| {
            let is_new = set.add(member, limits);
            (is_new, is_new)
        };
        if change(call, destination, add) {
            call.txn.event(EventClass::SET, "sadd", destination);
        }
    }
    call.reply.flag(is_member);
    Ok(())
}

const SSCAN: Command = Command {
    name: "sscan",
    arity: -3,
    flags: flags("readonly"),
    categories: categories("set"),
    keys: &[KeySpec::at(1, "RO access")],
    tips: &["nondeterministic_output"],
    group: Group::Set,
    since: "2.8.0",
    complexity: "O(1) for every call, O(N) for a complete iteration",
    usage: "key cursor [MATCH pattern] [COUNT count]",
    summary: "Goes through the members of a set step by step.",
    run: sscan,
    ..Command::BASE
};

/// A member that is there from the first call to the last is returned at least once.
fn sscan(call: &mut Call<'_>) -> Result<(), Error> {
    let cursor = parse_cursor(call.args.at(2))?;
    let Some(entry) = call.txn.read(call.args.at(1)) else {
        write_scanned(&mut call.reply, 0, &[]);
        return Ok(());
    };
    let set = set(entry.value())?;
    let options = ScanOptions::parse(call.args)?;
    let mut found = Vec::new();
    let next = scan_from(cursor, options.count, |cursor| {
        let mut seen = 0;
        let next = set.scan(cursor, |member| {
            seen += 1;
            let member = member.to_bytes();
            if options.pattern.is_none_or(|pattern| glob::fits(pattern, &member)) {
                found.push(Box::from(&member[..]));
            }
        });
        (next, seen)
    });
    write_scanned(&mut call.reply, next, &found);
    Ok(())
}

struct ScanOptions<'a> {
    count: usize,
    pattern: Option<&'a [u8]>,
}

impl<'a> ScanOptions<'a> {
    fn parse(args: Args<'a>) -> Result<Self, Error> {
        let mut parsed = ScanOptions { count: 10, pattern: None };
        let mut options = args.options(3);
        while let Some(word) = options.word() {
            match &*word {
                b"COUNT" => {
                    let count = usize::try_from(options.integer()?).ok();
                    parsed.count = count.filter(|&count| count > 0).ok_or(Error::Syntax)?;
                }
                b"MATCH" => parsed.pattern = Some(options.value()?),
                b"NOVALUES" => {
                    return Err(Error::err("NOVALUES option can only be used in HSCAN"));
                }
                _ => return Err(Error::Syntax),
            }
        }
        Ok(parsed)
    }
}

/// Up to where sets keep their forms.
pub(super) fn limits<'e>(call: &Call<'e>) -> Limits<'e> {
    limits_of(call.engine)
}

pub(super) fn limits_of(engine: &Engine) -> Limits<'_> {
    let number = |param| engine.config.number(param) as usize;
    Limits {
        integers: number(Param::SetMaxIntsetEntries).min(1 << 30),
        packed: number(Param::SetMaxListpackEntries),
        packed_member_bytes: number(Param::SetMaxListpackValue),
        hasher: engine.keyspace.hasher(),
    }
}

/// The set that a value is.
pub(super) const fn set(value: ValueRef<'_>) -> Result<&Set, Error> {
    match value {
        ValueRef::Set(set) => Ok(set),
        _ => Err(Error::WrongType),
    }
}

fn owned(value: &mut Value) -> &mut Set {
    match value {
        Value::Set(set) => set,
        _ => unreachable!("{SET_IS_THERE}"),
    }
}

const SET_IS_THERE: &str = "the caller has looked that a set is there";

/// The size of the set under a key, if there is one, that is about to be changed.
fn size(call: &mut Call<'_>, key: &[u8]) -> Result<Option<usize>, Error> {
    match call.txn.seek(key) {
        Some(entry) => Ok(Some(set(entry.value())?.len())),
        None => Ok(None),
    }
}

/// Changes a set that is there; `change` says whether it did.
fn change<R>(call: &mut Call<'_>, key: &[u8], change: impl FnOnce(&mut Set) -> (R, bool)) -> R {
    let changed = call.txn.change(key, |value| change(owned(value)));
    let (result, has_changed) = changed.expect(SET_IS_THERE);
    if has_changed {
        call.txn.touch(key);
    }
    result
}

fn remove_if_empty(call: &mut Call<'_>, key: &[u8]) -> Result<(), Error> {
    let entry = call.txn.peek(key).map(|entry| set(entry.value()));
    if entry.transpose()?.is_some_and(Set::is_empty) {
        remove_emptied(&mut call.txn, key);
    }
    Ok(())
}
