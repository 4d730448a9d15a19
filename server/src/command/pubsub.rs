//! Publishing messages, and subscribing to them.

use super::Command;
use super::introspection::help;
use super::metadata::{Group, KeySpec, flags};
use crate::config::ClientClass;
use crate::error::Error;
use crate::execute::Call;
use crate::pubsub::Kind;
use crate::resp::{Output, Reply};

pub(super) const COMMANDS: &[&Command] = &[
    &SUBSCRIBE,
    &UNSUBSCRIBE,
    &PSUBSCRIBE,
    &PUNSUBSCRIBE,
    &SSUBSCRIBE,
    &SUNSUBSCRIBE,
    &PUBLISH,
    &SPUBLISH,
    &PUBSUB,
];

const SUBSCRIBE: Command = Command {
    name: "subscribe",
    arity: -2,
    flags: flags("pubsub noscript loading stale"),
    group: Group::Pubsub,
    since: "2.0.0",
    complexity: "O(N) for N channels",
    usage: "channel [channel ...]",
    summary: "Subscribes to channels.",
    run: subscribe,
    works_subscribed: true,
    ..Command::BASE
};

fn subscribe(call: &mut Call<'_>) -> Result<(), Error> {
    subscribe_to(call, Kind::Channel, "subscribe")
}

const PSUBSCRIBE: Command = Command {
    name: "psubscribe",
    arity: -2,
    flags: flags("pubsub noscript loading stale"),
    group: Group::Pubsub,
    since: "2.0.0",
    complexity: "O(N) for N patterns",
    usage: "pattern [pattern ...]",
    summary: "Subscribes to all channels whose names match patterns.",
    run: psubscribe,
    works_subscribed: true,
    ..Command::BASE
};

fn psubscribe(call: &mut Call<'_>) -> Result<(), Error> {
    subscribe_to(call, Kind::Pattern, "psubscribe")
}

const SSUBSCRIBE: Command = Command {
    name: "ssubscribe",
    arity: -2,
    flags: flags("pubsub noscript loading stale"),
    keys: &[KeySpec::range(1, -1, 1, "not_key")],
    group: Group::Pubsub,
    since: "7.0.0",
    complexity: "O(N) for N channels",
    usage: "shardchannel [shardchannel ...]",
    summary: "Subscribes to shard channels.",
    run: ssubscribe,
    works_subscribed: true,
    ..Command::BASE
};

fn ssubscribe(call: &mut Call<'_>) -> Result<(), Error> {
    if call.session.transaction.is_executing {
        return Err(Error::err("SSUBSCRIBE isn't allowed for a DENY BLOCKING client"));
    }
    subscribe_to(call, Kind::Shard, "ssubscribe")
}

/// Each name gets a reply of its own, of the kind of a message.
fn subscribe_to(call: &mut Call<'_>, kind: Kind, word: &str) -> Result<(), Error> {
    for name in call.args.from(1) {
        let session = &mut *call.session;
        call.engine.pubsub.subscribe(&mut session.subscriptions, &session.client, kind, name);
        confirm(call, word, Some(name), kind);
    }
    Ok(())
}

const UNSUBSCRIBE: Command = Command {
    name: "unsubscribe",
    arity: -1,
    flags: flags("pubsub noscript loading stale"),
    group: Group::Pubsub,
    since: "2.0.0",
    complexity: "O(N) for N channels",
    usage: "[channel [channel ...]]",
    summary: "Ends subscriptions to channels, or to all of them.",
    run: unsubscribe,
    works_subscribed: true,
    ..Command::BASE
};

fn unsubscribe(call: &mut Call<'_>) -> Result<(), Error> {
    unsubscribe_from(call, Kind::Channel, "unsubscribe")
}

const PUNSUBSCRIBE: Command = Command {
    name: "punsubscribe",
    arity: -1,
    flags: flags("pubsub noscript loading stale"),
    group: Group::Pubsub,
    since: "2.0.0",
    complexity: "O(N) for N patterns",
    usage: "[pattern [pattern ...]]",
    summary: "Ends subscriptions to patterns, or to all of them.",
    run: punsubscribe,
    works_subscribed: true,
    ..Command::BASE
};

