//! The Lua in which scripts run.
//!
//! A server has one for scripts and one for libraries, and what is in them stays: compiled scripts, libraries. No
//! script can change what others find, as all tables that they share are read-only to them; as in Redis, the
//! settings of `cjson` and the seed of `math.random` go on to the next. What makes that certain is in Lua itself, whose
//! sources lie in `lua/`; see `docs/decisions/0011-lua.md`.

use std::fmt;

use bstr::BStr;
use mlua::debug::Debug;
use mlua::{
    Either, HookTriggers, Lua, LuaOptions, LuaString, MultiValue, StdLib, Table, Value, Variadic,
    VmState,
};

use super::host::Ending;
use super::raised::{Function, Raised};
use super::values::up_to_nul;
use super::{api, bits, host, json, msgpack, structs};

/// How many instructions a script executes before it is looked at again.
const INSTRUCTIONS: u32 = 10_000;

/// What compiled scripts and libraries are called in messages.
const SCRIPT_NAME: &str = "@user_script";
const LIBRARY_NAME: &str = "@user_function";

/// What libraries find in `redis` while they are loaded, beside the function that registers others.
const WHILE_LOADING: &[&str] = &[
    "log",
    "LOG_DEBUG",
    "LOG_VERBOSE",
    "LOG_NOTICE",
    "LOG_WARNING",
    "REDIS_VERSION",
    "REDIS_VERSION_NUM",
];
/// The variables that scripts have for each run.
const KEYS_AND_ARGUMENTS: [&str; 2] = ["KEYS", "ARGV"];
/// What scripts find in `redis` and functions do not.
const SCRIPTS_ALONE: &[&str] = &["breakpoint", "debug", "replicate_commands"];

#[derive(Debug)]
pub(crate) struct Vm {
    lua: Lua,
    // What `lua/lhost.c` and Lua itself have for the server.
    run: mlua::Function,
    run_script: mlua::Function,
    load: mlua::Function,
    tostring: mlua::Function,
    /// For libraries: the variables that there are while they are loaded, and while their functions run.
    stages: Option<Stages>,
}

#[derive(Debug)]
struct Stages {
    reveal: mlua::Function,
    loading: Table,
    running: Table,
}

/// How a script ended that did not return.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) text: Vec<u8>,
    /// The source and the line, where they are known.
    pub(crate) place: Option<(Vec<u8>, i64)>,
    /// Whether it is an error reply of a command, which has been counted.
    pub(crate) is_counted: bool,
}

/// The server ended the script, and says why.
#[derive(Debug)]
struct Ended {
    why: Ending,
    place: Option<(Vec<u8>, i64)>,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl std::error::Error for Ended {}

impl Vm {
    /// For scripts.
    pub(crate) fn new() -> mlua::Result<Self> {
        let (vm, tools) = Self::begin()?;
        tools.raw_get::<mlua::Function>("protect")?.call::<()>(vm.lua.globals())?;
        Ok(vm)
    }

    /// For libraries, in which other variables are there while they are loaded than when their functions run.
    pub(crate) fn for_libraries() -> mlua::Result<Self> {
        let (mut vm, tools) = Self::begin()?;
        let protect: mlua::Function = tools.raw_get("protect")?;
        let loading = vm.loading_variables(&tools, &protect)?;
        let running = vm.lua.create_table()?;
        let globals = vm.lua.globals();
        let all: mlua::Result<Vec<(Value, Value)>> = globals.pairs().collect();
        for (name, value) in all? {
            running.raw_set(&name, value)?;
            globals.raw_set(name, Value::Nil)?;
        }
        for name in KEYS_AND_ARGUMENTS {
            running.raw_remove(name)?;
        }
        running.raw_set("_G", &running)?;
        let redis: Table = running.raw_get("redis")?;
        for name in SCRIPTS_ALONE {
            redis.raw_remove(*name)?;
        }
        protect.call::<()>(&running)?;
        let stages = Stages { reveal: tools.raw_get("reveal")?, loading, running };
        stages.reveal.call::<()>(&stages.running)?;
        vm.stages = Some(stages);
        Ok(vm)
    }

    fn loading_variables(&self, tools: &Table, protect: &mlua::Function) -> mlua::Result<Table> {
        let (redis, wrap): (Table, _) =
            (self.lua.globals().raw_get("redis")?, tools.raw_get("wrap")?);
        let loading = self.lua.create_table()?;
        for name in WHILE_LOADING {
            loading.raw_set(*name, redis.raw_get::<Value>(*name)?)?;
        }
        let register = raising(&self.lua, &wrap, super::library::register_function)?;
        loading.raw_set("register_function", register)?;
        protect.call::<()>(&loading)?;
        let variables = self.lua.create_table()?;
        variables.raw_set("redis", &loading)?;
        variables.raw_set("server", loading)?;
        protect.call::<()>(&variables)?;
        Ok(variables)
    }

