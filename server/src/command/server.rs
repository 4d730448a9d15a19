//! The server and its databases as a whole: configuration, emptying, swapping, ending.

use super::introspection::help;
use super::metadata::{Group, categories, flags};
use super::timeout::deadline_in_milliseconds;
use super::{Command, Locks};
use crate::blocking::{InVain, Wish};
use crate::durability::{AtEnd, LOADING};
use crate::error::Error;
use crate::execute::{Call, Flow};
use crate::keyspace::Awaited;
use crate::value::number::parse_integer;

pub(super) const COMMANDS: &[&Command] =
    &[&CONFIG, &DBSIZE, &FLUSHDB, &FLUSHALL, &SWAPDB, &TIME, &ROLE, &WAIT, &SHUTDOWN];

const CONFIG: Command = Command {
    name: "config",
    arity: -2,
    group: Group::Server,
    since: "2.0.0",
    complexity: "Depends on subcommand.",
    summary: "Looks at and changes the configuration.",
    subcommands: &[&CONFIG_GET, &CONFIG_HELP, &CONFIG_RESETSTAT, &CONFIG_REWRITE, &CONFIG_SET],
    ..Command::BASE
};

const CONFIG_GET: Command = Command {
    name: "get",
    arity: -3,
    flags: flags("admin noscript loading stale"),
    group: Group::Server,
    since: "2.0.0",
    complexity: "O(N)",
    usage: "parameter [parameter ...]",
    summary: "Shows the parameters whose names match patterns.",
    run: config_get,
    ..Command::BASE
};

fn config_get(call: &mut Call<'_>) -> Result<(), Error> {
    let parameters = call.engine.config.get(call.args.from(2));
    call.reply.map(parameters.len());
    for (name, value) in parameters {
        call.reply.bulk(name.as_bytes());
        call.reply.bulk(value.as_bytes());
    }
    Ok(())
}

const CONFIG_SET: Command = Command {
    name: "set",
    arity: -4,
    flags: flags("admin noscript loading stale"),
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    group: Group::Server,
    since: "2.0.0",
    complexity: "O(N)",
    usage: "parameter value [parameter value ...]",
    summary: "Changes parameters while the server runs: all of them, or none.",
    run: config_set,
    ..Command::BASE
};

fn config_set(call: &mut Call<'_>) -> Result<(), Error> {
    if !call.args.len().is_multiple_of(2) {
        return Err(Error::Syntax);
    }
    let mut pairs = Vec::with_capacity(call.args.len() / 2);
    for index in (2..call.args.len()).step_by(2) {
        let name = call.args.at(index);
        let is_bound = BOUND_TO_FILES.iter().any(|bound| name.eq_ignore_ascii_case(bound));
        if is_bound && call.engine.is_loading() {
            return Err(LOADING);
        }
        if SECRETS.iter().any(|secret| name.eq_ignore_ascii_case(secret)) {
            call.redacted.hide(index + 1);
        }
        pairs.push((name, call.args.at(index + 1)));
    }
    call.engine.config.set(&pairs, call.session.client.is_local())?;
    call.reply.ok();
    Ok(())
}

/// Parameters that say where what is being loaded comes from.
const BOUND_TO_FILES: [&[u8]; 2] = [b"dir", b"appendonly"];

/// Parameters whose values no log may show.
const SECRETS: [&[u8]; 3] = [b"requirepass", b"masterauth", b"masteruser"];

const CONFIG_RESETSTAT: Command = Command {
    name: "resetstat",
    arity: 2,
    flags: flags("admin noscript loading stale"),
    locks: Locks::All,
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    group: Group::Server,
    since: "2.0.0",
    summary: "Sets the statistics back to zero.",
    run: config_resetstat,
    ..Command::BASE
};

fn config_resetstat(call: &mut Call<'_>) -> Result<(), Error> {
    call.settle_statistics();
    call.engine.stats.reset();
    call.engine.limit.reset_counts();
    call.txn.reset_counters();
    call.reply.ok();
    Ok(())
}

