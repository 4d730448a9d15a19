//! The `redis` crate's blocking connection over a pipe in memory.

use std::io::Write;

use redis::{ConnectionLike, Parser, RedisError, RedisResult, Value};

use crate::server::Server;
use crate::transport::BlockingStream;

/// A connection of the `redis` crate that needs no socket, for code that blocks.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = redlet::Server::builder().no_socket().start_blocking()?;
/// let mut connection = redlet::RedisConnection::new(&server);
/// let count: i64 = redis::cmd("INCR").arg("visits").query(&mut connection)?;
/// assert_eq!(count, 1);
/// # Ok(())
/// # }
/// ```
pub struct RedisConnection {
    stream: BlockingStream,
    parser: Parser,
    is_open: bool,
}

impl RedisConnection {
    pub fn new(server: &Server) -> Self {
        RedisConnection { stream: server.connect_blocking(), parser: Parser::new(), is_open: true }
    }

    fn send(&mut self, packed: &[u8]) -> RedisResult<()> {
        self.stream.write_all(packed).map_err(|error| {
            self.is_open = false;
            RedisError::from(error)
        })
    }

    fn receive(&mut self) -> RedisResult<Value> {
        let received = self.parser.parse_value(&mut self.stream);
        self.is_open &= !received.as_ref().is_err_and(RedisError::is_connection_dropped);
        received
    }
}

impl ConnectionLike for RedisConnection {
    fn req_packed_command(&mut self, packed: &[u8]) -> RedisResult<Value> {
        self.send(packed)?;
        self.receive()?.extract_error()
    }

    fn req_packed_commands(
        &mut self,
        packed: &[u8],
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        self.send(packed)?;
        // All replies are read whatever they are: one left behind would answer the next command.
        let (mut replies, mut first_error) = (Vec::with_capacity(count), None);
        for index in 0..offset + count {
            let reply = self.receive()?;
            if index >= offset {
                replies.push(reply);
            } else if let Err(error) = reply.extract_error() {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(replies), Err)
    }

    fn get_db(&self) -> i64 {
        0
    }

    fn check_connection(&mut self) -> bool {
        redis::cmd("PING").query::<String>(self).is_ok()
    }

    fn is_open(&self) -> bool {
        self.is_open
    }
}
