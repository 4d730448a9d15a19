//! Libraries of functions, and calling their functions.

use super::args::Word;
use super::introspection::help;
use super::metadata::{Group, KeySpec, categories, flags};
use super::script::{check_flush_mode, kill};
use super::{Command, Locks};
use crate::error::Error;
use crate::execute::Call;
use crate::journal::libraries::{self, LibrariesError};
use crate::script::{FLAG_NAMES, Function, Library, Policy};
use crate::value::glob;
use crate::value::number::parse_integer;

pub(super) const COMMANDS: &[&Command] = &[&FCALL, &FCALL_RO, &FUNCTION];

const FCALL: Command = Command {
    name: "fcall",
    arity: -3,
    flags: flags("noscript stale skip_monitor no_mandatory_keys movablekeys"),
    categories: categories("scripting"),
    keys: &[KeySpec::counted(2, "RW access update")],
    locks: Locks::Script,
    group: Group::Scripting,
    since: "7.0.0",
    complexity: "Depends on the function that is executed.",
    usage: "function numkeys [key [key ...]] [arg [arg ...]]",
    summary: "Calls a function.",
    run: fcall,
    ..Command::BASE
};

fn fcall(call: &mut Call<'_>) -> Result<(), Error> {
    call_function(call, false)
}

const FCALL_RO: Command = Command {
    name: "fcall_ro",
    arity: -3,
    flags: flags("readonly noscript stale skip_monitor no_mandatory_keys movablekeys"),
    categories: categories("scripting"),
    keys: &[KeySpec::counted(2, "RO access")],
    locks: Locks::Script,
    group: Group::Scripting,
    since: "7.0.0",
    complexity: "Depends on the function that is executed.",
    usage: "function numkeys [key [key ...]] [arg [arg ...]]",
    summary: "Calls a function that may not change anything.",
    run: fcall_ro,
    ..Command::BASE
};

fn fcall_ro(call: &mut Call<'_>) -> Result<(), Error> {
    call_function(call, true)
}

fn call_function(call: &mut Call<'_>, read_only: bool) -> Result<(), Error> {
    call.show_to_monitors();
    let mut state = call.engine.scripts.state();
    let name = call.args.at(1);
    if state.libraries.function(name).is_none() {
        return Err(Error::err("Function not found"));
    }
    let keys = key_count(call)?;
    state.run_function(name, call, read_only, keys)
}

fn key_count(call: &Call<'_>) -> Result<usize, Error> {
    let count = parse_integer(call.args.at(2));
    let count = count.ok_or(Error::err("Bad number of keys provided"))?;
    if count > call.args.len() as i64 - 3 {
        return Err(Error::err("Number of keys can't be greater than number of args"));
    }
    usize::try_from(count).map_err(|_| Error::err("Number of keys can't be negative"))
}

const FUNCTION: Command = Command {
    name: "function",
    arity: -2,
    group: Group::Scripting,
    since: "7.0.0",
    complexity: "Depends on subcommand.",
    summary: "Commands about libraries of functions.",
    subcommands: &[
        &FUNCTION_KILL,
        &FUNCTION_LIST,
        &FUNCTION_LOAD,
        &FUNCTION_RESTORE,
        &FUNCTION_STATS,
        &FUNCTION_DELETE,
        &FUNCTION_FLUSH,
        &FUNCTION_HELP,
        &FUNCTION_DUMP,
    ],
    ..Command::BASE
};

/// What all subcommands have in common.
const SUBCOMMAND: Command = Command {
    flags: flags("noscript"),
    categories: categories("scripting"),
    locks: Locks::Script,
    group: Group::Scripting,
    since: "7.0.0",
    ..Command::BASE
};

/// What those have in common that change which libraries there are.
const CHANGE: Command = Command {
    flags: flags("write noscript"),
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    ..SUBCOMMAND
};

const FUNCTION_LOAD: Command = Command {
    name: "load",
    arity: -3,
    flags: flags("write denyoom noscript"),
    usage: "[REPLACE] function-code",
    summary: "Loads a library.",
    run: function_load,
    ..CHANGE
};