const CONFIG_REWRITE: Command = Command {
    name: "rewrite",
    arity: 2,
    flags: flags("admin noscript loading stale"),
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    group: Group::Server,
    since: "2.8.0",
    summary: "Writes the present configuration to the file that the server started with.",
    run: config_rewrite,
    ..Command::BASE
};

fn config_rewrite(call: &mut Call<'_>) -> Result<(), Error> {
    call.engine.config.rewrite()?;
    call.reply.ok();
    Ok(())
}

const CONFIG_HELP: Command = Command {
    name: "help",
    arity: 2,
    flags: flags("loading stale"),
    group: Group::Server,
    since: "5.0.0",
    summary: "Shows this help.",
    run: help,
    ..Command::BASE
};

const DBSIZE: Command = Command {
    name: "dbsize",
    arity: 1,
    flags: flags("readonly fast"),
    categories: categories("keyspace"),
    tips: &["request_policy:all_shards", "response_policy:agg_sum"],
    group: Group::Server,
    summary: "Counts the keys of the database.",
    run: dbsize,
    locks: Locks::All,
    ..Command::BASE
};

fn dbsize(call: &mut Call<'_>) -> Result<(), Error> {
    call.reply.count(call.txn.figures().keys);
    Ok(())
}

const FLUSHDB: Command = Command {
    name: "flushdb",
    arity: -1,
    flags: flags("write"),
    categories: categories("keyspace dangerous"),
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    group: Group::Server,
    complexity: "O(N)",
    usage: "[ASYNC | SYNC]",
    summary: "Removes all keys of the database.",
    run: flushdb,
    locks: Locks::All,
    ..Command::BASE
};

fn flushdb(call: &mut Call<'_>) -> Result<(), Error> {
    check_flush_mode(call)?;
    call.txn.flush();
    call.txn.mark_changed();
    call.reply.ok();
    Ok(())
}

const FLUSHALL: Command = Command {
    name: "flushall",
    arity: -1,
    flags: flags("write"),
    categories: categories("keyspace dangerous"),
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    group: Group::Server,
    complexity: "O(N)",
    usage: "[ASYNC | SYNC]",
    summary: "Removes all keys of all databases.",
    run: flushall,
    locks: Locks::All,
    ..Command::BASE
};

fn flushall(call: &mut Call<'_>) -> Result<(), Error> {
    check_flush_mode(call)?;
    call.txn.flush_all();
    call.txn.mark_changed();
    call.save_after_flush();
    call.reply.ok();
    Ok(())
}

fn check_flush_mode(call: &Call<'_>) -> Result<(), Error> {
    let known =
        |mode: &[u8]| [&b"sync"[..], b"async"].iter().any(|word| mode.eq_ignore_ascii_case(word));
    match (call.args.len(), call.args.get(1)) {
        (1, _) => Ok(()),
        (2, Some(mode)) if known(mode) => Ok(()),
        _ => Err(Error::Syntax),
    }
}

const SWAPDB: Command = Command {
    name: "swapdb",
    arity: 3,
    flags: flags("write fast"),
    categories: categories("keyspace dangerous"),
    group: Group::Server,
    since: "4.0.0",
    complexity: "O(1)",
    usage: "index1 index2",
    summary: "Exchanges two databases.",
    run: swapdb,
    locks: Locks::All,
    ..Command::BASE
};

fn swapdb(call: &mut Call<'_>) -> Result<(), Error> {
    let index = |at, text| {
        let index = parse_integer(call.args.at(at)).and_then(|index| i32::try_from(index).ok());
        index.ok_or(Error::err(text))
    };
    let one = index(1, "invalid first DB index")?;
    let other = index(2, "invalid second DB index")?;
    let one = super::keys::database_index(call, i64::from(one))?;
    let other = super::keys::database_index(call, i64::from(other))?;
    call.txn.swap(one, other);
    call.reply.ok();
    Ok(())
}

const TIME: Command = Command {
    name: "time",
    arity: 1,
    flags: flags("loading stale fast"),
    tips: &["nondeterministic_output"],
    group: Group::Server,
    since: "2.6.0",
    summary: "Tells the server's time.",
    run: time,
    ..Command::BASE
};

