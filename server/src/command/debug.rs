//! `DEBUG`: for tests of clients, and of this server.
//!
//! Its subcommands are no rows of the table, because to Redis they are plain arguments; they
//! have a small table of their own. What reaches into another server's insides is accepted only
//! where there is nothing here that could be any different.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::digest::Digest;
use super::metadata::{Group, flags};
use super::{Command, Locks};
use crate::config::Param;
use crate::durability::Reload;
use crate::error::Error;
use crate::execute::{Call, Flow};
use crate::journal::payload;
use crate::keyspace::Entry;
use crate::pause::Held;
use crate::resp::Protocol;
use crate::text::quoted;
use crate::value::{Text, ValueRef, number};

pub(super) const COMMANDS: &[&Command] = &[&DEBUG];

const DEBUG: Command = Command {
    name: "debug",
    arity: -2,
    flags: flags("admin noscript loading stale protected"),
    locks: Locks::All,
    group: Group::Server,
    complexity: "Depends on subcommand.",
    summary: "Commands for tests of clients and of the server.",
    run: debug,
    ..Command::BASE
};

fn debug(call: &mut Call<'_>) -> Result<(), Error> {
    let name = call.args.at(1);
    let found = SUBCOMMANDS.iter().find(|sub| sub.name.as_bytes().eq_ignore_ascii_case(name));
    let found = found.filter(|sub| sub.arguments.contains(&(call.args.len() - 2)));
    let Some(subcommand) = found else {
        let name = String::from_utf8_lossy(name);
        return Err(Error::format(format_args!(
            "unknown subcommand or wrong number of arguments for '{name}'. Try DEBUG HELP."
        )));
    };
    (subcommand.run)(call)
}

