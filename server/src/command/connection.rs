//! Opening, authenticating, choosing and closing: what a connection says about itself.

use bytes::Bytes;

use super::client::check_name;
use super::info::REDIS_VERSION;
use super::keys::database_index;
use super::metadata::{Group, categories, flags};
use super::{Args, Command};
use crate::clients::ClientFlags;
use crate::error::Error;
use crate::execute::{Call, Flow};
use crate::resp::Protocol;
use crate::session::{Replies, Session};
use crate::value::number::parse_integer;

pub(super) const COMMANDS: &[&Command] = &[&PING, &ECHO, &HELLO, &AUTH, &SELECT, &QUIT, &RESET];

/// The only user there is.
const DEFAULT_USER: &[u8] = b"default";

const PING: Command = Command {
    name: "ping",
    is_probe: true,
    arity: -1,
    flags: flags("fast"),
    categories: categories("connection"),
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    group: Group::Connection,
    usage: "[message]",
    summary: "Answers PONG, or the message given.",
    run: ping,
    works_subscribed: true,
    ..Command::BASE
};

fn ping(call: &mut Call<'_>) -> Result<(), Error> {
    let is_subscribed = call.session.subscriptions.are_any();
    match call.args.len() {
        1 | 2 if is_subscribed && call.session.protocol() == Protocol::Resp2 => {
            call.reply.array(2);
            call.reply.bulk(b"pong");
            call.reply.bulk(call.args.get(1).unwrap_or_default());
        }
        1 => call.reply.simple("PONG"),
        2 => call.reply.bulk(call.args.at(1)),
        _ => return Err(Error::WrongArity("ping".to_owned())),
    }
    Ok(())
}

const ECHO: Command = Command {
    name: "echo",
    arity: 2,
    flags: flags("loading stale fast"),
    categories: categories("connection"),
    group: Group::Connection,
    usage: "message",
    summary: "Answers with the message given.",
    run: echo,
    ..Command::BASE
};

fn echo(call: &mut Call<'_>) -> Result<(), Error> {
    call.reply.bulk(call.args.at(1));
    Ok(())
}

const HELLO: Command = Command {
    name: "hello",
    arity: -1,
    flags: flags("noscript loading stale fast no_auth allow_busy"),
    categories: categories("connection"),
    group: Group::Connection,
    since: "6.0.0",
    usage: "[protover [AUTH username password] [SETNAME clientname]]",
    summary: "Introduces server and client to each other and chooses the protocol.",
    run: hello,
    ..Command::BASE
};

fn hello(call: &mut Call<'_>) -> Result<(), Error> {
    let options = HelloOptions::parse(call)?;
    if let Some((user, password)) = options.credentials {
        authenticate(call, user, password)?;
    }
    if !call.session.authenticated && call.engine.has_password() {
        return Err(Error::coded(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
             HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
             select the RESP protocol version at the same time",
        ));
    }
    if let Some(name) = options.name {
        name.clone_into(&mut call.session.client.names().name);
    }
    if let Some(protocol) = options.protocol {
        call.session.speak(protocol);
        call.reply.switch(protocol);
    }
    write_greeting(call);
    Ok(())
}

#[derive(Default)]
struct HelloOptions<'a> {
    protocol: Option<Protocol>,
    credentials: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a [u8]>,
}

impl<'a> HelloOptions<'a> {
    fn parse(call: &mut Call<'a>) -> Result<Self, Error> {
        let mut parsed = HelloOptions::default();
        if call.args.len() > 1 {
            parsed.protocol = Some(parse_protocol(call.args)?);
        }
        let mut options = call.args.options(2);
        while let Some(word) = options.word() {
            match &*word {
                b"AUTH" if options.remaining() >= 2 => {
                    let first = call.args.len() - options.remaining();
                    call.redacted.hide(first);
                    call.redacted.hide(first + 1);
                    parsed.credentials = Some((options.value()?, options.value()?));
                }
                b"SETNAME" if options.remaining() >= 1 => {
                    parsed.name = Some(options.value()?);
                    check_name(parsed.name.unwrap_or_default(), "Client names")?;
                }
                _ => {
                    let option = call.args.at(call.args.len() - options.remaining() - 1);
                    return Err(Error::quoting("Syntax error in HELLO option '", option, "'"));
                }
            }
        }
        Ok(parsed)
    }
}

