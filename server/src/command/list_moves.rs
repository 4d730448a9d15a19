//! Taking elements from one list to another, and from the first of several lists that has any.

use super::Command;
use super::keys::remove_emptied;
use super::list::{Limit, change, length, list, not_negative, popped, pushed, take};
use super::metadata::{Group, KeySpec, categories, flags};
use crate::config::EventClass;
use crate::error::Error;
use crate::execute::Call;
use crate::value::list::{End, List};
use crate::value::number::format_integer;
use crate::value::string::LONGEST_INTEGER;
use crate::value::{Text, Value};

use super::string::write_text;

pub(super) const COMMANDS: &[&Command] = &[&LMOVE, &RPOPLPUSH, &LMPOP];

const LMOVE: Command = Command {
    name: "lmove",
    arity: 5,
    flags: flags("write denyoom"),
    categories: categories("list"),
    keys: &[KeySpec::at(1, "RW access delete"), KeySpec::at(2, "RW insert")],
    group: Group::List,
    since: "6.2.0",
    usage: "source destination <LEFT | RIGHT> <LEFT | RIGHT>",
    summary: "Takes an element from an end of one list to an end of another.",
    run: lmove,
    ..Command::BASE
};

fn lmove(call: &mut Call<'_>) -> Result<(), Error> {
    let (from, to) = (end(call.args.at(3))?, end(call.args.at(4))?);
    move_or_null(call, from, to)
}

/// The end of a list that a word names.
pub(super) fn end(word: &[u8]) -> Result<End, Error> {
    match word {
        word if word.eq_ignore_ascii_case(b"left") => Ok(End::Head),
        word if word.eq_ignore_ascii_case(b"right") => Ok(End::Tail),
        _ => Err(Error::Syntax),
    }
}

const RPOPLPUSH: Command = Command {
    name: "rpoplpush",
    arity: 3,
    flags: flags("write denyoom"),
    categories: categories("list"),
    keys: &[KeySpec::at(1, "RW access delete"), KeySpec::at(2, "RW insert")],
    group: Group::List,
    since: "1.2.0",
    replaced_by: Some(("6.2.0", "`LMOVE` with `RIGHT LEFT`")),
    usage: "source destination",
    summary: "Takes the last element of one list to the front of another.",
    run: rpoplpush,
    ..Command::BASE
};

fn rpoplpush(call: &mut Call<'_>) -> Result<(), Error> {
    move_or_null(call, End::Tail, End::Head)
}

fn move_or_null(call: &mut Call<'_>, from: End, to: End) -> Result<(), Error> {
    if !move_element(call, from, to)? {
        call.reply.null();
    }
    Ok(())
}

/// Moves an element from the list that the first argument names to the one that the second names,
/// and replies with it; false if there is none.
pub(super) fn move_element(call: &mut Call<'_>, from: End, to: End) -> Result<bool, Error> {
    let (source, destination) = (call.args.at(1), call.args.at(2));
    let Some(entry) = call.txn.seek(source) else {
        return Ok(false);
    };
    let Some(element) = list(entry.value())?.end(from).map(Text::to_bytes) else {
        return Ok(false);
    };
    let is_there = length(call, destination)?.is_some();
    let element = Text::shared(&element);
    write_text(&mut call.reply, element);
    let limit = Limit::of(call);
    if source != destination {
        if !is_there {
            call.txn.put(destination, Value::List(List::new()), None);
        }
        change(call, destination, |list, _| {
            limit.note_growth(list, std::iter::once(element));
            list.push(to, element);
        });
    }
    let is_empty = change(call, source, |list, _| {
        list.drop_end(from);
        if source == destination {
            list.push(to, element);
        }
        limit.note_shrinking(list);
        list.is_empty()
    });
    call.txn.event(EventClass::LIST, pushed(to), destination);
    call.txn.side_event(EventClass::LIST, popped(from), source);
    if is_empty {
        remove_emptied(&mut call.txn, source);
    }
    Ok(true)
}

const LMPOP: Command = Command {
    name: "lmpop",
    arity: -4,
    flags: flags("write movablekeys"),
    categories: categories("list"),
    keys: &[KeySpec::counted(1, "RW access delete")],
    group: Group::List,
    since: "7.0.0",
    complexity: "O(N+M) for N keys and M elements",
    usage: "numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
    summary: "Takes elements from the first of several lists that has any.",
    run: lmpop,
    ..Command::BASE
};

fn lmpop(call: &mut Call<'_>) -> Result<(), Error> {
    let request = PopRequest::parse(call, 1)?;
    if !pop_first(call, &request)? {
        call.reply.null_array();
    }
    Ok(())
}

/// Takes elements from the first list that has any, and replies with them; false if none has.
pub(super) fn pop_first(call: &mut Call<'_>, request: &PopRequest) -> Result<bool, Error> {
    for index in request.keys.clone() {
        let key = call.args.at(index);
        if let Some(length) = length(call, key)? {
            let count = request.count.min(length);
            call.reply.array(2);
            call.reply.bulk(key);
            call.reply.array(count);
            take(call, key, request.end, count);
            let mut room = [0; LONGEST_INTEGER];
            let count = format_integer(count as i64, &mut room);
            call.tell([popped(request.end).as_bytes(), key, count].into_iter());
            return Ok(true);
        }
    }
    Ok(false)
}

/// From which lists to take, and how many elements at most.
pub(super) struct PopRequest {
    pub(super) keys: std::ops::Range<usize>,
    end: End,
    count: usize,
}

impl PopRequest {
    /// `at` is the place of the number of keys.
    pub(super) fn parse(call: &Call<'_>, at: usize) -> Result<Self, Error> {
        let refused = |what: &str| Error::format(format_args!("{what} should be greater than 0"));
        let positive = |index: usize| {
            let number = not_negative(call.args.integer(index)).ok();
            number.filter(|&number| number > 0)
        };
        let numkeys = positive(at).ok_or_else(|| refused("numkeys"))?;
        let first = at + 1;
        let behind = first.checked_add(numkeys).filter(|&behind| behind < call.args.len());
        let behind = behind.ok_or(Error::Syntax)?;
        let end = end(call.args.at(behind))?;
        let mut count = None;
        let mut options = call.args.options(behind + 1);
        while let Some(word) = options.word() {
            if &*word != b"COUNT" || count.is_some() || options.remaining() == 0 {
                return Err(Error::Syntax);
            }
            let given = not_negative(options.integer()).ok().filter(|&count| count > 0);
            count = Some(given.ok_or_else(|| refused("count"))?);
        }
        Ok(PopRequest { keys: first..behind, end, count: count.unwrap_or(1) })
    }
}
