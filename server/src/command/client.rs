//! CLIENT: a connection about itself and about the others.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use super::introspection::help;
use super::metadata::{Group, categories, flags};
use super::tracking::{CLIENT_CACHING, CLIENT_GETREDIR, CLIENT_TRACKING, CLIENT_TRACKINGINFO};
use super::{Args, Command, Table};
use crate::clients::{Client, ClientFlags};
use crate::error::Error;
use crate::execute::{Call, Flow};
use crate::limit::client_bytes;
use crate::pause::Held;
use crate::session::Replies;
use crate::value::number::parse_integer;

pub(super) const COMMANDS: &[&Command] = &[&CLIENT];

const CLIENT: Command = Command {
    name: "client",
    arity: -2,
    group: Group::Connection,
    since: "2.4.0",
    complexity: "Depends on subcommand.",
    summary: "Looks at, names and ends connections.",
    subcommands: &[
        &CLIENT_CACHING,
        &CLIENT_GETNAME,
        &CLIENT_GETREDIR,
        &CLIENT_HELP,
        &CLIENT_ID,
        &CLIENT_INFO,
        &CLIENT_KILL,
        &CLIENT_LIST,
        &CLIENT_NO_EVICT,
        &CLIENT_NO_TOUCH,
        &CLIENT_PAUSE,
        &CLIENT_REPLY,
        &CLIENT_SETINFO,
        &CLIENT_SETNAME,
        &CLIENT_TRACKING,
        &CLIENT_TRACKINGINFO,
        &CLIENT_UNBLOCK,
        &CLIENT_UNPAUSE,
    ],
    ..Command::BASE
};

const CLIENT_HELP: Command = Command {
    name: "help",
    arity: 2,
    flags: flags("loading stale"),
    categories: categories("connection"),
    group: Group::Connection,
    since: "5.0.0",
    summary: "Shows this help.",
    run: help,
    ..Command::BASE
};

const CLIENT_ID: Command = Command {
    name: "id",
    arity: 2,
    flags: flags("noscript loading stale"),
    categories: categories("connection"),
    group: Group::Connection,
    since: "5.0.0",
    summary: "Tells the connection its id.",
    run: client_id,
    ..Command::BASE
};

fn client_id(call: &mut Call<'_>) -> Result<(), Error> {
    call.reply.integer(call.session.client.id as i64);
    Ok(())
}

const CLIENT_GETNAME: Command = Command {
    name: "getname",
    arity: 2,
    flags: flags("noscript loading stale"),
    categories: categories("connection"),
    group: Group::Connection,
    since: "2.6.9",
    summary: "Tells the connection its name.",
    run: client_getname,
    ..Command::BASE
};

fn client_getname(call: &mut Call<'_>) -> Result<(), Error> {
    let name = call.session.client.names().name.clone();
    call.reply.bulk_or_null(Some(&*name).filter(|name| !name.is_empty()));
    Ok(())
}

const CLIENT_SETNAME: Command = Command {
    name: "setname",
    arity: 3,
    flags: flags("noscript loading stale"),
    categories: categories("connection"),
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    group: Group::Connection,
    since: "2.6.9",
    usage: "connection-name",
    summary: "Gives the connection a name.",
    run: client_setname,
    ..Command::BASE
};

fn client_setname(call: &mut Call<'_>) -> Result<(), Error> {
    let name = call.args.at(2);
    check_name(name, "Client names")?;
    name.clone_into(&mut call.session.client.names().name);
    call.reply.ok();
    Ok(())
}

const CLIENT_SETINFO: Command = Command {
    name: "setinfo",
    arity: 4,
    flags: flags("noscript loading stale"),
    categories: categories("connection"),
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    group: Group::Connection,
    since: "7.2.0",
    usage: "<LIB-NAME libname | LIB-VER libver>",
    summary: "Tells which client library the connection uses.",
    run: client_setinfo,
    ..Command::BASE
};

