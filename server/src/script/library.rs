//! Libraries of functions: loading them, and finding what is in them.
//!
//! A library is loaded by running its code, which registers its functions. It is in effect as a whole or not
//! at all.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use mlua::{Lua, MultiValue, Table, Value};

use super::host::{self, Arguments, Ending, Host};
use super::raised::Raised;
use super::shebang::{self, NAMES, ScriptFlags, is_name};
use super::vm::Vm;
use crate::clock::Stopwatch;
use crate::error::Error;
use crate::resp::Protocol;

/// How long the code of a library may run.
const LONGEST_LOAD: Duration = Duration::from_millis(500);

/// A function that a library registers.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) name: Vec<u8>,
    pub(crate) callback: mlua::Function,
    pub(crate) flags: ScriptFlags,
    pub(crate) description: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Library {
    pub(crate) name: Vec<u8>,
    pub(crate) code: Arc<[u8]>,
    pub(crate) functions: Vec<Function>,
}

/// What is done with a library whose name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Flush,
    Append,
    Replace,
}

#[derive(Debug, Default)]
pub(crate) struct Libraries {
    /// None until the first library comes.
    vm: Option<Vm>,
    by_name: BTreeMap<Vec<u8>, Library>,
    /// Where a function is, by its name in small letters.
    functions: HashMap<Vec<u8>, (Vec<u8>, usize)>,
}

impl Libraries {
    pub(crate) fn all(&self) -> impl ExactSizeIterator<Item = &Library> {
        self.by_name.values()
    }

    pub(crate) fn function_count(&self) -> usize {
        self.functions.len()
    }

    /// What code and functions take, about.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |library: &Library| {
            let functions = library.functions.len() * size_of::<Function>();
            library.code.len() + library.name.len() + size_of::<Library>() + functions
        };
        self.all().map(bytes).sum()
    }

    pub(crate) fn vm_bytes(&self) -> usize {
        self.vm.as_ref().map_or(0, Vm::bytes)
    }

    /// The function of this name, in any case, and the Lua that runs it.
    pub(crate) fn function(&self, name: &[u8]) -> Option<(&Function, &Vm)> {
        let (library, at) = self.functions.get(&name.to_ascii_lowercase())?;
        let function = self.by_name.get(library)?.functions.get(*at)?;
        Some((function, self.vm.as_ref()?))
    }

    /// Loads a library; its name.
    pub(crate) fn load(&mut self, code: &[u8], replaces: bool) -> Result<Vec<u8>, Error> {
        let (name, text) = shebang::library(code)?;
        if self.by_name.contains_key(&name) && !replaces {
            return Err(Error::quoting("Library '", &name, "' already exists"));
        }
        let library = self.run(name, code, text)?;
        let name = library.name.clone();
        self.join(vec![library], Policy::Replace)?;
        Ok(name)
    }

    /// Loads the libraries of a payload, or none of them.
    pub(crate) fn restore(&mut self, codes: &[Vec<u8>], policy: Policy) -> Result<(), Error> {
        let mut fresh: Vec<Library> = Vec::new();
        for code in codes {
            let (name, text) = shebang::library(code)?;
            if fresh.iter().any(|library| library.name == name) {
                return Err(Error::quoting("Library '", &name, "' already exists"));
            }
            fresh.push(self.run(name, code, text)?);
        }
        self.join(fresh, policy)
    }

    pub(crate) fn delete(&mut self, name: &[u8]) -> Result<(), Error> {
        self.by_name.remove(name).ok_or(Error::err("Library not found"))?;
        self.index();
        self.tidy();
        Ok(())
    }

    /// Forgets all libraries, and their Lua with them.
    pub(crate) fn flush(&mut self) {
        *self = Libraries::default();
    }

    /// Runs the code of a library, which is part of nothing yet.
    fn run(&mut self, name: Vec<u8>, code: &[u8], text: &[u8]) -> Result<Library, Error> {
        if self.vm.is_none() {
            let vm = Vm::for_libraries()
                .map_err(|error| Error::format(format_args!("functions cannot be run: {error}")))?;
            self.vm = Some(vm);
        }
        let vm = self.vm.as_ref().ok_or(Error::err("functions cannot be run"))?;
        let main = vm.compile_library(text).map_err(|message| {
            Error::Err([&b"Error compiling function: "[..], &message].concat().into())
        })?;
        let mut loading = Loading { began: Stopwatch::start(), functions: Vec::new() };
        let ran = host::with(&mut loading, || vm.run_library(&main));
        ran.map_err(|failure| {
            let before = b"Error registering functions: ";
            Error::Err([&before[..], &failure.text].concat().into())
        })?;
        if loading.functions.is_empty() {
            return Err(Error::err("No functions registered"));
        }
        Ok(Library { name, code: Arc::from(code), functions: loading.functions })
    }

    /// Puts libraries to those that are there, if nothing stands against it.
    fn join(&mut self, fresh: Vec<Library>, policy: Policy) -> Result<(), Error> {
        let mut joined = match policy {
            Policy::Flush => BTreeMap::new(),
            Policy::Append | Policy::Replace => self.by_name.clone(),
        };
        for library in fresh {
            if policy == Policy::Append && joined.contains_key(&library.name) {
                return Err(Error::quoting("Library ", &library.name, " already exists"));
            }
            joined.insert(library.name.clone(), library);
        }
        if let Some(name) = first_twice(&joined, &self.by_name) {
            return Err(Error::quoting("Function ", &name, " already exists"));
        }
        self.by_name = joined;
        self.index();
        self.tidy();
        Ok(())
    }

    fn index(&mut self) {
        let functions = self.by_name.iter().flat_map(|(library, loaded)| {
            let names = loaded.functions.iter().map(|function| function.name.to_ascii_lowercase());
            names.enumerate().map(|(at, name)| (name, (library.clone(), at)))
        });
        self.functions = functions.collect();
    }

    fn tidy(&self) {
        if let Some(vm) = &self.vm {
            vm.tidy();
        }
    }
}