fn punsubscribe(call: &mut Call<'_>) -> Result<(), Error> {
    unsubscribe_from(call, Kind::Pattern, "punsubscribe")
}

const SUNSUBSCRIBE: Command = Command {
    name: "sunsubscribe",
    arity: -1,
    flags: flags("pubsub noscript loading stale"),
    keys: &[KeySpec::range(1, -1, 1, "not_key")],
    group: Group::Pubsub,
    since: "7.0.0",
    complexity: "O(N) for N channels",
    usage: "[shardchannel [shardchannel ...]]",
    summary: "Ends subscriptions to shard channels, or to all of them.",
    run: sunsubscribe,
    works_subscribed: true,
    ..Command::BASE
};

fn sunsubscribe(call: &mut Call<'_>) -> Result<(), Error> {
    unsubscribe_from(call, Kind::Shard, "sunsubscribe")
}

fn unsubscribe_from(call: &mut Call<'_>, kind: Kind, word: &str) -> Result<(), Error> {
    let all: Vec<_> = call.session.subscriptions.names(kind).iter().cloned().collect();
    let all = all.iter().map(|name| &name[..]).filter(|_| call.args.len() == 1);
    let names: Vec<&[u8]> = call.args.from(1).chain(all).collect();
    for name in &names {
        let session = &mut *call.session;
        call.engine.pubsub.unsubscribe(&mut session.subscriptions, &session.client, kind, name);
        // No message may follow the confirmation, so what has come up to now goes ahead of it.
        session.collect_mail();
        confirm(call, word, Some(name), kind);
    }
    if names.is_empty() {
        confirm(call, word, None, kind);
    }
    Ok(())
}

/// It is a message, which a client gets that wants no replies, too.
fn confirm(call: &mut Call<'_>, word: &str, name: Option<&[u8]>, kind: Kind) {
    let count = call.session.subscriptions.count(kind);
    // In a transaction it stands where the reply of its command does.
    if call.session.transaction.is_executing {
        return write_confirmation(&mut call.reply, word, name, count);
    }
    let mut output = Output::default();
    let mut reply = Reply::new(&mut output, call.session.protocol());
    write_confirmation(&mut reply, word, name, count);
    call.session.messages.push(output.take());
}

fn write_confirmation(reply: &mut Reply<'_>, word: &str, name: Option<&[u8]>, count: usize) {
    reply.push(3);
    reply.bulk(word.as_bytes());
    reply.bulk_or_null(name);
    reply.count(count);
}

const PUBLISH: Command = Command {
    name: "publish",
    arity: 3,
    flags: flags("pubsub loading stale fast may_replicate"),
    group: Group::Pubsub,
    since: "2.0.0",
    complexity: "O(N+M) for N subscribers and M patterns",
    usage: "channel message",
    summary: "Sends a message to all who are subscribed to a channel.",
    run: publish,
    ..Command::BASE
};

fn publish(call: &mut Call<'_>) -> Result<(), Error> {
    publish_to(call, Kind::Channel)
}

const SPUBLISH: Command = Command {
    name: "spublish",
    arity: 3,
    flags: flags("pubsub loading stale fast may_replicate"),
    keys: &[KeySpec::at(1, "not_key")],
    group: Group::Pubsub,
    since: "7.0.0",
    complexity: "O(N) for N subscribers",
    usage: "shardchannel message",
    summary: "Sends a message to all who are subscribed to a shard channel.",
    run: spublish,
    ..Command::BASE
};

fn spublish(call: &mut Call<'_>) -> Result<(), Error> {
    publish_to(call, Kind::Shard)
}

/// Who is subscribed to what he publishes gets the message right after the reply.
fn publish_to(call: &mut Call<'_>, kind: Kind) -> Result<(), Error> {
    let limit = call.engine.config.output_limit(ClientClass::Pubsub);
    let (channel, payload, now_ms) = (call.args.at(1), call.args.at(2), call.now_ms());
    let count = call.engine.pubsub.publish(kind, channel, payload, limit, now_ms);
    call.reply.count(count);
    if count > 0 && call.session.subscriptions.are_any() {
        call.session.collect_mail();
    }
    Ok(())
}

