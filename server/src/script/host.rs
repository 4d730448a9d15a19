//! What a script that runs has to do with the server: commands, the version of its replies, time.
//!
//! The functions that scripts call belong to the VM and outlive every request. What they work with is
//! the request that runs the script, which is here, for its thread, while it does.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mlua::{Lua, Value};
use scoped_tls_hkt::{ReborrowMut, scoped_thread_local};

use super::library::Function;
use super::raised::Raised;
use super::running::Current;
use super::shebang::ScriptFlags;
use super::{values, vm};
use crate::clock::Stopwatch;
use crate::command::args::Request;
use crate::command::{CommandFlags, Registered, Table};
use crate::config::Param;
use crate::error::Error;
use crate::execute::Call;
use crate::limit::OUT_OF_MEMORY;
use crate::resp::{Output, Protocol};
use crate::value::number;

/// How long a script may keep others waiting; then it goes on beside them.
pub(super) const SLICE: Duration = Duration::from_millis(5);
/// What the arguments of a command may take together.
const LARGEST_REQUEST: usize = 512 * 1024 * 1024;

scoped_thread_local!(static mut HOST: for<'a> Hosting<'a>);

/// Whatever runs Lua on this thread.
pub(super) struct Hosting<'a>(&'a mut (dyn Host + 'a));

impl<'a> ReborrowMut<'a> for Hosting<'_> {
    type Result = Hosting<'a>;

    fn reborrow_mut(&'a mut self) -> Hosting<'a> {
        Hosting(&mut *self.0)
    }
}

/// Why a script is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Killed,
    /// The code of a library takes too long.
    LoadTimeout,
    ServerEnds,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ending::Killed => "Script killed by user with SCRIPT KILL...",
            Ending::LoadTimeout => "FUNCTION LOAD timeout",
            Ending::ServerEnds => "the server ends",
        })
    }
}

/// What a script calls a command with.
pub(super) type Arguments<'a, 'v> = &'a mut dyn Iterator<Item = &'v Value>;

pub(super) trait Host {
    /// Executes a command and gives its reply, which may be an error.
    fn command(&mut self, lua: &Lua, args: Arguments<'_, '_>) -> Result<Value, Raised>;

    /// The version that replies come in from here on.
    fn set_protocol(&mut self, protocol: Protocol);

    /// Whether a library is being loaded.
    fn is_loading(&self) -> bool;

    /// Takes part in a library that is being loaded.
    fn register(&mut self, function: Function) -> Result<(), Raised>;

    /// Called every so often: why the script may not go on.
    fn breathe(&mut self) -> Result<(), Ending>;
}

/// Has Lua run with somebody to turn to.
pub(super) fn with<T>(host: &mut dyn Host, run: impl FnOnce() -> T) -> T {
    HOST.set(Hosting(host), run)
}

pub(super) fn command(lua: &Lua, args: Arguments<'_, '_>) -> Result<Value, Raised> {
    HOST.with(|host| host.0.command(lua, args))
}

pub(super) fn register(function: Function) -> Result<(), Raised> {
    HOST.with(|host| host.0.register(function))
}

pub(super) fn is_loading() -> bool {
    HOST.with(|host| host.0.is_loading())
}

pub(super) fn breathe() -> Result<(), Ending> {
    HOST.with(|host| host.0.breathe())
}

/// Whether there is such a version.
pub(super) fn set_protocol(version: i64) -> bool {
    let protocol = match version {
        2 => Protocol::Resp2,
        3 => Protocol::Resp3,
        _ => return false,
    };
    HOST.with(|host| host.0.set_protocol(protocol));
    true
}

/// The arguments of a command as a request.
pub(super) fn read_arguments(args: Arguments<'_, '_>, request: &mut Request) -> Result<(), Raised> {
    request.clear();
    let mut bytes = 0;
    for argument in args {
        bytes += push(argument, request)?;
        if bytes > LARGEST_REQUEST {
            return Err(Raised::reply("the arguments take more than 512 megabytes"));
        }
    }
    if request.args().len() == 0 {
        let text = "Please specify at least one argument for this redis lib call";
        return Err(Raised::reply(text));
    }
    Ok(())
}