struct Subcommand {
    name: &'static str,
    /// How many arguments may follow the name.
    arguments: RangeInclusive<usize>,
    usage: &'static str,
    summary: &'static str,
    run: fn(&mut Call<'_>) -> Result<(), Error>,
}

const SUBCOMMANDS: &[Subcommand] = &[
    Subcommand {
        name: "AOF-FLUSH-SLEEP",
        arguments: 1..=1,
        usage: "<microseconds>",
        summary: "Have each write to the append-only file wait so long.",
        run: aof_flush_sleep,
    },
    Subcommand {
        name: "DICT-RESIZING",
        arguments: 1..=1,
        usage: "<0|1>",
        summary: "Accepted without effect: tables have no pauses to avoid.",
        run: accept,
    },
    Subcommand {
        name: "DIGEST",
        arguments: 0..=0,
        usage: "",
        summary: "Return a digest of all databases, the same for the same data.",
        run: digest,
    },
    Subcommand {
        name: "DIGEST-VALUE",
        arguments: 0..=usize::MAX,
        usage: "[<key> ...]",
        summary: "Return a digest of each key's value.",
        run: digest_value,
    },
    Subcommand {
        name: "ERROR",
        arguments: 1..=1,
        usage: "<text>",
        summary: "Reply with an error of this text.",
        run: error,
    },
    Subcommand {
        name: "HELP",
        arguments: 0..=0,
        usage: "",
        summary: "Print this help.",
        run: help,
    },
    Subcommand {
        name: "LOADAOF",
        arguments: 0..=usize::MAX,
        usage: "",
        summary: "Flush the append-only file to disk and load it in place of the data.",
        run: loadaof,
    },
    Subcommand {
        name: "LOG",
        arguments: 1..=1,
        usage: "<text>",
        summary: "Write a text to the server's log.",
        run: log,
    },
    Subcommand {
        name: "OBJECT",
        arguments: 1..=2,
        usage: "<key> [FAST]",
        summary: "Show how a key's value is kept; FAST leaves out what takes long to find out.",
        run: object,
    },
    Subcommand {
        name: "PAUSE-CRON",
        arguments: 1..=1,
        usage: "<0|1>",
        summary: "Stop or start what the server does in the background on its own.",
        run: pause_cron,
    },
    Subcommand {
        name: "POPULATE",
        arguments: 1..=3,
        usage: "<count> [<prefix> [<size>]]",
        summary: "Create keys with the names <prefix>:0, <prefix>:1 and so on where there are none.",
        run: populate,
    },
    Subcommand {
        name: "PROTOCOL",
        arguments: 1..=1,
        usage: "<type>",
        summary: "Reply with an example of a type of reply.",
        run: protocol,
    },
    Subcommand {
        name: "QUICKLIST-PACKED-THRESHOLD",
        arguments: 1..=1,
        usage: "<size>",
        summary: "Accepted without effect: which elements of a list lie apart is not up to it.",
        run: accept,
    },
    Subcommand {
        name: "RELOAD",
        arguments: 0..=usize::MAX,
        usage: "[MERGE] [NOFLUSH] [NOSAVE]",
        summary: "Save the data and load them again.",
        run: reload,
    },
    Subcommand {
        name: "REPLYBUFFER",
        arguments: 2..=2,
        usage: "<PEAK-RESET-TIME|RESIZING> <value>",
        summary: "Accepted without effect: reply buffers have no cycle of growing and shrinking.",
        run: accept,
    },
    Subcommand {
        name: "SET-ACTIVE-EXPIRE",
        arguments: 1..=1,
        usage: "<0|1>",
        summary: "Stop or start removing expired keys that nobody asks for.",
        run: set_active_expire,
    },
    Subcommand {
        name: "SET-DISABLE-DENY-SCRIPTS",
        arguments: 1..=1,
        usage: "<0|1>",
        summary: "Let scripts execute DEBUG, or not; what else they may not execute stays so.",
        run: set_disable_deny_scripts,
    },
    Subcommand {
        name: "SET-SKIP-CHECKSUM-VALIDATION",
        arguments: 1..=1,
        usage: "<0|1>",
        summary: "Have RESTORE take payloads whose checksum is wrong, or not.",
        run: set_skip_checksum_validation,
    },
    Subcommand {
        name: "SLEEP",
        arguments: 1..=1,
        usage: "<seconds>",
        summary: "Answer nobody for so long.",
        run: sleep,
    },
];

fn help(call: &mut Call<'_>) -> Result<(), Error> {
    call.reply.array(1 + 2 * SUBCOMMANDS.len());
    call.reply.simple("DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    for subcommand in SUBCOMMANDS {
        let usage = format!("{} {}", subcommand.name, subcommand.usage);
        call.reply.simple(usage.trim_end());
        call.reply.simple(&format!("    {}", subcommand.summary));
    }
    Ok(())
}

fn accept(call: &mut Call<'_>) -> Result<(), Error> {
    call.reply.ok();
    Ok(())
}

fn digest(call: &mut Call<'_>) -> Result<(), Error> {
    let digest = Digest::of_keyspace(&mut call.txn, call.engine.keyspace.databases());
    call.reply.simple(&digest.hexadecimal());
    Ok(())
}

fn digest_value(call: &mut Call<'_>) -> Result<(), Error> {
    let keys = call.args.from(2);
    call.reply.array(keys.len());
    for key in keys {
        let digest = call.txn.peek(key).map(Digest::of_value).unwrap_or_default();
        call.reply.simple(&digest.hexadecimal());
    }
    Ok(())
}

/// The text is the whole error, its code included. It counts nowhere as an error.
fn error(call: &mut Call<'_>) -> Result<(), Error> {
    let text = String::from_utf8_lossy(call.args.at(2)).into_owned();
    call.reply.error(&Error::Text(text.into_bytes().into()));
    Ok(())
}

fn log(call: &mut Call<'_>) -> Result<(), Error> {
    tracing::warn!("DEBUG LOG: {}", quoted(call.args.at(2)));
    call.reply.ok();
    Ok(())
}

fn object(call: &mut Call<'_>) -> Result<(), Error> {
    let with_size = !call.args.get(3).is_some_and(|word| word.eq_ignore_ascii_case(b"fast"));
    let now_ms = call.now_ms();
    let entry = call.txn.peek(call.args.at(2)).ok_or(Error::NoSuchKey)?;
    let line = describe(entry, now_ms, with_size);
    call.reply.simple(&line);
    Ok(())
}

fn describe(entry: Entry<'_>, now_ms: i64, with_size: bool) -> String {
    let usage = entry.usage();
    let size = if with_size {
        format!(" serializedlength:{}", saved_bytes(entry.value()))
    } else {
        String::new()
    };
    format!(
        "Value at:{:p} refcount:1 encoding:{}{size} lru:{} lru_seconds_idle:{}",
        entry.address(),
        entry.value().encoding(),
        usage.clock_s(),
        usage.idle_s(now_ms),
    )
}

/// What the value takes when it is saved.
fn saved_bytes(value: ValueRef<'_>) -> usize {
    let mut saved = Vec::new();
    payload::write_value(&mut saved, value);
    saved.len()
}

fn populate(call: &mut Call<'_>) -> Result<(), Error> {
    let not_negative = |index: usize| match call.args.get(index).map(number::parse_integer) {
        None => Ok(0),
        Some(Some(count @ 0..)) => Ok(count as usize),
        Some(_) => Err(Error::err("value is out of range, must be positive")),
    };
    let (count, size) = (not_negative(2)?, not_negative(4)?);
    if size as i64 > call.engine.config.number(Param::ProtoMaxBulkLen) {
        return Err(Error::StringTooLong);
    }
    let prefix = call.args.get(3).unwrap_or(b"key");
    for index in 0..count {
        let key = [prefix, format!(":{index}").as_bytes()].concat();
        if !call.txn.contains(&key) {
            let mut value = format!("value:{index}").into_bytes();
            if size > 0 {
                value.resize(size, 0);
            }
            call.txn.put(&key, Text::Fixed(&value), None);
        }
    }
    call.reply.ok();
    Ok(())
}

fn protocol(call: &mut Call<'_>) -> Result<(), Error> {
    #[expect(clippy::approx_constant, reason = "it is not meant to be pi, only what Redis sends")]
    const EXAMPLE: f64 = 3.141;
    let name = call.args.at(2).to_ascii_lowercase();
    let reply = &mut call.reply;
    match name.as_slice() {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.integer(12345),
        b"double" => reply.double(EXAMPLE),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"map" => {
            reply.map(3);
            for number in 0..3 {
                reply.integer(number);
                reply.boolean(number == 1);
            }
        }
        b"attrib" => attribute_example(call),
        b"push" => return push_example(call),
        b"verbatim" => reply.verbatim(b"This is a verbatim\nstring"),
        b"true" => reply.boolean(true),
        b"false" => reply.boolean(false),
        b"bignum" => reply.big_number(b"1234567999999999999999999999999999999"),
        _ => {
            return Err(Error::err(
                "Wrong protocol type name. Please use one of the following: string|integer|\
                 double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}

fn attribute_example(call: &mut Call<'_>) {
    if call.session.protocol() == Protocol::Resp3 {
        call.reply.attribute(1);
        call.reply.bulk(b"key-popularity");
        call.reply.array(2);
        call.reply.bulk(b"key:123");
        call.reply.integer(90);
    }
    call.reply.bulk(b"Some real reply following the attribute");
}

/// A push is nobody's reply: it comes after the one that the request gets.
fn push_example(call: &mut Call<'_>) -> Result<(), Error> {
    if call.session.protocol() == Protocol::Resp2 {
        return Err(Error::err("RESP2 is not supported by this command"));
    }
    call.reply.bulk(b"Some real reply following the push reply");
    call.reply.push(2);
    call.reply.bulk(b"server-cpu-usage");
    call.reply.integer(42);
    Ok(())
}

fn reload(call: &mut Call<'_>) -> Result<(), Error> {
    let mut options = Reload::default();
    for word in call.args.from(2) {
        match word.to_ascii_lowercase().as_slice() {
            b"merge" => options.is_merge = true,
            b"noflush" => options.keeps = true,
            b"nosave" => options.is_unsaved = true,
            _ => {
                return Err(Error::err(
                    "DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
                ));
            }
        }
    }
    call.reload(options)?;
    call.reply.ok();
    Ok(())
}

fn loadaof(call: &mut Call<'_>) -> Result<(), Error> {
    call.reload_log().map_err(|problem| {
        tracing::error!("the log is not loaded: {problem}");
        Error::err("Error trying to load the AOF files, check server logs.")
    })?;
    tracing::info!("Append Only File loaded by DEBUG LOADAOF");
    call.reply.ok();
    Ok(())
}

/// What is no number is 0.
fn aof_flush_sleep(call: &mut Call<'_>) -> Result<(), Error> {
    let wait_us = number::parse_integer(call.args.at(2)).unwrap_or(0);
    let wait_us = u64::try_from(wait_us).unwrap_or(0);
    call.engine.durability.appending.dawdle_us.store(wait_us, Ordering::Relaxed);
    call.reply.ok();
    Ok(())
}

fn pause_cron(call: &mut Call<'_>) -> Result<(), Error> {
    set_switch(call, &call.engine.is_background_paused)
}

fn set_skip_checksum_validation(call: &mut Call<'_>) -> Result<(), Error> {
    set_switch(call, &call.engine.ignores_checksums)
}

fn set_active_expire(call: &mut Call<'_>) -> Result<(), Error> {
    set_switch(call, &call.engine.sweeps)
}

fn set_disable_deny_scripts(call: &mut Call<'_>) -> Result<(), Error> {
    set_switch(call, &call.engine.scripts_may_debug)
}

/// What is no number is 0.
fn set_switch(call: &mut Call<'_>, switch: &AtomicBool) -> Result<(), Error> {
    let on = number::parse_integer(call.args.at(2)).unwrap_or(0) != 0;
    switch.store(on, Ordering::Relaxed);
    call.reply.ok();
    Ok(())
}

/// Holds all clients back, as a server with a single thread would. What is no number of
/// seconds is no time at all.
fn sleep(call: &mut Call<'_>) -> Result<(), Error> {
    let seconds = number::parse_double(call.args.at(2)).unwrap_or(0.0);
    let duration = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    if !duration.is_zero() {
        let duration_ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let until_ms = call.now_ms().saturating_add(duration_ms);
        call.engine.pause.hold(Held::All, until_ms);
        call.flow = Flow::Sleep(duration);
    }
    call.reply.ok();
    Ok(())
}
