//! Consumer groups: making and removing them and their consumers, and acknowledging entries.

use super::Command;
use super::args::Request;
use super::introspection::help;
use super::metadata::{Group as CommandGroup, KeySpec, categories, flags};
use super::stream::{change, find, parse_id, parse_ids, read, stream};
use crate::config::EventClass;
use crate::error::Error;
use crate::execute::Call;
use crate::value::Value;
use crate::value::number::{format_integer, parse_integer};
use crate::value::stream::{Group, Id, LONGEST_ID, Stream};
use crate::value::string::LONGEST_INTEGER;

pub(super) const COMMANDS: &[&Command] = &[&XGROUP, &XACK];

const XGROUP: Command = Command {
    name: "xgroup",
    arity: -2,
    group: CommandGroup::Stream,
    since: "5.0.0",
    complexity: "Depends on subcommand.",
    summary: "Commands about groups of consumers.",
    subcommands: &[
        &XGROUP_SETID,
        &XGROUP_HELP,
        &XGROUP_CREATE,
        &XGROUP_DELCONSUMER,
        &XGROUP_CREATECONSUMER,
        &XGROUP_DESTROY,
    ],
    ..Command::BASE
};

const XGROUP_HELP: Command = Command {
    name: "help",
    arity: 2,
    flags: flags("loading stale"),
    categories: categories("stream"),
    group: CommandGroup::Stream,
    since: "5.0.0",
    summary: "Lists the subcommands.",
    run: help,
    ..Command::BASE
};

const XGROUP_CREATE: Command = Command {
    name: "create",
    arity: -5,
    flags: flags("write denyoom"),
    categories: categories("stream"),
    keys: &[KeySpec::at(2, "RW insert")],
    group: CommandGroup::Stream,
    since: "5.0.0",
    usage: "key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read]",
    summary: "Makes a group of consumers, who read behind an id.",
    run: xgroup_create,
    ..Command::BASE
};

fn xgroup_create(call: &mut Call<'_>) -> Result<(), Error> {
    const MOST_ARGUMENTS: usize = 8;
    let (key, name) = (call.args.at(2), call.args.at(3));
    let options = GroupOptions::parse(call, true)?;
    let last_id = find(call, key)?.map(|stream| stream.log.history.last_id);
    if last_id.is_none() && !options.makes_stream {
        return Err(NO_KEY);
    }
    if call.args.len() > MOST_ARGUMENTS {
        return Err(Error::subcommand_syntax("xgroup", call.args.at(1)));
    }
    let id = match call.args.at(4) {
        b"$" => last_id.unwrap_or_default(),
        id => parse_id(id, 0)?,
    };
    let group = Group::new(id, options.read);
    let is_new = if last_id.is_some() {
        change(call, key, |stream, _| stream.groups.add(name, group))
    } else {
        let mut stream = Box::<Stream>::default();
        stream.groups.add(name, group);
        call.txn.put(key, Value::Stream(stream), None);
        true
    };
    if !is_new {
        return Err(Error::coded("BUSYGROUP Consumer Group name already exists"));
    }
    call.txn.event(EventClass::STREAM, "xgroup-create", key);
    call.reply.ok();
    Ok(())
}

const NO_KEY: Error = Error::err(
    "The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.",
);

#[derive(Default)]
struct GroupOptions {
    makes_stream: bool,
    /// How many entries have been read, if it is known.
    read: Option<i64>,
}

impl GroupOptions {
    fn parse(call: &Call<'_>, is_create: bool) -> Result<Self, Error> {
        let mut parsed = GroupOptions::default();
        let mut options = call.args.options(5);
        while let Some(word) = options.word() {
            match &*word {
                b"MKSTREAM" if is_create => parsed.makes_stream = true,
                b"ENTRIESREAD" if options.remaining() > 0 => {
                    let read = parse_integer(options.value()?).ok_or(Error::NotInteger)?;
                    if read < -1 {
                        return Err(Error::err("value for ENTRIESREAD must be positive or -1"));
                    }
                    parsed.read = Some(read).filter(|&read| read >= 0);
                }
                _ => return Err(Error::subcommand_syntax("xgroup", call.args.at(1))),
            }
        }
        Ok(parsed)
    }
}

