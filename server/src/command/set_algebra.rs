//! Sets of several sets: what is in all of them, in any of them, or in the first alone.

use super::keys::remove;
use super::list::not_negative;
use super::metadata::{Group, KeySpec, categories, flags};
use super::set::{limits, set};
use super::string::write_text;
use super::{Args, Command};
use crate::config::EventClass;
use crate::error::Error;
use crate::execute::Call;
use crate::keyspace::Txn;
use crate::resp::Reply;
use crate::value::set::{Limits, Set};
use crate::value::{Text, Value};

pub(super) const COMMANDS: &[&Command] =
    &[&SINTER, &SINTERCARD, &SINTERSTORE, &SUNION, &SUNIONSTORE, &SDIFF, &SDIFFSTORE];

/// Sets that are looked at together; nothing where a key is not there.
type Sets<'s> = Vec<Option<&'s Set>>;
/// Computes a set, or nothing if it would be empty.
type Operation = fn(&Sets<'_>, Limits<'_>) -> Option<Set>;

const SINTER: Command = Command {
    name: "sinter",
    arity: -2,
    flags: flags("readonly"),
    categories: categories("set"),
    keys: &[KeySpec::range(1, -1, 1, "RO access")],
    tips: &["nondeterministic_output_order"],
    group: Group::Set,
    complexity: "O(N*M) for N members of the smallest of M sets",
    usage: "key [key ...]",
    summary: "Gets the members that several sets have in common.",
    run: sinter,
    ..Command::BASE
};

fn sinter(call: &mut Call<'_>) -> Result<(), Error> {
    let args = call.args;
    let sets = sets(&mut call.txn, args, 1..args.len())?;
    let mut members = Vec::new();
    if let Some((smallest, others)) = smallest_first(&sets) {
        smallest.visit(|member| {
            if others.iter().all(|set| set.contains(member)) {
                members.push(member);
            }
        });
    }
    write_members(&mut call.reply, members.into_iter());
    Ok(())
}

const SINTERCARD: Command = Command {
    name: "sintercard",
    arity: -3,
    flags: flags("readonly movablekeys"),
    categories: categories("set"),
    keys: &[KeySpec::counted(1, "RO access")],
    group: Group::Set,
    since: "7.0.0",
    complexity: "O(N*M) for N members of the smallest of M sets",
    usage: "numkeys key [key ...] [LIMIT limit]",
    summary: "Counts the members that several sets have in common.",
    run: sintercard,
    ..Command::BASE
};

fn sintercard(call: &mut Call<'_>) -> Result<(), Error> {
    let args = call.args;
    let numkeys = not_negative(args.integer(1)).ok().filter(|&numkeys| numkeys > 0);
    let numkeys = numkeys.ok_or(Error::err("numkeys should be greater than 0"))?;
    if numkeys > args.len() - 2 {
        return Err(Error::err("Number of keys can't be greater than number of args"));
    }
    let mut limit = 0;
    let mut options = args.options(2 + numkeys);
    while let Some(word) = options.word() {
        if &*word != b"LIMIT" || options.remaining() == 0 {
            return Err(Error::Syntax);
        }
        limit =
            not_negative(options.integer()).map_err(|_| Error::err("LIMIT can't be negative"))?;
    }
    let most = if limit == 0 { usize::MAX } else { limit };
    let sets = sets(&mut call.txn, args, 2..2 + numkeys)?;
    call.reply.count(common(&sets).take(most).count());
    Ok(())
}

const SINTERSTORE: Command = Command {
    name: "sinterstore",
    arity: -3,
    flags: flags("write denyoom"),
    categories: categories("set"),
    keys: &[KeySpec::at(1, "OW update"), KeySpec::range(2, -1, 1, "RO access")],
    group: Group::Set,
    complexity: "O(N*M) for N members of the smallest of M sets",
    usage: "destination key [key ...]",
    summary: "Stores the members that several sets have in common.",
    run: sinterstore,
    ..Command::BASE
};

fn sinterstore(call: &mut Call<'_>) -> Result<(), Error> {
    store(call, "sinterstore", |sets, limits| Set::collect(common(sets), limits))
}

const SUNION: Command = Command {
    name: "sunion",
    arity: -2,
    flags: flags("readonly"),
    categories: categories("set"),
    keys: &[KeySpec::range(1, -1, 1, "RO access")],
    tips: &["nondeterministic_output_order"],
    group: Group::Set,
    complexity: "O(N) for N members of all sets",
    usage: "key [key ...]",
    summary: "Gets the members that any of several sets has.",
    run: sunion,
    ..Command::BASE
};

fn sunion(call: &mut Call<'_>) -> Result<(), Error> {
    let (args, limits) = (call.args, limits(call));
    let union = any(&sets(&mut call.txn, args, 1..args.len())?, limits);
    write_members(&mut call.reply, union.iter().flat_map(Set::iter));
    Ok(())
}

