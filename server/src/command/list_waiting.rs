//! Taking elements from lists, and waiting for them where there are none.

use super::Command;
use super::list::{length, popped, side, take};
use super::list_moves::{PopRequest, end, move_element, pop_first};
use super::metadata::{Group, KeySpec, categories, flags};
use super::timeout::deadline_in_seconds;
use crate::blocking::{InVain, Wish};
use crate::error::Error;
use crate::execute::Call;
use crate::keyspace::Awaited;
use crate::value::list::End;

pub(super) const COMMANDS: &[&Command] = &[&BLPOP, &BRPOP, &BLMOVE, &BRPOPLPUSH, &BLMPOP];

const BLPOP: Command = Command {
    name: "blpop",
    arity: -3,
    flags: flags("write blocking"),
    categories: categories("list"),
    keys: &[KeySpec::range(1, -2, 1, "RW access delete")],
    group: Group::List,
    since: "2.0.0",
    complexity: "O(N) for N keys",
    usage: "key [key ...] timeout",
    summary: "Takes the first element of the first of several lists that has any, and waits for one if none has.",
    run: blpop,
    ..Command::BASE
};

fn blpop(call: &mut Call<'_>) -> Result<(), Error> {
    pop_or_wait(call, End::Head)
}

const BRPOP: Command = Command {
    name: "brpop",
    arity: -3,
    flags: flags("write blocking"),
    categories: categories("list"),
    keys: &[KeySpec::range(1, -2, 1, "RW access delete")],
    group: Group::List,
    since: "2.0.0",
    complexity: "O(N) for N keys",
    usage: "key [key ...] timeout",
    summary: "Takes the last element of the first of several lists that has any, and waits for one if none has.",
    run: brpop,
    ..Command::BASE
};

fn brpop(call: &mut Call<'_>) -> Result<(), Error> {
    pop_or_wait(call, End::Tail)
}

fn pop_or_wait(call: &mut Call<'_>, end: End) -> Result<(), Error> {
    let timeout = call.args.len() - 1;
    let deadline_ms = deadline_in_seconds(call, timeout)?;
    for index in 1..timeout {
        let key = call.args.at(index);
        if length(call, key)?.is_some() {
            call.reply.array(2);
            call.reply.bulk(key);
            take(call, key, end, 1);
            call.tell([popped(end).as_bytes(), key].into_iter());
            return Ok(());
        }
    }
    wait(call, 1..timeout, deadline_ms, InVain::Nothing);
    Ok(())
}

const BLMOVE: Command = Command {
    name: "blmove",
    arity: 6,
    flags: flags("write denyoom blocking"),
    categories: categories("list"),
    keys: &[KeySpec::at(1, "RW access delete"), KeySpec::at(2, "RW insert")],
    group: Group::List,
    since: "6.2.0",
    usage: "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout",
    summary: "Takes an element from an end of one list to an end of another, and waits for one if there is none.",
    run: blmove,
    ..Command::BASE
};

fn blmove(call: &mut Call<'_>) -> Result<(), Error> {
    let (from, to) = (end(call.args.at(3))?, end(call.args.at(4))?);
    move_or_wait(call, from, to, 5)
}

const BRPOPLPUSH: Command = Command {
    name: "brpoplpush",
    arity: 4,
    flags: flags("write denyoom blocking"),
    categories: categories("list"),
    keys: &[KeySpec::at(1, "RW access delete"), KeySpec::at(2, "RW insert")],
    group: Group::List,
    since: "2.2.0",
    replaced_by: Some(("6.2.0", "`BLMOVE` with `RIGHT LEFT`")),
    usage: "source destination timeout",
    summary: "Takes the last element of one list to the front of another, and waits for one if there is none.",
    run: brpoplpush,
    ..Command::BASE
};

fn brpoplpush(call: &mut Call<'_>) -> Result<(), Error> {
    move_or_wait(call, End::Tail, End::Head, 3)
}

/// `timeout` is the place of the timeout among the arguments.
fn move_or_wait(call: &mut Call<'_>, from: End, to: End, timeout: usize) -> Result<(), Error> {
    let deadline_ms = deadline_in_seconds(call, timeout)?;
    if !move_element(call, from, to)? {
        wait(call, 1..2, deadline_ms, InVain::NoElement);
        return Ok(());
    }
    let (source, destination) = (call.args.at(1), call.args.at(2));
    call.tell([&b"LMOVE"[..], source, destination, side(from), side(to)].into_iter());
    Ok(())
}

const BLMPOP: Command = Command {
    name: "blmpop",
    arity: -5,
    flags: flags("write blocking movablekeys"),
    categories: categories("list"),
    keys: &[KeySpec::counted(2, "RW access delete")],
    group: Group::List,
    since: "7.0.0",
    complexity: "O(N+M) for N keys and M elements",
    usage: "timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
    summary: "Takes elements from the first of several lists that has any, and waits for one if none has.",
    run: blmpop,
    ..Command::BASE
};

fn blmpop(call: &mut Call<'_>) -> Result<(), Error> {
    let request = PopRequest::parse(call, 2)?;
    let deadline_ms = deadline_in_seconds(call, 1)?;
    if !pop_first(call, &request)? {
        wait(call, request.keys, deadline_ms, InVain::Nothing);
    }
    Ok(())
}

fn wait(
    call: &mut Call<'_>,
    keys: std::ops::Range<usize>,
    deadline_ms: Option<i64>,
    in_vain: InVain,
) {
    let (first, count) = (keys.start, keys.len());
    let awaited = Awaited { kind: "list", minds_loss: false };
    call.wait(Wish { first, count, awaited, rewritten: None, deadline_ms, in_vain });
}
