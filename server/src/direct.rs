//! Calling commands without a connection, for tests and for the application that embeds a
//! server. The calls take the same way through the server as a client's requests.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis_protocol::resp3::decode::complete::decode_bytes;
pub use redis_protocol::resp3::types::BytesFrame as Value;

use crate::clients::Client;
use crate::clock::Moment;
use crate::command::args::Request;
use crate::engine::Engine;
use crate::error::Error;
use crate::execute::{Flow, execute};
use crate::home::Home;
use crate::keyspace::Run;
use crate::resp::{Output, Protocol};
use crate::session::{Origin, Session};
use crate::value::number;

/// How long a direct call waits before it looks again whether a script has ended.
const WAIT_FOR_SCRIPT: Duration = Duration::from_millis(1);

/// Direct access to a server's data.
///
/// Typed methods panic where a client would get an error, such as `WRONGTYPE`: in a test that is
/// what is wanted. [`call`](Direct::call) gives errors back.
pub struct Direct {
    engine: Arc<Engine>,
    session: Session,
    request: Request,
    output: Output,
}

impl Direct {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        let address = "direct".to_owned();
        let moment = Moment::now(&engine.clock);
        let client = Client::new(0, address.clone(), address, moment.now_ms());
        let mut session = Session::new(Arc::new(client), true, moment);
        session.speak(Protocol::Resp3);
        session.origin = Origin::Direct;
        session.home = Home::Spare;
        Direct { engine, session, request: Request::default(), output: Output::default() }
    }

    /// Turns to another database.
    ///
    /// # Panics
    /// Panics if there is no such database.
    #[must_use]
    pub fn database(mut self, index: usize) -> Self {
        let databases = self.engine.keyspace.databases();
        assert!(index < databases, "database {index} of {databases}");
        self.session.select(index);
        self
    }

    /// Executes any command and gives its reply.
    pub fn call<A: AsRef<[u8]>>(&mut self, command: &[A]) -> Result<Value, Error> {
        self.request.clear();
        for argument in command {
            self.request.push(argument.as_ref());
        }
        if self.request.args().len() == 0 {
            return Err(Error::unknown_command(std::iter::empty()));
        }
        loop {
            match self.execute_once() {
                Flow::Busy => std::thread::sleep(WAIT_FOR_SCRIPT),
                Flow::Abort => return Err(Error::err("the server has ended")),
                _ => break,
            }
        }
        self.wait_for_disk()?;
        self.engine.end_cycle();
        self.session.tally.flush(&self.engine.stats);
        match self.reply() {
            Value::SimpleError { data, .. } => Err(Error::Text(data.as_bytes().to_vec().into())),
            reply => Ok(reply),
        }
    }

    /// Where nothing may be said that is not on the disk, returns once it is.
    fn wait_for_disk(&mut self) -> Result<(), Error> {
        let (engine, log) = (&self.engine, &self.engine.keyspace.log);
        if log.is_strict() {
            log.wait_durable(log.appended(), || engine.is_running());
            if engine.has_failed() {
                self.output.clear();
                return Err(Error::err(
                    "the server has failed, and what it was asked to do may be undone",
                ));
            }
        }
        Ok(())
    }

    /// Executes the request, unless there is a script to wait for.
    fn execute_once(&mut self) -> Flow {
        self.session.moment.renew(&self.engine.clock);
        let mut run = Run::new(&self.engine.keyspace);
        let args = self.request.args();
        let flow = execute(&self.engine, &mut self.session, args, &mut self.output, &mut run);
        drop(run);
        if self.engine.has_changed_parameters() {
            self.engine.follow_parameters();
        }
        flow
    }

    /// Takes the reply out of the output, whose buffer stays.
    fn reply(&mut self) -> Value {
        let single = self.output.in_one_piece().and_then(single);
        if single.is_some() {
            self.output.clear();
        }
        single.or_else(|| Some(decode_bytes(&self.output.take()).ok()??.0)).unwrap_or(Value::Null)
    }

    /// `SET key value`
    pub fn set(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.expect(&[b"SET", key.as_ref(), value.as_ref()]);
    }

    /// `SET key value PX ttl`
    pub fn set_expiring(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>, ttl: Duration) {
        let ttl_ms = ttl.as_millis().to_string();
        self.expect(&[b"SET", key.as_ref(), value.as_ref(), b"PX", ttl_ms.as_bytes()]);
    }

    /// `GET key`
    pub fn get(&mut self, key: impl AsRef<[u8]>) -> Option<Bytes> {
        match self.expect(&[b"GET", key.as_ref()]) {
            Value::BlobString { data, .. } => Some(data),
            _ => None,
        }
    }

    /// `DEL key`; whether it was there.
    pub fn delete(&mut self, key: impl AsRef<[u8]>) -> bool {
        self.expect_integer(&[b"DEL", key.as_ref()]) == 1
    }

    /// `EXISTS key`
    pub fn exists(&mut self, key: impl AsRef<[u8]>) -> bool {
        self.expect_integer(&[b"EXISTS", key.as_ref()]) == 1
    }

    /// `PTTL key`: how long the key still lives; `None` if it does not expire or is not there.
    pub fn ttl(&mut self, key: impl AsRef<[u8]>) -> Option<Duration> {
        let ttl_ms = self.expect_integer(&[b"PTTL", key.as_ref()]);
        u64::try_from(ttl_ms).ok().map(Duration::from_millis)
    }

    /// `KEYS pattern`, in order.
    pub fn keys(&mut self, pattern: impl AsRef<[u8]>) -> Vec<Bytes> {
        let Value::Array { data, .. } = self.expect(&[b"KEYS", pattern.as_ref()]) else {
            return Vec::new();
        };
        let mut keys: Vec<Bytes> = data.into_iter().filter_map(into_bytes).collect();
        keys.sort_unstable();
        keys
    }

    /// `FLUSHALL`
    pub fn flush_all(&mut self) {
        self.expect(&[b"FLUSHALL"]);
    }

    fn expect(&mut self, command: &[&[u8]]) -> Value {
        match self.call(command) {
            Ok(reply) => reply,
            Err(error) => panic!("{}: {error}", String::from_utf8_lossy(command[0])),
        }
    }

    fn expect_integer(&mut self, command: &[&[u8]]) -> i64 {
        match self.expect(command) {
            Value::Number { data, .. } => data,
            other => panic!("a number was expected, not {other:?}"),
        }
    }
}

/// A reply that is one text or number, which most are.
fn single(reply: &[u8]) -> Option<Value> {
    let end = reply.iter().position(|&byte| byte == b'\r')?;
    let (line, attributes) = (&reply[1..end], None);
    match reply[0] {
        b'$' => {
            let length = usize::try_from(number::parse_integer(line)?).ok()?;
            let data = Bytes::copy_from_slice(reply[end..].get(2..2 + length)?);
            Some(Value::BlobString { data, attributes })
        }
        b'+' => Some(Value::SimpleString { data: Bytes::copy_from_slice(line), attributes }),
        b':' => Some(Value::Number { data: number::parse_integer(line)?, attributes }),
        b'_' => Some(Value::Null),
        _ => None,
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        self.engine.forget(&mut self.session);
    }
}

fn into_bytes(value: Value) -> Option<Bytes> {
    match value {
        Value::BlobString { data, .. } => Some(data),
        _ => None,
    }
}
