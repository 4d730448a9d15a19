//! Scripts: the Lua they run in, those that the server remembers, and the one that runs.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

#[expect(
    clippy::needless_pass_by_value,
    reason = "all functions that scripts call have one signature"
)]
mod api;
mod arguments;
mod bits;
mod bounded;
mod cache;
#[cfg(test)]
mod calling;
mod host;
mod json;
mod library;
mod msgpack;
mod raised;
mod running;
mod shebang;
mod structs;
mod values;
mod vm;

pub(crate) use cache::{Cache, Script, Sha};
pub(crate) use library::{Function, Libraries, Library, Policy};
pub(crate) use running::{Running, Unkillable};
pub(crate) use shebang::{FLAG_NAMES, ScriptFlags};

use ahash::RandomState;

use crate::command::Args;
use crate::error::Error;
use crate::execute::Call;
use crate::random::Random;
use host::{Buffers, ScriptHost};
use vm::{Failure, Vm};

/// Everything of one server that has to do with scripts.
pub(crate) struct Scripts {
    /// Whoever waits for it holds all shards, and so finds no script running.
    state: Mutex<State>,
    pub(crate) running: Running,
    pub(crate) figures: Figures,
}

/// What `INFO` shows, without asking the scripts themselves.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) scripts: AtomicUsize,
    pub(crate) script_bytes: AtomicUsize,
    pub(crate) evicted: AtomicU64,
    pub(crate) vm_bytes: AtomicUsize,
    pub(crate) functions: AtomicUsize,
    pub(crate) libraries: AtomicUsize,
    pub(crate) library_bytes: AtomicUsize,
    pub(crate) library_vm_bytes: AtomicUsize,
}

