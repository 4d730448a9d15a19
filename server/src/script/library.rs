//! Libraries of functions: loading them, and finding what is in them.
//!
//! A library is loaded by running its code, which registers its functions. It is in effect as a whole or not
//! at all.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use mlua::{Lua, MultiValue, Table, Value};

use super::host::{self, Arguments, Ending, Host, SLICE};
use super::raised::Raised;
use super::shebang::{self, NAMES, ScriptFlags, is_name};
use super::vm::Vm;
use crate::clock::Stopwatch;
use crate::error::Error;
use crate::home::Home;
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

impl Library {
    /// What it takes without what Lua keeps, about.
    fn bytes(&self) -> usize {
        let functions = self.functions.len() * size_of::<Function>();
        self.code.len() + self.name.len() + size_of::<Library>() + functions
    }

    /// Its functions' names as they are looked for, in small letters.
    fn function_names(&self) -> impl Iterator<Item = Vec<u8>> {
        self.functions.iter().map(|function| function.name.to_ascii_lowercase())
    }
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
    /// What code and functions take, about.
    bytes: usize,
    /// How many have been removed since Lua was last tidied.
    removed: usize,
}

impl Libraries {
    pub(crate) fn all(&self) -> impl ExactSizeIterator<Item = &Library> {
        self.by_name.values()
    }

    pub(crate) fn function_count(&self) -> usize {
        self.functions.len()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
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
    pub(crate) fn load(
        &mut self,
        code: &[u8],
        replaces: bool,
        home: Home,
    ) -> Result<Vec<u8>, Error> {
        let (name, text) = shebang::library(code)?;
        if self.by_name.contains_key(&name) && !replaces {
            return Err(Error::quoting("Library '", &name, "' already exists"));
        }
        let library = self.run(name, (code, text), Loading::begin(home))?;
        let name = library.name.clone();
        self.join(BTreeMap::from([(name.clone(), library)]), Policy::Replace)?;
        Ok(name)
    }

    /// Loads the libraries of a payload, or none of them.
    pub(crate) fn restore(
        &mut self,
        codes: &[Vec<u8>],
        policy: Policy,
        home: Home,
    ) -> Result<(), Error> {
        let (mut fresh, begin) = (BTreeMap::new(), Loading::begin(home));
        for code in codes {
            let (name, text) = shebang::library(code)?;
            if fresh.contains_key(&name) {
                return Err(Error::quoting("Library '", &name, "' already exists"));
            }
            fresh.insert(name.clone(), self.run(name, (code, text), begin.clone())?);
        }
        self.join(fresh, policy)
    }

    pub(crate) fn delete(&mut self, name: &[u8]) -> Result<(), Error> {
        if !self.remove(name) {
            return Err(Error::err("Library not found"));
        }
        self.tidy();
        Ok(())
    }

    /// Forgets all libraries, and their Lua with them.
    pub(crate) fn flush(&mut self) {
        *self = Libraries::default();
    }

    /// Runs the code of a library, which is part of nothing yet. All that is loaded together has its time from
    /// the same beginning.
    fn run(
        &mut self,
        name: Vec<u8>,
        (code, text): (&[u8], &[u8]),
        mut loading: Loading,
    ) -> Result<Library, Error> {
        if self.vm.is_none() {
            let vm = Vm::for_libraries()
                .map_err(|error| Error::format(format_args!("functions cannot be run: {error}")))?;
            self.vm = Some(vm);
        }
        let vm = self.vm.as_ref().ok_or(Error::err("functions cannot be run"))?;
        let main = vm.compile_library(text).map_err(|message| {
            Error::Err([&b"Error compiling function: "[..], &message].concat().into())
        })?;
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
    fn join(&mut self, fresh: BTreeMap<Vec<u8>, Library>, policy: Policy) -> Result<(), Error> {
        if policy == Policy::Append {
            let taken = fresh.keys().find(|name| self.by_name.contains_key(*name));
            if let Some(name) = taken {
                return Err(Error::quoting("Library ", name, " already exists"));
            }
        }
        if let Some(name) = self.first_twice(&fresh, policy) {
            return Err(Error::quoting("Function ", name, " already exists"));
        }
        if policy == Policy::Flush {
            self.remove_all();
        }
        // All that go do so first: a function may move from one library to another.
        for name in fresh.keys() {
            self.remove(name);
        }
        for library in fresh.into_values() {
            self.add(library);
        }
        self.tidy();
        Ok(())
    }

    /// The name of a function that there would be twice, as the newer library spells it.
    fn first_twice<'a>(
        &self,
        fresh: &'a BTreeMap<Vec<u8>, Library>,
        policy: Policy,
    ) -> Option<&'a [u8]> {
        let stays = |library: &Vec<u8>| policy != Policy::Flush && !fresh.contains_key(library);
        let mut seen = HashSet::new();
        let mut functions = fresh.values().flat_map(|library| &library.functions);
        let twice = functions.find(|function| {
            let name = function.name.to_ascii_lowercase();
            let of_another = self.functions.get(&name).is_some_and(|(library, _)| stays(library));
            of_another || !seen.insert(name)
        });
        twice.map(|function| &*function.name)
    }

    fn add(&mut self, library: Library) {
        for (at, function) in library.function_names().enumerate() {
            self.functions.insert(function, (library.name.clone(), at));
        }
        self.bytes += library.bytes();
        self.by_name.insert(library.name.clone(), library);
    }

    /// Whether there was such a library.
    fn remove(&mut self, name: &[u8]) -> bool {
        let Some(library) = self.by_name.remove(name) else {
            return false;
        };
        for function in library.function_names() {
            self.functions.remove(&function);
        }
        self.bytes -= library.bytes();
        self.removed += 1;
        true
    }

    fn remove_all(&mut self) {
        self.removed += self.by_name.len();
        self.by_name.clear();
        self.functions.clear();
        self.bytes = 0;
    }

    /// Has Lua give back what removed libraries took, once they are as many as those that are left: Lua looks at
    /// all that it has for that.
    fn tidy(&mut self) {
        if self.removed > 0 && self.removed >= self.by_name.len() {
            self.vm.as_ref().inspect(|vm| vm.tidy());
            self.removed = 0;
        }
    }
}

/// A library whose code runs.
#[derive(Clone)]
struct Loading {
    began: Stopwatch,
    home: Home,
    has_made_way: bool,
    functions: Vec<Function>,
}

impl Loading {
    fn begin(home: Home) -> Self {
        let began = Stopwatch::start();
        Loading { began, home, has_made_way: false, functions: Vec::new() }
    }
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
        let elapsed = self.began.elapsed();
        if elapsed > SLICE && !self.has_made_way {
            self.has_made_way = true;
            self.home.make_way();
        }
        if elapsed > LONGEST_LOAD { Err(Ending::LoadTimeout) } else { Ok(()) }
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
