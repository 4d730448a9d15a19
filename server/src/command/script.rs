//! Running scripts, and the scripts that the server remembers.

use super::args::Word;
use super::introspection::help;
use super::metadata::{Group, KeySpec, categories, flags};
use super::{Command, Locks};
use crate::error::Error;
use crate::execute::Call;
use crate::script::{Sha, Unkillable};
use crate::value::number::parse_integer;

pub(super) const COMMANDS: &[&Command] = &[&EVAL, &EVAL_RO, &EVALSHA, &EVALSHA_RO, &SCRIPT];

const EVAL: Command = Command {
    name: "eval",
    arity: -3,
    flags: flags("noscript stale skip_monitor no_mandatory_keys movablekeys"),
    categories: categories("scripting"),
    keys: &[KeySpec::counted(2, "RW access update")],
    locks: Locks::Script,
    group: Group::Scripting,
    since: "2.6.0",
    complexity: "Depends on the script that is executed.",
    usage: "script numkeys [key [key ...]] [arg [arg ...]]",
    summary: "Executes a script.",
    run: eval,
    ..Command::BASE
};

fn eval(call: &mut Call<'_>) -> Result<(), Error> {
    evaluate(call, false)
}

const EVAL_RO: Command = Command {
    name: "eval_ro",
    arity: -3,
    flags: flags("readonly noscript stale skip_monitor no_mandatory_keys movablekeys"),
    categories: categories("scripting"),
    keys: &[KeySpec::counted(2, "RO access")],
    locks: Locks::Script,
    group: Group::Scripting,
    since: "7.0.0",
    complexity: "Depends on the script that is executed.",
    usage: "script numkeys [key [key ...]] [arg [arg ...]]",
    summary: "Executes a script that may not change anything.",
    run: eval_ro,
    ..Command::BASE
};

fn eval_ro(call: &mut Call<'_>) -> Result<(), Error> {
    evaluate(call, true)
}

fn evaluate(call: &mut Call<'_>, read_only: bool) -> Result<(), Error> {
    call.show_to_monitors();
    let keys = key_count(call)?;
    let engine = call.engine;
    let mut state = engine.scripts.state();
    let known = state.cache().len();
    let at = state.load(call.args.at(1), true)?;
    if state.cache().len() != known {
        engine.scripts.note(&state);
    }
    state.run(at, call, read_only, keys)
}

const EVALSHA: Command = Command {
    name: "evalsha",
    arity: -3,
    flags: flags("noscript stale skip_monitor no_mandatory_keys movablekeys"),
    categories: categories("scripting"),
    keys: &[KeySpec::counted(2, "RW access update")],
    locks: Locks::Script,
    group: Group::Scripting,
    since: "2.6.0",
    complexity: "Depends on the script that is executed.",
    usage: "sha1 numkeys [key [key ...]] [arg [arg ...]]",
    summary: "Executes a script that the server remembers.",
    run: evalsha,
    ..Command::BASE
};

fn evalsha(call: &mut Call<'_>) -> Result<(), Error> {
    evaluate_known(call, false)
}

const EVALSHA_RO: Command = Command {
    name: "evalsha_ro",
    arity: -3,
    flags: flags("readonly noscript stale skip_monitor no_mandatory_keys movablekeys"),
    categories: categories("scripting"),
    keys: &[KeySpec::counted(2, "RO access")],
    locks: Locks::Script,
    group: Group::Scripting,
    since: "7.0.0",
    complexity: "Depends on the script that is executed.",
    usage: "sha1 numkeys [key [key ...]] [arg [arg ...]]",
    summary: "Executes a script that the server remembers and that may not change anything.",
    run: evalsha_ro,
    ..Command::BASE
};

fn evalsha_ro(call: &mut Call<'_>) -> Result<(), Error> {
    evaluate_known(call, true)
}

fn evaluate_known(call: &mut Call<'_>, read_only: bool) -> Result<(), Error> {
    const MISSING: Error = Error::coded("NOSCRIPT No matching script. Please use EVAL.");
    call.show_to_monitors();
    if call.args.at(1).len() != Sha::DIGITS {
        return Err(MISSING);
    }
    let keys = key_count(call)?;
    let engine = call.engine;
    let mut state = engine.scripts.state();
    let found = Sha::parse(call.args.at(1)).and_then(|sha| state.cache().at_sha(sha));
    let at = found.ok_or(MISSING)?;
    state.run(at, call, read_only, keys)
}

/// How many keys there are among the arguments after their number.
pub(super) fn key_count(call: &Call<'_>) -> Result<usize, Error> {
    let count = parse_integer(call.args.at(2)).ok_or(Error::NotInteger)?;
    let count =
        usize::try_from(count).map_err(|_| Error::err("Number of keys can't be negative"))?;
    if count > call.args.len() - 3 {
        return Err(Error::err("Number of keys can't be greater than number of args"));
    }
    Ok(count)
}

const SCRIPT: Command = Command {
    name: "script",
    arity: -2,
    group: Group::Scripting,
    since: "2.6.0",
    complexity: "Depends on subcommand.",
    summary: "Commands about the scripts that the server remembers.",
    subcommands: &[
        &SCRIPT_KILL,
        &SCRIPT_EXISTS,
        &SCRIPT_DEBUG,
        &SCRIPT_LOAD,
        &SCRIPT_FLUSH,
        &SCRIPT_SHOW,
        &SCRIPT_HELP,
    ],
    ..Command::BASE
};