/// Adds an argument to a request; how long it is.
fn push(argument: &Value, request: &mut Request) -> Result<usize, Raised> {
    match argument {
        Value::String(text) => {
            let text = text.as_bytes();
            request.push(&text);
            Ok(text.len())
        }
        Value::Integer(integer) if *integer != i64::MIN => {
            request.push(number::format_integer(*integer, &mut [0; 20]));
            Ok(0)
        }
        Value::Integer(integer) => {
            push_number(*integer as f64, request);
            Ok(0)
        }
        Value::Number(double) => {
            push_number(*double, request);
            Ok(0)
        }
        _ => {
            let text = "Lua redis lib command arguments must be strings or integers";
            Err(Raised::reply(text))
        }
    }
}

#[expect(clippy::float_cmp, reason = "whole numbers are exactly what they are as integers")]
fn push_number(double: f64, request: &mut Request) {
    let integer = double as i64;
    let is_inside = integer != i64::MAX && integer != i64::MIN;
    if is_inside && integer as f64 == double {
        request.push(number::format_integer(integer, &mut [0; 20]));
    } else {
        request.push(number::format_double(double).as_bytes());
    }
}

/// What is needed for every command and kept for the next.
#[derive(Default)]
pub(super) struct Buffers {
    request: Request,
    output: Output,
}

/// What runs a script for a client.
pub(super) struct ScriptHost<'h, 'c> {
    call: &'h mut Call<'c>,
    flags: ScriptFlags,
    /// The function's name, if it is one of a library's.
    function: Option<&'h [u8]>,
    protocol: Protocol,
    buffers: Buffers,
    began: Option<Stopwatch>,
    /// What its commands have taken.
    spent: Duration,
    has_written: bool,
    is_away: bool,
    /// After how long another thread is asked to take this one's place.
    next_handover: Duration,
}

impl<'h, 'c> ScriptHost<'h, 'c> {
    pub(super) fn new(
        call: &'h mut Call<'c>,
        flags: ScriptFlags,
        function: Option<&'h [u8]>,
        buffers: Buffers,
    ) -> Self {
        ScriptHost {
            call,
            flags,
            function,
            protocol: Protocol::Resp2,
            buffers,
            began: None,
            spent: Duration::ZERO,
            has_written: false,
            is_away: false,
            next_handover: SLICE,
        }
    }

    /// The version that the script has asked for; others have the shards from now on only after the request.
    pub(super) fn finish(self) -> (Protocol, Buffers) {
        if self.is_away {
            self.call.txn.hold_again();
            self.call.engine.scripts.running.come_back();
        }
        (self.protocol, self.buffers)
    }