const XGROUP_SETID: Command = Command {
    name: "setid",
    arity: -5,
    flags: flags("write"),
    categories: categories("stream"),
    keys: &[KeySpec::at(2, "RW update")],
    group: CommandGroup::Stream,
    since: "5.0.0",
    usage: "key group <id | $> [ENTRIESREAD entries-read]",
    summary: "Has a group read behind another id.",
    run: xgroup_setid,
    ..Command::BASE
};

fn xgroup_setid(call: &mut Call<'_>) -> Result<(), Error> {
    let (key, name) = (call.args.at(2), call.args.at(3));
    let options = GroupOptions::parse(call, false)?;
    let last_id = group_of(call, key, name)?.log.history.last_id;
    if !matches!(call.args.len(), 5 | 7) {
        return Err(Error::subcommand_syntax("xgroup", call.args.at(1)));
    }
    let id = match call.args.at(4) {
        b"$" => last_id,
        b"-" => Id::MIN,
        b"+" => Id::MAX,
        id => parse_id(id, 0)?,
    };
    change_group(call, key, name, |group| {
        group.last_id = id;
        group.read = options.read;
    });
    call.txn.event(EventClass::STREAM, "xgroup-setid", key);
    call.reply.ok();
    Ok(())
}

const XGROUP_DESTROY: Command = Command {
    name: "destroy",
    arity: 4,
    flags: flags("write"),
    categories: categories("stream"),
    keys: &[KeySpec::at(2, "RW delete")],
    group: CommandGroup::Stream,
    since: "5.0.0",
    complexity: "O(N) for N entries that are pending",
    usage: "key group",
    summary: "Removes a group of consumers.",
    run: xgroup_destroy,
    ..Command::BASE
};

fn xgroup_destroy(call: &mut Call<'_>) -> Result<(), Error> {
    let (key, name) = (call.args.at(2), call.args.at(3));
    find(call, key)?.ok_or(NO_KEY)?;
    let was_there = change(call, key, |stream, _| stream.groups.remove(name));
    if was_there {
        call.txn.note_ready(key);
        call.txn.event(EventClass::STREAM, "xgroup-destroy", key);
    }
    call.reply.flag(was_there);
    Ok(())
}

const XGROUP_CREATECONSUMER: Command = Command {
    name: "createconsumer",
    arity: 5,
    flags: flags("write denyoom"),
    categories: categories("stream"),
    keys: &[KeySpec::at(2, "RW insert")],
    group: CommandGroup::Stream,
    since: "6.2.0",
    usage: "key group consumer",
    summary: "Makes a consumer of a group.",
    run: xgroup_createconsumer,
    ..Command::BASE
};

fn xgroup_createconsumer(call: &mut Call<'_>) -> Result<(), Error> {
    let (key, name, consumer) = (call.args.at(2), call.args.at(3), call.args.at(4));
    group_of(call, key, name)?;
    let now_ms = call.now_ms();
    let made = change_group(call, key, name, |group| group.add_consumer(consumer, now_ms));
    if made.is_some() {
        call.txn.event(EventClass::STREAM, "xgroup-createconsumer", key);
    }
    call.reply.flag(made.is_some());
    Ok(())
}

const XGROUP_DELCONSUMER: Command = Command {
    name: "delconsumer",
    arity: 5,
    flags: flags("write"),
    categories: categories("stream"),
    keys: &[KeySpec::at(2, "RW delete")],
    group: CommandGroup::Stream,
    since: "5.0.0",
    usage: "key group consumer",
    summary: "Removes a consumer of a group, with what is pending with it.",
    run: xgroup_delconsumer,
    ..Command::BASE
};

fn xgroup_delconsumer(call: &mut Call<'_>) -> Result<(), Error> {
    let (key, name, consumer) = (call.args.at(2), call.args.at(3), call.args.at(4));
    group_of(call, key, name)?;
    let pending = change_group(call, key, name, |group| group.remove_consumer(consumer));
    if pending.is_some() {
        call.txn.event(EventClass::STREAM, "xgroup-delconsumer", key);
    }
    call.reply.count(pending.unwrap_or(0));
    Ok(())
}

