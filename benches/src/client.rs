//! A client that waits: it sends requests, one or many at a time, and reads as many replies.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::Result;
use crate::reply::{reply_length, reply_text};

/// A server that is silent for longer has failed.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);

/// The reply that stands for no string.
const NIL: &[u8] = b"$-1\r\n";

/// How much is read at once.
const CHUNK: usize = 16 * 1024;

/// A connection to a server on this machine.
pub(crate) struct Client {
    stream: TcpStream,
    /// What has arrived; replies before `taken` have been handed out.
    received: Vec<u8>,
    taken: usize,
}

impl Client {
    pub(crate) fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        Ok(Client { stream, received: Vec::new(), taken: 0 })
    }

    /// Sends one command and gives the text of its reply.
    pub(crate) fn call(&mut self, words: &[&str]) -> Result<String> {
        self.send(&encoded(words))?;
        self.next_accepted().map(reply_text)
    }

    /// Whether the server has a command. It is sent without arguments: another refusal than that of an unknown command
    /// tells that it is there.
    pub(crate) fn knows(&mut self, command: &str) -> Result<bool> {
        self.send(&encoded(&[command]))?;
        Ok(!self.next_reply()?.starts_with(b"-ERR unknown command"))
    }

    pub(crate) fn send(&mut self, requests: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(requests)?)
    }

    /// Reads that many replies. None of them may be an error: what is refused costs less than what is measured.
    pub(crate) fn await_replies(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.next_accepted()?;
        }
        Ok(())
    }

    /// Whether the next reply tells that nothing is there. It may not be an error.
    pub(crate) fn next_is_nil(&mut self) -> Result<bool> {
        Ok(self.next_accepted()? == NIL)
    }

    fn next_accepted(&mut self) -> Result<&[u8]> {
        let reply = self.next_reply()?;
        match reply[0] {
            b'-' => Err(format!("the server refuses: {}", reply_text(reply)).into()),
            _ => Ok(reply),
        }
    }

    fn next_reply(&mut self) -> Result<&[u8]> {
        let length = loop {
            match reply_length(&self.received[self.taken..])? {
                Some(length) => break length,
                None => self.read_more()?,
            }
        };
        let reply = &self.received[self.taken..self.taken + length];
        self.taken += length;
        Ok(reply)
    }

    fn read_more(&mut self) -> Result<()> {
        self.received.drain(..self.taken);
        self.taken = 0;
        let before = self.received.len();
        self.received.resize(before + CHUNK, 0);
        let read = self.stream.read(&mut self.received[before..]);
        self.received.truncate(before + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Err("the server has closed the connection".into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err("no reply".into()),
            read => Ok(read.map(|_| ())?),
        }
    }
}

/// Appends a command as clients send it.
pub(crate) fn encode(words: &[&str], request: &mut Vec<u8>) {
    request.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        request.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
}

/// A command alone.
pub(crate) fn encoded(words: &[&str]) -> Vec<u8> {
    let mut request = Vec::new();
    encode(words, &mut request);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_arrays_of_strings() {
        let mut request = Vec::new();
        encode(&["SET", "k", ""], &mut request);
        assert_eq!(request, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
    }
}