fn parse_protocol(args: Args<'_>) -> Result<Protocol, Error> {
    let version = parse_integer(args.at(1));
    match version.ok_or(Error::err("Protocol version is not an integer or out of range"))? {
        2 => Ok(Protocol::Resp2),
        3 => Ok(Protocol::Resp3),
        _ => Err(Error::NoProto),
    }
}

fn write_greeting(call: &mut Call<'_>) {
    let reply = &mut call.reply;
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(REDIS_VERSION.as_bytes());
    reply.bulk(b"proto");
    reply.integer(i64::from(call.session.protocol().number()));
    reply.bulk(b"id");
    reply.integer(call.session.client.id as i64);
    reply.bulk(b"mode");
    reply.bulk(b"standalone");
    reply.bulk(b"role");
    reply.bulk(b"master");
    reply.bulk(b"modules");
    reply.array(0);
}

const AUTH: Command = Command {
    name: "auth",
    arity: -2,
    flags: flags("noscript loading stale fast no_auth allow_busy"),
    categories: categories("connection"),
    group: Group::Connection,
    complexity: "O(N)",
    usage: "[username] password",
    summary: "Authenticates the connection.",
    run: auth,
    ..Command::BASE
};

fn auth(call: &mut Call<'_>) -> Result<(), Error> {
    (1..call.args.len()).for_each(|index| call.redacted.hide(index));
    match call.args.len() {
        2 if !call.engine.has_password() => {
            return Err(Error::err(
                "AUTH <password> called without any password configured for the default user. Are \
                 you sure your configuration is correct?",
            ));
        }
        2 => authenticate(call, DEFAULT_USER, call.args.at(1))?,
        3 => authenticate(call, call.args.at(1), call.args.at(2))?,
        _ => return Err(Error::Syntax),
    }
    call.reply.ok();
    Ok(())
}

/// Without a password the default user is whoever says so.
fn authenticate(call: &mut Call<'_>, user: &[u8], password: &[u8]) -> Result<(), Error> {
    let engine = call.engine;
    let right = !engine.has_password() || engine.accepts_password(password);
    if user != DEFAULT_USER || !right {
        tracing::debug!(client = call.session.client.id, "authentication failed");
        return Err(Error::WrongPass);
    }
    call.session.authenticated = true;
    Ok(())
}

const SELECT: Command = Command {
    name: "select",
    arity: 2,
    flags: flags("loading stale fast"),
    categories: categories("connection"),
    group: Group::Connection,
    usage: "index",
    summary: "Chooses the database that the following commands work on.",
    run: select,
    ..Command::BASE
};

fn select(call: &mut Call<'_>) -> Result<(), Error> {
    let index = database_index(call, call.args.small_integer(1)?)?;
    call.session.select(index);
    call.reply.ok();
    Ok(())
}

const QUIT: Command = Command {
    name: "quit",
    arity: -1,
    flags: flags("noscript loading stale fast no_auth allow_busy"),
    categories: categories("connection"),
    group: Group::Connection,
    summary: "Closes the connection.",
    replaced_by: Some(("7.2.0", "just closing the connection")),
    run: quit,
    works_subscribed: true,
    works_queueing: true,
    ..Command::BASE
};

fn quit(call: &mut Call<'_>) -> Result<(), Error> {
    call.reply.ok();
    call.flow = Flow::Close;
    Ok(())
}

const RESET: Command = Command {
    name: "reset",
    arity: 1,
    flags: flags("noscript loading stale fast no_auth allow_busy"),
    categories: categories("connection"),
    group: Group::Connection,
    since: "6.2.0",
    summary: "Puts the connection back to how it was when it opened.",
    run: reset,
    works_subscribed: true,
    works_queueing: true,
    ..Command::BASE
};

fn reset(call: &mut Call<'_>) -> Result<(), Error> {
    let session: &mut Session = call.session;
    call.engine.pubsub.forget(&mut session.subscriptions, &session.client);
    call.engine.tracking.stop(&mut session.tracked, &session.client);
    call.engine.monitors.remove(&session.client);
    call.engine.end_transaction(session);
    session.collect_mail();
    session.select(0);
    session.speak(Protocol::Resp2);
    session.replies = Replies::On;
    session.authenticated = session.is_direct() || !call.engine.has_password();
    session.client.names().name.clear();
    session.client.lower(ClientFlags::NO_EVICT.union(ClientFlags::NO_TOUCH));
    call.reply.switch(Protocol::Resp2);
    // Not as a reply: messages that were published before follow replies, and nothing may follow this.
    session.messages.push(Bytes::from_static(b"+RESET\r\n"));
    Ok(())
}
