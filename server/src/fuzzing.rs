//! Doors for fuzzing: bytes in, plain values out, without a socket.
//!
//! Only there with the feature `fuzzing`, hidden from the documentation, and no promise to
//! anybody: what is behind a door may change as it likes. The properties that are checked
//! through them are in `tests/properties`. The doors for the benches are in `measuring`.

mod measuring;

use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, UNIX_EPOCH};

use bytes::BufMut;

use crate::clients::Client;
use crate::clock::{Clock, Moment};
use crate::command::Table;
use crate::config::{Config, ConfigError, Param};
use crate::durability;
use crate::error::Error;
use crate::execute::{Flow, execute};
use crate::journal::disk::Disk;
use crate::journal::faulty::FaultyDisk;
use crate::journal::payload::{self, Restored};
use crate::keyspace::Run;
use crate::random::Random;
use crate::resp::{Decoder, Limits, Output, Protocol, Reply};
use crate::storage::table::model;
use crate::value::long_double::LongDouble;
use crate::value::stream::{Id, LONGEST_ID, NewId};
use crate::value::{Text, ValueRef, glob, number};
use crate::{engine, session};

pub use measuring::{Connection, Keys, Replies, RequestDecoder};

/// The arguments of a request, its command's name first.
pub type Request = Vec<Vec<u8>>;

/// What became of the bytes of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    pub requests: Vec<Request>,
    /// What ended the connection, if anything did.
    pub error: Option<String>,
}

/// Decodes what arrives in these pieces as a connection does: several requests at a time.
pub fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
    decode_within(pieces, Limits { longest_bulk: LONGEST_BULK, authenticated: true }, LONGEST_RUN)
}

/// The same, each request when its turn comes.
pub fn decode_singly<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
    decode_within(pieces, Limits { longest_bulk: LONGEST_BULK, authenticated: true }, 0)
}

/// The same for a client that has not authenticated, which may send less.
pub fn decode_before_auth<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
    decode_within(pieces, Limits { longest_bulk: LONGEST_BULK, authenticated: false }, 0)
}

const LONGEST_BULK: i64 = 1 << 29;
const LONGEST_RUN: usize = 64;

fn decode_within<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limits: Limits,
    ahead: usize,
) -> Decoded {
    let (mut decoder, mut outcome) = (Decoder::default(), Decoded::default());
    for mut piece in pieces {
        while !piece.is_empty() {
            fill(decoder.target(), &mut piece);
            loop {
                decoder.decode_ahead(limits, ahead);
                match decoder.advance(limits) {
                    Ok(true) => {
                        outcome.requests.push(decoder.args().iter().map(Vec::from).collect());
                    }
                    Ok(false) => break,
                    Err(error) => {
                        outcome.error = Some(error.to_string());
                        return outcome;
                    }
                }
                decoder.finish();
            }
        }
    }
    outcome
}

/// Moves into a buffer what one read of a socket would.
fn fill(mut target: impl BufMut, unread: &mut &[u8]) {
    let (now, later) = unread.split_at(unread.len().min(target.remaining_mut()));
    target.put_slice(now);
    *unread = later;
}

/// A server without its sockets, whose clock stands still and whose random numbers repeat.
pub struct Engine(Arc<engine::Engine>);

impl Engine {
    pub fn new(config: Config) -> Self {
        Engine::of(engine_of(config))
    }

    /// Lets time pass, and removes what has expired.
    pub fn advance_clock(&self, by: Duration) {
        self.0.clock.advance(by);
        self.0.sweep(&|| false);
    }

    pub fn connect(&self) -> Session {
        let (engine, inner) = self.session();
        let (decoder, output) = (Decoder::default(), Output::default());
        Session { engine, inner, decoder, output, closed: false }
    }

    fn of(engine: engine::Engine) -> Self {
        Engine(Arc::new(engine))
    }

    fn session(&self) -> (Arc<engine::Engine>, session::Session) {
        let engine = Arc::clone(&self.0);
        let (id, moment) = (engine.clients.next_id(), Moment::now(&engine.clock));
        let client =
            Client::new(id, format!("memory:{id}"), "memory:0".to_owned(), moment.now_ms());
        let mut inner = session::Session::new(Arc::new(client), !engine.has_password(), moment);
        inner.home = crate::home::Home::Spare;
        engine.clients.add(&inner.client);
        (engine, inner)
    }
}

impl Drop for Engine {
    /// Nothing runs on.
    fn drop(&mut self) {
        self.0.with_all(|_| self.0.close_log());
    }
}