    /// Lua with everything in it, and its tools.
    fn begin() -> mlua::Result<(Self, Table)> {
        let lua = bare()?;
        let globals = lua.globals();
        let tools: Table = globals.raw_get("host")?;
        globals.raw_remove("host")?;
        let vm = Vm {
            run: tools.raw_get("run")?,
            run_script: tools.raw_get("runscript")?,
            load: globals.raw_get("loadstring")?,
            tostring: globals.raw_get("tostring")?,
            lua,
            stages: None,
        };
        vm.add_libraries(&tools)?;
        let every = HookTriggers::new().every_nth_instruction(INSTRUCTIONS);
        vm.lua.set_global_hook(every, |_, debug| {
            host::breathe().map_err(|why| ended(why, debug))?;
            Ok(VmState::Continue)
        })?;
        Ok((vm, tools))
    }

    fn add_libraries(&self, tools: &Table) -> mlua::Result<()> {
        let wrap: mlua::Function = tools.raw_get("wrap")?;
        let wrap_call: mlua::Function = tools.raw_get("wrapcall")?;
        let globals = self.lua.globals();
        for (name, functions) in [
            ("redis", api::FUNCTIONS),
            ("bit", bits::FUNCTIONS),
            ("struct", structs::FUNCTIONS),
            ("cmsgpack", msgpack::FUNCTIONS),
        ] {
            globals.raw_set(name, self.library(&wrap, functions)?)?;
        }
        let cmsgpack: Table = globals.raw_get("cmsgpack")?;
        for (name, text) in msgpack::CONSTANTS {
            cmsgpack.raw_set(*name, *text)?;
        }
        globals.raw_set("cjson", json::library(&self.lua, &wrap)?)?;
        let redis: Table = globals.raw_get("redis")?;
        let execute = self.lua.create_function(execute)?;
        let (call, pcall): (mlua::Function, mlua::Function) = wrap_call.call(execute)?;
        redis.raw_set("call", call)?;
        redis.raw_set("pcall", pcall)?;
        api::add_constants(&redis)?;
        globals.raw_set("server", redis)
    }

    fn library(
        &self,
        wrap: &mlua::Function,
        functions: &[(&str, Function)],
    ) -> mlua::Result<Table> {
        let table = self.lua.create_table()?;
        for (name, function) in functions {
            table.raw_set(*name, raising(&self.lua, wrap, *function)?)?;
        }
        Ok(table)
    }

    /// Compiles a script; if it is none, says why.
    pub(crate) fn compile(&self, source: &[u8], name: &str) -> Result<mlua::Function, Vec<u8>> {
        let loaded = self.load.call::<(Value, Option<LuaString>)>((BStr::new(source), name));
        match loaded {
            Ok((Value::Function(function), _)) => Ok(function),
            Ok((_, message)) => Err(message.map_or_else(Vec::new, |text| text.as_bytes().to_vec())),
            Err(error) => Err(error.to_string().into_bytes()),
        }
    }

    pub(crate) fn compile_script(&self, source: &[u8]) -> Result<mlua::Function, Vec<u8>> {
        self.compile(source, SCRIPT_NAME)
    }

    pub(crate) fn compile_library(&self, code: &[u8]) -> Result<mlua::Function, Vec<u8>> {
        self.compile(code, LIBRARY_NAME)
    }

    /// Runs the code of a library.
    pub(crate) fn run_library(&self, code: &mlua::Function) -> Result<(), Failure> {
        let Some(stages) = &self.stages else {
            return Err(Failure::new(b"ERR libraries are not loaded here".to_vec()));
        };
        let broken = |error: mlua::Error| Failure::of(&error);
        stages.reveal.call::<()>(&stages.loading).map_err(broken)?;
        let result = self.run(code, ());
        stages.reveal.call::<()>(&stages.running).map_err(broken)?;
        result.map(drop)
    }

    /// Runs a function of a library with these keys and arguments.
    pub(crate) fn run_function<'a>(
        &self,
        function: &mlua::Function,
        keys: impl Iterator<Item = &'a [u8]>,
        args: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Value, Failure> {
        let table = |values: &mut dyn Iterator<Item = &'a [u8]>| {
            self.lua.create_sequence_from(values.map(BStr::new))
        };
        let tables = table(&mut { keys }).and_then(|keys| Ok((keys, table(&mut { args })?)));
        self.run(function, tables.map_err(|error| Failure::of(&error))?)
    }

    /// Runs a script with these keys and arguments, of which so many are keys.
    pub(crate) fn run_script<'a>(
        &self,
        function: &mlua::Function,
        keys: usize,
        args: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Value, Failure> {
        let args: Variadic<Either<&str, &BStr>> = args.map(text).collect();
        self.outcome(self.run_script.call((function, keys, args)))
    }

    fn run(
        &self,
        function: &mlua::Function,
        args: impl mlua::IntoLuaMulti,
    ) -> Result<Value, Failure> {
        let args = args.into_lua_multi(&self.lua);
        self.outcome(args.and_then(|args| self.run.call((function, args))))
    }

    fn outcome(&self, called: mlua::Result<(bool, Value)>) -> Result<Value, Failure> {
        match called {
            Ok((true, value)) => Ok(value),
            Ok((false, Value::Table(raised))) => Err(self.failure(&raised)),
            Ok((false, Value::Error(error))) => Err(Failure::of(&error)),
            Ok((false, value)) => Err(Failure::new(self.text(&value))),
            Err(error) => Err(Failure::of(&error)),
        }
    }

