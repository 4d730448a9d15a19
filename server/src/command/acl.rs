//! ACL, as far as there is one user: `default`, who may do everything and has at most one
//! password, the server's.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::introspection::{Request, category, help};
use super::metadata::{CATEGORY_NAMES, Group, flags};
use super::{Command, Table};
use crate::config::Param;
use crate::engine::Engine;
use crate::error::Error;
use crate::execute::Call;
use crate::value::number::parse_integer;

pub(super) const COMMANDS: &[&Command] = &[&ACL];

const DEFAULT_USER: &[u8] = b"default";

const ACL: Command = Command {
    name: "acl",
    arity: -2,
    group: Group::Server,
    since: "6.0.0",
    complexity: "Depends on subcommand.",
    summary: "Tells about users and what they may do.",
    subcommands: &[
        &ACL_CAT,
        &ACL_DRYRUN,
        &ACL_GENPASS,
        &ACL_GETUSER,
        &ACL_LIST,
        &ACL_USERS,
        &ACL_WHOAMI,
        &ACL_HELP,
    ],
    ..Command::BASE
};

const ACL_CAT: Command = Command {
    name: "cat",
    arity: -2,
    flags: flags("noscript loading stale"),
    group: Group::Server,
    since: "6.0.0",
    usage: "[category]",
    summary: "Lists the categories of commands, or the commands of one.",
    run: acl_cat,
    ..Command::BASE
};

fn acl_cat(call: &mut Call<'_>) -> Result<(), Error> {
    match call.args.len() {
        2 => write_array(call, CATEGORY_NAMES),
        3 => {
            let name = call.args.at(2);
            let category = category(name)
                .ok_or_else(|| Error::format(format_args!("Unknown category '{}'", shown(name))))?;
            let rows = Table::get().rows().iter();
            let rows = rows.filter(|row| row.command.all_categories().contains(category));
            let names: Vec<_> = rows.map(|row| &*row.name).collect();
            write_array(call, &names);
        }
        _ => return Err(misused(call)),
    }
    Ok(())
}

fn write_array(call: &mut Call<'_>, words: &[&str]) {
    call.reply.array(words.len());
    for word in words {
        call.reply.bulk(word.as_bytes());
    }
}

/// What the client sent, as far as an error text repeats it.
fn shown(argument: &[u8]) -> String {
    String::from_utf8_lossy(&argument[..argument.len().min(128)]).into_owned()
}

/// The answer to a known subcommand with too many arguments.
fn misused(call: &Call<'_>) -> Error {
    let name = shown(call.args.at(1));
    Error::format(format_args!(
        "unknown subcommand or wrong number of arguments for '{name}'. Try ACL HELP."
    ))
}

const ACL_DRYRUN: Command = Command {
    name: "dryrun",
    arity: -4,
    flags: flags("admin noscript loading stale"),
    group: Group::Server,
    since: "7.0.0",
    usage: "username command [arg [arg ...]]",
    summary: "Tells whether a user may execute a command, without executing it.",
    run: acl_dryrun,
    ..Command::BASE
};

fn acl_dryrun(call: &mut Call<'_>) -> Result<(), Error> {
    let user = call.args.at(2);
    if user != DEFAULT_USER {
        return Err(Error::format(format_args!("User '{}' not found", shown(user))));
    }
    let request = Request::from(call.args, 3);
    let row = request.row().ok_or_else(|| {
        Error::format(format_args!("Command '{}' not found", shown(call.args.at(3))))
    })?;
    if !row.command.accepts(request.args().len()) {
        return Err(Error::WrongArity(row.name.clone()));
    }
    call.reply.ok();
    Ok(())
}

const ACL_GENPASS: Command = Command {
    name: "genpass",
    arity: -2,
    flags: flags("noscript loading stale"),
    group: Group::Server,
    since: "6.0.0",
    usage: "[bits]",
    summary: "Makes up a password of 256 or so many bits.",
    run: acl_genpass,
    ..Command::BASE
};

fn acl_genpass(call: &mut Call<'_>) -> Result<(), Error> {
    const MOST_BITS: i64 = 4096;
    let bits = match call.args.len() {
        2 => 256,
        3 => parse_integer(call.args.at(2)).ok_or(Error::NotInteger)?,
        _ => return Err(misused(call)),
    };
    if !(1..=MOST_BITS).contains(&bits) {
        return Err(Error::err(
            "ACL GENPASS argument must be the number of bits for the output password, \
             a positive number up to 4096",
        ));
    }
    let digits = (bits as usize).div_ceil(4);
    call.reply.bulk(&password(call.engine, digits).as_bytes()[..digits]);
    Ok(())
}