fn engine_of(config: Config) -> engine::Engine {
    let clock = Clock::manual_at(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    engine::Engine::new(config, clock, Random::seeded(1))
}

/// The files of servers, which are in memory, under their names from the root on.
#[derive(Debug)]
pub struct Files(FaultyDisk);

impl Files {
    /// None, and the directory of a log.
    pub fn new() -> Self {
        let disk = FaultyDisk::new("/");
        let made = disk.create_directory(Path::new("/appendonlydir"));
        made.expect("nothing was said of failing");
        Files(disk)
    }

    pub fn put(&self, name: &str, bytes: &[u8]) {
        self.0.put(name, bytes);
    }

    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.0.get(name)
    }

    /// Starts a server on them; the error is why it does not start.
    pub fn start(&self, config: Config) -> Result<Engine, String> {
        config.set_at_start("dir", &["/"]).map_err(|error| error.to_string())?;
        let mut engine = engine_of(config);
        engine.durability.disk = Arc::new(self.0.clone());
        let engine = Engine::of(engine);
        durability::load(&engine.0).map(|()| engine)
    }
}

impl Default for Files {
    fn default() -> Self {
        Files::new()
    }
}

/// A client's connection.
pub struct Session {
    engine: Arc<engine::Engine>,
    inner: session::Session,
    decoder: Decoder,
    output: Output,
    closed: bool,
}

/// One request, and what was written while it was executed.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Empty for bytes that no request could be made of.
    pub request: Request,
    pub reply: Vec<u8>,
    /// Whether the reply is in RESP3.
    pub is_resp3: bool,
    /// What was sent unasked before the reply, to a monitor for example.
    pub messages: Vec<Vec<u8>>,
}

impl Session {
    /// Takes bytes as they arrive, and executes every whole request. A pause ends at once.
    pub fn receive(&mut self, mut bytes: &[u8]) -> Vec<Exchange> {
        let mut exchanges = Vec::new();
        while !bytes.is_empty() && !self.closed {
            fill(self.decoder.target(), &mut bytes);
            self.inner.moment = Moment::now(&self.engine.clock);
            while let Some(exchange) = self.next_exchange() {
                exchanges.push(exchange);
            }
        }
        exchanges
    }

    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    fn next_exchange(&mut self) -> Option<Exchange> {
        if self.closed {
            return None;
        }
        let longest_bulk = self.engine.config.number(Param::ProtoMaxBulkLen);
        let limits = Limits { longest_bulk, authenticated: self.inner.authenticated };
        self.look_ahead(limits);
        let request = match self.decoder.advance(limits) {
            Ok(false) => return None,
            Ok(true) => self.execute(),
            Err(error) => {
                let error = Error::from(error);
                Reply::new(&mut self.output, self.inner.protocol()).error(&error);
                self.closed = true;
                Request::new()
            }
        };
        Some(Exchange {
            request,
            reply: self.output.take().to_vec(),
            is_resp3: self.inner.protocol() == Protocol::Resp3,
            messages: self.take_messages(),
        })
    }

    /// As a connection does it.
    fn look_ahead(&mut self, limits: Limits) {
        if limits.authenticated && self.decoder.ready().len() == 0 {
            self.decoder.decode_ahead(limits, LONGEST_RUN);
            let keys = self.decoder.ready().filter_map(|args| args.get(1));
            self.engine.keyspace.warm(keys, self.inner.database(), &mut Vec::new());
        }
    }

    fn execute(&mut self) -> Request {
        let args = self.decoder.args();
        let request = args.iter().map(Vec::from).collect();
        let run = &mut Run::new(&self.engine.keyspace);
        let mut flow = execute(&self.engine, &mut self.inner, args, &mut self.output, run);
        while flow == Flow::Paused {
            self.engine.pause.end();
            flow = execute(&self.engine, &mut self.inner, args, &mut self.output, run);
        }
        run.release();
        self.engine.end_cycle();
        if matches!(flow, Flow::Block(_))
            && let Some(waiter) = self.engine.blocking.claim(self.inner.client.id)
        {
            waiter.write_in_vain(&mut self.output);
            self.engine.keyspace.leave(&waiter.ticket);
        }
        self.inner.tally.flush(&self.engine.stats);
        self.closed = matches!(flow, Flow::Close | Flow::Abort);
        self.decoder.finish();
        request
    }

    fn take_messages(&mut self) -> Vec<Vec<u8>> {
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(mail) = self.inner.client.poll_mailbox(&mut context) else {
            return Vec::new();
        };
        self.closed |= mail.killed;
        mail.messages.iter().map(|message| message.to_vec()).collect()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.engine.forget(&mut self.inner);
    }
}

