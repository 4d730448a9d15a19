//! The table `redis` that scripts see, beside its two functions that execute commands.

use mlua::{Lua, MultiValue, Table, Value};

use super::cache::Sha;
use super::host;
use super::raised::{Function, Raised};
use super::values::{truncated, up_to_nul};
use crate::command::Table as Commands;
use crate::command::args::Request;
use crate::command::info::REDIS_VERSION;

pub(super) const FUNCTIONS: &[(&str, Function)] = &[
    ("error_reply", error_reply),
    ("status_reply", status_reply),
    ("sha1hex", sha1hex),
    ("log", log),
    ("setresp", setresp),
    ("set_repl", set_repl),
    ("replicate_commands", replicate_commands),
    ("acl_check_cmd", acl_check_cmd),
    ("breakpoint", breakpoint),
    ("debug", debug),
];

const LEVELS: [&str; 4] = ["LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"];

/// Every bit that `set_repl` knows.
const REPL_ALL: i64 = 3;
const REPLICATION: [(&str, i64); 5] = [
    ("REPL_NONE", 0),
    ("REPL_AOF", 1),
    ("REPL_SLAVE", 2),
    ("REPL_REPLICA", 2),
    ("REPL_ALL", REPL_ALL),
];

/// Fills in what is no function.
pub(super) fn add_constants(table: &Table) -> mlua::Result<()> {
    for (level, name) in LEVELS.iter().enumerate() {
        table.raw_set(*name, level)?;
    }
    for (name, bits) in REPLICATION {
        table.raw_set(name, bits)?;
    }
    table.raw_set("REDIS_VERSION", REDIS_VERSION)?;
    table.raw_set("REDIS_VERSION_NUM", version_number())
}

fn one(value: Value) -> MultiValue {
    MultiValue::from_iter([value])
}

fn error_reply(lua: &Lua, args: MultiValue) -> Result<MultiValue, Raised> {
    let Some(text) = only_string(&args) else {
        return Ok(one(wrong_arguments(lua)?));
    };
    let text = text.as_bytes();
    let text = up_to_nul(&text);
    let text = text.strip_prefix(b"-").unwrap_or(text);
    if text.contains(&b' ') {
        return Ok(one(single_field(lua, "err", text)?));
    }
    let word = without_line_ends(text);
    Ok(one(single_field(lua, "err", &[b"ERR ", word].concat())?))
}

/// A text without the ends of lines before and after it.
fn without_line_ends(text: &[u8]) -> &[u8] {
    let is_inside = |byte: &u8| !matches!(byte, b'\r' | b'\n');
    let begin = text.iter().position(is_inside).unwrap_or(text.len());
    let end = text.iter().rposition(is_inside).map_or(begin, |last| last + 1);
    &text[begin..end]
}

fn status_reply(lua: &Lua, args: MultiValue) -> Result<MultiValue, Raised> {
    match only_string(&args) {
        Some(text) => Ok(one(single_field(lua, "ok", &text.as_bytes())?)),
        None => Ok(one(wrong_arguments(lua)?)),
    }
}

/// What is returned, rather than raised, in place of a reply that cannot be made.
fn wrong_arguments(lua: &Lua) -> mlua::Result<Value> {
    single_field(lua, "err", b"ERR wrong number or type of arguments")
}

fn only_string(args: &MultiValue) -> Option<&mlua::LuaString> {
    match args.front() {
        Some(Value::String(text)) if args.len() == 1 => Some(text),
        _ => None,
    }
}

fn single_field(lua: &Lua, name: &str, text: &[u8]) -> mlua::Result<Value> {
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set(name, lua.create_string(text)?)?;
    Ok(Value::Table(table))
}

fn sha1hex(lua: &Lua, args: MultiValue) -> Result<MultiValue, Raised> {
    if args.len() != 1 {
        return Err(Raised::reply("wrong number of arguments"));
    }
    let text = lua.coerce_string(args[0].clone())?;
    let digits = match &text {
        Some(text) => Sha::of(&text.as_bytes()).digits(),
        None => Sha::of(b"").digits(),
    };
    Ok(one(Value::String(lua.create_string(digits)?)))
}

fn log(lua: &Lua, mut args: MultiValue) -> Result<MultiValue, Raised> {
    if args.len() < 2 {
        return Err(Raised::reply("redis.log() requires two arguments or more."));
    }
    let level = args.pop_front().and_then(|level| lua.coerce_number(level).ok()?);
    let level = level.ok_or(Raised::reply("First argument must be a number (log level)."))?;
    let level = usize::try_from(truncated(level)).ok().filter(|&level| level < LEVELS.len());
    let level = level.ok_or(Raised::reply("Invalid log level."))?;
    let mut line = Vec::new();
    for part in args {
        if let Some(text) = lua.coerce_string(part)? {
            let space: &[u8] = if line.is_empty() { b"" } else { b" " };
            line.extend_from_slice(&[space, &text.as_bytes()].concat());
        }
    }
    let line = String::from_utf8_lossy(&line);
    match LEVELS[level] {
        "LOG_WARNING" => tracing::warn!("script: {line}"),
        "LOG_NOTICE" => tracing::info!("script: {line}"),
        "LOG_VERBOSE" => tracing::debug!("script: {line}"),
        _ => tracing::trace!("script: {line}"),
    }
    Ok(MultiValue::new())
}

fn setresp(lua: &Lua, args: MultiValue) -> Result<MultiValue, Raised> {
    if args.len() != 1 {
        return Err(Raised::reply("redis.setresp() requires one argument."));
    }
    let version = lua.coerce_number(args[0].clone())?.map_or(0, truncated);
    if !host::set_protocol(version) {
        return Err(Raised::reply("RESP version must be 2 or 3."));
    }
    Ok(MultiValue::new())
}

/// What a script changes is replicated as a whole, whatever it asks for.
fn set_repl(lua: &Lua, args: MultiValue) -> Result<MultiValue, Raised> {
    if args.len() != 1 {
        return Err(Raised::reply("redis.set_repl() requires one argument."));
    }
    let bits = lua.coerce_number(args[0].clone())?.map_or(0, truncated);
    if bits & !REPL_ALL != 0 {
        return Err(Raised::reply(
            "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
        ));
    }
    Ok(MultiValue::new())
}

fn replicate_commands(_: &Lua, _: MultiValue) -> Result<MultiValue, Raised> {
    Ok(one(Value::Boolean(true)))
}

fn acl_check_cmd(_: &Lua, args: MultiValue) -> Result<MultiValue, Raised> {
    let mut request = Request::default();
    host::read_arguments(&mut args.iter(), &mut request)?;
    if Commands::get().find(request.args()).is_err() {
        return Err(Raised::reply("Invalid command passed to redis.acl_check_cmd()"));
    }
    Ok(one(Value::Boolean(true)))
}

/// There is no debugger.
fn breakpoint(_: &Lua, _: MultiValue) -> Result<MultiValue, Raised> {
    Ok(one(Value::Boolean(false)))
}

fn debug(_: &Lua, _: MultiValue) -> Result<MultiValue, Raised> {
    Ok(MultiValue::new())
}

/// The version with a byte for each of its parts.
fn version_number() -> u32 {
    let parts = REDIS_VERSION.split('.').map(|part| part.parse().unwrap_or(0));
    parts.fold(0, |number, part: u32| number << 8 | part)
}