const SUNIONSTORE: Command = Command {
    name: "sunionstore",
    arity: -3,
    flags: flags("write denyoom"),
    categories: categories("set"),
    keys: &[KeySpec::at(1, "OW update"), KeySpec::range(2, -1, 1, "RO access")],
    group: Group::Set,
    complexity: "O(N) for N members of all sets",
    usage: "destination key [key ...]",
    summary: "Stores the members that any of several sets has.",
    run: sunionstore,
    ..Command::BASE
};

fn sunionstore(call: &mut Call<'_>) -> Result<(), Error> {
    store(call, "sunionstore", any)
}

const SDIFF: Command = Command {
    name: "sdiff",
    arity: -2,
    flags: flags("readonly"),
    categories: categories("set"),
    keys: &[KeySpec::range(1, -1, 1, "RO access")],
    tips: &["nondeterministic_output_order"],
    group: Group::Set,
    complexity: "O(N*M) for N members of the first of M sets",
    usage: "key [key ...]",
    summary: "Gets the members that only the first of several sets has.",
    run: sdiff,
    ..Command::BASE
};

fn sdiff(call: &mut Call<'_>) -> Result<(), Error> {
    let args = call.args;
    let sets = sets(&mut call.txn, args, 1..args.len())?;
    write_members(&mut call.reply, only_first(&sets));
    Ok(())
}

const SDIFFSTORE: Command = Command {
    name: "sdiffstore",
    arity: -3,
    flags: flags("write denyoom"),
    categories: categories("set"),
    keys: &[KeySpec::at(1, "OW update"), KeySpec::range(2, -1, 1, "RO access")],
    group: Group::Set,
    complexity: "O(N*M) for N members of the first of M sets",
    usage: "destination key [key ...]",
    summary: "Stores the members that only the first of several sets has.",
    run: sdiffstore,
    ..Command::BASE
};

fn sdiffstore(call: &mut Call<'_>) -> Result<(), Error> {
    store(call, "sdiffstore", |sets, limits| Set::collect(only_first(sets), limits))
}

fn write_members<'t>(reply: &mut Reply<'_>, members: impl Iterator<Item = Text<'t>>) {
    let members: Vec<Text<'t>> = members.collect();
    reply.set(members.len());
    for member in members {
        write_text(reply, member);
    }
}

/// Puts what is computed of the keys from the second on under the first, whatever is there.
fn store(call: &mut Call<'_>, event: &'static str, operation: Operation) -> Result<(), Error> {
    let (args, limits) = (call.args, limits(call));
    let result = operation(&sets(&mut call.txn, args, 2..args.len())?, limits);
    call.reply.count(result.as_ref().map_or(0, Set::len));
    match result {
        Some(set) => {
            call.txn.put(args.at(1), Value::Set(set), None);
            call.txn.event(EventClass::SET, event, args.at(1));
        }
        None => {
            remove(&mut call.txn, args.at(1));
        }
    }
    Ok(())
}

/// The sets under these keys. All are looked at, whatever is found first.
fn sets<'t>(
    txn: &'t mut Txn<'_>,
    args: Args<'_>,
    keys: std::ops::Range<usize>,
) -> Result<Sets<'t>, Error> {
    let entries = txn.read_several(keys.map(|index| args.at(index)));
    entries.into_iter().map(|entry| entry.map(|entry| set(entry.value())).transpose()).collect()
}

/// The members that all sets have, in the order of the smallest.
fn common<'s>(sets: &Sets<'s>) -> impl Iterator<Item = Text<'s>> {
    smallest_first(sets).into_iter().flat_map(|(smallest, others)| {
        let is_in_all = move |member: &Text<'s>| others.iter().all(|set| set.contains(*member));
        smallest.iter().filter(is_in_all)
    })
}

/// The smallest of the sets, and the others; nothing if one of them is not there.
fn smallest_first<'s>(sets: &Sets<'s>) -> Option<(&'s Set, Vec<&'s Set>)> {
    let mut present: Vec<&Set> = sets.iter().copied().collect::<Option<_>>()?;
    present.sort_by_key(|set| set.len());
    let others = present.split_off(1.min(present.len()));
    Some((present.pop()?, others))
}

fn any(sets: &Sets<'_>, limits: Limits<'_>) -> Option<Set> {
    Set::collect(sets.iter().flatten().flat_map(|set| set.iter()), limits)
}

fn only_first<'s>(sets: &Sets<'s>) -> impl Iterator<Item = Text<'s>> {
    let first = sets.first().copied().flatten();
    let others: Vec<&Set> = sets.iter().skip(1).flatten().copied().collect();
    let is_in_none = move |member: &Text<'s>| !others.iter().any(|set| set.contains(*member));
    first.into_iter().flat_map(Set::iter).filter(is_in_none)
}