/// What all subcommands have in common.
const SUBCOMMAND: Command = Command {
    flags: flags("noscript"),
    categories: categories("scripting"),
    locks: Locks::Script,
    group: Group::Scripting,
    since: "2.6.0",
    ..Command::BASE
};

const SCRIPT_KILL: Command = Command {
    name: "kill",
    arity: 2,
    flags: flags("noscript allow_busy"),
    locks: Locks::Keys,
    tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
    summary: "Ends the script that runs.",
    run: script_kill,
    ..SUBCOMMAND
};

fn script_kill(call: &mut Call<'_>) -> Result<(), Error> {
    kill(call, false)
}

/// Ends what runs, if it is of the right kind and has changed nothing.
pub(super) fn kill(call: &mut Call<'_>, is_function: bool) -> Result<(), Error> {
    let killed = call.engine.scripts.running.kill(is_function);
    killed.map_err(|unkillable| match unkillable {
        Unkillable::NoneRuns => Error::coded("NOTBUSY No scripts in execution right now."),
        Unkillable::OfAnotherKind => busy(call),
        Unkillable::HasWritten => Error::coded(
            "UNKILLABLE Sorry the script already executed write commands against the dataset. You can \
             either wait the script termination or kill the server in a hard way using the SHUTDOWN \
             NOSAVE command.",
        ),
    })?;
    call.reply.ok();
    Ok(())
}

fn busy(call: &Call<'_>) -> Error {
    call.engine.scripts.running.busy()
}

const SCRIPT_EXISTS: Command = Command {
    name: "exists",
    arity: -3,
    tips: &["request_policy:all_shards", "response_policy:agg_logical_and"],
    complexity: "O(N) with N being the number of scripts to check.",
    usage: "sha1 [sha1 ...]",
    summary: "Says which scripts the server remembers.",
    run: script_exists,
    ..SUBCOMMAND
};

fn script_exists(call: &mut Call<'_>) -> Result<(), Error> {
    let state = call.engine.scripts.state();
    let digests = call.args.from(2);
    call.reply.array(digests.len());
    for digest in digests {
        let found = Sha::parse(digest).and_then(|sha| state.cache().at_sha(sha));
        call.reply.flag(found.is_some());
    }
    Ok(())
}

const SCRIPT_DEBUG: Command = Command {
    name: "debug",
    arity: 3,
    since: "3.2.0",
    usage: "<YES | SYNC | NO>",
    summary: "Would have scripts run in a debugger, which redlet has not.",
    run: script_debug,
    ..SUBCOMMAND
};

fn script_debug(call: &mut Call<'_>) -> Result<(), Error> {
    match &*Word::new(call.args.at(2)) {
        b"NO" => call.reply.ok(),
        b"YES" | b"SYNC" => return Err(Error::err("redlet has no debugger for scripts")),
        _ => return Err(Error::err("Use SCRIPT DEBUG YES/SYNC/NO")),
    }
    Ok(())
}

const SCRIPT_LOAD: Command = Command {
    name: "load",
    arity: 3,
    flags: flags("noscript stale"),
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    complexity: "O(N) with N being the length in bytes of the script body.",
    usage: "script",
    summary: "Has the server remember a script.",
    run: script_load,
    ..SUBCOMMAND
};

fn script_load(call: &mut Call<'_>) -> Result<(), Error> {
    let source = call.args.at(2);
    let mut state = call.engine.scripts.state();
    let at = state.load(source, false)?;
    let digits = state.digest(at);
    call.engine.scripts.note(&state);
    call.reply.bulk(&digits);
    Ok(())
}

const SCRIPT_FLUSH: Command = Command {
    name: "flush",
    arity: -2,
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    complexity: "O(N) with N being the number of scripts that are remembered.",
    usage: "[ASYNC | SYNC]",
    summary: "Forgets all scripts.",
    run: script_flush,
    ..SUBCOMMAND
};

fn script_flush(call: &mut Call<'_>) -> Result<(), Error> {
    check_flush_mode(call, "SCRIPT FLUSH only support SYNC|ASYNC option")?;
    let mut state = call.engine.scripts.state();
    state.flush();
    call.engine.scripts.note(&state);
    call.reply.ok();
    Ok(())
}

/// Both modes give the memory back at once.
pub(super) fn check_flush_mode(call: &Call<'_>, text: &'static str) -> Result<(), Error> {
    let is_mode = |mode: &[u8]| matches!(&*Word::new(mode), b"SYNC" | b"ASYNC");
    let known = match call.args.len() {
        2 => true,
        3 => is_mode(call.args.at(2)),
        _ => false,
    };
    if known { Ok(()) } else { Err(Error::err(text)) }
}

const SCRIPT_SHOW: Command = Command {
    name: "show",
    arity: 3,
    since: "7.2.0",
    usage: "sha1",
    summary: "Gives the text of a script that the server remembers.",
    run: script_show,
    ..SUBCOMMAND
};

fn script_show(call: &mut Call<'_>) -> Result<(), Error> {
    let state = call.engine.scripts.state();
    let script = Sha::parse(call.args.at(2)).and_then(|sha| state.cache().get(sha));
    let script = script.ok_or(Error::coded("NOSCRIPT No matching script."))?;
    call.reply.bulk(&script.source);
    Ok(())
}

const SCRIPT_HELP: Command = Command {
    name: "help",
    arity: 2,
    flags: flags("loading stale"),
    locks: Locks::Keys,
    since: "5.0.0",
    summary: "Lists the subcommands.",
    run: help,
    ..SUBCOMMAND
};