fn client_setinfo(call: &mut Call<'_>) -> Result<(), Error> {
    let (attribute, value) = (call.args.at(2), call.args.at(3));
    let mut names = call.session.client.names();
    if attribute.eq_ignore_ascii_case(b"lib-name") {
        check_name(value, &String::from_utf8_lossy(attribute))?;
        value.clone_into(&mut names.library);
    } else if attribute.eq_ignore_ascii_case(b"lib-ver") {
        check_name(value, &String::from_utf8_lossy(attribute))?;
        value.clone_into(&mut names.library_version);
    } else {
        return Err(Error::quoting("Unrecognized option '", attribute, "'"));
    }
    call.reply.ok();
    Ok(())
}

/// For subcommands whose arity has no upper end in the table, as Redis's have none.
fn check_most(call: &Call<'_>, most: usize) -> Result<(), Error> {
    if call.args.len() <= most {
        return Ok(());
    }
    Err(Error::subcommand_syntax("client", call.args.at(1)))
}

/// Names stand in lines of `CLIENT LIST`, so they are printable and without spaces, up to the
/// first zero byte.
pub(super) fn check_name(name: &[u8], what: &str) -> Result<(), Error> {
    let mut shown = name.iter().take_while(|&&byte| byte != 0);
    if shown.all(|byte| matches!(byte, b'!'..=b'~')) {
        return Ok(());
    }
    let rest = "cannot contain spaces, newlines or special characters.";
    Err(Error::format(format_args!("{what} {rest}")))
}

const CLIENT_INFO: Command = Command {
    name: "info",
    arity: 2,
    flags: flags("noscript loading stale"),
    categories: categories("connection"),
    tips: &["nondeterministic_output"],
    group: Group::Connection,
    since: "6.2.0",
    summary: "Describes the connection itself.",
    run: client_info,
    ..Command::BASE
};

fn client_info(call: &mut Call<'_>) -> Result<(), Error> {
    let line = describe(&call.session.client, call.engine.clock.now_ms());
    call.reply.verbatim(line.as_bytes());
    Ok(())
}

const CLIENT_LIST: Command = Command {
    name: "list",
    arity: -2,
    flags: flags("admin noscript loading stale"),
    categories: categories("connection"),
    tips: &["nondeterministic_output"],
    group: Group::Connection,
    since: "2.4.0",
    complexity: "O(N)",
    usage: "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]",
    summary: "Describes connections.",
    run: client_list,
    ..Command::BASE
};

fn client_list(call: &mut Call<'_>) -> Result<(), Error> {
    let wanted = ListFilter::parse(call.args)?;
    let now_ms = call.engine.clock.now_ms();
    let mut lines = String::new();
    for client in call.engine.clients.all() {
        if wanted.accepts(&client) {
            lines.push_str(&describe(&client, now_ms));
        }
    }
    call.reply.verbatim(lines.as_bytes());
    Ok(())
}

enum ListFilter {
    All,
    Kind(Kind),
    Ids(Vec<i64>),
}

impl ListFilter {
    fn parse(args: Args<'_>) -> Result<Self, Error> {
        let mut options = args.options(2);
        let Some(word) = options.word() else {
            return Ok(ListFilter::All);
        };
        match (&*word, options.remaining()) {
            (b"TYPE", 1) => Ok(ListFilter::Kind(Kind::parse(options.value()?)?)),
            (b"ID", 1..) => args.from(3).map(parse_id).collect::<Result<_, _>>().map(Self::Ids),
            _ => Err(Error::Syntax),
        }
    }

    fn accepts(&self, client: &Client) -> bool {
        match self {
            ListFilter::All => true,
            ListFilter::Kind(kind) => *kind == Kind::of(client),
            ListFilter::Ids(ids) => ids.contains(&(client.id as i64)),
        }
    }
}

fn parse_id(argument: &[u8]) -> Result<i64, Error> {
    parse_integer(argument).ok_or(Error::err("Invalid client ID"))
}

/// The classes that Redis sorts clients into. Monitors are normal here, and nobody can replicate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    Master,
    Replica,
    Pubsub,
}

impl Kind {
    fn of(client: &Client) -> Self {
        if client.has(ClientFlags::PUBSUB) { Kind::Pubsub } else { Kind::Normal }
    }