fn time(call: &mut Call<'_>) -> Result<(), Error> {
    let now_us = call.session.moment.now_us();
    call.reply.array(2);
    call.reply.bulk_integer(now_us / 1_000_000);
    call.reply.bulk_integer(now_us % 1_000_000);
    Ok(())
}

const ROLE: Command = Command {
    name: "role",
    arity: 1,
    flags: flags("noscript loading stale fast"),
    categories: categories("admin dangerous"),
    group: Group::Server,
    since: "2.8.12",
    summary: "Tells what part the server plays in replication: that of a master without replicas.",
    run: role,
    ..Command::BASE
};

fn role(call: &mut Call<'_>) -> Result<(), Error> {
    call.reply.array(3);
    call.reply.bulk(b"master");
    call.reply.integer(0);
    call.reply.array(0);
    Ok(())
}

const WAIT: Command = Command {
    name: "wait",
    arity: 3,
    flags: flags("blocking"),
    categories: categories("connection"),
    tips: &["request_policy:all_shards", "response_policy:agg_min"],
    since: "3.0.0",
    usage: "numreplicas timeout",
    summary: "Waits until replicas have the writes of the connection: there are none, so for the whole time.",
    run: wait,
    ..Command::BASE
};

fn wait(call: &mut Call<'_>) -> Result<(), Error> {
    let wanted = call.args.integer(1)?;
    let deadline_ms = deadline_in_milliseconds(call, 2)?;
    if wanted <= 0 {
        call.reply.integer(0);
        return Ok(());
    }
    let awaited = Awaited { kind: "", minds_loss: false };
    let in_vain = InVain::Zero;
    call.wait(Wish { first: 0, count: 0, awaited, rewritten: None, deadline_ms, in_vain });
    Ok(())
}

const SHUTDOWN: Command = Command {
    name: "shutdown",
    arity: -1,
    flags: flags("admin noscript loading stale no_multi allow_busy"),
    locks: Locks::All,
    group: Group::Server,
    complexity: "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)",
    usage: "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
    summary: "Ends the server.",
    run: shutdown,
    ..Command::BASE
};

/// Nothing is replied on success: the connection closes.
fn shutdown(call: &mut Call<'_>) -> Result<(), Error> {
    let options = ShutdownOptions::parse(call)?;
    if options.is_abort {
        return Err(Error::err("No shutdown in progress."));
    }
    let running = &call.engine.scripts.running;
    if running.is_late() && options.at_end != AtEnd::Unsaved {
        return Err(running.busy());
    }
    if let Err(problem) = call.settle_at_end(options.at_end) {
        tracing::error!("{problem}");
        if !options.is_forced {
            return Err(Error::err("Errors trying to SHUTDOWN. Check logs."));
        }
        call.engine.close_log();
    }
    call.engine.stop();
    call.flow = Flow::Close;
    Ok(())
}

struct ShutdownOptions {
    at_end: AtEnd,
    /// Whether it ends even if it cannot be saved.
    is_forced: bool,
    is_abort: bool,
}

impl ShutdownOptions {
    fn parse(call: &Call<'_>) -> Result<Self, Error> {
        let mut parsed =
            ShutdownOptions { at_end: AtEnd::AsConfigured, is_forced: false, is_abort: false };
        let (mut saving, mut count) = (None, 0);
        let mut options = call.args.options(1);
        while let Some(word) = options.word() {
            count += 1;
            let chosen = match &*word {
                b"NOSAVE" => Some(AtEnd::Unsaved),
                b"SAVE" => Some(AtEnd::Saved),
                b"NOW" => None,
                b"FORCE" => {
                    parsed.is_forced = true;
                    None
                }
                b"ABORT" => {
                    parsed.is_abort = true;
                    None
                }
                _ => return Err(Error::Syntax),
            };
            if chosen.is_some() && saving.is_some_and(|earlier| Some(earlier) != chosen) {
                return Err(Error::Syntax);
            }
            saving = chosen.or(saving);
        }
        if parsed.is_abort
            && count > 1
            && call.args.from(1).any(|word| !word.eq_ignore_ascii_case(b"abort"))
        {
            return Err(Error::Syntax);
        }
        parsed.at_end = saving.unwrap_or(parsed.at_end);
        Ok(parsed)
    }
}
