//! Consumers of groups of streams, each with a connection, a stream and a group of its own.
//!
//! A consumer adds an entry, reads it, and acknowledges one, and goes through this as often as it likes in one
//! pipeline: it gives the ids itself, and so knows before it asks which entry is next in the group, and which one is
//! pending for longest. Every read has one entry to read, every acknowledgement an entry to acknowledge, and every
//! reply is compared with what has to come. Who waits for replies, and until when, is not known here.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use mio::net::TcpStream;

use crate::Result;
use crate::client::{Client, encode, encoded};
use crate::entries::{self, FIELDS, ID, WHOLE_ID, id, reply_with};
use crate::listeners::confirm;
use crate::servers::Server;
use crate::template::Template;

/// At how many entries a stream is kept, and how many it has at first.
pub(crate) const LENGTH: u64 = 1_000;

/// How many of them are pending: an acknowledgement is for the oldest one.
pub(crate) const PENDING: u64 = 100;

/// What a server has to have.
pub(crate) const COMMANDS: &[&str] = &["xadd", "xgroup", "xreadgroup", "xack"];

const GROUP: &str = "group";
const NAME: &str = "consumer";

/// A connection with a stream of its own.
pub(crate) struct Consumer {
    pub(crate) connection: TcpStream,
    /// What it asks for: the first part has the number of the entry that is added, the second one that of the
    /// entry that is acknowledged.
    request: [Template; 2],
    reply: Template,
    /// The number of the next entry.
    next: u64,
    sent: Vec<u8>,
    expected: Vec<u8>,
    /// How much of what is expected has come.
    received: usize,
}

impl Consumer {
    pub(crate) fn join(server: &Server, stream: &str) -> Result<Self> {
        prepare(&mut server.connect()?, stream)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port));
        let connection = std::net::TcpStream::connect(address)?;
        connection.set_nodelay(true)?;
        connection.set_nonblocking(true)?;
        Ok(Consumer {
            connection: TcpStream::from_std(connection),
            request: request(stream).map(Template::new),
            reply: Template::new(reply(stream)),
            next: LENGTH,
            sent: Vec::new(),
            expected: Vec::new(),
            received: 0,
        })
    }

    /// Asks for so many entries at once.
    pub(crate) fn ask(&mut self, depth: u64) -> Result<()> {
        self.sent.clear();
        self.expected.clear();
        self.received = 0;
        for number in self.next..self.next + depth {
            self.request[0].append(number, &mut self.sent);
            self.request[1].append(number - PENDING, &mut self.sent);
            self.reply.append(number, &mut self.expected);
        }
        self.next += depth;
        send(&mut self.connection, &self.sent)
    }

    /// Reads all that is there, and says whether it was the rest of what is expected.
    pub(crate) fn receive(&mut self, chunk: &mut [u8]) -> Result<bool> {
        loop {
            let length = match self.connection.read(chunk) {
                Ok(0) => return Err("the server has closed the connection".into()),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            let missing = &self.expected[self.received..];
            confirm(&chunk[..length], &missing[..length.min(missing.len())])?;
            self.received += length;
            if self.received == self.expected.len() {
                return Ok(true);
            }
        }
    }
}

/// Fills a stream whose newest entries are pending, and whose older ones are done.
fn prepare(client: &mut Client, stream: &str) -> Result<()> {
    let done = id(LENGTH - PENDING - 1);
    entries::fill(client, stream, 0..LENGTH)?;
    client.call(&["XGROUP", "CREATE", stream, GROUP, &done])?;
    let count = PENDING.to_string();
    let read = ["XREADGROUP", "GROUP", GROUP, NAME, "COUNT", &count, "STREAMS", stream, ">"];
    client.call(&read).map(drop)
}

/// A pipeline may be more than a socket takes at once. The server, which has a core of its own, goes on reading.
fn send(connection: &mut TcpStream, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match connection.write(bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn request(stream: &str) -> [Vec<u8>; 2] {
    let length = LENGTH.to_string();
    let add = ["XADD", stream, "MAXLEN", "~", &length, ID];
    let mut add_and_read = encoded(&[&add, FIELDS].concat());
    let read = ["XREADGROUP", "GROUP", GROUP, NAME, "COUNT", "1", "STREAMS", stream, ">"];
    encode(&read, &mut add_and_read);
    [add_and_read, encoded(&["XACK", stream, GROUP, ID])]
}

/// The id of what has been added, what has been read, and that one entry has been acknowledged.
fn reply(stream: &str) -> Vec<u8> {
    let added = format!("${}\r\n{WHOLE_ID}\r\n", WHOLE_ID.len());
    [added.into_bytes(), reply_with(stream, WHOLE_ID, FIELDS), b":1\r\n".to_vec()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_that_to_three_commands() {
        let expected = "$15\r\n1__rand_int__-0\r\n\
            *1\r\n*2\r\n$2\r\ns1\r\n*1\r\n*2\r\n$15\r\n1__rand_int__-0\r\n*6\r\n$4\r\nroom\r\n";
        let reply = reply("s1");
        assert!(reply.starts_with(expected.as_bytes()), "{}", reply.escape_ascii());
        assert!(reply.ends_with(b"$16\r\nval:__rand_int__\r\n:1\r\n"), "{}", reply.escape_ascii());
    }
}