    fn parse(name: &[u8]) -> Result<Self, Error> {
        match &*name.to_ascii_lowercase() {
            b"normal" => Ok(Kind::Normal),
            b"master" => Ok(Kind::Master),
            b"replica" | b"slave" => Ok(Kind::Replica),
            b"pubsub" => Ok(Kind::Pubsub),
            _ => Err(Error::quoting("Unknown client type '", name, "'")),
        }
    }
}

/// A line of `CLIENT LIST`.
fn describe(client: &Client, now_ms: i64) -> String {
    let (seen, names) = (&client.seen, client.names().clone());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let last_command = match seen.command.load(Ordering::Relaxed) {
        0 => "NULL",
        id => &Table::get().rows()[id - 1].name,
    };
    let (unread, unsent) =
        (seen.unread.load(Ordering::Relaxed), seen.unsent.load(Ordering::Relaxed));
    let [channels, patterns, shard] =
        [0, 1, 2].map(|kind| seen.subscriptions[kind].load(Ordering::Relaxed));
    let mut line = String::new();
    let _ = write!(
        line,
        "id={} addr={} laddr={} fd=-1 name={} age={} idle={} flags={} db={} sub={channels} psub={patterns} ssub={shard} \
         multi={} watch={} qbuf={unread} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl={unsent} oll=0 \
         omem={unsent} tot-mem={} events=r cmd={last_command} user={} redir={} resp={} \
         lib-name={} lib-ver={}",
        client.id,
        client.address,
        client.local_address,
        text(&names.name),
        (now_ms - client.created_ms) / 1000,
        (now_ms - seen.last_used_ms.load(Ordering::Relaxed)).max(0) / 1000,
        flag_letters(client),
        seen.database.load(Ordering::Relaxed),
        seen.queued.load(Ordering::Relaxed),
        client.watched(),
        client_bytes(client),
        text(&names.user),
        seen.redirect.load(Ordering::Relaxed),
        seen.protocol.load(Ordering::Relaxed),
        text(&names.library),
        text(&names.library_version),
    );
    line.push('\n');
    line
}

fn flag_letters(client: &Client) -> String {
    let mut flags = client.flags();
    flags.set(ClientFlags::DIRTY, client.watch.is_broken());
    let letters = [
        (ClientFlags::MONITOR, 'O'),
        (ClientFlags::PUBSUB, 'P'),
        (ClientFlags::MULTI, 'x'),
        (ClientFlags::WAITING, 'b'),
        (ClientFlags::TRACKING, 't'),
        (ClientFlags::TRACKING_BROKEN, 'R'),
        (ClientFlags::TRACKING_BROADCAST, 'B'),
        (ClientFlags::DIRTY, 'd'),
        (ClientFlags::CLOSING, 'c'),
        (ClientFlags::UNIX_SOCKET, 'U'),
        (ClientFlags::NO_EVICT, 'e'),
        (ClientFlags::NO_TOUCH, 'T'),
    ];
    let set: String = letters
        .iter()
        .filter(|(flag, _)| flags.contains(*flag))
        .map(|(_, letter)| *letter)
        .collect();
    if set.is_empty() { "N".to_owned() } else { set }
}

const CLIENT_KILL: Command = Command {
    name: "kill",
    arity: -3,
    flags: flags("admin noscript loading stale"),
    categories: categories("connection"),
    group: Group::Connection,
    since: "2.4.0",
    complexity: "O(N)",
    usage: "<ip:port | <[ID client-id] | [TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB>] | [USER username] | [ADDR ip:port] | [LADDR ip:port] | [SKIPME <YES | NO>] | [MAXAGE maxage]> [<[ID client-id] | [TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB>] | [USER username] | [ADDR ip:port] | [LADDR ip:port] | [SKIPME <YES | NO>] | [MAXAGE maxage]> ...]>",
    summary: "Ends connections, by address or by filters.",
    run: client_kill,
    ..Command::BASE
};

