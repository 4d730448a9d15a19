//! Many connections that are sent one and the same message again and again, and all read by one thread that never
//! sleeps: a sleeping reader would have to be woken, at the expense of the server.
//!
//! Whatever arrives is compared with what has to arrive, so that no refusal is taken for a message; digits that differ
//! from message to message are only known to be digits. Why messages come is not known here.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::Result;
use crate::client::SILENCE;
use crate::servers::Server;

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// What stands in a message for any digit.
pub(crate) const ANY_DIGIT: char = '#';

/// What a listener says, and what it gets.
pub(crate) struct Part {
    /// What makes it a listener.
    pub(crate) request: Vec<u8>,
    /// What it is answered at once, before any message.
    pub(crate) confirmation: Vec<u8>,
    pub(crate) message: Vec<u8>,
}

/// Connections to one server.
pub(crate) struct Listeners {
    poll: Poll,
    events: Events,
    all: Vec<Listener>,
    request: Vec<u8>,
    messages: Messages,
    chunk: Vec<u8>,
}

impl Listeners {
    pub(crate) fn join(server: &Server, count: usize, part: &Part) -> Result<Self> {
        let poll = Poll::new()?;
        let mut all = Vec::new();
        for number in 0..count {
            let mut listener = Listener::join(server.port, part)?;
            let interest = Interest::READABLE;
            poll.registry().register(&mut listener.stream, Token(number), interest)?;
            all.push(listener);
        }
        Ok(Listeners {
            poll,
            events: Events::with_capacity(count),
            all,
            request: part.request.clone(),
            messages: Messages::new(&part.message),
            chunk: vec![0; CHUNK],
        })
    }

    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// Has a listener make its request once more. Next to what a socket holds it is small: it is taken whole.
    pub(crate) fn ask_again(&mut self, number: usize) -> Result<()> {
        Ok(self.all[number].stream.write_all(&self.request)?)
    }

    /// Waits until so many messages have come, to whomever, and gives the listener to whom the last one came.
    pub(crate) fn await_messages(&mut self, count: usize) -> Result<usize> {
        let began = Instant::now();
        let (mut missing, mut last) = (count, 0);
        while missing > 0 {
            self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
            for event in &self.events {
                let Token(number) = event.token();
                let came = self.all[number].receive(&self.messages, &mut self.chunk)?;
                missing = missing.checked_sub(came).ok_or("more messages come than were sent")?;
                last = if came > 0 { number } else { last };
            }
            if began.elapsed() > SILENCE {
                return Err(format!("{missing} of {count} messages do not come").into());
            }
        }
        Ok(last)
    }

    /// Makes sure that every listener has got so many messages since it joined, and nothing else.
    pub(crate) fn confirm_each_has(&self, count: usize) -> Result<()> {
        let bytes = count * self.messages.length;
        if self.all.iter().all(|listener| listener.received == bytes) {
            return Ok(());
        }
        Err("some have got more messages than others".into())
    }
}

struct Listener {
    stream: TcpStream,
    /// The bytes of messages that it has got so far.
    received: usize,
}

impl Listener {
    fn join(server_port: u16, part: &Part) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server_port));
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.write_all(&part.request)?;
        let mut answer = vec![0; part.confirmation.len()];
        stream.read_exact(&mut answer)?;
        confirm(&answer, &part.confirmation)?;
        stream.set_nonblocking(true)?;
        Ok(Listener { stream: TcpStream::from_std(stream), received: 0 })
    }

    /// Reads all that is there, and gives the number of messages that have become whole.
    fn receive(&mut self, messages: &Messages, chunk: &mut [u8]) -> Result<usize> {
        let before = messages.whole_in(self.received);
        loop {
            let length = match self.stream.read(chunk) {
                Ok(0) => return Err("the server has closed the connection".into()),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            };
            confirm(&chunk[..length], messages.part(self.received, length))?;
            self.received += length;
            if length < chunk.len() {
                break;
            }
        }
        Ok(messages.whole_in(self.received) - before)
    }
}

/// An error, unless what has come is what has to come.
pub(crate) fn confirm(received: &[u8], expected: &[u8]) -> Result<()> {
    if received == expected || agree(received, expected) {
        return Ok(());
    }
    let start = &received[..received.len().min(80)];
    Err(format!("the server sends something else than expected: {}", start.escape_ascii()).into())
}

fn agree(received: &[u8], expected: &[u8]) -> bool {
    let is_expected = |(byte, expected): (&u8, &u8)| {
        byte == expected || (byte.is_ascii_digit() && char::from(*expected) == ANY_DIGIT)
    };
    received.len() == expected.len() && received.iter().zip(expected).all(is_expected)
}

/// What a listener has to get: one message after the other, without an end.
struct Messages {
    /// That of one message.
    length: usize,
    /// As many messages as a part of them can touch.
    repeated: Vec<u8>,
}

impl Messages {
    fn new(message: &[u8]) -> Self {
        let length = message.len();
        Messages { length, repeated: message.repeat(CHUNK / length + 2) }
    }

    fn whole_in(&self, bytes: usize) -> usize {
        bytes / self.length
    }

    /// What follows the first `before` bytes. A part is no longer than a chunk.
    fn part(&self, before: usize, length: usize) -> &[u8] {
        let start = before % self.length;
        &self.repeated[start..start + length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_follow_each_other_without_an_end() {
        let messages = Messages::new(b"abc");
        assert_eq!(messages.part(0, 4), b"abca");
        assert_eq!(messages.part(3_000_001, 4), b"bcab");
        assert_eq!(messages.part(2, CHUNK).len(), CHUNK);
    }

    #[test]
    fn a_chunk_may_be_less_than_a_message() {
        let messages = Messages::new(&vec![7; CHUNK * 2]);
        assert_eq!(messages.part(CHUNK * 2 - 1, CHUNK).len(), CHUNK);
    }

    #[test]
    fn only_whole_messages_count() {
        let messages = Messages::new(b"abc");
        assert_eq!([0, 2, 3, 5, 6].map(|bytes| messages.whole_in(bytes)), [0, 0, 1, 1, 2]);
    }

    #[test]
    fn a_message_may_have_any_digits_where_it_is_said() {
        assert!(confirm(b"17-0 a1", b"##-0 a1").is_ok());
        for wrong in [&b"1x-0 a1"[..], b"17-0 a2", b"17-0 a", b"17-1 a1"] {
            assert!(confirm(wrong, b"##-0 a1").is_err(), "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn a_refusal_is_no_message() {
        assert!(confirm(b"abc", b"abc").is_ok());
        let error = confirm(b"-ERR no\r\n", b"*2\r\n$5\r\nq").unwrap_err();
        assert!(error.to_string().ends_with("-ERR no\\r\\n"), "{error}");
    }
}