fn function_load(call: &mut Call<'_>) -> Result<(), Error> {
    let last = call.args.len() - 1;
    let mut replaces = false;
    for option in call.args.from(2).take(last - 2) {
        if &*Word::new(option) != b"REPLACE" {
            return Err(Error::quoting("Unknown option given: ", option, ""));
        }
        replaces = true;
    }
    let mut state = call.engine.scripts.state();
    let (code, home) = (call.args.at(last), call.session.home);
    let load = || state.libraries.load(code, replaces, home);
    let name = call.engine.scripts.running.aside(&mut call.txn, load)?;
    call.engine.scripts.note(&state);
    call.txn.count_changes(1);
    call.reply.bulk(&name);
    Ok(())
}

const FUNCTION_DELETE: Command = Command {
    name: "delete",
    arity: 3,
    usage: "library-name",
    summary: "Deletes a library.",
    run: function_delete,
    ..CHANGE
};

fn function_delete(call: &mut Call<'_>) -> Result<(), Error> {
    let mut state = call.engine.scripts.state();
    state.libraries.delete(call.args.at(2))?;
    call.engine.scripts.note(&state);
    call.txn.count_changes(1);
    call.reply.ok();
    Ok(())
}

const FUNCTION_FLUSH: Command = Command {
    name: "flush",
    arity: -2,
    complexity: "O(N) where N is the number of functions deleted",
    usage: "[ASYNC | SYNC]",
    summary: "Deletes all libraries.",
    run: function_flush,
    ..CHANGE
};

fn function_flush(call: &mut Call<'_>) -> Result<(), Error> {
    if call.args.len() > 3 {
        return Err(Error::subcommand_syntax("function", call.args.at(1)));
    }
    check_flush_mode(call, "FUNCTION FLUSH only supports SYNC|ASYNC option")?;
    let mut state = call.engine.scripts.state();
    state.libraries.flush();
    call.engine.scripts.note(&state);
    call.txn.count_changes(1);
    call.reply.ok();
    Ok(())
}

const FUNCTION_LIST: Command = Command {
    name: "list",
    arity: -2,
    tips: &["nondeterministic_output_order"],
    complexity: "O(N) where N is the number of functions",
    usage: "[LIBRARYNAME library-name-pattern] [WITHCODE]",
    summary: "Describes libraries.",
    run: function_list,
    ..SUBCOMMAND
};

fn function_list(call: &mut Call<'_>) -> Result<(), Error> {
    let (pattern, with_code) = list_options(call)?;
    let state = call.engine.scripts.state();
    let fits = |library: &&Library| {
        pattern.is_none_or(|pattern| glob::matches_ignore_case(pattern, &library.name))
    };
    let libraries: Vec<&Library> = state.libraries.all().filter(fits).collect();
    call.reply.array(libraries.len());
    for library in libraries {
        write_library(call, library, with_code);
    }
    Ok(())
}

fn list_options<'a>(call: &Call<'a>) -> Result<(Option<&'a [u8]>, bool), Error> {
    let (mut pattern, mut with_code) = (None, false);
    let mut words = call.args.from(2);
    while let Some(word) = words.next() {
        match &*Word::new(word) {
            b"WITHCODE" if !with_code => with_code = true,
            b"LIBRARYNAME" if pattern.is_none() => {
                let missing = Error::err("library name argument was not given");
                pattern = Some(words.next().ok_or(missing)?);
            }
            _ => return Err(Error::quoting("Unknown argument ", word, "")),
        }
    }
    Ok((pattern, with_code))
}

fn write_library(call: &mut Call<'_>, library: &Library, with_code: bool) {
    let reply = &mut call.reply;
    reply.map(if with_code { 4 } else { 3 });
    reply.bulk(b"library_name");
    reply.bulk(&library.name);
    reply.bulk(b"engine");
    reply.bulk(b"LUA");
    reply.bulk(b"functions");
    reply.array(library.functions.len());
    for function in &library.functions {
        write_function(call, function);
    }
    if with_code {
        call.reply.bulk(b"library_code");
        call.reply.bulk(&library.code);
    }
}

fn write_function(call: &mut Call<'_>, function: &Function) {
    let reply = &mut call.reply;
    reply.map(3);
    reply.bulk(b"name");
    reply.bulk(&function.name);
    reply.bulk(b"description");
    reply.bulk_or_null(function.description.as_deref());
    reply.bulk(b"flags");
    let has = |(_, flag): &&(&str, _)| function.flags.contains(*flag);
    reply.set(FLAG_NAMES.iter().filter(has).count());
    for (name, _) in FLAG_NAMES.iter().filter(has) {
        reply.simple(name);
    }
}