/// With the address alone it ends one connection, its own too; with filters it spares its own
/// unless told otherwise, and tells how many it ended.
fn client_kill(call: &mut Call<'_>) -> Result<(), Error> {
    let by_address = call.args.len() == 3;
    let filter = if by_address {
        KillFilter { address: Some(call.args.at(2)), spares_own: false, ..KillFilter::default() }
    } else {
        KillFilter::parse(call)?
    };
    let own = call.session.client.id;
    let now_ms = call.engine.clock.now_ms();
    let mut killed = 0;
    for client in call.engine.clients.all() {
        if !filter.accepts(&client, own, now_ms) {
            continue;
        }
        killed += 1;
        if client.id == own {
            call.flow = Flow::Close;
        } else {
            client.kill();
        }
    }
    match (by_address, killed) {
        (true, 0) => return Err(Error::err("No such client")),
        (true, _) => call.reply.ok(),
        (false, killed) => call.reply.integer(killed),
    }
    Ok(())
}

struct KillFilter<'a> {
    id: Option<u64>,
    kind: Option<Kind>,
    user: Option<&'a [u8]>,
    address: Option<&'a [u8]>,
    local_address: Option<&'a [u8]>,
    least_age_s: Option<i64>,
    spares_own: bool,
}

impl Default for KillFilter<'_> {
    fn default() -> Self {
        KillFilter {
            id: None,
            kind: None,
            user: None,
            address: None,
            local_address: None,
            least_age_s: None,
            spares_own: true,
        }
    }
}

impl<'a> KillFilter<'a> {
    fn parse(call: &Call<'a>) -> Result<Self, Error> {
        let mut filter = KillFilter::default();
        let mut options = call.args.options(2);
        while let Some(word) = options.word() {
            let value = options.value()?;
            match &*word {
                b"ID" => {
                    let id = parse_integer(value).filter(|&id| id > 0);
                    let text = "client-id should be greater than 0";
                    filter.id = Some(id.ok_or(Error::err(text))? as u64);
                }
                b"TYPE" => filter.kind = Some(Kind::parse(value)?),
                b"USER" if value == b"default" => filter.user = Some(value),
                b"USER" => return Err(Error::quoting("No such user '", value, "'")),
                b"ADDR" => filter.address = Some(value),
                b"LADDR" => filter.local_address = Some(value),
                b"SKIPME" => filter.spares_own = parse_yes(value)?,
                b"MAXAGE" => {
                    let age_s = parse_integer(value).filter(|&age_s| age_s > 0);
                    let text = "maxage should be greater than 0";
                    filter.least_age_s = Some(age_s.ok_or(Error::err(text))?);
                }
                _ => return Err(Error::Syntax),
            }
        }
        Ok(filter)
    }

    fn accepts(&self, client: &Client, own: u64, now_ms: i64) -> bool {
        let age_s = (now_ms - client.created_ms) / 1000;
        !(self.spares_own && client.id == own)
            && self.id.is_none_or(|id| id == client.id)
            && self.kind.is_none_or(|kind| kind == Kind::of(client))
            && self.user.is_none_or(|user| client.names().user == user)
            && self.address.is_none_or(|address| client.address.as_bytes() == address)
            && self.local_address.is_none_or(|local| client.local_address.as_bytes() == local)
            && self.least_age_s.is_none_or(|least_s| age_s >= least_s)
    }
}

fn parse_yes(value: &[u8]) -> Result<bool, Error> {
    match &*value.to_ascii_lowercase() {
        b"yes" => Ok(true),
        b"no" => Ok(false),
        _ => Err(Error::Syntax),
    }
}

const CLIENT_REPLY: Command = Command {
    name: "reply",
    arity: 3,
    flags: flags("noscript loading stale"),
    categories: categories("connection"),
    group: Group::Connection,
    since: "3.2.0",
    usage: "<ON | OFF | SKIP>",
    summary: "Turns replies off and on.",
    run: client_reply,
    ..Command::BASE
};

fn client_reply(call: &mut Call<'_>) -> Result<(), Error> {
    match &*call.args.at(2).to_ascii_lowercase() {
        b"on" => {
            call.session.replies = Replies::On;
            call.reply.ok();
        }
        b"off" => call.session.replies = Replies::Off,
        b"skip" if call.session.replies != Replies::Off => {
            call.session.replies = Replies::SkipNext;
        }
        b"skip" => {}
        _ => return Err(Error::Syntax),
    }
    Ok(())
}