/// The name of a function that two libraries have, as the newer of them spells it.
fn first_twice(
    joined: &BTreeMap<Vec<u8>, Library>,
    known: &BTreeMap<Vec<u8>, Library>,
) -> Option<Vec<u8>> {
    let is_known = |library: &&Library| {
        let before = known.get(&library.name);
        before.is_some_and(|before| Arc::ptr_eq(&before.code, &library.code))
    };
    let (old, new): (Vec<&Library>, Vec<&Library>) = joined.values().partition(is_known);
    let mut seen = std::collections::HashSet::new();
    let functions = old.into_iter().chain(new).flat_map(|library| &library.functions);
    let twice =
        functions.into_iter().find(|function| !seen.insert(function.name.to_ascii_lowercase()));
    twice.map(|function| function.name.clone())
}

/// A library whose code runs.
struct Loading {
    began: Stopwatch,
    functions: Vec<Function>,
}

impl Host for Loading {
    fn command(&mut self, _: &Lua, _: Arguments<'_, '_>) -> Result<Value, Raised> {
        Err(Raised::reply("commands cannot be executed while a library is loaded"))
    }

    fn set_protocol(&mut self, _: Protocol) {}

    fn is_loading(&self) -> bool {
        true
    }

    fn register(&mut self, function: Function) -> Result<(), Raised> {
        if !is_name(&function.name) {
            return Err(Raised::reply(NAMES));
        }
        let mut known = self.functions.iter();
        if known.any(|known| known.name.eq_ignore_ascii_case(&function.name)) {
            return Err(Raised::reply("Function already exists in the library"));
        }
        self.functions.push(function);
        Ok(())
    }

    fn breathe(&mut self) -> Result<(), Ending> {
        if self.began.elapsed() > LONGEST_LOAD { Err(Ending::LoadTimeout) } else { Ok(()) }
    }
}

/// `redis.register_function`, with a name and a function or with a table of arguments.
pub(super) fn register_function(lua: &Lua, mut args: MultiValue) -> Result<MultiValue, Raised> {
    if !host::is_loading() {
        let text = "redis.register_function can only be called on FUNCTION LOAD command";
        return Err(Raised::reply(text));
    }
    let function = match args.len() {
        1 => from_table(lua, &args[0])?,
        2 => {
            let name = text(lua, &args[0])?;
            let name = name.ok_or(Raised::reply(
                "first argument to redis.register_function must be a string",
            ))?;
            let callback = args.pop_back().and_then(|callback| callback.as_function().cloned());
            let callback = callback.ok_or(Raised::reply(
                "second argument to redis.register_function must be a function",
            ))?;
            Function { name, callback, flags: ScriptFlags::empty(), description: None }
        }
        _ => {
            let text = "wrong number of arguments to redis.register_function";
            return Err(Raised::reply(text));
        }
    };
    host::register(function)?;
    Ok(MultiValue::new())
}

fn from_table(lua: &Lua, table: &Value) -> Result<Function, Raised> {
    let table = table.as_table().ok_or(Raised::reply(
        "calling redis.register_function with a single argument is only applicable to Lua table \
         (representing named arguments).",
    ))?;
    let (mut name, mut callback, mut description) = (None, None, None);
    let mut flags = ScriptFlags::empty();
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        let key = text(lua, &key)?.ok_or(Raised::reply(
            "named argument key given to redis.register_function is not a string",
        ))?;
        match &*key.to_ascii_lowercase() {
            b"function_name" => name = Some(named_text(lua, &value, "function_name")?),
            b"description" => description = Some(named_text(lua, &value, "description")?),
            b"callback" => {
                callback = Some(value.as_function().cloned().ok_or(Raised::reply(
                    "callback argument given to redis.register_function must be a function",
                ))?);
            }
            b"flags" => flags = read_flags(lua, &value)?,
            _ => {
                let text = "unknown argument given to redis.register_function";
                return Err(Raised::reply(text));
            }
        }
    }
    let name =
        name.ok_or(Raised::reply("redis.register_function must get a function name argument"))?;
    let callback =
        callback.ok_or(Raised::reply("redis.register_function must get a callback argument"))?;
    Ok(Function { name, callback, flags, description })
}

fn named_text(lua: &Lua, value: &Value, name: &str) -> Result<Vec<u8>, Raised> {
    text(lua, value)?.ok_or_else(|| {
        let rest = "argument given to redis.register_function must be a string";
        Raised::reply(&format!("{name} {rest}"))
    })
}

fn read_flags(lua: &Lua, value: &Value) -> Result<ScriptFlags, Raised> {
    let table: &Table = value.as_table().ok_or(Raised::reply(
        "flags argument to redis.register_function must be a table representing function flags",
    ))?;
    let mut flags = ScriptFlags::empty();
    for index in 1.. {
        let item: Value = table.raw_get(index)?;
        if item.is_nil() {
            break;
        }
        let name = text(lua, &item)?.filter(|_| item.is_string()).unwrap_or_default();
        let flag = ScriptFlags::named(&name.to_ascii_lowercase());
        flags |= flag.ok_or(Raised::reply("unknown flag given"))?;
    }
    Ok(flags)
}

/// A text, or a number as one.
fn text(lua: &Lua, value: &Value) -> mlua::Result<Option<Vec<u8>>> {
    Ok(lua.coerce_string(value.clone())?.map(|text| text.as_bytes().to_vec()))
}