const PUBSUB: Command = Command {
    name: "pubsub",
    arity: -2,
    group: Group::Pubsub,
    since: "2.8.0",
    complexity: "Depends on subcommand.",
    summary: "Tells who is subscribed to what.",
    subcommands: &[
        &PUBSUB_CHANNELS,
        &PUBSUB_HELP,
        &PUBSUB_NUMPAT,
        &PUBSUB_NUMSUB,
        &PUBSUB_SHARDCHANNELS,
        &PUBSUB_SHARDNUMSUB,
    ],
    ..Command::BASE
};

const PUBSUB_CHANNELS: Command = Command {
    name: "channels",
    arity: -2,
    flags: flags("pubsub loading stale"),
    group: Group::Pubsub,
    since: "2.8.0",
    complexity: "O(N) for N channels",
    usage: "[pattern]",
    summary: "Gets the channels that somebody is subscribed to.",
    run: channels,
    ..Command::BASE
};

fn channels(call: &mut Call<'_>) -> Result<(), Error> {
    list_channels(call, Kind::Channel)
}

const PUBSUB_SHARDCHANNELS: Command = Command {
    name: "shardchannels",
    arity: -2,
    flags: flags("pubsub loading stale"),
    group: Group::Pubsub,
    since: "7.0.0",
    complexity: "O(N) for N channels",
    usage: "[pattern]",
    summary: "Gets the shard channels that somebody is subscribed to.",
    run: shardchannels,
    ..Command::BASE
};

fn shardchannels(call: &mut Call<'_>) -> Result<(), Error> {
    list_channels(call, Kind::Shard)
}

fn list_channels(call: &mut Call<'_>, kind: Kind) -> Result<(), Error> {
    if call.args.len() > 3 {
        return Err(Error::subcommand_syntax("pubsub", call.args.at(1)));
    }
    let channels = call.engine.pubsub.channels(kind, call.args.get(2));
    call.reply.array(channels.len());
    for channel in channels {
        call.reply.bulk(&channel);
    }
    Ok(())
}

const PUBSUB_NUMSUB: Command = Command {
    name: "numsub",
    arity: -2,
    flags: flags("pubsub loading stale"),
    group: Group::Pubsub,
    since: "2.8.0",
    complexity: "O(N) for N channels",
    usage: "[channel [channel ...]]",
    summary: "Counts the subscribers of channels, without those of patterns.",
    run: numsub,
    ..Command::BASE
};

fn numsub(call: &mut Call<'_>) -> Result<(), Error> {
    count_subscribers(call, Kind::Channel)
}

const PUBSUB_SHARDNUMSUB: Command = Command {
    name: "shardnumsub",
    arity: -2,
    flags: flags("pubsub loading stale"),
    group: Group::Pubsub,
    since: "7.0.0",
    complexity: "O(N) for N channels",
    usage: "[shardchannel [shardchannel ...]]",
    summary: "Counts the subscribers of shard channels.",
    run: shardnumsub,
    ..Command::BASE
};

fn shardnumsub(call: &mut Call<'_>) -> Result<(), Error> {
    count_subscribers(call, Kind::Shard)
}

fn count_subscribers(call: &mut Call<'_>, kind: Kind) -> Result<(), Error> {
    let channels = call.args.from(2);
    call.reply.array(channels.len() * 2);
    for channel in channels {
        call.reply.bulk(channel);
        call.reply.count(call.engine.pubsub.subscribers(kind, channel));
    }
    Ok(())
}

const PUBSUB_NUMPAT: Command = Command {
    name: "numpat",
    arity: 2,
    flags: flags("pubsub loading stale"),
    group: Group::Pubsub,
    since: "2.8.0",
    summary: "Counts the patterns that somebody is subscribed to.",
    run: numpat,
    ..Command::BASE
};

fn numpat(call: &mut Call<'_>) -> Result<(), Error> {
    call.reply.count(call.engine.pubsub.totals().patterns);
    Ok(())
}

const PUBSUB_HELP: Command = Command {
    name: "help",
    arity: 2,
    flags: flags("loading stale"),
    group: Group::Pubsub,
    since: "6.2.0",
    summary: "Shows this help.",
    run: help,
    ..Command::BASE
};
