//! Strings that count: integers and floating point numbers changed in place.

use super::Command;
use super::metadata::{Group, KeySpec, categories, flags};
use super::string::text;
use crate::config::EventClass;
use crate::error::Error;
use crate::execute::Call;
use crate::value::Text;
use crate::value::long_double::LongDouble;
use crate::value::string::LONGEST_INTEGER;

pub(super) const COMMANDS: &[&Command] = &[&INCR, &DECR, &INCRBY, &DECRBY, &INCRBYFLOAT];

const INCR: Command = Command {
    name: "incr",
    arity: 2,
    flags: flags("write denyoom fast"),
    categories: categories("string"),
    keys: &[KeySpec::at(1, "RW access update")],
    group: Group::String,
    usage: "key",
    summary: "Adds one to an integer key; a missing key counts as 0.",
    run: incr,
    ..Command::BASE
};

fn incr(call: &mut Call<'_>) -> Result<(), Error> {
    add(call, 1)
}

const DECR: Command = Command {
    name: "decr",
    arity: 2,
    flags: flags("write denyoom fast"),
    categories: categories("string"),
    keys: &[KeySpec::at(1, "RW access update")],
    group: Group::String,
    usage: "key",
    summary: "Takes one from an integer key; a missing key counts as 0.",
    run: decr,
    ..Command::BASE
};

fn decr(call: &mut Call<'_>) -> Result<(), Error> {
    add(call, -1)
}

const INCRBY: Command = Command {
    name: "incrby",
    arity: 3,
    flags: flags("write denyoom fast"),
    categories: categories("string"),
    keys: &[KeySpec::at(1, "RW access update")],
    group: Group::String,
    usage: "key increment",
    summary: "Adds a number to an integer key; a missing key counts as 0.",
    run: incrby,
    ..Command::BASE
};

fn incrby(call: &mut Call<'_>) -> Result<(), Error> {
    add(call, call.args.integer(2)?)
}

const DECRBY: Command = Command {
    name: "decrby",
    arity: 3,
    flags: flags("write denyoom fast"),
    categories: categories("string"),
    keys: &[KeySpec::at(1, "RW access update")],
    group: Group::String,
    usage: "key decrement",
    summary: "Takes a number from an integer key; a missing key counts as 0.",
    run: decrby,
    ..Command::BASE
};

fn decrby(call: &mut Call<'_>) -> Result<(), Error> {
    let decrement = call.args.integer(2)?;
    add(call, decrement.checked_neg().ok_or(Error::err("decrement would overflow"))?)
}

fn add(call: &mut Call<'_>, increment: i64) -> Result<(), Error> {
    let key = call.args.at(1);
    let present = match call.txn.seek(key) {
        Some(entry) => text(entry.value())?.integer().ok_or(Error::NotInteger)?,
        None => 0,
    };
    let sum = present.checked_add(increment).ok_or(Error::Overflow)?;
    replace(call, Text::Integer(sum), "incrby");
    call.reply.integer(sum);
    Ok(())
}

const INCRBYFLOAT: Command = Command {
    name: "incrbyfloat",
    arity: 3,
    flags: flags("write denyoom fast"),
    categories: categories("string"),
    keys: &[KeySpec::at(1, "RW access update")],
    group: Group::String,
    since: "2.6.0",
    usage: "key increment",
    summary: "Adds a floating point number to a key; a missing key counts as 0.",
    run: incrbyfloat,
    ..Command::BASE
};

fn incrbyfloat(call: &mut Call<'_>) -> Result<(), Error> {
    let number = |bytes: &[u8]| LongDouble::parse(bytes).ok_or(Error::NotFloat);
    let present = match call.txn.seek(call.args.at(1)) {
        Some(entry) => text(entry.value())?,
        None => Text::Integer(0),
    };
    let present = number(present.bytes(&mut [0; LONGEST_INTEGER]))?;
    let sum = present.add(number(call.args.at(2))?);
    if sum.is_nan() || sum.is_infinite() {
        return Err(Error::NotANumberOrInfinity);
    }
    let sum = sum.format();
    replace(call, Text::Fixed(sum.as_ref()), "incrbyfloat");
    // By how much is not told: nobody else need add as this server does.
    call.tell([&b"SET"[..], call.args.at(1), sum.as_ref(), b"KEEPTTL"].into_iter());
    call.reply.bulk(sum.as_ref());
    Ok(())
}

/// Sets the first key to a new value and leaves its deadline alone.
fn replace(call: &mut Call<'_>, new: Text<'_>, event: &'static str) {
    call.txn.put_keeping_deadline(call.args.at(1), new);
    call.txn.event(EventClass::STRING, event, call.args.at(1));
}
