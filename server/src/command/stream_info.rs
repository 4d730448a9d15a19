//! What there is to know about a stream, its groups and their consumers.

use super::introspection::help;
use super::metadata::{Group as CommandGroup, KeySpec, categories, flags};
use super::stream::{stream, write_entries, write_entry, write_id};
use super::stream_groups::no_such_group;
use super::{Args, Command};
use crate::error::Error;
use crate::execute::Call;
use crate::resp::Reply;
use crate::value::stream::{Consumer, Entry, Group, IdRange, Stream};

pub(super) const COMMANDS: &[&Command] = &[&XINFO];

const XINFO: Command = Command {
    name: "xinfo",
    arity: -2,
    group: CommandGroup::Stream,
    since: "5.0.0",
    complexity: "Depends on subcommand.",
    summary: "Commands that tell about streams.",
    subcommands: &[&XINFO_STREAM, &XINFO_HELP, &XINFO_GROUPS, &XINFO_CONSUMERS],
    ..Command::BASE
};

const XINFO_HELP: Command = Command {
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

const XINFO_STREAM: Command = Command {
    name: "stream",
    arity: -3,
    flags: flags("readonly"),
    categories: categories("stream"),
    keys: &[KeySpec::at(2, "RO access")],
    group: CommandGroup::Stream,
    since: "5.0.0",
    usage: "key [FULL [COUNT count]]",
    summary: "Tells about a stream, and with FULL about everything that is in it.",
    run: xinfo_stream,
    ..Command::BASE
};

fn xinfo_stream(call: &mut Call<'_>) -> Result<(), Error> {
    let Some(entry) = call.txn.read(call.args.at(2)) else {
        return Err(Error::NoSuchKey);
    };
    let stream = stream(entry.value())?;
    let most = parse_full(call.args)?;
    let reply = &mut call.reply;
    reply.map(if most.is_some() { 9 } else { 10 });
    write_figures(stream, reply);
    match most {
        Some(most) => write_everything(stream, most, reply),
        None => write_edges(stream, reply),
    }
    Ok(())
}

/// How much of everything FULL asks for; nothing if it is not there.
fn parse_full(args: Args<'_>) -> Result<Option<usize>, Error> {
    const USUAL: usize = 10;
    let is = |at: usize, word: &[u8]| args.at(at).eq_ignore_ascii_case(word);
    match args.len() {
        3 => Ok(None),
        4 if is(3, b"FULL") => Ok(Some(USUAL)),
        6 if is(3, b"FULL") && is(4, b"COUNT") => {
            let count = usize::try_from(args.integer(5)?).unwrap_or(USUAL);
            Ok(Some(if count == 0 { usize::MAX } else { count }))
        }
        _ => Err(Error::subcommand_syntax("xinfo", args.at(1))),
    }
}

fn write_figures(stream: &Stream, reply: &mut Reply<'_>) {
    let (log, history) = (&stream.log, stream.log.history);
    write_count(reply, "length", log.len());
    write_count(reply, "radix-tree-keys", log.count_blocks());
    write_count(reply, "radix-tree-nodes", log.count_index_nodes());
    for (name, id) in
        [("last-generated-id", history.last_id), ("max-deleted-entry-id", history.max_deleted_id)]
    {
        reply.bulk(name.as_bytes());
        write_id(reply, id);
    }
    write_count(reply, "entries-added", history.added as usize);
    reply.bulk(b"recorded-first-entry-id");
    write_id(reply, log.first_id());
}

fn write_count(reply: &mut Reply<'_>, name: &str, count: usize) {
    reply.bulk(name.as_bytes());
    reply.count(count);
}

fn write_edges(stream: &Stream, reply: &mut Reply<'_>) {
    let write = |reply: &mut Reply<'_>, name: &str, entry: Option<Entry<'_>>| {
        reply.bulk(name.as_bytes());
        match entry {
            Some(entry) => write_entry(reply, entry),
            None => reply.null(),
        }
    };
    write_count(reply, "groups", stream.groups.len());
    write(reply, "first-entry", stream.log.range(IdRange::ALL).next());
    write(reply, "last-entry", stream.log.range_back(IdRange::ALL).next());
}

fn write_everything(stream: &Stream, most: usize, reply: &mut Reply<'_>) {
    reply.bulk(b"entries");
    write_entries(reply, stream.log.range(IdRange::ALL).take(most));
    reply.bulk(b"groups");
    reply.array(stream.groups.len());
    for (name, group) in stream.groups.iter() {
        reply.map(7);
        reply.bulk(b"name");
        reply.bulk(name);
        reply.bulk(b"last-delivered-id");
        write_id(reply, group.last_id);
        write_progress(stream, group, reply);
        write_count(reply, "pel-count", group.count_pending());
        reply.bulk(b"pending");
        reply.array(group.count_pending().min(most));
        for (id, pending) in group.pending_in(IdRange::ALL).take(most) {
            reply.array(4);
            write_id(reply, id);
            reply.bulk(&group.consumer(pending.consumer).name);
            reply.integer(pending.delivered_ms);
            reply.integer(pending.deliveries);
        }
        reply.bulk(b"consumers");
        reply.array(group.count_consumers());
        group.consumers().for_each(|consumer| write_consumer(group, consumer, most, reply));
    }
}

fn write_consumer(group: &Group, consumer: &Consumer, most: usize, reply: &mut Reply<'_>) {
    reply.map(5);
    reply.bulk(b"name");
    reply.bulk(&consumer.name);
    reply.bulk(b"seen-time");
    reply.integer(consumer.seen_ms);
    reply.bulk(b"active-time");
    reply.integer(consumer.active_ms.unwrap_or(-1));
    write_count(reply, "pel-count", consumer.count_pending());
    reply.bulk(b"pending");
    reply.array(consumer.count_pending().min(most));
    for id in consumer.pending().take(most) {
        let pending = group.pending(id).expect("what a consumer has pending, its group has, too");
        reply.array(3);
        write_id(reply, id);
        reply.integer(pending.delivered_ms);
        reply.integer(pending.deliveries);
    }
}

/// How far a group has come, and how far it is behind.
fn write_progress(stream: &Stream, group: &Group, reply: &mut Reply<'_>) {
    for (name, number) in [("entries-read", group.read), ("lag", stream.lag(group))] {
        reply.bulk(name.as_bytes());
        match number {
            Some(number) => reply.integer(number),
            None => reply.null(),
        }
    }
}

const XINFO_GROUPS: Command = Command {
    name: "groups",
    arity: 3,
    flags: flags("readonly"),
    categories: categories("stream"),
    keys: &[KeySpec::at(2, "RO access")],
    group: CommandGroup::Stream,
    since: "5.0.0",
    usage: "key",
    summary: "Tells about the groups of a stream.",
    run: xinfo_groups,
    ..Command::BASE
};

fn xinfo_groups(call: &mut Call<'_>) -> Result<(), Error> {
    let Some(entry) = call.txn.read(call.args.at(2)) else {
        return Err(Error::NoSuchKey);
    };
    let stream = stream(entry.value())?;
    let reply = &mut call.reply;
    reply.array(stream.groups.len());
    for (name, group) in stream.groups.iter() {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(name);
        write_count(reply, "consumers", group.count_consumers());
        write_count(reply, "pending", group.count_pending());
        reply.bulk(b"last-delivered-id");
        write_id(reply, group.last_id);
        write_progress(stream, group, reply);
    }
    Ok(())
}

const XINFO_CONSUMERS: Command = Command {
    name: "consumers",
    arity: 4,
    flags: flags("readonly"),
    categories: categories("stream"),
    keys: &[KeySpec::at(2, "RO access")],
    tips: &["nondeterministic_output"],
    group: CommandGroup::Stream,
    since: "5.0.0",
    usage: "key group",
    summary: "Tells about the consumers of a group.",
    run: xinfo_consumers,
    ..Command::BASE
};

fn xinfo_consumers(call: &mut Call<'_>) -> Result<(), Error> {
    let (key, name, now_ms) = (call.args.at(2), call.args.at(3), call.now_ms());
    let Some(entry) = call.txn.read(key) else {
        return Err(Error::NoSuchKey);
    };
    let group = stream(entry.value())?.groups.get(name);
    let group = group.ok_or_else(|| no_such_group(key, name))?;
    let reply = &mut call.reply;
    reply.array(group.count_consumers());
    for consumer in group.consumers() {
        reply.map(4);
        reply.bulk(b"name");
        reply.bulk(&consumer.name);
        write_count(reply, "pending", consumer.count_pending());
        reply.bulk(b"idle");
        reply.integer(now_ms.wrapping_sub(consumer.seen_ms).max(0));
        reply.bulk(b"inactive");
        reply.integer(consumer.active_ms.map_or(-1, |active_ms| now_ms.wrapping_sub(active_ms)));
    }
    Ok(())
}