const FUNCTION_STATS: Command = Command {
    name: "stats",
    arity: 2,
    flags: flags("noscript allow_busy"),
    locks: Locks::Keys,
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    summary: "Describes the function that runs, and what there is.",
    run: function_stats,
    ..SUBCOMMAND
};

fn function_stats(call: &mut Call<'_>) -> Result<(), Error> {
    let scripts = &call.engine.scripts;
    let running = scripts.running.shown();
    if running.as_ref().is_some_and(|current| current.function.is_none()) {
        return Err(scripts.running.busy());
    }
    let reply = &mut call.reply;
    reply.map(2);
    reply.bulk(b"running_script");
    match running {
        None => reply.null(),
        Some(current) => {
            reply.map(3);
            reply.bulk(b"name");
            reply.bulk(current.function.as_deref().unwrap_or_default());
            reply.bulk(b"command");
            reply.array(current.request.len());
            current.request.iter().for_each(|argument| reply.bulk(argument));
            reply.bulk(b"duration_ms");
            reply.integer(current.since.elapsed().as_millis() as i64);
        }
    }
    reply.bulk(b"engines");
    reply.map(1);
    reply.bulk(b"LUA");
    reply.map(2);
    let figures = &scripts.figures;
    for (name, figure) in
        [("libraries_count", &figures.libraries), ("functions_count", &figures.functions)]
    {
        reply.bulk(name.as_bytes());
        reply.count(figure.load(std::sync::atomic::Ordering::Relaxed));
    }
    Ok(())
}

const FUNCTION_KILL: Command = Command {
    name: "kill",
    arity: 2,
    flags: flags("noscript allow_busy"),
    locks: Locks::Keys,
    tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
    summary: "Ends the function that runs.",
    run: function_kill,
    ..SUBCOMMAND
};

fn function_kill(call: &mut Call<'_>) -> Result<(), Error> {
    kill(call, true)
}

const FUNCTION_DUMP: Command = Command {
    name: "dump",
    arity: 2,
    complexity: "O(N) where N is the number of functions",
    summary: "Gives all libraries in a form that can be restored.",
    run: function_dump,
    ..SUBCOMMAND
};

fn function_dump(call: &mut Call<'_>) -> Result<(), Error> {
    let state = call.engine.scripts.state();
    let payload = libraries::dump(state.libraries.all().map(|library| &*library.code));
    call.reply.bulk(&payload);
    Ok(())
}

const FUNCTION_RESTORE: Command = Command {
    name: "restore",
    arity: -3,
    flags: flags("write denyoom noscript"),
    complexity: "O(N) where N is the number of functions on the payload",
    usage: "serialized-value [FLUSH | APPEND | REPLACE]",
    summary: "Loads the libraries that were dumped.",
    run: function_restore,
    ..CHANGE
};

fn function_restore(call: &mut Call<'_>) -> Result<(), Error> {
    if call.args.len() > 4 {
        return Err(Error::subcommand_syntax("function", call.args.at(1)));
    }
    let policy = match call.args.get(3).map(Word::new).as_deref() {
        None | Some(b"APPEND") => Policy::Append,
        Some(b"FLUSH") => Policy::Flush,
        Some(b"REPLACE") => Policy::Replace,
        Some(_) => {
            return Err(Error::err(
                "Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
            ));
        }
    };
    let codes = libraries::parse(call.args.at(2)).map_err(payload_error)?;
    let mut state = call.engine.scripts.state();
    let home = call.session.home;
    let restore = || state.libraries.restore(&codes, policy, home);
    call.engine.scripts.running.aside(&mut call.txn, restore)?;
    call.engine.scripts.note(&state);
    call.txn.count_changes(1);
    call.reply.ok();
    Ok(())
}

fn payload_error(error: LibrariesError) -> Error {
    Error::err(match error {
        LibrariesError::Footer => "DUMP payload version or checksum are wrong",
        LibrariesError::Foreign => "given type is not a function",
        LibrariesError::Early => "Pre-GA function format not supported",
        LibrariesError::Format => "Failed loading library payload",
    })
}

const FUNCTION_HELP: Command = Command {
    name: "help",
    arity: 2,
    flags: flags("loading stale"),
    locks: Locks::Keys,
    summary: "Lists the subcommands.",
    run: help,
    ..SUBCOMMAND
};