    /// The row of a command that the script may execute. What it may not is counted as if it had been sent.
    fn admit(&self) -> Result<&'static Registered, Raised> {
        let found = Table::get().find(self.buffers.request.args());
        let row = found.map_err(|_| Error::err("Unknown Redis command called from script"));
        let admitted = row.clone().and_then(|row| self.check(row));
        let stats = &self.call.engine.stats;
        admitted.map_err(|error| {
            stats.error(&error);
            if let Ok(row) = row {
                stats.rejected(row).fetch_add(1, Ordering::Relaxed);
            }
            Raised::Reply(error.wire())
        })
    }

    fn check(&self, row: &'static Registered) -> Result<&'static Registered, Error> {
        if !row.command.accepts(self.buffers.request.args().len()) {
            return Err(Error::err("Wrong number of args calling Redis command from script"));
        }
        let is_debug = row.command.flags.contains(CommandFlags::PROTECTED);
        let may_debug = is_debug && self.call.engine.scripts_may_debug.load(Ordering::Relaxed);
        if row.command.flags.contains(CommandFlags::NOSCRIPT) && !may_debug {
            return Err(Error::err("This Redis command is not allowed from script"));
        }
        let writes = CommandFlags::WRITE.union(CommandFlags::MAY_REPLICATE);
        if self.flags.contains(ScriptFlags::NO_WRITES) && row.command.flags.intersects(writes) {
            return Err(Error::err("Write commands are not allowed from read-only scripts."));
        }
        let engine = self.call.engine;
        let is_write = row.command.flags.contains(CommandFlags::WRITE);
        if engine.bars.any()
            && let Some(error) = engine.bar(CommandFlags::LOADING, || is_write)
        {
            return Err(error);
        }
        let is_bound = !self.flags.contains(ScriptFlags::ALLOW_OOM) && !self.has_written;
        let takes_memory = row.command.flags.contains(CommandFlags::DENYOOM);
        if takes_memory && is_bound && self.call.session.is_out_of_memory {
            return Err(OUT_OF_MEMORY);
        }
        Ok(row)
    }

    fn execute(&mut self, lua: &Lua, row: &'static Registered) -> Result<(), Raised> {
        if self.is_away {
            self.note_away(row).map_err(|ending| vm::end(lua, ending))?;
            self.call.txn.hold_again();
        }
        self.has_written |= row.command.flags.contains(CommandFlags::WRITE);
        let Buffers { request, output } = &mut self.buffers;
        let spent = self.call.execute_for_script(row, request.args(), output, self.protocol);
        self.spent += spent;
        if self.is_away {
            self.call.txn.let_go();
        } else if self.spent >= SLICE {
            self.breathe().map_err(|ending| vm::end(lua, ending))?;
        }
        Ok(())
    }

    /// What is killed executes nothing more, and what writes cannot be killed from then on.
    fn note_away(&self, row: &Registered) -> Result<(), Ending> {
        let running = &self.call.engine.scripts.running;
        let writes = row.command.flags.contains(CommandFlags::WRITE);
        if running.goes_on(writes) { Ok(()) } else { Err(Ending::Killed) }
    }

    /// Has others served while this goes on. That it takes effect is not certain, so it is done over again.
    fn make_way(&mut self, since: Stopwatch) {
        if since.elapsed() >= self.next_handover {
            self.call.session.home.make_way();
            self.next_handover = 2 * since.elapsed();
        }
    }

    /// Lets others at what this script has kept them from, as far as it can be done.
    fn go_away(&mut self, since: Stopwatch) {
        let request = self.call.args.iter().map(<[u8]>::to_vec).collect();
        let function = self.function.map(<[u8]>::to_vec);
        let has_written = self.has_written;
        let current = Current { request, function, since, has_written };
        self.call.engine.scripts.running.go_away(current);
        self.call.txn.let_go();
        // Who waits for a script is not idle.
        self.call.session.client.seen.last_used_ms.store(i64::MAX, Ordering::Relaxed);
        self.is_away = true;
        self.next_handover = since.elapsed();
    }
}

impl Host for ScriptHost<'_, '_> {
    fn command(&mut self, lua: &Lua, args: Arguments<'_, '_>) -> Result<Value, Raised> {
        read_arguments(args, &mut self.buffers.request)?;
        let row = self.admit()?;
        self.buffers.output.clear();
        self.execute(lua, row)?;
        let value = match self.buffers.output.in_one_piece() {
            Some(reply) => values::from_reply(lua, reply)?,
            None => values::from_reply(lua, &self.buffers.output.take())?,
        };
        Ok(value)
    }

    fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    fn is_loading(&self) -> bool {
        false
    }

    fn register(&mut self, _: Function) -> Result<(), Raised> {
        Err(Raised::reply("functions are registered while their library is loaded"))
    }

    fn breathe(&mut self) -> Result<(), Ending> {
        let engine = self.call.engine;
        let since = *self.began.get_or_insert_with(Stopwatch::start);
        let running = &engine.scripts.running;
        if !engine.is_running() {
            return Err(Ending::ServerEnds);
        }
        if self.is_away {
            self.make_way(since);
            if running.is_killed() {
                return Err(Ending::Killed);
            }
            let threshold_ms = engine.config.number(Param::BusyReplyThreshold);
            if !running.is_late() && since.elapsed().as_millis() as i64 >= threshold_ms {
                running.be_late();
                tracing::warn!(
                    "Slow script detected: still in execution after {threshold_ms} milliseconds. SCRIPT KILL or FUNCTION \
                     KILL ends it if it has not written anything"
                );
            }
        } else if since.elapsed() >= SLICE || self.spent >= SLICE {
            self.go_away(since);
        }
        Ok(())
    }
}