impl Figures {
    /// What takes memory, by the names of `MEMORY STATS`.
    pub(crate) fn by_name(&self) -> [(&'static str, usize); 3] {
        let read = |figure: &AtomicUsize| figure.load(Ordering::Relaxed);
        [
            ("lua.caches", read(&self.script_bytes)),
            ("functions.caches", read(&self.library_bytes)),
            ("script.VMs", read(&self.vm_bytes) + read(&self.library_vm_bytes)),
        ]
    }
}

pub(crate) struct State {
    /// None until the first script comes.
    vm: Option<Vm>,
    cache: Cache,
    hasher: RandomState,
    pub(crate) libraries: Libraries,
    buffers: Buffers,
}

impl Scripts {
    pub(crate) fn new(random: &Random) -> Self {
        let seed = || random.next();
        let hasher = RandomState::with_seeds(seed(), seed(), seed(), seed());
        let state = State {
            vm: None,
            cache: Cache::new(&hasher),
            hasher,
            libraries: Libraries::default(),
            buffers: Buffers::default(),
        };
        Scripts {
            state: Mutex::new(state),
            running: Running::default(),
            figures: Figures::default(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the scripts")
    }

    /// What all libraries were loaded from.
    pub(crate) fn library_codes(&self) -> Vec<Arc<[u8]>> {
        self.state().libraries.all().map(|library| Arc::clone(&library.code)).collect()
    }

    /// Shows others what there is now.
    pub(crate) fn note(&self, state: &State) {
        let vm_bytes = state.vm.as_ref().map_or(0, Vm::bytes);
        let (figures, libraries) = (&self.figures, &state.libraries);
        figures.evicted.store(state.cache.evicted, Ordering::Relaxed);
        for (figure, value) in [
            (&figures.scripts, state.cache.len()),
            (&figures.script_bytes, state.cache.bytes),
            (&figures.vm_bytes, vm_bytes),
            (&figures.functions, libraries.function_count()),
            (&figures.libraries, libraries.all().len()),
            (&figures.library_bytes, libraries.bytes()),
            (&figures.library_vm_bytes, libraries.vm_bytes()),
        ] {
            figure.store(value, Ordering::Relaxed);
        }
    }
}

impl State {
    pub(crate) const fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The place of a script that is known or compiles.
    pub(crate) fn load(&mut self, source: &[u8], is_evictable: bool) -> Result<usize, Error> {
        if let Some(at) = self.cache.at_source(source) {
            return Ok(at);
        }
        let (flags, text) = shebang::parse(source)?;
        let function = self.vm()?.compile_script(text).map_err(|message| {
            let before = b"Error compiling script (new function): ";
            Error::Err([&before[..], &message].concat().into())
        })?;
        let script = Script::new(Sha::of(source), Arc::from(source), flags, function, is_evictable);
        Ok(self.cache.add(script))
    }

    /// The digest of the script at a place, which counts as used.
    pub(crate) fn digest(&mut self, at: usize) -> [u8; Sha::DIGITS] {
        self.cache.used(at).sha.digits()
    }

    fn vm(&mut self) -> Result<&Vm, Error> {
        if self.vm.is_none() {
            let vm = Vm::new()
                .map_err(|error| Error::format(format_args!("scripts cannot be run: {error}")))?;
            self.vm = Some(vm);
        }
        self.vm.as_ref().ok_or(Error::err("scripts cannot be run"))
    }

    /// Forgets all scripts, and Lua with them.
    pub(crate) fn flush(&mut self) {
        let evicted = self.cache.evicted;
        self.cache = Cache::new(&self.hasher);
        self.cache.evicted = evicted;
        self.vm = None;
    }

    /// Runs the script at a place for a client. Of the arguments from the third on, so many are keys.
    pub(crate) fn run(
        &mut self,
        at: usize,
        call: &mut Call<'_>,
        read_only: bool,
        keys: usize,
    ) -> Result<(), Error> {
        let Some(vm) = &self.vm else {
            return Err(Error::err("scripts cannot be run"));
        };
        let script = self.cache.used(at);
        let flags = allowed(script.flags, read_only)?;
        let args: Args<'_> = call.args;
        let run = || vm.run_script(&script.function, keys, args.from(3));
        let ended = hosted(call, flags, None, &mut self.buffers, run);
        ended.map_err(|failure| error(failure, &script.sha.digits()))
    }

    /// Runs a function of a library in the same way.
    pub(crate) fn run_function(
        &mut self,
        name: &[u8],
        call: &mut Call<'_>,
        read_only: bool,
        keys: usize,
    ) -> Result<(), Error> {
        let found = self.libraries.function(name);
        let (function, vm) = found.ok_or(Error::err("Function not found"))?;
        let flags = allowed(function.flags, read_only)?;
        let args: Args<'_> = call.args;
        let (keys, args) = (args.from(3).take(keys), args.from(3).skip(keys));
        let run = || vm.run_function(&function.callback, keys, args);
        let ended = hosted(call, flags, Some(&function.name), &mut self.buffers, run);
        ended.map_err(|failure| error(failure, &function.name))
    }
}

/// Whether a request that runs a script or function may change anything. What is not known for
/// now counts as if it might.
pub(crate) fn may_write(scripts: &Scripts, args: Args<'_>) -> bool {
    let runs = matches!(&*args.at(0).to_ascii_lowercase(), b"eval" | b"evalsha" | b"fcall");
    let promises = |flags: ScriptFlags| flags.contains(ScriptFlags::NO_WRITES);
    runs && !known_flags(scripts, args).is_some_and(promises)
}

/// Whether a request runs a script or function that says it may take memory: whoever says nothing is looked at as it
/// runs.
pub(crate) fn takes_memory(scripts: &Scripts, args: Args<'_>) -> bool {
    let harmless = ScriptFlags::UNDECLARED | ScriptFlags::ALLOW_OOM | ScriptFlags::NO_WRITES;
    known_flags(scripts, args).is_some_and(|flags| !flags.intersects(harmless))
}

/// Whether a request runs a script or function that says that it may write.
pub(crate) fn declares_writes(scripts: &Scripts, args: Args<'_>) -> bool {
    let harmless = ScriptFlags::UNDECLARED | ScriptFlags::NO_WRITES;
    known_flags(scripts, args).is_some_and(|flags| !flags.intersects(harmless))
}

/// What a script or function says of itself, as far as it is known.
fn known_flags(scripts: &Scripts, args: Args<'_>) -> Option<ScriptFlags> {
    let (state, what) = (scripts.state.try_lock().ok(), args.get(1)?);
    match &*args.at(0).to_ascii_lowercase() {
        b"eval" | b"eval_ro" => shebang::parse(what).ok().map(|(flags, _)| flags),
        b"evalsha" | b"evalsha_ro" => Some(state?.cache.get(Sha::parse(what)?)?.flags),
        b"fcall" | b"fcall_ro" => Some(state?.libraries.function(what)?.0.flags),
        _ => None,
    }
}

/// What a script may do that was called this way.
fn allowed(flags: ScriptFlags, read_only: bool) -> Result<ScriptFlags, Error> {
    if !read_only || flags.contains(ScriptFlags::NO_WRITES) {
        return Ok(flags);
    }
    if flags.contains(ScriptFlags::UNDECLARED) {
        return Ok(flags.union(ScriptFlags::NO_WRITES));
    }
    Err(Error::err("Can not execute a script with write flag using *_ro command."))
}

/// Runs Lua in the name of a request, and writes what it returns.
fn hosted(
    call: &mut Call<'_>,
    flags: ScriptFlags,
    function: Option<&[u8]>,
    buffers: &mut Buffers,
    run: impl FnOnce() -> Result<mlua::Value, Failure>,
) -> Result<(), Failure> {
    let database = call.session.database();
    let was_executing = std::mem::replace(&mut call.session.transaction.is_executing, true);
    if !was_executing {
        call.session.transaction.ready.clear();
    }
    let mut host = ScriptHost::new(call, flags, function, std::mem::take(buffers));
    let result = host::with(&mut host, run);
    let (protocol, used) = host.finish();
    *buffers = used;
    call.session.transaction.is_executing = was_executing;
    if call.session.database() != database {
        call.session.select(database);
    }
    let has_booleans = protocol == crate::resp::Protocol::Resp3;
    let reply = call.reply.lend(call.session.protocol());
    let written = values::write(result?, has_booleans, reply);
    let errors = written.map_err(|error| Failure::new(error.wire()))?;
    if !errors.is_empty() {
        for error in &errors {
            call.engine.stats.error(error);
        }
        call.engine.stats.failed(call.row).fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn error(failure: Failure, name: &[u8]) -> Error {
    let is_counted = failure.is_counted;
    let text = failure.decorated(name);
    if is_counted { Error::Counted(text) } else { Error::Text(text.into()) }
}