    fn failure(&self, raised: &Table) -> Failure {
        let value = raised.raw_get("raised").unwrap_or(Value::Nil);
        let source: Option<LuaString> = raised.raw_get("source").unwrap_or_default();
        let line: Option<i64> = raised.raw_get("line").unwrap_or_default();
        let counted = value.as_table().and_then(|table| {
            table.raw_get::<Option<bool>>("ignore_error_stats_update").unwrap_or_default()
        });
        Failure {
            text: self.text(&value),
            place: source.zip(line).map(|(source, line)| (source.as_bytes().to_vec(), line)),
            is_counted: counted.unwrap_or(false),
        }
    }

    /// The text of an error reply for what was raised.
    fn text(&self, raised: &Value) -> Vec<u8> {
        let plain = |value: &Value| {
            let text: mlua::Result<LuaString> = self.tostring.call(value);
            text.map_or_else(|_| Vec::new(), |text| text.as_bytes().to_vec())
        };
        let text = match raised {
            Value::Table(table) => match table.raw_get("err") {
                Ok(text @ (Value::String(_) | Value::Number(_) | Value::Integer(_))) => {
                    plain(&text)
                }
                _ => b"ERR unknown error".to_vec(),
            },
            other => [b"ERR ", &*plain(other)].concat(),
        };
        up_to_nul(&text).to_vec()
    }

    /// What Lua takes.
    pub(crate) fn bytes(&self) -> usize {
        self.lua.used_memory()
    }

    /// Gives back what nobody uses any more.
    pub(crate) fn tidy(&self) {
        let _ = self.lua.gc_collect();
    }
}

/// A text for Lua, which takes UTF-8 with less ado.
fn text(bytes: &[u8]) -> Either<&str, &BStr> {
    match str::from_utf8(bytes) {
        Ok(text) => Either::Left(text),
        Err(_) => Either::Right(BStr::new(bytes)),
    }
}

/// Lua with its own libraries alone.
pub(super) fn bare() -> mlua::Result<Lua> {
    let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::OS;
    Lua::new_with(libraries, LuaOptions::new())
}

/// A function that raises what it fails with.
pub(super) fn raising(
    lua: &Lua,
    wrap: &mlua::Function,
    function: impl Fn(&Lua, MultiValue) -> Result<MultiValue, Raised> + Send + 'static,
) -> mlua::Result<mlua::Function> {
    let inner = lua.create_function(move |lua, args: MultiValue| match function(lua, args) {
        Ok(values) => Ok(values),
        Err(raised) => raised.into_values(lua),
    })?;
    wrap.call(inner)
}

/// What a command is called with: how many arguments, and the arguments. Most have no more than the first ones,
/// which need no memory for a list.
type Words = (usize, Value, Value, Value, Value, Value, Variadic<Value>);

/// `redis.pcall`; `redis.call` raises what is an error in it.
fn execute(lua: &Lua, words: Words) -> mlua::Result<Value> {
    let (count, one, two, three, four, five, more) = words;
    let few = [one, two, three, four, five];
    let mut args = few.iter().chain(more.iter()).take(count);
    match host::command(lua, &mut args) {
        Ok(value) => Ok(value),
        Err(Raised::Lua(error)) => Err(error),
        Err(Raised::Reply(text) | Raised::Error(text) | Raised::Argument(_, text)) => {
            super::values::error_table(lua, &text).map(Value::Table)
        }
    }
}

fn ended(why: Ending, debug: &Debug<'_>) -> mlua::Error {
    let source = debug.source().source.map(|source| source.as_bytes().to_vec());
    let line = debug.current_line().map(|line| line as i64);
    mlua::Error::external(Ended { why, place: source.zip(line) })
}

/// Ends a script that is executing a command, where it called it.
pub(super) fn end(lua: &Lua, why: Ending) -> Raised {
    /// The functions of the server between the command and the script.
    const BETWEEN: usize = 2;
    let error = lua.inspect_stack(BETWEEN, |debug| ended(why, debug));
    Raised::Lua(error.unwrap_or_else(|| mlua::Error::external(Ended { why, place: None })))
}

impl Failure {
    pub(super) const fn new(text: Vec<u8>) -> Self {
        Failure { text, place: None, is_counted: false }
    }

    fn of(error: &mlua::Error) -> Self {
        if let Some(ended) = error.downcast_ref::<Ended>() {
            let text = format!("ERR {}", ended.why).into_bytes();
            return Failure { text, place: ended.place.clone(), is_counted: false };
        }
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        Failure::new(format!("ERR {first}").into_bytes())
    }

    /// The text with where it happened, and in which script or function.
    pub(crate) fn decorated(self, name: &[u8]) -> Vec<u8> {
        let Some((source, line)) = self.place else {
            return self.text;
        };
        let line = format!(":{line}.");
        [&self.text, &b" script: "[..], name, b", on ", &source, line.as_bytes()].concat()
    }
}