/// The stream with a group, for the subcommands that need both.
fn group_of<'c>(call: &'c mut Call<'_>, key: &[u8], name: &[u8]) -> Result<&'c Stream, Error> {
    let stream = find(call, key)?.ok_or(NO_KEY)?;
    if stream.groups.get(name).is_none() {
        return Err(no_such_group(key, name));
    }
    Ok(stream)
}

pub(super) fn no_such_group(key: &[u8], name: &[u8]) -> Error {
    Error::no_group(["consumer group '", "' for key name '", "'"], [name, key])
}

/// Changes a group that is there.
pub(super) fn change_group<R>(
    call: &mut Call<'_>,
    key: &[u8],
    name: &[u8],
    change_group: impl FnOnce(&mut Group) -> R,
) -> R {
    let changed = change(call, key, |stream, _| stream.groups.change(name, change_group));
    changed.expect("the caller has looked that the group is there")
}

const XACK: Command = Command {
    name: "xack",
    arity: -4,
    flags: flags("write fast"),
    categories: categories("stream"),
    keys: &[KeySpec::at(1, "RW update")],
    group: CommandGroup::Stream,
    since: "5.0.0",
    complexity: "O(log(N)) for each id",
    usage: "key group id [id ...]",
    summary: "Acknowledges entries that were delivered to consumers of a group.",
    run: xack,
    ..Command::BASE
};

fn xack(call: &mut Call<'_>) -> Result<(), Error> {
    let (key, name) = (call.args.at(1), call.args.at(2));
    if read(call, key)?.is_none_or(|stream| stream.groups.get(name).is_none()) {
        call.reply.integer(0);
        return Ok(());
    }
    let ids = parse_ids(call.args, 3)?;
    let acknowledged = change_group(call, key, name, |group| {
        ids.iter().filter(|&&id| group.acknowledge(id)).count()
    });
    call.txn.count_changes(acknowledged);
    call.reply.count(acknowledged);
    Ok(())
}

/// Tells the log how entries of a group are pending now, one by one. Those that are pending no more are acknowledged.
pub(super) fn tell_pending(call: &mut Call<'_>, key: &[u8], name: &[u8], ids: &[Id]) {
    let requests: Vec<Request> = {
        let Some(group) = find_group(call, key, name) else {
            return;
        };
        ids.iter().map(|&id| pending_request(group, (key, name), id)).collect()
    };
    for request in &requests {
        call.tell(request.args().iter());
    }
}

/// Tells the log how far a group has read.
pub(super) fn tell_progress(call: &mut Call<'_>, key: &[u8], name: &[u8]) {
    let Some(group) = find_group(call, key, name) else {
        return;
    };
    let (last_id, read) = (group.last_id, group.read.unwrap_or(-1));
    let (mut id_room, mut read_room) = ([0; LONGEST_ID], [0; LONGEST_INTEGER]);
    let (id, read) = (last_id.format(&mut id_room), format_integer(read, &mut read_room));
    call.tell([&b"XGROUP"[..], b"SETID", key, name, id, b"ENTRIESREAD", read].into_iter());
}

fn find_group<'c>(call: &'c mut Call<'_>, key: &[u8], name: &[u8]) -> Option<&'c Group> {
    let entry = call.txn.peek(key)?;
    stream(entry.value()).ok()?.groups.get(name)
}

fn pending_request(group: &Group, (key, name): (&[u8], &[u8]), id: Id) -> Request {
    let (mut request, mut id_room, mut last_room) =
        (Request::default(), [0; LONGEST_ID], [0; LONGEST_ID]);
    let (id_text, mut room) = (id.format(&mut id_room), [0; LONGEST_INTEGER]);
    let Some(pending) = group.pending(id) else {
        for word in [&b"XACK"[..], key, name, id_text] {
            request.push(word);
        }
        return request;
    };
    let consumer = &group.consumer(pending.consumer).name;
    for word in [&b"XCLAIM"[..], key, name, consumer, b"0", id_text, b"TIME"] {
        request.push(word);
    }
    request.push(format_integer(pending.delivered_ms, &mut room));
    request.push(b"RETRYCOUNT");
    request.push(format_integer(pending.deliveries, &mut room));
    for word in [&b"FORCE"[..], b"JUSTID", b"LASTID", group.last_id.format(&mut last_room)] {
        request.push(word);
    }
    request
}