/// At least so many hexadecimal digits. They are hashes of random numbers, not the numbers
/// themselves, from which others that the server draws could be computed.
fn password(engine: &Engine, digits: usize) -> String {
    let mut password = String::new();
    while password.len() < digits {
        let numbers = [(); 4].map(|()| engine.random.next().to_le_bytes());
        password.push_str(&sha256(numbers.as_flattened()));
    }
    password
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all that is written");
        text
    })
}

const ACL_GETUSER: Command = Command {
    name: "getuser",
    arity: 3,
    flags: flags("admin noscript loading stale"),
    group: Group::Server,
    since: "6.0.0",
    complexity: "O(N)",
    usage: "username",
    summary: "Tells the passwords and rules of a user.",
    run: acl_getuser,
    ..Command::BASE
};

fn acl_getuser(call: &mut Call<'_>) -> Result<(), Error> {
    if call.args.at(2) != DEFAULT_USER {
        call.reply.null();
        return Ok(());
    }
    let password = password_hash(call.engine);
    let reply = &mut call.reply;
    reply.map(6);
    reply.bulk(b"flags");
    let flags: &[&[u8]] = match password {
        None => &[b"on", b"nopass", b"sanitize-payload"],
        Some(_) => &[b"on", b"sanitize-payload"],
    };
    reply.set(flags.len());
    for flag in flags {
        reply.bulk(flag);
    }
    reply.bulk(b"passwords");
    reply.array(usize::from(password.is_some()));
    if let Some(password) = password {
        reply.bulk(password.as_bytes());
    }
    for (name, rule) in [("commands", "+@all"), ("keys", "~*"), ("channels", "&*")] {
        reply.bulk(name.as_bytes());
        reply.bulk(rule.as_bytes());
    }
    reply.bulk(b"selectors");
    reply.array(0);
    Ok(())
}

/// The SHA-256 of the default user's password, if there is one.
fn password_hash(engine: &Engine) -> Option<String> {
    let password = engine.config.text(Param::RequirePass);
    (!password.is_empty()).then(|| sha256(password.as_bytes()))
}

const ACL_LIST: Command = Command {
    name: "list",
    arity: 2,
    flags: flags("admin noscript loading stale"),
    group: Group::Server,
    since: "6.0.0",
    complexity: "O(N)",
    summary: "Lists the users with their rules, as an ACL file has them.",
    run: acl_list,
    ..Command::BASE
};

fn acl_list(call: &mut Call<'_>) -> Result<(), Error> {
    let access = match password_hash(call.engine) {
        None => "nopass sanitize-payload".to_owned(),
        Some(password) => format!("sanitize-payload #{password}"),
    };
    call.reply.array(1);
    call.reply.bulk(format!("user default on {access} ~* &* +@all").as_bytes());
    Ok(())
}

const ACL_USERS: Command = Command {
    name: "users",
    arity: 2,
    flags: flags("admin noscript loading stale"),
    group: Group::Server,
    since: "6.0.0",
    complexity: "O(N)",
    summary: "Lists the names of the users.",
    run: acl_users,
    ..Command::BASE
};

fn acl_users(call: &mut Call<'_>) -> Result<(), Error> {
    call.reply.array(1);
    call.reply.bulk(DEFAULT_USER);
    Ok(())
}

const ACL_WHOAMI: Command = Command {
    name: "whoami",
    arity: 2,
    flags: flags("noscript loading stale"),
    group: Group::Server,
    since: "6.0.0",
    summary: "Tells the name of the connection's user.",
    run: acl_whoami,
    ..Command::BASE
};

fn acl_whoami(call: &mut Call<'_>) -> Result<(), Error> {
    call.reply.bulk(DEFAULT_USER);
    Ok(())
}

const ACL_HELP: Command = Command {
    name: "help",
    arity: 2,
    flags: flags("loading stale"),
    group: Group::Server,
    since: "6.0.0",
    summary: "Shows this help.",
    run: help,
    ..Command::BASE
};