const CLIENT_NO_EVICT: Command = Command {
    name: "no-evict",
    arity: 3,
    flags: flags("admin noscript loading stale"),
    categories: categories("connection"),
    group: Group::Connection,
    since: "7.0.0",
    usage: "<ON | OFF>",
    summary: "Exempts the connection from being dropped for its memory.",
    run: client_no_evict,
    ..Command::BASE
};

fn client_no_evict(call: &mut Call<'_>) -> Result<(), Error> {
    set_flag(call, ClientFlags::NO_EVICT)
}

const CLIENT_NO_TOUCH: Command = Command {
    name: "no-touch",
    arity: 3,
    flags: flags("noscript loading stale"),
    categories: categories("connection"),
    group: Group::Connection,
    since: "7.2.0",
    usage: "<ON | OFF>",
    summary: "Lets the connection look at keys without that counting as using them.",
    run: client_no_touch,
    ..Command::BASE
};

fn client_no_touch(call: &mut Call<'_>) -> Result<(), Error> {
    set_flag(call, ClientFlags::NO_TOUCH)
}

fn set_flag(call: &mut Call<'_>, flag: ClientFlags) -> Result<(), Error> {
    match &*call.args.at(2).to_ascii_lowercase() {
        b"on" => call.session.client.raise(flag),
        b"off" => call.session.client.lower(flag),
        _ => return Err(Error::Syntax),
    }
    call.reply.ok();
    Ok(())
}

const CLIENT_PAUSE: Command = Command {
    name: "pause",
    arity: -3,
    flags: flags("admin noscript loading stale"),
    categories: categories("connection"),
    group: Group::Connection,
    since: "3.0.0",
    usage: "timeout [WRITE | ALL]",
    summary: "Holds back the requests of all connections for a while.",
    run: client_pause,
    ..Command::BASE
};

fn client_pause(call: &mut Call<'_>) -> Result<(), Error> {
    check_most(call, 4)?;
    let held = match call.args.get(3).map(<[u8]>::to_ascii_lowercase).as_deref() {
        None | Some(b"all") => Held::All,
        Some(b"write") => Held::Writes,
        Some(_) => return Err(Error::err("CLIENT PAUSE mode must be WRITE or ALL")),
    };
    let timeout_ms = parse_integer(call.args.at(2));
    let timeout_ms = timeout_ms.ok_or(Error::err("timeout is not an integer or out of range"))?;
    if timeout_ms < 0 {
        return Err(Error::err("timeout is negative"));
    }
    let until_ms = timeout_ms.checked_add(call.engine.clock.now_ms());
    let until_ms = until_ms.ok_or(Error::err("timeout is out of range"))?;
    call.engine.pause.hold(held, until_ms);
    call.reply.ok();
    Ok(())
}

const CLIENT_UNPAUSE: Command = Command {
    name: "unpause",
    arity: 2,
    flags: flags("admin noscript loading stale"),
    categories: categories("connection"),
    group: Group::Connection,
    since: "6.2.0",
    complexity: "O(N)",
    summary: "Ends what CLIENT PAUSE began.",
    run: client_unpause,
    ..Command::BASE
};

fn client_unpause(call: &mut Call<'_>) -> Result<(), Error> {
    call.engine.pause.end();
    call.reply.ok();
    Ok(())
}

const CLIENT_UNBLOCK: Command = Command {
    name: "unblock",
    arity: -3,
    flags: flags("admin noscript loading stale"),
    categories: categories("connection"),
    group: Group::Connection,
    since: "5.0.0",
    complexity: "O(log N) where N is the number of client connections",
    usage: "client-id [TIMEOUT | ERROR]",
    summary: "Ends another connection's waiting in a blocking command.",
    run: client_unblock,
    ..Command::BASE
};

fn client_unblock(call: &mut Call<'_>) -> Result<(), Error> {
    check_most(call, 4)?;
    let error = match call.args.get(3) {
        None => None,
        Some(reason) if reason.eq_ignore_ascii_case(b"timeout") => None,
        Some(reason) if reason.eq_ignore_ascii_case(b"error") => Some(Error::Unblocked),
        Some(_) => return Err(Error::err("CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
    };
    let client = u64::try_from(call.args.integer(2)?).unwrap_or(0);
    let has_waited = call.engine.blocking.unblock(client, error.as_ref());
    call.reply.flag(has_waited);
    Ok(())
}