/// Every command and subcommand: its full name (`client|kill`) and its arguments, in the
/// notation of the table.
pub fn commands() -> impl Iterator<Item = (&'static str, &'static str)> {
    Table::get().rows().iter().map(|row| (row.name.as_str(), row.command.usage))
}

/// Writes the file that a configuration was loaded from.
pub fn rewrite_config(config: &Config) -> Result<(), ConfigError> {
    config.rewrite().map_err(|error| ConfigError::new(error.to_string()))
}

pub fn glob_matches(pattern: &[u8], text: &[u8]) -> bool {
    glob::matches(pattern, text)
}

pub fn glob_matches_ignore_case(pattern: &[u8], text: &[u8]) -> bool {
    glob::matches_ignore_case(pattern, text)
}

/// The payload of a string, as `DUMP` replies it.
pub fn dump_string(text: &[u8]) -> Vec<u8> {
    payload::dump(ValueRef::String(Text::Fixed(text)))
}

/// Whether a payload holds a value.
pub fn is_restorable(payload: &[u8]) -> bool {
    Restored::parse(payload).is_ok()
}

/// The string that a payload holds.
pub fn restore_string(payload: &[u8]) -> Option<Vec<u8>> {
    match Restored::parse(payload) {
        Ok(Restored::String(text)) => Some(text.into_owned()),
        Ok(_) | Err(_) => None,
    }
}

pub fn parse_integer(text: &[u8]) -> Option<i64> {
    number::parse_integer(text)
}

pub fn format_integer(integer: i64) -> Vec<u8> {
    number::format_integer(integer, &mut [0; 20]).to_vec()
}

pub fn parse_double(text: &[u8]) -> Option<f64> {
    number::parse_double(text)
}

pub fn format_double(double: f64) -> String {
    number::format_double(double)
}

/// A number as INCRBYFLOAT reads and prints it.
pub fn print_long_double(text: &[u8]) -> Option<String> {
    LongDouble::parse(text).map(LongDouble::format)
}

/// The sum of two numbers as INCRBYFLOAT computes it.
pub fn add_long_doubles(one: &[u8], other: &[u8]) -> Option<String> {
    Some(LongDouble::parse(one)?.add(LongDouble::parse(other)?).format())
}

/// The milliseconds and the sequence of an entry's id.
pub type StreamId = (u64, u64);

/// What `XADD` takes for no id.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAnId;

/// An id as commands read it, with this sequence if it has none.
pub fn parse_stream_id(text: &[u8], missing: u64) -> Option<StreamId> {
    Id::parse(text, missing).map(parts)
}

pub fn format_stream_id((ms, sequence): StreamId) -> Vec<u8> {
    Id { ms, sequence }.format(&mut [0; LONGEST_ID]).to_vec()
}

/// The ids before and behind one, and the one that its bytes stand for.
pub fn stream_id_neighbours((ms, sequence): StreamId) -> [Option<StreamId>; 3] {
    let id = Id { ms, sequence };
    [id.previous(), id.next(), Some(Id::from_bytes(id.to_bytes()))].map(|id| id.map(parts))
}

/// The id that a text gives to a new entry behind the last one, if one is left.
pub fn new_stream_id(
    text: &[u8],
    last: StreamId,
    now_ms: u64,
) -> Result<Option<StreamId>, NotAnId> {
    let last = Id { ms: last.0, sequence: last.1 };
    Ok(NewId::parse(text).ok_or(NotAnId)?.behind(last, now_ms).map(parts))
}

const fn parts(id: Id) -> StreamId {
    (id.ms, id.sequence)
}

/// Does the same to a table of keys and to a map, and panics if they differ. `luck` says how
/// badly the hashes are spread.
pub fn compare_table(luck: u8, operations: &[(u8, u16)]) {
    let luck = model::LUCK[usize::from(luck) % model::LUCK.len()];
    let mut pair = model::Pair::new(luck);
    for &(operation, number) in operations {
        let (first, is_marked) = (u64::from(number), operation >= 128);
        match operation % 8 {
            0 => pair.look_up(first),
            1 | 2 => pair.put(first, is_marked),
            3 | 4 => pair.remove(first),
            5 => (first..first + 100).for_each(|number| pair.put(number, is_marked)),
            6 => (first..first + 100).for_each(|number| pair.remove(number)),
            _ => pair.compare(),
        }
    }
    pair.compare();
}
